"""Soft decision trees on MNIST, Letter and Connect-4: distilled and on true labels, by path and averaged; and speed.

Source: Frosst2017. The published figures stand beside ours. The control arm is the same tree on true labels, with the
same moved images, steps and choice of settings: the difference is what the teacher is worth. Settings are chosen on
held-out training rows, figures are those of the test rows.

    make bench NAME=soft_tree                        # all parts, about 40 minutes on two busy cores
    make bench NAME=soft_tree ARGS="--parts speed"   # or some: mnist, tables, few, speed
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from limbeck import datasets
from limbeck.queries import ImageShifts, Munge
from limbeck.readable._soft_tree_path import compiled_walk
from limbeck.students import SoftTreeClassifier
from limbeck.students._soft_tree_step import Balance, Parameters, gradient
from limbeck.training import train_default

PUBLISHED = {
    "MNIST, depth 8": {"teacher": 99.21, "true labels": 94.45, "distilled": 96.76},
    "Letter, depth 9": {"true labels": 78.0, "distilled": 81.0},  # recalled, unsure
    "Connect-4, depth 8": {"true labels": 78.63, "distilled": 80.60},  # recalled, fairly sure
}
GRID = ({"learning_rate": 0.01, "weight_decay": 0.3}, {"learning_rate": 0.005, "weight_decay": 0.6})
STEPS = 15_000


def say(*parts: object) -> None:
    print(*parts, flush=True)


def both(tree: SoftTreeClassifier, X: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Accuracy by the path and averaged, in per cent."""
    Z = tree.readable_.schema.encode(X)
    readings = (tree.readable_, tree.averaged_)
    return tuple(100 * float(np.mean(tree.classes_[r.predict_encoded(Z).argmax(1)] == y)) for r in readings)  # type: ignore[return-value]


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")


# The teacher of images: a small convolutional network


