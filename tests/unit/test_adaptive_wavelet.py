"""The adaptive wavelet students: what they refuse, images, the largest coefficients, teachers of all kinds, Ctrl-C."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pywt
import torch

import limbeck
from limbeck._core.errors import InputError
from limbeck.readable import WaveletReadable, evaluate, readable_from_dict
from limbeck.students import AdaptiveWaveletClassifier, AdaptiveWaveletRegressor
from limbeck.students._wavelet_choice import chosen_features
from limbeck.students._wavelet_fit import gradient_module
from limbeck.students._wavelet_loss import teacher_gradients
from limbeck.students._wavelet_training import drawn_outputs
from limbeck.training import train_default

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 24))
Y = X[:, 4:8].sum(axis=1)
QUICK: dict[str, Any] = {"wavelet": "haar", "level": 2, "l1": 0.01, "attribution": 1.0, "max_steps": 4}


def regressor(**over: Any) -> AdaptiveWaveletRegressor:
    return AdaptiveWaveletRegressor(**{"random_state": 0, **QUICK, **over})


class Linear(torch.nn.Module):
    """A teacher with several outputs."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        weights = np.stack([np.r_[np.zeros(4), np.ones(4), np.zeros(16)] * (o + 1) for o in range(outputs)])
        self.weight = torch.nn.Parameter(torch.tensor(weights, dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(x, self.weight)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("wavelet", "db", r"wavelet must name an orthogonal wavelet .*got 'db'"),
        ("wavelet", "bior2.2", "orthogonal wavelet of PyWavelets"),
        ("wavelet", 5, "orthogonal wavelet of PyWavelets"),
        ("level", 0, "level must be a whole number of at least 1 and at most 30; got 0"),
        ("level", 2.5, "level must be a whole number"),
        ("mode", "zeros", "mode must be one of .*Did you mean 'zero'"),
        ("features", "large", "features must be 'fixed' or 'largest'; got 'large'. Did you mean 'largest'"),
        ("max_coefficients", 0, "max_coefficients must be a whole number of at least 1; got 0"),
        ("batch_size", True, "batch_size must be a whole number"),
        ("max_steps", -1, "max_steps must be a whole number of at least 0"),
        ("learning_rate", 0.0, "learning_rate must be a number above 0"),
        ("l1", (), "l1 must be one or more penalties"),
        ("l1", (1.0, 0.1), "ascending"),
        ("attribution", (np.nan,), "attribution must be one or more penalties"),
        ("attribution", "much", "attribution must be one or more penalties"),
        ("image_shape", (5, 5), "image_shape is .* with 24 pixels"),
    ],
)
def test_arguments_are_checked(name: str, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        regressor(**{name: value}).fit(X, Y)


def test_one_row_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 rows"):
        regressor().fit(X[:1], Y[:1])


def test_constant_answers_need_no_coefficient() -> None:
    student = regressor().fit(X, np.full(200, 3.0))
    assert student.readable_.terms == ()
    assert student.predict(X) == pytest.approx(3.0)


@pytest.mark.parametrize("mode", ["zero", "periodization", "antireflect"])
@pytest.mark.parametrize("points", [1, 2, 7, 24])
def test_any_length_and_the_order_of_pywavelets(points: int, mode: str) -> None:
    student = regressor(wavelet="db2", level=1, mode=mode).fit(X[:, :points], X[:, 0])
    low = student.lowpass_
    high = np.where(np.arange(4) % 2 == 0, -1, 1) * low[::-1]
    bank = pywt.Wavelet("found", (low, high, low[::-1], high[::-1]))
    found = student.transform(X[:, :points])
    if points > 1:
        np.testing.assert_allclose(found, np.concatenate(pywt.dwt(X[:, :points], bank, mode), axis=1), atol=1e-6)
        again = pywt.idwt(*np.split(found, 2, axis=1), bank, mode)[:, :points]
        np.testing.assert_allclose(again, X[:, :points], atol=1e-5)
    assert student.score(X[:, :points], X[:, 0]) > 0.9


def test_images_in_the_order_of_pywavelets() -> None:
    images = rng.normal(size=(200, 5, 6))
    flat, y = images.reshape(200, 30), images[:, 2:4, 2:4].sum(axis=(1, 2))
    student = regressor(image_shape=(5, 6)).fit(flat, y)
    assert student.score(flat, y) > 0.99
    assert all(" at row " in student.readable_.term_text(i) for i in range(len(student.readable_.terms)))
    low = student.lowpass_
    bank = pywt.Wavelet("found", (low, np.array([-low[1], low[0]]), low[::-1], np.array([low[0], -low[1]])))
    first, *rest = pywt.wavedec2(images, bank, "zero", 2)
    parts = [first, *(part for level in rest for part in level)]
    np.testing.assert_allclose(
        student.transform(flat), np.concatenate([part.reshape(200, -1) for part in parts], axis=1), atol=1e-6
    )


def test_images_of_several_channels() -> None:
    flat = rng.normal(size=(200, 4 * 4 * 2))
    y = flat.reshape(200, 4, 4, 2)[:, :2, :2, 1].sum(axis=(1, 2))
    student = regressor(level=1, image_shape=(4, 4, 2)).fit(flat, y)
    assert len(student.readable_.terms) == 1
    assert "channel 1: approximation at row " in student.readable_.text()
    assert student.score(flat, y) > 0.99


def test_the_largest_finds_what_moves_and_fixed_does_not() -> None:
    shapes = 0.1 * rng.normal(size=(400, 32))
    up = rng.random(400) < 0.5
    for i, at in enumerate(2 * rng.integers(0, 16, 400)):
        shapes[i, at : at + 2] += [3.0, -3.0] if up[i] else [1.0, 1.0]
    moving = {"wavelet": "haar", "level": 1, "l1": 0.01, "max_steps": 2, "random_state": 0, "max_coefficients": 4}
    largest = AdaptiveWaveletClassifier(features="largest", **moving).fit(shapes, up)
    fixed = AdaptiveWaveletClassifier(features="fixed", **moving).fit(shapes, up)
    assert largest.score(shapes, up) > 0.98
    assert fixed.score(shapes, up) < 0.9
    assert "the greatest of scale 1" in largest.readable_.text() or "by size of scale 1" in largest.readable_.text()
    readable = largest.readable_
    np.testing.assert_allclose(evaluate(readable.program(), shapes), readable.predict_encoded(shapes), atol=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_torch_teacher_of_one_or_several_outputs(outputs: int) -> None:
    teacher = Linear(outputs)
    answers = teacher(torch.as_tensor(X, dtype=torch.float32)).detach().numpy()
    student = regressor(wavelet="db2").fit(X, answers, teacher=teacher)
    assert student.notes_ == ()
    without = regressor(wavelet="db2").fit(X, answers)
    assert not np.array_equal(student.path_[-1].lowpass, without.path_[-1].lowpass)
    again = regressor(wavelet="db2").fit(X, answers, teacher=limbeck.as_teacher(teacher, task="regression"))
    assert np.array_equal(student.path_[-1].lowpass, again.path_[-1].lowpass)


def test_of_many_outputs_one_is_drawn_and_all_come_to_the_mean() -> None:
    gradients, index = torch.as_tensor(rng.normal(size=(3, 4, 5))), torch.tensor([2, 0])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([drawn_outputs(gradients, index, generator) for _ in range(4_000)])
    assert drawn.shape == (4_000, 2, 1, 5)
    np.testing.assert_allclose(drawn.mean(dim=0)[:, 0].numpy(), gradients[index].mean(dim=1).numpy(), atol=0.1)
    assert all((gradients[2] == one).all(dim=1).any() for one in drawn[:50, 0, 0])
    assert torch.equal(drawn_outputs(gradients[:, :2], index, generator), gradients[index, :2])


def test_other_teachers_leave_the_term_out_and_say_so() -> None:
    student = regressor().fit(X, Y, teacher=limbeck.as_teacher(lambda rows: rows[:, 0], task="regression"))
    assert "attributions were left out: the teacher is no torch module" in student.notes_[0]
    frame = pd.DataFrame(X).rename(columns=str).assign(kind=np.where(Y > 0, "a", "b"))
    student = regressor().fit(frame, Y, teacher=Linear())
    assert "columns with levels" in student.notes_[0]


def test_no_steps_keep_the_wavelet() -> None:
    student = regressor(wavelet="db5", max_steps=0).fit(X, Y)
    np.testing.assert_array_equal(student.lowpass_, pywt.Wavelet("db5").dec_lo)
    assert len(student.path_) == 1


def test_only_levels() -> None:
    frame = pd.DataFrame({"kind": np.array(["a", "b", "c"])[np.arange(90) % 3]})
    student = regressor().fit(frame, (frame["kind"] == "b").astype(float))
    assert student.transform(frame).shape == (90, 0)
    assert student.readable_.features_used == ("kind",)
    assert student.score(frame, (frame["kind"] == "b").astype(float)) == pytest.approx(1.0)


def test_ctrl_c_keeps_what_there_is_and_progress_is_told() -> None:
    seen: list[tuple[str, int, int]] = []

    def stop(what: str, done: int, total: int) -> None:
        seen.append((what, done, total))
        if done == 20:
            raise KeyboardInterrupt

    student = regressor(l1=(0.01, 0.1), max_steps=30).fit(X, Y, progress=stop)
    assert seen == [("adapting the wavelet", 20, 60)]
    assert not student.complete_
    assert len(student.path_) == 2
    assert student.score(X, Y) > 0.99
    assert regressor(l1=(0.01, 0.1)).fit(X, Y).complete_


def test_planted_features_are_chosen_in_the_order_of_what_they_bring() -> None:
    F, weights = rng.normal(size=(300, 40)), np.ones(300)
    score = 5 * F[:, 7] - 2 * F[:, 3] + F[:, 30]
    models = chosen_features(F, score[:, None], weights, "identity", 5)
    assert models[3].features == (7, 3, 30)
    np.testing.assert_allclose(models[3].theta[:, 0], [0, 5, -2, 1], atol=1e-5)
    labels = (score > 0).astype(float)[:, None]
    assert set(chosen_features(F, labels, weights, "logistic", 2)[2].features) == {7, 3}
    assert 7 not in chosen_features(F[:, :7], score[:, None], weights, "identity", 3)[3].features


def test_the_front_grows_by_one_and_ends_in_the_best() -> None:
    student = regressor(max_coefficients=3).fit(X, Y + 0.5 * X[:, 20])
    counts = [len(member.readable.terms) for member in student.front_]
    assert counts == [0, 1, 2, 3]
    assert student.front_[-1].score > student.front_[0].score


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"link": "probit"}, "link is identity, logistic or softmax"),
        ({"link": "softmax"}, "link 'softmax' does not fit regression"),
        ({"lowpass": [1.0]}, "an even number of finite numbers"),
        ({"lowpass": [float("nan"), 1.0]}, "an even number of finite numbers"),
        ({"lowpass": None}, "malformed"),
        ({"level": 1000}, "level must be from 1 to 30"),
        ({"mode": "zeros"}, "mode must be one of"),
        ({"features": "some"}, "'fixed' or 'largest'"),
        ({"signal": [0, 0]}, "different columns of numbers"),
        ({"signal": [99]}, "different columns of numbers"),
        ({"held": [[99, 1.0]]}, "columns that are held"),
        ({"image": [2, 2, 2]}, "an image of shape"),
        ({"intercept": [1.0, 2.0]}, r"needs 1 finite intercept\(s\)"),
        ({"terms": [{"block": 9, "place": 0, "value": [1.0]}]}, "a coefficient that is there"),
        ({"terms": [{"block": 0, "place": 0, "value": [1.0, 2.0]}]}, "a coefficient that is there"),
        ({"terms": [{"block": 0, "place": 0, "value": [1.0]}] * 2}, "has one term"),
        ({"terms": 3}, "malformed"),
        ({"levels": [{"column": 0, "code": 0, "value": [1.0]}]}, "a weight of a level"),
    ],
)
def test_malformed_documents_are_refused(changed: dict[str, Any], message: str) -> None:
    data = json.loads(json.dumps(regressor(max_steps=0).fit(X, Y).readable_.to_dict()))
    assert isinstance(readable_from_dict(data), WaveletReadable)
    with pytest.raises(InputError, match=message):
        readable_from_dict({**data, **changed})


