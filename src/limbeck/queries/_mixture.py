"""Several sources in one, each with its share: real unlabelled rows among synthetic ones, for instance.

Source
------
Bucila2006: true unlabelled rows are 2 to 8 times as efficient as MUNGE's, so those that there are should be used.

Departures
----------
The sources take turns in a fixed pattern of `TURNS` places, so every run of rows has each source's share to within one
row a source; nothing is left to chance.

Cost
----
That of the sources.
"""

from __future__ import annotations

import numbers
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._source import Draw, Source, sample_rows
from limbeck.queries._stream import Positioned, positioned

__all__ = ["Mixture"]

TURNS = 1_000
"""The places of the pattern: shares are exact to a thousandth."""


@dataclass(frozen=True)
class Mixture:
    """Queries from several sources, each with its share of the rows.

    Where a source has no more rows (`Unlabelled`), the others take its places, by their own shares, and a warning says
    so.

    Parameters
    ----------
    sources : sequence of Source
    shares : sequence of float
        One a source, each above 0, with the sum 1; counted in thousandths.

    Examples
    --------
    A quarter of the rows are real ones, the rest MUNGE's:

    >>> import numpy as np
    >>> from limbeck.queries import Munge, Unlabelled
    >>> X, more = np.zeros((5, 2)), np.ones((30, 2))
    >>> rows = Mixture((Unlabelled(more), Munge()), (0.25, 0.75)).sample(X, 100, seed=0)
    >>> rows.mean(axis=0)
    array([0.25, 0.25])
    """

    sources: tuple[Source, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse sources that are none, and shares that are no shares."""
        sources, shares = _as_tuple("sources", self.sources), _as_tuple("shares", self.shares)
        odd = [source for source in sources if not isinstance(source, Source)]
        if odd or not sources:
            raise InputError(f"sources must be sources of queries such as Munge(); got {(odd or sources)!r:.80}")
        fine = all(isinstance(share, numbers.Real) and not isinstance(share, bool) for share in shares)
        fine = fine and all(0 < float(share) <= 1 for share in shares)
        if not fine or len(shares) != len(sources) or abs(sum(shares) - 1) > 1e-6:
            raise InputError(
                f"shares must be {len(sources)} numbers above 0, one a source, whose sum is 1; got {shares!r:.80}"
            )
        if min(shares) < 1 / TURNS:
            raise InputError(f"a share must be at least {1 / TURNS}; got {min(shares)!r}")
        object.__setattr__(self, "sources", sources)
        object.__setattr__(self, "shares", tuple(float(share) for share in shares))

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows made from `X` ``(n, d)``, in the container of `X`, none of them equal to a row of `exclude`.

        Raises
        ------
        InputError
            Where one of the sources raises, or all of them have no more rows.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows, going on where the draw before ended."""
        placed = self.positioned(table, rng, np.empty(0, dtype=np.uint64))
        start = 0

        def draw(m: int) -> np.ndarray:
            nonlocal start
            if placed.limit is not None and start + m > placed.limit:
                raise InputError(
                    f"{m} rows were asked for (m) and the sources have {placed.limit - start} unlabelled rows more; "
                    "ask for fewer, or mix in a source without end such as Munge()"
                )
            start += m
            return placed.rows(start - m, m)

        return draw

    def positioned(self, table: Table, rng: np.random.Generator, held: np.ndarray) -> Positioned:
        """The rows by their place, none of them among `held`."""
        turns = _turns(self.shares)
        parts = [positioned(source, table, rng, held) for source in self.sources]
        ends = np.array(
            [np.inf if part.limit is None else _place(turns, j, part.limit) for j, part in enumerate(parts)]
        )
        chances = np.where(np.isinf(ends), self.shares, 0.0)

        def rows(start: int, m: int) -> np.ndarray:
            places = np.arange(start, start + m)
            whose = turns[places % TURNS]
            over = places >= ends[whose]
            if over.any():
                _warn(self.sources, parts, int(ends[whose[over]].min()))
                whose[over] = rng.choice(len(parts), size=int(over.sum()), p=chances / chances.sum())
            out = np.empty((m, len(table.schema)))
            for j in np.unique(whose):
                out[whose == j] = parts[j].rows(_count(turns, j, start), int((whose == j).sum()))
            return out

        return Positioned(rows, None if np.isinf(ends).any() else int(ends.min()))


def _warn(sources: tuple[Source, ...], parts: list[Positioned], start: int) -> None:
    ended = [
        f"{type(source).__name__} has {part.limit} rows"
        for source, part in zip(sources, parts, strict=True)
        if part.limit is not None
    ]
    warnings.warn(
        f"from row {start} on the other sources of the mixture fill up: {', '.join(ended)}. Ask for fewer rows, or "
        "give a smaller share, to hold the shares throughout.",
        stacklevel=3,
    )


def _as_tuple(name: str, given: Any) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError:
        raise InputError(f"{name} must be a sequence, one entry a source; got {given!r:.80}") from None


def _turns(shares: tuple[float, ...]) -> np.ndarray:
    """Which source has which place of the pattern ``(TURNS,)``: each evenly spread."""
    exact = np.array(shares) / sum(shares) * TURNS
    counts = np.maximum(np.floor(exact + 1e-9).astype(np.int64), 1)
    for j in np.argsort(counts - exact, kind="stable")[: TURNS - counts.sum()]:
        counts[j] += 1
    when = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    return np.repeat(np.arange(len(counts)), counts)[np.argsort(when, kind="stable")]


def _count(turns: np.ndarray, j: int, start: int) -> int:
    """How many of the places before `start` are source j's."""
    whole, rest = divmod(start, len(turns))
    return int(whole * (turns == j).sum() + (turns[:rest] == j).sum())


def _place(turns: np.ndarray, j: int, count: int) -> int:
    """The first place that source j can't fill, where it has `count` rows."""
    own = np.flatnonzero(turns == j)
    whole, rest = divmod(count, len(own))
    return int(whole * len(turns) + own[rest])
