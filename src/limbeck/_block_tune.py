"""What stands in a block's place, as a torch module; and its constants tuned for the network that it stands in.

A formula that is near to the block output by output can still spoil the network: the errors of several outputs add up
in what comes after. So the constants are moved a little, on training rows, to lower

    tune x (error of the network's answers) + (1 - tune) x (error of the block's outputs),

both in shares of their variance, the mean over outputs; then rounded again.

Source
------
Nocedal1980 (L-BFGS, as in torch, with a strong Wolfe line search).

Checked
-------
tests/truth/test_block_truth.py: constants that are planted 20 % off are found again. A network of Concrete
(8-32-3-32-1), its first half replaced by 86 symbols, on held-out rows: R2 of the whole to the network from 0.58 to
0.85, of the block from 0.84 to 0.74; the loss without the block's part reaches 0.90, but with outputs that are no
longer the block's (R2 below 0).

Cost
----
About 200 passes of the network, forward and back, over at most `MOST_ROWS` rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from limbeck._block_fit import Selection
from limbeck._block_module import ReadableModule
from limbeck._block_network import Record, with_block
from limbeck._core.module_kept import random_state_kept
from limbeck._core.tables import Table
from limbeck.readable import FormulaReadable
from limbeck.teachers import Teacher
from limbeck.teachers._torch import single_tensor, tensors_from

__all__ = ["BlockModule", "tuned"]

MOST_ROWS = 4_000
STEPS = 200
LEAST_DIGITS, MOST_DIGITS = 2, 8
LOST_BY_ROUNDING = 2e-3
ROUNDING_FLOOR = 1e-9


class BlockModule(torch.nn.Module):
    """A readable model in the place of a block: reads some of its inputs, gives some of its outputs, the others fixed.

    Attributes
    ----------
    formula : ReadableModule
        What computes the outputs that are not fixed.
    """

    fixed: torch.Tensor
    reads: torch.Tensor
    gives: torch.Tensor

    def __init__(self, formula: ReadableModule, chosen: Selection) -> None:
        super().__init__()
        k = len(chosen.outputs) + len(chosen.constants)
        fixed = torch.zeros(k, dtype=torch.float64)
        for o, value in chosen.constants.items():
            fixed[o] = value
        self.formula = formula
        self.register_buffer("fixed", fixed)
        self.register_buffer("reads", torch.tensor(chosen.inputs, dtype=torch.int64))
        self.register_buffer("gives", torch.tensor(chosen.outputs, dtype=torch.int64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """The block's outputs ``(n, k)`` for its inputs ``(n, d)``."""
        given = self.formula(rows.index_select(1, self.reads.to(rows.device)))
        fixed = self.fixed.to(device=given.device, dtype=given.dtype)
        return fixed.expand(len(rows), -1).index_copy(1, self.gives.to(given.device), given)


def tuned(
    teacher: Teacher,
    model: torch.nn.Module,
    block: torch.nn.Module,
    rows: Table,
    seen: Record,
    readable: FormulaReadable,
    chosen: Selection,
    share: float,
    seed: int,
) -> tuple[FormulaReadable, str]:
    """The formula with its constants tuned and rounded, and a note on what came of it."""
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MOST_ROWS])
    part = Record(seen.inputs[some], seen.outputs[some], seen.answers[some])
    with random_state_kept():
        work = _Tuning(teacher, model, block, rows.take(some), part, readable, chosen, share)
        try:
            first, last = work.run()
        except RuntimeError as error:
            what = " ".join(str(error).split())[:120]
            return readable, f"the constants were not tuned, since the network has no slopes there: {what}"
        if not last < first:
            return readable, "tuning the constants for the whole network found nothing better"
        return work.rounded(last), (
            f"the constants were tuned for the whole network ({share:g}) and the block ({1 - share:g}): "
            f"together from {first:.3g} to {last:.3g} of the variance, on training rows"
        )


