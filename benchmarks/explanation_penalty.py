"""The explanation penalty on sets with a planted shortcut: DecoyMNIST, ColorMNIST, and SST with a decoy word.

Source: Rieger2020 and the facts of its public code: networks, optimisers, batches. Beside it right for the right
reasons (Ross2017: the squared input gradient of the log-probabilities in the marked region) and expected gradients
(Erion2021: one reference row a step), written small here. What differs from the public code:

- A penalty sees a part of each batch (`Task.share`), for time. It is a mean over rows and regions, so strengths are
  other numbers than the public code's, which sums over its pixels.
- Strengths are chosen without the test set: on held-out *training* rows whose shortcut is turned (the patch, or the
  colour, of another class); for SST on held-out sentences without the word. One seed, which none of the figures uses.
- The figure is the test accuracy after the last step. A second column gives the step that is best on those held-out
  rows: with them a person could also stop early, without any penalty.

    make bench NAME=explanation_penalty                           # about three hours on one core; goes on after a kill
    make bench NAME=explanation_penalty ARGS="--only color --seeds 2"
    make bench NAME=explanation_penalty ARGS="--quick"            # two minutes, to see that it runs
    make bench NAME=explanation_penalty ARGS="--table"            # only print what is there
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.explanation_data import Part, Planted, color, decoy, sst
from limbeck._core.journal import Journal
from limbeck.training._explanation import explanation_penalty

PUBLISHED = {
    "decoy": {"plain": 60.1, "CDEP softmax": 97.2, "RRR": 99.0, "EG": 97.8},
    "color": {"plain": 0.2, "CDEP softmax": 31.0, "RRR": 0.2, "EG": 10.0},
}
"""Rieger2020, test accuracy in per cent; the paper's CDEP is the softmax form."""
GOALS = {"decoy": 97.2, "color": 31.0}
CHOOSING_SEED = 100


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


class Sentences(nn.Module):
    """An LSTM over tokens; the last state gives two outputs."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 64, padding_idx=0)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Linear(64, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.embedding(x))
        return self.head(states[:, -1])


def convolutions(channels: int, width: int) -> nn.Module:
    """The public code's network of both image sets; logits."""
    return nn.Sequential(
        *(nn.Conv2d(channels, 20, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(800, width), nn.ReLU(), nn.Linear(width, 10)),
    )


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
            "CDEP softmax": (300.0, 1_000.0, 3_000.0),
            "CDEP L1": (10.0, 100.0, 300.0),
        },
    ),
    "sst": Task(
        sst,
        lambda data: Sentences(int(data.more["words"])),
        rows=10_000,
        epochs=4,
        trial_epochs=4,
        batch=64,
        share=16,
        decay=1e-5,
        chooses="held",
        strengths={"CDEP softmax": (1.0, 10.0, 100.0), "CDEP L1": (0.1, 1.0, 10.0)},
        marks=4,
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
            "CDEP softmax": (1.0, 10.0),
            "CDEP L1": (1.0, 10.0),
        },
    ),
}
QUICK = {"rows": 2_000, "epochs": 1, "trial_epochs": 1, "marks": 1}
PIXELS = 8


# What a penalty marks, and the penalties


def marked(data: Planted, part: Part, generator: torch.Generator) -> torch.Tensor:
    """The mask of `explanation_penalty`: the corners, single pixels drawn by how often they are used, or the word."""
    if part.marked is not None:
        return part.marked
    if "region" in data.more:
        return data.more["region"]
    at = torch.multinomial(data.more["often"].flatten(), PIXELS, generator=generator)
    return nn.functional.one_hot(at, 784).bool().view(PIXELS, 1, 1, 28, 28)


