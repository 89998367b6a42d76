"""The training of a soft decision tree: mini-batches, Adam, a cosine schedule, an annealed steepness.

Source
------
Frosst2017; Kingma2015 for Adam, Loshchilov2017 for the schedule, Loshchilov2019 for the decay of weights,
Candes2008 for the reweighting of `l1`.

Departures
----------
- Inputs and values are standardised; `fit_soft_tree` folds that into what is read.
- Weights are small at first and decay as in Loshchilov2019; on MNIST each brings about .2 points by the path.
- `steepness` rises geometrically from 1 to `anneal` over the run, so that in the end the path and the average agree.
- `l1` puts a price on the weights' sizes, halved at every depth as fewer rows come there, and reweighted (Candes2008):
  the smaller a weight is beside its node's greatest, the more it pays. After each step of Adam they are shrunk in
  Adam's own scale, so that most are exactly 0. Then those stay 0, and the others go on without being shrunk.

Cost
----
See `_soft_tree_step`, times the number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck.students._soft_tree_step import Balance, Loss, Parameters, gradient

if TYPE_CHECKING:
    import torch

__all__ = ["Recipe", "train"]

Watch = Callable[[int, int], None]

START = 0.2
"""The spread of a node's first scores over standardised rows."""
CHOOSING = (0.2, 0.7)
"""Between these shares of the steps `l1` shrinks the weights; before, the filters find what there is to find."""
SPARED = 0.02
"""A weight of this share of its node's greatest pays half of what one that is nearly 0 pays."""
BETA2 = 0.999
"""Adam's average of squared slopes."""


@dataclass(frozen=True)
class Recipe:
    """How a soft tree is trained; the names are those of `SoftTreeClassifier`."""

    depth: int
    loss: Loss
    penalty: float
    anneal: float
    l1: float
    weight_decay: float
    learning_rate: float
    batch_size: int
    steps: int
    device: str
    seed: int


def train(
    X: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    *,
    classify: bool,
    recipe: Recipe,
    watch: Watch | None = None,
) -> tuple[Parameters, list[float]]:
    """The trained parameters in float32 on the CPU, `beta` and steepness multiplied in, and the losses.

    Parameters
    ----------
    X : array ``(n, inputs)`` of float32
        Standardised.
    targets : array ``(n, outputs)``
        Class probabilities, or standardised values.
    weights : array ``(n,)``
    watch : callable, optional
        Called with (steps done, steps in all).
    """
    import torch

    device = torch.device(recipe.device)
    rows, goal, mass = (torch.from_numpy(np.asarray(a, dtype=np.float32)).to(device) for a in (X, targets, weights))
    generator = torch.Generator().manual_seed(recipe.seed)
    parameters = _start(rows, goal, mass, classify, recipe, generator)
    optimiser = torch.optim.Adam(parameters.tensors(), lr=recipe.learning_rate, betas=(0.9, BETA2), fused=True)
    balance = Balance(parameters, recipe.penalty) if recipe.penalty > 0 else None
    pull, kept = _pull(parameters, recipe.l1), None
    losses: list[float] = []
    recent: list[Any] = []
    for step, index in enumerate(_batches(len(rows), recipe, generator)):
        share = step / recipe.steps
        rate = recipe.learning_rate * 0.5 * (1.0 + math.cos(math.pi * share))
        optimiser.param_groups[0]["lr"] = rate
        here = mass[index]
        found = gradient(
            parameters,
            rows[index],
            goal[index],
            here / here.sum(),
            loss=recipe.loss,
            classify=classify,
            steepness=recipe.anneal**share,
            balance=balance,
        )
        for tensor, slope in zip(parameters.tensors(), found.parameters.tensors(), strict=True):
            tensor.grad = slope
        optimiser.step()
        parameters.weight.mul_(1.0 - rate * recipe.weight_decay)
        if recipe.l1 > 0 and CHOOSING[0] <= share < CHOOSING[1]:
            _shrink(parameters.weight, rate * pull, optimiser.state[parameters.weight])
            kept = parameters.weight != 0
        elif kept is not None:
            parameters.weight.mul_(kept)
        recent.append(found.loss)
        if len(recent) == max(1, recipe.steps // 50) or step + 1 == recipe.steps:
            losses.append(float(torch.stack(recent).mean()))
            recent.clear()
            if watch is not None:
                watch(step + 1, recipe.steps)
    return _folded(parameters, recipe.anneal), losses


def _start(
    rows: torch.Tensor,
    goal: torch.Tensor,
    mass: torch.Tensor,
    classify: bool,
    recipe: Recipe,
    generator: torch.Generator,
) -> Parameters:
    """Small random filters, and leaves at the mean of the targets with a little noise."""
    import torch

    nodes = 2**recipe.depth - 1
    scale = START / math.sqrt(rows.shape[1])
    mean = (mass @ goal) / mass.sum()
    centre = mean.clamp_min(1e-3).log() if classify else mean
    parts = (
        torch.randn((nodes, rows.shape[1]), generator=generator) * scale,
        torch.zeros(nodes),
        torch.ones(nodes),
        centre.cpu() + 0.1 * torch.randn((nodes + 1, goal.shape[1]), generator=generator),
    )
    return Parameters(*(part.to(rows.device) for part in parts))


def _pull(parameters: Parameters, l1: float) -> torch.Tensor:
    """What the L1 penalty adds to the slope of a positive weight, ``(nodes, 1)``."""
    import torch

    order = torch.arange(1, len(parameters.weight) + 1, dtype=torch.float64)
    return (l1 * 2.0 ** -torch.floor(torch.log2(order))).to(parameters.weight)[:, None]


def _shrink(weight: torch.Tensor, price: torch.Tensor, state: dict[str, Any]) -> None:
    """The proximal step of the reweighted L1 penalty in the metric of Adam: every weight nearer to 0, or 0."""
    import torch

    size = weight.abs()
    share = size / size.amax(dim=1, keepdim=True).clamp_min(1e-12)
    scale = (state["exp_avg_sq"] / (1.0 - BETA2 ** float(state["step"]))).sqrt_().add_(1e-12)
    weight.copy_(torch.sign(weight) * (size - price / (scale * (share + SPARED))).clamp_min(0.0))


def _batches(n: int, recipe: Recipe, generator: torch.Generator) -> Any:
    """Positions of the rows of each step: one shuffle of the rows after another, cut into batches."""
    import torch

    size, done = min(recipe.batch_size, n), 0
    while done < recipe.steps:
        order = torch.randperm(n, generator=generator)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
            done += 1
            if done == recipe.steps:
                return


def _folded(parameters: Parameters, steepness: float) -> Parameters:
    beta = (parameters.beta * steepness).cpu()
    weight, bias, leaf = (t.cpu() for t in (parameters.weight, parameters.bias, parameters.leaf))
    return Parameters(weight * beta[:, None], bias * beta, beta, leaf)
