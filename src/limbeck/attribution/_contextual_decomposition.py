"""What a group of inputs brought to a network's output: contextual decomposition, along the operations that really run.

Source
------
Murdoch2018 (LSTM), Singh2019 (all other layers), section 3.

Symbols
-------
beta, gamma of the papers: relevant, irrelevant; they add up to the output.

Departures
----------
- Every operation is followed as it runs (`_parts`), whatever module or function it stands in; one without a rule is
  refused by its name. The public code looks at classes of modules and is silently wrong on what stands between them.
- The whole is computed once for all masks and only the relevant part is carried for each; the irrelevant part is the
  rest.
- Each rule's own departures stand in the ``_rules_*`` files; the empty mask has no relevance under ``"proportional"``.

Checked
-------
tests/truth/test_decomposition_truth.py: against a carry of both parts written by hand, and by identities, to 1e-10 in
float64 and 1e-5 in float32; the public code's conventions to 1e-10.

Cost
----
For m masks of n rows about 1.2 to 2 forward passes over m x n rows (benchmarks/attribution.py), and one over n rows
that measures the residual.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck.attribution import (  # noqa: F401 - the rules enter themselves
    _rules_activation,
    _rules_affine,
    _rules_attention,
    _rules_norm,
    _rules_pooling,
    _rules_recurrent,
    _rules_structure,
)
from limbeck.attribution._parts import RULES, Convention, Parts, Pass

__all__ = ["Decomposition", "contextual_decomposition", "operations"]

CONVENTIONS = {
    "proportional": Convention("proportional"),
    "shapley": Convention("shapley", two_sided=True),
    "acd": Convention("acd", zero=0.5),
    "cdep": Convention("cdep", zero=None),
}
COPIES = 8
"""So many tensors of the largest operation's size are alive at once."""
CACHE_MB = 2
"""Without a graph for gradients a chunk need not be larger than this to be fast."""


class Decomposition(tuple[torch.Tensor, torch.Tensor]):
    """The pair ``(relevant, irrelevant)``, each ``(n, *out)``, or ``(m, n, *out)`` for m masks.

    Attributes
    ----------
    relevant, irrelevant : Tensor
    residual : float
        The largest |relevant + irrelevant - model(x)|, over the largest |model(x)|: what was lost on the way.
    operations : dict of str to int
        Which operations ran, and how often.
    """

    residual: float
    operations: dict[str, int]

    def __new__(
        cls, relevant: torch.Tensor, irrelevant: torch.Tensor, residual: float, operations: dict[str, int]
    ) -> Decomposition:
        made = super().__new__(cls, (relevant, irrelevant))
        made.residual, made.operations = residual, operations
        return made

    @property
    def relevant(self) -> torch.Tensor:
        """What the masks' inputs brought."""
        return self[0]

    @property
    def irrelevant(self) -> torch.Tensor:
        """All else, biases included."""
        return self[1]

    def __repr__(self) -> str:
        return f"Decomposition(shape={tuple(self[0].shape)}, residual={self.residual:.2g})"


def operations() -> tuple[str, ...]:
    """The names of the operations that have a rule.

    Examples
    --------
    >>> "conv2d" in operations(), "scaled_dot_product_attention" in operations(), "lp_pool2d" in operations()
    (True, True, False)
    """
    return tuple(sorted(RULES))


