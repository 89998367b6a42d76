"""Students by name: which families `distill` knows, and estimators of the right kind with a seed of their own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.seeds import draw_seeds

__all__ = ["DEFAULT_STUDENTS", "STUDENTS", "asks_by_itself", "named_students", "needs_teacher"]

STUDENTS: dict[str, tuple[str, str]] = {
    "tree": ("TreeRegressor", "TreeClassifier"),
    "trepan": ("TrepanRegressor", "TrepanClassifier"),
    "optimal_tree": ("OptimalTreeRegressor", "OptimalTreeClassifier"),
    "soft_tree": ("SoftTreeRegressor", "SoftTreeClassifier"),
    "rules": ("RuleListRegressor", "RuleListClassifier"),
    "rule_set": ("RuleSetRegressor", "RuleSetClassifier"),
    "formula": ("FormulaRegressor", "FormulaClassifier"),
    "network": ("NetworkRegressor", "NetworkClassifier"),
    "wavelet": ("AdaptiveWaveletRegressor", "AdaptiveWaveletClassifier"),
    "wavelet_fixed": ("AdaptiveWaveletRegressor", "AdaptiveWaveletClassifier"),
    "wavelet_tree": ("FixedWaveletRegressor", "FixedWaveletClassifier"),
    "wavelet_formula": ("FixedWaveletRegressor", "FixedWaveletClassifier"),
}
"""The families by name, and their estimators in regression and in classification."""

DEFAULT_STUDENTS = ("tree", "formula", "network")
"""What is fitted unless told otherwise."""


OPTIONS: dict[str, dict[str, Any]] = {
    "wavelet_fixed": {"max_steps": 0},
    "wavelet_tree": {"student": "tree"},
    "wavelet_formula": {"student": "formula"},
}
"""Options of families that are named: the controls of an adaptive wavelet, whose wavelet stays as it is."""

FOR_TABLES: dict[str, dict[str, Any]] = {"soft_tree": {"max_depth": 4, "l1": 3e-4}}
"""Options of families that are named, where the rows are no images: a tree of filters that a person can still read."""


def named_students(students: Any, is_classification: bool, seed: int, *, images: bool = False) -> dict[str, Any]:
    """Estimators by name, each with a seed of its own where it takes one; with `images`, as they are for images."""
    from limbeck import students as family

    if students is None:
        students = DEFAULT_STUDENTS
    if isinstance(students, str):
        students = [students]
    named = dict(students) if isinstance(students, Mapping) else {}
    for student in () if named else students:
        name = student if isinstance(student, str) else _own_name(student)
        named[name if name not in named else f"{name}_{len(named)}"] = student
    if not named:
        raise InputError("at least one student is required; got none")
    out: dict[str, Any] = {}
    for (name, student), own in zip(named.items(), draw_seeds(seed, len(named)), strict=True):
        if isinstance(student, str):
            if student not in STUDENTS:
                raise InputError(f"students are {sorted(STUDENTS)}; got {student!r}.{did_you_mean(student, STUDENTS)}")
            options = OPTIONS.get(student, {}) | ({} if images else FOR_TABLES.get(student, {}))
            student = getattr(family, STUDENTS[student][is_classification])(**options)
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


def _own_name(student: Any) -> str:
    """The name under which this estimator goes."""
    kind = type(student).__name__
    for name, kinds in sorted(STUDENTS.items(), key=lambda entry: entry[0] not in OPTIONS):
        options = OPTIONS.get(name, {}).items()
        if kind in kinds and all(getattr(student, key, None) == value for key, value in options):
            return name
    return kind.removesuffix("Regressor").removesuffix("Classifier").lower()


def asks_by_itself(student: Any) -> bool:
    """True where the student's ``fit`` takes an ``oracle``: it asks the teacher while it is fitted."""
    return "oracle" in inspect.signature(student.fit).parameters


def needs_teacher(student: Any) -> bool:
    """True where the student's ``fit`` takes the ``teacher``: it looks at its slopes at the rows that it is given."""
    return "teacher" in inspect.signature(student.fit).parameters
