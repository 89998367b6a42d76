"""Candidate lines from a teacher's states: linear forms with small weights, each with its two best thresholds.

Accuracy misleads a policy: a line that gives the teacher's action in .80 of the states can score 6 where one with .87
scores 141. So the list that leaves here is long and varied, and playing decides.

Source
------
Bastani2018 (states of the teacher, weighted by what a wrong action costs there). The forms and thresholds are our own.

Departures
----------
- The weights of a form are among +-1, +-2, +-0.5, times a round scale for each column where the columns differ much in
  spread.
- Forms of more than two terms are those that extend a good shorter one.

Checked
-------
tests/truth/test_program_search_truth.py: the two thresholds against all pairs of them, and a planted form is found.

Cost
----
A sort of the states and a few cumulative sums an action for each form: 10,000 forms x 3,000 states take about three
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limbeck.policies._program_draft import Draft, Form, Line, form_matrix, round_between

__all__ = [
    "Bands",
    "best_bands",
    "candidate_forms",
    "candidate_lines",
    "canonical",
    "column_scales",
    "form_pool",
    "gap_threshold",
]

SMALL = (1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
KEPT_FORMS = 240  # of each length, to be extended
MOST_FORMS = 2_000
ROUGH_STATES = 500  # enough to leave out bad forms
CHUNK = 2_000_000  # form values at a time, so that memory stays small


@dataclass(frozen=True)
class Bands:
    """For each form the two cuts that win most, and what is done below, between and above them.

    Attributes
    ----------
    gain : array (m,)
    low, high : array (m,)
        Thresholds in the middle of the gap where the cut is; infinite where nothing is cut off.
    below, between, above : array (m,)
        Actions.
    """

    gain: np.ndarray
    low: np.ndarray
    high: np.ndarray
    below: np.ndarray
    between: np.ndarray
    above: np.ndarray


def best_bands(values: np.ndarray, gains: np.ndarray, between: int | None = None) -> Bands:
    """The two best thresholds of each form, exactly, over the states given.

    Parameters
    ----------
    values : array (m, n)
        Each form's value in each state.
    gains : array (n, a)
        What each action wins in each state.
    between : int, optional
        What must be done between the thresholds.
    """
    return _many_bands(values, [gains], between)[0]


def _many_bands(values: np.ndarray, gains: Sequence[np.ndarray], between: int | None = None) -> list[Bands]:
    """The bands for several gains; each form is sorted once."""
    size = max(1, CHUNK // max(1, values.shape[1] * max(gain.shape[1] for gain in gains)))
    parts = []
    for i in range(0, len(values), size):
        order = np.argsort(values[i : i + size], axis=1)
        ordered = np.take_along_axis(values[i : i + size], order, axis=1)
        parts.append([_bands(order, ordered, gain, between) for gain in gains])
    return [
        Bands(*(np.concatenate(columns) for columns in zip(*(part[k] for part in parts), strict=True)))
        for k in range(len(gains))
    ]


def _bands(order: np.ndarray, ordered: np.ndarray, gains: np.ndarray, required: int | None) -> tuple[np.ndarray, ...]:
    m, n = ordered.shape
    sums = np.zeros((gains.shape[1], m, n + 1), dtype=gains.dtype)  # what an action wins in the states before a cut
    for action in range(gains.shape[1]):
        np.cumsum(gains[order, action], axis=1, out=sums[action, :, 1:])
    barred = np.zeros((m, n + 1), dtype=bool)  # no cut between equal values
    barred[:, 1:n] = ordered[:, 1:] <= ordered[:, :-1]
    first = sums.max(axis=0)
    first[barred] = -np.inf
    last = (sums[:, :, -1:] - sums).max(axis=0)
    last[barred] = -np.inf
    best, cut_low, cut_high, between = np.full(m, -np.inf), np.zeros(m, int), np.zeros(m, int), np.zeros(m, int)
    rows = np.arange(m)
    for action in range(len(sums)) if required is None else [required]:
        total = sums[action]
        start = first - total
        reached = np.maximum.accumulate(start, axis=1)
        whole = reached + total + last
        high = whole.argmax(axis=1)
        better = whole[rows, high] > best + 1e-9
        low = (start >= reached[rows, high][:, None]).argmax(axis=1)
        best = np.where(better, whole[rows, high], best)
        cut_low, cut_high = np.where(better, low, cut_low), np.where(better, high, cut_high)
        between = np.where(better, action, between)
    below = sums[:, rows, cut_low].argmax(axis=0)
    above = (sums[:, :, -1] - sums[:, rows, cut_high]).argmax(axis=0)
    padded = np.pad(ordered, ((0, 0), (1, 1)), constant_values=((0, 0), (-np.inf, np.inf)))
    low_at, high_at = (0.5 * padded[rows, cut] + 0.5 * padded[rows, cut + 1] for cut in (cut_low, cut_high))
    return best, low_at, high_at, below, between, above


def column_scales(rows: np.ndarray) -> np.ndarray:
    """A round number for each column ``(d,)``, so that scaled columns spread alike; 0 for a column that is constant."""
    spread = rows.std(axis=0)
    used = spread > 1e-9
    scales = np.zeros(rows.shape[1])
    largest = spread.max(initial=0.0)
    for j in np.flatnonzero(used):
        ratio = largest / spread[j]
        power = 10.0 ** math.floor(math.log10(ratio))
        scales[j] = min((1.0, 2.0, 5.0, 10.0), key=lambda digit: abs(math.log(digit * power / ratio))) * power
    return scales


def canonical(form: dict[int, float]) -> Form:
    """The form by column, without terms of weight 0, the first weight positive, and the weights round."""
    terms = sorted((column, weight) for column, weight in form.items() if weight)
    if not terms:
        return ()
    sign = math.copysign(1.0, terms[0][1])
    unit = min(abs(weight) for _, weight in terms)
    if unit < 0.1 or unit >= 10.0:  # no long rows of zeros
        sign *= 10.0 ** -math.floor(math.log10(unit))
    return tuple((column, float(f"{weight * sign:.2g}")) for column, weight in terms)


def candidate_forms(rows: np.ndarray, gains: Sequence[np.ndarray], max_terms: int) -> list[Form]:
    """Linear forms of up to so many terms: all of two, and those longer that extend a good one.

    Parameters
    ----------
    rows : array (n, d)
    gains : sequence of array (n, a)
        Several ways to say what an action wins; a form is good if one of them finds it so.
    max_terms : int
    """
    scales = column_scales(rows)
    columns = [int(j) for j in np.flatnonzero(scales)]
    found: dict[tuple[tuple[int, float], ...], Form] = {}
    rulers = [np.ones(len(scales))]
    if columns and scales[columns].max() > 2.0 * scales[columns].min():
        rulers.append(scales)
    for ruler in rulers:
        stage: dict[tuple[tuple[int, float], ...], Form] = {}
        for j in columns:
            _add(stage, {j: 1.0})
        for n_terms in range(2, max_terms + 1):
            found.update(stage)
            stage = _extended(_leading(list(stage.values()), rows, gains, KEPT_FORMS), columns, ruler, n_terms)
        found.update(stage)
    return _leading(list(found.values()), rows, gains, MOST_FORMS)


def _extended(
    forms: list[Form], columns: list[int], ruler: np.ndarray, n_terms: int
) -> dict[tuple[tuple[int, float], ...], Form]:
    """The forms with one more term; a first term gets its own weights too."""
    stage: dict[tuple[tuple[int, float], ...], Form] = {}
    for form in forms:
        bases = [dict(form)]
        if n_terms == 2:
            (j, _), *_ = form
            bases = [{j: weight * ruler[j]} for weight in (1.0, 2.0, 0.5)]
        for base in bases:
            for j in columns:
                if j not in base:
                    for weight in SMALL:
                        _add(stage, {**base, j: weight * ruler[j]})
    return stage


def _add(stage: dict[tuple[tuple[int, float], ...], Form], form: dict[int, float]) -> None:
    """Keep the form unless one that is a multiple of it is there."""
    written = canonical(form)
    ratio = tuple((column, round(weight / written[0][1], 3)) for column, weight in written)
    stage.setdefault(ratio, written)


def _leading(forms: list[Form], rows: np.ndarray, gains: Sequence[np.ndarray], n_kept: int) -> list[Form]:
    """The forms that win most, by each of the gains in turn, on the first states."""
    if len(forms) <= n_kept:
        return forms
    kept: dict[int, None] = {}
    for ranked in zip(*_ranked(forms, rows, gains), strict=True):
        kept.update(dict.fromkeys(int(i) for i in ranked))
        if len(kept) >= n_kept:
            break
    return [forms[i] for i in kept]


def _ranked(forms: Sequence[Form], rows: np.ndarray, gains: Sequence[np.ndarray]) -> list[np.ndarray]:
    """By each of the gains the forms in order, the best first, on the first states and with single precision."""
    values = (form_matrix(forms, rows.shape[1]) @ rows[:ROUGH_STATES].T).astype(np.float32)
    rough = [gain[:ROUGH_STATES].astype(np.float32) for gain in gains]
    return [np.argsort(-bands.gain, kind="stable") for bands in _many_bands(values, rough)]


def candidate_lines(
    forms: Sequence[Form], rows: np.ndarray, gains: Sequence[np.ndarray], n_kept: int, per_columns: int = 5
) -> list[Draft]:
    """Programs of one line, the best first: each form with its best thresholds, by each of several gains in turn.

    One that decides like another that is kept is left out, and so are more than `per_columns` of the same columns
    until all other columns had their turn.
    """
    values = form_matrix(forms, rows.shape[1]) @ rows.T
    ranked = []
    for bands in _many_bands(values, gains):
        order = np.argsort(-bands.gain, kind="stable")[: 20 * n_kept]
        ranked.append([draft for i in order if (draft := _draft(forms[i], values[i], bands, int(i))) is not None])
    turns = [draft for turn in zip(*ranked, strict=False) for draft in turn]
    return _varied(turns, rows[: min(len(rows), 800)], n_kept, per_columns)


def form_pool(forms: Sequence[Form], rows: np.ndarray, gains: Sequence[np.ndarray], n_each: int) -> list[Form]:
    """The forms that tell most by each of several gains, as many of each length."""
    lengths = np.array([max(2, len(form)) for form in forms])
    kept: dict[Form, None] = {}
    for order in _ranked(forms, rows, gains):
        for length in np.unique(lengths):
            kept.update(dict.fromkeys(forms[i] for i in order[lengths[order] == length][:n_each]))
    return list(kept)


def _draft(form: Form, values: np.ndarray, bands: Bands, i: int) -> Draft | None:
    low, high = float(bands.low[i]), float(bands.high[i])
    below, between, above = int(bands.below[i]), int(bands.between[i]), int(bands.above[i])
    low = -math.inf if below == between else low
    high = math.inf if above == between else high
    if not (math.isfinite(low) or math.isfinite(high)) or low > high:
        return None
    line = Line(form, gap_threshold(values, low), gap_threshold(values, high), below, above)
    return Draft((line,), between) if line.low <= line.high else None


def gap_threshold(values: np.ndarray, threshold: float, tolerance: float = 0.02) -> float:
    """A round threshold that decides nearly as the one given on these values: within a part of their spread."""
    if not math.isfinite(threshold):
        return threshold
    margin = tolerance * float(values.std())
    above, below = values[values > threshold], values[values < threshold]
    # Inside the gap between two values every threshold decides the same.
    high = max(threshold + margin, 0.5 * (threshold + float(above.min()))) if len(above) else threshold + margin
    low = min(threshold - margin, 0.5 * (threshold + float(below.max()))) if len(below) else threshold - margin
    return round_between(threshold, low, high)


def _varied(drafts: list[Draft], rows: np.ndarray, n_kept: int, per_columns: int) -> list[Draft]:
    kept: list[Draft] = []
    spare: list[Draft] = []
    taken = np.empty((n_kept, len(rows)), dtype=np.int64)
    counts: dict[tuple[int, ...], int] = {}
    for draft in drafts:
        if len(kept) >= n_kept:
            break
        actions = draft(rows)
        if len(kept) and (taken[: len(kept)] == actions).mean(axis=1).max() > 0.995:
            continue
        columns = tuple(column for column, _ in draft.lines[0].form)
        if counts.get(columns, 0) >= per_columns:
            spare.append(draft)
            continue
        counts[columns] = counts.get(columns, 0) + 1
        taken[len(kept)] = actions
        kept.append(draft)
    return kept + spare[: n_kept - len(kept)]
