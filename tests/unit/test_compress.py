"""Compression: the whole path, budgets, answers on disk, unlabelled rows, bad calls, interruptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import limbeck
from limbeck._budget import Budget, read_budget
from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck.queries import Marginals, read_answers
from limbeck.readable import pack

RNG = np.random.default_rng(0)
JOBS = np.array([f"job {i}" for i in range(9)], dtype=object)
X = pd.DataFrame(
    {"age": RNG.uniform(20, 60, 600), "wage": RNG.normal(3, 1, 600), "job": JOBS[RNG.integers(9, size=600)]}
)
QUICK: dict[str, Any] = {
    "n_queries": 1_500,
    "max_epochs": 6,
    "budget": "5KB",
    "random_state": 0,
    "bill": False,
    "checks": (),
}


class Rich:
    """A classifier that counts the rows it is asked."""

    classes_ = np.array(["no", "yes"])

    def __init__(self) -> None:
        self.asked = 0

    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        self.asked += len(rows)
        score = np.sin(rows["age"] / 8) + rows["wage"] - 3 + rows["job"].isin(["job 1", "job 4", "job 7"])
        p = 1 / (1 + np.exp(-3 * score.to_numpy(dtype=float)))
        return np.column_stack([1 - p, p])


@pytest.fixture(scope="module")
def whole() -> limbeck.Distillation:
    settings = {"n_queries": 3_000, "max_epochs": 12, "random_state": 0}
    y = np.where(Rich().predict_proba(X)[:, 1] > 0.5, "yes", "no")
    return limbeck.compress(Rich(), X, y, budget="30KB", **settings)


def test_the_student_is_judged_like_every_other_and_the_bill_is_there(whole: limbeck.Distillation) -> None:
    (network,) = whole.candidates
    assert [finding.code for finding in network.findings] == ["RC001", "RC002", "RC003"]
    assert network.fidelity > 0.9
    assert len(pack(network.readable)) <= 30_000
    names = [(entry["name"], entry["form"]) for entry in whole.run["bill"]["entries"]]
    assert ("network", "NumPy") in names
    assert names[0][0] == "teacher"
    assert network.readable.embeddings[0].column == 2
    assert whole.run["compression"]["budget_bytes"] == 30_000
    assert whole.run["compression"]["asked"] + whole.run["compression"]["repeated"] == 3_000


def test_a_width_is_marked_at_which_to_stop(whole: limbeck.Distillation) -> None:
    table = limbeck.tradeoff(whole)
    assert len(table) >= 3
    assert table["validation_fidelity"].notna().all()
    assert table["stop_overall"].sum() == 1


def test_the_run_is_saved_with_its_bill_and_shown(whole: limbeck.Distillation, tmp_path: Path) -> None:
    folder = whole.save(tmp_path / "run")
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["bill"] == whole.run["bill"]
    assert results["compression"]["quantize"] is None
    again = limbeck.load(folder)
    assert again.run["bill"] == whole.run["bill"]
    assert "The bill" in whole.report(tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_shuffled_teacher_is_refused() -> None:
    """A control: answers that hang on nothing in the row can't be compressed, and the verdict says so."""
    table = {tuple(row): value for row, value in zip(X.to_numpy().tolist(), RNG.permutation(600) / 600, strict=True)}

    def noise(rows: pd.DataFrame) -> np.ndarray:
        return np.array([table.get(tuple(row), hash(tuple(row)) % 1_000 / 1_000) for row in rows.to_numpy().tolist()])

    result = limbeck.compress(
        noise, X, task="regression", queries=Marginals(), **{**QUICK, "checks": (limbeck.checks.Fidelity(),)}
    )
    assert result["network"].verdict.startswith("do not use")


