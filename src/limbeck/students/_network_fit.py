"""The fit behind the network students: rows to inputs, one training a width, the width by validation, the frozen form.

Source
------
Bucila2006, section 4: one small network fitted to a large model's answers on many rows. Breiman1984, section 3.4.3:
the smallest size within one standard error of the best.

Departures
----------
- A classifier fits the teacher's probabilities by cross-entropy, not by squared error.
- A column of many levels may enter as an embedding of a few numbers a level (the paper's failure case is such a table).
- Widths are compared on the teacher's answers to validation rows by the squared error that the paper reports, and the
  standard error is that of the *paired* difference to the best width: with the unpaired one nearly every width would
  be as good as the best. A width that costs less than a thousandth of R2 is as good, too: where all are nearly
  exact, the difference is smaller than anybody cares about.
- Equal rows are merged first: a row of weight 3 is exactly a row that comes three times, in any order.

Cost
----
One training a width; see `NetworkRegressor`. A stream is read once for its moments and once an epoch, a part at a time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.mlp import MLPWeights, fit_mlp
from limbeck._core.progress import Report
from limbeck._core.seeds import draw_seeds
from limbeck._core.tables import Schema, Table
from limbeck.readable import Embedding, Layer, NetworkReadable, pack
from limbeck.readable._network import Input, design_inputs, design_matrix
from limbeck.students._fitting import TrainingRows
from limbeck.students._members import Member
from limbeck.students._network_precision import quantized, rounded

__all__ = ["FittedNetwork", "Options", "fit_network", "smallest_as_good"]

VALIDATION_ROWS = 200
"""From so many different rows on, a tenth of them is held out to stop by."""
WIDTHS = (8, 16, 32, 64, 128, 256)
"""What is tried unless told otherwise: `DEPTH` hidden layers of so many units."""
DEPTH = 3
"""Of two, three and four layers of 128 units, three came nearest to an ensemble of trees for their size (Covertype)."""
MANY_LEVELS = 8
"""From so many levels on, a column is embedded where `embedding_dims` is "auto"."""
TOLERANCE = 1e-3
"""What a smaller network may cost and still be as good as the best: a thousandth of the answers' variance (R2)."""
CHECKED_ROWS = 20_000
"""On at most so many rows rounding is checked."""


@dataclass(frozen=True)
class Options:
    """The checked arguments of a network student."""

    hidden: tuple[int, ...] | None
    activation: str
    max_epochs: int
    learning_rate: float
    weight_decay: float
    embedding_dims: int | str | None
    prune: float
    quantize: str | None
    max_bytes: int | None
    random_state: Any
    widths: tuple[int, ...] = WIDTHS


@dataclass(frozen=True)
class FittedNetwork:
    """What a fit comes to.

    Attributes
    ----------
    readable : NetworkReadable
    history : tuple of (float, float)
        Training loss and the loss that training stopped by, an epoch.
    front : tuple of Member
        A network a width that was tried, the smallest first; the score is minus the RMSE to the teacher's answers on
        the validation rows.
    complete : bool
        False after Ctrl-C: the widths that were done by then.
    """

    readable: NetworkReadable
    history: tuple[tuple[float, float], ...]
    front: tuple[Member, ...]
    complete: bool = True


def fit_network(
    rows: TrainingRows,
    options: Options,
    *,
    stream: Any = None,
    validation: tuple[Table, np.ndarray] | None = None,
    report: Report | None = None,
) -> FittedNetwork:
    """The network for these rows, or the best of several widths."""
    if len(rows) < 2:
        raise InputError(f"a network needs at least 2 rows to train on; got n_samples = {len(rows)}")
    rows = rows.distinct()
    if len(rows) < 2:
        rows = rows.take(np.array([0, 0]))
    plan = _Inputs.of(rows.table.schema, options.embedding_dims)
    seeds = draw_seeds(options.random_state, 2)
    if stream is not None:
        stream = _Streamed(stream, rows.table.schema, plan, sum(len(answers) for _, answers in stream))
    if options.hidden is not None:
        checked = None if validation is None else (plan.values(validation[0].values), validation[1])
        trained = _train(rows, plan, options, options.hidden, seeds[0], stream, checked, report)
        own = _frozen(rows, plan, options, trained)
        _check_bytes(own, options.max_bytes)
        return FittedNetwork(own, trained.history, ())
    if validation is None:
        rows, validation = _held_out(rows, seeds[1])
    return _search(rows, plan, options, seeds[0], stream, validation, report)


