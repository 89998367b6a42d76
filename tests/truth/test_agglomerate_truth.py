"""Planted interactions: the group that works together is found first; networks without it do not show it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from limbeck.attribution import agglomerate
from limbeck.attribution._hierarchy import Hierarchy
from limbeck.attribution._interactions import interactions
from limbeck.attribution._units import columns, tiles, windows, words

nn = torch.nn
D = 8


def both(first: np.ndarray, second: np.ndarray, plain: np.ndarray, strength: float) -> nn.Sequential:
    """A network for ``plain . x + strength * 2 * min(first . x, second . x)``, for sums that are not negative.

    The minimum is made by signs: ``|a + b| - |a - b|``, four ReLU units; the plain part takes two more.
    """
    add, take = first + second, first - second
    net = nn.Sequential(nn.Linear(len(plain), 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(np.stack([add, -add, take, -take, plain, -plain]), dtype=torch.float32))
        net[2].weight.copy_(torch.tensor([[strength, strength, -strength, -strength, 1.0, -1.0]]))
    return net


def unit_vector(*places: int, d: int = D) -> np.ndarray:
    made = np.zeros(d)
    made[list(places)] = 1.0
    return made


def shuffled(net: nn.Sequential, seed: int) -> nn.Sequential:
    """The same network with each layer's weights in another order."""
    generator = torch.Generator().manual_seed(seed)
    made = nn.Sequential(nn.Linear(D, 6, bias=False), nn.ReLU(), nn.Linear(6, 1, bias=False))
    with torch.no_grad():
        for new, old in ((made[0], net[0]), (made[2], net[2])):
            flat = old.weight.flatten()
            new.weight.copy_(flat[torch.randperm(len(flat), generator=generator)].reshape(old.weight.shape))
    return made


PLAIN = np.array([0.5, -1.5, 0.1, 2.0, -0.3, 0.1, 1.0, 0.7])
ONES = np.ones(D, dtype=np.float32)


def test_the_planted_pair_has_the_only_interaction() -> None:
    net = both(unit_vector(2), unit_vector(5), PLAIN, 0.75)
    found = interactions(net, ONES, columns(D), order=3)
    assert found.sets[0] == (2, 5)
    assert found.values[0] == pytest.approx(1.5, rel=1e-5)
    assert np.abs(found.values[1:]).max() < 1e-5
    assert found.alone[3] == pytest.approx(2.0, rel=1e-5)
    additive = interactions(both(unit_vector(2), unit_vector(5), PLAIN, 0.0), ONES, columns(D))
    assert np.abs(additive.values).max() < 1e-5


def test_shuffled_weights_do_not_show_the_planted_pair() -> None:
    net = both(unit_vector(2), unit_vector(5), PLAIN, 0.75)
    first = [interactions(shuffled(net, seed), ONES, columns(D)).sets[0] for seed in range(12)]
    assert sum(pair == (2, 5) for pair in first) <= 2


def test_a_table_joins_the_planted_pair_first() -> None:
    found = agglomerate(both(unit_vector(2), unit_vector(5), PLAIN, 0.75), ONES, columns(D))
    assert found.first.units == (2, 5)
    assert found.synergy(found.first) == pytest.approx(1.5, rel=1e-5)
    assert found.root.units == tuple(range(D))
    assert found.notes == ("6 of the last joins are of groups without any interaction",)
    additive = agglomerate(both(unit_vector(2), unit_vector(5), PLAIN, 0.0), ONES, columns(D))
    assert max(abs(additive.synergy(node)) for node in additive.nodes) < 1e-5
    firsts = [agglomerate(shuffled(both(unit_vector(2), unit_vector(5), PLAIN, 0.75), s), ONES).first for s in range(6)]
    assert sum(node.units == (2, 5) for node in firsts) <= 1


def patches(strength: float) -> nn.Sequential:
    """A network for 6 x 6 images: tiles 3 and 4 of nine work together, tiles 3 and 8 also alone."""
    units = tiles((6, 6), 2)
    plain = 0.6 * units.masks[3] + 0.1 * units.masks[4] + 0.5 * units.masks[8]
    one, other = (units.masks[i].astype(float).ravel() for i in (3, 4))
    return nn.Sequential(nn.Flatten(), *both(one, other, plain.ravel(), strength))


