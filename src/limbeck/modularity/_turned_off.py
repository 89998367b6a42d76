"""Units of a network turned off for a moment: their activations are 0 where the next layer reads them.

Departures
----------
A unit is turned off after its activation function, at the input of the next layer with weights, so that it says nothing
at all, also where the function of 0 is not 0. What the network takes and what it gives are no units.

Cost
----
One pass of the network to find the places; then one multiplication a layer in each pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError
from limbeck.modularity._module_answers import outputs_on
from limbeck.modularity._parts import CONVOLUTIONS, WEIGHTED, order_of_layers

__all__ = ["Site", "read_by", "shuffled_site", "turned_off", "unit_sites"]


@dataclass(frozen=True)
class Site:
    """Where units are read: the layer that reads them, and to which module each belongs.

    Attributes
    ----------
    layer : torch.nn.Module
    labels : array ``(inputs of the layer,)``
    repeats : int
        So many neighbouring inputs come from one unit: the places of a channel that was made flat.
    """

    layer: torch.nn.Module
    labels: np.ndarray
    repeats: int = 1


def unit_sites(network: Any, rows: torch.Tensor) -> list[Site]:
    """The places of all units that belong to modules, in the order of the network.

    Raises
    ------
    InputError
        Where there are none: no clustered layer has hidden units before or after it.
    """
    inner, clusters = network.network, network.clusters
    sites: list[Site] = []
    before: np.ndarray | None = None
    order = [name for name in dict.fromkeys(order_of_layers(inner, rows[:2])) if _inputs(inner.get_submodule(name))]
    for i, name in enumerate(order):
        layer, own = inner.get_submodule(name), clusters.get(name)
        width = _inputs(layer)
        if i > 0 and own is not None:
            sites.append(Site(layer, np.asarray(own.columns), _repeats(before, own.columns)))
        elif i > 0 and before is not None and width % len(before) == 0:
            repeats = width // len(before)
            sites.append(Site(layer, np.repeat(before, repeats), repeats))
        before = None if own is None else np.asarray(own.rows)
    if not sites:
        raise InputError(
            "the clustered layers have no hidden units before or after them, so no module can be turned off; cluster "
            "layers between hidden units"
        )
    return sites


def _repeats(before: np.ndarray | None, columns: np.ndarray) -> int:
    """How many neighbouring inputs come from each unit of the layer before."""
    if before is None or len(columns) % len(before):
        return 1
    repeats = len(columns) // len(before)
    return repeats if np.array_equal(np.repeat(before, repeats), columns) else 1


def _inputs(layer: torch.nn.Module) -> int:
    """How many inputs, or channels, a layer with weights reads; 0 for other layers."""
    return int(layer.weight.shape[1]) if isinstance(layer, WEIGHTED) else 0


def read_by(network: torch.nn.Module, layer: torch.nn.Module, rows: torch.Tensor) -> np.ndarray:
    """What a layer reads while the network answers these rows, as float64."""
    seen: list[np.ndarray] = []
    handle = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach().double().cpu().numpy()))
    try:
        outputs_on(network, rows)
    finally:
        handle.remove()
    return np.concatenate(seen)


def shuffled_site(site: Site, generator: np.random.Generator) -> Site:
    """The same units dealt out to modules of the same sizes by chance; a channel stays whole."""
    dealt = generator.permutation(site.labels[:: site.repeats])
    return Site(site.layer, np.repeat(dealt, site.repeats), site.repeats)


@contextmanager
def turned_off(off: Sequence[tuple[Site, np.ndarray]]) -> Iterator[None]:
    """The units of these places are 0 inside; everything is as it was afterwards, also after an error."""
    handles = []
    for site, mask in off:
        keep = torch.tensor(~np.asarray(mask))
        handles.append(site.layer.register_forward_pre_hook(_zero(site.layer, keep)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _zero(layer: torch.nn.Module, keep: torch.Tensor) -> Any:
    def hook(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        values = args[0]
        own = keep.to(values.device)
        if isinstance(layer, CONVOLUTIONS):
            own = own.reshape(-1, *(1,) * (len(layer.kernel_size)))
        return (values * own.to(values.dtype), *args[1:])

    return hook
