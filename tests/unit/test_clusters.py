"""Clusters: kinds of layers by hand, chains, odd matrices, the permutation test, and what is refused."""

from __future__ import annotations

import copy
import itertools
import json

import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.modularity._affinity import affinity_matrix
from limbeck.modularity._clusterability import clusterability
from limbeck.modularity._clusters import Clusters, cluster, cluster_layers
from limbeck.modularity._cocluster import co_cluster, gap, match
from limbeck.modularity._gradient_affinity import gradient_affinity

nn = torch.nn
BLOCKS = np.kron(np.eye(3), np.ones((3, 4))) + 0.01


def test_affinities_by_hand() -> None:
    assert affinity_matrix([[1, -2], [0, 3]]).tolist() == [[1, 2], [0, 3]]
    assert affinity_matrix(np.array([[True, False]])).tolist() == [[1, 0]]
    conv = nn.Conv1d(2, 2, 2, bias=False)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[3.0, 4.0], [0.0, 1.0]], [[0.0, 0.0], [5.0, 12.0]]]))
    assert affinity_matrix(conv) == pytest.approx(np.array([[5, 1], [0, 13]]))
    grouped = nn.Conv2d(4, 4, 1, groups=2)
    matrix = affinity_matrix(grouped)
    assert matrix.shape == (4, 4)
    assert not matrix[:2, 2:].any()
    assert not matrix[2:, :2].any()
    assert matrix[2:, 2:] == pytest.approx(grouped.weight[2:, :, 0, 0].detach().abs().numpy())
    assert affinity_matrix(np.full((2, 2, 3), 1e200)) == pytest.approx(np.full((2, 2), 3**0.5 * 1e200)), "no overflow"


def test_heads_of_attention_are_units() -> None:
    attention = nn.MultiheadAttention(6, 3)
    weight = attention.in_proj_weight.detach()
    rows = [j * 6 + 2 + i for j in range(3) for i in range(2)]
    assert affinity_matrix(attention)[1] == pytest.approx(weight[rows].norm(dim=0).numpy(), rel=1e-5)
    with torch.no_grad():
        for head in range(3):
            for j in range(3):
                attention.in_proj_weight[j * 6 + 2 * head : j * 6 + 2 * head + 2] *= 0.01
                attention.in_proj_weight[j * 6 + 2 * head : j * 6 + 2 * head + 2, [head, head + 3]] *= 100
    found = cluster(attention, 3)
    assert (found.rows[:, None] == found.columns).tolist() == (np.arange(3)[:, None] == [0, 1, 2, 0, 1, 2]).tolist()
    with pytest.raises(InputError, match="another width than its queries"):
        cluster(nn.MultiheadAttention(6, 3, kdim=4), 2)


def test_blocks_of_numbers_of_any_type() -> None:
    wanted = np.kron(np.eye(3), np.ones((3, 4))).astype(bool)
    for weight in (BLOCKS, (BLOCKS * 100).astype(int), BLOCKS.astype(np.float32), torch.tensor(BLOCKS).half(), -BLOCKS):
        assert (cluster(weight).mask() == wanted).all()
    assert (cluster(BLOCKS.T, 3).mask() == wanted.T).all()
    assert (cluster(BLOCKS * 1e-160, 3).mask() == wanted).all()
    assert (cluster(np.ones(BLOCKS.shape), 3, affinity=BLOCKS).mask() == wanted).all()


def test_odd_matrices_have_a_defined_answer() -> None:
    assert cluster(BLOCKS, 1).mask().all()
    assert cluster([[1.0, 2.0, 3.0]]).k == 1
    assert cluster([[5.0]]).mask().tolist() == [[True]]
    assert (cluster(np.eye(4)).mask() == np.eye(4, dtype=bool)).all(), "units with nothing in common"
    assert cluster(np.eye(4), 4).k == 4
    alike = cluster(np.ones((4, 5)), 3)
    assert sorted(set(alike.rows.tolist())) == sorted(set(alike.columns.tolist())) == [0, 1, 2]
    lonely = np.zeros((4, 4))
    lonely[1, 2] = 3.0
    found = cluster(lonely, 3)
    assert found.dead_rows.tolist() == [True, False, True, True]
    assert found.rows[1] == found.columns[2]
    assert set(found.rows.tolist()) == {0, 1, 2}, "dead units fill the clusters that are empty"
    large = cluster(np.abs(np.random.default_rng(0).normal(size=(6, 2000))), 4)
    assert np.bincount(large.rows, minlength=4).min() >= 1
    assert np.bincount(large.columns, minlength=4).min() >= 1


