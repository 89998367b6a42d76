"""An explanation as the template shows it: its head, its overview, and each row with its pictures and tables.

Source
------
Own.

Cost
----
O(entries), and the pictures of each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.report._explanation_names import members
from limbeck.report._explanation_pairs import pairs_view
from limbeck.report._explanation_parts_svg import LOST, percent
from limbeck.report._explanation_pictures import Limits, pictures
from limbeck.report._explanation_tones import full_scale, residual_text, score_text
from limbeck.report._explanation_values import Cells, Curves, ExplainedRow, Explanation, Picture, Words
from limbeck.report._findings import finding_line
from limbeck.report._words import MINUS, count, measure, number, shortened

__all__ = ["finding_lines", "head", "overview", "row_view"]

METHODS = {
    "acd": "agglomerative contextual decomposition (ACD)",
    "cd": "contextual decomposition (CD)",
    "trim": "transformation importance (TRIM): contextual decomposition of groups of a transform’s coefficients",
    "integrated_gradients": "integrated gradients",
    "input_x_gradient": "input x gradient",
    "occlusion": "occlusion: the output with a part, less the output without it",
}
SPLITS = ("acd", "cd", "trim")
RULES = {
    "proportional": "proportional: a bias is shared as the two parts are, and goes to the rest where both are 0",
    "shapley": "shapley: as proportional, and every activation is shared by the mean over both orders",
    "-": "none",
    "acd": "acd: where both parts are 0, each takes half of the bias, as in the published code of ACD",
    "cdep": "cdep: as in the published code of CDEP",
}


def head(found: Explanation) -> dict[str, Any]:
    """What was explained, and how."""
    outputs = [shortened(name, 40) for name in found.outputs[:12]]
    more = f" and {len(found.outputs) - 12} more" if len(found.outputs) > 12 else ""
    return {
        "name": shortened(found.name, 120),
        "verdict": shortened(found.verdict, 4_000),
        "facts": [
            ("Network", shortened(found.model, 200)),
            ("Method", shortened(METHODS.get(found.method, found.method), 120)),
            *([] if found.transform is None else [("Transform", shortened(found.transform, 120))]),
            ("Rule", shortened(RULES.get(found.rule, found.rule), 200)),
            ("Outputs", f"{', '.join(outputs)}{more}"),
            ("Seed", str(found.seed)),
            ("Time", f"{number(found.seconds, 3)} s"),
        ],
        "notes": [shortened(note, 1_000) for note in found.notes[:50]],
        "kind": found.kind,
        "is_split": found.method in SPLITS,
        "is_transformed": any(row.lost is not None for row in found.rows),
        "is_hierarchy": any(row.groups for row in found.rows),
    }


def overview(rows: Sequence[ExplainedRow], outputs: Sequence[str]) -> list[dict[str, Any]]:
    """A line a row."""
    return [{"index": i, **_facts(row, outputs)} for i, row in enumerate(rows)]


def _facts(row: ExplainedRow, outputs: Sequence[str]) -> dict[str, Any]:
    is_number = len(outputs) == 1 and row.predicted not in outputs  # a number is not right or wrong
    return {
        "row": count(row.row),
        "predicted": shortened(row.predicted, 60),
        "truth": None if row.truth is None else shortened(row.truth, 60),
        "is_right": None if is_number else row.truth is not None and row.truth == row.predicted,
        "output": shortened(row.output_name, 60),
        "value": measure(row.value),
        "residual": residual_text(row.residual),
        "bias": None if row.bias is None else measure(row.bias),
        "lost": None if row.lost is None else percent(row.lost if row.lost > LOST else 0.0),
    }


def finding_lines(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The findings as lines of a table, at most 40."""
    return [_finding(one) for one in found[:40]]


def _finding(found: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as a line; numbers that three decimals would make zero are written with their power of ten."""
    line = finding_line(found)
    for key in ("value", "threshold"):
        value = found[key]
        if value is not None and 0 < abs(value) < 1e-3:
            line[key] = f"{MINUS if value < 0 else ''}{residual_text(abs(value))}"
    return line


def row_view(row: ExplainedRow, outputs: Sequence[str], index: int, limits: Limits) -> dict[str, Any]:
    """One row: its numbers, its pictures, its groups and interactions."""
    drawn, notes, canvas = pictures(row, index, limits)
    strongest, many = _strongest(row, limits.groups)
    return {
        "index": index,
        **_facts(row, outputs),
        "kind": KINDS[type(row.input)] if row.lost is None else "transformed",
        "sentence": _sentence(row),
        "pictures": drawn,
        "notes": notes,
        "groups": strongest,
        "more_groups": f"The {len(strongest)} strongest of {many} groups." if many > len(strongest) else "",
        "pairs": pairs_view(row, canvas),
        "findings": finding_lines(row.findings),
    }


def _sentence(row: ExplainedRow) -> str:
    """What moved the output most, in words."""
    full = full_scale(row.alone)
    unit = max(range(len(row.units)), key=lambda i: (abs(row.alone[i]), -i))
    own = score_text(row.alone[unit], full)
    what = "group of coefficients" if row.lost is not None else f"single {UNITS[type(row.input)]}"
    parts = [f"The strongest {what}: {members(row, (unit,))}, with a score of {own}."]
    several = [i for i, group in enumerate(row.groups) if len(group.units) > 1]
    small = [i for i in several if 2 * len(row.groups[i].units) <= len(row.units)] or several
    if small:
        best = row.groups[max(small, key=lambda i: (abs(row.groups[i].score), -i))]
        text = score_text(best.score, full_scale(group.score for group in row.groups))
        parts.append(f"The strongest group: {members(row, best.units)}, with a score of {text}.")
    return " ".join(parts)


def _strongest(row: ExplainedRow, most: int) -> tuple[list[dict[str, Any]], int]:
    """The groups of more than one unit as lines, the strongest first; and how many there are."""
    found = [i for i, group in enumerate(row.groups) if len(group.units) > 1]
    full = full_scale([row.groups[i].score for i in found])
    found.sort(key=lambda i: (-abs(row.groups[i].score), i))
    lines = []
    for i in found[:most]:
        group = row.groups[i]
        apart = sum(row.alone[unit] for unit in group.units)
        lines.append(
            {
                "members": members(row, group.units),
                "units": count(len(group.units)),
                "level": count(group.level),
                "score": score_text(group.score, full),
                "apart": score_text(apart, full),
                "beyond": score_text(group.score - apart, full),
            }
        )
    return lines, len(found)


KINDS = {Picture: "image", Words: "text", Curves: "signal", Cells: "table"}
UNITS = {Picture: "unit", Words: "word", Curves: "window", Cells: "column"}
