"""Agglomerative contextual decomposition (ACD): which groups of inputs worked together, from single ones to one group.

Source
------
Singh2019, section 3.3 and algorithm 1; the scores are those of Murdoch2018, made general.

Symbols
-------
CD(S), the effect of a group S of units on the explained output; unit, a pixel, tile, word, window or column; gain of a
unit u to a group S, CD(S + u) - CD(S); synergy of two groups, CD(A + B) - CD(A) - CD(B).

The method: every unit is scored alone, those at or above a percentile are chosen, and chosen units that touch are a
group. Then, level by level: units that touch a group are scored by their gain to it (the largest, where they touch
several), the others as before; those at or above the percentile are chosen, and what touches becomes one group. At the
end the two groups of the greatest synergy are joined, until one is left.

Departures
----------
- The end joins by synergy; the public code by the gain over the stronger of the two groups.
- Where every unit is a neighbour of every other (columns of a table), touching says nothing: all units are chosen at
  once, each is a group, and only the end is done. Of more than `MOST_LOOSE` units the strongest are chosen.
- Images: scores count with their sign, as in the paper - what speaks for the output; elsewhere by size. `absolute`
  changes it. Images stop after ten levels (the public code: five).
- Percentiles: 99 for more than 400 units of an image or signal, 95 below, 99.5 for text. Lowered by 15 points once
  more than a third of the units is chosen, as in the public code; not for text, where two words that are chosen at
  once can be joined without having to do with each other.
- A unit whose score is zero is never chosen, so that a black background does not come in by a tie. The public code
  also fills in a pixel whose neighbours are chosen; here it isn't.
- Effects are counted from the empty group's; see `_group_scores`.

Checked
-------
tests/truth/test_agglomerate_truth.py: planted interactions are joined first, with controls that have none.
tests/unit/test_agglomerate.py: against a plain loop that scores one group a call.

Cost
----
One batched call a level, of as many groups as units touch a group; scores of groups that did not change are kept. An
image of 28 x 28 pixels: 1,200 to 1,600 groups in about 20 calls, half a second for a small network.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting
from limbeck.attribution._group_scores import Score, group_scores, one_row
from limbeck.attribution._growth import Growth
from limbeck.attribution._hierarchy import Hierarchy
from limbeck.attribution._unit_graph import count_of
from limbeck.attribution._units import Units, columns, pixels, tiles, words

__all__ = ["agglomerate"]

MOST_LOOSE = 64
IMAGE_LEVELS = 10
MANY_UNITS = 400
LOWERED = 15
SECONDS = 2.0


def agglomerate(
    model: Any,
    x: Any,
    units: Units | None = None,
    *,
    output: int | None = None,
    percentile: float | None = None,
    rule: str = "proportional",
    score: str | Score = "contextual_decomposition",
    absolute: bool | None = None,
    max_levels: int | None = None,
    memory_mb: float = 256,
    progress: Progress = False,
) -> Hierarchy:
    """The hierarchy of groups of units that a network used together for one row.

    Parameters
    ----------
    model : torch.nn.Module
        One that `contextual_decomposition` can follow. Not used where `score` is a function.
    x : array or tensor ``(*row)`` or ``(1, *row)``
        One row.
    units : Units, optional
        What is grouped. Where absent: the pixels of a small image ``(C, H, W)`` and tiles of a large one, the words of
        a row of whole numbers, the columns of a row of numbers ``(d,)``.
    output : int, optional
        The explained output; where absent the largest.
    percentile : float, optional
        Units at or above it, of the scores at that level, are chosen. Where absent by kind; see the file's header.
    rule : str
        As in `contextual_decomposition`.
    score : {"contextual_decomposition", "build_up"} or callable
        How groups are scored; "build_up": the output for the group alone, all else at zero, less that for nothing. Or
        any black box: masks ``(m, *row)`` to ``(m,)`` effects.
    absolute : bool, optional
        Whether units are chosen by the size of their scores, or by what speaks for the output only.
    max_levels : int, optional
        Levels of choosing units, before the groups are joined.
    memory_mb : float
        As in `contextual_decomposition`.
    progress : bool or callable

    Returns
    -------
    Hierarchy
        A leaf for each chosen unit, a node for each group. Each node's level is the step it was found in.

    Raises
    ------
    InputError
        For several rows, a row that is not finite or does not fit the units, a percentile outside 0 to 100, and where
        no unit has any effect.
    TeacherError
        Where the network or the score raises, is random, or gives numbers that are not finite.

    Notes
    -----
    Two units that do nothing alone and touch no chosen unit are not found, whatever they do together: that is so in
    the paper too. `interactions` asks for pairs outright.

    Source
    ------
    Singh2019.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> from limbeck.attribution._units import words
    >>> def score(masks):
    ...     chosen = masks.astype(float)
    ...     return chosen @ [0.1, 0.2, 2.0, 0.3] - 3 * chosen[:, 1] * chosen[:, 2]
    >>> found = agglomerate(None, np.arange(4), words(["a", "not", "good", "film"]), score=score)
    >>> print(found.text())
    -0.4  a not good film
      +0.1  a
      -0.5  not good film
        -0.8  not good
          +0.2  not
          +2  good
        +0.3  film
    """
    units = _default_units(x) if units is None else units
    if not isinstance(units, Units):
        raise InputError(
            f"units must be Units, as pixels(shape) or words(tokens) make them; got {type(units).__name__}"
        )
    row = one_row(x, units.row_shape, "units")
    share = _percentile(percentile, units)
    levels = count_of("max_levels", max_levels) if max_levels is not None else _levels(units)
    signed = units.kind == "image" if absolute is None else not absolute
    scores = group_scores(model, row, units.row_shape, output, rule, score, memory_mb)
    with reporting(progress) as report:
        start = time.perf_counter()
        alone = scores(units.masks)
        _say_cost(report, time.perf_counter() - start, len(units), levels)
        growth = Growth(units, scores, alone, signed=signed)
        if _complete(units):
            growth.choose(_strongest(growth, percentile), 0)
        else:
            _grow(growth, share, levels, report)
        if not growth.groups:
            raise InputError(_nothing(alone, scores.output))
        _join(growth, report)
    return growth.hierarchy(scores.output, scores.total)


def _grow(growth: Growth, percentile: float, levels: int, report: Report) -> None:
    """Choose units level by level."""
    for level in range(levels):
        free, strength = growth.candidates()
        chosen = free[_picked(strength, percentile, len(free), growth.units)]
        if len(chosen) == 0:
            return
        growth.choose(chosen, level)
        report("choosing units", level + 1, levels)
        if len(chosen) == len(free):
            return


def _picked(strength: np.ndarray, percentile: float, left: int, units: Units) -> np.ndarray:
    """Which of the units that are left are chosen at this level."""
    able = strength > 0
    if not able.any():
        return able
    many = len(units) - left > len(units) / 3 and units.kind != "text"
    cut = float(np.percentile(strength, max(0.0, percentile - LOWERED) if many else percentile))
    return able & (strength >= min(cut, float(strength.max())))


def _join(growth: Growth, report: Report) -> None:
    """Join the two groups of the greatest synergy until one is left."""
    total = len(growth.groups) - 1
    for done in range(total):
        growth.join()
        report("joining groups", done + 1, total)


def _nothing(alone: np.ndarray, output: int) -> str:
    if not alone.any():
        return (
            f"no unit has any effect on output {output} for this row: there is nothing to group. Take another output."
        )
    return f"no unit speaks for output {output}; absolute=True also takes what speaks against it"


def _complete(units: Units) -> bool:
    return len(units) > 2 and all(len(near) == len(units) - 1 for near in units.neighbours)


def _strongest(growth: Growth, percentile: float | None) -> np.ndarray:
    """The units that are grouped where every one is a neighbour of every other."""
    free, strength = growth.candidates()
    if percentile is not None:
        return free[strength >= np.percentile(strength, percentile)]
    order = np.argsort(-strength, kind="stable")[:MOST_LOOSE]
    if len(free) > MOST_LOOSE:
        growth.notes.append(f"of {len(free)} units the {MOST_LOOSE} with the largest effects alone were grouped")
    return np.sort(free[order])


def _say_cost(report: Report, seconds: float, u: int, levels: int) -> None:
    most = seconds * min(levels, u)
    if most > SECONDS:
        report(f"{u} units alone took {seconds:.1f} s; all {min(levels, u)} levels take at most {most:.0f} s", 0, 0)


def _levels(units: Units) -> int:
    return IMAGE_LEVELS if units.kind == "image" else len(units)


def _percentile(percentile: Any, units: Units) -> float:
    if percentile is None:
        many = len(units) > MANY_UNITS
        return 99.5 if units.kind == "text" else 99.0 if many else 95.0
    try:
        value = float(percentile)
    except (TypeError, ValueError):
        value = np.nan
    if not 0 <= value <= 100 or isinstance(percentile, bool):
        raise InputError(f"percentile must be a number from 0 to 100, or None; got {percentile!r:.60}")
    return value


def _default_units(x: Any) -> Units:
    """Units by the row's shape and type, where there is one way to read them."""
    row = x if isinstance(x, torch.Tensor) else np.asarray(x)
    shape = tuple(row.shape[1:]) if row.ndim == 4 and len(row) == 1 else tuple(row.shape)
    whole = not row.is_floating_point() if isinstance(row, torch.Tensor) else row.dtype.kind in "iu"
    if len(shape) == 1 and shape[0]:
        return words([str(int(token)) for token in row]) if whole else columns(shape[0])
    if len(shape) == 3 and min(shape):
        small = shape[1] * shape[2] <= 1024
        return pixels(shape) if small else tiles(shape, max(2, round((shape[1] * shape[2] / 200) ** 0.5)))
    raise InputError(
        f"units are required for a row of shape {shape}: it may be an image or a signal. "
        "Pass units=pixels(shape), tiles(shape, size), windows(shape, size), words(tokens) or columns(names)."
    )
