"""What every source of queries is, and the one path from a user's rows to the rows that come back."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.seeds import RandomState, as_generator
from limbeck._core.tables import Column, Rows, Schema, Table

__all__ = ["Draw", "Source", "sample_rows"]

Draw: TypeAlias = Callable[[int], np.ndarray]
"""Takes a number of rows and gives that many fresh encoded rows ``(m, d)``."""

PATIENCE = 50
"""How many rows may be drawn for each one wanted before the search for rows outside `exclude` is given up."""


HUGE = 1e100
"""Squares of numbers up to here, and sums of them, are still finite."""


@runtime_checkable
class Source(Protocol):
    """A source of queries: frozen, without state, so that one seed gives one answer."""

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows, with what is costly (neighbours, a fitted mixture) done once."""
        ...

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows in the container of `X`."""
        ...


def sample_rows(source: Source, X: Rows, m: int, seed: RandomState, exclude: Rows | None) -> Any:
    """`m` rows that `source` makes from `X`, in the container of `X`, none of them equal to a row of `exclude`.

    Raises
    ------
    InputError
        Where `m` is not a whole number of at least 1, `X` is not a table, or too few rows outside `exclude` exist.
    """
    count = row_count(m)
    table = Table.read(X)
    _refuse_huge(table)
    rng = as_generator(seed)
    draw = source.prepare(table, rng)
    held = None if exclude is None else row_keys(_held_out(table.schema, exclude))
    try:
        if held is None:
            values = as_typed(table.schema, draw(count))
        else:
            values = _draw_outside(draw, table.schema, count, held, type(source))
    except MemoryError as error:
        raise InputError(f"{count} rows (m) of {len(table.schema)} columns don't fit into memory: {error}") from error
    drawn = table.with_values(values)
    return drawn if isinstance(X, Table) else drawn.native()


def row_count(m: int) -> int:
    """`m` as an int.

    Raises
    ------
    InputError
        Where it is not a whole number of at least 1.
    """
    if isinstance(m, bool | np.bool_) or not isinstance(m, numbers.Integral) or m < 1:
        raise InputError(f"m, the number of rows to draw, must be a whole number >= 1; got {m!r:.60}")
    return int(m)


def as_typed(schema: Schema, values: np.ndarray) -> np.ndarray:
    """The encoded rows, changed in place to what their types hold: whole numbers, in the range of their type."""
    out = np.add(values, 0.0, out=values)  # -0.0 becomes 0.0
    for j, column in enumerate(schema.columns):
        if column.levels:
            continue
        low, high = type_range(column)
        if column.integer:
            np.clip(np.rint(out[:, j]), low, high, out=out[:, j])
        elif column.dtype.lower() in ("float16", "float32"):
            limit = np.finfo(column.dtype.lower()).max
            out[:, j] = np.clip(out[:, j], -limit, limit).astype(column.dtype.lower())
    return out


def type_range(column: Column) -> tuple[float, float]:
    """The least and the greatest number that the column's type holds (-inf and inf where it is not a whole number)."""
    name = column.dtype.lower()
    if name in ("bool", "boolean"):
        return 0.0, 1.0
    try:
        info = np.iinfo(name)
    except (TypeError, ValueError):
        return -np.inf, np.inf
    # 64-bit limits are not float64 numbers: the nearest ones inside are.
    return float(info.min), float(np.nextafter(float(info.max), 0.0) if info.bits == 64 else info.max)


def _refuse_huge(table: Table) -> None:
    huge = np.abs(table.values).max(axis=0) > HUGE
    if huge.any():
        names = [name for name, bad in zip(table.schema.names, huge, strict=True) if bad]
        raise InputError(
            f"numbers up to {HUGE:g} can be sampled; got greater ones in column(s) {names[:12]}. Rescale them."
        )


def _draw_outside(draw: Draw, schema: Schema, m: int, held: np.ndarray, source: type) -> np.ndarray:
    """`m` typed rows whose keys are not among `held`; rows that are get drawn again."""
    kept: list[np.ndarray] = []
    have = drawn = 0
    while have < m:
        rows = as_typed(schema, draw(m - have))
        drawn += len(rows)
        rows = rows[~np.isin(row_keys(rows), held)]
        kept.append(rows)
        have += len(rows)
        if have < m and drawn > PATIENCE * m + 1_000:
            raise InputError(
                f"{source.__name__} drew {drawn} rows and only {have} of the {m} asked for differ from the held-out "
                f"rows (exclude, {len(held)} rows): these columns take few different values. Ask for fewer rows, or "
                "give exclude=None and judge on rows that the student has seen."
            )
    return np.concatenate(kept)


def _held_out(schema: Schema, exclude: Rows) -> np.ndarray:
    """The rows of `exclude` encoded under `schema`, without those that have a level which `schema` lacks."""
    if isinstance(exclude, Table) and exclude.schema.columns == schema.columns:
        return exclude.values
    if hasattr(exclude, "__len__") and len(exclude) == 0:
        return np.empty((0, len(schema)))
    try:
        other = Table.read(exclude)
    except InputError as error:
        raise InputError(f"exclude, the held-out rows, can't be read: {error}") from error
    if other.schema.container == "numpy" and len(other.schema) == len(schema):
        places = list(range(len(schema)))
    else:
        absent = [name for name in schema.names if name not in other.schema.names]
        if absent:
            raise InputError(
                f"exclude must have the columns of X; it lacks {absent} and has {list(other.schema.names)[:20]}"
            )
        places = [other.schema.names.index(name) for name in schema.names]
    out = np.empty((len(other), len(schema)))
    for j, (column, place) in enumerate(zip(schema.columns, places, strict=True)):
        theirs = other.schema.columns[place]
        out[:, j] = other.values[:, place]
        if bool(column.levels) != bool(theirs.levels):
            raise InputError(
                f"exclude must have the columns of X; column {column.name!r} is text in one and numbers in the other"
            )
        if column.levels:
            code = {name: i for i, name in enumerate(column.level_names)}
            out[:, j] = np.array([code.get(name, -1) for name in theirs.level_names])[out[:, j].astype(np.int64)]
    known = np.ones(len(out), dtype=bool)
    for j, column in enumerate(schema.columns):
        if column.levels:
            known &= out[:, j] >= 0
    return out[known]
