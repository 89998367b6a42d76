"""A soft tree in the page: its first levels drawn, a walk through all of it, and the readings of some rows.

A reading shows at every step of the path the filter, what each input contributes to the side taken - its weight times
how far its value lies from the mean of the training rows -, and how probable that side is.

Cost
----
O(nodes * inputs); a picture of 28 by 28 takes some 900 bytes, so a tree of 255 filters takes some 230 kB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck._core.tables import Table
from limbeck.readable import Reading, SoftTreeReadable
from limbeck.report._images import around_zero, full_strength, plain_image, png_uri
from limbeck.report._soft_svg import beside, distribution_parts, filters_of, levels_drawn, said, soft_tree_svg
from limbeck.report._students import StudentView
from limbeck.report._svg import element
from limbeck.report._whatif import encoded_row
from limbeck.report._words import is_number, number, plural, shortened

__all__ = ["soft_tree_data", "soft_tree_readings", "soft_tree_values"]

WALK_BARS = 10
PARTS = 5
MAX_READINGS = 12
MAX_WORST = 3
MAX_WALK_NODES = 4_095
MAX_EXACT = 6_000


def soft_tree_values(
    student: StudentView, tree: SoftTreeReadable, ranges: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the drawing's template needs, but the readings."""
    levels = levels_drawn(tree)
    return {
        "kind": "soft_tree",
        "is_image": tree.image is not None,
        "svg": soft_tree_svg(tree, ranges, label=f"The first levels of the soft tree {student.name}"),
        "levels": levels,
        "rest": tree.depth - levels,
        "nodes": number(tree.n_nodes),
        "channels": tree.image[2] if tree.image else 0,
        "is_classification": tree.task == "classification",
        "is_average": tree.reading == "average",
        "side": f"{tree.image[0]} / {tree.image[1]}" if tree.image else "",
        "readings": [],
    }


