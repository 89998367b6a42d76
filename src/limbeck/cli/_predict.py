"""``limbeck predict``: one student's answers for the rows of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from limbeck.readable import Readable

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    data: Annotated[str, typer.Option(help="A .csv or .parquet file, or a data set by name.")],
    student: Annotated[str | None, typer.Option(help="A student's name; absent: the best that may be used.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="A .csv or .parquet file; absent: CSV on the standard output.")
    ] = None,
) -> None:
    """Write one student's answers: a column an output, or the class and a probability a class.

    For a formula, how many rows lie outside the ranges that it was fitted on is said too.
    """
    import pandas as pd

    from limbeck._core.errors import InputError
    from limbeck._core.storage import write_file
    from limbeck._result import load
    from limbeck.cli._rows import read_rows

    result = load(run)
    candidate = result.best() if student is None else result[student]
    rows = read_rows(data, target=[], drop=[], missing="error")
    answers = candidate.readable(rows.frame)
    names = candidate.readable.output_names
    table = pd.DataFrame(answers, columns=list(names))
    if candidate.readable.task == "classification":
        table.columns = pd.Index([f"P({name})" for name in names])
        table.insert(0, "class", [names[i] for i in answers.argmax(axis=1)])
    if out is None:
        typer.echo(table.to_csv(index=False), nl=False)
    elif out.suffix == ".csv":
        write_file(out, table.to_csv(index=False))
    elif out.suffix == ".parquet":
        import io

        import polars as pl

        buffer = io.BytesIO()
        pl.DataFrame({str(name): table[name].to_list() for name in table.columns}).write_parquet(buffer)
        write_file(out, buffer.getvalue())
    else:
        raise InputError(f"--out is a .csv or .parquet file; got {out.name!r}")
    if out is not None:
        typer.echo(f"{len(table)} rows by {candidate.name}: {out}", err=True)
    _say_what_is_outside(candidate.readable, rows.frame)


def _say_what_is_outside(readable: Readable, rows: Any) -> None:
    """How many rows a formula was not fitted for, on the standard error."""
    from limbeck.readable import FormulaReadable

    if not isinstance(readable, FormulaReadable) or readable.ranges is None:
        return
    n_outside = int(readable.outside(rows).sum())
    if n_outside:
        typer.echo(
            f"{n_outside} of {len(rows)} rows lie outside the ranges that the formula was {readable.domain_text()}",
            err=True,
        )
