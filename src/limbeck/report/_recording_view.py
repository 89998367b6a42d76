"""A recorded episode as the template shows it: pictures or curves, the program in pieces, lanes of actions over time.

Source
------
Own.

Cost
----
O(frames).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.report._embed import json_block
from limbeck.report._images import png_uri
from limbeck.report._recording_values import Recorded
from limbeck.report._svg import element, place
from limbeck.report._words import number, plural, shortened

__all__ = ["MOST_CURVES", "curves_svg", "episode_view", "runs", "seen", "sentence"]

MOST_CURVES = 8
MOST_VALUES = 12
MOST_CHIPS = 12
TONES = 8
"""So many colours for actions; after them they begin again."""


def episode_view(found: Recorded) -> dict[str, Any]:
    """What the player shows; frame 0 stands still where scripts don't run."""
    used = _used(found)
    return {
        "sentence": sentence(found),
        "screen": curves_svg(found, 640, 360) if found.pictures is None else _screen(found),
        "shape": _shape(found),
        "caption": _caption(found),
        "lines": [
            [{"text": text, "guard": guard, "fires": _fires(found, guard)} for text, guard in line]
            for line in found.lines
        ],
        "is_long": len(found.lines) > 14,
        "chips": [
            {"name": shortened(name, 24), "tone": f"k{a % TONES}", "on": int(found.taken[0]) == a}
            for a, name in enumerate(found.actions[:MOST_CHIPS])
        ],
        "has_teacher": found.wanted is not None,
        "values": [{"name": shortened(found.columns[j], 24), "text": _value(found.rows[0, j])} for j in used],
        "lanes": _lanes(found),
        "gained": _gained_svg(found),
        "last": found.frames - 1,
        "data": _data(found, used),
    }


def sentence(found: Recorded) -> str:
    """What is seen, in words."""
    whose = shortened(found.player, 60)
    shown = "" if found.every == 1 else f", every {_ordinal(found.every)} of them"
    rest = f" The first {plural(found.frames * found.every, 'step')} are shown{shown}." if found.is_cut else ""
    if not found.is_cut and shown:
        rest = f" Every {_ordinal(found.every)} step is shown."
    return (
        f"{shortened(found.environment, 60)}, seed {found.seed}: {whose} plays {plural(found.steps, 'step')} and "
        f"scores {number(found.total)}.{rest}"
    )


def _shape(found: Recorded) -> str:
    shown = found.pictures
    return "drawn" if shown is None else "wide" if shown.width > shown.height else ""


def _ordinal(n: int) -> str:
    ends = {1: "st", 2: "nd", 3: "rd"}
    return f"{n}{'th' if 10 < n % 100 < 14 else ends.get(n % 10, 'th')}"


def _caption(found: Recorded) -> str:
    if found.wanted is None:
        return ""
    same = int((found.wanted == found.taken).sum())
    return f"In {same} of these {plural(found.frames, 'picture')} the teacher would do the same."


def _fires(found: Recorded, guard: int | None) -> bool:
    return guard is not None and found.firing is not None and int(found.firing[0]) == guard


def _value(value: float) -> str:
    return number(float(value), 3)


def _used(found: Recorded) -> list[int]:
    """The columns whose numbers are shown: those that the program compares, else the first."""
    return list(found.used or range(len(found.columns)))[:MOST_VALUES]


def _screen(found: Recorded) -> Markup:
    """The sheets, one seen at a time through a window of one frame."""
    shown = found.pictures
    if shown is None:
        return Markup("")
    images = [
        element(
            "image",
            {
                "href": png_uri(sheet),
                "width": shown.width * min(shown.on_a_sheet, found.frames - i * shown.on_a_sheet),
                "height": shown.height,
                "x": 0 if i == 0 else shown.width,
                "data-sheet": i,
            },
        )
        for i, sheet in enumerate(shown.sheets)
    ]
    attributes = {
        "class": "screen-svg pixels",
        "viewBox": f"0 0 {shown.width} {shown.height}",
        "role": "img",
        "aria-label": f"What {shortened(found.environment, 60)} shows",
    }
    return element("svg", attributes, *images)


def seen(found: Recorded) -> list[int]:
    """The columns that are drawn as curves where there is no picture."""
    used = _used(found)
    moving = [j for j in used if np.ptp(found.rows[:, j]) > 0]
    return (moving or used)[:MOST_CURVES]


