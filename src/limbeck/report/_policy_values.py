"""Policies as frozen values: a run's teacher and candidates, what each scored on which seed, and where they differ.

Cost
----
None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck.report._recording_values import Line

__all__ = ["Difference", "PlayedCandidate", "Policies", "Score"]


@dataclass(frozen=True)
class Score:
    """A mean return with its interval, and the worst episode."""

    mean: float
    low: float
    high: float
    worst: float
    std_error: float
    episodes: int


@dataclass(frozen=True)
class Difference:
    """A state where student and teacher act otherwise; `weight` is what a wrong action costs there."""

    seen: np.ndarray
    teacher: str
    student: str
    weight: float


@dataclass(frozen=True)
class PlayedCandidate:
    """A readable policy; `firing` is the share of states in which each guard or leaf decides, or empty.

    Attributes
    ----------
    lines : tuple of Line
        Its text, in pieces.
    decisions : tuple of int
        The action of each guard or leaf.
    columns : tuple of str
        Those of its rows: the observation's, then the changes.
    size : int
        Lines of a program, leaves of a tree.
    """

    name: str
    family: str
    readable: Any
    lines: tuple[Line, ...]
    decisions: tuple[int, ...]
    columns: tuple[str, ...]
    size: int
    complexity: int
    score: Score
    verdict: str
    findings: tuple[Mapping[str, Any], ...]
    returns: np.ndarray
    seconds: float
    firing: tuple[float, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Policies:
    """A run of `limbeck.distill_policy`."""

    environment: str
    columns: tuple[str, ...]
    actions: tuple[str, ...]
    changes: tuple[str, ...]
    kind: str
    students: tuple[str, ...]
    budget_s: float
    seconds: float
    states: int
    seed: int
    complete: bool
    notes: tuple[str, ...]
    seeds: tuple[int, ...]
    teacher: Score
    random: Score
    teacher_returns: np.ndarray
    random_returns: np.ndarray
    candidates: tuple[PlayedCandidate, ...]
