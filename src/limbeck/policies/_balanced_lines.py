"""Lines about a difference of two columns, in many places: what is followed, and where to stand.

A line such as ``ball_x - paddle_x + 2*ball_vx - paddle_vx`` compares two columns of one kind and looks a little
ahead. A teacher's states find the form, but not its thresholds: the teacher plays in a way of its own, and the best
line stands elsewhere. So each good form enters the race around the teacher's thresholds and around 0, where the two
columns are level, in several places and widths, and playing tells.

Source
------
Own.

Departures
----------
None.

Checked
-------
tests/unit/test_balanced_lines.py: planted lines whose thresholds the teacher's states misplace, a little and much.

Cost
----
A pass over the states for each form, about a second for 1,500 forms of 3,000 states; playing is the race's.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from limbeck.policies._candidate_lines import SMALL, Bands, best_bands, canonical
from limbeck.policies._program_draft import Draft, Form, Line, form_matrix

__all__ = ["balanced_forms", "balanced_lines"]

ALIKE = 2.0  # columns whose spreads differ by less are of one kind
MOST_FORMS = 3_000
PLACES = tuple((shift, 0.6) for shift in (0.0, 0.5, -0.5, 1.0, -1.0))  # shift and width, in spreads of the form
LEVEL = tuple((shift, width) for width in (0.6, 1.0) for shift in (0.0, 0.4, -0.4))  # the same, around 0
EDGE = 0.05
CHUNK = 300
MOST_ALIKE = 4  # forms of the same columns


def balanced_forms(rows: np.ndarray, max_terms: int) -> list[Form]:
    """Differences of two columns of about the same spread, with up to ``max_terms - 2`` other columns."""
    spread = rows.std(axis=0)
    columns = [int(j) for j in np.flatnonzero(spread > 1e-9)]
    pairs = [(i, j) for i, j in itertools.combinations(columns, 2) if 1 / ALIKE < spread[i] / spread[j] < ALIKE]
    found: dict[Form, None] = {}
    for n_more in range(max(0, max_terms - 2) + 1):
        for i, j in pairs:
            others = [k for k in columns if k not in (i, j)]
            for more in itertools.combinations(others, n_more):
                for weights in itertools.product(SMALL, repeat=n_more):
                    found[canonical({i: 1.0, j: -1.0} | dict(zip(more, weights, strict=True)))] = None
                    if len(found) >= MOST_FORMS:
                        return list(found)
    return list(found)


def balanced_lines(rows: np.ndarray, gains: Sequence[np.ndarray], max_terms: int, n_forms: int) -> list[Draft]:
    """Programs of one line: the forms that tell most by each of the gains in turn, each in several places.

    Parameters
    ----------
    rows : array (n, d)
    gains : sequence of array (n, a)
        Several ways to say what an action wins.
    max_terms : int
    n_forms : int
    """
    forms = balanced_forms(rows, max_terms)
    if not forms:
        return []
    values = form_matrix(forms, rows.shape[1]) @ rows.T
    ranked = [_ranked(values, gain) for gain in gains]
    usual = np.argsort(-gains[0].mean(axis=0), kind="stable")
    found: dict[Draft, None] = {}
    taken: set[int] = set()
    counts: Counter[tuple[int, ...]] = Counter()
    for i, bands in itertools.chain.from_iterable(zip(*ranked, strict=True)):
        columns = tuple(column for column, _ in forms[i])
        if i not in taken and len(taken) < n_forms and counts[columns] < MOST_ALIKE:
            taken.add(i)
            counts[columns] += 1
            found.update(dict.fromkeys(_placed(forms[i], values[i], bands, [int(a) for a in usual])))
    return list(found)


def _ranked(values: np.ndarray, gain: np.ndarray) -> list[tuple[int, tuple[float, float, int, int, int]]]:
    """The forms, the best first, each with its thresholds and actions."""
    parts = [best_bands(values[start : start + CHUNK], gain) for start in range(0, len(values), CHUNK)]
    order = np.argsort(-np.concatenate([part.gain for part in parts]), kind="stable")
    return [(int(i), _band(parts[i // CHUNK], int(i % CHUNK))) for i in order]


def _band(bands: Bands, i: int) -> tuple[float, float, int, int, int]:
    actions = (int(bands.below[i]), int(bands.between[i]), int(bands.above[i]))
    return float(bands.low[i]), float(bands.high[i]), *actions


def _placed(
    form: Form, values: np.ndarray, band: tuple[float, float, int, int, int], usual: Sequence[int]
) -> Iterator[Draft]:
    """The line in several places; between the thresholds stands an action that is on neither side, if there is one."""
    low, high, below, between, above = band
    if not math.isfinite(low):
        low, below = high, between
    if not math.isfinite(high):
        high, above = low, between
    if below == above or not math.isfinite(low):
        return
    spread, middle = float(values.std()), 0.5 * (low + high)
    others = [between] if between not in (below, above) else [a for a in usual if a not in (below, above)][:1]
    centres = [middle + shift * spread for shift, _ in PLACES]
    widths = [width for _, width in PLACES]
    if np.quantile(values, EDGE) < 0.0 < np.quantile(values, 1.0 - EDGE):  # where the two columns are level
        centres += [shift * spread for shift, _ in LEVEL]
        widths += [width for _, width in LEVEL]
    for centre, width in zip(centres, widths, strict=True):
        half = 0.5 * width * spread if others else 0.0
        low, high = (float(f"{centre + side * half:.3g}") for side in (-1, 1))
        yield Draft((Line(form, low, high if others else math.inf, below, above),), others[0] if others else above)
