"""A hierarchy of groups of units: what an agglomeration returns, and what a report draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.attribution._units import Units

__all__ = ["Hierarchy", "Node"]


@dataclass(frozen=True)
class Node:
    """A group of units.

    Parameters
    ----------
    units : tuple of int
        Numbers of its units, sorted.
    score : float
        The group's effect on the explained output.
    children : tuple of int
        The nodes it was put together from, which hold all its units between them; empty for a leaf.
    level : int
        The step it was found in, from 0.
    """

    units: tuple[int, ...]
    score: float
    children: tuple[int, ...]
    level: int


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Groups of units of one row, from single ones to all that were chosen.

    Parameters
    ----------
    units : Units
    nodes : tuple of Node
        Children stand before their parents; the last node holds every unit that was chosen.
    output : int
        The number of the explained output.
    alone : array ``(u,)``
        Each unit's own effect.
    total : float
        The effect of the whole row: what the output would be, less what no input brings (the bias).
    notes : tuple of str
        What a reader should know: a percentile that was lowered, steps that were left out.

    Raises
    ------
    InputError
        For nodes that stand before their children, or hold other units than these.

    Examples
    --------
    >>> from limbeck.attribution._units import words
    >>> nodes = (Node((0,), -0.5, (), 1), Node((1,), 2.0, (), 0), Node((0, 1), -1.0, (0, 1), 1))
    >>> found = Hierarchy(words(["not", "good"]), nodes, 0, np.array([-0.5, 2.0]), -1.0)
    >>> print(found.text())
    -1  not good
      -0.5  not
      +2  good
    >>> found.synergy(found.root)
    -2.5
    """

    units: Units
    nodes: tuple[Node, ...]
    output: int
    alone: np.ndarray
    total: float
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what is no hierarchy."""
        if not self.nodes or len(self.alone) != len(self.units):
            raise InputError(
                f"a hierarchy needs at least one node, and one score for each of {len(self.units)} units; got "
                f"{len(self.nodes)} nodes and {len(self.alone)} scores"
            )
        for i, node in enumerate(self.nodes):
            if any(not 0 <= child < i for child in node.children):
                raise InputError(f"node {i} must stand after its children; got {node!r:.120}")
            inside = sorted(unit for child in node.children for unit in self.nodes[child].units)
            if node.children and inside != sorted(node.units):
                raise InputError(f"the children of node {i} must hold its units, each once; got {node!r:.120}")
            if not node.units or not 0 <= min(node.units) <= max(node.units) < len(self.units):
                raise InputError(f"node {i} must hold units 0 to {len(self.units) - 1}; got {node.units!r:.120}")

    @property
    def root(self) -> Node:
        """The last group: every unit that was chosen."""
        return self.nodes[-1]

    @property
    def first(self) -> Node:
        """The group of several units that was put together first; the strongest of them where there are several.

        The root where no group has several units.
        """
        several = [node for node in self.nodes if len(node.units) > 1]
        return min(several, key=lambda node: (node.level, -abs(node.score)), default=self.root)

    def mask(self, node: Node) -> np.ndarray:
        """Where the units of a node are: a boolean array of the shape of one row."""
        return self.units.mask(node.units)

    def synergy(self, node: Node) -> float:
        """What a group does beyond the groups it was put together from: its score less theirs; 0 for a leaf."""
        return node.score - sum(self.nodes[child].score for child in node.children) if node.children else 0.0

    def text(self, *, most: int = 12) -> str:
        """The hierarchy as lines, the root first, each group under the one it went into; `most` names in a line."""
        lines: list[str] = []
        waiting = [(len(self.nodes) - 1, 0)]
        while waiting:
            number, depth = waiting.pop()
            node = self.nodes[number]
            named = [self.units.names[unit] for unit in node.units[:most]]
            more = f" and {len(node.units) - most} more" if len(node.units) > most else ""
            lines.append(f"{'  ' * depth}{node.score:+.3g}  {' '.join(named)}{more}")
            waiting += [(child, depth + 1) for child in reversed(node.children)]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Numbers and text only, as an explanation is written down."""
        return {
            "kind": self.units.kind,
            "output": int(self.output),
            "total": float(self.total),
            "units": [
                {"name": name, "positions": list(positions)}
                for name, positions in zip(self.units.names, self.units.positions, strict=True)
            ],
            "alone": [float(value) for value in self.alone],
            "nodes": [
                {
                    "units": list(node.units),
                    "score": float(node.score),
                    "children": list(node.children),
                    "level": int(node.level),
                }
                for node in self.nodes
            ],
            "notes": list(self.notes),
        }
