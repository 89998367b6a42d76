"""RC001: how faithful is the readable model to the teacher, on rows that neither was fitted on?

Source
------
Bucila2006 (fidelity beside accuracy on the truth); ClopperPearson1934.

Departures
----------
Agreement alone flatters a model of a rare event, so in classification the interval must also lie above what the best
constant answer reaches.

Cost
----
No teacher calls: the answers on the held-out rows are there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limbeck.checks._finding import Case, Finding, Status, judge
from limbeck.checks._measures import (
    agreement,
    bootstrap,
    determination,
    divergence,
    mean_interval,
    per_output_determination,
    share_interval,
)

__all__ = ["Fidelity", "compare"]


@dataclass(frozen=True)
class Fidelity:
    """RC001. Regression: R2 to the teacher (the worst output). Classification: share of rows with the same class.

    Parameters
    ----------
    min_r2, min_agreement : float
        The threshold in regression and in classification.
    """

    min_r2: float = 0.80
    min_agreement: float = 0.90

    code: ClassVar[str] = "RC001"
    title: ClassVar[str] = "Fidelity on held-out rows"

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""
        student = case.student
        threshold = self.min_agreement if case.is_classification else self.min_r2
        finding = compare(case.answers, student, case.is_classification, threshold, case.seed)
        details = dict(finding.details)
        if case.truth is not None:
            details["truth"] = {
                "metric": "accuracy" if case.is_classification else "R2",
                "teacher": _truth_score(case.truth, case.answers, case),
                "student": _truth_score(case.truth, student, case),
            }
        return Finding(
            self.code,
            finding.status,
            finding.value,
            finding.interval,
            threshold,
            finding.message + _truth_text(details.get("truth")),
            self.title,
            {**details, "rows": len(case.rows)},
        )


def compare(answers: np.ndarray, student: np.ndarray, is_classification: bool, threshold: float, seed: int) -> Finding:
    """The student's answers ``(n, k)`` held against the teacher's, with a 95 % interval (no code, no title)."""
    if not np.isfinite(student).all():
        bad = int((~np.isfinite(student).all(axis=1)).sum())
        return Finding("", "fail", None, None, threshold, f"not a number on {bad} of {len(student)} rows")
    return (_compare_classes if is_classification else _compare_numbers)(answers, student, threshold, seed)


def _compare_numbers(answers: np.ndarray, student: np.ndarray, threshold: float, seed: int) -> Finding:
    if len(answers) < 2 or np.any(np.ptp(answers, axis=0) == 0):
        message = "the teacher answers the same for every held-out row, so there is nothing to be faithful to"
        return Finding("", "not_applicable", None, None, threshold, message)
    statistic = determination(answers, student)
    value = float(statistic(np.ones((1, len(answers))))[0])
    interval = bootstrap(statistic, len(answers), seed)
    outputs = per_output_determination(answers, student)
    details = {"metric": "R2", "per_output": outputs, "rmse": np.sqrt(((answers - student) ** 2).mean(axis=0)).tolist()}
    worst = " (the worst output)" if len(outputs) > 1 else ""
    message = f"R2 to the teacher {value:.3f}{worst}, 95 % interval {interval[0]:.3f} to {interval[1]:.3f}"
    return Finding("", judge(interval, threshold), value, interval, threshold, message, "", details)


def _compare_classes(answers: np.ndarray, student: np.ndarray, threshold: float, seed: int) -> Finding:
    same = agreement(answers, student)
    value, interval = float(same.mean()), share_interval(int(same.sum()), len(same))
    kl = divergence(answers, student)
    labels = answers.argmax(axis=1)
    constant = float(np.bincount(labels).max() / len(labels))
    status: Status = judge(interval, threshold)
    message = (
        f"same class as the teacher on {value:.1%} of rows, 95 % interval {interval[0]:.1%} to {interval[1]:.1%}; "
        f"the best constant answer reaches {constant:.1%}; mean KL {kl.mean():.3f}"
    )
    if constant == 1.0:
        message = "the teacher gives one class for every held-out row, so agreement says nothing; " + message
        status = "not_applicable"
    elif interval[0] <= constant and status == "pass":
        status = "inconclusive"
    details: dict[str, Any] = {
        "metric": "agreement",
        "kl": float(kl.mean()),
        "kl_interval": list(mean_interval(kl, seed)),
        "constant_agreement": constant,
    }
    return Finding("", status, value, interval, threshold, message, "", details)


def _truth_score(truth: np.ndarray, outputs: np.ndarray, case: Case) -> dict[str, Any]:
    if case.is_classification:
        hits = outputs.argmax(axis=1) == truth
        return {"value": float(hits.mean()), "interval": list(share_interval(int(hits.sum()), len(hits)))}
    statistic = determination(truth, outputs)
    value = float(statistic(np.ones((1, len(truth))))[0])
    return {"value": value, "interval": list(bootstrap(statistic, len(truth), case.seed + 1))}


def _truth_text(truth: dict[str, Any] | None) -> str:
    if truth is None:
        return ""
    teacher, student = truth["teacher"]["value"], truth["student"]["value"]
    if truth["metric"] == "accuracy":
        return f". On the truth: teacher {teacher:.1%}, this {student:.1%} correct"
    return f". On the truth: teacher R2 {teacher:.3f}, this {student:.3f}"
