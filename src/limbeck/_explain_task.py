"""What is explained, and how; and the answers of the network that all steps ask for.

Source
------
Own.

Cost
----
A forward pass of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError

__all__ = ["Task", "answers_of", "number_of"]


@dataclass(frozen=True)
class Task:
    """The network, the rows and what they are, the units' choices, the output, the method, and TRIM's transform."""

    model: Any
    X: np.ndarray
    kind: str
    names: list[str] | None
    words: Sequence[Sequence[str]] | None
    tile: int | None
    output: Any
    how: tuple[str, str, Any]
    """Method, rule and baseline."""
    transform: Any = None


def answers_of(model: Any, X: np.ndarray) -> np.ndarray:
    """The raw outputs ``(n, k)`` of rows."""
    from limbeck._core.module_outputs import outputs_as_it_is

    return np.asarray(outputs_as_it_is(model, X).double().cpu().numpy())


def number_of(output: Any, answer: np.ndarray) -> int:
    """The explained output of a row: what was asked for, else its largest.

    Raises
    ------
    InputError
        Where there is no such output.
    """
    if output is None:
        return int(answer.argmax())
    if isinstance(output, bool) or not isinstance(output, int | np.integer) or not 0 <= output < len(answer):
        raise InputError(f"output must be a number from 0 to {len(answer) - 1}; got {output!r:.60}")
    return int(output)
