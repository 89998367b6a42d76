"""Effective circuits: as good as one weight at a time, nothing left behind, and what can be wrong said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck.modularity import _circuit_search
from limbeck.modularity._circuit import Circuit, effective_circuit
from limbeck.modularity._circuit_network import masked_network
from limbeck.modularity._circuit_rows import read_circuit_rows
from limbeck.modularity._circuits import Circuits, circuits, picture


def digits(n: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Three labels that a small network can learn, with noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    return torch.eye(3)[y].repeat(1, 2) + 0.4 * torch.randn(n, 6, generator=generator), y


def trained() -> nn.Sequential:
    """A network of 6-8-3 after some steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    X, y = digits(seed=5)
    for _ in range(120):
        slopes = torch.autograd.grad(nn.functional.cross_entropy(model(X), y), list(model.parameters()))
        with torch.no_grad():
            for parameter, slope in zip(model.parameters(), slopes, strict=True):
                parameter -= 0.5 * slope
    return model


def one_at_a_time(model: nn.Module, X: torch.Tensor, label: int) -> tuple[float, int]:
    """The loss and the number of weights left, weights tried one after another from the last layer back."""
    y = torch.full((len(X),), label)

    def loss() -> float:
        return float(nn.functional.cross_entropy(model(X), y))

    with torch.no_grad():
        lowest, weights = loss(), [model[i].weight.view(-1) for i in (2, 0)]  # type: ignore[index]
        for weight in weights:
            for j in range(len(weight)):
                before = float(weight[j])
                weight[j] = 0.0
                if (now := loss()) <= lowest:
                    lowest = now
                else:
                    weight[j] = before
    return lowest, sum(int((weight != 0).sum()) for weight in weights)


def test_as_good_as_one_weight_at_a_time() -> None:
    X, y = digits()
    ours = [effective_circuit(trained(), (X, y), label) for label in range(3)]
    theirs = [one_at_a_time(trained(), X[y == label], label) for label in range(3)]
    ratios = [circuit.loss_after / loss for circuit, (loss, _) in zip(ours, theirs, strict=True)]
    assert sorted(ratios)[1] <= 1.01
    assert sum(round(72 * circuit.size) for circuit in ours) <= sum(left for _, left in theirs)


def test_next_to_no_single_weight_that_is_left_could_go() -> None:
    X, y = digits()
    circuit = effective_circuit(trained(), (X, y), 1)
    alone = circuit.alone(trained())
    own = X[y == 1]

    def loss() -> float:
        return float(nn.functional.cross_entropy(alone(own).double(), y[y == 1]))

    with torch.no_grad():
        before, worse = loss(), 0
        for name in circuit.kept:
            weight = alone.get_submodule(name).weight.view(-1)
            for j in np.flatnonzero(circuit.kept[name].ravel()):
                value = float(weight[j])
                weight[j] = 0.0
                worse += loss() > before
                weight[j] = value
    assert before == pytest.approx(circuit.loss_after, rel=1e-6)
    # a layer is not visited again after those before it have changed, as one at a time neither
    assert worse >= sum(int(kept.sum()) for kept in circuit.kept.values()) - 2
    assert worse >= 20


