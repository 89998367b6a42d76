"""A network as a Python module: arrays and loops, with the rows and errors of the other Python exports.

Source
------
Own. Longer arrays stand in the text as base64 and are read once, when the module is imported; nothing but the standard
library is needed.

Departures
----------
None in the numbers, but for the order of the sums.

Checked
-------
The numbers of `predict_encoded` to 1e-6 relative (contract tests).

Cost
----
About 30 ns a weight and row; a weight that is 0 in a layer of few is not read at all.
"""

from __future__ import annotations

import numpy as np

from limbeck.readable._network import NetworkReadable
from limbeck.readable._network_plan import Plan, PlannedLayer, base64_text, planned
from limbeck.readable._printing import comment_text
from limbeck.readable._python import _LEVEL_READER, _READERS, _level_literal, _result, _returned, _tuple

__all__ = ["network_python"]

_TYPES = {"int8": "b", "uint8": "B", "int32": "i", "float32": "f", "float64": "d"}
_LITERAL = 48
_WIDTH = 100

_NUMBERS = '''
def _numbers(kind, text):
    """An array from base64, the least byte first."""
    out = array.array(kind)
    out.frombytes(base64.b64decode(text))
    if sys.byteorder == "big":
        out.byteswap()
    return out

'''
_DENSE = '''
def _dense(numbers, rows, units, weight):
    """The weights as numbers: for each unit those of the inputs that are numbers, and the other rows, by number."""
    columns = [weight[unit : numbers * units : units] for unit in range(units)]
    return columns, {row: weight[row * units : (row + 1) * units] for row in range(numbers, rows)}


def _dense_sums(layer, x, picked, scale):
    if scale:
        x = list(map(operator.mul, x, scale))
    h = [sum(map(operator.mul, column, x)) for column in layer[0]]
    for row in picked:
        factor = scale[row] if scale else 1.0
        h = [total + factor * weight for total, weight in zip(h, layer[1][row])]
    return h

'''
_SPARSE = '''
def _sparse(units, first, unit, weight):
    """The weights that are not 0, with their units, row by row."""
    return units, [(unit[a:b], weight[a:b]) for a, b in zip(first, first[1:])]


def _sparse_sums(layer, x, picked, scale):
    h = [0.0] * layer[0]
    for row, value in [*enumerate(x), *((row, 1.0) for row in picked)]:
        if value:
            value = value * scale[row] if scale else value
            for unit, weight in zip(*layer[1][row]):
                h[unit] += value * weight
    return h

'''
_SOFTMAX = """\
    top = max(h)
    weights = [math.exp(score - top) for score in h]
    total = sum(weights)
    h = [weight / total for weight in weights]
"""


def network_python(network: NetworkReadable) -> str:
    """The text of a Python module with `COLUMNS`, `OUTPUTS` and ``predict(row)``.

    A row is a mapping from column name to value, or the values in the order of `COLUMNS`. `predict` returns a float
    (regression with one output), a tuple (several outputs) or a dict from class to probability.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> from limbeck.readable import Layer
    >>> layer = Layer(np.array([[2.0]]), np.array([0.5]))
    >>> network = NetworkReadable(Schema((Column("age"),)), "regression", ("y",), ((0, -1),), (layer,))
    >>> print(network_python(network).splitlines()[-1].strip())
    return h[0]
    """
    plan = planned(network)
    schema = plan.head.schema
    layers = "".join(f"_LAYER_{i} = {_layer(plan, i, layer)}\n" for i, layer in enumerate(plan.layers))
    tables = "".join(f"_TABLE_{i} = {_array(lookup.values)}\n" for i, lookup in enumerate(plan.lookups))
    levels = "".join(
        f"    {j}: {_tuple([_level_literal(schema.columns[j], text) for text in schema.columns[j].level_names])},\n"
        for j in plan.levelled
    )
    return "".join(
        [
            _head(plan),
            f"COLUMNS = {_tuple([ascii(name) for name in schema.names])}\n",
            f"OUTPUTS = {_tuple([ascii(name) for name in plan.head.output_names])}\n",
            f"LEVELS = {{\n{levels}}}\n" if levels else "",
            f"\n{_READERS if plan.used else ''}{_LEVEL_READER if levels else ''}\n",
            f"{_NUMBERS if '_numbers(' in layers + tables else ''}",
            f"{_DENSE if '_dense(' in layers else ''}{_SPARSE if '_sparse(' in layers else ''}\n{tables}{layers}",
            f'\n\ndef predict(row):\n    """{_returned(plan.head)} for one row."""\n',
            _body(plan),
        ]
    )


