"""What the exporters that write code share: harmless names, and one SymPy printer that each target bends.

Source
------
Own, on SymPy's `Printer`. Names of columns never reach the code: variables have mangled names, and the names themselves
stand in string literals that each target escapes.

Checked
-------
Hostile names and levels through every target (unit tests); numbers against `evaluate` (contract tests).

Cost
----
One visit a node.
"""

from __future__ import annotations

import builtins
import json
import keyword
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import sympy as sp
from sympy.core.relational import Relational
from sympy.printing.printer import Printer

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable._language import IsIn, Program
from limbeck.readable._lowering import choices, is_number, number_of

__all__ = [
    "CodePrinter",
    "comment_text",
    "decimal",
    "encodable",
    "has_text_levels",
    "is_indicator",
    "json_text",
    "quotient",
    "signed",
    "variable_names",
    "wrapped",
]

_C_WORDS = """
asm auto bool case char complex const default do double enum extern float goto imaginary inline int long
register restrict short signed sizeof static struct switch typedef union unsigned void volatile main row out
linux unix errno index isfinite isnan isinf acos asin atan atan2 cos sin tan cosh sinh tanh acosh asinh atanh
exp exp2 expm1 frexp ilogb ldexp log log10 log1p log2 logb modf scalbn cbrt fabs hypot pow sqrt erf erfc
lgamma tgamma ceil floor nearbyint rint lrint round lround trunc fmod remainder remquo copysign nan nextafter
fdim fmax fmin fma gamma drem significand j0 j1 jn y0 y1 yn strcmp signbit
"""
_JAVASCRIPT_WORDS = """
arguments await break case catch class const continue debugger default delete do else enum eval export extends
false finally for function if implements import in instanceof interface let new null package private protected
public return static super switch this throw true try typeof undefined var void while with yield number level
value predict module window document self top parent name location constructor prototype object array infinity
"""
RESERVED = frozenset(
    word.lower()
    for words in (
        _C_WORDS.split(),
        _JAVASCRIPT_WORDS.split(),
        keyword.kwlist,
        keyword.softkwlist,
        dir(builtins),
        ["math"],
    )
    for word in words
)
"""Words that no variable is called, in small letters: the keywords and library names of all targets together."""

_OWN = re.compile(r"[txy]_?\d+")
_PLAIN_COMMENT = re.compile(r"[^A-Za-z0-9 _.,:;()%=<>+#-]")
_MOST = 40
_GROUP = 50
_WIDTH = 100


def variable_names(schema: Schema) -> tuple[str, ...]:
    """One identifier a column, legal and different in every target, even where capitals don't count.

    Examples
    --------
    >>> from limbeck._core.tables import Column
    >>> variable_names(Schema((Column("Age (years)"), Column("age_years"), Column("class"), Column("\u20ac"))))
    ('age_years', 'age_years_2', 'class_2', 'column')
    """
    taken = set(RESERVED)
    out = []
    for j, column in enumerate(schema.columns):
        plain = unicodedata.normalize("NFKD", column.name[:1000]).encode("ascii", "ignore").decode("ascii").lower()
        stem = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:_MOST].strip("_") or "column"
        if stem[0].isdigit() or (_OWN.fullmatch(stem) and stem != f"x{j}"):
            stem = f"c_{stem}"
        name, i = stem, 2
        while name in taken:
            name, i = f"{stem}_{i}", i + 1
        taken.add(name)
        out.append(name)
    return tuple(out)


def json_text(text: str) -> str:
    """A string literal in double quotes, ASCII only, that neither JavaScript nor an HTML page can break out of."""
    escaped = json.dumps(text)
    return re.sub(r"[<>&'`\x7f]", lambda match: f"\\u{ord(match[0]):04x}", escaped)


def comment_text(text: str) -> str:
    """Text that ends no comment and starts no escape in any target: other characters as ``uXXXX``."""
    return _PLAIN_COMMENT.sub(lambda match: f"u{ord(match[0]):04X}", text.replace("--", "- -"))


def encodable(text: str, *, what: str, target: str) -> str:
    """The text itself; refused where the target can't hold it: a NUL character, or half of a surrogate pair."""
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(
            f"{what} {text!r:.80} holds a NUL character or a lone surrogate, which {target} can't; rename it first"
        )
    return text


def has_text_levels(column: Column) -> bool:
    """True for a column whose levels are text; levels that are numbers stay numbers in every target."""
    return any(isinstance(level, str) for level in column.levels)


def decimal(value: float) -> str:
    """The shortest decimal that reads back as exactly this double (at most 17 digits)."""
    return repr(float(value))


