"""An explained signal: its curve, the windows behind it in the colours of their scores, and the groups below.

Source
------
Own.

Cost
----
O(steps + groups * steps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from markupsafe import Markup

from limbeck.report._explanation_across_svg import LINE, box_parts, described
from limbeck.report._explanation_levels import boxes, runs
from limbeck.report._explanation_tones import score_text, tone
from limbeck.report._explanation_values import Curves, ExplainedRow
from limbeck.report._svg import element, place
from limbeck.report._words import number, shortened

__all__ = ["MAX_CHANNELS", "MAX_POINTS", "signal_svg", "steps_axis", "thinned"]

LEFT, RIGHT, TOP = 52.0, 12.0, 16.0
MAX_CHANNELS, MAX_POINTS = 6, 1_200


def signal_svg(
    row: ExplainedRow, width: int, levels: Sequence[int], full: float, name: Callable[[Sequence[int]], str]
) -> Markup:
    """The curve, its windows and its groups as one `svg` element of such a width."""
    if not isinstance(row.input, Curves):
        raise TypeError(f"a signal is required; got {type(row.input).__name__}")
    channels = row.input.channels[:MAX_CHANNELS]
    steps = row.input.size
    tall = 190.0 if len(channels) == 1 else 96.0

    def at(position: int) -> float:
        return LEFT + position / steps * (width - LEFT - RIGHT)

    drawn = boxes(row.groups, [unit.positions for unit in row.units], levels)
    bottom = TOP + tall * len(channels)
    parts = _windows(row, full, at, bottom)
    for k, channel in enumerate(channels):
        parts += _curve(channel, at, TOP + tall * k, tall, width, f"channel {k}" if len(channels) > 1 else "")
    parts += steps_axis(steps, at, bottom, width)
    first = bottom + 42 - LINE / 2

    def line(k: int) -> float:
        return first + LINE * k + 4 if k else bottom + 27

    for drawing in box_parts(drawn, row, full, at=at, line=line, name=name, letter=7.2 if width > 700 else 5.9):
        parts += drawing
    height = line(max((box.height for box in drawn), default=0)) + (20 if drawn else 10)
    head = element("title", {}, "The signal, its windows and their groups")
    words = element("desc", {}, described(row, drawn, full, name))
    size = {"viewBox": f"0 0 {width} {place(height)}", "class": "signal-svg", "role": "img"}
    return element("svg", size, head, words, *parts)


def _windows(row: ExplainedRow, full: float, at: Callable[[int], float], bottom: float) -> list[Markup]:
    """Each unit's steps in the colour of its own score, with the score above where there is room."""
    parts = []
    for unit, score in zip(row.units, row.alone, strict=True):
        look, text = tone(score, full), score_text(score, full)
        inside = [element("title", {}, f"{shortened(unit.name, 120)}: {text}")]
        for start, end in runs(unit.positions):
            x, wide = at(start), at(end) - at(start)
            size = {"x": f"{x:.2f}", "width": f"{wide:.2f}", "y": TOP, "height": bottom - TOP}
            inside.append(element("rect", {**look, **size}))
            if wide > 3:
                inside.append(element("path", {"class": "rule", "d": f"M{place(x)} {place(TOP)}V{place(bottom)}"}))
            if wide >= 38:
                inside.append(element("text", {"class": "own middle", "x": x + wide / 2, "y": TOP - 4}, text))
        parts.append(element("g", {"class": "window"}, *inside))
    return parts


def _curve(
    values: np.ndarray, at: Callable[[int], float], top: float, tall: float, width: int, name: str
) -> list[Markup]:
    low, high = float(values.min()), float(values.max())
    span = high - low or 1.0

    def y(value: float) -> float:
        return top + tall - 10 - (value - low) / span * (tall - 20) if high > low else top + tall / 2

    half = (at(1) - at(0)) / 2
    points = " ".join(f"{at(p) + half:.1f},{y(float(values[p])):.1f}" for p in thinned(values))
    edges = [(high, 10.0), (low, tall - 10)] if high > low else [(low, tall / 2)]
    parts = [
        element("path", {"class": "frame-line", "d": f"M{place(LEFT)} {place(top + tall)}H{place(width - RIGHT)}"})
    ]
    for value, below in edges:
        label = {"class": "tick end", "x": LEFT - 8, "y": top + below + 4}
        parts.append(element("text", label, number(value, 3)))
    if name:
        parts.append(element("text", {"class": "axis", "x": LEFT + 6, "y": top + 14}, name))
    return [*parts, element("polyline", {"class": "curve-halo", "points": points}),
            element("polyline", {"class": "curve", "points": points})]  # fmt: skip


def thinned(values: np.ndarray) -> list[int]:
    """The steps that are drawn: all, or of each stretch its lowest and its highest."""
    if len(values) <= MAX_POINTS:
        return list(range(len(values)))
    kept = {0, len(values) - 1}
    for stretch in np.array_split(np.arange(len(values)), MAX_POINTS // 2):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    return sorted(kept)


def steps_axis(steps: int, at: Callable[[int], float], bottom: float, width: int) -> list[Markup]:
    """Round numbers of steps under the curve."""
    rough = max(steps / (10 if width > 700 else 4), 1.0)
    power = 10.0 ** math.floor(math.log10(rough))
    step = int(next(power * k for k in (1, 2, 5, 10) if power * k >= rough))
    parts = []
    for position in range(0, steps, step):
        x = at(position)
        parts.append(element("path", {"class": "tick-line", "d": f"M{place(x)} {place(bottom)}v5"}))
        parts.append(element("text", {"class": "tick middle", "x": x, "y": bottom + 18}, number(position)))
    if at(steps) - at((steps - 1) // step * step) > 60:
        parts.append(element("text", {"class": "axis end", "x": at(steps), "y": bottom + 18}, "step"))
    return parts
