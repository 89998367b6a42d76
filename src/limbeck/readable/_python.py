"""A program as a Python module that needs nothing but the standard library.

Source
------
Own printer over `Program`.

Departures
----------
None in the numbers: where `math` raises, the functions written here give the infinity or NaN that NumPy gives. A level
that the model does not know is a `ValueError`.

Cost
----
One Python operation a node and row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import sympy as sp

from limbeck._core.tables import Column
from limbeck.readable._language import Program
from limbeck.readable._lowering import choices, is_number, lowered, number_of, positions_used
from limbeck.readable._printing import CodePrinter, comment_text, decimal, has_text_levels, is_indicator, variable_names

__all__ = ["python_source"]

_GUARDED = """
def _{name}(a):
    try:
        return {call}
    except (ValueError, OverflowError):
        return {otherwise}
"""
_HELPERS = {
    "exp": _GUARDED.format(name="exp", call="math.exp(a)", otherwise="math.inf"),
    "log": _GUARDED.format(name="log", call="math.log(a)", otherwise="-math.inf if a == 0 else math.nan"),
    "sqrt": _GUARDED.format(name="sqrt", call="math.sqrt(a)", otherwise="math.nan"),
    "sin": _GUARDED.format(name="sin", call="math.sin(a)", otherwise="math.nan"),
    "cos": _GUARDED.format(name="cos", call="math.cos(a)", otherwise="math.nan"),
    "tan": _GUARDED.format(name="tan", call="math.tan(a)", otherwise="math.nan"),
    "floor": _GUARDED.format(name="floor", call="float(math.floor(a))", otherwise="a"),
    "pow": """
def _pow(a, b):
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0:
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan
""",
    "div": """
def _div(a, b):
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b
""",
    "max": """
def _max(a, b):
    return a if a >= b or a != a else b
""",
    "min": """
def _min(a, b):
    return a if a <= b or a != a else b
""",
}

_READERS = """
def _value(row, j):
    name = COLUMNS[j]
    if hasattr(row, "keys"):
        try:
            return row[name]
        except KeyError:
            raise ValueError(f"the row lacks column {name!r}") from None
    if len(row) != len(COLUMNS):
        raise ValueError(f"a row has {len(COLUMNS)} values {COLUMNS}; got {len(row)}")
    return row[j]


def _number(row, j):
    value = float(_value(row, j))
    if not math.isfinite(value):
        raise ValueError(f"column {COLUMNS[j]!r} needs a finite number; got {value!r}")
    return value
"""
_LEVEL_READER = """

def _level(row, j):
    value = _value(row, j)
    for level in LEVELS[j]:
        if value == level or str(value) == str(level):
            return level
    raise ValueError(f"column {COLUMNS[j]!r} has no level {value!r}; its levels are {LEVELS[j]}")
