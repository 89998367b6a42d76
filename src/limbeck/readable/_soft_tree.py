"""A soft decision tree: every inner node is a filter over all inputs, every leaf a distribution or a value.

Source
------
Frosst2017. Nodes are numbered as in a heap: the children of node ``i`` are ``2 i + 1`` (left) and ``2 i + 2`` (right).
A node sends a row right with probability ``sigmoid(score)``; a row is read by the leaf that it reaches with the
greatest probability (`_soft_tree_path`).

Departures
----------
Inner nodes have a value too, the mean of the rows that come through them, so that the tree can be cut at any depth.

Cost
----
By the path: see `_soft_tree_path`. By averaging: all filters, one matrix product.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Rows, Schema
from limbeck.readable._language import IsIn, choice, step_symbol
from limbeck.readable._network import Input, design_inputs, design_matrix
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._soft_tree_path import path_leaves
from limbeck.readable._text import condition_text, name_text, number_text

__all__ = ["Decision", "Reading", "SoftTreeReadable"]

TERMS = 6
"""How many inputs of a filter are written out; the others are counted."""


@dataclass(frozen=True)
class Decision:
    """One step of a reading.

    Attributes
    ----------
    node : int
    right : bool
        The side that the most probable path takes.
    probability : float
        Of that side; below one half where what follows on the other side is less certain.
    score : float
        Above 0, right is the more probable side.
    inputs : tuple of (str, float, float)
        Name, value and contribution of each input, the deciding ones first: a contribution is the weight times how far
        the value lies from its mean over the training rows.
    """

    node: int
    right: bool
    probability: float
    score: float
    inputs: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Reading:
    """How the tree comes to its answer on one row.

    Attributes
    ----------
    decisions : tuple of Decision
        From the root down.
    leaf : int
        The node that is reached.
    probability : float
        Of the whole path: how much of the averaged answer this leaf makes up.
    outputs : tuple of float
        What the leaf says.
    output_names : tuple of str
    """

    decisions: tuple[Decision, ...]
    leaf: int
    probability: float
    outputs: tuple[float, ...]
    output_names: tuple[str, ...]

    def text(self, terms: int = 4) -> str:
        """The reading in words, with so many inputs a step."""
        lines = []
        for step in self.decisions:
            side = "right" if step.right else "left"
            parts = [f"{name} = {value:.4g} ({part:+.3g})" for name, value, part in step.inputs[:terms] if part]
            lines.append(f"node {step.node}: {side} ({step.probability:.1%})  {', '.join(parts) or 'whatever the row'}")
        said = ", ".join(f"{name}: {value:.4g}" for name, value in self._said())
        return "\n".join([*lines, f"leaf {self.leaf}: {said}   (the path's probability is {self.probability:.1%})"])

    def _said(self) -> list[tuple[str, float]]:
        pairs = list(zip(self.output_names, self.outputs, strict=True))
        return pairs if len(pairs) <= 3 else sorted(pairs, key=lambda pair: -pair[1])[:3]


@dataclass(frozen=True, eq=False)
class SoftTreeReadable(Readable):
    """Filters and leaves of a complete binary tree.

    Attributes
    ----------
    inputs : tuple of (int, int)
        The filters' inputs: a column's position, and a level's position or -1 for the column's number itself.
    weight : array ``(nodes, inputs)``
    bias : array ``(nodes,)``
        The score of a node is ``weight @ x + bias``.
    values : array ``(2 nodes + 1, k)``
        What each node says: outputs, or class probabilities. The last ``nodes + 1`` are the leaves.
    rows : array ``(2 nodes + 1,)``
        The (weighted) number of training rows whose path goes through each node.
    centre : array ``(inputs,)``
        The inputs' means over the training rows; readings are relative to them.
    reading : {"path", "average"}
        How a call predicts: by the leaf of the path, or by all leaves weighted by their probability.
    image : tuple (rows, columns, channels) or None
        The shape of the inputs where they are an image.
    """

    family: ClassVar[str] = "soft_tree"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    inputs: tuple[Input, ...]
    weight: np.ndarray
    bias: np.ndarray
    values: np.ndarray
    rows: np.ndarray
    centre: np.ndarray
    reading: Literal["path", "average"] = "path"
    image: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse shapes that make no complete tree, numbers that are not finite, and inputs that are not there."""
        n, m = len(self.bias), len(self.inputs)
        shapes = {
            "weight": (n, m),
            "bias": (n,),
            "values": (2 * n + 1, len(self.output_names)),
            "rows": (2 * n + 1,),
            "centre": (m,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape or not np.isfinite(array).all():
                raise InputError(f"a soft tree of {n} nodes needs finite {name} of shape {shape}; got {array.shape}")
        if n < 1 or (n + 1) & n:
            raise InputError(f"a soft tree is complete: it has 1, 3, 7, ... inner nodes; got {n}")
        for j, code in self.inputs:
            if not 0 <= j < len(self.schema) or not -1 <= code < max(1, len(self.schema.columns[j].levels)):
                raise InputError(f"input {(j, code)} is not a column or level of the table")
        if self.reading not in ("path", "average"):
            raise InputError(f"a soft tree is read by 'path' or 'average'; got {self.reading!r:.60}")
        if self.image is not None and int(np.prod(self.image)) != m:
            raise InputError(f"an image of shape {self.image} has {int(np.prod(self.image))} inputs; this tree has {m}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SoftTreeReadable) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.schema, self.output_names, self.inputs, self.weight.tobytes()))

    @property
    def n_nodes(self) -> int:
        """The number of inner nodes."""
        return len(self.bias)

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return len(self.bias) + 1

    @property
    def depth(self) -> int:
        """The number of decisions on a path."""
        return self.n_leaves.bit_length() - 1

    @property
    def n_parameters(self) -> int:
        """How many numbers the filters and leaves hold."""
        return self.weight.size + self.bias.size + self.n_leaves * len(self.output_names)

    def design(self, Z: np.ndarray) -> np.ndarray:
        """The filters' inputs ``(n, m)`` on encoded rows ``(n, d)``; single precision stays as it is."""
        Z = np.asarray(Z)
        return design_matrix(self.inputs, Z if Z.dtype == np.float32 else Z.astype(np.float64, copy=False))

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """The score of every node ``(n, nodes)`` on encoded rows."""
        return self.design(Z) @ self.weight.T + self.bias

    def leaf_of(self, Z: np.ndarray) -> np.ndarray:
        """The leaf that each encoded row reaches with the greatest probability, ``(n,)``: a node's number."""
        return path_leaves(self.design(Z), self.weight, self.bias)

    def reach(self, Z: np.ndarray) -> np.ndarray:
        """The probability of reaching every node ``(n, 2 nodes + 1)`` on encoded rows."""
        scores = self.scores(Z)
        right = -np.logaddexp(0.0, -scores)
        logs = np.zeros((len(scores), 2 * self.n_nodes + 1))
        for level in range(self.depth):
            first, width = 2**level - 1, 2**level
            here = slice(first, first + width)
            below = logs[:, first + width : first + 3 * width]
            below[:, 0::2] = logs[:, here] + right[:, here] - scores[:, here]
            below[:, 1::2] = logs[:, here] + right[:, here]
        return np.exp(logs)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``, by the path or by averaging."""
        if self.reading == "path":
            return self.values[self.leaf_of(Z)]
        leaves = self.values[self.n_nodes :]
        parts = [self.reach(part)[:, self.n_nodes :] @ leaves for part in _chunks(np.asarray(Z, dtype=np.float64))]
        return np.concatenate(parts) if parts else np.empty((0, leaves.shape[1]))

    def by(self, reading: Literal["path", "average"]) -> SoftTreeReadable:
        """The same tree, read by ``path`` or by ``average``."""
        return replace(self, reading=reading)

    def cut(self, depth: int) -> SoftTreeReadable:
        """The tree of the first `depth` decisions; its leaves say the mean of the rows that reach them."""
        if not 1 <= depth <= self.depth:
            raise InputError(f"a tree of depth {self.depth} can be cut at 1 to {self.depth}; got {depth}")
        nodes = 2**depth - 1
        return replace(
            self,
            weight=self.weight[:nodes],
            bias=self.bias[:nodes],
            values=self.values[: 2 * nodes + 1],
            rows=self.rows[: 2 * nodes + 1],
        )

    def read(self, X: Rows) -> tuple[Reading, ...]:
        """The reading of each row: its path, the deciding inputs at every step, and the path's probability.

        Parameters
        ----------
        X : rows
            A few rows, in any container that a call takes.
        """
        Z = self.schema.encode(X)
        return tuple(self._reading(row, reach) for row, reach in zip(self.design(Z), self.reach(Z), strict=True))

    def _reading(self, x: np.ndarray, reach: np.ndarray) -> Reading:
        names = [self.input_text(i) for i in range(len(self.inputs))]
        leaf = int(path_leaves(x[None], self.weight, self.bias)[0])
        decisions = []
        for node, below in itertools.pairwise(_way_to(leaf)):
            score, right = float(self.weight[node] @ x + self.bias[node]), below == 2 * node + 2
            parts = self.weight[node] * (x - self.centre)
            order = np.argsort(-np.abs(parts), kind="stable")
            inputs = tuple((names[i], float(x[i]), float(parts[i])) for i in order)
            chance = float(np.exp(-np.logaddexp(0.0, -score if right else score)))
            decisions.append(Decision(node, right, chance, score, inputs))
        value = tuple(float(v) for v in self.values[leaf])
        return Reading(tuple(decisions), leaf, float(reach[leaf]), value, self.output_names)

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: nested choices on the path, or every gate and leaf where the tree is averaged."""
        steps: list[tuple[sp.Symbol, sp.Expr]] = []

        def step(expr: sp.Expr) -> sp.Expr:
            if inline:
                return expr
            steps.append((step_symbol(len(steps)), expr))
            return steps[-1][0]

        used = np.any(self.weight != 0, axis=0)
        values = [self._input(i, symbols, step) if used[i] else sp.Integer(0) for i in range(len(self.inputs))]
        outputs = self._path(values, step, inline) if self.reading == "path" else self._average(values, step)
        return tuple(steps), outputs

    def _input(self, i: int, symbols: Sequence[sp.Symbol], step: Any) -> sp.Expr:
        j, code = self.inputs[i]
        if code < 0:
            return symbols[j]
        return step(choice((1, IsIn.of(symbols[j], [self.schema.columns[j].level_names[code]])), (0, True)))

    def _score(self, node: int, values: Sequence[sp.Expr]) -> sp.Expr:
        terms = [
            sp.Mul(sp.Float(float(self.weight[node, i])), values[i], evaluate=False)
            for i in np.flatnonzero(self.weight[node]).tolist()
        ]
        return sp.Add(*terms, sp.Float(float(self.bias[node])), evaluate=False)

    def _path(self, values: Sequence[sp.Expr], step: Any, inline: bool) -> tuple[sp.Expr, ...]:
        """Nested choices, each by the score and by the best way on from both children (`best_below`)."""
        n, k = self.n_nodes, range(len(self.output_names))
        scores = [step(self._score(node, values)) for node in range(n)]
        best: list[sp.Expr] = [sp.Integer(0)] * (2 * n + 1)
        ahead = list(scores)
        for node in range(n - 1, -1, -1):
            score, left, right = scores[node], best[2 * node + 1], best[2 * node + 2]
            if 2 * node + 1 < n:
                ahead[node] = step(sp.Add(score, right, sp.Mul(-1, left, evaluate=False), evaluate=False))
            if node:
                small = sp.exp(sp.Mul(-1, sp.Abs(score), evaluate=False), evaluate=False)
                sure = step(sp.Mul(-1, sp.log(1 + small, evaluate=False), evaluate=False))
                up = sp.Add(sure, sp.Min(score, sp.Integer(0), evaluate=False), right, evaluate=False)
                down = sp.Mul(-1, sp.Max(score, sp.Integer(0), evaluate=False), evaluate=False)
                best[node] = step(sp.Max(up, sp.Add(sure, down, left, evaluate=False), evaluate=False))

        def choices(node: int, value: Any) -> sp.Expr:
            if node >= n:
                return value(node)
            condition = sp.Gt(ahead[node], 0, evaluate=False)
            return choice((choices(2 * node + 2, value), condition), (choices(2 * node + 1, value), True))

        if inline or len(k) == 1:
            return tuple(choices(0, lambda leaf, o=o: sp.Float(float(self.values[leaf, o]))) for o in k)
        reached = step(choices(0, sp.Integer))
        pairs = [
            [(sp.Float(float(self.values[leaf, o])), sp.Eq(reached, sp.Integer(leaf), evaluate=False)) for o in k]
            for leaf in range(n, 2 * n + 1)
        ]
        return tuple(choice(*(pair[o] for pair in pairs[:-1]), (pairs[-1][o][0], True)) for o in k)

    def _average(self, values: Sequence[sp.Expr], step: Any) -> tuple[sp.Expr, ...]:
        reach: list[sp.Expr] = [sp.Integer(1)]
        for node in range(self.n_nodes):
            score = step(self._score(node, values))
            small = step(sp.exp(-sp.Abs(score), evaluate=False))
            most = sp.Pow(1 + small, -1, evaluate=False)
            least = sp.Mul(small, most, evaluate=False)
            up, down = sp.Ge(score, 0, evaluate=False), reach[node]
            left, right = choice((least, up), (most, True)), choice((most, up), (least, True))
            reach += [step(sp.Mul(down, side, evaluate=False)) if node else step(side) for side in (left, right)]
        return tuple(
            sp.Add(
                *(
                    sp.Mul(sp.Float(float(self.values[leaf, o])), reach[leaf], evaluate=False)
                    for leaf in range(self.n_nodes, 2 * self.n_nodes + 1)
                ),
                evaluate=False,
            )
            for o in range(len(self.output_names))
        )

    @property
    def complexity(self) -> int:
        """Per weight that is not 0: constant, times, input, plus; per node 4 (if, bias, >, 0); per leaf its values."""
        conditions = 4 * int(np.count_nonzero(self.weight)) + 4 * self.n_nodes
        return conditions + self.n_leaves * (len(self.output_names) if self.task == "regression" else 1)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns with a weight that is not 0."""
        return tuple(sorted({self.inputs[i][0] for i in np.flatnonzero(np.any(self.weight != 0, axis=0))}))

    def input_text(self, i: int) -> str:
        """Input `i` as a person says it: ``age``, ``[job = 'nurse']``."""
        j, code = self.inputs[i]
        column = self.schema.columns[j]
        return name_text(column.name) if code < 0 else f"[{condition_text(column, threshold=None, levels=(code,))}]"

    def condition_text(self, node: int) -> str:
        """The condition for going right at an inner node: ``0.3*age - 2*[job = 'nurse'] + ... > 1.5``."""
        order = np.argsort(-np.abs(self.weight[node]), kind="stable")
        shown = [i for i in order[: TERMS + 1] if self.weight[node, i] != 0]
        count = int(np.count_nonzero(self.weight[node]))
        shown = shown if count <= TERMS else shown[: TERMS - 2]
        terms = [f"{number_text(float(self.weight[node, i]))}*{self.input_text(i)}" for i in shown]
        text = " + ".join(terms).replace("+ -", "- ") or "0"
        more = f" + ... ({count - len(shown)} more)" if count > len(shown) else ""
        return f"{text}{more} > {number_text(-float(self.bias[node]) + 0.0)}"

    def value_text(self, node: int) -> str:
        """What a node says: the outputs, or the most probable class and its probability."""
        value = self.values[node]
        if self.task == "regression":
            pairs = zip(self.output_names, value, strict=True)
            return ", ".join(f"{name_text(name)} = {number_text(float(v))}" for name, v in pairs)
        best = int(np.argmax(value))
        return f"{self.output_names[best]} ({value[best]:.0%})"

    def text(self) -> str:
        """The tree as indented conditions; a row is read along its most probable path."""
        return "\n".join(self._lines(0, 0))

    def _lines(self, node: int, indent: int) -> Iterator[str]:
        pad = "    " * indent
        if node >= self.n_nodes:
            yield f"{pad}{self.value_text(node)}   [{self.rows[node]:,.0f} rows]"
            return
        yield f"{pad}if {self.condition_text(node)}:"
        yield from self._lines(2 * node + 2, indent + 1)
        yield f"{pad}else:"
        yield from self._lines(2 * node + 1, indent + 1)

    def to_dict(self) -> dict[str, Any]:
        """The tree as JSON types, exactly."""
        arrays = {name: getattr(self, name).tolist() for name in ("weight", "bias", "values", "rows", "centre")}
        image = None if self.image is None else list(self.image)
        plain = self.inputs == design_inputs(self.schema)
        inputs = None if plain else [list(pair) for pair in self.inputs]
        return {**self._head(), "reading": self.reading, "image": image, "inputs": inputs, **arrays}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SoftTreeReadable:
        """The tree that `to_dict` wrote."""
        schema, task, names = read_head(data)
        try:
            given = data["inputs"]
            inputs = design_inputs(schema) if given is None else tuple((int(j), int(code)) for j, code in given)
            parts = ("weight", "bias", "values", "rows", "centre")
            weight, bias, values, rows, centre = (np.array(data[name], dtype=np.float64) for name in parts)
            image = None if data["image"] is None else tuple(int(size) for size in data["image"])
            if bias.ndim != 1 or (image is not None and (len(image) != 3 or min(image) < 1)):
                raise ValueError(f"bias of shape {bias.shape}, image {image}")
            reading = data["reading"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a stored soft tree is malformed: {error!r:.200}") from None
        return cls(schema, task, names, inputs, weight, bias, values, rows, centre, reading, image)  # type: ignore[arg-type]


def _way_to(node: int) -> list[int]:
    """The nodes from the root to this one."""
    way = [node]
    while way[-1]:
        way.append((way[-1] - 1) // 2)
    return way[::-1]


def _chunks(Z: np.ndarray, size: int = 10_000) -> Iterator[np.ndarray]:
    return (Z[start : start + size] for start in range(0, len(Z), size))
