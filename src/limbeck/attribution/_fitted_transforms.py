"""Transforms that are fitted on rows: non-negative parts and principal components. They lose something of a row.

Source
------
Singh2020 (the use); Lee1999 (NMF). The fits are scikit-learn's.

Departures
----------
- A row's NMF coefficients are the exact non-negative least squares, not a few sweeps of the fit's own solver.
- PCA's mean is a coefficient of its own that is always 1, so that the inverse is linear and what the mean does to the
  network has a name.

Checked
-------
tests/unit/test_transformation_importance.py: NMF and PCA against scikit-learn's own.

Cost
----
The fit; for each row one small non-negative least squares (NMF) or a product (PCA); the inverse is a product.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, as_generator
from limbeck.attribution._asked import whole
from limbeck.attribution._transforms import Shape

__all__ = ["NMF", "PCA"]


class _Parts:
    """A linear inverse over fitted parts, one coefficient each."""

    parts: np.ndarray
    shape: Shape
    labels: tuple[str, ...]

    def inverse(self, s: torch.Tensor, shape: Shape | None = None) -> torch.Tensor:
        """Coefficients to rows: the sum of the parts, each as often as its coefficient says."""
        rows = torch.nn.functional.linear(s, torch.as_tensor(self.parts.T.copy(), dtype=s.dtype, device=s.device))
        return rows.reshape(s.shape[0], *self.shape)

    def groups(self, shape: Shape) -> dict[str, np.ndarray]:
        """One mask a part."""
        self._check(shape)
        return dict(zip(self.labels, np.eye(len(self.labels), dtype=bool), strict=True))

    def names(self, shape: Shape) -> tuple[str, ...]:
        """One name a part."""
        return self.labels

    def _flat(self, x: torch.Tensor) -> np.ndarray:
        self._check(tuple(x.shape[1:]))
        return np.asarray(x.detach().double().cpu().numpy().reshape(len(x), -1))

    def _check(self, shape: Shape) -> None:
        if tuple(shape) != self.shape:
            raise InputError(
                f"{type(self).__name__} was fitted on rows of shape {self.shape}; got rows of shape {tuple(shape)}"
            )


class NMF(_Parts):
    """Non-negative parts of non-negative rows, fitted by scikit-learn; what the parts don't hold is in the residual r.

    Parameters
    ----------
    components : int
    rows : array ``(n, *row)``
        Rows to fit the parts on, none negative.
    random_state : int, Generator or None

    Attributes
    ----------
    parts : array ``(components, m)``
        Each scaled to length 1.

    Examples
    --------
    >>> rows = np.random.default_rng(0).uniform(size=(40, 2)) @ np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]])
    >>> NMF(2, rows).parts.round(1).tolist()
    [[0.1, 0.1, 0.7, 0.7], [0.7, 0.7, 0.0, 0.0]]
    """

    def __init__(self, components: int, rows: Any, *, random_state: RandomState = 0) -> None:
        from sklearn.decomposition import NMF as Fitted  # noqa: N811 - the same name
        from sklearn.exceptions import ConvergenceWarning

        flat, self.shape = _rows(rows, components, "NMF")
        if flat.min() < 0:
            raise InputError(f"NMF needs rows without negative numbers; the least is {flat.min():.3g}. Take PCA.")
        seed = int(as_generator(random_state).integers(2**31 - 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._fitted = Fitted(components, init="nndsvda", random_state=seed, max_iter=400).fit(flat)
        found = np.asarray(self._fitted.components_, dtype=np.float64)
        lengths = np.linalg.norm(found, axis=1)
        if not lengths.all():
            raise InputError(f"{int((lengths == 0).sum())} of {components} parts are empty; ask for fewer components")
        self.parts = found / lengths[:, None]
        self.labels = tuple(f"part {i + 1}" for i in range(components))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows to non-negative coefficients ``(n, components)``: the best such sum of the parts, by least squares."""
        flat = self._flat(x)
        if flat.min() < 0:
            raise InputError(f"NMF needs rows without negative numbers; the least is {flat.min():.3g}")
        s = np.stack([nnls(self.parts.T, row)[0] for row in flat])
        return torch.as_tensor(s, dtype=x.dtype, device=x.device)


class PCA(_Parts):
    """Principal components, fitted by scikit-learn, beside the mean as a coefficient that is always 1.

    Parameters
    ----------
    components : int
    rows : array ``(n, *row)``
        Rows to fit the components on.

    Attributes
    ----------
    parts : array ``(1 + components, m)``
        The mean, then the components.

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 3)) * [5, 1, 0.1] + 2
    >>> transform = PCA(2, rows)
    >>> transform.names((3,))
    ('mean', 'component 1', 'component 2')
    >>> x = torch.tensor([[4.0, 1.0, 2.0]])
    >>> bool((transform.inverse(transform.forward(x)) - x).abs().max() < 0.2)
    True
    """

    def __init__(self, components: int, rows: Any) -> None:
        from sklearn.decomposition import PCA as Fitted  # noqa: N811 - the same name

        flat, self.shape = _rows(rows, components, "PCA")
        fitted = Fitted(components, svd_solver="full").fit(flat)
        self.parts = np.vstack([fitted.mean_, fitted.components_])
        self.labels = ("mean", *(f"component {i + 1}" for i in range(components)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows to coefficients ``(n, 1 + components)``, the first of them 1."""
        flat = self._flat(x) - self.parts[0]
        s = np.hstack([np.ones((len(flat), 1)), flat @ self.parts[1:].T])
        return torch.as_tensor(s, dtype=x.dtype, device=x.device)


def _rows(rows: Any, components: Any, name: str) -> tuple[np.ndarray, Shape]:
    given = np.asarray(rows.detach().cpu() if isinstance(rows, torch.Tensor) else rows)
    count = whole(components, "components", 1)
    if given.dtype.kind not in "iuf" or given.ndim < 2 or not given.size or not np.isfinite(given).all():
        raise InputError(f"{name} needs rows (n, *row) of finite numbers; got {given.dtype} of shape {given.shape}")
    flat = given.reshape(len(given), -1).astype(np.float64)
    if count > min(flat.shape):
        raise InputError(
            f"components must be at most {min(flat.shape)} for {len(flat)} rows of {flat.shape[1]} numbers; got {count}"
        )
    return flat, given.shape[1:]
