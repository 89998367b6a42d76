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

__all__ = ["KINDS", "as_input", "as_part", "kind_of", "read_rows", "units_for"]

KINDS = ("image", "text", "signal", "table")
MOST_PIXELS = 1024
MOST_WINDOWS = 40
MOST_SIDE, MOST_STEPS, MOST_CHANNELS, MOST_MOVED = 96, 600, 6, 6
"""Parts are held so small: pixels along a side, steps, channels, columns."""
LEAST_MOVED = 0.01
"""Columns that a part moves by less of their spread are left out."""
ROUNDING, FLAT = 1e-6, 1e-3


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
        shown = _channels(row)
        return _picture(shown, float(shown.min()), float(shown.max()))
    if kind == "text":
        return {"words": list(units.names)}
    if kind == "signal":
        return {"channels": np.atleast_2d(row).astype(float).tolist()}
    return {
        "names": list(units.names) if names is None else names,
        "values": [f"{value:.6g}" for value in row.tolist()],
    }


def as_part(
    kind: str, part: np.ndarray, row: np.ndarray, names: Sequence[str] | None, spread: np.ndarray | None
) -> dict[str, Any]:
    """A part of a row as the document holds it: made small, numbers around 0 kept around 0.

    Parameters
    ----------
    kind : str
        Of the row.
    part : array ``(*row)``
        What a group of coefficients gives, in the input's own space.
    row : array ``(*row)``
        What it is a part of: numbers that are nothing beside it are 0.
    names, spread : sequence and array
        Of a table's columns: those that move most, by their spread, are held.
    """
    whole = float(np.abs(row).max())
    if kind != "table":  # whose columns have units of their own
        part = np.where(np.abs(part) > ROUNDING * whole, part, 0.0)
    if kind == "image":
        shown = _pooled(_channels(part))
        full = float(np.abs(shown).max())
        full = (full if np.ptp(shown) > FLAT * full else max(full, whole)) or 1.0  # one grey alone has no contrast
        low = -full if shown.min() < 0 else 0.0
        return _picture(shown, low, full) | {"low": _short(low), "high": _short(full)}
    if kind == "signal":
        curves = [_thinned(curve) for curve in np.atleast_2d(part)[:MOST_CHANNELS]]
        return {"channels": [[_short(value) for value in curve] for curve in curves]}
    moved = np.abs(part) / (1.0 if spread is None else np.where(spread > 0, spread, 1.0))
    most = [i for i in np.argsort(-moved, kind="stable")[:MOST_MOVED].tolist() if moved[i] > LEAST_MOVED] or [0]
    called = [str(i) for i in range(len(part))] if names is None else names
    return {"names": [str(called[i]) for i in most], "values": [f"{part[i]:+.3g}" for i in most]}


def _channels(row: np.ndarray) -> np.ndarray:
    """An image ``(1 or 3, height, width)``."""
    channels = row[None] if row.ndim == 2 else row
    return channels if len(channels) in (1, 3) else channels.mean(0, keepdims=True)


def _picture(shown: np.ndarray, low: float, high: float) -> dict[str, Any]:
    scaled = (shown - low) / (high - low) * 255 if high > low else np.zeros_like(shown, dtype=float)
    values = np.rint(np.moveaxis(scaled, 0, -1)).astype(int).ravel().tolist()
    return {"height": shown.shape[1], "width": shown.shape[2], "channels": len(shown), "values": values}


def _pooled(image: np.ndarray) -> np.ndarray:
    """An image of at most `MOST_SIDE` pixels a side: of some that lie side by side the one that is farthest from 0.

    A mean would leave nothing of high frequencies.
    """
    factor = -(-max(image.shape[1:]) // MOST_SIDE)
    if factor <= 1:
        return image
    above, below = (_reduced(reduce, image, factor) for reduce in (np.maximum, np.minimum))
    return np.where(above >= -below, above, below)


def _reduced(reduce: np.ufunc, image: np.ndarray, factor: int) -> np.ndarray:
    rows, columns = (np.arange(0, size, factor) for size in image.shape[1:])
    return np.asarray(reduce.reduceat(reduce.reduceat(image, rows, 1), columns, 2))


def _thinned(curve: np.ndarray) -> np.ndarray:
    """A curve with at most `MOST_STEPS` numbers: of each stretch its lowest and its highest, in their order."""
    if len(curve) <= MOST_STEPS:
        return curve
    kept = []
    for stretch in np.array_split(curve, MOST_STEPS // 2):
        kept += [stretch[i] for i in sorted((int(stretch.argmin()), int(stretch.argmax())))]
    return np.array(kept)


def _short(value: float) -> float:
    """Five digits: more can't be seen."""
    return float(f"{value:.5g}")
