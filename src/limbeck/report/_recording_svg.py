"""An episode as one animated SVG: what is seen, the program with the line that decides, the actions over time.

It needs no script (the animation is SMIL), so that it plays wherever a browser shows a picture, and follows light and
dark.

Source
------
Own; the animation elements are those of SVG 1.1.

Cost
----
O(frames).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.report._images import png_uri
from limbeck.report._recording_values import Line, Pictures, Recorded
from limbeck.report._recording_view import TONES, curves_svg, runs, sentence
from limbeck.report._shell import shipped
from limbeck.report._svg import element, place
from limbeck.report._words import shortened

__all__ = ["animated_svg", "wrapped"]

WIDTH, MARGIN, GAP = 960.0, 22.0, 28.0
TALL, BROAD, CURVES = 420.0, 400.0, 300.0
"""The most that the picture takes."""
ADVANCE, LINE = 8.45, 24.0
MOST_LINES = 22
STYLE = """
text { font: 14px var(--sans); fill: var(--ink); }
.paper { fill: var(--card); stroke: var(--line); }
.code { font: 14px var(--mono); } .small { font-size: 12.5px; fill: var(--quiet); }
.lit { fill: var(--accent); fill-opacity: 0.26; } .chip { fill: none; stroke: var(--line); }
.on { fill: var(--accent-soft); stroke: var(--accent); stroke-width: 1.5; }
.ring { fill: none; stroke: var(--use); stroke-width: 2.5; }
.pixels { image-rendering: pixelated; } .frame { fill: none; stroke: var(--line); }
.seen { fill: none; stroke: var(--accent); stroke-width: 1.6; }
.at { fill: var(--ink); } .cursor { stroke: var(--ink); }
.k0 { fill: var(--k0); } .k1 { fill: var(--k1); } .k2 { fill: var(--k2); } .k3 { fill: var(--k3); }
.k4 { fill: var(--k4); } .k5 { fill: var(--k5); } .k6 { fill: var(--k6); } .k7 { fill: var(--k7); }
.rule { stroke: var(--line); fill: none; } .tick { font-size: 11px; fill: var(--quiet); }
.curve-name { font-size: 12.5px; font-weight: 600; }
"""


def animated_svg(found: Recorded) -> str:
    """The whole picture as text."""
    clock = _Clock(found)
    seen, wide, high = _seen(found, clock)
    right = MARGIN + wide + GAP
    chips, under = _chips(found, clock, right, WIDTH - MARGIN)
    program, end = _program(found, clock, right, under + 18.0)
    top = max(MARGIN + high, end) + 22.0
    lanes, bottom = _lanes(found, clock, top)
    words = element("text", {"class": "small", "x": MARGIN, "y": bottom + 22}, shortened(sentence(found), 140))
    height = bottom + 40.0
    paper = {"class": "paper", "x": 0.5, "y": 0.5, "width": WIDTH - 1, "height": height - 1, "rx": 12}
    title = f"{shortened(found.player, 60)} plays {shortened(found.environment, 60)}"
    attributes = {
        "xmlns": "http://www.w3.org/2000/svg",
        "viewBox": f"0 0 {place(WIDTH)} {place(height)}",
        "width": WIDTH,
        "height": height,
        "role": "img",
    }
    children = (element("rect", paper), *seen, *chips, *program, *lanes, words)
    return str(element("svg", attributes, element("title", {}, title), _style(), *children)) + "\n"


def _style() -> Markup:
    """The colours of the pages, and the few rules that are needed here."""
    colours = shipped("base.css").split("\n* {")[0].replace("DARK", shipped("dark.css"))
    return Markup(f"<style>{colours}{STYLE}</style>")  # noqa: S704 - shipped with the package


@dataclass
class _Clock:
    """The animations of one episode: all of one length, over and over."""

    found: Recorded
    length: str = field(init=False)

    def __post_init__(self) -> None:
        self.length = f"{self.found.frames / self.found.fps:.3f}s"

    def animate(self, attribute: str, changes: Sequence[tuple[int, Any]]) -> Markup:
        """Values from these frames on; the first change is at frame 0."""
        times = ";".join(f"{frame / self.found.frames:.5f}".rstrip("0").rstrip(".") or "0" for frame, _ in changes)
        values = ";".join(place(v) if isinstance(v, float) else str(v) for _, v in changes)
        timed = {"dur": self.length, "repeatCount": "indefinite", "calcMode": "discrete"}
        return element("animate", {"attributeName": attribute, **timed, "keyTimes": times, "values": values})

    def while_it_is(self, values: np.ndarray, wanted: int, name: str, shape: dict[str, Any]) -> Markup:
        """A shape that is seen at the frames of one value."""
        changes = [(a, "inline" if value == wanted else "none") for a, _, value in runs(values)]
        kept = [one for i, one in enumerate(changes) if i == 0 or one[1] != changes[i - 1][1]]
        if all(state == "none" for _, state in kept):
            return Markup("")
        parts = () if len(kept) == 1 else (self.animate("display", kept),)
        return element(name, {**shape, "display": kept[0][1]}, *parts)

    def cursor(self, left: float, right: float, top: float, bottom: float) -> Markup:
        """A line that walks once over the episode."""
        walk = {"attributeName": "x", "dur": self.length, "repeatCount": "indefinite", "from": left, "to": right}
        shape = {"class": "at", "x": left, "y": top, "width": 2, "height": bottom - top}
        return element("rect", shape, element("animate", walk))


def _seen(found: Recorded, clock: _Clock) -> tuple[list[Markup], float, float]:
    """The picture, or curves, and how large it is drawn."""
    shown = found.pictures
    if shown is None:
        box = {"x": MARGIN, "y": MARGIN, "width": BROAD, "height": CURVES}
        cursor = clock.cursor(MARGIN + 120.0, MARGIN + BROAD - 12.0, MARGIN, MARGIN + CURVES)
        return [element("svg", box, curves_svg(found, int(BROAD), int(CURVES))), cursor], BROAD, CURVES
    scale = min(BROAD / shown.width, TALL / shown.height)
    wide, high = scale * shown.width, scale * shown.height
    images = [_sheet(clock, shown, i, found.frames) for i in range(len(shown.sheets))]
    # No svg inside the svg for what moves: browsers run a clock of its own for each
    window = element("clipPath", {"id": "window"}, element("rect", {"width": shown.width, "height": shown.height}))
    moved = f"translate({place(MARGIN)} {place(MARGIN)}) scale({scale:.6g})"
    screen = element("g", {"clip-path": "url(#window)", "transform": moved, "class": "pixels"}, *images)
    frame = {"class": "frame", "x": MARGIN, "y": MARGIN, "width": wide, "height": high}
    return [window, screen, element("rect", frame)], wide, high


def _sheet(clock: _Clock, shown: Pictures, i: int, frames: int) -> Markup:
    first = i * shown.on_a_sheet
    past = min(first + shown.on_a_sheet, frames)
    changes = [] if first == 0 else [(0, shown.width)]
    changes += [(frame, -(frame - first) * shown.width) for frame in range(first, past)]
    changes += [] if past == frames else [(past, shown.width)]
    size = {"width": shown.width * (past - first), "height": shown.height, "x": changes[0][1]}
    return element("image", {"href": png_uri(shown.sheets[i]), **size}, clock.animate("x", changes))


def _chips(found: Recorded, clock: _Clock, left: float, edge: float) -> tuple[list[Markup], float]:
    """The actions; the one taken is filled, the teacher's has a ring."""
    parts: list[Markup] = []
    x, y = left, MARGIN + 2.0
    for action, name in enumerate(found.actions[:12]):
        text = shortened(name, 20)
        wide = 7.4 * len(text) + 40.0
        if x + wide > edge and x > left:
            x, y = left, y + 36.0
        box = {"x": x, "y": y, "width": wide, "height": 26.0, "rx": 13}
        dot = {"class": f"k{action % TONES}", "x": x + 11, "y": y + 8, "width": 10, "height": 10, "rx": 3}
        ring = {"class": "ring", "x": x - 3.5, "y": y - 3.5, "width": wide + 7, "height": 33.0, "rx": 16.5}
        parts += [
            element("rect", {**box, "class": "chip"}),
            clock.while_it_is(found.taken, action, "rect", {**box, "class": "on"}),
            Markup("") if found.wanted is None else clock.while_it_is(found.wanted, action, "rect", ring),
            element("rect", dot),
            element("text", {"x": x + 27, "y": y + 18}, text),
        ]
        x += wide + 12.0
    return parts, y + 26.0


