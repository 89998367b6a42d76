"""Nothing is left behind: global random states, and everything a torch module carries, are as they were afterwards."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["module_kept", "random_state_kept"]


@contextmanager
def random_state_kept() -> Iterator[None]:
    """The global random states of Python, NumPy and torch (where it is loaded), restored on leaving, also on errors."""
    python, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002 - kept, not used
    torch = sys.modules.get("torch")
    cpu = torch.get_rng_state() if torch is not None else None
    devices = torch.cuda.get_rng_state_all() if torch is not None and torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None:
            torch.set_rng_state(cpu)
            if devices is not None:
                torch.cuda.set_rng_state_all(devices)


@contextmanager
def module_kept(module: torch.nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """The module in evaluation mode, without gradients unless asked; on leaving, also on errors, it is as it was.

    Restored are each submodule's own train/eval flag and attributes, buffers (also their numbers), gradients, and
    `requires_grad`. Flags are set directly, so an overridden ``train()`` has no side effects. Hooks are not touched;
    forward hooks of the user's run, since they may be part of the model.
    """
    import torch

    modules = list(module.modules())
    attributes = [dict(part.__dict__) for part in modules]
    buffers = [dict(part._buffers) for part in modules]
    flags = [part.training for part in modules]
    numbers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    learned = [(p, p.grad, p.requires_grad) for p in module.parameters()]
    try:
        for part in modules:
            part.training = False
        with torch.set_grad_enabled(gradients):
            yield
    finally:
        for part, attribute, buffer, flag in zip(modules, attributes, buffers, flags, strict=True):
            _put_back(part.__dict__, attribute)
            _put_back(part._buffers, buffer)
            part.training = flag
        with torch.no_grad():
            for tensor, before in numbers:
                if not _same_numbers(tensor, before):
                    tensor.copy_(before)
        for parameter, gradient, wanted in learned:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if parameter.requires_grad != wanted:
                parameter.requires_grad_(wanted)


def _put_back(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Make one dictionary hold the very objects that it held before."""
    for key in [key for key in now if key not in before]:
        del now[key]
    for key, value in before.items():
        if key not in now or now[key] is not value:
            now[key] = value


def _same_numbers(tensor: torch.Tensor, before: torch.Tensor) -> bool:
    import torch

    return bool(torch.equal(tensor, before) or torch.equal(torch.nan_to_num(tensor), torch.nan_to_num(before)))
