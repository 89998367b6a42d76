"""The bill: planted sizes, times and memory are found; what fails loses nothing; the forms of a student."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from limbeck import _bill_forms, _bill_programs, as_teacher
from limbeck._bill import measure_bill
from limbeck._bill_forms import Form, entry_of
from limbeck._core import measuring
from limbeck._core.errors import InputError
from limbeck._core.measuring import RESIDENT, TRACED, machine_text, median_seconds, one_native_thread, peak_above
from limbeck._core.tables import Table
from limbeck.readable import pack
from limbeck.students import TreeRegressor
from limbeck.teachers._size import dumped_size, file_size, module_size
from limbeck.teachers._threads import one_booster_thread, one_job
from report_runs import MIXED, classifier, grown_tree, rows_of, rule_set, small_network

RNG = np.random.default_rng(3)
X = RNG.uniform(-1, 1, size=(400, 3))
ROWS = Table.read(X)
TREE = TreeRegressor(max_leaf_nodes=5, random_state=0).fit(X, X[:, 0] > 0).readable_
MEGABYTE = 2**20
NUMBERS = ("rows_per_second_1", "rows_per_second_10000", "microseconds_1", "milliseconds_10000", "peak_bytes")


class Planted:
    """A fitted model of known size, delay and memory."""

    def __init__(
        self, a_call: float = 0.0, a_row: float = 0.0, holds: int = 0, takes: int = 0, spoilt: str = ""
    ) -> None:
        self.a_call, self.a_row, self.takes, self.spoilt = a_call, a_row, takes, spoilt
        self.weights = np.ones(holds // 8)

    def predict(self, rows: Any) -> np.ndarray:
        time.sleep(self.a_call + self.a_row * len(rows))
        if self.takes:
            np.ones(self.takes // 8).sum()
        if self.spoilt == "NaN":
            return np.full(len(rows), np.nan)
        if self.spoilt == "raises" or (self.spoilt == "raises on many" and len(rows) > 1_000):
            raise ZeroDivisionError("out of order")
        return np.asarray(rows)[:, 0]


def planted(**known: Any) -> Any:
    model = Planted(**{**known, "spoilt": ""})
    teacher = as_teacher(model, task="regression", rows=X)
    model.spoilt = known.get("spoilt", "")
    return teacher


def bill(teacher: Any, students: Any = None, **more: Any) -> dict[str, Any]:
    return measure_bill(teacher, students or {}, ROWS, **{"seconds": 0.02, "compiled": False, **more})


def test_a_planted_delay_is_found_and_told_from_one_twice_as_long() -> None:
    one = bill(planted(a_call=0.004, a_row=20e-6))["entries"][0]
    two = bill(planted(a_call=0.008, a_row=40e-6))["entries"][0]
    assert 0.004 < one["microseconds_1"] / 1e6 < 0.004 * 1.5
    assert 0.204 < one["milliseconds_10000"] / 1e3 < 0.204 * 1.5
    for key in ("microseconds_1", "milliseconds_10000"):
        assert two[key] / one[key] > 1.5, key
        assert two[key] / one[key] < 2.5, key
    assert one["rows_per_second_1"] == pytest.approx(1e6 / one["microseconds_1"], rel=1e-3)
    assert one["rows_per_second_10000"] == pytest.approx(1e7 / one["milliseconds_10000"], rel=1e-3)


@pytest.mark.parametrize("size", [1, 20])
def test_a_planted_size_is_found(size: int) -> None:
    entry = bill(planted(holds=size * MEGABYTE))["entries"][0]
    assert size * MEGABYTE < entry["bytes"] < 1.01 * size * MEGABYTE
    assert entry["bytes_of"] == "what joblib.dump would write, uncompressed"


def test_planted_memory_is_found() -> None:
    large = bill(planted(takes=50 * MEGABYTE), {"tree": TREE})
    assert 50 * MEGABYTE / 1.5 < large["entries"][0]["peak_bytes"] < 50 * MEGABYTE * 1.5
    assert bill(planted(takes=MEGABYTE))["entries"][0]["peak_bytes"] < 5 * MEGABYTE
    assert large["ratios"][0]["less_memory"] > 5


@pytest.mark.parametrize("traced", [False, True])
def test_memory_is_seen_on_every_system(monkeypatch: pytest.MonkeyPatch, traced: bool) -> None:
    if traced:
        monkeypatch.setattr(measuring, "CLEAR", Path("/proc/does/not/exist"))
    elif not sys.platform.startswith("linux"):
        pytest.skip("the kernel of Linux is asked")
    large = peak_above(lambda: np.ones(50 * MEGABYTE // 8).sum())
    small = peak_above(lambda: np.ones(MEGABYTE // 8).sum())
    again = peak_above(lambda: np.ones(50 * MEGABYTE // 8).sum())  # what was freed and is used again counts again
    assert large.how == (TRACED if traced else RESIDENT)
    for peak in (large, again):
        assert 50 * MEGABYTE / 1.5 < peak.bytes < 50 * MEGABYTE * 1.5
    assert small.bytes < 5 * MEGABYTE
    assert (large.seconds is None) == traced
    assert large.result == 50 * MEGABYTE // 8


def test_the_word_of_traced_memory_is_in_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CLEAR", Path("/proc/does/not/exist"))
    assert "tracemalloc" in bill(planted())["entries"][0]["note"]


def test_a_call_is_timed_by_its_median() -> None:
    seen: list[int] = []

    def call(i: int) -> None:
        seen.append(i)
        time.sleep(0.04 if i == 0 else 0.02 if i == 3 else 0.002)

    took, calls = median_seconds(call, seconds=0.05)
    assert 0.002 < took < 0.01  # neither the first call nor one slow one counts
    assert calls >= 3
    assert seen == list(range(len(seen)))
    assert median_seconds(lambda i: time.sleep(0.03), seconds=0.001)[1] >= 3
    assert median_seconds(lambda i: None, seconds=10.0, most=5)[1] > 50  # quick ones in blocks, and not for ever


def test_a_teacher_too_slow_is_asked_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bill_forms, "MOST_SECONDS", 0.5)
    asked: list[int] = []

    def slow(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        time.sleep(0.05 + 0.001 * len(rows))
        return rows[:, 0]

    teacher = as_teacher(slow, task="regression", rows=X)
    asked.clear()
    entry = bill(teacher)["entries"][0]
    assert max(asked) == 100
    assert 10.05 / 1.5 < entry["milliseconds_10000"] / 1e3 < 10.05 * 1.5
    assert "100 were asked, and time is scaled" in entry["note"]
    assert entry["peak_bytes"] is not None


def test_the_document_is_plain_and_whole() -> None:
    found = bill(planted(a_call=0.002, holds=MEGABYTE), {"tree": TREE, "other": TREE}, compiled=False)
    assert found == json.loads(json.dumps(found, allow_nan=False))
    assert {key: found[key] for key in ("rows", "columns", "threads")} == {"rows": 10_000, "columns": 3, "threads": 1}
    assert found["machine"] == machine_text()
    assert [(e["name"], e["form"]) for e in found["entries"]] == [
        ("teacher", "test_bill" if Planted.__module__ == "test_bill" else Planted.__module__.partition(".")[0]),
        ("tree", "NumPy"),
        ("other", "NumPy"),
    ]
    for entry in found["entries"]:
        assert set(entry) == {"name", "form", "bytes", "bytes_of", "note", *NUMBERS}
    first = found["ratios"][0]
    teacher, tree = found["entries"][:2]
    assert set(first) == {"name", "form", "smaller", "faster_1", "faster_10000", "less_memory"}
    assert first["smaller"] == pytest.approx(teacher["bytes"] / tree["bytes"], rel=1e-3)
    assert first["faster_1"] == pytest.approx(tree["rows_per_second_1"] / teacher["rows_per_second_1"], rel=1e-3)
    assert first["less_memory"] is None  # neither takes memory that is seen


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ("NaN", "could not be asked: the model Planted must answer with finite numbers; 1 of 1"),
        ("raises", "could not be asked: ZeroDivisionError: out of order"),
    ],
)
def test_a_teacher_that_fails_loses_nothing(spoilt: str, sentence: str) -> None:
    found = bill(planted(spoilt=spoilt, holds=MEGABYTE), {"tree": TREE})
    teacher, tree = found["entries"]
    assert sentence in teacher["note"]
    assert [teacher[key] for key in NUMBERS] == [None] * 5
    assert teacher["bytes"] > MEGABYTE
    assert all(tree[key] is not None for key in NUMBERS)
    assert found["ratios"][0]["faster_1"] is None
    assert found["ratios"][0]["smaller"] is not None


def test_what_was_measured_before_a_failure_stays() -> None:
    entry = bill(planted(spoilt="raises on many"))["entries"][0]
    assert entry["microseconds_1"] is not None
    assert entry["milliseconds_10000"] is None
    assert "could not be asked for more than one row: ZeroDivisionError" in entry["note"]


def test_ctrl_c_goes_through_and_leaves_the_model_as_it_was() -> None:
    forest = RandomForestRegressor(3, n_jobs=2, random_state=0).fit(X, X[:, 0])
    teacher = as_teacher(forest, rows=X)
    own = forest.predict

    def cut(rows: Any) -> Any:
        raise KeyboardInterrupt("cut")

    forest.predict = cut
    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt, match="cut"):
        bill(teacher)
    forest.predict = own
    assert forest.n_jobs == 2
    assert torch.get_num_threads() == threads


def test_a_function_has_no_size() -> None:
    entry = bill(as_teacher(lambda rows: rows[:, 0], task="regression", rows=X), {"tree": TREE})
    assert entry["entries"][0]["bytes"] is None
    assert entry["entries"][0]["bytes_of"] == "a function: what it holds can't be seen"
    assert entry["ratios"][0]["smaller"] is None
    assert entry["ratios"][0]["faster_1"] > 0


def test_a_model_that_can_not_be_written_has_no_size() -> None:
    model = Planted()
    model.never = lambda: None  # type: ignore[attr-defined]
    size, why = dumped_size(model)
    assert size is None
    assert why.startswith("the model can't be written: ")


def test_counting_is_what_joblib_writes(tmp_path: Path) -> None:
    import joblib

    forest = RandomForestRegressor(5, random_state=0).fit(X, X[:, 0])
    joblib.dump(forest, tmp_path / "forest.joblib")
    assert dumped_size(forest)[0] == pytest.approx((tmp_path / "forest.joblib").stat().st_size, rel=0.001)
    (tmp_path / "one").write_bytes(b"12345")
    assert file_size(tmp_path / "one") == (5, "its file")
    assert file_size(tmp_path / "one", tmp_path / "one") == (10, "its files")
    assert file_size(tmp_path / "none")[0] is None


def test_a_module_weighs_its_numbers() -> None:
    layer = torch.nn.Linear(3, 7)
    shared = torch.nn.Sequential(layer, torch.nn.ReLU(), torch.nn.Linear(7, 3), layer, torch.nn.BatchNorm1d(7))
    assert module_size(shared)[0] == 4 * (28 + 24 + 4 * 7) + 8
    teacher = as_teacher(torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.Linear(7, 1)), task="regression", rows=X)
    before = torch.random.get_rng_state()
    entry = bill(teacher)["entries"][0]
    assert (entry["form"], entry["bytes"]) == ("torch", 4 * 36)
    assert all(entry[key] is not None for key in NUMBERS)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_nothing_is_left_behind() -> None:
    teacher = as_teacher(RandomForestRegressor(3, n_jobs=2, random_state=0).fit(X, X[:, 0]), rows=X)
    asked, state = teacher.rows_asked, random.getstate()
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
    entry = bill(teacher)["entries"][0]
    assert entry["form"] == "scikit-learn"
    assert teacher.rows_asked == asked
    assert random.getstate() == state
    assert np.random.get_state()[1].tolist() == numbers  # noqa: NPY002


def test_estimators_inside_have_one_job() -> None:
    model = make_pipeline(StandardScaler(), VotingRegressor([("forest", RandomForestRegressor(3))])).fit(X, X[:, 0])
    inside = [model[-1], model[-1].estimators_[0], model[-1].estimators[0][1]]
    for one, jobs in zip(inside, [3, 2, 2], strict=True):
        one.n_jobs = jobs
    with one_job(model):
        assert [one.n_jobs for one in inside] == [1, 1, 1]
    assert [one.n_jobs for one in inside] == [3, 2, 2]
    with pytest.raises(ValueError, match="lost"), one_job(model):
        raise ValueError("lost")
    assert [one.n_jobs for one in inside] == [3, 2, 2]
    with one_job(object()):  # a model without attributes
        pass


def test_threads_of_boosters_come_back() -> None:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBRegressor(n_estimators=3, n_jobs=2).fit(X, X[:, 0])

    def threads() -> int:
        return int(json.loads(model.get_booster().save_config())["learner"]["generic_param"]["nthread"])

    before = threads()
    with one_job(model):
        assert threads() == 1
    assert threads() == before
    with one_booster_thread(model.get_booster()):
        assert threads() == 1
    entry = bill(as_teacher(model.get_booster(), rows=X))["entries"][0]
    assert entry["form"] == "XGBoost"
    assert all(entry[key] is not None for key in NUMBERS)


def test_native_threads_come_back() -> None:
    threads = torch.get_num_threads()
    with one_native_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_files_weigh_their_bytes(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "tree.onnx"
    data = TREE.export("onnx")
    assert isinstance(data, bytes)
    path.write_bytes(data)
    teacher = as_teacher(path, task="regression", rows=X)
    entry = bill(teacher)["entries"][0]
    assert (entry["form"], entry["bytes"], entry["bytes_of"]) == ("ONNX", len(data), "its file")
    assert all(entry[key] is not None for key in NUMBERS)
    model = onnx.load_from_string(data)
    large = onnx.numpy_helper.from_array(np.zeros((300, 300)), "large")
    model.graph.initializer.append(large)
    onnx.save(model, tmp_path / "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    both = sum((tmp_path / name).stat().st_size for name in ("split.onnx", "weights.bin"))
    size = as_teacher(tmp_path / "split.onnx", task="regression", rows=X).source.size
    assert size is not None
    assert size() == (both, "its files")


def test_preparing_is_not_in_the_times() -> None:
    """`preprocess` takes 30 ms here, the model nothing."""

    def preprocess(rows: Any) -> np.ndarray:
        time.sleep(0.03)
        return np.asarray(rows)

    teacher = as_teacher(lambda rows: rows[:, 0], task="regression", preprocess=preprocess, batch_rows=6_000, rows=X)
    one = X[:3]
    entry = measure_bill(teacher, {}, Table.read(one), seconds=0.02)["entries"][0]
    assert entry["microseconds_1"] < 15_000
    assert entry["note"] == "asked in batches of 6,000 rows, as batch_rows says; preprocess is not in the times"


STUDENTS: dict[str, Callable[[], Any]] = {
    "tree": lambda: grown_tree(MIXED, ("low", "high"), "classification", 3),
    "network": lambda: small_network(MIXED, ("prediction",), "regression", (6,)),
    "formula": lambda: classifier(MIXED, ("low", "middle", "high"), "softmax"),
    "rules": lambda: rule_set(MIXED, ("prediction",), "regression"),
}


@pytest.mark.parametrize("name", STUDENTS)
def test_every_export_is_on_the_bill(name: str) -> None:
    rows = Table(MIXED, rows_of(MIXED, 300, 1))
    entries = _bill_programs.program_entries(name, STUDENTS[name](), rows, np.arange(10_000) % 300, 0.01)
    forms = {entry["form"].partition(" ")[0].rstrip(",") for entry in entries}
    assert {"C", "JavaScript"} <= forms
    for entry in entries:
        assert entry["bytes"] > 100
        runs = {"C": shutil.which("gcc"), "J": shutil.which("node"), "O": True}[entry["form"][0]]
        assert (entry["microseconds_1"] is not None) == bool(runs), entry
        assert (entry["milliseconds_10000"] is not None) == bool(runs), entry


def test_a_program_that_answers_otherwise_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, own = Table(MIXED, rows_of(MIXED, 300, 1)), TreeReadableWith
    entries = _bill_programs.program_entries("tree", own(), rows, np.arange(10_000) % 300, 0.01)
    assert len(entries) >= 2
    for entry in entries:
        assert "differ from the student's own" in entry["note"] or "not " in entry["note"], entry
        assert entry["milliseconds_10000"] is None
        assert entry["microseconds_1"] is None


def TreeReadableWith() -> Any:
    """A tree whose programs are those of another tree."""
    tree, other = STUDENTS["tree"](), grown_tree(MIXED, ("low", "high"), "classification", 1, 5)
    object.__setattr__(tree, "export", other.export)
    return tree


def test_without_compiler_or_node_sizes_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bill_programs.shutil, "which", lambda name: None)
    monkeypatch.setattr(_bill_programs, "find_spec", lambda name: None)
    entries = _bill_programs.program_entries("tree", TREE, ROWS, np.arange(400), 0.01)
    assert [entry["form"] for entry in entries] == ["C", "JavaScript"]
    assert ["not compiled: no C compiler" in entries[0]["note"], entries[1]["note"]] == [
        True,
        "not timed: node was not found",
    ]
    assert all(entry["bytes"] > 0 and entry["microseconds_1"] is None for entry in entries)


def test_what_is_too_large_is_not_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bill_programs, "MOST_SYMBOLS", 3)
    entries = _bill_programs.program_entries("tree", TREE, ROWS, np.arange(400), 0.01)
    assert len(entries) == 1
    assert "symbols are more than 3" in entries[0]["note"]
    monkeypatch.setattr(_bill_programs, "MOST_SYMBOLS", 10_000)
    monkeypatch.setattr(_bill_programs, "MOST_SOURCE", 3)
    entry = _bill_programs.program_entries("tree", TREE, ROWS, np.arange(400), 0.01)[0]
    assert "more than 3" in entry["note"]


@pytest.mark.parametrize("compiler", ["exit 1", "sleep 5"], ids=["fails", "hangs"])
def test_a_compiler_that_fails_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiler: str) -> None:
    path = tmp_path / "gcc"
    path.write_text(f"#!/bin/sh\n{compiler}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(_bill_programs, "COMPILE_SECONDS", 0.2)
    entry = _bill_programs.program_entries("tree", TREE, ROWS, np.arange(400), 0.01)[0]
    assert "gcc" in entry["note"]
    assert entry["microseconds_1"] is None


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf"), "1"], ids=str)
def test_seconds_must_be_a_time(seconds: Any) -> None:
    with pytest.raises(InputError, match="seconds must be a number above 0"):
        bill(planted(), seconds=seconds)


def test_no_rows_no_bill() -> None:
    with pytest.raises(InputError, match=r"at least one row is required for the bill; got 0 rows"):
        measure_bill(planted(), {}, ROWS.take(np.arange(0)))


def test_one_row_is_enough_and_frames_are_asked_as_they_are() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "kind": ["x", "y"]})
    seen: set[str] = set()

    def teacher(rows: Any) -> np.ndarray:
        seen.add(type(rows).__name__)
        return np.asarray(rows["a"])

    table = Table.read(frame)
    found = measure_bill(as_teacher(teacher, task="regression", rows=table), {}, table.take(np.arange(1)), seconds=0.01)
    assert seen == {"DataFrame"}
    assert found["entries"][0]["milliseconds_10000"] is not None
    assert found["columns"] == 3


def test_progress_is_reported() -> None:
    told: list[tuple[int, int]] = []
    bill(planted(), {"one": TREE, "two": TREE}, report=lambda what, done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_form_that_can_not_be_asked_has_its_bytes() -> None:
    entry = entry_of(Form("a", "b", 7, "words", None, lambda answer, index: None, "why"), np.arange(3), 0.1)
    assert (entry["bytes"], entry["note"]) == (7, "why")
    assert [entry[key] for key in NUMBERS] == [None] * 5


def test_a_student_in_numpy_is_measured() -> None:
    network = small_network(ROWS.schema, ("prediction",), "regression", (8,))
    entry = bill(planted(), {"network": network})["entries"][1]
    assert (entry["bytes"], entry["bytes_of"]) == (len(pack(network)), "its compact file")
    assert all(entry[key] is not None for key in NUMBERS)
    assert entry["note"] is None
