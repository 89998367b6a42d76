"""A formula for a block inside a network, put back in its place, with the error of the whole network before and after.

Hold out rows; watch what the block takes and gives while the network answers the others; find out which of its inputs
and outputs the network's answers depend on; fit a student; tune its constants for the network that it will stand in;
put it there; judge the block and the whole network on the held-out rows.

Source
------
Cranmer2020 (formulas for the parts of a trained network, put together again).

Departures
----------
- The constants are tuned in their place, for the whole network's answers and the block's outputs together
  (`_block_tune`); ``tune=0`` leaves them as the student found them.
- Rows beside the data are asked too, so that a formula for many outputs holds on held-out rows: on a network of
  Concrete, untuned, R2 of the whole 0.60 with them and 0.33 without.
- The verdict is about the whole network, by the thresholds of RC001, and a constant in the block's
  place is the control.

Checked
-------
tests/truth/test_block_truth.py: a planted law inside a network is found and the whole error stays; a block of random
waves, and a formula of one symbol, are reported as not faithful, with the error of the whole visibly worse.

Cost
----
The student's fit, by default 10 to 40 s; a pass over at most 1,000 rows for each input and output of the block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Table
from limbeck.readable import FormulaReadable

if TYPE_CHECKING:
    import pandas as pd

    from limbeck._block_case import Case
    from limbeck._block_network import Place
    from limbeck._block_result import BlockResult

__all__ = ["blocks", "distill_block"]

MAX_INPUTS = 16
ROWS = 5_000
"""So many rows, with the synthetic ones, a student is fitted on by default."""
PARTS = ("split", "queries", "select", "student", "tune", "checks")


def blocks(
    model: Any,
    X: Rows,
    *,
    names: Sequence[str] | None = None,
    task: Any = None,
    preprocess: Callable[[Any], Any] | None = None,
) -> pd.DataFrame:
    """A DataFrame with a row for each module inside a network: its width, whether it can be replaced, and the cost.

    Parameters
    ----------
    model : torch.nn.Module or str
        The network, or ``"package.module:name"``.
    X : rows
        ``(n, d)`` of the kind that the network takes; 256 are used.
    names, task, preprocess
        As in `distill_block`.

    Returns
    -------
    DataFrame
        ``name`` (what `at` takes), ``kind``, ``inputs``, ``outputs``, ``parameters``, ``can_replace``, ``seconds``
        (about how long `distill_block` takes for 1,000 rows with its default student; NaN where it can't) and ``why``
        it can't.

    Raises
    ------
    InputError, TeacherError
        Where the model is not a torch module, or can't be asked.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1))
    >>> table = limbeck.blocks(net, np.zeros((5, 4)))
    >>> table[["name", "kind", "inputs", "outputs", "can_replace"]].to_dict("split")["data"]
    [['0', 'Linear', 4, 3, True], ['1', 'Tanh', 3, 3, True], ['2', 'Linear', 3, 1, True]]
    """
    import pandas as pd

    from limbeck._block_case import asked_first, read_model
    from limbeck._block_network import places

    model = read_model(model)
    table = Table.read(X, names=names)
    teacher = asked_first(model, table, task=task or "regression", preprocess=preprocess)
    rows = []
    for place in places(model, teacher, table):
        rows.append(
            {
                "name": place.name,
                "kind": place.kind,
                "inputs": place.inputs,
                "outputs": place.outputs,
                "parameters": place.parameters,
                "can_replace": not place.refused,
                "seconds": float("nan") if place.refused else _seconds(None, place, 1_000),
                "why": place.refused,
            }
        )
    columns = ["name", "kind", "inputs", "outputs", "parameters", "can_replace", "seconds", "why"]
    return pd.DataFrame(rows, columns=columns)


def distill_block(
    model: Any,
    X: Rows,
    y: Any = None,
    *,
    at: str | None = None,
    student: Any = None,
    max_inputs: int = MAX_INPUTS,
    tune: float = 0.75,
    n_queries: int | None = None,
    queries: Any = None,
    names: Sequence[str] | None = None,
    task: Any = None,
    classes: Sequence[Any] | None = None,
    output: str | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    holdout: float = 0.25,
    random_state: RandomState = None,
    progress: Progress = False,
) -> BlockResult:
    """A block of a network as a formula, the network with it in the block's place, and what that costs.

    The network stays as it was, also after an error: mode, parameters, buffers, gradients, hooks, random states.

    Parameters
    ----------
    model : torch.nn.Module or str
        The network, or ``"package.module:name"``: a network, or a function without parameters that makes one.
    X : rows
        ``(n, d)``: what the network takes; at least 20 rows.
    y : array, or name(s) of columns of `X`, optional
        What is true; the error of the whole network is then measured before and after.
    at : str
        The block: a name as in ``model.named_modules()``, of a module that is called once with one tensor ``(n, d)``
        and gives one ``(n, k)``. `limbeck.blocks` lists them.
    student : str or estimator, optional
        A name (``"formula"``, ``"tree"``, ...) or a regressor with `readable_`. Where absent, formulas of up to 40
        symbols, or 30 an output, in 10 to 40 seconds.
    max_inputs : int
        The student gets at most so many inputs of the block: those whose shuffling changes the network's answers most.
    tune : float
        From 0 to 1: how much the whole network counts, beside the block's own outputs, when the constants of a formula
        are tuned in their place. With 0 they stay as the student fitted them; with 1 only the network counts, and the
        formula may be far from the block.
    n_queries, queries
        So many synthetic rows beside those of `X` - as many as make 5,000 where absent -, and where they come from
        (`limbeck.queries.Munge()` where absent).
    names : sequence of str, optional
        Column names for an array.
    task, classes, output, preprocess
        As in `limbeck.as_teacher`, where the network does not say them.
    holdout : float
        The share of rows that nothing is fitted on.
    random_state : int, Generator or None
        The same seed gives the same answer.
    progress : bool or callable
        The plan with its expected time, and the steps.

    Raises
    ------
    InputError
        For an unknown block, one that can't be replaced (said why), rows or options that can't be used.
    TeacherError
        Where the network raises, is random, or answers with NaN.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> class Product(torch.nn.Module):
    ...     def forward(self, x):
    ...         return (x[:, 0] * x[:, 1]).unsqueeze(1)
    >>> net = torch.nn.Sequential(torch.nn.Tanh(), Product(), torch.nn.ELU())
    >>> X = np.random.default_rng(0).normal(size=(200, 2))
    >>> quick = limbeck.FormulaRegressor(max_evaluations=4_000)
    >>> found = limbeck.distill_block(net, X, at="1", student=quick, random_state=0)
    >>> print(found.readable.text())
    `1[0]` = `0[0]`*`0[1]`
    >>> found.verdict, found.model(torch.ones(1, 2)).shape
    ('faithful', torch.Size([1, 1]))
    """
    from limbeck._block_case import prepared, read_model, refuse_options
    from limbeck._block_fit import read_student
    from limbeck._block_network import find_block

    started = time.monotonic()
    model = read_model(model)
    refuse_options(max_inputs, tune, n_queries, holdout)
    find_block(model, at)
    seeds = dict(zip(PARTS, draw_seeds(random_state, len(PARTS)), strict=True))
    with reporting(progress) as report:
        asked = {"task": task, "classes": classes, "output": output, "preprocess": preprocess}
        case = prepared(model, X, y, str(at), names, holdout, asked, seeds)
        asked_for = max(0, ROWS - len(case.train)) if n_queries is None else int(n_queries)
        report(_plan(case.place, read_student(student, case.place.outputs, 0), len(case.train) + asked_for), 0, 0)
        found = _distilled(case, student, max_inputs, tune, asked_for, queries, seeds, report)
        return replace(found, seconds=time.monotonic() - started)


def _seconds(student: Any, place: Place, n: int) -> float:
    """About how long the student takes."""
    from limbeck._block_fit import default_student

    student = default_student(place.outputs) if student is None else student
    expect = getattr(student, "expected_seconds", None)
    return float("nan") if expect is None else float(expect(n, min(place.inputs, MAX_INPUTS), place.outputs))


def _plan(place: Place, student: Any, n: int) -> str:
    seconds = _seconds(student, place, n)
    takes = "" if seconds != seconds else f", about {seconds:,.0f} s"
    return (
        f"block {place.name}: {place.inputs} inputs, {place.outputs} outputs, {n:,} rows; "
        f"{type(student).__name__} is fitted{takes}"
    )


def _distilled(
    case: Case,
    student: Any,
    max_inputs: int,
    tune: float,
    n_queries: int,
    queries: Any,
    seeds: dict[str, int],
    report: Report,
) -> BlockResult:
    """Watch, choose, fit, tune, replace, judge."""
    from limbeck._block_case import with_queries
    from limbeck._block_fit import fit_student, read_student, select
    from limbeck._block_judge import judged, notes_on, with_means
    from limbeck._block_network import record
    from limbeck._block_tune import tuned

    rows = with_queries(case.train, n_queries, queries, seeds["queries"])
    seen, held = (record(case.teacher, case.block, part) for part in (rows, case.held_out))
    constant = with_means(case, seen, held, seeds["checks"])
    report("measuring inputs and outputs", 0, 1)
    chosen = select(case.teacher, case.block, rows, seen, max_inputs=int(max_inputs), seed=seeds["select"])
    report("measuring inputs and outputs", 1, 1)
    estimator = read_student(student, len(chosen.outputs), seeds["student"])
    report("fitting the student", 0, 1)
    readable = fit_student(estimator, case.place, seen, chosen)
    report("fitting the student", 1, 1)
    notes, untuned = notes_on(case, chosen, readable), None
    if tune > 0 and isinstance(readable, FormulaReadable):
        untuned = judged(case, readable, chosen, held, seeds["checks"]).whole.value
        readable, note = tuned(
            case.teacher, case.model, case.block, rows, seen, readable, chosen, float(tune), seeds["tune"]
        )
        notes.append(note)
    if isinstance(readable, FormulaReadable) and readable.ranges is not None:
        notes.append(readable.domain_text())
    found = judged(case, readable, chosen, held, seeds["checks"])
    return replace(found, untuned=untuned, constant=constant, notes=tuple(notes), student=estimator)
