"""The findings in a document, checked entry by entry.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from limbeck.report._entries import Entry, check_plain
from limbeck.report._words import STATUS_LABELS

__all__ = ["read_findings"]


def read_findings(entries: Entry) -> tuple[Mapping[str, Any], ...]:
    """The findings of a document, each as it stands there."""
    found = []
    for entry in entries.items():
        for key in ("code", "title", "message"):
            entry[key].text()
        entry["status"].one_of(tuple(STATUS_LABELS))
        for key in ("value", "threshold"):
            if entry[key].value is not None:
                entry[key].number()
        interval = entry["interval"]
        if interval.value is not None and len([end.number() for end in interval.items(2, 2)]) != 2:
            raise interval.wrong("two numbers or null")
        check_plain(entry["details"])
        found.append(dict(entry.value))
    return tuple(found)
