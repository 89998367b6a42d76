"""Small pictures as PNG text: filters in two colours around zero, and images as they are.

Zero is transparent and strength is opacity, so that one picture stands on light and on dark paper. The two colours are
told apart by those who see red and green alike.

Source
------
The PNG format; no library is needed for it.

Cost
----
O(pixels) a picture; some 600 bytes for 28 by 28.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence

import numpy as np

__all__ = ["around_zero", "full_strength", "plain_image", "png", "png_uri"]

SHADES = 20
PLUS, MINUS = (203, 92, 30), (42, 110, 190)
"""Above and below zero; `plus` and `minus` of the style sheet lie near them."""


def full_strength(values: np.ndarray) -> float:
    """The size that is drawn at full strength: 99 % of the values are at most so large.

    Examples
    --------
    >>> full_strength(np.array([0.0, -2.0, 1.0]))
    2.0
    """
    sizes = np.abs(values).ravel()
    sizes = sizes[sizes > 0]
    return float(np.quantile(sizes, 0.99, method="higher")) if sizes.size else 1.0


def around_zero(values: np.ndarray, full: float) -> str:
    """Numbers ``(rows, columns)`` as base64 of a PNG; those of size `full` and beyond at full strength."""
    levels = np.rint(np.clip(values / full, -1.0, 1.0) * SHADES).astype(int) + SHADES
    palette = [MINUS] * SHADES + [(128, 128, 128)] + [PLUS] * SHADES
    opacity = [round(255 * abs(level) / SHADES) for level in range(-SHADES, SHADES + 1)]
    chunks = [(b"PLTE", bytes(c for colour in palette for c in colour)), (b"tRNS", bytes(opacity))]
    return png(levels.astype(np.uint8)[:, :, None], 3, chunks)


def plain_image(values: np.ndarray, low: float, high: float) -> str:
    """An image ``(rows, columns, channels)`` as base64 of a PNG: three channels in colour, else their mean in grey."""
    if values.shape[2] != 3:
        values = values.mean(axis=2, keepdims=True)
    span = high - low if high > low else 1.0
    levels = np.rint(np.clip((values - low) / span, 0.0, 1.0) * 255)
    return png(levels.astype(np.uint8), 2 if values.shape[2] == 3 else 0, [])


def png_uri(text: str) -> str:
    """The address of a picture that is in the page itself."""
    return f"data:image/png;base64,{text}"


def png(pixels: np.ndarray, kind: int, extra: Sequence[tuple[bytes, bytes]]) -> str:
    """Levels ``(h, w, channels)`` as base64 of a PNG of this colour kind, with `extra` chunks before the pixels."""
    rows, columns, _ = pixels.shape
    lines = b"".join(b"\0" + pixels[row].tobytes() for row in range(rows))
    head = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode("ascii")
