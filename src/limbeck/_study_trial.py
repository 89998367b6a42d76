"""One trial of the study of smooth teachers: one split of one table, four arms, the same budget for each.

Source
------
Dhar2025 for the question; only its abstract could be read, so the protocol is ours.

Protocol
--------
The trial's seed draws at most `max_rows` rows and splits them 60/20/20 into train, validation and test rows, the same
for every arm, so that the arms are paired. Three arms fit a formula to a teacher's answers on the train rows, where the
teacher was trained on their true y: plain, with a Jacobian penalty, with a Lipschitz penalty. The control, ``direct``,
fits the formula to the true y of the same rows. Each arm has three formula searches with one budget; search k has the
same seed in every arm. For direct they differ by that seed; for plain also by the seed of the teacher; for the
penalised arms also by the strength of the penalty, one of three. Of the three, the one with the best R2 on the
**validation** rows' true y is the arm's, and it alone is asked for the test rows: a choice among three is the same
advantage for every arm. Everything that is standardised is so by the train rows: the teacher standardises its inputs
and its target by the rows that it is trained on, the formula's search by those that it is given. A teacher stops by a
fifth of the train rows, which it holds out itself, and the search chooses its formula's length by a quarter.

With ``n_queries`` above 0, each teacher labels as many rows that MUNGE makes from the train rows, and the student has
those too; the control has no one to ask. Rows of the validation and test parts are never made.

Departures
----------
The strengths, the network and the budget are ours. They were fixed before the study was run, by what a trial costs, on
few trials of airfoil and auto_mpg; none was chosen by what an arm reached. A journal does not know which version of the
search or the teacher its trials had: raise `Protocol.version` where they change.

Cost
----
Twelve formula searches (1 to 2 s each) and nine small networks (1 to 4 s): 32 s of one core on average for airfoil and
auto_mpg.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.tables import Table

__all__ = ["ARMS", "SECONDS_A_TRIAL", "Protocol", "draw_rows", "r_squared", "run_trial"]

ARMS = ("direct", "plain", "jacobian", "lipschitz")
_PENALTIES: dict[str, Literal["none", "jacobian", "lipschitz"]] = {
    "plain": "none",
    "jacobian": "jacobian",
    "lipschitz": "lipschitz",
}
FITS = 3
"""How many formula searches an arm has."""

SHARES = (0.6, 0.2, 0.2)
SECONDS_A_TRIAL = 35.0
"""About what a trial takes on one core, before one was measured."""

NOT_FINITE = -1e9
"""R2 of a formula whose value on some row is no finite number."""


@dataclass(frozen=True)
class Protocol:
    """The numbers of the study: with them, a set's name and a trial's number, the answer is fixed.

    Attributes
    ----------
    seed : int
    max_rows : int
        The most rows of a set that a trial draws.
    n_queries : int
        How many rows beside the train rows each teacher labels.
    max_evaluations, max_complexity : int
        The budget of each formula search, and the most symbols of a formula.
    hidden : tuple of int
        The widths of the teacher.
    max_epochs : int or None
        None is the default network's own number, which goes with the rows.
    jacobian, lipschitz : tuple of float
        The strengths of the two penalties, one for each of an arm's searches.
    version : int
        Raised where the protocol changes, so that trials of two protocols never mix.
    """

    seed: int = 0
    max_rows: int = 2_000
    n_queries: int = 0
    max_evaluations: int = 60_000
    max_complexity: int = 30
    hidden: tuple[int, ...] = (64, 64)
    max_epochs: int | None = None
    jacobian: tuple[float, ...] = (0.001, 0.01, 0.1)
    lipschitz: tuple[float, ...] = (0.001, 0.01, 0.1)
    version: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The protocol as JSON types."""
        fixed = {"shares": list(SHARES), "searches_an_arm": FITS}
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {**own, **fixed}

    @property
    def digest(self) -> str:
        """Equal for equal protocols."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def strengths(self, arm: str) -> tuple[float, ...]:
        """The strength of the penalty in each of the arm's searches."""
        return {"jacobian": self.jacobian, "lipschitz": self.lipschitz}.get(arm, (0.0,) * FITS)


def _generator(protocol: Protocol, name: str, trial: int, purpose: int) -> np.random.Generator:
    """A generator that depends on the study's seed, the set, the trial and what it is for, and on nothing else."""
    word = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:8], "big")
    return np.random.default_rng(np.random.SeedSequence([protocol.seed, word, trial, purpose]))


def draw_rows(protocol: Protocol, name: str, trial: int, n: int) -> np.ndarray:
    """The rows of the trial out of `n`, in the order in which they are split."""
    return _generator(protocol, name, trial, 0).permutation(n)[: protocol.max_rows]


@dataclass(frozen=True)
class _Parts:
    """The three parts of the trial's rows, with their true y, the queries, and the seeds of an arm's three searches."""

    train: Table
    validation: Table
    test: Table
    y_train: np.ndarray
    y_validation: np.ndarray
    y_test: np.ndarray
    asked: Table
    student_seeds: tuple[int, ...]
    teacher_seeds: tuple[int, ...]


