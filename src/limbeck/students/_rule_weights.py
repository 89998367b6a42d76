"""Weights of rules: chosen by a lasso over groups, thinned out one by one, fitted again without shrinkage.

Source
------
Friedman2008 for the lasso over rules; Yuan2006 for groups (what a rule adds to all scores); Bohning1992 for the bound
on the curvature of logistic and softmax losses, with which one Gram matrix serves the whole path; Hassibi1993 for
which rule is missed least.

Departures
----------
The lasso only chooses; the weights that a person reads are fitted without it. A prior as wide as `PRIOR` log-odds keeps
weights finite where a rule separates the classes.

Cost
----
O(n p^2) once for p candidates, and O(p) for each step of the descent.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from scipy.optimize import minimize

__all__ = ["curvature", "fitted_weights", "hessian_of", "lasso_choice", "residuals_of", "row_losses", "thinned"]

Link: TypeAlias = Literal["identity", "logistic", "softmax"]

PRIOR = 5.0
"""Standard deviation, in log-odds, of what is thought of a weight before any row is seen."""
STEP = 0.8
MOST_STEPS = 60
MOST_SWEEPS = 6


def row_losses(scores: np.ndarray, targets: np.ndarray, link: Link) -> np.ndarray:
    """What each row loses, ``(n,)``: half the squared error, or the cross-entropy."""
    if link == "identity":
        return 0.5 * ((scores - targets) ** 2).sum(axis=1)
    if link == "logistic":
        return np.logaddexp(0.0, scores[:, 0]) - targets[:, 0] * scores[:, 0]
    top = scores.max(axis=1, keepdims=True)
    return top[:, 0] + np.log(np.exp(scores - top).sum(axis=1)) - (targets * scores).sum(axis=1)


def residuals_of(scores: np.ndarray, targets: np.ndarray, link: Link) -> np.ndarray:
    """The gradient of each row's loss in its scores, ``(n, q)``."""
    return _means(scores, link) - targets


def _means(scores: np.ndarray, link: Link) -> np.ndarray:
    if link == "identity":
        return scores
    if link == "logistic":
        return 1.0 / (1.0 + np.exp(-np.clip(scores, -500, 500)))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def curvature(link: Link) -> float:
    """A bound on the second derivative of a row's loss."""
    return {"identity": 1.0, "logistic": 0.25, "softmax": 0.5}[link]


def lasso_choice(
    X: np.ndarray, targets: np.ndarray, weights: np.ndarray, link: Link, factors: np.ndarray, count: int
) -> np.ndarray:
    """The columns that the lasso takes up first, at least `count` where there are so many, ``(m,)``.

    Parameters
    ----------
    X : array ``(n, p)``
    targets : array ``(n, q)``
    weights : array ``(n,)``
        Sum to 1.
    link : str
    factors : array ``(p,)``
        How much more dearly each column is penalised.
    count : int
    """
    X = X - weights @ X
    bound = curvature(link)
    gram = bound * (X.T @ (X * weights[:, None]))
    start = fitted_weights(np.empty((len(X), 0)), targets, weights, link, np.empty(0))[0]
    b = np.zeros((X.shape[1], targets.shape[1]))
    pull = _pull(X, start, b, targets, weights, link)
    penalty = float((np.linalg.norm(pull, axis=1) / factors).max(initial=0.0))
    for _ in range(MOST_STEPS):
        penalty *= STEP
        b, start = _at_penalty(X, gram, b, start, targets, weights, link, penalty * factors)
        if np.count_nonzero(b.any(axis=1)) >= min(count, X.shape[1]):
            break
    return np.flatnonzero(b.any(axis=1))


def _pull(
    X: np.ndarray, start: np.ndarray, b: np.ndarray, targets: np.ndarray, weights: np.ndarray, link: Link
) -> np.ndarray:
    """The gradient of the loss in the weights, ``(p, q)``."""
    return X.T @ (weights[:, None] * residuals_of(start + X @ b, targets, link))


