"""The page of modules: blocks and numbers as they are; hostile names stay text; what is malformed is refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from limbeck._core.errors import InputError, StorageError
from limbeck.report import _modules, _shell
from limbeck.report._modules import render_modules, write_modules
from limbeck.report._modules_pictures import COLOURS, GREY, block_colours, coarse, weights_svg
from limbeck.report._modules_read import read_modules
from limbeck.report._modules_values import Blocks
from limbeck.report._modules_view import share_text
from limbeck.report._shell import MAX_BYTES
from module_documents import hostile, modules, small
from reading_html import Tags, section
from report_runs import ATTACK, HOSTILE


def colours(uri: str) -> tuple[np.ndarray, np.ndarray]:
    """The colours (height, width, 3) and the opacities of a PNG with a palette."""
    data = base64.b64decode(uri.split(",")[1])
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
        at += size + 12
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, width + 1)[:, 1:]
    palette = np.frombuffer(chunks[b"PLTE"], dtype=np.uint8).reshape(-1, 3)
    return palette[lines], np.frombuffer(chunks[b"tRNS"], dtype=np.uint8)[lines]


@pytest.fixture(scope="module")
def page() -> str:
    return render_modules(small())


def test_the_same_document_gives_the_same_bytes(page: str) -> None:
    document = small()
    before = copy.deepcopy(document)
    assert render_modules(json.loads(json.dumps(document))) == page
    assert render_modules(document) == page
    assert document == before
    assert len(page.encode()) < 120_000


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    tags = Tags(page)
    ids = [str(attrs["id"]) for _, attrs in tags.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {str(attrs[key]) for _, attrs in tags.seen for key in ("href", "src") if key in attrs}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    script = page[page.index("<script>") + 8 : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:;"
    assert policy in html.unescape(page)
    assert "@import" not in page
    assert "url(" not in page


def test_every_table_has_heads_and_every_picture_words(page: str) -> None:
    tags = Tags(page)
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in tags.seen if tag == "th")
    pictures = re.findall(r"<svg[^>]*role=\"img\"[^>]*>(.{40})", page, re.S)
    assert len(pictures) == 2 * 2 + 3 * 2
    assert all(start.startswith("<title>") for start in pictures)
    assert page.count("<desc>") == len(pictures)
    assert all(attrs.get("alt") for tag, attrs in tags.seen if tag == "img")
    assert all(attrs.get("tabindex") == "0" for _, attrs in tags.seen if attrs.get("class") == "scroll")


def test_the_head_says_what_was_done_and_how_well_it_went(page: str) -> None:
    words = " ".join(Tags(section(page, "verdict") + "</section>").words)
    for said in (
        "MNIST digits",
        "The network comes apart: with every weight",
        "5 plain epochs, then clustered, 15 epochs with the enmeshment penalty, "
        "5 epochs with the weights between modules at 0, strength 20",
        "Nothing was left out.",
        "0.974",
        "0.963 to 0.973",
        "every weight between two modules set to exactly 0",
    ):
        assert said in words
    places = [float(at) for at in re.findall(r'class="point-at" style="left:([\d.]+)%"', section(page, "verdict"))]
    assert len(places) == 3
    assert places[0] > places[1] > places[2]


def test_blocks_are_coloured_by_their_module_and_all_else_is_grey() -> None:
    blocks = Blocks(np.array([1, 0, 1]), np.array([0, 1, 1, 1]))
    assert block_colours(blocks, (3, 4)).tolist() == [[0, -1, -1, -1], [-1, 1, 1, 1], [-1, 1, 1, 1]]
    values = np.array([[255.0, 0, 0, 255], [0, 255, 255, 255], [128, 255, 0, 255]])
    svg = ElementTree.fromstring(weights_svg(blocks, 2, values, "title", "words"))
    image = next(one for one in svg.iter("image"))
    drawn, opacity = colours(str(image.get("href")))
    assert drawn[0, 0].tolist() == list(COLOURS[0])
    assert drawn[1, 3].tolist() == drawn[2, 1].tolist() == list(COLOURS[1])
    assert drawn[0, 3].tolist() == drawn[2, 0].tolist() == list(GREY)
    assert opacity.tolist() == [[255, 0, 0, 255], [0, 255, 255, 255], [128, 255, 0, 255]]
    boxes = [one for one in svg.iter("rect") if (one.get("class") or "").startswith("block")]
    assert [one.get("class") for one in boxes] == ["block edge-k0", "block edge-k1"]
    x, y, width, height = (float(image.get(key, 0)) for key in ("x", "y", "width", "height"))
    right = [float(one.get("x", 0)) + float(one.get("width", 0)) for one in boxes]
    below = [float(one.get("y", 0)) + float(one.get("height", 0)) for one in boxes]
    np.testing.assert_allclose(right, [x + width / 4, x + width], atol=0.11)
    np.testing.assert_allclose(below, [y + height / 3, y + height], atol=0.11)
    assert [one.text for one in svg.iter("text")] == ["1", "1", "2", "2"]


def test_a_module_without_rows_or_columns_has_no_block() -> None:
    svg = weights_svg(Blocks(np.array([0, 0, 2]), np.array([0, 1])), 3, np.ones((3, 2)), "title", "words")
    assert re.findall(r'class="block edge-(k\d)"', svg) == ["k0"]


def test_many_weights_are_drawn_as_means() -> None:
    values = np.arange(12.0).reshape(3, 4)
    np.testing.assert_allclose(coarse(values, 2), [[2.5, 4.5], [8.5, 10.5]])
    np.testing.assert_allclose(coarse(values, 4), values)
    np.testing.assert_allclose(coarse(np.stack([values, -values], 2), 1)[0, 0], [5.5, -5.5])


def test_the_weights_before_have_the_blocks_that_were_found_then(page: str) -> None:
    document = small()
    first = document["layers"][0]
    rows, columns = first["row_labels"], first["column_labels"]
    first.update(row_labels_before=[1 - label for label in rows], column_labels_before=columns)
    before, after = re.findall(r"<desc>([^<]*)</desc>", section(render_modules(document), "layers"))[:2]
    ones = sum(rows)
    assert f"module 1 {8 - ones} × {columns.count(0)}, module 2 {ones} × {columns.count(1)}." in after
    assert f"module 1 {ones} × {columns.count(0)}, module 2 {8 - ones} × {columns.count(1)}." in before
    same = re.findall(r"<desc>([^<]*)</desc>", section(page, "layers"))
    assert same[0] == same[1] == after


def test_clusterability_stands_beside_chance() -> None:
    document = small()
    document["layers"][0]["before"] = {"clusterability": 0.75, "chance": 0.5, "p": 0.004}
    document["layers"][0]["after"] = {"clusterability": 0.4, "chance": 0.5, "p": 1.0}
    words = " ".join("".join(Tags(section(render_modules(document), "layers") + "</section>").words).split())
    assert "75.0 % inside the blocks Chance 50.0 % , p = 0.004" in words
    assert "Before training the blocks held more than chance explains; now they hold no more than chance" in words
    assert [share_text(v) for v in (0.98, 0.9999999, 0.998)] == ["98.0 %", "> 99.99 %", "99.80 %"]


def test_a_card_tells_what_a_module_decides(page: str) -> None:
    document = small()
    cards = section(page, "modules").split("<article")[1:]
    assert len(cards) == 2
    for card, one in zip(cards, document["modules"], strict=True):
        cells = re.findall(r"<td style=\"--share:([\d.]+)\">([^<]*)</td>", card)
        assert [text for _, text in cells] == [f"{value:.2f}" for value in (*one["on"], *one["off"])]
        np.testing.assert_allclose([float(share) for share, _ in cells], [*one["on"], *one["off"]], atol=0.006)
        assert card.count("<img ") == 5
        assert "of 8 units in layer fc2" in card
    assert "pixel_211" in cards[0]
    assert "pixel_211" not in cards[1]
    assert "fidelity 0.972 (0.960 to 0.983), threshold 0.9" in cards[0]


def test_rows_of_a_table_are_names_and_values() -> None:
    document = modules(k=2, units=8, labels=2, side=None, trained=False)
    page = render_modules(document)
    assert "<img" not in page
    first = document["modules"][0]["examples"][0]
    cells = "".join(f"<td>{value}</td>" for _, value in first["values"])
    said = f"<td>{first['label']}</td><td>{first['truth']}</td>"
    assert f'<td class="num">{first["score"]:.3g}</td>{said}{cells}</tr>' in page
    document["modules"][0]["inputs"] = ["column 2", "nothing"]
    card = section(render_modules(document), "modules").split("<article")[1]
    assert '<th scope="col">column 2</th></tr>' in card
    assert "column 1" not in card
    assert "1 of at least 4 columns." in card
    assert "Before training" not in page
    assert "clustered as it came, not trained" in page
    assert "train=True" not in page


def test_what_was_not_measured_is_not_shown() -> None:
    document = small(specialisation=None, circuits=None, findings=[])
    for one in document["modules"]:
        one.update(on=[None] * 3, off=[None] * 3, examples=[], decides=[], text="", readable=None)
    page = render_modules(document)
    Tags(page)
    assert page.count("What it decides was not measured.") == 2
    assert "Specialisation was not measured." in page
    assert "No check has judged these modules." in page
    assert 'href="#circuits"' not in page
    assert "circuits=False" in page
    assert "<td" not in page.split("</style>")[1]


@pytest.mark.parametrize(
    ("score", "p", "said"),
    [(0.62, 0.005, True), (0.62, 0.2, False), (0.1, 0.001, False)],
)
def test_specialisation_is_said_beside_chance(score: float, p: float, said: bool) -> None:
    own = {"score": score, "chance": 0.21, "low": 0.05, "high": 0.7, "p": p, "says": "it was measured"}
    part = section(render_modules(small(specialisation=own)), "specialisation")
    assert ("</span> more specialised than chance" in part) is said
    assert ("</span> no more specialised than chance" in part) is not said
    assert "It was measured" in part
    assert 'class="chance" style="left:21.0%"' in part


def test_circuits_are_bars_a_heat_map_and_pictures() -> None:
    document = small()
    own = document["circuits"]
    own.update(sizes=[0.4, 0.1, 0.2], overlap=[[1.0, 0.9, 0.3], [0.9, 1.0, 0.05], [0.3, 0.05, 1.0]])
    part = section(render_modules(document), "circuits")
    assert re.findall(r"<i style=\"width:([\d.]+)%\"", part) == ["100.0", "25.0", "50.0"]
    assert "from 10.0 % (digit 1) to 40.0 % (digit 0)" in part
    assert "Those of digit 0 and digit 1 overlap most (0.900), those of digit 1 and digit 2 least (0.050)." in part
    assert re.findall(r"--share:([\d.]+)", part) == ["0.90", "0.30", "0.90", "0.05", "0.30", "0.05"]
    assert part.count("<title>The weights of layer fc2 that digit") == 3
    one = {**own, "labels": ["a"], "sizes": [0.4], "loss_before": [1.0], "loss_after": [0.5], "overlap": [[1.0]]}
    assert "A needs" not in render_modules(small(circuits={**one, "pictures": []}))
    assert "a needs 40.0 % of the weights." in render_modules(small(circuits={**one, "pictures": []}))


def test_pictures_of_layers_that_have_no_modules_have_no_blocks() -> None:
    document = small()
    document["circuits"]["pictures"] = [{"label": "a", "layer": "fc1", "height": 1, "width": 2, "values": [0, 255]}]
    part = section(render_modules(document), "circuits")
    assert "The weights of layer fc1 that a needs" in part
    assert 'class="block' not in part


def test_hostile_names_stay_text() -> None:
    page = render_modules(hostile())
    tags = Tags(page)
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    sources = [str(attrs.get("src")) for tag, attrs in tags.seen if tag == "img"]
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)]
    assert ATTACK not in page
    assert any(ATTACK in word for word in tags.words)
    assert any(HOSTILE[1] in word for word in tags.words)
    assert not [word for word in tags.words if "n" * 150 in word]


def test_a_document_of_realistic_size_is_small() -> None:
    document = modules()
    page = render_modules(document)
    assert len(page.encode()) < 250_000
    assert "below 3 MB" not in page
    names = [layer.name for layer in read_modules(document).layers]
    assert names == ["fc2", "fc3"]


def test_what_is_too_large_is_thinned_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    document = small()
    monkeypatch.setattr(_shell, "MAX_BYTES", len(render_modules(document).encode()) - 1)
    monkeypatch.setattr(_modules, "LIMITS", (_modules.LIMITS[0], _modules.Limits(1, 3, 1, 40, 2, 2)))
    page = render_modules(document)
    Tags(page)
    assert "To stay below 3 MB" in page
    assert "The first 1 layer of 2 are shown; not shown: fc3." in page
    assert section(page, "modules").count("<img ") == 2
    assert "2 of 3 outputs." in page
    assert "4 more are in modules.json." in page
    assert "The middle is left out" in page
    monkeypatch.setattr(_shell, "MAX_BYTES", 1_000)
    with pytest.raises(InputError, match=r"a page below 3 MB can't show 2 modules with 3 outputs; use a smaller k"):
        render_modules(document)


def test_many_layers_and_noisy_images_stay_below_the_limit() -> None:
    document = modules(k=4, units=48, labels=30)
    document["layers"] = [{**document["layers"][i % 2], "name": f"layer {i}"} for i in range(60)]
    noisy = np.random.default_rng(0).integers(0, 256, 96 * 96 * 3).tolist()
    image = {"height": 96, "width": 96, "channels": 3, "values": noisy}
    for one in document["modules"]:
        one["examples"] = [{**one["examples"][0], "image": image}] * 10
    page = render_modules(document)
    assert len(page.encode()) < MAX_BYTES
    assert "24 layers of 60 are shown; not shown: layer 24, layer 25" in page


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with another value at a place; without it where the value is KeyError."""
    document = small()
    *parents, last = path
    at: Any = document
    for key in parents:
        at = at[key]
    if value is KeyError:
        del at[last]
    else:
        at[last] = value
    return document


