"""The rows that are explained: what they are, their units, and how the document writes them down.

Departures
----------
What a row is follows from its shape and type where nobody says: whole numbers are words, ``(C, H, W)`` is an image,
``(C, T)`` a signal, ``(d,)`` a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck.attribution import Units, columns, pixels, tiles, windows, words

__all__ = ["KINDS", "as_input", "kind_of", "read_rows", "units_for"]

KINDS = ("image", "text", "signal", "table")
MOST_PIXELS = 1024
MOST_WINDOWS = 40


def read_rows(X: Any, names: Sequence[str] | None) -> tuple[np.ndarray, list[str] | None]:
    """The rows as an array, and the columns' names where they have some.

    Raises
    ------
    InputError
        For text, missing values, or fewer than one row.
    """
    import torch

    if isinstance(X, torch.Tensor):
        array = X.detach().cpu().numpy()
    elif isinstance(X, np.ndarray):
        array = X
    else:
        from limbeck._core.tables import Table

        table = Table.read(X, names=names)
        if not table.schema.all_numbers:
            text = [c.name for c in table.schema.columns if c.kind == "nominal"][:5]
            raise InputError(f"the network takes numbers; columns {text} hold text. Encode them as it was trained.")
        return np.array(table.values, dtype=np.float32), [str(name) for name in table.schema.names]
    if array.dtype.kind not in "fiu" or array.ndim < 2 or not len(array):
        raise InputError(f"X must be rows of numbers (n, ...), at least one; got {array.dtype} of shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("X must be finite; it holds NaN or infinite numbers. Fill them as the network was trained.")
    return array, None if names is None else [str(name) for name in names]


def kind_of(kind: str | None, X: np.ndarray) -> str:
    """What the rows are."""
    if kind is not None:
        if kind not in KINDS:
            raise InputError(f"kind must be one of {', '.join(KINDS)}; got {kind!r:.60}.{did_you_mean(kind, KINDS)}")
        return kind
    if X.dtype.kind in "iu" and X.ndim == 2:
        return "text"
    return {2: "table", 3: "signal", 4: "image"}.get(X.ndim, "table")


def units_for(
    kind: str, row: np.ndarray, names: list[str] | None, tokens: Sequence[str] | None, tile: int | None
) -> Units:
    """The units of one row."""
    if kind == "image":
        if tile is None and row.shape[-1] * row.shape[-2] <= MOST_PIXELS:
            return pixels(row.shape)
        return tiles(row.shape, tile or max(2, row.shape[-1] // 14))
    if kind == "text":
        named = [str(int(token)) for token in row] if tokens is None else list(tokens)[: len(row)]
        return words(named, length=len(row))
    if kind == "signal":
        return windows(row.shape, tile or max(1, -(-row.shape[-1] // MOST_WINDOWS)))
    return columns(row.shape[0] if names is None else names)


def as_input(kind: str, row: np.ndarray, units: Units, names: list[str] | None) -> dict[str, Any]:
    """A row as the document holds it."""
    if kind == "image":
        channels = row[None] if row.ndim == 2 else row
        shown = channels if len(channels) in (1, 3) else channels.mean(0, keepdims=True)
        low, high = float(shown.min()), float(shown.max())
        scaled = (shown - low) / (high - low) * 255 if high > low else np.zeros_like(shown, dtype=float)
        values = np.rint(np.moveaxis(scaled, 0, -1)).astype(int).ravel().tolist()
        return {"height": shown.shape[1], "width": shown.shape[2], "channels": len(shown), "values": values}
    if kind == "text":
        return {"words": list(units.names)}
    if kind == "signal":
        return {"channels": np.atleast_2d(row).astype(float).tolist()}
    return {
        "names": list(units.names) if names is None else names,
        "values": [f"{value:.6g}" for value in row.tolist()],
    }
