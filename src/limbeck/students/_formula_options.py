"""The options of a formula student, checked.

Source
------
Own.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck.students._formula_search import DEFAULT_OPERATORS, OPERATORS

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """What the search is to keep to; `restarts` is the number of islands."""

    max_complexity: int
    max_evaluations: int
    budget_s: float | None
    operators: frozenset[str]
    max_rows: int
    restarts: int
    n_jobs: int | None

    @classmethod
    def of(
        cls,
        max_complexity: Any,
        max_evaluations: Any,
        budget_s: Any,
        operators: Any,
        max_rows: Any,
        restarts: Any,
        n_jobs: int | None,
    ) -> Options:
        """The options as a user gives them.

        Raises
        ------
        InputError
            Where one is not what is required.
        """
        return cls(
            _whole("max_complexity", max_complexity, 1),
            _whole("max_evaluations", max_evaluations, 1),
            _seconds(budget_s),
            _operators(operators),
            _whole("max_rows", max_rows, 2),
            _whole("restarts", restarts, 1),
            n_jobs,
        )


def _whole(name: str, value: Any, least: int) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
        raise InputError(f"{name} must be a whole number of at least {least}; got {value!r:.60}")
    return int(value)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0.0 < float(value) < np.inf:
        raise InputError(f"budget_s must be a number of seconds above 0, or None; got {value!r:.60}")
    return float(value)


def _operators(names: Any) -> frozenset[str]:
    if names is None:
        return frozenset(DEFAULT_OPERATORS)
    if isinstance(names, str) or not isinstance(names, Sequence | set | frozenset):
        raise InputError(f"operators must be a list of names out of {list(OPERATORS)}; got {names!r:.80}")
    for name in names:
        if name not in OPERATORS:
            raise InputError(
                f"operators must be out of {list(OPERATORS)}; got {name!r:.60}.{did_you_mean(str(name), OPERATORS)}"
            )
    return frozenset(names)
