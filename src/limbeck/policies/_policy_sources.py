"""How each kind of policy is asked: stable-baselines3, torch, objects with `predict`, functions of many or of one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError

__all__ = ["ACTIONS", "KINDS", "PROBABILITIES", "Q_VALUES", "Ask", "PolicySource", "source_of"]

PROBABILITIES, Q_VALUES, ACTIONS = "probabilities", "q_values", "actions"
KINDS = (PROBABILITIES, Q_VALUES, ACTIONS)

Ask = Callable[[np.ndarray], Any]
"""From observations ``(n, d)`` to scores ``(n, a)`` or actions ``(n,)``."""


@dataclass(frozen=True)
class PolicySource:
    """How a policy is asked; its kind where that is known; and its library's own choice, to compare with."""

    ask: Ask
    name: str
    kind: str | None = None
    own: Ask | None = None


def source_of(policy: Any, rows: np.ndarray, n_actions: int) -> PolicySource:
    """The way to ask a policy; `rows` are observations to try it on.

    Raises
    ------
    InputError
        For something that is no policy, or one whose actions are not numbered.
    """
    name = type(policy).__name__
    if type(policy).__module__.startswith(("stable_baselines3", "sb3_contrib")) and hasattr(policy, "policy"):
        return _of_baselines(policy, f"the {name} model")
    if _is_module(policy):
        kind = getattr(policy, "kind", None)
        return PolicySource(_Module(policy), f"the torch module {name}", kind if kind in KINDS else None)
    if hasattr(policy, "predict_proba") and hasattr(policy, "classes_"):
        return PolicySource(_Proba(policy, n_actions), f"the {name}", PROBABILITIES)
    method = policy if callable(policy) else _predict(policy)
    if not callable(method):
        raise InputError(
            "a policy must be a stable-baselines3 model, a torch module, an object with predict, or a function of "
            f"observations; got a {name}"
        )
    called = getattr(policy, "__name__", name)
    ways: list[Ask] = [
        way(method, kind) for kind in ("float64", "float32") for way in (_Plain, _OneByOne)
    ]  # many environments observe in single precision, and torch then takes no other
    ask = next((way for way in ways if _serves(way, rows, n_actions)), ways[0])
    return PolicySource(ask, f"the policy {called}")


def _predict(policy: Any) -> Any:
    """Its `predict`, told to take the best action where it knows that word."""
    method = getattr(policy, "predict", None)
    try:
        known = inspect.signature(method).parameters if callable(method) else {}
    except (TypeError, ValueError):
        known = {}
    return functools.partial(method, deterministic=True) if callable(method) and "deterministic" in known else method


def _is_module(policy: Any) -> bool:
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(policy, torch.nn.Module)


@dataclass(frozen=True)
class _Module:
    """A torch module, asked in evaluation mode and left as it was."""

    module: Any

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        from limbeck._core.module_outputs import outputs_as_it_is

        return np.asarray(outputs_as_it_is(self.module, rows).double().cpu().numpy())


@dataclass(frozen=True)
class _Proba:
    """A classifier of scikit-learn's manner; an action that it never saw has probability 0."""

    model: Any
    n_actions: int

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        seen = np.asarray(self.model.classes_)
        if seen.dtype.kind not in "iub" or seen.min() < 0 or seen.max() >= self.n_actions:
            raise TeacherError(
                f"the classes of {type(self.model).__name__} must be actions from 0 to {self.n_actions - 1}; "
                f"got {seen[:8]}"
            )
        scores = np.zeros((len(rows), self.n_actions))
        scores[:, seen.astype(np.int64)] = self.model.predict_proba(rows)
        return scores


@dataclass(frozen=True)
class _Plain:
    """A function of many observations; of a pair (actions, state), as some `predict` give, the actions count."""

    function: Callable[..., Any]
    precision: str = "float64"

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return _numbers(self.function(np.array(rows, dtype=self.precision)))


@dataclass(frozen=True)
class _OneByOne:
    """A function of one observation."""

    function: Callable[..., Any]
    precision: str = "float64"

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        said = [_numbers(self.function(row)) for row in np.array(rows, dtype=self.precision)]
        return np.array([one.item() if one.size == 1 else one for one in said])


def _numbers(said: Any) -> np.ndarray:
    if isinstance(said, tuple) and len(said) == 2 and (said[1] is None or isinstance(said[1], tuple | dict)):
        said = said[0]
    if hasattr(said, "detach"):
        said = said.detach().cpu()
    return np.asarray(said)


def _serves(ask: Ask, rows: np.ndarray, n_actions: int) -> bool:
    """Whether it answers each row alike alone and beside others, in the right shape."""
    try:
        many, few = np.asarray(ask(rows)), np.asarray(ask(rows[:1]))
    except Exception:  # what it raises is told later, where neither way serves
        return False
    if many.shape not in ((len(rows),), (len(rows), 1), (len(rows), n_actions)) or len(few) != 1:
        return False
    return many.dtype.kind in "iubf"


def _of_baselines(model: Any, name: str) -> PolicySource:
    space = model.action_space
    if type(space).__name__ != "Discrete":
        raise InputError(f"the actions of a policy must be numbered (Discrete); {name} acts in {space}")
    deep = model.policy
    kind = Q_VALUES if hasattr(deep, "q_net") or hasattr(deep, "quantile_net") else PROBABILITIES
    if kind == PROBABILITIES and not hasattr(deep, "get_distribution"):
        raise InputError(f"a stable-baselines3 model must be a DQN, PPO or A2C to be read; got {name}")
    return PolicySource(_Baselines(model, kind), name, kind, _OwnChoice(model))


@dataclass(frozen=True)
class _Baselines:
    """A model of stable-baselines3, with the normalisation that it was trained behind where it still has it."""

    model: Any
    kind: str

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        import torch

        deep = self.model.policy
        was = deep.training
        deep.set_training_mode(False)
        try:
            with torch.no_grad():
                seen, _ = deep.obs_to_tensor(_normalised(self.model, rows))
                if self.kind == PROBABILITIES:
                    said = deep.get_distribution(seen).distribution.probs
                elif hasattr(deep, "q_net"):
                    said = deep.q_net(seen)
                else:
                    said = deep.quantile_net(seen).mean(dim=1)
        finally:
            deep.set_training_mode(was)
        return np.asarray(said.double().cpu().numpy())


@dataclass(frozen=True)
class _OwnChoice:
    model: Any

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.model.predict(_normalised(self.model, rows), deterministic=True)[0])


def _normalised(model: Any, rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=model.observation_space.dtype)
    around = model.get_vec_normalize_env()
    return rows if around is None else np.asarray(around.normalize_obs(rows))
