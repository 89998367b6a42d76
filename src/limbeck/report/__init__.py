"""A saved run as one offline HTML page; pure: the same folder gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.report._page import render, write_report

__all__ = ["render", "write_report"]


def __getattr__(name: str) -> Any:
    """The public functions, loaded on first use."""
    if name in __all__:
        from limbeck.report import _page

        return getattr(_page, name)
    raise AttributeError(f"module 'limbeck.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
