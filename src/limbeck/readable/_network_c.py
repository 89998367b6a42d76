r"""A network as C99: constant arrays and loops, with the row, the names and the rules of the other C exports.

Source
------
Own. A layer adds rows of its weight, so that the inner loop runs over the units, which lie side by side and are
computed several at once; inputs and units that are 0 are skipped.

Departures
----------
As in the other C exports: where a number in use is not finite, or a level in use is not known, every output is NaN.
Sums are in double precision, whatever the weights are stored in.

Checked
-------
gcc with every warning an error; the numbers of `predict_encoded` to 1e-6 relative (contract tests).

Cost
----
An 8-bit weight takes one byte in the program and about four in the text, one in single precision 4 and 13.
"""

from __future__ import annotations

import numpy as np

from limbeck.readable._c import _FIND, _head, _levels, _reading
from limbeck.readable._network import NetworkReadable
from limbeck.readable._network_plan import Plan, PlannedLayer, planned
from limbeck.readable._printing import has_text_levels, variable_names

__all__ = ["network_c"]

_TYPES = {"int8": "LIMBECK_CODE", "float32": "float", "float64": "double", "int32": "int"}
_WIDTH = 110

_CODE = """\
/* The type of 8-bit weights. With -DLIMBECK_CODE=double they take 8 times the memory, and a row half the time. */
#ifndef LIMBECK_CODE
#define LIMBECK_CODE signed char
#endif

"""
_ACTIVE = """\
static int limbeck_active(const double *h, int count, double *x, int *at) {
  int i, k = 0;
  for (i = 0; i < count; i++) {
    x[k] = h[i];
    at[k] = i;
    k += h[i] != 0.0;
  }
  return k;
}

"""
_DENSE = """\
static void limbeck_layer_{i}(const double *x, const int *at, int count, double *restrict h) {{
  int k, o;
  for (o = 0; o < {units}; o++) h[o] = 0.0;
  for (k = 0; k + 4 <= count; k += 4) {{
    const {type} *a = limbeck_weight_{i} + at[k] * {units}, *b = limbeck_weight_{i} + at[k + 1] * {units};
    const {type} *c = limbeck_weight_{i} + at[k + 2] * {units}, *d = limbeck_weight_{i} + at[k + 3] * {units};
    const double p = {p}, q = {q}, r = {r}, s = {s};
    for (o = 0; o < {units}; o++) h[o] += p * a[o] + q * b[o] + r * c[o] + s * d[o];
  }}
  for (; k < count; k++) {{
    const {type} *a = limbeck_weight_{i} + at[k] * {units};
    const double p = {p};
    for (o = 0; o < {units}; o++) h[o] += p * a[o];
  }}
{finish}}}

"""
_SPARSE = """\
static void limbeck_layer_{i}(const double *x, const int *at, int count, double *restrict h) {{
  int j, k, o;
  for (o = 0; o < {units}; o++) h[o] = 0.0;
  for (k = 0; k < count; k++)
    for (j = limbeck_start_{i}[at[k]]; j < limbeck_start_{i}[at[k] + 1]; j++)
      h[limbeck_unit_{i}[j]] += {p} * limbeck_weight_{i}[j];
{finish}}}

"""
_SOFTMAX = """\
  for (o = 1; o < LIMBECK_OUTPUTS; o++)
    if (out[o] > top) top = out[o];
  for (o = 0; o < LIMBECK_OUTPUTS; o++) {
    out[o] = exp(out[o] - top);
    total += out[o];
  }
  for (o = 0; o < LIMBECK_OUTPUTS; o++) out[o] /= total;
"""


def network_c(network: NetworkReadable) -> str:
    """The text of a C99 file with `limbeck_row` and ``void limbeck_predict(const limbeck_row *row, double *out)``.

    Raises
    ------
    InputError
        Where a name or level holds a NUL character.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> from limbeck.readable import Layer
    >>> layer = Layer(np.array([[2.0]]), np.array([0.5]))
    >>> network = NetworkReadable(Schema((Column("age"),)), "regression", ("y",), ((0, -1),), (layer,))
    >>> [line for line in network_c(network).splitlines() if "weight_0[" in line]
    ['static const float limbeck_weight_0[1] = {2.0f};']
    """
    plan = planned(network)
    columns = plan.head.schema.columns
    fields = variable_names(plan.head.schema)
    text = [j for j in plan.used if has_text_levels(columns[j])]
    tables = [_array(f"limbeck_table_{j}", _TYPES["float64"], lookup.values) for j, lookup in enumerate(plan.lookups)]
    layers = "".join(_layer(plan, i, layer) for i, layer in enumerate(plan.layers))
    return "".join(
        [
            _head(plan.head, fields),
            *(_levels(columns[j], fields[j]) for j in text),
            _FIND if text else "",
            _CODE if "LIMBECK_CODE limbeck" in layers else "",
            *tables,
            layers,
            _ACTIVE if len(plan.layers) > 1 else "",
            "void limbeck_predict(const limbeck_row *row, double *out) {\n",
            _reading(plan.head.schema, fields, plan.used),
            _body(plan, fields),
            "}\n",
        ]
    )


