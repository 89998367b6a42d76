"""A program as one presentation MathML element, for a page.

Source
------
Own printer over `Program`; MathML Core, so browsers set it without a script.

Departures
----------
Probabilities in their textbook form (see `_typeset`).

Cost
----
One visit a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import ClassVar

from limbeck.readable._language import Program
from limbeck.readable._typeset import TypesetPrinter, equations, visible

__all__ = ["mathml_element"]

_LEFT, _RIGHT = '<mtd style="text-align:left">', '<mtd style="text-align:right;text-align:-webkit-right">'


class _MathmlPrinter(TypesetPrinter):
    """MathML's elements."""

    signs: ClassVar[dict[str, str]] = {
        "-": "\u2212",
        "==": "=",
        "!=": "\u2260",
        "<=": "\u2264",
        ">=": "\u2265",
        "and": "\u2227",
        "or": "\u2228",
        "not": "\u00ac",
        "in": "\u2208",
        "dot": "\u22c5",
    }

    def number(self, mantissa: str, exponent: str) -> str:
        text = f"<mn>{mantissa}</mn>"
        if not exponent:
            return text
        minus = "<mo>\u2212</mo>" if exponent.startswith("-") else ""
        power = self.raised("<mn>10</mn>", f"{minus}<mn>{exponent.lstrip('-')}</mn>")
        return f"<mrow>{text}<mo>\u00d7</mo>{power}</mrow>"

    def name(self, text: str) -> str:
        return f'<mi mathvariant="normal">{escape(visible(text))}</mi>'

    def quoted(self, text: str) -> str:
        return f"<mtext>\u2018{escape(visible(text))}\u2019</mtext>"

    def step(self, index: str) -> str:
        return f"<msub><mi>t</mi><mn>{index}</mn></msub>"

    def word(self, function: str) -> str:
        return "<mi>\u03c0</mi>" if function == "pi" else f'<mi mathvariant="normal">{function}</mi>'

    def sign(self, operator: str) -> str:
        if operator == "gap":
            return '<mspace width="0.17em"></mspace>'
        if operator == ",":
            return '<mo separator="true">,</mo>'
        return f"<mo>{escape(self.signs.get(operator, operator))}</mo>"

    def row(self, *parts: str) -> str:
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def fenced(self, left: str, inside: str, right: str) -> str:
        return f'<mrow><mo fence="true">{left}</mo>{inside}<mo fence="true">{right}</mo></mrow>'

    def fraction(self, above: str, below: str) -> str:
        return f"<mfrac><mrow>{above}</mrow><mrow>{below}</mrow></mfrac>"

    def root(self, inside: str) -> str:
        return f"<msqrt>{inside}</msqrt>"

    def raised(self, base: str, exponent: str) -> str:
        return f"<msup><mrow>{base}</mrow><mrow>{exponent}</mrow></msup>"

    def cases(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        rows = [
            f"<mtr>{_LEFT}{value}</mtd>{_LEFT}<mrow><mtext>if\u00a0</mtext>{condition}</mrow></mtd></mtr>"
            for value, condition in pairs
        ]
        rows.append(f"<mtr>{_LEFT}{last}</mtd>{_LEFT}<mtext>otherwise</mtext></mtd></mtr>")
        table = f"<mtable>{''.join(rows)}</mtable>"
        return f'<mrow><mo fence="true" stretchy="true">{{</mo>{table}</mrow>'


def mathml_element(program: Program) -> str:
    """The text of one ``<math>`` element: a row an equation, long sums over several, every name escaped.

    Examples
    --------
    >>> import sympy as sp
    >>> from limbeck._core.tables import Column, Schema
    >>> program = Program(Schema((Column("<b>"),)), (), (2 * sp.Symbol("x0"),), ("y",))
    >>> "&lt;b&gt;" in mathml_element(program)
    True
    """
    printer = _MathmlPrinter(program)
    rows = []
    for left, right in equations(program, printer):
        for i, line in enumerate(right):
            head = f"{_RIGHT}{left}</mtd><mtd><mo>=</mo></mtd>" if i == 0 else "<mtd></mtd><mtd></mtd>"
            rows.append(f"<mtr>{head}{_LEFT}{line}</mtd></mtr>")
    table = f'<mtable displaystyle="true">{"".join(rows)}</mtable>'
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{table}</math>'
