"""One column: its name, its kind, its levels; and how the values of any container become numbers and come back."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError, did_you_mean

__all__ = ["Column", "decode_column", "describe_column", "encode_column", "is_missing", "series_values"]

Kind: TypeAlias = Literal["continuous", "nominal", "ordinal"]

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


def is_missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def describe_column(name: str, values: Any) -> Column:
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


def encode_column(column: Column, values: Any) -> np.ndarray:
    array = series_values(values)
    if not column.levels:
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            odd = next((v for v in array if not isinstance(v, numbers.Real)), None)
            hint = f"value {odd!r:.60} (could not convert string to float)" if isinstance(odd, str) else f"{odd!r:.60}"
            if is_missing(odd):
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
            if is_missing(value):
                raise InputError(f"column {column.name!r} has a missing value in row {i}; drop or fill it")
            known = list(column.level_names)
            raise InputError(
                f"column {column.name!r} has no level {value!r:.80} (row {i}); its levels are {known[:12]}"
                f"{' ...' if len(known) > 12 else ''}.{did_you_mean(str(value), known)}"
            )
        out[i] = code
    return out


def decode_column(column: Column, codes: np.ndarray) -> np.ndarray:
    if column.levels:
        levels = np.empty(len(column.levels), dtype=object)
        levels[:] = column.levels
        return levels[codes.astype(np.int64)]
    if column.dtype in ("bool", "boolean"):
        return codes >= 0.5
    if column.integer:
        return np.rint(codes).astype(np.int64)
    return codes.astype(np.float64)
