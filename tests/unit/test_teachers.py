"""What a teacher refuses and what it says, how answers are read, and that nothing is left behind."""

from __future__ import annotations

import importlib
import random
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC
from torch import nn
from torch.nn import functional

from limbeck._core.errors import InputError, LimbeckError, TeacherError
from limbeck._core.tables import Table
from limbeck.teachers import Teacher, as_teacher

RNG = np.random.default_rng(1)
X = RNG.normal(size=(300, 3))
FRAME = pd.DataFrame(X, columns=["age", "fare", "size"])
MIXED = pd.DataFrame({"age": X[:, 0], "job": np.where(X[:, 1] > 0, "nurse", "clerk")})
BINARY = (X[:, 0] > 0).astype(int)


def net(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*layers)


class Always(nn.Module):
    """A module that does `what` with its input."""

    def __init__(self, what: Any) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.what = what

    def forward(self, x: torch.Tensor) -> Any:
        return self.what(self, x)


SPIKED = np.where(np.isin(np.arange(8), [4, 7])[:, None], 9.0, X[:8])


def raises_on_purpose(rows: Any) -> Any:
    raise ZeroDivisionError("no such luck")


def nan_in_two_rows(rows: Any) -> np.ndarray:
    return np.where(rows[:, 0] > 5, np.nan, rows[:, 1])


class Broken(torch.nn.Module):
    pass


def thirds(rows: Any) -> np.ndarray:
    return np.digitize(rows[:, 0], [-1, 1])


def letters(rows: Any) -> np.ndarray:
    return np.where(rows[:, 0] > 0, "b", "a")


def first(rows: Any) -> np.ndarray:
    return rows[:, 0]


