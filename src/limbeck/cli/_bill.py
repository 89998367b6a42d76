"""``limbeck bill``: what teacher and students cost to store and to ask, as the run measured it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = ["bill", "print_bill"]

MEASURES = ("microseconds_1", "milliseconds_10000", "rows_per_second_10000")
RATIOS = ("smaller", "faster_1", "faster_10000")


def bill(
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the stored bill as JSON and nothing else.")] = False,
) -> None:
    """Print size, speed and memory of the teacher and of each student in each form."""
    from limbeck._core.errors import InputError
    from limbeck._result import load

    found = load(run).run.get("bill")
    if not isinstance(found, Mapping) or not isinstance(found.get("entries"), list):
        raise InputError(
            f"a run with a bill is required; {run} has none. Get one with `limbeck compress ...`, or distil again with "
            "`limbeck distill ... --bill`."
        )
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    print_bill(found)


def print_bill(found: Mapping[str, Any]) -> None:
    """Print a bill as a table."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from limbeck.report._bill_view import bytes_text, memory_text, time_text

    entries = [entry for entry in found["entries"] if isinstance(entry, Mapping)]
    ratios = {(r.get("name"), r.get("form")): r for r in found.get("ratios") or () if isinstance(r, Mapping)}
    out = Table(box=None, pad_edge=False, header_style="bold")
    names = (
        "model",
        "form",
        "size",
        "smaller",
        "one row",
        "faster",
        "10,000 rows",
        "faster",
        "rows a second",
        "memory",
    )
    for i, name in enumerate(names):
        out.add_column(name, justify="left" if i < 2 else "right")
    for entry in entries:
        ratio = ratios.get((entry.get("name"), entry.get("form")), {})
        smaller, one, many = (_times(ratio.get(key)) for key in RATIOS)
        first, batch, rate = (_number(entry.get(key)) for key in MEASURES)
        cells = [bytes_text(_number(entry.get("bytes"))), smaller]
        cells += [time_text(None if first is None else first / 1e6), one]
        cells += [time_text(None if batch is None else batch / 1e3), many]
        cells += ["–" if rate is None else f"{rate:,.0f}", memory_text(_number(entry.get("peak_bytes")))]
        style = "bold" if entry.get("name") == "teacher" else None
        out.add_row(escape(str(entry.get("name"))), escape(str(entry.get("form"))), *cells, style=style)
    console = Console(width=None if Console().is_terminal else 160)
    console.print(out)
    for entry in entries:
        if entry.get("note"):
            line = f"note: {entry.get('name')}, {entry.get('form')}: {entry['note']}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"one thread; {found.get('machine')}", markup=False, highlight=False, soft_wrap=True)


def _number(value: Any) -> float | None:
    from limbeck.report._bill_view import drawable

    return drawable(value)


def _times(value: Any) -> str:
    from limbeck.report._bill_view import times_text

    found = _number(value)
    if not found:
        return "" if value is None else "–"
    return f"{times_text(found)} x" if found >= 0.1 else f"{found:.2g} x"
