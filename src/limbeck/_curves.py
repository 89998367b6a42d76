"""The price of clarity, measured in a run: every size of every student on training, validation and test rows.

Source
------
EfronTibshirani1997: the leave-one-out bootstrap. A refit never saw the training rows outside its resample (about 37 %
of them), so these validate it without losing a row; a row's loss is the mean over the refits that it is out of, and
rows, not refits, are what the standard error is over. A resample has fewer different rows, so what is validated is a
little below what the student itself reaches, at every size.

Departures
----------
- There are only a few refits (three by default), so the error between refits is not added: it could not be estimated.
- At each size of the student's own front the refit's member of the greatest size not above it is taken, else its
  smallest. The front of a refit has other sizes than that of the student.
- Where columns take few values a refit's queries can equal its out-of-bag rows. These stay, as do rows that come twice.
- The teacher's answers are validated against: the teacher may have been trained on these rows, so fidelity is honest
  there, and accuracy on the truth may be flattered.

Cost
----
No teacher calls. Each part has at most 5,000 rows, which each member and each refit's members predict once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._clarity import Point, measured, row_losses, size_of, with_stops
from limbeck._core.progress import Report
from limbeck._core.tables import Table
from limbeck._rounds import Fitted, Round
from limbeck._setting import Setting
from limbeck.readable import Readable

__all__ = ["MOST_ROWS", "measure_curves", "note_on_curves"]

MOST_ROWS = 5_000
"""The rows of each part, at most."""

Scores = tuple[float | None, float | None]


@dataclass(frozen=True)
class _Part:
    """Rows with what the teacher says of them and what is true: numbers ``(n, k)`` or class positions ``(n,)``."""

    index: np.ndarray
    values: np.ndarray
    answers: np.ndarray
    truth: np.ndarray | None

    def losses(self, readable: Readable, at: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray | None]:
        """Each row's loss against the teacher and against the truth."""
        outputs = readable.predict_encoded(self.values[at])
        return row_losses(self.answers[at], outputs), None if self.truth is None else row_losses(
            self.truth[at], outputs
        )


def measure_curves(
    setting: Setting,
    rounds: Sequence[Round],
    fitted: Mapping[tuple[str, int], Any],
    report: Report,
    most: int = MOST_ROWS,
) -> dict[str, tuple[Point, ...]]:
    """For each fitted student its points, the least complex first, with the sizes marked at which to stop."""
    names = [name for name in setting.students if isinstance(fitted.get((name, 0)), Fitted)]
    if not names:
        return {}
    n = len(setting.train)
    train = _part(setting, setting.train, rounds[0].answers[:n], setting.train_truth, most)
    test = _part(setting, setting.held_out, setting.answers, setting.truth, most)
    curves = {}
    for done, name in enumerate(names):
        report("price of clarity", done, len(names))
        refits = [
            (one.index, _members(fitted[name, i])) for i, one in enumerate(rounds) if i and _is_done(fitted, name, i)
        ]
        curves[name] = _curve(fitted[name, 0], refits, train, test)
    report("price of clarity", len(names), len(names))
    return with_stops(curves)


def _is_done(fitted: Mapping[tuple[str, int], Any], name: str, i: int) -> bool:
    return isinstance(fitted.get((name, i)), Fitted)


def _part(setting: Setting, rows: Table, answers: np.ndarray, truth: np.ndarray | None, most: int) -> _Part:
    index = np.arange(len(rows))
    if len(rows) > most:
        generator = np.random.default_rng(setting.seeds["selection"])
        index = np.sort(generator.choice(len(rows), size=most, replace=False))
    reference = answers.argmax(axis=1) if setting.is_classification else answers
    return _Part(index, rows.values[index], reference[index], None if truth is None else truth[index])


def _members(one: Fitted) -> list[Readable]:
    """The student's models of all sizes, its own among them, the smallest first."""
    found = [one.readable]
    for other in one.alternatives:
        if other.complexity != one.readable.complexity or other.readable.to_dict() != one.readable.to_dict():
            found.append(other.readable)
    return sorted(found, key=lambda readable: (size_of(readable)[0], readable.complexity))


def _curve(
    own: Fitted, refits: Sequence[tuple[np.ndarray, list[Readable]]], train: _Part, test: _Part
) -> tuple[Point, ...]:
    """The points of one student."""
    members = _members(own)
    checked = _validated(members, refits, train)
    points = []
    for readable, (fidelity, accuracy) in zip(members, checked, strict=True):
        seen, unseen = train.losses(readable), test.losses(readable)
        points.append(
            Point(
                *size_of(readable),
                readable.complexity,
                _value(train.answers, seen[0]),
                *fidelity,
                _value(test.answers, unseen[0]),
                _value(train.truth, seen[1]),
                *accuracy,
                _value(test.truth, unseen[1]),
                chosen=readable is own.readable,
            )
        )
    return tuple(sorted(points, key=lambda point: (point.complexity, point.size)))


def _value(reference: np.ndarray | None, losses: np.ndarray | None) -> float | None:
    return None if reference is None or losses is None else measured(reference, losses)[0]


def _validated(
    members: Sequence[Readable], refits: Sequence[tuple[np.ndarray, list[Readable]]], train: _Part
) -> list[tuple[Scores, Scores]]:
    """For each member fidelity and accuracy on out-of-bag rows, each with its standard error."""
    totals: list[list[Any]] = [[0.0, 0.0] for _ in members]
    counts = np.zeros(len(train.index))
    for index, others in refits:
        out = np.flatnonzero(~np.isin(train.index, index))
        counts[out] += 1
        known: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        for total, member in zip(totals, members, strict=True):
            place = _place(member, others)
            if place not in known:
                known[place] = train.losses(others[place], out)
            for which, losses in enumerate(known[place]):
                if losses is not None:
                    whole = np.zeros((len(counts), losses.shape[1]))
                    whole[out] = losses
                    total[which] = total[which] + whole
    use = np.flatnonzero(counts)
    return [
        (_mean(train.answers, total[0], counts, use), _mean(train.truth, total[1], counts, use)) for total in totals
    ]


def _place(member: Readable, others: Sequence[Readable]) -> int:
    """Which of the refit's members, the smallest first, stands for this one.

    Of those of the greatest size not above its own, the most complex that is no more complex; else their simplest.
    """
    sizes = [size_of(other)[0] for other in others]
    size = max((s for s in sizes if s <= size_of(member)[0]), default=sizes[0])
    same = [i for i, s in enumerate(sizes) if s == size]
    return max((i for i in same if others[i].complexity <= member.complexity), default=same[0])


def _mean(reference: np.ndarray | None, total: Any, counts: np.ndarray, use: np.ndarray) -> Scores:
    if reference is None or not len(use):
        return None, None
    return measured(reference[use], total[use] / counts[use, None])


def note_on_curves(curves: Mapping[str, Sequence[Point]], n_refits: int) -> list[str]:
    """Why no size to stop at is named, where none is."""
    if not curves or any(point.validation_fidelity is not None for curve in curves.values() for point in curve):
        return []
    if n_refits:
        why = "the refits whose out-of-bag rows validate them were not reached, failed, or can't be measured"
    else:
        why = "no check distils the students again (limbeck.checks.Stability does), so there are no out-of-bag rows"
    return [f"the price of clarity has no size to stop at: {why}"]
