"""Where answers are kept: a folder of Parquet shards that any tool reads, or memory.

A folder holds ``answers.json`` (what was asked of whom), ``part-00000.parquet`` and so on, one a finished batch, each
written beside and renamed, and while a batch is in flight ``journal.sqlite``.

Cost
----
Parquet with zstd: 10,000 rows of 54 numbers take 0.1 s and at most 8 bytes a number.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from limbeck._core.errors import InputError, StorageError
from limbeck._core.journal import Journal, only_process
from limbeck._core.storage import write_file
from limbeck._core.tables import Column, Schema

__all__ = ["Folder", "Layout", "Memory", "Shards", "opened", "read_document", "write_document"]

FORMAT = "limbeck-answers"
VERSION = 1
DOCUMENT, JOURNAL, LOCK = "answers.json", "journal.sqlite", ".lock"

Batch = tuple[np.ndarray, np.ndarray]
"""Encoded rows ``(n, d)`` and answers ``(n, k)``; or keys ``(n,)`` and answers."""


@dataclass(frozen=True)
class Layout:
    """The columns of a shard: those of the rows, then one an output, whose names differ from theirs."""

    schema: Schema
    outputs: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the answers' columns: the outputs' own, with ``_`` behind where a column has that name."""
        taken, out = set(self.schema.names), []
        for name in self.outputs:
            while name in taken:
                name += "_"
            taken.add(name)
            out.append(name)
        return tuple(out)

    def frame(self, values: np.ndarray, answers: np.ndarray) -> Any:
        """A Polars frame as a person reads it: texts are texts, whole numbers whole."""
        import polars as pl

        series = [_series(column, values[:, j]) for j, column in enumerate(self.schema.columns)]
        return pl.DataFrame(series + [pl.Series(name, answers[:, j]) for j, name in enumerate(self.columns)])

    def rows(self, frame: Any) -> np.ndarray:
        """The encoded rows ``(n, d)`` of a frame that `frame` made."""
        return np.column_stack([_codes(column, frame[column.name]) for column in self.schema.columns])

    def answers(self, frame: Any) -> np.ndarray:
        """The answers ``(n, k)`` of a frame that `frame` made."""
        return np.column_stack([frame[name].to_numpy() for name in self.columns]).astype(np.float64)


def _series(column: Column, values: np.ndarray) -> Any:
    import polars as pl

    if column.levels:
        codes, names = values.astype(np.uint32), list(column.level_names)
        if len(set(names)) < len(names):  # the number 1 and the text "1"
            return pl.Series(column.name, codes)
        ordered = pl.Enum(names) if column.kind == "ordinal" else pl.String
        return pl.Series(column.name, names, dtype=ordered).gather(codes)
    if column.dtype.lower() in ("bool", "boolean"):
        return pl.Series(column.name, values >= 0.5)
    if column.integer:
        return pl.Series(column.name, values.astype(np.uint64 if column.dtype.lower() == "uint64" else np.int64))
    return pl.Series(column.name, values.astype(np.float32 if column.dtype.lower() == "float32" else np.float64))


def _codes(column: Column, series: Any) -> np.ndarray:
    import polars as pl

    if isinstance(series.dtype, pl.String | pl.Enum):
        try:
            series = series.cast(pl.Enum(list(column.level_names))).to_physical()
        except pl.exceptions.PolarsError as error:
            raise StorageError(f"column {column.name!r} has levels that the schema lacks: {error}") from None
    return np.asarray(series.to_numpy().astype(np.float64))


class Shards(Protocol):
    """Finished batches by number, and what is answered of the one in flight."""

    layout: Layout

    def has(self, i: int) -> bool:
        """True where batch `i` is finished."""
        ...

    def read(self, i: int) -> Batch:
        """The rows and the answers of batch `i`."""
        ...

    def answers(self, i: int) -> np.ndarray:
        """The answers of batch `i`."""
        ...

    def write(self, i: int, values: np.ndarray, answers: np.ndarray) -> None:
        """Keep batch `i` for good."""
        ...

    def keep(self, i: int, keys: np.ndarray, answers: np.ndarray) -> None:
        """Keep the answers to some rows of batch `i`, which is not finished yet."""
        ...

    def kept(self, i: int) -> Batch:
        """The keys and the answers of batch `i` that `keep` kept."""
        ...


@dataclass
class Memory:
    """Shards in memory."""

    layout: Layout
    batches: list[Batch] = field(default_factory=list)

    def has(self, i: int) -> bool:
        """See `Shards`."""
        return i < len(self.batches)

    def read(self, i: int) -> Batch:
        """See `Shards`."""
        return self.batches[i]

    def answers(self, i: int) -> np.ndarray:
        """See `Shards`."""
        return self.batches[i][1]

    def write(self, i: int, values: np.ndarray, answers: np.ndarray) -> None:
        """See `Shards`."""
        self.batches.append((values, answers))

    def keep(self, i: int, keys: np.ndarray, answers: np.ndarray) -> None:
        """Nothing: what is not finished is lost with the process."""

    def kept(self, i: int) -> Batch:
        """See `Shards`."""
        return np.empty(0, dtype=np.uint64), np.empty((0, len(self.layout.outputs)))


