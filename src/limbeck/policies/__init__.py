"""Policies into programs: an environment and a policy in, programs and trees out, scored by playing. The public names
load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.policies._atari import ram_environment
    from limbeck.policies._distill_policy import distill_policy
    from limbeck.policies._environment import Environment, as_environment
    from limbeck.policies._episodes import Episodes, Return, play_episodes, play_many, score_of
    from limbeck.policies._policy import Policy, as_policy
    from limbeck.policies._policy_candidate import PolicyCandidate
    from limbeck.policies._policy_distillation import PolicyDistillation
    from limbeck.policies._recording import Recording, record_episode
    from limbeck.policies._teacher_file import PolicyNetwork, read_teacher, write_teacher

_HOMES = {
    "Environment": "_environment",
    "Episodes": "_episodes",
    "Policy": "_policy",
    "PolicyCandidate": "_policy_candidate",
    "PolicyDistillation": "_policy_distillation",
    "PolicyNetwork": "_teacher_file",
    "Recording": "_recording",
    "Return": "_episodes",
    "as_environment": "_environment",
    "as_policy": "_policy",
    "distill_policy": "_distill_policy",
    "play_episodes": "_episodes",
    "play_many": "_episodes",
    "ram_environment": "_atari",
    "read_teacher": "_teacher_file",
    "record_episode": "_recording",
    "score_of": "_episodes",
    "write_teacher": "_teacher_file",
}

__all__ = [
    "Environment",
    "Episodes",
    "Policy",
    "PolicyCandidate",
    "PolicyDistillation",
    "PolicyNetwork",
    "Recording",
    "Return",
    "as_environment",
    "as_policy",
    "distill_policy",
    "play_episodes",
    "play_many",
    "ram_environment",
    "read_teacher",
    "record_episode",
    "score_of",
    "write_teacher",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.policies.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.policies' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
