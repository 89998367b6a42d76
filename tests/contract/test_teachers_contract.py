"""Every kind of teacher against every obligation: one table of kinds, one test an obligation."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from limbeck._core.tables import Table
from limbeck.teachers import (
    EnsembleSelection,
    EnsembleSelectionRegressor,
    SmoothTeacher,
    SmoothTeacherClassifier,
    Teacher,
    as_teacher,
)
from limbeck.training import train_default

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3))
Y = X[:, 0] + X[:, 1] ** 2
LABELS = np.array(["b", "a", "c"])[np.digitize(X[:, 0], [-0.5, 0.5])]
BINARY = np.where(X[:, 0] > 0, "yes", "no")
JOBS = np.array(["clerk", "nurse"])[RNG.integers(0, 2, 150)]
MIXED = pd.DataFrame({"size of it": X[:, 0], "job-kind": JOBS, "n": RNG.integers(0, 9, 150)})


@dataclass(frozen=True)
class Made:
    """A model, the rows to ask it for, and the library's own answer to them."""

    model: Any
    own: Callable[[Any], np.ndarray]
    rows: Any = field(default_factory=lambda: X)
    task: str = "regression"
    classes: tuple[Any, ...] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-6


def module(n_out: int, *last: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.SiLU(), nn.Dropout(0.5), nn.Linear(8, n_out), *last)
    net.train()
    with torch.no_grad():
        net(torch.randn(64, 3))
    return net.to(dtype)


def answer(net: nn.Module, rows: Any) -> torch.Tensor:
    net.eval()
    with torch.no_grad():
        out = net(torch.as_tensor(np.asarray(rows), dtype=next(net.parameters()).dtype))
    net.train()
    return out.double()


def torch_regression(folder: Path) -> Made:
    net = module(1)
    return Made(net, lambda rows: answer(net, rows).numpy(), options={"task": "regression"})


def torch_two_outputs_float64(folder: Path) -> Made:
    net = module(2, dtype=torch.float64)
    return Made(net, lambda rows: answer(net, rows).numpy(), options={"task": "regression"}, tolerance=1e-12)


def torch_scores(folder: Path) -> Made:
    net = module(3)
    return Made(
        net,
        lambda rows: torch.softmax(answer(net, rows), 1).numpy(),
        task="classification",
        classes=("a", "b", "c"),
        options={"classes": ["a", "b", "c"]},
    )


def torch_probabilities(folder: Path) -> Made:
    net = module(3, nn.Softmax(1))
    return Made(net, lambda rows: answer(net, rows).numpy(), task="classification", classes=(0, 1, 2))


def torch_single_score(folder: Path) -> Made:
    net = module(1)

    def own(rows: Any) -> np.ndarray:
        p = torch.sigmoid(answer(net, rows)).numpy()
        return np.hstack([1 - p, p])

    return Made(net, own, task="classification", classes=(0, 1), options={"task": "classification", "output": "logits"})


def torch_preprocessed(folder: Path) -> Made:
    net = module(1)

    def numbers(frame: Any) -> np.ndarray:
        return np.column_stack([frame["size of it"], frame["job-kind"] == "clerk", frame["n"]]).astype(np.float64)

    options = {"task": "regression", "preprocess": numbers}
    return Made(net, lambda rows: answer(net, numbers(rows)).numpy(), rows=MIXED, options=options)


def exported(net: nn.Module, path: Path, **shapes: Any) -> Path:
    torch.export.save(torch.export.export(net.eval(), (torch.zeros(5, 3),), **shapes), path)
    return path


