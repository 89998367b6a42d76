"""Adapting a wavelet: mini-batches and Adam along a path of penalties, each start warm; then exactly a wavelet again.

Source
------
Ha2021, section 3.3 and appendix (loss, Adam, warm starts along the path); Kingma2015.

Departures
----------
- Mini-batches with a generator of their own; the published code seeds the global one, and its last batch may be short.
- Signals and gradients are divided by their root mean square, so that one path serves every table.
- Where a teacher has more than two outputs, each row of a step counts with one of them, drawn anew each time: the
  mean over outputs in the mean over steps, at the cost of one.
- The penalties leave a filter that is nearly a wavelet's. `nearest_wavelet` takes the nearest that exactly is.

Checked
-------
tests/truth/test_adaptive_wavelet_truth.py.

Cost
----
A step of 100 signals of 256 points, 4 levels of 10 taps, on one core: about 8 ms; with attributions of one output
17, of two 18.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from limbeck.students._wavelet_loss import attributions, mean_size, reconstruction, wavelet_conditions
from limbeck.students._wavelet_transform import analyse, synthesise

__all__ = ["Adapted", "Recipe", "adapted_path", "drawn_outputs", "nearest_wavelet", "step_loss"]

Watch = Callable[[str, int, int], None]

MOST_OUTPUTS = 2
"""Of so many outputs a step takes all."""
NEWTON_STEPS = 60
EXACT = 1e-12


@dataclass(frozen=True)
class Recipe:
    """How a wavelet is adapted; the names are those of `AdaptiveWaveletClassifier`."""

    level: int
    mode: str
    axes: int
    l1: tuple[float, ...]
    attribution: tuple[float, ...]
    learning_rate: float
    batch_size: int
    max_steps: int
    seed: int


@dataclass(frozen=True)
class Adapted:
    """A filter of the path.

    Attributes
    ----------
    lowpass : array ``(L,)``
    l1, attribution : float
        The penalties that it was adapted with; both 0 for the start.
    loss : float
        The mean loss of its last steps; NaN for the start.
    """

    lowpass: np.ndarray
    l1: float = 0.0
    attribution: float = 0.0
    loss: float = float("nan")


def step_loss(
    x: torch.Tensor,
    gradients: torch.Tensor | None,
    weights: torch.Tensor,
    lowpass: torch.Tensor,
    recipe: Recipe,
    l1: float,
    attribution: float,
) -> torch.Tensor:
    """The loss of a batch: reconstruction, conditions, and the two penalties.

    Parameters
    ----------
    x : tensor ``(n, channels, *sizes)``
    gradients : tensor ``(n, outputs, channels, *sizes)`` or None
    weights : tensor ``(n,)``
        Sum to 1.
    """
    shape = tuple(x.shape[-recipe.axes :])
    parts = analyse(x, lowpass, recipe.level, recipe.mode, recipe.axes)
    again = synthesise(parts, lowpass, shape, recipe.level, recipe.mode)
    loss = reconstruction(x, again, weights) + wavelet_conditions(lowpass) + l1 * mean_size(parts, weights)
    if gradients is None or attribution == 0:
        return loss
    shares = attributions(gradients, lowpass, recipe.level, recipe.mode, recipe.axes)
    return loss + attribution * mean_size(shares, weights) / gradients.shape[1]


def adapted_path(
    X: np.ndarray,
    gradients: np.ndarray | None,
    weights: np.ndarray,
    start: np.ndarray,
    recipe: Recipe,
    watch: Watch,
) -> tuple[list[Adapted], bool]:
    """The start and a filter for each pair of penalties, and whether the path was gone to its end.

    Ctrl-C ends the path; the filter that was in work is kept as it then was.

    Parameters
    ----------
    X : array ``(n, channels, *sizes)``
        Of mean square 1.
    gradients : array ``(n, outputs, channels, *sizes)``, optional
    weights : array ``(n,)``
    start : array ``(L,)``
    """
    pairs = list(itertools.product(recipe.l1, recipe.attribution if gradients is not None else (0.0,)))
    found = [Adapted(start)]
    rows = torch.as_tensor(X, dtype=torch.float32)
    slopes = None if gradients is None else torch.as_tensor(gradients, dtype=torch.float32)
    mass = torch.as_tensor(weights, dtype=torch.float32)
    lowpass = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    generator = torch.Generator().manual_seed(recipe.seed)
    complete, losses = True, [float("nan")]
    for place, (l1, attribution) in enumerate(pairs if recipe.max_steps else []):
        optimiser, losses = torch.optim.Adam([lowpass], lr=recipe.learning_rate), []
        try:
            for step, index in enumerate(_batches(len(rows), recipe, generator)):
                here = None if slopes is None else drawn_outputs(slopes, index, generator)
                share = mass[index] / mass[index].sum()
                loss = step_loss(rows[index], here, share, lowpass, recipe, l1, attribution)
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.param_groups[0]["lr"] = recipe.learning_rate * (1.0 - 0.9 * step / recipe.max_steps)
                optimiser.step()
                losses.append(float(loss.detach()))
                if step % 20 == 19 or step + 1 == recipe.max_steps:
                    watch("adapting the wavelet", place * recipe.max_steps + step + 1, len(pairs) * recipe.max_steps)
        except KeyboardInterrupt:
            complete = False
        near = nearest_wavelet(lowpass.detach().double().numpy())
        if near is not None:
            found.append(Adapted(near, l1, attribution, float(np.mean(losses[-20:])) if losses else float("nan")))
        if not complete:
            break
    return found, complete


def drawn_outputs(gradients: torch.Tensor, index: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The gradients of the rows at `index`, of all outputs where they are few, else of one that is drawn for each row.

    Examples
    --------
    >>> gradients = torch.arange(12.0).reshape(2, 3, 2)
    >>> drawn_outputs(gradients, torch.tensor([1, 1, 0]), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 1, 2])
    """
    outputs = gradients.shape[1]
    if outputs <= MOST_OUTPUTS:
        return gradients[index]
    return gradients[index, torch.randint(outputs, (len(index),), generator=generator)].unsqueeze(1)


