"""The main path: what it returns, keeps, repeats, and says when something is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import limbeck
from limbeck import _distill, _rounds
from limbeck._core.errors import InputError, LimbeckError, StorageError, TeacherError
from limbeck._core.tables import Table
from limbeck._named_students import DEFAULT_STUDENTS, named_students
from limbeck.checks import Fidelity, Stability
from limbeck.students import FormulaRegressor, NetworkRegressor, TreeClassifier, TreeRegressor
from limbeck.students._predicting import StudentClassifier, StudentRegressor

RNG = np.random.default_rng(5)
X = RNG.uniform(-1, 1, size=(240, 3))
FAST = (Fidelity(), Stability(n_refits=2))


def steps(rows: np.ndarray) -> np.ndarray:
    return np.where(rows[:, 0] > 0.2, 3.0, np.where(rows[:, 1] > -0.3, 1.0, -2.0))


def quick(teacher: Any = steps, rows: Any = X, y: Any = None, **more: Any) -> limbeck.Distillation:
    given = {"students": ["tree"], "checks": FAST, "n_queries": 500, "task": "regression", "random_state": 0}
    return limbeck.distill(teacher, rows, y, **{**given, **more})


def small() -> dict[str, Any]:
    return {
        "tree": TreeRegressor(max_leaf_nodes=8),
        "formula": FormulaRegressor(max_evaluations=3_000, max_complexity=20),
        "network": NetworkRegressor(hidden_layer_sizes=(8,), max_epochs=20),
    }


def test_the_planted_tree_is_found_and_may_be_used() -> None:
    result = quick(n_queries=2_000)
    tree = result.candidates[0]
    assert tree.name == "tree"
    assert tree.readable.n_leaves == 3
    assert tree.verdict == "use"
    assert tree.finding("RC001").value > 0.98
    assert [finding.code for finding in tree.findings] == ["RC001", "RC004"]
    assert tree.readable.features_used == ("x0", "x1")


def test_noise_is_refused_in_words() -> None:
    noise = {tuple(row): value for row, value in zip(X.round(12), RNG.normal(size=len(X)), strict=True)}

    def teacher(rows: np.ndarray) -> np.ndarray:
        return np.array([noise.get(tuple(row), 0.1 * np.sin(1e6 * row.sum())) for row in np.asarray(rows).round(12)])

    tree = quick(teacher, n_queries=200).candidates[0]
    assert tree.finding("RC001").status == "fail"
    assert tree.verdict.startswith("do not use: it is not faithful")


def test_every_family_is_on_one_path_and_survives_the_folder(tmp_path: Path) -> None:
    y = steps(X) + 0.1 * RNG.normal(size=len(X))
    result = quick(y=y, students=small(), checks=None)
    assert [c.family for c in result.candidates] == ["tree", "formula", "network"]
    for candidate in result.candidates:
        assert [f.code for f in candidate.findings] == ["RC001", "RC002", "RC003", "RC004"]
        assert candidate.finding("RC001").details["truth"]["teacher"]["value"] > 0.9
        assert candidate.readable(X).shape == (240, 1)
    assert len(result["formula"].alternatives) >= 1
    again = limbeck.load(result.save(tmp_path / "run"))
    for old, new in zip(result.candidates, again.candidates, strict=True):
        assert new.findings == tuple(type(f).from_dict(json.loads(json.dumps(f.to_dict()))) for f in old.findings)
        assert np.array_equal(new.readable(X), old.readable(X))
        assert new.verdict == old.verdict
    pd.testing.assert_frame_equal(result.front(), again.front())
    saved = json.loads((tmp_path / "run/results.json").read_text())
    assert {"name", "family", "complexity", "seconds", "findings"} <= set(saved["students"][0])
    assert saved["students"][0]["findings"][0]["code"] == "RC001"
    assert len(saved["students"][0]["findings"][0]["interval"]) == 2
    assert "<table" in again._repr_html_()
    pages = [again.report(tmp_path / name).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_same_seed_gives_the_same_answer(n_jobs: int) -> None:
    one, other = quick(students=small()), quick(students=small(), n_jobs=n_jobs)
    for a, b in zip(one.candidates, other.candidates, strict=True):
        assert a.readable == b.readable
        assert a.findings == b.findings
    assert quick(random_state=1).candidates[0].readable != one.candidates[0].readable


def test_held_out_rows_are_not_asked_before_the_students_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.ndarray] = []
    fitted: list[np.ndarray] = []
    whole = _rounds._fit

    def watched(student: Any, rows: Table, *rest: Any) -> Any:
        fitted.append(rows.values)
        return whole(student, rows, *rest)

    monkeypatch.setattr(_rounds, "_fit", watched)
    result = quick(lambda rows: (seen.append(np.asarray(rows)), steps(rows))[1])
    held_out = {tuple(row) for row in result.arrays["X"]}
    assert len(held_out) == 60
    assert len(fitted) == 3
    assert not held_out & {tuple(row) for rows in fitted for row in rows}


def test_front_and_best() -> None:
    result = quick(students=small(), n_queries=1_000)
    front = result.front()
    assert list(front["complexity"]) == sorted(front["complexity"])
    assert list(front["fidelity"]) == sorted(front["fidelity"])
    limit = result["tree"].complexity
    assert result.best(max_complexity=limit).complexity <= limit
    with pytest.raises(LimbeckError, match=r"no candidate may be used with max_complexity=1"):
        result.best(max_complexity=1)
    with pytest.raises(InputError, match="Did you mean 'tree'"):
        result["trees"]


def test_a_student_that_fails_does_not_lose_the_others() -> None:
    class Broken(TreeRegressor):
        def fit(self, *args: Any, **kwargs: Any) -> Broken:
            raise MemoryError("out of memory")

    result = quick(students={"tree": TreeRegressor(), "broken": Broken()})
    assert [candidate.name for candidate in result.candidates] == ["tree"]
    assert result.run["notes"] == ["student 'broken' failed: MemoryError: out of memory"]
    with pytest.raises(LimbeckError, match=r"every student failed.*out of memory"):
        quick(students={"broken": Broken()})


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = _rounds.run_tasks

    def cut(*args: Any, **kwargs: Any) -> Any:
        for done, pair in enumerate(whole(*args, **kwargs)):
            if done == 1:
                raise KeyboardInterrupt
            yield pair

    monkeypatch.setattr(_rounds, "run_tasks", cut)
    result = quick(students={"tree": TreeRegressor(), "network": NetworkRegressor(max_epochs=2)})
    assert not result.complete
    assert [candidate.name for candidate in result.candidates] == ["tree"]
    assert [(f.code, f.status) for f in result.candidates[0].findings] == [("RC001", "pass"), ("RC004", "inconclusive")]
    assert result.candidates[0].verdict.startswith("use with care: RC004 inconclusive")
    assert result.run["notes"][0] == "student 'network' was not reached"
    assert result.run["notes"][1].startswith("the price of clarity has no size to stop at: the refits")
    assert not limbeck.load(result.save(tmp_path / "run")).complete


class Asking(StudentRegressor):
    """A student that asks the teacher by itself: for the middle of its rows, and for as many more as it may."""

    processes: ClassVar[list[int]] = []

    def __init__(self, max_queries: int = 64, native: bool = False, repeat: Any = None) -> None:
        self.max_queries = max_queries
        self.native = native
        self.repeat = repeat

    def fit(self, X: Any, y: Any, *, sample_weight: Any = None, y_soft: Any = None, oracle: Any = None) -> Asking:
        self.processes.append(os.getpid())
        wanted = X.take(np.arange(self.max_queries)).with_values(0.5 * X.values[: self.max_queries])
        if self.repeat is not None:
            wanted = wanted.with_values(self.repeat)
        answers = oracle(wanted.native() if self.native else wanted)
        assert answers.shape == (len(wanted), 1)
        both = X.with_values(np.vstack([X.values, wanted.values]))
        self.readable_ = TreeRegressor(random_state=0).fit(both, np.append(y, answers[:, 0])).readable_
        return self


@pytest.mark.parametrize("native", [False, True])
def test_a_student_may_ask_by_itself(native: bool) -> None:
    Asking.processes.clear()
    told: list[str] = []
    students = {"asking": Asking(native=native), "tree": TreeRegressor()}
    alone = quick(students={"tree": TreeRegressor()})
    result = quick(students=students, n_jobs=2, progress=lambda what, *_: told.append(what))
    assert [candidate.name for candidate in result.candidates] == ["asking", "tree"]
    assert set(Asking.processes) == {os.getpid()}
    assert len(Asking.processes) == 3
    assert result.run["teacher"]["rows_asked"] == alone.run["teacher"]["rows_asked"] + 3 * 64
    assert [finding.status for finding in result["asking"].findings] == ["pass", "pass"]
    assert result.run["notes"] == []
    plan = next(line for line in told if line.startswith("plan"))
    assert f"ask the teacher {3 * (180 + 500 + 64) + 2 * 7_000:,} rows" in plan


def test_held_out_rows_that_a_student_asks_for_are_counted() -> None:
    held_out = quick().arrays["X"]
    result = quick(students={"asking": Asking(repeat=held_out[:7])})
    assert result.run["notes"] == ["student 'asking' asked the teacher 21 rows that equal held-out ones"]


def test_ctrl_c_while_a_student_asks_keeps_the_others() -> None:
    class Cut(Asking):
        def fit(self, *args: Any, oracle: Any = None, **more: Any) -> Cut:
            raise KeyboardInterrupt

    result = quick(students={"cut": Cut(), "tree": TreeRegressor()})
    assert [candidate.name for candidate in result.candidates] == ["tree"]
    assert not result.complete
    assert "student 'cut' was not reached" in result.run["notes"]


def test_students_go_by_their_own_names() -> None:
    assert [c.name for c in quick(students=[TreeRegressor(), TreeRegressor()]).candidates] == ["tree", "tree_1"]
    assert set(DEFAULT_STUDENTS) == {"tree", "formula", "network"} < set(_distill.STUDENTS)


@pytest.mark.parametrize("name", _distill.STUDENTS)
@pytest.mark.parametrize("is_classification", [False, True])
def test_every_name_is_an_estimator_with_a_seed(name: str, is_classification: bool) -> None:
    (found,) = named_students([name], is_classification, 0).items()
    assert found[0] == name
    assert isinstance(found[1], StudentClassifier if is_classification else StudentRegressor)
    assert found[1].get_params().get("random_state", 0) is not None
    assert list(named_students([found[1]], is_classification, 0)) == [name]


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    quick(progress=lambda *step: told.append(step))
    assert ("fitting students", 3, 3) in told
    assert any(what.startswith("plan") and total == 0 for what, _, total in told)


def test_frames_with_levels_and_a_named_target() -> None:
    frame = pd.DataFrame({"hours": RNG.integers(1, 80, 400), "job": RNG.choice(["clerk", "nurse", "smith"], 400)})
    frame["rich"] = np.where((frame["job"] == "smith") & (frame["hours"] > 30), "yes", "no")

    class Rule:
        classes_ = np.array(["no", "yes"])

        def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
            assert list(rows.columns) == ["hours", "job"]
            p = np.where((rows["job"] == "smith") & (rows["hours"] > 30), 0.95, 0.05)
            return np.column_stack([1 - p, p])

        def predict(self, rows: pd.DataFrame) -> np.ndarray:
            return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    result = quick(Rule(), frame, "rich", task=None, students=["tree"])
    tree = result.candidates[0]
    assert tree.readable.output_names == ("no", "yes")
    assert "job = 'smith'" in tree.readable.text()
    assert tree.finding("RC001").details["truth"]["student"]["value"] > 0.97
    answers = tree.readable(frame[["hours", "job"]])
    assert np.array_equal(answers, tree.readable(frame[["job", "hours"]]))


def good(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows)[:, 0]


Y_TEXT = np.where(X[:, 0] > 0, "a", "b")
BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "too few rows": ({"rows": X[:10]}, InputError, "at least 20 rows are required; got 10"),
    "one dimension": ({"rows": X[:, 0]}, InputError, "Reshape your data"),
    "NaN in a row": ({"rows": np.where(X > 0.99, np.nan, X)}, InputError, "values are missing"),
    "no such file": ({"rows": "nowhere.csv"}, InputError, "no file at nowhere.csv"),
    "names too few": ({"names": ["a"]}, InputError, "names must name 3 columns; got 1"),
    "names twice": ({"names": ["a", "a", "b"]}, InputError, "names must differ"),
    "y too short": ({"y": np.zeros(3)}, InputError, "y must have 240 rows"),
    "y with NaN": ({"y": np.r_[np.nan, np.zeros(239)]}, InputError, "y has 1 missing or infinite"),
    "y infinite": ({"y": np.r_[np.inf, np.zeros(239)]}, InputError, "y has 1 missing or infinite"),
    "y of text in regression": ({"y": Y_TEXT}, InputError, "regression needs numbers in y"),
    "y of one class": (
        {"teacher": None, "y": np.full(240, "a"), "task": "classification"},
        InputError,
        "needs at least two classes",
    ),
    "y names no column": ({"rows": pd.DataFrame(X, columns=list("abc")), "y": "d"}, InputError, "'d' is not a column"),
    "y names a column of an array": ({"y": "d"}, InputError, "the rows have no names"),
    "no teacher and no y": ({"teacher": None}, InputError, "a teacher or y is required"),
    "holdout of 0": ({"holdout": 0.0}, InputError, "holdout is a share of the rows between 0 and 1"),
    "holdout of 1.5": ({"holdout": 1.5}, InputError, "holdout is a share"),
    "unknown student": ({"students": ["tre"]}, InputError, "Did you mean 'tree'"),
    "no student": ({"students": []}, InputError, "at least one student is required"),
    "a student that is none": ({"students": [3]}, InputError, "a student is a name or a scikit-learn estimator"),
    "a student for the other task": (
        {"students": [TreeClassifier()]},
        LimbeckError,
        "every student failed",
    ),
    "negative seed": ({"random_state": -1}, InputError, "random_state must be a whole number >= 0"),
    "seed of text": ({"random_state": "x"}, InputError, "random_state must be"),
    "budget of 0": ({"budget_s": 0.0}, InputError, "a budget is a number of seconds above 0"),
    "negative queries": ({"n_queries": -5}, InputError, "n_queries"),
    "unknown task": ({"task": "ranking"}, InputError, "regression.*classification"),
    "teacher raises": ({"teacher": lambda rows: 1 / 0}, TeacherError, "division by zero"),
    "teacher answers NaN": ({"teacher": lambda rows: np.full(len(rows), np.nan)}, TeacherError, "NaN"),
    "teacher is random": (
        {"teacher": lambda rows: np.random.default_rng().normal(size=len(rows))},
        TeacherError,
        "two",
    ),
    "teacher answers too few": ({"teacher": lambda rows: np.zeros(3)}, TeacherError, "shape"),
    "teacher is a number": ({"teacher": 3}, InputError, "int"),
    "teacher is a pickle": ({"teacher": "model.pkl"}, InputError, "pickle"),
    "teacher of another width": (
        {"teacher": lambda rows: rows @ np.ones(5)},
        TeacherError,
        "matmul|mismatch|core dimension",
    ),
    "labels the teacher lacks": (
        {
            "teacher": lambda rows: np.column_stack([rows[:, 0] > 0, rows[:, 0] <= 0]).astype(float),
            "y": Y_TEXT,
            "task": "classification",
            "classes": ["c", "d"],
        },
        InputError,
        "y holds labels that the teacher does not have",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_inputs(case: str) -> None:
    given, kind, message = BAD[case]
    with pytest.raises(kind, match=message):
        quick(**{"teacher": good, **given})


HOSTILE: dict[str, Any] = {
    "an unknown operation": ["__import__('os').system", 1],
    "deep nesting": [],
    "a column that is not there": ["x", 9],
    "a name for a number": "os.system('true')",
    "an object": {"__reduce__": "x"},
    "a step": ["t", 0],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_formula_is_refused_and_not_run(tmp_path: Path, case: str) -> None:
    folder = quick(students={"formula": FormulaRegressor(max_evaluations=300)}, checks=[]).save(tmp_path / "run")
    path = folder / "students/formula.json"
    document = json.loads(path.read_text())
    expression: Any = HOSTILE[case]
    if case == "deep nesting":
        for _ in range(600):
            expression = ["exp", expression or ["x", 0]]
    document["readable"]["expressions"] = [expression]
    path.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="is damaged"):
        limbeck.load(folder)


@pytest.mark.parametrize(
    "change",
    [{"left": 0}, {"left": 99}, {"column": 7}, {"value": ["x"]}, {"levels": [5]}, {"threshold": None}, {"right": 1}],
    ids=str,
)
def test_a_damaged_tree_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = quick(checks=[]).save(tmp_path / "run")
    path = folder / "students/tree.json"
    document = json.loads(path.read_text())
    document["readable"]["nodes"][0].update(change)
    path.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="is damaged"):
        limbeck.load(folder)


def test_a_missing_folder_is_said() -> None:
    with pytest.raises(StorageError, match="is not a run"):
        limbeck.load("/nowhere/at/all")


def test_a_soft_tree_by_name_is_small_on_tables_and_whole_on_images():
    from limbeck._named_students import named_students

    table = named_students(["soft_tree"], True, 0)["soft_tree"]
    images = named_students(["soft_tree"], True, 0, images=True)["soft_tree"]
    assert (table.max_depth, images.max_depth) == (4, 8)
    assert table.l1 > 0 == images.l1
    own = named_students([type(table)(max_depth=2)], True, 0)["soft_tree"]
    assert (own.max_depth, own.l1) == (2, 0.0)
