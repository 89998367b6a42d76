"""Streams, mixtures and answers: every batch by its number, each row asked once, nothing lost in a kill."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import limbeck
from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck._core.journal import only_process
from limbeck._core.keys import row_keys
from limbeck.queries import (
    Marginals,
    Mixture,
    Munge,
    Unlabelled,
    _teacher_calls,
    ask,
    read_answers,
    stream,
)
from limbeck.queries._known import Known

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3))
JOBS = np.array(["clerk", "nurse, night", "Пекарь"], dtype=object)
FRAME = pd.DataFrame(
    {
        "age": RNG.integers(18, 70, size=200),
        "height": RNG.normal(170, 10, size=200),
        "weight": RNG.normal(70, 9, size=200).astype(np.float32),
        "owner": RNG.random(200) < 0.3,
        "job": JOBS[RNG.integers(3, size=200)],
        "size": pd.Categorical(RNG.choice(["S", "M", "L"], size=200), categories=["S", "M", "L"], ordered=True),
        "answer": RNG.integers(0, 2**62, size=200),
    }
)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a teacher is known by as many rows."""
    monkeypatch.setattr(_teacher_calls, "CHUNK_S", 1e9)


class Counting:
    """A teacher that remembers every row it was asked for, and does what a test wants at one of them."""

    def __init__(self, act: Any = None, at: int = 10**9) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.act, self.at = act, at

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if len(self.rows) >= self.at:
            self.act()
        self.rows += list(map(tuple, rows))
        return np.column_stack([rows[:, 0] * rows[:, 1], rows.sum(axis=1)])


PROBED = 4 + 64
"""The rows asked to know a teacher: a few, and those again with more."""


def truth(values: np.ndarray) -> np.ndarray:
    return np.column_stack([values[:, 0] * values[:, 1], values.sum(axis=1)])


# --- streams -------------------------------------------------------------------------------------------------


def test_a_stream_without_a_seed_draws_one_and_gives_the_same_rows_again() -> None:
    batches = stream(Munge(), X, 500, batch_rows=200)
    assert [len(batch) for batch in batches] == [200, 200, 100]
    assert (len(batches), batches.rows) == (3, 500)
    first, again = (np.concatenate([batch.values for batch in batches]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    named = stream(Munge(), X, 500, batches.seed, batch_rows=200)
    np.testing.assert_array_equal(np.concatenate([batch.values for batch in named]), first)
    assert stream(Munge(), X, 500).seed != batches.seed


def test_partners_do_not_depend_on_which_block_is_asked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.queries._munge.BLOCK", 40)
    text = pd.DataFrame({"a": JOBS[RNG.integers(3, size=200)], "b": JOBS[RNG.integers(3, size=200)]})  # ties
    batches, backwards = (stream(Munge(), text, 600, 5, batch_rows=30) for _ in range(2))
    forward = [batch.values for batch in batches]
    for i in reversed(range(len(backwards))):
        np.testing.assert_array_equal(backwards.batch(i).values, forward[i])


def test_streams_and_batches_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match=r"source must be a source of queries such as Munge\(\); got 'munge'"):
        stream("munge", X, 10)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="m, the number of rows to draw"):
        stream(Munge(), X, 0)
    for size in (0, 2.5, True, None):
        with pytest.raises(InputError, match="batch_rows must be a whole number >= 1"):
            stream(Munge(), X, 10, batch_rows=size)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 2 rows"):
        stream(Munge(), X[:1], 10)
    with pytest.raises(InputError, match="finite"):
        stream(Munge(), np.full((3, 2), np.inf), 10)
    with pytest.raises(IndexError, match="the stream has 1 batches, 0 to 0; got 1"):
        stream(Munge(), X, 10).batch(1)


def test_memory_stays_at_a_few_batches_however_long_the_stream() -> None:
    batches = stream(Munge(), X, 300_000, 0)
    batch_bytes = 10_000 * X.shape[1] * 8
    tracemalloc.start()
    assert sum(len(batch) for batch in batches) == 300_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * batch_bytes  # all rows would be 30


