"""Matrices as small pictures of grey levels, for documents.

Cost
----
One pass over the values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["grey_picture"]


def grey_picture(values: np.ndarray, largest: int, top: float) -> dict[str, Any]:
    """Values ``(h, w)`` from 0 to `top` as levels from 0 to 255; neighbours are averaged where a side is too long."""
    pooled = values.astype(float)
    for axis in (0, 1):
        n = pooled.shape[axis]
        if n > largest:
            starts = (np.arange(largest) * n) // largest
            counts = np.diff([*starts, n])
            summed = np.add.reduceat(pooled, starts, axis=axis)
            pooled = summed / (counts[:, None] if axis == 0 else counts)
    grey = np.rint(np.clip(pooled / top if top > 0 else pooled, 0.0, 1.0) * 255).astype(int)
    return {"height": grey.shape[0], "width": grey.shape[1], "values": grey.ravel().tolist()}
