"""A network of coefficients: a transform's inverse, what it loses, and the network behind.

Source
------
Singh2020, section 2: f'(s) = f(T^-1(s) + r).

Departures
----------
r is given to the network beside s, in the same row, so that it is an input of its own (`_transformation_importance`).

Cost
----
The transform is run twice each way to see that it gives the same again, row by row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError
from limbeck._core.module_kept import random_state_kept
from limbeck.attribution._asked import AGREE
from limbeck.attribution._transforms import Shape

__all__ = ["Coefficients", "TransformedNetwork", "coefficients_of"]

MOST_SINGLE = 4096
"""So many coefficients are explained one by one at most; more need groups."""


class TransformedNetwork(torch.nn.Module):
    """f'(s) = f(T^-1(s) + r): a network of coefficients and the fixed r, both flat in one row ``[s, r]``.

    Parameters
    ----------
    model : torch.nn.Module
        f.
    inverse : callable
        T^-1, coefficients ``(n, *s)`` to rows.
    coefficients : tuple of int
        The shape ``(*s)``; of complex coefficients with a last axis of 2.
    shape : tuple of int
        The shape of a row.
    is_complex : bool

    Attributes
    ----------
    grouped : tensor of bool ``(m + d,)``
        Which numbers of a row ``[s, r]`` are in a group; the others are held fixed.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        inverse: Callable[[torch.Tensor], torch.Tensor],
        coefficients: Shape,
        shape: Shape,
        *,
        is_complex: bool = False,
    ) -> None:
        super().__init__()
        self.model, self._inverse = model, inverse
        self._coefficients, self._shape, self._is_complex = tuple(coefficients), tuple(shape), is_complex
        self.grouped = torch.arange(self.coefficients + int(np.prod(shape))) < self.coefficients

    @property
    def coefficients(self) -> int:
        """How many numbers of a row ``[s, r]`` are s."""
        return int(np.prod(self._coefficients))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The network's answers to rows ``[s, r]``."""
        r = z[:, self.coefficients :].reshape(-1, *self._shape)
        answers: torch.Tensor = self.model(self.rows(z) + r)
        return answers

    def rows(self, z: torch.Tensor) -> torch.Tensor:
        """What the coefficients of rows ``[s, r]`` give without r: rows ``(n, *shape)``."""
        s = z[:, : self.coefficients].reshape(-1, *self._coefficients)
        return self._inverse(torch.view_as_complex(s.contiguous()) if self._is_complex else s)


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Rows as coefficients, the network of them, and their groups.

    Attributes
    ----------
    net : TransformedNetwork
    s : tensor ``(n, *s)``
        T(x).
    z : tensor ``(n, m + d)``
        The rows ``[s, r]`` of `net`.
    names : tuple of str
        What the groups are called.
    masks : array of bool ``(u, *s)``
        Which coefficients each group holds.
    wide : array of bool ``(u, m + d)``
        The same for `z`: no group holds a number of r.
    lost : array ``(n,)``
        The share of each row, in squares, that is in r.
    """

    net: TransformedNetwork
    s: torch.Tensor
    z: torch.Tensor
    names: tuple[str, ...]
    masks: np.ndarray
    wide: np.ndarray
    lost: np.ndarray

    @property
    def start(self) -> torch.Tensor:
        """The rows ``[0, r]`` ``(n, m + d)``."""
        found = self.z.clone()
        found[:, : self.net.coefficients] = 0
        return found


def coefficients_of(model: torch.nn.Module, rows: torch.Tensor, transform: Any, groups: Any = None) -> Coefficients:
    """The rows of a transform, and of groups or the transform's own, seen to be of use.

    Raises
    ------
    InputError
        As `limbeck.attribution.transformation_importance`.
    """
    shape = tuple(rows.shape[1:])
    with torch.inference_mode(False), torch.no_grad(), random_state_kept():
        forward, inverse = pair_of(transform, shape)
        s, back = there_and_back(rows.clone(), forward, inverse)
    names, masks = _groups(groups, transform, shape, tuple(s.shape[1:]))
    real = torch.view_as_real(s) if s.is_complex() else s
    net = TransformedNetwork(model, inverse, tuple(real.shape[1:]), shape, is_complex=s.is_complex())
    r = (rows - back).reshape(len(rows), -1)
    wide = np.zeros((len(masks), net.coefficients + r.shape[1]), dtype=bool)
    wide[:, : net.coefficients] = np.repeat(masks.reshape(len(masks), -1), 2 if s.is_complex() else 1, axis=1)
    net.grouped = torch.from_numpy(wide.any(axis=0))
    lost = (r.double() ** 2).sum(1) / (rows.double() ** 2).flatten(1).sum(1).clamp_min(1e-300)
    z = torch.cat([real.reshape(len(rows), -1), r], dim=1)
    return Coefficients(net, s, z, names, masks, wide, np.asarray(lost.cpu().numpy()))


def pair_of(transform: Any, shape: Shape) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and inverse, each a function of one tensor."""
    if isinstance(transform, tuple | list) and len(transform) == 2 and all(callable(part) for part in transform):
        return transform[0], transform[1]
    if all(callable(getattr(transform, name, None)) for name in ("forward", "inverse")) and not isinstance(
        transform, type
    ):
        return transform.forward, lambda s: transform.inverse(s, shape)
    raise InputError(
        "transform must be a Fourier, Wavelet, NMF or PCA, an object with forward(x) and inverse(s, shape), or a pair "
        f"of functions (forward, inverse); got {transform!r:.80}"
    )


