"""Which of a block's inputs and outputs matter to the network, and the student that is fitted on them.

Everything is measured on the whole network's answers, in shares of their variance: an output by putting its mean in its
place, an input by shuffling its values over the rows.

Source
------
Breiman2001, section 10, for shuffling.

Departures
----------
What is shuffled is what one block takes, not a column of the rows, and the answer's change counts, not its error.

Cost
----
One pass of the network over at most `MEASURED_ROWS` rows for each input and output, and the student's own fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._block_network import Edit, Place, Record, answers_with
from limbeck._core.errors import InputError, TeacherError, did_you_mean
from limbeck._core.tables import Column, Schema, Table
from limbeck._named_students import STUDENTS, named_students
from limbeck.readable import Readable
from limbeck.teachers import Teacher

__all__ = ["Selection", "default_student", "fit_student", "read_student", "select"]

MEASURED_ROWS = 1_000
FLAT = 1e-6
"""An output or input varies where its range is above this share of its size."""
UNUSED = 1e-3
"""Outputs whose means, all put in place together, change the answers by less than this share of their variance are
constants."""
SYMBOLS_AN_OUTPUT = 30
EVALUATIONS_AN_OUTPUT = 200_000
LEAST_SYMBOLS, LEAST_EVALUATIONS, MOST_EVALUATIONS = 40, 400_000, 1_600_000


@dataclass(frozen=True)
class Selection:
    """What of a block is fitted.

    Attributes
    ----------
    inputs, outputs : tuple of int
        Positions that the student reads and gives.
    constants : dict of int to float
        Other outputs, and what stands in their place.
    input_effects, output_effects : array ``(d,)``, ``(k,)``
        The change of the network's answers, in shares of their variance.
    lost_inputs, lost_outputs : float
        The same for all inputs that are left out, and all outputs that are constants, together.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: dict[int, float]
    input_effects: np.ndarray
    output_effects: np.ndarray
    lost_inputs: float
    lost_outputs: float


def select(
    teacher: Teacher, block: torch.nn.Module, rows: Table, seen: Record, *, max_inputs: int, seed: int
) -> Selection:
    """The outputs that something downstream uses, and the inputs that matter, at most `max_inputs`.

    Raises
    ------
    InputError
        Where no output matters: there is nothing to distil.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:MEASURED_ROWS])
    work = _Effects(teacher, block, rows.take(some), Record(*(part[some] for part in _parts(seen))), seed)
    k, d = seen.outputs.shape[1], seen.inputs.shape[1]
    means = seen.outputs.mean(axis=0)
    varying = _varying(seen.outputs)
    effects = np.array([work.with_means([o], means) if varying[o] else 0.0 for o in range(k)])
    unused = [o for o in np.argsort(effects, kind="stable") if varying[o] and effects[o] <= UNUSED]
    while unused and work.with_means(unused, means) > UNUSED:
        unused = unused[: len(unused) // 2]
    flat = [o for o in range(k) if not varying[o]]
    constants = {int(o): float(means[o]) for o in sorted([*flat, *unused])}
    outputs = tuple(o for o in range(k) if o not in constants)
    if not outputs:
        raise InputError(
            "no output of the block matters: with their means in their place the network answers the same, to "
            f"{UNUSED:g} of the variance of its answers. There is nothing to distil; use the means."
        )
    reads = _varying(seen.inputs)
    shares = np.array([work.shuffled([j]) if reads[j] else 0.0 for j in range(d)])
    order = [int(j) for j in np.argsort(-shares, kind="stable") if shares[j] > 0.0]
    inputs = tuple(sorted(order[:max_inputs])) or (int(np.argmax(reads)),)
    left = order[max_inputs:]
    return Selection(
        inputs,
        outputs,
        constants,
        shares,
        effects,
        work.shuffled(left) if left else 0.0,
        work.with_means(unused, means) if unused else 0.0,
    )


def _parts(seen: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return seen.inputs, seen.outputs, seen.answers


def _varying(values: np.ndarray) -> np.ndarray:
    return np.ptp(values, axis=0) > FLAT * np.abs(values).max(axis=0)


class _Effects:
    """How much the network's answers change when the block is edited, in shares of their variance."""

    def __init__(self, teacher: Teacher, block: torch.nn.Module, rows: Table, seen: Record, seed: int) -> None:
        self.teacher, self.block, self.rows, self.seen = teacher, block, rows, seen
        self.order = np.random.default_rng(seed + 1).permutation(len(rows))

    def with_means(self, outputs: Sequence[int], means: np.ndarray) -> float:
        """The change with the means of these outputs in their place."""

        def edit(values: torch.Tensor) -> torch.Tensor:
            edited = values.clone()
            edited[:, list(outputs)] = values.new_tensor(means[list(outputs)])
            return edited

        return self._change(None, edit)

    def shuffled(self, inputs: Sequence[int]) -> float:
        """The change with the values of these inputs exchanged between rows."""
        start = 0

        def edit(values: torch.Tensor) -> torch.Tensor:
            nonlocal start
            order, columns = self.order[start : start + len(values)], list(inputs)
            start += len(values)
            edited = values.clone()
            edited[:, columns] = values.new_tensor(self.seen.inputs[order][:, columns])
            return edited

        return self._change(edit, None)

    def _change(self, inputs: Edit | None, outputs: Edit | None) -> float:
        try:
            answers = answers_with(self.teacher, self.block, self.rows, inputs=inputs, outputs=outputs)
        except TeacherError:
            return float("inf")  # the network can't do without it: it answers with NaN
        spread = self.seen.answers.var(axis=0)
        known = spread > 0
        if not known.any():
            return float(np.abs(answers - self.seen.answers).max() > 0)
        return float(np.mean(((answers - self.seen.answers) ** 2).mean(axis=0)[known] / spread[known]))


