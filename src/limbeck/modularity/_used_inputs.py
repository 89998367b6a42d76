"""Which inputs a module uses: those along which its outputs have slopes, and whose exchange between rows changes them.

Slopes put the inputs in order, in one pass back for each output; then as many of the least are left out as can be
exchanged between rows, all together, without changing the outputs by more than `UNUSED` of their variance.

Source
------
Breiman2001, section 10, for exchanging values between rows.

Departures
----------
Exchanging each input by itself would take a pass for each of thousands of pixels; here it takes about ten passes in
all. Where a network has no slopes, the exchange alone decides, and every input counts as used that is not shown to be
unused.

Cost
----
A pass back for each output over at most `SLOPE_ROWS` rows, and about 10 passes over at most `MEASURED_ROWS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs
from limbeck.modularity._module_answers import outputs_on

__all__ = ["UsedInputs", "used_inputs"]

UNUSED = 1e-3
SLOPE_ROWS = 256
MEASURED_ROWS = 1_000


@dataclass(frozen=True)
class UsedInputs:
    """The positions of the inputs that a module uses, and what leaving out the others changes.

    Attributes
    ----------
    positions : tuple of int
        In the order of the inputs.
    lost : float
        The change of the outputs, in shares of their variance, when the values of all other inputs are exchanged
        between rows.
    """

    positions: tuple[int, ...]
    lost: float


def used_inputs(
    part: torch.nn.Module,
    rows: torch.Tensor,
    outputs: np.ndarray | None = None,
    *,
    most: int | None = None,
    seed: int = 0,
) -> UsedInputs:
    """The inputs that these outputs (positions) of a module depend on; at most so many, where that is asked."""
    order = np.random.default_rng(seed).permutation(len(rows))
    rows = rows[torch.as_tensor(np.sort(order[:MEASURED_ROWS]))]
    flat = rows.reshape(len(rows), -1).double().cpu().numpy()
    answers = outputs_on(part, rows)
    outputs = np.arange(answers.shape[1]) if outputs is None else outputs
    answers = answers[:, outputs]
    shares = _slopes(part, rows[:SLOPE_ROWS], outputs) * flat.var(axis=0)
    ranked = np.argsort(-shares, kind="stable")
    moved = np.random.default_rng(seed + 1).permutation(len(rows))

    def change(left: np.ndarray) -> float:
        if not len(left):
            return 0.0
        other = flat.copy()
        other[:, left] = flat[moved][:, left]
        given = torch.tensor(other.reshape(rows.shape)).to(rows)
        return _away(outputs_on(part, given)[:, outputs], answers)

    keep = _fewest(ranked, change)
    keep = keep if most is None else min(keep, most)
    return UsedInputs(tuple(sorted(int(j) for j in ranked[:keep])), change(ranked[keep:]))


def _fewest(ranked: np.ndarray, change: Callable[[np.ndarray], float]) -> int:
    """The least number of inputs, of the largest slopes first, without which the outputs change too much."""
    low, high = 0, len(ranked)
    while low < high:
        middle = (low + high) // 2
        if change(ranked[middle:]) <= UNUSED:
            high = middle
        else:
            low = middle + 1
    return low


def _away(other: np.ndarray, answers: np.ndarray) -> float:
    spread = answers.var(axis=0)
    known = spread > 0
    return float(np.mean(((other - answers) ** 2).mean(axis=0)[known] / spread[known])) if known.any() else 0.0


def _slopes(part: torch.nn.Module, rows: torch.Tensor, outputs: np.ndarray) -> np.ndarray:
    """The mean square slope of the outputs along each input ``(d,)``, each output in its own unit; 0 without slopes."""
    d = int(np.prod(rows.shape[1:]))
    if not rows.is_floating_point():
        return np.zeros(d)
    given = rows.clone().requires_grad_(True)
    total = np.zeros(d)
    with random_state_kept(), module_kept(part, gradients=True):
        answers = module_outputs(part, given)
        for o in outputs:
            if not answers.requires_grad:
                break
            (slope,) = torch.autograd.grad(answers[:, int(o)].sum(), given, retain_graph=True, allow_unused=True)
            if slope is not None:
                squares = (slope.reshape(len(rows), -1).double() ** 2).mean(dim=0).cpu().numpy()
                total += squares / max(float(answers[:, int(o)].detach().double().var()), 1e-30)
    return total
