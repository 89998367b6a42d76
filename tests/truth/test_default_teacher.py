"""The default network finds what is there, finds nothing where there is nothing, and comes back from JSON unchanged."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from limbeck import datasets
from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.teachers import as_teacher
from limbeck.training import DefaultClassifier, DefaultRegressor, train_default

RNG = np.random.default_rng(0)


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def mixed(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of numbers and levels, and the probability of "yes", which turns round between the levels."""
    rng = np.random.default_rng(seed)
    job = rng.choice(["clerk", "nurse", "smith"], n)
    frame = pd.DataFrame({"age": rng.integers(18, 80, n), "job": job, "income": rng.lognormal(3, 1.5, n)})
    slope = np.select([job == "clerk", job == "nurse"], [3.0, -3.0], 0.0)
    return frame, 1 / (1 + np.exp(-slope * (np.log(frame["income"]) - 3)))


@pytest.fixture(scope="module")
def concrete() -> tuple[np.ndarray, np.ndarray]:
    rows = datasets.load("concrete").frame.to_numpy(dtype=float)
    return rows[:, :-1], rows[:, -1]


@pytest.mark.parametrize("seed", [0, 1])
def test_concrete_is_learnt(seed: int, concrete: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = concrete
    order = np.random.default_rng(seed).permutation(len(X))
    train, held = order[258:], order[:258]
    network = train_default(X[train], y[train], random_state=seed)
    assert isinstance(network, DefaultRegressor)
    assert r2(y[held], network.predict(X[held])) >= 0.88


def test_negative_control_a_straight_line_does_not_reach_it(concrete: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = np.column_stack([np.ones(1030), concrete[0]]), concrete[1]
    order = np.random.default_rng(0).permutation(len(X))
    train, held = order[258:], order[:258]
    assert r2(y[held], X[held] @ np.linalg.lstsq(X[train], y[train], rcond=None)[0]) < 0.7


def test_an_interaction_of_levels_and_numbers_is_learnt_as_probabilities() -> None:
    frame, p = mixed(4000)
    y = np.where(np.random.default_rng(1).uniform(size=4000) < p, "yes", "no")
    network = train_default(frame, y, random_state=0)
    assert isinstance(network, DefaultClassifier)
    assert network.classes == ("no", "yes")
    fresh, true = mixed(2000, seed=2)
    assert np.abs(network.predict_proba(fresh)[:, 1] - true).mean() < 0.05
    clear = np.abs(true - 0.5) > 0.1
    assert ((network.predict(fresh) == "yes") == (true > 0.5))[clear].mean() > 0.95


def test_nothing_is_found_in_noise() -> None:
    X, y = RNG.normal(size=(600, 5)), RNG.normal(size=600)
    network = train_default(X[:400], y[:400], random_state=0)
    assert r2(y[400:], network.predict(X[400:])) < 0.05


def test_several_targets_of_different_scales_are_learnt_together() -> None:
    X = RNG.uniform(-1, 1, size=(1500, 3))
    Y = np.column_stack([np.sin(3 * X[:, 0]), 1e4 * X[:, 1] * X[:, 2]])
    predicted = train_default(X[:1000], Y[:1000], random_state=0).predict(X[1000:])
    assert min(r2(Y[1000:, k], predicted[:, k]) for k in range(2)) > 0.97


def test_a_skewed_column_is_read_on_a_logarithmic_scale_and_others_are_not() -> None:
    X = np.column_stack([RNG.lognormal(0, 2, 400), RNG.normal(size=400), RNG.integers(0, 2, 400)])
    network = train_default(X, np.log(X[:, 0]), random_state=0)
    assert [scale > 0 for scale in network.logs] == [True, False, False]
    assert np.isfinite(network.predict(np.array([[-5.0, 0.0, 0.0]]))).all()


def trained(task: str) -> tuple[Any, pd.DataFrame]:
    frame, p = mixed(300)
    y = p if task == "regression" else np.where(p > 0.5, "yes", "no")
    return train_default(frame, y, random_state=0), frame


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_json_brings_back_every_number(task: str) -> None:
    network, frame = trained(task)
    again = type(network).from_dict(json.loads(json.dumps(network.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.predict(frame), network.predict(frame))
    assert again.schema == network.schema


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_the_torch_module_gives_the_same_answers(task: str) -> None:
    network, frame = trained(task)
    with torch.no_grad():
        own = network.module()(torch.tensor(network.prepare(frame)))
    own = torch.softmax(own, 1) if task == "classification" else own
    ours = network.predict_proba(frame) if task == "classification" else network.predict(frame)[:, None]
    np.testing.assert_allclose(ours, own.numpy(), rtol=1e-9)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_it_is_a_teacher_of_tables_and_frames(task: str) -> None:
    network, frame = trained(task)
    teacher = as_teacher(network, rows=frame)
    assert teacher.task == task
    np.testing.assert_array_equal(teacher(Table.read(frame)), teacher(frame))


def test_the_same_seed_gives_the_same_network_and_global_states_stay() -> None:
    frame, p = mixed(100)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    one, same, other = (train_default(frame, p, random_state=seed).predict(frame) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_that_no_row_has_keep_their_column() -> None:
    frame, p = mixed(100)
    network = train_default(frame, np.where(p > 0.5, 2, 0), classes=[0, 1, 2], random_state=0)
    assert network.predict_proba(frame).shape == (100, 3)
    assert set(network.predict(frame)) <= {0, 2}


ROWS = RNG.normal(size=(50, 2))
BAD: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "few rows": (ROWS[:5], ROWS[:5, 0], {}, "at least 20 rows are required to train a network; got 5"),
    "lengths": (ROWS, ROWS[:9, 0], {}, r"one value for each of the 50 rows; got shape \(9,\)"),
    "missing": (
        ROWS,
        np.where(ROWS[:, 0] > 0, np.nan, 1.0),
        {},
        r"y has \d+ missing or infinite value\(s\) in 50 rows",
    ),
    "missing label": (ROWS, ["a", None] * 25, {}, r"y has 25 missing or infinite value\(s\) in 50 rows"),
    "text": (ROWS, ["a", "b"] * 25, {"task": "regression"}, "regression needs numbers in y; got text such as 'a'"),
    "one class": (ROWS, ["a"] * 50, {}, r"at least two classes in y; got only \['a'\]"),
    "an unknown label": (ROWS, ["a", "b"] * 25, {"classes": ["a", "c"]}, r"y holds labels that classes lacks: \['b'\]"),
    "task": (ROWS, ROWS[:, 0], {"task": "rank"}, "task must be 'regression', 'classification' or None; got 'rank'"),
    "two labels a row": (ROWS, ROWS > 0, {"task": "classification"}, r"one label a row; got y of shape \(50, 2\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs_are_told(case: str) -> None:
    rows, y, options, message = BAD[case]
    with pytest.raises(InputError, match=message):
        train_default(rows, y, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "tree"}, "has the kind 'default_network'; got 'tree'"),
        ({"classes": ["a"]}, "needs as many classes"),
        ({"logs": [0.0]}, "must fit its columns and its task"),
    ],
)
def test_saved_networks_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    saved = trained("classification")[0].to_dict()
    with pytest.raises(InputError, match=message):
        DefaultClassifier.from_dict({**saved, **change})
    with pytest.raises(InputError, match="must fit its columns and its task"):
        DefaultRegressor.from_dict(saved)
