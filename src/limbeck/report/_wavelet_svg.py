"""An adapted wavelet as pictures: its filter and its function beside those it started from, and its time-scale map.

Source
------
Daubechies1992, section 6.5: the function is what the filters come to after some steps of the cascade.

Cost
----
O(points) a curve; at most `MAX_CELLS` coefficients are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from limbeck.readable._wavelet_filters import highpass_of
from limbeck.report._explanation_signal_svg import steps_axis, thinned
from limbeck.report._svg import element, place
from limbeck.report._words import number, shortened

__all__ = ["Cell", "Lane", "filter_svg", "map_svg", "wavelet_function", "wavelet_svg"]

LEAST_STEPS, MOST_STEPS = 3, 6
MAX_CELLS = 120
WIDTH, HEIGHT = 420, 200
LEFT, RIGHT, TOP, FOOT = 44.0, 10.0, 12.0, 26.0
LANE, CURVES = 46.0, 150.0


@dataclass(frozen=True)
class Cell:
    """A coefficient that is used: where it stands, its weights on the signal, and what it counts.

    Attributes
    ----------
    start, end : float
        The times that it looks at most.
    atom : array ``(n,)`` or None
        What it multiplies the signal by; None where it has no place.
    share : float
        How much it counts beside the greatest, from 0 to 1.
    kind : str
        ``plus``, ``minus``, or the class of a score's colour.
    title : str
        All of it in words.
    """

    start: float
    end: float
    atom: np.ndarray | None
    share: float
    kind: str
    title: str


@dataclass(frozen=True)
class Lane:
    """One scale of the map, and its coefficients."""

    name: str
    cells: tuple[Cell, ...]


def wavelet_function(lowpass: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Times and values of the wavelet of a filter, of norm 1.

    Examples
    --------
    >>> times, values = wavelet_function(np.array([0.5, 0.5]) * 2**0.5, 2)
    >>> times.tolist(), values.round(6).tolist()
    ([0.0, 0.25, 0.5, 0.75], [1.0, 1.0, -1.0, -1.0])
    """
    low = np.asarray(lowpass, dtype=np.float64)[::-1]
    values = highpass_of(np.asarray(lowpass, dtype=np.float64))[::-1]
    for _ in range(steps - 1):
        wide = np.zeros(2 * len(values) - 1)
        wide[::2] = values
        values = np.convolve(wide, low)
    return np.arange(len(values)) / 2**steps, values * 2 ** (steps / 2)


def filter_svg(lowpass: Sequence[float], start: Sequence[float] | None, label: str) -> Markup:
    """The numbers of the learned filter as stems, and those of the start as rings."""
    own, before = np.array(lowpass), None if start is None else np.array(start)
    frame = _Frame.of([own] if before is None else [own, before], (-0.6, len(own) - 0.4))
    parts = [*frame.axis(), *frame.numbers(np.arange(len(own)))]
    if before is not None:
        parts += [
            element("circle", {"class": "start-ring", "cx": frame.x(i), "cy": frame.y(value), "r": 5})
            for i, value in enumerate(before.tolist())
        ]
    for i, value in enumerate(own.tolist()):
        x, y = frame.x(i), frame.y(value)
        was = "" if before is None else f", at the start {number(float(before[i]), 4)}"
        title = element("title", {}, f"number {i}: {number(value, 4)}{was}")
        stem = element("path", {"class": "stem", "d": f"M{place(x)} {place(frame.y(0.0))}V{place(y)}"})
        parts.append(element("g", {}, title, stem, element("circle", {"class": "knob-dot", "cx": x, "cy": y, "r": 4})))
    return _svg(label, WIDTH, HEIGHT, parts)


def wavelet_svg(lowpass: Sequence[float], start: Sequence[float] | None, scale: int, label: str) -> Markup:
    """The wavelet of the learned filter at this scale, and that of the start."""
    steps = min(max(scale, LEAST_STEPS), MOST_STEPS)
    curves = [wavelet_function(np.array(taps), steps) for taps in (start, lowpass) if taps is not None]
    frame = _Frame.of([values for _, values in curves], (0.0, float(len(lowpass) - 1)))
    parts = [*frame.axis(), *frame.numbers(np.arange(0, len(lowpass)))]
    names = ["learned-line"] if start is None else ["start-line", "learned-line"]
    for name, (times, values) in zip(names, curves, strict=True):
        points = " ".join(f"{frame.x(t):.1f},{frame.y(v):.1f}" for t, v in zip(times, values, strict=True))
        parts.append(element("polyline", {"class": name, "points": points}))
    return _svg(label, WIDTH, HEIGHT, parts)


