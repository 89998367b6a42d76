"""Interactions of groups: the Moebius transform, the table, one batched call, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution._interactions import interactions, moebius
from limbeck.attribution._units import columns

ROW = np.zeros(4)


def product(masks: np.ndarray) -> np.ndarray:
    """0.5 for nothing, 2 for column 0, 7 more for columns 0, 1 and 2 together."""
    return 0.5 + 2.0 * masks[:, 0] + 7.0 * masks[:, :3].all(axis=1)


def test_a_planted_triple_is_the_only_interaction() -> None:
    found = interactions(None, ROW, columns(["a", "b", "c", "d"]), order=4, score=product)
    assert found.sets[0] == (0, 1, 2)
    assert found.value("c", "a", 1) == pytest.approx(7.0)
    assert np.abs(found.values[1:]).max() < 1e-12
    assert found.alone.tolist() == [2.0, 0.0, 0.0, 0.0], "counted from the empty group, not from zero"
    assert found.total == pytest.approx(9.0)
    assert len(found.sets) == 6 + 4 + 1


@given(st.lists(st.floats(-10, 10), min_size=16, max_size=16))
@settings(max_examples=20, deadline=None)
def test_interactions_of_all_orders_add_up_to_the_union(worth: list[float]) -> None:
    table = np.array(worth)

    def score(masks: np.ndarray) -> np.ndarray:
        return table[masks @ [1, 2, 4, 8]]

    found = interactions(None, ROW, columns(4), order=4, score=score)
    assert found.alone.sum() + found.values.sum() == pytest.approx(table[15] - table[0], abs=1e-9)
    pair = table[3] - table[1] - table[2] + table[0]
    assert found.value(0, 1) == pytest.approx(pair, abs=1e-9)


def test_moebius_against_signs_written_out() -> None:
    sets = [s for k in (1, 2, 3) for s in itertools.combinations(range(3), k)]
    effects = np.random.default_rng(0).normal(size=len(sets))
    v = dict(zip(sets, effects, strict=True))
    triple = v[0, 1, 2] - v[0, 1] - v[0, 2] - v[1, 2] + v[0,] + v[1,] + v[2,]
    assert moebius(sets, effects)[-1] == pytest.approx(triple)


def test_all_sets_are_scored_in_one_call() -> None:
    calls: list[int] = []

    def score(masks: np.ndarray) -> np.ndarray:
        calls.append(len(masks))
        return product(masks)

    interactions(None, ROW, columns(4), order=3, score=score)
    assert calls == [2, 2, 4 + 6 + 4]


def test_the_table_is_strongest_first_and_names_are_only_text() -> None:
    names = ["<b>x</b>", "'; drop", "c", "c"]
    found = interactions(
        None, ROW, columns(names), order=3, score=lambda m: m[:, 0] * m[:, 1] * -3.0 + m[:, 2] * m[:, 3]
    )
    table = found.table()
    assert list(table.columns) == ["group a", "group b", "group c", "value", "a alone", "b alone", "c alone"]
    assert table.iloc[0, :4].tolist() == ["<b>x</b>", "'; drop", "", -3.0]
    assert np.isnan(table.loc[0, "c alone"])
    assert found.to_list(1) == [{"a": [0], "b": [1], "value": -3.0}]
    with pytest.raises(InputError, match="stands for 2"):
        found.value("c", 0)
    with pytest.raises(InputError, match="was not asked for"):
        found.value(0, 1, 2, 3)


def test_masks_as_tensors_and_as_a_mapping() -> None:
    masks = [torch.tensor([True, False, False, False]), torch.tensor([False, True, True, False])]
    found = interactions(None, ROW, masks, score=product)
    assert found.names == ("group 0", "group 1")
    assert found.value(0, 1) == pytest.approx(7.0)
    named = interactions(None, ROW[None], {"one": masks[0], "rest": masks[1]}, score=product)
    assert named.value("one", "rest") == pytest.approx(7.0)


GOOD = {"a": [True, False, False, False], "b": [False, True, False, False]}


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ({"a": [True, False, False, False]}, "at least two groups; got 1"),
        ({**GOOD, "c": [True, False, True, False]}, "'a' and 'c' both hold position \\(0,\\)"),
        ({**GOOD, "c": [False] * 4}, "'c' is bool of shape \\(4,\\) with 0 chosen"),
        ({**GOOD, "c": [0, 0, 1, 0]}, "'c' is int"),
        ({**GOOD, "c": [True, False]}, "'c' is bool of shape \\(2,\\)"),
        ("ab", "groups must be Units, names with masks, or masks; got str"),
        (3, "got int"),
    ],
)
def test_groups_that_are_refused(groups: object, match: str) -> None:
    with pytest.raises(InputError, match=match):
        interactions(None, ROW, groups, score=product)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, 5, True, 2.5])
def test_orders_that_are_refused(order: object) -> None:
    with pytest.raises(InputError, match="order must be"):
        interactions(None, ROW, columns(4), order=order, score=product)  # type: ignore[arg-type]


def test_too_many_sets_are_refused() -> None:
    with pytest.raises(InputError, match="4,087,975 sets of at most 4"):
        interactions(None, np.zeros(100), columns(100), order=4, score=product)


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (np.zeros((3, 4)), "one row of numbers of shape \\(4,\\).*Pass one row, x\\[i\\], at a time"),
        (np.array([0, np.nan, 1, np.inf]), "x must be finite; 2 of its numbers"),
        (np.array(["a", "b", "c", "d"]), "one row of numbers"),
        (np.zeros(0), "one row of numbers"),
    ],
)
def test_rows_that_are_refused(row: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        interactions(None, row, columns(4), score=product)


def test_scores_that_are_refused() -> None:
    noise = np.random.default_rng(0)
    with pytest.raises(TeacherError, match="it is random"):
        interactions(None, ROW, columns(4), score=lambda m: noise.normal(size=len(m)))
    with pytest.raises(TeacherError, match="raised ZeroDivisionError on masks of shape \\(2, 4\\)"):
        interactions(None, ROW, columns(4), score=lambda m: 1 / 0)
    with pytest.raises(TeacherError, match="2 of 2 are NaN"):
        interactions(None, ROW, columns(4), score=lambda m: np.full(len(m), np.nan))
    with pytest.raises(TeacherError, match="2 masks with 2 numbers; got float64 of shape \\(2, 1\\)"):
        interactions(None, ROW, columns(4), score=lambda m: np.zeros((len(m), 1)))
    with pytest.raises(InputError, match="score must be 'contextual_decomposition', 'build_up', or a function"):
        interactions(None, ROW, columns(4), score="shapley")
    with pytest.raises(InputError, match=r"model must be a torch.nn.Module; got NoneType"):
        interactions(None, ROW, columns(4))


class _Model(torch.nn.Module):
    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault, self.layer = fault, torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layer(x)
        faults = {
            "raises": lambda: 1 / 0,
            "nan": lambda: out * torch.nan,
            "random": lambda: out + torch.rand_like(out),
            "wide": lambda: out[:, :, None],
            "none": lambda: None,
        }
        return faults[self.fault]() if self.fault else out


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("raises", "_Model raised ZeroDivisionError"),
        ("nan", "are NaN or infinite"),
        ("random", "it is random"),
        ("wide", "must answer 1 rows .* got \\(1, 2, 1\\)"),
        ("none", "got NoneType"),
    ],
)
def test_models_that_are_refused_and_left_as_they_were(fault: str, match: str) -> None:
    model = _Model(fault).train()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    with pytest.raises(TeacherError, match=match):
        interactions(model, np.ones(4, dtype=np.float32), columns(4), score="build_up")
    assert model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_a_random_model_is_refused_by_contextual_decomposition_too() -> None:
    with pytest.raises(TeacherError, match="random"):
        interactions(_Model("random"), np.ones(4, dtype=np.float32), columns(4))


@pytest.mark.parametrize("output", [2, -1, 1.0, True, "0"])
def test_outputs_that_are_refused(output: object) -> None:
    with pytest.raises(InputError, match="output must be the number of an output from 0 to 1"):
        interactions(_Model(""), np.ones(4), columns(4), output=output, score="build_up")  # type: ignore[arg-type]
