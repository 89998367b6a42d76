"""R2 against complexity, a small picture a set: every trial of every arm, and the mean of each arm.

Cost
----
O(points).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from limbeck.report._study_values import StudyPoint, StudySet
from limbeck.report._svg import element, place
from limbeck.report._words import measure, number, shortened

__all__ = ["arm_mark", "most_symbols", "points_svg"]

WIDTH, HEIGHT = 250, 194
LEFT, RIGHT, TOP, BOTTOM = 38.0, 240.0, 12.0, 158.0
LOWEST = 0.05
"""The scale starts at this quantile of the points, and a little below."""
SHAPES = (
    "M{0} {1}m-{r} 0a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0-{d} 0z",
    "M{0} {1}m-{r}-{r}h{d}v{d}h-{d}z",
    "M{0} {1}m0-{s}l{s} {d}h-{e}z",
    "M{0} {1}m0-{s}l{s} {s}l-{s} {s}l-{s}-{s}z",
)
"""A disc, a square, a triangle, a rhombus; then again from the first."""


def arm_mark(arm: int, x: float = 0.0, y: float = 0.0, size: float = 7.0) -> str:
    """The path of an arm's mark around a place."""
    values = {"r": size, "d": 2 * size, "s": 1.3 * size, "e": 2.6 * size}
    return SHAPES[arm % len(SHAPES)].format(place(x), place(y), **{k: place(v) for k, v in values.items()})


def most_symbols(points: Sequence[StudyPoint]) -> float:
    """Where the scale of complexity ends, the same in all pictures."""
    return max((point.symbols for point in points if point.symbols is not None), default=10.0)


def points_svg(
    one: StudySet, points: Mapping[str, Sequence[StudyPoint]], arms: Sequence[str], most: float, per_arm: int
) -> Markup:
    """One set as an `svg` element; `points` by arm, of which `per_arm` are drawn; symbols go up to `most`."""
    known = {
        arm: [(p.symbols, p.r2) for p in points.get(arm, ()) if p.symbols is not None and p.r2 is not None]
        for arm in arms
    }
    means = {arm: _mean(one, arm) for arm in arms}
    axes = _Axes([r2 for found in known.values() for _, r2 in found], [m for m in means.values() if m], most)
    parts: list[Markup] = [
        element("title", {}, f"{shortened(one.name, 120)}: R² on held-out rows against symbols"),
        element("desc", {}, _described(means)),
        element("g", {"aria-hidden": "true"}, *axes.grid()),
    ]
    below = 0
    for i, arm in enumerate(arms):
        below += sum(r2 < axes.low for _, r2 in known[arm])
        step = max(1, math.ceil(len(known[arm]) / max(per_arm, 1)))
        shown = known[arm][::step] if per_arm else []
        path = "".join(arm_mark(i, axes.x(size), axes.y(r2), 2.2) for size, r2 in shown)
        if path:
            parts.append(element("path", {"class": f"trials arm-{i}", "d": path}))
    for i, arm in enumerate(arms):
        mean = means[arm]
        if mean:
            words = f"{shortened(arm, 40)}, mean: {number(mean[0], 3)} symbols, R² {measure(mean[1])}"
            shape = {"class": f"arm-mean arm-{i}", "d": arm_mark(i, axes.x(mean[0]), axes.y(mean[1]), 5.0)}
            parts.append(element("path", shape, element("title", {}, words)))
    if below:
        parts.append(element("text", {"class": "tick end lower", "x": RIGHT, "y": BOTTOM - 5}, f"{below} lower ↓"))
    if not any(known.values()) and not any(means.values()):
        parts.append(element("text", {"class": "tick middle", "x": (LEFT + RIGHT) / 2, "y": 90}, "too few trials"))
    return element("svg", {"class": "points-svg", "viewBox": f"0 0 {WIDTH} {HEIGHT}", "role": "img"}, *parts)


def _mean(one: StudySet, arm: str) -> tuple[float, float] | None:
    found = one.arms.get(arm)
    if found is None or found.symbols is None or found.r2.mean is None:
        return None
    return found.symbols, found.r2.mean


def _described(means: Mapping[str, tuple[float, float] | None]) -> str:
    words = [f"{shortened(arm, 40)}: R² {measure(m[1])} at {number(m[0], 3)} symbols" for arm, m in means.items() if m]
    return f"Means: {'; '.join(words)}." if words else "No arm has enough trials yet."


class _Axes:
    """Where a size and an R2 lie."""

    def __init__(self, values: Sequence[float], means: Sequence[tuple[float, float]], most: float) -> None:
        ordered = sorted(values)
        lows = [ordered[int(LOWEST * len(ordered))]] if ordered else []
        lows += [mean for _, mean in means]
        highs = [*ordered[-1:], *(mean for _, mean in means)]
        low, high = min(lows, default=0.0), max(highs, default=1.0)
        span = max(high - low, 0.02)
        self.low, self.high = low - 0.12 * span, high + 0.1 * span
        self.most = max(most, *(size for size, _ in means), 5.0) * 1.04 if means else max(most, 5.0) * 1.04

    def x(self, size: float) -> float:
        return LEFT + min(max(size / self.most, 0.0), 1.0) * (RIGHT - LEFT)

    def y(self, r2: float) -> float:
        share = (min(max(r2, self.low), self.high) - self.low) / (self.high - self.low)
        return BOTTOM - share * (BOTTOM - TOP)

    def grid(self) -> list[Markup]:
        out = []
        ticks, digits = _ticks(self.low, self.high)
        for tick in ticks:
            y = self.y(tick)
            out.append(element("path", {"class": "rule", "d": f"M{place(LEFT)} {place(y)}H{place(RIGHT)}"}))
            word = {"class": "tick end", "x": LEFT - 6, "y": y + 4}
            out.append(element("text", word, f"{tick:.{digits}f}".replace("-", "−")))
        for tick in _ticks(0.0, self.most)[0]:
            x = self.x(tick)
            out.append(element("path", {"class": "rule", "d": f"M{place(x)} {place(BOTTOM)}v4"}))
            out.append(element("text", {"class": "tick middle", "x": x, "y": BOTTOM + 16}, number(tick)))
        out.append(element("text", {"class": "tick end axis-word", "x": RIGHT, "y": BOTTOM + 30}, "symbols →"))
        return out


def _ticks(low: float, high: float) -> tuple[list[float], int]:
    """Two to five round numbers between, and the decimals they need."""
    span = high - low
    power = math.floor(math.log10(span / 4))
    step = next(s * 10.0**power for s in (1, 2, 5, 10) if span / (s * 10.0**power) <= 4.6)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [round(k * step, 10) for k in range(math.ceil(low / step), math.floor(high / step) + 1)], digits
