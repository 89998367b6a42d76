"""The journal: what is put is there after a kill, cells are computed once, and no other file is touched."""

from __future__ import annotations

import math
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limbeck._core.errors import InputError, StorageError
from limbeck._core.journal import Journal, only_process


def path_in(folder: Path) -> Path:
    return folder / "deep" / "grid.sqlite"


def test_values_come_back_as_they_were_put(tmp_path: Path) -> None:
    values = {
        "text": "é'; --",
        "none": None,
        "number": 0.1,
        "list": [1, 2],
        "bytes": b"\x00\xff",
        "nested": {"a": [{}]},
    }
    with Journal(path_in(tmp_path)) as journal:
        for key, value in values.items():
            journal.put(key, value)
        journal.put("numpy", {"a": np.float64(0.1), "b": np.int64(3), "c": np.arange(3)})
        journal.put("nan", math.nan)
    with Journal(path_in(tmp_path)) as journal:
        assert {key: journal.get(key) for key in values} == values
        assert journal.get("numpy") == {"a": 0.1, "b": 3, "c": [0, 1, 2]}
        assert math.isnan(journal.get("nan"))
        assert journal.keys() == tuple(sorted([*values, "numpy", "nan"]))
        assert len(journal) == 8
        assert "none" in journal
        assert "absent" not in journal
        assert journal.get("absent", 7) == 7


def test_a_cell_is_computed_once_and_the_first_run_sees_what_a_later_one_does(tmp_path: Path) -> None:
    calls = []

    def cell() -> Any:
        calls.append(1)
        return {"pair": (1, 2)}

    with Journal(path_in(tmp_path)) as journal:
        first = journal.cell({"b": 1, "a": 2}, cell)
    with Journal(path_in(tmp_path)) as journal:
        assert journal.cell({"a": 2, "b": 1}, cell) == first == {"pair": [1, 2]}
    assert len(calls) == 1


def test_a_cell_that_raises_keeps_nothing(tmp_path: Path) -> None:
    with Journal(path_in(tmp_path)) as journal:
        with pytest.raises(ZeroDivisionError, match="division"):
            journal.cell("a", lambda: 1 / 0)
        assert len(journal) == 0
        assert journal.cell("a", lambda: 1) == 1


def test_several_values_are_kept_together_or_not_at_all(tmp_path: Path) -> None:
    with Journal(path_in(tmp_path)) as journal:
        journal.put_all({"part-1/a": 1, "part-1/b": 2, "part-2/a": 3})
        with pytest.raises(InputError, match=r"a value of a journal must be text, bytes or JSON types; got <object"):
            journal.put_all({"c": 1, "d": object()})
        with pytest.raises(InputError, match="a key of a journal must be"):
            journal.put(object(), 1)
        assert journal.keys("part-1/") == ("part-1/a", "part-1/b")
        assert journal.discard("part-1/") == 2
        assert journal.keys() == ("part-2/a",)


def test_what_was_put_survives_kill_9_and_what_was_not_is_absent(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom limbeck._core.journal import Journal\njournal = Journal(sys.argv[1])\n"
        "for i in range(10**6):\n    journal.put(f'{i:07d}', i)\n    print(i, flush=True)\n"
    )
    path = path_in(tmp_path)
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    with Journal(path) as journal:
        kept = list(map(journal.get, journal.keys()))
    assert kept == list(range(len(kept)))
    assert len(said) <= len(kept) <= len(said) + 1


def test_several_processes_write_one_journal(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom limbeck._core.journal import Journal\n"
        "with Journal(sys.argv[1]) as journal:\n"
        "    for i in range(15):\n        journal.put(f'{sys.argv[2]}-{i}', i)\n"
        "        journal.cell(f'shared-{i}', lambda: sys.argv[2])\n"
    )
    path = path_in(tmp_path)
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [process.wait() for process in running] == [0, 0]
    with Journal(path) as journal:
        assert len(journal.keys("a-")) == len(journal.keys("b-")) == len(journal.keys("shared-")) == 15
        assert {journal.get(key) for key in journal.keys("shared-")} <= {"a", "b"}


def test_other_files_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    text, other, later = (tmp_path / name for name in ("notes.txt", "other.sqlite", "later.sqlite"))
    text.write_text("my notes " * 100)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (a)")
    connection.close()
    Journal(later).close()
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    before = {path: path.read_bytes() for path in (text, other, later)}
    with pytest.raises(StorageError, match=r"notes.txt is damaged or no journal: .*Remove it to begin again"):
        Journal(text)
    with pytest.raises(StorageError, match=r"other.sqlite must be a limbeck journal .* another program's database"):
        Journal(other)
    with pytest.raises(StorageError, match=r"of version 1; it is a journal of version 9"):
        Journal(later)
    with pytest.raises(StorageError, match=r"notes.txt can't be made: (File exists|Not a directory)"):
        Journal(text / "grid.sqlite")
    assert {path: path.read_bytes() for path in before} == before


def test_one_process_at_a_time_and_a_dead_one_holds_nothing(tmp_path: Path) -> None:
    lock = tmp_path / "lock.sqlite"
    code = (
        "import sys, time\nfrom limbeck._core.journal import only_process\n"
        "with only_process(sys.argv[1], 'working'):\n    print('in', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        with (
            pytest.raises(StorageError, match="another process is working here; wait for it, or stop it first"),
            only_process(lock, "working here"),
        ):
            pass
        os.kill(process.pid, signal.SIGKILL)
    with only_process(lock, "working here"):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="can't be written"), only_process(tmp_path / "no" / "lock", "working"):
        pass
