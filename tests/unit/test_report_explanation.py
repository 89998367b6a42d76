"""The page of an explanation: scores and groups as they are; hostile names stay text; what is malformed is refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from explanation_documents import (
    KINDS,
    explanation,
    hostile,
    image_row,
    signal_row,
    table_row,
    text_row,
    without_groups,
)
from limbeck._core.errors import InputError, StorageError
from limbeck.report import _explanation, _shell, render_explanation, write_explanation
from limbeck.report._explanation_across_svg import sentence_svg
from limbeck.report._explanation_image_svg import Canvas, heat_svg, level_svg, outline
from limbeck.report._explanation_levels import boxes, groups_at, leaf_order
from limbeck.report._explanation_names import members
from limbeck.report._explanation_read import read_explanation
from limbeck.report._explanation_signal_svg import signal_svg
from limbeck.report._explanation_tones import score_text
from limbeck.report._explanation_values import ExplainedRow
from limbeck.report._images import around_zero, png_uri
from limbeck.report._shell import MAX_BYTES
from reading_html import Tags
from report_runs import ATTACK, HOSTILE


def first(kind: str, data: dict[str, Any] | None = None) -> ExplainedRow:
    return read_explanation({**explanation(kind, 1), **({"rows": [data]} if data else {})}).rows[0]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {kind: render_explanation(explanation(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_document_gives_the_same_bytes(pages: dict[str, str], kind: str) -> None:
    document = explanation(kind)
    before = copy.deepcopy(document)
    assert render_explanation(json.loads(json.dumps(document))) == render_explanation(document) == pages[kind]
    assert document == before
    assert len(pages[kind].encode()) < 150_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_whole_and_fetches_nothing(pages: dict[str, str], kind: str) -> None:
    page = pages[kind]
    tags = Tags(page)
    ids = [str(attrs["id"]) for _, attrs in tags.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {str(attrs["href"]) for _, attrs in tags.seen if "href" in attrs}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert not [attrs for _, attrs in tags.seen if "src" in attrs]
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    script = page[page.index("<script>") + 8 : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:;"
    assert policy in html.unescape(page)
    assert "@import" not in page
    assert "url(" not in page


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_says_what_was_explained_and_how(pages: dict[str, str], kind: str) -> None:
    words = " ".join(Tags(pages[kind]).words)
    for said in (
        f"A network on {kind}s",
        "a network of 8 units",
        "agglomerative contextual decomposition (ACD)",
        "proportional: a bias is shared",
        "The explanation may be used: all checks hold.",
        "Nothing was left out.",
        "1.2 × 10⁻⁷",
        "1.4 × 10⁻⁷",
        "0.700 to 0.850",
    ):
        assert said in words
    value = explanation(kind)["rows"][1]["value"]
    assert f"<dd>{value:.3f}</dd>".replace("-", "−") in pages[kind]


def test_right_wrong_and_unknown_truth() -> None:
    rows = [text_row(0), {**text_row(1), "truth": "negative"}, {**text_row(2), "truth": None, "bias": None}]
    page = render_explanation(explanation("text", rows=0) | {"rows": rows})
    parts = [page[page.index(f'id="row-{i}"') :].split("</dl>")[0] for i in range(3)]
    assert ["✓" in part for part in parts] == [True, False, False]
    assert ["✕" in part for part in parts] == [False, True, False]
    assert ["not known" in part for part in parts] == [False, False, True]
    assert ["Bias part" in part for part in parts] == [True, True, False]


@pytest.mark.parametrize("kind", KINDS)
def test_every_table_has_heads_and_every_picture_words(pages: dict[str, str], kind: str) -> None:
    tags = Tags(pages[kind])
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in tags.seen if tag == "th")
    pictures = re.findall(r"<svg[^>]*role=\"img\"[^>]*>(.{40})", pages[kind], re.S)
    assert len(pictures) >= 4
    assert all(start.startswith("<title>") for start in pictures)
    assert pages[kind].count("<desc>") == len(pictures)
    hidden = [attrs for tag, attrs in tags.seen if tag == "svg" and attrs.get("role") != "img"]
    assert all(attrs.get("aria-hidden") == "true" for attrs in hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_stay_text(kind: str) -> None:
    page = render_explanation(hostile(kind))
    tags = Tags(page)
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    assert "img" not in {tag for tag, _ in tags.seen}
    assert not [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)]
    assert ATTACK not in page
    assert any(ATTACK in word for word in tags.words)
    assert any(HOSTILE[1] in word for word in tags.words)
    assert not [word for word in tags.words if "n" * 150 in word]


def test_the_outline_is_that_of_the_union() -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=bool)
    inside, border = outline(mask)
    assert inside == "M0 0h2v1h-2zM0 1h1v1h-1zM2 2h1v1h-1z"
    steps = re.findall(r"M(\d+) (\d+)([HV])(\d+)", border)
    sides = set()
    for x, y, way, end in ((int(x), int(y), way, int(end)) for x, y, way, end in steps):
        sides |= {(k, y, "H") for k in range(x, end)} if way == "H" else {(x, k, "V") for k in range(y, end)}
    expected = set()
    for r, c in np.argwhere(mask):
        for dr, dc, side in (
            (-1, 0, (c, r, "H")),
            (1, 0, (c, r + 1, "H")),
            (0, -1, (c, r, "V")),
            (0, 1, (c + 1, r, "V")),
        ):
            near = (r + dr, c + dc)
            if not (0 <= near[0] < 3 and 0 <= near[1] < 3 and mask[near]):
                expected.add((int(side[0]), int(side[1]), side[2]))
    assert sides == expected
    assert outline(np.zeros((2, 2), dtype=bool)) == ("", "")


def test_the_heat_is_each_pixel_in_the_colour_of_its_score() -> None:
    row = first("image")
    svg, full = heat_svg(Canvas.of(row, "p", 99), row)
    assert full == 1.0
    assert png_uri(around_zero(np.array(row.alone).reshape(6, 6), full)) in svg
    assert png_uri(around_zero(-np.array(row.alone).reshape(6, 6), full)) not in svg
    assert "2 units with a score above zero, 2 below; the strongest −1.00." in svg


def test_a_level_draws_the_groups_that_are_there() -> None:
    row = first("image")
    assert [groups_at(row.groups, level) for level in range(4)] == [[3, 1, 0, 2], [4, 3, 2], [5, 3], [6]]
    canvas = Canvas.of(row, "p", 99)
    svg = level_svg(canvas, row, 2, 3.0)
    hovers = re.findall(r"<g><title>([^<]*)</title><path class=\"(\w+)\" fill-opacity=\"([\d.]+)\"", svg)
    assert hovers == [("Group 2: −1.00, 1 pixel", "minus", "0.240"), ("Group 1: +3.00, 3 pixels", "plus", "0.720")]
    assert 'd="M0 0h1v1h-1zM0 1h2v1h-2z"' in svg
    assert "Level 2: 2 groups" in svg
    assert "group 1 +3.00, group 2 −1.00." in svg


def test_a_large_image_is_made_coarse_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    row = first("image", image_row(side=10, channels=3))
    canvas = Canvas.of(row, "p", 4)
    assert canvas.coarse == 3
    assert canvas.shape == (4, 4)
    picture = row.input.values  # type: ignore[union-attr]
    np.testing.assert_allclose(canvas.values[0, 0], picture[:3, :3].mean((0, 1)))
    np.testing.assert_allclose(canvas.values[3, 3], picture[9, 9])
    assert canvas.mask([0]).tolist() == (np.arange(16).reshape(4, 4) == 0).tolist()
    assert canvas.mask([99])[3, 3]
    monkeypatch.setattr(_explanation, "LIMITS", _explanation.LIMITS[3:4])
    page = render_explanation(explanation("image", 0) | {"rows": [image_row(side=40)]})
    assert "2 × 2 pixels are drawn as one" in page


def test_a_sentence_is_a_tree_whose_boxes_may_have_gaps() -> None:
    row = first("text")
    drawn = boxes(row.groups, [unit.positions for unit in row.units], range(9))
    by_words = {members(row, row.groups[box.group].units): box for box in drawn}
    apart, phrase = by_words["“not … good”"], by_words["“not very good”"]
    assert apart.runs == ((3, 4), (5, 6))
    assert phrase.runs == ((3, 6),)
    assert phrase.height == apart.height + 1
    assert phrase.below == (apart.group,)
    assert phrase.bare == (4,)
    for box in drawn:
        for other in drawn:
            if box.group != other.group and box.height == other.height:
                assert box.runs[-1][1] <= other.runs[0][0] or other.runs[-1][1] <= box.runs[0][0]
    svg, wide = sentence_svg(row, [unit.name for unit in row.units], range(9), 3.0, lambda g: members(row, g))
    words = "".join(ElementTree.fromstring(svg).itertext())
    assert wide < 1_000
    for text in ("“not … good”: −2.20", "“not very good”: −2.00", "+2.10", "delight"):
        assert text in words
    high = [float(rect.get("y", 0)) for rect in ElementTree.fromstring(svg).iter("rect")]
    assert min(high) > 0


def test_the_strongest_group_is_said_in_words(pages: dict[str, str]) -> None:
    assert "The strongest single word: “good”, with a score of +2.10." in pages["text"]
    assert "The strongest group: “not … good”, with a score of −2.20." in pages["text"]
    assert "The strongest group: window" not in pages["signal"]
    assert "The strongest group: steps 0 to 3 and 20 to 23, with a score of +2.20." in pages["signal"]
    assert "The strongest single column: duration, with a score of +1.10." in pages["table"]
    assert "3 pixels (rows 0 to 1, columns 0 to 1), with a score of +3.00." in pages["image"]


def test_a_long_sentence_stands_one_word_a_line() -> None:
    words = [f"word{i}" for i in range(90)]
    long = text_row() | {"input": {"words": words}, "nodes": text_row()["nodes"]}
    long["units"] = [{"name": word, "positions": [i]} for i, word in enumerate(words)]
    long["alone"] = [*long["alone"], *([0.0] * 81)]
    page = render_explanation(explanation("text", 0) | {"rows": [long]})
    assert "sentence-svg" not in page.split("</style>")[1]
    assert "The first 80 of 90 words." in page


def test_a_table_keeps_every_group_in_one_piece() -> None:
    row = first("table")
    order = leaf_order(row)
    assert sorted(order) == list(range(5))
    place = {unit: i for i, unit in enumerate(order)}
    drawn = boxes(row.groups, [[place[unit]] for unit in range(5)], range(9))
    assert [len(box.runs) for box in drawn] == [1, 1, 1]
    assert order[-1] == 4
    page = render_explanation(explanation("table", 1))
    for name, value in zip(row.input.names, row.input.values, strict=True):  # type: ignore[union-attr]
        assert f"<title>{name}</title>" in page
        assert f"<title>{value}</title>" in page


@pytest.mark.parametrize("width", [368, 1040])
def test_a_signal_has_its_windows_behind_the_curve(width: int) -> None:
    row = first("signal")
    svg = ElementTree.fromstring(signal_svg(row, width, range(9), 2.2, lambda g: members(row, g)))
    windows = [group for group in svg.iter("g") if group.get("class") == "window"]
    found = [(one.find("rect").get("class"), float(one.find("rect").get("fill-opacity"))) for one in windows]  # type: ignore[union-attr, arg-type]
    assert [kind for kind, _ in found] == ["plus", "minus", "plus", "nil", "minus", "plus"]
    assert int(np.argmax([deep for _, deep in found])) == 2
    lefts = [float(one.find("rect").get("x")) for one in windows]  # type: ignore[union-attr, arg-type]
    assert lefts == sorted(lefts)
    curve = next(line for line in svg.iter("polyline") if line.get("class") == "curve")
    heights = [float(point.split(",")[1]) for point in (curve.get("points") or "").split()]
    values = row.input.channels[0]  # type: ignore[union-attr]
    assert np.corrcoef(heights, values)[0, 1] == pytest.approx(-1.0, abs=1e-3)
    edge = [rect for rect in svg.iter("rect") if "x" in rect.attrib]
    assert max(float(rect.get("x", 0)) + float(rect.get("width", 0)) for rect in edge) <= width


def test_many_channels_and_steps_are_thinned_and_said() -> None:
    page = render_explanation(explanation("signal", 0) | {"rows": [signal_row(channels=8, steps=6_000)]})
    assert "The first 6 of 8 channels are drawn." in page
    assert "Of 6,000 steps, the lowest and the highest of each short stretch are drawn." in page
    values = signal_row(channels=8, steps=6_000)["input"]["channels"][0]
    assert len(re.findall(r'class="curve" points="([^"]*)"', page)[0].split()) < 1_300
    assert f">{max(values):.3g}<" in page.replace("−", "-")


def test_interactions_are_a_table_and_a_matrix(pages: dict[str, str]) -> None:
    section = pages["text"][pages["text"].index('id="row-0"') :].split("</section>")[0]
    assert "Together they lower the output by 3.40 beyond the sum of the two." in section
    matrix = ElementTree.fromstring(re.findall(r"<svg class=\"matrix-svg\".*?</svg>", section, re.S)[0])
    cells = ["".join(group.itertext()) for group in matrix.iter("g")]
    assert cells.count("A with B: −3.40−3.40") == cells.count("B with A: −3.40−3.40") == 1
    assert len(cells) == 6
    assert "Interactions" not in render_explanation(without_groups(explanation("text", 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_without_groups_shows_heat_and_bars(kind: str) -> None:
    page = render_explanation(without_groups(explanation(kind, 1)))
    Tags(page)
    body = page.split("</style>")[1].split("<script>")[0]
    assert "contextual decomposition (CD)" in body
    assert 'class="rows-svg"' in body
    assert "data-viewer" not in body
    assert 'class="box"' not in body
    assert "The groups in numbers" not in body
    bars = ElementTree.fromstring(
        re.findall(r"<svg class=\"rows-svg\".*?</svg>|<svg [^>]*rows-svg.*?</svg>", body, re.S)[0]
    )
    lengths = [float(bar.get("width", 0)) for bar in bars.iter("rect") if (bar.get("class") or "").startswith("bar")]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 20


def test_levels_are_thinned_and_said() -> None:
    long = table_row(names=[f"c{i}" for i in range(5)])
    made = [{"units": [i], "score": 1.0, "children": [], "level": 0} for i in range(40)]
    for k in range(1, 40):
        made.append(
            {"units": list(range(k + 1)), "score": float(k), "children": [k, 38 + k if k > 1 else 0], "level": k}
        )
    values = {"names": [f"c{i}" for i in range(40)], "values": ["1"] * 40}
    long.update(input=values, nodes=made, alone=[1.0] * 40, interactions=[])
    long["units"] = [{"name": f"c{i}", "positions": [i]} for i in range(40)]
    page = render_explanation(explanation("table", 0) | {"rows": [long]})
    assert "8 of 40 levels are drawn, evenly spread." in page


def test_what_is_too_large_is_thinned_and_at_last_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    document = explanation("image", 9)
    sizes = [len(render_explanation(document).encode())]
    assert "To stay below 3 MB" not in render_explanation(document)
    sentences = []
    for _ in range(4):
        monkeypatch.setattr(_shell, "MAX_BYTES", sizes[-1])
        try:
            page = render_explanation(document)
        except InputError:
            break
        sizes.append(len(page.encode()))
        sentences.append("The first 8 rows of 9 are shown." in page or "The first 1 row of 9 are shown." in page)
        assert "To stay below 3 MB, fewer levels, units and pixels are shown than the document holds." in page
    assert sizes == sorted(sizes, reverse=True)
    assert any(sentences)
    monkeypatch.setattr(_shell, "MAX_BYTES", 1_000)
    with pytest.raises(InputError, match="a page below 3 MB can't show 9 rows; explain fewer, or smaller ones"):
        render_explanation(document)


def test_a_real_size_stays_below_the_limit() -> None:
    generator = np.random.default_rng(0)
    side, tile = 224, 16
    block = [r * side + c for r in range(tile) for c in range(tile)]
    corners = [i // 14 * tile * side + i % 14 * tile for i in range(196)]
    units = [{"name": f"tile {i}", "positions": [at + p for p in block]} for i, at in enumerate(corners)]
    one = image_row()
    one["input"] = {
        "height": side,
        "width": side,
        "channels": 3,
        "values": generator.integers(0, 256, side * side * 3).tolist(),
    }
    one.update(units=units, alone=generator.normal(size=196).tolist())
    page = render_explanation(explanation("image", 0) | {"rows": [one] * 5})
    assert len(page.encode()) < MAX_BYTES
    found = re.findall(r"base64,([A-Za-z0-9+/=]+)", page)
    assert len(found) == 10
    png = base64.b64decode(found[0])
    assert png[:4] == b"\x89PNG"
    start = png.index(b"IDAT")
    length = int.from_bytes(png[start - 4 : start], "big")
    assert len(zlib.decompress(png[start + 4 : start + 4 + length])) > 0


def changed(kind: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """An explanation in which one entry is another, or is missing."""
    found: Any = explanation(kind)
    place = found
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


def transformed(kind: str = "signal", rows: int = 1, **more: Any) -> dict[str, Any]:
    """An explanation by groups of coefficients: the first is most of the row and nothing to the output."""
    document = explanation(kind, rows, **{"method": "trim", "transform": "Fourier"} | more)
    for one in document["rows"]:
        low, high = copy.deepcopy(one["input"]), copy.deepcopy(one["input"])
        for part in (low, high) if kind == "image" else ():
            part.update(low=-3.0, high=3.0)
        one["units"] = [{"name": n, "positions": [], "coefficients": 12} for n in ("slow", "fast", "absent")]
        one.update(alone=[0.01, -2.5, 0.0], nodes=[], interactions=[{"a": [0], "b": [1], "value": 0.5}], lost=0.25)
        one["parts"] = [{"unit": 1, "share": 0.0123, "input": high}, {"unit": 0, "share": 0.9, "input": low}]
        one["remainder"] = copy.deepcopy(low)
    return document


@pytest.mark.parametrize("kind", ["image", "signal", "table"])
def test_groups_of_coefficients_are_bars_with_their_parts_beside(kind: str) -> None:
    page = render_explanation(transformed(kind))
    Tags(page)
    section = page[page.index('id="row-0"') :].split("</section>")[0]
    assert "The strongest group of coefficients: fast, with a score of −2.50." in section
    assert "Lost by the transform</dt><dd>25 % of the row" in section
    assert "groups of coefficients</b> of a transform" in page
    assert "<dt>Transform</dt><dd>Fourier</dd>" in page
    assert "The 2 strongest of 3 groups." in section
    for drawing in re.findall(
        r"<svg class=\"rows-svg parts-svg\".*?</svg>|<svg [^>]*parts-svg.*?</svg>", section, re.S
    ):
        svg = ElementTree.fromstring(drawing)
        words = ["".join(text.itertext()) for text in svg.iter("text")]
        assert words.index("−2.50") < words.index("+0.01")
        names = [word for word in words if word.startswith(("fastfast", "slowslow", "lost by the transform"))]
        assert len(names) == 3
        bars = [one for one in svg.iter("rect") if (one.get("class") or "").startswith("bar")]
        assert float(bars[0].get("width", 0)) > 20 * float(bars[1].get("width", 0))
        if kind != "table":
            assert any(word.startswith("1.2 % of the row") for word in words)
            assert len([*svg.iter("image"), *svg.iter("polyline")]) == 4
    assert section.count("parts-svg") == 2
    assert "data-viewer" not in section


def test_parts_that_lose_nothing_and_old_documents() -> None:
    document = transformed("signal")
    document["rows"][0].update(lost=1e-14)
    page = render_explanation(document)
    assert "0 % of the row" in page
    assert "lost by the transform<" not in page
    del document["rows"][0]["remainder"]
    Tags(render_explanation(document))
    assert "parts-svg" not in render_explanation(explanation("signal", 1)).split("</style>")[1]


@pytest.mark.parametrize("kind", ["image", "signal", "table"])
def test_hostile_groups_stay_text(kind: str) -> None:
    document = transformed(kind, transform=ATTACK)
    for unit, name in zip(document["rows"][0]["units"], [ATTACK, HOSTILE[0], HOSTILE[1]], strict=True):
        unit["name"] = name
    if kind == "table":
        for part in document["rows"][0]["parts"]:
            part["input"]["names"] = [ATTACK] * 5
    page = render_explanation(document)
    Tags(page)
    assert ATTACK not in page
    assert render_explanation(document) == page


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("lost", "all", r"rows\[0\]\.lost must be a finite number from 0; got 'all'"),
        ("parts", None, r"rows\[0\]\.parts must be a list"),
        ("parts", KeyError, r"rows\[0\] lacks 'parts'"),
        ("unit", 3, r"parts\[1\]\.unit must be a whole number from 0 to 2; got 3"),
        ("unit", 1, r"parts must be a list of different units"),
        ("share", -0.5, r"parts\[1\]\.share must be a finite number from 0; got -0.5"),
        ("input", {"height": 6}, r"parts\[1\]\.input lacks 'low'"),
        ("transform", 3, r"transform must be text; got 3"),
    ],
)
def test_malformed_parts_are_refused(key: str, value: Any, match: str) -> None:
    document = transformed("image")
    row = document["rows"][0]
    place = document if key == "transform" else row if key in row and key != "input" else row["parts"][1]
    if value is KeyError:
        del place[key]
    else:
        place[key] = value
    with pytest.raises(InputError, match=match):
        render_explanation(document)


def test_a_number_is_not_right_or_wrong() -> None:
    document = explanation("table", 1, outputs=["price"])
    document["rows"][0].update(output=0, output_name="price", predicted="30.05", truth="38.6")
    page = render_explanation(document)
    assert ">wrong<" not in page.split("</style>")[1]
    assert "38.6" in page


R = ("rows", 1)
BAD: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("text", ("version",), 2, r"reads explanations of version 1; got 2\. Update limbeck"),
    ("text", ("version",), KeyError, r"reads explanations of version 1; got None"),
    ("text", ("format",), "study", r"an explanation's document is required.*got format 'study'"),
    ("text", ("kind",), "video", r"kind must be image, text, signal or table; got 'video'"),
    ("text", ("name",), 3, r"explanation.json: name must be text; got 3"),
    ("text", ("verdict",), KeyError, r"explanation.json lacks 'verdict'\. Write the explanation again"),
    ("text", ("outputs",), [], r"outputs must be a list of at least 1; got \[\]"),
    ("text", ("rows",), [], r"rows must be a list of at least 1; got \[\]"),
    ("text", ("rows",), {}, r"rows must be a list of at least 1; got \{\}"),
    ("text", ("seed",), True, r"seed must be a whole number from 0; got True"),
    ("text", ("seconds",), -1.0, r"seconds must be a finite number from 0; got -1.0"),
    ("text", ("notes",), "a", r"notes must be a list; got 'a'"),
    ("text", R, None, r"rows\[1\] must be an object; got None"),
    ("text", (*R, "output"), 2, r"rows\[1\]\.output must be a whole number from 0 to 1; got 2"),
    ("text", (*R, "value"), float("nan"), r"rows\[1\]\.value must be a finite number; got nan"),
    ("text", (*R, "value"), float("-inf"), r"rows\[1\]\.value must be a finite number; got -inf"),
    ("text", (*R, "residual"), -1.0, r"rows\[1\]\.residual must be a finite number from 0; got -1.0"),
    ("text", (*R, "bias"), "0", r"rows\[1\]\.bias must be a finite number; got '0'"),
    ("text", (*R, "truth"), 1, r"rows\[1\]\.truth must be text; got 1"),
    ("text", (*R, "input", "words"), [], r"input\.words must be a list of at least 1"),
    ("text", (*R, "input", "words", 2), None, r"input\.words\[2\] must be text; got None"),
    (
        "text",
        (*R, "units", 0, "positions"),
        [9],
        r"units\[0\]\.positions\[0\] must be a whole number from 0 to 8; got 9",
    ),
    ("text", (*R, "units", 0, "positions"), [], r"units\[0\]\.positions must be a list of at least 1"),
    ("text", (*R, "units", 0, "positions"), [1, 1], r"units\[0\]\.positions must be a list of different numbers"),
    ("text", (*R, "alone"), [1.0], r"rows\[1\]\.alone must hold one number a unit, 9; got 1"),
    ("text", (*R, "alone", 3), float("inf"), r"rows\[1\]\.alone\[3\] must be a finite number; got inf"),
    ("text", (*R, "nodes", 9, "children"), [9], r"nodes\[9\]\.children\[0\] must be a whole number from 0 to 8; got 9"),
    (
        "text",
        (*R, "nodes", 0, "children"),
        [0],
        r"nodes\[0\]\.children\[0\] must be a whole number from 0 to -1; got 0",
    ),
    ("text", (*R, "nodes", 10, "children"), [3, 4], r"nodes\[10\]\.children must be groups that are in no other group"),
    ("text", (*R, "nodes", 9, "units"), [3], r"nodes\[9\]\.units must be units that hold those of each child; group 5"),
    ("text", (*R, "nodes", 9, "units"), [99], r"nodes\[9\]\.units\[0\] must be a whole number from 0 to 8; got 99"),
    ("text", (*R, "nodes", 3, "level"), 5, r"nodes\[9\]\.level must be a level that is not below that of a child"),
    ("text", (*R, "nodes", 3, "score"), None, r"nodes\[3\]\.score must be a finite number; got None"),
    ("text", (*R, "interactions", 0, "a"), [], r"interactions\[0\]\.a must be a list of at least 1"),
    ("text", (*R, "interactions", 0, "value"), KeyError, r"rows\[1\]\.interactions\[0\] lacks 'value'"),
    (
        "text",
        ("findings", 0, "status"),
        "good",
        r"findings\[0\]\.status must be pass, fail, inconclusive or not_applicable",
    ),
    ("text", ("findings", 1, "interval"), [0.1], r"findings\[1\]\.interval must be"),
    ("text", ("findings", 1, "details"), {"a": float("nan")}, r"findings\[1\]\.details\.a must be a finite number"),
    ("image", (*R, "input", "channels"), 2, r"input\.channels must be 1 or 3; got 2"),
    (
        "image",
        (*R, "input", "height"),
        7,
        r"input\.values must hold 42 numbers, for height 7, width 6 and channels 1; got 36",
    ),
    ("image", (*R, "input", "values", 5), 256, r"input\.values\[5\] must be a number from 0 to 255; got 256"),
    ("image", (*R, "input", "values", 5), "0", r"input\.values\[5\] must be a finite number; got '0'"),
    (
        "signal",
        (*R, "input", "channels"),
        [[1.0, 2.0], [1.0]],
        r"channels must be of one length; got the lengths \[2, 1\]",
    ),
    ("signal", (*R, "input", "channels", 0, 4), float("nan"), r"channels\[0\]\[4\] must be a finite number; got nan"),
    ("table", (*R, "input", "values"), ["1"], r"rows\[1\]\.input must hold 5 values, one a name; got 1"),
    ("table", (*R, "input", "values", 0), 41, r"input\.values\[0\] must be text; got 41"),
]


@pytest.mark.parametrize(("kind", "path", "value", "match"), BAD, ids=lambda v: repr(v)[:40])
def test_what_is_malformed_is_refused(kind: str, path: tuple[Any, ...], value: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        render_explanation(changed(kind, path, value))


@pytest.mark.parametrize("data", [None, [], "explanation", 3, {}])
def test_what_is_no_explanation_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="an explanation's document is required: an object with format"):
        render_explanation(data)


def test_more_rows_than_a_page_can_show_are_refused() -> None:
    with pytest.raises(InputError, match=r"rows must hold at most 1000 entries.*got 1001"):
        render_explanation(explanation("text", 0) | {"rows": [{}] * 1_001})


def test_details_that_never_end_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"deeper": deep}
    with pytest.raises(InputError, match="nested too deep"):
        render_explanation(changed("text", ("findings", 0, "details"), deep))


@pytest.mark.parametrize("value", [10**400, -1e308, 1e-308, -0.0, 0], ids=lambda v: repr(v)[:8])
@pytest.mark.parametrize("kind", KINDS)
def test_odd_numbers_are_drawn(kind: str, value: Any) -> None:
    odd = explanation(kind, 1)
    one = odd["rows"][0]
    one.update(value=value, alone=[value] * len(one["alone"]), residual=abs(value))
    for group in one["nodes"]:
        group["score"] = value
    for pair in one["interactions"]:
        pair["value"] = value
    if kind == "signal":
        one["input"]["channels"] = [[value] * 24]
    words = "".join(re.findall(r"<svg.*?</svg>", render_explanation(odd), re.S)).lower()
    assert "nan" not in re.sub(r"base64,[a-z0-9+/=]+", "", words)
    assert not re.search(r"\binf\b", words)


@pytest.mark.parametrize("kind", KINDS)
def test_one_unit_is_enough(kind: str) -> None:
    one = explanation(kind, 1)["rows"][0]
    if kind == "image":
        one["input"] = {"height": 1, "width": 1, "channels": 1, "values": [7]}
    if kind == "text":
        one["input"]["words"] = [""]
    if kind == "signal":
        one["input"]["channels"] = [[2.0]]
    if kind == "table":
        one["input"] = {"names": [""], "values": [""]}
    leaf = {"units": [0], "score": 0.5, "children": [], "level": 0}
    one.update(units=[{"name": "", "positions": [0]}], alone=[0.5], nodes=[leaf], interactions=[])
    Tags(render_explanation(explanation(kind, 0) | {"rows": [one]}))


def test_scores_have_the_decimals_that_the_largest_calls_for() -> None:
    assert [score_text(v, 12.0) for v in (12.0, -0.04, 0.0)] == ["+12.0", "0", "0"]
    assert score_text(-0.1234, 0.5) == "−0.123"
    assert score_text(123.4, 200.0) == "+123"


def test_the_page_is_written_from_a_folder(pages: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "explanation.json").write_text(json.dumps(explanation("text")), encoding="utf-8")
    assert write_explanation(tmp_path, tmp_path / "page.html").read_text(encoding="utf-8") == pages["text"]


def test_a_folder_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is not an explanation: a folder with explanation.json is required"):
        write_explanation(tmp_path, tmp_path / "page.html")
    (tmp_path / "explanation.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match=r"explanation.json can't be read as JSON"):
        write_explanation(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()
