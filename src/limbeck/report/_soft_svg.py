"""The first levels of a soft tree as a picture: filters as images or as bars, and below them what their rows become.

Cost
----
At most 15 filters and 16 distributions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.readable import SoftTreeReadable
from limbeck.report._images import around_zero, full_strength, png_uri
from limbeck.report._spans import input_spans
from limbeck.report._svg import element, place
from limbeck.report._words import number, plural, shortened

__all__ = ["Filter", "distribution_parts", "filters_of", "levels_drawn", "said", "soft_tree_svg"]

WIDTH = 1064.0
IMAGE_SIDES = (112.0, 96.0, 84.0, 72.0)
IMAGE_LEVELS, BAR_LEVELS = 4, 3
BARS = 5
LINE = 17.0
MAX_BARS = 30
FOOT = 84.0


@dataclass(frozen=True)
class Filter:
    """One node's filter as it is drawn.

    Attributes
    ----------
    image : str
        The picture in base64; empty where the inputs are columns.
    full : float
        The size that is drawn at full strength.
    bars : tuple of (int, float)
        Input and weight times range, the greatest first; empty where the inputs are an image.
    hidden : int
        How many more inputs have a weight.
    """

    image: str
    full: float
    bars: tuple[tuple[int, float], ...]
    hidden: int


def filters_of(tree: SoftTreeReadable, ranges: Sequence[Mapping[str, Any]], nodes: int, bars: int) -> list[Filter]:
    """The filters of the first nodes: images of the weights, or so many of the greatest weights times ranges."""
    out = []
    spans = np.ones(len(tree.inputs)) if tree.image else input_spans(tree.inputs, ranges)
    for weight in tree.weight[:nodes]:
        scaled = weight * spans
        if tree.image:
            full = full_strength(scaled)
            out.append(Filter(around_zero(beside(scaled, tree.image), full), full, (), 0))
            continue
        order = np.argsort(-np.abs(scaled), kind="stable")[:bars]
        shown = tuple((int(i), float(scaled[i])) for i in order if scaled[i] != 0)
        full = float(np.abs(scaled).max()) or 1.0
        out.append(Filter("", full, shown, int(np.count_nonzero(scaled)) - len(shown)))
    return out


def beside(values: np.ndarray, image: tuple[int, int, int]) -> np.ndarray:
    """Numbers of an image ``(rows * columns * channels,)`` as one picture, the channels beside each other."""
    rows, columns, channels = image
    return values.reshape(image).transpose(0, 2, 1).reshape(rows, columns * channels)


def levels_drawn(tree: SoftTreeReadable) -> int:
    """How many levels of filters the picture has."""
    return min(tree.depth, IMAGE_LEVELS if tree.image else BAR_LEVELS)


def said(tree: SoftTreeReadable, node: int, length: int = 18) -> str:
    """What a node says, in short: the most probable class and its probability, or the outputs."""
    value = tree.values[node]
    if tree.task == "classification":
        best = int(np.argmax(value))
        return f"{shortened(tree.output_names[best], length)} {value[best]:.0%}"
    shown = " / ".join(number(float(v), 3) for v in value[:3])
    return shown + (" / …" if len(value) > 3 else "")


def distribution_parts(
    tree: SoftTreeReadable, node: int, box: tuple[float, float, float, float], most: int = MAX_BARS
) -> list[Markup]:
    """A bar for each class, or for each output its place between the least and the greatest of all nodes."""
    left, top, width, height = box
    value = tree.values[node]
    if tree.task == "classification":
        if len(value) > most:
            return []
        step, best = width / len(value), int(np.argmax(value))
        out = [element("path", {"class": "foot", "d": f"M{place(left)} {place(top + height)}h{place(width)}"})]
        for c, share in enumerate(value.tolist()):
            tall = max(share * height, 0.7)
            size = {"x": left + c * step + 0.1 * step, "y": top + height - tall, "width": 0.8 * step, "height": tall}
            out.append(element("rect", {"class": "bar best" if c == best else "bar", **size}))
        return out
    low, high = tree.values.min(axis=0), tree.values.max(axis=0)
    out = []
    for o in range(min(len(value), 3)):
        share = float((value[o] - low[o]) / (high[o] - low[o])) if high[o] > low[o] else 0.5
        y = top + height - 7.0 * (min(len(value), 3) - o)
        out.append(element("rect", {"class": "rail", "x": left, "y": y, "width": width, "height": 5, "rx": 2}))
        filled = {"class": "bar best", "x": left, "y": y, "width": max(share * width, 2.0), "height": 5, "rx": 2}
        out.append(element("rect", filled))
    return out


def soft_tree_svg(tree: SoftTreeReadable, ranges: Sequence[Mapping[str, Any]], *, label: str) -> Markup:
    """The first levels as one `svg` element; `label` names it for those who can't see it."""
    drawing = _Drawing(tree, filters_of(tree, ranges, 2 ** levels_drawn(tree) - 1, BARS))
    count = len(drawing.filters)
    parts = [drawing.edge(node) for node in range(1, 2 * count + 1)]
    parts += [drawing.inner(node) for node in range(count)]
    parts += [drawing.foot(node) for node in range(count, 2 * count + 1)]
    attributes = {
        "class": "soft-svg",
        "role": "img",
        "aria-label": label,
        "viewBox": f"0 0 {place(WIDTH)} {place(drawing.height)}",
        "width": WIDTH,
        "height": drawing.height,
    }
    return element("svg", attributes, *parts)


