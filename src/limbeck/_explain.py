"""What a network used for some rows, by which method, and whether the method holds up on this network.

Source
------
Singh2019 (hierarchies), Murdoch2018 (contextual decomposition), Singh2020 (groups of coefficients), Sundararajan2017
(integrated gradients), Adebayo2018 (randomised networks).

Cost
----
One decomposition of all units a row, and one a level of the hierarchy; the checks ask the method about 20 times on at
most 20 rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._explain_checks import checked
from limbeck._explain_methods import DECOMPOSED, METHODS, explained_row
from limbeck._explain_rows import as_input, kind_of, read_rows, units_for
from limbeck._explain_task import Task, answers_of, number_of
from limbeck._explain_trim import name_of, transform_for, trimmed_row

if TYPE_CHECKING:
    from limbeck._explanation import Explanation

__all__ = ["explain"]


def explain(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    rows: int | Sequence[int] = 5,
    method: str = "acd",
    transform: Any = None,
    kind: str | None = None,
    output: int | None = None,
    rule: str = "proportional",
    tile: int | None = None,
    words: Sequence[Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    baseline: Any = None,
    checks: Sequence[Any] | None = None,
    data_name: str = "rows",
    random_state: RandomState = None,
    progress: Progress = False,
) -> Explanation:
    """Which inputs, alone and in groups, a network used for some rows, with the verdicts on the method.

    Parameters
    ----------
    model : torch.nn.Module
        It takes one tensor of rows and gives raw outputs ``(n, k)``; it is left as it was.
    X : rows
        ``(n, d)`` a table, ``(n, C, H, W)`` images, ``(n, C, T)`` signals, or token ids ``(n, L)``, whole numbers.
    y : array, optional
        What is true, shown beside the prediction.
    rows : int or sequence of int
        How many rows, drawn by the seed; or which.
    method : str
        ``"acd"``: a hierarchy of groups, by contextual decomposition. ``"cd"``: the units alone and their pairs.
        ``"trim"``: groups of a transform's coefficients, such as frequencies, and their pairs.
        ``"integrated_gradients"``, ``"input_x_gradient"``, ``"occlusion"``: the units alone.
    transform : str or Transform, optional
        For ``"trim"``: ``"fourier"``, ``"wavelet"``, ``"pca"`` or ``"nmf"``, the last two fitted on the rows given; or
        what `limbeck.attribution.transformation_importance` takes. Where absent ``"pca"`` for tables, else
        ``"fourier"``.
    kind : str, optional
        ``image``, ``text``, ``signal`` or ``table``, where the shape does not say.
    output : int, optional
        The output that is explained; where absent the largest of each row.
    rule : str
        As in `limbeck.attribution.contextual_decomposition`.
    tile : int, optional
        The side of an image's tiles, or the steps of a signal's windows.
    words : sequence of sequences of str, optional
        The words of each row of token ids; what is longer than them is padding.
    names, classes : sequence, optional
        The columns' and the outputs' names.
    baseline : number or array, optional
        What stands for "absent": for a table the columns' means where nothing is said, else 0; for words the id of the
        padding, which only the checks use.
    checks : sequence, optional
        Of the kind of `limbeck.checks.ATTRIBUTION_CHECKS`; where absent those that need no known truth. ``()``: none.
    data_name : str
        What the data is called in the report.
    random_state : int, Generator or None
    progress : bool or callable

    Raises
    ------
    InputError
        For rows that are not numbers or not there, an unknown method or transform, one that does not fit the rows, a
        network with an operation without a rule.
    TeacherError
        Where the network raises, is random, or answers with NaN.
    KeyboardInterrupt
        Where it is stopped before a row is done; later, the rows that are done are returned, with a note.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 1, bias=False))
    >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0, -2.0, 0.0]]))
    >>> names = ["age", "dose", "sex"]
    >>> found = limbeck.explain(net, np.ones((4, 3)), rows=[0], names=names, baseline=0, checks=())
    >>> found.table()[["unit", "effect"]].head(2).values.tolist()
    [['dose', -2.0], ['age', 1.0]]
    """
    from limbeck._explanation import Explanation

    started = time.monotonic()
    if not isinstance(model, _module()):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    if method not in METHODS:
        raise InputError(
            f"method must be one of {', '.join(METHODS)}; got {method!r:.60}.{did_you_mean(method, METHODS)}"
        )
    _check_choices(method, transform, baseline, tile)
    array, named = read_rows(X, names)
    what = kind_of(kind, array)
    array = array if array.dtype.kind in "iu" and what == "text" else array.astype(np.float32)
    seed = random_state if isinstance(random_state, int) else draw_seeds(random_state, 1)[0]
    seed_rows, seed_checks = draw_seeds(seed, 2)
    taken, notes = transform_for(transform, what, array, seed) if method == "trim" else (None, ())
    how = (method, rule, 0 if method == "trim" else _baseline(baseline, what, array))
    task = Task(model, array, what, named, words, tile, output, how, taken)
    chosen = _which(rows, len(array), seed_rows)
    with reporting(progress) as report:
        outputs, found = _explained(task, chosen, y, classes, report)
        if len(found) == len(chosen):
            findings, said = checked(task, chosen, checks, seed_checks, report)
        else:
            findings, said = (), (f"stopped after {len(found)} of {len(chosen)} rows, and before the checks",)
    return Explanation(
        data_name,
        type(model).__name__,
        method,
        rule if method in DECOMPOSED else "-",
        what,
        outputs,
        found,
        findings,
        int(seed),
        time.monotonic() - started,
        (*notes, *said),
        None if taken is None else name_of(taken),
    )


def _check_choices(method: str, transform: Any, baseline: Any, tile: Any) -> None:
    """Refuse options of another method."""
    if method != "trim" and transform is not None:
        raise InputError(f"transform is a choice of method='trim'; {method!r} has none, leave it out")
    if method == "trim" and (baseline is not None or tile is not None):
        given = "baseline" if tile is None else "tile"
        raise InputError(
            f"{given} is no choice of method='trim', which takes groups of coefficients away; leave it out"
        )


def _module() -> type:
    from torch.nn import Module

    return Module


def _explained(
    task: Task, chosen: list[int], y: Any, classes: Any, report: Report
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """The outputs' names, and what the document says of each row: of those that are done where it is stopped."""
    answers = answers_of(task.model, task.X[chosen])
    outputs = _outputs(classes, answers.shape[1])
    spread = task.X.std(axis=0) if task.kind == "table" and task.transform is not None else None
    found: list[dict[str, Any]] = []
    try:
        for done, (at, answer) in enumerate(zip(chosen, answers, strict=True)):
            report(f"explaining row {at}", done, len(chosen))
            found.append(
                _explained_row(task, at, answer, None if y is None else str(np.asarray(y)[at]), outputs, spread)
            )
        report("explaining", len(chosen), len(chosen))
    except KeyboardInterrupt:
        if not found:
            raise
    return outputs, tuple(found)


