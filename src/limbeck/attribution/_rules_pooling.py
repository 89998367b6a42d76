"""Rules where the whole's maximum decides: max pools, maxima along a dimension, sorting.

Source
------
Singh2019: the indices of the maximum of the sum, applied to both parts.

Departures
----------
The public code pools by unpooling a mask; here the entries are gathered. Among equal entries torch's own choice
counts; in
``amax`` they share.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as nn_functional

from limbeck.attribution._parts import Parts, Pass, numbers, of_part, refuse, rule

__all__: list[str] = []


def _taken(relevant: torch.Tensor, indices: torch.Tensor, spatial: int) -> torch.Tensor:
    """Entries ``(m, n, c, *pooled)`` at flat spatial indices ``(n, c, *pooled)``."""
    flat = indices.flatten(-spatial)
    return (
        relevant.flatten(-spatial)
        .gather(-1, flat.expand(len(relevant), *flat.shape))
        .unflatten(-1, indices.shape[-spatial:])
    )


def _max_pool(spatial: int, adaptive: bool) -> Any:
    name = f"{'adaptive_' if adaptive else ''}max_pool{spatial}d"
    function = getattr(nn_functional, name)

    def pool(
        run: Pass, func: Any, input: Any, size: Any = None, *args: Any, return_indices: bool = False, **kwargs: Any
    ) -> Any:
        size = kwargs.pop("kernel_size", kwargs.pop("output_size", size))
        given = [None if one == [] else one for one in args]  # an exported program's word for "as the window"
        total, indices = function(input.total, size, *given, **kwargs, return_indices=True)
        made = run.parts(total, _taken(numbers(input, name), indices, spatial))
        return (made, indices) if return_indices else made

    return pool


for _spatial in (1, 2, 3):
    rule(f"max_pool{_spatial}d")(_max_pool(_spatial, False))
    rule(f"adaptive_max_pool{_spatial}d")(_max_pool(_spatial, True))


@rule("max", "min")
def _max(run: Pass, func: Any, input: Any, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    """Of all entries, along a dimension, or of two tensors."""
    name = getattr(func, "__name__", "max").partition(".")[0]
    dim = kwargs.get("dim", dim)
    if isinstance(dim, torch.Tensor):
        return torch.maximum(input, dim) if name == "max" else torch.minimum(input, dim)
    if dim is None:
        return _extreme(run, torch.amax if name == "max" else torch.amin, input)
    found = (torch.max if name == "max" else torch.min)(input.total, dim, keepdim=keepdim)
    values = run.parts(found.values, _gathered(run, input, found.indices, dim, keepdim))
    return type(found)((values, found.indices))


def _gathered(run: Pass, input: Parts, indices: torch.Tensor, dim: int, keepdim: bool) -> torch.Tensor:
    where = indices if keepdim else indices.unsqueeze(dim)
    relevant = numbers(input, "max")
    found: torch.Tensor = of_part(run, lambda part: part.gather(dim, where), relevant)
    at = dim if dim < 0 else dim + 1
    return found if keepdim else found.squeeze(at)


@rule("amax", "amin")
def _extreme(run: Pass, func: Any, input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    relevant = numbers(input, "amax")
    total = func(input.total, dim, keepdim)
    against = func(input.total, dim, True)
    weights = (input.total == against).to(total.dtype)
    every = tuple(range(input.total.ndim)) if dim == () else dim
    weights = weights / weights.sum(every, keepdim=True)
    return run.parts(total, of_part(run, lambda part: (part * weights).sum(every, keepdim=keepdim), relevant))


@rule("sort", "topk")
def _ordered(run: Pass, func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    found = func(input.total, *args, **kwargs)
    name = getattr(func, "__name__", "")
    place = 0 if name.startswith("sort") else 1
    dim = kwargs.get("dim", args[place] if len(args) > place else -1)
    if not isinstance(dim, int) or isinstance(dim, bool):
        refuse(name, "its dimension must be given: dim=-1")
    relevant = of_part(run, lambda part: part.gather(dim, found[1]), numbers(input, name))
    return type(found)((run.parts(found[0], relevant), found[1]))
