"""The newer families in the report: soft trees drawn and read, rules, and the price of clarity."""

from __future__ import annotations

import base64
import itertools
import re
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest

from limbeck._core.storage import RunDocuments
from limbeck._core.tables import Column, Schema
from limbeck.readable import Condition, RuleSetReadable, SoftTreeReadable
from limbeck.report import render
from limbeck.report._clarity_svg import Curve, clarity_svg
from limbeck.report._clarity_view import clarity_view
from limbeck.report._embed import Budget, Scripts
from limbeck.report._front_svg import mark, tone
from limbeck.report._images import SHADES, around_zero, full_strength, plain_image
from limbeck.report._programs import exports_of, running_program
from limbeck.report._rules_view import condition_parts, rule_list_values, rule_set_values, rules_data
from limbeck.report._soft_svg import beside, filters_of, soft_tree_svg
from limbeck.report._soft_tree import soft_tree_data, soft_tree_readings
from limbeck.report._spans import most_used
from limbeck.report._students import read_students
from report_runs import (
    ATTACK,
    CURVES,
    MIXED,
    NUMBERS,
    every_family,
    grown_tree,
    make_run,
    mixed_regression,
    point,
    rule_list,
    rule_set,
    small_images,
    soft_tree,
    with_curves,
)

CLASSES = ("low", "middle", "high")


def unpacked(text: str) -> tuple[int, int, int, list[bytes]]:
    """Width, height, colour type and the lines of a PNG without filters; complains where a chunk's sum is wrong."""
    data = base64.b64decode(text)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, found = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + body)
        found[name] = body
        at += 12 + size
    width, height, depth, kind = struct.unpack(">IIBB", found[b"IHDR"][:10])
    assert depth == 8
    raw, step = zlib.decompress(found[b"IDAT"]), 1 + width * (3 if kind == 2 else 1)
    assert len(raw) == step * height
    return width, height, kind, [raw[i * step + 1 : (i + 1) * step] for i in range(height)]


def test_numbers_around_zero_become_shades() -> None:
    width, height, kind, lines = unpacked(around_zero(np.array([[-2.0, -0.5, 0.0], [0.5, 1.0, 3.0]]), 1.0))
    assert (width, height, kind) == (3, 2, 3)
    half = SHADES // 2
    assert lines == [bytes([0, half, SHADES]), bytes([SHADES + half, 2 * SHADES, 2 * SHADES])]


def test_images_keep_their_colours() -> None:
    grey = unpacked(plain_image(np.array([[[0.0], [5.0]], [[10.0], [20.0]]]), 0.0, 10.0))
    assert grey == (2, 2, 0, [bytes([0, 128]), bytes([255, 255])])
    colour = unpacked(plain_image(np.array([[[0.0, 0.5, 1.0]]]), 0.0, 1.0))
    assert colour == (1, 1, 2, [bytes([0, 128, 255])])


def test_full_strength_leaves_out_the_very_largest() -> None:
    assert full_strength(np.r_[np.ones(199), 100.0, np.zeros(50)]) == 1.0
    assert full_strength(np.zeros(4)) == 1.0


def test_channels_stand_side_by_side() -> None:
    image = np.arange(12.0)  # 2 rows, 2 columns, 3 channels
    assert beside(image, (2, 2, 3)).tolist() == [[0, 3, 1, 4, 2, 5], [6, 9, 7, 10, 8, 11]]


def test_weights_count_by_the_range_of_their_column() -> None:
    tree = soft_tree(NUMBERS, ("y",), "regression", 2)
    ranges = [{"low": 0.0, "high": 1.0}] * 4 + [{"low": 0.0, "high": 1e6}]
    for node, drawn in enumerate(filters_of(tree, ranges, 3, 2)):
        assert drawn.bars[0] == (4, pytest.approx(tree.weight[node, 4] * 1e6))
        assert drawn.bars[1][0] == int(np.argmax(np.abs(tree.weight[node, :4])))
        assert drawn.hidden == 3
        assert drawn.image == ""
    assert most_used(tree, ranges, 1) == [4]
    assert most_used(grown_tree(NUMBERS, ("y",), "regression", 3), ranges, 2) == [0, 1]


@pytest.mark.parametrize(("depth", "image", "filters", "feet"), [(1, None, 1, 2), (5, None, 7, 8), (6, 6, 15, 16)])
def test_the_first_levels_are_drawn(depth: int, image: int | None, filters: int, feet: int) -> None:
    schema = Schema(tuple(Column(f"p{j}") for j in range(36)))
    shape = (image, image, 1) if image else None
    drawn = str(soft_tree_svg(soft_tree(schema, CLASSES, "classification", depth, shape), [], label="t"))
    assert drawn.count("data-node=") == filters + feet
    assert drawn.count("data-edge=") == 2 * filters
    assert drawn.count("<image") == (filters if image else 0)
    assert drawn.count('class="bar best"') == feet


