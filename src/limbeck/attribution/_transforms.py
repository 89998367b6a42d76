"""Transforms of rows into coefficients that a person can name - frequencies, scales, parts - and back, in torch.

Source
------
Singh2020 (the use); Mallat1989 (wavelets, by the filters of PyWavelets).

Symbols
-------
T, `forward`, rows to coefficients s; T^-1, `inverse`, coefficients to rows. Only the inverse is part of the network
that is explained, so only the inverse must be torch operations.

Departures
----------
- Fourier coefficients are real: cosines and sines of an orthonormal basis, along each axis of an image. A frequency is
  the pair of its cosine and sine (in an image, the four products), so groups never cut one in two.
- Wavelets use periodic edges, with which a row of an even length has as many coefficients as numbers.

Checked
-------
tests/unit/test_transformation_importance.py: inverse of forward for every transform, odd lengths too; Fourier against
torch.fft, wavelets against pywt.wavedec and wavedec2.

Cost
----
One matrix product an axis (Fourier), or an axis and level (wavelets); the matrices of a size are made once.
"""

from __future__ import annotations

import functools
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch

from limbeck._core.errors import InputError, did_you_mean
from limbeck.attribution._asked import whole

__all__ = ["Fourier", "Shape", "Transform", "Wavelet", "axes_of"]

Shape: TypeAlias = tuple[int, ...]
EDGE = 1e-9
"""A frequency this close to an edge is on it."""