def test_two_patches_of_an_image_are_joined_first() -> None:
    image, units = np.ones((6, 6), dtype=np.float32), tiles((6, 6), 2)
    found = agglomerate(patches(0.5), image, units)
    assert found.first.units == (3, 4)
    assert found.first.score == pytest.approx(4 * 0.7 + 4, rel=1e-5)
    assert interactions(patches(0.5), image, units).sets[0] == (3, 4)
    additive = agglomerate(patches(0.0), image, units)
    assert additive.first.units != (3, 4)
    assert found.root.units == (3, 4, 8), "tiles that do nothing are left out"


def test_patches_that_do_not_touch_are_joined_by_their_synergy() -> None:
    units = tiles((6, 6), 2)
    plain = sum(w * units.masks[i] for i, w in ((0, 0.6), (2, 0.5), (6, 0.7)))
    far = [units.masks[i].astype(float).ravel() for i in (0, 2)]
    net = nn.Sequential(nn.Flatten(), *both(*far, plain.ravel(), 0.5))
    found = agglomerate(net, np.ones((6, 6), dtype=np.float32), units)
    assert found.first.units == (0, 2)
    assert found.root.units == (0, 2, 6)


def sentiment(strength: float) -> nn.Sequential:
    """A word model: "good" is worth 1.5 alone, "not" nothing; together they are worth 1.5 - 2 * strength."""
    vocabulary = {"the": 0, "film": 1, "was": 2, "not": 3, "good": 4, "a": 5}
    embedding = nn.Embedding(len(vocabulary), 2)
    with torch.no_grad():
        embedding.weight.zero_()
        embedding.weight[vocabulary["good"], 0] = 1.0
        embedding.weight[vocabulary["not"], 1] = 1.0
        embedding.weight[vocabulary["film"], 0] = 0.1
    return nn.Sequential(
        embedding, _Sum(), *both(np.array([1.0, 0]), np.array([0, 1.0]), np.array([1.5, 0]), -strength)
    )


class _Sum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(dim=1)


def read(net: nn.Sequential, sentence: str, reach: int = 1) -> Hierarchy:
    tokens = sentence.split()
    ids = np.array([["the", "film", "was", "not", "good", "a"].index(token) for token in tokens])
    return agglomerate(net, ids, words(tokens, reach=reach))


def text(found: Hierarchy) -> list[str]:
    return [found.units.names[unit] for unit in found.first.units]


def test_not_good_is_one_group_and_bad() -> None:
    found = read(sentiment(1.5), "the film was not good")
    assert text(found) == ["not", "good"]
    assert found.alone[4] == pytest.approx(1.5, rel=1e-5)
    assert found.first.score == pytest.approx(-1.5, rel=1e-5)
    assert found.synergy(found.first) == pytest.approx(-3.0, rel=1e-5)
    additive = read(sentiment(0.0), "the film was not good")
    assert all({"not", "good"} - {additive.units.names[u] for u in node.units} for node in additive.nodes)


def test_words_that_are_not_side_by_side() -> None:
    assert text(read(sentiment(1.5), "not a good film", reach=2)) == ["not", "good"]
    assert text(read(sentiment(1.5), "not a good film", reach=1)) == ["good", "film"], "the control: neighbours only"


def test_windows_of_a_signal() -> None:
    units = windows((2, 12), 3)
    one, other = (units.masks[i].astype(float).ravel() for i in (1, 2))
    plain = 0.2 * one + 0.1 * other + 0.15 * units.masks[3].ravel()
    net = nn.Sequential(nn.Flatten(), *both(one, other, plain, 0.5))
    found = agglomerate(net, np.ones((2, 12), dtype=np.float32), units)
    assert found.first.units == (1, 2)
    assert [node.level for node in found.nodes] == sorted(node.level for node in found.nodes)
    sizes = [len(node.units) for node in found.nodes if len(node.units) > 1]
    assert all(a <= b for a, b in pairwise(sizes))


def test_an_and_by_a_threshold_shows_by_building_up_and_not_by_sharing_the_bias() -> None:
    net = nn.Sequential(nn.Linear(3, 1), nn.ReLU(), nn.Linear(1, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.0, 0.0]]))
        net[0].bias.fill_(-1.5)
        net[2].weight.fill_(1.0)
    built = interactions(net, np.ones(3, dtype=np.float32), columns(3), score="build_up")
    assert built.sets[0] == (0, 1)
    assert built.value(0, 1) == pytest.approx(0.5, rel=1e-5)
    shared = interactions(net, np.ones(3, dtype=np.float32), columns(3))
    assert shared.alone[:2] == pytest.approx([0.25, 0.25], rel=1e-5)
    assert np.abs(shared.values).max() < 1e-5
