"""One training step of a soft decision tree: the loss of a batch and its gradient, all inner nodes in one product.

Source
------
Frosst2017, sections 2 and 3. Nodes are numbered as in a heap: the children of node ``i`` are ``2 i + 1`` (left) and
``2 i + 2`` (right); ``2 ** depth - 1`` inner nodes come before ``2 ** depth`` leaves.

Symbols
-------
``p_i = sigmoid(beta_i (x w_i + b_i))``, the probability of going right: `weight`, `bias`, `beta`. ``phi``: `leaf`.
``P^l``: `paths`. ``alpha_i``: `Balance`.

Departures
----------
- The gradient is written out, not recorded: with ``A_j`` the part of the loss that is linear in the path probability of
  node ``j``, and ``S_j`` its sum over the subtree, the derivative by the score of node ``i`` is
  ``(1 - p_i) S_right - p_i S_left``. Nothing is divided by a path probability, so a saturated gate gives 0, never NaN.
- The paper prints ``-log(sum_l P^l sum_k T_k log Q^l_k)``, whose argument is negative. `expected` is the same without
  the outer logarithm; `mixture` is ``-sum_k T_k log sum_l P^l Q^l_k``.
- In regression a leaf holds a value: `expected` is the mean squared error of the leaves, `mixture` that of their mean.
- The penalty's value is taken at the running average of ``alpha``, its derivative through the batch at hand.

Checked
-------
The gradient against torch's own differentiation of the plain formulas, to 1e-10 in float64.

Cost
----
Two matrix products ``(nodes, inputs, batch)``, forward and backward, and about ten numbers a node and row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

__all__ = ["Balance", "Gradient", "Loss", "Parameters", "gradient", "path_logs"]

Loss = Literal["mixture", "expected"]

TINY = 1e-30
"""The least probability that a logarithm is taken of."""
EDGE = 1e-4
"""How near to 0 or 1 the penalty looks at a share ``alpha``; beyond, its slope stays."""


@dataclass(frozen=True)
class Parameters:
    """What is learned: `weight` ``(nodes, inputs)``, `bias` and `beta` ``(nodes,)``, `leaf` ``(leaves, outputs)``."""

    weight: torch.Tensor
    bias: torch.Tensor
    beta: torch.Tensor
    leaf: torch.Tensor

    @property
    def depth(self) -> int:
        """The number of decisions on a path."""
        return len(self.leaf).bit_length() - 1

    def tensors(self) -> list[torch.Tensor]:
        """The four, in order."""
        return [self.weight, self.bias, self.beta, self.leaf]


@dataclass(frozen=True)
class Gradient:
    """The derivatives by `Parameters`, and the loss of the batch without the penalty."""

    parameters: Parameters
    loss: torch.Tensor


class Balance:
    """The penalty on unbalanced decisions: running averages of the share of rows that each node sends right.

    ``C = -strength * sum_i 2^-depth(i) (log(alpha_i) + log(1 - alpha_i)) / 2`` with
    ``alpha_i = sum_x P^i(x) p_i(x) / sum_x P^i(x)``. Both sums are exponentially decaying averages over a window of
    ``2^depth(i)`` batches, so that a deep node, which few rows reach, is judged by as many rows as the root.
    """

    def __init__(self, like: Parameters, strength: float) -> None:
        import torch

        n = len(like.weight)
        levels = torch.floor(torch.log2(torch.arange(1, n + 1, dtype=torch.float64)))
        self.strength = (strength * 2.0**-levels).to(like.weight)
        self.keep = (1.0 - 2.0**-levels).to(like.weight)
        self.right = torch.zeros_like(like.bias)
        self.reach = torch.zeros_like(like.bias)

    def prices(self, reach: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The penalty's derivatives by a row's probability of reaching each inner node, and of going right from it."""
        self.reach.mul_(self.keep).add_((1.0 - self.keep) * reach)
        self.right.mul_(self.keep).add_((1.0 - self.keep) * right)
        alpha = (self.right / self.reach.clamp_min(TINY)).clamp(EDGE, 1.0 - EDGE)
        slope = -0.5 * self.strength * (1.0 / alpha - 1.0 / (1.0 - alpha))
        by_right = slope / reach.clamp_min(TINY)
        return -alpha * by_right, by_right


