"""The trials of a study, run in any number of processes and kept in a journal as they end.

Each finished trial is on the disk before the next is waited for, so a kill loses at most those that are being run, and
a study goes on where it ended. Only this process writes the journal; the trials may run in others, on other machines
too, and get their rows with the task. A trial is found again by its set, its number and the numbers of the protocol.

Cost
----
The rows of all trials that are to be run are held at once: about 0.1 MB a trial.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from limbeck._core.errors import InputError, LimbeckError, StorageError
from limbeck._core.journal import Journal, only_process
from limbeck._core.parallel import Failure, run_tasks
from limbeck._core.progress import Progress, Report, reporting
from limbeck._study_document import NAME, build_document
from limbeck._study_sets import SETS, StudyRows, read_set
from limbeck._study_trial import ARMS, FITS, SECONDS_A_TRIAL, Protocol, draw_rows, run_trial

__all__ = ["JOURNAL", "Wanted", "read_document", "run_study"]

TRIALS = 50
JOURNAL = "study.sqlite"
LOCK = "study.lock"
HEAD = {"study": NAME}
"""The key of what the journal says of the study as a whole."""

SAY_EVERY_S = 30.0


@dataclass(frozen=True)
class Wanted:
    """What the caller asks for; None is what the study in the folder has, or the default."""

    sets: tuple[str, ...] | None = None
    trials: int | None = None
    settings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The study: its numbers, its tables as the journal knows them, and how many trials each has."""

    protocol: Protocol
    tables: dict[str, dict[str, Any]]
    trials: int

    def key(self, name: str, trial: int) -> dict[str, Any]:
        return {"protocol": self.protocol.digest, "set": name, "trial": trial}

    def cells(self) -> Iterator[tuple[str, int]]:
        """Every trial: the first of each set, then the second of each, so that a part of the study is balanced."""
        for trial in range(self.trials):
            for name in self.tables:
                yield name, trial


def run_study(
    wanted: Wanted,
    protocol: Protocol,
    folder: str | Path,
    *,
    resume: bool = False,
    retry: bool = False,
    n_jobs: int | None = None,
    progress: Progress = False,
    trial: Callable[..., dict[str, Any]] | None = None,
) -> tuple[dict[str, Any], bool]:
    """The document of the study with this protocol, and False after Ctrl-C.

    Parameters
    ----------
    wanted : Wanted
    protocol : Protocol
        Its numbers where the folder has no study and `wanted` does not say.
    folder, resume, retry, n_jobs, progress
        As in `limbeck._study.study_smooth_teachers`.
    trial : function, optional
        In the place of `limbeck._study_trial.run_trial`.
    """
    folder = Path(folder).absolute()
    _refuse_folder(folder, resume)
    with Journal(folder / JOURNAL) as journal, only_process(folder / LOCK, f"running the study in {folder}"):
        with reporting(progress) as report:
            plan, rows = _prepare(journal, wanted, protocol, resume, folder)
            pending = _pending(journal, plan, wanted.sets, retry)
            rows = _read_rows(plan, rows, pending, folder)
            complete = _run_all(journal, plan, rows, pending, n_jobs, report, trial or run_trial)
        return _document(journal, plan), complete


def read_document(folder: str | Path) -> dict[str, Any]:
    """The document of the study in the folder as far as it is, also while another process runs it.

    Raises
    ------
    InputError
        Where the folder has no study.
    """
    folder = Path(folder).absolute()
    _refuse_folder(folder, resume=True)
    with Journal(folder / JOURNAL) as journal:
        head = journal.get(HEAD)
        if head is None:
            raise InputError(f"the study in {folder} has not begun; run it first")
        plan = Plan(_protocol_of(head), head["sets"], head["trials"])
        return _document(journal, plan)


def _protocol_of(head: Mapping[str, Any]) -> Protocol:
    names = {one.name for one in fields(Protocol)}
    given: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in head["protocol"].items() if key in names
    }
    return Protocol(**given)


def _refuse_folder(folder: Path, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise StorageError(f"{folder} is a file; a folder is required for the study's journal")
    there = (folder / JOURNAL).is_file()
    if resume and not there:
        raise InputError(f"there is no study to go on with in {folder}; leave out resume (--resume) to begin one")
    if there and not resume:
        with Journal(folder / JOURNAL) as journal:
            head = journal.get(HEAD)
            if head is not None:
                done, planned = max(0, len(journal) - 1), head["trials"] * len(head["sets"])
                raise InputError(
                    f"{folder} has a study, with {done} of {planned} trials; add resume (--resume) to go on with it, "
                    "or give another folder"
                )


def _prepare(
    journal: Journal, wanted: Wanted, protocol: Protocol, resume: bool, folder: Path
) -> tuple[Plan, dict[str, StudyRows]]:
    """The plan, with the tables read; the journal knows it before the first trial."""
    head = journal.get(HEAD) if resume else None
    stored = {} if head is None else {key: head["protocol"][key] for key in ("seed", "n_queries", "max_rows")}
    protocol = replace(protocol, **{**stored, **wanted.settings})
    if head is not None and head["protocol"] != protocol.to_dict():
        differ = _differences(head["protocol"], protocol.to_dict())
        raise InputError(f"the study in {folder} has {differ}; leave those out, or give another folder")
    known = {} if head is None else head["sets"]
    new = [name for name in wanted.sets or (SETS if head is None else ()) if name not in known]
    rows = {name: read_set(name) for name in new}
    own = {n: {"rows": len(one.y), "columns": len(one.table.schema), "mark": one.mark} for n, one in rows.items()}
    trials = wanted.trials or (TRIALS if head is None else head["trials"])
    plan = Plan(protocol, {**known, **own}, trials)
    journal.put(HEAD, {"protocol": protocol.to_dict(), "sets": plan.tables, "trials": trials})
    return plan, rows


def _differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]
    return ", ".join(f"{name} {one.get(name)!r} (asked: {other.get(name)!r})" for name in names)


