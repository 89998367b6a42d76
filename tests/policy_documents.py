"""Documents of policies and of recorded episodes built by hand, with hostile names, for the tests of their pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limbeck.readable import policy_schema
from limbeck.readable._policy_tree import Branch, PolicyTree
from limbeck.readable._program import Guard, ProgramPolicy
from limbeck.readable._program_comparison import Comparison
from limbeck.report._images import png
from report_runs import HOSTILE

COLUMNS, ACTIONS = ("ball", "paddle", "speed"), ("stay", "right", "left")
SEEDS = [7, 11, 13, 17]


def program(columns: Sequence[str] = COLUMNS, actions: Sequence[str] = ACTIONS) -> ProgramPolicy:
    """Right if ball - paddle > 2, left if < -1, else stay."""
    guards = (
        Guard((Comparison(((0, 1.0), (1, -1.0)), 2.0),), 1),
        Guard((Comparison(((0, -1.0), (1, 1.0)), 1.0),), 2),
    )
    return ProgramPolicy(policy_schema(columns), tuple(actions), guards, 0)


def tree(columns: Sequence[str] = COLUMNS, actions: Sequence[str] = ACTIONS) -> PolicyTree:
    """Right where the ball is to the right, else left or stay by the speed."""
    return PolicyTree(
        policy_schema(columns),
        tuple(actions),
        Branch(Comparison(((0, 1.0), (1, -1.0)), 0.0), 1, Branch(Comparison(((2, 1.0),), 0.5), 2, 0)),
    )


def score(returns: Sequence[float]) -> dict[str, Any]:
    """The score of some returns."""
    mean, half = float(np.mean(returns)), float(np.ptp(returns)) / 2
    return {
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "worst": float(min(returns)),
        "std_error": half / 2,
        "episodes": len(returns),
    }


def finding(code: str, status: str, value: float, **details: Any) -> dict[str, Any]:
    """A finding on a policy."""
    found = {"code": code, "title": f"title of {code}", "status": status, "value": value}
    interval = [value - 0.05, value + 0.05]
    return {**found, "interval": interval, "threshold": 0.9, "message": f"{code} was looked at", "details": details}


def candidate(name: str, readable: Any, returns: Sequence[float], verdict: str, **more: Any) -> dict[str, Any]:
    """A candidate whose guards decide in 50 %, 30 % and 20 % of the states."""
    names = list(readable.output_names)
    table = [[500, 0, 20], [30, 300, 0], [0, 0, 150]]
    agreed = finding("RC015", "pass", 0.95, states=1_000, weighted=0.97, actions=names, table=table)
    states = [{"observation": [3.25, 1.5, -0.125], "teacher": names[1], "student": names[0], "weight": 1.5}] * 2
    return {
        "name": name,
        "family": readable.family,
        "readable": readable.to_dict(),
        "text": readable.text(),
        "complexity": readable.complexity,
        "lines": 1,
        "score": score(returns),
        "verdict": verdict,
        "findings": [finding("RC014", "pass", 0.98, student=9.0), agreed],
        "returns": list(returns),
        "search_return": 9.0,
        "seconds": 1.5,
        "differences": states,
        "firing": [0.5, 0.3, 0.2],
        **more,
    }


def policies(columns: Sequence[str] = COLUMNS, actions: Sequence[str] = ACTIONS, **more: Any) -> dict[str, Any]:
    """A run of one program that plays well, and one tree that is refused."""
    refused = "do not use: 0.20 of the teacher's lead is kept"
    teacher, random = [10.0, 12.0, 11.0, 9.0], [1.0, 0.0, 2.0, 1.0]
    return {
        "format": "limbeck-policy",
        "version": 1,
        "environment": "Follow-v0",
        "max_steps": 30,
        "columns": list(columns),
        "actions": list(actions),
        "changes": [],
        "kind": "q_values",
        "students": ["program", "tree"],
        "budget_s": 60.0,
        "states": 1_234,
        "seed": 3,
        "complete": True,
        "notes": ["a note"],
        "episodes": 4,
        "seeds": SEEDS,
        "teacher_returns": teacher,
        "random_returns": random,
        "seconds": 12.5,
        "teacher": score(teacher),
        "random": score(random),
        "candidates": [
            candidate("tree_3", tree(columns, actions), [3.0, 2.0, 4.0, 3.0], refused),
            candidate("program_1", program(columns, actions), [10.0, 11.0, 11.0, 9.0], "use"),
        ],
        **more,
    }


def recording(readable: Any = None, frames: int = 5, **more: Any) -> dict[str, Any]:
    """An episode of so many frames on sheets of two; the ball comes from the left."""
    readable = program() if readable is None else readable
    rows = [[float(i), 2.0, 1.0] for i in range(frames)]
    pixels = np.zeros((8, 10, 1), dtype=np.uint8)
    sheets = [png(np.tile(pixels, (1, min(2, frames - i), 1)), 3, [(b"PLTE", bytes(6))]) for i in range(0, frames, 2)]
    return {
        "format": "limbeck-recording",
        "version": 1,
        "environment": "Follow-v0",
        "player": "program_1",
        "columns": list(readable.schema.names),
        "actions": list(readable.output_names),
        "readable": readable.to_dict(),
        "seed": 5,
        "steps": 9,
        "return": 8.0,
        "every": 1,
        "fps": 10.0,
        "rows": rows,
        "taken": readable.act(np.array(rows)).tolist(),
        "wanted": [1] * frames,
        "firing": readable.firing(np.array(rows)).tolist(),
        "gained": [float(i) for i in range(frames)],
        "pictures": {"width": 10, "height": 8, "on_a_sheet": 2, "sheets": sheets},
        **more,
    }


def hostile() -> tuple[dict[str, Any], dict[str, Any]]:
    """A run and an episode whose every text is an attack."""
    columns, actions = HOSTILE[:3], HOSTILE[3:6]
    document = policies(columns, actions, environment=HOSTILE[0], kind=HOSTILE[2], notes=list(HOSTILE[:7]))
    document["students"] = [HOSTILE[1]]
    document["changes"] = [HOSTILE[6]]
    for one, name in zip(document["candidates"], HOSTILE, strict=False):
        one.update(name=name, verdict=f"do not use: {HOSTILE[1]}")
        for found in one["findings"]:
            found.update(title=HOSTILE[0], message=HOSTILE[2], details={HOSTILE[1]: HOSTILE[2]})
    played = recording(program(columns, actions), environment=HOSTILE[0], player=HOSTILE[1])
    return document, played
