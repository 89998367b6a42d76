"""Images moved by a pixel or two: queries that stay images, where mixing rows would not.

Source
------
Own; moved images that the teacher labels are the oldest way to have more of them.

Departures
----------
What comes in at an edge is the least value of the rows, which is taken to be the background.

Checked
-------
Every row is a row of the data, moved; the moves are within the distance, and all of them come.

Cost
----
One copy a row.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.images import image_shape
from limbeck._core.seeds import RandomState
from limbeck._core.tables import Rows, Table
from limbeck.queries._source import Draw, sample_rows

__all__ = ["ImageShifts", "moved"]


@dataclass(frozen=True)
class ImageShifts:
    """Rows of the data, each an image, moved by a few pixels.

    Parameters
    ----------
    pixels : int
        The greatest distance of a move, up and down plus left and right together.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``; columns that are named ``p0, p1, ...`` and make a square
        need none.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0, 2.0, 3.0]])
    >>> ImageShifts(image_shape=(2, 2)).sample(X, 1, seed=0).reshape(2, 2)
    array([[0., 0.],
           [0., 2.]])
    """

    pixels: int = 1
    image_shape: tuple[int, ...] | None = None

    def sample(self, X: Rows, m: int, seed: RandomState = None, exclude: Rows | None = None) -> Any:
        """`m` rows made from `X` ``(n, d)``, in the container of `X`, none of them equal to a row of `exclude`.

        Raises
        ------
        InputError
            For a bad `m`, `seed` or `pixels`, where the columns make no image, or where too few rows outside `exclude`
            exist.
        """
        return sample_rows(self, X, m, seed, exclude)

    def prepare(self, table: Table, rng: np.random.Generator) -> Draw:
        """A function that draws encoded rows."""
        if isinstance(self.pixels, bool) or not isinstance(self.pixels, numbers.Integral) or self.pixels < 1:
            raise InputError(f"pixels must be a whole number of at least 1; got {self.pixels!r:.60}")
        shape = image_shape(table.schema, self.image_shape)
        if shape is None:
            raise InputError(
                f"ImageShifts moves images: give image_shape=(rows, columns); the {len(table.schema)} columns "
                f"{list(table.schema.names[:4])} ... are not named p0, p1, ... or make no square"
            )
        reach = range(-self.pixels, self.pixels + 1)
        moves = [(y, x) for y in reach for x in reach if 0 < abs(y) + abs(x) <= self.pixels]
        images, fill = table.values.reshape(-1, *shape), float(table.values.min())

        def draw(m: int) -> np.ndarray:
            chosen, move = rng.integers(len(images), size=m), rng.integers(len(moves), size=m)
            out = np.empty((m, *shape))
            for i, (down, right) in enumerate(moves):
                here = np.flatnonzero(move == i)
                out[here] = moved(images[chosen[here]], down, right, fill)
            return out.reshape(m, -1)

        return draw


def moved(images: np.ndarray, down: int, right: int, fill: float) -> np.ndarray:
    """The images ``(n, rows, columns, channels)`` moved by so many pixels, `fill` where nothing is."""
    height, width = images.shape[1:3]
    out = np.full_like(images, fill)
    if abs(down) < height and abs(right) < width:
        to_y, from_y = _spans(down, height)
        to_x, from_x = _spans(right, width)
        out[:, to_y, to_x] = images[:, from_y, from_x]
    return out


def _spans(step: int, size: int) -> tuple[slice, slice]:
    return slice(max(step, 0), size + min(step, 0)), slice(max(-step, 0), size + min(-step, 0))
