"""One model in one form - a teacher in its library, a student in NumPy - and what it costs to store and to ask.

Departures
----------
- A teacher that would take more than half a minute for 10,000 rows is asked fewer, and its time is scaled by what the
  last rows added; the entry says so.
- What is told from nothing: memory of about a megabyte, times of about a tenth of a microsecond.

Checked
-------
tests/unit/test_bill.py: planted sizes, times and memory are found, and are told from others.

Cost
----
About three times `seconds`; for a slow teacher three single rows and up to two minutes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from limbeck._core.errors import LimbeckError, TeacherError
from limbeck._core.measuring import RESIDENT, median_seconds, peak_above
from limbeck._core.tables import Table
from limbeck.readable import Readable, pack
from limbeck.teachers import Teacher
from limbeck.teachers._reading import as_array

__all__ = ["ROWS", "Form", "entry_of", "numpy_form", "reason", "rounded", "teacher_form"]

ROWS = 10_000
"""The rows of the large batch."""
ONES = 200
MOST_REPEATS = 15
MOST_SECONDS = 30.0
BATCH_ROWS = 8_192


@dataclass(frozen=True)
class Form:
    """A model in one form.

    Attributes
    ----------
    name, form : str
        Whose it is, and in which form.
    bytes, bytes_of
        Its size on disk, and how that was counted.
    prepared : function or None
        From positions of rows to a call without arguments that answers them; all that is not the model's own work is
        done before. None where it can't be asked.
    check : function
        Raises where the answer to the rows at these positions can't be the model's.
    note : str
        What a person should know about the numbers.
    """

    name: str
    form: str
    bytes: int | None
    bytes_of: str
    prepared: Callable[[np.ndarray], Callable[[], Any]] | None
    check: Callable[[Any, np.ndarray], None]
    note: str = ""


def entry_of(form: Form, index: np.ndarray, seconds: float) -> dict[str, Any]:
    """The form's entry in the bill; what can't be measured is None, and the note says why."""
    one = whole = peak = None
    notes = [form.note] if form.note else []
    if form.prepared is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one = _one_row(form, form.prepared, index, seconds)
                whole, peak = _many_rows(form, form.prepared, index, one, seconds, notes)
            except Exception as error:  # a model may raise anything: the bill goes on, and says so
                notes.append(
                    f"could not be {'asked' if one is None else 'asked for more than one row'}: {reason(error)}"
                )
    return {
        "name": form.name,
        "form": form.form,
        "bytes": form.bytes,
        "bytes_of": form.bytes_of,
        "rows_per_second_1": None if one is None else rounded(1 / one),
        "rows_per_second_10000": None if whole is None else rounded(ROWS / whole),
        "microseconds_1": None if one is None else rounded(1e6 * one),
        "milliseconds_10000": None if whole is None else rounded(1e3 * whole),
        "peak_bytes": peak,
        "note": "; ".join(notes) or None,
    }


def rounded(value: float) -> float:
    """The number to four significant digits: more of a time is not real."""
    return float(f"{value:.4g}")


def reason(error: Exception) -> str:
    """What was raised, in one line."""
    text = " ".join(str(error).split())[:300]
    return text if isinstance(error, LimbeckError) else f"{type(error).__name__}: {text}"


def _one_row(
    form: Form, prepared: Callable[[np.ndarray], Callable[[], Any]], index: np.ndarray, seconds: float
) -> float:
    """The seconds that one row takes, asked alone."""
    form.check(prepared(index[:1])(), index[:1])
    calls = [prepared(index[i : i + 1]) for i in range(min(ONES, len(np.unique(index))))]
    return max(median_seconds(lambda i: calls[i % len(calls)](), seconds=seconds)[0], 1e-9)


def _many_rows(
    form: Form,
    prepared: Callable[[np.ndarray], Callable[[], Any]],
    index: np.ndarray,
    one: float,
    seconds: float,
    notes: list[str],
) -> tuple[float, int]:
    """The seconds that 10,000 rows take, and the memory; fewer are asked where it would take too long."""
    size, took, each = 1, one, one
    for larger in (2, 10, 100, 1_000, len(index)):
        expected = took + each * (larger - size)
        if expected > MOST_SECONDS and larger > 2:
            break
        if larger == len(index):
            return _whole(form, prepared(index), index, seconds, notes)
        call, start = prepared(index[:larger]), perf_counter()
        answer = call()
        seen = perf_counter() - start
        form.check(answer, index[:larger])
        each, size, took = max(seen - took, 0.0) / (larger - size), larger, seen
    peak = peak_above(prepared(index[:size]))
    whole = took + each * (len(index) - size)
    notes.append(f"10,000 rows would take about {whole:,.0f} seconds: {size:,} were asked, and time is scaled")
    if peak.how != RESIDENT:
        notes.append(f"memory: {peak.how}")
    return max(whole, 1e-9), peak.bytes


def _whole(
    form: Form, call: Callable[[], Any], index: np.ndarray, seconds: float, notes: list[str]
) -> tuple[float, int]:
    """All rows: first for the memory and to check the answers, then for the time."""
    peak = peak_above(call)
    form.check(peak.result, index)
    if peak.how != RESIDENT:
        notes.append(f"memory: {peak.how}")
    if peak.seconds is not None and peak.seconds > 3 * seconds:
        return peak.seconds, peak.bytes
    return max(median_seconds(lambda i: call(), seconds=seconds, most=MOST_REPEATS)[0], 1e-9), peak.bytes


def teacher_form(teacher: Teacher, rows: Table) -> Form:
    """The teacher in its own library: its own call on rows in its own container, not limbeck's checks around it."""
    source, notes = teacher.source, []
    step = teacher.batch_rows if teacher.batch_rows < BATCH_ROWS else ROWS
    if step < ROWS:
        notes.append(f"asked in batches of {step:,} rows, as batch_rows says")
    if teacher.preprocess is not None:
        notes.append("preprocess is not in the times")
    notes += [note for note in source.notes if note.startswith(("asked on", "exported for", "made for"))]

    def prepared(index: np.ndarray) -> Callable[[], Any]:
        calls = [_own_call(teacher, rows.take(index[i : i + step])) for i in range(0, len(index), step)]
        return calls[0] if len(calls) == 1 else lambda: [call() for call in calls]

    def check(answer: Any, index: np.ndarray) -> None:
        parts = [answer] if len(index) <= step else answer
        for i, part in enumerate(parts):
            _refuse_not_finite(as_array(part, min(step, len(index) - i * step), source.name), source.name)

    size, how = (None, "its library gives no size") if source.size is None else source.size()
    return Form("teacher", source.form or source.kind, size, how, prepared, check, "; ".join(notes))


