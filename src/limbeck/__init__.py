"""limbeck turns a neural network that nobody can read into a model that a person can, and proves how faithful it is.

The public names are loaded on first use: importing the package loads none of the heavy libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck._block import blocks, distill_block
    from limbeck._block_module import as_module
    from limbeck._block_result import BlockResult
    from limbeck._compress import compress
    from limbeck._distill import distill
    from limbeck._explain import explain
    from limbeck._explanation import Explanation
    from limbeck._load import load
    from limbeck._modules import modules
    from limbeck._modules_result import ModulesResult
    from limbeck._result import Candidate, Distillation
    from limbeck._study import study_smooth_teachers
    from limbeck._tradeoff import tradeoff
    from limbeck.checks import Finding
    from limbeck.policies import PolicyDistillation, distill_policy
    from limbeck.students import (
        AdaptiveWaveletClassifier,
        AdaptiveWaveletRegressor,
        FixedWaveletClassifier,
        FixedWaveletRegressor,
        FormulaClassifier,
        FormulaRegressor,
        NetworkClassifier,
        NetworkRegressor,
        OptimalTreeClassifier,
        OptimalTreeRegressor,
        RuleListClassifier,
        RuleListRegressor,
        RuleSetClassifier,
        RuleSetRegressor,
        SoftTreeClassifier,
        SoftTreeRegressor,
        TreeClassifier,
        TreeRegressor,
        TrepanClassifier,
        TrepanRegressor,
    )
    from limbeck.teachers import Teacher, as_teacher

__version__ = "0.1.0"

_HOMES = {
    "AdaptiveWaveletClassifier": "students",
    "AdaptiveWaveletRegressor": "students",
    "BlockResult": "_block_result",
    "Candidate": "_result",
    "Distillation": "_result",
    "Explanation": "_explanation",
    "Finding": "checks",
    "FixedWaveletClassifier": "students",
    "FixedWaveletRegressor": "students",
    "FormulaClassifier": "students",
    "FormulaRegressor": "students",
    "ModulesResult": "_modules_result",
    "NetworkClassifier": "students",
    "NetworkRegressor": "students",
    "OptimalTreeClassifier": "students",
    "OptimalTreeRegressor": "students",
    "PolicyDistillation": "policies",
    "RuleListClassifier": "students",
    "RuleListRegressor": "students",
    "RuleSetClassifier": "students",
    "RuleSetRegressor": "students",
    "SoftTreeClassifier": "students",
    "SoftTreeRegressor": "students",
    "Teacher": "teachers",
    "TreeClassifier": "students",
    "TreeRegressor": "students",
    "TrepanClassifier": "students",
    "TrepanRegressor": "students",
    "as_module": "_block_module",
    "as_teacher": "teachers",
    "blocks": "_block",
    "compress": "_compress",
    "distill": "_distill",
    "distill_block": "_block",
    "distill_policy": "policies",
    "explain": "_explain",
    "load": "_load",
    "modules": "_modules",
    "study_smooth_teachers": "_study",
    "tradeoff": "_tradeoff",
}
_ROOMS = (
    "attribution",
    "checks",
    "datasets",
    "modularity",
    "policies",
    "queries",
    "readable",
    "report",
    "simulate",
    "students",
    "teachers",
    "training",
)

__all__ = [
    "AdaptiveWaveletClassifier",
    "AdaptiveWaveletRegressor",
    "BlockResult",
    "Candidate",
    "Distillation",
    "Explanation",
    "Finding",
    "FixedWaveletClassifier",
    "FixedWaveletRegressor",
    "FormulaClassifier",
    "FormulaRegressor",
    "ModulesResult",
    "NetworkClassifier",
    "NetworkRegressor",
    "OptimalTreeClassifier",
    "OptimalTreeRegressor",
    "PolicyDistillation",
    "RuleListClassifier",
    "RuleListRegressor",
    "RuleSetClassifier",
    "RuleSetRegressor",
    "SoftTreeClassifier",
    "SoftTreeRegressor",
    "Teacher",
    "TreeClassifier",
    "TreeRegressor",
    "TrepanClassifier",
    "TrepanRegressor",
    "as_module",
    "as_teacher",
    "blocks",
    "compress",
    "distill",
    "distill_block",
    "distill_policy",
    "explain",
    "load",
    "modules",
    "study_smooth_teachers",
    "tradeoff",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.{_HOMES[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"limbeck.{name}")
    raise AttributeError(f"module 'limbeck' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})