def _head(plan: Plan) -> str:
    return (
        f'"""{comment_text(plan.head.title)}\n\n'
        "predict(row) takes a mapping from column name to value, or the values in the order of COLUMNS.\n"
        'It needs nothing but the standard library.\n"""\n\n'
        "import array\nimport base64\nimport math\nimport operator\nimport sys\n\n"
    )


def _array(values: np.ndarray) -> str:
    """An array: its numbers where they are few, else base64 in lines."""
    kind = _TYPES[values.dtype.name]
    if values.size <= _LITERAL:
        return f'array.array("{kind}", [{", ".join(repr(value) for value in values.ravel().tolist())}])'
    text = base64_text(values)
    lines = "\n".join(text[i : i + _WIDTH] for i in range(0, len(text), _WIDTH))
    return f'_numbers("{kind}", """\n{lines}\n""")'


def _layer(plan: Plan, i: int, layer: PlannedLayer) -> str:
    """A layer as it stands in the module: its weights, the scales of rows and of units or None, its bias."""
    rows = layer.weight.shape[0]
    if layer.sparse:
        start, unit, values = layer.rows()
        small = np.uint8 if layer.units <= 256 else np.int32
        weights = f"_sparse({layer.units}, {_array(start)}, {_array(unit.astype(small))}, {_array(values)})"
    else:
        weights = f"_dense({plan.dense if i == 0 else rows}, {rows}, {layer.units}, {_array(layer.weight)})"
    scales = ["None" if one is None else _array(one) for one in (layer.row_scale, layer.scale)]
    return f"(\n    {weights},\n    {scales[0]},\n    {scales[1]},\n    {_array(layer.bias)},\n)"


def _body(plan: Plan) -> str:
    """The statements of `predict`."""
    columns = plan.head.schema.columns
    lines = []
    for j in plan.used:
        read = f"LEVELS[{j}].index(_level(row, {j}))" if j in plan.levelled else f"_number(row, {j})"
        lines.append(f"x_{j} = {read}  # {comment_text(columns[j].name)}")
    values = [f"x_{j}" for j in plan.numbers]
    for i, lookup in enumerate(plan.lookups):
        dims, j = lookup.table.shape[1], lookup.column
        values.append(f"*_TABLE_{i}[x_{j} * {dims} : x_{j} * {dims} + {dims}]")
    picked = [f"{first} + x_{j}" for j, first in plan.indicators.items()]
    lines += [f"h = [{', '.join(values)}]"]
    for i, layer in enumerate(plan.layers):
        sums = "_sparse_sums" if layer.sparse else "_dense_sums"
        lines.append(f"weights, row_scale, scale, bias = _LAYER_{i}")
        lines.append(f"h = {sums}(weights, h, [{', '.join(picked) if i == 0 else ''}], row_scale)")
        if layer.scale is not None:
            lines.append("h = map(operator.mul, h, scale)")
        lines.append("h = list(map(operator.add, h, bias))")
        if i < len(plan.layers) - 1:
            relu = plan.activation == "relu"
            lines.append(f"h = [{'value if value > 0.0 else 0.0' if relu else 'math.tanh(value)'} for value in h]")
    outputs = [f"h[{o}]" for o in range(plan.layers[-1].units)]
    done = _result(plan.head, outputs) if not plan.classes else "dict(zip(OUTPUTS, h))"
    body = "".join(f"    {line}\n" for line in lines)
    return f"{body}{_SOFTMAX if plan.classes else ''}    return {done}\n"
