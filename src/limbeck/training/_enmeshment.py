"""The enmeshment loss: the share of a layer's squared weights that lies between its clusters counts against a network.

Source
------
Golechha2024.

Symbols
-------
C = a / b, a = sum of W_ij^2 where row and column have one label, b = sum of all W_ij^2; loss = 1 - C, mean over layers.
Gradient of C: 2 (M - C) W / b, where M is 1 inside clusters and 0 outside.

Departures
----------
- 1 - C is added to the loss; the paper takes C off it, which has the same gradient.
- Many layers are averaged, so that one strength fits networks of any depth.

Checked
-------
tests/unit/test_enmeshment.py: by hand, finite differences of value, gradient and second gradient in float64.

Cost
----
Three passes over the clustered weights and two for the gradient, in one node of the graph for all layers. Where a step
is short, the node is what costs: `add_enmeshment_gradient` has none. benchmarks/modular_clusters.py prints both in
plain steps.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any

import torch

from limbeck._core.errors import InputError
from limbeck._core.module_layers import layer_named
from limbeck._core.unit_labels import label_pair

__all__ = ["add_enmeshment_gradient", "enmeshment_loss"]


def enmeshment_loss(model: torch.nn.Module, clusters: Any) -> torch.Tensor:
    """One less the share of squared weight inside clusters, mean over layers: a scalar from 0 to 1 for any loss.

    Differentiable in the weights, twice if need be. A layer whose weights are all zero counts 1, with no gradient.

    Parameters
    ----------
    model : torch.nn.Module
    clusters : dict of str to Clusters
        By layer, as `limbeck.modularity.cluster_layers` gives them: anything with `.rows` and `.columns`, or a pair of
        label arrays. Where `model` is a Linear or Conv layer itself, its clusters. Labels that can't be written to, as
        those of `Clusters`, are read once; others anew at each call.

    Raises
    ------
    InputError
        For no layers, a layer that isn't there, labels that don't fit.

    Source
    ------
    Golechha2024.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[3.0, 1.0], [0.0, 2.0]]))
    >>> round(float(enmeshment_loss(layer, ([0, 1], [0, 1])).detach()), 4)
    0.0714
    """
    layers, masks = _read(model, clusters)
    return _Between.apply(masks, *(layer.weight for layer in layers))  # type: ignore[no-any-return, no-untyped-call]


def add_enmeshment_gradient(model: torch.nn.Module, clusters: Any, strength: float) -> None:
    """Add the gradient of ``strength * enmeshment_loss(model, clusters)`` to the weights' gradients, after backward().

    The same as adding the loss itself, without a graph: about half of its cost where steps are short.

    Parameters
    ----------
    model, clusters
        As `enmeshment_loss` takes them.
    strength : float

    Raises
    ------
    InputError
        As `enmeshment_loss`; for a layer whose weight is computed from other parameters.

    Source
    ------
    Golechha2024.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 2)
    >>> add_enmeshment_gradient(layer, ([0, 1], [0, 1]), 20.0)
    >>> bool((layer.weight.grad * layer.weight).sum().abs() < 1e-5)
    True
    """
    layers, masks = _read(model, clusters)
    for layer, mask in zip(layers, masks, strict=True):
        weight = layer.weight
        if not weight.is_leaf:
            raise InputError(
                "a layer's weight is computed from other parameters; add enmeshment_loss to the loss instead"
            )
        if not weight.requires_grad:
            continue
        flat = _flat(weight.detach())
        inside, whole, share = _shares(flat, mask)
        factor = -2.0 * strength / len(layers) / whole
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        into = weight.grad.view(-1) if weight.grad.is_contiguous() else None
        if into is None or isinstance(share, torch.Tensor):
            weight.grad += _gradient(inside, flat, share, factor).view(weight.shape).to(weight.dtype)
        else:
            into.add_(inside, alpha=factor).sub_(flat, alpha=factor * share)


def _read(model: torch.nn.Module, clusters: Any) -> tuple[list[Any], list[torch.Tensor]]:
    """The layers that are meant and their masks."""
    if not isinstance(clusters, Mapping):
        clusters = {"": clusters}
    if not clusters:
        raise InputError("clusters must have at least one layer; got none")
    layers = [_layer(model, name) for name in clusters]
    return layers, [_mask(layer, found) for layer, found in zip(layers, clusters.values(), strict=True)]


_MASKS: weakref.WeakKeyDictionary[torch.nn.Module, tuple[Any, torch.Tensor]] = weakref.WeakKeyDictionary()
"""For each layer the clusters that were last asked for, and their mask."""


def _layer(model: torch.nn.Module, name: str) -> Any:
    try:
        layer = model.get_submodule(name)
    except (AttributeError, TypeError):
        return layer_named(model, name)
    return layer if layer in _MASKS else layer_named(model, name)


def _mask(layer: Any, clusters: Any) -> torch.Tensor:
    """1 inside clusters and 0 outside, flat, in the type and on the device of the weights."""
    weight = layer.weight
    kept = _MASKS.get(layer)
    if kept is not None:
        known, mask = kept
        if known is clusters and mask.dtype == weight.dtype and mask.device == weight.device:
            return mask
    groups = getattr(layer, "groups", 1)
    o, i = weight.shape[:2]
    rows, columns = label_pair(clusters, (o, i * groups))
    same = torch.from_numpy(rows[:, None] == columns)
    if groups > 1:
        same = torch.cat([s.chunk(groups, dim=1)[g] for g, s in enumerate(same.chunk(groups))])
    shape = (o, i, *(1,) * (weight.ndim - 2))
    mask = same.reshape(shape).expand(weight.shape).reshape(-1).to(weight.device, weight.dtype)
    _MASKS[layer] = (clusters if _fixed(clusters) else None, mask)
    return mask


def _fixed(clusters: Any) -> bool:
    """Whether its labels are arrays that can't be written to."""
    flags = [getattr(getattr(clusters, side, None), "flags", None) for side in ("rows", "columns")]
    return all(flag is not None and not flag.writeable for flag in flags)


