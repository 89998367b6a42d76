"""A saved run, study, explanation or modular network as one offline HTML page: the same folder, the same bytes."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.report._explanation import render_explanation, write_explanation
    from limbeck.report._modules import render_modules, write_modules
    from limbeck.report._page import render, write_report
    from limbeck.report._policy import render_policy, write_policy
    from limbeck.report._recording import render_recording, render_recording_svg
    from limbeck.report._study import render_study, write_study

_HOMES = {
    "render": "_page",
    "render_explanation": "_explanation",
    "render_modules": "_modules",
    "render_policy": "_policy",
    "render_recording": "_recording",
    "render_recording_svg": "_recording",
    "render_study": "_study",
    "write_explanation": "_explanation",
    "write_modules": "_modules",
    "write_policy": "_policy",
    "write_report": "_page",
    "write_study": "_study",
}

__all__ = [
    "render",
    "render_explanation",
    "render_modules",
    "render_policy",
    "render_recording",
    "render_recording_svg",
    "render_study",
    "write_explanation",
    "write_modules",
    "write_policy",
    "write_report",
    "write_study",
]


def __getattr__(name: str) -> Any:
    """The public functions, loaded on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"limbeck.report.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'limbeck.report' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
