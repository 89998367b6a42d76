"""How a trained network's numbers are kept: single precision where that is enough, or 8-bit whole numbers times scales.

Source
------
Jacob2018, section 2.1: a weight is a whole number times a scale.

Symbols
-------
``q`` -> `Layer.codes`, ``S`` -> `Layer.scale`.

Departures
----------
- One scale a unit, no zero point, weights only: sums stay in floating point, so nothing has to be calibrated.
- The first layer has a second scale, one a number that enters (`Layer.row_scale`): the standard deviation that it was
  trained with. Without it a column of thousands would leave one of tenths no digits.
- Biases stay in single precision: they are few.

Checked
-------
The greatest error of a weight is half its scale; answers against those of the network before (unit tests).

Cost
----
O(weights), and two passes over the rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from limbeck.readable import Embedding, Layer, NetworkReadable

__all__ = ["quantized", "rounded"]

ROUNDING = 1e-5
"""What rounding the weights may move the outputs by, as a share of their spread."""
MAX_CODE = 127


def rounded(readable: NetworkReadable, Z: np.ndarray) -> NetworkReadable:
    """The network in single precision, or with 9 or 11 digits, where that leaves its outputs where they are; or as is.

    Parameters
    ----------
    readable : NetworkReadable
    Z : array ``(n, d)``
        Encoded rows to compare on.
    """
    exact = readable.predict_encoded(Z)
    spread = max(float(exact.std()), 1e-12)
    for digits in (None, 9, 11):
        layers = tuple(Layer(_short(layer.weight, digits), _short(layer.bias, digits)) for layer in readable.layers)
        tables = tuple(replace(one, table=_short(one.table, digits)) for one in readable.embeddings)
        tried = replace(readable, layers=layers, embeddings=tables)
        if float(np.abs(tried.predict_encoded(Z) - exact).max()) <= ROUNDING * spread:
            return tried
    return readable


def _short(values: np.ndarray, digits: int | None) -> np.ndarray:
    if digits is None:
        with np.errstate(over="ignore", under="ignore"):
            single = values.astype(np.float32).astype(np.float64)
        return np.where(np.isfinite(single), single, values)
    flat = [float(f"{value:.{digits}g}") for value in values.ravel()]
    return np.array(flat, dtype=np.float64).reshape(values.shape)


def quantized(readable: NetworkReadable, input_scales: np.ndarray) -> NetworkReadable:
    """The network with 8-bit weights and embeddings, each times the scale of its unit.

    Parameters
    ----------
    readable : NetworkReadable
    input_scales : array ``(inputs,)``
        The standard deviation of each of `readable.inputs`, as it was trained on.
    """
    first, *rest = readable.layers
    rows = np.ones(len(first.weight))
    rows[: len(input_scales)] = _single(1.0 / input_scales)
    layers = [_eight_bit(first, rows), *(_eight_bit(layer, None) for layer in rest)]
    tables = []
    for one in readable.embeddings:
        codes, scale = _codes(one.table)
        tables.append(Embedding(one.column, codes * scale, scale))
    return replace(readable, layers=tuple(layers), embeddings=tuple(tables))


def _eight_bit(layer: Layer, rows: np.ndarray | None) -> Layer:
    codes, scale = _codes(layer.weight if rows is None else layer.weight / rows[:, None])
    weight = codes * scale
    if rows is None:
        return Layer(weight, _single(layer.bias), scale)
    return Layer(weight * rows[:, None], _single(layer.bias), scale, rows)


def _codes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole numbers ``(rows, units)`` up to 127 and the scale of each unit, 0 where all its values are 0."""
    scale = _single(np.abs(values).max(axis=0, initial=0.0) / MAX_CODE)
    codes = np.clip(np.rint(values / np.where(scale > 0, scale, 1.0)), -MAX_CODE, MAX_CODE)
    return codes, np.where(codes.any(axis=0), scale, 0.0)


def _single(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).astype(np.float64)
