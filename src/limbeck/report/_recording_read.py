"""A document of a recorded episode as frozen values: what is missing or malformed is refused, with its place.

Source
------
Own: the document that `limbeck play` writes, ``recording.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.readable import readable_from_dict
from limbeck.report._entries import Entry, top_entry
from limbeck.report._recording_values import Pictures, Recorded

__all__ = ["FAMILIES", "read_policy_readable", "read_recording"]

FORMAT, VERSION = "limbeck-recording", 1
FAMILIES = ("program", "policy_tree")
MAX_FRAMES, MAX_COLUMNS, MAX_ACTIONS, MAX_SIDE, MAX_WIDTH = 2_000, 10_000, 1_000, 512, 16_384
AGAIN = "Write the document again with `limbeck play`."
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


def read_recording(data: Any) -> Recorded:
    """The episode in a parsed ``recording.json``.

    Raises
    ------
    InputError
        Where it is no such document, is of another version, or an entry is missing, is of another type, is a number
        that is not finite, or does not fit the others.
    """
    top = top_entry(data, "recording.json", (FORMAT, VERSION), ("a recording", "recordings"), "play", AGAIN)
    columns = tuple(one.text() for one in top["columns"].items(1, MAX_COLUMNS))
    actions = tuple(one.text() for one in top["actions"].items(1, MAX_ACTIONS))
    taken = _whole(top["taken"], len(actions))
    readable = None if top["readable"].value is None else read_policy_readable(top["readable"], columns, actions)
    frames = len(taken)
    decisions = () if readable is None else readable.decisions
    every, fps = top["every"].count(), top["fps"].number(0.0)
    if every < 1 or not 0.01 <= fps <= 240.0:
        raise (top["every"] if every < 1 else top["fps"]).wrong("at least 1, and fps from 0.01 to 240")
    return Recorded(
        environment=top["environment"].text(),
        player=top["player"].text(),
        family="" if readable is None else str(readable.family),
        columns=columns,
        actions=actions,
        lines=() if readable is None else readable.lines(),
        decisions=tuple(decisions),
        used=() if readable is None else readable.columns_used,
        seed=top["seed"].count(),
        steps=top["steps"].count(),
        total=top["return"].number(),
        every=every,
        fps=fps,
        rows=_rows(top["rows"], frames, len(columns)),
        taken=taken,
        wanted=None if top["wanted"].value is None else _whole(top["wanted"], len(actions), frames),
        firing=None if readable is None else _whole(top["firing"], len(decisions), frames),
        gained=_many(top["gained"], frames),
        pictures=None if top["pictures"].value is None else _pictures(top["pictures"], frames),
    )


def read_policy_readable(entry: Entry, columns: tuple[str, ...], actions: tuple[str, ...]) -> Any:
    """The program or tree of an entry; its columns begin with those of the run, its actions are the run's."""
    try:
        readable = readable_from_dict(entry.value)
        family = getattr(readable, "family", None)
    except (InputError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"{entry.at} is malformed: {str(error)[:200]}. {entry.again}") from None
    if family not in FAMILIES:
        raise entry.wrong("a program or a policy_tree")
    if tuple(readable.schema.names)[: len(columns)] != columns or tuple(readable.output_names) != actions:
        raise InputError(f"{entry.at} must be about the columns and actions of its document. {entry.again}")
    return readable


def _whole(entry: Entry, below: int, many: int | None = None) -> np.ndarray:
    """Whole numbers, one a frame."""
    found = np.array([one.count(below) for one in entry.items(1, MAX_FRAMES)], dtype=np.int64)
    return _fits(entry, found, many)


def _many(entry: Entry, many: int) -> np.ndarray:
    return _fits(entry, entry.numbers(), many)


def _fits(entry: Entry, found: np.ndarray, many: int | None) -> np.ndarray:
    if many is not None and len(found) != many:
        raise InputError(f"{entry.at} must hold {many} entries, one a frame; got {len(found)}. {entry.again}")
    return found


def _rows(entry: Entry, frames: int, columns: int) -> np.ndarray:
    found = [one.numbers() for one in entry.items(1, MAX_FRAMES)]
    wrong = next((i for i, row in enumerate(found) if len(row) != columns), None)
    if len(found) != frames or wrong is not None:
        raise InputError(f"{entry.at} must hold {frames} rows of {columns} numbers. {entry.again}")
    return np.array(found)


def _pictures(entry: Entry, frames: int) -> Pictures:
    width, height = entry["width"].count(MAX_SIDE + 1), entry["height"].count(MAX_SIDE + 1)
    many = entry["on_a_sheet"].count(MAX_FRAMES + 1)
    if not width or not height or not many:
        raise entry.wrong("pictures of a size above 0")
    sheets = list(entry["sheets"].items(1, MAX_FRAMES))
    if len(sheets) != -(-frames // many):
        raise InputError(f"{entry.at}.sheets must hold the {frames} frames, {many} each; got {len(sheets)}. {AGAIN}")
    wide = [width * min(many, frames - i * many) for i in range(len(sheets))]
    return Pictures(width, height, many, tuple(map(_sheet, sheets, wide, [height] * len(sheets))))


def _sheet(entry: Entry, width: int, height: int) -> str:
    """Base64 of a PNG of the right size, written anew."""
    try:
        data = base64.b64decode(entry.text(), validate=True)
    except (binascii.Error, ValueError):
        raise entry.wrong("base64 of a PNG") from None
    if not data.startswith(_PNG) or len(data) < 24:
        raise entry.wrong("base64 of a PNG")
    came = struct.unpack(">II", data[16:24])
    if came != (width, height) or width > MAX_WIDTH:
        raise InputError(f"{entry.at} must be a PNG of {width} by {height}; got {came[0]} by {came[1]}. {AGAIN}")
    return base64.b64encode(data).decode("ascii")
