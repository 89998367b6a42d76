"""What modules are for: ON and OFF by hand, units turned off for a moment, sentences, bad input."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.modularity import Clusters, SplitNetwork, interpret, split
from limbeck.modularity._module_answers import answers_of, outputs_on, read_rows
from limbeck.modularity._specialisation import Specialisation, concentration
from limbeck.modularity._turned_off import turned_off, unit_sites
from limbeck.modularity._used_inputs import used_inputs

LABELS = np.arange(8) % 2
X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.abs(X[:, 0]) > np.abs(X[:, 2])


def layered(activation: type[torch.nn.Module] = torch.nn.Sigmoid, outputs: int = 2) -> torch.nn.Sequential:
    torch.manual_seed(1)
    parts = torch.nn.Linear(4, 8), activation(), torch.nn.Linear(8, 8), activation(), torch.nn.Linear(8, outputs)
    return torch.nn.Sequential(*parts)


def taken_apart(net: torch.nn.Module | None = None) -> SplitNetwork:
    return split(layered() if net is None else net, {"2": Clusters(LABELS, LABELS, 2)}, check_rows=X)


@pytest.mark.parametrize("activation", [torch.nn.Sigmoid, torch.nn.ReLU])
def test_parts_and_units_that_are_off_say_the_same(activation: type[torch.nn.Module]) -> None:
    network = taken_apart(layered(activation))
    rows = read_rows(X, None, network).values
    found = answers_of(network, rows)
    assert found.adds_up
    site = unit_sites(network, rows)[-1]
    for i in range(2):
        with turned_off([(site, site.labels == i)]):
            np.testing.assert_allclose(outputs_on(network, rows), found.without[i], atol=1e-5)
    assert not any(layer._forward_pre_hooks for layer in network.modules())


def test_a_convolution_keeps_its_channels_whole() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU()
    )
    net.append(torch.nn.Linear(8, 3))
    channels = np.array([0, 1, 0, 1])
    clusters = {"0": Clusters(channels, [0], 2), "3": Clusters(LABELS, np.repeat(channels, 16), 2)}
    images = np.random.default_rng(0).normal(size=(40, 1, 6, 6))
    network = split(net, clusters, check_rows=images)
    rows = read_rows(images, None, network)
    first, last = unit_sites(network, rows.values)
    assert (first.repeats, last.repeats) == (16, 1)
    assert rows.names[7] == "x[0, 1, 1]"
    found = interpret(network, images, outputs_on(net, rows.values).argmax(axis=1), n_random=3, classes=range(3))
    assert list(found.on.columns) == [0, 1, 2]
    assert set(found.examples["module"]) == {"module 1", "module 2"}
    assert found.inputs["module 2"] == ()  # the only input channel is of the first module


def test_where_outputs_do_not_add_up_units_are_turned_off() -> None:
    net = torch.nn.Sequential(layered(torch.nn.ReLU), torch.nn.Softmax(dim=1))
    network = split(net, {"0.2": Clusters(LABELS, LABELS, 2)}, check_rows=X)
    found = answers_of(network, read_rows(X, None, network).values)
    assert not found.adds_up
    assert found.alone.shape == found.without.shape == (2, 60, 2)
    np.testing.assert_allclose(found.alone.sum(axis=2), 1.0, atol=1e-5)
    assert interpret(network, X, Y, n_random=3).metric == "accuracy"


def test_on_and_off_by_hand() -> None:
    network = taken_apart()
    found = interpret(network, pd.DataFrame(X, columns=list("abcd")), Y, n_random=3, random_state=0)
    part, rows = network.parts[0], torch.tensor(X, dtype=torch.float32)
    alone = (part(rows) + network.bias).argmax(dim=1).numpy()
    assert found.on.loc["module 1", True] == pytest.approx((alone[Y] == 1).mean())
    whole = network(rows).argmax(dim=1).numpy()
    assert found.whole[False] == pytest.approx((whole[~Y] == 0).mean())
    assert (found.lost_low.to_numpy() <= found.lost.to_numpy()).all()
    assert found.inputs == {"module 1": None, "module 2": None}
    assert "uses all inputs" in found.text()
    again = interpret(network, pd.DataFrame(X, columns=list("abcd")), Y, n_random=3, random_state=0)
    assert json.dumps(found.to_dict(), allow_nan=False) == json.dumps(again.to_dict(), allow_nan=False)


def test_one_score_tells_two_classes_apart() -> None:
    net = layered(outputs=1)
    with torch.no_grad():
        net[4].bias -= net(torch.tensor(X, dtype=torch.float32)).median()
    network = taken_apart(net)
    words = np.where(outputs_on(network, torch.tensor(X))[:, 0] > 0, "yes", "no")
    found = interpret(network, X, words, n_random=3)
    assert list(found.whole.index) == ["no", "yes"]
    assert "class" in found.text()


def test_nothing_is_left_behind() -> None:
    network = taken_apart().train()
    before = copy.deepcopy(network.state_dict())
    torch.manual_seed(3)
    state = torch.get_rng_state()
    interpret(network, X, Y, n_random=3)
    assert network.training
    assert all(torch.equal(before[name], t) for name, t in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in network.parameters())


def test_unused_inputs_are_found_also_without_slopes() -> None:
    class Steps(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.round(3 * rows[:, 1:2]) + rows[:, :1] * 0

    class Sum(torch.nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return 5 * rows[:, 3:] + rows[:, 1:2] + 1e-3 * rows[:, :1]

    rows = torch.tensor(X)
    assert 1 in used_inputs(Steps(), rows).positions
    assert used_inputs(Sum(), rows).positions == (1, 3)
    only = used_inputs(Sum(), rows, most=1)
    assert only.positions == (3,)
    assert 0.01 < only.lost < 0.2


@pytest.mark.parametrize(
    ("lost", "score"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 1.0),
        ([[0.3, 0.2], [0.3, 0.2]], 0.0),
        ([[0.8, 0.01], [0.0, 0.01]], 0.8 / 0.82),
        ([[0.5, -0.4], [0.0, 0.0]], 1.0),
    ],
)
def test_concentration(lost: list[list[float]], score: float) -> None:
    assert concentration(np.array(lost)) == pytest.approx(score)


def test_concentration_of_nothing() -> None:
    assert np.isnan(concentration(np.zeros((2, 3))))
    assert concentration(np.ones((1, 2))) == 0.0


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (Specialisation(0.5, 0.2, (0.4, 0.6), 0.01, 99), "more specialised than chance: 0.50"),
        (Specialisation(0.2, 0.2, (0.1, 0.3), 0.4, 99), "no more specialised than chance: 0.20"),
        (
            Specialisation(0.2, np.nan, (0.1, 0.3), 1.0, 0),
            "specialisation 0.20 (95 % interval 0.10 to 0.30); its chance",
        ),
        (Specialisation(np.nan, np.nan, (np.nan, np.nan), np.nan, 9), "no label loses anything"),
    ],
)
def test_says(found: Specialisation, says: str) -> None:
    assert found.says.startswith(says)
    assert json.dumps(found.to_dict(), allow_nan=False)


class Failing(torch.nn.Module):
    """Works on the rows of the check; then it does what it is told."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.how == "raises":
            raise RuntimeError("no")
        return rows * torch.nan if self.how == "nan" else rows + torch.rand_like(rows) if self.how == "random" else rows