def test_boxes_of_a_soft_tree_do_not_overlap() -> None:
    for drawn in (
        str(soft_tree_svg(soft_tree(MIXED, CLASSES, "classification", 4), [], label="t")),
        str(soft_tree_svg(read_students(small_images())[1].readable, [], label="t")),  # type: ignore[arg-type]
    ):
        found = re.findall(r'class="box" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
        boxes = [tuple(map(float, box)) for box in found]
        assert len(boxes) == drawn.count("data-node=")
        for (x, y, w, h), (a, b, v, u) in itertools.combinations(boxes, 2):
            assert x + w < a or a + v < x or y + h < b or b + u < y


def test_the_walk_has_every_node() -> None:
    tree = soft_tree(MIXED, CLASSES, "classification", 4)
    data = soft_tree_data(tree, [])
    assert data is not None
    assert len(data["full"]) == len(data["bars"]) == 15
    assert len(data["rows"]) == len(data["values"]) == 31
    assert data["pictures"] is None
    for node, bars in enumerate(data["bars"]):
        assert data["names"][bars[0][0]] == tree.input_text(int(np.argmax(np.abs(tree.weight[node]))))
        assert data["rows"][node] == pytest.approx(data["rows"][2 * node + 1] + data["rows"][2 * node + 2])
    images = soft_tree_data(read_students(small_images())[1].readable, [])  # type: ignore[arg-type]
    assert images is not None
    assert images["image"] == [6, 6]
    assert [unpacked(text)[:2] for text in images["pictures"]] == [(6, 6)] * 15


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_readings_follow_the_tree(task: str) -> None:
    names = CLASSES if task == "classification" else ("prediction",)
    tree = soft_tree(MIXED, names, task, 3)
    documents = make_run({"soft_tree": tree})
    student = read_students(documents)[0]
    X, teacher = documents.arrays["X"], documents.arrays["teacher"]
    read = soft_tree_readings(student, tree, [], documents.arrays)
    assert 8 <= len(read) <= 12
    gap = np.abs(teacher - tree.predict_encoded(X)).sum(axis=1)
    assert f"held-out row {int(np.argmax(gap)) + 1}, among the worst" in [reading["label"] for reading in read]
    assert len({reading["label"] for reading in read}) == len(read)
    for reading in read:
        row = X[[int(re.findall(r"\d+", reading["label"])[0]) - 1]]
        way = [int(node) for node in reading["path"].split()]
        assert way[-1] == reading["leaf"] == tree.leaf_of(row)[0]
        assert way[:-1] == [step["node"] for step in reading["steps"]]
        assert [step["side"] for step in reading["steps"]] == ["left" if node % 2 else "right" for node in way[1:]]
        for step in reading["steps"]:
            sizes = [step["mean"], *(part["size"] for part in step["parts"])]
            total = sum(float(size.replace("\N{MINUS SIGN}", "-")) for size in sizes)
            score = tree.scores(row)[0, step["node"]]
            assert total == pytest.approx(score, abs=0.03 * max(1.0, abs(score)))


def test_the_readings_of_an_image_are_pictures() -> None:
    documents = small_images()
    student = read_students(documents)[1]
    tree = student.readable
    assert isinstance(tree, SoftTreeReadable)
    reading = soft_tree_readings(student, tree, documents.run["columns"], documents.arrays)[0]
    row = documents.arrays["X"][int(re.findall(r"\d+", reading["label"])[0]) - 1]
    step = reading["steps"][1]
    drawn = unpacked(step["map"].partition(",")[2])[3]
    parts = (tree.weight[step["node"]] * (row - tree.centre)).reshape(6, 6)
    shades = np.array([list(line) for line in drawn]) - SHADES
    assert np.array_equal(shades[np.abs(shades) > 0] > 0, parts[np.abs(shades) > 0] > 0)
    assert reading["picture"].startswith("data:image/png;base64,")
    assert step["parts"] == []


def test_a_tree_for_large_images_is_shown_and_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema(tuple(Column(f"p{j}") for j in range(784)))
    tree = soft_tree(schema, tuple("0123456789"), "classification", 8, (28, 28, 1))
    documents = make_run({"soft_tree": tree}, n=60)

    def refuse(self: SoftTreeReadable) -> None:
        raise AssertionError("no program may be built for 200,000 weights")

    monkeypatch.setattr(SoftTreeReadable, "program", refuse)
    text = render(documents)
    assert len(text.encode()) < 3_000_000
    assert "soft_tree is too large to be computed in this page" in text
    assert text.count("This export is long") == 5
    assert '"pictures":["iVBOR' in text
    assert '"first":[' in text
    assert text.count('class="reading') > 8


def test_images_of_three_colours_and_flat_filters_are_drawn() -> None:
    schema = Schema(tuple(Column(f"p{j}") for j in range(48)))
    tree = soft_tree(schema, CLASSES, "classification", 2, (4, 4, 3))
    flat = replace(tree, weight=np.zeros_like(tree.weight))
    documents = make_run({"colour": tree, "flat": flat})
    data = soft_tree_data(tree, [])
    assert data is not None
    assert data["image"] == [4, 12]
    assert {unpacked(text)[:2] for text in data["pictures"]} == {(12, 4)}
    text = render(documents)
    assert "the 3 channels are side by side" in text
    read = soft_tree_readings(read_students(documents)[0], tree, [], documents.arrays)[0]
    assert unpacked(read["picture"].partition(",")[2])[:3] == (4, 4, 2)
    assert unpacked(read["steps"][0]["map"].partition(",")[2])[:2] == (4, 4)


def test_a_small_soft_tree_is_written_out() -> None:
    student = read_students(make_run({"soft_tree": soft_tree(MIXED, CLASSES, "classification", 3)}))[0]
    running = running_program(student, Budget(10**6), Scripts())
    assert not isinstance(running, str)
    assert all(entry["text"] or entry["script"] for entry in exports_of(student, running, Budget(10**6)))


def test_a_full_page_leaves_out_the_readings_first(monkeypatch: pytest.MonkeyPatch) -> None:
    documents, without = small_images(), ""
    for left in (120_000, 150_000, 180_000):
        monkeypatch.setattr("limbeck.report._page.BUDGETS", (left,))
        without += render(documents).split('id="left-out"')[-1]
    assert "the readings of rows by soft_tree" in without


def test_a_tree_of_too_many_nodes_has_no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.report._soft_tree.MAX_WALK_NODES", 14)
    text = render(small_images())
    assert "the walk through all nodes of soft_tree: the tree is too large" in text
    assert 'class="soft-svg"' in text


JOB = Column("job", "nominal", ("clerk", "nurse", ATTACK), dtype="object")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (Condition(0, None, 1234.5), "job \N{LESS-THAN OR EQUAL TO} 1,234.5"),
        (Condition(0, 3.0, None), "job > 3"),
        (Condition(0, -1.0, 2.0), "\N{MINUS SIGN}1 < job \N{LESS-THAN OR EQUAL TO} 2"),
        (Condition(0, levels=(1,)), "job = nurse"),
        (Condition(0, levels=(1,), excluded=True), "job \N{NOT EQUAL TO} nurse"),
        (Condition(0, levels=(0, 2)), f"job in {{clerk, {ATTACK[:19]}…{ATTACK[-19:]}}}" if len(ATTACK) > 40 else ""),
    ],
)
def test_conditions_of_rules(condition: Condition, text: str) -> None:
    assert condition_parts(condition, JOB)["text"] == (text or f"job in {{clerk, {ATTACK}}}")


