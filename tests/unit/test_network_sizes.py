"""Network students grown up: widths by validation, embeddings, pruning, 8 bits, streams, validation rows, budgets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from limbeck import as_teacher
from limbeck._core.errors import InputError
from limbeck._core.mlp import fit_mlp, forward
from limbeck._core.tables import Table
from limbeck.queries import Munge, ask, stream
from limbeck.readable import pack, unpack
from limbeck.students import NetworkClassifier, NetworkRegressor
from limbeck.students import _network_fit as fit_module
from limbeck.students._network_fit import smallest_as_good

CITIES = np.array([f"city {c}" for c in range(20)], dtype=object)
WORTH = np.random.default_rng(7).normal(size=20)
QUICK: dict[str, Any] = {"max_epochs": 30, "learning_rate": 0.01, "random_state": 0}


def world(n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers of very different size, and a column of twenty levels that decides as much as they do."""
    rng = np.random.default_rng(seed)
    code = rng.integers(20, size=n)
    frame = pd.DataFrame({"wage": rng.normal(50_000, 9_000, n), "share": rng.random(n), "city": CITIES[code]})
    y = np.abs(frame["wage"].to_numpy() / 9_000 - 5.5) + np.sin(6 * frame["share"].to_numpy()) + WORTH[code]
    return frame, y


X, Y = world(1_500, 0)
X_NEW, Y_NEW = world(800, 1)
TABLE = Table.read(X)
PROBABILITIES = np.column_stack([1 / (1 + np.exp(2 * (Y - 2))), 1 / (1 + np.exp(2 * (2 - Y)))])


@pytest.fixture(scope="module")
def whole() -> NetworkRegressor:
    return NetworkRegressor((32, 32), embedding_dims="auto", **QUICK).fit(X, Y)


def test_a_column_of_many_levels_is_embedded(whole: NetworkRegressor) -> None:
    readable = whole.readable_
    assert [(one.column, one.table.shape) for one in readable.embeddings] == [(2, (20, 5))]
    assert readable.inputs == ((0, -1), (1, -1))
    assert whole.score(X_NEW, Y_NEW) > 0.9
    assert unpack(pack(readable)) == readable
    indicators = NetworkRegressor((32, 32), **QUICK).fit(X, Y).readable_
    assert len(indicators.inputs) == 22
    assert len(pack(readable)) < len(pack(indicators))


def test_columns_of_few_levels_keep_their_indicators() -> None:
    frame = X.assign(half=np.where(X["share"] > 0.5, "upper", "lower"))
    readable = NetworkRegressor((8,), embedding_dims=3, max_epochs=2, random_state=0).fit(frame, Y).readable_
    assert [one.table.shape for one in readable.embeddings] == [(20, 3)]
    assert (3, 0) in readable.inputs


def test_a_permuted_column_teaches_an_embedding_nothing() -> None:
    shuffled = X.assign(city=np.random.default_rng(0).permutation(X["city"].to_numpy()))
    model = NetworkRegressor((32, 32), embedding_dims="auto", **QUICK).fit(shuffled, Y)
    assert model.score(X_NEW, Y_NEW) < 0.7


def test_pruned_weights_are_zero_and_the_model_still_answers(whole: NetworkRegressor) -> None:
    pruned = NetworkRegressor((32, 32), embedding_dims="auto", prune=0.7, **QUICK).fit(X, Y)
    first, second, last = pruned.readable_.layers
    assert np.mean(first.weight == 0) == pytest.approx(0.7, abs=0.01)
    assert np.mean(second.weight == 0) == pytest.approx(0.7, abs=0.01)
    assert (last.weight != 0).all()
    assert pruned.score(X_NEW, Y_NEW) > whole.score(X_NEW, Y_NEW) - 0.05
    assert len(pack(pruned.readable_)) < 0.6 * len(pack(whole.readable_))


def test_eight_bits_keep_the_answers_also_of_columns_of_different_size(whole: NetworkRegressor) -> None:
    small = NetworkRegressor((32, 32), embedding_dims="auto", quantize="int8", **QUICK).fit(X, Y)
    assert all(layer.scale is not None for layer in small.readable_.layers)
    assert all(one.scale is not None for one in small.readable_.embeddings)
    assert abs(small.score(X_NEW, Y_NEW) - whole.score(X_NEW, Y_NEW)) < 0.01
    gap = small.predict(X_NEW) - whole.predict(X_NEW)
    assert gap.std() < 0.05 * Y.std()
    assert small.readable_.n_bytes < 0.5 * whole.readable_.n_bytes


