"""Transforms give back what they took, TRIM is exact on linear networks, and wrong transforms are refused."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from sklearn import decomposition

from limbeck._core.errors import InputError, TeacherError
from limbeck.attribution._fitted_transforms import NMF, PCA
from limbeck.attribution._transformation_importance import METHODS, transformation_importance
from limbeck.attribution._transformed_network import TransformedNetwork
from limbeck.attribution._transforms import Fourier, Transform, Wavelet

RNG = np.random.default_rng(0)
SIGNALS = torch.tensor(RNG.normal(size=(3, 16)))
POSITIVE = RNG.uniform(size=(30, 2)) @ RNG.uniform(size=(2, 9)) + 0.02 * RNG.uniform(size=(30, 9))


def linear(size: int, outputs: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, outputs, bias=False)).double()


def network(size: int) -> torch.nn.Module:
    torch.manual_seed(1)
    layers = [torch.nn.Flatten(), torch.nn.Linear(size, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)]
    return torch.nn.Sequential(*layers).double()


@pytest.mark.parametrize(
    ("transform", "shape"),
    [
        *[(Fourier(), shape) for shape in [(16,), (7,), (1,), (2, 6, 5)]],
        (Fourier(dimensions=1), (2, 9)),
        (Fourier(dimensions=2), (6, 7)),
        *[(Wavelet(name), (16,)) for name in ("haar", "db4", "sym5", "bior2.2", "coif1")],
        *[(Wavelet("db4", level=3), shape) for shape in [(13,), (2, 9, 6)]],
        (Wavelet("db2", dimensions=2), (7, 6)),
        (Wavelet("db2", dimensions=1), (2, 7)),
    ],
)
def test_the_inverse_gives_the_rows_back(transform, shape) -> None:
    x = torch.tensor(RNG.normal(size=(3, *shape)))
    s = transform.forward(x)
    np.testing.assert_allclose(transform.inverse(s, shape), x, atol=1e-9)
    groups = transform.groups(shape)
    assert {mask.shape for mask in groups.values()} == {tuple(s.shape[1:])}
    assert (sum(mask.astype(int) for mask in groups.values()) == 1).all()
    names = transform.names(shape)
    assert len(names) == len(set(names)) == s[0].numel()
    assert isinstance(transform, Transform)


def test_fourier_has_the_power_of_the_discrete_transform() -> None:
    s, power = Fourier().forward(SIGNALS) ** 2, torch.fft.rfft(SIGNALS, norm="ortho").abs() ** 2
    np.testing.assert_allclose(s[:, 1:3].sum(1), 2 * power[:, 1])
    np.testing.assert_allclose(s[:, 15], power[:, 8])
    assert Fourier().names((4,)) == ("constant", "cos 1", "sin 1", "cos 2")
    assert list(Fourier(bands=[0.1, 0.3]).groups((16,))) == ["frequency 0.1 to 0.3", "other frequencies"]
    counted = {name: int(mask.sum()) for name, mask in Fourier(bands=[0, 0.25, 0.5]).groups((8,)).items()}
    assert counted == {"frequency 0 to 0.25": 3, "frequency 0.25 to 0.5": 5}


def test_wavelets_are_those_of_pywavelets() -> None:
    ours = Wavelet("db2", level=2).forward(SIGNALS)
    np.testing.assert_allclose(ours, np.hstack(pywt.wavedec(SIGNALS, "db2", "periodization", 2)), atol=1e-12)
    image = torch.tensor(RNG.normal(size=(1, 8, 8)))
    ours = Wavelet("haar", level=1, dimensions=2).forward(image)[0]
    first, (down, across, diagonal) = pywt.wavedec2(image[0], "haar", "periodization", 1)
    np.testing.assert_allclose(ours, np.hstack([part.ravel() for part in (first, across, down, diagonal)]), atol=1e-12)


def test_fitted_transforms_are_those_of_scikit_learn() -> None:
    x = torch.tensor(POSITIVE[:4])
    fitted = decomposition.PCA(2).fit(POSITIVE)
    ours = PCA(2, POSITIVE)
    np.testing.assert_allclose(ours.forward(x)[:, 1:], fitted.transform(POSITIVE[:4]), atol=1e-12)
    np.testing.assert_allclose(ours.inverse(ours.forward(x)), fitted.inverse_transform(fitted.transform(x)), atol=1e-12)
    parts = NMF(2, POSITIVE)
    back = parts.inverse(parts.forward(x))
    fitted = decomposition.NMF(2, init="nndsvda", max_iter=2000).fit(POSITIVE)
    theirs = fitted.inverse_transform(fitted.transform(POSITIVE[:4]))
    assert np.linalg.norm(back - x) <= 1.02 * np.linalg.norm(theirs - POSITIVE[:4])
    assert 0 < np.linalg.norm(back - x) < 0.1 * np.linalg.norm(x)
    assert bool((parts.forward(x) >= 0).all())


TRANSFORMS = [
    (Fourier(4), SIGNALS),
    (Wavelet("db2"), SIGNALS),
    (PCA(2, POSITIVE), POSITIVE[:3]),
    (NMF(2, POSITIVE), POSITIVE[:3]),
    ((lambda x: torch.fft.rfft(x), lambda s: torch.fft.irfft(s, n=16)), SIGNALS),
    ((lambda x: x.numpy() * 2, lambda s: s / 2), POSITIVE[:3].reshape(3, 3, 3)),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("transform", "x"), TRANSFORMS, ids=["fourier", "wavelet", "pca", "nmf", "complex", "numpy"])
def test_linear_networks_are_exact(transform, x, method) -> None:
    net = linear(int(np.prod(x.shape[1:])))
    found = transformation_importance(net, x, transform, method=method, output=1)
    x = torch.as_tensor(x)
    there, back = (
        transform if isinstance(transform, tuple) else (transform.forward, lambda s: transform.inverse(s, x.shape[1:]))
    )
    s = torch.as_tensor(there(x))
    for i, mask in enumerate(found.masks):
        own = net(back(s * torch.tensor(mask)))[:, 1].detach()
        np.testing.assert_allclose(found.values[:, i], own, atol=1e-9)
    np.testing.assert_allclose(found.total, net(back(s))[:, 1].detach(), atol=1e-9)
    np.testing.assert_allclose(found.unshared, 0, atol=1e-9)
    assert found.residual < 1e-9
    assert found.lost.max() < (1e-20 if not isinstance(transform, NMF | PCA) else 0.01)
    assert isinstance(transform, NMF | PCA) == (found.lost.min() > 1e-6)


def test_the_residual_stays_fixed_so_that_the_network_of_coefficients_is_not_constant() -> None:
    transform, x = NMF(2, POSITIVE), torch.tensor(POSITIVE[:1])
    net, s = network(9), transform.forward(torch.tensor(POSITIVE[:1]))
    fixed = TransformedNetwork(net, transform.inverse, (2,), (9,))
    r = x - transform.inverse(s)
    path = [fixed(torch.cat([a * s, r], dim=1)).detach() for a in (0.0, 0.5, 1.0)]
    assert torch.allclose(path[2], net(x), atol=1e-12)
    assert float((path[0] - path[2]).abs().max()) > 1e-3
    assert float((path[1] - path[2]).abs().max()) > 1e-3
    trap = [net(transform.inverse(a * s) + (x - transform.inverse(a * s))) for a in (0.0, 0.5, 1.0)]
    assert torch.allclose(trap[0], trap[2], atol=1e-12)  # worked out anew for each s it says nothing


def test_integrated_gradients_are_complete_and_the_parts_are_told() -> None:
    found = transformation_importance(network(16), SIGNALS, Fourier(4), method=METHODS[1])
    assert found.residual < 0.01
    np.testing.assert_allclose(found.values.sum(axis=1), found.total, atol=0.01 * np.abs(found.total).max())
    table = found.table()
    assert table["importance"].is_monotonic_decreasing
    assert table["share"].sum() == pytest.approx(1)
    assert table["energy"].sum() == pytest.approx(1)
    assert table["coefficients"].sum() == 16
    assert "integrated_gradients in Fourier: 3 rows, 5 groups; completeness error" in str(found)
    rough = transformation_importance(network(16), SIGNALS, Fourier(4), method=METHODS[2])
    assert rough.residual > 0.01


def test_contextual_decomposition_in_a_space_adds_up_and_what_groups_share_is_told() -> None:
    found = transformation_importance(network(16), SIGNALS, Wavelet("haar"), rule="acd")
    assert found.residual < 1e-10
    assert np.abs(found.unshared).max() > 1e-3
    each = transformation_importance(network(16), SIGNALS, Wavelet("haar"), "each")
    assert each.values.shape == (3, 16)
    assert each.names[0] == "approximation [0]"


def test_groups_by_name_in_an_array_and_with_strange_names() -> None:
    masks = np.zeros((2, 16), dtype=bool)
    masks[0, :3] = masks[1, 2:] = True
    named = transformation_importance(linear(16), SIGNALS, Fourier(), {"<b>&": masks[0], "": masks[1]})
    listed = transformation_importance(linear(16), SIGNALS, Fourier(), masks)
    np.testing.assert_array_equal(named.values, listed.values)
    assert named.names == ("<b>&", "")
    assert listed.names == ("group 1", "group 2")
    assert set(named.table()["group"]) == {"<b>&", ""}


def same(x):
    return x


def broken(x):
    raise ValueError("no such wave")


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (Fourier, "transform must be a Fourier"),
        ((same, 3), "transform must be a Fourier"),
        ((broken, same), "forward of the transform raised ValueError.*no such wave"),
        ((same, broken), "inverse of the transform raised ValueError.*no such wave"),
        ((same, lambda s: s[:, :5]), "inverse must give rows of the shape that x has"),
        ((same, lambda s: s[:2]), "inverse of the transform must give one tensor with 3 rows"),
        ((lambda x: None, same), "forward of the transform must give one tensor with 3 rows; got NoneType"),
        ((lambda x: x[:, 0], same), "forward must give numbers"),
        ((lambda x: x > 0, same), "forward must give numbers"),
        ((same, lambda s: s / 0), "inverse of the transform gives NaN or infinity"),
        ((lambda x: x.log(), same), "forward of the transform gives NaN or infinity"),
        ((same, lambda s: s + torch.rand_like(s)), "inverse gives other answers.*random"),
        ((lambda x: x - x[:1], same), "forward gives other answers.*one row changes another's"),
        ((same, lambda s: s.detach()), "inverse must be torch operations"),
        ((same, lambda s: torch.ones_like(s)), "inverse must be torch operations"),
    ],
)
def test_wrong_transforms(transform, words) -> None:
    net = linear(16).train()
    state = torch.get_rng_state()
    with pytest.raises(InputError, match=words):
        transformation_importance(net, SIGNALS, transform)
    assert net.training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "integrated_gradient"}, "Did you mean 'integrated_gradients'"),
        ({"method": METHODS[1], "rule": "acd"}, "rule='acd' is a choice of contextual_decomposition"),
        ({"groups": {"a": np.ones(3, dtype=bool)}}, "'a' is bool of shape .3,."),
        ({"groups": {"none": np.zeros(16, dtype=bool)}}, "at least one coefficient"),
        ({"groups": np.ones((1, 16))}, "must be a boolean mask"),
        ({"groups": []}, "at least one mask"),
        ({"groups": 3}, "groups must be masks by name"),
        ({"x": SIGNALS[0]}, "x must be a tensor or array"),
        ({"x": SIGNALS * np.nan}, "x must be finite"),
        ({"x": SIGNALS.reshape(3, 4, 4)}, "images .dimensions=2. or signals of 4 channels"),
        ({"x": SIGNALS.long()}, "floating point"),
        ({"transform": (same, same), "x": torch.zeros(1, 5000)}, "too many to be explained one by one"),
        ({"transform": PCA(2, POSITIVE)}, "PCA was fitted on rows of shape .9,.; got rows of shape .16,."),
        ({"transform": Wavelet("haar", level=5)}, "level=5 splits 16 numbers more often"),
        ({"transform": NMF(2, RNG.uniform(size=(5, 16)))}, "without negative numbers"),
        ({"output": 7}, "output must be a whole number from 0 to 1"),
    ],
)
def test_bad_arguments(change, words) -> None:
    with pytest.raises(InputError, match=words):
        transformation_importance(**{"model": linear(16), "x": SIGNALS, "transform": Fourier()} | change)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fourier(0), "bands must be a whole number of at least 1"),
        (lambda: Fourier([0.3, 0.1]), "two edges >= 0 that ascend"),
        (lambda: Fourier("low"), "two edges >= 0 that ascend"),
        (lambda: Fourier(dimensions=3), "dimensions must be 1"),
        (lambda: Wavelet("dbb4"), "discrete wavelet of PyWavelets.*Did you mean 'db4'"),
        (lambda: Wavelet("morl"), "discrete wavelet of PyWavelets"),
        (lambda: Wavelet(level=0), "level must be a whole number"),
        (lambda: NMF(2, -POSITIVE), "without negative numbers"),
        (lambda: NMF(2, np.zeros((5, 4))), "2 of 2 parts are empty"),
        (lambda: PCA(20, POSITIVE), "components must be at most 9"),
        (lambda: PCA(1, [["a", "b"]]), "rows .n, .row. of finite numbers"),
    ],
)
def test_bad_transforms(make, words) -> None:
    with pytest.raises(InputError, match=words):
        make()


def test_a_network_that_raises_on_rows_of_this_shape() -> None:
    with pytest.raises(TeacherError, match="raised RuntimeError"):
        transformation_importance(linear(9), SIGNALS, Fourier())
