"""A study's document built by hand, with random numbers and hostile names, for the tests of its page."""

from __future__ import annotations

from typing import Any

import numpy as np

from report_runs import ATTACK, HOSTILE

ARMS = (
    ("direct", "formula straight on y (control)"),
    ("plain", "formula from a plain teacher"),
    ("jacobian", "formula from a teacher with a Jacobian penalty"),
    ("lipschitz", "formula from a teacher with a Lipschitz penalty"),
)
PAIRS = (
    ("jacobian", "plain", "r2"),
    ("lipschitz", "plain", "r2"),
    ("plain", "direct", "r2"),
    ("jacobian", "direct", "r2"),
    ("lipschitz", "direct", "r2"),
    ("jacobian", "plain", "fidelity"),
    ("lipschitz", "plain", "fidelity"),
)
NAMES = ("airfoil", "grid_stability", "real_estate", "ai4i2020", "auto_mpg", "automobile", "concrete", "bike")
FORMULA = "0.37*(x{a} - 2.1)/sqrt(abs(x{b}) + 1.4) + 12.5*log(strength_of_the_{c}) - 3.75*tanh(0.2*x{a}*x{b})"


def spread(values: np.ndarray) -> dict[str, float | None]:
    """Mean and interval; nulls for fewer than three values."""
    if len(values) < 3:
        return {"mean": None, "low": None, "high": None}
    half = 2.0 * float(values.std()) / len(values) ** 0.5
    mean = float(values.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half}


def one_set(name: str, trials: int, generator: np.random.Generator) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One set with its points."""
    base, noise = generator.uniform(0.2, 0.9), generator.uniform(0.01, 0.08)
    luck = generator.normal(0, noise, size=trials)
    shifts = {"direct": generator.normal(0.02, 0.03), "plain": 0.0}
    shifts |= {"jacobian": generator.normal(0.002, 0.01), "lipschitz": generator.normal(-0.002, 0.01)}
    r2 = {arm: base + shift + luck + generator.normal(0, noise / 3, trials) for arm, shift in shifts.items()}
    symbols = {arm: generator.integers(8, 40, size=trials) for arm in r2}
    fidelity = {arm: np.minimum(values + 0.05, 0.99) for arm, values in r2.items()}
    points = [
        {"set": name, "trial": t, "arm": arm, "r2": float(r2[arm][t]), "symbols": int(symbols[arm][t]),
         "fidelity": None if arm == "direct" else float(fidelity[arm][t]),
         "strength": float(generator.choice([0.0, 1e-3, 1e-2])) if arm in ("jacobian", "lipschitz") else 0.0}
        for t in range(trials) for arm in r2
    ]  # fmt: skip
    arms = {
        arm: {"r2": spread(r2[arm]), "fidelity": None if arm == "direct" else spread(fidelity[arm]),
              "symbols": float(symbols[arm].mean()) if trials else None,
              "teacher_r2": None if arm == "direct" else base + 0.05, "slope": None if arm == "direct" else 2.5}
        for arm in r2
    }  # fmt: skip
    comparisons = []
    for arm, against, metric in PAIRS:
        values = {"r2": r2, "fidelity": fidelity}[metric]
        found = spread(values[arm] - values[against])
        known = found["mean"] is not None
        p = float(min(1.0, 10.0 ** -abs(found["mean"] / (found["high"] - found["low"]) * 4))) if known else None  # type: ignore[operator]
        comparisons.append(
            {"arm": arm, "against": against, "metric": metric, **found, "p": p, "trials": trials,
             "p_holm": None if p is None else min(1.0, 20 * p),
             "sentence": f"{arm} and {against} can’t be told apart" if known else "too few trials to say anything"}
        )  # fmt: skip
    formulas = {
        arm: {"text": f"y = {FORMULA.format(a=i, b=i + 1, c=arm)}", "symbols": 20 + i, "r2": base, "trial": i}
        for i, arm in enumerate(r2)
        if trials > i
    }
    rows = int(generator.integers(200, 9_000))
    entry = {"name": name, "rows": rows, "columns": 8, "trials": trials, "arms": arms, "comparisons": comparisons}
    return {**entry, "formulas": formulas}, points


def study(n_sets: int = 20, trials: int = 50, seed: int = 0, *, is_hostile: bool = True) -> dict[str, Any]:
    """A study of so many sets, some with hostile names, one with a great difference, one with too few trials."""
    generator = np.random.default_rng(seed)
    names = [*NAMES, *(HOSTILE if is_hostile else ()), *(f"set_{i}" for i in range(n_sets))][:n_sets]
    sets, points = [], []
    for i, name in enumerate(names):
        entry, own = one_set(name, 2 if i == 5 else trials, generator)
        sets.append(entry)
        points += own
    if n_sets > 3:
        sets[3]["comparisons"][2].update(mean=-0.9, low=-1.4, high=-0.4, p=1e-9, p_holm=2e-8)
        sets[3]["formulas"]["plain"]["text"] = ATTACK * 20 if is_hostile else "x0"
    overall = []
    for k, (arm, against, metric) in enumerate(PAIRS):
        means = [one["comparisons"][k]["mean"] for one in sets if one["comparisons"][k]["mean"] is not None]
        better, worse = sum(m > 0.001 for m in means), sum(m < -0.001 for m in means)
        overall.append(
            {"arm": arm, "against": against, "metric": metric, **spread(np.array(means)), "better": better,
             "worse": worse, "ties": len(means) - better - worse, "p_sign": 0.42,
             "sentence": f"{arm} is not told apart from {against} over {len(means)} sets."}
        )  # fmt: skip
    return {
        "schema": 1,
        "kind": "study",
        "name": ATTACK if is_hostile else "smooth-teachers",
        "settings": {"trials": trials, "alpha": 0.05, "evaluations": 100_000, "max_complexity": 40, "teacher":
                     {"widths": [128, 128, 128], "epochs": 200}, "strengths": [0.0, 0.001, 0.01], "sets": names},
        "arms": [{"name": name, "label": label} for name, label in ARMS],
        "progress": {"done": max(n_sets * trials - 48, 0), "planned": n_sets * trials, "failed": [
            {"set": "airfoil", "trial": 3, "what": ATTACK if is_hostile else "LimbeckError: the teacher gave NaN"}]},
        "sets": sets,
        "overall": overall,
        "verdict": "Distilling does not beat a formula that is fitted to y directly: over 20 sets the plain teacher’s "
        "formulas are worse by 0.06 of R² (95 % interval −0.15 to 0.02). Smoothing the teacher changes nothing that "
        "50 paired trials a set could show: the Jacobian penalty by 0.003 (−0.002 to 0.008), the Lipschitz penalty by "
        "−0.002 (−0.007 to 0.003).",
        "points": points,
    }  # fmt: skip
