"""A student's answers held against the teacher's: a scatter in regression, a table of classes in classification.

Cost
----
O(rows); a scatter is one path, some twelve bytes a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from limbeck.report._svg import element, place
from limbeck.report._words import number, shortened

__all__ = ["Confusion", "confusion", "scatter_svg"]

MAX_CLASSES = 30
SIZE = 400.0


def scatter_svg(teacher: np.ndarray, student: np.ndarray, *, label: str) -> Markup:
    """One output of the student against the teacher's, ``(m,)`` each, with the line where they are equal."""
    left, right, top, bottom = 52.0, SIZE - 10.0, 10.0, SIZE - 40.0
    seen = np.concatenate([teacher, student[np.isfinite(student)]])
    low, high = float(seen.min()), float(seen.max())
    pad = 0.03 * (high - low) or 1.0
    low, high = low - pad, high + pad

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * (right - left)

    def up(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    keep = np.isfinite(student)
    dots = "".join(f"M{place(across(x))} {place(up(y))}h0" for x, y in zip(teacher[keep], student[keep], strict=True))
    parts = [element("rect", {"class": "frame", "x": left, "y": top, "width": right - left, "height": bottom - top})]
    for tick in _ticks(low, high):
        parts.append(element("text", {"class": "tick middle", "x": across(tick), "y": bottom + 16}, number(tick)))
        parts.append(element("text", {"class": "tick end", "x": left - 6, "y": up(tick) + 4}, number(tick)))
        parts.append(element("path", {"class": "rule", "d": f"M{place(left)} {place(up(tick))}H{place(right)}"}))
    diagonal = f"M{place(left)} {place(bottom)}L{place(right)} {place(top)}"
    parts += [
        element("path", {"class": "equal", "d": diagonal}),
        element("path", {"class": "dots", "d": dots}),
        element("text", {"class": "axis middle", "x": (left + right) / 2, "y": bottom + 34}, "teacher"),
        element(
            "text",
            {"class": "axis middle", "transform": f"translate(12 {place((top + bottom) / 2)}) rotate(-90)"},
            "student",
        ),
    ]
    attributes = {"class": "scatter-svg", "viewBox": f"0 0 {place(SIZE)} {place(SIZE)}", "role": "img"}
    return element("svg", {**attributes, "aria-label": label}, *parts)


def _ticks(low: float, high: float) -> list[float]:
    step = 10.0 ** np.floor(np.log10((high - low) / 2))
    for factor in (1.0, 2.0, 5.0, 10.0):
        if (high - low) / (step * factor) <= 5:
            step *= factor
            break
    first = int(np.ceil(low / step))
    return [round(k * step, 12) for k in range(first, int(np.floor(high / step)) + 1)]


@dataclass(frozen=True)
class Confusion:
    """How many rows the teacher (rows) and the student (columns) put into each class.

    Attributes
    ----------
    names : tuple of str
        The classes that are shown, shortened.
    cells : tuple of tuple of (count, share of the teacher's rows)
    pairs : tuple of (teacher's class, student's class, count)
        The most frequent disagreements, at most ten.
    whole : bool
        False where there are too many classes for a table.
    """

    names: tuple[str, ...]
    cells: tuple[tuple[tuple[int, float], ...], ...]
    pairs: tuple[tuple[str, str, int], ...]
    whole: bool


def confusion(teacher: np.ndarray, student: np.ndarray, names: tuple[str, ...]) -> Confusion:
    """The table of classes from probabilities ``(m, k)`` of both."""
    k = len(names)
    counts = np.bincount(teacher.argmax(axis=1) * k + student.argmax(axis=1), minlength=k * k).reshape(k, k)
    off = [(int(counts[i, j]), i, j) for i in range(k) for j in range(k) if i != j and counts[i, j]]
    off.sort(key=lambda entry: (-entry[0], entry[1], entry[2]))
    pairs = tuple((shortened(names[i], 40), shortened(names[j], 40), n) for n, i, j in off[:10])
    if k > MAX_CLASSES:
        return Confusion((), (), pairs, False)
    totals = counts.sum(axis=1)
    cells = tuple(
        tuple((int(counts[i, j]), float(counts[i, j] / totals[i]) if totals[i] else 0.0) for j in range(k))
        for i in range(k)
    )
    return Confusion(tuple(shortened(name, 18 if k <= 12 else 10) for name in names), cells, pairs, True)
