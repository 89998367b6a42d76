"""A tensor in two parts: what a mask's inputs brought into it, and the whole; and who is asked for the rule of an
operation.

`Parts` looks to a model like the tensor that it would have met: shape, type, comparisons, branches. Each operation on
it comes here first (torch's function override), and is answered by the rule of that name - or refused by that name.
Rules stand in the `_rules_*` files; `RULES` is the list of them.

Symbols
-------
``total``
    What the model computes for the rows, ``(n, ...)``: once, for all masks.
``relevant``
    The part that the mask's inputs brought, ``(m, n, ...)`` for m masks. The irrelevant part is the rest.
``bias``
    What an activation gives at 0, ``(n, ...)``, kept apart until something else than a product needs the relevant
    part: a gate's bias lets through what is relevant in the other factor.
``chosen``
    Which entries the masks choose, ``(m, n, ...)``, as long as entries were only moved about since the input; whole
    numbers (token ids) have nothing else.
"""

from __future__ import annotations

import itertools
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from limbeck._core.errors import InputError

__all__ = [
    "RULES",
    "TINY",
    "Convention",
    "Parts",
    "Pass",
    "RefusedError",
    "each_part",
    "lifted",
    "numbers",
    "of_part",
    "refuse",
    "rule",
    "settle",
    "shared",
    "unwrap",
]

TINY = 1e-37
RULES: dict[str, Callable[..., Any]] = {}
"""Operation's name to its rule: ``rule(run, func, *args, **kwargs)``."""

ANSWERED_BY_THE_WHOLE = """
    shape size dim ndim ndimension numel nelement dtype device layout is_cuda is_cpu is_mps is_xpu is_sparse
    is_quantized is_nested is_meta is_mkldnn is_complex is_floating_point is_contiguous stride storage_offset
    requires_grad is_leaf grad_fn element_size itemsize nbytes get_device __len__ __bool__ __hash__ is_inference
    is_signed is_same_size names eq ne lt le gt ge __eq__ __ne__ __lt__ __le__ __gt__ __ge__ equal allclose isclose
    isnan isinf isfinite isneginf isposinf logical_and logical_or logical_xor logical_not argmax argmin argsort any
    all nonzero count_nonzero zeros_like ones_like empty_like full_like rand_like randn_like new_zeros new_ones
    new_empty new_full new_tensor result_type sym_size sym_size.int sym_numel bucketize searchsorted _assert
    _is_all_true is_tensor dim_order is_conj is_neg is_nonzero
"""
WHOLE = frozenset(ANSWERED_BY_THE_WHOLE.split())
"""What is answered by the whole: sizes, comparisons and decisions. The answer is a constant."""


@dataclass(frozen=True)
class Convention:
    """The choices that a named rule makes.

    Attributes
    ----------
    name : str
    zero : float or None
        What share of a bias the relevant part gets where both parts are 0; None where neither gets it.
    two_sided : bool
        True where every activation is shared between the parts by the mean over both orders, not only tanh and sigmoid.
    """

    name: str
    zero: float | None = 0.0
    two_sided: bool = False


