"""A small network: a few layers of numbers, frozen, without torch.

Source
------
Own frozen form of the compressed student (Bucila2006). A column with levels enters as one 0/1 indicator a level, or as
an embedding; the standardisation of the inputs is folded into the first layer, that of the targets into the last.

Cost
----
One matrix product a layer, in pieces of rows that stay in the processor's cache; one row alone takes about ten
microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._network_build import build_network
from limbeck.readable._network_layers import (
    ACTIVATIONS,
    Embedding,
    Input,
    Layer,
    check_inputs,
    check_layers,
    design_inputs,
    design_matrix,
    read_embedding,
    read_layer,
    written,
)
from limbeck.readable._network_predict import Forward
from limbeck.readable._packing import packed_size
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._text import condition_text, name_text

__all__ = ["ACTIVATIONS", "Embedding", "Input", "Layer", "NetworkReadable", "design_inputs", "design_matrix"]


@dataclass(frozen=True, eq=False)
class NetworkReadable(Readable):
    """Layers with one activation between them; class scores go through a softmax.

    Attributes
    ----------
    inputs : tuple of (int, int)
        The first rows of the first layer: a column and -1 for its number, or a column and a level for its indicator.
    layers : tuple of Layer
    activation : {"relu", "tanh"}
    embeddings : tuple of Embedding
        The other rows of the first layer: each embedding's numbers in turn. An embedded column is not in `inputs`.
    """

    family: ClassVar[str] = "network"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    activation: Literal["relu", "tanh"] = "relu"
    embeddings: tuple[Embedding, ...] = ()

    def __post_init__(self) -> None:
        """Refuse shapes that do not chain, numbers that are not finite, and inputs that are not there."""
        check_inputs(self.schema, self.inputs, self.embeddings)
        width = len(self.inputs) + sum(embedding.dims for embedding in self.embeddings)
        check_layers(self.layers, width, len(self.output_names))
        if self.activation not in ACTIVATIONS:
            raise InputError(f"a network's activation is one of {sorted(ACTIVATIONS)}; got {self.activation!r:.60}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkReadable) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.schema, self.output_names, self.inputs))

    @property
    def n_parameters(self) -> int:
        """How many numbers the network holds: weights, biases and embeddings; the scales of 8-bit weights not."""
        layers = sum(layer.weight.size + layer.bias.size for layer in self.layers)
        return layers + sum(embedding.table.size for embedding in self.embeddings)

    @property
    def n_bytes(self) -> int:
        """What the numbers take in the file of ``export("safetensors")``: 8-bit, single or double, zeros left out."""
        layers = sum(packed_size(one.weight, one.scale, one.row_scale) + packed_size(one.bias) for one in self.layers)
        return layers + sum(packed_size(embedding.table, embedding.scale) for embedding in self.embeddings)

    @cached_property
    def _forward(self) -> Forward:
        return Forward(self.inputs, self.embeddings, self.layers, self.activation, self.task == "classification")

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        return self._forward(np.asarray(Z, dtype=np.float64))

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: indicators and embeddings, one step a unit, then the outputs."""
        return build_network(
            self.schema.columns,
            self.inputs,
            self.embeddings,
            self.layers,
            self.activation,
            symbols,
            classes=self.task == "classification",
            inline=inline,
        )

    @property
    def complexity(self) -> int:
        """Per weight that is not 0: constant, times, unit, plus; per bias 1; per hidden unit its activation.

        Per number of an embedding that is not 0: the level, and the number.
        """
        weights = sum(4 * int(np.count_nonzero(layer.weight)) + len(layer.bias) for layer in self.layers)
        tables = sum(2 * int(np.count_nonzero(embedding.table)) for embedding in self.embeddings)
        return weights + tables + sum(len(layer.bias) for layer in self.layers[:-1])

    @cached_property
    def input_columns(self) -> tuple[int, ...]:
        """The column of each row of the first layer."""
        embedded = [embedding.column for embedding in self.embeddings for _ in range(embedding.dims)]
        return (*(j for j, _ in self.inputs), *embedded)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns with a weight that is not 0."""
        used = np.flatnonzero(np.any(self.layers[0].weight != 0, axis=1))
        return tuple(sorted({self.input_columns[i] for i in used}))

    def input_text(self, i: int) -> str:
        """Row `i` of the first layer as a person says it: ``age``, ``[job = 'nurse']``, ``job, place 2``."""
        if i >= len(self.inputs):
            column = self.input_columns[i]
            return f"{name_text(self.schema.names[column])}, place {i - self.input_columns.index(column) + 1}"
        j, code = self.inputs[i]
        described = self.schema.columns[j]
        if code < 0:
            return name_text(described.name)
        return f"[{condition_text(described, threshold=None, levels=(code,))}]"

    def text(self) -> str:
        """The network in words: its shape, and the inputs that move each unit of the first layer most."""
        first = self.layers[0].weight
        shape = " -> ".join(str(n) for n in (len(first), *(len(layer.bias) for layer in self.layers)))
        lines = [f"network {shape}, {self.activation}, {self.n_parameters:,} numbers{self._kind_text()}"]
        lines += [
            f"  {name_text(self.schema.names[embedding.column])}: {len(embedding.table)} levels in "
            f"{embedding.dims} number(s) each"
            for embedding in self.embeddings
        ]
        for unit in range(min(first.shape[1], 40)):
            order = np.argsort(-np.abs(first[:, unit]), kind="stable")[:4]
            terms = " ".join(f"{first[i, unit]:+.3g}*{self.input_text(i)}" for i in order if first[i, unit] != 0)
            more = " ..." if np.count_nonzero(first[:, unit]) > 4 else ""
            lines.append(f"  unit {unit + 1}: {terms or 'constant'}{more}")
        if first.shape[1] > 40:
            lines.append(f"  ... and {first.shape[1] - 40} more units")
        return "\n".join(lines)

    def _kind_text(self) -> str:
        """What is special about the weights: 8-bit, zeros."""
        eight = sum(layer.scale is not None for layer in self.layers)
        where = "" if eight == len(self.layers) else f" in {eight} of {len(self.layers)} layers"
        total = sum(layer.weight.size for layer in self.layers)
        zeros = total - sum(int(np.count_nonzero(layer.weight)) for layer in self.layers)
        parts = [f"8-bit weights{where}"] if eight else []
        if 10 * zeros >= total:
            parts.append(f"{zeros / total:.0%} of the weights are 0")
        return "".join(f", {part}" for part in parts)

    def to_dict(self) -> dict[str, Any]:
        """The network as JSON types, exactly."""
        layers = [
            written(weight=one.weight, scale=one.scale, row_scale=one.row_scale, bias=one.bias) for one in self.layers
        ]
        data = {
            **self._head(),
            "activation": self.activation,
            "inputs": [list(pair) for pair in self.inputs],
            "layers": layers,
        }
        if self.embeddings:
            data["embeddings"] = [
                {"column": one.column} | written(table=one.table, scale=one.scale) for one in self.embeddings
            ]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkReadable:
        """The network that `to_dict` wrote."""
        schema, task, names = read_head(data)
        try:
            inputs = tuple((int(j), int(code)) for j, code in data["inputs"])
            layers = tuple(read_layer(layer) for layer in data["layers"])
            embeddings = tuple(read_embedding(one) for one in data.get("embeddings", []))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise InputError(f"a stored network is malformed: {error!r:.200}") from None
        return cls(schema, task, names, inputs, layers, str(data.get("activation")), embeddings)  # type: ignore[arg-type]
