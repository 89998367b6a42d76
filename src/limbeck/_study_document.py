"""The study's results as one plain document: what study.json holds and the report draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck._study_verdict import FLOOR, LABELS, Trials, compare_all, count_clipped, interval, verdict_text

__all__ = ["build_document"]

SCHEMA = 1
NAME = "smooth-teachers"


def build_document(
    settings: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, int]],
    trials: Trials,
    failed: Sequence[Mapping[str, Any]],
    planned: int,
) -> dict[str, Any]:
    """Everything that the trials say, as JSON types.

    Parameters
    ----------
    settings : mapping
        The numbers of the protocol.
    tables : mapping
        For each set ``{"rows": ..., "columns": ...}``.
    trials : mapping
        What was reached, by set, trial number and arm; a set without a trial is there and empty.
    failed : sequence of mappings
        ``{"set": ..., "trial": ..., "what": ...}``.
    planned : int
        How many trials the study has in all.
    """
    comparisons, overall = compare_all(trials)
    done, clipped = sum(map(len, trials.values())), count_clipped(trials)
    return {
        "schema": SCHEMA,
        "kind": "study",
        "name": NAME,
        "settings": {**settings, "r2_floor": FLOOR},
        "arms": [{"name": name, "label": label} for name, label in LABELS.items()],
        "progress": {"done": done, "planned": planned, "failed": list(failed), "clipped": clipped},
        "sets": [
            {
                "name": name,
                **tables[name],
                "trials": len(by_trial),
                "arms": {arm: _arm([arms[arm] for _, arms in sorted(by_trial.items())]) for arm in LABELS},
                "comparisons": comparisons[name],
                "formulas": {arm: _typical(by_trial, arm) for arm in LABELS} if by_trial else {},
            }
            for name, by_trial in trials.items()
        ],
        "overall": overall,
        "verdict": verdict_text(overall, done=done, planned=planned, failed=len(failed), clipped=clipped),
        "points": _points(trials),
    }


def _arm(reached: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the trials of one arm on one set."""
    fidelity = _floored(reached, "fidelity")
    return {
        "r2": _with_interval(_floored(reached, "r2")),
        "fidelity": _with_interval(fidelity) if fidelity else None,
        "symbols": interval([one["symbols"] for one in reached])[0],
        "teacher_r2": interval(_floored(reached, "teacher_r2"))[0],
        "slope": interval([one["slope"] for one in reached if one["slope"] is not None])[0],
    }


def _floored(reached: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    return [max(FLOOR, one[metric]) for one in reached if one[metric] is not None]


def _with_interval(values: Sequence[float]) -> dict[str, float | None]:
    return dict(zip(("mean", "low", "high"), interval(values), strict=True))


def _typical(by_trial: Mapping[int, Mapping[str, Mapping[str, Any]]], arm: str) -> dict[str, Any]:
    """The formula of the trial with the median R2 of the arm (the lower of the two middle ones)."""
    in_order = sorted(by_trial, key=lambda trial: (by_trial[trial][arm]["r2"], trial))
    trial = in_order[(len(in_order) - 1) // 2]
    one = by_trial[trial][arm]
    return {"text": one["text"], "symbols": one["symbols"], "r2": max(FLOOR, one["r2"]), "trial": trial}


def _points(trials: Trials) -> list[dict[str, Any]]:
    return [
        {
            "set": name,
            "trial": trial,
            "arm": arm,
            "r2": max(FLOOR, one["r2"]),
            "fidelity": None if one["fidelity"] is None else max(FLOOR, one["fidelity"]),
            "symbols": one["symbols"],
            "strength": one["strength"],
        }
        for name, by_trial in trials.items()
        for trial, arms in sorted(by_trial.items())
        for arm, one in arms.items()
    ]
