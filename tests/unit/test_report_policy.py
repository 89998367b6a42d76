"""The pages of policies and of episodes: numbers as they are; hostile names stay text; what is malformed is refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from limbeck._core.errors import InputError, StorageError
from limbeck.report import _shell, render_policy, render_recording, render_recording_svg, write_policy
from limbeck.report._policy_front_svg import on_front
from limbeck.report._policy_read import read_policies
from limbeck.report._policy_view import best_of
from limbeck.report._recording_read import read_recording
from limbeck.report._recording_svg import wrapped
from limbeck.report._recording_values import shorter_by
from policy_documents import candidate, hostile, policies, program, recording, tree
from reading_html import Tags, section
from report_runs import ATTACK, HOSTILE

SVG = "{http://www.w3.org/2000/svg}"


def words(part: str) -> str:
    return " ".join("".join(Tags(part).words).split())


@pytest.fixture(scope="module")
def page() -> str:
    return render_policy(policies(), recording())


def test_the_same_documents_give_the_same_bytes(page: str) -> None:
    document, played = policies(), recording()
    before = copy.deepcopy((document, played))
    assert render_policy(json.loads(json.dumps(document)), json.loads(json.dumps(played))) == page
    assert (document, played) == before
    assert len(page.encode()) < 150_000
    assert render_recording(played) == render_recording(copy.deepcopy(played))
    assert render_recording_svg(played) == render_recording_svg(copy.deepcopy(played))


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    tags = Tags(page)
    ids = [str(attrs["id"]) for _, attrs in tags.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {str(attrs[key]) for _, attrs in tags.seen for key in ("href", "src") if key in attrs}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    script = page[page.index("<script>") + 8 : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:;"
    assert policy in html.unescape(page)
    assert "url(" not in page
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in tags.seen if tag == "th")


def test_the_head_says_what_was_found(page: str) -> None:
    said = words(section(page, "verdict") + "</section>")
    for text in (
        "A program of 1 line scores 10.25 where the teacher scores 10.5 and a random policy 1.",
        "right if ball - paddle > 2 50 % ; left if ball - paddle < -1 30 % ; else stay 20 %",
        "To use as it is: program_1. Not to use: tree_3.",
        "60 s asked for, 1,234 states seen",
        "a note",
    ):
        assert text.replace(" ", "") in said.replace(" ", "")
    none = render_policy(policies(candidates=[policies()["candidates"][0]]))
    assert "None of the 1 candidate may be used: the teacher scores 10.5, a random policy 1." in none


def test_a_card_holds_text_shares_findings_and_differences(page: str) -> None:
    first, second = section(page, "candidates").split("<article")[1:]
    assert "tree_3" in first.split("</h3>")[0]
    assert "program_1" in second.split("</h3>")[0]
    said = words("<article" + first.rsplit("</article>")[0] + "</article>")
    for text in (
        "tree_3 3 2 to 4",
        "if ball > paddle: right50 % else if speed > 0.5: left30 % else: stay20 %",
        "0.20 of the teacher's lead is kept",
        "RC014 was looked at",
        "stay 500020 right 303000",
        "3.25 1.5 −0.125",
    ):
        assert text.replace(" ", "") in said.replace(" ", "")
    assert first.count("<td>right</td><td>stay</td>") == 1  # twice the same state is shown once
    assert '<details class="more" open>' in second
    assert '<details class="more" open>' not in first  # only the best is open
    assert "def act(" in html.unescape(second)


def test_the_front_is_drawn_between_the_levels(page: str) -> None:
    part = section(page, "front")
    drawn = ElementTree.fromstring(part[part.index("<svg") : part.index("</svg>") + 6])
    levels = [one for one in drawn.iter("g") if str(one.get("class")).endswith("-level")]
    heights = [float(str(one[1].get("d")).split()[1].split("H")[0]) for one in levels]
    marks = {one.find("g").get("class"): one.find("g").get("transform") for one in drawn.iter("a")}  # type: ignore[union-attr]
    assert set(marks) == {"point family-program", "point family-policy-tree"}
    places = [float(str(at).split()[1].rstrip(")")) for at in marks.values()]
    assert heights[0] > places[1] > places[0] > heights[1]  # random, tree, program, teacher from the bottom up
    assert [one.get("href") for one in drawn.iter("a")] == ["#candidate-1", "#candidate-0"]
    assert "the teacher 10.5" in part


def test_those_that_another_beats_are_not_on_the_front() -> None:
    document = policies()
    weak = candidate("tree_9", tree(), [1.0, 2.0, 1.0, 2.0], "do not use: weak")
    document["candidates"].append(weak)
    found = read_policies(document)
    names = [found.candidates[i].name for i in on_front(found.candidates)]
    assert names == ["tree_3", "program_1"]
    best = best_of(found)
    assert best is not None
    assert best.name == "program_1"
    assert "point family-policy-tree dominated" in section(render_policy(document), "front")


def test_a_return_far_below_is_drawn_at_the_foot() -> None:
    document = policies()
    far = candidate("tree_4", tree(), [-900.0, -950.0, -800.0, -990.0], "do not use: far")
    document["candidates"].append(far)
    assert "tree_4 ↓ −910" in section(render_policy(document), "front")


def test_each_episode_has_a_dot_and_a_number(page: str) -> None:
    part = section(page, "returns")
    rows = part.split('class="lane-row')[1:]
    dots = [[float(at) for at in re.findall(r'class="dot-at" style="left:([\d.]+)%', row)] for row in rows[:4]]
    assert [len(one) for one in dots] == [4, 4, 4, 4]
    assert np.mean(dots[0]) > np.mean(dots[3]) > np.mean(dots[2]) > np.mean(dots[1])
    assert '<th scope="row" class="num">11</th><td class="num">12</td><td class="num">0</td>' in part


def test_hostile_names_stay_text() -> None:
    document, played = hostile()
    for text in (render_policy(document, played), render_recording(played)):
        tags = Tags(text)
        assert sum(tag == "script" for tag, _ in tags.seen) == 2  # the player's data, and the script
        assert not [attrs for _, attrs in tags.seen if any(name.startswith("on") for name in attrs)]
        assert not [tag for tag, _ in tags.seen if tag == "img"]
        assert ATTACK not in text
        assert any(ATTACK in word for word in tags.words)
        assert not [word for word in tags.words if "n" * 150 in word]
    drawn = render_recording_svg(played)
    assert "onload" not in str([one.attrib for one in ElementTree.fromstring(drawn).iter()])
    assert not list(ElementTree.fromstring(drawn).iter(f"{SVG}script"))
    assert HOSTILE[3] in drawn


# The episode


def test_the_player_holds_what_was_done(page: str) -> None:
    part = section(page, "play")
    data = json.loads(re.search(r'id="episode-one">([^<]*)<', part).group(1))  # type: ignore[union-attr]
    assert data["taken"] == [2, 0, 0, 0, 0]
    assert data["firing"] == [1, 2, 2, 2, 2]
    assert (data["width"], data["many"], data["gained"][4]) == (10, 2, "4")
    assert [len(row) for row in data["values"]] == [2] * 5  # ball and paddle; speed is not compared
    assert part.count("data-sheet=") == 3
    guards = re.findall(r'class="guard( fires)?" data-guard="(\d)">([^<]*)<', part)
    assert [fires for fires, _, _ in guards] == ["", " fires", ""]
    assert guards[0][2] == "right if ball - paddle &gt; 2"
    assert "program_1 plays 9 steps and scores 8. The first 5 steps are shown." in part
    assert "In 0 of these 5 pictures the teacher would do the same." in part


def test_an_old_recording_of_another_run_is_left_out() -> None:
    assert '<section id="play"' not in render_policy(policies(candidates=[policies()["candidates"][0]]), recording())
    other = recording(readable=None, player="the teacher")
    other.update(readable=None, firing=None)
    assert '<section id="play"' in render_policy(policies(), other)


def test_the_animated_picture_shows_each_frame_in_its_time() -> None:
    drawn = ElementTree.fromstring(render_recording_svg(recording()))
    sheets = list(drawn.iter(f"{SVG}image"))
    shown = [one.find(f"{SVG}animate") for one in sheets]
    values = [(str(one.get("keyTimes")), str(one.get("values"))) for one in shown if one is not None]
    assert values == [("0;0.2;0.4", "0;-10;10"), ("0;0.4;0.6;0.8", "10;0;-10;10"), ("0;0.8", "10;0")]
    assert {one.get("dur") for one in drawn.iter(f"{SVG}animate")} == {"0.500s"}
    lit = [one for one in drawn.iter(f"{SVG}rect") if one.get("class") == "lit"]
    states = [(one.get("display"), [a.get("values") for a in one]) for one in lit]
    assert states == [("inline", ["inline;none"]), ("none", ["none;inline"])]  # the first guard never fires
    assert not [one for one in drawn.iter(f"{SVG}svg") if one is not drawn]  # one clock


def test_lines_are_broken_where_they_are_too_long() -> None:
    rows = wrapped(program().lines(), 24)
    assert all(at + len(text.rstrip()) <= 24 for row in rows for at, text, _ in row)
    assert "".join(text for row in rows for _, text, _ in row) == program().text()
    assert {guard for row in rows for _, _, guard in row} == {None, 0, 1, 2}
    long = wrapped([(("a" * 30, 0),)], 10)
    assert "".join(text for row in long for _, text, _ in row) == "a" * 30


def test_without_pictures_what_was_seen_is_drawn() -> None:
    played = recording(pictures=None)
    text = render_recording(played)
    assert 'class="seen" points=' in text
    assert "data-sheet" not in text.split("</style>")[1].split("<script>")[0]
    assert text.count('class="curve-name"') == 1  # the paddle stands still
    drawn = ElementTree.fromstring(render_recording_svg(played))
    assert len(list(drawn.iter(f"{SVG}polyline"))) == 1


def test_an_episode_that_is_too_large_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    played = recording(frames=16)
    full = len(render_recording(played).encode())
    monkeypatch.setattr(_shell, "MAX_BYTES", full - 1)
    text = render_recording(played)
    assert text.count("data-sheet=") == 4
    assert "The first 8 steps are shown." in text
    assert len(shorter_by(read_recording(played), 16).taken) == 2
    monkeypatch.setattr(_shell, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="a page below 3 MB can't show so large a picture"):
        render_recording(played)


def test_a_long_run_stays_below_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    document = policies()
    document["candidates"] *= 45
    whole = render_policy(document)
    assert "60 candidates of 90 are shown." in whole
    monkeypatch.setattr(_shell, "MAX_BYTES", len(whole.encode()) - 1)
    assert "30 candidates of 90 are shown." in render_policy(document)


# What is refused


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with another value at a place; without it where the value is KeyError."""
    inside = document
    for key in path[:-1]:
        inside = inside[key]
    if value is KeyError:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return document


