"""What a reality check returns, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from limbeck._core.tables import Table
from limbeck.readable import Readable

__all__ = ["Case", "Finding", "Status", "judge"]

Status = Literal["pass", "fail", "inconclusive", "not_applicable"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one reality check on one readable model.

    Attributes
    ----------
    code : str
        The check's stable code, ``RC001`` and so on.
    status : str
        ``pass``, ``fail``, ``inconclusive`` (the interval holds the threshold, or the check was cut short) or
        ``not_applicable``.
    value : float or None
        The measured number, in the unit that `message` names.
    interval : (float, float) or None
        Its 95 % interval.
    threshold : float or None
        What `value` is held against.
    message : str
        The finding in words.
    title : str
        The check's name in words.
    details : dict
        Further numbers, as JSON types.
    """

    code: str
    status: Status
    value: float | None
    interval: tuple[float, float] | None
    threshold: float | None
    message: str
    title: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON types."""
        return {
            "code": self.code,
            "title": self.title,
            "status": self.status,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
            "threshold": self.threshold,
            "message": self.message,
            "details": self.details,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Finding:
        """The finding that `to_dict` wrote."""
        interval = data.get("interval")
        return cls(
            str(data["code"]),
            data["status"],
            data.get("value"),
            None if interval is None else (interval[0], interval[1]),
            data.get("threshold"),
            str(data.get("message", "")),
            str(data.get("title", "")),
            dict(data.get("details", {})),
        )


@dataclass(frozen=True)
class Case:
    """What a check may look at: the readable model, the teacher, and rows.

    Attributes
    ----------
    readable : Readable
        The frozen model, after pruning and rounding.
    teacher : callable
        Rows to answers ``(n, k)``.
    rows : Table
        Held-out rows, which neither queries nor students have seen.
    answers : array ``(n, k)``
        The teacher's answers on them.
    truth : array or None
        What is true for them: numbers ``(n, k)``, or class positions ``(n,)``.
    background : Table
        The training rows: where the data lies.
    refits : sequence of Readable, or None
        The same student distilled again on bootstrap resamples; None where it was not, or not to the end.
    seed : int
        For the check's own draws.
    """

    readable: Readable
    teacher: Callable[[Any], np.ndarray]
    rows: Table
    answers: np.ndarray
    truth: np.ndarray | None
    background: Table
    refits: Sequence[Readable] | None
    seed: int

    @property
    def is_classification(self) -> bool:
        """True where the answers are class probabilities."""
        return self.readable.task == "classification"

    @property
    def student(self) -> np.ndarray:
        """The readable's answers ``(n, k)`` on the held-out rows."""
        return self.readable.predict_encoded(self.rows.values)


def judge(interval: tuple[float, float], threshold: float) -> Status:
    """The status of a value that must reach a threshold: decided only where the whole interval is on one side."""
    low, high = interval
    if low >= threshold:
        return "pass"
    return "fail" if high < threshold else "inconclusive"
