"""A torch module as a teacher: asked in evaluation mode, on its own device, in its own precision; left as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept
from limbeck.teachers._reading import Reading
from limbeck.teachers._size import module_size
from limbeck.teachers._source import Source, float_matrix

__all__ = ["single_tensor", "tensors_from", "torch_source"]


def torch_source(module: torch.nn.Module, *, prepared: bool = False) -> Source:
    """A source that calls the module with one matrix, or, where `prepared`, with what `preprocess` gives.

    Raises
    ------
    InputError
        For lazy layers that were never run, and for parameters without numbers (device "meta").
    """
    name = f"the torch module {type(module).__name__}"
    tensors = [*module.parameters(), *module.buffers()]
    if any(torch.nn.parameter.is_lazy(tensor) for tensor in tensors):
        raise InputError(f"{name} has lazy layers that were never run; call it once on a batch, then wrap it")
    if any(tensor.device.type == "meta" for tensor in tensors):
        raise InputError(f"{name} has parameters without numbers (device 'meta'); load its weights first")
    device = tensors[0].device if tensors else torch.device("cpu")
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())

    def ask(rows: Any) -> torch.Tensor:
        return call(rows)()

    def call(rows: Any) -> Callable[[], torch.Tensor]:
        tensors = tensors_from(rows, name, device, dtype, prepared=prepared)
        return lambda: single_tensor(module(*tensors), name)

    def own(rows: Any, reading: Reading) -> np.ndarray:
        answer = ask(rows)
        answer = answer.reshape(len(answer), -1)
        if reading.how == "logits":
            answer = torch.nn.functional.softmax(answer, dim=1)
        elif reading.how == "logit":
            answer = torch.special.expit(answer)
        if reading.how in ("logit", "positive"):
            answer = torch.cat([1 - answer, answer], dim=1)
        return np.asarray(answer.double().cpu().numpy())

    notes, first = [], [True]
    if any(part.training for part in module.modules()):
        notes.append("the module is in training mode; it is asked in evaluation mode, and its mode is left as it is")
    if device.type != "cpu" or dtype != torch.float32:
        notes.append(f"asked on {device} in {str(dtype).removeprefix('torch.')}")
    return Source(
        "torch",
        name,
        ask,
        guard=lambda: _kept_with_parameters(module, name, first),
        notes=tuple(notes),
        own=own,
        eps=float(torch.finfo(dtype).eps),
        form="torch",
        size=lambda: module_size(module),
        call=call,
        module=None if prepared else lambda: module,
    )


@contextmanager
def _kept_with_parameters(module: torch.nn.Module, name: str, first: list[bool]) -> Iterator[None]:
    """The module as it was; an error where asking it changes its own parameters.

    Their numbers are copied on the first call only; later ones look at torch's own count of changes.
    """
    numbers = [parameter.detach().clone() for parameter in module.parameters()] if first else None
    versions = [_version(parameter) for parameter in module.parameters()]
    try:
        with module_kept(module):
            yield
    finally:
        changed = [p for p, v in zip(module.parameters(), versions, strict=True) if _version(p) != v]
        if changed and numbers is not None:
            with torch.no_grad():
                for parameter, before in zip(module.parameters(), numbers, strict=True):
                    parameter.copy_(before)
    if changed:
        raise TeacherError(
            f"{name} changes {len(changed)} of its own parameters when it is asked; a teacher must stay as it is. "
            "Take the update out of forward()."
        )
    first.clear()


def _version(tensor: torch.Tensor) -> int:
    return -1 if tensor.is_inference() else int(tensor._version)


def tensors_from(
    rows: Any, name: str, device: torch.device, dtype: torch.dtype, *, prepared: bool
) -> tuple[torch.Tensor, ...]:
    """The module's inputs: one matrix of the module's own type; or what `preprocess` gave, one or several.

    Whole numbers that `preprocess` gave stay whole, as embeddings need them.
    """
    if not prepared:
        return (torch.as_tensor(float_matrix(rows, name)).to(device=device, dtype=dtype),)
    tensors = []
    for part in rows if isinstance(rows, tuple) else (rows,):
        if isinstance(part, torch.Tensor):
            tensor = part.detach().clone()
        else:
            tensor = torch.tensor(part if isinstance(part, np.ndarray) else float_matrix(part, name))
        tensors.append(tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else tensor.dtype))
    return tuple(tensors)


def single_tensor(answer: Any, name: str) -> torch.Tensor:
    """The module's one output.

    Raises
    ------
    TeacherError
        Where it gives none, or several.
    """
    if isinstance(answer, tuple | list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, torch.Tensor):
        size = f" of {len(answer)}" if hasattr(answer, "__len__") else ""
        raise TeacherError(
            f"{name} must return one tensor of shape (n,) or (n, k); it returned a {type(answer).__name__}{size}. "
            "Wrap it in a module whose forward() returns the one that is to be distilled."
        )
    return answer
