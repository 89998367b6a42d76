"""A network as one JavaScript text: typed arrays and loops, with the rows and errors of the other JavaScript exports.

Source
------
Own. Longer arrays stand in the text as base64, which every browser and node read; nothing is fetched and no text is
run, so the script works under a strict Content-Security-Policy.

Departures
----------
The arrays are read with the least byte first, as every processor with a browser has them.

Checked
-------
node, and the page of the report; the numbers of `predict_encoded` to 1e-6 relative (contract tests).

Cost
----
An 8-bit weight takes 1.4 characters, one in single precision 5.4, in double precision 10.7.
"""

from __future__ import annotations

import numpy as np

from limbeck._core.tables import Column
from limbeck.readable._javascript import _LEVEL, _NUMBER, _READERS
from limbeck.readable._network import NetworkReadable
from limbeck.readable._network_plan import Plan, PlannedLayer, base64_text, planned
from limbeck.readable._printing import comment_text, decimal, has_text_levels, json_text

__all__ = ["network_javascript"]

_TYPES = {
    "int8": "Int8Array",
    "uint8": "Uint8Array",
    "int32": "Int32Array",
    "float32": "Float32Array",
    "float64": "Float64Array",
}
_LITERAL = 48

_NUMBERS = """\
function numbers(text, Kind) {
  const bytes = atob(text), out = new Uint8Array(bytes.length);
  for (let i = 0; i < out.length; i++) out[i] = bytes.charCodeAt(i);
  return new Kind(out.buffer);
}
"""
_ENTERING = """\
function entering(layer, x, at, i) {
  return layer.rowScale ? x[i] * layer.rowScale[at[i]] : x[i];
}
"""
_DENSE = """\
function dense(layer, x, at, count, h) {
  const { weight, units } = layer;
  for (let i = 0; i < count; i++) {
    const p = entering(layer, x, at, i), start = at[i] * units;
    if (p !== 0) for (let o = 0; o < units; o++) h[o] += p * weight[start + o];
  }
}
"""
_SPARSE = """\
function sparse(layer, x, at, count, h) {
  const { weight, first, unit } = layer;
  for (let i = 0; i < count; i++) {
    const p = entering(layer, x, at, i), end = first[at[i] + 1];
    if (p !== 0) for (let k = first[at[i]]; k < end; k++) h[unit[k]] += p * weight[k];
  }
}
"""
_RUN = """\
  for (let l = 0; l < LAYERS.length; l++) {
    const layer = LAYERS[l], h = new Float64Array(layer.units);
    layer.add(layer, x, at, x.length, h);
    for (let o = 0; o < h.length; o++) {
      const total = (layer.scale ? h[o] * layer.scale[o] : h[o]) + layer.bias[o];
      h[o] = l === LAYERS.length - 1 ? total : ACTIVATE;
    }
    x = h;
    at = Array.from(h.keys());
  }
"""
_SOFTMAX = """\
  const top = Math.max(...x), weights = Array.from(x, (score) => Math.exp(score - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}
"""


