"""The study of smooth teachers: trials paired and fair, a journal that survives kills, one answer in any order."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest

from limbeck import _study_run, datasets
from limbeck._core.errors import InputError, StorageError
from limbeck._core.journal import Journal, only_process
from limbeck._core.tables import Table
from limbeck._study import Study, read_study, study_smooth_teachers
from limbeck._study_document import build_document
from limbeck._study_run import JOURNAL, LOCK, Wanted, run_study
from limbeck._study_sets import QUICK_SETS, SETS, named_sets, read_set
from limbeck._study_trial import ARMS, NOT_FINITE, Protocol, draw_rows, r_squared, run_trial
from limbeck._study_verdict import LABELS
from limbeck.report import render_study
from running_cli import limbeck
from study_trials import Counting, drawn, reached

BUILT_IN = ("diabetes", "concrete")
TINY = Protocol(max_rows=60, max_evaluations=300, max_complexity=8, hidden=(4,), max_epochs=2)
HERE = Path(__file__).resolve()


def run(folder: Path, trial: Any = drawn, trials: int | None = 4, sets: Any = BUILT_IN, **more: Any) -> Any:
    return run_study(Wanted(sets, trials), TINY, folder, n_jobs=1, trial=trial, **more)


# The sets and the numbers


def test_the_list_is_fixed() -> None:
    assert len(SETS) == len(set(SETS)) == 20
    assert {"airfoil", "grid_stability", "real_estate", "ai4i2020", "auto_mpg", "automobile"} <= set(SETS)
    assert set(QUICK_SETS) < set(SETS)
    assert len(QUICK_SETS) == 5
    assert tuple(LABELS) == ARMS


def test_every_set_is_there_and_holds_numbers() -> None:
    known = set(datasets.available().name)
    if not set(SETS) <= known:
        pytest.skip("no data folder with the study's sets is beside the repository")
    for name in SETS:
        found = read_set(name)
        n, d = found.table.shape
        assert 190 <= n <= 54_000
        assert 4 <= d <= 24
        assert np.isfinite(found.y).all()
        assert np.ptp(found.y) > 0
    assert "machine_failure" not in read_set("ai4i2020").table.schema.names
    assert "cooling_load" not in read_set("energy_efficiency").table.schema.names


def test_a_table_that_changed_has_another_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    mark = read_set("diabetes").mark
    assert read_set("diabetes").mark == mark
    whole = datasets.load("diabetes")
    swapped = whole.frame.iloc[[1, 0, *range(2, len(whole.frame))]]
    monkeypatch.setattr(datasets, "load", lambda name: datasets.Dataset(name, swapped, "progression", "", "", "", ""))
    assert read_set("diabetes").mark != mark


@pytest.mark.parametrize(
    ("sets", "match"),
    [
        (["airfoils"], "Did you mean 'airfoil'"),
        ("airfoil", "a list of names"),
        ([], "at least one name"),
        (["yacht", "yacht"], "none twice"),
    ],
)
def test_bad_sets(sets: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        named_sets(sets)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"trials": 0}, "trials must be a whole number of at least 1, or None; got 0"),
        ({"trials": 2.5}, "trials must be"),
        ({"random_state": -1}, "random_state must be a whole number of at least 0"),
        ({"random_state": True}, "random_state must be"),
        ({"n_queries": -5}, "n_queries must be"),
        ({"max_rows": 10}, "max_rows must be a whole number of at least 40"),
        ({"quick": True, "trials": 3}, "quick stands for five sets and five trials"),
    ],
)
def test_bad_numbers(tmp_path: Path, more: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        study_smooth_teachers(folder=tmp_path / "study", **more)
    assert not (tmp_path / "study").exists()


# One trial


def test_rows_follow_from_seed_set_and_trial_alone() -> None:
    rows = draw_rows(TINY, "yacht", 3, 308)
    assert len(set(rows)) == len(rows) == 60
    np.testing.assert_array_equal(rows, draw_rows(TINY, "yacht", 3, 308))
    others = [
        draw_rows(TINY, "yacht", 4, 308),
        draw_rows(TINY, "airfoil", 3, 308),
        draw_rows(Protocol(seed=1, max_rows=60), "yacht", 3, 308),
    ]
    assert all((rows != other).any() for other in others)


class Spy:
    """Teachers and students that note what they were given; a teacher answers y + 10, a student a line's start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.teachers: list[dict[str, Any]] = []
        self.students: list[dict[str, Any]] = []
        spy = self

        class Teacher:
            def __init__(self, **given: Any) -> None:
                self.given = given

            def fit(self, X: Table, y: np.ndarray) -> Teacher:
                spy.teachers.append({**self.given, "X": X.values, "y": y})
                return self

            def predict(self, X: Table) -> np.ndarray:
                return np.asarray(X.values[:, 0] + 10.0)

            smoothness_ = SimpleNamespace(mean_jacobian=1.5)

        class Student:
            class readable_:  # noqa: N801
                complexity = 3

                @staticmethod
                def text() -> str:
                    return "prediction = x0"

            def __init__(self, **given: Any) -> None:
                self.given = given
                self.asked: list[np.ndarray] = []

            def fit(self, X: Table, y: np.ndarray) -> Student:
                self.number = len(spy.students)
                spy.students.append({**self.given, "X": X.values, "y": y, "asked": self.asked})
                return self

            def predict(self, X: Table) -> np.ndarray:
                self.asked.append(X.values)
                # the second of each arm's three is the best
                return np.asarray(X.values[:, 0] + (0.0 if self.number % 3 == 1 else 0.3))

        monkeypatch.setattr("limbeck.teachers.SmoothTeacher", Teacher, raising=False)
        monkeypatch.setattr("limbeck.students.FormulaRegressor", Student)


