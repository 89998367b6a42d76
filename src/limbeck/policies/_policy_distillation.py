"""What `limbeck.distill_policy` returns: programs and trees that play, scored beside their teacher, with their findings.

Source
------
Own.

Cost
----
None: it holds what was computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError, LimbeckError, StorageError, did_you_mean
from limbeck._core.storage import as_json, refuse_foreign, write_file
from limbeck.checks import Finding
from limbeck.policies._episodes import Return
from limbeck.readable import readable_from_dict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOCUMENT", "PolicyCandidate", "PolicyDistillation", "policy_verdict"]

DOCUMENT, FORMAT, VERSION = "policy.json", "limbeck-policy", 1
MOST_TEXT_LINES = 12
"""A longer readable is cut in `PolicyDistillation.text`."""


@dataclass(frozen=True)
class PolicyCandidate:
    """A readable policy and what was found of it by playing.

    Attributes
    ----------
    name : str
        The student and its size: ``program_2`` (lines), ``tree_8`` (leaves).
    readable : ProgramPolicy or PolicyTree
        What a person reads; the score and the findings are about it.
    score : Return
        Of fresh episodes, on the same seeds as the teacher's.
    findings : tuple of Finding
        RC014 and RC015; RC016 to RC018 where the candidate is on the front.
    seconds : float
        What finding it took, with those that were found on the same way.
    returns : tuple of float
        The return for each seed of the score.
    search_return : float or None
        The mean return by which it was chosen, on other seeds.
    most_different : tuple of dict
        The states that it came to where it acts otherwise than the teacher and that matters most; see `differences`.
    """

    name: str
    readable: Any
    score: Return
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    returns: tuple[float, ...] = field(default=(), repr=False)
    search_return: float | None = None
    most_different: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def complexity(self) -> int:
        """Symbols that a person must read."""
        return int(self.readable.complexity)

    @property
    def family(self) -> str:
        """``program`` or ``policy_tree``."""
        return str(self.readable.family)

    @property
    def lines(self) -> int:
        """The lines of a program, the leaves of a tree."""
        return int(self.readable.n_lines if self.family == "program" else self.readable.n_leaves)

    @property
    def verdict(self) -> str:
        """``use``, ``use with care: ...`` or ``do not use: ...``."""
        return policy_verdict(self.findings)

    def finding(self, code: str) -> Finding | None:
        """The finding of this code, or None where the check was not run."""
        return next((finding for finding in self.findings if finding.code == code), None)

    @property
    def differences(self) -> pd.DataFrame:
        """The states where it differs from the teacher, those that matter most first.

        The columns of the row, then ``teacher`` and ``student`` (the actions) and ``weight`` (what the worst action
        costs there in the teacher's eyes), whatever the columns are called.
        """
        import pandas as pd

        rows = [
            [*one["observation"], one["teacher"], one["student"], one["weight"]] for one in self.most_different
        ]
        return pd.DataFrame(rows, columns=[*self.readable.schema.names, "teacher", "student", "weight"])

    def to_dict(self) -> dict[str, Any]:
        """The candidate as JSON types."""
        return {
            "name": self.name,
            "family": self.family,
            "readable": self.readable.to_dict(),
            "text": self.readable.text(),
            "complexity": self.complexity,
            "lines": self.lines,
            "score": self.score.to_dict(),
            "verdict": self.verdict,
            "findings": [finding.to_dict() for finding in self.findings],
            "returns": list(self.returns),
            "search_return": self.search_return,
            "seconds": self.seconds,
            "differences": [dict(one) for one in self.most_different],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PolicyCandidate:
        """The candidate that `to_dict` wrote."""
        readable = readable_from_dict(data["readable"])
        if readable.family not in ("program", "policy_tree"):
            raise InputError(f"a policy's readable is a program or a policy_tree; got {readable.family!r}")
        names, width = readable.output_names, len(readable.schema)
        different = tuple(dict(one) for one in data["differences"])
        for one in different:
            if len(one["observation"]) != width or not {one["teacher"], one["student"]} <= set(names):
                raise InputError(f"a difference needs {width} numbers and two actions of {list(names)[:9]}")
            one["observation"], one["weight"] = [float(v) for v in one["observation"]], float(one["weight"])
        return cls(
            str(data["name"]),
            readable,
            _read_return(data["score"]),
            tuple(Finding.from_dict(finding) for finding in data["findings"]),
            float(data["seconds"]),
            tuple(float(v) for v in data["returns"]),
            None if data.get("search_return") is None else float(data["search_return"]),
            different,
        )


def policy_verdict(findings: tuple[Finding, ...]) -> str:
    """The findings in one sentence: a failed RC014 or RC018 forbids the use, everything else asks for care."""
    by_code = {finding.code: finding for finding in findings}
    for code in ("RC018", "RC014"):
        if code in by_code and by_code[code].status == "fail":
            return f"do not use: {by_code[code].message}"
    if "RC014" not in by_code or by_code["RC014"].status == "not_applicable":
        return "use with care: its return was not held against the teacher's"
    open_ones = [f"{f.code} {f.status} ({f.title.lower()})" for f in findings if f.status in ("fail", "inconclusive")]
    return f"use with care: {', '.join(open_ones)}" if open_ones else "use"


def _read_return(data: Mapping[str, Any]) -> Return:
    numbers = {key: float(data[key]) for key in ("mean", "low", "high", "worst", "std_error")}
    return Return(**numbers, episodes=int(data["episodes"]))


@dataclass(frozen=True)
class PolicyDistillation:
    """Readable policies of one environment, from one line or two leaves up, beside their teacher.

    Attributes
    ----------
    candidates : tuple of PolicyCandidate
        In the order of the students, each from small to large.
    teacher, random : Return
        Of the teacher and of a random policy, on the seeds of the candidates' scores.
    record : dict
        The environment, its columns and actions, the seeds, the teacher's and the random policy's returns, notes.
    """

    candidates: tuple[PolicyCandidate, ...]
    teacher: Return
    random: Return
    record: Mapping[str, Any] = field(repr=False)

    @property
    def environment(self) -> str:
        """The environment's name."""
        return str(self.record["environment"])

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of an observation."""
        return tuple(self.record["columns"])

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions."""
        return tuple(self.record["actions"])

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the run."""
        return tuple(self.record["notes"])

    @property
    def complete(self) -> bool:
        """False where the run was interrupted and holds what was done by then."""
        return bool(self.record["complete"])

    def __getitem__(self, name: str) -> PolicyCandidate:
        """The candidate of this name."""
        for candidate in self.candidates:
            if candidate.name == name:
                return candidate
        known = [candidate.name for candidate in self.candidates]
        raise InputError(f"this run has the candidates {known}; got {name!r}.{did_you_mean(str(name), known)}")

    def table(self) -> pd.DataFrame:
        """A DataFrame with a row a candidate: its size, its return with interval and worst episode, its verdict."""
        import pandas as pd

        rows = [
            {
                "name": one.name,
                "family": one.family,
                "complexity": one.complexity,
                "lines": one.lines,
                "mean": one.score.mean,
                "low": one.score.low,
                "high": one.score.high,
                "worst": one.score.worst,
                "kept": _value(one.finding("RC014")),
                "agreement": _value(one.finding("RC015")),
                "verdict": one.verdict,
            }
            for one in self.candidates
        ]
        names = ("name", "family", "complexity", "lines", "mean", "low", "high", "worst", "kept", "agreement")
        return pd.DataFrame(rows, columns=[*names, "verdict"])

    def front(self) -> pd.DataFrame:
        """The candidates of which no other is as simple and plays as well, the simplest first."""
        table = self.table().sort_values(["complexity", "mean"], ascending=[True, False], kind="stable")
        best = table["mean"].cummax().shift(fill_value=-float("inf"))
        return table[table["mean"] > best].reset_index(drop=True)

    def best(self, max_complexity: int | None = None) -> PolicyCandidate:
        """The simplest candidate that plays within one standard error of the best one within the limit.

        Raises
        ------
        LimbeckError
            Where no candidate may be used within the limit, with what there is.

        Source
        ------
        Breiman1984 (the rule of one standard error).
        """
        fit = [
            one
            for one in self.candidates
            if not one.verdict.startswith("do not use") and (max_complexity is None or one.complexity <= max_complexity)
        ]
        if not fit:
            seen = "; ".join(
                f"{c.name}: complexity {c.complexity}, return {c.score.mean:.4g}, {c.verdict.split(':')[0]}"
                for c in self.candidates
            )
            raise LimbeckError(
                f"no candidate may be used with max_complexity={max_complexity}. There are: {seen or 'none'}."
            )
        top = max(fit, key=lambda one: one.score.mean)
        near = [one for one in fit if one.score.mean >= top.score.mean - top.score.std_error]
        return min(near, key=lambda one: (one.complexity, -one.score.mean))

    def text(self) -> str:
        """The teacher, a random policy, then the front from the simplest on, each written out."""
        lines = [
            f"{self.environment}: {len(self.actions)} actions from {len(self.columns)} columns",
            "",
            f"teacher  {_score(self.teacher)}",
            f"random   {_score(self.random)}",
        ]
        for name in self.front()["name"]:
            one = self[name]
            written = one.readable.text().splitlines()
            lines += ["", f"{one.name}  {_score(one.score)}, complexity {one.complexity}: {one.verdict}"]
            lines += [f"    {line}" for line in written[:MOST_TEXT_LINES]]
            if len(written) > MOST_TEXT_LINES:
                lines.append(f"    and {len(written) - MOST_TEXT_LINES} more lines")
        lines += ["", *(f"note: {note}" for note in self.notes)] if self.notes else []
        return "\n".join(_printable(line) for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        document = {
            "format": FORMAT,
            "version": VERSION,
            **self.record,
            "teacher": self.teacher.to_dict(),
            "random": self.random.to_dict(),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }
        return dict(as_json(document))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PolicyDistillation:
        """The result that `to_dict` wrote; anything malformed is refused, nothing runs.

        Raises
        ------
        InputError
        """
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise InputError(f"a policy's document has format {FORMAT!r}")
        if data.get("version") != VERSION:
            raise InputError(f"this limbeck reads policies of version {VERSION}; got {data.get('version')!r:.60}")
        made = ("format", "version", "teacher", "random", "candidates")
        try:
            record = {key: value for key, value in data.items() if key not in made}
            for key in ("environment", "columns", "actions", "notes", "complete", "seed", "seconds"):
                record[key]
            candidates = tuple(PolicyCandidate.from_dict(one) for one in data["candidates"])
            return cls(candidates, _read_return(data["teacher"]), _read_return(data["random"]), record)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"a policy's document is malformed: {error!r:.160}") from None

    def save(self, folder: str | Path) -> Path:
        """Write ``policy.json`` into a folder.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        """
        folder = Path(folder)
        refuse_foreign(folder, DOCUMENT, "policies")
        write_file(folder / DOCUMENT, json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False))
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> PolicyDistillation:
        """The result that `save` or ``limbeck distill-policy --out`` wrote. Nothing in the folder is run.

        Raises
        ------
        StorageError
            Where the folder holds no policies, or is damaged.
        """
        from limbeck.report._entries import read_document

        document = read_document(Path(folder), DOCUMENT, "a folder of policies", "distill-policy")
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise StorageError(f"{folder} is damaged: {error}") from error


def _value(finding: Finding | None) -> float:
    return float("nan") if finding is None or finding.value is None else finding.value


def _score(score: Return) -> str:
    return f"{score.mean:.4g} ({score.low:.4g} to {score.high:.4g}), worst {score.worst:.4g}"


def _printable(line: str) -> str:
    """A line without what a terminal would obey: names may come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
