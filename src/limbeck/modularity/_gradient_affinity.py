"""How strongly units are tied by what the loss makes of their weights: the mean of ``|weight * gradient|``.

Source
------
Golechha2024 names gradients as another affinity; weight times gradient is the first-order change of the loss when a
weight is taken away (Molchanov2019).

Departures
----------
The mean of absolute values over batches: signs of single batches don't cancel.

Checked
-------
tests/unit/test_clusters.py: by hand for a linear map; a weight that no row uses has none.

Cost
----
A forward and a backward pass for each batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_layers import chosen_layers, layer_named
from limbeck.modularity._affinity import affinity_matrix
from limbeck.modularity._batches import as_batches
from limbeck.modularity._fit_loop import default_loss, task_loss

__all__ = ["gradient_affinity"]


def gradient_affinity(model: torch.nn.Module, data: Any, layers: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """For each layer the mean over batches of ``|weight * gradient|``, outputs by inputs.

    Parameters
    ----------
    model : torch.nn.Module
    data : ``(X, y)`` or DataLoader
        Rows and targets: whole numbers are labels, for cross entropy; others for the mean squared error.
    layers : sequence of str, optional
        As `cluster_layers` has them.

    Raises
    ------
    InputError
        For a layer that isn't there or that the outputs don't depend on, and for rows or targets that don't fit.
    TeacherError
        Where the network raises or a gradient is not finite.

    Source
    ------
    Golechha2024, Molchanov2019.

    Cost
    ----
    A forward and a backward pass for each batch. The network is as it was afterwards.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2))
    >>> rows = torch.tensor([[1.0, 0.0, 0.0]] * 4)
    >>> (gradient_affinity(net, (rows, torch.tensor([0, 1, 0, 0])), ["0"])["0"] > 0).tolist()
    [[True, False, False], [True, False, False]]
    """
    names = chosen_layers(model, layers)
    parts = [layer_named(model, name) for name in names]
    totals: list[Any] = [0.0] * len(parts)
    batches, n = as_batches(data, model, "data", shuffle=False), 0
    with random_state_kept(), module_kept(model, gradients=True):
        for part in parts:
            part.requires_grad_(True)
        for x, y in batches:
            for i, change in enumerate(_changes(model, x, y, names, parts)):
                totals[i] = totals[i] + change
            n += 1
    if not n:
        raise InputError("data must have at least one batch; this loader gave none")
    found = {}
    for name, part, total in zip(names, parts, totals, strict=True):
        if not bool(torch.isfinite(total).all()):
            raise TeacherError(f"the gradients of layer {name!r} must be finite; look for NaN in the rows and weights")
        found[name] = affinity_matrix(part, values=total / n, name=f"layer {name!r}")
    return found


def _changes(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, names: list[str], parts: list[Any]
) -> list[torch.Tensor]:
    """``|weight * gradient|`` for a batch."""
    with torch.nn.utils.parametrize.cached():
        weights = [part.weight for part in parts]
        loss = task_loss(model, x, y, default_loss)
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            raise InputError(f"layer {name!r} must take part in the network's outputs; the loss doesn't depend on it")
    return [(w.detach() * g).abs().double() for w, g in zip(weights, gradients, strict=True)]
