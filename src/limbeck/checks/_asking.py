"""How the checks ask a network for the output that is explained, and the attribution by occlusion.

Departures
----------
The network is asked in eval mode, and each of its parts is put back in its own mode.

Cost
----
A forward pass runs over at most 64 MB of rows at once.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept
from limbeck._core.module_outputs import module_outputs

if TYPE_CHECKING:
    import torch

__all__ = [
    "Effects",
    "as_baseline",
    "as_numbers",
    "as_outputs",
    "as_rows",
    "copied",
    "explained",
    "occlusion_effects",
    "without",
]

Effects: TypeAlias = "Callable[[Any, Any, Any], Any]"
"""``(model, x (n, *row), masks (m, *row)) -> (m, n)``."""

BATCH_BYTES = 64 * 2**20


def occlusion_effects(output: Any, baseline: Any = 0.0) -> Effects:
    """An attribution: how much the output falls where a group is put to the baseline, ``f(x) - f(x without it)``.

    Parameters
    ----------
    output : int, or array ``(n,)``
        The explained output of each row.
    baseline : number or array
        What stands for "absent".

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Linear(2, 1, bias=False)
    >>> net.weight.data = torch.tensor([[2.0, 3.0]])
    >>> effects = occlusion_effects(0)
    >>> effects(net, torch.ones(1, 2), torch.eye(2, dtype=torch.bool)).tolist()
    [[2.0], [3.0]]
    """

    def effects(model: Any, x: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
        outputs = as_outputs(output, len(x))
        base = as_baseline(baseline, x)
        left = [explained(model, without(x, mask, base), outputs, x.ndim) for mask in masks]
        return explained(model, x, outputs, x.ndim) - np.array(left).reshape(len(masks), len(x))

    return effects


def without(x: torch.Tensor, mask: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """The rows with the positions of `mask` absent."""
    import torch

    return torch.where(mask, base, x)


def explained(model: torch.nn.Module, x: torch.Tensor, output: np.ndarray, ndim: int) -> np.ndarray:
    """The explained output ``(..., n)`` of rows ``(..., n, *row)``, whose dimensions ``(n, *row)`` are `ndim`."""
    lead = tuple(x.shape[: x.ndim - ndim])
    flat = x.reshape(-1, *x.shape[x.ndim - ndim + 1 :])
    size = max(1, BATCH_BYTES // max(1, flat[:1].numel() * flat.element_size()))
    with module_kept(model):
        values = [as_numbers(module_outputs(model, flat[start : start + size])) for start in range(0, len(flat), size)]
    answers = np.concatenate(values)
    wanted = np.tile(output, len(flat) // len(output))
    if wanted.max() >= answers.shape[1]:
        raise InputError(f"output must be below {answers.shape[1]}, the network's outputs; got {wanted.max()}")
    if not np.isfinite(answers).all():
        bad = int((~np.isfinite(answers).all(axis=1)).sum())
        raise TeacherError(f"the network's outputs must be numbers; {bad} of {len(answers)} rows got NaN or infinity")
    return np.asarray(answers[np.arange(len(answers)), wanted].reshape(*lead, -1))


def copied(model: torch.nn.Module) -> torch.nn.Module:
    """A copy of the network with weights of its own."""
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise TeacherError(
            f"the network must be one that can be copied, so that its own weights stay as they are; copy.deepcopy "
            f"raised {type(error).__name__}: {error!s:.200}"
        ) from error


def as_numbers(given: Any) -> np.ndarray:
    """A float64 array of a tensor or of anything else that is one."""
    if hasattr(given, "detach"):
        given = given.detach().cpu()
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"an array of numbers is required; got {type(given).__name__}") from None


def as_rows(model: torch.nn.Module, x: Any) -> torch.Tensor:
    import torch

    try:
        rows = x.detach() if isinstance(x, torch.Tensor) else torch.as_tensor(np.asarray(x))
    except (TypeError, ValueError):
        raise InputError(f"x must be an array of numbers (n, *row); got {type(x).__name__} that is not one") from None
    if rows.ndim < 2 or not rows.numel():
        raise InputError(f"x must be rows (n, *row) with n of at least 1; got shape {tuple(rows.shape)}")
    if rows.dtype == torch.bool or rows.is_complex():
        raise InputError(f"x must be of real numbers or whole ones; got {rows.dtype}")
    if not rows.is_floating_point():
        return rows.long() if not isinstance(x, torch.Tensor) else rows
    if not torch.isfinite(rows).all():
        bad = int((~torch.isfinite(rows)).reshape(len(rows), -1).any(dim=1).sum())
        raise InputError(f"x must be finite; {bad} of {len(rows)} rows hold NaN or infinity")
    weights = [p for p in model.parameters() if p.is_floating_point()]
    return rows.to(weights[0].dtype) if weights else rows


def as_outputs(output: Any, n: int) -> np.ndarray:
    array = np.asarray(output.cpu() if hasattr(output, "cpu") else output)
    if array.dtype.kind not in "iu" or array.shape not in ((), (n,)) or array.min(initial=0) < 0:
        raise InputError(
            f"output must be a whole number >= 0, or {n} of them, one a row; got {array.dtype} of shape {array.shape}"
        )
    return np.broadcast_to(array, (n,)).astype(np.int64)


def as_baseline(baseline: Any, x: torch.Tensor) -> torch.Tensor:
    import torch

    try:
        base = torch.as_tensor(baseline, device=x.device)
        fits = bool(torch.isfinite(base).all()) and (x.is_floating_point() or bool((base == base.round()).all()))
        return base.to(x.dtype).expand(x.shape[1:]) if fits else _unfit(baseline, x)
    except (TypeError, ValueError, RuntimeError):
        return _unfit(baseline, x)


def _unfit(baseline: Any, x: torch.Tensor) -> torch.Tensor:
    kind = "numbers" if x.is_floating_point() else "whole numbers, as x is"
    raise InputError(
        f"baseline must be finite {kind}, of a shape that fits a row {tuple(x.shape[1:])}; got {baseline!r:.80}"
    )
