"""Each reality check passes where the truth is that it should, and fails its negative control."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

from limbeck._core.tables import Schema, Table
from limbeck.checks import Case, Fidelity, ShiftedRows, Stability, WorstCase
from limbeck.checks._measures import bootstrap, determination, share_interval
from limbeck.readable import FormulaReadable, Readable

x0, x1, x2 = sp.symbols("x0 x1 x2")
RNG = np.random.default_rng(7)
ROWS = Table.read(RNG.uniform(-1, 1, size=(400, 3)))
BACKGROUND = Table.read(RNG.uniform(-1, 1, size=(800, 3)))


def numbers(*expressions: Any, schema: Schema = ROWS.schema) -> FormulaReadable:
    names = tuple(f"y{i}" for i in range(len(expressions)))
    return FormulaReadable(schema, "regression", names, tuple(sp.sympify(e) for e in expressions))


def classes(score: Any) -> FormulaReadable:
    return FormulaReadable(ROWS.schema, "classification", ("no", "yes"), (score,), "logistic")


def case(teacher: Readable, student: Readable, **more: Any) -> Case:
    answers = teacher(ROWS)
    given: dict[str, Any] = {"truth": None, "background": BACKGROUND, "refits": None, "seed": 3}
    return Case(student, teacher, ROWS, answers, **{**given, **more})


LINE = numbers(2 * x0 + x1)
NEAR = numbers(2 * x0 + x1 + 0.05 * x2)
OTHER = numbers(x2)
RULE = classes(8 * x0 + 4 * x1)
RULE_NEAR = classes(8 * x0 + 4 * x1 + 0.1 * x2)
RULE_OTHER = classes(8 * x2)


def test_fidelity_of_a_copy_passes_and_of_another_model_fails() -> None:
    assert Fidelity()(case(LINE, LINE)).value == 1.0
    good, bad = Fidelity()(case(LINE, NEAR)), Fidelity()(case(LINE, OTHER))
    assert (good.status, bad.status) == ("pass", "fail")
    assert good.interval is not None
    assert good.interval[0] <= good.value <= good.interval[1]  # type: ignore[operator]
    good, bad = Fidelity()(case(RULE, RULE_NEAR)), Fidelity()(case(RULE, RULE_OTHER))
    assert (good.status, bad.status) == ("pass", "fail")
    assert good.details["kl"] < 0.01 < bad.details["kl"]


def test_fidelity_of_shuffled_answers_fails() -> None:
    shuffled = replace(case(LINE, LINE), answers=np.random.default_rng(0).permutation(LINE(ROWS)))
    assert Fidelity()(shuffled).status == "fail"


def test_fidelity_is_the_worst_output() -> None:
    found = Fidelity()(case(numbers(2 * x0, x1), numbers(2 * x0, x2)))
    assert found.status == "fail"
    assert found.details["per_output"][0] == pytest.approx(1.0)
    assert found.value == pytest.approx(found.details["per_output"][1])


def test_a_constant_is_not_faithful_to_a_rare_event() -> None:
    rare = classes(20 * (x0 - sp.Float(0.92)))
    never = classes(sp.Float(-9.0) + 0 * x0)
    found = Fidelity()(case(rare, never))
    assert found.value is not None
    assert found.value > 0.93, "agreement alone would pass"
    assert found.status != "pass"


def test_fidelity_is_inconclusive_with_few_rows_and_says_the_truth() -> None:
    few = np.arange(8)
    one = replace(
        case(RULE, RULE_NEAR), rows=ROWS.take(few), answers=RULE(ROWS)[few], truth=RULE(ROWS)[few].argmax(axis=1)
    )
    found = Fidelity()(one)
    assert found.status == "inconclusive"
    assert found.details["truth"]["teacher"]["value"] == 1.0


def test_a_model_that_is_not_a_number_fails() -> None:
    found = Fidelity()(case(LINE, numbers(sp.log(x0))))
    assert found.status == "fail"
    assert "not a number" in found.message


def test_a_constant_teacher_is_not_applicable() -> None:
    assert Fidelity()(case(numbers(sp.Float(2.0) + 0 * x0), LINE)).status == "not_applicable"


def test_shifted_rows_tell_a_model_that_is_right_only_inside() -> None:
    inside = numbers(2 * sp.Max(-1, sp.Min(1, x0)) + sp.Max(-1, sp.Min(1, x1)) - sp.Max(0, sp.Abs(x0) - 1) * 40)
    assert Fidelity()(case(LINE, inside)).status == "pass"
    assert ShiftedRows()(case(LINE, inside)).status == "fail"
    assert ShiftedRows()(case(LINE, NEAR)).status == "pass"


def test_worst_case_finds_a_hole_that_no_row_of_the_data_is_in() -> None:
    inside = sp.And(x0 > 0.7, x1 > 0.7, x2 > 0.7)
    hole = sp.Piecewise((8.0, inside), (2 * x0 + x1, True), evaluate=False)
    rows, background = (
        table.take(np.flatnonzero(~np.all(table.values > 0.65, axis=1))) for table in (ROWS, BACKGROUND)
    )
    holed = replace(case(LINE, numbers(hole)), rows=rows, answers=LINE(rows), background=background)
    assert Fidelity()(holed).value == 1.0, "held-out rows don't see it"
    found = WorstCase()(holed)
    assert found.status == "fail"
    assert all(found.details["rows"][0]["row"][name] > 0.7 for name in ("x0", "x1", "x2"))
    assert WorstCase()(case(LINE, NEAR)).status == "pass"


def test_worst_case_never_goes_below_the_held_out_rows() -> None:
    found = WorstCase(n_rounds=0)(case(LINE, NEAR))
    assert found.value == pytest.approx(found.details["held_out_max"])


def test_stability_passes_for_the_same_and_fails_for_chance() -> None:
    same = Stability()(case(LINE, NEAR, refits=[LINE, NEAR]))
    chance = Stability()(case(LINE, NEAR, refits=[OTHER, LINE]))
    assert (same.status, chance.status) == ("pass", "fail")
    assert same.details["feature_overlap"] > chance.details["feature_overlap"]
    assert Stability()(case(RULE, RULE_NEAR, refits=[RULE])).status == "pass"
    assert Stability()(case(RULE, RULE_NEAR, refits=[RULE_OTHER])).status == "fail"
    assert Stability()(case(LINE, NEAR)).status == "inconclusive"


def test_intervals_cover_as_often_as_they_say() -> None:
    generator = np.random.default_rng(11)
    hits, n_trials = 0, 200
    truth = 1 - 0.25 / 1.25
    for trial in range(n_trials):
        signal = generator.normal(size=200)
        reference = (signal + 0.5 * generator.normal(size=200))[:, None]
        low, high = bootstrap(determination(reference, signal[:, None]), 200, trial, resamples=300)
        hits += low <= truth <= high
    assert 0.88 <= hits / n_trials <= 0.99
    covered = [share_interval(int(k), 50) for k in generator.binomial(50, 0.9, size=400)]
    assert np.mean([low <= 0.9 <= high for low, high in covered]) >= 0.95
