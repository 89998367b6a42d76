"""The report as text: pure, escaped, small, whole."""

from __future__ import annotations

import base64
import copy
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

from limbeck._core.errors import InputError, StorageError
from limbeck._core.storage import RunDocuments, read_run, write_run
from limbeck._core.tables import Column, Schema
from limbeck.readable import FormulaReadable
from limbeck.report import render, write_report
from limbeck.report._embed import Budget, Scripts, json_block, script_text
from limbeck.report._students import fidelity, read_students
from limbeck.report._tree_svg import condition_lines, lay_out, tree_svg
from limbeck.report._typeset import formula_lines, known_mathml
from limbeck.report._whatif import column_data, encoded_row, nice_step
from limbeck.report._words import interval_text, joined, number, verdict_kind
from report_runs import (
    ATTACK,
    HOSTILE,
    MIXED,
    NUMBERS,
    classifier,
    every_family,
    finding,
    formula,
    grown_tree,
    hostile,
    make_run,
    mixed_classification,
    mixed_regression,
    several_outputs,
    small_images,
    small_network,
)

RUNS = {
    "regression": mixed_regression,
    "classification": mixed_classification,
    "several outputs": several_outputs,
    "hostile": hostile,
    "every family": every_family,
    "every family of numbers": lambda: every_family(("prediction",), "regression"),
    "images": small_images,
}
VOID = {"meta", "input", "img", "br", "link", "hr"}


