"""A teacher's answers to a stream of queries, in memory or on disk, for as many students as want them.

Cost
----
Reading is one Parquet shard at a time: 400,000 rows of 54 numbers in about 1 s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import StorageError
from limbeck._core.tables import Schema, Table
from limbeck.queries._shards import Folder, Shards, layout_of, read_document

__all__ = ["Answers", "read_answers"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Rows and a teacher's answers to them, batch by batch; made by `ask` and `read_answers`.

    Iterating, as often as you like, gives ``(table, answers)`` a batch, with one batch in memory at a time.

    Attributes
    ----------
    rows : int
        How many rows there are.
    output_names : tuple of str
        One an output: ``P(class)`` for probabilities.
    classes : tuple or None
        The labels in the order of the outputs, where the teacher said them.
    folder : path or None
        Where they are kept.
    asked : int
        The rows that the teacher was asked for in this call.
    reused : int
        The rows whose answers an earlier call had kept.
    probed : int
        The rows asked to know the teacher and its speed; their answers are not among these.
    """

    rows: int
    batch_rows: int
    layout: Any = field(repr=False)
    shards: Shards = field(repr=False)
    classes: tuple[Any, ...] | None = None
    folder: Path | None = None
    asked: int = 0
    reused: int = 0
    probed: int = 0

    @property
    def schema(self) -> Schema:
        """The columns of the rows."""
        schema: Schema = self.layout.schema
        return schema

    @property
    def output_names(self) -> tuple[str, ...]:
        """One name an output."""
        names: tuple[str, ...] = self.layout.outputs
        return names

    @property
    def n_outputs(self) -> int:
        """The number of columns of the answers."""
        return len(self.output_names)

    @property
    def repeated(self) -> int:
        """The rows that were answered by an equal row's answer, and so asked for by nobody."""
        return self.rows - self.asked - self.reused

    def __len__(self) -> int:
        return -(-self.rows // self.batch_rows)

    def __iter__(self) -> Iterator[tuple[Table, np.ndarray]]:
        for i in range(len(self)):
            values, answers = self.shards.read(i)
            yield Table(self.schema, values), answers

    def table(self) -> tuple[Table, np.ndarray]:
        """All rows and all answers ``(rows, n_outputs)`` at once."""
        values, answers = np.empty((self.rows, len(self.schema))), np.empty((self.rows, self.n_outputs))
        start = 0
        for table, part in self:
            values[start : start + len(table)], answers[start : start + len(table)] = table.values, part
            start += len(table)
        return Table(self.schema, values), answers

    def to_pandas(self) -> Any:
        """All rows and answers as one frame: the columns of the rows, then one an output."""
        import pandas as pd

        table, answers = self.table()
        frame = replace(self.schema, container="pandas").decode(table.values)
        return pd.concat([frame, pd.DataFrame(answers, columns=list(self.layout.columns))], axis=1)


def read_answers(folder: str | Path) -> Answers:
    """The answers that `ask` kept in `folder`; no teacher is needed.

    Raises
    ------
    StorageError
        Where the folder holds no answers, not all of them yet, or is damaged.
    """
    path = Path(folder).absolute()
    document = read_document(path)
    layout = layout_of(document, path)
    try:
        rows, batch_rows = int(document["stream"]["rows"]), int(document["stream"]["batch_rows"])
        classes = document["classes"]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path / 'answers.json'} is damaged: {error}") from None
    shards = Folder(path, layout)
    found = Answers(rows, batch_rows, layout, shards, None if classes is None else tuple(classes), path, reused=rows)
    missing = [i for i in range(len(found)) if not shards.has(i)]
    if missing:
        raise StorageError(
            f"{path} holds {len(found) - len(missing)} of {len(found)} batches; {shards.part(missing[0]).name} is the "
            "first that is missing. Call ask with the same arguments to go on."
        )
    return found
