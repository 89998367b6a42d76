"""A study as frozen values: its arms, its sets, what was reached and compared.

Cost
----
None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Arm",
    "ArmResult",
    "Comparison",
    "Failure",
    "FormulaText",
    "Overall",
    "Spread",
    "Study",
    "StudyPoint",
    "StudySet",
]


@dataclass(frozen=True)
class Spread:
    """A mean over trials or sets, and its 95 % interval; None where there are too few of them."""

    mean: float | None
    low: float | None
    high: float | None

    @property
    def drawn(self) -> tuple[float, float, float] | None:
        """Low, mean and high, where all three are known."""
        if self.mean is None or self.low is None or self.high is None:
            return None
        return self.low, self.mean, self.high


@dataclass(frozen=True)
class Arm:
    """One way to a formula: its short name, and what it is called at length."""

    name: str
    label: str


@dataclass(frozen=True)
class ArmResult:
    """What one arm reached on one set."""

    r2: Spread
    fidelity: Spread | None
    symbols: float | None
    teacher_r2: float | None
    slope: float | None


@dataclass(frozen=True)
class Comparison:
    """The paired differences of two arms on one set: above 0 the first is better."""

    arm: str
    against: str
    metric: str
    spread: Spread
    p: float | None
    p_holm: float | None
    trials: int
    sentence: str


@dataclass(frozen=True)
class Overall:
    """The paired differences of two arms over all sets; `p_holm` is the sign test's p, corrected where it was."""

    arm: str
    against: str
    metric: str
    spread: Spread
    better: int
    worse: int
    ties: int
    p_sign: float | None
    p_holm: float | None
    sentence: str


@dataclass(frozen=True)
class FormulaText:
    """The formula of the trial whose R2 is an arm's median on a set."""

    text: str
    symbols: float | None
    r2: float | None
    trial: int | None


@dataclass(frozen=True)
class StudySet:
    """One set: its results by arm, its comparisons, its formulas by arm."""

    name: str
    rows: int
    columns: int
    trials: int
    arms: Mapping[str, ArmResult]
    comparisons: tuple[Comparison, ...]
    formulas: Mapping[str, FormulaText]


@dataclass(frozen=True)
class StudyPoint:
    """One arm in one trial on one set."""

    set: str
    arm: str
    r2: float | None
    symbols: float | None
    strength: float | None


@dataclass(frozen=True)
class Failure:
    """A trial that failed, and why."""

    set: str
    trial: str
    what: str


@dataclass(frozen=True)
class Study:
    """A whole study, as far as it got."""

    name: str
    settings: Mapping[str, Any]
    arms: tuple[Arm, ...]
    done: int
    planned: int
    failures: tuple[Failure, ...]
    sets: tuple[StudySet, ...]
    overall: tuple[Overall, ...]
    verdict: str
    points: tuple[StudyPoint, ...]
