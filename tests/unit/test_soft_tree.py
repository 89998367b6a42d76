"""Soft trees: the written-out gradient, the penalty's averages, the most probable path, readings, cuts, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError
from limbeck._core.images import image_shape
from limbeck._core.tables import Column, Schema
from limbeck.readable import SoftTreeReadable, readable_from_dict
from limbeck.readable._network import design_inputs
from limbeck.readable._soft_tree_path import compiled_walk, path_leaves
from limbeck.students import SoftTreeClassifier, SoftTreeRegressor
from limbeck.students._soft_tree import softened
from limbeck.students._soft_tree_step import LOSSES, Balance, Parameters, gradient, path_logs


def drawn(depth=3, inputs=5, outputs=3, rows=11, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    nodes = 2**depth - 1
    parameters = Parameters(normal(nodes, inputs), normal(nodes), normal(nodes).exp(), normal(nodes + 1, outputs))
    weights = normal(rows).exp()
    return parameters, normal(rows, inputs), normal(rows, outputs).softmax(1), weights / weights.sum()


def plain_paths(tensors, X, steepness):
    """Path probabilities of all nodes, as the paper writes them: a product along the way."""
    weight, bias, beta, _ = tensors
    gates = torch.sigmoid(steepness * beta[:, None] * (weight @ X.T + bias[:, None]))
    paths = [torch.ones(len(X), dtype=X.dtype)]
    for node in range(2 * len(weight)):
        parent = node // 2
        paths.append(paths[parent] * (gates[parent] if node % 2 else 1.0 - gates[parent]))
    return torch.stack(paths)


def plain_loss(tensors, paths, targets, weights, loss, classify):
    leaf, leaves = tensors[3], paths[len(tensors[0]) :]
    if not classify:
        if loss == "mixture":
            return weights @ (leaves.T @ leaf - targets).square().sum(1)
        return (weights * (leaves * (leaf[:, None] - targets).square().sum(2)).sum(0)).sum()
    chances = leaf.softmax(1)
    if loss == "mixture":
        return -(weights @ (targets * (leaves.T @ chances).log()).sum(1))
    return -(weights * (leaves * (chances.log() @ targets.T)).sum(0)).sum()


def plain_penalty(paths, weights, strength):
    reach = paths @ weights
    total = torch.zeros((), dtype=paths.dtype)
    for node in range(len(paths) // 2):
        alpha = reach[2 * node + 2] / reach[node]
        depth = (node + 1).bit_length() - 1
        total = total - strength * 2.0**-depth * 0.5 * (alpha.log() + (1 - alpha).log())
    return total


@pytest.mark.parametrize("penalty", [0.0, 0.7])
@pytest.mark.parametrize(("classify", "loss"), list(LOSSES))
def test_the_gradient_is_that_of_the_plain_formulas(classify, loss, penalty):
    parameters, X, targets, weights = drawn()
    # At its first batch, every running average of the penalty is the batch's own
    balance = Balance(parameters, penalty) if penalty else None
    found = gradient(parameters, X, targets, weights, loss=loss, classify=classify, steepness=1.3, balance=balance)
    tensors = [tensor.clone().requires_grad_() for tensor in parameters.tensors()]
    paths = plain_paths(tensors, X, 1.3)
    value = plain_loss(tensors, paths, targets, weights, loss, classify)
    assert float(found.loss) == pytest.approx(float(value.detach()), rel=1e-12)
    if penalty:
        value = value + plain_penalty(paths, weights, penalty)
    for expected, slope in zip(torch.autograd.grad(value, tensors), found.parameters.tensors(), strict=True):
        torch.testing.assert_close(slope, expected, rtol=1e-10, atol=1e-12)


def test_the_penalty_averages_over_a_window_that_doubles_with_depth():
    parameters, *_ = drawn(depth=3)
    balance = Balance(parameters, 1.0)
    reach = torch.ones(7, dtype=torch.float64)
    balance.prices(reach, 0.25 * reach)
    balance.prices(reach, 0.75 * reach)
    alpha = balance.right / balance.reach
    window = torch.tensor([1, 2, 2, 4, 4, 4, 4], dtype=torch.float64)
    keep = 1 - 1 / window
    torch.testing.assert_close(alpha, (0.25 * keep + 0.75) / (keep + 1))


@pytest.mark.parametrize(("classify", "loss"), list(LOSSES))
def test_saturated_gates_give_numbers(classify, loss):
    parameters, X, targets, weights = drawn()
    steep = Parameters(parameters.weight * 1e4, parameters.bias, parameters.beta, parameters.leaf * 1e3)
    single = Parameters(*(tensor.float() for tensor in steep.tensors()))
    balance = Balance(single, 1.0)
    for _ in range(3):
        found = gradient(
            single, X.float(), targets.float(), weights.float(), loss=loss, classify=classify, balance=balance
        )
        assert all(torch.isfinite(tensor).all() for tensor in [found.loss, *found.parameters.tensors()])


def test_path_logs_are_logarithms_of_products():
    parameters, X, *_ = drawn(depth=4)
    scores = parameters.beta[:, None] * (parameters.weight @ X.T + parameters.bias[:, None])
    logs, gates = path_logs(scores)
    torch.testing.assert_close(logs.exp(), plain_paths(parameters.tensors(), X, 1.0))
    torch.testing.assert_close(gates, scores.sigmoid())


def planted(depth=3, seed=0, *, steep=1.0, reading="path", task="classification"):
    rng = np.random.default_rng(seed)
    schema = Schema((Column("age"), Column("job", "nominal", ("clerk", "nurse", "pilot")), Column("wage")))
    inputs, nodes = design_inputs(schema), 2**depth - 1
    values = rng.dirichlet(np.ones(3), 2 * nodes + 1)
    weight, bias = steep * rng.normal(size=(nodes, len(inputs))), steep * rng.normal(size=nodes)
    rows, centre = rng.integers(1, 90, 2 * nodes + 1).astype(float), rng.normal(size=len(inputs))
    return SoftTreeReadable(
        schema, task, ("low", "middle", "high"), inputs, weight, bias, values, rows, centre, reading
    )


def some_rows(n=200, seed=1):
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(size=n), rng.integers(0, 3, n), rng.normal(size=n)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(0.05, 20.0))
def test_the_path_is_the_one_of_greatest_probability(depth, seed, steep):
    tree, Z = planted(depth, seed, steep=steep), some_rows()
    reach = tree.reach(Z)[:, tree.n_nodes :]
    leaf = tree.leaf_of(Z) - tree.n_nodes
    np.testing.assert_allclose(reach[np.arange(len(Z)), leaf], reach.max(axis=1), rtol=1e-12)


@pytest.mark.parametrize("steep", [0.1, 1.0, 30.0])
def test_the_compiled_walk_finds_the_same_leaves(steep):
    pytest.importorskip("numba", reason="numba is not installed")
    tree, Z = planted(6, 3, steep=steep), some_rows(3_000)
    X = tree.design(Z)
    walk = compiled_walk()
    assert walk is not None
    assert np.array_equal(walk(X, tree.weight, tree.bias), path_leaves(X, tree.weight, tree.bias))
    single = walk(X.astype(np.float32), tree.weight.astype(np.float32), tree.bias.astype(np.float32))
    assert np.mean(single == path_leaves(X, tree.weight, tree.bias)) > 0.999


def test_both_readings_and_what_the_average_is():
    tree, Z = planted(), some_rows()
    assert np.array_equal(tree.predict_encoded(Z), tree.values[tree.leaf_of(Z)])
    average = tree.by("average")
    np.testing.assert_allclose(
        average.predict_encoded(Z), tree.reach(Z)[:, tree.n_nodes :] @ tree.values[tree.n_nodes :]
    )
    np.testing.assert_allclose(average.predict_encoded(Z).sum(axis=1), 1.0)


def test_a_reading_says_path_inputs_and_probability():
    tree = planted(steep=2.0)
    frame = pd.DataFrame({"age": [0.3, -1.2], "job": ["nurse", "pilot"], "wage": [1.0, -0.4]})
    Z = tree.schema.encode(frame)
    for row, reading in enumerate(tree.read(frame)):
        assert reading.leaf == tree.leaf_of(Z)[row]
        assert reading.probability == pytest.approx(tree.reach(Z)[row, reading.leaf])
        assert np.prod([step.probability for step in reading.decisions]) == pytest.approx(reading.probability)
        for step in reading.decisions:
            parts = [part for _, _, part in step.inputs]
            offset = tree.bias[step.node] + tree.weight[step.node] @ tree.centre
            assert sum(parts) + offset == pytest.approx(step.score)
            assert np.all(np.diff(np.abs(parts)) <= 0)
        text = reading.text()
        assert f"leaf {reading.leaf}: " in text
        assert "the path's probability is" in text
    assert "[job = 'nurse'] = 1" in tree.read(frame)[0].text(terms=5)


def test_a_cut_tree_keeps_its_first_decisions():
    tree, Z = planted(4), some_rows()
    cut = tree.cut(2)
    assert (cut.depth, cut.n_leaves) == (2, 4)
    assert np.array_equal(cut.weight, tree.weight[:3])
    assert np.array_equal(cut.values, tree.values[:7])
    assert np.array_equal(tree.cut(4).predict_encoded(Z), tree.predict_encoded(Z))
    with pytest.raises(InputError, match="can be cut at 1 to 4; got 5"):
        tree.cut(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": [[0.0] * 5] * 6}, "needs finite weight of shape"),
        ({"bias": [0.0] * 6, "weight": [[0.0] * 5] * 6, "values": [[0.2] * 3] * 13, "rows": [1.0] * 13}, "complete"),
        ({"values": [[float("nan")] * 3] * 15}, "finite values"),
        ({"bias": None}, "malformed"),
        ({"image": [2, 2, 1]}, "has 4 inputs; this tree has 5"),
        ({"image": [-1, -5, 1]}, "malformed"),
        ({"inputs": [[0, -1], [9, 0], [1, 1], [1, 2], [2, -1]]}, "not a column or level"),
        ({"reading": "guess"}, "read by 'path' or 'average'"),
    ],
)
def test_a_malformed_document_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        readable_from_dict({**planted().to_dict(), **change})


def test_text_counts_what_it_leaves_out():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 30))
    tree = SoftTreeClassifier(2, max_steps=50, random_state=0).fit(X, X[:, 0] > 0).readable_
    assert "(26 more)" in tree.text()
    assert tree.text().count("if ") == 3


def test_columns_named_as_pixels_make_an_image():
    def schema(*names):
        return Schema(tuple(Column(name) for name in names))

    assert image_shape(schema("p0", "p1", "p2", "p3")) == (2, 2, 1)
    assert image_shape(schema("p0", "p1", "p2")) is None
    assert image_shape(schema("p0", "p1", "p2", "q3")) is None


def test_an_image_shape_is_kept():
    X = np.random.default_rng(0).random((60, 12))
    tree = SoftTreeRegressor(1, max_steps=20, image_shape=(3, 4), random_state=0).fit(X, X[:, 0])
    assert tree.readable_.image == (3, 4, 1)
    colour = SoftTreeRegressor(1, max_steps=20, image_shape=(2, 2, 3), random_state=0).fit(X, X[:, 0])
    assert colour.readable_.image == (2, 2, 3)


def test_softened_probabilities_are_those_of_divided_scores():
    scores = np.array([[1.0, -2.0, 0.5]])
    chances = np.exp(scores) / np.exp(scores).sum()
    cooler = np.exp(scores / 3) / np.exp(scores / 3).sum()
    np.testing.assert_allclose(softened(chances, 3.0), cooler)
    assert np.array_equal(softened(np.array([[0.0, 1.0]]), 5.0), [[0.0, 1.0]])


def test_l1_leaves_few_weights_and_the_right_ones():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 20))
    y = X[:, 3] + X[:, 7] > 0
    plain = SoftTreeClassifier(1, max_steps=600, random_state=0).fit(X, y)
    sparse = SoftTreeClassifier(1, max_steps=600, l1=0.003, random_state=0).fit(X, y)
    assert np.count_nonzero(plain.readable_.weight) == 20
    assert set(np.flatnonzero(sparse.readable_.weight[0])) == {3, 7}
    assert sparse.score(X, y) > 0.95


def test_hard_labels_can_be_mixed_in():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = (X[:, 0] > 0).astype(int)
    wrong = np.eye(2)[1 - y] * 0.9 + 0.05
    only = SoftTreeClassifier(1, max_steps=200, random_state=0).fit(X, y, y_soft=wrong)
    mixed = SoftTreeClassifier(1, max_steps=200, hard_share=0.9, random_state=0).fit(X, y, y_soft=wrong)
    assert only.score(X, y) < 0.2
    assert mixed.score(X, y) > 0.9


def test_the_leaves_say_what_their_rows_say():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 3))
    y = np.digitize(X[:, 0], [-0.5, 0.5])
    tree = SoftTreeClassifier(3, max_steps=300, random_state=0).fit(X, y)
    leaf = tree.readable_.leaf_of(X)
    for node in np.unique(leaf):
        here = leaf == node
        if here.sum() < 20:
            continue
        shares = np.bincount(y[here], minlength=3) / here.sum()
        np.testing.assert_allclose(tree.readable_.values[node], shares, atol=0.06)
        assert tree.readable_.rows[node] == pytest.approx(here.sum())
    assert np.array_equal(tree.averaged_.weight, tree.readable_.weight)
    assert tree.averaged_.reading == "average"
    assert tree.readable_.rows[0] == pytest.approx(500)
    np.testing.assert_allclose(tree.readable_.values[0], np.bincount(y) / 500, atol=1e-3)


def test_the_front_is_the_tree_cut_at_every_depth():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    tree = SoftTreeRegressor(4, max_steps=200, random_state=0).fit(X, np.abs(X[:, 0]))
    assert [member.readable.depth for member in tree.front_] == [1, 2, 3, 4]
    assert tree.front_[-1].readable == tree.readable_
    assert tree.front_[-1].score == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_depth": 0}, "max_depth must be a whole number of at least 1"),
        ({"max_depth": 15}, "max_depth is at most 14"),
        ({"loss": "mixtur"}, "loss must be one of .* Did you mean 'mixture'"),
        ({"reading": "leaf"}, "reading must be one of"),
        ({"penalty": -1.0}, "penalty must be a number of at least 0"),
        ({"temperature": 0.0}, "temperature must be a number of at least 0.001"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"hard_share": 1.5}, "hard_share must be a number from 0 to 1"),
        ({"image_shape": (5, 5)}, "image_shape is .* with 3 pixels in all"),
        ({"image_shape": "square"}, "image_shape is"),
        ({"device": "tpu"}, "device must be 'cpu'"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
        ({"max_steps": 2.5}, "max_steps must be a whole number"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    X = np.random.default_rng(0).normal(size=(30, 3))
    with pytest.raises(InputError, match=message):
        SoftTreeClassifier(**{"max_depth": 2, "max_steps": 5, **options}).fit(X, X[:, 0] > 0)


def test_a_constant_column_gets_no_weight_and_great_numbers_are_read():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=200), np.full(200, 7.0), 1e150 * rng.normal(size=200)])
    tree = SoftTreeRegressor(2, max_steps=200, random_state=0).fit(X, X[:, 0])
    assert np.all(tree.readable_.weight[:, 1] == 0)
    assert "x1" not in tree.readable_.features_used
    assert np.isfinite(tree.predict(X)).all()


def test_progress_is_told():
    seen = []
    X = np.random.default_rng(0).normal(size=(50, 2))
    student = SoftTreeRegressor(1, max_steps=60, random_state=0, progress=lambda *told: seen.append(told))
    student.fit(X, X[:, 0])
    assert seen[-1] == ("training a soft tree", 60, 60)
    assert len(student.loss_curve_) == len(seen)
