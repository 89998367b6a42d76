"""A tree as a picture: read from left to right, one line a leaf, drawn without any other program.

Every node says its condition and its rows; a bar shows the classes behind it, or where its mean lies between the least
and the greatest of all nodes. The page's script opens and closes nodes and lights up the path of a row; without it, and
on paper, the whole tree is there.

Cost
----
O(nodes); at most `MAX_LEAVES` leaves are drawn, those of the most rows.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from limbeck._core.tables import Column
from limbeck.readable import TreeReadable
from limbeck.report._svg import element, place
from limbeck.report._words import number, plural, shortened

__all__ = ["MAX_LEAVES", "TreeLayout", "condition_lines", "lay_out", "tree_svg"]

MAX_LEAVES = 200
BOX_WIDTH = 178.0
COLUMN = 210.0
MARGIN = 14.0
LINE_CHARACTERS = 22
MAX_BARS = 3


@dataclass(frozen=True)
class TreeLayout:
    """Where each drawn node lies.

    Attributes
    ----------
    places : dict of int to (depth, line)
        The drawn nodes; a line may be a half, between two leaves.
    cut : frozenset of int
        Drawn nodes whose children are not drawn.
    depth, lines : int
        The size of the picture, in columns and lines.
    """

    places: dict[int, tuple[int, float]]
    cut: frozenset[int]
    depth: int
    lines: int


def lay_out(tree: TreeReadable, max_leaves: int = MAX_LEAVES) -> TreeLayout:
    """The layout of at most `max_leaves` leaves, opened from the root by the number of rows."""
    opened: set[int] = set()
    heap = [(-tree.nodes[0].rows, 0)]
    while heap and len(opened) < max_leaves - 1:
        _, i = heapq.heappop(heap)
        node = tree.nodes[i]
        if not node.is_leaf:
            opened.add(i)
            for child in (node.left, node.right):
                heapq.heappush(heap, (-tree.nodes[child].rows, child))
    places: dict[int, tuple[int, float]] = {}
    line = 0
    stack: list[tuple[int, int, bool]] = [(0, 0, False)]
    while stack:  # children before their parent, which lies between them
        i, depth, done = stack.pop()
        node = tree.nodes[i]
        if i not in opened:
            places[i] = (depth, float(line))
            line += 1
        elif done:
            places[i] = (depth, (places[node.left][1] + places[node.right][1]) / 2)
        else:
            stack += [(i, depth, True), (node.right, depth + 1, False), (node.left, depth + 1, False)]
    cut = frozenset(i for i in places if i not in opened and not tree.nodes[i].is_leaf)
    return TreeLayout(places, cut, 1 + max(depth for depth, _ in places.values()), line)


def condition_lines(column: Column, threshold: float | None, levels: Sequence[int]) -> list[str]:
    """The condition in one to three short lines, for a box.

    Examples
    --------
    >>> condition_lines(Column("age"), 30.5, ())
    ['age ≤ 30.5']
    >>> condition_lines(Column("job", "nominal", ("clerk", "nurse", "smith")), None, (0, 2))
    ['job in', 'clerk, smith']
    """
    if threshold is not None:
        tail = f"≤ {number(threshold, 6)}"
        if len(column.name) + len(tail) < LINE_CHARACTERS:
            return [f"{column.name} {tail}"]
        return [shortened(column.name, LINE_CHARACTERS), tail]
    names = [shortened(column.level_names[code], LINE_CHARACTERS + 2) for code in levels]
    if len(names) == 1 and len(column.name) + len(names[0]) < LINE_CHARACTERS - 2:
        return [f"{column.name} = {names[0]}"]
    if len(names) == 1:
        return [shortened(column.name, LINE_CHARACTERS - 2) + " =", names[0]]
    return [shortened(column.name, LINE_CHARACTERS - 3) + " in", *_filled(names)]


def _filled(names: Sequence[str], most: int = 2) -> list[str]:
    """Names with commas in at most two lines; how many are left out stands at the end."""
    lines = [""]
    for i, name in enumerate(names):
        rest = len(names) - i
        tail = 0 if rest == 1 else len(f", +{rest - 1}")
        joint = ", " if lines[-1] else ""
        if lines[-1] and len(lines[-1]) + len(joint) + len(name) + tail > LINE_CHARACTERS + 5:
            if len(lines) == most:
                return [*lines[:-1], f"{lines[-1]}, +{rest}"]
            lines[-1] += ","
            lines.append(name)
        else:
            lines[-1] += joint + name
    return lines


def tree_svg(tree: TreeReadable, *, label: str, max_leaves: int = MAX_LEAVES) -> Markup:
    """The tree as one `svg` element; `label` names it for those who can't see it."""
    layout = lay_out(tree, max_leaves)
    drawing = _Drawing(tree, layout)
    order = sorted(layout.places)
    edges = [drawing.edge(i, side) for i in order if not drawing.ends(i) for side in ("left", "right")]
    nodes = [drawing.node(i) for i in order]
    width = layout.depth * COLUMN - (COLUMN - BOX_WIDTH) + 2 * MARGIN
    height = layout.lines * drawing.pitch + 2 * MARGIN
    attributes = {
        "class": "tree-svg",
        "role": "tree",
        "aria-label": label,
        "viewBox": f"0 0 {place(width)} {place(height)}",
        "width": width,
        "height": height,
        "data-box": place(BOX_WIDTH),
        "data-pitch": f"{place(COLUMN)} {place(drawing.pitch)}",
        "data-margin": MARGIN,
    }
    return element(
        "svg",
        attributes,
        element("g", {"class": "edges", "role": "none"}, *edges),
        element("g", {"role": "none"}, *nodes),
    )


