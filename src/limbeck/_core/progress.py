"""Progress of long work: a function of (what, done, total), drawn as a bar where a person watches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

__all__ = ["Progress", "Report", "reporting"]

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much; with (text, 0, 0) for a line to read."""

Progress = bool | Report


@contextlib.contextmanager
def reporting(progress: Progress) -> Iterator[Report]:
    """A `Report`: silent for False, a bar on the error stream for True, or the user's own function."""
    if callable(progress):
        yield progress
    elif not progress:
        yield lambda what, done, total: None
    else:
        with _bars() as report:
            yield report


@contextlib.contextmanager
def _bars() -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=False) as bars:
        tasks: dict[str, int] = {}

        def report(what: str, done: int, total: int) -> None:
            if total == 0:
                bars.console.print(what, markup=False, highlight=False, soft_wrap=True)
                return
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield report
