"""The reality checks of the method on the network: on the explained rows and others, which share one set of units.

Source
------
Own; the checks name theirs.

Departures
----------
By TRIM the checks are made in the space of coefficients, on the network of them (`_explain_trim`).

Cost
----
The checks ask the method about 20 times on at most `CHECKED_ROWS` rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck._core.progress import Report
from limbeck._explain_methods import DECOMPOSED, decomposed, effects_of, part_of
from limbeck._explain_rows import units_for
from limbeck._explain_task import Task, answers_of, number_of
from limbeck._explain_trim import in_coefficients

__all__ = ["checked"]

CHECKED_ROWS = 20


def checked(
    task: Task, chosen: list[int], checks: Any, seed: int, report: Report
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The findings, and notes on how they were found; where it is stopped, those that are there."""
    from limbeck.checks import ATTRIBUTION_CHECKS, PlantedGroups

    if checks is None:
        checks = [one for one in ATTRIBUTION_CHECKS if not isinstance(one, PlantedGroups)]
    if not checks:
        return (), ("no reality check was asked for",)
    findings: list[Any] = []
    try:
        case = _case(task, chosen, seed)
        for done, check in enumerate(checks):
            report(f"{check.code} {check.title.lower()}", done, len(checks))
            findings.append(check(case))
        report("checks", len(checks), len(checks))
    except KeyboardInterrupt:
        return tuple(findings), (f"stopped after {len(findings)} of {len(checks)} checks",)
    where = "" if task.transform is None else ", as groups of coefficients"
    note = f"the checks asked the method on {len(case.x)} rows, for {len(case.masks)} units each{where}"
    return tuple(findings), (note,)


def _case(task: Task, chosen: list[int], seed: int) -> Any:
    from limbeck.checks import AttributionCase

    others = [i for i in np.random.default_rng(seed).permutation(len(task.X)).tolist() if i not in chosen]
    rows = task.X[[*chosen, *others][:CHECKED_ROWS]]
    outputs = np.array([number_of(task.output, answer) for answer in answers_of(task.model, rows)])
    effects = effects_of(task.how)

    def rest(model: Any, x: Any, masks: Any) -> np.ndarray:
        return part_of(decomposed(model, x, masks, task.how).irrelevant, outputs)

    model, x, masks, base = _asked(task, rows)
    return AttributionCase(
        model,
        x,
        masks,
        outputs,
        lambda model, x, masks: effects(model, x, masks, outputs),
        baseline=base,
        rest=rest if task.how[0] in DECOMPOSED else None,
        seed=seed,
    )


def _asked(task: Task, rows: np.ndarray) -> tuple[Any, Any, np.ndarray, Any]:
    """The network, its rows, the units' masks and what stands for "absent"."""
    if task.transform is None:
        coarse = max(2, rows.shape[-1] // 7) if task.kind == "image" and task.tile is None else task.tile
        return task.model, rows, units_for(task.kind, rows[0], task.names, None, coarse).masks, task.how[2]
    found = in_coefficients(task.model, rows, task.transform)
    return found.net, found.z, found.wide, found.z.mean(0) * ~found.net.grouped.to(found.z.device)
