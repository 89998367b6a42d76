"""The sources against what they should be: a plain loop of MUNGE's pseudo-code, planted mixtures, planted support."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from limbeck._core.tables import Table
from limbeck.queries import Marginals, Munge, NaiveBayes, Shifted, stream
from limbeck.queries._munge import Rounds, munge_passes
from limbeck.queries._naive_bayes import _Scaling, choose_mixture, fit_mixture
from limbeck.queries._neighbours import Space, nearest_other

NOT_BY_CHANCE = 1e-4
"""A p-value below this, over all tests of one pair of samples (Bonferroni), says that two samples differ."""


def plain_munge(
    table: Table, passes: int, p: float, s: float, rng: np.random.Generator, partners: np.ndarray | None = None
) -> np.ndarray:
    """The pseudo-code as printed, one row after another: copies of the table ``(passes * n, d)``.

    Partners are sought in the copy that is being edited, or are those given.
    """
    nominal = [table.schema.has_levels(a) for a in range(len(table.schema))]
    span = np.ptp(table.values, axis=0)
    out = []
    for _ in range(passes):
        copy = table.values.copy()
        for e in range(len(copy)):
            partner = closest_other(copy, e, nominal, span) if partners is None else partners[e]
            for a in range(copy.shape[1]):
                if rng.random() >= p:
                    continue
                old_e, old_partner = copy[e, a], copy[partner, a]
                if nominal[a]:
                    copy[e, a], copy[partner, a] = old_partner, old_e
                else:
                    sd = abs(old_e - old_partner) / s
                    copy[e, a], copy[partner, a] = rng.normal(old_partner, sd), rng.normal(old_e, sd)
        out.append(copy)
    return np.vstack(out)


def closest_other(rows: np.ndarray, e: int, nominal: list[bool], span: np.ndarray) -> int:
    best, partner = np.inf, -1
    for other in range(len(rows)):
        square = hamming = 0.0
        for a in range(rows.shape[1]):
            if nominal[a]:
                hamming += rows[e, a] != rows[other, a]
            else:
                square += ((rows[e, a] - rows[other, a]) / span[a]) ** 2
        distance = square**0.5 + hamming
        if other != e and distance < best:
            best, partner = distance, other
    return partner


def mixed_world(n: int, seed: int) -> Table:
    """Two clusters that differ in every column, numbers that hang together, and text that goes with the cluster."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(2, size=n)
    a = rng.normal(3 * cluster, 1)
    frame = pd.DataFrame(
        {
            "a": a,
            "b": a + 0.3 * rng.normal(size=n),
            "c": rng.exponential(size=n) * (1 + cluster),
            "t": np.where(rng.random(n) < 0.9, cluster, 1 - cluster).astype(str),
            "u": rng.integers(3, size=n).astype(str),
        }
    )
    return Table.read(frame)


def least_p(A: Table, B: Table) -> tuple[float, float]:
    """The least p-value over columns, and over pairs of columns, times the number of tests."""
    columns, pairs = [], []
    d = len(A.schema)
    scale = A.values.std(axis=0)
    X, Y = A.values / scale, B.values / scale
    text = [A.schema.has_levels(j) for j in range(d)]
    for i in range(d):
        columns.append(chi2(X[:, i], Y[:, i]) if text[i] else ks_2samp(X[:, i], Y[:, i], method="asymp").pvalue)
        for j in range(i):
            if text[i] and text[j]:
                pairs.append(chi2(X[:, i] * 100 + X[:, j], Y[:, i] * 100 + Y[:, j]))
            elif text[i] or text[j]:
                of, by = (j, i) if text[i] else (i, j)
                for level in np.unique(X[:, by]):
                    in_x, in_y = X[X[:, by] == level, of], Y[Y[:, by] == level, of]
                    pairs.append(ks_2samp(in_x, in_y, method="asymp").pvalue)
            else:
                for sign in (1, -1):
                    pairs.append(ks_2samp(X[:, i] + sign * X[:, j], Y[:, i] + sign * Y[:, j], method="asymp").pvalue)
    return min(columns) * len(columns), min(pairs) * len(pairs)


def chi2(x: np.ndarray, y: np.ndarray) -> float:
    cells = np.unique(np.concatenate([x, y]))
    counts = np.array([[(sample == cell).sum() for cell in cells] for sample in (x, y)])
    return float(chi2_contingency(counts).pvalue)