class Page(HTMLParser):
    """Every element and its text; complains where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.texts))

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "limbeck-data"))


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> RunDocuments:
    return RUNS[request.param]()


@pytest.fixture(scope="module")
def page(run: RunDocuments) -> str:
    return render(run)


def test_the_same_run_gives_the_same_bytes(run: RunDocuments, page: str) -> None:
    assert render(copy.deepcopy(run)) == page


def test_a_folder_gives_the_same_page_as_its_documents(tmp_path: Path) -> None:
    documents = mixed_regression()
    write_run(tmp_path / "run", documents)
    one = write_report(tmp_path / "run", tmp_path / "one.html")
    two = write_report(tmp_path / "run", tmp_path / "deep" / "two.html")
    assert one.read_bytes() == two.read_bytes()
    assert one.read_text(encoding="utf-8") == render(documents) == render(read_run(tmp_path / "run"))


def test_a_folder_that_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not a run"):
        write_report(tmp_path, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_it_is_well_formed_and_its_names_are_unique(page: str) -> None:
    ids = [attributes["id"] for _, attributes in Page(page).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert page.startswith("<!doctype html>\n<html lang=")


def test_every_reference_inside_the_page_is_there(page: str) -> None:
    elements = Page(page).elements
    ids = {attributes["id"] for _, attributes in elements if "id" in attributes}
    for name in ("aria-controls", "aria-labelledby", "for", "data-copy", "data-download", "data-from"):
        wanted = {attributes[name] for _, attributes in elements if name in attributes}
        assert wanted <= ids, name


def test_nothing_is_fetched(page: str) -> None:
    parsed = Page(page)
    for tag, attributes in parsed.elements:
        assert tag not in {"link", "iframe", "object", "embed", "base", "video", "audio", "source", "form"}
        assert (attributes.get("src") or "data:image/png;base64,").startswith("data:image/png;base64,"), attributes
        if tag == "image":
            assert (attributes.pop("href") or "").startswith("data:image/png;base64,")
        for name in ("href", "xlink:href", "action", "data", "poster", "srcset"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_the_policy_allows_these_scripts_and_no_others(page: str) -> None:
    parsed = Page(page)
    policy = next(a["content"] for t, a in parsed.elements if t == "meta" and "http-equiv" in a) or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "'unsafe-inline'" not in policy.split("style-src")[0]
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    scripts = [text for attributes, text in parsed.scripts if attributes.get("type") != "application/json"]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    assert set(digests) == allowed
    assert len(scripts) >= 5
    assert ("img-src data:" in policy) == any(tag in ("img", "image") for tag, _ in parsed.elements)


def test_no_element_has_an_event_in_its_attributes(page: str) -> None:
    for tag, attributes in Page(page).elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 600_000


def test_hostile_names_stay_text() -> None:
    text = render(hostile())
    page = Page(text)
    assert ATTACK not in text
    assert page.text.count(ATTACK) > 20
    assert "{{ 7 * 7 }}" in page.text
    assert {"img", "textarea", "iframe", "object"}.isdisjoint(tag for tag, _ in page.elements)
    names = [column["name"] for column in page.data["columns"]]
    assert names == [*HOSTILE, "levels " + ATTACK]


def test_hostile_programs_stay_in_their_blocks() -> None:
    page = Page(render(hostile()))
    programs = [text for attributes, text in page.scripts if str(attributes.get("id", "")).startswith("program-")]
    assert len(programs) == 7
    for text in programs:
        assert text.rstrip().endswith("})();")


def test_findings_come_first_with_numbers_and_words() -> None:
    text = render(mixed_regression())
    page = Page(text)
    assert (
        text.index('id="findings"') < text.index('id="front"') < text.index('id="students"') < text.index('id="whatif"')
    )
    assert "0.912" in page.text
    assert "0.880 to 0.940" in page.text
    assert "at most 2" in page.text
    assert "at least 0.8" in page.text
    assert "not applicable" in page.text
    assert "do not use" in page.text
    assert "not faithful" in page.text
    for status in ("pass", "fail", "inconclusive"):
        assert re.search(
            rf'<span class="status status-{status}"><span class="sym" aria-hidden="true">[✓✕?]</span>', text
        )


def test_the_head_says_what_was_distilled() -> None:
    text = Page(render(mixed_regression())).text
    assert "The teacher is f (callable), and answered 900 rows in all." in text
    assert "The data are 500 rows of 5 columns, 100 of them held out before anything else was done." in text
    assert "the teacher itself reaches an R2 of 0.871 (95 % interval 0.840 to 0.900)" in text
    assert "Seed 7; limbeck 0.1.0; python 3.11.7." in text
    assert "3 February 2025, 04:05 UTC" in text


def test_a_partial_run_is_shown_as_far_as_it_went() -> None:
    whole = mixed_regression()
    documents = RunDocuments(
        {**whole.run, "complete": False},
        {"students": []},
        {"formula": {"name": "formula", "readable": whole.students["formula"]["readable"]}},
        {},
    )
    text = Page(render(documents)).text
    assert "This run was stopped before its end." in text
    assert "Not finished: tree and network." in text
    assert "No check has judged this student" in text
    assert "no verdict" in text
    assert "No student has a fidelity yet" in text
    assert "No held-out rows are stored in this run" in text


def test_a_run_without_students_is_a_page() -> None:
    whole = mixed_regression()
    documents = RunDocuments({**whole.run, "complete": False, "students": []}, {}, {}, {})
    text = Page(render(documents)).text
    assert "No student was finished" in text


def test_documents_without_anything_optional_are_a_page() -> None:
    whole = mixed_regression()
    run = {"schema": whole.run["schema"], "task": "regression", "students": ["tree"]}
    documents = RunDocuments(run, {}, {"tree": {"readable": whole.students["tree"]["readable"]}}, {})
    assert "the teacher" in Page(render(documents)).text


def test_a_run_without_a_schema_is_refused() -> None:
    with pytest.raises(InputError, match="needs a schema"):
        render(RunDocuments({}, {}, {}, {}))


def test_without_truth_only_fidelity_is_promised() -> None:
    documents = make_run({"tree": grown_tree(MIXED, ("prediction",), "regression", 2)}, truth=False)
    page = Page(render(documents))
    assert "The truth of the rows is not known" in page.text
    assert page.data["truth"] is None


def test_fidelity_is_measured_where_no_check_gave_it() -> None:
    documents = make_run({"formula": formula(MIXED, ("prediction",))})
    student = read_students(documents)[0]
    expected = fidelity("regression", documents.arrays["teacher"], documents.arrays["student/formula"])
    assert student.fidelity is not None
    assert student.fidelity.value == expected
    assert student.fidelity.interval is None
    assert student.fidelity.value > 0.9


@pytest.mark.parametrize(
    ("task", "teacher", "student", "value"),
    [
        ("classification", [[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]], 0.5),
        ("regression", [[1.0], [1.0]], [[1.0], [2.0]], None),
        ("regression", [[1.0], [3.0]], [[1.0], [np.nan]], None),
        ("regression", [[1.0, 0.0], [3.0, 1.0]], [[1.0, 1.0], [3.0, 1.0]], -1.0),
    ],
)
def test_fidelity(task: str, teacher: list[list[float]], student: list[list[float]], value: float | None) -> None:
    assert fidelity(task, np.array(teacher), np.array(student)) == value


def test_dominated_students_are_drawn_lighter() -> None:
    readables = {"short": formula(MIXED, ("prediction",), 2), "long": formula(MIXED, ("prediction",), 9)}
    better = {
        "short": [finding("RC001", "pass", 0.95, interval=[0.9, 0.97])],
        "long": [finding("RC001", "pass", 0.9, interval=[0.8, 0.95])],
    }
    documents = make_run(readables, findings=better)
    assert [student.dominated for student in read_students(documents)] == [False, True]
    assert len(re.findall(r'class="point family-formula dominated"', render(documents))) == 2  # wide and narrow


def test_the_page_opens_with_the_best_verdict_that_can_be_read() -> None:
    assert Page(render(mixed_regression())).data["start"] == 1
    assert Page(render(mixed_classification())).data["start"] == 2


# Large runs


def test_a_wide_table_with_many_classes_and_a_large_network_stays_small() -> None:
    schema = Schema(tuple(Column(f"column {j}") for j in range(150)))
    names = tuple("abcdefghijklmnopqrstuvwxyz")
    documents = make_run(
        {
            "network": small_network(schema, names, "classification", (160, 160)),
            "larger": small_network(schema, names, "classification", (320, 320)),
            "formula": classifier(schema, names, "softmax"),
            "tree": grown_tree(schema, names, "classification", 7),
        },
        n=300,
    )
    text = render(documents)
    assert len(text.encode()) < 3_000_000
    page = Page(text)
    assert "limbeck export RUN --student network --to sql" in page.text
    assert "This export is long" in page.text
    assert "too large" not in json.dumps(page.data["students"][0])
    assert "larger is too large to be computed in this page" in json.dumps(page.data["students"][1])
    assert len(page.data["columns"]) == 150
    assert len(page.data["rows"]) > 0


def test_what_does_not_fit_is_left_out_with_a_sentence() -> None:
    levels = tuple(f"a rather long level number {i:04d}" for i in range(900))
    schema = Schema((*(Column(f"c{j}", "nominal", levels, dtype="object") for j in range(40)), Column("z")), "pandas")
    text = render(make_run({"formula": formula(schema, ("prediction",), 1)}))
    assert len(text.encode()) < 3_000_000
    assert "the what-if panel: the columns and their levels alone are too much for it" in Page(text).text


def test_many_students_stay_within_the_bound() -> None:
    names = [f"tree-{i}" for i in range(30)]
    readables = {name: grown_tree(NUMBERS, ("prediction",), "regression", 7, seed=i) for i, name in enumerate(names)}
    text = render(make_run(readables))
    assert len(text.encode()) < 3_000_000
    assert "Left out, for the page would be too large" in text


def test_a_budget_gives_only_what_it_has() -> None:
    budget = Budget(10)
    assert budget.take("four", "ä")
    assert budget.left == 4
    assert not budget.take("fiver")
    assert budget.take("four")


# Parts


def test_a_tree_is_laid_out_without_overlap() -> None:
    tree = grown_tree(MIXED, ("prediction",), "regression", 5)
    layout = lay_out(tree)
    assert layout.lines == tree.n_leaves
    assert layout.depth == tree.depth + 1
    assert len(set(layout.places.values())) == len(tree.nodes)
    leaves = sorted(line for i, (_, line) in layout.places.items() if tree.nodes[i].is_leaf)
    assert leaves == [float(line) for line in range(tree.n_leaves)]
    for i, node in enumerate(tree.nodes):
        if not node.is_leaf:
            assert layout.places[node.left][1] < layout.places[i][1] < layout.places[node.right][1]


def test_a_large_tree_keeps_its_nodes_of_most_rows() -> None:
    tree = grown_tree(NUMBERS, ("prediction",), "regression", 7)
    layout = lay_out(tree, max_leaves=20)
    assert layout.lines == 20
    assert layout.cut
    opened = [i for i in layout.places if i not in layout.cut and not tree.nodes[i].is_leaf]
    assert min(tree.nodes[i].rows for i in opened) >= max(tree.nodes[i].rows for i in layout.cut)
    assert str(tree_svg(tree, label="t", max_leaves=20)).count('class="node') == 39


def test_a_tree_of_one_leaf_is_drawn() -> None:
    tree = grown_tree(MIXED, ("prediction",), "regression", 0)
    assert str(tree_svg(tree, label="t")).count("<rect") == 3
    assert "<svg" in render(make_run({"tree": tree}))


def test_tree_nodes_say_condition_rows_and_answer() -> None:
    tree = grown_tree(MIXED, ("low", "high"), "classification", 3)
    drawn = str(tree_svg(tree, label="t"))
    for i, node in enumerate(tree.nodes):
        part = drawn[drawn.index(f'data-node="{i}"') :].split("</g>")[0]
        assert f"{node.rows:,.0f} row" in part
        assert max(tree.output_names, key=lambda name: node.value[tree.output_names.index(name)]) in part


WORK = Column("workclass", "nominal", ("Private", "State-gov", "Self-employed", "Never worked", "Other", "Local"))


@pytest.mark.parametrize(
    ("column", "threshold", "levels", "lines"),
    [
        (Column("age"), 30.5, (), ["age ≤ 30.5"]),
        (Column("a" * 200), 1234.5, (), ["aaaaaaaaaaa…aaaaaaaaaa", "≤ 1,234.5"]),
        (WORK, None, (0,), ["workclass = Private"]),
        (WORK, None, (2,), ["workclass =", "Self-employed"]),
        (WORK, None, (0, 1), ["workclass in", "Private, State-gov"]),
        (WORK, None, (0, 1, 2, 3, 4), ["workclass in", "Private, State-gov,", "Self-employed, +2"]),
    ],
)
def test_conditions_in_short_lines(
    column: Column, threshold: float | None, levels: tuple[int, ...], lines: list[str]
) -> None:
    assert condition_lines(column, threshold, levels) == lines


def test_boxes_do_not_overlap() -> None:
    schema = Schema((Column("a column with a long name"), WORK, Column("z")), "pandas")
    for tree in (grown_tree(schema, ("y",), "regression", 6, seed) for seed in range(3)):
        for most in (12, 200):
            drawn = str(tree_svg(tree, label="t", max_leaves=most))
            found = re.findall(r'data-tall="([\d.]+)"[^>]*transform="translate\(([\d.]+) ([\d.]+)\)"', drawn)
            boxes = sorted((float(x), float(y), float(tall)) for tall, x, y in found)
            assert len(boxes) == drawn.count('role="treeitem"')
            for (x, y, tall), (other, below, _) in itertools.pairwise(boxes):
                assert x != other or y + tall + 5 < below


def test_formulas_are_typeset() -> None:
    lines = formula_lines(formula(MIXED, ("y",)))
    assert lines[0].math is not None
    assert "<mn>" in lines[0].math
    assert "income" in lines[0].math
    assert [line.label for line in formula_lines(classifier(MIXED, ("no", "yes"), "logistic"))] == ["score"]


def test_hostile_formulas_are_typeset_as_text() -> None:
    schema = Schema((Column(ATTACK),))
    lines = formula_lines(FormulaReadable(schema, "regression", (ATTACK,), (sp.Symbol("x0") * 2,)))
    assert lines[0].math is not None
    assert "<script" not in lines[0].math


@pytest.mark.parametrize(
    "text",
    [
        "<math><script>x</script></math>",
        "<math><mi>a</mi>",
        "<div></div>",
        '<!DOCTYPE math [<!ENTITY a "b">]><math>&a;</math>',
        "<math><annotation-xml><p>x</p></annotation-xml></math>",
    ],
)
def test_unknown_mathml_is_refused(text: str) -> None:
    assert known_mathml(text) is None


def test_known_mathml_loses_strange_attributes() -> None:
    kept = known_mathml('<math display="block"><mo onclick="x" href="y" style="z">+</mo><mspace width="0.2em"/></math>')
    assert kept == '<math display="block"><mo>+</mo><mspace width="0.2em"></mspace></math>'


def test_json_can_not_end_its_block() -> None:
    value = {"</script>": ["<!--", "&", "\u2028", "\ud800", float("nan"), 2.0, 0.1]}
    text = json_block(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script>": ["<!--", "&", "\u2028", "?", None, 2, 0.1]}


def test_scripts_are_named_by_their_own_text() -> None:
    scripts = Scripts()
    assert scripts.policy().startswith("default-src 'none'; script-src 'none';")
    text = scripts.add('const a = "</SCRIPT><ScRiPt\r\n\0";')
    assert text == 'const a = "\\x3c/SCRIPT>\\x3cScRiPt\n\ufffd";'
    assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in scripts.policy()
    assert script_text("a < b && c <= d") == "a < b && c <= d"


@pytest.mark.parametrize("span", [1e-9, 0.3, 7.0, 123456.0])
def test_steps_are_small_and_round(span: float) -> None:
    step = nice_step(span)
    assert span / 210 <= step <= span / 75
    assert f"{step:e}"[0] in "125"


def test_columns_for_the_panel() -> None:
    age = column_data(MIXED.columns[0], {"low": 18.0, "high": 79.0, "middle": 48.5})
    assert (age["min"], age["max"], age["step"], age["middle"]) == (18, 79, 1.0, 48.5)
    job = column_data(MIXED.columns[2], {"middle": 2.0})
    assert (job["values"], job["middle"]) == (["clerk", "nurse", "smith", "tailor"], 2)
    assert column_data(MIXED.columns[3], {"low": 0.0, "high": 1.0, "middle": 1.0})["levels"] == ["False", "True"]
    assert column_data(MIXED.columns[4], {"middle": 1.0})["values"] == [1.0, 2.0, 5.0]
    flat = column_data(Column("flat"), {"low": 3.0, "high": 3.0, "middle": 3.0})
    assert flat["min"] < 3.0 < flat["max"]
    assert column_data(Column("nothing"), {})["middle"] == 0.0


def test_rows_of_findings_become_numbers() -> None:
    row = {"age": 30, "income": 2.5, "job": "nurse", "member": True, "grade": "5"}
    assert encoded_row(MIXED, row) == [30.0, 2.5, 1, 1.0, 2]
    assert encoded_row(MIXED, {**row, "job": "pilot"}) is None
    assert encoded_row(MIXED, {**row, "age": None}) is None
    assert encoded_row(MIXED, "no row") is None


def test_words() -> None:
    assert [verdict_kind(v) for v in ("use", "use with care: x", "do not use: y", None)] == [
        "use",
        "care",
        "refuse",
        "none",
    ]
    assert interval_text([0.1, 0.25]) == "0.100 to 0.250"
    assert interval_text(None) == "–"
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert number(-0.5) == "−0.5"
    assert number(float("nan")) == "–"


def test_the_family_is_shown_with_its_chosen_member() -> None:
    documents = mixed_regression()
    student = read_students(documents)[1]
    assert [a.complexity for a in student.alternatives] == sorted(
        (a.complexity for a in student.alternatives), reverse=True
    )
    assert [a.chosen for a in student.alternatives].count(True) == 1
    rows, teacher = documents.arrays["X"], documents.arrays["teacher"]
    for alternative in student.alternatives:
        assert alternative.fidelity == fidelity("regression", teacher, alternative.readable.predict_encoded(rows))
    chosen = make_run(
        {"formula": formula(MIXED, ("prediction",), 2)},
        alternatives={"formula": [formula(MIXED, ("prediction",), length) for length in (1, 2, 3)]},
    )
    assert [a.chosen for a in read_students(chosen)[0].alternatives] == [False, True, False]
    assert "chosen</span>" in render(chosen)


def test_exports_keep_every_character_of_a_name() -> None:
    schema = Schema((Column("a\r\nb\rc"), Column("z")))
    text = render(make_run({"formula": formula(schema, ("prediction",), 2)}))
    assert "&#13;" in text
    assert "\r" not in text


def test_a_name_that_a_target_refuses_is_said() -> None:
    schema = Schema((Column("nul\0byte"), Column("z")))
    text = Page(render(make_run({"formula": formula(schema, ("prediction",), 2)}))).text
    assert "This export can’t be written" in text or "This export can't be written" in text