def test_unlabelled_rows_are_streamed_once_each_and_their_end_is_said() -> None:
    more = np.arange(60.0).reshape(20, 3)
    batches = stream(Unlabelled(more), X, 18, 0, exclude=more[:2], batch_rows=7)
    rows = np.concatenate([batches.batch(i).values for i in (2, 0, 1)])
    assert sorted(map(tuple, rows)) == sorted(map(tuple, more[2:]))
    with pytest.raises(InputError, match=r"19 rows were asked for \(m\) and Unlabelled has 18 .* Mixture\("):
        stream(Unlabelled(more), X, 19, exclude=more[:2])


# --- mixtures ------------------------------------------------------------------------------------------------


def marks(mixture: Mixture, m: int, **how: Any) -> np.ndarray:
    """The first column of a stream of the mixture."""
    return np.concatenate([batch.values[:, 0] for batch in stream(mixture, X, m, 0, **how)])


def real(n: int) -> np.ndarray:
    """Rows that no MUNGE of X makes: 1000, 1001, ... in the first column."""
    return np.column_stack([1000.0 + np.arange(n), np.zeros((n, 2))])


@pytest.mark.parametrize("m", [1, 7, 100, 999])
def test_a_mixture_holds_its_shares_everywhere(m: int) -> None:
    mixture = Mixture((Unlabelled(real(400)), Munge(), Marginals()), (0.25, 0.7, 0.05))
    found = marks(mixture, m, batch_rows=64) >= 1000
    assert np.abs(np.cumsum(found) - 0.25 * np.arange(1, m + 1)).max() <= 1.0
    assert len(set(marks(mixture, m, batch_rows=64)[found])) == found.sum()


def test_where_real_rows_run_out_the_others_fill_up_and_it_is_said() -> None:
    mixture = Mixture((Unlabelled(real(30)), Munge(), Unlabelled(real(500) + 1e4)), (0.25, 0.5, 0.25))
    with pytest.warns(UserWarning, match="from row 12. on the other sources of the mixture fill up: Unlabelled has 30"):
        drawn = marks(mixture, 1000, batch_rows=300)
    assert sorted(drawn[(drawn >= 1000) & (drawn < 5000)]) == list(1000.0 + np.arange(30))
    assert (drawn >= 5000).sum() == 250
    with pytest.warns(UserWarning, match="fill up"):
        assert (mixture.sample(X, 1000, seed=0)[:, 0] >= 1000).sum() == 280


def test_a_mixture_of_real_rows_only_ends_where_one_does() -> None:
    mixture = Mixture((Unlabelled(real(30)), Unlabelled(real(30) + 1e4)), (0.5, 0.5))
    assert len(set(marks(mixture, 60))) == 60
    with pytest.raises(InputError, match=r"61 rows were asked for \(m\) and Mixture has 60"):
        marks(mixture, 61)
    with pytest.raises(InputError, match=r"61 rows were asked for \(m\) and the sources have 60 unlabelled rows"):
        mixture.sample(X, 61, seed=0)


def test_a_mixture_of_mixtures_is_one_and_held_out_rows_are_in_neither() -> None:
    inner = Mixture((Unlabelled(real(20)), Munge()), (0.2, 0.8))
    drawn = marks(Mixture((inner, Marginals()), (0.5, 0.5)), 100, exclude=real(5))
    assert sorted(drawn[drawn >= 1000])[:2] == [1005.0, 1006.0]
    assert (drawn >= 1000).sum() == 10


def test_mixtures_that_are_none_are_refused() -> None:
    for sources in ((), ("munge",), Munge()):
        with pytest.raises(InputError, match="sources must be"):
            Mixture(sources, (1.0,))  # type: ignore[arg-type]
    for shares in ((), (1.0,), (0.5, 0.6), (1.0, 0.0), (1.5, -0.5), (True, 0.0), ("a", "b"), (np.nan, 1.0)):
        with pytest.raises(InputError, match="shares must be 2 numbers above 0, one a source, whose sum is 1"):
            Mixture((Munge(), Marginals()), shares)
    with pytest.raises(InputError, match=r"a share must be at least 0\.001"):
        Mixture((Munge(), Marginals()), (0.9999, 0.0001))
    with pytest.raises(InputError, match="shares must be a sequence"):
        Mixture((Munge(),), 1.0)  # type: ignore[arg-type]


