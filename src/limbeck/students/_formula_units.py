"""Units: which formulas can be right as physics, told from the units of the columns and of the answers.

The terms of a sum have one unit, what stands in exp, log, tanh, sin or cos has none, and powers multiply. A unit is its
base dimensions and its size, so kilometres are not added to metres. A constant may carry any unit, so it can mend a
term; a coefficient of 1 or -1 is no constant, and mends nothing. A logarithm's argument may have a unit where the sum
that it stands in has a constant of its own: ``log(x) + c`` is ``log(x / x0)``.

A column without a unit is *unknown*: whatever is made of it may have any unit. A unit of ``"1"`` or ``""`` says that
there is none, as conditions on levels have none.

Source
------
Tenachi2023 for units as a rule of the search; Cranmer2023 for constants that may carry any unit.

Departures
----------
Both refuse by dimension alone; here the sizes of units count too.

Checked
-------
Laws of physics with wrong rivals; what a student finds, in other units (unit tests).

Cost
----
Linear in the size of the formula: about 10 µs for 20 symbols.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.tables import Schema
from limbeck.students._formula_algebra import Core, Formula
from limbeck.students._formula_features import Feature
from limbeck.students._unit_names import NO_UNIT, Unit, parse_unit

__all__ = ["Measure", "UnitCheck", "unit_checks"]

TOLERANCE = 1e-6

Measure: TypeAlias = "tuple[float | None, tuple[float, ...]] | None"
"""The size of a unit as a power of ten (None: any size) and its exponents; None for any unit at all."""


class _MismatchError(Exception):
    """Two units that don't agree."""


@dataclass(frozen=True)
class UnitCheck:
    """Which formulas have units that fit, for one output.

    Attributes
    ----------
    features : tuple of Measure
        The unit of each feature.
    target : Measure
        The unit of the answers.
    zeros : tuple of float
        As many as there are base dimensions.
    constants_have_units : bool
        Whether a free constant may carry any unit, or only a size.
    """

    features: tuple[Measure, ...] = ()
    target: Measure = None
    zeros: tuple[float, ...] = ()
    constants_have_units: bool = True

    def allows(self, formula: Formula) -> bool:
        """True where the units of all parts can agree with one another and with the answers' unit.

        A number alone always may stand for the answers: it is their mean, in their own unit.
        """
        if not formula[2]:
            return True
        try:
            _agreed(self._sum(formula), self.target)
        except _MismatchError:
            return False
        return True

    def mended(self, formula: Formula) -> Formula | None:
        """The formula, or what its own terms with the answers' unit make; None where there are none."""
        if self.allows(formula):
            return formula
        kept = tuple(term for term in formula[2] if self.allows(("+", 0.0, (term,))))
        for c0 in (formula[1], 0.0):
            rest = ("+", c0, kept)
            if kept and self.allows(rest):
                return rest
        return None

    def of_power(self, p: float) -> UnitCheck:
        """The check of formulas for the answers to the power `p`."""
        return replace(self, target=_times((0.0, self.zeros), self.target, p))

    def of_inside(self) -> UnitCheck:
        """The check of formulas for a function of the answers that has a unit of its own, or none."""
        return replace(self, target=None)

    def _sum(self, formula: Formula) -> Measure:
        _, c0, terms = formula
        found: Measure = None
        drift: Measure = (0.0, self.zeros)
        for c, core in terms:
            if core[0] == "log":
                drift = _times(drift, self._sum(core[1]), c)
                own: Measure = (0.0, self.zeros)
            else:
                own = self._core(core)
            if abs(c) != 1.0 and own is not None:
                own = None if self.constants_have_units else (None, own[1])
            found = _agreed(found, own)
        if c0 == 0.0:
            _agreed(drift, (0.0, self.zeros))
        elif not self.constants_have_units:
            _agreed(drift, (None, self.zeros))
            found = _agreed(found, (None, self.zeros))
        return found

    def _core(self, core: Core) -> Measure:
        kind = core[0]
        if kind == "x":
            return self.features[core[1]] if core[1] < len(self.features) else None
        if kind == "+":
            return self._sum(core)
        if kind == "*":
            total: Measure = (0.0, self.zeros)
            for base, p in core[1]:
                total = _times(total, self._core(base), p)
            return total
        inside = self._sum(core[1])
        if kind == "abs":
            return inside
        _agreed(inside, (0.0, self.zeros))
        return 0.0, self.zeros


def _times(left: Measure, right: Measure, p: float) -> Measure:
    """The unit of ``left * right**p``."""
    if left is None or right is None:
        return None
    size = None if left[0] is None or right[0] is None else left[0] + p * right[0]
    return size, tuple(a + p * b for a, b in zip(left[1], right[1], strict=True))


def _agreed(left: Measure, right: Measure) -> Measure:
    """What two units that must be one leave open; raises where they can't be one."""
    if left is None or right is None:
        return right if left is None else left
    if any(abs(a - b) > TOLERANCE for a, b in zip(left[1], right[1], strict=True)):
        raise _MismatchError
    if left[0] is None or right[0] is None:
        return left if right[0] is None else right
    if abs(left[0] - right[0]) > TOLERANCE:
        raise _MismatchError
    return left


def unit_checks(
    units: Any,
    target_unit: Any,
    constants_have_units: Any,
    schema: Schema,
    features: Sequence[Feature],
    output_names: Sequence[str],
) -> tuple[UnitCheck, ...] | None:
    """One check an output, or None where no units are given.

    Raises
    ------
    InputError
        For an unknown column, output or unit, and for units of columns with levels.
    """
    if not isinstance(constants_have_units, bool):
        raise InputError(f"constants_have_units must be True or False; got {constants_have_units!r:.60}")
    if units is None:
        if target_unit is not None:
            raise InputError("target_unit says nothing without the units of columns: give units={column: unit} too")
        return None
    columns = _by_name("units", units, schema.names, "column")
    for j, name in enumerate(schema.names):
        if schema.has_levels(j) and columns.get(name, NO_UNIT) != NO_UNIT:
            raise InputError(f"units: the column {name!r:.60} has levels, so it has no unit; got {units[name]!r:.60}")
    targets = _of_targets(target_unit, output_names)
    names = sorted({name for unit in (*columns.values(), *targets) if unit for name, _ in unit.dimensions})
    measured = [_measure(NO_UNIT if f.levels else columns.get(schema.names[f.column]), names) for f in features]
    zeros = (0.0,) * len(names)
    return tuple(UnitCheck(tuple(measured), _measure(t, names), zeros, constants_have_units) for t in targets)


def _measure(unit: Unit | None, names: Sequence[str]) -> Measure:
    if unit is None:
        return None
    exponents = dict(unit.dimensions)
    return unit.size, tuple(float(exponents.get(name, 0)) for name in names)


def _by_name(argument: str, given: Any, known: Sequence[str], what: str) -> dict[str, Unit]:
    if not isinstance(given, Mapping):
        raise InputError(
            f"{argument} must be a dict from {what} to unit, such as {{'speed': 'm/s'}}; got {given!r:.60}"
        )
    for name in given:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise InputError(f"{argument} names the {what} {name!r:.60}, which is not there.{hint}")
    return {name: parse_unit(text) for name, text in given.items()}


def _of_targets(given: Any, output_names: Sequence[str]) -> list[Unit | None]:
    if given is None or isinstance(given, str):
        return [None if given is None else parse_unit(given)] * len(output_names)
    found = _by_name("target_unit", given, list(output_names), "output")
    return [found.get(name) for name in output_names]
