"""The pictures of modules: a layer's weights with its blocks, the weights that a label needs, small images of rows.

Weights inside a block have the colour of their module, all others are grey; strength is opacity, so that one picture
stands on light and on dark paper. Blocks are outlined and their modules' numbers are printed, so colour is never alone.

Source
------
Own.

Cost
----
O(pixels) a picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from limbeck.report._images import full_strength, plain_image, png, png_uri
from limbeck.report._modules_values import Blocks, Module
from limbeck.report._svg import element, place
from limbeck.report._words import plural, shortened

__all__ = [
    "Thumb",
    "block_colours",
    "block_words",
    "circuit_svg",
    "coarse",
    "example_picture",
    "spans",
    "tone",
    "weights_svg",
]

TONES = 8
SIDE, LEAST, STRIP, GAP, SMALL = 300.0, 84.0, 18.0, 3.0, 116.0
"""A layer's picture is so wide or high in its own units, the shorter side at least so much; the strips of modules."""
SHADES = 20
MAX_SAID = 12
GREY = (125, 125, 125)
COLOURS = (
    (92, 106, 200),
    (205, 115, 50),
    (50, 150, 130),
    (208, 78, 122),
    (158, 140, 40),
    (85, 152, 208),
    (158, 112, 200),
    (112, 118, 128),
)
"""Between the light and the dark page's colours of the first eight modules."""


@dataclass(frozen=True)
class Thumb:
    """An image in the page: its address, its size on the page, its words."""

    uri: str
    width: int
    height: int
    alt: str


def tone(module: int) -> str:
    """The class of a module's colour."""
    return f"k{module % TONES}"


def coarse(values: np.ndarray, most: int) -> np.ndarray:
    """Values ``(height, width, ...)`` with at most so many a side: means of neighbours.

    Examples
    --------
    >>> coarse(np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0]]), 2)
    array([[2., 5.]])
    """
    factor = math.ceil(max(values.shape[:2]) / most)
    for axis in (0, 1):
        starts = np.arange(0, values.shape[axis], factor)
        sizes = np.diff(np.append(starts, values.shape[axis]))
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        values = np.add.reduceat(values, starts, axis=axis) / sizes.reshape(shape)
    return values


def spans(blocks: Blocks, k: int) -> Iterator[tuple[int, tuple[float, float], tuple[float, float]]]:
    """Each module, and where their rows and where their columns begin and end, as shares of the picture."""
    ends = []
    for labels in (blocks.rows, blocks.columns):
        ends.append(np.concatenate([[0.0], np.cumsum(np.bincount(labels, minlength=k)) / len(labels)]))
    down, across = ends
    for module in range(k):
        yield module, (float(down[module]), float(down[module + 1])), (float(across[module]), float(across[module + 1]))


def block_colours(blocks: Blocks, shape: tuple[int, int]) -> np.ndarray:
    """Of each pixel the module whose block holds its middle, -1 outside of all blocks."""
    at = [np.sort(labels)[((np.arange(n) + 0.5) / n * len(labels)).astype(int)]
          for labels, n in zip((blocks.rows, blocks.columns), shape, strict=True)]  # fmt: skip
    return np.where(at[0][:, None] == at[1][None, :], at[0][:, None], -1)


def _coloured(values: np.ndarray, modules: np.ndarray, full: float) -> str:
    """Values from 0 in the colours of their modules, `full` and beyond at full strength, as base64 of a PNG."""
    colours = np.where(modules < 0, 0, 1 + modules % TONES)
    levels = np.rint(np.clip(values / full, 0, 1) * SHADES).astype(int)
    palette = bytes(channel for colour in (GREY, *COLOURS) for _ in range(SHADES + 1) for channel in colour)
    opacity = bytes(round(255 * level / SHADES) for _ in range(TONES + 1) for level in range(SHADES + 1))
    indices = (colours * (SHADES + 1) + levels).astype(np.uint8)
    return png(indices[:, :, None], 3, [(b"PLTE", palette), (b"tRNS", opacity)])


