"""The training loop of `limbeck._core.mlp` and of other networks: standardised rows in, the best epoch out.

AdamW, one cycle of the learning rate, early stopping, the best weights kept. This module imports torch, so it is itself
imported only where a network is trained.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch

from limbeck._core.progress import Report

__all__ = ["MoreRows", "Part", "Penalised", "Plan", "Trained", "train", "train_module"]

DOING = "training a network"

Part: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Inputs ``(n, d)``, targets ``(n, k)``, weights ``(n,)``."""
Tensors: TypeAlias = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Penalised: TypeAlias = Callable[[torch.nn.Module, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""From a network and a batch to its answers ``(n, k)`` and what is added to the loss, in one forward pass."""


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
    embeddings: tuple[tuple[int, int], ...] = ()
    prune: float = 0.0
    penalty: Penalised | None = None


@dataclass(frozen=True)
class Trained:
    """The layers ``(W, b)`` of the best epoch, both losses of every epoch, that epoch, why it ended, embeddings."""

    layers: list[tuple[np.ndarray, np.ndarray]]
    history: tuple[tuple[float, float], ...]
    best_epoch: int
    stopped: str
    tables: list[np.ndarray]


@dataclass(frozen=True)
class MoreRows:
    """Parts of rows that are read anew each epoch, and how many rows each has."""

    parts: Iterable[Part]
    sizes: tuple[int, ...]


def train(part: Part, held: Part, plan: Plan, more: MoreRows | None = None) -> Trained:
    """The best network by the loss on `held` (which may be `part` itself).

    Weights are scaled to mean 1; where there is more, those of `part` are not, and each row of it weighs 1. With a
    share to prune it is trained twice: whole, then on from its best state, while weights become 0.
    """
    with _one_thread():
        rows = _tensors(part, plan.dtype, mean_one=more is None)
        held_rows = rows if held is part else _tensors(held, plan.dtype)
        batches = (
            _InMemory(rows, plan.batch_size, shuffle=plan.penalty is not None)
            if more is None
            else _Streamed(rows, more, plan)
        )
        network = _network(plan)
        started = time.monotonic()
        history, best_epoch, stopped = _descend(network, batches, held_rows, plan, None, started)
        if plan.prune > 0:
            masks = _Masks(network, plan.prune)
            again = replace(plan, lr=plan.lr / 3, max_epochs=max(4, plan.max_epochs // 2), seed=plan.seed + 1)
            later, best_epoch, stopped = _descend(network, batches, held_rows, again, masks, started)
            best_epoch += len(history)
            history += later
    arrays = [p.detach().to(torch.float64).numpy() for p in network.parameters()]
    n_tables = len(plan.embeddings)
    tables, arrays = arrays[:n_tables], arrays[n_tables:]
    layers = [(np.ascontiguousarray(arrays[i].T), arrays[i + 1]) for i in range(0, len(arrays), 2)]
    return Trained(layers, tuple(history), best_epoch, stopped, tables)


def train_module(network: torch.nn.Module, part: Part, held: Part, plan: Plan) -> tuple[tuple[float, float], ...]:
    """Any network, trained in place as `train` trains its own and left at its best epoch: both losses of every epoch.

    Of the plan, what says how a network is made is not read.
    """
    with _one_thread():
        rows, held_rows = _tensors(part, plan.dtype), _tensors(held, plan.dtype)
        batches = _InMemory(rows, plan.batch_size, shuffle=plan.penalty is not None)
        return tuple(_descend(network, batches, held_rows, plan, None, time.monotonic())[0])


def _descend(
    network: torch.nn.Module,
    batches: _InMemory | _Streamed,
    held: Tensors,
    plan: Plan,
    masks: _Masks | None,
    started: float,
) -> tuple[list[tuple[float, float]], int, str]:
    """Trains the network in place and leaves it at its best epoch: both losses of every epoch, that epoch, and why.

    Until all that is to be pruned is pruned, no epoch is the best one.
    """
    history: list[tuple[float, float]] = []
    best, best_epoch, stopped = float("inf"), 0, "max_epochs"
    state = [p.detach().clone() for p in network.parameters()]
    for epoch, loss in enumerate(_epochs(network, batches, plan, masks)):
        with torch.no_grad():
            watched = float(_loss(network(held[0]), held[1], held[2], plan.task))
        history.append((loss, watched))
        open_still = masks is not None and not masks.done
        if watched < best or open_still:
            best, best_epoch = float("inf") if open_still else watched, epoch
            state = [p.detach().clone() for p in network.parameters()]
        plan.progress(DOING, epoch + 1, plan.max_epochs)
        if not np.isfinite(watched):
            stopped = "diverged"
        elif epoch - best_epoch >= plan.patience:
            stopped = "patience"
        elif plan.max_seconds is not None and time.monotonic() - started > plan.max_seconds and not open_still:
            stopped = "time"
        if stopped != "max_epochs":
            plan.progress(DOING, plan.max_epochs, plan.max_epochs)
            break
    with torch.no_grad():
        for p, kept in zip(network.parameters(), state, strict=True):
            p.copy_(kept)
    return history, best_epoch, stopped


def _epochs(
    network: torch.nn.Module, batches: _InMemory | _Streamed, plan: Plan, masks: _Masks | None
) -> Iterator[float]:
    """Trains the network in place; after each epoch, its mean training loss."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.lr, weight_decay=plan.weight_decay, fused=True)
    total_steps = max(batches.steps * plan.max_epochs + 1, 20)  # with exactly 10 the rising part has no length
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.lr, total_steps=total_steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(plan.seed + 1)
    done = 0
    for _ in range(plan.max_epochs):
        total = 0.0
        for x, y, w in batches.epoch(generator):
            optimiser.zero_grad(set_to_none=True)
            with torch.enable_grad():
                loss = _batch_loss(network, x, y, w, plan)
                loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) / batches.steps
            done += 1
            if masks is not None:
                masks.apply(done / (0.5 * batches.steps * plan.max_epochs))
        yield total


class _InMemory:
    """Rows that are held, in a new order each epoch."""

    def __init__(self, rows: Tensors, batch_size: int, *, shuffle: bool = False) -> None:
        self.rows, self.batch_size = rows, batch_size
        self.steps = -(-len(rows[0]) // batch_size)
        self.shuffle = shuffle or self.steps > 1

    def epoch(self, generator: torch.Generator) -> Iterator[Tensors]:
        """The batches of one epoch."""
        x, y, w = self.rows
        order = torch.randperm(len(x), generator=generator) if self.shuffle else None
        for start in range(0, len(x), self.batch_size):
            batch = slice(None) if order is None else order[start : start + self.batch_size]
            yield x[batch], y[batch], w[batch]


class _Streamed:
    """Parts of a stream one after the other, each with its share of the rows that are held, in a new order."""

    def __init__(self, rows: Tensors, more: MoreRows, plan: Plan) -> None:
        self.rows, self.more, self.plan = rows, more, plan
        shares = torch.tensor_split(torch.arange(len(rows[0])), len(more.sizes))
        sizes = [size + len(share) for size, share in zip(more.sizes, shares, strict=True)]
        self.steps = sum(-(-size // plan.batch_size) for size in sizes)

    def epoch(self, generator: torch.Generator) -> Iterator[Tensors]:
        """The batches of one epoch; the last of a part may be smaller."""
        own = torch.tensor_split(torch.randperm(len(self.rows[0]), generator=generator), len(self.more.sizes))
        for part, share in zip(self.more.parts, own, strict=True):
            read = _tensors(part, self.plan.dtype, mean_one=False)
            x, y, w = (torch.cat([a, b[share]]) for a, b in zip(read, self.rows, strict=True))
            order = torch.randperm(len(x), generator=generator)
            for batch in torch.split(order, self.plan.batch_size):
                yield x[batch], y[batch], w[batch]


class _Masks:
    """The weights that stay 0, more of them from step to step: the least, layer by layer, but never of the last.

    The share grows as in Zhu2017: ``prune (1 - (1 - t)^3)``.
    """

    def __init__(self, network: torch.nn.Sequential, prune: float) -> None:
        linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
        self.weights = [layer.weight for layer in linear[:-1]] or [linear[0].weight]
        self.prune, self.done = prune, False
        self.masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self.weights]

    def apply(self, share: float) -> None:
        """Set to 0 what is 0 when `share` of the way is gone, 1 or more at its end."""
        with torch.no_grad():
            if not self.done:
                self.done = share >= 1
                wanted = self.prune * (1 - (1 - min(share, 1.0)) ** 3)
                for weight, mask in zip(self.weights, self.masks, strict=True):
                    count = int(wanted * weight.numel())
                    if count:
                        limit = weight.abs().flatten().kthvalue(count).values
                        mask &= weight.abs() > limit
            for weight, mask in zip(self.weights, self.masks, strict=True):
                weight.mul_(mask)


class _Embedded(torch.nn.Module):
    """Numbers as they are, and a row of a table in place of each position of a level."""

    def __init__(self, numbers: int, tables: list[torch.Tensor]) -> None:
        super().__init__()
        self.numbers = numbers
        self.tables = torch.nn.ParameterList(torch.nn.Parameter(table) for table in tables)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        codes = x[:, self.numbers :].long()
        found = [torch.nn.functional.embedding(codes[:, j], table) for j, table in enumerate(self.tables)]
        return torch.cat([x[:, : self.numbers], *found], dim=1)


def _batch_loss(
    network: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, plan: Plan
) -> torch.Tensor:
    """The loss of a batch with its penalty, where there is one."""
    if plan.penalty is None:
        return _loss(network(x), y, w, plan.task)
    scores, more = plan.penalty(network, x)
    return _loss(scores, y, w, plan.task) + more


def _loss(scores: torch.Tensor, y: torch.Tensor, w: torch.Tensor, task: str) -> torch.Tensor:
    """The mean loss of a batch, whose weights have mean 1 over all rows."""
    if task == "regression":
        each = ((scores - y) ** 2).mean(dim=1)
    else:
        each = -(y * torch.log_softmax(scores, dim=1)).sum(dim=1)
    return (each * w).mean()


def _tensors(part: Part, dtype: torch.dtype, *, mean_one: bool = True) -> Tensors:
    """Inputs, targets, and weights, scaled to mean 1 where asked."""
    x, y, w = part
    w = w / w.mean() if mean_one else w
    return torch.as_tensor(x, dtype=dtype), torch.as_tensor(y, dtype=dtype), torch.as_tensor(w, dtype=dtype)


def _network(plan: Plan) -> torch.nn.Sequential:
    """An untrained network whose first weights depend on the seed alone."""
    acts = {"relu": torch.nn.ReLU, "silu": torch.nn.SiLU, "tanh": torch.nn.Tanh}
    generator = torch.Generator().manual_seed(plan.seed)
    layers: list[torch.nn.Module] = []
    widths = (plan.widths[0] + sum(dims for _, dims in plan.embeddings), *plan.widths[1:])
    if plan.embeddings:
        drawn = [torch.empty(shape, dtype=torch.float64).normal_(generator=generator) for shape in plan.embeddings]
        layers.append(_Embedded(plan.widths[0], [table.to(plan.dtype) for table in drawn]))
    for i, (n_in, n_out) in enumerate(itertools.pairwise(widths)):
        linear = torch.nn.utils.skip_init(torch.nn.Linear, n_in, n_out, dtype=torch.float64)  # type: ignore[no-untyped-call]
        gain = 2.0 if plan.activation != "tanh" and i < len(widths) - 2 else 1.0
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