def _pending(journal: Journal, plan: Plan, sets: tuple[str, ...] | None, retry: bool) -> list[tuple[str, int]]:
    """The trials that are to be run now."""
    cells = [cell for cell in plan.cells() if sets is None or cell[0] in sets]
    found = {cell: journal.get(plan.key(*cell)) for cell in cells}
    return [cell for cell, value in found.items() if value is None or (retry and "failed" in value)]


def _read_rows(
    plan: Plan, rows: Mapping[str, StudyRows], pending: list[tuple[str, int]], folder: Path
) -> dict[str, StudyRows]:
    """The tables of what is pending; a table that changed since the study began is refused."""
    out = {name: rows[name] if name in rows else read_set(name) for name in dict.fromkeys(name for name, _ in pending)}
    for name, one in out.items():
        if plan.tables[name]["mark"] != one.mark:
            raise InputError(f"the table {name} is not the one that the study in {folder} has; give another folder")
    return out


def _run_all(
    journal: Journal,
    plan: Plan,
    rows: Mapping[str, StudyRows],
    pending: list[tuple[str, int]],
    n_jobs: int | None,
    report: Report,
    trial: Callable[..., dict[str, Any]],
) -> bool:
    """Run and keep what is pending; False after Ctrl-C."""
    clock = _Clock(plan, len(pending), n_jobs, report)
    try:
        tasks = [_task(plan, rows[name], number) for name, number in pending]
        with warnings.catch_warnings(), closing(_one_by_one(trial, tasks, n_jobs)) as done:
            warnings.filterwarnings("ignore", message=".*tasks which were still being processed")
            for i, result in done:
                journal.put(plan.key(*pending[i]), _kept(result))
                clock.tick()
    except KeyboardInterrupt:
        return False
    except BrokenProcessPool as error:
        raise LimbeckError(
            f"a worker process died ({' '.join(str(error).split()):.200}); what is done is kept: go on with resume "
            "(--resume), with fewer processes where memory ran out"
        ) from error
    return True


def _one_by_one(trial: Any, tasks: list[tuple[Any, ...]], n_jobs: int | None) -> Any:
    yield from run_tasks(trial, tasks, n_jobs=n_jobs)


def _task(plan: Plan, one: StudyRows, trial: int) -> tuple[Any, ...]:
    index = draw_rows(plan.protocol, one.name, trial, len(one.y))
    return plan.protocol, one.name, trial, one.table.take(index), one.y[index]


def _kept(result: Any) -> dict[str, Any]:
    if isinstance(result, Failure):
        return {"failed": f"{result.kind}: {' '.join(result.message.split()):.300}"}
    return dict(result)


class _Clock:
    """Says how much is done and how long the rest takes."""

    def __init__(self, plan: Plan, pending: int, n_jobs: int | None, report: Report) -> None:
        from joblib import effective_n_jobs

        self.total, self.pending, self.report = plan.trials * len(plan.tables), pending, report
        self.start = self.said = time.perf_counter()
        self.done = 0
        jobs = max(1, min(effective_n_jobs(n_jobs), pending))
        there = self.total - pending
        text = f"plan: {pending:,} trials of {len(plan.tables)} sets" + (
            f" ({there:,} are not run now)" if there else ""
        )
        text += f", {len(ARMS) * FITS} formula searches and {(len(ARMS) - 1) * FITS} networks each, in {jobs} process"
        text += f"{'es' if jobs > 1 else ''}: about {_duration(pending * SECONDS_A_TRIAL / jobs)}"
        report(text, 0, 0)
        report("trials", there, self.total)

    def tick(self) -> None:
        """One more is done."""
        self.done += 1
        now = time.perf_counter()
        self.report("trials", self.total - self.pending + self.done, self.total)
        if self.done < self.pending and (self.done == 1 or now - self.said > SAY_EVERY_S):
            left = (now - self.start) / self.done * (self.pending - self.done)
            self.report(f"{self.done:,} of {self.pending:,} trials, about {_duration(left)} left", 0, 0)
            self.said = now


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _document(journal: Journal, plan: Plan) -> dict[str, Any]:
    trials: dict[str, dict[int, Any]] = {name: {} for name in plan.tables}
    failed = []
    for name, number in plan.cells():
        found = journal.get(plan.key(name, number))
        if found is not None and "failed" in found:
            failed.append({"set": name, "trial": number, "what": found["failed"]})
        elif found is not None:
            trials[name][number] = found["arms"]
    tables = {name: {"rows": one["rows"], "columns": one["columns"]} for name, one in plan.tables.items()}
    return build_document(plan.protocol.to_dict(), tables, trials, failed, plan.trials * len(plan.tables))
