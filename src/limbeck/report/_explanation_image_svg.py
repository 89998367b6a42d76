"""An explained image: the picture, its units in colours, and the groups of a level with their outlines.

Source
------
Own. The picture is in the page once; every drawing of it is a reference to it.

Cost
----
O(pixels) a picture and a level.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from limbeck.report._explanation_levels import groups_at
from limbeck.report._explanation_tones import full_scale, score_text, tone
from limbeck.report._explanation_values import ExplainedRow, Picture
from limbeck.report._images import around_zero, full_strength, plain_image, png_uri
from limbeck.report._svg import element, place
from limbeck.report._words import plural

__all__ = ["TAGS", "Canvas", "heat_svg", "level_svg", "outline", "pair_svg", "picture_svg"]

SIDE = 280
"""A picture is so wide in its own units; the style sheet says how wide on the page."""
TAGS = 6
"""So many groups of a level carry a number in the picture."""
CLOSE, DEEP = 38.0, 0.72
"""How near two numbers may be in a small drawing, and the opacity of the strongest score over a picture."""


@dataclass(frozen=True)
class Canvas:
    """A picture of which every drawing speaks: its pixels, made coarse where there are too many, and its name."""

    name: str
    values: np.ndarray
    places: tuple[np.ndarray, ...]
    """Of each unit its positions among the pixels that are drawn."""
    coarse: int
    """So many pixels a side were made one."""

    @classmethod
    def of(cls, row: ExplainedRow, name: str, most: int) -> Canvas:
        """The canvas of a row, its picture at most so many pixels high and wide."""
        if not isinstance(row.input, Picture):
            raise TypeError(f"an image is required; got {type(row.input).__name__}")
        values = row.input.values
        factor = math.ceil(max(values.shape[:2]) / most)
        flat = tuple(np.array(unit.positions) for unit in row.units)
        if factor == 1:
            return cls(name, values, flat, 1)
        width = values.shape[1]
        height, across = (math.ceil(n / factor) for n in values.shape[:2])
        means = np.add.reduceat(np.add.reduceat(values, np.arange(height) * factor, 0), np.arange(across) * factor, 1)
        ones = np.ones(values.shape[:2])
        sizes = np.add.reduceat(np.add.reduceat(ones, np.arange(height) * factor, 0), np.arange(across) * factor, 1)
        places = tuple(_coarse(unit, width, factor, across, sizes) for unit in flat)
        return cls(name, means / sizes[:, :, None], places, factor)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def scale(self) -> float:
        """How large a pixel is."""
        return SIDE / max(self.shape)

    def mask(self, units: Iterable[int]) -> np.ndarray:
        """Where the units lie."""
        found = np.zeros(self.shape[0] * self.shape[1], dtype=bool)
        for unit in units:
            found[self.places[unit]] = True
        return found.reshape(self.shape)

    def whole(self, title: str, words: str, *parts: Markup) -> Markup:
        """The drawing as an `svg` element."""
        height, width = (n * self.scale for n in self.shape)
        attributes = {"class": "image-svg", "viewBox": f"0 0 {place(width)} {place(height)}", "role": "img"}
        return element("svg", attributes, element("title", {}, title), element("desc", {}, words), *parts)

    def again(self, kind: str) -> Markup:
        """The picture once more, by reference."""
        return element("use", {"href": f"#{self.name}", "class": kind})


def _coarse(unit: np.ndarray, width: int, factor: int, across: int, sizes: np.ndarray) -> np.ndarray:
    """The large pixels that are at least half of a unit's; all that it touches where there are none."""
    cells = (unit // width) // factor * across + (unit % width) // factor
    found, counts = np.unique(cells, return_counts=True)
    mostly = found[2 * counts >= sizes.ravel()[found]]
    return mostly if len(mostly) else found


def _png(canvas: Canvas, uri: str, **more: str) -> Markup:
    height, width = (n * canvas.scale for n in canvas.shape)
    size = {"width": place(width), "height": place(height), "preserveAspectRatio": "none"}
    return element("image", {**more, **size, "class": "pixels", "href": png_uri(uri)})


def picture_svg(canvas: Canvas, title: str) -> Markup:
    """The picture itself."""
    height, width = canvas.shape
    return canvas.whole(
        title, f"{width} × {height} pixels.", _png(canvas, plain_image(canvas.values, 0, 255), id=canvas.name)
    )


def heat_svg(canvas: Canvas, row: ExplainedRow) -> tuple[Markup, float]:
    """Every unit in the colour of its own score, over a trace of the picture; and the score of the full colour."""
    total, times = (np.zeros(canvas.shape[0] * canvas.shape[1]) for _ in range(2))
    for places, score in zip(canvas.places, row.alone, strict=True):
        total[places] += score
        times[places] += 1
    heat = (total / np.maximum(times, 1)).reshape(canvas.shape)
    full = full_strength(np.array(row.alone))
    above, below = sum(score > 0 for score in row.alone), sum(score < 0 for score in row.alone)
    words = f"{plural(above, 'unit')} with a score above zero, {below} below; the strongest "
    words += f"{score_text(max(row.alone, key=abs), full_scale(row.alone))}."
    traced = canvas.again("trace"), _png(canvas, around_zero(heat, full))
    return canvas.whole("The score of every single unit", words, *traced), full


def outline(mask: np.ndarray) -> tuple[str, str]:
    """The inside of a region as one path and its border as another, in pixels.

    Examples
    --------
    >>> outline(np.array([[False, True], [False, True]]))
    ('M1 0h1v1h-1zM1 1h1v1h-1z', 'M1 0H2M1 2H2M1 0V2M2 0V2')
    """
    padded = np.pad(mask, 1)
    inside = "".join(f"M{start} {r}h{end - start}v1h{start - end}z" for r, start, end in _runs(mask))
    flat = np.logical_xor(padded[:-1, 1:-1], padded[1:, 1:-1])
    upright = np.logical_xor(padded[1:-1, :-1], padded[1:-1, 1:]).T
    border = "".join(f"M{start} {r}H{end}" for r, start, end in _runs(flat))
    border += "".join(f"M{c} {start}V{end}" for c, start, end in _runs(upright))
    return inside, border


def _runs(mask: np.ndarray) -> list[tuple[int, int, int]]:
    """Of each line the runs of true entries: line, first, one after the last."""
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lines, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(line), int(start), int(end)) for line, start, end in zip(lines, starts, ends, strict=True)]


