"""Each module of a split network as a network of its own: the units of one label, and what is left of the rest.

Source
------
Own. The split is Golechha2024's clusters taken at their word: off-block weights are exactly 0.

Departures
----------
- In the clustered layers a part keeps the rows and columns of its label; biases of other rows are 0.
- The layer after the last clustered one keeps the columns of the part's units, and no bias from there on: so the parts'
  outputs add up to the network's less its last bias, whatever the activation. Where they don't on the probe rows
  (something that is not linear comes after, or is shared), the later layers are left whole and it is said.
- Units that the next layer doesn't read are cut out of the layers, where the smaller network answers the same.

Checked
-------
tests/unit/test_split.py: parts against the split network in float64 to 1e-10, for linear, convolution, batch-norm and
transformer networks; smaller parts against masked ones.

Cost
----
A copy of the network a part; one pass over the probe rows for each layer that is made smaller.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs

__all__ = ["alone", "answers", "cut", "hold", "last_bias", "order_of_layers", "same", "smaller"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WEIGHTED = (nn.Linear, *CONVOLUTIONS)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4}


def answers(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """The outputs in evaluation mode, without gradients."""
    with random_state_kept(), module_kept(model):
        return module_outputs(model, rows).detach()


def same(one: torch.Tensor, other: torch.Tensor, scale: float | None = None) -> bool:
    """Equal up to rounding of numbers of this size, where absent of the largest of `other`."""
    if one.shape != other.shape:
        return False
    size = float(other.abs().max()) if scale is None else scale
    return bool((one - other).abs().max() <= CLOSE.get(other.dtype, 1e-2) * size)


def order_of_layers(model: nn.Module, rows: torch.Tensor) -> tuple[str, ...]:
    """The names of the linear and convolution layers and batch norms in the order in which they run, as often as so."""
    ran: list[str] = []
    handles = [
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))  # type: ignore[misc]
        for name, layer in model.named_modules()
        if isinstance(layer, (*WEIGHTED, *NORMS))
    ]
    try:
        answers(model, rows)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(ran)


def weighted(network: nn.Module, name: str) -> Any:
    """A linear or convolution layer by its name, as what has a weight."""
    return network.get_submodule(name)


def hold(layer: nn.Module, kept: torch.Tensor) -> None:
    """Set to exactly 0 the weights that are not to be kept: see `kept_weights`."""
    with torch.no_grad():
        layer.weight.masked_fill_(~kept, 0.0)  # type: ignore[operator,union-attr]


def cut(network: nn.Module, clusters: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Set the weights between clusters to exactly 0, in place; the weights of each layer that are kept.

    Raises
    ------
    InputError
        For a layer whose weights are made anew at each call.
    """
    kept = {name: kept_weights(network.get_submodule(name), found.mask()) for name, found in clusters.items()}
    for name, own in kept.items():
        hold(network.get_submodule(name), own)
        if bool((weighted(network, name).weight.detach().masked_fill(own, 0.0) != 0).any()):
            raise InputError(
                f"the weights of layer {name!r} are made anew at each call and can't be held at 0. Remove its "
                "parametrization (torch.nn.utils.parametrize.remove_parametrizations) first."
            )
    return kept


