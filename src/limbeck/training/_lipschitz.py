"""The Lipschitz penalty: the spectral norms of a network's layers, whose product bounds how steep it can be.

Source
------
Yoshida2017 (spectral norms as a penalty, one step of power iteration each time); Golub1965 (the first norm of a layer);
Dhar2025 asks whether it helps a formula that is distilled from the network.

Symbols
-------
W_l, the map of layer l without its bias; sigma_l, its largest singular value; u_l, v_l, its first singular vectors.
``form="log"``: sum_l log sigma_l; ``form="product"``: prod_l sigma_l, the Lipschitz bound of a chain of 1-Lipschitz
activations.

Departures
----------
- A convolution counts as the operator that it is on its input, with its stride and padding, not as its kernel reshaped
  to a matrix, which can be several times off either way.
- The first call for a layer finds v_l by Golub-Kahan bidiagonalisation in float64, to a residual of 1e-8; each later
  call takes half a step from there, from v_l to u_l or back, and begins anew where sigma_l moved by more than a tenth.
- A little of a fixed random vector is added to v_l at every sixteenth call (1e-4, so 1e-8 of sigma_l): without it, v_l
  could stay with a singular vector that is no longer the first.

Checked
-------
tests/unit/test_penalties.py: singular values of matrices and of convolutions written as matrices, finite differences.

Cost
----
One product of a matrix and a vector a layer; a step of a network of 3 x 128 units takes about 1.4 times a plain one
(benchmarks/penalties.py). The first call: up to 100 products a layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

import torch

from limbeck._core.errors import InputError

__all__ = ["largest_singular_values", "lipschitz_penalty"]

Form: TypeAlias = Literal["log", "product"]
Size: TypeAlias = tuple[int, ...]
Map: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
_Part: TypeAlias = "tuple[torch.nn.Module, Size, _Found, float]"

FLOOR = 1e-6
"""A smaller norm counts as this one in the logarithm, and has no gradient there."""

DEFAULT_SIZE = 16
"""The size of a convolution's input in each direction where none was seen; its kernel's where that is larger."""

MOST_STEPS = 100
MOVED = 1.1
NUDGE, NUDGE_EVERY = 1e-4, 16

CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
LAYERS = (torch.nn.Linear, *CONVOLUTIONS, *TRANSPOSED)


@dataclass
class _Vector:
    """What is remembered of a layer: one of its first singular vectors, the norm, and what they belong to."""

    key: tuple[Any, ...]
    vector: torch.Tensor
    nudge: torch.Tensor
    is_left: bool = False
    sigma: float = math.nan
    calls: int = 0

    def advance(self, sigma: float, vector: torch.Tensor) -> None:
        """Remember the vector of the other side; from time to time a little of something else is mixed in."""
        self.calls += 1
        self.is_left, self.sigma, self.vector = not self.is_left, sigma, vector
        if self.calls % NUDGE_EVERY == 0 and not self.is_left:
            mixed = torch.add(vector, self.nudge, alpha=NUDGE)
            self.vector = mixed / torch.linalg.vector_norm(mixed)


_VECTORS: WeakKeyDictionary[torch.nn.Module, _Vector] = WeakKeyDictionary()
_SEEN: WeakKeyDictionary[torch.nn.Module, tuple[Size, WeakKeyDictionary[torch.nn.Module, Size]]] = WeakKeyDictionary()


def lipschitz_penalty(model: torch.nn.Module, x: torch.Tensor | None = None, *, form: Form = "log") -> torch.Tensor:
    """The sum of the logarithms of the spectral norms of the linear and convolution layers: a scalar for any loss.

    Differentiable in the weights. The model is not changed: what is remembered between calls is kept outside it and
    goes with it. Other layers (normalisation, recurrence, attention's own matrices) are not counted, and a layer that
    is used twice counts once.

    Parameters
    ----------
    model : torch.nn.Module
        With at least one ``Linear``, ``Conv1d`` to ``Conv3d`` or ``ConvTranspose1d`` to ``ConvTranspose3d``.
    x : tensor ``(n, ...)``, optional
        A batch that shows on which size of input each convolution works: the model is asked once, in eval mode, for
        each new shape. Where absent, or for a convolution that `x` does not reach, 16 in each direction. Models without
        convolutions need none.
    form : {"log", "product"}
        "product" is the product of the norms: the Lipschitz bound where all activations are 1-Lipschitz.

    Raises
    ------
    InputError
        For a model without such layers, or an unknown form.

    Source
    ------
    Yoshida2017.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 2)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.diag(torch.tensor([3.0, 1.0])))
    >>> round(float(lipschitz_penalty(model, form="product").detach()), 4)
    3.0
    """
    if form not in ("log", "product"):
        raise InputError(f"form must be 'log' or 'product'; got {form!r:.60}")
    layers = _layers(model, x)
    with torch.no_grad():
        found = [_find(layer, size) for layer, size in layers]
    value, slopes = (_logarithms if form == "log" else _product)([one.sigma for one in found])
    parts = [(layer, size, one, slope) for (layer, size), one, slope in zip(layers, found, slopes, strict=True)]
    penalty: torch.Tensor = _OfNorms.apply(value, parts, *[_weight(layer) for layer, _ in layers])  # type: ignore[no-untyped-call]
    return penalty


def largest_singular_values(model: torch.nn.Module, x: torch.Tensor | None = None) -> list[float]:
    """The largest singular value of each linear and convolution layer, found anew, in the order of the layers."""
    found = []
    for layer, size in _layers(model, x):
        forward, adjoint, shape = _maps(layer, _weight(layer).detach().double(), size)
        with torch.no_grad():
            v = _first_vector(forward, adjoint, _noise(shape, 0).to(_weight(layer).device))
            found.append(float(torch.linalg.vector_norm(forward(v))))
    return found


def _layers(model: torch.nn.Module, x: torch.Tensor | None) -> list[tuple[torch.nn.Module, Size]]:
    """The layers that count, each with the size of its input (none for linear ones)."""
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"a torch.nn.Module is required; got a {type(model).__name__}")
    layers = [layer for layer in model.modules() if isinstance(layer, LAYERS)]
    if not layers:
        raise InputError(f"a model with linear or convolution layers is required; {type(model).__name__} has none")
    if all(isinstance(layer, torch.nn.Linear) for layer in layers):
        return [(layer, ()) for layer in layers]
    seen = {} if x is None else _sizes(model, x, layers)
    return [
        (layer, () if isinstance(layer, torch.nn.Linear) else seen.get(layer) or _default(layer)) for layer in layers
    ]


def _default(layer: Any) -> Size:
    extents = zip(layer.kernel_size, layer.dilation, strict=True)
    return tuple(max(DEFAULT_SIZE, (kernel - 1) * dilation + 1) for kernel, dilation in extents)


def _sizes(model: torch.nn.Module, x: torch.Tensor, layers: list[Any]) -> WeakKeyDictionary[torch.nn.Module, Size]:
    """The size of each convolution's input on a batch like `x`; the model is asked once for each shape."""
    known = _SEEN.get(model)
    if known is not None and known[0] == tuple(x.shape):
        return known[1]
    sizes: WeakKeyDictionary[torch.nn.Module, Size] = WeakKeyDictionary()

    def look(layer: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        sizes[layer] = tuple(inputs[0].shape[-len(layer.kernel_size) :])

    hooks = [layer.register_forward_pre_hook(look) for layer in layers if not isinstance(layer, torch.nn.Linear)]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            model(x[:1])
    finally:
        for module, training in modes:
            module.training = training
        for hook in hooks:
            hook.remove()
    _SEEN[model] = (tuple(x.shape), sizes)
    return sizes


def _weight(layer: torch.nn.Module) -> torch.Tensor:
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return weight


def _maps(layer: Any, weight: torch.Tensor, size: Size) -> tuple[Map, Map, Size]:
    """A layer without its bias, its transpose, and the shape of what it takes."""
    if isinstance(layer, torch.nn.Linear):
        return weight.mv, weight.t().mv, (weight.shape[1],)
    shape = (1, layer.in_channels, *size)

    def forward(v: torch.Tensor) -> torch.Tensor:
        if not isinstance(layer, TRANSPOSED):
            out: torch.Tensor = layer._conv_forward(v, weight, None)
            return out
        call = getattr(torch.nn.functional, f"conv_transpose{len(size)}d")
        settings = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
        return call(v, weight, None, *settings)  # type: ignore[no-any-return]

    def adjoint(u: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            at = torch.zeros(shape, dtype=weight.dtype, device=weight.device, requires_grad=True)
            (found,) = torch.autograd.grad(forward(at), at, u)
        return found

    return forward, adjoint, shape


@dataclass(frozen=True)
class _Found:
    """The norm of a layer as it is now, and its singular vectors: ``u^T W v``."""

    sigma: float
    u: torch.Tensor
    v: torch.Tensor


def _find(layer: torch.nn.Module, size: Size) -> _Found:
    """The largest singular value of a layer, by half a step from what is remembered of it."""
    weight = _weight(layer).detach()
    forward, adjoint, shape = _maps(layer, weight, size)
    key = (shape, weight.shape, weight.dtype, weight.device)
    known = _VECTORS.get(layer)
    if known is not None and known.key == key:
        image = adjoint(known.vector) if known.is_left else forward(known.vector)
        sigma = float(torch.linalg.vector_norm(image))
        if not known.sigma / MOVED <= sigma <= known.sigma * MOVED:
            known = None
    if known is None or known.key != key:
        known = _start(layer, key, size)
        image = forward(known.vector)
        sigma = float(torch.linalg.vector_norm(image))
    before, is_left = known.vector, known.is_left
    after = image / sigma if sigma > 0 else image
    if sigma > 0 and math.isfinite(sigma):
        known.advance(sigma, after)
        _VECTORS[layer] = known
    else:
        _VECTORS.pop(layer, None)
    return _Found(sigma, before, after) if is_left else _Found(sigma, after, before)


class _OfNorms(torch.autograd.Function):
    """A number made of the norms of layers, whose gradient is ``slope * u v^T``, as far as the layer has it."""

    @staticmethod
    def forward(ctx: Any, value: float, parts: Sequence[_Part], *weights: torch.Tensor) -> torch.Tensor:
        ctx.parts = parts
        return torch.tensor(value, dtype=weights[0].dtype, device=weights[0].device)

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scale = float(g)
        return None, None, *[_gradient(layer, size, one, slope * scale) for layer, size, one, slope in ctx.parts]


def _gradient(layer: torch.nn.Module, size: Size, found: _Found, scale: float) -> torch.Tensor:
    """The gradient of ``scale * u^T W v`` in the weight of a layer."""
    if not size:
        return torch.outer(found.u * scale, found.v)
    with torch.enable_grad():
        weight = _weight(layer).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(_maps(layer, weight, size)[0](found.v), weight, found.u * scale)
    return gradient


def _logarithms(norms: list[float]) -> tuple[float, list[float]]:
    """The sum of the logarithms, and its slope in each norm."""
    return sum(math.log(max(s, FLOOR)) for s in norms), [1.0 / s if s > FLOOR else 0.0 for s in norms]


def _product(norms: list[float]) -> tuple[float, list[float]]:
    """The product, and its slope in each norm."""
    return math.prod(norms), [math.prod(norms[:i] + norms[i + 1 :]) for i in range(len(norms))]


def _start(layer: torch.nn.Module, key: tuple[Any, ...], size: Size) -> _Vector:
    """The right singular vector of a layer that is new, or was changed a good deal."""
    weight = _weight(layer).detach()
    forward, adjoint, shape = _maps(layer, weight.double(), size)
    start, nudge = _noise(shape, 0).to(weight.device), _noise(shape, 1).to(weight)
    with torch.no_grad():
        v = _first_vector(forward, adjoint, start).to(weight.dtype)
    return _Vector(key, v, nudge / torch.linalg.vector_norm(nudge))


def _noise(shape: Size, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _first_vector(forward: Map, adjoint: Map, start: torch.Tensor) -> torch.Tensor:
    """The first right singular vector of a map, by bidiagonalisation with full reorthogonalisation."""
    right, left = [start / torch.linalg.vector_norm(start)], []  # type: list[torch.Tensor], list[torch.Tensor]
    diagonal: list[float] = []
    above: list[float] = []
    most = min(MOST_STEPS, start.numel())
    for step in range(most):
        u = _without(forward(right[-1]), left)
        length = float(torch.linalg.vector_norm(u))
        if not length > 1e-12 * max([*diagonal, 1e-300]):
            break
        diagonal.append(length)
        left.append(u / length)
        w = _without(adjoint(left[-1]), right)
        above.append(float(torch.linalg.vector_norm(w)))
        if not above[-1] > 1e-12 * max(diagonal) or step == most - 1:
            break
        if step % 5 == 4:
            p, sigma, _ = _small(diagonal, above, len(right))
            if above[-1] * abs(float(p[-1, 0])) <= 1e-8 * float(sigma[0]):
                break
        right.append(w / above[-1])
    if not diagonal:
        return right[0]
    weights = _small(diagonal, above, len(right))[2][0].tolist()
    return sum((c * v for c, v in zip(weights, right, strict=True)), torch.zeros_like(start))


def _small(diagonal: list[float], above: list[float], n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The singular value decomposition of the bidiagonal matrix of `n` columns."""
    B = torch.zeros((len(diagonal), n), dtype=torch.float64)
    for i, value in enumerate(diagonal):
        B[i, i] = value
        if i + 1 < n:
            B[i, i + 1] = above[i]
    return torch.linalg.svd(B, full_matrices=False)  # type: ignore[no-any-return]


def _without(vector: torch.Tensor, others: list[torch.Tensor]) -> torch.Tensor:
    """The vector less what it has of the others, twice, as once leaves a rest."""
    for _ in range(2):
        for other in others:
            vector = vector - torch.sum(vector * other) * other
    return vector
