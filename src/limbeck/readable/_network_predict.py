"""The outputs of a network in NumPy: one row in a handful of calls, many rows in pieces that stay in the cache.

Source
------
Own.

Departures
----------
One row and many rows are summed in another order, so they may differ in the last bits.

Checked
-------
Against the plain formula - all inputs written out, one product a layer - to 1e-9 (unit tests).

Cost
----
For one row, an indicator is not multiplied: the row of the weight is added. For many rows it is, for a product over 0
and 1 is quicker than gathering rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from limbeck.readable._formula import link_probabilities
from limbeck.readable._network_layers import ACTIVATIONS, Embedding, Input, Layer

__all__ = ["Forward"]

PIECE_BYTES = 2**20
LEAST_ROWS, MOST_ROWS = 64, 2048
FEW_OUTPUTS = 32


class Forward:
    """What does not depend on the rows, worked out once; calling it gives the outputs ``(n, k)``."""

    def __init__(
        self,
        inputs: Sequence[Input],
        embeddings: Sequence[Embedding],
        layers: Sequence[Layer],
        activation: str,
        classes: bool,
    ) -> None:
        self.layers = [(np.ascontiguousarray(layer.weight, dtype=np.float64), layer.bias) for layer in layers]
        self.relu, self.activate, self.classes = activation == "relu", ACTIVATIONS[activation], classes
        self.embeddings = tuple(embeddings)
        self.width = self.layers[0][0].shape[0]
        widest = max(self.width, *(len(bias) for _, bias in self.layers))
        self.piece = int(np.clip(PIECE_BYTES // (8 * widest), LEAST_ROWS, MOST_ROWS))
        self.plain = -1
        if not embeddings and all(pair == (j, -1) for j, pair in enumerate(inputs)):
            self.plain = len(inputs)
        self._places(inputs)
        self._one_row()

    def _places(self, inputs: Sequence[Input]) -> None:
        """Where numbers, indicators and embeddings stand among the rows of the first layer."""
        numbers = [(i, j) for i, (j, code) in enumerate(inputs) if code < 0]
        self.number_rows = [i for i, _ in numbers]
        self.number_columns = [j for _, j in numbers]
        places: dict[int, dict[float, int]] = {}
        for i, (j, code) in enumerate(inputs):
            if code >= 0:
                places.setdefault(j, {})[float(code)] = i
        self.indicators = tuple(places.items())
        self.first_embedded = len(inputs)

    def _one_row(self) -> None:
        """What one row takes: the rows of the weight that numbers multiply, and those of indicators, with one of 0."""
        weight = self.layers[0][0]
        dense = [*self.number_rows, *range(self.first_embedded, self.width)]
        self.dense = np.ascontiguousarray(weight[dense])
        self.gathered = np.vstack([weight, np.zeros((1, weight.shape[1]))]) if self.indicators else weight
        self.tables = tuple(
            (one.column, {float(code): tuple(row) for code, row in enumerate(one.table.tolist())}, (0.0,) * one.dims)
            for one in self.embeddings
        )

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        if len(Z) == 1:
            return self.one(Z)
        if len(Z) <= self.piece:
            return self.some(Z)
        out = np.empty((len(Z), len(self.layers[-1][1])))
        for start in range(0, len(Z), self.piece):
            out[start : start + self.piece] = self.some(Z[start : start + self.piece])
        return out

    def one(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(1, k)`` of one row."""
        h = self._first(Z[0])
        last = len(self.layers) - 1
        for i in range(last + 1):
            weight, bias = self.layers[i]
            if i:
                h = h @ weight
            h += bias
            if i < last:
                h = np.maximum(h, 0.0, out=h) if self.relu else np.tanh(h, out=h)
        if not self.classes:
            return h[None]
        return _softmax(h) if len(h) <= FEW_OUTPUTS else link_probabilities(h[None], "softmax")

    def _first(self, row: np.ndarray) -> np.ndarray:
        """The first layer's sums ``(units,)`` without its bias."""
        if self.plain == len(row):
            return row @ self.dense
        values = row.tolist()
        entered = [values[j] for j in self.number_columns]
        for column, table, zeros in self.tables:
            entered += table.get(values[column], zeros)
        h: np.ndarray = np.array(entered) @ self.dense
        if self.indicators:
            h += self.gathered.take([place.get(values[j], -1) for j, place in self.indicators], axis=0).sum(axis=0)
        return h

    def some(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` of rows that fit the cache."""
        h = Z if self.plain == Z.shape[1] else self.design(Z)
        for weight, bias in self.layers[:-1]:
            h = h @ weight
            h += bias
            h = np.maximum(h, 0.0, out=h) if self.relu else np.tanh(h, out=h)
        h = h @ self.layers[-1][0]
        h += self.layers[-1][1]
        return link_probabilities(h, "softmax") if self.classes else h

    def design(self, Z: np.ndarray) -> np.ndarray:
        """The values ``(n, m)`` that enter the first layer, as `design_matrix` gives them."""
        out = np.zeros((len(Z), self.width))
        out[:, self.number_rows] = Z[:, self.number_columns]
        for j, place in self.indicators:
            column = Z[:, j]
            for code, i in place.items():
                np.equal(column, code, out=out[:, i])
        start = self.first_embedded
        for one in self.embeddings:
            out[:, start : start + one.dims] = one.values(Z[:, one.column])
            start += one.dims
        return out


def _softmax(scores: np.ndarray) -> np.ndarray:
    """The softmax ``(1, k)`` of a few scores, number by number: quicker than five calls of NumPy."""
    values = scores.tolist()
    top = max(values)
    if not math.isfinite(top):
        return link_probabilities(scores[None], "softmax")
    weights = [math.exp(value - top) for value in values]
    total = sum(weights)
    return np.array([[weight / total for weight in weights]])
