"""What was found of a network's modules, as the document ``modules.json``.

Source
------
Own.

Cost
----
One pass over the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._explain_rows import as_input
from limbeck.attribution import pixels
from limbeck.modularity._pictures import grey_picture

if TYPE_CHECKING:
    from limbeck.modularity import Circuits, Clusterability

__all__ = ["cards", "circuits_entry", "example_entry", "interpretation_entry", "layer_entry", "picture"]

LARGEST_PICTURE = 96
LARGEST_CIRCUIT = 48
MOST_INPUTS = 50


def layer_entry(
    name: str,
    weights: tuple[np.ndarray, np.ndarray],
    clusters: tuple[Any, Any],
    measures: tuple[Clusterability | None, Clusterability],
) -> dict[str, Any]:
    """One layer, before and after training; where it was not trained both are the same, and before is left out."""
    before, after = weights
    old, new = clusters
    return {
        "name": name,
        "rows": int(after.shape[0]),
        "columns": int(after.shape[1]),
        "row_labels": [int(label) for label in new.rows],
        "column_labels": [int(label) for label in new.columns],
        "row_labels_before": [int(label) for label in old.rows],
        "column_labels_before": [int(label) for label in old.columns],
        "before": None if measures[0] is None else measures[0].to_dict(),
        "after": measures[1].to_dict(),
        "picture_before": None if measures[0] is None else picture(pooled(before), old.rows, old.columns),
        "picture_after": picture(pooled(after), new.rows, new.columns),
    }


def pooled(weight: np.ndarray) -> np.ndarray:
    """The size of each weight ``(o, i)``, over a convolution's kernel."""
    return np.asarray(np.sqrt((weight**2).reshape(*weight.shape[:2], -1).sum(axis=2)))


def picture(size: np.ndarray, rows: np.ndarray, columns: np.ndarray, largest: int = LARGEST_PICTURE) -> dict[str, Any]:
    """Sizes of weights, rows and columns sorted by label, as levels of grey; neighbours are averaged where many."""
    ordered = size[np.argsort(rows, kind="stable")][:, np.argsort(columns, kind="stable")]
    return grey_picture(ordered, largest, float(ordered.max(initial=0.0)))


def cards(
    clusters: Mapping[str, Any],
    kernels: Mapping[str, int],
    outputs: int,
    told: Mapping[int, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """One card a module: its units and weights, and what was `told` of it by its number."""
    unknown: dict[str, Any] = {
        "on": [None] * outputs,
        "off": [None] * outputs,
        "inputs": [],
        "decides": [],
        "text": "",
        "examples": [],
    }
    found = []
    for number in range(max(one.k for one in clusters.values())):
        units = {name: int((one.rows == number).sum()) for name, one in clusters.items()}
        weights = sum(
            units[name] * int((one.columns == number).sum()) * kernels[name] for name, one in clusters.items()
        )
        card = {"name": f"module {number + 1}", "units": units, "weights": int(weights), **unknown, "readable": None}
        found.append({**card, **told.get(number, {})})
    return found


def interpretation_entry(found: Any, module: str, pixels: int | None) -> dict[str, Any]:
    """What a module decides, the inputs that it uses, and a text; without examples. `pixels`: how many an image has."""
    on, off = (
        [float(value) if np.isfinite(value) else None for value in frame.loc[module].astype(float)]
        for frame in (found.on, found.off)
    )
    return {
        "on": on,
        "off": off,
        "inputs": _used(found.inputs[module], pixels),
        "decides": [str(label) for label in found.decides[module]],
        "text": found.module_text(module),
    }


def _used(inputs: Sequence[Any] | None, pixels: int | None) -> list[str]:
    """The names of the inputs that a module uses, none where it uses all; of an image only how many."""
    if inputs is None:
        return []
    if pixels is not None:
        return [f"{len(inputs)} of {pixels} pixels"]
    more = [f"and {len(inputs) - MOST_INPUTS + 1} more"] if len(inputs) > MOST_INPUTS else []
    return [str(name) for name in inputs[: MOST_INPUTS - len(more)]] + more


def example_entry(
    row: int, said: tuple[Any, float], truth: Any, x: np.ndarray, names: Sequence[str] | None, side: Any
) -> dict[str, Any]:
    """A row to one of whose outputs, `said` by how much, a module adds; as an image where it is one, else as values."""
    if side is not None:
        x = np.moveaxis(x.reshape(side), -1, 0)
    image = as_input("image", x, pixels((1, 1, 1)), None) if x.ndim == 3 and x.dtype.kind == "f" else None
    values = None
    if image is None:
        known = names or [f"x{i}" for i in range(x.size)]
        values = [[name, f"{value:.6g}"] for name, value in list(zip(known, x.ravel().tolist(), strict=False))]
        values = values[:MOST_INPUTS]
    known_truth = None if truth is None else str(truth)
    return {
        "row": int(row),
        "label": str(said[0]),
        "score": float(said[1]),
        "truth": known_truth,
        "image": image,
        "values": values,
    }


def circuits_entry(found: Circuits, outputs: Sequence[str], clusters: Mapping[str, Any]) -> dict[str, Any]:
    """The labels' circuits, with pictures of the clustered layers in the order of the clusters."""
    entry = found.to_dict(outputs)
    entry["pictures"] = [
        {"label": label, "layer": name, **picture(_share(one.kept[name]), labels.rows, labels.columns, LARGEST_CIRCUIT)}
        for label, one in zip(entry["labels"], found, strict=True)
        for name, labels in clusters.items()
        if name in one.kept
    ]
    return entry


def _share(kept: np.ndarray) -> np.ndarray:
    """The share of each pair of units' weights ``(o, i)`` that is left."""
    return np.asarray(kept.reshape(*kept.shape[:2], -1).mean(axis=2))
