"""MUNGE: queries near the data, made by letting each row trade values with its closest other row.

Source
------
Bucila2006, the pseudo-code of MUNGE.

Symbols
-------
T -> the rows of `X`; T' -> `work`; e, e' -> a row and its partner; k -> passes; p, s -> `p`, `s`; D -> the rows
returned.

Departures
----------
1. The partner of e is its closest other row in T, found once for all passes, not in the T' that is being edited. T'
   is edited in place and in the printed order of steps, so a row that is the partner of several keeps every trade,
   and a trade uses the values that both rows have at that moment. Against a plain loop that looks for the partner in
   the edited T' (4,000 x 50 numbers, 25 passes) no column (50) and no sum or difference of two columns (392) differs
   by a two-sample Kolmogorov-Smirnov test. What does differ: the loop's rows lie 3 to 15 % nearer to their closest
   row of T.
2. Rows are visited in a random order, and tables of more than `BLOCK` rows are dealt at random into blocks in which
   partners are sought. Of the last pass, as many rows as are still wanted are taken at random.
3. Columns with levels, ordinal ones too, swap. Whole-number columns are rounded, because their type holds nothing
   else.
4. Nothing is clipped unless `clip=True`: as printed, a normal draw can leave the range that the data has.

Checked
-------
Exactly equal to a plain sequential loop at p = 1, s -> infinity, where nothing is left to chance; row by row, how far
each value moves has the distribution of the loop with the same partners; every column and pair has that of the
printed loop (two-sample tests, each with a wrong p or s that is rejected).

Cost
----
Partners: see `_neighbours`. A pass: one normal number for each traded value, in blocks that stay in the cache;
100,000 rows from 4,000 x 50 numbers take about 0.2 s on one core (`make bench NAME=munge`).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._neighbours import Space, nearest_other
from limbeck.queries._source import Draw, sample_rows

__all__ = ["Munge"]

BLOCK = 10_000
"""The most rows among which partners are sought at once."""

IN_CACHE = 2**16
"""Numbers edited at once: small enough for a core's own cache, large enough that NumPy's calls don't count."""

HELD = 2**20
"""Numbers of T' held at once, over several passes: 8 MB."""


