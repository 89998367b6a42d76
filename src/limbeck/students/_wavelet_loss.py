"""What an adapted wavelet is fitted by: one function a term; and the teacher's gradients, asked once.

Source
------
Ha2021, equations 3 to 8: reconstruction, the conditions of a wavelet, sparse coefficients, sparse attributions.

Symbols
-------
h, `lowpass`; g, its quadrature mirror; W, `analyse`; s = W x; r, what W's inverse misses of x; f, the teacher.

Departures
----------
- r is the residual at the present filter, so f is asked at the rows themselves: its gradient there does not depend on
  the filter. It is asked once, before training, and the gradient with respect to s is the transpose of the inverse
  transform times it. A step needs no pass through the teacher, so also a slow teacher costs its gradients once.
- Of several outputs the mean of their attributions counts; the published code takes one output.
- Means over rows are weighted.

Checked
-------
tests/unit/test_wavelet_loss.py: every term is 0 where it must be and not where not; attributions against automatic
differentiation of f(W^-1 s + r).

Cost
----
One transform for each of sparsity and reconstruction, one an output for attributions. k backward passes a row, once;
they are no questions to a `Teacher`, which does not count them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from limbeck._core.errors import TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs
from limbeck.readable._wavelet_filters import ADJOINT
from limbeck.students._wavelet_transform import analyse, highpass

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "attributions",
    "highpass_sum",
    "lowpass_sum",
    "mean_size",
    "mirrored_spectra",
    "orthogonal_shifts",
    "reconstruction",
    "teacher_gradients",
    "unit_norm",
    "wavelet_conditions",
]

GRADIENT_ROWS = 256
"""Rows of which the teacher's gradients are asked at once."""


def reconstruction(x: torch.Tensor, again: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weighted mean over rows of ``||x - x^||^2``; the weights sum to 1."""
    return weights @ (x - again).square().flatten(1).sum(dim=1)


def lowpass_sum(lowpass: torch.Tensor) -> torch.Tensor:
    """``.5 (sum h - sqrt 2)^2``: the low-pass keeps a constant."""
    return 0.5 * (lowpass.sum() - math.sqrt(2.0)).square()


def highpass_sum(lowpass: torch.Tensor) -> torch.Tensor:
    """``.5 (sum g)^2``: a wavelet does not see a constant."""
    return 0.5 * highpass(lowpass).sum().square()


def unit_norm(lowpass: torch.Tensor) -> torch.Tensor:
    """``.5 (||h||^2 - 1)^2``."""
    return 0.5 * (lowpass.square().sum() - 1.0).square()


def mirrored_spectra(lowpass: torch.Tensor) -> torch.Tensor:
    """``.5 sum_w (|H(w)|^2 + |H(w + pi)|^2 - 2)^2`` over L / 2 frequencies: what one filter loses the other keeps."""
    power = torch.fft.fft(lowpass).abs().square()
    half = len(lowpass) // 2
    return 0.5 * (power[:half] + power[half:] - 2.0).square().sum()


def orthogonal_shifts(lowpass: torch.Tensor) -> torch.Tensor:
    """``.5 sum_k (sum_n h[n] h[n - 2k] - [k = 0])^2``: shifts by two stand at right angles; k of both signs."""
    length, zero = len(lowpass), lowpass.new_zeros(())
    total = (lowpass.square().sum() - 1.0).square()
    products = [(lowpass[shift:] * lowpass[: length - shift]).sum() for shift in range(2, length, 2)]
    return 0.5 * (total + 2.0 * sum((product.square() for product in products), zero))


def wavelet_conditions(lowpass: torch.Tensor) -> torch.Tensor:
    """The five conditions together: 0 for the filter of an orthogonal wavelet, above 0 for any other."""
    terms = (lowpass_sum, highpass_sum, unit_norm, mirrored_spectra, orthogonal_shifts)
    return torch.stack([term(lowpass) for term in terms]).sum()


def mean_size(parts: Sequence[torch.Tensor], weights: torch.Tensor) -> torch.Tensor:
    """The L1 norm of each part, the mean over parts (scales), and the weighted mean over rows."""
    sizes = torch.stack([part.abs().flatten(1).sum(dim=1) for part in parts])
    return weights @ sizes.mean(dim=0)


def attributions(
    gradients: torch.Tensor, lowpass: torch.Tensor, level: int, mode: str, axes: int = 1
) -> list[torch.Tensor]:
    """The gradient of ``f(W^-1 s + r)`` with respect to s, in the parts of `analyse`, from the gradient at the row."""
    return analyse(gradients, lowpass, level, ADJOINT[mode], axes)


def teacher_gradients(
    module: torch.nn.Module, rows: np.ndarray, report: Callable[[str, int, int], None] | None = None
) -> np.ndarray:
    """The gradient of every output of a torch module at each row ``(n, k, d)``, in single precision.

    The module is asked in evaluation mode, on its own device, in its own precision, and is afterwards as it was.

    Raises
    ------
    TeacherError
        Where the module raises, answers with NaN, has no gradient, or one that is not finite.
    """
    found = []
    with random_state_kept(), module_kept(module, gradients=True), torch.backends.cudnn.flags(enabled=False):
        for part in _batches(module, rows):
            found.append(_gradients_of(module, part))
            if report is not None:
                report("asking for gradients", sum(map(len, found)), len(rows))
    return np.concatenate(found)


def _batches(module: torch.nn.Module, rows: np.ndarray) -> Iterator[torch.Tensor]:
    own: Any = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), None)
    kind, device = (torch.float32, torch.device("cpu")) if own is None else (own.dtype, own.device)
    for part in np.array_split(rows, -(-len(rows) // GRADIENT_ROWS)):
        yield torch.tensor(part, device=device, dtype=kind, requires_grad=True)


def _gradients_of(module: torch.nn.Module, rows: torch.Tensor) -> np.ndarray:
    answers, name = module_outputs(module, rows), f"the network {type(module).__name__}"
    if not bool(torch.isfinite(answers).all()):
        raise TeacherError(f"{name} answers with NaN or infinite numbers on these rows")
    if not answers.requires_grad:
        raise TeacherError(f"{name} gives answers without a gradient; use torch operations only, or leave out teacher=")
    each = []
    for o in range(answers.shape[1]):
        (slope,) = torch.autograd.grad(answers[:, o].sum(), rows, retain_graph=True, allow_unused=True)
        each.append(torch.zeros_like(rows) if slope is None else slope.detach())
    found = torch.stack(each, dim=1).float().cpu().numpy()
    if not np.isfinite(found).all():
        raise TeacherError(f"{name} has a gradient that is NaN or infinite on these rows")
    return np.asarray(found)
