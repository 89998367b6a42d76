"""Scores as colours and as texts: above zero in one colour, below it in the other, so that all eyes tell them apart.

Zero is transparent and strength is opacity, so that one picture stands on light and on dark paper; the sign is always
printed too.

Source
------
Own.

Cost
----
None.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from limbeck.report._words import MINUS, number

__all__ = ["full_scale", "residual_text", "score_text", "share", "tone", "tone_class"]

DEEPEST = 0.5
"""The opacity of the strongest score under a text: ink stays readable on it, in light and in dark."""
EXPONENTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def full_scale(scores: Iterable[float]) -> float:
    """The largest size among the scores, 1 where there is none."""
    return max((abs(score) for score in scores), default=0.0) or 1.0


def share(score: float, full: float) -> float:
    """How strong a score is, from 0 to 1."""
    return min(abs(score) / full, 1.0)


def tone_class(score: float) -> str:
    """``plus``, ``minus`` or ``nil``."""
    return "plus" if score > 0 else "minus" if score < 0 else "nil"


def tone(score: float, full: float, deepest: float = DEEPEST) -> dict[str, Any]:
    """The class and the opacity of a shape that is filled by its score."""
    return {"class": tone_class(score), "fill-opacity": f"{deepest * share(score, full):.3f}"}


def score_text(score: float, full: float = 1.0) -> str:
    """A score with its sign, with as many decimals as the largest score calls for.

    Examples
    --------
    >>> [score_text(*pair) for pair in ((1.234, 3.0), (-0.5, 30.0), (0.0, 1.0), (0.00012, 0.001), (2e9, 2e9))]
    ['+1.23', '−0.5', '0', '+0.00012', '+2e+09']
    """
    if full >= 1e5 or full < 1e-2:
        text = f"{abs(score):.2g}"
    else:
        decimals = max(0, 2 - math.floor(math.log10(full))) if full < 100 else 0
        text = f"{abs(score):.{min(decimals, 4)}f}"
    if not text.strip("0."):
        return "0"
    return f"{'+' if score > 0 else MINUS}{text}"


def residual_text(value: float) -> str:
    """A small number as a person writes it.

    Examples
    --------
    >>> [residual_text(v) for v in (1.24e-7, 0.0, 0.25, 3.0)]
    ['1.2 × 10⁻⁷', '0', '0.25', '3']
    """
    if value == 0 or 1e-3 <= value < 1e4:
        return number(value, 2)
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(EXPONENTS)}"
