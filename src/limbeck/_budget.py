"""What a compressed model may take: a size on disk, or the time for one row, read from what a person writes."""

from __future__ import annotations

import math
import numbers
import re
from dataclasses import dataclass
from typing import Any

from limbeck._core.errors import InputError

__all__ = ["Budget", "read_budget"]

SIZE_UNITS = {"b": 1, "kb": 1_000, "mb": 1_000_000, "kib": 1_024, "mib": 1_048_576}
TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Budget:
    """The most that a student may take: bytes on disk, or seconds for one row."""

    bytes: int | None = None
    seconds: float | None = None


def read_budget(budget: Any) -> Budget:
    """A budget from a number of bytes, or a text such as ``"300KB"`` (a size) or ``"50us"`` (the time for one row).

    Raises
    ------
    InputError
        For anything else.

    Examples
    --------
    >>> read_budget("300KB"), read_budget("50us")
    (Budget(bytes=300000, seconds=None), Budget(bytes=None, seconds=5e-05))
    """
    if budget is None or isinstance(budget, Budget):
        return budget or Budget()
    if isinstance(budget, numbers.Real) and not isinstance(budget, bool):
        budget = f"{budget}B"
    found = re.fullmatch(r"\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-zµ]+)\s*", str(budget).lower())
    value, unit = (float(found[1]) if _is_float(found[1]) else -1.0, found[2]) if found else (-1.0, "")
    if value > 0 and math.isfinite(value) and unit in SIZE_UNITS:
        return Budget(bytes=int(value * SIZE_UNITS[unit]))
    if value > 0 and math.isfinite(value) and unit in TIME_UNITS:
        return Budget(seconds=value * TIME_UNITS[unit])
    raise InputError(
        "a budget is a size such as 300KB or 2MB, or the time that one row may take, such as 50us or 1ms; got "
        f"{budget!r:.60}"
    )


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
