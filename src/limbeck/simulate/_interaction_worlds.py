"""Worlds where groups of inputs work together: a table, an image, a sentence.

Each rule is a sum of single effects and of groups that matter only together, and for each row the groups that do so
there are known. `interaction_network` builds the rule as a network.

Symbols
-------
``relu(v) = max(v, 0)``. A pair (i, j) that works together is written in one of two forms that a network can have:
``threshold``, ``relu(x_i + x_j - 1)``, and ``minimum``, ``min(x_i, x_j) = x_i - relu(x_i - x_j)``.

Departures
----------
The two forms are not the same function, but both are "and" on [0, 1]: 0 where one of the two is 0. They differ in how
the network makes it: by a bias, or by one input that holds back another. Some attributions see only one of the two.

Checked
-------
tests/unit/test_interaction_worlds.py: network and rule agree to 1e-6, also outside [0, 1]; the groups are those found
by taking inputs away, from all rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, as_generator
from limbeck.simulate._worlds import World, _whole

__all__ = ["TILE", "WORDS", "InteractionWorld", "planted_interactions", "planted_negation", "planted_patches"]

Form: TypeAlias = Literal["threshold", "minimum"]
Group: TypeAlias = tuple[int, ...]

WORDS = ("<pad>", "not", "good", "great", "bad", "awful", "film", "plot", "cast", "very")
FEELING = (0, 0, 1, 1, -1, -1, 0, 0, 0, 0)
NOT = 1
SIDE, TILE = 8, 2


@dataclass(frozen=True, kw_only=True)
class InteractionWorld(World):
    """A world whose groups of inputs that work together are known.

    Parameters
    ----------
    units : bool array
        ``(u, *row)``: the positions of each unit (a column, a tile, a word).
    groups : tuple
        For each row, the groups of units that work together there: tuples of positions in `units`.
    kind : str
        ``table``, ``image`` or ``text``.
    baseline : float
        The value that stands for "absent": 0, and for words the number of the padding.
    weights : tuple of arrays
        The rule as a network: a first layer ``(h, u)``, its bias ``(h,)``, and a last layer ``(h,)``. For `text` the
        words' features ``(v, 3)`` stand in place of the first layer's bias.
    """

    units: np.ndarray
    groups: tuple[tuple[Group, ...], ...]
    kind: Literal["table", "image", "text"]
    baseline: float
    weights: tuple[np.ndarray, ...]


def planted_interactions(
    n: int = 200,
    d: int = 8,
    *,
    pairs: int | Sequence[tuple[int, int]] = 2,
    form: Form = "threshold",
    random_state: RandomState = None,
) -> InteractionWorld:
    """A table of uniform columns in [0, 1]: pairs that matter only together, single effects, and one unused column.

    Parameters
    ----------
    n, d : int
        Rows and columns.
    pairs : int or sequence of (int, int)
        How many disjoint pairs to draw, or the pairs themselves.
    form : str
        ``threshold`` or ``minimum``: how a pair works together.
    random_state : int, Generator or None

    Raises
    ------
    InputError
        Where the pairs leave no column for the single effects and the unused one, or are not pairs of columns.

    Examples
    --------
    >>> world = planted_interactions(50, 6, pairs=[(0, 3)], random_state=0)
    >>> world.X.shape, sorted(set(world.groups))
    ((50, 6), [(), ((0, 3),)])
    """
    _whole(n=n, d=d)
    _known_form(form)
    rng = as_generator(random_state)
    chosen = _pairs(pairs, d, rng)
    singles = _singles(chosen, d, rng)
    strengths = np.round(rng.uniform(1.0, 2.0, size=len(chosen)), 2)
    weights = _layers(d, chosen, strengths, singles, form)
    X = rng.uniform(size=(n, d))
    terms = [_pair_text(s, f"x{i}", f"x{j}", form) for s, (i, j) in zip(strengths, chosen, strict=True)]
    used = sorted({column for pair in chosen for column in pair} | set(singles))
    return InteractionWorld(
        X,
        _rule(X, weights),
        lambda rows: _rule(np.asarray(rows, dtype=float), weights),
        " + ".join(terms + [f"{s:g}*x{column}" for column, s in singles.items()]),
        tuple(f"x{column}" for column in used),
        units=np.eye(d, dtype=bool),
        groups=_active(X, chosen, form),
        kind="table",
        baseline=0.0,
        weights=weights,
    )


def planted_patches(n: int = 100, *, form: Form = "threshold", random_state: RandomState = None) -> InteractionWorld:
    """Images of 8 x 8 in 2 x 2 tiles: two tiles matter only when both are bright, two others by themselves.

    `X` is ``(n, 1, 8, 8)`` in [0, 1]; the rule reads the mean of each tile, and four of the sixteen tiles.

    Examples
    --------
    >>> world = planted_patches(20, random_state=0)
    >>> world.X.shape, world.units.shape, len(world.used)
    ((20, 1, 8, 8), (16, 1, 8, 8), 4)
    """
    _whole(n=n)
    _known_form(form)
    rng = as_generator(random_state)
    across = SIDE // TILE
    one, two, three, four = (int(tile) for tile in rng.permutation(across**2)[:4])
    chosen = [(min(one, two), max(one, two))]
    weights = _layers(across**2, chosen, np.array([2.0]), {three: 1.0, four: 0.5}, form)
    bright = rng.uniform(0.1, 0.9, size=(n, across, across))
    grain = rng.uniform(-0.1, 0.1, size=(n, SIDE, SIDE))
    X = (np.kron(bright, np.ones((1, TILE, TILE))) + grain)[:, None]
    units = np.zeros((across**2, 1, SIDE, SIDE), dtype=bool)
    for tile in range(across**2):
        row, column = TILE * (tile // across), TILE * (tile % across)
        units[tile, 0, row : row + TILE, column : column + TILE] = True
    names = [f"tile{tile}" for tile in range(across**2)]
    truth = f"{_pair_text(2.0, names[chosen[0][0]], names[chosen[0][1]], form)} + {names[three]} + 0.5*{names[four]}"
    return InteractionWorld(
        X,
        _rule(_tile_means(X), weights),
        lambda rows: _rule(_tile_means(np.asarray(rows, dtype=float)), weights),
        truth,
        tuple(names[tile] for tile in sorted((one, two, three, four))),
        units=units,
        groups=_active(_tile_means(X), chosen, form),
        kind="image",
        baseline=0.0,
        weights=weights,
    )


def planted_negation(n: int = 100, length: int = 6, *, random_state: RandomState = None) -> InteractionWorld:
    """Sentences of word numbers: good words add 1, bad ones take 1 away, and "not" turns the word after it around.

    `X` is ``(n, length)`` of whole numbers into `simulate.WORDS`; 0 is the padding. The groups of a row are each "not"
    with the feeling word after it.

    Raises
    ------
    InputError
        For sentences of fewer than three words.

    Examples
    --------
    >>> world = planted_negation(30, random_state=0)
    >>> bool((world.function([[6, 1, 2, 0, 0, 0], [6, 9, 2, 0, 0, 0]]) == [-1, 1]).all())
    True
    """
    _whole(n=n, length=length)
    if length < 3:
        raise InputError(f"a sentence must have at least 3 words, so that some are plain; got length={length}")
    rng = as_generator(random_state)
    X = rng.integers(2, len(WORDS), size=(n, length))
    place = rng.integers(length - 1, size=n)
    X[np.arange(n), place] = NOT
    X[np.arange(n), place + 1] = rng.integers(2, 6, size=n)
    feeling = np.array(FEELING)
    flips = (X[:, :-1] == NOT) & (feeling[X[:, 1:]] != 0)

    def function(rows: Any) -> np.ndarray:
        numbers = np.asarray(rows)
        before = np.concatenate([np.zeros((len(numbers), 1), dtype=int), numbers[:, :-1]], axis=1)
        return np.asarray((feeling[numbers] * np.where(before == NOT, -1, 1)).sum(axis=1), dtype=float)

    return InteractionWorld(
        X,
        function(X),
        function,
        "good and great +1, bad and awful -1, each the other way round after not",
        WORDS[1:6],
        units=np.eye(length, dtype=bool),
        groups=tuple(tuple((int(t), int(t) + 1) for t in np.flatnonzero(row)) for row in flips),
        kind="text",
        baseline=0.0,
        weights=_negation_weights(),
    )


def _singles(pairs: Sequence[Group], d: int, rng: np.random.Generator) -> dict[int, float]:
    """The strength of each column that is in no pair, but one that the rule leaves out."""
    taken = {column for pair in pairs for column in pair}
    free = [column for column in rng.permutation(d) if column not in taken]
    if len(free) < 2:
        raise InputError(
            f"one column is needed for a single effect and one that the rule leaves out: {len(pairs)} pairs of "
            f"columns need d of at least {len(taken) + 2}; got d={d}"
        )
    return {int(column): float(np.round(rng.uniform(0.3, 1.2), 2)) for column in sorted(free[:-1])}


def _negation_weights() -> tuple[np.ndarray, ...]:
    """First layer, bias and last layer over two words, and the words' features: good, bad, not."""
    features = np.array([[max(value, 0), max(-value, 0), word == NOT] for word, value in enumerate(FEELING)], float)
    # Over the word before (good, bad, not) and the word itself: held back by a "not", and turned round by it
    kernel = np.zeros((4, 6))
    for good in (0, 1):
        kernel[2 * good, [2, 3 + good]] = -1, 1
        kernel[2 * good + 1, [2, 3 + good]] = 1, 1
    bias, last = np.array([0.0, -1.0, 0.0, -1.0]), np.array([1.0, -1.0, -1.0, 1.0])
    return kernel, bias, last, features


