"""Policies whose short form is known: it is found and passes; what imitates well and loses, or can't be told, fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limbeck.checks import Finding
from limbeck.policies._dagger import States, dagger
from limbeck.policies._distill_policy import distill_policy
from limbeck.policies._environment import as_environment
from limbeck.policies._features import features
from limbeck.policies._policy import as_policy
from limbeck.policies._policy_judging import Setting, judge_students, set_bench
from limbeck.policies._policy_trees import fitted_trees
from limbeck.readable import policy_schema
from limbeck.readable._policy_tree import Branch, PolicyTree
from limbeck.readable._program_comparison import Comparison
from policy_worlds import Either, Follow, Gate, Idle, Ledge, centred, either, follower, jumper


def above(column: int, threshold: float, then: Any, otherwise: Any) -> Branch:
    return Branch(Comparison(((column, 1.0),), threshold), then, otherwise)


def findings_of(world: Any, policy: Any, root: Any, episodes: int = 30) -> dict[str, Finding]:
    """All findings of one planted tree."""
    environment = as_environment(world)
    teacher = as_policy(policy, environment)
    setting = Setting(environment, teacher, (), episodes, 0, 1, lambda what, done, total: None)
    tree = PolicyTree(policy_schema(environment.columns), environment.actions, root)
    judged, whole = judge_students(setting, set_bench(setting), [tree])
    assert whole
    return {finding.code: finding for finding in judged[0].findings}


def status(findings: dict[str, Finding]) -> dict[str, str]:
    return {code: finding.status for code, finding in findings.items()}


def test_the_right_tree_passes_every_check() -> None:
    found = findings_of(Gate, jumper, above(0, 0.5, 1, 0))
    assert {code for code, one in status(found).items() if one != "pass"} <= {"RC016"}  # a jump that sticks stumbles
    assert found["RC014"].value == 1.0
    assert found["RC015"].value == 1.0


def test_a_tree_that_imitates_well_and_loses_is_refused() -> None:
    found = findings_of(Gate, jumper, 0)
    assert status(found)["RC015"] == "pass"
    assert found["RC015"].value == pytest.approx(0.95, abs=0.01)
    assert found["RC015"].details["weighted"] < 0.7
    assert status(found)["RC014"] == "fail"
    assert found["RC014"].interval[1] < 0.9


def test_a_tree_that_plays_its_own_way_does_not_agree() -> None:
    found = findings_of(Ledge, centred, above(0, 1.5, 0, 1))
    assert status(found)["RC014"] == "pass"
    assert status(found)["RC015"] == "fail"


def test_a_tree_along_the_edge_falls_when_actions_stick_and_one_in_the_middle_does_not() -> None:
    edge = findings_of(Ledge, centred, above(0, 1.5, 0, 1))
    middle = findings_of(Ledge, centred, above(0, 5.01, 0, 1))
    assert (edge["RC014"].status, edge["RC016"].status) == ("pass", "fail")
    assert status(middle) == dict.fromkeys(("RC014", "RC015", "RC016", "RC017", "RC018"), "pass")


def test_a_tree_that_knows_only_its_usual_states_fails_from_other_starts() -> None:
    narrow = above(0, 5.01, above(0, 6.5, 1, 0), above(0, 3.5, 1, 0))
    found = findings_of(Ledge, centred, narrow, episodes=60)
    assert found["RC014"].value == 1.0
    assert found["RC017"].status == "fail"


def test_where_a_random_policy_plays_as_well_nothing_is_told() -> None:
    found = findings_of(Idle, centred, 0)
    assert found["RC018"].status == "fail"
    assert "can't tell" in found["RC018"].message
    assert found["RC014"].status == "not_applicable"


def test_where_interchanged_actions_play_as_well_the_control_fails() -> None:
    found = findings_of(Either, either, above(0, 0.0, 1, 0))
    assert found["RC014"].status == "pass"
    assert found["RC018"].status == "fail"
    assert found["RC018"].details["kept"]["interchanged actions"] == 1.0
    assert found["RC018"].details["kept"]["random"] < 0.3


def test_the_comparison_of_ball_and_paddle_is_found_and_plays() -> None:
    result = distill_policy(
        Follow, follower, students=["tree", "cloned_tree"], budget_s=60, episodes=12, random_state=0
    )
    best = result.best()
    assert {tuple(column for column, _ in one.terms) for one in best.readable.comparisons()} == {(0, 1)}
    assert best.lines <= 4
    assert best.finding("RC014").status == "pass"
    assert best.finding("RC018").status == "pass"
    assert result.random.mean < 0.6 * result.teacher.mean


def test_without_differences_the_same_size_plays_worse() -> None:
    environment = as_environment(Follow)
    policy = as_policy(follower, environment)
    means = []
    for differences in (True, False):
        forms = features(environment, differences=differences)

        def fit(states: States, seed: int, forms: Any = forms) -> dict[int, PolicyTree]:
            schema, actions = policy_schema(environment.columns), environment.actions
            return fitted_trees(
                states.rows,
                states.actions,
                states.weights,
                forms=forms,
                schema=schema,
                output_names=actions,
                bounds=(3,),
                seed=seed,
            )

        found = dagger(environment, policy, fit=fit, iterations=2, episodes=6, seed=1)
        means.append(found.best[0].mean)
    assert means[0] > means[1] + 3.0


def test_weights_make_a_small_tree_ask_what_matters() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(2000, 2))
    decisive = rows[:, 1] > 1.3
    actions = np.where(decisive, 2, (rows[:, 0] > 0).astype(int))
    weights = np.where(decisive, 50.0, 0.1)
    environment = as_environment(Follow)
    args: dict[str, Any] = {
        "forms": features(environment, differences=False),
        "schema": policy_schema(environment.columns),
        "output_names": environment.actions,
        "bounds": (2,),
    }
    weighted = fitted_trees(rows, actions, weights, **args)[2]
    plain = fitted_trees(rows, actions, np.ones(len(rows)), **args)[2]
    assert weighted.columns_used == (1,)
    assert weighted.comparisons()[0].bound == pytest.approx(1.3, abs=0.05)
    assert plain.columns_used == (0,)


def test_an_oblique_rule_takes_two_leaves_and_an_axis_tree_does_not_have_them() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(3000, 2)) * [1.0, 10.0]
    actions = (rows[:, 0] + 0.25 * rows[:, 1] > 0.5).astype(int)
    environment = as_environment(Ledge)
    args: dict[str, Any] = {
        "forms": features(as_environment(Follow)),
        "schema": policy_schema(("a", "b")),
        "output_names": environment.actions,
        "bounds": (2,),
    }
    oblique = fitted_trees(rows, actions, np.ones(len(rows)), oblique=True, **args)[2]
    axis = fitted_trees(rows, actions, np.ones(len(rows)), **args)[2]
    assert np.mean(oblique.act(rows) == actions) > 0.99
    assert np.mean(axis.act(rows) == actions) < 0.95
    (a, b) = dict(oblique.comparisons()[0].terms).values()
    assert a / b == pytest.approx(4.0, rel=0.05)
