"""The penalty is what it is called, its gradients are right, bad inputs are refused, and the model is as it was."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck.training._explanation import explanation_penalty

FIRST = torch.tensor([True, False, False])


def linear() -> nn.Linear:
    model = nn.Linear(3, 2, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [-4.0, 5.0, 6.0]]))
        model.bias.zero_()
    return model


def image_network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten())
    return nn.Sequential(*layers, nn.Linear(12, 2)).double()


def rows(n: int, *shape: int) -> torch.Tensor:
    return torch.randn(n, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(n))


def value(*args: Any, **how: Any) -> float:
    return float(explanation_penalty(*args, **how).detach())


def test_of_a_linear_map_both_forms_are_what_a_hand_computes() -> None:
    x = torch.tensor([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]], dtype=torch.float64)
    assert value(linear(), x, FIRST) == pytest.approx((1 + 4 + 2 + 8) / 4)
    assert value(linear(), x, FIRST, output=1) == pytest.approx((4 + 8) / 2)
    assert value(linear(), x, FIRST, output=-1) == pytest.approx((4 + 8) / 2)
    relevant = torch.tensor([[1.0, -4.0], [2.0, -8.0]])
    irrelevant = torch.tensor([[5.0, 11.0], [3.0, 6.0]])
    share = (relevant.exp() / (relevant.exp() + irrelevant.exp())).mean()
    assert value(linear(), x, FIRST, form="softmax") == pytest.approx(float(share))
    assert value(linear(), x, FIRST, form="softmax") != pytest.approx(value(linear(), x, ~FIRST, form="softmax"))


def test_by_occlusion_it_is_what_the_outputs_lose() -> None:
    model, x = image_network(), rows(4, 1, 6, 6)
    masks = torch.zeros(3, 1, 1, 6, 6, dtype=torch.bool)
    masks[0, ..., :3, :], masks[1, ..., 3:, :], masks[2, ..., :, 0] = True, True, True
    state = copy.deepcopy(model.eval().state_dict())
    with torch.no_grad():
        lost = torch.stack([model(x) - model(torch.where(mask, 0.0, x)) for mask in masks])
    model.train()
    assert value(model, x, masks, rule="occlusion") == pytest.approx(float(lost.abs().mean()))
    assert value(model, x, masks[1, 0], rule="occlusion", output=1) == pytest.approx(float(lost[1, :, 1].abs().mean()))
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    by_hand = torch.tensor([[1.0, -4.0]]).abs().mean()
    assert value(linear(), torch.ones(2, 3, dtype=torch.float64), FIRST, rule="occlusion") == pytest.approx(by_hand)
    with pytest.raises(InputError, match=r"x must be floating point; got torch\.int64"):
        explanation_penalty(nn.Embedding(5, 2), torch.ones(2, 3, dtype=torch.long), FIRST, rule="occlusion")
    with pytest.raises(TeacherError, match=r"must answer 4 rows with one tensor"):
        explanation_penalty(nn.Identity(), rows(2, 1, 6, 6), masks[0, 0], rule="occlusion")


def test_the_softmax_form_overflows_nowhere() -> None:
    x = torch.full((2, 3), 1e6, dtype=torch.float64)
    assert value(linear(), x, FIRST, form="softmax") == 0.0
    assert value(linear(), -x, FIRST, form="softmax") == 1.0


def test_inflating_the_rest_lowers_the_softmax_form_and_not_the_l1_form() -> None:
    x = rows(6, 3).abs() + 0.2
    plain, inflated = linear(), linear()
    with torch.no_grad():
        inflated.weight[:, 1:] *= 20.0
    assert value(inflated, x, FIRST, form="softmax") < 0.1 * value(plain, x, FIRST, form="softmax")
    assert value(inflated, x, FIRST) == pytest.approx(value(plain, x, FIRST))


def test_regions_may_be_one_or_one_a_row_or_several() -> None:
    model, x = image_network().eval(), rows(4, 1, 6, 6)
    one, other = torch.zeros(2, 6, 6, dtype=torch.bool)
    one[:2, :2], other[3:, 2:] = True, True
    apart = [value(model, x, mask) for mask in (one, other)]
    assert value(model, x, one[None]) == apart[0]
    assert value(model, x, torch.stack([one, other])[:, None, None]) == pytest.approx(sum(apart) / 2)
    each = torch.stack([one, one, other, other])[:, None]
    halves = [value(model, x[:2], one), value(model, x[2:], other)]
    assert value(model, x, each) == pytest.approx(sum(halves) / 2)
    many = torch.stack([each, each.flip(0)])
    assert value(model, x, many) == pytest.approx((value(model, x, each) + value(model, x, each.flip(0))) / 2)
    assert value(model, x, each) != pytest.approx(apart[0])


@pytest.mark.parametrize("form", ["l1", "softmax"])
def test_rows_without_a_mark_do_not_count(form: Any) -> None:
    model, x = image_network(), rows(4, 1, 6, 6)
    mask = torch.zeros(4, 1, 6, 6, dtype=torch.bool)
    mask[:2, :, :2, :2] = True
    assert value(model, x, mask, form=form) == pytest.approx(value(model, x[:2], mask[:2], form=form))
    nothing = explanation_penalty(model, x, torch.zeros(6, 6, dtype=torch.bool), form=form)
    nothing.backward()  # type: ignore[no-untyped-call]
    assert float(nothing.detach()) == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize(
    "how", [{}, {"form": "softmax"}, {"output": 1}, {"against": "right"}, {"rule": "acd"}, {"rule": "occlusion"}]
)
def test_gradients_reach_every_parameter_and_are_right(how: dict[str, Any]) -> None:
    model, x = image_network(), rows(3, 1, 6, 6)
    mask = torch.zeros(6, 6, dtype=torch.bool)
    mask[:3, :3] = True
    if how.get("against"):
        how = {"against": mask.flip(1)}
    parameters = dict(model.named_parameters())
    slopes = torch.autograd.grad(explanation_penalty(model, x, mask, **how), list(parameters.values()))
    for (name, p), slope in zip(parameters.items(), slopes, strict=True):
        way = torch.randn(p.shape, dtype=p.dtype, generator=torch.Generator().manual_seed(1))
        found = []
        for size in (1e-6, -1e-6):
            with torch.no_grad():
                p.add_(way, alpha=size)
            found.append(value(model, x, mask, **how))
            with torch.no_grad():
                p.sub_(way, alpha=size)
        assert float((slope * way).sum()) == pytest.approx((found[0] - found[1]) / 2e-6, rel=1e-4, abs=1e-8), name
    assert sum(float(slope.abs().sum()) for slope in slopes) > 0


def test_groups_that_meet_in_a_unit_interact_and_groups_that_do_not_meet_do_not() -> None:
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
        model[2].weight.copy_(torch.tensor([[1.0, 3.0]]))
    x = rows(5, 3)
    together = (x[:, 0] + x[:, 1]).relu() - x[:, 0].relu() - x[:, 1].relu()
    by_hand = float(together.abs().mean())
    assert by_hand > 0.05
    assert value(model, x, FIRST, against=FIRST.roll(1)) == pytest.approx(by_hand)
    assert value(model, x, FIRST, against=FIRST.roll(2)) == pytest.approx(0.0, abs=1e-12)
    several = torch.stack([FIRST.roll(1), FIRST.roll(2)])[:, None]
    assert value(model, x, FIRST, against=several) == pytest.approx(by_hand / 2)
    assert value(linear(), x, FIRST, against=FIRST.roll(1)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_is_changed(training: bool) -> None:
    model, x = image_network().train(training), rows(4, 1, 6, 6)
    model[4].train(not training)  # a mode of its own
    model[0].bias.requires_grad_(False)
    called: list[int] = []
    model[0].register_forward_hook(lambda *_: called.append(1))
    modes = [module.training for module in model.modules()]
    state, before, hooks = copy.deepcopy(model.state_dict()), x.clone(), dict(model[0]._forward_hooks)
    drawn = torch.get_rng_state()
    penalty = explanation_penalty(model, x, torch.ones(6, 6, dtype=torch.bool))
    penalty.backward()  # type: ignore[no-untyped-call]
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(state.values(), model.state_dict().values(), strict=True))
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert dict(model[0]._forward_hooks) == hooks
    assert not model[0].bias.requires_grad
    assert model[0].bias.grad is None
    assert model[0].weight.grad is not None
    assert value(model, x, torch.ones(6, 6, dtype=torch.bool)) == float(penalty.detach())
    with torch.no_grad():
        assert not explanation_penalty(model, x, torch.ones(6, 6, dtype=torch.bool)).requires_grad


def test_tokens_and_a_recurrent_network() -> None:
    class Sentence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.lstm, self.head = nn.Embedding(9, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.lstm(self.embedding(x))[0][:, -1])

    torch.manual_seed(0)
    model, x = Sentence(), torch.randint(9, (3, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[:, 2] = True
    penalty = explanation_penalty(model, x, mask)
    penalty.backward()  # type: ignore[no-untyped-call]
    assert float(penalty.detach()) > 0
    assert all(p.grad is not None and bool(p.grad.any()) for p in (*model.lstm.parameters(), model.embedding.weight))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": [[1.0, 2.0, 3.0]]}, "x must be a tensor .* got a list"),
        ({"x": torch.ones(3)}, "at least one row; got torch.float32 of shape"),
        ({"x": torch.ones(0, 3)}, "at least one row"),
        ({"x": torch.tensor([[1.0, float("nan"), 2.0]])}, "x must be finite"),
        ({"x": torch.tensor([[1.0, float("inf"), 2.0]])}, "x must be finite"),
        ({"mask": torch.ones(3)}, "mask must be boolean.* got torch.float32"),
        ({"mask": torch.ones(4, dtype=torch.bool)}, r"mask must have the shape of one row, \(3,\).* got \(4,\)"),
        ({"mask": torch.ones(3, 3, dtype=torch.bool)}, "mask must have the shape"),
        ({"mask": torch.ones(1, 1, 1, 3, dtype=torch.bool)}, "mask must have the shape"),
        ({"mask": torch.ones(0, 1, 3, dtype=torch.bool)}, "mask must have the shape"),
        ({"form": "L1"}, "form must be one of l1, softmax"),
        ({"form": "softmax", "against": FIRST.roll(1)}, "measured by the L1 form"),
        ({"against": torch.ones(3, dtype=torch.bool)}, "must share no input"),
        ({"against": torch.ones(3)}, "against must be boolean"),
        ({"mask": FIRST.expand(2, 1, 3), "against": FIRST.roll(1).expand(3, 1, 3)}, "as many regions"),
        ({"output": 2}, "output must be a whole number from 0 to 1"),
        ({"output": True}, "output must be a whole number"),
        ({"output": 0.5}, "output must be a whole number"),
        ({"rule": "none"}, "rule must be one of"),
    ],
)
def test_bad_inputs_are_refused(change: dict[str, Any], match: str) -> None:
    given: dict[str, Any] = {"x": torch.ones(2, 3), "mask": FIRST, **change}
    with pytest.raises(InputError, match=match):
        explanation_penalty(nn.Linear(3, 2), given.pop("x"), given.pop("mask"), **given)


def test_a_network_that_raises_or_answers_with_nan_is_said_and_left_as_it_was() -> None:
    class Raises(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("no")

    model = Raises(3, 2).train()
    with pytest.raises(TeacherError, match="raised ValueError"):
        explanation_penalty(model, torch.ones(2, 3), FIRST)
    assert model.training
    broken = nn.Linear(3, 2)
    with torch.no_grad():
        broken.bias.fill_(float("nan"))
    with pytest.raises(TeacherError, match="NaN"):
        explanation_penalty(broken, torch.ones(2, 3), FIRST)