def weights_svg(blocks: Blocks, k: int, values: np.ndarray, title: str, words: str) -> Markup:
    """A layer's |weight|, sorted by modules: blocks outlined, and the modules' numbers along both sides."""
    rows, columns = len(blocks.rows), len(blocks.columns)
    height = min(max(SIDE * min(rows / columns, 1.0), LEAST), SIDE)
    width = min(max(SIDE * min(columns / rows, 1.0), LEAST), SIDE)
    left = top = STRIP + GAP
    parts = _canvas(blocks, values, full_strength(values), (left, top, width, height))
    for module, down, across in spans(blocks, k):
        y, x = top + down[0] * height, left + across[0] * width
        high, wide = (down[1] - down[0]) * height, (across[1] - across[0]) * width
        parts += _strip(module, (left - GAP - STRIP, y, STRIP, high), high)
        parts += _strip(module, (x, top - GAP - STRIP, wide, STRIP), wide)
        parts += _block(module, (x, y, wide, high))
    whole = {
        "viewBox": f"0 0 {place(left + width + 1)} {place(top + height + 1)}",
        "class": "weights-svg",
        "role": "img",
    }
    size = {"style": f"max-width:{place((left + width) * 1.35)}px"}
    return element("svg", {**whole, **size}, element("title", {}, title), element("desc", {}, words), *parts)


def circuit_svg(blocks: Blocks | None, k: int, values: np.ndarray, title: str, words: str) -> Markup:
    """The weights of a layer that a label needs, in the colours of their modules where the layer has some."""
    height, width = values.shape
    scale = SMALL / max(height, width)
    wide, high = max(width * scale, LEAST / 4), max(height * scale, LEAST / 4)
    one = Blocks(np.zeros(1, dtype=int), np.zeros(1, dtype=int)) if blocks is None else blocks
    parts = _canvas(one, values, 255.0, (1.0, 1.0, wide, high))
    for module, down, across in spans(one, k) if blocks is not None else ():
        y, x = 1 + down[0] * high, 1 + across[0] * wide
        parts += _block(module, (x, y, (across[1] - across[0]) * wide, (down[1] - down[0]) * high))
    whole = {"viewBox": f"0 0 {place(wide + 2)} {place(high + 2)}", "class": "weights-svg", "role": "img"}
    size = {"style": f"max-width:{place(wide + 2)}px"}
    return element("svg", {**whole, **size}, element("title", {}, title), element("desc", {}, words), *parts)


def _canvas(blocks: Blocks, values: np.ndarray, full: float, box: tuple[float, float, float, float]) -> list[Markup]:
    """The paper and the values on it."""
    where = dict(zip(("x", "y", "width", "height"), box, strict=True))
    uri = png_uri(_coloured(values, block_colours(blocks, (values.shape[0], values.shape[1])), full))
    image = {"class": "pixels", **where, "preserveAspectRatio": "none", "href": uri}
    return [element("rect", {"class": "under", **where}), element("image", image)]


def _block(module: int, box: tuple[float, float, float, float]) -> list[Markup]:
    """The outline of a block that has rows and columns."""
    where = dict(zip(("x", "y", "width", "height"), box, strict=True))
    return (
        [element("rect", {"class": f"block edge-{tone(module)}", **where})]
        if where["width"] and where["height"]
        else []
    )


def _strip(module: int, box: tuple[float, float, float, float], long: float) -> list[Markup]:
    """A module's piece of a side, with its number where there is room."""
    if not long:
        return []
    x, y, wide, high = box
    shape = {"class": tone(module), "x": x, "y": y, "width": wide, "height": high}
    out = [element("rect", {**shape, "stroke-width": 0})]
    if long >= 11:
        label = {"class": "number middle", "x": x + wide / 2, "y": y + high / 2 + 4}
        out.append(element("text", label, str(module + 1)))
    return out


def block_words(blocks: Blocks, modules: tuple[Module, ...]) -> str:
    """How many rows and columns each module has, for those who can't see the picture."""
    rows, columns = (np.bincount(labels, minlength=len(modules)) for labels in (blocks.rows, blocks.columns))
    said = [
        f"{shortened(module.name, 40)} {rows[i]} × {columns[i]}"
        for i, module in enumerate(modules[:MAX_SAID])
        if rows[i] or columns[i]
    ]
    more = f" and {len(modules) - MAX_SAID} more" if len(modules) > MAX_SAID else ""
    whole = f"{plural(len(blocks.rows), 'row')} (units) × {plural(len(blocks.columns), 'column')} (inputs)"
    return f"{whole}; blocks: {', '.join(said)}{more}."


def example_picture(values: np.ndarray, most: int, words: str) -> Thumb:
    """A row that is an image."""
    drawn = coarse(values, most)
    return Thumb(png_uri(plain_image(drawn, 0, 255)), *_size(drawn, 76), words)


def _size(values: np.ndarray, side: int) -> tuple[int, int]:
    height, width = values.shape[:2]
    scale = side / max(height, width)
    return max(round(width * scale), 12), max(round(height * scale), 12)