NAN = float("nan")
BAD_POLICIES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "another format": (("format",), "limbeck-run", "a document of policies is required"),
    "another version": (("version",), 2, "of version 1; got 2"),
    "no seeds": (("seeds",), [], "policy.json: seeds must be a list of at least 1"),
    "no teacher": (("teacher",), KeyError, "policy.json lacks 'teacher'"),
    "not complete": (("complete",), "yes", "policy.json: complete must be true or false"),
    "interval": (("random", "low"), 99.0, "whose low end is not above its high end"),
    "not finite": (("candidates", 0, "score", "mean"), NAN, r"candidates\[0\].score.mean must be a finite number"),
    "too few returns": (("candidates", 1, "returns"), [1.0], r"returns must hold 4 numbers, one a seed; got 1"),
    "no readable": (("candidates", 0, "readable"), {"family": "tree"}, r"candidates\[0\].readable is malformed"),
    "other columns": (("columns",), ["a", "b", "c"], "must be about the columns and actions of its document"),
    "too many shares": (
        ("candidates", 0, "firing"),
        [0.5] * 9,
        "firing must hold 3 shares, one a guard or leaf; got 9",
    ),
    "a share of 2": (("candidates", 0, "firing"), [2.0, 0.0, 0.0], "a number from 0 to 1"),
    "state": (("candidates", 0, "differences", 0, "observation"), [1.0], "observation must hold 3 numbers"),
    "action": (("candidates", 0, "differences", 0, "teacher"), "fly", "teacher must be one of the actions; got 'fly'"),
    "finding": (("candidates", 0, "findings", 0, "status"), "fine", "status must be pass, fail"),
}


