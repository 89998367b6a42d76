"""The greedy steps of ensemble selection: pure functions of the models' answers on the rows of selection.

Source
------
Caruana2004, section 2: selection with replacement (2.1), a start from the best models (2.2), bags of models (2.3).

Symbols
-------
P: the models' answers ``(L, n, k)``; Y: the truth ``(n, k)``, one 1 a row or values; shares: weights of the rows, with
the sum 1; v: how often each model was picked ``(L,)``.

Departures
----------
- A run keeps its best prefix, the start included: the `n_init` best models are added one by one, best first, so that a
  run is never worse than its best model on the rows of selection.
- A model is in a bag with the chance `bag_fraction` only. Where the mean of the bags scores worse than the best single
  model on the rows of selection (one model is the truth, or nearly), the run over the whole library is taken instead.
- Squared errors come from one matrix of products of the models' residuals, so that a step costs the square of the
  number of models, not the number of rows.

Checked
-------
tests/truth/test_ensemble_selection_truth.py: the steps are those of a plain loop that averages anew for each model; a
planted mixture's weights come back within 0.05; a model that is the truth gets all weight, and noise none.

Cost
----
"rmse": L^2 n k once and L^2 a step. "log_loss": L n a step; "accuracy": 2 L n k a step. Each step
takes all models at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

__all__ = ["METRICS", "Losses", "bagged_weights", "greedy_counts", "score"]

Losses: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""From how often each model was picked ``(L,)`` to the loss with each model picked once more ``(L,)``."""

SMALLEST = 1e-15
"""The least probability under a logarithm."""


def rmse_losses(P: np.ndarray, Y: np.ndarray, shares: np.ndarray) -> Losses:
    """Root mean square error over rows and columns.

    With residuals R of the models and G = R R', the squared error of a mean with counts v is v'Gv / (sum v)^2.
    """
    R = ((P - Y) * np.sqrt(shares / Y.shape[1])[:, None]).reshape(len(P), -1)
    G = R @ R.T

    def losses(v: np.ndarray) -> np.ndarray:
        Gv = G @ v
        return np.sqrt(np.maximum(v @ Gv + 2 * Gv + np.diag(G), 0.0)) / (v.sum() + 1)

    return losses


def log_losses(P: np.ndarray, Y: np.ndarray, shares: np.ndarray) -> Losses:
    """Minus the mean logarithm of the probability of the right class."""
    right = (P * Y).sum(axis=2)

    def losses(v: np.ndarray) -> np.ndarray:
        return -np.log(np.maximum((v @ right + right) / (v.sum() + 1), SMALLEST)) @ shares

    return losses


def error_losses(P: np.ndarray, Y: np.ndarray, shares: np.ndarray) -> Losses:
    """The share of rows whose most probable class is wrong."""
    truth = Y.argmax(axis=1)

    def losses(v: np.ndarray) -> np.ndarray:
        return ((np.tensordot(v, P, axes=1) + P).argmax(axis=2) != truth) @ shares

    return losses


METRICS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], Losses]] = {
    "rmse": rmse_losses,
    "log_loss": log_losses,
    "accuracy": error_losses,
}


def score(metric: str, answers: np.ndarray, Y: np.ndarray, shares: np.ndarray) -> float:
    """The metric of answers ``(n, k)`` as a person reads it: an error, or for accuracy the share that is right."""
    loss = float(METRICS[metric](answers[None], Y, shares)(np.zeros(1))[0])
    return 1.0 - loss if metric == "accuracy" else loss


def greedy_counts(losses: Losses, n_models: int, n_init: int, max_models: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each model is picked ``(L,)`` up to the best prefix, and the loss after every step.

    The first `n_init` picks are the best models, best first; each later one is the model, picked before or not, that
    lowers the loss most. Of equal ones the better single model is picked, then the earlier.
    """
    counts = np.zeros(n_models)
    order = np.argsort(losses(counts), kind="stable")
    picks: list[int] = []
    path: list[float] = []
    for step in range(max_models):
        after = losses(counts)
        pick = order[step] if step < min(n_init, n_models) else order[np.argmin(after[order])]
        counts[pick] += 1
        picks.append(int(pick))
        path.append(float(after[pick]))
    best = int(np.argmin(path))
    return np.bincount(picks[: best + 1], minlength=n_models).astype(np.float64), np.array(path)


def bagged_weights(
    P: np.ndarray,
    Y: np.ndarray,
    shares: np.ndarray,
    *,
    metric: str = "rmse",
    n_init: int = 5,
    n_bags: int = 20,
    bag_fraction: float = 0.5,
    max_models: int = 100,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The weight of each model ``(L,)``, summing to 1, and the losses of the run over the whole library.

    Parameters
    ----------
    P : array ``(L, n, k)``
        Each model's answers on the rows of selection.
    Y : array ``(n, k)``
        The truth: one 1 a row, or values.
    shares : array ``(n,)``
        Weights of the rows, summing to 1.
    metric, n_init, n_bags, bag_fraction, max_models
        As in `EnsembleSelection`.
    seed : int
        Of the bags.
    """
    n_models = len(P)
    whole = METRICS[metric](P, Y, shares)
    counts, path = greedy_counts(whole, n_models, n_init, max_models)
    alone = counts / counts.sum()
    size = max(1, int(np.ceil(bag_fraction * n_models)))
    if n_bags == 0 or size == n_models:
        return alone, path
    rng = np.random.default_rng(seed)
    weights = np.zeros(n_models)
    for _ in range(n_bags):
        bag = np.sort(rng.permutation(n_models)[:size])
        counts, _ = greedy_counts(METRICS[metric](P[bag], Y, shares), size, n_init, max_models)
        weights[bag] += counts / counts.sum() / n_bags
    loss = float(METRICS[metric](np.tensordot(weights, P, axes=1)[None], Y, shares)(np.zeros(1))[0])
    return (alone if loss > whole(np.zeros(n_models)).min() else weights), path
