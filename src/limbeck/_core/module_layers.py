"""The layers of a network that have a weight matrix, by name, and that matrix: outputs by inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import torch

__all__ = ["chosen_layers", "default_layers", "layer_named", "weight_layers"]


def weight_layers(model: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """The Linear and Conv layers by their names in ``named_modules()``, in its order."""
    from torch import nn

    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if not isinstance(model, nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got a {type(model).__name__}")
    return {name: part for name, part in model.named_modules() if isinstance(part, kinds)}


def default_layers(model: torch.nn.Module) -> list[str]:
    """The names of the Linear layers between hidden units: all but the first and last, or all where fewer than three.

    The output projections of attention aren't among them.

    Raises
    ------
    InputError
        Where there is no Linear layer.
    """
    from torch import nn

    attention = nn.modules.linear.NonDynamicallyQuantizableLinear
    names = [
        name
        for name, part in weight_layers(model).items()
        if isinstance(part, nn.Linear) and not isinstance(part, attention)
    ]
    if not names:
        raise InputError("the network has no Linear layer; name the layers that are meant: layers=[...]")
    return names[1:-1] if len(names) >= 3 else names


def layer_named(model: torch.nn.Module, name: str) -> torch.nn.Module:
    """The Linear or Conv layer of this name; "" is the model itself.

    Raises
    ------
    InputError
        Where there is none; the message lists those that there are.
    """
    known = weight_layers(model)
    if not isinstance(name, str) or name not in known:
        raise InputError(
            f"a layer must be named as in named_modules(), one of {', '.join(map(repr, known)) or 'none'}; got "
            f"{name!r:.80}.{did_you_mean(name, known)}"
        )
    return known[name]


def chosen_layers(model: torch.nn.Module, layers: Sequence[str] | None) -> list[str]:
    """The names that are meant, each checked; the default ones for None.

    Raises
    ------
    InputError
        For a name that is not there, that comes twice, or for no names at all.
    """
    if layers is None:
        return default_layers(model)
    if isinstance(layers, str):
        raise InputError(f"layers must be a list of names; got the text {layers!r:.80}. Write [{layers!r:.80}]")
    try:
        names: list[Any] = list(layers)
    except TypeError:
        raise InputError(f"layers must be a list of names; got a {type(layers).__name__}") from None
    if not names:
        raise InputError("layers must name at least one layer; got none. Leave it out for those between hidden units")
    for name in names:
        layer_named(model, name)
    if len(set(names)) < len(names):
        raise InputError(f"layers must name each layer once; got {names!r:.200}")
    return names
