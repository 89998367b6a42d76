"""Formulas as MathML, let into the page only where every element is known.

Source
------
The exporter of `limbeck.readable`; MathML Core is what browsers draw without help.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

import sympy as sp
from markupsafe import Markup, escape

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable import FormulaReadable, Program
from limbeck.readable._targets import EXPORTERS

__all__ = ["FormulaLine", "formula_lines", "known_mathml", "link_mathml"]

_ELEMENTS = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msup", "msub", "msubsup"),
    *("munder", "mover", "munderover", "mtable", "mtr", "mtd", "mstyle", "mpadded", "mphantom"),
}
_ATTRIBUTES = {
    "display": {"block", "inline"},
    "mathvariant": {"normal"},
    "stretchy": {"true", "false"},
    "fence": {"true", "false"},
    "form": {"prefix", "infix", "postfix"},
    "displaystyle": {"true", "false"},
    "separator": {"true", "false"},
}
_PATTERNS = {
    "width": re.compile(r"\d(\.\d+)?em"),
    "style": re.compile(r"(text-align: ?(-webkit-)?(left|right|center);?)+"),
}
MAX_BYTES = 60_000


@dataclass(frozen=True)
class FormulaLine:
    """One expression: typeset where that is possible, and always as text."""

    label: str
    math: Markup | None
    text: str


def formula_lines(formula: FormulaReadable) -> list[FormulaLine]:
    """A line an expression: an output, or the score of a class."""
    if formula.link == "identity":
        names = list(formula.output_names)
    elif formula.link == "logistic":
        names = ["score"]
    else:
        names = [f"score of {name}" for name in formula.output_names]
    texts = formula.text().splitlines()
    return [
        FormulaLine(name, _typeset(formula.schema, expr, name), text)
        for name, expr, text in zip(names, formula.expressions, texts, strict=False)
    ]


def _typeset(schema: Schema, expr: sp.Expr, name: str) -> Markup | None:
    try:
        written = EXPORTERS["mathml"](Program(schema, (), (expr,), (name,)))
    except (InputError, RecursionError, ImportError):
        return None
    text = written.decode("utf-8") if isinstance(written, bytes) else written
    return known_mathml(text) if len(text) <= MAX_BYTES else None


def known_mathml(text: str) -> Markup | None:
    """The MathML without anything that is not plain mathematics; None where it is not one `math` element.

    Examples
    --------
    >>> known_mathml('<math><mi onclick="x()">a</mi><script>b</script></math>') is None
    True
    >>> print(known_mathml('<math display="block"><mi href="x">a</mi></math>'))
    <math display="block"><mi>a</mi></math>
    """
    if "<!" in text or "<?" in text:
        return None
    try:
        root = ElementTree.fromstring(text.strip())  # noqa: S314 - no entities and no document type: refused above
    except ElementTree.ParseError:
        return None
    return _written(root) if _local(root) == "math" and _is_known(root) else None


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _is_known(element: ElementTree.Element) -> bool:
    return all(isinstance(part.tag, str) and _local(part) in _ELEMENTS for part in element.iter())


def _written(element: ElementTree.Element) -> Markup:
    name = _local(element)
    kept = "".join(
        f' {key}="{escape(value)}"'
        for key, value in element.attrib.items()
        if value in _ATTRIBUTES.get(key, ()) or (key in _PATTERNS and _PATTERNS[key].fullmatch(value))
    )
    inside = "".join(f"{_written(child)}{escape(child.tail or '')}" for child in element)
    return Markup(f"<{name}{kept}>{escape(element.text or '')}{inside}</{name}>")  # noqa: S704


def link_mathml(formula: FormulaReadable) -> Markup | None:
    """How scores become probabilities, as MathML; None in regression."""
    if formula.link == "identity":
        return None
    if formula.link == "logistic":
        return Markup(
            "<math display='block'><mi>P</mi><mo>(</mo><mtext>{}</mtext><mo>)</mo><mo>=</mo><mfrac><mn>1</mn>"
            "<mrow><mn>1</mn><mo>+</mo><mi>exp</mi><mo>(</mo><mo>−</mo><mtext>score</mtext><mo>)</mo></mrow></mfrac></math>"
        ).format(formula.output_names[1])
    return Markup(
        "<math display='block'><mi>P</mi><mo>(</mo><mi>c</mi><mo>)</mo><mo>=</mo><mfrac><mrow><mi>exp</mi><mo>(</mo>"
        "<msub><mtext>score</mtext><mi>c</mi></msub><mo>)</mo></mrow><mrow><munder><mo>∑</mo><mi>k</mi></munder><mi>exp</mi>"
        "<mo>(</mo><msub><mtext>score</mtext><mi>k</mi></msub><mo>)</mo></mrow></mfrac></math>"
    )
