"""Rules of layers with a shift, of sums and of products: linear, convolution, batch norm, addition, multiplication,
matmul.

Source
------
Singh2019, section 3: the bias is shared in proportion to the sizes of the two parts, entry by entry.

Departures
----------
- Where both parts are 0 the whole bias is irrelevant, so that an empty mask has no relevance (the public code halves
  it; that is the rule ``"acd"``; CDEP's code gives it to neither: ``"cdep"``).
- A constant that is added anywhere is a bias.
- A product of two decomposed tensors a, b is shared by the mean over both orders: ``(r_a (b + c_b) + (a + c_a) r_b) /
  2``, where c is what an activation (a gate's sigmoid, a softmax) gives at 0: a bias that lets the relevant part
  through, as the papers' LSTM gates do.
- A divisor is taken as a whole, as the norms take their deviation: ``r_a / b``. So is a reciprocal root.

Checked
-------
tests/truth/test_decomposition_truth.py, to 1e-10 against a carry of both parts by hand.

Cost
----
The operation itself on m x n rows, and six passes over its output where it has a bias.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as nn_functional

from limbeck.attribution._parts import Parts, Pass, each_part, lifted, numbers, of_part, refuse, rule, shared

__all__ = ["affine", "kept_apart"]


def affine(run: Pass, relevant: torch.Tensor, whole: torch.Tensor, bias: Any) -> Parts:
    """Carrier of ``whole + bias``, its relevant part with its share."""
    if bias is None:
        return run.parts(whole, relevant)
    if run.convention.zero is None:
        # neither part gets it where both are 0: the sum of the parts is then not the model's output, as in CDEP's code
        got = torch.where((relevant[0] == 0) & (whole == relevant[0]), torch.zeros_like(whole), torch.ones_like(whole))
        return run.parts(whole + bias * got, shared(relevant, whole, bias, run.convention))
    return run.parts(whole + bias, shared(relevant, whole, bias, run.convention))


def kept_apart(run: Pass, relevant: torch.Tensor, total: torch.Tensor, bias: torch.Tensor) -> Parts:
    """Carrier of `total`, which contains a bias that is shared when it is needed."""
    if run.convention.zero is None:
        return affine(run, relevant, total - bias, bias)
    made = run.parts(total, relevant)
    made.bias = bias
    return made


@rule("linear")
def _linear(run: Pass, func: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    if isinstance(weight, Parts):
        return (
            _matmul(run, torch.matmul, input, weight.mT)
            if bias is None
            else refuse("linear", "its weights are decomposed")
        )
    relevant = nn_functional.linear(numbers(input, "linear"), weight)
    return affine(run, relevant, nn_functional.linear(input.total, weight), bias)


def _conv(
    run: Pass, func: Callable[..., Any], input: Any, weight: Any, bias: Any = None, *args: Any, **kwargs: Any
) -> Any:
    if isinstance(weight, Parts):
        refuse("convolution", "its weights are decomposed")
    relevant = numbers(input, "convolution")
    spatial = weight.ndim - 2
    if input.total.ndim != spatial + 2:
        refuse("convolution", "an input without a batch dimension can't be followed; give it one")
    whole = func(input.total, weight, None, *args, **kwargs)
    part = func(relevant.flatten(0, 1), weight, None, *args, **kwargs).unflatten(0, relevant.shape[:2])
    return affine(run, part, whole, None if bias is None else bias.reshape(-1, *(1,) * spatial))


rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution")(_conv)


@rule("batch_norm", "_native_batch_norm_legit_no_training")
def _batch_norm(
    run: Pass,
    func: Any,
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> Any:
    """As used at inference: a scale and a shift, the shift a bias."""
    if running_mean is None or training:
        refuse(
            "batch_norm",
            "it uses the statistics of the other rows; track_running_stats=True and evaluation mode are required",
        )
    if not isinstance(training, bool):  # the exported form has no flag: (..., momentum, eps)
        eps = momentum
    scale = torch.rsqrt(running_var + eps)
    scale = scale if weight is None else scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    shape = (-1, *(1,) * (input.ndim - 2))
    scale, shift = scale.reshape(shape), shift.reshape(shape)
    return affine(run, numbers(input, "batch_norm") * scale, input.total * scale, shift)


def _added(run: Pass, one: Any, other: Any, sign: float) -> Any:
    """``one + sign * other``."""
    if isinstance(one, Parts) and isinstance(other, Parts):
        total = one.total + other.total if sign == 1 else one.total + sign * other.total
        parts = [lifted(numbers(each, "add"), total.ndim) for each in (one, other)]
        return run.parts(total, parts[0] + parts[1] if sign == 1 else parts[0] + sign * parts[1])
    if isinstance(one, Parts):
        return _with_constant(run, one.total, one.relevant, one.chosen, other if sign == 1 else other * sign)
    relevant = None if other.relevant is None else sign * other.relevant
    return _with_constant(run, sign * other.total, relevant, other.chosen, one)


def _with_constant(run: Pass, whole: torch.Tensor, relevant: Any, chosen: Any, constant: Any) -> Any:
    if relevant is None:  # whole numbers: an offset of token ids
        total = whole + constant
        return run.parts(total, None, lifted(chosen, total.ndim).expand(len(chosen), *total.shape))
    constant = torch.as_tensor(
        constant, dtype=None if isinstance(constant, torch.Tensor) else whole.dtype, device=whole.device
    )
    total = whole + constant
    finite = constant if bool(constant.isfinite().all()) else torch.where(constant.isfinite(), constant, 0.0)
    if total.shape != whole.shape:
        relevant, whole = lifted(relevant, total.ndim).expand(len(relevant), *total.shape), whole.expand_as(total)
    made = affine(run, relevant, whole, finite)
    made.total = total if run.convention.zero is not None else made.total
    return made


@rule("add", "__add__", "__radd__", "__iadd__")
def _add(run: Pass, func: Any, input: Any, other: Any, *, alpha: float = 1) -> Any:
    return _added(run, input, other if alpha == 1 else other * alpha, 1)


@rule("sub", "subtract", "__sub__", "__isub__")
def _subtract(run: Pass, func: Any, input: Any, other: Any, *, alpha: float = 1) -> Any:
    return _added(run, input, other, -alpha)


@rule("rsub", "__rsub__")
def _subtract_from(run: Pass, func: Any, input: Any, other: Any, alpha: float = 1) -> Any:
    return _added(run, other, input, -alpha)


def _product(run: Pass, function: Callable[..., Any], one: Any, other: Any) -> Any:
    """Any bilinear operation, by the mean over both orders."""
    if not (isinstance(one, Parts) and isinstance(other, Parts)):
        return each_part(run, function, one, other)
    factors = [(_alone(each), each.total if each.bias is None else each.total + each.bias) for each in (one, other)]
    first = of_part(run, lambda part: function(part, factors[1][1]), factors[0][0])
    second = of_part(run, lambda part: function(factors[0][1], part), factors[1][0])
    relevant, total = (first + second) / 2, function(one.total, other.total)
    if one.bias is None or other.bias is None:
        return run.parts(total, relevant)
    return kept_apart(run, relevant, total, function(one.bias.expand_as(one.total), other.bias.expand_as(other.total)))


def _alone(one: Parts) -> torch.Tensor:
    """The relevant part, without a share of a bias that is kept apart."""
    return numbers(one, "a product") if one.bias is None or one.alone is None else one.alone


@rule("mul", "multiply", "__mul__", "__rmul__", "__imul__")
def _multiply(run: Pass, func: Any, input: Any, other: Any) -> Any:
    if not (isinstance(input, Parts) and isinstance(other, Parts)):
        one, constant = (input, other) if isinstance(input, Parts) else (other, input)
        if one.relevant is None:
            if one.chosen is None or isinstance(constant, torch.Tensor):
                refuse("mul", "it takes whole numbers")
            return run.parts(one.total * constant, None, one.chosen)
        total = one.total * constant
        return run.parts(total, lifted(numbers(one, "mul"), total.ndim) * constant)
    ndim = max(input.total.ndim, other.total.ndim)
    return _product(run, torch.mul, _of_dimensions(run, input, ndim), _of_dimensions(run, other, ndim))


def _of_dimensions(run: Pass, one: Parts, ndim: int) -> Any:
    return one if one.total.ndim == ndim else one[(None,) * (ndim - one.total.ndim)]


@rule(
    "matmul",
    "__matmul__",
    "__rmatmul__",
    "mm",
    "bmm",
    "mv",
    "dot",
    "inner",
    "outer",
    "vdot",
    "linalg_matmul",
    "bilinear_product",
)
def _matmul(run: Pass, func: Any, input: Any, other: Any) -> Any:
    if name_is(func, "__rmatmul__"):
        input, other = other, input
    function = torch.inner if name_is(func, "inner") else torch.outer if name_is(func, "outer") else torch.matmul
    return _product(run, function, input, other)


def name_is(func: Any, name: str) -> bool:
    """True where the operation has this name."""
    return getattr(func, "__name__", "") == name


@rule("einsum")
def _einsum(run: Pass, func: Any, equation: Any, *operands: Any, **kwargs: Any) -> Any:
    given = list(operands[0]) if len(operands) == 1 and isinstance(operands[0], list | tuple) else list(operands)
    places = [i for i, one in enumerate(given) if isinstance(one, Parts)]
    if len(places) > 2 or not isinstance(equation, str):
        refuse("einsum", "it multiplies three or more decomposed tensors; multiply two at a time")

    def function(*swapped: Any) -> Any:
        values = list(given)
        for place, value in zip(places, swapped, strict=True):
            values[place] = value
        return torch.einsum(equation, *values)

    if len(places) == 1:
        return each_part(run, function, given[places[0]])
    return _product(run, function, given[places[0]], given[places[1]])


@rule("addmm", "addmv", "addbmm", "baddbmm")
def _add_matmul(run: Pass, func: Any, input: Any, one: Any, other: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    if name_is(func, "addbmm"):
        refuse("addbmm")
    product = _product(run, torch.matmul, one, other)
    product = product if alpha == 1 else product * alpha
    return product + (input if beta == 1 else input * beta)


@rule("bilinear")
def _bilinear(run: Pass, func: Any, input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    made = _product(run, lambda a, b: nn_functional.bilinear(a, b, weight), input1, input2)
    return made if bias is None else affine(run, made.relevant, made.total, bias)


@rule("div", "divide", "true_divide", "__truediv__", "__div__")
def _divide(run: Pass, func: Any, input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    """The divisor as a whole."""
    if rounding_mode is not None or not isinstance(input, Parts):
        refuse(
            "div", "a constant divided by a decomposed value (or a rounded division) is not defined where a part is 0"
        )
    divisor = other.total if isinstance(other, Parts) else other
    total = input.total / divisor
    return run.parts(total, lifted(numbers(input, "div"), total.ndim) / divisor)


@rule("rsqrt")
def _reciprocal_root(run: Pass, func: Any, input: Any) -> Any:
    """What norms divide by: taken as a whole, a constant."""
    return torch.rsqrt(input.total)
