"""Planted worlds: rows whose rule is known, so that what a method finds can be held against what is there."""

from __future__ import annotations

from limbeck.simulate._worlds import World, planted_formula, planted_mixed, planted_tree

__all__ = ["World", "planted_formula", "planted_mixed", "planted_tree"]
