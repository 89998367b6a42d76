"""Numbers, statuses and verdicts as the page writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

__all__ = [
    "DIRECTIONS",
    "FAMILY_LABELS",
    "MINUS",
    "STATUS_LABELS",
    "VERDICT_LABELS",
    "count",
    "interval_text",
    "is_number",
    "joined",
    "measure",
    "number",
    "plural",
    "shortened",
    "verdict_kind",
]

STATUS_LABELS = {"pass": "pass", "fail": "fail", "inconclusive": "inconclusive", "not_applicable": "not applicable"}
"""What the page calls each status of a finding."""

VERDICT_LABELS = {"use": "use", "care": "use with care", "refuse": "do not use", "none": "no verdict"}
"""What the page calls each kind of verdict."""

FAMILY_LABELS = {
    "tree": "tree",
    "formula": "formula",
    "network": "small network",
    "soft_tree": "soft tree",
    "rule_list": "rule list",
    "rule_set": "rule set",
    "wavelet": "wavelet",
    "coefficients": "on a fixed wavelet",
    "program": "program",
    "policy_tree": "tree of actions",
}
"""Families in words; any other family is called by its own name."""

DIRECTIONS = {
    "RC001": "at least",
    "RC002": "at least",
    "RC003": "at most",
    "RC004": "at least",
    "RC014": "at least",
    "RC015": "at least",
    "RC016": "at least",
    "RC017": "at least",
    "RC018": "below",
}
"""On which side of its threshold a check's value must lie."""

MINUS = "\N{MINUS SIGN}"
"""What stands before negative numbers."""


def is_number(value: Any) -> bool:
    """True for a finite number that is not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 4) -> str:
    """A number to so many significant digits, with thousands set apart; a dash where there is none; else the text.

    Examples
    --------
    >>> [number(v) for v in (1234567, 0.123456, 1e-9, 2.0, None, "Private")]
    ['1,234,567', '0.1235', '1e-09', '2', '–', 'Private']
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if not is_number(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        text = f"{int(value):,}"
    elif abs(value) >= 10 ** max(digits, 4) and abs(value) < 1e9:
        text = f"{value:,.1f}"
    else:
        text = f"{value:,.{digits}g}"
    return text.replace("-", MINUS) if text.startswith("-") else text


def measure(value: Any) -> str:
    """A measured value with three decimals, so that values in one column compare at a glance."""
    if not is_number(value):
        return number(value)
    text = f"{round(value, 3) + 0.0:.3f}" if abs(value) < 1000 else f"{value:.3g}"
    return text.replace("-", MINUS) if text.startswith("-") else text


def interval_text(interval: Any) -> str:
    """``0.912 to 0.948``, or a dash."""
    if not isinstance(interval, list | tuple) or len(interval) != 2:
        return "–"
    return f"{measure(interval[0])} to {measure(interval[1])}"


def count(value: Any) -> str:
    """A whole number with thousands set apart."""
    return f"{value:,.0f}" if is_number(value) else number(value)


def plural(value: Any, singular: str, several: str = "") -> str:
    """``1 row``, ``1,030 rows``."""
    return f"{count(value)} {singular if value == 1 else several or singular + 's'}"


def joined(words: Sequence[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def shortened(text: str, length: int) -> str:
    """The text, its middle left out where it is longer than `length`.

    Examples
    --------
    >>> shortened("compressive strength", 11)
    'compr…ength'
    """
    if len(text) <= length:
        return text
    front = (length - 1 + 1) // 2
    return f"{text[:front]}…{text[len(text) - (length - 1 - front) :]}"


def verdict_kind(verdict: Any) -> str:
    """``use``, ``care``, ``refuse``, or ``none`` where no check has spoken."""
    text = str(verdict or "").strip().lower()
    if text.startswith("do not use"):
        return "refuse"
    if text.startswith("use with care"):
        return "care"
    return "use" if text.startswith("use") else "none"
