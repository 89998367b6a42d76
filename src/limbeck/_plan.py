"""What a run is about to do and about how long it takes, and each student's share of a budget."""

from __future__ import annotations

import numbers
import time

import numpy as np

from limbeck._core.errors import InputError
from limbeck._named_students import asks_by_itself
from limbeck._setting import Setting

__all__ = ["plan", "spread_budget"]

CHECK_ROWS = 7_000
"""About how many rows the default checks ask of the teacher, a student."""


def plan(setting: Setting, n_jobs: int | None) -> str:
    """What is about to be done, and about how long it takes: by the teacher's measured speed and the students' word."""
    from joblib import effective_n_jobs

    rounds = 1 + setting.n_refits
    asked = rounds * (len(setting.train) + setting.n_queries + _own_queries(setting))
    asked += len(setting.students) * CHECK_ROWS
    asking = asked * _seconds_a_row(setting)
    n, k = len(setting.train) + setting.n_queries, setting.teacher.n_outputs
    d = sum(max(1, len(column.levels)) for column in setting.train.schema.columns)
    fitting = 0.0
    for student in setting.students.values():
        expect = getattr(student, "expected_seconds", None)
        fitting += rounds * (expect(n, d, k) if callable(expect) else 0.0)
    fitting /= min(effective_n_jobs(n_jobs), rounds * len(setting.students))
    return (
        f"plan: ask the teacher {asked:,} rows (about {asking:.0f} s), fit {', '.join(setting.students)} {rounds} times"
        f" (about {fitting:.0f} s), then {len(setting.checks)} reality checks"
    )


def _own_queries(setting: Setting) -> int:
    """The rows that students ask by themselves, at most, where they say it (``max_queries``)."""
    asking = [student.get_params() for student in setting.students.values() if asks_by_itself(student)]
    return sum(int(given["max_queries"]) for given in asking if isinstance(given.get("max_queries"), numbers.Integral))


def _seconds_a_row(setting: Setting) -> float:
    rows = setting.held_out.take(np.arange(min(len(setting.held_out), 1_000)))
    start = time.perf_counter()
    setting.teacher(rows)
    return (time.perf_counter() - start) / len(rows)


def spread_budget(setting: Setting, budget_s: float, n_jobs: int | None) -> None:
    """Give the students that take seconds their share of the budget."""
    from joblib import effective_n_jobs

    if budget_s <= 0:
        raise InputError(f"a budget is a number of seconds above 0; got {budget_s!r}")
    timed = [student for student in setting.students.values() if "budget_s" in student.get_params()]
    for student in timed:
        rounds = 1 + setting.n_refits
        student.set_params(budget_s=0.6 * budget_s * effective_n_jobs(n_jobs) / (rounds * len(timed)))
