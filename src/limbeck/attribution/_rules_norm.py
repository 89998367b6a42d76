"""Rules of norms of one row, and of embeddings.

Source
------
Singh2019 treats batch norm as the affine map that it is at inference; layer norm is treated alike.

Departures
----------
- The mean is taken off each part alone, for it is linear. The deviation is the whole's, a constant. So the parts add
  up, and an empty mask has no relevance; that a group *changes the deviation* is not seen.
- An embedding's row belongs to the relevant part where the mask chooses its token.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as nn_functional

from limbeck.attribution._parts import Parts, Pass, numbers, refuse, rule
from limbeck.attribution._rules_affine import affine

__all__: list[str] = []


def _normed(run: Pass, input: Any, dims: tuple[int, ...], eps: float, weight: Any, bias: Any, name: str) -> Parts:
    """Each part less its own mean, over the deviation of the whole; dims are counted from the end."""
    relevant, whole = numbers(input, name), input.total
    variance = whole.var(dims, unbiased=False, keepdim=True)
    scale = torch.rsqrt(variance + eps)
    part = (relevant - relevant.mean(dims, keepdim=True)) * scale
    total = (whole - whole.mean(dims, keepdim=True)) * scale
    if weight is not None:
        part, total = part * weight, total * weight
    return affine(run, part, total, bias)


@rule("layer_norm")
def _layer_norm(
    run: Pass,
    func: Any,
    input: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    return _normed(run, input, tuple(range(-len(normalized_shape), 0)), eps, weight, bias, "layer_norm")


@rule("group_norm")
def _group_norm(
    run: Pass,
    func: Any,
    input: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    shape, relevant = input.total.shape, numbers(input, "group_norm")
    grouped = run.parts(
        input.total.reshape(shape[0], num_groups, -1), relevant.reshape(len(relevant), shape[0], num_groups, -1)
    )
    made = _normed(run, grouped, (-1,), eps, None, None, "group_norm")
    part, total = made.relevant, made.total.reshape(shape)
    part = numbers(made, "group_norm").reshape(len(relevant), *shape)
    channels = (-1, *(1,) * (len(shape) - 2))
    if weight is not None:
        part, total = part * weight.reshape(channels), total * weight.reshape(channels)
    return affine(run, part, total, None if bias is None else bias.reshape(channels))


@rule("instance_norm")
def _instance_norm(
    run: Pass,
    func: Any,
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    if not use_input_stats:
        return nn_functional.batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    return nn_functional.group_norm(input, input.shape[1], weight, bias, eps)


@rule("rms_norm", "_fused_rms_norm")
def _rms_norm(
    run: Pass, func: Any, input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None, *rest: Any
) -> Any:
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.total.dtype).eps if eps is None else eps
    scale = torch.rsqrt(input.total.square().mean(dims, keepdim=True) + eps)
    scale = scale if weight is None else scale * weight
    return run.parts(input.total * scale, numbers(input, "rms_norm") * scale)


@rule("normalize")
def _normalize(
    run: Pass, func: Any, input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None
) -> Any:
    size = torch.linalg.vector_norm(input.total, p, dim, keepdim=True).clamp_min(eps)
    return input / size


@rule("embedding")
def _embedding(run: Pass, func: Any, input: Any, weight: Any, *args: Any, **kwargs: Any) -> Any:
    """The rows of the chosen tokens; the exported form has the weights first."""
    if isinstance(weight, Parts):
        input, weight = weight, input
    if isinstance(input, torch.Tensor) and not isinstance(input, Parts):
        refuse("embedding", "its weights are decomposed")
    if input.chosen is None:
        refuse(
            "embedding",
            "its token ids were computed from decomposed values, so that it is not known which inputs chose them",
        )
    total = nn_functional.embedding(input.total, weight)
    return run.parts(total, total * input.chosen.unsqueeze(-1).to(total.dtype))


@rule("one_hot")
def _one_hot(run: Pass, func: Any, input: Any, num_classes: int = -1) -> Any:
    if input.chosen is None:
        refuse("one_hot", "its numbers were computed from decomposed values")
    total = nn_functional.one_hot(input.total, num_classes)
    return run.parts(total, None, input.chosen.unsqueeze(-1).expand(len(input.chosen), *total.shape))


@rule("embedding_bag")
def _embedding_bag(
    run: Pass,
    func: Any,
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: Any = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: Any = None,
) -> Any:
    if mode not in ("sum", "mean") or offsets is not None or per_sample_weights is not None or padding_idx is not None:
        refuse(
            "embedding_bag",
            "only bags given as rows, with mode sum or mean, and without weights or padding can be followed",
        )
    rows = nn_functional.embedding(input, weight)
    return rows.sum(1) if mode == "sum" else rows.mean(1)
