"""What a network used: which groups of inputs, and which of them together. One file a method; the public names load
on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.attribution._agglomerate import agglomerate
    from limbeck.attribution._contextual_decomposition import Decomposition, contextual_decomposition, operations
    from limbeck.attribution._fitted_transforms import NMF, PCA
    from limbeck.attribution._gradients import Attribution, expected_gradients, input_x_gradient, integrated_gradients
    from limbeck.attribution._hierarchy import Hierarchy, Node
    from limbeck.attribution._interactions import Interactions, interactions
    from limbeck.attribution._transformation_importance import TransformedAttribution, transformation_importance
    from limbeck.attribution._transforms import Fourier, Transform, Wavelet
    from limbeck.attribution._units import Units, columns, pixels, superpixels, tiles, windows, words

_HOMES = {
    "Attribution": "_gradients",
    "Decomposition": "_contextual_decomposition",
    "Fourier": "_transforms",
    "Hierarchy": "_hierarchy",
    "Interactions": "_interactions",
    "NMF": "_fitted_transforms",
    "Node": "_hierarchy",
    "PCA": "_fitted_transforms",
    "Transform": "_transforms",
    "TransformedAttribution": "_transformation_importance",
    "Units": "_units",
    "Wavelet": "_transforms",
    "agglomerate": "_agglomerate",
    "columns": "_units",
    "contextual_decomposition": "_contextual_decomposition",
    "expected_gradients": "_gradients",
    "input_x_gradient": "_gradients",
    "integrated_gradients": "_gradients",
    "interactions": "_interactions",
    "operations": "_contextual_decomposition",
    "pixels": "_units",
    "superpixels": "_units",
    "tiles": "_units",
    "transformation_importance": "_transformation_importance",
    "windows": "_units",
    "words": "_units",
}

__all__ = [
    "NMF",
    "PCA",
    "Attribution",
    "Decomposition",
    "Fourier",
    "Hierarchy",
    "Interactions",
    "Node",
    "Transform",
    "TransformedAttribution",
    "Units",
    "Wavelet",
    "agglomerate",
    "columns",
    "contextual_decomposition",
    "expected_gradients",
    "input_x_gradient",
    "integrated_gradients",
    "interactions",
    "operations",
    "pixels",
    "superpixels",
    "tiles",
    "transformation_importance",
    "windows",
    "words",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.attribution.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.attribution' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