class _Drawing:
    """The parts of one tree's picture."""

    def __init__(self, tree: TreeReadable, layout: TreeLayout) -> None:
        self.tree, self.layout = tree, layout
        self.bars = 1 if tree.task == "classification" else min(len(tree.output_names), MAX_BARS)
        self.height = 42.0 + 6.0 * self.bars
        self.pitch = max([self.height, *(self.tall(i) for i in layout.cut)]) + 9.0
        drawn = [tree.nodes[i].value for i in layout.places]
        self.low = [min(values) for values in zip(*drawn, strict=True)]
        self.high = [max(values) for values in zip(*drawn, strict=True)]
        self.total = max(tree.nodes[0].rows, 1e-300)

    def ends(self, i: int) -> bool:
        """True where nothing is drawn behind node `i`."""
        return self.tree.nodes[i].is_leaf or i in self.layout.cut

    def tall(self, i: int) -> float:
        """A box's height; one with children may be taller, for two of them are never on neighbouring lines."""
        return self.height if self.tree.nodes[i].is_leaf else self.height + 15.0 * (len(self.condition(i)) - 1)

    def corner(self, i: int) -> tuple[float, float]:
        depth, line = self.layout.places[i]
        return MARGIN + depth * COLUMN, MARGIN + (line + 0.5) * self.pitch - self.tall(i) / 2

    def edge(self, i: int, side: str) -> Markup:
        child = getattr(self.tree.nodes[i], side)
        (x, y), (a, b) = self.corner(i), self.corner(child)
        x, y, b = x + BOX_WIDTH, y + self.tall(i) / 2, b + self.tall(child) / 2
        middle = place((x + a) / 2)
        curve = f"M{place(x)} {place(y)}C{middle} {place(y)} {middle} {place(b)} {place(a)} {place(b)}"
        weight = 1.5 + 8.0 * self.tree.nodes[child].rows / self.total
        path = element("path", {"class": "edge", "d": curve, "stroke-width": weight})
        y = b - weight / 2 - 3 if side == "left" else b + weight / 2 + 11
        word = element("text", {"class": "edge-word", "x": a - 5, "y": y}, "yes" if side == "left" else "no")
        return element("g", {"data-edge": child}, path, word)

    def node(self, i: int) -> Markup:
        node, (x, y) = self.tree.nodes[i], self.corner(i)
        closed, tall = self.ends(i), self.tall(i)
        lines = [self.answer(i)] if node.is_leaf else self.condition(i)
        words = [
            element("text", {"class": "line-1" if n == 0 else "line-more", "x": 11, "y": 18 + 15 * n}, line)
            for n, line in enumerate(lines)
        ]
        words.append(element("text", {"class": "line-2", "x": 11, "y": 19 + 15 * len(lines)}, self.second_line(i)))
        parts = [
            element("rect", {"class": "box", "width": BOX_WIDTH, "height": tall, "rx": 9}),
            # An inner picture cuts off what is wider than the box
            element("svg", {"width": BOX_WIDTH - 9, "height": tall, "role": "none"}, *words),
            *self.bar(i, tall),
        ]
        if not closed:
            sign = element("path", {"class": "sign", "d": "M-4 0H4"})
            up = element("path", {"class": "sign up", "d": "M0-4V4"})
            knob = {"class": "knob", "transform": f"translate({place(BOX_WIDTH)} {place(tall / 2)})"}
            parts.append(element("g", knob, element("circle", {"r": 8}), sign, up))
        attributes = {
            "class": "node leaf" if node.is_leaf else "node",
            "role": "treeitem",
            "data-node": i,
            "data-rows": f"{node.rows:.12g}",
            "data-tall": tall,
            "data-children": None if closed else f"{node.left} {node.right}",
            "tabindex": 0 if i == 0 else -1,
            "aria-level": self.layout.places[i][0] + 1,
            "aria-expanded": None if closed else "true",
            "aria-label": self.full_text(i),
            "transform": f"translate({place(x)} {place(y)})",
        }
        return element("g", attributes, *parts)

    def condition(self, i: int) -> list[str]:
        node = self.tree.nodes[i]
        return condition_lines(self.tree.schema.columns[node.column], node.threshold, node.levels)

    def second_line(self, i: int) -> str:
        """The node's rows; where it asks something, also its own answer, as far as there is room."""
        node = self.tree.nodes[i]
        rows = plural(round(node.rows), "row")
        if node.is_leaf:
            return rows
        if i in self.layout.cut:
            return f"{rows} · more, not drawn"
        both = f"{rows} · {self.answer(i)}"
        return both if len(both) <= LINE_CHARACTERS + 6 else rows

    def answer(self, i: int) -> str:
        value, names = self.tree.nodes[i].value, self.tree.output_names
        if self.tree.task == "classification":
            best = max(range(len(value)), key=value.__getitem__)
            return f"{shortened(names[best], 14)} {value[best]:.0%}"
        shown = " / ".join(number(v, 4) for v in value[:MAX_BARS])
        return shown + (" / …" if len(value) > MAX_BARS else "")

    def full_text(self, i: int) -> str:
        node = self.tree.nodes[i]
        head = self.tree.value_text(i) if node.is_leaf else self.tree.condition_text(i)
        pairs = list(zip(self.tree.output_names, node.value, strict=True))
        if self.tree.task == "classification":
            pairs = sorted(pairs, key=lambda pair: -pair[1])[:5]
            values = ", ".join(f"{shortened(name, 60)} {value:.1%}" for name, value in pairs)
        else:
            values = ", ".join(f"{shortened(name, 60)} {number(value, 6)}" for name, value in pairs[:8])
        return f"{shortened(head, 400)}; {plural(round(node.rows), 'row')}; {values}"

    def bar(self, i: int, tall: float) -> list[Markup]:
        value, left, width = self.tree.nodes[i].value, 11.0, BOX_WIDTH - 22.0
        top = tall - 6.0 * self.bars - 3.0
        if self.tree.task == "classification":
            return _shares(value, left, top, width)
        out = []
        for o in range(self.bars):
            span = self.high[o] - self.low[o]
            share = (value[o] - self.low[o]) / span if span > 0 else 0.5
            y = top + 6.0 * o
            out.append(element("rect", {"class": "rail", "x": left, "y": y, "width": width, "height": 4, "rx": 2}))
            filled = {"class": "fill", "x": left, "y": y, "width": max(share * width, 2.0), "height": 4, "rx": 2}
            out.append(element("rect", filled))
        return out


def _shares(value: Sequence[float], left: float, top: float, width: float) -> list[Markup]:
    """A bar split by the classes' probabilities, at most six parts, the rest grey."""
    order = sorted(sorted(range(len(value)), key=lambda c: -value[c])[:6])
    out = [element("rect", {"class": "rail", "x": left, "y": top, "width": width, "height": 5})]
    at = left
    for c in order:
        part = max(value[c], 0.0) * width
        if part >= 0.5:
            out.append(element("rect", {"class": f"k{c % 8}", "x": at, "y": top, "width": part, "height": 5}))
        at += part
    return out
