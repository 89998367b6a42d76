"""The parts of a frozen network: dense layers, embeddings of levels, and the inputs they read.

Source
------
Own frozen form. Weights as whole numbers times one scale a unit, as in Jacob et al. (2018), section 2.1, without a zero
point.

Symbols
-------
``q`` -> `Layer.codes`, ``S`` -> `scale`; a weight is ``S q``, exactly, or ``S q`` times the scale of its row.

Cost
----
None but the checks: O(weights).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._packing import codes_of, whole_numbers

__all__ = ["ACTIVATIONS", "Embedding", "Input", "Layer", "design_inputs", "design_matrix"]

ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
}
MAX_CODE = 127

Input = tuple[int, int]
"""A network's input: a column's position, and a level's position, or -1 for the column's number itself."""


@dataclass(frozen=True)
class Layer:
    """``x @ weight + bias``.

    Attributes
    ----------
    weight : array ``(inputs, outputs)``
        The values that are used.
    bias : array ``(outputs,)``
    scale : array ``(outputs,)`` or None
        Where the weights are 8-bit whole numbers times a scale: ``weight == codes * scale``, exactly. The scale is
        positive, or 0 for a unit whose weights are all 0.
    row_scale : array ``(inputs,)`` or None
        A second, positive scale a row, for inputs of very different size:
        ``weight == codes * scale * row_scale[:, None]``, in this order, exactly. Only beside `scale`.
    """

    weight: np.ndarray
    bias: np.ndarray
    scale: np.ndarray | None = None
    row_scale: np.ndarray | None = None

    @property
    def codes(self) -> np.ndarray:
        """The weights as 8-bit whole numbers ``(inputs, outputs)``, to be multiplied by `scale`."""
        if self.scale is None:
            raise InputError(_NO_CODES)
        return codes_of(self.weight, self.scale, self.row_scale)


@dataclass(frozen=True)
class Embedding:
    """A few numbers in the place of each level of a column.

    Attributes
    ----------
    column : int
        The position of a column with levels.
    table : array ``(levels, dims)``
        The values that are used, a row a level.
    scale : array ``(dims,)`` or None
        As for a `Layer`.
    """

    column: int
    table: np.ndarray
    scale: np.ndarray | None = None

    @property
    def codes(self) -> np.ndarray:
        """The table as 8-bit whole numbers ``(levels, dims)``, to be multiplied by `scale`."""
        if self.scale is None:
            raise InputError(_NO_CODES)
        return codes_of(self.table, self.scale)

    @property
    def dims(self) -> int:
        """How many numbers stand for a level."""
        return int(self.table.shape[1])

    def values(self, codes: np.ndarray) -> np.ndarray:
        """The numbers ``(n, dims)`` of levels by position ``(n,)``; zeros for what is no level's position."""
        known = np.zeros(len(codes), dtype=bool)
        with np.errstate(invalid="ignore"):
            place = np.where((codes >= 0) & (codes < len(self.table)), codes, 0).astype(np.intp)
            np.equal(place, codes, out=known)
        return np.where(known[:, None], self.table[place], 0.0)


_NO_CODES = "these weights are not 8-bit: there is no scale, so there are no codes; use the values"


def design_inputs(schema: Schema, embedded: Iterable[int] = ()) -> tuple[Input, ...]:
    """The inputs of a network over these columns: each number, and one indicator a level; embedded columns left out."""
    left_out = set(embedded)
    out: list[Input] = []
    for j, column in enumerate(schema.columns):
        if j not in left_out:
            out += [(j, code) for code in range(len(column.levels))] if column.levels else [(j, -1)]
    return tuple(out)


def design_matrix(inputs: Sequence[Input], Z: np.ndarray, embeddings: Sequence[Embedding] = ()) -> np.ndarray:
    """The values ``(n, m)`` that enter the first layer, on encoded rows ``(n, d)``: inputs, then embeddings.

    The rows themselves where all columns are numbers.

    Examples
    --------
    >>> table = Embedding(1, np.array([[0.5, 1.0], [2.0, -1.0]]))
    >>> design_matrix([(0, -1)], np.array([[7.0, 1.0]]), [table])
    array([[ 7.,  2., -1.]])
    """
    if not embeddings and len(inputs) == Z.shape[1] and all(pair == (j, -1) for j, pair in enumerate(inputs)):
        return Z
    parts = [Z[:, j] if code < 0 else (Z[:, j] == code).astype(np.float64) for j, code in inputs]
    return np.column_stack([*parts, *(embedding.values(Z[:, embedding.column]) for embedding in embeddings)])


