"""One data set, and what can be done about the values it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.files import read_file

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "mend_missing", "read_frame"]

MISSING_LEVEL = "missing"


@dataclass(frozen=True)
class Dataset:
    """A table with what is known of it.

    Parameters
    ----------
    name : str
    frame : pandas.DataFrame
        Features and target. Missing values are nulls.
    target : str or list of str
        The column, or columns, to predict.
    task : {"regression", "classification"}
    source, licence, description : str
    split : array of str, optional
        Where the source has an official split: the part of each row, such as ``train`` or ``test``.
    """

    name: str
    frame: pd.DataFrame = field(repr=False, compare=False)
    target: str | list[str]
    task: str
    source: str
    licence: str
    description: str
    split: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def targets(self) -> list[str]:
        """The target columns, always as a list."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @property
    def X(self) -> pd.DataFrame:  # noqa: N802
        """The feature columns ``(n, d)``."""
        return self.frame.drop(columns=self.targets)

    @property
    def y(self) -> pd.Series | pd.DataFrame:
        """The target ``(n,)``, or ``(n, k)`` where there are several."""
        return self.frame[self.target]

    def mended(self, missing: str) -> Dataset:
        """The same set without missing values: see `mend_missing`."""
        kept = self.frame.reset_index(drop=True)
        frame = mend_missing(kept, missing, target=self.targets)
        split = None if self.split is None else self.split[frame.index.to_numpy()]
        return replace(self, frame=frame.reset_index(drop=True), split=split)


def read_frame(path: str | Path) -> pd.DataFrame:
    """The rows of a .csv, .tsv or .parquet file; missing values stay missing.

    Raises
    ------
    InputError
        Where there is no such file, or it is no table.
    """
    frame: pd.DataFrame = read_file(path)
    return frame


def mend_missing(frame: pd.DataFrame, missing: str, *, target: Sequence[str] | str = ()) -> pd.DataFrame:
    """The frame without missing values.

    Parameters
    ----------
    frame : pandas.DataFrame
    missing : {"drop", "level"}
        ``drop``: rows with a missing value go. ``level``: in columns of text, missing becomes a level of its own,
        called ``missing``; a column of numbers or a target that lacks values is refused, for no number stands for
        missing.
    target : str or sequence of str
        The columns to predict.

    Raises
    ------
    InputError
        Where no row is left, or ``level`` meets numbers or a target with missing values.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"job": ["clerk", None], "age": [30, 40]})
    >>> mend_missing(frame, "level").job.tolist(), len(mend_missing(frame, "drop"))
    (['clerk', 'missing'], 1)
    """
    if missing not in ("drop", "level"):
        raise InputError(f"missing must be 'drop' or 'level'; got {missing!r:.60}")
    counts = frame.isna().sum()
    lacking = {str(name): int(count) for name, count in counts.items() if count}
    if not lacking:
        return frame
    if missing == "drop":
        kept = frame.dropna()
        if not len(kept):
            raise InputError(
                f"no row is left: each of {len(frame)} lacks a value, by column {lacking}. Drop columns first."
            )
        return kept
    targets = [target] if isinstance(target, str) else list(target)
    refused = {name: lacking[name] for name in lacking if name in targets or _holds_numbers(frame, name)}
    if refused:
        raise InputError(
            "missing='level' makes a level in columns of text; these are numbers or targets, and lack values: "
            f"{refused}. Use missing='drop', or fill them in."
        )
    return frame.assign(**{name: _with_level(frame[name]) for name in lacking})


def _holds_numbers(frame: pd.DataFrame, name: str) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(frame[name]) or is_bool_dtype(frame[name].dropna().infer_objects())


def _with_level(series: pd.Series) -> pd.Series:
    """The column with missing values as a level that it did not have before."""
    level = MISSING_LEVEL if not (series == MISSING_LEVEL).any() else f"({MISSING_LEVEL})"
    if hasattr(series, "cat"):
        series = series.cat.add_categories([level])
    return series.fillna(level)
