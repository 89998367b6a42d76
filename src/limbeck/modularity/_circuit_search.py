"""The schedule by which a layer loses weights: many together, measured, and fewer where the loss rises.

Departures
----------
The paper tries one weight after another. Here a round asks what zeroing each weight that is left would cost, to second
order, and tries three quarters of those that would cost nothing. Where the loss rises it tries a quarter of them, down
to one; the next round tries at most four times as many as went well. Which of them come first changes from round to
round: those that gain most for their size, which lowers the loss, and the smallest, which take most weights away. The
largest gains first is the last resort: they pull the same way, and a few of them overshoot. Where none is thought to
cost nothing, the cheapest sixteenth is tried in the same way, since the second order may err. At the end the 64
cheapest that are left are tried one by one, or in a large layer few by few.

Checked
-------
tests/unit/test_circuits.py: against one weight at a time. benchmarks/modular_circuits.py: time, size, loss.

Cost
----
A round is some five to seven passes. A layer takes some 10 to 20 rounds where the loss soon is 0, and at most 100; and
64 passes at the end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from limbeck.modularity._circuit_network import MaskedNetwork

__all__ = ["Allowance", "prune_layer"]

SHARE, GROW, SHRINK, PROBED = 0.75, 4, 4, 16
FEW, SWEPT = 512, 64
ROUNDS, PATIENCE, LEAST = 100, 3.0, 0.001
"""At most so many rounds a layer; an order is given up after so many that zero nothing, those that zero less than
`LEAST` of the layer's weights counting half. At the end `SWEPT` lots of 1/`FEW` of what is left are tried."""


@dataclass
class Allowance:
    """How high the loss above the floor may be: `tolerance` above the lowest one so far; and where it is now."""

    lowest: float
    now: float
    below: float
    tolerance: float

    @property
    def room(self) -> float:
        """How much the loss may rise; with none above the floor, what the rows have left below it as well."""
        left = self.lowest + self.tolerance - self.now
        return left + self.below if self.now == 0.0 else left

    def grants(self, counted: float) -> bool:
        """True where the loss may be so high; NaN may not."""
        return counted <= self.lowest + self.tolerance


def prune_layer(network: MaskedNetwork, name: str, allowance: Allowance) -> None:
    """Zero the weights of one layer that can be spared; `network.keep` and `allowance` say what came of it."""
    network.work_at(name)
    _zero_dead(network, name, allowance)
    _search(network, name, allowance, torch.zeros_like(network.keep[name]))
    _sweep(network, name, allowance)
    _zero_dead(network, name, allowance)


def _search(network: MaskedNetwork, name: str, allowance: Allowance, refused: torch.Tensor) -> None:
    """Rounds until nothing, or next to nothing, is zeroed."""
    step, misses, last, total = refused.numel(), 0.0, False, refused.numel()
    for i in range(ROUNDS):
        order, free = _ranked(network, name, refused, allowance, "gain" if last else ("rate", "size")[i % 2])
        if not len(order):
            return
        take = min(math.ceil(SHARE * free) if free else math.ceil(len(order) / PROBED), step)
        zeroed = _zero_some(network, name, order, take, allowance)
        if not zeroed:
            refused.view(-1)[order[0]] = True
        step = GROW * max(zeroed, 1)
        misses = 0.0 if zeroed > LEAST * total else misses + (0.5 if zeroed else 1.0)
        if misses >= PATIENCE:
            if last:
                return
            step, misses, last = total, 0.0, True


def _sweep(network: MaskedNetwork, name: str, allowance: Allowance) -> None:
    """One by one, or few by few in a large layer, the cheapest weights that are left are tried once more."""
    order, _ = _ranked(network, name, torch.zeros_like(network.keep[name]), allowance, "gain")
    for some in order.split(max(1, len(order) // FEW))[:SWEPT]:
        _zero_some(network, name, some, len(some), allowance, retry=False)


def _ranked(
    network: MaskedNetwork, name: str, refused: torch.Tensor, allowance: Allowance, by: str
) -> tuple[torch.Tensor, int]:
    """The places of the weights that are left and not refused, and how many may cost nothing; these come first."""
    places = (network.keep[name] & ~refused).view(-1).nonzero()[:, 0]
    if not len(places):
        return places, 0
    cost, order = network.costs(name).reshape(-1)[places].double().sort(stable=True)
    free = int((cost <= 0).sum())
    if allowance.room > 0:
        free = max(free, int((cost.cumsum(0) <= allowance.room).sum()))
    places = places[order]
    if by != "gain":
        squares = network.weights[name].reshape(-1)[places[:free]].double() ** 2
        first = squares if by == "size" else cost[:free] / squares
        places = torch.cat([places[:free][first.argsort(stable=True)], places[free:]])
    return places, free


def _zero_dead(network: MaskedNetwork, name: str, allowance: Allowance) -> None:
    """Zero the weights through which nothing flows on these rows, such as those of pixels that are always black."""
    dead = ((network.costs(name) == 0) & network.keep[name]).view(-1).nonzero()[:, 0]
    _zero_some(network, name, dead, len(dead), allowance)


def _zero_some(
    network: MaskedNetwork, name: str, order: torch.Tensor, take: int, allowance: Allowance, *, retry: bool = True
) -> int:
    """Zero the first `take` weights, or fewer of them, where the loss allows it; how many."""
    while take:
        keep = network.keep[name].clone()
        keep.view(-1)[order[:take]] = False
        room = network.losses(name, keep)
        if allowance.grants(room.counted):
            network.keep[name] = keep
            allowance.now, allowance.below = room.counted, room.below
            allowance.lowest = min(allowance.lowest, room.counted)
            return take
        take = take // SHRINK if retry else 0
    return 0
