"""Queries batch by batch: any number of rows in bounded memory, each batch the same whenever it is drawn.

Departures
----------
Batch i is drawn by a generator that is seeded by (seed, i). What a source prepares once (neighbours, a fitted mixture)
depends on the seed alone. So a batch can be drawn again without those before it.

Checked
-------
Batches drawn in any order are equal; a stream has the distribution of one draw of as many rows.

Cost
----
The source's own, and one batch in memory.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.seeds import RandomState, as_generator
from limbeck._core.tables import Rows, Schema, Table
from limbeck.queries._source import (
    Source,
    _draw_outside,
    _held_out,
    _refuse_huge,
    as_typed,
    row_count,
)
from limbeck.queries._unlabelled import Unlabelled

__all__ = ["Positioned", "QueryStream", "positioned", "stream"]


@dataclass(frozen=True)
class Positioned:
    """A prepared source whose rows have a place: ``rows(start, m)`` are typed rows ``(m, d)``, none of them held out.

    `limit` is how many rows there are, None without end. With the generator in the same state, the same `start` and `m`
    give the same rows, whatever was drawn before.
    """

    rows: Callable[[int, int], np.ndarray]
    limit: int | None = None


@runtime_checkable
class HasPlaces(Protocol):
    """A source that says itself which rows have which place."""

    def positioned(self, table: Table, rng: np.random.Generator, held: np.ndarray) -> Positioned:
        """The rows by their place."""
        ...


def positioned(source: Source, table: Table, rng: np.random.Generator, held: np.ndarray) -> Positioned:
    """Any source, prepared once, by place; rows whose keys are among `held` are left out."""
    if isinstance(source, HasPlaces):
        return source.positioned(table, rng, held)
    if isinstance(source, Unlabelled) and not source.replace:
        return _each_once(source, table, rng, held)
    draw = source.prepare(table, rng)
    return Positioned(lambda start, m: _draw_outside(draw, table.schema, m, held, type(source)))


def _each_once(source: Unlabelled, table: Table, rng: np.random.Generator, held: np.ndarray) -> Positioned:
    """Rows that the user has: place i is row i of one permutation of those that are not held out."""
    pool = table.schema.encode(source.rows)
    order = rng.permutation(len(pool))
    order = order[~np.isin(row_keys(pool)[order], held)]

    def rows(start: int, m: int) -> np.ndarray:
        return as_typed(table.schema, pool[order[start : start + m]])

    return Positioned(rows, len(order))


@dataclass(frozen=True, eq=False)
class QueryStream:
    """`rows` queries in batches; made by `stream`. Iterate as often as you like: the rows are the same.

    Attributes
    ----------
    source : Source
    table : Table
        The rows that the queries are made from.
    rows : int
        How many queries there are in all.
    seed : int
        With `source`, `table`, the rows excluded and `batch_rows` it decides every row.
    batch_rows : int
        The rows of each batch but the last.
    """

    source: Source
    table: Table = field(repr=False)
    rows: int
    seed: int
    batch_rows: int
    held: np.ndarray = field(repr=False)
    _rng: np.random.Generator = field(repr=False)
    _placed: Positioned = field(repr=False)

    @property
    def schema(self) -> Schema:
        """The columns of every batch."""
        return self.table.schema

    def __len__(self) -> int:
        return math.ceil(self.rows / self.batch_rows)

    def __iter__(self) -> Iterator[Table]:
        return (self.batch(i) for i in range(len(self)))

    def size(self, i: int) -> int:
        """The rows of batch `i`."""
        return min(self.batch_rows, self.rows - i * self.batch_rows)

    def batch(self, i: int) -> Table:
        """Batch `i`, from 0; those before it need not be drawn.

        Raises
        ------
        IndexError
            Where there is no such batch.
        InputError
            Where too few rows outside the excluded ones can be drawn.
        """
        if not 0 <= i < len(self):
            raise IndexError(f"the stream has {len(self)} batches, 0 to {len(self) - 1}; got {i}")
        self._rng.bit_generator.state = np.random.default_rng((self.seed, i)).bit_generator.state
        return self.table.with_values(self._placed.rows(i * self.batch_rows, self.size(i)))


def stream(
    source: Source,
    X: Rows,
    m: int,
    seed: RandomState = None,
    *,
    exclude: Rows | None = None,
    batch_rows: int = 10_000,
) -> QueryStream:
    """`m` queries that `source` makes from `X`, in batches that are drawn when they are asked for.

    Parameters
    ----------
    source : Source
        Any source of queries.
    X : rows
        An array ``(n, d)``, a frame, a path, or a `Table`.
    m : int
        The number of rows in all; any number, since one batch is in memory at a time.
    seed : int, Generator or None
        One seed, one answer. With None a seed is drawn now, and kept as ``.seed``.
    exclude : rows, optional
        Held-out rows, which are never in a batch.
    batch_rows : int
        The rows of each batch but the last.

    Raises
    ------
    InputError
        For a bad argument, rows that the source can't use, and more rows than it has.

    Examples
    --------
    >>> from limbeck.queries import Munge
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> batches = stream(Munge(), X, 25_000, seed=0)
    >>> [len(batch) for batch in batches], batches.batch(1) is not None
    ([10000, 10000, 5000], True)
    """
    if not isinstance(source, Source):
        raise InputError(f"source must be a source of queries such as Munge(); got {source!r:.80}")
    rows, size = row_count(m), _batch_size(batch_rows)
    table = Table.read(X)
    _refuse_huge(table)
    number = _seed_number(seed)
    held = np.empty(0, dtype=np.uint64) if exclude is None else np.unique(row_keys(_held_out(table.schema, exclude)))
    rng = np.random.default_rng(number)
    placed = positioned(source, table, rng, held)
    if placed.limit is not None and rows > placed.limit:
        raise InputError(
            f"{rows} rows were asked for (m) and {type(source).__name__} has {placed.limit} that are not held out; ask "
            "for fewer, or mix it with a source without end: Mixture((Unlabelled(rows), Munge()), (0.5, 0.5))"
        )
    return QueryStream(source, table, rows, number, size, held, rng, placed)


def _batch_size(batch_rows: Any) -> int:
    if isinstance(batch_rows, bool | np.bool_) or not isinstance(batch_rows, numbers.Integral) or batch_rows < 1:
        raise InputError(f"batch_rows must be a whole number >= 1; got {batch_rows!r:.60}")
    return int(batch_rows)


def _seed_number(seed: RandomState) -> int:
    """A whole number: the seed itself, or one drawn."""
    rng = as_generator(seed)
    return int(seed) if isinstance(seed, numbers.Integral) else int(rng.integers(2**63 - 1))
