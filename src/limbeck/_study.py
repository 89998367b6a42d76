"""The study of smooth teachers: does distilling help a formula, and does a smooth teacher help it more?

The tables are in `_study_sets`, the protocol in `_study_trial`, how the trials are run and kept in `_study_run`, what
they say in `_study_verdict`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress
from limbeck._core.storage import write_file
from limbeck._study_run import Wanted, read_document, run_study
from limbeck._study_sets import QUICK_SETS, named_sets
from limbeck._study_trial import Protocol

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Study", "read_study", "study_smooth_teachers"]

QUICK_TRIALS = 5
LEAST_ROWS = 40


@dataclass(frozen=True)
class Study:
    """The trials of a study, and what they say.

    Attributes
    ----------
    folder : Path
        Where the journal lies.
    document : dict
        Everything, as JSON types: what `save` writes.
    complete : bool
        False after Ctrl-C.

    Examples
    --------
    >>> study = Study(Path("runs/study"), {"sets": [], "verdict": "0 of 0 trials are done."})
    >>> study.verdict, len(study.table())
    ('0 of 0 trials are done.', 0)
    """

    folder: Path
    document: dict[str, Any] = field(repr=False)
    complete: bool = True

    @property
    def verdict(self) -> str:
        """One paragraph: does distilling help, does smoothing help, by how much, with what certainty."""
        return str(self.document["verdict"])

    def table(self) -> pd.DataFrame:
        """One row a set and arm: means over its trials, on test rows, with the 95 % interval of R2."""
        import pandas as pd

        columns = ("set", "arm", "trials", "r2", "low", "high", "fidelity", "symbols", "teacher_r2")
        rows = [
            (
                one["name"],
                arm,
                one["trials"],
                *(found["r2"][key] for key in ("mean", "low", "high")),
                found["fidelity"]["mean"] if found["fidelity"] else None,
                found["symbols"],
                found["teacher_r2"],
            )
            for one in self.document["sets"]
            for arm, found in one["arms"].items()
        ]
        return pd.DataFrame(rows, columns=list(columns)).astype(dict.fromkeys(columns[3:], "float64"))

    def comparisons(self) -> pd.DataFrame:
        """One row a set and question, and one a question over all sets (``set`` is None): differences, p, sentence."""
        import pandas as pd

        columns = ["set", "arm", "against", "metric", "mean", "low", "high", "p", "p_holm", "outcome", "sentence"]
        rows = [{"set": one["name"], **found} for one in self.document["sets"] for found in one["comparisons"]]
        rows += [{"set": None, "p": found["p_sign"], **found} for found in self.document["overall"]]
        return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[4:9], "float64"))

    def save(self) -> Path:
        """Write ``study.json`` in the folder, whole or not at all.

        Raises
        ------
        StorageError
            Where it can't be written.
        """
        text = json.dumps(self.document, ensure_ascii=False, indent=1, allow_nan=False)
        return write_file(self.folder / "study.json", text + "\n")

    def report(self, path: str | Path | None = None) -> Path:
        """Write the page of the study; ``report.html`` in the folder where no path is given.

        Raises
        ------
        StorageError
            Where it can't be written.
        """
        from limbeck import report

        return write_file(self.folder / "report.html" if path is None else path, report.render_study(self.document))


def study_smooth_teachers(
    sets: Iterable[str] | None = None,
    trials: int | None = None,
    *,
    folder: str | Path = "runs/study",
    resume: bool = False,
    quick: bool = False,
    n_queries: int | None = None,
    max_rows: int | None = None,
    retry_failed: bool = False,
    random_state: int | None = None,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> Study:
    """The study of smooth teachers: a formula straight on y against three teachers, on paired splits of real tables.

    Each trial is a split of one table, the same for all arms; the arms are a formula fitted to y (the control), and
    formulas fitted to the answers of a plain teacher, one trained with a Jacobian and one with a Lipschitz penalty, all
    with one budget. Scores are R2 on test rows' true y and, for teachers, fidelity.

    Parameters
    ----------
    sets : list of str, optional
        Out of the study's twenty. By default all of them; where a study goes on, those that it has. Given then, only
        these are run now, and the study gets those that are new to it.
    trials : int, optional
        How many a set. By default 50; where a study goes on, as many as it has, so that more can be asked for later.
    folder : path
        Where the journal lies.
    resume : bool
        Go on with the study in the folder. Without it, a folder that has one is refused.
    quick : bool
        Five sets and five trials, with the same protocol: shows how it works, and is too few to decide anything.
    n_queries : int, optional
        How many rows, made by MUNGE, each teacher labels for its student beside the train rows (0).
    max_rows : int, optional
        How many rows of a set a trial draws at most (2,000).
    retry_failed : bool
        Run again the trials that failed; else they stay failed.
    random_state : int, optional
        The study's seed (0). One seed, one answer, in any order and number of processes.
    n_jobs : int or None
        Processes; None defers to ``joblib.parallel_config``, such as that of a dask cluster.
    progress : bool or function

    Returns
    -------
    Study
        After Ctrl-C, with what was done by then.

    Raises
    ------
    InputError
        For an unknown set, a bad number, a folder that has a study already (or none, with `resume`), or has one with
        other settings.
    StorageError
        Where the folder can't be written, or another process runs the study in it.
    LimbeckError
        Where a worker process died.

    Source
    ------
    Dhar2025. Departures: see `limbeck._study_trial`.

    Cost
    ----
    About half a minute of one core a trial.

    Examples
    --------
    >>> study_smooth_teachers(["airfoils"])
    Traceback (most recent call last):
    limbeck._core.errors.InputError: sets must be ... got 'airfoils'. Did you mean 'airfoil'?
    """
    asked = {"seed": random_state, "n_queries": n_queries, "max_rows": max_rows}
    for name, value, least in (
        ("trials", trials, 1),
        ("random_state", random_state, 0),
        ("n_queries", n_queries, 0),
        ("max_rows", max_rows, LEAST_ROWS),
    ):
        _refuse_number(name, value, least)
    if quick and (sets is not None or trials is not None):
        raise InputError("quick stands for five sets and five trials; leave out quick, or sets and trials")
    names = named_sets(QUICK_SETS if quick else sets) if quick or sets is not None else None
    wanted = Wanted(names, QUICK_TRIALS if quick else trials, {k: v for k, v in asked.items() if v is not None})
    document, complete = run_study(
        wanted, Protocol(), folder, resume=resume, retry=retry_failed, n_jobs=n_jobs, progress=progress
    )
    return Study(Path(folder).absolute(), document, complete)


def read_study(folder: str | Path) -> Study:
    """The study in the folder as far as it is, also while another process runs it; nothing is run.

    Raises
    ------
    InputError
        Where the folder has no study.
    """
    document = read_document(folder)
    progress = document["progress"]
    complete = progress["done"] + len(progress["failed"]) == progress["planned"]
    return Study(Path(folder).absolute(), document, complete)


def _refuse_number(name: str, value: Any, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{name} must be a whole number of at least {least}, or None; got {value!r:.60}")
