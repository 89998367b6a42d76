"""The teacher: any model as one frozen, counted, verified function from rows to answers.

Checked
-------
tests/contract/test_teachers_contract.py: every kind of model against every obligation below.

Cost
----
The model's own, in batches of `batch_rows`; and three times up to 256 rows for verification, once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, LimbeckError, TeacherError
from limbeck._core.module_kept import random_state_kept
from limbeck._core.tables import Table
from limbeck.teachers._reading import HOW, Reading, Wanted, as_array, decide, read
from limbeck.teachers._source import Source, Task, describe_rows, native_rows, slice_rows

__all__ = ["Teacher"]

VERIFY_ROWS = 256
SPLIT_SHARE = 0.05


@dataclass
class _State:
    """The only things about a teacher that change: how it is read, once decided, and the counts."""

    reading: Reading | None = None
    rows_asked: int = 0
    rows_verifying: int = 0


@dataclass(frozen=True, eq=False, repr=False)
class Teacher:
    """A model that has been wrapped by `as_teacher`; call it with rows, get answers ``(n, k)``.

    Answers are float64: quantities in regression, probabilities of the `classes` in classification. The model itself is
    never changed: its mode, weights, buffers, gradients and hooks, and the global random states, are the same after
    each call as before it, also after an error.

    On the rows given to `as_teacher`, else on those of the first call, it is verified that two calls agree, that a
    row's answer does not depend on the rows beside it, that shapes are right and every answer is finite, and that the
    answers are the library's own.
    """

    source: Source
    wanted: Wanted = field(default_factory=Wanted)
    batch_rows: int = 8192
    preprocess: Callable[[Any], Any] | None = None
    _state: _State = field(default_factory=_State)

    def __call__(self, X: Any) -> np.ndarray:
        """The answers ``(n, k)`` to rows, in batches of at most `batch_rows`.

        Raises
        ------
        TeacherError
            Where the model raises, is random, or answers with NaN, a wrong shape or a wrong number of rows.
        InputError
            Where the rows are not what the model takes.
        """
        rows = native_rows(X)
        if not len(rows):
            if self._state.reading is None:
                raise InputError("at least one row is required on the first call; got 0 rows")
            return np.empty((0, self._state.reading.n_outputs))
        if self._state.reading is None:
            self.verify(rows)
        reading = self._reading()
        out = np.empty((len(rows), reading.n_outputs))
        with random_state_kept(), self.source.guard():
            for start in range(0, len(rows), self.batch_rows):
                stop = min(start + self.batch_rows, len(rows))
                raw = self._ask(slice_rows(rows, start, stop))
                self._state.rows_asked += stop - start
                out[start:stop] = read(raw, reading, self.source.name, start)
        return out

    def verify(self, X: Any) -> Teacher:
        """The same teacher, once the first 256 rows have shown that its answers can be used.

        Raises
        ------
        TeacherError
            Where the model raises, is random, mixes rows, or answers with NaN or a wrong shape.
        InputError
            Where the rows are not what the model takes, or the task can't be told.
        """
        rows = native_rows(X)
        rows = slice_rows(rows, 0, min(len(rows), VERIFY_ROWS, self.batch_rows))
        if not len(rows):
            raise InputError("at least one row is required to verify a teacher; got 0 rows")
        n, name = len(rows), self.source.name
        with random_state_kept(), self.source.guard():
            whole, again = self._ask(rows), self._ask(rows)
            _refuse_random(whole, again, name, self.source.eps)
            cuts = sorted({0, 1, n // 2, n} if n > 1 else {0, n})
            parts = [self._ask(slice_rows(rows, a, b)) for a, b in itertools.pairwise(cuts)]
            self._state.rows_verifying += 3 * n
            split = np.concatenate(parts) if len({p.ndim for p in parts}) == 1 else whole
            _refuse_mixing(whole, split, name, self.source.eps)
            reading = decide(whole, self.source, self.wanted)
            answers = read(split, reading, name)
            if self.source.own is not None:
                own = self.source.own(self._sent(rows), reading)
                if own is not None:
                    _refuse_other_than_own(answers, own, name, self.source.eps)
        if self._state.reading is None:
            self._state.reading = reading
        return self

    def _sent(self, rows: Any) -> Any:
        """The rows as the model gets them."""
        if isinstance(rows, Table) and not (self.source.takes_table and self.preprocess is None):
            rows = rows.native()
        return rows if self.preprocess is None else self.preprocess(rows)

    def _ask(self, rows: Any) -> np.ndarray:
        """The raw answers to one batch; whatever the model raises is said with what was sent."""
        sent = rows
        try:
            sent = self._sent(rows)
            raw = self.source.ask(sent)
        except LimbeckError:
            raise
        except Exception as error:
            raise TeacherError(
                f"{self.source.name} raised {type(error).__name__} when it was asked for {describe_rows(sent)}: "
                f"{_first_lines(error)}"
            ) from error
        return as_array(raw, len(rows), self.source.name)

    def _reading(self) -> Reading:
        if self._state.reading is None:
            raise InputError("this teacher has not answered yet; give rows= to as_teacher, or call it once")
        return self._state.reading

    @property
    def kind(self) -> str:
        """What the model is: "torch", "exported", "onnx", "estimator", "booster" or "callable"."""
        return self.source.kind

    @property
    def name(self) -> str:
        """How messages call the model."""
        return self.source.name

    @property
    def task(self) -> Task | None:
        """The task: "regression" or "classification"; None as long as only answers could tell and there are none."""
        if self._state.reading is not None:
            return self._state.reading.task
        return self.wanted.task or self.source.task

    @property
    def classes(self) -> tuple[Any, ...] | None:
        """The labels in the order of the columns; None in regression, and as long as they are unknown."""
        if self._state.reading is not None:
            return self._state.reading.classes or None
        return self.wanted.classes or self.source.classes

    @property
    def classes_text(self) -> tuple[str, ...] | None:
        """The labels as they are read, one string each."""
        return None if self.classes is None else tuple(str(label) for label in self.classes)

    @property
    def n_outputs(self) -> int:
        """The number of columns of the answers.

        Raises
        ------
        InputError
            Where the model was never asked.
        """
        return self._reading().n_outputs

    @property
    def rows_asked(self) -> int:
        """The rows that it was called for; those of the verification are in `rows_verifying`."""
        return self._state.rows_asked

    @property
    def rows_verifying(self) -> int:
        """The rows that the model was asked for while it was verified."""
        return self._state.rows_verifying

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided, and what a person should know about it."""
        return self.source.notes + (() if self._state.reading is None else self._state.reading.notes)

    @property
    def description(self) -> str:
        """One line: what the model is, and how it is read."""
        reading = self._state.reading
        if reading is None:
            return f"{self.name}, not asked yet"
        many = f"{reading.n_outputs} {'classes' if reading.classes else 'output(s)'}"
        return f"{self.name}: {reading.task}, {many}; answers are read as {HOW[reading.how]}"

    def with_classes(self, classes: Any) -> Teacher:
        """The same teacher, with the same counts, under other class labels.

        Raises
        ------
        InputError
            In regression, and where the number of labels differs.
        """
        labels, state = tuple(classes), self._state
        if state.reading is not None:
            if state.reading.task == "regression" or len(labels) != state.reading.n_outputs:
                raise InputError(
                    f"{self.name} has {state.reading.n_outputs} {state.reading.task} output(s); classes names "
                    f"{len(labels)}: {labels!r:.200}"
                )
            state = _State(replace(state.reading, classes=labels), state.rows_asked, state.rows_verifying)
        return replace(self, wanted=replace(self.wanted, classes=labels), _state=state)

    def to_dict(self) -> dict[str, Any]:
        """What is recorded of the teacher, as JSON types; the model itself is not in it."""
        classes = self.classes
        return {
            "kind": self.kind,
            "name": self.name,
            "task": self.task,
            "classes": None if classes is None else [_plain(label) for label in classes],
            "n_outputs": None if self._state.reading is None else self._state.reading.n_outputs,
            "read_as": None if self._state.reading is None else self._state.reading.how,
            "rows_asked": self.rows_asked,
            "rows_verifying": self.rows_verifying,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"<Teacher {self.description}; {self.rows_asked} rows asked>"


def _plain(label: Any) -> Any:
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, str | bool | int | float) else str(label)


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:3])[:400] or "(no message)"