def _own_call(teacher: Teacher, rows: Table) -> Callable[[], Any]:
    sent = teacher._sent(rows)
    call = partial(teacher.source.ask, sent) if teacher.source.call is None else teacher.source.call(sent)
    return lambda: _here(call())


def _here(answer: Any) -> Any:
    """The answer in this computer's own memory: a device works on after its call has returned."""
    return answer.cpu() if getattr(answer, "is_cuda", False) else answer


def _refuse_not_finite(answers: np.ndarray, name: str) -> None:
    if answers.dtype.kind == "f" and not np.isfinite(answers).all():
        rows = (~np.isfinite(answers.reshape(len(answers), -1))).any(axis=1)
        raise TeacherError(f"{name} must answer with finite numbers; {int(rows.sum())} of {len(rows)} answers are not")


def numpy_form(name: str, readable: Readable, rows: Table) -> Form:
    """A student as limbeck itself runs it: NumPy, on encoded rows."""

    def prepared(index: np.ndarray) -> Callable[[], np.ndarray]:
        return partial(readable.predict_encoded, rows.values[index])

    def check(answer: np.ndarray, index: np.ndarray) -> None:
        _refuse_not_finite(answer, name)

    return Form(name, "NumPy", len(pack(readable)), "its compact file", prepared, check)
