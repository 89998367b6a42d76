"""The bill in the report and on the command line: the run's own numbers; malformed and hostile bills stay text."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from limbeck._core.errors import InputError
from limbeck._core.storage import RunDocuments, write_run
from limbeck.cli import _bill as command
from limbeck.report import render
from limbeck.report._bill_svg import Bar, Measure, bill_svg
from limbeck.report._bill_view import bill_view, bytes_text, drawable, memory_text, time_text, times_text
from limbeck.report._students import read_students
from report_runs import ATTACK, bill, entry, grown_tree, hostile, make_run, mixed_regression, small_network
from report_runs import MIXED as COLUMNS


def with_bill(found: Any, documents: RunDocuments | None = None) -> RunDocuments:
    documents = documents or mixed_regression()
    documents.run["bill"] = found
    return documents


def view(found: Any, start: int = 2) -> Any:
    documents = with_bill(found)
    return bill_view(documents, read_students(documents), start)


def test_the_sentence_says_better_and_worse() -> None:
    said = view(bill())["sentence"]
    assert said == (
        "The network is 3,012 times smaller than its teacher, answers one row 1,070 times faster and 10,000 rows 2.0 "
        "times faster. Compiled as C it answers one row 30,571 times faster."
    )
    worse = view(bill(), start=0)["sentence"]
    assert worse == (
        "The tree is 1.5 times larger than its teacher, answers one row 2.0 times slower and 10,000 rows as fast."
    )


def test_what_is_not_known_is_said() -> None:
    failed = entry("teacher", "function", None, None, None, None, "could not be asked: ZeroDivisionError")
    found = view(bill(failed, entry("network", "NumPy", 2_000, 20.0, 38.0)))
    assert found["sentence"].startswith("Of the network and its teacher too little could be measured")
    assert found["tables"][0][0]["note"] == "could not be asked: ZeroDivisionError"
    assert "not known" in found["wide"]
    nothing = view(bill(failed))
    assert nothing["sentence"] == "What it costs to store the models and to ask them, measured in this run."
    only_speed = view(
        bill(entry("teacher", "function", None, 40.0, 80.0), entry("network", "NumPy", 2_000, 20.0, 40.0))
    )
    assert only_speed["sentence"] == (
        "The network answers one row 2.0 times faster and 10,000 rows 2.0 times faster compared with its teacher."
    )


def test_the_page_shows_the_numbers_of_the_run() -> None:
    page = render(with_bill(bill()))
    for text in (
        '<a href="#bill">Bill</a>',
        'id="bill"',
        "6.02 MB",
        "21.4 ms",
        "76.7 ms",
        "3,012× smaller",
        "2.0× slower",
    ):
        assert text in page, text
    assert "Measured in this run, on one thread on a machine, 8 cores; rows of 5 columns." in page
    assert page == render(with_bill(bill()))
    tree = next(line for line in view(bill())["tables"][0] if line["name"] == "tree")
    assert tree["cells"][-1][1] == "–"
    network = next(line for line in view(bill())["tables"][0] if line["name"] == "network")
    assert network["cells"][-1][1:] == ("3 MB", "27× less")
    assert network["cells"][3][1] == "263,000"


def test_a_run_without_a_bill_has_no_section() -> None:
    page = render(mixed_regression())
    assert page == render(with_bill("text"))
    assert "#bill" not in page
    assert 'id="bill"' not in page


@pytest.mark.parametrize(
    "found",
    [None, [], "text", 7, {}, {"entries": None}, {"entries": {}}, {"entries": []}, {"entries": [None, 3, "a", {}, []]}],
    ids=repr,
)
def test_no_bill_to_read_no_section(found: Any) -> None:
    assert view(found) is None


ODD = [10**400, -1, -0.0, 0, 1e308, 1e-308, float("nan"), float("inf"), True, "12", [], {}, None]


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_odd_numbers_do_not_break_the_page(value: Any) -> None:
    keys = ("bytes", "microseconds_1", "milliseconds_10000", "peak_bytes", "form", "note", "bytes_of")
    odd = bill()
    for one in odd["entries"][1:2]:
        one.update(dict.fromkeys(keys, value))
    odd.update(columns=value, machine=value, ratios=value)
    found = view(odd)
    assert len(found["tables"][0]) == 4
    for picture in (found["wide"], found["narrow"]):
        assert "nan" not in picture.lower()
        assert "inf" not in picture.lower()


def test_a_page_with_all_odd_numbers() -> None:
    odd = [entry("network", "NumPy", value, value, value, value, value) for value in ODD]
    assert 'id="bill"' in render(with_bill(bill(*odd)))


def test_hostile_names_stay_text() -> None:
    documents = hostile()
    plain = render(copy.deepcopy(documents))
    entries = [entry("teacher", ATTACK, 100, 1.0, 1.0, note=ATTACK), entry(ATTACK, ATTACK, 10, 1.0, 1.0, note=ATTACK)]
    found = bill(*entries, entry(ATTACK * 40, ATTACK * 40, 10, 1.0, 1.0, note=ATTACK * 400))
    found["machine"] = ATTACK
    found["entries"][1]["bytes_of"] = ATTACK
    page = render(with_bill(found, documents))
    section = page[page.index('<section id="bill"') :]
    section = section[: section.index("</section>")]
    assert page.count("<script") == plain.count("<script")
    assert "<script" not in section
    assert "<img" not in section
    assert ATTACK not in section
    assert len(section) < 60_000


def test_many_entries_are_split_and_bounded() -> None:
    many = [entry(f"student {i // 4}", f"form {i % 4}", 10, 1.0, 1.0) for i in range(400)]
    found = view(bill(entry("teacher", "torch", 100, 1.0, 1.0), *many))
    assert [len(lines) for lines in found["tables"]] == [16, 44]
    assert found["wide"].count("<rect") == 4 * 12
    assert found["tables"][0][0]["teacher"]
    few = view(bill())
    assert [len(lines) for lines in few["tables"]] == [4, 0]


def test_the_teacher_comes_first_wherever_it_is_stored() -> None:
    entries = bill()["entries"]
    found = view(bill(*reversed(entries)))
    assert [line["teacher"] for line in found["tables"][0]] == [True, False, False, False]


def test_the_smallest_is_the_shortest_bar() -> None:
    bars = [Bar("a", "a", value, "words", "tree") for value in (1.0, 10.0, 1000.0)]
    for width in (400, 1040):
        text = str(bill_svg([Measure("size", bars)], width))
        widths = [
            float(part.split('"')[1]) for part in text.split("<rect")[1:] for part in [part[part.index("width=") :]]
        ]
        assert widths == sorted(widths)
        assert widths[0] > 5
        assert widths[1] - widths[0] == pytest.approx((widths[2] - widths[0]) / 3, abs=0.2)  # logarithmic
    assert "not known" in bill_svg([Measure("size", [Bar("a", "a", None, "–", "tree")])], 400)


def test_words_for_numbers() -> None:
    assert [bytes_text(v) for v in (0, 999, 1000, 999_999, 5.5e17)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "1,000 kB",
        "550 PB",
    ]
    assert [time_text(v) for v in (1e-9, 9.996e-4, 0.9999, 119, 7199, 1e6)] == [
        "0.001 µs", "1,000 µs", "1,000 ms", "119 s", "120 min", "278 h"
    ]  # fmt: skip
    assert [memory_text(v) for v in (None, 1e6, 2.5e6)] == ["–", "below 1 MB", "2.5 MB"]
    assert [times_text(v) for v in (1.04, 9.96, 10, 12345.6)] == ["1.0", "10.0", "10", "12,346"]
    assert [drawable(v) for v in (1, 2.5, 0)] == [1.0, 2.5, 0.0]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    readables = {
        "tree": grown_tree(COLUMNS, ("prediction",), "regression", 3),
        "network": small_network(COLUMNS, ("prediction",), "regression", (3,)),
    }
    return write_run(tmp_path / "run", with_bill(bill(), make_run(readables)))


def test_the_command_prints_the_stored_bill(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.bill(run)
    out = capsys.readouterr().out
    lines = out.splitlines()
    head = "model form size smaller one row faster 10,000 rows faster rows a second memory"
    assert " ".join(lines[0].split()) == head
    assert "6.02 MB" in lines[1]
    for text in ("3,012 x", "1,070 x", "0.5 x", "20 µs"):
        assert text in lines[2], text
    assert "below 1 MB" in lines[3]
    assert "note: network, C, compiled (gcc -O3): called from Python" in out
    assert lines[-1] == "one thread; a machine, 8 cores"
    command.bill(run, as_json=True)
    assert json.loads(capsys.readouterr().out) == bill()


def test_a_run_without_a_bill_says_how_to_get_one(tmp_path: Path) -> None:
    readables: dict[str, Any] = {"tree": grown_tree(COLUMNS, ("prediction",), "regression", 3)}
    for i, found in enumerate([None, "text", {"entries": 3}]):
        folder = write_run(tmp_path / f"run{i}", with_bill(found, make_run(readables)))
        with pytest.raises(InputError, match=r"a run with a bill is required.*limbeck compress.*--bill"):
            command.bill(folder)


def test_the_command_prints_odd_bills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = bill(entry("[red]", "[/]", "many", [], {}, True, 7), entry("a", "b", -1, 0, 1e300))
    odd["entries"].append("text")
    odd["ratios"] = [3, {"name": "a", "form": "b", "smaller": "x", "faster_1": 1e-5}]
    readables: dict[str, Any] = {"tree": grown_tree(COLUMNS, ("prediction",), "regression", 3)}
    command.bill(write_run(tmp_path / "run", with_bill(odd, make_run(readables))))
    out = capsys.readouterr().out
    assert "[red]" in out
    assert "1e-05 x" in out
