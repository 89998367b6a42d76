"""The bill: what teacher and students cost to store and to ask, as a sentence, a table and a picture.

Checked
-------
tests/unit/test_report_bill.py: the numbers are those of the run; malformed and hostile bills stay text, and leave the
rest of the page as it is.

Cost
----
O(entries).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck._core.storage import RunDocuments
from limbeck.report._bill_svg import Bar, Measure, bill_svg
from limbeck.report._front_svg import tone
from limbeck.report._students import StudentView
from limbeck.report._words import joined, shortened

__all__ = ["bill_view", "bytes_text", "drawable", "memory_text", "time_text", "times_text"]

MAX_LINES, MAX_BARS, MANY_LINES = 60, 12, 8
LARGEST = 1e18
LEAST_MEMORY = 1e6
"""Less memory than this is not told from none."""
TEACHER = "teacher"
DISK, ONE, MANY, MEMORY = "bytes", "microseconds_1", "milliseconds_10000", "peak_bytes"


def bytes_text(value: float | None) -> str:
    """Bytes as a person reads them.

    Examples
    --------
    >>> [bytes_text(v) for v in (512, 7328, 6_423_370, 3.5e9, None)]
    ['512 bytes', '7.33 kB', '6.42 MB', '3.5 GB', '–']
    """
    if value is None:
        return "–"
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return f"{value:,.0f} bytes"


def time_text(seconds: float | None) -> str:
    """A time as a person reads it.

    Examples
    --------
    >>> [time_text(v) for v in (7.4e-7, 0.0213, 5.25, 5396, None)]
    ['0.74 µs', '21.3 ms', '5.25 s', '89.9 min', '–']
    """
    if seconds is None:
        return "–"
    if seconds < 1e-3:
        return f"{_three(1e6 * seconds)} µs"
    if seconds < 1:
        return f"{_three(1e3 * seconds)} ms"
    if seconds < 120:
        return f"{_three(seconds)} s"
    return f"{_three(seconds / 60)} min" if seconds < 7200 else f"{_three(seconds / 3600)} h"


def times_text(ratio: float) -> str:
    """How many times, to what can be relied on.

    Examples
    --------
    >>> [times_text(v) for v in (3012.4, 85.2, 5.21)]
    ['3,012', '85', '5.2']
    """
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _three(value: float) -> str:
    """Three significant digits, never as a power of ten."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:.3g}"