def line(n: int = 100) -> tuple[Table, np.ndarray]:
    X = np.random.default_rng(0).normal(size=(n, 2))
    return Table.read(X), X[:, 0].copy()


def test_every_arm_has_the_same_rows_seeds_and_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch)
    table, y = line()
    record = run_trial(Protocol(), "yacht", 0, table, y)
    assert list(record["arms"]) == list(ARMS)
    assert [one["penalty"] for one in spy.teachers] == ["none"] * 3 + ["jacobian"] * 3 + ["lipschitz"] * 3
    assert [one["strength"] for one in spy.teachers] == [0.0] * 3 + [0.001, 0.01, 0.1] * 2
    for one in spy.teachers:
        np.testing.assert_array_equal(one["X"], table.values[:60])
        np.testing.assert_array_equal(one["y"], y[:60])
    seeds = [one["random_state"] for one in spy.students]
    assert seeds == seeds[:3] * 4
    assert len(set(seeds)) == 3
    assert len({(one["max_evaluations"], one["max_complexity"]) for one in spy.students}) == 1
    for i, one in enumerate(spy.students):
        np.testing.assert_array_equal(one["X"], table.values[:60])
        np.testing.assert_array_equal(one["y"], y[:60] if i < 3 else y[:60] + 10.0)


def test_the_best_by_validation_alone_sees_the_test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch)
    table, y = line()
    record = run_trial(Protocol(), "yacht", 0, table, y)
    for i, one in enumerate(spy.students):
        np.testing.assert_array_equal(one["asked"][0], table.values[60:80])
        assert len(one["asked"]) == (2 if i % 3 == 1 else 1)
    for arm, found in record["arms"].items():
        assert found["r2"] == 1.0
        assert found["strength"] == (None if arm == "direct" else 0.0 if arm == "plain" else 0.01)
        assert (found["fidelity"] is None) == (arm == "direct")
        assert found["slope"] == (None if arm == "direct" else 1.5)
        assert [one["validation_r2"] < 1.0 for one in found["tried"]] == [True, False, True]


def test_queries_are_labelled_by_teachers_and_are_no_held_out_row(monkeypatch: pytest.MonkeyPatch) -> None:
    spy = Spy(monkeypatch)
    table, y = line()
    run_trial(Protocol(n_queries=300), "yacht", 0, table, y)
    assert [len(one["X"]) for one in spy.students] == [60] * 3 + [360] * 9
    held = {tuple(row) for row in table.values[60:]}
    assert not held & {tuple(row) for row in spy.students[3]["X"]}
    np.testing.assert_array_equal(spy.students[3]["y"], spy.students[3]["X"][:, 0] + 10.0)
    assert all(len(one["X"]) == 60 for one in spy.teachers)


