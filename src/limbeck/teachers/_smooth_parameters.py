"""The parameters of a smooth teacher, checked, and the strengths that it tries."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean

__all__ = ["AUTO", "read_parameters"]

AUTO = (0.0, 0.001, 0.01, 0.1)
"""The strengths that ``strength="auto"`` tries: 0 is the plain network."""

PENALTIES = ("none", "jacobian", "lipschitz")


def read_parameters(teacher: Any) -> tuple[float, ...]:
    """The strengths to try, once every parameter of a smooth teacher is right.

    Raises
    ------
    InputError
        Where one is not.
    """
    for name, known in (("penalty", PENALTIES), ("select_by", ("teacher", "student"))):
        value = getattr(teacher, name)
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise InputError(f"{name} must be one of {list(known)}; got {value!r:.60}.{hint}")
    for name, end in (("penalty_share", "at most"), ("validation", "below")):
        value = getattr(teacher, name)
        if not _is_number(value) or not 0 < value <= 1 or (value == 1 and end == "below"):
            raise InputError(f"{name} must be above 0 and {end} 1; got {value!r:.60}")
    widths = teacher.hidden
    if isinstance(widths, str) or not np.iterable(widths) or not all(_is_whole(width) for width in widths):
        raise InputError(f"hidden must be the widths of the hidden layers, such as (128, 128); got {widths!r:.60}")
    if teacher.max_epochs is not None and not _is_whole(teacher.max_epochs):
        raise InputError(f"max_epochs must be a whole number of at least 1, or None; got {teacher.max_epochs!r:.60}")
    student = teacher.student
    if teacher.select_by == "student" and not (hasattr(student, "fit") and hasattr(student, "get_params")):
        raise InputError(f"select_by='student' needs student=, an estimator that is not fitted; got {student!r:.60}")
    return _strengths(teacher.strength, plain=teacher.penalty == "none")


def _strengths(given: Any, *, plain: bool) -> tuple[float, ...]:
    values: tuple[Any, ...] = (given,)
    if isinstance(given, str) and given == "auto":
        values = AUTO
    elif np.iterable(given) and not isinstance(given, str):
        values = tuple(np.asarray(given, dtype=object).ravel().tolist())
    if not values or not all(_is_number(value) and 0 <= value < np.inf for value in values):
        raise InputError(f"strength must be a number of at least 0, several of them, or 'auto'; got {given!r:.80}")
    return (0.0,) if plain else tuple(float(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= 1