def _differences(a: np.ndarray, b: np.ndarray, eps: float, range_share: float) -> tuple[float, float, np.ndarray]:
    """The largest difference, the largest answer, and which rows differ by more than rounding explains."""
    if a.shape != b.shape:
        return float("inf"), float("nan"), np.ones(len(a), dtype=bool)
    if a.dtype.kind in "OUS" or b.dtype.kind in "OUS":
        return float("nan"), float("nan"), _any_in_row(a.astype(str) != b.astype(str))
    x, y = (v.astype(np.float64).reshape(len(v), -1) for v in (a, b))
    both = np.isfinite(x) & np.isfinite(y)
    finite = np.abs(x[np.isfinite(x)])
    largest = float(finite.max()) if finite.size else 0.0
    spread = float(np.ptp(x[np.isfinite(x)])) if finite.size else 0.0
    gap = np.where(both, np.abs(np.where(both, x, 0.0) - np.where(both, y, 0.0)), 0.0)
    gap[np.isfinite(x) != np.isfinite(y)] = np.inf
    limit = 20 * eps * largest + max(range_share, 20 * eps) * spread
    return float(gap.max()), largest, _any_in_row(gap > limit)


def _any_in_row(differs: Any) -> np.ndarray:
    return np.asarray(differs, dtype=bool).reshape(len(differs), -1).any(axis=1).reshape(-1)


