"""Trials of a study that cost nothing, for the tests of its journal."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from limbeck._core.errors import LimbeckError
from limbeck._core.tables import Table
from limbeck._study_trial import ARMS, Protocol


def reached(r2: float, arm: str) -> dict[str, Any]:
    """What one arm reached."""
    distilled = arm != "direct"
    return {
        "r2": r2,
        "fidelity": 0.9 if distilled else None,
        "symbols": 7,
        "teacher_r2": 0.8 if distilled else None,
        "strength": 0.01 if distilled else None,
        "slope": 2.0 if distilled else None,
        "text": f"prediction = {r2:.3f} <script>",
        "tried": [],
    }


def drawn(protocol: Protocol, name: str, trial: int, table: Table, y: np.ndarray) -> dict[str, Any]:
    """A record whose figures follow from the trial's rows."""
    rng = np.random.default_rng([trial, int(abs(y[:5].sum()) * 1_000)])
    return {"rows": len(y), "arms": {arm: reached(float(rng.normal(0.5, 0.1)), arm) for arm in ARMS}, "seconds": 0.0}


def drawn_slowly(*given: Any) -> dict[str, Any]:
    """The same, a little later."""
    time.sleep(0.02)
    return drawn(*given)


class Counting:
    """`drawn`, noting its calls; fails or is interrupted where it is told to be."""

    def __init__(self, fail: tuple[int, ...] = (), interrupt_at: int | None = None) -> None:
        self.calls: list[tuple[str, int]] = []
        self.fail, self.interrupt_at = fail, interrupt_at

    def __call__(self, protocol: Protocol, name: str, trial: int, table: Table, y: np.ndarray) -> dict[str, Any]:
        if len(self.calls) == self.interrupt_at:
            raise KeyboardInterrupt
        self.calls.append((name, trial))
        if trial in self.fail:
            raise LimbeckError(f"planted\n in {name}")
        return drawn(protocol, name, trial, table, y)
