"""RC009: are the groups of units that are known to work together found?

Source
------
Singh2019 (interactions as CD(A and B) - CD(A) - CD(B)); the planted truth and the control are this project's own.

Symbols
-------
I(i, j) = e({i, j}) - e({i}) - e({j}): for units whose effects add up, 0. A planted group of three or more counts as all
of its pairs. Recall: of the k planted pairs of a row, the share among the k pairs with the largest absolute I; pairs
tied at the border count by the share of them that has room.

Departures
----------
The control is the same scores, shuffled over the pairs. An attribution whose sign of I differs is not held against it:
what is missed where one of the two is taken away (occlusion) has the other sign than what both add.

Cost
----
One call of the attribution with u + u (u - 1) / 2 groups.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limbeck._core.errors import InputError
from limbeck.checks._asking import Effects
from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._attribution_measures import MIN_ROWS, guarded
from limbeck.checks._finding import Finding, judge
from limbeck.checks._measures import mean_interval
from limbeck.simulate import InteractionWorld, interaction_network

__all__ = ["PlantedGroups", "planted_case"]

ROUNDING = 1e-5
"""Interactions smaller than this share of the row's largest effect are 0."""


def planted_case(
    world: InteractionWorld,
    effects: Effects,
    *,
    rest: Effects | None = None,
    bias: Callable[[Any, Any], Any] | None = None,
) -> AttributionCase:
    """The case of an attribution on a planted world: its network, rows, units and known groups.

    Examples
    --------
    >>> from limbeck.checks import occlusion_effects
    >>> from limbeck.simulate import planted_interactions
    >>> case = planted_case(planted_interactions(20, 6, random_state=0), occlusion_effects(0))
    >>> PlantedGroups()(case).status
    'pass'
    """
    return AttributionCase(
        interaction_network(world),
        world.X,
        world.units,
        0,
        effects,
        world.baseline,
        rest=rest,
        bias=bias,
        planted=world.groups,
    )


@dataclass(frozen=True)
class PlantedGroups:
    """RC009. Mean recall of the planted pairs at the top, over the rows that have some.

    Parameters
    ----------
    min_recall : float
        The threshold.
    n_shuffles : int
        How often the scores are shuffled for the control.
    max_pairs : int
        More pairs of units than these are refused.
    """

    min_recall: float = 0.8
    n_shuffles: int = 20
    max_pairs: int = 5_000

    code: ClassVar[str] = "RC009"
    title: ClassVar[str] = "Planted groups are found"

    def __call__(self, case: AttributionCase) -> Finding:
        """The finding for one attribution."""
        return guarded(self, self._judge, case)

    def _judge(self, case: AttributionCase) -> Finding:
        if case.planted is None or not any(case.planted):
            words = "no group is known to work together in these rows"
            return Finding(self.code, "not_applicable", None, None, self.min_recall, words, self.title)
        case.steady_answers()
        pairs = list(itertools.combinations(range(len(case.masks)), 2))
        if len(pairs) > self.max_pairs:
            raise InputError(
                f"at most {self.max_pairs} pairs of units can be compared; got {len(pairs)}: take fewer units"
            )
        scores = interactions(case, pairs)
        known = np.array([_pairs_in(groups, pairs) for groups in case.planted])
        rows = np.flatnonzero(known.any(axis=1) & ~known.all(axis=1))
        if not len(rows):
            words = "in each row all pairs of units are planted, so that finding them says nothing"
            return Finding(self.code, "not_applicable", None, None, self.min_recall, words, self.title)
        found = np.array([recall(scores[row], known[row]) for row in rows])
        generator = np.random.default_rng(case.seed)
        control = float(
            np.mean(
                [recall(generator.permutation(scores[row]), known[row]) for row in rows for _ in range(self.n_shuffles)]
            )
        )
        value, interval = float(found.mean()), mean_interval(found, case.seed)
        threshold = max(self.min_recall, control)
        status = judge(interval, threshold) if len(rows) >= MIN_ROWS else "inconclusive"
        message = (
            f"{value:.1%} of the planted pairs are at the top, 95 % interval {interval[0]:.1%} to {interval[1]:.1%}; "
            f"with the scores shuffled {control:.1%}"
        )
        details = {
            "control": control,
            "planted_mean": float(scores[rows][known[rows]].mean()),
            "other_mean": float(scores[rows][~known[rows]].mean()),
            "rows": len(rows),
            "pairs": len(pairs),
        }
        return Finding(self.code, status, value, interval, threshold, message, self.title, details)


def interactions(case: AttributionCase, pairs: list[tuple[int, int]]) -> np.ndarray:
    """The size ``(n, p)`` of the interaction of each pair of units in each row, rounding taken off."""
    joint = np.array([case.masks[i] | case.masks[j] for i, j in pairs])
    effects = case.measure(np.concatenate([case.masks, joint]))
    units = len(case.masks)
    first, second = np.array(pairs).T
    sizes = np.abs(effects[units:] - effects[first] - effects[second]).T
    sizes[sizes < ROUNDING * np.abs(effects).max(axis=0)[:, None]] = 0.0
    return np.asarray(sizes)


def recall(scores: np.ndarray, known: np.ndarray) -> float:
    """The share of the k `known` pairs among the k largest scores; ties at the border by their share of room."""
    k = int(known.sum())
    border = np.sort(scores)[-k]
    above, level = scores > border, scores == border
    room = (k - above.sum()) / level.sum()
    return float((known & above).sum() + room * (known & level).sum()) / k


def _pairs_in(groups: tuple[tuple[int, ...], ...], pairs: list[tuple[int, int]]) -> np.ndarray:
    inside = {pair for group in groups for pair in itertools.combinations(group, 2)}
    return np.array([pair in inside for pair in pairs])
