"""Documents of modules built by hand, with planted blocks and hostile names, for the tests of their page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from report_runs import ATTACK, HOSTILE


def finding(code: str = "MC001", status: str = "pass", value: float | None = 0.972, **more: Any) -> dict[str, Any]:
    """A finding on modules."""
    found = {"code": code, "title": "fidelity", "status": status, "value": value, "interval": [0.96, 0.983]}
    return {**found, "threshold": 0.9, "message": "the formula gives the module’s output", "details": {}, **more}


def picture(weight: np.ndarray, rows: np.ndarray, columns: np.ndarray, most: int = 96) -> dict[str, Any]:
    """A weight's sizes, sorted by modules and made coarse, from 0 to 255."""
    sizes = np.abs(weight)[np.argsort(rows, kind="stable")][:, np.argsort(columns, kind="stable")]
    for axis in (0, 1):
        parts = np.array_split(np.arange(sizes.shape[axis]), min(most, sizes.shape[axis]))
        sizes = np.stack([sizes.take(part, axis).mean(axis) for part in parts], axis)
    values = np.rint(255 * sizes / max(float(sizes.max()), 1e-9)).astype(int)
    return {"height": values.shape[0], "width": values.shape[1], "values": values.ravel().tolist()}


def layer(name: str, rows: np.ndarray, columns: np.ndarray, seed: int, *, before: bool = True) -> dict[str, Any]:
    """A layer whose weights were everywhere before, and are in blocks after."""
    generator = np.random.default_rng(seed)
    shape, inside = (len(rows), len(columns)), rows[:, None] == columns[None, :]
    dense = generator.normal(size=shape) * generator.gamma(1.0, 1.0, size=shape)
    chance = float(np.sum(np.bincount(rows, minlength=4) * np.bincount(columns, minlength=4)) / inside.size)
    blocky = np.where(inside, dense, 0.004 * dense)
    measured = [float((w * inside).ravel() @ (w * inside).ravel() / (w.ravel() @ w.ravel())) for w in (dense, blocky)]
    return {
        "name": name,
        "rows": shape[0],
        "columns": shape[1],
        "row_labels": rows.tolist(),
        "column_labels": columns.tolist(),
        "before": {"clusterability": measured[0], "chance": chance, "p": 0.31} if before else None,
        "after": {"clusterability": measured[1], "chance": chance, "p": 0.0},
        "picture_before": picture(dense, rows, columns) if before else None,
        "picture_after": picture(blocky, rows, columns),
    }


def example(number: int, label: str, seed: int, side: int | None, channels: int = 1) -> dict[str, Any]:
    """A row: a small image of strokes, or names and values."""
    generator = np.random.default_rng(seed)
    shown: dict[str, Any] = {"row": number, "label": label, "score": float(generator.uniform(2, 9)), "truth": label}
    if side is None:
        values = [[f"column {i}", f"{generator.normal():.3f}"] for i in range(4)]
        return {**shown, "image": None, "values": values}
    down, across = np.mgrid[:side, :side] / side
    ink = np.zeros((side, side))
    for _ in range(3):
        x, y, a, b = generator.uniform(0.2, 0.8, 4)
        along = np.clip(((across - x) * (a - x) + (down - y) * (b - y)) / ((a - x) ** 2 + (b - y) ** 2), 0, 1)
        ink += np.exp(-((across - x - along * (a - x)) ** 2 + (down - y - along * (b - y)) ** 2) * side**2 / 3)
    values = np.rint(np.repeat(np.clip(ink, 0, 1)[:, :, None] * 255, channels, 2)).astype(int)
    image = {"height": side, "width": side, "channels": channels, "values": values.ravel().tolist()}
    return {**shown, "image": image, "values": None}


def module(index: int, outputs: Sequence[str], units: dict[str, int], side: int | None, k: int) -> dict[str, Any]:
    """A module that decides every k-th label."""
    generator = np.random.default_rng(100 + index)
    decided = list(range(index, len(outputs), k))
    on = generator.uniform(0.0, 0.12, len(outputs))
    off = generator.uniform(0.9, 0.98, len(outputs))
    on[decided], off[decided] = generator.uniform(0.7, 0.95, len(decided)), generator.uniform(0.05, 0.4, len(decided))
    text = f"score of {outputs[decided[0] if decided else 0]} = 1.20 * max(0, 0.81 * pixel_211 - 0.33) - 0.5 * pixel_98"
    return {
        "name": f"module {index + 1}",
        "units": units,
        "weights": 16 * sum(units.values()),
        "inputs": [],
        "on": on.tolist(),
        "off": off.tolist(),
        "decides": [outputs[i] for i in decided],
        "text": f"It decides {', '.join(outputs[i] for i in decided)}; without it they are lost.",
        "examples": [
            example(17 * n + index, outputs[decided[n % len(decided)] if decided else 0], 31 * index + n, side)
            for n in range(5)
        ],
        "readable": {"text": text, "fidelity": finding()} if index % 2 == 0 else None,
    }