# --- answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_answers_are_the_teachers_and_come_back_as_often_as_wanted(tmp_path: Path, where: str) -> None:
    batches, teacher = stream(Munge(), X, 500, 0, batch_rows=200), Counting()
    folder = None if where == "memory" else tmp_path / "answers"
    answers = ask(batches, teacher, folder)
    assert (answers.rows, answers.n_outputs, answers.output_names) == (500, 2, ("answer 1", "answer 2"))
    for _ in range(2):
        for batch, (table, given) in zip(batches, answers, strict=True):
            np.testing.assert_array_equal(table.values, batch.values)
            np.testing.assert_array_equal(given, truth(batch.values))
    table, given = answers.table()
    assert (table.shape, given.shape) == ((500, 3), (500, 2))
    assert answers.to_pandas().columns.tolist() == ["x0", "x1", "x2", "answer 1", "answer 2"]
    assert answers.asked == len(teacher.rows) - answers.probed == len({*map(tuple, table.values)})
    assert (answers.reused, answers.probed) == (0, PROBED)
    assert answers.repeated == 500 - answers.asked


def test_a_folder_is_read_without_a_teacher_and_a_second_call_asks_nothing(tmp_path: Path) -> None:
    batches = stream(Munge(), X, 500, 0, batch_rows=200)
    first, teacher = ask(batches, Counting(), tmp_path / "a"), Counting()
    again = ask(batches, teacher, tmp_path / "a")
    assert (again.asked, again.reused, again.repeated) == (0, 500, 0)
    assert len(teacher.rows) == again.probed == PROBED
    for found in (again, read_answers(tmp_path / "a")):
        np.testing.assert_array_equal(found.table()[0].values, first.table()[0].values)
        np.testing.assert_array_equal(found.table()[1], first.table()[1])
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [
        ".lock",
        "answers.json",
        *(f"part-0000{i}.parquet" for i in range(3)),
    ]


def test_more_rows_of_the_same_stream_go_on_where_the_fewer_ended(tmp_path: Path) -> None:
    ask(stream(Munge(), X, 400, 0, batch_rows=200), Counting(), tmp_path)
    more = ask(stream(Munge(), X, 700, 0, batch_rows=200), Counting(), tmp_path)
    assert (more.rows, more.reused) == (700, 400)
    assert len(read_answers(tmp_path).table()[1]) == 700
    with pytest.raises(StorageError, match="the number of rows is 700 there and 900 here"):
        ask(stream(Munge(), X, 900, 0, batch_rows=200), Counting(), tmp_path)


def test_the_shards_are_tables_that_a_person_reads(tmp_path: Path) -> None:
    def teacher(rows: pd.DataFrame) -> np.ndarray:
        assert rows.dtypes.to_dict() == FRAME.dtypes.to_dict()
        return (rows["job"] == "clerk").to_numpy()

    batches = stream(Munge(), FRAME, 300, 0)
    answers = ask(batches, teacher, tmp_path)
    frame = pl.read_parquet(tmp_path / "part-00000.parquet")
    assert frame.columns == [*FRAME.columns, "answer_"]  # a column of the rows is called "answer"
    assert frame["age"].dtype == frame["answer"].dtype == pl.Int64
    assert (frame["weight"].dtype, frame["owner"].dtype) == (pl.Float32, pl.Boolean)
    assert set(frame["job"].to_list()) <= set(JOBS)
    assert (frame["job"].dtype, frame["size"].dtype) == (pl.String, pl.Enum(["S", "M", "L"]))
    pd.testing.assert_frame_equal(answers.to_pandas()[list(FRAME.columns)], batches.batch(0).native())
    np.testing.assert_array_equal(answers.table()[0].values, batches.batch(0).values)
    ours = pl.read_parquet(tmp_path / "part-00000.parquet", columns=["job", "answer_"])
    assert ((ours["job"] == "clerk").cast(float) == ours["answer_"]).all()


