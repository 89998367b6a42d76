"""A teacher as `ask` sees it: its answers checked, its speed measured, and how it is known again.

Departures
----------
A teacher is known again by its answers to up to `PROBES` rows of the data, to `ALIKE` of their size. Beforehand some of
them are asked for twice: a teacher whose answers then differ by more than `RANDOM` of their size is refused.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck._core.tables import Table

__all__ = ["CHUNK_S", "PROBES", "Probe", "answer", "name_outputs", "probe_teacher", "refuse_other_teacher"]

CHUNK_S = 1.0
"""About how long the teacher is asked at once."""

FEW = 4
PROBES = 64
ALIKE = 1e-5
RANDOM = 1e-4


@dataclass(frozen=True)
class Probe:
    """What is known of a teacher by asking it for a few rows.

    `overhead` is about what a call takes however few its rows are, `seconds_more` what each further row takes.
    """

    answers: np.ndarray
    asked: int
    overhead: float
    seconds_more: float
    name: str
    classes: tuple[Any, ...] | None


def probe_teacher(table: Table, teacher: Any, count: int | None = None) -> Probe:
    """The answers to the first `count` rows (`PROBES` where absent, or as many as take `CHUNK_S` seconds), asked twice.

    Raises
    ------
    TeacherError
        Where the teacher raises, its answers can't be used, or it answers the same rows differently the second time.
    """
    rows = table.take(np.arange(min(count or PROBES, len(table))))
    # A limbeck Teacher that was never asked verifies itself on the first rows that it gets: they should be many.
    at_once = bool(count) or getattr(teacher, "rows_verifying", 1) == 0
    few = min(FEW, len(rows))
    sizes = [len(rows), few] if at_once else [few]
    timed: list[tuple[int, float]] = []
    found: list[np.ndarray] = []
    while sizes:
        n = sizes.pop(0)
        start = time.perf_counter()
        found.append(answer(teacher, rows.take(np.arange(n)), found[0].shape[1] if found else None))
        timed.append((n, time.perf_counter() - start))
        if not at_once and len(timed) == 1:
            sizes.append(int(np.clip(CHUNK_S * n / max(timed[0][1], 1e-9), 1, len(rows))))
    _refuse_random(*sorted(found, key=len))
    (small, quick), (large, slow) = sorted(timed)
    each = slow / large
    if large > small:
        each = float(np.clip((slow - quick) / (large - small), each / 100, each))
    asked = sum(n for n, _ in timed)
    answers = max(found, key=len)
    return Probe(
        answers, asked, max(quick - small * each, 0.0), each, _name(teacher), _classes(teacher, answers.shape[1])
    )


def _refuse_random(answers: np.ndarray, again: np.ndarray) -> None:
    n = min(len(answers), len(again))
    gap = float(np.abs(answers[:n] - again[:n]).max())
    if gap > RANDOM * max(1.0, float(np.abs(answers[:n]).max())):
        raise TeacherError(
            f"the teacher's answers to the same {n} row(s) differ by up to {gap:.3g} between two calls: it is random, "
            "or a row's answer depends on the rows beside it. Turn dropout and sampling off."
        )


def _name(teacher: Any) -> str:
    name = getattr(teacher, "name", None)
    return name if isinstance(name, str) else getattr(teacher, "__qualname__", type(teacher).__qualname__)


def _classes(teacher: Any, n_outputs: int) -> tuple[Any, ...] | None:
    labels = getattr(teacher, "classes", None)
    return None if labels is None or len(labels) != n_outputs else tuple(_plain(label) for label in labels)


def _plain(label: Any) -> Any:
    label = label.item() if isinstance(label, np.generic) else label
    return label if isinstance(label, str | bool | int | float) else str(label)


def name_outputs(given: Sequence[str] | None, probe: Probe) -> tuple[str, ...]:
    k = probe.answers.shape[1]
    if given is not None:
        names = (given,) if isinstance(given, str) else tuple(str(name) for name in given)
        if len(names) != k or len(set(names)) != k:
            raise InputError(f"output_names must be {k} different names, one an output; got {list(names)[:12]}")
        return names
    if probe.classes is not None:
        return tuple(f"P({label})" for label in probe.classes)
    return ("answer",) if k == 1 else tuple(f"answer {j + 1}" for j in range(k))


def answer(teacher: Any, table: Table, n_outputs: int | None = None) -> np.ndarray:
    """The teacher's answers ``(n, k)`` in float64, each a finite number."""
    takes_table = getattr(teacher, "takes_table", hasattr(type(teacher), "rows_verifying"))
    try:
        raw = teacher(table if takes_table else table.native())
    except Exception as error:
        raise TeacherError(f"the teacher raised {type(error).__name__}: {str(error)[:300]}") from error
    if hasattr(raw, "detach"):
        raw = raw.detach().cpu().numpy()
    try:
        out = np.asarray(raw, dtype=np.float64)
    except (TypeError, ValueError):
        raise TeacherError(f"a teacher must answer with numbers; got {type(raw).__name__}: {raw!r:.80}") from None
    n = len(table)
    out = out.reshape(n, -1) if (out.ndim < 2 and out.size == n) or (n == 1 and out.ndim == 1) else out
    if out.ndim != 2 or len(out) != n or not out.shape[1] or (n_outputs is not None and out.shape[1] != n_outputs):
        want = f"({n}, {'k' if n_outputs is None else n_outputs})"
        raise TeacherError(f"a teacher must answer {n} rows with the shape {want}; got {out.shape}")
    bad = np.flatnonzero(~np.isfinite(out).all(axis=1))
    if len(bad):
        raise TeacherError(f"the teacher answered {len(bad)} of {n} rows with NaN or infinity, the first is {bad[0]}")
    return out


def refuse_other_teacher(stored: np.ndarray, now: np.ndarray, path: Path, name: str) -> None:
    gap = np.inf if stored.shape != now.shape else float(np.abs(stored - now).max())
    if not gap <= ALIKE * max(1.0, float(np.abs(stored).max())):
        raise StorageError(
            f"{path} holds the answers of another teacher ({name}): on the first {len(stored)} rows of the data its "
            f"answers differ from this one's by up to {gap:.3g}. Give the teacher that was asked, or a new folder."
        )
