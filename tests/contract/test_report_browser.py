"""The report in a browser, from a file: it computes, lights up, obeys the keyboard, fetches and runs nothing else."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck._core.storage import RunDocuments
from limbeck._core.tables import Column, Schema, Table
from limbeck.readable import Readable, readable_from_dict
from limbeck.report import render
from limbeck.report._modules import render_modules
from module_documents import hostile as hostile_modules
from report_runs import (
    ATTACK,
    MIXED,
    NUMBERS,
    every_family,
    formula,
    grown_tree,
    hostile,
    make_run,
    mixed_classification,
    mixed_regression,
    several_outputs,
    small_images,
    small_network,
    soft_tree,
)

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to look with")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path: the report can't be opened")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
RUNS = {
    "regression": mixed_regression,
    "classification": mixed_classification,
    "several outputs": several_outputs,
    "hostile": hostile,
    "every family": every_family,
    "images": small_images,
}


class Opened:
    """A page in the browser, with what it complained of and what it asked for."""

    def __init__(self, browser: Any, path: Path, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.address = path.as_uri()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    def select(self, index: int) -> None:
        self.page.locator("#student-tabs [role=tab]").nth(index).click()

    def answer(self) -> list[float]:
        return json.loads(self.page.locator("#answer").get_attribute("data-values"))

    def row(self) -> list[float]:
        """The row of the what-if panel, as the controls themselves show it."""
        self.page.evaluate("document.getElementById('others').open = true")
        self.page.wait_for_function("limbeckPage.data.columns.every((_, j) => document.getElementById('c' + j))")
        return self.page.evaluate("""() => {
          return limbeckPage.data.columns.map((column, j) => {
            const control = document.getElementById("c" + j);
            if (column.levels) return Number(control.value);
            return control.parentElement.querySelector("input[type=number]").valueAsNumber;
          });
        }""")

    def slide(self, j: int, share: float) -> None:
        self.page.evaluate(
            """([j, share]) => {
              const slider = document.getElementById("c" + j);
              const [low, high] = [Number(slider.min), Number(slider.max)];
              slider.value = String(low + share * (high - low));
              slider.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            [j, share],
        )

    def quiet(self) -> None:
        assert self.complaints == []
        assert self.requests == [self.address]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[RunDocuments, Path]]:
    folder = tmp_path_factory.mktemp("pages")
    out = {}
    for name, make in RUNS.items():
        documents = make()
        path = folder / f"{name.replace(' ', '-')}.html"
        path.write_text(render(documents), encoding="utf-8", newline="")
        out[name] = documents, path
    return out


def readables(documents: RunDocuments) -> list[Readable]:
    return [readable_from_dict(documents.students[name]["readable"]) for name in documents.run["students"]]


def encoded(documents: RunDocuments, row: list[float]) -> np.ndarray:
    return np.array([row], dtype=np.float64)


@pytest.mark.parametrize("name", RUNS)
def test_every_student_answers_its_own_numbers(browser: Any, pages: Any, name: str) -> None:
    documents, path = pages[name]
    with Opened(browser, path) as page:
        count = len(documents.arrays["X"])
        for index, readable in enumerate(readables(documents)):
            page.select(index)
            for r in range(0, count, 7):
                page.select_option("#row-list", str(r))
                row = page.row()
                np.testing.assert_allclose(row, documents.arrays["X"][r], rtol=1e-15)
                expected = readable.predict_encoded(encoded(documents, row))[0]
                np.testing.assert_allclose(page.answer(), expected, rtol=1e-6, atol=1e-12)
        page.quiet()


@pytest.mark.parametrize("index", [0, 1, 2])
def test_sliders_boxes_and_levels_change_the_answer(browser: Any, pages: Any, index: int) -> None:
    documents, path = pages["regression"]
    readable = readables(documents)[index]
    with Opened(browser, path) as page:
        page.select(index)
        page.row()
        seen = set()
        for share in (0.0, 0.13, 0.5, 0.77, 1.0):
            page.slide(1, share)
            row = page.row()
            expected = readable.predict_encoded(encoded(documents, row))[0]
            np.testing.assert_allclose(page.answer(), expected, rtol=1e-6)
            seen.add(tuple(row))
        assert len(seen) == 5
        page.select_option("#c2", "3")
        page.select_option("#c3", "1")
        page.locator(".control", has=page.locator("#c0")).locator("input[type=number]").fill("41")
        row = page.row()
        assert [row[0], row[2], row[3]] == [41, 3, 1]
        np.testing.assert_allclose(page.answer(), readable.predict_encoded(encoded(documents, row))[0], rtol=1e-6)
        page.quiet()


