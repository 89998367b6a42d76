"""The page of a study: its numbers in words and pictures; hostile names stay text; what is malformed is refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from limbeck._core.errors import InputError, StorageError
from limbeck._study_document import build_document
from limbeck.cli import _report as command
from limbeck.report import _shell, render_study, write_study
from limbeck.report._shell import MAX_BYTES
from limbeck.report._study_forest_svg import ForestRow, Panel, difference_text, forest_svg
from limbeck.report._study_points_svg import points_svg
from limbeck.report._study_read import read_study
from limbeck.report._study_values import Spread
from limbeck.report._study_view import p_text
from reading_html import Tags
from report_runs import ATTACK
from study_documents import study


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return study(is_hostile=False)


@pytest.fixture(scope="module")
def page(plain: dict[str, Any]) -> str:
    return render_study(plain)


def test_the_same_document_gives_the_same_bytes(plain: dict[str, Any], page: str) -> None:
    before = copy.deepcopy(plain)
    again = json.loads(json.dumps(plain))
    assert render_study(again) == page
    assert plain == before
    assert len(page.encode()) < MAX_BYTES


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    tags = Tags(page)
    ids = [attrs["id"] for _, attrs in tags.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {str(attrs["href"]) for tag, attrs in tags.seen if tag == "a"}
    assert {link[1:] for link in links} <= set(ids)
    assert not [attrs for _, attrs in tags.seen if "src" in attrs]
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    script = page[page.index("<script>") + 8 : page.index("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline';"
    assert policy in html.unescape(page)
    assert "@import" not in page
    assert "url(" not in page


def test_the_verdict_comes_first_and_how_far_it_got(plain: dict[str, Any], page: str) -> None:
    verdict = page.index("Distilling does not beat a formula")
    assert (
        verdict < page.index("952 of 1,000 planned trials are done; 1 trial failed.") < page.index('id="differences"')
    )
    assert "This study is not at its end." in page
    assert "LimbeckError: the teacher gave NaN" in page
    done = copy.deepcopy(plain)
    done["progress"] = {"done": 1000, "planned": 1000, "failed": []}
    finished = render_study(done)
    assert "1,000 of 1,000 planned trials are done; none failed." in finished
    assert "not at its end" not in finished


def test_the_numbers_are_those_of_the_document(plain: dict[str, Any], page: str) -> None:
    one = plain["sets"][0]
    section = page[page.index('id="set-0"') : page.index('id="set-1"')]
    for arm in ("direct", "plain", "jacobian", "lipschitz"):
        assert f">{one['arms'][arm]['r2']['mean']:.3f}<" in section
        assert f"strength_of_the_{arm})" in section
    for found in one["comparisons"]:
        assert difference_text(found["mean"]) in section
        assert f">{p_text(found['p_holm'])}<".replace("< 0", "&lt; 0") in section
    assert "too few trials" in page[page.index('id="set-5"') : page.index('id="set-6"')]
    settings = page[page.index('id="protocol"') :]
    assert "<dt>max complexity</dt><dd>40</dd>" in settings
    assert "128, 128, 128" in settings


def test_every_table_has_heads_and_every_picture_words(page: str) -> None:
    tags = Tags(page)
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in tags.seen if tag == "th")
    pictures = re.findall(r"<svg[^>]*role=\"img\"[^>]*>(.{40})", page, re.S)
    assert len(pictures) == 2 + 1 + 2 + 20
    assert all(start.startswith("<title>") for start in pictures)
    assert page.count("<desc>") == len(pictures)
    hidden = [attrs for tag, attrs in tags.seen if tag == "svg" and attrs.get("role") != "img"]
    assert all(attrs.get("aria-hidden") == "true" for attrs in hidden)


OVERALL = Spread(-0.1, -0.2, 0.0)


def panel(rows: list[ForestRow], overall: Spread = OVERALL, *, marked: bool = False) -> Panel:
    return Panel("jacobian", "plain", "r2", 2, rows, overall, marked)


def drawn_rows(svg: str) -> list[ElementTree.Element]:
    return [group for group in ElementTree.fromstring(svg).iter("g") if "line" in group.get("class", "").split()]


@pytest.mark.parametrize("width", [400, 1040])
def test_right_is_better_and_left_is_worse(width: int) -> None:
    rows = [
        ForestRow("worse", Spread(-0.2, -0.3, -0.1), True, "hover"),
        ForestRow("same", Spread(0.0, -0.1, 0.1), False, "hover"),
        ForestRow("better", Spread(0.2, 0.1, 0.3), False, "hover"),
    ]
    svg = forest_svg([panel(rows)], width, "title")
    whole = ElementTree.fromstring(svg)
    zero = next(path for path in whole.iter("path") if path.get("class") == "zero").get("d") or ""
    at = float(re.findall(r"[\d.]+", zero)[0])
    lines = drawn_rows(svg)
    means = [float(line.find("rect").get("x")) + 4.2 for line in lines[:3]]  # type: ignore[union-attr, arg-type]
    assert means[1] == pytest.approx(at, abs=0.2)
    assert means[2] - at == pytest.approx(at - means[0], abs=0.2)
    assert means[0] < at - 20
    bar = [float(v) for v in re.findall(r"[\d.]+", lines[0].find("path").get("d"))]  # type: ignore[union-attr, arg-type]
    assert bar[0] < means[0] < bar[2] < at
    assert [line.get("class") for line in lines] == ["line significant", "line", "line", "line"]
    assert ["∗" in "".join(line.itertext()) for line in lines] == [True, False, False, False]
    assert "← worse" in svg
    assert "better →" in svg
    words = "jacobian less plain: overall −0.100, from −0.200 to 0.000; 1 of 3 sets are significant."
    assert words in svg
    assert "∗" in "".join(drawn_rows(forest_svg([panel(rows, marked=True)], width, "title"))[3].itertext())


def test_what_lies_beyond_the_scale_ends_in_an_arrow() -> None:
    near = [ForestRow(f"set {i}", Spread(0.0, -0.01, 0.01), False, "") for i in range(8)]
    far = [
        ForestRow("far", Spread(-5.0, -9.0, -1.0), False, ""),
        ForestRow("wide", Spread(0.0, -9.0, 9.0), False, ""),
    ]
    svg = forest_svg([panel([*near, *far], Spread(0.0, -0.01, 0.01))], 1040, "title")
    lines = drawn_rows(svg)
    assert lines[8].find("rect") is None
    assert [path.get("class") for path in lines[8].findall("path")] == ["bar", "mean"]
    assert "−5.000" in "".join(lines[8].itertext())
    assert [path.get("class") for path in lines[9].findall("path")] == ["bar"] * 3
    numbers = [float(v) for v in re.findall(r"[\d.]+", " ".join(p.get("d", "") for p in lines[9].findall("path")))]
    assert max(numbers) < 1040


@pytest.mark.parametrize("mean", [None, 0.25])
def test_too_few_trials_is_said(mean: float | None) -> None:
    few = Spread(mean, None, None)
    svg = forest_svg([panel([ForestRow("a", few, False, "")], few)], 400, "title")
    words = "".join(ElementTree.fromstring(svg).itertext())
    start = "" if mean is None else "+0.250, "
    assert f"{start}too few trials" in words
    assert f"{start}too few sets" in words
    assert "too few sets for an overall difference" in words
    assert 'class="mean"' not in svg


def test_points_lie_where_they_should() -> None:
    found = read_study(study(1, 40, is_hostile=False))
    points = {"direct": [p for p in found.points if p.arm == "direct"]}
    svg = points_svg(found.sets[0], points, ["direct", "plain"], 40.0, 400)
    trials, first, second = (e for e in ElementTree.fromstring(svg).iter("path") if "arm-" in e.get("class", ""))
    starts = [tuple(map(float, pair)) for pair in re.findall(r"M([\d.]+) ([\d.]+)", trials.get("d", ""))]
    assert len(starts) == 40
    known = [(p.symbols, p.r2) for p in points["direct"]]
    by_size = sorted(zip(known, starts, strict=True))
    assert [x for _, (x, _) in by_size] == sorted(x for _, (x, _) in by_size)
    lowest = max(y for _, y in starts)
    inside = sorted((r2, y) for (_, r2), (_, y) in zip(known, starts, strict=True) if r2 is not None and y < lowest)
    assert [y for _, y in inside] == sorted((y for _, y in inside), reverse=True)
    assert "direct, mean" in "".join(first.itertext())
    assert "plain, mean" in "".join(second.itertext())
    assert first.get("d") != second.get("d")


def test_hostile_names_stay_text() -> None:
    hostile = study()
    hostile["settings"][ATTACK] = ATTACK
    hostile["overall"][0]["sentence"] = hostile["sets"][0]["comparisons"][0]["sentence"] = ATTACK
    hostile["sets"][0]["formulas"]["direct"]["text"] = ATTACK
    for arm in hostile["arms"]:
        arm["label"] = ATTACK
    page = render_study(hostile)
    tags = Tags(page)
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    assert "img" not in {tag for tag, _ in tags.seen}
    assert not [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)]
    assert ATTACK not in page
    assert ATTACK in tags.words


def test_hostile_arms_stay_text() -> None:
    text = json.dumps(study(3, 4)).replace('"jacobian"', json.dumps(ATTACK)).replace('"plain"', json.dumps("a" * 900))
    tags = Tags(render_study(json.loads(text)))
    assert sum(tag == "script" for tag, _ in tags.seen) == 1
    assert not [word for word in tags.words if "a" * 100 in word]


@pytest.mark.parametrize("n_sets", [0, 1, 2])
def test_a_study_that_has_hardly_begun(n_sets: int) -> None:
    empty = study(n_sets, 0, is_hostile=False)
    empty["progress"] = {"done": 0, "planned": 0, "failed": []}
    page = render_study(empty)
    Tags(page)
    assert "This study is not at its end." in page
    assert ("No set is done yet." in page) == (n_sets == 0)
    assert ("too few sets" in page) or n_sets == 0
    assert "nan" not in page.lower()


def test_a_large_study_stays_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    large = study(2, 100, is_hostile=False)
    for one in large["sets"]:
        for found in one["formulas"].values():
            found["text"] = "x0 + " * 20_000
    whole = render_study(large)
    assert "To stay below 3 MB" not in whole
    assert whole.count("x0 + ") == pytest.approx(8 * 4_000 / 5, rel=0.01)
    sizes = [len(whole.encode())]
    for words in ("at most 60 trials of an arm on a set are drawn", "single trials are not drawn"):
        monkeypatch.setattr(_shell, "MAX_BYTES", sizes[-1] - 100)
        smaller = render_study(large)
        assert f"To stay below 3 MB, {words}, and long formulas are cut" in smaller
        sizes.append(len(smaller.encode()))
    assert sizes == sorted(sizes, reverse=True)
    monkeypatch.setattr(_shell, "MAX_BYTES", sizes[-1] - 100)
    with pytest.raises(InputError, match=r"a page below 3 MB can't show 2 sets; render a study with fewer"):
        render_study(large)


def test_more_sets_than_a_page_can_show_are_refused() -> None:
    with pytest.raises(InputError, match=r"sets must hold at most 400 entries.*got 401"):
        render_study({**study(1, 3, is_hostile=False), "sets": [{}] * 401})


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A small study in which one entry is another, or is missing."""
    found: Any = study(2, 3, is_hostile=False)
    place = found
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return found


