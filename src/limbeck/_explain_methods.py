"""How one row is explained by each method: its units' effects, hierarchy and interactions.

Symbols
-------
How: method, rule and baseline.

Departures
----------
A method is asked for the effect of groups, whatever it is: slopes are added up over a group's numbers.

Cost
----
See the methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from limbeck.attribution import Units

__all__ = ["DECOMPOSED", "METHODS", "How", "decomposed", "effects_of", "explained_row", "part_of"]

METHODS = ("acd", "cd", "trim", "integrated_gradients", "input_x_gradient", "occlusion")
DECOMPOSED = ("acd", "cd", "trim")
MOST_PAIRED = 12
"""Interactions are measured between so many of the units with the largest effects."""
How = tuple[str, str, Any]
"""Method, rule and baseline."""


def explained_row(model: Any, x: np.ndarray, units: Units, output: int, how: How) -> dict[str, Any]:
    """Units, effects, hierarchy and interactions of one row."""
    from limbeck.attribution import agglomerate, interactions

    nodes: list[dict[str, Any]] = []
    pairs: list[dict[str, Any]] = []
    residual, bias, at, effects = 0.0, None, np.array([output]), effects_of(how)
    if how[0] in DECOMPOSED:
        whole = decomposed(model, x, np.ones((1, *x.shape[1:]), dtype=bool), how)
        residual, bias = whole.residual, float(whole.irrelevant.reshape(1, -1)[0, output])

    def score(masks: np.ndarray) -> np.ndarray:
        return effects(model, x, masks, at)[:, 0]

    if how[0] == "acd":
        hierarchy = agglomerate(model, x[0], units, output=output, score=score)
        alone = np.asarray(hierarchy.alone)
        nodes = [
            {"units": list(n.units), "score": float(n.score), "children": list(n.children), "level": int(n.level)}
            for n in hierarchy.nodes
        ]
    else:
        alone = score(units.masks)
    if how[0] not in DECOMPOSED:
        residual = _gap(model, x, output, how[2], alone)
    if how[0] in DECOMPOSED and len(units) > 1:
        strongest = np.sort(np.argsort(-np.abs(alone), kind="stable")[:MOST_PAIRED]).tolist()
        found = interactions(model, x[0], [units.masks[u] for u in strongest], output=output, score=score)
        pairs = [
            {"a": [strongest[one["a"][0]]], "b": [strongest[one["b"][0]]], "value": one["value"]}
            for one in found.to_list(MOST_PAIRED)
        ]
    return {
        "units": [{"name": n, "positions": list(p)} for n, p in zip(units.names, units.positions, strict=True)],
        "alone": [float(effect) for effect in alone],
        "nodes": nodes,
        "interactions": pairs,
        "residual": float(residual),
        "bias": bias,
    }


def _gap(model: Any, x: np.ndarray, output: int, base: Any, alone: np.ndarray) -> float:
    """How far the units' effects are from adding up to what the output loses without any of them, over its size."""
    from limbeck._core.module_outputs import outputs_as_it_is

    rows = np.concatenate([x, np.broadcast_to(np.asarray(base, dtype=x.dtype), x.shape)])
    value, absent = outputs_as_it_is(model, rows)[:, output].double().tolist()
    return abs(float(alone.sum()) - (value - absent)) / max(abs(value), 1e-30)


def effects_of(how: How) -> Callable[..., np.ndarray]:
    """A method as ``(model, x, masks (m, *row), outputs (n,)) -> (m, n)``: what a check can ask."""
    method, _, base = how

    def by_parts(model: Any, x: Any, masks: Any, outputs: np.ndarray) -> np.ndarray:
        return part_of(decomposed(model, x, masks, how).relevant, outputs)

    def gradients(model: Any, x: Any, masks: Any, outputs: np.ndarray) -> np.ndarray:
        from limbeck import attribution

        given = None if np.ndim(base) == 0 and base == 0 else base
        values = getattr(attribution, method)(model, x, output=outputs, baseline=given).values
        flat = np.asarray(values).reshape(len(x), -1)
        return np.asarray(np.asarray(masks).reshape(len(masks), -1).astype(float) @ flat.T)

    def occluded(model: Any, x: Any, masks: Any, outputs: np.ndarray) -> np.ndarray:
        import torch

        from limbeck.checks import occlusion_effects

        ask = occlusion_effects(outputs, base)
        return np.asarray(ask(model, torch.as_tensor(x), torch.as_tensor(np.asarray(masks))))

    if method in DECOMPOSED:
        return by_parts
    return occluded if method == "occlusion" else gradients


def decomposed(model: Any, x: Any, masks: Any, how: How) -> Any:
    """The decomposition of the rows by every mask ``(m, *row)``."""
    import torch

    from limbeck.attribution import contextual_decomposition

    x, masks = torch.as_tensor(x), torch.as_tensor(np.asarray(masks))
    if how[0] == "trim":  # "everything" is what is in some group: not what the transform loses
        masks = masks & model.grouped
    base = how[2] if x.is_floating_point() and np.any(how[2]) else None
    return contextual_decomposition(model, x, masks[:, None], rule=how[1], baseline=base)


def part_of(part: Any, outputs: np.ndarray) -> np.ndarray:
    """Each row's explained output ``(m, n)`` of a relevant or irrelevant part ``(m, n, k)``."""
    import torch

    flat = part.detach().reshape(part.shape[0], part.shape[1], -1)
    picked = flat.gather(2, torch.as_tensor(outputs).reshape(1, -1, 1).expand(len(flat), -1, 1))[..., 0]
    return np.asarray(picked.double().cpu().numpy())
