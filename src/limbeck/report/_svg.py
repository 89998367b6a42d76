"""SVG as text: every attribute and every word escaped."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

__all__ = ["element", "place"]


def place(value: float) -> str:
    """A coordinate with at most one decimal.

    Examples
    --------
    >>> [place(v) for v in (12.0, 3.14159, -0.01)]
    ['12', '3.1', '0']
    """
    text = f"{value:.1f}".removesuffix(".0")
    return "0" if text == "-0" else text


def element(name: str, attributes: dict[str, Any] | None = None, *children: str) -> Markup:
    """One element; children that are not `Markup` are escaped, attributes that are None are left out."""
    written = "".join(
        f' {key}="{place(value) if isinstance(value, float) else escape(str(value))}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    inside = "".join(str(escape(child)) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>") if inside else Markup(f"<{name}{written}/>")  # noqa: S704
