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
from limbeck import Explanation
from limbeck._core.errors import InputError, StorageError
from limbeck._explain_rows import as_part
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


def reader(band: int, *, shuffled: bool = False) -> nn.Module:
    """It reads one frequency of 24 steps and nothing else; or what the same weights in another order read."""
    steps = torch.arange(24) * 2 * np.pi * band / 24
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 4), nn.ReLU(), nn.Linear(4, 1))
    generator = torch.Generator().manual_seed(0)
    waves = torch.randn(4, 2, generator=generator) @ torch.stack([steps.cos(), steps.sin()])
    if shuffled:
        waves = waves.flatten()[torch.randperm(96, generator=generator)].reshape(4, 24)
    model[1].weight.data, model[3].weight.data = waves, torch.tensor([[1.0, -2.0, 3.0, 1.0]])
    model[1].bias.data.zero_()
    model[3].bias.data.zero_()
    return model


def signals(n: int = 24) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 1, 24)).astype(np.float32)


def test_the_frequency_that_a_network_reads_is_found_and_not_after_a_shuffle() -> None:
    fourier = limbeck.attribution.Fourier(bands=6, dimensions=1)

    def of_the_band(model: nn.Module) -> float:
        rows = limbeck.explain(model, signals(), rows=8, method="trim", transform=fourier, checks=(), random_state=0)
        effects = np.abs([row["alone"] for row in rows.rows])
        names = [unit["name"] for unit in rows.rows[0]["units"]]
        return float(effects[:, names.index("frequency 0.167 to 0.25")].sum() / effects.sum())

    assert of_the_band(reader(5)) > 0.99
    assert of_the_band(reader(5, shuffled=True)) < 0.5
    assert of_the_band(reader(1)) < 0.01


@pytest.mark.parametrize(("transform", "groups"), [(None, 9), ("wavelet", 2), ("pca", 8)])
def test_trim_of_signals_is_transformation_importance_and_is_checked(transform: str | None, groups: int) -> None:
    checks = None if transform == "pca" else [limbeck.checks.Completeness()]
    given = {"method": "trim", "transform": transform, "checks": checks}
    found = limbeck.explain(reader(5), signals(), rows=2, random_state=0, **given)
    assert [f.code for f in found.findings] == ["RC005", "RC006", "RC007", "RC008"][: 1 if checks else 4]
    assert found.findings[0].status == "pass"
    one = found.rows[0]
    assert len(one["units"]) == len(one["alone"]) == groups
    assert found.transform == {None: "Fourier", "wavelet": "Wavelet", "pca": "PCA"}[transform]
    assert "trim of Sequential on rows" in found.text()
    assert "groups of coefficients of" in found.text()
    assert (one["lost"] > 0.1) == (transform == "pca")
    if transform != "pca":
        made = (limbeck.attribution.Wavelet if transform else limbeck.attribution.Fourier)(dimensions=1)
        own = limbeck.attribution.transformation_importance(reader(5), signals()[[one["row"]]], made)
        assert one["alone"] == pytest.approx(own.values[0].tolist(), abs=1e-6)
        assert [unit["name"] for unit in one["units"]] == list(own.names)
    curves = np.array([part["input"]["channels"][0] for part in one["parts"]])
    if transform is None:  # the parts are those of the row, and together they are the row
        assert curves.sum(axis=0) == pytest.approx(signals()[one["row"], 0], abs=1e-3)
        assert sum(part["share"] for part in one["parts"]) == pytest.approx(1.0, abs=1e-3)
        assert sum(unit["coefficients"] for unit in one["units"]) == 24


def test_trim_of_a_network_whose_effects_are_not_its_own_is_refused() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x * torch.arange(24.0)).sum((1, 2))[:, None]

    checks = [limbeck.checks.RandomisedNetwork()]
    found = limbeck.explain(Fixed(), signals(), method="trim", checks=checks, random_state=0)
    assert found.verdict.startswith("do not use: RC006")


