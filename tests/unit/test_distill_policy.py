"""distill_policy: what comes back, what is refused, what is kept after Ctrl-C, and what a folder gives again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import limbeck
from limbeck._core.errors import InputError, LimbeckError, StorageError, TeacherError
from limbeck.checks import Finding
from limbeck.policies import _policy_students as students
from limbeck.policies._dagger import States, dagger, played_by_teacher
from limbeck.policies._distill_policy import distill_policy
from limbeck.policies._environment import as_environment
from limbeck.policies._episodes import play_episodes
from limbeck.policies._features import change_columns, features, observed_rows
from limbeck.policies._policy import as_policy
from limbeck.policies._policy_candidate import CODES, PolicyCandidate, policy_verdict
from limbeck.policies._policy_checks import Interchanged
from limbeck.policies._policy_distillation import PolicyDistillation
from limbeck.policies._policy_judging import OtherStarts
from limbeck.policies._policy_trees import fitted_trees
from limbeck.policies._program_finals import FoundPrograms
from limbeck.readable import policy_schema
from limbeck.readable._program import Guard, ProgramPolicy
from limbeck.readable._program_comparison import Comparison
from policy_worlds import Follow, Gate, follower, gymnasium, jumper

QUICK: dict[str, Any] = {"students": ["tree"], "budget_s": 60, "episodes": 6, "random_state": 0}


@pytest.fixture(scope="module", autouse=True)
def small() -> Any:
    """Two iterations of few episodes are enough here."""
    patch = pytest.MonkeyPatch()
    patch.setattr(students, "ITERATIONS", 2)
    patch.setattr(students, "BATCH", 6)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def found() -> PolicyDistillation:
    return distill_policy(Follow, follower, **QUICK)


def program() -> ProgramPolicy:
    gap, back = ((0, 1.0), (1, -1.0)), ((0, -1.0), (1, 1.0))
    guards = (Guard((Comparison(gap, 0.25),), 1), Guard((Comparison(back, 0.25),), 2))
    return ProgramPolicy(policy_schema(Follow.columns), Follow.meanings, guards, 0)


# What comes back


def test_the_front_goes_up_and_the_best_is_on_it(found: PolicyDistillation) -> None:
    front = found.front()
    assert front["complexity"].is_monotonic_increasing
    assert front["mean"].is_monotonic_increasing
    assert found.best().name in set(found.table()["name"])
    assert found.best(max_complexity=int(front["complexity"].iloc[-1])).name in set(front["name"])
    with pytest.raises(LimbeckError, match="no candidate may be used with max_complexity=1"):
        found.best(max_complexity=1)
    with pytest.raises(InputError, match="this run has the candidates"):
        found["tree_999"]


def test_the_text_has_the_teacher_the_random_policy_and_every_tree_of_the_front(found: PolicyDistillation) -> None:
    text = found.text()
    for word in ("teacher", "random", "worst", *found.front()["name"], "ball", "paddle"):
        assert word in text


def test_scores_are_of_the_same_seeds_and_of_none_that_chose(found: PolicyDistillation) -> None:
    best = found.best()
    environment = as_environment(Follow)
    again = play_episodes(environment, best.readable.act, found.record["seeds"])
    assert again.returns.tolist() == list(best.returns)
    assert best.score.mean == pytest.approx(np.mean(best.returns))
    assert len(set(found.record["seeds"])) == 6


def test_the_same_seed_gives_the_same_answer(found: PolicyDistillation) -> None:
    again = distill_policy(Follow, follower, **QUICK)
    mine, theirs = found.to_dict(), again.to_dict()
    for document in (mine, theirs):
        del document["seconds"]
        for one in document["candidates"]:
            del one["seconds"]
    assert mine == theirs


def test_differences_are_states_where_they_differ_the_weightiest_first() -> None:
    environment = as_environment(Gate)
    found = distill_policy(Gate, jumper, **{**QUICK, "students": ["cloned_tree"], "kind": "q_values"})
    policy = as_policy(jumper, environment, kind="q_values")
    for one in found.candidates:
        table = one.differences
        assert list(table.columns) == ["gate", "noise", "teacher", "student", "weight"]
        assert table["weight"].is_monotonic_decreasing
        rows = table[["gate", "noise"]].to_numpy(dtype=float)
        if len(rows):
            assert [environment.actions[a] for a in policy.act(rows)] == list(table["teacher"])
            assert [environment.actions[a] for a in one.readable.act(rows)] == list(table["student"])
            assert (table["teacher"] != table["student"]).all()


def test_programs_of_the_search_are_scored_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def search(environment: Any, policy: Any, **given: Any) -> FoundPrograms:
        asked.update(given)
        return one_program(True)

    monkeypatch.setattr(students, "search_programs", search)
    found = distill_policy(Follow, follower, **{**QUICK, "students": "program"})
    assert [one.name for one in found.candidates] == ["program_1"]
    assert found.candidates[0].finding("RC014").status == "pass"
    assert asked["states"].shape == (len(asked["weights"]), 2)
    assert asked["budget_s"] == 60
    assert "right if ball - paddle > 0.25; left if ball - paddle < -0.25; else stay" in found.text()


# Folders


def test_a_folder_gives_the_same_result_again(found: PolicyDistillation, tmp_path: Path) -> None:
    assert limbeck.load(found.save(tmp_path / "policy")) == found
    document = json.loads((tmp_path / "policy" / "policy.json").read_text())
    assert (document["format"], document["version"]) == ("limbeck-policy", 1)
    assert {"environment", "columns", "actions", "teacher", "random", "candidates", "seed", "seconds", "notes"} <= set(
        document
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "format 'limbeck-policy'"),
        ({"version": 2}, "policies of version 1; got 2"),
        ({"candidates": [{}]}, "malformed"),
        ({"teacher": {}}, "malformed"),
        ({"columns": None}, "columns must be a list"),
        ({"columns": ["ball", "other"]}, "columns of the candidates"),
        ({"notes": [1]}, "notes\\[0\\] must be text"),
        ({"complete": "yes"}, "complete must be true or false"),
    ],
)
def test_a_damaged_folder_is_refused(
    found: PolicyDistillation, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    (tmp_path / "policy.json").write_text(json.dumps({**found.to_dict(), **change}))
    with pytest.raises(StorageError, match=message):
        limbeck.load(tmp_path)


def test_a_folder_of_something_else_is_left_alone(found: PolicyDistillation, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="holds no policies"):
        found.save(tmp_path)
    with pytest.raises(StorageError, match="distill-policy"):
        PolicyDistillation.load(tmp_path)


# What is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"students": ["forest"]}, "students are of .*got 'forest'"),
        ({"students": ["tre"]}, "Did you mean 'tree'"),
        ({"students": []}, "at least one student"),
        ({"students": ["tree", "tree"]}, "each once"),
        ({"students": [3]}, "students are of .*got 3"),
        ({"budget_s": 0}, "budget_s must be a number of seconds above 0; got 0"),
        ({"budget_s": float("nan")}, "budget_s must be"),
        ({"budget_s": "60"}, "budget_s must be"),
        ({"episodes": 1}, "at least 2; got 1"),
        ({"episodes": True}, "at least 2; got True"),
        ({"changes": ["bal"]}, "Did you mean 'ball'"),
        ({"changes": [7]}, "names or positions of the columns"),
        ({"changes": ["ball", 0]}, "different columns"),
        ({"random_state": -1}, "random_state"),
    ],
)
def test_arguments_that_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        distill_policy(Follow, follower, **{**QUICK, **change})


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda rows: np.full((len(rows), 3), np.nan), "NaN"),
        (lambda rows: np.zeros((len(rows), 2)), "score for each of 3"),
        (lambda rows: np.random.default_rng().normal(size=(len(rows), 3)), "again"),
        (lambda rows: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_policies_that_are_refused(policy: Any, message: str) -> None:
    with pytest.raises((TeacherError, InputError), match=message):
        distill_policy(Follow, policy, **QUICK)


def test_environments_that_are_refused() -> None:
    class Picture(Follow):
        def __init__(self) -> None:
            super().__init__()
            self.observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)

    class Torque(Follow):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = gymnasium.spaces.Box(-1, 1, (1,))

    for world in (Picture, Torque):
        with pytest.raises(InputError, match=r"observ|action"):
            distill_policy(world, follower, **QUICK)


# Ctrl-C


@pytest.mark.parametrize("where", ["tree: fitted", "tree: chosen", "scored on", "checks that"])
def test_what_was_done_is_kept_after_an_interruption(where: str) -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what.startswith(where) and done == 1:
            raise KeyboardInterrupt

    found = distill_policy(Follow, follower, **{**QUICK, "progress": stop})
    assert not found.complete
    assert any(note.startswith("interrupted") for note in found.notes)
    assert len(found.candidates) >= 1
    assert all(np.isfinite(one.score.mean) and one.finding("RC014") for one in found.candidates)
    assert PolicyDistillation.from_dict(found.to_dict()) == found


def one_program(complete: bool) -> FoundPrograms:
    planted: Any = SimpleNamespace(readable=program(), search_return=SimpleNamespace(mean=20.0), complexity=9)
    return FoundPrograms((planted,), complete)


def test_an_interrupted_search_of_programs_is_said_and_its_best_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(students, "search_programs", lambda *given, **more: one_program(False))
    found = distill_policy(Follow, follower, **{**QUICK, "students": "program"})
    assert [one.name for one in found.candidates] == ["program_1"]
    assert not found.complete
    assert any(note.startswith("interrupted: programs") for note in found.notes)


def test_a_search_that_is_stopped_before_a_program_has_played_keeps_the_trees() -> None:
    def stop(what: str, done: int, total: int) -> None:
        if what == "candidate lines" and done == 2:
            raise KeyboardInterrupt

    found = distill_policy(Follow, follower, **{**QUICK, "students": ["program", "tree"], "progress": stop})
    assert not found.complete
    assert {one.name.rpartition("_")[0] for one in found.candidates} == {"tree"}
    assert "interrupted: program is not in the result" in found.notes


def test_a_search_without_time_for_a_program_keeps_the_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    def over(*given: Any, **more: Any) -> FoundPrograms:
        raise InputError("the search was over before a program had played")

    monkeypatch.setattr(students, "search_programs", over)
    found = distill_policy(Follow, follower, **{**QUICK, "students": ["program", "tree"]})
    assert found.complete
    assert {one.name.rpartition("_")[0] for one in found.candidates} == {"tree"}
    assert any(note.startswith("program: not found, since the search was over") for note in found.notes)
    with pytest.raises(InputError, match="before a program had played"):
        distill_policy(Follow, follower, **{**QUICK, "students": ["program"]})


def test_an_interruption_before_any_student_has_played_keeps_the_first_students(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from limbeck.policies import _dagger

    def stop(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_dagger, "_played", stop)
    found = distill_policy(Follow, follower, **QUICK)
    assert not found.complete
    assert len(found.candidates) >= 1
    assert PolicyDistillation.from_dict(found.to_dict()).candidates[0].search_return is None


def test_a_budget_that_is_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = distill_policy(Follow, follower, **{**QUICK, "budget_s": 1e-6})
    assert found.candidates
    assert any("the time was up" in note for note in found.notes)


# Parts


def test_features_are_columns_differences_and_changes() -> None:
    world = SimpleNamespace(columns=("a", "b", "c"))
    forms = features(world, changes=[2])
    rows = np.random.default_rng(0).normal(size=(5, 4))
    assert np.allclose(forms.values(rows), rows @ forms.matrix.T)
    assert len(forms) == 4 + 3
    assert len(features(world, differences=False)) == 3
    assert len(features(SimpleNamespace(columns=tuple(map(str, range(50)))))) == 50
    assert change_columns(world, ["c", 0]) == (2, 0)
    assert change_columns(world, "c") == (2,)


def test_changes_start_anew_and_are_what_a_student_sees_when_it_plays() -> None:
    environment = as_environment(Follow)
    seen: list[np.ndarray] = []

    def act(rows: np.ndarray) -> np.ndarray:
        seen.append(rows)
        return np.zeros(len(rows), dtype=int)

    episodes = play_episodes(environment, act, [3], changes=[0], record=True)
    assert episodes.observations is not None
    assert np.array_equal(observed_rows(episodes.observations[0], [0]), np.concatenate(seen))
    assert seen[0][0, 2] == 0.0


def test_a_teacher_is_not_shown_the_changes() -> None:
    environment = as_environment(Follow)
    policy = as_policy(follower, environment)
    states = played_by_teacher(environment, policy, [1, 2], [0])
    assert states.rows.shape[1] == 3
    assert np.array_equal(states.actions, policy.act(states.rows[:, :2]))
    assert np.array_equal(states.weights, policy.weights(states.rows[:, :2]))


def test_later_batches_are_of_the_student_and_mend_what_the_teacher_never_shows() -> None:
    """Started beside the ball the teacher never leaves it; a student that is blind to a far ball is mended."""

    environment = as_environment(Follow)
    policy = as_policy(follower, environment)
    sizes: list[int] = []

    def fit(states: States, seed: int) -> dict[int, Any]:
        sizes.append(len(states))
        first = len(sizes) == 1
        return {1: program() if not first else replace(program(), otherwise=0, guards=())}

    found = dagger(environment, policy, fit=fit, iterations=3, episodes=4, seed=0)
    assert sizes == [4 * 30, 8 * 30, 12 * 30]
    assert found.best[0].iteration >= 1
    assert len(found.states) == 16 * 30


def test_trees_of_growing_bounds_are_within_them_and_planted_ones_are_found() -> None:
    generator = np.random.default_rng(0)
    rows = generator.uniform(size=(3000, 2))
    actions = np.where(rows[:, 0] > 0.5, np.where(rows[:, 1] > 0.25, 2, 1), 0)
    found = fitted_trees(
        rows,
        actions,
        np.ones(len(rows)),
        forms=features(as_environment(Follow)),
        schema=policy_schema(("a", "b")),
        output_names=("x", "y", "z"),
    )
    assert all(tree.n_leaves <= bound for bound, tree in found.items())
    assert found[4].n_leaves == 3
    assert sorted(one.bound for one in found[4].comparisons()) == pytest.approx([0.25, 0.5], abs=0.01)
    assert max(found) == 4


def test_a_constant_teacher_gives_one_leaf_and_weights_of_zero_are_taken_as_equal() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2))
    args = {"forms": features(as_environment(Follow)), "schema": policy_schema(("a", "b")), "output_names": ("x", "y")}
    for oblique in (False, True):
        tree = fitted_trees(rows, np.ones(50, dtype=int), np.zeros(50), oblique=oblique, **args)  # type: ignore[arg-type]
        assert [one.root for one in tree.values()] == [1]


def test_other_starts_are_other_and_the_same_for_the_same_seed() -> None:
    make = OtherStarts(Follow)
    first, again = (make().reset(seed=5)[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, Follow().reset(seed=5)[0])


def test_interchanged_actions_are_never_the_own_ones() -> None:
    act = program().act
    rows = np.random.default_rng(0).normal(size=(200, 2))
    own = act(rows)
    for used in (np.unique(own), [0]):
        other = Interchanged(act, used, 3)(rows)
        assert np.all(other[np.isin(own, used)] != own[np.isin(own, used)])


def test_verdicts_follow_the_findings(found: PolicyDistillation) -> None:
    one = found.best()
    by_code = {finding.code: finding for finding in one.findings}
    failed = replace(by_code["RC014"], status="fail", message="lost")
    assert policy_verdict((failed,)) == "do not use: lost"
    blind = replace(by_code["RC014"], code="RC018", status="fail", message="blind")
    assert policy_verdict((by_code["RC014"], blind)) == "do not use: blind"
    assert policy_verdict(()).startswith("use with care")
    rough = replace(by_code["RC014"], code="RC016", status="fail")
    assert policy_verdict((replace(by_code["RC014"], status="pass"), rough)).startswith("use with care: RC016 fail")
    assert policy_verdict((replace(by_code["RC014"], status="pass"),)).endswith("RC015, RC016, RC017, RC018 not run")
    assert policy_verdict(tuple(Finding(code, "pass", 1.0, None, 0.8, "kept") for code in CODES)) == "use"


def test_a_difference_in_a_document_must_fit(found: PolicyDistillation) -> None:
    data = found.best().to_dict()
    data["differences"] = [{"observation": [1.0], "teacher": "stay", "student": "left", "weight": 1.0}]
    with pytest.raises(InputError, match="a difference needs 2 numbers"):
        PolicyCandidate.from_dict(data)


# The command line


def test_the_verb_writes_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck.cli._distill_policy import distill_policy as verb

    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(verb)
    arguments = ["--env", "policy_worlds:make_follow", "--teacher", "policy_worlds:follower", "--students", "tree"]
    arguments += ["--budget-s", "30", "--episodes", "6", "--quiet", "--out", "p"]
    ran = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    assert "teacher" in ran.output
    assert limbeck.load(tmp_path / "p").candidates
    for arguments, message in (
        (["--env", "CartPole-v1", "--teacher", "nothing"], "module:name or a .safetensors"),
        (["--env", "policy_worlds:STAY", "--teacher", "policy_worlds:follower"], "function without parameters"),
    ):
        with pytest.raises(InputError, match=message):
            CliRunner().invoke(app, arguments, catch_exceptions=False)
