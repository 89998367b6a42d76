"""``limbeck show``: a run's findings, one student as a person reads it; an explanation, modules, a policy in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from limbeck._result import Candidate, Distillation
    from limbeck.policies import PolicyCandidate

__all__ = ["show"]


def show(
    run: Annotated[Path, typer.Argument(help="The folder of a run, an explanation, modules or a policy.")],
    student: Annotated[str | None, typer.Argument(help="The name of a student or policy; absent: all.")] = None,
) -> None:
    """Print a run's findings, or one student's text and findings; an explanation, modules or policies in words."""
    from limbeck import load
    from limbeck._core.errors import InputError
    from limbeck._result import Distillation
    from limbeck.policies import PolicyDistillation

    result = load(run)
    if isinstance(result, Distillation):
        _show_run(result, student)
    elif student is None:
        typer.echo(result.text())
    elif isinstance(result, PolicyDistillation):
        _show_candidates((result[student],))
        typer.echo("\n" + result[student].readable.text())
    else:
        raise InputError(
            f"{run} holds no students: only runs of `limbeck distill` and distill-policy do; leave {student!r:.60} out"
        )


def _show_run(result: Distillation, student: str | None) -> None:
    teacher = result.run["teacher"]
    if student is None:
        typer.echo(f"{teacher['name']} ({teacher['kind']}), {result.run['task']}, {result.run['data']['rows']} rows")
        for note in result.run["notes"]:
            typer.echo(f"note: {note}")
    _show_candidates(result.candidates if student is None else (result[student],))
    if student is not None:
        typer.echo("\n" + result[student].readable.text())


def _show_candidates(candidates: Iterable[Candidate | PolicyCandidate]) -> None:
    for candidate in candidates:
        typer.echo(f"\n{candidate.name}: {candidate.family}, complexity {candidate.complexity:,}, {candidate.verdict}")
        for finding in candidate.findings:
            typer.echo(f"  {finding.code} {finding.status:<14} {finding.title}: {finding.message}")
