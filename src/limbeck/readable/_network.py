"""A small network: a few layers of numbers, frozen, without torch.

Source
------
Own frozen form of the compressed student (Bucila2006). Columns with levels enter as one 0/1 indicator a level; the
standardisation of the inputs is folded into the first layer, that of the targets into the last.

Cost
----
One matrix product a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._formula import link_probabilities, softmax_outputs
from limbeck.readable._language import IsIn, step_symbol
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._text import condition_text, name_text

__all__ = ["Layer", "NetworkReadable", "design_inputs", "design_matrix"]

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
}

Input = tuple[int, int]
"""A network's input: a column's position, and a level's position, or -1 for the column's number itself."""


def design_inputs(schema: Schema) -> tuple[Input, ...]:
    """The inputs of a network over these columns: each number, and one indicator a level."""
    out: list[Input] = []
    for j, column in enumerate(schema.columns):
        out += [(j, code) for code in range(len(column.levels))] if column.levels else [(j, -1)]
    return tuple(out)


def design_matrix(inputs: Sequence[Input], Z: np.ndarray) -> np.ndarray:
    """The inputs' values ``(n, m)`` on encoded rows ``(n, d)``: the rows themselves where all columns are numbers."""
    if len(inputs) == Z.shape[1] and all(pair == (j, -1) for j, pair in enumerate(inputs)):
        return Z
    return np.column_stack([Z[:, j] if code < 0 else (Z[:, j] == code).astype(np.float64) for j, code in inputs])


@dataclass(frozen=True)
class Layer:
    """``x @ weight + bias``: `weight` is ``(inputs, outputs)``, `bias` ``(outputs,)``."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class NetworkReadable(Readable):
    """Layers with one activation between them; class scores go through a softmax."""

    family: ClassVar[str] = "network"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    activation: Literal["relu", "tanh"] = "relu"

    def __post_init__(self) -> None:
        """Refuse shapes that do not chain, numbers that are not finite, and inputs that are not there."""
        width = len(self.inputs)
        for layer in self.layers:
            if layer.weight.ndim != 2 or layer.weight.shape != (width, len(layer.bias)):
                raise InputError(f"a layer needs weight ({width}, outputs) and bias; got {layer.weight.shape}")
            if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
                raise InputError("a network's weights must be finite")
            width = len(layer.bias)
        if not self.layers or width != len(self.output_names) or self.activation not in ACTIVATIONS:
            raise InputError(f"a network needs layers ending in {len(self.output_names)} outputs, relu or tanh")
        for j, code in self.inputs:
            if not 0 <= j < len(self.schema) or code >= len(self.schema.columns[j].levels):
                raise InputError(f"input {(j, code)} is not a column or level of the table")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkReadable) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.schema, self.output_names, self.inputs))

    @property
    def n_parameters(self) -> int:
        """How many numbers the network holds."""
        return sum(layer.weight.size + layer.bias.size for layer in self.layers)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        h = design_matrix(self.inputs, np.asarray(Z, dtype=np.float64))
        for layer in self.layers[:-1]:
            h = ACTIVATIONS[self.activation](h @ layer.weight + layer.bias)
        out = h @ self.layers[-1].weight + self.layers[-1].bias
        return out if self.task == "regression" else link_probabilities(out, "softmax")

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: indicators, one step a unit, then the outputs."""
        steps: list[tuple[sp.Symbol, sp.Expr]] = []

        def step(expr: sp.Expr) -> sp.Expr:
            if inline:
                return expr
            steps.append((step_symbol(len(steps)), expr))
            return steps[-1][0]

        h: list[sp.Expr] = []
        for j, code in self.inputs:
            if code < 0:
                h.append(symbols[j])
                continue
            condition = IsIn.of(symbols[j], [self.schema.columns[j].level_names[code]])
            h.append(step(sp.Piecewise((1, condition), (0, True), evaluate=False)))
        for layer in self.layers[:-1]:
            sums = [step(_affine(h, layer, o)) for o in range(len(layer.bias))]
            h = [step(_activate(self.activation, s)) for s in sums]
        outputs = [_affine(h, self.layers[-1], o) for o in range(len(self.output_names))]
        if self.task == "regression":
            return tuple(steps), tuple(outputs)
        return softmax_outputs(outputs, tuple(steps), inline=inline)

    @property
    def complexity(self) -> int:
        """Per weight that is not 0: constant, times, unit, plus; per bias 1; per hidden unit its activation."""
        weights = sum(4 * int(np.count_nonzero(layer.weight)) + len(layer.bias) for layer in self.layers)
        return weights + sum(len(layer.bias) for layer in self.layers[:-1])

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns with a weight that is not 0."""
        used = np.flatnonzero(np.any(self.layers[0].weight != 0, axis=1))
        return tuple(sorted({self.inputs[i][0] for i in used}))

    def input_text(self, i: int) -> str:
        """Input `i` as a person says it: ``age``, ``[job = 'nurse']``."""
        j, code = self.inputs[i]
        column = self.schema.columns[j]
        return name_text(column.name) if code < 0 else f"[{condition_text(column, threshold=None, levels=(code,))}]"

    def text(self) -> str:
        """The network in words: its shape, and the inputs that move each unit of the first layer most."""
        shape = " -> ".join(str(n) for n in (len(self.inputs), *(len(layer.bias) for layer in self.layers)))
        lines = [f"network {shape}, {self.activation}, {self.n_parameters:,} numbers"]
        first = self.layers[0].weight
        for unit in range(min(first.shape[1], 40)):
            order = np.argsort(-np.abs(first[:, unit]), kind="stable")[:4]
            terms = " ".join(f"{first[i, unit]:+.3g}*{self.input_text(i)}" for i in order if first[i, unit] != 0)
            lines.append(f"  unit {unit + 1}: {terms or 'constant'}{' ...' if first.shape[0] > 4 else ''}")
        if first.shape[1] > 40:
            lines.append(f"  ... and {first.shape[1] - 40} more units")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The network as JSON types, exactly."""
        layers = [{"weight": layer.weight.tolist(), "bias": layer.bias.tolist()} for layer in self.layers]
        return {
            **self._head(),
            "activation": self.activation,
            "inputs": [list(pair) for pair in self.inputs],
            "layers": layers,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkReadable:
        """The network that `to_dict` wrote."""
        schema, task, names = read_head(data)
        try:
            inputs = tuple((int(j), int(code)) for j, code in data["inputs"])
            layers = tuple(
                Layer(np.array(layer["weight"], dtype=np.float64), np.array(layer["bias"], dtype=np.float64))
                for layer in data["layers"]
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a stored network is malformed: {error!r:.200}") from None
        return cls(schema, task, names, inputs, layers, data.get("activation", ""))


def _affine(h: Sequence[sp.Expr], layer: Layer, o: int) -> sp.Expr:
    terms = [
        sp.Mul(sp.Float(float(weight)), unit, evaluate=False)
        for weight, unit in zip(layer.weight[:, o], h, strict=True)
        if weight != 0
    ]
    return sp.Add(*terms, sp.Float(float(layer.bias[o])), evaluate=False)


def _activate(activation: str, value: sp.Expr) -> sp.Expr:
    if activation == "tanh":
        return sp.tanh(value, evaluate=False)
    return sp.Max(sp.Integer(0), value, evaluate=False)
