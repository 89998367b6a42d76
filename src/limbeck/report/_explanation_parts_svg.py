"""Groups of coefficients one under the other: name, score as a bar, and what the group is in the input's own space.

Above them stands the row itself, below them what the transform loses of it. Each part is drawn on its own scale, whose
ends are written beside it: the parts of a signal share the time axis.

Source
------
Own drawing.

Cost
----
O(numbers of the parts that are drawn).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from limbeck.report._explanation_rows_svg import score_bar
from limbeck.report._explanation_signal_svg import steps_axis
from limbeck.report._explanation_tones import full_scale, score_text
from limbeck.report._explanation_values import Cells, Curves, ExplainedRow, Input, Picture
from limbeck.report._images import plain_image, png_uri
from limbeck.report._svg import element, place
from limbeck.report._words import number, shortened

__all__ = ["DRAWN_CHANNELS", "LOST", "parts_svg", "percent"]

HEAD, FOOT = 28.0, 30.0
DRAWN_CHANNELS, MOST_PIXELS = 3, 128
LOST = 1e-6
"""A share of the row that is lost is rounding where it is below this."""


@dataclass(frozen=True)
class _Frame:
    """Where the parts of a line are, from its left and its top."""

    width: float
    high: float
    name: tuple[float, float, float]
    """Left, baseline, and how wide."""
    bar: tuple[float, float, float]
    """Left, top, and how wide."""
    part: tuple[float, float, float, float]
    """Left, top, how wide, and how high."""


@dataclass(frozen=True)
class _Line:
    name: str
    share: float | None
    score: float | None
    input: Input
    range: tuple[float, float] | None


def _frame(row: ExplainedRow, width: int) -> _Frame:
    narrow = width < 700
    if isinstance(row.input, Picture):
        side = 78.0 if narrow else 104.0
        high = side * row.input.values.shape[0] / row.input.values.shape[1]
        high, side = min(high, side), min(side, side * side / high)
        line = max(high, 76.0 if narrow else 60.0) + 12
        left = (78.0 if narrow else 104.0) + 16
        if narrow:
            bar = (left, 44.0, width - left)
            return _Frame(width, line, (left, 20, width - left), bar, (0, 6, side, high))
        return _Frame(width, line, (left, line / 2 - 3, 300), (left + 320, line / 2 - 13, 560), (0, 6, side, high))
    channels = min(len(row.input.channels), DRAWN_CHANNELS) if isinstance(row.input, Curves) else 1
    high = (58.0 if channels == 1 else 46.0 * channels) if isinstance(row.input, Curves) else 40.0
    if narrow:
        under = 26.0 if isinstance(row.input, Cells) else 38.0
        return _Frame(width, high + under + 6, (2, 17, 186), (190, 3, width - 190.0), (2, under, width - 2, high))
    middle = high / 2 + 4
    return _Frame(width, high + 8, (4, middle - 3, 210), (218, middle - 13, 300), (540, 4, width - 540.0, high))


def parts_svg(row: ExplainedRow, width: int, most: int) -> Markup:
    """The row, its strongest groups and what is lost, as one `svg` element."""
    lines, frame = _lines(row, most), _frame(row, width)
    scores = [line.score for line in lines if line.score is not None]
    full = full_scale(scores)
    top = HEAD if width >= 700 else 2.0
    parts = [part for i, line in enumerate(lines) for part in _one(line, top + frame.high * i, i % 2 == 0, full, frame)]
    bottom = top + frame.high * len(lines)
    left, _, wide = frame.bar
    if width >= 700:
        parts.append(element("text", {"class": "axis middle", "x": left + wide / 2, "y": HEAD - 10}, "its own score"))
        after = frame.part[0] > left
        at = frame.part[0] + (46 if isinstance(row.input, Curves) else 0) if after else 0
        parts.append(element("text", {"class": "axis", "x": float(at), "y": HEAD - 10}, "what it is in the row"))
        start = HEAD + frame.high * next((i for i, line in enumerate(lines) if line.score is not None), 0)
        end = start + frame.high * len(scores)
        parts.append(element("path", {"class": "zero", "d": f"M{place(left + wide / 2)} {place(start)}V{place(end)}"}))
    if isinstance(row.input, Curves):
        parts += _time(row.input.size, frame, bottom)
        bottom += FOOT
    head = element("title", {}, "The groups of coefficients, their scores and their parts of the row")
    words = "; ".join(f"{line.name} {score_text(line.score, full)}" for line in lines[:7] if line.score is not None)
    size = {"viewBox": f"0 0 {place(frame.width)} {place(bottom)}", "width": place(frame.width)}
    attributes = {**size, "class": "rows-svg parts-svg", "role": "img"}
    return element("svg", attributes, head, element("desc", {}, f"The strongest groups: {words}."), *parts)


def _lines(row: ExplainedRow, most: int) -> list[_Line]:
    """The row itself, the groups, and the rest."""
    shown = [_Line("the row itself", None, None, row.input, None)]
    for part in row.parts[:most]:
        name, score = row.units[part.unit or 0].name, row.alone[part.unit or 0]
        shown.append(_Line(name, part.share, score, part.input, part.range))
    if row.remainder is not None and row.lost is not None and row.lost > LOST:
        share = None if isinstance(row.input, Cells) else row.lost
        shown.append(_Line("lost by the transform", share, None, row.remainder.input, row.remainder.range))
    return shown


def _one(line: _Line, y: float, banded: bool, full: float, frame: _Frame) -> list[Markup]:
    """A line, from its top at `y`."""
    parts = []
    if banded:
        band = {"class": "band", "x": 0, "y": y, "width": frame.width, "height": frame.high}
        parts.append(element("rect", band))
    left, base, wide = frame.name
    name = shortened(line.name, max(int(wide / 7.3), 6))
    at = {"x": left, "y": y + base}
    parts.append(element("text", {"class": "who", **at}, element("title", {}, line.name), name))
    below = [] if line.share is None else [f"{percent(line.share)} of the row"]
    if line.range is not None:
        below.append(f"{_short(line.range[0])} to {_short(line.range[1])}")
    if below:
        parts.append(element("text", {"class": "what", "x": left, "y": y + base + 16}, ", ".join(below)))
    if line.score is not None:
        x, top, long = frame.bar
        parts += score_bar(line.score, full, full, x + long / 2, long / 2, y + top)
    return [*parts, *_part(line, frame, y)]


def _part(line: _Line, frame: _Frame, y: float) -> list[Markup]:
    x, top, wide, high = frame.part
    if isinstance(line.input, Picture):
        step = -(-max(line.input.values.shape[:2]) // MOST_PIXELS)
        uri = png_uri(plain_image(line.input.values[::step, ::step], 0, 255))
        size = {"x": x, "y": y + top, "width": wide, "height": high, "preserveAspectRatio": "none"}
        ends = "" if line.range is None else f": black {_short(line.range[0])}, white {_short(line.range[1])}"
        title = element("title", {}, f"{line.name}{ends}")
        return [
            element("image", {**size, "class": "pixels", "href": uri}, title),
            element("rect", {"class": "edge", **{k: size[k] for k in ("x", "y", "width", "height")}}),
        ]
    if isinstance(line.input, Curves):
        channels = line.input.channels[:DRAWN_CHANNELS]
        tall = high / len(channels)
        return [
            piece
            for k, values in enumerate(channels)
            for piece in _curve(values, x + 46, y + top + tall * k, wide - 54, tall)
        ]
    return _columns(line.input, x, y + top, wide) if isinstance(line.input, Cells) else []


def _curve(values: np.ndarray, x: float, top: float, wide: float, tall: float) -> list[Markup]:
    """A curve on its own scale, the line of zero where it is on it, and the ends of the scale."""
    low, high = float(values.min()), float(values.max())
    flat = high - low <= 1e-4 * max(abs(low), abs(high), 1e-30)

    def at(value: float) -> float:
        return top + tall / 2 if flat else top + tall - 7 - (value - low) / (high - low) * (tall - 14)

    half = wide / len(values) / 2
    spots = [f"{x + half + wide * i / len(values):.1f},{at(float(v)):.1f}" for i, v in enumerate(values)]
    if flat:
        spots = [f"{x:.1f},{at(high):.1f}", f"{x + wide:.1f},{at(high):.1f}"]
    parts = []
    if not flat and low <= 0 <= high:
        parts.append(element("path", {"class": "rule", "d": f"M{place(x)} {at(0.0):.1f}H{place(x + wide)}"}))
    for value in (high,) if flat else (high, low):
        label = {"class": "tick end", "x": x - 6, "y": at(value) + 4}
        parts.append(element("text", label, _short(value)))
    return [*parts, element("polyline", {"class": "curve", "points": " ".join(spots)})]


def _time(steps: int, frame: _Frame, bottom: float) -> list[Markup]:
    x, _, wide, _ = frame.part
    return steps_axis(steps, lambda p: x + 46 + p / steps * (wide - 54), bottom, int(frame.width))


def _columns(cells: Cells, x: float, y: float, wide: float) -> list[Markup]:
    """The columns that a part moves most, in two lines."""
    said = [(shortened(n, 24), _signed(v)) for n, v in zip(cells.names, cells.values, strict=True)]
    room, parts = max(int(wide / 7.0), 8), []
    for i in range(2):
        here, said = _fitting(said, room)
        words = [
            element("tspan", {"class": kind}, text)
            for k, (name, value) in enumerate(here, 1)
            for kind, text in (("who", f"{name} "), ("what", f"{value}, " if said or k < len(here) else value))
        ]
        if said and i == 1:
            words.append(element("tspan", {"class": "what"}, "…"))
        if here:
            parts.append(element("text", {"x": x, "y": y + 15 + 17 * i}, *words))
    return parts


def _fitting(said: Sequence[tuple[str, str]], room: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """As many as fit a line, at least one, and the others."""
    kept, long = 0, 0
    for name, value in said:
        long += len(name) + len(value) + 3
        if kept and long > room:
            break
        kept += 1
    return list(said[:kept]), list(said[kept:])


def _short(value: float) -> str:
    return number(float(f"{value:.2g}"), 2)


def _signed(value: str) -> str:
    return value.replace("-", "−", 1) if value.startswith("-") else value


def percent(share: float) -> str:
    """A share as a person reads it.

    Examples
    --------
    >>> [percent(v) for v in (0.0, 0.00001, 0.0123, 0.5, 1.2)]
    ['0 %', 'less than 0.1 %', '1.2 %', '50 %', '120 %']
    """
    if 0 < share < 0.001:
        return "less than 0.1 %"
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:,.0f} %"
