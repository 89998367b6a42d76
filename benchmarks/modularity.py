"""Networks that come apart, on MNIST and CIFAR-10: how far, at what accuracy, and how small their circuits are.

Source: Golechha2024's recipe: 5 plain epochs, k = 4 clusters, 15 epochs with 20 times the enmeshment loss; Adam 1e-3,
batches of 64; linear layers without biases. Beside it plain training for 20 epochs, an L1 penalty on all weights, and
the same penalty on blocks that are drawn at random. What differs from the paper:

- A figure is of evaluation rows; the epoch, and the strength of L1, are chosen on validation rows, and every arm stops
  where five epochs brought nothing better. L1 is as strong as costs at most one point of accuracy, found with a seed
  that none of the figures uses.
- Beside the trained network stands the split one, whose weights between clusters are exactly 0.
- "enmeshment, split" trains its last five epochs, of the same 20, with the weights between clusters held at exactly 0.
- Clustered are the two layers between hidden units; "all layers" clusters the first and the last one too.
- Circuits and specialisation are measured on validation rows. Circuits in three ways, of which the first is nearest to
  the paper: all layers, and only the label's own rows count ("paper", where a circuit may say its label of every row);
  and the two hidden layers alone, where rows of other labels count as well, of the trained and of the split network.

    make bench NAME=modularity                           # about an hour on one core; goes on after a kill
    make bench NAME=modularity ARGS="--only mnist --seeds 2"
    make bench NAME=modularity ARGS="--workers 4"        # cells side by side; a GPU is used if there is one
    make bench NAME=modularity ARGS="--quick"            # a minute or two, to see that it runs
    make bench NAME=modularity ARGS="--table"            # only print what is there
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from benchmarks.modularity_data import SETS, Images, images, network
from limbeck._core.journal import Journal
from limbeck._core.parallel import Failure, run_tasks
from limbeck.modularity._batches import as_batches
from limbeck.modularity._clusterability import clusterability
from limbeck.modularity._clusters import Clusters, cluster_layers
from limbeck.modularity._fit_loop import Fit, default_loss
from limbeck.modularity._split import SplitNetwork, split
from limbeck.modularity._train_modular import train_modular
from limbeck.training._enmeshment import enmeshment_loss

PUBLISHED = {
    "cifar": "C .23 -> .9999; accuracy 62.7 -> 60.0 to 63.0 (50,000 images); circuits 61 % smaller (recalled)",
    "mnist": "circuits about 61 % smaller (recalled)",
}
K, STRENGTH, EPOCHS, WARMUP = 4, 20.0, 20, 5
L1_STRENGTHS = (3e-5, 1e-4, 3e-4, 1e-3)
PATIENCE = 5
CHOOSING_SEED = 100
ARMS = ("plain", "L1", "random blocks", "enmeshment", "enmeshment, split", "enmeshment, all layers")
SPLIT_EPOCHS = 5
CLUSTERABLE, POINTS, CIRCUIT = 0.99, 1.0, 0.40
CIRCUIT_ROWS, INTERPRETED_ROWS = 500, 1_000
ALL_LAYERS = ("mnist",)
"""Where circuits are searched in all layers too."""


@dataclass(frozen=True)
class Scale:
    """How much is done."""

    rows: int | None = None
    epochs: int = EPOCHS
    warmup: int = WARMUP


QUICK = Scale(rows=1_920, epochs=4, warmup=1)


def accuracy(model: nn.Module, rows: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Per cent."""
    model.eval()
    with torch.no_grad():
        right = [model(x).argmax(dim=1).eq(y) for x, y in zip(*(part.split(500) for part in rows), strict=True)]
    return 100 * float(torch.cat(right).float().mean())


def linear_layers(model: nn.Module) -> list[str]:
    return [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]


def random_blocks(model: nn.Module, seed: int) -> dict[str, Clusters]:
    """Clusters of equal sizes drawn at random, with one label for each unit of a chain."""
    rng = np.random.default_rng(seed)
    found, columns = {}, rng.permutation(np.arange(64) % K)
    for name in linear_layers(model)[1:-1]:
        rows = rng.permutation(np.arange(64) % K)
        found[name] = Clusters(rows, columns, K)
        columns = rows
    return found


def l1(model: nn.Module) -> torch.Tensor:
    """The sum of the absolute weights of all layers."""
    return torch.stack([p.abs().sum() for p in model.parameters() if p.ndim > 1]).sum()


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(model.parameters(), 1e-3, fused=True)