def train_cnn(X: np.ndarray, y: np.ndarray, *, seed: int, epochs: int) -> torch.nn.Module:
    nn = torch.nn
    torch.manual_seed(seed)
    net = nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.MaxPool2d(2), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten()),
        *(nn.Linear(32 * 49, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)),
    )
    images, labels = torch.from_numpy(X).view(-1, 1, 28, 28) / 255.0, torch.from_numpy(y)
    steps = epochs * max(1, len(X) // 128)
    optimiser = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        index = torch.randint(len(X), (128,), generator=generator)
        down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
        optimiser.zero_grad()
        moved = torch.roll(images[index], (down, right), (2, 3))
        nn.functional.cross_entropy(net(moved), labels[index]).backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def chances(net: torch.nn.Module, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        parts = [net(torch.from_numpy(X[i : i + 2_000]).view(-1, 1, 28, 28) / 255.0) for i in range(0, len(X), 2_000)]
    return torch.cat(parts).double().softmax(1).numpy()


def read_mnist() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    found = datasets.load("mnist")
    X, y = found.X.to_numpy(np.float32), found.y.to_numpy(np.int64)
    train = found.split == "train"
    return X[train], y[train], X[~train], y[~train]


def more_images(X: np.ndarray, y: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The images and `count` moved ones, with their labels."""
    source = ImageShifts(image_shape=(28, 28, 1))
    tagged = np.random.default_rng(seed).integers(len(X), size=count)
    moved = np.concatenate(
        [source.sample(X[tagged[y[tagged] == c]], int((y[tagged] == c).sum()), seed + c) for c in range(10)]
    ).astype(np.float32)
    labels = np.concatenate([np.full(int((y[tagged] == c).sum()), c) for c in range(10)])
    return np.vstack([X, moved]), np.r_[y, labels]


def fit_images(X: np.ndarray, y: np.ndarray, soft: np.ndarray | None, seed: int, steps: int, **options: float):
    tree = SoftTreeClassifier(8, image_shape=(28, 28), max_steps=steps, random_state=seed, **options)
    start = time.perf_counter()
    tree.fit(X, y, y_soft=soft, classes=list(range(10)))
    return tree, time.perf_counter() - start


def run_mnist(seeds: int, keep: Path | None) -> None:
    X, y, X_test, y_test = read_mnist()
    held = np.random.default_rng(0).permutation(len(X))[:5_000]
    kept = np.setdiff1d(np.arange(len(X)), held)
    start = time.perf_counter()
    net = train_cnn(X[kept], y[kept], seed=0, epochs=6)
    right = 100 * float(np.mean(chances(net, X_test).argmax(1) == y_test))
    say(f"MNIST: teacher {right:.2f} (published {PUBLISHED['MNIST, depth 8']['teacher']}), {clock(start)}")
    rows, labels = more_images(X[kept], y[kept], 4 * len(kept), 0)
    soft = chances(net, rows)
    lines = {}
    for arm, targets in (("distilled", soft), ("true labels", None)):
        tried = [fit_images(rows, labels, targets, 0, STEPS, **options) for options in GRID]
        scores = [both(tree, X[held], y[held]) for tree, _ in tried]
        for options, score in zip(GRID, scores, strict=True):
            say(f"  {arm}, {options}: validation by the path {score[0]:.2f}, averaged {score[1]:.2f}")
        best = int(np.argmax([path for path, _ in scores]))
        fits = [tried[best]] + [fit_images(rows, labels, targets, s, STEPS, **GRID[best]) for s in range(1, seeds)]
        lines[arm] = [(*both(tree, X_test, y_test), seconds) for tree, seconds in fits]
        if keep is not None and arm == "distilled":
            keep.write_text(json.dumps(fits[0][0].readable_.to_dict()), encoding="utf-8")
        agree = [np.mean(greatest_is_greedy(tree, X_test)) for tree, _ in fits]
        say(f"  {arm}: on {100 * np.mean(agree):.1f} % of test rows the path takes the likelier side at every node")
    say("\n| MNIST, depth 8 | by the path | averaged | published | seconds of fit |\n|---|---|---|---|---|")
    for arm, found in lines.items():
        path, average, seconds = (list(column) for column in zip(*found, strict=True))
        published = PUBLISHED["MNIST, depth 8"][arm]
        say(f"| {arm} | {spread(path)} | {spread(average)} | {published} | {np.mean(seconds):.0f} |")
    say(verdict(lines["distilled"], lines["true labels"]))


def verdict(distilled: list[tuple[float, ...]], control: list[tuple[float, ...]]) -> str:
    path, average, seconds = (float(np.mean(column)) for column in zip(*distilled, strict=True))
    gain = path - float(np.mean([found[0] for found in control]))
    met = "met" if path >= 97.2 and average >= 97.6 and seconds <= 180 else "NOT met"
    return (
        f"Target 97.2 by the path, 97.6 averaged, 180 s: {met}. The teacher is worth {gain:+.2f} points by the path; "
        f"the rest of the distance to the published 96.76 is the training.\n"
    )


def greatest_is_greedy(tree: SoftTreeClassifier, X: np.ndarray) -> np.ndarray:
    readable = tree.readable_
    Z = readable.schema.encode(X)
    scores, node = readable.scores(Z), np.zeros(len(Z), dtype=np.int64)
    for _ in range(readable.depth):
        node = 2 * node + 1 + (scores[np.arange(len(Z)), node] > 0)
    return node == readable.leaf_of(Z)


def clock(start: float) -> str:
    return f"{time.perf_counter() - start:.0f} s"


# Tables


def run_tables(seeds: int) -> None:
    say("\n| set | teacher | arm | by the path | averaged | published |\n|---|---|---|---|---|---|")
    for name, title, depth, steps in (
        ("letter", "Letter, depth 9", 9, 8_000),
        ("connect4", "Connect-4, depth 8", 8, 8_000),
    ):
        found = datasets.load(name)
        X, y = found.X, found.y.to_numpy().astype(str)
        teachers: list[float] = []
        lines: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(X))
            cut = 16_000 if name == "letter" else len(X) * 2 // 3
            train, test = order[:cut], order[cut:]
            X_train, y_train, X_test, y_test = X.iloc[train], y[train], X.iloc[test], y[test]
            teacher = train_default(X_train, y_train, "classification", random_state=seed)
            teachers.append(100 * float(np.mean(np.asarray(teacher.predict(X_test)) == y_test)))
            asked = Munge().sample(X_train, len(X_train), seed)
            arms = {
                "true labels": (X_train, y_train, None),
                "distilled": (X_train, y_train, teacher.predict_proba(X_train)),
                "distilled, and MUNGE": with_queries(teacher, X_train, y_train, asked),
            }
            for arm, (rows, labels, soft) in arms.items():
                tree = SoftTreeClassifier(depth, max_steps=steps, random_state=seed)
                tree.fit(rows, labels, y_soft=soft, classes=list(teacher.classes_))
                lines.setdefault(arm, []).append(both(tree, X_test, y_test))
        for arm, values in lines.items():
            path, average = (spread(list(column)) for column in zip(*values, strict=True))
            published = PUBLISHED[title].get(arm.partition(",")[0], "")
            say(f"| {title} | {spread(teachers)} | {arm} | {path} | {average} | {published} |")


def with_queries(teacher, X, y, asked):
    import pandas as pd

    rows = pd.concat([X, asked], ignore_index=True)
    return rows, np.r_[y, np.asarray(teacher.predict(asked)).astype(str)], teacher.predict_proba(rows)


# Few labelled rows, many without labels


def run_few(seeds: int) -> None:
    X, y, X_test, y_test = read_mnist()
    say("\n| MNIST, labelled rows | teacher | true labels | teacher's, same rows | and 20,000 rows without labels |")
    say("|---|---|---|---|---|")
    for size in (1_000, 5_000, 20_000):
        columns: list[list[float]] = [[], [], [], []]
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(X))
            few, others = order[:size], order[size : size + 20_000]
            net = train_cnn(X[few], y[few], seed=seed, epochs=max(6, 40_000 // size))
            columns[0].append(100 * float(np.mean(chances(net, X_test).argmax(1) == y_test)))
            rows, labels = more_images(X[few], y[few], 4 * size, seed)
            more = np.vstack([rows, X[others]])
            guessed = chances(net, more)
            arms = (
                (rows, labels, None),
                (rows, labels, guessed[: len(rows)]),
                (more, np.r_[labels, guessed[len(rows) :].argmax(1)], guessed),
            )
            for column, arm in zip(columns[1:], arms, strict=True):
                tree, _ = fit_images(*arm, seed, 5_000)
                column.append(both(tree, X_test, y_test)[0])
        say(f"| {size:,} | {' | '.join(spread(column) for column in columns)} |")


# Speed


def least(function, repeats: int = 40) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def one_step(depth: int, inputs: int = 784, batch: int = 256):
    """A step with penalty and optimiser, and the matrix products inside it."""
    generator = torch.Generator().manual_seed(0)
    nodes = 2**depth - 1
    parameters = Parameters(
        torch.randn(nodes, inputs, generator=generator) * 0.03,
        torch.zeros(nodes),
        torch.ones(nodes),
        torch.zeros(nodes + 1, 10),
    )
    X, targets = torch.randn(batch, inputs, generator=generator), torch.full((batch, 10), 0.1)
    weights, slopes = torch.full((batch,), 1 / batch), torch.randn(nodes, batch, generator=generator)
    balance, optimiser = Balance(parameters, 0.01), torch.optim.Adam(parameters.tensors(), fused=True)

    def step() -> None:
        found = gradient(parameters, X, targets, weights, loss="mixture", classify=True, balance=balance)
        for tensor, slope in zip(parameters.tensors(), found.parameters.tensors(), strict=True):
            tensor.grad = slope
        optimiser.step()

    def products() -> None:
        torch.mm(parameters.weight, X.T)
        torch.mm(slopes, X)

    return step, products


def node_by_node(depth: int = 8, batch: int = 256):
    """The same step as most public code has it: a module a node, a loop over nodes."""
    nodes = 2**depth - 1
    gates = torch.nn.ModuleList([torch.nn.Linear(784, 1) for _ in range(nodes)])
    leaves = torch.nn.Parameter(torch.zeros(nodes + 1, 10))
    optimiser = torch.optim.Adam([*gates.parameters(), leaves])
    X, targets = torch.randn(batch, 784), torch.full((batch, 10), 0.1)

    def step() -> None:
        paths, loss = [torch.ones(batch, 1)], torch.zeros(())
        for node in range(nodes):
            right = torch.sigmoid(gates[node](X))
            alpha = (paths[node] * right).sum() / paths[node].sum()
            loss = loss - 0.01 * 2.0 ** -int(np.log2(node + 1)) * 0.5 * (alpha.log() + (1 - alpha).log())
            paths += [paths[node] * (1 - right), paths[node] * right]
        mixed = torch.cat(paths[nodes:], dim=1) @ leaves.softmax(1)
        loss = loss - (targets * mixed.log()).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def run_speed() -> None:
    steps = {depth: one_step(depth) for depth in (8, 10)}
    times = {depth: (least(step), least(products)) for depth, (step, products) in steps.items()}
    plain = least(node_by_node(), 4)
    step, products = times[8]
    say(f"\nSpeed, {torch.get_num_threads()} thread(s), batch 256, 784 inputs, 10 classes, penalty and Adam included:")
    say("| | ms | ratio | target |\n|---|---|---|---|")
    say(f"| matrix products inside a step, depth 8 | {1e3 * products:.2f} | 1 | |")
    say(f"| step, depth 8 | {1e3 * step:.2f} | {step / products:.2f}x the products | at most 2 |")
    say(f"| step, depth 10 | {1e3 * times[10][0]:.2f} | {times[10][0] / step:.2f}x depth 8 | at most 4.5 |")
    say(f"| step, a module a node | {1e3 * plain:.1f} | {plain / step:.1f}x slower | at least 12 |")
    walk = compiled_walk()
    if walk is None:
        say("numba (extra fast) is not installed: the compiled path was not measured")
        return
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(255, 784)).astype(np.float32) * 0.3, np.zeros(255, dtype=np.float32)
    for kind in (np.float32, np.float64):
        rows, filters, offsets = rng.normal(size=(50_000, 784)).astype(kind), weight.astype(kind), bias.astype(kind)
        walk(rows[:2], filters, offsets)
        seconds = least(lambda r=rows, f=filters, o=offsets: walk(r, f, o), 5)  # type: ignore[misc]
        single = least(lambda r=rows[:1], f=filters, o=offsets: walk(r, f, o), 2_000)  # type: ignore[misc]
        rate = len(rows) / seconds / 1e6
        say(f"by the path, {kind.__name__}: {rate:.2f} million rows/s, one row {1e6 * single:.1f} us with its call")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="speed,mnist,tables,few")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="a file for the first distilled tree of MNIST")
    options = parser.parse_args()
    parts = options.parts.split(",")
    start = time.perf_counter()
    if "speed" in parts:
        run_speed()
    if "mnist" in parts:
        run_mnist(options.seeds, options.keep)
    if "tables" in parts:
        run_tables(options.seeds)
    if "few" in parts:
        run_few(options.seeds)
    say(f"\n{clock(start)} in all")


if __name__ == "__main__":
    main()