def test_the_same_seed_gives_the_same_clusters_and_nothing_global_is_used() -> None:
    weight = np.random.default_rng(0).normal(size=(12, 12))
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    one, two = (cluster(weight, 4, random_state=7) for _ in range(2))
    assert one.rows.tolist() == two.rows.tolist()
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_many_units_are_clustered_by_few_singular_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.modularity._cocluster.MOST_EXACT", 10)
    weight = np.abs(np.kron(np.eye(3), np.ones((12, 16))) + 0.05 * np.random.default_rng(0).normal(size=(36, 48)))
    (columns, rows), _ = co_cluster([weight], 3, 0)
    assert ((rows[:, None] == columns) == np.kron(np.eye(3), np.ones((12, 16))).astype(bool)).all()


def test_the_gap_and_the_matching() -> None:
    assert gap(np.array([0.9, 0.8, 0.1, 0.05])) == 3
    assert gap(np.array([0.5, 0.1])) == 2
    assert gap(np.array([1.0, 1.0, 0.4])) == 3
    assert gap(np.array([0.3])) == 2
    assert gap(np.array([])) == 1
    matrix = np.array([[0.0, 5.0], [4.0, 0.0]])
    assert match(matrix, np.array([0, 1]), np.array([0, 1]), 2).tolist() == [1, 0]


def test_clusters_are_kept_as_json_and_cannot_be_changed() -> None:
    found = cluster(np.vstack([BLOCKS, np.zeros(12)]), 3)
    again = Clusters.from_dict(json.loads(json.dumps(found.to_dict())))
    for name in ("rows", "columns", "dead_rows", "dead_columns", "strengths"):
        assert np.array_equal(getattr(again, name), getattr(found, name))
    with pytest.raises(ValueError, match="read-only"):
        found.columns[0] = 2
    with pytest.raises(InputError, match=r"as Clusters\.to_dict"):
        Clusters.from_dict({"rows": [0]})
    with pytest.raises(InputError, match="from 0 to 1; got 0 to 2"):
        Clusters(np.array([0, 2]), np.array([0]), 2)
    with pytest.raises(InputError, match=r"dead_rows must be \(2,\)"):
        Clusters(np.array([0, 1]), np.array([0]), 2, np.array([True]))


def test_a_chain_through_a_flattening() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(54, 8), nn.ReLU(), nn.Linear(8, 4))
    found = cluster_layers(net, ["4", "0", "2"], k=2)
    assert list(found) == ["0", "2", "4"]
    assert found["2"].columns.tolist() == np.repeat(found["0"].rows, 9).tolist()
    assert found["4"].columns.tolist() == found["2"].rows.tolist()
    assert found["0"].mask().shape == (6, 4)


def test_layers_apart_have_labels_of_their_own() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(5)))
    assert list(cluster_layers(net, k=2)) == ["1", "2", "3"], "those between hidden units"
    assert list(cluster_layers(net[:2], k=2)) == ["0", "1"]
    block = nn.TransformerEncoderLayer(8, 2, 16)
    assert list(cluster_layers(nn.Sequential(block, copy.deepcopy(block)), k=2)) == ["0.linear2", "1.linear1"]
    both = cluster_layers(net, ["0", "3"], k=4)
    assert not np.array_equal(both["3"].columns, both["0"].rows)
    parts = cluster_layers(block, ["linear1", "linear2"], k=2)
    assert np.array_equal(parts["linear2"].columns, parts["linear1"].rows)


def test_random_partitions_against_all_of_them() -> None:
    weight = np.random.default_rng(0).normal(size=(4, 4)) ** 3
    labels = np.array([0, 0, 1, 1])
    found = clusterability(weight, (labels, labels), n_permutations=4000, n_searches=0)
    squares = weight**2 / (weight**2).sum()
    every = [
        squares[np.array(r)[:, None] == np.array(c)].sum()
        for r in set(itertools.permutations(labels.tolist()))
        for c in set(itertools.permutations(labels.tolist()))
    ]
    assert found.chance == pytest.approx(np.mean(every)) == 0.5
    assert found.random == pytest.approx(np.mean(every), abs=0.02)
    assert found.p_value == pytest.approx(np.mean(np.array(every) >= float(found) - 1e-9), abs=0.02)
    wide = clusterability(weight[:, :2], (labels, labels[1:3]), n_permutations=500, n_searches=0)
    assert wide.chance == 0.5
    assert wide.random == pytest.approx(0.5, abs=0.05)


def test_clusterability_is_a_float_that_says_more() -> None:
    found = clusterability(BLOCKS, cluster(BLOCKS, 3), n_permutations=50, n_searches=3)
    assert isinstance(found, float)
    assert copy.deepcopy(found).p_value == found.p_value
    assert found.to_dict() == {"clusterability": float(found), "chance": found.chance, "p": found.p_value}
    assert "inside clusters; by chance 0.333, p = 0.0" in found.text()
    one = clusterability(BLOCKS, (np.zeros(9, int), np.zeros(12, int)))
    assert (one, one.chance, one.p_value) == (1.0, 1.0, 1.0)
    assert np.isnan(clusterability(BLOCKS, cluster(BLOCKS, 3), n_permutations=0, n_searches=0).p_value)


