"""The rule of an interaction world as a network, made by hand, not by training: what it computes is known.

So an attribution of the network can be held against the truth.

Checked
-------
tests/unit/test_interaction_worlds.py: network and rule agree to 1e-5 of float32, also outside the data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.simulate._interaction_worlds import TILE, InteractionWorld

if TYPE_CHECKING:
    import torch

__all__ = ["interaction_network"]


def interaction_network(world: InteractionWorld) -> torch.nn.Module:
    """The rule of an interaction world as a network ``(n, *row) -> (n, 1)`` in float32, made by hand.

    A table: linear, ReLU, linear. An image: a convolution that takes the mean of each tile, then the same. A sentence:
    embedding, convolution over two words, ReLU, linear.

    Raises
    ------
    InputError
        For a world of another sort.

    Examples
    --------
    >>> import torch
    >>> from limbeck.simulate import planted_interactions
    >>> world = planted_interactions(10, random_state=0)
    >>> with torch.no_grad():
    ...     answers = interaction_network(world)(torch.tensor(world.X, dtype=torch.float32))[:, 0].numpy()
    >>> bool(np.allclose(answers, world.y, atol=1e-5))
    True
    """
    if not isinstance(world, InteractionWorld):
        raise InputError(
            f"an InteractionWorld (of planted_interactions and so on) is required; got {type(world).__name__}"
        )
    import torch

    first, bias, last = world.weights[:3]
    if world.kind == "text":
        return _sentence_network(world)
    layers = torch.nn.Sequential(
        _filled(torch.nn.Linear(first.shape[1], len(first)), first, bias),
        torch.nn.ReLU(),
        _filled(torch.nn.Linear(len(first), 1), last[None], np.zeros(1)),
    )
    if world.kind == "table":
        return layers.eval()
    mean = torch.nn.Conv2d(1, 1, TILE, stride=TILE)
    _filled(mean, np.full((1, 1, TILE, TILE), 1.0 / TILE**2), np.zeros(1))
    return torch.nn.Sequential(mean, torch.nn.Flatten(), *layers).eval()


def _sentence_network(world: InteractionWorld) -> torch.nn.Module:
    import torch

    kernel, bias, last, features = world.weights
    length, h = world.X.shape[1], len(kernel)

    class Sentence(torch.nn.Module):
        """Word numbers ``(n, length)`` to the feeling ``(n, 1)``."""

        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(len(features), 3)
            self.words.weight.data = torch.tensor(features, dtype=torch.float32)
            self.couples = torch.nn.Conv1d(3, h, 2, padding=1)
            self.relu = torch.nn.ReLU()
            self.out = torch.nn.Linear(h * (length + 1), 1)
            # The kernel's columns are (word before, word itself) x features; Conv1d wants features x words
            _filled(self.couples, kernel.reshape(h, 2, 3).transpose(0, 2, 1), bias)
            _filled(self.out, np.repeat(last, length + 1)[None], np.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = self.relu(self.couples(self.words(x).transpose(1, 2)))
            answer: torch.Tensor = self.out(hidden.flatten(1))
            return answer

    return Sentence().eval()


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    import torch

    layer.weight.data = torch.tensor(weight, dtype=torch.float32)
    layer.bias.data = torch.tensor(bias, dtype=torch.float32)
    return layer