def curves_svg(found: Recorded, width: int, height: int) -> Markup:
    """What was seen as a lane of its own for each column, each over its own range."""
    columns = seen(found)
    tall, left, right = height / len(columns), 120.0, width - 12.0
    parts = []
    for k, j in enumerate(columns):
        values, top = found.rows[:, j], k * tall
        low, span = float(values.min()), float(np.ptp(values)) or 1.0
        ys = top + tall - 7 - (values - low) / span * (tall - 14)
        xs = left + (right - left) * np.arange(found.frames) / max(found.frames - 1, 1)
        points = " ".join(f"{place(float(x))},{place(float(y))}" for x, y in zip(xs, ys, strict=True))
        parts.append(element("path", {"class": "rule", "d": f"M{place(left)} {place(top + tall)}H{place(right)}"}))
        name = shortened(found.columns[j], 16)
        parts.append(element("text", {"class": "curve-name", "x": 4, "y": top + tall / 2}, name))
        span_text = f"{_value(low)} to {_value(low + float(np.ptp(values)))}"
        parts.append(element("text", {"class": "tick", "x": 4, "y": top + tall / 2 + 15}, span_text))
        parts.append(element("polyline", {"class": "seen", "points": points}))
    cursor = {"class": "cursor", "x1": left, "x2": left, "y1": 0, "y2": height, "data-from": left, "data-to": right}
    parts.append(element("line", cursor))
    attributes = {
        "class": "screen-svg curves-svg",
        "viewBox": f"0 0 {width} {height}",
        "role": "img",
        "aria-label": f"What was seen, column by column, over {plural(found.frames, 'picture')}",
    }
    return element("svg", attributes, *parts)


def runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """Equal neighbours as (first, past the last, value)."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return [(a, b, int(values[a])) for a, b in pairwise(edges)]


def _lanes(found: Recorded) -> list[dict[str, Any]]:
    """The actions over time, those of the player above those of the teacher."""
    lanes = [("acts", found.taken)] + ([] if found.wanted is None else [("teacher", found.wanted)])
    return [{"name": name, "svg": _lane_svg(values, found.frames)} for name, values in lanes]


def _lane_svg(values: np.ndarray, frames: int) -> Markup:
    rects = [
        element("rect", {"class": f"k{v % TONES}", "x": a, "y": 0, "width": b - a, "height": 1})
        for a, b, v in runs(values)
    ]
    attributes = {"viewBox": f"0 0 {frames} 1", "preserveAspectRatio": "none", "aria-hidden": "true"}
    return element("svg", attributes, *rects)


def _gained_svg(found: Recorded) -> dict[str, Any]:
    """The return so far as a stepped line over time."""
    values = found.gained
    low, span = float(values.min()), float(np.ptp(values)) or 1.0
    path = "".join(
        f"{'M' if i == 0 else 'H'}{a}{' ' if i == 0 else 'V'}{place(40 - 36 * (float(values[a]) - low) / span)}"
        for i, (a, _, _) in enumerate(_steps(values))
    )
    attributes = {"viewBox": f"0 0 {found.frames} 42", "preserveAspectRatio": "none", "aria-hidden": "true"}
    line = element("path", {"class": "seen", "d": f"{path}H{found.frames}", "vector-effect": "non-scaling-stroke"})
    return {"svg": element("svg", attributes, line), "low": number(low), "high": number(low + float(np.ptp(values)))}


def _steps(values: np.ndarray) -> list[tuple[int, int, int]]:
    _, codes = np.unique(values, return_inverse=True)
    return runs(codes.reshape(-1))


def _data(found: Recorded, used: list[int]) -> Markup:
    """What the player needs, a list entry a frame."""
    shown = found.pictures
    return json_block(
        {
            "taken": found.taken.tolist(),
            "wanted": None if found.wanted is None else found.wanted.tolist(),
            "firing": None if found.firing is None else found.firing.tolist(),
            "gained": [number(float(v)) for v in found.gained],
            "values": [[_value(v) for v in row] for row in found.rows[:, used].tolist()],
            "every": found.every,
            "fps": found.fps,
            "width": 0 if shown is None else shown.width,
            "many": 1 if shown is None else shown.on_a_sheet,
        }
    )
