"""Rules of operations that move, add up or weight entries: each part takes them alone.

Source
------
Murdoch2018, Singh2019: what is linear and has no shift acts on each part alone.

Departures
----------
The papers name convolution, pooling, dropout and reshapes; here stands every linear operation that torch calls by name.
A value that is filled in (padding that is not 0, ``masked_fill``) is a constant and goes to the irrelevant part.
Where a maximum decides, it is the whole's maximum that does.
"""

from __future__ import annotations

from typing import Any

import torch

from limbeck.attribution._parts import Parts, Pass, each_part, lifted, numbers, of_part, refuse, rule, settle, unwrap

__all__: list[str] = []

MOVES = """
    view reshape view_as reshape_as flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t adjoint
    T mT H squeeze unsqueeze expand expand_as broadcast_to repeat tile repeat_interleave __getitem__ getitem select
    narrow index_select slice split split_with_sizes tensor_split chunk unbind unsafe_chunk unsafe_split flip fliplr
    flipud roll rot90 contiguous clone detach alias lift_fresh_copy diagonal take_along_dim gather index atleast_1d
    atleast_2d atleast_3d ravel _unsafe_view hsplit vsplit dsplit select_copy unsafe_split_with_sizes data
"""
LINEAR = """
    cat concat concatenate stack hstack vstack dstack column_stack row_stack sum mean nansum cumsum diff neg
    negative positive __neg__ avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d
    adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d interpolate upsample upsample_nearest
    upsample_bilinear upsample_nearest1d upsample_nearest2d upsample_bilinear2d pixel_shuffle pixel_unshuffle
    channel_shuffle unfold fold im2col col2im tril triu diag diag_embed trace fft_fft fft_ifft fft_rfft fft_irfft
    fft_fft2 fft_ifft2 fft_rfft2 fft_irfft2 fft_fftn fft_ifftn fft_rfftn fft_irfftn fft_fftshift fft_ifftshift real
    imag conj view_as_real view_as_complex resolve_conj max_unpool1d max_unpool2d max_unpool3d
    rot90 trapezoid
"""


def _moves(run: Pass, func: Any, *args: Any, **kwargs: Any) -> Any:
    return each_part(run, func, *args, moves=True, **kwargs)


rule(*MOVES.split())(_moves)
rule(*LINEAR.split())(each_part)


@rule(
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_dropout",
    "feature_alpha_dropout",
    "native_dropout",
)
def _dropout(
    run: Pass, func: Any, input: Parts, p: float = 0.5, training: bool | None = True, *rest: Any, **kwargs: Any
) -> Any:
    """Nothing happens in evaluation mode."""
    if training and p:
        refuse("dropout", "it stays random in evaluation mode; give it training=self.training")
    return input


@rule("to", "type", "type_as", "float", "double", "half", "bfloat16", "_to_copy", "cpu", "cuda")
def _cast(run: Pass, func: Any, input: Parts, *args: Any, **kwargs: Any) -> Any:
    """Another type or device; whole numbers that the mask chose become numbers in two parts, and back."""
    total = func(input.total, *unwrap(args, lambda one: one.total), **kwargs)
    if not (total.is_floating_point() or total.is_complex()):
        if input.chosen is None:
            refuse("a cast to whole numbers", "it would lose which inputs a value came from")
        return run.parts(total, None, input.chosen)
    if input.relevant is None and input.chosen is not None:
        return run.parts(total, total * input.chosen, input.chosen)
    relevant = numbers(input, "a cast")
    return run.parts(total, relevant.to(device=total.device, dtype=total.dtype), input.chosen)


@rule("long", "int", "short")
def _whole_numbers(run: Pass, func: Any, input: Parts) -> Any:
    return _cast(run, func, input)


@rule("pad", "constant_pad_nd")
def _pad(run: Pass, func: Any, input: Parts, pad: Any, *args: Any, **kwargs: Any) -> Any:
    """What is filled in is a constant."""
    total = func(input.total, pad, *args, **kwargs)
    mode = kwargs.get("mode", args[0] if args and isinstance(args[0], str) else "constant")
    if input.relevant is None and input.chosen is not None:  # token ids: what is filled in is no input
        return run.parts(total, None, of_part(run, lambda part: torch.nn.functional.pad(part, pad), input.chosen))
    relevant = of_part(run, lambda part: torch.nn.functional.pad(part, pad, mode=mode), numbers(input, "pad"))
    return run.parts(total, relevant)


@rule("masked_fill")
def _masked_fill(run: Pass, func: Any, input: Any, mask: Any, value: Any) -> Any:
    if not isinstance(input, Parts) or input.relevant is None or isinstance(value, Parts) or isinstance(mask, Parts):
        refuse(
            "masked_fill",
            "only a decomposed tensor of numbers, filled with a constant where a plain mask says, can be followed",
        )
    total = func(input.total, mask, value)
    return run.parts(total, lifted(numbers(input, "masked_fill"), total.ndim).masked_fill(mask, 0.0))


@rule("where")
def _where(run: Pass, func: Any, condition: Any, input: Any = None, other: Any = None) -> Any:
    """The condition is plain, since comparisons are the whole's."""
    if isinstance(condition, Parts) or input is None:
        refuse("where", "its condition must be a comparison")
    total: torch.Tensor = torch.where(condition, *unwrap((input, other), lambda one: one.total))  # type: ignore[assignment]
    parts = [_part_or_zero(one, total) for one in (input, other)]
    relevant: torch.Tensor = torch.where(condition, *parts)  # type: ignore[assignment]
    return run.parts(total, relevant)


def _part_or_zero(one: Any, total: torch.Tensor) -> torch.Tensor:
    if isinstance(one, Parts):
        return lifted(numbers(one, "where"), total.ndim)
    return torch.zeros((), dtype=total.dtype, device=total.device)


@rule("__setitem__", "index_put")
def _set_item(run: Pass, func: Any, input: Any, index: Any, value: Any, *args: Any) -> Any:
    """Entries of a decomposed tensor replaced by a constant or by parts."""
    if not isinstance(input, Parts) or input.relevant is None:
        refuse(
            "__setitem__",
            "it writes a decomposed value into a plain tensor; collect the values in a list, then torch.stack or cat",
        )

    def changed(target: torch.Tensor, new: Any) -> torch.Tensor:
        out = target.clone()
        out[index] = new
        return out

    total = changed(input.total, value.total if isinstance(value, Parts) else value)
    if isinstance(value, Parts):
        relevant = of_part(run, changed, numbers(input, "__setitem__"), numbers(value, "__setitem__"))
    else:
        relevant = of_part(run, lambda part: changed(part, 0.0), numbers(input, "__setitem__"))
    result = run.parts(total, relevant)
    return settle(input, result, "__setitem__") if func is torch.Tensor.__setitem__ else result
