"""Rules of functions of one entry, and of softmax and other functions of several.

Source
------
Murdoch2018 (tanh and the gates: the mean over both orders); Singh2019 (ReLU: the relevant part alone).

Symbols
-------
f(r) - f(0): one side. (f(r) - f(0) + f(r + q) - f(q)) / 2: both sides.

Departures
----------
- One side: the ReLU family, and its smooth forms GELU, SiLU, ELU, softplus. Both sides: tanh, sigmoid, softmax, all
  others. With ``rule="shapley"`` both sides for every function.
- What f gives at 0 (sigmoid: 1/2) is a bias, shared in proportion like any other, but in a product: see
  `_rules_affine`.
- Where the relevant part is 0 it stays exactly 0.
- Softmax of what an attention mask excludes (minus infinity) stays 0 in every part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from limbeck.attribution._parts import Parts, Pass, numbers, of_part, refuse, rule, settle, unwrap
from limbeck.attribution._rules_affine import affine, kept_apart

__all__: list[str] = []

ONE_SIDED = """
    relu relu6 leaky_relu rrelu prelu elu selu celu gelu silu mish softplus hardswish threshold hardtanh clamp clip
    clamp_min clamp_max
"""
BOTH_SIDED = """
    tanh sigmoid hardsigmoid logsigmoid log_sigmoid softsign tanhshrink hardshrink softshrink erf erfc sin cos tan
    atan arctan asinh arcsinh sinh cosh exp exp2 expm1 log1p sqrt square abs absolute __abs__ pow __pow__
    float_power sinc floor ceil round trunc sign sgn nan_to_num special_expit expit
"""
SEVERAL = """
    norm vector_norm linalg_vector_norm linalg_norm std var logsumexp softmin
"""
NO_ZERO = """
    log log2 log10 reciprocal __rtruediv__ __rdiv__ __rpow__ acosh asin acos logit atanh
