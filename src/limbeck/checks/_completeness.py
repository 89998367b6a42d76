"""RC005: do the effects add up to the network's output?

Source
------
Sundararajan2017 (completeness); Murdoch2018 (relevant and irrelevant part add up to the output).

Symbols
-------
e(S): the effect of the group S; b: the part that belongs to no input; r(S): what is left beside S; f: the output.
Three identities: ``e(empty) = 0``; ``e(all) = f(x) - b(x)``; and where the attribution states r,
``e(S) + r(S) = f(x)`` for the empty group, each unit and all. b is the attribution's own statement: its `bias`, else
r(all), else the output at the baseline.

Departures
----------
An attribution could give everything to b and be complete without saying anything. So the check also fails where e(all)
holds hardly any of what changes over the rows: its spread against that of e(all) and b together. How far e(all) is from
``f(x) - f(baseline)`` is told, not judged: an attribution need not have this baseline.

Cost
----
Two calls of the attribution with u + 2 groups, three forward passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._attribution_measures import guarded
from limbeck.checks._finding import Finding, Status

__all__ = ["Completeness"]


@dataclass(frozen=True)
class Completeness:
    """RC005. The largest error of the identities, relative to the largest output; it has no interval: it is exact.

    Parameters
    ----------
    tolerance : float
        The largest error allowed. Integrated gradients with few steps need more.
    min_effect_share : float
        The least share of what changes over the rows that the effects of all together must hold, beside what belongs
        to no input.
    """

    tolerance: float = 1e-4
    min_effect_share: float = 0.05

    code: ClassVar[str] = "RC005"
    title: ClassVar[str] = "Effects add up to the output"

    def __call__(self, case: AttributionCase) -> Finding:
        """The finding for one attribution."""
        return guarded(self, self._judge, case)

    def _judge(self, case: AttributionCase) -> Finding:
        answers = case.steady_answers()
        row = case.masks.shape[1:]
        masks = np.concatenate([np.zeros((1, *row), bool), case.masks, np.ones((1, *row), bool)])
        effects = case.measure(masks)
        rest = None if case.rest is None else case.measure(masks, ask=case.rest)
        empty = case.answers(case.base.expand(case.x.shape).contiguous())
        bias = self._bias(case, rest, empty)
        scale = max(np.abs(answers).max(), np.abs(empty).max(), 1e-12)
        errors = {
            "empty group": np.abs(effects[0]).max() / scale,
            "all together": np.abs(effects[-1] + bias - answers).max() / scale,
        }
        if rest is not None:
            errors["group and rest"] = np.abs(effects + rest - answers).max() / scale
        spreads = float(np.std(effects[-1])), float(np.std(bias))
        share = spreads[0] / sum(spreads) if sum(spreads) > 1e-6 * scale else None
        worst = max(errors, key=lambda name: errors[name])
        value = float(errors[worst])
        vacuous = share is not None and share < self.min_effect_share
        details: dict[str, Any] = {
            "errors": {name: float(error) for name, error in errors.items()},
            "bias": "stated" if case.bias or case.rest else "output at the baseline",
            "effect_share": share,
            "against_baseline": float(np.abs(effects[-1] - (answers - empty)).max() / scale),
            "units_sum_less_whole": float(np.abs(effects[1:-1].sum(axis=0) - effects[-1]).max() / scale),
            "rows": len(answers),
        }
        message = f"largest error {value:.2g} of the largest output ({worst}), on {len(answers)} rows"
        if vacuous:
            message += f"; but the effects hold only {share:.1%} of what changes, and the rest belongs to no input"
        status: Status = "pass" if value <= self.tolerance and not vacuous else "fail"
        return Finding(self.code, status, value, None, self.tolerance, message, self.title, details)

    def _bias(self, case: AttributionCase, rest: np.ndarray | None, empty: np.ndarray) -> np.ndarray:
        if case.bias is not None:
            stated = case.bias
            row = np.ones((1, *case.masks.shape[1:]), bool)
            return case.measure(row, ask=lambda model, x, _: _one(stated(model, x)))[0]
        return empty if rest is None else rest[-1]


def _one(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)[None]