def test_the_smallest_width_within_one_paired_standard_error_is_taken() -> None:
    rng = np.random.default_rng(0)
    shared = rng.exponential(size=400)  # rows that are hard for every width: no reason to prefer one
    losses = [shared + 0.5, shared + rng.normal(0, 0.02, 400) + 0.0005, shared]
    assert smallest_as_good(losses) == 1
    assert smallest_as_good([losses[0], shared + 0.01, shared]) == 2
    assert smallest_as_good([shared, shared + 0.5]) == 0
    assert smallest_as_good([shared + 0.01, shared], variance=20.0) == 0
    assert smallest_as_good([shared + 0.01, shared], variance=5.0) == 1


def test_a_width_is_found_by_validation() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 2))
    straight = NetworkRegressor("auto", widths=(2, 8, 32), **QUICK).fit(rows, rows @ [2.0, -1.0])
    assert [len(one.readable.layers[0].bias) for one in straight.front_] == [2, 8, 32]
    assert straight.readable_ in [one.readable for one in straight.front_]
    bent = NetworkRegressor("auto", widths=(2, 8, 32), **QUICK).fit(rows, np.sin(3 * rows[:, 0]) * rows[:, 1])
    assert len(bent.readable_.layers[0].bias) == 32
    assert [one.score for one in bent.front_] == sorted(one.score for one in bent.front_)


def test_a_budget_of_bytes_holds() -> None:
    model = NetworkRegressor("auto", max_bytes=4_000, embedding_dims="auto", max_epochs=5, random_state=0).fit(X, Y)
    assert all(len(pack(one.readable)) <= 4_000 for one in model.front_)
    widest = max(len(one.readable.layers[0].bias) for one in model.front_)
    assert widest not in fit_module.WIDTHS  # the widest that fits is tried too
    eight = NetworkRegressor(
        "auto", max_bytes=4_000, embedding_dims="auto", quantize="int8", max_epochs=5, random_state=0
    ).fit(X, Y)
    assert max(len(one.readable.layers[0].bias) for one in eight.front_) > widest
    with pytest.raises(InputError, match=r"no network fits into 300 bytes.*quantize='int8'"):
        NetworkRegressor("auto", max_bytes=300, max_epochs=1).fit(X, Y)
    with pytest.raises(InputError, match=r"takes [\d,]+ bytes, more than max_bytes = 1,000; use fewer units"):
        NetworkRegressor((64, 64), max_bytes=1_000, max_epochs=1).fit(X, Y)


class Parts:
    """A stream that counts how often it is read, and the rows it holds at once."""

    def __init__(self, frame: pd.DataFrame, answers: np.ndarray, size: int) -> None:
        self.frame, self.answers, self.size, self.read = frame, answers, size, 0

    def __iter__(self) -> Iterator[tuple[Any, np.ndarray]]:
        self.read += 1
        for start in range(0, len(self.frame), self.size):
            yield self.frame.iloc[start : start + self.size], self.answers[start : start + self.size]


def test_a_stream_teaches_what_its_rows_would() -> None:
    few, held = TABLE.take(np.arange(40)), (X_NEW.iloc[:300], Y_NEW[:300])
    alone = NetworkRegressor((32, 32), embedding_dims="auto", **QUICK).fit(few, Y[:40], validation=held)
    parts = Parts(X, Y, 400)
    streamed = NetworkRegressor((32, 32), embedding_dims="auto", **QUICK).fit(
        few, Y[:40], stream=parts, validation=held
    )
    assert streamed.score(X_NEW, Y_NEW) > 0.9 > alone.score(X_NEW, Y_NEW) + 0.1
    assert parts.read == streamed.n_iter_ + 2  # once to count, once for the moments, then once a pass
    again = NetworkRegressor((32, 32), embedding_dims="auto", **QUICK).fit(
        few, Y[:40], stream=Parts(X, Y, 400), validation=held
    )
    assert again.readable_ == streamed.readable_


def test_a_classifier_takes_a_stream_of_probabilities() -> None:
    model = NetworkClassifier((16,), **QUICK).fit(
        TABLE.take(np.arange(50)),
        None,
        y_soft=PROBABILITIES[:50],
        classes=["poor", "rich"],
        stream=[(X.iloc[50:800], PROBABILITIES[50:800]), (X.iloc[800:], PROBABILITIES[800:])],
        validation=(X.iloc[:50], PROBABILITIES[:50]),
    )
    assert model.classes_.tolist() == ["poor", "rich"]
    assert np.mean((model.predict(X_NEW) == "rich") == (Y_NEW > 2)) > 0.85