def exported_regression(folder: Path) -> Made:
    net = module(1)
    path = exported(net, folder / "regression.pt2", dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    return Made(path, lambda rows: answer(net, rows).numpy(), options={"task": "regression"})


def exported_fixed_batch(folder: Path) -> Made:
    net = module(3, nn.Softmax(1))
    path = exported(net, folder / "classes.pt2")
    return Made(str(path), lambda rows: answer(net, rows).numpy(), task="classification", classes=(0, 1, 2))


def onnx_columns(folder: Path) -> Made:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType

    model, kinds = pipeline(), (FloatTensorType, StringTensorType, Int64TensorType)
    types = [(name, kind([None, 1])) for name, kind in zip(MIXED, kinds, strict=True)]
    return onnx_made(folder / "columns.onnx", to_onnx(model, initial_types=types), model, MIXED)


def onnx_matrix(folder: Path) -> Made:
    from skl2onnx import to_onnx

    model = LogisticRegression().fit(X, LABELS)
    made = to_onnx(model, X[:1].astype(np.float32), options={"zipmap": False})
    return onnx_made(folder / "matrix.onnx", made, model, X)


def onnx_made(path: Path, made: Any, model: Any, rows: Any) -> Made:
    path.write_bytes(made.SerializeToString())
    return Made(path, model.predict_proba, rows, "classification", tuple(model.classes_.tolist()), tolerance=1e-5)


def onnx_regression(folder: Path) -> Made:
    from skl2onnx import to_onnx

    model = LinearRegression().fit(X, X[:, :2])
    (folder / "linear.onnx").write_bytes(to_onnx(model, X[:1].astype(np.float32)).SerializeToString())
    return Made(folder / "linear.onnx", model.predict, options={"task": "regression"}, tolerance=1e-5)


def onnx_from_torch(folder: Path) -> Made:
    net = module(3).eval()
    shapes = ({0: torch.export.Dim.DYNAMIC},)
    torch.onnx.export(net, (torch.zeros(5, 3),), folder / "net.onnx", dynamo=True, dynamic_shapes=shapes, verbose=False)
    return Made(
        folder / "net.onnx",
        lambda rows: torch.softmax(answer(net, rows), 1).numpy(),
        task="classification",
        classes=(0, 1, 2),
        options={"task": "classification"},
        tolerance=1e-5,
    )


def pipeline() -> Any:
    columns = make_column_transformer((OneHotEncoder(), ["job-kind"]), (StandardScaler(), ["size of it", "n"]))
    return make_pipeline(columns, LogisticRegression()).fit(MIXED, LABELS)


def sklearn_pipeline_over_strings(folder: Path) -> Made:
    model = pipeline()
    return Made(model, model.predict_proba, MIXED, "classification", ("a", "b", "c"))


def sklearn_several_outputs(folder: Path) -> Made:
    model = LinearRegression().fit(X, X[:, :2])
    return Made(model, model.predict)


def sklearn_labels_only(folder: Path) -> Made:
    model = LinearSVC().fit(X, LABELS)
    return Made(model, lambda rows: np.eye(3)[np.searchsorted(model.classes_, model.predict(rows))], X, *ABC)


def sklearn_fitted_on_values(folder: Path) -> Made:
    frame, model = pd.DataFrame(X, columns=["u", "v", "w"]), DecisionTreeClassifier(max_depth=3).fit(X, LABELS)
    return Made(model, lambda rows: model.predict_proba(rows.to_numpy()), frame, *ABC)


def skops_pipeline_over_strings(folder: Path) -> Made:
    skops = pytest.importorskip("skops.io")
    model, path = pipeline(), folder / "pipeline.skops"
    skops.dump(model, path)
    return Made(path, model.predict_proba, MIXED, "classification", ("a", "b", "c"))


def ensemble_selected_for_classes(folder: Path) -> Made:
    library = [("line", LogisticRegression()), ("tree", DecisionTreeClassifier(max_depth=3))]
    model = EnsembleSelection(library, n_bags=2, random_state=0).fit(MIXED, LABELS)
    return Made(model, model.predict_proba, MIXED, *ABC)


def ensemble_selected_for_quantities(folder: Path) -> Made:
    library = [("line", LinearRegression()), ("ridge", Ridge())]
    model = EnsembleSelectionRegressor(library, n_bags=2, random_state=0).fit(X, X[:, 0] - X[:, 1])
    return Made(model, lambda rows: model.predict(rows)[:, None])


def smooth_for_classes(folder: Path) -> Made:
    model = SmoothTeacherClassifier(hidden=(8,), max_epochs=10, random_state=0).fit(MIXED, LABELS)
    return Made(model, model.predict_proba, MIXED, *ABC)


def smooth_for_quantities(folder: Path) -> Made:
    model = SmoothTeacher("lipschitz", hidden=(8,), max_epochs=10, random_state=0).fit(MIXED, X[:, :2])
    return Made(model, model.predict, MIXED)


ABC = ("classification", ("a", "b", "c"))


def xgboost_classifier(folder: Path) -> Made:
    import xgboost

    model = xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(X, np.searchsorted(["a", "b", "c"], LABELS))
    return Made(model, model.predict_proba, X, "classification", (0, 1, 2))


def xgboost_booster(folder: Path) -> Made:
    import xgboost

    frame = pd.DataFrame(X, columns=["a b", "c", "d"])
    data = xgboost.DMatrix(frame, (BINARY == "yes").astype(int))
    model = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 5)

    def own(rows: Any) -> np.ndarray:
        p = model.predict(xgboost.DMatrix(rows)).astype(float)[:, None]
        return np.hstack([1 - p, p])

    shuffled = frame[["d", "a b", "c"]]
    return Made(model, lambda rows: own(rows[["a b", "c", "d"]]), shuffled, "classification", (0, 1))


