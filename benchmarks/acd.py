"""Agglomeration and interactions on digits and on sentences, with controls; beside shapiq and captum where installed.

Source: Murdoch2018 and Singh2019. Published: the correlation .76 of CD's word scores with a logistic regression's
coefficients on SST (Murdoch2018, an LSTM; integrated gradients .72 or less). Singh2019 measures with persons, which
can't be repeated here; what is measured instead has a control each: random groups, single words, shuffled weights.

    make bench NAME=acd                     # about 8 minutes on one core, 20 on a busy one
    python -m benchmarks.acd --quick        # about 1 minute
    python -m benchmarks.acd --parts sst    # some: mnist, sst, peers
"""

from __future__ import annotations

import argparse
import re
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.stats import pearsonr
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from limbeck.attribution import agglomerate, contextual_decomposition, interactions, pixels, tiles, words
from limbeck.datasets._folder import folders

PUBLISHED = {"CD's words against a logistic regression's coefficients, SST": 0.76}
NEGATIONS = {"not", "n't", "never", "no", "nothing", "neither", "hardly", "without", "lacks", "isn't", "cannot"}
nn = torch.nn


def say(*parts: object) -> None:
    print(*parts, flush=True)


def find(name: str):
    return next(folder / name for folder in folders() if (folder / name).is_file())


def share(values: list[bool] | np.ndarray) -> str:
    p, n = float(np.mean(values)), len(values)
    return f"{100 * p:.0f} % ± {100 * 1.96 * np.sqrt(p * (1 - p) / n):.0f}"


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ± {1.96 * np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"


def shuffled(net: nn.Module, made: nn.Module, seed: int) -> nn.Module:
    """The network with the numbers of each parameter in another order: the control that must lose."""
    generator = torch.Generator().manual_seed(seed)
    made.load_state_dict(net.state_dict())
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(p.flatten()[torch.randperm(p.numel(), generator=generator)].reshape(p.shape))
    return made.eval()


# Digits


def digits_net() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def train_digits(steps: int) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    data = np.load(find("mnist.npz"))
    x, y = torch.from_numpy(data["x_train"]).float()[:, None] / 255, torch.from_numpy(data["y_train"]).long()
    torch.manual_seed(0)
    net, generator = digits_net(), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(steps):
        index = torch.randint(len(x), (128,), generator=generator)
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x[index]), y[index]).backward()
        optimiser.step()
    test, labels = data["x_test"][:, None].astype(np.float32) / 255, data["y_test"].astype(int)
    with torch.no_grad():
        right = float((net.eval()(torch.from_numpy(test)).argmax(1).numpy() == labels).mean())
    say(f"MNIST: a small convolutional network, {100 * right:.2f} % right on the test rows")
    return net, test, labels


def drop(net: nn.Module, image: np.ndarray, mask: np.ndarray, output: int) -> float:
    """By how much the output falls, in parts of what the digit brings, where the masked pixels are made black."""
    rows = torch.from_numpy(np.stack([image, np.where(mask, 0, image), np.zeros_like(image)]).astype(np.float32))
    with torch.no_grad():
        whole, without, nothing = net(rows)[:, output].tolist()
    return (whole - without) / max(whole - nothing, 1e-6)


def top_pixels(scores: np.ndarray, count: int, units) -> np.ndarray:
    return units.mask(np.argsort(-scores, kind="stable")[:count])


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def run_mnist(images: int, steps: int) -> None:
    net, test, labels = train_digits(steps)
    control, units, rng = shuffled(net, digits_net(), 0), pixels((1, 28, 28)), np.random.default_rng(0)
    rows = rng.choice(len(test), images, replace=False)
    lines: dict[str, list[float]] = {}
    for row in rows:
        image, output = test[row], int(labels[row])
        start = time.perf_counter()
        found = agglomerate(net, image, units, output=output)
        lines.setdefault("seconds an image, 784 pixels", []).append(time.perf_counter() - start)
        group = found.mask(found.root)
        count, on = len(found.root.units), np.flatnonzero(image.ravel() > 0)
        for name, mask in (
            ("the agglomerated pixels", group),
            ("as many pixels with the largest CD alone", top_pixels(found.alone, count, units)),
            ("as many pixels of the digit at random", units.mask(rng.permutation(on)[:count])),
            (
                "as many of the shuffled network's",
                top_pixels(contextual_alone(control, image, units, output), count, units),
            ),
        ):
            lines.setdefault(f"output lost without {name}", []).append(drop(net, image, mask, output))
        noisy = np.clip(image + rng.normal(0, 0.1, image.shape) * (image > 0), 0, 1).astype(np.float32)
        again = agglomerate(net, noisy, units, output=output)
        other = agglomerate(net, test[rng.integers(len(test))], units, output=output)
        chance = units.mask(rng.permutation(on)[:count])
        lines.setdefault("overlap with itself, digit's grey levels ± 0.1", []).append(
            overlap(group, again.mask(again.root))
        )
        lines.setdefault("overlap with pixels of the digit at random", []).append(overlap(group, chance))
        lines.setdefault("overlap with another image's", []).append(overlap(group, other.mask(other.root)))
        lines.setdefault("grey level of the chosen pixels", []).append(float(image[group].mean()))
        lines.setdefault("grey level of the digit", []).append(float(image[image > 0].mean()))
    say(f"\n| MNIST, {images} test images, pixels | mean ± 95 % |\n|---|---|")
    for name, values in lines.items():
        say(f"| {name} | {spread(values)} |")
    say("Black pixels can bring nothing, so all chosen pixels are on the digit: that is no merit. Published: none.")


