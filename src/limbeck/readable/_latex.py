"""A program as LaTeX equations, one a step and one an output.

Source
------
Own printer over `Program`; needs the package amsmath, and XeLaTeX or LuaLaTeX for names outside Latin.

Departures
----------
Probabilities in their textbook form (see `_typeset`).

Cost
----
One visit a node.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from limbeck.readable._language import Program
from limbeck.readable._printing import comment_text
from limbeck.readable._typeset import TypesetPrinter, equations, visible

__all__ = ["latex_equations", "latex_text"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "-": "{-}",
}


def latex_text(text: str) -> str:
    r"""The text for LaTeX's text mode, every special character escaped.

    Examples
    --------
    >>> print(latex_text("50% of {a_b}"))
    50\% of \{a\_b\}
    """
    return "".join(_SPECIAL.get(character, character) for character in visible(text))


class _LatexPrinter(TypesetPrinter):
    """LaTeX's words."""

    signs: ClassVar[dict[str, str]] = {
        "==": "=",
        "!=": r"\neq",
        "<=": r"\leq",
        ">=": r"\geq",
        "and": r"\land",
        "or": r"\lor",
        "not": r"\lnot",
        "in": r"\in",
        "dot": r"\cdot",
        "gap": r"\,",
    }
    brackets: ClassVar[dict[str, str]] = {"{": r"\{", "}": r"\}"}

    def number(self, mantissa: str, exponent: str) -> str:
        return rf"{mantissa} \times 10^{{{exponent}}}" if exponent else mantissa

    def name(self, text: str) -> str:
        return rf"\mathrm{{{text}}}" if re.fullmatch("[A-Za-z]+", text) else rf"\text{{{latex_text(text)}}}"

    def quoted(self, text: str) -> str:
        return rf"\text{{`{latex_text(text)}'}}"

    def step(self, index: str) -> str:
        return f"t_{{{index}}}"

    def word(self, function: str) -> str:
        if function == "e":
            return "e"
        known = ("ln", "sin", "cos", "tan", "tanh", "max", "min", "pi")
        return f"\\{function}" if function in known else rf"\operatorname{{{function}}}"

    def sign(self, operator: str) -> str:
        return self.signs.get(operator, operator)

    def row(self, *parts: str) -> str:
        return " ".join(parts)

    def fenced(self, left: str, inside: str, right: str) -> str:
        return rf"\left{self.brackets.get(left, left)} {inside} \right{self.brackets.get(right, right)}"

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def root(self, inside: str) -> str:
        return rf"\sqrt{{{inside}}}"

    def raised(self, base: str, exponent: str) -> str:
        return f"{base}^{{{exponent}}}"

    def cases(self, pairs: Sequence[tuple[str, str]], last: str) -> str:
        lines = [rf"{value} & \text{{if }} {condition}" for value, condition in pairs]
        inside = r" \\ ".join([*lines, rf"{last} & \text{{otherwise}}"])
        return rf"\begin{{cases}} {inside} \end{{cases}}"


def latex_equations(program: Program) -> str:
    r"""The text of one ``align*`` block: an equation a step and an output, names escaped.

    Examples
    --------
    >>> import sympy as sp
    >>> from limbeck._core.tables import Column, Schema
    >>> program = Program(Schema((Column("age"),)), (), (sp.sqrt(sp.Symbol("x0")) / 2,), ("prediction",))
    >>> print(latex_equations(program).splitlines()[2])
    \mathrm{prediction} &= \frac{1}{2} \, \sqrt{\mathrm{age}}
    """
    printer = _LatexPrinter(program)
    lines = [f"{left} &= " + " \\\\\n  &\\quad ".join(right) for left, right in equations(program, printer)]
    head = f"% {comment_text(program.title)}; needs amsmath\n"
    return head + "\\begin{align*}\n" + " \\\\\n".join(lines) + "\n\\end{align*}\n"