@dataclass
class Folder:
    """Shards in a folder; `journal` is there only while rows are asked."""

    path: Path
    layout: Layout
    journal: Journal | None = None

    def part(self, i: int) -> Path:
        """The file of batch `i`."""
        return self.path / f"part-{i:05d}.parquet"

    def has(self, i: int) -> bool:
        """See `Shards`."""
        return self.part(i).is_file()

    def read(self, i: int) -> Batch:
        """See `Shards`."""
        frame = self._frame(i, None)
        return self.layout.rows(frame), self.layout.answers(frame)

    def answers(self, i: int) -> np.ndarray:
        """See `Shards`."""
        return self.layout.answers(self._frame(i, list(self.layout.columns)))

    def _frame(self, i: int, columns: list[str] | None) -> Any:
        import polars as pl

        want = [*self.layout.schema.names, *self.layout.columns]
        try:
            frame = pl.read_parquet(self.part(i), columns=columns, glob=False, hive_partitioning=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise StorageError(
                f"{self.part(i)} can't be read: {str(error).splitlines()[0][:160]}. Remove it, and its rows are asked "
                "again."
            ) from None
        if frame.columns != (want if columns is None else columns):
            raise StorageError(f"{self.part(i)} must have the columns {want[:12]}; got {frame.columns[:12]}")
        return frame

    def write(self, i: int, values: np.ndarray, answers: np.ndarray) -> None:
        """See `Shards`."""
        buffer = io.BytesIO()
        self.layout.frame(values, answers).write_parquet(buffer, compression="zstd")
        write_file(self.part(i), buffer.getvalue())
        if self.journal is not None and self.journal.keys(_in_flight(i)):
            self.journal.discard(_in_flight(i))

    def keep(self, i: int, keys: np.ndarray, answers: np.ndarray) -> None:
        """See `Shards`."""
        assert self.journal is not None
        number = len(self.journal.keys(_in_flight(i)))
        packed = np.ascontiguousarray(keys, "<u8").tobytes() + np.ascontiguousarray(answers, "<f8").tobytes()
        self.journal.put(f"{_in_flight(i)}{number:06d}", packed)

    def kept(self, i: int) -> Batch:
        """See `Shards`."""
        keys, answers = [np.empty(0, dtype=np.uint64)], [np.empty((0, len(self.layout.outputs)))]
        for key in () if self.journal is None else self.journal.keys(_in_flight(i)):
            packed, width = self.journal.get(key), 8 * (1 + len(self.layout.outputs))  # type: ignore[union-attr]
            n = len(packed) // width
            keys.append(np.frombuffer(packed, "<u8", n))
            answers.append(np.frombuffer(packed, "<f8", offset=8 * n).reshape(n, -1))
        return np.concatenate(keys), np.concatenate(answers)


def _in_flight(i: int) -> str:
    return f"batch-{i:05d}/"


@contextlib.contextmanager
def opened(path: str | Path) -> Iterator[Path]:
    """The folder, made where there is none, for this process alone; what a killed one left half-written is removed.

    Raises
    ------
    StorageError
        Where it holds something else, another process is asking into it, or it can't be written.
    """
    folder = Path(path).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise StorageError(f"{folder} can't be made or read: {error.strerror}") from error
    stale = {name for name in names if name.startswith((f".{DOCUMENT}.", ".part-"))}
    if DOCUMENT not in names and names - stale - {JOURNAL, f"{JOURNAL}-journal", LOCK}:
        raise StorageError(f"{folder} exists and holds no answers; give a new folder or an empty one")
    with only_process(folder / LOCK, f"asking a teacher into {folder}"):
        for name in stale:
            (folder / name).unlink(missing_ok=True)
        yield folder


def write_document(folder: Path, document: dict[str, Any]) -> None:
    """Keep what was asked of whom."""
    whole = {"format": FORMAT, "version": VERSION, **document}
    write_file(folder / DOCUMENT, json.dumps(whole, ensure_ascii=False, indent=1) + "\n")


def read_document(folder: Path) -> dict[str, Any]:
    """What was asked of whom.

    Raises
    ------
    StorageError
        Where the folder holds no answers, those of a later version, or its document is damaged.
    """
    path = folder / DOCUMENT
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StorageError(f"{folder} holds no answers: a folder that `ask` wrote is required") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} can't be read as JSON: {str(error)[:120]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StorageError(f"{path} must have format {FORMAT!r}; got {str(document)[:80]}")
    if document.get("version") != VERSION:
        raise StorageError(
            f"this limbeck reads answers of version {VERSION}; got {document.get('version')!r:.60}. Update limbeck."
        )
    return document


def layout_of(document: dict[str, Any], folder: Path) -> Layout:
    """The columns of the shards that a document speaks of."""
    try:
        outputs: Sequence[Any] = document["output_names"]
        return Layout(Schema.from_dict(document["schema"]), tuple(str(name) for name in outputs))
    except (KeyError, TypeError, AttributeError, InputError) as error:
        raise StorageError(f"{folder / DOCUMENT} is damaged: {error}") from None
