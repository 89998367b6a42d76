"""Integrated and expected gradients, input x gradient: by hand, complete, and refusing what can't be explained."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution._asked import asking
from limbeck.attribution._gradients import (
    Attribution,
    expected_gradients,
    input_x_gradient,
    integrated_gradients,
)

X = np.random.default_rng(0).normal(size=(5, 3))
METHODS = [integrated_gradients, input_x_gradient]


class Law(torch.nn.Module):
    """x0 * x1 + x2**3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0] * x[:, 1] + x[:, 2] ** 3


def network(bias: bool = True, outputs: int = 3, kind: type[torch.nn.Module] = torch.nn.ReLU) -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(3, 8, bias=bias), kind(), torch.nn.Dropout(0.5), torch.nn.Linear(8, outputs, bias=bias)]
    return torch.nn.Sequential(*layers).double()


def test_integrated_gradients_by_hand() -> None:
    found = integrated_gradients(Law(), X, steps=4)
    half = X[:, 0] * X[:, 1] / 2
    np.testing.assert_allclose(found.values, np.stack([half, half, X[:, 2] ** 3], axis=1), atol=1e-12)
    np.testing.assert_allclose(found.total, half * 2 + X[:, 2] ** 3)
    assert found.complete
    assert (found.steps, found.outputs.tolist()) == (4, [0] * 5)


def test_input_x_gradient_by_hand_says_that_it_is_not_complete() -> None:
    found = input_x_gradient(Law(), X)
    both = X[:, 0] * X[:, 1]
    np.testing.assert_allclose(found.values, np.stack([both, both, 3 * X[:, 2] ** 3], axis=1))
    assert found.residual > 0.3
    assert found.complete  # it aims at no tolerance


@pytest.mark.parametrize("method", METHODS)
def test_linear_networks_are_exact_from_any_baseline(method) -> None:
    net, start = torch.nn.Linear(3, 2).double(), np.array([1.0, -2.0, 0.5])
    found = method(net, X, baseline=start, output=1)
    np.testing.assert_allclose(found.values, (X - start) * net.weight[1].detach().numpy(), atol=1e-12)
    assert found.residual < 1e-10


def test_a_relu_network_without_biases_is_complete_by_one_slope() -> None:
    assert input_x_gradient(network(bias=False), X).residual < 1e-10
    assert input_x_gradient(network(), X).residual > 0.01


def test_steps_are_doubled_only_where_the_sum_is_off_and_the_rest_is_told() -> None:
    few = integrated_gradients(network(), X, steps=1, tolerance=1e-3)
    assert few.steps == 16
    assert few.complete == (few.residual <= 1e-3)
    smooth = integrated_gradients(network(kind=torch.nn.Tanh), X, steps=20, tolerance=1e-5)
    assert smooth.steps == 20
    assert smooth.residual < 1e-5
    never = integrated_gradients(network(), X, steps=1, tolerance=1e-12)
    assert not never.complete


def test_a_sum_that_is_wrong_is_not_called_complete() -> None:
    wrong = Attribution(np.ones((2, 3)), np.zeros(2, dtype=int), np.array([3.0, 6.0]), "none", 1, 0.01)
    assert wrong.errors.tolist() == [0.0, 0.5]
    assert not wrong.complete


def test_the_greatest_output_or_the_one_that_is_asked_for() -> None:
    net = network()
    answers = net.eval()(torch.tensor(X)).detach().numpy()
    assert integrated_gradients(net, X).outputs.tolist() == answers.argmax(axis=1).tolist()
    each = integrated_gradients(net, X, output=[0, 1, 2, 1, 0])
    one = integrated_gradients(net, X, output=2)
    np.testing.assert_allclose(each.values[2], one.values[2])
    assert np.abs(each.values[0] - one.values[0]).max() > 1e-3


def test_small_batches_give_the_same() -> None:
    net = network()
    whole, cut = (integrated_gradients(net, X, memory_mb=size) for size in (256, 1e-9))
    np.testing.assert_allclose(cut.values, whole.values, atol=1e-12)
    with asking(net, X, None, 1e-9) as small, asking(net, X, None, 256) as large:
        assert small.at_once == 1
        assert large.at_once > 1000


