"""A readable model as a torch module: the same numbers, differentiable, its constants parameters that can be trained.

The expressions are walked once, by a whitelist, into plain nested tuples; nothing is generated or run as code. Every
number of the model is an entry of the parameter ``constants``, but exponents, 1 and -1, and the thresholds of
conditions, which have no slope.

Source
------
Own.

Departures
----------
The link of a formula is torch's own sigmoid or softmax, whose slope is right where the score is 0 and cannot overflow.

Checked
-------
Against the readable's own answers to 1e-12 in float64, over random formulas and one readable of every family; slopes
against finite differences, also beside a branch that is not taken and has none (tests/unit/test_block.py).

Cost
----
One torch operation a node. In a choice every branch is worked out for all rows.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import sympy as sp
import torch

from limbeck._core.errors import InputError
from limbeck.readable import FormulaReadable, IsIn, Program, Readable
from limbeck.readable._language import OPERATIONS, choice
from limbeck.readable._lowering import check_language, is_number, number_of

__all__ = ["ReadableModule", "as_module"]

Node: TypeAlias = tuple[Any, ...]
"""``("column", j)``, ``("step", i)``, ``("constant", i)``, ``("number", v)``, ``("isin", j, codes)``,
``("power", base, exponent)``, ``("choice", pairs)``, or the name of an operation and its arguments."""

_FOLDED: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "mul": operator.mul,
    "max": torch.maximum,
    "min": torch.minimum,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "pow": torch.pow,
    "le": operator.le,
    "lt": operator.lt,
    "ge": operator.ge,
    "gt": operator.gt,
    "eq": operator.eq,
    "ne": operator.ne,
    "exp": torch.exp,
    "log": torch.log,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "tanh": torch.tanh,
    "abs": torch.abs,
    "floor": torch.floor,
    "not": torch.logical_not,
}
"""Torch's function for each operation of the language; those of two arguments are folded over more."""


def as_module(readable: Readable) -> ReadableModule:
    """A torch module that computes a readable model: encoded rows ``(n, d)`` to outputs ``(n, k)``.

    It gives the readable's own numbers, in the type and on the device of the rows; it is differentiable in the rows and
    in its constants, which are one parameter, and acts the same in training and in evaluation mode.

    Parameters
    ----------
    readable : Readable
        A model of any family; `FormulaReadable` can be read again after training (`ReadableModule.readable`).

    Raises
    ------
    InputError
        For anything but a readable model, and for one with operations outside the language.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> X = np.random.default_rng(0).uniform(1, 5, size=(200, 2))
    >>> formula = limbeck.FormulaRegressor(max_evaluations=4_000, random_state=0).fit(X, 2.5 * X[:, 0] / X[:, 1] - 4)
    >>> module = limbeck.as_module(formula.readable_)
    >>> module(torch.tensor([[2.0, 1.0]])).item()
    1.0
    >>> sorted(module.constants.tolist())
    [-4.0, 2.5]
    """
    if not isinstance(readable, Readable):
        raise InputError(
            f"a readable model is required, such as a student's readable_; got a {type(readable).__name__}"
        )
    return ReadableModule(readable)


class ReadableModule(torch.nn.Module):
    """A readable model as a torch module; made by `as_module`.

    Attributes
    ----------
    constants : Parameter ``(m,)``
        The model's numbers, in the order in which they are written.
    """

    def __init__(self, readable: Readable) -> None:
        super().__init__()
        program, self.link = _scores_program(readable)
        check_language(program)
        codes = [{name: i for i, name in enumerate(c.level_names)} for c in program.schema.columns]
        values: list[float] = []
        places = {str(symbol): i for i, (symbol, _) in enumerate(program.steps)}
        walk = functools.partial(_compiled, values=values, places=places, codes=codes, fixed=False)
        self.steps = tuple(walk(expr) for _, expr in program.steps)
        self.outputs = tuple(walk(expr) for expr in program.outputs)
        self.n_columns = len(program.schema)
        self.start = readable
        self.constants = torch.nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``, in the rows' own type, on their device."""
        if rows.ndim != 2 or rows.shape[1] != self.n_columns:
            raise InputError(
                f"rows of shape (n, {self.n_columns}) are required, columns in the order of the readable model's "
                f"schema; got shape {tuple(rows.shape)}"
            )
        rows = rows if rows.is_floating_point() else rows.to(self.constants.dtype)
        leaves = _Leaves(rows, self.constants.to(device=rows.device, dtype=rows.dtype))
        for step in self.steps:
            leaves.steps.append(_value(step, leaves))
        columns = [_value(output, leaves).expand(len(rows)) for output in self.outputs]
        return _linked(torch.stack(columns, dim=1), self.link)

    def readable(self, digits: int | None = None) -> FormulaReadable:
        """The formula with the constants as they are now, after training for instance.

        Parameters
        ----------
        digits : int, optional
            To so many significant digits.

        Raises
        ------
        InputError
            For another family than formulas, and where a constant is not finite.
        """
        if not isinstance(self.start, FormulaReadable):
            raise InputError(
                f"only a formula can be read again from its constants; this is a {self.start.family}. Fit it again."
            )
        values = [float(v) for v in self.constants.detach().double().cpu().tolist()]
        if not all(abs(value) < float("inf") for value in values):
            raise InputError(f"constants must be finite to be read; got {values}. Train with a smaller step.")
        if digits is not None:
            values = [float(f"{value:.{max(1, digits) - 1}e}") for value in values]
        numbers = iter(values)
        return replace(self.start, expressions=tuple(_renumbered(e, numbers) for e in self.start.expressions))

    def extra_repr(self) -> str:
        """What it computes, in one line."""
        first = " ".join(self.start.text().split())
        return first if len(first) <= 100 else first[:97] + "..."


