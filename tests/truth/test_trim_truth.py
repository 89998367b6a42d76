"""Networks that read one frequency, scale or part: TRIM finds it, samples don't show it, other weights lose it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from limbeck.attribution._fitted_transforms import NMF
from limbeck.attribution._gradients import integrated_gradients
from limbeck.attribution._transformation_importance import METHODS, transformation_importance
from limbeck.attribution._transforms import Fourier, Wavelet

ROWS, SIZE = 12, 16
RNG = np.random.default_rng(0)
SIGNALS = torch.tensor(RNG.normal(size=(ROWS, SIZE)), dtype=torch.float32)
IMAGES = torch.tensor(RNG.normal(size=(ROWS, 1, 6, 6)), dtype=torch.float32)
FACES = np.zeros((4, 12))
for i in range(4):
    FACES[i, 3 * i : 3 * i + 3] = 1 + 0.1 * np.arange(3)
MIXED = RNG.exponential(size=(60, 4)) @ FACES + 0.01 * RNG.uniform(size=(60, 12))


def reader(directions: torch.Tensor) -> torch.nn.Module:
    """The size of what a row has along a few directions ``(m, d)``: |<x, v>| summed, by pairs of ReLUs."""
    m, d = directions.shape
    first, last = torch.nn.Linear(d, 2 * m, bias=False), torch.nn.Linear(2 * m, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.cat([directions, -directions]))
        last.weight.fill_(1.0)
    return torch.nn.Sequential(torch.nn.Flatten(), first, torch.nn.ReLU(), last)


def shuffled(net: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The network with the weights of its first layer in another order: it reads everything a little."""
    with torch.no_grad():
        weight = net[1].weight
        order = torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(seed))
        weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return net


def directions_of(transform, shape: tuple[int, ...], group: str) -> torch.Tensor:
    """The rows that the coefficients of one group stand for."""
    mask = torch.tensor(transform.groups(shape)[group])
    units = torch.eye(mask.numel()).reshape(-1, *mask.shape)[mask.flatten()]
    return transform.inverse(units, shape).flatten(1)


PARTS = NMF(4, MIXED)
WORLDS = {
    "frequency": (Fourier([i / SIZE - 1 / 32 if i else 0 for i in range(10)]), SIGNALS, 3),
    "image frequency": (Fourier(5), IMAGES, 2),
    "scale": (Wavelet("haar", level=3), SIGNALS, 2),
    "part": (PARTS, torch.tensor(MIXED[:ROWS], dtype=torch.float32), 1),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("world", WORLDS)
def test_what_the_network_reads_is_first_and_other_weights_lose_it(world, method) -> None:
    transform, x, planted = WORLDS[world]
    shape = tuple(x.shape[1:])
    name = list(transform.groups(shape))[planted]
    net = reader(directions_of(transform, shape, name))
    table = transformation_importance(net, x, transform, method=method).table()
    assert table["group"][0] == name
    if world != "part":  # parts overlap a little, bands and scales don't
        assert table["share"][0] > 0.999
    else:
        assert table["share"][0] > 0.6
    assert table["energy"][0] < 0.6  # it isn't only what there is most of
    controls = [transformation_importance(shuffled(net, i), x, transform, method=method).table() for i in range(4)]
    shares = [float(table["share"][list(table["group"]).index(name)]) for table in controls]
    assert np.mean(shares) < 0.5 * float(table["share"][0])


def test_in_the_domain_of_samples_one_frequency_is_spread_out() -> None:
    transform, x, planted = WORLDS["frequency"]
    net = reader(directions_of(transform, (SIZE,), list(transform.groups((SIZE,)))[planted]))
    in_samples = np.abs(integrated_gradients(net, x).values).mean(axis=0)
    in_bands = transformation_importance(net, x, transform, method=METHODS[1]).table()["share"]
    assert float((in_samples / in_samples.sum()).max()) < 0.2
    assert float(in_bands[0]) > 0.999


def test_what_the_transform_loses_is_given_to_no_group() -> None:
    x = torch.tensor(MIXED[:ROWS] + 3 * (np.arange(12) == 4), dtype=torch.float32)
    net = reader(torch.eye(12)[4:5])
    with torch.no_grad():
        net[1].weight[:, 3] = -net[1].weight[:, 4]  # what no sum of parts can make: the 5th less the 4th number
    for method in METHODS:
        found = transformation_importance(net, x, PARTS, method=method)
        assert found.lost.min() > 0.02
        brought = np.abs(found.values).sum(axis=1) / net(x).detach().numpy()[:, 0]
        assert brought.max() < 0.5
