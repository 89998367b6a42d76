"""Every source of queries keeps every promise: one table of sources, one test a promise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from limbeck import queries
from limbeck._core.errors import InputError
from limbeck._core.tables import Table

JOBS = ("clerk", "nurse", "smith", "weaver")


def frame(n: int, seed: int) -> pd.DataFrame:
    """Mixed rows: two numbers, a whole number, a truth value, text and a constant."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 70, size=n)
    return pd.DataFrame(
        {
            "age": age,
            "height": rng.normal(170, 10, size=n),
            "weight": (age * 0.5 + rng.normal(50, 5, size=n)).astype(np.float32),
            "owner": rng.random(n) < 0.3,
            "job": np.array(JOBS, dtype=object)[rng.integers(len(JOBS), size=n)],
            "flat": np.full(n, 7.5),
        }
    )


def of_container(container: str, n: int = 120, seed: int = 0) -> Any:
    rows = frame(n, seed)
    if container == "array":
        return rows[["age", "height", "weight", "owner", "flat"]].to_numpy(dtype=float)
    if container == "text array":
        return rows[["height", "job", "flat"]].to_numpy(dtype=object)
    if container == "polars":
        return pl.DataFrame({name: rows[name].to_list() for name in rows.columns})
    if container == "arrow":
        return pl.DataFrame({name: rows[name].to_list() for name in rows.columns}).to_arrow()
    return Table.read(rows) if container == "table" else rows


SOURCES: dict[str, Callable[[Any], Any]] = {
    "Munge": lambda more: queries.Munge(),
    "Marginals": lambda more: queries.Marginals(),
    "NaiveBayes": lambda more: queries.NaiveBayes(),
    "Shifted": lambda more: queries.Shifted(),
    "Unlabelled": lambda more: queries.Unlabelled(more),
    "Mixture": lambda more: queries.Mixture((queries.Unlabelled(more, replace=True), queries.Marginals()), (0.5, 0.5)),
}
NO_SOURCES = {"Answers", "QueryStream", "Source", "ask", "read_answers", "stream", "tune_munge"}
CONTAINERS = ("array", "text array", "pandas", "polars", "arrow", "table")

source = pytest.mark.parametrize("name", SOURCES)


def values_of(rows: Any) -> np.ndarray:
    return Table.read(rows).values


def test_every_public_source_is_in_the_table() -> None:
    assert set(SOURCES) | {"ImageShifts"} == set(queries.__all__) - NO_SOURCES  # images have a file of their own


@source
def test_is_a_frozen_source(name: str) -> None:
    made = SOURCES[name](of_container("array"))
    assert isinstance(made, queries.Source)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        made.p = 1.0


@source
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("m", [1, 50, 120, 321])
def test_gives_m_rows_in_the_same_container(name: str, container: str, m: int) -> None:
    X = of_container(container)
    rows = SOURCES[name](of_container(container, n=400, seed=1)).sample(X, m, seed=0)
    assert type(rows) is type(X)
    assert tuple(rows.shape) == (m, X.shape[1])
    before, after = Table.read(X).schema, Table.read(rows).schema
    assert before.names == after.names
    assert before.container == after.container


@source
def test_keeps_types_levels_and_whole_numbers(name: str) -> None:
    X = frame(120, 0)
    rows = SOURCES[name](frame(400, 1)).sample(X, 300, seed=0)
    assert rows.dtypes.to_dict() == X.dtypes.to_dict()
    assert set(rows["job"]) <= set(JOBS)
    table = SOURCES[name](Table.read(frame(400, 1))).sample(Table.read(X), 300, seed=0)
    age, owner, job = (table.values[:, table.schema.names.index(column)] for column in ("age", "owner", "job"))
    assert (age == np.rint(age)).all()
    assert set(owner) <= {0.0, 1.0}
    assert set(job) <= set(range(len(JOBS)))


@source
def test_constant_columns_stay_constant(name: str) -> None:
    rows = SOURCES[name](frame(400, 1)).sample(frame(120, 0), 300, seed=0)
    assert (rows["flat"] == 7.5).all()


