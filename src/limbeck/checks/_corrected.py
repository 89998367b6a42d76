"""RC010: does the network do better after its explanation was corrected, on rows where the shortcut is broken?

Source
------
Rieger2020 (networks are corrected by a penalty on their explanation, and judged on data without the confound);
McNemar1947 (only the rows where just one of the two is right say which is better); ClopperPearson1934.

Departures
----------
The interval is that of the share of such rows that the corrected network has right, as a difference of accuracies. It
takes their number as given; it is above 0 exactly where McNemar's exact test says so at 5 %, also with few rows.

Cost
----
One forward pass of each network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept
from limbeck._core.module_outputs import module_outputs
from limbeck.checks._asking import as_numbers, as_rows
from limbeck.checks._attribution_measures import worth
from limbeck.checks._finding import Finding
from limbeck.checks._measures import share_interval

if TYPE_CHECKING:
    import torch

__all__ = ["CorrectedModel", "CorrectionCase"]


@dataclass(frozen=True)
class CorrectionCase:
    """Two networks, before and after a correction, and rows whose shortcut is broken.

    Parameters
    ----------
    before, after : torch.nn.Module
        ``(n, *row)`` to one raw output a class ``(n, k)``; with one output, above 0 is class 1.
    x : tensor or array ``(n, *row)``
        Rows where the shortcut does not lead to the class.
    y : array ``(n,)``
        Their classes, as positions.
    """

    before: torch.nn.Module
    after: torch.nn.Module
    x: Any
    y: Any


@dataclass(frozen=True)
class CorrectedModel:
    """RC010. Accuracy after less accuracy before; the whole interval must be above 0.

    Parameters
    ----------
    min_gain : float
        A gain that is surely smaller than this fails.

    Raises
    ------
    InputError
        Where the classes are not one whole number a row.
    TeacherError
        Where a network raises, or its outputs are not numbers.

    Examples
    --------
    >>> import torch
    >>> before, after = torch.nn.Linear(2, 1, bias=False), torch.nn.Linear(2, 1, bias=False)
    >>> before.weight.data, after.weight.data = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    >>> x = np.random.default_rng(0).normal(size=(200, 2))
    >>> CorrectedModel()(CorrectionCase(before, after, x, (x[:, 0] > 0).astype(int))).status
    'pass'
    """

    min_gain: float = 0.05

    code: ClassVar[str] = "RC010"
    title: ClassVar[str] = "The corrected network does better"

    def __call__(self, case: CorrectionCase) -> Finding:
        """The finding for one correction."""
        before, after = (_classes(model, case.x) for model in (case.before, case.after))
        truth = np.asarray(case.y.cpu() if hasattr(case.y, "cpu") else case.y)
        if truth.shape != before.shape or truth.dtype.kind not in "iub":
            raise InputError(
                f"y must be the class of each of {len(before)} rows, as a whole number; got {truth.dtype} {truth.shape}"
            )
        better = int(((after == truth) & (before != truth)).sum())
        worse = int(((after != truth) & (before == truth)).sum())
        value, interval = paired_difference(better, worse, len(truth))
        hits = [float((classes == truth).mean()) for classes in (before, after)]
        message = (
            f"accuracy {hits[0]:.1%} before, {hits[1]:.1%} after: {100 * value:+.1f} points, 95 % interval "
            f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}, on {len(truth)} rows"
        )
        details = {
            "before": hits[0],
            "after": hits[1],
            "better": better,
            "worse": worse,
            "rows": len(truth),
            "min_gain": self.min_gain,
        }
        return Finding(self.code, worth(interval, self.min_gain), value, interval, 0.0, message, self.title, details)


def paired_difference(better: int, worse: int, n: int) -> tuple[float, tuple[float, float]]:
    """The difference of two accuracies on the same rows, and its 95 % interval given how many rows tell them apart.

    Where none does, the interval is as for one row of each sort more.
    """
    apart = better + worse
    low, high = share_interval(better, apart) if apart else (0.0, 1.0)
    share = max(apart, 1) / n
    return (better - worse) / n, ((2 * low - 1) * share, (2 * high - 1) * share)


def _classes(model: Any, x: Any) -> np.ndarray:
    rows = as_rows(model, x)
    with module_kept(model):
        answers = np.concatenate([as_numbers(module_outputs(model, part)) for part in rows.split(512)])
    if not np.isfinite(answers).all():
        raise TeacherError("the network's outputs must be numbers; some are NaN or infinity")
    return np.asarray(answers[:, 0] > 0).astype(int) if answers.shape[1] == 1 else answers.argmax(axis=1)
