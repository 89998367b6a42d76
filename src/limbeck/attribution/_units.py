"""Units: the parts of one row that are scored together - pixels, tiles, words, windows, columns - and which touch.

Source
------
Singh2019, section 3: what an agglomeration starts from. The paper has pixels, square patches and words.

Departures
----------
- Which units are neighbours is part of the units, so that any graph will do: words further apart than one place
  (`reach`), columns of a table (each a neighbour of each), superpixels of an image.
- Pixels and tiles that touch at a corner are neighbours, so that a thin slanted stroke is one group.
- A unit of an image or a signal holds all channels at its place.

Checked
-------
tests/unit/test_agglomerate.py: against neighbours that are found by comparing the masks themselves.

Cost
----
One byte for each unit and number of the row; at most 256 MiB.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError
from limbeck.attribution._unit_graph import chain, checked_graph, count_of, image_shape, room, sizes_of, touching

__all__ = ["Kind", "Units", "columns", "pixels", "superpixels", "tiles", "units_from_labels", "windows", "words"]

Kind: TypeAlias = Literal["image", "text", "signal", "table"]
KINDS = ("image", "text", "signal", "table")


@dataclass(frozen=True, eq=False)
class Units:
    """The parts of one row, none of which overlap, and which of them are neighbours.

    Parameters
    ----------
    names : tuple of str
        One a unit; two may be equal, as two words of a sentence are.
    masks : boolean array ``(u, *row)``
        Where each unit is. A number of the row may belong to no unit (padding), but not to two.
    neighbours : tuple of tuple of int
        For each unit the numbers of those it can be joined with; the same from both sides.
    kind : {"image", "text", "signal", "table"}

    Raises
    ------
    InputError
        For units that are empty or overlap, and for neighbours that are not units or hold from one side only.

    Examples
    --------
    >>> units = words(["not", "a", "good", "film"])
    >>> len(units), units.row_shape, units.neighbours
    (4, (4,), ((1,), (0, 2), (1, 3), (2,)))
    >>> units.mask((0, 2)).tolist()
    [True, False, True, False]
    """

    names: tuple[str, ...]
    masks: np.ndarray
    neighbours: tuple[tuple[int, ...], ...]
    kind: Kind

    def __post_init__(self) -> None:
        """Refuse units that can't be scored."""
        masks = np.asarray(self.masks)
        u = len(self.names)
        if self.kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}; got {self.kind!r:.60}")
        if masks.dtype != bool or masks.ndim < 2 or len(masks) != u or u < 1:
            raise InputError(
                f"masks must be a boolean array (u, *row) with one mask for each of the {u} names, at least one; "
                f"got {masks.dtype} of shape {masks.shape}"
            )
        flat = masks.reshape(u, -1)
        empty = np.flatnonzero(~flat.any(axis=1))
        if len(empty):
            raise InputError(f"every unit must hold at least one number of the row; unit {empty[0]} holds none")
        twice = np.flatnonzero(flat.sum(axis=0) > 1)
        if len(twice):
            both = np.flatnonzero(flat[:, twice[0]])[:2].tolist()
            raise InputError(f"units must not overlap; units {both[0]} and {both[1]} both hold number {twice[0]}")
        object.__setattr__(self, "names", tuple(str(name) for name in self.names))
        object.__setattr__(self, "masks", masks)
        object.__setattr__(self, "neighbours", checked_graph(self.neighbours, u))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row."""
        return tuple(self.masks.shape[1:])

    @property
    def positions(self) -> tuple[tuple[int, ...], ...]:
        """For each unit its flat places without channels: pixel ``r * width + c``, time step, word, column."""
        masks, shape = self.masks, self.row_shape
        if (self.kind == "image" and len(shape) == 3) or (self.kind == "signal" and len(shape) == 2):
            masks = np.asarray(masks.any(axis=1))
        return tuple(tuple(np.flatnonzero(mask).tolist()) for mask in masks)

    def mask(self, group: Iterable[int]) -> np.ndarray:
        """Where the units of a group are: a boolean array of the shape of one row."""
        return np.asarray(self.masks[list(group)].any(axis=0))


def pixels(shape: Sequence[int]) -> Units:
    """Every pixel of an image ``(C, H, W)`` or ``(H, W)`` as a unit, named ``row,column``.

    Raises
    ------
    InputError
        For another shape, and for an image of so many pixels that tiles or superpixels are the better units.

    Examples
    --------
    >>> units = pixels((1, 2, 3))
    >>> units.names[4], units.masks.shape, units.neighbours[0]
    ('1,1', (6, 1, 2, 3), (1, 3, 4))
    """
    channels, height, width = image_shape(shape)
    labels = np.arange(height * width).reshape(height, width)
    names = [f"{r},{c}" for r in range(height) for c in range(width)]
    return units_from_labels(labels, names, "image", channels)


def tiles(shape: Sequence[int], size: int) -> Units:
    """Squares of `size` by `size` pixels, from the upper left corner; those at the far edges may be smaller.

    Raises
    ------
    InputError
        For another shape than ``(C, H, W)`` or ``(H, W)``, and a size that is not a whole number of at least 1.

    Examples
    --------
    >>> units = tiles((6, 6), 3)
    >>> units.names, units.neighbours[0], int(units.masks[0].sum())
    (('0-2,0-2', '0-2,3-5', '3-5,0-2', '3-5,3-5'), (1, 2, 3), 9)
    """
    channels, height, width = image_shape(shape)
    side = count_of("size", size)
    across = math.ceil(width / side)
    labels = (np.arange(height)[:, None] // side) * across + np.arange(width)[None, :] // side
    names = [
        f"{r}-{min(r + side, height) - 1},{c}-{min(c + side, width) - 1}"
        for r in range(0, height, side)
        for c in range(0, width, side)
    ]
    return units_from_labels(labels, names, "image", channels)


def superpixels(image: Any, count: int) -> Units:
    """About `count` connected regions of like colour, named ``region 0``, ``region 1``, ...

    k-means on place and colour from a regular grid of centres, the same for the same image; pieces cut off from their
    region go to the region they touch most.

    Parameters
    ----------
    image : array or tensor ``(C, H, W)`` or ``(H, W)``
    count : int
        At least 1, at most the number of pixels. A few more or fewer may come back.

    Raises
    ------
    InputError
        For another shape, for values that are not finite, and for more regions than pixels.

    Examples
    --------
    >>> image = np.zeros((8, 8))
    >>> image[:, 4:] = 1.0
    >>> units = superpixels(image, 2)
    >>> [int(mask.sum()) for mask in units.masks]
    [32, 32]
    """
    from limbeck.attribution._superpixels import regions

    values = np.asarray(image, dtype=np.float64)
    channels, height, width = image_shape(values.shape)
    if not np.isfinite(values).all():
        raise InputError("an image for superpixels must hold finite numbers; this one holds NaN or infinity")
    if count_of("count", count) > height * width:
        raise InputError(f"count must be at most the {height * width} pixels of the image; got {count}")
    labels = regions(values.reshape(-1, height, width), int(count))
    return units_from_labels(labels, [f"region {i}" for i in range(int(labels.max()) + 1)], "image", channels)


def words(tokens: Sequence[str], *, length: int | None = None, reach: int | None = 1) -> Units:
    """Every word of a sentence as a unit, for a row of token ids ``(L,)``.

    Parameters
    ----------
    tokens : sequence of str
        The words, in the order of the row; one for each place.
    length : int, optional
        The length of the row where it is longer than the sentence: the rest is padding, and belongs to no unit.
    reach : int, optional
        Words at most so many places apart are neighbours; None makes every word a neighbour of every other.

    Raises
    ------
    InputError
        For a single string, no words, and a length shorter than the sentence.

    Examples
    --------
    >>> words(["not", "very", "good"], reach=2).neighbours
    ((1, 2), (0, 2), (0, 1))
    >>> words(["fine"], length=4).masks.tolist()
    [[True, False, False, False]]
    """
    if isinstance(tokens, str | bytes):
        raise InputError(f"tokens must be a sequence of words, not one string; got {tokens!r:.60}. Split it first.")
    names = [str(token) for token in tokens]
    if not names:
        raise InputError("tokens must hold at least one word; got none")
    long = len(names) if length is None else count_of("length", length)
    if long < len(names):
        raise InputError(f"length must be at least the number of words, {len(names)}; got {length}")
    return Units(tuple(names), np.eye(len(names), long, dtype=bool), chain(len(names), reach), "text")


def windows(shape: int | Sequence[int], size: int, *, reach: int | None = 1) -> Units:
    """Pieces of `size` time steps of a signal, all channels together, named by their first and last step.

    Parameters
    ----------
    shape : int or tuple
        The number of steps, or the row's shape ``(T,)`` or ``(C, T)``.
    size : int
        Steps in a piece; the last one may be shorter.
    reach : int, optional
        As in `words`.

    Raises
    ------
    InputError
        For another shape, and a size that is not a whole number of at least 1.

    Examples
    --------
    >>> units = windows((2, 10), 4)
    >>> units.names, units.masks.shape, units.positions[2]
    (('0-3', '4-7', '8-9'), (3, 2, 10), (8, 9))
    """
    sizes = sizes_of((shape,) if isinstance(shape, numbers.Integral) else shape)
    if len(sizes) not in (1, 2):
        raise InputError(f"a signal's shape is a number of steps, (T,) or (C, T); got {shape!r:.60}")
    step, length = count_of("size", size), sizes[-1]
    starts = range(0, length, step)
    room(len(starts), sizes)
    flat = np.arange(length)[None, :] // step == np.arange(len(starts))[:, None]
    masks = flat if len(sizes) == 1 else np.repeat(flat[:, None], sizes[0], axis=1)
    names = tuple(f"{start}-{min(start + step, length) - 1}" for start in starts)
    return Units(names, masks, chain(len(starts), reach), "signal")


def columns(names: Sequence[str] | int) -> Units:
    """Every column of a table as a unit, for a row ``(d,)``; each is a neighbour of each.

    Parameters
    ----------
    names : sequence of str, or int
        The columns' names; or how many there are, named ``x0, x1, ...``.

    Raises
    ------
    InputError
        For a single string, or no columns.

    Examples
    --------
    >>> columns(3).names, columns(["age", "hours"]).neighbours
    (('x0', 'x1', 'x2'), ((1,), (0,)))
    """
    if isinstance(names, str | bytes):
        raise InputError(f"names must be a sequence of column names, not one string; got {names!r:.60}")
    known = [f"x{i}" for i in range(count_of("names", names))] if isinstance(names, numbers.Integral) else list(names)  # type: ignore[arg-type]
    if not known:
        raise InputError("names must hold at least one column; got none")
    texts = tuple(str(name) for name in known)
    return Units(texts, np.eye(len(texts), dtype=bool), chain(len(texts), None), "table")


def units_from_labels(labels: np.ndarray, names: Sequence[str], kind: Kind, channels: int | None = None) -> Units:
    """Units from a picture ``(H, W)`` that holds the number of each pixel's unit; neighbours touch, at corners too."""
    u = len(names)
    room(u, labels.shape if channels is None else (channels, *labels.shape))
    masks = labels[None] == np.arange(u).reshape(-1, 1, 1)
    if channels is not None:
        masks = np.repeat(masks[:, None], channels, axis=1)
    return Units(tuple(names), masks, touching(labels, u), kind)
