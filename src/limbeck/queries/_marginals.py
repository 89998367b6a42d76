"""RANDOM: queries whose attributes are drawn one by one, each from its own column.

Source
------
Bucila2006, the baseline called RANDOM.

Departures
----------
The marginal is the empirical one: each value is one that the column has. Nothing is smoothed.

Checked
-------
Columns agree with the data by two-sample tests, and planted dependence between columns is gone.

Cost
----
One whole random number a value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._source import Draw, sample_rows

__all__ = ["Marginals"]


@dataclass(frozen=True)
class Marginals:
    """Queries whose attributes are independent, each drawn from its own column (the paper's RANDOM).

    Notes
    -----
    Source: Bucila2006, the baseline that MUNGE is judged by: in the paper more of these rows made the student worse.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 5.0], [1.0, 6.0], [2.0, 7.0]])
    >>> rows = Marginals().sample(X, 4, seed=0)
    >>> rows.shape, set(rows[:, 0]) <= {0.0, 1.0, 2.0}
    ((4, 2), True)
    """

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows made from `X` ``(n, d)``, in the container of `X`, none of them equal to a row of `exclude`.

        Raises
        ------
        InputError
            For missing values, a bad `m` or `seed`, or where too few rows outside `exclude` exist.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows."""
        return lambda m: draw_marginals(table.values, m, rng)


def draw_marginals(values: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """`m` rows ``(m, d)``, each value drawn from its own column with replacement."""
    n, d = values.shape
    return np.column_stack([values[rng.integers(n, size=m), j] for j in range(d)])
