"""The effects of groups of inputs of one row on one output, many groups in one call.

Departures
----------
An effect is counted from the empty group's: CD(group) - CD(nothing). Under the rule "proportional" the second is zero;
under others, and for a score of the user's own, it need not be, and would enter every sum and difference of effects.

Cost
----
One call of contextual decomposition for each `MOST_BYTES` of masks; the first one twice, to see that it repeats.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs
from limbeck.attribution._contextual_decomposition import contextual_decomposition

__all__ = ["GroupScores", "Score", "group_scores", "one_row"]

Score: TypeAlias = Callable[[np.ndarray], Any]
"""Boolean masks ``(m, *row)`` to effects ``(m,)``."""

CONTEXTUAL_DECOMPOSITION, BUILD_UP = "contextual_decomposition", "build_up"
MOST_BYTES = 2**26
ROWS_AT_ONCE = 1024
LOSSY = ("cdep",)
"""Rules whose parts do not add up to the output."""
RESIDUAL = 1e-2
AGREE = 1e-4
"""Two answers to one question may differ by so much of the largest."""


class GroupScores:
    """The effect of a group on one output: masks ``(m, *row)`` to ``(m,)``, counted from the empty group.

    Attributes
    ----------
    output : int
        The number of the output.
    total : float
        The effect of the whole row.
    asked : int
        How many groups were scored.
    """

    def __init__(self, score: Score, row_shape: tuple[int, ...], output: int, name: str) -> None:
        self.output, self.asked, self.total = output, 0, 0.0
        self._score, self._name, self._empty = score, name, 0.0
        both = np.stack([np.zeros(row_shape, dtype=bool), np.ones(row_shape, dtype=bool)])
        first, again = self(both), self(both)
        away = float(np.abs(first - again).max())
        if away > AGREE * max(float(np.abs(first).max()), 1e-30):
            raise TeacherError(
                f"{name} gives the same groups other effects at a second call (by up to {away:.3g}): it is random. "
                "Take the noise out, or fix its seed."
            )
        self._empty = float(first[0])
        self.total = float(first[1]) - self._empty

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """The effects ``(m,)``.

        Raises
        ------
        TeacherError
            Where the score raises, or its answers are not one finite number a group.
        """
        self.asked += len(masks)
        step = max(1, MOST_BYTES // max(1, int(np.prod(masks.shape[1:]))))
        parts = [self._part(masks[start : start + step]) for start in range(0, len(masks), step)]
        return np.concatenate(parts) - self._empty if parts else np.zeros(0)

    def _part(self, masks: np.ndarray) -> np.ndarray:
        found = np.asarray(self._score(masks))
        if found.shape != (len(masks),) or found.dtype.kind not in "fiu":
            raise TeacherError(
                f"{self._name} must answer {len(masks)} masks with {len(masks)} numbers; got {found.dtype} of shape "
                f"{found.shape}"
            )
        values = found.astype(np.float64)
        if not np.isfinite(values).all():
            wrong = int((~np.isfinite(values)).sum())
            raise TeacherError(f"{self._name} must answer finite numbers; {wrong} of {len(masks)} are NaN or infinite")
        return values


def group_scores(
    model: Any, row: Any, row_shape: tuple[int, ...], output: Any, rule: str, score: Any, memory_mb: float
) -> GroupScores:
    """How the groups of one row are scored: by contextual decomposition of `model`, or by the user's function."""
    if callable(score):
        return GroupScores(_guarded(score), row_shape, 0 if output is None else _number(output), "the score function")
    if score not in (CONTEXTUAL_DECOMPOSITION, BUILD_UP):
        raise InputError(
            f"score must be {CONTEXTUAL_DECOMPOSITION!r}, {BUILD_UP!r}, or a function of boolean masks (m, *row) that "
            f"returns (m,); got {score!r:.60}"
        )
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}. For others pass score=.")
    x = row if isinstance(row, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(row))
    if score == BUILD_UP:
        effects = _building_up(model, x)
        outputs = effects(np.ones((1, *row_shape), dtype=bool))[0]
    else:
        effects, outputs = _decomposing(model, x, rule, memory_mb)
    chosen = int(outputs.argmax()) if output is None else _number(output, len(outputs))
    return GroupScores(lambda masks: effects(masks)[:, chosen], row_shape, chosen, f"{score} of {type(model).__name__}")


