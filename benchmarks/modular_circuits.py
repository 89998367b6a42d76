"""Effective circuits in batches against one weight at a time: how much faster, how large, at which loss.

Source: Golechha2024 (effective circuit size). The network is that of the paper, 784-64-64-64-10 without biases, trained
on MNIST; circuits are pruned on 5,000 rows that were kept out. The reference tries each weight once, from the last
layer back, with one pass of the network a weight (the public code takes two), and keeps it at 0 unless the cross
entropy rises, in float32 as torch computes it. It takes minutes a label, so it is run on the last three layers whole
and on weights of the first that are drawn at random, and its time is extrapolated from these. Its size so
estimated is too small: the few that are drawn find room that all together would use up. `--whole 3` runs it on all
weights for one label. A small network, on 7 by 7 images, is pruned whole by both. Seconds are of one thread of the
processor, so that other work on the machine does not count.

    make bench NAME=modular_circuits                    # some five minutes
    python -m benchmarks.modular_circuits --whole 3     # the reference whole for label 3: some minutes more
"""

from __future__ import annotations

import argparse
import copy
import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from benchmarks.explanation_data import digits
from limbeck.modularity._circuit import Circuit, effective_circuit

GOAL = 50.0
TRAINED_ON, EPOCHS = 55_000, 5
Rows = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Reference:
    """One weight at a time: the weights tried and left and the seconds a layer, and the loss at the end."""

    tried: dict[str, int]
    left: dict[str, int]
    seconds: dict[str, float]
    loss: float
    network: nn.Module


def network(*sizes: int) -> nn.Sequential:
    layers = [part for i, o in itertools.pairwise(sizes) for part in (nn.Linear(i, o, bias=False), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def trained(rows: Rows, seed: int, *sizes: int) -> nn.Sequential:
    torch.manual_seed(seed)
    model, (x, y) = network(*sizes), rows
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(x[index]), y[index]).backward()
            optimiser.step()
    return model.eval()


def tensors(x: np.ndarray, y: np.ndarray, pooled: bool) -> Rows:
    images = torch.from_numpy(x.astype(np.float32) / 255)[:, None]
    images = nn.functional.avg_pool2d(images, 4) if pooled else images
    return images.flatten(1), torch.from_numpy(y.astype(np.int64))


def label_loss(model: nn.Module, rows: Rows, label: int, contrast: bool) -> float:
    """The cross entropy of the label; with contrast, the mean of it and of that of "not this label" on other rows."""
    z = model(rows[0])
    if not contrast:
        return float(nn.functional.cross_entropy(z, rows[1]))
    own = rows[1] == label
    margin = z[:, label] - torch.cat([z[:, :label], z[:, label + 1 :]], dim=1).logsumexp(dim=1)
    return 0.5 * float(nn.functional.softplus(-margin[own]).mean() + nn.functional.softplus(margin[~own]).mean())


def timed(model: nn.Module, rows: Rows, label: int, contrast: bool) -> tuple[Circuit, float]:
    started = time.process_time()
    return effective_circuit(model, rows, label, contrast=contrast), time.process_time() - started


@torch.no_grad()
def one_at_a_time(model: nn.Module, rows: Rows, label: int, contrast: bool, drawn: int | None) -> Reference:
    """The reference; of the first layer only so many weights, drawn at random, where `drawn` is given."""
    model = copy.deepcopy(model)
    if not contrast:
        rows = (rows[0][rows[1] == label], rows[1][rows[1] == label])
    lowest = label_loss(model, rows, label, contrast)
    names = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear)]
    found = Reference({}, {}, {}, 0.0, model)
    for name in reversed(names):
        weight = model.get_submodule(name).weight.view(-1)
        places = np.arange(len(weight))
        if name == names[0] and drawn is not None:
            places = np.random.default_rng(0).permutation(places)[:drawn]
        started, left = time.process_time(), 0
        for j in places:
            before = float(weight[j])
            weight[j] = 0.0
            now = label_loss(model, rows, label, contrast)
            if now <= lowest:
                lowest = now
            else:
                weight[j], left = before, left + 1
        found.tried[name], found.left[name] = len(places), left
        found.seconds[name] = time.process_time() - started
    return Reference(found.tried, found.left, found.seconds, lowest, model)


@torch.no_grad()
def exact_loss(model: nn.Module, rows: Rows, label: int) -> float:
    """The cross entropy in float64, where 1e-9 is not 0."""
    own = rows[1] == label
    z = copy.deepcopy(model).double()(rows[0][own].double())
    margin = z[:, label] - torch.cat([z[:, :label], z[:, label + 1 :]], dim=1).logsumexp(dim=1)
    return float(torch.log1p(torch.exp(-margin)).mean())


