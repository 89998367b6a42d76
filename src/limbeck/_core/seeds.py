"""Seeds: drawn before a run, one a task, so that the answer does not depend on the order or number of processes."""

from __future__ import annotations

import numbers

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["RandomState", "as_generator", "draw_seeds"]

RandomState = int | np.random.Generator | np.random.RandomState | None


def as_generator(random_state: RandomState) -> np.random.Generator:
    """A generator of its own from a seed, a generator, or None (fresh).

    Raises
    ------
    InputError
        For anything else, and for a negative seed.
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31))
    if random_state is None or (isinstance(random_state, numbers.Integral) and int(random_state) >= 0):
        return np.random.default_rng(None if random_state is None else int(random_state))
    raise InputError(f"random_state must be a whole number >= 0, a NumPy Generator or None; got {random_state!r:.60}")


def draw_seeds(random_state: RandomState, n: int) -> list[int]:
    """`n` seeds below 2**31."""
    return [int(seed) for seed in as_generator(random_state).integers(2**31 - 1, size=n)]
