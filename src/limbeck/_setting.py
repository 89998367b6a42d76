"""What is fixed before the first student is fitted: rows read and held out, the teacher wrapped, students, seeds."""

from __future__ import annotations

import importlib.metadata
import numbers
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from limbeck._core.errors import InputError, LimbeckError, TeacherError, did_you_mean
from limbeck._core.images import image_shape
from limbeck._core.progress import Report
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.signals import is_signal
from limbeck._core.tables import Rows, Table
from limbeck._named_students import named_students
from limbeck._truth import Truth, read_truth, split_target
from limbeck.checks import DEFAULT_CHECKS, Case, Finding, Stability
from limbeck.queries import Munge
from limbeck.teachers import Teacher, as_teacher
from limbeck.teachers._estimator import is_unfitted

__all__ = ["NETWORKS", "Check", "Setting", "prepare"]

MIN_ROWS = 20
NETWORKS = {"dense": "the default network", "convolutional": "the convolutional network"}
"""The networks that are trained where no teacher is given, and what a person calls them."""


class Check(Protocol):
    """A reality check: a code, a title, and a call that gives a finding."""

    code: ClassVar[str]
    title: ClassVar[str]

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""


@dataclass(frozen=True)
class Setting:
    """Everything that is fixed before the first student is fitted."""

    teacher: Teacher
    train: Table
    held_out: Table
    answers: np.ndarray
    train_truth: np.ndarray | None
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


def prepare(
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
    random_state: RandomState,
    report: Report,
    network: str | None = None,
) -> tuple[Setting, dict[str, Any]]:
    """The setting and the record of the run: rows read and held out, the teacher wrapped and verified."""
    X, y, target_names = split_target(X, y)
    table = Table.read(X, names=names)
    _check_options(table, holdout, n_queries)
    parts = ("split", "teacher", "queries", "students", "checks", "refits", "selection")
    seeds = dict(zip(parts, draw_seeds(random_state, len(parts)), strict=True))
    truth = None if y is None else read_truth(y, len(table), task=task, classes=classes)
    train_index, held_index = split(len(table), holdout, truth, seeds["split"])
    train, held_out = table.take(train_index), table.take(held_index)
    network = _network(network, teacher, table)
    notes = _notes_on_teacher(network, y is not None)
    named = {} if network is None else {"name": NETWORKS[network]}
    if network is not None:
        teacher = _train_default(network, train, truth, train_index, seeds["teacher"], report)
    elif is_unfitted(teacher):
        teacher = _fitted(teacher, train, truth, train_index, seeds["teacher"], report)
        name = type(teacher).__name__
        notes = [f"{name} was fitted on the training rows of this run; held-out rows are new to it"]
        if getattr(teacher, "takes_table", False) and hasattr(teacher, "summary"):
            notes.append(f"{name}: {teacher.summary()}")
    wrapped = as_teacher(teacher, task, classes, rows=train, y=None if truth is None else truth.values)  # type: ignore[arg-type]
    truth_rows = None if truth is None else truth.of(wrapped.classes, wrapped.n_outputs)
    report("asking the teacher", 0, 1)
    setting = Setting(
        wrapped,
        train,
        held_out,
        wrapped(held_out),
        None if truth_rows is None else truth_rows[train_index],
        None if truth_rows is None else truth_rows[held_index],
        _output_names(wrapped, target_names),
        queries if queries is not None else Munge(),
        n_queries if n_queries is not None else int(np.clip(len(train), 5_000, 20_000)),
        named_students(
            students, wrapped.classes is not None, seeds["students"], images=image_shape(table.schema) is not None
        ),
        tuple(DEFAULT_CHECKS if checks is None else checks),
        seeds,
    )
    return setting, {**_record(setting, table, random_state, notes, target_names), "teacher": named}


def _check_options(table: Table, holdout: float, n_queries: int | None) -> None:
    if len(table) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required; got {len(table)}")
    if not 0.0 < holdout < 1.0:
        raise InputError(f"holdout is a share of the rows between 0 and 1; got {holdout!r}")
    if n_queries is not None and (not isinstance(n_queries, numbers.Integral) or int(n_queries) < 0):
        raise InputError(f"n_queries is a whole number of at least 0; got {n_queries!r}")


def _network(network: str | None, teacher: Any, table: Table) -> str | None:
    """Which network is trained: the one that is asked for, or by the columns; None where a teacher is given."""
    if network is not None and network not in NETWORKS:
        known = " or ".join(map(repr, NETWORKS))
        raise InputError(f"network must be {known}; got {network!r:.60}.{did_you_mean(str(network), NETWORKS)}")
    if network is not None and teacher is not None:
        raise InputError(
            f"network={network!r} says which network is trained, but a teacher is given, or trained with a penalty. "
            "Leave out one of the two"
        )
    if teacher is not None:
        return None
    return network or ("convolutional" if is_signal(table.schema) else "dense")


def _notes_on_teacher(network: str | None, has_truth: bool) -> list[str]:
    if network is not None:
        kind = "default" if network == "dense" else network
        return [f"no teacher was given: a {kind} network was trained on the training rows"]
    if has_truth:
        return ["if the teacher was trained on these rows, its accuracy on the truth is flattered; fidelity is not"]
    return []


def _output_names(teacher: Teacher, target_names: Sequence[str] | None) -> tuple[str, ...]:
    names, k = teacher.classes_text or target_names, teacher.n_outputs
    if names is None or len(names) != k:
        return ("prediction",) if k == 1 else tuple(f"prediction_{o}" for o in range(k))
    return tuple(names)


def split(n: int, holdout: float, truth: Truth | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and held-out rows; every class in both where there are enough of it."""
    from sklearn.model_selection import train_test_split

    labels = None if truth is None else truth.strata()
    if labels is not None:
        counts = np.unique(labels, return_counts=True)[1]
        if counts.min() < 2 or len(counts) > holdout * n:
            labels = None
    train, held = train_test_split(np.arange(n), test_size=holdout, random_state=seed, stratify=labels)
    return np.sort(train), np.sort(held)


def _train_default(
    network: str, train: Table, truth: Truth | None, index: np.ndarray, seed: int, report: Report
) -> Any:
    from limbeck.training import train_convolutional, train_default

    if truth is None:
        raise InputError("a teacher or y is required: give a model, or the true values to train a default network on")
    fit = train_convolutional if network == "convolutional" else train_default
    return fit(train, truth.values[index], truth.task, classes=truth.classes, random_state=seed, progress=report)


def _fitted(estimator: Any, train: Table, truth: Truth | None, index: np.ndarray, seed: int, report: Report) -> Any:
    """A copy of the estimator, fitted on the training rows."""
    from sklearn.base import clone

    name = type(estimator).__name__
    if truth is None:
        raise InputError(f"{name} is not fitted, and there is no y to fit it on; call fit(X, y) first, or give y")
    model = clone(estimator)
    given = model.get_params(deep=False)
    if given.get("random_state", 0) is None:
        model.set_params(random_state=seed)
    if given.get("progress", True) is False:
        model.set_params(progress=report)
    values = truth.values[index]
    rows = train if getattr(model, "takes_table", False) else train.native()
    report(f"fitting {name}", 0, 1)
    try:
        model.fit(rows, values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values)
    except LimbeckError:
        raise
    except Exception as error:
        raise TeacherError(f"{name} could not be fitted: {type(error).__name__}: {str(error)[:300]}") from error
    report(f"fitting {name}", 1, 1)
    return model.set_params(progress=False) if given.get("progress", True) is False else model


def _record(
    setting: Setting, table: Table, random_state: RandomState, notes: list[str], target_names: Sequence[str] | None
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
