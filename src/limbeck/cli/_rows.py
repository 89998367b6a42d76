"""The rows that ``--data`` names: a file, or a data set by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck._core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NamedRows", "read_rows", "sampled"]


@dataclass(frozen=True)
class NamedRows:
    """Rows with what the command line knows of them."""

    frame: pd.DataFrame
    name: str
    target: tuple[str, ...]
    task: str | None
    notes: tuple[str, ...]

    @property
    def truth(self) -> str | list[str] | None:
        """The target as `limbeck.distill` takes it: one name, several, or None."""
        return self.target[0] if len(self.target) == 1 else list(self.target) or None


def read_rows(data: str, *, target: list[str], drop: list[str], missing: str) -> NamedRows:
    """The frame, its target and its name.

    Raises
    ------
    InputError
        For a file or name that is not there, or a column that is not.
    """
    from limbeck import datasets

    if missing not in ("error", "drop", "level"):
        raise InputError(f"--missing is error, drop or level; got {missing!r}")
    path = Path(data)
    task = None
    if path.suffix.lower() in (".csv", ".tsv", ".txt", ".parquet", ".pq") or path.exists():
        frame, name = datasets.read_frame(path), path.name
        known: list[str] = []
    else:
        found = datasets.load(data)
        frame, name = found.frame, found.name
        known = [found.target] if isinstance(found.target, str) else list(found.target)
        task = found.task if not target or set(target) == set(known) else None
    columns = [str(column) for column in frame.columns]
    for column in [*target, *drop]:
        if column not in columns:
            raise InputError(f"{name} has no column {column!r}; it has {columns[:20]}.{did_you_mean(column, columns)}")
    frame = frame.drop(columns=drop)
    chosen = tuple(target or [column for column in known if column not in drop])
    before = len(frame)
    if missing != "error":
        frame = datasets.mend_missing(frame, missing, target=chosen)
    notes = (f"{before - len(frame)} of {before} rows with missing values were dropped",) if len(frame) < before else ()
    return NamedRows(frame, name, chosen, task if task in ("regression", "classification") else None, notes)


def sampled(rows: NamedRows, n: int, seed: int) -> NamedRows:
    """At most `n` of the rows, in their order, drawn without replacement; a note says of how many."""
    import numpy as np

    total = len(rows.frame)
    if total <= n:
        return rows
    index = np.sort(np.random.default_rng(seed).choice(total, size=n, replace=False))
    note = f"{n} of {total} rows were drawn by the seed, and the others left"
    return replace(rows, frame=rows.frame.iloc[index].reset_index(drop=True), notes=(*rows.notes, note))
