"""One file a family: estimators that learn a teacher and freeze into a readable model, loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.students._adaptive_wavelet import AdaptiveWaveletClassifier, AdaptiveWaveletRegressor
    from limbeck.students._fixed_wavelet import FixedWaveletClassifier, FixedWaveletRegressor
    from limbeck.students._formula import FormulaClassifier, FormulaRegressor
    from limbeck.students._network import NetworkClassifier, NetworkRegressor
    from limbeck.students._optimal_tree import OptimalTreeClassifier, OptimalTreeRegressor
    from limbeck.students._rule_list import RuleListClassifier, RuleListRegressor
    from limbeck.students._rule_set import RuleSetClassifier, RuleSetRegressor
    from limbeck.students._soft_tree import SoftTreeClassifier, SoftTreeRegressor
    from limbeck.students._tree import TreeClassifier, TreeRegressor
    from limbeck.students._trepan import TrepanClassifier, TrepanRegressor

__all__ = [
    "AdaptiveWaveletClassifier",
    "AdaptiveWaveletRegressor",
    "FixedWaveletClassifier",
    "FixedWaveletRegressor",
    "FormulaClassifier",
    "FormulaRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "OptimalTreeClassifier",
    "OptimalTreeRegressor",
    "RuleListClassifier",
    "RuleListRegressor",
    "RuleSetClassifier",
    "RuleSetRegressor",
    "SoftTreeClassifier",
    "SoftTreeRegressor",
    "TreeClassifier",
    "TreeRegressor",
    "TrepanClassifier",
    "TrepanRegressor",
]

_MODULES = {
    "AdaptiveWaveletClassifier": "_adaptive_wavelet",
    "AdaptiveWaveletRegressor": "_adaptive_wavelet",
    "FixedWaveletClassifier": "_fixed_wavelet",
    "FixedWaveletRegressor": "_fixed_wavelet",
    "FormulaClassifier": "_formula",
    "FormulaRegressor": "_formula",
    "NetworkClassifier": "_network",
    "NetworkRegressor": "_network",
    "OptimalTreeClassifier": "_optimal_tree",
    "OptimalTreeRegressor": "_optimal_tree",
    "RuleListClassifier": "_rule_list",
    "RuleListRegressor": "_rule_list",
    "RuleSetClassifier": "_rule_set",
    "RuleSetRegressor": "_rule_set",
    "SoftTreeClassifier": "_soft_tree",
    "SoftTreeRegressor": "_soft_tree",
    "TreeClassifier": "_tree",
    "TreeRegressor": "_tree",
    "TrepanClassifier": "_trepan",
    "TrepanRegressor": "_trepan",
}


def __getattr__(name: str) -> Any:
    """The student of this name, from its file."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
