"""``limbeck show``: a run's findings, or one student as a person reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    student: Annotated[str | None, typer.Argument(help="A student's name; absent: all findings.")] = None,
) -> None:
    """Print a run's findings, or one student's text and findings."""
    from limbeck import load

    result = load(run)
    teacher = result.run["teacher"]
    if student is None:
        typer.echo(f"{teacher['name']} ({teacher['kind']}), {result.run['task']}, {result.run['data']['rows']} rows")
        for note in result.run["notes"]:
            typer.echo(f"note: {note}")
    for candidate in result.candidates if student is None else (result[student],):
        typer.echo(f"\n{candidate.name}: {candidate.family}, complexity {candidate.complexity:,}, {candidate.verdict}")
        for finding in candidate.findings:
            typer.echo(f"  {finding.code} {finding.status:<14} {finding.title}: {finding.message}")
    if student is not None:
        typer.echo("\n" + result[student].readable.text())