NAN, INF = float("nan"), float("inf")
BAD: list[tuple[tuple[Any, ...], Any, str]] = [
    (("version",), 2, r"this limbeck reads documents of modules of version 1; got 2"),
    (("verdict",), KeyError, r"modules\.json lacks 'verdict'\. Write the document again with `limbeck modules`"),
    (("name",), 3, r"modules\.json: name must be text; got 3"),
    (("metric",), "auc", r"modules\.json: metric must be accuracy or r2; got 'auc'"),
    (("outputs",), [], r"modules\.json: outputs must be a list of at least 1"),
    (("seconds",), NAN, r"modules\.json: seconds must be a finite number from 0; got nan"),
    (("recipe", "trained"), "yes", r"recipe\.trained must be true or false; got 'yes'"),
    (("recipe", "k"), 0, r"recipe\.k must be a whole number from 1 to 256; got 0"),
    (("recipe", "strength"), INF, r"recipe\.strength must be a finite number; got inf"),
    (("recipe", "epochs"), 1.5, r"recipe\.epochs must be a whole number from 0; got 1\.5"),
    (("layers",), [], r"layers must be a list of at least 1"),
    (("layers", 1, "rows"), 9, r"layers\[1\]\.row_labels must hold 9 entries, one a row; got 8"),
    (("layers", 1, "column_labels", 3), 2, r"column_labels\[3\] must be a whole number from 0 to 1; got 2"),
    (("layers", 1, "row_labels", 3), True, r"row_labels\[3\] must be a whole number from 0 to 1; got True"),
    (("layers", 0, "after"), None, r"layers\[0\]\.after must be an object; got None"),
    (("layers", 0, "after", "clusterability"), 1.2, r"clusterability must be a number from 0 to 1; got 1\.2"),
    (("layers", 0, "before", "p"), NAN, r"before\.p must be a finite number; got nan"),
    (("layers", 0, "picture_after"), KeyError, r"layers\[0\] lacks 'picture_after'"),
    (
        ("layers", 0, "picture_after", "height"),
        7,
        r"picture_after\.values must hold 56 numbers, for height 7 and width 8",
    ),
    (("layers", 0, "picture_before", "values", 5), 256, r"picture_before\.values\[5\] must be a number from 0 to 255"),
    (
        ("layers", 0, "picture_before", "values", 5),
        "1",
        r"picture_before\.values\[5\] must be a finite number; got '1'",
    ),
    (("layers", 0, "name"), None, r"layers\[0\]\.name must be text; got None"),
    (("scores",), [], r"scores must be a list of at least 1"),
    (("scores", 0, "what"), "best", r"scores\[0\]\.what must be original, trained or split; got 'best'"),
    (("scores", 0, "what"), "split", r"scores must be scores of different networks"),
    (("scores", 0, "low"), 2.0, r"scores\[0\] must be an interval whose low end is not above its high end"),
    (("modules",), [], r"modules must hold 2 modules, as the recipe says; got 0"),
    (("modules", 0, "on"), [0.5], r"modules\[0\]\.on must hold 3 entries, one an output; got 1"),
    (("modules", 0, "off", 1), INF, r"modules\[0\]\.off\[1\] must be a finite number; got inf"),
    (("modules", 0, "units"), [3], r"modules\[0\]\.units must be an object; got \[3\]"),
    (("modules", 0, "units", "fc2"), -1, r"units\.fc2 must be a whole number from 0; got -1"),
    (("modules", 1, "weights"), None, r"modules\[1\]\.weights must be a whole number from 0; got None"),
    (("modules", 1, "examples", 0, "image", "channels"), 2, r"image\.channels must be 1 or 3; got 2"),
    (("modules", 1, "examples", 0, "values"), [["a"]], r"values\[0\] must be a list of at least 2"),
    (("modules", 1, "examples", 0, "values"), [["a", 3]], r"values\[0\]\[1\] must be text; got 3"),
    (("modules", 0, "readable", "fidelity", "status"), "good", r"status must be pass, fail, inconclusive or"),
    (("modules", 0, "readable", "text"), KeyError, r"modules\[0\]\.readable lacks 'text'"),
    (("specialisation", "score"), NAN, r"specialisation\.score must be a finite number; got nan"),
    (("specialisation", "low"), 0.9, r"specialisation must be an interval whose low end"),
    (("specialisation",), KeyError, r"modules\.json lacks 'specialisation'"),
    (("circuits", "sizes"), [0.1], r"circuits\.sizes must hold 3 entries, one a label; got 1"),
    (("circuits", "sizes", 1), -0.1, r"circuits\.sizes\[1\] must be a number from 0 to 1; got -0\.1"),
    (("circuits", "overlap"), [[1.0]], r"circuits\.overlap must hold 3 entries, one a label; got 1"),
    (("circuits", "overlap", 2), [1.0], r"circuits\.overlap\[2\] must be a list of 3 numbers, one a label"),
    (("circuits", "overlap", 2, 0), None, r"circuits\.overlap\[2\]\[0\] must be a finite number; got None"),
    (("circuits", "loss_after", 0), NAN, r"circuits\.loss_after\[0\] must be a finite number; got nan"),
    (("circuits", "pictures", 0, "width"), 9, r"pictures\[0\]\.values must hold 72 numbers"),
    (("findings", 0, "status"), "good", r"findings\[0\]\.status must be pass, fail, inconclusive or not_applicable"),
    (("findings", 1, "details"), {"a": NAN}, r"findings\[1\]\.details\.a must be a finite number; got nan"),
]


