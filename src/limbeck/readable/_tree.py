"""A decision tree: conditions on one column each, and a value at every leaf.

Source
------
Own frozen form of what CART and trees by asking find. A true condition goes left; on a column with levels it names
the levels, ``workclass in {'Private', 'State-gov'}``.

Cost
----
Every row visits as many nodes as its path is long.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._language import IsIn, step_symbol
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._text import condition_text, name_text, number_text

__all__ = ["Node", "TreeReadable"]


@dataclass(frozen=True)
class Node:
    """One node: a condition with two children, or a leaf.

    Attributes
    ----------
    value : tuple of float
        The outputs, or class probabilities, of the node's rows; what a leaf predicts.
    rows : float
        The (weighted) number of rows that the node was fitted on.
    column : int
        The position of the column that is asked; -1 at a leaf.
    threshold : float or None
        The condition ``column <= threshold``.
    levels : tuple of int
        Or the condition that the column has one of these levels (positions).
    left, right : int
        Positions of the children: condition true, condition false.
    """

    value: tuple[float, ...]
    rows: float
    column: int = -1
    threshold: float | None = None
    levels: tuple[int, ...] = ()
    left: int = -1
    right: int = -1

    @property
    def is_leaf(self) -> bool:
        """True where nothing is asked."""
        return self.column < 0


@dataclass(frozen=True)
class TreeReadable(Readable):
    """A tree of `Node`, the root first, every child after its parent."""

    family: ClassVar[str] = "tree"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Refuse what is not a tree: a child before its parent or shared, a column or a level that is not there."""
        seen: set[int] = set()
        for i, node in enumerate(self.nodes):
            if len(node.value) != len(self.output_names) or not all(map(math.isfinite, node.value)):
                raise InputError(f"node {i} needs {len(self.output_names)} finite values; got {node.value}")
            if node.is_leaf:
                continue
            if node.column >= len(self.schema) or not (
                i < node.left < len(self.nodes) and i < node.right < len(self.nodes)
            ):
                raise InputError(f"node {i} asks a column or has a child that is not there: {node}")
            count = len(self.schema.columns[node.column].levels)
            if (node.threshold is None) != bool(node.levels) or any(not 0 <= code < count for code in node.levels):
                raise InputError(f"node {i} needs a threshold or levels of its column: {node}")
            if seen & {node.left, node.right} or node.left == node.right:
                raise InputError(f"node {i} shares a child with another node")
            seen |= {node.left, node.right}
        if len(seen) != len(self.nodes) - 1:
            raise InputError("a tree has one root, and every other node one parent")

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return sum(node.is_leaf for node in self.nodes)

    @property
    def depth(self) -> int:
        """The greatest number of conditions on a path."""
        depth = [0] * len(self.nodes)
        for i, node in enumerate(self.nodes):
            if not node.is_leaf:
                depth[node.left] = depth[node.right] = depth[i] + 1
        return max(depth)

    def condition(self, i: int, Z: np.ndarray) -> np.ndarray:
        """Which encoded rows ``(n, d)`` meet the condition of node `i`."""
        node = self.nodes[i]
        values = Z[:, node.column]
        return values <= node.threshold if node.threshold is not None else np.isin(values, node.levels)

    def leaf_of(self, Z: np.ndarray) -> np.ndarray:
        """The position of the leaf that each encoded row reaches, ``(n,)``."""
        Z = np.asarray(Z, dtype=np.float64)
        place = np.zeros(len(Z), dtype=np.int64)
        for i, node in enumerate(self.nodes):
            if node.is_leaf:
                continue
            here = np.flatnonzero(place == i)
            place[here] = np.where(self.condition(i, Z[here]), node.left, node.right)
        return place

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The leaves' values ``(n, k)`` on encoded rows ``(n, d)``."""
        return np.array([node.value for node in self.nodes])[self.leaf_of(Z)]

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: nested choices; with many outputs, first the leaf, then its values."""
        if inline or len(self.output_names) <= 2:
            k = range(len(self.output_names))
            return (), tuple(self._choices(0, symbols, lambda i, o=o: sp.Float(self.nodes[i].value[o])) for o in k)
        leaf = step_symbol(0)
        steps = ((leaf, self._choices(0, symbols, sp.Integer)),)
        leaves = [i for i, node in enumerate(self.nodes) if node.is_leaf]
        outputs = []
        for o in range(len(self.output_names)):
            pairs: list[tuple[Any, Any]] = [
                (sp.Float(self.nodes[i].value[o]), sp.Eq(leaf, sp.Integer(i), evaluate=False)) for i in leaves
            ]
            outputs.append(sp.Piecewise(*pairs[:-1], (pairs[-1][0], True), evaluate=False))
        return steps, tuple(outputs)

    def _choices(self, i: int, symbols: Sequence[sp.Symbol], value: Any) -> sp.Expr:
        node = self.nodes[i]
        if node.is_leaf:
            return value(i)
        symbol = symbols[node.column]
        names = self.schema.columns[node.column].level_names
        condition = (
            IsIn.of(symbol, [names[code] for code in node.levels])
            if node.threshold is None
            else sp.Le(symbol, sp.Float(node.threshold), evaluate=False)
        )
        left, right = self._choices(node.left, symbols, value), self._choices(node.right, symbols, value)
        return sp.Piecewise((left, condition), (right, True), evaluate=False)

    @property
    def complexity(self) -> int:
        """Per condition: if, column, comparison, constant, each more level; per leaf its values (one for a class)."""
        conditions = sum(3 + max(1, len(node.levels)) for node in self.nodes if not node.is_leaf)
        return conditions + self.n_leaves * (len(self.output_names) if self.task == "regression" else 1)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that are asked."""
        return tuple(sorted({node.column for node in self.nodes if not node.is_leaf}))

    def condition_text(self, i: int) -> str:
        """The condition of node `i` as a person says it."""
        node = self.nodes[i]
        return condition_text(self.schema.columns[node.column], threshold=node.threshold, levels=node.levels)

    def value_text(self, i: int) -> str:
        """What node `i` predicts: the outputs, or the most probable class and its probability."""
        value = self.nodes[i].value
        if self.task == "regression":
            pairs = zip(self.output_names, value, strict=True)
            return ", ".join(f"{name_text(name)} = {number_text(v)}" for name, v in pairs)
        best = int(np.argmax(value))
        return f"{self.output_names[best]} ({value[best]:.0%})"

    def text(self) -> str:
        """The tree as indented conditions, with the rows behind each leaf."""
        return "\n".join(self._lines(0, 0))

    def _lines(self, i: int, indent: int) -> Iterator[str]:
        pad = "    " * indent
        node = self.nodes[i]
        if node.is_leaf:
            yield f"{pad}{self.value_text(i)}   [{node.rows:,.0f} rows]"
            return
        yield f"{pad}if {self.condition_text(i)}:"
        yield from self._lines(node.left, indent + 1)
        yield f"{pad}else:"
        yield from self._lines(node.right, indent + 1)

    def to_dict(self) -> dict[str, Any]:
        """The tree as JSON types, exactly."""
        nodes = [{**asdict(node), "value": list(node.value), "levels": list(node.levels)} for node in self.nodes]
        return {**self._head(), "nodes": nodes}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TreeReadable:
        """The tree that `to_dict` wrote."""
        schema, task, names = read_head(data)
        try:
            nodes = tuple(
                Node(
                    tuple(float(v) for v in node["value"]),
                    float(node["rows"]),
                    int(node["column"]),
                    None if node["threshold"] is None else float(node["threshold"]),
                    tuple(int(code) for code in node["levels"]),
                    int(node["left"]),
                    int(node["right"]),
                )
                for node in data["nodes"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a stored tree has a malformed node: {error!r}") from None
        return cls(schema, task, names, nodes)
