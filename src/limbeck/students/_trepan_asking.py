"""Asking a model by batches, and checking each of its answers before it is learned from.

Departures
----------
The oracle is any callable; a few rows are asked twice first, because a model that answers the same rows differently
(dropout left on, a random label) can't be imitated.

Cost
----
2 x `PROBE` rows for the check; the rows of the data only where the answers that came with them are not the oracle's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from limbeck._core.errors import TeacherError
from limbeck.students._fitting import SUM_TOLERANCE, TrainingRows

__all__ = ["Asking"]

PROBE = 64
"""Rows that are asked twice."""
SAME = 1e-4
"""Share of the answers' range within which two answers are the same (batches change the last bits)."""


class Asking:
    """An oracle as a student asks it: encoded rows in, checked targets ``(n, k)`` out, rows and calls counted."""

    def __init__(self, oracle: Callable[[Any], Any], rows: TrainingRows) -> None:
        self._oracle = oracle
        self._rows = rows
        self._is_held_out = getattr(oracle, "is_held_out", None)
        self.n_rows = 0
        self.n_calls = 0

    def free(self, drawn: np.ndarray, given: np.ndarray) -> np.ndarray:
        """The drawn rows ``(m, d)``; `given` ones stand for those that the oracle holds out, where it says which."""
        if self._is_held_out is None:
            return drawn
        held = np.flatnonzero(self._is_held_out(drawn))
        drawn = drawn.copy()
        drawn[held] = given[np.arange(len(held)) % len(given)]
        return drawn

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The answers on encoded rows ``(n, d)``: outputs, or probabilities of the classes.

        Raises
        ------
        TeacherError
            Where the oracle raises, or its answers have a wrong shape, a NaN, a label that is no class, or are no
            probabilities.
        """
        self.n_calls += 1
        self.n_rows += len(values)
        try:
            raw = self._oracle(self._rows.table.with_values(values).native())
        except Exception as error:
            raise TeacherError(
                f"the oracle raised {type(error).__name__} on {len(values)} rows: {str(error)[:300]}"
            ) from error
        answers = _as_array(raw)
        if len(answers.shape) not in (1, 2) or len(answers) != len(values):
            raise TeacherError(
                f"the oracle must answer {len(values)} rows with one label, value or row of probabilities each; got an "
                f"answer of shape {answers.shape}"
            )
        if self._rows.classes is None:
            return self._values(answers)
        return self._labels(answers) if answers.ndim == 1 else self._probabilities(answers)

    def rows(self, *, are_answers: bool, rng: np.random.Generator) -> TrainingRows:
        """The rows with the oracle's answers: those that came with them where they are (`are_answers`), else asked.

        Raises
        ------
        TeacherError
            Where the oracle answers the same rows differently.
        """
        rows = self._rows
        some = np.sort(rng.choice(len(rows), min(PROBE, len(rows)), replace=False))
        once, twice = self(rows.values[some]), self(rows.values[some])
        close = SAME * max(float(np.abs(once).max()), float(np.abs(twice).max()), 1e-300)
        odd = np.flatnonzero(np.abs(once - twice).max(axis=1) > close)
        if len(odd):
            raise TeacherError(
                f"the oracle must answer the same rows alike; {len(odd)} of {len(some)} rows had another answer the "
                f"second time: {once[odd[0]].tolist()!s:.80}, then {twice[odd[0]].tolist()!s:.80}. Switch off what is "
                "random in it (dropout: model.eval())."
            )
        if are_answers and np.abs(once - rows.targets[some]).max() <= close:
            return rows
        return replace(rows, targets=self(rows.values))

    def _values(self, answers: np.ndarray) -> np.ndarray:
        k = self._rows.n_outputs
        answers = answers.reshape(len(answers), -1)
        if answers.shape[1] != k:
            raise TeacherError(f"the oracle must answer with {k} value(s) a row, as y has; got {answers.shape[1]}")
        return _finite(answers)

    def _labels(self, answers: np.ndarray) -> np.ndarray:
        classes = self._rows.classes
        assert classes is not None
        known = {label: position for position, label in enumerate(classes.tolist())}
        places = np.array([known.get(label, -1) for label in answers.tolist()])
        if (places < 0).any():
            unknown = answers[int(np.argmin(places))]
            raise TeacherError(
                f"the oracle must answer with one of the classes {classes.tolist()[:12]}; got {unknown!r:.60}. Name "
                "all classes with classes=[...], or give the probabilities of all, shape (n, classes)."
            )
        return np.eye(len(classes))[places]

    def _probabilities(self, answers: np.ndarray) -> np.ndarray:
        k = self._rows.n_outputs
        if answers.shape[1] != k:
            raise TeacherError(
                f"the oracle's probabilities need one column a class, {k} for {self._rows.output_names[:12]}; got "
                f"shape {answers.shape}"
            )
        answers = _finite(answers)
        total = answers.sum(axis=1)
        row = int(np.argmax(np.abs(total - 1.0)))
        if answers.min() < -1e-9 or abs(total[row] - 1.0) > SUM_TOLERANCE:
            row = row if answers.min() >= -1e-9 else int(np.argmin(answers.min(axis=1)))
            raise TeacherError(
                f"the oracle must answer with probabilities, none negative, that sum to 1; got "
                f"{answers[row].tolist()!s:.120}. Apply a softmax to scores first."
            )
        answers = np.maximum(answers, 0.0)
        return answers / answers.sum(axis=1, keepdims=True)


def _as_array(raw: Any) -> np.ndarray:
    return np.asarray(raw.detach().cpu() if hasattr(raw, "detach") else raw)


def _finite(answers: np.ndarray) -> np.ndarray:
    try:
        answers = answers.astype(np.float64)
    except (TypeError, ValueError):
        raise TeacherError(f"the oracle must answer with numbers; got {answers.flat[0]!r:.60}") from None
    bad = int((~np.isfinite(answers)).any(axis=1).sum())
    if bad:
        raise TeacherError(
            f"the oracle must answer with finite numbers; got NaN or infinity in {bad} of {len(answers)} rows"
        )
    return answers
