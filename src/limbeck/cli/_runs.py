"""What the verbs that make a run share: names and sources from options; the run saved, printed and judged."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from limbeck._result import Distillation
    from limbeck.cli._rows import NamedRows

__all__ = ["conclude", "names_in", "refuse_teacher", "source_named"]

QUERY_SOURCES = {
    "munge": "Munge",
    "marginals": "Marginals",
    "naive_bayes": "NaiveBayes",
    "shifts": "ImageShifts",
}
"""By the name of the option: where queries come from."""


def names_in(text: str | None) -> list[str]:
    """The names in a list with commas."""
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def source_named(name: str) -> Any:
    """The source of queries of this name."""
    from limbeck import queries
    from limbeck._core.errors import InputError, did_you_mean

    if name not in QUERY_SOURCES:
        raise InputError(
            f"--query-source is one of {', '.join(QUERY_SOURCES)}; got {name!r}.{did_you_mean(name, QUERY_SOURCES)}"
        )
    return getattr(queries, QUERY_SOURCES[name])()


def refuse_teacher(teacher: str | None, train: bool, task: str | None, rows: NamedRows) -> None:
    """Refuse a teacher that is given and trained at once, an unknown task, and rows without a teacher or a target."""
    from limbeck._core.errors import InputError

    if teacher is not None and train:
        raise InputError("--train makes a teacher of its own; leave out --teacher or --train")
    if task not in (None, "regression", "classification"):
        raise InputError(f"--task is regression or classification; got {task!r}")
    if teacher is None and not rows.target:
        raise InputError("give --teacher, or --target so that a default network can be trained")


def conclude(result: Distillation, rows: NamedRows, out: Path, *, as_json: bool) -> None:
    """The run saved with its page and printed; the exit code says whether it may be used."""
    result.run["data"]["name"] = rows.name
    result.run["notes"].extend(rows.notes)
    folder = result.save(out)
    page = result.report(folder / "report.html")
    if as_json:
        typer.echo(json.dumps(json.loads((folder / "results.json").read_text(encoding="utf-8"))))
    else:
        _print(result, out, page if out.is_absolute() else out / "report.html")
    if not result.complete:
        typer.echo("interrupted: the run holds what was done by then", err=True)
        sys.exit(130)
    if all(candidate.verdict.startswith("do not use") for candidate in result.candidates):
        sys.exit(3)


def _print(result: Distillation, folder: Path, page: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("student", "left"),
        ("complexity", "right"),
        ("fidelity", "right"),
        ("95 % interval", "left"),
        ("truth", "right"),
        ("verdict", "left"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for row in result.table().to_dict("records"):
        table.add_row(
            escape(row["name"]),
            f"{row['complexity']:,}",
            _number(row["fidelity"]),
            f"{_number(row['low'])} to {_number(row['high'])}",
            _number(row["truth"]),
            escape(row["verdict"]),
        )
    console.print(table)
    teacher = [row["teacher_truth"] for row in result.table().to_dict("records") if row["teacher_truth"] is not None]
    if teacher:
        console.print(
            f"The teacher itself reaches {_number(teacher[0])} on the truth of the held-out rows.", highlight=False
        )
    for note in result.run["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    if isinstance(result.run.get("bill"), dict):
        from limbeck.cli._bill import print_bill

        print_bill(result.run["bill"])
    console.print(
        f"Read one: limbeck show {folder} {result.candidates[0].name}" if result.candidates else "",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Report:   {page}", markup=False, highlight=False, soft_wrap=True)


def _number(value: Any) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
