"""The main path: a trained model and rows in, readable models with verdicts out.

Hold out rows before anything is synthesised; ask the teacher; fit every student on its answers; judge what is read, not
what was fitted, on the held-out rows.

Source
------
Bucila2006 (queries and compression), Craven1996 (a surrogate is judged by its fidelity).

Departures
----------
The rows of the data weigh at least as much as all queries together (a tree of 32 leaves on Concrete gains about .01 of
fidelity by it). Stability refits resample the training rows, and draw and ask new queries, so that the whole
distillation is repeated.

Cost
----
The teacher is asked (training rows + queries) x (1 + refits) rows and held-out rows, twice a few for verification, and
by the checks; the plan that is reported first says how much.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import numbers
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from limbeck._core.errors import InputError, LimbeckError, did_you_mean
from limbeck._core.parallel import run_tasks
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Table
from limbeck._result import Alternative, Candidate, Distillation
from limbeck._truth import Truth, read_truth, split_target
from limbeck.checks import DEFAULT_CHECKS, Case, Fidelity, Finding, Stability
from limbeck.checks._fidelity import compare
from limbeck.queries import Munge
from limbeck.readable import Readable
from limbeck.teachers import Teacher, as_teacher

__all__ = ["STUDENTS", "Check", "distill"]

STUDENTS: dict[str, tuple[str, str]] = {
    "tree": ("TreeRegressor", "TreeClassifier"),
    "formula": ("FormulaRegressor", "FormulaClassifier"),
    "network": ("NetworkRegressor", "NetworkClassifier"),
}
"""The families that `distill` fits unless told otherwise, and their estimators."""


class Check(Protocol):
    """A reality check: a code, a title, and a call that gives a finding."""

    code: ClassVar[str]
    title: ClassVar[str]

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""


_Labelled = tuple[Table, np.ndarray, np.ndarray]
"""Rows, the teacher's answers on them, and weights."""

MIN_ROWS = 20
STORED_ROWS = 1_000
SELECTION_ROWS = 1_000
CHECK_ROWS = 7_000
"""About how many rows the default checks ask of the teacher, a student."""


@dataclass(frozen=True)
class _Setting:
    """Everything that is fixed before the first student is fitted."""

    teacher: Teacher
    train: Table
    held_out: Table
    answers: np.ndarray
    truth: np.ndarray | None
    names: tuple[str, ...]
    queries: Any
    n_queries: int
    students: dict[str, Any]
    checks: tuple[Check, ...]
    seeds: dict[str, int]

    @property
    def is_classification(self) -> bool:
        return self.teacher.classes is not None

    @property
    def n_refits(self) -> int:
        return max((check.n_refits for check in self.checks if isinstance(check, Stability)), default=0)


@dataclass(frozen=True)
class _Fitted:
    """What comes back from the process that fitted a student."""

    student: Any
    readable: Readable
    alternatives: tuple[Alternative, ...]
    seconds: float


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
        ``"tree"``, ``"formula"``, ``"network"`` (all, where absent), or scikit-learn estimators with `readable_`.
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
        setting, record = _prepare(
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
            budget_s=budget_s,
            random_state=random_state,
            n_jobs=n_jobs,
            report=report,
        )
        return _run(setting, {**record, "created": started}, n_jobs, report)


