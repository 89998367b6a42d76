"""Rows as the rest of the house sees them: named columns with kinds, and one float64 matrix.

A column is `continuous` (numbers), `nominal` (levels without order) or `ordinal` (levels with one). Inside, a column
with levels holds the position of its level, so every method works on one matrix; at the border the user's own container
comes back, and a condition reads ``workclass = 'Private'``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from limbeck._core.columns import (
    Column,
    decode_column,
    describe_column,
    encode_column,
    is_missing,
    series_values,
)
from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.files import read_file

__all__ = ["Column", "Rows", "Schema", "Table", "columns_of"]

Rows: TypeAlias = Any
"""What a user gives as rows: an array, a DataFrame (pandas, Polars, Arrow), a path, or a `Table`."""


@dataclass(frozen=True)
class Schema:
    """The columns of a table, and the container (numpy, pandas, polars, pyarrow) that the user's rows came in."""

    columns: tuple[Column, ...]
    container: str = "numpy"

    def __post_init__(self) -> None:
        """Refuse what no table can be: no columns, or two columns of one name."""
        names = [column.name for column in self.columns]
        if not names:
            raise InputError("rows need at least one column; got 0 feature(s)")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"column names must differ; these come more than once: {twice}. Rename them.")

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def all_numbers(self) -> bool:
        """True where no column has levels."""
        return not any(column.levels for column in self.columns)

    def has_levels(self, j: int) -> bool:
        """True where column `j` is nominal or ordinal, so that its values are positions of levels."""
        return bool(self.columns[j].levels)

    def encode(self, X: Rows) -> np.ndarray:
        """The rows as a float64 matrix ``(n, d)``: numbers as they are, levels as their position.

        Frames are matched by name (more columns than needed are fine, in any order), everything else by position.

        Raises
        ------
        InputError
            For missing columns or values, an unknown level, text where numbers are required, or a wrong width.
        """
        if isinstance(X, Table):
            if X.schema.columns == self.columns:
                return X.values
            X = X.native()
        if isinstance(X, str | Path):
            X = read_file(X)
        named = columns_of(X)
        if named is None:
            raw = _as_matrix(X)
            if raw.shape[1] != len(self):
                raise InputError(f"rows must have {len(self)} columns {list(self.names)[:8]}; got shape {raw.shape}")
            if raw.dtype.kind in "fiub" and self.all_numbers:
                return _finite(raw.astype(np.float64), self)
            named = {name: raw[:, j] for j, name in enumerate(self.names)}
        else:
            absent = [name for name in self.names if name not in named]
            if absent:
                raise InputError(
                    f"the rows lack the column(s) {absent}; they have {list(named)[:20]}."
                    f"{did_you_mean(absent[0], named)}"
                )
        return _finite(np.column_stack([encode_column(column, named[column.name]) for column in self.columns]), self)

    def decode(self, Z: np.ndarray) -> Any:
        """The user's own container from encoded rows ``(n, d)``: the same names, levels and types."""
        if self.container == "numpy" and self.all_numbers:
            return np.asarray(Z, dtype=np.float64)
        if self.container == "pandas" and (plain := self._plain_dtype()) is not None:
            import pandas as pd

            block = np.rint(Z) if plain.kind in "iu" else Z
            return pd.DataFrame(block.astype(plain), columns=list(self.names))
        values = {column.name: decode_column(column, Z[:, j]) for j, column in enumerate(self.columns)}
        if self.container == "numpy":
            out = np.empty(Z.shape, dtype=object)
            for j, column in enumerate(self.columns):
                out[:, j] = values[column.name]
            return out
        if self.container == "pandas":
            import pandas as pd

            frame = {}
            for column in self.columns:
                series = pd.Series(values[column.name])
                if column.dtype == "category":
                    series = pd.Series(
                        pd.Categorical(
                            values[column.name],
                            categories=list(column.levels),
                            ordered=column.kind == "ordinal",
                        )
                    )
                elif column.dtype not in ("object", ""):
                    series = series.astype(column.dtype)  # type: ignore[call-overload]
                else:
                    series = series.astype(object)
                frame[column.name] = series
            return pd.DataFrame(frame, columns=list(self.names))
        if self.container == "polars":
            import polars as pl

            return pl.DataFrame({name: list(v) if v.dtype == object else v for name, v in values.items()})
        import pyarrow as pa

        return pa.table({name: list(v) if v.dtype == object else v for name, v in values.items()})

    def _plain_dtype(self) -> np.dtype[Any] | None:
        """The type of all columns, where they are numbers of one plain type: such a table is made in one piece."""
        types = {column.dtype for column in self.columns}
        if not self.all_numbers or len(types) > 1 or not re.fullmatch(r"(u?int|float)\d+", next(iter(types))):
            return None
        return np.dtype(types.pop())

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON types."""
        return {"container": self.container, "columns": [column.to_dict() for column in self.columns]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """The schema that `to_dict` wrote."""
        container = data.get("container", "numpy")
        if container not in ("numpy", "pandas", "polars", "pyarrow"):
            raise InputError(f"a schema's container is numpy, pandas, polars or pyarrow; got {container!r:.80}")
        return cls(tuple(Column.from_dict(column) for column in data["columns"]), container)


@dataclass(frozen=True)
class Table:
    """Rows with their schema: `values` is float64 ``(n, d)``, levels as positions."""

    schema: Schema
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n, d)``."""
        return self.values.shape[0], self.values.shape[1]

    def take(self, index: np.ndarray) -> Table:
        """The rows at `index`."""
        return replace(self, values=self.values[index])

    def with_values(self, values: np.ndarray) -> Table:
        """Other rows under the same schema."""
        return replace(self, values=np.asarray(values, dtype=np.float64))

    def native(self) -> Any:
        """The rows in the container that the user gave, which is what the user's model takes."""
        return self.schema.decode(self.values)

    @classmethod
    def read(cls, X: Rows, *, names: Sequence[str] | None = None) -> Table:
        """A table from an array, a pandas, Polars or Arrow frame, a CSV or Parquet path, or a `Table`.

        Parameters
        ----------
        X : rows
            ``(n, d)``. In frames, text, categories and enumerations become columns with levels; numbers and booleans
            stay numbers.
        names : sequence of str, optional
            Column names for an array; ``x0, x1, ...`` where absent.

        Raises
        ------
        InputError
            Where values are missing or infinite (said by column and count), a column is a date, an identifier or
            nested, or the shape is not ``(n, d)``.

        Examples
        --------
        >>> import pandas as pd
        >>> table = Table.read(pd.DataFrame({"age": [25, 40], "job": ["clerk", "nurse"]}))
        >>> table.values
        array([[25.,  0.],
               [40.,  1.]])
        >>> table.schema.columns[1].levels
        ('clerk', 'nurse')
        """
        if isinstance(X, Table):
            return X
        if isinstance(X, str | Path):
            X = read_file(X)
        named = columns_of(X)
        if named is None:
            raw = _as_matrix(X)
            labels = [f"x{j}" for j in range(raw.shape[1])] if names is None else [str(name) for name in names]
            if len(labels) != raw.shape[1]:
                raise InputError(f"names must name {raw.shape[1]} columns; got {len(labels)}")
            if raw.dtype.kind in "iub" or (raw.dtype.kind == "f" and not np.isnan(raw).any()):
                whole, kind = raw.dtype.kind != "f", str(raw.dtype)
                schema = Schema(tuple(Column(name, "continuous", (), whole, kind) for name in labels))
                return cls(schema, _finite(raw.astype(np.float64), schema))
            named, container = {name: raw[:, j] for j, name in enumerate(labels)}, "numpy"
            if len(named) != len(labels):
                Schema(tuple(Column(name) for name in labels))
        else:
            container = _container_of(X)
        _refuse_missing(named)
        schema = Schema(tuple(describe_column(name, values) for name, values in named.items()), container)
        values = np.column_stack([encode_column(column, named[column.name]) for column in schema.columns])
        return cls(schema, _finite(values, schema))


