"""One member of a student's ``front_``: a model of the same family, smaller or larger than the one that was chosen."""

from __future__ import annotations

from dataclasses import dataclass

from limbeck.readable import Readable

__all__ = ["Member"]


@dataclass(frozen=True)
class Member:
    """A model of a student's front.

    Attributes
    ----------
    readable : Readable
    complexity : int
        Symbols that a person must read.
    score : float
        What the student ordered its members by; higher is better. Each family says what it is.
    """

    readable: Readable
    complexity: int
    score: float
