"""What each module of a split network answers: alone, and what the network answers without it.

The outputs of the parts add up to the network's, its last bias apart, so one pass a part gives both. Where they do not
add up - something after the modules is not linear - the network is run with the units of one module, or of all others,
turned off.

Cost
----
One pass of the network for each module; two where the outputs do not add up.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_kept import random_state_kept
from limbeck._core.module_outputs import outputs_as_it_is
from limbeck._core.tables import Rows, Table, columns_of
from limbeck._setting import MIN_ROWS
from limbeck._truth import Truth, read_truth

__all__ = [
    "Answers",
    "RowsOfNetwork",
    "answers_of",
    "at_the_mean",
    "classes_of",
    "module_names",
    "output_names_of",
    "outputs_on",
    "read_rows",
    "read_truth_of",
    "with_two",
]

BATCH = 1_000
SUM_TOLERANCE = 1e-4
"""The parts add up where the sum is within this share of the largest answer."""


@dataclass(frozen=True)
class RowsOfNetwork:
    """Rows as the network takes them, in its type and on its device, and as a table, the last dimension the fastest."""

    values: torch.Tensor
    table: Table

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return self.table.schema.names

    def take(self, index: np.ndarray) -> RowsOfNetwork:
        """The rows at `index`."""
        return RowsOfNetwork(self.values[torch.as_tensor(index)], self.table.take(index))


@dataclass(frozen=True)
class Answers:
    """Answers on n rows, k outputs, of m modules.

    Attributes
    ----------
    whole : array ``(n, k)``
        With all modules on.
    alone, without : array ``(m, n, k)``
        With one module on and the others off, and the other way round.
    adds_up : bool
        Whether the outputs of the modules add up to the network's.
    """

    whole: np.ndarray
    alone: np.ndarray
    without: np.ndarray
    adds_up: bool

    @property
    def contributions(self) -> np.ndarray:
        """What each module adds to each output, ``(m, n, k)``."""
        return np.asarray(self.whole - self.without)


def module_names(m: int) -> tuple[str, ...]:
    """How modules are called: ``module 1`` and so on."""
    return tuple(f"module {i + 1}" for i in range(m))


def read_rows(X: Rows, names: Sequence[str] | None, network: torch.nn.Module) -> RowsOfNetwork:
    """The rows of a table, of images or of words' numbers, at least 20.

    Raises
    ------
    InputError
        Where a value is missing or not finite, there are too few rows, or names do not fit.
    """
    framed = isinstance(X, Table | str | os.PathLike) or columns_of(X) is not None
    array = X if framed else X.detach().cpu().numpy() if hasattr(X, "detach") else np.asarray(X)
    shape = () if framed or array.ndim <= 2 else array.shape[1:]
    table = (
        Table.read(array, names=names)
        if not shape
        else Table.read(array.reshape(len(array), -1), names=_places(shape, names))
    )
    if len(table) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required; got {len(table)}")
    words = any(isinstance(part, torch.nn.Embedding | torch.nn.EmbeddingBag) for part in network.modules())
    like = next((t for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()), torch.zeros(0))
    values = torch.tensor(table.values).to(device=like.device, dtype=torch.int64 if words else like.dtype)
    return RowsOfNetwork(values.reshape(len(table), *(shape or table.shape[1:])), table)


def _places(shape: tuple[int, ...], names: Sequence[str] | None) -> Sequence[str]:
    """The names of the numbers of a row that is no list: their places."""
    if names is not None:
        return names
    return [f"x[{', '.join(str(i) for i in place)}]" for place in np.ndindex(*shape)]


def read_truth_of(y: Any, n: int, k: int, classes: Sequence[Any] | None) -> tuple[np.ndarray, tuple[Any, ...] | None]:
    """What is true of rows of a network with `k` outputs: positions of classes ``(n,)`` with the classes, or numbers.

    Raises
    ------
    InputError
        Where `y` does not fit the rows or the outputs.
    """
    truth = read_truth(y, n, task=None if classes is None else "classification", classes=classes)
    known = truth.classes
    if known is not None and classes is None and truth.values.dtype.kind in "iu":
        if k == 1 and len(known) > 2:
            known = None
        elif k > 1 and truth.values.min() >= 0 and truth.values.max() < k:
            known = tuple(range(k))
    if known is None:
        return Truth(truth.values, "regression", None).of(None, k), None
    known = classes_of(known, k)
    return Truth(truth.values, "classification", known).of(known, k), known


def classes_of(classes: Sequence[Any], k: int) -> tuple[Any, ...]:
    """The classes of a network with `k` outputs, one for each, or one for two.

    Raises
    ------
    InputError
        Where their number does not fit, or two read the same.
    """
    known = tuple(classes)
    if len(known) != max(k, 2) or len({str(label) for label in known}) < len(known):
        raise InputError(
            f"the network has {k} output(s), one for each class (or one for two classes), each of another name; got "
            f"{len(known)} classes {list(known)[:8]}. Give classes=[...] in the order of the outputs."
        )
    return known


def output_names_of(y: Any, labels: Sequence[Any] | None, k: int) -> tuple[str, ...]:
    """The names of `k` outputs: labels, the columns of `y`, or ``y0`` and so on; a single score is called score."""
    if labels is not None and k > 1:
        return tuple(str(label) for label in labels)
    if labels is not None:
        return ("score",)
    own = tuple(str(name) for name in y.columns) if hasattr(y, "columns") else ()
    return own if len(own) == k else ("y",) if k == 1 else tuple(f"y{o}" for o in range(k))


def outputs_on(network: torch.nn.Module, rows: torch.Tensor) -> np.ndarray:
    """A network's outputs ``(n, k)`` in batches, as float64."""
    parts = [outputs_as_it_is(network, rows[i : i + BATCH]).double().cpu().numpy() for i in range(0, len(rows), BATCH)]
    return np.concatenate(parts)


