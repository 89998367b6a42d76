"""Training: the default networks, for a person who has rows and a target but no model, and penalties for any loss."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.training._convolutional import ConvolutionalClassifier, ConvolutionalRegressor, train_convolutional
    from limbeck.training._default_teacher import DefaultClassifier, DefaultRegressor, train_default
    from limbeck.training._enmeshment import add_enmeshment_gradient, enmeshment_loss
    from limbeck.training._explanation import explanation_penalty
    from limbeck.training._jacobian import jacobian_penalty
    from limbeck.training._lipschitz import lipschitz_penalty
    from limbeck.training._smoothness import Smoothness, smoothness

__all__ = [
    "ConvolutionalClassifier",
    "ConvolutionalRegressor",
    "DefaultClassifier",
    "DefaultRegressor",
    "Smoothness",
    "add_enmeshment_gradient",
    "enmeshment_loss",
    "explanation_penalty",
    "jacobian_penalty",
    "lipschitz_penalty",
    "smoothness",
    "train_convolutional",
    "train_default",
]

_HOMES = {
    "ConvolutionalClassifier": "_convolutional",
    "ConvolutionalRegressor": "_convolutional",
    "DefaultClassifier": "_default_teacher",
    "DefaultRegressor": "_default_teacher",
    "Smoothness": "_smoothness",
    "add_enmeshment_gradient": "_enmeshment",
    "enmeshment_loss": "_enmeshment",
    "explanation_penalty": "_explanation",
    "jacobian_penalty": "_jacobian",
    "lipschitz_penalty": "_lipschitz",
    "smoothness": "_smoothness",
    "train_convolutional": "_convolutional",
    "train_default": "_default_teacher",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.training.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
