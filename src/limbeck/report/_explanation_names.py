"""Groups of units in words: a phrase, a stretch of steps, names of columns, a number of pixels.

Source
------
Own.

Cost
----
O(units of the group).
"""

from __future__ import annotations

from collections.abc import Sequence

from limbeck.report._explanation_levels import runs
from limbeck.report._explanation_values import Curves, ExplainedRow, Picture, Words
from limbeck.report._words import joined, plural, shortened

__all__ = ["members", "unit_line"]

MAX_NAMED, MAX_TEXT = 6, 120


def members(row: ExplainedRow, units: Sequence[int]) -> str:
    """Units in words.

    A phrase has an ellipsis where words between are left out: “not … good”.
    """
    if row.lost is not None:
        return _named(row, units)
    if isinstance(row.input, Picture):
        return _area(row, row.input, units)
    stretches = runs(position for unit in units for position in row.units[unit].positions)
    if isinstance(row.input, Words):
        words = row.input.words
        phrase = " … ".join(" ".join(shortened(word, 30) for word in words[start:end]) for start, end in stretches)
        return f"“{shortened(phrase, 120)}”"
    if isinstance(row.input, Curves):
        said = [f"{start}" if end == start + 1 else f"{start} to {end - 1}" for start, end in stretches]
        more = f" and {len(said) - MAX_NAMED} more stretches" if len(said) > MAX_NAMED else ""
        one = "step" if len(stretches) == 1 and stretches[0][1] == stretches[0][0] + 1 else "steps"
        return f"{one} {', '.join(said[:MAX_NAMED])}{more}" if more else f"{one} {joined(said)}"
    return _named(row, units)


def _named(row: ExplainedRow, units: Sequence[int]) -> str:
    names = [shortened(row.units[unit].name, 40) for unit in units]
    if len(names) > MAX_NAMED + 1:
        return f"{', '.join(names[:MAX_NAMED])} and {len(names) - MAX_NAMED} more"
    return joined(names)


def _area(row: ExplainedRow, picture: Picture, units: Sequence[int]) -> str:
    """How many pixels, and between which lines of the picture."""
    pixels = {position for unit in units for position in row.units[unit].positions}
    width = picture.values.shape[1]
    if len(pixels) == 1:
        return "the pixel in row {}, column {}".format(*divmod(min(pixels), width))
    down, across = sorted(p // width for p in pixels), sorted(p % width for p in pixels)
    where = f"rows {down[0]} to {down[-1]}, columns {across[0]} to {across[-1]}"
    made = "" if len(units) in (1, len(pixels)) else f" in {len(units)} units"
    return f"{plural(len(pixels), 'pixel')}{made} ({where})"


def unit_line(row: ExplainedRow, unit: int) -> tuple[str, str]:
    """A unit's name and value, as they stand in a line."""
    own = row.units[unit]
    if isinstance(row.input, Words):
        return shortened(" ".join(row.input.words[position] for position in own.positions), MAX_TEXT), ""
    if isinstance(row.input, Picture | Curves):
        return shortened(own.name, MAX_TEXT), ""
    values = ", ".join(row.input.values[position] for position in own.positions)
    return shortened(own.name, MAX_TEXT), shortened(values, MAX_TEXT)
