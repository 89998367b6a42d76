"""Students on the coefficients of a fixed wavelet: the student's own model of PyWavelets' numbers, and their place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import pywt
from sklearn.linear_model import LinearRegression

from limbeck import distill
from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable import CoefficientsReadable, evaluate, readable_from_dict
from limbeck.readable._coefficients import coefficient_schema
from limbeck.readable._wavelet_filters import blocks_of
from limbeck.report import render
from limbeck.students import (
    FixedWaveletClassifier,
    FixedWaveletRegressor,
    FormulaRegressor,
    TreeClassifier,
    TreeRegressor,
)
from report_runs import ATTACK, make_run

N, POINTS = 200, 40
X = np.random.default_rng(0).normal(size=(N, POINTS))
WHOLE = np.concatenate(pywt.wavedec(X, "db3", "symmetric", 2), axis=1)
BUMP = pywt.wavedec(X, "db3", "symmetric", 2)[1][:, 5]
Y = np.where(BUMP > 0.3, 4.0, 1.0)


def student(given: Any = "tree", **more: Any) -> FixedWaveletRegressor:
    return FixedWaveletRegressor(given, "db3", 2, "symmetric", random_state=0, **more)


def test_it_is_the_tree_of_pywavelets_coefficients() -> None:
    model = student(TreeRegressor(random_state=3)).fit(X, Y)
    plain = TreeRegressor(random_state=3).fit(WHOLE, Y)
    assert [n.threshold for n in model.readable_.inner.nodes] == pytest.approx(
        [n.threshold for n in plain.readable_.nodes], abs=1e-9
    )
    assert np.array_equal(model.predict(X), plain.predict(WHOLE))
    assert model.readable_.text().startswith("if d2_5 <= 0.")
    assert "\n  d2_5 = scale 2 at time " in model.readable_.text()
    assert not np.array_equal(FixedWaveletRegressor("tree", "haar", 2).fit(X, Y).predict(X), plain.predict(WHOLE))


def test_a_tree_point_by_point_needs_more_and_reaches_less() -> None:
    """The control of the whole idea: what a tree on the signal itself makes of the same answers."""
    fresh = np.random.default_rng(1).normal(size=(400, POINTS))
    truth = np.where(pywt.wavedec(fresh, "db3", "symmetric", 2)[1][:, 5] > 0.3, 4.0, 1.0)
    on, plain = student().fit(X, Y), TreeRegressor(random_state=0).fit(X, Y)
    assert np.mean(on.predict(fresh) == truth) > 0.97
    assert np.corrcoef(plain.predict(fresh), truth)[0, 1] < 0.8
    assert plain.readable_.complexity > on.readable_.complexity


def test_a_formula_is_written_over_coefficients_and_runs_over_the_signal() -> None:
    model = student(FormulaRegressor(max_evaluations=2_000, random_state=0)).fit(X, 3.0 * BUMP + 1.0)
    readable = model.readable_
    assert readable.text().startswith("prediction = 3*d2_5 + 1")
    np.testing.assert_allclose(evaluate(readable.program(), X)[:, 0], model.predict(X), atol=1e-9)
    (expression,) = readable.expression()
    assert {str(symbol) for symbol in expression.free_symbols} == set(readable.features_used)
    assert readable.complexity == readable.inner.complexity + 6 + 1
    assert len(model.front_) > 1
    assert all(member.complexity == member.readable.complexity for member in model.front_)


def test_images_columns_with_levels_and_held_columns() -> None:
    pixels = np.random.default_rng(2).normal(size=(N, 64))
    bump = pywt.wavedec2(pixels.reshape(N, 8, 8), "haar", "zero", 1)[1][1][:, 1, 2]
    model = FixedWaveletRegressor("tree", "haar", 1, random_state=0, image_shape=(8, 8)).fit(pixels, bump > 0)
    assert model.readable_.coefficient_texts()[0] == ("d1_down_6", "scale 1 down at row 2, column 4")
    frame = pd.DataFrame(X[:, :8]).rename(columns=str).assign(still=5.0, job=np.array(["a", "b"])[np.arange(N) % 2])
    readable = (
        FixedWaveletRegressor("tree", "haar", 2).fit(frame, np.where(frame["job"] == "a", 3.0, X[:, 0])).readable_
    )
    assert "job" in readable.features_used
    assert "still" not in readable.features_used
    assert np.array_equal(readable(frame.assign(still=-9.0)), readable(frame))


def test_names_of_coefficients_never_meet_those_of_columns() -> None:
    blocks = blocks_of((8,), 2, 2, "zero")
    names = coefficient_schema(Schema((Column("x"), Column("d1_0", "nominal", ("a", "b")))), blocks).names
    assert names[:2] == ("a2_0_", "a2_1_")
    assert names[-1] == "d1_0"
    assert len(set(names)) == len(names)
    colour = coefficient_schema(Schema((Column("x"),)), blocks_of((4, 4), 2, 1, "zero", 2)).names
    assert colour[3:5] == ("c0_a1_3", "c0_d1_across_0")
    assert colour[-1] == "c1_d1_diagonal_3"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"student": "forest"},
            r"student is one of \['formula', 'rule_set', 'rules', 'tree'\], or an estimator; got 'forest'",
        ),
        ({"student": LinearRegression()}, "a student that is a regressor; got LinearRegression"),
        ({"student": TreeClassifier()}, "a student that is a regressor; got TreeClassifier"),
        ({"wavelet": "bior2.2"}, "wavelet must name an orthogonal wavelet of PyWavelets"),
        ({"level": 0}, "level must be a whole number of at least 1 and at most 30; got 0"),
        ({"mode": "mirror"}, "mode must be one of"),
        ({"image_shape": (3, 3)}, "image_shape is"),
    ],
)
def test_what_can_not_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FixedWaveletRegressor(**given).fit(X, Y)


def test_rows_without_a_signal_are_refused() -> None:
    with pytest.raises(InputError, match="a wavelet needs a signal: at least one column of numbers"):
        FixedWaveletRegressor().fit(pd.DataFrame({"job": ["a", "b"] * 10}), np.arange(20.0))


def test_a_malformed_document_is_refused() -> None:
    data = student().fit(X, Y).readable_.to_dict()
    changes: list[tuple[dict[str, Any], str]] = [
        ({"inner": data}, "holds a model of another family"),
        ({"inner": 3}, "holds a model of another family"),
        ({"lowpass": [1.0]}, "an even number of finite numbers"),
        ({"level": 31}, "level must be from 1 to 30"),
        ({"level": 1}, "the model must read the coefficients and levels of the table"),
        ({"mode": "none"}, "mode must be one of"),
        ({"signal": [0, 0]}, "the signal's columns must be different columns"),
        ({"held": [[99, 1.0]]}, "columns that are held must be of the signal"),
        ({"image": [1, 2, 3]}, "needs so many columns"),
        ({"held": None}, "a stored model on coefficients is malformed"),
    ]
    for change, match in changes:
        with pytest.raises(InputError, match=match):
            readable_from_dict({**data, **change})
    assert readable_from_dict(data) == student().fit(X, Y).readable_


def test_it_stands_beside_the_adaptive_wavelet_by_its_name() -> None:
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(POINTS)])
    result = distill(
        lambda rows: 3.0 * (rows.to_numpy()[:, 8:12].sum(axis=1) > 0),
        frame,
        students=["wavelet_tree", "tree"],
        checks=(),
        n_queries=0,
        task="regression",
        random_state=0,
    )
    assert isinstance(result["wavelet_tree"].readable, CoefficientsReadable)
    assert result["wavelet_tree"].readable.inner.family == "tree"
    assert isinstance(result["wavelet_tree"].student.student, str)


def test_the_report_draws_the_model_and_says_what_its_coefficients_are() -> None:
    readable = FixedWaveletClassifier("tree", "db3", 2, random_state=0).fit(X, np.where(Y > 2, "up", "down")).readable_
    hostile = replace(readable, output_names=(ATTACK, "b"), wavelet=ATTACK)
    assert hostile.inner.output_names == (ATTACK, "b")
    text = render(make_run({"wavelet_tree": hostile}))
    assert ATTACK not in text
    assert 'class="tree-svg"' in text
    assert "What the coefficients are" in text
    for name, place in readable.coefficient_texts():
        assert f"<dt>{name}</dt><dd>{place}</dd>" in text
    assert f"reads {len(readable.used)} coefficient" in text
