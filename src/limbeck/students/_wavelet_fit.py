"""The fit behind the adaptive wavelet students: signals of a table, a path of filters, features, the frozen form.

Source
------
Ha2021, section 3.3.

Departures
----------
- Filter and number of coefficients are chosen on rows held out from the model (with few rows, by cross-validation); the
  starting filter is among the candidates. The smallest number as good as the best is taken.
- Rows are distinct ones, merged: a row of weight 3 is a row that comes three times.
- Where gradients of all rows would take more than `MAX_NUMBERS` numbers, wavelets are adapted on a part of the rows.

Cost
----
One training a pair of penalties; then for each filter one transform and `max_coefficients` small fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.images import ImageShape
from limbeck._core.images import image_shape as read_image_shape
from limbeck._core.seeds import draw_seeds
from limbeck.readable import LevelTerm, WaveletReadable, WaveletTerm
from limbeck.readable._formula import Link
from limbeck.readable._wavelet_filters import Block, blocks_of, decompose, shaped
from limbeck.students._fitting import TrainingRows
from limbeck.students._members import Member
from limbeck.students._network_fit import smallest_as_good
from limbeck.students._rule_weights import row_losses
from limbeck.students._wavelet_choice import Chosen, chosen_features

__all__ = ["FittedWavelet", "Options", "PathPoint", "fit_wavelet", "gradient_module"]

Report = Callable[[str, int, int], None]

LARGEST = 6
"""With ``features="largest"``: so many of each block, the paper's number."""
DIGITS = 6
"""Significant digits of the weights that are read."""
FEW_ROWS, MANY_ROWS, FOLDS = 10, 2_000, 5
"""Fewer rows than the first judge themselves; fewer than the second are judged by in five turns, more in one."""
MAX_NUMBERS = 50_000_000
"""Gradients of at most so many numbers are kept at once."""


@dataclass(frozen=True)
class Options:
    """The checked arguments of an adaptive wavelet student."""

    wavelet: str
    start: np.ndarray
    level: int
    mode: str
    features: str
    max_coefficients: int
    l1: tuple[float, ...]
    attribution: tuple[float, ...]
    learning_rate: float
    batch_size: int
    max_steps: int
    image_shape: Any
    random_state: Any


@dataclass(frozen=True)
class PathPoint:
    """A filter that was tried.

    Attributes
    ----------
    l1, attribution : float
        The penalties; both 0 for the start.
    lowpass : array ``(L,)``
    validation_loss : float
        The least mean loss of a model on its coefficients, on the rows held out.
    """

    l1: float
    attribution: float
    lowpass: np.ndarray
    validation_loss: float


@dataclass(frozen=True)
class FittedWavelet:
    """What a fit comes to."""

    readable: WaveletReadable
    front: tuple[Member, ...]
    path: tuple[PathPoint, ...]
    notes: tuple[str, ...]
    complete: bool


def gradient_module(teacher: Any) -> Any:
    """The torch module of a teacher: itself, or what a `limbeck.Teacher` wraps; None where there is none."""
    import torch

    if isinstance(teacher, torch.nn.Module):
        return teacher
    plain = getattr(teacher, "preprocess", None) is None
    module = getattr(getattr(teacher, "source", None), "module", None) if plain else None
    return None if module is None else module()