def run_trial(protocol: Protocol, name: str, trial: int, table: Table, y: np.ndarray) -> dict[str, Any]:
    """The trial's record: for each arm what it reached on the test rows, and how.

    Parameters
    ----------
    protocol : Protocol
    name : str
        The set's name.
    trial : int
    table : Table ``(n, d)``, y : array ``(n,)``
        The rows that `draw_rows` drew, in that order.

    Raises
    ------
    LimbeckError
        Where a part's target does not vary, or a teacher or a search fails: a trial has all arms or none.
    """
    start = time.perf_counter()
    with _one_thread():
        parts = _split(protocol, name, trial, table, y)
        arms = {arm: _run_arm(protocol, parts, arm) for arm in ARMS}
    return {"rows": len(table), "arms": arms, "seconds": time.perf_counter() - start}


def _split(protocol: Protocol, name: str, trial: int, table: Table, y: np.ndarray) -> _Parts:
    n = len(table)
    a, b = int(SHARES[0] * n), int((SHARES[0] + SHARES[1]) * n)
    places = np.split(np.arange(n), [a, b])
    for what, part in zip(("train", "validation", "test"), places, strict=True):
        if len(part) < 2 or not np.ptp(y[part]) > 0:
            raise InputError(f"the {len(part)} {what} rows of trial {trial} of {name} must differ in y; they do not")
    rng = _generator(protocol, name, trial, 1)
    seeds = [int(seed) for seed in rng.integers(2**31 - 1, size=2 * FITS + 1)]
    train, validation, test = (table.take(part) for part in places)
    asked = train
    if protocol.n_queries:
        from limbeck.queries import Munge

        outside = table.with_values(np.vstack([validation.values, test.values]))
        made = Munge().sample(train, protocol.n_queries, seeds[-1], exclude=outside)
        asked = table.with_values(np.vstack([train.values, made.values]))
    own, other = tuple(seeds[:FITS]), tuple(seeds[FITS : 2 * FITS])
    return _Parts(train, validation, test, y[places[0]], y[places[1]], y[places[2]], asked, own, other)


def _run_arm(protocol: Protocol, parts: _Parts, arm: str) -> dict[str, Any]:
    """What the arm's best search by validation reached on the test rows."""
    best, tried = None, []
    for k, strength in enumerate(protocol.strengths(arm)):
        teacher = None if arm == "direct" else _teacher(protocol, parts, arm, strength, k)
        student = _student(protocol, parts, teacher, k)
        score = r_squared(parts.y_validation, student.predict(parts.validation))
        tried.append({"strength": strength, "validation_r2": score})
        if best is None or score > best[0]:
            best = (score, teacher, student, strength)
    assert best is not None
    return {**_scores(parts, *best[1:]), "tried": tried}


def _teacher(protocol: Protocol, parts: _Parts, arm: str, strength: float, k: int) -> Any:
    from limbeck.teachers import SmoothTeacher

    return SmoothTeacher(
        penalty=_PENALTIES[arm],
        strength=strength,
        hidden=protocol.hidden,
        max_epochs=protocol.max_epochs,
        random_state=parts.teacher_seeds[k],
    ).fit(parts.train, parts.y_train)


def _student(protocol: Protocol, parts: _Parts, teacher: Any, k: int) -> Any:
    from limbeck.students import FormulaRegressor

    rows = parts.train if teacher is None else parts.asked
    target = parts.y_train if teacher is None else np.asarray(teacher.predict(rows)).ravel()
    return FormulaRegressor(
        max_complexity=protocol.max_complexity,
        max_evaluations=protocol.max_evaluations,
        random_state=parts.student_seeds[k],
    ).fit(rows, target)


def _scores(parts: _Parts, teacher: Any, student: Any, strength: float) -> dict[str, Any]:
    predicted = student.predict(parts.test)
    out = {
        "r2": r_squared(parts.y_test, predicted),
        "fidelity": None,
        "symbols": int(student.readable_.complexity),
        "teacher_r2": None,
        "strength": None,
        "slope": None,
        "text": student.readable_.text(),
    }
    if teacher is not None:
        answers = np.asarray(teacher.predict(parts.test)).ravel()
        out["fidelity"] = r_squared(answers, predicted)
        out["teacher_r2"] = r_squared(parts.y_test, answers)
        out["strength"] = float(strength)
        out["slope"] = float(teacher.smoothness_.mean_jacobian)
    return out


def r_squared(truth: np.ndarray, predicted: np.ndarray) -> float:
    """1 - residual / total sum of squares; a large negative number where a prediction is not finite.

    Examples
    --------
    >>> r_squared(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0]))
    1.0
    """
    if not np.isfinite(predicted).all():
        return NOT_FINITE
    total = float(((truth - truth.mean()) ** 2).sum())
    with np.errstate(over="ignore"):
        residual = float(((truth - predicted) ** 2).sum())
    if total == 0.0:
        return 1.0 if residual == 0.0 else NOT_FINITE
    return max(NOT_FINITE, 1.0 - residual / total)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread and no further processes in a trial, so that nothing depends on the machine's cores or the cluster."""
    import joblib
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), joblib.parallel_config("sequential"):
            yield
    finally:
        torch.set_num_threads(before)
