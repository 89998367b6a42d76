"""`limbeck.modules`: what comes apart and what does not, its findings, document and command line, what it refuses."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import limbeck
from limbeck import _modules_stages as stages
from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck._modules_findings import clusterability_finding, specialisation_finding, split_finding, verdict
from limbeck._modules_result import ModulesResult
from limbeck.checks import Finding
from limbeck.modularity import Clusterability, Specialisation
from running_cli import limbeck as run_cli

NAMES = ["age", "dose", "<b>sex", "weight"]
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(240, 4)).astype(np.float32)


def dense(outputs: int = 2) -> nn.Sequential:
    """A network as it is drawn, whose outputs are about 0 on average."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, outputs))
    with torch.no_grad():
        net[4].bias -= net(torch.from_numpy(ROWS)).median(0).values
    return net


def planted(outputs: int = 2) -> nn.Sequential:
    """Two networks side by side, each of two inputs and one output, their hidden units in random order."""
    net, generator = dense(outputs), np.random.default_rng(1)
    labels = [np.repeat([0, 1], 2), *(generator.permutation(np.repeat([0, 1], 6)) for _ in range(2)), np.array([0, 1])]
    with torch.no_grad():
        for layer, into, out in zip(net[::2], labels[:-1], labels[1:], strict=True):
            layer.weight.copy_(
                torch.tensor(out[:, None] == into) * (layer.weight.abs() + 0.1) * torch.sign(layer.weight)
            )
            layer.bias.zero_()
    return net


def answers(net: nn.Module) -> np.ndarray:
    return net(torch.from_numpy(ROWS)).detach().numpy()


