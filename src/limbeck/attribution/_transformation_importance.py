"""Transformation importance (TRIM): how much groups of coefficients - frequencies, scales, parts - add to an output.

Source
------
Singh2020, section 2: equations (1) to (3).

Symbols
-------
T, T^-1, the transform and its inverse; s = T(x); r = x - T^-1(s), what the transform loses of the row, kept **fixed**;
f'(s) = f(T^-1(s) + r), the network of coefficients. f'(T(x)) = f(x), and f'(0) = f(r) where the inverse is linear.

Departures
----------
- r goes into f' as inputs of their own, which no group holds and which a path doesn't move: no attribution can give its
  share to a group, as a bias's would be. Worked out anew from each s it would undo whatever happens to s: f' would be
  constant (METHODS, section 6; there is a test that it is not).
- The share of the row that is in r, and the part of the output that no group brings alone, are in the result.

Checked
-------
tests/truth/test_trim_truth.py: networks that read one frequency, one scale, one part; the same with other weights.
tests/unit/test_transformation_importance.py: linear networks exactly, for every transform and method; wrong transforms.

Cost
----
That of the attribution, on a network with the inverse in front: contextual decomposition one pass over rows x groups,
integrated gradients about 50 passes forward and backward for all groups at once, input x gradient one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from limbeck._core.errors import InputError, did_you_mean
from limbeck.attribution._asked import asking, rows_of
from limbeck.attribution._contextual_decomposition import contextual_decomposition
from limbeck.attribution._gradients import input_x_gradient, integrated_gradients
from limbeck.attribution._transformed_network import TransformedNetwork, coefficients_of
from limbeck.attribution._transforms import Transform

__all__ = ["TransformedAttribution", "transformation_importance"]

METHODS = ("contextual_decomposition", "integrated_gradients", "input_x_gradient")


@dataclass(frozen=True)
class TransformedAttribution:
    """How much each group of coefficients of each row adds to one output of a network.

    Attributes
    ----------
    values : array ``(n, u)``
        One score a row and group.
    names : tuple of str
        What the groups are called.
    masks : array of bool ``(u, *s)``
        Which coefficients each group holds.
    coefficients : array ``(n, *s)``
        T(x).
    outputs : array ``(n,)``
        Which output of the network is explained, for each row.
    total : array ``(n,)``
        f(x) - f(r): what all coefficients add together.
    lost : array ``(n,)``
        The share of the row, in squares, that the transform loses and no group can explain; 0 where it loses nothing.
    residual : float
        The completeness error of the method: how far its parts are from adding up.
    method, transform : str
    """

    values: np.ndarray
    names: tuple[str, ...]
    masks: np.ndarray
    coefficients: np.ndarray
    outputs: np.ndarray
    total: np.ndarray
    lost: np.ndarray
    residual: float
    method: str
    transform: str

    @property
    def unshared(self) -> np.ndarray:
        """The total less the sum of the groups, ``(n,)``: what only several groups together bring."""
        return np.asarray(self.total - self.values.sum(axis=1))

    def table(self) -> pd.DataFrame:
        """One line a group, the most important first.

        Columns: ``group``; ``coefficients``, how many it holds; ``importance``, its mean absolute score; ``share`` of
        all groups' importance; ``score``, the mean with its sign; ``energy``, its share of the coefficients' squares,
        which says how much of it there is in the rows, not what the network makes of it.
        """
        importance = np.abs(self.values).mean(axis=0)
        squares = (np.abs(self.coefficients) ** 2).reshape(len(self.values), -1)
        whole = np.maximum(squares.sum(axis=1, keepdims=True), np.finfo(float).tiny)
        masks = self.masks.reshape(len(self.names), -1)
        found = pd.DataFrame(
            {
                "group": self.names,
                "coefficients": masks.sum(axis=1),
                "importance": importance,
                "share": importance / max(float(importance.sum()), np.finfo(float).tiny),
                "score": self.values.mean(axis=0),
                "energy": (squares / whole @ masks.T).mean(axis=0),
            }
        )
        return found.sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    def __str__(self) -> str:
        n, u = self.values.shape
        alone = float(np.abs(self.unshared).mean() / max(float(np.abs(self.total).mean()), np.finfo(float).tiny))
        return (
            f"{self.method} in {self.transform}: {n} rows, {u} groups; completeness error {self.residual:.2g}; "
            f"{100 * float(self.lost.mean()):.3g} % of the rows is lost by the transform; "
            f"{100 * alone:.3g} % of the change of the output is not the sum of the groups"
        )


def transformation_importance(
    model: torch.nn.Module,
    x: Any,
    transform: Transform | tuple[Callable[..., Any], Callable[..., Any]],
    groups: Any = None,
    *,
    method: str = "contextual_decomposition",
    output: Any = None,
    rule: str = "proportional",
    memory_mb: float = 256,
) -> TransformedAttribution:
    """How much each group of a row's coefficients adds to an output: frequencies, scales, parts, or the user's own.

    The network is asked in evaluation mode and left as it was, also after an error.

    Parameters
    ----------
    model : torch.nn.Module
        Rows to ``(n,)`` or ``(n, k)`` raw outputs (logits).
    x : tensor or array ``(n, *row)``
        Numbers of floating point.
    transform : Transform, or a pair of functions
        `Fourier`, `Wavelet`, `NMF`, `PCA`; or ``(forward, inverse)``: rows ``(n, *row)`` to coefficients ``(n, *s)``,
        real or complex, and back. The inverse must be torch operations; what it doesn't give back stays fixed.
    groups : mapping of str to mask, array of masks ``(u, *s)``, or "each", optional
        Which coefficients belong together; where absent the transform's own groups, or each for a pair of functions.
    method : {"contextual_decomposition", "integrated_gradients", "input_x_gradient"}
        The attribution of f'. Integrated gradients start where all coefficients are 0.
    output : int or ``(n,)`` of int, optional
        Which output to explain; where absent the greatest one of each row (output 0 where there is one).
    rule : str
        Of contextual decomposition.
    memory_mb : float
        About how much one batch may take.

    Raises
    ------
    InputError
        For rows, groups or names that can't be used; for a transform that raises, changes shapes, is random, gives NaN,
        or whose inverse isn't torch operations.
    TeacherError
        For a network that raises, or whose answers are random, mix rows, or are not finite.

    Source
    ------
    Singh2020.

    Departures, Cost
    ----------------
    See the file's header.

    Examples
    --------
    >>> from limbeck.attribution._transforms import Fourier
    >>> t = torch.arange(16) / 16
    >>> model = torch.nn.Linear(16, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.cos(2 * torch.pi * 6 * t))
    >>> x = torch.cos(2 * torch.pi * 6 * t) + 2 * torch.cos(2 * torch.pi * t)
    >>> found = transformation_importance(model, x[None], Fourier(bands=4))
    >>> found.table()[["group", "score"]].round(3).values.tolist()[0]
    ['frequency 0.375 to 0.5', 8.0]
    """
    if method not in METHODS:
        raise InputError(
            f"method must be one of {', '.join(METHODS)}; got {method!r:.60}.{did_you_mean(str(method), METHODS)}"
        )
    if rule != "proportional" and method != METHODS[0]:
        raise InputError(f"rule={rule!r:.40} is a choice of {METHODS[0]}; {method} has none, leave it out")
    rows = rows_of(model, x)
    found = coefficients_of(model, rows, transform, groups)
    net, z = found.net, found.z
    with asking(net, z, output, memory_mb) as asked:
        outputs, total = asked.outputs, asked.chosen - asked.answers_to(found.start)
    values, residual = _scores(net, z, found.start, found.wide, outputs, method, rule, memory_mb)
    return TransformedAttribution(
        *(values, found.names, found.masks, np.asarray(found.s.cpu().numpy()), outputs, total, found.lost),
        residual=residual,
        method=method,
        transform="the user's transform" if isinstance(transform, tuple | list) else type(transform).__name__,
    )


def _scores(
    net: TransformedNetwork,
    z: torch.Tensor,
    start: torch.Tensor,
    masks: np.ndarray,
    outputs: np.ndarray,
    method: str,
    rule: str,
    memory_mb: float,
) -> tuple[np.ndarray, float]:
    """The groups' scores ``(n, u)`` and the completeness error."""
    if method == METHODS[0]:
        parts = contextual_decomposition(net, z, torch.from_numpy(masks)[:, None], rule=rule, memory_mb=memory_mb)
        relevant = parts[0].detach().double().cpu().numpy().reshape(len(masks), len(z), -1)
        return relevant[:, np.arange(len(z)), outputs].T.copy(), parts.residual
    explain = integrated_gradients if method == METHODS[1] else input_x_gradient
    found = explain(net, z, baseline=start, output=outputs, memory_mb=memory_mb)
    return found.values @ masks.T, found.residual
