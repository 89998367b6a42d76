"""The transform in NumPy and in torch: PyWavelets' numbers, exact ways back, transposes, slopes."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch

from limbeck._core.errors import InputError
from limbeck.readable._wavelet_filters import ADJOINT, MODES, blocks_of, check_mode, decompose, highpass_of
from limbeck.students._wavelet_training import nearest_wavelet
from limbeck.students._wavelet_transform import analyse, flattened, highpass, synthesise

rng = np.random.default_rng(0)
ORTHOGONAL = [name for name in pywt.wavelist(kind="discrete") if pywt.Wavelet(name).orthogonal]


def lowpass(name: str) -> np.ndarray:
    return np.array(pywt.Wavelet(name).dec_lo)


def theirs(x: np.ndarray, name: str, mode: str, level: int) -> np.ndarray | None:
    """PyWavelets' coefficients in one matrix; None where it refuses (one number, reflected)."""
    try:
        if x.ndim == 2:
            return np.concatenate(pywt.wavedec(x, name, mode, level), axis=-1)
        first, *rest = pywt.wavedec2(x, name, mode, level)
    except ValueError:
        return None
    return np.concatenate([part.reshape(len(x), -1) for part in (first, *(p for level in rest for p in level))], -1)


@pytest.mark.filterwarnings("ignore:Level value")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["haar", "db2", "db5", "coif1"])
def test_coefficients_are_those_of_pywavelets(name: str, mode: str) -> None:
    h = lowpass(name)
    for shape in (*((n,) for n in (1, 2, 3, 7, 16, 33, 40)), (5, 8), (7, 7), (1, 6)):
        for level in (1, 3):
            x = rng.normal(size=(2, *shape))
            expected = theirs(x, name, mode, level)
            found = decompose(x, h, level, mode, len(shape))
            blocks = blocks_of(shape, len(h), level, mode)
            assert found.shape[1] == blocks[-1].stop
            assert np.isfinite(found).all()
            if expected is not None:
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
            given = torch.as_tensor(x)
            parts = analyse(given, torch.as_tensor(h), level, mode, len(shape))
            np.testing.assert_allclose(flattened(parts, len(shape)).numpy(), found, rtol=1e-9, atol=1e-9)
            back = synthesise(parts, torch.as_tensor(h), shape, level, mode)
            np.testing.assert_allclose(back.numpy(), x, atol=1e-7)


def test_another_filter_gives_another_answer() -> None:
    x = rng.normal(size=(2, 33))
    assert not np.allclose(decompose(x, lowpass("db5"), 2, "zero"), decompose(x, lowpass("sym5"), 2, "zero"))
    parts = analyse(torch.as_tensor(x), torch.as_tensor(lowpass("db5") * 1.1), 2, "zero")
    back = synthesise(parts, torch.as_tensor(lowpass("db5") * 1.1), (33,), 2, "zero")
    assert not np.allclose(back.numpy(), x, atol=1e-3)


@pytest.mark.parametrize("name", ORTHOGONAL)
def test_high_pass_of_every_orthogonal_wavelet(name: str) -> None:
    h = lowpass(name)
    np.testing.assert_allclose(highpass_of(h), pywt.Wavelet(name).dec_hi, atol=1e-12)
    np.testing.assert_allclose(highpass(torch.as_tensor(h)).numpy(), pywt.Wavelet(name).dec_hi, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(2,), (7,), (16,), (5, 8)], ids=str)
def test_the_adjoint_is_the_transpose_of_the_way_back(mode: str, shape: tuple[int, ...]) -> None:
    h, axes = torch.as_tensor(lowpass("db3")), len(shape)
    x, g = (torch.as_tensor(rng.normal(size=(2, *shape))) for _ in range(2))
    parts = [part.clone().requires_grad_() for part in analyse(x, h, 2, mode, axes)]
    (synthesise(parts, h, shape, 2, mode) * g).sum().backward()
    slopes = flattened([part.grad for part in parts], axes)
    np.testing.assert_allclose(
        slopes.numpy(), flattened(analyse(g, h, 2, ADJOINT[mode], axes), axes).numpy(), atol=1e-9
    )


def test_slopes_in_the_filter_are_those_of_differences() -> None:
    x, h = torch.as_tensor(rng.normal(size=(3, 13))), torch.as_tensor(lowpass("db2")).requires_grad_()

    def both(h: torch.Tensor) -> torch.Tensor:
        return synthesise(analyse(x, h, 2, "symmetric"), h, (13,), 2, "symmetric")

    assert torch.autograd.gradcheck(both, (h,))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match=r"mode must be one of .*got 'symetric'. Did you mean 'symmetric'"):
        check_mode("symetric")


@pytest.mark.parametrize("name", ["haar", "db5", "sym4", "coif2"])
def test_the_nearest_wavelet_is_one(name: str) -> None:
    h = lowpass(name)
    near = nearest_wavelet(h + 0.01 * rng.normal(size=len(h)))
    assert near is not None
    assert np.linalg.norm(near - h) < 0.1
    assert near.sum() == pytest.approx(np.sqrt(2), abs=1e-9)
    x = torch.as_tensor(rng.normal(size=(2, 21)))
    back = synthesise(analyse(x, torch.as_tensor(near), 2, "zero"), torch.as_tensor(near), (21,), 2, "zero")
    np.testing.assert_allclose(back.numpy(), x.numpy(), atol=1e-9)
    np.testing.assert_allclose(nearest_wavelet(h), h, atol=1e-8)


def test_no_wavelet_is_near_nonsense() -> None:
    assert nearest_wavelet(np.full(4, np.nan)) is None
    assert nearest_wavelet(-lowpass("db2")) is None
