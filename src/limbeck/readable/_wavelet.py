"""A wavelet and a few of its coefficients: a linear model of what a signal does at some scales and times.

Source
------
Ha2021, section 3.3: a linear model on a few coefficients of an adapted wavelet.

Departures
----------
- Coefficients stand at fixed places, so that one reads as "scale 3 at time 41"; each is then a weighted sum of the
  signal, and the model a few short filters. The paper's choice, the greatest of each scale wherever they stand, is
  offered too.
- Columns with levels are no part of the signal; an indicator of a level has a weight of its own.

Cost
----
One product with the filters of the coefficients that are used; with the greatest of each scale, a transform a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._formula import Link, link_probabilities, logistic_outputs, softmax_outputs
from limbeck.readable._language import step_symbol
from limbeck.readable._readable import Built, Readable, read_head
from limbeck.readable._text import condition_text, name_text, number_text
from limbeck.readable._wavelet_filters import Block, atoms_of, blocks_of, check_mode, decompose, shaped
from limbeck.readable._wavelet_steps import greatest_steps, level_choice, place_text, weighted_sum

__all__ = ["LevelTerm", "WaveletReadable", "WaveletTerm"]

MAX_LEVEL = 30
MAX_ORDERED = 20_000
"""Coefficients in all that an export may have to sort through."""


@dataclass(frozen=True)
class WaveletTerm:
    """A coefficient times a weight for each score.

    Attributes
    ----------
    block : int
        The position of its block: the approximation, or a scale (`WaveletReadable.blocks`).
    place : int
        Where it stands in the block; or, with ``features="largest"``, its rank: 0 is the greatest.
    value : tuple of float
        A weight for each score.
    """

    block: int
    place: int
    value: tuple[float, ...]


@dataclass(frozen=True)
class LevelTerm:
    """A weight for each score where a column has a level; `code` is the level's position."""

    column: int
    code: int
    value: tuple[float, ...]


