"""The front of policies as a picture: return against complexity, between a random policy and the teacher.

Source
------
Own.

Cost
----
O(candidates).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from limbeck.report._front_svg import SizeAxis, label_places, mark, stairs, tone
from limbeck.report._policy_values import PlayedCandidate, Policies, Score
from limbeck.report._svg import element, place
from limbeck.report._words import number, plural, shortened

__all__ = ["on_front", "policy_front_svg"]

BELOW = 0.35
"""A return that is lower than a random policy's by more than this share of the teacher's lead is drawn at the foot."""


def on_front(candidates: Sequence[PlayedCandidate]) -> list[int]:
    """The positions of those of which no other is as simple and plays as well, the simplest first."""
    order = sorted(range(len(candidates)), key=lambda i: (candidates[i].complexity, -candidates[i].score.mean))
    kept: list[int] = []
    for i in order:
        if not kept or candidates[i].score.mean > candidates[kept[-1]].score.mean:
            kept.append(i)
    return kept


def policy_front_svg(found: Policies, width: int, height: int) -> Markup:
    """The front as one `svg` element; each mark leads to its candidate."""
    axes = _Axes(found, width, height)
    kept = on_front(found.candidates)
    points, bars = [], []
    for one in found.candidates:
        x, y = axes.x(one.complexity), axes.y(one.score.mean)
        points.append((x, y, 7.4 * len(_label(one, axes))))
        bars.append((x, axes.y(one.score.high), axes.y(one.score.low)))
    # Those on the front choose first where their names stand; of the others some have no place
    first = [*kept, *(i for i in range(len(points)) if i not in kept)]
    placed = label_places([points[i] for i in first], bars, axes)
    labels = dict(zip(first, placed, strict=True))
    order = sorted(range(len(found.candidates)), key=lambda i: (i in kept, -found.candidates[i].complexity))
    parts = [
        element("g", {"class": "grid", "aria-hidden": "true"}, *axes.grid()),
        _level(axes, found.random, "random-level"),
        _level(axes, found.teacher, "teacher-level"),
        stairs([points[i][:2] for i in kept]),
        *[_point(found.candidates[i], i, axes, labels[i], i in kept) for i in order],
    ]
    many = plural(len(found.candidates), "candidate")
    attributes = {
        "class": "front-svg",
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": f"Return against complexity, for {many}; the numbers are in the table below",
    }
    return element("svg", attributes, *parts)


class _Axes(SizeAxis):
    """Where a complexity and a return lie."""

    def __init__(self, found: Policies, width: int, height: int) -> None:
        super().__init__([one.complexity for one in found.candidates], width, height)
        self.top = 30.0
        scores = [one.score for one in found.candidates]
        lead = found.teacher.mean - found.random.mean
        least = min(found.random.low, found.teacher.low, found.random.mean - BELOW * max(lead, 0.0))
        low = max(min([found.random.low, found.teacher.low, *[s.low for s in scores]]), least)
        high = max([found.random.high, found.teacher.high, *[s.high for s in scores if s.mean >= least]])
        span = high - low or 1.0
        self.floor, self.ceiling = low - 0.07 * span, high + 0.05 * span

    def y(self, value: float) -> float:
        """The place upwards."""
        share = (min(max(value, self.floor), self.ceiling) - self.floor) / (self.ceiling - self.floor)
        return self.bottom - share * (self.bottom - self.top)

    def grid(self) -> list[Markup]:
        """Lines of the returns, and the sizes."""
        span = self.ceiling - self.floor
        rough = 10.0 ** math.floor(math.log10(span / 6))
        step = next(m * rough for m in (1, 2, 5, 10) if span / (m * rough) <= 6.5)
        ticks = range(math.ceil(self.floor / step), math.floor(self.ceiling / step) + 1)
        lines = [part for k in ticks for part in self.line(self.y(k * step), number(float(f"{k * step:.6g}")))]
        words = element("text", {"class": "axis", "x": 8, "y": 16}, "↑ return")
        return [*lines, *self.foot(), words]


def _level(axes: _Axes, score: Score, kind: str) -> Markup:
    """A line across at a return, its interval as a band."""
    top, bottom, y = axes.y(score.high), axes.y(score.low), axes.y(score.mean)
    wide = axes.right - axes.left
    band = element("rect", {"class": "band", "x": axes.left, "y": top, "width": wide, "height": max(bottom - top, 0.5)})
    line = element("path", {"class": "level", "d": f"M{place(axes.left)} {place(y)}H{place(axes.right)}"})
    return element("g", {"class": kind, "aria-hidden": "true"}, band, line)


def _label(one: PlayedCandidate, axes: _Axes) -> str:
    """The name, with the return where it is below the picture."""
    return shortened(one.name, 24) + (f" ↓ {number(one.score.mean)}" if one.score.mean < axes.floor else "")


def _point(one: PlayedCandidate, i: int, axes: _Axes, label: Any, kept: bool) -> Markup:
    x, y = axes.x(one.complexity), axes.y(one.score.mean)
    parts = [element("circle", {"class": "halo", "r": 17})]
    low, high = axes.y(one.score.low) - y, axes.y(one.score.high) - y
    if one.score.mean >= axes.floor:
        bar = f"M0 {place(low)}V{place(high)}M-5 {place(low)}H5M-5 {place(high)}H5"
        parts.append(element("path", {"class": "bar", "d": bar}))
    words = (
        f"{shortened(one.name, 60)}: {plural(one.complexity, 'symbol')}, return {number(one.score.mean)} "
        f"({number(one.score.low)} to {number(one.score.high)})"
    )
    parts += [mark(one.family), element("title", {}, words)]
    if label is not None or kept:
        dx, dy, anchor = label or (
            -20.0 if x > 0.6 * axes.right else 20.0,
            4.5,
            "end" if x > 0.6 * axes.right else "start",
        )
        name = element("text", {"class": "name", "x": dx, "y": dy, "text-anchor": anchor}, _label(one, axes))
        parts.append(name)
    kind = f"point family-{tone(one.family, one.name)}{'' if kept else ' dominated'}"
    group = element("g", {"class": kind, "transform": f"translate({place(x)} {place(y)})"}, *parts)
    return element("a", {"href": f"#candidate-{i}", "aria-label": words}, group)
