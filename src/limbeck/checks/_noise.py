"""RC008: do the effects stay where the input moves so little that the output stays?

Source
------
AlvarezMelis2018 (robustness of explanations); Spearman1904.

Departures
----------
The noise is halved until the output moves by no more than a small share of its range, so that a network that is itself
unstable is not held against the attribution. Units at the baseline in a row are left out there: their effects are
nearly 0, and the order among those is the noise's own.

Cost
----
``n_draws + 1`` calls of the attribution with u groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._attribution_measures import MIN_ROWS, crossed_interval, guarded, rank_correlations, usable
from limbeck.checks._finding import Finding, judge

if TYPE_CHECKING:
    import torch

__all__ = ["NoiseStability"]

HALVINGS = 10


@dataclass(frozen=True)
class NoiseStability:
    """RC008. Mean rank correlation between the effects of the rows and of the rows with a little noise.

    Parameters
    ----------
    min_correlation : float
        The threshold.
    noise : float
        The noise to begin with, relative to the spread of the rows.
    max_change : float
        How much the output may move, relative to its range over the rows and the baseline.
    n_draws : int
        Noisy versions of each row.
    """

    min_correlation: float = 0.8
    noise: float = 0.05
    max_change: float = 0.02
    n_draws: int = 5

    code: ClassVar[str] = "RC008"
    title: ClassVar[str] = "Stability to noise"

    def __call__(self, case: AttributionCase) -> Finding:
        """The finding for one attribution."""
        return guarded(self, self._judge, case)

    def _judge(self, case: AttributionCase) -> Finding:
        answers = case.steady_answers()
        if not case.x.is_floating_point():
            words = "the rows are of whole numbers (words), which cannot move a little"
            return Finding(self.code, "not_applicable", None, None, self.min_correlation, words, self.title)
        effects, present = case.measure(case.masks), case.present
        rows = usable(effects, present)
        if not rows.any():
            words = "no row has three units with different effects"
            return Finding(self.code, "not_applicable", None, None, self.min_correlation, words, self.title)
        found = self._noise(case, answers)
        if found is None:
            words = f"the output moves by more than {self.max_change:.0%} of its range with the least noise tried"
            return Finding(self.code, "inconclusive", None, None, self.min_correlation, words, self.title)
        level, change, noisy = found
        values = np.array(
            [rank_correlations(effects, case.measure(case.masks, x=other), present)[rows] for other in noisy]
        )
        value, interval = float(values.mean()), crossed_interval(values, case.seed)
        status = judge(interval, self.min_correlation) if rows.sum() >= MIN_ROWS else "inconclusive"
        message = (
            f"with noise of {level:.2g} of the rows' spread, which moves the output by {change:.1%} of its range, rank "
            f"correlation {value:.2f}, 95 % interval {interval[0]:.2f} to {interval[1]:.2f}"
        )
        details = {"noise": level, "change": change, "rows": int(rows.sum()), "draws": len(noisy)}
        return Finding(self.code, status, value, interval, self.min_correlation, message, self.title, details)

    def _noise(self, case: AttributionCase, answers: np.ndarray) -> tuple[float, float, list[torch.Tensor]] | None:
        """The largest noise tried that leaves the output: its level, the output's mean move, and the noisy rows."""
        import torch

        empty = case.answers(case.base.expand(case.x.shape).contiguous())
        span = max(float(np.ptp(np.concatenate([answers, empty]))), 1e-12)
        spread = float((case.x - case.base).double().square().mean().sqrt()) or 1.0
        generator = np.random.default_rng(case.seed)
        drawn = [generator.standard_normal(tuple(case.x.shape)) for _ in range(self.n_draws)]
        for halving in range(HALVINGS):
            level = self.noise / 2**halving
            noisy = [case.x + level * spread * torch.as_tensor(draw).to(case.x) for draw in drawn]
            change = float(np.mean([np.abs(case.answers(rows) - answers).mean() for rows in noisy])) / span
            if change <= self.max_change:
                return level, change, noisy
        return None
