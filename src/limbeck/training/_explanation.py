"""The explanation penalty: what a network makes of inputs that a person marks as irrelevant counts against it.

Source
------
Rieger2020 (CDEP), on the parts of Singh2019's contextual decomposition.

Symbols
-------
beta, gamma -> relevant, irrelevant: the two parts of every output, beta + gamma = model(x), where the marked inputs
alone start in the relevant part; R = mean of e^beta / (e^beta + e^gamma), the softmax form; mean |beta|, the L1 form.

Departures
----------
- The L1 form is the default. R can be lowered by making gamma larger while beta stays or grows; |beta| can't.
- R is computed as sigmoid(beta - gamma), which overflows nowhere.
- Rows where nothing is marked count in neither form: their beta is 0, and R would still push their outputs up.
- The decomposition gives a bias to the irrelevant part where nothing is marked (rule "proportional"); the public code's
  rules are "acd" and "cdep".
- ``rule="occlusion"`` is not of the paper: beta = f(x) - f(x with the marked inputs at 0). A decomposition may be met
  by moving what the marked inputs do into gamma; what the outputs lose without them can't. It is also cheaper.
- The decomposition runs in eval mode, so dropout draws nothing and batch statistics stay; the public code leaves the
  network in eval mode for the rest of training.

Checked
-------
tests/unit/test_explanation_penalty.py: linear maps by hand, finite differences of value and gradient in float64, both
forms, and all that must not change. tests/truth/test_explanation_truth.py: a planted shortcut is let go.
benchmarks/explanation_penalty.py: the paper's sets.

Cost
----
A pass with the parts of all masks beside each other, and the backward pass through it; in plain steps:
benchmarks/explanation_penalty.py prints it.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Literal

import torch

from limbeck._core.errors import InputError, TeacherError, did_you_mean
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs

__all__ = ["explanation_penalty"]


def explanation_penalty(
    model: torch.nn.Module,
    x: torch.Tensor,
    mask: torch.Tensor,
    *,
    form: Literal["l1", "softmax"] = "l1",
    against: torch.Tensor | None = None,
    output: int | None = None,
    rule: str = "proportional",
) -> torch.Tensor:
    """How much the marked inputs alone move the outputs of a network, as a scalar for any loss.

    Differentiable in the parameters of the model. Modes, buffers, gradients, hooks and random state are as they were.

    Parameters
    ----------
    model : torch.nn.Module
        Any network that `limbeck.attribution.contextual_decomposition` follows; its raw outputs, not probabilities.
    x : tensor ``(n, *row)``
        A batch: floating point, or whole numbers that an embedding reads. The penalty on part of a batch costs less.
    mask : boolean tensor
        True where an input is to be ignored. The shape of one row, or what broadcasts to `x`: a region, or a region for
        each row. With one more dimension, ``(m, 1 or n, *row)``: m regions in one pass; the penalty is their mean.
    form : {"l1", "softmax"}
        The mean of the absolute relevant part, or the paper's share of it.
    against : boolean tensor, optional
        A second region, that shares no input with the first: what is penalised is how far the two together are from
        the sum of the two alone. Each may then act, but not with the other. With the L1 form only.
    output : int, optional
        The one output that counts; all of them where absent.
    rule : str
        As `contextual_decomposition` has it, or ``"occlusion"``: what the outputs lose where the marked inputs are 0.
        Choose what 0 means: give standardised rows, or a network of inputs in which 0 is "absent".

    Raises
    ------
    InputError
        For an `x` without rows, or of whole numbers with ``rule="occlusion"``; for a mask that is not boolean or fits
        no row, for an unknown form, for regions that overlap, for an output that is not there.
    TeacherError
        Where the network raises, or its parts are not finite.

    Source
    ------
    Rieger2020.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, 4.0, -2.0]]))
    >>> shortcut = torch.tensor([False, False, True])
    >>> float(explanation_penalty(model, torch.ones(5, 3), shortcut).detach())
    2.0
    """
    _check(x, form, against)
    region = _mask(mask, x, "mask")
    if against is None:
        regions, marked = region, _marked(region, x)
    else:
        regions, marked = _three(region, _mask(against, x, "against"), x)
    if not bool(marked.any()):
        return _nothing(model, x)
    parts = _occluded(model, x, regions) if rule == "occlusion" else _decomposed(model, x, regions, rule)
    relevant, irrelevant = (_outputs(part, output, len(x), masks=regions.ndim > x.ndim) for part in parts)
    if against is not None:
        both, one, other = relevant.reshape(3, -1, *relevant.shape[1:]).unbind()
        relevant = both - one - other
    counted = marked.to(relevant.dtype).expand(relevant.shape[:-1])
    each = FORMS[form](relevant, irrelevant).mean(dim=-1)
    penalty = (each * counted).sum() / counted.sum()
    if not bool(torch.isfinite(penalty)):
        raise TeacherError(f"the parts of the network's outputs must be finite; the penalty is {float(penalty)}")
    return penalty


def _decomposed(model: torch.nn.Module, x: torch.Tensor, regions: torch.Tensor, rule: str) -> tuple[torch.Tensor, ...]:
    from limbeck.attribution import contextual_decomposition  # a room beside this one, and only its public function

    return tuple(contextual_decomposition(model, x, regions, rule=rule, gradients=torch.is_grad_enabled()))


def _occluded(model: torch.nn.Module, x: torch.Tensor, regions: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What the outputs lose without the marked inputs, and what they are then: ``(n, k)`` or ``(m, n, k)`` each."""
    if not x.is_floating_point():
        raise InputError(
            f'rule="occlusion" puts 0 in place of marked inputs, so x must be floating point; got {x.dtype}'
        )
    several = regions.ndim > x.ndim
    without = torch.where(regions, torch.zeros((), dtype=x.dtype, device=x.device), x)
    rows = torch.cat([x, without.flatten(0, 1) if several else without])
    with random_state_kept(), module_kept(model, gradients=torch.is_grad_enabled()):
        outputs = module_outputs(model, rows)
    whole, rest = outputs[: len(x)], outputs[len(x) :]
    rest = rest.view(len(regions), len(x), -1) if several else rest
    return whole - rest, rest


