"""How specialised modules are: whether what each label loses is lost with one module, beside what chance gives.

Turn off each module in turn. A label's losses are concentrated where one module carries it, and even where all do.

    lost_ml = max(0, accuracy of label l with all modules on - with module m off)
    share_ml = lost_ml / sum over modules
    concentration_l = (sum_m share_ml^2 - 1/k) / (1 - 1/k)
    score = sum_l (sum_m lost_ml) concentration_l / sum_lm lost_ml

0: every label loses the same with each module; 1: with one module only. Labels count by what they lose, so that one
that hardly loses anything does not count by its noise. For quantities, R2 (at least 0) stands in accuracy's place, and
what is off gives its mean.

Source
------
Golechha2025 for the question and its answer on trained networks; the score and its chance level are our own.

Departures
----------
- Chance is measured, not assumed: the units of the last layer that belongs to modules are dealt out to modules of the
  same sizes at random, and turned off.
- Those of the last layer only: dealing out the units of every layer cuts through the modules and spoils all labels
  alike, so that modules of random weights look specialised.

Checked
-------
tests/truth/test_distill_modules_truth.py: planted modules of one label each score 1, p < 0.05; modules of random
weights are not called specialised. Of 60 random networks of four modules (20 each of 32 and 64 units, one and two
clustered layers), 10 % had p < 0.05; with the units of every layer dealt out, 70 to 95 %.

Cost
----
Two passes of the network over at most `MEASURED_ROWS` rows where its last layer reads the units, and a product of the
size of that layer for each module of each random partition; a pass for each of them where it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._core.storage import as_json
from limbeck.checks._measures import Statistic, bootstrap, determination
from limbeck.modularity._module_answers import at_the_mean, outputs_on, with_two
from limbeck.modularity._turned_off import Site, read_by, shuffled_site, turned_off, unit_sites

__all__ = ["Specialisation", "concentration", "specialisation"]

MEASURED_ROWS = 1_000
SIGNIFICANT = 0.05
LINEAR = 1e-4
NOTHING = 1e-9


@dataclass(frozen=True)
class Specialisation:
    """How concentrated each label's loss is on one module.

    Attributes
    ----------
    score : float
        0: what labels lose is spread evenly over the modules; 1: each loses it with one module only. NaN where no
        label loses anything.
    chance : float
        The mean score of random partitions of the units of the last layer into modules of the same sizes.
    interval : (float, float)
        The 95 % interval of the score, over rows.
    p_value : float
        How often a random partition reaches the score.
    n_random : int
    """

    score: float
    chance: float
    interval: tuple[float, float]
    p_value: float
    n_random: int

    @property
    def says(self) -> str:
        """The finding as a sentence."""
        if not np.isfinite(self.score):
            return "no label loses anything when one module is turned off, so specialisation can't be measured"
        low, high = self.interval
        numbers = f"{self.score:.2f} (95 % interval {low:.2f} to {high:.2f})"
        if not self.n_random:
            return f"specialisation {numbers}; its chance level was not measured"
        rest = f"random modules of the same sizes reach {self.chance:.2f}, p = {self.p_value:.3g}"
        if self.p_value < SIGNIFICANT:
            return f"more specialised than chance: {numbers}; {rest}"
        return f"no more specialised than chance: {numbers}; {rest}"

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON types: score, chance, low, high, p, says."""
        low, high = self.interval
        numbers = {"score": self.score, "chance": self.chance, "low": low, "high": high, "p": self.p_value}
        return dict(as_json({**numbers, "says": self.says}))


def concentration(lost: np.ndarray) -> np.ndarray:
    """The score of losses ``(..., m, l)`` of m modules and l labels; NaN where nothing is lost.

    Examples
    --------
    >>> concentration(np.array([[0.9, 0.0], [0.0, 0.8]])).item()
    1.0
    >>> concentration(np.array([[0.4, 0.3], [0.4, 0.3]])).item()
    0.0
    """
    k = lost.shape[-2]
    lost = np.maximum(lost, 0.0)
    total = lost.sum(axis=-2)
    shares = lost / np.maximum(total, NOTHING)[..., None, :]
    each = ((shares**2).sum(axis=-2) - 1 / k) / (1 - 1 / k) if k > 1 else np.zeros_like(total)
    everything = total.sum(axis=-1)
    score = (total * each).sum(axis=-1) / np.maximum(everything, NOTHING)
    return np.asarray(np.where(everything > NOTHING, score, np.nan))


