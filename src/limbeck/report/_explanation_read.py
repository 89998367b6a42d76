"""An explanation's document as frozen values: what is missing or malformed is refused, with its place in the document.

Source
------
Own: the document that an explanation writes, ``explanation.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.report._entries import LARGEST, Entry
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
from limbeck.report._words import STATUS_LABELS, plural

__all__ = ["read_explanation"]

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
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        came = f"format {data.get('format')!r:.60}" if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            f"an explanation's document is required: an object with format '{FORMAT}', as `limbeck explain` writes; "
            f"got {came}"
        )
    if data.get("version") != VERSION:
        raise InputError(
            f"this limbeck reads explanations of version {VERSION}; got {data.get('version')!r:.60}. Update limbeck, "
            "or explain the rows again."
        )
    top = _Entry(data, "explanation.json", AGAIN)
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
        findings=_findings(top["findings"]),
        transform=None if (found := top.get("transform")) is None else found.text(),
    )


class _Entry(Entry):
    """A value of an explanation."""

    def get(self, key: str) -> _Entry | None:
        """An entry that need not be there; None also where it is null."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object")
        return None if self.value.get(key) is None else self[key]

    def one_of(self, known: Sequence[str]) -> str:
        if self.value not in known:
            raise self.wrong(f"{', '.join(known[:-1])} or {known[-1]}")
        return str(self.value)

    def number(self, least: float = -math.inf) -> float:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
            raise self.wrong("a finite number" + ("" if least == -math.inf else f" from {least:g}"))
        if value == -math.inf:
            raise self.wrong("a finite number")
        return float(min(max(value, -LARGEST), LARGEST))

    def places(self, below: int, least: int = 1) -> tuple[int, ...]:
        """Different whole numbers from 0 that are less than `below`."""
        quick = self.value if isinstance(self.value, list) and len(self.value) >= max(least, 1) else None
        if quick and all(type(v) is int for v in quick) and min(quick) >= 0 and max(quick) < below:
            found = tuple(quick)
        else:
            found = tuple(entry.count(below) for entry in self.items(least))
        if len(set(found)) < len(found):
            raise self.wrong("a list of different numbers")
        return found

    def numbers(self, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
        """Finite numbers as an array."""
        quick = self.value if isinstance(self.value, list) and self.value else None
        if quick and all(type(v) in (int, float) and low <= v <= high and abs(v) < LARGEST for v in quick):
            return np.array(quick, dtype=float)
        found = []
        for entry in self.items(1):
            found.append(entry.number())
            if not low <= found[-1] <= high:
                raise entry.wrong(f"a number from {low:g} to {high:g}")
        return np.array(found, dtype=float)


def _row(entry: _Entry, kind: str, outputs: int) -> ExplainedRow:
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
        findings=_findings(entry["findings"]),
        lost=lost,
        parts=() if lost is None else _parts(entry["parts"], kind, len(units)),
        remainder=None if lost is None or (left := entry.get("remainder")) is None else _part(left, kind, None, None),
    )


def _parts(entries: _Entry, kind: str, units: int) -> tuple[Part, ...]:
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


def _part(entry: _Entry, kind: str, unit: int | None, share: float | None) -> Part:
    ends = (entry["low"].number(), entry["high"].number()) if kind == "image" else None
    return Part(unit, share, READERS[kind](entry), ends)


def _image(entry: _Entry) -> Input:
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


def _text(entry: _Entry) -> Input:
    return Words(tuple(word.text() for word in entry["words"].items(1)))


def _signal(entry: _Entry) -> Input:
    channels = [channel.numbers() for channel in entry["channels"].items(1)]
    if len({len(channel) for channel in channels}) > 1:
        lengths = [len(channel) for channel in channels]
        raise InputError(f"{entry.at}.channels must be of one length; got the lengths {lengths!r:.60}. {AGAIN}")
    return Curves(np.stack(channels))


def _table(entry: _Entry) -> Input:
    names, values = (tuple(one.text() for one in entry[key].items(1)) for key in ("names", "values"))
    if len(names) != len(values):
        raise InputError(f"{entry.at} must hold {plural(len(names), 'value')}, one a name; got {len(values)}. {AGAIN}")
    return Cells(names, values)


READERS = {"image": _image, "text": _text, "signal": _signal, "table": _table}


def _groups(entries: _Entry, units: int) -> tuple[Group, ...]:
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


def _findings(entries: _Entry) -> tuple[Mapping[str, Any], ...]:
    found = []
    for entry in entries.items():
        for key in ("code", "title", "message"):
            entry[key].text()
        entry["status"].one_of(tuple(STATUS_LABELS))
        for key in ("value", "threshold"):
            if entry[key].value is not None:
                entry[key].number()
        interval = entry["interval"]
        if interval.value is not None and len([end.number() for end in interval.items(2, 2)]) != 2:
            raise interval.wrong("two numbers or null")
        _check_plain(entry["details"], 0)
        found.append(dict(entry.value))
    return tuple(found)


def _check_plain(entry: _Entry, depth: int) -> None:
    """Refuse what JSON can't hold, and what is nested beyond reason."""
    if depth > 20:
        raise InputError(f"{entry.at} is nested too deep to be shown")
    value = entry.value
    if isinstance(value, Mapping):
        for key in value:
            _check_plain(entry[key], depth + 1)
    elif isinstance(value, list | tuple):
        for item in entry.items():
            _check_plain(item, depth + 1)
    elif value is not None and not isinstance(value, str | bool):
        entry.number()
