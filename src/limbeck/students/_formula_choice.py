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
from dataclasses import dataclass, replace

import numpy as np

from limbeck.readable import FormulaReadable
from limbeck.readable._formula import Range
from limbeck.students._formula_algebra import Formula, symbols
from limbeck.students._formula_features import Feature
from limbeck.students._formula_fit import refit
from limbeck.students._formula_growth import PERFECT
from limbeck.students._formula_judge import ROUNDING_FLOOR, Judge, entropy
from limbeck.students._formula_written import written
from limbeck.students._members import Member

MAX_MEMBERS = 40
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
        The held-out fidelity, on rows it was not fitted on: R2 to the answers (the mean over outputs), or minus the
        cross-entropy in nats.
    bic : float
        Bayesian information criterion on the rows it was fitted on; lower is better.
    mdl : float
        Description length in bits of those rows' answers and the formula; lower is better, below 0 where the formula
        saves more than it costs (`Judge.mdl` has the definition). It does not depend on the unit of the answers.
    """

    readable: FormulaReadable
    bic: float
    mdl: float


def joined(judge: Judge, fronts: Sequence[Sequence[Formula]], max_symbols: int) -> list[tuple[Formula, ...]]:
    """Models of one formula an output: from the shortest on, the change that brings most for each symbol comes next."""
    options = []
    for output, front in enumerate(fronts):
        loss = judge.single_loss(output)
        fitting = [formula for formula in front if judge.fits_units(output, formula)]
        fitted = [refit(formula, judge.train.columns, loss) for formula in fitting]
        options.append([(symbols(f.formula, judge.costs), f.loss, f.formula) for f in fitted if np.isfinite(f.loss)])
    if len(options) == 1:
        return [(formula,) for length, _, formula in options[0] if length <= max_symbols]
    if not all(options):
        return []
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
    ranges: Sequence[Range],
    max_symbols: int,
) -> tuple[tuple[FormulaMember, ...], FormulaMember]:
    """The members that no shorter one beats on the validation rows, and the one that is chosen.

    `blank` is a readable of the right schema, names and link; its expressions are replaced. `ranges` has one item a
    column.
    """
    scored = []
    for model in models:
        formulas = judge.fit_rounded(model)
        if not judge.is_finite(formulas) or not _units_fit(judge, formulas):
            continue
        readable = _readable(formulas, features, blank, ranges)
        losses = judge.row_losses(formulas, judge.valid)
        loss = float(judge.valid.weights @ losses)
        if readable.complexity <= max_symbols and np.isfinite(loss):
            bic, mdl = judge.bic(formulas), judge.mdl(formulas)
            scored.append((FormulaMember(readable, readable.complexity, _score(judge, loss), bic, mdl), losses))
    front = _front(judge, scored)
    return tuple(member for member, _ in front), _chosen(judge, front)


def _units_fit(judge: Judge, formulas: Sequence[Formula]) -> bool:
    return all(judge.fits_units(output, formula) for output, formula in enumerate(formulas))


def _readable(
    formulas: Sequence[Formula], features: Sequence[Feature], blank: FormulaReadable, ranges: Sequence[Range]
) -> FormulaReadable:
    expressions = tuple(written(formula, [feature.expression for feature in features]) for formula in formulas)
    found = replace(blank, expressions=expressions)
    return replace(found, ranges=tuple(ranges[j] for j in found.columns_used))


def _front(judge: Judge, scored: list[tuple[FormulaMember, np.ndarray]]) -> list[tuple[FormulaMember, np.ndarray]]:
    scored = sorted(scored, key=lambda item: (item[0].complexity, -item[0].score))
    floor = float(judge.valid.weights @ entropy(judge.valid.targets)) if judge.link != "identity" else 0.0
    front = scored[:1]
    for member, losses in scored[1:]:
        before, now = (float(judge.valid.weights @ each) - floor for each in (front[-1][1], losses))
        if now < before - LEAST_STEP * abs(before) - ROUNDING_FLOOR:
            front.append((member, losses))
    return front


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
