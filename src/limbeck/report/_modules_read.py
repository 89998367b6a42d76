"""A document of modules as frozen values: what is missing or malformed is refused, with its place in the document.

Source
------
Own: the document that `limbeck modules` writes, ``modules.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from limbeck._core.errors import InputError
from limbeck.report._entries import Entry, top_entry
from limbeck.report._explanation_read import read_image
from limbeck.report._explanation_values import Picture
from limbeck.report._finding_entries import read_findings
from limbeck.report._modules_values import (
    Blocks,
    CircuitPicture,
    Circuits,
    Example,
    Layer,
    Measure,
    Module,
    Modules,
    ReadableText,
    Recipe,
    Score,
    Specialisation,
)
from limbeck.report._words import plural

__all__ = ["read_modules"]

FORMAT, VERSION = "limbeck-modules", 1
METRICS = ("accuracy", "r2")
SCORES = ("original", "trained", "split")
MAX_MODULES, MAX_LAYERS, MAX_SIDE, MAX_UNITS = 256, 1_000, 512, 1_000_000
ROUNDING = 1e-6
AGAIN = "Write the document again with `limbeck modules`."
T = TypeVar("T")


def read_modules(data: Any) -> Modules:
    """The modules in a parsed ``modules.json``.

    Raises
    ------
    InputError
        Where it is not a document of modules, is of another version, or an entry is missing, is of another type, is a
        number that is not finite, or where two entries that must have one number of items have not.
    """
    top = top_entry(
        data, "modules.json", (FORMAT, VERSION), ("a document of modules", "documents of modules"), "modules", AGAIN
    )
    outputs, recipe = _texts(top["outputs"], 1), _recipe(top["recipe"])
    return Modules(
        name=top["name"].text(),
        model=top["model"].text(),
        metric=top["metric"].one_of(METRICS),
        outputs=outputs,
        seed=top["seed"].count(),
        seconds=top["seconds"].number(0.0),
        notes=_texts(top["notes"]),
        verdict=top["verdict"].text(),
        recipe=recipe,
        layers=tuple(_layer(entry, recipe.k) for entry in top["layers"].items(1, MAX_LAYERS)),
        scores=_scores(top["scores"]),
        modules=_modules(top["modules"], recipe.k, len(outputs)),
        specialisation=_known(top["specialisation"], _specialisation),
        circuits=_known(top["circuits"], _circuits),
        findings=read_findings(top["findings"]),
    )


def _known(entry: Entry, read: Callable[[Entry], T]) -> T | None:
    """What an entry holds; None where it is null."""
    return None if entry.value is None else read(entry)


def _texts(entry: Entry, least: int = 0) -> tuple[str, ...]:
    return tuple(one.text() for one in entry.items(least))


def _share(entry: Entry) -> float:
    """A number from 0 to 1, rounding apart."""
    value = entry.number()
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise entry.wrong("a number from 0 to 1")
    return min(max(value, 0.0), 1.0)


def _same(entry: Entry, key: str, many: int, of: str) -> list[Entry]:
    """The entries of a list that must be so many."""
    found = list(entry[key].items())
    if len(found) != many:
        raise InputError(
            f"{entry[key].at} must hold {plural(many, 'entry', 'entries')}, {of}; got {len(found)}. {AGAIN}"
        )
    return found


def _recipe(entry: Entry) -> Recipe:
    trained, k = entry["trained"], entry["k"].count(MAX_MODULES + 1)
    if not isinstance(trained.value, bool):
        raise trained.wrong("true or false")
    if k < 1:
        raise entry["k"].wrong(f"a whole number from 1 to {MAX_MODULES}")
    return Recipe(
        trained.value,
        k,
        _known(entry["strength"], Entry.number),
        _known(entry["warmup_epochs"], Entry.count),
        _known(entry["epochs"], Entry.count),
        _known(entry["split_epochs"], Entry.count) if "split_epochs" in entry.value else None,
    )


def _layer(entry: Entry, k: int) -> Layer:
    blocks, old = Blocks(_labels(entry, "row", k), _labels(entry, "column", k)), "_labels_before"
    known = all(entry.value.get(f"{what}{old}") is not None for what in ("row", "column"))
    return Layer(
        name=entry["name"].text(),
        blocks=blocks,
        blocks_before=Blocks(_labels(entry, "row", k, old), _labels(entry, "column", k, old)) if known else blocks,
        before=_known(entry["before"], _measure),
        after=_measure(entry["after"]),
        picture_before=_known(entry["picture_before"], _grid),
        picture_after=_grid(entry["picture_after"]),
    )


def _labels(entry: Entry, what: str, k: int, kind: str = "_labels") -> np.ndarray:
    """The modules of the rows or columns of a layer."""
    many, listed = entry[f"{what}s"].count(MAX_UNITS + 1), entry[f"{what}{kind}"]
    quick = listed.value if isinstance(listed.value, list) and len(listed.value) == many > 0 else None
    if quick and all(type(v) is int for v in quick) and min(quick) >= 0 and max(quick) < k:
        return np.array(quick)
    found = _same(entry, f"{what}{kind}", many, f"one a {what}")
    if not found:
        raise entry[f"{what}s"].wrong("a whole number from 1")
    return np.array([one.count(k) for one in found])


def _measure(entry: Entry) -> Measure:
    return Measure(_share(entry["clusterability"]), _share(entry["chance"]), _share(entry["p"]))


def _grid(entry: Entry) -> np.ndarray:
    """A picture of one channel, as (height, width)."""
    height, width = entry["height"].count(MAX_SIDE + 1), entry["width"].count(MAX_SIDE + 1)
    values = entry["values"].numbers(0.0, 255.0)
    if len(values) != height * width:
        raise InputError(
            f"{entry.at}.values must hold {height * width} numbers, for height {height} and width {width}; got "
            f"{len(values)}. {AGAIN}"
        )
    return values.reshape(height, width)


def _scores(entries: Entry) -> tuple[Score, ...]:
    found = []
    for entry in entries.items(1, len(SCORES)):
        score = Score(entry["what"].one_of(SCORES), *(entry[key].number() for key in ("value", "low", "high")))
        if score.low > score.high:
            raise entry.wrong("an interval whose low end is not above its high end")
        found.append(score)
    if len({score.what for score in found}) < len(found):
        raise entries.wrong("scores of different networks")
    return tuple(found)


def _modules(entries: Entry, k: int, outputs: int) -> tuple[Module, ...]:
    found = tuple(_module(entry, outputs) for entry in entries.items(0, MAX_MODULES))
    if len(found) != k:
        raise InputError(f"{entries.at} must hold {plural(k, 'module')}, as the recipe says; got {len(found)}. {AGAIN}")
    return found


def _module(entry: Entry, outputs: int) -> Module:
    units = entry["units"]
    if not isinstance(units.value, Mapping):
        raise units.wrong("an object")
    on, off = (
        tuple(_known(one, Entry.number) for one in _same(entry, key, outputs, "one an output")) for key in ("on", "off")
    )
    return Module(
        name=entry["name"].text(),
        units={str(layer): units[layer].count() for layer in units.value},
        weights=entry["weights"].count(),
        inputs=_texts(entry["inputs"]),
        on=on,
        off=off,
        decides=_texts(entry["decides"]),
        text=entry["text"].text(),
        examples=tuple(_example(one) for one in entry["examples"].items()),
        readable=_known(entry["readable"], _readable),
    )


def _readable(entry: Entry) -> ReadableText:
    fidelity = entry["fidelity"]
    return ReadableText(entry["text"].text(), read_findings(Entry([fidelity.value], fidelity.at, AGAIN))[0])


def _example(entry: Entry) -> Example:
    image = _known(entry["image"], read_image)
    return Example(
        row=entry["row"].count(),
        label=entry["label"].text(),
        score=entry["score"].number(),
        truth=_known(entry["truth"], Entry.text),
        image=image.values if isinstance(image, Picture) else None,
        values=_known(entry["values"], _pairs),
    )


def _pairs(entry: Entry) -> tuple[tuple[str, str], ...]:
    """Names with their values."""
    found = []
    for pair in entry.items():
        both = tuple(one.text() for one in pair.items(2, 2))
        found.append((both[0], both[1]))
    return tuple(found)


def _specialisation(entry: Entry) -> Specialisation:
    low, high = entry["low"].number(), entry["high"].number()
    if low > high:
        raise entry.wrong("an interval whose low end is not above its high end")
    score, chance = entry["score"].number(), entry["chance"].number()
    return Specialisation(score, chance, low, high, _share(entry["p"]), entry["says"].text())


def _circuits(entry: Entry) -> Circuits:
    labels = _texts(entry["labels"], 1)
    many, each = len(labels), "one a label"
    before, after = (
        tuple(one.number() for one in _same(entry, key, many, each)) for key in ("loss_before", "loss_after")
    )
    rows = _same(entry, "overlap", many, each)
    for row in rows:
        if not isinstance(row.value, list) or len(row.value) != many:
            raise row.wrong(f"a list of {plural(many, 'number')}, one a label")
    return Circuits(
        labels=labels,
        sizes=tuple(_share(one) for one in _same(entry, "sizes", many, each)),
        loss_before=before,
        loss_after=after,
        overlap=np.array([[_share(one) for one in row.items()] for row in rows]),
        pictures=tuple(
            CircuitPicture(one["label"].text(), one["layer"].text(), _grid(one)) for one in entry["pictures"].items()
        ),
    )
