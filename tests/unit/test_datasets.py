"""Data sets: what is shipped, what a folder gives, and what a hostile or damaged folder can't do."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from limbeck import datasets
from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.datasets import _folder

BUILT_IN = {
    "concrete": (1030, 8, "regression"),
    "breast_cancer": (569, 30, "classification"),
    "diabetes": (442, 10, "regression"),
    "digits": (1797, 64, "classification"),
    "iris": (150, 4, "classification"),
    "wine": (178, 13, "classification"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder that LIMBECK_DATA names: a table with missing values, images, signals and text."""
    home = tmp_path / "data"
    home.mkdir()
    rows = {
        "age": [20, 30, 40, 50],
        "job": ["clerk", None, "nurse", "clerk"],
        "pay": [1.5, 2.5, None, 4.5],
        "id": [7, 8, 9, 10],
        "split": ["train", "train", "test", "test"],
    }
    pd.DataFrame(rows).to_csv(home / "jobs.csv", index=False)
    rng = np.random.default_rng(0)
    arrays = {"x_train": rng.integers(255, size=(5, 2, 3), dtype=np.uint8), "y_train": np.arange(5) % 2}
    arrays |= {"x_test": rng.integers(255, size=(2, 2, 3), dtype=np.uint8), "y_test": np.arange(2)}
    np.savez(home / "tiny.npz", **arrays)
    (home / "words.csv").write_text("sentence,label\ngood,1\n")
    jobs = {"name": "jobs", "file": "jobs.csv", "target": "age", "task": "regression", "rows": 4, "features": 2}
    jobs |= {"non_feature_columns": ["id", "split", "not there"], "licence": "CC0", "source": "made here"}
    images = {"name": "tiny", "file": "tiny.npz", "target": "y", "task": "image_classification", "format": "npz"}
    text = {"name": "words", "file": "words.csv", "target": "label", "task": "text_classification"}
    write(home, [jobs, images, {**images, "name": "tiny_signals", "task": "signal_classification"}, text])
    monkeypatch.setenv("LIMBECK_DATA", str(home))
    monkeypatch.chdir(home)
    return home


def write(home: Path, sets: Any) -> None:
    (home / "MANIFEST.json").write_text(json.dumps({"sets": sets}))


def entry(**changes: Any) -> dict[str, Any]:
    return {"name": "odd", "file": "jobs.csv", "target": "age", "task": "regression", **changes}


def test_a_set_goes_by_its_file_too(folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "odd.csv").write_text("age,pay\n20,1\n30,2\n")
    odd = entry(file="parts/odd.csv")
    write(folder, [odd, entry(name="other", file="parts/twice.csv"), entry(name="third", file="parts/twice.parquet")])
    assert datasets.load("parts/odd").frame.equals(datasets.load("odd").frame)
    for name in ("parts/twice", "parts/od", "odd.csv"):
        with pytest.raises(InputError, match=f"no data set is named '{name}'"):
            datasets.load(name)


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_sets(name: str) -> None:
    found = datasets.load(name)
    rows, features, task = BUILT_IN[name]
    assert found.X.shape == (rows, features)
    assert found.task == task
    assert len(found.y) == rows
    assert found.target not in found.X.columns
    assert found.licence
    assert found.source
    assert Table.read(found.X).shape == (rows, features)


def test_classes_of_built_in_sets_are_words() -> None:
    assert set(datasets.load("iris").y) == {"setosa", "versicolor", "virginica"}
    assert set(datasets.load("breast_cancer").y) == {"malignant", "benign"}


def test_concrete_is_the_published_table() -> None:
    frame = datasets.load("concrete").frame
    assert list(frame.columns)[-2:] == ["age", "compressive_strength"]
    assert frame.iloc[0].tolist() == [540.0, 0.0, 0.0, 162.0, 2.5, 1040.0, 676.0, 28, 79.99]
    assert frame["age"].dtype == np.int64
    assert round(float(frame["compressive_strength"].mean()), 3) == 35.818
    assert frame.to_numpy().sum() == pytest.approx(2497753.6)
    assert frame.duplicated().sum() == 25


def test_concrete_carries_its_attribution() -> None:
    text = (Path(datasets.__file__).parent / "concrete.LICENCE.txt").read_text()
    assert "I-Cheng Yeh" in text
    assert "CC BY 4.0" in text


