"""Rows to ask the teacher: more than the user has, near those or on purpose far from them.

Every source has ``sample(X, m, seed, exclude=None)``: `m` rows in the container of `X`, whose columns with levels
hold legal levels, whose whole-number columns hold whole numbers, and of which none equals a row of `exclude`.
`stream` draws from any of them batch by batch, and `ask` keeps a teacher's answers to a stream, so that none is asked
for twice.
"""

from __future__ import annotations

from limbeck.queries._answers import Answers, read_answers
from limbeck.queries._asking import ask
from limbeck.queries._image_shifts import ImageShifts
from limbeck.queries._marginals import Marginals
from limbeck.queries._mixture import Mixture
from limbeck.queries._munge import Munge
from limbeck.queries._naive_bayes import NaiveBayes
from limbeck.queries._shifted import Shifted
from limbeck.queries._source import Source
from limbeck.queries._stream import QueryStream, stream
from limbeck.queries._tuning import tune_munge
from limbeck.queries._unlabelled import Unlabelled

__all__ = [
    "Answers",
    "ImageShifts",
    "Marginals",
    "Mixture",
    "Munge",
    "NaiveBayes",
    "QueryStream",
    "Shifted",
    "Source",
    "Unlabelled",
    "ask",
    "read_answers",
    "stream",
    "tune_munge",
]