def test_the_readable_runs_without_torch_and_without_pywavelets() -> None:
    readable = regressor(max_steps=0).fit(X, Y).readable_
    program = (
        "import json, sys; import numpy as np; from limbeck.readable import readable_from_dict\n"
        "model = readable_from_dict(json.load(sys.stdin)); print(model(np.ones((1, 24)))[0, 0])\n"
        "assert not {'torch', 'pywt'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(readable.to_dict()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(readable(np.ones((1, 24)))[0, 0])


def test_the_default_network_and_exported_ones_have_slopes(tmp_path: Path) -> None:
    """Of a network on logarithms of skewed columns as of differences; and of a ``.pt2`` file."""
    rows = np.abs(X) ** 3
    rows[:, 0] = X[:, 0]
    default = train_default(rows, Y, task="regression", random_state=0)
    assert any(default.logs)
    assert not all(default.logs)
    module = gradient_module(limbeck.as_teacher(default))
    slopes, step = teacher_gradients(module, rows[:5])[:, 0], 1e-6
    for j in (0, 1, 9):
        moved = rows[:5].copy()
        moved[:, j] += step
        np.testing.assert_allclose(slopes[:, j], (default.predict(moved) - default.predict(rows[:5])) / step, rtol=1e-2)
    dynamic = ({0: torch.export.Dim("n")},)
    program = torch.export.export(Linear(), (torch.ones(3, 24),), dynamic_shapes=dynamic)
    torch.export.save(program, tmp_path / "net.pt2")
    module = gradient_module(limbeck.as_teacher(str(tmp_path / "net.pt2"), task="regression"))
    np.testing.assert_allclose(teacher_gradients(module, X[:3])[:, 0, 4:8], 1.0)


def test_distill_hands_the_teacher_over() -> None:
    given: dict[str, Any] = {"students": {"wavelet": regressor(wavelet="db2")}, "n_queries": 200, "random_state": 0}
    teacher = limbeck.as_teacher(Linear(), task="regression")
    result = limbeck.distill(teacher, X, checks=[], **given)
    assert result.candidates[0].readable.family == "wavelet"
    assert not [note for note in result.run["notes"] if "attributions" in note]
    other = limbeck.distill(lambda rows: rows[:, 4:8].sum(axis=1), X, checks=[], **given)
    assert [note for note in other.run["notes"] if note.startswith("student 'wavelet': attributions were left out")]