def _scores_program(readable: Readable) -> tuple[Program, str]:
    """The model's program, and the link that is still to be applied to its outputs."""
    if not isinstance(readable, FormulaReadable):
        return readable.program(), "identity"
    names = readable.output_names[: len(readable.expressions)]
    return Program(readable.schema, (), readable.expressions, names, readable.task), readable.link


def _linked(scores: torch.Tensor, link: str) -> torch.Tensor:
    if link == "logistic":
        return torch.cat([torch.sigmoid(-scores), torch.sigmoid(scores)], dim=1)
    return torch.softmax(scores, dim=1) if link == "softmax" else scores


def _compiled(
    expr: sp.Basic, *, values: list[float], places: dict[str, int], codes: Sequence[dict[str, int]], fixed: bool
) -> Node:
    """The expression as nested tuples; its numbers go to `values`, unless they are `fixed`."""
    walk = functools.partial(_compiled, values=values, places=places, codes=codes)
    if isinstance(expr, sp.Symbol):
        return ("step", places[expr.name]) if expr.name in places else ("column", int(expr.name[1:]))
    if is_number(expr):
        if fixed or not _is_free(expr):
            return ("number", number_of(expr))
        values.append(number_of(expr))
        return ("constant", len(values) - 1)
    if expr in (sp.true, sp.false):
        return ("number", float(bool(expr)))
    if isinstance(expr, IsIn):
        j = int(str(expr.column)[1:])
        return ("isin", j, tuple(float(codes[j][level]) for level in expr.levels))
    if isinstance(expr, sp.Piecewise):
        return ("choice", tuple((walk(value, fixed=fixed), walk(test, fixed=True)) for value, test in expr.args))
    if isinstance(expr, sp.Pow) and is_number(expr.args[1]):
        return ("power", walk(expr.args[0], fixed=fixed), number_of(expr.args[1]))
    return (OPERATIONS[type(expr)][0], *(walk(arg, fixed=fixed) for arg in expr.args))


def _is_free(number: sp.Basic) -> bool:
    """True for a number that training may move: not for signs, 1, or a number that has a name."""
    return bool(number.is_Number) and not (number.is_Integer and abs(int(number)) == 1)  # type: ignore[call-overload]


def _renumbered(expr: sp.Basic, numbers: Iterator[float]) -> Any:
    """The expression with other numbers where `_compiled` found constants, in the same order."""
    if is_number(expr):
        return sp.Float(next(numbers)) if _is_free(expr) else expr
    if isinstance(expr, IsIn) or not expr.args:
        return expr
    if isinstance(expr, sp.Piecewise):
        return choice(*((_renumbered(value, numbers), test) for value, test in expr.args))
    if isinstance(expr, sp.Pow) and is_number(expr.args[1]):
        return sp.Pow(_renumbered(expr.args[0], numbers), expr.args[1], evaluate=False)
    return expr.func(*(_renumbered(arg, numbers) for arg in expr.args), evaluate=False)


@dataclass
class _Leaves:
    """What expressions are made of, for some rows: columns, steps and constants.

    With a mask, slopes flow back from the masked rows alone: a branch that is not taken may have none, and 0 times an
    infinite slope is not a number.
    """

    rows: torch.Tensor
    constants: torch.Tensor
    mask: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def of(self, kind: str, i: int) -> torch.Tensor:
        value = self.rows[:, i] if kind == "column" else self.steps[i] if kind == "step" else self.constants[i]
        if self.mask is None or not value.is_floating_point():
            return value
        return torch.where(self.mask, value, value.detach())

    def masked(self, mask: torch.Tensor) -> _Leaves:
        inside = _Leaves(self.rows, self.constants, mask if self.mask is None else self.mask & mask)
        inside.steps = self.steps
        return inside


def _value(node: Node, leaves: _Leaves) -> torch.Tensor:
    """The node's value, ``(n,)`` or a single number."""
    kind = node[0]
    if kind in ("column", "step", "constant"):
        return leaves.of(kind, node[1])
    if kind == "number":
        return leaves.rows.new_tensor(node[1])
    if kind == "isin":
        return torch.isin(leaves.rows[:, node[1]], leaves.rows.new_tensor(node[2]))
    if kind == "choice":
        return _choice(node[1], leaves)
    if kind == "power":
        return _power(_value(node[1], leaves), node[2])
    values = [_value(part, leaves) for part in node[1:]]
    function = _FOLDED[kind]
    return function(values[0]) if len(values) == 1 and kind in _OF_ONE else functools.reduce(function, values)


_OF_ONE = frozenset(("exp", "log", "sin", "cos", "tan", "tanh", "abs", "floor", "not"))


def _power(base: torch.Tensor, exponent: float) -> torch.Tensor:
    if exponent == 0.5:
        return torch.sqrt(base)
    if exponent == -1.0:
        return torch.reciprocal(base)
    return base * base if exponent == 2.0 else torch.pow(base, exponent)


def _choice(pairs: Sequence[tuple[Node, Node]], leaves: _Leaves) -> torch.Tensor:
    """The first value whose condition holds, else the last."""
    rest = torch.ones(len(leaves.rows), dtype=torch.bool, device=leaves.rows.device)
    taken: list[tuple[torch.Tensor, torch.Tensor]] = []
    for value, condition in pairs[:-1]:
        mask = rest & _value(condition, leaves).bool()
        rest = rest & ~mask
        taken.append((mask, _value(value, leaves.masked(mask))))
    result = _value(pairs[-1][0], leaves.masked(rest))
    for mask, branch in taken:
        result = torch.where(mask, branch, result)
    return result