@pytest.mark.parametrize("contrast", [False, True])
def test_a_cost_is_what_zeroing_costs(contrast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.modularity._circuit_rows.BATCH", 7)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3))
    model = model.double()
    rows = read_circuit_rows(model, digits(), None, None, 0)
    with masked_network(model, rows.aim(0, contrast=contrast), rows.layers) as network:
        network.begin()
        for name in ("1", "4"):
            network.work_at(name)
            before, costs = network.losses(name, network.keep[name]).loss, network.costs(name)
            true = torch.empty_like(costs).view(-1)
            for j in range(costs.numel()):
                keep = network.keep[name].clone()
                keep.view(-1)[j] = False
                true[j] = network.losses(name, keep).loss - before
            assert float(np.corrcoef(true, costs.view(-1))[0, 1]) > 0.98
            assert float((true - costs.view(-1)).abs().mean()) < 0.15 * float(true.abs().mean())


def test_the_search_is_caught_if_it_does_not_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the tests above: granting every batch empties the circuit and ruins the loss."""
    monkeypatch.setattr(_circuit_search.Allowance, "grants", lambda self, counted: True)
    X, y = digits()
    circuit = effective_circuit(trained(), (X, y), 0)
    assert circuit.loss_after > one_at_a_time(trained(), X[y == 0], 0)[0] + 0.1


class Broken(nn.Module):
    """Does something wrong after some calls."""

    def __init__(self, wrong: Callable[[torch.Tensor], torch.Tensor], after: int = 0) -> None:
        super().__init__()
        self.layers, self.wrong, self.after, self.calls = trained(), wrong, after, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.wrong(self.layers(x)) if self.calls > self.after else self.layers(x)


def interrupt(_: torch.Tensor) -> torch.Tensor:
    raise KeyboardInterrupt


def state_of(model: nn.Module) -> list[Any]:
    modules = list(model.modules())
    found: list[Any] = [value.clone() for value in model.state_dict().values()]
    found += [p.requires_grad for p in model.parameters()] + [p.grad is None for p in model.parameters()]
    found += [module.training for module in modules] + [sorted(module.__dict__) for module in modules]
    return [*found, [id(p) for p in model.parameters()], torch.get_rng_state(), np.random.get_state()[1].tolist()]  # noqa: NPY002


def same_state(one: list[Any], other: list[Any]) -> bool:
    return all(torch.equal(a, b) if torch.is_tensor(a) else a == b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("after", [None, 0, 4, 20])
def test_the_network_is_as_it_was_also_after_ctrl_c(after: int | None) -> None:
    model = Broken(interrupt, after=10**9 if after is None else after)
    model.layers[0].weight.requires_grad_(False)
    before = state_of(model)
    if after is None:
        effective_circuit(model, digits(), 0)
    else:
        with pytest.raises(KeyboardInterrupt):
            effective_circuit(model, digits(), 0)
    assert same_state(before, state_of(model))


@pytest.mark.parametrize("after", [0, 20])
def test_a_network_that_raises(after: int) -> None:
    def fail(_: torch.Tensor) -> torch.Tensor:
        raise ValueError("no more")

    model = Broken(fail, after)
    before = state_of(model)
    with pytest.raises(TeacherError, match=r"raised ValueError on rows of shape .*no more"):
        effective_circuit(model, digits(), 0)
    assert same_state(before, state_of(model))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (lambda out: out * float("nan"), "answers with NaN or infinite|must answer finite numbers"),
        (lambda out: out + torch.randn_like(out), "answers the same rows differently"),
        (lambda out: out[:, :, None], "must answer 2 rows with one tensor"),
        (lambda out: [out], "must answer 2 rows with one tensor"),
    ],
)
def test_a_network_that_can_not_be_used(wrong: Any, match: str) -> None:
    with pytest.raises(TeacherError, match=match):
        effective_circuit(Broken(wrong), digits(), 0)


X, Y = digits()


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        ((X, Y), {"label": 3}, "label must be a whole number from 0 to 2, a label; got 3"),
        ((X, Y), {"label": True}, "label must be a whole number"),
        ((X, Y), {"label": "0"}, "label must be a whole number"),
        ((X[Y != 1], Y[Y != 1]), {"label": 1}, "label 1 has no rows among the 32 given; those have the labels 0, 2"),
        ((X[Y == 1], Y[Y == 1]), {"label": 1, "contrast": True}, "needs rows of other labels than 1; all 16 rows"),
        ((X, Y + 1), {}, "y must be labels .* from 0 to 2.* got values from 1 to 3.*task='regression'"),
        ((X, Y.double() + 0.5), {"task": "classification"}, "y must be labels"),
        ((X, Y[:5]), {}, "data must be X .n, .... and y"),
        ((X[:0], Y[:0]), {}, "with n >= 1"),
        ((X * float("nan"), Y), {}, "must be finite; 48 of 48 rows"),
        ((X, Y, Y), {}, "must be a DataLoader or a pair"),
        ((X, Y), {"layers": []}, "needs Linear or Conv layers that run; Sequential has: 0, 2"),
        ((X, Y), {"layers": ["1"]}, "layers must name Linear or Conv layers that run: 0, 2; got '1'"),
        ((X, Y), {"layers": ["00"]}, "there is no such layer"),
        ((X, Y), {"tolerance": -1.0}, "tolerance must be a number of at least 0"),
        ((X, Y), {"tolerance": float("nan")}, "tolerance must be a number of at least 0"),
        ((X, Y), {"contrast": 1}, "contrast must be True or False"),
        ((X, Y.double()), {"contrast": True}, "contrast=True is for labels"),
        ((X, Y.double()), {"label": 3}, "from 0 to 2, an output; got 3"),
        ((X, Y), {"task": "clasification"}, "task must be one of .* Did you mean 'classification'"),
        ((X, Y), {"random_state": -1}, "random_state must be a whole number"),
    ],
)
def test_inputs_that_are_refused(data: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        effective_circuit(trained(), data, **{"label": 0, **options})


def test_rows_of_a_wrong_width_and_models_without_layers() -> None:
    with pytest.raises(TeacherError, match="raised RuntimeError on rows of shape"):
        effective_circuit(trained(), (X[:, :4], Y), 0)
    with pytest.raises(InputError, match=r"must be a torch\.nn\.Module; got function"):
        effective_circuit(one_at_a_time, (X, Y), 0)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="needs Linear or Conv layers that run; LayerNorm has: none"):
        effective_circuit(nn.LayerNorm(6), (X, Y), 0)
    normed = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3)))
    with pytest.raises(InputError, match="weight of layer '0' is computed from other parameters"):
        effective_circuit(normed, (X, Y), 0)
    with pytest.raises(InputError, match="labels must be different whole numbers"):
        circuits(trained(), (X, Y), [1, 1])


class Branches(nn.Module):
    """Convolutions, an in-place activation, a layer that runs twice, a residual and a weight that two layers share."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.again = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(3, 3)
        self.one, self.other, self.idle = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 3)
        self.other.weight = self.one.weight
        self.act = nn.ReLU(inplace=True)
        self.norm, self.drop = nn.BatchNorm2d(3), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.act(self.drop(self.norm(self.conv(x)))).mean(dim=(2, 3))
        h = h + self.act(self.again(h))
        h += self.act(self.again(input=h))
        return self.other(torch.tanh(self.one(h)))


