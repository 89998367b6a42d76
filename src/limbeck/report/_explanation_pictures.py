"""The pictures of an explained row, by what its input is: an image, a text, a signal, a row of a table.

Source
------
Own.

Cost
----
The pictures themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.report._explanation_across_svg import sentence_svg
from limbeck.report._explanation_image_svg import TAGS, Canvas, heat_svg, level_svg, picture_svg
from limbeck.report._explanation_levels import groups_at, leaf_order, shown_levels
from limbeck.report._explanation_names import members, unit_line
from limbeck.report._explanation_parts_svg import DRAWN_CHANNELS, parts_svg
from limbeck.report._explanation_rows_svg import Line, rows_svg
from limbeck.report._explanation_signal_svg import MAX_CHANNELS, MAX_POINTS, signal_svg
from limbeck.report._explanation_tones import full_scale, score_text, share, tone_class
from limbeck.report._explanation_values import Cells, Curves, ExplainedRow, Picture, Words
from limbeck.report._words import count, plural, shortened

__all__ = ["Limits", "pictures"]

WIDE, NARROW = 1040, 368
MAX_ACROSS = 1_400.0
DEEP, DEEP_NARROW = 8, 4
MAX_BARS = 12
COUNTS = 0.1
"""A second group counts where its score is this share of the first one's."""
Parts = tuple[dict[str, Any], list[str], Canvas | None]


@dataclass(frozen=True)
class Limits:
    """How much of a row is shown: levels, units in a list, pixels a side, rows, lines of a table of groups, parts."""

    levels: int
    units: int
    pixels: int
    rows: int
    groups: int
    parts: int


def pictures(row: ExplainedRow, index: int, limits: Limits) -> Parts:
    """What the template draws of a row, notes on what is left out, and the canvas of an image."""
    if row.lost is not None:
        return _transformed(row, limits)
    return PARTS[type(row.input)](row, index, limits)


def _transformed(row: ExplainedRow, limits: Limits) -> Parts:
    """The groups of coefficients of any input."""
    shown = min(limits.parts, len(row.parts))
    notes = [f"The {shown} strongest of {count(len(row.units))} groups."] if shown < len(row.units) else []
    if isinstance(row.input, Curves) and len(row.input.channels) > DRAWN_CHANNELS:
        notes.append(f"The first {DRAWN_CHANNELS} of {len(row.input.channels)} channels are drawn.")
    return {"wide": parts_svg(row, WIDE, shown), "narrow": parts_svg(row, NARROW, shown), "more": ""}, notes, None


def _scale(full: float, kind: str, words: str, ends: bool = True) -> dict[str, Any]:
    """The legend of a picture."""
    text = score_text(full, full)
    return {"kind": kind, "low": f"−{text[1:]}", "high": text, "words": words, "is_exact": ends}


def _group_scale(row: ExplainedRow, *, with_units: bool) -> float:
    scores = [group.score for group in row.groups if len(group.units) > 1 or not with_units]
    return full_scale([*scores, *(row.alone if with_units else ())])


def _image(row: ExplainedRow, index: int, limits: Limits) -> Parts:
    canvas = Canvas.of(row, f"picture-{index}", limits.pixels)
    picture = picture_svg(canvas, "The picture that was explained")
    heat, own = heat_svg(canvas, row)
    full = _group_scale(row, with_units=False)
    levels = shown_levels(row.groups, limits.levels)
    shown = [_level(canvas, row, level, full) for level in levels]
    notes = _few_levels(row, levels)
    if canvas.coarse > 1:
        notes.append(f"To stay small, {canvas.coarse} × {canvas.coarse} pixels are drawn as one.")
    is_clipped = own < full_scale(row.alone)
    view = {
        "picture": picture,
        "heat": heat,
        "heat_scale": _scale(own, "deep", "of a single unit" + (", and beyond" if is_clipped else "")),
        "levels": shown,
        "chosen": _telling(row, levels),
        "scale": _scale(full, "soft", "of a group"),
        "bars": None if row.groups else _bars(row, MAX_BARS),
    }
    return view, notes, canvas


def _telling(row: ExplainedRow, levels: Sequence[int]) -> int:
    """Which level is shown first: the last one with a second group that counts; else the last."""
    for i in reversed(range(len(levels))):
        sizes = [abs(row.groups[k].score) for k in groups_at(row.groups, levels[i])[:2]]
        if len(sizes) == 2 and sizes[1] >= COUNTS * sizes[0]:
            return i
    return max(len(levels) - 1, 0)


