"""What the penalties of smooth teachers cost a training step, and what a penalty on part of a batch does to a teacher.

Run ``python -m benchmarks.penalties`` (about two minutes) or ``python -m benchmarks.penalties --quick`` (seconds). One
thread.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

PUBLISHED: dict[str, float] = {}
"""Dhar, Fong and Motani (2025): only the abstract could be read; it prints no times."""

GOALS = {
    "lipschitz": 1.5,
    "jacobian, exact": 3.3,
    "jacobian, 1 projection": 3.3,
    "jacobian, 1 projection, any loop": 3.3,
    "jacobian, a quarter of the batch": 2.0,
}
"""What we hold ourselves to, in plain steps; exact only for one output."""

SHARE = 0.25
BATCH, INPUTS, WIDTH = 128, 30, 128
SCALES = {"full": (600, 5), "quick": (60, 1)}
"""Steps of each kind, and teachers of each kind."""


def network(outputs: int) -> Any:
    """A network of 3 x 128 units."""
    import torch

    torch.manual_seed(0)
    widths = (INPUTS, WIDTH, WIDTH, WIDTH, outputs)
    layers: list[Any] = []
    for a, b in itertools.pairwise(widths):
        layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
    return torch.nn.Sequential(*layers[:-1])


def any_loop(model: Any, x: Any) -> tuple[Any, Any]:
    """What a person writes in a loop of their own: one forward pass serves the loss and the penalty."""
    from limbeck.training import jacobian_penalty

    x = x.detach().requires_grad_()
    outputs = model(x)
    return outputs, 0.01 * jacobian_penalty(model, x, 1, outputs=outputs)


def kinds() -> dict[str, Any]:
    """The steps that are compared: from a network and a batch to answers and a penalty."""
    from limbeck.training._penalised import penalised

    return {
        "plain": None,
        "lipschitz": penalised("lipschitz", 0.01),
        "jacobian, exact": penalised("jacobian", 0.01),
        "jacobian, 1 projection": penalised("jacobian", 0.01, n_projections=1),
        "jacobian, 1 projection, any loop": any_loop,
        "jacobian, half of the batch": penalised("jacobian", 0.01, share=0.5, n_projections=1),
        "jacobian, a quarter of the batch": penalised("jacobian", 0.01, share=SHARE, n_projections=1),
    }


def stepper(penalty: Any, outputs: int) -> Callable[[], None]:
    """A training step on a network of its own, as `limbeck._core.mlp_loop` takes it."""
    import torch

    model = network(outputs)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, INPUTS, generator=generator)
    y = torch.randn(BATCH, outputs, generator=generator)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        scores, more = (model(x), 0.0) if penalty is None else penalty(model, x)
        (((scores - y) ** 2).mean() + more).backward()
        optimiser.step()

    return step


def ratios(outputs: int, times: int) -> dict[str, tuple[float, float]]:
    """For each kind the median seconds of a step, and the median of its ratio to the plain step beside it."""
    steps = {name: stepper(penalty, outputs) for name, penalty in kinds().items()}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(times + 10):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if i >= 10:
                taken[name].append(time.perf_counter() - start)
    plain = taken["plain"]
    return {
        name: (statistics.median(own), statistics.median(a / b for a, b in zip(own, plain, strict=True)))
        for name, own in taken.items()
    }


def world(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Few noisy rows of a smooth function of ten inputs, and many clean ones to score on."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(2300, 10))
    clean = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * X[:, 3] ** 2
    noisy = clean + rng.normal(size=len(X)) * clean.std()
    return X[:300], noisy[:300], X[300:], clean[300:]


def teachers(seeds: int) -> dict[str, tuple[float, float]]:
    """For each share the mean R2 on clean rows and the mean Jacobian norm, of teachers with the same penalty."""
    from sklearn.metrics import r2_score

    from limbeck.teachers import SmoothTeacher

    found = {}
    for name, share in (("plain", 0.0), ("share 1", 1.0), (f"share {SHARE}", SHARE)):
        scores = []
        for seed in range(seeds):
            X, y, new, clean = world(seed)
            penalty = "jacobian" if share else "none"
            teacher = SmoothTeacher(penalty, 0.1, penalty_share=share or 1.0, random_state=seed).fit(X, y)  # type: ignore[arg-type]
            scores.append((r2_score(clean, teacher.predict(new)), teacher.smoothness_.mean_jacobian))
        found[name] = tuple(float(v) for v in np.mean(scores, axis=0))
    return found  # type: ignore[return-value]


def run(scale: str = "full") -> dict[str, Any]:
    """Ratios for 1 and 10 outputs, and teachers, in one run on one machine with one thread."""
    import torch

    times, seeds = SCALES[scale]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {"ratios": {k: ratios(k, times) for k in (1, 10)}, "teachers": teachers(seeds)}
    finally:
        torch.set_num_threads(before)


def verdict(found: dict[str, Any]) -> list[str]:
    """One line a goal."""
    lines = []
    for name, goal in GOALS.items():
        own = {k: by[name][1] for k, by in found["ratios"].items() if k == 1 or name != "jacobian, exact"}
        worst = max(own.values())
        outputs = " and ".join(str(k) for k in own)
        word = "PASS" if worst <= goal else "FAIL"
        lines.append(f"{word}  {name}: at most {worst:.2f} plain steps, {outputs} output(s) (goal {goal})")
    return lines


def main() -> None:
    """Print the tables and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run of some seconds")
    found = run("quick" if parser.parse_args().quick else "full")
    print(f"A step of 3 x {WIDTH} units, batch {BATCH}, {INPUTS} inputs, one thread. Published times: none.")
    for k, by in found["ratios"].items():
        for name, (seconds, ratio) in by.items():
            print(f"  {k:2d} output(s)  {name:34s} {1e3 * seconds:7.2f} ms  {ratio:6.2f}x")
    print(
        "Jacobian penalty of strength 0.1, 300 rows with as much noise as signal, ten inputs; R2 on 2,000 clean rows:"
    )
    for name, (r2, norm) in found["teachers"].items():
        print(f"  {name:12s} R2 {r2:.3f}  mean Jacobian norm {norm:.2f}")
    print("\n".join(verdict(found)))


if __name__ == "__main__":
    main()
