"""A network in the one language: what SQL, LaTeX, MathML and `evaluate` are written from.

Source
------
Own. A column of indicators is one choice a level, a number of an embedding one choice over all levels.

Cost
----
One SymPy term a weight, which is why the other targets write arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from limbeck._core.tables import Column
from limbeck.readable._formula import softmax_outputs
from limbeck.readable._language import IsIn, choice, step_symbol
from limbeck.readable._network_layers import Embedding, Input, Layer
from limbeck.readable._readable import Built

__all__ = ["build_network"]

Step = Callable[[sp.Expr], sp.Expr]


def build_network(
    columns: Sequence[Column],
    inputs: Sequence[Input],
    embeddings: Sequence[Embedding],
    layers: Sequence[Layer],
    activation: str,
    symbols: Sequence[sp.Symbol],
    *,
    classes: bool,
    inline: bool,
) -> Built:
    """Steps and outputs: indicators and embeddings, one step a unit, then the outputs."""
    steps: list[tuple[sp.Symbol, sp.Expr]] = []

    def step(expr: sp.Expr) -> sp.Expr:
        if inline:
            return expr
        steps.append((step_symbol(len(steps)), expr))
        return steps[-1][0]

    h: list[sp.Expr] = []
    for j, code in inputs:
        if code < 0:
            h.append(symbols[j])
            continue
        condition = IsIn.of(symbols[j], [columns[j].level_names[code]])
        h.append(step(sp.Piecewise((1, condition), (0, True), evaluate=False)))
    for embedding in embeddings:
        h += _embedded(embedding, columns[embedding.column], symbols[embedding.column], step)
    for layer in layers[:-1]:
        sums = [step(_affine(h, layer, o)) for o in range(len(layer.bias))]
        h = [step(_activate(activation, s)) for s in sums]
    outputs = [_affine(h, layers[-1], o) for o in range(len(layers[-1].bias))]
    return softmax_outputs(outputs, tuple(steps), inline=inline) if classes else (tuple(steps), tuple(outputs))


def _embedded(embedding: Embedding, column: Column, symbol: sp.Symbol, step: Step) -> list[sp.Expr]:
    """Each number of an embedding as a choice over the levels; 0 for a level that is not known."""
    conditions = [IsIn.of(symbol, [name]) for name in column.level_names]
    return [
        step(choice(*zip(map(sp.Float, map(float, values)), conditions, strict=True), (sp.Integer(0), sp.true)))
        for values in embedding.table.T
    ]


def _affine(h: Sequence[sp.Expr], layer: Layer, o: int) -> sp.Expr:
    terms = [
        sp.Mul(sp.Float(float(weight)), unit, evaluate=False)
        for weight, unit in zip(layer.weight[:, o], h, strict=True)
        if weight != 0
    ]
    return sp.Add(*terms, sp.Float(float(layer.bias[o])), evaluate=False)


def _activate(activation: str, value: sp.Expr) -> sp.Expr:
    if activation == "tanh":
        return sp.tanh(value, evaluate=False)
    return sp.Max(sp.Integer(0), value, evaluate=False)
