"""A network as an ONNX model: one matrix product a layer, weights as small in the file as they can be.

Source
------
Own graph, with the inputs, outputs and metadata of the other ONNX exports; operator set 17.

Departures
----------
All is computed in double precision. Weights of 8 bits or single precision, and those of layers of few weights, are
made doubles by operations on constants, which a runtime does once, when it loads the model.

Checked
-------
`onnx.checker`, and onnxruntime on the rows of the contract tests.

Cost
----
In the file, an 8-bit weight takes one byte, and three where most are 0 and only the others are written.
"""

from __future__ import annotations

import numpy as np

from limbeck._core.errors import require
from limbeck.readable._network import NetworkReadable
from limbeck.readable._network_plan import Lookup, Plan, PlannedLayer, planned
from limbeck.readable._onnx import _Graph, _input_names, _label, _model
from limbeck.readable._printing import encodable, has_text_levels

__all__ = ["network_onnx"]

_DOUBLE, _INT64 = 11, 7


def network_onnx(network: NetworkReadable) -> bytes:
    """The bytes of an ONNX model in double precision, with its names in the model's metadata.

    Where every column is a number, the one input is ``X``, ``(n, d)``. Otherwise each column is an input ``(n, 1)`` of
    its own name, strings for text levels. The output ``Y`` is ``(n, k)``. In classification a second output, ``label``,
    ``(n,)``, is the most probable class. A row with a level that the model does not know gets NaN, and an empty label.

    Raises
    ------
    MissingDependencyError
        Where onnx is not installed (extra ``onnx``).
    """
    onnx = require("onnx", extra="onnx")
    plan = planned(network)
    schema = plan.head.schema
    inputs, separate = _input_names(schema)
    prefix = "v"
    while any(name.startswith(prefix) for name in inputs):
        prefix += "_"
    graph = _Graph(onnx, prefix)
    graph.rows.update(inputs)
    columns = list(inputs)
    if not separate:
        columns = [
            graph.node("Gather", "X", graph.constant(np.array([j])), axis=1)
            if j in plan.used and not _whole_table(plan)
            else ""
            for j in range(len(schema))
        ]
    positions = {j: _position(graph, plan, j, columns[j]) for j in plan.levelled}
    h = _entered(graph, plan, columns, positions, inputs[0])
    for i, layer in enumerate(plan.layers):
        h = graph.node("MatMul", h, _weight(graph, layer))
        h = graph.node("Add", h, graph.constant(layer.bias.astype(np.float64)[None]))
        if i < len(plan.layers) - 1:
            h = graph.node("Relu" if plan.activation == "relu" else "Tanh", h)
    if plan.classes:
        h = graph.node("Softmax", h, axis=1)
    known = _known(graph, list(positions.values()))
    if known:
        graph.node("Where", known, h, graph.scalar(np.nan), output="Y")
    else:
        graph.node("Identity", h, output="Y")
    if plan.classes:
        _label(graph, plan.head, known)
    return _model(onnx, graph, plan.head, inputs, separate)


def _known(graph: _Graph, positions: list[str]) -> str:
    """Whether all levels of each row are known ``(n, 1)``; an empty name where no column has levels."""
    known = ""
    for position in positions:
        here = graph.node("GreaterOrEqual", position, graph.constant(np.zeros((1, 1), dtype=np.int64)))
        known = graph.node("And", known, here) if known else here
    return known


def _whole_table(plan: Plan) -> bool:
    """True where the rows enter as they are."""
    return not plan.indicators and not plan.lookups and plan.numbers == tuple(range(len(plan.head.schema)))


def _position(graph: _Graph, plan: Plan, j: int, given: str) -> str:
    """The position of each row's level in column `j`, as a whole number ``(n, 1)``; -1 where it is not known."""
    column = plan.head.schema.columns[j]
    if has_text_levels(column):
        return graph.node(
            "LabelEncoder",
            given,
            domain="ai.onnx.ml",
            keys_strings=[encodable(text, what="the level", target="ONNX") for text in column.level_names],
            values_int64s=list(range(len(column.levels))),
            default_int64=-1,
        )
    levels = np.array([[float(level) for level in column.levels]])
    same = graph.node("Cast", graph.node("Equal", given, graph.constant(levels)), to=_DOUBLE)
    places = graph.constant(np.arange(1.0, len(column.levels) + 1.0)[:, None])
    place = graph.node("Add", graph.node("MatMul", same, places), graph.scalar(-1.0))
    return graph.node("Cast", place, to=_INT64)


def _entered(graph: _Graph, plan: Plan, columns: list[str], positions: dict[int, str], first: str) -> str:
    """What enters the first layer ``(n, m)``: numbers, embeddings, indicators."""
    if _whole_table(plan):
        return first
    parts = [graph.node("Cast", positions[j], to=_DOUBLE) if j in positions else columns[j] for j in plan.numbers]
    for lookup in plan.lookups:
        table = _table(graph, lookup)
        place = graph.node("Max", positions[lookup.column], graph.constant(np.zeros((1, 1), dtype=np.int64)))
        taken = graph.node("Gather", table, place, axis=0)
        parts.append(graph.node("Reshape", taken, graph.constant(np.array([-1, lookup.table.shape[1]]))))
    for j in plan.indicators:
        codes = graph.constant(np.arange(len(plan.head.schema.columns[j].levels))[None])
        parts.append(graph.node("Cast", graph.node("Equal", positions[j], codes), to=_DOUBLE))
    if parts:
        return graph.node("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    count = graph.node("Gather", graph.node("Shape", first), graph.constant(np.array([0])))
    shape = graph.node("Concat", count, graph.constant(np.array([0])), axis=0)
    return graph.node("Expand", graph.constant(np.zeros((1, 0))), shape)


def _table(graph: _Graph, lookup: Lookup) -> str:
    """An embedding's numbers as doubles."""
    table = _doubles(graph, lookup.table)
    return table if lookup.scale is None else graph.node("Mul", table, graph.constant(lookup.scale[None]))


def _weight(graph: _Graph, layer: PlannedLayer) -> str:
    """A layer's weights as doubles."""
    weight = _scattered(graph, layer.weight) if layer.sparse else _doubles(graph, layer.weight)
    if layer.scale is not None:
        weight = graph.node("Mul", weight, graph.constant(layer.scale[None]))
    if layer.row_scale is not None:
        weight = graph.node("Mul", weight, graph.constant(layer.row_scale[:, None]))
    return weight


def _doubles(graph: _Graph, values: np.ndarray) -> str:
    """Constants, narrow in the file, as doubles."""
    name = graph.constant(values)
    return name if values.dtype == np.float64 else graph.node("Cast", name, to=_DOUBLE)


def _scattered(graph: _Graph, weight: np.ndarray) -> str:
    """A matrix of doubles, of which the file has only the numbers that are not 0, and their places."""
    flat = weight.ravel()
    places = np.flatnonzero(flat)
    narrow = places.astype(np.uint16 if weight.size <= 2**16 else np.int32)
    at = graph.node("Cast", graph.constant(narrow), to=_INT64)
    value = graph.onnx.numpy_helper.from_array(np.zeros(1))
    zeros = graph.node("ConstantOfShape", graph.constant(np.array([weight.size])), value=value)
    spread = graph.node("ScatterElements", zeros, at, _doubles(graph, flat[places]), axis=0)
    return graph.node("Reshape", spread, graph.constant(np.array(weight.shape)))
