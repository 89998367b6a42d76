"""Parts of a wavelet model in words and in the one language: places, weighted sums, indicators, the greatest of many.

Source
------
Own. The greatest `r` of many by insertion: each number meets the ones that are kept, and the smaller goes on.

Cost
----
One operation a weight; two for each number and rank where the greatest are sought.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import sympy as sp

from limbeck._core.tables import Schema
from limbeck.readable._language import IsIn, choice

__all__ = ["greatest_steps", "level_choice", "place_text", "weighted_sum"]


def place_text(atom: np.ndarray, image: tuple[int, int, int] | None) -> str:
    """Where a coefficient looks, by the middle of its weights: ``at time 41``; in an image ``at row 3, column 8``."""
    mass = atom**2 / max(float(atom @ atom), 1e-300)
    if image is None:
        return f"at time {mass @ np.arange(len(mass)):.0f}"
    pixels = mass.reshape(image).sum(axis=2)
    row, column = pixels.sum(axis=1) @ np.arange(image[0]), pixels.sum(axis=0) @ np.arange(image[1])
    return f"at row {row:.0f}, column {column:.0f}"


def weighted_sum(weights: Sequence[float] | np.ndarray, parts: Sequence[sp.Expr], start: float = 0.0) -> sp.Expr:
    """``start`` and each part that has a weight, times it; numbers among the parts are taken into the start."""
    products = []
    for weight, part in zip(weights, parts, strict=True):
        if weight != 0.0 and part.is_Number:
            start += float(weight) * float(part)
        elif weight != 0.0:
            products.append(sp.Mul(sp.Float(float(weight)), part, evaluate=False))
    if start != 0.0 or not products:
        products.insert(0, sp.Float(float(start)))
    return products[0] if len(products) == 1 else sp.Add(*products, evaluate=False)


def level_choice(schema: Schema, column: int, code: int, symbols: Sequence[sp.Symbol]) -> sp.Expr:
    """1 where the column has the level, else 0."""
    level = IsIn.of(symbols[column], [schema.columns[column].level_names[code]])
    return choice((sp.Integer(1), level), (sp.Integer(0), True))


def greatest_steps(parts: Sequence[sp.Expr], ranks: int, step: Callable[[sp.Expr], sp.Expr]) -> list[sp.Expr]:
    """The greatest of the parts, the next, and so on to `ranks` of them."""
    kept: list[sp.Expr] = []
    for part in parts:
        going = part
        for rank, best in enumerate(kept):
            kept[rank] = step(sp.Max(best, going, evaluate=False))
            going = step(sp.Min(best, going, evaluate=False))
        if len(kept) < ranks:
            kept.append(going)
    return kept