def specialisation(
    network: Any, rows: torch.Tensor, truth: np.ndarray, classes: int | None, *, n_random: int, seed: int
) -> Specialisation:
    """The score of a split network's modules on at most 1,000 of these rows, with its chance level."""
    generator = np.random.default_rng(seed)
    some = np.sort(generator.permutation(len(rows))[:MEASURED_ROWS])
    rows, truth = rows[torch.as_tensor(some)], truth[some]
    site = unit_sites(network, rows)[-1]
    whole, ones = outputs_on(network, rows), np.ones((1, len(rows)))
    without = _answers_without(network, rows, site, whole)

    def statistic(dealt: Site) -> Statistic:
        return _score_of(truth, whole, without(dealt.labels), classes)

    own = statistic(site)
    score = float(own(ones)[0])
    if not np.isfinite(score):
        return Specialisation(float("nan"), float("nan"), (float("nan"), float("nan")), float("nan"), n_random)
    drawn = np.array([float(statistic(shuffled_site(site, generator))(ones)[0]) for _ in range(n_random)])
    drawn = np.nan_to_num(drawn)  # a partition without which nothing is lost is not specialised
    p_value = float((1 + (drawn >= score - NOTHING).sum()) / (1 + n_random))
    chance = float(drawn.mean()) if n_random else float("nan")
    return Specialisation(score, chance, bootstrap(own, len(rows), seed), p_value, n_random)


def _answers_without(
    network: Any, rows: torch.Tensor, site: Site, whole: np.ndarray
) -> Callable[[np.ndarray], np.ndarray]:
    """From labels of the units at a place to the answers without each module, ``(m, n, k)``."""
    modules = range(len(network.parts))

    def by_passes(labels: np.ndarray) -> np.ndarray:
        out = []
        for i in modules:
            with turned_off([(site, labels == i)]):
                out.append(outputs_on(network, rows))
        return np.stack(out)

    if not isinstance(site.layer, torch.nn.Linear):
        return by_passes
    read = read_by(network, site.layer, rows)
    weight = site.layer.weight.detach().double().cpu().numpy()
    shift = whole - read @ weight.T if read.ndim == 2 else np.full(1, np.nan)
    if not np.ptp(shift, axis=0).max() <= LINEAR * max(float(np.abs(whole).max()), NOTHING):
        return by_passes  # the layer does not give the network's answers
    return lambda labels: np.stack([whole - (read * (labels == i)) @ weight.T for i in modules])


def _score_of(truth: np.ndarray, whole: np.ndarray, without: np.ndarray, classes: int | None) -> Statistic:
    """The score as a function of row weights."""
    if classes is None:
        return _score_of_numbers(truth, whole, without)
    hit = (with_two(whole).argmax(axis=1) == truth).astype(np.float64)
    lost = np.stack([hit - (with_two(off).argmax(axis=1) == truth) for off in without])
    member = np.eye(classes)[truth]

    def statistic(weights: np.ndarray) -> np.ndarray:
        counts = np.maximum(weights @ member, 1.0)
        return concentration(np.stack([(weights * one) @ member / counts for one in lost], axis=1))

    return statistic


def _score_of_numbers(truth: np.ndarray, whole: np.ndarray, without: np.ndarray) -> Statistic:
    outputs = range(truth.shape[1])
    before = [determination(truth[:, [o]], whole[:, [o]]) for o in outputs]
    off_at_mean = at_the_mean(without, whole)
    after = [[determination(truth[:, [o]], off[:, [o]]) for o in outputs] for off in off_at_mean]

    def statistic(weights: np.ndarray) -> np.ndarray:
        full = np.stack([np.maximum(one(weights), 0.0) for one in before], axis=1)
        left = np.stack([np.stack([np.maximum(one(weights), 0.0) for one in each], axis=1) for each in after], axis=1)
        return concentration(full[:, None, :] - left)

    return statistic
