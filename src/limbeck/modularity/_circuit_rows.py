"""The rows on which circuits are looked for, checked, with the network's answers to them."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.module_kept import random_state_kept
from limbeck._core.module_outputs import outputs_as_it_is
from limbeck.modularity._batches import as_batches, seeded
from limbeck.modularity._circuit_aim import Aim, label_aim, output_aim
from limbeck.modularity._circuit_network import layers_that_run

__all__ = ["CircuitRows", "answers_in_batches", "read_circuit_rows"]

TASKS = ("classification", "regression")
BATCH = 2_000


@dataclass(frozen=True)
class CircuitRows:
    """A network, the layers to prune in the order in which they run, and rows with labels or targets.

    Attributes
    ----------
    outputs : int
        The number of labels, two for a network of one output; or of outputs, of a regression network.
    """

    model: torch.nn.Module
    layers: tuple[str, ...]
    x: torch.Tensor
    y: torch.Tensor
    task: str
    outputs: int

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels that have rows; of a regression network, all outputs."""
        if self.task == "regression":
            return tuple(range(self.outputs))
        return tuple(int(v) for v in self.y.unique())

    def aim(self, label: Any, *, contrast: bool) -> Aim:
        """What the circuit of this label must keep.

        Raises
        ------
        InputError
            Where there is no such label, or it has no rows.
        """
        whole = isinstance(label, numbers.Integral) and not isinstance(label, bool)
        if not whole or not 0 <= int(label) < self.outputs:
            what = "a label" if self.task == "classification" else "an output"
            raise InputError(f"label must be a whole number from 0 to {self.outputs - 1}, {what}; got {label!r:.60}")
        if self.task == "regression":
            return output_aim(self.x, int(label), size=BATCH)
        return label_aim(self.x, self.y, int(label), contrast=contrast, size=BATCH)


def read_circuit_rows(model: Any, data: Any, task: Any, layers: Sequence[str] | None, random_state: int) -> CircuitRows:
    """Rows and network, checked.

    Raises
    ------
    InputError
        As `effective_circuit`.
    TeacherError
        As `effective_circuit`.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    if task is not None and task not in TASKS:
        raise InputError(f"task must be one of {', '.join(TASKS)}; got {task!r:.60}.{did_you_mean(str(task), TASKS)}")
    if not isinstance(random_state, numbers.Integral) or isinstance(random_state, bool) or random_state < 0:
        raise InputError(f"random_state must be a whole number of at least 0; got {random_state!r:.60}")
    batches = as_batches(data, model, "data", size=BATCH, shuffle=False)
    with random_state_kept(), seeded(data, int(random_state)):
        pairs = list(batches)
    x, y = (torch.cat([pair[i] for pair in pairs]) for i in (0, 1))
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise InputError("data must have finite rows; some have NaN or infinite numbers")
    if task is None:
        task = "regression" if y.is_floating_point() else "classification"
    names = layers_that_run(model, layers, x[: min(len(x), 2)])
    k = answers_in_batches(model, x[:2]).shape[1]
    if task == "classification":
        k = max(k, 2)
        y = _labels(y, k)
    return CircuitRows(model, names, x, y, task, k)


def answers_in_batches(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The network's answers ``(n, k)`` in float64, on the processor."""
    return torch.cat([outputs_as_it_is(model, part) for part in x.split(BATCH)]).double().cpu()


def _labels(y: torch.Tensor, k: int) -> torch.Tensor:
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    whole = y.ndim == 1 and bool((y == y.round()).all() if y.is_floating_point() else True)
    if not whole or int(y.min()) < 0 or int(y.max()) >= k:
        came = f"shape {tuple(y.shape)}" if y.ndim != 1 else f"values from {y.min().item()} to {y.max().item()}"
        raise InputError(
            f"y must be labels (n,), whole numbers from 0 to {k - 1}, one for each output; got {came}. For a "
            "regression network say task='regression'."
        )
    return y.long()
