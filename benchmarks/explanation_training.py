"""How the networks of the benchmark of the explanation penalty are built and trained, and what their steps cost.

Source: Rieger2020 and the facts of its public code: networks, optimisers, batches. Beside CDEP stand right for the
right reasons (Ross2017) and expected gradients (Erion2021), written small.

    python -m benchmarks.explanation_training        # a training step of each arm, in plain steps; a minute
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from benchmarks.explanation_data import Part, Planted, color, decoy, sst
from limbeck.training._explanation import explanation_penalty

PIXELS = 8


@dataclass(frozen=True)
class Task:
    """A set, its network, how long it is trained, and which strengths are tried."""

    data: Callable[[int, int], Planted]
    network: Callable[[Planted], nn.Module]
    rows: int
    epochs: int
    trial_epochs: int
    batch: int
    share: int
    decay: float
    chooses: str
    strengths: dict[str, tuple[float, ...]]
    marks: int = 5
    rate: float = 1e-3
    controls: tuple[str, ...] = ()


class Sentences(nn.Module):
    """An LSTM over tokens; the mean of its states gives two outputs."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.embedding(x))
        return self.head(states.mean(dim=1))


def convolutions(channels: int, width: int) -> nn.Module:
    """The public code's network of both image sets; logits."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(800, width), nn.ReLU(), nn.Linear(width, 10)),
    )


CLEAN = "plain, no shortcut"
"""A control: the same rows without the shortcut."""

COLOUR = ", colour marked"
"""Arms where a person marks the colour of every pixel, and not the pixels: brightness and colour are inputs apart."""

TASKS = {
    "color": Task(
        color,
        lambda data: convolutions(3, 500),
        rows=30_000,
        epochs=2,
        trial_epochs=2,
        batch=256,
        share=32,
        decay=1e-3,
        chooses="turned",
        strengths={
            "RRR": (1.0, 100.0, 10_000.0),
            "EG": (1.0, 100.0, 10_000.0),
            "CDEP softmax": (300.0, 1_000.0, 3_000.0, 10_000.0),
            "CDEP L1": (10.0, 100.0, 300.0),
            f"RRR{COLOUR}": (0.01, 1.0, 100.0),
            f"EG{COLOUR}": (0.01, 1.0, 100.0),
            f"CDEP L1{COLOUR}": (0.1, 1.0, 10.0, 100.0),
            f"occlusion{COLOUR}": (0.1, 1.0, 10.0),
        },
    ),
    "sst": Task(
        sst,
        lambda data: Sentences(int(data.more["words"])),
        rows=10_000,
        epochs=12,
        trial_epochs=12,
        batch=64,
        share=16,
        decay=1e-5,
        chooses="held",
        strengths={"CDEP softmax": (10.0, 100.0, 1_000.0), "CDEP L1": (3.0, 10.0, 30.0)},
        marks=6,
        rate=3e-3,
        controls=(CLEAN,),
    ),
    "decoy": Task(
        decoy,
        lambda data: convolutions(1, 256),
        rows=54_000,
        epochs=5,
        trial_epochs=3,
        batch=64,
        share=8,
        decay=1e-4,
        chooses="turned",
        strengths={
            "RRR": (1.0, 10.0),
            "EG": (1.0, 10.0),
            "CDEP softmax": (1.0, 10.0, 30.0, 300.0),
            "CDEP L1": (1.0, 10.0, 100.0),
        },
    ),
}


# What a penalty marks, and the penalties


def marked(data: Planted, part: Part, generator: torch.Generator) -> torch.Tensor:
    """The mask of `explanation_penalty`: the corners, single pixels drawn by how often they are used, or the word."""
    if part.marked is not None:
        return part.marked
    if "region" in data.more:
        return data.more["region"]
    at = torch.multinomial(data.more["often"].flatten(), PIXELS, generator=generator)
    return nn.functional.one_hot(at, 784).bool().view(PIXELS, 1, 1, 28, 28)


class InTones(nn.Module):
    """A network of the brightness and the colour of each pixel."""

    def __init__(self, model: nn.Module, tones: torch.Tensor) -> None:
        super().__init__()
        self.model, self.back = model, tones.inverse()[:, :, None, None]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(nn.functional.conv2d(x, self.back))


def penalised(
    model: nn.Module, data: Planted, part: Part, arm: str, generator: torch.Generator
) -> tuple[nn.Module, Part, torch.Tensor]:
    """The network, the rows and the mask that the penalty of an arm sees."""
    if not arm.endswith(COLOUR):
        return model, part, marked(data, part, generator)
    tones = data.more["tones"]
    colour = torch.tensor([False, True, True])[:, None, None].expand(part.x.shape[1:])
    return InTones(model, tones), Part(nn.functional.conv2d(part.x, tones[:, :, None, None]), part.y), colour


def right_reasons(model: nn.Module, part: Part, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Ross2017; the channels of a pixel are summed, as the public code of CDEP does."""
    x = part.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).log_softmax(dim=1).sum(), x, create_graph=True)
    slope = slope if per_channel(mask) else slope.sum(dim=1, keepdim=True)
    return (slope**2 * flat(mask)).sum() / len(x)


