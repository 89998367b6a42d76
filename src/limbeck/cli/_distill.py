"""``limbeck distill``: a model and rows in, a run's folder and its report out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from limbeck._result import Distillation

__all__ = ["distill", "seconds"]

QUERY_SOURCES = {
    "munge": "Munge",
    "marginals": "Marginals",
    "naive_bayes": "NaiveBayes",
    "shifts": "ImageShifts",
}
"""By the name of the option: where queries come from."""


def distill(
    data: Annotated[
        str, typer.Option(help="A .csv or .parquet file, or a data set by name (see: limbeck data list).")
    ] = "concrete",
    target: Annotated[
        str | None, typer.Option(help="The column(s) of the truth, with commas; a named data set knows its own.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="The model: a .pt2 or .onnx file, or package.module:name. Absent: one is trained."),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train a default network on the rows as the teacher.")] = False,
    students: Annotated[
        str,
        typer.Option(
            help="Which, with commas: tree, trepan, optimal_tree, soft_tree, rules, rule_set, formula, network."
        ),
    ] = "tree,formula,network",
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("runs/latest"),
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.", min=0)] = 0,
    budget: Annotated[
        str | None, typer.Option(help="Time for the students together, such as 60s or 5m; the answer may then vary.")
    ] = None,
    queries: Annotated[int | None, typer.Option(help="How many synthetic rows to ask the teacher.", min=0)] = None,
    query_source: Annotated[
        str, typer.Option(help="Where they come from: munge, marginals, naive_bayes or shifts (of images).")
    ] = "munge",
    max_rows: Annotated[
        int | None, typer.Option(help="Use so many rows of the data, drawn by the seed, and leave the others.", min=1)
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="regression or classification, where the teacher does not say.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="The labels in the order of the outputs, with commas.")] = None,
    drop: Annotated[str | None, typer.Option(help="Columns to leave out, with commas.")] = None,
    missing: Annotated[
        str, typer.Option(help="Rows with missing values: error, drop, or level (text columns get a level 'missing').")
    ] = "error",
    jobs: Annotated[int, typer.Option(help="Processes; -1 is one a core.")] = -1,
    as_json: Annotated[bool, typer.Option("--json", help="Print results.json and nothing else.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Distil a trained model into models that a person can read, and check how faithful each is."""
    from limbeck import distill as run
    from limbeck._core.errors import InputError
    from limbeck.cli._rows import read_rows, sampled

    if teacher is not None and train:
        raise InputError("--train makes a teacher of its own; leave out --teacher or --train")
    if task not in (None, "regression", "classification"):
        raise InputError(f"--task is regression or classification; got {task!r}")
    rows = read_rows(data, target=_names(target), drop=_names(drop), missing=missing)
    if max_rows is not None:
        rows = sampled(rows, max_rows, seed)
    if teacher is None and not rows.target:
        raise InputError("give --teacher, or --target so that a default network can be trained")
    result = run(
        teacher,
        rows.frame,
        list(rows.target) if len(rows.target) > 1 else (rows.target[0] if rows.target else None),
        students=_names(students),
        queries=_query_source(query_source),
        n_queries=queries,
        task=task or rows.task,
        classes=_names(classes) or None,
        budget_s=None if budget is None else seconds(budget),
        random_state=seed,
        n_jobs=jobs,
        progress=not (quiet or as_json),
    )
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


def _names(text: str | None) -> list[str]:
    return [] if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _query_source(name: str) -> Any:
    from limbeck import queries
    from limbeck._core.errors import InputError, did_you_mean

    if name not in QUERY_SOURCES:
        raise InputError(
            f"--query-source is one of {', '.join(QUERY_SOURCES)}; got {name!r}.{did_you_mean(name, QUERY_SOURCES)}"
        )
    return getattr(queries, QUERY_SOURCES[name])()


def seconds(text: str) -> float:
    """A time such as ``90``, ``90s``, ``5m`` or ``1h`` in seconds.

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> seconds("90s"), seconds("1.5m")
    (90.0, 90.0)
    """
    from limbeck._core.errors import InputError

    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(text.strip()[-1:])
    number = text.strip()[:-1] if unit else text.strip()
    try:
        value = float(number) * (unit or 1.0)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise InputError(f"a budget is a time above 0 such as 60s, 5m or 1h; got {text!r}")
    return value


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
    console.print(
        f"Read one: limbeck show {folder} {result.candidates[0].name}" if result.candidates else "",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    console.print(f"Report:   {page}", markup=False, highlight=False, soft_wrap=True)


def _number(value: Any) -> str:
    return "-" if value is None or value != value else f"{value:.3f}"
