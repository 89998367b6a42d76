"""How far a column ranges, so that weights of columns of different size compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from limbeck.readable import NetworkReadable, Readable, SoftTreeReadable
from limbeck.report._words import is_number

__all__ = ["input_spans", "most_used", "network_spans", "span"]


def span(column: Mapping[str, Any]) -> float:
    """From 1 % to 99 % of the training rows; 1 where that is not known."""
    low, high = column.get("low"), column.get("high")
    if is_number(low) and is_number(high) and float(high) > float(low):  # type: ignore[arg-type]
        return float(high) - float(low)  # type: ignore[arg-type]
    return 1.0


def input_spans(inputs: Sequence[tuple[int, int]], ranges: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The range of each input; 1 for the indicator of a level."""
    return np.array([span(ranges[j]) if code < 0 and j < len(ranges) else 1.0 for j, code in inputs])


def network_spans(network: NetworkReadable, ranges: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """The range of each row of the first layer: of its column, or of an embedding's number over the levels."""
    tables = [np.ptp(embedding.table, axis=0) for embedding in network.embeddings]
    return np.concatenate([input_spans(network.inputs, ranges), *tables])


def most_used(readable: Readable, ranges: Sequence[Mapping[str, Any]], most: int) -> list[int]:
    """The columns, at most so many, that enter most; the first ones where the model has no weights."""
    used = list(readable.columns_used)
    if isinstance(readable, SoftTreeReadable):
        inner = readable.rows[: readable.n_nodes]
        parts = np.abs(readable.weight * input_spans(readable.inputs, ranges)) * inner[:, None]
        strength = parts.sum(axis=0)
    elif isinstance(readable, NetworkReadable):
        strength = np.abs(readable.layers[0].weight * network_spans(readable, ranges)[:, None]).sum(axis=1)
    else:
        return used[:most]
    by_column: dict[int, float] = dict.fromkeys(used, 0.0)
    columns = readable.input_columns if isinstance(readable, NetworkReadable) else [j for j, _ in readable.inputs]
    for j, size in zip(columns, strength.tolist(), strict=True):
        if j in by_column:
            by_column[j] += size
    return sorted(sorted(used, key=lambda j: -by_column[j])[:most])
