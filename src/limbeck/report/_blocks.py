"""The parts of one student's panel: its drawing, its answers beside the teacher's, its worst rows, its family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from limbeck._core.tables import Schema
from limbeck.readable import (
    CoefficientsReadable,
    FormulaReadable,
    NetworkReadable,
    Readable,
    RuleListReadable,
    RuleSetReadable,
    SoftTreeReadable,
    TreeReadable,
    WaveletReadable,
)
from limbeck.report._alternatives import alternatives_view, fitted_ranges
from limbeck.report._answers_svg import confusion, scatter_svg
from limbeck.report._embed import Budget, json_block
from limbeck.report._network_svg import first_layer, heat_svg
from limbeck.report._programs import size_text
from limbeck.report._rules_view import rule_list_values, rule_set_values, rules_data
from limbeck.report._soft_tree import soft_tree_data, soft_tree_readings, soft_tree_values
from limbeck.report._spans import most_used
from limbeck.report._students import StudentView
from limbeck.report._tree_svg import lay_out, tree_svg
from limbeck.report._typeset import formula_lines, link_mathml
from limbeck.report._wavelet_view import wavelet_values
from limbeck.report._whatif import encoded_row
from limbeck.report._words import interval_text, is_number, measure, number, plural, shortened

__all__ = ["Blocks", "facts"]

MAX_LINES = 30
MAX_PLOTS = 6
MAX_WORST_COLUMNS = 12
MAX_WORST_ROWS = 10
MAX_TEXT = 60_000
MAX_COEFFICIENTS = 200


@dataclass
class Blocks:
    """Writes the parts of the panels, within the page's budget.

    Attributes
    ----------
    worst : list
        The rows of RC003 for the what-if panel, in the order of their buttons.
    left_out : list of str
        Sentences about what did not fit.
    """

    templates: jinja2.Environment
    schema: Schema
    ranges: Sequence[dict[str, Any]]
    arrays: Mapping[str, np.ndarray]
    budget: Budget
    worst: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def _keep(self, block: Markup, what: str) -> Markup:
        if self.budget.take(block):
            return block
        self.left_out.append(what)
        return Markup('<p class="notice">Left out, for the page would be too large: {}.</p>').format(what)

    def _render(self, template: str, **values: Any) -> Markup:
        return Markup(self.templates.get_template(template).render(**values))  # noqa: S704 - autoescaped

    def drawing(self, student: StudentView) -> Markup:
        """The student as a person would want it drawn."""
        readable = student.readable
        if isinstance(readable, TreeReadable):
            values = _tree_values(student, readable)
        elif isinstance(readable, FormulaReadable):
            values = _formula_values(readable)
        elif isinstance(readable, NetworkReadable):
            values = _network_values(student, readable, self.ranges)
        elif isinstance(readable, SoftTreeReadable):
            return self._soft_tree(student, readable)
        elif isinstance(readable, RuleListReadable):
            values = rule_list_values(readable)
        elif isinstance(readable, RuleSetReadable):
            values = rule_set_values(readable)
        elif isinstance(readable, WaveletReadable):
            values = wavelet_values(student, readable, self.arrays)
        elif isinstance(readable, CoefficientsReadable):
            return self._on_coefficients(student, readable)
        else:
            values = {"kind": "text", "sentence": ""}
        return self._keep(self._drawn(student, values), f"the drawing of {student.name}")

    def _drawn(self, student: StudentView, values: dict[str, Any]) -> Markup:
        return self._render("drawing.html.j2", index=student.index, name=student.name, **values)

    def _on_coefficients(self, student: StudentView, model: CoefficientsReadable) -> Markup:
        """The model as it is drawn on a table, and what its coefficients are."""
        count = len(model.inner.schema)
        plain: list[dict[str, Any]] = [{} for _ in range(count)]
        inner = replace(self, schema=model.inner.schema, ranges=plain, worst=[])
        values = {
            "coefficients": [
                {"name": name, "text": place} for name, place in model.coefficient_texts()[:MAX_COEFFICIENTS]
            ],
            "wavelet": shortened(model.wavelet, 40),
            "taps": len(model.lowpass),
        }
        drawn = inner.drawing(replace(student, readable=model.inner))
        return drawn + self._keep(self._render("coefficients.html.j2", **values), f"the coefficients of {student.name}")

    def _soft_tree(self, student: StudentView, tree: SoftTreeReadable) -> Markup:
        """Its first levels, the place of its walk, and the readings where there is room for them."""
        values = soft_tree_values(student, tree, self.ranges)
        whole = self._drawn(
            student, {**values, "readings": soft_tree_readings(student, tree, self.ranges, self.arrays)}
        )
        if self.budget.take(whole):
            return whole
        self.left_out.append(f"the readings of rows by {student.name}")
        return self._keep(self._drawn(student, values), f"the drawing of {student.name}")

    def drawing_data(self, student: StudentView) -> dict[str, Any]:
        """What the page's scripts need for the drawing: every node of a soft tree, the conditions of rules."""
        readable = student.readable
        if isinstance(readable, SoftTreeReadable):
            nodes = soft_tree_data(readable, self.ranges)
            if nodes is not None and self.budget.take(json_block(nodes)):
                return {"soft": nodes}
            self.left_out.append(f"the walk through all nodes of {student.name}: the tree is too large")
        if isinstance(readable, RuleListReadable | RuleSetReadable):
            rules = rules_data(readable)
            if self.budget.take(json_block(rules)):
                return {"rules": rules}
            self.left_out.append(f"the rules of {student.name} that hold for the row of the what-if panel")
        return {}

    def answers(self, student: StudentView) -> Markup:
        """The student's answers beside the teacher's on the stored held-out rows."""
        teacher, own = self.arrays.get("teacher"), student.outputs
        if teacher is None or own is None or not len(teacher) or teacher.shape != own.shape:
            return self._render(
                "answers.html.j2",
                scatters=[],
                confusion=None,
                sentence="No held-out rows are stored in this run, so its answers can’t be drawn.",
            )
        values = (
            _class_values(teacher, own, student.readable.output_names)
            if student.readable.task == "classification"
            else _number_values(teacher, own, student)
        )
        return self._keep(self._render("answers.html.j2", **values), f"the answers of {student.name} on held-out rows")

    def worst_rows(self, student: StudentView) -> Markup:
        """The rows of RC003, where the check ran."""
        found = student.finding("RC003") or {}
        entries = found.get("details", {}).get("rows") if isinstance(found.get("details"), dict) else None
        entries = [entry for entry in entries or [] if isinstance(entry, dict)][:MAX_WORST_ROWS]
        if not entries:
            return Markup("")
        used = most_used(student.readable, self.ranges, MAX_WORST_COLUMNS)
        order = (used + [j for j in range(len(self.schema)) if j not in set(used)])[:MAX_WORST_COLUMNS]
        names = [self.schema.names[j] for j in order]
        lines = [self._worst_line(entry, names, student) for entry in entries]
        more = len(self.schema) - len(order)
        block = self._render(
            "worst.html.j2",
            name=student.name,
            code="RC003",
            unit=str(found["details"].get("unit") or "the check’s own unit"),
            columns=[{"name": shortened(name, 24), "full": name} for name in names],
            rows=lines,
            more=f"{plural(more, 'more column is', 'more columns are')} not shown; the button takes all of them."
            if more
            else "",
        )
        return self._keep(block, f"the worst rows of {student.name}")

    def _worst_line(self, entry: dict[str, Any], names: Sequence[str], student: StudentView) -> dict[str, Any]:
        row = entry["row"] if isinstance(entry.get("row"), dict) else {}
        cells, teacher = encoded_row(self.schema, row), entry.get("teacher")
        index = -1
        if cells is not None and isinstance(teacher, list) and all(map(is_number, teacher)):
            index = len(self.worst)
            self.worst.append({"row": cells, "teacher": teacher})
        return {
            "index": index,
            "gap": measure(entry.get("gap")),
            "teacher": answer_text(teacher, student.readable),
            "student": answer_text(entry.get("student"), student.readable),
            "cells": [
                {"text": shortened(number(row.get(name), 5), 30), "is_number": is_number(row.get(name))}
                for name in names
            ],
        }

    def alternatives(self, student: StudentView) -> Markup:
        """The front inside the family."""
        if len(student.alternatives) < 2:
            return Markup("")
        block = self._render("alternatives.html.j2", name=student.name, **alternatives_view(student))
        return self._keep(block, f"the other lengths of {student.name}")

    def text(self, student: StudentView) -> str:
        """The student as text, where it is not too long."""
        text = student.readable.text()
        if len(text) > MAX_TEXT or not self.budget.take(text, " " * (len(text) // 10)):
            self.left_out.append(f"{student.name} as text; use: limbeck show RUN {student.name}")
            return ""
        return text


def facts(student: StudentView, d: int) -> list[str]:
    """What one wants to know of a student first."""
    readable = student.readable
    out = [student.label, f"{plural(student.complexity, 'symbol')} to read"]
    if isinstance(readable, CoefficientsReadable):
        out.append(f"reads {plural(len(readable.used), 'coefficient')}")
        readable = readable.inner
    if isinstance(readable, TreeReadable):
        out.append(f"{plural(readable.n_leaves, 'leaf', 'leaves')}, at most {plural(readable.depth, 'question')} deep")
    if isinstance(readable, NetworkReadable):
        out.append(f"{plural(readable.n_parameters, 'number')}, packed in {size_text(readable.n_bytes)}")
    if isinstance(readable, SoftTreeReadable):
        out.append(f"{plural(readable.n_nodes, 'filter')}, {plural(readable.depth, 'decision')} a row")
    if isinstance(readable, RuleListReadable | RuleSetReadable):
        out.append(plural(len(readable.rules), "rule"))
    if isinstance(readable, WaveletReadable):
        out.append(f"{plural(len(readable.terms), 'coefficient')} of a wavelet of {plural(readable.level, 'scale')}")
    out.append(f"reads {len(student.readable.columns_used)} of {plural(d, 'column')}")
    if is_number(student.seconds):
        out.append(f"found in {number(student.seconds, 3)} s")
    return out


def answer_text(values: Any, readable: Readable) -> str:
    """Outputs in one short text: the numbers, or the most probable class."""
    if not isinstance(values, list | tuple) or not values or not all(is_number(v) for v in values):
        return "–"
    if readable.task == "classification" and len(values) == len(readable.output_names):
        best = max(range(len(values)), key=values.__getitem__)
        return f"{shortened(readable.output_names[best], 24)} {values[best]:.0%}"
    return " / ".join(number(v) for v in values[:3]) + (" / …" if len(values) > 3 else "")


def _tree_values(student: StudentView, tree: TreeReadable) -> dict[str, Any]:
    cut = lay_out(tree).cut
    classes = list(tree.output_names) if tree.task == "classification" and len(tree.output_names) <= 8 else []
    means = "the node’s mean between the least and the greatest" + (
        ", one for each output" if len(tree.output_names) > 1 else ""
    )
    return {
        "kind": "tree",
        "svg": tree_svg(tree, label=f"The tree {student.name}"),
        "bar": "the share of each class" if tree.task == "classification" else means,
        "classes": [shortened(name, 40) for name in classes],
        "hint": "Point at a node, or walk to it with the arrow keys, to read it in full.",
        "cut": f"{plural(len(cut), 'branch', 'branches')} of few rows {'is' if len(cut) == 1 else 'are'} not drawn."
        if cut
        else "",
    }


def _formula_values(formula: FormulaReadable) -> dict[str, Any]:
    lines = formula_lines(formula)
    shown = lines[:MAX_LINES]
    more = f"{len(lines) - len(shown)} more expressions are in the text below." if len(lines) > len(shown) else ""
    return {
        "kind": "formula",
        "lines": shown,
        "link": link_mathml(formula),
        "more": more,
        "fitted_on": fitted_ranges(formula),
    }


def _network_values(student: StudentView, network: NetworkReadable, ranges: Sequence[dict[str, Any]]) -> dict[str, Any]:
    sizes = [len(network.input_columns), *(len(layer.bias) for layer in network.layers)]
    last = "output" if sizes[-1] == 1 else "outputs"
    names = ["input" if sizes[0] == 1 else "inputs", *([network.activation] * (len(sizes) - 2)), last]
    layer = first_layer(network, ranges)
    hidden = []
    if layer.hidden_inputs:
        hidden.append(plural(layer.hidden_inputs, "weaker input"))
    if layer.hidden_units:
        hidden.append(plural(layer.hidden_units, "more unit"))
    return {
        "kind": "network",
        "shape": [{"size": number(size), "name": name} for size, name in zip(sizes, names, strict=True)],
        "shape_label": "Layers: " + ", ".join(f"{size} {name}" for size, name in zip(sizes, names, strict=True)),
        "svg": heat_svg(layer, label=f"Weights of the first layer of {student.name}"),
        "hidden": f"Not shown: {' and '.join(hidden)}." if hidden else "",
    }


def _number_values(teacher: np.ndarray, own: np.ndarray, student: StudentView) -> dict[str, Any]:
    names = student.readable.output_names
    plots = [
        {
            "name": shortened(names[o], 60) if len(names) > 1 else "",
            "svg": scatter_svg(
                teacher[:, o], own[:, o], label=f"{student.name} against the teacher, {shortened(names[o], 60)}"
            ),
        }
        for o in range(min(len(names), MAX_PLOTS))
    ]
    caption = f"{plural(len(teacher), 'held-out row')}; on the line the two agree."
    bad = int((~np.isfinite(own).all(axis=1)).sum())
    if bad:
        caption += f" On {plural(bad, 'row')} the student gives no number."
    if len(names) > MAX_PLOTS:
        caption += f" The first {MAX_PLOTS} of {len(names)} outputs."
    return {"scatters": plots, "confusion": None, "caption": caption, "facts": _gaps(teacher, own, student)}


def _gaps(teacher: np.ndarray, own: np.ndarray, student: StudentView) -> list[tuple[str, str]]:
    """How far the answers lie apart, in the unit of the output; for one output, where all are numbers."""
    if teacher.shape[1] != 1 or not np.isfinite(own).all():
        return []
    gap = np.abs(teacher - own)[:, 0]
    out = []
    if student.fidelity:
        interval = student.fidelity.interval
        between = f" ({interval_text(interval)})" if interval else ""
        out.append(("R² to the teacher", f"{measure(student.fidelity.value)}{between}"))
    half, most = (float(v) for v in np.quantile(gap, [0.5, 0.9]))
    return [
        *out,
        ("half of the rows differ by at most", number(half, 3)),
        ("nine in ten by at most", number(most, 3)),
        ("the greatest difference", number(float(gap.max()), 3)),
        ("the teacher’s answers range over", f"{number(float(teacher.min()))} to {number(float(teacher.max()))}"),
    ]


def _class_values(teacher: np.ndarray, own: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    found = confusion(teacher, own, names)
    caption = (
        f"{plural(len(teacher), 'held-out row')}, counted by the most probable class; on the diagonal the two agree."
    )
    return {"scatters": [], "confusion": found, "caption": caption}
