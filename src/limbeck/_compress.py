"""Compression: a large teacher in, one small network out, as small or as fast as asked, with the bill for both.

Source
------
Bucila2006: queries by MUNGE, p and s tuned for the problem, the teacher's answers, one small network.

Departures
----------
- A fifth of the training rows (at most 5,000) is kept out of MUNGE and of the fit: p and s, early stopping and the
  width are decided there, by the teacher's answers. Held-out rows decide nothing.
- The width is the smallest that is as good as the best (see `NetworkClassifier`), within the budget where there is one.
- The student is not distilled again on resamples, so RC004 is not judged.

Cost
----
The teacher is asked the queries, six times `TUNING_QUERIES` rows where p and s are chosen, and what the checks ask; the
network is fitted once a width. The plan that is reported first says how much.
"""

from __future__ import annotations

import datetime
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._budget import Budget, read_budget
from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.measuring import median_seconds
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.storage import write_file
from limbeck._core.tables import Rows, Table
from limbeck._finish import finish
from limbeck._result import Alternative, Distillation
from limbeck._rounds import Fitted, Round
from limbeck._setting import Check, Setting, prepare
from limbeck.checks import Fidelity, ShiftedRows, WorstCase
from limbeck.queries import Answers, Mixture, Munge, Unlabelled, ask, stream, tune_munge
from limbeck.readable import Layer, NetworkReadable
from limbeck.readable._network import design_inputs
from limbeck.students import NetworkClassifier, NetworkRegressor
from limbeck.students._network_fit import DEPTH, WIDTHS, batch_size

__all__ = ["compress"]

STEPS = 10_000
"""About so many steps a fit."""
TUNING_QUERIES = 5_000
PS, SS = (0.2, 0.5), (1.0, 3.0, 10.0)
FEW_TO_TUNE = 200
"""With fewer validation rows, p and s are those of `Munge` itself: so few rows could not tell them apart."""
MOST_VALIDATION = 5_000
OWN_SHARE = 0.1
"""What the rows of the data weigh, of all."""


