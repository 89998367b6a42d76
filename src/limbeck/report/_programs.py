"""The students as programs: the JavaScript that runs in the page, and the exports to copy.

What would be long is not even written, and what does not fit is named with the command that writes it.

Cost
----
One export a student and target, a network's in proportion to its weights: as arrays where the target has them.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from limbeck._core.errors import InputError
from limbeck.readable import NetworkReadable, Readable, SoftTreeReadable
from limbeck.readable._targets import EXPORTERS, exporter_of
from limbeck.report._embed import Budget, Scripts
from limbeck.report._students import StudentView

__all__ = ["TARGETS", "RunningProgram", "command", "exports_of", "running_program", "size_text"]

TARGETS = {
    "python": ("Python", "py"),
    "sql": ("SQL", "sql"),
    "c": ("C", "c"),
    "javascript": ("JavaScript", "js"),
    "latex": ("LaTeX", "tex"),
}
"""What the page offers, in this order."""

MAX_EXPORT = 200_000
LEAST_EXPORT = 1_000
MAX_RUNNING = 1_000_000
BYTES_A_WEIGHT = 26
BYTES_A_BYTE = {"javascript": 1.3, "python": 1.3, "c": 2.5}
"""At least so much text, in bytes, for each byte of a network's weights, where arrays are written."""

_HEAD = '(() => {\n"use strict";\nlet module;\n'
_TAIL = "\n(window.limbeckStudents = window.limbeckStudents || {{}})[{index}] = predict;\n}})();"


@dataclass(frozen=True)
class RunningProgram:
    """A student's JavaScript in the page: its block, and where in it the export itself begins and ends."""

    index: int
    text: str
    start: int
    end: int


def command(name: str, target: str) -> str:
    """The command line that writes this export."""
    return f"limbeck export RUN --student {shlex.quote(name)} --to {target}"


def size_text(size: int) -> str:
    """A size as a person says it: ``812 bytes``, ``14 kB``."""
    return f"{size} bytes" if size < 2_000 else f"{size / 1000:,.0f} kB"


def _write(student: StudentView, target: str) -> str:
    """The export; the program that the printers of symbols take is built once for all of them."""
    own = exporter_of(student.readable.family, target)
    written = EXPORTERS[target](student.program) if own is None else own(student.readable)
    return written.decode("utf-8") if isinstance(written, bytes) else written


def _expected(readable: Readable, target: str) -> int:
    """About how long an export will be, known before anything is built; no more than it is for a model of symbols."""
    if isinstance(readable, NetworkReadable):
        if target in BYTES_A_BYTE:
            return int(readable.n_bytes * BYTES_A_BYTE[target])
        return sum(int((layer.weight != 0).sum()) + len(layer.bias) for layer in readable.layers) * BYTES_A_WEIGHT
    if isinstance(readable, SoftTreeReadable):
        return int((readable.weight != 0).sum()) * BYTES_A_WEIGHT + readable.n_leaves * len(readable.output_names)
    return readable.complexity


def running_program(student: StudentView, budget: Budget, scripts: Scripts) -> RunningProgram | str:
    """The student's own JavaScript export as a block of the page; a sentence where it can't be in the page."""
    if _expected(student.readable, "javascript") > min(MAX_RUNNING, budget.left):
        return f"{student.name} is too large to be computed in this page; use: {command(student.name, 'javascript')}"
    try:
        source = _write(student, "javascript")
    except (InputError, RecursionError) as error:
        return f"{student.name} can't be written in JavaScript: {_reason(error)}"
    text = _HEAD + source + _TAIL.format(index=student.index)
    if len(text) > MAX_RUNNING or not budget.take(text):
        return f"{student.name} is too large to be computed in this page; use: {command(student.name, 'javascript')}"
    tail = len(_TAIL.format(index=student.index))
    return RunningProgram(student.index, scripts.add(text), len(_HEAD), tail)


def exports_of(student: StudentView, running: RunningProgram | str, budget: Budget) -> list[dict[str, Any]]:
    """The student in each target: its text, or a sentence and the command that writes it."""
    out = []
    for target, (label, ending) in TARGETS.items():
        entry: dict[str, Any] = {"target": target, "label": label, "file": f"{_file_name(student.name)}.{ending}"}
        entry |= {"text": "", "sentence": "", "command": "", "script": None, "size": ""}
        if target == "javascript" and isinstance(running, RunningProgram):
            block = {"id": f"program-{running.index}", "start": running.start, "end": running.end}
            size = len(running.text) - running.start - running.end
            out.append({**entry, "script": block, "size": size_text(size)})
        else:
            out.append({**entry, **_text_or_sentence(student, target, budget)})
    return out


def _text_or_sentence(student: StudentView, target: str, budget: Budget) -> dict[str, Any]:
    line = command(student.name, target)
    if _expected(student.readable, target) > MAX_EXPORT:
        return {"sentence": "This export is long, so the page does not hold it. To write it:", "command": line}
    if budget.left < LEAST_EXPORT:
        return {"sentence": "The page is full, so it does not hold this export. To write it:", "command": line}
    try:
        text = _write(student, target)
    except (InputError, RecursionError) as error:
        return {"sentence": f"This export can't be written: {_reason(error)}", "command": line}
    size = len(text.encode("utf-8", "replace"))
    # Escaping for HTML makes some characters longer; a tenth more is more than that
    if size > MAX_EXPORT or not budget.take(text, " " * (size // 10)):
        return {
            "sentence": f"This export is {size_text(size)}, so the page does not hold it. To write it:",
            "command": line,
        }
    # A parser turns a bare carriage return into a line end; a column's name may hold one
    kept = Markup(escape(text).replace("\r", Markup("&#13;")))  # noqa: S704 - escaped
    return {"text": kept, "size": size_text(size)}


def _reason(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:300]


def _file_name(name: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)[:60].strip(".-")
    return kept or "student"