ALL = ["0", "2", "4"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer draws: p-values can still be at most 0.05."""
    monkeypatch.setattr(stages, "SEARCHES", 19)
    monkeypatch.setattr(stages, "N_RANDOM", 40)


def test_a_network_of_two_parts_comes_apart(tmp_path: Path) -> None:
    net = planted()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    truth = pd.DataFrame(answers(net), columns=["heat", "cost"])
    found = limbeck.modules(net, ROWS, truth, layers=ALL, k=2, names=NAMES, circuits=False, random_state=0)
    assert [f.status for f in found.findings] == ["pass"] * 3
    assert found.verdict.startswith("comes apart: RC011")
    assert [score["what"] for score in found.document["scores"]] == ["original", "split"]
    told = {card["decides"][0]: sorted(card["inputs"]) for card in found.document["modules"]}
    assert told == {"heat": ["age", "dose"], "cost": ["<b>sex", "weight"]}
    assert all(layer["after"]["clusterability"] == pytest.approx(1.0) for layer in found.document["layers"])
    assert found.table()["decides"].tolist() == list(told)
    assert "6 units of layer 0" in found.text()
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    folder = found.save(tmp_path / "m")
    saved = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    assert saved["verdict"] == found.verdict
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "dose" in page
    assert "<b>sex" not in page
    again = found.read_network(folder, dense())
    assert torch.equal(again(torch.from_numpy(ROWS)), found.network(torch.from_numpy(ROWS)))
    assert found.save(folder)  # replaces its own


def test_a_dense_network_does_not_come_apart() -> None:
    net = dense()
    found = limbeck.modules(net, ROWS, answers(net), k=2, circuits=False, random_state=0)
    assert [(f.code, f.status) for f in found.findings][:2] == [("RC011", "fail"), ("RC012", "fail")]
    assert found.verdict.startswith("does not come apart: RC011 fail")
    assert found.document["metric"] == "r2"
    assert found.document["recipe"] == {
        "trained": False,
        "k": 2,
        "strength": None,
        "warmup_epochs": None,
        "epochs": None,
        "split_epochs": None,
    }


def test_modules_that_do_the_same_come_apart_in_part() -> None:
    net = planted()
    with torch.no_grad():
        net[0].weight[6:], net[4].weight[:, 6:] = net[0].weight[:6], net[4].weight[:, :6]
        net[2].weight.copy_(torch.block_diag(*[net[2].weight.abs()[:6, :6] + 0.1] * 2))
        net[4].weight += 0.1
    found = limbeck.modules(net, ROWS, answers(net), k=2, circuits=False, random_state=0)
    assert [f.status for f in found.findings] == ["pass", "pass", "fail"]
    assert found.verdict.startswith("comes apart in part: RC013 fail: no more specialised than chance")


def test_training_leaves_the_network_and_says_what_it_did() -> None:
    net = dense(3)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    labels = np.array(["a", "b", "<i>c"])[answers(net).argmax(1)]
    given = {"k": 2, "train": True, "epochs": 1, "split_epochs": 0, "classes": ["a", "b", "<i>c"], "random_state": 3}
    one, two = (limbeck.modules(net, ROWS, labels, circuits=False, **given) for _ in range(2))
    assert one.to_dict() | {"seconds": 0} == two.to_dict() | {"seconds": 0}
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert [score["what"] for score in one.document["scores"]] == ["original", "trained", "split"]
    assert one.document["scores"][0]["value"] == 1.0
    layer = one.document["layers"][0]
    assert layer["before"]["clusterability"] < layer["after"]["clusterability"]
    assert any("more epochs" in note for note in one.document["notes"])


def test_distilling_and_circuits_are_in_the_document(tmp_path: Path) -> None:
    net = planted()
    labels = answers(net).argmax(1)
    found = limbeck.modules(net, ROWS, labels, layers=ALL, k=2, distill=True, random_state=0)
    assert found.document["circuits"]["labels"] == ["0", "1"]
    assert all(0 < size <= 1 for size in found.document["circuits"]["sizes"])
    assert all(card["readable"]["text"] for card in found.document["modules"])
    assert "which is the module" in found.text()
    assert found.save(tmp_path / "m")


def test_a_stage_that_cannot_be_done_is_said_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(work: Any) -> None:
        raise InputError("no such thing")

    monkeypatch.setattr(stages, "circuits", stop)
    found = limbeck.modules(dense(), ROWS, answers(dense()), k=2, random_state=0)
    assert found.document["notes"][-1] == "circuits: not found, since no such thing"
    assert found.complete


@pytest.mark.parametrize(("stage", "codes"), [("judge", 2), ("interpret", 2), ("circuits", 3)])
def test_an_interrupt_keeps_what_is_done(
    stage: str, codes: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, calls = getattr(stages, stage), []

    def stop(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 1:
            raise KeyboardInterrupt
        own(*given)

    monkeypatch.setattr(stages, stage, stop)
    found = limbeck.modules(dense(), ROWS, answers(dense()), k=2, random_state=0)
    assert not found.complete
    assert len(found.findings) == codes
    assert found.circuits is None
    assert any("interrupted" in note for note in found.document["notes"])
    assert found.save(tmp_path / "m")


def test_what_training_held_apart_is_judged_by_its_cost_alone() -> None:
    given: dict[str, Any] = {"k": 2, "circuits": False, "random_state": 0}
    found = limbeck.modules(dense(), ROWS, answers(dense()), train=True, epochs=1, split_epochs=1, **given)
    assert [(f.code, f.status) for f in found.findings][:2] == [("RC011", "not_applicable"), ("RC012", "fail")]
    assert found.verdict.startswith("does not come apart: RC012 fail")
    net = planted()
    found = limbeck.modules(net, ROWS, answers(net), train=True, epochs=1, split_epochs=1, **given)
    assert "RC011" not in found.verdict


def test_findings_pass_fail_and_stay_open() -> None:
    high, low = Clusterability(0.99, 0.5, 0.5, 0.02), Clusterability(0.6, 0.5, 0.5, 0.4)
    assert [clusterability_finding(x).status for x in ({"a": high}, {"a": high, "b": low}, {"b": low})] == [
        *("pass", "inconclusive", "fail")
    ]
    truth, generator = np.arange(400) % 2, np.random.default_rng(0)
    right = np.eye(2)[truth]
    wrong = np.eye(2)[np.where(generator.uniform(size=400) < 0.1, 1 - truth, truth)]
    few = np.eye(2)[np.where(np.arange(400) < 12, 1 - truth, truth)]
    statuses = [split_finding(right, one, truth, "accuracy", 0).status for one in (right, few, wrong)]
    assert statuses == ["pass", "inconclusive", "fail"]
    y = generator.normal(size=(400, 2))
    assert [split_finding(y, one, y, "r2", 0).status for one in (y, y[:, ::-1])] == ["pass", "fail"]
    more, same = Specialisation(0.9, 0.2, (0.8, 0.95), 0.01, 99), Specialisation(0.9, 0.8, (0.7, 0.95), 0.3, 99)
    unknown = Specialisation(float("nan"), 0.2, (0.1, 0.2), 0.5, 99)
    assert [specialisation_finding(one).status for one in (more, same, unknown)] == ["pass", "fail", "not_applicable"]


@pytest.mark.parametrize(
    ("statuses", "start"),
    [
        (("pass", "pass", "pass"), "comes apart: "),
        (("pass", "pass", "fail"), "comes apart in part: RC013 fail"),
        (("pass", "inconclusive", "pass"), "comes apart in part: RC012 inconclusive"),
        (("pass", "pass"), "comes apart in part: RC013 was not measured"),
        (("pass", "fail", "pass"), "does not come apart: RC012 fail"),
        (("fail", "pass", "pass"), "does not come apart: RC011 fail"),
    ],
)
def test_verdicts(statuses: tuple[Any, ...], start: str) -> None:
    found = [Finding(f"RC01{i}", status, 0.0, None, 0.0, "m") for i, status in enumerate(statuses, 1)]
    assert verdict(found).startswith(start)


class Odd(nn.Module):
    """A layer, and then something that a network must not do."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.layer, self.what = nn.Linear(4, 2), what

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.what == "raises":
            raise ValueError("no rows today")
        y = self.layer(x)
        return y * float("nan") if self.what == "nan" else y + torch.rand(1) if self.what == "random" else y.sum()


@pytest.mark.parametrize(
    ("what", "match"),
    [
        *(("raises", "no rows today"), ("nan", "NaN or infinite"), ("random", "the same rows in two ways")),
        ("shape", "one tensor of raw outputs"),
    ],
)
def test_networks_that_can_not_be_judged(what: str, match: str) -> None:
    with pytest.raises(TeacherError, match=match):
        limbeck.modules(Odd(what), ROWS, ROWS[:, :2])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"k": 1}, "k must be a whole number of at least 2"),
        ({"k": 99}, "k must be at most"),
        ({"layers": ["none"]}, "none"),
        ({"holdout": 1.0}, "holdout is a share"),
        ({"train": "yes"}, "train must be True or False"),
        ({"names": ["a"]}, "names must name the 4 columns"),
        ({"classes": ["a", "b", "c"]}, "2 output"),
        ({"train": True, "epochs": 0}, "epochs"),
        ({"train": True, "strength": float("nan")}, "strength"),
    ],
)
def test_bad_options(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        limbeck.modules(dense(), ROWS, answers(dense()).argmax(1), **options)


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (np.full((30, 4), np.nan, dtype=np.float32), np.arange(30) % 2, "X must be finite"),
        (np.array([["a"] * 4] * 30), np.arange(30) % 2, "X must be rows of numbers"),
        (ROWS[:5], np.arange(5) % 2, "at least 20 rows"),
        (ROWS, None, "y is required"),
        (ROWS, np.arange(7), "one for each row"),
        (ROWS, np.zeros(240), "different|two classes|2 output"),
        (ROWS, np.zeros((240, 2)), "one value for all rows"),
        (ROWS, np.full(240, np.nan), "missing"),
        (ROWS, np.array(["x", "y", "z"] * 80), "3 classes"),
    ],
)
def test_bad_rows(X: Any, y: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        limbeck.modules(dense(), X, y)


def test_one_output_for_labels_is_refused_and_a_model_must_be_a_network() -> None:
    with pytest.raises(InputError, match="must have one output each"):
        limbeck.modules(dense(1), ROWS, np.arange(240) % 2)
    with pytest.raises(InputError, match=r"model must be a torch\.nn\.Module; got str"):
        limbeck.modules("mine:net", ROWS, np.arange(240) % 2)


def test_folders_of_something_else_and_damaged_ones(tmp_path: Path) -> None:
    found = limbeck.modules(dense(), ROWS, answers(dense()), k=2, circuits=False, random_state=0)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(StorageError, match="holds no modules"):
        found.save(tmp_path)
    folder = found.save(tmp_path / "m")
    with pytest.raises(InputError, match="model must be a network with the weights"):
        found.read_network(folder, dense(3))
    (folder / "weights.safetensors").write_bytes(b"no")
    with pytest.raises(StorageError, match="is damaged"):
        found.read_network(folder, dense())


def test_the_command_line(tmp_path: Path) -> None:
    frame = pd.DataFrame(ROWS, columns=["a", "b", "c", "d"])
    frame["class"] = answers(dense()).argmax(1)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "mine_modules.py").write_text(
        textwrap.dedent("""
        import torch
        from torch import nn

        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 2))
        """)
    )
    options = ["--data", "rows.csv", "--target", "class", "--no-circuits", "--k", "2", "--quiet"]
    ran = run_cli("modules", "--model", "mine_modules:net", *options, "--shape", "4", "--out", "m", cwd=tmp_path)
    assert ran.returncode == 3, ran.stderr
    assert "does not come apart: RC011 fail" in ran.stdout
    assert json.loads((tmp_path / "m" / "modules.json").read_text(encoding="utf-8"))["name"] == "rows.csv"
    page = run_cli("report", "m", "--out", "again.html", cwd=tmp_path)
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "m" / "report.html").read_bytes(), page.stderr
    told = run_cli("modules", "--model", "mine_modules:net", *options, "--json", "--out", "n", cwd=tmp_path)
    assert json.loads(told.stdout)["format"] == "limbeck-modules"
    file = run_cli("modules", "--model", "net.pt2", *options, cwd=tmp_path)
    assert (file.returncode, "In a .pt2 or .onnx file the modules are gone" in file.stderr) == (2, True)
    none = run_cli("modules", "--model", "mine_modules:net", "--data", "rows.csv", cwd=tmp_path)
    assert (none.returncode, "--target is required" in none.stderr) == (2, True)
    wrong = run_cli("modules", "--model", "mine_modules:net", *options, "--shape", "5", cwd=tmp_path)
    assert (wrong.returncode, "--shape 5 holds 5 numbers" in wrong.stderr) == (2, True)


def test_a_saved_result_is_read_again_without_its_network(tmp_path: Path) -> None:
    found = limbeck.modules(planted(), ROWS, answers(planted()), k=2, circuits=False, random_state=0)
    folder = found.save(tmp_path / "m")
    again = limbeck.load(folder)
    assert isinstance(again, ModulesResult)
    assert (again.text(), again.findings, again.to_dict()) == (found.text(), found.findings, found.to_dict())
    assert all((again.clusters[n].mask() == own.mask()).all() for n, own in found.clusters.items())
    assert again.table().equals(found.table())
    assert again.network is None
    with pytest.raises(InputError, match="copy its folder"):
        again.save(tmp_path / "n")
    document = folder / "modules.json"
    document.write_text(document.read_text().replace('"RC012"', "3"))
    with pytest.raises(StorageError, match="damaged"):
        limbeck.load(folder)
