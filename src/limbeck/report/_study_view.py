"""A study in words and tables: its cards, how far it got, every set with its numbers and formulas, its protocol.

Cost
----
O(entries).
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.report._findings import details
from limbeck.report._study_forest_svg import difference_text
from limbeck.report._study_points_svg import arm_mark
from limbeck.report._study_values import Comparison, FormulaText, Overall, Spread, Study, StudySet
from limbeck.report._words import MINUS, count, measure, number, plural, shortened

__all__ = [
    "arm_lines",
    "cards",
    "comparison_name",
    "is_significant",
    "key_of",
    "overview",
    "p_text",
    "progress",
    "protocol",
    "set_view",
    "significance",
]

ALPHA = 0.05
MAX_FAILURES = 50
MAX_SENTENCE = 1_000
Key = tuple[str, str, str]
METRIC_WORDS = {"r2": "R² on held-out rows", "fidelity": "fidelity to the teacher"}


def p_text(value: float | None) -> str:
    """A p-value as it is usually written.

    Examples
    --------
    >>> [p_text(v) for v in (0.00004, 0.0312, 0.5, 1.0, None)]
    ['< 0.001', '0.031', '0.50', '1.00', '–']
    """
    if value is None:
        return "–"
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def significance(study: Study) -> float:
    """The level of the tests: that of the protocol where it names one."""
    level = study.settings.get("alpha")
    is_level = isinstance(level, int | float) and not isinstance(level, bool) and 0 < level < 1
    return float(level) if isinstance(level, int | float) and is_level else ALPHA


def is_significant(found: Comparison | Overall, alpha: float) -> bool:
    """True where the difference holds after Holm's correction."""
    return found.p_holm is not None and found.p_holm < alpha and found.spread.mean is not None


def key_of(found: Comparison | Overall) -> Key:
    """What is compared with what, by which measure."""
    return found.arm, found.against, found.metric


def comparison_name(found: Comparison | Overall) -> str:
    """``jacobian − plain``, and the measure where it is not R2."""
    name = f"{shortened(found.arm, 24)} {MINUS} {shortened(found.against, 24)}"
    return name if found.metric == "r2" else f"{name}, {found.metric}"


def _between(spread: Spread | None, text: Any = measure) -> str:
    """``0.1 to 0.3``, or nothing."""
    if spread is None or spread.low is None or spread.high is None:
        return ""
    return f"{text(spread.low)} to {text(spread.high)}"


def progress(study: Study) -> dict[str, Any]:
    """How far the study got, in words and as a share."""
    done, planned, failed = study.done, study.planned, len(study.failures)
    share = min(done / planned, 1.0) if planned else 0.0
    words = f"{count(done)} of {plural(planned, 'planned trial')} {'is' if done == 1 else 'are'} done"
    words += f"; {plural(failed, 'trial')} failed." if failed else "; none failed."
    reached = sum(one.trials > 0 for one in study.sets)
    if study.sets:
        least, most = min(one.trials for one in study.sets), max(one.trials for one in study.sets)
        trials = count(least) if least == most else f"{count(least)} to {count(most)}"
        words += f" Trials a set: {trials}, on {plural(reached, 'set')}."
    return {
        "words": words,
        "percent": f"{100 * share:.1f}",
        "is_complete": done + failed >= planned > 0,
        "failures": [
            {"set": shortened(f.set, 60), "trial": shortened(f.trial, 20), "what": shortened(f.what, 400)}
            for f in study.failures[:MAX_FAILURES]
        ],
        "more_failures": count(failed - MAX_FAILURES) if failed > MAX_FAILURES else "",
    }


def cards(study: Study, alpha: float) -> list[dict[str, Any]]:
    """Each comparison over all sets: its difference, interval, signs and sentence."""
    places = {arm.name: i for i, arm in enumerate(study.arms)}
    out = []
    for found in study.overall:
        known = found.spread.mean is not None
        signs = f"better on {count(found.better)}, worse on {count(found.worse)}"
        signs += f", even on {count(found.ties)}" if found.ties else ""
        out.append(
            {
                "name": comparison_name(found),
                "tone": places[found.arm],
                "mark": arm_mark(places[found.arm]),
                "value": difference_text(found.spread.mean) if known else "too few sets",
                "interval": _between(found.spread, difference_text),
                "metric": METRIC_WORDS[found.metric],
                "signs": signs,
                "p": p_text(found.p_sign),
                "is_significant": is_significant(found, alpha),
                "sentence": _sentence(found.sentence),
            }
        )
    return out


