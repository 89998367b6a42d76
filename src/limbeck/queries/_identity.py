"""What makes a stream this one and no other, as JSON types: by it a folder of answers is known again."""

from __future__ import annotations

import dataclasses
import hashlib
import numbers
import re
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.queries._source import Source
from limbeck.queries._stream import QueryStream

__all__ = ["difference", "stream_identity"]

WORDS = {
    "source": "the source",
    "seed": "the seed",
    "batch_rows": "batch_rows",
    "rows": "the number of rows",
    "data": "the rows that the queries are made from (their digest)",
    "excluded": "the held-out rows (their digest)",
}


def stream_identity(stream: QueryStream) -> dict[str, Any]:
    """The schema, and all that decides the rows."""
    return {
        "schema": stream.schema.to_dict(),
        "stream": {
            "source": describe(stream.source, stream.schema),
            "seed": stream.seed,
            "batch_rows": stream.batch_rows,
            "rows": stream.rows,
            "data": digest(stream.table.values),
            "excluded": digest(stream.held),
        },
    }


def difference(old: dict[str, Any], now: dict[str, Any]) -> str | None:
    """In words what differs, None where nothing does. More rows of the same stream are the same stream."""
    if old.get("schema") != now["schema"]:
        columns = [column["name"] for column in old["schema"]["columns"]]
        return f"the columns, their types or levels differ (there: {columns[:12]})"
    there, here = old["stream"], now["stream"]
    for key, word in WORDS.items():
        if key == "rows" and there[key] < here[key] and there[key] % here["batch_rows"] == 0:
            continue
        if there[key] != here[key]:
            return f"{word} is {_short(there[key])} there and {_short(here[key])} here"
    return None


def _short(value: Any) -> str:
    return str(value)[:160]


def describe(source: Any, schema: Schema) -> Any:
    """A source as JSON types: its name and what it was given, rows by their digest."""
    if source is None or isinstance(source, str | bool | int | float):
        return source
    if isinstance(source, numbers.Real):
        return float(source)
    if isinstance(source, tuple | list) and not any(isinstance(item, tuple | list) for item in source):
        return [describe(item, schema) for item in source]
    if dataclasses.is_dataclass(source) and isinstance(source, Source):
        given = {f.name: describe(getattr(source, f.name), schema) for f in dataclasses.fields(source)}
        return {"name": type(source).__qualname__, **given}
    if isinstance(source, Source):
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(source))
    try:
        return digest(schema.encode(source))
    except InputError:
        return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(source))


def digest(values: np.ndarray) -> str:
    """32 hexadecimal digits of the shape and the numbers."""
    found = hashlib.sha256(repr((values.shape, values.dtype.str)).encode())
    found.update(np.ascontiguousarray(values).data)
    return found.hexdigest()[:32]
