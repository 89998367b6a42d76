"""Programs and trees that act, with fewer words and the same actions.

What earlier guards leave over is known for each sum that they ask alone: a guard outside of it is never reached, and a
bound that it keeps already says nothing. A guard that changes no action, because what follows would act the same, is
dropped; neighbours of one action that overlap on one sum are joined. All of it is exact: comparisons are strict, and a
set is only taken as covered where no value at an end is left out.

Source
------
Own.

Departures
----------
Sums that are not finite, or so small that halving them loses a digit, are not considered.

Checked
-------
tests/unit/test_program.py: the same actions on every row of a grid that holds all thresholds, for random programs.

Cost
----
O(guards^2) set operations a pass, passes until nothing changes; with rows, one run on the rows for each guard and bound
that is tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.readable._policy_tree import Branch, PolicyTree, Subtree
from limbeck.readable._program import Guard, ProgramPolicy
from limbeck.readable._program_comparison import Comparison, Form

__all__ = ["simplified_program", "simplified_tree"]

Interval = tuple[float, float]
"""Values between two ends, without the ends."""

Region = dict[Form, Interval]
"""What a guard asks: each of its sums between two ends."""

_WHOLE: Interval = (-math.inf, math.inf)


@dataclass(frozen=True)
class _Rule:
    """A guard as its region; an empty one holds always."""

    region: Region
    action: int


def simplified_program(policy: ProgramPolicy, rows: Any = None) -> ProgramPolicy:
    """The program without what makes no difference: on any row, or on the given rows.

    Examples
    --------
    >>> from limbeck.readable import policy_schema
    >>> above = [Guard((Comparison(((0, 1.0),), bound),), action) for bound, action in [(3, 1), (1, 1), (2, 0)]]
    >>> policy = ProgramPolicy(policy_schema(["x"]), ("stay", "go"), tuple(above), 0)
    >>> print(policy.text())
    go if x > 3; go if x > 1
    stay if x > 2
    else stay
    >>> print(simplified_program(policy).text())
    go if x > 1; else stay
    """
    rules = [_Rule(_region(guard.comparisons), guard.action) for guard in policy.guards]
    rules = _settled([*rules, _Rule({}, policy.otherwise)])
    if rows is not None:
        rules = _settled(_needed(policy, rules, _some(policy._checked(rows))))
    *first, last = rules
    return replace(policy, guards=tuple(map(_guard, first)), otherwise=last.action)


def _some(rows: np.ndarray) -> np.ndarray:
    if not len(rows):
        raise InputError(f"simplifying by rows needs one row or more; got shape {rows.shape}")
    return rows


def _region(comparisons: Sequence[Comparison]) -> Region:
    region: Region = {}
    for one in map(_scaled, comparisons):
        low, high = region.get(one.form, _WHOLE)
        region[one.form] = (max(low, one.bound), high) if one.is_above else (low, min(high, one.bound))
    return region


def _scaled(one: Comparison) -> Comparison:
    """The comparison times the power of two that leaves the fewest weights to be written, then no fractions."""
    best, fewest = 1.0, sum(abs(weight) != 1 for _, weight in one.terms)
    for _, weight in one.terms:
        if math.frexp(abs(weight))[0] == 0.5:
            scale = 1.0 / abs(weight)
            count = sum(abs(other * scale) != 1 for _, other in one.terms)
            if count < fewest or (count == fewest and scale > best):
                best, fewest = scale, count
    return Comparison(tuple((column, weight * best) for column, weight in one.terms), one.threshold * best)


def _guard(rule: _Rule) -> Guard:
    comparisons = []
    for form, (low, high) in rule.region.items():
        if low > -math.inf:
            comparisons.append(Comparison(form, low))
        if high < math.inf:
            comparisons.append(Comparison(tuple((column, -weight) for column, weight in form), -high))
    return Guard(tuple(comparisons), rule.action)


def _settled(rules: list[_Rule]) -> list[_Rule]:
    """The rules with every exact step taken; the last one holds always."""
    while True:
        found = _joined(_without_idle(_reached(rules)))
        if found == rules:
            return found
        rules = found


def _reached(rules: list[_Rule]) -> list[_Rule]:
    """The rules that some value reaches, up to one that always holds, without the bounds that those before keep."""
    kept: list[_Rule] = []
    for rule in rules:
        if _is_dead(rule.region, kept):
            continue
        region = {form: _without_kept(interval, _caught(form, kept)) for form, interval in rule.region.items()}
        rule = _Rule({form: interval for form, interval in region.items() if interval != _WHOLE}, rule.action)
        kept.append(rule)
        if not rule.region:
            break
    return kept


def _is_dead(region: Region, before: Sequence[_Rule]) -> bool:
    """True where no value meets it, or every one is caught before."""
    caught = {form: _caught(form, before) for form in region}
    if any(low >= high or _is_covered((low, high), caught[form]) for form, (low, high) in region.items()):
        return True
    return any(
        rule.region.keys() <= region.keys()
        and all(_is_covered(region[form], _union([*caught[form], own])) for form, own in rule.region.items())
        for rule in before
    )


def _caught(form: Form, before: Iterable[_Rule]) -> list[Interval]:
    """The values of a sum that always fire a rule before: those of rules that ask this sum alone."""
    return _union(rule.region[form] for rule in before if rule.region.keys() == {form})


def _union(intervals: Iterable[Interval]) -> list[Interval]:
    """The intervals joined where they overlap; two that only meet leave out the value between them."""
    out: list[Interval] = []
    for low, high in sorted(intervals):
        if out and low < out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], high)
        else:
            out.append((low, high))
    return out


def _is_covered(interval: Interval, union: Sequence[Interval]) -> bool:
    return any(_holds(whole, interval) for whole in union)


def _holds(whole: Interval, part: Interval) -> bool:
    return whole[0] <= part[0] and part[1] <= whole[1]


def _without_kept(interval: Interval, caught: Sequence[Interval]) -> Interval:
    """The interval opened on each side where all beyond its end, and the end, is caught before."""
    low, high = interval
    if any(a == -math.inf and b > low for a, b in caught):
        low = -math.inf
    if any(a < high and b == math.inf for a, b in caught):
        high = math.inf
    return low, high


def _without_idle(rules: list[_Rule]) -> list[_Rule]:
    """The rules without those whose rows would get the same action from what follows."""
    kept = rules[-1:]
    for rule in reversed(rules[:-1]):
        if not _is_idle(rule, kept):
            kept.insert(0, rule)
    return kept


def _is_idle(rule: _Rule, after: Iterable[_Rule]) -> bool:
    for later in after:
        if later.action == rule.action:
            if all(form in rule.region and _holds(own, rule.region[form]) for form, own in later.region.items()):
                return True
        elif not _is_apart(rule.region, later.region):
            return False
    return False


def _is_apart(one: Region, other: Region) -> bool:
    return any(_meet(one[form], other[form]) is None for form in one.keys() & other.keys())


def _meet(one: Interval, other: Interval) -> Interval | None:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low < high else None


def _joined(rules: list[_Rule]) -> list[_Rule]:
    """Neighbours of one action that differ in one sum, where their intervals overlap, as one."""
    out: list[_Rule] = []
    for rule in rules:
        both = _both(out[-1], rule) if out and out[-1].action == rule.action else None
        if both is None:
            out.append(rule)
        else:
            out[-1] = both
        if not out[-1].region:
            break
    return out


def _both(one: _Rule, other: _Rule) -> _Rule | None:
    if one.region.keys() != other.region.keys():
        return None
    differing = [form for form in one.region if one.region[form] != other.region[form]]
    if len(differing) != 1:
        return None
    form = differing[0]
    if _meet(one.region[form], other.region[form]) is None:
        return None
    (whole,) = _union([one.region[form], other.region[form]])
    region = {**one.region, form: whole}
    return _Rule({key: interval for key, interval in region.items() if interval != _WHOLE}, one.action)


def _needed(policy: ProgramPolicy, rules: list[_Rule], rows: np.ndarray) -> list[_Rule]:
    """The rules without those, and without those bounds, that change no action on the rows."""
    wanted = policy.act(rows)

    def is_same(tried: list[_Rule]) -> bool:
        *first, last = tried
        program = replace(policy, guards=tuple(map(_guard, first)), otherwise=last.action)
        return bool(np.array_equal(program.act(rows), wanted))

    changed = True
    while changed:
        tried = next((fewer for fewer in _fewer(rules) if is_same(fewer)), None)
        changed = tried is not None
        rules = rules if tried is None else tried
    return rules


def _fewer(rules: list[_Rule]) -> Iterator[list[_Rule]]:
    """The rules with one rule less, from the last, then with one bound less, up to a rule that always holds."""
    for i in range(len(rules) - 2, -1, -1):
        yield [*rules[:i], *rules[i + 1 :]]
    for i in range(len(rules) - 2, -1, -1):
        for form, (low, high) in rules[i].region.items():
            wider = [interval for interval in ((-math.inf, high), (low, math.inf)) if interval != (low, high)]
            for interval in wider:
                region = {**rules[i].region, form: interval}
                region = {key: own for key, own in region.items() if own != _WHOLE}
                rule = _Rule(region, rules[i].action)
                yield [*rules[:i], rule, *rules[i + 1 :]] if region else [*rules[:i], rule]


@dataclass(frozen=True)
class _Known:
    """What a path says of a sum: from `low` to `high`, an end itself included or not."""

    low: float = -math.inf
    low_included: bool = False
    high: float = math.inf
    high_included: bool = False

    def settles(self, one: Comparison) -> bool | None:
        """Whether the comparison holds, or None where both may be."""
        if one.is_above:
            if self.low > one.bound or (self.low == one.bound and not self.low_included):
                return True
            return False if self.high <= one.bound else None
        if self.high < one.bound or (self.high == one.bound and not self.high_included):
            return True
        return False if self.low >= one.bound else None

    def after(self, one: Comparison, held: bool) -> _Known:
        """What is known once the comparison, not settled before, is answered."""
        if one.is_above == held:
            return replace(self, low=one.bound, low_included=not held)
        return replace(self, high=one.bound, high_included=not held)


def simplified_tree(policy: PolicyTree, rows: Any = None) -> PolicyTree:
    """The tree without branches that are settled above them, or whose sides are equal, or on the rows one-sided."""
    root = _shorter(policy.root, {}, None)
    if rows is not None:
        policy.act(rows)
        root = _shorter(root, {}, _some(policy._checked(rows)))
    return replace(policy, root=root)


def _shorter(node: Subtree, known: dict[Form, _Known], rows: np.ndarray | None) -> Subtree:
    if not isinstance(node, Branch):
        return node
    one = _scaled(node.comparison)
    here = known.get(one.form, _Known())
    held = here.settles(one)
    met = None if rows is None else one.holds(rows)
    if held is None and met is not None and met.all() == met.any():
        held = bool(met.all())
    if held is not None:
        return _shorter(node.then if held else node.otherwise, known, rows)
    sides = []
    for answer, side in ((True, node.then), (False, node.otherwise)):
        below = None if rows is None or met is None else rows[met == answer]
        sides.append(_shorter(side, {**known, one.form: here.after(one, answer)}, below))
    return sides[0] if sides[0] == sides[1] else Branch(one, *sides)
