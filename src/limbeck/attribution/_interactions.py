"""Interactions: what groups of inputs do together beyond what they do apart.

Source
------
Singh2019, section 3.2 (pairs by contextual decomposition); Grabisch1999 (the Moebius transform, for more than two).

Symbols
-------
CD(S), the effect of the inputs S; m(A, B) = CD(A + B) - CD(A) - CD(B); for a set of groups, the Moebius transform:
the sum over its subsets of CD of their union, with sign minus where an odd number of groups is left out.

Departures
----------
- Groups must not overlap: where they do, the union does not hold the sum of both, and an interaction would show where
  there is none. They are refused.
- Effects are counted from the empty group's; see `_group_scores`.

Checked
-------
tests/truth/test_agglomerate_truth.py: planted pairs are found, exactly and before all others; networks without them
show none. tests/unit/test_interactions.py: interactions of all orders add up to the effect of the union.

Cost
----
One batched call of as many masks as there are sets of at most `order` groups.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, reporting
from limbeck.attribution._group_scores import Score, group_scores, one_row
from limbeck.attribution._unit_graph import count_of
from limbeck.attribution._units import Units

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Groups", "Interactions", "interactions"]

Groups: TypeAlias = Units | Mapping[str, Any] | Sequence[Any]
"""Units; names with a boolean mask each, of the shape of one row; or masks, named ``group 0``, ``group 1``, ..."""

MOST_SETS = 100_000
AT_ONCE = 2_000


@dataclass(frozen=True, eq=False)
class Interactions:
    """What sets of groups do together, for one row and one output.

    Parameters
    ----------
    names : tuple of str
        Of the groups.
    alone : array ``(g,)``
        Each group's own effect.
    sets : tuple of tuple of int
        The sets of two or more groups, the strongest interaction first.
    values : array ``(len(sets),)``
        Their interactions.
    output : int
        The number of the explained output.
    total : float
        The effect of the whole row.
    """

    names: tuple[str, ...]
    alone: np.ndarray
    sets: tuple[tuple[int, ...], ...]
    values: np.ndarray
    output: int
    total: float

    def value(self, *groups: int | str) -> float:
        """The interaction of the groups of these numbers or names.

        Raises
        ------
        InputError
            For a set that was not asked for, or a name that stands for no group or for several.
        """
        wanted = tuple(sorted(self._number(group) for group in groups))
        if wanted not in self.sets:
            raise InputError(
                f"these groups' interaction was not asked for: {groups!r:.120}; order= sets how many at most"
            )
        return float(self.values[self.sets.index(wanted)])

    def table(self) -> pd.DataFrame:
        """One line a set, the strongest first: the groups, the interaction, and each one's own effect.

        Columns: ``group a, group b, ..., value, a alone, b alone, ...``; empty where a set has fewer groups.
        """
        import pandas as pd

        most = max((len(s) for s in self.sets), default=2)
        letters = [chr(ord("a") + i) for i in range(most)]
        data: dict[str, Any] = {}
        for i, letter in enumerate(letters):
            data[f"group {letter}"] = [self.names[s[i]] if i < len(s) else "" for s in self.sets]
        data["value"] = self.values
        for i, letter in enumerate(letters):
            data[f"{letter} alone"] = [float(self.alone[s[i]]) if i < len(s) else math.nan for s in self.sets]
        return pd.DataFrame(data)

    def to_list(self, most: int = 12) -> list[dict[str, Any]]:
        """The strongest pairs as ``{"a": [group], "b": [group], "value": float}``."""
        pairs = [(s, float(v)) for s, v in zip(self.sets, self.values, strict=True) if len(s) == 2]
        return [{"a": [a], "b": [b], "value": v} for (a, b), v in pairs[:most]]

    def _number(self, group: int | str) -> int:
        if not isinstance(group, str):
            return int(group)
        if self.names.count(group) != 1:
            raise InputError(f"a name must stand for one group; {group!r:.60} stands for {self.names.count(group)}")
        return self.names.index(group)


def interactions(
    model: Any,
    x: Any,
    groups: Groups,
    *,
    output: int | None = None,
    order: int = 2,
    rule: str = "proportional",
    score: str | Score = "contextual_decomposition",
    memory_mb: float = 256,
    progress: Progress = False,
) -> Interactions:
    """The interactions of all pairs of groups of inputs, and of all sets of up to `order`, for one row.

    Parameters
    ----------
    model : torch.nn.Module
        One that `contextual_decomposition` can follow. Not used where `score` is a function.
    x : array or tensor ``(*row)`` or ``(1, *row)``
        One row.
    groups : Units, mapping or sequence
        At least two groups that don't overlap: units; names to boolean masks of the shape of one row; or such masks.
    output : int, optional
        The explained output; where absent the largest.
    order : int
        The most groups in a set.
    rule : str
        As in `contextual_decomposition`.
    score : {"contextual_decomposition", "build_up"} or callable
        As in `agglomerate`.
    memory_mb : float
        As in `contextual_decomposition`.
    progress : bool or callable

    Raises
    ------
    InputError
        For groups that overlap, are empty or fewer than two, for an `order` above their number, for too many sets.
    TeacherError
        Where the network or the score raises, is random, or gives numbers that are not finite.

    Notes
    -----
    Contextual decomposition shares a bias between the parts. An "and" that is made by a threshold, as
    ``relu(a + b - 1.5)``, therefore comes out as two halves without an interaction; one that is made by signs, as "not
    good", shows. ``score="build_up"`` sees both, at the price of inputs that the network was not trained on.

    Source
    ------
    Singh2019, Grabisch1999.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> def both(masks):
    ...     return 2.0 * masks[:, 0] + 5.0 * masks[:, 0] * masks[:, 1]
    >>> masks = {"one": [True, False, False], "two": [False, True, False], "three": [False, False, True]}
    >>> found = interactions(None, np.zeros(3), masks, score=both)
    >>> print(found.table().to_string(index=False))
    group a group b  value  a alone  b alone
        one     two    5.0      2.0      0.0
        one   three    0.0      2.0      0.0
        two   three    0.0      0.0      0.0
    """
    names, masks = _groups(groups)
    g, most = len(names), count_of("order", order)
    if most < 2 or most > g:
        raise InputError(f"order must be from 2 to the number of groups, {g}; got {order}")
    count = sum(math.comb(g, k) for k in range(1, most + 1))
    if count > MOST_SETS:
        raise InputError(
            f"{g} groups have {count:,} sets of at most {most}; at most {MOST_SETS:,} are allowed. Take fewer groups "
            "or a smaller order."
        )
    row = one_row(x, tuple(masks.shape[1:]), "groups")
    scores = group_scores(model, row, tuple(masks.shape[1:]), output, rule, score, memory_mb)
    every = [s for k in range(1, most + 1) for s in itertools.combinations(range(g), k)]
    effects = np.empty(len(every))
    with reporting(progress) as report:
        for start in range(0, len(every), AT_ONCE):
            part = every[start : start + AT_ONCE]
            effects[start : start + len(part)] = scores(np.stack([masks[list(s)].any(axis=0) for s in part]))
            report("scoring sets of groups", start + len(part), len(every))
    values = moebius(every, effects)
    several = np.arange(g, len(every))
    order_of = several[np.argsort(-np.abs(values[several]), kind="stable")]
    sets = tuple(every[i] for i in order_of)
    return Interactions(names, effects[:g], sets, values[order_of], scores.output, scores.total)


def moebius(sets: Sequence[tuple[int, ...]], effects: np.ndarray) -> np.ndarray:
    """The Moebius transform of effects of sets, smaller sets first: what each adds to all that its subsets do."""
    known: dict[tuple[int, ...], float] = {}
    for s, effect in zip(sets, effects.tolist(), strict=True):
        inside = (part for k in range(1, len(s)) for part in itertools.combinations(s, k))
        known[s] = effect - sum(known[part] for part in inside)
    return np.array([known[s] for s in sets])


def _groups(groups: Any) -> tuple[tuple[str, ...], np.ndarray]:
    """Names and masks ``(g, *row)``, checked."""
    if isinstance(groups, Units):
        names, masks = groups.names, list(groups.masks)
    elif isinstance(groups, Mapping):
        names, masks = tuple(str(name) for name in groups), [_array(mask) for mask in groups.values()]
    elif isinstance(groups, str | bytes) or not hasattr(groups, "__len__"):
        raise InputError(f"groups must be Units, names with masks, or masks; got {type(groups).__name__}")
    else:
        masks = [_array(mask) for mask in groups]
        names = tuple(f"group {i}" for i in range(len(masks)))
    if len(masks) < 2:
        raise InputError(f"interactions need at least two groups; got {len(masks)}")
    for name, mask in zip(names, masks, strict=True):
        if mask.dtype != bool or mask.shape != masks[0].shape or mask.ndim < 1 or not mask.any():
            raise InputError(
                f"every group must be a boolean mask of the shape of one row, {masks[0].shape}, and hold something; "
                f"group {name!r:.60} is {mask.dtype} of shape {mask.shape} with {int(np.count_nonzero(mask))} chosen"
            )
    together = np.stack(masks)
    twice = np.argwhere(together.sum(axis=0) > 1)
    if len(twice):
        one, other = (names[i] for i in np.flatnonzero(together[(slice(None), *twice[0])])[:2])
        raise InputError(
            f"groups must not overlap: {one!r:.60} and {other!r:.60} both hold position {tuple(twice[0].tolist())}. "
            "Make what they share a group of its own."
        )
    return names, together


def _array(mask: Any) -> np.ndarray:
    return mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