def read_student(student: Any, n_outputs: int, seed: int) -> Any:
    """An estimator with a seed of its own, from a name, an estimator, or None.

    Raises
    ------
    InputError
        For an unknown name, a classifier, or anything else.
    """
    if student is None or student == "formula":
        student = default_student(n_outputs)
    if isinstance(student, str) and student not in STUDENTS:
        raise InputError(
            f"student is one of {sorted(STUDENTS)} or a regressor; got {student!r}.{did_you_mean(student, STUDENTS)}"
        )
    if getattr(student, "_estimator_type", "") == "classifier" or type(student).__name__.endswith("Classifier"):
        raise InputError(
            f"a block gives numbers, so a regressor is required, such as limbeck.TreeRegressor(); "
            f"got {type(student).__name__}"
        )
    return next(iter(named_students([student], False, seed).values()))


def default_student(n_outputs: int) -> Any:
    """Formulas with a budget that is shared over the outputs."""
    from limbeck.students import FormulaRegressor

    evaluations = int(np.clip(EVALUATIONS_AN_OUTPUT * n_outputs, LEAST_EVALUATIONS, MOST_EVALUATIONS))
    return FormulaRegressor(
        max_complexity=max(LEAST_SYMBOLS, SYMBOLS_AN_OUTPUT * n_outputs), max_evaluations=evaluations
    )


def fit_student(student: Any, place: Place, seen: Record, chosen: Selection) -> Readable:
    """What a person reads of the student, fitted on the chosen inputs and outputs."""
    import pandas as pd

    schema = Schema(tuple(Column(place.input_names[j]) for j in chosen.inputs))
    table = Table(schema, np.ascontiguousarray(seen.inputs[:, chosen.inputs]))
    names = [f"{place.name}[{o}]" for o in chosen.outputs]
    targets = pd.DataFrame(seen.outputs[:, chosen.outputs], columns=names)
    readable = student.fit(table, targets).readable_
    if not isinstance(readable, Readable):
        raise InputError(
            f"a student's readable_ must be a readable model of limbeck; that of {type(student).__name__} is a "
            f"{type(readable).__name__}"
        )
    return readable
