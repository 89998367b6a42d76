"""Rows explained by groups of a transform's coefficients: frequencies, scales, components, parts.

Source
------
Singh2020 (TRIM), section 2, with contextual decomposition of f'(s) = f(T^-1(s) + r).

Symbols
-------
As in `limbeck.attribution.transformation_importance`: s, the coefficients; r, what the transform loses of a row.

Departures
----------
- The checks, too, are made on f': they ask for groups of coefficients, take them away and put noise on them. r can't be
  taken away; where all is absent it is the mean of the rows' own.
- The mean that principal components are counted from is held fixed, as r is: it is the same in every row.
- Principal components of a table are those of its columns in units of their spread.

Cost
----
That of contextual decomposition on the network with the inverse in front; the fit of components or parts on at most
`MOST_FITTED` rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._explain_methods import How, explained_row
from limbeck._explain_rows import as_part

__all__ = ["TRANSFORMS", "in_coefficients", "name_of", "transform_for", "trimmed_row"]

TRANSFORMS = ("fourier", "wavelet", "pca", "nmf")
PARTS, COLUMNS = 8, 12
"""So many parts of images and signals, and components of a table, are fitted at most."""
MOST_FITTED, MEAN = 5_000, "mean"
MOST_DRAWN = 12
"""Of so many groups with the largest effects the document holds what they are in the input's own space."""


def transform_for(transform: Any, kind: str, X: np.ndarray, seed: int) -> tuple[Any, tuple[str, ...]]:
    """The transform of such rows, fitted where it is of a kind that is, and notes on it.

    Raises
    ------
    InputError
        For words, for a transform that is not known, and for rows that it can't be fitted on.
    """
    if kind == "text":
        raise InputError(
            "method='trim' needs rows of numbers that a transform can take apart (images, signals, tables); got words. "
            "Take 'acd' or 'cd'."
        )
    named = ("pca" if kind == "table" else "fourier") if transform is None else transform
    if not isinstance(named, str):
        return named, ()
    if named not in TRANSFORMS:
        raise InputError(
            f"transform must be one of {', '.join(TRANSFORMS)}, or an object such as limbeck.attribution.Fourier(16); "
            f"got {named!r:.60}.{did_you_mean(named, TRANSFORMS)}"
        )
    if named in ("pca", "nmf"):
        return _fitted(named, kind, X, seed)
    if kind == "table":
        raise InputError(
            f"transform={named!r} needs numbers in an order, as of a signal; the columns of a table have none. Take "
            "'pca' or 'nmf', or say kind='signal'."
        )
    from limbeck.attribution import Fourier, Wavelet

    axes = 2 if kind == "image" else 1
    return (Fourier(dimensions=axes) if named == "fourier" else Wavelet(dimensions=axes)), ()


def _fitted(named: str, kind: str, X: np.ndarray, seed: int) -> tuple[Any, tuple[str, ...]]:
    from limbeck.attribution import NMF, PCA

    if len(X) < 2:
        raise InputError(f"transform={named!r} is fitted on the rows given and needs at least 2; got {len(X)}")
    rows = X
    if len(X) > MOST_FITTED:
        rows = X[np.sort(np.random.default_rng(seed).choice(len(X), size=MOST_FITTED, replace=False))]
    count = min(COLUMNS if kind == "table" else PARTS, len(rows) - 1, int(np.prod(X.shape[1:])))
    said = f"{count} {'parts' if named == 'nmf' else 'components'}, fitted on {len(rows)} rows"
    if named == "nmf":
        return NMF(count, rows, random_state=seed), (f"NMF: {said}",)
    if not np.ptp(rows, axis=0).any():
        raise InputError(f"transform='pca' needs rows that differ; all {len(rows)} are the same")
    if kind != "table":
        return PCA(count, rows), (f"PCA: {said}; their mean is held fixed",)
    said += ", columns in units of their spread"
    return ScaledPCA(count, rows), (f"PCA: {said}; their mean is held fixed",)


