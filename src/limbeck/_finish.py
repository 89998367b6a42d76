"""The last stage of every run: judge what was fitted, measure every size and the bill, and put the result together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from limbeck._bill import measure_bill
from limbeck._core.errors import LimbeckError
from limbeck._core.progress import Report
from limbeck._core.tables import Table
from limbeck._curves import measure_curves, note_on_curves
from limbeck._judging import judge_all, judge_quickly, selection_rows
from limbeck._result import Candidate, Distillation
from limbeck._rounds import Fitted, Round
from limbeck._setting import Setting
from limbeck.checks import Finding
from limbeck.checks._fidelity import compare

__all__ = ["finish"]

STORED_ROWS = 1_000
FEW_ROWS = 1_000
"""The rows of each part on which every size is measured after an interruption."""


def finish(
    setting: Setting,
    record: dict[str, Any],
    rounds: Sequence[Round],
    fitted: Mapping[tuple[str, int], Any],
    report: Report,
    *,
    complete: bool,
    bill: bool,
) -> Distillation:
    """The result; after Ctrl-C, before or in here, what was done by then."""
    findings: dict[str, list[Finding]] = {}
    notes: list[str] = record["notes"]
    measured: dict[str, Any] = {}
    curves: Mapping[str, Any] | None = None
    if complete:
        try:
            judge_all(setting, dict(fitted), findings, report)
            curves = measure_curves(setting, rounds, fitted, report)
            if bill:
                measured = {"bill": _bill(setting, fitted, report)}
        except KeyboardInterrupt:
            complete = False
    if not complete:
        judge_quickly(setting, fitted, findings)
    if curves is None:
        curves = measure_curves(setting, rounds, fitted, report, most=FEW_ROWS)
    selection = selection_rows(setting) if complete else None
    candidates = []
    for name in setting.students:
        result = fitted.get((name, 0))
        if isinstance(result, Fitted):
            own = _candidate(name, result, tuple(findings.get(name, ())), setting, selection)
            candidates.append(replace(own, curve=curves.get(name, ())))
        else:
            why = "was not reached" if result is None else f"failed: {result.kind}: {result.message}"
            notes.append(f"student {name!r} {why}")
    if not candidates and complete:
        raise LimbeckError("every student failed. " + " ".join(n for n in notes if n.startswith("student")))
    notes += note_on_curves(curves, setting.n_refits)
    teacher = {**setting.teacher.to_dict(), **record["teacher"]}
    record = {**record, **measured, "complete": complete, "teacher": teacher}
    return Distillation(tuple(candidates), record, _arrays(setting, candidates))


def _bill(setting: Setting, fitted: Mapping[tuple[str, int], Any], report: Report) -> dict[str, Any]:
    readables = {
        name: fitted[name, 0].readable for name in setting.students if isinstance(fitted.get((name, 0)), Fitted)
    }
    return measure_bill(setting.teacher, readables, setting.held_out, report=report)


def _candidate(
    name: str,
    fitted: Fitted,
    findings: tuple[Finding, ...],
    setting: Setting,
    selection: tuple[Table, np.ndarray] | None,
) -> Candidate:
    score = None
    if selection is not None:
        rows, answers = selection
        student = fitted.readable.predict_encoded(rows.values)
        score = compare(answers, student, setting.is_classification, 0.0, setting.seeds["selection"]).value
    return Candidate(name, fitted.readable, findings, fitted.seconds, fitted.student, fitted.alternatives, score)


def _arrays(setting: Setting, candidates: Sequence[Candidate]) -> dict[str, np.ndarray]:
    rows = setting.held_out.values[:STORED_ROWS]
    out = {"X": rows, "teacher": setting.answers[:STORED_ROWS]}
    if setting.truth is not None:
        out["truth"] = np.asarray(setting.truth[:STORED_ROWS], dtype=np.float64)
    for candidate in candidates:
        out[f"student/{candidate.name}"] = candidate.readable.predict_encoded(rows)
    return out
