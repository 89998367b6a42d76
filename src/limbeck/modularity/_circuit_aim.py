"""What a circuit must keep: the loss of one label, or of one output, on rows, and how that loss answers to the network.

Symbols
-------
For a label, a row's score is the margin m = z_label - log sum of exp(z) of the other outputs, and its cross entropy is
softplus(-m). On rows of other labels, where these count too, it is softplus(m): the cross entropy of "not this label".
For an output of a regression network the score is the output, and the loss is its squared change, as a share of the
output's variance.

Departures
----------
What lies below the floor does not count. A cross entropy in float32 can't tell 6e-8 from 0, so one weight at a time,
in float32, the floor is there too, unsaid.

Cost
----
O(n k) for n rows of k outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from limbeck._core.errors import InputError, TeacherError

__all__ = ["Aim", "LabelAim", "OutputAim", "Room"]

LABEL_FLOOR = 5.9e-8
OUTPUT_FLOOR = 1e-12


@dataclass(frozen=True)
class Room:
    """A loss: as it is, what of it lies above the floor, and how much the rows that lie below the floor could rise."""

    loss: float
    counted: float
    below: float


@dataclass
class Aim:
    """Rows in batches, and the share of each row in the mean ``(n,)``, summing to 1."""

    batches: tuple[torch.Tensor, ...]
    shares: tuple[torch.Tensor, ...]
    floor: float = LABEL_FLOOR

    def __len__(self) -> int:
        return sum(len(batch) for batch in self.batches)

    def score(self, i: int, answers: torch.Tensor) -> torch.Tensor:
        """The one number ``(n,)`` of the answers ``(n, k)`` to batch `i` on which the loss depends, in float64."""
        raise NotImplementedError

    def losses(self, i: int, score: torch.Tensor) -> torch.Tensor:
        """The loss of each row ``(n,)``."""
        raise NotImplementedError

    def slopes(self, i: int, score: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The first and the second derivative of each row's loss by its score."""
        raise NotImplementedError

    def room(self, scores: list[torch.Tensor]) -> Room:
        """The loss over all batches."""
        loss = counted = below = 0.0
        for i, score in enumerate(scores):
            each, share = self.losses(i, score), self.shares[i]
            loss += float(each @ share)
            counted += float((each - self.floor).clamp(min=0) @ share)
            below += float((self.floor - each).clamp(min=0) @ share)
        return Room(loss, counted, below)


@dataclass
class LabelAim(Aim):
    """The cross entropy of one label; `sides` are 1 on its rows and -1 on rows of others."""

    label: int = 0
    sides: tuple[torch.Tensor, ...] = field(default_factory=tuple)

    def score(self, i: int, answers: torch.Tensor) -> torch.Tensor:
        """The margin, in nats; where there is one output, it is the logit of label 1."""
        z, label = answers.double(), self.label
        if z.shape[1] == 1:
            return z[:, 0] if label else -z[:, 0]
        return z[:, label] - torch.cat([z[:, :label], z[:, label + 1 :]], dim=1).logsumexp(dim=1)

    def losses(self, i: int, score: torch.Tensor) -> torch.Tensor:
        """``softplus(-m)``, or ``softplus(m)`` on rows of others."""
        return _softplus(-self.sides[i] * score)

    def slopes(self, i: int, score: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``-side sigmoid(-side m)`` and ``sigmoid(m) sigmoid(-m)``."""
        return (
            -self.sides[i] * torch.sigmoid(-self.sides[i] * score),
            torch.sigmoid(score) * torch.sigmoid(-score),
        )


@dataclass
class OutputAim(Aim):
    """The squared change of one output, in shares of its variance on the rows."""

    output: int = 0
    wanted: list[torch.Tensor] = field(default_factory=list)
    variance: float = 1.0
    floor: float = OUTPUT_FLOOR

    def score(self, i: int, answers: torch.Tensor) -> torch.Tensor:
        """The output."""
        return answers[:, self.output].double()

    def want(self, scores: list[torch.Tensor]) -> None:
        """The whole network's outputs are what is wanted."""
        values = torch.cat(scores)
        self.wanted, self.variance = scores, float(values.var(correction=0)) or 1.0

    def losses(self, i: int, score: torch.Tensor) -> torch.Tensor:
        """``(f - f_0)^2 / var f_0``."""
        return (score - self.wanted[i]) ** 2 / self.variance

    def slopes(self, i: int, score: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """``2 (f - f_0) / var f_0`` and ``2 / var f_0``."""
        return 2 * (score - self.wanted[i]) / self.variance, torch.full_like(score, 2 / self.variance)


def _softplus(values: torch.Tensor) -> torch.Tensor:
    """``log(1 + e^v)``, exact also far below 0, where torch's own has no digits left."""
    return values.clamp(min=0) + torch.log1p(torch.exp(-values.abs()))


def label_aim(x: torch.Tensor, y: torch.Tensor, label: int, *, contrast: bool, size: int) -> LabelAim:
    """The aim of one label: its rows, and with `contrast` those of others, which then weigh as much in all.

    Raises
    ------
    InputError
        Where no row has the label, or, with `contrast`, all have it.
    """
    own = y == label
    n, others = int(own.sum()), int((~own).sum())
    if not n:
        have = ", ".join(str(int(v)) for v in y.unique()[:20])
        raise InputError(f"label {label} has no rows among the {len(y)} given; those have the labels {have}")
    if contrast and not others:
        raise InputError(f"contrast=True needs rows of other labels than {label}; all {n} rows have it")
    if not contrast:
        x, own, others = x[own], own[own], 1
    half = 0.5 if contrast else 1.0
    shares = torch.where(own, half / n, half / others).double()
    sides = torch.where(own, 1.0, -1.0).double()
    return LabelAim(tuple(x.split(size)), tuple(shares.split(size)), label=label, sides=tuple(sides.split(size)))


def output_aim(x: torch.Tensor, output: int, *, size: int) -> OutputAim:
    """The aim of one output on all rows."""
    shares = torch.full((len(x),), 1.0 / len(x), dtype=torch.float64, device=x.device)
    return OutputAim(tuple(x.split(size)), tuple(shares.split(size)), output=output)


def finite_answers(answers: torch.Tensor, model: Any) -> torch.Tensor:
    """The answers, refused where they can't be compared.

    Raises
    ------
    TeacherError
        For NaN and infinity.
    """
    if not answers.is_floating_point() or not bool(torch.isfinite(answers).all()):
        raise TeacherError(
            f"the network {type(model).__name__} must answer finite numbers; some answers are NaN, infinite or not of "
            "floating point"
        )
    return answers