class ScaledPCA:
    """Principal components of columns in units of their spread.

    Parameters
    ----------
    components : int
    rows : array ``(n, d)``

    Examples
    --------
    >>> rows = np.random.default_rng(0).normal(size=(50, 3)) * [1000, 1, 0.1]
    >>> transform = ScaledPCA(3, rows)
    >>> import torch
    >>> x = torch.tensor(rows[:2])
    >>> bool((transform.inverse(transform.forward(x), (3,)) / x - 1).abs().max() < 1e-9)
    True
    """

    def __init__(self, components: int, rows: Any) -> None:
        from limbeck.attribution import PCA

        spread = np.asarray(rows, dtype=np.float64).std(axis=0)
        self.spread = np.where(spread > 0, spread, 1.0)
        self._inner = PCA(components, rows / self.spread)

    def forward(self, x: Any) -> Any:
        """Rows to coefficients ``(n, 1 + components)``, the first of them 1."""
        return self._inner.forward(x / x.new_tensor(self.spread))

    def inverse(self, s: Any, shape: tuple[int, ...]) -> Any:
        """Coefficients to rows."""
        return self._inner.inverse(s, shape) * s.new_tensor(self.spread)

    def groups(self, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """One mask a component."""
        return self._inner.groups(shape)

    def names(self, shape: tuple[int, ...]) -> tuple[str, ...]:
        """One name a component."""
        return self._inner.names(shape)


def name_of(transform: Any) -> str:
    """A transform as the document calls it."""
    if isinstance(transform, tuple | list):
        return "the user's transform"
    return "PCA" if isinstance(transform, ScaledPCA) else type(transform).__name__


def in_coefficients(model: Any, rows: np.ndarray, transform: Any) -> Any:
    """The rows as coefficients, and the network of them; see `Coefficients`."""
    from limbeck.attribution._asked import rows_of
    from limbeck.attribution._transformed_network import coefficients_of

    groups = None
    if name_of(transform) == "PCA":
        groups = {name: mask for name, mask in transform.groups(rows.shape[1:]).items() if name != MEAN}
    return coefficients_of(model, rows_of(model, rows), transform, groups)


def trimmed_row(
    model: Any, row: np.ndarray, transform: Any, output: int, how: How, kind: str, names: Sequence[str], spread: Any
) -> dict[str, Any]:
    """Groups, effects, interactions and parts of one row; `names` and `spread` are those of a table's columns."""
    from limbeck.attribution import Units

    found = in_coefficients(model, row[None], transform)
    z = found.z.cpu().numpy()
    units = Units(found.names, found.wide, ((),) * len(found.names), "table")
    facts = explained_row(found.net, z, units, output, how)
    strongest = np.argsort(-np.abs(facts["alone"]), kind="stable")[:MOST_DRAWN].tolist()
    masks = found.z.new_tensor(found.wide[strongest])
    parts = found.net.rows(found.z * masks).detach().double().cpu().numpy()
    rest = z[0, found.net.coefficients :].astype(float).reshape(row.shape)
    return facts | {
        "units": [
            {"name": name, "positions": [], "coefficients": int(mask.sum())}
            for name, mask in zip(found.names, found.masks, strict=True)
        ],
        "lost": float(found.lost[0]),
        "parts": [
            {
                "unit": unit,
                "share": None if kind == "table" else _share(part, row),
                "input": as_part(kind, part, row, names, spread),
            }
            for unit, part in zip(strongest, parts, strict=True)
            if part.any()
        ],
        "remainder": as_part(kind, rest, row, names, spread),
    }


def _share(part: np.ndarray, row: np.ndarray) -> float:
    """How large a part is beside the row, in squares."""
    return float((part.astype(float) ** 2).sum() / max(float((row.astype(float) ** 2).sum()), np.finfo(float).tiny))