def test_a_slider_moves_by_the_keyboard(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(1)
        before = page.row()[1]
        page.locator("#c1").focus()
        page.keyboard.press("ArrowRight")
        after = page.row()[1]
        assert after > before
        expected = readables(documents)[1].predict_encoded(encoded(documents, page.row()))[0]
        np.testing.assert_allclose(page.answer(), expected, rtol=1e-6)


def test_a_box_that_holds_no_number_changes_nothing(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(1)
        before = page.answer()
        box = page.locator(".control", has=page.locator("#c1")).locator("input[type=number]")
        box.fill("")
        assert page.answer() == before
        assert box.get_attribute("aria-invalid") == "true"
        page.quiet()


def test_the_teacher_answers_only_for_rows_it_was_asked(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(1)
        assert "was not asked" in page.locator("#answer-teacher").inner_text()
        page.select_option("#row-list", "3")
        assert page.locator("#answer-teacher strong").count() == 2
        shown = page.locator("#answer-teacher strong").first.inner_text().replace("−", "-").replace(",", "")
        assert float(shown) == pytest.approx(documents.arrays["teacher"][3, 0], rel=1e-3)
        page.slide(1, 0.9)
        assert "was not asked" in page.locator("#answer-teacher").inner_text()
        assert page.locator("#row-list").input_value() == ""
        page.locator("#row-middle").click()
        assert page.locator("#row-list").input_value() == "middle"
        page.quiet()


def test_the_worst_row_goes_into_the_panel(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(0)
        page.locator("#student-0 button[data-try]").first.click()
        found = documents.students["tree"]["findings"][1]["details"]["rows"][0]
        np.testing.assert_allclose(page.answer(), found["student"], rtol=1e-6)
        assert "teacher: 1" in page.locator("#answer-teacher").inner_text()
        page.quiet()


@pytest.mark.parametrize("name", ["regression", "classification", "several outputs", "hostile"])
def test_the_path_of_the_row_is_lit(browser: Any, pages: Any, name: str) -> None:
    documents, path = pages[name]
    index = documents.run["students"].index("tree")
    tree = readables(documents)[index]
    with Opened(browser, path) as page:
        page.select(index)
        seen = set()
        for r in range(8):
            page.select_option("#row-list", str(r))
            lit = page.evaluate(
                "i => [...document.querySelectorAll(`[data-tree='${i}'] .node.lit`)].map(n => +n.dataset.node)", index
            )
            row = documents.arrays["X"][[r]]
            assert max(lit) == tree.leaf_of(row)[0]
            parents = {
                child: i for i, node in enumerate(tree.nodes) if not node.is_leaf for child in (node.left, node.right)
            }
            way = [max(lit)]
            while way[-1]:
                way.append(parents[way[-1]])
            assert sorted(way) == sorted(lit)
            assert page.locator(f"[data-tree='{index}'] [data-edge].lit").count() == len(way) - 1
            assert page.locator("#answer-path li").count() == len(way) - 1
            seen.add(tuple(lit))
        assert len(seen) > 1


def test_a_click_on_the_front_selects_everywhere(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    with Opened(browser, path) as page:
        assert page.locator("#student-list").input_value() == "1"
        page.locator(".wide .point[data-student='2'] .mark").click()
        assert page.locator("#student-list").input_value() == "2"
        assert page.locator("#student-2").is_visible()
        assert not page.locator("#student-1").is_visible()
        assert page.locator("#answer").get_attribute("data-student") == "network"
        assert page.locator("button.card[data-select='2']").get_attribute("aria-pressed") == "true"
        assert page.locator(".exports[data-student='2']").is_visible()
        assert not page.locator(".exports[data-student='1']").is_visible()
        assert page.locator(".wide .point[aria-selected='true']").get_attribute("data-student") == "2"
        expected = readables(documents)[2].predict_encoded(encoded(documents, page.row()))[0]
        np.testing.assert_allclose(page.answer(), expected, rtol=1e-6)
        page.quiet()


def test_the_front_shows_its_numbers(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.locator(".wide .point[data-student='0'] .mark").hover()
        tip = page.locator("#tip").inner_text()
        assert "tree" in tip
        assert "0.912" in tip
        assert "0.880 to 0.940" in tip
        page.mouse.move(5, 5)
        assert not page.locator("#tip").is_visible()


def test_the_front_obeys_the_keyboard(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    order = sorted(range(3), key=lambda i: readables(documents)[i].complexity)
    with Opened(browser, path) as page:
        assert page.locator(".wide .point[tabindex='0']").count() == 1
        page.locator(".wide .point[tabindex='0']").focus()
        page.keyboard.press("Home")
        for i in order[1:]:
            page.keyboard.press("ArrowRight")
            assert page.evaluate("document.activeElement.dataset.student") == str(i)
            assert page.locator("#tip").is_visible()
        page.keyboard.press("Enter")
        assert page.locator("#student-list").input_value() == str(order[-1])
        page.keyboard.press("Escape")
        assert not page.locator("#tip").is_visible()
        page.quiet()


def test_tabs_obey_the_keyboard(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.locator("#tab-1").focus()
        page.keyboard.press("ArrowLeft")
        assert page.evaluate("document.activeElement.id") == "tab-0"
        assert page.locator("#student-0").is_visible()
        page.keyboard.press("End")
        assert page.locator("#student-2").is_visible()
        page.locator("#take-2-python").focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#export-2-sql").is_visible()
        assert not page.locator("#export-2-python").is_visible()


def test_everything_is_reached_by_tab(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(0)
        page.evaluate("document.activeElement.blur()")
        seen = set()
        for _ in range(160):
            page.keyboard.press("Tab")
            seen.add(
                page.evaluate("""() => {
                  const e = document.activeElement;
                  if (e.dataset.act) return "act " + e.dataset.act;
                  if (e.dataset.copy) return "copy";
                  return e.id || e.getAttribute("role") || e.getAttribute("class") || e.tagName;
                }""")
            )
        wanted = {"skip", "student-list", "theme", "option", "tab-0", "act full", "treeitem", "row-list", "c1", "copy"}
        assert wanted <= seen


def test_the_tree_folds_zooms_and_walks(browser: Any, pages: Any) -> None:
    documents, path = pages["regression"]
    tree = readables(documents)[0]
    with Opened(browser, path) as page:
        page.select(0)
        nodes = page.locator("[data-tree='0'] .node:visible")
        assert nodes.count() == len(tree.nodes)
        root = page.locator("[data-tree='0'] [data-node='0']")
        root.focus()
        page.keyboard.press("ArrowLeft")
        assert nodes.count() == 1
        assert root.get_attribute("aria-expanded") == "false"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.dataset.node") == str(tree.nodes[0].left)
        assert tree.condition_text(tree.nodes[0].left) in page.locator("[data-tree='0'] .tree-detail").inner_text()
        page.keyboard.press("End")
        assert int(page.evaluate("document.activeElement.dataset.node")) == len(tree.nodes) - 1
        width = "document.querySelector(\"[data-tree='0'] .tree-svg\").getBoundingClientRect().width"
        moved = "document.querySelector(\"[data-tree='0'] .canvas\").scrollLeft"
        before = page.evaluate(width)
        page.keyboard.press("+")
        page.keyboard.press("+")
        assert page.evaluate(width) > 1.3 * before
        page.keyboard.press("-")
        page.locator("[data-tree='0'] [data-act='in']").click()
        assert page.evaluate(width) > 1.3 * before
        page.locator("[data-tree='0'] [data-node='0']").focus()
        page.keyboard.press("Home")
        left = page.evaluate(moved)
        page.keyboard.press("Shift+ArrowRight")
        assert page.evaluate(moved) > left
        page.keyboard.press("0")
        assert page.evaluate(width) < 1.3 * before
        page.locator("[data-tree='0'] [data-act='close']").click()
        assert nodes.count() == 3
        page.locator("[data-tree='0'] [data-act='open']").click()
        assert nodes.count() == len(tree.nodes)
        page.locator("[data-tree='0'] [data-act='full']").click()
        assert "full" in page.locator("[data-tree='0']").get_attribute("class")
        page.keyboard.press("Escape")
        assert "full" not in page.locator("[data-tree='0']").get_attribute("class")
        page.quiet()


def test_the_wheel_zooms_only_with_control_and_the_mouse_drags(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.select(0)
        svg = page.locator("[data-tree='0'] .tree-svg")
        svg.scroll_into_view_if_needed()
        width = "document.querySelector(\"[data-tree='0'] .tree-svg\").getBoundingClientRect().width"
        moved = "document.querySelector(\"[data-tree='0'] .canvas\").scrollLeft"
        svg.hover()
        before = page.evaluate(width)
        page.mouse.wheel(0, -10)
        page.wait_for_timeout(50)
        assert page.evaluate(width) == before
        page.keyboard.down("Control")
        for _ in range(4):
            svg.hover()
            page.mouse.wheel(0, -120)
            page.wait_for_timeout(30)
        page.keyboard.up("Control")
        assert page.evaluate(width) > 1.5 * before
        page.evaluate("document.querySelector(\"[data-tree='0'] .canvas\").scrollTo(100, 100)")
        box = page.locator("[data-tree='0'] .canvas").bounding_box()
        page.mouse.move(box["x"] + 300, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + 270, box["y"] + 100, steps=4)
        page.mouse.up()
        assert page.evaluate(moved) == pytest.approx(130, abs=6)
        page.quiet()


@pytest.mark.parametrize("name", ["every family", "images"])
def test_a_soft_tree_is_walked(browser: Any, pages: Any, name: str) -> None:
    documents, path = pages[name]
    tree = readables(documents)[1]
    with Opened(browser, path) as page:
        page.select(1)
        walk = page.locator("[data-soft='1'] .soft-walk")
        here = walk.locator(".soft-here")
        assert walk.get_attribute("data-node") == "0"
        walk.locator(".soft-right").click()
        assert walk.get_attribute("data-node") == "2"
        assert f"{tree.rows[2]:,.0f} rows" in here.locator(".soft-title").inner_text()
        assert page.locator("[data-soft='1'] .soft-node.here").get_attribute("data-node") == "2"
        for key in ("ArrowLeft", "ArrowLeft", "ArrowRight"):
            here.focus()
            page.keyboard.press(key)
        assert walk.get_attribute("data-node") == "24"
        assert "Leaf 24" in here.inner_text()
        assert here.locator(".soft-side:disabled").count() == 2
        shown = [text.split()[0] for text in here.locator(".soft-middle .soft-shares .size").all_inner_texts()]
        np.testing.assert_allclose(np.array(shown, dtype=float) / 100, tree.values[24], atol=0.0006)
        page.keyboard.press("ArrowRight")
        assert walk.get_attribute("data-node") == "24"
        page.keyboard.press("ArrowUp")
        assert walk.get_attribute("data-node") == "11"
        walk.locator(".soft-crumbs button").nth(1).click()
        assert walk.get_attribute("data-node") == "2"
        assert page.evaluate("document.activeElement.className") == "soft-here"
        walk.locator(".soft-up").click()
        assert walk.get_attribute("data-node") == "0"
        page.locator("[data-soft='1'] .soft-svg [data-node='5']").click()
        assert walk.get_attribute("data-node") == "5"
        overview = walk.locator(".soft-overview")
        box = overview.bounding_box()
        overview.click(position={"x": 0.99 * box["width"], "y": 0.95 * box["height"]})
        assert walk.get_attribute("data-node") == str(len(tree.values) - 1)
        loaded = "[...document.images].every((image) => image.complete && image.naturalWidth === 6)"
        assert page.evaluate(loaded)
        assert (page.locator("[data-soft='1'] img").count() > 0) == (name == "images")
        page.quiet()


@pytest.mark.parametrize("name", ["every family", "images"])
def test_the_reading_of_a_row_is_chosen(browser: Any, pages: Any, name: str) -> None:
    documents, path = pages[name]
    tree = readables(documents)[1]
    with Opened(browser, path) as page:
        page.select(1)
        soft = page.locator("[data-soft='1']")
        labels = [text for text in soft.locator(".soft-rows option").all_inner_texts() if "panel" not in text]
        seen = set()
        for i in (0, len(labels) // 2, len(labels) - 1):
            soft.locator(".soft-rows").select_option(str(i))
            shown = soft.locator(".reading:visible")
            assert shown.count() == 1
            way = [int(node) for node in shown.get_attribute("data-path").split()]
            if labels[i].startswith("held-out row"):
                row = documents.arrays["X"][[int(re.findall(r"\d+", labels[i])[0]) - 1]]
                assert way[-1] == tree.leaf_of(row)[0]
            assert shown.locator(".step-side").count() == len(way)
            lit = soft.locator(".soft-node.lit").all()
            assert {int(node.get_attribute("data-node")) for node in lit} == set(way[: len(lit)])
            seen.add(way[-1])
        assert len(seen) > 1
        soft.locator(".reading:visible [data-go]").last.click()
        assert soft.locator(".soft-walk").get_attribute("data-node") == str(way[-2])
        page.quiet()


def test_the_row_of_the_panel_is_read(browser: Any, pages: Any) -> None:
    documents, path = pages["every family"]
    tree = readables(documents)[1]
    with Opened(browser, path) as page:
        page.select(1)
        soft = page.locator("[data-soft='1']")
        soft.locator(".soft-rows").select_option(label="the row of the what-if panel")
        seen = set()
        for r in range(0, 40, 6):
            page.select_option("#row-list", str(r))
            row = documents.arrays["X"][[r]]
            reading = tree.read(Table(tree.schema, row))[0]
            shown = soft.locator(".reading:visible")
            way = [step.node for step in reading.decisions] + [reading.leaf]
            assert shown.get_attribute("data-path") == " ".join(map(str, way))
            sides = [text.split() for text in shown.locator(".step-side").all_inner_texts()[:-1]]
            assert [side for side, *_ in sides] == ["right" if step.right else "left" for step in reading.decisions]
            chances = [float(share) / 100 for _, share, *_ in sides]
            np.testing.assert_allclose(chances, [step.probability for step in reading.decisions], atol=6e-4)
            name, _, part = reading.decisions[0].inputs[0]
            assert shown.locator(".parts-read .of").first.inner_text().startswith(f"{name} = ")
            size = shown.locator(".parts-read .size").first.inner_text().replace("−", "-")
            assert float(size) == pytest.approx(part, rel=0.01)
            seen.add(reading.leaf)
        assert len(seen) > 2
        page.quiet()


def test_the_rules_that_hold_are_marked(browser: Any, pages: Any) -> None:
    documents, path = pages["every family"]
    ordered, added = readables(documents)[2:4]
    with Opened(browser, path) as page:
        fires = "i => [...document.querySelectorAll(`[data-rules='${i}'] .fires`)].map((line) => +line.dataset.rule)"
        seen = set()
        for r in range(0, 40, 4):
            page.select_option("#row-list", str(r))
            row = documents.arrays["X"][[r]]
            first = page.evaluate(fires, 2)
            assert first == ordered.rule_of(row).tolist()
            holding = [i for i, rule in enumerate(added.rules) if all(c.holds(row)[0] for c in rule.conditions)]
            assert page.evaluate(fires, 3) == holding
            seen.add((*first, *holding))
        assert len(seen) > 2
        page.quiet()


def test_the_price_of_clarity_is_shown_with_its_numbers(browser: Any, pages: Any) -> None:
    _, path = pages["every family"]
    with Opened(browser, path) as page:
        section = page.locator("#clarity")
        assert section.locator(".clarity-svg:visible").count() == 2
        section.locator("summary").click()
        assert section.locator("tbody tr:visible").count() == 6
        names = section.locator(".wide .curve .name").all()
        for name in names:
            frame, box = section.locator(".wide svg").first.bounding_box(), name.bounding_box()
            assert frame["x"] <= box["x"]
            assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        page.quiet()


def test_of_hundreds_of_columns_those_that_weigh_most_have_a_control(browser: Any, tmp_path: Path) -> None:
    schema = Schema(tuple(Column(f"p{j}") for j in range(225)))
    names = ("no", "yes")
    documents = make_run({"soft": soft_tree(schema, names, "classification", 3, (15, 15, 1))})
    path = tmp_path / "wide-soft.html"
    path.write_text(render(documents), encoding="utf-8", newline="")
    with Opened(browser, path) as page:
        assert page.locator("#used .control").count() == 40
        assert page.locator("#others summary").inner_text() == "185 columns that weigh less for soft, or nothing"
        page.locator("#row-after").click()
        expected = readables(documents)[0].predict_encoded(documents.arrays["X"][:1])[0]
        np.testing.assert_allclose(page.answer(), expected, rtol=1e-6)
        page.quiet()


def test_a_large_tree_starts_folded(browser: Any, tmp_path: Path) -> None:
    tree = grown_tree(NUMBERS, ("prediction",), "regression", 7)
    path = tmp_path / "large.html"
    path.write_text(render(make_run({"tree": tree})), encoding="utf-8", newline="")
    with Opened(browser, path) as page:
        nodes = page.locator("[data-tree='0'] .node:visible")
        assert 20 < nodes.count() < 60
        page.locator("[data-tree='0'] [data-act='open']").click()
        assert nodes.count() == len(tree.nodes)
        page.quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Any, pages: Any, scheme: str) -> None:
    _, path = pages["regression"]
    shade = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
    with Opened(browser, path, color_scheme=scheme) as page:
        first = page.evaluate(shade)
        assert (first < 200) == (scheme == "dark")
        page.locator("#theme").click()
        assert (page.evaluate(shade) < 200) != (scheme == "dark")
        assert page.locator("#theme").inner_text().lower() == scheme
        page.locator("#theme").click()
        assert page.evaluate(shade) == first
        page.quiet()


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_as_wide_as_the_window(browser: Any, pages: Any, name: str, width: int) -> None:
    documents, path = pages[name]
    with Opened(browser, path, viewport={"width": width, "height": 800}) as page:
        for index in range(len(documents.run["students"])):
            page.evaluate("i => limbeckPage.select(i)", index)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.quiet()


def test_hostile_names_run_nothing(browser: Any, pages: Any) -> None:
    documents, path = pages["hostile"]
    with Opened(browser, path) as page:
        for index in range(len(documents.run["students"])):
            page.select(index)
            page.locator(f"#student-{index} details.as-text summary").click()
            for target in ("python", "sql", "c", "javascript", "latex"):
                page.locator(f"#take-{index}-{target}").click()
        page.select(list(documents.run["students"]).index("network"))
        page.locator(f"#c{len(documents.run['schema']['columns']) - 1}").select_option("1")
        for point in page.locator(".wide .point").all():
            point.focus()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img, iframe").count() == 0
        assert ATTACK in page.locator("h1").inner_text()
        page.quiet()


def test_a_hostile_page_of_modules_is_quiet_and_fits(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "modules.html"
    path.write_text(render_modules(hostile_modules()), encoding="utf-8", newline="")
    with Opened(browser, path, color_scheme="dark") as page:
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("window.hacked") is None
        assert ATTACK in page.locator("h1").inner_text()
        assert page.evaluate("[...document.images].every(one => one.naturalWidth > 0)")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        assert page.complaints == []
        assert [url for url in page.requests if not url.startswith("data:")] == [page.address]


def test_a_script_that_gets_in_does_not_run(browser: Any, pages: Any, tmp_path: Path) -> None:
    _, source = pages["regression"]
    planted = tmp_path / "planted.html"
    text = source.read_text(encoding="utf-8")
    planted.write_text(
        text.replace("</main>", f"{ATTACK}<img src=x onerror='window.hacked=2'></main>"), encoding="utf-8"
    )
    with Opened(browser, planted) as page:
        assert page.evaluate("window.hacked") is None
        assert any("Content Security Policy" in complaint for complaint in page.complaints)
        assert page.evaluate("document.images[0].naturalWidth") == 0


def test_exports_can_be_copied_and_downloaded(browser: Any, pages: Any, tmp_path: Path) -> None:
    documents, path = pages["hostile"]
    with Opened(browser, path, accept_downloads=True) as page:
        for index, readable in enumerate(readables(documents)):
            page.select(index)
            for target in ("python", "sql", "javascript"):
                page.locator(f"#take-{index}-{target}").click()
                panel = page.locator(f"#export-{index}-{target}")
                with page.expect_download() as waiting:
                    panel.locator("a[data-download]").click()
                waiting.value.save_as(tmp_path / "taken")
                taken = (tmp_path / "taken").read_bytes().decode("utf-8")
                assert taken.strip() == str(readable.export(target)).strip()
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.select(0)
        page.locator("#take-0-python").click()
        page.locator("#export-0-python button[data-copy]").click()
        page.wait_for_function("/Copied|Selected/.test(document.querySelector('#export-0-python button').textContent)")
        assert "Copied" in page.locator("#export-0-python button").inner_text()


def test_copying_falls_back_to_a_selection(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.evaluate("""() => {
          navigator.clipboard.writeText = () => Promise.reject(new Error("no clipboard here"));
          document.execCommand = () => false;
        }""")
        page.locator("#export-1-python button[data-copy]").click()
        page.wait_for_function("document.querySelector('#export-1-python button').textContent.startsWith('Selected')")
        selected = page.evaluate("window.getSelection().toString()")
        assert "predict" in selected
        page.quiet()


def test_many_columns_show_first_what_the_student_reads(browser: Any, tmp_path: Path) -> None:
    schema = Schema(tuple(Column(f"column {j}") for j in range(130)))
    documents = make_run(
        {
            "formula": formula(schema, ("prediction",), 3),
            "network": small_network(schema, ("prediction",), "regression", (3,)),
        }
    )
    path = tmp_path / "wide.html"
    path.write_text(render(documents), encoding="utf-8", newline="")
    with Opened(browser, path) as page:
        page.select(0)
        assert page.locator("#used .control").count() == 3
        assert page.locator("#others-list .control").count() == 0
        assert page.locator("#others summary").inner_text() == "127 columns that formula does not read"
        page.locator("#others summary").click()
        page.locator("#others-list .control").nth(126).wait_for(state="attached")
        assert page.locator("#others-list .control").count() == 127
        page.locator("#column-filter").fill("column 12")
        assert page.locator(".control:visible").count() == 11
        page.locator("#column-filter").fill("")
        page.select(1)
        assert page.locator("#used .control").count() == 130
        page.slide(129, 1.0)
        expected = readables(documents)[1].predict_encoded(encoded(documents, page.row()))[0]
        np.testing.assert_allclose(page.answer(), expected, rtol=1e-6)
        page.quiet()


def test_a_partial_run_opens_without_complaint(browser: Any, tmp_path: Path) -> None:
    whole = mixed_regression()
    for students in ({}, {"tree": {"readable": whole.students["tree"]["readable"]}}):
        path = tmp_path / f"partial-{len(students)}.html"
        documents = RunDocuments({**whole.run, "complete": False}, {}, students, {})
        path.write_text(render(documents), encoding="utf-8", newline="")
        with Opened(browser, path) as page:
            assert "stopped before its end" in page.locator("main").inner_text()
            if students:
                tree = readable_from_dict(students["tree"]["readable"])
                np.testing.assert_allclose(
                    page.answer(), tree.predict_encoded(encoded(documents, page.row()))[0], rtol=1e-6
                )
            page.quiet()


def test_on_paper_every_student_is_there(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path) as page:
        page.emulate_media(media="print")
        for index in range(3):
            assert page.locator(f"#student-{index}").is_visible()
        assert not page.locator("#whatif").is_visible()
        assert not page.locator(".topbar").is_visible()
        assert re.match(rb"%PDF", page.pdf())


def test_a_soft_tree_and_a_reading_are_on_paper_and_without_javascript(browser: Any, pages: Any) -> None:
    _, path = pages["images"]
    with Opened(browser, path, java_script_enabled=False) as page:
        assert page.locator("[data-soft='1'] .soft-svg").is_visible()
        assert page.locator("[data-soft='1'] .reading:visible").count() == 1
        assert not page.locator("[data-soft='1'] .soft-walk").is_visible()
    with Opened(browser, path) as page:
        page.emulate_media(media="print")
        assert page.locator("[data-soft='1'] .soft-svg").is_visible()
        assert page.locator("[data-soft='1'] .reading:visible").count() == 1
        assert not page.locator("[data-soft='1'] .soft-walk").is_visible()


def test_without_javascript_the_students_can_be_read(browser: Any, pages: Any) -> None:
    _, path = pages["regression"]
    with Opened(browser, path, java_script_enabled=False) as page:
        for index in range(3):
            assert page.locator(f"#student-{index}").is_visible()
        assert page.locator("noscript").count() == 1


def test_levels_that_are_numbers_reach_the_program(browser: Any, tmp_path: Path) -> None:
    schema = Schema((MIXED.columns[4], Column("z")), "pandas")
    documents = make_run({"tree": grown_tree(schema, ("prediction",), "regression", 3)})
    path = tmp_path / "levels.html"
    path.write_text(render(documents), encoding="utf-8", newline="")
    tree = readables(documents)[0]
    with Opened(browser, path) as page:
        for code in range(3):
            page.select_option("#c0", index=code)
            row = page.row()
            assert row[0] == code
            np.testing.assert_allclose(page.answer(), tree.predict_encoded(encoded(documents, row))[0], rtol=1e-6)
        page.quiet()
