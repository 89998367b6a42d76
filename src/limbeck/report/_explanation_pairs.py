"""Interactions of an explained row: a table of pairs, and the same pairs as a matrix in two colours.

Source
------
Own.

Cost
----
O(pairs ** 2).
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from limbeck.report._explanation_image_svg import Canvas, pair_svg
from limbeck.report._explanation_names import members
from limbeck.report._explanation_tones import full_scale, score_text, tone
from limbeck.report._explanation_values import ExplainedRow, Pair
from limbeck.report._svg import element, place
from limbeck.report._words import shortened

__all__ = ["MAX_PAIRS", "pairs_view"]

MAX_PAIRS = 12
CELL, LETTERS = 47.0, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def pairs_view(row: ExplainedRow, canvas: Canvas | None) -> dict[str, Any] | None:
    """The lines of the table and the matrix; None where there are no interactions."""
    pairs = row.pairs[:MAX_PAIRS]
    if not pairs:
        return None
    groups = list(dict.fromkeys(side for pair in pairs for side in (pair.a, pair.b)))
    letters = {group: LETTERS[i] for i, group in enumerate(groups)}
    full = full_scale([pair.value for pair in pairs])
    lines = []
    for pair in pairs:
        a, b = (members(row, side) for side in (pair.a, pair.b))
        text = score_text(pair.value, full)
        way = f"{'raise' if pair.value > 0 else 'lower'} the output by {text[1:]}"
        lines.append(
            {
                "a": {"letter": letters[pair.a], "words": a},
                "b": {"letter": letters[pair.b], "words": b},
                "value": text,
                "sentence": f"Together they {'do nothing' if text == '0' else way} beyond the sum of the two.",
                "picture": _picture(canvas, pair, letters) if canvas else None,
            }
        )
    return {"lines": lines, "matrix": _matrix(row, groups, full), "full": score_text(full, full)[1:],
            "more": len(row.pairs) - len(pairs)}  # fmt: skip


def _picture(canvas: Canvas, pair: Pair, letters: dict[tuple[int, ...], str]) -> Markup:
    return pair_svg(canvas, (pair.a, letters[pair.a]), (pair.b, letters[pair.b]))


def _matrix(row: ExplainedRow, groups: list[tuple[int, ...]], full: float) -> Markup:
    """A square for each pair, in the colour of its interaction, with its number."""
    found = {}
    for pair in row.pairs[:MAX_PAIRS]:
        found[pair.a, pair.b] = found[pair.b, pair.a] = pair.value
    side = CELL * len(groups)
    parts = []
    for i, one in enumerate(groups):
        words = element("title", {}, shortened(members(row, one), 200))
        at = 26 + CELL * (i + 0.5)
        parts.append(element("text", {"class": "who middle", "x": at, "y": 17}, words, LETTERS[i]))
        parts.append(element("text", {"class": "who middle", "x": 12, "y": at + 4.5}, words, LETTERS[i]))
        for k, other in enumerate(groups):
            parts.append(_cell(found.get((one, other)), i, k, full))
    head = (
        element("title", {}, "The interactions as a matrix"),
        element("desc", {}, "The same numbers as in the table."),
    )
    size = {"viewBox": f"0 0 {place(side + 28)} {place(side + 28)}", "width": place(side + 28)}
    return element("svg", {"class": "matrix-svg", **size, "role": "img"}, *head, *parts)


def _cell(value: float | None, i: int, k: int, full: float) -> Markup:
    box = {"x": 26 + CELL * k + 1, "y": 26 + CELL * i + 1, "width": CELL - 2, "height": CELL - 2, "rx": 4}
    if value is None:
        return element("rect", {"class": "self" if i == k else "unknown", **box})
    text = score_text(value, full)
    label = {"class": "cell middle", "x": 26 + CELL * (k + 0.5), "y": 26 + CELL * (i + 0.5) + 4}
    return element(
        "g",
        {},
        element("title", {}, f"{LETTERS[i]} with {LETTERS[k]}: {text}"),
        element("rect", {**tone(value, full), **box}),
        element("text", label, text),
    )
