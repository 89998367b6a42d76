"""``limbeck report``: the offline page of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    out: Annotated[Path | None, typer.Option(help="The page; absent: report.html in the run's folder.")] = None,
) -> None:
    """Write a run's report: one HTML file that needs no network."""
    from limbeck import load

    page = load(run).report(out if out is not None else run / "report.html")
    typer.echo(str(page))
