"""Each check of an attribution passes an honest one, and fails its negative control."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from limbeck.attribution import contextual_decomposition
from limbeck.checks import (
    ATTRIBUTION_CHECKS,
    AttributionCase,
    Completeness,
    CorrectedModel,
    CorrectionCase,
    InsertionDeletion,
    NoiseStability,
    PlantedGroups,
    RandomisedNetwork,
    occlusion_effects,
    planted_case,
)
from limbeck.checks._corrected import paired_difference
from limbeck.simulate import planted_interactions, planted_negation, planted_patches

WORLDS = {
    "table": planted_interactions(30, 8, random_state=0),
    "table, minimum": planted_interactions(30, 8, form="minimum", random_state=0),
    "image": planted_patches(30, random_state=0),
    "text": planted_negation(30, random_state=0),
}
OCCLUSION = occlusion_effects(0)


def integrated_gradients(model: Any, x: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """From the empty row, 64 steps, summed over the groups."""
    total = torch.zeros_like(x)
    for step in (np.arange(64) + 0.5) / 64:
        at = (x * step).requires_grad_(True)
        (gradient,) = torch.autograd.grad(model(at)[:, 0].sum(), at)
        total += gradient / 64
    return ((total * x)[None] * masks[:, None]).flatten(2).sum(2)


def pixels(model: Any, x: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The control that does not look at the network."""
    return (x.abs()[None] * masks[:, None]).flatten(2).sum(2)


def chance(seed: int) -> Callable[..., np.ndarray]:
    generator = np.random.default_rng(seed)
    return lambda model, x, masks: generator.normal(size=(len(masks), len(x)))


def changed(effects: Any, change: Any) -> Any:
    return lambda model, x, masks: change(np.asarray(effects(model, x, masks)), masks)


def trained(seed: int = 0) -> AttributionCase:
    """A network fitted to 2 x0 - x1 + x2 x3 over eight columns."""
    torch.manual_seed(seed)
    X = torch.randn(300, 8)
    y = (2 * X[:, 0] - X[:, 1] + X[:, 2] * X[:, 3])[:, None]
    net = torch.nn.Sequential(
        torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)
    )
    step = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(150):
        step.zero_grad()
        torch.nn.functional.mse_loss(net(X), y).backward()
        step.step()
    return AttributionCase(net, X[:30], np.eye(8, dtype=bool), 0, OCCLUSION)


TRAINED = trained()


@pytest.mark.parametrize("name", WORLDS)
def test_an_honest_attribution_passes_all(name: str) -> None:
    statuses = {check.code: check(planted_case(WORLDS[name], OCCLUSION)).status for check in ATTRIBUTION_CHECKS}
    wanted = dict.fromkeys(["RC005", "RC006", "RC007", "RC008", "RC009"], "pass")
    assert statuses == {**wanted, "RC008": "not_applicable" if name == "text" else "pass"}


@pytest.mark.parametrize("effects", [OCCLUSION, integrated_gradients])
def test_honest_attributions_of_a_trained_network_pass(effects: Any) -> None:
    case = replace(TRAINED, effects=effects)
    checks = (Completeness(0.01), RandomisedNetwork(), InsertionDeletion(), NoiseStability())
    assert [check(case).status for check in checks] == ["pass"] * 4


