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

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError
from limbeck.attribution._asked import AGREE
from limbeck.attribution._transforms import Shape

__all__ = ["TransformedNetwork", "pair_of", "there_and_back"]


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

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """The network's answers to rows ``[s, r]``."""
        m = int(np.prod(self._coefficients))
        s = z[:, :m].reshape(-1, *self._coefficients)
        r = z[:, m:].reshape(-1, *self._shape)
        if self._is_complex:
            s = torch.view_as_complex(s.contiguous())
        answers: torch.Tensor = self.model(self._inverse(s) + r)
        return answers


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
