"""How the strength of a smooth teacher's penalty is chosen: by its own validation loss, or by its student's score.

Source
------
Dhar2025 names no rule; both are ours.

Cost
----
By the teacher: nothing more than the networks. By the student: a fit of the student for each strength.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.tables import Table

__all__ = ["Rule", "Selection", "SelectionRows", "by_student", "choose"]

Rule: TypeAlias = Literal["given", "teacher", "student"]


@dataclass(frozen=True)
class Selection:
    """Which strength was taken, by which rule, and what all of them reached on the validation rows.

    Attributes
    ----------
    rule : {"given", "teacher", "student"}
        "given": there was one strength. "teacher": the least validation loss of the network. "student": the best score
        of the student on the validation rows' true target.
    metric : str
        What the scores are.
    table : tuple of (float, float)
        Each strength and its score, in the order in which they were given; NaN where the network diverged or the
        student could not be fitted.
    strength : float
        The one that was taken.
    rows : int
        How many validation rows there were. They were used to stop the training and to choose: the score of the
        strength that was taken is optimistic.
    failures : tuple of (float, str)
        Strengths whose student could not be fitted, and why.
    """

    rule: Rule
    metric: str
    table: tuple[tuple[float, float], ...]
    strength: float
    rows: int
    failures: tuple[tuple[float, str], ...] = ()

    def text(self) -> str:
        """One line for a person."""
        if self.rule == "given":
            return f"strength {self.strength:g}, as given"
        whose = "the teacher's loss" if self.rule == "teacher" else "the student's score"
        tried = ", ".join(f"{strength:g}: {score:.4g}" for strength, score in self.table)
        return f"strength {self.strength:g}, chosen by {whose} on {self.rows} validation rows ({self.metric}; {tried})"


@dataclass(frozen=True)
class SelectionRows:
    """The rows that a student is fitted on, and those that it is scored on with their true target."""

    train: Table
    held: Table
    truth: np.ndarray


def choose(strengths: Sequence[float], scores: Sequence[float], *, largest: bool) -> int:
    """The position of the best finite score, the first of equal ones.

    Raises
    ------
    InputError
        Where none is finite.
    """
    finite = [i for i, score in enumerate(scores) if math.isfinite(score)]
    if not finite:
        raise InputError(
            f"training gave no finite loss with the strength(s) {[float(s) for s in strengths]}; use smaller ones, or "
            "look for extreme values in X and y"
        )
    return (max if largest else min)(finite, key=lambda i: scores[i])


def by_student(
    student: Any, networks: Sequence[Any], strengths: Sequence[float], rows: SelectionRows, seed: int
) -> tuple[list[float], list[tuple[float, str]]]:
    """For each network the score of a student of it, R2 or accuracy on the true target; and what failed.

    Raises
    ------
    TeacherError
        Where no student could be fitted.
    """
    scores, failures = [], []
    for network, strength in zip(networks, strengths, strict=True):
        try:
            scores.append(_score(student, network, rows, seed))
        except Exception as error:
            scores.append(math.nan)
            failures.append((float(strength), f"{type(error).__name__}: {' '.join(str(error).split()):.300}"))
    if not any(math.isfinite(score) for score in scores):
        why = failures[0][1] if failures else "its scores are not finite"
        raise TeacherError(f"no strength can be chosen by {type(student).__name__}: {why}")
    return scores, failures


def _score(student: Any, network: Any, rows: SelectionRows, seed: int) -> float:
    """A copy of the student, fitted on the network's answers and scored on what is true."""
    from sklearn.base import clone
    from sklearn.metrics import accuracy_score, r2_score

    model = clone(student)
    if model.get_params(deep=False).get("random_state", 0) is None:
        model.set_params(random_state=seed)
    more = {}
    classify = hasattr(network, "predict_proba")
    if classify and _takes(model.fit, "y_soft"):
        more["y_soft"] = network.predict_proba(rows.train)
    answers = network.predict(rows.train)
    model.fit(rows.train.native(), np.array(answers.tolist()) if classify else answers, **more)
    predicted = np.asarray(model.predict(rows.held.native()))
    return float((accuracy_score if classify else r2_score)(np.array(rows.truth.tolist()), predicted))


def _takes(function: Callable[..., Any], name: str) -> bool:
    return name in inspect.signature(function).parameters
