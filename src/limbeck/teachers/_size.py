"""What a model takes on disk: the bytes of its file, of its numbers, or of what joblib would write.

Nothing is stored and nothing is loaded: where a model would have to be written, the bytes are counted as they come.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Size", "dumped_size", "file_size", "module_size"]

Size = tuple[int | None, str]
"""Bytes, or None where they can't be known; and how they were counted, or why they can't, in words."""


class _Counter:
    """A file that keeps nothing and counts."""

    def __init__(self) -> None:
        self.count = 0

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        self.count += size
        return size

    def tell(self) -> int:
        return self.count

    def flush(self) -> None:
        """Nothing is held back."""


def dumped_size(model: Any) -> Size:
    """The bytes that ``joblib.dump(model)`` would write, without compression.

    Examples
    --------
    >>> import numpy as np
    >>> size, how = dumped_size({"weights": np.zeros(1000)})
    >>> 8000 < size < 8500, how
    (True, 'what joblib.dump would write, uncompressed')
    """
    from joblib import dump

    counter = _Counter()
    try:
        dump(model, counter)
    except Exception as error:  # whatever the model's own parts raise when they are written
        return None, f"the model can't be written: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return counter.count, "what joblib.dump would write, uncompressed"


def module_size(module: torch.nn.Module) -> Size:
    """The bytes of a module's parameters and buffers; those that are shared count once."""
    tensors = {id(tensor): tensor for tensor in [*module.parameters(), *module.buffers()]}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()), "its parameters and buffers"


def file_size(path: Path, *others: Path) -> Size:
    """The bytes of a model's file, with those of the files that it refers to."""
    try:
        return sum(one.stat().st_size for one in (path, *others)), "its file" + ("s" if others else "")
    except OSError as error:
        return None, f"its file can't be read: {error.strerror}"
