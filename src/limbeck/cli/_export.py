"""``limbeck export``: one student as a program in another language."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["export"]


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of policies.")],
    to: Annotated[str, typer.Option(help="python, sql, c, javascript, latex, mathml, onnx or safetensors.")],
    student: Annotated[str | None, typer.Option(help="A student's name; absent: the best that may be used.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file; absent: the standard output.")] = None,
) -> None:
    """Write one student as a program that runs without limbeck."""
    from limbeck import load
    from limbeck._core.errors import InputError
    from limbeck._core.storage import write_file
    from limbeck._result import Distillation
    from limbeck.policies import PolicyDistillation

    result = load(run)
    if not isinstance(result, Distillation | PolicyDistillation):
        raise InputError(f"{run} holds no students: only a run of `limbeck distill` or distill-policy can be exported")
    candidate = result.best() if student is None else result[student]
    program = candidate.readable.export(to)
    if out is not None:
        write_file(out, program)
        typer.echo(f"{candidate.name} as {to}: {out}", err=True)
    elif isinstance(program, bytes):
        sys.stdout.buffer.write(program)
    else:
        typer.echo(program)
    if candidate.verdict != "use":
        typer.echo(f"{candidate.name}: {candidate.verdict}", err=True)