def _prepare(
    teacher: Any,
    X: Rows,
    y: Any,
    *,
    names: Sequence[str] | None,
    task: str | None,
    classes: Sequence[Any] | None,
    holdout: float,
    queries: Any,
    n_queries: int | None,
    students: Any,
    checks: Sequence[Check] | None,
    budget_s: float | None,
    random_state: RandomState,
    n_jobs: int | None,
    report: Report,
) -> tuple[_Setting, dict[str, Any]]:
    """The setting and the record of the run: rows read and held out, the teacher wrapped and verified."""
    X, y, target_names = split_target(X, y)
    table = Table.read(X, names=names)
    if len(table) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required; got {len(table)}")
    if not 0.0 < holdout < 1.0:
        raise InputError(f"holdout is a share of the rows between 0 and 1; got {holdout!r}")
    parts = ("split", "teacher", "queries", "students", "checks", "refits", "selection")
    seeds = dict(zip(parts, draw_seeds(random_state, len(parts)), strict=True))
    if n_queries is not None and (not isinstance(n_queries, numbers.Integral) or int(n_queries) < 0):
        raise InputError(f"n_queries is a whole number of at least 0; got {n_queries!r}")
    truth = None if y is None else read_truth(y, len(table), task=task, classes=classes)
    train_index, held_index = _split(len(table), holdout, truth, seeds["split"])
    train, held_out = table.take(train_index), table.take(held_index)
    notes: list[str] = []
    is_default = teacher is None
    if is_default:
        teacher = _train_default(train, truth, train_index, seeds["teacher"], report)
        notes.append("no teacher was given: a default network was trained on the training rows")
    elif y is not None:
        notes.append(
            "if the teacher was trained on these rows, its accuracy on the truth is flattered; fidelity is not"
        )
    wrapped = _wrap(teacher, train, truth, task, classes)
    output_names = wrapped.classes_text or target_names
    k = wrapped.n_outputs
    if output_names is None or len(output_names) != k:
        output_names = ("prediction",) if k == 1 else tuple(f"prediction_{o}" for o in range(k))
    truth_rows = None if truth is None else truth.of(wrapped.classes, k)
    report("asking the teacher", 0, 1)
    answers = wrapped(held_out)
    count = n_queries if n_queries is not None else int(np.clip(len(train), 5_000, 20_000))
    chosen = _resolve_students(students, wrapped.classes is not None, seeds["students"])
    setting = _Setting(
        wrapped,
        train,
        held_out,
        answers,
        None if truth_rows is None else truth_rows[held_index],
        tuple(output_names or ()),
        queries if queries is not None else Munge(),
        count,
        chosen,
        tuple(DEFAULT_CHECKS if checks is None else checks),
        seeds,
    )
    if budget_s is not None:
        _spread_budget(setting, budget_s, n_jobs)
    report(_plan(setting, n_jobs), 0, 0)
    record = _record(setting, table, random_state, notes, target_names)
    return setting, {**record, "teacher": {"name": "the default network"} if is_default else {}}


