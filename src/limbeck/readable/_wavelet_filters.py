"""The discrete wavelet transform in NumPy for any low-pass filter: boundaries, levels, and where each number stands.

Source
------
Mallat1989: two filters and every second number, again and again on the approximation.

Symbols
-------
h, `lowpass`; g, `highpass_of(lowpass)`; J, `level`. Extended signal: what stands before and after it, by the mode.

Departures
----------
Conventions are those of PyWavelets (``dec_lo``; ``wavedec`` and ``wavedec2``; names of modes), so that numbers agree.

Checked
-------
tests/unit/test_wavelet_transform.py: every mode, lengths 1 to 40, against PyWavelets to 1e-12.

Cost
----
O(L n) a signal.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck._core.errors import InputError, did_you_mean

__all__ = [
    "ADJOINT",
    "MODES",
    "Block",
    "atoms_of",
    "blocks_of",
    "check_mode",
    "decompose",
    "edges",
    "highpass_of",
    "shaped",
    "sizes_of",
]

MODES = (
    *("zero", "constant", "symmetric", "reflect", "periodic", "smooth", "periodization"),
    *("antisymmetric", "antireflect"),
)
"""Boundary modes by PyWavelets' names; each gives the signal back."""

UNITS = 512
"""Unit signals that are transformed at a time."""
EMPTY = 1e-12
"""A part of a coefficient's greatest that counts as nothing."""

_PADDED = "periodization, padded by zero"
ADJOINT = {mode: _PADDED if mode == "periodization" else "zero" for mode in MODES}
"""By mode: the boundary with which decomposing is the transpose of composing."""


def check_mode(mode: object) -> None:
    """Refuse a boundary mode that PyWavelets does not know."""
    if mode not in MODES:
        raise InputError(f"mode must be one of {sorted(MODES)}; got {mode!r:.60}.{did_you_mean(str(mode), MODES)}")


def highpass_of(lowpass: np.ndarray) -> np.ndarray:
    """The quadrature mirror ``(L,)`` of a low-pass filter.

    Examples
    --------
    >>> highpass_of(np.array([1.0, 2.0])).tolist()
    [-2.0, 1.0]
    """
    signs = np.where(np.arange(len(lowpass)) % 2 == 0, -1.0, 1.0)
    return np.asarray(signs * lowpass[::-1])


def halved(n: int, length: int, mode: str) -> int:
    """How many numbers one level makes of `n` with a filter of this length."""
    return (n + 1) // 2 if mode.startswith("periodization") else (n + length - 1) // 2


