"""Planted: one coefficient of a wavelet that is not the starting one decides the label. The wavelet is found again."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import pywt
import torch

from limbeck.readable._wavelet_filters import blocks_of, decompose
from limbeck.students import AdaptiveWaveletClassifier
from limbeck.students._wavelet_training import nearest_wavelet

POINTS, ROWS, LEVEL = 40, 2000, 2
START = np.array(pywt.Wavelet("db5").dec_lo)
PLANTED = nearest_wavelet(START + 0.12 * np.random.default_rng(3).normal(size=10))


@cache
def world() -> tuple[np.ndarray, np.ndarray, str]:
    """Noise, the labels, and where the coefficient stands that decides them."""
    block = next(b for b in blocks_of((POINTS,), 10, LEVEL, "zero") if b.name == "scale 2")
    place = block.start + block.size // 2
    X = np.random.default_rng(0).normal(size=(ROWS, POINTS))
    atom = decompose(np.eye(POINTS), PLANTED, LEVEL, "zero")[:, place]
    time = atom**2 @ np.arange(POINTS) / (atom @ atom)
    return X, (X @ atom > 0).astype(int), f"scale 2 at time {time:.0f}"


def teacher_of(X: np.ndarray, y: np.ndarray) -> torch.nn.Module:
    """A small network that was trained on these labels."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Linear(POINTS, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
        rows, labels = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)
        optimiser = torch.optim.Adam(net.parameters(), lr=0.02, weight_decay=1e-3)
        for _ in range(100):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(net(rows), labels).backward()
            optimiser.step()
    return net


def fitted(y: np.ndarray, teacher: torch.nn.Module | None) -> AdaptiveWaveletClassifier:
    student = AdaptiveWaveletClassifier(
        "db5", LEVEL, random_state=0, l1=0.0, attribution=1.0, max_steps=100, learning_rate=0.03, max_coefficients=3
    )
    return student.fit(world()[0], y, teacher=teacher)


def distance(lowpass: np.ndarray) -> float:
    return float(np.linalg.norm(lowpass - PLANTED))


def adapted(student: AdaptiveWaveletClassifier) -> np.ndarray:
    """The last filter of the path, whether or not it was chosen."""
    return student.path_[-1].lowpass


def test_the_planted_wavelet_is_found_again() -> None:
    X, y, name = world()
    student = fitted(y, teacher_of(X, y))
    assert distance(START) > 0.2
    assert distance(adapted(student)) < distance(START) / 5
    assert np.array_equal(student.lowpass_, adapted(student))
    assert name in student.readable_.text()
    held = student.path_[0].validation_loss
    assert student.path_[-1].validation_loss < 0.8 * held
    found = pywt.wavedec(X, pywt.Wavelet("found", _bank(student.lowpass_)), "zero", LEVEL)
    np.testing.assert_allclose(student.transform(X), np.concatenate(found, axis=1), atol=1e-6)


def _bank(low: np.ndarray) -> tuple[np.ndarray, ...]:
    high = np.where(np.arange(len(low)) % 2 == 0, -1, 1) * low[::-1]
    return low, high, low[::-1], high[::-1]


def test_with_shuffled_labels_it_is_not() -> None:
    X, y, _ = world()
    mixed = np.random.default_rng(1).permutation(y)
    student = fitted(mixed, teacher_of(X, mixed))
    assert distance(adapted(student)) > distance(START) / 5
    assert np.mean(student.predict(X) == y) < 0.6


def test_without_a_teacher_it_is_not() -> None:
    """Noise is as sparse in one wavelet as in another: what is known of the wavelet comes from the teacher's slopes."""
    student = fitted(world()[1], None)
    assert distance(adapted(student)) > distance(START) / 5


@pytest.mark.parametrize("seed", [1])
def test_a_wavelet_that_signals_are_sparse_in_is_found_by_the_size_of_coefficients(seed: int) -> None:
    """Signals made of few planted wavelets, no teacher: the penalty on coefficients is enough."""
    rng = np.random.default_rng(seed)
    inverse = np.linalg.pinv(decompose(np.eye(POINTS), PLANTED, LEVEL, "periodization"))
    sparse = rng.normal(size=(600, len(inverse))) * (rng.random((600, len(inverse))) < 0.08)
    X = sparse @ inverse
    student = AdaptiveWaveletClassifier(
        "db5", LEVEL, "periodization", random_state=0, l1=1.0, max_steps=120, learning_rate=0.03, max_coefficients=3
    )
    student.fit(X, X[:, 5] > 0)
    assert distance(adapted(student)) < distance(START) / 5
