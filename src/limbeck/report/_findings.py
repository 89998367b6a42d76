"""Findings as lines of a table, their further numbers as nested lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.report._words import (
    DIRECTIONS,
    STATUS_LABELS,
    interval_text,
    is_number,
    joined,
    measure,
    number,
    shortened,
)

__all__ = ["details", "finding_line", "verdict_summary"]

MAX_MESSAGE = 2_000
MAX_ENTRIES = 24
MAX_DEPTH = 4
SHORT = {
    "RC001": "held-out rows",
    "RC002": "shifted rows",
    "RC003": "worst case",
    "RC004": "stability",
    "RC014": "return",
    "RC015": "agreement",
    "RC016": "sticky actions",
    "RC017": "other starts",
    "RC018": "controls",
}
"""The checks in two words, for the cards."""

WORDS = {
    "kl": "mean KL divergence (nats)",
    "kl_interval": "its 95 % interval",
    "constant_agreement": "agreement of the best constant answer",
    "per_output": "R2 of each output",
    "rmse": "root mean square difference of each output",
    "held_out_max": "greatest gap among held-out rows",
    "share_over": "share of held-out rows above the threshold",
    "share_over_interval": "its 95 % interval",
    "feature_overlap": "overlap of the features used",
    "features_used": "features used",
    "feature_counts": "features used by the refits",
    "complexities": "complexity of the refits",
}


def finding_line(found: Mapping[str, Any]) -> dict[str, Any]:
    """One finding as the table shows it."""
    code, status = str(found.get("code") or ""), str(found.get("status") or "not_applicable")
    threshold = found.get("threshold")
    return {
        "code": code,
        "title": str(found.get("title") or ""),
        "status": status if status in STATUS_LABELS else "not_applicable",
        "short": SHORT.get(code, shortened(str(found.get("title") or code), 24)),
        "status_label": STATUS_LABELS.get(status, status),
        "value": measure(found.get("value")),
        "interval": interval_text(found.get("interval")),
        "threshold": f"{DIRECTIONS.get(code, '')} {number(threshold)}".strip() if threshold is not None else "–",
        "message": shortened(_sentence(str(found.get("message") or "")), MAX_MESSAGE),
        "details": details({k: v for k, v in _mapping(found.get("details")).items() if not _is_rows(k, v)}),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _is_rows(key: str, value: Any) -> bool:
    return key == "rows" and isinstance(value, list)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def details(value: Mapping[str, Any], depth: int = 0) -> list[dict[str, Any]]:
    """Names and texts, nested as the numbers are; long lists are cut, and say so."""
    out: list[dict[str, Any]] = []
    for key, entry in list(value.items())[:MAX_ENTRIES]:
        name = WORDS.get(str(key), shortened(str(key), 80).replace("_", " "))
        if isinstance(entry, Mapping) and depth < MAX_DEPTH:
            out.append({"name": name, "text": "–", "entries": details(entry, depth + 1)})
        else:
            out.append({"name": name, "text": _entry_text(str(key), entry), "entries": []})
    if len(value) > MAX_ENTRIES:
        out.append({"name": "…", "text": f"and {len(value) - MAX_ENTRIES} more", "entries": []})
    return out


def _entry_text(key: str, entry: Any) -> str:
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, list | tuple):
        if "interval" in key and len(entry) == 2 and all(is_number(v) for v in entry):
            return interval_text(entry)
        shown = [number(v) if v is None or is_number(v) else shortened(str(v), 60) for v in entry[:12]]
        return ", ".join(shown) + (f" and {len(entry) - 12} more" if len(entry) > 12 else "") or "none"
    return number(entry) if entry is None or is_number(entry) else shortened(str(entry), 400)


def verdict_summary(kinds: Sequence[tuple[str, str]]) -> str:
    """Which students may be used, in a sentence, from (name, kind of verdict) pairs.

    Examples
    --------
    >>> verdict_summary([("tree", "care"), ("formula", "use"), ("network", "use")])
    'To use as they are: formula and network. To use with care: tree.'
    """
    words = {"use": "To use as {it}", "care": "To use with care", "refuse": "Not to use", "none": "Not judged yet"}
    parts = []
    for kind, phrase in words.items():
        names = [shortened(name, 40) for name, own in kinds if own == kind]
        if names:
            listed = joined(names) if len(names) <= 8 else f"{', '.join(names[:7])} and {len(names) - 7} more"
            parts.append(f"{phrase.format(it='it is' if len(names) == 1 else 'they are')}: {listed}.")
    return " ".join(parts)