def lightgbm_regressor(folder: Path) -> Made:
    import lightgbm

    frame = pd.DataFrame(X, columns=["a b", "c", "d"])
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1).fit(frame, Y)
    return Made(model, lambda rows: model.predict(rows)[:, None], frame)


def lightgbm_booster(folder: Path) -> Made:
    import lightgbm

    data = lightgbm.Dataset(X, np.searchsorted(["a", "b", "c"], LABELS))
    options = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1}
    model = lightgbm.train(options, data, 5)
    return Made(model, model.predict, X, "classification", (0, 1, 2))


def function_of_rows(folder: Path) -> Made:
    return Made(lambda rows: rows[:, 0] * 2 + 1, lambda rows: rows[:, :1] * 2 + 1)


def function_of_labels(folder: Path) -> Made:
    def sign(rows: Any) -> np.ndarray:
        return rows[:, 0] > 0

    return Made(sign, lambda rows: np.eye(2)[sign(rows).astype(int)], X, "classification", (False, True))


def named_factory(folder: Path) -> Made:
    (folder / "made_by_name.py").write_text(
        "from sklearn.linear_model import LinearRegression\n"
        "def make_model():\n    return LinearRegression().fit([[0, 0, 0], [1, 2, 3], [1, 0, 0]], [0, 1, 2])\n"
    )
    model = LinearRegression().fit([[0, 0, 0], [1, 2, 3], [1, 0, 0]], [0, 1, 2])
    return Made("made_by_name:make_model", lambda rows: model.predict(rows)[:, None])


def default_classifier(folder: Path) -> Made:
    model = train_default(MIXED, LABELS, random_state=0)
    return Made(model, model.predict_proba, MIXED, *ABC)


def default_regressor(folder: Path) -> Made:
    model = train_default(X, X[:, :2], random_state=0)
    return Made(model, model.predict)


class Looks:
    """Neither fitted by scikit-learn nor known to it."""

    classes_ = np.array(["no", "yes"])

    def predict_proba(self, rows: Any) -> list[list[float]]:
        p = 1 / (1 + np.exp(-np.asarray(rows, dtype=float)[:, 0]))
        return np.column_stack([1 - p, p]).tolist()


def object_that_looks_so(folder: Path) -> Made:
    return Made(Looks(), lambda rows: np.asarray(Looks().predict_proba(rows)), X, "classification", ("no", "yes"))


