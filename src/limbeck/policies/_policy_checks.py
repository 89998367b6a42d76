"""Reality checks of a policy's student: it plays as well, acts as its teacher, holds elsewhere, and could have failed.

RC014 return against the teacher's on the same seeds; RC015 agreement on the student's own states; RC016 sticky actions;
RC017 other seeds and start states; RC018 controls: a random policy and the student with its actions interchanged.

Source
------
Machado2018 (sticky actions). Ross2011 (errors count on the states that the student itself comes to). Efron1979 (the
intervals: percentile bootstrap over episodes, paired by seed).

Symbols
-------
kept -> (student - random) / (teacher - random), of mean returns: the share of the teacher's lead over a random policy.

Departures
----------
Agreement is a finding of its own and decides nothing about play: students that agree in 0.87 of the states have played
as the teacher does, and others that agree in 0.80 have lost the game.

Checked
-------
tests/truth/test_policies_truth.py: for each check a planted case that passes and one that fails.

Cost
----
RC014 and RC015 none beyond the scored episodes; the others play `episodes` episodes each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck.checks import Finding
from limbeck.checks._finding import judge
from limbeck.checks._measures import bootstrap

__all__ = [
    "CODES",
    "Interchanged",
    "RandomActs",
    "agreement_finding",
    "controls_finding",
    "has_lead",
    "kept",
    "leads",
    "return_finding",
    "starts_finding",
    "sticky_finding",
]

KEPT, KEPT_ELSEWHERE, AGREED = 0.9, 0.8, 0.8
STICKY = 0.25
TITLES = {
    "RC014": "Return against the teacher's",
    "RC015": "Agreement on its own states",
    "RC016": "Sticky actions",
    "RC017": "Other seeds and start states",
    "RC018": "Controls that must fail",
}
CODES = tuple(TITLES)


class RandomActs:
    """A player that draws every action with equal chances; its own seed, so that it can be played again."""

    def __init__(self, n_actions: int, seed: int) -> None:
        self.n_actions, self.generator = n_actions, np.random.default_rng(seed)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The actions ``(n,)``."""
        return self.generator.integers(self.n_actions, size=len(rows))


class Interchanged:
    """A student whose actions are interchanged: where it says one that it uses, the next one it uses is played.

    Parameters
    ----------
    act : callable
    used : sequence of int
        The actions that it has played.
    n_actions : int
    step : int
        By how many places.
    """

    def __init__(self, act: Any, used: Any, n_actions: int, step: int = 1) -> None:
        places = [int(a) for a in used]
        if len(places) == 1:
            places += [a for a in range(n_actions) if a != places[0]][:1]
        self.act, self.map = act, np.arange(n_actions)
        for i, action in enumerate(places):
            self.map[action] = places[(i + step) % len(places)]

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The actions ``(n,)``."""
        return self.map[self.act(rows)]


@dataclass(frozen=True)
class Baseline:
    """The teacher's and the random policy's returns on the seeds by which a student is judged."""

    teacher: np.ndarray
    random: np.ndarray
    seed: int


def leads(baseline: Baseline) -> tuple[float, tuple[float, float]]:
    """By how much the teacher's mean return is above the random policy's, with its interval."""
    gap = baseline.teacher - baseline.random
    return float(gap.mean()), bootstrap(lambda w: w @ gap / w.sum(axis=1), len(gap), baseline.seed)


def has_lead(baseline: Baseline) -> bool:
    """Whether the teacher is shown to play better than a random policy."""
    return leads(baseline)[1][0] > 0


def kept(returns: np.ndarray, baseline: Baseline) -> tuple[float, tuple[float, float]] | None:
    """The share of the teacher's lead that a student keeps, with its interval; None where there is no lead."""
    if not has_lead(baseline):
        return None
    gain, gap = np.asarray(returns) - baseline.random, baseline.teacher - baseline.random

    def share(weights: np.ndarray) -> np.ndarray:
        below = weights @ gap
        return np.where(below > 0, weights @ gain / np.where(below > 0, below, 1.0), np.nan)

    return float(gain.mean() / gap.mean()), bootstrap(share, len(gain), baseline.seed)


def return_finding(returns: np.ndarray, baseline: Baseline) -> Finding:
    """RC014: on the same seeds, the student keeps the teacher's lead over a random policy."""
    return _kept_finding("RC014", returns, baseline, KEPT, "of the teacher's lead over a random policy is kept")


