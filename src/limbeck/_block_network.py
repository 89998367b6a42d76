"""One block inside a network: found by name, watched while the network answers, edited for a moment, or replaced.

The network is asked through a `Teacher`, which keeps its mode, numbers, gradients and the random states; what is
watched or edited goes through forward hooks that are gone afterwards, also after an error.

Departures
----------
What a block takes is recorded before the hooks that it has of its own, and what it gives after them: the module that
stands in its place later stands for both.

Cost
----
One pass of the network over the rows for each call.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError, did_you_mean
from limbeck._core.tables import Table
from limbeck.teachers import Teacher
from limbeck.teachers._torch import torch_source

__all__ = ["Place", "Record", "answers_with", "asked_alike", "find_block", "places", "record", "with_block"]

Edit = Callable[[torch.Tensor], torch.Tensor]
SHOWN = 12
ROWS_TO_WATCH = 256
AFFINE_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Place:
    """A submodule and what flows through it.

    Attributes
    ----------
    name, kind : str
        As in ``named_modules()``, and the name of its class.
    inputs, outputs : int
        Its width; 0 where it can't be replaced.
    parameters : int
    input_names : tuple of str
        What its inputs are called: columns of the rows, or places in another module's output.
    refused : str
        Why it can't be replaced; empty where it can.
    scales : tuple of (float, float), or None
        Where the inputs are columns of the rows, scaled: subtracted, divided by.
    """

    name: str
    kind: str
    inputs: int
    outputs: int
    parameters: int
    input_names: tuple[str, ...] = ()
    refused: str = ""
    scales: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Record:
    """What a block takes ``(n, d)`` and gives ``(n, k)``, and what the network answers ``(n, m)``, on some rows."""

    inputs: np.ndarray
    outputs: np.ndarray
    answers: np.ndarray


@dataclass
class _Seen:
    """What one submodule was called with."""

    calls: int = 0
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    output: Any = None


def find_block(model: torch.nn.Module, at: Any) -> torch.nn.Module:
    """The submodule of this name.

    Raises
    ------
    InputError
        Where there is none; the near names are listed.
    """
    named = dict(model.named_modules(remove_duplicate=False))
    named.pop("", None)
    listed = ", ".join(list(named)[:SHOWN]) + (", ..." if len(named) > SHOWN else "")
    if not named:
        raise InputError(f"{type(model).__name__} has no modules inside; distil it as a whole with limbeck.distill")
    if at is None:
        raise InputError(
            f"at names the block to replace, one of: {listed}. limbeck.blocks(model, X) says which can be, and the cost"
        )
    if not isinstance(at, str) or at not in named:
        raise InputError(
            f"at must be the name of a module inside {type(model).__name__}: {listed}; got {at!r:.80}."
            f"{did_you_mean(str(at), named)}"
        )
    return named[at]


@contextmanager
def _hooks(handles: list[Any]) -> Iterator[None]:
    """The hooks that are put in `handles` are gone on leaving, also on errors."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def places(model: torch.nn.Module, teacher: Teacher, rows: Table) -> list[Place]:
    """Every submodule in its order, with its width or why it can't be replaced; asks for a few rows once."""
    rows = rows.take(np.arange(min(len(rows), teacher.batch_rows, ROWS_TO_WATCH)))
    handles: list[Any] = []
    seen: dict[str, _Seen] = {name: _Seen() for name, _ in model.named_modules()}
    made: list[tuple[torch.Tensor, str]] = []

    def before(name: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, kwargs: Any) -> None:
            one = seen[name]
            one.calls, one.args, one.kwargs = one.calls + 1, _copied(args, made), dict(kwargs)

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(module: Any, args: Any, output: Any) -> None:
            seen[name].output = output
            if isinstance(output, torch.Tensor) and name:
                made.append((output, name))

        return hook

    with _hooks(handles):
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(before(name), prepend=True, with_kwargs=True))
            handles.append(module.register_forward_hook(after(name)))
        teacher(rows)
    return [_place(name, module, seen, rows) for name, module in model.named_modules() if name]


@dataclass(frozen=True)
class _Argument:
    """A tensor that a module was given: its own numbers, in case they are changed in place, and who made it."""

    numbers: torch.Tensor
    itself: torch.Tensor
    maker: str


def _copied(args: tuple[Any, ...], made: Sequence[tuple[torch.Tensor, str]]) -> tuple[Any, ...]:
    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        makers = [name for tensor, name in made if tensor is value]
        return _Argument(value.detach().clone(), value, makers[-1] if makers else "")

    return tuple(one(value) for value in args)


def _place(name: str, module: torch.nn.Module, seen: dict[str, _Seen], rows: Table) -> Place:
    one, n = seen[name], len(rows)
    parameters = sum(p.numel() for p in module.parameters())
    refused = _why_refused(one, n)
    if refused:
        return Place(name, type(module).__name__, 0, 0, parameters, refused=refused)
    given = one.args[0]
    d, k = given.numbers.shape[1], one.output.shape[1]
    names, scales = _input_names(name, given, seen[""], rows)
    return Place(name, type(module).__name__, d, k, parameters, names, "", scales)


