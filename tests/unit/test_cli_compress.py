"""``limbeck compress`` and ``limbeck bill``: a run with its bill, answers that are kept, budgets, bad calls."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from limbeck.queries import read_answers
from running_cli import Ran, limbeck

QUICK = ["--queries", "600", "--epochs", "4", "--budget", "4KB", "--jobs", "1", "--quiet"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows and a model."""
    folder = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.uniform(size=300), "job": rng.choice(["x", "y"], 300)})
    frame["out"] = np.where(frame["job"] == "x", 2.0, 0.0) + frame["a"]
    frame.to_csv(folder / "rows.csv", index=False)
    (folder / "own.py").write_text(
        textwrap.dedent("""
            def model(rows):
                return (rows["job"] == "x") * 2.0 + rows["a"]
        """),
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def ran(place: Path) -> Ran:
    return limbeck("compress", "--data", "rows.csv", "--target", "out", "--teacher", "own:model", *QUICK, cwd=place)


def test_it_leaves_a_run_with_its_bill(place: Path, ran: Ran) -> None:
    assert ran.returncode in (0, 3)
    assert "network" in ran.stdout
    assert "faster" in ran.stdout
    results = json.loads((place / "runs/latest/results.json").read_text(encoding="utf-8"))
    assert results["compression"]["budget_bytes"] == 4_000
    assert results["bill"]["entries"][0]["name"] == "teacher"
    assert any("RC004" in note for note in results["notes"])
    assert "The bill" in (place / "runs/latest/report.html").read_text(encoding="utf-8")


def test_answers_are_kept_beside_the_run_and_asked_once(place: Path, ran: Ran) -> None:
    assert read_answers(place / "runs/latest.answers").rows == 600
    again = limbeck(
        *("compress", "--data", "rows.csv", "--target", "out", "--teacher", "own:model", "--int8", *QUICK, "--json"),
        cwd=place,
    )
    results = json.loads(again.stdout)
    assert results["compression"]["asked"] == 0
    assert results["compression"]["quantize"] == "int8"


def test_the_bill_is_shown_again(place: Path, ran: Ran) -> None:
    shown = limbeck("bill", "runs/latest", cwd=place)
    assert shown.returncode == 0
    assert "NumPy" in shown.stdout
    found = json.loads(limbeck("bill", "runs/latest", "--json", cwd=place).stdout)
    assert {entry["name"] for entry in found["entries"]} == {"teacher", "network"}


def test_distill_has_a_bill_where_it_is_asked(place: Path) -> None:
    common = ("--data", "rows.csv", "--target", "out", "--teacher", "own:model", "--students", "tree")
    quick = ("--queries", "300", "--jobs", "1", "--quiet", "--out", "runs/tree")
    assert limbeck("distill", *common, *quick, "--bill", cwd=place).returncode == 0
    assert "tree" in limbeck("bill", "runs/tree", cwd=place).stdout
    assert limbeck("distill", *common, *quick, cwd=place).returncode == 0
    without = limbeck("bill", "runs/tree", cwd=place)
    assert without.returncode == 2
    assert "limbeck distill ... --bill" in without.stderr


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--budget", "300"], "a budget is a size such as 300KB or 2MB"),
        (["--budget", "10B"], "no network fits into 10 bytes"),
        (["--train"], "leave out --teacher or --train"),
        (["--ensemble"], "--ensemble makes a teacher of its own; leave out --teacher and --train"),
        (["--query-source", "mungo"], "--query-source is one of munge"),
        (["--unlabelled", "none.csv"], "none.csv"),
        (["--seed", "5"], "seed"),
    ],
)
def test_bad_calls(place: Path, ran: Ran, arguments: list[str], match: str) -> None:
    """The last: answers of another seed are in the folder."""
    call = ["compress", "--data", "rows.csv", "--target", "out", "--teacher", "own:model", *QUICK]
    failed = limbeck(*call, *arguments, cwd=place)
    assert failed.returncode in (1, 2)
    assert match in failed.stderr
    assert failed.stderr.count("\n") == 1