def one_row(x: Any, row_shape: tuple[int, ...], what: str) -> np.ndarray | torch.Tensor:
    """The row in the shape of its units.

    Raises
    ------
    InputError
        For several rows, another shape, text, and values that are not finite.
    """
    row = x.detach() if isinstance(x, torch.Tensor) else np.asarray(x)
    kind = str(row.dtype)
    numeric = isinstance(row, torch.Tensor) or row.dtype.kind in "fiu"
    if not numeric or tuple(row.shape) not in (row_shape, (1, *row_shape)):
        raise InputError(
            f"x must be one row of numbers of shape {row_shape}, as its {what} are; got {kind} of shape "
            f"{tuple(row.shape)}. Pass one row, x[i], at a time."
        )
    finite = torch.isfinite(row) if isinstance(row, torch.Tensor) else np.isfinite(row)
    if not bool(finite.all()):
        wrong = int((~finite).sum())
        raise InputError(f"x must be finite; {wrong} of its numbers are NaN or infinite. Fill them.")
    return row.reshape(row_shape)


def _building_up(model: torch.nn.Module, x: torch.Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """Masks to the network's outputs ``(m, k)`` where all but the mask is zero."""
    like = next((t for t in model.parameters() if t.is_floating_point()), None)
    if like is not None:
        x = x.to(device=like.device, dtype=like.dtype if x.is_floating_point() else x.dtype)

    def outputs(masks: np.ndarray) -> np.ndarray:
        many = torch.from_numpy(np.ascontiguousarray(masks)).to(x.device)
        with random_state_kept(), module_kept(model):
            first, again = (module_outputs(model, x[None]) for _ in range(2))
            if not torch.allclose(first, again, rtol=AGREE, equal_nan=True):
                raise TeacherError(
                    f"{type(model).__name__} gives one row two answers: it is random. Take the noise out."
                )
            nothing = torch.zeros_like(x)
            parts = [module_outputs(model, torch.where(some, x, nothing)) for some in many.split(ROWS_AT_ONCE)]
        return torch.cat(parts).double().cpu().numpy()

    return outputs


def _wants(model: torch.nn.Module, shape: tuple[int, ...]) -> str:
    return (
        f"{type(model).__name__} must answer each row with one number or k numbers; its answers' shape is {shape}. "
        "Wrap it in a module whose forward() returns the outputs to be explained."
    )


def _decomposing(
    model: torch.nn.Module, row: torch.Tensor, rule: str, memory_mb: float
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """Masks to relevant parts ``(m, k)``, and the network's outputs ``(k,)``."""

    def parts(masks: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        many = torch.from_numpy(np.ascontiguousarray(masks))[:, None]
        with torch.no_grad():
            found = contextual_decomposition(model, row[None], many, rule=rule, memory_mb=memory_mb)
        if rule not in LOSSY and found.residual > RESIDUAL:
            raise TeacherError(
                f"{type(model).__name__}: the two parts differ from its output by {found.residual:.2g} of it: the "
                "network is random, or does not repeat. Take the noise out."
            )
        relevant, irrelevant = found
        if relevant.ndim not in (2, 3) or tuple(relevant.shape[:2]) != (len(masks), 1):
            raise TeacherError(_wants(model, tuple(relevant.shape[1:])))
        return relevant.reshape(len(masks), -1), irrelevant.reshape(len(masks), -1)

    relevant, irrelevant = parts(np.ones((1, *row.shape), dtype=bool))
    outputs = (relevant + irrelevant)[0].double().cpu().numpy()
    return lambda masks: parts(masks)[0].double().cpu().numpy(), outputs


def _guarded(score: Score) -> Score:
    def scored(masks: np.ndarray) -> Any:
        try:
            found = score(masks.copy())
        except Exception as error:
            raise TeacherError(
                f"the score function raised {type(error).__name__} on masks of shape {masks.shape}: {str(error)[:200]}"
            ) from error
        return found.detach().cpu().numpy() if isinstance(found, torch.Tensor) else found

    return scored


def _number(output: Any, k: int | None = None) -> int:
    whole = isinstance(output, numbers.Integral) and not isinstance(output, bool)
    if not whole or int(output) < 0 or (k is not None and int(output) >= k):
        most = "" if k is None else f" from 0 to {k - 1}"
        raise InputError(f"output must be the number of an output{most}, or None; got {output!r:.60}")
    return int(output)