def check_inputs(schema: Schema, inputs: Sequence[Input], embeddings: Sequence[Embedding]) -> None:
    """Refuse inputs and embeddings that do not fit the table, or a column that enters twice."""
    for j, code in inputs:
        if not 0 <= j < len(schema) or not -1 <= code < max(len(schema.columns[j].levels), 0):
            raise InputError(f"input {(j, code)} is not a column or level of the table")
    if len(set(inputs)) != len(inputs):
        twice = sorted({pair for pair in inputs if list(inputs).count(pair) > 1})
        raise InputError(f"the inputs of a network must differ; these come more than once: {twice[:5]}")
    taken = {j for j, _ in inputs}
    for embedding in embeddings:
        j = embedding.column
        if not 0 <= j < len(schema) or not schema.columns[j].levels:
            raise InputError(f"an embedding needs a column with levels; got column {j} of {len(schema)}")
        if j in taken:
            name = schema.names[j]
            raise InputError(f"column {name!r} is embedded, so it can't be an input or be embedded again; leave it out")
        taken.add(j)
        levels, shape = len(schema.columns[j].levels), embedding.table.shape
        if len(shape) != 2 or shape[0] != levels or shape[1] < 1:
            raise InputError(f"the embedding of {schema.names[j]!r} needs a table ({levels}, dims); got {shape}")
        _check_values(embedding.table, embedding.scale, None, f"the embedding of {schema.names[j]!r}")


def check_layers(layers: Sequence[Layer], width: int, outputs: int) -> None:
    """Refuse shapes that do not chain, numbers that are not finite, and scales that do not give the weights."""
    for i, layer in enumerate(layers):
        if layer.weight.ndim != 2 or layer.bias.ndim != 1 or layer.weight.shape != (width, len(layer.bias)):
            raise InputError(f"a layer needs weight ({width}, outputs) and bias; got {layer.weight.shape}")
        if not np.isfinite(layer.bias).all():
            raise InputError("a network's weights must be finite")
        _check_values(layer.weight, layer.scale, layer.row_scale, f"layer {i + 1}")
        width = len(layer.bias)
    if not layers or width != outputs:
        raise InputError(f"a network needs layers ending in {outputs} outputs; got {len(layers)}, ending in {width}")


def _check_values(values: np.ndarray, scale: np.ndarray | None, rows: np.ndarray | None, what: str) -> None:
    if not np.isfinite(values).all():
        raise InputError(f"a network's weights must be finite; {what} has some that are not")
    if scale is None:
        if rows is not None:
            raise InputError(f"{what} has a row_scale without a scale; give both, or the weights alone")
        return
    if scale.shape != values.shape[1:] or not np.isfinite(scale).all() or (scale < 0).any():
        raise InputError(f"{what} needs a scale ({values.shape[1]},) of finite numbers, 0 or more; got {scale.shape}")
    if rows is not None and (rows.shape != values.shape[:1] or not np.isfinite(rows).all() or (rows <= 0).any()):
        raise InputError(f"{what} needs a row_scale ({len(values)},) of finite numbers above 0; got {rows.shape}")
    codes = whole_numbers(values, scale, rows)
    exact = codes * scale if rows is None else codes * scale * rows[:, None]
    if np.abs(codes).max(initial=0.0) > MAX_CODE or not np.array_equal(exact, values):
        raise InputError(
            f"{what} has a scale, so each weight must be a whole number of at most {MAX_CODE} times it, exactly; "
            "multiply the codes by the scale (and then by row_scale), or give no scale"
        )


def array_of(data: Any) -> np.ndarray:
    """A stored array of numbers."""
    return np.array(data, dtype=np.float64)


def written(**arrays: np.ndarray | None) -> dict[str, Any]:
    """Arrays as JSON types; those that are absent are left out."""
    return {name: array.tolist() for name, array in arrays.items() if array is not None}


def read_layer(data: dict[str, Any]) -> Layer:
    """A layer from JSON types."""
    return Layer(
        array_of(data["weight"]), array_of(data["bias"]), _if_there(data, "scale"), _if_there(data, "row_scale")
    )


def read_embedding(data: dict[str, Any]) -> Embedding:
    """An embedding from JSON types."""
    return Embedding(int(data["column"]), array_of(data["table"]), _if_there(data, "scale"))


def _if_there(data: dict[str, Any], name: str) -> np.ndarray | None:
    return None if data.get(name) is None else array_of(data[name])
