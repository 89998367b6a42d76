"""Another model on the coefficients of a wavelet that stays as it is: a tree that asks ``d3_12 <= 0.4``.

A coefficient is named by its scale and its place in the order of ``pywt.wavedec``: ``d3_12`` is the thirteenth of
scale 3, ``a4_0`` the first of the approximation. Below the model the text says at which time each one looks.

Source
------
Own: the control of Ha2021, whose gain over a fixed wavelet is what adapting one is worth.

Cost
----
That of the model, and a product with the filters of the coefficients that it reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable._language import step_symbol
from limbeck.readable._readable import Built, Readable, read_head, readable_from_dict
from limbeck.readable._wavelet import MAX_LEVEL
from limbeck.readable._wavelet_filters import Block, atoms_of, blocks_of, check_mode
from limbeck.readable._wavelet_steps import place_text, weighted_sum

__all__ = ["CoefficientsReadable", "coefficient_schema"]


@dataclass(frozen=True)
class CoefficientsReadable(Readable):
    """A model whose columns are the wavelet coefficients of the signal, then the columns with levels.

    Attributes
    ----------
    inner : Readable
        The model, over the columns of `coefficient_schema`.
    lowpass : tuple of float
        The filter, in PyWavelets' order (``dec_lo``).
    level : int
        The number of scales.
    mode : str
        The boundary mode, by PyWavelets' names.
    signal : tuple of int
        The columns that are the signal, in order.
    held : tuple of (int, float)
        Columns of the signal that did not vary, and the value that they count as.
    image : tuple (rows, columns, channels) or None
        The shape of the signal where it is an image.
    wavelet : str
        The name of the wavelet.
    """

    family: ClassVar[str] = "coefficients"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    inner: Readable
    lowpass: tuple[float, ...]
    level: int
    mode: str
    signal: tuple[int, ...]
    held: tuple[tuple[int, float], ...] = ()
    image: tuple[int, int, int] | None = None
    wavelet: str = ""

    def __post_init__(self) -> None:
        """Refuse a filter, a signal and a model that do not fit together; the model takes these output names."""
        if len(self.lowpass) < 2 or len(self.lowpass) % 2 or not all(map(math.isfinite, self.lowpass)):
            raise InputError(f"a filter has an even number of finite numbers, at least 2; got {len(self.lowpass)}")
        check_mode(self.mode)
        if not 1 <= self.level <= MAX_LEVEL:
            raise InputError(f"level must be from 1 to {MAX_LEVEL}; got {self.level!r:.60}")
        numeric = {j for j, column in enumerate(self.schema.columns) if not column.levels}
        if len(set(self.signal)) != len(self.signal) or not set(self.signal) <= numeric or not self.signal:
            raise InputError("the signal's columns must be different columns of numbers of the table, at least one")
        if not {j for j, _ in self.held} <= set(self.signal) or not all(math.isfinite(v) for _, v in self.held):
            raise InputError("columns that are held must be of the signal, at a finite value")
        if self.image is not None and (math.prod(self.image) != len(self.signal) or min(self.image) < 1):
            raise InputError(f"an image of shape {self.image} needs so many columns; the signal has {len(self.signal)}")
        wanted = coefficient_schema(self.schema, self.blocks)
        fits = self.inner.schema.names == wanted.names and self.inner.task == self.task
        if not fits or len(self.inner.output_names) != len(self.output_names):
            raise InputError("the model must read the coefficients and levels of the table, for the same outputs")
        if self.inner.output_names != self.output_names:
            object.__setattr__(self, "inner", replace(self.inner, output_names=self.output_names))  # type: ignore[type-var]

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of coefficients, in the order of ``pywt.wavedec``."""
        shape, channels = ((len(self.signal),), 1) if self.image is None else (self.image[:2], self.image[2])
        return blocks_of(shape, len(self.lowpass), self.level, self.mode, channels)

    @cached_property
    def used(self) -> tuple[int, ...]:
        """The positions of the coefficients that the model reads."""
        return tuple(i for i in self.inner.columns_used if i < self.blocks[-1].stop)

    @cached_property
    def atoms(self) -> np.ndarray:
        """What each coefficient that is read multiplies the signal's numbers by, ``(used, d)``."""
        return atoms_of(self.used, len(self.signal), self.image, np.array(self.lowpass), self.level, self.mode)

    def design(self, Z: np.ndarray) -> np.ndarray:
        """The columns of the model ``(n, m)`` from encoded rows; those that it does not read stay 0."""
        Z = np.asarray(Z, dtype=np.float64)
        signals = Z[:, list(self.signal)]
        for j, value in self.held:
            signals[:, self.signal.index(j)] = value
        out = np.zeros((len(Z), len(self.inner.schema)))
        out[:, list(self.used)] = signals @ self.atoms.T
        out[:, self.blocks[-1].stop :] = Z[:, self._with_levels]
        return out

    @property
    def _with_levels(self) -> list[int]:
        return [j for j, column in enumerate(self.schema.columns) if column.levels]

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        return self.inner.predict_encoded(self.design(Z))

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """A step for each coefficient that is read, then the model's own steps."""
        held = dict(self.held)
        inputs = [sp.Float(held[j]) if j in held else symbols[j] for j in self.signal]
        sums = dict(zip(self.used, (weighted_sum(atom, inputs) for atom in self.atoms), strict=True))
        count = self.blocks[-1].stop
        levels = [symbols[j] for j in self._with_levels]
        if inline:
            return self.inner.build([*(sums.get(i, sp.Float(0.0)) for i in range(count)), *levels], inline=True)
        # The model's steps are t0, t1, ...; the coefficients go before them, with numbers behind theirs
        blank = [step_symbol(i) for i in range(count)]
        first = len(self.inner.build([*blank, *levels], inline=False)[0])
        names = {i: step_symbol(first + k) for k, i in enumerate(self.used)}
        given = [*(names.get(i, step_symbol(first)) for i in range(count)), *levels]
        steps, outputs = self.inner.build(given, inline=False)
        return (*((names[i], sums[i]) for i in self.used), *steps), outputs

    @property
    def complexity(self) -> int:
        """The model's own; the filter's numbers; and one more for each coefficient that is read."""
        return self.inner.complexity + (len(self.lowpass) if self.used else 0) + len(self.used)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that the coefficients and the model read."""
        read = np.flatnonzero(np.any(self.atoms != 0.0, axis=0))
        asked = {self.signal[i] for i in read} - {j for j, _ in self.held}
        count, levels = self.blocks[-1].stop, self._with_levels
        return tuple(sorted(asked | {levels[i - count] for i in self.inner.columns_used if i >= count}))

    def coefficient_texts(self) -> tuple[tuple[str, str], ...]:
        """Name and place of each coefficient that is read: ``("d3_12", "scale 3 at time 41")``."""
        names = self.inner.schema.names
        found = []
        for i, atom in zip(self.used, self.atoms, strict=True):
            block = next(block for block in self.blocks if i < block.stop)
            found.append((names[i], f"{block.name} {place_text(atom, self.image)}"))
        return tuple(found)

    def text(self) -> str:
        """The model, and below it what its coefficients are."""
        known = f"{self.wavelet} " if self.wavelet else ""
        low = " ".join(f"{value:.4g}" for value in self.lowpass)
        kind = (
            f"a signal of {len(self.signal)}"
            if self.image is None
            else f"an image of {self.image[0]} x {self.image[1]}"
        )
        lines = [self.inner.text(), f"with the coefficients of the wavelet {known}on {kind}: {low}"]
        return "\n".join([*lines, *(f"  {name} = {place}" for name, place in self.coefficient_texts())])

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON types, exactly."""
        return {
            **self._head(),
            "inner": self.inner.to_dict(),
            "lowpass": list(self.lowpass),
            "level": self.level,
            "mode": self.mode,
            "signal": list(self.signal),
            "held": [list(pair) for pair in self.held],
            "image": None if self.image is None else list(self.image),
            "wavelet": self.wavelet,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CoefficientsReadable:
        """The model that `to_dict` wrote."""
        schema, task, names = read_head(data)
        try:
            inner, image = data["inner"], data["image"]
            if not isinstance(inner, dict) or inner.get("family") == cls.family:
                raise InputError("a model on coefficients holds a model of another family")
            return cls(
                schema,
                task,
                names,
                readable_from_dict(inner),
                tuple(float(value) for value in data["lowpass"]),
                int(data["level"]),
                str(data["mode"]),
                tuple(int(j) for j in data["signal"]),
                tuple((int(j), float(value)) for j, value in data["held"]),
                None if image is None else (int(image[0]), int(image[1]), int(image[2])),
                str(data["wavelet"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
            raise InputError(f"a stored model on coefficients is malformed: {error!r:.120}") from None


def coefficient_schema(schema: Schema, blocks: Sequence[Block]) -> Schema:
    """The columns of a model on coefficients: ``a4_0, ..., d4_0, ..., d1_47``, then the columns with levels."""
    levels = [column for column in schema.columns if column.levels]
    taken = {column.name for column in levels}
    names = []
    for block in blocks:
        channel, _, name = block.name.rpartition(": ")
        kind = name.partition(f"scale {block.scale} ")[2]
        parts = [f"c{channel.split()[-1]}"] if channel else []
        parts += [f"{'a' if name == 'approximation' else 'd'}{block.scale}", *([kind] if kind else [])]
        names += [f"{'_'.join(parts)}_{i}" for i in range(block.size)]
    while taken & set(names):
        names = [f"{name}_" for name in names]
    return Schema((*(Column(name) for name in names), *levels), schema.container)