def decomposed(part: int, rule: str = "proportional") -> Any:
    """Contextual decomposition as an attribution: the relevant part, and the rest."""

    def effects(model: Any, x: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return contextual_decomposition(model, x, masks[:, None], rule=rule)[part][..., 0]

    return effects


@pytest.mark.parametrize("name", WORLDS)
def test_contextual_decomposition_passes_but_sees_no_group_that_only_a_threshold_makes(name: str) -> None:
    case = planted_case(WORLDS[name], decomposed(0), rest=decomposed(1))
    statuses = {check.code: check(case).status for check in ATTRIBUTION_CHECKS}
    assert Completeness()(case).value < 1e-6  # type: ignore[operator]
    assert (statuses.pop("RC008"), set(statuses.values()) - {"fail"}) == (
        "not_applicable" if name == "text" else "pass",
        {"pass"},
    )
    # relu(x_i + x_j - 1): the bias is shared in proportion, so that the two parts add up; min(x_i, x_j) is found
    failed = [code for code, status in statuses.items() if status == "fail"]
    assert failed == (["RC009"] if name in ("table", "image") else [])


def test_contextual_decomposition_of_a_trained_network_passes() -> None:
    case = replace(TRAINED, effects=decomposed(0), rest=decomposed(1))
    checks = (Completeness(1e-5), RandomisedNetwork(), InsertionDeletion(), NoiseStability())
    assert [check(case).status for check in checks] == ["pass"] * 4


def test_completeness_fails_the_rule_that_gives_an_empty_mask_a_share_of_the_bias() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(108, 1))
    images = np.zeros((6, 1, 8, 8))
    images[:, :, :3, :3] = np.random.default_rng(0).uniform(size=(6, 1, 3, 3))
    units = WORLDS["image"].units
    ours, half = (
        AttributionCase(net, images, units, 0, decomposed(0, rule), rest=decomposed(1, rule))
        for rule in ("proportional", "acd")
    )
    assert Completeness()(ours).status == "pass"
    found = Completeness()(half)
    assert (found.status, "(empty group)" in found.message) == ("fail", True)


@pytest.mark.parametrize(
    "change",
    [
        lambda e, masks: 1.5 * e,
        lambda e, masks: e + 0.1,
        lambda e, masks: e * (1 + 0.01 * masks.flatten(1).all(1).numpy()[:, None]),
        lambda e, masks: 0 * e,
    ],
    ids=["scaled", "leaks", "leaks where all", "nothing"],
)
def test_completeness_fails_what_does_not_add_up(change: Any) -> None:
    case = planted_case(WORLDS["table"], OCCLUSION)
    assert Completeness()(case).value == pytest.approx(0, abs=1e-6)
    found = Completeness()(replace(case, effects=changed(OCCLUSION, change)))
    assert found.status == "fail"
    assert found.interval is None


def test_completeness_holds_group_and_rest_to_the_output() -> None:
    def rest(model: Any, x: Any, masks: Any) -> np.ndarray:
        """What occlusion leaves: the output without the group."""
        with torch.no_grad():
            return model(x)[:, 0].numpy()[None] - OCCLUSION(model, x, masks)

    case = planted_case(WORLDS["image"], OCCLUSION, rest=rest)
    assert Completeness()(case).status == "pass"
    leaking = replace(
        case, effects=changed(OCCLUSION, lambda e, m: e * (1 + 0.01 * (m.flatten(1).sum(1) == 4).numpy()[:, None]))
    )
    found = Completeness()(leaking)
    assert (found.status, "group and rest" in found.message) == ("fail", True)


def test_completeness_fails_an_attribution_that_gives_all_to_no_input() -> None:
    zeros = changed(OCCLUSION, lambda e, masks: 0 * e)
    case = planted_case(WORLDS["table"], zeros, bias=lambda model, x: model(x)[:, 0])
    found = Completeness()(case)
    assert found.value == pytest.approx(0, abs=1e-6)
    assert (found.status, "belongs to no input" in found.message) == ("fail", True)


def test_what_does_not_look_at_the_network_fails_the_shuffle() -> None:
    for case in (TRAINED, planted_case(WORLDS["image"], OCCLUSION)):
        good, bad = RandomisedNetwork()(case), RandomisedNetwork()(replace(case, effects=pixels))
        assert (good.status, bad.status) == ("pass", "fail")
        assert bad.value == pytest.approx(1.0)
    assert RandomisedNetwork()(replace(TRAINED, effects=chance(0))).status == "fail", "chance changes, but not with it"


def test_the_cascade_goes_from_the_output_back() -> None:
    cascade = RandomisedNetwork()(TRAINED).details["cascade"]
    assert [step["layer"] for step in cascade] == ["4", "2", "0"]


def test_chance_and_reversed_effects_gain_nothing() -> None:
    for case in (TRAINED, planted_case(WORLDS["text"], OCCLUSION)):
        good = InsertionDeletion()(case)
        reverse = InsertionDeletion()(replace(case, effects=changed(OCCLUSION, lambda e, m: -e)))
        random = InsertionDeletion()(replace(case, effects=chance(0)))
        assert (good.status, reverse.status, random.status) == ("pass", "fail", "fail")
        assert reverse.value == pytest.approx(-good.value, abs=0.1)  # type: ignore[operator]


