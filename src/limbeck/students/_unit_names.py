"""Units as a person writes them: ``kg*m^2/s^2``, with the names, prefixes, sizes and dimensions of SymPy.

Nothing is evaluated: a unit is read token by token.

Source
------
Meurer2017 for the names, sizes and dimensions.

Departures
----------
Solid angles have no dimension, as plane angles have none. Constants of nature are not units; a few others of SymPy's
names are added (min, d, in, %).

Checked
-------
Against SymPy's own conversion (unit tests).

Cost
----
The first call reads SymPy's units, about 0.3 s; then about 10 µs a unit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NoReturn

from limbeck._core.errors import InputError, did_you_mean

__all__ = ["NO_UNIT", "Unit", "parse_unit"]

MOST_LETTERS = 200
OTHER_NAMES = {"min": "minute", "d": "day", "yr": "year", "in": "inch", "lb": "pound"}
CONSTANTS_THAT_ARE_UNITS = ("eV", "electronvolt", "electronvolts", "amu", "Da", "dalton")
WITHOUT_DIMENSION = ("steradian",)


@dataclass(frozen=True)
class Unit:
    """A unit: its size as a power of ten, and the exponents of base dimensions by name."""

    size: float
    dimensions: tuple[tuple[str, Fraction], ...]

    def times(self, other: Unit, p: Fraction) -> Unit:
        """The product of the unit and another to the power `p`."""
        total = dict(self.dimensions)
        for name, q in other.dimensions:
            total[name] = total.get(name, Fraction(0)) + p * q
        return Unit(self.size + float(p) * other.size, tuple(sorted((n, q) for n, q in total.items() if q)))


NO_UNIT = Unit(0.0, ())

_TOKEN = re.compile(r"\s*(\*\*|[*/^()]|[+-]?[0-9]+(?:\.[0-9]+)?|[A-Za-zµμΩ°%][A-Za-z_Ω]*)")


@lru_cache(maxsize=1_000)
def parse_unit(text: str) -> Unit:
    """The unit that a text names: names and prefixes of SymPy, joined by ``*`` and ``/``, with fixed powers.

    Raises
    ------
    InputError
        For text that is not of this form, or a name that is not known.

    Examples
    --------
    >>> parse_unit("kg*m^2/s^2") == parse_unit("J") == parse_unit("N*m")
    True
    >>> parse_unit("km").size, parse_unit("m^(1/2)").dimensions
    (3.0, (('length', Fraction(1, 2)),))
    """
    if not isinstance(text, str):
        raise InputError(f"a unit is a text such as 'kg*m^2/s^2'; got {text!r:.60}")
    if len(text) > MOST_LETTERS:
        raise InputError(f"a unit is a text of at most {MOST_LETTERS} letters; got {len(text)}: {text!r:.60}")
    if not text.strip():
        return NO_UNIT
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise InputError(
                f"a unit is made of names, *, /, ^ and brackets; got {text[at:].strip()!r:.30} in {text!r}"
            )
        tokens.append(found.group(1))
        at = found.end()
    return _Reader(text, tokens).whole()


class _Reader:
    """Reads the tokens of one unit from left to right."""

    def __init__(self, text: str, tokens: list[str]) -> None:
        self.text, self.tokens, self.at = text, tokens, 0

    def whole(self) -> Unit:
        unit = self._product()
        if self.at < len(self.tokens):
            self._fail(f"'*' or '/' before {self.tokens[self.at]!r}")
        return unit

    def _fail(self, needed: str) -> NoReturn:
        raise InputError(f"the unit {self.text!r} needs {needed}; an example of the form is 'kg*m^2/s^2'")

    def _next(self, *wanted: str) -> bool:
        """Step over the next token where it is one of these."""
        found = self.at < len(self.tokens) and self.tokens[self.at] in wanted
        self.at += found
        return found

    def _take(self, needed: str) -> str:
        if self.at >= len(self.tokens):
            self._fail(f"{needed} at its end")
        self.at += 1
        return self.tokens[self.at - 1]

    def _product(self) -> Unit:
        unit = NO_UNIT.times(self._power(), Fraction(1))
        while self._next("*", "/"):
            p = Fraction(1 if self.tokens[self.at - 1] == "*" else -1)
            unit = unit.times(self._power(), p)
        return unit

    def _power(self) -> Unit:
        if self._next("("):
            unit = self._product()
            if not self._next(")"):
                self._fail("a closing bracket")
        else:
            unit = self._named(self._take("a unit"))
        return NO_UNIT.times(unit, self._exponent()) if self._next("^", "**") else unit

    def _named(self, name: str) -> Unit:
        if name == "1":
            return NO_UNIT
        if not name[0].isalpha() and name[0] not in "°%":
            self._fail(f"a name in the place of {name!r}")
        found = _unit_named(name)
        if found is None:
            hint = did_you_mean(name, _known_units())
            raise InputError(f"the unit {name!r:.60} in {self.text!r} is not known.{hint}")
        return found

    def _exponent(self) -> Fraction:
        bracket = self._next("(")
        p = self._number()
        if bracket:
            if self._next("/"):
                below = self._number()
                p = p / below if below else self._fail("a fraction with something but 0 below")
            if not self._next(")"):
                self._fail("a closing bracket")
        if abs(p) > 20:
            self._fail("exponents of at most 20")
        return p

    def _number(self) -> Fraction:
        token = self._take("an exponent")
        if not token[-1].isdigit():
            self._fail(f"an exponent in the place of {token!r}: a whole number, or a fraction in brackets")
        return Fraction(token)


def _unit_named(name: str) -> Unit | None:
    """The unit of this name, as it stands or with a prefix."""
    known, prefixes = _known_units(), _prefixes()
    if name in known:
        return known[name]
    for prefix, size in prefixes.items():
        rest = name[len(prefix) :]
        if name.startswith(prefix) and rest in known and rest not in OTHER_NAMES and rest not in ("kg", "kilogram"):
            return Unit(known[rest].size + size, known[rest].dimensions)
    return None


@lru_cache(maxsize=1)
def _prefixes() -> dict[str, float]:
    from sympy.physics.units.prefixes import PREFIXES

    found: dict[str, float] = {}
    for prefix in PREFIXES.values():
        size = math.log10(prefix.scale_factor)
        found[str(prefix.name)] = found[str(prefix.abbrev)] = size
    micro = found.pop("mu")
    return {**found, "u": micro, "µ": micro, "μ": micro}


@lru_cache(maxsize=1)
def _known_units() -> dict[str, Unit]:
    """SymPy's units by name, without its constants of nature."""
    import sympy.physics.units as named
    from sympy.physics.units.quantities import PhysicalConstant, Quantity

    found = {}
    for name, quantity in vars(named).items():
        if not isinstance(quantity, Quantity) or name.startswith("planck"):
            continue
        if not isinstance(quantity, PhysicalConstant) or name in CONSTANTS_THAT_ARE_UNITS:
            found[name] = _read(quantity)
    for name, meant in OTHER_NAMES.items():
        found[name] = found[meant]
    return {**found, "%": found["percent"], "°": found["degree"], "Ω": found["ohm"]}


def _read(quantity: Any) -> Unit:
    from sympy.physics.units.systems.si import dimsys_SI

    powers = dimsys_SI.get_dimensional_dependencies(quantity.dimension)
    exponents = {str(getattr(base, "name", base)): Fraction(str(p)) for base, p in powers.items()}
    kept = ((name, p) for name, p in exponents.items() if p and name not in WITHOUT_DIMENSION)
    size = math.log10(float(quantity.scale_factor)) - 3.0 * float(exponents.get("mass", 0))
    return Unit(round(size, 12), tuple(sorted(kept)))
