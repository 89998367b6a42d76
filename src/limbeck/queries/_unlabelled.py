"""The user's own unlabelled rows as queries: the best there are, where there are any.

Source
------
Bucila2006: true unlabelled rows are 2 to 8 times as efficient as MUNGE's.

Cost
----
One permutation of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._source import Draw, sample_rows

__all__ = ["Unlabelled"]


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """Queries taken from rows that the user has and that carry no label, each at most once.

    Parameters
    ----------
    rows : rows
        At least one row with the columns of the `X` that `sample` is given.
    replace : bool
        Draw with replacement, so that more rows may be asked than there are.

    Examples
    --------
    >>> import numpy as np
    >>> X, more = np.zeros((5, 2)), np.arange(20.0).reshape(10, 2)
    >>> Unlabelled(more).sample(X, 10, seed=0).shape
    (10, 2)
    >>> Unlabelled(more).sample(X, 11, seed=0)
    Traceback (most recent call last):
        ...
    limbeck._core.errors.InputError: 11 rows were asked for (m) and there are 10 unlabelled rows; ...
    """

    rows: Rows = field(repr=False)
    replace: bool = False

    def __post_init__(self) -> None:
        """Refuse a `replace` that is no truth value."""
        if not isinstance(self.replace, bool | np.bool_):
            raise InputError(f"replace must be True or False; got {self.replace!r:.60}")

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` of the unlabelled rows, in the container and the columns of `X`, none of them a row of `exclude`.

        Raises
        ------
        InputError
            Where the rows lack a column of `X` or have an unknown level, or are too few (and `replace` is off).
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows, going on where the draw before ended."""
        pool = table.schema.encode(self.rows)
        order = rng.permutation(len(pool))
        used = 0

        def draw(m: int) -> np.ndarray:
            nonlocal used
            if self.replace:
                return pool[rng.integers(len(pool), size=m)]
            if used + m > len(pool):
                also = f" ({used} of them drawn before, or held out)" if used else ""
                raise InputError(
                    f"{m} rows were asked for (m) and there are {len(pool)} unlabelled rows{also}; ask for fewer, or "
                    "give Unlabelled(rows, replace=True) to draw rows more than once"
                )
            used += m
            return pool[order[used - m : used]]

        return draw
