"""A small network as a picture: its first layer as a heat map, on the scale of the data.

A weight alone says little, for a column of thousands needs small weights. Each weight is therefore multiplied by the
range of its column (1 % to 99 % of the training rows), or of its embedding over the levels: what that can add to the
unit.

Cost
----
O(weights of the first layer); at most `MAX_INPUTS` by `MAX_UNITS` cells are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from limbeck.readable import NetworkReadable
from limbeck.report._spans import network_spans
from limbeck.report._svg import element
from limbeck.report._words import number, shortened

__all__ = ["FirstLayer", "first_layer", "heat_svg"]

MAX_INPUTS = 30
MAX_UNITS = 48
TITLED_CELLS = 400


@dataclass(frozen=True)
class FirstLayer:
    """The first layer on the scale of the data.

    Attributes
    ----------
    names : tuple of str
        The inputs that enter most, most first.
    weights : array ``(inputs, units)``
        Weight times range, rows as in `names`.
    strengths : tuple of float
        The root mean square of each row, as a share of the greatest.
    hidden_inputs, hidden_units : int
        How many are not shown.
    """

    names: tuple[str, ...]
    weights: np.ndarray
    strengths: tuple[float, ...]
    hidden_inputs: int
    hidden_units: int


def first_layer(network: NetworkReadable, ranges: Sequence[dict[str, Any]]) -> FirstLayer:
    """The first layer's weights times the columns' ranges, the strongest inputs first."""
    scaled = network.layers[0].weight * network_spans(network, ranges)[:, None]
    strength = np.sqrt(np.mean(scaled**2, axis=1))
    order = np.argsort(-strength, kind="stable")[:MAX_INPUTS]
    greatest = float(strength.max()) or 1.0
    return FirstLayer(
        tuple(network.input_text(int(i)) for i in order),
        scaled[order, :MAX_UNITS],
        tuple(float(strength[i]) / greatest for i in order),
        len(network.input_columns) - len(order),
        max(scaled.shape[1] - MAX_UNITS, 0),
    )


def heat_svg(layer: FirstLayer, *, label: str) -> Markup:
    """The heat map as one `svg` element: a row an input with its bar, a column a unit."""
    cell, top = 20.0, 24.0
    left = 90.0 + max(7.2 * max(len(shortened(name, 26)) for name in layer.names), 100.0)
    n, units = layer.weights.shape
    greatest = float(np.abs(layer.weights).max()) or 1.0
    titled = n * units <= TITLED_CELLS
    parts = [
        element("text", {"class": "axis", "x": left, "y": 13}, "units of the first layer →"),
        element("text", {"class": "axis end", "x": left - 12, "y": 13}, "input, and how strongly it enters"),
    ]
    for i in range(n):
        y = top + i * cell
        title = element("title", {}, layer.names[i])
        parts.append(
            element("text", {"class": "input", "x": left - 82, "y": y + 14}, title, shortened(layer.names[i], 26))
        )
        length = max(60.0 * layer.strengths[i], 1.0)
        parts.append(element("rect", {"class": "fill", "x": left - 74, "y": y + 6, "width": length, "height": 8}))
        for u in range(units):
            parts.append(_cell(layer, i, u, greatest, titled, (left + u * cell, y, cell - 1.5)))
    width, height = left + units * cell + 8, top + n * cell + 6
    attributes = {"class": "heat-svg", "viewBox": f"0 0 {width:g} {height:g}", "width": width, "height": height}
    return element("svg", {**attributes, "role": "img", "aria-label": label}, *parts)


def _cell(
    layer: FirstLayer, i: int, u: int, greatest: float, titled: bool, where: tuple[float, float, float]
) -> Markup:
    value = float(layer.weights[i, u])
    share = abs(value) / greatest
    x, y, side = where
    title = [element("title", {}, f"{layer.names[i]}, unit {u + 1}: {number(value, 3)}")] if titled else []
    square = {"class": "plus" if value >= 0 else "minus", "x": x, "y": y, "width": side, "height": side}
    drawn = element("rect", {**square, "fill-opacity": f"{share**0.7:.2f}"}, *title)
    if share < 0.25:
        return drawn
    # A sign in the strong cells, so that colour is never alone
    reach = side / 5
    stroke = f"M{x + side / 2 - reach:.1f} {y + side / 2:.1f}h{2 * reach:.1f}"
    if value >= 0:
        stroke += f"m-{reach:.1f} -{reach:.1f}v{2 * reach:.1f}"
    return element("g", {}, drawn, element("path", {"class": "sign", "d": stroke}))