def network_javascript(network: NetworkReadable) -> str:
    """The text of a script with `COLUMNS`, `OUTPUTS` and ``predict(row)``.

    A row is an array in the order of `COLUMNS`, or an object by column name; `predict` returns an array in the order of
    `OUTPUTS`. The text is ASCII, and no name in it can end a script element. In node it is a module.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> from limbeck.readable import Layer
    >>> layer = Layer(np.array([[2.0]]), np.array([0.5]))
    >>> network = NetworkReadable(Schema((Column("</script>"),)), "regression", ("y",), ((0, -1),), (layer,))
    >>> "</script>" in network_javascript(network)
    False
    """
    plan = planned(network)
    schema = plan.head.schema
    layers = "".join(f"  {_layer(layer)},\n" for layer in plan.layers)
    levels = "".join(f"  {j}: [{', '.join(_levels(schema.columns[j]))}],\n" for j in plan.levelled)
    tables = "".join(
        f"  {{ column: {one.column}, dims: {one.table.shape[1]}, values: {_array(one.values)} }},\n"
        for one in plan.lookups
    )
    body = f"{layers}{tables}"
    return "".join(
        [
            f"// {comment_text(plan.head.title)}\n",
            "// predict(row) takes an array in the order of COLUMNS, or an object by column name, and returns\n",
            "// an array in the order of OUTPUTS: numbers, or the probability of each class.\n",
            f"const COLUMNS = [{', '.join(map(json_text, schema.names))}];\n",
            f"const OUTPUTS = [{', '.join(map(json_text, plan.head.output_names))}];\n",
            f"const LEVELS = {{\n{levels}}};\n" if levels else "",
            _NUMBERS if "numbers(" in body else "",
            _ENTERING,
            _DENSE if "add: dense" in body else "",
            _SPARSE if "add: sparse" in body else "",
            f"const TABLES = [\n{tables}];\n" if tables else "",
            f"const LAYERS = [\n{layers}];\n",
            _READERS if plan.used else "function predict(row) {\n",
            _NUMBER if len(plan.levelled) < len(plan.used) else "",
            _LEVEL if levels else "",
            _entries(plan),
            _RUN.replace("ACTIVATE", "Math.max(0, total)" if plan.activation == "relu" else "Math.tanh(total)"),
            _SOFTMAX if plan.classes else "  return Array.from(x);\n}\n",
            'if (typeof module !== "undefined") module.exports = { predict, COLUMNS, OUTPUTS };\n',
        ]
    )


def _levels(column: Column) -> list[str]:
    """The levels of a column as literals."""
    if has_text_levels(column):
        return [json_text(name) for name in column.level_names]
    return [decimal(float(level)) for level in column.levels]


def _array(values: np.ndarray) -> str:
    """A typed array: its numbers where they are few, else base64."""
    kind = _TYPES[values.dtype.name]
    if values.size > _LITERAL:
        return f'numbers("{base64_text(values)}", {kind})'
    return f"new {kind}([{', '.join(repr(value) for value in values.ravel().tolist())}])"


def _layer(layer: PlannedLayer) -> str:
    """A layer as an object."""
    parts = {"units": str(layer.units), "add": "sparse" if layer.sparse else "dense"}
    if layer.sparse:
        start, unit, values = layer.rows()
        small = np.uint8 if layer.units <= 256 else np.int32
        parts |= {"first": _array(start), "unit": _array(unit.astype(small)), "weight": _array(values)}
    else:
        parts["weight"] = _array(layer.weight)
    parts["bias"] = _array(layer.bias)
    if layer.scale is not None:
        parts["scale"] = _array(layer.scale)
    if layer.row_scale is not None:
        parts["rowScale"] = _array(layer.row_scale)
    return "{ " + ", ".join(f"{name}: {text}" for name, text in parts.items()) + " }"


def _entries(plan: Plan) -> str:
    """The statements that read a row: `x` the values that enter, `at` the row of the first layer that each goes to."""
    lines = ["  let x = [], at = [];\n"]
    if plan.used:
        levelled = f"[{', '.join(map(str, plan.levelled))}]"
        read = "number(j)"
        if plan.levelled:
            position = "LEVELS[j].indexOf(level(j))"
            mixed = f"{levelled}.includes(j) ? {position} : number(j)"
            read = position if len(plan.levelled) == len(plan.used) else mixed
        lines.append("  const read = {};\n")
        lines.append(f"  for (const j of [{', '.join(map(str, plan.used))}]) read[j] = {read};\n")
    if plan.numbers:
        lines.append(f"  for (const j of [{', '.join(map(str, plan.numbers))}]) x.push(read[j]);\n")
    if plan.lookups:
        lines.append(
            "  for (const { column, dims, values } of TABLES)\n"
            "    for (let d = 0; d < dims; d++) x.push(values[read[column] * dims + d]);\n"
        )
    lines.append("  x.forEach((_, i) => at.push(i));\n")
    if plan.indicators:
        pairs = ", ".join(f"[{j}, {first}]" for j, first in plan.indicators.items())
        lines.append(f"  for (const [j, start] of [{pairs}]) {{\n    x.push(1);\n    at.push(start + read[j]);\n  }}\n")
    return "".join(lines)