@dataclass(frozen=True)
class _Inputs:
    """How columns enter: numbers and indicators, then positions of the levels of embedded columns."""

    inputs: tuple[Input, ...]
    embedded: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, schema: Schema, dims: int | str | None) -> _Inputs:
        """The inputs for a table, with embeddings of `dims` numbers where asked."""
        levels = [len(column.levels) for column in schema.columns]
        if dims is None:
            embedded: list[int] = []
        elif dims == "auto":
            embedded = [j for j, count in enumerate(levels) if count >= MANY_LEVELS]
        else:
            embedded = [j for j, count in enumerate(levels) if count > int(dims)]
        shapes = [(levels[j], _auto_dims(levels[j]) if dims == "auto" else int(dims or 0)) for j in embedded]
        return cls(design_inputs(schema, embedded), tuple(embedded), tuple(shapes))

    @property
    def width(self) -> int:
        """The rows of the first layer."""
        return len(self.inputs) + sum(dims for _, dims in self.shapes)

    def values(self, Z: np.ndarray) -> np.ndarray:
        """What the training takes ``(n, m)``."""
        X = design_matrix(self.inputs, Z) if self.inputs else np.empty((len(Z), 0))
        return np.column_stack([X, Z[:, list(self.embedded)]]) if self.embedded else X


def _auto_dims(levels: int) -> int:
    return int(min(8, math.ceil(math.sqrt(levels))))


