"""The price of clarity: the sizes inside a tree, the measures, where to stop, and what a run keeps of it."""

from __future__ import annotations

import itertools
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import limbeck
from limbeck import _curves, _finish, _rounds
from limbeck._clarity import MEASURES, SIZES, Point, measured, row_losses, size_of, with_stops
from limbeck._core.errors import InputError, StorageError
from limbeck.checks import Fidelity, Stability
from limbeck.checks._measures import bootstrap, determination
from limbeck.readable import TreeReadable
from limbeck.readable._readable import FAMILIES
from limbeck.students import FormulaRegressor, NetworkRegressor, TreeClassifier, TreeRegressor
from limbeck.students._tree_front import front_sizes, gains, subtree, tree_front

RNG = np.random.default_rng(11)
X = RNG.uniform(-1, 1, size=(300, 3))
FAST = (Fidelity(), Stability(n_refits=2))


def steps(rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, 0] > 0.2, 3.0, np.where(rows[:, 1] > -0.3, 1.0, -2.0))


def quick(teacher: Any = steps, rows: Any = X, y: Any = None, **more: Any) -> limbeck.Distillation:
    given = {"students": ["tree"], "checks": FAST, "n_queries": 600, "task": "regression", "random_state": 0}
    return limbeck.distill(teacher, rows, y, **{**given, **more})


def grown_tree(k: int = 1, leaves: int = 9) -> TreeReadable:
    y = np.column_stack([steps(X) + RNG.normal(size=len(X)), 1e6 * RNG.normal(size=len(X))])[:, :k]
    return TreeRegressor(max_leaf_nodes=leaves, min_gain=0.0, random_state=0).fit(X, y[:, 0] if k == 1 else y).readable_


def kept(tree: TreeReadable, split: tuple[bool, ...]) -> set[int]:
    """The inner nodes that are reached where only these are split."""
    inner = dict(zip([i for i, node in enumerate(tree.nodes) if not node.is_leaf], split, strict=True))
    reached, todo = set(), [0]
    while todo:
        i = todo.pop()
        if inner.get(i, False):
            reached.add(i)
            todo += [tree.nodes[i].left, tree.nodes[i].right]
    return reached


def test_each_member_explains_most_of_all_subtrees_of_its_size() -> None:
    tree = grown_tree()
    inner = [i for i, node in enumerate(tree.nodes) if not node.is_leaf]
    gain = gains(tree)
    best: dict[int, float] = {}
    for split in itertools.product([False, True], repeat=len(inner)):
        nodes = kept(tree, split)
        best[len(nodes) + 1] = max(best.get(len(nodes) + 1, 0.0), float(gain[list(nodes)].sum()))
    members = tree_front(tree)
    assert [member.readable.n_leaves for member in members] == [1, 2, 3, 4, 6, 8, 9]
    assert members[-1].readable == tree
    for member in members:
        assert member.score == pytest.approx(best[member.readable.n_leaves] / gain.sum())
        assert member.complexity == member.readable.complexity


def test_gains_are_what_the_splits_explain() -> None:
    y = steps(X)
    tree = TreeRegressor(random_state=0).fit(X, y).readable_
    scaled = gains(tree).sum() / len(X)
    assert scaled == pytest.approx(1.0, abs=0.01)  # in units of the variance, all of it is explained
    assert gains(tree)[[node.is_leaf for node in tree.nodes]].tolist() == [0.0] * tree.n_leaves


def test_a_large_output_does_not_outweigh_the_others() -> None:
    tree = grown_tree(k=2)
    rescaled = replace(tree, nodes=tuple(replace(n, value=(n.value[0], 1e-6 * n.value[1])) for n in tree.nodes))
    assert np.allclose(gains(tree), gains(rescaled))


def test_a_subtree_predicts_as_its_nodes_say() -> None:
    tree = grown_tree()
    root = subtree(tree, np.zeros(len(tree.nodes), dtype=bool))
    assert root.n_leaves == 1
    assert root.predict_encoded(X).tolist() == [list(tree.nodes[0].value)] * len(X)
    assert subtree(tree, np.ones(len(tree.nodes), dtype=bool)) == tree