@pytest.fixture(scope="module")
def world() -> Table:
    return mixed_world(150, 0)


@pytest.fixture(scope="module")
def printed(world: Table) -> Table:
    return world.with_values(plain_munge(world, 8, 0.5, 5.0, np.random.default_rng(1)))


def test_munge_has_the_distribution_of_the_printed_loop(world: Table, printed: Table) -> None:
    columns, pairs = least_p(printed, Munge(p=0.5, s=5.0).sample(world, len(printed), seed=2))
    assert columns > NOT_BY_CHANCE
    assert pairs > NOT_BY_CHANCE


def test_a_stream_has_the_distribution_of_the_printed_loop_and_a_wrong_stream_has_not(
    world: Table, printed: Table
) -> None:
    def streamed(source: Munge, batch_rows: int) -> float:
        batches = stream(source, world, len(printed), seed=2, batch_rows=batch_rows)
        return min(least_p(printed, world.with_values(np.concatenate([batch.values for batch in batches]))))

    assert streamed(Munge(p=0.5, s=5.0), 40) > NOT_BY_CHANCE  # less than the 150 rows of a pass
    assert streamed(Munge(p=0.5, s=5.0), 333) > NOT_BY_CHANCE
    assert streamed(Munge(p=0.5, s=0.4), 333) < NOT_BY_CHANCE


@pytest.mark.parametrize("wrong", [Marginals(), Munge(p=0.5, s=0.4)], ids=["independent columns", "other s"])
def test_a_wrong_source_is_told_from_the_printed_loop(world: Table, printed: Table, wrong: Marginals | Munge) -> None:
    assert min(least_p(printed, wrong.sample(world, len(printed), seed=2))) < NOT_BY_CHANCE


def test_munge_equals_the_loop_where_nothing_is_left_to_chance(world: Table) -> None:
    rows = Munge(p=1.0, s=1e300).sample(world, len(world), seed=7)
    rng = np.random.default_rng(7)  # the same seed: the same order of visits, and the same ties
    visits = rng.permutation(len(world))
    partner = nearest_other(Space.of(world), world.values[visits], rng.spawn(1)[0])[0]
    copy = world.values[visits].copy()
    for e, other in enumerate(partner):
        copy[[e, other]] = copy[[other, e]]
    np.testing.assert_array_equal(rows.values, copy)
    assert (rows.values != world.values[visits]).any()


@pytest.mark.parametrize(("p", "s"), [(0.5, 5.0), (0.2, 1.0), (0.9, 2.0)])
def test_each_row_moves_as_the_loop_moves_it(world: Table, p: float, s: float) -> None:
    n, passes = len(world), 60
    partners = (np.arange(n) + np.random.default_rng(0).integers(1, n, size=n)) % n  # any: near ones share their levels
    by_loop = plain_munge(world, passes, p, s, np.random.default_rng(1), partners).reshape(passes, n, -1)
    rate = np.array([0.0 if world.schema.has_levels(j) else 1 / s for j in range(len(world.schema))])

    def moved(p: float, rate: np.ndarray) -> float:
        rounds = Rounds.of(np.arange(n), partners)
        ours = munge_passes(world.values, rounds, passes, p, rate, np.random.default_rng(2)).transpose(1, 0, 2)
        return least_moves(world, partners, by_loop, ours)

    assert moved(p, rate) > NOT_BY_CHANCE
    assert moved(p * 0.8, rate) < NOT_BY_CHANCE
    assert moved(p, rate * 2.0) < NOT_BY_CHANCE


def least_moves(table: Table, partners: np.ndarray, A: np.ndarray, B: np.ndarray) -> float:
    """The least p-value, times their number, of tests on how far each value moved, in differences to its partner's."""
    gap = table.values[partners] - table.values
    tests = []
    for j in range(len(table.schema)):
        differs = gap[:, j] != 0
        a, b = (((rows - table.values)[:, :, j] / np.where(differs, gap[:, j], 1.0)) for rows in (A, B))
        still = [[(x[:, differs] == 0).sum(), (x[:, differs] != 0).sum()] for x in (a, b)]
        tests.append(chi2_contingency(np.array(still)).pvalue)
        if not table.schema.has_levels(j):
            a, b = (x[:, differs][x[:, differs] != 0] for x in (a, b))
            tests.append(ks_2samp(a, b, method="asymp").pvalue)
    return min(tests) * len(tests)


