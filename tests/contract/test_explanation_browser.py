"""The page of an explanation in a browser, from a file: it walks through levels and runs nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from explanation_documents import KINDS, explanation, hostile
from limbeck.report import render_explanation
from report_runs import ATTACK

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser to look with")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path: the page can't be opened")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tool:
        started = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def written(data: dict[str, Any], folder: Path) -> Path:
    path = folder / "page.html"
    path.write_text(render_explanation(data), encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_page_is_quiet_and_fits(kind: str, browser: Any, tmp_path: Path) -> None:
    """Nothing runs but the page's own script, nothing is fetched, nothing is wider than the window."""
    path, page = written(hostile(kind), tmp_path), browser.new_page()
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
        drawn = "[...document.querySelectorAll('.drawing svg')].filter(one => one.getClientRects().length).length"
        assert page.evaluate(drawn) == (0 if kind == "image" else 1), path.name
    assert page.evaluate("window.hacked") is None
    assert ATTACK in page.locator("h1").inner_text()
    background = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(background)
    page.locator("#theme").click()
    assert page.evaluate(background) != before
    assert complaints == []
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    page.close()


def test_the_slider_and_the_buttons_show_the_level_that_they_name(browser: Any, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto(written(explanation("image", 1), tmp_path).as_uri())
    viewer = page.locator("[data-viewer='0']")
    word, slider = viewer.locator("[data-word]"), viewer.locator("input[type=range]")
    drawn = viewer.locator("svg title").first
    assert word.inner_text() == "level 2: 2 groups"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert word.inner_text() == "level 3: 1 group"
    assert slider.get_attribute("aria-valuetext") == "Level 3: 1 group"
    assert drawn.text_content() == "Level 3: 1 group"
    assert viewer.locator("button").nth(1).is_disabled()
    page.keyboard.press("Home")
    assert word.inner_text() == "level 0: 4 groups"
    assert drawn.text_content() == "Level 0: 4 groups"
    viewer.locator("button").nth(1).click()
    assert word.inner_text() == "level 1: 3 groups"
    page.locator("[data-strip='0'] figure").nth(2).click()
    assert word.inner_text() == "level 2: 2 groups"
    assert page.locator("[data-strip='0'] figure.on").count() == 1
    page.close()


def test_without_scripts_and_on_paper_every_level_can_be_read(browser: Any, tmp_path: Path) -> None:
    path = written(explanation("image", 1), tmp_path)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("[data-strip='0'] figure:visible").count() == 4
    assert not page.locator(".walk").first.is_visible()
    context.close()
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("details.groups[open]").count() == 1
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert not page.locator(".topbar").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.groups[open]").count() == 0
    assert page.evaluate("document.documentElement.dataset.theme") is None
    context.close()