def contextual_alone(net: nn.Module, image: np.ndarray, units, output: int) -> np.ndarray:
    masks = torch.from_numpy(units.masks)[:, None]
    with torch.no_grad():
        return contextual_decomposition(net, torch.from_numpy(image[None]), masks)[0][:, 0, output].numpy()


# Sentences


class Reader(nn.Module):
    """An LSTM over words; one output, above 0 for positive."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 64)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Linear(64, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(x))[0][:, -1])


@dataclass
class Phrase:
    start: int
    stop: int
    label: int
    children: tuple[int, ...]


def read_tree(text: str) -> tuple[list[str], list[Phrase]]:
    """The words of a bracketed tree, lower case, and its phrases, children first."""
    tokens, names, phrases, stack = re.findall(r"\(|\)|[^\s()]+", text), [], [], []
    for i, token in enumerate(tokens):
        if token == "(":
            stack.append([len(names), int(tokens[i + 1]), []])
        elif token == ")":
            start, label, children = stack.pop()
            phrases.append(Phrase(start, len(names), label, tuple(children)))
            if stack:
                stack[-1][2].append(len(phrases) - 1)
        elif tokens[i - 1] != "(":
            names.append(token.lower())
    return names, phrases


def train_reader(epochs: int) -> tuple[nn.Module, dict[str, int]]:
    table = pd.read_parquet(find("sst2_phrases_glue.parquet"))
    rows, dev = table[table.split == "train"], table[table.split != "train"]
    counts = rows.sentence.str.split().explode().value_counts()
    ids = {word: i + 1 for i, word in enumerate(counts.index[counts >= 3])}
    coded = [[ids.get(w, 0) for w in s.split()] for s in rows.sentence]
    labels, by_length = rows.label.to_numpy(), {}
    for i, sentence in enumerate(coded):
        if sentence:
            by_length.setdefault(len(sentence), []).append(i)
    torch.manual_seed(0)
    net, rng = Reader(len(ids) + 1), np.random.default_rng(0)
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    for _ in range(epochs):
        batches = [
            b for group in by_length.values() for b in np.array_split(rng.permutation(group), -(-len(group) // 64))
        ]
        for b in rng.permutation(len(batches)):
            batch = batches[b]
            x, y = torch.tensor([coded[i] for i in batch]), torch.tensor(labels[batch], dtype=torch.float32)
            drop_words = torch.from_numpy(rng.random(x.shape) < 0.1)
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(net(x.masked_fill(drop_words, 0))[:, 0], y).backward()
            optimiser.step()
    net.eval()
    with torch.no_grad():
        coded_dev = [torch.tensor([[ids.get(w, 0) for w in s.split()]]) for s in dev.sentence]
        right = np.mean([(float(net(x)) > 0) == bool(y) for x, y in zip(coded_dev, dev.label, strict=True)])
    say(f"SST: an LSTM of 64 units trained on the phrases, {100 * right:.1f} % right on the 872 dev sentences")
    return net, ids


def effects(net: nn.Module, x: torch.Tensor, spans: list[tuple[int, int]]) -> np.ndarray:
    """CD of each span of one sentence, all in one call."""
    masks = torch.zeros(len(spans), 1, x.shape[1], dtype=torch.bool)
    for i, (start, stop) in enumerate(spans):
        masks[i, 0, start:stop] = True
    with torch.no_grad():
        return contextual_decomposition(net, x, masks)[0][:, 0, 0].double().numpy()


def coefficients(ids: dict[str, int]) -> dict[str, float]:
    """A logistic regression's coefficient of each word, from the training sentences."""
    table = pd.read_parquet(find("sst2_sentences.parquet"))
    rows = table[table.split == "train"]
    counter = CountVectorizer(
        tokenizer=str.split, token_pattern=None, lowercase=False, binary=True, vocabulary=list(ids)
    )
    fitted = LogisticRegression(C=1.0, max_iter=1000).fit(counter.transform(rows.sentence), rows.label)
    return dict(zip(ids, fitted.coef_[0].tolist(), strict=True))