def _refuse_random(whole: np.ndarray, again: np.ndarray, name: str, eps: float) -> None:
    gap, largest, rows = _differences(whole, again, eps, 1e-6)
    if rows.any():
        by = "" if np.isnan(gap) else f" by up to {gap:.3g} (the largest answer is {largest:.3g})"
        raise TeacherError(
            f"{name} answers differ{by} between two calls on the same rows, in {int(rows.sum())} of {len(rows)} rows: "
            "it is random. Likely causes are dropout that stays on (write F.dropout(x, p, training=self.training), "
            "and call model.eval() before exporting) or sampling inside the model (fix its seed at each call)."
        )


def _refuse_mixing(whole: np.ndarray, split: np.ndarray, name: str, eps: float) -> None:
    gap, largest, rows = _differences(whole, split, eps, 1e-4)
    if rows.mean() > SPLIT_SHARE:
        by = "" if np.isnan(gap) else f" by up to {gap:.3g} (the largest answer is {largest:.3g})"
        raise TeacherError(
            f"{name} answers a row differently{by} when other rows come with it, in {int(rows.sum())} of {len(rows)} "
            "rows. Likely causes are batch normalisation in training mode, or scaling by the statistics of the "
            "batch; use statistics that were fixed in training."
        )


def _refuse_other_than_own(answers: np.ndarray, own: np.ndarray, name: str, eps: float) -> None:
    gap, largest, rows = _differences(np.asarray(own).reshape(len(answers), -1), answers, eps, 1e-4)
    if rows.mean() > SPLIT_SHARE:
        raise TeacherError(
            f"the wrapped answers of {name} differ by up to {gap:.3g} (the largest answer is {largest:.3g}) from the "
            f"library's own on {int(rows.sum())} of {len(rows)} rows, so they can't be relied on"
        )
