"""The speed of MUNGE: against a plain loop over the same pseudo-code, and against the matrix product inside it.

Run ``python -m benchmarks.munge`` (about two minutes) or ``python -m benchmarks.munge --quick`` (seconds). One thread.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

PUBLISHED: dict[str, float] = {}
"""Bucila, Caruana and Niculescu-Mizil (2006) print no times for MUNGE."""

GOALS = {"numbers": 0.5, "mixed": 2.0, "speedup": 100.0}
"""What we hold ourselves to: seconds for 100,000 rows from 4,000 x 50, and times faster than the plain loop."""

SCALES = {"full": (4_000, 50, 25), "quick": (1_000, 50, 4)}


def plain(rows: np.ndarray, passes: int, p: float, s: float, seed: int) -> np.ndarray:
    """MUNGE as printed: a loop over passes, rows and attributes; only the search for a partner uses NumPy."""
    chance = random.Random(seed)
    low, span = rows.min(axis=0), np.ptp(rows, axis=0)
    out = []
    for _ in range(passes):
        copy, scaled = rows.tolist(), (rows - low) / span
        for e in range(len(copy)):
            distance = ((scaled - scaled[e]) ** 2).sum(axis=1)
            distance[e] = np.inf
            partner = int(distance.argmin())
            mine, theirs = copy[e], copy[partner]
            for a in range(len(mine)):
                if chance.random() < p:
                    sd = abs(mine[a] - theirs[a]) / s
                    mine[a], theirs[a] = chance.gauss(theirs[a], sd), chance.gauss(mine[a], sd)
            scaled[e] = (np.array(mine) - low) / span
            scaled[partner] = (np.array(theirs) - low) / span
        out += copy
    return np.array(out)


def numbers(n: int, d: int) -> np.ndarray:
    """Rows of correlated normal numbers."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def mixed(n: int, d: int) -> Any:
    """A frame of which half the columns are text of ten levels."""
    import pandas as pd

    rng = np.random.default_rng(0)
    levels = np.array([f"level {i}" for i in range(10)], dtype=object)
    frame = pd.DataFrame(numbers(n, d // 2), columns=[f"n{j}" for j in range(d // 2)])
    return frame.assign(**{f"t{j}": levels[rng.integers(10, size=n)] for j in range(d - d // 2)})


def seconds(task: Callable[[], object], times: int = 3) -> float:
    """The least of some runs."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        task()
        taken.append(time.perf_counter() - start)
    return min(taken)


def run(scale: str = "full") -> dict[str, float]:
    """Seconds for each way, in one run on one machine."""
    from limbeck.queries import Munge

    n, d, passes = SCALES[scale]
    rows, frame, few = numbers(n, d), mixed(n, d), numbers(n, 8)
    m = n * passes
    return {
        "rows": m,
        "plain loop": seconds(lambda: plain(rows, passes, 0.5, 5.0, 0), times=1),
        "matrix product": seconds(lambda: rows @ rows.T),
        "numbers": seconds(lambda: Munge().sample(rows, m, 0)),
        "mixed": seconds(lambda: Munge().sample(frame, m, 0)),
        "8 numbers": seconds(lambda: Munge().sample(few, m, 0)),
        "held-out rows": seconds(lambda: Munge().sample(rows, m, 0, exclude=rows[: n // 5])),
    }


def verdict(found: dict[str, float]) -> list[str]:
    """One line a goal; the goals are those of the full scale."""
    speedup = found["plain loop"] / found["numbers"]
    if found["rows"] < 100_000:
        return [f"{speedup:.0f}x the plain loop; the goals are for the full scale"]
    lines = [f"{'PASS' if speedup >= GOALS['speedup'] else 'FAIL'}  {speedup:.0f}x the plain loop (goal 100x)"]
    for name in ("numbers", "mixed"):
        word = "PASS" if found[name] <= GOALS[name] else "FAIL"
        lines.append(f"{word}  {found['rows']:,.0f} rows, {name}: {found[name]:.2f} s (goal {GOALS[name]} s)")
    return lines


def main() -> None:
    """Print the table and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run of a few seconds")
    scale = "quick" if parser.parse_args().quick else "full"
    n, d, passes = SCALES[scale]
    found = run(scale)
    print(f"MUNGE, {n:,} x {d} rows, {passes} passes: {found['rows']:,.0f} rows. Published times: none.")
    for name, value in found.items():
        if name != "rows":
            print(
                f"  {name:16s} {value:9.3f} s   {found['plain loop'] / value:8.1f}x faster than the plain loop   "
                f"{value / found['matrix product']:9.1f} matrix products"
            )
    print("\n".join(verdict(found)))


if __name__ == "__main__":
    main()