def is_indicator(expr: sp.Basic) -> bool:
    """True for a choice that is 1 where a condition holds and 0 where not."""
    if not isinstance(expr, sp.Piecewise) or len(expr.args) != 2:
        return False
    return bool(expr.args[0].args[0] == 1 and expr.args[1].args[0] == 0)


def signed(term: sp.Basic) -> tuple[bool, Any]:
    """Whether a term of a sum starts with a minus, and the term without it."""
    if is_number(term) and number_of(term) < 0:
        return True, -term  # type: ignore[operator]
    if isinstance(term, sp.Mul) and is_number(term.args[0]) and number_of(term.args[0]) < 0:
        first, rest = -term.args[0], term.args[1:]
        kept = rest if first == 1 and rest else (first, *rest)
        return True, kept[0] if len(kept) == 1 else sp.Mul(*kept, evaluate=False)
    return False, term


def quotient(expr: sp.Basic, *, only_inverse: bool = True) -> tuple[list[Any], list[Any]]:
    """The factors above and below the line of a product or power.

    With `only_inverse`, just ``x**-1`` is a divisor; otherwise every power with a negative constant exponent.
    """
    above: list[Any] = []
    below: list[Any] = []
    for factor in expr.args if isinstance(expr, sp.Mul) else (expr,):
        exponent = factor.args[1] if isinstance(factor, sp.Pow) else None
        if exponent is not None and exponent == -1:
            below.append(factor.args[0])
        elif exponent is not None and not only_inverse and is_number(exponent) and number_of(exponent) < 0:
            below.append(sp.Pow(factor.args[0], -exponent, evaluate=False))
        else:
            above.append(factor)
    return above, below


def wrapped(parts: Sequence[str]) -> str:
    """Parts joined by spaces, in lines of about 100 characters."""
    lines, line = [], ""
    for part in parts:
        if line and len(line) + len(part) > _WIDTH:
            lines.append(line)
            line = "    "
        line += part if not line.strip() else " " + part
    return "\n        ".join([*lines, line])