def test_concrete_equals_the_copy_of_the_data_folder() -> None:
    for home in _folder.folders():
        manifest = _folder.read_manifest(home)
        if "concrete" in manifest:
            other = _folder.load(home, manifest["concrete"]).frame
            pd.testing.assert_frame_equal(datasets.load("concrete").frame, other)
            return
    pytest.skip("no data folder with Concrete is beside the repository")


def test_a_table_of_a_folder(folder: Path) -> None:
    found = datasets.load("jobs")
    assert list(found.frame.columns) == ["age", "job", "pay"]
    assert found.split is not None
    assert found.split.tolist() == ["train", "train", "test", "test"]
    assert found.frame.isna().sum().to_dict() == {"age": 0, "job": 1, "pay": 1}
    assert (found.target, found.task, found.licence, found.source) == ("age", "regression", "CC0", "made here")
    with pytest.raises(InputError, match=r"missing .* in 2 column\(s\) - job: 1, pay: 1"):
        Table.read(found.X)


def test_missing_values_are_dropped_or_become_a_level(folder: Path) -> None:
    dropped = datasets.load("jobs", missing="drop")
    assert dropped.frame["age"].tolist() == [20, 50]
    assert dropped.split is not None
    assert dropped.split.tolist() == ["train", "test"]
    with pytest.raises(InputError, match=r"numbers or targets, and lack values: \{'pay': 1\}"):
        datasets.load("jobs", missing="level")
    frame = datasets.load("jobs").frame
    filled = datasets.mend_missing(frame.drop(columns="pay"), "level", target="age")
    assert filled["job"].tolist() == ["clerk", "missing", "nurse", "clerk"]
    assert frame["job"].isna().sum() == 1
    with pytest.raises(InputError, match=r"lack values: \{'job': 1\}"):
        datasets.mend_missing(frame.drop(columns="pay"), "level", target=["job"])


def test_missing_is_told_from_a_level_that_is_called_so() -> None:
    frame = pd.DataFrame({"a": ["missing", None, "x"], "b": pd.Categorical(["u", "v", None])})
    filled = datasets.mend_missing(frame, "level")
    assert filled["a"].tolist() == ["missing", "(missing)", "x"]
    assert filled["b"].tolist() == ["u", "v", "missing"]


def test_nothing_left_to_keep_is_said() -> None:
    with pytest.raises(InputError, match=r"no row is left: each of 2 lacks a value, by column \{'a': 2\}"):
        datasets.mend_missing(pd.DataFrame({"a": [None, None], "b": [1, 2]}), "drop")


def test_images_and_signals_are_columns(folder: Path) -> None:
    images, signals = datasets.load("tiny"), datasets.load("tiny_signals")
    assert images.X.columns.tolist() == [f"p{j}" for j in range(6)]
    assert signals.X.columns.tolist() == [f"t{j}" for j in range(6)]
    assert images.task == signals.task == "classification"
    assert images.split is not None
    assert images.split.tolist() == ["train"] * 5 + ["test"] * 2
    assert images.y.tolist() == [0, 1, 0, 1, 0, 0, 1]


def test_the_list_says_what_there_is(folder: Path) -> None:
    table = datasets.available()
    assert list(table.columns[:5]) == ["name", "rows", "features", "task", "target"]
    assert table["name"].is_unique
    listed = table.set_index("name")
    for name, (rows, features, task) in BUILT_IN.items():
        assert listed.loc[name, ["rows", "features", "task"]].tolist() == [rows, features, task]
    assert listed.loc["jobs", "where"] == str(folder)
    assert not listed.loc["words", "table"]
    assert listed.loc["concrete", "where"] == "embedded"
    json.dumps(table.to_dict("records"))


def test_a_folder_beside_the_current_one_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LIMBECK_DATA")
    (tmp_path / "shared").mkdir()
    folder.rename(tmp_path / "shared" / "data")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    assert datasets.load("jobs").frame.shape == (4, 3)


