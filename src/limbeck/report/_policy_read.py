"""A document of policies as frozen values: what is missing or malformed is refused, with its place in the document.

Source
------
Own: the document that `limbeck distill-policy` writes, ``policy.json``.

Cost
----
O(entries).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.report._entries import Entry, top_entry
from limbeck.report._finding_entries import read_findings
from limbeck.report._policy_values import Difference, PlayedCandidate, Policies, Score
from limbeck.report._recording_read import read_policy_readable

__all__ = ["read_policies"]

FORMAT, VERSION = "limbeck-policy", 1
MAX_CANDIDATES, MAX_COLUMNS, MAX_ACTIONS, MAX_EPISODES = 1_000, 10_000, 1_000, 100_000
AGAIN = "Write the document again with `limbeck distill-policy`."


def read_policies(data: Any) -> Policies:
    """The policies in a parsed ``policy.json``.

    Raises
    ------
    InputError
        Where it is not a document of policies, is of another version, or an entry is missing, is of another type, is a
        number that is not finite, or where two entries that must have one number of items have not.
    """
    top = top_entry(
        data,
        "policy.json",
        (FORMAT, VERSION),
        ("a document of policies", "documents of policies"),
        "distill-policy",
        AGAIN,
    )
    columns, actions = _texts(top["columns"], 1, MAX_COLUMNS), _texts(top["actions"], 1, MAX_ACTIONS)
    seeds = tuple(one.count() for one in top["seeds"].items(1, MAX_EPISODES))
    if not isinstance(top["complete"].value, bool):
        raise top["complete"].wrong("true or false")
    candidates = top["candidates"].items(0, MAX_CANDIDATES)
    return Policies(
        environment=top["environment"].text(),
        columns=columns,
        actions=actions,
        changes=_texts(top["changes"]),
        kind=top["kind"].text(),
        students=_texts(top["students"]),
        budget_s=top["budget_s"].number(0.0),
        seconds=top["seconds"].number(0.0),
        states=top["states"].count(),
        seed=top["seed"].count(),
        complete=top["complete"].value,
        notes=_texts(top["notes"]),
        seeds=seeds,
        teacher=_score(top["teacher"]),
        random=_score(top["random"]),
        teacher_returns=_returns(top["teacher_returns"], len(seeds)),
        random_returns=_returns(top["random_returns"], len(seeds)),
        candidates=tuple(_candidate(one, columns, actions, len(seeds)) for one in candidates),
    )


def _texts(entry: Entry, least: int = 0, most: int | None = None) -> tuple[str, ...]:
    return tuple(one.text() for one in entry.items(least, most))


def _score(entry: Entry) -> Score:
    names = ("mean", "low", "high", "worst", "std_error")
    mean, low, high, worst, error = (entry[name].number() for name in names)
    if low > high:
        raise entry.wrong("an interval whose low end is not above its high end")
    return Score(mean, low, high, worst, error, entry["episodes"].count())


def _returns(entry: Entry, many: int) -> np.ndarray:
    found = entry.numbers()
    if len(found) != many:
        raise InputError(f"{entry.at} must hold {many} numbers, one a seed; got {len(found)}. {AGAIN}")
    return found


def _candidate(entry: Entry, columns: tuple[str, ...], actions: tuple[str, ...], episodes: int) -> PlayedCandidate:
    readable = read_policy_readable(entry["readable"], columns, actions)
    seen = tuple(readable.schema.names)
    return PlayedCandidate(
        name=entry["name"].text(),
        family=str(readable.family),
        readable=readable,
        lines=readable.lines(),
        decisions=tuple(readable.decisions),
        columns=seen,
        size=int(readable.n_lines if readable.family == "program" else readable.n_leaves),
        complexity=int(readable.complexity),
        score=_score(entry["score"]),
        verdict=entry["verdict"].text(),
        findings=read_findings(entry["findings"]),
        returns=_returns(entry["returns"], episodes),
        seconds=entry["seconds"].number(0.0),
        firing=_firing(entry, len(readable.decisions)),
        differences=tuple(_difference(one, len(seen), actions) for one in entry["differences"].items()),
    )


def _firing(entry: Entry, many: int) -> tuple[float, ...]:
    """The share of states of each guard or leaf; empty where it is not known."""
    found = entry.get("firing")
    if found is None or found.value == []:
        return ()
    shares = found.numbers(0.0, 1.0)
    if len(shares) != many:
        raise InputError(f"{found.at} must hold {many} shares, one a guard or leaf; got {len(shares)}. {AGAIN}")
    return tuple(shares.tolist())


def _difference(entry: Entry, columns: int, actions: tuple[str, ...]) -> Difference:
    seen = entry["observation"].numbers()
    if len(seen) != columns:
        raise InputError(
            f"{entry['observation'].at} must hold {columns} numbers, one a column; got {len(seen)}. {AGAIN}"
        )
    teacher, student = (entry[who].text() for who in ("teacher", "student"))
    for who, name in (("teacher", teacher), ("student", student)):
        if name not in actions:
            raise entry[who].wrong("one of the actions")
    return Difference(seen, teacher, student, entry["weight"].number())
