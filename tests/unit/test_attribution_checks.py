"""Checks of an attribution: odd networks, odd attributions, few rows; nothing is changed, each error says what came."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.checks import (
    ATTRIBUTION_CHECKS,
    AttributionCase,
    Completeness,
    CorrectedModel,
    CorrectionCase,
    Finding,
    InsertionDeletion,
    NoiseStability,
    PlantedGroups,
    RandomisedNetwork,
    occlusion_effects,
    planted_case,
)
from limbeck.checks._attribution_measures import crossed_interval, rank_correlations, size_of, worth
from limbeck.checks._planted import recall
from limbeck.checks._randomised import ordered_layers
from limbeck.simulate import planted_interactions

torch.manual_seed(0)
NET = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
X = np.random.default_rng(0).normal(size=(12, 4))
UNITS = np.eye(4, dtype=bool)
EFFECTS = occlusion_effects(0)


def case(**more: Any) -> AttributionCase:
    given: dict[str, Any] = {"model": NET, "x": X, "masks": UNITS, "output": 0, "effects": EFFECTS}
    return AttributionCase(**{**given, **more})


class Answer(torch.nn.Module):
    """A network that answers what it is told."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor) -> Any:
        return self.answer(x)


def raising(*_: Any) -> Any:
    raise RuntimeError("no such layer")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": len}, "model must be a torch.nn.Module; got builtin_function_or_method"),
        ({"x": np.where(X > 1, np.nan, X)}, "x must be finite; [0-9]+ of 12 rows hold NaN"),
        ({"x": np.where(X > 1, np.inf, X)}, "x must be finite"),
        ({"x": X[:0]}, r"x must be rows \(n, \*row\) with n of at least 1"),
        ({"x": X[0]}, r"x must be rows .*got shape \(4,\)"),
        ({"x": X > 0}, "x must be of real numbers or whole ones; got torch.bool"),
        ({"x": [["a", "b"]]}, "x must be an array of numbers"),
        ({"masks": UNITS.astype(int)}, "masks must be a boolean array .* got int64"),
        ({"masks": UNITS[:, :3]}, r"masks must be a boolean array \(u, \*\(4,\)\)"),
        ({"masks": UNITS[:0]}, "masks must be a boolean array"),
        ({"masks": UNITS & False}, "each unit must have a position; unit 0 has none"),
        ({"output": 0.0}, "output must be a whole number >= 0, or 12 of them"),
        ({"output": -1}, "output must be a whole number >= 0"),
        ({"output": [0, 1]}, "output must be a whole number >= 0, or 12 of them"),
        ({"effects": None}, "effects must be a function; got NoneType"),
        ({"rest": 1}, "rest must be a function; got int"),
        ({"baseline": np.nan}, "baseline must be finite numbers"),
        ({"baseline": [0.0, 1.0]}, r"baseline must be finite numbers, of a shape that fits a row \(4,\)"),
        ({"baseline": "zero"}, "baseline must be finite numbers"),
        ({"x": np.ones((3, 4), int), "baseline": 0.5}, "baseline must be finite whole numbers"),
        ({"planted": [(0, 9)]}, r"planted must be groups of at least two units below 4, .*got \(0, 9\)"),
        ({"planted": [(1,)]}, "planted must be groups of at least two units"),
        ({"planted": [[(0, 1)], [(0, 1)]]}, "for each of 12 rows; got 2 rows"),
        ({"planted": 5}, "planted must be groups of at least two units"),
    ],
)
def test_cases_that_can_not_be(more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        case(**more)


@pytest.mark.parametrize("check", ATTRIBUTION_CHECKS, ids=lambda check: check.code)
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raising, "the network Answer raised RuntimeError on rows of shape .*: no such layer"),
        (lambda x: x * np.nan, "the network's outputs must be numbers; 12 of 12 rows got NaN"),
        (torch.rand_like, "answers differently when asked twice"),
        (lambda x: (x, x), r"one tensor of raw outputs, \(12,\) or \(12, k\); got tuple"),
        (lambda x: x[:1], r"must answer 12 rows .* got \("),
        (lambda x: x[:, None, None], r"must answer 12 rows .* got \("),
    ],
    ids=["raises", "NaN", "random", "tuple", "rows", "shape"],
)
def test_networks_that_can_not_be_explained(check: Any, answer: Any, words: str) -> None:
    with pytest.raises(TeacherError, match=words):
        check(case(model=Answer(answer), planted=[(0, 1)]))