class _Between(torch.autograd.Function):
    """The mean over layers of 1 - C, with its gradient."""

    @staticmethod
    def forward(ctx: Any, masks: list[torch.Tensor], *weights: torch.Tensor) -> torch.Tensor:
        ctx.masks = masks
        ctx.shares = [_shares(_flat(weight), mask) for weight, mask in zip(weights, masks, strict=True)]
        ctx.save_for_backward(*weights)
        between = 1 - sum(share for _, _, share in ctx.shares) / len(weights)
        if isinstance(between, torch.Tensor):
            return between.to(weights[0].dtype)
        return torch.tensor(between, dtype=weights[0].dtype)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[Any, ...]:
        weights = ctx.saved_tensors
        if torch.is_grad_enabled():
            scale = g * (-2.0 / len(weights))
            return None, *(_slope(w, m, scale) for w, m in zip(weights, ctx.masks, strict=True))
        factor = _number(g) * (-2.0 / len(weights))
        gradients = []
        for weight, (inside, whole, share) in zip(weights, ctx.shares, strict=True):
            flat = _gradient(inside, _flat(weight), share, factor / whole)
            gradients.append(flat.view(weight.shape).to(weight.dtype))
        return None, *gradients


def _number(value: torch.Tensor) -> Any:
    """A float on the CPU, where arithmetic of floats is cheaper; elsewhere the tensor, so that nothing waits for it."""
    return value.item() if value.device.type == "cpu" else value


def _flat(weight: torch.Tensor) -> torch.Tensor:
    """A vector, in single precision where the weights have half."""
    flat = weight.reshape(-1)
    return flat.float() if flat.element_size() < 4 else flat


def _shares(flat: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, Any, Any]:
    """The weights inside, the squared weight, and the share of it that is inside: 0 of nothing."""
    inside = flat * mask
    whole = _number(torch.dot(flat, flat))
    whole = torch.where(whole > 0, whole, 1.0) if isinstance(whole, torch.Tensor) else whole or 1.0
    return inside, whole, _number(torch.dot(inside, flat)) / whole


def _gradient(inside: torch.Tensor, flat: torch.Tensor, share: Any, factor: Any) -> torch.Tensor:
    """``factor (M - C) W``."""
    if isinstance(share, torch.Tensor):
        return torch.addcmul(inside, flat, share, value=-1).mul_(factor)
    return torch.sub(inside, flat, alpha=share).mul_(factor)


def _slope(weight: torch.Tensor, mask: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The gradient for one layer, as operations that can be differentiated again."""
    flat = _flat(weight)
    whole = torch.dot(flat, flat)
    whole = torch.where(whole > 0, whole, 1.0)
    share = torch.dot(flat * mask, flat) / whole
    return (scale / whole * (mask - share) * flat).reshape(weight.shape).to(weight.dtype)
