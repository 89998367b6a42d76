"""What a whole model costs on which rows, and its constants fitted together and rounded.

Source
------
Schwarz1978 for the BIC. The description length is the two-part code of Rissanen1978, its symbols coded as in
Bartlett2024.

Departures
----------
- Bartlett2024 codes a constant by the curvature of the loss; here the constants are already rounded to the digits that
  matter, so a constant costs the digits that are read, ``log2(10)`` bits each, and one bit for its sign.
- Answers are measured in their own spread: a constant formula of the mean leaves 0 bits in regression, a better one
  less. So the length does not depend on the unit of the answers.

Checked
-------
Gradient and matrix of the joint fit against finite differences; the description length on formulas counted by hand.

Cost
----
A few refits on all training rows for each model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from limbeck.students._formula_algebra import Formula, constants, features_used, rebuild, symbols, with_constants
from limbeck.students._formula_classes import BesideOthers, log_total
from limbeck.students._formula_fit import (
    Logistic,
    Loss,
    Squares,
    compile_tape,
    descend,
    refit,
    run_backwards,
    run_tape,
    values_of,
)
from limbeck.students._formula_rounding import round_constants
from limbeck.students._formula_simplify import simplified
from limbeck.students._formula_units import UnitCheck

__all__ = ["Judge", "Part", "entropy"]

ROUNDING_SHARE = 2e-3
ROUNDING_FLOOR = 1e-9


class _Fit(Protocol):
    """Fits the constants of formulas in at most so many steps: ``(fitted, rounded)``."""

    def __call__(self, formulas: Sequence[Formula], steps: int = 30) -> tuple[list[Formula], list[Formula]]: ...


@dataclass(frozen=True)
class Part:
    """The rows of one part: features by column, targets ``(n, k)``, weights that sum to 1."""

    columns: tuple[np.ndarray, ...]
    targets: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Judge:
    """Fits and scores the formulas of all outputs together.

    Attributes
    ----------
    train, valid : Part
    guard : tuple of array
        Features on the guard rows.
    variances : array ``(k,)``
        Of the training targets, 1 where there is none; ones in classification.
    link : str
        ``identity``, ``logistic`` or ``softmax``.
    costs : tuple of int
    checks : tuple of UnitCheck or None
        One a formula, where there are units.
    scores : array ``(n, k)`` or None
        The classes' scores on the training rows, where they are known (`_formula_classes`).
    """

    train: Part
    valid: Part
    guard: tuple[np.ndarray, ...]
    variances: np.ndarray
    link: str
    costs: tuple[int, ...]
    checks: tuple[UnitCheck, ...] | None = None
    scores: np.ndarray | None = None

    @cached_property
    def everywhere(self) -> tuple[np.ndarray, ...]:
        """The features on training and guard rows."""
        return tuple(np.concatenate(pair) for pair in zip(self.train.columns, self.guard, strict=True))

    def single_loss(self, output: int) -> Loss:
        """The loss of one output's formula on the training rows."""
        target, weights = self.train.targets[:, output], self.train.weights
        if self.link == "identity":
            return Squares(target, weights / self.variances[output])
        one = Logistic(self.train.targets[:, 1] if self.link == "logistic" else target, weights)
        return one if self.scores is None else BesideOthers(one, log_total(self.scores, output))

    def length(self, formulas: Sequence[Formula]) -> int:
        """Symbols of all formulas."""
        return sum(symbols(formula, self.costs) for formula in formulas)

    def fits_units(self, output: int, formula: Formula) -> bool:
        """True where the formula's units agree with one another and with the output's, or there are none."""
        return self.checks is None or self.checks[output].allows(formula)

    def fit_rounded(self, formulas: Sequence[Formula]) -> tuple[Formula, ...]:
        """The formulas made as short as they can be said, with their best constants together, rounded."""
        fit: _Fit = self._fit_softmax if self.link == "softmax" else self._fit_each
        shorter = tuple(self._simplified(o, formula) for o, formula in enumerate(fit(formulas)[0]))
        fitted, rounded = fit(shorter)
        whole = [rebuild(formula) for formula in rounded]
        if self.link == "softmax":
            whole = self._with_few_constants(whole)
        with_units = [self._with_units(o, new, old) for o, (new, old) in enumerate(zip(whole, fitted, strict=True))]
        said = [self._simplified(o, formula) for o, formula in enumerate(with_units)]
        return tuple(self._with_short_constants(said, fit))

    def _with_short_constants(self, formulas: list[Formula], fit: _Fit) -> list[Formula]:
        """The formulas, rounded once more where merging constants has made long ones of short ones."""
        if not any(_is_long(value) for formula in formulas for value in constants(formula)):
            return formulas
        short = [rebuild(f) if 0.0 in constants(f) else f for f in fit(formulas, steps=0)[1]]
        return short if all(self.fits_units(o, formula) for o, formula in enumerate(short)) else formulas

    def _with_few_constants(self, formulas: list[Formula]) -> list[Formula]:
        """The formulas with one number added to all, which the softmax doesn't see, so that they are shortest."""
        best = formulas
        for shift in sorted({formula[1] for formula in formulas}):
            moved = [("+", float(f"{f[1] - shift:.12g}"), f[2]) for f in formulas]
            if self.length(moved) < self.length(best):
                best = moved
        return best

    def _simplified(self, output: int, formula: Formula) -> Formula:
        found = simplified(formula, self.costs, self.everywhere)
        return found if self.fits_units(output, found) else formula

    def _with_units(self, output: int, rounded: Formula, fitted: Formula) -> Formula:
        """The rounded formula; where a constant with a unit was rounded away, the fitted one with short constants."""
        if self.fits_units(output, rounded):
            return rounded
        return with_constants(fitted, [_beside_one(value) for value in constants(fitted)])

    def _fit_each(self, formulas: Sequence[Formula], steps: int = 30) -> tuple[list[Formula], list[Formula]]:
        """``(fitted, rounded)``, each formula for its own output."""
        both = [self._fit_one(o, formula, steps) for o, formula in enumerate(formulas)]
        return [fitted for fitted, _ in both], [rounded for _, rounded in both]

    def _fit_one(self, output: int, formula: Formula, steps: int) -> tuple[Formula, Formula]:
        loss, columns = self.single_loss(output), self.train.columns
        fitted = refit(formula, columns, loss, steps=steps)
        tolerance = ROUNDING_SHARE * (fitted.loss - self._least_loss(output)) + ROUNDING_FLOOR
        n = len(self.train.weights)

        def loss_at(theta: np.ndarray) -> float:
            values = values_of(with_constants(fitted.formula, theta), columns)
            with np.errstate(all="ignore"):
                return loss.value(np.broadcast_to(values, (n,)))

        theta = np.array(constants(fitted.formula))
        rounded = round_constants(theta, fitted.hessian, loss_at, tolerance)
        return fitted.formula, with_constants(fitted.formula, rounded)

    def _least_loss(self, output: int) -> float:
        """The loss that no formula goes below: none in regression, the targets' own entropy in classification."""
        if self.link == "identity":
            return 0.0
        return float(self.train.weights @ entropy(self.train.targets))

    def _fit_softmax(self, formulas: Sequence[Formula], steps: int = 30) -> tuple[list[Formula], list[Formula]]:
        """``(fitted, rounded)``, all formulas together."""
        joint = _Softmax(self.train, formulas)
        with np.errstate(all="ignore"):
            theta, loss, _, H = descend(joint.start, joint.look, joint.value, steps=steps, tolerance=1e-9)
            tolerance = ROUNDING_SHARE * (loss - self._least_loss(0)) + ROUNDING_FLOOR
            rounded = round_constants(theta, H, joint.value, tolerance)
        return joint.formulas_at(theta), joint.formulas_at(rounded)

    def row_losses(self, formulas: Sequence[Formula], part: Part) -> np.ndarray:
        """What each row costs, ``(n,)``: squared error in variances, the mean over outputs; or cross-entropy."""
        scores = np.column_stack([values_of(formula, part.columns) for formula in formulas])
        with np.errstate(all="ignore"):
            if self.link == "identity":
                return np.mean((scores - part.targets) ** 2 / self.variances, axis=1)
            if self.link == "logistic":
                scores = np.column_stack([np.zeros(len(scores)), scores])
            top = scores.max(axis=1, keepdims=True)
            log_total = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
            return log_total - np.einsum("ij,ij->i", part.targets, scores)

    def is_finite(self, formulas: Sequence[Formula]) -> bool:
        """True where every value on training, validation and guard rows is finite."""
        parts = (self.train.columns, self.valid.columns, self.guard)
        return all(np.isfinite(values_of(formula, columns)).all() for formula in formulas for columns in parts)

    def bic(self, formulas: Sequence[Formula]) -> float:
        """Bayesian information criterion on the training rows."""
        n, losses = len(self.train.weights), self.row_losses(formulas, self.train)
        loss = float(self.train.weights @ losses)
        free = sum(len(constants(formula)) for formula in formulas)
        if self.link != "identity":
            return 2.0 * n * loss + free * np.log(n)
        k = len(formulas)
        return n * k * np.log(max(loss, 1e-300)) + (free + k) * np.log(n)

    def mdl(self, formulas: Sequence[Formula]) -> float:
        """Description length in bits: of the training answers, given the formulas, and of the formulas.

        The answers take ``n / 2 * log2(mean squared error in variances)`` bits an output, or their cross-entropy; the
        formulas ``symbols * log2(distinct symbols)``, and their constants a sign and their digits.
        """
        n, losses = len(self.train.weights), self.row_losses(formulas, self.train)
        loss = float(self.train.weights @ losses)
        if self.link == "identity":
            bits = 0.5 * n * len(formulas) * math.log2(max(loss, 1e-300))
        else:
            bits = n * loss / math.log(2.0)
        for formula in formulas:
            bits += symbols(formula, self.costs) * math.log2(max(2, len(distinct_symbols(formula))))
            bits += sum(1.0 + math.log2(10.0) * _digits(value) for value in constants(formula))
        return bits