def compress(
    teacher: Any,
    X: Rows,
    y: Any = None,
    *,
    budget: Any = None,
    quantize: str | None = None,
    prune: float = 0.0,
    queries: Any = None,
    n_queries: int | None = None,
    unlabelled: Rows | None = None,
    answers: str | Path | None = None,
    checks: Sequence[Check] | None = None,
    names: Sequence[str] | None = None,
    task: str | None = None,
    classes: Sequence[Any] | None = None,
    holdout: float = 0.25,
    max_epochs: int | None = None,
    bill: bool = True,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> Distillation:
    """A small network that stands for a large teacher, judged like every student, with the bill for both.

    Parameters
    ----------
    teacher : Teacher, model, callable, path, or None
        Anything that `as_teacher` takes; see `limbeck.distill` for this and for what is not said here.
    X : rows
        ``(n, d)``; at least 20 rows.
    budget : str or int, optional
        The most that the student may take: a size on disk (``"300KB"``, or a number of bytes), or the time for one row
        (``"50us"``), by NumPy on this machine. Where absent the smallest network is taken that is as good as the best.
    quantize : {"int8"} or None
        8-bit weights.
    prune : float
        The share of the weights that become 0.
    queries : query source, optional
        Where absent, `Munge`, with p and s chosen on rows that are kept out.
    n_queries : int, optional
        Where absent, 25 times the training rows, but at least 10,000 and at most 100,000.
    unlabelled : rows, optional
        Real rows without labels; they come first among the queries, and MUNGE fills up.
    answers : path, optional
        A folder where the teacher's answers are kept as Parquet files: no row is asked twice, a run that was killed
        goes on there, and `limbeck.queries.read_answers` gives them to the next student.
    max_epochs : int, optional
        Passes over the queries; where absent, so many that there are about 10,000 steps.
    bill : bool
        Measure size, speed and memory of both.

    Returns
    -------
    Distillation
        With one candidate, ``"network"``; its `alternatives` are the other widths. After Ctrl-C while it is fitted, the
        widths that were done. Ctrl-C while the teacher is asked raises: with `answers` nothing is lost.

    Raises
    ------
    InputError
        For rows, a target or an option that can't be used, and a budget that no network meets.
    TeacherError
        Where the teacher raises, is random, or answers with NaN.
    StorageError
        Where `answers` holds those of another teacher, or of other queries.

    Examples
    --------
    >>> import numpy as np, limbeck
    >>> X = np.random.default_rng(0).uniform(size=(120, 2))
    >>> result = limbeck.compress(
    ...     lambda X: X[:, 0] * X[:, 1], X, budget="2KB", n_queries=1_000, max_epochs=5, checks=(), bill=False,
    ...     random_state=0,
    ... )
    >>> len(limbeck.readable.pack(result["network"].readable)) <= 2_000
    True
    """
    wanted = read_budget(budget)
    with reporting(progress) as report:
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        setting, record = prepare(
            teacher,
            X,
            y,
            names=names,
            task=task,
            classes=classes,
            holdout=holdout,
            queries=queries,
            n_queries=n_queries,
            students=["network"],
            checks=(Fidelity(), ShiftedRows(), WorstCase()) if checks is None else checks,
            random_state=random_state,
            report=report,
        )
        if n_queries is None:
            setting = replace(setting, n_queries=int(np.clip(25 * len(setting.train), 10_000, 100_000)))
        if setting.n_queries < 1:
            raise InputError("compression needs queries: n_queries must be at least 1; got 0")
        parts = _Parts.of(setting)
        report("asking the teacher", 1, 1)
        student = _student(setting, wanted, quantize, prune, max_epochs)
        report(_plan(setting, student, tunes=queries is None and len(parts.validation) >= FEW_TO_TUNE), 0, 0)
        folder = None if answers is None else Path(answers)
        if queries is None:
            setting = replace(setting, queries=_tuned(setting, parts, folder, n_jobs, report))
        asked = _ask(setting, parts, unlabelled, folder, report)
        if checks is None:
            record["notes"].append("stability (RC004) is not judged: the student is not distilled again on resamples")
        record["data"].update(query_rows=asked.rows, query_source=repr(setting.queries))
        record = {**record, "created": started, "compression": _described(wanted, asked, quantize, prune)}
        return _fit_and_finish(setting, record, parts, student, asked, report, bill=bill)


@dataclass(frozen=True)
class _Parts:
    """The training rows in two, those that are trained on and those that decide, with the teacher's answers."""

    own_index: np.ndarray
    own: Table
    validation: Table
    own_answers: np.ndarray
    validation_answers: np.ndarray
    answers: np.ndarray

    @classmethod
    def of(cls, setting: Setting) -> _Parts:
        """Rows that equal a validation row are not trained on."""
        n = len(setting.train)
        order = np.random.default_rng(setting.seeds["refits"]).permutation(n)
        held = np.sort(order[: min(MOST_VALIDATION, max(1, n // 5))])
        keys = row_keys(setting.train.values)
        own = np.flatnonzero(~np.isin(keys, keys[held]))
        if len(own) < 2:
            raise InputError("at least 2 different training rows are required; nearly all rows are equal")
        answers = setting.teacher(setting.train)
        take = setting.train.take
        return cls(own, take(own), take(held), answers[own], answers[held], answers)


def _student(setting: Setting, wanted: Budget, quantize: Any, prune: Any, max_epochs: int | None) -> Any:
    """The unfitted student, its widths those that are quick enough."""
    kind = NetworkClassifier if setting.is_classification else NetworkRegressor
    n = setting.n_queries + len(setting.train)
    batches = -(-n // batch_size(n))
    widths = WIDTHS if wanted.seconds is None else _quick_widths(setting, wanted.seconds)
    return kind(
        "auto",
        max_epochs=max_epochs if max_epochs is not None else int(np.clip(STEPS / batches, 4, 400)),
        learning_rate=0.02,
        weight_decay=0.01,
        embedding_dims="auto",
        prune=prune,
        quantize=quantize,
        max_bytes=wanted.bytes,
        widths=widths,
        random_state=setting.seeds["students"],
    )


def _quick_widths(setting: Setting, seconds: float) -> tuple[int, ...]:
    """The widths of which a network without content answers one row in time."""
    row, taken = setting.train.values[:1], dict[int, float]()
    inputs = design_inputs(setting.train.schema)
    for width in WIDTHS:
        sizes = (len(inputs), *(width,) * DEPTH, len(setting.names))
        layers = tuple(Layer(np.ones((a, b)), np.zeros(b)) for a, b in itertools.pairwise(sizes))
        blank = NetworkReadable(
            setting.train.schema,
            "classification" if setting.is_classification else "regression",
            setting.names,
            inputs,
            layers,
        )
        taken[width] = median_seconds(partial(_answer_one, blank, row), seconds=0.05)[0]
    quick = tuple(width for width, time_ in taken.items() if time_ <= seconds)
    if not quick:
        raise InputError(
            f"a network of {DEPTH} x {WIDTHS[0]} units takes {taken[WIDTHS[0]] * 1e6:.0f} us for one row here, "
            f"more than the budget of {seconds * 1e6:.3g} us; allow more, or export it to C and measure there"
        )
    return quick


def _answer_one(readable: NetworkReadable, row: np.ndarray, i: int) -> np.ndarray:
    return readable.predict_encoded(row)


def _plan(setting: Setting, student: Any, *, tunes: bool) -> str:
    """What is about to be done, and about how long it takes, by the teacher's measured speed and the student's word."""
    rows = setting.held_out.take(np.arange(min(len(setting.held_out), 1_000)))
    start = time.perf_counter()
    setting.teacher(rows)
    each = (time.perf_counter() - start) / len(rows)
    asked = setting.n_queries + (len(PS) * len(SS) * TUNING_QUERIES if tunes else 0)
    d = sum(max(1, len(column.levels)) for column in setting.train.schema.columns)
    fitting = student.expected_seconds(setting.n_queries + len(setting.train), d, setting.teacher.n_outputs)
    return (
        f"plan: ask the teacher {asked:,} rows (about {asked * each:.0f} s), fit networks of {len(student.widths)} "
        f"widths (about {fitting:.0f} s), then {len(setting.checks)} reality checks and the bill"
    )


def _tuned(setting: Setting, parts: _Parts, folder: Path | None, n_jobs: int | None, report: Report) -> Munge:
    """MUNGE with p and s chosen on the validation rows; a run that goes on takes what was chosen before."""
    if len(parts.validation) < FEW_TO_TUNE:
        report(f"p and s of MUNGE are not chosen: {len(parts.validation)} validation rows are too few", 0, 0)
        return Munge()
    rows = int(row_keys(parts.own.values).sum(dtype=np.uint64))
    key: dict[str, Any] = {"rows": rows, "seed": setting.seeds["queries"], "teacher": setting.teacher.name}
    kept = None if folder is None else folder.parent / f"{folder.name}.munge.json"
    if kept is not None and (found := _kept_choice(kept, key)) is not None:
        return found
    n = min(TUNING_QUERIES, setting.n_queries)
    munge, _ = tune_munge(
        parts.own,
        setting.teacher,
        parts.validation,
        n_queries=n,
        ps=PS,
        ss=SS,
        seed=setting.seeds["queries"],
        n_jobs=n_jobs,
        progress=report,
    )
    if kept is not None:
        write_file(kept, json.dumps({**key, "p": munge.p, "s": munge.s}))
    return munge


def _kept_choice(path: Path, key: dict[str, Any]) -> Munge | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Munge(found["p"], found["s"]) if {name: found[name] for name in key} == key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _ask(setting: Setting, parts: _Parts, unlabelled: Any, folder: Path | None, report: Report) -> Answers:
    source, m = setting.queries, setting.n_queries
    if unlabelled is not None:
        table = parts.own.with_values(parts.own.schema.encode(unlabelled))
        share = min(0.999, len(table) / m)
        source = Mixture((Unlabelled(table), source), (share, 1.0 - share)) if share >= 0.001 else source
    outside = setting.train.with_values(np.vstack([parts.validation.values, setting.held_out.values]))
    seed = draw_seeds(setting.seeds["queries"], 2)[1]
    queries = stream(source, parts.own, m, seed, exclude=outside)
    return ask(queries, setting.teacher, folder, progress=report)


def _described(wanted: Budget, asked: Answers, quantize: Any, prune: float) -> dict[str, Any]:
    return {
        "budget_bytes": wanted.bytes,
        "budget_seconds": wanted.seconds,
        "quantize": quantize,
        "prune": float(prune),
        "queries": asked.rows,
        "asked": asked.asked,
        "reused": asked.reused,
        "repeated": asked.repeated,
    }


def _fit_and_finish(
    setting: Setting,
    record: dict[str, Any],
    parts: _Parts,
    student: Any,
    asked: Answers,
    report: Report,
    *,
    bill: bool,
) -> Distillation:
    weights = np.full(len(parts.own), max(1.0, OWN_SHARE * asked.rows / len(parts.own)))
    classes = None if setting.teacher.classes is None else list(setting.teacher.classes)
    more: dict[str, Any] = {"stream": asked, "validation": (parts.validation, parts.validation_answers)}
    start = time.perf_counter()
    if classes is None:
        student.fit(parts.own, parts.own_answers, sample_weight=weights, progress=report, **more)
    else:
        soft = {"y_soft": parts.own_answers, "classes": classes}
        student.fit(parts.own, None, sample_weight=weights, progress=report, **soft, **more)
    seconds = time.perf_counter() - start
    named = replace(student.readable_, output_names=setting.names)
    others = tuple(
        Alternative(member.complexity, float(member.score), replace(member.readable, output_names=setting.names))
        for member in student.front_
    )
    one = Fitted(student, named, others, seconds)
    whole = np.arange(len(setting.train))
    # The second round's rows are those trained on: what is outside it validates every width
    rounds = [
        Round(index, setting.train.take(index), parts.answers[index], np.ones(len(index)))
        for index in (whole, parts.own_index)
    ]
    fitted = {("network", 0): one, ("network", 1): one}
    return finish(setting, record, rounds, fitted, report, complete=student.complete_, bill=bill)