def answers_of(network: Any, rows: torch.Tensor) -> Answers:
    """What the modules of a split network answer, alone, together and without each.

    Raises
    ------
    TeacherError
        Where the network raises, answers with NaN, or answers the same rows differently.
    """
    whole = outputs_on(network, rows)
    with random_state_kept():
        torch.rand(1), np.random.random(), random.random()  # noqa: NPY002 - so that chance would fall otherwise
        again = outputs_on(network, rows[:BATCH])
    if not np.allclose(again, whole[: len(again)], rtol=1e-5, atol=1e-6):
        raise TeacherError(
            "the network answers the same rows differently each time; it must not be random. Take the chance out of "
            "its forward()."
        )
    parts = np.stack([outputs_on(part, rows) for part in network.parts])
    bias = np.zeros(whole.shape[1]) if network.bias is None else np.asarray(_plain(network.bias), dtype=np.float64)
    scale = max(float(np.abs(whole).max()), float(np.abs(parts).max()), 1e-12)
    if np.abs(parts.sum(axis=0) + bias - whole).max() <= SUM_TOLERANCE * scale:
        return Answers(whole, parts + bias, whole - parts, True)
    return _by_turning_off(network, rows, whole)


def _plain(bias: Any) -> Any:
    return bias.detach().cpu().numpy() if hasattr(bias, "detach") else bias


def _by_turning_off(network: Any, rows: torch.Tensor, whole: np.ndarray) -> Answers:
    from limbeck.modularity._turned_off import turned_off, unit_sites

    sites, k = unit_sites(network, rows), len(network.parts)
    alone, without = [], []
    for i in range(k):
        with turned_off([(site, site.labels != i) for site in sites]):
            alone.append(outputs_on(network, rows))
        with turned_off([(site, site.labels == i) for site in sites]):
            without.append(outputs_on(network, rows))
    return Answers(whole, np.stack(alone), np.stack(without), False)


def with_two(outputs: np.ndarray) -> np.ndarray:
    """One output that tells two classes apart as two: 0, and its own."""
    return np.concatenate([np.zeros_like(outputs), outputs], axis=-1) if outputs.shape[-1] == 1 else outputs


def at_the_mean(outputs: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Answers ``(..., n, k)`` of a network with something off, as if what is off gave its mean over the rows."""
    return np.asarray(outputs + (whole - outputs).mean(axis=-2, keepdims=True))
