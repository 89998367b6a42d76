"""A planted law inside a network is found and put back; a block that is no formula, or one too short, is told."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
import torch

from limbeck._block import distill_block
from limbeck._block_case import prepared
from limbeck._block_fit import Selection
from limbeck._block_network import record
from limbeck._block_tune import tuned
from limbeck._core.tables import Column, Schema
from limbeck.readable import FormulaReadable
from limbeck.students import FormulaRegressor

ROWS = np.random.default_rng(3).uniform(-1, 1, size=(600, 4))


class Law(torch.nn.Module):
    """Its inputs are 2 wide; x0*x1 + exp(-x2)."""

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return (h[:, 0] * h[:, 1] + torch.exp(-h[:, 2])).unsqueeze(1)


class Waves(torch.nn.Module):
    """Random and fast: forty waves of three inputs."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("ways", 12 * torch.randn(3, 40, generator=generator))

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        return torch.sin(h @ self.ways).sum(dim=1, keepdim=True) / 4  # type: ignore[operator]


def network(block: torch.nn.Module) -> torch.nn.Module:
    """Layers around a block, with weights that are drawn once."""
    generator = torch.Generator().manual_seed(1)
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ELU(2.0), block, torch.nn.Linear(1, 5), torch.nn.Tanh())
    net.append(torch.nn.Linear(5, 1))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        net[3].weight.mul_(0.3)
        net[0].weight.mul_(1.5)
    return net


def test_a_planted_law_is_found_and_the_whole_error_stays() -> None:
    net = network(Law())
    y = net(torch.tensor(ROWS, dtype=torch.float32)).detach().numpy()[:, 0] + 0.05 * np.sin(9 * ROWS[:, 0])
    student = FormulaRegressor(max_complexity=14, max_evaluations=100_000)
    found = distill_block(net, ROWS, y, at="2", student=student, n_queries=400, random_state=0)
    h = np.random.default_rng(1).uniform(-1, 1, size=(50, 3))
    np.testing.assert_allclose(found.readable(h)[:, 0], h[:, 0] * h[:, 1] + np.exp(-h[:, 2]), atol=2e-3)
    assert found.verdict == "faithful"
    assert found.whole.value == pytest.approx(1.0, abs=1e-4)
    assert found.before is not None
    assert found.after is not None
    assert abs(found.after["change"]) < 1e-3
    assert found.after["rmse"][0] == pytest.approx(found.before["rmse"][0], rel=0.02)


def test_a_block_of_random_waves_is_told() -> None:
    net = network(Waves())
    y = net(torch.tensor(ROWS, dtype=torch.float32)).detach().numpy()[:, 0]
    student = FormulaRegressor(max_complexity=14, max_evaluations=20_000)
    found = distill_block(net, ROWS, y, at="2", student=student, n_queries=400, random_state=0)
    assert found.fidelity.status == "fail"
    assert found.whole.status == "fail"
    assert found.verdict.startswith("do not use")
    assert found.before is not None
    assert found.after is not None
    assert found.before["value"] > 0.999
    assert found.after["value"] < 0.5
    assert found.after["change_interval"][1] < -0.3


def test_a_formula_of_one_symbol_is_told() -> None:
    net = network(Law())
    y = net(torch.tensor(ROWS, dtype=torch.float32)).detach().numpy()[:, 0]
    student = FormulaRegressor(max_complexity=1, max_evaluations=2_000)
    found = distill_block(net, ROWS, y, at="2", student=student, n_queries=0, random_state=0)
    assert found.readable.complexity == 1
    assert found.verdict.startswith("do not use")
    assert found.after is not None
    assert found.after["change_interval"][1] < -0.1


class Beside(torch.nn.Module):
    """A block that adds a hundredth to what goes around it."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Waves()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 30 * x[:, 0] + self.block(torch.tanh(x[:, :3]))[:, 0]


def test_a_block_that_the_network_hardly_needs_is_not_called_faithful() -> None:
    """Any formula in its place leaves the network as it is: a constant does too, and that is said."""
    student = FormulaRegressor(max_complexity=3, max_evaluations=2_000)
    found = distill_block(Beside(), ROWS, at="block", student=student, n_queries=0, random_state=0)
    assert found.whole.status == "pass"
    assert found.fidelity.status == "fail"
    assert found.constant is not None
    assert found.constant > 0.98
    assert "hardly needs the block" in found.verdict
    assert "not clearly the block" in found.verdict


def test_planted_constants_are_found_again() -> None:
    """Off by a fifth, the constants of the right formula are tuned back; with the wrong formula, they can't be."""
    net = network(Law())
    asked = {"task": None, "classes": None, "output": None, "preprocess": None}
    case = prepared(net, ROWS, None, "2", None, 0.25, asked, {"split": 0})
    seen = record(case.teacher, case.block, case.train)
    chosen = Selection((0, 1, 2), (0,), {}, np.ones(3), np.ones(1), 0.0, 0.0)
    schema = Schema(tuple(Column(name) for name in case.place.input_names))
    x0, x1, x2 = sp.symbols("x0 x1 x2")

    def tune(expression: sp.Expr) -> list[float]:
        start = FormulaReadable(schema, "regression", ("h",), (expression,))
        after, note = tuned(case.teacher, net, case.block, case.train, seen, start, chosen, 0.75, 0)
        assert "tuned" in note
        error = after.scores(seen.inputs) - seen.outputs
        return [*sorted({float(v) for v in after.expressions[0].atoms(sp.Float)}), float(np.abs(error).max())]

    one = sp.Float(0.8) * x0 * x1 + sp.Float(1.2) * sp.exp(sp.Float(-0.8) * x2)
    assert tune(one) == pytest.approx([-1.0, 1.0, 0.0], abs=2e-3)
    assert tune(sp.Float(0.8) * x0 + sp.Float(1.2) * x2)[-1] > 0.3
