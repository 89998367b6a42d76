"""Ensemble selection finds what is planted: the model that is the truth, a mixture's weights, and not the noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.dummy import DummyClassifier
from sklearn.tree import DecisionTreeClassifier

from limbeck.teachers import EnsembleSelection, EnsembleSelectionRegressor
from limbeck.teachers._ensemble_greedy import METRICS, bagged_weights, greedy_counts, score

N = 1500


def logistic(score: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-score))
    return np.column_stack([1 - p, p])


class Known(ClassifierMixin, BaseEstimator):
    """Probabilities of a logistic function that it is told, learning nothing."""

    def __init__(self, slopes: tuple[float, ...], scale: float = 1.0) -> None:
        self.slopes = slopes
        self.scale = scale

    def fit(self, X: Any, y: Any) -> Known:
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        return logistic(np.asarray(X) @ np.array(self.slopes) * self.scale)

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


class Noise(Known):
    """Probabilities that have nothing to do with the labels, the same for the same row."""

    def predict_proba(self, X: Any) -> np.ndarray:
        return logistic(3 * np.sin(1e4 * np.asarray(X) @ np.array(self.slopes)))


class KnownValues(RegressorMixin, BaseEstimator):
    def __init__(self, slopes: tuple[float, ...]) -> None:
        self.slopes = slopes

    def fit(self, X: Any, y: Any) -> KnownValues:
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(X @ np.array(self.slopes))


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    raw = np.random.default_rng(0).normal(size=(N, 2))
    return (raw - raw.mean(axis=0)) / raw.std(axis=0)


def plain(model: Any) -> Any:
    from sklearn.pipeline import make_pipeline

    return make_pipeline(model)


def by_loop(metric: str, P: np.ndarray, Y: np.ndarray, shares: np.ndarray, n_init: int, most: int) -> list[int]:
    """The greedy steps with an average made anew for each model."""

    def loss(picks: list[int]) -> float:
        mean = np.mean([P[i] for i in picks], axis=0)
        if metric == "rmse":
            return float(np.sqrt(sum(s * ((a - b) ** 2).mean() for s, a, b in zip(shares, mean, Y, strict=True))))
        if metric == "log_loss":
            return float(-sum(s * np.log(a[b.argmax()]) for s, a, b in zip(shares, mean, Y, strict=True)))
        return float(sum(s * (a.argmax() != b.argmax()) for s, a, b in zip(shares, mean, Y, strict=True)))

    order = sorted(range(len(P)), key=lambda i: loss([i]))
    picks: list[int] = []
    for step in range(most):
        if step < n_init:
            picks.append(order[step])
        else:
            losses = [round(loss([*picks, i]), 12) for i in order]
            picks.append(order[int(np.argmin(losses))])
    losses = [loss(picks[: i + 1]) for i in range(most)]
    return picks[: int(np.argmin(losses)) + 1]


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_steps_are_those_of_a_plain_loop(metric: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=61)
    Y = np.eye(3)[truth]
    P = np.stack([rng.dirichlet(np.ones(3), size=61) * 0.6 + 0.4 * Y * rng.uniform(size=(61, 1)) for _ in range(7)])
    P /= P.sum(axis=2, keepdims=True)
    shares = rng.uniform(0.5, 2.0, size=61)
    shares /= shares.sum()
    counts, path = greedy_counts(METRICS[metric](P, Y, shares), 7, 2, 12)
    picks = by_loop(metric, P, Y, shares, 2, 12)
    assert counts.tolist() == np.bincount(picks, minlength=7).tolist()
    chosen = np.tensordot(counts / counts.sum(), P, axes=1)
    found = score(metric, chosen, Y, shares)
    assert (1 - found if metric == "accuracy" else found) == pytest.approx(path.min())


@pytest.mark.parametrize("metric", ["rmse", "log_loss"])
def test_the_model_that_is_the_truth_gets_the_weight_and_noise_none(rows: np.ndarray, metric: str) -> None:
    truth = Known((4.0, -3.0))
    y = (np.random.default_rng(1).uniform(size=N) < truth.predict_proba(rows)[:, 1]).astype(int)
    library = [
        ("noise", plain(Noise((1.0, 2.0)))),
        ("half", plain(Known((4.0, 0.0)))),
        ("truth", plain(truth)),
        ("tree", plain(DecisionTreeClassifier(max_depth=1))),
        ("constant", plain(DummyClassifier(strategy="prior"))),
        ("wrong", plain(Known((-4.0, 3.0)))),
    ]
    model = EnsembleSelection(library, metric=metric, validation=0.6, random_state=0).fit(rows, y)  # type: ignore[arg-type]
    assert model.best_single_ == "truth"
    assert model.weights_["truth"] > 0.9
    assert not {"noise", "wrong"} & set(model.weights_)


def test_negative_control_without_the_truth_another_gets_the_weight(rows: np.ndarray) -> None:
    y = (np.random.default_rng(1).uniform(size=N) < logistic(rows @ [4.0, -3.0])[:, 1]).astype(int)
    library = [
        ("noise", plain(Noise((1.0, 2.0)))),
        ("half", plain(Known((4.0, 0.0)))),
        ("other", plain(Known((0.0, -3.0)))),
    ]
    model = EnsembleSelection(library, random_state=0, bag_fraction=1.0).fit(rows, y)
    assert model.weights_.get("noise", 0) < 0.05
    assert min(model.weights_["half"], model.weights_["other"]) > 0.2


@pytest.mark.parametrize("share", [0.7, 0.5, 0.1])
def test_a_planted_mixture_of_two_comes_back(rows: np.ndarray, share: float) -> None:
    first, second = KnownValues((2.0, 0.0)), KnownValues((-1.0, 3.0))
    noise = 0.1 * np.random.default_rng(2).normal(size=N)
    y = share * first.predict(rows) + (1 - share) * second.predict(rows) + noise
    library = [("first", plain(first)), ("second", plain(second)), ("third", plain(KnownValues((1.0, -5.0))))]
    model = EnsembleSelectionRegressor(library, bag_fraction=1.0, n_init=1, random_state=0).fit(rows, y)
    assert model.weights_.get("first", 0) == pytest.approx(share, abs=0.05)
    assert model.weights_.get("second", 0) == pytest.approx(1 - share, abs=0.05)
    assert model.validation_score_ < 0.2


def test_without_replacement_the_mixture_would_be_half_and_half(rows: np.ndarray) -> None:
    P = np.stack([rows @ [2.0, 0.0], rows @ [-1.0, 3.0]])[:, :, None]
    Y = np.tensordot([0.9, 0.1], P, axes=1)
    shares = np.full(N, 1 / N)
    once, _ = greedy_counts(METRICS["rmse"](P, Y, shares), 2, 2, 2)
    often, _ = greedy_counts(METRICS["rmse"](P, Y, shares), 2, 2, 100)
    assert abs(once[0] / once.sum() - 0.9) > 0.05
    assert often[0] / often.sum() == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("metric", list(METRICS))
@pytest.mark.parametrize("seed", range(8))
def test_never_worse_than_the_best_model_where_it_is_selected(metric: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, L = 80, int(rng.integers(1, 12))
    Y = np.eye(2)[rng.integers(2, size=n)]
    strength = rng.uniform(0, 0.9, size=L)
    P = np.stack([s * Y + (1 - s) * rng.dirichlet(np.ones(2), size=n) for s in strength])
    shares = np.full(n, 1 / n)
    weights, path = bagged_weights(P, Y, shares, metric=metric, n_init=int(rng.integers(1, 8)), seed=seed)
    alone = METRICS[metric](P, Y, shares)(np.zeros(L))
    mixed = METRICS[metric](np.tensordot(weights, P, axes=1)[None], Y, shares)(np.zeros(1))[0]
    assert weights.sum() == pytest.approx(1)
    assert mixed <= alone.min() + 1e-12
    assert path.min() <= alone.min() + 1e-12


def test_bags_share_the_weight_among_models_that_are_alike() -> None:
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(300, 1))
    P = np.stack([Y + rng.normal(size=Y.shape) for _ in range(12)])
    weights, _ = bagged_weights(P, Y, np.full(300, 1 / 300), seed=0)
    assert (weights > 0).all()
    assert weights.max() < 0.2