def test_a_part_whose_target_does_not_vary_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    Spy(monkeypatch)
    table, y = line()
    y[80:] = 1.0
    with pytest.raises(InputError, match="the 20 test rows of trial 7 of yacht must differ in y; they do not"):
        run_trial(Protocol(), "yacht", 7, table, y)


def test_r_squared() -> None:
    y = np.array([0.0, 1.0, 2.0, 5.0])
    assert r_squared(y, y) == 1.0
    assert r_squared(y, np.full(4, 2.0)) == 0.0
    assert r_squared(y, np.array([0.0, np.nan, 2.0, 5.0])) == NOT_FINITE
    assert r_squared(y, np.array([0.0, np.inf, 2.0, 5.0])) == NOT_FINITE
    assert r_squared(y, np.full(4, 1e200)) == NOT_FINITE
    assert r_squared(np.ones(3), np.ones(3)) == 1.0
    assert r_squared(np.ones(3), np.zeros(3)) == NOT_FINITE


# The journal


def test_it_goes_on_where_it_ended_and_runs_each_trial_once(tmp_path: Path) -> None:
    whole, _ = run(tmp_path / "whole")
    first, second, third = Counting(interrupt_at=3), Counting(), Counting()
    document, complete = run(tmp_path / "cut", first)
    assert not complete
    assert document["progress"]["done"] == 3
    assert "3 of 8 trials are done: the study is not finished." in document["verdict"]
    document, complete = run(tmp_path / "cut", second, None, None, resume=True)
    assert complete
    assert document == whole
    assert sorted(first.calls + second.calls) == sorted((name, t) for name in BUILT_IN for t in range(4))
    assert run(tmp_path / "cut", third, None, None, resume=True)[0] == whole
    assert third.calls == []
    assert read_study(tmp_path / "cut") == Study(tmp_path / "cut", whole)


def test_a_part_of_the_study_is_balanced(tmp_path: Path) -> None:
    trial = Counting(interrupt_at=5)
    run(tmp_path, trial)
    assert trial.calls == [("diabetes", 0), ("concrete", 0), ("diabetes", 1), ("concrete", 1), ("diabetes", 2)]


def test_more_trials_and_sets_can_be_asked_for_later(tmp_path: Path) -> None:
    run(tmp_path, sets=("diabetes",), trials=2)
    more = Counting()
    document, _ = run(tmp_path, more, 3, ("concrete",), resume=True)
    assert more.calls == [("concrete", 0), ("concrete", 1), ("concrete", 2)]
    assert document["progress"] == {"done": 5, "planned": 6, "failed": [], "clipped": 0}
    assert [one["trials"] for one in document["sets"]] == [2, 3]


def test_a_trial_that_fails_is_kept_and_said_and_run_again_only_where_asked(tmp_path: Path) -> None:
    document, complete = run(tmp_path, Counting(fail=(1,)))
    assert complete
    assert document["progress"]["failed"] == [
        {"set": name, "trial": 1, "what": f"LimbeckError: planted in {name}"} for name in BUILT_IN
    ]
    assert "6 of 8 trials are done, 2 failed and are left out." in document["verdict"]
    assert [one["trials"] for one in document["sets"]] == [3, 3]
    again, retried = Counting(), Counting()
    assert run(tmp_path, again, resume=True)[0] == document
    assert again.calls == []
    document, _ = run(tmp_path, retried, resume=True, retry=True)
    assert retried.calls == [(name, 1) for name in BUILT_IN]
    assert document == run(tmp_path.with_name("undisturbed"))[0]


