"""The paired differences of a study as a forest: a line a set, its mean and interval, and a diamond for all sets.

Source
------
Own drawing of a forest plot. Each panel has its own scale, symmetric around 0; what lies beyond it ends in an arrow.

Cost
----
O(sets * panels).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck.report._study_values import Spread
from limbeck.report._svg import element, place
from limbeck.report._words import MINUS, measure, shortened

__all__ = ["ForestRow", "Panel", "difference_text", "forest_svg"]

ROW, HEAD, FOOT = 25.0, 66.0, 34.0
VALUE = 62.0
"""What the numbers at the right of a panel take."""
TICK_ROOM = 44.0
WIDE = 720
REACH = 2.5
"""The scale ends at this many times the upper quartile of the ends of the intervals, where some lie further out."""


@dataclass(frozen=True)
class ForestRow:
    """One set in one panel: its name, its difference, whether it is significant after Holm's correction."""

    name: str
    spread: Spread
    is_significant: bool
    hover: str


@dataclass(frozen=True)
class Panel:
    """One comparison on all sets, in the same order."""

    arm: str
    against: str
    metric: str
    tone: int
    rows: Sequence[ForestRow]
    overall: Spread
    is_significant: bool


def difference_text(value: float | None) -> str:
    """A difference with its sign.

    Examples
    --------
    >>> [difference_text(v) for v in (0.0123, -0.5, 0.0001, None)]
    ['+0.012', '−0.500', '0.000', '–']
    """
    if value is None:
        return "–"
    text = measure(value)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def forest_svg(panels: Sequence[Panel], width: int, title: str) -> Markup:
    """All panels as one `svg` element: beside each other where it is wide, else one under the other."""
    rows = len(panels[0].rows)
    each_height = HEAD + ROW * (rows + 1) + FOOT
    label = 168.0 if width >= WIDE else 112.0
    parts: list[Markup] = []
    if width >= WIDE:
        height, gap = each_height, 20.0
        each = (width - label - gap * (len(panels) - 1)) / len(panels)
        parts += _names(panels[0], HEAD, label, width, 18)
        for i, panel in enumerate(panels):
            parts.append(_panel(panel, label + i * (each + gap), 0.0, each))
    else:
        height = each_height * len(panels)
        for i, panel in enumerate(panels):
            parts += _names(panel, i * each_height + HEAD, label, width, 12)
            parts.append(_panel(panel, label, i * each_height, width - label))
    head = element("title", {}, title), element("desc", {}, _described(panels))
    attributes = {"class": "forest-svg", "viewBox": f"0 0 {width} {place(height)}", "role": "img"}
    return element("svg", attributes, *head, *parts)


def _described(panels: Sequence[Panel]) -> str:
    words = []
    for panel in panels:
        marked = sum(row.is_significant for row in panel.rows)
        drawn = panel.overall.drawn
        found = "too few sets for an overall difference"
        if drawn:
            found = (
                f"overall {difference_text(drawn[1])}, from {difference_text(drawn[0])} to {difference_text(drawn[2])}"
            )
        words.append(f"{panel.arm} less {panel.against}: {found}; {marked} of {len(panel.rows)} sets are significant.")
    return " ".join(["Right of the line the first is better, left of it it is worse.", *words])


def _names(panel: Panel, top: float, label: float, width: int, most: int) -> list[Markup]:
    """The names of the sets, a band under every other, and the line above the diamond."""
    parts = []
    for i, row in enumerate(panel.rows):
        y = top + i * ROW
        if i % 2 == 0:
            parts.append(element("rect", {"class": "band", "x": 0, "y": y, "width": width, "height": ROW}))
        name = {"class": "who", "x": label - 12, "y": y + ROW / 2 + 4, "text-anchor": "end"}
        parts.append(element("text", name, element("title", {}, row.name), shortened(row.name, most)))
    y = top + ROW * len(panel.rows)
    parts.append(element("path", {"class": "foot", "d": f"M0 {place(y)}H{width}"}))
    all_sets = {"class": "who all", "x": label - 12, "y": y + ROW / 2 + 4, "text-anchor": "end"}
    parts.append(element("text", all_sets, "all sets"))
    return parts