def test_trim_of_images_and_tables(tmp_path: Path) -> None:
    images = np.random.default_rng(0).uniform(size=(12, 1, 6, 6)).astype(np.float32)
    found = limbeck.explain(net(36), images, rows=1, method="trim", transform="nmf", checks=(), random_state=0)
    assert found.rows[0]["lost"] > 0.01
    assert {part["input"]["low"] for part in found.rows[0]["parts"]} == {0.0}
    assert found.rows[0]["remainder"]["low"] < 0 < found.rows[0]["remainder"]["high"]
    assert "NMF: 8 parts, fitted on 12 rows" in found.notes
    found.save(tmp_path / "image")
    page = (limbeck.load(tmp_path / "image").save(tmp_path / "again") / "report.html").read_text(encoding="utf-8")
    assert page == (tmp_path / "image" / "report.html").read_text(encoding="utf-8")
    assert "lost by the transform" in page
    scaled = ROWS * np.array([1000.0, 1.0, 0.001], dtype=np.float32)
    table = limbeck.explain(
        nn.Linear(3, 1, bias=False), scaled, rows=[3], method="trim", names=["a", "b", "c"], checks=()
    )
    one = table.rows[0]
    assert [unit["name"] for unit in one["units"]] == ["component 1", "component 2", "component 3"]
    moved = {name: float(value) for p in one["parts"] for name, value in zip(*p["input"].values(), strict=True)}
    assert set(moved) == {"a", "b", "c"}  # a column of small numbers counts as much
    assert one["bias"] + sum(one["alone"]) == pytest.approx(one["value"], rel=1e-4)


def test_large_parts_are_held_small() -> None:
    spot = np.zeros((3, 200, 100))
    spot[0, 17, 3], spot[1, 17, 4] = -5.0, 2.0
    shown = as_part("image", spot, spot, None, None)
    values = np.array(shown.pop("values")).reshape(67, 34, 3)
    assert shown == {"height": 67, "width": 34, "channels": 3, "low": -5.0, "high": 5.0}
    assert values[5, 1, :2].tolist() == [0, 178]  # a mean would have hidden it
    wave = np.zeros((8, 5000))
    wave[0, 777] = 1.0
    curves = as_part("signal", wave, wave, None, None)["channels"]
    assert [len(curve) for curve in curves] == [600] * 6
    assert max(curves[0]) == 1.0


@pytest.mark.parametrize(
    ("rows", "options", "match"),
    [
        (np.ones((3, 4), dtype=np.int64), {}, "got words. Take 'acd' or 'cd'"),
        (ROWS, {"transform": "fourrier"}, r"transform must be one of .*Did you mean 'fourier'\?"),
        (ROWS, {"transform": "fourier"}, "needs numbers in an order"),
        (ROWS, {"transform": "nmf"}, "NMF needs rows without negative numbers"),
        (ROWS[:1], {}, "needs at least 2; got 1"),
        (np.ones((6, 3)), {}, "transform='pca' needs rows that differ; all 6 are the same"),
        (ROWS, {"transform": 7}, "transform must be a Fourier"),
        (ROWS, {"baseline": 0.0}, "baseline is no choice of method='trim'"),
        (ROWS, {"tile": 2}, "tile is no choice of method='trim'"),
        (ROWS, {"method": "cd", "transform": "pca"}, "transform is a choice of method='trim'"),
    ],
)
def test_what_trim_refuses(rows: np.ndarray, options: dict, match: str) -> None:
    with pytest.raises(InputError, match=match):
        limbeck.explain(net(), rows, rows=1, checks=(), **{"method": "trim"} | options)


class Stopping(nn.Module):
    """Ctrl-C after so many rows were explained, as the progress says."""

    @staticmethod
    def at(what: str) -> object:
        def progress(said: str, done: int, total: int) -> None:
            if said.startswith(what):
                raise KeyboardInterrupt

        return progress


@pytest.mark.parametrize("method", ["cd", "trim"])
def test_what_is_done_when_it_is_stopped_is_kept(method: str) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        limbeck.explain(net(), ROWS, rows=[4, 7, 9], method=method, progress=Stopping.at("explaining row 4"))
    found = limbeck.explain(net(), ROWS, rows=[4, 7, 9], method=method, progress=Stopping.at("explaining row 9"))
    assert [row["row"] for row in found.rows] == [4, 7]
    assert "stopped after 2 of 3 rows, and before the checks" in found.notes
    assert found.verdict == "use with care: no check could be made"
    found = limbeck.explain(net(), ROWS, rows=[4], method=method, progress=Stopping.at("RC006"))
    assert [f.code for f in found.findings] == ["RC005"]
    assert "stopped after 1 of 4 checks" in found.notes


