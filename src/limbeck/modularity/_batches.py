"""Rows in batches: a user's DataLoader, or arrays that are dealt out here in an order of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.utils.data import DataLoader

from limbeck._core.errors import InputError

__all__ = ["BATCH", "Batches", "as_batches", "seeded"]

BATCH = 64
"""Rows of a batch, where a person gives arrays (METHODS: Golechha2024)."""

Batch: TypeAlias = tuple[torch.Tensor, torch.Tensor]


class Batches:
    """Batches ``(x, y)`` of arrays that are held, in the type and on the device of a model; `len` says how many."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor, size: int = BATCH, *, shuffle: bool = True) -> None:
        self.x, self.y, self.size, self.shuffle = x, y, size, shuffle

    def __len__(self) -> int:
        return -(-len(self.x) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.x)
        order = (torch.randperm(n) if self.shuffle else torch.arange(n)).to(self.x.device)
        for start in range(0, n, self.size):
            index = order[start : start + self.size]
            yield self.x[index], self.y[index]


class _Loaded:
    """What a DataLoader yields, checked and moved."""

    def __init__(self, loader: Any, like: torch.Tensor, what: str) -> None:
        self.loader, self.like, self.what = loader, like, what

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        for pair in self.loader:
            if not isinstance(pair, tuple | list) or len(pair) != 2 or not all(torch.is_tensor(t) for t in pair):
                raise InputError(
                    f"{self.what} must give pairs (x, y) of tensors; got {_described(pair)}. Give a DataLoader over a "
                    "TensorDataset(X, y), or (X, y)."
                )
            yield _moved(pair[0], self.like), _moved(pair[1], self.like)


def as_batches(data: Any, model: torch.nn.Module, what: str, *, size: int = BATCH, shuffle: bool = True) -> Any:
    """Batches from a DataLoader or from ``(X, y)``, each time anew, on the device and in the type of the model.

    The order comes from torch's global generator: see `seeded`.

    Raises
    ------
    InputError
        For anything else; for arrays of different lengths, without rows, or with NaN or infinite numbers.
    """
    like = next((p for p in model.parameters() if p.is_floating_point()), None)
    if like is None:
        raise InputError(f"the model must have weights to be trained; {type(model).__name__} has none")
    if isinstance(data, DataLoader):
        if not len(data):
            raise InputError(f"{what} must have at least one batch; this DataLoader is empty")
        return _Loaded(data, like, what)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(f"{what} must be a DataLoader or a pair (X, y) of arrays; got {_described(data)}")
    x, y = (_tensor(part, f"{what}: {name}") for part, name in zip(data, "Xy", strict=True))
    if x.ndim < 2 or not len(x) or len(x) != len(y) or y.ndim > 2:
        raise InputError(
            f"{what} must be X (n, ...) and y (n,) or (n, k) with n >= 1; got shapes {tuple(x.shape)} and "
            f"{tuple(y.shape)}"
        )
    return Batches(_moved(x, like), _moved(y, like), size, shuffle=shuffle)


@contextmanager
def seeded(loader: Any, seed: int) -> Iterator[None]:
    """The global generator of torch, and the loader's own, started from a seed; the latter is put back.

    Stands within `random_state_kept`, which puts the global one back.
    """
    torch.manual_seed(seed)
    own = getattr(loader, "generator", None)
    before = own.get_state() if own is not None else None
    try:
        if own is not None:
            own.manual_seed(seed)
        yield
    finally:
        if own is not None:
            own.set_state(before)


def _tensor(values: Any, what: str) -> torch.Tensor:
    """A tensor of finite numbers."""
    try:
        found = values if torch.is_tensor(values) else torch.as_tensor(_numbers(values))
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be numbers; got {_described(values)}: {str(error)[:120]}") from error
    if found.is_floating_point() and not bool(torch.isfinite(found).all()):
        bad = int((~torch.isfinite(found)).reshape(len(found), -1).any(dim=1).sum())
        raise InputError(f"{what} must be finite; {bad} of {len(found)} rows have NaN or infinite numbers")
    return found.detach()


def _numbers(values: Any) -> np.ndarray:
    """An array that torch takes: small unsigned integers become int64, so that labels stay labels."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"its type is {array.dtype}")
    return array.astype(np.int64) if array.dtype.kind in "iu" else np.array(array)


def _moved(values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return values.to(device=like.device, dtype=like.dtype if values.is_floating_point() else values.dtype)


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}" + (f" of shape {tuple(shape)}" if shape is not None else "")