def expected_gradients(model: nn.Module, part: Part, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Erion2021, the probability of the true class, one reference row of the batch for each row."""
    other = part.x[torch.randperm(len(part), generator=generator)]
    way = torch.rand(len(part), 1, 1, 1, generator=generator)
    x = (other + way * (part.x - other)).requires_grad_()
    chosen = model(x).softmax(dim=1).gather(1, part.y[:, None]).sum()
    (slope,) = torch.autograd.grad(chosen, x, create_graph=True)
    return ((slope * (part.x - other)).abs() * flat(mask)).sum() / len(x)


def per_channel(mask: torch.Tensor) -> bool:
    """Whether channels are marked, and not pixels."""
    return mask.ndim == 3 and len(mask) > 1


def flat(mask: torch.Tensor) -> torch.Tensor:
    """Several regions as one."""
    return mask.any(dim=0) if mask.ndim > 4 else mask


PENALTIES: dict[str, Callable[..., torch.Tensor]] = {
    "RRR": right_reasons,
    "EG": expected_gradients,
    "CDEP softmax": lambda model, part, mask, _: explanation_penalty(model, part.x, mask, form="softmax"),
    "CDEP L1": lambda model, part, mask, _: explanation_penalty(model, part.x, mask, form="l1"),
}
PENALTIES["occlusion"] = lambda model, part, mask, _: explanation_penalty(model, part.x, mask, rule="occlusion")
PENALTIES |= {f"{arm}{COLOUR}": function for arm, function in PENALTIES.items()}


# Training


def trimmed(part: Part) -> Part:
    """Sentences without the columns that are empty in all of them."""
    if part.x.ndim != 2:
        return part
    first = int((part.x > 0).any(dim=0).nonzero()[0])
    return Part(part.x[:, first:], part.y, None if part.marked is None else part.marked[:, first:])


def step(
    task: Task, data: Planted, model: nn.Module, optimiser: Any, part: Part, how: tuple[str, float], g: Any
) -> None:
    """One training step."""
    arm, strength = how
    optimiser.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(part.x), part.y)
    if arm in PENALTIES:
        some = part.take(torch.arange(min(task.share, len(part))))
        seen, rows, mask = penalised(model, data, some, arm, g)
        loss = loss + strength * PENALTIES[arm](seen, rows, mask, g)
    loss.backward()
    optimiser.step()


def batches(task: Task, part: Part, generator: torch.Generator) -> Iterator[Part]:
    """In a new order; sentences of a length together, so that little of a batch is empty."""
    order = torch.randperm(len(part), generator=generator)
    if part.x.ndim == 2:
        lengths = (part.x[order] > 0).sum(dim=1) + torch.rand(len(order), generator=generator)
        order = order[lengths.argsort()]
    whole = order[: len(order) // task.batch * task.batch].view(-1, task.batch)
    for index in whole[torch.randperm(len(whole), generator=generator)]:
        yield trimmed(part.take(index))


def by_length(part: Part) -> torch.Tensor:
    """The order of the rows, short sentences first: what fills one up is seen as seldom as in training."""
    return (part.x > 0).sum(dim=1).argsort(stable=True) if part.x.ndim == 2 else torch.arange(len(part))


def accuracy(model: nn.Module, part: Part) -> float:
    """Per cent."""
    model.eval()
    with torch.no_grad():
        right = [
            model(piece.x).argmax(dim=1).eq(piece.y)
            for piece in (trimmed(part.take(index)) for index in by_length(part).split(500 if part.x.ndim > 2 else 32))
        ]
    model.train()
    return 100 * float(torch.cat(right).float().mean())


def started(task: Task, data: Planted, seed: int) -> tuple[nn.Module, torch.optim.Optimizer, torch.Generator]:
    torch.manual_seed(seed)
    model = task.network(data)
    return (
        model,
        torch.optim.Adam(model.parameters(), task.rate, weight_decay=task.decay),
        torch.Generator().manual_seed(seed),
    )


def train(task: Task, data: Planted, how: tuple[str, float], seed: int, epochs: int) -> dict[str, Any]:
    """The accuracies on the way, in per cent, and how long it took."""
    model, optimiser, generator = started(task, data, seed)
    total = epochs * (len(data.train) // task.batch)
    marks = {round(total * (i + 1) / task.marks) for i in range(task.marks)}
    found: dict[str, Any] = {"step": [], "held": [], "turned": [], "test": []}
    start, taken = time.perf_counter(), 0
    rows = data.clean if how[0] == CLEAN and data.clean is not None else data.train
    for _ in range(epochs):
        for part in batches(task, rows, generator):
            step(task, data, model, optimiser, part, how, generator)
            taken += 1
            if taken in marks:
                found["step"].append(taken)
                for name in ("held", "turned", "test"):
                    found[name].append(accuracy(model, getattr(data, name)))
    return {**found, "seconds": time.perf_counter() - start}


def costs(task: Task, data: Planted, times: int = 7) -> dict[str, float]:
    """For each arm the median of its step in plain steps, the whole batch in the penalty; the steps interleaved."""
    whole = replace(task, share=task.batch)
    arms = ("plain", *task.strengths)
    ways = {arm: (*started(task, data, 0)[:2], torch.Generator().manual_seed(0)) for arm in arms}
    part = next(batches(task, data.train, torch.Generator().manual_seed(0)))
    taken: dict[str, list[float]] = {arm: [] for arm in arms}
    for i in range(times + 2):
        for arm, (model, optimiser, generator) in ways.items():
            start = time.perf_counter()
            step(whole, data, model, optimiser, part, (arm, 1.0), generator)
            if i >= 2:
                taken[arm].append(time.perf_counter() - start)
    return {
        arm: statistics.median(a / b for a, b in zip(own, taken["plain"], strict=True)) for arm, own in taken.items()
    }


def main() -> None:
    """Print the cost of a step of each arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    torch.set_num_threads(1)
    for name, task in TASKS.items():
        for arm, ratio in costs(task, task.data(2_000, 0)).items():
            print(f"{name:6s} {arm:20s} {ratio:6.2f} plain steps")


if __name__ == "__main__":
    main()
