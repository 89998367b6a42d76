"""The price of clarity as data: a point for each size of a student, and the size at which a person should stop.

Source
------
Breiman1984, section 3.4.3: the one-standard-error rule - the smallest model whose validated measure is within one
standard error of the best one's.

Departures
----------
The standard error is that of the best point's own measure over rows, as in the source, not of the paired difference to
it: the rule can then be seen in a picture (the first point above the line "best less one standard error"), and it
keeps fewer sizes than the paired one would.

Checked
-------
Standard errors against the bootstrap over rows; the rule on planted worlds.

Cost
----
O(rows * outputs) a measure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.readable import Readable

__all__ = ["MEASURES", "Point", "measured", "row_losses", "size_of", "with_stops"]

SIZES: dict[str, tuple[tuple[str, ...], str]] = {
    "tree": (("n_leaves",), "leaves"),
    "soft_tree": (("depth",), "levels"),
    "rule_list": (("rules",), "rules"),
    "rule_set": (("rules", "terms"), "terms"),
    "network": (("n_parameters",), "weights"),
    "wavelet": (("terms", "levels"), "coefficients"),
}
"""By family: what is counted together, and the unit; all others are counted in symbols."""

MEASURES = (
    "train_fidelity",
    "validation_fidelity",
    "validation_se",
    "test_fidelity",
    "train_accuracy",
    "validation_accuracy",
    "accuracy_se",
    "test_accuracy",
)
_SLACK = 1e-12


@dataclass(frozen=True)
class Point:
    """One size of one student: what it costs to read, and what it reaches on training, validation and test rows.

    Attributes
    ----------
    size, unit : int, str
        In the family's own unit: leaves, levels, rules, terms, symbols, weights.
    complexity : int
        Symbols that a person must read.
    train_fidelity, validation_fidelity, validation_se, test_fidelity : float or None
        R2 (the worst output) or agreement with the teacher; the standard error is over rows.
    train_accuracy, validation_accuracy, accuracy_se, test_accuracy : float or None
        R2 or accuracy on the truth.
    chosen : bool
        This is the candidate itself.
    stop, stop_overall : bool
        By the one-standard-error rule, inside the student and over all students.
    """

    size: int
    unit: str
    complexity: int
    train_fidelity: float | None = None
    validation_fidelity: float | None = None
    validation_se: float | None = None
    test_fidelity: float | None = None
    train_accuracy: float | None = None
    validation_accuracy: float | None = None
    accuracy_se: float | None = None
    test_accuracy: float | None = None
    chosen: bool = False
    stop: bool = False
    stop_overall: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The point as JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Point:
        """The point that `to_dict` wrote.

        Raises
        ------
        InputError
            Where a key is missing or holds another type.
        """
        try:
            given: dict[str, Any] = {name: _optional(data[name]) for name in MEASURES}
            given.update({name: bool(data[name]) for name in ("chosen", "stop", "stop_overall")})
            return cls(int(data["size"]), str(data["unit"]), int(data["complexity"]), **given)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a stored point of a curve is malformed: {error!r}") from None


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)


def size_of(readable: Readable) -> tuple[int, str]:
    """The size of a readable model in its family's own unit."""
    attributes, unit = SIZES.get(readable.family, (("complexity",), "symbols"))
    counted = [getattr(readable, attribute) for attribute in attributes]
    return sum(len(value) if isinstance(value, tuple) else int(value) for value in counted), unit


def row_losses(reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """What each row costs: squared errors ``(n, k)``, or 1 for another class ``(n, 1)``; infinite where not a number.

    Parameters
    ----------
    reference : array
        Numbers ``(n, k)``, or class positions ``(n,)``.
    outputs : array ``(n, k)``
        Of the readable model.
    """
    finite = np.isfinite(outputs).all(axis=1, keepdims=True)
    if reference.ndim == 1:
        losses = (outputs.argmax(axis=1) != reference)[:, None].astype(np.float64)
    else:
        with np.errstate(all="ignore"):
            losses = (reference - outputs) ** 2
    return np.where(finite, losses, np.inf)


def measured(reference: np.ndarray, losses: np.ndarray) -> tuple[float | None, float | None]:
    """R2 (the worst output) or the share of the same class, and its standard error over rows; None where undefined.

    The error of R2 is that of a ratio of means, linearised.

    Parameters
    ----------
    reference : array
        Numbers ``(n, k)``, or class positions ``(n,)``.
    losses : array ``(n, k)`` or ``(n, 1)``
        As `row_losses` gives them, or means of such.
    """
    n = len(losses)
    if n < 2 or not np.isfinite(losses).all():
        return None, None
    if reference.ndim == 1:
        return 1.0 - float(losses.mean()), float(losses[:, 0].std(ddof=1) / math.sqrt(n))
    squares = (reference - reference.mean(axis=0)) ** 2
    spread = squares.mean(axis=0)
    if (spread == 0).any():
        return None, None
    ratio = losses.mean(axis=0) / spread
    worst = int(np.argmax(ratio))
    influence = (losses[:, worst] - ratio[worst] * squares[:, worst]) / spread[worst]
    return 1.0 - float(ratio[worst]), float(influence.std(ddof=1) / math.sqrt(n))


def with_stops(curves: Mapping[str, Sequence[Point]]) -> dict[str, tuple[Point, ...]]:
    """The curves with the sizes marked at which to stop: one for each student, and one over all."""
    every = [(name, i) for name, curve in curves.items() for i in range(len(curve))]
    overall = _least([curves[name][i] for name, i in every])
    out = {}
    for name, curve in curves.items():
        own = _least(curve)
        out[name] = tuple(
            replace(point, stop=i == own, stop_overall=overall is not None and every[overall] == (name, i))
            for i, point in enumerate(curve)
        )
    return out


def _least(points: Iterable[Point]) -> int | None:
    """The position of the least complex point within one standard error of the best; None where none was validated."""
    known = [
        (i, p.complexity, p.validation_fidelity, p.validation_se or 0.0)
        for i, p in enumerate(points)
        if p.validation_fidelity is not None
    ]
    if not known:
        return None
    _, _, best, error = max(known, key=lambda point: (point[2], -point[1]))
    near = [point for point in known if point[2] >= best - error - _SLACK]
    return min(near, key=lambda point: (point[1], -point[2], point[0]))[0]