# the model, its options, the rows, the error, and its message
BAD: dict[str, tuple[Any, dict[str, Any], Any, type[LimbeckError], str]] = {
    "a number": (3, {}, X, InputError, r"a teacher is a torch module, a \.pt2, \.onnx or \.skops file.*got a int: 3"),
    "a class": (LinearRegression, {}, X, InputError, "a model is required; got the class LinearRegression"),
    "not fitted": (LinearRegression(), {}, X, InputError, r"LinearRegression is not fitted; call fit\(X, y\) first"),
    "a pickle": ("model.pkl", {}, X, InputError, r"model\.pkl is not opened: \.pkl files are unpickled.*\.pt2.*\.onnx"),
    "joblib": ("m.joblib", {}, X, InputError, r"m\.joblib is not opened.*'package\.module:name'"),
    "torch.save": (
        "net.pt",
        {},
        X,
        InputError,
        r"net\.pt is not opened: \.pt files are unpickled.*torch\.export\.save",
    ),
    "keras": ("m.keras", {}, X, InputError, r"m\.keras is not opened"),
    "unknown ending": (
        "model.xyz",
        {},
        X,
        InputError,
        r"'model\.xyz' is not a file or a name; a teacher is read from \.pt2",
    ),
    "no such file": ("gone.onnx", {}, X, InputError, r"no file at gone\.onnx"),
    "no such module": ("nowhere_at_all:f", {}, X, InputError, "no module 'nowhere_at_all' is installed"),
    "no such name": ("math:sinn", {}, X, InputError, r"'math' has no 'sinn'\. Did you mean 'sin'\?"),
    "a named class": ("collections:OrderedDict", {}, X, InputError, "is a class; name a model, or a function"),
    "task misspelt": (np.sum, {"task": "regresion"}, X, InputError, "got 'regresion'. Did you mean 'regression'?"),
    "output misspelt": (np.sum, {"output": "logit"}, X, InputError, "got 'logit'. Did you mean 'logits'?"),
    "one class": (np.sum, {"classes": ["a"]}, X, InputError, r"classes must name at least two different labels"),
    "classes in regression": (np.sum, {"task": "regression", "classes": "ab"}, X, InputError, "classes belong to"),
    "no batch": (np.sum, {"batch_rows": 0}, X, InputError, "batch_rows must be a whole number of at least 1; got 0"),
    "preprocess": (np.sum, {"preprocess": 3}, X, InputError, "preprocess must be a function of the rows; got a int"),
    "it raises": (
        raises_on_purpose,
        {},
        X,
        TeacherError,
        r"the function raises_on_purpose raised ZeroDivisionError when it was asked for a ndarray of shape \(256, 3\) "
        "and dtype float64: no such luck",
    ),
    "a frame to a function of arrays": (
        lambda rows: rows[:, 0],
        {},
        FRAME,
        TeacherError,
        r"a pandas frame of shape \(256, 3\)",
    ),
    "random": (
        lambda rows: np.random.rand(len(rows)),  # noqa: NPY002
        {},
        X,
        TeacherError,
        r"a lambda\) answers differ by up to 0\.\d+ .* between two calls on the same rows, in 25\d of 256 rows: it is "
        "random",
    ),
    "functional dropout": (
        Always(lambda self, x: functional.dropout(self.linear(x), 0.5)),
        {},
        X,
        TeacherError,
        r"the torch module Always answers differ.*between two calls.*F\.dropout\(x, p, training=self\.training\)",
    ),
    "scaled by the batch": (
        lambda rows: (rows[:, 0] - rows[:, 0].mean()) / (rows[:, 0].std() + 1e-9),
        {},
        X,
        TeacherError,
        "answers a row differently by up to .* when other rows come with it, in 25. of 256 rows",
    ),
    "NaN": (nan_in_two_rows, {}, SPIKED, TeacherError, "NaN or infinity for 2 of 8 rows, first for row 4"),
    "one answer for all": (
        lambda rows: 1.0,
        {},
        X,
        TeacherError,
        r"must answer 256 rows with an array.*answered with float",
    ),
    "too few answers": (
        lambda rows: rows[:9, 0],
        {},
        X,
        TeacherError,
        r"answer 256 rows.*answered with ndarray of shape \(9,\)",
    ),
    "three dimensions": (lambda rows: rows[:, :, None], {}, X, TeacherError, r"of shape \(256, 3, 1\)"),
    "dictionaries": (lambda rows: [{}] * len(rows), {}, X, TeacherError, "it answered with dict objects"),
    "a tuple of tensors": (
        Always(lambda self, x: (x, x)),
        {},
        X,
        TeacherError,
        "it returned a tuple of 2. Wrap it in a",
    ),
    "changes itself": (
        Always(lambda self, x: self.linear(x) + self.linear.bias.add_(1.0)),
        {},
        X,
        TeacherError,
        "differ by up to .* between two calls",
    ),
    "several columns, no task": (
        Always(lambda s, x: x * 3),
        {},
        X,
        InputError,
        "answers with 3 columns that are not prob",
    ),
    "whole numbers, no task": (
        thirds,
        {},
        X,
        InputError,
        "whole numbers, which may be labels or",
    ),
    "labels, not all seen": (
        letters,
        {},
        X,
        InputError,
        r"answers with labels such as '[ab]'.*say classes=\[\.\.\.\] with every label",
    ),
    "an unknown label": (
        letters,
        {"classes": ["a", "c"]},
        X,
        TeacherError,
        r"answers row \d+ with the label 'b'; its classes are \['a', 'c'\]",
    ),
    "independent probabilities": (
        lambda rows: np.clip(np.abs(rows), 0, 0.9),
        {"task": "classification"},
        X,
        InputError,
        r"answers between 0 and 1, but rows sum to between .* and 2\.\d+, not to 1",
    ),
    "scores said to be probabilities": (
        lambda rows: rows,
        {"output": "probabilities"},
        X,
        TeacherError,
        r"probabilities in \[0, 1\] that sum to 1; row 0 is .*If these are scores, say output='logits'",
    ),
    "classes of another number": (
        lambda rows: np.full((len(rows), 2), 0.5),
        {"classes": [1, 2, 3]},
        X,
        InputError,
        "answers with 2 columns, but 3 classes are named",
    ),
    "classes unlike the model's": (
        LogisticRegression().fit(X, BINARY),
        {"classes": ["a", "b", "c"]},
        X,
        InputError,
        r"has 2 classes \[0, 1\]; classes names 3",
    ),
    "a classifier for a regression": (
        LogisticRegression().fit(X, BINARY),
        {"task": "regression"},
        X,
        InputError,
        r"is a classifier, so task='regression' does not fit.*predict_proba\(X\)\[:, 1\]",
    ),
    "names needed": (
        LinearRegression().fit(FRAME, X[:, 0]),
        {},
        X,
        InputError,
        r"fitted on a frame with the columns \['age', 'fare', 'size'\]; got an array of shape \(256, 3\) without names",
    ),
    "a column is missing": (
        LinearRegression().fit(FRAME, X[:, 0]),
        {},
        FRAME.rename(columns={"fare": "fares"}),
        InputError,
        r"takes the columns \['age', 'fare', 'size'\]; the rows lack \['fare'\].*Did you mean 'fares'\?",
    ),
    "names of another number": (
        LinearRegression().fit(FRAME, X[:, 0]),
        {"names": ["age"]},
        X,
        InputError,
        "names must name the 3 columns of the rows; got 1",
    ),
    "text to a module": (
        Always(lambda self, x: x[:, 0]),
        {},
        MIXED,
        InputError,
        r"takes a matrix of numbers, but these columns hold text or categories: \['job'\]. Give preprocess=f",
    ),
    "too many columns for a module": (
        net(nn.Linear(3, 1)),
        {},
        np.ones((9, 5)),
        TeacherError,
        r"Sequential raised RuntimeError when it was asked for a ndarray of shape \(9, 5\).*mat1 and mat2",
    ),
    "lazy layers": (net(nn.LazyLinear(1)), {}, X, InputError, "has lazy layers that were never run"),
    "no numbers": (nn.Linear(3, 1, device="meta"), {}, X, InputError, r"parameters without numbers \(device 'meta'\)"),
    "no forward": (Broken(), {}, X, TeacherError, "Broken raised NotImplementedError"),
    "several targets of classes": (
        RandomForestClassifier(2).fit(X, np.column_stack([BINARY, BINARY])),
        {},
        X,
        InputError,
        "has 2 targets of classes; one is required",
    ),
    "one row": (lambda rows: rows[:, 0], {}, X[0], InputError, r"rows of shape \(n, d\); got ndarray of shape \(3,\)"),
    "no rows": (lambda rows: rows[:, 0], {}, X[:0], InputError, "at least one row is required"),
    "ragged rows": (lambda rows: rows[:, 0], {}, [[1.0], [1.0, 2.0]], InputError, "rows must all have the same length"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_teachers_and_rows_are_told_what_to_do(case: str) -> None:
    model, options, rows, error, message = BAD[case]
    with pytest.raises(error, match=f"(?s){message}"):
        as_teacher(model, **options)(rows)


def test_what_the_model_raised_is_chained() -> None:
    with pytest.raises(TeacherError, match="no such luck") as caught:
        as_teacher(raises_on_purpose)(X)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_nan_that_comes_later_is_found_with_its_row() -> None:
    teacher = as_teacher(lambda rows: np.where(rows[:, 0] > 1e6, np.nan, rows[:, 1]), rows=X, batch_rows=64)
    rows = X.copy()
    rows[270, 0] = 1e7
    with pytest.raises(TeacherError, match="first for row 270"):
        teacher(rows)


def test_a_score_that_looked_like_a_probability_is_caught_later() -> None:
    teacher = as_teacher(lambda rows: rows[:, 0], "classification", rows=np.full((9, 1), 0.5))
    assert "read as the probability of the second class" in teacher.notes[0]
    with pytest.raises(TeacherError, match="say output='logits'"):
        teacher(np.array([[3.0]]))


# ---- how answers are read


def scores(rows: Any) -> np.ndarray:
    return 3.0 * rows


@pytest.mark.parametrize(
    ("model", "options", "how", "task", "classes"),
    [
        (lambda rows: rows[:, 0], {}, "values", "regression", None),
        (lambda rows: rows[:, :2], {"task": "regression"}, "values", "regression", None),
        (scores, {"task": "classification"}, "logits", "classification", (0, 1, 2)),
        (scores, {"classes": "abc"}, "logits", "classification", ("a", "b", "c")),
        (lambda rows: rows[:, 0], {"classes": ["no", "yes"]}, "logit", "classification", ("no", "yes")),
        (lambda rows: 1 / (1 + np.exp(-rows[:, 0])), {"task": "classification"}, "positive", "classification", (0, 1)),
        (lambda rows: np.full((len(rows), 4), 0.25), {}, "probabilities", "classification", (0, 1, 2, 3)),
        (lambda rows: np.full((len(rows), 4), 0.25), {"output": "logits"}, "logits", "classification", (0, 1, 2, 3)),
        (lambda rows: rows[:, 0] > 0, {}, "labels", "classification", (False, True)),
        (thirds, {"classes": [0, 1, 2]}, "labels", "classification", (0, 1, 2)),
        (
            lambda rows: thirds(rows) * 1.0,
            {"classes": [0, 1, 2]},
            "labels",
            "classification",
            (0, 1, 2),
        ),
        (thirds, {"task": "regression"}, "values", "regression", None),
        (
            lambda rows: np.where(rows[:, 0] > 0, "u", "v"),
            {"y": ["u", "v", "w"]},
            "labels",
            "classification",
            ("u", "v", "w"),
        ),
        (scores, {"y": ["u", "v", "w"]}, "logits", "classification", ("u", "v", "w")),
        (scores, {"y": np.linspace(0.0, 1.0, 9)}, "values", "regression", None),
    ],
)
def test_how_answers_are_read(model: Any, options: dict[str, Any], how: str, task: str, classes: Any) -> None:
    teacher = as_teacher(model, rows=X, **options)
    record = teacher.to_dict()
    assert (record["read_as"], teacher.task, teacher.classes) == (how, task, classes)
    if task == "classification":
        np.testing.assert_allclose(teacher(X).sum(axis=1), 1.0)
        assert teacher.classes_text == tuple(str(label) for label in classes)


def test_softmax_and_the_logistic_function_are_exact() -> None:
    np.testing.assert_allclose(as_teacher(scores, "classification")(X), torch.softmax(torch.tensor(3 * X), 1).numpy())
    single = as_teacher(lambda rows: 5 * rows[:, 0], "classification")(X)
    np.testing.assert_allclose(single[:, 1], torch.sigmoid(torch.tensor(5 * X[:, 0])).numpy(), rtol=1e-12)


def test_labels_become_zeros_and_ones_and_this_is_noted() -> None:
    model = SVC().fit(X, np.where(BINARY, "yes", "no"))
    teacher = as_teacher(model)
    answers = teacher(X)
    np.testing.assert_array_equal(answers[:, 1] == 1.0, model.predict(X) == "yes")
    assert "decision_function gives no probabilities" in " ".join(teacher.notes)
    assert "fidelity is to the labels" in " ".join(teacher.notes)


def test_an_outlier_detector_is_a_classifier_of_two_labels() -> None:
    model = IsolationForest(n_estimators=5, random_state=0).fit(X)
    teacher = as_teacher(model, classes=[-1, 1])
    np.testing.assert_array_equal(teacher(X)[:, 1], model.predict(X) == 1)


def test_other_labels_keep_the_counts() -> None:
    teacher = as_teacher(scores, "classification", rows=X)
    teacher(X)
    renamed = as_teacher(teacher, classes=["a", "b", "c"])
    assert (renamed.classes, renamed.rows_asked) == (("a", "b", "c"), 300)
    np.testing.assert_array_equal(renamed(X), teacher(X))
    with pytest.raises(InputError, match=r"has 3 classification output\(s\); classes names 2"):
        as_teacher(teacher, classes=["a", "b"])


def test_the_task_is_unknown_until_the_first_call() -> None:
    teacher = as_teacher(lambda rows: rows[:, 0])
    assert (teacher.task, teacher.rows_asked, "not asked yet" in repr(teacher)) == (None, 0, True)
    with pytest.raises(InputError, match="has not answered yet"):
        _ = teacher.n_outputs
    assert teacher(X[:5]).shape == (5, 1)
    assert (teacher.task, teacher.n_outputs, teacher.rows_asked) == ("regression", 1, 5)
    assert teacher(X[:0]).shape == (0, 1)


# ---- containers


@pytest.mark.parametrize("container", [pd.DataFrame, lambda f: pl.from_dict(f.to_dict("list")), pa.Table.from_pandas])
def test_frames_of_numbers_reach_a_module_in_column_order(container: Any) -> None:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    frame = container(FRAME)
    teacher = as_teacher(module, "regression", batch_rows=70)
    np.testing.assert_allclose(teacher(frame), as_teacher(module, "regression")(X))
    np.testing.assert_allclose(teacher(Table.read(frame)), teacher(frame))


@pytest.mark.parametrize("container", [pd.DataFrame, lambda f: pl.from_dict(f.to_dict("list"))])
def test_an_estimator_gets_its_own_columns_in_its_own_order(container: Any) -> None:
    model = LinearRegression().fit(FRAME, X[:, 0] + 5 * X[:, 2])
    more = container(FRAME.assign(other=1.0)[["size", "other", "fare", "age"]])
    np.testing.assert_allclose(as_teacher(model)(more)[:, 0], X[:, 0] + 5 * X[:, 2])


def test_names_turn_an_array_into_the_frame_that_a_model_needs() -> None:
    model = LinearRegression().fit(FRAME, X[:, 1])
    np.testing.assert_allclose(as_teacher(model, names=["age", "fare", "size"])(X)[:, 0], X[:, 1])


def test_preprocess_may_give_several_inputs_and_whole_numbers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.linear = nn.Embedding(2, 4), nn.Linear(5, 1)

        def forward(self, x: torch.Tensor, job: torch.Tensor) -> torch.Tensor:
            return self.linear(torch.hstack([x, self.embedding(job)]))

    def split(frame: Any) -> tuple[np.ndarray, np.ndarray]:
        return frame[["age"]].to_numpy(), (frame["job"] == "nurse").to_numpy().astype(np.int64)

    module = Two()
    age, job = split(MIXED)
    with torch.no_grad():
        own = module(torch.tensor(age, dtype=torch.float32), torch.tensor(job)).numpy()
    np.testing.assert_allclose(as_teacher(module, preprocess=split)(MIXED), own, rtol=1e-5)


# ---- nothing is left behind


class Carries(nn.Module):
    """Everything that a call could disturb."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)
        self.frozen_norm, self.last = nn.BatchNorm1d(8), nn.Linear(8, 1)
        self.register_buffer("seen", torch.zeros(1))
        self.calls, self.cached = 0, None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.cached = x.mean()
        self.seen += len(x)
        h = functional.batch_norm(self.first(x), torch.zeros(8), torch.ones(8))
        if torch.rand(1).item() > 2 or random.random() > 2 or np.random.rand() > 2:  # noqa: NPY002
            h = h * 0
        return self.last(self.drop(self.frozen_norm(self.norm(h))))


def everything(module: Carries) -> dict[str, Any]:
    return {
        "numbers": {name: tensor.clone() for name, tensor in module.state_dict().items()},
        "tensors": [id(tensor) for tensor in [*module.parameters(), *module.buffers()]],
        "modes": [part.training for part in module.modules()],
        "gradients": [(id(p.grad), p.grad.clone(), p.requires_grad) for p in module.parameters()],
        "hooks": [len(part._forward_hooks) for part in module.modules()],
        "calls": (module.calls, module.cached),
        "random": (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()),  # noqa: NPY002
        "setting": (torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype()),
    }


@pytest.mark.parametrize("breaks", [False, True])
def test_a_module_is_as_it_was_also_after_an_error(breaks: bool) -> None:
    torch.manual_seed(0)
    module = Carries()
    module(torch.randn(16, 3)).sum().backward()
    module.train()
    module.frozen_norm.eval()
    module.last.weight.requires_grad_(False)
    module.last.weight.grad = torch.ones(1, 8)
    module.norm.register_forward_hook(lambda *_: None)
    before = everything(module)
    rows = np.ones((20, 4)) if breaks else X
    teacher = as_teacher(module)
    if breaks:
        with pytest.raises(TeacherError, match="mat1 and mat2"):
            teacher(rows)
    else:
        assert teacher(rows).shape == (300, 1)
        assert "training mode; it is asked in evaluation mode" in teacher.notes[0]
    after = everything(module)
    assert before["numbers"].keys() == after["numbers"].keys()
    assert all(torch.equal(before["numbers"][name], after["numbers"][name]) for name in before["numbers"])
    for (one, numbers, wanted), (other, same, still) in zip(before["gradients"], after["gradients"], strict=True):
        assert (one, wanted) == (other, still)
        assert torch.equal(numbers, same)
    for key in ("tensors", "modes", "hooks", "calls", "random", "setting"):
        assert before[key] == after[key], key


def test_parameters_that_forward_changes_are_put_back() -> None:
    def scales(self: Any, x: torch.Tensor) -> torch.Tensor:
        self.linear.weight.clamp_(-0.01, 0.01)
        return self.linear(x)

    module = Always(scales)
    before = module.linear.weight.detach().clone()
    with pytest.raises(TeacherError, match="changes 1 of its own parameters when it is asked"):
        as_teacher(module)(X)
    assert torch.equal(module.linear.weight, before)


@pytest.mark.parametrize("rows", [X, FRAME, Table.read(X), torch.tensor(X)], ids=["array", "frame", "table", "tensor"])
def test_a_model_that_works_in_place_does_not_reach_the_users_rows(rows: Any) -> None:
    def zeroes(sent: Any) -> Any:
        values = np.asarray(sent)
        if values.flags.writeable:
            values[:] = 0.0
        return np.zeros(len(values))

    before = X.copy()
    as_teacher(zeroes)(rows)
    as_teacher(Always(lambda self, x: self.linear(x.mul_(0.0))), preprocess=lambda sent: sent)(rows)
    np.testing.assert_array_equal(np.asarray(rows.values if isinstance(rows, Table) else rows), before)


def test_a_module_keeps_training_after_it_was_asked() -> None:
    module = net(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).train()
    loss = module(torch.ones(8, 3)).sum()
    as_teacher(module)(X)
    loss.backward()
    assert module[0].weight.grad is not None


# ---- batches and counts


def test_memory_is_bounded_by_the_batch() -> None:
    sizes = []

    def model(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return rows[:, 0]

    teacher = as_teacher(model, rows=X[:10], batch_rows=64)
    sizes.clear()
    teacher(X)
    assert sizes == [64, 64, 64, 64, 44]
    assert teacher.rows_asked == 300


def test_verification_too_keeps_to_the_batch() -> None:
    sizes = []

    def model(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        return rows[:, 0]

    as_teacher(model, rows=X, batch_rows=16)
    assert max(sizes) <= 16


# ---- package.module:name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def test_a_named_function_is_a_teacher_and_a_function_of_nothing_makes_one(folder: Path) -> None:
    (folder / "my_models_a.py").write_text(
        "class Holder:\n    @staticmethod\n    def total(X):\n        return X.sum(axis=1)\n"
        "def make(scale=2):\n    return lambda X: scale * X[:, 0]\n"
        "def breaks():\n    raise OSError('no weights')\n"
        "name = 'other.pkl'\n"
    )
    path = list(sys.path)
    np.testing.assert_allclose(as_teacher("my_models_a:Holder.total")(X)[:, 0], X.sum(axis=1))
    made = as_teacher("my_models_a:make")
    np.testing.assert_allclose(made(X)[:, 0], 2 * X[:, 0])
    assert made.notes[0] == "my_models_a:make was called without arguments and gave the model"
    with pytest.raises(InputError, match=r"my_models_a:breaks\(\) is called to make the model, and raised OSError"):
        as_teacher("my_models_a:breaks")
    with pytest.raises(InputError, match="my_models_a:name is a str; a model or a function is required"):
        as_teacher("my_models_a:name")
    assert sys.path == path


def test_a_named_module_that_breaks_says_why(folder: Path) -> None:
    (folder / "my_models_b.py").write_text("import not_there_at_all\n")
    (folder / "my_models_c.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="'my_models_b' could not be imported: No module named 'not_there_at_all'"):
        as_teacher("my_models_b:f")
    with pytest.raises(InputError, match="'my_models_c' could not be imported: ZeroDivisionError"):
        as_teacher("my_models_c:f")


# ---- ONNX


def onnx_file(path: Path, *, batch: int | None = None, labels: tuple[str, ...] | None = None) -> Path:
    """A file that multiplies by 2 and, with labels, says which column is largest."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Add", ["X", "X"], ["scores"])]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 3])]
    constants = []
    if labels is not None:
        constants = [onnx.numpy_helper.from_array(np.array([b.encode() for b in labels], dtype=object), "classes")]
        nodes += [
            helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0),
            helper.make_node("Gather", ["classes", "best"], ["label"]),
        ]
        outputs = [helper.make_tensor_value_info("label", TensorProto.STRING, [batch]), *outputs]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, [batch, 3])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_onnx_file_of_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    teacher = as_teacher(onnx_file(tmp_path / "fixed.onnx", batch=7), "regression")
    np.testing.assert_allclose(teacher(X[:10]), 2 * X[:10], rtol=1e-6)
    assert "no dynamic batch" in teacher.notes[0]


