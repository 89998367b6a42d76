"""The one network: its numbers are torch's, its seeds hold, weights weigh, and nothing global is touched."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.mlp import ACTIVATIONS, MLPWeights, fit_mlp, forward

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)) * [1.0, 100.0, 0.01, 1.0] + [0.0, 50.0, 0.0, -3.0]
Y = np.sin(X[:, 0]) + X[:, 1] / 100
NOISE = RNG.normal(size=200)
TIMES = RNG.integers(0, 4, size=200)
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 0] > 1)
QUICK: dict[str, Any] = {"hidden": (16,), "max_epochs": 30, "batch_size": 64}


def as_torch(network: MLPWeights) -> torch.nn.Module:
    acts = {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU, "tanh": torch.nn.Tanh}
    layers: list[torch.nn.Module] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        linear = torch.nn.Linear(*weight.shape, dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(weight.T), torch.tensor(bias)
        layers += [linear, acts[network.activation]()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_forward_is_torchs_own_answer(activation: str, task: Any) -> None:
    network = fit_mlp(X, Y if task == "regression" else LABELS, task=task, activation=activation, **QUICK)
    with torch.no_grad():
        own = as_torch(network)(torch.tensor(X))
    own = torch.softmax(own, 1) if task == "classification" else own
    np.testing.assert_allclose(forward(network, X), own.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(forward(network, X, batch_rows=7), own.numpy(), rtol=1e-10, atol=1e-12)


def test_a_straight_line_is_found_without_a_hidden_layer() -> None:
    network = fit_mlp(X, X @ [[1.0, 0], [0.5, -2], [0, 3], [-1, 1]] + [7, 8], task="regression", hidden=(), lr=0.05)
    np.testing.assert_allclose(network.weights[0][:, 0], [1.0, 0.5, 0.0, -1.0], atol=0.5)
    np.testing.assert_allclose(forward(network, X)[:, 1], -2 * X[:, 1] + 3 * X[:, 2] + X[:, 3] + 8, atol=3)
    assert (network.n_inputs, network.n_outputs) == (4, 2)


def test_the_best_epoch_is_kept() -> None:
    network = fit_mlp(X, NOISE, task="regression", hidden=(64,), max_epochs=200, patience=20, batch_size=16, seed=1)
    losses = [held for _, held in network.history]
    assert network.best_epoch == int(np.argmin(losses))
    assert network.stopped == "patience"
    assert len(losses) == network.best_epoch + 21


def test_the_weights_kept_are_those_of_the_best_epoch() -> None:
    held = (X[:50], Y[:50])
    whole = fit_mlp(X[50:], Y[50:], task="regression", validation=held, max_epochs=60, batch_size=32, dtype="float64")
    scale = Y[50:].std()
    loss = ((forward(whole, X[:50])[:, 0] - Y[:50]) ** 2).mean() / scale**2
    assert loss == pytest.approx(whole.history[whole.best_epoch][1], rel=1e-9)


def test_a_seed_gives_one_network_and_another_another() -> None:
    one, same, other = (fit_mlp(X, Y, task="regression", seed=seed, **QUICK) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.weights[0], same.weights[0])
    assert one.history == same.history
    assert not np.array_equal(one.weights[0], other.weights[0])


def test_global_states_are_untouched() -> None:
    torch.manual_seed(5)
    torch.set_num_threads(torch.get_num_threads())
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()  # noqa: NPY002
    with torch.no_grad():
        fit_mlp(X, Y, task="regression", **QUICK)
        assert not torch.is_grad_enabled()
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), torch.get_num_threads()  # noqa: NPY002
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_the_number_of_threads_is_put_back_after_an_error() -> None:
    def stop(what: str, done: int, total: int) -> None:
        raise RuntimeError("stopped by hand")

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="stopped by hand"):
        fit_mlp(X, Y, task="regression", progress=stop, **QUICK)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_whole_weights_are_repeated_rows() -> None:
    options: dict[str, Any] = {"validation": None, "batch_size": 10_000, "max_epochs": 40, "dtype": "float64"}
    weighted = fit_mlp(X, Y, task="regression", weights=TIMES, **options)
    repeated = fit_mlp(np.repeat(X, TIMES, 0), np.repeat(Y, TIMES), task="regression", **options)
    np.testing.assert_allclose(forward(weighted, X), forward(repeated, X), rtol=1e-6, atol=1e-6)


def test_labels_and_their_probabilities_train_alike() -> None:
    options: dict[str, Any] = {"hidden": (16,), "max_epochs": 150, "batch_size": 32, "task": "classification"}
    labels, soft = fit_mlp(X, LABELS, **options), fit_mlp(X, np.eye(3)[LABELS], **options)
    np.testing.assert_array_equal(labels.weights[0], soft.weights[0])
    assert (forward(labels, X).argmax(1) == LABELS).mean() > 0.9


def test_probabilities_are_learnt_not_only_labels() -> None:
    p = 1 / (1 + np.exp(-X[:, 0]))
    network = fit_mlp(X, np.column_stack([1 - p, p]), task="classification", hidden=(16,), max_epochs=150)
    assert np.abs(forward(network, X)[:, 1] - p).mean() < 0.05


def test_a_constant_column_and_a_constant_target_do_no_harm() -> None:
    flat = np.column_stack([X, np.full(200, 1e6)])
    network = fit_mlp(flat, np.full(200, 5.0), task="regression", hidden=(16,), batch_size=32)
    np.testing.assert_allclose(forward(network, flat), 5.0, atol=0.2)


def test_time_and_divergence_are_outcomes() -> None:
    assert fit_mlp(X, Y, task="regression", max_seconds=0.0, **QUICK).stopped == "time"
    with np.errstate(over="ignore"):
        wild = fit_mlp(X, Y, task="regression", lr=1e30, **QUICK)
    assert wild.stopped == "diverged"
    assert np.isfinite(forward(wild, X)).all()


def test_progress_is_told_and_ends_at_the_total() -> None:
    told: list[tuple[str, int, int]] = []
    options: dict[str, Any] = {"patience": 1, "hidden": (64,), "batch_size": 8, "max_epochs": 30}
    fit_mlp(X, NOISE, task="regression", progress=lambda *a: told.append(a), **options)
    assert told[0] == ("training a network", 1, 30)
    assert told[-1] == ("training a network", 30, 30)
    assert len(told) < 30


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(1, 3), st.sampled_from(sorted(ACTIVATIONS)), st.integers(0, 99))
def test_json_brings_back_every_number(depth: int, outputs: int, activation: str, seed: int) -> None:
    y = np.random.default_rng(seed).normal(size=(200, outputs))
    network = fit_mlp(X, y, task="regression", hidden=(5,) * depth, activation=activation, seed=seed, max_epochs=1)
    again = MLPWeights.from_dict(json.loads(json.dumps(network.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(forward(again, X), forward(network, X))
    assert again.history == network.history


BAD_SAVED: dict[str, tuple[dict[str, Any], str]] = {
    "no layers": ({"weights": [], "biases": []}, "must fit together"),
    "widths": ({"weights": [[[1.0, 2.0]], [[1.0]]], "biases": [[0.0, 0.0], [0.0]]}, "must fit together"),
    "bias": ({"weights": [[[1.0, 2.0]]], "biases": [[0.0]]}, "must fit together"),
    "text": ({"weights": [[["a"]]], "biases": [[0.0]]}, "weights, biases and history as numbers"),
    "ragged": ({"weights": [[[1.0], [1.0, 2.0]]], "biases": [[0.0]]}, "weights, biases and history as numbers"),
    "activation": ({"activation": "__import__"}, "activation must be one of"),
    "task": ({"task": "ranking"}, "task must be"),
    "a name": ({"activation": ["relu"]}, "activation must be one of"),
}


@pytest.mark.parametrize("case", BAD_SAVED)
def test_saved_networks_that_do_not_fit_are_refused(case: str) -> None:
    saved = fit_mlp(X, Y, task="regression", max_epochs=1, hidden=(2,)).to_dict()
    change, message = BAD_SAVED[case]
    with pytest.raises(InputError, match=message):
        MLPWeights.from_dict({**saved, **change})
    del saved["weights"]
    with pytest.raises(InputError, match="weights, biases and history as numbers; got 'weights'"):
        MLPWeights.from_dict(saved)


BAD_FITS: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "task": (X, Y, {"task": "ranking"}, "task must be 'regression' or 'classification'; got 'ranking'"),
    "rows": (X, Y[:9], {}, r"got \(200, 4\) and \(9,\)"),
    "one row": (X[:1], Y[:1], {}, "at least 2 rows"),
    "nan": (X, np.where(Y > 0, Y, np.nan), {}, "every number in X and Y must be finite"),
    "labels": (X, Y, {"task": "classification"}, "class indices must be integers from 0; got dtype float64"),
    "weights": (X, Y, {"weights": -np.ones(200)}, "weights must be one finite number >= 0 a row"),
    "no weight": (X, Y, {"weights": np.zeros(200)}, "not all 0"),
    "validation": (X, Y, {"validation": 1.5}, r"a fraction in \[0, 1\), a pair of arrays, or None; got 1.5"),
    "validation rows": (X, Y, {"validation": (X[:5, :2], Y[:5])}, "validation rows must be shaped as X and Y"),
    "activation": (X, Y, {"activation": "gelu"}, r"activation must be one of \['relu', 'silu', 'tanh'\]; got 'gelu'"),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_bad_training_inputs_are_told(case: str) -> None:
    x, y, options, message = BAD_FITS[case]
    with pytest.raises(InputError, match=message):
        fit_mlp(x, y, **{"task": "regression", **options})


def test_rows_of_another_width_are_refused() -> None:
    network = fit_mlp(X, Y, task="regression", max_epochs=1)
    with pytest.raises(InputError, match=r"takes rows of shape \(n, 4\); got shape \(200, 3\)"):
        forward(network, X[:, :3])
