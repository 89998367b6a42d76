"""``limbeck report``: the offline page of a run, of a study, of an explanation or of modules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, a study, an explanation or of modules.")],
    out: Annotated[Path | None, typer.Option(help="The page; absent: report.html in the folder.")] = None,
) -> None:
    """Write the report of a run, a study, an explanation or of modules: one HTML file that needs no network."""
    path = out if out is not None else run / "report.html"
    if (run / "explanation.json").is_file() and not (run / "run.json").is_file():
        from limbeck.report import write_explanation

        typer.echo(str(write_explanation(run, path)))
        return
    if (run / "modules.json").is_file() and not (run / "run.json").is_file():
        from limbeck.report import write_modules

        typer.echo(str(write_modules(run, path)))
        return
    if (run / "study.json").is_file() and not (run / "run.json").is_file():
        from limbeck.report import write_study

        typer.echo(str(write_study(run, path)))
        return
    from limbeck._result import load

    typer.echo(str(load(run).report(path)))
