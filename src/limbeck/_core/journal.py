"""A durable journal on SQLite: what is put is on the disk when `put` comes back, whatever happens next.

A long grid keeps each finished cell in it and goes on after a kill; `ask` keeps the answers of the batch in flight.

Departures
----------
SQLite's rollback journal with full synchronisation, not write-ahead logging, which needs memory that all processes
share (network folders have none) and leaves two more files beside.

Cost
----
One commit each `put`: 5 to 25 ms on a local disk that others use too. Many values in one `put_all` cost one commit.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, StorageError

__all__ = ["Journal", "only_process"]

APPLICATION = 0x4C4D424B
"""The mark ("LMBK") in the head of the file by which a journal is told from another program's database."""

VERSION = 1
WAIT_S = 60.0
"""How long a process waits while another one writes."""


class Journal:
    """A mapping from texts to JSON values or bytes in one file, safe for several processes and against kills.

    Parameters
    ----------
    path : path
        The file; made where there is none, with the folders above it.

    Raises
    ------
    StorageError
        Where the file is no journal, is damaged, or can't be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "grid.sqlite") as journal:
    ...     first = journal.cell({"problem": "adult", "n": 4000}, lambda: {"rmse": 0.325})
    ...     again = journal.cell({"n": 4000, "problem": "adult"}, lambda: {"rmse": 99.0})
    ...     print(first, again, journal.keys())
    {'rmse': 0.325} {'rmse': 0.325} ('{"n": 4000, "problem": "adult"}',)
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.path.parent} can't be made: {error.strerror}") from error
        with self._said():
            self._open = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
        try:
            with self._said():
                self._prepare()
        except BaseException:
            self._open.close()
            raise

    def _prepare(self) -> None:
        self._open.execute("PRAGMA synchronous = FULL")
        if self._is_ours():
            return
        self._open.execute("BEGIN IMMEDIATE")
        if not self._is_ours():  # another process may have made it meanwhile
            self._open.execute("CREATE TABLE cells (key TEXT PRIMARY KEY, is_json INTEGER, value BLOB) WITHOUT ROWID")
            self._open.execute(f"PRAGMA application_id = {APPLICATION}")
            self._open.execute(f"PRAGMA user_version = {VERSION}")
        self._open.execute("COMMIT")

    def _is_ours(self) -> bool:
        """True for a journal, False for an empty database."""
        asked = ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        mark, version, tables = (self._open.execute(question).fetchone()[0] for question in asked)
        if tables and (mark != APPLICATION or version != VERSION):
            what = f"a journal of version {version}" if mark == APPLICATION else "another program's database"
            raise StorageError(
                f"{self.path} must be a limbeck journal of version {VERSION}; it is {what}. Give another path."
            )
        return bool(tables)

    def get(self, key: Any, default: Any = None) -> Any:
        """The value at `key`, or `default` where there is none."""
        with self._said():
            row = self._open.execute("SELECT is_json, value FROM cells WHERE key = ?", (key_text(key),)).fetchone()
        return default if row is None else _read(*row)

    def put(self, key: Any, value: Any) -> None:
        """Keep `value` at `key`, in place of what was there. It is on the disk when this comes back.

        Raises
        ------
        InputError
            Where `value` is neither bytes nor made of JSON types, NumPy's numbers and arrays.
        StorageError
            Where it can't be written.
        """
        self.put_all([(key, value)])

    def put_all(self, items: Mapping[Any, Any] | list[tuple[Any, Any]]) -> None:
        """Keep several values in one commit: all of them or none."""
        pairs = items.items() if isinstance(items, Mapping) else items
        rows = [(key_text(key), *_written(value)) for key, value in pairs]
        with self._said(), self._changing():
            self._open.executemany("INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", rows)

    def cell(self, key: Any, function: Callable[[], Any]) -> Any:
        """The value at `key`; where there is none, what `function` returns, kept first.

        What comes back is always what was kept (a tuple is a list, for instance), so the first run and one that goes on
        see the same. Where two processes compute one cell at once, the first that ends is kept and both see it. Where
        `function` raises, nothing is kept.
        """
        found = self.get(key, _ABSENT)
        if found is not _ABSENT:
            return found
        row = (key_text(key), *_written(function()))
        with self._said(), self._changing():
            self._open.execute("INSERT OR IGNORE INTO cells VALUES (?, ?, ?)", row)
        return self.get(key)

    def discard(self, prefix: str) -> int:
        """How many values were dropped: those whose keys begin with `prefix`."""
        with self._said(), self._changing():
            return self._open.execute("DELETE FROM cells WHERE substr(key, 1, ?) = ?", (len(prefix), prefix)).rowcount

    def keys(self, prefix: str = "") -> tuple[str, ...]:
        """The keys that begin with `prefix`, sorted."""
        question = "SELECT key FROM cells WHERE substr(key, 1, ?) = ? ORDER BY key"
        with self._said():
            return tuple(row[0] for row in self._open.execute(question, (len(prefix), prefix)))

    def __contains__(self, key: Any) -> bool:
        return self.get(key, _ABSENT) is not _ABSENT

    def __len__(self) -> int:
        with self._said():
            return int(self._open.execute("SELECT count(*) FROM cells").fetchone()[0])

    def close(self) -> None:
        """Let go of the file; everything that was put is in it."""
        self._open.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        self._open.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._open.execute("COMMIT")
        except BaseException:
            if self._open.in_transaction:
                self._open.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StorageError(f"the journal {self.path} can't be used: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{self.path} is damaged or no journal: {error}. Remove it to begin again.") from error


@contextlib.contextmanager
def only_process(path: str | Path, doing: str) -> Iterator[None]:
    """A block that one process at a time is in; the lock at `path` is let go by the system where the process dies.

    Raises
    ------
    StorageError
        Where another process is in it (`doing` says what it does), or the lock's file can't be written.
    """
    try:
        lock = sqlite3.connect(path, timeout=0.0, isolation_level=None)
    except sqlite3.Error as error:
        raise StorageError(f"{path} can't be written: {error}") from error
    try:
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise StorageError(f"{path} can't be written: {error}") from error
            raise StorageError(f"another process is {doing}; wait for it, or stop it first") from None
        except sqlite3.DatabaseError as error:
            raise StorageError(f"{path} is damaged: {error}. Remove it.") from error
        yield
    finally:
        lock.close()


_ABSENT = object()


def key_text(key: Any) -> str:
    """A key as text: a text itself, anything else as JSON with sorted names, so that equal keys are one.

    Raises
    ------
    InputError
        Where the key is neither text nor made of JSON types.
    """
    return key if isinstance(key, str) else _json(key, "a key", sort_keys=True)


def _written(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bytes | bytearray | memoryview):
        return 0, bytes(value)
    return 1, _json(value, "a value").encode("utf-8")


def _read(is_json: int, value: bytes) -> Any:
    return json.loads(value) if is_json else bytes(value)


def _json(value: Any, what: str, **how: Any) -> str:
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False, **how)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} of a journal must be text, bytes or JSON types; got {value!r:.80} ({error})"
        ) from None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON type")
