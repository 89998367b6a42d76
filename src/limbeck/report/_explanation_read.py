"""An explanation's document as frozen values: what is missing or malformed is refused, with its place in the document.

Source
------
Own: the document that an explanation writes, ``explanation.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.report._entries import Entry, top_entry
from limbeck.report._explanation_values import (
    Cells,
    Curves,
    ExplainedRow,
    Explanation,
    Group,
    Input,
    Pair,
    Part,
    Picture,
    Unit,
    Words,
)
from limbeck.report._finding_entries import read_findings
from limbeck.report._words import plural

__all__ = ["read_explanation", "read_image"]

FORMAT, VERSION = "limbeck-explanation", 1
KINDS = ("image", "text", "signal", "table")
MAX_ROWS = 1_000
MAX_SIDE, MAX_UNITS = 4_096, 20_000
AGAIN = "Write the explanation again with `limbeck explain`."


def read_explanation(data: Any) -> Explanation:
    """The explanation in a parsed ``explanation.json``.

    Raises
    ------
    InputError
        Where it is not an explanation, is of another version, or an entry is missing, is of another type, is a number
        that is not finite, or speaks of a position, a unit or a group that there is none of.
    """
    top = top_entry(
        data, "explanation.json", (FORMAT, VERSION), ("an explanation's document", "explanations"), "explain", AGAIN
    )
    kind, outputs = top["kind"].one_of(KINDS), tuple(entry.text() for entry in top["outputs"].items(1))
    return Explanation(
        name=top["name"].text(),
        method=top["method"].text(),
        model=top["model"].text(),
        rule=top["rule"].text(),
        kind=kind,
        outputs=outputs,
        seed=top["seed"].count(),
        seconds=top["seconds"].number(0.0),
        notes=tuple(entry.text() for entry in top["notes"].items()),
        verdict=top["verdict"].text(),
        rows=tuple(_row(entry, kind, len(outputs)) for entry in top["rows"].items(1, MAX_ROWS)),
        findings=read_findings(top["findings"]),
        transform=None if (found := top.get("transform")) is None else found.text(),
    )


def _row(entry: Entry, kind: str, outputs: int) -> ExplainedRow:
    shown = READERS[kind](entry["input"])
    lost = None if (found := entry.get("lost")) is None else found.number(0.0)
    most = shown.size if lost is None else MAX_UNITS
    units = tuple(
        Unit(unit["name"].text(), unit["positions"].places(shown.size) if lost is None else ())
        for unit in entry["units"].items(1, most)
    )
    alone = tuple(one.number() for one in entry["alone"].items())
    if len(alone) != len(units):
        raise InputError(f"{entry.at}.alone must hold one number a unit, {len(units)}; got {len(alone)}. {AGAIN}")
    return ExplainedRow(
        row=entry["row"].count(),
        output=entry["output"].count(outputs),
        output_name=entry["output_name"].text(),
        value=entry["value"].number(),
        predicted=entry["predicted"].text(),
        truth=None if entry["truth"].value is None else entry["truth"].text(),
        residual=entry["residual"].number(0.0),
        bias=None if entry["bias"].value is None else entry["bias"].number(),
        input=shown,
        units=units,
        alone=alone,
        groups=_groups(entry["nodes"], len(units)),
        pairs=tuple(
            Pair(pair["a"].places(len(units)), pair["b"].places(len(units)), pair["value"].number())
            for pair in entry["interactions"].items()
        ),
        findings=read_findings(entry["findings"]),
        lost=lost,
        parts=() if lost is None else _parts(entry["parts"], kind, len(units)),
        remainder=None if lost is None or (left := entry.get("remainder")) is None else _part(left, kind, None, None),
    )


def _parts(entries: Entry, kind: str, units: int) -> tuple[Part, ...]:
    """What groups of coefficients are in the input's own space; of each group once."""
    found = tuple(
        _part(
            entry["input"],
            kind,
            entry["unit"].count(units),
            None if (share := entry.get("share")) is None else share.number(0.0),
        )
        for entry in entries.items()
    )
    if len({part.unit for part in found}) < len(found):
        raise entries.wrong("a list of different units")
    return found


def _part(entry: Entry, kind: str, unit: int | None, share: float | None) -> Part:
    ends = (entry["low"].number(), entry["high"].number()) if kind == "image" else None
    return Part(unit, share, READERS[kind](entry), ends)


def read_image(entry: Entry) -> Input:
    """The levels of an image."""
    height, width = entry["height"].count(MAX_SIDE + 1), entry["width"].count(MAX_SIDE + 1)
    channels, values = entry["channels"].count(), entry["values"].numbers(0.0, 255.0)
    if channels not in (1, 3):
        raise entry["channels"].wrong("1 or 3")
    if len(values) != height * width * channels:
        shape = f"height {height}, width {width} and channels {channels}"
        raise InputError(
            f"{entry.at}.values must hold {height * width * channels} numbers, for {shape}; got {len(values)}. {AGAIN}"
        )
    return Picture(values.reshape(height, width, channels))


def _text(entry: Entry) -> Input:
    return Words(tuple(word.text() for word in entry["words"].items(1)))


def _signal(entry: Entry) -> Input:
    channels = [channel.numbers() for channel in entry["channels"].items(1)]
    if len({len(channel) for channel in channels}) > 1:
        lengths = [len(channel) for channel in channels]
        raise InputError(f"{entry.at}.channels must be of one length; got the lengths {lengths!r:.60}. {AGAIN}")
    return Curves(np.stack(channels))


def _table(entry: Entry) -> Input:
    names, values = (tuple(one.text() for one in entry[key].items(1)) for key in ("names", "values"))
    if len(names) != len(values):
        raise InputError(f"{entry.at} must hold {plural(len(names), 'value')}, one a name; got {len(values)}. {AGAIN}")
    return Cells(names, values)


READERS = {"image": read_image, "text": _text, "signal": _signal, "table": _table}


def _groups(entries: Entry, units: int) -> tuple[Group, ...]:
    """The groups: children before parents, each with one parent at most, whose units it shares."""
    found: list[Group] = []
    owned: set[int] = set()
    for entry in entries.items():
        children = entry["children"].places(len(found), 0)
        group = Group(entry["units"].places(units), entry["score"].number(), children, entry["level"].count())
        if owned & set(children):
            raise entry["children"].wrong("groups that are in no other group")
        for child in children:
            if not set(found[child].units) <= set(group.units):
                raise entry["units"].wrong(f"units that hold those of each child; group {child} has others")
            if found[child].level > group.level:
                raise entry["level"].wrong(f"a level that is not below that of a child; group {child} has "
                                           f"{found[child].level}")  # fmt: skip
        owned |= set(children)
        found.append(group)
    return tuple(found)