@pytest.mark.parametrize("largest", [1, 2, 3, 7, 32, 33, 500])
def test_front_sizes_rise_to_the_largest(largest: int) -> None:
    sizes = front_sizes(largest)
    assert sizes[0] == 1
    assert sizes[-1] == largest
    assert all(a < b <= 2 * a for a, b in itertools.pairwise(sizes))


def test_tree_students_keep_their_smaller_trees() -> None:
    labels = np.where(X[:, 0] > 0.2, "a", np.where(X[:, 1] > 0, "b", "c"))
    student = TreeClassifier(random_state=0).fit(X, labels)
    assert student.front_[-1].readable == student.readable_
    assert [m.readable.n_leaves for m in student.front_] == [1, 2, 3]
    assert [m.score for m in student.front_] == sorted(m.score for m in student.front_)


@pytest.mark.parametrize("k", [1, 3])
def test_measures_and_their_errors_are_those_of_the_bootstrap(k: int) -> None:
    reference = RNG.normal(size=(400, k))
    outputs = reference + RNG.normal(size=(400, k)) * np.linspace(0.3, 0.8, k)
    value, error = measured(reference, row_losses(reference, outputs))
    statistic = determination(reference, outputs)
    low, high = bootstrap(statistic, 400, 0)
    assert value == pytest.approx(float(statistic(np.ones((1, 400)))[0]))
    assert error == pytest.approx((high - low) / 3.92, rel=0.15)


def test_agreement_and_its_error() -> None:
    outputs = np.eye(2)[[0] * 80 + [1] * 20]
    value, error = measured(np.zeros(100, dtype=int), row_losses(np.zeros(100, dtype=int), outputs))
    assert value == pytest.approx(0.8)
    assert error == pytest.approx(np.sqrt(0.8 * 0.2 / 99))


@pytest.mark.parametrize("family", sorted(SIZES))
def test_every_family_that_counts_in_its_own_unit_has_the_count(family: str) -> None:
    kind = FAMILIES[family]
    known = {*dir(kind), *(field.name for field in fields(kind))}
    assert set(SIZES[family][0]) <= known


def test_a_refits_member_of_the_same_size_and_complexity_stands_for_a_member() -> None:
    class Sized:
        family = "rule_set"

        def __init__(self, rules: int, complexity: int) -> None:
            self.rules, self.terms, self.complexity = (None,) * rules, (), complexity

    others = [Sized(0, 1), Sized(1, 5), Sized(1, 9), Sized(3, 20)]
    for member, place in ((Sized(0, 3), 0), (Sized(1, 4), 1), (Sized(1, 6), 1), (Sized(1, 9), 2), (Sized(2, 7), 1)):
        assert _curves._place(member, others) == place
    assert _curves._place(Sized(9, 90), others) == 3
    assert _curves._place(Sized(0, 1), others[1:]) == 0


def test_what_can_not_be_measured_is_none() -> None:
    same = np.ones((5, 1))
    assert measured(same, row_losses(same, np.zeros((5, 1)))) == (None, None)
    broken = np.array([[1.0], [np.nan], [2.0]])
    assert measured(np.arange(3.0)[:, None], row_losses(np.arange(3.0)[:, None], broken)) == (None, None)
    assert measured(same[:1], row_losses(same[:1], same[:1])) == (None, None)


def point(complexity: int, fidelity: float | None, error: float | None = 0.02) -> Point:
    return Point(complexity, "leaves", complexity, validation_fidelity=fidelity, validation_se=error)


