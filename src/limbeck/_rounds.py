"""The rounds of a run: ask the teacher, fit every student; then again on bootstrap resamples of the training rows.

Departures
----------
- The rows of the data weigh at least as much as all queries together (a tree of 32 leaves on Concrete gains about .01
  of fidelity by it).
- A refit resamples the training rows, and draws and asks new queries, so that the whole distillation is repeated.
- A student that asks by itself (its ``fit`` takes an ``oracle``), or that looks at the teacher's slopes (its ``fit``
  takes the ``teacher``), is fitted in this process, where the teacher is. The held-out rows are not handed to it, and
  it can ask which rows are held out. Those that it asks about all the same are counted and said in the record.

Cost
----
The teacher is asked (training rows + queries) x (1 + refits) rows, and what students ask by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from limbeck._core.keys import row_keys
from limbeck._core.parallel import run_here, run_tasks
from limbeck._core.progress import Report
from limbeck._core.seeds import draw_seeds
from limbeck._core.tables import Table
from limbeck._named_students import asks_by_itself, needs_teacher
from limbeck._result import Alternative
from limbeck._setting import Setting
from limbeck.readable import Readable
from limbeck.teachers import Teacher

__all__ = ["Fitted", "Oracle", "Round", "fit_all", "labelled"]


@dataclass(frozen=True)
class Round:
    """What the students of one round are fitted on.

    Attributes
    ----------
    index : array
        The positions of the training rows that are in it, some of them several times.
    rows : Table
        These rows, then queries.
    answers, weights : array
    """

    index: np.ndarray
    rows: Table
    answers: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """What comes back from the process that fitted a student."""

    student: Any
    readable: Readable
    alternatives: tuple[Alternative, ...]
    seconds: float


@dataclass
class Oracle:
    """The teacher as a student asks it, with a count of the rows that equal held-out ones."""

    teacher: Teacher
    held_out: Table
    matches: int = 0
    _held: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Remember the held-out rows by their keys."""
        self._held = row_keys(self.held_out.values)

    def __call__(self, X: Any) -> np.ndarray:
        """The teacher's answers ``(n, k)``."""
        if len(X):
            table = X if isinstance(X, Table) else Table(self.held_out.schema, self.held_out.schema.encode(X))
            self.matches += int(self.is_held_out(table.values).sum())
        return self.teacher(X)

    def is_held_out(self, values: np.ndarray) -> np.ndarray:
        """Which encoded rows ``(n, d)`` equal held-out ones: a student that draws its own rows leaves them out."""
        return np.isin(row_keys(values), self._held)


def labelled(setting: Setting, report: Report) -> Iterator[Round]:
    """Rows and the teacher's answers: first on the training rows, then once a refit on a bootstrap resample of them."""
    seeds = draw_seeds(setting.seeds["queries"], 1 + setting.n_refits)
    for i, seed in enumerate(seeds):
        generator = np.random.default_rng(seed)
        rows = base = setting.train
        index = np.arange(len(rows))
        if i:
            index = generator.integers(len(rows), size=len(rows))
            rows, base = rows.take(index), rows.take(np.unique(index))
        if setting.n_queries:
            # From the distinct rows: a row's closest other row would else be its own copy
            extra = setting.queries.sample(base, setting.n_queries, seed, exclude=setting.held_out)
            rows = rows.with_values(np.vstack([rows.values, extra.values]))
        yield Round(index, rows, setting.teacher(rows), _weights(len(setting.train), setting.n_queries))
        report("asking the teacher", i + 1, len(seeds))


