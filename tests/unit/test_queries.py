"""The parts of the sources: trades and rounds, neighbours, types, and what each refuses."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.tables import Column, Table
from limbeck.queries import Marginals, Munge, NaiveBayes, Shifted, Unlabelled, _munge, _neighbours
from limbeck.queries._munge import Rounds, munge_passes
from limbeck.queries._neighbours import Space, nearest_distance, nearest_other
from limbeck.queries._source import as_typed, type_range


def mixed(n: int, numbers: int, texts: int, seed: int, levels: int = 3) -> Table:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({f"n{j}": rng.normal(size=n) for j in range(numbers)})
    for j in range(texts):
        frame[f"t{j}"] = np.array([f"level {i}" for i in range(levels)], dtype=object)[rng.integers(levels, size=n)]
    return Table.read(frame)


def all_pairs(table: Table) -> np.ndarray:
    """Distances as the paper has them, by loops."""
    Z = table.values
    n, d = Z.shape
    span = np.ptp(Z, axis=0)
    D = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            numbers = [c for c in range(d) if not table.schema.has_levels(c) and span[c] > 0]
            texts = [c for c in range(d) if table.schema.has_levels(c)]
            square = sum(((Z[i, c] - Z[j, c]) / span[c]) ** 2 for c in numbers)
            D[i, j] = square**0.5 + sum(Z[i, c] != Z[j, c] for c in texts)
    return D


@pytest.mark.parametrize(("numbers", "texts"), [(2, 0), (12, 0), (14, 0), (3, 2), (0, 4), (13, 1)])
@pytest.mark.parametrize("chunk", [7, 500_000])
def test_neighbours_are_those_of_a_loop(numbers: int, texts: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_neighbours, "CHUNK", chunk * 40)
    table = mixed(40, numbers, texts, seed=numbers + texts)
    D = all_pairs(table)
    D[np.arange(40), np.arange(40)] = np.inf
    space = Space.of(table)
    partner, distance = nearest_other(space, table.values, np.random.default_rng(0))
    np.testing.assert_allclose(D[np.arange(40), partner], D.min(axis=1), atol=1e-7)
    np.testing.assert_allclose(distance, D.min(axis=1), atol=1e-7)
    other = nearest_distance(space, table.values[:10], table.values[10:])
    np.testing.assert_allclose(other, D[:10, 10:].min(axis=1), atol=1e-7)


@pytest.mark.parametrize("columns", [2, 20])
def test_a_rows_partner_is_another_row_even_where_all_rows_are_equal(columns: int) -> None:
    table = Table.read(np.ones((9, columns)))
    partner, distance = nearest_other(Space.of(table), table.values, np.random.default_rng(0))
    assert (partner != np.arange(9)).all()
    assert (distance == 0).all()


def test_ties_between_levels_are_broken_at_random() -> None:
    table = Table.read(pd.DataFrame({"a": ["x"] * 2000}))
    partner, _ = nearest_other(Space.of(table), table.values, np.random.default_rng(0))
    assert np.bincount(partner, minlength=2000).max() < 12


def test_more_than_255_levels_are_told_apart() -> None:
    names = [f"level {i:03d}" for i in range(300)]
    table = Table.read(pd.DataFrame({"a": names * 2}))
    partner, distance = nearest_other(Space.of(table), table.values, np.random.default_rng(0))
    assert (partner == np.r_[np.arange(300, 600), np.arange(300)]).all()
    assert (distance == 0).all()


@given(st.integers(2, 40), st.integers(0, 2**32 - 1), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_rounds_give_what_the_trades_one_by_one_give(n: int, seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    partner = (np.arange(n) + rng.integers(1, n, size=n)) % n
    one_by_one = np.arange(n)
    for i, j in enumerate(partner):
        one_by_one[i], one_by_one[j] = one_by_one[j], one_by_one[i]
    in_rounds = np.arange(n)
    count = 0
    for i, j in Rounds.of(np.arange(n), partner).steps(size):
        assert len(set(i) | set(j)) == 2 * len(i) <= 2 * size
        in_rounds[i], in_rounds[j] = in_rounds[j], in_rounds[i]
        count += len(i)
    assert count == n
    assert (in_rounds == one_by_one).all()


def test_a_trade_draws_around_the_partners_old_value() -> None:
    values = np.array([[0.0, 1.0], [10.0, 0.0]])
    rounds = Rounds(np.arange(2), np.array([0]), np.array([1]), np.array([0, 1]))  # one trade: row 0 with row 1
    work = munge_passes(values, rounds, 20_000, 1.0, np.array([1 / 5, 0.0]), np.random.default_rng(0))
    assert abs(work[0, :, 0].mean() - 10) < 0.1
    assert abs(work[1, :, 0].mean() - 0) < 0.1
    assert abs(work[0, :, 0].std() - 2) < 0.05
    assert abs(work[1, :, 0].std() - 2) < 0.05
    assert abs(np.corrcoef(work[0, :, 0], work[1, :, 0])[0, 1]) < 0.03
    assert (work[0, :, 1] == 0.0).all()
    assert (work[1, :, 1] == 1.0).all()


def test_p_is_the_share_of_attributes_that_are_traded() -> None:
    values = np.arange(200.0).reshape(2, 100)
    rounds = Rounds(np.arange(2), np.array([0]), np.array([1]), np.array([0, 1]))
    work = munge_passes(values, rounds, 500, 0.3, np.full(100, 1 / 5), np.random.default_rng(0))
    changed = work != values[:, None, :]
    assert abs(changed[0].mean() - 0.3) < 0.01
    assert (changed[0] == changed[1]).all()


def test_p_zero_copies_the_rows() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    rows = Munge(p=0).sample(X, 90, seed=0)
    assert (np.sort(rows, axis=0) == np.sort(np.tile(X, (3, 1)), axis=0)).all()
    assert len(np.unique(rows, axis=0)) == 30


def test_part_of_a_pass_takes_rows_from_everywhere() -> None:
    X = np.arange(1000.0)[:, None]
    rows = np.concatenate([Munge(p=0).sample(X, 100, seed=seed) for seed in range(20)])
    assert abs(rows.mean() - 499.5) < 30
    assert len(np.unique(Munge(p=0).sample(X, 100, seed=0))) == 100


@pytest.mark.parametrize(("block", "held"), [(7, 2**20), (10_000, 60), (13, 60)])
def test_blocks_and_chunks_give_as_many_rows_as_one(block: int, held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_munge, "BLOCK", block)
    monkeypatch.setattr(_munge, "HELD", held)
    X = np.random.default_rng(0).normal(size=(50, 3))
    for m in (1, 49, 50, 51, 237):
        rows = Munge(p=0).sample(X, m, seed=1)
        assert rows.shape == (m, 3)
        counts = np.unique(np.searchsorted(np.sort(X[:, 0]), rows[:, 0]), return_counts=True)[1]
        assert counts.max() <= -(-m // 50)
    assert (Munge().sample(X, 100, seed=1) != np.tile(X, (2, 1))).any()


def test_prepared_once_draws_again_and_again() -> None:
    table = mixed(60, 3, 1, seed=0)
    for source in (Munge(), Marginals(), NaiveBayes(), Shifted(), Unlabelled(table)):
        draw = source.prepare(table, np.random.default_rng(0))
        a, b = draw(25), draw(25)
        assert a.shape == b.shape == (25, 4)
        assert (a != b).any()


def test_clip_holds_numbers_in_their_range_and_is_off_as_published() -> None:
    X = np.random.default_rng(0).exponential(size=(300, 2))
    low, high = X.min(axis=0), X.max(axis=0)
    free, held = Munge(s=1.0).sample(X, 3000, seed=0), Munge(s=1.0, clip=True).sample(X, 3000, seed=0)
    assert (free < low).any()
    assert (held >= low).all()
    assert (held <= high).all()


def test_types_hold_what_is_drawn() -> None:
    X = pd.DataFrame(
        {"u": np.array([0, 200, 255] * 20, dtype=np.uint8), "i": np.array([-128, 0, 127] * 20, dtype=np.int8)}
    )
    rows = Munge(p=0.9, s=0.5).sample(X, 2000, seed=0)
    assert rows.dtypes.to_dict() == X.dtypes.to_dict()
    encoded = Munge(p=0.9, s=0.5).sample(Table.read(X), 2000, seed=0).values
    assert encoded.min(axis=0).tolist() == [0, -128]
    assert encoded.max(axis=0).tolist() == [255, 127]


def test_type_ranges() -> None:
    assert type_range(Column("a", integer=True, dtype="uint8")) == (0.0, 255.0)
    assert type_range(Column("a", integer=True, dtype="bool")) == (0.0, 1.0)
    assert type_range(Column("a", integer=True, dtype="Int16")) == (-32768.0, 32767.0)
    assert type_range(Column("a")) == (-np.inf, np.inf)
    low, high = type_range(Column("a", integer=True, dtype="int64"))
    assert int(low) == -(2**63)
    assert 2**62 < int(high) < 2**63


def test_numbers_of_single_precision_come_out_as_such() -> None:
    schema = Table.read(pd.DataFrame({"a": np.array([1.5], dtype=np.float32)})).schema
    assert as_typed(schema, np.array([[0.1], [1e300]])).tolist() == [
        [float(np.float32(0.1))],
        [float(np.finfo(np.float32).max)],
    ]


def test_equal_rows_have_equal_keys_and_others_have_others() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(4, size=(3000, 6)).astype(float)
    cells = {tuple(row) for row in rows}
    assert len(set(row_keys(rows).tolist())) == len(cells)
    assert row_keys(np.array([[0.0, 1.0]])) == row_keys(np.array([[-0.0, 1.0]]))


def test_a_naive_bayes_of_one_value_keeps_it() -> None:
    assert (NaiveBayes().sample(np.full((40, 2), 3.25), 10, seed=0) == 3.25).all()


def test_unlabelled_rows_come_at_most_once_or_with_replacement() -> None:
    X, more = np.zeros((5, 1)), np.arange(30.0)[:, None]
    assert sorted(Unlabelled(more).sample(X, 30, seed=0).ravel()) == list(range(30))
    assert len(Unlabelled(more, replace=True).sample(X, 100, seed=0)) == 100
    with pytest.raises(InputError, match=re.escape("there are 30 unlabelled rows; ask for fewer")):
        Unlabelled(more).sample(X, 31, seed=0)
    with pytest.raises(InputError, match=r"there are 30 unlabelled rows \(.* held out\)"):
        Unlabelled(more).sample(X, 30, seed=0, exclude=more[:3])
    assert len(Unlabelled(more).sample(X, 27, seed=0, exclude=more[:3])) == 27


def test_unlabelled_rows_need_the_columns_and_levels_of_the_data() -> None:
    X = pd.DataFrame({"age": [20, 30], "job": ["clerk", "nurse"]})
    with pytest.raises(InputError, match=r"lack the column\(s\) \['job'\]"):
        Unlabelled(X[["age"]]).sample(X, 1, seed=0)
    with pytest.raises(InputError, match="column 'job' has no level 'smith'"):
        Unlabelled(X.assign(job="smith")).sample(X, 1, seed=0)


BAD = [
    (Munge, {"p": -0.1}, "p, the chance that an attribute is traded, must be from 0 to 1; got -0.1"),
    (Munge, {"p": 1.5}, "must be from 0 to 1; got 1.5"),
    (Munge, {"p": float("nan")}, "must be from 0 to 1; got nan"),
    (Munge, {"p": "half"}, "must be from 0 to 1; got 'half'"),
    (Munge, {"p": True}, "must be from 0 to 1; got True"),
    (Munge, {"s": 0}, "s, by which differences are divided, must be a number above 0; got 0"),
    (Munge, {"s": -5.0}, "must be a number above 0; got -5.0"),
    (Munge, {"s": float("inf")}, "must be a number above 0; got inf"),
    (Munge, {"s": None}, "must be a number above 0; got None"),
    (Munge, {"clip": "yes"}, "clip must be True or False; got 'yes'"),
    (NaiveBayes, {"components": 0}, "components must be a whole number >= 1; got 0"),
    (NaiveBayes, {"components": 2.5}, "components must be a whole number >= 1; got 2.5"),
    (NaiveBayes, {"most": None}, "most must be a whole number >= 1; got None"),
    (Shifted, {"stretch": 0.5}, "stretch must be a number of at least 1; got 0.5"),
    (Shifted, {"stretch": "wide"}, "stretch must be a number of at least 1; got 'wide'"),
    (Shifted, {"quantile": 99}, "quantile must be a number from 0 to 1; got 99"),
    (Unlabelled, {"rows": [[1.0]], "replace": 1}, "replace must be True or False; got 1"),
]


@pytest.mark.parametrize(("source", "arguments", "words"), BAD)
def test_refuses_bad_parameters(source: Any, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        source(**arguments)


@pytest.mark.parametrize("source", [Munge(), Marginals(), NaiveBayes()])
def test_more_rows_than_memory_holds_are_refused(source: Any) -> None:
    with pytest.raises(InputError, match=r"10000000000000 rows .* of 3 columns don't fit into memory"):
        source.sample(np.eye(3), 10**13, seed=0)


def test_more_components_than_rows_are_refused() -> None:
    with pytest.raises(InputError, match="components must be at most the number of rows, 3; got 4"):
        NaiveBayes(components=4).sample(np.eye(3), 5, seed=0)


def test_nothing_is_outside_where_every_combination_is_in_the_data() -> None:
    X = pd.DataFrame({"a": ["x", "y"] * 20, "b": ["u", "u", "v", "v"] * 10})
    with pytest.raises(InputError, match="no row outside the data's support could be made"):
        Shifted().sample(X, 10, seed=0)
    with pytest.raises(InputError, match="every column is constant"):
        Shifted().sample(np.ones((20, 3)), 10, seed=0)
