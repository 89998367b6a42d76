"""A readable model for each module of a split network, put together again, with the fidelity of each and of the whole.

Find out to which outputs each module adds something that varies, and which inputs it uses for that; fit a student on
these; add up what the students say; judge each module and the sum on held-out rows.

Source
------
Golechha2024 for the modules; Cranmer2020 for formulas of a network's parts, put together again.

Departures
----------
- What a module adds to an output counts as a constant where its variance is below `UNUSED` of the output's own.
- The sum is held against the network as it was before it was split.
- No synthetic rows are asked beside those given: on digits (four modules, trees of 32 leaves) they took agreement from
  0.86 to 0.83 and doubled the time.

Checked
-------
tests/truth/test_distill_modules_truth.py: two planted functions are found, each over its own inputs; a network that is
split by shuffled clusters is reported as not faithful; a module that gives a constant is a constant.

Cost
----
A student's fit for each module: with formulas 10 to 40 s each, with trees about a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from limbeck._block_fit import UNUSED, read_student
from limbeck._block_result import block_fidelity, truth_scores, whole_fidelity
from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Schema, Table
from limbeck._setting import split as split_rows
from limbeck._truth import Truth
from limbeck.checks import Finding
from limbeck.modularity._distilled_modules import DistilledModule, DistilledModules, probabilities, scores_of
from limbeck.modularity._module_answers import (
    Answers,
    RowsOfNetwork,
    answers_of,
    classes_of,
    module_names,
    output_names_of,
    outputs_on,
    read_rows,
    read_truth_of,
)
from limbeck.modularity._split_given import read_split
from limbeck.modularity._used_inputs import used_inputs
from limbeck.readable import Readable

__all__ = ["DistilledModule", "DistilledModules", "distill_modules"]

MAX_INPUTS_OF_FORMULAS, MAX_INPUTS = 16, 64
DIGITS = 4
SAID = 1e-6
"""What leaving out inputs changes is said above this share of the variance."""


def distill_modules(
    split_network: Any,
    X: Rows,
    y: Any = None,
    *,
    student: Any = None,
    names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    max_inputs: int | None = None,
    holdout: float = 0.25,
    random_state: RandomState = 0,
    progress: Progress = False,
) -> DistilledModules:
    """Each module of a split network as a formula or a tree, their sum, and how faithful each and the sum are.

    Parameters
    ----------
    split_network : SplitNetwork or ModularTraining
        What `split` gives, or `train_modular`, which is then split. The outputs of its parts must add up.
    X : rows
        ``(n, d)`` of the kind that the network takes, or images; at least 20.
    y : array, optional
        What is true: the error of the network and of the modules is then measured. Labels say that the network's
        outputs are logits of classes.
    student : str or estimator, optional
        A name (``"formula"``, ``"tree"``, ...) or a regressor with `readable_`, for each module anew. Where absent,
        formulas in regression and trees for the logits of classes.
    names : sequence of str, optional
        Names of the inputs, for an array.
    classes : sequence, optional
        The labels in the order of the outputs; without `y`, they too say that the outputs are logits.
    max_inputs : int, optional
        A student gets at most so many of the inputs that its module uses, those of the steepest slopes; where absent,
        16 for formulas and 64 for other students.
    holdout : float
        The share of rows that nothing is fitted on.
    random_state : int, Generator or None
        The same seed gives the same answer.
    progress : bool or callable
        Show which module is being fitted.

    Raises
    ------
    InputError
        For rows, labels or a student that can't be used, and where the modules' outputs don't add up.
    TeacherError
        Where the network raises, is random, or answers with NaN.

    Source
    ------
    Golechha2024, Cranmer2020.

    Cost
    ----
    A student's fit for each module.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])), net[0].bias.zero_()
    ...     _ = net[2].weight.copy_(torch.tensor([[2.0, 2, 0, 0], [0, 0, 3, 3]])), net[2].bias.fill_(1.0)
    >>> parts = limbeck.modularity.split(net, limbeck.modularity.cluster_layers(net, ["0", "2"], k=2))
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> quick = limbeck.FormulaRegressor(max_evaluations=4_000, operators=["add", "mul", "abs"])
    >>> found = limbeck.modularity.distill_modules(parts, X, student=quick)
    >>> sorted(part.inputs for part in found.parts), found.verdict
    ([('x0',), ('x1',)], 'faithful')
    """
    started = time.monotonic()
    network = read_split(split_network)
    _refuse_options(max_inputs, holdout)
    rows = read_rows(X, names, network)
    found = answers_of(network, rows.values)
    if not found.adds_up:
        raise InputError(
            "the outputs of the modules must add up to the network's, so that what is read of them can be put "
            "together. Here something that is not linear comes after the modules: split all layers up to the last one. "
            "Or a unit has one label where it is made and another where it is read: use the labels of cluster_layers."
        )
    split_seed, student_seed, check_seed = draw_seeds(random_state, 3)
    n, k = found.whole.shape
    truth, labels = None, None if classes is None else classes_of(classes, k)
    if y is not None:
        truth, labels = read_truth_of(y, n, k, classes)
    strata = None if truth is None or labels is None else Truth(truth, "classification", labels)
    train, held = split_rows(n, holdout, strata, split_seed)
    outputs = output_names_of(y, labels, k)
    with reporting(progress) as report:
        work = _Fitting(network, rows, found, outputs, student, labels is not None, max_inputs, student_seed)
        parts = work.run(train, held, report)
    made = _judged(network, rows, found, parts, held, truth, labels, outputs, check_seed)
    return replace(made, notes=_notes(parts, rows), seconds=time.monotonic() - started)


def _refuse_options(max_inputs: Any, holdout: Any) -> None:
    from limbeck._block_case import refuse_options

    refuse_options(1 if max_inputs is None else max_inputs, 0.0, None, holdout)


class _Fitting:
    """A student for each module, on the training rows."""

    def __init__(
        self,
        network: Any,
        rows: RowsOfNetwork,
        found: Answers,
        outputs: tuple[str, ...],
        student: Any,
        is_classification: bool,
        max_inputs: int | None,
        seed: int,
    ) -> None:
        self.network, self.rows, self.outputs, self.seed = network, rows, outputs, seed
        self.given = found.contributions
        self.whole = found.whole
        self.student = ("tree" if is_classification else "formula") if student is None else student
        read_student(self.student, 1, seed)
        is_formula = self.student == "formula" or type(self.student).__name__ == "FormulaRegressor"
        self.most = max_inputs or (MAX_INPUTS_OF_FORMULAS if is_formula else MAX_INPUTS)

    def run(self, train: np.ndarray, held: np.ndarray, report: Report) -> tuple[DistilledModule, ...]:
        """The modules, each fitted and judged by itself."""
        names, parts = module_names(len(self.given)), []
        seeds = draw_seeds(self.seed, len(names))
        for i, (name, seed) in enumerate(zip(names, seeds, strict=True)):
            report("modules", i, len(names))
            parts.append(self._module(i, name, train, held, seed))
        report("modules", len(names), len(names))
        return tuple(parts)

    def _module(self, i: int, name: str, train: np.ndarray, held: np.ndarray, seed: int) -> DistilledModule:
        given = self.given[i]
        varies = given[train].var(axis=0) > UNUSED * self.whole[train].var(axis=0)
        means = given[train].mean(axis=0)
        constants = {int(o): float(means[o]) for o in np.flatnonzero(~varies)}
        outputs = np.flatnonzero(varies)
        if not len(outputs):
            return DistilledModule(name, None, (), (), constants, _constant(name))
        part = self.network.parts[i]
        used = used_inputs(part, self.rows.values[train], outputs, most=self.most, seed=seed)
        readable = self._fitted(name, used.positions, outputs, given, train, seed)
        says = readable.predict_encoded(self.rows.table.values[held][:, list(used.positions)])
        fidelity = replace(block_fidelity(given[held][:, outputs], says, seed), title=f"Fidelity to {name}")
        inputs = tuple(self.rows.names[j] for j in used.positions)
        return DistilledModule(name, readable, inputs, tuple(outputs.tolist()), constants, fidelity, used.lost)

    def _fitted(
        self, name: str, inputs: Sequence[int], outputs: np.ndarray, given: np.ndarray, train: np.ndarray, seed: int
    ) -> Readable:
        table = self.rows.table
        schema = Schema(tuple(table.schema.columns[j] for j in inputs), table.schema.container)
        own = Table(schema, np.ascontiguousarray(table.values[train][:, list(inputs)]))
        columns = [f"{name.replace(' ', '')}_{self.outputs[o]}" for o in outputs]
        estimator = read_student(self.student, len(outputs), seed)
        readable = estimator.fit(own, pd.DataFrame(given[train][:, outputs], columns=columns)).readable_
        if not isinstance(readable, Readable):
            raise InputError(
                f"a student's readable_ must be a readable model of limbeck; that of {type(estimator).__name__} is a "
                f"{type(readable).__name__}"
            )
        return readable


def _constant(name: str) -> Finding:
    return Finding("", "not_applicable", None, None, None, "it gives one value on all rows", f"Fidelity to {name}")


def _judged(
    network: Any,
    rows: RowsOfNetwork,
    found: Answers,
    parts: tuple[DistilledModule, ...],
    held: np.ndarray,
    truth: np.ndarray | None,
    labels: tuple[Any, ...] | None,
    outputs: tuple[str, ...],
    seed: int,
) -> DistilledModules:
    """The sum of the modules, held against the network as it was, on the held-out rows."""
    bias = (found.whole - found.contributions.sum(axis=0)).mean(axis=0)
    for part in parts:
        for o, value in part.constants.items():
            bias[o] += value
    bias = np.array([_rounded(value, spread) for value, spread in zip(bias, found.whole.std(axis=0), strict=True)])
    read = probabilities if labels is not None else np.asarray
    with np.errstate(all="ignore"):
        says = read(scores_of(parts, bias, rows.table.schema, rows.table.values[held]))
    answers = read(outputs_on(network.original, rows.values[held]))
    is_class = labels is not None
    whole = whole_fidelity(answers, says, is_class, seed)
    apart = replace(whole_fidelity(answers, read(found.whole[held]), is_class, seed), title="The split network")
    before = after = None
    if truth is not None:
        before, after = truth_scores(truth[held], answers, says, is_class, seed)
    task = "classification" if is_class else "regression"
    schema = rows.table.schema
    return DistilledModules(parts, whole, apart, task, outputs, labels, bias, schema, before, after)


def _rounded(value: float, spread: float) -> float:
    """A constant with as many digits as matter beside the spread of its output."""
    if spread <= 0.0:
        return float(value)
    return float(round(value, DIGITS - 1 - int(np.floor(np.log10(spread)))))


def _notes(parts: tuple[DistilledModule, ...], rows: RowsOfNetwork) -> tuple[str, ...]:
    notes = []
    for part in parts:
        if part.readable is None:
            continue
        left = len(rows.names) - len(part.inputs)
        if part.lost > SAID:
            notes.append(
                f"{part.name}: {len(part.inputs)} of {len(rows.names)} inputs were given to the student; exchanging "
                f"all {left} others between rows changes its outputs by {part.lost:.3g} of their variance"
            )
    return tuple(notes)
