"""The page of policies: their document in, and a recording's where there is one, one offline HTML text out.

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
from limbeck.report._policy_again import again_lines
from limbeck.report._policy_front_svg import policy_front_svg
from limbeck.report._policy_read import read_policies
from limbeck.report._policy_values import Policies
from limbeck.report._policy_view import Limits, candidate_views, head, legend, return_lanes
from limbeck.report._recording import DOCUMENT as RECORDING
from limbeck.report._recording import PARTS
from limbeck.report._recording_read import read_recording
from limbeck.report._recording_values import Recorded, shorter_by
from limbeck.report._recording_view import episode_view
from limbeck.report._shell import logo, shipped, templates, within_bounds
from limbeck.report._words import plural

__all__ = ["DOCUMENT", "render_policy", "write_policy"]

DOCUMENT = "policy.json"
STYLES = (
    "base.css",
    "pictures.css",
    "explanation.css",
    "modules.css",
    "recording.css",
    "policy.css",
    "print.css",
)
LIMITS = (
    Limits(candidates=60, lines=150, differences=12, columns=10, code=20_000),
    Limits(candidates=30, lines=80, differences=8, columns=8, code=6_000),
    Limits(candidates=12, lines=40, differences=4, columns=6, code=2_000),
    Limits(candidates=4, lines=20, differences=2, columns=4, code=800),
)
"""What is shown: less of it where the page would be too large."""


def write_policy(folder: str | Path, path: str | Path) -> Path:
    """The path of the page, written from a folder of policies: one HTML file below 3 MB that needs no network.

    Parameters
    ----------
    folder : path
        A folder with ``policy.json``, as ``limbeck distill-policy`` writes; its ``recording.json``, which
        ``limbeck play`` writes, is shown too.
    path : path
        Where the page goes. It is written beside and renamed, so a kill leaves the old page or the new one.

    Raises
    ------
    StorageError
        Where the folder holds no policies, a document can't be read, or `path` can't be written.
    InputError
        Where a document is malformed.
    """
    folder = Path(folder)
    document = read_document(folder, DOCUMENT, "a folder of policies", "distill-policy")
    played = read_document(folder, RECORDING, "a recording", "play") if (folder / RECORDING).is_file() else None
    return write_file(path, render_policy(document, played))


def render_policy(document: dict[str, Any], recording: dict[str, Any] | None = None) -> str:
    """The page of policies as text: the same documents give the same page.

    Parameters
    ----------
    document : dict
        A parsed ``policy.json``.
    recording : dict, optional
        A parsed ``recording.json``; it is shown where a candidate of the document plays in it, or the teacher.

    Raises
    ------
    InputError
        Where they are no such documents, or of another version; where an entry is missing, of another type, not
        finite, or does not fit the others; or where no page below 3 MB can show them.
    """
    found = read_policies(document)
    played = None if recording is None else read_recording(recording)
    if played is not None and played.lines not in [(), *(one.lines for one in found.candidates)]:
        played = None  # of another run that was in the folder before
    steps = [(LIMITS[0], part) for part in PARTS] if played is not None else []
    steps += [(limits, PARTS[-1]) for limits in LIMITS]
    many = plural(len(found.candidates), "candidate")
    return within_bounds(lambda step: _page(found, played, *step), steps, f"{many}; use fewer students")


def _page(found: Policies, played: Recorded | None, limits: Limits, part: int) -> str:
    style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
    scripts = Scripts()
    sources = ["theme.js", "explanation.js", *(["recording.js"] if played is not None else [])]
    script = scripts.add("".join(map(shipped, sources)))
    views = candidate_views(found, limits)
    return clean(
        templates()
        .get_template("policy.html.j2")
        .render(
            policy=scripts.policy(pictures=True),
            css=Markup(style),  # noqa: S704 - shipped with the package
            logo=logo(),
            head=head(found),
            teacher=found.teacher,
            episode=None if played is None else episode_view(shorter_by(played, part)),
            wide=policy_front_svg(found, 1040, 460) if views else None,
            narrow=policy_front_svg(found, 400, 400) if views else None,
            legend=legend(found),
            candidates=views,
            returns=return_lanes(found, [view["index"] for view in views]),
            again=again_lines(found),
            thinned=_thinned(found, limits, len(views)),
            script=script,
        )
    )


def _thinned(found: Policies, limits: Limits, shown: int) -> str:
    parts = []
    if limits is not LIMITS[0]:
        parts.append("To stay below 3 MB, shorter texts and fewer differences are shown than there are.")
    if len(found.candidates) > shown:
        parts.append(f"{plural(shown, 'candidate')} of {len(found.candidates)} are shown.")
    return f"{' '.join(parts)} {DOCUMENT} holds everything." if parts else ""
