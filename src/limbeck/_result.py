"""The result of a distillation: candidates with their findings, a front, and a folder that can be loaded again."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._clarity import Point
from limbeck._core.errors import InputError, LimbeckError, StorageError, did_you_mean
from limbeck._core.storage import RunDocuments, read_run, write_run
from limbeck._core.tables import Schema
from limbeck.checks import Finding
from limbeck.readable import Readable, readable_from_dict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Alternative", "Candidate", "Distillation", "load", "verdict"]

TABLE_COLUMNS = (
    "name",
    "family",
    "complexity",
    "fidelity",
    "low",
    "high",
    "truth",
    "teacher_truth",
    "verdict",
    "seconds",
)


@dataclass(frozen=True)
class Alternative:
    """Another model of the same family that the student found on its way: simpler or more accurate.

    `bic` and `mdl` (bits), where the family has them, weigh its length against its error on the rows it was fitted on.
    """

    complexity: int
    score: float
    readable: Readable
    bic: float | None = None
    mdl: float | None = None


@dataclass(frozen=True)
class Candidate:
    """One readable model and what was found of it.

    Attributes
    ----------
    name : str
        ``tree``, ``formula``, ``network``, or the user's own name.
    readable : Readable
        The frozen model that a person reads; the findings are about it.
    findings : tuple of Finding
        The verdicts of the reality checks.
    seconds : float
        What fitting it took.
    student : object or None
        The fitted scikit-learn estimator; None where the run was loaded from a folder.
    alternatives : tuple of Alternative
        The front inside the family, where the student keeps one.
    selection_score : float or None
        Fidelity on fresh queries that no student was fitted on; `Distillation.best` chooses by it.
    curve : tuple of Point
        What each size of the student reaches; `limbeck.tradeoff` makes a table of it.
    """

    name: str
    readable: Readable
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    student: Any = field(default=None, repr=False, compare=False)
    alternatives: tuple[Alternative, ...] = field(default=(), repr=False)
    selection_score: float | None = None
    curve: tuple[Point, ...] = field(default=(), repr=False)

    @property
    def family(self) -> str:
        """The readable's family."""
        return self.readable.family

    @property
    def complexity(self) -> int:
        """Symbols that a person must read."""
        return self.readable.complexity

    @property
    def verdict(self) -> str:
        """``use``, ``use with care: ...`` or ``do not use: ...``."""
        return verdict(self.findings)

    def finding(self, code: str) -> Finding | None:
        """The finding of this code, or None where the check was not run."""
        return next((finding for finding in self.findings if finding.code == code), None)

    @property
    def fidelity(self) -> float:
        """The value of RC001; NaN where there is none."""
        found = self.finding("RC001")
        return float("nan") if found is None or found.value is None else found.value

    def _summary(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "family": self.family,
            "complexity": self.complexity,
            "seconds": self.seconds,
            "verdict": self.verdict,
            "features_used": list(self.readable.features_used),
            "selection_score": self.selection_score,
            "findings": [finding.to_dict() for finding in self.findings],
            "curve": [point.to_dict() for point in self.curve],
        }

    def _document(self) -> dict[str, Any]:
        alternatives = [
            {
                "complexity": other.complexity,
                "score": other.score,
                "readable": other.readable.to_dict(),
                **{key: value for key, value in (("bic", other.bic), ("mdl", other.mdl)) if value is not None},
            }
            for other in self.alternatives
        ]
        return {**self._summary(), "readable": self.readable.to_dict(), "alternatives": alternatives}


def verdict(findings: Sequence[Finding]) -> str:
    """The findings in one sentence; only a failed RC001 forbids the use, everything else asks for care."""
    fidelity = next((finding for finding in findings if finding.code == "RC001"), None)
    if fidelity is None:
        return "use with care: its fidelity was not measured"
    if fidelity.status == "fail":
        return f"do not use: it is not faithful to the teacher; {fidelity.message}"
    open_ones = [f for f in findings if f.status in ("fail", "inconclusive") and f.code != "RC001"]
    reasons = [f"{f.code} {f.status} ({f.title.lower()})" if f.title else f"{f.code} {f.status}" for f in open_ones]
    if fidelity.status == "inconclusive":
        reasons.insert(0, "its fidelity is not certain to reach the threshold")
    if fidelity.status == "not_applicable":
        reasons.insert(0, "its fidelity can't be measured on these rows")
    return f"use with care: {', '.join(reasons)}" if reasons else "use"


