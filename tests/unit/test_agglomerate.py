"""Units and their graphs, superpixels, the hierarchy, and agglomeration against a plain loop."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, label

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution import agglomerate
from limbeck.attribution._hierarchy import Hierarchy, Node
from limbeck.attribution._units import Units, columns, pixels, superpixels, tiles, windows, words

nn = torch.nn


# Units


@pytest.mark.parametrize("units", [pixels((4, 5)), pixels((3, 4, 5)), tiles((7, 5), 3), tiles((2, 6, 6), 2)])
def test_neighbours_of_an_image_touch(units: Units) -> None:
    flat = units.masks if units.masks.ndim == 3 else units.masks.any(axis=1)
    assert flat.any(axis=0).all()
    for i, j in itertools.permutations(range(len(units)), 2):
        touch = bool((binary_dilation(flat[i], np.ones((3, 3))) & flat[j]).any())
        assert (j in units.neighbours[i]) == touch
    assert sorted(p for place in units.positions for p in place) == list(range(flat[0].size))


def test_superpixels_are_one_piece_each_and_keep_to_a_planted_border() -> None:
    image = np.zeros((3, 20, 20))
    image[:, 4:13, 7:16] = [[[1.0]], [[0.5]], [[0.2]]]
    image += np.random.default_rng(0).normal(0, 0.02, image.shape)
    units = superpixels(image, 16)
    assert 12 <= len(units) <= 16
    inside = np.zeros((20, 20), dtype=bool)
    inside[4:13, 7:16] = True
    crossing = 0
    for mask in units.masks.any(axis=1):
        assert label(mask)[1] == 1
        crossing += min((mask & inside).sum(), (mask & ~inside).sum())
    assert crossing <= 4
    assert np.array_equal(units.masks, superpixels(torch.tensor(image), 16).masks)
    flat = superpixels(np.zeros((6, 6)), 4)
    assert 1 <= len(flat) <= 4
    assert flat.masks.any(axis=0).all()
    assert len(superpixels(np.ones((1, 2, 3)), 6)) == 6


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: pixels((4,)), "an image's shape is"),
        (lambda: pixels(5), "tuple of whole numbers"),
        (lambda: pixels((0, 4)), "at least 1"),
        (lambda: pixels((3, 224, 224)), "50176 units of a row of shape .* Take tiles"),
        (lambda: tiles((4, 4), 0), "size must be a whole number of at least 1; got 0"),
        (lambda: superpixels(np.full((4, 4), np.nan), 2), "holds NaN"),
        (lambda: superpixels(np.zeros((4, 4)), 17), "at most the 16 pixels"),
        (lambda: words("not good"), "Split it first"),
        (lambda: words([]), "at least one word"),
        (lambda: words(["a", "b"], length=1), "at least the number of words, 2; got 1"),
        (lambda: words(["a"], reach=0), "reach must be"),
        (lambda: windows((1, 2, 3), 1), "a signal's shape"),
        (lambda: windows(True, 1), "tuple of whole numbers"),
        (lambda: columns("age"), "not one string"),
        (lambda: columns([]), "at least one column"),
        (lambda: Units(("a",), np.ones((1, 2)), ((),), "table"), "boolean array"),
        (lambda: Units(("a",), np.zeros((1, 2), dtype=bool), ((),), "table"), "unit 0 holds none"),
        (lambda: Units(("a", "b"), np.ones((2, 2), dtype=bool), ((), ()), "table"), "units 0 and 1 both hold number 0"),
        (lambda: Units(("a", "b"), np.eye(2, dtype=bool), ((1,), ()), "table"), "hold from both sides; unit 0 has 1"),
        (lambda: Units(("a", "b"), np.eye(2, dtype=bool), ((),), "table"), "each of the 2 units; got 1"),
        (lambda: Units(("a",), np.eye(1, dtype=bool), ((),), "sound"), "kind must be one of image"),  # type: ignore[arg-type]
    ],
)
def test_units_that_are_refused(make: Callable[[], object], match: str) -> None:
    with pytest.raises(InputError, match=match):
        make()


# The hierarchy


def test_a_hierarchy_refuses_what_is_none() -> None:
    units, leaf = columns(2), Node((0,), 1.0, (), 0)
    for nodes, match in (
        ((), "at least one node"),
        ((Node((0,), 1.0, (0,), 0),), "stand after its children"),
        ((leaf, Node((0, 1), 1.0, (0,), 1)), "must hold its units, each once"),
        ((leaf, Node((2,), 1.0, (), 1)), "units 0 to 1"),
    ):
        with pytest.raises(InputError, match=match):
            Hierarchy(units, nodes, 0, np.zeros(2), 0.0)


def test_a_hierarchy_as_a_document_and_hostile_names() -> None:
    found = agglomerate(None, np.zeros(3), columns(["<script>", "a\nb", ""]), score=lambda m: m @ [1.0, 2.0, 3.0])
    document = json.loads(json.dumps(found.to_dict()))
    assert [unit["name"] for unit in document["units"]] == ["<script>", "a\nb", ""]
    assert document["nodes"][-1]["units"] == [0, 1, 2]
    assert document["alone"] == [1.0, 2.0, 3.0]
    assert found.mask(found.nodes[0]).tolist() == [True, False, False]
    assert document["total"] == 6.0


# Agglomeration


def plain_loop(units: Units, score: Callable[[np.ndarray], np.ndarray], percentile: float, levels: int, signed: bool):
    """The method one group at a time, with sets: the groups that are found, and their scores."""

    def worth(group: frozenset[int]) -> float:
        return float(score(units.mask(sorted(group))[None])[0] - score(np.zeros((1, *units.row_shape), dtype=bool))[0])

    def count(value: float) -> float:
        return value if signed else abs(value)

    def connected(chosen: set[int]) -> list[frozenset[int]]:
        parts = []
        while chosen:
            part, waiting = set(), {min(chosen)}
            while waiting:
                unit = waiting.pop()
                part.add(unit)
                waiting |= (set(units.neighbours[unit]) & chosen) - part
            chosen = chosen - part
            parts.append(frozenset(part))
        return parts

    found: dict[frozenset[int], float] = {}
    chosen: set[int] = set()
    for _ in range(levels):
        groups = connected(set(chosen))
        strength = {}
        for unit in set(range(len(units))) - chosen:
            touched = [g for g in groups if g & set(units.neighbours[unit])]
            values = [count(worth(g | {unit}) - worth(g)) for g in touched] or [count(worth(frozenset({unit})))]
            strength[unit] = max(values)
        if not strength or max(strength.values()) <= 0:
            break
        lowered = percentile - 15 if len(chosen) > len(units) / 3 and units.kind != "text" else percentile
        cut = min(np.percentile(list(strength.values()), lowered), max(strength.values()))
        new = {unit for unit, value in strength.items() if value > 0 and value >= cut}
        found.update({frozenset({unit}): worth(frozenset({unit})) for unit in new})
        chosen |= new
        found.update({group: worth(group) for group in connected(set(chosen))})
    groups = connected(set(chosen))
    while len(groups) > 1:
        pairs = sorted(itertools.combinations(sorted(groups, key=sorted), 2), key=lambda p: [sorted(g) for g in p])
        one, other = max(pairs, key=lambda p: count(worth(p[0] | p[1]) - worth(p[0]) - worth(p[1])))
        groups = [g for g in groups if g not in (one, other)] + [one | other]
        found[one | other] = worth(one | other)
    return found


def random_score(d: int, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    one, two = rng.normal(size=d), rng.normal(size=(d, d))

    def score(masks: np.ndarray) -> np.ndarray:
        flat = masks.reshape(len(masks), -1).astype(float)
        return np.asarray(1.0 + flat @ one + np.tanh(flat @ two).sum(axis=1))

    return score


@pytest.mark.parametrize(
    ("units", "levels", "signed"),
    [
        (pixels((5, 5)), 4, True),
        (pixels((5, 5)), 4, False),
        (words(list("abcdefg")), 7, False),
        (words(list("abcdefg"), reach=2), 7, False),
        (windows(12, 2), 3, False),
    ],
)
def test_against_a_plain_loop(units: Units, levels: int, signed: bool) -> None:
    for seed in range(3):
        score = random_score(int(np.prod(units.row_shape)), seed)
        found = agglomerate(None, np.zeros(units.row_shape), units, score=score, absolute=not signed, max_levels=levels)
        wanted = plain_loop(units, score, 99.5 if units.kind == "text" else 95.0, levels, signed)
        assert {frozenset(node.units) for node in found.nodes} == set(wanted)
        for node in found.nodes:
            assert node.score == pytest.approx(wanted[frozenset(node.units)], abs=1e-9)


def test_one_call_a_level() -> None:
    calls: list[int] = []

    def score(masks: np.ndarray) -> np.ndarray:
        calls.append(len(masks))
        return random_score(25, 0)(masks)

    found = agglomerate(None, np.zeros((5, 5)), pixels((5, 5)), score=score, max_levels=4)
    levels = max(node.level for node in found.nodes) + 1
    assert calls[:3] == [2, 2, 25]
    assert len(calls) <= 3 + 2 * 4 + levels
    calls.clear()
    agglomerate(None, np.zeros(6), columns(6), score=lambda m: (calls.append(len(m)), m @ np.arange(6.0))[1])
    assert calls == [2, 2, 6, 15, 4, 3, 2, 1], "pairs of columns once, then only those with the new group"


def test_units_that_do_nothing_are_left_out() -> None:
    found = agglomerate(None, np.zeros((4, 4)), pixels((4, 4)), score=lambda m: 3.0 * m[:, 0, 0] + m[:, 3, 3])
    assert found.root.units == (0, 15)
    assert found.alone.tolist().count(0.0) == 14


def test_a_score_of_nothing_at_all_is_one_line() -> None:
    found = agglomerate(None, np.zeros(4), columns(4), score=lambda m: np.zeros(len(m)))
    assert found.root.units == (0, 1, 2, 3)
    with pytest.raises(InputError, match="no unit has any effect on output 0"):
        agglomerate(None, np.zeros((3, 3)), pixels((3, 3)), score=lambda m: np.ones(len(m)))
    with pytest.raises(InputError, match="speaks for output 0; absolute=True"):
        agglomerate(None, np.zeros((3, 3)), pixels((3, 3)), score=lambda m: -m.sum(axis=(1, 2)).astype(float))


def test_one_unit_and_one_word() -> None:
    assert agglomerate(None, np.zeros(1), words(["fine"]), score=lambda m: m[:, 0] * 2.0).root == Node((0,), 2.0, (), 0)
    assert agglomerate(None, np.zeros(2), columns(2), score=lambda m: m @ [1.0, 1.0]).root.units == (0, 1)


def test_many_columns_are_said_to_be_left_out() -> None:
    worth = np.arange(100.0)
    found = agglomerate(None, np.zeros(100), columns(100), score=lambda m: m @ worth, percentile=None)
    assert found.root.units == tuple(range(36, 100))
    assert found.notes[0] == "of 100 units the 64 with the largest effects alone were grouped"
    few = agglomerate(None, np.zeros(100), columns(100), score=lambda m: m @ worth, percentile=95)
    assert few.root.units == (95, 96, 97, 98, 99)


def test_units_by_the_shape_of_the_row() -> None:
    def total(masks: np.ndarray) -> np.ndarray:
        return masks.reshape(len(masks), -1).sum(axis=1) * 1.0

    assert agglomerate(None, torch.tensor([3, 1, 2]), score=total).units.names == ("3", "1", "2")
    assert agglomerate(None, np.zeros(3), score=total).units.kind == "table"
    assert len(agglomerate(None, np.zeros((1, 1, 4, 4)), score=total).units) == 16
    assert len(agglomerate(None, np.zeros((3, 60, 60)), score=total).units) == 225
    with pytest.raises(InputError, match="it may be an image or a signal"):
        agglomerate(None, np.zeros((4, 4)), score=total)


def small() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(108, 4))


def test_a_network_is_left_as_it_was_and_the_predicted_output_is_explained() -> None:
    net, image = small().train(), np.random.default_rng(0).random((1, 6, 6)).astype(np.float32)
    before, state = {k: v.clone() for k, v in net.state_dict().items()}, torch.get_rng_state()
    found = agglomerate(net, image)
    with torch.no_grad():
        assert found.output == int(net(torch.from_numpy(image)[None]).argmax())
    assert net.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    again = agglomerate(net, torch.from_numpy(image)[None], output=found.output)
    assert again.nodes == found.nodes
    assert agglomerate(net, image, output=(found.output + 1) % 4).nodes != found.nodes
    double = agglomerate(net.double(), image)
    assert double.root.score == pytest.approx(found.root.score, rel=1e-4)


def test_progress_is_told() -> None:
    seen: list[tuple[str, int, int]] = []
    agglomerate(None, np.zeros(4), words(list("abcd")), score=random_score(4, 0), progress=lambda *a: seen.append(a))
    assert ("choosing units", 1, 4) in seen
    seen.clear()
    agglomerate(None, np.zeros(4), columns(4), score=random_score(4, 0), progress=lambda *a: seen.append(a))
    assert seen[-1] == ("joining groups", 3, 3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"units": "pixels"}, "units must be Units.*got str"),
        ({"percentile": 101}, "percentile must be a number from 0 to 100"),
        ({"percentile": "high"}, "percentile must be a number"),
        ({"percentile": np.nan}, "percentile must be a number"),
        ({"max_levels": 0}, "max_levels must be a whole number"),
        ({"output": 4}, "from 0 to 3"),
        ({"rule": "fair"}, "rule must be one of"),
        ({"units": tiles((1, 4, 4), 2)}, "one row of numbers of shape \\(1, 4, 4\\), as its units are"),
        ({"x": np.full((1, 6, 6), np.inf)}, "36 of its numbers are NaN or infinite"),
        ({"x": np.zeros((2, 1, 6, 6))}, "units are required"),
        ({"model": lambda x: x}, "model must be a torch.nn.Module; got function"),
    ],
)
def test_what_is_refused(change: dict, match: str) -> None:
    given = {"model": small(), "x": np.ones((1, 6, 6), dtype=np.float32), "units": None, **change}
    with pytest.raises(InputError, match=match):
        agglomerate(given.pop("model"), given.pop("x"), given.pop("units"), **given)


def test_an_operation_without_a_rule_is_refused_by_its_name_and_nan_too() -> None:
    with pytest.raises(InputError, match="lp_pool"):
        agglomerate(nn.Sequential(nn.LPPool2d(2, 2), nn.Flatten(), nn.Linear(9, 2)), np.ones((1, 6, 6)))
    net = small()
    with torch.no_grad():
        net[3].weight.fill_(torch.nan)
    with pytest.raises(TeacherError, match="NaN"):
        agglomerate(net, np.ones((1, 6, 6), dtype=np.float32))
