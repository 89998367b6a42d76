"""Rule lists without what need not be read: no condition that follows from the others, no rule that never decides.

Every rule is a box over the columns. What a list means is decided by which part of its box no earlier rule has taken;
whether that part is empty is decided exactly, by taking box from box.

Source
------
Own.

Departures
----------
Where taking boxes from boxes would need more than `MOST_STEPS` steps, the condition is kept.

Checked
-------
On random lists over every cell of the grid of their thresholds: the same answers, and no condition left that could go.

Cost
----
In practice a few hundred steps a list; each is one box cut by another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

from limbeck._core.tables import Schema
from limbeck.readable import Condition, Rule

__all__ = ["simplified"]

Region: TypeAlias = tuple[float, float] | frozenset[int]
"""What a column may be: more than the first and at most the second number, or one of some levels."""

Box: TypeAlias = dict[int, Region]
"""A region for each column that is restricted."""

MOST_STEPS = 20_000


def simplified(rules: Sequence[Rule], schema: Schema) -> tuple[Rule, ...]:
    """The same list, shorter: it gives every row the same value.

    Rules that no row can reach go; so do conditions, sides of intervals and levels that follow from the other
    conditions and from the earlier rules; and rules whose rows would get the same value without them.
    """
    rules = _each_simplified(rules, schema)
    while True:
        merged = _merged_once(rules, schema)
        if merged is None:
            return tuple(rules)
        rules = _each_simplified(merged, schema)


def _each_simplified(rules: Sequence[Rule], schema: Schema) -> list[Rule]:
    kept: list[Rule] = []
    earlier: list[Box] = []
    for rule in rules:
        box = _box(rule.conditions, schema)
        if not _left_over(box, earlier, schema):
            continue
        for condition in sorted(rule.conditions, key=lambda c: (-c.complexity, c.column)):
            _widen(box, condition.column, earlier, schema)
        kept.append(replace(rule, conditions=_conditions(box, [c.column for c in rule.conditions], earlier, schema)))
        earlier.append(box)
        if not box:
            break
    return kept


def _widen(box: Box, j: int, earlier: Sequence[Box], schema: Schema) -> None:
    """Open the box on column `j` where what it gains is taken by earlier rules."""
    region = box[j]
    if isinstance(region, frozenset):
        others = frozenset(range(len(schema.columns[j].levels))) - region
        if not _left_over({**box, j: others}, earlier, schema):
            del box[j]
        return
    low, high = region
    if low > -math.inf and not _left_over({**box, j: (-math.inf, low)}, earlier, schema):
        low = -math.inf
    if high < math.inf and not _left_over({**box, j: (high, math.inf)}, earlier, schema):
        high = math.inf
    box[j] = (low, high)
    if (low, high) == (-math.inf, math.inf):
        del box[j]


def _conditions(box: Box, order: Sequence[int], earlier: Sequence[Box], schema: Schema) -> tuple[Condition, ...]:
    """The box as conditions, levels named by the shorter side; levels that earlier rules take need no name."""
    out = []
    for j in order:
        region = box.get(j)
        if isinstance(region, tuple):
            low, high = (None if math.isinf(bound) else bound for bound in region)
            out.append(Condition(j, low, high))
        elif region is not None:
            every = range(len(schema.columns[j].levels))
            open_ = [code for code in every if _left_over({**box, j: frozenset([code])}, earlier, schema)]
            inside = tuple(code for code in open_ if code in region)
            outside = tuple(code for code in open_ if code not in region)
            excluded = len(outside) < len(inside)
            out.append(Condition(j, levels=outside if excluded else inside, excluded=excluded))
            box[j] = frozenset(every) - set(outside) if excluded else frozenset(inside)
    return tuple(out)


def _merged_once(rules: Sequence[Rule], schema: Schema) -> list[Rule] | None:
    """The list with one rule fewer, where two with the same value can be one; else None."""
    boxes = [_box(rule.conditions, schema) for rule in rules]
    for i, rule in enumerate(rules):
        for j in range(i + 1, len(rules)):
            if rules[j].value == rule.value and _within(boxes[i], boxes[j]):
                joined = replace(rules[j], rows=rules[j].rows + rule.rows)
                return [*rules[:i], *rules[i + 1 : j], joined, *rules[j + 1 :]]
            if _cut(boxes[i], boxes[j]) is not None:
                break
        if i + 1 < len(rules) and rules[i + 1].value == rule.value:
            union = _union(boxes[i], boxes[i + 1], schema)
            if union is not None:
                order = [c.column for c in rule.conditions if c.column in union]
                joined = Rule(_conditions(union, order, [], schema), rule.value, rule.rows + rules[i + 1].rows)
                return [*rules[:i], joined, *rules[i + 2 :]]
    return None


def _union(a: Box, b: Box, schema: Schema) -> Box | None:
    """Both boxes as one, where they differ on one column only and touch there."""
    differ = [j for j in a.keys() | b.keys() if a.get(j) != b.get(j)]
    if len(differ) != 1 or differ[0] not in a or differ[0] not in b:
        return None
    j, (first, second) = differ[0], (a[differ[0]], b[differ[0]])
    out = dict(a)
    if isinstance(first, frozenset) and isinstance(second, frozenset):
        out[j] = first | second
        whole = len(first | second) == len(schema.columns[j].levels)
    elif isinstance(first, tuple) and isinstance(second, tuple):
        if max(first[0], second[0]) > min(first[1], second[1]):
            return None
        out[j] = (min(first[0], second[0]), max(first[1], second[1]))
        whole = out[j] == (-math.inf, math.inf)
    if whole:
        del out[j]
    return out


def _box(conditions: Sequence[Condition], schema: Schema) -> Box:
    box: Box = {}
    for c in conditions:
        if c.levels:
            levels = frozenset(c.levels)
            every = frozenset(range(len(schema.columns[c.column].levels)))
            box[c.column] = every - levels if c.excluded else levels
        else:
            box[c.column] = (-math.inf if c.low is None else c.low, math.inf if c.high is None else c.high)
    return box


def _left_over(box: Box, taken: Sequence[Box], schema: Schema) -> bool:
    """True where some point of the box is in none of the others, or where that takes too long to decide."""
    if any(isinstance(region, frozenset) and not region for region in box.values()):
        return False
    todo: list[tuple[Box, int]] = [(box, 0)]
    for _ in range(MOST_STEPS):
        if not todo:
            return False
        now, at = todo.pop()
        while at < len(taken) and _cut(now, taken[at]) is None:
            at += 1
        if at == len(taken):
            return True
        todo += [(part, at + 1) for part in _without(now, taken[at], schema)]
    return True


def _cut(a: Box, b: Box) -> Box | None:
    """What the boxes share; None where nothing."""
    out = dict(a)
    for j, region in b.items():
        shared = _shared(out[j], region) if j in out else region
        if shared is None:
            return None
        out[j] = shared
    return out


def _shared(a: Region, b: Region) -> Region | None:
    if isinstance(a, frozenset) and isinstance(b, frozenset):
        return a & b or None
    low, high = max(a[0], b[0]), min(a[1], b[1])  # type: ignore[index]
    return (low, high) if low < high else None


def _without(box: Box, other: Box, schema: Schema) -> list[Box]:
    """The box without the other, as boxes that do not overlap."""
    parts, now = [], dict(box)
    for j, region in other.items():
        for outside in _outside(now.get(j, _whole(j, schema)), region):
            parts.append({**now, j: outside})
        shared = _shared(now.get(j, region), region)
        if shared is None:
            return parts
        now[j] = shared
    return parts


def _whole(j: int, schema: Schema) -> Region:
    levels = schema.columns[j].levels
    return frozenset(range(len(levels))) if levels else (-math.inf, math.inf)


def _outside(region: Region, other: Region) -> list[Region]:
    """The parts of a region that are not in the other."""
    if isinstance(region, frozenset) and isinstance(other, frozenset):
        return [region - other] if region - other else []
    (low, high), (first, last) = region, other  # type: ignore[misc]
    below, above = (low, min(high, first)), (max(low, last), high)
    return [part for part in (below, above) if part[0] < part[1]]


def _within(a: Box, b: Box) -> bool:
    """True where the first box lies in the second."""
    return all(j in a and _shared(a[j], region) == a[j] for j, region in b.items())
