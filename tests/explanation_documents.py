"""Explanations' documents built by hand, with planted scores and hostile names, for the tests of their page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from report_runs import ATTACK, HOSTILE

KINDS = ("image", "text", "signal", "table")
SENTENCE = ("the", "film", "is", "not", "very", "good", "but", "a", "delight")
Score = Callable[[Sequence[int]], float]


def finding(code: str = "AC001", status: str = "pass", value: float | None = 1.4e-7, **more: Any) -> dict[str, Any]:
    """A finding of an explanation."""
    found = {"code": code, "title": "completeness", "status": status, "value": value, "interval": None}
    return {**found, "threshold": 1e-5, "message": "the two parts add up to the output", "details": {}, **more}


def nodes(score: Score, merges: Sequence[Sequence[int]], leaves: Sequence[int]) -> list[dict[str, Any]]:
    """A hierarchy: the leaves at level 0, then each merge of earlier nodes at the next level."""
    made: list[dict[str, Any]] = [
        {"units": [unit], "score": score([unit]), "children": [], "level": 0} for unit in leaves
    ]
    for level, children in enumerate(merges, 1):
        units = sorted(unit for child in children for unit in made[child]["units"])
        made.append({"units": units, "score": score(units), "children": list(children), "level": level})
    return made


def row(
    kind: str, number: int, shown: dict[str, Any], names: Sequence[str], score: Score, **more: Any
) -> dict[str, Any]:
    """One row, each unit at the position of its number."""
    return {
        "row": number,
        "output": 1,
        "output_name": "positive",
        "value": score(range(len(names))) + 0.125,
        "predicted": "positive",
        "truth": "positive",
        "residual": 1.2e-7,
        "bias": 0.125,
        "input": shown,
        "units": [{"name": name, "positions": [i]} for i, name in enumerate(names)],
        "alone": [score([i]) for i in range(len(names))],
        "nodes": [],
        "interactions": [],
        "findings": [finding()] if kind == "text" else [],
        **more,
    }


def planted(values: Sequence[float], pair: tuple[int, int], together: float) -> Score:
    """Scores that add up but for one pair."""

    def score(units: Sequence[int]) -> float:
        return float(sum(values[unit] for unit in units)) + together * (set(pair) <= set(units))

    return score


def pairs(score: Score, sides: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[dict[str, Any]]:
    """The interactions of groups."""
    return [
        {"a": list(a), "b": list(b), "value": score([*a, *b]) - score(a) - score(b)} for a, b in sides
    ]  # fmt: skip


def image_row(number: int = 0, side: int = 6, channels: int = 1) -> dict[str, Any]:
    """An L of four pixels that count, the corner and its end only together."""
    generator = np.random.default_rng(number)
    values = generator.integers(0, 256, side * side * channels)
    strengths = np.zeros(side * side)
    corner, below, right, far = 0, side, side + 1, side * side - 1
    strengths[[corner, below, right, far]] = 0.5, 0.75, -0.25, -1.0
    score = planted(list(strengths), (corner, right), 2.0)
    names = [f"pixel ({i // side}, {i % side})" for i in range(side * side)]
    shown = {"height": side, "width": side, "channels": channels, "values": values.tolist()}
    tree = nodes(score, [(0, 1), (4, 2), (5, 3)], [corner, below, right, far])
    between = pairs(score, [([corner], [right]), ([corner, below], [far])])
    return row("image", number, shown, names, score, nodes=tree, interactions=between)


def text_row(number: int = 0, words: Sequence[str] = SENTENCE) -> dict[str, Any]:
    """Not and good stand apart and belong together."""
    strengths = [0.02, 0.1, 0.03, -0.9, 0.2, 2.1, -0.25, 0.04, 1.9]
    score = planted(strengths, (3, 5), -3.4)
    tree = nodes(score, [(3, 5), (9, 4), (0, 1), (7, 8), (11, 2, 10), (13, 6, 12)], range(9))
    between = pairs(score, [([3], [5]), ([3, 5], [4]), ([6], [8])])
    return row("text", number, {"words": list(words)}, list(words), score, nodes=tree, interactions=between)


def signal_row(number: int = 0, channels: int = 1, steps: int = 24) -> dict[str, Any]:
    """Six windows; the first and the last belong together."""
    generator = np.random.default_rng(number)
    score = planted([0.4, -0.1, 0.9, 0.0, -0.6, 0.3], (0, 5), 1.5)
    shown = {"channels": np.cumsum(generator.normal(size=(channels, steps)), 1).tolist()}
    tree = nodes(score, [(0, 5), (1, 2), (6, 7), (8, 3, 4)], range(6))
    found = row("signal", number, shown, [f"window {i}" for i in range(6)], score, nodes=tree)
    wide = steps // 6
    for i, unit in enumerate(found["units"]):
        unit["positions"] = list(range(i * wide, (i + 1) * wide))
    return {**found, "interactions": pairs(score, [([0], [5]), ([1], [2])])}


def table_row(
    number: int = 0, names: Sequence[str] = ("age", "income", "job", "duration", "savings")
) -> dict[str, Any]:
    """Five columns; age and duration belong together."""
    score = planted([0.3, -0.8, 0.05, 1.1, 0.0], (0, 3), -0.7)
    shown = {"names": list(names), "values": ["41", "32,000", "nurse", "48", "none"]}
    tree = nodes(score, [(0, 3), (4, 1), (5, 2)], range(4))
    return row("table", number, shown, list(names), score, nodes=tree, interactions=pairs(score, [([0], [3])]))


ROWS: dict[str, Callable[[int], dict[str, Any]]] = {
    "image": image_row,
    "text": text_row,
    "signal": signal_row,
    "table": table_row,
}


def explanation(kind: str = "text", rows: int = 2, **more: Any) -> dict[str, Any]:
    """An explanation of so many rows."""
    return {
        "format": "limbeck-explanation",
        "version": 1,
        "name": f"A network on {kind}s",
        "method": "acd",
        "model": "a network of 8 units",
        "rule": "proportional",
        "kind": kind,
        "outputs": ["negative", "positive"],
        "seed": 3,
        "seconds": 1.25,
        "notes": ["Nothing was left out."],
        "verdict": "The explanation may be used: all checks hold.",
        "rows": [ROWS[kind](number) for number in range(rows)],
        "findings": [finding(), finding("AC004", "inconclusive", 0.78, interval=[0.7, 0.85], details={"noise": 0.05})],
        **more,
    }


def without_groups(document: dict[str, Any]) -> dict[str, Any]:
    """The same as by a method that gives no hierarchy."""
    rows = [{**one, "nodes": [], "interactions": []} for one in document["rows"]]
    return {**document, "method": "cd", "rows": rows}


def hostile(kind: str) -> dict[str, Any]:
    """Names, words and values that try to be more than text."""
    document = explanation(kind, 1, name=ATTACK, model=ATTACK, method=ATTACK, rule=ATTACK, verdict=ATTACK)
    one = document["rows"][0]
    for i, unit in enumerate(one["units"]):
        unit["name"] = HOSTILE[i % len(HOSTILE)]
    names = [unit["name"] for unit in one["units"]]
    if kind == "text":
        one["input"]["words"] = names
    if kind == "table":
        one["input"] = {"names": names, "values": names}
    one.update(output_name=ATTACK, predicted=ATTACK, truth=HOSTILE[1], findings=[finding(title=ATTACK, message=ATTACK)])
    return {**document, "outputs": [ATTACK, HOSTILE[1]], "notes": [ATTACK], "findings": [finding(code=ATTACK)]}