@pytest.mark.parametrize("case", BAD_POLICIES)
def test_what_is_malformed_is_refused(case: str) -> None:
    path, value, message = BAD_POLICIES[case]
    with pytest.raises(InputError, match=message):
        render_policy(changed(policies(), path, value))


BAD_RECORDINGS: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "another format": (("format",), "x", "a recording is required"),
    "another version": (("version",), "1", "of version 1; got '1'"),
    "too few rows": (("rows",), [[0.0, 1.0, 2.0]], "rows must hold 5 rows of 3 numbers"),
    "a short row": (("rows", 2), [0.0], "rows must hold 5 rows of 3 numbers"),
    "an action that is not there": (("taken", 0), 3, r"taken\[0\] must be a whole number from 0 to 2"),
    "too few wanted": (("wanted",), [0], "wanted must hold 5 entries, one a frame; got 1"),
    "a guard that is not there": (("firing", 0), 9, r"firing\[0\] must be a whole number"),
    "no pace": (("fps",), 0.0, "fps from 0.01 to 240"),
    "not finite": (("gained", 1), float("inf"), r"gained\[1\] must be a finite number"),
    "not base64": (("pictures", "sheets", 0), "<svg onload=1>", r"sheets\[0\] must be base64 of a PNG"),
    "not a PNG": (("pictures", "sheets", 0), base64.b64encode(b"<svg/>" * 9).decode(), "must be base64 of a PNG"),
    "another size": (("pictures", "height"), 9, "must be a PNG of 20 by 9; got 20 by 8"),
    "a sheet too few": (("pictures", "sheets"), [], "a list of at least 1"),
    "nested without end": (("readable", "guards"), [[[[]]]], "readable is malformed"),
}


@pytest.mark.parametrize("case", BAD_RECORDINGS)
def test_a_malformed_recording_is_refused(case: str) -> None:
    path, value, message = BAD_RECORDINGS[case]
    played = changed(recording(), path, value)
    for draw in (render_recording, render_recording_svg):
        with pytest.raises(InputError, match=message):
            draw(played)
    with pytest.raises(InputError, match=message):
        render_policy(policies(), played)


def test_a_folder_is_written_as_a_page(tmp_path: Path, page: str) -> None:
    (tmp_path / "policy.json").write_text(json.dumps(policies()), encoding="utf-8")
    path = write_policy(tmp_path, tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == render_policy(policies())
    (tmp_path / "recording.json").write_text(json.dumps(recording()), encoding="utf-8")
    assert write_policy(tmp_path, path).read_text(encoding="utf-8") == page
    (tmp_path / "recording.json").write_text("{", encoding="utf-8")
    with pytest.raises(StorageError, match="can't be read as JSON"):
        write_policy(tmp_path, path)
    assert path.read_text(encoding="utf-8") == page
    with pytest.raises(StorageError, match=r"a folder with policy\.json is required"):
        write_policy(tmp_path / "nowhere", path)