def _panel(panel: Panel, x: float, top: float, width: float) -> Markup:
    left, right, first = x + 8, x + width - VALUE, top + HEAD
    scale = _Scale(_reach(panel), left, right)
    bottom = first + ROW * (len(panel.rows) + 1)
    middle = (left + right) / 2
    heading = shortened(f"{panel.arm} {MINUS} {panel.against}", 30)
    metric = "R²" if panel.metric == "r2" else "fidelity"
    parts = [
        element("text", {"class": "panel-name middle", "x": middle, "y": top + 18}, heading),
        element("text", {"class": "axis middle", "x": middle, "y": top + 35}, f"difference of {metric}"),
        element("text", {"class": "way end", "x": middle - 7, "y": top + 56}, "← worse"),
        element("text", {"class": "way", "x": middle + 7, "y": top + 56}, "better →"),
    ]
    ticks = scale.ticks()
    room = scale.at(ticks[-1]) - scale.at(ticks[-2])
    for k, tick in enumerate(ticks):
        at = place(scale.at(tick))
        kind = "rule" if tick else "zero"
        parts.append(element("path", {"class": kind, "d": f"M{at} {place(first)}V{place(bottom)}"}))
        if room >= TICK_ROOM or (k - len(ticks) // 2) % 2 == 0:
            word = {"class": "tick middle", "x": scale.at(tick), "y": bottom + 17}
            parts.append(element("text", word, _tick_text(tick)))
    for i, row in enumerate(panel.rows):
        parts.append(_line(row, scale, first + (i + 0.5) * ROW, right))
    parts.append(_diamond(panel, scale, bottom - ROW / 2, right))
    return element("g", {"class": f"arm-{panel.tone}"}, *parts)


def _reach(panel: Panel) -> float:
    """Where the scale ends: at the longest interval, or well beyond most of them."""
    drawn = [found for row in panel.rows if (found := row.spread.drawn)]
    ends = sorted(max(abs(low), abs(high)) for low, _, high in drawn)
    overall = panel.overall.drawn
    needed = max(abs(overall[0]), abs(overall[2])) if overall else 0.0
    if not ends:
        return needed or 1.0
    bound = REACH * ends[(3 * len(ends)) // 4 if len(ends) > 3 else len(ends) - 1]
    return max(min(ends[-1], bound) * 1.06, needed * 1.06, 1e-3)


class _Scale:
    """Where a difference lies."""

    def __init__(self, reach: float, left: float, right: float) -> None:
        self.reach, self.left, self.right = reach, left, right

    def at(self, value: float) -> float:
        share = (min(max(value, -self.reach), self.reach) + self.reach) / (2 * self.reach)
        return self.left + share * (self.right - self.left)

    def ticks(self) -> list[float]:
        """0 and one or two round numbers on each side."""
        power = 10.0 ** math.floor(math.log10(self.reach))
        step = next(s * power for s in (0.5, 1.0, 2.0, 5.0) if 0.95 * self.reach / (s * power) < 3)
        most = int(0.95 * self.reach / step)
        return [step * k for k in range(-most, most + 1)]


def _tick_text(value: float) -> str:
    text = f"{abs(value):.3g}"
    return text if value == 0 else f"{'+' if value > 0 else MINUS}{text}"


def _line(row: ForestRow, scale: _Scale, y: float, right: float) -> Markup:
    """Interval, mean and number of one set; filled where it is significant."""
    drawn = row.spread.drawn
    hover = element("title", {}, row.hover)
    if drawn is None:
        found = (
            f"{difference_text(row.spread.mean)}, too few trials" if row.spread.mean is not None else "too few trials"
        )
        word = {"class": "tick middle few", "x": (scale.left + scale.right) / 2, "y": y + 4}
        return element("g", {"class": "line"}, hover, element("text", word, found))
    low, mean, high = drawn
    a, b, at = scale.at(low), scale.at(high), scale.at(mean)
    parts = [hover, element("path", {"class": "bar", "d": f"M{place(a)} {place(y)}H{place(b)}"})]
    for beyond, end, way in ((low < -scale.reach, a, 5), (high > scale.reach, b, -5)):
        if beyond and abs(mean) <= scale.reach:
            head = f"M{place(end + way)} {place(y - 4)}L{place(end)} {place(y)}l{way} 4"
            parts.append(element("path", {"class": "bar", "d": head}))
    if abs(mean) <= scale.reach:
        box = {"x": at - 4.2, "y": y - 4.2, "width": 8.4, "height": 8.4}
        parts.append(element("rect", {"class": "mean", **box}))
    else:
        way = 9 if mean < 0 else -9
        parts.append(element("path", {"class": "mean", "d": f"M{place(at)} {place(y)}l{way}-5v10z"}))
    worth = {"class": "worth end", "x": right + VALUE - 12, "y": y + 4}
    parts.append(element("text", worth, difference_text(mean)))
    if row.is_significant:
        parts.append(element("text", {"class": "star", "x": right + VALUE - 10, "y": y + 5}, "∗"))
    return element("g", {"class": f"line{' significant' if row.is_significant else ''}"}, *parts)


def _diamond(panel: Panel, scale: _Scale, y: float, right: float) -> Markup:
    drawn = panel.overall.drawn
    if drawn is None:
        word = {"class": "tick middle few", "x": (scale.left + scale.right) / 2, "y": y + 4}
        known = panel.overall.mean is not None
        found = f"{difference_text(panel.overall.mean)}, too few sets" if known else "too few sets"
        return element("text", word, found)
    low, at, high = (scale.at(value) for value in drawn)
    low, high = min(low, at - 2.0), max(high, at + 2.0)
    shape = f"M{place(low)} {place(y)}L{place(at)} {place(y - 7)}L{place(high)} {place(y)}L{place(at)} {place(y + 7)}Z"
    between = f"{difference_text(drawn[0])} to {difference_text(drawn[2])}"
    hover = f"all sets: {difference_text(drawn[1])}, 95 % interval {between}"
    worth = {"class": "worth all end", "x": right + VALUE - 12, "y": y + 4}
    parts = [element("title", {}, hover), element("path", {"class": "diamond", "d": shape})]
    parts.append(element("text", worth, difference_text(drawn[1])))
    if panel.is_significant:
        parts.append(element("text", {"class": "star", "x": right + VALUE - 10, "y": y + 5}, "∗"))
    return element("g", {"class": f"line{' significant' if panel.is_significant else ''}"}, *parts)