def test_a_limbeck_teacher_is_asked_for_tables_and_names_its_classes(tmp_path: Path) -> None:
    def model(rows: pd.DataFrame) -> np.ndarray:
        yes = 1 / (1 + np.exp(-(rows["age"].to_numpy() - 40) / 9))
        return np.column_stack([1 - yes, yes])

    for rows in (None, FRAME):  # verified by itself on its first rows, or beforehand
        teacher = limbeck.as_teacher(model, task="classification", classes=["no", "yes"], rows=rows)
        answers = ask(stream(Munge(), FRAME, 300, 0), teacher, tmp_path / str(rows is None))
        assert answers.output_names == ("P(no)", "P(yes)")
        assert read_answers(tmp_path / str(rows is None)).classes == ("no", "yes") == answers.classes
        assert teacher.rows_asked == answers.asked + answers.probed


def test_each_different_row_is_asked_once(tmp_path: Path) -> None:
    cells = np.array(list(itertools.product(range(5), range(5), range(4))), dtype=float)
    for folder in (None, tmp_path):
        teacher = Counting()
        answers = ask(stream(Marginals(), cells, 2_000, 0, batch_rows=150), teacher, folder)
        table, given = answers.table()
        np.testing.assert_array_equal(given, truth(table.values))
        asked = teacher.rows[answers.probed :]
        assert len(asked) == len(set(asked)) == answers.asked == len({*map(tuple, table.values)}) == 100
        assert answers.repeated == 1_900


def test_keys_tell_rows_of_a_grid_apart() -> None:
    grid = np.array(list(itertools.product(range(10), repeat=5)), dtype=float)
    assert len(np.unique(row_keys(grid))) == len(grid)
    assert len(np.unique(row_keys(grid / 7 - 1))) == len(grid)


def test_known_keys_are_found_with_their_places() -> None:
    known, keys = Known(), np.random.default_rng(0).permutation(5_000).astype(np.uint64)
    assert (known.find(keys[:3]) == -1).all()
    start = 0
    for size in (1, 700, 3, 0, 40, 2_000, 1, 1, 1):
        known.add(keys[start : start + size], np.arange(start, start + size))
        start += size
    np.testing.assert_array_equal(known.find(keys[:start]), np.arange(start))
    assert (known.find(keys[start:]) == -1).all()


# --- what goes wrong -----------------------------------------------------------------------------------------


def interrupted() -> None:
    raise KeyboardInterrupt


def broken() -> None:
    raise ValueError("out of memory")


@pytest.mark.parametrize(("act", "error"), [(interrupted, KeyboardInterrupt), (broken, TeacherError)])
def test_a_call_that_was_cut_short_is_gone_on_with(
    tmp_path: Path, act: Any, error: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.queries._asking.GROWTH", 1)  # chunks of 64 rows
    batches = stream(Munge(), X, 2_000, 0, batch_rows=500)
    teacher = Counting(act, at=PROBED + 1_200)
    with pytest.raises(error, match=r"1\d{3} of 2000 rows are kept in .*: call ask again with the same arguments"):
        ask(batches, teacher, tmp_path)
    with pytest.raises(StorageError, match=r"holds 2 of 4 batches; part-00002.parquet is the first that is missing"):
        read_answers(tmp_path)
    more = Counting()
    answers = ask(batches, more, tmp_path)
    assert answers.asked == len(more.rows) - answers.probed
    assert not set(teacher.rows[PROBED:]) & set(more.rows[answers.probed :])
    assert len(teacher.rows) - PROBED + answers.asked == len(set(map(tuple, answers.table()[0].values)))
    np.testing.assert_array_equal(answers.table()[1], truth(answers.table()[0].values))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda rows: np.where(rows[:, 0] > 3.2, np.nan, 1.0), "answered . of .* rows with NaN or infinity"),
        (lambda rows: rows[:3, 0] if len(rows) > 64 else rows[:, 0], r"with the shape \(\d+, 1\); got \(3,\)"),
        (lambda rows: rows if len(rows) > 64 else rows[:, 0], r"with the shape \(\d+, 1\); got \(\d+, 3\)"),
        (lambda rows: ["a"] * len(rows) if len(rows) > 64 else rows[:, 0], "must answer with numbers; got list"),
    ],
)
def test_answers_that_are_none_name_their_rows_and_lose_nothing(tmp_path: Path, answer: Any, words: str) -> None:
    batches = stream(Munge(s=1.0), X, 3_000, 0, batch_rows=500)
    with pytest.raises(TeacherError, match=rf"{words}.* on \d+ rows from row \d+ to row \d+ of the stream \(batch \d"):
        ask(batches, answer, tmp_path)
    with pytest.raises(TeacherError, match=r"Nothing is kept, since no folder was given"):
        ask(batches, answer)


