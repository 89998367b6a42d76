"""A card a module: its size, what it decides, the rows to which it adds most, and what can be read in its place.

Source
------
Own.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from limbeck.report._findings import finding_line
from limbeck.report._modules_pictures import Thumb, example_picture, tone
from limbeck.report._modules_values import Example, Module, Modules
from limbeck.report._modules_view import MAX_NAMED, Limits, capitalised
from limbeck.report._words import MINUS, count, joined, measure, number, plural, shortened

__all__ = ["heat_cell", "heat_kind", "module_views"]

MAX_INPUTS = 50
MAX_COLUMNS, MAX_WIDE = 8, 6


def heat_cell(value: float | None) -> dict[str, str]:
    """A cell of a heat table: its number and how strong its colour is."""
    if value is None:
        return {"text": "–", "share": "0"}
    text = f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS) if abs(value) < 100 else measure(value)
    return {"text": text, "share": f"{min(max(value, 0.0), 1.0):.2f}"}


def module_views(found: Modules, limits: Limits) -> list[dict[str, Any]]:
    """A card a module."""
    return [_module(found, module, i, limits) for i, module in enumerate(found.modules)]


def _module(found: Modules, module: Module, index: int, limits: Limits) -> dict[str, Any]:
    many = {layer.name: len(layer.blocks.rows) for layer in found.layers}
    shown = _shown_outputs(found, module, limits.labels)
    inputs = [shortened(name, 40) for name in module.inputs[:MAX_INPUTS]]
    more = f" (the first {MAX_INPUTS})" if len(module.inputs) >= MAX_INPUTS else ""
    decided = [shortened(name, 40) for name in module.decides[:MAX_INPUTS]]
    return {
        "index": index,
        "number": index + 1,
        "tone": tone(index),
        "name": shortened(module.name, 60),
        "facts": [
            *(_units(name, own, many.get(name)) for name, own in list(module.units.items())[:MAX_NAMED]),
            plural(module.weights, "weight"),
        ],
        "text": capitalised(shortened(module.text, 2_000)),
        "is_known": any(value is not None for value in (*module.on, *module.off)),
        "inputs": f"{', '.join(inputs)}{more}" if inputs else "all of them",
        "decides": joined(decided) if decided else "none",
        "outputs": [shortened(found.outputs[i], 24) for i in shown],
        "rows": [
            {"name": "alone", "cells": [heat_cell(module.on[i]) for i in shown]},
            {"name": "all but it", "cells": [heat_cell(module.off[i]) for i in shown]},
        ],
        "more_outputs": f"{len(shown)} of {len(found.outputs)} outputs." if len(shown) < len(found.outputs) else "",
        "examples": [_example(module, one, limits) for one in module.examples[: limits.examples] if not one.values],
        "table": _table(module, limits),
        "heat": heat_kind([found.outputs[i] for i in shown]),
        "readable": _readable(module, limits),
    }


def _units(layer: str, own: int, many: int | None) -> str:
    of = "" if many is None else f" of {count(many)}"
    return f"{count(own)}{of} units in layer {shortened(layer, 30)}"


def _shown_outputs(found: Modules, module: Module, most: int) -> list[int]:
    """All outputs where they fit; else those that it decides, then those that it does best alone."""
    if len(found.outputs) <= most:
        return list(range(len(found.outputs)))
    decided = set(module.decides)
    order = sorted(
        range(len(found.outputs)), key=lambda i: (found.outputs[i] not in decided, -(module.on[i] or 0.0), i)
    )
    return sorted(order[:most])


def heat_kind(names: Sequence[str]) -> str:
    """The class of a heat table with these columns: small where many, level names where short."""
    if len(names) <= MAX_WIDE:
        return "confusion heat"
    return f"confusion heat dense{' level' if max(map(len, names)) <= 3 else ''}"


def _example(module: Module, one: Example, limits: Limits) -> dict[str, Any]:
    label = shortened(one.label, 40)
    picture: Thumb | None = None
    if one.image is not None:
        words = f"Row {count(one.row)}, where {shortened(module.name, 60)} adds {number(one.score, 3)} to {label}"
        picture = example_picture(one.image, limits.pixels, words)
    return {**_line(one), "picture": picture}


def _line(one: Example) -> dict[str, Any]:
    truth = None if one.truth is None else shortened(one.truth, 40)
    return {"row": count(one.row), "label": shortened(one.label, 40), "score": number(one.score, 3), "truth": truth}


def _table(module: Module, limits: Limits) -> dict[str, Any] | None:
    """The examples that are named values as one table: first the columns that the module sees."""
    rows = [one for one in module.examples[: limits.examples] if one.values]
    names = list(dict.fromkeys(name for one in rows for name, _ in one.values or ()))
    seen = set(module.inputs)
    shown = [name for name in names if name in seen][:MAX_COLUMNS] or names[:MAX_COLUMNS]
    if not shown:
        return None
    lines = []
    for one in rows:
        values = dict(one.values or ())
        cells = [shortened(values.get(name, "–"), 24) for name in shown]
        lines.append({**_line(one), "cells": cells})
    more = f"{len(shown)} of at least {len(names)} columns." if len(shown) < len(names) else ""
    return {"names": [shortened(name, 24) for name in shown], "lines": lines, "more": more}


def _readable(module: Module, limits: Limits) -> dict[str, Any] | None:
    own = module.readable
    if own is None:
        return None
    return {
        "text": shortened(own.text, limits.text),
        "is_cut": len(own.text) > limits.text,
        "finding": finding_line(own.fidelity),
    }
