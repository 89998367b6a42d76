"""Rules of attention: scaled dot products and torch's own multi-head layers.

Source
------
Own, by the mean over both orders that Murdoch2018 uses for gates.

Symbols
-------
A(Q, K, V): softmax(Q K' / sqrt(d)) V, with its masks.

Departures
----------
No paper decomposes attention this way: relevant = (A(Qr, Kr, Vr) + A(Q, K, V) - A(Qq, Kq, Vq)) / 2. So a group has the
credit both for what it is (V) and for where it makes the network look (Q, K). With all parts 0, A is 0: no bias is
left over. Written out by hand (matmul, softmax, matmul), the steps are shared one by one; the parts add up as well,
with other numbers. Queries that are parameters (a learned token) are constants, there in every part.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as nn_functional

from limbeck.attribution._parts import Parts, Pass, numbers, refuse, rule

__all__: list[str] = []


@rule("scaled_dot_product_attention")
def _attention(
    run: Pass,
    func: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Any:
    if dropout_p:
        refuse("scaled_dot_product_attention", "dropout_p must be 0 in evaluation mode")
    if isinstance(attn_mask, Parts):
        refuse("scaled_dot_product_attention", "its mask is a decomposed value")
    if not isinstance(value, Parts):
        refuse(
            "scaled_dot_product_attention",
            "its values are constants: nothing of the input is passed on but where it looks",
        )

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return nn_functional.scaled_dot_product_attention(
            q, k, v, attn_mask, is_causal=is_causal, scale=scale, enable_gqa=enable_gqa
        )

    three = (query, key, value)
    total = attend(*(one.total if isinstance(one, Parts) else one for one in three))
    relevant = [numbers(one, "attention") if isinstance(one, Parts) else one for one in three]
    rest = [one.total - part if isinstance(one, Parts) else one for one, part in zip(three, relevant, strict=True)]
    masks = len(numbers(value, "attention"))
    sides = [attend(*(_same(one, masks, value.total.ndim) for one in side)) for side in (relevant, rest)]
    none = ~_any(relevant, three, masks)
    return run.parts(
        total, ((sides[0] + total - sides[1]) / 2).masked_fill(none[(..., *(None,) * (total.ndim - 1))], 0.0)
    )


def _any(relevant: list[Any], three: tuple[Any, ...], masks: int) -> torch.Tensor:
    """``(m, n)``: where anything is relevant, so that rounding alone never is."""
    found = [
        (part != 0).flatten(2).any(-1) for part, one in zip(relevant, three, strict=True) if isinstance(one, Parts)
    ]
    return torch.stack(torch.broadcast_tensors(*found)).any(0)


def _same(part: torch.Tensor, masks: int, ndim: int) -> torch.Tensor:
    """``(m, ...)``: constants as often as there are masks."""
    return part if part.ndim == ndim + 1 else part.expand(masks, *part.shape)


@rule("multi_head_attention_forward")
def _multi_head(
    run: Pass,
    func: Any,
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """torch.nn.MultiheadAttention from ``(length, rows, width)``: its projections, then attention, as above."""
    if training and dropout_p:
        refuse("multi_head_attention_forward", "dropout stays on in evaluation mode")
    if bias_k is not None or bias_v is not None or add_zero_attn or static_k is not None or static_v is not None:
        refuse("multi_head_attention_forward", "bias_kv, add_zero_attn and static keys have no rule")
    batched = query.ndim == 3
    if not batched:
        query, key, value = (one.unsqueeze(1) for one in (query, key, value))
    weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    heads = [
        _heads(nn_functional.linear(one, weight, bias), num_heads)
        for one, weight, bias in zip((query, key, value), weights, biases, strict=True)
    ]
    mask = _merged(attn_mask, key_padding_mask, num_heads, len(heads[0]), heads[0].dtype)
    query_heads, key_heads, value_heads = heads
    attended = nn_functional.scaled_dot_product_attention(
        query_heads, key_heads, value_heads, mask, 0.0, is_causal and mask is None
    )
    length, rows = query.shape[0], query.shape[1]
    joined = attended.permute(2, 0, 1, 3).reshape(length, rows, embed_dim_to_check)
    made: Any = nn_functional.linear(joined, out_proj_weight, out_proj_bias)
    made = made if batched else made.squeeze(1)
    return made, _unread(run, made) if need_weights else None


def _heads(one: Any, num_heads: int) -> Any:
    """``(rows, heads, length, width / heads)`` from ``(length, rows, width)``."""
    length, rows, width = one.shape
    return one.reshape(length, rows, num_heads, width // num_heads).permute(1, 2, 0, 3)


def _merged(attn_mask: Any, padding: Any, num_heads: int, rows: int, dtype: torch.dtype) -> Any:
    """One additive mask, broadcastable to ``(rows, heads, length, length)``."""
    merged = None
    if attn_mask is not None:
        merged = _additive(attn_mask, dtype)
        merged = merged.reshape(rows, num_heads, *merged.shape[-2:]) if merged.ndim == 3 else merged
    if padding is not None:
        at = _additive(padding, dtype)[:, None, None, :]
        merged = at if merged is None else merged + at
    return merged


def _additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(mask, -torch.inf)


def _unread(run: Pass, like: Parts) -> Parts:
    """What stands for the attention weights: mostly nobody reads them; who does is told."""
    made = run.parts(like.total.new_zeros(()), like.total.new_zeros((len(numbers(like, "attention")),)))
    made.why_not = (
        "the weights that torch.nn.MultiheadAttention returns are not decomposed; call it with need_weights=False"
    )
    return made
