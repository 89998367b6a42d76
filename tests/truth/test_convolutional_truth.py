"""The network for signals finds a bump wherever it stands; the dense network and shuffled labels are the controls."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from limbeck import as_teacher, distill
from limbeck._core.errors import InputError
from limbeck._core.signals import is_signal
from limbeck._core.tables import Column, Schema, Table
from limbeck.training import ConvolutionalClassifier, train_convolutional, train_default

N, POINTS = 160, 32


def bumps(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bump up or down, anywhere: which of the two no point tells, but the shape does."""
    generator = np.random.default_rng(seed)
    up = generator.integers(2, size=n)
    X = generator.normal(0, 0.3, size=(n, POINTS))
    shape = np.array([0.5, 1.0, -1.0, -0.5])
    for i, place in enumerate(generator.integers(2, POINTS - 6, size=n)):
        X[i, place : place + 4] += 2.0 * (shape if up[i] else -shape)
    return X, np.where(up == 1, "up", "down")


@pytest.fixture(scope="module")
def model() -> ConvolutionalClassifier:
    found = train_convolutional(*bumps(0), random_state=0)
    assert isinstance(found, ConvolutionalClassifier)
    return found


def right(network: object, seed: int = 1) -> float:
    X, y = bumps(seed, 400)
    return float(np.mean(network.predict(X) == y))  # type: ignore[attr-defined]


def test_a_shape_is_found_wherever_it_stands(model: ConvolutionalClassifier) -> None:
    assert right(model) > 0.95
    assert right(train_default(*bumps(0), random_state=0)) < 0.85


def test_shuffled_labels_are_not_learnt() -> None:
    X, y = bumps(0)
    wrong = train_convolutional(X, np.random.default_rng(2).permutation(y), random_state=0)
    assert right(wrong) < 0.7


def test_its_module_gives_the_scores_of_its_probabilities(model: ConvolutionalClassifier) -> None:
    X = bumps(3)[0]
    teacher = as_teacher(model, rows=X)
    with torch.no_grad():
        scores = teacher.source.module()(torch.tensor(X))
    np.testing.assert_allclose(teacher(X), torch.softmax(scores, dim=1).numpy(), atol=1e-12)


def test_a_seed_gives_the_same_network_and_a_quantity_its_own_unit(model: ConvolutionalClassifier) -> None:
    X, y = bumps(0)
    again = train_convolutional(X, y, random_state=0)
    assert np.array_equal(again.predict_proba(X), model.predict_proba(X))  # type: ignore[union-attr]
    Y = 1e4 + 300.0 * np.column_stack([X[:, :8].sum(axis=1), X[:, 20]])
    values = train_convolutional(X, Y, "regression", random_state=0).predict(X)
    gap = ((values - Y) ** 2).mean(axis=0) / Y.var(axis=0)
    assert (gap < 0.3).all()


def test_which_columns_are_a_signal() -> None:
    def named(names: list[str]) -> Schema:
        return Schema(tuple(Column(name) for name in names))

    assert is_signal(named([f"t{i}" for i in range(8)]))
    assert not is_signal(named([f"t{i}" for i in range(7)]))
    assert not is_signal(named([f"t{i}" for i in reversed(range(8))]))
    assert not is_signal(Schema((*named([f"t{i}" for i in range(8)]).columns, Column("job", "nominal", ("a", "b")))))


@pytest.mark.parametrize(
    ("options", "name", "note"),
    [({}, "the convolutional network", "a convolutional"), ({"network": "dense"}, "the default network", "a default")],
)
def test_distilling_a_signal_trains_the_network_for_signals(options: dict[str, str], name: str, note: str) -> None:
    X, y = bumps(0, 60)
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(POINTS)])
    result = distill(None, frame, y, students=["tree"], checks=(), n_queries=0, random_state=0, **options)
    assert result.run["teacher"]["name"] == name
    assert f"no teacher was given: {note} network was trained on the training rows" in result.run["notes"]


def test_what_can_not_be_trained_is_refused() -> None:
    X, y = bumps(0, 40)
    with pytest.raises(InputError, match=r"needs a signal: at least 4 columns of numbers.* got 3 columns, 0 of them"):
        train_convolutional(X[:, :3], y)
    jobs = Table.read(pd.DataFrame(X[:, :4]).rename(columns=str).assign(job=y))
    with pytest.raises(InputError, match="got 5 columns, 1 of them with levels"):
        train_convolutional(jobs, y)
    with pytest.raises(InputError, match="at least 20 rows are required to train a network; got 19"):
        train_convolutional(X[:19], y[:19])
    with pytest.raises(InputError, match=r"network must be 'dense' or 'convolutional'; got 'convolution'.* mean"):
        distill(None, X, y, network="convolution")
    with pytest.raises(InputError, match="network='dense' says which network is trained, but a teacher is given"):
        distill(lambda X: X[:, 0], X, y, network="dense")