def level_svg(canvas: Canvas, row: ExplainedRow, level: int, full: float) -> Markup:
    """The groups of a level: filled by their scores, outlined, the strongest with their numbers."""
    found = groups_at(row.groups, level)
    shapes: list[Markup] = []
    tags = _Tags(canvas)
    for rank, i in enumerate(found, 1):
        group = row.groups[i]
        mask = canvas.mask(group.units)
        inside, border = outline(mask)
        pixels = plural(sum(len(row.units[unit].positions) for unit in group.units), "pixel")
        hover = element("title", {}, f"Group {rank}: {score_text(group.score, full)}, {pixels}")
        look = tone(group.score, full, DEEP)
        halo = element("path", {"class": "halo", "d": border})
        edge = element("path", {"class": f"edge-{look['class']}", "d": border})
        shapes.insert(0, element("g", {}, hover, element("path", {**look, "d": inside}), halo, edge))
        if rank <= TAGS:
            tags.add(mask, str(rank))
    words = ", ".join(f"group {k} {score_text(row.groups[i].score, full)}" for k, i in enumerate(found[:TAGS], 1))
    more = f" and {len(found) - TAGS} more" if len(found) > TAGS else ""
    scaled = element("g", {"transform": f"scale({canvas.scale:.4f})"}, *shapes)
    title = f"Level {level}: {plural(len(found), 'group')}"
    return canvas.whole(title, f"{words}{more}.", canvas.again("dim"), scaled, *tags.parts)


class _Tags:
    """Short texts beside or in regions; one that would lie on an earlier one is left out, or out of small drawings."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.parts: list[Markup] = []
        self.taken: list[tuple[float, float]] = []

    def add(self, mask: np.ndarray, text: str) -> None:
        """Write a text at a region: inside a large one, beside a small one."""
        x, y = self._place(mask)
        near = min((max(abs(x - a), abs(y - b)) for a, b in self.taken), default=math.inf)
        if near < CLOSE / 2:
            return
        kind = "tag" if near >= CLOSE else "tag crowded"
        self.taken.append((x, y))
        self.parts.append(element("text", {"class": kind, "x": x, "y": y, "dy": "0.36em"}, text))

    def _place(self, mask: np.ndarray) -> tuple[float, float]:
        rows, columns = np.nonzero(mask)
        scale = self.canvas.scale
        if math.sqrt(len(rows)) * scale < CLOSE:
            edge = (int(columns.max()) + 1) * scale + CLOSE / 2
            beside = edge if edge < SIDE - CLOSE / 2 else int(columns.min()) * scale - CLOSE / 2
            return beside, float(rows.mean() + 0.5) * scale
        nearest = int(np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2))
        return (int(columns[nearest]) + 0.5) * scale, (int(rows[nearest]) + 0.5) * scale


def pair_svg(canvas: Canvas, a: tuple[Sequence[int], str], b: tuple[Sequence[int], str]) -> Markup:
    """Two groups of units in the picture with their letters, the first with a full line, the second a broken one."""
    parts, tags = [], _Tags(canvas)
    for kind, (units, letter) in (("pair-a", a), ("pair-b", b)):
        mask = canvas.mask(units)
        border = outline(mask)[1]
        parts += [element("path", {"class": "halo", "d": border}), element("path", {"class": kind, "d": border})]
        tags.add(mask, letter)
    scaled = element("g", {"transform": f"scale({canvas.scale:.4f})"}, *parts)
    words = f"{a[1]} with a full line, {b[1]} with a broken one."
    return canvas.whole(f"{a[1]} and {b[1]}", words, canvas.again("dim"), scaled, *tags.parts)