@dataclass(frozen=True)
class Distillation:
    """What `limbeck.distill` returns: candidates, their front, and the record of the run.

    Attributes
    ----------
    candidates : tuple of Candidate
        In the order in which the students were asked for; those that failed are in `run["notes"]`.
    run : dict
        The record: teacher, data, seed, versions, columns, notes.
    arrays : dict of array
        Held-out rows (at most 1,000) and the answers on them.
    """

    candidates: tuple[Candidate, ...]
    run: dict[str, Any] = field(repr=False)
    arrays: dict[str, np.ndarray] = field(repr=False, default_factory=dict)

    @property
    def schema(self) -> Schema:
        """The columns of the rows."""
        return Schema.from_dict(self.run["schema"])

    @property
    def complete(self) -> bool:
        """False where the run was interrupted and holds what was done by then."""
        return bool(self.run["complete"])

    def __getitem__(self, name: str) -> Candidate:
        """The candidate of this name."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        known = [candidate.name for candidate in self.candidates]
        raise InputError(f"this run has the students {known}; got {name!r}.{did_you_mean(str(name), known)}")

    def table(self) -> pd.DataFrame:
        """A DataFrame with a row a candidate: complexity, fidelity with its interval, the truth, statuses, verdict."""
        import pandas as pd

        rows = []
        for candidate in self.candidates:
            found = candidate.finding("RC001")
            low, high = (None, None) if found is None or found.interval is None else found.interval
            truth = {} if found is None else found.details.get("truth", {})
            rows.append(
                {
                    "name": candidate.name,
                    "family": candidate.family,
                    "complexity": candidate.complexity,
                    "fidelity": candidate.fidelity,
                    "low": low,
                    "high": high,
                    "truth": truth.get("student", {}).get("value"),
                    "teacher_truth": truth.get("teacher", {}).get("value"),
                    "verdict": candidate.verdict,
                    "seconds": round(candidate.seconds, 2),
                }
            )
        return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))

    def front(self) -> pd.DataFrame:
        """The Pareto-best candidates, the least complex first: none has another both simpler and more faithful."""
        table = self.table().sort_values(["complexity", "fidelity"], ascending=[True, False], kind="stable")
        best, keep = -np.inf, []
        for fidelity in table["fidelity"]:
            keep.append(bool(fidelity > best))
            best = max(best, fidelity) if np.isfinite(fidelity) else best
        return table[keep].reset_index(drop=True)

    def best(self, max_complexity: int | None = None, min_fidelity: float | None = None) -> Candidate:
        """The most faithful candidate that may be used and is within the limits.

        It is chosen by its fidelity on fresh queries; the fidelity that is reported, and held against `min_fidelity`,
        is that on held-out rows.

        Raises
        ------
        LimbeckError
            Where no candidate is within the limits, with what came nearest.
        """
        fit = [
            candidate
            for candidate in self.candidates
            if not candidate.verdict.startswith("do not use")
            and (max_complexity is None or candidate.complexity <= max_complexity)
            and (min_fidelity is None or candidate.fidelity >= min_fidelity)
        ]
        if not fit:
            seen = "; ".join(
                f"{c.name}: complexity {c.complexity}, fidelity {c.fidelity:.3f}, {c.verdict.split(':')[0]}"
                for c in self.candidates
            )
            raise LimbeckError(
                f"no candidate may be used with max_complexity={max_complexity} and min_fidelity={min_fidelity}. "
                f"There are: {seen or 'none'}."
            )
        scores = [c.fidelity if c.selection_score is None else c.selection_score for c in fit]
        return fit[int(np.argmax(scores))]

    def save(self, folder: str | Path) -> Path:
        """The run's folder, written whole or not at all; a run that is there is replaced, anything else is not.

        Raises
        ------
        StorageError
            Where the folder holds something else, or can't be written.
        """
        return write_run(folder, self.documents())

    def documents(self) -> RunDocuments:
        """The run as plain data, as it is written."""
        summary = [candidate._summary() for candidate in self.candidates]
        shared = ("task", "output_names", "teacher", "data", "seed", "versions", "complete", "notes")
        results = {
            "format": "limbeck-results",
            "version": 1,
            **{key: self.run[key] for key in (*shared, "bill", "compression") if key in self.run or key in shared},
            "students": summary,
        }
        run = {**self.run, "students": [candidate.name for candidate in self.candidates]}
        students = {candidate.name: candidate._document() for candidate in self.candidates}
        return RunDocuments(run, results, students, self.arrays)

    def report(self, path: str | Path) -> Path:
        """One offline HTML file with everything a person wants to see of the run; returns where it lies."""
        from limbeck._core.storage import write_file
        from limbeck.report import render

        return write_file(path, render(self.documents()))

    def _repr_html_(self) -> str:
        """The table of candidates, for notebooks."""
        head = (
            f"<p>limbeck: {len(self.candidates)} readable models of {html.escape(str(self.run['teacher']['name']))}</p>"
        )
        return head + self.table().to_html(index=False, escape=True, float_format=lambda v: f"{v:.3f}")


def load(folder: str | Path) -> Distillation:
    """The distillation that `Distillation.save` or ``limbeck distill --out`` wrote.

    Nothing in the folder is run: it holds JSON and numbers, and expressions are read by a whitelist.

    Raises
    ------
    StorageError
        Where the folder is not a run or is damaged.
    """
    documents = read_run(folder)
    try:
        candidates = tuple(_candidate(documents.students[name]) for name in documents.run["students"])
        for key in ("schema", "task", "output_names", "teacher", "data", "seed", "versions", "complete", "notes"):
            if key not in documents.run:
                raise StorageError(f"{folder}/run.json lacks {key!r}")
        run = {key: value for key, value in documents.run.items() if key not in ("format", "version", "students")}
        Schema.from_dict(run["schema"])
    except (InputError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise StorageError(f"{folder} is damaged: {error}") from error
    return Distillation(candidates, run, documents.arrays)


def _candidate(document: dict[str, Any]) -> Candidate:
    alternatives = tuple(
        Alternative(
            int(other["complexity"]),
            float(other["score"]),
            readable_from_dict(other["readable"]),
            *(None if other.get(key) is None else float(other[key]) for key in ("bic", "mdl")),
        )
        for other in document.get("alternatives", [])
    )
    return Candidate(
        str(document["name"]),
        readable_from_dict(document["readable"]),
        tuple(Finding.from_dict(finding) for finding in document["findings"]),
        float(document["seconds"]),
        None,
        alternatives,
        document.get("selection_score"),
        tuple(Point.from_dict(point) for point in document.get("curve", [])),
    )