def circuits(labels: Sequence[str], layers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A circuit a label: most of one block, and a little of all."""
    generator = np.random.default_rng(5)
    many = len(labels)
    overlap = np.full((many, many), 0.1) + generator.uniform(0, 0.15, (many, many))
    overlap = (overlap + overlap.T) / 2 + 0.4 * (np.arange(many)[:, None] % 4 == np.arange(many)[None] % 4)
    np.fill_diagonal(overlap, 1.0)
    pictures = []
    for i, label in enumerate(labels):
        for one in layers:
            shown = one["picture_after"]
            values = np.array(shown["values"]).reshape(shown["height"], shown["width"])
            rows = np.arange(shown["height"]) * 4 // shown["height"] == i % 4
            kept = np.where(rows[:, None] & (values > 40) | (values > 170), 255, 0)
            pictures.append(
                {
                    "label": label,
                    "layer": one["name"],
                    "height": shown["height"],
                    "width": shown["width"],
                    "values": kept.ravel().tolist(),
                }
            )
    return {
        "labels": list(labels),
        "sizes": generator.uniform(0.08, 0.32, many).tolist(),
        "loss_before": generator.uniform(0.1, 0.3, many).tolist(),
        "loss_after": generator.uniform(0.05, 0.25, many).tolist(),
        "overlap": overlap.tolist(),
        "pictures": pictures,
    }


def modules(
    k: int = 4, units: int = 64, labels: int = 10, side: int | None = 28, trained: bool = True, **more: Any
) -> dict[str, Any]:
    """A network of two square layers, with so many modules of unequal sizes."""
    generator = np.random.default_rng(0)
    shares = np.linspace(1, 2, k) / np.linspace(1, 2, k).sum()
    first, second, third = (generator.choice(k, units, p=shares) for _ in range(3))
    for own in (first, second, third):
        own[:k] = np.arange(k)
    layers = [layer("fc2", second, first, 1, before=trained), layer("fc3", third, second, 2, before=trained)]
    outputs = [f"digit {i}" for i in range(labels)]
    sizes = [{"fc2": int(np.sum(second == i)), "fc3": int(np.sum(third == i))} for i in range(k)]
    scores = [("original", 0.974, 0.969, 0.978), ("trained", 0.969, 0.964, 0.974), ("split", 0.968, 0.963, 0.973)]
    says = "The modules are more specialised than random groups of units of the same sizes."
    return {
        "format": "limbeck-modules",
        "version": 1,
        "name": "MNIST digits",
        "model": "a network of 784-64-64-64-10 units, without biases",
        "metric": "accuracy",
        "outputs": outputs,
        "seed": 3,
        "seconds": 41.5,
        "notes": ["Nothing was left out."],
        "verdict": "The network comes apart: with every weight between two modules at 0 it keeps its accuracy.",
        "recipe": {
            "trained": trained,
            "k": k,
            "strength": 20.0 if trained else None,
            "warmup_epochs": 5 if trained else None,
            "epochs": 15 if trained else None,
            "split_epochs": 5 if trained else None,
        },
        "layers": layers,
        "scores": [
            {"what": what, "value": v, "low": low, "high": high}
            for what, v, low, high in scores
            if trained or what != "trained"
        ],
        "modules": [module(i, outputs, sizes[i], side, k) for i in range(k)],
        "specialisation": {"score": 0.62, "chance": 0.21, "low": 0.55, "high": 0.69, "p": 0.005, "says": says},
        "circuits": circuits(outputs, layers),
        "findings": [
            finding("MC002", title="accuracy after the split", value=-0.006, interval=[-0.012, 0.0]),
            finding("MC003", "inconclusive", 0.78, details={"chance": 0.21}),
        ],
        **more,
    }


def small(**more: Any) -> dict[str, Any]:
    """A document of two modules, eight units and three labels."""
    return modules(k=2, units=8, labels=3, side=6, **more)


def hostile() -> dict[str, Any]:
    """Names and texts that try to be more than text."""
    document = small(name=ATTACK, model=ATTACK, verdict=ATTACK, notes=[ATTACK], outputs=list(HOSTILE[:3]))
    for i, one in enumerate(document["modules"]):
        one.update(name=HOSTILE[i + 1], inputs=list(HOSTILE), decides=list(HOSTILE), text=ATTACK)
        one.update(units={ATTACK: 3}, readable={"text": ATTACK, "fidelity": finding(title=ATTACK, message=ATTACK)})
        one["examples"][0].update(label=ATTACK)
        one["examples"][1].update(image=None, values=[[HOSTILE[1], ATTACK], [HOSTILE[7], HOSTILE[2]]])
    for one in document["layers"]:
        one["name"] = ATTACK
    document["specialisation"]["says"] = ATTACK
    document["circuits"]["labels"] = list(HOSTILE[:3])
    for one in document["circuits"]["pictures"]:
        one.update(label=HOSTILE[1], layer=ATTACK)
    return {**document, "findings": [finding(code=ATTACK, details={ATTACK: ATTACK})]}
