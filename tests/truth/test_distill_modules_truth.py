"""Worlds of independent parts: the formulas of the parts are found; what does not come apart is said to be wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck.modularity import (
    Clusters,
    ModularTraining,
    distill_modules,
    interpret,
    split,
    train_modular,
)
from limbeck.modularity._specialisation import specialisation
from limbeck.students import FormulaRegressor

LAYERS = ("0", "2", "4")
QUICK = FormulaRegressor(max_complexity=12, max_evaluations=6_000)


def planted(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two functions of two columns each."""
    X = np.random.default_rng(seed).uniform(-1.5, 1.5, size=(rows, 4))
    return X, np.column_stack([2 * X[:, 0] * X[:, 1], (X[:, 2] - X[:, 3]) ** 2])


@pytest.fixture(scope="module")
def trained() -> ModularTraining:
    torch.manual_seed(0)
    parts = torch.nn.Linear(4, 16), torch.nn.SiLU(), torch.nn.Linear(16, 16), torch.nn.SiLU(), torch.nn.Linear(16, 2)
    net = torch.nn.Sequential(*parts)
    how = {"layers": LAYERS, "k": 2, "strength": 1.0, "warmup_epochs": 16, "epochs": 14, "lr": 1e-2}
    return train_modular(net, planted(800, 0), **how, random_state=0)


def test_planted_functions_are_found(trained: ModularTraining) -> None:
    X, y = planted(600, 1)
    found = distill_modules(trained, X, y, student=QUICK, random_state=0)
    by_inputs = {part.inputs: part for part in found.parts}
    assert set(by_inputs) == {("x0", "x1"), ("x2", "x3")}
    for inputs, outputs in ((("x0", "x1"), (0,)), (("x2", "x3"), (1,))):
        part = by_inputs[inputs]
        assert part.outputs == outputs
        assert part.readable is not None
        assert part.fidelity.status == "pass"
        assert part.fidelity.value is not None
        assert part.fidelity.value > 0.98
        assert set(part.readable.features_used) == set(inputs)
    assert found.whole.status == "pass"
    assert found.verdict == "faithful"
    fresh, truth = planted(500, 2)
    assert np.abs(found.predict(fresh) - truth).mean() < 0.15


def test_shuffled_clusters_are_not_faithful(trained: ModularTraining) -> None:
    """The formulas may be those of the modules: the modules are not the network."""
    X, hidden = planted(600, 1)[0], [np.random.default_rng(seed).permutation(np.arange(16) % 2) for seed in (0, 1)]
    labels = [np.array([0, 1, 0, 1]), *hidden, np.array([1, 0])]
    shuffled = {name: Clusters(labels[i + 1], labels[i], 2) for i, name in enumerate(LAYERS)}
    found = distill_modules(split(trained.model, shuffled), X, student="tree", random_state=0)
    assert found.split.status == found.whole.status == "fail"
    assert found.verdict.startswith("do not use: the modules together are not the network")


def test_modules_decide_their_own_outputs(trained: ModularTraining) -> None:
    found = interpret(trained, *planted(500, 3), n_random=40)
    by_inputs = {found.inputs[name]: found.decides[name] for name in found.decides}
    assert by_inputs == {("x0", "x1"): ("y0",), ("x2", "x3"): ("y1",)}
    assert found.specialisation.score > 0.95
    assert found.specialisation.p_value < 0.05
    assert found.specialisation.score > found.specialisation.chance + 0.5


def blocks_of_chance(seed: int, k: int = 4, width: int = 32) -> tuple[torch.nn.Sequential, dict[str, Clusters]]:
    """Modules with weights that nobody trained."""
    torch.manual_seed(seed)
    labels = np.random.default_rng(seed).permutation(np.arange(width) % k)
    parts = torch.nn.Linear(6, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU()
    net = torch.nn.Sequential(*parts, torch.nn.Linear(width, 5))
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn_like(weight) * (0.35 if weight.ndim > 1 else 0.05))
    return net, {"2": Clusters(labels, labels, k)}


def test_random_modules_are_not_called_specialised() -> None:
    low = 0
    for seed in range(8):
        network = split(*blocks_of_chance(seed))
        rows = torch.randn(300, 6, generator=torch.Generator().manual_seed(seed))
        labels = network(rows).argmax(dim=1).numpy()
        found = specialisation(network, rows, labels, 5, n_random=25, seed=seed)
        assert abs(found.score - found.chance) < 0.25
        low += found.p_value < 0.05
    assert low <= 2
    assert found.says.startswith("no more specialised than chance") == (found.p_value >= 0.05)


def one_label_each(constant: bool = False) -> torch.nn.Sequential:
    """Three modules of four units: each says 2 |x| of its column to its class; with `constant` the last is deaf."""
    net = torch.nn.Sequential(torch.nn.Linear(3, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))
    with torch.no_grad():
        net[0].weight.copy_(torch.kron(torch.eye(3), torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])))
        net[2].weight.copy_(torch.kron(torch.eye(3), torch.ones(1, 4)))
        net[0].bias.zero_(), net[2].bias.zero_()
        if constant:
            net[0].weight[8:] = 0.0
            net[0].bias[8:] = 0.75
    return net


UNITS = np.repeat([0, 1, 2], 4)
OWN = {"0": Clusters(UNITS, [0, 1, 2], 3), "2": Clusters([0, 1, 2], UNITS, 3)}


def test_one_label_each() -> None:
    X = np.random.default_rng(0).normal(size=(300, 3))
    y = np.abs(X).argmax(axis=1)
    found = interpret(split(one_label_each(), OWN), X, y, n_random=60)
    assert found.decides == {"module 1": (0,), "module 2": (1,), "module 3": (2,)}
    assert found.on.to_numpy().diagonal().min() == 1.0
    assert found.off.to_numpy().diagonal().max() < 0.01
    assert found.specialisation.score == pytest.approx(1.0)
    assert found.specialisation.p_value < 0.05
    for name, rows in found.examples.groupby("module"):
        assert (y[rows["row"]] == rows["label"]).all(), name


def test_a_constant_module_is_a_constant() -> None:
    X = np.random.default_rng(0).normal(size=(300, 3))
    found = distill_modules(split(one_label_each(constant=True), OWN), X, student="tree")
    assert found.parts[2].readable is None
    assert found.parts[2].inputs == ()
    assert found.parts[2].constants[2] == pytest.approx(3.0)
    assert found.bias[2] == pytest.approx(3.0)
    assert "module 3 is a constant" in found.text()
    assert found.parts[0].inputs == ("x0",)
    assert found.parts[1].inputs == ("x1",)
