"""The explanation penalty on sets with a planted shortcut: DecoyMNIST, ColorMNIST, and SST with a decoy word.

Source: Rieger2020; beside it right for the right reasons (Ross2017: the squared input gradient of the log-probabilities
in the marked region) and expected gradients (Erion2021: one reference row a step). The sets are made in
`explanation_data`, the networks trained in `explanation_training`. What differs from the public code:

- A penalty sees a part of each batch (`Task.share`), for time. It is a mean over rows and regions, so strengths are
  other numbers than the public code's, which sums over its pixels.
- Strengths are chosen without the test set: on held-out *training* rows whose shortcut is turned (the patch, or the
  colour, of another class); for SST on held-out sentences without the word. One seed, which none of the figures uses.
- The figure is the test accuracy after the last step. A second column gives the step that is best on those held-out
  rows: with them a person could also stop early, without any penalty.
- A control: SST without the word.
- ColorMNIST is also run with the colour of every pixel marked, by every method, and not single pixels.

    make bench NAME=explanation_penalty                           # about three hours on one core; goes on after a kill
    make bench NAME=explanation_penalty ARGS="--only color --seeds 2"
    make bench NAME=explanation_penalty ARGS="--quick"            # a minute or two, to see that it runs
    make bench NAME=explanation_penalty ARGS="--table"            # only print what is there
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.explanation_data import Planted
from benchmarks.explanation_training import COLOUR, TASKS, Task, costs, train
from limbeck._core.journal import Journal

PUBLISHED = {
    "decoy": {"plain": 60.1, "CDEP softmax": 97.2, "RRR": 99.0, "EG": 97.8},
    "color": {"plain": 0.2, "CDEP softmax": 31.0, "RRR": 0.2, "EG": 10.0},
}
"""Rieger2020, test accuracy in per cent; the paper's CDEP is the softmax form."""
GOALS = {"decoy": 97.2, "color": 31.0}
CHOOSING_SEED = 100


def quick(task: Task) -> Task:
    """As little as shows that it runs."""
    first = {arm: values[:1] for arm, values in task.strengths.items()}
    return replace(task, rows=512, epochs=1, trial_epochs=1, marks=1, strengths=first, batch=64, share=8)


def arms(task: Task) -> tuple[str, ...]:
    return ("plain", *task.controls, *task.strengths)


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
        if arm not in self.task.strengths:
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
        for arm in arms(self.task):
            strength = self.strength(arm)
            own = [] if strength is None else [self.trained(arm, strength, s, self.task.epochs) for s in range(seeds)]
            found[arm] = [{**one, "strength": strength} for one in own if one is not None]
        return found


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


def times(cost: float | None) -> str:
    return "-" if cost is None else f"{cost:.1f}x"


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
                f"{len(own)} | {times(cost.get(arm))} |"
            )
    return [*lines, *verdict(run.name, found, seeds)]


def verdict(name: str, found: dict[str, list[dict[str, Any]]], seeds: int) -> list[str]:
    """One line a goal; of each kind of marks the better form on the rows that choose is the one that is judged."""
    chooses = TASKS[name].chooses
    plain = statistics.mean(one["test"][-1] for one in found["plain"]) if found["plain"] else None
    lines = []
    for marks in ("", COLOUR):
        forms = {a: own for a, own in found.items() if a in (f"CDEP softmax{marks}", f"CDEP L1{marks}")}
        if not forms:
            continue
        if plain is None or not all(forms.values()):
            return [*lines, "FAIL  not run to its end"]
        best = max(forms, key=lambda arm: statistics.mean(one[chooses][-1] for one in forms[arm]))
        reached = statistics.mean(one["test"][-1] for one in forms[best])
        lines.append(f"{'PASS' if reached > plain else 'FAIL'}  {name}: {best} above plain by {reached - plain:+.1f}")
        if name in GOALS:
            goal = GOALS[name]
            lines.append(f"{'PASS' if reached >= goal else 'FAIL'}  {name}: {best} {reached:.1f} (goal {goal:.1f})")
    done = min(len(own) for own in found.values())
    return [*lines, *([] if done >= seeds else [f"FAIL  {name}: {done} of {seeds} seeds are done in every arm"])]


def main() -> None:
    """Choose strengths, run the seeds, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run of a minute or two")
    parser.add_argument("--only", choices=list(TASKS), help="one of the sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="only print what the journal has")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="the folder of the journal")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 1 if given.quick else given.seeds
    name = "explanation_penalty_quick" if given.quick else "explanation_penalty"
    with Journal(given.out / f"{name}.sqlite") as journal:
        tasks = {name: quick(task) if given.quick else task for name, task in TASKS.items()}
        runs = [Run(name, task, journal) for name, task in tasks.items() if given.only in (None, name)]
        for seed in range(0 if given.table else seeds):
            for run in runs:
                run.costs()
                for arm in arms(run.task):
                    run.trained(arm, run.strength(arm) or 0.0, seed, run.task.epochs)
        for run in runs:
            print("\n".join(printed(run, seeds)), end="\n\n")


if __name__ == "__main__":
    main()
