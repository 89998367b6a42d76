"""Teachers: any trained model of any library becomes one frozen, counted, verified function."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.teachers._ensemble_selection import EnsembleSelection, EnsembleSelectionRegressor
    from limbeck.teachers._resolve import as_teacher
    from limbeck.teachers._smooth_selection import Selection
    from limbeck.teachers._smooth_teacher import SmoothTeacher, SmoothTeacherClassifier
    from limbeck.teachers._teacher import Teacher

__all__ = [
    "EnsembleSelection",
    "EnsembleSelectionRegressor",
    "Selection",
    "SmoothTeacher",
    "SmoothTeacherClassifier",
    "Teacher",
    "as_teacher",
]

_HOMES = {
    "EnsembleSelection": "_ensemble_selection",
    "EnsembleSelectionRegressor": "_ensemble_selection",
    "Selection": "_smooth_selection",
    "SmoothTeacher": "_smooth_teacher",
    "SmoothTeacherClassifier": "_smooth_teacher",
    "Teacher": "_teacher",
    "as_teacher": "_resolve",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.teachers.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.teachers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
