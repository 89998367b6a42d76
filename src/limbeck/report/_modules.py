"""The page of a network's modules: its document in, one offline HTML text out.

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
from limbeck.report._explanation_view import finding_lines
from limbeck.report._modules_again import again_lines
from limbeck.report._modules_cards import module_views
from limbeck.report._modules_circuits import circuits_view, specialisation_view
from limbeck.report._modules_read import read_modules
from limbeck.report._modules_values import Modules
from limbeck.report._modules_view import Limits, head, layer_views
from limbeck.report._shell import logo, shipped, templates, within_bounds
from limbeck.report._words import plural, shortened

__all__ = ["DOCUMENT", "render_modules", "write_modules"]

DOCUMENT = "modules.json"
STYLES = ("base.css", "pictures.css", "explanation.css", "modules.css", "print.css")
LIMITS = (
    Limits(layers=24, pixels=96, examples=10, text=8_000, circuits=80, labels=24),
    Limits(layers=12, pixels=64, examples=6, text=4_000, circuits=40, labels=16),
    Limits(layers=6, pixels=32, examples=4, text=2_000, circuits=20, labels=12),
    Limits(layers=4, pixels=24, examples=2, text=1_000, circuits=8, labels=10),
    Limits(layers=2, pixels=16, examples=1, text=400, circuits=4, labels=6),
)
"""What is shown: less of it where the page would be too large."""


def write_modules(folder: str | Path, path: str | Path) -> Path:
    """The path of the page, written from a folder of modules: one HTML file below 3 MB that needs no network.

    Parameters
    ----------
    folder : path
        A folder with ``modules.json``, as ``limbeck modules`` writes.
    path : path
        Where the page goes. It is written beside and renamed, so a kill leaves the old page or the new one.

    Raises
    ------
    StorageError
        Where the folder holds no modules, its document can't be read, or `path` can't be written.
    InputError
        Where the document is malformed.
    """
    return write_file(path, render_modules(read_document(Path(folder), DOCUMENT, "a folder of modules", "modules")))


def render_modules(document: dict[str, Any]) -> str:
    """The page of a network's modules as text: the same document gives the same page.

    Parameters
    ----------
    document : dict
        A parsed ``modules.json``.

    Raises
    ------
    InputError
        Where it is not a document of modules, or of another version; where an entry is missing, of another type, or
        not finite; where lists that must be of one length are not; or where no page below 3 MB can show it.
    """
    found = read_modules(document)
    shown = f"{plural(len(found.modules), 'module')} with {plural(len(found.outputs), 'output')}"
    return within_bounds(lambda limits: _page(found, limits), LIMITS, f"{shown}; use a smaller k, or fewer labels")


def _page(found: Modules, limits: Limits) -> str:
    style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
    scripts = Scripts()
    script = scripts.add(shipped("theme.js") + shipped("explanation.js"))
    return clean(
        templates()
        .get_template("modules.html.j2")
        .render(
            policy=scripts.policy(pictures=True),
            css=Markup(style),  # noqa: S704 - shipped with the package
            logo=logo(),
            head=head(found),
            layers=layer_views(found, limits),
            modules=module_views(found, limits),
            special=specialisation_view(found, limits),
            circuits=circuits_view(found, limits),
            findings=finding_lines(found.findings),
            again=again_lines(found),
            thinned=_thinned(found, limits),
            script=script,
        )
    )


def _thinned(found: Modules, limits: Limits) -> str:
    parts = []
    if limits is not LIMITS[0]:
        parts.append("To stay below 3 MB, fewer and smaller pictures and shorter texts are shown than there are.")
    if len(found.layers) > limits.layers:
        named = ", ".join(shortened(layer.name, 30) for layer in found.layers[limits.layers :][:8])
        parts.append(
            f"The first {plural(limits.layers, 'layer')} of {len(found.layers)} are shown; not shown: {named}."
        )
    return f"{' '.join(parts)} {DOCUMENT} holds everything." if parts else ""