R2 = ("sets", 1, "arms", "plain", "r2")
BAD = [
    (("schema",), 2, r"reads studies of schema 1; got 2\. Update limbeck"),
    (("schema",), KeyError, r"reads studies of schema 1; got None"),
    (("kind",), "run", r"a study's document is required.*got kind 'run'"),
    (("name",), 3, r"study.json: name must be text; got 3"),
    (("verdict",), KeyError, r"study.json lacks 'verdict'. Run the study again"),
    (("arms",), [], r"arms must be a list of at least 1; got \[\]"),
    (("arms", 1, "name"), "direct", r"arms must have different names"),
    (("arms", 0, "name"), "other", r"must speak of the arms.*got 'direct'"),
    (("sets", 1, "name"), "airfoil", r"sets must have different names"),
    (("sets",), {}, r"sets must be a list; got \{\}"),
    (("sets", 0, "rows"), -1, r"sets\[0\]\.rows must be a whole number from 0; got -1"),
    (("sets", 0, "trials"), True, r"sets\[0\]\.trials must be a whole number from 0; got True"),
    ((*R2, "mean"), float("nan"), r"sets\[1\]\.arms\.plain\.r2\.mean must be a finite number or null; got nan"),
    ((*R2, "low"), float("inf"), r"r2\.low must be a finite number or null; got inf"),
    ((*R2, "mean"), "0.5", r"r2\.mean must be a finite number or null; got '0.5'"),
    ((*R2, "low"), KeyError, r"sets\[1\]\.arms\.plain\.r2 lacks 'low'"),
    ((*R2, "low"), 7.0, r"low end is not above its high end"),
    (R2, None, r"plain\.r2 must be an object; got None"),
    (("sets", 0, "comparisons", 0, "p_holm"), 1.5, r"p_holm must be a probability from 0 to 1, or null; got 1.5"),
    (("sets", 0, "comparisons", 0, "metric"), "mae", r"metric must be r2 or fidelity; got 'mae'"),
    (("sets", 0, "comparisons", 0, "against"), "other", r"must speak of the arms.*got 'other'"),
    (("overall", 0, "ties"), 0.5, r"overall\[0\]\.ties must be a whole number from 0; got 0.5"),
    (("points", 0, "set"), "other", r"points must speak of the sets.*got 'other'"),
    (("points", 0, "r2"), float("-inf"), r"points\[0\]\.r2 must be a finite number or null; got -inf"),
    (("settings",), [], r"settings must be an object; got \[\]"),
    (("settings", "seed"), float("nan"), r"settings\.seed must be a finite number; got nan"),
    (("progress", "failed"), None, r"progress\.failed must be a list; got None"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "match"), BAD, ids=lambda v: repr(v)[:40])
