"""Soft decision tree students: a tree of filters trained on the teacher's answers, and read by its most probable path.

Source
------
Frosst2017: filters, the penalty on unbalanced decisions, soft targets. The equations are in `_soft_tree_step`, the
training loop in `_soft_tree_training`.

Departures
----------
- Both losses are offered. `mixture` is the default: on MNIST, distilled at depth 8, it reads better than `expected`,
  which is nearer to the printed loss (figures in ``benchmarks/RESULTS.md``).
- Temperature softens the targets while the filters are learned. What the leaves say in the end is fitted to the targets
  as they are: by the path, the mean over the rows that end in the leaf.
- Inputs are standardised (an image by one scale for all its pixels); that is folded into the filters, whose numbers are
  then rounded. Equal rows are merged: a row of weight 3 is a row that comes three times.
- The penalty's strength, the mixture of targets and the temperature are not published; the defaults were chosen on
  held-out training images. On tables `distill` names a tree of depth 4 with `l1`.

Checked
-------
A planted soft tree is found again; labels that are shuffled give a tree that predicts no better than their mean.

Cost
----
`_soft_tree_step` times the number of steps. 10,000 rows of 8 columns at depth 8: about 5 seconds; 60,000 images of
784 pixels, an epoch: about one second.
"""

from __future__ import annotations

import math
import numbers
from dataclasses import replace
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.images import image_shape as read_image_shape
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows
from limbeck.readable import SoftTreeReadable
from limbeck.readable._network import design_inputs, design_matrix
from limbeck.students._fitting import TrainingRows, read_classification, read_regression
from limbeck.students._members import Member
from limbeck.students._predicting import StudentClassifier, StudentRegressor
from limbeck.students._soft_tree_training import Recipe, train
from limbeck.students._tree import rounded_probabilities
from limbeck.students._tree_growth import deviations

__all__ = ["SoftTreeClassifier", "SoftTreeRegressor", "fit_soft_tree", "softened"]

EPOCHS = 40
STEPS = (1_500, 20_000)
"""Where `max_steps` is None: so many passes over the rows, but at least and at most so many steps."""
DIGITS = 5
"""Significant digits of the filters' weights."""
PRIOR_ROWS = 1.0
"""How many rows the learned distribution of a leaf weighs against the rows that end in it."""
CHUNK = 8_192
BLOCK = 64
"""Rows and columns that are worked on at a time, so that a large table is not copied whole."""


def softened(chances: np.ndarray, temperature: float) -> np.ndarray:
    """Class probabilities at a temperature: those of the same scores divided by it.

    Examples
    --------
    >>> softened(np.array([[0.1, 0.9]]), 2.0).round(2)
    array([[0.25, 0.75]])
    """
    powered = np.power(chances, 1.0 / temperature)
    return np.asarray(powered / powered.sum(axis=1, keepdims=True))