def path_logs(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of reaching every node, ``(2 nodes + 1, rows)``, and each gate's ``p`` ``(nodes, rows)``."""
    import torch

    n, rows = scores.shape
    right = torch.nn.functional.logsigmoid(scores)
    left = right - scores
    logs = scores.new_empty((2 * n + 1, rows))
    logs[0] = 0.0
    start = 0
    while start < n:
        width = start + 1
        above = logs[start : start + width]
        below = logs[start + width : start + 3 * width].view(width, 2, rows)
        torch.add(above, left[start : start + width], out=below[:, 0])
        torch.add(above, right[start : start + width], out=below[:, 1])
        start += width
    return logs, right.exp_()


def gradient(
    parameters: Parameters,
    X: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    *,
    loss: Loss,
    classify: bool,
    steepness: float = 1.0,
    balance: Balance | None = None,
) -> Gradient:
    """The loss of a batch and its gradient.

    Parameters
    ----------
    X : tensor ``(rows, inputs)``
    targets : tensor ``(rows, outputs)``
        Class probabilities, or standardised values.
    weights : tensor ``(rows,)``
        Summing to 1.
    steepness : float
        The annealed factor on every ``beta``.
    balance : Balance, optional
        The penalty; its running averages move on.
    """
    import torch

    n = len(parameters.weight)
    beta = parameters.beta * steepness
    raw = torch.addmm(parameters.bias[:, None], parameters.weight, X.T)
    logs, gates = path_logs(raw * beta[:, None])
    paths = logs.exp_()
    parts = LOSSES[classify, loss](paths[n:], parameters.leaf, targets, weights)
    shares = torch.empty_like(paths)
    shares[n:] = parts.by_path
    if balance is None:
        shares[:n] = 0.0
    else:
        sums = paths @ weights
        by_reach, by_right = balance.prices(sums[:n], sums[2::2])
        price = torch.zeros_like(sums)
        price[:n] += by_reach
        price[2::2] += by_right
        torch.mul(paths[:n], price[:n, None] * weights, out=shares[:n])
        shares[n:].addcmul_(paths[n:], price[n:, None] * weights)
    slopes = _by_score(shares, gates)
    by_beta = (slopes * raw).sum(1).mul_(steepness)
    slopes *= beta[:, None]
    return Gradient(Parameters(slopes @ X, slopes.sum(1), by_beta, parts.by_leaf), parts.loss)


def _by_score(shares: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
    """The derivative by every score ``(nodes, rows)``; `shares` is overwritten by its sums over subtrees."""
    import torch

    n, rows = gates.shape
    slopes = torch.empty_like(gates)
    width = (n + 1) // 2
    while width:
        start = width - 1
        below = shares[start + width : start + 3 * width].view(width, 2, rows)
        both = below[:, 0] + below[:, 1]
        shares[start : start + width] += both
        torch.addcmul(below[:, 1], gates[start : start + width], both, value=-1.0, out=slopes[start : start + width])
        width //= 2
    return slopes


@dataclass(frozen=True)
class _Parts:
    """The loss, ``P`` times its derivative by each path probability ``(leaves, rows)``, and that by the leaves."""

    loss: torch.Tensor
    by_path: torch.Tensor
    by_leaf: torch.Tensor


def _mixture(paths: torch.Tensor, leaf: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> _Parts:
    chances = leaf.softmax(1)
    mixed = (paths.T @ chances).clamp_min_(TINY)
    loss = -(weights @ (targets * mixed.log()).sum(1))
    ratio = (targets * weights[:, None]).div_(mixed)
    by_path = (chances @ ratio.T).mul_(paths).neg_()
    found = chances * (paths @ ratio)
    return _Parts(loss, by_path, chances * found.sum(1, keepdim=True) - found)


def _expected(paths: torch.Tensor, leaf: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> _Parts:
    logs = leaf.log_softmax(1)
    weighted = targets * weights[:, None]
    by_path = (logs @ weighted.T).mul_(paths).neg_()
    found = paths @ weighted
    return _Parts(by_path.sum(), by_path, logs.exp() * found.sum(1, keepdim=True) - found)


def _mixture_value(paths: torch.Tensor, leaf: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> _Parts:
    gap = paths.T @ leaf - targets
    weighted = 2.0 * gap * weights[:, None]
    return _Parts(weights @ gap.square().sum(1), (leaf @ weighted.T).mul_(paths), paths @ weighted)


def _expected_value(paths: torch.Tensor, leaf: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> _Parts:
    gaps = leaf.square().sum(1)[:, None] - 2.0 * (leaf @ targets.T) + targets.square().sum(1)
    by_path = gaps.mul_(paths).mul_(weights)
    by_leaf = 2.0 * (leaf * (paths @ weights)[:, None] - paths @ (targets * weights[:, None]))
    return _Parts(by_path.sum(), by_path, by_leaf)


LOSSES: dict[tuple[bool, str], Callable[..., _Parts]] = {
    (True, "mixture"): _mixture,
    (True, "expected"): _expected,
    (False, "mixture"): _mixture_value,
    (False, "expected"): _expected_value,
}
"""The losses by (is classification, name)."""
