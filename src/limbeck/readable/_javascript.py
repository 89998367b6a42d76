"""A program as one JavaScript text, for a page's script element and for node.

Source
------
Own printer over `Program`.

Departures
----------
None in the numbers. A level or column that is not known is a thrown `Error`. ``1 ** NaN`` is NaN in JavaScript and 1
in NumPy.

Cost
----
One operation a node and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from limbeck._core.tables import Column
from limbeck.readable._language import Program
from limbeck.readable._lowering import lowered, positions_used
from limbeck.readable._printing import CodePrinter, comment_text, has_text_levels, json_text, variable_names

__all__ = ["javascript_source"]

_READERS = """\
function predict(row) {
  function value(j) {
    if (Array.isArray(row) || ArrayBuffer.isView(row)) {
      if (row.length !== COLUMNS.length) throw new Error("a row has " + COLUMNS.length + " values; got " + row.length);
      return row[j];
    }
    if (!Object.prototype.hasOwnProperty.call(row, COLUMNS[j])) throw new Error("the row lacks column " + COLUMNS[j]);
    return row[COLUMNS[j]];
  }
"""
_NUMBER = """\
  function number(j) {
    const given = value(j), read = Number(given);
    if (given === null || given === "" || !Number.isFinite(read))
      throw new Error("column " + COLUMNS[j] + " needs a finite number; got " + given);
    return read;
  }
"""
_LEVEL = """\
  function level(j) {
    const given = value(j), found = LEVELS[j].find((known) =>
      typeof known === "string" ? known === String(given) : known === Number(given) && given !== "" && given !== null);
    if (found === undefined) throw new Error("column " + COLUMNS[j] + " has no level " + given);
    return found;
  }
"""
_FUNCTIONS = ("exp", "log", "sin", "cos", "tan", "tanh", "abs", "floor", "sqrt", "pow", "max", "min")


class _JavaScriptPrinter(CodePrinter):
    """JavaScript's words."""

    functions: ClassVar[dict[str, str]] = {name: f"Math.{name}" for name in _FUNCTIONS}
    relations: ClassVar[dict[str, str]] = {**CodePrinter.relations, "==": "===", "!=": "!=="}
    truths: ClassVar[tuple[str, str]] = ("true", "false")

    def level(self, column: Column, text: str) -> str:
        return json_text(text) if has_text_levels(column) else super().level(column, text)

    def is_in(self, j: int, name: str, levels: Sequence[str]) -> str:
        return f"{name} === {levels[0]}" if len(levels) == 1 else f"[{', '.join(levels)}].includes({name})"

    def extreme(self, function: str, texts: Sequence[str]) -> str:
        return self.call(function, *texts)


def javascript_source(program: Program) -> str:
    """The text of a script with `COLUMNS`, `OUTPUTS` and ``predict(row)``.

    A row is an array in the order of `COLUMNS`, or an object by column name; `predict` returns an array in the order of
    `OUTPUTS`. The text is ASCII, and no name in it can end a script element. In node it is a module.

    Examples
    --------
    >>> import sympy as sp
    >>> from limbeck._core.tables import Schema
    >>> program = Program(Schema((Column("</script>"),)), (), (2 * sp.Symbol("x0"),), ("prediction",))
    >>> "</script>" in javascript_source(program)
    False
    """
    program = lowered(program)
    columns = program.schema.columns
    variables = variable_names(program.schema)
    names = {f"x{j}": name for j, name in enumerate(variables)}
    names |= {str(symbol): str(symbol).replace("t", "t_") for symbol, _ in program.steps}
    positions = {f"x{j}": f"LEVELS[{j}].indexOf({variables[j]})" for j in positions_used(program)}
    printer = _JavaScriptPrinter(program, names, positions)
    used = program.columns_used
    levelled = [j for j in used if columns[j].levels]
    body = [f"  const {variables[j]} = {'level' if columns[j].levels else 'number'}({j});" for j in used]
    outputs = [(f"y_{o}", expr) for o, expr in enumerate(program.outputs)]
    for target, expr in [*((names[str(symbol)], expr) for symbol, expr in program.steps), *outputs]:
        lines = list(printer.braces(target, expr, 1))
        body += [f"  const {lines[0].strip()}"] if len(lines) == 1 else [f"  let {target};", *lines]
    levels = "".join(
        f"  {j}: [{', '.join(printer.level(columns[j], text) for text in columns[j].level_names)}],\n" for j in levelled
    )
    return "".join(
        [
            f"// {comment_text(program.title)}\n",
            "// predict(row) takes an array in the order of COLUMNS, or an object by column name, and returns\n",
            "// an array in the order of OUTPUTS: numbers, or the probability of each class.\n",
            f"const COLUMNS = [{', '.join(map(json_text, program.schema.names))}];\n",
            f"const OUTPUTS = [{', '.join(map(json_text, program.output_names))}];\n",
            f"const LEVELS = {{\n{levels}}};\n" if levelled else "",
            _READERS if used else "function predict(row) {\n",
            _NUMBER if len(levelled) < len(used) else "",
            _LEVEL if levelled else "",
            "\n".join(body),
            f"\n  return [{', '.join(name for name, _ in outputs)}];\n}}\n",
            'if (typeof module !== "undefined") module.exports = { predict, COLUMNS, OUTPUTS };\n',
        ]
    )