@dataclass
class Pass:
    """One pass through a model: its convention, and what was seen on the way."""

    convention: Convention
    largest: int = 0
    operations: dict[str, int] = field(default_factory=dict)
    _live: dict[int, weakref.ref[Parts]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def parts(self, total: torch.Tensor, relevant: torch.Tensor | None, chosen: torch.Tensor | None = None) -> Parts:
        """A new carrier."""
        made = Parts(total, relevant, self, chosen)
        number = next(self._numbers)
        self._live[number] = weakref.ref(made, lambda _: self._live.pop(number, None))
        if relevant is not None and total.numel():
            self.largest = max(self.largest, total.numel())
        return made

    def shares_memory(self, one: Parts) -> bool:
        """True where another carrier that is still in use looks at the same numbers."""
        where = one.total.untyped_storage().data_ptr()
        others = [found for reference in list(self._live.values()) if (found := reference()) is not None]
        return any(found is not one and found.total.untyped_storage().data_ptr() == where for found in others)


class RefusedError(InputError):
    """An operation that the decomposition has no rule for."""


class Parts(torch.Tensor):
    """The carrier; see the module's text."""

    total: torch.Tensor
    alone: torch.Tensor | None
    chosen: torch.Tensor | None
    bias: torch.Tensor | None
    run: Pass
    why_not: str

    @staticmethod
    def __new__(
        cls, total: torch.Tensor, relevant: torch.Tensor | None, run: Pass, chosen: torch.Tensor | None
    ) -> Parts:
        made: Parts = torch.Tensor._make_wrapper_subclass(cls, total.shape, dtype=total.dtype, device=total.device)
        made.total, made.alone, made.run, made.chosen = total, relevant, run, chosen
        made.bias, made.why_not = None, ""
        return made

    @property
    def relevant(self) -> torch.Tensor | None:
        """The relevant part, with its share of a bias that was kept apart."""
        if self.bias is not None and self.alone is not None:
            self.alone = shared(self.alone, self.total - self.bias, self.bias, self.run.convention)
            self.bias = None
        return self.alone

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        masks = self.chosen if self.relevant is None else self.relevant
        return f"Parts(shape={tuple(self.total.shape)}, masks={0 if masks is None else len(masks)})"

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _answer(func, args, kwargs or {})

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        refuse(str(func), "it is compiled code that passes the tensor on inside")


def rule(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function as the rule of these operations."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            RULES[name] = function
        return function

    return enter


def name_of(func: Any) -> str:
    """The name of an operation, the same for a function, a method, an operator and an exported program's node."""
    name = getattr(func, "__name__", str(func))
    if name in ("__get__", "__set__"):
        return str(getattr(getattr(func, "__self__", None), "__name__", name))
    schema = getattr(func, "_schema", None)
    return str(schema.name.partition("::")[2]) if schema is not None else str(name)


def parts_in(*values: Any) -> list[Parts]:
    """The carriers among arguments, also inside lists, tuples and dictionaries."""
    found: list[Parts] = []
    for value in values:
        if isinstance(value, Parts):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += parts_in(*value)
        elif isinstance(value, dict):
            found += parts_in(*value.values())
    return found


def unwrap(value: Any, of: Callable[[Parts], Any]) -> Any:
    """Arguments with `of` each carrier in its place."""
    if isinstance(value, Parts):
        return of(value)
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        inner = [unwrap(one, of) for one in value]
        return type(value)(*inner) if hasattr(value, "_fields") else type(value)(inner)
    if isinstance(value, dict):
        return {key: unwrap(one, of) for key, one in value.items()}
    return value


def _whole(one: Parts) -> torch.Tensor:
    return one.total


def _answer(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    name, carriers = name_of(func), parts_in(args, kwargs)
    if not carriers:
        return func(*args, **kwargs)
    for one in carriers:
        if one.why_not:
            refuse(name, one.why_not)
    if name in WHOLE:
        return func(*unwrap(args, _whole), **unwrap(kwargs, _whole))
    run = carriers[0].run
    run.operations[name] = run.operations.get(name, 0) + 1
    found = RULES.get(name)
    if found is not None:
        return found(run, func, *args, **kwargs)
    plain = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    if plain != name and plain in RULES:
        return _in_place(run, plain, args, kwargs)
    return refuse(name)


def _in_place(run: Pass, name: str, args: Any, kwargs: dict[str, Any]) -> Parts:
    """``x.relu_()`` and its like: the rule of the plain operation, then the carrier holds the result."""
    first, function = args[0], getattr(torch.Tensor, name, None) or getattr(torch.nn.functional, name)
    if not isinstance(first, Parts):
        refuse(f"{name}_", "it writes a decomposed value into a tensor that was made before; make a new one instead")
    return settle(first, RULES[name](run, function, *args, **kwargs), f"{name}_")


def settle(one: Parts, result: Parts, name: str) -> Parts:
    """The carrier with the result in it, where nothing else looks at the same numbers."""
    if one.run.shares_memory(one):
        refuse(name, "it changes, in place, numbers that another tensor looks at; use the form that makes a new tensor")
    if result.total.shape != one.total.shape:
        refuse(name, "its result has another shape than the tensor that it changes")
    one.total, one.alone, one.bias, one.chosen = result.total, result.alone, result.bias, result.chosen
    return one


def shared(relevant: torch.Tensor, whole: torch.Tensor, bias: Any, convention: Convention) -> torch.Tensor:
    """``(m, ...)``: the relevant part with its share of a bias; `whole` is without the bias.

    ``r + bias |r| / (|r| + |q|)``, q the rest of the whole.
    """
    if torch.is_grad_enabled():
        size = relevant.abs()
        both = size + (whole - relevant).abs()
        share = size / both.clamp_min(TINY)
        if convention.zero:
            share = torch.where(both == 0, convention.zero, share)
        return relevant + share * bias
    both = (whole - relevant).abs_()
    share = relevant.abs()
    both += share
    if convention.zero:
        nothing = both == 0
        share.div_(both.clamp_min_(TINY)).masked_fill_(nothing, convention.zero)
    else:
        share.div_(both.clamp_min_(TINY))
    return share.mul_(bias).add_(relevant)


def of_part(run: Pass, function: Callable[..., Any], *parts: torch.Tensor) -> Any:
    """The function for each mask: ``(m, ...)`` tensors in, ``(m, ...)`` out."""
    if len(parts[0]) == 1:
        return _stacked(function(*(part[0] for part in parts)))
    return torch.vmap(function)(*parts)


def _stacked(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.unsqueeze(0)
    return type(value)(_stacked(one) for one in value)


def each_part(run: Pass, func: Callable[..., Any], *args: Any, moves: bool = False, **kwargs: Any) -> Any:
    """A linear operation without a shift: it takes each part alone; plain tensors beside them are 0 in the relevant
    part.

    With `moves` it only moves entries about, so that which of them are chosen can be followed too.
    """
    carriers = parts_in(args, kwargs)
    total = func(*unwrap(args, _whole), **unwrap(kwargs, _whole))

    def on(values: list[torch.Tensor]) -> Callable[..., Any]:
        def function(*given: torch.Tensor) -> Any:
            at = iter(given)
            swapped = [_with_zeros(one, at) for one in args]
            return func(*swapped, **{key: _with_zeros(one, at) for key, one in kwargs.items()})

        return of_part(run, function, *values)

    masks = [one.chosen for one in carriers if one.chosen is not None]
    chosen = on(masks) if moves and len(masks) == len(carriers) else None
    if all(one.relevant is None for one in carriers):
        if chosen is None:
            refuse(name_of(func), "it takes whole numbers; only an embedding can follow them")
        return _paired(run, total, None, chosen)
    if moves and len(carriers) == 1 and carriers[0].bias is not None and carriers[0].alone is not None:
        bias = on([carriers[0].bias.expand_as(carriers[0].total)[None]])
        return _paired(run, total, on([carriers[0].alone]), None, bias)
    return _paired(run, total, on([_relevant(one) for one in carriers]), chosen)


def numbers(one: Any, name: str) -> torch.Tensor:
    """The relevant part of a carrier of numbers."""
    if not isinstance(one, Parts):
        refuse(name, "its weights are decomposed, and what they act on is not")
    if one.relevant is None:
        refuse(name, "it takes whole numbers (token ids); only an embedding can follow them")
    return one.relevant


def _with_zeros(value: Any, at: Iterator[torch.Tensor]) -> Any:
    """An argument with the next tensor in each carrier's place, and zeros for plain tensors beside them in a list."""
    if isinstance(value, Parts):
        return next(at)
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        mixed = any(isinstance(one, Parts) for one in value)
        inner = [
            torch.zeros_like(one)
            if mixed and isinstance(one, torch.Tensor) and not isinstance(one, Parts)
            else _with_zeros(one, at)
            for one in value
        ]
        return type(value)(inner)
    return value


def _relevant(one: Parts) -> torch.Tensor:
    """The relevant part; of whole numbers, the chosen ones."""
    if one.relevant is not None:
        return one.relevant
    if one.chosen is None:
        raise InputError("a carrier of whole numbers lost its mask")
    return one.total * one.chosen


def _paired(run: Pass, total: Any, relevant: Any, chosen: Any, bias: Any = None) -> Any:
    """Carriers of one result or of several; `bias` is in front of a dimension of one."""
    if isinstance(total, torch.Tensor):
        made = run.parts(total, relevant, chosen)
        made.bias = None if bias is None else bias[0]
        return made
    nothing = [None] * len(total)
    rows = zip(total, relevant or nothing, chosen or nothing, bias or nothing, strict=True)
    return tuple(_paired(run, *row) for row in rows)


def lifted(part: torch.Tensor, ndim: int) -> torch.Tensor:
    """``(m, ...)`` with ones after m, so that it broadcasts with a whole of `ndim` dimensions."""
    missing = ndim + 1 - part.ndim
    return part.reshape(len(part), *(1,) * missing, *part.shape[1:]) if missing > 0 else part


def refuse(name: str, why: str = "") -> Any:
    """Raise: there is no rule for this operation; with the line of the model that uses it, and what to do."""
    from difflib import get_close_matches

    near = get_close_matches(name, RULES, 3)
    like = f"; near: {', '.join(near)}" if near else ""
    raise RefusedError(
        f"contextual decomposition has no rule for {name!r:.80}{_where()}{': ' + why if why else ''}. Nothing was "
        "guessed, and the model is as it was. Write that line with operations that have a rule "
        f"({len(RULES)} do; limbeck.attribution.operations() lists them{like}), or decompose a part of the model that "
        "does without it."
    ) from None


def _where() -> str:
    """The line of the user's code that is running."""
    own, torchs = str(Path(__file__).parent), str(Path(torch.__file__).parent)
    for frame in reversed(traceback.extract_stack()[:-2]):
        if not frame.filename.startswith((own, torchs)) and "importlib" not in frame.filename:
            return f" (used in {Path(frame.filename).name}, line {frame.lineno}: {(frame.line or '')[:80]})"
    return ""
