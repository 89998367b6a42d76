"""``limbeck report``: the offline page of a run, of a study, of an explanation, of modules or of policies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(help="The folder of a run, a study, an explanation, modules or policies.")],
    out: Annotated[Path | None, typer.Option(help="The page; absent: report.html in the folder.")] = None,
) -> None:
    """Write the report of a run, a study, an explanation, of modules or of policies: one offline HTML file."""
    path = out if out is not None else run / "report.html"
    if not (run / "run.json").is_file():
        from limbeck import report as pages
        from limbeck.report import write_policy

        writers = {
            "explanation.json": pages.write_explanation,
            "modules.json": pages.write_modules,
            "study.json": pages.write_study,
            "policy.json": write_policy,
        }
        for document, write in writers.items():
            if (run / document).is_file():
                typer.echo(str(write(run, path)))
                return
    from limbeck._result import load

    typer.echo(str(load(run).report(path)))
