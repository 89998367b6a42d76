"""Planted worlds: rows whose rule is known, so that what a method finds can be held against what is there."""

from __future__ import annotations

from limbeck.simulate._interaction_network import interaction_network
from limbeck.simulate._interaction_worlds import (
    WORDS,
    InteractionWorld,
    planted_interactions,
    planted_negation,
    planted_patches,
)
from limbeck.simulate._worlds import World, planted_formula, planted_mixed, planted_tree

__all__ = [
    "WORDS",
    "InteractionWorld",
    "World",
    "interaction_network",
    "planted_formula",
    "planted_interactions",
    "planted_mixed",
    "planted_negation",
    "planted_patches",
    "planted_tree",
]
