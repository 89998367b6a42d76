"""Signals as rows of a table: whether the columns are one, in order of time."""

from __future__ import annotations

from limbeck._core.tables import Schema

__all__ = ["is_signal"]

LEAST = 8
"""Fewer points than this are read as columns, whatever their names."""


def is_signal(schema: Schema) -> bool:
    """True where the columns are a signal by their names: numbers called ``t0, t1, ...``, in order, at least 8.

    Examples
    --------
    >>> from limbeck._core.tables import Column
    >>> [is_signal(Schema(tuple(Column(f"{name}{i}") for i in range(96)))) for name in "tx"]
    [True, False]
    """
    m = len(schema)
    return m >= LEAST and schema.all_numbers and schema.names == tuple(f"t{i}" for i in range(m))
