"""Rows as the rest of the house sees them: named columns with kinds, and one float64 matrix.

A column is `continuous` (numbers), `nominal` (levels without order) or `ordinal` (levels with one). Inside, a column
with levels holds the position of its level, so every method works on one matrix; at the border the user's own container
comes back, and a condition reads ``workclass = 'Private'``.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError, did_you_mean

__all__ = ["Column", "Rows", "Schema", "Table"]

Kind: TypeAlias = Literal["continuous", "nominal", "ordinal"]
Rows: TypeAlias = Any
"""What a user gives as rows: an array, a DataFrame (pandas, Polars, Arrow), a path, or a `Table`."""

MAX_LEVELS = 1_000


@dataclass(frozen=True)
class Column:
    """One column: its name, its kind, its levels (strings, or numbers), and how the user's own values are typed."""

    name: str
    kind: Kind = "continuous"
    levels: tuple[Any, ...] = ()
    integer: bool = False
    dtype: str = "float64"

    @property
    def level_names(self) -> tuple[str, ...]:
        """The levels as they are read, one string each."""
        return tuple(str(level) for level in self.levels)

    def to_dict(self) -> dict[str, Any]:
        """The column as JSON types."""
        return {
            "name": self.name,
            "kind": self.kind,
            "levels": list(self.levels),
            "integer": self.integer,
            "dtype": self.dtype,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Column:
        """The column that `to_dict` wrote; anything else is refused."""
        levels = tuple(data.get("levels", ()))
        if data.get("kind") not in ("continuous", "nominal", "ordinal") or not all(
            isinstance(level, str | bool | int | float) for level in levels
        ):
            raise InputError(f"a column needs a kind and plain levels; got {data!r:.200}")
        return cls(
            str(data["name"]),
            data["kind"],
            levels,
            bool(data.get("integer", False)),
            str(data.get("dtype", "float64")),
        )


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
            if raw.dtype.kind == "f" and self.all_numbers:
                values = raw.astype(np.float64)
                _refuse_non_finite(values, self.names)
                return values
            named = {name: raw[:, j] for j, name in enumerate(self.names)}
        else:
            absent = [name for name in self.names if name not in named]
            if absent:
                raise InputError(
                    f"the rows lack the column(s) {absent}; they have {list(named)[:20]}."
                    f"{did_you_mean(absent[0], named)}"
                )
        out = np.column_stack([_encode_column(column, named[column.name]) for column in self.columns])
        _refuse_non_finite(out, self.names)
        return out

    def decode(self, Z: np.ndarray) -> Any:
        """The user's own container from encoded rows ``(n, d)``: the same names, levels and types."""
        if self.container == "numpy" and self.all_numbers:
            return np.asarray(Z, dtype=np.float64)
        values = {column.name: _decode_column(column, Z[:, j]) for j, column in enumerate(self.columns)}
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
            named, container = {name: raw[:, j] for j, name in enumerate(labels)}, "numpy"
            if len(named) != len(labels):
                Schema(tuple(Column(name) for name in labels))
        else:
            container = _container_of(X)
        _refuse_missing(named)
        schema = Schema(tuple(_describe_column(name, values) for name, values in named.items()), container)
        values = np.column_stack([_encode_column(column, named[column.name]) for column in schema.columns])
        _refuse_non_finite(values, schema.names)
        return cls(schema, values)


def read_file(path: str | Path) -> Any:
    """A pandas frame from a CSV or Parquet file, read by Polars."""
    import polars as pl

    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file at {path}; give a .csv or .parquet file")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pl.read_parquet(path)
        elif path.suffix.lower() in (".csv", ".tsv", ".txt"):
            frame = pl.read_csv(
                path,
                separator="\t" if path.suffix.lower() == ".tsv" else ",",
                infer_schema_length=None,
                null_values=["", "NA", "NaN", "nan"],
            )
        else:
            raise InputError(f"rows are read from .csv, .tsv or .parquet; got {path.name!r}")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path.name} can't be read as a table: {str(error).splitlines()[0][:200]}") from error
    if frame.is_empty():
        raise InputError(f"{path.name} holds no rows")
    return pandas_from_polars(frame)


def pandas_from_polars(frame: Any) -> Any:
    """A pandas frame with the same columns, without needing pyarrow."""
    import pandas as pd
    import polars as pl

    out: dict[str, Any] = {}
    for series in frame.get_columns():
        if isinstance(series.dtype, pl.Enum):
            out[series.name] = pd.Categorical(
                series.to_list(), categories=series.cat.get_categories().to_list(), ordered=True
            )
        elif series.dtype in (pl.String, pl.Categorical) or not series.dtype.is_numeric():
            out[series.name] = pd.Series(series.to_list(), dtype=None if series.dtype == pl.Boolean else object)
        else:
            out[series.name] = series.to_numpy()
    return pd.DataFrame(out, columns=frame.columns)


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


def series_values(values: Any) -> np.ndarray:
    """A column as a NumPy array; narwhals series of text, categories and numbers come out as plain values."""
    if isinstance(values, np.ndarray):
        return values
    if values.dtype.is_numeric():
        return np.asarray(values.cast(_float64()).to_numpy() if values.null_count() else values.to_numpy())
    return np.array(values.to_list(), dtype=object)


