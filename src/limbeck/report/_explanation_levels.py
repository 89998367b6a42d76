"""What there is to draw of a hierarchy: the groups at a level, the levels that are shown, and who stands above whom.

A group is there from the level at which it was made until the level at which it is merged into another.

Source
------
Own.

Cost
----
O(groups * levels), and O(groups ** 2) for the layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from limbeck.report._explanation_values import ExplainedRow, Group

__all__ = ["Box", "boxes", "groups_at", "leaf_order", "parents", "runs", "shown_levels"]


@dataclass(frozen=True)
class Box:
    """A group as it is drawn: its number, how high it stands, where it lies, and the boxes that stand below it."""

    group: int
    height: int
    score: float
    runs: tuple[tuple[int, int], ...]
    below: tuple[int, ...]
    bare: tuple[int, ...]
    """Its units that are in no box below it."""

    @property
    def widest(self) -> tuple[int, int]:
        """Its longest run."""
        return max(self.runs, key=lambda run: (run[1] - run[0], -run[0]))


def parents(groups: Sequence[Group]) -> list[int | None]:
    """Of each group the one that it was merged into.

    Examples
    --------
    >>> parents([Group((0,), 1.0, (), 0), Group((1,), 1.0, (), 0), Group((0, 1), 3.0, (0, 1), 1)])
    [2, 2, None]
    """
    found: list[int | None] = [None] * len(groups)
    for i, group in enumerate(groups):
        for child in group.children:
            found[child] = i
    return found


def groups_at(groups: Sequence[Group], level: int) -> list[int]:
    """The groups that are there at a level, the strongest first.

    Examples
    --------
    >>> groups = [Group((0,), 1.0, (), 0), Group((1,), 2.0, (), 0), Group((0, 1), 5.0, (0, 1), 1)]
    >>> [groups_at(groups, level) for level in (0, 1, 9)]
    [[1, 0], [2], [2]]
    """
    above = parents(groups)
    found = []
    for i, group in enumerate(groups):
        parent = above[i]
        if group.level <= level and (parent is None or groups[parent].level > level):
            found.append(i)
    return sorted(found, key=lambda i: (-abs(groups[i].score), i))


def shown_levels(groups: Sequence[Group], most: int) -> list[int]:
    """The levels at which something was made; where there are too many, so many of them, evenly, with both ends.

    Examples
    --------
    >>> shown_levels([Group((i,), 0.0, (), i) for i in range(10)], 4)
    [0, 3, 6, 9]
    """
    levels = sorted({group.level for group in groups})
    if len(levels) <= most:
        return levels
    if most == 1:
        return levels[-1:]
    return [levels[round(i * (len(levels) - 1) / (most - 1))] for i in range(most)]


def runs(positions: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Where neighbours follow each other: first position, and the one after the last.

    Examples
    --------
    >>> runs([4, 1, 2, 7])
    ((1, 3), (4, 5), (7, 8))
    """
    found: list[tuple[int, int]] = []
    for position in sorted(set(positions)):
        if found and found[-1][1] == position:
            found[-1] = (found[-1][0], position + 1)
        else:
            found.append((position, position + 1))
    return tuple(found)


def leaf_order(row: ExplainedRow) -> list[int]:
    """The units in an order in which every group lies together, the strongest tree first, then those in no group."""
    order: dict[int, None] = {}

    def strength(i: int) -> tuple[float, int]:
        return -abs(row.groups[i].score), i

    above = parents(row.groups)
    waiting = sorted((i for i, parent in enumerate(above) if parent is None), key=strength, reverse=True)
    while waiting:
        group = row.groups[waiting.pop()]
        if group.children:
            waiting += sorted(group.children, key=strength, reverse=True)
            within = {unit for child in group.children for unit in row.groups[child].units}
            bare = [unit for unit in group.units if unit not in within]
        else:
            bare = list(group.units)
        for unit in bare:
            order.setdefault(unit, None)
    rest = sorted(range(len(row.units)), key=lambda unit: (-abs(row.alone[unit]), unit))
    return list(dict.fromkeys([*order, *rest]))


def boxes(groups: Sequence[Group], places: Sequence[Sequence[int]], levels: Sequence[int]) -> list[Box]:
    """The groups that are there at one of the levels, without single units, each as low as it finds room.

    Parameters
    ----------
    groups : sequence of Group
        Children before parents.
    places : sequence of sequences of int
        Where each unit lies on the line along which they are drawn.
    levels : sequence of int
        The levels that are shown.
    """
    kept = {i for level in levels for i in groups_at(groups, level) if len(groups[i].units) > 1 or groups[i].children}
    taken: list[list[tuple[int, int]]] = []
    made: dict[int, Box] = {}
    for i in sorted(kept):
        below = _nearest(groups, i, kept)
        within = {unit for child in below for unit in groups[child].units}
        spread = runs(place for unit in groups[i].units for place in places[unit])
        if not spread:
            continue
        span = spread[0][0], spread[-1][1]
        height = 1 + max((made[child].height for child in below if child in made), default=0)
        while height <= len(taken) and any(span[0] < high and low < span[1] for low, high in taken[height - 1]):
            height += 1
        while len(taken) < height:
            taken.append([])
        taken[height - 1].append(span)
        bare = tuple(unit for unit in groups[i].units if unit not in within)
        made[i] = Box(i, height, groups[i].score, spread, tuple(child for child in below if child in made), bare)
    return list(made.values())


def _nearest(groups: Sequence[Group], i: int, kept: set[int]) -> list[int]:
    """The groups below a group that are kept, with no kept one between."""
    found, waiting = [], list(groups[i].children)
    while waiting:
        child = waiting.pop()
        if child in kept:
            found.append(child)
        else:
            waiting += groups[child].children
    return sorted(found)
