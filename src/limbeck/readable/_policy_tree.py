"""A tree that acts: each branch one linear comparison, each leaf an action.

Source
------
Bastani2018 acts by such trees; here a branch may compare a sum of columns. Own frozen form.

Cost
----
Every row is asked every comparison; a sum that is asked twice is computed once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._program_acting import Acting, plain_action, read_changes, read_whole
from limbeck.readable._program_building import Conditions, built
from limbeck.readable._program_comparison import Comparison, read_comparison
from limbeck.readable._program_wording import Line, Style, Wording, action_text, lines_text
from limbeck.readable._readable import Built, Readable, read_head

__all__ = ["Branch", "PolicyTree", "Subtree"]

DEEPEST = 80
"""More conditions on one path are refused: nobody follows them, and languages don't nest them."""


@dataclass(frozen=True)
class Branch:
    """A comparison, and what follows where it holds and where it does not: a branch, or the position of an action."""

    comparison: Comparison
    then: Subtree
    otherwise: Subtree

    def __post_init__(self) -> None:
        """Refuse what is not a comparison; a whole number of any kind becomes an int."""
        if not isinstance(self.comparison, Comparison):
            raise InputError(f"a branch needs a Comparison; got {self.comparison!r:.120}")
        object.__setattr__(self, "then", plain_action(self.then))
        object.__setattr__(self, "otherwise", plain_action(self.otherwise))


Subtree: TypeAlias = Branch | int
"""A branch, or the position of an action."""