def train(name: str, data: Images, arm: str, strength: float, seed: int, scale: Scale) -> tuple[nn.Module, Any, int]:
    """A trained network, its clusters, and how many epochs were run; the epoch is chosen on validation rows."""
    model = network(name, seed)
    layers = linear_layers(model) if arm.endswith("all layers") else linear_layers(model)[1:-1]
    if arm.startswith("enmeshment"):
        how: dict[str, Any] = {"strength": strength, "warmup_epochs": scale.warmup, "patience": PATIENCE}
        last = min(SPLIT_EPOCHS, scale.epochs - scale.warmup - 1) if arm.endswith("split") else 0
        how |= {"epochs": scale.epochs - scale.warmup - last, "split_epochs": last}
        how |= {"validation": data.validation, "random_state": seed}
        done = train_modular(model, data.train, layers=layers, k=K, **how)
        return model, done.clusters, len(done.history)
    torch.manual_seed(seed)
    model.to(device())
    held = as_batches(data.validation, model, "validation", size=512, shuffle=False)
    batches = as_batches(data.train, model, "rows")
    fit = Fit(model, batches, default_loss, adam(model), held, total=scale.epochs)
    if arm == "random blocks":
        fixed = random_blocks(model, seed)
        fit.run(scale.warmup, "plain", keep_best=False)
        fit.run(
            scale.epochs - scale.warmup, "modular", lambda net: enmeshment_loss(net, fixed), strength, patience=PATIENCE
        )
        return model.cpu(), fixed, len(fit.epochs)
    fit.run(scale.epochs, "plain", l1 if arm == "L1" else None, strength, patience=PATIENCE)
    return model.cpu(), cluster_layers(model, layers, K, random_state=seed), len(fit.epochs)


def measured(model: nn.Module, clusters: dict[str, Clusters], data: Images) -> dict[str, Any]:
    """Accuracies and clusterability of a trained network, and of what is left when it is split."""
    apart = split(model, clusters, check_rows=data.validation[0])
    layers = {name: model.get_submodule(name) for name in clusters}
    own = [clusterability(layer.weight, clusters[name]) for name, layer in layers.items()]
    after = [
        float(clusterability(apart.network.get_submodule(name).weight, clusters[name], n_permutations=1))
        for name in clusters
    ]
    return {
        "C": statistics.mean(float(one) for one in own),
        "chance": statistics.mean(float(one.chance) for one in own),
        "p": max(float(one.p_value) for one in own),
        "C split": statistics.mean(after),
        "accuracy": accuracy(model, data.evaluation),
        "accuracy split": accuracy(apart, data.evaluation),
        "validation": accuracy(model, data.validation),
        "additive": apart.additive,
        "clusters": {name: found.to_dict() for name, found in clusters.items()},
    }


