"""A policy as one frozen, counted callable: observations in, a score for each action out.

Source
------
Bastani2018 (section 2: the weight of a state is what a wrong action can cost there, V - min Q; where there is no Q, the
logarithms of the action probabilities stand for it).

Departures
----------
Probabilities are cut at 1e-4 from below before the logarithm, so that no state weighs more than 9.3; a policy that
gives only actions weighs every state 1. Outputs that are no probabilities are taken as Q values: for logits that gives
the same actions, and the weights that their probabilities would.

Checked
-------
tests/unit/test_policies.py: against stable-baselines3's own ``predict``, and with policies that raise, that are
random, that answer NaN or the wrong number of actions.

Cost
----
The policy's own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck.policies._environment import Environment, observed
from limbeck.policies._policy_sources import ACTIONS, KINDS, PROBABILITIES, Q_VALUES, Ask, source_of

__all__ = ["Policy", "as_policy"]

LEAST_PROBABILITY = 1e-4
CHECK_ROWS = 61
"""An odd number, so that it is neither the number of columns nor of actions by accident."""


class Policy:
    """A policy that answers many observations at once.

    Attributes
    ----------
    kind : "probabilities", "q_values" or "actions"
    n_actions : int
    name : str
    calls, rows : int
        How often it was asked, and on how many observations; the checks of `as_policy` don't count.
    """

    def __init__(self, ask: Ask, *, kind: str, n_actions: int, name: str) -> None:
        self._ask, self.kind, self.n_actions, self.name = ask, kind, n_actions, name
        self.calls = self.rows = 0

    def __repr__(self) -> str:
        return f"Policy({self.name}, kind={self.kind!r}, n_actions={self.n_actions})"

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """A score for each action, ``(n, a)``: its probability, its Q value, or 1 for the one that is taken.

        Raises
        ------
        TeacherError
            Where the policy raises, or answers something other than ``(n, a)`` finite numbers.
        """
        self.calls, self.rows = self.calls + 1, self.rows + len(observations)
        return self._answer(observations)

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The best action for each observation, ``(n,)``; the first of equals."""
        return np.asarray(self(observations).argmax(axis=1))

    def weights(self, observations: np.ndarray) -> np.ndarray:
        """What a wrong action can cost at each observation, ``(n,)``: see Source and Departures of this module."""
        scores = self(observations)
        if self.kind == ACTIONS:
            return np.ones(len(scores))
        if self.kind == PROBABILITIES:
            scores = np.log(np.maximum(scores, LEAST_PROBABILITY))
        return np.asarray(scores.max(axis=1) - scores.min(axis=1))

    def _answer(self, observations: np.ndarray) -> np.ndarray:
        try:
            said = np.asarray(self._ask(observations))
        except (InputError, TeacherError):
            raise
        except Exception as error:
            raise TeacherError(
                f"{self.name} raised {type(error).__name__} on observations of shape {observations.shape}: "
                f"{str(error)[:300]}"
            ) from error
        if self.kind == ACTIONS:
            return self._chosen(said, len(observations))
        if said.shape != (len(observations), self.n_actions) or said.dtype.kind not in "fiub":
            raise TeacherError(
                f"{self.name} must answer {len(observations)} observations with a score for each of {self.n_actions} "
                f"actions, ({len(observations)}, {self.n_actions}); got {said.shape} of type {said.dtype}"
            )
        said = said.astype(np.float64)
        if not np.isfinite(said).all():
            raise TeacherError(f"{self.name} answers with NaN or infinite numbers; a score must be finite")
        if self.kind == PROBABILITIES and not are_probabilities(said):
            raise TeacherError(
                f"{self.name} is said to give probabilities, but its answers lie from {said.min():.4g} to "
                f"{said.max():.4g} and add up to {said.sum(axis=1).min():.4g} to {said.sum(axis=1).max():.4g}; "
                "give kind='q_values' for Q values and for logits"
            )
        return said

    def _chosen(self, said: np.ndarray, n: int) -> np.ndarray:
        said = said[:, 0] if said.shape == (n, 1) else said
        whole = said.dtype.kind in "iub" or (said.dtype.kind == "f" and bool((said == np.round(said)).all()))
        if said.shape != (n,) or not whole or (n and not 0 <= said.min() <= said.max() < self.n_actions):
            raise TeacherError(
                f"{self.name} must answer {n} observations with one action each, whole numbers from 0 to "
                f"{self.n_actions - 1}; got {np.array2string(said, threshold=6)[:80]} of shape {said.shape}"
            )
        return np.eye(self.n_actions)[said.astype(np.int64)]