def _layers(
    d: int, pairs: Sequence[Group], strengths: np.ndarray, singles: dict[int, float], form: Form
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rule as a first layer ``(h, d)``, its bias ``(h,)`` and a last layer ``(h,)``."""
    rows: list[tuple[dict[int, float], float, float]] = []
    for strength, (i, j) in zip(strengths, pairs, strict=True):
        if form == "threshold":
            rows.append(({i: 1.0, j: 1.0}, -1.0, strength))
        else:
            rows += [*_straight(i, strength), ({i: 1.0, j: -1.0}, 0.0, -strength)]
    for column, strength in singles.items():
        rows += _straight(column, strength)
    first = np.zeros((len(rows), d))
    for place, (entries, _, _) in enumerate(rows):
        for column, value in entries.items():
            first[place, column] = value
    return first, np.array([bias for _, bias, _ in rows]), np.array([last for _, _, last in rows])


def _straight(column: int, strength: float) -> list[tuple[dict[int, float], float, float]]:
    """``strength * x`` as ``strength * relu(x) - strength * relu(-x)``."""
    return [({column: 1.0}, 0.0, strength), ({column: -1.0}, 0.0, -strength)]


def _rule(rows: np.ndarray, weights: tuple[np.ndarray, ...]) -> np.ndarray:
    first, bias, last = weights
    return np.asarray(np.maximum(rows @ first.T + bias, 0.0) @ last)


def _tile_means(images: np.ndarray) -> np.ndarray:
    n, across = len(images), SIDE // TILE
    return images.reshape(n, across, TILE, across, TILE).mean(axis=(2, 4)).reshape(n, across**2)


def _active(values: np.ndarray, pairs: Sequence[Group], form: Form) -> tuple[tuple[Group, ...], ...]:
    """For each row, the pairs whose joint part is not 0 there."""

    def together(row: np.ndarray, pair: Group) -> bool:
        i, j = pair
        return bool(row[i] + row[j] > 1 if form == "threshold" else min(row[i], row[j]) > 0)

    return tuple(tuple(pair for pair in pairs if together(row, pair)) for row in values)


def _pairs(pairs: int | Sequence[tuple[int, int]], d: int, rng: np.random.Generator) -> list[Group]:
    if isinstance(pairs, int) and not isinstance(pairs, bool):
        _whole(pairs=pairs)
        order = rng.permutation(d)
        if d < 2 * pairs:
            raise InputError(f"{pairs} disjoint pairs need at least {2 * pairs} columns; got d={d}")
        drawn = [(int(order[2 * p]), int(order[2 * p + 1])) for p in range(pairs)]
        return sorted((min(pair), max(pair)) for pair in drawn)
    words = f"pairs must be a whole number >= 1, or pairs of different columns from 0 to {d - 1}; got {pairs!r:.80}"
    try:
        chosen = [tuple(int(column) for column in pair) for pair in pairs]  # type: ignore[union-attr]
    except (TypeError, ValueError):
        raise InputError(words) from None
    if not chosen or any(len(set(pair)) != 2 or min(pair) < 0 or max(pair) >= d for pair in chosen):
        raise InputError(words)
    if any(set(a) == set(b) for a, b in itertools.combinations(chosen, 2)):
        raise InputError(f"each pair may stand once; got {pairs!r:.80}")
    return [(min(pair), max(pair)) for pair in chosen]


def _pair_text(strength: float, one: str, two: str, form: Form) -> str:
    joint = f"max({one} + {two} - 1, 0)" if form == "threshold" else f"min({one}, {two})"
    return f"{strength:g}*{joint}"


def _known_form(form: str) -> None:
    if form not in ("threshold", "minimum"):
        raise InputError(f"form must be 'threshold' or 'minimum'; got {form!r:.60}")