class Run:
    """All cells of one set; what is in the journal is not done again, and weights lie beside it."""

    def __init__(self, name: str, scale: Scale, journal: Journal, folder: Path, *, only_read: bool = False) -> None:
        self.name, self.scale, self.journal, self.folder, self.only_read = name, scale, journal, folder, only_read

    @property
    def data(self) -> Images:
        """The set; one split for all seeds, which vary weights and order."""
        return images(self.name, self.scale.rows)

    def cell(self, what: dict[str, Any], function: Callable[[], Any]) -> Any:
        """What the journal has, or what the function gives now."""
        key = {"set": self.name, "rows": self.scale.rows, "epochs": self.scale.epochs, **what}
        if self.only_read or key in self.journal:
            return self.journal.get(key)
        value = self.journal.cell(key, function)
        shown = {k: v for k, v in value.items() if k != "clusters"} if isinstance(value, dict) else value
        print(f"{self.name}: {what} {shown}", flush=True)
        return value

    def weights(self, arm: str, strength: float, seed: int) -> Path:
        plain = arm.replace(", ", "-").replace(" ", "-")
        return self.folder / f"{self.name}-{self.scale.epochs}-{plain}-{strength:g}-{seed}.safetensors"

    def trained(self, arm: str, strength: float, seed: int) -> dict[str, Any] | None:
        """Train, measure, save the weights."""

        def work() -> dict[str, Any]:
            data, start = self.data, time.perf_counter()
            model, clusters, epochs = train(self.name, data, arm, strength, seed, self.scale)
            seconds = time.perf_counter() - start
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(model.state_dict(), self.weights(arm, strength, seed))
            return {**measured(model, clusters, data), "seconds": seconds, "run": epochs}

        return self.cell({"arm": arm, "strength": strength, "seed": seed}, work)

    def strength(self, arm: str) -> float | None:
        """Of the enmeshment as published; of L1 the largest that costs at most a point on validation rows."""
        if arm != "L1":
            return 0.0 if arm == "plain" else STRENGTH
        plain = self.trained("plain", 0.0, CHOOSING_SEED)
        if plain is None:
            return None
        best = L1_STRENGTHS[0]
        for value in L1_STRENGTHS:
            found = self.trained("L1", value, CHOOSING_SEED)
            if found is None:
                return None
            if found["validation"] < plain["validation"] - POINTS:
                break
            best = value
        return best

    def again(self, arm: str, strength: float, seed: int) -> tuple[nn.Module, SplitNetwork] | None:
        """The trained network and the split one, from the disk."""
        found, path = self.trained(arm, strength, seed), self.weights(arm, strength, seed)
        if found is None or not path.is_file():
            return None
        model = network(self.name, seed)
        model.load_state_dict(load_file(path))
        clusters = {name: Clusters.from_dict(own) for name, own in found["clusters"].items()}
        return model, split(model, clusters, check_rows=self.data.validation[0])

    def circuit(self, arm: str, strength: float, seed: int) -> dict[str, Any] | None:
        """Mean circuit sizes over labels, on validation rows, as shares of the weights: in three ways.

        ``paper``: all layers of the trained network, rows of the label alone. ``trained`` and ``split``: the layers
        between hidden units, of the trained and of the split network, where rows of other labels count too. In all
        layers of CIFAR-10's network, 273,000 weights, a search takes more than seven minutes: it is not done.
        """

        def work() -> dict[str, Any]:
            from limbeck.modularity._circuits import circuits

            start, both = time.perf_counter(), self.again(arm, strength, seed)
            assert both is not None
            rows, hidden = tuple(part[:CIRCUIT_ROWS] for part in self.data.validation), linear_layers(both[0])[1:-1]
            how: dict[str, Any] = {"layers": hidden, "contrast": True, "random_state": 0}
            found = {
                "trained": circuits(*from_layer(both[0], hidden[0], rows), **how),
                "split": circuits(*from_layer(both[1].network, hidden[0], rows), **how),
            }
            if self.name in ALL_LAYERS:
                found["paper"] = circuits(both[0], rows, random_state=0)
            sizes = {name: statistics.mean(one.size for one in own) for name, own in found.items()}
            return {**sizes, "seconds": time.perf_counter() - start}

        return self._later({"what": "circuits", "arm": arm, "strength": strength, "seed": seed}, work)

    def specialisation(self, arm: str, strength: float, seed: int) -> dict[str, Any] | None:
        """How far labels belong to single modules of the split network, on validation rows, with its chance level."""

        def work() -> dict[str, Any]:
            from limbeck.modularity._interpretation import interpret

            both = self.again(arm, strength, seed)
            assert both is not None
            X, y = (part[:INTERPRETED_ROWS] for part in self.data.validation)
            found = interpret(both[1], X, y, random_state=0).specialisation
            return {"score": float(found.score), "chance": float(found.chance), "p": float(found.p_value)}

        return self._later({"what": "specialisation", "arm": arm, "strength": strength, "seed": seed}, work)

    def _later(self, what: dict[str, Any], work: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """A cell of a trained network; None where the network was not trained, or what measures it is not there."""
        if not self.only_read and not self.weights(what["arm"], what["strength"], what["seed"]).is_file():
            return None
        try:
            return self.cell(what, work)
        except ImportError as error:
            print(f"{self.name}: {what} not measured: {error}", flush=True)
            return None

    def seeds(self, arm: str, seeds: int) -> range:
        """One seed where a choice is only tried."""
        return range(min(seeds, 1) if arm == ARMS[-1] else seeds)

    def do(self, what: str, seeds: int, workers: int) -> None:
        """One kind of cell for all seeds and arms, in `workers` processes."""
        strengths = {arm: self.strength(arm) for arm in ARMS}
        cells = [(arm, strengths[arm], seed) for seed in range(seeds) for arm in ARMS if seed in self.seeds(arm, seeds)]
        place = (self.name, self.scale, self.journal.path, self.folder, what)
        for i, found in run_tasks(one_cell, [(*place, *cell) for cell in cells], n_jobs=workers):
            if isinstance(found, Failure):
                raise SystemExit(f"{self.name}: {what} of {cells[i]}: {found.kind}: {found.message}")

    def table(self, seeds: int) -> dict[str, list[dict[str, Any]]]:
        """For each arm what its seeds found, as far as they are done."""
        self.only_read = True  # nothing is begun for a table
        found: dict[str, list[dict[str, Any]]] = {}
        for arm in ARMS:
            strength, found[arm] = self.strength(arm), []
            for seed in self.seeds(arm, seeds) if strength is not None else ():
                own = self.trained(arm, strength, seed)
                if own is not None:
                    cell: dict[str, Any] = {"seed": seed, "strength": strength}
                    cell["circuit"] = self.circuit(arm, strength, seed) or {}
                    cell["special"] = self.specialisation(arm, strength, seed) or {}
                    found[arm].append(own | cell)
        return found


def from_layer(
    model: nn.Module, name: str, rows: tuple[torch.Tensor, ...]
) -> tuple[nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """The network from a layer on, and what comes to it: the same answers, without the layers before it each time."""
    assert isinstance(model, nn.Sequential)
    at = list(dict(model.named_children())).index(name)
    with torch.no_grad():
        return model[at:], (model[:at](rows[0]), rows[1])


def one_cell(name: str, scale: Scale, path: Path, folder: Path, what: str, *cell: Any) -> None:
    """One cell in a process of its own."""
    torch.set_num_threads(1)
    with Journal(path) as journal:
        getattr(Run(name, scale, journal, folder), what)(*cell)


def spread(values: list[float | None], places: int = 1) -> str:
    """The mean of the seeds and their standard deviation."""
    own = [value for value in values if value is not None]
    if not own:
        return "-"
    return f"{statistics.mean(own):.{places}f}" + (f" ± {statistics.stdev(own):.{places}f}" if len(own) > 1 else "")


def printed(run: Run, seeds: int) -> list[str]:
    """The lines of one set, with its verdicts."""
    found = run.table(seeds)
    lines = [
        f"{run.name}: {run.scale.epochs} epochs, k = {K}. Published: {PUBLISHED[run.name]}",
        "| arm | strength | C (chance) | C split | accuracy | split | circuit: paper | hidden | hidden, split | "
        "special (chance) | n | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for arm, own in found.items():
        if own:
            columns = [
                f"{spread([one['C'] for one in own], 4)} ({statistics.mean(one['chance'] for one in own):.2f})",
                spread([one["C split"] for one in own], 4),
                spread([one["accuracy"] for one in own], 2),
                spread([one["accuracy split"] for one in own], 2),
                *(spread([one["circuit"].get(kind) for one in own], 3) for kind in ("paper", "trained", "split")),
                f"{spread([one['special'].get('score') for one in own], 3)} "
                f"({spread([one['special'].get('chance') for one in own], 3).split(' ')[0]})",
            ]
            seconds = statistics.mean(one["seconds"] for one in own)
            strength = f"{own[0]['strength']:g}"
            lines.append("| " + " | ".join([arm, strength, *columns, str(len(own)), f"{seconds:.0f}"]) + " |")
    return [*lines, *verdicts(run.name, found, seeds)]


def verdicts(name: str, found: dict[str, list[dict[str, Any]]], seeds: int) -> list[str]:
    """One line a target."""
    plain, own = found["plain"], found["enmeshment"]
    if not plain or not own:
        return ["FAIL  not run to its end"]

    def line(passed: bool, text: str) -> str:
        return f"{'PASS' if passed else 'FAIL'}  {name}: {text}"

    c = statistics.mean(one["C"] for one in own)
    lines = [line(c >= CLUSTERABLE, f"clusterability {c:.4f} (target {CLUSTERABLE})")]
    for arm in ("enmeshment", "enmeshment, split"):
        pairs = {one["seed"]: one["accuracy split"] for one in found[arm]}
        lost = [one["accuracy"] - pairs[one["seed"]] for one in plain if one["seed"] in pairs]
        if lost:
            text = f"{arm}: the split network is {statistics.mean(lost):+.2f} points below plain (target {POINTS})"
            lines.append(line(statistics.mean(lost) <= POINTS, text))
    for kind, beside, what in (
        ("paper", "paper", "all layers of the trained network, the label's rows"),
        ("split", "trained", "hidden layers of the split network, with contrast; plain as it is"),
    ):
        pairs = ((kind, own), (beside, plain))
        mine, theirs = ([one["circuit"][way] for one in arm if way in one["circuit"]] for way, arm in pairs)
        if not mine or not theirs:
            lines.append(line(False, f"circuits are not measured ({what})"))
        else:
            share = statistics.mean(mine) / statistics.mean(theirs)
            lines.append(line(share <= CIRCUIT, f"circuits are {share:.2f} of plain's ({what}; target {CIRCUIT})"))
    done = min(len(found[arm]) for arm in ARMS[:-1])
    return [*lines, *([] if done >= seeds else [line(False, f"{done} of {seeds} seeds are done in every arm")])]


def main() -> None:
    """Train what is not yet trained, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small run of a minute or two")
    parser.add_argument("--only", choices=list(SETS), help="one of the sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1, help="cells at a time, each in a process with one thread")
    parser.add_argument("--table", action="store_true", help="only print what the journal has")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="the folder of journal and weights")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds, scale = (1, QUICK) if given.quick else (given.seeds, Scale())
    name = "modularity_quick" if given.quick else "modularity"
    with Journal(given.out / f"{name}.sqlite") as journal:
        for own in SETS if given.only is None else (given.only,):
            run = Run(own, scale, journal, given.out / f"{name}_weights", only_read=given.table)
            for what in () if given.table else ("trained", "specialisation", "circuit"):
                run.do(what, seeds, given.workers)
            print("\n".join(printed(run, seeds)), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
