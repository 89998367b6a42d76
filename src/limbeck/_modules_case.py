"""The rows that modules are found and judged on: read, matched to the network's outputs, and held out.

Departures
----------
Three parts: rows that the network is trained on, rows that its circuits are pruned on, and rows that nothing but the
verdicts sees.

Cost
----
Two forward passes over a few rows.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.images import ImageShape
from limbeck._core.module_kept import random_state_kept
from limbeck._core.module_outputs import outputs_as_it_is
from limbeck._explain_rows import read_rows
from limbeck._setting import MIN_ROWS, split
from limbeck._truth import Truth, split_target
from limbeck.modularity._module_answers import read_truth_of

if TYPE_CHECKING:
    import torch

__all__ = ["ModulesCase", "Part", "answers_of", "prepare_case"]

VALIDATION = 0.2
"""The share of the rows that are not held out on which circuits are pruned."""
ASKED = 16
BATCH = 512


@dataclass(frozen=True)
class Part:
    """Some of the rows, and what is true for them.

    Attributes
    ----------
    at : array of int
        Their positions in the rows that were given.
    X : array ``(n, *row)``
    y : array
        Positions of classes ``(n,)``, or numbers ``(n, k)``.
    """

    at: np.ndarray
    X: np.ndarray
    y: np.ndarray


@dataclass(frozen=True)
class ModulesCase:
    """The network and the parts of the rows.

    Attributes
    ----------
    model : torch.nn.Module
    train, validation, held_out : Part
    metric : str
        ``accuracy`` or ``r2``.
    outputs : tuple of str
        The names of the network's outputs.
    names : list of str or None
        The columns' names.
    """

    model: torch.nn.Module
    train: Part
    validation: Part
    held_out: Part
    metric: str
    outputs: tuple[str, ...]
    names: list[str] | None

    @property
    def is_classification(self) -> bool:
        return self.metric == "accuracy"

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The labels in the order of the outputs, where there are labels."""
        return self.outputs if self.is_classification else None

    @property
    def image_side(self) -> ImageShape | None:
        """Rows, columns and channels where the columns p0, p1, ... are the pixels of an image."""
        side = math.isqrt(self.held_out.X[0].size)
        named = self.names == [f"p{i}" for i in range(side * side)]
        return (side, side, 1) if named and self.held_out.X.ndim == 2 and side > 1 else None

    @property
    def n_pixels(self) -> int | None:
        """How many numbers a row has, where it is an image."""
        row = self.held_out.X[0]
        return int(row.size) if row.ndim == 3 or self.image_side is not None else None

    def truth(self, part: Part) -> Any:
        """What is true for the rows of a part, by its names: labels, or a frame of the outputs."""
        import pandas as pd

        if self.is_classification:
            return np.array(self.outputs, dtype=object)[part.y]
        return pd.DataFrame(part.y, columns=list(self.outputs))


def prepare_case(
    model: Any, X: Any, y: Any, names: Sequence[str] | None, classes: Sequence[Any] | None, holdout: Any, seed: int
) -> ModulesCase:
    """The case; every class is in each part where there are enough rows of it.

    Raises
    ------
    InputError
        For rows that are not numbers, too few, or a `y` that does not fit the network's outputs.
    TeacherError
        Where the network raises, is random, or answers with NaN.
    """
    import torch

    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    if not isinstance(holdout, numbers.Real) or not 0.0 < float(holdout) < 1.0:
        raise InputError(f"holdout is a share of the rows between 0 and 1; got {holdout!r:.60}")
    X, y, target_names = split_target(X, y)
    rows, named = read_rows(X, names)
    if named is not None and rows.ndim == 2 and len(named) != rows.shape[1]:
        raise InputError(f"names must name the {rows.shape[1]} columns of X; got {len(named)}")
    if len(rows) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required; got {len(rows)}")
    if y is None:
        raise InputError("y is required: modules are judged by what is true for the rows")
    if rows.dtype.kind == "f":
        rows = rows.astype(np.float32)
    k = _n_outputs(model, rows[:ASKED])
    truth, outputs = _truth(y, len(rows), k, classes, target_names)
    fitted, held = split(len(rows), float(holdout), truth, seed)
    among, kept = split(len(fitted), VALIDATION, replace(truth, values=truth.values[fitted]), seed)
    train, validation, held_out = (
        Part(at, rows[at], truth.values[at] if truth.classes is not None else truth.values[at].astype(np.float32))
        for at in (fitted[among], fitted[kept], held)
    )
    return ModulesCase(
        model, train, validation, held_out, "r2" if truth.classes is None else "accuracy", outputs, named
    )


def answers_of(model: torch.nn.Module, X: np.ndarray) -> np.ndarray:
    """The raw outputs ``(n, k)`` of rows, in batches."""
    parts = [outputs_as_it_is(model, X[i : i + BATCH]).double().cpu().numpy() for i in range(0, len(X), BATCH)]
    return np.concatenate(parts)


def _n_outputs(model: Any, X: np.ndarray) -> int:
    """How many outputs the network has; refused where it answers the same rows in two ways."""
    import torch

    with random_state_kept():  # a pass leaves the random state as it was, so each is given another
        torch.manual_seed(1)
        first = answers_of(model, X)
        torch.manual_seed(2)
        again = answers_of(model, X)
    if not np.allclose(first, again, rtol=1e-4, atol=1e-5 * max(1.0, float(np.abs(first).max()))):
        raise TeacherError(
            f"the network {type(model).__name__} answers the same rows in two ways, up to "
            f"{float(np.abs(first - again).max()):.3g} apart; one that is random can't be judged. Fix its randomness."
        )
    return int(first.shape[1])


def _truth(
    y: Any, n: int, k: int, classes: Sequence[Any] | None, target_names: Sequence[str] | None
) -> tuple[Truth, tuple[str, ...]]:
    """The truth, as positions where it is labels, and the outputs' names."""
    values, known = read_truth_of(y, n, k, classes)
    if known is None:
        same = int((np.ptp(values, axis=0) == 0).sum())
        if same:
            raise InputError(
                f"y must vary, so that R2 can be measured; {same} of {k} column(s) have one value for all rows"
            )
        named = tuple(target_names or ())
        unnamed = ("output",) if k == 1 else tuple(f"output {i}" for i in range(k))
        return Truth(values, "regression", None), named if len(named) == k else unnamed
    if k == 1:
        raise InputError(
            f"the network has one output, and y holds the labels {list(known)[:2]}: a network for labels must have one "
            "output each. Wrap it so that it gives both, such as torch.cat([-out, out], dim=1)."
        )
    return Truth(values, "classification", known), tuple(str(label) for label in known)