@pytest.mark.parametrize(("path", "value", "match"), BAD, ids=lambda v: repr(v)[:60])
def test_what_is_malformed_is_refused(path: tuple[Any, ...], value: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_modules(changed(path, value))


@pytest.mark.parametrize("data", [None, [], "modules", 3, {}])
def test_what_is_no_document_of_modules_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="a document of modules is required: an object with format 'limbeck-modules'"):
        render_modules(data)


@pytest.mark.parametrize("value", [10**400, -1e308, 1e-308, -0.0, 0], ids=lambda v: repr(v)[:8])
def test_odd_numbers_are_drawn(value: Any) -> None:
    odd = small()
    for score in odd["scores"]:
        score.update(value=value, low=value, high=value)
    for one in odd["modules"]:
        one.update(on=[value] * 3, off=[value] * 3)
        one["examples"][0]["score"] = value
    odd["specialisation"].update(score=value, chance=value, low=value, high=value)
    odd["circuits"].update(loss_before=[value] * 3, loss_after=[value] * 3, sizes=[0, 0, 0])
    for layer in odd["layers"]:
        layer["picture_after"]["values"] = [0] * 64
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", render_modules(odd)).split("</style>")[1].split("<script>")[0]
    assert not re.search(r"\b(nan|inf)\b", words.lower())


def test_the_page_is_written_from_a_folder(page: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is not a folder of modules: a folder with modules.json is required"):
        write_modules(tmp_path, tmp_path / "page.html")
    (tmp_path / "modules.json").write_text(json.dumps(small()), encoding="utf-8")
    assert write_modules(tmp_path, tmp_path / "page.html").read_text(encoding="utf-8") == page