def test_what_is_malformed_is_refused(path: tuple[Any, ...], value: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        render_study(changed(path, value))


@pytest.mark.parametrize("data", [None, [], "study", 3, {}])
def test_what_is_no_study_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="a study's document is required: an object with kind 'study'"):
        render_study(data)


@pytest.mark.parametrize("value", [10**400, -1e308, 1e-308, -0.0, 0], ids=lambda v: repr(v)[:8])
def test_odd_numbers_are_drawn(value: Any) -> None:
    odd = changed((*R2, "mean"), value)
    odd["sets"][0]["comparisons"][0].update(mean=value, low=None)
    odd["overall"][0].update(mean=value, low=-abs(value), high=abs(value))
    for point in odd["points"][:5]:
        point.update(r2=value, symbols=value)
    words = "".join(re.findall(r"<svg.*?</svg>", render_study(odd), re.S)).lower()
    assert "nan" not in words
    assert "inf" not in words


def test_settings_that_never_end_are_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(50):
        deep = {"deeper": deep}
    with pytest.raises(InputError, match="nested too deep"):
        render_study(changed(("settings",), deep))


def test_the_level_of_the_protocol_decides_what_is_marked() -> None:
    found = study(4, 20, is_hostile=False)
    for one in found["sets"]:
        for comparison in one["comparisons"]:
            comparison["p_holm"] = 0.03
    assert "significant at 0.05 after Holm" in render_study(found)
    marked = render_study(found).count("line significant")
    found["settings"]["alpha"] = 0.01
    assert "significant at 0.01 after Holm" in render_study(found)
    assert render_study(found).count("line significant") == 0
    assert marked == 2 * 4 * 7


