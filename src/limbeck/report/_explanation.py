"""The page of an explanation: its document in, one offline HTML text out.

Source
------
Own.

Checked
-------
Unit tests: the same document gives the same bytes, hostile names stay text, what is missing or malformed is refused.

Cost
----
O(entries), and the bytes of a page below 3 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from limbeck._core.storage import write_file
from limbeck.report._embed import Scripts, clean
from limbeck.report._entries import read_document
from limbeck.report._explanation_pictures import Limits
from limbeck.report._explanation_read import read_explanation
from limbeck.report._explanation_values import Explanation
from limbeck.report._explanation_view import finding_lines, head, overview, row_view
from limbeck.report._shell import logo, shipped, templates, within_bounds
from limbeck.report._words import plural

__all__ = ["DOCUMENT", "render_explanation", "write_explanation"]

DOCUMENT = "explanation.json"
STYLES = ("base.css", "pictures.css", "explanation.css", "print.css")
LIMITS = (
    Limits(levels=10, units=80, pixels=224, rows=50, groups=40, parts=12),
    Limits(levels=6, units=40, pixels=128, rows=50, groups=20, parts=8),
    Limits(levels=4, units=24, pixels=64, rows=20, groups=10, parts=5),
    Limits(levels=3, units=12, pixels=32, rows=8, groups=5, parts=3),
    Limits(levels=2, units=12, pixels=32, rows=1, groups=5, parts=2),
)
"""What is shown of each row: less of it where the page would be too large."""


def write_explanation(folder: str | Path, path: str | Path) -> Path:
    """The path of the page, written from an explanation's folder: one HTML file below 3 MB that needs no network.

    Parameters
    ----------
    folder : path
        A folder with ``explanation.json``, as ``limbeck explain`` writes.
    path : path
        Where the page goes. It is written beside and renamed, so a kill leaves the old page or the new one.

    Raises
    ------
    StorageError
        Where the folder holds no explanation, its document can't be read, or `path` can't be written.
    InputError
        Where the document is malformed.
    """
    return write_file(path, render_explanation(read_document(Path(folder), DOCUMENT, "an explanation", "explain")))


def render_explanation(data: dict[str, Any]) -> str:
    """The page of an explanation as text: the same document gives the same page.

    Parameters
    ----------
    data : dict
        A parsed ``explanation.json``.

    Raises
    ------
    InputError
        Where it is not an explanation, or of another version; where an entry is missing, of another type, or not
        finite, or speaks of a unit or a group that there is none of; or where no page below 3 MB can show it.
    """
    found = read_explanation(data)
    refused = f"{plural(len(found.rows), 'row')}; explain fewer, or smaller ones"
    return within_bounds(lambda limits: _page(found, limits), LIMITS, refused)


def _page(found: Explanation, limits: Limits) -> str:
    style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
    scripts = Scripts()
    script = scripts.add(shipped("theme.js") + shipped("explanation.js"))
    rows = found.rows[: limits.rows]
    return clean(
        templates()
        .get_template("explanation.html.j2")
        .render(
            policy=scripts.policy(pictures=True),
            css=Markup(style),  # noqa: S704 - shipped with the package
            logo=logo(),
            head=head(found),
            overview=overview(rows, found.outputs),
            rows=[row_view(row, found.outputs, index, limits) for index, row in enumerate(rows)],
            findings=finding_lines(found.findings),
            thinned=_thinned(found, limits),
            script=script,
        )
    )


def _thinned(found: Explanation, limits: Limits) -> str:
    parts = []
    if limits is not LIMITS[0]:
        parts.append("To stay below 3 MB, fewer levels, units and pixels are shown than the document holds.")
    if len(found.rows) > limits.rows:
        parts.append(f"The first {plural(limits.rows, 'row')} of {len(found.rows)} are shown.")
    return f"{' '.join(parts)} {DOCUMENT} holds all of them." if parts else ""
