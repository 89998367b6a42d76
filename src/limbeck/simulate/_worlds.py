"""Small worlds with a known rule: a tree of thresholds, a formula, and a rule over text and numbers.

Each has columns that the rule does not use, so that a method which reads them is caught. `World.function` is the rule
itself; it serves as a teacher that is never wrong.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, as_generator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["World", "planted_formula", "planted_mixed", "planted_tree"]

WORKCLASSES = ("Federal-gov", "Local-gov", "Private", "Self-emp", "State-gov", "Without-pay")
REGIONS = ("east", "north", "south", "west")


@dataclass(frozen=True)
class World:
    """Rows, what is true of them, and the rule.

    Parameters
    ----------
    X : array or DataFrame
        ``(n, d)``.
    y : array
        ``(n,)``; the rule's answers, with noise where it was asked for.
    function : callable
        The rule: rows in the form of `X` to answers ``(n,)``, without noise.
    truth : str
        The rule as a person would write it.
    used : tuple of str
        The columns that the rule reads.
    thresholds : dict
        Column to the sorted thresholds at which the rule splits it.
    """

    X: Any
    y: np.ndarray
    function: Callable[[Any], np.ndarray]
    truth: str
    used: tuple[str, ...]
    thresholds: dict[str, tuple[float, ...]] = field(default_factory=dict)


def planted_tree(
    n: int = 500, d: int = 5, *, depth: int = 2, noise: float = 0.0, random_state: RandomState = None
) -> World:
    """A world whose rule is a binary tree over uniform columns ``x0, x1, ...`` in [0, 1].

    Each of the ``2**depth`` leaves has a whole number of its own, so every split matters; each level of the tree
    splits one column, the last column is never split.

    Raises
    ------
    InputError
        Where there are not more columns than levels.

    Examples
    --------
    >>> world = planted_tree(100, 4, depth=1, random_state=0)
    >>> world.X.shape, len(world.used), len(set(world.y))
    ((100, 4), 1, 2)
    """
    _whole(n=n, d=d, depth=depth)
    if d <= depth:
        raise InputError(
            f"a tree of depth {depth} needs more than {depth} columns, so that one is never split; got d={d}"
        )
    rng = as_generator(random_state)
    columns = rng.permutation(d - 1)[:depth]
    cuts = [np.round(rng.uniform(0.3, 0.7, size=2**level), 2) for level in range(depth)]
    answers = rng.permutation(2**depth).astype(float)

    def function(rows: np.ndarray) -> np.ndarray:
        place = np.zeros(len(rows), dtype=np.int64)
        for column, cut in zip(columns, cuts, strict=True):
            place = 2 * place + (np.asarray(rows)[:, column] > cut[place])
        return answers[place]

    X = rng.uniform(size=(n, d))
    thresholds = {f"x{c}": tuple(sorted(set(cut.tolist()))) for c, cut in sorted(zip(columns, cuts, strict=True))}
    truth = _tree_text(columns, cuts, answers, 0, 0)
    return World(X, _noisy(function(X), noise, rng), function, truth, tuple(thresholds), thresholds)


def planted_formula(n: int = 500, d: int = 4, *, noise: float = 0.0, random_state: RandomState = None) -> World:
    """A world whose rule is ``3*x0*x1 + sin(3*x2)`` over uniform columns in [-1, 1]; other columns are not used.

    Raises
    ------
    InputError
        For fewer than four columns.

    Examples
    --------
    >>> world = planted_formula(10, random_state=0)
    >>> bool((world.y == 3 * world.X[:, 0] * world.X[:, 1] + np.sin(3 * world.X[:, 2])).all())
    True
    """
    _whole(n=n, d=d)
    if d < 4:
        raise InputError(f"the formula reads three columns and leaves one out: d must be at least 4; got {d}")
    rng = as_generator(random_state)

    def function(rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        return np.asarray(3 * rows[:, 0] * rows[:, 1] + np.sin(3 * rows[:, 2]))

    X = rng.uniform(-1, 1, size=(n, d))
    return World(X, _noisy(function(X), noise, rng), function, "3*x0*x1 + sin(3*x2)", ("x0", "x1", "x2"))


def planted_mixed(n: int = 500, *, random_state: RandomState = None) -> World:
    """A world of text and numbers: ``high`` where workclass is Private or Self-emp and age > 35, else ``low``.

    `X` is a DataFrame with age and hours (whole numbers), workclass and region (text); hours and region are not used.

    Examples
    --------
    >>> world = planted_mixed(200, random_state=0)
    >>> list(world.X.columns), sorted(set(world.y))
    (['age', 'hours', 'workclass', 'region'], ['high', 'low'])
    """
    import pandas as pd

    _whole(n=n)
    rng = as_generator(random_state)
    X = pd.DataFrame(
        {
            "age": rng.integers(17, 80, size=n),
            "hours": rng.integers(1, 80, size=n),
            "workclass": np.array(WORKCLASSES, dtype=object)[rng.integers(len(WORKCLASSES), size=n)],
            "region": np.array(REGIONS, dtype=object)[rng.integers(len(REGIONS), size=n)],
        }
    )

    def function(rows: pd.DataFrame) -> np.ndarray:
        high = rows["workclass"].isin(["Private", "Self-emp"]).to_numpy() & (rows["age"].to_numpy() > 35)
        return np.where(high, "high", "low").astype(object)

    truth = "high if workclass in {Private, Self-emp} and age > 35 else low"
    return World(X, function(X), function, truth, ("workclass", "age"), {"age": (35.5,)})


def _noisy(y: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    if not isinstance(noise, numbers.Real) or not 0 <= noise < np.inf:
        raise InputError(f"noise, a standard deviation, must be a number of at least 0; got {noise!r:.60}")
    return y + noise * rng.standard_normal(len(y)) if noise else y


def _whole(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise InputError(f"{name} must be a whole number >= 1; got {value!r:.60}")


def _tree_text(columns: np.ndarray, cuts: list[np.ndarray], answers: np.ndarray, level: int, place: int) -> str:
    if level == len(cuts):
        return f"{answers[place]:g}"
    low, high = (_tree_text(columns, cuts, answers, level + 1, 2 * place + side) for side in (0, 1))
    return f"({high} if x{columns[level]} > {cuts[level][place]:g} else {low})"
