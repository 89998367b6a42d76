"""RC003: where do the teacher and the readable model differ most?

Source
------
Own: a random local search. It begins with the held-out and training rows of greatest gap; each is moved towards
another row of the data, a few columns at a time, and stays moved where the gap grows. Levels stay legal, numbers
between two rows of the data.

Cost
----
At most 2,000 teacher calls on training rows, then `n_rounds` times `n_rows`, a student.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limbeck._core.tables import Schema
from limbeck.checks._finding import Case, Finding
from limbeck.checks._measures import share_interval, total_variation

__all__ = ["WorstCase"]

MAX_TRAINING_ROWS = 2_000


@dataclass(frozen=True)
class WorstCase:
    """RC003. The greatest gap found by search, and the rows where it is.

    Regression: the gap in standard deviations of the teacher's answers (the worst output). Classification: the total
    variation distance of the probabilities, between 0 and 1.

    Parameters
    ----------
    max_gap, max_distance : float
        The threshold in regression and in classification.
    n_rounds, n_rows : int
        Rounds of the search, and rows asked in each.
    n_shown : int
        How many rows the finding shows.
    """

    max_gap: float = 2.0
    max_distance: float = 0.80
    n_rounds: int = 10
    n_rows: int = 400
    n_shown: int = 5

    code: ClassVar[str] = "RC003"
    title: ClassVar[str] = "Worst case found by search"

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""
        scale = np.maximum(case.answers.std(axis=0), 1e-12 + 1e-9 * np.abs(case.answers).max())
        threshold = self.max_distance if case.is_classification else self.max_gap
        held_out = _gap(case.answers, case.student, scale, case.is_classification)
        rows, answers, gaps = self._search(case, held_out, scale)
        if not np.isfinite(gaps).all():
            gaps = np.where(np.isfinite(gaps), gaps, np.inf)
        order = _distinct(rows, gaps, self.n_shown)
        value = float(gaps.max())
        over = int((held_out > threshold).sum())
        share = share_interval(over, len(held_out))
        unit = "total variation" if case.is_classification else "standard deviations of the teacher's answers"
        message = (
            f"greatest gap found {value:.2f} {unit}; among held-out rows {held_out.max():.2f}, and above the "
            f"threshold in {over} of {len(held_out)} (at most {share[1]:.1%} with 97.5 % confidence)"
        )
        details = {
            "unit": unit,
            "held_out_max": float(held_out.max()),
            "share_over": over / len(held_out),
            "share_over_interval": list(share),
            "rows": _shown(case, rows[order], answers[order], gaps[order]),
        }
        status: Any = "pass" if value <= threshold else "fail"
        finite = value if np.isfinite(value) else None
        return Finding(self.code, status, finite, None, threshold, message, self.title, details)

    def _search(self, case: Case, held_out: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The rows, answers and gaps that the search ends with, none smaller than where it began."""
        generator = np.random.default_rng(case.seed)
        data = case.background.values
        rows, answers, gaps = case.rows.values, case.answers, held_out
        if self.n_rounds:
            more = case.background.take(generator.permutation(len(data))[:MAX_TRAINING_ROWS])
            asked = case.teacher(more)
            gap = _gap(asked, case.readable.predict_encoded(more.values), scale, case.is_classification)
            rows, answers, gaps = np.vstack([rows, more.values]), np.vstack([answers, asked]), np.append(gaps, gap)
        start = np.resize(np.argsort(-gaps, kind="stable")[: self.n_rows], self.n_rows)
        rows, answers, gaps = rows[start].copy(), answers[start].copy(), gaps[start].copy()
        for _ in range(self.n_rounds):
            moved = _moved(rows, data, case.rows.schema, generator)
            asked = case.teacher(case.rows.with_values(moved))
            gap = _gap(asked, case.readable.predict_encoded(moved), scale, case.is_classification)
            better = gap > gaps
            rows[better], answers[better], gaps[better] = moved[better], asked[better], gap[better]
        return rows, answers, gaps


def _gap(answers: np.ndarray, student: np.ndarray, scale: np.ndarray, is_classification: bool) -> np.ndarray:
    if is_classification:
        return total_variation(answers, student)
    with np.errstate(all="ignore"):
        gap = (np.abs(answers - student) / scale).max(axis=1)
    return np.where(np.isnan(gap), np.inf, gap)


def _moved(rows: np.ndarray, data: np.ndarray, schema: Schema, generator: np.random.Generator) -> np.ndarray:
    """Each row moved part of the way to a random row of the data, in about a third of the columns (at least one)."""
    n, d = rows.shape
    target = data[generator.integers(len(data), size=n)]
    change = generator.random((n, d)) < 1.0 / 3.0
    change[np.arange(n), generator.integers(d, size=n)] = True
    step = generator.random((n, 1))
    out = np.where(change, rows + step * (target - rows), rows)
    for j, column in enumerate(schema.columns):
        if column.levels:
            out[:, j] = np.where(change[:, j], target[:, j], rows[:, j])
        elif column.integer:
            out[:, j] = np.rint(out[:, j])
    return out


def _distinct(rows: np.ndarray, gaps: np.ndarray, n: int) -> np.ndarray:
    """The positions of the `n` greatest gaps among rows that differ."""
    order = np.argsort(-gaps, kind="stable")
    _, first = np.unique(rows[order], axis=0, return_index=True)
    return order[np.sort(first)][:n]


def _shown(case: Case, rows: np.ndarray, answers: np.ndarray, gaps: np.ndarray) -> list[dict[str, Any]]:
    student = case.readable.predict_encoded(rows)
    columns = case.rows.schema.columns
    return [
        {
            "row": {
                column.name: column.level_names[int(value)] if column.levels else float(value)
                for column, value in zip(columns, row, strict=True)
            },
            "teacher": answer.tolist(),
            "student": other.tolist(),
            "gap": float(gap) if np.isfinite(gap) else None,
        }
        for row, answer, other, gap in zip(rows, answers, student, gaps, strict=True)
    ]