def test_the_shipped_files_are_in_the_package() -> None:
    try:
        listed = files("limbeck") or []
    except PackageNotFoundError:
        pytest.skip("limbeck runs from its source folder")
    names = {Path(str(file)).name for file in listed}
    if not any(name.startswith("_builtin") for name in names):
        pytest.skip("limbeck is installed as a link to its source folder")
    assert {"concrete.csv", "concrete.LICENCE.txt"} <= names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("concret", "Did you mean 'concrete'"),
        ("job", "Did you mean 'jobs'"),
        ("zzz", "point LIMBECK_DATA to a folder with a MANIFEST.json"),
        ("../jobs.csv", "no data set is named"),
        (7, "named by a string"),
        ("words", "words can't be loaded as a table of numbers and levels: it is text_classification"),
    ],
)
def test_names_that_give_no_table(folder: Path, name: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        datasets.load(name)


def test_what_missing_can_be() -> None:
    with pytest.raises(InputError, match="missing must be 'keep', 'drop' or 'level'; got 'median'"):
        datasets.load("iris", missing="median")
    with pytest.raises(InputError, match="missing must be 'drop' or 'level'; got 'keep'"):
        datasets.mend_missing(pd.DataFrame({"a": [1]}), "keep")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file": "../secret.csv"}, "points outside its folder"),
        ({"file": "x/../../secret.csv"}, "points outside its folder"),
        ({"file": "/etc/passwd"}, "points outside its folder"),
        ({"file": "link.csv"}, "points outside its folder"),
        ({"file": "a\x00b.csv"}, "names a path that can't be"),
        ({"file": "absent.csv"}, "there is no such file"),
        ({"file": ""}, "needs a name and a file"),
        ({"file": ["jobs.csv"]}, "needs a name and a file"),
        ({"sha256": "0" * 64}, "is not the file that the manifest describes"),
        ({"target": "wage"}, r"lacks the target \['wage'\]"),
        ({"target": None}, "can't be loaded as a table"),
        ({"file": "pickled.npz", "format": "npz", "task": "image_classification"}, "can't be read as arrays"),
        ({"file": "jobs.csv", "format": "npz", "task": "image_classification"}, "can't be read as arrays"),
        ({"file": "empty.npz", "format": "npz", "task": "signal_classification"}, "it holds none of them"),
        ({"file": "uneven.npz", "format": "npz", "task": "signal_classification"}, "rows of one size with one label"),
        ({"file": "bad.parquet"}, "can't be read as a table"),
        ({"file": "model.pkl"}, "rows are read from .csv, .tsv or .parquet"),
    ],
)
def test_a_hostile_or_damaged_folder_is_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    (folder.parent / "secret.csv").write_text("age\n1\n")
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "bad.parquet").write_bytes(b"PAR1 and nothing more")
    (folder / "model.pkl").write_bytes(b"\x80\x04.")
    np.savez(folder / "empty.npz", z=np.zeros(3))
    np.savez(folder / "uneven.npz", x_train=np.zeros((4, 2)), y_train=np.zeros(3))
    np.savez(folder / "pickled.npz", x_train=np.array([{"a": 1}], dtype=object), y_train=np.zeros(1))
    write(folder, [entry(**changes)])
    with pytest.raises(InputError, match=words):
        datasets.load("odd")


def test_a_right_checksum_is_accepted(folder: Path) -> None:
    write(folder, [entry(sha256=hashlib.sha256((folder / "jobs.csv").read_bytes()).hexdigest())])
    assert len(datasets.load("odd").frame) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{not json", "can't be read as JSON"),
        ("[1, 2]", "must be of the form"),
        ('{"sets": {"name": "a"}}', "must be of the form"),
        ('{"sets": ["a"]}', "every set in .* needs a name and a file"),
        ("[" * 100_000, "can't be read as JSON"),
    ],
)
def test_a_damaged_manifest_is_refused(folder: Path, text: str, words: str) -> None:
    (folder / "MANIFEST.json").write_text(text)
    with pytest.raises(InputError, match=words):
        datasets.load("jobs")
    assert len(datasets.load("concrete").frame) == 1030  # what is built in does not need it


def test_a_huge_manifest_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_folder, "LARGEST_MANIFEST", 100)
    with pytest.raises(InputError, match="is larger than 100 bytes"):
        datasets.load("jobs")


def test_limbeck_data_must_name_a_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMBECK_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"LIMBECK_DATA must name a folder with a MANIFEST.json"):
        datasets.available()


def test_read_frame_keeps_missing_values(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,NA\n2,b\n")
    assert datasets.read_frame(tmp_path / "a.csv")["y"].isna().tolist() == [True, False]
    with pytest.raises(InputError, match="no file at"):
        datasets.read_frame(tmp_path / "b.csv")