def there_and_back(
    x: torch.Tensor, forward: Callable[..., Any], inverse: Callable[..., Any]
) -> tuple[torch.Tensor, torch.Tensor]:
    """``T(x)`` and ``T^-1(T(x))``, seen to be of use."""
    s = _given(forward, x, "forward")
    if not (s.is_floating_point() or s.is_complex()) or s.ndim < 2:
        raise InputError(f"forward must give numbers (n, *s); got {s.dtype} of shape {tuple(s.shape)}")
    s = s.to(device=x.device, dtype=torch.promote_types(x.dtype, torch.complex64) if s.is_complex() else x.dtype)
    back = _given(inverse, s, "inverse")
    if back.shape != x.shape or not back.is_floating_point():
        raise InputError(
            f"inverse must give rows of the shape that x has, {tuple(x.shape)}, of floating point; got {back.dtype} of "
            f"shape {tuple(back.shape)}"
        )
    for word, function, given, was in (("forward", forward, x, s), ("inverse", inverse, s, back)):
        away = float((_given(function, given.flip(0), word).flip(0).to(was) - was).abs().max())
        if away > AGREE * float(was.abs().max().clamp_min(torch.finfo(x.dtype).tiny)):
            raise InputError(
                f"{word} gives other answers to the same rows in another order (by up to {away:.3g}): it is random, or "
                "one row changes another's. Each row must be transformed alone, and the same each time."
            )
    with torch.enable_grad():
        if not _given(inverse, s.clone().requires_grad_(), "inverse").requires_grad:
            raise InputError(
                "inverse must be torch operations from its coefficients to its rows; what it gives doesn't follow them "
                "(numpy, detach() or a constant inside?)"
            )
    return s, back.to(x.dtype)


def _given(function: Callable[..., Any], values: torch.Tensor, word: str) -> torch.Tensor:
    try:
        found = function(values.clone())
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{word} of the transform raised {type(error).__name__} on {tuple(values.shape)}: {str(error)[:180]}"
        ) from error
    found = torch.from_numpy(found) if isinstance(found, np.ndarray) else found
    if not isinstance(found, torch.Tensor) or not found.ndim or len(found) != len(values):
        came = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise InputError(f"{word} of the transform must give one tensor with {len(values)} rows; got {came}")
    if not bool(torch.isfinite(found).all()):
        raise InputError(f"{word} of the transform gives NaN or infinity on finite rows")
    return found


def _groups(groups: Any, transform: Any, shape: Shape, s: Shape) -> tuple[tuple[str, ...], np.ndarray]:
    """The groups' names and masks ``(u, *s)``."""
    if groups is None and hasattr(transform, "groups"):
        groups = transform.groups(shape)
    if groups is None or (isinstance(groups, str) and groups == "each"):
        m = int(np.prod(s))
        if m > MOST_SINGLE:
            raise InputError(
                f"{m} coefficients are too many to be explained one by one (at most {MOST_SINGLE}); give groups"
            )
        names = transform.names(shape) if hasattr(transform, "names") else [str(list(at)) for at in np.ndindex(*s)]
        return tuple(names), np.eye(m, dtype=bool).reshape(m, *s)
    named = (
        groups if isinstance(groups, Mapping) else {f"group {i + 1}": mask for i, mask in enumerate(_listed(groups))}
    )
    masks = [np.asarray(mask.cpu() if isinstance(mask, torch.Tensor) else mask) for mask in named.values()]
    for name, mask in zip(named, masks, strict=True):
        if mask.dtype != bool or mask.shape != s or not mask.any():
            raise InputError(
                f"each group must be a boolean mask of shape {s} with at least one coefficient; {str(name)!r:.60} is "
                f"{mask.dtype} of shape {mask.shape} with {int(mask.astype(bool).sum())}"
            )
    if not masks:
        raise InputError("groups must hold at least one mask; got none")
    return tuple(str(name) for name in named), np.stack(masks)


def _listed(groups: Any) -> list[Any]:
    try:
        return list(groups)
    except TypeError:
        raise InputError(
            f'groups must be masks by name, an array of masks, "each" or None; got {type(groups).__name__}'
        ) from None
