"""The students of a run as the page shows them: the readable model, verdict, fidelity, place on the front."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limbeck._core.storage import RunDocuments
from limbeck.readable import Program, Readable, readable_from_dict
from limbeck.report._words import FAMILY_LABELS, is_number, verdict_kind

__all__ = ["Alternative", "Fidelity", "StudentView", "fidelity", "read_students"]

MAX_ALTERNATIVES = 40


@dataclass(frozen=True)
class Fidelity:
    """How close to the teacher: R2 (the worst output) or agreement, and its interval where a check gave one."""

    value: float
    interval: tuple[float, float] | None = None
    threshold: float | None = None


@dataclass(frozen=True)
class Alternative:
    """Another model of the same family, shorter or longer; what the run does not say of it is None."""

    readable: Readable
    complexity: int
    score: Any
    fidelity: float | None
    chosen: bool
    accuracy: float | None = None
    bic: float | None = None
    mdl: float | None = None


@dataclass(frozen=True)
class StudentView:
    """One student.

    Attributes
    ----------
    index : int
        Its place in the run, which names its parts in the page.
    outputs : array ``(m, k)`` or None
        Its answers on the stored held-out rows.
    fidelity : Fidelity or None
        From RC001; where that check is missing, from the stored rows and without an interval.
    dominated : bool
        True where another student is as faithful and as short, and better in one of the two.
    """

    index: int
    name: str
    family: str
    readable: Readable
    complexity: int
    seconds: Any
    verdict: str
    findings: tuple[dict[str, Any], ...]
    outputs: np.ndarray | None
    fidelity: Fidelity | None
    alternatives: tuple[Alternative, ...]
    dominated: bool = False

    @functools.cached_property
    def program(self) -> Program:
        """The model in the one language, built once for all exports."""
        return self.readable.program()

    @property
    def kind(self) -> str:
        """The kind of the verdict: use, care, refuse or none."""
        return verdict_kind(self.verdict)

    @property
    def label(self) -> str:
        """The family in words."""
        return FAMILY_LABELS.get(self.family, self.family.replace("_", " "))

    def finding(self, code: str) -> dict[str, Any] | None:
        """The finding with this code."""
        return next((found for found in self.findings if found.get("code") == code), None)


def fidelity(task: str, teacher: np.ndarray, outputs: np.ndarray) -> float | None:
    """R2 to the teacher (the worst output) or the share of rows with the same class; None where it is undefined.

    Examples
    --------
    >>> fidelity("regression", np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]))
    0.5
    """
    if teacher.shape != outputs.shape or not len(teacher) or not np.isfinite(outputs).all():
        return None
    if task == "classification":
        return float(np.mean(teacher.argmax(axis=1) == outputs.argmax(axis=1)))
    spread = np.sum((teacher - teacher.mean(axis=0)) ** 2, axis=0)
    if len(teacher) < 2 or np.any(spread == 0):
        return None
    return float(np.min(1.0 - np.sum((teacher - outputs) ** 2, axis=0) / spread))


def read_students(documents: RunDocuments) -> list[StudentView]:
    """The students of a run, in its order; those without a document yet are left out."""
    listed = {entry.get("name"): entry for entry in documents.results.get("students", []) if isinstance(entry, dict)}
    names = [name for name in documents.run.get("students", list(documents.students)) if name in documents.students]
    task = str(documents.run.get("task", "regression"))
    views = [
        _read(index, name, {**listed.get(name, {}), **documents.students[name]}, documents.arrays, task)
        for index, name in enumerate(names)
    ]
    return [replace(view, dominated=_is_dominated(view, views)) for view in views]


def _read(index: int, name: str, document: dict[str, Any], arrays: dict[str, np.ndarray], task: str) -> StudentView:
    readable = readable_from_dict(document["readable"])
    findings = tuple(found for found in document.get("findings") or [] if isinstance(found, dict))
    rows, teacher = arrays.get("X"), arrays.get("teacher")
    outputs = arrays.get(f"student/{name}")
    if outputs is None and rows is not None and len(rows):
        outputs = readable.predict_encoded(rows)
    return StudentView(
        index=index,
        name=str(name),
        family=str(document.get("family") or readable.family),
        readable=readable,
        complexity=readable.complexity,
        seconds=document.get("seconds"),
        verdict=str(document.get("verdict") or ""),
        findings=findings,
        outputs=outputs,
        fidelity=_checked(findings) or _measured(task, teacher, outputs),
        alternatives=_alternatives(document, readable, task, rows, teacher),
    )


def _checked(findings: Sequence[dict[str, Any]]) -> Fidelity | None:
    for found in findings:
        if found.get("code") == "RC001" and is_number(found.get("value")):
            interval, threshold = found.get("interval"), found.get("threshold")
            pair = (
                (float(interval[0]), float(interval[1]))
                if isinstance(interval, list | tuple) and len(interval) == 2 and all(map(is_number, interval))
                else None
            )
            return Fidelity(float(found["value"]), pair, float(threshold) if is_number(threshold) else None)  # type: ignore[arg-type]
    return None


def _measured(task: str, teacher: np.ndarray | None, outputs: np.ndarray | None) -> Fidelity | None:
    value = None if teacher is None or outputs is None else fidelity(task, teacher, outputs)
    return None if value is None else Fidelity(value)


def _alternatives(
    document: dict[str, Any],
    chosen: Readable,
    task: str,
    rows: np.ndarray | None,
    teacher: np.ndarray | None,
) -> tuple[Alternative, ...]:
    """The front inside the family, the longest first; its fidelity is measured on the stored held-out rows."""
    out, own, size = [], chosen.to_dict(), chosen.complexity
    accuracies = _accuracies(document.get("curve"))
    for entry in document.get("alternatives") or []:
        readable = readable_from_dict(entry["readable"])
        value = None
        if rows is not None and teacher is not None and len(rows):
            value = fidelity(task, teacher, readable.predict_encoded(rows))
        same = readable.complexity == size and readable.to_dict() == own
        criteria = [float(entry[key]) if is_number(entry.get(key)) else None for key in ("bic", "mdl")]
        accuracy = accuracies.get(readable.complexity)
        out.append(Alternative(readable, readable.complexity, entry.get("score"), value, same, accuracy, *criteria))
    out.sort(key=lambda alternative: -alternative.complexity)
    return tuple(out[:MAX_ALTERNATIVES])


def _accuracies(curve: Any) -> dict[int, float]:
    """By complexity: R2 or accuracy on the truth of held-out rows, where one member alone has this complexity."""
    points = [point for point in curve or () if isinstance(point, dict)]
    counts = Counter(point.get("complexity") for point in points if is_number(point.get("complexity")))
    return {
        int(point["complexity"]): float(point["test_accuracy"])
        for point in points
        if counts[point.get("complexity")] == 1 and is_number(point.get("test_accuracy"))
    }


def _is_dominated(one: StudentView, views: Sequence[StudentView]) -> bool:
    if one.fidelity is None:
        return False
    for other in views:
        if other.fidelity is None or other is one:
            continue
        no_worse = other.complexity <= one.complexity and other.fidelity.value >= one.fidelity.value
        better = other.complexity < one.complexity or other.fidelity.value > one.fidelity.value
        if no_worse and better:
            return True
    return False
