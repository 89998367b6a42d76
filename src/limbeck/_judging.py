"""The reality checks over all students, and the fresh queries by which `Distillation.best` chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from limbeck._core.errors import LimbeckError
from limbeck._core.progress import Report
from limbeck._core.tables import Table
from limbeck._rounds import Fitted
from limbeck._setting import Check, Setting
from limbeck.checks import Case, Fidelity, Finding

__all__ = ["judge_all", "judge_quickly", "selection_rows"]

SELECTION_ROWS = 1_000


def _case(setting: Setting, name: str, fitted: Mapping[tuple[str, int], Any]) -> Case:
    refits = [fitted.get((name, i)) for i in range(1, 1 + setting.n_refits)]
    whole = all(isinstance(refit, Fitted) for refit in refits)
    return Case(
        fitted[name, 0].readable,
        setting.teacher,
        setting.held_out,
        setting.answers,
        setting.truth,
        setting.train,
        [refit.readable for refit in refits] if whole and refits else None,  # type: ignore[union-attr]
        setting.seeds["checks"],
    )


def judge_all(
    setting: Setting, fitted: Mapping[tuple[str, int], Any], findings: dict[str, list[Finding]], report: Report
) -> None:
    names = [name for name in setting.students if isinstance(fitted.get((name, 0)), Fitted)]
    total = len(names) * len(setting.checks)
    for i, name in enumerate(names):
        case = _case(setting, name, fitted)
        findings[name] = []
        for j, check in enumerate(setting.checks):
            findings[name].append(_checked(check, case))
            report("reality checks", i * len(setting.checks) + j + 1, total)


def _checked(check: Check, case: Case) -> Finding:
    """The finding; where the check can't be run (the teacher refuses its rows, say), that is the finding."""
    try:
        return check(case)
    except LimbeckError as error:
        return Finding(check.code, "inconclusive", None, None, None, f"could not be run: {error}", check.title)


def judge_quickly(setting: Setting, fitted: Mapping[tuple[str, int], Any], findings: dict[str, list[Finding]]) -> None:
    """After an interruption: the fidelity of every student that is done, which asks the teacher nothing."""
    for name in setting.students:
        if isinstance(fitted.get((name, 0)), Fitted):
            case = _case(setting, name, fitted)
            done = {finding.code: finding for finding in findings.get(name, ())}
            findings[name] = [
                done[check.code] if check.code in done else check(case) if isinstance(check, Fidelity) else _cut(check)
                for check in setting.checks
            ]


def _cut(check: Check) -> Finding:
    return Finding(check.code, "inconclusive", None, None, None, "not run: the run was interrupted", check.title)


def selection_rows(setting: Setting) -> tuple[Table, np.ndarray]:
    """Fresh queries and the answers on them, for `Distillation.best`: no student was fitted on them."""
    rows = setting.queries.sample(setting.train, SELECTION_ROWS, setting.seeds["selection"], exclude=setting.held_out)
    return rows, setting.teacher(rows)
