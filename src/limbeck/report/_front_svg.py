"""The front as a picture: fidelity against complexity on a logarithmic scale, with interval bars.

Cost
----
O(students + alternatives).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from limbeck.report._students import StudentView
from limbeck.report._svg import element, place
from limbeck.report._words import measure, number, shortened

__all__ = ["SizeAxis", "front_svg", "label_places", "mark", "stairs", "tone"]

TONES = ("tree", "formula", "network", "soft_tree", "rule_list", "rule_set", "wavelet", "program", "policy_tree")
OWN_TONES = ("trepan", "optimal_tree")
"""Students of the family of trees that have a colour of their own, by their name."""


FLOOR = -0.25
"""Fidelities below this are drawn at the foot of the picture, with an arrow and their number."""


def front_svg(students: Sequence[StudentView], *, metric: str, width: int, height: int) -> Markup:
    """The front as one `svg` element, a point a student; the points are the options of a list box."""
    shown = [student for student in students if student.fidelity is not None]
    axes = _Axes(shown, width, height)
    labels = _place_labels(shown, axes)
    # The dominated first, so that the others lie above them
    order = sorted(shown, key=lambda s: (not s.dominated, s.complexity, s.index))
    parts = [
        element("g", {"class": "grid", "aria-hidden": "true"}, *axes.grid(metric)),
        *[_threshold(axes, value) for value in _thresholds(shown)],
        *[_family_line(student, axes) for student in order if len(student.alternatives) > 1],
        _stairs(shown, axes),
        *[_point(student, axes, labels[student.index], metric) for student in order],
    ]
    attributes = {
        "class": "front-svg",
        "viewBox": f"0 0 {width} {height}",
        "role": "listbox",
        "aria-label": f"Students by complexity and {metric}; arrow keys move, Enter selects",
    }
    return element("svg", attributes, *parts)


class SizeAxis:
    """Where a complexity lies, on a logarithmic scale, and the frame around a front."""

    def __init__(self, sizes: Sequence[float], width: int, height: int) -> None:
        self.left, self.right, self.top, self.bottom = 58.0, width - 22.0, 18.0, height - 46.0
        sizes = [max(size, 1) for size in sizes] or [1, 100]
        self.start, self.end = math.log10(min(sizes)) - 0.15, math.log10(max(sizes)) + 0.25
        if self.end - self.start < 0.8:
            middle = (self.start + self.end) / 2
            self.start, self.end = middle - 0.4, middle + 0.4

    def x(self, complexity: float) -> float:
        """The place across."""
        share = (math.log10(max(complexity, 1)) - self.start) / (self.end - self.start)
        return self.left + share * (self.right - self.left)

    def line(self, y: float, text: str) -> list[Markup]:
        """A line of the grid with its number."""
        rule = element("path", {"class": "rule", "d": f"M{place(self.left)} {place(y)}H{place(self.right)}"})
        return [rule, element("text", {"class": "tick end", "x": self.left - 8, "y": y + 4}, text)]

    def foot(self) -> list[Markup]:
        """The sizes below the picture."""
        out = []
        for tick in self._size_ticks():
            x = self.x(tick)
            out.append(element("path", {"class": "rule", "d": f"M{place(x)} {place(self.bottom)}v5"}))
            out.append(element("text", {"class": "tick middle", "x": x, "y": self.bottom + 19}, number(tick)))
        words = {"class": "axis", "x": self.right, "y": self.bottom + 38, "text-anchor": "end"}
        return [*out, element("text", words, "complexity: symbols to read →")]

    def _size_ticks(self) -> list[float]:
        ticks = [m * 10.0**p for p in range(9) for m in (1, 2, 5)]
        ticks = [t for t in ticks if self.start <= math.log10(t) <= self.end]
        return [t for t in ticks if str(t)[0] == "1"] if len(ticks) > 9 else ticks


class _Axes(SizeAxis):
    """Where a complexity and a fidelity lie."""

    def __init__(self, students: Sequence[StudentView], width: int, height: int) -> None:
        lows = [v for s in students if s.fidelity for v in (s.fidelity.value, *(s.fidelity.interval or ()))]
        lows += _thresholds(students)
        lowest = max(min(lows, default=0.0), FLOOR)
        self.floor = min(lowest - 0.08 * (1.0 - lowest) - 0.005, 0.98)
        self.ceiling = 1.0 + 0.02 * (1.0 - self.floor)
        sizes: list[float] = [student.complexity for student in students]
        sizes += [
            a.complexity
            for s in students
            for a in s.alternatives
            if a.fidelity is not None and a.fidelity >= self.floor
        ]
        super().__init__(sizes, width, height)

    def y(self, fidelity: float) -> float:
        share = (min(max(fidelity, self.floor), self.ceiling) - self.floor) / (self.ceiling - self.floor)
        return self.bottom - share * (self.bottom - self.top)

    def grid(self, metric: str) -> list[Markup]:
        lines = [part for tick in self._fidelity_ticks() for part in self.line(self.y(tick), f"{tick:.2f}")]
        words = element("text", {"class": "axis", "x": self.left + 6, "y": self.top + 2}, f"↑ {metric}")
        return [*lines, *self.foot(), words]

    def _fidelity_ticks(self) -> list[float]:
        span = 1.0 - self.floor
        step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if span / s <= 6.5), 0.5)
        first = math.ceil(self.floor / step)
        return [round(k * step, 6) for k in range(first, round(1.0 / step) + 1)]


def _thresholds(students: Sequence[StudentView]) -> list[float]:
    found = {s.fidelity.threshold for s in students if s.fidelity and s.fidelity.threshold is not None}
    return sorted(value for value in found if value >= FLOOR)[:3]


def _threshold(axes: _Axes, value: float) -> Markup:
    y = axes.y(value)
    line = element("path", {"class": "threshold", "d": f"M{place(axes.left)} {place(y)}H{place(axes.right)}"})
    word = element("text", {"class": "tick threshold-word", "x": axes.right, "y": y - 5}, f"threshold {number(value)}")
    return element("g", {"aria-hidden": "true"}, line, word)


def _stairs(students: Sequence[StudentView], axes: _Axes) -> Markup:
    best = [s for s in sorted(students, key=lambda s: s.complexity) if not s.dominated and s.fidelity]
    return stairs([(axes.x(s.complexity), axes.y(s.fidelity.value)) for s in best if s.fidelity])


def stairs(points: Sequence[tuple[float, float]]) -> Markup:
    """The line of the best value that each complexity buys."""
    if len(points) < 2:
        return Markup("")
    path = f"M{place(points[0][0])} {place(points[0][1])}"
    path += "".join(f"H{place(x)}V{place(y)}" for x, y in points[1:])
    return element("path", {"class": "stairs", "d": path, "aria-hidden": "true"})


def _family_line(student: StudentView, axes: _Axes) -> Markup:
    """The front inside the family: small rings, the same measure on the stored held-out rows."""
    known = [a for a in student.alternatives if a.fidelity is not None and a.fidelity >= axes.floor]
    rings = []
    for alternative in known:
        x, y = axes.x(alternative.complexity), axes.y(alternative.fidelity or 0.0)
        words = f"{number(alternative.complexity)} symbols, {measure(alternative.fidelity)}"
        title = element("title", {}, f"{student.name}, another length: {words}")
        rings.append(element("circle", {"cx": x, "cy": y, "r": 3}, title))
    points = " ".join(f"{place(axes.x(a.complexity))},{place(axes.y(a.fidelity or 0.0))}" for a in known)
    line = element("polyline", {"points": points}) if len(known) > 1 else Markup("")
    colour = tone(student.family, student.name)
    return element("g", {"class": f"family family-{colour}", "aria-hidden": "true"}, line, *rings)


def tone(family: str, name: str = "") -> str:
    """The name of a student's colour: by its family; trees grown in other ways have their own.

    Examples
    --------
    >>> [tone("tree", "tree"), tone("tree", "trepan"), tone("soft_tree"), tone("new")]
    ['tree', 'trepan', 'soft-tree', 'other']
    """
    if family == "tree" and name in OWN_TONES:
        return name.replace("_", "-")
    return family.replace("_", "-") if family in TONES else "other"


def mark(family: str, size: float = 8.0) -> Markup:
    """The mark around the origin: triangles for trees, lines for rules, a wave, a disc, a square, a rhombus."""
    paths = {
        "tree": f"M0 {place(-1.2 * size)}L{place(1.15 * size)} {place(0.8 * size)}H{place(-1.15 * size)}Z",
        "soft_tree": f"M0 {place(1.2 * size)}L{place(1.15 * size)} {place(-0.8 * size)}H{place(-1.15 * size)}Z",
        "rule_list": "".join(
            f"M{place(-1.1 * size)} {place(y * size)}h{place(2.2 * size)}v{place(0.5 * size)}h{place(-2.2 * size)}Z"
            for y in (-1.05, -0.25, 0.55)
        ),
        "wavelet": f"M{place(-1.5 * size)} 0l{place(0.8 * size)} {place(-1.5 * size)}l{place(1.4 * size)} "
        f"{place(3.0 * size)}l{place(0.8 * size)} {place(-1.5 * size)}Z",
    }
    if family in paths:
        return element("path", {"class": "mark", "d": paths[family]})
    if family == "network":
        side = {"x": -0.9 * size, "y": -0.9 * size, "width": 1.8 * size, "height": 1.8 * size, "rx": 2}
        return element("rect", {"class": "mark", **side})
    if family == "formula":
        return element("circle", {"class": "mark", "r": size})
    if family == "policy_tree":
        return mark("tree", size)
    if family == "program":
        return mark("rule_list", size)
    corner = f"M0 {place(-1.25 * size)}L{place(1.25 * size)} 0L0 {place(1.25 * size)}L{place(-1.25 * size)} 0Z"
    return element("path", {"class": "mark", "d": corner})


def _point(student: StudentView, axes: _Axes, label: tuple[float, float, str], metric: str) -> Markup:
    found = student.fidelity
    if found is None:
        return Markup("")
    x, y = axes.x(student.complexity), axes.y(found.value)
    parts = [element("circle", {"class": "halo", "r": 17})]
    words = f"{student.name}: {number(student.complexity)} symbols, {metric} {measure(found.value)}"
    if found.interval:
        low, high = axes.y(found.interval[0]) - y, axes.y(found.interval[1]) - y
        bar = f"M0 {place(low)}V{place(high)}M-5 {place(low)}H5M-5 {place(high)}H5"
        parts.append(element("path", {"class": "bar", "d": bar}))
        words += f", 95 % interval {measure(found.interval[0])} to {measure(found.interval[1])}"
    parts.append(mark(student.family))
    dx, dy, anchor = label
    name = shortened(student.name, 24)
    if found.value < axes.floor:
        name += f" ↓ {measure(found.value)}"
    parts.append(element("text", {"class": "name", "x": dx, "y": dy, "text-anchor": anchor}, name))
    attributes = {
        "class": f"point family-{tone(student.family, student.name)}{' dominated' if student.dominated else ''}",
        "role": "option",
        "tabindex": -1,
        "aria-selected": "false",
        "aria-label": words + (", dominated by another student" if student.dominated else ""),
        "data-student": student.index,
        "transform": f"translate({place(x)} {place(y)})",
    }
    return element("g", attributes, *parts)


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _place_labels(students: Sequence[StudentView], axes: _Axes) -> dict[int, tuple[float, float, str]]:
    """For each student where its name stands beside its mark."""
    shown = [s for s in students if s.fidelity is not None]
    points, bars = [], []
    for s in shown:
        if s.fidelity is None:
            continue
        x, value = axes.x(s.complexity), s.fidelity.value
        points.append((x, axes.y(value), 7.4 * len(shortened(s.name, 24)) + (40 if value < axes.floor else 0)))
        if s.fidelity.interval:
            bars.append((x, axes.y(s.fidelity.interval[1]), axes.y(s.fidelity.interval[0])))
    places = [where or (20.0, 4.5, "start") for where in label_places(points, bars, axes)]
    return dict(zip([s.index for s in shown], places, strict=True))


def label_places(
    points: Sequence[tuple[float, float, float]], bars: Sequence[tuple[float, float, float]], axes: SizeAxis
) -> list[tuple[float, float, str] | None]:
    """For each mark (x, y, length of its name) where the name stands beside it: the first of some places that is free.

    None where no place is. `bars` are upright lines (x, top, bottom) to keep clear of.
    """
    taken: list[Box] = [(x - 11, y - 11, x + 11, y + 11) for x, y, _ in points]
    taken += [(x - 3, top, x + 3, bottom) for x, top, bottom in bars]
    out: list[tuple[float, float, str] | None] = []
    for x, y, long in points:
        options = [(20.0, 4.5, "start"), (-20.0, 4.5, "end"), (12.0, -13.0, "start"), (12.0, 22.0, "start")]
        options += [(-12.0, -13.0, "end"), (-12.0, 22.0, "end")]
        best = None
        for dx, dy, anchor in options:
            left = x + dx - (long if anchor == "end" else 0)
            box = (left, y + dy - 11, left + long, y + dy + 3)
            inside = box[0] > axes.left and box[2] < axes.right + 20 and box[1] > axes.top - 12 and box[3] < axes.bottom
            if inside and not any(_overlap(box, other) for other in taken):
                best = (dx, dy, anchor)
                taken.append(box)
                break
        out.append(best)
    return out


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
