"""How strongly each output unit of a layer is tied to each input unit: a matrix of numbers that aren't negative.

Source
------
Golechha2024 takes the absolute weights of a linear layer. The rules for the other layers are ours:

- A convolution's units are its channels: the norm over the kernel. Grouped: 0 between groups.
- Attention's units are its heads. Rows are heads, columns are the numbers of the embedding: the norm over a head's rows
  in the query, key and value projections together.

The square of such an entry is the sum of the squared weights behind it, so clusterability is the same of either.

Departures
----------
None.

Checked
-------
tests/unit/test_clusters.py: by hand for each kind of layer.

Cost
----
One pass over the weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["affinity_matrix", "folded"]


def affinity_matrix(weight: Any, *, values: Any = None, name: str = "weight") -> np.ndarray:
    """The affinities ``(o, i)`` of an array, a tensor or a layer, in double precision.

    `values` stand for the layer's weights where they are given, in the same shape.

    Raises
    ------
    InputError
        For another kind of layer, fewer than two dimensions, no entries, numbers that are complex, missing or infinite.
    """
    if _is_module(weight):
        return _of_layer(weight, values, name)
    return _norms(_numbers(weight, name))


def folded(matrix: np.ndarray, columns: int) -> np.ndarray:
    """The matrix ``(o, columns)`` of channels, from that of a layer after their flattening: a norm over positions."""
    o, i = matrix.shape
    return np.sqrt((matrix.reshape(o, columns, i // columns) ** 2).sum(axis=2))


def _is_module(weight: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(weight, torch.nn.Module)


def _of_layer(layer: Any, values: Any, name: str) -> np.ndarray:
    from torch import nn

    if isinstance(layer, nn.MultiheadAttention):
        return _of_heads(layer, name)
    if isinstance(layer, nn.Linear):
        return _norms(_numbers(layer.weight if values is None else values, name))
    if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
        matrix = _norms(_numbers(layer.weight if values is None else values, name))
        return _ungrouped(matrix, layer.groups)
    raise InputError(
        f"{name} must be an array, a tensor, or a Linear, Conv1d, Conv2d, Conv3d or MultiheadAttention layer; got a "
        f"{type(layer).__name__}. For a whole network: cluster_layers(model)"
    )


def _of_heads(layer: Any, name: str) -> np.ndarray:
    if layer.in_proj_weight is None:
        raise InputError(
            f"{name} is an attention whose keys or values have another width than its queries, so that its inputs are "
            "no one set of columns; give one of its weight matrices instead"
        )
    matrix = _numbers(layer.in_proj_weight, name)
    parts = matrix.reshape(3, layer.num_heads, -1, matrix.shape[1])
    return np.asarray(np.sqrt((parts**2).sum(axis=(0, 2))))


def _ungrouped(matrix: np.ndarray, groups: int) -> np.ndarray:
    if groups == 1:
        return matrix
    o, i = matrix.shape
    whole = np.zeros((o, i * groups))
    for g in range(groups):
        rows = slice(g * o // groups, (g + 1) * o // groups)
        whole[rows, g * i : (g + 1) * i] = matrix[rows]
    return whole


def _numbers(weight: Any, name: str) -> np.ndarray:
    if hasattr(weight, "detach"):
        weight = weight.detach().cpu()
        weight = (weight.double() if not weight.is_complex() else weight).numpy()
    try:
        found = np.asarray(weight)
    except ValueError as error:
        raise InputError(f"{name} must be one array of numbers; NumPy says: {str(error)[:120]}") from None
    if found.dtype.kind not in "biuf":
        raise InputError(f"{name} must hold real numbers; got {found.dtype} ({type(weight).__name__})")
    if found.ndim < 2 or not found.size:
        raise InputError(
            f"{name} must be (outputs, inputs) or (outputs, inputs, *kernel), not empty; got {found.shape}"
        )
    found = found.astype(np.float64)
    if not np.isfinite(found).all():
        raise InputError(
            f"{name} must be finite; {int((~np.isfinite(found)).sum())} of its {found.size} numbers aren't"
        )
    return found


def _norms(values: np.ndarray) -> np.ndarray:
    largest = float(np.abs(values).max())
    if values.ndim == 2 or not largest:
        flat = np.abs(values).reshape(*values.shape[:2], -1)
        return flat.max(axis=2)
    flat = (values / largest).reshape(*values.shape[:2], -1)
    return np.asarray(np.sqrt((flat**2).sum(axis=2)) * largest)
