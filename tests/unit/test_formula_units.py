"""Units: read, checked on formulas, kept to by the students."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy.physics.units as named
from sympy.physics.units import convert_to

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import FormulaReadable
from limbeck.readable._language import column_symbol
from limbeck.students import FormulaClassifier, FormulaRegressor
from limbeck.students._formula_algebra import Formula, add, apply, constant, feature, multiply, power, scale
from limbeck.students._formula_features import Feature
from limbeck.students._formula_units import UnitCheck, unit_checks
from limbeck.students._unit_names import NO_UNIT, Unit, parse_unit

SMALL: dict[str, Any] = {"max_evaluations": 6_000, "random_state": 0}

# Reading

SAME: list[tuple[str, ...]] = [
    ("J", "N*m", "kg*m^2/s^2", "kg*m**2/s**2", "kg * m^2 * s^-2", "kg/(s/m)^2", "W*s", "Pa*m^3", "joule"),
    ("1", "", " ", "m/m", "rad", "sr", "radian"),
    ("km/h", "km*h^-1", "kilometer/hour"),
    ("m^(1/2)", "m^0.5", "m^(2/4)", "(m)^(1/2)"),
    ("µm", "um", "μm", "micrometer"),
    ("1/s", "Hz", "s^-1"),
    ("MPa", "N/mm^2"),
    ("mmol/L", "mol/m^3"),
    ("%", "percent", "cm/m"),
    ("min", "minute"),
    ("t", "Mg", "tonne"),
]


@pytest.mark.parametrize("group", SAME, ids=lambda group: group[0])
def test_ways_to_write_one_unit(group: tuple[str, ...]) -> None:
    first = parse_unit(group[0])
    for text in group[1:]:
        other = parse_unit(text)
        assert other.dimensions == first.dimensions
        assert other.size == pytest.approx(first.size, abs=1e-9)


def test_units_that_are_not_one() -> None:
    texts = ["m", "km", "s", "min", "h", "kg", "g", "J", "kJ", "eV", "N", "mN", "MN", "1", "%", "deg", "m^2", "T", "t"]
    units = [(unit.dimensions, round(unit.size, 9)) for unit in map(parse_unit, texts)]
    assert len(set(units)) == len(texts)


@pytest.mark.parametrize("name", ["joule", "newton", "volt", "ohm", "bar", "hour", "mile", "liter", "tesla", "psi"])
def test_sizes_are_those_that_sympy_converts_to(name: str) -> None:
    base = [named.kilogram, named.meter, named.second, named.ampere]
    converted = convert_to(getattr(named, name), base)
    number = float(converted.as_coeff_Mul()[0])
    assert parse_unit(name).size == pytest.approx(np.log10(number), abs=1e-9)


def test_a_unit_with_powers() -> None:
    assert parse_unit("kg*m^(1/3)/s^2").dimensions == (
        ("length", Fraction(1, 3)),
        ("mass", Fraction(1)),
        ("time", Fraction(-2)),
    )
    assert parse_unit("1") == NO_UNIT


BAD: dict[str, tuple[Any, str]] = {
    "a slip": ("kilogrm", r"the unit 'kilogrm' in 'kilogrm' is not known. Did you mean 'kilogram'\?"),
    "British": ("metre", r"Did you mean 'meter'\?"),
    "unknown": ("zorkmid", "the unit 'zorkmid' in 'zorkmid' is not known"),
    "a constant of nature": ("m*speed_of_light", "the unit 'speed_of_light' in .* is not known"),
    "two prefixes": ("kkg", "the unit 'kkg' in 'kkg' is not known"),
    "a number": ("10*m", "needs a name in the place of '10'"),
    "no operator": ("kg m", r"needs '\*' or '/' before 'm'"),
    "a fraction without brackets": ("m^1/2", "needs a name in the place of '2'"),
    "no exponent": ("m^", "needs an exponent at its end"),
    "an exponent that is a name": ("m^s", "needs an exponent in the place of 's'"),
    "nothing below": ("m^(1/0)", "needs a fraction with something but 0 below"),
    "a great exponent": ("m^99", "needs exponents of at most 20"),
    "an open bracket": ("(m", "needs a closing bracket"),
    "an open exponent": ("m^(1/2", "needs a closing bracket"),
    "a bracket too many": ("m)", r"needs '\*' or '/' before '\)'"),
    "an operator at the end": ("m*", "needs a unit at its end"),
    "an operator first": ("*m", r"needs a name in the place of '\*'"),
    "a program": ("__import__('os').system('true')", "a unit is made of names"),
    "long": ("m*" * 200 + "m", "a unit is a text of at most 200 letters; got 401"),
    "not text": (3, "a unit is a text such as 'kg\\*m\\^2/s\\^2'; got 3"),
    "bytes": (b"kg", "a unit is a text such as"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_unit(case: str) -> None:
    text, match = BAD[case]
    with pytest.raises(InputError, match=match):
        parse_unit(text)


def test_deep_brackets_are_read_or_refused() -> None:
    assert parse_unit("(" * 99 + "m" + ")" * 99) == parse_unit("m")


# Checking

NAMES = ("m", "v", "x", "t", "a", "T", "free")
UNITS = {"m": "kg", "v": "m/s", "x": "m", "t": "s", "a": "1", "T": "km"}
SCHEMA = Schema(tuple(Column(name) for name in NAMES))
FEATURES = [Feature(j, (), column_symbol(j)) for j in range(len(NAMES))]
MASS, SPEED, WAY, TIME, ANGLE, FAR, FREE = (feature(j) for j in range(len(NAMES)))


def check(target: str | None, *, constants_have_units: bool = True) -> UnitCheck:
    checks = unit_checks(UNITS, target, constants_have_units, SCHEMA, FEATURES, ("y",))
    assert checks is not None
    return checks[0]


def over(left: Formula, right: Formula) -> Formula:
    return multiply(left, power(right, -1.0))


WAVE = apply("sin", add(ANGLE, over(WAY, multiply(SPEED, TIME))))

LAWS: dict[str, tuple[Formula, str, bool, bool]] = {
    # the formula, the target's unit, right where constants may have units, right where they may not
    "kinetic energy": (scale(multiply(MASS, power(SPEED, 2.0)), 0.5), "J", True, True),
    "with a wrong power": (scale(multiply(MASS, power(SPEED, 3.0)), 0.5), "J", True, False),
    "with a wrong power and no constant": (multiply(MASS, power(SPEED, 3.0)), "J", False, False),
    "without constant": (multiply(MASS, power(SPEED, 2.0)), "J", True, True),
    "of another size": (multiply(MASS, power(SPEED, 2.0)), "kJ", False, False),
    "of another size, scaled": (scale(multiply(MASS, power(SPEED, 2.0)), 0.0005), "kJ", True, True),
    "a way": (add(WAY, multiply(SPEED, TIME)), "m", True, True),
    "a way and a time": (add(WAY, TIME), "m", False, False),
    "a way and a scaled time": (add(WAY, scale(TIME, 3.0)), "m", True, False),
    "a way plus a number": (add(WAY, constant(3.0)), "m", True, False),
    "metres and kilometres": (add(WAY, FAR), "m", False, False),
    "metres and scaled kilometres": (add(WAY, scale(FAR, 1000.0)), "m", True, True),
    "an exponential of a way": (apply("exp", WAY), "1", False, False),
    "an exponential of a scaled way": (apply("exp", scale(WAY, -2.0)), "1", True, False),
    "an exponential without unit": (apply("exp", over(WAY, multiply(SPEED, TIME))), "1", True, True),
    "a wave": (multiply(WAY, WAVE), "m", True, True),
    "a logarithm of a way": (apply("log", WAY), "1", False, False),
    "a logarithm and a constant": (add(apply("log", WAY), constant(2.0)), "1", True, False),
    "a logarithm of a quotient": (apply("log", over(WAY, FAR)), "1", False, False),
    "the same, scaled": (add(apply("log", over(WAY, FAR)), constant(6.9)), "1", True, True),
    "two logarithms": (
        add(apply("log", WAY), scale(apply("log", multiply(SPEED, TIME)), -1.0)),
        "1",
        True,
        True,
    ),
    "a logarithm in a product": (multiply(WAY, apply("log", TIME)), "m", False, False),
    "a root": (power(multiply(SPEED, multiply(SPEED, TIME)), 0.5), "m*s^(-1/2)", True, True),
    "a root of a sum": (power(add(power(WAY, 2.0), power(multiply(SPEED, TIME), 2.0)), 0.5), "m", True, True),
    "a root of a wrong sum": (power(add(power(WAY, 2.0), SPEED), 0.5), "m", False, False),
    "a wrong sum behind a constant": (scale(power(add(power(WAY, 2.0), SPEED), 0.5), 3.0), "m", False, False),
    "a wrong sum in a function": (apply("tanh", scale(add(WAY, TIME), 2.0)), "1", True, False),
    "a wrong sum, without constants, in a function": (
        multiply(WAY, apply("tanh", multiply(ANGLE, add(WAY, TIME)))),
        "m",
        False,
        False,
    ),
    "an absolute value": (apply("abs", add(WAY, scale(multiply(SPEED, TIME), -1.0))), "m", True, True),
    "an unknown unit": (multiply(FREE, MASS), "m", True, True),
    "an unknown unit beside a wrong one": (add(multiply(FREE, MASS), TIME), "m", False, False),
    "a number": (constant(3.0), "m", True, True),
    "nothing": (constant(0.0), "m", True, True),
}


@pytest.mark.parametrize("name", LAWS)
def test_what_units_allow(name: str) -> None:
    formula, target, free, strict = LAWS[name]
    assert check(target).allows(formula) is free
    assert check(target, constants_have_units=False).allows(formula) is strict


def test_without_the_target_only_the_inside_counts() -> None:
    assert check(None).allows(WAY)
    assert check(None).allows(TIME)
    assert not check(None).allows(add(WAY, TIME))


def test_a_check_without_units_allows_all() -> None:
    assert UnitCheck().allows(add(WAY, TIME))


def test_conditions_have_no_unit() -> None:
    schema = Schema((Column("x"), Column("job", "nominal", levels=("a", "b"))))
    features = [Feature(0, (), column_symbol(0)), Feature(1, (0,), column_symbol(1))]
    checks = unit_checks({"x": "m"}, "m", True, schema, features, ("y",))
    assert checks is not None
    assert checks[0].allows(multiply(feature(0), feature(1)))
    assert checks[0].allows(add(feature(0), scale(feature(1), 2.0)))
    assert not checks[0].allows(add(feature(0), feature(1)))
    with pytest.raises(InputError, match="the column 'job' has levels, so it has no unit; got 'kg'"):
        unit_checks({"job": "kg"}, None, True, schema, features, ("y",))


def test_outputs_have_units_of_their_own() -> None:
    checks = unit_checks(UNITS, {"b": "s"}, True, SCHEMA, FEATURES, ("a", "b"))
    assert checks is not None
    assert [c.allows(WAY) for c in checks] == [True, False]
    both = unit_checks(UNITS, "m", True, SCHEMA, FEATURES, ("a", "b"))
    assert both is not None
    assert [c.allows(WAY) for c in both] == [True, True]


def test_units_are_values() -> None:
    assert Unit(0.0, ()).times(parse_unit("m"), Fraction(2)) == parse_unit("m^2")


# The students


def rows(n: int = 300) -> tuple[pd.DataFrame, np.ndarray]:
    """A speed, with a way and a mass that are almost the same number, and fit the answers as well."""
    rng = np.random.default_rng(0)
    way = rng.uniform(1.0, 5.0, size=n)
    frame = pd.DataFrame({"way": way, "mass": way + 0.01 * rng.normal(size=n), "time": rng.uniform(1.0, 3.0, size=n)})
    answers = (0.5 * frame["way"] + 0.5 * frame["mass"]) / frame["time"] + 0.02 * rng.normal(size=n)
    return frame, answers.to_numpy()


RIVALS = {"way": "m", "mass": "kg", "time": "s"}


def test_of_two_laws_that_fit_the_one_with_the_right_units_is_found() -> None:
    """What is right as physics is right in grams and millimetres too; the rival is not."""
    frame, y = rows()
    blind = FormulaRegressor(**SMALL).fit(frame, y)
    assert any("mass" in member.readable.features_used for member in blind.front_)
    seeing = FormulaRegressor(units=RIVALS, target_unit="m/s", constants_have_units=False, **SMALL).fit(frame, y)
    assert "way/time" in seeing.readable_.text()
    assert seeing.readable_.complexity <= 5
    assert len(seeing.front_) > 1
    other = frame.assign(mass=1000.0 * frame["mass"], way=1000.0 * frame["way"])
    for member in seeing.front_[1:]:
        np.testing.assert_allclose(member.readable(other), 1000.0 * member.readable(frame), rtol=1e-9)
    rival = next(member for member in blind.front_ if "mass" in member.readable.features_used)
    grams = frame.assign(mass=1000.0 * frame["mass"])
    assert not np.allclose(rival.readable(grams), rival.readable(frame))


def test_a_coefficient_that_would_be_rounded_to_one_keeps_its_digits() -> None:
    """With a constant that has a unit, mass/time can be made right; a bare mass/time is never in the front."""
    frame, y = rows()
    student = FormulaRegressor(units=RIVALS, target_unit="m/s", **SMALL).fit(frame, 1.0004 * y)
    for member in student.front_:
        assert member.readable.text() != "prediction = mass/time"


def test_a_right_law_is_not_lost() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.uniform(1, 5, size=(200, 2)), columns=["m", "v"])
    y = 0.5 * frame["m"] * frame["v"] ** 2
    student = FormulaRegressor(units={"m": "kg", "v": "m/s"}, target_unit="J", constants_have_units=False, **SMALL)
    assert student.fit(frame, y).readable_.text() == "prediction = 0.5*m*v**2"
    assert isinstance(student.readable_, FormulaReadable)


def test_where_no_units_fit_there_is_only_a_number() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.uniform(1, 5, size=(60, 1)), columns=["v"])
    student = FormulaRegressor(units={"v": "m/s"}, target_unit="kg", constants_have_units=False, **SMALL)
    student.fit(frame, 2.0 * frame["v"])
    assert [member.readable.features_used for member in student.front_] == [()]


def test_a_formula_is_mended() -> None:
    strict = check("J", constants_have_units=False)
    energy = scale(multiply(MASS, power(SPEED, 2.0)), 0.5)
    assert strict.mended(energy) == energy
    assert strict.mended(add(energy, constant(3.0))) == energy
    assert strict.mended(add(energy, scale(WAY, 2.0), constant(3.0))) == energy
    assert strict.mended(add(WAY, constant(3.0))) is None
    free = add(scale(energy, 3.0), constant(2.0))
    assert check("J").mended(add(free, WAY)) == free


def test_answers_to_a_power_have_another_unit() -> None:
    assert check("m").of_power(2.0).allows(power(WAY, 2.0))
    assert not check("m").of_power(2.0).allows(WAY)
    assert check("m").of_power(-1.0).allows(power(WAY, -1.0))
    assert check("m").of_inside().allows(power(WAY, 3.0))
    assert not check("m").of_inside().allows(add(WAY, TIME))


def test_classes_have_scores_without_unit() -> None:
    rng = np.random.default_rng(3)
    X = rng.uniform(0.5, 4, size=(300, 2))
    y = X[:, 0] > X[:, 1]
    units = {"x0": "m", "x1": "m"}
    student = FormulaClassifier(units=units, constants_have_units=False, **SMALL).fit(X, y)
    assert student.score(X, y) > 0.95
    for member in student.front_:
        assert unit_checks(units, "1", False, student.readable_.schema, [], ("score",)) is not None
        assert "x0" in member.readable.text() or member.complexity == 1


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "units as text": ({"units": "kg"}, "units must be a dict from column to unit, such as .*; got 'kg'"),
    "an unknown column": ({"units": {"sped": "m/s"}}, "units names the column 'sped', which is not there.*'speed'"),
    "a column by position": ({"units": {0: "m"}}, "units names the column 0, which is not there"),
    "an unknown unit": ({"units": {"speed": "m/sec"}}, "the unit 'sec' in 'm/sec' is not known"),
    "a unit that is no text": ({"units": {"speed": None}}, "a unit is a text such as .*; got None"),
    "only a target": ({"target_unit": "J"}, "target_unit says nothing without the units of columns"),
    "an unknown output": (
        {"units": {}, "target_unit": {"energy": "J"}},
        "target_unit names the output 'energy', which is not there",
    ),
    "a target that is a number": ({"units": {}, "target_unit": 3}, "target_unit must be a dict from output to unit"),
    "a word for yes": ({"constants_have_units": "yes"}, "constants_have_units must be True or False; got 'yes'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_arguments(case: str) -> None:
    arguments, match = WRONG[case]
    frame = pd.DataFrame({"mass": np.arange(50.0), "speed": np.arange(50.0) ** 2})
    with pytest.raises(InputError, match=match):
        FormulaRegressor(**{**SMALL, **arguments}).fit(frame, np.arange(50.0))
