"""Units one under the other: name, value and own score as a bar, and to the right the groups as a dendrogram.

Source
------
Own drawing. Units of a table stand in the order of the tree, so that every group is one piece; words stay in theirs.

Cost
----
O(groups * units).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck.report._explanation_across_svg import described, text_width
from limbeck.report._explanation_levels import Box, boxes
from limbeck.report._explanation_tones import full_scale, score_text, share, tone, tone_class
from limbeck.report._explanation_values import ExplainedRow
from limbeck.report._svg import element, place
from limbeck.report._words import shortened

__all__ = ["Line", "rows_svg", "score_bar"]

ROW, HEAD = 26.0, 26.0


@dataclass(frozen=True)
class Line:
    """A unit as a line: its number, its name, its value."""

    unit: int
    name: str
    value: str


@dataclass(frozen=True)
class _Frame:
    """Where the columns of the drawing begin."""

    name: float
    value: float
    bar: float
    tree: float
    step: float
    width: float


def _frame(lines: Sequence[Line], width: int, height: int) -> _Frame:
    """The columns of a drawing that is so wide, with a tree that is so many boxes deep."""
    narrow = width < 700
    name = min(max((text_width(line.name, 7.5) for line in lines), default=0.0) + 16, 96.0 if narrow else 260.0)
    value = min(max((text_width(line.value, 7.0) for line in lines), default=0.0) + 14, 52.0 if narrow else 170.0)
    value = 0.0 if not any(line.value for line in lines) else value
    bar = 84.0 if narrow else (200.0 if height else 420.0)
    if narrow and not height:
        bar = width - name - value - 10
    tree = name + value + bar + (6 if narrow else 12)
    step = min((width - tree) / height, 84.0) if height else 0.0
    return _Frame(name, value, bar, tree, step, tree + step * height if height else name + value + bar + 10)


def rows_svg(
    row: ExplainedRow,
    lines: Sequence[Line],
    width: int,
    levels: Sequence[int],
    full: float,
    name: Callable[[Sequence[int]], str],
) -> Markup:
    """The lines and the groups as one `svg` element of about such a width."""
    place_of = {line.unit: i for i, line in enumerate(lines)}
    places = [[place_of[i]] if i in place_of else [] for i in range(len(row.units))]
    drawn = boxes(row.groups, places, levels)
    deepest = max((box.height for box in drawn), default=0)
    frame = _frame(lines, width, deepest)
    own = full_scale([row.alone[line.unit] for line in lines])
    parts = [_head("its own score", frame.name + frame.value + frame.bar / 2, "middle")]
    if frame.value:
        parts.append(_head("value", frame.name + frame.value - 12, "end"))
    if drawn:
        parts.append(_head("groups →", frame.tree + 4, ""))
    for i, line in enumerate(lines):
        parts += _line(line, i, row.alone[line.unit], own, full, frame)
    parts += _tree(drawn, place_of, row, full, frame, name)
    middle = frame.name + frame.value + frame.bar / 2
    bottom = HEAD + ROW * len(lines)
    parts.append(element("path", {"class": "zero", "d": f"M{place(middle)} {place(HEAD)}V{place(bottom)}"}))
    head = element("title", {}, "The scores of the units and of their groups" if drawn else "The scores of the units")
    strongest = sorted(lines, key=lambda line: (-abs(row.alone[line.unit]), line.unit))[:6]
    words = "; ".join(f"{line.name} {score_text(row.alone[line.unit], own)}" for line in strongest)
    said = f"The strongest units: {words}. " + (described(row, drawn, full, name) if drawn else "")
    wide = min(float(width), frame.width + 4) if drawn or width > 700 else float(width)
    size = {"viewBox": f"0 0 {place(wide)} {place(bottom + 4)}", "class": "rows-svg", "role": "img"}
    return element("svg", {**size, "width": place(wide)}, head, element("desc", {}, said.strip()), *parts)


def _head(text: str, x: float, kind: str) -> Markup:
    return element("text", {"class": f"axis {kind}".strip(), "x": x, "y": HEAD - 9}, text)


def _line(line: Line, i: int, score: float, own: float, full: float, frame: _Frame) -> list[Markup]:
    """A unit: name, value, and its score as a bar from the middle."""
    y = HEAD + ROW * i
    parts = []
    if i % 2 == 0:
        parts.append(element("rect", {"class": "band", "x": 0, "y": y, "width": frame.tree - 6, "height": ROW}))
    room = int((frame.name - 14) / 7.4)
    label = {"class": "who", "x": 4, "y": y + 17.5}
    parts.append(element("text", label, element("title", {}, line.name), shortened(line.name, max(room, 4))))
    if frame.value:
        value = shortened(line.value, max(int((frame.value - 12) / 6.6), 3))
        at = {"class": "what end", "x": frame.name + frame.value - 12, "y": y + 17.5}
        parts.append(element("text", at, element("title", {}, line.value), value))
    middle = frame.name + frame.value + frame.bar / 2
    return [*parts, *score_bar(score, own, full, middle, frame.bar / 2, y)]


def score_bar(score: float, own: float, full: float, middle: float, room: float, y: float) -> list[Markup]:
    """A score as a bar from the middle, with its number: the longest is that of `own`, `full` says the decimals."""
    text = score_text(score, full)
    free = room - text_width(text, 7.4) - 8
    long = max(free, 8.0) * share(score, own)
    left = middle if score > 0 else middle - long
    bar = {"class": f"bar {tone_class(score)}", "x": left, "y": y + 6, "width": max(long, 0.6), "height": ROW - 12}
    side = {"x": middle + long + 5, "class": "own"} if score >= 0 else {"x": middle - long - 5, "class": "own end"}
    return [element("rect", {**bar, "rx": 2}), element("text", {**side, "y": y + 17.5}, text)]


def _tree(
    drawn: Sequence[Box],
    place_of: dict[int, int],
    row: ExplainedRow,
    full: float,
    frame: _Frame,
    name: Callable[[Sequence[int]], str],
) -> list[Markup]:
    """The boxes, each as high as its lines, and the lines that lead into them."""
    by_group = {box.group: box for box in drawn}
    wide = frame.step - (6 if frame.step < 60 else 12)
    links, shapes = [], []
    for box in drawn:
        x = frame.tree + frame.step * (box.height - 1)
        for child in box.below:
            one = by_group[child]
            y = HEAD + ROW * (one.widest[0] + one.widest[1]) / 2
            start = frame.tree + frame.step * (one.height - 1) + wide
            links.append(element("path", {"class": "link", "d": f"M{place(start)} {place(y)}H{place(x)}"}))
        for unit in box.bare:
            if unit in place_of:
                y = HEAD + ROW * (place_of[unit] + 0.5)
                d = f"M{place(frame.tree - 6)} {place(y)}H{place(x)}"
                links.append(element("path", {"class": "link", "d": d}))
        shapes.append(_box(box, x, wide, full, name(row.groups[box.group].units)))
    return [*links, *shapes]


def _box(box: Box, x: float, wide: float, full: float, words: str) -> Markup:
    look, text = tone(box.score, full), score_text(box.score, full)
    parts = [element("title", {}, f"{words}: {text}")]
    for (_, end), (start, _) in zip(box.runs, box.runs[1:], strict=False):
        over = f"M{place(x + wide / 2)} {place(HEAD + ROW * end - 3)}V{place(HEAD + ROW * start + 3)}"
        parts.append(element("path", {"class": f"over edge-{look['class']}", "d": over}))
    for start, end in box.runs:
        size = {"x": x, "y": HEAD + ROW * start + 3, "width": wide, "height": ROW * (end - start) - 6, "rx": 5}
        parts.append(element("rect", {"class": "base", **size}))
        parts.append(element("rect", {**look, **size, "class": f"{look['class']} edge-{look['class']}"}))
    low, high = box.widest
    label = {"class": "score middle", "x": x + wide / 2, "y": HEAD + ROW * (low + high) / 2 + 4.5}
    return element("g", {"class": "box"}, *parts, element("text", label, text))