def _train(
    rows: TrainingRows,
    plan: _Inputs,
    options: Options,
    hidden: tuple[int, ...],
    seed: int,
    stream: _Streamed | None,
    validation: tuple[np.ndarray, np.ndarray] | None,
    report: Report | None,
) -> MLPWeights:
    n = len(rows) + (0 if stream is None else stream.rows)
    weights = rows.weights / rows.weights.mean() if stream is None else rows.weights
    return fit_mlp(
        plan.values(rows.values),
        rows.targets,
        task=rows.task,  # type: ignore[arg-type]
        hidden=hidden,
        weights=weights,
        validation=validation if validation is not None else (0.1 if len(rows) >= VALIDATION_ROWS else None),
        max_epochs=options.max_epochs,
        patience=max(10, options.max_epochs // 4),
        batch_size=batch_size(n),
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
        seed=seed,
        activation=options.activation,
        progress=report,
        embeddings=plan.shapes,
        prune=options.prune,
        stream=stream,
    )


@dataclass(frozen=True)
class _Streamed:
    """A stream of (rows, answers) as the training takes it."""

    stream: Any
    schema: Schema
    plan: _Inputs
    rows: int

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for rows, answers in self.stream:
            answers = np.asarray(answers, dtype=np.float64)
            yield self.plan.values(self.schema.encode(rows)), answers.reshape(len(answers), -1)


def _frozen(rows: TrainingRows, plan: _Inputs, options: Options, trained: MLPWeights) -> NetworkReadable:
    layers = [Layer(weight, bias) for weight, bias in zip(trained.weights, trained.biases, strict=True)]
    exact = _readable(rows, plan, options, layers, trained.tables)
    if options.quantize == "int8" and trained.input_scales is not None:
        return quantized(exact, trained.input_scales)
    return rounded(exact, rows.values[:CHECKED_ROWS])


def _search(
    rows: TrainingRows,
    plan: _Inputs,
    options: Options,
    seed: int,
    stream: _Streamed | None,
    validation: tuple[Table, np.ndarray],
    report: Report | None,
) -> FittedNetwork:
    """A network of every width that fits, and of these the smallest that is as good as the best."""
    held = (plan.values(validation[0].values), validation[1])
    found: list[tuple[NetworkReadable, np.ndarray, tuple[tuple[float, float], ...]]] = []
    complete = True
    for width in _widths(rows, plan, options):
        try:
            trained = _train(rows, plan, options, (width,) * DEPTH, seed, stream, held, _named(report, width))
        except KeyboardInterrupt:
            if not found:
                raise
            complete = False
            break
        readable = _frozen(rows, plan, options, trained)
        if options.max_bytes is None or len(pack(readable)) <= options.max_bytes:
            losses = ((readable.predict_encoded(validation[0].values) - validation[1]) ** 2).mean(axis=1)
            found.append((readable, losses, trained.history))
    if not found:
        raise _too_small(options.max_bytes)
    chosen = smallest_as_good([losses for _, losses, _ in found], float(validation[1].var(axis=0).mean()))
    front = tuple(
        Member(readable, readable.complexity, -float(np.sqrt(losses.mean()))) for readable, losses, _ in found
    )
    return FittedNetwork(found[chosen][0], found[chosen][2], front, complete)


def _named(report: Report | None, width: int) -> Report | None:
    if report is None:
        return None
    return lambda what, done, total: report(f"{what} of {DEPTH} x {width} units", done, total)


def smallest_as_good(losses: list[np.ndarray], variance: float = 0.0) -> int:
    """The first of the lists, smallest network first, whose mean is as good as the least.

    That is, within one paired standard error of it, or above it by less than `TOLERANCE` of the answers' variance.
    """
    best = int(np.argmin([each.mean() for each in losses]))
    for i, each in enumerate(losses):
        gap = each - losses[best]
        if gap.mean() <= max(gap.std() / math.sqrt(len(gap)), TOLERANCE * variance):
            return i
    return best


def _held_out(rows: TrainingRows, seed: int) -> tuple[TrainingRows, tuple[Table, np.ndarray]]:
    """Rows to train on, and a fifth of them (at least 1) to compare widths on."""
    order = np.random.default_rng(seed).permutation(len(rows))
    size = max(1, len(rows) // 5)
    held, rest = np.sort(order[:size]), np.sort(order[size:])
    return rows.take(rest), (rows.table.take(held), rows.targets[held])


def _widths(rows: TrainingRows, plan: _Inputs, options: Options) -> list[int]:
    """The widths to try, the smallest first: those that the size leaves room for, and the widest that it does."""
    most = options.max_bytes
    if most is None:
        return list(options.widths)
    low, high = 0, options.widths[-1]  # size grows with width, so the widest is found by halving
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _size_of(rows, plan, options, middle) <= most else (low, middle - 1)
    if not low:
        raise _too_small(most)
    return sorted({*(width for width in options.widths if width <= low), low})


def _size_of(rows: TrainingRows, plan: _Inputs, options: Options, width: int) -> int:
    """The bytes of a network of this width and form, whatever it has learnt: one of random weights."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32).astype(np.float64)

    sizes = (plan.width, *(width,) * DEPTH, rows.targets.shape[1])
    layers: list[Layer] = []
    for a, b in itertools.pairwise(sizes):
        weight = drawn(a, b)
        if len(layers) < len(sizes) - 2:
            weight.ravel()[: int(options.prune * weight.size)] = 0.0
        layers.append(Layer(weight, drawn(b)))
    tables = [drawn(*shape) for shape in plan.shapes]
    readable = _readable(rows, plan, options, layers, tables)
    if options.quantize == "int8":
        readable = quantized(readable, np.abs(drawn(len(plan.inputs))) + 0.1)
    return len(pack(readable))


def _readable(
    rows: TrainingRows, plan: _Inputs, options: Options, layers: Sequence[Layer], tables: Sequence[np.ndarray]
) -> NetworkReadable:
    embeddings = tuple(Embedding(j, table) for j, table in zip(plan.embedded, tables, strict=True))
    return NetworkReadable(
        rows.table.schema,
        rows.task,  # type: ignore[arg-type]
        rows.output_names,
        plan.inputs,
        tuple(layers),
        options.activation,  # type: ignore[arg-type]
        embeddings,
    )


def _too_small(max_bytes: int | None) -> InputError:
    return InputError(
        f"no network fits into {max_bytes:,} bytes with the names of these columns and levels; allow more bytes, "
        "set quantize='int8', prune, or leave out columns"
    )


def _check_bytes(readable: NetworkReadable, max_bytes: int | None) -> None:
    if max_bytes is not None and len(pack(readable)) > max_bytes:
        raise InputError(
            f"this network takes {len(pack(readable)):,} bytes, more than max_bytes = {max_bytes:,}; use fewer units, "
            "hidden_layer_sizes='auto', quantize='int8' or prune"
        )


def batch_size(n: int) -> int:
    """A power of two with about 20 batches an epoch."""
    return int(np.clip(2 ** round(math.log2(n / 20)), 16, 1024)) if n > 20 else 16
