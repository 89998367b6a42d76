"""``limbeck compress``: a large model and rows in, one small network out, with the bill for both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli._runs import conclude, names_in, refuse_teacher, source_named

__all__ = ["compress"]


def compress(
    data: Annotated[
        str, typer.Option(help="A .csv or .parquet file, or a data set by name (see: limbeck data list).")
    ] = "concrete",
    target: Annotated[
        str | None, typer.Option(help="The column(s) of the truth, with commas; a named data set knows its own.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="The model: a .pt2, .onnx or .skops file, or package.module:name. Absent: one is trained."),
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="Train a default network on the rows as the teacher.")] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Select an ensemble from about 60 models as the teacher (minutes).")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="The most it may take: a size such as 300KB, or the time for one row such as 50us."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights.")] = False,
    prune: Annotated[float, typer.Option(help="The share of the weights that become 0.", min=0.0, max=0.99)] = 0.0,
    out: Annotated[Path, typer.Option(help="The folder of the run.")] = Path("runs/latest"),
    answers: Annotated[
        Path | None,
        typer.Option(help="Where the teacher's answers are kept, so that a run goes on after a kill. [OUT.answers]"),
    ] = None,
    queries: Annotated[int | None, typer.Option(help="How many synthetic rows to ask the teacher.", min=1)] = None,
    source: Annotated[
        str | None,
        typer.Option("--query-source", help="munge, marginals, naive_bayes or shifts; absent: munge, p and s chosen."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the queries; absent: about 10,000 steps in all.", min=1)
    ] = None,
    unlabelled: Annotated[str | None, typer.Option(help="A file of real rows without labels, asked first.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.", min=0)] = 0,
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
    """Compress a trained model into one small network, and measure what both cost to store and to ask."""
    from limbeck import compress as run
    from limbeck._core.errors import InputError
    from limbeck.cli._rows import read_rows, sampled

    rows = read_rows(data, target=names_in(target), drop=names_in(drop), missing=missing)
    if max_rows is not None:
        rows = sampled(rows, max_rows, seed)
    if ensemble and (train or teacher is not None):
        raise InputError("--ensemble makes a teacher of its own; leave out --teacher and --train")
    refuse_teacher(teacher, train, task, rows)
    more = None if unlabelled is None else read_rows(unlabelled, target=[], drop=[], missing=missing).frame
    result = run(
        _selected(rows.frame[rows.target[0]], rows.task or task, jobs) if ensemble else teacher,
        rows.frame,
        rows.truth,
        budget=budget,
        quantize="int8" if int8 else None,
        prune=prune,
        queries=None if source is None else source_named(source),
        n_queries=queries,
        unlabelled=more,
        max_epochs=epochs,
        answers=answers if answers is not None else out.with_name(f"{out.name}.answers"),
        task=task or rows.task,
        classes=names_in(classes) or None,
        random_state=seed,
        n_jobs=jobs,
        progress=not (quiet or as_json),
    )
    conclude(result, rows, out, as_json=as_json)


def _selected(target: Any, task: str | None, jobs: int) -> Any:
    """An ensemble that is yet to be selected, of the kind that the target calls for."""
    from limbeck._core.targets import infer_task, read_target
    from limbeck.teachers import EnsembleSelection, EnsembleSelectionRegressor

    kind = task or infer_task(read_target(target))
    return (EnsembleSelection if kind == "classification" else EnsembleSelectionRegressor)(n_jobs=jobs)
