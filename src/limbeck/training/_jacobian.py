"""The Jacobian penalty: how much a network's answers move with its inputs, at the rows of a batch.

Source
------
Drucker1992 (double backpropagation); Hoffman2019 (random projections); Dhar2025 asks whether it helps a formula that is
distilled from the network.

Symbols
-------
f, the network; J(x) = df/dx, ``(k, d)``; penalty = mean over rows of ||J(x)||_F^2; v, a direction among the outputs.

Departures
----------
- A projection is v uniform on the sphere of radius sqrt(k), so that E ||v J||^2 = ||J||_F^2; Hoffman2019 scales the
  unit vector the same way. With one output it is exact.
- As many projections as outputs, or more, are replaced by the exact sum: the same cost, and no noise.
- `chain_with_jacobian` writes v J of a chain of linear layers out, layer by layer, instead of asking for it: the
  penalty then takes part of a batch while the loss takes all of it, in one forward pass.

Checked
-------
tests/unit/test_penalties.py: ||W||_F^2 of a linear map, finite differences of value and gradient in float64, both ways
against each other.

Cost
----
One backward pass through the network for each output or projection, and the backward pass through those. A step of a
network of 3 x 128 units, with one output or one projection: about 2.1 times a plain step (benchmarks/penalties.py).
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

import torch

from limbeck._core.errors import InputError

__all__ = ["chain_with_jacobian", "jacobian_penalty", "linear_chain"]

Slopes: TypeAlias = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""The first and the second derivative of an activation."""


