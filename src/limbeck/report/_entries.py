"""A document of a folder, and its values with their places: what is missing or of another type is refused by its place.

Source
------
Own.

Cost
----
O(entries).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from limbeck._core.errors import InputError, StorageError
from limbeck._core.storage import MAX_DOCUMENT_BYTES

__all__ = ["LARGEST", "Entry", "read_document"]

LARGEST = 1e15
E = TypeVar("E", bound="Entry")


@dataclass(frozen=True)
class Entry:
    """A value of the document, its place, and what makes the document anew, for the errors."""

    value: Any
    at: str
    again: str

    def __getitem__(self: E, key: str) -> E:
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object")
        if key not in self.value:
            raise InputError(f"{self.at} lacks {key!r}. {self.again}")
        return replace(self, value=self.value[key], at=f"{self.at}{': ' if self.at.endswith('.json') else '.'}{key}")

    def wrong(self, required: str) -> InputError:
        """The error for a value of another type."""
        return InputError(f"{self.at} must be {required}; got {self.value!r:.60}. {self.again}")

    def items(self: E, least: int = 0, most: int | None = None) -> Iterator[E]:
        """The entries of a list."""
        if not isinstance(self.value, list | tuple) or len(self.value) < least:
            raise self.wrong(f"a list of at least {least}" if least else "a list")
        if most is not None and len(self.value) > most:
            raise InputError(
                f"{self.at} must hold at most {most} entries, so that a page can show them; got {len(self.value)}"
            )
        return (replace(self, value=entry, at=f"{self.at}[{i}]") for i, entry in enumerate(self.value))

    def text(self) -> str:
        """A text."""
        if not isinstance(self.value, str):
            raise self.wrong("text")
        return self.value

    def count(self, below: int | None = None) -> int:
        """A whole number from 0."""
        value, last = self.value, LARGEST if below is None else below - 1
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= last:
            raise self.wrong("a whole number from 0" + ("" if below is None else f" to {last:g}"))
        return value


def read_document(folder: Path, name: str, what: str, verb: str) -> Any:
    """The parsed document of a folder; `what` (``a study``) and the `verb` that writes it are for the errors.

    Raises
    ------
    StorageError
        Where there is none, or it can't be read.
    """
    path = folder / name
    if not path.is_file():
        raise StorageError(f"{folder} is not {what}: a folder with {name} is required, as `limbeck {verb}` writes")
    try:
        if path.stat().st_size > MAX_DOCUMENT_BYTES:
            raise StorageError(f"{path} is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB")
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path} can't be read as JSON: {str(error)[:120]}") from None
