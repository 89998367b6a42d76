"""ON and OFF tables: how good each label is with one module alone, and with one module off.

Source
------
Golechha2024: accuracy by label with a single module on, and with it off.

Departures
----------
For quantities, R2 stands in accuracy's place, R2 below 0 counts as 0 in what is lost, and what is off gives its mean: a
constant that is gone would look like a loss of everything.

Cost
----
1,000 resamples of the rows for each module and label.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from limbeck.checks._measures import bootstrap, determination, mean_interval
from limbeck.modularity._module_answers import Answers, at_the_mean, with_two

__all__ = ["TABLES", "on_off_tables"]

TABLES = ("on", "off", "lost", "lost_low", "lost_high")


def on_off_tables(
    found: Answers, truth: np.ndarray, is_classification: bool, modules: Sequence[str], labels: Sequence[Any], seed: int
) -> dict[str, Any]:
    """`whole`, a Series by label, and the DataFrames of `TABLES`, module by label; NaN where a label has no rows."""
    m, k = len(modules), len(labels)
    scores = {name: np.full((m, k), np.nan) for name in TABLES} | {"whole": np.full(k, np.nan)}
    (_fill_classes if is_classification else _fill_numbers)(scores, found, truth, seed)
    columns = pd.Index(list(labels), dtype=object)
    tables: dict[str, Any] = {"whole": pd.Series(scores["whole"], index=columns)}
    return tables | {name: pd.DataFrame(scores[name], index=list(modules), columns=columns) for name in TABLES}


def _fill_classes(scores: dict[str, np.ndarray], found: Answers, truth: np.ndarray, seed: int) -> None:
    hit, on, off = (
        (with_two(each).argmax(axis=-1) == truth).astype(float) for each in (found.whole, found.alone, found.without)
    )
    for label in np.unique(truth):
        rows = truth == label
        scores["whole"][label] = hit[rows].mean()
        scores["on"][:, label], scores["off"][:, label] = on[:, rows].mean(axis=1), off[:, rows].mean(axis=1)
        for i, gone in enumerate(hit[rows] - off[:, rows]):
            _fill_lost(scores, i, label, float(gone.mean()), mean_interval(gone, seed))


def _fill_numbers(scores: dict[str, np.ndarray], found: Answers, truth: np.ndarray, seed: int) -> None:
    n, ones = len(truth), np.ones((1, len(truth)))
    alone, without = (at_the_mean(values, found.whole) for values in (found.alone, found.without))
    for o in np.flatnonzero(np.ptp(truth, axis=0) > 0):
        own = truth[:, [o]]
        full = determination(own, found.whole[:, [o]])
        scores["whole"][o] = full(ones)[0]
        for i in range(len(alone)):
            left = determination(own, without[i][:, [o]])

            def gone(weights: np.ndarray, full: Any = full, left: Any = left) -> np.ndarray:
                return np.asarray(np.maximum(full(weights), 0.0) - np.maximum(left(weights), 0.0))

            scores["on"][i, o] = determination(own, alone[i][:, [o]])(ones)[0]
            scores["off"][i, o] = left(ones)[0]
            _fill_lost(scores, i, int(o), float(gone(ones)[0]), bootstrap(gone, n, seed))


def _fill_lost(scores: dict[str, np.ndarray], i: int, o: int, lost: float, interval: tuple[float, float]) -> None:
    scores["lost"][i, o] = lost
    scores["lost_low"][i, o], scores["lost_high"][i, o] = interval
