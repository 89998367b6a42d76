"""``limbeck tradeoff``: what each size of each student costs to read, what it reaches, and where to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tradeoff"]

ONE = {"leaves": "leaf"}


def tradeoff(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON and nothing else.")] = False,
) -> None:
    """Print fidelity and accuracy against size, and the size at which a person should stop."""
    from limbeck import tradeoff as table_of
    from limbeck._result import load

    result = load(run)
    table = table_of(result)
    if as_json:
        typer.echo(table.to_json(orient="records"))
        return
    _print(table, "accuracy" if result.run["task"] == "classification" else "R2")
    for note in result.run["notes"]:
        if note.startswith("the price of clarity"):
            typer.echo(f"note: {note}")


def _print(table: pd.DataFrame, metric: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    has_truth = bool(table["train_accuracy"].notna().any())
    names = ["student", "size", "complexity", "fidelity: train", "validation", "test"]
    names += [f"{metric} on the truth: train", "validation", "test"] if has_truth else []
    out = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate([*names, ""]):
        out.add_column(name, justify="left" if i in (0, len(names)) else "right")
    for _, rows in table.groupby("student", sort=False):
        for row in rows.to_dict("records"):
            cells = [escape(row["student"]), _size(row), f"{row['complexity']:,}", *_cells(row, "fidelity")]
            cells += _cells(row, "accuracy") if has_truth else []
            out.add_row(*cells, _mark(row), style="bold" if row["stop"] or row["stop_overall"] else None)
        out.add_row()
    console = Console(width=None if Console().is_terminal else 160)
    console.print(out)
    console.print("stop: the smallest size within one standard error of the student's best validation fidelity")
    console.print("stop here: the least complex of all within one standard error of the best of all")


def _size(row: dict[Any, Any]) -> str:
    unit = row["unit"]
    return f"{row['size']:,} {unit if row['size'] != 1 else ONE.get(unit, unit.removesuffix('s'))}"


def _cells(row: dict[Any, Any], what: str) -> list[str]:
    error = row["validation_se" if what == "fidelity" else "accuracy_se"]
    middle = _number(row[f"validation_{what}"]) + (f" ± {error:.3f}" if error == error else "")
    return [_number(row[f"train_{what}"]), middle, _number(row[f"test_{what}"])]


def _mark(row: dict[Any, Any]) -> str:
    marks = ["stop here" if row["stop_overall"] else "stop"] if row["stop"] or row["stop_overall"] else []
    return ", ".join([*marks, *(["chosen"] if row["chosen"] else [])])


def _number(value: float) -> str:
    return "-" if value != value else f"{round(value, 3) + 0.0:.3f}"
