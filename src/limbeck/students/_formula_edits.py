"""Where a formula can be changed: every part with the way to put another in its place, and every way to cut it short.

Source
------
Own.

Checked
-------
Putting a part back in its own place gives the same values; every cut reads shorter (unit tests).

Cost
----
Linear in the size of the formula; a replacement is only built when it is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from limbeck.students._formula_algebra import (
    Core,
    Formula,
    add,
    apply,
    as_formula,
    constant,
    multiply,
    power,
    scale,
)

Build: TypeAlias = Callable[[], Formula]
Replace: TypeAlias = Callable[[Formula], Formula]


@dataclass(frozen=True)
class Site:
    """A part of a formula, and the whole formula with another in its place."""

    part: Formula
    replace: Replace


@dataclass
class Anatomy:
    """The sites of a formula in the order of the steps of its tape, and the shorter formulas around it."""

    sites: list[Site] = field(default_factory=list)
    cuts: list[Build] = field(default_factory=list)


def anatomy(formula: Formula) -> Anatomy:
    """Sites and cuts. The last site is the whole formula."""
    found = Anatomy()
    _visit_sum(formula, lambda new: new, found)
    return found


def _visit_sum(formula: Formula, replace: Replace, found: Anatomy) -> None:
    _, c0, terms = formula
    several = len(terms) + (c0 != 0.0) > 1
    if c0 != 0.0 and several:
        found.cuts.append(lambda: replace(("+", 0.0, terms)))
    for k, (c, core) in enumerate(terms):
        rest: Formula = ("+", c0, terms[:k] + terms[k + 1 :])
        if several:
            found.cuts.append(_put(replace, rest))
            if abs(c) != 1.0:
                sign = math.copysign(1.0, c)
                found.cuts.append(_put(replace, ("+", c0, (*terms[:k], (sign, core), *terms[k + 1 :]))))
        _visit_core(core, _into_sum(replace, rest, c), found)
    found.sites.append(Site(formula, replace))


def _visit_core(core: Core, replace: Replace, found: Anatomy) -> None:
    if core[0] == "+":
        _visit_sum(core, replace, found)
        return
    if core[0] == "*":
        for i, (base, p) in enumerate(core[1]):
            rest = constant(1.0)
            for other, q in core[1][:i] + core[1][i + 1 :]:
                rest = multiply(rest, power(as_formula(other), q))
            if len(core[1]) > 1:
                found.cuts.append(_put(replace, rest))
            if abs(p) != 1.0:
                found.cuts.append(_put(_into_product(replace, rest, math.copysign(1.0, p)), as_formula(base)))
            _visit_core(base, _into_product(replace, rest, p), found)
    elif core[0] != "x":
        found.cuts.append(_put(replace, core[1]))
        _visit_sum(core[1], _into_function(replace, core[0]), found)
    found.sites.append(Site(as_formula(core), replace))


def _put(replace: Replace, part: Formula) -> Build:
    return lambda: replace(part)


def _into_sum(replace: Replace, rest: Formula, c: float) -> Replace:
    return lambda new: replace(add(rest, scale(new, c)))


def _into_product(replace: Replace, rest: Formula, p: float) -> Replace:
    return lambda new: replace(multiply(rest, power(new, p)))


def _into_function(replace: Replace, name: str) -> Replace:
    return lambda new: replace(apply(name, new))