def test_networks_of_many_shapes() -> None:
    model = Branches().train()
    images = torch.randn(24, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(24) % 3
    before = state_of(model)
    circuit = effective_circuit(model, (images, labels), 2, contrast=True)
    assert same_state(before, state_of(model))
    assert list(circuit.kept) == ["conv", "again", "one"]
    assert circuit.kept["conv"].shape == (3, 1, 3, 3)
    assert circuit.loss_after < circuit.loss_before
    alone = circuit.alone(model).eval()
    assert torch.equal(alone.one.weight, alone.other.weight)
    z = alone(images).detach().double()
    own = labels == 2
    right = torch.log_softmax(z, dim=1)[:, 2]
    wrong = torch.log1p(-torch.softmax(z, dim=1)[:, 2])
    loss = 0.5 * (-right[own].mean() - wrong[~own].mean())
    assert circuit.loss_after == pytest.approx(float(loss), rel=1e-4)
    assert list(effective_circuit(model, (images, labels), 2, layers=["other"]).kept) == ["one"]
    with pytest.raises(InputError, match="got 'idle': it never runs as a module"):
        effective_circuit(model, (images, labels), 2, layers=["idle"])


class Rooted(nn.Module):
    """What it makes of the layer's answers is written into, so that torch can't find their slopes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.exp(self.layer(x))
        out = h.square()
        h.zero_()
        return out


def test_a_network_without_slopes() -> None:
    with pytest.raises(TeacherError, match="Rooted must have slopes by the weight of layer 'layer'"):
        effective_circuit(Rooted(), (X, Y), 0)


def test_weights_that_are_zero_are_not_left_and_dead_inputs_are_let_go() -> None:
    model, inputs = trained(), X.clone()
    inputs[:, 4] = 0.0
    with torch.no_grad():
        model[2].weight[:, 0] = 0.0
    circuit = effective_circuit(model, (inputs, Y), 0, tolerance=0.0, contrast=True)
    assert not circuit.kept["2"][:, 0].any()
    assert not circuit.kept["0"][:, 4].any()
    assert not circuit.kept["0"][0].any()  # nothing reads this unit


def test_layers_that_are_not_named_stay() -> None:
    circuit = effective_circuit(trained(), (X, Y), 0, layers=["2"])
    assert list(circuit.kept) == ["2"]
    assert circuit.size == circuit.kept["2"].mean()


def test_one_output_is_the_logit_of_label_one() -> None:
    model, two = nn.Sequential(nn.Linear(6, 1)), Y % 2
    model[0].weight.data[:] = torch.tensor([[2.0, -1.0, 0.5, 1.0, -2.0, 0.3]])
    one, zero = circuits(model, (X.numpy(), two.numpy()), [1, 0])
    z = model(X).detach()[:, 0]
    assert one.loss_before == pytest.approx(float(nn.functional.softplus(-z[two == 1]).mean()), rel=1e-5)
    assert zero.loss_before == pytest.approx(float(nn.functional.softplus(z[two == 0]).mean()), rel=1e-5)
    flat = nn.Sequential(model[0], nn.Flatten(0))
    assert effective_circuit(flat, (X, two), 1).loss_after == one.loss_after


def test_a_loader_gives_the_same_as_arrays_and_a_seed_fixes_all() -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, Y), batch_size=7, shuffle=True)
    one, other = (effective_circuit(trained(), loader, 1, random_state=3) for _ in range(2))
    arrays = effective_circuit(trained(), (X.numpy(), Y.numpy().astype(np.uint8)), 1)
    assert all(np.array_equal(one.kept[name], other.kept[name]) for name in one.kept)
    assert one.loss_after == other.loss_after
    assert one.loss_after == pytest.approx(arrays.loss_after, rel=0.05)


def test_many_rows_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = effective_circuit(trained(), (X, Y), 0, tolerance=0.01)
    monkeypatch.setattr("limbeck.modularity._circuit_rows.BATCH", 5)
    parts = effective_circuit(trained(), (X, Y), 0, tolerance=0.01)
    assert parts.loss_before == pytest.approx(whole.loss_before, rel=1e-6)
    assert parts.size == pytest.approx(whole.size, abs=0.05)


def test_a_tolerance_makes_circuits_smaller_and_is_kept() -> None:
    strict, loose = (effective_circuit(trained(), (X, Y), 0, tolerance=t) for t in (0.0, 0.05))
    assert loose.size < strict.size
    assert loose.loss_after <= strict.loss_after + 0.0501


def test_progress_is_said() -> None:
    seen: list[tuple[str, int, int]] = []
    circuits(trained(), (X, Y), [2], progress=lambda *what: seen.append(what))
    assert seen[0] == ("circuits", 0, 1)
    assert seen[-1] == ("circuits", 1, 1)
    assert ("circuit of label 2", 2, 2) in seen


def made(*masks: list[list[int]]) -> Circuits:
    parts = tuple(
        Circuit(i, {"<b>": np.array(mask, dtype=bool)}, float(np.mean(mask)), 1.0, 0.5, 7, 0.1)
        for i, mask in enumerate(masks)
    )
    tests = {"before": 1.0, "on": 1.0, "others_on": float("nan"), "called": 0.0, "off": 0.0, "others_off": 1.0}
    return Circuits(parts, tuple(tests for _ in parts), "classification")


def test_overlap_and_what_chance_would_give() -> None:
    found = made([[1, 1], [0, 0]], [[1, 0], [1, 0]], [[0, 0], [0, 0]])
    np.testing.assert_allclose(found.overlap(), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.chance_overlap(), [[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]])
    alike = made([[1, 1, 0, 0]], [[1, 1, 0, 0]])
    assert alike.overlap()[0, 1] == 1.0
    assert alike.chance_overlap()[0, 1] == pytest.approx(1 / 3)
    assert len(found) == 3
    assert found[1].label == 1
    assert "share 0.111 of their weights (Jaccard, mean); by chance 0.111" in found.text()


def test_the_document() -> None:
    doc = made([[1, 1], [0, 0]], [[1, 0], [1, 0]]).to_dict(["<script>", "b"])
    assert doc["labels"] == ["<script>", "b"]
    assert doc["others_on"] == [None, None]
    assert doc["pictures"][1] == {"label": "b", "layer": "<b>", "height": 2, "width": 2, "values": [255, 0, 255, 0]}
    with pytest.raises(InputError, match="classes must name the labels up to 1; got 1"):
        made([[1]], [[1]]).to_dict(["a"])


def test_pictures_are_pooled() -> None:
    mask = np.zeros((200, 97, 3, 3), dtype=bool)
    mask[:100] = True
    image = picture(mask)
    assert (image["height"], image["width"]) == (96, 96)
    values = np.array(image["values"]).reshape(96, 96)
    assert (values[:47] == 255).all()
    assert (values[49:] == 0).all()
    assert values.mean() == pytest.approx(127.5, abs=2)


def test_a_circuit_of_another_network_is_refused() -> None:
    circuit = effective_circuit(trained(), (X, Y), 0)
    other = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    with pytest.raises(InputError, match=r"layer '0' must have a weight of shape \(8, 6\)"):
        circuit.alone(other)
