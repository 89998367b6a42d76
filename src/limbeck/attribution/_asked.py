"""A network that is asked for its slopes: left as it was, and its answers seen to be of use before they are explained.

Departures
----------
What can be asked is one tensor in and ``(n,)`` or ``(n, k)`` out. The rows are asked twice, the second time in reverse
order: a network that is random, or that mixes the rows of a batch, gives other answers then.

Cost
----
Two forward passes over the rows, and one each of one row and of two to measure what torch saves for the backward pass.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs

__all__ = ["Asked", "asking", "positive", "rows_of", "whole"]

AGREE = 1e-3
"""Two answers to one row may differ by so much of the greatest answer; rounding in float32 is far less."""


@dataclass
class Asked:
    """A network, the rows that it is asked for, its chosen answers to them, and how many rows a batch may have."""

    model: torch.nn.Module
    rows: torch.Tensor
    at_once: int = 1
    outputs: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    chosen: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def name(self) -> str:
        """The network, in words."""
        return f"the network {type(self.model).__name__}"

    def call(self, rows: torch.Tensor) -> torch.Tensor:
        """The network's answers ``(n, k)`` to one batch, checked."""
        answers = module_outputs(self.model, rows)
        if not answers.is_floating_point() or not bool(torch.isfinite(answers).all()):
            raise TeacherError(
                f"{self.name} must answer finite numbers; some answers are NaN, infinite or not of floating point"
            )
        return answers

    def answers(self, rows: torch.Tensor) -> np.ndarray:
        """The answers ``(n, k)`` to any number of rows, in batches."""
        with torch.no_grad():
            parts = [self.call(part) for part in rows.split(self.at_once)]
        return np.asarray(torch.cat(parts).double().cpu().numpy())

    def answers_to(self, rows: torch.Tensor) -> np.ndarray:
        """The answers ``(n,)`` of the explained outputs to as many rows as there are."""
        return np.asarray(self.answers(rows)[np.arange(len(rows)), self.outputs])

    def column(self, values: np.ndarray) -> torch.Tensor:
        """A number a row, shaped so that it multiplies rows."""
        made = torch.as_tensor(values, dtype=self.rows.dtype, device=self.rows.device)
        return made.reshape(-1, *[1] * (self.rows.ndim - 1))

    def like(self, values: Any, what: str) -> torch.Tensor:
        """One row, one for each row, or zeros, as ``(n, *row)``."""
        if values is None:
            return torch.zeros_like(self.rows)
        made = (
            torch.as_tensor(values)
            if isinstance(values, np.ndarray | torch.Tensor)
            else torch.as_tensor(np.asarray(values))
        )
        if tuple(made.shape) not in (tuple(self.rows.shape), tuple(self.rows.shape[1:])):
            raise InputError(
                f"{what} must be one row of shape {tuple(self.rows.shape[1:])} or one for each row, "
                f"{tuple(self.rows.shape)}; got shape {tuple(made.shape)}"
            )
        made = made if made.shape == self.rows.shape else made.expand(self.rows.shape)
        return rows_of(self.model, made, what)


@contextmanager
def asking(model: Any, x: Any, output: Any, memory_mb: Any, *, second: bool = True) -> Iterator[Asked]:
    """The network ready to be asked; on leaving, also on errors, everything is as it was.

    Parameters
    ----------
    second : bool
        Whether the rows are asked again in reverse order.
    """
    budget = positive(memory_mb, "memory_mb")
    rows = rows_of(model, x)
    with torch.inference_mode(False), random_state_kept(), module_kept(model):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        asked = Asked(model, rows.clone())
        asked.at_once = _rows_at_once(asked, budget)
        answers = asked.answers(asked.rows)
        if second:
            _check_again(asked, answers)
        asked.outputs = outputs_of(output, answers)
        asked.chosen = answers[np.arange(len(answers)), asked.outputs]
        yield asked


def rows_of(model: Any, x: Any, what: str = "x") -> torch.Tensor:
    """Rows as a tensor of the network's type, on its device.

    Raises
    ------
    InputError
        Where they aren't at least one row of finite numbers of floating point.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    kind = x.dtype if isinstance(x, torch.Tensor | np.ndarray) else type(x).__name__
    is_float = x.is_floating_point() if isinstance(x, torch.Tensor) else getattr(kind, "kind", "") == "f"
    shape = tuple(getattr(x, "shape", ()))
    if not is_float or len(shape) < 2 or 0 in shape:
        raise InputError(
            f"{what} must be a tensor or array (n, *row) of floating point with at least one row; got {kind} of shape "
            f"{shape}. Slopes need numbers that can be moved: for token ids take contextual_decomposition."
        )
    tensor = x.detach() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))
    own = [t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()]
    tensor = tensor.to(device=own[0].device, dtype=own[0].dtype) if own else tensor
    wrong = int((~torch.isfinite(tensor)).flatten(1).any(dim=1).sum())
    if wrong:
        raise InputError(
            f"{what} must be finite; {wrong} of {len(tensor)} rows have NaN or infinity. Fill or drop them."
        )
    return tensor


def outputs_of(output: Any, answers: np.ndarray) -> np.ndarray:
    """Which output is explained, for each row.

    Raises
    ------
    InputError
        For anything but an index of an output, or one a row.
    """
    n, k = answers.shape
    if output is None:
        return answers.argmax(axis=1)
    given = np.asarray(output.cpu() if isinstance(output, torch.Tensor) else output)
    right = given.dtype.kind in "iu" and given.shape in ((), (n,))
    if not right or given.min() < 0 or given.max() >= k:
        raise InputError(
            f"output must be a whole number from 0 to {k - 1}, or one for each of the {n} rows; got {output!r:.80}"
        )
    return np.array(np.broadcast_to(given, (n,)), dtype=np.int64)


def whole(value: Any, what: str, least: int) -> int:
    """The value as an int of at least `least`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
        raise InputError(f"{what} must be a whole number of at least {least}; got {value!r:.60}")
    return int(value)


def positive(value: Any, what: str) -> float:
    """The value as a positive float."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < float(value) < np.inf:
        raise InputError(f"{what} must be a positive number; got {value!r:.60}")
    return float(value)


def _check_again(asked: Asked, answers: np.ndarray) -> None:
    again = asked.answers(asked.rows.flip(0))[::-1]
    away = float(np.abs(again - answers).max()) if again.shape == answers.shape else np.inf
    if away > AGREE * max(float(np.abs(answers).max()), float(np.finfo(np.float32).tiny)):
        raise TeacherError(
            f"{asked.name} gives other answers to the same rows in another order (by up to {away:.3g}): it is random, "
            "or the rows of a batch change each other's answers. Take noise and batch statistics out of forward()."
        )


def _rows_at_once(asked: Asked, memory_mb: float) -> int:
    """How many rows a batch may have, from what torch saves for one more row."""
    saved = [0]

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved[0] += tensor.numel() * tensor.element_size()
        return tensor

    found = []
    for count in (1, 2):
        saved[0] = 0
        rows = asked.rows[:1].expand(count, *asked.rows.shape[1:]).clone().requires_grad_()
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            asked.call(rows)
        found.append(saved[0])
    row = asked.rows[:1].numel() * asked.rows.element_size()
    return max(1, int(memory_mb * 2**20 / (2 * max(found[1] - found[0], 0) + 8 * row)))
