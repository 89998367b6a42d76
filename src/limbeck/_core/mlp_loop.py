"""The training loop of `limbeck._core.mlp`: standardised rows in, the layers of the best epoch out.

AdamW, one cycle of the learning rate, early stopping, the best weights kept. This module imports torch, so it is itself
imported only where a network is trained.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch

from limbeck._core.progress import Report

__all__ = ["Part", "Plan", "Trained", "train"]

DOING = "training a network"

Part: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Inputs ``(n, d)``, targets ``(n, k)``, weights ``(n,)``."""
Tensors: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Plan:
    """How to train: all that one run needs beside its rows."""

    widths: tuple[int, ...]
    activation: str
    task: str
    max_epochs: int
    patience: int
    batch_size: int
    lr: float
    weight_decay: float
    seed: int
    dtype: torch.dtype
    max_seconds: float | None
    progress: Report


@dataclass(frozen=True)
class Trained:
    """The layers ``(W, b)`` of the best epoch, both losses of every epoch, the best epoch, and why training ended."""

    layers: list[tuple[np.ndarray, np.ndarray]]
    history: tuple[tuple[float, float], ...]
    best_epoch: int
    stopped: str


def train(part: Part, held: Part, plan: Plan) -> Trained:
    """The best network by the loss on `held` (which may be `part` itself)."""
    with _one_thread():
        rows = _tensors(part, plan.dtype)
        held_x, held_y, held_w = rows if held is part else _tensors(held, plan.dtype)
        network = _network(plan)
        history: list[tuple[float, float]] = []
        best, best_epoch, stopped, started = float("inf"), 0, "max_epochs", time.monotonic()
        state = [p.detach().clone() for p in network.parameters()]
        for epoch, loss in enumerate(_epochs(network, rows, plan)):
            with torch.no_grad():
                watched = float(_loss(network(held_x), held_y, held_w, plan.task))
            history.append((loss, watched))
            if watched < best:
                best, best_epoch = watched, epoch
                state = [p.detach().clone() for p in network.parameters()]
            plan.progress(DOING, epoch + 1, plan.max_epochs)
            if not np.isfinite(watched):
                stopped = "diverged"
            elif epoch - best_epoch >= plan.patience:
                stopped = "patience"
            elif plan.max_seconds is not None and time.monotonic() - started > plan.max_seconds:
                stopped = "time"
            if stopped != "max_epochs":
                plan.progress(DOING, plan.max_epochs, plan.max_epochs)
                break
    arrays = [p.to(torch.float64).numpy() for p in state]
    layers = [(np.ascontiguousarray(arrays[i].T), arrays[i + 1]) for i in range(0, len(arrays), 2)]
    return Trained(layers, tuple(history), best_epoch, stopped)


def _epochs(network: torch.nn.Sequential, rows: Tensors, plan: Plan) -> Iterator[float]:
    """Trains the network in place; after each epoch, its mean training loss."""
    x, y, w = rows
    steps = -(-len(x) // plan.batch_size)
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
    total_steps = max(steps * plan.max_epochs + 1, 20)  # with exactly 10 the rising part has no length
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.lr, total_steps=total_steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(plan.seed + 1)
    for _ in range(plan.max_epochs):
        order = torch.randperm(len(x), generator=generator) if steps > 1 else None
        total = 0.0
        for start in range(0, len(x), plan.batch_size):
            batch = slice(None) if order is None else order[start : start + plan.batch_size]
            optimiser.zero_grad(set_to_none=True)
            with torch.enable_grad():
                loss = _loss(network(x[batch]), y[batch], w[batch], plan.task)
                loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) / steps
        yield total


def _loss(scores: torch.Tensor, y: torch.Tensor, w: torch.Tensor, task: str) -> torch.Tensor:
    """The mean loss of a batch, whose weights have mean 1 over all rows."""
    if task == "regression":
        each = ((scores - y) ** 2).mean(dim=1)
    else:
        each = -(y * torch.log_softmax(scores, dim=1)).sum(dim=1)
    return (each * w).mean()


def _tensors(part: Part, dtype: torch.dtype) -> Tensors:
    """Inputs, targets, and weights scaled to mean 1."""
    x, y, w = part
    return torch.as_tensor(x, dtype=dtype), torch.as_tensor(y, dtype=dtype), torch.as_tensor(w / w.mean(), dtype=dtype)


def _network(plan: Plan) -> torch.nn.Sequential:
    """An untrained network whose first weights depend on the seed alone."""
    acts = {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU, "tanh": torch.nn.Tanh}
    generator = torch.Generator().manual_seed(plan.seed)
    layers: list[torch.nn.Module] = []
    for i, (n_in, n_out) in enumerate(itertools.pairwise(plan.widths)):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, n_in, n_out, dtype=torch.float64)  # type: ignore[no-untyped-call]
        gain = 2.0 if plan.activation != "tanh" and i < len(plan.widths) - 2 else 1.0
        with torch.no_grad():
            linear.weight.normal_(0.0, float(np.sqrt(gain / n_in)), generator=generator)
            linear.bias.zero_()
        layers += [linear.to(plan.dtype), acts[plan.activation]()]
    return torch.nn.Sequential(*layers[:-1])


@contextmanager
def _one_thread() -> Iterator[None]:
    """One native thread: small layers gain nothing from two, and two spin on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