def test_the_rule_stops_at_the_smallest_within_one_error_of_the_best() -> None:
    curves = {
        "one": [point(1, 0.5), point(3, 0.79), point(5, 0.801), point(9, 0.82)],
        "other": [point(4, 0.81), point(8, 0.81, 0.5), point(50, 0.9, 0.095)],
        "unknown": [point(2, None, None)],
    }
    marked = with_stops(curves)
    assert [p.complexity for curve in marked.values() for p in curve if p.stop] == [5, 4]
    assert [(name, p.complexity) for name, curve in marked.items() for p in curve if p.stop_overall] == [("other", 4)]
    nothing = with_stops({"unknown": curves["unknown"]})["unknown"][0]
    assert not nothing.stop
    assert not nothing.stop_overall


def test_a_planted_step_function_stops_at_its_leaves() -> None:
    noisy = quick(
        lambda rows: steps(rows) + 0.5 * np.sin(1e5 * rows.sum(axis=1)), students={"tree": TreeRegressor(min_gain=0.0)}
    )
    table = limbeck.tradeoff(noisy)
    assert table["size"].max() > 8
    assert table.loc[table["stop"], "size"].tolist() == [3]
    assert table.loc[table["stop_overall"], "size"].tolist() == [3]
    assert table.loc[table["chosen"], "size"].tolist() == [table["size"].max()]


def test_noise_stops_at_the_smallest() -> None:
    table = limbeck.tradeoff(quick(lambda rows: np.sin(1e7 * rows.sum(axis=1)), n_queries=0))
    assert table.loc[table["stop"], "size"].tolist() == [1]
    assert table["validation_fidelity"].max() < 0.05
    assert table["train_fidelity"].max() > 0.3  # what would have been believed without validation


def test_classes_are_measured_by_agreement() -> None:
    def teacher(rows: np.ndarray) -> np.ndarray:
        p = np.where(steps(rows) > 0, 0.9, 0.1)
        return np.column_stack([1 - p, p])

    truth = np.where(steps(X) > 0, 1, 0)
    truth[:30] = 1 - truth[:30]
    result = quick(teacher, y=truth, task="classification", classes=[0, 1])
    table = limbeck.tradeoff(result)
    stop = table[table["stop"]].iloc[0]
    assert stop["size"] == 3
    assert stop["validation_fidelity"] > 0.98
    assert stop["train_accuracy"] + stop["test_accuracy"] == pytest.approx(1.8, abs=0.1)
    assert stop["validation_accuracy"] == pytest.approx(0.9, abs=0.05)
    assert 0.0 < stop["accuracy_se"] < 0.05


def test_validation_uses_rows_that_the_refit_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """A student that knows its rows by heart is perfect on training rows and nothing on the others."""
    seen: list[tuple[set[bytes], Any]] = []
    whole = _rounds._fit

    def watched(student: Any, rows: Any, *rest: Any) -> Any:
        out = whole(student, rows, *rest)
        seen.append(({row.tobytes() for row in rows.values}, out.readable))
        return out

    monkeypatch.setattr(_rounds, "_fit", watched)
    result = quick(lambda rows: np.sin(1e7 * rows.sum(axis=1)), n_queries=0, students={"tree": TreeRegressor(120, 1)})
    own, *refits = seen
    train = np.array([np.frombuffer(row) for row in sorted(own[0])])
    answers = np.sin(1e7 * train.sum(axis=1))[:, None]
    losses, counts = np.zeros((len(train), 1)), np.zeros(len(train))
    for rows, readable in refits:
        out = np.array([row.tobytes() not in rows for row in train])
        losses[out] += (answers[out] - readable.predict_encoded(train[out])) ** 2
        counts += out
    use = counts > 0
    expected, _ = measured(answers[use], losses[use] / counts[use, None])
    last = result["tree"].curve[-1]
    assert last.validation_fidelity == pytest.approx(expected)
    assert last.train_fidelity > 0.6
    assert last.validation_fidelity < 0.0


def small() -> dict[str, Any]:
    return {
        "tree": TreeRegressor(max_leaf_nodes=6),
        "formula": FormulaRegressor(max_evaluations=2_000, max_complexity=15),
        "network": NetworkRegressor(hidden_layer_sizes=(6,), max_epochs=10),
    }