@dataclass(frozen=True)
class PolicyTree(Acting, Readable):
    """A tree of `Branch`, or one action.

    Attributes
    ----------
    schema : Schema
        The observation's columns, then one column for each of `changes` (see `policy_schema`).
    output_names : tuple of str
        The actions.
    root : Branch or int
        The first branch.
    changes : tuple of int
        The observation's columns whose last change, the difference to the step before, stands behind the observation.

    Examples
    --------
    >>> from limbeck.readable import policy_schema
    >>> close = Branch(Comparison(((2, 1.0),), 0.0), 1, 0)
    >>> tree = PolicyTree(
    ...     policy_schema(["x", "goal", "speed"]),
    ...     ("brake", "go"),
    ...     Branch(Comparison(((0, 1.0), (1, -1.0)), 0.0), 0, close),
    ... )
    >>> print(tree.text())
    if x > goal: brake
    else if speed > 0: go
    else: brake
    >>> tree.act([[2.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 1.0, -1.0]]).tolist()
    [0, 1, 0]
    """

    family: ClassVar[str] = "policy_tree"
    schema: Schema
    output_names: tuple[str, ...]
    root: Subtree
    changes: tuple[int, ...] = ()
    task: Literal["regression", "classification"] = field(default="classification", init=False)

    def __post_init__(self) -> None:
        """Refuse columns and actions that are not there, and a tree too deep to follow."""
        object.__setattr__(self, "root", plain_action(self.root))
        if self.depth > DEEPEST:
            raise InputError(f"a policy's tree has at most {DEEPEST} conditions on a path; got {self.depth}")
        self._check_policy(self.decisions)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """Every branch, each before those below it, those where it holds first."""
        found, stack = [], [self.root]
        while stack:
            node = stack.pop()
            if isinstance(node, Branch):
                found.append(node)
                stack += [node.otherwise, node.then]
        return tuple(found)

    @cached_property
    def decisions(self) -> tuple[int, ...]:
        """The action of each leaf, in the order in which they are read."""
        found, stack = [], [self.root]
        while stack:
            node = stack.pop()
            if isinstance(node, Branch):
                stack += [node.otherwise, node.then]
            else:
                found.append(node)
        return tuple(found)

    @property
    def n_leaves(self) -> int:
        """The number of leaves."""
        return len(self.decisions)

    @cached_property
    def depth(self) -> int:
        """The greatest number of comparisons on a path."""
        deepest, stack = 0, [(self.root, 0)]
        while stack:
            node, depth = stack.pop()
            deepest = max(deepest, depth)
            if isinstance(node, Branch):
                stack += [(node.then, depth + 1), (node.otherwise, depth + 1)]
        return deepest

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison, in the order in which they are read."""
        return tuple(branch.comparison for branch in self.branches)

    def _decide(self, held: np.ndarray) -> np.ndarray:
        count, n = held.shape
        place, each = np.zeros(n, dtype=np.int64), np.arange(n)
        for _ in range(self.depth):
            met = held[np.minimum(place, count - 1), each]
            place = self._children[place, met.astype(np.int64)]
        return place - count

    @cached_property
    def _children(self) -> np.ndarray:
        """Where each branch leads, not held and held: a branch by its position, the leaves after them, which stay."""
        count, leaf = len(self.branches), len(self.branches)
        children = np.tile(np.arange(count + self.n_leaves)[:, None], 2)
        branch, stack = 0, [(self.root, 0, 0)]
        while stack:
            node, parent, side = stack.pop()
            if isinstance(node, Branch):
                children[parent, side] = branch
                stack += [(node.otherwise, branch, 0), (node.then, branch, 1)]
                branch += 1
            else:
                children[parent, side] = leaf
                leaf += 1
        return children

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: 1 for the action taken and 0 for the others."""
        conditions = Conditions(self, symbols, inline=inline)

        def choose(value: Any, node: Subtree | None = None) -> sp.Expr:
            node = self.root if node is None else node
            if not isinstance(node, Branch):
                return value(node)
            pair = (choose(value, node.then), conditions.condition(node.comparison))
            return conditions.choice([pair], choose(value, node.otherwise))

        return built(conditions, choose, len(self.output_names))

    @property
    def complexity(self) -> int:
        """Per branch: if, and its comparison; each named sum once; per leaf its action."""
        return self._wording().symbols(self._groups()) + len(self.branches) + self.n_leaves

    def text(self) -> str:
        """The tree as indented conditions."""
        return lines_text(self.lines())

    def lines(self) -> tuple[Line, ...]:
        """The lines of `text`, each in pieces of text with the leaf that they are about, or None."""
        wording = self._wording()
        if not isinstance(self.root, Branch):
            return (((f"always {self._action(self.root)}", 0),),)
        named: list[Line] = [((wording.definition(form), None),) for form in wording.names]
        return (*named, *self._lines(self.root, 0, wording, iter(range(self.n_leaves))))

    def _lines(self, node: Branch, indent: int, wording: Wording, leaves: Iterator[int]) -> Iterator[Line]:
        pad, word = "    " * indent, "if"
        while True:
            head = f"{pad}{word} {wording.condition([node.comparison])}:"
            yield from self._side(head, node.then, indent, wording, leaves)
            if not isinstance(node.otherwise, Branch):
                yield from self._side(f"{pad}else:", node.otherwise, indent, wording, leaves)
                return
            node, word = node.otherwise, "else if"

    def _side(self, head: str, node: Subtree, indent: int, wording: Wording, leaves: Iterator[int]) -> Iterator[Line]:
        if isinstance(node, Branch):
            yield ((head, None),)
            yield from self._lines(node, indent + 1, wording, leaves)
        else:
            yield ((f"{head} ", None), (self._action(node), next(leaves)))

    def _action(self, action: int) -> str:
        return action_text(self.output_names[action])

    def _groups(self) -> list[list[Comparison]]:
        return [[branch.comparison] for branch in self.branches]

    def _wording(self) -> Wording:
        return Wording(self._groups(), Style.of_text(self.schema.names))

    def simplified(self, rows: Any = None) -> PolicyTree:
        """A tree that acts the same, without branches that are settled above them or end in one action.

        Parameters
        ----------
        rows : array, optional
            Rows ``(n, d)``: then sides that none of these rows takes are dropped as well. Without them the tree acts
            the same on every row.
        """
        from limbeck.readable._program_simplify import simplified_tree

        return simplified_tree(self, rows)

    def rounded(self, digits: int) -> PolicyTree:
        """The tree with every constant at so many significant digits; it may act differently."""
        if type(digits) is not int or not 1 <= digits <= 17:
            raise InputError(f"digits is a whole number from 1 to 17; got {digits!r:.40}")

        def shorter(node: Subtree) -> Subtree:
            if not isinstance(node, Branch):
                return node
            return Branch(node.comparison.rounded(digits), shorter(node.then), shorter(node.otherwise))

        return replace(self, root=shorter(self.root))

    def to_dict(self) -> dict[str, Any]:
        """The tree as JSON types, exactly: a branch as an object, a leaf as the position of its action."""
        return {**self._head(), "root": _written(self.root), "changes": list(self.changes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PolicyTree:
        """The tree that `to_dict` wrote."""
        schema, _, names = read_head(data)
        return cls(schema, names, _read(data.get("root")), read_changes(data))


def _written(node: Subtree) -> Any:
    if not isinstance(node, Branch):
        return node
    return {**node.comparison.to_dict(), "then": _written(node.then), "otherwise": _written(node.otherwise)}


def _read(data: Any, depth: int = 0) -> Subtree:
    if depth > DEEPEST:
        raise InputError(f"a stored tree has at most {DEEPEST} conditions on a path")
    if not isinstance(data, dict):
        return read_whole(data, "action")
    if "then" not in data or "otherwise" not in data:
        raise InputError(f"a stored branch needs then and otherwise; got {sorted(data)!r:.120}")
    sides = (_read(data[side], depth + 1) for side in ("then", "otherwise"))
    return Branch(read_comparison(data), *sides)