def reached(arm: str, trial: int) -> dict[str, Any]:
    """What an arm reached in a trial, as a study keeps it."""
    learned = {"fidelity": None, "teacher_r2": None} if arm == "direct" else {"fidelity": 0.9, "teacher_r2": 0.8}
    r2 = 0.5 + 0.01 * trial + 0.1 * (arm == "direct")
    return {"r2": r2, "symbols": 12, "text": f"y = {trial}*x0", "slope": None, "strength": 0.1, **learned}


def test_the_page_of_what_a_study_writes() -> None:
    arms = ("direct", "plain", "jacobian", "lipschitz")
    trials = {
        "airfoil": {trial: {arm: reached(arm, trial) for arm in arms} for trial in range(6)},
        "concrete": {},
    }
    document = build_document({"trials": 6}, {k: {"rows": 100, "columns": 3} for k in trials}, trials, [], 12)
    page = render_study(json.loads(json.dumps(document)))
    Tags(page)
    assert "6 of 12 planned trials are done; none failed." in page
    assert '<code tabindex="0">y = 2*x0</code>' in page
    assert "no formula yet" in page


def test_the_page_is_written_from_a_folder(plain: dict[str, Any], page: str, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "study.json").write_text(json.dumps(plain), encoding="utf-8")
    assert write_study(tmp_path, tmp_path / "page.html").read_text(encoding="utf-8") == page
    command.report(tmp_path)
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    command.report(tmp_path, tmp_path / "other.html")
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == page


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is not a study: a folder with study.json is required"):
        write_study(tmp_path, tmp_path / "page.html")
    for text in ("{", "", "[" * 100_000):
        (tmp_path / "study.json").write_text(text, encoding="utf-8")
        with pytest.raises(StorageError, match=r"study.json can't be read as JSON"):
            write_study(tmp_path, tmp_path / "page.html")
    (tmp_path / "study.json").write_text('{"kind": "study", "schema": 1, "name": NaN}', encoding="utf-8")
    with pytest.raises(InputError, match=r"study.json lacks 'arms'|name must be text; got nan"):
        write_study(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_in_a_browser_it_is_quiet_fits_and_obeys(tmp_path: Path) -> None:
    tool = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to look with")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the path: the page can't be opened")
    path = tmp_path / "study.html"
    path.write_text(render_study(study()), encoding="utf-8", newline="")
    complaints: list[str] = []
    asked: list[str] = []
    with tool.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for width in (400, 1200):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark")
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate("window.hacked") is None
            assert page.locator(".front .narrow").first.is_visible() == (width == 400)
            dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.locator("#theme").click()
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
            assert page.locator("details.study-set[open]").count() == 1
            page.locator("a[href='#set-7']").click()
            page.wait_for_function("document.getElementById('set-7').open")
            page.locator("#open-all").click()
            assert page.locator("details.study-set[open]").count() == 20
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.close()
        browser.close()
    assert complaints == []
    assert set(asked) == {path.as_uri()}