def wrapped(lines: Sequence[Line], room: int) -> list[list[tuple[int, str, int | None]]]:
    """Lines of at most so many characters, each in (place, text, guard); what is broken off is indented.

    Examples
    --------
    >>> wrapped([(("right if d > 20.5", 0), ("; ", None), ("else stay", 1))], 25)
    [[(0, 'right if d > 20.5', 0), (17, '; ', None)], [(2, 'else stay', 1)]]
    """
    out: list[list[tuple[int, str, int | None]]] = []
    for line in lines:
        row: list[tuple[int, str, int | None]] = []
        at = 0
        for text, guard in line:
            if guard is not None and at and at + len(text) > room >= len(text) + 2:
                out.append(row)  # what decides stands together where it can
                row, at = [], 2
            for word in _words(text):
                if at and at + len(word.rstrip()) > room:
                    out.append(row)
                    row, at = [], 2
                for part in [word[i : i + room] for i in range(0, len(word), room)] or [""]:
                    if row and row[-1][2] == guard and row[-1][0] + len(row[-1][1]) == at:
                        row[-1] = (row[-1][0], row[-1][1] + part, guard)
                    elif part:
                        row.append((at, part, guard))
                    at += len(part)
        out.append(row)
    return out


def _words(text: str) -> list[str]:
    """The words of a text, each with the blanks after it; blanks at the start are a word."""
    words: list[str] = []
    for character in text:
        if not words or (words[-1].endswith(" ") and character != " "):
            words.append("")
        words[-1] += character
    return words


