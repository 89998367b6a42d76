"""A study's document as frozen values: what is missing or malformed is refused, with its place in the document.

Source
------
Own: the document that a study writes, ``study.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from limbeck._core.errors import InputError
from limbeck.report._entries import LARGEST, Entry, check_plain
from limbeck.report._study_values import (
    Arm,
    ArmResult,
    Comparison,
    Failure,
    FormulaText,
    Overall,
    Spread,
    Study,
    StudyPoint,
    StudySet,
)

__all__ = ["read_study"]

SCHEMA = 1
AGAIN = "Run the study again with --resume."
MAX_ARMS = 8
MAX_SETS = 400
METRICS = ("r2", "fidelity")
T = TypeVar("T")


def read_study(data: Any) -> Study:
    """The study in a parsed ``study.json``.

    Raises
    ------
    InputError
        Where it is not a study, is of another schema, or an entry is missing, is of another type, is a number that is
        not finite, or names an arm or a set that is not listed.
    """
    top = _Entry(data, "study.json", AGAIN)
    if not isinstance(data, Mapping) or data.get("kind") != "study":
        came = f"kind {data.get('kind')!r:.60}" if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            f"a study's document is required: an object with kind 'study', as `limbeck study` writes; got {came}"
        )
    if data.get("schema") != SCHEMA:
        raise InputError(
            f"this limbeck reads studies of schema {SCHEMA}; got {data.get('schema')!r:.60}. Update limbeck, or run "
            "the study again."
        )
    arms = tuple(Arm(entry["name"].text(), entry["label"].text()) for entry in top["arms"].items(1, MAX_ARMS))
    progress = top["progress"]
    study = Study(
        name=top["name"].text(),
        settings=top["settings"].plain_object(),
        arms=arms,
        done=progress["done"].count(),
        planned=progress["planned"].count(),
        failures=tuple(_failure(entry) for entry in progress["failed"].items()),
        sets=tuple(_set(entry) for entry in top["sets"].items(0, MAX_SETS)),
        overall=tuple(_overall(entry) for entry in top["overall"].items()),
        verdict=top["verdict"].text(),
        points=tuple(_point(entry) for entry in top["points"].items()),
    )
    _check_names(study)
    return study


class _Entry(Entry):
    """A value of a study."""

    def by_name(self, read: Callable[[_Entry], T]) -> dict[str, T]:
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object")
        return {str(key): read(self[key]) for key in self.value if self.value[key] is not None}

    def number_or_null(self) -> float | None:
        value = self.value
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise self.wrong("a finite number or null")
        return float(min(max(value, -LARGEST), LARGEST))

    def plain_object(self) -> Mapping[str, Any]:
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object")
        check_plain(self)
        return self.value


def _spread(entry: _Entry) -> Spread:
    found = Spread(*(entry[key].number_or_null() for key in ("mean", "low", "high")))
    known = found.drawn
    if known and not known[0] <= known[2]:
        raise entry.wrong("an interval whose low end is not above its high end")
    return found


def _probability(entry: _Entry) -> float | None:
    value = entry.number_or_null()
    if value is not None and not 0 <= value <= 1:
        raise entry.wrong("a probability from 0 to 1, or null")
    return value


def _metric(entry: _Entry) -> str:
    if entry.value not in METRICS:
        raise entry.wrong(" or ".join(METRICS))
    return str(entry.value)


def _arm_result(entry: _Entry) -> ArmResult:
    fidelity = None if entry["fidelity"].value is None else _spread(entry["fidelity"])
    rest = [entry[key].number_or_null() for key in ("symbols", "teacher_r2", "slope")]
    return ArmResult(_spread(entry["r2"]), fidelity, *rest)


def _comparison(entry: _Entry) -> Comparison:
    return Comparison(
        entry["arm"].text(),
        entry["against"].text(),
        _metric(entry["metric"]),
        _spread(entry),
        _probability(entry["p"]),
        _probability(entry["p_holm"]),
        entry["trials"].count(),
        entry["sentence"].text(),
    )


def _overall(entry: _Entry) -> Overall:
    return Overall(
        entry["arm"].text(),
        entry["against"].text(),
        _metric(entry["metric"]),
        _spread(entry),
        entry["better"].count(),
        entry["worse"].count(),
        entry["ties"].count(),
        _probability(entry["p_sign"]),
        _probability(entry["p_holm"]) if "p_holm" in entry.value else None,
        entry["sentence"].text(),
    )


def _formula(entry: _Entry) -> FormulaText:
    trial = None if entry["trial"].value is None else entry["trial"].count()
    return FormulaText(entry["text"].text(), entry["symbols"].number_or_null(), entry["r2"].number_or_null(), trial)


def _set(entry: _Entry) -> StudySet:
    return StudySet(
        entry["name"].text(),
        entry["rows"].count(),
        entry["columns"].count(),
        entry["trials"].count(),
        entry["arms"].by_name(_arm_result),
        tuple(_comparison(found) for found in entry["comparisons"].items()),
        entry["formulas"].by_name(_formula),
    )


def _point(entry: _Entry) -> StudyPoint:
    names = entry["set"].text(), entry["arm"].text()
    return StudyPoint(*names, *(entry[key].number_or_null() for key in ("r2", "symbols", "strength")))


def _failure(entry: _Entry) -> Failure:
    return Failure(entry["set"].text(), str(entry["trial"].value), entry["what"].text())


def _check_names(study: Study) -> None:
    """Refuse names that come twice, and results of arms and sets that are not listed."""
    arms, sets = [arm.name for arm in study.arms], [one.name for one in study.sets]
    for what, names in (("arms", arms), ("sets", sets)):
        if len(set(names)) < len(names):
            raise InputError(f"study.json: {what} must have different names; got {names!r:.200}")
    used: list[tuple[str, str]] = [("overall", name) for one in study.overall for name in (one.arm, one.against)]
    for one in study.sets:
        used += [(f"sets, {one.name!r:.60}", name) for name in (*one.arms, *one.formulas)]
        used += [(f"sets, {one.name!r:.60}", n) for found in one.comparisons for n in (found.arm, found.against)]
    used += [("points", point.arm) for point in study.points]
    known, listed = set(arms), set(sets)
    for where, name in used:
        if name not in known:
            raise InputError(f"study.json: {where} must speak of the arms {arms!r:.200}; got {name!r:.60}")
    for point in study.points:
        if point.set not in listed:
            raise InputError(f"study.json: points must speak of the sets {sets!r:.200}; got {point.set!r:.60}")