def test_a_folder_with_a_study_is_not_begun_anew(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(InputError, match=r"has a study, with 8 of 8 trials; add resume \(--resume\) to go on"):
        run(tmp_path)
    with pytest.raises(InputError, match="there is no study to go on with"):
        run(tmp_path / "none", resume=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="is a file; a folder is required"):
        run(tmp_path / "file")
    with pytest.raises(InputError, match="there is no study to go on with"):
        read_study(tmp_path / "none")


def test_another_seed_or_protocol_does_not_mix(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(InputError, match=r"has seed 0 \(asked: 7\); leave those out, or give another folder"):
        run_study(Wanted(None, None, {"seed": 7}), TINY, tmp_path, resume=True, trial=drawn)
    with pytest.raises(InputError, match=r"has max_evaluations 300 \(asked: 60000\)"):
        run_study(Wanted(), Protocol(max_rows=60, max_complexity=8, hidden=(4,), max_epochs=2), tmp_path, resume=True)


def test_a_study_that_goes_on_takes_its_own_seed(tmp_path: Path) -> None:
    run_study(Wanted(("diabetes",), 1, {"seed": 7, "n_queries": 3}), TINY, tmp_path, trial=drawn)
    document, _ = run_study(Wanted(None, 2), TINY, tmp_path, resume=True, trial=drawn)
    assert (document["settings"]["seed"], document["settings"]["n_queries"]) == (7, 3)
    assert document["progress"]["done"] == 2


def test_a_table_that_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tmp_path, trials=1)
    monkeypatch.setattr(_study_run, "read_set", lambda name: read_set("concrete"))
    assert run(tmp_path, trials=1, resume=True)[1], "nothing is to be run, so nothing is read"
    with pytest.raises(InputError, match=r"the table \w+ is not the one that the study in .* has"):
        run(tmp_path, trials=2, resume=True)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    run(tmp_path, trials=1)
    with (
        only_process(tmp_path / LOCK, "running the study"),
        pytest.raises(StorageError, match="another process is running the study"),
    ):
        run(tmp_path, trials=2, resume=True)


# Kills and processes

SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from limbeck._study_run import Wanted, run_study
from limbeck._study_trial import Protocol
from study_trials import drawn_slowly
run_study(Wanted(("concrete",), 120), Protocol(), {folder!r}, resume={resume}, n_jobs=1, trial=drawn_slowly)
"""


def test_kill_9_loses_and_doubles_nothing(tmp_path: Path) -> None:
    folder, before = tmp_path / "cut", 0
    for resume in (False, True):
        before = killed(folder, resume, before + 3)
    wanted = Wanted(("concrete",), 120)
    whole, _ = run_study(wanted, Protocol(), tmp_path / "whole", n_jobs=1, trial=drawn)
    counting = Counting()
    document, complete = run_study(Wanted(), Protocol(), folder, resume=True, n_jobs=1, trial=counting)
    assert complete
    assert before >= 6
    assert len(counting.calls) == len(set(counting.calls)) == 120 - before
    assert document == whole


def killed(folder: Path, resume: bool, least: int) -> int:
    """How many trials the journal holds after the study was killed at some moment after `least` of them."""
    code = SCRIPT.format(folder=str(folder), tests=str(HERE.parents[1]), resume=resume)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    end = time.monotonic() + 90.0
    while time.monotonic() < end and process.poll() is None and trials_in(folder) < least:
        time.sleep(0.005)
    time.sleep(random.uniform(0.0, 0.1))
    process.send_signal(signal.SIGKILL)
    _, complaint = process.communicate()
    assert trials_in(folder) >= least, complaint.decode()
    return trials_in(folder)


def trials_in(folder: Path) -> int:
    if not (folder / JOURNAL).is_file():
        return 0
    with Journal(folder / JOURNAL) as journal:
        return max(0, len(journal) - 1)


def small(folder: Path) -> dict[str, Any]:
    """Two real trials, in the processes that joblib is told to use."""
    return run_study(Wanted(("concrete",), 2), TINY, folder)[0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    document = small(tmp_path_factory.mktemp("whole") / "study")
    assert document["progress"]["failed"] == []
    assert all(one["slope"] is not None for arm, one in document["sets"][0]["arms"].items() if arm != "direct")
    return document


def test_two_processes_give_what_one_process_gives(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    with joblib.parallel_config("loky", n_jobs=2):
        assert small(tmp_path / "loky") == undisturbed


def test_a_dask_cluster_gives_what_one_process_gives(tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra 'distributed' is not installed")
    how = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with (
        distributed.LocalCluster(**how, local_directory=str(tmp_path)) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config("dask"),
    ):
        assert small(tmp_path / "dask") == undisturbed


# The result


def test_the_document_is_what_the_page_takes(tmp_path: Path) -> None:
    document, _ = run(tmp_path, Counting(fail=(2,)), trials=12)
    study = Study(tmp_path, document)
    path = study.save()
    assert json.loads(path.read_text(encoding="utf-8")) == document
    assert document["kind"] == "study"
    assert [one["name"] for one in document["arms"]] == list(ARMS)
    assert [(c["arm"], c["against"], c["metric"]) for c in document["sets"][0]["comparisons"]] == [
        ("jacobian", "plain", "r2"),
        ("lipschitz", "plain", "r2"),
        ("plain", "direct", "r2"),
        ("jacobian", "direct", "r2"),
        ("lipschitz", "direct", "r2"),
        ("jacobian", "plain", "fidelity"),
        ("lipschitz", "plain", "fidelity"),
    ]
    assert len(document["points"]) == 2 * 11 * 4
    page = study.report().read_text(encoding="utf-8")
    assert page == render_study(document)
    assert "<script>0" not in page


def test_the_typical_formula_is_that_of_the_median_trial() -> None:
    trials = {"s": {t: {arm: reached(r2, arm) for arm in ARMS} for t, r2 in enumerate([0.1, 0.9, -7.0, 0.4])}}
    document = build_document({}, {"s": {"rows": 9, "columns": 2}}, trials, [], 4)
    assert document["sets"][0]["formulas"]["plain"]["trial"] == 0
    assert document["sets"][0]["arms"]["plain"]["r2"]["mean"] == pytest.approx((0.1 + 0.9 - 1.0 + 0.4) / 4)
    assert document["progress"]["clipped"] == 4
    assert "R2 below -1 counts as -1: 4 of 16." in document["verdict"]


def test_tables(tmp_path: Path) -> None:
    study = Study(tmp_path, run(tmp_path)[0])
    table = study.table()
    assert len(table) == 8
    assert table.loc[table["arm"] == "direct", "fidelity"].isna().all()
    comparisons = study.comparisons()
    assert len(comparisons) == 2 * 7 + 7
    assert set(comparisons["outcome"]) == {"too few"}


def test_progress_says_the_plan_and_what_is_left(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    run(tmp_path, progress=lambda *given: said.append(given))
    lines = [text for text, _, total in said if total == 0]
    assert lines[0].startswith(
        "plan: 8 trials of 2 sets, 12 formula searches and 9 networks each, in 1 process: about "
    )
    assert lines[1].startswith("1 of 8 trials, about ")
    assert said[-1] == ("trials", 8, 8)


# The command line


def study(*arguments: str, cwd: Path) -> Any:
    return limbeck("study", "smooth-teachers", "--jobs", "1", "--quiet", *arguments, cwd=cwd)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_study_run, "run_trial", drawn)
    ran = study("--sets", "diabetes,concrete", "--trials", "2", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "4 of 4 trials are done." in ran.stdout
    assert "too few" in ran.stdout
    assert (tmp_path / "runs/study/report.html").is_file()
    refused = study(cwd=tmp_path)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    ran = study("--resume", "--trials", "3", "--json", cwd=tmp_path)
    document = json.loads(ran.stdout)
    assert document["progress"]["done"] == 6
    assert document == json.loads((tmp_path / "runs/study/study.json").read_text(encoding="utf-8"))


def test_command_refuses(tmp_path: Path) -> None:
    ran = study("--sets", "diabets", cwd=tmp_path)
    assert ran.returncode == 2
    assert "Did you mean 'diabetes'?" in ran.stderr
    assert study("--trials", "0", cwd=tmp_path).returncode == 2
    assert not (tmp_path / "runs").exists()


def test_command_interrupted_and_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_study_run, "run_trial", Counting(interrupt_at=1))
    ran = study("--sets", "diabetes", "--trials", "3", cwd=tmp_path)
    assert ran.returncode == 130
    assert "go on with --resume" in ran.stderr
    monkeypatch.setattr(_study_run, "run_trial", Counting(fail=(0, 1)))
    ran = study("--sets", "diabetes", "--trials", "2", "--out", "other", cwd=tmp_path)
    assert ran.returncode == 1
    assert "every trial failed, the first with: LimbeckError: planted in diabetes" in ran.stderr