def as_policy(policy: Any, environment: Environment, *, kind: str | None = None) -> Policy:
    """A policy that is asked for many observations at once and is known to answer as it should.

    Parameters
    ----------
    policy
        A model of stable-baselines3 (DQN: Q values; PPO, A2C: probabilities), a torch module, an object with
        ``predict_proba`` or ``predict``, a function of observations ``(n, d)`` or of one observation ``(d,)``, or the
        path of a file that `write_teacher` wrote. It gives scores, ``(n, a)``, or actions, ``(n,)``.
    environment
        What it acts in; its first observations are what the policy is checked on.
    kind
        ``"probabilities"``, ``"q_values"`` or ``"actions"``; found from the answers where None.

    Raises
    ------
    InputError
        For something that is no policy, and for another `kind`.
    TeacherError
        Where it raises, gives numbers that are not finite or too few of them, answers differently when it is asked
        again or beside other rows, or differs from its library's own choice.

    Examples
    --------
    >>> from limbeck.policies import as_environment, as_policy
    >>> cart = as_environment("CartPole-v1")
    >>> policy = as_policy(lambda rows: rows[:, [2, 3]] @ [[-1.0, 1.0], [-1.0, 1.0]], cart)
    >>> policy.kind, policy.n_actions
    ('q_values', 2)
    """
    if isinstance(policy, Policy):
        return policy
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, or None; got {kind!r}")
    if isinstance(policy, str | Path):
        from limbeck.policies._teacher_file import read_teacher

        policy = read_teacher(policy)
    rows = first_observations(environment, CHECK_ROWS)
    a = len(environment.actions)
    source = source_of(policy, rows, a)
    found = kind or source.kind or kind_of(_first_answer(source.ask, rows, source.name), a)
    wrapped = Policy(source.ask, kind=found, n_actions=a, name=source.name)
    _check(wrapped, rows)
    if source.own is not None:
        _check_own(wrapped, rows, np.asarray(source.own(rows)))
    return wrapped


def first_observations(environment: Environment, n: int) -> np.ndarray:
    """`n` observations of random actions, from one seed."""
    env, draws, d = environment.make(), np.random.default_rng(0), len(environment.columns)
    rows: list[np.ndarray] = []
    try:
        over = True
        while len(rows) < n:
            if over:
                observation, over = env.reset(seed=len(rows))[0], False
            else:
                observation, _, end, cut, _ = env.step(int(draws.integers(len(environment.actions))))
                over = end or cut
            rows.append(observed(observation, environment.name, d))
    finally:
        env.close()
    return np.array(rows)


def kind_of(said: np.ndarray, n_actions: int) -> str:
    """What answers to several observations are: one number each is an action; rows that add up to 1, probabilities."""
    if said.ndim == 1 or (said.ndim == 2 and said.shape[1] == 1 and n_actions > 1):
        return ACTIONS
    return PROBABILITIES if said.dtype.kind == "f" and are_probabilities(said) else Q_VALUES


def are_probabilities(said: np.ndarray) -> bool:
    """Whether rows are not negative and add up to 1."""
    return bool(said.min(initial=0.0) >= -1e-6 and np.abs(said.sum(axis=-1) - 1).max(initial=0.0) < 1e-3)


def _first_answer(ask: Ask, rows: np.ndarray, name: str) -> np.ndarray:
    try:
        return np.asarray(ask(rows))
    except (InputError, TeacherError):
        raise
    except Exception as error:
        raise TeacherError(
            f"{name} raised {type(error).__name__} on observations of shape {rows.shape}: {str(error)[:300]}"
        ) from error


def _check(policy: Policy, rows: np.ndarray) -> None:
    """Two calls agree, and a row's answer does not depend on the rows beside it."""
    first, again = policy._answer(rows), policy._answer(rows)
    near = 1e-4 * max(1.0, float(np.abs(first).max()))
    if np.abs(first - again).max() > near:
        raise TeacherError(
            f"{policy.name} must give the same answer when it is asked again; its answers change by up to "
            f"{np.abs(first - again).max():.3g}. Take the best action instead of a drawn one, and switch dropout off"
        )
    few = np.vstack([policy._answer(rows[i : i + 1]) for i in (0, len(rows) // 2, len(rows) - 1)])
    apart = np.abs(few - first[[0, len(rows) // 2, len(rows) - 1]]).max()
    if apart > near:
        raise TeacherError(
            f"{policy.name} must answer each observation by itself; its answers change by {apart:.3g} with the "
            "observations beside it. Take statistics of the batch out, or give a function of one observation"
        )


def _check_own(policy: Policy, rows: np.ndarray, own: np.ndarray) -> None:
    """The best action is the one that the policy's own library takes (where two are not equal to rounding)."""
    scores = policy._answer(rows)
    ordered = np.sort(scores, axis=1)
    clear = ordered[:, -1] - ordered[:, -2] > 1e-5 * max(1.0, float(np.abs(scores).max()))
    differ = int((scores.argmax(axis=1) != own.reshape(-1))[clear].sum())
    if differ:
        raise TeacherError(
            f"{policy.name} as read here must act as its own predict() does; they differ on {differ} of {len(rows)} "
            "observations. Give a function of observations that returns its scores instead"
        )