"""


class _PythonPrinter(CodePrinter):
    """Python's words, and functions that never raise."""

    functions: ClassVar[dict[str, str]] = {**{name: f"_{name}" for name in _HELPERS}, "tanh": "math.tanh", "abs": "abs"}
    connectives: ClassVar[tuple[str, str, str]] = (" and ", " or ", "not ")
    truths: ClassVar[tuple[str, str]] = ("True", "False")

    def level(self, column: Column, text: str) -> str:
        return _level_literal(column, text)

    def divide(self, above: str, below: sp.Basic) -> str:
        if is_number(below) and number_of(below) != 0:
            return f"{above} / {self.factor(below)}"
        return self.call("div", above, self._print(below))

    def is_in(self, j: int, name: str, levels: Sequence[str]) -> str:
        return f"{name} == {levels[0]}" if len(levels) == 1 else f"{name} in ({', '.join(levels)})"

    def choose(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        return "(" + "".join(f"{value} if {condition} else " for value, condition in pairs) + f"{last})"

    def _print_Add(self, expr: sp.Add) -> str:
        text = super()._print_Add(expr)
        return f"({text})" if "\n" in text else text

    def factor(self, expr: sp.Basic) -> str:
        text = super().factor(expr)
        return text[1:-1] if text.startswith("((") and isinstance(expr, sp.Add) and "\n" in text else text

    def assigned(self, target: str, expr: sp.Basic, indent: int) -> Iterator[str]:
        """Lines that assign an expression, a choice as if and else."""
        pad = "    " * indent
        if not isinstance(expr, sp.Piecewise) or is_indicator(expr):
            text = self._print(expr)
            yield f"{pad}{target} = {text[1:-1] if is_indicator(expr) else text}"
            return
        pairs = choices(expr)
        for i, (value, condition) in enumerate(pairs[:-1]):
            yield f"{pad}{'elif' if i else 'if'} {self._print(condition)}:"
            yield from self.assigned(target, value, indent + 1)
        yield f"{pad}else:"
        yield from self.assigned(target, pairs[-1][0], indent + 1)


def _level_literal(column: Column, text: str) -> str:
    level = column.levels[column.level_names.index(text)]
    if has_text_levels(column):
        return ascii(str(level))
    return str(level) if isinstance(level, int) else decimal(level)


def _tuple(texts: Sequence[str]) -> str:
    return "(" + ", ".join(texts) + (",)" if len(texts) == 1 else ")")


def python_source(program: Program) -> str:
    """The text of a Python module with `COLUMNS`, `OUTPUTS` and ``predict(row)``.

    A row is a mapping from column name to value, or the values in the order of `COLUMNS`. `predict` returns a float
    (regression with one output), a tuple (several outputs) or a dict from class to probability.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> program = Program(Schema((Column("age"),)), (), (2 * sp.Symbol("x0"),), ("prediction",))
    >>> print(python_source(program).splitlines()[-2].strip())
    y_0 = 2.0 * age
    """
    program = lowered(program)
    columns = program.schema.columns
    variables = variable_names(program.schema)
    names = {f"x{j}": name for j, name in enumerate(variables)}
    names |= {str(symbol): str(symbol).replace("t", "t_") for symbol, _ in program.steps}
    positions = {f"x{j}": f"float(LEVELS[{j}].index({variables[j]}))" for j in positions_used(program)}
    printer = _PythonPrinter(program, names, positions)
    used = program.columns_used
    readers = {j: "_level" if columns[j].levels else "_number" for j in used}
    body = [f"    {variables[j]} = {readers[j]}(row, {j})  # {comment_text(columns[j].name)}" for j in used]
    for symbol, expr in program.steps:
        body += printer.assigned(names[str(symbol)], expr, 1)
    outputs = [f"y_{o}" for o in range(len(program.outputs))]
    for output, expr in zip(outputs, program.outputs, strict=True):
        body += printer.assigned(output, expr, 1)
    helpers = "\n".join(_HELPERS[name] for name in _HELPERS if name in printer.used)
    levelled = [j for j in used if columns[j].levels]
    levels = "".join(
        f"    {j}: {_tuple([_level_literal(columns[j], text) for text in columns[j].level_names])},\n" for j in levelled
    )
    return "".join(
        [
            _head(program),
            f"COLUMNS = {_tuple([ascii(name) for name in program.schema.names])}\n",
            f"OUTPUTS = {_tuple([ascii(name) for name in program.output_names])}\n",
            f"LEVELS = {{\n{levels}}}\n" if levelled else "",
            f"\n{_READERS if used else ''}{_LEVEL_READER if levelled else ''}\n",
            f"{helpers}\n\n" if helpers else "\n",
            f'def predict(row):\n    """{_returned(program)} for one row."""\n',
            "\n".join(body),
            f"\n    return {_result(program, outputs)}\n",
        ]
    )


def _result(program: Program, outputs: Sequence[str]) -> str:
    if program.task == "classification":
        return f"dict(zip(OUTPUTS, {_tuple(outputs)}))"
    return outputs[0] if len(outputs) == 1 else _tuple(outputs)


def _returned(program: Program) -> str:
    if program.task == "classification":
        return "The probability of each class"
    return "The output" if len(program.outputs) == 1 else "The outputs, a tuple in the order of OUTPUTS,"


def _head(program: Program) -> str:
    return (
        f'"""{comment_text(program.title)}\n\n'
        "predict(row) takes a mapping from column name to value, or the values in the order of COLUMNS.\n"
        f'It needs nothing but the standard library.\n"""\n\nimport math\n\n'
    )
