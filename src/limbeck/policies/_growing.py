"""Longer programs from data: the lines that would win most where the program and the teacher differ.

Source
------
Rivest1987 (decision lists, grown line by line). Bastani2018 (the weights of the states).

Departures
----------
A new line may stand anywhere: what it wins is counted on the states that no line before it decides, against what the
program does there now, and it decides only at its two ends.

Cost
----
One sort of the states a form and position.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from limbeck.policies._candidate_lines import best_bands, canonical, column_scales, gap_threshold
from limbeck.policies._program_draft import Draft, Form, Line, form_matrix
from limbeck.policies._program_tidying import plain_form

__all__ = ["fitted_forms", "grown", "lists_from_data"]

LEAST_STATES = 8


def fitted_forms(rows: np.ndarray, gains: np.ndarray, max_terms: int) -> list[Form]:
    """Forms by least squares: what an action wins over another, or over the best other, on the columns that tell most.

    Each once with plain weights and once with weights of two digits.
    """
    columns = np.flatnonzero(column_scales(rows))
    if not len(columns):
        return []
    spread = rows[:, columns].std(axis=0)
    Z = (rows[:, columns] - rows[:, columns].mean(axis=0)) / spread
    n_actions = gains.shape[1]
    targets = [gains[:, a] - gains[:, b] for a, b in combinations(range(n_actions), 2)]
    if n_actions > 2:
        targets += [gains[:, a] - np.delete(gains, a, axis=1).max(axis=1) for a in range(n_actions)]
    forms: dict[Form, None] = {}
    for target in targets:
        kept = np.arange(len(columns))
        while len(kept):
            weights = np.linalg.lstsq(Z[:, kept], target - target.mean(), rcond=None)[0]
            if len(kept) <= max_terms and np.abs(weights).max() > 1e-12:
                found = _rounded(columns[kept], weights / spread[kept])
                forms.update(dict.fromkeys((plain_form(found)[1], found) if found else ()))
            kept = np.delete(kept, np.abs(weights).argmin())
    return [form for form in forms if form]


def _rounded(columns: np.ndarray, weights: np.ndarray) -> Form:
    """The form with its middle weight 1, the others of two digits."""
    unit = float(np.median(np.abs(weights))) or float(np.abs(weights).max())
    return canonical({int(j): float(f"{weight / unit:.2g}") for j, weight in zip(columns, weights, strict=True)})


def grown(
    draft: Draft,
    forms: Sequence[Form],
    rows: np.ndarray,
    gains: np.ndarray,
    n: int,
    places: Sequence[int] | None = None,
) -> list[tuple[float, Draft]]:
    """Programs of one line more (at `places`, or anywhere), with what they win on the states given, the best first.

    At most `n`, varied in columns.
    """
    matrix = form_matrix(forms, rows.shape[1])
    actions = draft(rows)
    found: list[tuple[float, Draft]] = []
    base = float(gains[np.arange(len(rows)), actions].sum())
    for k in range(len(draft.lines) + 1) if places is None else sorted({k % (len(draft.lines) + 1) for k in places}):
        there = np.flatnonzero(draft.reaching(rows, k))
        if len(there) < LEAST_STATES:
            continue
        now = gains[there, actions[there]]
        won = np.column_stack([gains[there] - now[:, None], np.zeros(len(there))])  # the last: leave it as it is
        values = matrix @ rows[there].T
        bands = best_bands(values, won, between=gains.shape[1])
        for i in np.argsort(-bands.gain, kind="stable")[: 4 * n]:
            if bands.gain[i] <= 1e-9:
                break
            line = _line(forms[i], values[i], bands.low[i], bands.high[i], int(bands.below[i]), int(bands.above[i]))
            if line is not None:
                lines = (*draft.lines[:k], _without(line, gains.shape[1]), *draft.lines[k:])
                found.append((base + float(bands.gain[i]), Draft(lines, draft.otherwise)))
    return _varied(sorted(found, key=lambda pair: -pair[0]), n)


def _line(form: Form, values: np.ndarray, low: float, high: float, below: int, above: int) -> Line | None:
    low, high = gap_threshold(values, float(low)), gap_threshold(values, float(high))
    return Line(form, low, high, below, above) if low <= high else None


def _without(line: Line, keep: int) -> Line:
    """The line without the side that would only leave things as they are."""
    low = -math.inf if line.below == keep else line.low
    high = math.inf if line.above == keep else line.high
    below, above = (0 if action == keep else action for action in (line.below, line.above))
    return Line(line.form, low, high, below, above)


def _varied(found: list[tuple[float, Draft]], n: int) -> list[tuple[float, Draft]]:
    """The first `n`, at most a sixth of them with a new line on the same columns."""
    kept: list[tuple[float, Draft]] = []
    counts: dict[frozenset[tuple[int, ...]], int] = {}
    for pair in found:
        columns = frozenset(tuple(column for column, _ in line.form) for line in pair[1].lines)
        counts[columns] = counts.get(columns, 0) + 1
        if counts[columns] <= max(1, n // 6):
            kept.append(pair)
        if len(kept) == n:
            break
    return kept


def lists_from_data(
    forms: Sequence[Form], rows: np.ndarray, gains: np.ndarray, max_lines: int, width: int = 4
) -> list[list[Draft]]:
    """For each number of lines the programs that win most on the states given, by a beam of `width`."""
    beam = [(0.0, Draft((), int(action))) for action in np.argsort(-gains.sum(axis=0))[:2]]
    sizes: list[list[Draft]] = []
    for _ in range(max_lines):
        longer = [pair for _, draft in beam for pair in grown(draft, forms, rows, gains, 3 * width, places=(0, -1))]
        if not longer:
            break
        longer = list({pair[1]: pair for pair in sorted(longer, key=lambda pair: -pair[0])}.values())
        sizes.append([draft for _, draft in longer[: 4 * width]])
        beam = longer[:width]
    return sizes
