"""From the formulas of each output to whole models: joined, fitted together, rounded, scored, and one chosen.

Source
------
The choice is the one-standard-error rule of Breiman1984, on the paired differences to the best member.

Cost
----
A few refits on all training rows for each member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.readable import FormulaReadable
from limbeck.students._formula_algebra import Formula, constants, rebuild, symbols, to_sympy, with_constants
from limbeck.students._formula_features import Feature
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
from limbeck.students._formula_growth import PERFECT
from limbeck.students._formula_rounding import round_constants
from limbeck.students._members import Member

MAX_MEMBERS = 40
ROUNDING_SHARE = 2e-3
ROUNDING_FLOOR = 1e-9
MOST_LOST = 5e-3
"""The chosen member gives up at most this share of what the best member gains over the shortest."""
LEAST_STEP = 2e-3
"""By this share of its error a member must beat the shorter ones."""


@dataclass(frozen=True)
class FormulaMember(Member):
    """A formula of the front.

    Attributes
    ----------
    readable : FormulaReadable
    complexity : int
        Its symbols.
    score : float
        On rows it was not fitted on: R2 (the mean over outputs), or minus the cross-entropy in nats.
    bic : float
        Bayesian information criterion on the rows it was fitted on; lower is better.
    """

    bic: float


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
    """

    train: Part
    valid: Part
    guard: tuple[np.ndarray, ...]
    variances: np.ndarray
    link: str
    costs: tuple[int, ...]

    def single_loss(self, output: int) -> Loss:
        """The loss of one output's formula on the training rows."""
        target, weights = self.train.targets[:, output], self.train.weights
        if self.link == "identity":
            return Squares(target, weights / self.variances[output])
        return Logistic(self.train.targets[:, 1] if self.link == "logistic" else target, weights)

    def length(self, formulas: Sequence[Formula]) -> int:
        """Symbols of all formulas."""
        return sum(symbols(formula, self.costs) for formula in formulas)

    def fit_rounded(self, formulas: Sequence[Formula]) -> tuple[Formula, ...]:
        """The formulas with their best constants together, rounded."""
        if self.link == "softmax":
            return self._fit_softmax(formulas)
        return tuple(self._fit_one(o, formula) for o, formula in enumerate(formulas))

    def _fit_one(self, output: int, formula: Formula) -> Formula:
        loss, columns = self.single_loss(output), self.train.columns
        fitted = refit(formula, columns, loss)
        tolerance = ROUNDING_SHARE * (fitted.loss - self._least_loss(output)) + ROUNDING_FLOOR
        n = len(self.train.weights)

        def loss_at(theta: np.ndarray) -> float:
            values = values_of(with_constants(fitted.formula, theta), columns)
            with np.errstate(all="ignore"):
                return loss.value(np.broadcast_to(values, (n,)))

        theta = np.array(constants(fitted.formula))
        rounded = round_constants(theta, fitted.hessian, loss_at, tolerance)
        return rebuild(with_constants(fitted.formula, rounded))

    def _least_loss(self, output: int) -> float:
        """The loss that no formula goes below: none in regression, the targets' own entropy in classification."""
        if self.link == "identity":
            return 0.0
        return float(self.train.weights @ _entropy(self.train.targets))

    def _fit_softmax(self, formulas: Sequence[Formula]) -> tuple[Formula, ...]:
        joint = _Softmax(self.train, formulas)
        with np.errstate(all="ignore"):
            theta, loss, _, H = descend(joint.start, joint.look, joint.value, steps=30, tolerance=1e-9)
            tolerance = ROUNDING_SHARE * (loss - self._least_loss(0)) + ROUNDING_FLOOR
            rounded = round_constants(theta, H, joint.value, tolerance)
        return tuple(rebuild(formula) for formula in joint.formulas_at(rounded))

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


def _entropy(p: np.ndarray) -> np.ndarray:
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