"""


def split(
    run: Pass,
    function: Callable[[torch.Tensor], torch.Tensor],
    relevant: torch.Tensor,
    whole: torch.Tensor,
    *,
    two_sided: bool,
) -> Parts:
    """The carrier of ``function(whole)`` for a function of each entry."""
    total = function(whole)
    at_zero = function(torch.zeros((), dtype=whole.dtype, device=whole.device))
    none = bool(at_zero == 0)
    if not none and not bool(at_zero.isfinite()):
        refuse("an activation", "it is not finite at 0, where the relevant part may be")
    part = function(relevant) if none else function(relevant) - at_zero
    if two_sided:
        part = ((part + (total - function(whole - relevant))) / 2).masked_fill(relevant == 0, 0.0)
    return run.parts(total, part) if none else kept_apart(run, part, total, at_zero)


def _entrywise(run: Pass, func: Any, input: Any, args: Any, kwargs: Any, two_sided: bool) -> Any:
    if any(isinstance(one, Parts) for one in (*args, *kwargs.values())) or not isinstance(input, Parts):
        refuse(getattr(func, "__name__", "this function"), "its parameters are decomposed values")
    kwargs = {key: value for key, value in kwargs.items() if key not in ("inplace", "out")}

    def function(values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = func(values, *args, **kwargs)
        return result

    return split(run, function, numbers(input, getattr(func, "__name__", "")), input.total, two_sided=two_sided)


@rule(*ONE_SIDED.split())
def _one_sided(run: Pass, func: Any, input: Any, *args: Any, inplace: bool = False, **kwargs: Any) -> Any:
    name = getattr(func, "__name__", "")
    if name == "prelu":
        return _prelu(run, input, *args, **kwargs)
    if name == "rrelu":
        kwargs["training"] = False
    made = _entrywise(run, func, input, args, kwargs, run.convention.two_sided)
    return settle(input, made, f"{name} in place") if inplace else made


def _prelu(run: Pass, input: Any, weight: torch.Tensor) -> Any:
    shape = (-1, *(1,) * (input.ndim - 2)) if weight.numel() > 1 else ()
    slope = weight.reshape(shape)

    def function(values: torch.Tensor) -> torch.Tensor:
        return torch.where(values > 0, values, slope * values)

    return _entrywise(run, _named("prelu_", function), input, (), {}, run.convention.two_sided)


def _named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = name
    return function


@rule(*BOTH_SIDED.split())
def _both_sided(run: Pass, func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    name = getattr(func, "__name__", "")
    if (
        name in ("pow", "__pow__", "float_power")
        and args
        and not isinstance(args[0], Parts)
        and torch.as_tensor(args[0]).min() < 0
    ):
        refuse(name, "a negative power is not finite at 0, where the relevant part may be; divide instead")
    return _entrywise(run, func, input, args, kwargs, True)


@rule(*NO_ZERO.split())
def _not_at_zero(run: Pass, func: Any, *args: Any, **kwargs: Any) -> Any:
    refuse(
        getattr(func, "__name__", "this function"),
        "it is not finite or not defined at 0, where the relevant part may be",
    )


@rule(*SEVERAL.split())
def _several(run: Pass, func: Any, input: Any, *args: Any, **kwargs: Any) -> Any:
    """A function of several entries, both sides."""
    relevant = numbers(input, getattr(func, "__name__", ""))

    def function(values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = func(values, *args, **kwargs)
        return result

    total, at_zero = function(input.total), function(torch.zeros_like(input.total))
    part = (of_part(run, function, relevant) - at_zero + total - of_part(run, function, input.total - relevant)) / 2
    return affine(run, part, total - at_zero, at_zero)


@rule("softmax", "_softmax", "log_softmax", "_log_softmax", "special_softmax", "special_log_softmax")
def _softmax(run: Pass, func: Any, input: Any, dim: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Both sides; what the whole excludes (minus infinity) every part excludes."""
    if kwargs.get("dtype") is not None:
        input = input.to(kwargs["dtype"])
    relevant, dim = numbers(input, "softmax"), kwargs.get("dim", dim)
    if dim is None:
        refuse("softmax", "its dimension must be given: dim=-1")
    dim = dim if dim < 0 else dim - input.total.ndim
    function = torch.log_softmax if "log" in getattr(func, "__name__", "") else torch.softmax
    excluded = input.total == -torch.inf
    any_excluded = bool(excluded.any())

    def value(scores: torch.Tensor) -> torch.Tensor:
        kept = scores.masked_fill(excluded, -torch.inf) if any_excluded else scores
        result = function(kept, dim)
        return result.masked_fill(excluded, 0.0) if any_excluded and function is torch.log_softmax else result

    total = function(input.total, dim)
    finite = input.total.masked_fill(excluded, 0.0) if any_excluded else input.total
    at_zero, whole = value(torch.zeros_like(finite)), value(finite)
    part = (value(relevant) - at_zero + whole - value(finite - relevant)) / 2
    part = part.masked_fill(~(relevant != 0).any(dim, keepdim=True), 0.0)
    made = kept_apart(run, part, whole, at_zero)
    if any_excluded and function is torch.log_softmax:
        made.total = total
    return made


@rule("glu")
def _glu(run: Pass, func: Any, input: Any, dim: int = -1) -> Any:
    one, gate = input.chunk(2, dim)
    return one * torch.sigmoid(gate)


@rule("maximum", "fmax")
def _maximum(run: Pass, func: Any, input: Any, other: Any) -> Any:
    """Whose whole is larger."""
    return torch.where(*_compared(input, other, torch.ge), input, other)


@rule("minimum", "fmin")
def _minimum(run: Pass, func: Any, input: Any, other: Any) -> Any:
    return torch.where(*_compared(input, other, torch.le), input, other)


def _compared(input: Any, other: Any, compare: Callable[..., torch.Tensor]) -> tuple[torch.Tensor]:
    a, b = unwrap((input, other), lambda one: one.total)
    return (compare(a, b),)