def test_curves_survive_the_folder(tmp_path: Path) -> None:
    result = quick(y=steps(X) + 0.1 * RNG.normal(size=len(X)), students=small())
    table = limbeck.tradeoff(result)
    assert table.groupby("student")["chosen"].sum().tolist() == [1, 1, 1]
    assert table.groupby("student")["stop"].sum().tolist() == [1, 1, 1]
    assert table["stop_overall"].sum() == 1
    assert table.loc[:, list(MEASURES)].notna().all().all()
    assert dict(zip(table["student"], table["unit"], strict=True)) == {
        "tree": "leaves",
        "formula": "symbols",
        "network": "weights",
    }
    for candidate in result.candidates:
        chosen = next(p for p in candidate.curve if p.chosen)
        assert chosen.test_fidelity == pytest.approx(candidate.fidelity)
        assert chosen.size == size_of(candidate.readable)[0]
        assert [p.complexity for p in candidate.curve] == sorted(p.complexity for p in candidate.curve)
    folder = result.save(tmp_path / "run")
    pd.testing.assert_frame_equal(limbeck.tradeoff(limbeck.load(folder)), table)
    stored = json.loads((folder / "results.json").read_text())["students"][0]["curve"]
    assert stored == [p.to_dict() for p in result.candidates[0].curve]
    assert stored == json.loads((folder / "students/tree.json").read_text())["curve"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_same_seed_gives_the_same_curve(n_jobs: int) -> None:
    one, other = quick(students=small()), quick(students=small(), n_jobs=n_jobs)
    assert [c.curve for c in one.candidates] == [c.curve for c in other.candidates]


def test_without_refits_no_size_is_marked(tmp_path: Path) -> None:
    result = quick(checks=[Fidelity()])
    table = limbeck.tradeoff(result)
    assert not table["stop"].any()
    assert not table["stop_overall"].any()
    assert table["validation_fidelity"].isna().all()
    assert table["test_fidelity"].notna().all()
    assert "has no size to stop at: no check distils the students again" in result.run["notes"][-1]
    again = limbeck.load(result.save(tmp_path / "run"))
    assert again.candidates[0].curve == result.candidates[0].curve
    assert json.loads((tmp_path / "run/results.json").read_text())["students"][0]["curve"][0]["validation_se"] is None


def test_ctrl_c_keeps_the_sizes_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_finish, "judge_all", cut)
    result = quick()
    assert not result.complete
    assert limbeck.tradeoff(result)["stop"].sum() == 1
    monkeypatch.setattr(_rounds, "run_tasks", lambda function, tasks, **_: _then_cut(function, tasks))
    early = quick()
    assert early.candidates[0].curve[-1].train_fidelity > 0.9
    assert early.candidates[0].curve[-1].validation_fidelity is None
    assert "were not reached" in early.run["notes"][-1]


def _then_cut(function: Any, tasks: Any) -> Any:
    yield 0, function(*tasks[0])
    raise KeyboardInterrupt


def test_a_run_without_curves_loads_and_says_what_to_do(tmp_path: Path) -> None:
    folder = quick(checks=[]).save(tmp_path / "run")
    for path in (folder / "students/tree.json", folder / "results.json"):
        document = json.loads(path.read_text())
        for one in document.get("students", [document]):
            del one["curve"]
        path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"a run with a curve is required.*distil again"):
        limbeck.tradeoff(limbeck.load(folder))


@pytest.mark.parametrize("change", [{"size": "many"}, {"train_fidelity": []}, {"complexity": None}], ids=str)
def test_a_damaged_curve_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = quick(checks=[]).save(tmp_path / "run")
    path = folder / "students/tree.json"
    document = json.loads(path.read_text())
    document["curve"][0].update(change)
    path.write_text(json.dumps(document))
    with pytest.raises(StorageError, match=r"is damaged: a stored point of a curve is malformed"):
        limbeck.load(folder)