def test_gradient_affinity_by_hand() -> None:
    net = nn.Sequential(nn.Linear(2, 1, bias=False)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[2.0, -3.0]]))
    X, y = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[5.0]]).double()
    assert gradient_affinity(net, (X, y), ["0"])["0"] == pytest.approx(np.array([[2 * 2 * 3, 0.0]]))
    assert net[0].weight.grad is None


def test_clusters_by_gradients_ignore_weights_that_no_row_uses() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    for p in net.parameters():
        p.requires_grad_(False)
        p[:] = torch.kron(torch.eye(2), torch.ones(2, 2)) + 0.1 * torch.rand(4, 4)
    X = torch.randn(40, 4)
    X[:, 3] = 0.0
    found = cluster_layers(net, ["0"], k=2, affinity="gradients", data=(X, X @ torch.randn(4, 4)))
    assert found["0"].dead_columns.tolist() == [False, False, False, True]
    assert not net[0].weight.requires_grad
    with pytest.raises(InputError, match=r"needs data=\(X, y\)"):
        cluster_layers(net, ["0"], affinity="gradients")
    with pytest.raises(TeacherError, match="raised RuntimeError"):
        gradient_affinity(net, (torch.randn(3, 5), torch.randn(3, 4)), ["0"])
    unused = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    unused.forward = lambda x: unused["a"](x)  # type: ignore[method-assign]
    with pytest.raises(InputError, match="layer 'b' must take part"):
        gradient_affinity(unused, (torch.randn(3, 2), torch.randn(3, 2)), ["b"])


REFUSED = [
    ([[1.0, np.nan]], {}, "must be finite; 1 of its 2 numbers"),
    ([[np.inf, 1.0]], {}, "must be finite"),
    ([1.0, 2.0], {}, r"must be \(outputs, inputs\).*got \(2,\)"),
    (np.zeros((0, 3)), {}, r"not empty; got \(0, 3\)"),
    (np.zeros((3, 3)), {"k": 2}, "weight is all zero"),
    (np.ones((2, 3), complex), {}, "real numbers; got complex128"),
    ([["a", "b"]], {}, "real numbers; got <U1"),
    ([[1.0], [1.0, 2.0]], {}, "one array of numbers"),
    (None, {}, "real numbers; got object"),
    (BLOCKS, {"k": 10}, r"at most the number of units on either side of weight, 9 of \(9, 12\); got 10"),
    (BLOCKS, {"k": 0}, "at least 1, the number of clusters; got 0"),
    (BLOCKS, {"k": True}, "whole number of at least 1"),
    (BLOCKS, {"k": 2.5}, "got 2.5"),
    (BLOCKS, {"method": "spectra"}, "Did you mean 'spectral'"),
    (BLOCKS, {"affinity": BLOCKS.T}, r"affinity must be \(9, 12\)"),
    (BLOCKS, {"random_state": -1}, "random_state must be"),
    (nn.ReLU(), {}, "got a ReLU. For a whole network: cluster_layers"),
    (nn.ConvTranspose1d(2, 2, 2), {}, "got a ConvTranspose1d"),
]


@pytest.mark.parametrize(("weight", "options", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cluster_refuses(weight: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        cluster(weight, **options)  # type: ignore[arg-type]


def test_what_layers_and_clusterability_refuse() -> None:
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    for layers, message in (
        (["0", "one"], "must be named as in named_modules"),
        (["1"], "one of '0', '2'; got '1'"),
        ("0", r"Write \['0'\]"),
        ([], "at least one layer; got none"),
        (["0", "0"], "each layer once"),
        (3, "list of names; got a int"),
    ):
        with pytest.raises(InputError, match=message):
            cluster_layers(net, layers, k=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"side of layer '2', 3 of \(3, 6\); got 4"):
        cluster_layers(net, k=4)
    with pytest.raises(InputError, match="Did you mean 'weights'"):
        cluster_layers(net, affinity="weight")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no Linear layer; name the layers"):
        cluster_layers(nn.Conv1d(2, 2, 2))
    for pair, message in (
        (4, "be a pair"),
        (([0] * 9, [0] * 11), "must label 9 outputs and 12 inputs; got 9 and 11"),
        ((["a"] * 9, [0] * 12), "rows must be labels"),
        (([[0], [0, 1]], [0] * 12), "NumPy says"),
    ):
        with pytest.raises(InputError, match=message):
            clusterability(BLOCKS, pair)
    with pytest.raises(InputError, match="all zero"):
        clusterability(np.zeros((9, 12)), ([0] * 9, [0] * 12))
    with pytest.raises(InputError, match="n_searches must be"):
        clusterability(BLOCKS, ([0] * 9, [0] * 12), n_searches=-1)
