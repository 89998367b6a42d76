"""The default network for signals: what is trained and then distilled where the columns are a series, in order of time.

Three convolutions (16, 32, 32 channels; 7, 5, 3 points; SiLU), halved after the first two, the mean of each quarter of
the signal, and a linear layer. Signals are standardised by one mean and one deviation, so that their shape is kept.
Trained as the default network is: AdamW, one cycle of the learning rate, early stopping on 20 % of the rows.

Source
------
Wang2017 (convolutions alone, and a mean over time, are a strong baseline for time series).

Departures
----------
Smaller than the paper's (128, 256, 128 channels), without batch normalisation; quarters instead of one mean, so that
the network knows whether something came early or late.

Checked
-------
tests/truth/test_convolutional_truth.py: a bump at any time is told from noise, where the dense default network fails;
shuffled labels are not learnt.

Cost
----
About 1,000 steps of 16 to 256 signals: some seconds for hundreds of signals of 100 points on one core.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.mlp import softmax
from limbeck._core.progress import Report
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Schema, Table
from limbeck.training._default_teacher import (
    VALIDATION,
    ClassifierOnTable,
    OnTable,
    RegressorOnTable,
    Task,
    read_supervised,
)

if TYPE_CHECKING:
    import torch

__all__ = ["ConvolutionalClassifier", "ConvolutionalRegressor", "train_convolutional"]

CHANNELS, WIDTHS, QUARTERS = (16, 32, 32), (7, 5, 3), 4
STEPS, MAX_EPOCHS = 1_000, 150
RATE, DECAY = 3e-3, 0.1
LEAST_POINTS = 4
BATCH_ROWS = 4_096


def network(points: int, outputs: int, seed: int) -> torch.nn.Sequential:
    """An untrained network from signals ``(n, points)`` to scores ``(n, outputs)``, its weights decided by the seed."""
    import torch

    layers: list[torch.nn.Module] = [torch.nn.Unflatten(1, (1, points))]
    before, left = 1, points
    for channels, width in zip(CHANNELS, WIDTHS, strict=True):
        layers += [torch.nn.Conv1d(before, channels, width, padding=width // 2), torch.nn.SiLU()]
        if channels is not CHANNELS[-1] and left >= 4 * QUARTERS:
            layers.append(torch.nn.AvgPool1d(2))
            left //= 2
        before = channels
    layers += [torch.nn.AdaptiveAvgPool1d(QUARTERS), torch.nn.Flatten(), torch.nn.Linear(before * QUARTERS, outputs)]
    whole = torch.nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in whole.parameters():
            if p.ndim > 1:
                p.normal_(0.0, math.sqrt(2.0 / math.prod(p.shape[1:])), generator=generator)
            else:
                p.zero_()
    return whole


@dataclass(frozen=True, eq=False)
class _Convolutional(OnTable):
    """A trained network for signals, as plain numbers.

    Attributes
    ----------
    schema : Schema
        The columns that it takes, in order of time.
    parameters : tuple of arrays
        The weights and biases, layer after layer.
    centre, scale : float
        What a signal is standardised by.
    """

    schema: Schema
    parameters: tuple[np.ndarray, ...]
    centre: float
    scale: float

    @cached_property
    def _module(self) -> torch.nn.Sequential:
        import torch

        whole = network(len(self.schema), len(self.parameters[-1]), 0).double()
        with torch.no_grad():
            for p, values in zip(whole.parameters(), self.parameters, strict=True):
                p.copy_(torch.tensor(values))
        return torch.nn.Sequential(_standardised(self.centre, self.scale), *whole).eval()

    def module_on_rows(self) -> torch.nn.Sequential:
        """The network as a torch module in float64 and in eval mode, on the rows as they are; scores, or values."""
        return self._module

    def __getstate__(self) -> dict[str, Any]:
        """Between processes without the module, which is made again from the numbers."""
        return {key: value for key, value in self.__dict__.items() if key != "_module"}

    def _outputs(self, X: Rows) -> np.ndarray:
        import torch

        Z = self.schema.encode(X)
        out = np.empty((len(Z), len(self.parameters[-1])))
        with torch.no_grad():
            for start in range(0, len(Z), BATCH_ROWS):
                rows = slice(start, start + BATCH_ROWS)
                out[rows] = self._module(torch.tensor(Z[rows])).numpy()
        return out


def _standardised(centre: float, scale: float) -> torch.nn.Module:
    """The standardisation of signals as a torch module."""
    import torch

    class Standardised(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - centre) / scale

    return Standardised()


@dataclass(frozen=True, eq=False)
class ConvolutionalRegressor(RegressorOnTable, _Convolutional):
    """A trained network from signals to quantities; `train_convolutional` makes one."""


@dataclass(frozen=True, eq=False)
class ConvolutionalClassifier(ClassifierOnTable, _Convolutional):
    """A trained network from signals to classes; `train_convolutional` makes one."""

    classes: tuple[Any, ...] = ()

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class ``(n, k)``."""
        return softmax(self._outputs(X))


