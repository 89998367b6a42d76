"""Ask a teacher once for each different row of a stream, keep every answer, and go on after a kill.

Departures
----------
- Equal rows are told by their 64-bit keys, in this batch and in all before it. Two different rows have one key with
  the chance 2**-64: among ten million rows one such pair is expected in 400,000 runs.
- The batch in flight is asked in chunks of about `CHUNK_S` seconds of the teacher, by its measured speed (longer where
  a single row takes long, see `AMORTISED`), and each is kept durably before the next is asked. A kill loses the chunk
  in flight, nothing else. The last chunk of a batch is kept by the batch's own shard.

Checked
-------
Killed at random moments and gone on with, against an uninterrupted run: the same bytes, no kept row asked again.

Cost
----
16 bytes of memory a different row; per batch one Parquet shard, one more commit a chunk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck._core.journal import Journal
from limbeck._core.keys import row_keys
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.tables import Table
from limbeck.queries._answers import Answers
from limbeck.queries._identity import difference, stream_identity
from limbeck.queries._known import Known
from limbeck.queries._shards import (
    DOCUMENT,
    JOURNAL,
    Folder,
    Layout,
    Memory,
    Shards,
    layout_of,
    opened,
    read_document,
    write_document,
)
from limbeck.queries._stream import QueryStream
from limbeck.queries._teacher_calls import (
    CHUNK_S,
    PROBES,
    Probe,
    answer,
    name_outputs,
    probe_teacher,
    refuse_other_teacher,
)

__all__ = ["ask"]

GROWTH = 8
"""A chunk is at most so many times as large as the one before."""
AMORTISED = 10
"""A call takes at least so many times what it takes however few its rows are."""


def ask(
    stream: QueryStream,
    teacher: Callable[[Any], Any],
    folder: str | Path | None = None,
    *,
    progress: Progress = False,
    output_names: Sequence[str] | None = None,
) -> Answers:
    """The teacher's answers to every row of the stream, each different row asked once.

    Parameters
    ----------
    stream : QueryStream
        The queries; see `limbeck.queries.stream`.
    teacher : callable
        A limbeck Teacher, or any function from rows, in the container that the stream's rows came in, to answers
        ``(n,)`` or ``(n, k)``.
    folder : path, optional
        Where answers are kept; `read_answers` reads them. A call with the same arguments goes on where one before it
        ended, however it ended. None: they are kept in memory.
    progress : bool or function
        True shows a plan with the expected time, and a bar.
    output_names : sequence of str, optional
        One an output; ``P(class)`` where the teacher says its classes, else ``answer``.

    Raises
    ------
    TeacherError
        Where the teacher raises, or its answers can't be used. What was answered before is kept.
    StorageError
        Where the folder can't be written, another process is asking into it, or it holds the answers of another
        teacher or stream.

    Notes
    -----
    Departures and cost: see the head of the module.

    Examples
    --------
    >>> from limbeck.queries import Munge, stream
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> answers = ask(stream(Munge(), X, 25_000, seed=0), lambda rows: rows[:, 0] > 0)
    >>> answers.rows, answers.n_outputs, answers.asked <= 25_000
    (25000, 1, True)
    """
    if not isinstance(stream, QueryStream):
        raise InputError(f"ask takes a stream of queries: stream(Munge(), X, 100_000, seed=0); got {stream!r:.80}")
    if not callable(teacher):
        raise InputError(f"the teacher must be a function from rows to answers (n, k); got {teacher!r:.80}")
    with reporting(progress) as report:
        if folder is None:
            probe = probe_teacher(stream.table, teacher)
            layout = Layout(stream.schema, name_outputs(output_names, probe))
            return _Asking(stream, teacher, Memory(layout), probe, report).all()
        with opened(folder) as path:
            return _ask_into(path, stream, teacher, output_names, report)


def _ask_into(path: Path, stream: QueryStream, teacher: Any, output_names: Any, report: Report) -> Answers:
    identity = stream_identity(stream)
    old = read_document(path) if (path / DOCUMENT).exists() else None
    if old is None:
        probe = probe_teacher(stream.table, teacher)
        layout = Layout(stream.schema, name_outputs(output_names, probe))
    else:
        if (what := difference(old, identity)) is not None:
            raise StorageError(
                f"{path} holds answers to other queries: {what}. Ask for the same, or give a new folder."
            )
        layout = layout_of(old, path)
        stored = np.array(old["teacher"]["answers"], dtype=np.float64)
        probe = probe_teacher(stream.table, teacher, len(stored))
        refuse_other_teacher(stored, probe.answers, path, old["teacher"]["name"])
        if output_names is not None and name_outputs(output_names, probe) != layout.outputs:
            raise StorageError(f"{path} names its outputs {list(layout.outputs)}; got {list(output_names)}")
    document = {
        **identity,
        "output_names": list(layout.outputs),
        "answer_columns": list(layout.columns),
        "classes": None if probe.classes is None else list(probe.classes),
        "teacher": {"name": probe.name, "answers": probe.answers.tolist()} if old is None else old["teacher"],
    }
    if old is None or old["stream"] != identity["stream"]:
        if old is None:
            (path / JOURNAL).unlink(missing_ok=True)  # of a run whose document was removed
        write_document(path, document)
    with Journal(path / JOURNAL) as journal:
        answers = _Asking(stream, teacher, Folder(path, layout, journal), probe, report, path).all()
    (path / JOURNAL).unlink(missing_ok=True)
    return answers


@dataclass
class _Asking:
    """One call of `ask`, batch after batch."""

    stream: QueryStream
    teacher: Any
    shards: Shards
    probe: Probe
    report: Report
    path: Path | None = None
    asked: int = 0
    reused: int = 0
    done: int = 0
    chunk: int = 0
    known: Known = field(default_factory=Known)

    def all(self) -> Answers:
        """The answers to all rows."""
        batches = range(len(self.stream))
        finished = {i for i in batches if self.shards.has(i)}
        if finished and len(finished) < len(batches):
            self._refuse_other_rows(max(finished))
        self.chunk = int(np.clip(CHUNK_S / 4 / max(self.probe.seconds_more, 1e-9), 1, PROBES))
        self.report(self._plan(finished), 0, 0)
        try:
            for i in batches:
                if i not in finished:
                    self._batch(i)
                elif len(finished) < len(batches):
                    self._remember(i)
                else:
                    self._count(reused=self.stream.size(i))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"stopped{self._kept()}") from None
        shards = replace(self.shards, journal=None) if isinstance(self.shards, Folder) else self.shards
        whole = Answers(self.stream.rows, self.stream.batch_rows, shards.layout, shards, self.probe.classes, self.path)
        return replace(whole, asked=self.asked, reused=self.reused, probed=self.probe.asked)

    def _batch(self, i: int) -> None:
        """Draw batch `i`, answer what is known, ask what is not, keep it."""
        values = self.stream.batch(i).values
        keys, first, inverse = np.unique(row_keys(values), return_index=True, return_inverse=True)
        places = self.known.find(keys)
        answers = np.empty((len(keys), len(self.shards.layout.outputs)))
        self._answer_known(places, answers)
        new = np.flatnonzero(places < 0)
        kept, kept_answers = self.shards.kept(i)
        here = np.isin(keys[new], kept)
        order = np.argsort(kept)
        answers[new[here]] = kept_answers[order[np.searchsorted(kept[order], keys[new[here]])]]
        self._count(reused=int(here.sum()))
        todo = new[~here]
        self._ask(i, values, first, todo[np.argsort(first[todo])], keys, answers)
        self.shards.write(i, values, answers[inverse])
        self.known.add(keys[new], i * self.stream.batch_rows + first[new])
        self.done = sum(self.stream.size(b) for b in range(i + 1))
        self._count()

    def _answer_known(self, places: np.ndarray, answers: np.ndarray) -> None:
        """Fill in the answers to rows that an earlier batch holds."""
        batch = np.where(places < 0, -1, places // self.stream.batch_rows)
        for b in np.unique(batch[batch >= 0]):
            answers[batch == b] = self.shards.answers(int(b))[places[batch == b] % self.stream.batch_rows]

    def _ask(
        self, i: int, values: np.ndarray, first: np.ndarray, todo: np.ndarray, keys: np.ndarray, answers: np.ndarray
    ) -> None:
        """Fill in the answers to the rows ``values[first[todo]]``, chunk by chunk."""
        start = 0
        while start < len(todo):
            chunk = todo[start : start + self.chunk]
            begun = time.perf_counter()
            answers[chunk] = self._asked(i, self.stream.table.with_values(values[first[chunk]]), first[chunk])
            seconds = time.perf_counter() - begun
            start += len(chunk)
            if start < len(todo):
                self.shards.keep(i, keys[chunk], answers[chunk])
            self.chunk = self._next_chunk(len(chunk), seconds)
            self.asked += len(chunk)
            self._count(len(chunk))

    def _next_chunk(self, n: int, seconds: float) -> int:
        """How many rows to ask at once, after `n` took so many seconds.

        So many that a call takes `CHUNK_S`, or `AMORTISED` times what it takes however few its rows are: a teacher that
        takes a second for one row would else be asked row by row.
        """
        overhead = self.probe.overhead
        wanted = max(CHUNK_S, AMORTISED * overhead)
        fits = n * (wanted - overhead) / max(seconds - overhead, 0.1 * seconds, 1e-9)
        return int(np.clip(fits, 1, GROWTH * max(self.chunk, 1)))

    def _asked(self, i: int, table: Table, places: np.ndarray) -> np.ndarray:
        try:
            return answer(self.teacher, table, len(self.shards.layout.outputs))
        except TeacherError as error:
            rows = i * self.stream.batch_rows + places
            raise TeacherError(
                f"{error} - on {len(rows)} rows from row {rows[0]} to row {rows[-1]} of the stream (batch {i})"
                f"{self._kept()}"
            ) from (error.__cause__ or error)

    def _remember(self, i: int) -> None:
        """Take up the rows of a batch that an earlier call finished."""
        values = self.shards.read(i)[0]
        if len(values) != self.stream.size(i):
            raise StorageError(f"batch {i} in {self.path} must have {self.stream.size(i)} rows; it has {len(values)}")
        keys, first = np.unique(row_keys(values), return_index=True)
        new = self.known.find(keys) < 0
        self.known.add(keys[new], i * self.stream.batch_rows + first[new])
        self._count(reused=len(values))

    def _refuse_other_rows(self, i: int) -> None:
        if not np.array_equal(self.stream.batch(i).values, self.shards.read(i)[0]):
            raise StorageError(
                f"batch {i} in {self.path} holds other rows than the stream draws now, from the same source, data and "
                "seed: another version of limbeck or NumPy wrote it. Give a new folder."
            )

    def _count(self, rows: int = 0, reused: int = 0) -> None:
        self.reused += reused
        self.done += rows + reused
        self.report("rows answered", min(self.done, self.stream.rows), self.stream.rows)

    def _kept(self) -> str:
        if self.path is None:
            return ". Nothing is kept, since no folder was given"
        return (
            f". {self.asked + self.reused} of {self.stream.rows} rows are kept in {self.path}: call ask again with the "
            "same arguments to go on"
        )

    def _plan(self, finished: set[int]) -> str:
        there, each = sum(self.stream.size(i) for i in finished), self.probe.seconds_more
        left, layout, disk = self.stream.rows - there, self.shards.layout, ""
        have = f", {there:,} are there" if there else ""
        if isinstance(self.shards, Folder):
            one = 8 * len(layout.outputs) + sum(1 if column.levels else 8 for column in layout.schema.columns)
            size = sum(self.shards.part(i).stat().st_size for i in finished) + left * one
            disk = f"; at most {size / 1e6:,.0f} MB in {self.path}"
        return (
            f"plan: ask the teacher {left:,} of {self.stream.rows:,} rows in {len(self.stream)} batches{have} "
            f"({1e3 * each:.3g} ms a row: about {left * each:,.0f} s{disk})"
        )
