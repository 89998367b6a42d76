"""A penalty as the training loop takes it: from a network and a batch to the answers and what is added to the loss."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch

from limbeck._core.errors import InputError
from limbeck._core.mlp_loop import Penalised
from limbeck.training._jacobian import chain_with_jacobian, jacobian_penalty, linear_chain
from limbeck.training._lipschitz import lipschitz_penalty

__all__ = ["Penalty", "penalised"]

Penalty: TypeAlias = Literal["none", "jacobian", "lipschitz"]


def penalised(
    penalty: Penalty, strength: float, *, share: float = 1.0, n_projections: int | None = None, seed: int = 0
) -> Penalised | None:
    """What `limbeck._core.mlp.fit_mlp` takes as its `penalty`; None where nothing is added.

    Parameters
    ----------
    penalty : {"none", "jacobian", "lipschitz"}
    strength : float
        What the penalty is multiplied with.
    share : float
        The share of a batch's rows, above 0, at least one of them, on which the Jacobian is taken: the first, as
        batches are shuffled.
    n_projections : int, optional
        For the Jacobian; None is exact.
    seed : int
        For the projections.
    """
    if penalty == "none" or strength == 0:
        return None
    if penalty == "lipschitz":
        return lambda network, x: (network(x), strength * lipschitz_penalty(network))
    if penalty != "jacobian":
        raise InputError(f"penalty must be 'none', 'jacobian' or 'lipschitz'; got {penalty!r:.60}")
    generator = torch.Generator().manual_seed(seed)

    def with_jacobian(network: torch.nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = max(1, math.ceil(share * len(x)))
        layers = linear_chain(network)
        if layers is not None:
            outputs, found = chain_with_jacobian(layers, x, rows, n_projections, generator)
            return outputs, strength * found
        part = x[:rows].detach().requires_grad_()
        outputs = network(part)
        found = jacobian_penalty(network, part, n_projections, outputs=outputs, generator=generator)
        rest = [network(x[rows:])] if rows < len(x) else []
        return torch.cat([outputs, *rest]), strength * found

    return with_jacobian