def _split(n: int, holdout: float, truth: Truth | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and held-out rows; every class in both where there are enough of it."""
    from sklearn.model_selection import train_test_split

    labels = None if truth is None else truth.strata()
    if labels is not None:
        counts = np.unique(labels, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > holdout * n:
            labels = None
    train, held = train_test_split(np.arange(n), test_size=holdout, random_state=seed, stratify=labels)
    return np.sort(train), np.sort(held)


def _train_default(train: Table, truth: Truth | None, index: np.ndarray, seed: int, report: Report) -> Any:
    from limbeck.training import train_default

    if truth is None:
        raise InputError("a teacher or y is required: give a model, or the true values to train a default network on")
    return train_default(
        train, truth.values[index], truth.task, classes=truth.classes, random_state=seed, progress=report
    )


def _wrap(teacher: Any, train: Table, truth: Truth | None, task: str | None, classes: Sequence[Any] | None) -> Teacher:
    y = None if truth is None else truth.values
    return as_teacher(teacher, task, classes, rows=train, y=y)  # type: ignore[arg-type]


def _resolve_students(students: Any, is_classification: bool, seed: int) -> dict[str, Any]:
    """Estimators by name, each with a seed of its own where it takes one."""
    from limbeck import students as family

    if students is None:
        students = list(STUDENTS)
    if isinstance(students, str):
        students = [students]
    named = dict(students) if isinstance(students, Mapping) else {}
    for student in () if named else students:
        name = student if isinstance(student, str) else type(student).__name__
        for suffix in ("Regressor", "Classifier"):
            name = name.removesuffix(suffix)
        name = name.lower()
        named[name if name not in named else f"{name}_{len(named)}"] = student
    if not named:
        raise InputError("at least one student is required; got none")
    out: dict[str, Any] = {}
    for (name, student), own in zip(named.items(), draw_seeds(seed, len(named)), strict=True):
        if isinstance(student, str):
            if student not in STUDENTS:
                raise InputError(f"students are {sorted(STUDENTS)}; got {student!r}.{did_you_mean(student, STUDENTS)}")
            student = getattr(family, STUDENTS[student][is_classification])()
        out[name] = _seeded(student, own)
    return out


def _seeded(student: Any, seed: int) -> Any:
    from sklearn.base import clone

    if not hasattr(student, "get_params") or not hasattr(student, "fit"):
        raise InputError(
            f"a student is a name or a scikit-learn estimator with readable_; got {type(student).__name__}"
        )
    student = clone(student)
    if "random_state" in student.get_params() and student.get_params()["random_state"] is None:
        student.set_params(random_state=seed)
    return student


def _spread_budget(setting: _Setting, budget_s: float, n_jobs: int | None) -> None:
    """Give the students that take seconds their share of the budget."""
    from joblib import effective_n_jobs

    if budget_s <= 0:
        raise InputError(f"a budget is a number of seconds above 0; got {budget_s!r}")
    timed = [student for student in setting.students.values() if "budget_s" in student.get_params()]
    for student in timed:
        rounds = 1 + setting.n_refits
        student.set_params(budget_s=0.6 * budget_s * effective_n_jobs(n_jobs) / (rounds * len(timed)))


def _plan(setting: _Setting, n_jobs: int | None) -> str:
    """What is about to be done, and about how long it takes: by the teacher's measured speed and the students' word."""
    from joblib import effective_n_jobs

    rounds = 1 + setting.n_refits
    asked = rounds * (len(setting.train) + setting.n_queries) + len(setting.students) * CHECK_ROWS
    asking = asked * _seconds_a_row(setting)
    n, k = len(setting.train) + setting.n_queries, setting.teacher.n_outputs
    d = sum(max(1, len(column.levels)) for column in setting.train.schema.columns)
    fitting = 0.0
    for student in setting.students.values():
        expect = getattr(student, "expected_seconds", None)
        fitting += rounds * (expect(n, d, k) if callable(expect) else 0.0)
    fitting /= min(effective_n_jobs(n_jobs), rounds * len(setting.students))
    return (
        f"plan: ask the teacher {asked:,} rows (about {asking:.0f} s), fit {', '.join(setting.students)} {rounds} times"
        f" (about {fitting:.0f} s), then {len(setting.checks)} reality checks"
    )


def _seconds_a_row(setting: _Setting) -> float:
    rows = setting.held_out.take(np.arange(min(len(setting.held_out), 1_000)))
    start = time.perf_counter()
    setting.teacher(rows)
    return (time.perf_counter() - start) / len(rows)


def _record(
    setting: _Setting, table: Table, random_state: RandomState, notes: list[str], target_names: Sequence[str] | None
) -> dict[str, Any]:
    train = setting.train.values
    low, middle, high = np.quantile(train, [0.01, 0.5, 0.99], axis=0, method="nearest")
    for j, column in enumerate(table.schema.columns):
        if column.levels:
            middle[j] = np.bincount(train[:, j].astype(np.int64)).argmax()
    return {
        "task": setting.teacher.task,
        "output_names": list(setting.names),
        "target_names": list(target_names or ()),
        "schema": table.schema.to_dict(),
        "seed": random_state if isinstance(random_state, int) else None,
        "versions": _versions(),
        "data": {
            "name": None,
            "rows": len(table),
            "train_rows": len(setting.train),
            "held_out_rows": len(setting.held_out),
            "query_rows": setting.n_queries,
            "query_source": repr(setting.queries),
            "has_truth": setting.truth is not None,
        },
        "columns": [
            {"low": float(a), "middle": float(b), "high": float(c)} for a, b, c in zip(low, middle, high, strict=True)
        ],
        "notes": notes,
    }


def _versions() -> dict[str, str]:
    out = {"python": platform.python_version()}
    for name in ("limbeck", "numpy", "scikit-learn", "torch", "sympy", "pyoperon"):
        try:
            out[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return out


def _run(setting: _Setting, record: dict[str, Any], n_jobs: int | None, report: Report) -> Distillation:
    """Ask, fit, judge; after Ctrl-C, what was done by then."""
    fitted: dict[tuple[str, int], Any] = {}
    findings: dict[str, list[Finding]] = {}
    complete = True
    try:
        data = list(_labelled(setting, report))
        for key, result in _fit_all(setting, data, n_jobs, report):
            fitted[key] = result
        _judge_all(setting, fitted, findings, report)
    except KeyboardInterrupt:
        complete = False
        _judge_quickly(setting, fitted, findings)
    selection = _selection_rows(setting) if complete else None
    candidates = []
    for name in setting.students:
        result = fitted.get((name, 0))
        if isinstance(result, _Fitted):
            candidates.append(_candidate(name, result, tuple(findings.get(name, ())), setting, selection))
        else:
            why = "was not reached" if result is None else f"failed: {result.kind}: {result.message}"
            record["notes"].append(f"student {name!r} {why}")
    if not candidates and complete:
        raise LimbeckError("every student failed. " + " ".join(n for n in record["notes"] if n.startswith("student")))
    record = {**record, "complete": complete, "teacher": {**setting.teacher.to_dict(), **record["teacher"]}}
    return Distillation(tuple(candidates), record, _arrays(setting, candidates))


def _labelled(setting: _Setting, report: Report) -> Iterator[_Labelled]:
    """Rows and the teacher's answers: first on the training rows, then once a refit on a bootstrap resample of them."""
    seeds = draw_seeds(setting.seeds["queries"], 1 + setting.n_refits)
    for i, seed in enumerate(seeds):
        generator = np.random.default_rng(seed)
        rows = base = setting.train
        if i:
            index = generator.integers(len(rows), size=len(rows))
            rows, base = rows.take(index), rows.take(np.unique(index))
        if setting.n_queries:
            # From the distinct rows: a row's closest other row would else be its own copy
            extra = setting.queries.sample(base, setting.n_queries, seed, exclude=setting.held_out)
            rows = rows.with_values(np.vstack([rows.values, extra.values]))
        yield rows, setting.teacher(rows), _weights(len(setting.train), setting.n_queries)
        report("asking the teacher", i + 1, len(seeds))


def _fit_all(
    setting: _Setting, data: list[_Labelled], n_jobs: int | None, report: Report
) -> Iterator[tuple[tuple[str, int], Any]]:
    """Every student on every labelled set, the first set first: pairs of (name, set) and what came of it."""
    keys = [(name, i) for i in range(len(data)) for name in setting.students]
    classes = None if setting.teacher.classes is None else list(setting.teacher.classes)
    tasks = [(setting.students[name], *data[i], classes, setting.names) for name, i in keys]
    report("fitting students", 0, len(tasks))
    for done, (position, result) in enumerate(run_tasks(_fit, tasks, n_jobs=n_jobs), start=1):
        report("fitting students", done, len(tasks))
        yield keys[position], result


def _weights(n_rows: int, n_queries: int) -> np.ndarray:
    """Weights that give the rows of the data at least half of the whole: there the student is judged and used."""
    return np.concatenate([np.full(n_rows, max(1.0, n_queries / n_rows)), np.ones(n_queries)])


def _fit(
    student: Any,
    rows: Table,
    answers: np.ndarray,
    weights: np.ndarray,
    classes: list[Any] | None,
    names: tuple[str, ...],
) -> _Fitted:
    """One student, fitted and frozen; runs in a process of its own."""
    from sklearn.base import clone
    from threadpoolctl import threadpool_limits

    student = clone(student)
    start = time.perf_counter()
    with threadpool_limits(1):  # so that the sums, and with them the answer, are the same in any number of processes
        if classes is None:
            student.fit(rows, answers[:, 0] if answers.shape[1] == 1 else answers, sample_weight=weights)
        else:
            labels = np.asarray(classes)[answers.argmax(axis=1)]
            student.fit(rows, labels, sample_weight=weights, y_soft=answers, classes=classes)
    seconds = time.perf_counter() - start
    named = replace(student.readable_, output_names=names)
    alternatives = tuple(
        Alternative(member.complexity, float(member.score), replace(member.readable, output_names=names))
        for member in getattr(student, "front_", ())
    )
    return _Fitted(student, named, alternatives, seconds)


def _case(setting: _Setting, name: str, fitted: Mapping[tuple[str, int], Any]) -> Case:
    refits = [fitted.get((name, i)) for i in range(1, 1 + setting.n_refits)]
    whole = all(isinstance(refit, _Fitted) for refit in refits)
    return Case(
        fitted[name, 0].readable,
        setting.teacher,
        setting.held_out,
        setting.answers,
        setting.truth,
        setting.train,
        [refit.readable for refit in refits] if whole and refits else None,  # type: ignore[union-attr]
        setting.seeds["checks"],
    )


def _judge_all(
    setting: _Setting, fitted: Mapping[tuple[str, int], Any], findings: dict[str, list[Finding]], report: Report
) -> None:
    names = [name for name in setting.students if isinstance(fitted.get((name, 0)), _Fitted)]
    total = len(names) * len(setting.checks)
    for i, name in enumerate(names):
        case = _case(setting, name, fitted)
        findings[name] = []
        for j, check in enumerate(setting.checks):
            findings[name].append(_checked(check, case))
            report("reality checks", i * len(setting.checks) + j + 1, total)


def _checked(check: Check, case: Case) -> Finding:
    """The finding; where the check can't be run (the teacher refuses its rows, say), that is the finding."""
    try:
        return check(case)
    except LimbeckError as error:
        return Finding(check.code, "inconclusive", None, None, None, f"could not be run: {error}", check.title)


def _judge_quickly(
    setting: _Setting, fitted: Mapping[tuple[str, int], Any], findings: dict[str, list[Finding]]
) -> None:
    """After an interruption: the fidelity of every student that is done, which asks the teacher nothing."""
    for name in setting.students:
        if isinstance(fitted.get((name, 0)), _Fitted):
            case = _case(setting, name, fitted)
            done = {finding.code: finding for finding in findings.get(name, ())}
            findings[name] = [
                done[check.code] if check.code in done else check(case) if isinstance(check, Fidelity) else _cut(check)
                for check in setting.checks
            ]


def _cut(check: Check) -> Finding:
    return Finding(check.code, "inconclusive", None, None, None, "not run: the run was interrupted", check.title)


def _selection_rows(setting: _Setting) -> tuple[Table, np.ndarray]:
    """Fresh queries and the answers on them, for `Distillation.best`: no student was fitted on them."""
    rows = setting.queries.sample(setting.train, SELECTION_ROWS, setting.seeds["selection"], exclude=setting.held_out)
    return rows, setting.teacher(rows)


def _candidate(
    name: str,
    fitted: _Fitted,
    findings: tuple[Finding, ...],
    setting: _Setting,
    selection: tuple[Table, np.ndarray] | None,
) -> Candidate:
    score = None
    if selection is not None:
        rows, answers = selection
        student = fitted.readable.predict_encoded(rows.values)
        score = compare(answers, student, setting.is_classification, 0.0, setting.seeds["selection"]).value
    return Candidate(name, fitted.readable, findings, fitted.seconds, fitted.student, fitted.alternatives, score)


def _arrays(setting: _Setting, candidates: Sequence[Candidate]) -> dict[str, np.ndarray]:
    rows = setting.held_out.values[:STORED_ROWS]
    out = {"X": rows, "teacher": setting.answers[:STORED_ROWS]}
    if setting.truth is not None:
        out["truth"] = np.asarray(setting.truth[:STORED_ROWS], dtype=np.float64)
    for candidate in candidates:
        out[f"student/{candidate.name}"] = candidate.readable.predict_encoded(rows)
    return out