@torch.no_grad()
def spared(model: nn.Module, circuit: Circuit, rows: Rows, label: int) -> float:
    """The share of weights of the circuit, drawn at random, any one of which could still go without a rise."""
    alone, rng, could, tried = circuit.alone(model), np.random.default_rng(1), 0, 0
    lowest = exact_loss(alone, rows, label)
    for name, kept in circuit.kept.items():
        weight, places = alone.get_submodule(name).weight.view(-1), np.flatnonzero(kept)
        for j in rng.permutation(places)[:25]:
            before = float(weight[j])
            weight[j] = 0.0
            could, tried = could + (exact_loss(alone, rows, label) <= lowest), tried + 1
            weight[j] = before
    return could / max(tried, 1)


def compare_large(model: nn.Module, rows: Rows, labels: list[int], drawn: int | None) -> list[float]:
    print("| label | size, ours | size, one at a time | loss before | loss after, ours | one at a time | s, ours |"
          " s, one at a time | times faster | passes |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    gains = []
    for label in labels:
        circuit, spent = timed(model, rows, label, False)
        other = one_at_a_time(model, rows, label, False, drawn)
        seconds = share = 0.0
        for name, kept in circuit.kept.items():
            seconds += other.seconds[name] / other.tried[name] * kept.size
            share += other.left[name] / other.tried[name] * kept.size
        size = share / sum(kept.size for kept in circuit.kept.values())
        gains.append(seconds / spent)
        rest = f"{exact_loss(other.network, rows, label):.1e}"
        print(
            f"| {label} | {circuit.size:.4f} | {size:.4f} | {circuit.loss_before:.3f} | {circuit.loss_after:.1e} | "
            f"{rest} | {spent:.2f} | {seconds:.0f} | {gains[-1]:.0f} | {circuit.passes} |",
            flush=True,
        )
    return gains


def compare_small(model: nn.Module, rows: Rows, contrast: bool) -> None:
    """Both whole, for all labels."""
    ours, theirs = [], []
    weights = sum(p.numel() for p in model.parameters())
    for label in range(10):
        circuit, spent = timed(model, rows, label, contrast)
        other = one_at_a_time(model, rows, label, contrast, None)
        ours.append((circuit.size, circuit.loss_after, spent, circuit.loss_before))
        theirs.append((sum(other.left.values()) / weights, other.loss, sum(other.seconds.values())))
    a, b = np.array(ours), np.array(theirs)
    print(
        f"| {'label against rest' if contrast else 'label'} | {a[:, 3].mean():.3f} | {a[:, 0].mean():.3f} | "
        f"{b[:, 0].mean():.3f} | "
        f"{a[:, 1].mean():.2e} | {b[:, 1].mean():.2e} | {int((a[:, 1] <= b[:, 1] + 6e-8).sum())} | "
        f"{int((a[:, 0] <= b[:, 0]).sum())} | {b[:, 2].sum() / a[:, 2].sum():.1f} |",
        flush=True,
    )


def main() -> None:
    """Train, prune by both, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="*", default=[0, 1, 3, 8], help="on the large network")
    parser.add_argument("--drawn", type=int, default=2_000, help="weights of the first layer that the reference tries")
    parser.add_argument(
        "--whole", type=int, help="run the reference on all weights of the large network for this label"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    x, y, x_held, y_held, _, _ = digits(TRAINED_ON, args.seed)
    small_rows = tensors(x_held, y_held, True)
    small = trained(tensors(x, y, True), args.seed, 49, 16, 16, 10)
    effective_circuit(small, small_rows, 0)  # what torch loads on first use is in nobody's time
    print("49-16-16-10, 1,200 weights, both whole, mean of ten labels\n")
    print("| loss | before | size, ours | one at a time | after, ours | one at a time | labels with as low a loss | "
          "with as small a size | times faster |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for contrast in (False, True):
        compare_small(small, small_rows, contrast)
    rows = tensors(x_held, y_held, False)
    model = trained(tensors(x, y, False), args.seed, 784, 64, 64, 64, 10)
    accuracy = float((model(rows[0]).argmax(dim=1) == rows[1]).float().mean())
    how = f"its first layer from {args.drawn:,} of its weights" if args.whole is None else "the reference whole"
    print(f"\n784-64-64-64-10, 59,008 weights, {100 * accuracy:.1f} % right on the kept-out rows; {how}\n")
    gains = compare_large(
        model, rows, args.labels if args.whole is None else [args.whole], args.drawn if args.whole is None else None
    )
    last = effective_circuit(model, rows, args.labels[-1])
    could = spared(model, last, rows, args.labels[-1])
    print(f"\nlabel {args.labels[-1]}: {100 * could:.0f} % of the weights left could go one by one (floor apart)")
    verdict = "reached" if min(gains) >= GOAL else "MISSED"
    print(f"times faster: {min(gains):.0f} to {max(gains):.0f}; goal {GOAL:.0f}: {verdict}. Published: none.")


if __name__ == "__main__":
    main()