def test_a_teacher_that_is_random_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in (None, tmp_path):
        with pytest.raises(
            TeacherError, match=r"the same 4 row\(s\) differ by up to .* between two calls: it is random"
        ):
            ask(stream(Munge(), X, 100, 0), lambda rows: rng.normal(size=len(rows)), folder)
        with pytest.raises(TeacherError, match="or a row's answer depends on the rows beside it"):
            ask(stream(Munge(), X, 100, 0), lambda rows: rows[:, 0] - rows[:, 0].mean(), folder)


def test_a_teacher_that_fails_at_once_leaves_no_folder_of_answers(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="the teacher raised ZeroDivisionError: division by zero"):
        ask(stream(Munge(), X, 100, 0), lambda rows: 1 / 0, tmp_path / "a")
    with pytest.raises(StorageError, match="holds no answers"):
        read_answers(tmp_path / "a")
    assert ask(stream(Munge(), X, 100, 0), Counting(), tmp_path / "a").asked


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, "the seed is 3 there and 4 here"),
        ({"source": Munge(p=0.6)}, r"the source is .*'p': 0.5.* there and .*'p': 0.6.* here"),
        ({"source": Mixture((Unlabelled(X[:9]), Munge()), (0.1, 0.9))}, "the source is"),
        ({"X": X + 1}, "the rows that the queries are made from"),
        ({"X": X[:, :2]}, "the columns, their types or levels differ"),
        ({"batch_rows": 50}, "batch_rows is 40 there and 50 here"),
        ({"exclude": X[:3]}, "the held-out rows"),
        ({"m": 60}, "the number of rows is 100 there and 60 here"),
        ({"teacher": lambda rows: truth(rows) + 0.01}, "the answers of another teacher .* by up to 0.01"),
        ({"output_names": ["a", "b"]}, r"names its outputs \['answer 1', 'answer 2'\]; got \['a', 'b'\]"),
    ],
)
def test_a_folder_of_other_queries_or_another_teacher_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    def go(**how: Any) -> Any:
        how = {"source": Munge(), "X": X, "m": 100, "seed": 3, "batch_rows": 40, **how}
        teacher, names = how.pop("teacher", truth), how.pop("output_names", None)
        return ask(stream(**how), teacher, tmp_path, output_names=names)

    go()
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(StorageError, match=words):
        go(**change)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert go().asked == 0


def test_real_rows_are_known_by_what_they_hold(tmp_path: Path) -> None:
    def go(rows: np.ndarray) -> Any:
        return ask(stream(Mixture((Unlabelled(rows), Munge()), (0.5, 0.5)), X, 20, 0), truth, tmp_path)

    go(X[:40] + 5)
    assert go(X[:40] + 5).reused == 20
    with pytest.raises(StorageError, match="the source is"):
        go(X[:40] + 6)


def test_rows_that_are_drawn_otherwise_than_before_are_refused(tmp_path: Path) -> None:
    batches = stream(Munge(), X, 100, 0, batch_rows=40)
    ask(batches, truth, tmp_path)
    frame = pl.read_parquet(tmp_path / "part-00000.parquet")
    frame.with_columns(pl.col("x0") + 1.0).write_parquet(tmp_path / "part-00000.parquet")
    (tmp_path / "part-00001.parquet").unlink()
    (tmp_path / "part-00002.parquet").unlink()
    with pytest.raises(StorageError, match=r"batch 0 in .* holds other rows than the stream draws now"):
        ask(batches, truth, tmp_path)