def soft_tree_data(tree: SoftTreeReadable, ranges: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Every node for the page's walk; None where the tree is too large for it."""
    if tree.n_nodes > MAX_WALK_NODES:
        return None
    filters = filters_of(tree, ranges, tree.n_nodes, WALK_BARS)
    used = sorted({i for drawn in filters for i, _ in drawn.bars})
    place = {i: at for at, i in enumerate(used)}
    shape = None
    if tree.image:
        rows, columns, channels = tree.image
        shape = [rows, columns * channels]
    return {
        "depth": tree.depth,
        "rows": [float(f"{rows:.6g}") for rows in tree.rows],
        "values": [[float(f"{value:.4g}") for value in values] for values in tree.values],
        "range": [tree.values.min(axis=0).tolist(), tree.values.max(axis=0).tolist()],
        "image": shape,
        "pictures": [drawn.image for drawn in filters] if tree.image else None,
        "full": [float(f"{drawn.full:.3g}") for drawn in filters],
        "names": [tree.input_text(i) for i in used],
        "bars": [[[place[i], float(f"{size:.4g}")] for i, size in drawn.bars] for drawn in filters],
        "hidden": [drawn.hidden for drawn in filters],
        "exact": _exact(tree),
    }


def _exact(tree: SoftTreeReadable) -> dict[str, Any] | None:
    """The numbers by which the page's script reads any row of a small table; None for images and large trees."""
    if tree.image or tree.weight.size > MAX_EXACT:
        return None
    return {
        "inputs": [list(pair) for pair in tree.inputs],
        "names": [shortened(tree.input_text(i), 40) for i in range(len(tree.inputs))],
        "weight": tree.weight.tolist(),
        "bias": tree.bias.tolist(),
        "centre": tree.centre.tolist(),
    }


@dataclass(frozen=True)
class _Row:
    """A row that is read: what it is called, its numbers, what the teacher says of it."""

    label: str
    values: np.ndarray
    teacher: np.ndarray


def soft_tree_readings(
    student: StudentView, tree: SoftTreeReadable, ranges: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """The readings of some rows: typical held-out ones, the worst of these, and the worst that the search found."""
    rows = _chosen(student, tree, arrays)
    if not rows:
        return []
    Z = np.array([row.values for row in rows])
    read = tree.read(Table(tree.schema, Z))
    X = np.asarray(tree.design(Z), dtype=np.float64)
    own = tree.predict_encoded(Z)
    return [
        _reading(tree, row, x, said_by, reading, ranges)
        for row, x, said_by, reading in zip(rows, X, own, read, strict=True)
    ]


def _chosen(student: StudentView, tree: SoftTreeReadable, arrays: Mapping[str, np.ndarray]) -> list[_Row]:
    X, teacher, outputs = arrays.get("X"), arrays.get("teacher"), student.outputs
    out: list[_Row] = []
    if X is not None and teacher is not None and outputs is not None and outputs.shape == teacher.shape and len(X):
        worst, typical = _places(tree, teacher, outputs)
        out += [_Row(f"held-out row {i + 1}", X[i], teacher[i]) for i in typical]
        out += [_Row(f"held-out row {i + 1}, among the worst", X[i], teacher[i]) for i in worst]
    details = (student.finding("RC003") or {}).get("details")
    for at, entry in enumerate((details.get("rows") if isinstance(details, dict) else None) or []):
        found = entry.get("teacher") if isinstance(entry, dict) else None
        cells = encoded_row(tree.schema, entry.get("row")) if isinstance(entry, dict) else None
        fits = isinstance(found, list) and len(found) == len(tree.output_names) and all(map(is_number, found))
        if cells is not None and fits and at < 2:
            out.append(_Row(f"worst row {at + 1}, found by search", np.array(cells), np.array(found)))
    return out[:MAX_READINGS]


def _places(tree: SoftTreeReadable, teacher: np.ndarray, outputs: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows of the greatest gap, and rows that are read well, of every class or from low to high."""
    gap = np.abs(teacher - outputs).sum(axis=1)
    gap = np.where(np.isfinite(gap), gap, np.inf)
    worst = [int(i) for i in np.argsort(-gap, kind="stable")[: min(MAX_WORST, len(gap) // 2)]]
    room = MAX_READINGS - 2 - len(worst)
    if tree.task == "classification":
        same = (teacher.argmax(axis=1) == outputs.argmax(axis=1)) & ~np.isin(np.arange(len(gap)), worst)
        found = [np.flatnonzero(same & (teacher.argmax(axis=1) == c))[:room] for c in range(teacher.shape[1])]
        order = sorted((at, int(i)) for rows in found for at, i in enumerate(rows))
        return worst, [i for _, i in order[:room]]
    rest = [int(i) for i in np.argsort(teacher[:, 0], kind="stable") if int(i) not in worst]
    picks = np.linspace(0, max(len(rest) - 1, 0), min(room, len(rest))).round().astype(int)
    return worst, [rest[at] for at in picks]


def _reading(
    tree: SoftTreeReadable,
    row: _Row,
    x: np.ndarray,
    own: np.ndarray,
    reading: Reading,
    ranges: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    parts = [tree.weight[step.node] * (x - tree.centre) for step in reading.decisions]
    full = full_strength(np.array(parts)) if tree.image else max(float(np.abs(np.array(parts)).max()), 1e-300)
    steps = [
        {
            "node": step.node,
            "side": "right" if step.right else "left",
            "chance": _percent(step.probability),
            "score": number(step.score, 3),
            "mean": _size(step.score - float(part.sum()), full),
            **_shown(tree, x, step.node, part, full),
        }
        for step, part in zip(reading.decisions, parts, strict=True)
    ]
    return {
        "label": row.label,
        "teacher": _answer(tree, row.teacher),
        "own": _answer(tree, own),
        "leaf": reading.leaf,
        "path": " ".join(str(i) for i in (*(step.node for step in reading.decisions), reading.leaf)),
        "picture": _picture(tree, x, ranges),
        "full": number(full, 2),
        "steps": steps,
        "chance": _percent(reading.probability),
        "says": said(tree, reading.leaf, 40),
        "svg": _leaf_svg(tree, reading.leaf),
        "agrees": tree.task != "classification" or int(np.argmax(row.teacher)) == int(np.argmax(own)),
    }


def _shown(tree: SoftTreeReadable, x: np.ndarray, node: int, part: np.ndarray, full: float) -> dict[str, Any]:
    """The filter and the contributions as pictures, or the greatest contributions as bars."""
    if tree.image:
        weight = tree.weight[node]
        rows, columns, channels = tree.image
        summed = part.reshape(rows, columns, channels).sum(axis=2)
        return {
            "filter": png_uri(around_zero(beside(weight, tree.image), full_strength(weight))),
            "map": png_uri(around_zero(summed, full)),
            "parts": [],
        }
    order = np.argsort(-np.abs(part), kind="stable")
    shown = [int(i) for i in order[:PARTS] if part[i] != 0]
    lines = [_part(f"{shortened(tree.input_text(i), 40)} = {_value(tree, i, x)}", float(part[i]), full) for i in shown]
    rest, others = float(part.sum() - part[shown].sum()), int(np.count_nonzero(part)) - len(shown)
    if others > 0:
        lines.append(_part(plural(others, "other input"), rest, full))
    return {"filter": "", "map": "", "parts": lines}


def _value(tree: SoftTreeReadable, i: int, x: np.ndarray) -> str:
    if tree.inputs[i][1] >= 0:
        return "yes" if x[i] else "no"
    return number(float(x[i]), 4)


def _part(name: str, size: float, full: float) -> dict[str, Any]:
    share = min(abs(size) / full, 1.0)
    kind = "plus" if size >= 0 else "minus"
    return {"name": name, "size": _size(size, full), "kind": kind, "share": f"{50 * share:.1f}"}


def _size(size: float, full: float) -> str:
    """A part of a score with its sign; 0 where only rounding is left of it."""
    if abs(size) < 1e-9 * full:
        return "0"
    return f"{'+' if size > 0 else ''}{number(size, 3)}"


def _percent(share: float) -> str:
    text = f"{100 * share:.1f}".replace("100.0", "100")
    return f"{text} %" if text != "0.0" or share == 0 else "under 0.1 %"


def _answer(tree: SoftTreeReadable, values: np.ndarray) -> str:
    if tree.task == "classification":
        best = int(np.argmax(values))
        return f"{shortened(tree.output_names[best], 40)} ({values[best]:.0%})"
    return " / ".join(number(float(v)) for v in values[:3]) + (" / …" if len(values) > 3 else "")


def _picture(tree: SoftTreeReadable, x: np.ndarray, ranges: Sequence[Mapping[str, Any]]) -> str:
    """The row as the image that it is, from the least to the greatest number of all columns."""
    if not tree.image:
        return ""
    lows = [c["low"] for c in ranges if is_number(c.get("low"))]
    highs = [c["high"] for c in ranges if is_number(c.get("high"))]
    low, high = min([*lows, float(x.min())]), max([*highs, float(x.max())])
    return png_uri(plain_image(x.reshape(tree.image), low, high))


def _leaf_svg(tree: SoftTreeReadable, leaf: int) -> Markup:
    parts = distribution_parts(tree, leaf, (1.0, 1.0, 118.0, 48.0), most=60)
    if not parts:
        return Markup("")
    return element("svg", {"class": "soft-leaf", "viewBox": "0 0 120 50", "aria-hidden": "true"}, *parts)
