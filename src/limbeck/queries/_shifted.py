"""Rows outside the support of the data: what a student does where nobody looked.

Source
------
Own.

Symbols
-------
f -> `stretch`; q -> `quantile`; the distance is MUNGE's (see `_neighbours`).

A row is outside the support where its distance to the nearest row of the data is greater than the q-quantile of the
distances from the data's rows to their own nearest other rows. Candidates are made so that they break what holds the
data together: every column is drawn by itself (dependence is gone), and numbers are moved away from their column's
median to f times their distance from it (ranges are wider). Candidates inside the support are thrown away.

Departures
----------
A column without negative values keeps none: a density below zero asks a question that has no answer. Constant columns
stay constant. Where fewer than a tenth of the candidates are outside, as with many rows in few columns, f - 1 is
doubled, at most `WIDENINGS` times. Of tables with more than `REFERENCE` rows, so many at random stand for the data.

Checked
-------
Every row returned is farther from the data than the threshold, by a loop over all pairs; a plain draw from the data's
own distribution is not.

Cost
----
Nearest rows within the reference (once) and from each candidate to it.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Schema, Table
from limbeck.queries._marginals import draw_marginals
from limbeck.queries._neighbours import Space, nearest_distance, nearest_other
from limbeck.queries._source import Draw, as_typed, sample_rows

__all__ = ["Shifted"]

REFERENCE = 10_000
WIDENINGS = 8
ENOUGH = 0.1


@dataclass(frozen=True)
class Shifted:
    """Rows outside the data's support: independent columns, stretched ranges, far from every row.

    Parameters
    ----------
    stretch : float
        Numbers lie this many times as far from their column's median as those of the data. At least 1.
    quantile : float
        A row counts as outside where it is farther from the data than this share of the data's rows are from their
        own nearest other row. From 0 to 1.

    Notes
    -----
    Definition, departures and cost: see the head of the module.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows = Shifted().sample(X, 50, seed=0)
    >>> bool(np.abs(rows).mean() > np.abs(X).mean())
    True
    """

    stretch: float = 1.25
    quantile: float = 0.99

    def __post_init__(self) -> None:
        """Refuse a stretch that draws rows inwards, and a quantile that is none."""
        if not _is_number(self.stretch) or not 1 <= self.stretch < math.inf:
            raise InputError(f"stretch must be a number of at least 1; got {self.stretch!r:.60}")
        if not _is_number(self.quantile) or not 0 <= self.quantile <= 1:
            raise InputError(f"quantile must be a number from 0 to 1; got {self.quantile!r:.60}")

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows outside the support of `X` ``(n, d)``, in the container of `X`, none of them a row of `exclude`.

        Raises
        ------
        InputError
            For fewer than two rows, missing values, a bad `m` or `seed`, or where no such rows can be made: all
            columns are constant, or have levels whose combinations are all near the data.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows; the threshold is found once."""
        if len(table) < 2:
            raise InputError("rows outside the data's support need at least 2 rows of data; got 1 row")
        data = table.values
        reference = data if len(data) <= REFERENCE else data[rng.choice(len(data), REFERENCE, replace=False)]
        space = Space.of(table)
        threshold = float(np.quantile(nearest_other(space, reference, rng)[1], self.quantile))

        def outside(m: int, stretch: float) -> np.ndarray:
            candidates = as_typed(table.schema, stretched(table.schema, data, m, stretch, rng))
            return candidates[nearest_distance(space, candidates, reference) > threshold + 1e-9]

        stretch = self._enough(outside)

        def draw(m: int) -> np.ndarray:
            kept, have = [np.empty((0, data.shape[1]))], 0
            while have < m:
                kept.append(outside(min(4 * (m - have) + 100, 20_000), stretch))
                have += len(kept[-1])
            return np.concatenate(kept)[:m]

        return draw

    def _enough(self, outside: Any) -> float:
        """The stretch at which enough candidates are outside the support."""
        more = max(self.stretch - 1.0, 0.05)
        found = 0
        for widening in range(WIDENINGS + 1):
            stretch = self.stretch if widening == 0 else 1.0 + more * 2**widening
            found = len(outside(1_000, stretch))
            if found >= ENOUGH * 1_000:
                return stretch
        if found:
            return stretch
        raise InputError(
            "no row outside the data's support could be made, even with numbers "
            f"{stretch:.0f} times as far from the median: every column is constant, or the data's own rows are as far "
            "apart as their levels allow. There is nothing outside to ask."
        )


def stretched(schema: Schema, values: np.ndarray, m: int, stretch: float, rng: np.random.Generator) -> np.ndarray:
    """`m` rows ``(m, d)`` of independent columns, numbers moved to `stretch` times their distance from the median."""
    out = draw_marginals(values, m, rng)
    for j in range(out.shape[1]):
        if schema.has_levels(j):
            continue
        centre = np.median(values[:, j])
        out[:, j] = centre + stretch * (out[:, j] - centre)
        if values[:, j].min() >= 0:
            np.maximum(out[:, j], 0.0, out=out[:, j])
    return out


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
