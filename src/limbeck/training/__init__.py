"""Training: the default network, for a person who has rows and a target but no model."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.training._default_teacher import DefaultClassifier, DefaultRegressor, train_default

__all__ = ["DefaultClassifier", "DefaultRegressor", "train_default"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("limbeck.training._default_teacher"), name)
    raise AttributeError(f"module 'limbeck.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