@source
def test_one_seed_gives_one_answer_and_leaves_the_rows_and_the_global_state_alone(name: str) -> None:
    X, more = of_container("pandas"), of_container("pandas", n=400, seed=1)
    X_before, more_before = X.copy(), more.copy()
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    made = SOURCES[name](more)
    first, again, other = (made.sample(X, 200, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    pd.testing.assert_frame_equal(X, X_before)
    pd.testing.assert_frame_equal(more, more_before)


@source
def test_takes_a_generator_and_no_seed(name: str) -> None:
    X, made = of_container("array"), SOURCES[name](of_container("array", n=400, seed=1))
    a, b = (made.sample(X, 50, seed=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert made.sample(X, 50).shape == (50, 5)


@source
def test_held_out_rows_are_never_returned(name: str) -> None:
    rng = np.random.default_rng(0)
    cells = np.array([[a, b, c] for a in range(6) for b in range(6) for c in range(4)])
    X = pd.DataFrame(cells[rng.integers(len(cells), size=300)], columns=["a", "b", "c"])
    X["c"] = X["c"].map(dict(enumerate(JOBS)))
    more = pd.DataFrame(np.repeat(cells, 20, axis=0), columns=["a", "b", "c"])
    more["c"] = more["c"].map(dict(enumerate(JOBS)))
    held = X.sample(40, random_state=0)[["c", "b", "a"]]  # in another order: matched by name
    rows = SOURCES[name](more).sample(X, 500, seed=0, exclude=held)
    assert len(rows) == 500
    forbidden = set(held[["a", "b", "c"]].itertuples(index=False, name=None))
    assert not forbidden & set(rows.itertuples(index=False, name=None))
    table = SOURCES[name](Table.read(more)).sample(
        Table.read(X), 500, seed=0, exclude=Table.read(X).take(np.arange(40))
    )
    assert not set(map(tuple, Table.read(X).values[:40])) & set(map(tuple, table.values))
    if name != "Shifted":  # which never returns rows of the data: the test above must be able to fail
        free = SOURCES[name](more).sample(X, 500, seed=0)
        assert forbidden & set(free.itertuples(index=False, name=None))


@source
def test_says_so_where_nothing_but_held_out_rows_can_be_drawn(name: str) -> None:
    X = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["u", "u", "v", "v"] * 10})
    with pytest.raises(InputError, match=r"take few different values|outside the data's support|unlabelled rows"):
        SOURCES[name](X).sample(X, 10, seed=0, exclude=X)


@source
def test_one_row_is_enough_or_is_refused_in_words(name: str) -> None:
    X = frame(1, 0)
    made = SOURCES[name](frame(1, 0))
    if name in ("Munge", "Shifted"):
        with pytest.raises(InputError, match="at least 2 rows"):
            made.sample(X, 5, seed=0)
    else:
        assert made.sample(X, 1, seed=0).equals(X)


@source
@pytest.mark.parametrize("m", [0, -3, 2.0, "10", None, True])
def test_refuses_a_count_that_is_none(name: str, m: Any) -> None:
    with pytest.raises(InputError, match="m, the number of rows to draw, must be a whole number >= 1"):
        SOURCES[name](of_container("array")).sample(of_container("array"), m, seed=0)


@source
@pytest.mark.parametrize("seed", [-1, 1.5, "now"])
def test_refuses_a_seed_that_is_none(name: str, seed: Any) -> None:
    with pytest.raises(InputError, match="random_state must be a whole number >= 0"):
        SOURCES[name](of_container("array")).sample(of_container("array"), 5, seed=seed)


@source
def test_refuses_missing_infinite_and_huge_values_by_column(name: str) -> None:
    made = SOURCES[name](frame(400, 1))
    for bad, words in ((np.nan, "missing.*height: 1"), (np.inf, "finite.*height"), (1e200, "greater ones in .*height")):
        X = frame(20, 0)
        X.loc[3, "height"] = bad
        with pytest.raises(InputError, match=words):
            made.sample(X, 5, seed=0)


@source
def test_refuses_no_rows_and_held_out_rows_of_other_columns(name: str) -> None:
    made = SOURCES[name](of_container("array"))
    with pytest.raises(InputError, match="at least one row"):
        made.sample(np.empty((0, 5)), 5, seed=0)
    made = SOURCES[name](frame(400, 1))
    with pytest.raises(InputError, match=r"exclude must have the columns of X; it lacks \['age'\]"):
        made.sample(frame(20, 0), 5, seed=0, exclude=frame(20, 0).drop(columns="age"))
    with pytest.raises(InputError, match="column 'age' is text in one and numbers in the other"):
        made.sample(frame(20, 0), 5, seed=0, exclude=frame(20, 0).assign(age="old"))


@source
def test_no_held_out_rows_are_no_error_and_unreadable_ones_are(name: str) -> None:
    X = of_container("array")
    made = SOURCES[name](of_container("array", n=400, seed=1))
    np.testing.assert_array_equal(made.sample(X, 20, seed=0, exclude=X[:0]), made.sample(X, 20, seed=0))
    with pytest.raises(InputError, match=r"exclude, the held-out rows, can't be read: .*missing"):
        made.sample(X, 20, seed=0, exclude=X * np.nan)
    with pytest.raises(InputError, match=r"exclude, the held-out rows, can't be read: .*shape"):
        made.sample(X, 20, seed=0, exclude=X[0])


@source
def test_held_out_levels_that_the_data_lacks_do_no_harm(name: str) -> None:
    held = frame(5, 3).assign(job="astronaut")
    assert len(SOURCES[name](frame(400, 1)).sample(frame(60, 0), 30, seed=0, exclude=held)) == 30


@source
@pytest.mark.parametrize("container", CONTAINERS)
def test_streams_batches_that_do_not_depend_on_those_before(name: str, container: str) -> None:
    X, made = of_container(container), SOURCES[name](of_container(container, n=400, seed=1))
    batches = queries.stream(made, X, 321, seed=0, batch_rows=100)
    drawn = [batch.values for batch in batches]
    assert [len(values) for values in drawn] == [100, 100, 100, 21]
    again = queries.stream(made, X, 321, seed=0, batch_rows=100)
    for i in (3, 0, 2, 1, 2):
        np.testing.assert_array_equal(again.batch(i).values, drawn[i])
    assert (queries.stream(made, X, 321, seed=1, batch_rows=100).batch(0).values != drawn[0]).any()
    assert not np.array_equal(drawn[0], drawn[1])
    assert Table.read(X).schema == again.schema
    assert type(again.batch(0).native()) is (pd.DataFrame if container == "table" else type(X))


@source
def test_held_out_rows_are_never_streamed(name: str) -> None:
    rng = np.random.default_rng(0)
    X, more = (rng.integers(0, 4, size=(n, 3)) for n in (200, 900))
    held = X[:20]
    rows = np.concatenate(
        [b.values for b in queries.stream(SOURCES[name](more), X, 250, 0, exclude=held, batch_rows=60)]
    )
    assert len(rows) == 250
    assert not set(map(tuple, held)) & set(map(tuple, rows))