def _program(found: Recorded, clock: _Clock, left: float, top: float) -> tuple[list[Markup], float]:
    """The text, a mark behind what decides; and where it ends."""
    rows = wrapped(found.lines, int((WIDTH - MARGIN - left) / ADVANCE))
    marks: list[Markup] = []
    words: list[Markup] = []
    for k, row in enumerate(rows[:MOST_LINES]):
        y = top + LINE * k
        for at, text, guard in row:
            bare = text.lstrip(" ")
            x, wide = left + ADVANCE * (at + len(text) - len(bare)), ADVANCE * len(bare.rstrip(" "))
            if guard is not None and found.firing is not None:
                box = {"class": "lit", "x": x - 3, "y": y + 2, "width": wide + 6, "height": LINE - 3, "rx": 4}
                marks.append(clock.while_it_is(found.firing, guard, "rect", box))
            if bare.strip():
                size = {"textLength": wide, "lengthAdjust": "spacingAndGlyphs"}
                words.append(element("text", {"class": "code", "x": x, "y": y + 17, **size}, bare.rstrip(" ")))
    if len(rows) > MOST_LINES:
        more = f"… {len(rows) - MOST_LINES} more lines"
        words.append(element("text", {"class": "small", "x": left, "y": top + LINE * MOST_LINES + 17}, more))
    return [*marks, *words], top + LINE * min(len(rows), MOST_LINES + 1)


def _lanes(found: Recorded, clock: _Clock, top: float) -> tuple[list[Markup], float]:
    """The actions over time, the player's above the teacher's; the return so far; a cursor."""
    left, right = MARGIN + 66.0, WIDTH - MARGIN
    step = (right - left) / found.frames
    parts: list[Markup] = []
    y = top
    for name, values in (("acts", found.taken), ("teacher", found.wanted)):
        if values is None:
            continue
        parts.append(element("text", {"class": "small", "x": MARGIN, "y": y + 11}, name))
        for a, b, v in runs(values):
            box = {"x": f"{left + step * a:.2f}", "y": y, "width": f"{step * (b - a):.2f}", "height": 12}
            parts.append(element("rect", {"class": f"k{v % TONES}", **box}))
        y += 16.0
    low, span = float(found.gained.min()), float(np.ptp(found.gained)) or 1.0
    heights = y + 46.0 - 40.0 * (found.gained - low) / span
    points = f"M{place(left)} {place(float(heights[0]))}" + "".join(
        f"H{place(left + step * i)}V{place(float(heights[i]))}"
        for i in range(1, found.frames)
        if heights[i] != heights[i - 1]
    )
    parts.append(element("text", {"class": "small", "x": MARGIN, "y": y + 30}, "return"))
    parts.append(element("path", {"class": "seen", "d": f"{points}H{place(right)}"}))
    parts.append(clock.cursor(left, right, top - 3.0, y + 48.0))
    return parts, y + 48.0