def test_classes_in_another_order_than_the_columns_are_found_by_the_files_own_labels(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "labels.onnx", labels=("a", "b", "c"))
    assert as_teacher(path, rows=X).classes == ("a", "b", "c")
    import onnx

    model = onnx.load(path)
    model.graph.initializer[0].name = "names"
    model.graph.node[2].input[0] = "names"
    path.write_bytes(model.SerializeToString())
    assert as_teacher(path, classes=["a", "b", "c"], rows=X).n_outputs == 3
    with pytest.raises(
        InputError, match=r"gives row \d+ the label '.', but its largest number is in the column of '.'"
    ):
        as_teacher(path, classes=["b", "a", "c"], rows=X)


def test_onnx_files_that_do_not_fit_say_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match=r"broken\.onnx can't be loaded by onnxruntime"):
        as_teacher(path)
    with pytest.raises(InputError, match=r"takes rows of 3 columns; got shape \(9, 4\)"):
        as_teacher(onnx_file(path), "regression")(np.ones((9, 4)))
    with pytest.raises(InputError, match=r"but these columns hold text or categories: \['job'\]"):
        as_teacher(path, "regression")(MIXED)


def test_without_onnxruntime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *args: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return importlib.__import__(name, *args)

    path = onnx_file(tmp_path / "m.onnx")
    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(LimbeckError, match=r"pip install 'limbeck\[onnx\]'"):
        as_teacher(path)


