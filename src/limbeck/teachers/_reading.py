"""How raw answers are read: as quantities, probabilities, scores or labels - decided once, on the first rows.

Nothing is read in a way that was not said by the model, by the user, or decided here and noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.targets import infer_task
from limbeck.teachers._source import Source, Task

__all__ = ["Reading", "Wanted", "as_array", "decide", "read"]

TOLERANCE = 1e-3
HOW = {
    "values": "quantities",
    "probabilities": "probabilities",
    "positive": "the probability of the second class",
    "logits": "scores, turned into probabilities by softmax",
    "logit": "a score of the second class, turned into a probability by the logistic function",
    "labels": "labels, turned into probabilities of 0 and 1",
}


@dataclass(frozen=True)
class Wanted:
    """What the user said about the answers."""

    task: Task | None = None
    classes: tuple[Any, ...] | None = None
    output: str | None = None
    y: np.ndarray | None = None


@dataclass(frozen=True)
class Reading:
    """How raw answers become ``(n, k)``."""

    task: Task
    how: str
    classes: tuple[Any, ...]
    n_outputs: int
    notes: tuple[str, ...] = ()


def as_array(raw: Any, n: int, name: str) -> np.ndarray:
    """Raw answers as an array: labels ``(n,)``, or numbers ``(n,)`` or ``(n, k)``.

    Raises
    ------
    TeacherError
        Where they are not one answer a row.
    """
    if hasattr(raw, "detach"):
        raw = raw.detach().cpu()
        raw = (raw.double() if raw.is_floating_point() else raw).numpy()
    elif hasattr(raw, "to_numpy"):
        raw = raw.to_numpy()
    try:
        array = np.asarray(raw)
    except ValueError:
        array = np.empty((), dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or len(array) != n or (array.ndim == 2 and not array.shape[1]):
        came = f"{type(raw).__name__} of shape {array.shape}" if array.shape else type(raw).__name__
        raise TeacherError(
            f"{name} must answer {n} rows with an array of shape ({n},) or ({n}, k); it answered with {came}"
        )
    if array.dtype.kind == "f" and array.dtype != np.float64:
        array = array.astype(np.float64)
    if array.dtype.kind == "O" and array.size:
        numbers = all(isinstance(value, int | float | np.number) for value in array.flat)
        array = np.array(array.tolist()) if numbers else array
    odd = [v for v in array.flat if not isinstance(v, str | int | float)] if array.dtype.kind == "O" else []
    if odd:
        raise TeacherError(
            f"{name} must answer with numbers or labels; it answered with {type(odd[0]).__name__} objects"
        )
    if array.dtype.kind not in "fiubOUS":
        raise TeacherError(f"{name} must answer with numbers or labels; it answered with dtype {array.dtype}")
    return array


def decide(raw: np.ndarray, source: Source, wanted: Wanted) -> Reading:
    """How these answers, and all later ones, are read.

    Raises
    ------
    InputError
        Where the user must say more, or said something that does not fit.
    """
    notes: list[str] = []
    task = _task(raw, source, wanted, notes)
    if task == "regression":
        if source.task == "classification":
            raise InputError(
                f"{source.name} is a classifier, so task='regression' does not fit. To distil a probability as a "
                "quantity, give a function: as_teacher(lambda X: model.predict_proba(X)[:, 1], task='regression')"
            )
        if raw.dtype.kind in "OUS":
            raise InputError(
                f"{source.name} answers with text such as {_first(raw)!r:.60}; task='regression' needs numbers"
            )
        return Reading("regression", "values", (), 1 if raw.ndim == 1 else raw.shape[1], tuple(notes))
    classes = _named_classes(source, wanted)
    if _are_labels(raw, source, classes):
        labels = classes or _labels(raw, source, wanted)
        notes.append("only labels are answered, no probabilities: fidelity is to the labels")
        return Reading("classification", "labels", labels, len(labels), tuple(notes))
    how = _how(raw, source, wanted, notes)
    k = 2 if raw.ndim == 1 else raw.shape[1]
    if classes is None and wanted.y is not None and wanted.y.ndim == 1:
        found = tuple(np.unique(wanted.y.astype(str) if wanted.y.dtype.kind == "O" else wanted.y).tolist())
        classes = found if len(found) == k else None
        if classes is not None:
            notes.append(f"the classes are the labels of y in sorted order: {list(classes)[:12]}")
    if classes is not None and len(classes) != k:
        columns = "one column, which makes two classes" if raw.ndim == 1 else f"{k} columns"
        raise InputError(
            f"{source.name} answers with {columns}, but {len(classes)} classes are named: {classes!r:.200}"
        )
    return Reading("classification", how, classes or tuple(range(k)), k, tuple(notes))


def _task(raw: np.ndarray, source: Source, wanted: Wanted, notes: list[str]) -> Task:
    if wanted.task or source.task:
        return wanted.task or source.task  # type: ignore[return-value]
    if raw.dtype.kind in "OUSb" or wanted.classes is not None or wanted.output is not None:
        return "classification"
    if wanted.y is not None:
        return infer_task(wanted.y)
    if raw.ndim == 2:
        if _are_probabilities(raw):
            notes.append("every row of answers sums to 1: read as the probabilities of classes")
            return "classification"
        raise InputError(
            f"{source.name} answers with {raw.shape[1]} columns that are not probabilities: they may be scores of "
            "classes or several quantities. Say task='classification' or task='regression'."
        )
    if raw.dtype.kind in "iu":
        raise InputError(
            f"{source.name} answers with whole numbers, which may be labels or quantities. Say task='classification' "
            "(with classes=[...]) or task='regression'."
        )
    if ((raw >= 0) & (raw <= 1)).all():
        notes.append(
            "one answer a row, all between 0 and 1: read as a quantity; if it is the probability of a class, say "
            "task='classification'"
        )
    return "regression"


def _named_classes(source: Source, wanted: Wanted) -> tuple[Any, ...] | None:
    if wanted.classes is None or source.classes is None or len(wanted.classes) == len(source.classes):
        return wanted.classes or source.classes
    raise InputError(
        f"{source.name} has {len(source.classes)} classes {list(source.classes)[:12]}; classes names "
        f"{len(wanted.classes)}: {list(wanted.classes)[:12]}"
    )


def _are_labels(raw: np.ndarray, source: Source, classes: Sequence[Any] | None) -> bool:
    if source.answers is not None:
        return source.answers == "labels"
    if raw.ndim == 2:
        return False
    if raw.dtype.kind != "f":
        return True
    whole = bool(np.isfinite(raw).all() and (raw == np.rint(raw)).all())
    return whole and classes is not None and len(classes) > 2 and set(raw.tolist()) <= {c for c in classes if c == c}


def _labels(raw: np.ndarray, source: Source, wanted: Wanted) -> tuple[Any, ...]:
    if raw.dtype.kind == "b":
        return (False, True)
    if wanted.y is not None:
        return tuple(np.unique(wanted.y.astype(str) if wanted.y.dtype.kind == "O" else wanted.y).tolist())
    raise InputError(
        f"{source.name} answers with labels such as {_first(raw)!r:.60}, and a few rows may not show all of them: say "
        "classes=[...] with every label"
    )


def _first(raw: np.ndarray) -> Any:
    return raw.ravel()[:1].tolist()[0]


def _are_probabilities(raw: np.ndarray) -> bool:
    inside = (raw >= -TOLERANCE) & (raw <= 1 + TOLERANCE)
    return raw.ndim == 2 and bool(inside.all() and (np.abs(raw.sum(axis=1) - 1) <= TOLERANCE).all())


def _how(raw: np.ndarray, source: Source, wanted: Wanted, notes: list[str]) -> str:
    """Probabilities or scores, of one column or of several."""
    single = raw.ndim == 1
    said = wanted.output or (source.answers if source.answers in ("probabilities", "logits") else None)
    if said is not None:
        return {"probabilities": ("probabilities", "positive"), "logits": ("logits", "logit")}[said][single]
    inside = bool(((raw >= -TOLERANCE) & (raw <= 1 + TOLERANCE)).all())
    if single and inside:
        notes.append(
            "one answer a row between 0 and 1 is read as the probability of the second class; output='logits' says else"
        )
        return "positive"
    if single:
        notes.append(
            "one answer a row, not all between 0 and 1, is read as a score of the second class: the logistic "
            "function makes the probability"
        )
        return "logit"
    if _are_probabilities(raw):
        return "probabilities"
    if inside:
        sums = raw.sum(axis=1)
        raise InputError(
            f"{source.name} answers between 0 and 1, but rows sum to between {sums.min():.4g} and {sums.max():.4g}, "
            "not to 1: these are neither probabilities of classes that exclude each other nor clearly scores. Say "
            "output='logits' for softmax, or task='regression' to distil each column on its own."
        )
    notes.append(
        "answers are not probabilities (rows do not sum to 1): read as scores, softmax makes the probabilities"
    )
    return "logits"


def read(raw: np.ndarray, reading: Reading, name: str, first_row: int = 0) -> np.ndarray:
    """Raw answers as float64 ``(n, k)``: quantities, or probabilities.

    Raises
    ------
    TeacherError
        For NaN or infinity, another number of columns, probabilities that are none, or an unknown label.
    """
    if reading.how == "labels":
        return _one_hot(raw, reading, name, first_row)
    if raw.dtype.kind in "OUS":
        raise TeacherError(f"{name} must answer with numbers; it answered with {_first(raw)!r:.60}")
    out = raw.astype(np.float64).reshape(len(raw), -1)
    width = 1 if reading.how in ("positive", "logit") else reading.n_outputs
    if out.shape[1] != width:
        raise TeacherError(f"{name} answered with {width} column(s) at first and with {out.shape[1]} now")
    bad = ~np.isfinite(out).all(axis=1)
    if bad.any():
        raise TeacherError(
            f"{name} answers with NaN or infinity for {int(bad.sum())} of {len(out)} rows, first for row "
            f"{first_row + int(bad.argmax())}. Mend the model, or leave out rows that it can't answer."
        )
    if reading.how == "logits":
        scores = np.exp(out - out.max(axis=1, keepdims=True))
        return np.asarray(scores / scores.sum(axis=1, keepdims=True))
    if reading.how == "logit":
        return np.hstack([expit(-out), expit(out)])
    if reading.how in ("positive", "probabilities"):
        _refuse_non_probabilities(out, reading.how, name, first_row)
    return np.hstack([1.0 - out, out]) if reading.how == "positive" else out


def _refuse_non_probabilities(out: np.ndarray, how: str, name: str, first_row: int) -> None:
    outside = ((out < -TOLERANCE) | (out > 1 + TOLERANCE)).any(axis=1)
    sums = out.sum(axis=1)
    wrong = outside if how != "probabilities" else outside | (np.abs(sums - 1) > TOLERANCE)
    if wrong.any():
        row = int(wrong.argmax())
        raise TeacherError(
            f"{name} must answer with probabilities in [0, 1]{' that sum to 1' if how == 'probabilities' else ''}; "
            f"row {first_row + row} is {np.array2string(out[row], precision=4, threshold=6)} with the sum "
            f"{sums[row]:.4g} ({int(wrong.sum())} of {len(out)} such rows). If these are scores, say output='logits'."
        )


def _one_hot(raw: np.ndarray, reading: Reading, name: str, first_row: int) -> np.ndarray:
    position: dict[Any, int] = {str(label): i for i, label in enumerate(reading.classes)}
    position.update({label: i for i, label in enumerate(reading.classes)})
    out = np.zeros((len(raw), reading.n_outputs))
    for i, label in enumerate(raw.ravel().tolist()):
        code = position.get(label, position.get(str(label)))
        if code is None:
            raise TeacherError(
                f"{name} answers row {first_row + i} with the label {label!r:.60}; its classes are "
                f"{list(reading.classes)[:12]}"
            )
        out[i, code] = 1.0
    return out
