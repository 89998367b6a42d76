"""A multilayer perceptron: one training loop, and the trained weights as plain NumPy.

Knows nothing of interpretability; the default teacher and the small network student both use it.

Departures: inputs and targets are standardised with weighted statistics inside `fit_mlp`, and the standardisation is
folded into the first and the last layer, so `forward` takes raw inputs and gives raw outputs. An input that does not
vary has weight 0: nothing can be learnt from it.
Checked: `forward` against the torch network it came from, to 1e-5 in float32 and 1e-10 in float64.
Cost: O(epochs * n * sum(width_in * width_out)); memory O(n * d + batch_size * max(width)).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Report

if TYPE_CHECKING:
    from limbeck._core.mlp_loop import Part, Penalised

__all__ = ["ACTIVATIONS", "MLPWeights", "Stream", "fit_mlp", "forward", "softmax"]

Task: TypeAlias = Literal["regression", "classification"]
Stream: TypeAlias = Iterable[tuple[np.ndarray, np.ndarray]]
"""Parts ``(X, Y)`` of rows that need not fit into memory together; can be iterated again and again."""


def _silu(x: np.ndarray) -> np.ndarray:
    # x * sigmoid(x), with a sigmoid that cannot overflow
    return np.asarray(x * 0.5 * (1.0 + np.tanh(0.5 * x)))


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "silu": _silu,
    "tanh": np.tanh,
}


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities ``(n, k)`` from scores ``(n, k)``; rows sum to 1."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class MLPWeights:
    """A trained network as numbers: ``h = act(h @ W + b)`` for every layer but the last, which is linear.

    Attributes
    ----------
    weights : tuple of arrays ``(width_in, width_out)``
    biases : tuple of arrays ``(width_out,)``
    activation : {"relu", "silu", "tanh"}
    task : {"regression", "classification"}
        In classification the last layer gives scores whose softmax are the probabilities.
    tables : tuple of arrays ``(levels, dims)``
        Embeddings: the last ``len(tables)`` inputs are positions of levels, and each stands for a row of its table.
    input_scales : array ``(numbers,)``
        The standard deviation of each input that is a number, as it was trained on.
    history : tuple of (float, float)
        For each epoch the training loss and the loss that training stopped by (standardised units).
    best_epoch : int
        The epoch whose weights these are, from 0.
    stopped : {"patience", "max_epochs", "time", "diverged"}
        Why training ended; "diverged" where a loss was not finite (the best weights until then are kept).
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    activation: str
    task: Task
    history: tuple[tuple[float, float], ...] = ()
    best_epoch: int = 0
    stopped: str = "max_epochs"
    tables: tuple[np.ndarray, ...] = ()
    input_scales: np.ndarray | None = None

    @property
    def n_inputs(self) -> int:
        """The number of inputs: numbers, then positions of levels."""
        return int(self.weights[0].shape[0]) - sum(table.shape[1] - 1 for table in self.tables)

    @property
    def n_outputs(self) -> int:
        """The number of outputs, or of classes."""
        return int(self.weights[-1].shape[1])

    def to_dict(self) -> dict[str, Any]:
        """The network as JSON types, every number exact."""
        return {
            "activation": self.activation,
            "task": self.task,
            "weights": [weight.tolist() for weight in self.weights],
            "biases": [bias.tolist() for bias in self.biases],
            "history": [list(pair) for pair in self.history],
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MLPWeights:
        """The network that `to_dict` wrote; layers that do not fit together are refused."""
        try:
            weights = tuple(np.array(weight, dtype=np.float64) for weight in data["weights"])
            biases = tuple(np.array(bias, dtype=np.float64) for bias in data["biases"])
            history = tuple((float(a), float(b)) for a, b in data["history"])
            best_epoch, stopped, task = int(data["best_epoch"]), str(data["stopped"]), data["task"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"a saved network needs weights, biases and history as numbers; got {error}") from None
        shapes = [weight.shape for weight in weights]
        fits = len(biases) == len(weights) > 0 and all(len(shape) == 2 for shape in shapes)
        fits = fits and all(b.shape == shape[1:] for b, shape in zip(biases, shapes, strict=True))
        if not fits or any(a[1] != b[0] for a, b in itertools.pairwise(shapes)):
            raise InputError(f"the layers of a saved network must fit together; got {shapes}")
        if task not in ("regression", "classification"):
            raise InputError(f"task must be 'regression' or 'classification'; got {task!r:.80}")
        return cls(weights, biases, _known_activation(data.get("activation")), task, history, best_epoch, stopped)


def _known_activation(name: Any) -> str:
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(f"activation must be one of {sorted(ACTIVATIONS)}; got {name!r:.80}")
    return name


def forward(network: MLPWeights, X: np.ndarray, *, batch_rows: int = 8192) -> np.ndarray:
    """The network's outputs ``(n, k)`` in float64: values in regression, probabilities in classification."""
    X = np.asarray(X, dtype=np.float64)
    if X.ndim != 2 or X.shape[1] != network.n_inputs:
        raise InputError(f"the network takes rows of shape (n, {network.n_inputs}); got shape {X.shape}")
    out = np.empty((len(X), network.n_outputs))
    act = ACTIVATIONS[network.activation]
    numbers = network.n_inputs - len(network.tables)
    for start in range(0, len(X), batch_rows):
        h = X[start : start + batch_rows]
        if network.tables:
            codes = h[:, numbers:].astype(np.int64).T
            found = [table[code] for table, code in zip(network.tables, codes, strict=True)]
            h = np.hstack([h[:, :numbers], *found])
        for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
            h = act(h @ weight + bias)
        h = h @ network.weights[-1] + network.biases[-1]
        out[start : start + batch_rows] = softmax(h) if network.task == "classification" else h
    return out


def fit_mlp(
    X: np.ndarray,
    Y: np.ndarray,
    *,
    task: Task,
    hidden: Sequence[int] = (64, 64),
    weights: np.ndarray | None = None,
    validation: float | tuple[np.ndarray, np.ndarray] | None = 0.15,
    max_epochs: int = 300,
    patience: int = 40,
    batch_size: int = 256,
    lr: float = 3e-3,
    weight_decay: float = 1e-4,
    seed: int = 0,
    activation: str = "silu",
    dtype: Literal["float32", "float64"] = "float32",
    max_seconds: float | None = None,
    progress: Report | None = None,
    embeddings: Sequence[tuple[int, int]] = (),
    prune: float = 0.0,
    stream: Stream | None = None,
    penalty: Penalised | None = None,
) -> MLPWeights:
    """A trained network, with the weights of the epoch that was best on the validation part.

    AdamW, a learning rate that rises and falls once (one cycle), mean squared error of the standardised targets in
    regression, cross-entropy to class indices or to probabilities in classification. torch's global random state and
    number of threads are as they were. The same seed gives the same network on one machine.

    Parameters
    ----------
    X : array ``(n, d)``
    Y : array
        Regression: ``(n,)`` or ``(n, k)``. Classification: class indices ``(n,)`` of an integer type, or probabilities
        ``(n, k)``.
    weights : array ``(n,)``, optional
        A weight for each row, at least 0; used in the statistics, the loss and the validation loss.
    validation : float in [0, 1), pair of arrays, or None
        The fraction of rows held out to stop by, or the rows ``(X, Y)`` themselves; with None or 0 all rows are
        trained on, and training stops by its own loss.
    patience : int
        Epochs without improvement after which training stops.
    max_seconds : float, optional
        Training stops after this time. The result then depends on the machine.
    progress : function, optional
        Called after each epoch with what is being done, the epoch, and the number of epochs.
    embeddings : sequence of (int, int)
        Levels and dims of an embedding for each of the last columns of `X`, which hold positions of levels.
    prune : float in [0, 1)
        The share of the weights that become 0, the least first (all layers but the last), while training goes on.
    stream : iterable of pairs of arrays, optional
        More rows ``(X, Y)`` to train on, each of weight 1, in parts that are read anew for every epoch, so that they
        need not fit into memory. What can be iterated once only (a generator) is refused.
    penalty : function, optional
        From the network and a batch of standardised inputs, in a random order, to the network's answers (standardised,
        or scores) and a scalar that is added to the loss of each step. The loss that training stops by is without it.

    Raises
    ------
    InputError
        Where shapes do not fit, a value is not finite, or weights are negative or all zero.

    Examples
    --------
    >>> X = np.linspace(-1, 1, 64)[:, None]
    >>> network = fit_mlp(X, 2 * X[:, 0], task="regression", hidden=(8,), seed=0)
    >>> forward(network, X).shape
    (64, 1)
    """
    import torch

    from limbeck._core.mlp_loop import MoreRows, Plan, train

    X, Y, weights = _checked(X, Y, weights, task)
    _known_activation(activation)
    numbers = _check_shape(X, embeddings, prune)
    rows = _split(X, Y, weights, validation, np.random.default_rng(seed))
    moments, sizes = Moments.of(rows[0], numbers, task), ()  # type: tuple[Moments, tuple[int, ...]]
    if stream is not None:
        moments, sizes = _stream_moments(rows[0], stream, numbers, task)
    plan = Plan(
        widths=(numbers, *(int(width) for width in hidden), Y.shape[1]),
        activation=activation,
        task=task,
        max_epochs=max_epochs,
        patience=patience,
        batch_size=batch_size,
        lr=lr,
        weight_decay=weight_decay,
        seed=seed,
        dtype=torch.float64 if dtype == "float64" else torch.float32,
        max_seconds=max_seconds,
        progress=progress or (lambda what, done, total: None),
        embeddings=tuple((int(levels), int(dims)) for levels, dims in embeddings),
        prune=float(prune),
        penalty=penalty,
    )
    parts = [moments.standardised(part) for part in rows]
    more = None if stream is None else MoreRows(_StandardisedStream(stream, moments), sizes)
    done = train(parts[0], parts[-1], plan, more)
    matrices, biases = moments.folded(done.layers)
    return MLPWeights(
        matrices,
        biases,
        activation,
        task,
        done.history,
        done.best_epoch,
        done.stopped,
        tuple(done.tables),
        moments.x_scale,
    )


def _check_shape(X: np.ndarray, embeddings: Sequence[tuple[int, int]], prune: float) -> int:
    """The number of columns that are numbers; the others must hold positions of levels."""
    if not 0 <= prune < 1:
        raise InputError(f"prune, the share of the weights that become 0, must be in [0, 1); got {prune!r:.60}")
    numbers = X.shape[1] - len(embeddings)
    if numbers < 0:
        raise InputError(f"{len(embeddings)} embeddings need as many columns; X has {X.shape[1]}")
    for (levels, dims), codes in zip(embeddings, X[:, numbers:].T, strict=True):
        if dims < 1 or codes.min() < 0 or codes.max() >= levels or (codes != np.rint(codes)).any():
            raise InputError(f"an embedding of {levels} levels needs positions from 0 to {levels - 1}; got others")
    return numbers


def _checked(
    X: np.ndarray, Y: np.ndarray, weights: np.ndarray | None, task: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Float64 inputs ``(n, d)``, targets ``(n, k)`` and weights ``(n,)``."""
    if task not in ("regression", "classification"):
        raise InputError(f"task must be 'regression' or 'classification'; got {task!r:.80}")
    X, Y = np.asarray(X, dtype=np.float64), np.asarray(Y)
    if X.ndim != 2 or Y.ndim not in (1, 2) or len(X) != len(Y) or len(X) < 2:
        raise InputError(f"at least 2 rows, X (n, d) and Y (n,) or (n, k) are required; got {X.shape} and {Y.shape}")
    if task == "classification" and Y.ndim == 1:
        if Y.dtype.kind not in "iu" or Y.min() < 0:
            raise InputError(f"class indices must be integers from 0; got dtype {Y.dtype}")
        Y = np.eye(int(Y.max()) + 1)[Y]
    Y = np.asarray(Y, dtype=np.float64).reshape(len(X), -1)
    w = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (len(X),) or not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise InputError(f"weights must be one finite number >= 0 a row, not all 0; got shape {w.shape}")
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise InputError("every number in X and Y must be finite; got NaN or infinity")
    return X, Y, w


def _split(
    X: np.ndarray,
    Y: np.ndarray,
    w: np.ndarray,
    validation: float | tuple[np.ndarray, np.ndarray] | None,
    rng: np.random.Generator,
) -> list[Part]:
    """The rows to train on, then the rows to stop by, where there are any."""
    everything = (X[w > 0], Y[w > 0], w[w > 0])
    if isinstance(validation, tuple):
        held_x, held_y = np.asarray(validation[0], dtype=np.float64), np.asarray(validation[1])
        if held_y.ndim == 1 and held_y.dtype.kind in "iu" and Y.shape[1] > 1:
            held_y = np.eye(Y.shape[1])[held_y]
        held_y = np.asarray(held_y, dtype=np.float64).reshape(len(held_y), -1)
        if held_x.shape[1:] != X.shape[1:] or held_y.shape[1:] != Y.shape[1:] or len(held_x) != len(held_y):
            raise InputError(f"validation rows must be shaped as X and Y; got {held_x.shape} and {held_y.shape}")
        return [everything, (held_x, held_y, np.ones(len(held_x)))]
    if validation is not None and not 0 <= validation < 1:
        raise InputError(f"validation must be a fraction in [0, 1), a pair of arrays, or None; got {validation!r}")
    n = len(everything[0])
    size = round(n * (validation or 0.0))
    if size < 1:
        return [everything]
    order = rng.permutation(n)
    chosen, rest = order[:size], order[size:]
    x, y, w = everything
    return [(x[rest], y[rest], w[rest]), (x[chosen], y[chosen], w[chosen])]


@dataclass(frozen=True)
class Moments:
    """Weighted means and standard deviations of inputs (numbers only) and targets; which inputs do not vary."""

    x_mean: np.ndarray
    x_scale: np.ndarray
    constant: np.ndarray
    y_mean: np.ndarray
    y_scale: np.ndarray

    @classmethod
    def of(cls, part: Part, numbers: int, task: str) -> Moments:
        """The moments of rows in memory."""
        x, y, w = part
        return cls.from_sums(_sums(x[:, :numbers], w), _sums(y, w), task)

    @classmethod
    def from_sums(cls, x: Sums, y: Sums, task: str) -> Moments:
        """The moments from sums of weights, means, and weighted variances."""
        x_scale, constant = _scale(x)
        y_scale, _ = _scale(y)
        if task != "regression":
            return cls(x[1], x_scale, constant, np.zeros(1), np.ones(1))
        return cls(x[1], x_scale, constant, y[1], y_scale)

    def standardised(self, part: Part) -> Part:
        """The rows as they are trained on: numbers and targets standardised, positions of levels as they are."""
        x, y, w = part
        numbers = len(self.x_mean)
        scaled = np.where(self.constant, 0.0, (x[:, :numbers] - self.x_mean) / self.x_scale)
        return np.hstack([scaled, x[:, numbers:]]), (y - self.y_mean) / self.y_scale, w

    def folded(
        self, layers: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
        """Weights on raw inputs and to raw outputs, from weights on standardised ones."""
        matrices, biases = [layer[0] for layer in layers], [layer[1] for layer in layers]
        numbers = len(self.x_mean)
        raw = np.where(self.constant[:, None], 0.0, matrices[0][:numbers] / self.x_scale[:, None])
        matrices[0] = np.vstack([raw, matrices[0][numbers:]])
        biases[0] = biases[0] - self.x_mean @ raw
        matrices[-1] = matrices[-1] * self.y_scale
        biases[-1] = biases[-1] * self.y_scale + self.y_mean
        return tuple(matrices), tuple(biases)


Sums: TypeAlias = tuple[float, np.ndarray, np.ndarray]
"""The total weight, the mean, and the variance of each column."""


def _sums(values: np.ndarray, w: np.ndarray) -> Sums:
    total = float(w.sum())
    mean = w @ values / total
    return total, mean, w @ (values - mean) ** 2 / total


def _joined(one: Sums, other: Sums) -> Sums:
    """The sums of two sets of rows together."""
    total = one[0] + other[0]
    a, b = one[0] / total, other[0] / total
    mean = a * one[1] + b * other[1]
    return total, mean, a * one[2] + b * other[2] + a * b * (one[1] - other[1]) ** 2


def _scale(sums: Sums) -> tuple[np.ndarray, np.ndarray]:
    """The standard deviation of each column, 1 for one that does not vary, and which do not."""
    _, mean, variance = sums
    scale = np.sqrt(variance)
    constant = scale <= 1e-12 * np.maximum(1.0, np.abs(mean))
    return np.where(constant, 1.0, scale), constant


def _stream_moments(part: Part, stream: Stream, numbers: int, task: str) -> tuple[Moments, tuple[int, ...]]:
    """The moments of rows in memory and of a stream together, and the sizes of its parts: one reading of the stream."""
    if iter(stream) is iter(stream):
        raise InputError("a stream is read once for each pass; give what can be iterated again, not a generator")
    x, y = _sums(part[0][:, :numbers], part[2]), _sums(part[1], part[2])
    sizes = []
    for more_x, more_y in stream:
        if more_x.shape[1:] != part[0].shape[1:] or more_y.shape != (len(more_x), part[1].shape[1]):
            raise InputError(
                f"parts of a stream must be X (n, {part[0].shape[1]}) and Y (n, {part[1].shape[1]}); got "
                f"{more_x.shape} and {more_y.shape}"
            )
        if not (np.isfinite(more_x).all() and np.isfinite(more_y).all()):
            raise InputError("every number in a stream must be finite; got NaN or infinity")
        sizes.append(len(more_x))
        ones = np.ones(len(more_x))
        x, y = _joined(x, _sums(more_x[:, :numbers], ones)), _joined(y, _sums(more_y, ones))
    if not sizes:
        raise InputError("a stream needs at least one part; got none")
    return Moments.from_sums(x, y, task), tuple(sizes)


@dataclass(frozen=True)
class _StandardisedStream:
    """The parts of a stream as they are trained on."""

    stream: Stream
    moments: Moments

    def __iter__(self) -> Iterator[Part]:
        for x, y in self.stream:
            yield self.moments.standardised((x, y, np.ones(len(x))))
