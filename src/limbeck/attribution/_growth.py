"""Groups of units as they grow: which units are free, what each would add to a group, which groups join.

Every step scores all that it must know in one call; what is known of groups that did not change is kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from limbeck.attribution._hierarchy import Hierarchy, Node
from limbeck.attribution._units import Units

__all__ = ["Growth"]

Group = tuple[int, ...]
Scores = Callable[[np.ndarray], np.ndarray]
NOTHING = 1e-6
"""A score of less than this part of the largest is rounding, and counts as zero."""


class Growth:
    """The state of an agglomeration.

    Attributes
    ----------
    groups : list of tuple of int
        The groups of chosen units as they are now, each sorted.
    nodes : list of Node
    notes : list of str
    """

    def __init__(self, units: Units, scores: Scores, alone: np.ndarray, *, signed: bool) -> None:
        self.units, self.alone, self.signed = units, alone, signed
        self.groups: list[Group] = []
        self.nodes: list[Node] = []
        self.notes: list[str] = []
        self._scores = scores
        self._known: dict[Group, float] = {(i,): float(value) for i, value in enumerate(alone)}
        self._place: dict[Group, int] = {}
        self._masks = units.masks.reshape(len(units), -1)
        self._empty_joins = 0

    def score(self, groups: Iterable[Group]) -> np.ndarray:
        """The effects of groups; those that are not known yet are asked for in one call."""
        groups = list(groups)
        new = list(dict.fromkeys(group for group in groups if group not in self._known))
        if new:
            masks = np.stack([self._masks[list(group)].any(axis=0) for group in new])
            found = self._scores(masks.reshape(len(new), *self.units.row_shape))
            self._known.update(zip(new, (float(value) for value in found), strict=True))
        return np.array([self._known[group] for group in groups])

    def strength(self, values: np.ndarray) -> np.ndarray:
        """What values count for: their size, or, where signs count, themselves; rounding counts as zero."""
        able = values if self.signed else np.abs(values)
        largest = max((abs(value) for value in self._known.values()), default=0.0)
        return np.where(np.abs(able) <= NOTHING * largest, 0.0, able)

    def candidates(self) -> tuple[np.ndarray, np.ndarray]:
        """The units that are free, and the strength of each: its largest gain to a group it touches, else alone."""
        owner = {unit: g for g, group in enumerate(self.groups) for unit in group}
        free = [unit for unit in range(len(self.units)) if unit not in owner]
        pairs = [
            (i, g)
            for i, unit in enumerate(free)
            for g in sorted({owner[near] for near in self.units.neighbours[unit] if near in owner})
        ]
        joined = [tuple(sorted((*self.groups[g], free[i]))) for i, g in pairs]
        gains = self.score(joined) - self.score(self.groups[g] for _, g in pairs)
        strength = self.strength(self.alone[free])
        best: dict[int, float] = {}
        for (i, _), value in zip(pairs, self.strength(gains), strict=True):
            best[i] = max(best.get(i, -np.inf), float(value))
        for i, value in best.items():
            strength[i] = value
        return np.array(free, dtype=np.int64), strength

    def choose(self, chosen: Iterable[int], level: int) -> None:
        """Add units; groups and units that touch become one group."""
        chosen = [int(unit) for unit in chosen]
        for unit in chosen:
            self._add(Node((unit,), float(self.alone[unit]), (), level))
        parts = self.groups + [(unit,) for unit in chosen]
        merged: list[Group] = [(unit,) for unit in chosen] if self._loose() else self._touching(parts)
        self.score(merged)
        for group in merged:
            if group not in self._place:
                children = [self._place[part] for part in parts if set(part) <= set(group)]
                self._add(Node(group, self._known[group], tuple(sorted(children, key=self._first)), level))
        self.groups = merged

    def join(self) -> None:
        """Join the two groups of the greatest synergy."""
        pairs = list(itertools.combinations(sorted(self.groups), 2))
        together = [tuple(sorted((*a, *b))) for a, b in pairs]
        self.score(together)
        synergy = np.array(
            [self._known[c] - self._known[a] - self._known[b] for (a, b), c in zip(pairs, together, strict=True)]
        )
        strength = self.strength(synergy)
        best = int(strength.argmax())
        self._empty_joins += strength[best] == 0
        one, other = pairs[best]
        level = 1 + max(node.level for node in self.nodes)
        children = tuple(sorted((self._place[one], self._place[other]), key=self._first))
        self._add(Node(together[best], self._known[together[best]], children, level))
        self.groups = [group for group in self.groups if group not in (one, other)] + [together[best]]

    def hierarchy(self, output: int, total: float) -> Hierarchy:
        """What was found."""
        if self._empty_joins:
            self.notes.append(f"{self._empty_joins} of the last joins are of groups without any interaction")
        return Hierarchy(self.units, tuple(self.nodes), output, self.alone, total, tuple(self.notes))

    def _add(self, node: Node) -> None:
        self._place[node.units] = len(self.nodes)
        self.nodes.append(node)

    def _first(self, place: int) -> int:
        """A node's first unit: children stand in reading order."""
        return self.nodes[place].units[0]

    def _loose(self) -> bool:
        u = len(self.units)
        return u > 2 and all(len(near) == u - 1 for near in self.units.neighbours)

    def _touching(self, parts: list[Group]) -> list[Group]:
        """Parts that touch, put together."""
        part_of = {unit: p for p, part in enumerate(parts) for unit in part}
        seen: set[int] = set()
        merged: list[Group] = []
        for p in range(len(parts)):
            if p in seen:
                continue
            seen.add(p)
            waiting = [p]
            found: list[int] = []
            while waiting:
                units = parts[waiting.pop()]
                found += units
                for unit in units:
                    for near in self.units.neighbours[unit]:
                        q = part_of.get(near)
                        if q is not None and q not in seen:
                            seen.add(q)
                            waiting.append(q)
            merged.append(tuple(sorted(found)))
        return merged