@pytest.mark.parametrize(
    ("how", "match"),
    [("raises", "raised RuntimeError"), ("nan", "NaN or infinite"), ("random", "differently each time")],
)
def test_networks_that_fail(how: str, match: str) -> None:
    net = layered()
    net.append(Failing(""))
    network = taken_apart(net)
    for module in (network, *network.parts):
        for part in module.modules():
            if isinstance(part, Failing):
                part.how = how
    with pytest.raises(TeacherError, match=match):
        interpret(network, X, Y)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"X": np.where(X > 2, np.nan, X)}, "missing"),
    ({"X": np.where(X > 1, np.inf, X)}, "finite"),
    ({"X": np.full((60, 1, 2, 2), np.nan)}, "missing|finite"),
    ({"X": X[:1], "y": Y[:1]}, "at least 20 rows are required; got 1"),
    ({"X": X[:0], "y": Y[:0]}, "at least one row"),
    ({"y": Y[:5]}, "y must have 60 rows"),
    ({"y": np.full(60, np.nan)}, "missing or infinite"),
    ({"y": np.arange(60) % 3}, "2 output"),
    ({"y": np.zeros(60)}, "2 output"),
    ({"classes": ["a", "b"]}, "labels that the teacher does not have"),
    ({"names": ["a"]}, "names must name 4"),
    ({"n_examples": -1}, "n_examples must be a whole number of at least 0; got -1"),
    ({"n_random": 2.5}, "n_random must be a whole number"),
    ({"random_state": "x"}, "random_state must be"),
    ({"split_network": layered()}, "a split network is required"),
]


@pytest.mark.parametrize(("bad", "match"), BAD)
def test_bad_input(bad: dict[str, Any], match: str) -> None:
    given = {"split_network": taken_apart(), "X": X, "y": Y, **bad}
    with pytest.raises(InputError, match=match):
        interpret(given.pop("split_network"), given.pop("X"), given.pop("y"), **given)


def test_wrong_width_is_said() -> None:
    with pytest.raises(TeacherError, match="on rows of shape"):
        interpret(taken_apart(), X[:, :3], Y)


def test_no_hidden_units() -> None:
    network = split(torch.nn.Sequential(torch.nn.Linear(4, 2)), {"0": Clusters([0, 1], [0, 0, 1, 1], 2)})
    with pytest.raises(InputError, match="no hidden units"):
        interpret(network, X, Y)
