"""MUNGE's p and s, chosen on validation rows by how well a quick student comes to answer as the teacher does.

Source
------
Bucila2006: p and s were tuned for each problem; how, and the values, are not published.

Symbols
-------
p, s -> those of `Munge`; RMSE -> the root mean squared difference of the student's answers from the teacher's.

Departures
----------
- The student is scored by the teacher's answers to the validation rows, not by labels: labels would add their noise to
  what is compared, and none are needed.
- Settings whose mean squared error exceeds the least by at most two standard errors of that difference, over the same
  validation rows, count as tied; of tied ones the nearest to the default is taken. So where no setting is better than
  another beyond noise, the default stays.
- All settings draw with one seed, and all students start from one seed, so that chance is the same for all.

Checked
-------
A planted world in which a wild source is worse; a teacher whose answers are shuffled, where none is.

Cost
----
(settings x queries + rows) answers and as many fits as settings, over the processes of `n_jobs`. With the quick student
and 20,000 queries of 10 columns a fit takes about 2.5 s of one core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.keys import row_keys
from limbeck._core.mlp import fit_mlp, forward
from limbeck._core.parallel import Failure, run_tasks
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Table
from limbeck.queries._asking import ask
from limbeck.queries._munge import Munge
from limbeck.queries._source import row_count
from limbeck.queries._stream import stream
from limbeck.queries._teacher_calls import answer

__all__ = ["tune_munge"]

PS = (0.2, 0.5, 0.8)
SS = (1.0, 2.0, 5.0, 10.0)
MOST_QUERIES = 20_000

Student = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Takes inputs ``(n, d)``, answers ``(n, k)`` and other inputs; gives its own answers to those."""


