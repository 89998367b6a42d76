"""What every readable model is: frozen, without torch, one language, exact on disk, exported by the same printers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.tables import Rows, Schema
from limbeck.readable._language import Program, column_symbol, named_symbols

__all__ = ["FAMILIES", "Built", "Readable", "Steps", "read_head", "readable_from_dict"]

Steps = tuple[tuple[sp.Symbol, sp.Expr], ...]
"""Named intermediate values, in order."""

Built = tuple[Steps, tuple[sp.Expr, ...]]
"""Steps and outputs, as `Readable.build` returns them."""

FAMILIES: dict[str, type[Readable]] = {}
"""Every readable by its family name; a subclass enters itself."""


class Readable(ABC):
    """A model that a person can read: called like a function, written out, exported.

    Calling it on rows ``(n, d)`` - an array in the order of the input columns, or a frame with their names - returns
    ``(n, k)``: the regression outputs, or the class probabilities in the order of `output_names`.
    """

    family: ClassVar[str]
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Enter the family into the registry that `readable_from_dict` reads."""
        super().__init_subclass__(**kwargs)
        FAMILIES[cls.family] = cls

    def __call__(self, X: Rows) -> np.ndarray:
        """The outputs ``(n, k)`` on the user's rows."""
        return self.predict_encoded(self.schema.encode(X))

    @abstractmethod
    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""

    @abstractmethod
    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs over the given column symbols; with `inline`, no steps."""

    @property
    @abstractmethod
    def complexity(self) -> int:
        """Symbols that a person must read: operators, constants, features and conditions."""

    @property
    @abstractmethod
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that the model reads."""

    @abstractmethod
    def text(self) -> str:
        """The model as a person reads it."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The model as JSON types, exactly."""

    @classmethod
    @abstractmethod
    def from_dict(cls, data: dict[str, Any]) -> Readable:
        """The model that `to_dict` wrote; anything malformed is refused, nothing runs."""

    @property
    def features_used(self) -> tuple[str, ...]:
        """The names of the columns that the model reads, in the order of the input."""
        return tuple(self.schema.names[j] for j in self.columns_used)

    def program(self) -> Program:
        """The model in the one language, for the exporters."""
        symbols = [column_symbol(j) for j in range(len(self.schema))]
        steps, outputs = self.build(symbols, inline=False)
        title = f"{self.family} distilled by limbeck, complexity {self.complexity}"
        return Program(self.schema, steps, outputs, self.output_names, self.task, title)

    def expression(self) -> tuple[sp.Expr, ...]:
        """One SymPy expression an output, over symbols with the columns' own names."""
        return self.build(named_symbols(self.schema), inline=True)[1]

    def export(self, target: str) -> str | bytes:
        """The model as a program that runs without limbeck.

        Parameters
        ----------
        target : str
            ``python``, ``sql``, ``c``, ``javascript``, ``latex``, ``mathml``, ``onnx`` (bytes; extra ``onnx``) or
            ``safetensors`` (bytes that `unpack` reads back).

        Raises
        ------
        InputError
            For an unknown target.
        """
        from limbeck.readable._targets import EXPORTERS, TARGETS, exporter_of

        if target not in TARGETS:
            raise InputError(
                f"an export target is one of {sorted(TARGETS)}; got {target!r}.{did_you_mean(target, TARGETS)}"
            )
        own = exporter_of(self.family, target)
        return EXPORTERS[target](self.program()) if own is None else own(self)

    def __reduce__(self) -> tuple[Any, ...]:
        """Between processes by way of `to_dict`: SymPy's own way would simplify the expressions again."""
        return readable_from_dict, (self.to_dict(),)

    def _head(self) -> dict[str, Any]:
        """What every family writes."""
        return {
            "family": self.family,
            "task": self.task,
            "output_names": list(self.output_names),
            "schema": self.schema.to_dict(),
        }


def read_head(data: dict[str, Any]) -> tuple[Schema, Any, tuple[str, ...]]:
    """Schema, task and output names of a stored model, checked."""
    try:
        schema, task = Schema.from_dict(data["schema"]), data["task"]
        names = tuple(str(name) for name in data["output_names"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"a stored model needs schema, task and output_names; {error!r}") from None
    if task not in ("regression", "classification") or not names:
        raise InputError(f"a stored model's task is regression or classification, with outputs; got {task!r:.60}")
    return schema, task, names


def readable_from_dict(data: dict[str, Any]) -> Readable:
    """The readable of any family that `to_dict` wrote.

    Raises
    ------
    InputError
        For an unknown family or a malformed document. Nothing in a document is ever run.
    """
    family = data.get("family") if isinstance(data, dict) else None
    if family not in FAMILIES:
        raise InputError(f"a stored model's family is one of {sorted(FAMILIES)}; got {family!r:.60}")
    return FAMILIES[family].from_dict(data)
