r"""A program as C99: one file, one function, no library but the C standard's own.

Source
------
Own printer over `Program`.

Departures
----------
C has no errors to raise: where a number in use is not finite, or a level in use is not known, every output is NaN. Text
is compared as UTF-8 bytes.

Cost
----
One operation a node and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from limbeck._core.tables import Column, Schema
from limbeck.readable._language import Program
from limbeck.readable._lowering import lowered, positions_used
from limbeck.readable._printing import CodePrinter, comment_text, encodable, has_text_levels, variable_names

__all__ = ["c_source", "c_string"]

_MATH = ("exp", "log", "sin", "cos", "tan", "tanh", "floor", "sqrt", "pow")
_EXTREME = """\
static double limbeck_{name}(double a, double b) {{
  return (a {relation} b || a != a) ? a : b;
}}

"""
_FIND = """\
static int limbeck_find(const char *text, const char *const *levels, int count) {
  int i;
  for (i = 0; text != NULL && i < count; i++)
    if (strcmp(text, levels[i]) == 0) return i;
  return -1;
}

"""


class _CPrinter(CodePrinter):
    """C's words; a text level is its place in the list of levels."""

    functions: ClassVar[dict[str, str]] = {
        **{name: name for name in _MATH},
        "abs": "fabs",
        "max": "limbeck_max",
        "min": "limbeck_min",
    }

    def level(self, column: Column, text: str) -> str:
        return str(column.level_names.index(text)) if has_text_levels(column) else super().level(column, text)


def c_string(text: str) -> str:
    """A string literal in ASCII: other bytes of the UTF-8 text in octal, and no trigraphs."""
    out = []
    for byte in encodable(text, what="the text", target="C").encode():
        character = chr(byte)
        plain = 32 <= byte < 127 and character not in '"\\?'
        out.append(character if plain else f"\\{byte:03o}")
    return '"' + "".join(out) + '"'


def c_source(program: Program) -> str:
    """The text of a C99 file with `limbeck_row` and ``void limbeck_predict(const limbeck_row *row, double *out)``.

    The row has a field a column: ``double`` or, for text levels, ``const char *``. `out` takes `LIMBECK_OUTPUTS`
    numbers.

    Raises
    ------
    InputError
        Where a name or level holds a NUL character.

    Examples
    --------
    >>> import sympy as sp
    >>> program = Program(Schema((Column("Age (years)"),)), (), (2 * sp.Symbol("x0"),), ("prediction",))
    >>> c_source(program).splitlines()[-2].strip()
    'out[0] = 2.0 * row->age_years;'
    """
    program = lowered(program)
    columns = program.schema.columns
    fields = variable_names(program.schema)
    used = program.columns_used
    text = [j for j in used if has_text_levels(columns[j])]
    names = {f"x{j}": f"{field}_level" if j in text else f"row->{field}" for j, field in enumerate(fields)}
    names |= {str(symbol): str(symbol).replace("t", "t_") for symbol, _ in program.steps}
    positions = {f"x{j}": _position(j, columns[j], names[f"x{j}"]) for j in positions_used(program)}
    printer = _CPrinter(program, names, positions)
    body = []
    for symbol, expr in program.steps:
        name = names[str(symbol)]
        lines = list(printer.braces(name, expr, 1))
        body += [f"  const double {lines[0].strip()}"] if len(lines) == 1 else [f"  double {name};", *lines]
    for o, expr in enumerate(program.outputs):
        body += printer.braces(f"out[{o}]", expr, 1)
    return "".join(
        [
            _head(program, fields),
            "".join(_levels(columns[j], fields[j]) for j in text),
            _FIND if text else "",
            _EXTREME.format(name="max", relation=">=") if "max" in printer.used else "",
            _EXTREME.format(name="min", relation="<=") if "min" in printer.used else "",
            "void limbeck_predict(const limbeck_row *row, double *out) {\n",
            _reading(program.schema, fields, used),
            "\n".join(body),
            "\n}\n",
        ]
    )


def _head(program: Program, fields: Sequence[str]) -> str:
    columns = program.schema.columns
    rows = [
        f"  {'const char *' if has_text_levels(column) else 'double '}{field}; /* {comment_text(column.name)} */\n"
        for column, field in zip(columns, fields, strict=True)
    ]
    meaning = "the probability of each class" if program.task == "classification" else "the outputs"
    return "".join(
        [
            f"/* {comment_text(program.title)}\n",
            f"   limbeck_predict writes {meaning}, in the order of limbeck_output_names, to out;\n",
            "   NaN where a number in use is not finite or a level in use is not known. Text is UTF-8. */\n",
            "#include <math.h>\n#include <stddef.h>\n#include <string.h>\n\n",
            f"#define LIMBECK_COLUMNS {len(columns)}\n#define LIMBECK_OUTPUTS {len(program.outputs)}\n\n",
            f"typedef struct {{\n{''.join(rows)}}} limbeck_row;\n\n",
            _strings("const char *const limbeck_column_names[LIMBECK_COLUMNS]", program.schema.names),
            _strings("const char *const limbeck_output_names[LIMBECK_OUTPUTS]", program.output_names),
        ]
    )


def _strings(declaration: str, texts: Sequence[str]) -> str:
    return f"{declaration} = {{\n" + ",\n".join(f"  {c_string(text)}" for text in texts) + "\n};\n\n"


def _levels(column: Column, field: str) -> str:
    return _strings(f"static const char *const {field}_levels[{len(column.levels)}]", column.level_names)


def _position(j: int, column: Column, name: str) -> str:
    """A level's position as a number: text levels are held as it; of numbers it is found by comparison."""
    if has_text_levels(column):
        return name
    return "(" + "".join(f"{name} == {float(level)!r} ? {i}.0 : " for i, level in enumerate(column.levels)) + "NAN)"


def _reading(schema: Schema, fields: Sequence[str], used: Sequence[int]) -> str:
    lines, refused = [], []
    for j in used:
        column, field = schema.columns[j], fields[j]
        if has_text_levels(column):
            lines.append(
                f"  const int {field}_level = limbeck_find(row->{field}, {field}_levels, {len(column.levels)});\n"
            )
            refused.append(f"{field}_level < 0")
        elif column.levels:
            known = [f"row->{field} == {float(level)!r}" for level in column.levels]
            refused.append(f"!({' || '.join(known)})")
        else:
            refused.append(f"!isfinite(row->{field})")
    if not refused:
        return "  (void)row;\n"
    lines.append("  if (" + "\n      || ".join(refused) + ") {\n    int o;\n")
    lines.append("    for (o = 0; o < LIMBECK_OUTPUTS; o++) out[o] = NAN;\n    return;\n  }\n")
    return "".join(lines)