def fit_wavelet(rows: TrainingRows, options: Options, teacher: Any, report: Report) -> FittedWavelet:
    """The wavelet, its model, and what was tried."""
    rows = rows.distinct()
    seeds = draw_seeds(options.random_state, 2)
    signal = _Signals.of(rows, options)
    notes: list[str] = []
    path, complete = [options.start], True
    penalties = [(0.0, 0.0)]
    if len(signal.columns) and options.max_steps:
        module = _module(teacher, rows, notes)
        order = np.random.default_rng(seeds[0]).permutation(len(rows))
        part = order[: max(1, MAX_NUMBERS // (len(signal.columns) * rows.n_outputs))]
        found, complete = _adapted(rows.take(part), signal, options, module, seeds[1], report)
        path = [one.lowpass for one in found]
        penalties = [(one.l1, one.attribution) for one in found]
    link = _link(rows)
    goal = rows.targets[:, 1:] if link == "logistic" else rows.targets
    losses = []
    for lowpass in path:
        losses.append(_judged(signal.features(rows, lowpass), goal, rows.weights, link, options, seeds[0]))
    best = int(np.argmin([min(float(one.mean()) for one in each) for each in losses]))
    count = smallest_as_good(losses[best], float(goal.var(axis=0).sum()) / 2)
    F = signal.features(rows, path[best])
    models = chosen_features(F, goal, rows.weights, link, options.max_coefficients)
    readables = [signal.readable(rows, options, path[best], model, link) for model in models]
    count = min(count, len(readables) - 1)
    scores = [-float(one.mean()) for one in losses[best]]
    front = tuple(Member(one, one.complexity, score) for one, score in zip(readables, scores, strict=False))
    points = tuple(
        PathPoint(l1, attribution, lowpass, min(float(one.mean()) for one in each))
        for (l1, attribution), lowpass, each in zip(penalties, path, losses, strict=True)
    )
    return FittedWavelet(readables[count], front, points, tuple(notes), complete)


def _judged(
    F: np.ndarray, goal: np.ndarray, weights: np.ndarray, link: Link, options: Options, seed: int
) -> list[np.ndarray]:
    """What each row that was held out loses by a model on no feature, on one, and so on."""
    found = []
    for fit, held in _folds(len(F), seed):
        models = chosen_features(F[fit], goal[fit], weights[fit], link, options.max_coefficients)
        share = weights[held] / weights.mean()
        found.append([row_losses(model.scores(F[held]), goal[held], link) * share for model in models])
    count = min(len(each) for each in found)
    return [np.concatenate([each[i] for each in found]) for i in range(count)]


def _folds(n: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit on and rows to judge by: each row is judged by once; of many rows only a part is, and of few all."""
    if n < FEW_ROWS:
        return [(np.arange(n), np.arange(n))]
    parts = np.array_split(np.random.default_rng(seed).permutation(n), FOLDS)
    folds = [(np.concatenate([*parts[:i], *parts[i + 1 :]]), part) for i, part in enumerate(parts)]
    return folds if n < MANY_ROWS else folds[:1]


def _link(rows: TrainingRows) -> Link:
    if rows.task == "regression":
        return "identity"
    return "logistic" if rows.n_outputs == 2 else "softmax"


def _module(teacher: Any, rows: TrainingRows, notes: list[str]) -> Any:
    """What gradients are asked of, or None with a note that says why there are none."""
    if teacher is None:
        return None
    module = gradient_module(teacher)
    if module is None:
        notes.append(
            "attributions were left out: the teacher is no torch module that takes the rows as they are, so it has no "
            "gradients"
        )
    elif not rows.table.schema.all_numbers:
        notes.append("attributions were left out: the table has columns with levels, which have no gradient")
        return None
    return module


def _adapted(
    rows: TrainingRows, signal: _Signals, options: Options, module: Any, seed: int, report: Report
) -> tuple[list[Any], bool]:
    """The filters of the path."""
    from limbeck.students._wavelet_loss import teacher_gradients
    from limbeck.students._wavelet_training import Recipe, adapted_path

    X = signal.values(rows.values)
    gradients = None
    if module is not None:
        slopes = teacher_gradients(module, rows.values, report)[:, :, list(signal.columns)]
        n, k, d = slopes.shape
        gradients = shaped(slopes.reshape(n * k, d), signal.image)
        gradients = gradients.reshape(n, k, *gradients.shape[1:]) / (np.sqrt(np.mean(slopes**2)) or 1.0)
    recipe = Recipe(
        options.level,
        options.mode,
        1 if signal.image is None else 2,
        options.l1,
        options.attribution,
        options.learning_rate,
        options.batch_size,
        options.max_steps,
        seed,
    )
    unit = X / (np.sqrt(np.mean(X**2)) or 1.0)
    return adapted_path(unit, gradients, rows.weights / rows.weights.mean(), options.start, recipe, report)


@dataclass(frozen=True)
class _Signals:
    """How the columns of a table are a signal, and levels beside it."""

    columns: tuple[int, ...]
    held: tuple[tuple[int, float], ...]
    levels: tuple[tuple[int, int], ...]
    image: ImageShape | None
    blocks: tuple[Block, ...]
    level: int
    mode: str
    largest: bool

    @classmethod
    def of(cls, rows: TrainingRows, options: Options) -> _Signals:
        """The signal of a table: its columns of numbers; those that do not vary are held."""
        schema, Z = rows.table.schema, rows.values
        columns = tuple(j for j, column in enumerate(schema.columns) if not column.levels)
        levels = tuple((j, code) for j, column in enumerate(schema.columns) for code in range(len(column.levels)))
        image = read_image_shape(schema, options.image_shape)
        held = tuple((j, float(Z[0, j])) for j in columns if np.ptp(Z[:, j]) == 0)
        blocks: tuple[Block, ...] = ()
        if columns:
            shape, channels = ((len(columns),), 1) if image is None else (image[:2], image[2])
            blocks = blocks_of(shape, len(options.start), options.level, options.mode, channels)
        largest = options.features == "largest"
        return cls(columns, held, levels, image, blocks, options.level, options.mode, largest)

    def values(self, Z: np.ndarray) -> np.ndarray:
        """The signals ``(n, channels, *sizes)``."""
        return shaped(Z[:, list(self.columns)], self.image)

    def coefficients(self, Z: np.ndarray, lowpass: np.ndarray) -> np.ndarray:
        """All coefficients ``(n, m)``."""
        if not self.columns:
            return np.empty((len(Z), 0))
        whole = decompose(self.values(Z), lowpass, self.level, self.mode, 1 if self.image is None else 2)
        return whole.reshape(len(Z), -1)

    @property
    def places(self) -> list[tuple[int, int]]:
        """The block and place of each feature that is a coefficient."""
        return [
            (b, i)
            for b, block in enumerate(self.blocks)
            for i in range(min(block.size, LARGEST) if self.largest else block.size)
        ]

    def features(self, rows: TrainingRows, lowpass: np.ndarray) -> np.ndarray:
        """What the linear model may use ``(n, p)``: coefficients, then an indicator a level."""
        Z = rows.values
        whole = self.coefficients(Z, lowpass)
        if self.largest:
            whole = np.column_stack(
                [np.empty((len(Z), 0))]
                + [-np.sort(-whole[:, block.start : block.stop], axis=1)[:, :LARGEST] for block in self.blocks]
            )
        return np.column_stack([whole, *((Z[:, j] == code).astype(np.float64) for j, code in self.levels)])

    def readable(
        self, rows: TrainingRows, options: Options, lowpass: np.ndarray, model: Chosen, link: Link
    ) -> WaveletReadable:
        """The model as it is read: weights short, terms from coarse to fine."""
        places = self.places
        value = {feature: _short(weights) for feature, weights in zip(model.features, model.theta[1:], strict=True)}
        chosen = sorted(model.features)
        return WaveletReadable(
            rows.table.schema,
            rows.task,
            rows.output_names,
            tuple(lowpass.tolist()),
            self.level,
            self.mode,
            self.columns,
            self.held,
            _short(model.theta[0]),
            tuple(WaveletTerm(*places[f], value[f]) for f in chosen if f < len(places)),
            tuple(LevelTerm(*self.levels[f - len(places)], value[f]) for f in chosen if f >= len(places)),
            link,
            options.features,  # type: ignore[arg-type]
            self.image,
            options.wavelet,
        )


def _short(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values.tolist())
