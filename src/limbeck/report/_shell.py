"""What every page is made of: its templates, its styles and scripts, the mark of the house, and how large it may be.

Cost
----
The files are read once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import jinja2
from markupsafe import Markup

from limbeck._core.errors import InputError
from limbeck.report._svg import element

__all__ = ["MAX_BYTES", "logo", "shipped", "templates", "within_bounds"]

L = TypeVar("L")

MAX_BYTES = 3_000_000
"""A page is smaller than this."""


@functools.cache
def templates() -> jinja2.Environment:
    """The templates of the package; what they write is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("limbeck.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def within_bounds(draw: Callable[[L], str], limits: Sequence[L], refused: str) -> str:
    """The first page, of those with more and more left out, that is small enough; an error where none is."""
    for one in limits:
        page = draw(one)
        if len(page.encode("utf-8")) < MAX_BYTES:
            return page
    raise InputError(f"a page below 3 MB can't show {refused}")


def shipped(name: str) -> str:
    """The text of a style or script of the package."""
    loader = templates().loader
    if loader is None:
        raise InputError("the page's templates are missing; install limbeck again")
    return loader.get_source(templates(), name)[0]


def logo() -> Markup:
    """A still: a flask, its neck, and a drop."""
    still = "M9 13V7.5Q9 5 11.5 5H13L25 15M9 13A7 7 0 1 0 13.6 13.3V9.5L23.5 17.6"
    drop = "M25.2 20.5q2.6 3.4 2.6 5a2.6 2.6 0 0 1-5.2 0q0-1.6 2.6-5z"
    size = {"viewBox": "0 0 32 32", "width": 26, "height": 26, "aria-hidden": "true", "class": "logo"}
    return element("svg", size, element("path", {"d": still}), element("path", {"class": "drop", "d": drop}))
