"""Every term of the loss: 0 where it must be, above 0 where not; the teacher's gradients, and teachers that fail."""

from __future__ import annotations

import math

import numpy as np
import pytest
import pywt
import torch

from limbeck._core.errors import TeacherError
from limbeck.students._wavelet_loss import (
    attributions,
    highpass_sum,
    lowpass_sum,
    mean_size,
    mirrored_spectra,
    orthogonal_shifts,
    reconstruction,
    teacher_gradients,
    unit_norm,
    wavelet_conditions,
)
from limbeck.students._wavelet_transform import analyse, synthesise

DB5 = torch.tensor(pywt.Wavelet("db5").dec_lo, dtype=torch.float64)
rng = np.random.default_rng(0)
TERMS = {
    "lowpass_sum": (lowpass_sum, lambda h: 0.5 * (sum(h) - math.sqrt(2)) ** 2),
    "highpass_sum": (highpass_sum, lambda h: 0.5 * sum(v * (-1) ** i for i, v in enumerate(h)) ** 2),
    "unit_norm": (unit_norm, lambda h: 0.5 * (sum(v * v for v in h) - 1) ** 2),
    "mirrored_spectra": (
        mirrored_spectra,
        lambda h: (
            0.5
            * sum(
                (
                    sum(
                        abs(sum(v * np.exp(-1j * (w + half) * i) for i, v in enumerate(h))) ** 2
                        for half in (0.0, math.pi)
                    )
                    - 2
                )
                ** 2
                for w in 2 * math.pi * np.arange(len(h) // 2) / len(h)
            )
        ),
    ),
    "orthogonal_shifts": (
        orthogonal_shifts,
        lambda h: (
            0.5
            * sum(
                (sum(h[n] * h[n - 2 * k] for n in range(len(h)) if 0 <= n - 2 * k < len(h)) - (k == 0)) ** 2
                for k in range(-len(h), len(h) + 1)
            )
        ),
    ),
}


@pytest.mark.parametrize("name", TERMS)
@pytest.mark.parametrize("wavelet", ["haar", "db5", "sym8", "coif3"])
def test_a_wavelet_meets_each_condition(name: str, wavelet: str) -> None:
    h = torch.tensor(pywt.Wavelet(wavelet).dec_lo, dtype=torch.float64)
    assert float(TERMS[name][0](h)) < 1e-12


@pytest.mark.parametrize("name", TERMS)
def test_each_condition_is_the_printed_one(name: str) -> None:
    term, printed = TERMS[name]
    for _ in range(5):
        h = rng.normal(size=8)
        assert float(term(torch.tensor(h))) == pytest.approx(printed(h.tolist()), rel=1e-9)
        assert float(term(torch.tensor(h))) > 1e-6


def test_the_conditions_together_are_their_sum() -> None:
    h = torch.tensor(rng.normal(size=8))
    assert float(wavelet_conditions(h)) == pytest.approx(sum(float(term(h)) for term, _ in TERMS.values()))


def test_conditions_see_what_the_others_do_not() -> None:
    """A scaled filter misses the norm, a shifted constant the high-pass, a shuffled one its shifts."""
    assert float(unit_norm(1.1 * DB5)) > 1e-3
    assert float(highpass_sum(1.1 * DB5)) < 1e-12
    flat = torch.full((8,), math.sqrt(2) / 8, dtype=torch.float64)
    assert float(lowpass_sum(flat)) < 1e-12
    assert float(highpass_sum(flat)) < 1e-12
    assert float(orthogonal_shifts(flat)) > 1e-2
    assert float(mirrored_spectra(flat)) > 1e-2


def test_reconstruction_and_size_are_weighted_means() -> None:
    x, y = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    assert float(reconstruction(x, y, torch.tensor([0.25, 0.75]))) == pytest.approx(0.25 * 5 + 0.75 * 9)
    parts = [torch.tensor([[1.0, -2.0], [0.0, 0.0]]), torch.tensor([[4.0], [-1.0]])]
    assert float(mean_size(parts, torch.tensor([0.5, 0.5]))) == pytest.approx((3 + 4 + 0 + 1) / 2 / 2)


@pytest.mark.parametrize("mode", ["zero", "symmetric", "periodization"])
def test_attributions_are_the_gradient_at_the_coefficients(mode: str) -> None:
    """Of f(W^-1 s + r) with r fixed, by automatic differentiation, for each of two outputs."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(13, 6), torch.nn.Tanh(), torch.nn.Linear(6, 2)).double()
    h = DB5 * 1.05 + 0.02  # no wavelet: r is not 0
    x = torch.as_tensor(rng.normal(size=(4, 13)))
    s = [part.detach().requires_grad_() for part in analyse(x, h, 2, mode)]
    r = (x - synthesise(s, h, (13,), 2, mode)).detach()
    assert float(r.abs().max()) > 1e-2
    found = attributions(torch.as_tensor(teacher_gradients(model, x.numpy())).double(), h, 2, mode)
    for o in range(2):
        slopes = torch.autograd.grad(model(synthesise(s, h, (13,), 2, mode) + r)[:, o].sum(), s)
        for mine, theirs in zip(found, slopes, strict=True):
            np.testing.assert_allclose(mine[:, o].numpy(), theirs.numpy(), atol=1e-6)


def test_a_teacher_is_left_as_it_was() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1)).train()
    state = torch.get_rng_state()
    rows = rng.normal(size=(300, 3))
    first, again = teacher_gradients(model, rows), teacher_gradients(model, rows)
    assert first.shape == (300, 1, 3)
    assert np.array_equal(first, again)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(state, torch.get_rng_state())


class Failing(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "raises":
            raise RuntimeError("no such thing")
        if self.kind == "nan":
            return x[:, 0] * torch.nan
        if self.kind == "no slope":
            return x.detach()[:, 0]
        if self.kind == "steep":
            return torch.sqrt(x[:, 0] * 0.0)
        return x[:, 0].sum()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("raises", "raised RuntimeError on rows of shape"),
        ("nan", "answers with NaN or infinite numbers"),
        ("no slope", "answers without a gradient"),
        ("steep", "a gradient that is NaN or infinite"),
        ("shape", "must answer 5 rows with one tensor"),
    ],
)
def test_a_teacher_without_a_gradient_is_said(kind: str, message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        teacher_gradients(Failing(kind), rng.normal(size=(5, 3)))
