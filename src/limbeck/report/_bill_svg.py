"""The bill as a picture: a bar for each model in each measure, on logarithmic scales.

Cost
----
O(bars).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck.report._svg import element, place
from limbeck.report._words import shortened

__all__ = ["Bar", "Measure", "bill_svg"]

ROW, BAR, HEAD = 30.0, 15.0, 34.0
VALUE = 78.0
"""What the number behind the longest bar may take."""
WIDE = 720


@dataclass(frozen=True)
class Bar:
    """One model in one measure: its name, at length and in brief, its value (None: unknown), in words, its colour."""

    label: str
    brief: str
    value: float | None
    words: str
    tone: str


@dataclass(frozen=True)
class Measure:
    """One measure of all models, in the same order."""

    title: str
    bars: Sequence[Bar]


def bill_svg(measures: Sequence[Measure], width: int) -> Markup:
    """All measures as one `svg` element: beside each other where it is wide, else one under the other."""
    rows = len(measures[0].bars)
    if width >= WIDE:
        labels, gap = 208.0, 18.0
        each = (width - labels - gap * len(measures)) / len(measures)
        height = HEAD + ROW * rows + 8
        parts = _labels([shortened(bar.label, 28) for bar in measures[0].bars], measures[0], HEAD)
        for i, measure in enumerate(measures):
            parts += _column(measure, labels + gap + i * (each + gap), HEAD, each)
    else:
        labels, block = 138.0, HEAD + ROW * rows + 16
        height, parts = block * len(measures), []
        for i, measure in enumerate(measures):
            parts += _labels([shortened(bar.brief, 18) for bar in measure.bars], measure, i * block + HEAD)
            parts += _column(measure, labels + 6, i * block + HEAD, width - labels - 6)
    attributes = {
        "class": "bill-svg",
        "viewBox": f"0 0 {width} {place(height)}",
        "role": "img",
        "aria-label": f"{', '.join(measure.title for measure in measures)}, of {rows} models, on logarithmic scales; "
        "the numbers are in the table",
    }
    return element("svg", attributes, *parts)


def _labels(texts: Sequence[str], measure: Measure, top: float) -> list[Markup]:
    return [
        element("text", {"class": f"who family-{bar.tone}", "x": 0, "y": top + i * ROW + ROW / 2 + 4}, text)
        for i, (text, bar) in enumerate(zip(texts, measure.bars, strict=True))
    ]


def _column(measure: Measure, x: float, top: float, width: float) -> list[Markup]:
    """Title, a line a power of ten, and the bars."""
    bottom, room = top + ROW * len(measure.bars), width - VALUE
    start, end = _scale([bar.value for bar in measure.bars if bar.value])
    parts = [element("text", {"class": "axis", "x": x, "y": top - 14}, measure.title)]
    step = max(1, math.ceil((end - start) / 12))
    for power in range(math.ceil(start), math.floor(end) + 1, step):
        at = x + room * (power - start) / (end - start)
        parts.append(element("path", {"class": "rule", "d": f"M{place(at)} {place(top)}V{place(bottom)}"}))
    parts.append(element("path", {"class": "foot", "d": f"M{place(x)} {place(top)}V{place(bottom)}"}))
    for i, bar in enumerate(measure.bars):
        middle = top + i * ROW + ROW / 2
        if not bar.value:
            parts.append(element("text", {"class": "tick", "x": x + 6, "y": middle + 4}, "not known"))
            continue
        long = max(room * (math.log10(bar.value) - start) / (end - start), 2.0)
        box = {"x": x, "y": middle - BAR / 2, "width": long, "height": BAR, "rx": 2.5}
        hover = element("title", {}, f"{bar.label}: {bar.words} ({measure.title})")
        parts.append(
            element(
                "g",
                {"class": f"family-{bar.tone}"},
                element("rect", {"class": "cost", **box}, hover),
                element("text", {"class": "worth", "x": x + long + 6, "y": middle + 4}, bar.words),
            )
        )
    return parts


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """The logarithms between which the bars lie: the smallest value keeps a bar that can be seen."""
    if not values:
        return 0.0, 1.0
    low, high = math.log10(min(values)), math.log10(max(values))
    start = math.floor(low - 0.3)
    return float(start), max(high, start + 1.0)