def drawable(value: Any) -> float | None:
    """The number, where it is one that can be drawn: not below 0, and not beyond reason."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if 0 <= found < LARGEST else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class _Entry:
    """One form of one model: seconds and bytes, or None."""

    name: str
    form: str
    note: str
    counted: str
    disk: float | None
    one: float | None
    many: float | None
    memory: float | None

    @property
    def is_teacher(self) -> bool:
        return self.name == TEACHER

    @property
    def short(self) -> str:
        """Name and form in few signs."""
        return f"{shortened(self.name, 40)}, {self.short_form}" if self.short_form else shortened(self.name, 40)

    @property
    def short_form(self) -> str:
        """``C`` for ``C, compiled (gcc -O3)``."""
        return shortened(self.form.partition(",")[0].partition(" (")[0], 20)


def memory_text(value: float | None) -> str:
    """Bytes of memory; what is not told from none is said to be below a megabyte."""
    return "below 1 MB" if value is not None and value <= LEAST_MEMORY else bytes_text(value)


Words = Callable[[float | None], str]
MEASURES: tuple[tuple[str, Callable[[_Entry], float | None], Words], ...] = (
    ("size on disk", lambda entry: entry.disk, bytes_text),
    ("one row takes", lambda entry: entry.one, time_text),
    ("10,000 rows take", lambda entry: entry.many, time_text),
    ("memory for 10,000 rows", lambda entry: entry.memory, memory_text),
)
HEADS = ("Size on disk", "One row takes", "10,000 rows take", "Rows a second", "Memory")


def _entries(bill: Mapping[str, Any]) -> list[_Entry]:
    """The entries that can be read, the teacher first."""
    found, out = bill.get("entries"), []
    for entry in found if isinstance(found, list) else ():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            continue
        form, note, counted = (_text(entry.get(key)) for key in ("form", "note", "bytes_of"))
        disk, one, many, memory = (drawable(entry.get(key)) for key in (DISK, ONE, MANY, MEMORY))
        out.append(
            _Entry(
                entry["name"],
                form,
                note,
                counted,
                disk or None,
                one / 1e6 if one else None,
                many / 1e3 if many else None,
                None if memory is None else max(memory, LEAST_MEMORY),
            )
        )
    return sorted(out, key=lambda entry: not entry.is_teacher)[:MAX_LINES]


def bill_view(documents: RunDocuments, students: Sequence[StudentView], start: int) -> dict[str, Any] | None:
    """What the section shows; None where the run holds no bill.

    Parameters
    ----------
    documents : RunDocuments
        The run.
    students : sequence of StudentView
        For their colours.
    start : int
        The student that the page opens with: the sentence speaks of it, where it is on the bill.
    """
    bill = documents.run.get("bill")
    entries = _entries(bill) if isinstance(bill, Mapping) else []
    if not isinstance(bill, Mapping) or not entries:
        return None
    tones = {student.name: tone(student.family, student.name) for student in students} | {TEACHER: TEACHER}
    teacher = next((entry for entry in entries if entry.is_teacher), None)
    others = [entry for entry in entries if not entry.is_teacher]
    wanted = students[start].name if 0 <= start < len(students) else ""
    spoken = next((entry for entry in others if entry.name == wanted), others[0] if others else None)
    main, more = _split(entries)
    drawn = main[:MAX_BARS]
    brief = _briefs(drawn)
    measures = [
        Measure(title, [_bar(entry, brief[i], value(entry), words, tones) for i, entry in enumerate(drawn)])
        for title, value, words in MEASURES
    ]
    return {
        "sentence": _sentence(teacher, spoken, others),
        "wide": bill_svg(measures, 1040),
        "narrow": bill_svg(measures, 400),
        "heads": HEADS,
        "tables": [[_line(entry, teacher, tones) for entry in part] for part in (main, more)],
        "conditions": _conditions(bill),
    }


def _split(entries: Sequence[_Entry]) -> tuple[list[_Entry], list[_Entry]]:
    """What is shown at once, and the rest: all forms where they are few, else the first form of each model."""
    if len(entries) <= MANY_LINES:
        return list(entries), []
    names: set[str] = set()
    parts: tuple[list[_Entry], list[_Entry]] = ([], [])
    for entry in entries:
        parts[entry.name in names].append(entry)
        names.add(entry.name)
    return parts


def _briefs(entries: Sequence[_Entry]) -> list[str]:
    """What tells the entries apart in few signs: the name where each has one form, the form where there is one name."""
    names = [entry.name for entry in entries if not entry.is_teacher]
    if len(set(names)) == len(names):
        return [entry.name for entry in entries]
    alone = len(set(names)) == 1
    return [entry.name if entry.is_teacher else entry.short_form if alone else entry.short for entry in entries]


def _bar(entry: _Entry, brief: str, value: float | None, words: Words, tones: Mapping[str, str]) -> Bar:
    return Bar(entry.short, brief, value, words(value), tones.get(entry.name, "other"))


def _against(teacher: float | None, own: float | None, better: str, worse: str) -> str:
    """``12 times faster``, ``3 times slower``, ``equal``; nothing where one is unknown."""
    if not teacher or not own:
        return ""
    ratio = teacher / own
    if 0.95 < ratio < 1.05:
        return "equal"
    return f"{times_text(ratio)} times {better}" if ratio > 1 else f"{times_text(1 / ratio)} times {worse}"


def _line(entry: _Entry, teacher: _Entry | None, tones: Mapping[str, str]) -> dict[str, Any]:
    rate = f"{float(f'{10_000 / entry.many:.3g}'):,.0f}" if entry.many else "–"
    words = [bytes_text(entry.disk), time_text(entry.one), time_text(entry.many), rate, memory_text(entry.memory)]
    times = ["", "", "", "", ""]
    if teacher is not None and not entry.is_teacher:
        times[0] = _against(teacher.disk, entry.disk, "smaller", "larger")
        times[1] = _against(teacher.one, entry.one, "faster", "slower")
        times[2] = _against(teacher.many, entry.many, "faster", "slower")
        times[4] = _against(teacher.memory, entry.memory, "less", "more").replace("equal", "")
    return {
        "name": shortened(entry.name, 40),
        "form": shortened(entry.form, 60),
        "note": shortened(entry.note, 400),
        "counted": shortened(entry.counted, 120),
        "tone": tones.get(entry.name, "other"),
        "teacher": entry.is_teacher,
        "cells": [(head, word, t.replace(" times", "×")) for head, word, t in zip(HEADS, words, times, strict=True)],
    }


def _sentence(teacher: _Entry | None, student: _Entry | None, others: Sequence[_Entry]) -> str:
    """What a person should take away, the better and the worse."""
    if teacher is None or student is None:
        return "What it costs to store the models and to ask them, measured in this run."
    name = shortened(student.name, 40)
    size = _against(teacher.disk, student.disk, "smaller than", "larger than").replace("equal", "as large as")
    one = _against(teacher.one, student.one, "faster", "slower").replace("equal", "as fast")
    many = _against(teacher.many, student.many, "faster", "slower").replace("equal", "as fast")
    said = [f"is {size} its teacher"] if size else []
    said += [f"answers one row {one}"] if one else []
    said += [f"{'' if one else 'answers '}10,000 rows {many}"] if many else []
    if not said:
        return f"Of the {name} and its teacher too little could be measured to compare them; the notes say why."
    text = f"The {name} {joined(said)}" + ("." if size else " compared with its teacher.")
    compiled = next((o for o in others if o.name == student.name and o.form.startswith("C,") and o.one), None)
    if compiled is not None and compiled.one and student.one and teacher.one and compiled.one < student.one:
        text += f" Compiled as C it answers one row {_against(teacher.one, compiled.one, 'faster', 'slower')}."
    return text


def _conditions(bill: Mapping[str, Any]) -> str:
    """On what it was measured."""
    machine, columns = bill.get("machine"), drawable(bill.get("columns"))
    where = f" on {shortened(machine, 160)}" if isinstance(machine, str) and machine else ""
    wide = f"; rows of {columns:,.0f} column{'s' if columns != 1 else ''}" if columns else ""
    return f"Measured in this run, on one thread{where}{wide}."