@dataclass(frozen=True)
class _Frame:
    """Where the numbers of a small picture lie."""

    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, curves: Sequence[np.ndarray], across: tuple[float, float]) -> _Frame:
        """From 0 and all values, with some room."""
        low = min(0.0, *(float(values.min()) for values in curves))
        high = max(0.0, *(float(values.max()) for values in curves))
        room = 0.06 * (high - low) or 1.0
        return cls(*across, low - room, high + room)

    def x(self, time: float) -> float:
        return LEFT + (time - self.left) / (self.right - self.left) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - FOOT)

    def axis(self) -> list[Markup]:
        """The line of 0, and the least and greatest number."""
        line = f"M{place(LEFT)} {place(self.y(0.0))}H{place(WIDTH - RIGHT)}"
        marks = [0.0, *(v for v in (self.low, self.high) if abs(self.y(v) - self.y(0.0)) > 22)]
        words = [
            element("text", {"class": "tick end", "x": LEFT - 7, "y": min(max(self.y(v) + 4, 14.0), 186.0)}, _short(v))
            for v in marks
        ]
        return [element("path", {"class": "zero", "d": line}), *words]

    def numbers(self, places: np.ndarray) -> list[Markup]:
        """The places below, so many that they can be read."""
        step = -(-len(places) // 11)
        return [
            element("text", {"class": "tick middle", "x": self.x(float(i)), "y": HEIGHT - 6}, number(int(i)))
            for i in places[::step]
        ]


def _short(value: float) -> str:
    return number(float(f"{value:.2g}"), 2)


def map_svg(
    lanes: Sequence[Lane], signals: Sequence[tuple[str, str, np.ndarray]], points: int, width: int, label: str
) -> Markup:
    """Example signals, and below them a lane a scale with the coefficients that are used, over one time.

    Parameters
    ----------
    lanes : sequence of Lane
    signals : sequence of (class, name, array)
        Curves with the class of their colour and what they are.
    points : int
        The length of a signal.
    width : int
    label : str
        Names the picture for those who can't see it.
    """
    left = 104.0 if width > 700 else 62.0

    def at(time: float) -> float:
        return left + time / points * (width - left - RIGHT)

    top = TOP + (CURVES + 14.0 if signals else 0.0)
    bottom = top + LANE * len(lanes)
    parts = _examples(signals, at, width, left)
    for k, lane in enumerate(lanes):
        parts.append(_lane(lane, at, (left, width - RIGHT), top + LANE * k, short=width <= 700))
    parts += steps_axis(points, at, bottom, width)
    return _svg(label, width, bottom + 24.0, parts)


def _examples(
    signals: Sequence[tuple[str, str, np.ndarray]], at: Callable[[float], float], width: int, left: float
) -> list[Markup]:
    """The example signals on one scale."""
    if not signals:
        return []
    low, high = (float(f([f(values) for *_, values in signals])) for f in (np.min, np.max))
    span = high - low or 1.0
    parts = [
        element("rect", {"class": "lane-back", "x": left, "y": TOP, "width": width - RIGHT - left, "height": CURVES})
    ]
    for value, y in ((high, TOP + 12), (low, TOP + CURVES - 4)):
        parts.append(element("text", {"class": "tick end", "x": left - 7, "y": y}, _short(value)))
    for tone, name, values in signals:
        points = " ".join(
            f"{at(i + 0.5):.1f},{TOP + 8 + (high - v) / span * (CURVES - 16):.1f}"
            for i, v in ((i, float(values[i])) for i in thinned(values))
        )
        line = element("polyline", {"class": f"example {tone}", "points": points}, element("title", {}, name))
        parts.append(line)
    return parts


def _lane(lane: Lane, at: Callable[[float], float], ends: tuple[float, float], top: float, *, short: bool) -> Markup:
    """One scale: where each used coefficient stands, how much it counts, and its shape."""
    left, right = ends
    tall = LANE - 4.0
    name = lane.name.replace("approximation", "approx.").replace("scale ", "") if short else lane.name
    parts = [
        element("rect", {"class": "lane-back", "x": left, "y": top, "width": right - left, "height": tall, "rx": 3}),
        element("text", {"class": "tick end", "x": left - 7, "y": top + tall / 2 + 4}, shortened(name, 15)),
    ]
    for cell in lane.cells[:MAX_CELLS]:
        x, end = max(at(cell.start), left), min(at(cell.end), right)
        box = {"x": x, "y": top + 1, "width": max(end - x, 2.0), "height": tall - 2, "rx": 2}
        opacity = f"{0.08 + 0.4 * cell.share:.2f}"
        inside = [
            element("title", {}, cell.title),
            element("rect", {**box, "class": cell.kind, "fill-opacity": opacity}),
        ]
        if cell.atom is not None:
            inside.append(_atom(cell, cell.atom, at, top + tall / 2, 0.42 * tall))
        parts.append(element("g", {"class": "cell"}, *inside))
    return element("g", {}, *parts)


def _atom(cell: Cell, atom: np.ndarray, at: Callable[[float], float], middle: float, reach: float) -> Markup:
    """What a coefficient multiplies the signal by, where it is more than a fiftieth of its greatest."""
    most = float(np.abs(atom).max()) or 1.0
    used = np.flatnonzero(np.abs(atom) > 0.02 * most)
    if not used.size:
        return Markup("")
    span = range(max(int(used[0]) - 1, 0), min(int(used[-1]) + 2, len(atom)))
    points = " ".join(f"{at(i + 0.5):.1f},{middle - reach * float(atom[i]) / most:.1f}" for i in span)
    look = {"class": f"atom of-{cell.kind}", "stroke-opacity": f"{0.45 + 0.55 * cell.share:.2f}"}
    return element("polyline", {**look, "points": points})


def _svg(label: str, width: int, height: float, parts: Sequence[Markup]) -> Markup:
    size = {"class": "wavelet-svg", "role": "img", "aria-label": label, "viewBox": f"0 0 {width} {place(height)}"}
    return element("svg", size, *parts)