def test_damaged_files_are_said_and_not_taken_for_answers(tmp_path: Path) -> None:
    batches = stream(Munge(), X, 100, 0, batch_rows=40)
    ask(batches, truth, tmp_path)
    part, document = tmp_path / "part-00001.parquet", tmp_path / "answers.json"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(StorageError, match=r"part-00001.parquet can't be read: .* Remove it, and its rows are asked"):
        read_answers(tmp_path).table()
    part.unlink()
    assert 0 < ask(batches, truth, tmp_path).asked <= 40
    kept = json.loads(document.read_text())
    for wrong, words in (
        ("{", "can't be read as JSON"),
        ('{"format": "other"}', "must have format 'limbeck-answers'"),
        (json.dumps({**kept, "version": 9}), "of version 1; got 9"),
        (json.dumps({**kept, "schema": {}}), "is damaged"),
        (json.dumps({**kept, "stream": {}}), "is damaged"),
    ):
        document.write_text(wrong)
        with pytest.raises(StorageError, match=words):
            read_answers(tmp_path)


def test_other_folders_are_left_alone_and_half_written_files_are_removed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("mine")
    with pytest.raises(StorageError, match="exists and holds no answers; give a new folder or an empty one"):
        ask(stream(Munge(), X, 100, 0), truth, other)
    assert [path.name for path in other.iterdir()] == ["thesis.tex"]
    with pytest.raises(StorageError, match="can't be made or read"):
        ask(stream(Munge(), X, 100, 0), truth, other / "thesis.tex")
    mine = tmp_path / "mine"
    ask(stream(Munge(), X, 100, 0), truth, mine)
    (mine / ".part-00000.parquet.x1y2").write_text("half")
    ask(stream(Munge(), X, 100, 0), truth, mine)
    assert not list(mine.glob(".part*"))


def test_two_callers_at_one_folder_are_told_apart(tmp_path: Path) -> None:
    ask(stream(Munge(), X, 100, 0), truth, tmp_path)
    with only_process(tmp_path / ".lock", "asking"), pytest.raises(StorageError, match="another process is asking"):
        ask(stream(Munge(), X, 100, 0), truth, tmp_path)


def test_a_full_disk_is_said_and_nothing_before_it_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = stream(Munge(), X, 100, 0, batch_rows=40)
    real_replace = os.replace

    def full(a: Any, b: Any) -> None:
        if "part-00001" in str(b):
            raise OSError(28, "No space left on device")
        real_replace(a, b)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StorageError, match=r"part-00001.parquet can't be written: No space left on device"):
            ask(batches, truth, tmp_path)
    assert ask(batches, truth, tmp_path).reused >= 40


def test_arguments_that_are_none_are_refused() -> None:
    batches = stream(Munge(), X, 100, 0)
    with pytest.raises(InputError, match="ask takes a stream of queries"):
        ask(X, truth)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the teacher must be a function"):
        ask(batches, "model")  # type: ignore[arg-type]
    for names in (["a"], ["a", "a"], "a"):
        with pytest.raises(InputError, match="output_names must be 2 different names"):
            ask(batches, truth, output_names=names)
    assert ask(batches, truth, output_names=["a", "b"]).output_names == ("a", "b")


