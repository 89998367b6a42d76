"""`limbeck.explain`: its result, its document, the command line, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import limbeck
from limbeck._core.errors import InputError, StorageError
from running_cli import limbeck as run_cli


def net(d: int = 3, k: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(d, 6), nn.ReLU(), nn.Linear(6, k))


ROWS = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)


@pytest.mark.parametrize("method", ["acd", "cd", "integrated_gradients", "input_x_gradient", "occlusion"])
def test_a_table_by_every_method(method: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["age", "dose", "<b>sex"])
    found = limbeck.explain(net(), frame, np.arange(30), rows=5, method=method, classes=["no", "yes"], random_state=1)
    again = limbeck.explain(net(), frame, np.arange(30), rows=5, method=method, classes=["no", "yes"], random_state=1)
    assert [row["row"] for row in found.rows] == [row["row"] for row in again.rows]
    assert found.rows[0]["alone"] == again.rows[0]["alone"]
    assert [f.code for f in found.findings] == ["RC005", "RC006", "RC007", "RC008"]
    assert len(found.table()) == 15
    assert bool(found.rows[0]["nodes"]) == (method == "acd")
    adds_up = max(row["residual"] for row in found.rows)
    assert adds_up < (1e-5 if method in ("acd", "cd") else 2e-2) or method in ("input_x_gradient", "occlusion")
    assert adds_up > 1e-3 or method in ("acd", "cd", "integrated_gradients")  # these do not add up, and it is said
    page = (found.save(tmp_path / "e") / "report.html").read_text(encoding="utf-8")
    assert "age" in page
    assert "<b>sex" not in page
    saved = json.loads((tmp_path / "e" / "explanation.json").read_text(encoding="utf-8"))
    assert saved["verdict"] == found.verdict
    assert found.save(tmp_path / "e")  # replaces its own


def test_the_effects_are_those_of_the_decomposition_from_the_means() -> None:
    model = nn.Linear(3, 1)
    found = limbeck.explain(model, ROWS, rows=[2], method="cd", checks=())
    expected = (model.weight[0].detach().numpy() * (ROWS[2] - ROWS.mean(0))).tolist()
    shares = np.array(found.rows[0]["alone"]) / np.array(expected)
    assert (np.sign(found.rows[0]["alone"]) == np.sign(expected)).all() or abs(shares).max() < 10
    free = nn.Linear(3, 1, bias=False)
    free.weight.data.copy_(model.weight.data)
    exact = limbeck.explain(free, ROWS, rows=[2], method="cd", checks=()).rows[0]["alone"]
    assert exact == pytest.approx(expected, rel=1e-4)


def test_images_signals_and_words(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(size=(6, 1, 6, 6)).astype(np.float32)
    for rows, model, kind in [
        (images, net(36), "image"),
        (images.reshape(6, 1, 36), net(36), "signal"),
        (np.arange(30).reshape(5, 6) % 7, nn.Sequential(nn.Embedding(7, 3), net(18)), "text"),
    ]:
        found = limbeck.explain(model, rows, rows=1, tile=None if kind == "text" else 2, checks=(), random_state=0)
        assert found.kind == kind
        assert found.rows[0]["nodes"]
        found.save(tmp_path / kind)
    words = [["not", "good"], ["fine"], ["a", "b"], ["c"], ["d"]]
    model = nn.Sequential(nn.Embedding(7, 3), net(18))
    found = limbeck.explain(model, np.arange(30).reshape(5, 6) % 7, rows=[0], words=words, checks=())
    assert found.rows[0]["input"] == {"words": ["not", "good"]}


def test_an_attribution_that_ignores_the_network_is_refused_in_words() -> None:
    class Constant(nn.Module):
        """Its weights matter to nothing."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * torch.tensor([1.0, 2.0, 3.0])).sum(1, keepdim=True)

    found = limbeck.explain(Constant(), ROWS, method="cd", random_state=0)
    assert found.verdict.startswith("do not use: RC006")


def test_a_network_that_cannot_be_followed_is_explained_by_the_other_methods() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.det(torch.eye(3) + x[:, :, None] * x[:, None])[:, None]

    found = limbeck.explain(Odd(), ROWS, rows=2, method="occlusion", checks=(), random_state=0)
    assert len(found.rows) == 2
    with pytest.raises(InputError, match="no rule for 'linalg_det'"):
        limbeck.explain(Odd(), ROWS, rows=2, method="acd", checks=())


def test_the_seed_that_was_drawn_repeats_the_answer() -> None:
    first = limbeck.explain(net(), ROWS, rows=3, method="cd", checks=())
    again = limbeck.explain(net(), ROWS, rows=3, method="cd", checks=(), random_state=first.seed)
    assert [row["row"] for row in first.rows] == [row["row"] for row in again.rows]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"method": "lime"}, "method must be one of"),
        ({"rows": 0}, "rows must be at least 1"),
        ({"rows": [99]}, "rows must name rows from 0 to 29"),
        ({"rows": "all"}, "rows must be a number"),
        ({"kind": "picture"}, "kind must be one of"),
        ({"output": 7}, "output must be a number from 0 to 1"),
        ({"classes": ["one"]}, "classes must name the network's 2 outputs"),
        ({"baseline": [1.0, 2.0]}, "baseline must be a finite number"),
    ],
)
def test_bad_options(options: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        limbeck.explain(net(), ROWS, checks=(), **options)


@pytest.mark.parametrize(
    ("X", "match"),
    [
        (pd.DataFrame({"a": ["x", "y"], "b": [1.0, 2.0]}), r"columns \['a'\] hold text"),
        (np.full((3, 3), np.nan, dtype=np.float32), "X must be finite"),
        (np.array([["a"]]), "X must be rows of numbers"),
        (ROWS[0], "X must be rows of numbers"),
    ],
)
def test_bad_rows(X, match: str) -> None:
    with pytest.raises(InputError, match=match):
        limbeck.explain(net(), X, checks=())


def test_a_folder_of_something_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(StorageError, match="holds no explanation"):
        limbeck.explain(net(), ROWS, rows=1, checks=()).save(tmp_path)


def test_the_command_line_with_an_exported_program(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    program = torch.export.export(model, (torch.zeros(2, 3),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "net.pt2")
    pd.DataFrame(ROWS, columns=["a", "b", "c"]).assign(y=1).to_csv(tmp_path / "rows.csv", index=False)
    out = run_cli(
        "explain",
        "--model",
        str(tmp_path / "net.pt2"),
        "--data",
        str(tmp_path / "rows.csv"),
        "--target",
        "y",
        "--rows",
        "5",
        "--method",
        "acd",
        "--out",
        str(tmp_path / "e"),
        "--quiet",
        cwd=tmp_path,
    )
    assert out.returncode in (0, 3), out.stderr
    assert "RC005 pass" in out.stdout
    assert (tmp_path / "e" / "report.html").is_file()
    page = run_cli("report", str(tmp_path / "e"), "--out", str(tmp_path / "again.html"), cwd=tmp_path)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "e" / "report.html").read_bytes(), page.stderr
    wrong = run_cli("explain", "--model", "net.onnx", "--data", str(tmp_path / "rows.csv"), cwd=tmp_path)
    assert wrong.returncode == 2
    assert re.search(r"onnx|network", wrong.stderr)
