"""The page put together: the documents of a run in, one HTML text out, with nothing to fetch.

Source
------
Own.

Checked
-------
Unit tests: the same documents give the same bytes, hostile names stay text, the size stays below `MAX_BYTES`. Contract
tests in a browser: no errors, no requests, the what-if answers are the readable model's own.

Cost
----
The exports of the students, and a few seconds for large networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from limbeck._core.errors import InputError
from limbeck._core.storage import RunDocuments, read_run, write_file
from limbeck._core.tables import Schema
from limbeck.readable import WaveletReadable
from limbeck.report._about import about_run, teacher_truth
from limbeck.report._again import again_view
from limbeck.report._bill_view import bill_view
from limbeck.report._blocks import Blocks, facts
from limbeck.report._clarity_view import clarity_view
from limbeck.report._embed import Budget, Scripts, clean, json_block
from limbeck.report._findings import finding_line
from limbeck.report._front_svg import front_svg, mark, tone
from limbeck.report._programs import RunningProgram, exports_of, running_program
from limbeck.report._shell import MAX_BYTES, logo, shipped, templates
from limbeck.report._students import StudentView, read_students
from limbeck.report._whatif import page_data
from limbeck.report._words import (
    FAMILY_LABELS,
    VERDICT_LABELS,
    interval_text,
    joined,
    measure,
    plural,
    shortened,
)

__all__ = ["MAX_BYTES", "render", "write_report"]

BUDGETS = (2_600_000, 1_200_000, 300_000)
STYLES = ("base.css", "pictures.css", "families.css", "wavelet.css", "whatif.css", "print.css")
SCRIPTS = ("theme.js", "core.js", "front.js", "tree.js", "soft_tree.js", "rules.js", "whatif.js", "exports.js")


def write_report(folder: str | Path, path: str | Path) -> Path:
    """The path of the page, written from a saved run: one HTML file below 3 MB that needs no network.

    Parameters
    ----------
    folder : path
        A run, as `limbeck.distill(...).save(folder)` or ``limbeck distill --out`` wrote it; one that was stopped before
        its end is shown as far as it went.
    path : path
        Where the page goes. It is written beside and renamed, so a kill leaves the old page or the new one.

    Raises
    ------
    StorageError
        Where `folder` is not a run, or `path` can't be written.
    InputError
        Where a document in it is malformed.
    """
    return write_file(path, render(read_run(folder)))


def render(documents: RunDocuments) -> str:
    """The page as text: the same documents give the same page.

    Raises
    ------
    InputError
        Where a document is malformed, or the run holds so many students that no page below 3 MB can show them.
    """
    students = read_students(documents)
    try:
        schema = Schema.from_dict(documents.run["schema"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"run.json needs a schema with columns; {error!r:.200}") from None
    for budget in BUDGETS:
        page = _Page(documents, schema, students, Budget(budget)).text()
        if len(page.encode("utf-8")) < MAX_BYTES:
            return page
    raise InputError(f"a page below 3 MB can't show {len(students)} students; save a run with fewer")


@dataclass
class _Page:
    """One rendering within one budget."""

    documents: RunDocuments
    schema: Schema
    students: Sequence[StudentView]
    budget: Budget

    def text(self) -> str:
        style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
        scripts, sources = Scripts(), [shipped(name) for name in SCRIPTS]
        self.budget.take(style, *sources)
        blocks = Blocks(
            templates(), self.schema, self.documents.run.get("columns") or [], self.documents.arrays, self.budget
        )
        drawings = [blocks.drawing(s) for s in self.students]
        worst = [blocks.worst_rows(s) for s in self.students]
        walks = [blocks.drawing_data(s) for s in self.students]
        clarity = clarity_view(self.documents, self.students, self._metric(), teacher_truth(self.students))
        if clarity:
            self.budget.take(json_block(clarity))
        bill = bill_view(self.documents, self.students, _start(self.students))
        if bill:
            self.budget.take(json_block(bill))
        programs = [running_program(s, self.budget, scripts) for s in self.students]
        data = self._data(programs, blocks, walks)
        views = []
        for i, student in enumerate(self.students):
            views.append(
                {
                    **self._head(student),
                    "drawing": drawings[i],
                    "worst": worst[i],
                    "answers": blocks.answers(student),
                    "alternatives": blocks.alternatives(student),
                    "exports": exports_of(student, programs[i], self.budget),
                    "text": blocks.text(student),
                }
            )
        page = templates().get_template("page.html.j2")
        running = [program for program in programs if isinstance(program, RunningProgram)]
        written = [scripts.add(source) for source in sources]
        return clean(
            page.render(
                about=about_run(self.documents, self.students),
                policy=scripts.policy(pictures=_has_pictures(self.students, walks)),
                css=Markup(style),  # noqa: S704 - shipped with the package
                logo=logo(),
                students=views,
                metric=self._metric(),
                front=self._front(),
                clarity=clarity,
                bill=bill,
                whatif=self._whatif(data),
                again=again_view(self.documents, self.schema, self.students, _start(self.students)),
                data=json_block(data),
                programs=running,
                scripts=written,
                left_out=blocks.left_out,
            )
        )

    def _metric(self) -> str:
        if self.documents.run.get("task") == "classification":
            return "agreement"
        outputs = {len(student.readable.output_names) for student in self.students}
        return "R² of the worst output" if outputs and max(outputs) > 1 else "R²"

    def _head(self, student: StudentView) -> dict[str, Any]:
        found, label = student.fidelity, VERDICT_LABELS[student.kind]
        rest = student.verdict.partition(":")[2].strip() if student.kind in ("care", "refuse") else ""
        d = len(self.schema)
        same = student.label == student.name or student.name in FAMILY_LABELS
        return {
            "index": student.index,
            "name": student.name,
            "short": shortened(student.name, 40),
            "tone": tone(student.family, student.name),
            "mark": mark(student.family),
            "is_formula": student.family == "formula",
            "kind": student.kind,
            "verdict_label": label,
            "verdict_rest": shortened(rest, 1000),
            "fidelity_text": measure(found.value) if found else "–",
            "interval_text": f"95 %: {interval_text(found.interval)}" if found and found.interval else "",
            "complexity_text": plural(student.complexity, "symbol"),
            "features_text": f"{len(student.readable.columns_used)} of {plural(d, 'column')}",
            "family_note": "" if same else student.label,
            "facts": facts(student, d),
            "findings": [finding_line(found) for found in student.findings],
        }

    def _front(self) -> dict[str, Any]:
        shown = [student for student in self.students if student.fidelity]
        without = joined([shortened(student.name, 40) for student in self.students if not student.fidelity])
        if not shown:
            return {"wide": "", "narrow": "", "without": without, "rings": False, "legend": []}
        metric = self._metric()
        families = {
            (tone(s.family, s.name), s.family): s.label
            if tone(s.family, s.name) != s.name.replace("_", "-")
            else s.name
            for s in shown
        }
        return {
            "wide": front_svg(shown, metric=metric, width=1040, height=420),
            "narrow": front_svg(shown, metric=metric, width=400, height=380),
            "without": without,
            "rings": any(len(student.alternatives) > 1 for student in shown),
            "legend": [
                {"tone": colour, "mark": mark(family), "label": label}
                for (colour, family), label in sorted(families.items())
            ],
        }

    def _data(
        self, programs: Sequence[RunningProgram | str], blocks: Blocks, walks: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        outputs = self.documents.run.get("output_names") or []
        if self.students:
            outputs = self.students[0].readable.output_names
        return page_data(
            self.documents,
            self.schema,
            self.students,
            drawings=walks,
            outputs=[str(name) for name in outputs],
            tips=[self._tip(student) for student in self.students],
            absent=["" if isinstance(program, RunningProgram) else program for program in programs],
            worst=blocks.worst,
            start=_start(self.students),
            budget=self.budget,
            left_out=blocks.left_out,
        )

    def _tip(self, student: StudentView) -> list[str]:
        lines = [student.name, f"{plural(student.complexity, 'symbol')} to read"]
        if student.fidelity:
            interval = student.fidelity.interval
            between = f", 95 % interval {interval_text(interval)}" if interval else ", no interval"
            lines.append(f"{self._metric()} {measure(student.fidelity.value)}{between}")
        lines.append(f"reads {len(student.readable.columns_used)} of {plural(len(self.schema), 'column')}")
        lines.append(shortened(student.verdict or VERDICT_LABELS["none"], 160))
        return lines + (["another student is better and no longer"] if student.dominated else [])

    def _whatif(self, data: dict[str, Any]) -> dict[str, Any]:
        if not self.students:
            return {"ready": False, "sentence": "No student was finished, so there is nothing to try yet."}
        if data["columns"] is None:
            sentence = "The columns and their levels are too much for a panel in this page. Use: limbeck predict RUN"
            return {"ready": False, "sentence": sentence}
        start = "It starts in the middle of the data"
        start += ", or from a held-out row." if data["rows"] else "; no held-out rows are stored in this page."
        return {"ready": True, "rows": bool(data["rows"]), "start": start}


def _has_pictures(students: Sequence[StudentView], walks: Sequence[dict[str, Any]]) -> bool:
    """True where soft trees or wavelets are drawn as images."""
    images = any(isinstance(s.readable, WaveletReadable) and s.readable.image for s in students)
    return images or any(walk.get("soft", {}).get("image") for walk in walks)


def _start(students: Sequence[StudentView]) -> int:
    """The student that the page opens with: one that may be used, can be read, and is the most faithful of those."""
    if not students:
        return -1
    ranks = {"use": 0, "care": 1, "none": 2, "refuse": 3}

    def order(student: StudentView) -> tuple[bool, bool, int, float, int]:
        value = student.fidelity.value if student.fidelity else float("-inf")
        refused = student.kind == "refuse"
        return refused, student.family == "network", ranks[student.kind], -value, student.index

    return min(students, key=order).index