def _level(canvas: Canvas, row: ExplainedRow, level: int, full: float) -> dict[str, Any]:
    found = groups_at(row.groups, level)
    chips = [
        {
            "rank": rank,
            "score": score_text(row.groups[i].score, full),
            "tone": tone_class(row.groups[i].score),
            "share": f"{max(share(row.groups[i].score, full), 0.15):.2f}",
        }
        for rank, i in enumerate(found[:TAGS], 1)
    ]
    return {
        "level": count(level),
        "count": len(found),
        "groups": plural(len(found), "group"),
        "svg": level_svg(canvas, row, level, full),
        "chips": chips,
        "more": f"and {len(found) - TAGS} weaker" if len(found) > TAGS else "",
    }


def _few_levels(row: ExplainedRow, levels: Sequence[int]) -> list[str]:
    every = len({group.level for group in row.groups})
    return [f"{len(levels)} of {every} levels are drawn, evenly spread."] if every > len(levels) else []


def _lines(row: ExplainedRow, units: Sequence[int]) -> list[Line]:
    return [Line(unit, *unit_line(row, unit)) for unit in units]


def _bars(row: ExplainedRow, most: int) -> dict[str, Any]:
    """The strongest units as bars."""
    units = sorted(range(len(row.units)), key=lambda i: (-abs(row.alone[i]), i))[:most]
    return _listed(row, units, ())


def _listed(row: ExplainedRow, units: Sequence[int], levels: Sequence[int]) -> dict[str, Any]:
    lines, full = _lines(row, units), _group_scale(row, with_units=True)

    def name(group: Sequence[int]) -> str:
        return members(row, group)

    few = shown_levels([group for group in row.groups if group.level in levels], DEEP_NARROW)
    return {
        "wide": rows_svg(row, lines, WIDE, levels, full, name),
        "narrow": rows_svg(row, lines, NARROW, few, full, name),
        "more": f"The {len(units)} strongest of {len(row.units)} units." if len(units) < len(row.units) else "",
    }


def _mark(word: str, score: float, full: float) -> dict[str, Any]:
    return {"word": word, "tone": tone_class(score), "share": f"{share(score, full):.2f}"}


def _text(row: ExplainedRow, index: int, limits: Limits) -> Parts:
    words = row.input.words if isinstance(row.input, Words) else ()
    full = _group_scale(row, with_units=True)
    scores = {position: row.alone[i] for i, unit in enumerate(row.units) for position in unit.positions}
    marks = [_mark(shortened(word, 60), scores.get(i, 0.0), full) for i, word in enumerate(words)]
    levels = shown_levels(row.groups, limits.levels * 3)
    across, wide = None, 0.0
    if row.groups and len(words) <= 60:
        across, wide = sentence_svg(row, words, levels, full, lambda group: members(row, group))
    order = list(range(len(row.units)))[: limits.units]
    listed = _listed(row, order, shown_levels(row.groups, DEEP)) if row.groups else _bars(row, limits.units)
    notes = _few_levels(row, levels if wide and wide <= MAX_ACROSS else shown_levels(row.groups, DEEP))
    if row.groups and len(order) < len(row.units):
        listed["more"] = f"The first {len(order)} of {len(row.units)} words."
    view = {
        "marks": marks,
        "across": across if wide <= MAX_ACROSS else None,
        "listed": listed,
        "scale": _scale(full, "soft", "of a word or a group"),
    }
    return view, notes, None


def _signal(row: ExplainedRow, index: int, limits: Limits) -> Parts:
    full = _group_scale(row, with_units=True)
    levels = shown_levels(row.groups, limits.levels)

    def name(group: Sequence[int]) -> str:
        return members(row, group)

    notes = _few_levels(row, levels)
    channels, steps = row.input.channels.shape if isinstance(row.input, Curves) else (1, 1)
    if channels > MAX_CHANNELS:
        notes.append(f"The first {MAX_CHANNELS} of {channels} channels are drawn.")
    if steps > MAX_POINTS:
        notes.append(f"Of {count(steps)} steps, the lowest and the highest of each short stretch are drawn.")
    view = {
        "wide": signal_svg(row, WIDE, levels, full, name),
        "narrow": signal_svg(row, NARROW, levels, full, name),
        "scale": _scale(full, "soft", "of a window or a group"),
        "bars": None if row.groups else _bars(row, MAX_BARS),
    }
    return view, notes, None


def _table(row: ExplainedRow, index: int, limits: Limits) -> Parts:
    levels = shown_levels(row.groups, DEEP)
    order = leaf_order(row)[: limits.units]
    listed = _listed(row, order, levels) if row.groups else _bars(row, limits.units)
    if row.groups and len(order) < len(row.units):
        listed["more"] = f"{len(order)} of {len(row.units)} columns."
    view = {"listed": listed, "scale": _scale(_group_scale(row, with_units=True), "soft", "of a column or a group")}
    return view, _few_levels(row, levels), None


PARTS = {Picture: _image, Words: _text, Curves: _signal, Cells: _table}