@functools.lru_cache(maxsize=256)
def edges(n: int, length: int, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """What stands before and after a signal of `n` numbers, as linear functions of it: ``(before, n), (after, n)``."""
    before = length // 2 - 1 if mode.startswith("periodization") else length - 2
    after = 2 * halved(n, length, mode) - 2 + length - before - n
    left = [_beyond(i, n, mode) for i in range(-before, 0)]
    right = [_beyond(i, n, mode) for i in range(n, n + after)]
    return np.array(left).reshape(before, n), np.array(right).reshape(after, n)


def _beyond(i: int, n: int, mode: str) -> np.ndarray:
    """The number at place `i`, outside of 0 to n - 1, as a linear function of the signal."""
    row = np.zeros(n)
    if mode == "constant" or (n == 1 and mode in ("reflect", "smooth", "antireflect")):
        row[min(max(i, 0), n - 1)] = 1.0
    elif mode == "periodic":
        row[i % n] = 1.0
    elif mode == "periodization":
        row[min(i % (n + n % 2), n - 1)] = 1.0
    elif mode == _PADDED:
        row[i % (n + n % 2) % n] = float(i % (n + n % 2) < n)
    elif mode in ("symmetric", "antisymmetric"):
        place = i % (2 * n)
        row[min(place, 2 * n - 1 - place)] = -1.0 if mode == "antisymmetric" and place >= n else 1.0
    elif mode == "reflect":
        place = i % (2 * n - 2)
        row[min(place, 2 * n - 2 - place)] = 1.0
    elif mode == "smooth":
        end, inner, steps = (0, 1, -i) if i < 0 else (n - 1, n - 2, i - n + 1)
        row[end], row[inner] = 1.0 + steps, -float(steps)
    elif mode == "antireflect":
        turns, place = divmod(i, n - 1)
        odd = turns % 2
        row[n - 1 - place if odd else place] += -1.0 if odd else 1.0
        row[n - 1] += turns + odd
        row[0] -= turns - odd
    return row


def _one_level(X: np.ndarray, lowpass: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Approximation and detail along the last axis."""
    left, right = edges(X.shape[-1], len(lowpass), mode)
    whole = np.concatenate([X @ left.T, X, X @ right.T], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(whole, len(lowpass), axis=-1)[..., ::2, :]
    filters = np.column_stack([lowpass[::-1], highpass_of(lowpass)[::-1]])
    both = windows @ filters
    return both[..., 0], both[..., 1]


def decompose(X: np.ndarray, lowpass: np.ndarray, level: int, mode: str, axes: int = 1) -> np.ndarray:
    """The coefficients ``(*rows, m)`` of signals ``(*rows, n)`` or, with two `axes`, images ``(*rows, h, w)``.

    Approximation first, then details from coarse to fine; of an image each level's across, down and diagonal.

    Examples
    --------
    >>> decompose(np.array([1.0, 1.0, 1.0, 3.0]), np.array([0.5, 0.5]), 1, "zero").tolist()
    [1.0, 2.0, 0.0, -1.0]
    """
    approximation = np.asarray(X, dtype=np.float64)
    details: list[np.ndarray] = []
    for _ in range(level):
        parts = list(_one_level(approximation, lowpass, mode))
        if axes == 2:
            turned = [_one_level(part.swapaxes(-1, -2), lowpass, mode) for part in parts]
            (ll, lh), (hl, hh) = [[half.swapaxes(-1, -2) for half in pair] for pair in turned]
            parts = [ll, lh, hl, hh]
        approximation = parts[0]
        details = [*(_flat(part, axes) for part in parts[1:]), *details]
    return np.concatenate([_flat(approximation, axes), *details], axis=-1)


def _flat(part: np.ndarray, axes: int) -> np.ndarray:
    return part.reshape(*part.shape[: part.ndim - axes], -1)


@dataclass(frozen=True)
class Block:
    """Coefficients that belong together: the approximation, or the details of one scale (and, of images, direction).

    Attributes
    ----------
    name : str
        Such as ``scale 3`` or ``scale 2 across``.
    scale : int
        1 is the finest.
    start, size : int
        Where its numbers stand among all.
    """

    name: str
    scale: int
    start: int
    size: int

    @property
    def stop(self) -> int:
        """The place after its last number."""
        return self.start + self.size


def sizes_of(shape: Sequence[int], length: int, level: int, mode: str) -> list[tuple[int, ...]]:
    """The sizes of the signal or image, and of its approximation after each level."""
    found = [tuple(shape)]
    for _ in range(level):
        found.append(tuple(halved(n, length, mode) for n in found[-1]))
    return found


def blocks_of(shape: Sequence[int], length: int, level: int, mode: str, channels: int = 1) -> tuple[Block, ...]:
    """The blocks of the coefficients of a signal ``(n,)`` or an image ``(h, w)``, channel after channel, in order."""
    sizes = sizes_of(shape, length, level, mode)
    kinds = ("",) if len(shape) == 1 else (" across", " down", " diagonal")
    listed = [("approximation", level, sizes[-1])]
    listed += [(f"scale {j}{kind}", j, sizes[j]) for j in range(level, 0, -1) for kind in kinds]
    out: list[Block] = []
    for c in range(channels):
        for name, scale, size in listed:
            start = out[-1].stop if out else 0
            out.append(Block(f"channel {c}: {name}" if channels > 1 else name, scale, start, math.prod(size)))
    return tuple(out)


def shaped(X: np.ndarray, image: tuple[int, int, int] | None) -> np.ndarray:
    """Signals ``(n, 1, d)`` or images ``(n, channels, rows, columns)`` from rows ``(n, d)``."""
    return X[:, None] if image is None else np.moveaxis(X.reshape(len(X), *image), -1, 1)


def atoms_of(
    places: Sequence[int], d: int, image: tuple[int, int, int] | None, lowpass: np.ndarray, level: int, mode: str
) -> np.ndarray:
    """What the coefficients at these places multiply the `d` numbers of a signal by, ``(places, d)``."""
    if not len(places):
        return np.empty((0, d))
    parts = []
    for begin in range(0, d, UNITS):
        unit = np.zeros((min(UNITS, d - begin), d))
        unit[np.arange(len(unit)), begin + np.arange(len(unit))] = 1.0
        whole = decompose(shaped(unit, image), lowpass, level, mode, 1 if image is None else 2)
        parts.append(whole.reshape(len(unit), -1)[:, list(places)])
    atoms = np.concatenate(parts).T
    most = np.abs(atoms).max(axis=1, keepdims=True)
    return np.asarray(np.where(np.abs(atoms) > EMPTY * most, atoms, 0.0))
