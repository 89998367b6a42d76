"""A network made ready to be written as arrays and loops: what C, JavaScript, Python and ONNX have in common.

The first layer's rows are put in order: numbers, then the embeddings' numbers, then one block of indicators a column, a
row a level. Columns that move nothing are left out, and so are units that nothing reads.

Source
------
Own.

Checked
-------
Every export of the contract's networks, to 1e-6 relative.

Cost
----
O(weights).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sympy as sp

from limbeck.readable._language import Program
from limbeck.readable._network import NetworkReadable
from limbeck.readable._network_layers import Layer
from limbeck.readable._packing import codes_of

__all__ = ["Lookup", "Plan", "PlannedLayer", "base64_text", "planned", "stored"]

SPARSE_FROM = 0.6
"""From this share of zeros on, only the other weights of a layer are written."""


def stored(values: np.ndarray, scale: np.ndarray | None = None, row_scale: np.ndarray | None = None) -> np.ndarray:
    """The numbers in the narrowest type that targets have: 8-bit codes, single precision where exact, or double."""
    if scale is not None:
        return codes_of(values, scale, row_scale)
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return single if np.array_equal(single.astype(np.float64), values) else values.astype(np.float64)


def base64_text(values: np.ndarray) -> str:
    """The numbers as base64, the least byte first."""
    plain = np.ascontiguousarray(values)
    return base64.b64encode(plain.astype(plain.dtype.newbyteorder("<")).tobytes()).decode("ascii")


@dataclass(frozen=True)
class PlannedLayer:
    """``h = ((x * row_scale) @ weight) * scale + bias``, where there are such scales.

    Attributes
    ----------
    weight : array ``(inputs, units)``
        As `stored` gives it.
    scale, bias : array ``(units,)``
    row_scale : array ``(inputs,)`` or None
    sparse : bool
        True where most weights are 0.
    """

    weight: np.ndarray
    scale: np.ndarray | None
    bias: np.ndarray
    row_scale: np.ndarray | None = None

    @property
    def units(self) -> int:
        """How many sums come out."""
        return len(self.bias)

    @property
    def sparse(self) -> bool:
        """True where so many weights are 0 that only the others are written."""
        few = int(np.count_nonzero(self.weight)) < (1 - SPARSE_FROM) * self.weight.size
        return self.weight.size >= 64 and few

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The weights that are not 0, row by row: where each row starts, the unit of each weight, the weights."""
        here = self.weight != 0
        start = np.concatenate([[0], np.cumsum(here.sum(axis=1))])
        return start.astype(np.int32), np.nonzero(here)[1], self.weight[here]


@dataclass(frozen=True)
class Lookup:
    """An embedding: the numbers of each level ``(levels, dims)`` as `stored` gives them, with their scale."""

    column: int
    table: np.ndarray
    scale: np.ndarray | None

    @property
    def values(self) -> np.ndarray:
        """The numbers themselves."""
        plain: np.ndarray = self.table.astype(np.float64)
        return plain if self.scale is None else plain * self.scale


@dataclass(frozen=True)
class Plan:
    """A network in the order that programs compute it.

    Attributes
    ----------
    head : Program
        Schema, names and title, without expressions.
    used : tuple of int
        The columns that are read.
    numbers : tuple of int
        The columns of the first rows of the first layer; of a column with levels, the position of its level.
    lookups : tuple of Lookup
        The embeddings, whose numbers are the next rows.
    indicators : dict of int to int
        The first row of each column's block, a row a level.
    """

    head: Program
    used: tuple[int, ...]
    numbers: tuple[int, ...]
    lookups: tuple[Lookup, ...]
    indicators: dict[int, int]
    layers: tuple[PlannedLayer, ...]
    activation: str

    @property
    def dense(self) -> int:
        """How many numbers enter, embeddings included."""
        return len(self.numbers) + sum(lookup.table.shape[1] for lookup in self.lookups)

    @property
    def classes(self) -> bool:
        """True where the outputs are probabilities."""
        return self.head.task == "classification"

    @property
    def levelled(self) -> tuple[int, ...]:
        """The columns with levels that are read."""
        return tuple(j for j in self.used if self.head.schema.has_levels(j))


def planned(network: NetworkReadable) -> Plan:
    """The plan of a network."""
    used = network.columns_used
    title = f"{network.family} distilled by limbeck, {network.n_parameters} numbers"
    outputs = (sp.Integer(0),) * len(network.output_names)
    head = Program(network.schema, (), outputs, network.output_names, network.task, title)
    lookups = tuple(
        Lookup(one.column, stored(one.table, one.scale), one.scale) for one in network.embeddings if one.column in used
    )
    order, numbers, indicators = _first_rows(network, used)
    first = network.layers[0]
    weight = np.vstack([first.weight, np.zeros((1, first.weight.shape[1]))])[order]
    rows = None if first.row_scale is None else np.append(first.row_scale, 1.0)[order]
    layers = _without_idle([Layer(weight, first.bias, first.scale, rows), *network.layers[1:]])
    return Plan(head, used, numbers, lookups, indicators, layers, network.activation)


def _first_rows(network: NetworkReadable, used: Sequence[int]) -> tuple[list[int], tuple[int, ...], dict[int, int]]:
    """The rows of the first layer in the plan's order (-1: a row of zeros), the numbers, each column's first row."""
    order: list[int] = []
    numbers: list[int] = []
    blocks: dict[int, dict[int, int]] = {}
    for i, (j, code) in enumerate(network.inputs):
        if j in used and code < 0:
            order.append(i)
            numbers.append(j)
        elif j in used:
            blocks.setdefault(j, {})[code] = i
    at = len(network.inputs)
    for one in network.embeddings:
        order += range(at, at + one.dims) if one.column in used else ()
        at += one.dims
    indicators = {}
    for j, block in blocks.items():
        indicators[j] = len(order)
        order += [block.get(code, -1) for code in range(len(network.schema.columns[j].levels))]
    return order, tuple(numbers), indicators


def _without_idle(layers: Sequence[Layer]) -> tuple[PlannedLayer, ...]:
    """The layers without the units that no later unit reads; at least one is left in each."""
    out: list[PlannedLayer] = []
    kept: np.ndarray = np.arange(len(layers[-1].bias))
    for layer in reversed(layers):
        scale = None if layer.scale is None else layer.scale[kept]
        weight = layer.weight[:, kept]
        read = np.flatnonzero(np.any(weight != 0, axis=1)) if len(out) < len(layers) - 1 else np.arange(len(weight))
        read = read if len(read) or not len(weight) else np.array([0])
        rows = None if layer.row_scale is None else layer.row_scale[read]
        out.append(PlannedLayer(stored(weight[read], scale, rows), scale, layer.bias[kept], rows))
        kept = read
    return tuple(reversed(out))