def right_reasons(model: nn.Module, part: Part, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Ross2017; the channels of a pixel are summed, as the public code of CDEP does."""
    x = part.x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).log_softmax(dim=1).sum(), x, create_graph=True)
    return (slope.sum(dim=1, keepdim=True) ** 2 * flat(mask)).sum() / len(x)


def expected_gradients(model: nn.Module, part: Part, mask: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Erion2021, the probability of the true class, one reference row of the batch for each row."""
    other = part.x[torch.randperm(len(part), generator=generator)]
    way = torch.rand(len(part), 1, 1, 1, generator=generator)
    x = (other + way * (part.x - other)).requires_grad_()
    chosen = model(x).softmax(dim=1).gather(1, part.y[:, None]).sum()
    (slope,) = torch.autograd.grad(chosen, x, create_graph=True)
    return ((slope * (part.x - other)).abs() * flat(mask)).sum() / len(x)


def flat(mask: torch.Tensor) -> torch.Tensor:
    """Several regions as one."""
    return mask.any(dim=0) if mask.ndim > 4 else mask


PENALTIES: dict[str, Callable[..., torch.Tensor]] = {
    "RRR": right_reasons,
    "EG": expected_gradients,
    "CDEP softmax": lambda model, part, mask, _: explanation_penalty(model, part.x, mask, form="softmax"),
    "CDEP L1": lambda model, part, mask, _: explanation_penalty(model, part.x, mask, form="l1"),
}


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
        loss = loss + strength * PENALTIES[arm](model, some, marked(data, some, g), g)
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
    return model, torch.optim.Adam(model.parameters(), weight_decay=task.decay), torch.Generator().manual_seed(seed)


def train(task: Task, data: Planted, how: tuple[str, float], seed: int, epochs: int) -> dict[str, Any]:
    """The accuracies on the way, in per cent, and how long it took."""
    model, optimiser, generator = started(task, data, seed)
    total = epochs * (len(data.train) // task.batch)
    marks = {round(total * (i + 1) / task.marks) for i in range(task.marks)}
    found: dict[str, Any] = {"step": [], "held": [], "turned": [], "test": []}
    start, taken = time.perf_counter(), 0
    for _ in range(epochs):
        for part in batches(task, data.train, generator):
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


# The run


class Run:
    """All cells of one task; what is in the journal is not done again."""

    def __init__(self, name: str, task: Task, journal: Journal, *, only_read: bool = False) -> None:
        self.name, self.task, self.journal, self.only_read = name, task, journal, only_read
        self._data: Planted | None = None

    @property
    def data(self) -> Planted:
        """The set; one split for all seeds, which vary weights, order and draws."""
        if self._data is None:
            self._data = self.task.data(self.task.rows, 0)
        return self._data

    def cell(self, what: dict[str, Any], function: Callable[[], Any]) -> Any:
        key = {"task": self.name, "rows": self.task.rows, **what}
        if self.only_read or key in self.journal:
            return self.journal.get(key)
        value = self.journal.cell(key, function)
        last = f"turned {value['turned'][-1]:.1f} test {value['test'][-1]:.1f}" if "test" in value else value
        print(f"{self.name}: {what} {last}", flush=True)
        return value

    def trained(self, arm: str, strength: float, seed: int, epochs: int) -> dict[str, Any] | None:
        what = {"arm": arm, "strength": strength, "seed": seed, "epochs": epochs, "share": self.task.share}
        return self.cell(what, lambda: train(self.task, self.data, (arm, strength), seed, epochs))

    def strength(self, arm: str) -> float | None:
        """The one that is best on the rows that choose, after the last step of a trial."""
        if arm == "plain":
            return 0.0
        tried = {}
        for value in self.task.strengths[arm]:
            found = self.trained(arm, value, CHOOSING_SEED, self.task.trial_epochs)
            if found is None:
                return None
            tried[value] = found[self.task.chooses][-1]
        return max(tried, key=lambda value: tried[value])

    def costs(self) -> dict[str, float] | None:
        return self.cell({"what": "costs"}, lambda: costs(self.task, self.data))

    def table(self, seeds: int) -> dict[str, list[dict[str, Any]]]:
        """For each arm what its seeds found, as far as they are done."""
        self.only_read = True
        found = {}
        for arm in ("plain", *self.task.strengths):
            strength = self.strength(arm)
            own = [] if strength is None else [self.trained(arm, strength, s, self.task.epochs) for s in range(seeds)]
            found[arm] = [{**one, "strength": strength} for one in own if one is not None]
        return found


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def printed(run: Run, seeds: int) -> list[str]:
    """The lines of one task, with its verdict."""
    task, found, cost = run.task, run.table(seeds), run.costs() or {}
    lines = [
        f"{run.name}: {task.rows:,} rows, {task.epochs} epochs, batch {task.batch}, penalty on {task.share} of them; "
        f"chosen on {task.chooses}",
        "| arm | strength | test | published | at the step chosen | held out | turned | seeds | step (whole batch) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, own in found.items():
        if own:
            at = [max(range(len(one["step"])), key=lambda i, one=one: one[task.chooses][i]) for one in own]  # type: ignore[misc]
            columns = [spread([one[name][-1] for one in own]) for name in ("test", "held", "turned")]
            early = spread([one["test"][i] for one, i in zip(own, at, strict=True)])
            said = PUBLISHED.get(run.name, {}).get(arm, "-")
            lines.append(
                f"| {arm} | {own[0]['strength']:g} | {columns[0]} | {said} | {early} | {columns[1]} | {columns[2]} | "
                f"{len(own)} | {cost.get(arm, float('nan')):.1f}x |"
            )
    return [*lines, *verdict(run.name, found, seeds)]


def verdict(name: str, found: dict[str, list[dict[str, Any]]], seeds: int) -> list[str]:
    """One line a goal; the better form on the rows that choose is the one that is judged."""
    chooses = TASKS[name].chooses
    forms = {arm: own for arm, own in found.items() if arm.startswith("CDEP") and own}
    if not forms or not found["plain"]:
        return ["FAIL  not run to its end"]
    best = max(forms, key=lambda arm: statistics.mean(one[chooses][-1] for one in forms[arm]))
    reached = statistics.mean(one["test"][-1] for one in forms[best])
    plain = statistics.mean(one["test"][-1] for one in found["plain"])
    goal = GOALS.get(name, plain)
    lines = [f"{'PASS' if reached >= goal else 'FAIL'}  {name}: {best} {reached:.1f} (goal {goal:.1f})"]
    lines.append(f"{'PASS' if reached > plain else 'FAIL'}  {name}: {best} above plain by {reached - plain:+.1f}")
    done = min(len(own) for own in found.values())
    return [*lines, *([] if done >= seeds else [f"FAIL  {name}: {done} of {seeds} seeds are done in every arm"])]


def main() -> None:
    """Choose strengths, run the seeds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run of two minutes")
    parser.add_argument("--only", choices=list(TASKS), help="one of the sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="only print what the journal has")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="the folder of the journal")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 1 if given.quick else given.seeds
    name = "explanation_penalty_quick" if given.quick else "explanation_penalty"
    with Journal(given.out / f"{name}.sqlite") as journal:
        runs = []
        for name, task in TASKS.items():
            if given.only in (None, name):
                runs.append(Run(name, replace(task, **QUICK) if given.quick else task, journal))  # type: ignore[arg-type]
        if not given.table:
            for run in runs:
                run.costs()
            for seed in range(seeds):
                for run in runs:
                    for arm in ("plain", *run.task.strengths):
                        run.trained(arm, run.strength(arm) or 0.0, seed, run.task.epochs)
        for run in runs:
            print("\n".join(printed(run, seeds)), end="\n\n")


if __name__ == "__main__":
    main()
