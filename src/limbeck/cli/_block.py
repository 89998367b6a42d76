"""``limbeck block``: a block inside a network as a formula, put back in its place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from limbeck.cli._options import Classes, Data, Drop, MaxRows, Missing, Quiet, Seed, Target, Task
from limbeck.cli._runs import names_in

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["block"]


def block(
    teacher: Annotated[str, typer.Option(help="The network: package.module:name of a torch module.")],
    data: Data = "concrete",
    target: Target = None,
    at: Annotated[
        str | None, typer.Option(help="The block, as in named_modules(). Absent: the blocks are listed.")
    ] = None,
    students: Annotated[str, typer.Option(help="What reads it: formula, tree, rules, rule_set, ...")] = "formula",
    out: Annotated[Path, typer.Option(help="The folder of the result.")] = Path("runs/block"),
    seed: Seed = 0,
    max_inputs: Annotated[int, typer.Option(help="At most so many of the block's inputs, the ones that matter.")] = 16,
    max_symbols: Annotated[int | None, typer.Option(help="The most symbols of a formula.", min=1)] = None,
    tune: Annotated[
        float, typer.Option(help="0 to 1: how much the whole network counts when constants are tuned; 0: not at all.")
    ] = 0.75,
    queries: Annotated[int | None, typer.Option(help="How many synthetic rows to ask.", min=0)] = None,
    max_rows: MaxRows = None,
    task: Task = None,
    classes: Classes = None,
    drop: Drop = None,
    missing: Missing = "error",
    as_json: Annotated[bool, typer.Option("--json", help="Print block.json and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Replace a block inside a network by a formula, and tell what it does to the whole network."""
    from limbeck._block import blocks, distill_block
    from limbeck._block_case import read_model
    from limbeck.cli._rows import read_rows, sampled

    model = read_model(teacher)
    rows = read_rows(data, target=names_in(target), drop=names_in(drop), missing=missing)
    rows = rows if max_rows is None else sampled(rows, max_rows, seed)
    if at is None:
        _list(blocks(model, rows.frame.drop(columns=list(rows.target))), as_json=as_json)
        return
    found = distill_block(
        model,
        rows.frame,
        rows.truth,
        at=at,
        student=_student(names_in(students), max_symbols),
        max_inputs=max_inputs,
        tune=tune,
        n_queries=queries,
        task=task or rows.task,
        classes=names_in(classes) or None,
        random_state=seed,
        progress=not (quiet or as_json),
    )
    folder = found.save(out)
    typer.echo(json.dumps(found.to_dict(), ensure_ascii=False) if as_json else f"{found.text()}\n\nin {folder}")
    if found.verdict.startswith("do not use"):
        sys.exit(3)


def _student(names: list[str], max_symbols: int | None) -> object:
    """The one student of this name."""
    from limbeck._core.errors import InputError

    if len(names) != 1:
        raise InputError(f"--students names one family for a block, such as formula or tree; got {names}")
    if max_symbols is None:
        return names[0]
    if names[0] != "formula":
        raise InputError(f"--max-symbols is for --students formula; got {names[0]!r}")
    from limbeck.students import FormulaRegressor

    return FormulaRegressor(max_complexity=max_symbols)


def _list(table: pd.DataFrame, *, as_json: bool) -> None:
    if as_json:
        typer.echo(table.to_json(orient="records"))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    out = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("block", "kind", "inputs", "outputs", "weights", "seconds", ""):
        out.add_column(name, justify="right" if name in ("inputs", "outputs", "weights", "seconds") else "left")
    for row in table.to_dict("records"):
        can = row["can_replace"]
        sizes = [f"{row['inputs']:,}", f"{row['outputs']:,}"] if can else ["-", "-"]
        seconds = f"{row['seconds']:.0f}" if can else "-"
        why = "" if can else f"can't be replaced: {row['why']}"
        cells = (escape(row["name"]), row["kind"], *sizes, f"{row['parameters']:,}", seconds, escape(why))
        out.add_row(*cells)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(out)
    console.print("Replace one: limbeck block --teacher ... --at NAME", highlight=False)
