"""Network students: what is frozen is what was trained; rounding, constants, weights, arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.readable import Layer, NetworkReadable
from limbeck.students import NetworkClassifier, NetworkRegressor
from limbeck.students import _network_fit as network_module
from limbeck.students._network_precision import rounded

SMALL: dict[str, Any] = {"hidden_layer_sizes": (8,), "max_epochs": 40, "random_state": 0}


def bowl(seed: int = 0, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    X = np.random.default_rng(seed).normal(size=(n, 3))
    return X, X[:, 0] ** 2 + X[:, 1]


def test_the_frozen_network_is_the_trained_one(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    real = network_module.fit_mlp

    def watched(*args: Any, **given: Any) -> Any:
        trained.append(real(*args, **given))
        return trained[-1]

    monkeypatch.setattr(network_module, "fit_mlp", watched)
    X, y = bowl()
    model = NetworkRegressor(**SMALL).fit(X, y)
    from limbeck._core.mlp import forward

    expected = forward(trained[0], X)[:, 0]
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-5 * y.std())
    assert not np.array_equal(model.readable_.layers[0].weight, trained[0].weights[0])


def test_weights_are_in_single_precision() -> None:
    X, y = bowl()
    layers = NetworkRegressor(**SMALL).fit(X, y).readable_.layers
    numbers = np.concatenate([part.ravel() for layer in layers for part in (layer.weight, layer.bias)])
    assert np.array_equal(numbers.astype(np.float32), numbers)


def test_digits_are_kept_where_rounding_would_move_the_outputs() -> None:
    """A column far from 0: rounding its weight moves the sum, so more digits are kept."""
    X, y = bowl()
    far = X + np.array([1e9, 0.0, 0.0])
    model = NetworkRegressor(**SMALL).fit(far, y)
    weight = model.readable_.layers[0].weight
    assert not np.array_equal(weight.astype(np.float32), weight)
    assert model.score(far, y) > 0.8


def test_the_scale_of_the_columns_and_of_the_target_does_not_matter() -> None:
    X, y = bowl()
    plain = NetworkRegressor(**SMALL).fit(X, y)
    scaled = NetworkRegressor(**SMALL).fit(X * [1e6, 1e-6, 1.0], 1e5 * y + 1e4)
    assert scaled.score(X * [1e6, 1e-6, 1.0], 1e5 * y + 1e4) == pytest.approx(plain.score(X, y), abs=0.02)


def test_levels_without_rows_and_constant_columns_have_no_weight() -> None:
    rng = np.random.default_rng(0)
    job = pd.Categorical(rng.choice(["a", "b"], size=200), categories=["a", "b", "never"])
    X = pd.DataFrame({"job": job, "flat": np.full(200, 3.0), "x": rng.normal(size=200)})
    readable = NetworkRegressor(**SMALL).fit(X, (X["job"] == "a") + X["x"]).readable_
    named = {readable.input_text(i): readable.layers[0].weight[i] for i in range(5)}
    assert not named["[job = 'never']"].any()
    assert not named["flat"].any()
    assert named["[job = 'a']"].any()
    assert readable.features_used == ("job", "x")


def test_order_and_repetition_do_not_matter() -> None:
    X, y = bowl(n=150)
    weights = np.random.default_rng(0).integers(0, 4, size=150)
    weighted = NetworkRegressor(**SMALL).fit(X, y, sample_weight=weights).readable_
    order = np.random.default_rng(1).permutation(int(weights.sum()))
    repeated = NetworkRegressor(**SMALL).fit(X.repeat(weights, axis=0)[order], y.repeat(weights)[order]).readable_
    assert weighted == repeated


def test_without_hidden_layers_it_is_a_linear_model() -> None:
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = NetworkRegressor((), max_epochs=80, random_state=0).fit(X, 3 * X[:, 0] - 2 * X[:, 1] + 1)
    (layer,) = model.readable_.layers
    np.testing.assert_allclose([*layer.weight[:, 0], *layer.bias], [3, -2, 1], atol=0.02)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_both_activations_learn(activation: str) -> None:
    X, y = bowl()
    model = NetworkRegressor((16,), activation, max_epochs=80, random_state=0).fit(X, y)
    assert model.readable_.activation == activation
    assert model.score(*bowl(seed=1)) > 0.9
    classifier = NetworkClassifier((16,), activation, max_epochs=40, random_state=0).fit(X, y > 1)
    assert classifier.score(X, y > 1) > 0.93


def test_one_number_names_one_hidden_layer_and_more_are_taken() -> None:
    X, y = bowl(n=60)
    shapes = [
        [layer.weight.shape for layer in NetworkRegressor(sizes, max_epochs=2).fit(X, y).readable_.layers]
        for sizes in (5, (5,), (4, 3))
    ]
    assert shapes == [[(3, 5), (5, 1)], [(3, 5), (5, 1)], [(3, 4), (4, 3), (3, 1)]]


def test_the_loss_is_told_pass_by_pass() -> None:
    X, y = bowl()
    model = NetworkRegressor(**SMALL).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) <= 40
    assert min(model.loss_curve_) < 0.5 * model.loss_curve_[0]


def test_equal_rows_are_learnt() -> None:
    model = NetworkRegressor(**SMALL).fit(np.ones((4, 3)), np.full(4, 2.0))
    assert model.predict(np.ones((1, 3)))[0] == pytest.approx(2.0, abs=0.2)
    with pytest.raises(InputError, match="at least 2 rows to train on; got n_samples = 1"):
        NetworkRegressor(**SMALL).fit(np.ones((1, 3)), np.ones(1))


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (
            {"hidden_layer_sizes": (0,)},
            r"hidden_layer_sizes must be whole numbers of at least 1, or .auto.; got \(0,\)",
        ),
        ({"hidden_layer_sizes": "wide"}, "hidden_layer_sizes must be whole numbers of at least 1, or 'auto'"),
        ({"hidden_layer_sizes": None}, "hidden_layer_sizes must be whole numbers"),
        ({"activation": "reluu"}, r"activation must be one of \['relu', 'tanh'\].*Did you mean 'relu'\?"),
        ({"max_epochs": 0}, "max_epochs must be a whole number of at least 1; got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number above 0"),
        ({"weight_decay": -1.0}, "weight_decay must be a number of at least 0"),
    ],
)
def test_bad_arguments(given: dict[str, Any], match: str) -> None:
    X, y = bowl(n=30)
    with pytest.raises(InputError, match=match):
        NetworkRegressor(**given).fit(X, y)
    with pytest.raises(InputError, match=match):
        NetworkClassifier(**given).fit(X, y > 1)


def test_rounding_gives_up_where_no_number_of_digits_is_enough() -> None:
    """Two weights that cancel to the last digit: the network is left as it is."""
    layer = Layer(np.array([[1e13 / 3], [1.0 - 1e13 / 3]]), np.zeros(1))
    schema = Table.read(np.ones((2, 2))).schema
    exact = NetworkReadable(schema, "regression", ("y",), ((0, -1), (1, -1)), (layer,))
    Z = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    assert rounded(exact, Z) is exact
    plain = NetworkReadable(schema, "regression", ("y",), exact.inputs, (Layer(layer.weight * [[1], [0]], layer.bias),))
    assert rounded(plain, Z).layers[0].weight[0, 0] == np.float32(1e13 / 3)


def test_the_expected_time_grows_with_the_work() -> None:
    small, wide = NetworkRegressor(), NetworkClassifier((256, 256))
    assert 0 < small.expected_seconds(1_000, 8, 1) < small.expected_seconds(100_000, 8, 1)
    assert small.expected_seconds(10_000, 8, 1) < wide.expected_seconds(10_000, 8, 1)
