"""What was distilled, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from limbeck._core.storage import RunDocuments
from limbeck.report._findings import verdict_summary
from limbeck.report._students import StudentView
from limbeck.report._words import count, interval_text, is_number, joined, measure, plural, shortened

__all__ = ["about_run", "teacher_truth"]


def about_run(documents: RunDocuments, students: Sequence[StudentView]) -> dict[str, Any]:
    """Title, paragraphs and notes of the page's head."""
    run = documents.run
    teacher, data = _mapping(run.get("teacher")), _mapping(run.get("data"))
    versions = _mapping(run.get("versions"))
    finished = {student.name for student in students}
    asked = [str(name) for name in run.get("students") or [] if name not in finished]
    name = shortened(str(teacher.get("name") or "A teacher").removeprefix("the model "), 120)
    on = f" on {shortened(str(data['name']), 80)}" if data.get("name") else ""
    return {
        "title": f"{name}{on}, distilled",
        "version": str(versions.get("limbeck", "")),
        "created": _when(run.get("created")),
        "complete": bool(run.get("complete", True)),
        "lead": _lead(run, students),
        "paragraph": " ".join(_sentences(run, teacher, data, versions, students)),
        "notes": [shortened(str(note), 1000) for note in [*(teacher.get("notes") or []), *(run.get("notes") or [])]][
            :50
        ],
        "verdicts": verdict_summary([(student.name, student.kind) for student in students]),
        "missing": joined(asked),
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _when(created: Any) -> str:
    try:
        moment = datetime.fromisoformat(str(created))
    except ValueError:
        return str(created or "")
    zone = ""
    if moment.tzinfo is not None:
        moment, zone = moment.astimezone(UTC), " UTC"
    return f"{moment.day} {moment:%B %Y, %H:%M}{zone}"


def _lead(run: Mapping[str, Any], students: Sequence[StudentView]) -> str:
    names = [str(name) for name in run.get("target_names") or []] or ["its target"]
    what = joined([shortened(name, 60) for name in names[:4]]) + (
        f" and {len(names) - 4} more" if len(names) > 4 else ""
    )
    classes = run.get("output_names") or []
    kind = f"one of {len(classes)} classes of {what}" if run.get("task") == "classification" else what
    models = joined([_model(student) for student in students[:6]])
    if len(students) > 6:
        models += f" and {len(students) - 6} more"
    if not students:
        return f"A model that predicts {kind} was to be distilled; no student was finished."
    return (
        f"A model that predicts {kind} was asked for its answers, and {_counted(len(students))} simpler "
        f"{'model was' if len(students) == 1 else 'models were'} made to answer like it: {models}."
    )


def _model(student: StudentView) -> str:
    """``a tree``, or ``a formula (“short”)`` where the name says more than the family."""
    article = "an" if student.label[:1] in "aeiou" else "a"
    own = student.name.lower() in (student.family.lower(), student.label.lower())
    return f"{article} {student.label}" + ("" if own else f" (“{shortened(student.name, 40)}”)")


def _counted(n: int) -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return words[n] if n < len(words) else str(n)


def _sentences(
    run: Mapping[str, Any],
    teacher: Mapping[str, Any],
    data: Mapping[str, Any],
    versions: Mapping[str, Any],
    students: Sequence[StudentView],
) -> list[str]:
    out = []
    kind = f" ({shortened(str(teacher['kind']), 80)})" if teacher.get("kind") else ""
    if teacher.get("name"):
        asked = (
            f", and answered {plural(teacher['rows_asked'], 'row')} in all"
            if is_number(teacher.get("rows_asked"))
            else ""
        )
        out.append(f"The teacher is {shortened(str(teacher['name']), 200)}{kind}{asked}.")
    columns = plural(len(_mapping(run.get("schema")).get("columns") or []), "column")
    if is_number(data.get("rows")):
        parts = f"The data are {plural(data['rows'], 'row')} of {columns}"
        if is_number(data.get("held_out_rows")):
            parts += f", {count(data['held_out_rows'])} of them held out before anything else was done"
        out.append(f"{parts}.")
    if is_number(data.get("query_rows")) and data["query_rows"]:
        source = f", drawn by {shortened(str(data['query_source']), 80)}" if data.get("query_source") else ""
        made = f"The students learned from the teacher’s answers on {plural(data['query_rows'], 'query row')}{source}"
        if is_number(data.get("train_rows")):
            made += f", and on {plural(data['train_rows'], 'training row')}"
        out.append(f"{made}.")
    truth = _teacher_truth(students)
    if truth:
        out.append(truth)
    elif data.get("has_truth") is False:
        out.append("The truth of the rows is not known, so only fidelity to the teacher is judged, not accuracy.")
    facts = [f"Seed {run['seed']}"] if run.get("seed") is not None else []
    facts += [f"{shortened(str(key), 30)} {shortened(str(value), 40)}" for key, value in versions.items()]
    return [*out, f"{'; '.join(facts)}."] if facts else out


def teacher_truth(students: Sequence[StudentView]) -> float | None:
    """What the teacher itself reaches on the truth of the held-out rows, where RC001 says it."""
    for student in students:
        truth = _mapping(_mapping((student.finding("RC001") or {}).get("details")).get("truth"))
        value = _mapping(truth.get("teacher")).get("value")
        if value is not None and is_number(value):
            return float(value)
    return None


def _teacher_truth(students: Sequence[StudentView]) -> str:
    """How good the teacher itself is, where RC001 says it."""
    for student in students:
        truth = _mapping(_mapping((student.finding("RC001") or {}).get("details")).get("truth"))
        own = _mapping(truth.get("teacher"))
        if is_number(own.get("value")):
            metric = "an accuracy" if truth.get("metric") == "accuracy" else f"an {truth.get('metric') or 'score'}"
            pair = own.get("interval")
            known = isinstance(pair, list | tuple) and len(pair) == 2
            between = f" (95 % interval {interval_text(pair)})" if known else ""
            reached = f"{metric} of {measure(own['value'])}{between}"
            return f"On the truth of the held-out rows the teacher itself reaches {reached}."
    return ""