def test_a_stream_that_orders_its_classes_otherwise_is_refused() -> None:
    """Probabilities in another order than the labels' would teach every class the other's."""
    teacher = as_teacher(lambda rows: np.tile([0.9, 0.1], (len(rows), 1)), classes=["rich", "poor"])
    answers, labels = ask(stream(Munge(), TABLE, 200, seed=0), teacher), np.where(Y > 2, "rich", "poor")
    with pytest.raises(InputError, match=r"probabilities of \['rich', 'poor'\].*Give classes=\['rich', 'poor'\]"):
        NetworkClassifier((4,), max_epochs=1).fit(TABLE, labels, stream=answers)
    model = NetworkClassifier((4,), max_epochs=1).fit(TABLE, labels, classes=["rich", "poor"], stream=answers)
    assert model.classes_.tolist() == ["rich", "poor"]


@pytest.mark.parametrize(
    ("stream", "match"),
    [
        ((pair for pair in [(X, Y)]), "iterable again and again; got a generator"),
        ([], "a stream needs at least one part"),
        ([(X, np.column_stack([Y, Y]))], r"parts of a stream must be X \(n, 3\) and Y \(n, 1\)"),
        ([(X, np.where(np.arange(len(Y)) == 5, np.nan, Y))], "every number in a stream must be finite"),
        ([(X.drop(columns="share"), Y)], r"the rows lack the column\(s\) \['share'\]"),
        ([(X.assign(city="Atlantis"), Y)], "Atlantis"),
    ],
)
def test_bad_streams(stream: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        NetworkRegressor((4,), embedding_dims="auto", max_epochs=1).fit(X, Y, stream=stream)


@pytest.mark.parametrize(
    ("validation", "match"),
    [
        (X, "validation is a pair"),
        ((X, np.column_stack([Y, Y])), r"validation needs 1 finite answer\(s\) a row"),
        ((X, np.full(len(X), np.inf)), r"validation needs 1 finite answer\(s\) a row"),
        ((X.drop(columns="wage"), Y), r"the rows lack the column\(s\) \['wage'\]"),
    ],
)
def test_bad_validation_rows(validation: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        NetworkRegressor((4,), max_epochs=1).fit(X, Y, validation=validation)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"embedding_dims": 0}, "embedding_dims must be a whole number of at least 1, 'auto' or None; got 0"),
        ({"prune": 1.0}, "prune, a share of the weights, must be from 0 to below 1; got 1.0"),
        ({"quantize": "int4"}, "quantize must be 'int8' or None; got 'int4'"),
        ({"max_bytes": 0}, "max_bytes must be a whole number of at least 1, or None; got 0"),
        ({"hidden_layer_sizes": "auto", "widths": ()}, "widths must name at least one width"),
        ({"hidden_layer_sizes": "auto", "widths": (0,)}, r"widths must be whole numbers of at least 1; got \(0,\)"),
    ],
)
def test_bad_forms(given: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        NetworkRegressor(**given).fit(X, Y)


def test_an_interrupted_search_keeps_the_widths_that_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = fit_module.fit_mlp, []

    def cut(*args: Any, **given: Any) -> Any:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(given["hidden"])
        return real(*args, **given)

    monkeypatch.setattr(fit_module, "fit_mlp", cut)
    model = NetworkRegressor("auto", widths=(4, 8, 16), max_epochs=3, random_state=0).fit(X, Y)
    assert not model.complete_
    assert [len(one.readable.layers[0].bias) for one in model.front_] == [4, 8]
    done[:] = [(0, 0)] * 2
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        NetworkRegressor("auto", widths=(4, 8, 16), max_epochs=3, random_state=0).fit(X, Y)


def test_the_training_itself_embeds_and_prunes() -> None:
    Z = TABLE.values
    trained = fit_mlp(Z, Y, task="regression", hidden=(16,), embeddings=[(20, 3)], prune=0.5, max_epochs=40, lr=0.01)
    assert trained.tables[0].shape == (20, 3)
    assert trained.n_inputs == 3
    assert np.mean(trained.weights[0] == 0) == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(forward(trained, Z)[:, 0], Y)[0, 1] > 0.8
    with pytest.raises(InputError, match="an embedding of 19 levels needs positions from 0 to 18"):
        fit_mlp(Z, Y, task="regression", embeddings=[(19, 3)], max_epochs=1)
    with pytest.raises(InputError, match=r"prune, the share of the weights that become 0, must be in \[0, 1\)"):
        fit_mlp(Z, Y, task="regression", prune=1.0, max_epochs=1)
