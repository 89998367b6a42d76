"""``limbeck distill``: a model and rows in, a run's folder and its report out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

__all__ = ["distill", "seconds"]


def distill(
    data: Data = "concrete",
    target: Target = None,
    teacher: TeacherModel = None,
    train: Train = False,
    students: Annotated[
        str,
        typer.Option(
            help="Which, with commas: tree, trepan, optimal_tree, soft_tree, rules, rule_set, formula, network, "
            "wavelet; on a wavelet that stays as it is: wavelet_fixed, wavelet_tree, wavelet_formula."
        ),
    ] = "tree,formula,network",
    out: Out = Path("runs/latest"),
    seed: Seed = 0,
    budget: Annotated[
        str | None, typer.Option(help="Time for the students together, such as 60s or 5m; the answer may then vary.")
    ] = None,
    queries: Annotated[int | None, typer.Option(help="How many synthetic rows to ask the teacher.", min=0)] = None,
    query_source: Annotated[
        str, typer.Option(help="Where they come from: munge, marginals, naive_bayes or shifts (of images).")
    ] = "munge",
    bill: Annotated[
        bool, typer.Option("--bill", help="Also measure what teacher and students cost to store and to ask.")
    ] = False,
    smooth: Annotated[
        str | None, typer.Option(help="Train the network with a penalty on its slope: jacobian or lipschitz.")
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            help="Which network is trained: dense or convolutional; by the columns where absent (t0, t1, ... are a "
            "signal)."
        ),
    ] = None,
    max_rows: MaxRows = None,
    task: Task = None,
    classes: Classes = None,
    drop: Drop = None,
    missing: Missing = "error",
    jobs: Jobs = -1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Distil a trained model into models that a person can read, and check how faithful each is."""
    from limbeck import distill as run
    from limbeck.cli._rows import read_rows, sampled

    rows = read_rows(data, target=names_in(target), drop=names_in(drop), missing=missing)
    if max_rows is not None:
        rows = sampled(rows, max_rows, seed)
    refuse_teacher(teacher, train, task, rows)
    result = run(
        teacher,
        rows.frame,
        rows.truth,
        students=names_in(students),
        queries=source_named(query_source),
        n_queries=queries,
        task=task or rows.task,
        classes=names_in(classes) or None,
        budget_s=None if budget is None else seconds(budget),
        bill=bill,
        smooth=smooth,
        network=network,
        random_state=seed,
        n_jobs=jobs,
        progress=not (quiet or as_json),
    )
    conclude(result, rows, out, as_json=as_json)


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
