"""The data that the page's scripts work on: columns with their ranges, rows to start from, trees to walk.

Cost
----
O(rows * columns); rows are left out where they would make the page too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from limbeck._core.storage import RunDocuments
from limbeck._core.tables import Column, Schema
from limbeck.readable import TreeReadable
from limbeck.report._embed import Budget, json_block
from limbeck.report._spans import most_used
from limbeck.report._students import StudentView
from limbeck.report._words import is_number, number

__all__ = ["column_data", "encoded_row", "nice_step", "page_data", "tree_data"]

MANY_COLUMNS = 150
SHOWN_COLUMNS = 40
"""Where a student reads more than so many columns, these many have a control at once, the others when asked for."""

MAX_ROWS = 200
MAX_ROWS_BYTES = 300_000
MAX_SCHEMA_BYTES = 900_000


def nice_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, about a two-hundredth of the span.

    Examples
    --------
    >>> [nice_step(span) for span in (10.0, 1.0, 333.0)]
    [0.05, 0.005, 2.0]
    """
    if not span > 0:
        return 1.0
    raw = span / 200.0
    power = 10.0 ** math.floor(math.log10(raw))
    factor = next(f for f in (1, 2, 5, 10) if f * power >= raw * 0.999)
    return float(f"{factor * power:.6g}")


def column_data(column: Column, middle: dict[str, Any]) -> dict[str, Any]:
    """What the what-if panel needs to know of a column; `values` are what a student's program takes for each level."""
    centre = middle.get("middle")
    start = float(f"{centre:.10g}") if is_number(centre) else 0.0
    if column.levels:
        text = any(isinstance(level, str) for level in column.levels)
        values = list(column.level_names) if text else [float(level) for level in column.levels]
        code = min(max(round(start), 0), len(values) - 1)
        return {"name": column.name, "levels": list(column.level_names), "values": values, "middle": code}
    if column.dtype in ("bool", "boolean"):
        return {"name": column.name, "levels": ["False", "True"], "values": [0, 1], "middle": int(start >= 0.5)}
    low, high = middle.get("low"), middle.get("high")
    bounds = (float(low), float(high)) if is_number(low) and is_number(high) else (start - 1.0, start + 1.0)  # type: ignore[arg-type]
    low, high = (bounds[0] - 1.0, bounds[1] + 1.0) if bounds[0] >= bounds[1] else bounds
    step = max(1.0, nice_step(high - low)) if column.integer else nice_step(high - low)
    digits = max(0, -math.floor(math.log10(step)))
    least, most = round(math.floor(low / step) * step, digits), round(math.ceil(high / step) * step, digits)
    return {"name": column.name, "levels": None, "min": least, "max": most, "step": step, "middle": start}


def tree_data(tree: TreeReadable) -> list[list[Any]]:
    """Each node as ``[column, threshold or null, levels, left, right]``; a leaf is empty."""
    return [
        [] if node.is_leaf else [node.column, node.threshold, list(node.levels), node.left, node.right]
        for node in tree.nodes
    ]


def encoded_row(schema: Schema, row: Any) -> list[float] | None:
    """A row of values by column name as numbers, levels as positions; None where it does not fit the columns."""
    if not isinstance(row, dict):
        return None
    out: list[float] = []
    for column in schema.columns:
        value = row.get(column.name)
        if column.levels:
            if str(value) not in column.level_names:
                return None
            out.append(column.level_names.index(str(value)))
        elif isinstance(value, bool) or is_number(value):
            out.append(float(value))  # type: ignore[arg-type]
        else:
            return None
    return out


def page_data(
    documents: RunDocuments,
    schema: Schema,
    students: Sequence[StudentView],
    *,
    drawings: Sequence[dict[str, Any]],
    outputs: Sequence[str],
    tips: Sequence[list[str]],
    absent: Sequence[str],
    worst: Sequence[dict[str, Any]],
    start: int,
    budget: Budget,
    left_out: list[str],
) -> dict[str, Any]:
    """Everything that the page's scripts read, within the budget."""
    data: dict[str, Any] = {
        "task": documents.run.get("task", "regression"),
        "outputs": list(outputs),
        "start": start,
        "students": [
            {"name": s.name, **_reads(s, documents), "tip": tip, "absent": why, "tree": None, **drawn}
            for s, tip, why, drawn in zip(students, tips, absent, drawings, strict=True)
        ],
        "columns": None,
        "rows": [],
        "teacher": [],
        "truth": None,
        "ranges": None,
        "worst": [],
    }
    budget.take(json_block(data))
    middles = documents.run.get("columns") or []
    columns = [column_data(c, middles[j] if j < len(middles) else {}) for j, c in enumerate(schema.columns)]
    text = json_block(columns)
    if len(text) > MAX_SCHEMA_BYTES or not budget.take(text):
        left_out.append("the what-if panel: the columns and their levels alone are too much for it")
        return data
    data["columns"] = columns
    for student, entry in zip(students, data["students"], strict=True):
        if isinstance(student.readable, TreeReadable):
            nodes = tree_data(student.readable)
            if budget.take(json_block(nodes)):
                entry["tree"] = nodes
            else:
                left_out.append(f"the lit path of {student.name}: the tree is too large")
    _add_rows(data, documents.arrays, worst, budget, left_out)
    return data


def _reads(student: StudentView, documents: RunDocuments) -> dict[str, Any]:
    """The columns that a student reads; of very many also those that enter most."""
    used = list(student.readable.columns_used)
    if len(used) <= MANY_COLUMNS:
        return {"uses": used, "first": None}
    return {"uses": used, "first": most_used(student.readable, documents.run.get("columns") or [], SHOWN_COLUMNS)}


def _add_rows(
    data: dict[str, Any],
    arrays: dict[str, np.ndarray],
    worst: Sequence[dict[str, Any]],
    budget: Budget,
    left_out: list[str],
) -> None:
    if budget.take(json_block(list(worst))):
        data["worst"] = list(worst)
    X, teacher, truth = arrays.get("X"), arrays.get("teacher"), arrays.get("truth")
    if X is None or teacher is None or not len(X):
        return
    if data["task"] == "regression":
        finite = teacher[np.isfinite(teacher).all(axis=1)]
        if len(finite):
            data["ranges"] = [[float(low), float(high)] for low, high in zip(finite.min(0), finite.max(0), strict=True)]
    lines, answers = X[:MAX_ROWS].tolist(), teacher[:MAX_ROWS].tolist()
    sizes = np.cumsum([len(json_block([line, answer])) for line, answer in zip(lines, answers, strict=True)])
    n = int(np.searchsorted(sizes, min(MAX_ROWS_BYTES, budget.left), side="right"))
    if n < min(len(X), MAX_ROWS):
        left_out.append(f"all but {number(n)} of the {number(len(X))} stored held-out rows in the what-if panel")
    if n == 0:
        return
    budget.take(json_block([lines[:n], answers[:n]]))
    data["rows"], data["teacher"] = lines[:n], answers[:n]
    if truth is not None and len(truth) >= n:
        data["truth"] = truth[:n].tolist()
