"""What a network used for some rows, by which method, and whether the method holds up on this network.

Source
------
Singh2019 (hierarchies), Murdoch2018 (contextual decomposition), Sundararajan2017 (integrated gradients), Adebayo2018
(randomised networks).

Cost
----
One decomposition of all units a row, and one a level of the hierarchy; the checks ask the method about 20 times on at
most 20 rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._explain_methods import DECOMPOSED, METHODS, How, decomposed, effects_of, explained_row, part_of
from limbeck._explain_rows import as_input, kind_of, read_rows, units_for

if TYPE_CHECKING:
    from limbeck._explanation import Explanation

__all__ = ["explain"]

CHECKED_ROWS = 20


def explain(
    model: Any,
    X: Any,
    y: Any = None,
    *,
    rows: int | Sequence[int] = 5,
    method: str = "acd",
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
        ``"integrated_gradients"``, ``"input_x_gradient"``, ``"occlusion"``: the units alone.
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
        For rows that are not numbers or not there, an unknown method, a network with an operation without a rule.
    TeacherError
        Where the network raises, is random, or answers with NaN.

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
    array, named = read_rows(X, names)
    what = kind_of(kind, array)
    array = array if array.dtype.kind in "iu" and what == "text" else array.astype(np.float32)
    seed = random_state if isinstance(random_state, int) else draw_seeds(random_state, 1)[0]
    seed_rows, seed_checks = draw_seeds(seed, 2)
    task = _Task(model, array, what, named, words, tile, output, (method, rule, _baseline(baseline, what, array)))
    chosen = _which(rows, len(array), seed_rows)
    with reporting(progress) as report:
        outputs, found = _explained(task, chosen, y, classes, report)
        findings, notes = _checked(task, chosen, checks, seed_checks, report)
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
        notes,
    )


@dataclass(frozen=True)
class _Task:
    """What is explained, and how."""

    model: Any
    X: np.ndarray
    kind: str
    names: list[str] | None
    words: Sequence[Sequence[str]] | None
    tile: int | None
    output: Any
    how: How


def _module() -> type:
    from torch.nn import Module

    return Module


def _explained(
    task: _Task, chosen: list[int], y: Any, classes: Any, report: Report
) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """The outputs' names, and what the document says of each row."""
    answers = _answers(task.model, task.X[chosen])
    outputs = _outputs(classes, answers.shape[1])
    found = []
    for done, (at, answer) in enumerate(zip(chosen, answers, strict=True)):
        report(f"explaining row {at}", done, len(chosen))
        row = task.X[at]
        units = units_for(task.kind, row, task.names, None if task.words is None else task.words[at], task.tile)
        number = _number(task.output, answer)
        facts = {
            "row": int(at),
            "output": number,
            "output_name": outputs[number],
            "value": float(answer[number]),
            "predicted": outputs[int(answer.argmax())] if len(answer) > 1 else f"{answer[0]:.4g}",
            "truth": None if y is None else str(np.asarray(y)[at]),
            "input": as_input(task.kind, row, units, task.names),
            "findings": [],
        }
        found.append(facts | explained_row(task.model, row[None], units, number, task.how))
    report("explaining", len(chosen), len(chosen))
    return outputs, tuple(found)


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


def _answers(model: Any, X: np.ndarray) -> np.ndarray:
    """The raw outputs ``(n, k)`` of rows."""
    from limbeck._core.module_outputs import outputs_as_it_is

    return np.asarray(outputs_as_it_is(model, X).double().cpu().numpy())


def _outputs(classes: Any, k: int) -> tuple[str, ...]:
    if classes is None:
        return ("output",) if k == 1 else tuple(f"class {i}" for i in range(k))
    if len(classes) != k:
        raise InputError(f"classes must name the network's {k} outputs; got {len(classes)}")
    return tuple(str(name) for name in classes)


def _number(output: Any, answer: np.ndarray) -> int:
    if output is None:
        return int(answer.argmax())
    if isinstance(output, bool) or not isinstance(output, int | np.integer) or not 0 <= output < len(answer):
        raise InputError(f"output must be a number from 0 to {len(answer) - 1}; got {output!r:.60}")
    return int(output)


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


def _checked(
    task: _Task, chosen: list[int], checks: Any, seed: int, report: Report
) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The findings of the checks on the explained rows and others, which share one set of units."""
    from limbeck.checks import ATTRIBUTION_CHECKS, AttributionCase, PlantedGroups

    if checks is None:
        checks = [one for one in ATTRIBUTION_CHECKS if not isinstance(one, PlantedGroups)]
    if not checks:
        return (), ("no reality check was asked for",)
    others = [i for i in np.random.default_rng(seed).permutation(len(task.X)).tolist() if i not in chosen]
    rows = task.X[[*chosen, *others][:CHECKED_ROWS]]
    coarse = max(2, rows.shape[-1] // 7) if task.kind == "image" and task.tile is None else task.tile
    units = units_for(task.kind, rows[0], task.names, None, coarse)
    outputs = np.array([_number(task.output, answer) for answer in _answers(task.model, rows)])
    effects = effects_of(task.how)

    def rest(model: Any, x: Any, masks: Any) -> np.ndarray:
        return part_of(decomposed(model, x, masks, task.how).irrelevant, outputs)

    case = AttributionCase(
        task.model,
        rows,
        units.masks,
        outputs,
        lambda model, x, masks: effects(model, x, masks, outputs),
        baseline=task.how[2],
        rest=rest if task.how[0] in DECOMPOSED else None,
        seed=seed,
    )
    findings = []
    for done, check in enumerate(checks):
        report(f"{check.code} {check.title.lower()}", done, len(checks))
        findings.append(check(case))
    report("checks", len(checks), len(checks))
    return tuple(findings), (f"the checks asked the method on {len(rows)} rows, for {len(units)} units each",)