@pytest.mark.parametrize("check", ATTRIBUTION_CHECKS, ids=lambda check: check.code)
def test_attributions_that_are_none(check: Any) -> None:
    with pytest.raises(InputError, match="the attribution raised RuntimeError: no such layer"):
        check(case(effects=raising, planted=[(0, 1)]))
    with pytest.raises(InputError, match=r"one number for each of [0-9]+ groups and 12 rows"):
        check(case(effects=lambda model, x, masks: np.ones(3), planted=[(0, 1)]))
    with pytest.raises(InputError, match="output must be below 3, the network's outputs; got 3"):
        check(case(output=3, planted=[(0, 1)]))
    found = check(case(effects=lambda model, x, masks: np.full((len(masks), len(x)), np.nan), planted=[(0, 1)]))
    assert (found.status, "the attribution is not a number for" in found.message) == ("fail", True)


def test_a_network_that_can_not_be_copied() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 3))
    net.kept = (number for number in range(3))  # type: ignore[assignment]
    with pytest.raises(TeacherError, match="the network must be one that can be copied"):
        RandomisedNetwork()(case(model=net))


@pytest.mark.parametrize("check", ATTRIBUTION_CHECKS, ids=lambda check: check.code)
def test_findings_are_json_and_nothing_is_changed(check: Any) -> None:
    net = torch.nn.Sequential(*NET).train()
    net[0].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rows, state = torch.tensor(X), torch.get_rng_state()
    found = check(case(model=net, x=rows, output=np.arange(12) % 3, effects=occlusion_effects(np.arange(12) % 3)))
    assert Finding.from_dict(json.loads(json.dumps(found.to_dict()))).status == found.status
    assert [module.training for module in net] == [False, True, True, True]
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert np.array_equal(rows, X)
    assert torch.equal(torch.get_rng_state(), state)
    assert found == check(
        case(model=net, x=rows, output=np.arange(12) % 3, effects=occlusion_effects(np.arange(12) % 3))
    )


def test_an_error_leaves_the_mode_as_it_was() -> None:
    net = torch.nn.Sequential(*NET).train()
    with pytest.raises(InputError, match="the attribution raised"):
        InsertionDeletion()(case(model=net, effects=raising))
    assert all(module.training for module in net.modules())
    NET.eval()


def test_few_rows_decide_nothing() -> None:
    few = replace(planted_case(planted_interactions(30, 8, form="minimum", random_state=0), EFFECTS))
    one = replace(few, x=few.x[:1], output=few.output[:1], planted=few.planted[:1])  # type: ignore[index]
    for check in (RandomisedNetwork(), InsertionDeletion(), NoiseStability(), PlantedGroups()):
        assert check(one).status == "inconclusive"
    assert Completeness()(one).status == "pass"


@pytest.mark.parametrize(
    ("check", "more", "words"),
    [
        (RandomisedNetwork(), {"model": Answer(lambda x: x)}, "no weights to shuffle"),
        (RandomisedNetwork(), {"masks": UNITS[:2]}, "no row has three units"),
        (RandomisedNetwork(), {"x": 0 * X}, "no row has three units"),
        (NoiseStability(), {"x": 0 * X}, "no row has three units"),
        (NoiseStability(), {"model": Answer(lambda x: 0 * x)}, "no row has three units"),
        (NoiseStability(), {"model": Answer(lambda x: x.double()), "x": np.ones((9, 4), int)}, "whole numbers"),
        (InsertionDeletion(), {"model": Answer(lambda x: 0 * x)}, "the output stays as it is"),
        (PlantedGroups(), {}, "no group is known"),
        (PlantedGroups(), {"planted": [()] * 12}, "no group is known"),
        (PlantedGroups(), {"planted": [(0, 1, 2, 3)]}, "all pairs of units are planted"),
    ],
)
def test_where_nothing_can_be_said(check: Any, more: dict[str, Any], words: str) -> None:
    found = check(case(**more))
    assert (found.status, words in found.message) == ("not_applicable", True)


def test_a_network_that_jumps_is_not_held_against_the_attribution() -> None:
    jumps = Answer(lambda x: torch.sin(1e7 * x))
    assert NoiseStability()(case(model=jumps)).status == "inconclusive"


