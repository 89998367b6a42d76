"""Modules read one by one: any student, sums that say what they say, exports, what is refused, nothing left behind."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.checks import Finding
from limbeck.modularity import Clusters, DistilledModules, SplitNetwork, distill_modules, split
from limbeck.readable import readable_from_dict
from limbeck.students import FormulaRegressor, TreeClassifier, TreeRegressor

X = np.random.default_rng(0).normal(size=(200, 4))
HIDDEN = np.repeat([0, 1], 4)
CLUSTERS = {"0": Clusters(HIDDEN, [0, 0, 1, 1], 2), "2": Clusters([0, 1], HIDDEN, 2)}
TREE = TreeRegressor(max_leaf_nodes=24)


def sums(outputs: int = 2) -> torch.nn.Sequential:
    """|x0| + x1 to the first output, 3 x2 to the second (or the only one), by modules of their own."""
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs))
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        for unit, column, sign in ((0, 0, 1), (1, 0, -1), (2, 1, 1), (3, 1, -1), (4, 2, 1), (5, 2, -1)):
            net[0].weight[unit, column] = sign
        net[2].weight[0, :4] = torch.tensor([1.0, 1.0, 1.0, -1.0])
        net[2].weight[-1, 4:6] = torch.tensor([3.0, -3.0])
        net[2].bias[:] = 0.25
    return net


def taken_apart(outputs: int = 2) -> SplitNetwork:
    return split(sums(outputs), CLUSTERS if outputs == 2 else {"0": CLUSTERS["0"]})


@pytest.fixture(scope="module")
def read() -> DistilledModules:
    return distill_modules(taken_apart(), pd.DataFrame(X, columns=["a", "b b", "c", "<d>"]), student=TREE)


def test_each_module_reads_its_own_inputs(read: DistilledModules) -> None:
    assert [(p.name, p.inputs, p.outputs) for p in read.parts] == [
        ("module 1", ("a", "b b"), (0,)),
        ("module 2", ("c",), (1,)),
    ]
    assert read.task == "regression"
    assert all(p.lost < 1e-3 for p in read.parts)


def test_the_sum_is_the_sum(read: DistilledModules) -> None:
    total = np.tile(read.bias, (200, 1))
    for part in read.parts:
        assert part.readable is not None
        columns = [["a", "b b", "c", "<d>"].index(name) for name in part.inputs]
        total[:, list(part.outputs)] += part.readable(X[:, columns])
    np.testing.assert_allclose(read.predict(X), total)
    np.testing.assert_allclose(read.predict(pd.DataFrame(X, columns=["a", "b b", "c", "<d>"])), total)
    with pytest.raises(InputError, match="not classes; use predict"):
        read.predict_proba(X)


def test_what_is_written(read: DistilledModules) -> None:
    text = read.text()
    for line in (
        "module 1 uses a, b b",
        "y0 = module1_y0",
        "y1 = module2_y1",
        "- all modules together: R2 to the network",
    ):
        assert line in text
    document = json.loads(json.dumps(read.to_dict(), allow_nan=False))
    assert document["verdict"] == read.verdict
    assert Finding.from_dict(document["whole"]) == read.whole
    for part, stored in zip(read.parts, document["modules"], strict=True):
        assert part.readable is not None
        assert readable_from_dict(stored["readable"]).text() == part.readable.text()
        assert "def " in str(part.readable.export("python"))
    assert read.complexity > 20


def test_fidelity_is_of_rows_that_nothing_was_fitted_on(read: DistilledModules) -> None:
    assert read.whole.details["rows"] == 50
    assert all(part.fidelity.details["rows"] == 50 for part in read.parts)


def test_a_small_student_is_not_faithful() -> None:
    found = distill_modules(taken_apart(), X, student=TreeRegressor(max_leaf_nodes=2))
    assert found.whole.status == "fail"
    assert found.verdict.startswith("do not use: the modules together are not the network; R2")


def test_modules_of_one_output_are_added() -> None:
    found = distill_modules(
        taken_apart(1), X, X @ [0, 1, 3, 0] + np.abs(X[:, 0]) + 0.25, student=TreeRegressor(max_leaf_nodes=64)
    )
    assert "y = module1_y + module2_y + 0.25" in found.text()
    assert found.bias[0] == pytest.approx(0.25, abs=1e-3)
    assert found.before is not None
    assert found.before["value"] > 0.999


def test_classes_of_two_logits() -> None:
    y = np.where(X[:, 2] * 3 > np.abs(X[:, 0]) + X[:, 1], "up", "down")
    found = distill_modules(taken_apart(), X, y)
    assert found.classes == ("down", "up")
    assert (found.predict(X) == y).mean() > 0.85
    np.testing.assert_allclose(found.predict_proba(X).sum(axis=1), 1.0)
    assert "score of up = module2_up" in found.text()
    assert "% correct before" in found.text()


def test_classes_of_one_logit() -> None:
    found = distill_modules(taken_apart(1), X, classes=["no", "yes"], student=TREE)
    assert set(found.predict(X)) == {"no", "yes"}
    assert found.predict_proba(X).shape == (200, 2)
    assert "the class is yes where the score is above 0, else no:" in found.text()


def test_images() -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), *sums())
    images = X.reshape(-1, 1, 2, 2)
    network = split(net, {"1": CLUSTERS["0"], "3": CLUSTERS["2"]}, check_rows=images)
    found = distill_modules(network, images, student=TREE)
    assert found.parts[0].inputs == ("x[0, 0, 0]", "x[0, 0, 1]")
    np.testing.assert_allclose(found.predict(images), found.predict(X))


def test_columns_with_levels_stay_columns_with_levels() -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "job": np.where(X[:, 2] > 0, "x", "y"), "d": X[:, 3]})
    found = distill_modules(taken_apart(), frame, student=TREE)
    assert "job = 'x'" in found.parts[1].text()
    assert found.parts[1].inputs == ("job",)


def test_same_seed_same_answer_and_nothing_left_behind() -> None:
    network = taken_apart().train()
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    seen: list[tuple[str, int, int]] = []
    quick = FormulaRegressor(max_complexity=8, max_evaluations=1_000)
    one, other = (
        distill_modules(network, X, student=quick, random_state=3, progress=lambda *what: seen.append(what))
        for _ in "ab"
    )
    assert replace(one, seconds=0.0).to_dict() == replace(other, seconds=0.0).to_dict()
    assert seen[:3] == [("modules", 0, 2), ("modules", 1, 2), ("modules", 2, 2)]
    assert network.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def finding(status: Any, message: str = "R2 so and so") -> Finding:
    return Finding("", status, 0.5, (0.4, 0.6), 0.8, message)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({}, "faithful"),
        (
            {"whole": finding("fail"), "split": finding("pass")},
            "do not use: the modules together are not the network; R2",
        ),
        ({"whole": finding("inconclusive")}, "use with care: the modules together are not certain"),
        ({"whole": finding("not_applicable")}, "use with care: whether the modules together"),
        ({"split": finding("fail")}, "use with care: the split network is not the network as it was: R2 so and so"),
        (
            {"after": {"change": -0.2, "change_interval": [-0.3, -0.1]}},
            "use with care: on the truth it is",
        ),
    ],
)
def test_verdicts(read: DistilledModules, changed: dict[str, Any], verdict: str) -> None:
    good = replace(read, whole=finding("pass"), split=finding("pass"))
    good = replace(good, parts=tuple(replace(part, fidelity=finding("pass")) for part in read.parts))
    assert replace(good, **changed).verdict.startswith(verdict)
    doubted = replace(good, parts=(replace(good.parts[0], fidelity=finding("inconclusive")), *good.parts[1:]))
    assert "what is read of module 1 is not clearly the module" in doubted.verdict


BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"X": np.where(X > 2, np.nan, X)}, InputError, "missing"),
    ({"X": np.where(X > 2, np.inf, X)}, InputError, "finite"),
    ({"X": X[:1]}, InputError, "at least 20 rows are required; got 1"),
    ({"X": X[:, :3]}, TeacherError, "on rows of shape"),
    ({"y": X[:5, 0]}, InputError, "y must have 200 rows"),
    ({"y": X[:, 0]}, InputError, "2 output"),
    ({"y": np.arange(200) % 3}, InputError, "2 output"),
    ({"classes": ["a"]}, InputError, "2 output"),
    ({"classes": ["1", 1]}, InputError, "each of another name"),
    ({"student": "tre"}, InputError, "Did you mean 'tree'"),
    ({"student": TreeClassifier()}, InputError, "a regressor is required"),
    ({"student": 3}, InputError, "a student is a name or"),
    ({"holdout": 1.5}, InputError, "holdout is a share"),
    ({"max_inputs": 0}, InputError, "max_inputs must be a whole number of at least 1"),
    ({"names": ["a", "a", "b", "c"]}, InputError, "column names must differ"),
    ({"split_network": sums()}, InputError, "a split network is required"),
]


@pytest.mark.parametrize(("bad", "error", "match"), BAD)
def test_bad_input(bad: dict[str, Any], error: type[Exception], match: str) -> None:
    given = {"split_network": taken_apart(), "X": X, "student": TREE, **bad}
    with pytest.raises(error, match=match):
        distill_modules(given.pop("split_network"), given.pop("X"), **given)


def test_modules_that_do_not_add_up_are_refused() -> None:
    net = torch.nn.Sequential(sums(), torch.nn.Softmax(dim=1))
    network = split(net, {"0.0": CLUSTERS["0"], "0.2": CLUSTERS["2"]}, check_rows=X)
    with pytest.raises(InputError, match="must add up"):
        distill_modules(network, X)


def test_rows_that_are_all_alike() -> None:
    found = distill_modules(taken_apart(), np.ones((40, 4)), student=TREE)
    assert all(part.readable is None for part in found.parts)
    assert found.whole.status == "not_applicable"
    assert found.predict(np.ones((2, 4))).tolist() == [[2.25, 3.25], [2.25, 3.25]]