def test_munge_rows_are_near_the_data_and_independent_columns_are_not(world: Table) -> None:
    space = Space.of(world)

    def distance(rows: Table) -> float:
        D = ((space.scaled(rows.values)[:, None] - space.scaled(world.values)[None]) ** 2).sum(axis=2) ** 0.5
        return float(np.median(D.min(axis=1)))

    near, far = (distance(source.sample(world, 600, seed=0)) for source in (Munge(), Marginals()))
    assert near < 0.6 * far


def test_marginals_keep_columns_and_lose_what_binds_them(world: Table) -> None:
    rows = Marginals().sample(world, 4000, seed=0)
    columns, pairs = least_p(world, rows)
    assert columns > NOT_BY_CHANCE
    assert pairs < NOT_BY_CHANCE
    assert abs(np.corrcoef(rows.values[:, 0], rows.values[:, 1])[0, 1]) < 0.06
    assert np.corrcoef(world.values[:, 0], world.values[:, 1])[0, 1] > 0.9


def test_naive_bayes_finds_planted_clusters_and_samples_them() -> None:
    rng = np.random.default_rng(0)
    cluster = rng.integers(3, size=900)
    centre = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    numbers = centre[cluster] + rng.normal(size=(900, 2))
    names = np.array(["red", "green", "blue"], dtype=object)
    text = np.where(rng.random(900) < 0.8, names[cluster], names[rng.integers(3, size=900)])
    table = Table.read(pd.DataFrame({"x": numbers[:, 0], "y": numbers[:, 1], "colour": text}))
    scaling = _Scaling.of(table)
    mixture = choose_mixture(scaling.data(table), 64, np.random.default_rng(1))
    assert len(mixture.weights) == 4  # doubled until the three are found; two of the four share one
    found = scaling.centre + scaling.scale * mixture.mean
    for place in centre:
        assert np.abs(found - place).max(axis=1).min() < 0.5
    rows = NaiveBayes().sample(table, 3000, seed=2)
    columns, pairs = least_p(table, rows)
    assert columns > NOT_BY_CHANCE
    assert pairs > NOT_BY_CHANCE
    assert min(least_p(table, NaiveBayes(components=1).sample(table, 3000, seed=2))) < NOT_BY_CHANCE


def test_the_likelihood_of_a_mixture_never_falls(world: Table) -> None:
    data = _Scaling.of(world).data(world)
    for seed in range(5):
        history = fit_mixture(data, 8, np.random.default_rng(seed)).history
        assert len(history) > 3
        assert (np.diff(history) > -1e-2).all()  # smoothing and floors may cost a little
        assert history[-1] > history[0]


def test_one_component_is_chosen_where_there_is_one() -> None:
    table = Table.read(np.random.default_rng(0).normal(size=(600, 4)))
    mixture = choose_mixture(_Scaling.of(table).data(table), 64, np.random.default_rng(1))
    assert len(mixture.weights) == 1
    assert mixture.converged
    np.testing.assert_allclose(mixture.variance, 1.0, atol=1e-6)


@pytest.mark.parametrize("quantile", [0.5, 0.99])
def test_shifted_rows_are_outside_and_rows_like_the_data_are_not(world: Table, quantile: float) -> None:
    Z = world.values
    span = np.ptp(Z, axis=0)

    def distances(rows: np.ndarray) -> np.ndarray:
        numbers = (((rows[:, None, :3] - Z[None, :, :3]) / span[:3]) ** 2).sum(axis=2) ** 0.5
        return numbers + (rows[:, None, 3:] != Z[None, :, 3:]).sum(axis=2)

    within = distances(Z)
    within[np.arange(len(Z)), np.arange(len(Z))] = np.inf
    threshold = np.quantile(within.min(axis=1), quantile)
    rows = Shifted(quantile=quantile).sample(world, 300, seed=0)
    assert (distances(rows.values).min(axis=1) > threshold).all()
    fresh = mixed_world(500, 9)
    assert (distances(fresh.values).min(axis=1) > threshold).mean() < 0.7
    assert (distances(fresh.values).min(axis=1) > np.quantile(within.min(axis=1), 0.99)).mean() < 0.1


def test_shifted_rows_widen_ranges_but_keep_columns_without_negative_values_so() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.exponential(size=3000), rng.normal(size=3000)])
    rows = Shifted().sample(X, 500, seed=0)
    assert rows[:, 0].min() >= 0
    assert rows[:, 1].min() < X[:, 1].min()
    assert rows.max() > X.max()
