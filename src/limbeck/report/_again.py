"""How the run is used again, and what its columns are."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck._core.storage import RunDocuments
from limbeck._core.tables import Column, Schema
from limbeck.report._students import StudentView
from limbeck.report._words import number, plural, shortened

__all__ = ["again_view"]

MAX_COLUMNS = 400
MAX_LEVELS = 12
KINDS = {"continuous": "number", "nominal": "levels", "ordinal": "ordered levels"}


def again_view(documents: RunDocuments, schema: Schema, students: Sequence[StudentView], start: int) -> dict[str, Any]:
    """Lines to load the run in Python and on the command line, and the table of columns."""
    best = students[start].name if students else "STUDENT"
    quoted, ranges = shlex.quote(best), documents.run.get("columns") or []
    columns = [
        _column_line(j, column, ranges[j] if j < len(ranges) else {}, students)
        for j, column in enumerate(schema.columns[:MAX_COLUMNS])
    ]
    more = len(schema) - len(columns)
    outputs = [shortened(str(name), 60) for name in documents.run.get("output_names") or []]
    python = [
        "import limbeck",
        "",
        'run = limbeck.load("RUN")',
        "print(run.front())",
        f"student = run.candidates[{max(start, 0)}]  # {_one_line(best)}",
        "answers = student.readable(X)  # X: a frame, or rows in the order below",
    ]
    shell = [
        "limbeck show RUN",
        f"limbeck show RUN {quoted}",
        f"limbeck export RUN --student {quoted} --to sql",
        f"limbeck predict RUN --student {quoted} --data rows.csv --out answers.csv",
        "limbeck report RUN",
    ]
    return {
        "python": "\n".join(python),
        "shell": "\n".join(shell),
        "columns": columns,
        "more": f"{plural(more, 'more column is', 'more columns are')} in run.json." if more else "",
        "outputs": ", ".join(outputs[:40]) + (f" and {len(outputs) - 40} more" if len(outputs) > 40 else ""),
    }


def _column_line(j: int, column: Column, middle: Mapping[str, Any], students: Sequence[StudentView]) -> dict[str, str]:
    centre = middle.get("middle")
    if column.levels:
        names = [shortened(name, 40) for name in column.level_names]
        more = f" and {len(names) - MAX_LEVELS} more" if len(names) > MAX_LEVELS else ""
        span, place = ", ".join(names[:MAX_LEVELS]) + more, "–"
        if isinstance(centre, int | float) and 0 <= centre < len(names):
            place = names[int(centre)]
    else:
        span, place = f"{number(middle.get('low'), 5)} to {number(middle.get('high'), 5)}", number(centre, 5)
    kind = KINDS[column.kind]
    if not column.levels and column.integer:
        kind = "yes or no" if column.dtype in ("bool", "boolean") else "whole number"
    readers = [shortened(student.name, 30) for student in students if j in student.readable.columns_used]
    return {"name": column.name, "kind": kind, "span": span, "middle": place, "read_by": ", ".join(readers) or "none"}


def _one_line(text: str) -> str:
    return shortened(" ".join(text.split()), 80)