def fit_soft_tree(
    rows: TrainingRows,
    *,
    max_depth: int = 8,
    loss: str = "mixture",
    penalty: float = 0.01,
    temperature: float = 2.0,
    anneal: float = 1.0,
    l1: float = 0.0,
    weight_decay: float = 0.3,
    image_shape: Any = None,
    learning_rate: float = 0.01,
    batch_size: int = 128,
    max_steps: int | None = None,
    device: str | None = None,
    random_state: RandomState = None,
    progress: Progress = False,
) -> tuple[SoftTreeReadable, SoftTreeReadable, list[float]]:
    """The soft tree by the path and averaged, and its losses; the arguments are those of `SoftTreeClassifier`."""
    if len(rows) < 2:
        raise InputError(f"a soft tree needs at least 2 rows to train on; got n_samples = {len(rows)}")
    seed = draw_seeds(random_state, 1)[0]
    _check_choices(loss, max_depth, batch_size, max_steps)
    for name, value, low in (
        ("penalty", penalty, 0.0),
        ("l1", l1, 0.0),
        ("weight_decay", weight_decay, 0.0),
        ("temperature", temperature, 1e-3),
        ("anneal", anneal, 1e-3),
        ("learning_rate", learning_rate, 1e-12),
    ):
        if not isinstance(value, numbers.Real) or not low <= float(value) < math.inf:
            raise InputError(f"{name} must be a number of at least {low:g}; got {value!r:.60}")
    rows = rows.distinct()
    classify = rows.task == "classification"
    inputs = design_inputs(rows.table.schema)
    image = read_image_shape(rows.table.schema, image_shape)
    X = design_matrix(inputs, rows.values)
    centre, scale = _scales(X, rows.weights, image is not None)
    goal, level, spread = _goals(rows, classify, float(temperature))
    recipe = Recipe(
        int(max_depth),
        loss,  # type: ignore[arg-type]
        float(penalty),
        float(anneal),
        float(l1),
        float(weight_decay),
        float(learning_rate),
        int(batch_size),
        _steps(len(rows), batch_size) if max_steps is None else int(max_steps),
        _device(device),
        seed,
    )
    with reporting(progress) as report:
        found, losses = train(
            _standardised(X, centre, scale),
            goal,
            rows.weights / rows.weights.mean(),
            classify=classify,
            recipe=recipe,
            watch=lambda done, total: report("training a soft tree", done, total),
        )
    weight = _short(found.weight.numpy().astype(np.float64) * scale, DIGITS)
    bias = _short(found.bias.numpy().astype(np.float64) - weight @ centre, 2 * DIGITS)
    leaf = found.leaf.numpy().astype(np.float64)
    learned = _softmax(leaf * float(temperature)) if classify else leaf * spread + level
    tree = SoftTreeReadable(
        rows.table.schema,
        rows.task,
        rows.output_names,
        inputs,
        weight,
        bias,
        np.vstack([np.repeat(learned[:1], len(bias), axis=0), learned]),
        np.zeros(2 * len(bias) + 1),
        _short(centre, DIGITS),
        "path",
        image,
    )
    return *_with_values(tree, rows), losses


def _check_choices(loss: Any, max_depth: Any, batch_size: Any, max_steps: Any) -> None:
    _check_name("loss", loss, ("mixture", "expected"))
    whole = {"max_depth": max_depth, "batch_size": batch_size, "max_steps": 1 if max_steps is None else max_steps}
    for name, value in whole.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
            raise InputError(f"{name} must be a whole number of at least 1; got {value!r:.60}")
    if max_depth > 14:
        raise InputError(f"max_depth is at most 14 (16,383 filters); got {max_depth}")


def _check_name(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} must be one of {list(known)}; got {value!r:.60}.{did_you_mean(str(value), known)}")


def _keep(student: Any, rows: TrainingRows) -> None:
    """The attributes that fitting leaves on a student."""
    _check_name("reading", student.reading, ("path", "average"))
    others = ("reading", "hard_share")
    options = {name: value for name, value in student.get_params().items() if name not in others}
    by_path, student.averaged_, student.loss_curve_ = fit_soft_tree(rows, **options)
    student.readable_ = by_path if student.reading == "path" else student.averaged_
    student.front_ = _front(student.readable_)


def _scales(X: np.ndarray, weights: np.ndarray, is_image: bool) -> tuple[np.ndarray, np.ndarray]:
    """Each input's mean and the inverse of its scale; 0 for an input that does not vary, so that its weight is 0."""
    blocks = [slice(start, start + BLOCK) for start in range(0, X.shape[1], BLOCK)]
    spread = np.concatenate([deviations(X[:, block], weights) for block in blocks])
    varies = np.ptp(X, axis=0) > 0
    if is_image and varies.any():
        spread = np.where(varies, math.sqrt(float(np.mean(spread**2))), 0.0)
    return weights @ X / weights.sum(), np.where(varies & (spread > 0), 1.0 / np.where(spread > 0, spread, 1.0), 0.0)


