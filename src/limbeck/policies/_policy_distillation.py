"""What `limbeck.distill_policy` returns: programs and trees that play, scored and judged beside their teacher.

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
from limbeck.policies._policy_candidate import PolicyCandidate, read_return

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOCUMENT", "PolicyDistillation", "printable"]

DOCUMENT, FORMAT, VERSION = "policy.json", "limbeck-policy", 1
MOST_TEXT_LINES = 12
"""A longer readable is cut in `PolicyDistillation.text`."""


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
        return "\n".join(printable(line) for line in lines)

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
            candidates = tuple(PolicyCandidate.from_dict(one) for one in data["candidates"])
            _check_record(record, candidates)
            return cls(candidates, read_return(data["teacher"]), read_return(data["random"]), record)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"a policy's document is malformed: {error!r:.160}") from None

    def save(self, folder: str | Path) -> Path:
        """Write ``policy.json`` and ``report.html`` into a folder.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        """
        from limbeck.report import write_policy

        folder = Path(folder)
        refuse_foreign(folder, DOCUMENT, "policies")
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        write_file(folder / DOCUMENT, text.encode("utf-8", "replace"))
        write_policy(folder, folder / "report.html")
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


def _check_record(record: Mapping[str, Any], candidates: tuple[PolicyCandidate, ...]) -> None:
    """Refuse a record that lacks what a reader needs, or that is about other columns than the candidates."""
    from limbeck.report._entries import Entry

    entry = Entry(record, DOCUMENT, "Run `limbeck distill-policy` again.")
    entry["environment"].text()
    entry["seed"].count()
    entry["seconds"].number(0.0)
    names = {key: [one.text() for one in entry[key].items()] for key in ("columns", "actions", "changes", "notes")}
    if not isinstance(entry["complete"].value, bool):
        raise entry["complete"].wrong("true or false")
    for one in candidates:
        seen = list(one.readable.schema.names[: one.readable.n_observed])
        if seen != names["columns"] or list(one.readable.output_names) != names["actions"]:
            raise InputError(f"{DOCUMENT}: the columns of the candidates, and their actions, must be those of the run")


def _value(finding: Finding | None) -> float:
    return float("nan") if finding is None or finding.value is None else finding.value


def _score(score: Return) -> str:
    return f"{score.mean:.4g} ({score.low:.4g} to {score.high:.4g}), worst {score.worst:.4g}"


def printable(line: str) -> str:
    """A line without what a terminal would obey: names may come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
