"""Policies as the template shows them: what was found, each candidate with its text, returns and differences.

Source
------
Own.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.report._explanation_view import finding_lines
from limbeck.report._findings import verdict_summary
from limbeck.report._front_svg import mark, tone
from limbeck.report._policy_front_svg import on_front
from limbeck.report._policy_values import PlayedCandidate, Policies, Score
from limbeck.report._recording_view import TONES
from limbeck.report._words import (
    FAMILY_LABELS,
    VERDICT_LABELS,
    count,
    joined,
    measure,
    number,
    plural,
    shortened,
    verdict_kind,
)

__all__ = ["Limits", "best_of", "candidate_views", "head", "legend", "return_lanes", "size_words"]

STUDENTS = {
    "tree": "trees",
    "oblique_tree": "oblique trees",
    "program": "programs",
    "cloned_tree": "trees that imitate",
}
MAX_DOTS = 100
MAX_TABLE_ACTIONS = 12


@dataclass(frozen=True)
class Limits:
    """How much is shown: candidates, lines of a text, differences, columns of a difference, characters of a program."""

    candidates: int
    lines: int
    differences: int
    columns: int
    code: int


def best_of(found: Policies) -> PlayedCandidate | None:
    """The simplest candidate that plays within one standard error of the best that may be used; None where none may."""
    fit = [one for one in found.candidates if verdict_kind(one.verdict) in ("use", "care")]
    if not fit:
        return None
    top = max(fit, key=lambda one: one.score.mean)
    near = [one for one in fit if one.score.mean >= top.score.mean - top.score.std_error]
    return min(near, key=lambda one: (one.complexity, -one.score.mean))


def size_words(one: PlayedCandidate) -> str:
    """``1 line``, ``8 leaves``."""
    return plural(one.size, "line") if one.family == "program" else plural(one.size, "leaf", "leaves")


def head(found: Policies) -> dict[str, Any]:
    """What was distilled, how well it went, and how it was done."""
    best = best_of(found)
    columns = ", ".join(shortened(name, 40) for name in found.columns[:12])
    more = f" and {len(found.columns) - 12} more" if len(found.columns) > 12 else ""
    facts = [
        ("Environment", shortened(found.environment, 200)),
        ("Columns", columns + more),
        ("Actions", ", ".join(shortened(name, 40) for name in found.actions[:12])),
        *([("Changes", ", ".join(shortened(name, 40) for name in found.changes[:12]))] if found.changes else []),
        ("Students", joined([STUDENTS.get(name, shortened(name, 40)) for name in found.students[:12]]) or "none"),
        ("Teacher gives", shortened(found.kind.replace("_", " "), 40)),
        ("Search", f"{number(found.budget_s)} s asked for, {count(found.states)} states seen"),
        ("Scores", f"{plural(len(found.seeds), 'episode')} each, on the same seeds"),
        ("Seed", str(found.seed)),
        ("Time", f"{number(found.seconds, 3)} s"),
    ]
    kinds = [(one.name, verdict_kind(one.verdict)) for one in found.candidates]
    return {
        "name": shortened(found.environment, 120),
        "sentence": _sentence(found, best),
        "verdicts": verdict_summary(kinds),
        "best": None if best is None else _program(best, found, 40),
        "best_index": None if best is None else found.candidates.index(best),
        "facts": facts,
        "teacher": number(found.teacher.mean),
        "random": number(found.random.mean),
        "notes": [shortened(note, 1_000) for note in found.notes[:50]],
        "complete": found.complete,
    }


def _sentence(found: Policies, best: PlayedCandidate | None) -> str:
    teacher, random = number(found.teacher.mean), number(found.random.mean)
    if best is None:
        return (
            f"None of the {plural(len(found.candidates), 'candidate')} may be used: the teacher scores {teacher}, a "
            f"random policy {random}."
        )
    family = FAMILY_LABELS.get(best.family, best.family)
    return (
        f"A {family} of {size_words(best)} scores {number(best.score.mean)} where the teacher scores {teacher} and a "
        f"random policy {random}."
    )


def candidate_views(found: Policies, limits: Limits) -> list[dict[str, Any]]:
    """The candidates, those on the front first, each from small to large."""
    kept = on_front(found.candidates)
    others = sorted(set(range(len(found.candidates))) - set(kept), key=lambda i: found.candidates[i].complexity)
    best = best_of(found)
    shown = [*kept, *others][: limits.candidates]
    return [_candidate(found, i, i in kept, found.candidates[i] is best, limits) for i in shown]


def _candidate(found: Policies, i: int, is_kept: bool, is_best: bool, limits: Limits) -> dict[str, Any]:
    one = found.candidates[i]
    kind = verdict_kind(one.verdict)
    marks = [word for word, yes in (("best", is_best), ("on the front", is_kept)) if yes]
    facts = [
        FAMILY_LABELS.get(one.family, one.family),
        size_words(one),
        plural(one.complexity, "symbol"),
        f"worst episode {number(one.score.worst)}",
        f"{number(one.seconds, 3)} s to find",
        *marks,
    ]
    code = str(one.readable.export("python"))
    return {
        "index": i,
        "name": shortened(one.name, 60),
        "tone": tone(one.family, one.name),
        "mark": mark(one.family),
        "kind": kind,
        "is_best": is_best,
        "label": VERDICT_LABELS[kind],
        "verdict": _reason(one.verdict),
        "facts": facts,
        "score": _score(one.score),
        "program": _program(one, found, limits.lines),
        "more_lines": _more(len(one.lines) - limits.lines, "line"),
        "has_shares": bool(one.firing),
        "findings": finding_lines([_without_table(finding) for finding in one.findings]),
        "table": _table(one),
        "differences": _differences(one, limits),
        "code": code if len(code) <= limits.code else None,
    }


def _reason(verdict: str) -> str:
    """What stands behind the word of a verdict."""
    text = shortened(verdict.partition(":")[2].strip(), 2_000)
    return text[:1].upper() + text[1:]


def _more(many: int, what: str) -> str:
    return f"And {plural(many, f'more {what}')}; policy.json holds all." if many > 0 else ""


def _score(score: Score) -> dict[str, str]:
    return {"mean": number(score.mean), "interval": f"{number(score.low)} to {number(score.high)}"}


def _program(one: PlayedCandidate, found: Policies, lines: int) -> list[list[dict[str, Any]]]:
    """Its text in pieces, each guard with the share of states in which it decides and the colour of its action."""
    return [[_piece(one, text, guard) for text, guard in line] for line in one.lines[:lines]]


def _piece(one: PlayedCandidate, text: str, guard: int | None) -> dict[str, Any]:
    if guard is None:
        return {"text": text, "tone": None, "share": None}
    share = one.firing[guard] if one.firing else None
    return {
        "text": text,
        "tone": f"k{one.decisions[guard] % TONES}",
        "share": None if share is None else _percent(share),
        "wide": None if share is None else f"{100 * share:.1f}",
    }


def _percent(share: float) -> str:
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    return "< 1 %" if share < 0.01 else "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _without_table(finding: Mapping[str, Any]) -> Mapping[str, Any]:
    """A finding whose counts of actions are drawn as a table of their own."""
    details = finding["details"]
    if not isinstance(details, Mapping):
        return finding
    return {**finding, "details": {k: v for k, v in details.items() if k not in ("table", "actions")}}


def _table(one: PlayedCandidate) -> dict[str, Any] | None:
    """How often the teacher's action (row) met the student's (column)."""
    details = next((f["details"] for f in one.findings if f["code"] == "RC015"), None)
    if not isinstance(details, Mapping):
        return None
    names, table = details.get("actions"), details.get("table")
    if not isinstance(names, list) or not isinstance(table, list) or not 0 < len(names) <= MAX_TABLE_ACTIONS:
        return None
    counts = [row for row in table if isinstance(row, list) and len(row) == len(names)]
    if len(counts) != len(names) or not all(type(v) is int and v >= 0 for row in counts for v in row):
        return None
    total = sum(map(sum, counts)) or 1
    rows = [
        {
            "name": shortened(str(names[r]), 24),
            "cells": [
                {"text": count(v), "kind": "same" if r == c else "other" if v else "zero", "share": f"{v / total:.3f}"}
                for c, v in enumerate(row)
            ],
        }
        for r, row in enumerate(counts)
    ]
    return {"names": [shortened(str(name), 24) for name in names], "rows": rows}


def _differences(one: PlayedCandidate, limits: Limits) -> dict[str, Any] | None:
    """The states where student and teacher differ most, in the columns that the student compares, then the others."""
    if not one.differences:
        return None
    used = list(one.readable.columns_used)
    order = [*used, *(j for j in range(len(one.columns)) if j not in used)]
    columns = sorted(order[: limits.columns])
    seen: set[tuple[Any, ...]] = set()
    lines = []
    for state in one.differences:
        cells = [number(float(state.seen[j])) for j in columns]
        key = (*cells, state.teacher, state.student)
        if key in seen:
            continue
        seen.add(key)
        lines.append(
            {
                "cells": cells,
                "teacher": shortened(state.teacher, 40),
                "student": shortened(state.student, 40),
                "weight": measure(state.weight),
            }
        )
    return {
        "names": [shortened(one.columns[j], 24) for j in columns],
        "lines": lines[: limits.differences],
        "more": _more(len(one.columns) - len(columns), "column"),
    }


def return_lanes(found: Policies, shown: Sequence[int]) -> dict[str, Any]:
    """The return of each seed as dots on one axis: teacher, random, then the candidates."""
    rows: list[tuple[str, str, np.ndarray, Score, int | None]] = [
        ("the teacher", "teacher", found.teacher_returns, found.teacher, None),
        ("a random policy", "other", found.random_returns, found.random, None),
    ]
    for i in shown:
        one = found.candidates[i]
        rows.append((shortened(one.name, 40), tone(one.family, one.name), one.returns, one.score, i))
    values = np.concatenate([returns for _, _, returns, _, _ in rows])
    low, high = float(values.min()), float(values.max())
    pad = 0.03 * (high - low) or 1.0
    start, span = low - pad, high - low + 2 * pad

    def at(value: float) -> str:
        return f"{100 * (value - start) / span:.1f}"

    lanes = [
        {
            "name": name,
            "tone": colour,
            "href": None if index is None else f"#candidate-{index}",
            "dots": [at(float(v)) for v in returns[:MAX_DOTS]],
            "low": at(max(score.low, start)),
            "wide": f"{100 * (min(score.high, start + span) - max(score.low, start)) / span:.1f}",
            "at": at(score.mean),
            **_score(score),
        }
        for name, colour, returns, score, index in rows
    ]
    heads = [lane["name"] for lane in lanes]
    table = [
        {"seed": str(found.seeds[k]), "cells": [number(float(returns[k])) for _, _, returns, _, _ in rows]}
        for k in range(min(len(found.seeds), MAX_DOTS))
    ]
    return {"lanes": lanes, "start": number(low), "end": number(high), "heads": heads, "table": table}


def legend(found: Policies) -> list[dict[str, str | Markup]]:
    """The families in the picture."""
    families = list(dict.fromkeys(one.family for one in found.candidates))
    return [{"tone": tone(f), "mark": mark(f), "label": FAMILY_LABELS.get(f, f)} for f in families]
