"""Values, derivatives and constants of formulas, in float64.

Source
------
Levenberg-Marquardt with Marquardt's scaling, on the Gauss-Newton matrix of squared error or of cross-entropy.

Checked
-------
Derivatives against finite differences; constants of planted formulas to 1e-6 (unit tests).

Cost
----
One NumPy operation a node and row forward, two backward.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck.students._formula_algebra import FUNCTIONS, Core, Formula, constants, with_constants

Tape = list[tuple[Any, ...]]


def compile_tape(formula: Formula) -> Tape:
    """The formula as steps in the order of evaluation; constants are numbered as `constants` lists them."""
    tape: Tape = []
    _emit_sum(formula, tape, [0])
    return tape


def _emit_sum(formula: Formula, tape: Tape, counter: list[int]) -> int:
    def number(present: bool) -> int:
        if not present:
            return -1
        counter[0] += 1
        return counter[0] - 1

    head = number(formula[1] != 0.0)
    terms = []
    for c, core in formula[2]:
        slot = number(abs(c) != 1.0)
        terms.append((slot, c, _emit_core(core, tape, counter)))
    tape.append(("+", head, tuple(terms)))
    return len(tape) - 1


def _emit_core(core: Core, tape: Tape, counter: list[int]) -> int:
    if core[0] == "+":
        return _emit_sum(core, tape, counter)
    if core[0] == "x":
        tape.append(core)
    elif core[0] == "*":
        tape.append(("*", tuple((_emit_core(base, tape, counter), p) for base, p in core[1])))
    else:
        tape.append((core[0], _emit_sum(core[1], tape, counter)))
    return len(tape) - 1


def _raise(base: np.ndarray, p: float) -> np.ndarray:
    if p == 1.0:
        return base
    if p == -1.0:
        return 1.0 / base
    if p == 2.0:
        return base * base
    if p == 0.5:
        return np.sqrt(base)
    return np.power(base, p)


def run_tape(tape: Tape, theta: np.ndarray, columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The value of every step; the last is the formula's."""
    values: list[Any] = []
    for step in tape:
        kind = step[0]
        if kind == "x":
            values.append(columns[step[1]])
        elif kind == "+":
            total: Any = theta[step[1]] if step[1] >= 0 else 0.0
            for slot, c, i in step[2]:
                total = total + (theta[slot] if slot >= 0 else c) * values[i]
            values.append(total)
        elif kind == "*":
            product: Any = 1.0
            for i, p in step[1]:
                product = product * _raise(values[i], p)
            values.append(product)
        else:
            values.append(FUNCTIONS[kind](values[step[1]]))
    return values


_SLOPES = {
    "log": lambda x, y: 1.0 / x,
    "exp": lambda x, y: y,
    "tanh": lambda x, y: 1.0 - y * y,
    "sin": lambda x, y: np.cos(x),
    "cos": lambda x, y: -np.sin(x),
    "abs": lambda x, y: np.sign(x),
}


def jacobian(tape: Tape, theta: np.ndarray, columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """``(values (n,), derivatives (n, constants))``."""
    n = len(columns[0])
    values = run_tape(tape, theta, columns)
    J = np.zeros((n, len(theta)))
    slopes: list[Any] = [0.0] * len(tape)
    slopes[-1] = 1.0
    for k in range(len(tape) - 1, -1, -1):
        step, slope = tape[k], slopes[k]
        kind = step[0]
        if kind == "+":
            if step[1] >= 0:
                J[:, step[1]] = slope
            for slot, c, i in step[2]:
                if slot >= 0:
                    J[:, slot] = slope * values[i]
                    slopes[i] = slopes[i] + slope * theta[slot]
                else:
                    slopes[i] = slopes[i] + slope * c
        elif kind == "*":
            for i, p in step[1]:
                if tape[i][0] == "x":
                    continue
                own = slope * p * _raise(values[i], p - 1.0) if p != 1.0 else slope
                for other, q in step[1]:
                    if other != i:
                        own = own * _raise(values[other], q)
                slopes[i] = slopes[i] + own
        elif kind != "x":
            i = step[1]
            slopes[i] = slopes[i] + slope * _SLOPES[kind](values[i], values[k])
    return np.broadcast_to(values[-1], (n,)), J


def evaluate_formula(formula: Formula, columns: Sequence[np.ndarray]) -> np.ndarray:
    """The formula's values ``(n,)``; NaN or infinity where it is not defined."""
    with np.errstate(all="ignore"):
        value = run_tape(compile_tape(formula), np.array(constants(formula)), columns)[-1]
    return np.broadcast_to(np.asarray(value, dtype=np.float64), (len(columns[0]),))


@dataclass(frozen=True)
class Refit:
    """A formula with its best constants, the weighted mean squared error, and the Gauss-Newton matrix there."""

    formula: Formula
    loss: float
    hessian: np.ndarray
    gradient: np.ndarray


def refit_squares(
    formula: Formula,
    columns: Sequence[np.ndarray],
    y: np.ndarray,
    weights: np.ndarray,
    *,
    steps: int = 10,
    tol: float = 1e-7,
) -> Refit:
    """The formula with the constants that minimise the weighted mean squared error, from where they are."""
    tape = compile_tape(formula)
    theta = np.array(constants(formula), dtype=np.float64)

    def look(t: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        f, J = jacobian(tape, t, columns)
        r = f - y
        WJ = J * weights[:, None]
        return float(weights @ (r * r)), WJ.T @ J, WJ.T @ r

    with np.errstate(all="ignore"):
        loss, H, g = look(theta)
        damping = 1e-4
        for _ in range(steps if len(theta) and np.isfinite(loss) else 0):
            D = np.diag(H).copy()
            D[D <= 0] = 1.0
            s = 1 / np.sqrt(D)
            A = H * s[:, None] * s[None, :]
            improved = False
            for _ in range(6):
                try:
                    delta = -s * np.linalg.solve(A + damping * np.eye(len(s)), s * g)
                except np.linalg.LinAlgError:
                    damping *= 10
                    continue
                trial = theta + delta
                f = run_tape(tape, trial, columns)[-1]
                r = f - y
                new = float(weights @ (r * r))
                if np.isfinite(new) and new < loss:
                    improved = True
                    break
                damping = max(damping, 1e-6) * 10
            if not improved:
                break
            gain = loss - new
            theta, damping = trial, max(damping / 10, 1e-12)
            loss, H, g = look(theta)
            if gain <= tol * loss:
                break
    return Refit(with_constants(formula, theta), loss, H, g)
