"""The command line: every verb on a real folder, exit codes that mean something, one-line errors that help."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from limbeck.cli._rows import NamedRows, sampled
from running_cli import limbeck

QUICK = ["--students", "tree", "--queries", "300", "--jobs", "1", "--quiet"]


def process(*arguments: str, cwd: Path, start: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*start, *arguments], cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows, a model, and a finished run."""
    folder = tmp_path_factory.mktemp("cli")
    generator = np.random.default_rng(0)
    frame = pd.DataFrame({"a": generator.uniform(size=300), "job": generator.choice(["x", "y"], 300)})
    frame["out"] = np.where(frame["job"] == "x", 2.0, 0.0) + (frame["a"] > 0.5)
    frame.to_csv(folder / "rows.csv", index=False)
    (folder / "mine.py").write_text(
        textwrap.dedent("""
        import time
        import numpy as np

        def model(frame):
            return np.where(frame["job"] == "x", 2.0, 0.0) + (frame["a"] > 0.5)

        def noise(frame):
            a = frame["a"].to_numpy()
            return np.sin(1e7 * a) + np.cos(3e6 * a)

        def slow(frame):
            with open("calls.txt", "a") as calls:
                print(len(frame), file=calls)
            if len(frame) == 400:
                time.sleep(2.0)
            return model(frame)
        """)
    )
    ran = limbeck(
        "distill",
        "--data",
        "rows.csv",
        "--target",
        "out",
        "--teacher",
        "mine:model",
        "--out",
        "run",
        *QUICK,
        cwd=folder,
    )
    assert ran.returncode == 0, ran.stderr
    return folder


def test_distill_leaves_a_folder_and_a_page(place: Path) -> None:
    assert (place / "run/report.html").stat().st_size > 10_000
    results = json.loads((place / "run/results.json").read_text())
    assert results["students"][0]["name"] == "tree"
    assert [finding["code"] for finding in results["students"][0]["findings"]] == ["RC001", "RC002", "RC003", "RC004"]
    assert results["data"]["name"] == "rows.csv"
    assert results["seed"] == 0


def test_show(place: Path) -> None:
    ran = limbeck("show", "run", cwd=place)
    assert ran.returncode == 0
    assert "RC001 pass" in ran.stdout
    assert "if job = " in limbeck("show", "run", "tree", cwd=place).stdout


@pytest.mark.parametrize(
    "start", [[sys.executable, "-m", "limbeck"], [str(Path(sys.executable).parent / "limbeck")]], ids=["-m", "script"]
)
def test_both_ways_to_start(place: Path, start: list[str]) -> None:
    ran = process("show", "run", "tree", cwd=place, start=start)
    assert "if job = " in ran.stdout
    ran = process("show", "nowhere", cwd=place, start=start)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize("target", ["python", "sql", "c", "javascript", "latex", "mathml"])
def test_export(place: Path, target: str) -> None:
    ran = limbeck("export", "run", "--student", "tree", "--to", target, cwd=place)
    assert ran.returncode == 0
    assert len(ran.stdout) > 50


def test_export_to_a_file(place: Path) -> None:
    ran = limbeck("export", "run", "--student", "tree", "--to", "onnx", "--out", "tree.onnx", cwd=place)
    assert ran.returncode == 0, ran.stderr
    assert (place / "tree.onnx").stat().st_size > 100


def test_predict(place: Path) -> None:
    ran = limbeck("predict", "run", "--student", "tree", "--data", "rows.csv", "--out", "answers.csv", cwd=place)
    assert ran.returncode == 0, ran.stderr
    answers, truth = pd.read_csv(place / "answers.csv"), pd.read_csv(place / "rows.csv")["out"]
    assert list(answers.columns) == ["out"]
    assert np.abs(answers["out"] - truth).mean() < 0.1
    assert limbeck("predict", "run", "--data", "rows.csv", cwd=place).stdout == (place / "answers.csv").read_text()


def test_tradeoff_shows_where_to_stop(place: Path) -> None:
    ran = limbeck("tradeoff", "run", cwd=place)
    assert ran.returncode == 0, ran.stderr
    (line,) = [line for line in ran.stdout.splitlines() if "stop here" in line and "tree" in line]
    assert "4 leaves" in line
    assert "1 leaf " in ran.stdout
    rows = json.loads(limbeck("tradeoff", "run", "--json", cwd=place).stdout)
    assert [row["size"] for row in rows if row["stop"]] == [4]


def test_fewer_rows_and_another_query_source(place: Path) -> None:
    ran = limbeck(
        "distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--out", "fewer",
        "--max-rows", "100", "--query-source", "marginals", *QUICK, cwd=place,
    )  # fmt: skip
    assert ran.returncode in (0, 3), ran.stderr
    results = json.loads((place / "fewer/results.json").read_text())
    assert results["data"]["rows"] == 100
    assert results["data"]["query_source"] == "Marginals()"
    assert "100 of 300 rows were drawn by the seed, and the others left" in results["notes"]