def _batches(n: int, recipe: Recipe, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Positions of the rows of each step: one shuffle of the rows after another, cut into batches."""
    size, done = min(recipe.batch_size, n), 0
    while done < recipe.max_steps:
        order = torch.randperm(n, generator=generator)
        for begin in range(0, n - size + 1, size):
            yield order[begin : begin + size]
            done += 1
            if done == recipe.max_steps:
                return


def nearest_wavelet(lowpass: np.ndarray) -> np.ndarray | None:
    """The filter of an orthogonal wavelet nearest to this one, by Newton's method; None where there is none near.

    Its shifts by two are orthonormal and its high-pass sums to 0; that the low-pass sums to the square root of 2
    follows.

    Examples
    --------
    >>> nearest_wavelet(np.array([0.8, 0.6])).round(4).tolist()
    [0.7071, 0.7071]
    """
    h = np.array(lowpass, dtype=np.float64)
    signs = np.where(np.arange(len(h)) % 2 == 0, 1.0, -1.0)
    shifts = range(0, len(h), 2)
    for _ in range(NEWTON_STEPS):
        moved = [np.r_[np.zeros(k), h[: len(h) - k]] for k in shifts]
        off = np.r_[[h @ each - float(k == 0) for k, each in zip(shifts, moved, strict=True)], signs @ h]
        if not np.isfinite(off).all():
            return None
        if np.abs(off).max() < EXACT:
            return h if h.sum() > 0 else None
        back = [np.r_[h[k:], np.zeros(k)] for k in shifts]
        slopes = np.vstack([*(a + b for a, b in zip(moved, back, strict=True)), signs])
        h = h - np.linalg.lstsq(slopes, off, rcond=None)[0]
    return None