def test_a_rule_list_says_its_order_its_values_and_its_rows() -> None:
    values = rule_list_values(rule_list(MIXED, CLASSES, "classification"))
    assert [rule["word"] for rule in values["rules"]] == ["if", "else if", "else"]
    assert [rule["rows"] for rule in values["rules"]] == ["120 rows", "60 rows", "20 rows"]
    assert [rule["share"] for rule in values["rules"]] == ["60.0", "30.0", "10.0"]
    for rule in values["rules"]:
        assert sum(float(piece["share"]) for piece in rule["pieces"]) == pytest.approx(100.0, abs=1.1)


@pytest.mark.parametrize(
    ("names", "start"), [(("no", "yes"), "+ 0.5"), (CLASSES, "low + 0.5, middle + 0.5, high + 0.5")]
)
def test_a_rule_set_says_its_weights(names: tuple[str, ...], start: str) -> None:
    rules = rule_set(MIXED, names, "classification")
    values = rule_set_values(rules)
    assert values["start"] == start
    assert "\N{MINUS SIGN} 1.5" in values["rules"][1]["value"]
    assert len(values["rules"][0]["conditions"]) == 2
    assert len(values["terms"]) == 1
    assert isinstance(rules, RuleSetReadable)
    assert rules_data(rules) == {
        "first": False,
        "conditions": [[[0, 20.0, None, [], False], [1, None, 4.0, [], False]], [[1, 1.0, 3.0, [], False]]],
    }


