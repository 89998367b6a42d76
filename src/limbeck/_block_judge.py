"""The judgement of a block: the readable put in its place, and both held against the held-out rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from limbeck._block_case import Case
from limbeck._block_fit import Selection
from limbeck._block_module import ReadableModule
from limbeck._block_network import Record, asked_alike, with_block
from limbeck._block_result import BlockResult, block_fidelity, truth_scores, whole_fidelity
from limbeck._block_tune import BlockModule
from limbeck._core.errors import InputError, TeacherError
from limbeck.readable import FormulaReadable, Readable

__all__ = ["judged", "notes_on", "with_means"]


def judged(case: Case, readable: Readable, chosen: Selection, held: Record, seed: int) -> BlockResult:
    """The network with the readable in it, and what is found of both on the held-out rows."""
    new = BlockModule(ReadableModule(readable), chosen)
    model = with_block(case.model, case.block, _like(new, case.model))
    rows = held.inputs[:, chosen.inputs]
    given = readable.scores(rows) if isinstance(readable, FormulaReadable) else readable.predict_encoded(rows)
    answers, problem = np.full(held.answers.shape, np.nan), ""
    known = np.flatnonzero(np.isfinite(given).all(axis=1))
    if len(known):
        try:
            answers[known] = asked_alike(case.teacher, model)(case.held_out.take(known))
        except TeacherError as error:
            problem = str(error)
    is_class = case.is_classification
    whole = whole_fidelity(held.answers, answers, is_class, seed)
    if problem:
        whole = replace(whole, message=f"it does not answer with the formula in it: {problem}")
    before = after = None
    if case.truth is not None:
        before, after = truth_scores(case.truth, held.answers, answers, is_class, seed)
    return BlockResult(
        case.place.name,
        case.place.kind,
        readable,
        model,
        block_fidelity(held.outputs[:, chosen.outputs], given, seed),
        whole,
        None,
        None,
        before,
        after,
        chosen.inputs,
        chosen.outputs,
        chosen.constants,
        {
            "inputs": chosen.input_effects.tolist(),
            "outputs": chosen.output_effects.tolist(),
            "inputs_left_out": chosen.lost_inputs,
            "outputs_constant": chosen.lost_outputs,
        },
    )


def _like(new: BlockModule, model: torch.nn.Module) -> BlockModule:
    """The module on the network's device, its numbers in the network's type."""
    tensors = [*model.parameters(), *model.buffers()]
    dtype = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), None)
    return new.to(device=tensors[0].device if tensors else "cpu", dtype=dtype)


class _Means(torch.nn.Module):
    """A block that always gives the same."""

    def __init__(self, means: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("means", torch.tensor(means))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.means.to(device=rows.device, dtype=rows.dtype).expand(len(rows), -1)  # type: ignore[operator]


def with_means(case: Case, seen: Record, held: Record, seed: int) -> float | None:
    """How faithful the network is with the block's mean outputs in its place.

    Raises
    ------
    InputError
        Where the network does not work with another module there.
    """
    model = with_block(case.model, case.block, _Means(seen.outputs.mean(axis=0)))
    try:
        answers = asked_alike(case.teacher, model)(case.held_out)
    except TeacherError as error:
        if error.__cause__ is None:
            return None  # it answers, but with NaN
        raise InputError(
            f"the network does not work with another module in the place of {case.place.name!r}: {error} Something may "
            "read the block's own weights; replace a larger block around it."
        ) from error
    return whole_fidelity(held.answers, answers, case.is_classification, seed).value


def notes_on(case: Case, chosen: Selection, readable: Readable) -> list[str]:
    place, notes = case.place, []
    left = place.inputs - len(chosen.inputs)
    if left:
        notes.append(
            f"{len(chosen.inputs)} of {place.inputs} inputs were given to the student, those whose shuffling changes "
            f"the answers most; all {left} others shuffled together change them by {chosen.lost_inputs:.3g} of their "
            "variance"
        )
    if chosen.constants:
        notes.append(
            f"{len(chosen.constants)} of {place.outputs} outputs are constants: they do not vary, or nothing "
            f"downstream uses them; their means in their place change the answers by {chosen.lost_outputs:.3g} of "
            "their variance"
        )
    if place.scales is not None:
        read = [chosen.inputs[i] for i in readable.columns_used]
        scaled = [(place.input_names[j], *place.scales[j]) for j in read]
        notes += [f"{name} = ({name.removesuffix(' (scaled)')} - {a:.6g}) / {by:.6g}" for name, a, by in scaled[:12]]
    if case.truth is not None:
        notes.append("if the network was trained on these rows, its error on the truth before is flattered")
    return notes