def distinct_symbols(formula: Formula) -> set[str]:
    """The different symbols that a formula is written with; all constants are one."""
    found = {f"x{j}" for j in features_used(formula)}
    if constants(formula):
        found.add("constant")
    stack: list[Any] = [formula]
    while stack:
        part = stack.pop()
        if part[0] == "+":
            found |= {"+"} if len(part[2]) + (part[1] != 0.0) > 1 else set()
            found |= {"-"} if any(c < 0 for c, _ in part[2]) or part[1] < 0 else set()
            found |= {"*"} if any(abs(c) != 1.0 for c, _ in part[2]) else set()
            stack.extend(core for _, core in part[2])
        elif part[0] == "*":
            found |= {"*"} if sum(p > 0 for _, p in part[1]) > 1 else set()
            found |= {"/"} if any(p < 0 for _, p in part[1]) else set()
            found |= {f"power {abs(p)}" for _, p in part[1] if abs(p) != 1.0}
            stack.extend(base for base, _ in part[1])
        elif part[0] != "x":
            found.add(part[0])
            stack.append(part[1])
    return found


def _digits(value: float) -> int:
    """Significant digits of a number as it is read."""
    return len(f"{abs(value):.15e}".split("e")[0].replace(".", "").rstrip("0")) or 1


def _beside_one(value: float) -> float:
    """The value with six digits; with all of its digits where six would make it 1 or -1, which carry no unit."""
    short = float(f"{value:.6g}")
    return value if abs(short) == 1.0 else short