def sticky_finding(returns: np.ndarray, baseline: Baseline) -> Finding:
    """RC016: so does it where, with the chance `STICKY`, the action before is played again instead."""
    what = f"of the lead is kept where the action before is played again with a chance of {STICKY:g}"
    return _kept_finding("RC016", returns, baseline, KEPT_ELSEWHERE, what)


def starts_finding(returns: np.ndarray, baseline: Baseline) -> Finding:
    """RC017: and on other seeds, after some random actions at the start."""
    what = "of the lead is kept on other seeds, after up to 20 random actions at the start"
    return _kept_finding("RC017", returns, baseline, KEPT_ELSEWHERE, what)


def _kept_finding(code: str, returns: np.ndarray, baseline: Baseline, threshold: float, what: str) -> Finding:
    found = kept(returns, baseline)
    means = {
        "student": float(np.mean(returns)),
        "teacher": float(baseline.teacher.mean()),
        "random": float(baseline.random.mean()),
        "episodes": len(returns),
    }
    if found is None:
        message = (
            f"the teacher's {means['teacher']:.4g} is not shown to be above the random policy's "
            f"{means['random']:.4g}: there is no lead to keep"
        )
        return Finding(code, "not_applicable", None, None, threshold, message, TITLES[code], means)
    value, interval = found
    message = (
        f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f}) {what}: {means['student']:.4g}, teacher "
        f"{means['teacher']:.4g}, random {means['random']:.4g}, {len(returns)} episodes"
    )
    return Finding(code, judge(interval, threshold), value, interval, threshold, message, TITLES[code], means)


def agreement_finding(
    agree: np.ndarray,
    weights: np.ndarray,
    episode: np.ndarray,
    names: tuple[str, ...],
    by_action: np.ndarray,
    seed: int,
) -> Finding:
    """RC015: in how many of the states that the student comes to itself it acts as the teacher would.

    Parameters
    ----------
    agree : bool array ``(n,)``
    weights : array ``(n,)``
        What the worst action costs in each state.
    episode : int array ``(n,)``
        The episode of each state; the interval is over episodes.
    names : tuple of str
        The actions.
    by_action : int array ``(a, a)``
        How often the teacher's action (row) met the student's (column).
    seed : int
    """
    count = int(episode.max()) + 1
    hits, states = np.bincount(episode, weights=agree, minlength=count), np.bincount(episode, minlength=count)
    interval = bootstrap(lambda w: (w @ hits) / (w @ states), count, seed)
    value, heavy = float(agree.mean()), float(weights.sum())
    details: dict[str, Any] = {
        "states": len(agree),
        "weighted": float(weights @ agree / heavy) if heavy > 0 else None,
        "actions": list(names),
        "table": by_action.tolist(),
    }
    counted = "" if details["weighted"] is None else f", {details['weighted']:.2f} where it matters to the teacher"
    message = f"the teacher would act the same in {value:.2f} of the {len(agree):,} states it came to{counted}"
    return Finding("RC015", judge(interval, AGREED), value, interval, AGREED, message, TITLES["RC015"], details)


def controls_finding(controls: dict[str, np.ndarray], baseline: Baseline) -> Finding:
    """RC018: a random policy, and the student with its actions interchanged, don't keep the lead.

    Where one does, returns in this environment can't tell a good student from a bad one, and RC014 means nothing.
    """
    lead, interval = leads(baseline)
    title = TITLES["RC018"]
    if not has_lead(baseline):
        message = (
            f"the teacher is not shown to play better than a random policy (by {lead:.4g}, {interval[0]:.4g} to "
            f"{interval[1]:.4g}): returns can't tell a good student from a bad one"
        )
        return Finding("RC018", "fail", None, None, KEPT, message, title, {"lead": lead})
    found = {name: kept(returns, baseline) for name, returns in controls.items()}
    shares = {name: one for name, one in found.items() if one is not None}
    worst = max(shares, key=lambda name: shares[name][0])
    value, (low, high) = shares[worst]
    status = "pass" if high < KEPT else "fail" if low >= KEPT else "inconclusive"
    words = ", ".join(f"{name} {share:.2f}" for name, (share, _) in shares.items())
    told = {
        "pass": "they fail, as they must",
        "fail": f"{worst} plays as well as a student: RC014 tells nothing here",
        "inconclusive": f"{worst} may play as well as a student",
    }[status]
    message = f"of the teacher's lead the controls keep: {words}; {told}"
    details = {"kept": {name: share for name, (share, _) in shares.items()}}
    return Finding("RC018", status, value, (low, high), KEPT, message, title, details)  # type: ignore[arg-type]
