"""Attributions from a network's own slopes: integrated gradients, expected gradients, input x gradient.

Source
------
Sundararajan2017 (integrated gradients); Erion2021 (expected gradients); Shrikumar2016 (input x gradient).

Symbols
-------
f, one raw output of the network; x, a row; b, its baseline; a, a place in [0, 1] on the straight path from b to x.
value_j = (x_j - b_j) * mean over a of df/dx_j (b + a (x - b)); the values of a row sum to f(x) - f(b).

Departures
----------
- Integrated gradients take Gauss-Legendre nodes instead of evenly spaced ones, and double them for the rows whose sum
  is still off by more than the tolerance, at most `DOUBLINGS` times. What is left is in the result.
- Expected gradients take the background rows in turn and one place a from each of as many equal parts of the path, in
  random order, instead of independent draws: less noise at the same cost, and the same mean.

Checked
-------
tests/unit/test_gradients.py: linear networks exactly; x0 * x1 + x2**3 by hand; ReLU networks without a bias; the sum
of a smooth network's values against its own answers to 1e-5; values in batches of one row and of all.

Cost
----
One forward and one backward pass a node and row; four forward passes over the rows to see that the network's answers
are of use. Batches are cut by what torch saves for the backward pass, measured on two rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.seeds import RandomState, as_generator
from limbeck.attribution._asked import Asked, asking, positive, rows_of, whole

__all__ = ["Attribution", "expected_gradients", "input_x_gradient", "integrated_gradients"]

DOUBLINGS = 4

Starts = Callable[[np.ndarray, np.ndarray], torch.Tensor]
"""The baselines of rows i for nodes j."""


@dataclass(frozen=True)
class Attribution:
    """How much each input of each row adds to one output of a network.

    Attributes
    ----------
    values : array ``(n, *row)``
    outputs : array ``(n,)``
        Which output of the network is explained, for each row.
    total : array ``(n,)``
        f(x) - f(baseline), what the values of a row should sum to.
    method : str
    steps : int
        The most nodes that any row took.
    tolerance : float or None
        The completeness error that was asked for; None where the method doesn't aim at one.
    """

    values: np.ndarray
    outputs: np.ndarray
    total: np.ndarray
    method: str
    steps: int
    tolerance: float | None = None

    @property
    def errors(self) -> np.ndarray:
        """For each row the gap between the sum of its values and its total, as a share of the greater of the two."""
        return completeness(self.values, self.total)

    @property
    def residual(self) -> float:
        """The completeness error: the worst row's entry of `errors`."""
        return float(self.errors.max())

    @property
    def complete(self) -> bool:
        """Whether the completeness error is within the tolerance."""
        return self.tolerance is None or self.residual <= self.tolerance


