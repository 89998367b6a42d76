"""``limbeck compress``: a large model and rows in, one small network out, with the bill for both."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli._options import (
    AsJson,
    Classes,
    Data,
    Drop,
    Jobs,
    MaxRows,
    Missing,
    Out,
    Quiet,
    Seed,
    Target,
    Task,
    TeacherModel,
    Train,
)
from limbeck.cli._runs import conclude, names_in, refuse_teacher, source_named

__all__ = ["compress"]


def compress(
    data: Data = "concrete",
    target: Target = None,
    teacher: TeacherModel = None,
    train: Train = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Select an ensemble from about 60 models as the teacher (minutes).")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="The most it may take: a size such as 300KB, or the time for one row such as 50us."),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="8-bit weights.")] = False,
    prune: Annotated[float, typer.Option(help="The share of the weights that become 0.", min=0.0, max=0.99)] = 0.0,
    out: Out = Path("runs/latest"),
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
    seed: Seed = 0,
    max_rows: MaxRows = None,
    task: Task = None,
    classes: Classes = None,
    drop: Drop = None,
    missing: Missing = "error",
    jobs: Jobs = -1,
    as_json: AsJson = False,
    quiet: Quiet = False,
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
        _selected(rows.frame[rows.target[0]], task or rows.task, jobs) if ensemble else teacher,
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