def test_expected_gradients_average_over_baselines() -> None:
    background = np.random.default_rng(1).normal(size=(6, 3))
    found = expected_gradients(network(kind=torch.nn.Tanh), X, background, samples=240)
    pairs = [integrated_gradients(network(kind=torch.nn.Tanh), X, baseline=b, output=found.outputs) for b in background]
    np.testing.assert_allclose(found.values, np.mean([p.values for p in pairs], axis=0), atol=0.02)
    np.testing.assert_allclose(found.total, np.mean([p.total for p in pairs], axis=0), atol=1e-12)
    again = expected_gradients(network(kind=torch.nn.Tanh), X, background, samples=240)
    assert np.array_equal(found.values, again.values)


class Random(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=1) + torch.rand(len(x))


class Mixing(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=1) * torch.arange(len(x))


class Told(torch.nn.Module):
    """Its answer is what it is given."""

    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: torch.Tensor):
        return self.answer(x)


def raises(x: torch.Tensor) -> torch.Tensor:
    raise ValueError("no such size")


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (Random(), "it is random"),
        (Mixing(), "change each other's answers"),
        (Told(raises), "raised ValueError on rows of shape .*no such size"),
        (Told(lambda x: x[:, 0] / 0), "must answer finite numbers"),
        (Told(lambda x: (x, x)), "one tensor of raw outputs.* got tuple"),
        (Told(lambda x: x[:1, :1]), "must answer 2 rows"),
        (Told(lambda x: (x - x).sqrt().sum(dim=1)), "slopes that are NaN"),
    ],
)
def test_networks_that_cant_be_explained(net, words) -> None:
    with pytest.raises(TeacherError, match=words):
        integrated_gradients(net, X)


def test_a_network_that_ignores_its_rows_gets_zeros() -> None:
    found = integrated_gradients(Told(lambda x: torch.ones(len(x), dtype=x.dtype)), X)
    assert not found.values.any()
    assert found.residual == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X[0]}, "array .n, .row. of floating point"),
        ({"x": np.zeros((0, 3))}, "at least one row"),
        ({"x": np.ones((2, 3), dtype=np.int64)}, "for token ids take contextual_decomposition"),
        ({"x": [["<b>", "a", "b"]]}, "floating point"),
        ({"x": np.where(np.eye(5, 3) > 0, np.nan, X)}, "3 of 5 rows have NaN"),
        ({"model": lambda x: x}, "model must be a torch.nn.Module; got function"),
        ({"output": 3}, "whole number from 0 to 2"),
        ({"output": -1}, "whole number from 0 to 2"),
        ({"output": [0, 1]}, "one for each of the 5 rows"),
        ({"output": "cat"}, "whole number from 0 to 2"),
        ({"baseline": np.zeros(4)}, "baseline must be one row of shape .3,."),
        ({"baseline": np.full(3, np.inf)}, "baseline must be finite"),
        ({"steps": 0}, "steps must be a whole number of at least 1"),
        ({"tolerance": np.nan}, "tolerance must be a positive number"),
        ({"memory_mb": 0}, "memory_mb must be a positive number"),
    ],
)
def test_bad_arguments(change, words) -> None:
    with pytest.raises(InputError, match=words):
        integrated_gradients(**{"model": network(), "x": X} | change)


def test_a_background_of_another_shape() -> None:
    with pytest.raises(InputError, match=r"background must be rows like x"):
        expected_gradients(network(), X, np.zeros((2, 4)))


@pytest.mark.parametrize("broken", [False, True])
def test_the_network_is_left_as_it_was(broken) -> None:
    net = torch.nn.Sequential(network(), torch.nn.BatchNorm1d(3).double())
    net.train()
    net[0][3].eval()
    net[0][0].weight.grad = torch.ones_like(net[0][0].weight)
    net[0][0].bias.requires_grad_(False)
    if broken:
        net.append(Told(raises))
    x = torch.tensor(X, requires_grad=True)
    torch.manual_seed(7)
    before = (
        torch.get_rng_state(),
        random.getstate(),
        {k: v.clone() for k, v in net.state_dict().items()},
    )
    if broken:
        with pytest.raises(TeacherError, match="no such size"):
            integrated_gradients(net, x)
    else:
        integrated_gradients(net, x)
        with torch.inference_mode():
            input_x_gradient(net, x)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert all(torch.equal(value, before[2][key]) for key, value in net.state_dict().items())
    assert net.training
    assert net[0].training
    assert not net[0][3].training
    assert [p.requires_grad for p in net[0].parameters()] == [True, False, True, True]
    assert torch.equal(net[0][0].weight.grad, torch.ones(8, 3))
    assert net[0][3].weight.grad is None
    assert x.grad is None