def _float64() -> Any:
    import narwhals as nw

    return nw.Float64


def _is_missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _refuse_missing(named: dict[str, Any]) -> None:
    counts = {}
    for name, values in named.items():
        column = series_values(values)
        if column.dtype.kind == "f":
            count = int(np.isnan(column).sum())
        elif column.dtype.kind == "O":
            count = sum(_is_missing(value) for value in column)
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


def _refuse_non_finite(values: np.ndarray, names: Sequence[str]) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        counts = {name: int(bad[:, j].sum()) for j, name in enumerate(names) if bad[:, j].any()}
        kind = "NaN" if np.isnan(values).any() else "infinity (inf)"
        raise InputError(f"every number must be finite; got {kind} in column(s) {counts}. Drop or mend those rows.")


def _describe_column(name: str, values: Any) -> Column:
    """The column's kind, levels and type, read off its values."""
    import narwhals as nw

    if not isinstance(values, np.ndarray):
        dtype = values.dtype
        native = str(getattr(nw.to_native(values), "dtype", "object"))
        if dtype.is_temporal() or dtype.is_nested():
            raise InputError(
                f"column {name!r} holds {dtype}; numbers or text are required. Turn it into numbers (such as days "
                "since a date) or drop it."
            )
        if isinstance(dtype, nw.Enum):
            levels = tuple(dtype.categories)
            return Column(name, "ordinal", tuple(_plain(v) for v in levels), False, "category")
        if isinstance(dtype, nw.Categorical):
            pandas = (
                getattr(nw.to_native(values), "cat", None)
                if nw.get_native_namespace(values).__name__ == "pandas"
                else None
            )
            used = (
                list(pandas.categories)
                if pandas is not None
                else sorted(map(str, values.drop_nulls().unique().to_list()))
            )
            return Column(name, "nominal", tuple(_plain(v) for v in used), False, "category")
        if dtype == nw.Boolean:
            return Column(name, "continuous", (), True, "bool")
        if dtype.is_numeric():
            return Column(name, "continuous", (), bool(dtype.is_integer()), native)
        values = series_values(values)
        return _describe_objects(name, values, native)
    if values.dtype.kind in "iub":
        return Column(name, "continuous", (), True, str(values.dtype))
    if values.dtype.kind == "f":
        return Column(name, "continuous", (), False, str(values.dtype))
    return _describe_objects(name, values, "object")


def _describe_objects(name: str, values: np.ndarray, dtype: str) -> Column:
    if all(isinstance(value, numbers.Real) for value in values):
        whole = all(isinstance(value, numbers.Integral) for value in values)
        return Column(name, "continuous", (), whole, "float64")
    odd = next((value for value in values if not isinstance(value, str | bool | numbers.Real)), None)
    if odd is not None:
        raise InputError(f"column {name!r} holds {type(odd).__name__} values; numbers or text are required")
    levels = sorted({str(value) for value in values})
    if len(levels) > MAX_LEVELS:
        raise InputError(
            f"column {name!r} has {len(levels)} different texts in {len(values)} rows, more than {MAX_LEVELS}: it "
            "looks like an identifier or free text. Drop it, or group its values."
        )
    return Column(name, "nominal", tuple(levels), False, dtype)


def _plain(level: Any) -> Any:
    return level.item() if isinstance(level, np.generic) else level


def _encode_column(column: Column, values: Any) -> np.ndarray:
    array = series_values(values)
    if not column.levels:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            odd = next((v for v in array if not isinstance(v, numbers.Real)), None)
            hint = f"value {odd!r:.60} (could not convert string to float)" if isinstance(odd, str) else f"{odd!r:.60}"
            if _is_missing(odd):
                hint = "a missing value"
            raise InputError(f"column {column.name!r} must hold numbers; got {hint}") from None
    position = {level: code for code, level in enumerate(column.levels)}
    position.update({name: code for code, name in enumerate(column.level_names)})
    out = np.empty(len(array))
    for i, value in enumerate(array):
        code = position.get(_plain(value)) if isinstance(value, str | numbers.Real) else None
        if code is None and isinstance(value, numbers.Real):
            code = position.get(str(_plain(value)))
        if code is None:
            if _is_missing(value):
                raise InputError(f"column {column.name!r} has a missing value in row {i}; drop or fill it")
            known = list(column.level_names)
            raise InputError(
                f"column {column.name!r} has no level {value!r:.80} (row {i}); its levels are {known[:12]}"
                f"{' ...' if len(known) > 12 else ''}.{did_you_mean(str(value), known)}"
            )
        out[i] = code
    return out


def _decode_column(column: Column, codes: np.ndarray) -> np.ndarray:
    if column.levels:
        levels = np.empty(len(column.levels), dtype=object)
        levels[:] = column.levels
        return levels[codes.astype(np.int64)]
    if column.dtype in ("bool", "boolean"):
        return codes >= 0.5
    if column.integer:
        return np.rint(codes).astype(np.int64)
    return codes.astype(np.float64)