@dataclass(frozen=True)
class Rounds:
    """The trades of one pass over `rows`, sorted into rounds in which no row occurs twice.

    Trade t is between ``first[t]`` and ``second[t]`` (positions in `rows`); round r is ``cuts[r]:cuts[r + 1]``.
    Rounds in turn give what the trades one by one in their printed order give, since trades change places only where
    they share no row.
    """

    rows: np.ndarray
    first: np.ndarray
    second: np.ndarray
    cuts: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray, partner: np.ndarray) -> Rounds:
        """The rounds of: row 0 trades with ``partner[0]``, then row 1 with ``partner[1]``, and so on."""
        last = [0] * len(partner)
        turn = np.empty(len(partner), dtype=np.int64)
        for i, j in enumerate(partner.tolist()):
            now = (last[i] if last[i] > last[j] else last[j]) + 1
            turn[i] = last[i] = last[j] = now
        order = np.argsort(turn, kind="stable")
        cuts = np.searchsorted(turn[order], np.arange(1, turn.max() + 2))
        return cls(rows, order, partner[order], cuts)

    def steps(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The trades in turn, at most `size` at once, never two of one row."""
        for a, b in zip(self.cuts[:-1], self.cuts[1:], strict=True):
            for c in range(a, b, size):
                yield self.first[c : min(c + size, b)], self.second[c : min(c + size, b)]


def munge_passes(
    values: np.ndarray, rounds: Rounds, passes: int, p: float, rate: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Copies of ``values[rounds.rows]`` ``(rows, passes, d)`` after one pass of MUNGE each.

    `rate` ``(d,)`` is 1/s for numbers and 0 for levels: with no spread, a draw around the partner's value is a swap.
    """
    d = values.shape[1]
    work = np.repeat(values[rounds.rows][:, None, :], passes, axis=1)
    same = rate[0] if (rate == rate[0]).all() else None
    for i, j in rounds.steps(max(1, IN_CACHE // (passes * d))):
        e, partner = work[i], work[j]
        flat_e, flat_partner = e.reshape(-1), partner.reshape(-1)
        traded = np.flatnonzero(rng.random(flat_e.size) < p)
        old_e, old_partner = flat_e[traded], flat_partner[traded]
        spread = np.abs(old_e - old_partner)
        spread *= rate[traded % d] if same is None else same
        drawn = rng.standard_normal((2, len(traded)))
        drawn *= spread
        drawn[0] += old_partner
        drawn[1] += old_e
        flat_e[traded], flat_partner[traded] = drawn[0], drawn[1]
        work[i], work[j] = e, partner
    return work


@dataclass(frozen=True)
class Munge:
    """Queries by MUNGE: each row trades values with its closest other row, with a little noise.

    Parameters
    ----------
    p : float
        The chance that an attribute is traded, from 0 (copies of the rows) to 1.
    s : float
        Local variance: a traded number is drawn around the partner's value with the standard deviation
        ``|difference| / s``. Smaller is wilder.
    clip : bool
        Hold every number in the range of its column in `X`. Off, as published: normal draws may leave it.

    Notes
    -----
    Source: Bucila2006. Departures and cost: see the head of the module. p and s were tuned for each problem in the
    paper and its values are not published.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> Munge(p=0.5, s=5.0).sample(X, 1_000, seed=0).shape
    (1000, 3)
    """

    p: float = 0.5
    s: float = 5.0
    clip: bool = False

    def __post_init__(self) -> None:
        """Refuse a `p` that is no chance and an `s` that gives no standard deviation."""
        if not _is_number(self.p) or not 0 <= self.p <= 1:
            raise InputError(f"p, the chance that an attribute is traded, must be from 0 to 1; got {self.p!r:.60}")
        if not _is_number(self.s) or not 0 < self.s < math.inf:
            raise InputError(f"s, by which differences are divided, must be a number above 0; got {self.s!r:.60}")
        if not isinstance(self.clip, bool | np.bool_):
            raise InputError(f"clip must be True or False; got {self.clip!r:.60}")

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows made from `X` ``(n, d)``, in the container of `X`.

        Parameters
        ----------
        X : rows
            At least two rows: an array, a frame, a path, or a `Table`.
        m : int
            The number of rows, smaller or larger than `n`.
        seed : int, Generator or None
            One seed, one answer.
        exclude : rows, optional
            Held-out rows, which are never returned.

        Raises
        ------
        InputError
            For fewer than two rows, missing values, a bad `m` or `seed`, or where too few rows outside `exclude`
            exist.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows; partners are found once, block by block, when first needed."""
        n, d = table.shape
        if n < 2:
            raise InputError("MUNGE needs at least 2 rows, because every row trades with another; got 1 row")
        level = np.array([table.schema.has_levels(j) for j in range(d)])
        rate = np.where(level, 0.0, 1.0 / self.s)
        free = level | (not self.clip)
        low = np.where(free, -np.inf, table.values.min(axis=0))
        high = np.where(free, np.inf, table.values.max(axis=0))
        blocks = _Blocks(table, rng)

        def draw(m: int) -> np.ndarray:
            whole, rest = divmod(m, n)
            out = np.empty((m, d))
            passes_out = out[: whole * n].reshape(whole, n, d)
            start = 0
            for b in range(len(blocks) if whole else 0):
                rounds = blocks.rounds(b)
                step = max(1, HELD // (len(rounds.rows) * d))
                for a in range(0, whole, step):
                    work = munge_passes(table.values, rounds, min(step, whole - a), self.p, rate, rng)
                    passes_out[a : a + step, start : start + len(work)] = work.transpose(1, 0, 2)
                start += len(work)
            for b, a, z in blocks.spread(whole * n, rest):
                work = munge_passes(table.values, blocks.rounds(b), 1, self.p, rate, rng)
                out[a:z] = work[rng.choice(len(work), z - a, replace=False, shuffle=False), 0]
            return np.clip(out, low, high, out=out) if self.clip else out

        return draw


class _Blocks:
    """The rows of a table dealt at random into blocks of at most `BLOCK`, and the rounds of each once asked for.

    Each block has a generator of its own, so that its partners don't depend on when they are first asked for.
    """

    def __init__(self, table: Table, rng: np.random.Generator) -> None:
        self._values = table.values
        self._space = Space.of(table)
        self._rows = np.array_split(rng.permutation(len(table)), math.ceil(len(table) / BLOCK))
        self._rounds: dict[int, Rounds] = {}
        self._rng = rng
        self._of_block = rng.spawn(len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def rounds(self, b: int) -> Rounds:
        """The rounds of block `b`."""
        if b not in self._rounds:
            rows = self._rows[b]
            self._rounds[b] = Rounds.of(rows, nearest_other(self._space, self._values[rows], self._of_block[b])[0])
        return self._rounds[b]

    def spread(self, start: int, count: int) -> Iterator[tuple[int, int, int]]:
        """Blocks in a random order, each with the places ``a:z`` it fills, until `count` of them are filled."""
        for b in self._rng.permutation(len(self)).tolist():
            take = min(count, len(self._rows[b]))
            if take:
                yield b, start, start + take
            start, count = start + take, count - take


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
