"""Many tasks over joblib: a task that fails does not lose the others, and seeds are in the tasks.

`n_jobs=None` defers to ``joblib.parallel_config("loky" | "dask" | "ray")``, and is one process without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Failure", "run_here", "run_tasks"]


@dataclass(frozen=True)
class Failure:
    """A task that raised: the error's own sentence, and its type."""

    kind: str
    message: str


def run_tasks(
    function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], *, n_jobs: int | None = None
) -> Iterator[tuple[int, Any]]:
    """Pairs ``(position, result or Failure)``, as the tasks end; the earlier ones are begun first."""
    from joblib import Parallel, delayed

    # Few tasks wait in the pool: where many do, a stop makes loky's own thread fail.
    pool = Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
    yield from pool(delayed(_attempt)(i, function, task) for i, task in enumerate(tasks))


def run_here(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    """Pairs ``(position, result or Failure)``, one after the other in this process."""
    for i, task in enumerate(tasks):
        yield _attempt(i, function, task)


def _attempt(i: int, function: Callable[..., Any], task: tuple[Any, ...]) -> tuple[int, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return i, function(*task)
    except Exception as error:
        return i, Failure(type(error).__name__, str(error))