def contextual_decomposition(
    model: torch.nn.Module,
    x: Any,
    mask: Any,
    *,
    rule: str = "proportional",
    baseline: Any = None,
    gradients: bool = False,
    memory_mb: float = 256,
) -> Decomposition:
    """The part of a network's output that a group of its inputs brought, and the rest; many groups at once.

    The model stays as it was, also after an error: mode, parameters, buffers, gradients, hooks, random states. It is
    asked in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
        Any network that takes one tensor and gives one, made of operations that have a rule (`operations`): linear
        layers, convolutions, pools, norms, activations, attention, recurrent layers, and whatever moves, adds or
        multiplies. Branches follow the whole.
    x : Tensor or array
        Rows ``(n, ...)``, numbers or, for a network that begins with an embedding, token ids.
    mask : array of bool
        True for the group: the shape of one row, or broadcastable to `x`; or with one more dimension in front, ``(m,
        1, ...)`` or ``(m, n, ...)``: m groups.
    rule : str
        ``"proportional"``: a bias is shared in proportion to the two parts, and irrelevant where both are 0.
        ``"shapley"``: also every activation by the mean over both orders. ``"acd"``, ``"cdep"``: the conventions of
        the public codes, for comparison (a bias where both parts are 0: half to each; to neither, so that the sum is
        *not* the output).
    baseline : number or array, optional
        What stands for "absent": a group's relevance is that of `x` less the baseline, and the baseline is
        irrelevant. A number, or an array of the shape of one row; 0 where absent. Not for token ids.
    gradients : bool
        Record what is needed to differentiate the result by the parameters (and by `x`).
    memory_mb : float
        About how much memory a chunk of rows and masks may take.

    Returns
    -------
    Decomposition
        ``relevant, irrelevant``; ``.residual`` measures that they add up to the model's own output.

    Raises
    ------
    InputError
        For an operation without a rule (its name and its line are said), a mask that is not boolean or does not fit,
        rows with NaN or infinite numbers.
    TeacherError
        Where the model raises, gives no tensor or no row for each row, is random, or answers with NaN.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 1, bias=False), torch.nn.ReLU())
    >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0, 2.0, 3.0]]))
    >>> relevant, irrelevant = contextual_decomposition(net, torch.ones(1, 3), torch.tensor([True, False, True]))
    >>> relevant.item(), irrelevant.item()
    (4.0, 2.0)
    >>> singles = contextual_decomposition(net, torch.ones(1, 3), torch.eye(3, dtype=torch.bool)[:, None])
    >>> singles.relevant.flatten().tolist(), singles.residual
    ([1.0, 2.0, 3.0], 0.0)
    """
    model, convention = _read_model(model), _read_rule(rule)
    x = _read_rows(model, x)
    masks, single = _read_masks(mask, x)
    base = _read_baseline(baseline, x)
    if not (isinstance(memory_mb, int | float) and memory_mb > 0):
        raise InputError(f"memory_mb must be a number above 0; got {memory_mb!r:.60}")
    with random_state_kept(), module_kept(model, gradients=gradients):
        whole = _asked(model, x)
        if convention.zero is None and len(masks) > 1:
            pieces = [_pass(model, x, one[None], convention, base) for one in masks]
            total, relevant = torch.stack([p[0] for p in pieces]), torch.cat([p[1] for p in pieces])
            ran = pieces[0][2]
        else:
            total, relevant, ran = _in_chunks(model, x, masks, convention, base, None if gradients else memory_mb)
        residual = _residual(total, whole)
    irrelevant = total - relevant
    return (
        Decomposition(relevant[0], irrelevant[0], residual, ran)
        if single
        else Decomposition(relevant, irrelevant, residual, ran)
    )


def _read_model(model: Any) -> torch.nn.Module:
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"model must be a torch.nn.Module; got {type(model).__name__}. Wrap a function in a module's forward()."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            "a scripted module can't be followed, for its operations run outside Python; give the module it came from"
        )
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, torch.nn.Module) else model


def _read_rule(rule: Any) -> Convention:
    if rule not in CONVENTIONS:
        raise InputError(f"rule must be one of {', '.join(map(repr, CONVENTIONS))}; got {rule!r:.60}")
    return CONVENTIONS[rule]


def _as_tensor(values: Any) -> torch.Tensor:
    """A tensor; an array that may not be written to is copied."""
    if isinstance(values, torch.Tensor):
        return values
    array = np.asarray(values)
    return torch.as_tensor(array if array.flags.writeable else array.copy())


def _read_rows(model: torch.nn.Module, x: Any) -> torch.Tensor:
    """Rows on the model's device, in its type where they are numbers."""
    try:
        rows = _as_tensor(x)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"x must be an array of numbers or token ids; got {type(x).__name__}: {str(error)[:120]}"
        ) from None
    if rows.ndim < 2 or not len(rows):
        raise InputError(f"x must hold rows (n, ...), at least one; got shape {tuple(rows.shape)}")
    own = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), None)
    if rows.is_floating_point():
        if not bool(rows.isfinite().all()):
            raise InputError(
                "x must be finite; it holds NaN or infinite numbers. Fill them in, as the model was trained."
            )
        rows = rows.to(own.dtype) if own is not None else rows
    elif rows.dtype == torch.bool or rows.is_complex():
        raise InputError(f"x must be numbers or token ids; got {rows.dtype}")
    return rows.to(own.device) if own is not None else rows


def _read_masks(mask: Any, x: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """``(m, 1 or n, *row)``, and whether one mask was given."""
    try:
        masks = _as_tensor(mask)
    except (TypeError, ValueError):
        raise InputError(f"mask must be a boolean array; got {type(mask).__name__}") from None
    if masks.dtype != torch.bool:
        raise InputError(f"mask must be boolean, True for the group; got {masks.dtype}. Write mask != 0 for numbers.")
    masks, row = masks.to(x.device), x.shape[1:]
    single = masks.ndim <= x.ndim
    wanted = masks[None] if single else masks
    if wanted.ndim == x.ndim:
        wanted = wanted.unsqueeze(1)
    wanted = wanted.reshape(len(wanted), *(1,) * (x.ndim + 1 - wanted.ndim), *wanted.shape[1:])
    if wanted.ndim != x.ndim + 1 or not len(wanted) or not _fits(wanted.shape[1:], x.shape):
        raise InputError(
            f"mask must have the shape of one row {tuple(row)}, or broadcast to x {tuple(x.shape)}, or be m of these "
            f"with one more dimension in front; got {tuple(masks.shape)}"
        )
    return wanted.expand(len(wanted), wanted.shape[1], *row), single


def _read_baseline(baseline: Any, x: torch.Tensor) -> torch.Tensor | None:
    """One row that stands for "absent"; None for zeros."""
    if baseline is None:
        return None
    if not x.is_floating_point():
        raise InputError("token ids have no baseline: a word that is not chosen is irrelevant, whatever its id")
    try:
        base = _as_tensor(baseline).to(dtype=x.dtype, device=x.device).expand(x.shape[1:])
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"baseline must be a number or have the shape of one row {tuple(x.shape[1:])}") from None
    if not bool(base.isfinite().all()):
        raise InputError("baseline must be finite")
    return base


