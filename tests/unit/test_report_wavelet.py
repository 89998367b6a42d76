"""An adaptive wavelet in the report: the wavelet beside its start, where it looks, and what it adds up."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import pywt

from limbeck._core.tables import Column, Schema
from limbeck.readable import LevelTerm, WaveletReadable, WaveletTerm
from limbeck.report import render
from limbeck.report._front_svg import mark, tone
from limbeck.report._students import read_students
from limbeck.report._wavelet_svg import wavelet_function
from limbeck.report._wavelet_view import MAX_TERMS, starting_taps, wavelet_values
from report_runs import ATTACK, HOSTILE, make_run

DB2 = np.array(pywt.Wavelet("db2").dec_lo)
TURNED = tuple(pywt.Wavelet("sym2").dec_lo[::-1])
TERMS = ((0, 2, 0.5), (1, 4, -2.0), (3, 10, 1.25))


def wavelet(
    names: tuple[str, ...] = ("down", "up"), points: int = 48, image: tuple[int, int, int] | None = None, **changes: Any
) -> WaveletReadable:
    """Three coefficients of a wavelet of four numbers."""
    schema = Schema(tuple(Column(f"{'p' if image else 't'}{i}") for i in range(points)))
    task: Any = "regression" if len(names) == 1 else "classification"
    q = len(names) if len(names) > 2 else 1
    terms = tuple(WaveletTerm(b, i, tuple(w * (1 + o) for o in range(q))) for b, i, w in TERMS)
    link: Any = {1: "identity", 2: "logistic"}.get(len(names), "softmax")
    given: dict[str, Any] = {
        "schema": schema,
        "task": task,
        "output_names": names,
        "lowpass": TURNED,
        "level": 3,
        "mode": "zero",
        "signal": tuple(range(points)),
        "held": (),
        "intercept": (0.25,) * q,
        "terms": terms,
        "link": link,
        "image": image,
        "start": "db2",
    }
    return WaveletReadable(**{**given, **changes})


def values_of(model: WaveletReadable, **run: Any) -> dict[str, Any]:
    documents = make_run({"wavelet": model}, **run)
    return wavelet_values(read_students(documents)[0], model, documents.arrays)


@pytest.mark.parametrize("name", ["db2", "db5", "sym4", "coif1"])
def test_the_wavelet_is_that_of_pywavelets(name: str) -> None:
    own = pywt.Wavelet(name)
    times, values = wavelet_function(np.array(own.dec_lo), 6)
    _, expected, at = own.wavefun(level=6)
    found = np.interp(at[1:-1], times, values)
    # Its values stand a step later, and its ends are 0
    close = [float(np.abs(np.roll(found, k) - expected[1:-1]).mean()) for k in range(-2, 3)]
    assert min(close) < 0.02
    assert np.sum(values**2) / 2**6 == pytest.approx(1.0, abs=1e-6)
    other = wavelet_function(np.array(pywt.Wavelet("db4").dec_lo), 6)
    far = np.interp(at[1:-1], *other)
    assert np.abs(far - expected[1:-1]).mean() > 0.05


def test_the_start_is_drawn_where_it_is_known() -> None:
    model = wavelet()
    assert starting_taps(model) == pytest.approx(DB2)
    assert "start-ring" in values_of(model)["filter"]
    assert values_of(model)["function"].count("<polyline") == 2
    assert not values_of(model)["unchanged"]
    assert values_of(replace(model, lowpass=tuple(DB2.tolist())))["unchanged"]
    for start in ("", "db5", "gaus1", ATTACK):
        unknown = values_of(replace(model, start=start))
        assert unknown["start"] == ""
        assert "start-ring" not in unknown["filter"]
        assert unknown["function"].count("<polyline") == 1


def test_boxes_stand_at_their_scale_and_time() -> None:
    model = wavelet()
    drawn = str(values_of(model)["wide"])
    boxes = re.findall(
        r'<title>([^<]+)</title><rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"[^>]*class="(\w+)"', drawn
    )
    assert [box[4] for box in boxes] == ["plus", "minus", "plus"]
    for i, (title, x, _, width, _) in enumerate(boxes):
        assert title.endswith(f"times {model.term_text(i)}")
        time = int(model.term_text(i).rpartition(" ")[2])
        middle = (float(x) + float(width) / 2 - 104) / (1000 - 114) * 48
        assert middle == pytest.approx(time + 0.5, abs=0.6)
        assert float(width) == pytest.approx(2 ** model.blocks[model.terms[i].block].scale / 48 * 886, abs=0.2)
    tops = [float(box[2]) for box in boxes]
    assert tops[2] - tops[1] == pytest.approx(2 * (tops[1] - tops[0]))  # approximation, scale 3, then scale 1
    assert drawn.count("atom of-") == 3


def test_a_bar_is_what_moves_the_score() -> None:
    model = wavelet()
    documents = make_run({"wavelet": model})
    found = values_of(model)["terms"]
    moved = np.abs([t.value[0] for t in model.terms]) * model.term_values(documents.arrays["X"]).std(axis=0)
    assert [float(line["share"]) for line in found] == pytest.approx((50 * moved / moved.max()).tolist(), abs=0.06)
    assert [line["bar"] for line in found] == ["bar plus", "bar minus", "bar plus"]
    weights = values_of(model, n=0)
    assert not weights["measured"]
    assert [line["size"] for line in weights["terms"]] == ["0.5", "2", "1.25"]
    assert weights["examples"] == []


@pytest.mark.parametrize("features", ["fixed", "largest"])
@pytest.mark.parametrize("image", [None, (8, 8, 1), (4, 4, 3)])
def test_the_value_of_a_term_is_its_coefficient(features: Any, image: tuple[int, int, int] | None) -> None:
    points = 48 if image is None or image[2] == 3 else 64
    terms = (WaveletTerm(1, 0, (1.0,)),)
    model = wavelet(("y",), points, image, level=2, features=features, terms=terms, intercept=(0.0,), held=((3, 2.0),))
    Z = np.random.default_rng(0).normal(size=(20, points))
    np.testing.assert_allclose(model.term_values(Z)[:, 0], model.predict_encoded(Z)[:, 0], atol=1e-12)


def test_examples_are_the_rows_that_the_teacher_is_surest_of() -> None:
    documents = make_run({"wavelet": wavelet()})
    teacher = documents.arrays["teacher"]
    said = [example["name"] for example in values_of(wavelet())["examples"]]
    for c, name in enumerate(("down", "up")):
        i = int(teacher[:, c].argmax())
        assert said[c] == f"held-out row {i + 1}: to the teacher {teacher[i, c]:.0%} {name}"
    values = values_of(wavelet(("y",)))
    assert "the least answer" in values["examples"][0]["name"]
    assert "the greatest answer" in values["examples"][1]["name"]


def test_several_scores_are_told_apart_by_colour() -> None:
    values = values_of(wavelet(("a", "b", "c", "d")))
    assert values["colours"] == ["a", "b", "c", "d"]
    assert str(values["wide"]).count('class="k3"') == 3
    assert values["terms"][0]["weight"] == "d + 2, c + 1.5, b + 1, and 1 more"


def test_the_greatest_of_a_scale_fill_its_lane() -> None:
    values = values_of(wavelet(features="largest"))
    assert values["is_fixed"] is False
    assert str(values["wide"]).count('class="cell"') == 3
    assert "atom of-" not in str(values["wide"])
    assert values["terms"][1]["name"] == "number 5 by size of scale 3"


def test_an_image_has_its_four_filters_and_its_atoms() -> None:
    model = wavelet(points=64, image=(8, 8, 1), level=1, terms=(WaveletTerm(1, 3, (1.0,)), WaveletTerm(3, 7, (-1.0,))))
    values = values_of(model)
    assert [f["name"] for f in values["filters_2d"]][3:5] == ["diagonal, start", "approximation, learned"]
    assert [atom["name"] for atom in values["atoms"]] == [model.term_text(0), model.term_text(1)]
    assert values["wide"] == ""
    text = render(make_run({"wavelet": model}))
    assert text.count('alt="Filter: ') == 8


def test_hostile_names_stay_text_and_long_models_are_cut() -> None:
    columns = (*wavelet().schema.columns, Column(ATTACK, "nominal", HOSTILE[:3], dtype="object"))
    terms = tuple(WaveletTerm(4, i, (0.5,)) for i in range(20)) + tuple(WaveletTerm(3, i, (1.0,)) for i in range(9))
    model = wavelet(
        (HOSTILE[0], HOSTILE[1]), schema=Schema(columns), terms=terms, level=4, levels=(LevelTerm(48, 0, (3.0,)),)
    )
    text = render(make_run({HOSTILE[2]: model, "wavelet": wavelet((HOSTILE[0], HOSTILE[1]), schema=Schema(columns))}))
    assert ATTACK not in text
    assert "&lt;script&gt;window.hacked" in text
    assert "29 coefficients of a wavelet of 4 scales" in text
    many = tuple(WaveletTerm(1, i, (1.0,)) for i in range(MAX_TERMS + 2))
    assert values_of(wavelet(points=200, level=1, terms=many))["more"] == "2 more terms are in the text below."


def test_no_coefficient_and_no_signal_are_drawn_too() -> None:
    for model in (wavelet(terms=()), wavelet(("y",), terms=(), signal=())):
        assert 'class="wavelet-terms"' in render(make_run({"wavelet": model}))
    assert values_of(wavelet(("y",), terms=(), signal=()))["wide"] == ""


def test_the_family_has_its_colour_and_mark() -> None:
    assert tone("wavelet") == "wavelet"
    assert str(mark("wavelet")) != str(mark("new"))
    assert ".family-wavelet {" in render(make_run({"wavelet": wavelet()}))