class _Drawing:
    """The parts of one picture."""

    def __init__(self, tree: SoftTreeReadable, filters: Sequence[Filter]) -> None:
        self.tree, self.filters = tree, filters
        self.levels = levels_drawn(tree)
        self.names = [tree.input_text(i) for i in range(len(tree.inputs))]
        tall = [self.box(level)[1] for level in range(self.levels)]
        gap = 58.0 if tree.image else 52.0
        self.tops = [8.0 + sum(tall[:level]) + level * gap for level in range(self.levels + 1)]
        self.height = self.tops[-1] + FOOT
        self.total = max(float(tree.rows[0]), 1e-300)

    def box(self, level: int) -> tuple[float, float]:
        """Width and height of a filter at this level."""
        if not self.tree.image:
            return 232.0, 34.0 + BARS * LINE
        rows, columns, channels = self.tree.image
        side, across = IMAGE_SIDES[level], columns * channels
        room = WIDTH / 2**level - 10.0
        scale = min(side / rows, max(side, min(room, 2 * side)) / across)
        return across * scale, rows * scale

    @staticmethod
    def level(node: int) -> int:
        return (node + 1).bit_length() - 1

    def middle(self, node: int) -> float:
        level = self.level(node)
        return (node + 1 - 2**level + 0.5) * WIDTH / 2**level

    def edge(self, node: int) -> Markup:
        """The line to a node from its parent, as wide as its share of the rows."""
        parent, level = (node - 1) // 2, self.level(node)
        x, y = self.middle(parent), self.tops[level - 1] + self.box(level - 1)[1]
        a, b = self.middle(node), self.tops[level]
        y += 20.0 if self.tree.image else 0.0
        half = (y + b) / 2
        curve = f"M{place(x)} {place(y)}C{place(x)} {place(half)} {place(a)} {place(half)} {place(a)} {place(b)}"
        weight = 1.2 + 9.0 * float(self.tree.rows[node]) / self.total
        path = element("path", {"class": "edge", "d": curve, "stroke-width": weight})
        word = Markup("")
        if level <= 2:
            where = {"class": "edge-word", "x": (x + 3 * a) / 4 + (-6 if node % 2 else 6), "y": half - 2}
            anchor = "end" if node % 2 else "start"
            word = element("text", {**where, "text-anchor": anchor}, "left" if node % 2 else "right")
        return element("g", {"data-edge": node}, path, word)

    def inner(self, node: int) -> Markup:
        level = self.level(node)
        width, height = self.box(level)
        x, y = self.middle(node) - width / 2, self.tops[level]
        drawn = self.filters[node]
        head = element("title", {}, self.full_text(node))
        parts = [element("rect", {"class": "box", "x": x, "y": y, "width": width, "height": height, "rx": 6})]
        rows = plural(round(float(self.tree.rows[node])), "row")
        if drawn.image:
            size = {"x": x, "y": y, "width": width, "height": height, "class": "pixels"}
            parts.append(element("image", {**size, "href": png_uri(drawn.image), "preserveAspectRatio": "none"}))
            below = {"class": "line-2 middle", "x": self.middle(node), "y": y + height + 14}
            parts.append(element("text", below, rows if level < 3 else number(round(float(self.tree.rows[node])))))
        else:
            parts += [
                element("text", {"class": "line-2", "x": x + 10, "y": y + 17}, f"{rows} · {said(self.tree, node, 12)}")
            ]
            parts += self.bars(drawn, x, y + 24, width)
        return element("g", {"class": "soft-node", "data-node": node}, head, *parts)

    def bars(self, drawn: Filter, x: float, y: float, width: float) -> list[Markup]:
        out = []
        middle, reach = x + width - 48.0, 40.0
        for at, (i, weight) in enumerate(drawn.bars):
            line = y + at * LINE
            name = shortened(self.names[i], 20)
            out.append(element("text", {"class": "input", "x": x + 10, "y": line + 11}, name))
            long = max(abs(weight) / drawn.full * reach, 1.0)
            left = middle if weight > 0 else middle - long
            kind = "plus" if weight > 0 else "minus"
            out.append(element("rect", {"class": kind, "x": left, "y": line + 2, "width": long, "height": 10}))
        axis = f"M{place(middle)} {place(y)}v{place(BARS * LINE)}"
        return [*out, element("path", {"class": "rule", "d": axis})]

    def foot(self, node: int) -> Markup:
        """What the rows of a node on the last level drawn become."""
        cell = WIDTH / 2**self.levels
        width = min(cell - 8.0, 120.0)
        x, y = self.middle(node) - width / 2, self.tops[self.levels]
        more = node < self.tree.n_nodes
        parts = [
            element("title", {}, self.full_text(node)),
            element("rect", {"class": "box", "x": x, "y": y, "width": width, "height": FOOT - 12, "rx": 6}),
            *distribution_parts(self.tree, node, (x + 4, y + 5, width - 8, 30.0)),
        ]
        length = int((width - 6) / 6.4)
        words = {"class": "line-2 middle", "x": self.middle(node)}
        text = shortened(said(self.tree, node, max(length - 5, 3)), length + 2)
        parts.append(element("text", {**words, "class": "line-1 middle", "y": y + 50}, text))
        rows = number(round(float(self.tree.rows[node])))
        parts.append(element("text", {**words, "y": y + 65}, f"{rows} ⋯" if more else rows))
        return element("g", {"class": "soft-node" if more else "soft-node leaf", "data-node": node}, *parts)

    def full_text(self, node: int) -> str:
        head = f"node {node}, {plural(round(float(self.tree.rows[node])), 'row')}: {said(self.tree, node, 60)}"
        if node < self.tree.n_nodes and not self.tree.image:
            head += f"; right where {shortened(self.tree.condition_text(node), 300)}"
        return head