class CodePrinter(Printer):
    """Expressions of a lowered program as code, in the manner of C; a target overrides what it writes otherwise.

    Parameters
    ----------
    program : Program
        A lowered program.
    names : mapping
        What each symbol, ``x0`` or ``t0``, is called in the code.
    positions : mapping
        What the position of a level is called, for columns with levels.
    """

    functions: ClassVar[dict[str, str]] = {}
    connectives: ClassVar[tuple[str, str, str]] = (" && ", " || ", "!")
    relations: ClassVar[dict[str, str]] = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
    truths: ClassVar[tuple[str, str]] = ("1", "0")

    def __init__(self, program: Program, names: dict[str, str], positions: dict[str, str]) -> None:
        super().__init__()
        self.columns = program.schema.columns
        self.names, self.positions = names, positions
        self.used: set[str] = set()

    def call(self, function: str, *arguments: str) -> str:
        """A call of one of the target's functions, noted in `used`."""
        self.used.add(function)
        return f"{self.functions[function]}({', '.join(arguments)})"

    def number(self, value: float) -> str:
        """A literal that is exactly this double."""
        return decimal(value)

    def level(self, column: Column, text: str) -> str:
        """The literal of a level."""
        return self.number(float(column.levels[column.level_names.index(text)]))

    def condition(self, expr: sp.Basic) -> str:
        """A condition as it stands inside another: in parentheses where it is one of several."""
        text = self._print(expr)
        several = isinstance(expr, IsIn) and self.connectives[1] in text
        return f"({text})" if several or isinstance(expr, sp.And | sp.Or | sp.Not | Relational) else text

    def factor(self, expr: sp.Basic) -> str:
        """An operand of a product or power: in parentheses where it binds less."""
        text = self._print(expr)
        loose = isinstance(expr, sp.Add | sp.Mul) or (isinstance(expr, sp.Pow) and expr.args[1] == -1)
        return f"({text})" if loose or text.startswith("-") else text

    def divide(self, above: str, below: sp.Basic) -> str:
        """The quotient, one divisor."""
        return f"{above} / {self.factor(below)}"

    def choose(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        """Values with their conditions, and the value where none holds, as one expression."""
        return "(" + "".join(f"{condition} ? {value} : " for value, condition in pairs) + f"{last})"

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.positions.get(expr.name) or self.names[expr.name]

    def _print_Number(self, expr: Any) -> str:
        return self.number(number_of(expr))

    _print_NumberSymbol = _print_Number

    def _print_Add(self, expr: sp.Add) -> str:
        return self._sum(list(expr.args))

    def _sum(self, terms: Sequence[sp.Basic]) -> str:
        if len(terms) > _GROUP:  # groups of groups, for compilers count a chain of sums as nesting
            size = _GROUP
            while size * _GROUP < len(terms):
                size *= _GROUP
            groups = [terms[i : i + size] for i in range(0, len(terms), size)]
            return wrapped([("+ " if i else "") + f"({self._sum(group)})" for i, group in enumerate(groups)])
        parts = []
        for i, term in enumerate(terms):
            minus, bare = signed(term)
            text = self._print(bare)
            if isinstance(bare, sp.Add) or text.startswith("-"):
                text = f"({text})"
            sign = ("-" if minus else "") if i == 0 else ("- " if minus else "+ ")
            parts.append(sign + text)
        return wrapped(parts)

    def _print_Mul(self, expr: sp.Mul) -> str:
        minus, bare = signed(expr)
        above, below = quotient(bare)
        text = " * ".join(self.factor(factor) for factor in above) or self.number(1.0)
        for divisor in below:
            text = self.divide(text, divisor)
        return f"-{text}" if minus else text

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if exponent == -1:
            return self.divide(self.number(1.0), base)
        if is_number(exponent) and number_of(exponent) == 0.5:
            return self.call("sqrt", self._print(base))
        if exponent in (2, 3) and isinstance(base, sp.Symbol):
            return "(" + " * ".join([self._print(base)] * int(exponent)) + ")"
        return self.power(base, exponent)

    def power(self, base: sp.Basic, exponent: sp.Basic) -> str:
        """The general power."""
        return self.call("pow", self._print(base), self._print(exponent))

    def _print_function(self, expr: sp.Basic) -> str:
        return self.call(type(expr).__name__.lower(), self._print(expr.args[0]))

    _print_exp = _print_log = _print_sin = _print_cos = _print_tan = _print_tanh = _print_function
    _print_Abs = _print_floor = _print_function

    def _print_Max(self, expr: sp.Max) -> str:
        return self.extreme("max", [self._print(arg) for arg in expr.args])

    def _print_Min(self, expr: sp.Min) -> str:
        return self.extreme("min", [self._print(arg) for arg in expr.args])

    def extreme(self, function: str, texts: Sequence[str]) -> str:
        """The greatest or least of some texts, two by two."""
        if len(texts) == 1:
            return texts[0]
        half = len(texts) // 2
        return self.call(function, self.extreme(function, texts[:half]), self.extreme(function, texts[half:]))

    def _print_Relational(self, expr: Any) -> str:
        left, right = (self._print(arg) for arg in expr.args)
        return f"{left} {self.relations[expr.rel_op]} {right}"

    def _print_And(self, expr: sp.And) -> str:
        return self.connectives[0].join(self.condition(arg) for arg in expr.args)

    def _print_Or(self, expr: sp.Or) -> str:
        return self.connectives[1].join(self.condition(arg) for arg in expr.args)

    def _print_Not(self, expr: sp.Not) -> str:
        return f"{self.connectives[2]}({self._print(expr.args[0])})"

    def _print_BooleanTrue(self, expr: Any) -> str:
        return self.truths[0]

    def _print_BooleanFalse(self, expr: Any) -> str:
        return self.truths[1]

    def _print_IsIn(self, expr: IsIn) -> str:
        j = int(expr.column.name[1:])
        levels = [self.level(self.columns[j], text) for text in expr.levels]
        return self.is_in(j, self.names[expr.column.name], levels)

    def is_in(self, j: int, name: str, levels: Sequence[str]) -> str:
        """The condition that column `j` has one of these levels."""
        return " || ".join(f"{name} {self.relations['==']} {level}" for level in levels)

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        pairs = choices(expr)
        texts = [(self._print(value), self._print(condition)) for value, condition in pairs[:-1]]
        return self.choose(texts, self._print(pairs[-1][0])) if texts else self._print(pairs[-1][0])

    def emptyPrinter(self, expr: Any) -> str:
        """Nothing is printed that has no rule here."""
        raise InputError(f"{type(expr).__name__} is not an operation of the language")

    def braces(self, target: str, expr: sp.Basic, indent: int) -> Iterator[str]:
        """Lines that assign an expression, a choice as if and else in braces (C and JavaScript)."""
        pad = "  " * indent
        if not isinstance(expr, sp.Piecewise) or is_indicator(expr):
            yield f"{pad}{target} = {self._print(expr)};"
            return
        pairs = choices(expr)
        for i, (value, condition) in enumerate(pairs[:-1]):
            yield f"{pad}{'} else if' if i else 'if'} ({self._print(condition)}) {{"
            yield from self.braces(target, value, indent + 1)
        yield f"{pad}}} else {{"
        yield from self.braces(target, pairs[-1][0], indent + 1)
        yield f"{pad}}}"
