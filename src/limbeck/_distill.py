"""The main path: a trained model and rows in, readable models with verdicts out.

Hold out rows before anything is synthesised; ask the teacher; fit every student on its answers; judge what is read, not
what was fitted, on the held-out rows.

Source
------
Bucila2006 (queries and compression), Craven1996 (a surrogate is judged by its fidelity).

Cost
----
The teacher is asked (training rows + queries) x (1 + refits) rows and held-out rows, twice a few for verification, and
by the checks; the plan that is reported first says how much.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from limbeck._core.errors import LimbeckError
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck._curves import measure_curves, note_on_curves
from limbeck._judging import judge_all, judge_quickly, selection_rows
from limbeck._named_students import STUDENTS
from limbeck._plan import plan, spread_budget
from limbeck._result import Candidate, Distillation
from limbeck._rounds import Fitted, Round, fit_all, labelled
from limbeck._setting import Check, Setting, prepare
from limbeck.checks import Finding
from limbeck.checks._fidelity import compare

__all__ = ["STUDENTS", "Check", "distill"]

STORED_ROWS = 1_000
FEW_ROWS = 1_000
"""The rows of each part on which every size is measured after an interruption."""


def distill(
    teacher: Any,
    X: Rows,
    y: Any = None,
    *,
    students: Any = None,
    queries: Any = None,
    n_queries: int | None = None,
    checks: Sequence[Check] | None = None,
    names: Sequence[str] | None = None,
    task: str | None = None,
    classes: Sequence[Any] | None = None,
    holdout: float = 0.25,
    budget_s: float | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> Distillation:
    """Readable models of a teacher, with what each costs to read, how faithful it is, and verdicts that can fail.

    Parameters
    ----------
    teacher : Teacher, model, callable, path, or None
        Anything that `as_teacher` takes. With None, a default network is trained on the rows and `y`.
    X : rows
        ``(n, d)``: an array, a pandas, Polars or Arrow frame, or a CSV or Parquet path; at least 20 rows.
    y : array, or name(s) of columns of `X`, optional
        What is true. Needed where there is no teacher; else it only lets the report show accuracy on the truth.
    students : sequence of str or estimators, or mapping of names to them, optional
        Names (``"tree"``, ``"trepan"``, ``"optimal_tree"``, ``"soft_tree"``, ``"rules"``, ``"rule_set"``,
        ``"formula"``, ``"network"``), or scikit-learn estimators with `readable_`; tree, formula and network where
        absent. One whose ``fit`` takes an ``oracle`` asks the teacher by itself.
    queries : query source, optional
        `limbeck.queries.Munge()` where absent.
    n_queries : int, optional
        Synthetic rows to ask; where absent, as many as rows but at least 5,000 and at most 20,000.
    checks : sequence of checks, optional
        ``limbeck.checks.DEFAULT_CHECKS`` where absent.
    names : sequence of str, optional
        Column names for an array.
    task, classes
        For a teacher that does not say them: ``"regression"`` or ``"classification"``, and its labels in order.
    holdout : float
        The share of rows held out before any synthesis.
    budget_s : float, optional
        Seconds the students may take together; they are then no longer repeatable to the last digit.
    random_state : int, Generator or None
        The same seed gives the same answer, whatever `n_jobs`.
    n_jobs : int, optional
        Processes; None defers to ``joblib.parallel_config``.
    progress : bool or callable
        True draws bars; a callable is called with (what, done, total).

    Returns
    -------
    Distillation
        After Ctrl-C, what was done by then, with ``complete`` False.

    Raises
    ------
    InputError
        For rows, a target or an option that can't be used.
    TeacherError
        Where the teacher raises, is random, or answers with NaN.

    Examples
    --------
    >>> import numpy as np, limbeck
    >>> X = np.random.default_rng(0).uniform(size=(300, 2))
    >>> step = lambda X: 3.0 * (X[:, 0] > 0.5)
    >>> result = limbeck.distill(step, X, task="regression", students=["tree"], random_state=0)
    >>> result.best().readable.n_leaves
    2
    """
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
            students=students,
            checks=checks,
            random_state=random_state,
            report=report,
        )
        if budget_s is not None:
            spread_budget(setting, budget_s, n_jobs)
        report(plan(setting, n_jobs), 0, 0)
        return _run(setting, {**record, "created": started}, n_jobs, report)


def _run(setting: Setting, record: dict[str, Any], n_jobs: int | None, report: Report) -> Distillation:
    """Ask, fit, judge, measure every size; after Ctrl-C, what was done by then."""
    rounds: list[Round] = []
    fitted: dict[tuple[str, int], Any] = {}
    findings: dict[str, list[Finding]] = {}
    notes: list[str] = record["notes"]
    complete = True
    try:
        rounds.extend(labelled(setting, report))
        for key, result in fit_all(setting, rounds, n_jobs, report, notes):
            fitted[key] = result
        judge_all(setting, fitted, findings, report)
        curves = measure_curves(setting, rounds, fitted, report)
    except KeyboardInterrupt:
        complete = False
        judge_quickly(setting, fitted, findings)
        curves = measure_curves(setting, rounds, fitted, report, most=FEW_ROWS)
    selection = selection_rows(setting) if complete else None
    candidates = []
    for name in setting.students:
        result = fitted.get((name, 0))
        if isinstance(result, Fitted):
            own = _candidate(name, result, tuple(findings.get(name, ())), setting, selection)
            candidates.append(replace(own, curve=curves.get(name, ())))
        else:
            why = "was not reached" if result is None else f"failed: {result.kind}: {result.message}"
            notes.append(f"student {name!r} {why}")
    if not candidates and complete:
        raise LimbeckError("every student failed. " + " ".join(n for n in notes if n.startswith("student")))
    notes += note_on_curves(curves, setting.n_refits)
    record = {**record, "complete": complete, "teacher": {**setting.teacher.to_dict(), **record["teacher"]}}
    return Distillation(tuple(candidates), record, _arrays(setting, candidates))


def _candidate(
    name: str,
    fitted: Fitted,
    findings: tuple[Finding, ...],
    setting: Setting,
    selection: tuple[Table, np.ndarray] | None,
) -> Candidate:
    score = None
    if selection is not None:
        rows, answers = selection
        student = fitted.readable.predict_encoded(rows.values)
        score = compare(answers, student, setting.is_classification, 0.0, setting.seeds["selection"]).value
    return Candidate(name, fitted.readable, findings, fitted.seconds, fitted.student, fitted.alternatives, score)


def _arrays(setting: Setting, candidates: Sequence[Candidate]) -> dict[str, np.ndarray]:
    rows = setting.held_out.values[:STORED_ROWS]
    out = {"X": rows, "teacher": setting.answers[:STORED_ROWS]}
    if setting.truth is not None:
        out["truth"] = np.asarray(setting.truth[:STORED_ROWS], dtype=np.float64)
    for candidate in candidates:
        out[f"student/{candidate.name}"] = candidate.readable.predict_encoded(rows)
    return out
