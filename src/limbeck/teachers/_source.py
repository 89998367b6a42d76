"""What every kind of teacher is turned into: a source of raw answers, and the rows that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.tables import Table

__all__ = [
    "Answers",
    "Source",
    "Task",
    "column_names",
    "columns_by_name",
    "describe_rows",
    "float_matrix",
    "is_frame",
    "native_rows",
    "slice_rows",
    "to_frame",
]

Task: TypeAlias = Literal["regression", "classification"]
Answers: TypeAlias = Literal["values", "probabilities", "logits", "labels"]
FLOAT32_EPS = 1.2e-7


@dataclass(frozen=True)
class Source:
    """A model that answers, before it is known how its answers are read.

    Attributes
    ----------
    kind : str
        "torch", "exported", "onnx", "estimator", "booster" or "callable".
    name : str
        How messages call it.
    ask : function
        The raw answers to rows in the user's own container.
    guard : function
        A context in which the model may be asked; on leaving it, the model is as it was before.
    answers : str or None
        What the raw answers are, where the library says it.
    task, classes
        Where the library says them.
    notes : tuple of str
        What a person should know about how it is asked.
    own : function or None
        From rows and the `Reading`, the answers ``(n, k)`` by the library's own shortest way; or None where it has
        compared something else and is content.
    takes_table : bool
        Whether `ask` takes a `Table` as it is.
    eps : float
        The relative precision of the answers.
    form : str
        What a person calls such a model: "scikit-learn", "torch", "ONNX", ...
    size : function or None
        The bytes that the model takes on disk, or None, and how they were counted, or why not; None where unknown.
    call : function or None
        From rows as `ask` takes them, a function of nothing: the library's own call alone, for measuring. None: `ask`.
    one_thread : function
        A context in which the model's library uses one thread where the model itself says how many it uses.
    module : function or None
        A torch module that gives values or scores for an encoded matrix of rows, for students that look at slopes; the
        function may give None.
    """

    kind: str
    name: str
    ask: Callable[[Any], Any]
    guard: Callable[[], AbstractContextManager[None]] = nullcontext
    answers: Answers | None = None
    task: Task | None = None
    classes: tuple[Any, ...] | None = None
    notes: tuple[str, ...] = ()
    own: Callable[[Any, Any], np.ndarray | None] | None = None
    takes_table: bool = False
    eps: float = FLOAT32_EPS
    form: str = ""
    size: Callable[[], tuple[int | None, str]] | None = None
    call: Callable[[Any], Callable[[], Any]] | None = None
    one_thread: Callable[[], AbstractContextManager[None]] = nullcontext
    module: Callable[[], Any] | None = None


def native_rows(X: Any) -> Any:
    """Rows that can be cut: a `Table`, a frame, or an array ``(n, d)``.

    Raises
    ------
    InputError
        For anything else, with the shape that came.
    """
    if isinstance(X, Table) or is_frame(X):
        return X
    if isinstance(X, str) or hasattr(X, "__fspath__"):
        return Table.read(X)
    if hasattr(X, "toarray"):
        raise InputError(
            f"dense rows are required; got a sparse {type(X).__name__} of shape {X.shape}. Use .toarray()."
        )
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    try:
        rows = np.asarray(X)
    except ValueError as error:
        raise InputError(f"rows must all have the same length: (n, d); {error}") from None
    if rows.dtype.kind in "US":
        rows = np.asarray(X, dtype=object)
    if rows.ndim != 2:
        raise InputError(
            f"a teacher is asked for rows of shape (n, d); got {type(X).__name__} of shape {rows.shape}. For one row "
            "give X.reshape(1, -1)."
        )
    return rows


def is_frame(X: Any) -> bool:
    """True for a pandas, Polars or Arrow table."""
    return type(X).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow") and hasattr(X, "columns")


def slice_rows(X: Any, start: int, stop: int) -> Any:
    """The rows from `start` to `stop`, in the same container."""
    if isinstance(X, Table):
        return X.take(np.arange(start, min(stop, len(X))))
    if hasattr(X, "iloc"):
        return X.iloc[start:stop]
    if is_frame(X):
        return X.slice(start, stop - start)
    return X[start:stop].copy()  # a model that works in place must not reach the user's rows


def column_names(X: Any) -> list[str] | None:
    """The names of a frame's columns, or None."""
    if not is_frame(X):
        return None
    names = X.column_names if hasattr(X, "column_names") else X.columns
    return [str(name) for name in names]


def columns_by_name(X: Any, names: Sequence[str], who: str) -> Any:
    """The frame's columns `names`, in that order.

    Raises
    ------
    InputError
        Where one is not there.
    """
    have = column_names(X) or []
    absent = [name for name in names if name not in have]
    if absent:
        raise InputError(
            f"{who} takes the columns {_some(names)}; the rows lack {_some(absent)} and have "
            f"{_some(have)}.{did_you_mean(absent[0], have)}"
        )
    if list(names) == have:
        return X
    if hasattr(X, "iloc"):
        return X.iloc[:, [have.index(name) for name in names]]
    return X.select(list(names))


def to_frame(rows: np.ndarray, names: Sequence[str]) -> Any:
    """A pandas frame from an array and column names."""
    import pandas as pd

    if rows.shape[1] != len(names):
        raise InputError(f"names must name the {rows.shape[1]} columns of the rows; got {len(names)}: {_some(names)}")
    return pd.DataFrame(rows, columns=list(names)).infer_objects()


def float_matrix(X: Any, who: str) -> np.ndarray:
    """Rows as a float64 matrix, columns in order.

    Raises
    ------
    InputError
        Where a column holds no numbers; the message asks for `preprocess`.
    """
    if not is_frame(X):
        rows = np.asarray(X)
        if rows.dtype.kind not in "fiub":
            try:
                return rows.astype(np.float64)
            except (TypeError, ValueError):
                text = [f"column {j}" for j in range(rows.shape[1]) if not _all_numbers(rows[:, j])]
                raise _needs_numbers(who, text) from None
        return rows.astype(np.float64)
    import narwhals as nw

    frame = nw.from_native(X, eager_only=True)
    text = [name for name in frame.columns if not (frame[name].dtype.is_numeric() or frame[name].dtype == nw.Boolean)]
    if text:
        raise _needs_numbers(who, text)
    return np.column_stack([np.asarray(frame[name].to_numpy(), dtype=np.float64) for name in frame.columns])


def _all_numbers(values: np.ndarray) -> bool:
    return all(isinstance(value, int | float | np.number | np.bool_) for value in values)


def _needs_numbers(who: str, text: Sequence[str]) -> InputError:
    return InputError(
        f"{who} takes a matrix of numbers, but these columns hold text or categories: {_some(text)}. Give "
        "preprocess=f, where f(frame) returns the array that the model was trained on, such as one-hot columns."
    )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(str(name))[:60] for name in list(names)[:8])
    return f"[{shown}{', ...' if len(names) > 8 else ''}]"


def describe_rows(X: Any) -> str:
    """What was sent, in words: the container, its shape and its types."""
    if isinstance(X, tuple | list):
        return "(" + ", ".join(describe_rows(part) for part in X) + ")"
    shape = tuple(getattr(X, "shape", ()))
    if is_frame(X):
        found = X.dtypes if hasattr(X, "dtypes") else X.schema.types
        kinds = sorted({str(kind) for kind in found})
        return f"a {type(X).__module__.partition('.')[0]} frame of shape {shape} with the types {', '.join(kinds[:6])}"
    return f"a {type(X).__name__} of shape {shape} and dtype {getattr(X, 'dtype', '?')}"