def run_sst(sentences: int, epochs: int, trees: int) -> None:
    net, ids = train_reader(epochs)
    control, weight = shuffled(net, Reader(len(ids) + 1), 0), coefficients(ids)
    table = pd.read_parquet(find("sst_trees.parquet"))
    parsed = [read_tree(text) for text in table[table.split != "train"].tree][:sentences]
    pairs, phrases, flips = [], [], []
    for names, tree in parsed:
        x = torch.tensor([[ids.get(w, 0) for w in names]])
        spans = [(p.start, p.stop) for p in tree]
        cd, random = effects(net, x, spans), effects(control, x, spans)
        alone = np.array([cd[spans.index((i, i + 1))] for i in range(len(names))])
        logistic = np.array([weight.get(w, 0.0) for w in names])
        pairs += [(alone[i], logistic[i], ids[w]) for i, w in enumerate(names) if w in ids]
        for p, score, shuffle in zip(tree, cd, random, strict=True):
            inside = slice(p.start, p.stop)
            line = (p.label - 2, score, alone[inside].sum(), logistic[inside].sum(), shuffle)
            if 2 <= p.stop - p.start < len(names):
                phrases.append(line)
            if len(p.children) == 2 and p.stop - p.start <= 8:
                left, right = (tree[c] for c in p.children)
                negates = bool(NEGATIONS & set(names[left.start : left.stop])) and left.stop - left.start <= 3
                if negates and (right.label - 2) * (p.label - 2) < 0:
                    joint = score - cd[p.children[0]] - cd[p.children[1]]
                    flips.append((*line, joint * np.sign(p.label - 2)))
    _say_sst(np.array(pairs), np.array(phrases), np.array(flips), len(parsed))
    _say_constituents(net, control, ids, parsed[:trees])


def _say_sst(pairs: np.ndarray, phrases: np.ndarray, flips: np.ndarray, sentences: int) -> None:
    words_r = pearsonr(pairs[:, 0], pairs[:, 1])[0]
    mean = pd.DataFrame(pairs, columns=["cd", "logistic", "word"]).groupby("word").agg(["mean", "size"])
    mean = mean[mean["cd", "size"] >= 5]
    mean_r = pearsonr(mean["cd", "mean"], mean["logistic", "mean"])[0]
    say(f"\n| SST, {sentences} held-out sentences | ours | published |\n|---|---|---|")
    say(f"| CD of a word against its logistic coefficient, {len(pairs):,} words, r | {words_r:.2f} | .76 |")
    say(f"| the same, a word's mean over its places, {len(mean):,} words in at least five, r | {mean_r:.2f} | none |")
    names = ("CD of the phrase", "sum of CD of its words", "sum of logistic coefficients", "CD, weights shuffled")
    for i, name in enumerate(names, 1):
        r = pearsonr(phrases[:, 0], phrases[:, i])[0]
        say(f"| {name}, against its label, {len(phrases):,} phrases, r | {r:.2f} | none |")
    for i, name in enumerate(names, 1):
        right = flips[:, i] * flips[:, 0] > 0
        say(f"| {name}: sign right, {len(flips)} negations that turn the label | {share(right)} | none |")
    say(f"| interaction of the negation with the rest turns to the label | {share(flips[:, 5] > 0)} | none |")