def _container_of(X: Any) -> str:
    root = type(X).__module__.partition(".")[0]
    return root if root in ("pandas", "polars", "pyarrow") else "pandas"


def columns_of(X: Any) -> dict[str, np.ndarray | Any] | None:
    """Each column of a frame as a narwhals series by name, or None where `X` is not a frame."""
    if isinstance(X, np.ndarray | list | tuple) or not hasattr(X, "__len__"):
        return None
    import narwhals as nw

    try:
        frame = nw.from_native(X, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError as error:
        raise InputError(f"column names must differ; {' '.join(str(error).split())}. Rename them.") from None
    if not isinstance(frame, nw.DataFrame):
        return None
    columns = [str(name) for name in frame.columns]
    if len(set(columns)) != len(columns):
        Schema(tuple(Column(name) for name in columns))
    return {name: frame.get_column(original) for name, original in zip(columns, frame.columns, strict=True)}


def _as_matrix(X: Any) -> np.ndarray:
    if hasattr(X, "toarray") or type(X).__module__.startswith("scipy.sparse"):
        raise InputError(
            f"dense rows are required; got a sparse {type(X).__name__} of shape {X.shape}. Use .toarray()."
        )
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    raw = np.asarray(X)
    if raw.dtype.kind == "U" or raw.dtype.kind == "S":
        raw = raw.astype(object)
    if raw.dtype.kind == "c":
        raise InputError(f"Complex data not supported: real numbers are required; got dtype {raw.dtype}")
    if raw.ndim != 2:
        raise InputError(
            f"rows must be a table of shape (n, d); got shape {raw.shape}. "
            "Reshape your data: X.reshape(1, -1) for one row, X.reshape(-1, 1) for one column."
        )
    if raw.shape[0] == 0:
        raise InputError(f"at least one row is required; got shape {raw.shape}")
    if raw.shape[1] == 0:
        raise InputError(f"rows need at least one column; got 0 feature(s) (shape={raw.shape})")
    return raw


def _refuse_missing(named: dict[str, Any]) -> None:
    counts = {}
    for name, values in named.items():
        column = series_values(values)
        if column.dtype.kind == "f":
            count = int(np.isnan(column).sum())
        elif column.dtype.kind == "O":
            count = sum(is_missing(value) for value in column)
        else:
            count = 0
        if count:
            counts[name] = count
    if counts:
        listed = ", ".join(f"{name}: {count}" for name, count in list(counts.items())[:12])
        more = "" if len(counts) <= 12 else f" and {len(counts) - 12} more columns"
        raise InputError(
            f"values are missing (NaN or null) in {len(counts)} column(s) - {listed}{more}. Drop those rows, fill "
            "them in, or make missing a level of its own (on the command line: --missing drop, or --missing level)."
        )


def _finite(values: np.ndarray, schema: Schema) -> np.ndarray:
    """The values, where every one is finite."""
    bad = ~np.isfinite(values)
    if bad.any():
        counts = {name: int(bad[:, j].sum()) for j, name in enumerate(schema.names) if bad[:, j].any()}
        kind = "NaN" if np.isnan(values).any() else "infinity (inf)"
        raise InputError(f"every number must be finite; got {kind} in column(s) {counts}. Drop or mend those rows.")
    return values