@pytest.mark.parametrize("method", ["acd", "trim", "occlusion"])
def test_an_explanation_is_read_as_it_was_written(method: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["age", "dose", "<b>sex"])
    found = limbeck.explain(net(), frame, np.arange(30), rows=2, method=method, random_state=1)
    again = limbeck.load(found.save(tmp_path / "e"))
    assert again == found
    assert again.to_dict() == found.to_dict()
    assert again.text() == found.text()
    assert Explanation.from_dict(found.to_dict()) == found


def damaged(tmp_path: Path, **changes: object) -> Path:
    """The folder of an explanation in which some entries are others; ``row_...``: entries of its first row."""
    document = limbeck.explain(net(), ROWS, rows=[0], method="trim", checks=()).to_dict()
    for key, value in changes.items():
        if key.startswith("row_"):
            document["rows"][0][key.removeprefix("row_")] = value
        else:
            document[key] = value
    (tmp_path / "explanation.json").write_text(json.dumps(document), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"version": 2}, "is damaged: this limbeck reads explanations of version 1"),
        ({"format": "limbeck-run"}, "is damaged: an explanation's document is required"),
        ({"row_alone": [1.0]}, "alone must hold one number a unit, 3; got 1"),
        ({"row_value": float("nan")}, "must hold JSON types only: Out of range float"),
        ({"row_value": 10**400}, "value must be a finite number; got inf"),
        ({"row_lost": -1}, "lost must be a finite number from 0"),
        ({"row_parts": [{"unit": 9, "input": {}}]}, r"parts\[0\].* must be|lacks"),
        ({"rows": {"__reduce__": "os.system"}}, "rows must be a list of at least 1"),
        ({"findings": [{"code": "RC005"}]}, r"findings\[0\] lacks 'title'"),
    ],
)
def test_a_damaged_explanation_is_refused(changes: dict, match: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=match):
        limbeck.load(damaged(tmp_path, **changes))


def test_a_claimed_verdict_and_a_terminals_commands_do_nothing(tmp_path: Path) -> None:
    folder = damaged(tmp_path, verdict="holds up: trust me", name="rows\x1b[2J", notes=["a\ud800b"], extra={"x": 1})
    found = limbeck.load(folder)
    assert found.verdict == "use with care: no check could be made"
    assert "\x1b" not in found.text()
    assert "extra" not in found.to_dict()
    shown = run_cli("show", str(folder), cwd=tmp_path)
    assert shown.stdout == found.text() + "\n", shown.stderr
    assert run_cli("show", str(folder), "tree", cwd=tmp_path).returncode == 2
    wrong = run_cli("export", str(folder), "tree", "--to", "python", cwd=tmp_path)
    assert wrong.returncode in (1, 2)
    found.save(folder)


@pytest.mark.parametrize("data", [None, {"format": object()}, {"format": "limbeck-explanation", "version": 1}])
def test_what_is_no_document_is_refused(data: object) -> None:
    with pytest.raises(InputError, match=r"explanation's document|lacks 'kind'"):
        Explanation.from_dict(data)


def test_trim_on_the_command_line(tmp_path: Path) -> None:
    text = "from torch import nn\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(24, 2)).eval()\n"
    (tmp_path / "net_for_trim.py").write_text(text, encoding="utf-8")
    pd.DataFrame(signals()[:, 0]).to_csv(tmp_path / "rows.csv", index=False)
    options = [
        "--model",
        "net_for_trim:model",
        "--data",
        "rows.csv",
        "--shape",
        "1,24",
        "--method",
        "trim",
        "--rows",
        "1",
    ]
    out = run_cli("explain", *options, "--transform", "wavelet", "--out", "e", "--quiet", cwd=tmp_path)
    assert out.returncode in (0, 3), out.stderr
    assert "approximation" in out.stdout
    assert run_cli("show", "e", cwd=tmp_path).stdout in out.stdout + "\n"
    assert run_cli("explain", *options, "--transform", "haar", cwd=tmp_path).returncode == 2
