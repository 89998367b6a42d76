"""A small policy network as a safetensors file: weights, and beside them what they are and how they were made.

Departures
----------
Nothing is pickled: a file holds tensors and text.

Checked
-------
tests/unit/test_policies.py: what is read answers exactly what was written; damaged files are refused.

Cost
----
Milliseconds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from limbeck._core.errors import InputError

__all__ = ["KINDS", "PolicyNetwork", "read_teacher", "write_teacher"]

KINDS = ("probabilities", "q_values")
ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}
_MARK = "limbeck_policy"


class PolicyNetwork(torch.nn.Module):
    """Dense layers behind a fixed shift and scale of the inputs; a softmax at the end for action probabilities."""

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(
        self,
        layers: list[tuple[torch.Tensor, torch.Tensor]],
        *,
        shift: torch.Tensor,
        scale: torch.Tensor,
        kind: str,
        activation: str = "tanh",
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.kind, self.activation, self.details = kind, activation, dict(details or {})
        self.register_buffer("shift", torch.as_tensor(shift, dtype=torch.float32).clone())
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32).clone())
        self.layers = torch.nn.ModuleList(torch.nn.Linear(w.shape[1], w.shape[0]) for w, _ in layers)
        with torch.no_grad():
            for layer, (weight, bias) in zip(self.layers, layers, strict=True):
                layer.weight.copy_(weight)  # type: ignore[operator]
                layer.bias.copy_(bias)  # type: ignore[operator]
        self.bend = ACTIVATIONS[activation]()
        self.requires_grad_(False)
        self.eval()

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Action probabilities or Q values, ``(n, actions)``."""
        x = (observations.to(self.shift.dtype) - self.shift) * self.scale
        for layer in list(self.layers)[:-1]:
            x = self.bend(layer(x))
        x = self.layers[-1](x)
        return torch.softmax(x, dim=-1) if self.kind == "probabilities" else x

    @property
    def n_weights(self) -> int:
        """Numbers that were learned."""
        return sum(p.numel() for p in self.parameters())


def write_teacher(network: PolicyNetwork, path: str | Path) -> None:
    """Write a network beside the place and rename it there: a stop leaves the old file or the new one."""
    from safetensors.torch import save

    about = {
        _MARK: "1",
        "kind": network.kind,
        "activation": network.activation,
        "details": json.dumps(network.details, sort_keys=True),
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_bytes(save({k: v.contiguous() for k, v in network.state_dict().items()}, metadata=about))
    beside.replace(path)


def read_teacher(path: str | Path) -> PolicyNetwork:
    """The network of a file that `write_teacher` wrote; its `details` say how it was made.

    Raises
    ------
    InputError
        Where the file is absent, is no safetensors file, or holds something other than a policy network.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"a teacher must be a safetensors file of a policy; {str(path)!r} can't be read: {error}"
        ) from None
    return _network(path, about, tensors)


def _network(path: Path, about: dict[str, str], tensors: dict[str, torch.Tensor]) -> PolicyNetwork:
    n = sum(name.startswith("layers.") and name.endswith(".weight") for name in tensors)
    names = [f"layers.{i}.{part}" for i in range(n) for part in ("weight", "bias")]
    if (
        about.get(_MARK) != "1"
        or about.get("kind") not in KINDS
        or about.get("activation") not in ACTIVATIONS
        or n == 0
        or set(tensors) != {"shift", "scale", *names}
    ):
        raise InputError(
            f"a teacher must be a file that write_teacher wrote (a policy network of version 1); {str(path)!r} holds "
            f"{', '.join(sorted(tensors)[:6]) or 'nothing'}"
        )
    layers = [(tensors[f"layers.{i}.weight"], tensors[f"layers.{i}.bias"]) for i in range(n)]
    try:
        details = json.loads(about.get("details", "{}"))
        return PolicyNetwork(
            layers,
            shift=tensors["shift"],
            scale=tensors["scale"],
            kind=about["kind"],
            activation=about["activation"],
            details=details,
        )
    except (ValueError, RuntimeError, IndexError, TypeError) as error:
        raise InputError(f"the policy network in {str(path)!r} is damaged: {error}") from None
