"""A split network, from what a person has: one, or a network that was trained to come apart."""

from __future__ import annotations

from typing import Any

from limbeck._core.errors import InputError

__all__ = ["read_split"]


def read_split(given: Any) -> Any:
    """The split network: itself, or a `ModularTraining` that is split now.

    Raises
    ------
    InputError
        For anything else.
    """
    from limbeck.modularity._split import SplitNetwork, split
    from limbeck.modularity._train_modular import ModularTraining

    if isinstance(given, ModularTraining):
        given = split(given)
    if not isinstance(given, SplitNetwork):
        raise InputError(
            "a split network is required, as limbeck.modularity.split(model, clusters) gives it, or what train_modular "
            f"gives; got a {type(given).__name__}"
        )
    return given