def _at_penalty(
    X: np.ndarray,
    gram: np.ndarray,
    b: np.ndarray,
    start: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    link: Link,
    penalties: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and intercept at one penalty: the loss is replaced by its quadratic bound, and that is minimised."""
    for _ in range(1 if link == "identity" else 2):
        residuals = residuals_of(start + X @ b, targets, link)
        start = start - (weights @ residuals) / curvature(link)
        slope = _pull(X, start, b, targets, weights, link)
        before = b
        b = _descended(gram, b.copy(), slope, penalties)
        if np.abs(b - before).max(initial=0.0) < 1e-4:
            break
    return b, start


def _descended(gram: np.ndarray, b: np.ndarray, slope: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """Coordinate descent over groups for a quadratic with this slope at `b`; `b` and `slope` are written to."""
    scale = np.diag(gram)
    for _ in range(MOST_SWEEPS):
        active = np.flatnonzero((b.any(axis=1) | (np.linalg.norm(slope, axis=1) > penalties)) & (scale > 1e-12))
        largest = 0.0
        for j in active:
            z = b[j] - slope[j] / scale[j]
            size = float(np.linalg.norm(z))
            new = z * max(0.0, 1.0 - penalties[j] / (scale[j] * size)) if size > 0 else z
            change = new - b[j]
            if change.any():
                slope += np.outer(gram[:, j], change)
                b[j] = new
                largest = max(largest, float(np.abs(change).max()))
        if largest < 1e-4:
            break
    return b


def thinned(
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    link: Link,
    ridge: np.ndarray,
    symbols: np.ndarray,
    most: int,
) -> list[np.ndarray]:
    """Sets of columns, each without the one that is missed least for its symbols; from at most `most` down to none."""
    kept = np.arange(X.shape[1])
    sets = [kept] if len(kept) <= most else []
    theta = fitted_weights(X, targets, weights, link, ridge)
    while len(kept):
        Z = X[:, kept] - weights @ X[:, kept]
        gram = curvature(link) * (Z.T @ (Z * weights[:, None])) + np.diag(ridge[kept] + 1e-9)
        missed = (theta[1:] ** 2).sum(axis=1) / np.diag(np.linalg.pinv(gram, hermitian=True)) / symbols[kept]
        drop = max(1, (len(kept) - most) // 4)
        left = np.sort(np.argsort(missed, kind="stable")[drop:])
        kept, theta = kept[left], theta[np.r_[0, 1 + left]]
        theta = fitted_weights(X[:, kept], targets, weights, link, ridge[kept], theta)
        if len(kept) <= most:
            sets.append(kept)
    return sets


def fitted_weights(
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    link: Link,
    ridge: np.ndarray,
    start: np.ndarray | None = None,
    free: np.ndarray | None = None,
) -> np.ndarray:
    """Intercepts and weights ``(1 + p, q)`` of least loss.

    Parameters
    ----------
    X : array ``(n, p)``
    targets : array ``(n, q)``
    weights : array ``(n,)``
        Sum to 1.
    link : str
    ridge : array ``(p,)``
        Of each column half this times its squared weights is added to the loss.
    start : array ``(1 + p, q)``, optional
    free : array ``(1 + p, q)`` of bool, optional
        Which weights may differ from zero; all, by default.
    """
    n, q = targets.shape
    middle = weights @ X
    Z = np.column_stack([np.ones(n), X - middle])
    costs = np.r_[0.25 * float(ridge.min(initial=1e-4)) if len(ridge) else 2.5e-10, ridge]
    free = np.ones((Z.shape[1], q), dtype=bool) if free is None else free
    theta = np.zeros((Z.shape[1], q)) if start is None else start.copy()
    theta[0] += middle @ theta[1:]
    if link == "softmax":
        theta = _softmax_weights(Z, targets, weights, costs, theta * free, free)
    else:
        for o in range(q):
            columns = np.flatnonzero(free[:, o])
            part = _newton(Z[:, columns], targets[:, o], weights, link, costs[columns], theta[columns, o])
            theta[:, o], theta[columns, o] = 0.0, part
    theta[0] -= middle @ theta[1:]
    return theta


def _newton(
    Z: np.ndarray, target: np.ndarray, weights: np.ndarray, link: Link, costs: np.ndarray, theta: np.ndarray
) -> np.ndarray:
    """The weights of one score, by Newton's method with halved steps."""

    def value(theta: np.ndarray) -> float:
        losses = row_losses((Z @ theta)[:, None], target[:, None], link)
        return float(weights @ losses) + 0.5 * float(costs @ theta**2)

    now = value(theta)
    for _ in range(1 if link == "identity" else 25):
        p = _means((Z @ theta)[:, None], link)[:, 0]
        bend = weights if link == "identity" else weights * np.maximum(p * (1 - p), 1e-9)
        slope = Z.T @ (weights * (p - target)) + costs * theta
        step = np.linalg.lstsq(Z.T @ (Z * bend[:, None]) + np.diag(costs), slope, rcond=1e-13)[0]
        size = 1.0
        while value(theta - size * step) > now + 1e-12 and size > 1e-4:
            size /= 2
        new = value(theta - size * step)
        if new > now:
            break
        theta, gain, now = theta - size * step, now - new, new
        if gain < 1e-10:
            break
    return theta


def _softmax_weights(
    Z: np.ndarray, targets: np.ndarray, weights: np.ndarray, costs: np.ndarray, theta: np.ndarray, free: np.ndarray
) -> np.ndarray:
    """The weights of all scores, by L-BFGS in columns of equal scale."""
    scale = np.sqrt(np.maximum(weights @ Z**2, 1e-12))
    Z, costs = Z / scale, costs / scale**2
    wanted = Z.T @ (weights[:, None] * targets)

    def look(flat: np.ndarray) -> tuple[float, np.ndarray]:
        full = np.zeros_like(theta)
        full[free] = flat
        scores = Z @ full
        scores -= scores.max(axis=1, keepdims=True)
        shares = np.exp(scores)
        total = shares.sum(axis=1)
        losses = np.log(total) - np.einsum("ij,ij->i", targets, scores)
        value = float(weights @ losses) + 0.5 * float(costs @ (full**2).sum(axis=1))
        slope = Z.T @ (shares * (weights / total)[:, None]) - wanted + costs[:, None] * full
        return value, slope[free]

    options = {"maxiter": 200, "gtol": 1e-6, "ftol": 1e-10}
    found = minimize(look, (theta * scale[:, None])[free], jac=True, method="L-BFGS-B", options=options)
    out = np.zeros_like(theta)
    out[free] = found.x
    return out / scale[:, None]


def hessian_of(X: np.ndarray, scores: np.ndarray, weights: np.ndarray, link: Link, free: np.ndarray) -> np.ndarray:
    """The second derivatives of the loss in the free intercepts and weights, in the order of ``theta[free]``."""
    Z = np.column_stack([np.ones(len(X)), X])
    p, (m, q) = _means(scores, link), free.shape
    out = np.zeros((m, q, m, q))
    for c in range(q):
        for e in range(c, q) if link == "softmax" else (c,):
            bend = weights if link == "identity" else weights * p[:, c] * ((c == e) - p[:, e])
            out[:, c, :, e] = out[:, e, :, c] = Z.T @ (Z * bend[:, None])
    return out.reshape(m * q, m * q)[np.ix_(free.ravel(), free.ravel())]