def _standardised(X: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    out = np.empty(X.shape, dtype=np.float32)
    for start in range(0, len(X), CHUNK):
        out[start : start + CHUNK] = (X[start : start + CHUNK] - centre) * scale
    return out


def _goals(rows: TrainingRows, classify: bool, temperature: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What is trained on: softened probabilities, or values standardised by the mean and deviation that follow."""
    if classify:
        none = np.zeros(0)
        return softened(rows.targets, temperature), none, none
    level = rows.weights @ rows.targets / rows.weights.sum()
    spread = deviations(rows.targets, rows.weights)
    spread = np.where(spread > 0, spread, 1.0)
    return (rows.targets - level) / spread, level, spread


def _steps(n: int, batch_size: int) -> int:
    return int(np.clip(EPOCHS * n // min(batch_size, n), *STEPS))


def _device(device: str | None) -> str:
    import torch

    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "cpu" and not (str(device).startswith("cuda") and torch.cuda.is_available()):
        raise InputError(f"device must be 'cpu', or 'cuda' where there is one; got {device!r:.60}")
    return device


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _short(values: np.ndarray, digits: int) -> np.ndarray:
    flat = [float(f"{value:.{digits}g}") for value in values.ravel().tolist()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)


def _with_values(tree: SoftTreeReadable, rows: TrainingRows) -> tuple[SoftTreeReadable, SoftTreeReadable]:
    """The tree as it is read by the path and as it is averaged, with what every node says, and how many rows it sees.

    Rows go along their most probable paths, and a node says the mean of those that come through it. By the path, the
    learned value of a leaf counts as one row more; by averaging, a leaf says what it learned to say in the mixture.
    """
    count, total = _sums(tree, rows)
    n, learned = tree.n_nodes, tree.values[tree.n_nodes :]
    own = PRIOR_ROWS * float(rows.weights.mean())
    values = np.where(count[:, None] > 0, total / np.where(count > 0, count, 1.0)[:, None], 0.0)
    values[n:] = (total[n:] + own * learned) / (count[n:, None] + own)
    for node in range(n - 1, -1, -1):  # a node that no row comes to says what its children say
        if count[node] == 0:
            values[node] = values[2 * node + 1 : 2 * node + 3].mean(axis=0)
    short = _chances if rows.task == "classification" else _numbers
    whole = replace(tree, values=short(values), rows=_short(count, DIGITS + 1))
    averaged = replace(whole, values=np.vstack([whole.values[:n], short(learned)]), reading="average")
    return whole, averaged


def _chances(values: np.ndarray) -> np.ndarray:
    return np.array([rounded_probabilities(value) for value in values])


def _numbers(values: np.ndarray) -> np.ndarray:
    return _short(values, DIGITS + 1)


def _sums(tree: SoftTreeReadable, rows: TrainingRows) -> tuple[np.ndarray, np.ndarray]:
    """Weight of the rows whose path goes through every node ``(2 nodes + 1,)``, and the sum of their targets."""
    n, k = tree.n_nodes, rows.targets.shape[1]
    leaf = tree.leaf_of(rows.values)
    count = np.bincount(leaf, weights=rows.weights, minlength=2 * n + 1)
    weighted = rows.targets * rows.weights[:, None]
    total = np.column_stack([np.bincount(leaf, weights=weighted[:, o], minlength=2 * n + 1) for o in range(k)])
    for node in range(n - 1, -1, -1):
        count[node] = count[2 * node + 1] + count[2 * node + 2]
        total[node] = total[2 * node + 1] + total[2 * node + 2]
    return count, total


def _front(tree: SoftTreeReadable) -> tuple[Member, ...]:
    """The tree cut at every depth, the shallowest first.

    A member's score is the share that it keeps of what the whole tree's path explains of the targets.
    """
    cuts = [tree.cut(depth) for depth in range(1, tree.depth + 1)]
    explained = []
    for cut in cuts:
        leaves, rows = cut.values[cut.n_nodes :], cut.rows[cut.n_nodes :]
        gaps = leaves - rows @ leaves / max(float(rows.sum()), 1e-300)
        explained.append(float(rows @ (gaps**2).sum(axis=1)))
    top = explained[-1]
    scores = [value / top if top > 0 else 1.0 for value in explained]
    return tuple(Member(cut, cut.complexity, score) for cut, score in zip(cuts, scores, strict=True))


def _expected_seconds(n: int, d: int, student: Any) -> float:
    """About how long a fit takes on one core: a step costs its overhead, its products, and a few numbers a node."""
    steps = student.max_steps or _steps(max(n, 1), student.batch_size)
    nodes = 2**student.max_depth
    return 0.2 + steps * (2e-4 + 2e-5 * student.max_depth + student.batch_size * nodes * (2e-8 + 4e-11 * d))


class SoftTreeRegressor(StudentRegressor):
    """A soft decision tree for one or several outputs, each leaf a value.

    Parameters
    ----------
    max_depth : int
        The number of decisions on a path; the tree has ``2 ** max_depth`` leaves.
    loss : {"mixture", "expected"}
        What is made small: the squared error of every leaf weighted by its path, or that of their weighted mean.
        The first agrees with reading by the path.
    penalty : float
        The strength of the penalty on nodes that send nearly all rows to one side; halved at every depth.
    anneal : float
        The factor by which all decisions have become steeper at the end of training; 1 leaves it to each node's own.
    l1 : float
        The price of a weight's size: above 0, few weights are left at each node. Try 0.0001 to 0.003 on a table.
    weight_decay : float
        How fast weights shrink, times the learning rate, a step.
    reading : {"path", "average"}
        How ``predict`` reads: along the more probable side of every node, or all leaves by their probability.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.
    learning_rate : float
        The first rate of Adam; it falls to 0 along a cosine.
    batch_size : int
    max_steps : int, optional
        Steps of training; where absent, 40 passes over the rows, at least 1,500 steps and at most 20,000.
    device : str, optional
        ``"cpu"`` or ``"cuda"``; where absent, a GPU if there is one.
    random_state : int, Generator or None
        Decides the first weights and the order of the rows.
    progress : bool or callable
        True draws a bar; a callable is called with (what, done, total).

    Attributes
    ----------
    readable_ : SoftTreeReadable
    averaged_ : SoftTreeReadable
        The same filters read by averaging, each leaf as it learned to be in the mixture.
    front_ : tuple of Member
        The tree cut at every depth.
    loss_curve_ : list of float
        The mean loss over each fiftieth of the training.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(400, 2))
    >>> y = np.where(X[:, 0] > X[:, 1], 3.0, -3.0)
    >>> tree = SoftTreeRegressor(max_depth=1, max_steps=400, random_state=0).fit(X, y)
    >>> bool(tree.score(X, y) > 0.9)
    True
    """

    def __init__(
        self,
        max_depth: int = 8,
        *,
        loss: str = "expected",
        penalty: float = 0.01,
        anneal: float = 1.0,
        l1: float = 0.0,
        weight_decay: float = 0.03,
        reading: str = "path",
        image_shape: Any = None,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        max_steps: int | None = None,
        device: str | None = None,
        random_state: RandomState = None,
        progress: Progress = False,
    ) -> None:
        self.max_depth = max_depth
        self.loss = loss
        self.penalty = penalty
        self.anneal = anneal
        self.l1 = l1
        self.weight_decay = weight_decay
        self.reading = reading
        self.image_shape = image_shape
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.device = device
        self.random_state = random_state
        self.progress = progress

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> SoftTreeRegressor:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`; images as rows of pixels.
        y : array ``(n,)`` or ``(n, k)``
            The teacher's values.
        sample_weight : array ``(n,)``, optional
        y_soft, classes
            For classifiers only: refused.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_regression(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        _keep(self, rows)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, self)


class SoftTreeClassifier(StudentClassifier):
    """A soft decision tree with a probability for every class, each leaf a distribution.

    Parameters
    ----------
    max_depth : int
        The number of decisions on a path; the tree has ``2 ** max_depth`` leaves.
    loss : {"mixture", "expected"}
        What is made small: the cross-entropy of the leaves' mixture, or that of every leaf weighted by its path.
    penalty : float
        The strength of the penalty on nodes that send nearly all rows to one side; halved at every depth.
    temperature : float
        Softens the teacher's probabilities while the filters are learned: those of its scores divided by it.
    hard_share : float
        The share of the labels `y` in the targets, beside the teacher's probabilities `y_soft`; from 0 to 1.
    anneal : float
        The factor by which all decisions have become steeper at the end of training; 1 leaves it to each node's own.
    l1 : float
        The price of a weight's size: above 0, few weights are left at each node. Try 0.0001 to 0.003 on a table.
    weight_decay : float
        How fast weights shrink, times the learning rate, a step.
    reading : {"path", "average"}
        How ``predict`` reads: along the more probable side of every node, or all leaves by their probability.
    image_shape : tuple, optional
        ``(rows, columns)`` or ``(rows, columns, channels)``, where the columns are pixels; columns that are named
        ``p0, p1, ...`` and make a square need none.
    learning_rate : float
        The first rate of Adam; it falls to 0 along a cosine.
    batch_size : int
    max_steps : int, optional
        Steps of training; where absent, 40 passes over the rows, at least 1,500 steps and at most 20,000.
    device : str, optional
        ``"cpu"`` or ``"cuda"``; where absent, a GPU if there is one.
    random_state : int, Generator or None
        Decides the first weights and the order of the rows.
    progress : bool or callable
        True draws a bar; a callable is called with (what, done, total).

    Attributes
    ----------
    readable_ : SoftTreeReadable
    averaged_ : SoftTreeReadable
        The same filters read by averaging, each leaf as it learned to be in the mixture.
    classes_ : array ``(k,)``
    front_ : tuple of Member
        The tree cut at every depth.
    loss_curve_ : list of float
        The mean loss over each fiftieth of the training.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(400, 2))
    >>> y = np.where(X[:, 0] > X[:, 1], "over", "under")
    >>> tree = SoftTreeClassifier(max_depth=1, max_steps=300, random_state=0).fit(X, y)
    >>> tree.predict([[0.9, -0.9], [-0.9, 0.9]]).tolist()
    ['over', 'under']
    >>> print(tree.readable_.read([[0.9, -0.9]])[0].text())
    node 0: ... (...%)  x... = ...
    leaf ...: over: ..., under: ...   (the path's probability is ...%)
    """

    def __init__(
        self,
        max_depth: int = 8,
        *,
        loss: str = "mixture",
        penalty: float = 0.01,
        temperature: float = 2.0,
        hard_share: float = 0.0,
        anneal: float = 1.0,
        l1: float = 0.0,
        weight_decay: float = 0.3,
        reading: str = "path",
        image_shape: Any = None,
        learning_rate: float = 0.01,
        batch_size: int = 128,
        max_steps: int | None = None,
        device: str | None = None,
        random_state: RandomState = None,
        progress: Progress = False,
    ) -> None:
        self.max_depth = max_depth
        self.loss = loss
        self.penalty = penalty
        self.temperature = temperature
        self.hard_share = hard_share
        self.anneal = anneal
        self.l1 = l1
        self.weight_decay = weight_decay
        self.reading = reading
        self.image_shape = image_shape
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.device = device
        self.random_state = random_state
        self.progress = progress

    def fit(
        self, X: Rows, y: Any, *, sample_weight: Any = None, y_soft: Any = None, classes: Any = None
    ) -> SoftTreeClassifier:
        """The fitted student.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a frame, or a `Table`; images as rows of pixels.
        y : array ``(n,)`` or None
            Labels; None where `y_soft` and `classes` say all.
        sample_weight : array ``(n,)``, optional
        y_soft : array ``(n, k)``, optional
            The teacher's probabilities: these are fitted, beside a `hard_share` of the labels.
        classes : array ``(k,)``, optional
            All labels, in the order of the columns of `y_soft`.

        Raises
        ------
        InputError, ValueError
            Where an argument or a row is not what is required.
        """
        rows = read_classification(self, X, y, sample_weight=sample_weight, y_soft=y_soft, classes=classes)
        share = self.hard_share
        if not isinstance(share, numbers.Real) or not 0 <= float(share) <= 1:
            raise InputError(f"hard_share must be a number from 0 to 1; got {share!r:.60}")
        if y_soft is not None and share > 0:
            hard = read_classification(self, X, y, sample_weight=sample_weight, classes=self.classes_)
            rows = replace(rows, targets=share * hard.targets + (1.0 - share) * rows.targets)
        _keep(self, rows)
        return self

    def expected_seconds(self, n: int, d: int, k: int) -> float:
        """About how long ``fit`` takes for `n` rows of `d` columns and `k` outputs, on one core."""
        return _expected_seconds(n, d, self)