def test_effects_with_noise_of_their_own_fail() -> None:
    def shaky(model: Any, x: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
        """The same for the same rows, but all different for rows a little away."""
        return OCCLUSION(model, x, masks) * (1 + 2 * np.sin(1e4 * np.asarray(x).T))

    generator = np.random.default_rng(0)
    noisy = changed(OCCLUSION, lambda e, m: e + np.std(e) * generator.normal(size=e.shape))
    assert NoiseStability()(TRAINED).status == "pass"
    assert NoiseStability()(replace(TRAINED, effects=noisy)).status == "fail"
    assert NoiseStability()(replace(TRAINED, effects=shaky)).status == "fail"


@pytest.mark.parametrize("name", WORLDS)
def test_planted_groups_are_found_and_not_by_the_blind(name: str) -> None:
    case = planted_case(WORLDS[name], OCCLUSION)
    good = PlantedGroups()(case)
    assert (good.status, good.value) == ("pass", 1.0)
    assert good.details["control"] < 0.2
    assert good.details["planted_mean"] > 100 * good.details["other_mean"]
    for blind in (pixels, chance(0)):
        assert PlantedGroups()(replace(case, effects=blind)).status == "fail"


def test_the_wrong_groups_are_not_found() -> None:
    world = planted_interactions(30, 8, pairs=[(0, 1)], random_state=0)
    case = replace(planted_case(world, OCCLUSION), planted=[(2, 3)])
    assert PlantedGroups()(case).status == "fail"
    additive = changed(OCCLUSION, lambda e, m: m.flatten(1).double().numpy() @ e[: m.shape[1]])
    assert PlantedGroups()(planted_case(world, additive)).status == "fail", "singles that add up have no interactions"


def decoy(n: int, seed: int, *, broken: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Six weak signs of the class and one that shows it plainly; broken, that one is about another class."""
    generator = np.random.default_rng(seed)
    y = generator.integers(2, size=n)
    shown = generator.integers(2, size=n) if broken else y
    X = np.column_stack([0.6 * (2 * y - 1)[:, None] + generator.normal(size=(n, 6)), 3.0 * (2 * shown - 1)])
    return torch.tensor(X, dtype=torch.float32), torch.tensor(y)


def fitted(ignored: int | None) -> torch.nn.Module:
    """A network whose effects of one column are held near 0 (input times gradient)."""
    torch.manual_seed(0)
    X, y = decoy(400, 0, broken=False)
    net = torch.nn.Sequential(torch.nn.Linear(7, 8), torch.nn.Softplus(), torch.nn.Linear(8, 2))
    step = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(120):
        step.zero_grad()
        at = X.clone().requires_grad_(True)
        scores = net(at)
        loss = torch.nn.functional.cross_entropy(scores, y)
        if ignored is not None:
            (slope,) = torch.autograd.grad((scores[:, 1] - scores[:, 0]).sum(), at, create_graph=True)
            loss = loss + 2 * (slope * at)[:, ignored].abs().mean()
        loss.backward()
        step.step()
    return net


def test_a_correction_helps_where_it_is_of_the_right_column() -> None:
    X, y = decoy(600, 1, broken=True)
    before = fitted(None)
    right = CorrectedModel()(CorrectionCase(before, fitted(6), X, y))
    wrong = CorrectedModel()(CorrectionCase(before, fitted(0), X, y))
    same = CorrectedModel()(CorrectionCase(before, before, X, y))
    back = CorrectedModel()(CorrectionCase(fitted(6), before, X, y))
    assert (right.status, wrong.status, same.status, back.status) == ("pass", "fail", "fail", "fail")
    assert right.value > 0.2  # type: ignore[operator]
    assert right.value == pytest.approx(-back.value)  # type: ignore[operator]


def test_the_paired_interval_decides_as_mcnemars_exact_test() -> None:
    from scipy.stats import binomtest

    for better in range(12):
        for worse in range(12):
            value, (low, high) = paired_difference(better, worse, 40)
            assert low <= value <= high
            assert low >= -1
            decided = better + worse > 0 and binomtest(better, better + worse).pvalue < 0.05
            assert (low > 0 or high < 0) == decided