def joined(judge: Judge, fronts: Sequence[Sequence[Formula]], max_symbols: int) -> list[tuple[Formula, ...]]:
    """Models of one formula an output: from the shortest on, the change that brings most for each symbol comes next."""
    options = []
    for output, front in enumerate(fronts):
        loss = judge.single_loss(output)
        fitted = [refit(formula, judge.train.columns, loss) for formula in front]
        options.append([(symbols(f.formula, judge.costs), f.loss, f.formula) for f in fitted if np.isfinite(f.loss)])
    if len(options) == 1:
        return [(formula,) for length, _, formula in options[0] if length <= max_symbols]
    now = [min(option, key=lambda member: member[0]) for option in options]
    path = [tuple(formula for *_, formula in now)]
    while True:
        room = max_symbols - sum(length for length, *_ in now)
        steps = [
            ((now[o][1] - member[1]) / (member[0] - now[o][0]), o, member)
            for o, option in enumerate(options)
            for member in option
            if 0 < member[0] - now[o][0] <= room and member[1] < now[o][1] - PERFECT
        ]
        if not steps:
            return _thinned(path)
        _, o, member = max(steps, key=lambda step: step[0])
        now[o] = member
        path.append(tuple(formula for *_, formula in now))


def _thinned(path: list[tuple[Formula, ...]]) -> list[tuple[Formula, ...]]:
    keep = np.unique(np.linspace(0, len(path) - 1, MAX_MEMBERS).astype(np.int64))
    return [path[i] for i in keep]


def build_front(
    judge: Judge,
    models: Sequence[tuple[Formula, ...]],
    features: Sequence[Feature],
    blank: FormulaReadable,
    max_symbols: int,
) -> tuple[tuple[FormulaMember, ...], FormulaMember]:
    """The members that no shorter one beats on the validation rows, and the one that is chosen.

    `blank` is a readable of the right schema, names and link; its expressions are replaced.
    """
    expressions = [feature.expression for feature in features]
    scored = []
    for model in models:
        formulas = judge.fit_rounded(model)
        if not judge.is_finite(formulas):
            continue
        readable = FormulaReadable(
            blank.schema,
            blank.task,
            blank.output_names,
            tuple(to_sympy(formula, expressions) for formula in formulas),
            blank.link,
        )
        losses = judge.row_losses(formulas, judge.valid)
        loss = float(judge.valid.weights @ losses)
        if readable.complexity <= max_symbols and np.isfinite(loss):
            score = _score(judge, loss)
            scored.append((FormulaMember(readable, readable.complexity, score, judge.bic(formulas)), losses))
    scored.sort(key=lambda item: (item[0].complexity, -item[0].score))
    floor = float(judge.valid.weights @ _entropy(judge.valid.targets)) if judge.link != "identity" else 0.0
    front = scored[:1]
    for member, losses in scored[1:]:
        before, now = (float(judge.valid.weights @ each) - floor for each in (front[-1][1], losses))
        if now < before - LEAST_STEP * abs(before) - ROUNDING_FLOOR:
            front.append((member, losses))
    return tuple(member for member, _ in front), _chosen(judge, front)


def _score(judge: Judge, loss: float) -> float:
    """R2, or minus the cross-entropy."""
    if judge.link != "identity":
        return -loss
    w, y = judge.valid.weights, judge.valid.targets
    spread = np.mean(w @ (y - w @ y) ** 2 / judge.variances)
    return 1.0 - loss / float(spread) if spread > 0 else (1.0 if loss <= 1e-18 else 0.0)


def _chosen(judge: Judge, front: Sequence[tuple[FormulaMember, np.ndarray]]) -> FormulaMember:
    """The shortest member that is not clearly worse than the best."""
    w = judge.valid.weights
    best = front[-1][1]
    span = float(w @ front[0][1]) - float(w @ best)
    for member, losses in front:
        difference = losses - best
        mean = float(w @ difference)
        error = float(np.sqrt(w**2 @ (difference - mean) ** 2))
        if mean <= min(error, MOST_LOST * span):
            return member
    return front[-1][0]