@runtime_checkable
class Transform(Protocol):
    """Rows to coefficients and back; what `transformation_importance` needs. A pair of functions does as well."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows ``(n, *row)`` to coefficients ``(n, *s)``; any code."""

    def inverse(self, s: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Coefficients ``(n, *s)`` to rows ``(n, *shape)``; torch operations only."""

    def groups(self, shape: Shape) -> Mapping[str, np.ndarray]:
        """Named masks over the coefficients ``(*s)`` of rows of this shape."""

    def names(self, shape: Shape) -> tuple[str, ...]:
        """One name a coefficient, in flat order."""


class Fourier:
    """Real Fourier coefficients of signals and images, in groups of frequencies.

    Parameters
    ----------
    bands : int or sequence of float
        So many bands of equal width beside the constant term; or their edges, ascending, in cycles a sample: 0 to 0.5
        along an axis, up to 0.707 in an image, where a frequency is the length of the wave vector. A band holds its
        lower edge, the last one both; frequencies outside all bands are a group of their own.
    dimensions : {1, 2}, optional
        Over how many of the last axes; 1 for rows of one axis and 2 for rows of three. Rows of two axes can be an image
        or a signal of several channels: say which.

    Examples
    --------
    >>> wave = torch.cos(2 * torch.pi * 3 * torch.arange(16) / 16)[None]
    >>> s = Fourier(bands=4).forward(wave)
    >>> [name for name, mask in Fourier(bands=4).groups((16,)).items() if (s[0].abs() > 1e-4)[torch.tensor(mask)].any()]
    ['frequency 0.125 to 0.25']
    """

    def __init__(self, bands: int | Sequence[float] = 8, *, dimensions: int | None = None) -> None:
        self.bands, self.dimensions = _bands(bands), _axes(dimensions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows to coefficients of the same shape; the last one or two axes are frequencies."""
        return self._along(x, inverse=False)

    def inverse(self, s: torch.Tensor, shape: Shape | None = None) -> torch.Tensor:
        """Coefficients to rows."""
        return self._along(s, inverse=True)

    def _along(self, x: torch.Tensor, *, inverse: bool) -> torch.Tensor:
        for axis in range(1, axes_of(tuple(x.shape[1:]), self.dimensions) + 1):
            basis = _like(fourier_basis(x.shape[-axis]), x)
            x = _on_axis(x, basis.T if inverse else basis, axis)
        return x

    def frequencies(self, shape: Shape) -> np.ndarray:
        """The frequency of each coefficient ``(*shape)``, in cycles a sample."""
        axes = axes_of(shape, self.dimensions)
        each = [_counts(size) / size for size in shape[-axes:]]
        grid = each[0] if axes == 1 else np.hypot(*np.meshgrid(*each, indexing="ij"))
        return np.array(np.broadcast_to(grid, shape))

    def groups(self, shape: Shape) -> dict[str, np.ndarray]:
        """One mask a band, the constant term first."""
        at = self.frequencies(shape)
        equal = isinstance(self.bands, int)
        edges = np.linspace(0, at.max(), self.bands + 1) if isinstance(self.bands, int) else np.asarray(self.bands)
        slot = np.searchsorted(edges, at + EDGE, side="right") - 1
        slot[(slot == len(edges) - 1) & (at <= edges[-1] + EDGE)] -= 1
        slot[(slot < 0) | (slot >= len(edges) - 1)] = len(edges)
        if equal:
            slot[at == 0] = -1
        words = {-1: "constant", len(edges): "other frequencies"}
        words |= {i: f"frequency {edges[i]:.3g} to {edges[i + 1]:.3g}" for i in range(len(edges) - 1)}
        return {words[int(i)]: slot == i for i in np.unique(slot)}

    def names(self, shape: Shape) -> tuple[str, ...]:
        """Such as ``cos 3`` or ``cos 3, sin 1``: cycles over the row along each axis."""
        axes = axes_of(shape, self.dimensions)
        return tuple(
            _channel(at, axes) + ", ".join(_wave(i, size) for i, size in zip(at[-axes:], shape[-axes:], strict=True))
            for at in np.ndindex(*shape)
        )


class Wavelet:
    """Wavelet coefficients of signals and images, in groups of one scale.

    Parameters
    ----------
    name : str
        A discrete wavelet of PyWavelets, such as ``"haar"``, ``"db4"``, ``"sym5"``, ``"bior2.2"``.
    level : int, optional
        How many times the approximation is split again; where absent as often as the filter fits into the row.
    dimensions : {1, 2}, optional
        As in `Fourier`.

    Examples
    --------
    >>> [round(v, 3) for v in Wavelet("haar", level=2).forward(torch.tensor([[1.0, 1.0, 1.0, 3.0]]))[0].tolist()]
    [3.0, -1.0, 0.0, -1.414]
    >>> list(Wavelet("haar", level=2).groups((4,)))
    ['approximation', 'scale 2', 'scale 1 (finest)']
    """

    def __init__(self, name: str = "db4", level: int | None = None, *, dimensions: int | None = None) -> None:
        import pywt

        known = pywt.wavelist(kind="discrete")
        if name not in known:
            raise InputError(
                f"name must be a discrete wavelet of PyWavelets, such as 'haar', 'db4' or 'sym5'; got {name!r:.60}."
                f"{did_you_mean(name, known)}"
            )
        self.name, self.level = name, None if level is None else whole(level, "level", 1)
        self.dimensions = _axes(dimensions)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows ``(n, *channels, *sizes)`` to coefficients ``(n, *channels, m)``: approximation, then coarse to fine."""
        sizes = self.sizes(tuple(x.shape[1:]))
        details: list[torch.Tensor] = []
        for level in sizes[:-1]:
            for axis, size in enumerate(reversed(level), 1):
                x = _on_axis(x, _like(wavelet_matrices(self.name, size)[0], x), axis)
            x, *rest = (x[index] for index in _blocks(level))
            details = [*(part.flatten(-len(level)) for part in rest), *details]
        return torch.cat([x.flatten(-len(sizes[0])), *details], dim=-1)

    def inverse(self, s: torch.Tensor, shape: Shape) -> torch.Tensor:
        """Coefficients to rows of this shape."""
        sizes = self.sizes(shape)
        channels, axes = tuple(s.shape[:-1]), len(sizes[0])
        counts = [int(np.prod(half)) for half in sizes[:0:-1] for _ in range(2**axes - 1)]
        x, *details = s.split([int(np.prod(sizes[-1])), *counts], dim=-1)
        x = x.reshape(*channels, *sizes[-1])
        for level, half in zip(sizes[-2::-1], sizes[:0:-1], strict=True):
            parts, details = details[: 2**axes - 1], details[2**axes - 1 :]
            blocks = [x, *(part.reshape(*channels, *half) for part in parts)]
            if axes == 2:
                blocks = [torch.cat(blocks[:2], dim=-1), torch.cat(blocks[2:], dim=-1)]
            x = torch.cat(blocks, dim=-axes)
            for axis, size in enumerate(reversed(level), 1):
                x = _on_axis(x, _like(wavelet_matrices(self.name, size)[1], x), axis)
        return x

    def sizes(self, shape: Shape) -> list[Shape]:
        """The sizes of the row and of its approximation after each level."""
        import pywt

        axes = axes_of(shape, self.dimensions)
        found = [tuple(shape[-axes:])]
        most = pywt.dwt_max_level(min(found[0]), pywt.Wavelet(self.name).dec_len)
        for _ in range(self.level or max(1, most)):
            if min(found[-1]) < 2:
                raise InputError(
                    f"level={self.level} splits {'x'.join(map(str, found[0]))} numbers more often than they can be; "
                    f"at most {len(found) - 1} for this shape"
                )
            found.append(tuple(-(-size // 2) for size in found[-1]))
        return found

    def _layout(self, shape: Shape) -> list[tuple[str, str, Shape]]:
        """Group, name and sizes of each block of coefficients, in their order."""
        sizes = self.sizes(shape)
        kinds = ("",) if len(sizes[0]) == 1 else (" across", " down", " diagonal")
        found = [("approximation", "approximation", sizes[-1])]
        for i in range(len(sizes) - 1, 0, -1):
            group = f"scale {i}" + (" (finest)" if i == 1 else "")
            found += [(group, f"scale {i}{kind}", sizes[i]) for kind in kinds]
        return found

    def groups(self, shape: Shape) -> dict[str, np.ndarray]:
        """One mask a scale."""
        layout = self._layout(shape)
        of = np.concatenate([np.full(int(np.prod(sizes)), group) for group, _, sizes in layout])
        channels = shape[: -len(layout[0][2])]
        return {group: np.broadcast_to(of == group, (*channels, len(of))).copy() for group, _, _ in layout}

    def names(self, shape: Shape) -> tuple[str, ...]:
        """Such as ``scale 2 [5]``."""
        layout = self._layout(shape)
        each = [f"{name} {list(at)}" for _, name, sizes in layout for at in np.ndindex(*sizes)]
        channels = shape[: -len(layout[0][2])]
        return tuple(_channel((*at, 0), 1) + name for at in np.ndindex(*channels) for name in each)


def axes_of(shape: Shape, dimensions: int | None) -> int:
    """Over how many of a row's last axes a transform goes.

    Raises
    ------
    InputError
        Where that can't be told from the row's shape.
    """
    if dimensions is not None:
        if len(shape) < dimensions or min(shape, default=0) < 1:
            raise InputError(f"dimensions={dimensions} needs rows of at least so many axes; got rows of shape {shape}")
        return dimensions
    if len(shape) == 2:
        raise InputError(
            f"rows of shape {shape} can be images (dimensions=2) or signals of {shape[0]} channels (dimensions=1); "
            "say which with dimensions="
        )
    if len(shape) not in (1, 3):
        raise InputError(f"rows must be signals (t,), (c, t) or images (h, w), (c, h, w); got rows of shape {shape}")
    return 1 if len(shape) == 1 else 2


@functools.lru_cache(maxsize=32)
def fourier_basis(size: int) -> torch.Tensor:
    """The real orthonormal Fourier basis ``(size, size)``: a row each for the constant, cos 1, sin 1, cos 2, ..."""
    counts, times = _counts(size)[:, None], np.arange(size)[None, :]
    angles = 2 * np.pi * ((counts * times) % size) / size
    basis = np.where(np.arange(size)[:, None] % 2 == 1, np.cos(angles), np.sin(angles))
    basis[0] = 1
    return torch.from_numpy(basis / np.linalg.norm(basis, axis=1, keepdims=True))


def _counts(size: int) -> np.ndarray:
    """Cycles over the row, for each coefficient of an axis."""
    return (np.arange(size) + 1) // 2


@functools.lru_cache(maxsize=128)
def wavelet_matrices(name: str, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One level: to approximation and detail ``(2 half, size)``, and back ``(size, 2 half)``.

    Raises
    ------
    InputError
        Where PyWavelets doesn't give the row back.
    """
    import pywt

    there = np.hstack(pywt.dwt(np.eye(size), name, mode="periodization")).T
    half = np.eye(len(there) // 2)
    none = np.zeros_like(half)
    back = np.vstack([pywt.idwt(half, none, name, "periodization"), pywt.idwt(none, half, name, "periodization")])
    back = back[:, :size].T
    off = float(np.abs(back @ there - np.eye(size)).max())
    if off > 1e-6:
        raise InputError(
            f"the wavelet {name!r} doesn't give rows of {size} numbers back (off by {off:.2g}); take another"
        )
    return torch.from_numpy(np.ascontiguousarray(there)), torch.from_numpy(np.ascontiguousarray(back))


def _blocks(sizes: Shape) -> list[tuple[Any, ...]]:
    """Where approximation and details stand after one level: approximation, then across, down, diagonal."""
    halves = [(slice(0, -(-size // 2)), slice(-(-size // 2), None)) for size in sizes]
    if len(sizes) == 1:
        return [(..., half) for half in halves[0]]
    return [(..., down, across) for down in halves[0] for across in halves[1]]


def _on_axis(x: torch.Tensor, matrix: torch.Tensor, axis: int) -> torch.Tensor:
    """``matrix`` times the last axis, or the one before."""
    if axis == 1:
        return torch.nn.functional.linear(x, matrix)
    return torch.nn.functional.linear(x.transpose(-1, -2), matrix).transpose(-1, -2)


def _like(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return matrix.to(device=x.device, dtype=x.dtype)


def _bands(bands: Any) -> int | tuple[float, ...]:
    if isinstance(bands, numbers.Integral):
        return whole(bands, "bands", 1)
    try:
        edges = tuple(float(edge) for edge in bands)
    except (TypeError, ValueError):
        edges = ()
    if len(edges) < 2 or not np.isfinite(edges).all() or edges[0] < 0 or (np.diff(edges) <= 0).any():
        raise InputError(f"bands must be a whole number, or at least two edges >= 0 that ascend; got {bands!r:.80}")
    return edges


def _axes(dimensions: Any) -> int | None:
    if dimensions is not None and (isinstance(dimensions, bool) or dimensions not in (1, 2)):
        raise InputError(f"dimensions must be 1 (signals), 2 (images) or None; got {dimensions!r:.60}")
    return dimensions


def _wave(i: int, size: int) -> str:
    if i == 0:
        return "constant"
    return f"{'cos' if i % 2 else 'sin'} {(i + 1) // 2}"


def _channel(at: tuple[int, ...], axes: int) -> str:
    return "".join(f"channel {c}: " for c in at[:-axes])