def tune_munge(
    X: Rows,
    teacher: Callable[[Any], Any],
    validation: Rows,
    *,
    student: Any = None,
    n_queries: int | None = None,
    ps: Sequence[float] = PS,
    ss: Sequence[float] = SS,
    seed: RandomState = None,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> tuple[Munge, Any]:
    """The `Munge` whose queries teach a student best, and a DataFrame of all that were tried, best first.

    Parameters
    ----------
    X : rows
        The rows that queries are made from; the student learns from them too.
    teacher : callable
        A limbeck Teacher, or any function from rows to answers ``(n,)`` or ``(n, k)``.
    validation : rows
        Real rows kept out of `X`, with the same columns. No query equals one of them.
    student : estimator or callable, optional
        Anything with scikit-learn's ``fit`` and ``predict``, or a function of inputs, answers and validation inputs
        that returns answers ``(n, k)``. Columns with levels come as 0/1 indicators. None: a network of 64 units,
        trained for a short time.
    n_queries : int, optional
        Queries a setting; ten times the rows of `X` and at most 20,000 where absent.
    ps, ss : sequence of float
        The values of p and of s; every pair is tried.
    seed : int, Generator or None
    n_jobs : int, optional
        Processes; None defers to ``joblib.parallel_config``.
    progress : bool or function

    Returns
    -------
    munge : Munge
    tried : DataFrame
        One row a setting: `p`, `s`, `rmse`; `worse_by`, by how much its mean squared error exceeds the least, and `se`,
        the standard error of that; `tied`; `asked`, the queries asked for it; `seconds` of its fit; `chosen`.

    Raises
    ------
    InputError
        For validation rows that are in `X`, a bad value of an argument, or a student that fails.
    TeacherError
        Where the teacher raises, or its answers can't be used.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, held = rng.normal(size=(50, 2)), rng.normal(size=(80, 2))
    >>> munge, tried = tune_munge(X, lambda rows: rows[:, 0] * rows[:, 1], held, n_queries=100, ps=(0.5,), seed=0)
    >>> munge.p, tried.shape
    (0.5, (4, 9))
    """
    from limbeck.readable._network import design_inputs, design_matrix

    table = Table.read(X)
    held = table.with_values(table.schema.encode(validation))
    _refuse_known(table, held)
    settings = [Munge(p, s) for p in _values("ps", ps) for s in _values("ss", ss)]
    m = min(10 * len(table), MOST_QUERIES) if n_queries is None else row_count(n_queries)
    draw_seed, fit_seed = draw_seeds(seed, 2)
    learn, inputs = _as_student(student, fit_seed), design_inputs(table.schema)
    with reporting(progress) as report:
        report(f"plan: {len(settings)} settings of MUNGE, each {m:,} queries and one fit", 0, 0)
        own, truth = answer(teacher, table), answer(teacher, held)
        tasks, counts = [], []
        for munge in settings:
            answers = ask(stream(munge, table, m, draw_seed, exclude=held), teacher)
            rows, to_rows = answers.table()
            A = design_matrix(inputs, np.concatenate([table.values, rows.values]))
            tasks.append((learn, A, np.concatenate([own, to_rows]), design_matrix(inputs, held.values), truth))
            counts.append(answers.asked)
            report("settings asked", len(tasks), len(settings))
        scored: dict[int, tuple[np.ndarray, float]] = {}
        for i, result in run_tasks(_score, tasks, n_jobs=n_jobs):
            if isinstance(result, Failure):
                raise InputError(f"the student failed with {settings[i]}: {result.kind}: {result.message}")
            scored[i] = result
            report("settings fitted", len(scored), len(settings))
    return _chosen(settings, [scored[i] for i in range(len(settings))], counts)


def _chosen(settings: list[Munge], scored: list[tuple[np.ndarray, float]], counts: list[int]) -> tuple[Munge, Any]:
    """The setting nearest to the default among those tied with the least error, and the table of all."""
    import pandas as pd

    errors = np.array([squares for squares, _ in scored])
    mean = errors.mean(axis=1)
    worse = errors - errors[mean.argmin()]
    by, se = worse.mean(axis=1), worse.std(axis=1) / math.sqrt(errors.shape[1])
    tied = by <= 2 * se
    default = Munge()
    far = [abs(munge.p - default.p) + abs(math.log10(munge.s / default.s)) for munge in settings]
    best = min(np.flatnonzero(tied), key=lambda i: (far[i], mean[i]))
    tried = pd.DataFrame(
        {
            "p": [munge.p for munge in settings],
            "s": [munge.s for munge in settings],
            "rmse": np.sqrt(mean),
            "worse_by": by,
            "se": se,
            "tied": tied,
            "asked": counts,
            "seconds": [seconds for _, seconds in scored],
            "chosen": np.arange(len(settings)) == best,
        }
    )
    return settings[best], tried.sort_values("rmse", kind="stable", ignore_index=True)


def _score(learn: Student, A: np.ndarray, Y: np.ndarray, V: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, float]:
    """The squared error on each validation row ``(n,)``, the mean over the outputs; and the seconds of the fit."""
    start = time.perf_counter()
    given = np.asarray(learn(A, Y, V), dtype=np.float64)
    seconds = time.perf_counter() - start
    if given.size != truth.size or len(given) != len(truth):
        raise InputError(f"a student must answer with the shape {truth.shape}; got {given.shape}")
    squares = ((given.reshape(truth.shape) - truth) ** 2).mean(axis=1)
    if not np.isfinite(squares).all():
        raise InputError("a student must answer with finite numbers; got NaN or infinity")
    return squares, seconds


@dataclass(frozen=True)
class _QuickNetwork:
    """64 units, about 3,000 steps."""

    seed: int

    def __call__(self, A: np.ndarray, Y: np.ndarray, V: np.ndarray) -> np.ndarray:
        epochs = int(np.clip(3_000 * 256 / len(A), 30, 300))
        network = fit_mlp(A, Y, task="regression", hidden=(64,), validation=0.1, max_epochs=epochs, seed=self.seed)
        return forward(network, V)


@dataclass(frozen=True)
class _Estimator:
    """A copy of a scikit-learn estimator, its seed set where it has one."""

    estimator: Any
    seed: int

    def __call__(self, A: np.ndarray, Y: np.ndarray, V: np.ndarray) -> np.ndarray:
        from sklearn.base import clone

        fresh = clone(self.estimator)
        if "random_state" in fresh.get_params():
            fresh.set_params(random_state=self.seed)
        return np.asarray(fresh.fit(A, Y[:, 0] if Y.shape[1] == 1 else Y).predict(V))


def _as_student(student: Any, seed: int) -> Student:
    if student is None:
        return _QuickNetwork(seed)
    if hasattr(student, "fit") and hasattr(student, "predict") and hasattr(student, "get_params"):
        return _Estimator(student, seed)
    if callable(student) and not isinstance(student, type):
        return student  # type: ignore[no-any-return]
    raise InputError(
        "student must be a scikit-learn regressor, or a function of (inputs, answers, other inputs); got "
        f"{student!r:.80}"
    )


def _values(name: str, values: Any) -> tuple[float, ...]:
    try:
        out = tuple(dict.fromkeys(values))
    except TypeError:
        out = ()
    if not out:
        raise InputError(f"{name} must be a sequence of at least one number; got {values!r:.80}")
    return out


def _refuse_known(table: Table, held: Table) -> None:
    known = np.isin(row_keys(held.values), row_keys(table.values))
    if known.mean() > 0.5:
        raise InputError(
            f"validation must be rows kept out of X; {int(known.sum())} of its {len(held)} rows are in X. Split the "
            "rows first."
        )