def kept_weights(layer: nn.Module, mask: np.ndarray) -> torch.Tensor:
    """The mask ``(rows, columns)`` of a layer on its device, with a place for each dimension of a kernel."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    return torch.tensor(mask, device=weight.device).reshape(*mask.shape, *[1] * (weight.ndim - 2))


def alone(network: nn.Module, clusters: Mapping[str, Any], label: int, order: tuple[str, ...] | None) -> nn.Module:
    """A copy of the split network in which the units of one label are all that is left of the clustered layers.

    With the order of the layers, also later layers lose what comes from other modules, and their biases.
    """
    part = copy.deepcopy(network)
    for name, found in clusters.items():
        layer = part.get_submodule(name)
        hold(layer, kept_weights(layer, np.outer(found.rows == label, found.columns == label)))
        _without_bias(layer, found.rows != label)
    later = [] if order is None else later_layers(network, clusters, order)
    if order is not None and later:
        last, head = clusters[_last(order, clusters)], weighted(part, later[0])
        height, width = head.weight.shape[:2]
        if width % len(last.rows) == 0:
            labels = np.repeat(
                last.rows, width // len(last.rows)
            )  # flattened: a channel's places are beside each other
            hold(head, kept_weights(head, np.broadcast_to(labels == label, (height, width))))
    for name in later:
        _without_bias(part.get_submodule(name), None)
    return part


def last_bias(network: nn.Module, clusters: Mapping[str, Any], order: tuple[str, ...]) -> torch.Tensor | None:
    """The bias of the one layer after the clustered ones; None where there are more, or none."""
    later = later_layers(network, clusters, order)
    bias = getattr(network.get_submodule(later[0]), "bias", None) if len(later) == 1 else None
    return None if bias is None else bias.detach().clone()


def later_layers(network: nn.Module, clusters: Mapping[str, Any], order: tuple[str, ...]) -> list[str]:
    """From the first linear or convolution layer after the last clustered one, all that run."""
    at = max((i for i, name in enumerate(order) if name in clusters), default=len(order))
    after = list(order[at + 1 :])
    places = (i for i, name in enumerate(after) if isinstance(network.get_submodule(name), WEIGHTED))
    return after[next(places, len(after)) :]


def smaller(part: nn.Module, order: tuple[str, ...], rows: torch.Tensor) -> tuple[nn.Module, int]:
    """The part without the units that no later layer reads, and how many units were cut out.

    Each pair of layers is tried; where the network then raises or answers otherwise, that pair stays as it is.
    """
    cut, expected = 0, answers(part, rows)
    places = [i for i, name in enumerate(order) if isinstance(part.get_submodule(name), WEIGHTED)]
    for i, j in itertools.pairwise(places):
        names = order[i : j + 1]
        if any(order.count(name) > 1 for name in names):
            continue
        tried = copy.deepcopy(part)
        dropped = _cut(tried, names)
        if not dropped:
            continue
        try:
            got = answers(tried, rows)
        except TeacherError:  # its own code counts on the size, or the units go elsewhere too
            got = None
        if got is not None and same(got, expected):
            part, cut = tried, cut + dropped
    return part, cut


def _cut(network: nn.Module, names: tuple[str, ...]) -> int:
    """Take out of the first layer, and the batch norms between, the units that the last layer doesn't read."""
    layers: list[Any] = [network.get_submodule(name) for name in names]
    first, *between, last = layers
    units, width = len(first.weight), last.weight.shape[1]
    if width % units or getattr(first, "groups", 1) > 1 or getattr(last, "groups", 1) > 1:
        return 0
    read = last.weight.detach().abs().transpose(0, 1).reshape(width, -1).sum(dim=1) > 0
    needed = read.reshape(units, -1).any(dim=1)
    if not bool(needed.any()):
        needed[0] = True  # a layer keeps a unit, or it is none
    if bool(needed.all()):
        return 0
    places = needed.repeat_interleave(width // units)
    _put(network, names[0], _sliced(first, needed, None))
    _put(network, names[-1], _sliced(last, None, places))
    for name, norm in zip(names[1:-1], between, strict=True):
        if norm.num_features == units:
            _put(network, name, _sliced_norm(norm, needed))
    return int((~needed).sum())


def _sliced(layer: Any, rows: torch.Tensor | None, columns: torch.Tensor | None) -> nn.Module:
    """A layer of some rows or columns of another."""
    weight = layer.weight.detach()
    weight = weight if rows is None else weight[rows]
    weight = weight if columns is None else weight[:, columns]
    bias = None if layer.bias is None else layer.bias.detach() if rows is None else layer.bias.detach()[rows]
    out, into = weight.shape[:2]
    how = {"bias": bias is not None, "device": weight.device, "dtype": weight.dtype}
    made: nn.Module
    if isinstance(layer, nn.Linear):
        made = nn.utils.skip_init(nn.Linear, into, out, **how)  # type: ignore[no-untyped-call]
    else:
        shape = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "padding_mode")}
        kind = next(kind for kind in CONVOLUTIONS if isinstance(layer, kind))
        made = nn.utils.skip_init(kind, into, out, layer.kernel_size, **shape, **how)  # type: ignore[no-untyped-call]
    return _filled(made, layer, {"weight": weight, **({} if bias is None else {"bias": bias})})


def _sliced_norm(norm: Any, units: torch.Tensor) -> nn.Module:
    """A batch norm of some units of another."""
    count = int(units.sum())
    made = type(norm)(count, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    own = {name: t.detach() for name, t in norm.state_dict().items()}
    made.to(device=units.device, dtype=next((t.dtype for t in own.values() if t.is_floating_point()), None))
    return _filled(made, norm, {name: t[units] if t.ndim else t for name, t in own.items()})


def _filled(made: nn.Module, like: nn.Module, state: dict[str, torch.Tensor]) -> nn.Module:
    made.load_state_dict(state)
    made.train(like.training)
    for name, parameter in made.named_parameters():
        parameter.requires_grad_(getattr(like, name).requires_grad)
    return made


def _put(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(network.get_submodule(parent), own, layer)


def _without_bias(layer: nn.Module, rows: np.ndarray | None) -> None:
    """Set the bias of these rows, or of all, to 0."""
    bias = getattr(layer, "bias", None)
    if bias is not None:
        with torch.no_grad():
            bias[slice(None) if rows is None else torch.as_tensor(rows, device=bias.device)] = 0.0


def _last(order: tuple[str, ...], clusters: Mapping[str, Any]) -> str:
    return next(name for name in reversed(order) if name in clusters)