def arm_lines(study: Study) -> list[dict[str, Any]]:
    """Each arm over all sets: the means of its means, and the penalty's strength that was chosen."""
    out = []
    for i, arm in enumerate(study.arms):
        found = [one.arms[arm.name] for one in study.sets if arm.name in one.arms]
        strengths = [p.strength for p in study.points if p.arm == arm.name and p.strength is not None]
        chosen = "–"
        if any(strengths):
            none = sum(s == 0 for s in strengths) / len(strengths)
            chosen = f"{number(statistics.median(strengths), 3)}; none in {none:.0%}"
        out.append(
            {
                "name": shortened(arm.name, 40),
                "label": shortened(arm.label, 200),
                "tone": i,
                "mark": arm_mark(i),
                "sets": count(sum(f.r2.mean is not None for f in found)),
                "r2": measure(_mean([f.r2.mean for f in found])),
                "fidelity": measure(_mean([f.fidelity.mean for f in found if f.fidelity])),
                "symbols": number(_mean([f.symbols for f in found]), 3),
                "teacher": measure(_mean([f.teacher_r2 for f in found])),
                "slope": number(_mean([f.slope for f in found]), 3),
                "strength": chosen,
            }
        )
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def overview(study: Study, keys: Sequence[Key], alpha: float) -> dict[str, Any]:
    """A line a set: the R2 of each arm, the best one marked, and the differences of the chosen comparisons."""
    lines = []
    for index, one in enumerate(study.sets):
        values = [one.arms[arm.name].r2.mean if arm.name in one.arms else None for arm in study.arms]
        best = max((v for v in values if v is not None), default=None)
        found = [next((c for c in one.comparisons if key_of(c) == key), None) for key in keys]
        lines.append(
            {
                "index": index,
                "name": shortened(one.name, 60),
                "size": f"{count(one.rows)} × {count(one.columns)}",
                "trials": count(one.trials),
                "cells": [(measure(v), v is not None and v == best) for v in values],
                "differences": [
                    (difference_text(c.spread.mean), is_significant(c, alpha)) if c else ("–", False) for c in found
                ],
            }
        )
    names = [f"{shortened(arm, 24)} {MINUS} {shortened(against, 24)}" for arm, against, _ in keys]
    return {
        "lines": lines,
        "comparisons": [n if k[2] == "r2" else f"{n}, {k[2]}" for n, k in zip(names, keys, strict=True)],
    }


def set_view(study: Study, index: int, alpha: float, most_text: int) -> dict[str, Any]:
    """One set: its arms, its comparisons, its formulas side by side."""
    one = study.sets[index]
    arms = [_arm_line(one, i, arm.name) for i, arm in enumerate(study.arms)]
    formulas = [
        {
            "arm": shortened(arm.name, 40),
            "tone": i,
            "mark": arm_mark(i),
            **_formula_view(one.formulas.get(arm.name), most_text),
        }
        for i, arm in enumerate(study.arms)
    ]
    known = [(line["mean"], line["name"]) for line in arms if line["mean"] is not None]
    best = max(known, default=None)
    return {
        "index": index,
        "name": shortened(one.name, 120),
        "facts": f"{plural(one.rows, 'row')}, {plural(one.columns, 'column')}, {plural(one.trials, 'trial')}",
        "best": f"best: {best[1]}, R² {measure(best[0])}" if best else "too few trials",
        "arms": arms,
        "comparisons": [_comparison_line(found, alpha) for found in one.comparisons],
        "formulas": formulas,
    }


def _arm_line(one: StudySet, i: int, name: str) -> dict[str, Any]:
    line = {"name": shortened(name, 40), "tone": i, "mark": arm_mark(i), "mean": None}
    found = one.arms.get(name)
    if found is None:
        return {**line, "cells": []}
    fidelity = found.fidelity
    cells = [
        ("R²", measure(found.r2.mean), _between(found.r2)),
        ("Fidelity", measure(fidelity.mean) if fidelity else "–", _between(fidelity)),
        ("Symbols", number(found.symbols, 3), ""),
        ("Teacher’s R²", measure(found.teacher_r2), ""),
        ("Slope", number(found.slope, 3), ""),
    ]
    return {**line, "mean": found.r2.mean, "cells": cells}


def _comparison_line(found: Comparison, alpha: float) -> dict[str, Any]:
    return {
        "name": comparison_name(found),
        "difference": difference_text(found.spread.mean),
        "interval": _between(found.spread, difference_text),
        "p": p_text(found.p),
        "p_holm": p_text(found.p_holm),
        "trials": count(found.trials),
        "is_significant": is_significant(found, alpha),
        "sentence": _sentence(found.sentence),
    }


def _sentence(text: str) -> str:
    """The text as a sentence, not too long."""
    text = text.strip()
    end = "" if text.endswith((".", "!", "?")) or not text else "."
    return f"{text[:1].upper()}{shortened(text[1:], MAX_SENTENCE)}{end}"


def _formula_view(found: FormulaText | None, most: int) -> dict[str, Any]:
    if found is None:
        return {"text": "", "facts": "no formula yet"}
    facts = [plural(found.symbols, "symbol") if found.symbols is not None else "", f"R² {measure(found.r2)}"]
    facts.append(f"trial {count(found.trial)}" if found.trial is not None else "")
    text = shortened(found.text, most) if most else ""
    return {"text": text, "facts": " · ".join(fact for fact in facts if fact)}


def protocol(study: Study) -> dict[str, Any]:
    """The settings, and the arms in words."""
    named = [f"{shortened(arm.name, 40)}: {shortened(arm.label, 200)}" for arm in study.arms]
    return {"arms": "; ".join(named), "settings": details(_sorted_last_nested(study.settings))}


def _sorted_last_nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in their order, nested ones last."""
    return {key: settings[key] for key in sorted(settings, key=lambda k: isinstance(settings[k], Mapping))}
