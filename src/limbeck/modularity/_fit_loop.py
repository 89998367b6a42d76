"""The loop of `train_modular`: epochs of a task loss and a penalty, the best weights kept, an estimate of what is left.

Cost
----
A copy of the weights while they are the best; a pass over the validation rows each epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept
from limbeck._core.progress import Report

__all__ = ["Epoch", "Fit", "Loss", "Penalty", "Slopes", "default_loss", "mean_loss", "weights_of"]

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Penalty: TypeAlias = Callable[[torch.nn.Module], torch.Tensor]
Slopes: TypeAlias = Callable[[torch.nn.Module, float], None]
"""Adds the gradient of strength times a penalty to the weights' gradients: cheaper than the penalty in the loss."""
TIMED = 20
"""After so many steps it is said how long all will take."""


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to: the mean task loss, the penalty at its end (without strength), the validation loss."""

    phase: str
    loss: float
    penalty: float
    validation: float
    seconds: float


@dataclass
class Fit:
    """A model in training. `run` goes on from where the model is; `epochs` is what was done.

    `after_step` is called after each step of the optimiser: it may hold weights where they are to be.
    """

    model: torch.nn.Module
    batches: Any
    loss: Loss
    optimiser: torch.optim.Optimizer
    validation: Any = None
    report: Report = lambda what, done, total: None
    total: int = 0
    doing: str = "training modules"
    after_step: Callable[[], None] | None = None
    epochs: list[Epoch] = field(default_factory=list)
    _started: float = field(default_factory=time.perf_counter)

    def run(
        self,
        n: int,
        phase: str,
        penalty: Penalty | None = None,
        strength: float = 0.0,
        *,
        slopes: Slopes | None = None,
        patience: int | None = None,
        keep_best: bool = True,
    ) -> bool:
        """Train `n` epochs; where there are validation rows, the weights of the best of them are what stays.

        Best is the least task loss on the validation rows plus ``strength * penalty``. True where patience ended it.
        """
        best, best_at, kept = math.inf, -1, None
        try:
            for i in range(n):
                self.epochs.append(self._epoch(phase, penalty, strength, slopes))
                self.report(self.doing, len(self.epochs), self.total)
                watched = self.epochs[-1].validation + (strength * self.epochs[-1].penalty if penalty else 0.0)
                if keep_best and watched < best:
                    best, best_at, kept = watched, i, weights_of(self.model)
                elif keep_best and patience is not None and i - best_at >= patience:
                    return True
        finally:
            if kept is not None:
                self.model.load_state_dict(kept)
        return False

    def _epoch(self, phase: str, penalty: Penalty | None, strength: float, slopes: Slopes | None) -> Epoch:
        """One pass over the batches."""
        self.model.train()
        started, rows = time.perf_counter(), 0
        total: Any = 0.0
        for i, (x, y) in enumerate(self.batches):
            total, rows = total + self._step(x, y, penalty, strength, slopes) * len(x), rows + len(x)
            if not self.epochs and i + 1 == min(TIMED, len(self.batches)):
                self._say((time.perf_counter() - started) / (i + 1))
        mean = self._finite(float(total) / max(rows, 1), "training")
        with torch.no_grad():
            left = math.nan if penalty is None else float(penalty(self.model))
        watched = math.nan
        if self.validation is not None:
            watched = self._finite(mean_loss(self.model, self.validation, self.loss), "validation")
        return Epoch(phase, mean, left, watched, time.perf_counter() - started)

    def _step(
        self, x: torch.Tensor, y: torch.Tensor, penalty: Penalty | None, strength: float, slopes: Slopes | None
    ) -> torch.Tensor:
        """One step of the optimiser; the task loss before it."""
        self.optimiser.zero_grad(set_to_none=True)
        task = task_loss(self.model, x, y, self.loss)
        whole = task if penalty is None or slopes is not None or not strength else task + strength * penalty(self.model)
        whole.backward()  # type: ignore[no-untyped-call]
        if slopes is not None:
            slopes(self.model, strength)
        self.optimiser.step()
        if self.after_step is not None:
            self.after_step()
        return task.detach()

    def _finite(self, value: float, what: str) -> float:
        if not math.isfinite(value):
            raise TeacherError(
                f"the {what} loss must be finite; in epoch {len(self.epochs) + 1} it is {value}. Look for NaN in the "
                "rows and in what the network answers, or lower lr."
            )
        return value

    def _say(self, each: float) -> None:
        steps = len(self.batches) * self.total
        self.report(
            f"{self.total} epochs of {len(self.batches)} steps at {1000 * each:.1f} ms: about {each * steps:,.0f} s",
            *(0, 0),
        )


def task_loss(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, loss: Loss) -> torch.Tensor:
    """The loss of a batch, with one wording for what a model or a loss can do wrong."""
    try:
        value = loss(model(x), y)
    except (InputError, TeacherError):
        raise
    except Exception as error:
        raise TeacherError(
            f"the network {type(model).__name__} or the loss raised {type(error).__name__} on a batch of shapes "
            f"{tuple(x.shape)} and {tuple(y.shape)}: {str(error)[:300]}"
        ) from error
    if not torch.is_tensor(value) or value.ndim or not value.is_floating_point():
        raise InputError(f"loss must give one number, a tensor of no dimensions; got {_shape(value)}")
    return value


def mean_loss(model: torch.nn.Module, batches: Any, loss: Loss) -> float:
    """The mean loss over rows in evaluation mode; the model is as it was."""
    total, rows = 0.0, 0
    with module_kept(model):
        for x, y in batches:
            total, rows = total + float(task_loss(model, x, y, loss)) * len(x), rows + len(x)
    return total / max(rows, 1)


def default_loss(outputs: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Cross entropy where the target is whole numbers, else the mean squared error.

    Raises
    ------
    InputError
        For outputs that are no tensor, labels that the outputs don't have, and targets of another shape.
    """
    if not torch.is_tensor(outputs):
        raise InputError(f"the network must answer with one tensor; got {type(outputs).__name__}. Give your own loss.")
    if not y.is_floating_point():
        y = y.long()
        k = outputs.shape[1] if outputs.ndim > 1 else 1
        if k < 2 or outputs.ndim != 2 or y.ndim != 1:
            raise InputError(
                f"whole numbers as targets are labels: the network must have an output for each class, and the target "
                f"be (n,); got {tuple(outputs.shape)} and {tuple(y.shape)}. For a regression give y as float."
            )
        if int(y.min()) < 0 or int(y.max()) >= k:
            raise InputError(f"labels must be 0 to {k - 1}, one for each output; got {int(y.min())} to {int(y.max())}")
        return torch.nn.functional.cross_entropy(outputs, y)
    if outputs.numel() != y.numel():
        raise InputError(
            f"the target must have a number for each output; got {tuple(y.shape)} and {tuple(outputs.shape)}"
        )
    return torch.nn.functional.mse_loss(outputs, y.reshape(outputs.shape))


def _shape(value: Any) -> str:
    return f"shape {tuple(value.shape)}" if torch.is_tensor(value) else type(value).__name__


def weights_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights and buffers as they are."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
