"""Data and programs inside a page, so that nothing in them can end their block; and the page's size, within bounds.

The page's Content-Security-Policy names each script by its SHA-256, so that no other script runs, whatever a name in
the data says, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

__all__ = ["Budget", "Scripts", "clean", "json_block", "script_text"]

_NONE = "'none'"
_ENDS_SCRIPT = re.compile(r"<(?=[/!]|script)", re.IGNORECASE)


def clean(text: str) -> str:
    """The text as an HTML parser will hand it on: one kind of line end, no NUL, no half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")


def json_block(value: Any) -> Markup:
    """JSON for a data block: compact, and without ``<``, ``>`` or ``&``; what is not a finite number is null."""
    text = json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(clean(text))  # noqa: S704


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value


def script_text(source: str) -> str:
    r"""JavaScript whose strings and comments can't end the script block; the program stays the same.

    Examples
    --------
    >>> script_text("const name = '</script><!-- '; // <script>")
    "const name = '\\x3c/script>\\x3c!-- '; // \\x3cscript>"
    """
    return _ENDS_SCRIPT.sub(r"\\x3c", clean(source))


@dataclass
class Scripts:
    """The page's scripts, in order, and the policy that allows exactly them."""

    texts: list[Markup] = field(default_factory=list)

    def add(self, source: str) -> Markup:
        """The script's text, to be written between its tags as it is."""
        text = Markup(script_text(source))  # noqa: S704
        self.texts.append(text)
        return text

    def policy(self, *, pictures: bool = False) -> str:
        """The Content-Security-Policy: these scripts, inline styles, nothing fetched; pictures only from the page."""
        digests = [hashlib.sha256(text.encode("utf-8")).digest() for text in self.texts]
        hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)
        return (
            f"default-src 'none'; script-src {hashes or _NONE}; style-src 'unsafe-inline'; "
            f"{'img-src data:; ' if pictures else ''}base-uri 'none'; form-action 'none'"
        )


@dataclass
class Budget:
    """What the page may still hold, in bytes."""

    left: int

    def take(self, *texts: str) -> bool:
        """True, and the bytes are taken, where all the texts fit together."""
        size = sum(len(text.encode("utf-8")) for text in texts)
        if size > self.left:
            return False
        self.left -= size
        return True
