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
from typing import Any

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows
from limbeck._core.targets import infer_task, read_target
from limbeck._finish import finish
from limbeck._named_students import STUDENTS
from limbeck._plan import plan, spread_budget
from limbeck._result import Distillation
from limbeck._rounds import Round, fit_all, labelled
from limbeck._setting import Check, Setting, prepare
from limbeck._truth import split_target

__all__ = ["STUDENTS", "Check", "distill"]


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
    bill: bool = False,
    smooth: str | None = None,
    network: str | None = None,
    random_state: RandomState = None,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> Distillation:
    """Readable models of a teacher, with what each costs to read, how faithful it is, and verdicts that can fail.

    Parameters
    ----------
    teacher : Teacher, model, callable, path, or None
        Anything that `as_teacher` takes. With None, a default network is trained on the rows and `y`; an estimator
        that is not fitted yet is fitted on the training rows (`limbeck.teachers.EnsembleSelection()`, for instance).
    X : rows
        ``(n, d)``: an array, a pandas, Polars or Arrow frame, or a CSV or Parquet path; at least 20 rows.
    y : array, or name(s) of columns of `X`, optional
        What is true. Needed where there is no teacher; else it only lets the report show accuracy on the truth.
    students : sequence of str or estimators, or mapping of names to them, optional
        Names (``"tree"``, ``"trepan"``, ``"optimal_tree"``, ``"soft_tree"``, ``"rules"``, ``"rule_set"``,
        ``"formula"``, ``"network"``, ``"wavelet"``; on a wavelet that stays as it is ``"wavelet_fixed"``,
        ``"wavelet_tree"``, ``"wavelet_formula"``), or scikit-learn estimators with `readable_`; tree, formula and
        network where absent. One whose ``fit`` takes an ``oracle`` asks the teacher by itself; one whose ``fit`` takes
        the ``teacher`` looks at its slopes at the rows that it is given.
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
    bill : bool
        Also measure what teacher and students cost to run: bytes, speed, memory (some seconds a model).
    smooth : {"jacobian", "lipschitz"}, optional
        Where a default network is trained: with a penalty on its slope, whose strength is chosen by the network's loss
        on a fifth of the training rows (`limbeck.teachers.SmoothTeacher`). Not with a teacher: that is trained already.
    network : {"dense", "convolutional"}, optional
        Which network is trained where there is no teacher. Where absent: a convolutional one for signals - columns of
        numbers that are called ``t0, t1, ...``, in order - and else a dense one.
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
        if smooth is not None:
            teacher = _smooth_teacher(smooth, teacher, X, y, task, classes)
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
            network=network,
        )
        if smooth is not None:
            record = {**record, "teacher": {"name": "the smooth network"}}
        if budget_s is not None:
            spread_budget(setting, budget_s, n_jobs)
        report(plan(setting, n_jobs), 0, 0)
        return _run(setting, {**record, "created": started}, n_jobs, report, bill=bill)


def _smooth_teacher(penalty: str, teacher: Any, X: Rows, y: Any, task: str | None, classes: Any) -> Any:
    """A network that is not trained yet; `prepare` trains it on the training rows."""
    from limbeck.teachers import SmoothTeacher, SmoothTeacherClassifier

    known = ("jacobian", "lipschitz")
    if penalty not in known:
        hint = did_you_mean(str(penalty), known)
        raise InputError(f"smooth must be 'jacobian' or 'lipschitz'; got {penalty!r:.60}.{hint}")
    if teacher is not None:
        raise InputError(
            f"smooth={penalty!r} trains a network of its own, but a teacher was given, which is trained already. Leave "
            "out the teacher, or leave out smooth"
        )
    truth = split_target(X, y)[1]
    if truth is None:
        raise InputError(f"smooth={penalty!r} trains a network, which needs y: the true values")
    if (task or ("classification" if classes is not None else infer_task(read_target(truth)))) == "regression":
        return SmoothTeacher(penalty, "auto")  # type: ignore[arg-type]
    return SmoothTeacherClassifier(penalty, "auto", classes=classes)  # type: ignore[arg-type]


def _run(setting: Setting, record: dict[str, Any], n_jobs: int | None, report: Report, *, bill: bool) -> Distillation:
    """Ask, fit, judge, measure every size; after Ctrl-C, what was done by then."""
    rounds: list[Round] = []
    fitted: dict[tuple[str, int], Any] = {}
    complete = True
    try:
        rounds.extend(labelled(setting, report))
        for key, result in fit_all(setting, rounds, n_jobs, report, record["notes"]):
            fitted[key] = result
    except KeyboardInterrupt:
        complete = False
    return finish(setting, record, rounds, fitted, report, complete=complete, bill=bill)
