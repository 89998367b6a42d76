"""Images as rows of a table: which shape the columns make."""

from __future__ import annotations

import math
from typing import Any

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema

__all__ = ["ImageShape", "image_shape"]

ImageShape = tuple[int, int, int]
"""Rows, columns, channels; the last runs fastest."""


def image_shape(schema: Schema, shape: Any = None) -> ImageShape | None:
    """The shape of the image that the columns make, or None where they make none.

    Parameters
    ----------
    schema : Schema
    shape : tuple, optional
        What the user says: ``(rows, columns)`` or ``(rows, columns, channels)``. Where absent, columns of numbers that
        are named ``p0, p1, ...`` and whose number is a square are an image of one channel.

    Raises
    ------
    InputError
        Where `shape` does not hold as many pixels as there are columns.
    """
    m = len(schema)
    if shape is None:
        side = math.isqrt(m)
        named = side > 1 and schema.names == tuple(f"p{i}" for i in range(side * side))
        return (side, side, 1) if named and schema.all_numbers else None
    try:
        sizes = tuple(int(size) for size in shape)
    except (TypeError, ValueError):
        sizes = ()
    sizes = (*sizes, 1) if len(sizes) == 2 else sizes
    if len(sizes) != 3 or min(sizes) < 1 or math.prod(sizes) != m or not schema.all_numbers:
        raise InputError(
            f"image_shape is (rows, columns) or (rows, columns, channels) with {m} pixels in all, one for each column "
            f"of numbers; got {shape!r:.60}"
        )
    return sizes[0], sizes[1], sizes[2]
