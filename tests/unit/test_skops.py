"""Files of scikit-learn models: the same forest through skops, ONNX and a module; joblib refused; hostile files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.tree._tree import Tree

from limbeck import as_teacher
from limbeck._core.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3))
Y = (X[:, 0] * X[:, 1] > 0).astype(int)


def kept(model: Any, path: Path) -> Path:
    skops.io.dump(model, path)
    return path


def test_a_forest_of_a_thousand_trees_three_ways_and_never_by_pickle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forest = RandomForestClassifier(1_000, max_depth=4, random_state=0).fit(X, Y)
    joblib.dump(forest, tmp_path / "forest.joblib")
    with pytest.raises(
        InputError,
        match=r"forest.joblib is not opened.*can run any code.*to_onnx.*skops.io.dump.*package.module:name",
    ):
        as_teacher(tmp_path / "forest.joblib")
    expected = forest.predict_proba(X)

    by_skops = as_teacher(kept(forest, tmp_path / "forest.skops"), rows=X)
    np.testing.assert_allclose(by_skops(X), expected, atol=1e-12)
    assert by_skops.classes == (0, 1)

    skl2onnx = pytest.importorskip("skl2onnx")
    (tmp_path / "forest.onnx").write_bytes(
        skl2onnx.to_onnx(forest, X[:1].astype(np.float32), options={"zipmap": False}).SerializeToString()
    )
    by_onnx = as_teacher(tmp_path / "forest.onnx", rows=X.astype(np.float32))
    np.testing.assert_allclose(by_onnx(X.astype(np.float32)), expected, atol=1e-4)

    (tmp_path / "bank_model.py").write_text(
        "import joblib\n\n\ndef teacher():\n    return joblib.load('forest.joblib')\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    np.testing.assert_allclose(as_teacher("bank_model:teacher", rows=X)(X), expected, atol=1e-12)


FRAME = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "job": np.array(["x", "y", "z"], dtype=object)[np.arange(200) % 3]})
COLUMNS = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"]), ("levels", OneHotEncoder(), ["job"])])
MODELS = {
    "boosting": (GradientBoostingClassifier(n_estimators=5), X),
    "histogram boosting": (HistGradientBoostingClassifier(max_iter=5), X),
    "adaboost": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=5), X),
    "bagging of some columns": (BaggingClassifier(DecisionTreeClassifier(), n_estimators=4, max_features=0.6), X),
    "network": (MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=5_000), X),
    "pipeline over text": (make_pipeline(COLUMNS, RandomForestClassifier(5)), FRAME),
    "support vectors": (SVC(), X),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_of_many_kinds(name: str, tmp_path: Path) -> None:
    model, rows = MODELS[name]
    model.fit(rows, Y)
    teacher = as_teacher(kept(model, tmp_path / "model.skops"), rows=rows)
    np.testing.assert_allclose(teacher(rows), as_teacher(model, rows=rows)(rows), atol=1e-12)


def spoilt(tree: Any, **changes: tuple[int, int]) -> Tree:
    """A tree like this one with one number of one node changed."""
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    for field, (node, value) in changes.items():
        state["nodes"][field][node] = value
    new = Tree(tree.n_features, tree.n_classes, tree.n_outputs)
    new.__setstate__(state)
    return new


@pytest.mark.parametrize(
    "changes",
    [
        {"left_child": (0, 10**6)},
        {"right_child": (0, -7)},
        {"left_child": (1, 0)},
        {"feature": (0, 3)},
        {"feature": (0, -5)},
    ],
    ids=["far", "negative", "loop", "column", "negative column"],
)
def test_trees_that_point_out_of_range_are_refused(changes: dict[str, tuple[int, int]], tmp_path: Path) -> None:
    model = RandomForestRegressor(3, random_state=0).fit(X, Y)
    assert as_teacher(kept(model, tmp_path / "good.skops"), rows=X)(X).shape == (200, 1)
    model.estimators_[1].tree_ = spoilt(model.estimators_[1].tree_, **changes)
    with pytest.raises(InputError, match=r"bad\.skops is damaged or hostile: a tree in it points outside"):
        as_teacher(kept(model, tmp_path / "bad.skops"))


def test_a_forest_that_takes_more_columns_than_its_trees_is_refused(tmp_path: Path) -> None:
    model = RandomForestRegressor(3, random_state=0).fit(X, Y)
    model.n_features_in_ = 2
    with pytest.raises(InputError, match="a tree takes 3 columns, its forest others"):
        as_teacher(kept(model, tmp_path / "bad.skops"))
    tree = DecisionTreeRegressor().fit(X, Y)
    tree.n_features_in_ = 2
    with pytest.raises(InputError, match="points outside its nodes or columns"):
        as_teacher(kept(tree, tmp_path / "tree.skops"))


def test_histogram_boosting_out_of_range_is_refused(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=2).fit(X, Y)
    nodes = model._predictors[1][0].nodes
    nodes["right"][0] = len(nodes) + 5
    with pytest.raises(InputError, match="points outside its nodes or columns"):
        as_teacher(kept(model, tmp_path / "bad.skops"))


class Sly:
    """A type of nobody's; loading it would call what its file says."""

    def __init__(self) -> None:
        self.tree = 1


def test_types_that_are_not_trusted_are_refused(tmp_path: Path) -> None:
    model = DecisionTreeClassifier().fit(X, Y)
    model.extra_ = Sly()
    with pytest.raises(InputError, match=r"holds types that are not trusted: \['.*Sly'\].*export the model to .onnx"):
        as_teacher(kept(model, tmp_path / "sly.skops"))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "text.skops").write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match=r"text.skops can't be read as a .skops file"):
        as_teacher(tmp_path / "text.skops")
    with zipfile.ZipFile(tmp_path / "empty.skops", "w") as file:
        file.writestr("schema.json", json.dumps({"protocol": 3}))
    with pytest.raises(InputError, match=r"empty.skops can't be read as a .skops file"):
        as_teacher(tmp_path / "empty.skops")
    with pytest.raises(InputError, match="no file at"):
        as_teacher(tmp_path / "absent.skops")
