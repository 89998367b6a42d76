"""Does a network come apart? RC011 clusterability, RC012 the split network's score, RC013 specialisation; the verdict.

Source
------
Golechha2024 (clusterability; the network with the weights between modules at 0); ClopperPearson1934 and Efron1979
(intervals).

Departures
----------
- RC011's p-value is that of `limbeck.modularity.clusterability`: clusters that a search finds in noise fail it.
- Its value is clusterability less chance, since one large cluster has a clusterability near 1 that says nothing.
- RC012 holds the split network against the one that was given, not against the trained one: a network that was ruined
  by training is not kept by splitting.
- RC013 fails where chance explains the score, p above 0.05: a claim that was not shown.

Checked
-------
tests/unit/test_modules.py: each has a network that passes it and one that fails it.

Cost
----
1,000 resamples of the held-out rows for R2; else nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from limbeck.checks import Finding
from limbeck.checks._corrected import paired_difference
from limbeck.checks._finding import Status, judge
from limbeck.checks._measures import bootstrap, determination

if TYPE_CHECKING:
    from limbeck.modularity import Clusterability, Specialisation

__all__ = ["clusterability_finding", "specialisation_finding", "split_finding", "verdict"]

MOST_LOST = 0.02
"""The split network may score so much less than the network that was given: 2 points of accuracy, or R2."""
LEVEL = 0.05
SHOWN = 6


def clusterability_finding(found: Mapping[str, Clusterability], *, held: bool = False) -> Finding:
    """RC011. Each layer's clusterability less chance; its p-value must be at most 0.05 in each layer.

    Not applicable where training `held` the weights between modules at 0: then it is 1 whatever the network is.
    """
    title = "The weights fall into clusters"
    if held:
        message = "training held the weights between modules at 0, so that it is 1: RC012 says what that costs"
        return Finding("RC011", "not_applicable", None, None, 0.0, message, title)
    above = {name: float(one) - one.chance for name, one in found.items()}
    p_values = {name: float(one.p_value) for name, one in found.items()}
    passed = [name for name, p in p_values.items() if p <= LEVEL]
    status: Status = "pass" if len(passed) == len(found) else "inconclusive" if passed else "fail"
    worst = max(found, key=lambda name: (p_values[name], -above[name]))
    told = [f"layer {name} {float(o):.3f}, chance {o.chance:.3f}, p {o.p_value:.2g}" for name, o in found.items()]
    more = f"; and {len(told) - SHOWN} more layers" if len(told) > SHOWN else ""
    message = f"clusterability {'; '.join(told[:SHOWN])}{more}"
    details = {"layers": above, "p": p_values, "level": LEVEL}
    return Finding("RC011", status, above[worst], None, 0.0, message, title, details)


def split_finding(
    given: np.ndarray, split: np.ndarray, truth: np.ndarray, metric: str, seed: int, max_lost: float = MOST_LOST
) -> Finding:
    """RC012. What the split network scores less what the network that was given does, on the same held-out rows."""
    if metric == "accuracy":
        right = [answers.argmax(axis=1) == truth for answers in (given, split)]
        better, worse = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
        scores = [float(hit.mean()) for hit in right]
        value, interval = paired_difference(better, worse, len(truth))
        told = f"accuracy {scores[0]:.1%} as given, {scores[1]:.1%} split: {100 * value:+.1f} points"
        bounds = f"{100 * interval[0]:+.1f} to {100 * interval[1]:+.1f}"
    else:
        measures = [determination(truth.reshape(len(truth), -1).astype(float), one) for one in (given, split)]
        scores = [float(measure(np.ones((1, len(truth))))[0]) for measure in measures]
        interval = bootstrap(lambda weights: measures[1](weights) - measures[0](weights), len(truth), seed)
        value = scores[1] - scores[0]
        told = f"R2 {scores[0]:.3f} as given, {scores[1]:.3f} split: {value:+.3f}"
        bounds = f"{interval[0]:+.3f} to {interval[1]:+.3f}"
    message = f"{told}, 95 % interval {bounds}, on {len(truth)} held-out rows"
    details = {"given": scores[0], "split": scores[1], "rows": len(truth), "max_lost": max_lost}
    title = "The split network keeps the score"
    return Finding("RC012", judge(interval, -max_lost), value, interval, -max_lost, message, title, details)


def specialisation_finding(found: Specialisation) -> Finding:
    """RC013. The specialisation score of the modules against its chance level."""
    title = "The modules are specialised"
    if not np.isfinite([found.score, found.chance, *found.interval]).all():
        return Finding("RC013", "not_applicable", None, None, None, found.says, title)
    low, high = (float(bound) for bound in found.interval)
    status: Status = judge((low, high), float(found.chance)) if found.p_value <= LEVEL else "fail"
    details = {"p": float(found.p_value), "level": LEVEL}
    return Finding("RC013", status, float(found.score), (low, high), float(found.chance), found.says, title, details)


def verdict(findings: Sequence[Finding]) -> str:
    """``comes apart: ...``, ``comes apart in part: ...`` or ``does not come apart: ...``."""
    by_code = {finding.code: finding for finding in findings}
    decisive = [by_code[code] for code in ("RC011", "RC012") if code in by_code and by_code[code].status == "fail"]
    if decisive:
        return "does not come apart: " + "; ".join(f"{f.code} fail: {f.message}" for f in decisive)
    known = [f for f in findings if (f.code, f.status) != ("RC011", "not_applicable")]  # apart, since it was held so
    open_ones = [f for f in known if f.status != "pass"]
    missing = [code for code in ("RC011", "RC012", "RC013") if code not in by_code]
    if open_ones or missing:
        told = [f"{f.code} {f.status}: {f.message}" for f in open_ones]
        return "comes apart in part: " + "; ".join([*told, *(f"{code} was not measured" for code in missing)])
    return "comes apart: " + ", ".join(f"{f.code} {f.title.lower()}" for f in known)