KINDS = [
    torch_regression,
    torch_two_outputs_float64,
    torch_scores,
    torch_probabilities,
    torch_single_score,
    torch_preprocessed,
    exported_regression,
    exported_fixed_batch,
    onnx_columns,
    onnx_matrix,
    onnx_regression,
    onnx_from_torch,
    sklearn_pipeline_over_strings,
    sklearn_several_outputs,
    sklearn_labels_only,
    sklearn_fitted_on_values,
    skops_pipeline_over_strings,
    ensemble_selected_for_classes,
    ensemble_selected_for_quantities,
    smooth_for_classes,
    smooth_for_quantities,
    xgboost_classifier,
    xgboost_booster,
    lightgbm_regressor,
    lightgbm_booster,
    function_of_rows,
    function_of_labels,
    named_factory,
    default_classifier,
    default_regressor,
    object_that_looks_so,
]
MAKERS: dict[str, Made] = {}


@pytest.fixture(params=KINDS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any) -> Made:
    make = request.param
    folder = tmp_path_factory.getbasetemp() / "teachers"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    if make.__name__ not in MAKERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the libraries warn of while a model is made
            MAKERS[make.__name__] = make(folder)
    return MAKERS[make.__name__]


def wrap(made: Made, **more: Any) -> Teacher:
    return as_teacher(made.model, **{**made.options, **more})


def test_answers_are_the_librarys_own(made: Made) -> None:
    own = made.own(made.rows)
    teacher = wrap(made)
    answers = teacher(made.rows)
    assert answers.dtype == np.float64
    assert answers.shape == own.shape == (150, teacher.n_outputs)
    np.testing.assert_allclose(answers, own, rtol=made.tolerance, atol=made.tolerance)
    assert (teacher.task, teacher.classes) == (made.task, made.classes)


def test_batches_do_not_change_the_answers(made: Made) -> None:
    np.testing.assert_allclose(
        wrap(made, batch_rows=7)(made.rows), wrap(made)(made.rows), rtol=10 * made.tolerance, atol=10 * made.tolerance
    )


def test_a_table_is_answered_like_the_rows_it_was_read_from(made: Made) -> None:
    table = Table.read(made.rows)
    np.testing.assert_allclose(wrap(made)(table), wrap(made)(made.rows), rtol=made.tolerance, atol=made.tolerance)


def test_rows_are_counted_apart_from_verification(made: Made) -> None:
    teacher = wrap(made, rows=made.rows[:40])
    assert (teacher.rows_asked, teacher.rows_verifying) == (0, 120)
    teacher(made.rows[:100])
    teacher(made.rows[:1])
    assert (teacher.rows_asked, teacher.rows_verifying) == (101, 120)


def test_global_random_states_are_untouched(made: Made) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    wrap(made)(made.rows[:20])
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
    assert torch.is_grad_enabled()


def test_the_record_is_json_and_says_what_was_decided(made: Made) -> None:
    teacher = wrap(made, rows=made.rows[:10])
    record = json.loads(json.dumps(teacher.to_dict(), allow_nan=False))
    assert record["task"] == made.task
    assert record["n_outputs"] == teacher.n_outputs
    assert record["kind"] == teacher.kind
    assert teacher.name in teacher.description
    assert made.task in repr(teacher)


def test_a_teacher_is_frozen(made: Made) -> None:
    with pytest.raises(FrozenInstanceError, match="batch_rows"):
        wrap(made).batch_rows = 3  # type: ignore[misc]


def test_every_kind_of_source_has_a_row(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    simple = [
        torch_regression,
        exported_fixed_batch,
        onnx_matrix,
        sklearn_labels_only,
        xgboost_booster,
        function_of_rows,
    ]
    assert set(simple) <= set(KINDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kinds = [wrap(make(tmp_path)).kind for make in simple]
    assert kinds == ["torch", "exported", "onnx", "estimator", "booster", "callable"]
