"""Groups as boxes across a line of words or of time: a box spans its own places, and a thin line leads over the others.

Source
------
Own drawing: a tree of boxes in which a child lies under its parent, so that the parent can hold places that are not
neighbours.

Cost
----
O(groups * places).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from limbeck.report._explanation_levels import Box, boxes, runs
from limbeck.report._explanation_tones import score_text, tone
from limbeck.report._explanation_values import ExplainedRow
from limbeck.report._svg import element, place
from limbeck.report._words import shortened

__all__ = ["LINE", "box_parts", "described", "sentence_svg", "text_width"]

BOX, LINE = 24.0, 36.0
"""How high a box is, and how far it is from one to the next."""
WORD, LETTER = 54.0, 8.0
SCORE = 7.2
LARGER, ROOM = 1.3, 1_110.0
"""A short sentence is drawn larger, where there is room for it."""
MAX_WORD = 24


def text_width(text: str, letter: float = LETTER) -> float:
    """About how wide a text is: wide letters count twice.

    Examples
    --------
    >>> [round(text_width(text, 10.0)) for text in ("good", "好")]
    [40, 20]
    """
    return letter * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def described(row: ExplainedRow, drawn: Sequence[Box], full: float, name: Callable[[Sequence[int]], str]) -> str:
    """The strongest groups in words, for those who hear the page."""
    strongest = sorted(drawn, key=lambda box: (-abs(box.score), box.group))[:6]
    words = [f"{name(row.groups[box.group].units)} {score_text(box.score, full)}" for box in strongest]
    return f"The strongest groups: {'; '.join(words)}." if words else "There are no groups, only single units."


def box_parts(
    drawn: Sequence[Box],
    row: ExplainedRow,
    full: float,
    *,
    at: Callable[[int], float],
    line: Callable[[int], float],
    name: Callable[[Sequence[int]], str],
    letter: float = SCORE,
) -> tuple[list[Markup], list[Markup]]:
    """The lines between the boxes, and the boxes.

    Parameters
    ----------
    drawn : sequence of Box
        What is drawn.
    row : ExplainedRow
        Whose groups they are.
    full : float
        The score of the full colour.
    at : callable
        Where a place begins, from left to right.
    line : callable
        The middle of the boxes of a height; height 0 is where the places themselves are.
    name : callable
        Units in words, for the hover text.
    letter : float
        How wide a letter of a score is; a score that has no room in its box is left out.
    """
    by_group = {box.group: box for box in drawn}
    lines, shapes = [], []
    for box in drawn:
        lines += _links(box, by_group, row, at, line)
        shapes.append(_box(box, full, at, line(box.height), name(row.groups[box.group].units), letter))
    return lines, shapes


def _links(
    box: Box, by_group: Mapping[int, Box], row: ExplainedRow, at: Callable[[int], float], line: Callable[[int], float]
) -> list[Markup]:
    """The lines from the boxes and the single units below a box to its far edge."""
    up = 1 if line(1) < line(0) else -1
    ends = [(by_group[child].widest, line(by_group[child].height) - up * BOX / 2) for child in box.below]
    for unit in box.bare:
        ends.append((max(runs(row.units[unit].positions), key=lambda run: run[1] - run[0]), line(0)))
    far = line(box.height) + up * BOX / 2
    return [
        element("path", {"class": "link", "d": f"M{place((at(low) + at(high)) / 2)} {place(start)}V{place(far)}"})
        for (low, high), start in ends
    ]


def _box(box: Box, full: float, at: Callable[[int], float], y: float, words: str, letter: float) -> Markup:
    look = tone(box.score, full)
    text = score_text(box.score, full)
    parts = [element("title", {}, f"{words}: {text}")]
    for (_, end), (start, _) in zip(box.runs, box.runs[1:], strict=False):
        over = f"M{place(at(end) - 2)} {place(y)}H{place(at(start) + 2)}"
        parts.append(element("path", {"class": f"over edge-{look['class']}", "d": over}))
    for start, end in box.runs:
        gap = 2.0 if at(end) - at(start) > 10 else 0.4
        size = {"x": at(start) + gap, "y": y - BOX / 2, "width": at(end) - at(start) - 2 * gap, "height": BOX, "rx": 5}
        parts.append(element("rect", {"class": "base", **size}))
        parts.append(element("rect", {**look, **size, "class": f"{look['class']} edge-{look['class']}"}))
    low, high = box.widest
    if at(high) - at(low) >= text_width(text, letter):
        label = {"class": "score middle", "x": (at(low) + at(high)) / 2, "y": y + 4.5}
        parts.append(element("text", label, text))
    return element("g", {"class": "box"}, *parts)


def sentence_svg(
    row: ExplainedRow, words: Sequence[str], levels: Sequence[int], full: float, name: Callable[[Sequence[int]], str]
) -> tuple[Markup, float]:
    """A text as a tree, its words at the bottom, and how wide the drawing is."""
    drawn = boxes(row.groups, [unit.positions for unit in row.units], levels)
    shown = [shortened(word, MAX_WORD) for word in words]
    ends = [4.0]
    for word in shown:
        ends.append(ends[-1] + max(WORD, text_width(word) + 18))
    height = max((box.height for box in drawn), default=0)
    bottom = LINE * height + (54 if height else 34)

    def line(k: int) -> float:
        return bottom - 22 - LINE * k - (8 if k else 0)

    scores = {position: row.alone[i] for i, unit in enumerate(row.units) for position in unit.positions}
    leaves = [_word(word, words[i], scores.get(i), ends[i], ends[i + 1], bottom, full) for i, word in enumerate(shown)]
    links, solid = box_parts(drawn, row, full, at=lambda p: ends[p], line=line, name=name)
    drawn_wide = place(min(ends[-1] * LARGER, max(ends[-1] + 4, ROOM)))
    size = {"viewBox": f"0 0 {place(ends[-1] + 4)} {place(bottom + 30)}", "width": drawn_wide}
    head = element("title", {}, "The text as a tree of groups"), element("desc", {}, described(row, drawn, full, name))
    whole = element("svg", {"class": "sentence-svg", **size, "role": "img"}, *head, *links, *leaves, *solid)
    return whole, ends[-1] + 4


def _word(shown: str, word: str, score: float | None, left: float, right: float, bottom: float, full: float) -> Markup:
    """A word in its box, its own score under it."""
    look = tone(score or 0.0, full)
    box = {"x": left + 2, "y": bottom - 28, "width": right - left - 4, "height": 54, "rx": 6}
    middle = (left + right) / 2
    text = "not scored" if score is None else score_text(score, full)
    return element(
        "g",
        {"class": "word"},
        element("title", {}, f"“{shortened(word, 120)}”: {text}"),
        element("rect", {"class": "base", **box}),
        element("rect", {**look, **box}),
        element("text", {"class": "token middle", "x": middle, "y": bottom - 5}, shown),
        element("text", {"class": "own middle", "x": middle, "y": bottom + 15}, "–" if score is None else text),
    )
