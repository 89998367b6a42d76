"""How smooth a network is: its mean Jacobian, the bound of its slope, and the largest slope that was found.

Source
------
Drucker1992 for the norm, Szegedy2013 for the bound: the product of the layers' spectral norms.

Departures
----------
- The bound counts each activation by the largest slope that it has: 1 for most, 1.0998 for SiLU.
- The largest slope is looked for from the steepest rows, by gradient ascent inside the range of the rows: what is
  found is there, but a steeper place may exist. It lies between the slope at the rows and the bound.

Checked
-------
tests/unit/test_penalties.py: linear maps, a bend that lies between rows, the bound above every slope.

Cost
----
One backward pass for each output over all rows, then 20 steps for 8 rows; the bound: about 100 products of a matrix
and a vector a layer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from limbeck._core.errors import InputError
from limbeck.training._lipschitz import largest_singular_values

__all__ = ["Smoothness", "smoothness"]

STEEPEST = 8
ASCENT = 20

SLOPE_OF: dict[type[torch.nn.Module], float] = {
    torch.nn.Identity: 1.0,
    torch.nn.Dropout: 1.0,
    torch.nn.Flatten: 1.0,
    torch.nn.ReLU: 1.0,
    torch.nn.Tanh: 1.0,
    torch.nn.Softplus: 1.0,
    torch.nn.Sigmoid: 0.25,
    torch.nn.SiLU: 1.0999,
    torch.nn.GELU: 1.1290,
}
"""The largest slope of an activation, rounded up."""


@dataclass(frozen=True)
class Smoothness:
    """How steep a network is.

    Attributes
    ----------
    mean_jacobian : float
        The mean over rows of the Frobenius norm of the Jacobian.
    largest_slope : float
        The largest spectral norm of the Jacobian that was found: so far can the answer move for a step of length 1.
    lipschitz_bound : float or None
        No slope is larger. None where the network is no plain chain of layers whose slopes are known.
    rows : int
        How many rows it was measured on.
    """

    mean_jacobian: float
    largest_slope: float
    lipschitz_bound: float | None
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON types."""
        return asdict(self)

    def text(self) -> str:
        """One line for a person."""
        bound = "not known" if self.lipschitz_bound is None else f"{self.lipschitz_bound:.3g}"
        return (
            f"mean Jacobian norm {self.mean_jacobian:.3g}, largest slope found {self.largest_slope:.3g}, "
            f"Lipschitz bound {bound}"
        )


def smoothness(model: torch.nn.Module, x: torch.Tensor) -> Smoothness:
    """How steep a model is at and between the rows of `x`, in the units of its inputs and outputs.

    Parameters
    ----------
    model : torch.nn.Module
        Is asked in eval mode, and is as it was afterwards.
    x : tensor ``(n, ...)``
        Rows of floating point.

    Raises
    ------
    InputError
        For rows that are not floating point or not finite, or outputs that are not ``(n,)`` or ``(n, k)``.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, 4.0]]))
    >>> smoothness(model, torch.rand(10, 2)).text()
    'mean Jacobian norm 5, largest slope found 5, Lipschitz bound 5'
    """
    if not isinstance(x, torch.Tensor) or not x.is_floating_point() or not x.numel() or not bool(x.isfinite().all()):
        raise InputError("x must be a tensor (n, ...) of at least one row of finite floating-point numbers")
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        J = _jacobians(model, x, keep=False)
        steepest = _spectral(J)
        found = max(float(steepest.max()), _climb(model, x, steepest))
    finally:
        for module, training in modes:
            module.training = training
    mean = float(torch.linalg.vector_norm(J, dim=(1, 2)).mean())
    return Smoothness(mean, found, _bound(model, x), len(x))


def _jacobians(model: torch.nn.Module, x: torch.Tensor, *, keep: bool) -> torch.Tensor:
    """The Jacobian of each row ``(n, k, d)``."""
    with torch.enable_grad():
        x = x if x.requires_grad and keep else x.detach().requires_grad_()
        outputs = model(x)
        outputs = outputs[:, None] if outputs.ndim == 1 else outputs
        if outputs.ndim != 2 or len(outputs) != len(x):
            raise InputError(f"the model must answer with (n,) or (n, k); got {tuple(outputs.shape)} for {len(x)} rows")
        rows = []
        for j in range(outputs.shape[1]):
            slope = None
            if outputs.requires_grad:
                total = outputs[:, j].sum()
                (slope,) = torch.autograd.grad(total, x, create_graph=keep, retain_graph=True, allow_unused=True)
            rows.append(torch.zeros_like(x) if slope is None else slope)
        return torch.stack([row.flatten(1) for row in rows], dim=1)


def _spectral(J: torch.Tensor) -> torch.Tensor:
    """The spectral norm of each matrix ``(n,)``."""
    if 1 in J.shape[1:]:
        return torch.linalg.vector_norm(J, dim=(1, 2))
    norms: torch.Tensor = torch.linalg.matrix_norm(J, 2)
    return norms


def _climb(model: torch.nn.Module, x: torch.Tensor, steepness: torch.Tensor) -> float:
    """The largest slope met on the way up from the steepest rows, inside the range of the rows."""
    low, high = x.amin(dim=0), x.amax(dim=0)
    at = x[steepness.topk(min(STEEPEST, len(x))).indices].detach()
    best = 0.0
    for step in range(ASCENT):
        at = at.requires_grad_()
        J = _jacobians(model, at, keep=True)
        best = max(best, float(_spectral(J.detach()).max()))
        squares = (J * J).sum()
        if not squares.requires_grad:
            break
        (up,) = torch.autograd.grad(squares, at, allow_unused=True)
        if up is None:
            break
        length = torch.linalg.vector_norm(up.flatten(1), dim=1).clamp_min(1e-30)
        stride = 0.1 * (high - low) * (1 - step / ASCENT)
        way = up / length.reshape(-1, *[1] * (up.ndim - 1)) * stride
        at = torch.minimum(torch.maximum(at.detach() + way, low), high)
    return best


def _bound(model: torch.nn.Module, x: torch.Tensor) -> float | None:
    """The product of the layers' norms and the activations' slopes, where the model is a chain of known ones."""
    chain = _chain(model)
    if chain is None:
        return None
    norms = iter(largest_singular_values(model, x) if any(hasattr(layer, "weight") for layer in chain) else ())
    bound = 1.0
    for layer in chain:
        bound *= next(norms) if hasattr(layer, "weight") else SLOPE_OF[type(layer)]
    return bound


def _chain(model: torch.nn.Module) -> list[torch.nn.Module] | None:
    """The layers of a chain, in order and each once; None where one is not known."""
    if isinstance(model, torch.nn.Sequential):
        parts = [_chain(part) for part in model]
        if any(part is None for part in parts):
            return None
        flat = [layer for part in parts if part is not None for layer in part]
        weighty = [id(layer) for layer in flat if hasattr(layer, "weight")]
        return flat if len(set(weighty)) == len(weighty) else None
    convolution = isinstance(model, torch.nn.modules.conv._ConvNd)
    return [model] if convolution or type(model) is torch.nn.Linear or type(model) in SLOPE_OF else None