class _Tuning:
    """One network with the formula in it, and the loss as a function of the formula's constants."""

    def __init__(
        self,
        teacher: Teacher,
        model: torch.nn.Module,
        block: torch.nn.Module,
        rows: Table,
        seen: Record,
        readable: FormulaReadable,
        chosen: Selection,
        share: float,
    ) -> None:
        self.formula, self.share = ReadableModule(readable), share
        place = BlockModule(self.formula, chosen)
        self.network = with_block(model, block, place)
        for parameter in self.network.parameters():
            parameter.requires_grad_(False)
        self.formula.constants.requires_grad_(True)
        tensors = [*model.parameters(), *model.buffers()]
        device = tensors[0].device if tensors else torch.device("cpu")
        dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
        prepared = teacher.preprocess is not None
        self.given = tensors_from(teacher._sent(rows), teacher.name, device, dtype, prepared=prepared)
        self.name, self.how = teacher.name, teacher._reading().how
        self.answers = _Target(seen.answers, device)
        self.outputs = _Target(seen.outputs[:, chosen.outputs], device)
        self.of_block: list[torch.Tensor] = []
        self.formula.register_forward_hook(lambda _, args, output: self.of_block.append(output))

    def loss(self) -> torch.Tensor:
        """The loss at the constants as they are."""
        self.of_block.clear()
        raw = single_tensor(self.network(*self.given), self.name).double()
        answers = _read(raw.reshape(len(raw), -1), self.how)
        own = self.outputs.error(self.of_block[0].double())
        return self.share * self.answers.error(answers) + (1.0 - self.share) * own

    def run(self) -> tuple[float, float]:
        """The loss before and after; the constants are left at the best that was seen."""
        constants = self.formula.constants
        optimiser = torch.optim.LBFGS(
            [constants], lr=1.0, max_iter=STEPS, line_search_fn="strong_wolfe", tolerance_change=1e-9
        )
        best: list[Any] = [float("inf"), constants.detach().clone()]
        losses: list[float] = []

        def look() -> torch.Tensor:
            optimiser.zero_grad()
            loss = self.loss()
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(float(loss.detach()))
            if losses[-1] < best[0]:
                best[:] = [losses[-1], constants.detach().clone()]
            return loss

        if constants.numel():
            optimiser.step(look)  # type: ignore[no-untyped-call]
        else:
            losses.append(float(self.loss().detach()))
            best[0] = losses[0]
        with torch.no_grad():
            constants.copy_(best[1])
        return losses[0], best[0]

    @torch.no_grad()
    def rounded(self, loss: float) -> FormulaReadable:
        """The formula with as few digits as cost next to nothing."""
        constants = self.formula.constants
        exact = constants.detach().clone()
        for digits in range(LEAST_DIGITS, MOST_DIGITS):
            short = self.formula.readable(digits)
            constants.copy_(ReadableModule(short).constants)
            if float(self.loss()) <= (1.0 + LOST_BY_ROUNDING) * loss + ROUNDING_FLOOR:
                return short
            constants.copy_(exact)
        return self.formula.readable(MOST_DIGITS)


class _Target:
    """What is to be met ``(n, k)``, and the squared error of something else to it in shares of its variance."""

    def __init__(self, values: np.ndarray, device: torch.device) -> None:
        spread = values.var(axis=0)
        self.known = torch.tensor(np.flatnonzero(spread > 0), device=device)
        self.values = torch.tensor(values, dtype=torch.float64, device=device)
        self.spread = torch.tensor(spread, dtype=torch.float64, device=device)[self.known]

    def error(self, other: torch.Tensor) -> torch.Tensor:
        away = ((other - self.values) ** 2).mean(dim=0)[self.known]
        return (away / self.spread).mean() if len(away) else away.sum()


def _read(raw: torch.Tensor, how: str) -> torch.Tensor:
    """Answers as the teacher reads them, with slopes."""
    if how == "logits":
        return torch.softmax(raw, dim=1)
    if how == "logit":
        return torch.cat([torch.sigmoid(-raw), torch.sigmoid(raw)], dim=1)
    return torch.cat([1.0 - raw, raw], dim=1) if how == "positive" else raw
