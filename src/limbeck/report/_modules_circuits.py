"""How special the modules are, and which weights each label needs: tables, bars and pictures.

Source
------
Own.

Cost
----
O(labels squared).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck.report._modules_cards import heat_cell, heat_kind
from limbeck.report._modules_pictures import circuit_svg, coarse, tone
from limbeck.report._modules_values import Circuits, Modules, Specialisation
from limbeck.report._modules_view import ALPHA, Limits, capitalised, p_words, share_text
from limbeck.report._words import measure, shortened

__all__ = ["circuits_view", "specialisation_view"]


def specialisation_view(found: Modules, limits: Limits) -> dict[str, Any]:
    """What each module can do alone, side by side, and whether that is more special than chance."""
    shown = range(min(len(found.outputs), limits.labels))
    return {
        "outputs": [shortened(found.outputs[i], 24) for i in shown],
        "heat": heat_kind([found.outputs[i] for i in shown]),
        "modules": [
            {
                "index": i,
                "number": i + 1,
                "tone": tone(i),
                "name": shortened(module.name, 40),
                "on": [heat_cell(module.on[k]) for k in shown],
                "off": [heat_cell(module.off[k]) for k in shown],
            }
            for i, module in enumerate(found.modules)
        ],
        "is_known": any(value is not None for module in found.modules for value in (*module.on, *module.off)),
        "more": f"The first {len(shown)} of {len(found.outputs)} outputs." if len(shown) < len(found.outputs) else "",
        "score": None if found.specialisation is None else _score(found.specialisation),
    }


def _score(own: Specialisation) -> dict[str, Any]:
    """The score beside its chance level, on one axis."""
    start = min(0.0, own.low, own.chance, own.score)
    span = max(1.0, own.high, own.chance, own.score) - start
    is_more = own.p < ALPHA and own.score > own.chance
    return {
        "says": capitalised(shortened(own.says, 2_000)),
        "is_more": is_more,
        "badge": "more specialised than chance" if is_more else "no more specialised than chance",
        "value": measure(own.score),
        "interval": f"{measure(own.low)} to {measure(own.high)}",
        "chance": measure(own.chance),
        "p": p_words(own.p),
        "low": f"{100 * (own.low - start) / span:.1f}",
        "wide": f"{100 * (own.high - own.low) / span:.1f}",
        "at": f"{100 * (own.score - start) / span:.1f}",
        "chance_at": f"{100 * (own.chance - start) / span:.1f}",
        "start": measure(start),
        "end": measure(start + span),
    }


def circuits_view(found: Modules, limits: Limits) -> dict[str, Any] | None:
    """The bars, the overlaps and the pictures of the circuits; None where none were sought."""
    own = found.circuits
    if own is None:
        return None
    many = min(len(own.labels), limits.labels)
    names = [shortened(name, 24) for name in own.labels]
    full = max([*own.sizes[:many], 1e-9])
    lines = [
        {
            "name": names[i],
            "size": share_text(own.sizes[i]),
            "wide": f"{100 * own.sizes[i] / full:.1f}",
            "before": measure(own.loss_before[i]),
            "after": measure(own.loss_after[i]),
        }
        for i in range(many)
    ]
    overlap = [
        {"name": names[i], "cells": [None if i == k else heat_cell(float(own.overlap[i, k])) for k in range(many)]}
        for i in range(many)
    ]
    pictures, left = _pictures(found, own, limits)
    return {
        "lines": lines,
        "names": names[:many],
        "heat": heat_kind(names[:many]),
        "overlap": overlap if many > 1 else [],
        "sentence": _sentence(own),
        "pictures": pictures,
        "more": f"The first {many} of {len(names)} labels." if many < len(names) else "",
        "more_pictures": f"{left} more are in modules.json." if left else "",
    }


def _sentence(own: Circuits) -> str:
    """The mean size, the smallest and the largest, and which labels share most, in words."""
    sizes = np.array(own.sizes)
    small, large = int(sizes.argmin()), int(sizes.argmax())
    if len(sizes) == 1:
        return f"{shortened(own.labels[0], 40)} needs {share_text(own.sizes[0])} of the weights."
    text = f"A label needs {share_text(float(sizes.mean()))} of the weights on average: from "
    text += f"{share_text(own.sizes[small])} ({shortened(own.labels[small], 40)}) to {share_text(own.sizes[large])} "
    text += f"({shortened(own.labels[large], 40)})."
    apart = np.array(own.overlap)
    np.fill_diagonal(apart, -1.0)
    a, b = np.unravel_index(int(apart.argmax()), apart.shape)
    least = np.where(apart < 0, np.inf, apart)
    c, d = np.unravel_index(int(least.argmin()), least.shape)
    first, second = (shortened(own.labels[int(i)], 40) for i in (a, b))
    third, fourth = (shortened(own.labels[int(i)], 40) for i in (c, d))
    text += f" Those of {first} and {second} overlap most ({measure(float(apart[a, b]))})"
    return f"{text}, those of {third} and {fourth} least ({measure(float(least[c, d]))})."


def _pictures(found: Modules, own: Circuits, limits: Limits) -> tuple[list[dict[str, Any]], int]:
    """The pictures of each label, a layer after the other; and how many are left out."""
    blocks = {layer.name: layer.blocks for layer in found.layers}
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in own.pictures[: limits.circuits]:
        label, layer = shortened(one.label, 40), shortened(one.layer, 30)
        title = f"The weights of layer {layer} that {label} needs"
        words = f"On average {share_text(float(one.values.mean()) / 255)} of the full colour."
        svg = circuit_svg(blocks.get(one.layer), len(found.modules), coarse(one.values, limits.pixels), title, words)
        groups.setdefault(one.label, []).append({"layer": layer, "svg": svg})
    shown = [{"label": shortened(label, 40), "layers": layers} for label, layers in groups.items()]
    return shown, max(len(own.pictures) - limits.circuits, 0)