def test_the_rows_that_are_drawn_follow_the_seed(place: Path) -> None:
    rows = NamedRows(pd.read_csv(place / "rows.csv"), "rows.csv", ("out",), None, ())
    one, same, other = (sampled(rows, 50, seed).frame for seed in (1, 1, 2))
    assert len(one) == 50
    pd.testing.assert_frame_equal(one, same)
    assert not one.equals(other)
    assert sampled(rows, 300, 1) is rows


def test_report_is_the_same_page(place: Path) -> None:
    ran = limbeck("report", "run", "--out", "again.html", cwd=place)
    assert ran.returncode == 0
    assert (place / "again.html").read_bytes() == (place / "run/report.html").read_bytes()


def test_json_is_json_and_nothing_else(place: Path) -> None:
    ran = limbeck(
        "distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--out", "run2", "--json",
        "--students", "tree", "--queries", "300", "--jobs", "1", cwd=place,
    )  # fmt: skip
    assert json.loads(ran.stdout)["students"][0]["name"] == "tree"
    assert ran.stderr == ""


def test_progress_and_the_plan_go_to_the_error_stream(place: Path) -> None:
    ran = limbeck(
        "distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--out", "run3",
        "--students", "tree", "--queries", "300", "--jobs", "1", cwd=place,
    )  # fmt: skip
    assert "plan: ask the teacher" in ran.stderr
    assert "plan" not in ran.stdout


def test_every_student_refused_is_exit_3(place: Path) -> None:
    ran = limbeck("distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:noise", "--out", "no", *QUICK,
                  cwd=place)  # fmt: skip
    assert ran.returncode == 3
    assert "do not use" in ran.stdout


def test_data_list(place: Path) -> None:
    ran = limbeck("data", "list", cwd=place)
    assert ran.returncode == 0
    assert "concrete" in ran.stdout
    assert "iris" in ran.stdout
    names = [row["name"] for row in json.loads(limbeck("data", "list", "--json", cwd=place).stdout)]
    assert "breast_cancer" in names


BAD = {
    "unknown option": (["distill", "--tacher", "x"], 2, "tacher"),
    "unknown verb": (["distil"], 2, "distil"),
    "unknown data": (["distill", "--data", "concret", "--train"], 2, "concrete"),
    "no such file": (["distill", "--data", "none.csv", "--target", "out"], 2, "no file"),
    "unknown target": (["distill", "--data", "rows.csv", "--target", "outt"], 2, "Did you mean 'out'?"),
    "no target": (["distill", "--data", "rows.csv"], 2, "--teacher, or --target"),
    "two teachers": (["distill", "--teacher", "mine:model", "--train"], 2, "leave out --teacher or --train"),
    "no such module": (["distill", "--data", "rows.csv", "--teacher", "nowhere:model"], 2, "nowhere"),
    "no such name": (["distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:modell"], 2, "modell"),
    "a pickle": (["distill", "--data", "rows.csv", "--target", "out", "--teacher", "m.joblib"], 2, "module:name"),
    "bad budget": (["distill", "--data", "rows.csv", "--target", "out", "--budget", "soon"], 2, "60s, 5m or 1h"),
    "unknown student": (
        ["distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--students", "bush"],
        2,
        "students are",
    ),
    "unknown query source": (
        ["distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--query-source", "mung"],
        2,
        "Did you mean 'munge'?",
    ),
    "no rows": (["distill", "--data", "rows.csv", "--max-rows", "0"], 2, "max-rows"),
    "modules of a function": (
        ["modules", "--data", "rows.csv", "--target", "out", "--model", "mine:model"],
        2,
        "since modules are found in it; got a",
    ),
    "no curve": (["tradeoff", "nowhere"], 1, "is not a run"),
    "not a run": (["show", "."], 1, "is not a run"),
    "unknown candidate": (["show", "run", "treee"], 2, "Did you mean 'tree'?"),
    "unknown export": (["export", "run", "--to", "cobol"], 2, "an export target is one of"),
    "bad file to predict": (["predict", "run", "--data", "rows.csv", "--out", "x.xlsx"], 2, ".csv or .parquet"),
    "out is not a run": (
        ["distill", "--data", "rows.csv", "--target", "out", "--teacher", "mine:model", "--out", ".", *QUICK],
        1,
        "is not a run",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_calls(place: Path, case: str) -> None:
    arguments, code, message = BAD[case]
    ran = limbeck(*arguments, cwd=place)
    assert ran.returncode == code, ran.stderr
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


def test_ctrl_c_keeps_what_is_done(place: Path) -> None:
    command = [sys.executable, "-m", "limbeck", "distill", "--data", "rows.csv", "--target", "out"]
    command += ["--teacher", "mine:slow", "--students", "tree", "--queries", "200", "--out", "cut", "--jobs", "1"]
    running = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    calls = place / "calls.txt"
    while running.poll() is None and time.monotonic() < deadline:
        if calls.exists() and "400" in calls.read_text().split():
            break
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, out + err
    assert "interrupted" in err
    results = json.loads((place / "cut/results.json").read_text())
    assert results["complete"] is False
    assert results["students"][0]["findings"][0]["code"] == "RC001"
    assert limbeck("show", "cut", "tree", cwd=place).returncode == 0