@dataclass(frozen=True)
class WaveletReadable(Readable):
    """Scores that are linear in a few wavelet coefficients; a link makes outputs of them.

    Attributes
    ----------
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
    intercept : tuple of float
        One a score.
    terms : tuple of WaveletTerm
    levels : tuple of LevelTerm
    link : str
        ``identity`` (regression), ``logistic`` (one score, two classes) or ``softmax`` (one score a class).
    features : {"fixed", "largest"}
        Whether a term stands for a place, or for a rank among the numbers of its block.
    image : tuple (rows, columns, channels) or None
        The shape of the signal where it is an image.
    start : str
        The wavelet that the filter was adapted from.
    """

    family: ClassVar[str] = "wavelet"
    schema: Schema
    task: Literal["regression", "classification"]
    output_names: tuple[str, ...]
    lowpass: tuple[float, ...]
    level: int
    mode: str
    signal: tuple[int, ...]
    held: tuple[tuple[int, float], ...]
    intercept: tuple[float, ...]
    terms: tuple[WaveletTerm, ...]
    levels: tuple[LevelTerm, ...] = ()
    link: Link = "identity"
    features: Literal["fixed", "largest"] = "fixed"
    image: tuple[int, int, int] | None = None
    start: str = ""

    def __post_init__(self) -> None:
        """Refuse a filter, a signal, or terms that do not fit together."""
        width = 1 if self.link == "logistic" else len(self.output_names)
        fits = (self.link == "identity") == (self.task == "regression")
        if not fits or (self.link == "logistic" and len(self.output_names) != 2):
            raise InputError(f"link {self.link!r} does not fit {self.task} with outputs {self.output_names}")
        if len(self.lowpass) < 2 or len(self.lowpass) % 2 or not all(map(math.isfinite, self.lowpass)):
            raise InputError(f"a filter has an even number of finite numbers, at least 2; got {len(self.lowpass)}")
        check_mode(self.mode)
        if not 1 <= self.level <= MAX_LEVEL:
            raise InputError(f"level must be from 1 to {MAX_LEVEL}; got {self.level!r:.60}")
        if self.features not in ("fixed", "largest"):
            raise InputError(f"features must be 'fixed' or 'largest'; got {self.features!r:.60}")
        numeric = {j for j, column in enumerate(self.schema.columns) if not column.levels}
        if len(set(self.signal)) != len(self.signal) or not set(self.signal) <= numeric:
            raise InputError("the signal's columns must be different columns of numbers of the table")
        if not {j for j, _ in self.held} <= set(self.signal) or not all(math.isfinite(v) for _, v in self.held):
            raise InputError("columns that are held must be of the signal, at a finite value")
        if self.image is not None and (math.prod(self.image) != len(self.signal) or min(self.image) < 1):
            raise InputError(f"an image of shape {self.image} needs so many columns; the signal has {len(self.signal)}")
        self._check_terms(width)

    def _check_terms(self, width: int) -> None:
        blocks = self.blocks
        for term in self.terms:
            known = 0 <= term.block < len(blocks) and 0 <= term.place < blocks[term.block].size
            if not known or len(term.value) != width or not all(map(math.isfinite, term.value)):
                raise InputError(f"a term needs a coefficient that is there and {width} finite weight(s); got {term}")
        for level in self.levels:
            known = 0 <= level.column < len(self.schema)
            known = known and 0 <= level.code < len(self.schema.columns[level.column].levels)
            if not known or len(level.value) != width or not all(map(math.isfinite, level.value)):
                raise InputError(f"a weight of a level needs a level and {width} finite weight(s); got {level}")
        if len(self.intercept) != width or not all(map(math.isfinite, self.intercept)):
            raise InputError(f"a wavelet model needs {width} finite intercept(s); got {self.intercept}")
        if len({(t.block, t.place) for t in self.terms}) != len(self.terms):
            raise InputError("each coefficient of a wavelet model has one term; some have more")

    @property
    def axes(self) -> int:
        """1 for signals, 2 for images."""
        return 1 if self.image is None else 2

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks of coefficients, in the order of ``pywt.wavedec``."""
        if not self.signal:
            return ()
        shape, channels = ((len(self.signal),), 1) if self.image is None else (self.image[:2], self.image[2])
        return blocks_of(shape, len(self.lowpass), self.level, self.mode, channels)

    def signals(self, Z: np.ndarray) -> np.ndarray:
        """The signals ``(n, channels, *sizes)`` of encoded rows, held columns at their values."""
        X = np.asarray(Z, dtype=np.float64)[:, list(self.signal)]
        for j, value in self.held:
            X[:, self.signal.index(j)] = value
        return shaped(X, self.image)

    def coefficients(self, Z: np.ndarray) -> np.ndarray:
        """All wavelet coefficients ``(n, m)`` of encoded rows."""
        if not self.signal:
            return np.empty((len(Z), 0))
        found = decompose(self.signals(Z), np.array(self.lowpass), self.level, self.mode, self.axes)
        return found.reshape(len(found), -1)

    @cached_property
    def atoms(self) -> np.ndarray:
        """What each term of a fixed place multiplies the signal's numbers by, ``(terms, d)``."""
        places = [self.blocks[term.block].start + term.place for term in self.terms]
        return atoms_of(places, len(self.signal), self.image, np.array(self.lowpass), self.level, self.mode)

    @cached_property
    def _linear(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights ``(d, q)`` on the table's columns and the intercepts, held columns folded in; for fixed places."""
        value = np.array([term.value for term in self.terms]).reshape(len(self.terms), len(self.intercept))
        own = self.atoms.T @ value
        shift, held = np.array(self.intercept), dict(self.held)
        weights = np.zeros((len(self.schema), len(self.intercept)))
        for i, j in enumerate(self.signal):
            if j in held:
                shift = shift + held[j] * own[i]
            else:
                weights[j] = own[i]
        return weights, shift

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """The scores ``(n, number of scores)`` on encoded rows, before the link."""
        Z = np.asarray(Z, dtype=np.float64)
        if self.features == "fixed":
            weights, shift = self._linear
            out = Z @ weights + shift
        else:
            out = np.tile(np.array(self.intercept), (len(Z), 1))
            for term, column in zip(self.terms, self._ranked(Z).T, strict=True):
                out += column[:, None] * np.array(term.value)
        for level in self.levels:
            out += (Z[:, level.column] == level.code)[:, None] * np.array(level.value)
        return out

    def term_values(self, Z: np.ndarray) -> np.ndarray:
        """The coefficient of each term ``(n, terms)`` on encoded rows."""
        if self.features == "largest":
            return self._ranked(Z)
        signals = np.asarray(self.signals(Z))
        flat = signals[:, 0] if self.image is None else np.moveaxis(signals, 1, -1).reshape(len(signals), -1)
        return np.asarray(flat @ self.atoms.T)

    def _ranked(self, Z: np.ndarray) -> np.ndarray:
        """The value of each term of a rank, ``(n, terms)``."""
        whole = self.coefficients(Z)
        sorted_blocks = {
            b: -np.sort(-whole[:, self.blocks[b].start : self.blocks[b].stop], axis=1)
            for b in {term.block for term in self.terms}
        }
        columns = [sorted_blocks[term.block][:, term.place] for term in self.terms]
        return np.column_stack(columns) if columns else np.empty((len(Z), 0))

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """The outputs ``(n, k)`` on encoded rows ``(n, d)``."""
        return link_probabilities(self.scores(Z), self.link)

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: a step a coefficient, then the scores."""
        steps: list[tuple[sp.Symbol, sp.Expr]] = []

        def step(expr: sp.Expr) -> sp.Expr:
            if inline:
                return expr
            steps.append((step_symbol(len(steps)), expr))
            return steps[-1][0]

        parts = self._values(symbols, step)
        parts += [step(level_choice(self.schema, term.column, term.code, symbols)) for term in self.levels]
        values = [*(term.value for term in self.terms), *(level.value for level in self.levels)]
        scores = tuple(weighted_sum([v[o] for v in values], parts, start) for o, start in enumerate(self.intercept))
        if self.link == "softmax":
            return softmax_outputs(scores, tuple(steps), inline=inline)
        if self.link == "identity":
            return tuple(steps), scores
        return logistic_outputs(scores[0], inline=inline, steps=tuple(steps))

    def _values(self, symbols: Sequence[sp.Symbol], step: Callable[[sp.Expr], sp.Expr]) -> list[sp.Expr]:
        """The terms' coefficients as expressions."""
        held = dict(self.held)
        inputs = [sp.Float(held[j]) if j in held else symbols[j] for j in self.signal]
        if self.features == "fixed":
            return [step(weighted_sum(atom, inputs)) for atom in self.atoms]
        blocks = {b: self.blocks[b] for b in sorted({term.block for term in self.terms})}
        if sum(block.size for block in blocks.values()) > MAX_ORDERED:
            raise InputError("this model sorts too many coefficients to be written as a program; use features='fixed'")
        greatest: dict[int, list[sp.Expr]] = {}
        for b, block in blocks.items():
            ranks = 1 + max(term.place for term in self.terms if term.block == b)
            every = tuple(WaveletTerm(b, i, self.intercept) for i in range(block.size))
            atoms = replace(self, terms=every).atoms
            greatest[b] = greatest_steps([step(weighted_sum(atom, inputs)) for atom in atoms], ranks, step)
        return [greatest[term.block][term.place] for term in self.terms]

    @property
    def complexity(self) -> int:
        """The filter's numbers; the intercepts; per term its scale and place, and a sign and a number a weight."""
        rows = [*(term.value for term in self.terms), *(level.value for level in self.levels)]
        signs = sum(2 for weights in rows for weight in weights if weight != 0.0)
        filters = len(self.lowpass) if self.terms else 0
        return filters + len(self.intercept) + signs + 2 * len(rows)

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that the used coefficients and levels read."""
        asked = {level.column for level in self.levels}
        held = {j for j, _ in self.held}
        if self.features == "largest" and self.terms:
            asked |= set(self.signal) - held
        elif self.terms:
            used = np.flatnonzero(np.any(self.atoms != 0.0, axis=0))
            asked |= {self.signal[i] for i in used} - held
        return tuple(sorted(asked))

    def term_text(self, i: int) -> str:
        """Term `i` as a person says it: ``scale 3 at time 41``, ``the greatest of scale 2``."""
        term = self.terms[i]
        name = self.blocks[term.block].name
        if self.features == "largest":
            rank = "the greatest" if term.place == 0 else f"number {term.place + 1} by size"
            return f"{rank} of {name}"
        return f"{name} {place_text(self.atoms[i], self.image)}"

    def _weights_text(self, value: Sequence[float]) -> str:
        texts = [f"{'-' if weight < 0 else '+'} {number_text(abs(weight))}" for weight in value]
        if len(texts) == 1:
            return texts[0]
        named = zip(self.output_names, texts, value, strict=True)
        return ", ".join(f"{name_text(name)} {text}" for name, text, weight in named if weight != 0.0)

    def text(self) -> str:
        """The wavelet, the intercepts, a line a coefficient, and the link."""
        names = {"logistic": ["score"], "identity": [name_text(name) for name in self.output_names]}.get(
            self.link, [f"score({name})" for name in self.output_names]
        )
        kind = "signal" if self.image is None else "image"
        size = str(len(self.signal)) if self.image is None else " x ".join(map(str, self.image[:2]))
        adapted = f", adapted from {self.start}" if self.start else ""
        low = " ".join(f"{value:.4g}" for value in self.lowpass)
        lines = [f"wavelet of {len(self.lowpass)} numbers{adapted}, {self.level} scales, on a {kind} of {size}: {low}"]
        lines.append(", ".join(f"{n} = {number_text(v)}" for n, v in zip(names, self.intercept, strict=True)))
        for i, term in enumerate(self.terms):
            lines.append(f"  {self._weights_text(term.value)} * {self.term_text(i)}")
        for level in self.levels:
            condition = condition_text(self.schema.columns[level.column], threshold=None, levels=(level.code,))
            lines.append(f"  {self._weights_text(level.value)} if {condition}")
        if self.link == "logistic":
            lines.append(f"P({self.output_names[1]}) = 1 / (1 + exp(-score))")
        elif self.link == "softmax":
            lines.append("P(class) = exp(score(class)) / sum of exp(score)")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The model as JSON types, exactly."""
        return {
            **self._head(),
            "link": self.link,
            "lowpass": list(self.lowpass),
            "level": self.level,
            "mode": self.mode,
            "start": self.start,
            "features": self.features,
            "signal": list(self.signal),
            "held": [list(pair) for pair in self.held],
            "image": None if self.image is None else list(self.image),
            "intercept": list(self.intercept),
            "terms": [{"block": t.block, "place": t.place, "value": list(t.value)} for t in self.terms],
            "levels": [{"column": t.column, "code": t.code, "value": list(t.value)} for t in self.levels],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> WaveletReadable:
        """The model that `to_dict` wrote."""
        schema, task, names = read_head(data)
        link = data.get("link")
        if link not in ("identity", "logistic", "softmax"):
            raise InputError(f"a wavelet model's link is identity, logistic or softmax; got {link!r:.60}")
        try:
            image = data["image"]
            return cls(
                schema,
                task,
                names,
                _numbers(data["lowpass"]),
                int(data["level"]),
                str(data["mode"]),
                tuple(int(j) for j in data["signal"]),
                tuple((int(j), float(value)) for j, value in data["held"]),
                _numbers(data["intercept"]),
                tuple(WaveletTerm(int(t["block"]), int(t["place"]), _numbers(t["value"])) for t in data["terms"]),
                tuple(LevelTerm(int(t["column"]), int(t["code"]), _numbers(t["value"])) for t in data["levels"]),
                link,
                data["features"],
                None if image is None else (int(image[0]), int(image[1]), int(image[2])),
                str(data["start"]),
            )
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError) as error:
            raise InputError(f"a stored wavelet model is malformed: {error!r:.120}") from None


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
