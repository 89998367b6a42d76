"""The bill: what teacher and students cost to store, to ask for one row and for 10,000, and in memory, side by side.

Source
------
Bucila2006, section 5, the table of sizes and speeds: megabytes, and seconds for 10,000 cases, of ensemble and network.

Departures
----------
- The paper gives one time for a test set. One row asked alone and 10,000 rows asked at once are two different costs,
  and memory is a third: all are measured, and the size of a teacher is what its own library would write.
- One thread for all of them: how well a library spreads over cores is not a property of the model.
- What prepares rows is in nobody's times: a teacher gets its own container, a student encoded rows. Checks that limbeck
  makes on a teacher's answers are in nobody's times either.

Checked
-------
tests/unit/test_bill.py: teachers of planted size, delay and memory are found within a factor of 1.5, one twice as slow
is told from it, and one that fails loses nothing.

Cost
----
About three times `seconds` for each form of each model; compiling a large student up to a minute. The rows asked here
are not in the teacher's count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from limbeck._bill_forms import ROWS, entry_of, numpy_form, rounded, teacher_form
from limbeck._bill_programs import program_entries
from limbeck._core.errors import InputError
from limbeck._core.measuring import machine_text, one_native_thread
from limbeck._core.module_kept import random_state_kept
from limbeck._core.progress import Report
from limbeck._core.tables import Table
from limbeck.readable import Readable
from limbeck.teachers import Teacher

__all__ = ["measure_bill"]

LEAST_MEMORY = 2**20
"""Memory below this is not told from none: ratios count at least so much for a student."""


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def measure_bill(
    teacher: Teacher,
    readables: Mapping[str, Readable],
    rows: Table,
    *,
    seconds: float = 1.0,
    compiled: bool = True,
    report: Report = silent,
) -> dict[str, Any]:
    """The bill as JSON types: an entry for each form of each model, and each student's ratio to the teacher.

    Parameters
    ----------
    teacher : Teacher
        Asked by its library's own call, under its guard; it is left as it was, and so are its counts.
    readables : mapping of str to Readable
        The students by name.
    rows : Table
        Rows of the kind that both are asked for; they are repeated, or thinned out, to 10,000.
    seconds : float
        How long each measurement goes on: each is the median of at least three calls.
    compiled : bool
        Also measure each student's exports: compiled C, ONNX and JavaScript, where a C compiler, onnxruntime and node
        are found.
    report : function
        Told of the progress.

    Raises
    ------
    InputError
        Where there are no rows, or `seconds` is not a number above 0. A model that fails is no error: its entry has
        None for what is not known, and a note.

    Examples
    --------
    >>> import numpy as np
    >>> from limbeck import as_teacher
    >>> from limbeck.students import TreeRegressor
    >>> X = np.linspace(0, 1, 200).reshape(-1, 1)
    >>> teacher = as_teacher(lambda rows: rows[:, 0] ** 2, task="regression", rows=X)
    >>> tree = TreeRegressor(max_leaf_nodes=4).fit(X, teacher(X)).readable_
    >>> bill = measure_bill(teacher, {"tree": tree}, Table.read(X), seconds=0.01, compiled=False)
    >>> [(entry["name"], entry["form"]) for entry in bill["entries"]]
    [('teacher', 'function'), ('tree', 'NumPy')]
    """
    if not len(rows):
        raise InputError("at least one row is required for the bill; got 0 rows")
    if not isinstance(seconds, int | float) or not np.isfinite(seconds) or seconds <= 0:
        raise InputError(f"seconds must be a number above 0; got {seconds!r:.60}")
    index = _spread(len(rows))
    total, entries = 1 + len(readables), []
    with one_native_thread():
        report("the bill", 0, total)
        with _as_it_was(teacher):
            entries.append(entry_of(teacher_form(teacher, rows), index, seconds))
        for done, (name, readable) in enumerate(readables.items()):
            report("the bill", 1 + done, total)
            entries.append(entry_of(numpy_form(name, readable, rows), index, seconds))
            if compiled:
                entries += program_entries(name, readable, rows, index, seconds)
    report("the bill", total, total)
    return {
        "rows": ROWS,
        "columns": len(rows.schema),
        "threads": 1,
        "machine": machine_text(),
        "entries": entries,
        "ratios": [_ratio(entries[0], entry) for entry in entries[1:]],
    }


def _spread(n: int) -> np.ndarray:
    """Positions of 10,000 rows: all of them again and again, or one of every so many."""
    return np.arange(ROWS) % n if n < ROWS else np.linspace(0, n - 1, ROWS).astype(np.intp)


@contextmanager
def _as_it_was(teacher: Teacher) -> Iterator[None]:
    with random_state_kept(), teacher.source.guard(), teacher.source.one_thread():
        yield


def _ratio(teacher: Mapping[str, Any], student: Mapping[str, Any]) -> dict[str, Any]:
    """How many times smaller, faster and lighter a student is than its teacher; None where one of both is unknown."""
    memory = student["peak_bytes"]
    seen = teacher["peak_bytes"] is not None and teacher["peak_bytes"] >= LEAST_MEMORY and memory is not None
    return {
        "name": student["name"],
        "form": student["form"],
        "smaller": _times(teacher["bytes"], student["bytes"]),
        "faster_1": _times(student["rows_per_second_1"], teacher["rows_per_second_1"]),
        "faster_10000": _times(student["rows_per_second_10000"], teacher["rows_per_second_10000"]),
        "less_memory": _times(teacher["peak_bytes"], max(memory, LEAST_MEMORY)) if seen else None,
    }


def _times(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else rounded(above / below)