def _why_refused(one: _Seen, n: int) -> str:
    """Why a submodule can't be replaced, or nothing."""
    if one.calls == 0:
        return "it is never called as a module; the network may use its weights directly"
    if one.calls > 1:
        return f"it is called {one.calls} times in one answer; one call is required"
    tensors = [value for value in one.args if isinstance(value, _Argument)]
    if len(one.args) != 1 or len(tensors) != 1 or one.kwargs:
        also = f" and the arguments {sorted(one.kwargs)}" if one.kwargs else ""
        return f"it takes {len(one.args)} inputs{also}; one tensor is required"
    if not isinstance(one.output, torch.Tensor):
        return f"it gives a {type(one.output).__name__}; one tensor is required"
    for word, tensor in (("takes", tensors[0].numbers), ("gives", one.output)):
        if tensor.ndim != 2 or tensor.shape[0] != n or not tensor.shape[1]:
            maps = ": maps of a convolution" if tensor.ndim == 4 else ": a sequence" if tensor.ndim == 3 else ""
            return f"it {word} a tensor of shape {_shape(tensor, n)}{maps}; (n, features) is required"
        if not tensor.is_floating_point():
            return f"it {word} {str(tensor.dtype).removeprefix('torch.')} numbers; floating point is required"
    return ""


def _shape(tensor: torch.Tensor, n: int) -> str:
    parts = ["n" if i == 0 and size == n else str(size) for i, size in enumerate(tensor.shape)]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def _input_names(
    name: str, given: _Argument, root: _Seen, rows: Table
) -> tuple[tuple[str, ...], tuple[tuple[float, float], ...] | None]:
    """What the block's inputs are called, and how columns were scaled to make them."""
    d = given.numbers.shape[1]
    if given.maker:
        return tuple(f"{given.maker}[{j}]" for j in range(d)), None
    numbers = given.numbers.double().cpu().numpy()
    if d == len(rows.schema) and rows.schema.all_numbers:
        if any(isinstance(value, _Argument) and value.itself is given.itself for value in root.args):
            return rows.schema.names, None
        scales = [_scale(column, values) for column, values in zip(rows.values.T, numbers.T, strict=True)]
        if all(scale is not None for scale in scales):
            known = tuple(scale for scale in scales if scale is not None)
            if all(abs(shift) < AFFINE_TOLERANCE and abs(by - 1) < AFFINE_TOLERANCE for shift, by in known):
                return rows.schema.names, None
            return tuple(f"{column} (scaled)" for column in rows.schema.names), known
    return tuple(f"{name}.in[{j}]" for j in range(d)), None


def _scale(column: np.ndarray, values: np.ndarray) -> tuple[float, float] | None:
    """Shift and divisor where ``values = (column - shift) / by``, else None."""
    spread, centred = values.std(), column - column.mean()
    if spread == 0.0 or not centred.any():
        return None
    slope = float(centred @ values / (centred @ centred))
    away = np.abs(values - values.mean() - slope * centred).max()
    if slope == 0.0 or away > AFFINE_TOLERANCE * spread:
        return None
    return float(column.mean() - values.mean() / slope), 1.0 / slope


def record(teacher: Teacher, block: torch.nn.Module, rows: Table) -> Record:
    """What the block takes and gives while the network answers, and the answers."""
    inputs: list[np.ndarray] = []
    outputs: list[np.ndarray] = []
    handles: list[Any] = []
    with _hooks(handles):
        handles.append(block.register_forward_pre_hook(lambda _, args: inputs.append(_numbers(args[0])), prepend=True))
        handles.append(block.register_forward_hook(lambda _, args, output: outputs.append(_numbers(output))))
        answers = teacher(rows)
    found = Record(np.concatenate(inputs), np.concatenate(outputs), answers)
    for word, values in (("takes", found.inputs), ("gives", found.outputs)):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise TeacherError(
                f"the block {word} NaN or infinity on {int(bad.sum())} of {len(bad)} rows; mend it first"
            )
    return found


def _numbers(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().double().cpu().numpy(), dtype=np.float64)


def answers_with(
    teacher: Teacher, block: torch.nn.Module, rows: Table, *, inputs: Edit | None = None, outputs: Edit | None = None
) -> np.ndarray:
    """The network's answers ``(n, m)`` while what the block takes or gives is edited."""
    handles: list[Any] = []
    with _hooks(handles):
        if inputs is not None:
            take = inputs
            handles.append(block.register_forward_pre_hook(lambda _, args: (take(args[0]),), prepend=True))
        if outputs is not None:
            give = outputs
            handles.append(block.register_forward_hook(lambda _, args, output: give(output)))
        return teacher(rows)


def with_block(model: torch.nn.Module, block: torch.nn.Module, new: torch.nn.Module) -> torch.nn.Module:
    """A deep copy of the network, in evaluation mode, with another module wherever the block stands.

    Raises
    ------
    InputError
        Where the network can't be copied.
    """
    names = [name for name, part in model.named_modules(remove_duplicate=False) if part is block]
    try:
        copied = copy.deepcopy(model)
    except Exception as error:
        raise InputError(
            f"{type(model).__name__} can't be copied by copy.deepcopy ({type(error).__name__}: {str(error)[:160]}); "
            "the block is replaced in a copy, so that the network stays as it is. Keep no tensors of a graph in it."
        ) from error
    for name in names:
        parent, _, own = name.rpartition(".")
        copied.get_submodule(parent)._modules[own] = new
    for part in copied.modules():
        part.training = False
    return copied


def asked_alike(teacher: Teacher, model: torch.nn.Module) -> Teacher:
    """Another network as a teacher whose answers are read in the same way."""
    state = replace(teacher._state, rows_asked=0, rows_verifying=0)
    return replace(teacher, source=torch_source(model, prepared=teacher.preprocess is not None), _state=state)