def _l1(relevant: torch.Tensor, irrelevant: torch.Tensor) -> torch.Tensor:
    return relevant.abs()


def _softmax(relevant: torch.Tensor, irrelevant: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(relevant - irrelevant)


FORMS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {"l1": _l1, "softmax": _softmax}


def _check(x: Any, form: Any, against: Any) -> None:
    if not isinstance(x, torch.Tensor) or x.ndim < 2 or not len(x):
        came = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else f"a {type(x).__name__}"
        raise InputError(f"x must be a tensor (n, *row) of at least one row; got {came}")
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise InputError("x must be finite; it has NaN or infinite values")
    if form not in FORMS:
        raise InputError(f"form must be one of {', '.join(FORMS)}; got {form!r:.60}.{did_you_mean(form, FORMS)}")
    if against is not None and form != "l1":
        raise InputError(f"against= is measured by the L1 form; got form={form!r}. Leave form out")


def _mask(mask: Any, x: torch.Tensor, name: str) -> torch.Tensor:
    """The mask as ``(1 or n, *row)`` or ``(m, 1 or n, *row)``."""
    if not isinstance(mask, torch.Tensor):
        mask = torch.as_tensor(mask)
    if mask.dtype != torch.bool:
        raise InputError(f"{name} must be boolean, True where an input is meant; got {mask.dtype}. Compare: {name} > 0")
    shape, row = tuple(mask.shape), tuple(x.shape[1:])
    mask = mask.to(x.device)
    while mask.ndim < x.ndim:
        mask = mask[None]
    n = mask.shape[-x.ndim]
    fits = all(own in (1, need) for own, need in zip(mask.shape[-len(row) :], row, strict=True))
    if mask.ndim > x.ndim + 1 or not fits or n not in (1, len(x)) or not mask.numel():
        raise InputError(
            f"{name} must have the shape of one row, {row}, or broadcast to x, {tuple(x.shape)}, or be "
            f"(m, 1 or {len(x)}, *{row}); got {shape}"
        )
    return mask.expand(*mask.shape[: -len(row)], *row)


def _marked(region: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """For each row, or each region and row, whether anything is marked: ``(1 or n,)`` or ``(m, 1 or n)``."""
    return region.flatten(region.ndim - x.ndim + 1).any(dim=-1)


def _three(a: torch.Tensor, b: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both regions, the one and the other, as masks of one pass; and where there are two regions."""
    a, b = (v if v.ndim > x.ndim else v[None] for v in (a, b))
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise InputError(f"mask and against must be as many regions, or one of them one; got {len(a)} and {len(b)}")
    a, b = torch.broadcast_tensors(a, b)
    if bool((a & b).any()):
        raise InputError("mask and against must share no input, or what they do together is in each of them alone")
    return torch.cat([a | b, a, b]), _marked(a, x) & _marked(b, x)


def _outputs(part: torch.Tensor, output: int | None, n: int, *, masks: bool) -> torch.Tensor:
    """A part as ``(n, k)``, or ``(m, n, k)`` for more masks; k is 1 where one output counts."""
    rows = part.shape[: 2 if masks else 1]
    part = part.reshape(*rows, -1)
    if output is None:
        return part
    k = part.shape[-1]
    right = isinstance(output, numbers.Integral) and not isinstance(output, bool)
    if not right or not -k <= int(output) < k:
        raise InputError(f"output must be a whole number from 0 to {k - 1}, or None for all; got {output!r:.60}")
    return part[..., [int(output)]]


def _nothing(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Zero, of the type of the parameters, with a gradient of zero for each of them."""
    total = torch.zeros((), dtype=x.dtype if x.is_floating_point() else torch.float32, device=x.device)
    for p in model.parameters():
        if p.requires_grad:
            total = total.to(p.dtype) + p.flatten()[:1].sum() * 0.0
    return total
