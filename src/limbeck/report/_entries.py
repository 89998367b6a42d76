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
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from limbeck._core.errors import InputError, StorageError
from limbeck._core.storage import MAX_DOCUMENT_BYTES

__all__ = ["LARGEST", "Entry", "check_plain", "read_document", "top_entry"]

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

    def get(self: E, key: str) -> E | None:
        """An entry that need not be there; None also where it is null."""
        if not isinstance(self.value, Mapping):
            raise self.wrong("an object")
        return None if self.value.get(key) is None else self[key]

    def one_of(self, known: Sequence[str]) -> str:
        """A text that is one of those known."""
        if self.value not in known:
            raise self.wrong(f"{', '.join(known[:-1])} or {known[-1]}")
        return str(self.value)

    def number(self, least: float = -math.inf) -> float:
        """A finite number, cut to what can be drawn."""
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
            raise self.wrong("a finite number" + ("" if least == -math.inf else f" from {least:g}"))
        if value == -math.inf:
            raise self.wrong("a finite number")
        return float(min(max(value, -LARGEST), LARGEST))

    def places(self, below: int, least: int = 1) -> tuple[int, ...]:
        """Different whole numbers from 0 that are less than `below`."""
        quick = self.value if isinstance(self.value, list) and len(self.value) >= max(least, 1) else None
        if quick and all(type(v) is int for v in quick) and min(quick) >= 0 and max(quick) < below:
            found = tuple(quick)
        else:
            found = tuple(entry.count(below) for entry in self.items(least))
        if len(set(found)) < len(found):
            raise self.wrong("a list of different numbers")
        return found

    def numbers(self, low: float = -math.inf, high: float = math.inf) -> np.ndarray:
        """Finite numbers as an array."""
        quick = self.value if isinstance(self.value, list) and self.value else None
        if quick and all(type(v) in (int, float) and low <= v <= high and abs(v) < LARGEST for v in quick):
            return np.array(quick, dtype=float)
        found = []
        for entry in self.items(1):
            found.append(entry.number())
            if not low <= found[-1] <= high:
                raise entry.wrong(f"a number from {low:g} to {high:g}")
        return np.array(found, dtype=float)


def check_plain(entry: Entry, depth: int = 0) -> None:
    """Refuse what JSON can't hold, and what is nested beyond reason."""
    if depth > 20:
        raise InputError(f"{entry.at} is nested too deep to be shown")
    value = entry.value
    if isinstance(value, Mapping):
        for key in value:
            check_plain(entry[key], depth + 1)
    elif isinstance(value, list | tuple):
        for item in entry.items():
            check_plain(item, depth + 1)
    elif value is not None and not isinstance(value, str | bool):
        entry.number()


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


def top_entry(data: Any, file: str, form: tuple[str, int], words: tuple[str, str], verb: str, again: str) -> Entry:
    """The whole of a parsed document, once its format and version are those that are read.

    Parameters
    ----------
    data : object
    file : str
        What the document is called, for the errors.
    form : (str, int)
        Its format and version.
    words : (str, str)
        One of its kind and several of them, in words.
    verb : str
        The verb of the command line that writes it.
    again : str
        What the errors say to do.

    Raises
    ------
    InputError
        Where it is something else, or of another version.
    """
    if not isinstance(data, Mapping) or data.get("format") != form[0]:
        came = f"format {data.get('format')!r:.60}" if isinstance(data, Mapping) else type(data).__name__
        raise InputError(
            f"{words[0]} is required: an object with format '{form[0]}', as `limbeck {verb}` writes; got {came}"
        )
    if data.get("version") != form[1]:
        raise InputError(
            f"this limbeck reads {words[1]} of version {form[1]}; got {data.get('version')!r:.60}. Update limbeck, or "
            f"run `limbeck {verb}` again."
        )
    return Entry(data, file, again)