def fit_all(
    setting: Setting, rounds: list[Round], n_jobs: int | None, report: Report, notes: list[str]
) -> Iterator[tuple[tuple[str, int], Any]]:
    """Every student in every round, the first round first: pairs of (name, round) and what came of it.

    Students that ask by themselves, or look at the teacher, are fitted here, once the first round of the others is
    done, which then go on in their processes.
    """
    asking = [name for name, student in setting.students.items() if asks_by_itself(student)]
    oracles = {name: Oracle(setting.teacher, setting.held_out) for name in asking}
    given: dict[str, dict[str, Any]] = {name: {"oracle": oracle} for name, oracle in oracles.items()}
    given |= {n: {"teacher": setting.teacher} for n, student in setting.students.items() if needs_teacher(student)}
    others = [name for name in setting.students if name not in given]
    total = len(rounds) * len(setting.students)
    report("fitting students", 0, total)
    try:
        for done, pair in enumerate(_in_turn(setting, rounds, others, given, n_jobs), start=1):
            report("fitting students", done, total)
            (name, i), fitted = pair
            said = getattr(getattr(fitted, "student", None), "notes_", ())
            notes += [f"student {name!r}: {note}" for note in said if i == 0]
            yield pair
    finally:
        notes += [
            f"student {name!r} asked the teacher {oracle.matches:,} rows that equal held-out ones"
            for name, oracle in oracles.items()
            if oracle.matches
        ]


def _in_turn(
    setting: Setting, rounds: list[Round], others: list[str], given: dict[str, dict[str, Any]], n_jobs: int | None
) -> Iterator[tuple[tuple[str, int], Any]]:
    def here(keys: list[tuple[str, int]]) -> Iterator[tuple[tuple[str, int], Any]]:
        tasks = [(*_task(setting, rounds, *key), given[key[0]]) for key in keys]
        yield from ((keys[position], result) for position, result in run_here(_fit, tasks))

    asked = here([(name, i) for i in range(len(rounds)) for name in given])
    keys = [(name, i) for i in range(len(rounds)) for name in others]
    waited = set(keys[: len(others)])
    for position, result in run_tasks(_fit, [_task(setting, rounds, *key) for key in keys], n_jobs=n_jobs):
        yield keys[position], result
        waited.discard(keys[position])
        if not waited:
            yield from asked
    yield from asked


def _task(setting: Setting, rounds: list[Round], name: str, i: int) -> tuple[Any, ...]:
    classes = None if setting.teacher.classes is None else list(setting.teacher.classes)
    return setting.students[name], rounds[i].rows, rounds[i].answers, rounds[i].weights, classes, setting.names


def _weights(n_rows: int, n_queries: int) -> np.ndarray:
    """Weights that give the rows of the data at least half of the whole: there the student is judged and used."""
    return np.concatenate([np.full(n_rows, max(1.0, n_queries / n_rows)), np.ones(n_queries)])


def _fit(
    student: Any,
    rows: Table,
    answers: np.ndarray,
    weights: np.ndarray,
    classes: list[Any] | None,
    names: tuple[str, ...],
    given: dict[str, Any] | None = None,
) -> Fitted:
    """One student, fitted and frozen; runs in a process of its own, where it needs nothing more (oracle, teacher)."""
    from sklearn.base import clone
    from threadpoolctl import threadpool_limits

    student = clone(student)
    more = given or {}
    start = time.perf_counter()
    with threadpool_limits(1):  # so that the sums, and with them the answer, are the same in any number of processes
        if classes is None:
            student.fit(rows, answers[:, 0] if answers.shape[1] == 1 else answers, sample_weight=weights, **more)
        else:
            labels = np.asarray(classes)[answers.argmax(axis=1)]
            student.fit(rows, labels, sample_weight=weights, y_soft=answers, classes=classes, **more)
    seconds = time.perf_counter() - start
    named = replace(student.readable_, output_names=names)
    alternatives = tuple(
        Alternative(
            member.complexity,
            float(member.score),
            replace(member.readable, output_names=names),
            getattr(member, "bic", None),
            getattr(member, "mdl", None),
        )
        for member in getattr(student, "front_", ())
    )
    return Fitted(student, named, alternatives, seconds)
