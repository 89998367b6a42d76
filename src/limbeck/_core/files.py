"""Rows from a CSV or Parquet file, read by Polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from limbeck._core.errors import InputError

__all__ = ["pandas_from_polars", "read_file"]


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
                series.to_list(), categories=series.dtype.categories.to_list(), ordered=True
            )
        elif series.dtype in (pl.String, pl.Categorical) or not series.dtype.is_numeric():
            out[series.name] = pd.Series(series.to_list(), dtype=None if series.dtype == pl.Boolean else object)
        else:
            out[series.name] = series.to_numpy()
    return pd.DataFrame(out, columns=frame.columns)
