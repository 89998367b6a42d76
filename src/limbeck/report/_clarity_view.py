"""The price of clarity: every size of every student, and where to stop, from the curves that a run holds.

Cost
----
O(points).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck._core.storage import RunDocuments
from limbeck.report._clarity_svg import Curve, clarity_svg
from limbeck.report._students import StudentView
from limbeck.report._words import is_number, measure, number, plural, shortened

__all__ = ["clarity_view", "curves_of"]

MAX_LINES = 400
MARKS = (("stop_overall", "stop here"), ("stop", "stop, of this student"), ("chosen", "chosen"))


def curves_of(documents: RunDocuments, students: Sequence[StudentView]) -> list[Curve]:
    """The curve of each student that has one; points without a size are left out."""
    out = []
    for student in students:
        found = documents.students[student.name].get("curve")
        points = [point for point in found if _is_point(point)] if isinstance(found, list) else []
        points.sort(key=lambda point: point["complexity"])
        if points:
            out.append(Curve(student.name, student.family, tuple(points)))
    return out


def _is_point(point: Any) -> bool:
    return isinstance(point, Mapping) and is_number(point.get("complexity")) and point["complexity"] >= 0


@dataclass(frozen=True)
class _Words:
    """What the measures are called in this run."""

    fidelity: str
    accuracy: str


def clarity_view(
    documents: RunDocuments, students: Sequence[StudentView], metric: str, teacher: float | None
) -> dict[str, Any] | None:
    """What the section shows; None where the run holds no curve of more than one size."""
    curves = curves_of(documents, students)
    if not any(len(curve.points) > 1 for curve in curves):
        return None
    is_classes = documents.run.get("task") == "classification"
    words = _Words(
        f"{metric} with the teacher" if is_classes else f"{metric} to the teacher",
        "accuracy" if is_classes else f"{metric} on the truth",
    )
    shown = [("fidelity", words.fidelity)]
    if any(
        is_number(point.get(f"{part}_accuracy")) for c in curves for point in c.points for part in ("train", "test")
    ):
        shown.append(("accuracy", words.accuracy))
    pictures = [
        {
            "wide": clarity_svg(curves, which, name, 1040, 440, teacher if which == "accuracy" else None),
            "narrow": clarity_svg(curves, which, name, 400, 380, teacher if which == "accuracy" else None),
        }
        for which, name in shown
    ]
    heads = [f"{name}, {part}" for _, name in shown for part in ("training", "validation", "test")]
    lines = [_line(curve, point, [which for which, _ in shown]) for curve in curves for point in curve.points]
    return {"sentence": _sentence(curves, metric), "pictures": pictures, "heads": heads, "lines": lines[:MAX_LINES]}


def _line(curve: Curve, point: Mapping[str, Any], shown: Sequence[str]) -> dict[str, Any]:
    cells = []
    for which in shown:
        error = point.get("validation_se" if which == "fidelity" else "accuracy_se")
        between = f" ± {measure(error)}" if is_number(error) else ""
        cells += [
            measure(point.get(f"train_{which}")),
            measure(point.get(f"validation_{which}")) + between,
            measure(point.get(f"test_{which}")),
        ]
    marks = [word for key, word in MARKS if point.get(key) is True]
    if len(marks) > 1 and "stop here" in marks:
        marks = [mark for mark in marks if mark != "stop, of this student"]
    return {
        "name": shortened(curve.name, 40),
        "size": _size(point),
        "complexity": number(point["complexity"]),
        "cells": cells,
        "marks": ", ".join(marks),
        "stop": point.get("stop_overall") is True,
    }


def _size(point: Mapping[str, Any]) -> str:
    """``7 leaves``, ``1 leaf``."""
    unit = shortened(str(point.get("unit") or ""), 24)
    singular = {"leaves": "leaf"}.get(unit, unit.removesuffix("s"))
    return plural(point["size"], singular, unit) if is_number(point.get("size")) and unit else "–"


def _sentence(curves: Sequence[Curve], metric: str) -> str:
    """Where to stop, and what it costs."""
    known = [
        (curve, point) for curve in curves for point in curve.points if is_number(point.get("validation_fidelity"))
    ]
    stop = next(((curve, point) for curve, point in known if point.get("stop_overall") is True), None)
    if stop is None:
        return (
            "No size to stop at is named, for nothing was validated: the run made no refits whose rows could do that."
        )
    best = max(known, key=lambda entry: (entry[1]["validation_fidelity"], -entry[1]["complexity"]))
    symbols = plural(stop[1]["complexity"], "symbol")
    where = f"Stop at {shortened(stop[0].name, 40)} with {_size(stop[1])}, {symbols} to read"
    if stop[1] is best[1]:
        value = measure(stop[1]["validation_fidelity"])
        return f"{where}: no other size is better validated ({metric} {value}).{_readable(known, stop, metric)}"
    other = f"{shortened(best[0].name, 40)} with {_size(best[1])}"
    text = (
        f"{where}: validated {metric} {measure(stop[1]['validation_fidelity'])}, within one standard error "
        f"({measure(best[1].get('validation_se'))}) of the best, {measure(best[1]['validation_fidelity'])} by {other}, "
        f"{plural(best[1]['complexity'], 'symbol')}."
    )
    return text + _cost(stop[1], best[1], metric) + _readable(known, stop, metric)


def _readable(known: Sequence[tuple[Curve, Mapping[str, Any]]], stop: tuple[Curve, Any], metric: str) -> str:
    """The best of the others' sizes to stop at, where the one for all is a network's."""
    others = [entry for entry in known if entry[1].get("stop") is True and entry[0].family != "network"]
    if stop[0].family != "network" or not others:
        return ""
    curve, point = max(others, key=lambda entry: (entry[1]["validation_fidelity"], -entry[1]["complexity"]))
    gap = stop[1]["validation_fidelity"] - point["validation_fidelity"]
    return (
        f" A network is not read but run; of the others {shortened(curve.name, 40)} with {_size(point)}, "
        f"{plural(point['complexity'], 'symbol')}, comes nearest: validated {metric} "
        f"{measure(point['validation_fidelity'])}, {measure(abs(gap))} {'less' if gap >= 0 else 'more'}."
    )


def _cost(stop: Mapping[str, Any], best: Mapping[str, Any], metric: str) -> str:
    """What stopping costs on the test rows."""
    one, other = stop.get("test_fidelity"), best.get("test_fidelity")
    if one is None or other is None or not (is_number(one) and is_number(other)):
        return ""
    gap = float(other) - float(one)
    if gap <= 0:
        return f" On the test rows it costs nothing: {metric} {measure(one)} against {measure(other)}."
    return f" On the test rows the price is {measure(gap)}: {metric} {measure(one)} against {measure(other)}."
