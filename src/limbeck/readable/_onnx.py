"""A program as an ONNX model in double precision.

Source
------
Own graph, built node by node from `Program` with `onnx.helper`; operator set 17.

Departures
----------
onnxruntime has no tangent in double precision, and in older releases no cosine: ``cos a = 1 - 2 sin(a/2)^2``, exact
to the last bits. A row with a level that the model does not know gets NaN, and an empty label.

Checked
-------
`onnx.checker`, and onnxruntime on the rows of the contract tests.

Cost
----
One node an operation; a sum of eight or more weighted terms is one matrix product.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp
from sympy.printing.printer import Printer

from limbeck._core.errors import InputError, require
from limbeck._core.tables import Schema
from limbeck.readable._language import IsIn, Program
from limbeck.readable._lowering import choices, is_number, lowered, number_of
from limbeck.readable._printing import encodable, has_text_levels

__all__ = ["onnx_model"]

_MATRIX_FROM = 8
_FUNCTIONS = {
    "exp": "Exp",
    "log": "Log",
    "sin": "Sin",
    "tanh": "Tanh",
    "Abs": "Abs",
    "floor": "Floor",
}
_RELATIONS = {"<=": "LessOrEqual", "<": "Less", ">=": "GreaterOrEqual", ">": "Greater", "==": "Equal"}


class _Graph:
    """Nodes and constants as they are made; equal nodes are made once."""

    def __init__(self, onnx: Any, prefix: str) -> None:
        self.onnx, self.prefix = onnx, prefix
        self.nodes: list[Any] = []
        self.constants: dict[str, str] = {}
        self.initializers: list[Any] = []
        self.made: dict[Any, str] = {}
        self.rows: set[str] = set()  # the values that have a row for each row of the input
        self.products: set[str] = set()  # the results of matrix products

    def fresh(self) -> str:
        """A value's name that no column has."""
        return f"{self.prefix}{len(self.nodes) + len(self.initializers)}"

    def constant(self, value: np.ndarray) -> str:
        """The name of a constant tensor."""
        key = repr((value.dtype.str, value.shape, value.tolist()))
        if key not in self.constants:
            self.constants[key] = self.fresh()
            self.initializers.append(self.onnx.numpy_helper.from_array(value, self.constants[key]))
        return self.constants[key]

    def scalar(self, value: float) -> str:
        """The name of a constant ``(1, 1)``."""
        return self.constant(np.full((1, 1), value, dtype=np.float64))

    def node(self, operator: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        """The name of an operation's result."""
        key = (operator, inputs, repr(sorted(attributes.items())))
        if not output and key in self.made:
            return self.made[key]
        name = output or self.fresh()
        self.nodes.append(self.onnx.helper.make_node(operator, inputs, [name], domain=domain, **attributes))
        if not self.rows.isdisjoint(inputs):
            self.rows.add(name)
        if operator == "MatMul":
            self.products.add(name)
        return self.made.setdefault(key, name)


class _OnnxPrinter(Printer):
    """Prints each expression as the name of the value that holds it."""

    def __init__(self, graph: _Graph, schema: Schema, columns: Sequence[str]) -> None:
        super().__init__()
        self.graph, self.schema, self.inputs = graph, schema, columns
        self.steps: dict[str, str] = {}

    def codes(self, j: int, values: np.ndarray, *, otherwise: float) -> str:
        """For every row, the number in `values` that stands for its level of column `j`."""
        graph, column = self.graph, self.schema.columns[j]
        if has_text_levels(column):
            texts = [encodable(text, what="the level", target="ONNX") for text in column.level_names]
            return graph.node(
                "LabelEncoder",
                self.inputs[j],
                domain="ai.onnx.ml",
                keys_strings=texts,
                values_floats=[float(value) for value in values],
                default_float=otherwise,
            )
        levels = np.array([[float(level) for level in column.levels]])
        same = graph.node("Cast", graph.node("Equal", self.inputs[j], graph.constant(levels)), to=11)
        shifted = np.asarray(values, dtype=np.float64).reshape(-1, 1) - otherwise
        return graph.node("Add", graph.node("MatMul", same, graph.constant(shifted)), graph.scalar(otherwise))

    def coded(self, j: int, values: np.ndarray, *, otherwise: float = 0.0) -> str:
        """`codes` as doubles."""
        name = self.codes(j, values, otherwise=otherwise)
        return self.graph.node("Cast", name, to=11) if has_text_levels(self.schema.columns[j]) else name

    def chain(self, operator: str, names: Sequence[str]) -> str:
        """An operation of two over many, from the left."""
        result = names[0]
        for name in names[1:]:
            result = self.graph.node(operator, result, name)
        return result

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        if expr.name in self.steps:
            return self.steps[expr.name]
        j = int(expr.name[1:])
        count = len(self.schema.columns[j].levels)
        return self.coded(j, np.arange(count)) if count else self.inputs[j]

    def _print_Number(self, expr: Any) -> str:
        return self.graph.scalar(number_of(expr))

    _print_NumberSymbol = _print_Number

    def _print_Add(self, expr: sp.Add) -> str:
        if len(expr.args) < _MATRIX_FROM:
            return self.chain("Add", [self._print(term) for term in expr.args])
        weighted, single = [], []
        for term in expr.args:
            weight, bare = self._weighted(term)
            name = self._print(bare)
            if name in self.graph.rows:
                weighted.append((weight, name))
            else:
                single.append(self._print(term))
        if not weighted:
            return self.chain("Add", single)
        terms = self.graph.node("Concat", *(name for _, name in weighted), axis=1)
        weights = self.graph.constant(np.array([[weight] for weight, _ in weighted]))
        return self.chain("Add", [self.graph.node("MatMul", terms, weights), *single])

    def _weighted(self, term: sp.Basic) -> tuple[float, sp.Basic]:
        if isinstance(term, sp.Mul) and len(term.args) == 2 and is_number(term.args[0]):
            return number_of(term.args[0]), term.args[1]
        return 1.0, term

    def _print_Mul(self, expr: sp.Mul) -> str:
        above = [factor for factor in expr.args if not (isinstance(factor, sp.Pow) and factor.args[1] == -1)]
        below = [factor.args[0] for factor in expr.args if factor not in above]
        result = self.graph.scalar(1.0)
        for i, factor in enumerate(above):
            name = self._print(factor)
            result = self._product(result, name) if i else name
        for divisor in below:
            name = self._print(divisor)
            if result in self.graph.products and is_number(divisor) and number_of(divisor) != 0:
                result = self._product(result, self.graph.scalar(1.0 / number_of(divisor)))
            else:
                result = self.graph.node("Div", result, name)
        return result

    def _product(self, one: str, other: str) -> str:
        """Their product. A matrix product is scaled by another: onnxruntime would fuse a factor in single precision."""
        products = self.graph.products
        if one in products and other not in self.graph.rows:
            return self.graph.node("MatMul", one, other)
        if other in products and one not in self.graph.rows:
            return self.graph.node("MatMul", other, one)
        return self.graph.node("Mul", one, other)

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        value = self._print(base)
        if exponent == -1:
            return self.graph.node("Div", self.graph.scalar(1.0), value)
        if is_number(exponent) and number_of(exponent) == 0.5:
            return self.graph.node("Sqrt", value)
        if exponent == 2:
            return self.graph.node("Mul", value, value)
        return self.graph.node("Pow", value, self._print(exponent))

    def _print_function(self, expr: sp.Basic) -> str:
        return self.graph.node(_FUNCTIONS[type(expr).__name__], self._print(expr.args[0]))

    _print_exp = _print_log = _print_sin = _print_tanh = _print_Abs = _print_floor = _print_function

    def _print_cos(self, expr: sp.cos) -> str:
        half = self.graph.node("Mul", self._print(expr.args[0]), self.graph.scalar(0.5))
        sine = self.graph.node("Sin", half)
        twice = self.graph.node("Mul", self.graph.node("Mul", sine, sine), self.graph.scalar(2.0))
        return self.graph.node("Sub", self.graph.scalar(1.0), twice)

    def _print_tan(self, expr: sp.tan) -> str:
        sine = self.graph.node("Sin", self._print(expr.args[0]))
        return self.graph.node("Div", sine, self._print_cos(expr))

    def _print_Max(self, expr: sp.Max) -> str:
        return self.graph.node("Max", *(self._print(arg) for arg in expr.args))

    def _print_Min(self, expr: sp.Min) -> str:
        return self.graph.node("Min", *(self._print(arg) for arg in expr.args))

    def _print_Relational(self, expr: Any) -> str:
        left, right = (self._print(arg) for arg in expr.args)
        if expr.rel_op == "!=":
            return self.graph.node("Not", self.graph.node("Equal", left, right))
        return self.graph.node(_RELATIONS[expr.rel_op], left, right)

    def _print_And(self, expr: sp.And) -> str:
        return self.chain("And", [self._print(arg) for arg in expr.args])

    def _print_Or(self, expr: sp.Or) -> str:
        return self.chain("Or", [self._print(arg) for arg in expr.args])

    def _print_Not(self, expr: sp.Not) -> str:
        return self.graph.node("Not", self._print(expr.args[0]))

    def _print_BooleanTrue(self, expr: Any) -> str:
        return self.graph.constant(np.array([[bool(expr)]]))

    _print_BooleanFalse = _print_BooleanTrue

    def _print_IsIn(self, expr: IsIn) -> str:
        j = int(expr.column.name[1:])
        column = self.schema.columns[j]
        flags = np.array([float(text in expr.levels) for text in column.level_names])
        return self.graph.node("Cast", self.codes(j, flags, otherwise=0.0), to=9)

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        pairs = choices(expr)
        result = self._print(pairs[-1][0])
        for value, condition in reversed(pairs[:-1]):
            result = self.graph.node("Where", self._print(condition), self._print(value), result)
        return result

    def emptyPrinter(self, expr: Any) -> str:
        """Nothing becomes a node that has no rule here."""
        raise InputError(f"{type(expr).__name__} is not an operation of the language")


def onnx_model(program: Program) -> bytes:
    """The bytes of an ONNX model in double precision, with its names in the model's metadata.

    Where every column is a number, the one input is ``X``, ``(n, d)``. Otherwise each column is an input ``(n, 1)`` of
    its own name, strings for text levels (the metadata say which input is which column). The output ``Y`` is
    ``(n, k)``. In classification a second output, ``label``, ``(n,)``, is the most probable class.

    Raises
    ------
    MissingDependencyError
        Where onnx is not installed (extra ``onnx``).
    """
    onnx = require("onnx", extra="onnx")
    program = lowered(program)
    inputs, separate = _input_names(program.schema)
    prefix = "v"
    while any(name.startswith(prefix) for name in inputs):
        prefix += "_"
    graph = _Graph(onnx, prefix)
    graph.rows.update(inputs)
    used = program.columns_used
    columns = list(inputs)
    if not separate:
        columns = [
            graph.node("Gather", "X", graph.constant(np.array([j])), axis=1) if j in used else ""
            for j in range(len(program.schema))
        ]
    printer = _OnnxPrinter(graph, program.schema, columns)
    for symbol, expr in program.steps:
        printer.steps[str(symbol)] = printer._print(expr)
    values = [printer._print(expr) for expr in program.outputs]
    count = graph.node("Gather", graph.node("Shape", inputs[0] if separate else "X"), graph.constant(np.array([0])))
    shape = graph.node("Concat", count, graph.constant(np.array([len(values)])), axis=0)
    joined = graph.node("Concat", *(_spread(graph, value, count) for value in values), axis=1)
    known = [
        printer.coded(j, np.ones(len(program.schema.columns[j].levels))) for j in used if program.schema.has_levels(j)
    ]
    known_all = graph.node("Greater", printer.chain("Mul", known), graph.scalar(0.5)) if known else ""
    if known:
        joined = graph.node("Where", known_all, joined, graph.scalar(np.nan))
    graph.node("Reshape", joined, shape, output="Y")
    if program.task == "classification":
        _label(graph, program, known_all)
    return _model(onnx, graph, program, inputs, separate)


def _spread(graph: _Graph, value: str, count: str) -> str:
    """A value ``(n, 1)``, also where it is a constant."""
    if value in graph.rows:
        return value
    shape = graph.node("Concat", count, graph.constant(np.array([1])), axis=0)
    return graph.node("Expand", value, shape)


def _input_names(schema: Schema) -> tuple[list[str], bool]:
    """The name of each column's input, and whether each column has one of its own."""
    separate = any(has_text_levels(column) for column in schema.columns)
    if not separate:
        return ["X"] * len(schema), False
    taken = {*schema.names, "Y", "label"}
    names = []
    for j, name in enumerate(schema.names):
        own = name
        if not name or name in ("Y", "label"):
            own = f"column_{j}"
            while own in taken:
                own += "_"
        names.append(encodable(own, what="the name", target="ONNX"))
        taken.add(own)
    return names, True


def _label(graph: _Graph, program: Program, known: str) -> None:
    """The most probable class of every row, or an empty text where a level is not known."""
    names = [encodable(name, what="the class", target="ONNX") for name in program.output_names]
    labels = graph.constant(np.array(names, dtype=object))
    best = graph.node("ArgMax", "Y", axis=1, keepdims=0)
    if not known:
        graph.node("Gather", labels, best, axis=0, output="label")
        return
    flat = graph.node("Reshape", known, graph.constant(np.array([-1])))
    graph.node(
        "Where",
        flat,
        graph.node("Gather", labels, best, axis=0),
        graph.constant(np.array([""], dtype=object)),
        output="label",
    )


def _model(onnx: Any, graph: _Graph, program: Program, inputs: Sequence[str], separate: bool) -> bytes:
    helper, schema = onnx.helper, program.schema
    double, string = onnx.TensorProto.DOUBLE, onnx.TensorProto.STRING
    if separate:
        given = [
            helper.make_tensor_value_info(name, string if has_text_levels(column) else double, ["n", 1])
            for name, column in zip(inputs, schema.columns, strict=True)
        ]
    else:
        given = [helper.make_tensor_value_info("X", double, ["n", len(schema)])]
    out = [helper.make_tensor_value_info("Y", double, ["n", len(program.outputs)])]
    if program.task == "classification":
        out.append(helper.make_tensor_value_info("label", string, ["n"]))
    body = helper.make_graph(graph.nodes, "limbeck", given, out, graph.initializers)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    model = helper.make_model(body, opset_imports=opsets, producer_name="limbeck", ir_version=8)
    text = {
        "title": program.title,
        "columns": list(schema.names),
        "inputs": list(inputs),
        "outputs": list(program.output_names),
    }
    helper.set_model_props(model, {name: json.dumps(value) for name, value in text.items()})
    data: bytes = model.SerializeToString(deterministic=True)
    return data