# The price of clarity


def ends(drawn: str, part: str) -> list[list[tuple[float, float]]]:
    """The points of each line of this part."""
    lines = re.findall(rf'<polyline class="{part}" points="([^"]+)"', drawn)
    return [[tuple(map(float, pair.split(","))) for pair in line.split(" ")] for line in lines]  # type: ignore[misc]


def test_lines_lie_where_their_numbers_are() -> None:
    points = tuple(point(size, value) for size, value in ((10, 0.5), (100, 0.8), (1000, 0.9)))
    drawn = str(clarity_svg([Curve("tree", "tree", points)], "fidelity", "R²", 1000, 440))
    lines = {part: ends(drawn, part)[0] for part in ("train", "validation", "test")}
    for line in lines.values():
        (x, y), (a, b), (v, w) = line
        assert v - a == pytest.approx(a - x, abs=0.2)  # a factor of ten is a length
        assert (y - b) / (b - w) == pytest.approx(3.0, rel=0.02)
    gaps = [lines["test"][0][1] - lines[part][0][1] for part in ("validation", "train")]
    assert gaps[1] / gaps[0] == pytest.approx(3.0, rel=0.05)
    assert drawn.count('class="band"') == 1
    assert "tree: 25 leaves, 100 symbols; test 0.790; validation 0.800; training 0.820" in drawn


def test_where_to_stop_is_said_and_marked() -> None:
    text = render(every_family())
    assert "Stop at soft_tree with 15 levels, 60 symbols to read: validated agreement 0.905" in text
    assert "within one standard error (0.010) of the best, 0.910 by soft_tree with 100 leaves, 400 symbols." in text
    assert "On the test rows the price is 0.005: agreement 0.895 against 0.900." in text
    assert text.count('class="overall"') == 4  # wide and narrow, fidelity and accuracy
    assert text.count('class="stop"') == 8
    table = text[text.index('<table class="curves">') :].split("</table>")[0]
    assert table.count("<tr") == 1 + sum(map(len, CURVES.values()))
    assert "0.850 ± 0.010" in table
    assert table.count("stop here") == 1


def test_a_network_to_stop_at_is_named_beside_what_can_be_read() -> None:
    documents = mixed_regression()
    curves = {
        "tree": [point(8, 0.6), point(40, 0.85, stop=True)],
        "network": [point(900, 0.95, stop=True, stop_overall=True, unit="weights")],
    }
    view = clarity_view(with_curves(documents, curves), read_students(documents), "R²", None)
    assert view is not None
    assert "Stop at network" in view["sentence"]
    assert "of the others tree with 10 leaves, 40 symbols, comes nearest" in view["sentence"]
    assert "0.850, 0.100 less." in view["sentence"]


def test_a_run_without_curves_has_no_price() -> None:
    assert 'id="clarity"' not in render(mixed_regression())
    for curve in ([], None, "curve", [{"complexity": None}], [point(8, 0.5)]):
        documents = mixed_regression()
        documents.students["tree"]["curve"] = curve
        assert clarity_view(documents, read_students(documents), "R²", None) is None


def test_a_curve_without_validation_or_truth_names_no_size() -> None:
    absent = ("validation_fidelity", "validation_se", "train_accuracy", "validation_accuracy", "test_accuracy")
    documents: RunDocuments = every_family()
    curve = [point(size, 0.5 + size / 1000, **dict.fromkeys(absent)) for size in (10, 20, 200)]
    for name in CURVES:
        del documents.students[name]["curve"]
    view = clarity_view(with_curves(documents, {"tree": curve}), read_students(documents), "agreement", 0.9)
    assert view is not None
    assert view["sentence"].startswith("No size to stop at is named")
    assert len(view["pictures"]) == 1
    assert ends(str(view["pictures"][0]["wide"]), "validation") == []
    assert len(ends(str(view["pictures"][0]["wide"]), "test")[0]) == 3


def test_every_family_has_a_colour_and_a_mark() -> None:
    families = ("tree", "soft_tree", "rule_list", "rule_set", "formula", "network")
    assert len({tone(family) for family in families}) == len(families)
    assert len({str(mark(family)) for family in families}) == len(families)
    assert {tone("tree", "trepan"), tone("tree", "optimal_tree")}.isdisjoint(map(tone, families))
    assert tone("new") == tone(ATTACK, ATTACK) == "other"
    style = render(every_family()).split("</style>")[0]
    for family in (*families, "trepan", "optimal_tree"):
        assert f".family-{family.replace('_', '-')} {{" in style