def test_too_many_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="at most 3 pairs of units can be compared; got 6"):
        PlantedGroups(max_pairs=3)(case(planted=[(0, 1)]))


def test_shuffled_weights_that_are_no_numbers_are_said() -> None:
    def fragile(model: Any, x: Any, masks: Any) -> np.ndarray:
        effects = EFFECTS(model, x, masks)
        return effects if model is NET else effects * np.nan

    found = RandomisedNetwork()(case(effects=fragile))
    assert (found.status, found.message) == ("inconclusive", "no shuffled network gave effects that are numbers")


def test_layers_are_in_the_order_they_run_and_shared_weights_stand_once() -> None:
    class Net(torch.nn.Module):
        """Registered last to first, with one weight used twice and one of equal numbers."""

        def __init__(self) -> None:
            super().__init__()
            self.out = torch.nn.Linear(4, 2)
            self.two = torch.nn.Linear(4, 4)
            self.one = torch.nn.Linear(4, 4)
            self.two.weight = self.one.weight
            self.one.bias.data[:] = 1.0
            self.scale = torch.nn.Parameter(torch.tensor([1.0, 2.0]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.scale * self.out(torch.relu(self.two(torch.relu(self.one(x)))))

    found = ordered_layers(case(model=Net()))
    assert [name for name, _ in found] == ["Net", "out", "two"]
    assert [names for _, names in found] == [["scale"], ["out.weight", "out.bias"], ["two.weight", "two.bias"]]


def test_units_at_the_baseline_are_not_present() -> None:
    rows = X.copy()
    rows[0, :3] = 0
    assert case(x=rows).present[:2].tolist() == [[False, False, False, True], [True] * 4]


@pytest.mark.parametrize(
    ("before", "y", "words"),
    [
        (NET, np.zeros(3, int), "y must be the class of each of 12 rows"),
        (NET, np.zeros(12), "y must be the class of each of 12 rows, as a whole number; got float64"),
        (Answer(lambda x: x * np.nan), np.zeros(12, int), "the network's outputs must be numbers"),
        (Answer(raising), np.zeros(12, int), "the network Answer raised RuntimeError"),
    ],
)
def test_corrections_that_can_not_be_judged(before: Any, y: Any, words: str) -> None:
    with pytest.raises((InputError, TeacherError), match=words):
        CorrectedModel()(CorrectionCase(before, NET, X, y))


def test_one_row_says_nothing_of_a_correction() -> None:
    right, wrong = Answer(lambda x: 0 * x[:, :1] + 1), Answer(lambda x: 0 * x[:, 0] - 1)
    found = CorrectedModel()(CorrectionCase(wrong, right, X[:1], torch.tensor([1])))
    assert (found.status, found.value) == ("inconclusive", 1.0)


def test_rank_correlations_intervals_and_verdicts() -> None:
    one = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 2.0], [9.0, 5.0]])
    other = np.array([[1.0, 4.0], [4.0, 4.0], [9.0, 4.0], [0.0, 4.0]])
    used = np.array([[True, True, True, False], [True] * 4])
    assert rank_correlations(one, other, used).tolist() == pytest.approx([1.0, 0.0])
    assert (size_of((-0.2, 0.1)), size_of((-0.3, -0.1))) == ((0.0, 0.2), (0.1, 0.3))
    assert [worth(i, 0.1) for i in ((0.01, 1.0), (0.0, 0.0), (-1.0, 0.05), (-0.1, 0.3))] == [
        "pass",
        "fail",
        "fail",
        "inconclusive",
    ]
    generator = np.random.default_rng(0)
    covered = 0
    for trial in range(100):
        values = generator.normal(size=(12, 1)) + generator.normal(size=(12, 20))
        low, high = crossed_interval(values, trial)
        covered += low <= 0 <= high
    assert 83 <= covered <= 100


def test_recall_counts_ties_by_their_room() -> None:
    known = np.array([True, False, False, True])
    assert recall(np.zeros(4), known) == pytest.approx(0.5)
    assert recall(np.array([3.0, 0, 0, 1]), known) == 1.0
    assert recall(np.array([3.0, 1, 1, 1]), known) == pytest.approx((1 + 1 / 3) / 2)
    assert recall(np.array([0.0, 1, 1, 0]), known) == 0.0
