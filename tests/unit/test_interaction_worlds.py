"""Interaction worlds: the network is the rule, and the groups are those that work together."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError
from limbeck.simulate import (
    WORDS,
    InteractionWorld,
    interaction_network,
    planted_formula,
    planted_interactions,
    planted_negation,
    planted_patches,
)

WORLDS = {
    "threshold": lambda seed: planted_interactions(30, 7, random_state=seed),
    "minimum": lambda seed: planted_interactions(30, 7, form="minimum", random_state=seed),
    "shared column": lambda seed: planted_interactions(30, 6, pairs=[(0, 1), (1, 3)], random_state=seed),
    "patches": lambda seed: planted_patches(20, random_state=seed),
    "patches, minimum": lambda seed: planted_patches(20, form="minimum", random_state=seed),
    "negation": lambda seed: planted_negation(30, random_state=seed),
}


def answers(world: InteractionWorld, rows: Any) -> np.ndarray:
    kind = torch.long if world.kind == "text" else torch.float32
    with torch.no_grad():
        return interaction_network(world)(torch.as_tensor(np.asarray(rows)).to(kind))[:, 0].double().numpy()


def away(world: InteractionWorld, *units: int) -> np.ndarray:
    """The rule's answers where these units are at the baseline."""
    mask = np.any(world.units[list(units)], axis=0)
    return world.function(np.where(mask, np.array(world.baseline).astype(world.X.dtype), world.X))


@pytest.mark.parametrize("name", WORLDS)
def test_the_network_is_the_rule_also_outside_the_data(name: str) -> None:
    world = WORLDS[name](0)
    assert np.array_equal(world.function(world.X), world.y)
    assert np.allclose(answers(world, world.X), world.y, atol=1e-5)
    generator = np.random.default_rng(1)
    if world.kind == "text":
        other: np.ndarray = generator.integers(len(WORDS), size=(200, world.X.shape[1]))
    else:
        other = generator.normal(scale=2, size=(200, *world.X.shape[1:]))
    assert np.allclose(answers(world, other), world.function(other), atol=1e-4)


@pytest.mark.parametrize("name", WORLDS)
def test_the_groups_are_the_pairs_that_do_not_add_up(name: str) -> None:
    world = WORLDS[name](2)
    found: list[set[Any]] = [set() for _ in world.X]
    for i, j in itertools.combinations(range(len(world.units)), 2):
        together = world.y - away(world, i) - away(world, j) + away(world, i, j)
        for row in np.flatnonzero(np.abs(together) > 1e-9):
            found[row].add((i, j))
    assert [set(groups) for groups in world.groups] == found
    assert any(world.groups)


@pytest.mark.parametrize("name", WORLDS)
def test_the_units_that_are_used_are_those_that_change_the_answer(name: str) -> None:
    world = WORLDS[name](3)
    changed = [bool(np.abs(world.y - away(world, unit)).max() > 1e-9) for unit in range(len(world.units))]
    if world.kind == "text":
        assert all(changed)
        assert set(world.used) == set(WORDS[1:6])
    else:
        stem = "x" if world.kind == "table" else "tile"
        assert {f"{stem}{unit}" for unit in np.flatnonzero(changed)} == set(world.used)
        assert not all(changed)


@pytest.mark.parametrize("name", WORLDS)
def test_one_seed_gives_one_world(name: str) -> None:
    one, same, other = WORLDS[name](1), WORLDS[name](1), WORLDS[name](4)
    assert np.array_equal(one.X, same.X)
    assert (one.truth, one.groups) == (same.truth, same.groups)
    assert not np.array_equal(one.X, other.X)


def test_the_written_rule_is_the_rule() -> None:
    for form in ("threshold", "minimum"):
        world = planted_interactions(20, 7, form=form, random_state=5)  # type: ignore[arg-type]
        total = np.zeros(20)
        columns = {f"x{c}": world.X[:, c] for c in range(7)}
        for term in world.truth.split(" + ") if form == "minimum" else world.truth.replace(" + x", "&x").split(" + "):
            strength, what = term.split("*", 1)
            names = re.findall(r"\w+", what)
            inside = [columns[word] for word in names if word in columns]
            if what.startswith("max"):
                total += float(strength) * np.maximum(inside[0] + inside[1] - 1, 0)
            elif what.startswith("min"):
                total += float(strength) * np.minimum(*inside)
            else:
                total += float(strength) * inside[0]
        assert np.allclose(total, world.y)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: planted_interactions(0), "n must be a whole number >= 1; got 0"),
        (lambda: planted_interactions(5, 4), "columns need d of at least 6; got d=4"),
        (lambda: planted_interactions(5, 3), "2 disjoint pairs need at least 4 columns; got d=3"),
        (lambda: planted_interactions(5, 6, pairs=[(0, 0)]), "pairs of different columns from 0 to 5"),
        (lambda: planted_interactions(5, 6, pairs=[(0, 9)]), "pairs of different columns from 0 to 5"),
        (lambda: planted_interactions(5, 6, pairs=[]), "pairs must be a whole number >= 1, or pairs"),
        (lambda: planted_interactions(5, 6, pairs="ab"), "pairs must be a whole number >= 1, or pairs"),  # type: ignore[arg-type]
        (lambda: planted_interactions(5, 6, pairs=True), "pairs must be a whole number >= 1, or pairs"),
        (lambda: planted_interactions(5, 6, pairs=[(0, 1), (1, 0)]), "each pair may stand once"),
        (lambda: planted_interactions(5, form="or"), "form must be 'threshold' or 'minimum'; got 'or'"),  # type: ignore[arg-type]
        (lambda: planted_patches(5, form=1), "form must be 'threshold' or 'minimum'; got 1"),  # type: ignore[arg-type]
        (lambda: planted_negation(5, 2), "at least 3 words, so that some are plain; got length=2"),
        (lambda: interaction_network(planted_formula(5)), "an InteractionWorld .* is required; got World"),  # type: ignore[arg-type]
    ],
)
def test_worlds_that_can_not_be(make: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        make()
