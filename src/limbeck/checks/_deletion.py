"""RC007: does the output fall fastest where the units with the largest effects are taken away first?

Source
------
Petsiuk2018 (insertion and deletion); Samek2017 (area over the curve against random order).

Symbols
-------
Deletion: the area between the output's curve in random order and in order of effect. Insertion: the same, units put
back on a row where all are absent. The value is the mean of the two, in units of the mean range of the random curves.

Departures
----------
Units of equal effect are ordered by chance. A row with units at the baseline may be unlike any in the data, and the
output there is what it is: this is known of the test, and is the same for the random order.

Cost
----
One call of the attribution; ``2 (n_random + 1) (n_steps + 1)`` forward passes of the n rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limbeck.checks._asking import without
from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._attribution_measures import MIN_ROWS, guarded, worth
from limbeck.checks._finding import Finding
from limbeck.checks._measures import mean_interval

__all__ = ["InsertionDeletion"]


@dataclass(frozen=True)
class InsertionDeletion:
    """RC007. The area gained over random order; the whole interval over rows must be above 0.

    Parameters
    ----------
    min_gain : float
        A gain that is surely smaller than this fails.
    n_random, n_steps : int
        Random orders for each row; steps in which the units are taken away.
    """

    min_gain: float = 0.1
    n_random: int = 10
    n_steps: int = 16

    code: ClassVar[str] = "RC007"
    title: ClassVar[str] = "Insertion and deletion"

    def __call__(self, case: AttributionCase) -> Finding:
        """The finding for one attribution."""
        return guarded(self, self._judge, case)

    def _judge(self, case: AttributionCase) -> Finding:
        case.steady_answers()
        effects = case.measure(case.masks)
        units, n = effects.shape
        generator = np.random.default_rng(case.seed)
        chance = generator.random((self.n_random + 1, units, n))
        mine = np.lexsort((chance[0], -effects), axis=0)
        random = [np.argsort(draw, axis=0) for draw in chance[1:]]
        gains, ranges = [], []
        for sign, insert in ((-1.0, False), (1.0, True)):
            others = np.array([self._curve(case, order, insert) for order in random])
            ranges.append(np.ptp(others, axis=1).mean(axis=0))
            gains.append(sign * (self._curve(case, mine, insert).mean(axis=0) - others.mean(axis=(0, 1))))
        scale = float(np.mean(ranges))
        if scale <= 0:
            words = "the output stays as it is, whatever is taken away"
            return Finding(self.code, "not_applicable", None, None, 0.0, words, self.title)
        gain = np.mean(gains, axis=0) / scale
        value, interval = float(gain.mean()), mean_interval(gain, case.seed)
        status = worth(interval, self.min_gain) if n >= MIN_ROWS else "inconclusive"
        deletion, insertion = (float(part.mean()) / scale for part in gains)
        message = (
            f"area gained over random order {value:.3f} of the output's range, 95 % interval {interval[0]:.3f} to "
            f"{interval[1]:.3f} (deletion {deletion:.3f}, insertion {insertion:.3f})"
        )
        details = {"deletion": deletion, "insertion": insertion, "scale": scale, "rows": n, "min_gain": self.min_gain}
        return Finding(self.code, status, value, interval, 0.0, message, self.title, details)

    def _curve(self, case: AttributionCase, order: np.ndarray, insert: bool) -> np.ndarray:
        """The output ``(steps, n)`` while units go, or come, in the `order` ``(u, n)`` of each row."""
        import torch

        units, n = order.shape
        place = np.argsort(order, axis=0)
        flat = case.masks.reshape(units, -1)
        cuts = np.unique(np.linspace(0, units, min(self.n_steps, units) + 1).round().astype(int))
        points = []
        for cut in cuts:
            taken = ((place < cut).T.astype(float) @ flat.astype(float) > 0).reshape(n, *case.masks.shape[1:])
            mask = torch.as_tensor(taken, device=case.x.device)
            units_here = torch.as_tensor(flat.any(axis=0).reshape(case.masks.shape[1:]), device=case.x.device)
            gone = units_here & ~mask if insert else mask
            points.append(case.answers(without(case.x, gone, case.base)))
        return np.array(points)
