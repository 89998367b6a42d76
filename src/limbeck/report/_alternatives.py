"""The front inside a family as a table - what each length reaches -, and where a formula was fitted.

Cost
----
O(members), and the typesetting of their formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

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
from limbeck.report._students import Alternative, StudentView
from limbeck.report._typeset import formula_lines
from limbeck.report._words import measure, number, plural, shortened

__all__ = ["alternatives_view", "fitted_ranges"]

MAX_LINES = 30
MAX_SYMBOLS_TYPESET = 400
MAX_RANGES = 24


def alternatives_view(student: StudentView) -> dict[str, Any]:
    """The heads and lines of the table; a measure that no member has is left out."""
    shown = student.alternatives[:MAX_LINES]
    columns = [(head, cells) for head, cells in _columns(student, shown) if any(cell != "–" for cell in cells)]
    more = len(student.alternatives) - len(shown)
    return {
        "is_formula": student.family == "formula",
        "heading": _heading(student),
        "heads": [head for head, _ in columns],
        "lines": [
            {
                "complexity": number(alternative.complexity),
                "cells": [cells[i] for _, cells in columns],
                "chosen": alternative.chosen,
                "math": _typeset(alternative),
                "text": _in_short(alternative.readable),
            }
            for i, alternative in enumerate(shown)
        ],
        "says": _says(student, [head for head, _ in columns]),
        "more": f"{plural(more, 'more')} are in the run’s folder." if more else "",
    }


def _heading(student: StudentView) -> str:
    if student.family != "formula":
        return "Model"
    one = _is_one_number(student.readable)
    return f"Formula; y is {shortened(student.readable.output_names[0], 60)}" if one else "Formula"


def _columns(student: StudentView, shown: Sequence[Alternative]) -> list[tuple[str, list[str]]]:
    is_numbers = student.readable.task == "regression"
    return [
        ("Fidelity", [measure(a.fidelity) for a in shown]),
        ("R² on the truth" if is_numbers else "Accuracy", [measure(a.accuracy) for a in shown]),
        (_score_head(student), [measure(a.score) for a in shown]),
        ("BIC", [number(a.bic, 5) for a in shown]),
        ("MDL", [number(a.mdl, 5) for a in shown]),
    ]


def _score_head(student: StudentView) -> str:
    """What the score of a member is: a formula's is measured on queries that it was not fitted on."""
    if student.family != "formula":
        return "Score"
    return "R² on unseen queries" if student.readable.task == "regression" else "Score on unseen queries"


def _says(student: StudentView, heads: Sequence[str]) -> str:
    """What the columns mean, in sentences."""
    words = ["Fidelity is measured on the stored held-out rows"]
    truth = [head for head in heads if head in ("R² on the truth", "Accuracy")]
    words[0] += f"; {truth[0]} on the held-out rows whose truth is known." if truth else "."
    if student.family == "formula":
        kind = "R²" if student.readable.task == "regression" else "minus the cross-entropy in nats"
        words.append(f"The search chose by {kind} on queries that the formula was not fitted on.")
    else:
        words.append("The score is the one that the search went by.")
    if "BIC" in heads or "MDL" in heads:
        criteria = " and ".join(head for head in heads if head in ("BIC", "MDL"))
        words.append(f"{criteria}: on the rows it was fitted on; lower is better.")
    return " ".join(words)


def _typeset(alternative: Alternative) -> list[Markup]:
    """The lines of a formula, where they can be typeset and are not too long."""
    readable = alternative.readable
    if isinstance(readable, FormulaReadable) and alternative.complexity <= MAX_SYMBOLS_TYPESET:
        lines = formula_lines(_with_short_name(readable))
        if len(lines) <= 4 and all(line.math for line in lines):
            return [line.math for line in lines if line.math]
    return []


def _with_short_name(formula: FormulaReadable) -> FormulaReadable:
    """The formula of one number as ``y = ...``: its name stands in the head of the column."""
    return replace(formula, output_names=("y",)) if _is_one_number(formula) else formula


def _is_one_number(readable: Readable) -> bool:
    return isinstance(readable, FormulaReadable) and readable.link == "identity" and len(readable.output_names) == 1


def fitted_ranges(formula: FormulaReadable) -> list[dict[str, str]]:
    """For each column that it reads, between which values it was fitted; empty where the model does not say."""
    out = []
    for name, span in zip(formula.features_used, formula.ranges or (), strict=False):
        if span is not None:
            out.append({"name": shortened(name, 40), "text": f"{number(span[0])} to {number(span[1])}"})
    more = len(out) - MAX_RANGES
    return [*out[:MAX_RANGES], *([{"name": "…", "text": f"and {more} more"}] if more > 0 else [])]


def _in_short(readable: Readable) -> str:
    if isinstance(readable, TreeReadable):
        read = shortened(", ".join(readable.features_used[:6]), 200) or "no column"
        return f"{plural(readable.n_leaves, 'leaf', 'leaves')}, reads {read}"
    if isinstance(readable, NetworkReadable):
        return " → ".join(
            str(n) for n in (len(readable.input_columns), *(len(layer.bias) for layer in readable.layers))
        )
    if isinstance(readable, SoftTreeReadable):
        return f"{plural(readable.n_nodes, 'filter')}, {plural(readable.depth, 'decision')} a row"
    if isinstance(readable, RuleListReadable | RuleSetReadable):
        read = shortened(", ".join(readable.features_used[:6]), 200) or "no column"
        return f"{plural(len(readable.rules), 'rule')}, reads {read}"
    if isinstance(readable, CoefficientsReadable):
        return _in_short(readable.inner)
    if isinstance(readable, WaveletReadable):
        terms = ", ".join(readable.term_text(i) for i in range(min(len(readable.terms), MAX_RANGES)))
        return shortened(f"{plural(len(readable.terms), 'coefficient')}: {terms}" if terms else "a constant", 600)
    return shortened(readable.text(), 600)
