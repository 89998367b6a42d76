"""A formula in the report: its shorter and longer forms with what is known of each, and where it was fitted."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from limbeck._core.storage import RunDocuments
from limbeck.readable import readable_from_dict
from limbeck.report import render
from limbeck.report._alternatives import alternatives_view, fitted_ranges
from limbeck.report._students import read_students
from report_runs import ATTACK, MIXED, formula, hostile, make_run, mixed_classification, point


def run(bic: Any = None, mdl: Any = None, *, with_truth: bool = True) -> RunDocuments:
    lengths = [formula(MIXED, ("strength",), length) for length in (1, 2, 3)]
    documents = make_run({"formula": lengths[1]}, alternatives={"formula": list(lengths)})
    student = documents.students["formula"]
    for i, entry in enumerate(student["alternatives"]):
        entry["score"] = 0.1 + 0.2 * i
        entry |= {"bic": bic[i]} if bic else {}
        entry |= {"mdl": mdl[i]} if mdl else {}
    if with_truth:
        student["curve"] = [
            point(f.complexity, 0.5, test_accuracy=0.11 * (i + 1), unit="symbols") for i, f in enumerate(lengths)
        ]
    return documents


def table(documents: RunDocuments) -> dict[str, Any]:
    return alternatives_view(read_students(documents)[0])


def test_each_member_has_its_own_numbers() -> None:
    found = table(run(bic=[30.0, 20.0, 12345.6], mdl=[3.0, None, 1.0]))
    assert found["heads"] == ["Fidelity", "R² on the truth", "R² on unseen queries", "BIC", "MDL"]
    lines = found["lines"]
    assert [line["cells"][1:] for line in lines] == [
        ["0.330", "0.500", "12,346", "1"],
        ["0.220", "0.300", "20", "–"],
        ["0.110", "0.100", "30", "3"],
    ]
    assert [line["chosen"] for line in lines] == [False, True, False]
    assert lines[1]["cells"][0] == "1.000"
    assert found["heading"] == "Formula; y is strength"
    assert "<mi>y</mi>" in str(lines[0]["math"][0]) or ">y<" in str(lines[0]["math"][0])
    assert "BIC and MDL: on the rows it was fitted on; lower is better." in found["says"]


def test_what_no_member_has_is_left_out() -> None:
    found = table(run(with_truth=False))
    assert found["heads"] == ["Fidelity", "R² on unseen queries"]
    assert "BIC" not in found["says"]
    assert "truth" not in found["says"]
    assert table(run(bic=[float("nan"), True, "1"]))["heads"] == ["Fidelity", "R² on the truth", "R² on unseen queries"]


def test_members_of_the_same_length_are_not_mixed_up() -> None:
    documents = run()
    documents.students["formula"]["curve"] *= 2
    assert "R² on the truth" not in table(documents)["heads"]


def test_the_table_stands_under_the_formula() -> None:
    page = render(run(bic=[3.0, 2.0, 1.0]))
    assert page.index('class="formulas"') < page.index("Shorter and longer formulas") < page.index("Its answers")
    assert page.count("Shorter and longer formulas") == 1
    assert '<th scope="col" class="num">BIC</th>' in page


def test_other_families_keep_their_table() -> None:
    documents = mixed_classification()
    page = render(documents)
    for student in read_students(documents):
        if student.family == "formula" and len(student.alternatives) > 1:
            assert alternatives_view(student)["heads"][-1] == "Score on unseen queries"
        elif len(student.alternatives) > 1:
            assert alternatives_view(student)["heading"] == "Model"
    assert page == render(documents)


def test_the_ranges_are_those_of_the_columns_it_reads() -> None:
    plain = formula(MIXED, ("strength",), 3)
    found = replace(plain, ranges=tuple((j + 0.5, 1000.0 * j + 1.0) for j in plain.columns_used))
    expected = [{"name": MIXED.names[j], "text": f"{j}.5 to {1000 * j + 1:,}"} for j in found.columns_used]
    assert fitted_ranges(found) == expected
    assert len(expected) > 1
    documents = run()
    stored = documents.students["formula"]["readable"]
    shown = replace(readable_from_dict(stored), ranges=found.ranges[: len(readable_from_dict(stored).columns_used)])
    stored["ranges"] = [list(span) for span in shown.ranges]
    page = render(documents)
    listed = page[page.index("Where it was fitted") :]
    names = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", listed[: listed.index("</dl>")])
    assert names == [(entry["name"], entry["text"]) for entry in fitted_ranges(shown)]


def test_ranges_that_are_not_known_are_not_shown() -> None:
    plain = formula(MIXED, ("strength",), 3)
    assert fitted_ranges(plain) == []
    assert fitted_ranges(replace(plain, ranges=(None,) * len(plain.columns_used))) == []
    assert "Where it was fitted" not in render(run())


def test_hostile_names_stay_text() -> None:
    documents = hostile()
    stored = documents.students["formula"]["readable"]
    stored["ranges"] = [[0.0, 1.0]] * len(readable_from_dict(stored).columns_used)
    page = render(documents)
    assert "Where it was fitted" in page
    assert ATTACK not in page