def _is_long(value: float) -> bool:
    return float(f"{value:.6g}") != value


def entropy(p: np.ndarray) -> np.ndarray:
    """The entropy of each row of probabilities, in nats, ``(n,)``."""
    return -np.sum(p * np.log(np.maximum(p, 1e-300)), axis=1)


class _Softmax:
    """Cross-entropy of the softmax of several formulas, as a function of all their constants."""

    def __init__(self, part: Part, formulas: Sequence[Formula]) -> None:
        self.part, self.formulas = part, formulas
        self.tapes = [compile_tape(formula) for formula in formulas]
        self.ends = np.cumsum([0, *(len(constants(formula)) for formula in formulas)])
        self.start = np.array([value for formula in formulas for value in constants(formula)])

    def formulas_at(self, theta: np.ndarray) -> list[Formula]:
        """The formulas with these constants."""
        return [with_constants(f, theta[a:b]) for f, a, b in zip(self.formulas, self.ends, self.ends[1:], strict=False)]

    def _values(self, theta: np.ndarray) -> list[list[np.ndarray]]:
        spans = zip(self.ends, self.ends[1:], strict=False)
        return [run_tape(t, theta[a:b], self.part.columns) for t, (a, b) in zip(self.tapes, spans, strict=True)]

    def _scores(self, values: list[list[np.ndarray]]) -> np.ndarray:
        n = len(self.part.weights)
        return np.column_stack([np.broadcast_to(steps[-1], (n,)) for steps in values])

    def value(self, theta: np.ndarray) -> float:
        """The loss."""
        scores = self._scores(self._values(theta))
        top = scores.max(axis=1, keepdims=True)
        log_total = top[:, 0] + np.log(np.exp(scores - top).sum(axis=1))
        return float(self.part.weights @ (log_total - np.einsum("ij,ij->i", self.part.targets, scores)))

    def look(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """``(loss, gradient, Gauss-Newton matrix)``."""
        values, n, w = self._values(theta), len(self.part.weights), self.part.weights
        scores = self._scores(values)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        spans = list(zip(self.ends, self.ends[1:], strict=False))
        J = [run_backwards(t, theta[a:b], v, n)[0] for t, v, (a, b) in zip(self.tapes, values, spans, strict=True)]
        g = np.concatenate([J[c].T @ (w * (p[:, c] - self.part.targets[:, c])) for c in range(len(J))])
        H = np.zeros((len(theta), len(theta)))
        for c, (a, b) in enumerate(spans):
            for e, (low, high) in enumerate(spans):
                curvature = w * p[:, c] * ((c == e) - p[:, e])
                H[a:b, low:high] = (J[c] * curvature[:, None]).T @ J[e]
        return self.value(theta), g, H
