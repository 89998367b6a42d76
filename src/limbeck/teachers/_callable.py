"""A plain function of rows as a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from limbeck.teachers._source import Source, is_frame, to_frame

__all__ = ["callable_source"]


def callable_source(function: Callable[[Any], Any], names: tuple[str, ...] | None = None) -> Source:
    """A source that calls `function` with the rows in the user's own container.

    With `names`, an array becomes a pandas frame with those columns first.
    """

    def ask(rows: Any) -> Any:
        return function(to_frame(rows, names) if names is not None and not is_frame(rows) else rows)

    def size() -> tuple[None, str]:
        return None, "a function: what it holds can't be seen"

    called = getattr(function, "__qualname__", None) or type(function).__name__
    name = f"the function {called}" if called != "<lambda>" else "the function (a lambda)"
    return Source("callable", name, ask, form="function", size=size)
