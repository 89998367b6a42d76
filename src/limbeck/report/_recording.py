"""The page of a recorded episode, and the episode as one animated picture: its document in, text out.

Source
------
Own.

Checked
-------
Unit tests: the same document gives the same bytes, hostile names stay text, what is missing or malformed is refused.

Cost
----
O(frames), and the bytes of a page below 3 MB.
"""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from limbeck.report._embed import Scripts, clean
from limbeck.report._recording_read import read_recording
from limbeck.report._recording_svg import animated_svg
from limbeck.report._recording_values import Recorded, shorter_by
from limbeck.report._recording_view import episode_view
from limbeck.report._shell import logo, shipped, templates, within_bounds
from limbeck.report._words import shortened

__all__ = ["DOCUMENT", "STYLES", "render_recording", "render_recording_svg"]

DOCUMENT = "recording.json"
STYLES = ("base.css", "pictures.css", "explanation.css", "recording.css", "print.css")
PARTS = (1, 2, 4, 8, 16)
"""By these parts an episode is cut where its page would be too large."""


def render_recording(document: dict[str, Any]) -> str:
    """The page of an episode as text: it plays in any browser and fetches nothing.

    Parameters
    ----------
    document : dict
        A parsed ``recording.json``.

    Raises
    ------
    InputError
        Where it is no recording, or of another version; where an entry is missing, of another type, not finite, or
        does not fit the others; or where no page below 3 MB can show it.
    """
    found = read_recording(document)
    return within_bounds(lambda part: _page(shorter_by(found, part)), PARTS, "so large a picture")


def render_recording_svg(document: dict[str, Any]) -> str:
    """The episode as one animated picture, which a browser plays wherever pictures are shown, also in a README.

    Parameters
    ----------
    document : dict
        A parsed ``recording.json``.

    Raises
    ------
    InputError
        As for `render_recording`.
    """
    found = read_recording(document)
    return within_bounds(lambda part: clean(animated_svg(shorter_by(found, part))), PARTS, "so large a picture")


def _page(found: Recorded) -> str:
    style = "\n".join(shipped(name) for name in STYLES).replace("DARK", shipped("dark.css"))
    scripts = Scripts()
    script = scripts.add(shipped("theme.js") + shipped("recording.js"))
    return clean(
        templates()
        .get_template("episode.html.j2")
        .render(
            policy=scripts.policy(pictures=True),
            css=Markup(style),  # noqa: S704 - shipped with the package
            logo=logo(),
            title=f"{shortened(found.player, 60)} plays {shortened(found.environment, 60)}",
            episode=episode_view(found),
            script=script,
        )
    )
