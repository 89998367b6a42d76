"""A run on disk: exact, atomic under kill -9, and harmless when it comes from a hostile hand."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from limbeck._core.errors import StorageError
from limbeck._core.storage import RunDocuments, read_run, write_file, write_run


def documents(mark: float = 1.0) -> RunDocuments:
    weights = (np.random.default_rng(0).normal(size=(40, 5)) * mark).tolist()
    run = {"students": ["tree"], "mark": mark, "odd": float("nan")}
    students = {"tree": {"name": "tree", "deep": [{"weights": weights, "few": [0.1, 0.2]}]}}
    return RunDocuments(run, {"mark": mark}, students, {"X": np.full((50, 3), mark)})


def test_exact_round_trip(tmp_path: Path) -> None:
    before = documents()
    write_run(tmp_path / "run", before)
    after = read_run(tmp_path / "run")
    assert after.students == before.students
    assert np.array_equal(after.arrays["X"], before.arrays["X"])
    assert after.run["odd"] is None
    assert (tmp_path / "run/students/tree.safetensors").stat().st_size >= 40 * 5 * 8


def test_nothing_is_left_beside(tmp_path: Path) -> None:
    for mark in (1.0, 2.0, 3.0):
        write_run(tmp_path / "run", documents(mark))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert read_run(tmp_path / "run").run["mark"] == 3.0


def test_a_folder_that_is_not_a_run_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StorageError, match="exists and is not a run"):
        write_run(tmp_path, documents())
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    write_run(tmp_path / "new", documents())
    assert read_run(tmp_path / "new").run["mark"] == 1.0


def test_no_place_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="can't be written"):
        write_run(tmp_path / "file/run", documents())
    with pytest.raises(StorageError, match="can't be written"):
        write_file(tmp_path / "file/page.html", "x")


WRITER = """
import sys, numpy as np
from limbeck._core.storage import RunDocuments, write_run
mark = 0.0
while True:
    mark += 1.0
    arrays = {"X": np.full((2000, 50), mark)}
    students = {"tree": {"mark": mark, "weights": np.full((100, 100), mark).tolist()}}
    write_run(sys.argv[1], RunDocuments({"students": ["tree"], "mark": mark}, {"mark": mark}, students, arrays))
    print(mark, flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.003, 0.007, 0.011, 0.017, 0.023])
def test_kill_leaves_the_old_run_or_the_new(tmp_path: Path, delay: float) -> None:
    folder = tmp_path / "run"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    written = float(writer.stdout.readline())
    time.sleep(delay)
    writer.send_signal(signal.SIGKILL)
    rest = writer.communicate()[0].split()
    written = float(rest[-1]) if rest else written
    found = read_run(folder)
    marks = {found.run["mark"], found.results["mark"], found.students["tree"]["mark"], *np.unique(found.arrays["X"])}
    marks |= set(np.unique(found.students["tree"]["weights"]))
    assert len(marks) == 1, "a half-written run"
    assert marks.pop() in (written, written + 1.0)


def test_a_replacement_that_was_cut_short_is_recovered(tmp_path: Path) -> None:
    write_run(tmp_path / "run", documents(1.0))
    (tmp_path / "run").rename(tmp_path / ".run.previous")
    assert read_run(tmp_path / "run").run["mark"] == 1.0
    write_run(tmp_path / "run", documents(2.0))
    assert read_run(tmp_path / "run").run["mark"] == 2.0


class Bomb:
    """Would write a file if it were ever unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.path}",)


def hostile(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)


def test_a_pickle_in_place_of_any_file_is_refused_and_not_run(tmp_path: Path) -> None:
    bang = tmp_path / "bang"
    for name in ("run.json", "results.json", "students/tree.json", "students/tree.safetensors", "rows.safetensors"):
        folder = write_run(tmp_path / name.replace("/", "_"), documents())
        hostile(folder, name, pickle.dumps(Bomb(bang)))
        with pytest.raises(StorageError, match=r"can't be read|is not a run"):
            read_run(folder)
    assert not bang.exists()


@pytest.mark.parametrize("name", ["../tree", "/etc/passwd", "..", ".hidden", "a/b", "", "x" * 200, 3, None, "tr\nee"])
def test_student_names_that_leave_the_folder_are_refused(tmp_path: Path, name: object) -> None:
    folder = write_run(tmp_path / "run", documents())
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**document, "students": [name]}))
    with pytest.raises(StorageError, match="plain names"):
        read_run(folder)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", documents())
    (tmp_path / "secret.json").write_text("{}")
    (folder / "results.json").unlink()
    (folder / "results.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(StorageError, match="points outside"):
        read_run(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "must have format"),
        ({"version": 99}, "Update limbeck"),
        ({"students": "tree"}, "plain names"),
        ({"students": ["forest"]}, "lacks students/forest.json"),
    ],
)
def test_damaged_run(tmp_path: Path, change: dict[str, object], message: str) -> None:
    folder = write_run(tmp_path / "run", documents())
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**document, **change}))
    with pytest.raises(StorageError, match=message):
        read_run(folder)


def test_truncated_and_deep_documents(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", documents())
    whole = (folder / "results.json").read_text()
    (folder / "results.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="can't be read as JSON"):
        read_run(folder)
    (folder / "results.json").write_text("[" * 100_000)
    with pytest.raises(StorageError, match="can't be read as JSON"):
        read_run(folder)
    with pytest.raises(StorageError, match="is not a run"):
        read_run(tmp_path / "nowhere")


def test_a_missing_array_is_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", documents())
    (folder / "students/tree.safetensors").unlink()
    with pytest.raises(StorageError, match="which its file lacks"):
        read_run(folder)