def completeness(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """For each row the gap between the sum of its values and its total, as a share.

    A share of the greater of the two, or of a hundredth of the sum of absolute values where that is more: a row whose
    answer is by chance that of its baseline has a total near 0.
    """
    flat = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    found = flat.sum(axis=1)
    scale = np.maximum(np.maximum(np.abs(found), np.abs(total)), np.abs(flat).sum(axis=1) / 100)
    gap = np.abs(found - total)
    return np.divide(gap, scale, out=np.zeros_like(gap), where=gap > 0)


def integrated_gradients(
    model: torch.nn.Module,
    x: Any,
    *,
    baseline: Any = None,
    steps: int = 50,
    output: Any = None,
    tolerance: float = 0.01,
    memory_mb: float = 256,
) -> Attribution:
    """How much each input adds to an output: the mean slope on the straight path from a baseline, times the way.

    The network is asked in evaluation mode and left as it was: modes, gradients, buffers and random states.

    Parameters
    ----------
    model : torch.nn.Module
        Rows to ``(n,)`` or ``(n, k)`` raw outputs (logits).
    x : tensor or array ``(n, *row)``
        Numbers of floating point; they are given the network's own type and device.
    baseline : tensor or array, optional
        One row ``(*row)``, or one for each, ``(n, *row)``; zeros where absent.
    steps : int
        Nodes on the path, at first.
    output : int or ``(n,)`` of int, optional
        Which output to explain; where absent the greatest one of each row (output 0 where there is one).
    tolerance : float
        For rows whose completeness error is greater the nodes are doubled, at most four times.
    memory_mb : float
        About how much the graph of one batch may take.

    Raises
    ------
    InputError
        For rows, a baseline or an output that can't be used.
    TeacherError
        For a network that raises, or whose answers are random, mix rows, or are not finite.

    Source
    ------
    Sundararajan2017.

    Departures
    ----------
    See the file's header.

    Cost
    ----
    `steps` forward and backward passes a row, up to 31 times as many for rows that don't reach the tolerance.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> found = integrated_gradients(model, np.array([[2.0, 5.0]]))
    >>> found.values.round(3).tolist(), found.complete
    ([[6.0, -5.0]], True)
    """
    steps = whole(steps, "steps", 1)
    limit = positive(tolerance, "tolerance")
    with asking(model, x, output, memory_mb) as asked:
        start = asked.like(baseline, "baseline")
        total = asked.chosen - asked.answers_to(start)
        values = np.zeros(tuple(asked.rows.shape))
        left = np.arange(len(total))
        for doubling in range(DOUBLINGS + 1):
            places, weights = nodes(steps * 2**doubling)
            values[left] = mean_slopes(asked, left, lambda i, _: start[i], places, weights)
            taken = steps * 2**doubling
            left = left[completeness(values[left], total[left]) > limit]
            if not len(left):
                break
        return Attribution(values, asked.outputs, total, "integrated gradients", taken, limit)


def input_x_gradient(
    model: torch.nn.Module, x: Any, *, output: Any = None, baseline: Any = None, memory_mb: float = 256
) -> Attribution:
    """Each input times the slope of the output there: one backward pass, exact only where the network is linear.

    The sum of a row's values is its total for a ReLU network without biases; elsewhere `residual` says how far it is.

    Parameters
    ----------
    model, x, output, memory_mb
        As in `integrated_gradients`.
    baseline : tensor or array, optional
        The values are ``(x - baseline)`` times the slope; zeros where absent.

    Raises
    ------
    InputError, TeacherError
        As `integrated_gradients`.

    Source
    ------
    Shrikumar2016.

    Cost
    ----
    One forward and one backward pass over the rows.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> input_x_gradient(model, np.array([[2.0, 5.0]])).values.round(3).tolist()
    [[6.0, -5.0]]
    """
    with asking(model, x, output, memory_mb) as asked:
        start = asked.like(baseline, "baseline")
        total = asked.chosen - asked.answers_to(start)
        values = mean_slopes(asked, np.arange(len(total)), lambda i, _: start[i], np.ones(1), np.ones(1))
        return Attribution(values, asked.outputs, total, "input x gradient", 1)


def expected_gradients(
    model: torch.nn.Module,
    x: Any,
    background: Any,
    *,
    samples: int = 200,
    output: Any = None,
    random_state: RandomState = 0,
    memory_mb: float = 256,
) -> Attribution:
    """Integrated gradients whose baseline is drawn from background rows, one for each sample of the path.

    The values of a row sum to f(x) - mean of f(background) in expectation; `residual` says how far they are.

    Parameters
    ----------
    model, x, output, memory_mb
        As in `integrated_gradients`.
    background : tensor or array ``(m, *row)``
        Rows to compare with, such as some of the training rows.
    samples : int
        Slopes for each row; at least as many as background rows uses them all.
    random_state : int, Generator or None

    Raises
    ------
    InputError, TeacherError
        As `integrated_gradients`.

    Source
    ------
    Erion2021.

    Departures
    ----------
    See the file's header.

    Cost
    ----
    `samples` forward and backward passes a row.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 1)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[3.0, -1.0]]))
    >>> found = expected_gradients(model, np.array([[2.0, 5.0]]), np.array([[0.0, 1.0], [2.0, 1.0]]))
    >>> found.values.round(3).tolist()
    [[3.0, -4.0]]
    """
    samples, generator = whole(samples, "samples", 1), as_generator(random_state)
    with asking(model, x, output, memory_mb) as asked:
        others = rows_of(model, background, "background")
        if others.shape[1:] != asked.rows.shape[1:]:
            raise InputError(
                f"background must be rows like x, of shape {tuple(asked.rows.shape[1:])}; got {tuple(others.shape[1:])}"
            )
        n, m = len(asked.rows), len(others)
        index = np.stack([_in_turn(m, samples, generator) for _ in range(n)])
        parts = np.stack([generator.permutation(samples) for _ in range(n)])
        places = (parts + generator.uniform(size=(n, samples))) / samples
        values = mean_slopes(
            asked, np.arange(n), lambda i, j: others[index[i, j]], places, np.full(samples, 1 / samples)
        )
        answers = asked.answers(others)
        means = [answers[index[i], asked.outputs[i]].mean() for i in range(n)]
        return Attribution(values, asked.outputs, asked.chosen - np.array(means), "expected gradients", samples)


def _in_turn(m: int, samples: int, generator: np.random.Generator) -> np.ndarray:
    """`samples` of the numbers below m, each as often as any other, give or take one."""
    rounds = -(-samples // m)
    return np.concatenate([generator.permutation(m) for _ in range(rounds)])[:samples]


@functools.lru_cache(maxsize=16)
def nodes(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre places in (0, 1) and their weights, which sum to 1."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    return (places + 1) / 2, weights / 2


def mean_slopes(asked: Asked, rows: np.ndarray, starts: Starts, places: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(x - b)`` times the weighted mean slope at ``b + place (x - b)``, for some rows; summed in double precision.

    `places` is ``(steps,)``, or ``(n, steps)`` where each row has its own.
    """
    steps = places.shape[-1]
    found = torch.zeros((len(rows), *asked.rows.shape[1:]), dtype=torch.float64, device=asked.rows.device)
    for first in range(0, len(rows) * steps, asked.at_once):
        flat = np.arange(first, min(first + asked.at_once, len(rows) * steps))
        at, j = flat // steps, flat % steps
        i = rows[at]
        start = starts(i, j)
        way = asked.rows[i] - start
        place = asked.column(places[i, j] if places.ndim == 2 else places[j])
        with torch.enable_grad():
            point = (start + place * way).detach().requires_grad_()
            answers = asked.call(point)
            picked = answers.gather(1, torch.as_tensor(asked.outputs[i], device=answers.device)[:, None]).sum()
            slope = torch.autograd.grad(picked, point, allow_unused=True)[0] if picked.requires_grad else None
        if slope is not None:
            _check_slope(slope, asked)
            part = (slope * way).double() * asked.column(weights[j]).double()
            found.index_add_(0, torch.as_tensor(at, device=asked.rows.device), part)
    return np.asarray(found.cpu().numpy())


def _check_slope(slope: torch.Tensor, asked: Asked) -> None:
    if not bool(torch.isfinite(slope).all()):
        raise TeacherError(
            f"{asked.name} has slopes that are NaN or infinite at some rows, such as that of a square root at 0; "
            "take contextual_decomposition, which needs none"
        )
