"""The price of clarity as a picture: what each size of each student reaches, on a logarithmic scale of complexity.

Cost
----
O(points).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from limbeck.report._front_svg import tone
from limbeck.report._svg import element, place
from limbeck.report._words import is_number, measure, number, shortened

__all__ = ["Curve", "clarity_svg"]

FLOOR = -0.25
PARTS = ("train", "validation", "test")
CHARACTER = 7.3


@dataclass(frozen=True)
class Curve:
    """The sizes of one student, the least complex first; each point is an entry of its stored curve."""

    name: str
    family: str
    points: tuple[Mapping[str, Any], ...]

    def line(self, key: str) -> list[tuple[float, float]]:
        """Complexity and value of each point that has this measure."""
        return [(float(p["complexity"]), float(p[key])) for p in self.points if is_number(p.get(key))]


def clarity_svg(
    curves: Sequence[Curve], which: str, title: str, width: int, height: int, teacher: float | None = None
) -> Markup:
    """One measure, ``fidelity`` or ``accuracy``, as one `svg` element; a line at what the teacher reaches."""
    axes = _Axes(curves, which, width, height, teacher)
    labels = _labels(curves, axes, which)
    parts = [element("g", {"class": "grid", "aria-hidden": "true"}, *axes.grid(title))]
    if teacher is not None:
        y = axes.y(teacher)
        line = element("path", {"class": "threshold", "d": f"M{place(axes.left)} {place(y)}H{place(axes.right)}"})
        word = {"class": "tick teacher-word", "x": axes.left + 6, "y": y - 5}
        parts.append(element("g", {}, line, element("text", word, f"the teacher {measure(teacher)}")))
    parts += [_curve(curve, which, axes, labels[i]) for i, curve in enumerate(curves)]
    parts += [_stops(curve, which, axes) for curve in curves]
    attributes = {
        "class": "clarity-svg",
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": f"{title} against complexity, for {len(curves)} students; the numbers are in the table",
    }
    return element("svg", attributes, *parts)


class _Axes:
    """Where a complexity and a value lie."""

    def __init__(self, curves: Sequence[Curve], which: str, width: int, height: int, teacher: float | None) -> None:
        longest = max((len(shortened(curve.name, 24)) for curve in curves), default=0)
        names = min(CHARACTER * longest + 8.0, 0.16 * width)
        self.left, self.right, self.top, self.bottom = 58.0, width - 22.0 - names, 24.0, height - 46.0
        self.edge = float(width)
        keys = [f"{part}_{which}" for part in PARTS]
        values = [value for curve in curves for key in keys for _, value in curve.line(key)]
        values += [] if teacher is None else [teacher]
        lowest, highest = max(min(values, default=0.0), FLOOR), max([*values, FLOOR + 0.1])
        span = max(highest - lowest, 0.02)
        self.floor, self.ceiling = lowest - 0.06 * span, highest + 0.1 * span
        sizes = [max(float(p["complexity"]), 1.0) for curve in curves for p in curve.points] or [1.0, 100.0]
        self.start, self.end = math.log10(min(sizes)) - 0.08, math.log10(max(sizes)) + 0.08
        if self.end - self.start < 0.8:
            middle = (self.start + self.end) / 2
            self.start, self.end = middle - 0.4, middle + 0.4

    def x(self, complexity: float) -> float:
        share = (math.log10(max(complexity, 1.0)) - self.start) / (self.end - self.start)
        return self.left + share * (self.right - self.left)

    def y(self, value: float) -> float:
        share = (min(max(value, self.floor), self.ceiling) - self.floor) / (self.ceiling - self.floor)
        return self.bottom - share * (self.bottom - self.top)

    def grid(self, title: str) -> list[Markup]:
        out = []
        span = self.ceiling - self.floor
        step = next((s for s in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if span / s <= 6.5), 0.5)
        for k in range(math.ceil(self.floor / step), math.floor(self.ceiling / step) + 1):
            y = self.y(k * step)
            out.append(element("path", {"class": "rule", "d": f"M{place(self.left)} {place(y)}H{place(self.right)}"}))
            text = f"{k * step:.{3 if step < 0.01 else 2}f}"
            out.append(element("text", {"class": "tick end", "x": self.left - 8, "y": y + 4}, text))
        ticks = [m * 10.0**p for p in range(9) for m in (1, 2, 5)]
        ticks = [t for t in ticks if self.start <= math.log10(t) <= self.end]
        for tick in [t for t in ticks if str(t)[0] == "1"] if len(ticks) > 9 else ticks:
            x = self.x(tick)
            out.append(element("path", {"class": "rule", "d": f"M{place(x)} {place(self.bottom)}v5"}))
            out.append(element("text", {"class": "tick middle", "x": x, "y": self.bottom + 19}, number(tick)))
        words = {"class": "axis", "x": self.right, "y": self.bottom + 38, "text-anchor": "end"}
        out.append(element("text", words, "complexity: symbols to read →"))
        out.append(element("text", {"class": "axis", "x": self.left - 40, "y": self.top - 10}, f"↑ {title}"))
        return out


def _curve(curve: Curve, which: str, axes: _Axes, label: tuple[float, float, str]) -> Markup:
    """One student: a band, three lines, a dot a size, and the name."""
    error = "validation_se" if which == "fidelity" else "accuracy_se"
    parts = [_band(curve, f"validation_{which}", error, axes)]
    for part in PARTS:
        points = curve.line(f"{part}_{which}")
        if len(points) > 1:
            text = " ".join(f"{place(axes.x(x))},{place(axes.y(y))}" for x, y in points)
            parts.append(element("polyline", {"class": part, "points": text}))
    for point in curve.points:
        where = _where(point, which)
        if where is not None:
            dot = {"class": "at", "cx": axes.x(float(point["complexity"])), "cy": axes.y(where), "r": 3.4}
            parts.append(element("circle", dot, element("title", {}, _hover(curve, point, which))))
    x, y, anchor = label
    parts.append(element("text", {"class": "name", "x": x, "y": y, "text-anchor": anchor}, shortened(curve.name, 24)))
    return element("g", {"class": f"curve family-{tone(curve.family, curve.name)}"}, *parts)


def _stops(curve: Curve, which: str, axes: _Axes) -> Markup:
    """Rings at the sizes to stop at, above all lines: one for the student, a second one where it is that of all."""
    parts = []
    for point in curve.points:
        where, overall = _where(point, which), point.get("stop_overall") is True
        if where is None or not (overall or point.get("stop") is True):
            continue
        x, y = axes.x(float(point["complexity"])), axes.y(where)
        if overall:
            parts.append(element("circle", {"class": "overall", "cx": x, "cy": y, "r": 12}))
        ring = {"class": "stop", "cx": x, "cy": y, "r": 6.5}
        parts.append(element("circle", ring, element("title", {}, _hover(curve, point, which))))
    return element("g", {"class": f"stops family-{tone(curve.family, curve.name)}"}, *parts)


def _where(point: Mapping[str, Any], which: str) -> float | None:
    """At which value a size is marked: on test rows, else on validation or training rows."""
    for part in reversed(PARTS):
        if is_number(point.get(f"{part}_{which}")):
            return float(point[f"{part}_{which}"])
    return None


def _band(curve: Curve, key: str, error: str, axes: _Axes) -> Markup:
    known = [p for p in curve.points if is_number(p.get(key)) and is_number(p.get(error))]
    if len(known) < 2:
        return Markup("")
    upper = [f"{place(axes.x(p['complexity']))} {place(axes.y(p[key] + p[error]))}" for p in known]
    lower = [f"{place(axes.x(p['complexity']))} {place(axes.y(p[key] - p[error]))}" for p in reversed(known)]
    return element("path", {"class": "band", "d": f"M{'L'.join([*upper, *lower])}Z"})


def _hover(curve: Curve, point: Mapping[str, Any], which: str) -> str:
    size = f"{number(point.get('size'))} {shortened(str(point.get('unit') or ''), 24)}, " if point.get("unit") else ""
    words = {"train": "training", "validation": "validation", "test": "test"}
    values = [f"{words[part]} {measure(point.get(f'{part}_{which}'))}" for part in reversed(PARTS)]
    marks = [text for key, text in (("stop_overall", "stop here"), ("chosen", "chosen")) if point.get(key) is True]
    head = f"{shortened(curve.name, 60)}: {size}{number(point['complexity'])} symbols"
    return "; ".join([head, *values, *marks])


def _labels(curves: Sequence[Curve], axes: _Axes, which: str) -> list[tuple[float, float, str]]:
    """Where each name stands: at the end of its line, at the first of some places that is free."""
    dots = [
        (axes.x(float(p["complexity"])), axes.y(value))
        for curve in curves
        for p in curve.points
        if (value := _where(p, which)) is not None
    ]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    out = []
    for curve in curves:
        ends = [(float(p["complexity"]), v) for p in curve.points if (v := _where(p, which)) is not None]
        x, y = (axes.x(ends[-1][0]), axes.y(ends[-1][1])) if ends else (axes.left, axes.bottom)
        long = CHARACTER * len(shortened(curve.name, 24))
        options = [
            (x + dx, y + dy, anchor)
            for dy in (4.5, -13.0, 22.0, -28.0, 38.0, -44.0, 54.0)
            for dx, anchor in ((11.0, "start"), (-11.0, "end"))
        ]
        best = options[0]
        for option in options:
            left = option[0] - (long if option[2] == "end" else 0.0)
            box = (left, option[1] - 11, left + long, option[1] + 3)
            inside = box[0] > axes.left and box[2] < axes.edge and box[1] > axes.top - 6 and box[3] < axes.bottom
            if inside and not any(_overlap(box, other) for other in taken):
                best = option
                taken.append(box)
                break
        out.append(best)
    return out


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
