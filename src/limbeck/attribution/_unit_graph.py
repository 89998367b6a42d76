"""Which units touch, and the whole numbers that units are made from."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["Graph", "chain", "checked_graph", "count_of", "image_shape", "room", "sizes_of", "touching"]

Graph: TypeAlias = tuple[tuple[int, ...], ...]
"""For each unit the numbers of its neighbours."""

MOST_BYTES = 2**28
"""More than this for the masks is refused: pixels of a large photo are not what anyone can read."""


def touching(labels: np.ndarray, u: int) -> Graph:
    """Which of `u` units touch, at corners too, in a picture ``(H, W)`` of their numbers."""
    near: list[set[int]] = [set() for _ in range(u)]
    shifted = (
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    )
    for one, other in shifted:
        for a, b in np.unique(np.stack([one.ravel(), other.ravel()], axis=1), axis=0).tolist():
            if a != b:
                near[a].add(b)
                near[b].add(a)
    return tuple(tuple(sorted(found)) for found in near)


def chain(u: int, reach: int | None) -> Graph:
    """Units in a row, each a neighbour of those at most `reach` places away; of all where that is None."""
    far = u if reach is None else count_of("reach", reach)
    return tuple(tuple(j for j in range(max(0, i - far), min(u, i + far + 1)) if j != i) for i in range(u))


def checked_graph(neighbours: Any, u: int) -> Graph:
    """The neighbours of `u` units, sorted; an error where they are not units or hold from one side only."""
    if len(neighbours) != u:
        raise InputError(f"neighbours must hold one tuple for each of the {u} units; got {len(neighbours)}")
    graph = tuple(tuple(sorted({int(j) for j in near})) for near in neighbours)
    for i, near in enumerate(graph):
        for j in near:
            if not 0 <= j < u or j == i or i not in graph[j]:
                raise InputError(
                    f"neighbours must be other units, 0 to {u - 1}, and hold from both sides; unit {i} has {j}"
                )
    return graph


def room(u: int, shape: Sequence[int]) -> None:
    """An error where the masks of `u` units need more than `MOST_BYTES`."""
    need = u * math.prod(shape)
    if need > MOST_BYTES:
        raise InputError(
            f"{u} units of a row of shape {tuple(shape)} are too many: their masks need {need / 2**20:,.0f} MiB, "
            f"at most {MOST_BYTES // 2**20} are allowed. Take tiles(shape, size) or superpixels(image, count)."
        )


def image_shape(shape: Any) -> tuple[int | None, int, int]:
    """Channels (None for an image without), height and width."""
    sizes = sizes_of(shape)
    if len(sizes) not in (2, 3):
        raise InputError(f"an image's shape is (H, W) or (C, H, W); got {tuple(shape)!r:.60}")
    return (None, *sizes) if len(sizes) == 2 else sizes  # type: ignore[return-value]


def sizes_of(shape: Any) -> tuple[int, ...]:
    """A shape as whole numbers of at least 1."""
    try:
        sizes = tuple(shape)
    except TypeError:
        sizes = ()
    right = [isinstance(s, numbers.Integral) and not isinstance(s, bool) and int(s) >= 1 for s in sizes]
    if not sizes or not all(right):
        raise InputError(f"a row's shape is a tuple of whole numbers of at least 1; got {shape!r:.60}")
    return tuple(int(s) for s in sizes)


def count_of(name: str, value: Any) -> int:
    """The value as a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
        raise InputError(f"{name} must be a whole number of at least 1; got {value!r:.60}")
    return int(value)
