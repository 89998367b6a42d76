"""Networks that come apart: clusters of units, training for them, modules as networks of their own, and circuits."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.modularity._circuit import Circuit, effective_circuit
    from limbeck.modularity._circuits import Circuits, circuits
    from limbeck.modularity._clusterability import Clusterability, clusterability
    from limbeck.modularity._clusters import Clusters, cluster, cluster_layers
    from limbeck.modularity._distill_modules import DistilledModule, DistilledModules, distill_modules
    from limbeck.modularity._gradient_affinity import gradient_affinity
    from limbeck.modularity._interpretation import Interpretation, interpret
    from limbeck.modularity._specialisation import Specialisation
    from limbeck.modularity._split import SplitNetwork, split
    from limbeck.modularity._train_modular import ModularTraining, train_modular

_HOMES = {
    "Circuit": "_circuit",
    "Circuits": "_circuits",
    "Clusterability": "_clusterability",
    "Clusters": "_clusters",
    "DistilledModule": "_distill_modules",
    "DistilledModules": "_distill_modules",
    "Interpretation": "_interpretation",
    "ModularTraining": "_train_modular",
    "Specialisation": "_specialisation",
    "SplitNetwork": "_split",
    "circuits": "_circuits",
    "cluster": "_clusters",
    "cluster_layers": "_clusters",
    "clusterability": "_clusterability",
    "distill_modules": "_distill_modules",
    "effective_circuit": "_circuit",
    "gradient_affinity": "_gradient_affinity",
    "interpret": "_interpretation",
    "split": "_split",
    "train_modular": "_train_modular",
}

__all__ = [
    "Circuit",
    "Circuits",
    "Clusterability",
    "Clusters",
    "DistilledModule",
    "DistilledModules",
    "Interpretation",
    "ModularTraining",
    "Specialisation",
    "SplitNetwork",
    "circuits",
    "cluster",
    "cluster_layers",
    "clusterability",
    "distill_modules",
    "effective_circuit",
    "gradient_affinity",
    "interpret",
    "split",
    "train_modular",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.modularity.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.modularity' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