def train_convolutional(
    table: Rows,
    y: Any,
    task: Task | None = None,
    *,
    classes: Sequence[Any] | None = None,
    random_state: RandomState = None,
    progress: Report | None = None,
) -> ConvolutionalRegressor | ConvolutionalClassifier:
    """A convolutional network trained on signals: a model with `predict`, and `predict_proba` in classification.

    Parameters
    ----------
    table : rows
        ``(n, d)``: a signal a row, columns of numbers in order of time; at least 20 rows of at least 4 points.
    y : array
        Quantities ``(n,)`` or ``(n, k)``, or one label a row.
    task : {"regression", "classification"}, optional
        Where absent: text, booleans and few whole numbers (at most 20 different ones) are classes.
    classes : sequence, optional
        All labels, in order; the sorted labels of `y` where absent.
    random_state : int, Generator or None
        The same seed gives the same network on one machine.
    progress : function, optional
        Called after each epoch with (what, done, total).

    Raises
    ------
    InputError
        As `train_default`; and for columns with levels, or fewer than 4 of them.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 16))
    >>> model = train_convolutional(X, X[:, :4].sum(axis=1) > 0, random_state=0)
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """
    table = Table.read(table)
    if not table.schema.all_numbers or len(table.schema) < LEAST_POINTS:
        raise InputError(
            f"a convolutional network needs a signal: at least {LEAST_POINTS} columns of numbers, in order of time; "
            f"got {len(table.schema)} columns, {sum(bool(c.levels) for c in table.schema.columns)} of them with levels"
        )
    task, labels, numbers = read_supervised(table, y, task, classes)
    seed = draw_seeds(random_state, 1)[0]
    Z = table.values
    centre, scale = float(Z.mean()), float(Z.std()) or 1.0
    middle, spread = np.zeros(numbers.shape[1]), np.ones(numbers.shape[1])
    if task == "regression":
        middle, spread = numbers.mean(axis=0), numbers.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
    parameters = _fitted((Z - centre) / scale, (numbers - middle) / spread, task, seed, progress)
    *inner, weight, bias = parameters
    parts = (table.schema, (*inner, weight * spread[:, None], bias * spread + middle), centre, scale)
    return ConvolutionalRegressor(*parts) if task == "regression" else ConvolutionalClassifier(*parts, labels)


def _fitted(X: np.ndarray, Y: np.ndarray, task: Task, seed: int, progress: Report | None) -> list[np.ndarray]:
    """The parameters of the best epoch by a fifth of the rows."""
    import torch

    from limbeck._core.mlp_loop import Plan, train_module

    order = np.random.default_rng(seed).permutation(len(X))
    held, own = np.split(order, [round(len(X) * VALIDATION)])
    batch = int(np.clip(2 ** round(np.log2(len(own) / 10)), 16, 256))
    epochs = int(np.clip(STEPS * batch // len(own), 10, MAX_EPOCHS))
    report = progress or (lambda what, done, total: None)
    plan = Plan(
        *((), "silu", task, epochs, max(8, epochs // 3), batch, RATE, DECAY),
        seed=seed,
        dtype=torch.float32,
        max_seconds=None,
        progress=report,
    )
    module = network(X.shape[1], Y.shape[1], seed)
    train_module(module, (X[own], Y[own], np.ones(len(own))), (X[held], Y[held], np.ones(len(held))), plan)
    return [p.detach().double().numpy() for p in module.parameters()]