def jacobian_penalty(
    model: torch.nn.Module,
    x: torch.Tensor,
    n_projections: int | None = None,
    *,
    outputs: torch.Tensor | None = None,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The mean over rows of the squared Frobenius norm of the Jacobian, ``d model(x) / d x``: a scalar for any loss.

    Differentiable in the parameters of the model, and in `x` where that requires a gradient. Modes, gradients and
    flags of model and `x` are as they were. A row's Jacobian is taken as if no other row changed its answer: batch
    normalisation in train mode breaks that, and the answer is then not the Jacobian of any row.

    Parameters
    ----------
    model : torch.nn.Module
        Or any function of a batch.
    x : tensor ``(n, ...)``
        A batch of floating point. The penalty on part of a batch, ``x[:32]``, costs less.
    n_projections : int, optional
        So many random directions among the outputs in place of all outputs: unbiased, one more backward pass each.
        None is exact: one backward pass for each output.
    outputs : tensor ``(n,)`` or ``(n, k)``, optional
        ``model(x)`` where it was computed already, from an `x` that requires a gradient: no second forward pass.
    generator : torch.Generator, optional
        For the directions; torch's global one where absent.

    Raises
    ------
    InputError
        For an `x` that is not floating point or has no rows, for outputs that are not ``(n,)`` or ``(n, k)``, or that
        were computed from another `x`.

    Source
    ------
    Drucker1992, Hoffman2019.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> float(jacobian_penalty(model, torch.zeros(5, 2)).detach())
    25.0
    """
    _check(x, n_projections)
    recording = torch.is_grad_enabled()
    with torch.enable_grad():
        if outputs is None:
            x = x if x.requires_grad else x.detach().requires_grad_()
            outputs = model(x)
        elif not x.requires_grad:
            raise InputError("outputs= needs the x that they were computed from, with requires_grad; this x has it not")
        penalty = _mean_square(_matrix(outputs, len(x)), x, n_projections, generator)
    return penalty if recording else penalty.detach()


def _check(x: Any, n_projections: Any) -> None:
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or x.ndim < 1 or not len(x):
        came = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else f"a {type(x).__name__}"
        raise InputError(f"x must be a floating-point tensor (n, ...) of at least one row; got {came}")
    right = isinstance(n_projections, numbers.Integral) and not isinstance(n_projections, bool)
    if n_projections is not None and (not right or int(n_projections) < 1):
        raise InputError(f"n_projections must be a whole number of at least 1, or None; got {n_projections!r:.60}")


def _matrix(outputs: Any, n: int) -> torch.Tensor:
    shape = tuple(getattr(outputs, "shape", ()))
    if not isinstance(outputs, torch.Tensor) or outputs.ndim not in (1, 2) or len(outputs) != n:
        raise InputError(f"the model must answer {n} rows with ({n},) or ({n}, k); got {shape or type(outputs)}")
    return outputs[:, None] if outputs.ndim == 1 else outputs


def _mean_square(
    outputs: torch.Tensor, x: torch.Tensor, n_projections: int | None, generator: torch.Generator | None
) -> torch.Tensor:
    """The mean over rows of ``||J||_F^2``, or its estimate."""
    n, k = outputs.shape
    if not outputs.requires_grad:
        return outputs.new_zeros(())
    if n_projections is None or n_projections >= k:
        directions, scale = [_one_output(outputs, j) for j in range(k)], 1.0
    else:
        directions = [random_directions(outputs, generator) for _ in range(n_projections)]
        scale = 1.0 / n_projections
    total = outputs.sum() * 0.0  # keeps the graph where no output depends on x
    for v in directions:
        (slope,) = torch.autograd.grad(outputs, x, v, create_graph=True, allow_unused=True)
        if slope is not None:
            total = total + (slope * slope).sum()
    return total * (scale / n)


def _one_output(outputs: torch.Tensor, j: int) -> torch.Tensor:
    v = torch.zeros_like(outputs)
    v[:, j] = 1.0
    return v


def random_directions(outputs: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """For each row a direction ``(n, k)``, uniform on the sphere of radius ``sqrt(k)``."""
    v = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype, device=outputs.device)
    return v * (v.shape[1] ** 0.5 / torch.linalg.vector_norm(v, dim=1, keepdim=True))


def _slopes_of_silu(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = torch.sigmoid(a)
    t = s * (1 - s)
    return torch.addcmul(s, a, t), t * (2 + a * (1 - 2 * s))


def _slopes_of_tanh(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    h = torch.tanh(a)
    first = 1 - h * h
    return first, -2 * h * first


def _slopes_of_relu(a: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (a > 0).to(a.dtype), torch.zeros((), dtype=a.dtype, device=a.device)


SLOPES: dict[type[torch.nn.Module], Slopes] = {
    torch.nn.SiLU: _slopes_of_silu,
    torch.nn.Tanh: _slopes_of_tanh,
    torch.nn.ReLU: _slopes_of_relu,
}


class _ThroughActivation(torch.autograd.Function):
    """``u * act'(a)``, whose gradient in ``a`` is ``u * act''(a)``."""

    @staticmethod
    def forward(ctx: Any, u: torch.Tensor, a: torch.Tensor, slopes: Slopes) -> torch.Tensor:
        first, second = slopes(a)
        ctx.save_for_backward(u, first, second)
        return u * first

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        u, first, second = ctx.saved_tensors
        return g * first, g * u * second, None


def linear_chain(model: torch.nn.Module) -> list[torch.nn.Module] | None:
    """The layers of a plain chain - linear, activation, linear, ... linear - or None for anything else."""
    if type(model) is not torch.nn.Sequential:
        return None
    layers = list(model)
    right = len(layers) % 2 == 1 and all(
        type(layer) in SLOPES if i % 2 else type(layer) is torch.nn.Linear for i, layer in enumerate(layers)
    )
    return layers if right else None


def chain_with_jacobian(
    layers: list[torch.nn.Module],
    x: torch.Tensor,
    rows: int,
    n_projections: int | None = None,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers ``(n, k)`` of a chain to a batch, and the Jacobian penalty on its first `rows` rows."""
    before: list[torch.Tensor] = []
    h = x
    for i, layer in enumerate(layers):
        if i % 2:
            before.append(h[:rows])
        h = layer(h)
    part = h[:rows].detach()
    if n_projections is None or n_projections >= h.shape[1]:
        directions, scale = [_one_output(part, j) for j in range(h.shape[1])], 1.0
    else:
        directions, scale = [random_directions(part, generator) for _ in range(n_projections)], 1.0 / n_projections
    total = h.new_zeros(())
    for u in directions:
        for i in range(len(layers) - 1, -1, -1):
            layer = layers[i]
            if isinstance(layer, torch.nn.Linear):
                u = u @ layer.weight
            else:
                u = _ThroughActivation.apply(u, before[i // 2], SLOPES[type(layer)])  # type: ignore[no-untyped-call]
        total = total + (u * u).sum()
    return h, total * (scale / rows)