def test_no_row_is_asked_twice_and_the_next_student_asks_nothing_more(tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    first, second = Rich(), Rich()
    one = limbeck.compress(first, X, answers=folder, **QUICK)
    assert read_answers(folder).rows == 1_500
    two = limbeck.compress(second, X, answers=folder, quantize="int8", **QUICK)
    assert two.run["compression"]["asked"] == 0
    assert two.run["compression"]["reused"] == one.run["compression"]["asked"] + one.run["compression"]["repeated"]
    assert second.asked < first.asked - 1_200
    assert all(layer.scale is not None for layer in two["network"].readable.layers)
    with pytest.raises(StorageError, match="seed"):
        limbeck.compress(Rich(), X, answers=folder, **{**QUICK, "random_state": 1})


def test_the_same_seed_gives_the_same_network() -> None:
    one, same = (limbeck.compress(Rich(), X, **QUICK)["network"].readable for _ in range(2))
    other = limbeck.compress(Rich(), X, **{**QUICK, "random_state": 1})["network"].readable
    assert one == same
    assert one != other


def test_unlabelled_rows_are_asked_first(tmp_path: Path) -> None:
    more = X.iloc[:300].assign(age=lambda frame: frame["age"] + 0.123456)
    limbeck.compress(Rich(), X, unlabelled=more, answers=tmp_path / "answers", **QUICK)
    asked = set(read_answers(tmp_path / "answers").to_pandas()["age"])
    assert len(set(more["age"]) & asked) == 300
    with pytest.raises(InputError, match=r"the rows lack the column\(s\) \['job'\]"):
        limbeck.compress(Rich(), X, unlabelled=more.drop(columns="job"), **QUICK)


def test_p_and_s_are_chosen_where_there_are_rows_to_choose_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck import _compress

    monkeypatch.setattr(_compress, "FEW_TO_TUNE", 50)
    monkeypatch.setattr(_compress, "TUNING_QUERIES", 300)
    monkeypatch.setattr(_compress, "PS", (0.5,))
    one = limbeck.compress(Rich(), X, answers=tmp_path / "answers", **QUICK)
    kept = json.loads((tmp_path / "answers.munge.json").read_text(encoding="utf-8"))
    assert one.run["data"]["query_source"] == f"Munge(p=0.5, s={kept['s']}, clip=False)"
    monkeypatch.setattr(_compress, "tune_munge", None)  # gone on with: what was chosen is not chosen again
    two = limbeck.compress(Rich(), X, answers=tmp_path / "answers", **QUICK)
    assert two["network"].readable == one["network"].readable


def test_a_budget_of_time_leaves_the_quick_widths(monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck import _compress

    monkeypatch.setattr(_compress, "median_seconds", lambda call, seconds: (len(call.args[0].layers[0].bias) * 1e-6, 3))
    result = limbeck.compress(Rich(), X, **{**QUICK, "budget": "20us"})
    assert [len(one.readable.layers[0].bias) for one in result["network"].alternatives] == [8, 16]
    with pytest.raises(
        InputError, match=r"a network of 3 x 8 units takes 8 us for one row here, more than the budget of 1"
    ):
        limbeck.compress(Rich(), X, **{**QUICK, "budget": "1us"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300KB", Budget(bytes=300_000)),
        ("1.5 MiB", Budget(bytes=1_572_864)),
        (2_000, Budget(bytes=2_000)),
        ("50us", Budget(seconds=50e-6)),
        ("1e-3s", Budget(seconds=1e-3)),
        ("2 µs", Budget(seconds=2e-6)),
        (None, Budget()),
    ],
)
def test_budgets(text: Any, expected: Budget) -> None:
    found = read_budget(text)
    assert found.bytes == expected.bytes
    assert found.seconds == (None if expected.seconds is None else pytest.approx(expected.seconds))


@pytest.mark.parametrize("text", ["", "300", "KB", "-3KB", "0MB", "1.2.3KB", "5 parsecs", True, "nanKB", "infMB"])
def test_bad_budgets(text: Any) -> None:
    with pytest.raises(InputError, match="a budget is a size such as 300KB or 2MB, or the time that one row may take"):
        read_budget(text)


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        ({"n_queries": 0}, InputError, "n_queries must be at least 1; got 0"),
        ({"prune": 1.5}, InputError, "prune, a share of the weights"),
        ({"quantize": "int3"}, InputError, "quantize must be 'int8' or None"),
        ({"max_epochs": 0}, InputError, "max_epochs must be a whole number of at least 1"),
        ({"budget": "100B"}, InputError, "no network fits into 100 bytes"),
        ({"queries": "munge"}, InputError, r"source must be a source of queries such as Munge\(\)"),
        ({"holdout": 2.0}, InputError, "holdout is a share of the rows between 0 and 1"),
    ],
)
def test_bad_calls(given: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        limbeck.compress(Rich(), X, **{**QUICK, **given})


def test_a_teacher_that_fails_half_way_loses_nothing(tmp_path: Path) -> None:
    class Failing(Rich):
        def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
            if self.asked > 4_500:
                raise RuntimeError("out of credit")
            return super().predict_proba(rows)

    with pytest.raises(TeacherError, match="out of credit"):
        limbeck.compress(Failing(), X, answers=tmp_path / "answers", **{**QUICK, "n_queries": 11_000})
    whole = limbeck.compress(Rich(), X, answers=tmp_path / "answers", **{**QUICK, "n_queries": 11_000})
    assert whole.run["compression"]["reused"] > 0


def test_too_few_different_rows() -> None:
    with pytest.raises(InputError, match="at least 2 different training rows are required"):
        limbeck.compress(lambda rows: np.zeros(len(rows)), np.ones((40, 2)), task="regression", **QUICK)


def test_an_interruption_keeps_the_widths_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from limbeck.students import _network_fit

    real, done = _network_fit.fit_mlp, []

    def cut(*args: Any, **given: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return real(*args, **given)

    monkeypatch.setattr(_network_fit, "fit_mlp", cut)
    result = limbeck.compress(Rich(), X, **{**QUICK, "budget": None, "checks": (limbeck.checks.Fidelity(),)})
    assert not result.complete
    assert len(result["network"].alternatives) == 2
    assert result["network"].finding("RC001") is not None


def test_an_estimator_that_is_not_fitted_is_fitted_on_the_training_rows() -> None:
    from limbeck.teachers import EnsembleSelection

    library = [("tree", DecisionTreeClassifier(max_depth=4)), ("line", LogisticRegression())]
    given = EnsembleSelection(library, n_bags=2)
    y = np.where(Rich().predict_proba(X)[:, 1] > 0.5, "yes", "no")
    result = limbeck.compress(given, X, y, **{**QUICK, "checks": (limbeck.checks.Fidelity(),)})
    assert not hasattr(given, "classes_")
    assert "EnsembleSelection was fitted on the training rows" in result.run["notes"][0]
    assert result.run["teacher"]["classes"] == ["no", "yes"]
    assert result["network"].fidelity > 0.85


def test_held_out_rows_are_not_among_those_it_is_fitted_on() -> None:
    seen: list[int] = []

    class Watching(LinearRegression):
        def fit(self, rows: Any, y: Any, sample_weight: Any = None) -> Any:
            seen.append(len(rows))
            return super().fit(rows, y, sample_weight)

    numbers = X[["age", "wage"]]
    limbeck.compress(Watching(), numbers, numbers["age"] * 2.0, **QUICK)
    assert seen == [450]
    with pytest.raises(InputError, match="Watching is not fitted, and there is no y to fit it on"):
        limbeck.compress(Watching(), numbers, **QUICK)


def test_an_estimator_that_can_not_be_fitted_says_why() -> None:
    with pytest.raises(TeacherError, match=r"LogisticRegression could not be fitted: ValueError: .*convert string"):
        limbeck.compress(LogisticRegression(), X, np.where(X["age"] > 40, "old", "young"), **QUICK)