def test_a_plan_comes_first_and_then_how_far_it_is(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    batches = stream(Munge(), X, 100, 0, batch_rows=40)
    ask(batches, truth, tmp_path, progress=lambda *what: said.append(what))
    assert said[0][0].startswith("plan: ask the teacher 100 of 100 rows in 3 batches (")
    assert f"MB in {tmp_path})" in said[0][0]
    done = [done for what, done, total in said[1:] if (what, total) == ("rows answered", 100)]
    assert done == sorted(done)
    assert done[-1] == 100
    ask(batches, truth, tmp_path, progress=lambda *what: said.append(what))
    assert any(what.startswith("plan: ask the teacher 0 of 100 rows in 3 batches, 100 are there") for what, *_ in said)


def test_chunks_grow_from_small_to_about_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(_teacher_calls, "CHUNK_S", 1.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    sizes: list[int] = []

    def teacher(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        now[0] += 0.005 * len(rows)
        return rows[:, 0]

    ask(stream(Munge(), X, 2_000, 0), teacher)
    assert sizes[:2] == [4, 64]  # to know it by
    assert sizes[2] <= 64
    assert max(sizes) == 200
    sizes.clear()
    now[0] = 0.0

    def slow(rows: np.ndarray) -> np.ndarray:
        sizes.append(len(rows))
        now[0] += 3.0 * len(rows)
        return rows[:, 0]

    ask(stream(Munge(), X, 5, 0), slow)
    assert sizes == [4, 1, 1, 1, 1, 1, 1]


# --- kill -9 -------------------------------------------------------------------------------------------------

LABELLING = """
import sys, time
import numpy as np
from limbeck.queries import Munge, _asking, _teacher_calls, ask, stream

_asking.CHUNK_S, _teacher_calls.CHUNK_S = 0.05, 1e9
X = np.load(sys.argv[3])
log = open(sys.argv[2], "a")

def teacher(rows):
    for row in rows:
        log.write(repr(tuple(row.tolist())) + "\\n")
    log.flush()
    time.sleep(0.0004 * len(rows))
    return np.column_stack([rows[:, 0] * rows[:, 1], rows.sum(axis=1)])

answers = ask(stream(Munge(), X, 3000, 0, batch_rows=700), teacher, sys.argv[1])
print(answers.asked, answers.reused, answers.probed)
"""


def labelling(folder: Path, log: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LABELLING, str(folder), str(log), str(folder.parent / "X.npy")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    uninterrupted = ask(stream(Munge(), X, 3_000, 0, batch_rows=700), truth, tmp_path / "whole")
    folder, log = tmp_path / "killed", tmp_path / "killed.log"
    np.save(tmp_path / "X.npy", X)
    chance, kills = random.Random(), 0
    for share in sorted(chance.uniform(0.05, 0.95) for _ in range(2)):
        with labelling(folder, log) as process:
            enough = int(share * 3000)
            watcher = threading.Event()
            while process.poll() is None and len(lines(log)) < enough:
                watcher.wait(0.003)
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
    with labelling(folder, log) as process:
        assert process.stdout is not None
        asked, reused, _ = map(int, process.stdout.read().split())
    assert process.returncode == 0
    answered = read_answers(folder)
    np.testing.assert_array_equal(answered.table()[0].values, uninterrupted.table()[0].values)
    assert answered.table()[1].tobytes() == uninterrupted.table()[1].tobytes()
    for part in folder.glob("part-*.parquet"):
        assert part.read_bytes() == (tmp_path / "whole" / part.name).read_bytes()
    assert asked + reused <= 3000
    probes = set(lines(log)[:PROBED])
    times: dict[str, int] = {}
    for line in lines(log):
        times[line] = times.get(line, 0) + (line not in probes)
    again = sum(count - 1 for count in times.values() if count > 1)
    largest_chunk = int(0.05 / 0.0004) + 1
    assert again <= kills * largest_chunk  # only chunks in flight
    assert sum(times.values()) <= uninterrupted.asked + kills * largest_chunk
    assert kills


def test_a_teacher_that_takes_long_for_one_row_is_not_asked_row_by_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from limbeck.queries import _asking, _teacher_calls

    calls: list[int] = []

    def slow_to_start(rows: np.ndarray) -> np.ndarray:
        calls.append(len(rows))
        time.sleep(0.02 if len(calls) < 4 else 0.06)  # a busier machine than when it was probed
        return rows[:, 0]

    for module in (_asking, _teacher_calls):
        monkeypatch.setattr(module, "CHUNK_S", 0.01)
    X = np.random.default_rng(0).normal(size=(100, 2))
    ask(stream(Munge(), X, 3_000, seed=0), slow_to_start, tmp_path / "answers")
    assert len(calls) < 12
    assert max(calls) > 1_000
