"""Rows to ask the teacher: more than the user has, near those or on purpose far from them.

Every source has ``sample(X, m, seed, exclude=None)``: `m` rows in the container of `X`, whose columns with levels
hold legal levels, whose whole-number columns hold whole numbers, and of which none equals a row of `exclude`.
"""

from __future__ import annotations

from limbeck.queries._image_shifts import ImageShifts
from limbeck.queries._marginals import Marginals
from limbeck.queries._munge import Munge
from limbeck.queries._naive_bayes import NaiveBayes
from limbeck.queries._shifted import Shifted
from limbeck.queries._source import Source
from limbeck.queries._unlabelled import Unlabelled

__all__ = ["ImageShifts", "Marginals", "Munge", "NaiveBayes", "Shifted", "Source", "Unlabelled"]