def _fits(shape: torch.Size, x: torch.Size) -> bool:
    return all(a in (1, b) for a, b in zip(shape, x, strict=True))


def _asked(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The model's own answer, without a graph."""
    with torch.no_grad():
        try:
            answer = model(x)
        except Exception as error:
            raise TeacherError(
                f"the model raised {type(error).__name__} on x {tuple(x.shape)}: {str(error)[:300]}"
            ) from error
    answer = answer[0] if isinstance(answer, tuple | list) and len(answer) == 1 else answer
    if not isinstance(answer, torch.Tensor) or answer.ndim < 1 or len(answer) != len(x):
        got = tuple(answer.shape) if isinstance(answer, torch.Tensor) else type(answer).__name__
        raise TeacherError(f"the model must give one tensor with a row for each of the {len(x)} rows; it gave {got}")
    if not bool(answer.isfinite().all()):
        raise TeacherError("the model answers with NaN or infinite numbers on these rows; leave those rows out")
    return answer.detach()


def _pass(
    model: torch.nn.Module,
    x: torch.Tensor,
    masks: torch.Tensor,
    convention: Convention,
    base: torch.Tensor | None,
    seen: list[int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor, dict[str, int]]:
    """One pass for a chunk: the whole ``(n, *out)``, the relevant parts ``(m, n, *out)``, and what ran."""
    run = Pass(convention)
    chosen = masks.expand(len(masks), *x.shape)
    if not x.is_floating_point():
        carrier = run.parts(x, None, chosen)
    elif base is None:
        carrier = run.parts(x, x * chosen, chosen)
    else:
        carrier = run.parts(x, (x - base) * chosen)
    try:
        answer: Any = model(carrier)
    except (InputError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise InputError(
            f"the model raised {type(error).__name__} when it was followed, not when it was asked: {str(error)[:300]}"
        ) from error
    answer = answer[0] if isinstance(answer, tuple | list) and len(answer) == 1 else answer
    if isinstance(answer, Parts) and answer.relevant is not None:
        if seen is not None:
            seen.append(run.largest)
        return answer.total, answer.relevant, run.operations
    if not isinstance(answer, torch.Tensor):
        raise InputError(f"the model must give one tensor; it gave a {type(answer).__name__}")
    return answer, answer.new_zeros(len(masks), *answer.shape), run.operations


def _in_chunks(
    model: torch.nn.Module,
    x: torch.Tensor,
    masks: torch.Tensor,
    convention: Convention,
    base: torch.Tensor | None,
    memory_mb: float | None,
) -> tuple[torch.Tensor, torch.Tensor, dict[str, int]]:
    """The pass in chunks of rows and masks that fit the memory; in one where `memory_mb` is None."""
    m, n = len(masks), len(x)
    if memory_mb is None or m * n <= 8:
        return _pass(model, x, masks, convention, base)
    seen: list[int] = []
    _pass(model, x[:1], masks[:1, :1], convention, base, seen)
    largest = max(1, seen[0] if seen else 1)
    room = (
        min(memory_mb, CACHE_MB * COPIES)
        * 2**20
        / (COPIES * largest * max(4, x.element_size() if x.is_floating_point() else 4))
    )
    m_chunk = max(1, min(m, math.floor(room)))
    n_chunk = max(1, min(n, math.floor(room / m_chunk)))
    totals, parts, ran = [], [], {}
    for rows in _slices(n, n_chunk):
        at = slice(None) if masks.shape[1] == 1 else rows
        found = [_pass(model, x[rows], masks[some, at], convention, base) for some in _slices(m, m_chunk)]
        totals.append(found[0][0])
        parts.append(torch.cat([one[1] for one in found]))
        ran = found[0][2]
    return torch.cat(totals), torch.cat(parts, 1), ran


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


def _residual(total: torch.Tensor, whole: torch.Tensor) -> float:
    """How far the followed output is from the model's own, over its size; an error where it is not the same
    function.
    """
    with torch.no_grad():
        gap = (total.detach() - whole).abs().max().item()
        size = whole.abs().max().item()
    return float(gap / size) if size else float(gap)