def _explained_row(
    task: Task, at: int, answer: np.ndarray, truth: str | None, outputs: tuple[str, ...], spread: Any
) -> dict[str, Any]:
    row = task.X[at]
    units = units_for(task.kind, row, task.names, None if task.words is None else task.words[at], task.tile)
    number = number_of(task.output, answer)
    facts = {
        "row": int(at),
        "output": number,
        "output_name": outputs[number],
        "value": float(answer[number]),
        "predicted": outputs[int(answer.argmax())] if len(answer) > 1 else f"{answer[0]:.4g}",
        "truth": truth,
        "input": as_input(task.kind, row, units, task.names),
        "findings": [],
    }
    if task.transform is None:
        return facts | explained_row(task.model, row[None], units, number, task.how)
    return facts | trimmed_row(task.model, row, task.transform, number, task.how, task.kind, units.names, spread)


def _which(rows: Any, n: int, seed: int) -> list[int]:
    if isinstance(rows, int | np.integer) and not isinstance(rows, bool):
        if rows < 1:
            raise InputError(f"rows must be at least 1, or the numbers of rows; got {rows}")
        return sorted(np.random.default_rng(seed).choice(n, size=min(int(rows), n), replace=False).tolist())
    try:
        chosen = [int(row) for row in rows]
    except (TypeError, ValueError):
        raise InputError(f"rows must be a number of rows or their numbers; got {rows!r:.80}") from None
    if not chosen or min(chosen) < 0 or max(chosen) >= n:
        raise InputError(f"rows must name rows from 0 to {n - 1}; got {rows!r:.80}")
    return chosen


def _outputs(classes: Any, k: int) -> tuple[str, ...]:
    if classes is None:
        return ("output",) if k == 1 else tuple(f"class {i}" for i in range(k))
    if len(classes) != k:
        raise InputError(f"classes must name the network's {k} outputs; got {len(classes)}")
    return tuple(str(name) for name in classes)


def _baseline(baseline: Any, kind: str, X: np.ndarray) -> Any:
    """What stands for "absent": a number, or an array of the shape of one row."""
    if baseline is None:
        return X.mean(0) if kind == "table" else 0
    base = np.asarray(baseline, dtype=np.float32)
    if base.shape not in ((), X.shape[1:]) or not np.isfinite(base).all():
        raise InputError(
            f"baseline must be a finite number or have the shape of one row {X.shape[1:]}; got {base.shape}"
        )
    return base if base.shape else float(base)