def _array(name: str, kind: str, values: np.ndarray) -> str:
    """A constant array, in lines."""
    flat = values.ravel().tolist() if kind != "float" else [str(value) + "f" for value in values.ravel()]
    texts = flat if kind == "float" else [repr(value) for value in flat]
    lines, line = [], ""
    for text in texts:
        if len(line) + len(text) > _WIDTH:
            lines.append(line)
            line = ""
        line += f"{text},"
    lines.append(line)
    body = "\n".join(lines).removesuffix(",")
    return f"static const {kind} {name}[{len(texts)}] = {{{body}}};\n"


def _layer(plan: Plan, i: int, layer: PlannedLayer) -> str:
    """A layer's arrays, and the function that computes it."""
    kind = _TYPES[layer.weight.dtype.name]
    arrays = _array(f"limbeck_bias_{i}", "double", layer.bias)
    total = f"h[o] + limbeck_bias_{i}[o]"
    if layer.scale is not None:
        arrays += _array(f"limbeck_scale_{i}", "double", layer.scale)
        total = f"h[o] * limbeck_scale_{i}[o] + limbeck_bias_{i}[o]"
    finish = f"  for (o = 0; o < {layer.units}; o++) h[o] = {total};\n"
    if i < len(plan.layers) - 1:
        active = "h[o] > 0.0 ? h[o] : 0.0" if plan.activation == "relu" else "tanh(h[o])"
        finish += f"  for (o = 0; o < {layer.units}; o++) h[o] = {active};\n"
    if not layer.weight.any():
        return arrays + _constant(i, layer.units, finish)
    if layer.sparse:
        start, unit, values = layer.rows()
        small = "unsigned char" if layer.units <= 256 else "int"
        arrays += _array(f"limbeck_start_{i}", "int", start) + _array(f"limbeck_unit_{i}", small, unit)
        arrays += _array(f"limbeck_weight_{i}", kind, values)
    else:
        arrays += _array(f"limbeck_weight_{i}", kind, layer.weight)
    shape = _SPARSE if layer.sparse else _DENSE
    entering = "x[{0}]"
    if layer.row_scale is not None:
        arrays += _array(f"limbeck_row_scale_{i}", "double", layer.row_scale)
        entering = f"x[{{0}}] * limbeck_row_scale_{i}[at[{{0}}]]"
    given = {name: entering.format(place) for name, place in zip("pqrs", ("k", "k + 1", "k + 2", "k + 3"), strict=True)}
    return f"{arrays}\n" + shape.format(i=i, units=layer.units, type=kind, finish=finish, **given)


def _constant(i: int, units: int, finish: str) -> str:
    """The function of a layer whose weights are all 0."""
    return (
        f"\nstatic void limbeck_layer_{i}(const double *x, const int *at, int count, double *restrict h) {{\n"
        f"  int o;\n  (void)x;\n  (void)at;\n  (void)count;\n"
        f"  for (o = 0; o < {units}; o++) h[o] = 0.0;\n{finish}}}\n\n"
    )


def _body(plan: Plan, fields: tuple[str, ...]) -> str:
    """The statements of `limbeck_predict` after the row was read."""
    columns = plan.head.schema.columns
    levels = {j: f"{fields[j]}_level" for j in plan.levelled}
    lines = []
    for j in plan.levelled:
        if not has_text_levels(columns[j]):
            chain = "".join(
                f"row->{fields[j]} == {float(level)!r} ? {i} : " for i, level in enumerate(columns[j].levels)
            )
            lines.append(f"  const int {levels[j]} = {chain}0;")
    entries = [(str(i), levels[j] if j in levels else f"row->{fields[j]}") for i, j in enumerate(plan.numbers)]
    for t, lookup in enumerate(plan.lookups):
        dims = lookup.table.shape[1]
        place = f"limbeck_table_{t}[{levels[lookup.column]} * {dims}"
        entries += [(str(len(entries) + d), f"{place} + {d}]") for d in range(dims)]
    entries += [(f"{first} + {levels[j]}", "1.0") for j, first in plan.indicators.items()]
    widest = max(len(entries), 1, *(layer.units for layer in plan.layers[:-1]))
    hidden = f", h[{widest}]" if len(plan.layers) > 1 else ""
    lines += [f"  double x[{widest}]{hidden};", f"  int at[{widest}];"]
    if plan.classes:
        lines += ["  double top, total = 0.0;", "  int o;"]
    lines += [f"  at[{k}] = {at};\n  x[{k}] = {value};" for k, (at, value) in enumerate(entries)]
    if not entries:
        lines.append("  at[0] = 0;\n  x[0] = 0.0;")
    count = str(len(entries))
    last = len(plan.layers) - 1
    for i, layer in enumerate(plan.layers):
        lines.append(f"  limbeck_layer_{i}(x, at, {count}, {'out' if i == last else 'h'});")
        count = f"limbeck_active(h, {layer.units}, x, at)"
    return "\n".join(lines) + "\n" + ("  top = out[0];\n" + _SOFTMAX if plan.classes else "")