def _say_constituents(net: nn.Module, control: nn.Module, ids: dict[str, int], parsed: list) -> None:
    """How many groups of two to six words that the agglomeration finds are phrases of the tree."""
    hits: dict[str, list[bool]] = {"ACD": [], "ACD, weights shuffled": [], "neighbours joined at random": []}
    seconds, rng = [], np.random.default_rng(0)
    for names, tree in parsed:
        spans = {(p.start, p.stop) for p in tree}
        ids_row, units = np.array([ids.get(w, 0) for w in names]), words(names)
        for name in hits:
            start = time.perf_counter()
            if name == "neighbours joined at random":
                order = rng.random(len(names) - 1)
                found = agglomerate(None, ids_row, units, score=lambda m, o=order: joined(m, o))
            else:
                found = agglomerate(net if name == "ACD" else control, ids_row, units)
            if name == "ACD":
                seconds.append(time.perf_counter() - start)
            groups = {(n.units[0], n.units[-1] + 1) for n in found.nodes if 2 <= len(n.units) <= 6}
            hits[name] += [group in spans for group in groups]
    say(
        f"\n| SST, {len(parsed)} sentences: groups of 2 to 6 words that are phrases of the tree | share | groups |"
        "\n|---|---|---|"
    )
    for name, values in hits.items():
        say(f"| {name} | {share(values)} | {len(values)} |")
    say(f"{spread(seconds)} s a sentence of {np.mean([len(n) for n, _ in parsed]):.0f} words (mean). Published: none.")


def joined(masks: np.ndarray, order: np.ndarray) -> np.ndarray:
    return (masks[:, 1:] & masks[:, :-1]) @ order + 1e-3 * masks[:, 1:] @ order


# Peers


def run_peers(images: int, steps: int) -> None:
    """Interactions of nine tiles beside the exact Shapley interactions (shapiq) and sampled Shapley values (captum)."""
    try:
        import shapiq
        from captum.attr import ShapleyValueSampling
    except ImportError as error:
        say(f"\nPeers: skipped, {error.name} is not installed (pip install shapiq captum)")
        return
    net, test, labels = train_digits(steps)
    units, lines = tiles((1, 28, 28), 10), {}
    for row in range(images):
        image, output = test[row], int(labels[row])
        masks = units.masks

        def game(coalitions: np.ndarray, image=image, output=output, masks=masks) -> np.ndarray:
            chosen = (np.asarray(coalitions, dtype=bool)[:, :, None, None, None] & masks).any(axis=1)
            with torch.no_grad():
                return net(torch.from_numpy(np.where(chosen, image, 0).astype(np.float32)))[:, output].numpy()

        start = time.perf_counter()
        exact = shapiq.ExactComputer(n_players=len(units), game=game)("SII", order=2)
        middle = time.perf_counter()
        ours = interactions(net, image, units, output=output)
        built = interactions(net, image, units, output=output, score="build_up")
        end = time.perf_counter()
        sampled = ShapleyValueSampling(net).attribute(
            torch.from_numpy(image[None]),
            target=output,
            n_samples=200,
            feature_mask=torch.from_numpy(masks.argmax(axis=0)[None]),
        )
        late = time.perf_counter()
        value = np.array([sampled[0].numpy()[mask].mean() for mask in masks])
        wanted = np.array([exact[s] for s in ours.sets])
        lines.setdefault("CD pairs against exact Shapley pairs, r", []).append(pearsonr(ours.values, wanted)[0])
        pairs = [built.value(*s) for s in ours.sets]
        lines.setdefault("build-up pairs against exact Shapley pairs, r", []).append(pearsonr(pairs, wanted)[0])
        lines.setdefault("CD alone against captum's sampled Shapley values, r", []).append(
            pearsonr(ours.alone, value)[0]
        )
        chance = np.random.default_rng(row).permutation(wanted)
        lines.setdefault("exact pairs in random order against exact pairs, r", []).append(pearsonr(chance, wanted)[0])
        lines.setdefault("seconds: shapiq, 512 coalitions", []).append(middle - start)
        lines.setdefault("seconds: ours, CD and build-up", []).append(end - middle)
        lines.setdefault("seconds: captum, 200 samples", []).append(late - end)
    say(f"\n| nine tiles of {images} MNIST images | mean ± 95 % |\n|---|---|")
    for name, values in lines.items():
        say(f"| {name} | {spread(values)} |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", nargs="+", default=["mnist", "sst", "peers"], choices=["mnist", "sst", "peers"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    if "mnist" in given.parts:
        run_mnist(5 if given.quick else 40, 200 if given.quick else 1500)
    if "sst" in given.parts:
        run_sst(150 if given.quick else 3000, 1 if given.quick else 4, 10 if given.quick else 120)
    if "peers" in given.parts:
        run_peers(5 if given.quick else 12, 200 if given.quick else 1500)


if __name__ == "__main__":
    main()
