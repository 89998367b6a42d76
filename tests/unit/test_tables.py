"""Rows of every container come in as one matrix and go out as they came."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema, Table

PLAIN = {"age": [25, 40, 61], "score": [0.5, 1.5, -2.0], "job": ["clerk", "nurse", "clerk"]}


def containers() -> dict[str, Any]:
    return {
        "pandas": pd.DataFrame(PLAIN),
        "pandas category": pd.DataFrame(PLAIN).astype({"job": "category"}),
        "pandas object": pd.DataFrame(PLAIN).astype({"job": object}),
        "polars": pl.DataFrame(PLAIN),
        "polars categorical": pl.DataFrame(PLAIN).with_columns(pl.col("job").cast(pl.Categorical)),
        "pyarrow": pa.table(PLAIN),
        "objects": np.array(list(zip(*PLAIN.values(), strict=True)), dtype=object),
    }


@pytest.mark.parametrize("kind", containers())
def test_every_container_reads_the_same_and_comes_back(kind: str) -> None:
    rows = containers()[kind]
    table = Table.read(rows, names=list(PLAIN) if kind == "objects" else None)
    assert table.schema.names == ("age", "score", "job")
    assert table.schema.columns[2].level_names == ("clerk", "nurse")
    assert table.values.tolist() == [[25.0, 0.5, 0.0], [40.0, 1.5, 1.0], [61.0, -2.0, 0.0]]
    back = table.native()
    assert type(back) is type(rows)
    again = Table.read(back, names=list(PLAIN) if kind == "objects" else None)
    assert np.array_equal(again.values, table.values)
    if kind.startswith("pandas"):
        pd.testing.assert_frame_equal(back, rows)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"rows{suffix}"
    frame = pl.DataFrame(PLAIN)
    frame.write_csv(path) if suffix == ".csv" else frame.write_parquet(path)
    table = Table.read(path)
    assert table.schema.container == "pandas"
    assert table.schema.columns[0].integer
    assert Table.read(str(path)).values.tolist() == table.values.tolist()


def test_ordered_categories_are_ordinal_and_keep_their_order() -> None:
    sizes = pd.DataFrame({"size": pd.Categorical(["M", "S", "L"], categories=["S", "M", "L"], ordered=True)})
    table = Table.read(sizes)
    assert table.schema.columns[0].kind == "ordinal"
    assert table.values.ravel().tolist() == [1.0, 0.0, 2.0]
    pd.testing.assert_frame_equal(table.native(), sizes)
    enum = pl.DataFrame({"size": pl.Series(["M", "S"], dtype=pl.Enum(["S", "M", "L"]))})
    assert Table.read(enum).schema.columns[0].kind == "ordinal"


def test_booleans_are_numbers_and_come_back() -> None:
    frame = pd.DataFrame({"open": [True, False, True]})
    table = Table.read(frame)
    assert table.values.ravel().tolist() == [1.0, 0.0, 1.0]
    pd.testing.assert_frame_equal(table.native(), frame)


def test_frames_are_matched_by_name() -> None:
    schema = Table.read(pd.DataFrame(PLAIN)).schema
    other = pd.DataFrame({"extra": [1], "job": ["nurse"], "score": [2.0], "age": [30]})
    assert schema.encode(other).tolist() == [[30.0, 2.0, 1.0]]


def test_arrays_are_matched_by_position() -> None:
    schema = Table.read(pd.DataFrame(PLAIN)).schema
    assert schema.encode(np.array([[30, 2.0, "nurse"]], dtype=object)).tolist() == [[30.0, 2.0, 1.0]]


def test_a_schema_survives_json() -> None:
    schema = Table.read(pd.DataFrame(PLAIN).astype({"job": "category"})).schema
    assert Schema.from_dict(schema.to_dict()) == schema


FRAME = pd.DataFrame(PLAIN)
BAD_ROWS: dict[str, tuple[Any, str]] = {
    "missing numbers": (FRAME.assign(age=[1.0, None, None]), r"age: 2.*Drop those rows"),
    "missing text": (FRAME.assign(job=["clerk", None, "nurse"]), r"job: 1.*missing a level of its own"),
    "missing in polars": (pl.DataFrame({"a": [1, None]}), "a: 1"),
    "missing in arrow": (pa.table({"a": ["x", None]}), "a: 1"),
    "nan in an array": (np.array([[1.0, np.nan]]), "x1: 1"),
    "infinite": (np.array([[1.0, np.inf]]), r"infinity \(inf\) in column"),
    "one dimension": (np.zeros(3), "Reshape your data"),
    "three dimensions": (np.zeros((2, 2, 2)), r"shape \(n, d\); got shape \(2, 2, 2\)"),
    "no rows": (np.zeros((0, 2)), "at least one row"),
    "no columns": (np.zeros((2, 0)), "at least one column"),
    "complex": (np.ones((2, 2)) * 1j, "Complex data not supported"),
    "sparse": (scipy.sparse.eye(3), "Use .toarray()"),
    "dates": (FRAME.assign(day=pd.Timestamp("2020-01-01")), "Turn it into numbers"),
    "objects": (np.array([[{}]], dtype=object), "numbers or text are required"),
    "dates in an array": (np.array([[datetime.date(2020, 1, 1)]], dtype=object), "holds date values"),
    "an identifier": (pd.DataFrame({"id": [f"row {i}" for i in range(1_001)]}), "looks like an identifier"),
    "two columns of one name": (pd.DataFrame([[1, 2]], columns=["a", "a"]), "names must differ"),
    "no such file": ("nowhere.csv", "no file at nowhere.csv"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_bad_rows(case: str) -> None:
    rows, message = BAD_ROWS[case]
    with pytest.raises(InputError, match=message):
        Table.read(rows)


BAD_LATER: dict[str, tuple[Any, str]] = {
    "unknown level": (FRAME.assign(job="nurs"), r"no level 'nurs'.*Did you mean 'nurse'"),
    "column gone": (FRAME.drop(columns="score"), r"lack the column\(s\) \['score'\]"),
    "column renamed": (FRAME.rename(columns={"score": "scores"}), "Did you mean 'scores'"),
    "text for a number": (FRAME.assign(age=["a", "b", "c"]), "'age' must hold numbers; got value 'a'"),
    "too narrow": (np.zeros((2, 2)), "must have 3 columns"),
    "missing": (FRAME.assign(score=[1.0, None, 2.0]), "NaN in column"),
    "missing level": (FRAME.assign(job=["clerk", None, "clerk"]), "missing value in row 1"),
}


@pytest.mark.parametrize("case", BAD_LATER)
def test_bad_rows_for_a_known_schema(case: str) -> None:
    rows, message = BAD_LATER[case]
    with pytest.raises(InputError, match=message):
        Table.read(FRAME).schema.encode(rows)


def test_a_file_that_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"bad\.parquet can't be read as a table"):
        Table.read(tmp_path / "bad.parquet")
    (tmp_path / "rows.xlsx").write_bytes(b"")
    with pytest.raises(InputError, match=r"read from \.csv, \.tsv or \.parquet"):
        Table.read(tmp_path / "rows.xlsx")
    (tmp_path / "empty.csv").write_text("a,b\n")
    with pytest.raises(InputError, match="holds no rows"):
        Table.read(tmp_path / "empty.csv")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(max_size=8),
            st.integers(min_value=-(2**53), max_value=2**53),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_values_come_back(rows: list[tuple[float, str, int]]) -> None:
    frame = pd.DataFrame(rows, columns=["number", "<text>", "whole"])
    pd.testing.assert_frame_equal(Table.read(frame).native(), frame)


def test_column_names_are_text() -> None:
    table = Table.read(pd.DataFrame(np.eye(2), columns=[0, 1]))
    assert table.schema.columns == (Column("0"), Column("1"))
    assert table.schema.encode(pd.DataFrame(np.eye(2), columns=[0, 1])).tolist() == np.eye(2).tolist()
