"""What the checks of an attribution look at, and how they ask the attribution.

An attribution is anything that can be written as ``effects(model, x, masks)``: contextual decomposition, occlusion,
integrated gradients summed over groups. The checks know nothing else of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, LimbeckError, TeacherError
from limbeck._core.module_kept import module_kept
from limbeck.checks._asking import Effects, as_baseline, as_numbers, as_outputs, as_rows, explained

if TYPE_CHECKING:
    import torch

__all__ = ["AttributionCase", "NotANumberError"]

SAME = 1e-5
"""Two answers for the same rows may differ by this much of the largest one."""


class NotANumberError(Exception):
    """The attribution is not a number somewhere: a check that meets it fails."""


@dataclass(frozen=True)
class AttributionCase:
    """What a check of an attribution may look at: the network, the explained rows, the units and the attribution.

    Parameters
    ----------
    model : torch.nn.Module
        ``(n, *row)`` to raw outputs ``(n, k)`` or ``(n,)``. It is never changed.
    x : tensor or array ``(n, *row)``
        The explained rows; whole numbers are kept as such (words).
    masks : bool array ``(u, *row)``
        The positions of each unit.
    output : int, or array ``(n,)``
        The explained output of each row.
    effects : callable
        ``(model, x, masks) -> (m, n)``: the effect of each of m groups (a boolean tensor ``(m, *row)``) on the
        explained output of each of the n rows. It is always given as many rows as `x` has, in their order.
    baseline : number or array
        What stands for "absent"; broadcast to a row. The number of the padding for words.
    rest : callable or None
        ``(model, x, masks) -> (m, n)``: what the attribution says is left beside each group.
    bias : callable or None
        ``(model, x) -> (n,)``: what the attribution gives to no input. Where both are None, the output at the baseline.
    planted : tuple or None
        The groups of units that are known to work together, for all rows, or a tuple of such for each row.
    seed : int
        For the checks' own draws.

    Raises
    ------
    InputError
        Where rows, masks, outputs, baseline or planted groups do not fit each other, or are not finite.

    Examples
    --------
    >>> import torch
    >>> from limbeck.checks import occlusion_effects
    >>> net = torch.nn.Linear(2, 1)
    >>> case = AttributionCase(net, np.ones((3, 2)), np.eye(2, dtype=bool), 0, occlusion_effects(0))
    >>> case.x.dtype, len(case.masks), case.output.tolist()
    (torch.float32, 2, [0, 0, 0])
    """

    model: torch.nn.Module
    x: Any
    masks: Any
    output: Any
    effects: Effects
    baseline: Any = 0.0
    rest: Effects | None = None
    bias: Callable[[Any, Any], Any] | None = None
    planted: Sequence[Any] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Tensors of the forms that the fields name, checked."""
        import torch

        if not isinstance(self.model, torch.nn.Module):
            raise InputError(f"model must be a torch.nn.Module; got {type(self.model).__name__}")
        for name in ("effects", "rest", "bias"):
            value = getattr(self, name)
            if not (callable(value) or (value is None and name != "effects")):
                raise InputError(f"{name} must be a function; got {type(value).__name__}")
        x = as_rows(self.model, self.x)
        set_field = object.__setattr__
        set_field(self, "x", x)
        set_field(self, "masks", _masks(self.masks, tuple(x.shape[1:])))
        set_field(self, "output", as_outputs(self.output, len(x)))
        set_field(self, "baseline", as_baseline(self.baseline, x))
        set_field(self, "planted", _planted(self.planted, len(x), len(self.masks)))

    @property
    def base(self) -> torch.Tensor:
        """One row ``row`` with everything absent."""
        base: torch.Tensor = self.baseline
        return base

    @property
    def present(self) -> np.ndarray:
        """Which units ``(n, u)`` differ from the baseline in which row: the others are absent already."""
        there = (self.x != self.base).reshape(len(self.x), -1).cpu().numpy()
        return np.asarray((there.astype(float) @ self.masks.reshape(len(self.masks), -1).T.astype(float)) > 0)

    def answers(self, x: torch.Tensor | None = None, model: torch.nn.Module | None = None) -> np.ndarray:
        """The explained output ``(n,)``, or ``(m, n)`` for m versions of the rows ``(m, n, *row)``."""
        rows = self.x if x is None else x
        return explained(self.model if model is None else model, rows, self.output, self.x.ndim)

    def steady_answers(self) -> np.ndarray:
        """The explained output ``(n,)``; an error where the network answers differently when asked again."""
        first, second = self.answers(), self.answers()
        if np.abs(first - second).max() > SAME * max(np.abs(first).max(), 1e-30):
            raise TeacherError(
                "the network must answer the same for the same rows; it answers differently when asked twice (is "
                "something random in its forward pass also in eval mode?)"
            )
        return first

    def measure(
        self, masks: np.ndarray, *, model: Any = None, x: Any = None, ask: Effects | None = None, finite: bool = True
    ) -> np.ndarray:
        """The effects ``(m, n)`` of groups; `NotANumberError` where some are not finite and `finite` is asked for."""
        import torch

        model, x, ask = (self.model if model is None else model), (self.x if x is None else x), ask or self.effects
        with module_kept(model, gradients=torch.is_grad_enabled()):
            given = _called(ask, model, x.clone(), torch.as_tensor(masks, device=x.device))
        values = as_numbers(given)
        if values.shape != (len(masks), len(x)):
            raise InputError(
                f"effects(model, x, masks) must have one number for each of {len(masks)} groups and {len(x)} rows, "
                f"shape {(len(masks), len(x))}; got {values.shape}"
            )
        if finite and not np.isfinite(values).all():
            raise NotANumberError(
                f"the attribution is not a number for {(~np.isfinite(values)).sum()} of {values.size} effects"
            )
        return values


def _called(ask: Effects, *given: Any) -> Any:
    try:
        return ask(*given)
    except LimbeckError:
        raise
    except Exception as error:
        raise InputError(f"the attribution raised {type(error).__name__}: {error!s:.300}") from error


def _masks(masks: Any, row: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(masks.cpu() if hasattr(masks, "cpu") else masks)
    if array.dtype != bool or array.shape[1:] != row or not len(array):
        raise InputError(f"masks must be a boolean array (u, *{row}), one mask a unit; got {array.dtype} {array.shape}")
    empty = np.flatnonzero(~array.reshape(len(array), -1).any(axis=1))
    if len(empty):
        raise InputError(f"each unit must have a position; unit {empty[0]} has none")
    return array


def _planted(planted: Any, n: int, u: int) -> tuple[tuple[tuple[int, ...], ...], ...] | None:
    """The planted groups of each row."""
    if planted is None:
        return None
    words = f"planted must be groups of at least two units below {u}, or such groups for each of {n} rows"
    try:
        same = any(isinstance(i, int | np.integer) for group in planted for i in group)
        rows = [list(planted)] * n if same else [list(row) for row in planted]
        read = tuple(tuple(tuple(sorted({int(i) for i in group})) for group in row) for row in rows)
    except (TypeError, ValueError):
        raise InputError(f"{words}; got {planted!r:.80}") from None
    if len(read) != n:
        raise InputError(f"{words}; got {len(read)} rows")
    for group in (group for row in read for group in row):
        if len(group) < 2 or group[0] < 0 or group[-1] >= u:
            raise InputError(f"{words}; got {group}")
    return read