# ---- boosters


def test_boosters_say_their_task_and_need_their_columns() -> None:
    import lightgbm
    import xgboost

    data = xgboost.DMatrix(FRAME, BINARY)
    quiet = {"verbosity": 0, "nthread": 1}
    raw = xgboost.train({"objective": "binary:logitraw", **quiet}, data, 3)
    teacher = as_teacher(raw, rows=FRAME)
    assert teacher.to_dict()["read_as"] == "logit"
    np.testing.assert_allclose(teacher(FRAME)[:, 1], 1 / (1 + np.exp(-raw.predict(data).astype(float))), rtol=1e-6)
    assert as_teacher(xgboost.train(quiet, data, 3)).task == "regression"
    with pytest.raises(InputError, match="got an array of shape"):
        as_teacher(raw)(X)
    ranks = xgboost.train({"objective": "rank:pairwise", **quiet}, data, 1)
    with pytest.raises(InputError, match="objective 'rank:pairwise'; regression and classification are distilled"):
        as_teacher(ranks)
    options = {"objective": "binary", "verbose": -1, "num_threads": 1}
    light = lightgbm.train(options, lightgbm.Dataset(FRAME, BINARY), 3)
    reordered = FRAME[["size", "age", "fare"]]
    np.testing.assert_allclose(as_teacher(light)(reordered)[:, 1], light.predict(FRAME))


def test_teacher_is_what_as_teacher_returns_unchanged() -> None:
    teacher = as_teacher(scores, "classification")
    assert isinstance(teacher, Teacher)
    assert as_teacher(teacher) is teacher
    assert re.match(r"<Teacher the function scores, not asked yet", repr(teacher))


def test_the_models_own_warnings_reach_the_user() -> None:
    def warns(rows: Any) -> np.ndarray:
        warnings.warn("be careful", UserWarning, stacklevel=2)
        return rows[:, 0]

    with pytest.warns(UserWarning, match="be careful"):
        as_teacher(warns)(X)
