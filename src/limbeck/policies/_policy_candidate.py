"""One readable policy with its score, its findings, and the states where it differs from the teacher.

Source
------
Own.

Cost
----
None: it holds what was computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError
from limbeck.checks import Finding
from limbeck.policies._episodes import Return
from limbeck.readable import readable_from_dict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PolicyCandidate", "policy_verdict", "read_return"]

CODES = ("RC014", "RC015", "RC016", "RC017", "RC018")


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
    firing : tuple of float
        In what share of the states that it came to each guard or leaf decides, in the order of `readable.decisions`.
    """

    name: str
    readable: Any
    score: Return
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0
    returns: tuple[float, ...] = field(default=(), repr=False)
    search_return: float | None = None
    most_different: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    firing: tuple[float, ...] = field(default=(), repr=False)

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

        rows = [[*one["observation"], one["teacher"], one["student"], one["weight"]] for one in self.most_different]
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
            "firing": list(self.firing),
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
            read_return(data["score"]),
            tuple(Finding.from_dict(finding) for finding in data["findings"]),
            float(data["seconds"]),
            tuple(float(v) for v in data["returns"]),
            None if data.get("search_return") is None else float(data["search_return"]),
            different,
            tuple(float(v) for v in data.get("firing") or ()),
        )


def policy_verdict(findings: tuple[Finding, ...]) -> str:
    """The findings in one sentence: a failed RC014 or RC018 forbids the use, all else that is open asks for care."""
    by_code = {finding.code: finding for finding in findings}
    for code in ("RC018", "RC014"):
        if code in by_code and by_code[code].status == "fail":
            return f"do not use: {by_code[code].message}"
    if "RC014" not in by_code or by_code["RC014"].status == "not_applicable":
        return "use with care: its return was not held against the teacher's"
    open_ones = [f"{f.code} {f.status} ({f.title.lower()})" for f in findings if f.status in ("fail", "inconclusive")]
    missing = [code for code in CODES if code not in by_code]
    open_ones += [f"{', '.join(missing)} not run"] if missing else []
    return f"use with care: {', '.join(open_ones)}" if open_ones else "use"


def read_return(data: Mapping[str, Any]) -> Return:
    """The score that `Return.to_dict` wrote."""
    numbers = {key: float(data[key]) for key in ("mean", "low", "high", "worst", "std_error")}
    return Return(**numbers, episodes=int(data["episodes"]))
