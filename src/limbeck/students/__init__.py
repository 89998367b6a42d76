"""One file a family: estimators that learn a teacher and freeze into a readable model, loaded on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.students._formula import FormulaClassifier, FormulaRegressor
    from limbeck.students._network import NetworkClassifier, NetworkRegressor
    from limbeck.students._tree import TreeClassifier, TreeRegressor

__all__ = [
    "FormulaClassifier",
    "FormulaRegressor",
    "NetworkClassifier",
    "NetworkRegressor",
    "TreeClassifier",
    "TreeRegressor",
]

_MODULES = {
    "FormulaClassifier": "_formula",
    "FormulaRegressor": "_formula",
    "NetworkClassifier": "_network",
    "NetworkRegressor": "_network",
    "TreeClassifier": "_tree",
    "TreeRegressor": "_tree",
}


def __getattr__(name: str) -> Any:
    """The student of this name, from its file."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
