"""What the trials of a study say: a test a set, one over the sets, intervals, and sentences that can say no.

Source
------
Wilcoxon1945 (the paired signed-rank test), Holm1979 (the correction). The sign test over the sets is the binomial one.

Rules
-----
- R2 and fidelity below -1 count as -1, so that one formula that explodes does not decide a mean.
- A set: two-sided Wilcoxon signed-rank test of the paired differences, corrected by Holm over the sets; the interval is
  Student's t over the trials. Where so few trials are done that no outcome could pass the correction, nothing is said.
- Overall: each set is one observation, its mean difference. Two-sided sign test, corrected by Holm over the questions
  asked of one metric (five of R2, two of fidelity); the interval is Student's t over the sets. A claim needs a
  corrected p below 0.05.

Departures
----------
The trials of a set are random splits of one table: they share rows, so a set's test and interval say what another split
of *this table* would give, and are too sure about other rows from where it came. What is claimed rests on the sets.

Checked
-------
Planted differences are found; with shuffled labels claims are as rare as they should be; where the control wins, that
is said.

Cost
----
Milliseconds a comparison and set.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

__all__ = [
    "ALPHA",
    "FLOOR",
    "LABELS",
    "QUESTIONS",
    "Trials",
    "compare_all",
    "count_clipped",
    "interval",
    "verdict_text",
]

ALPHA = 0.05
FLOOR = -1.0
FEWEST_FOR_INTERVAL = 3
SAME = 1e-12
"""A difference below this is none."""

LABELS = {
    "direct": "formula straight on y (control)",
    "plain": "formula from a plain teacher",
    "jacobian": "formula from a Jacobian-smoothed teacher",
    "lipschitz": "formula from a Lipschitz-smoothed teacher",
}
_DOING = {
    "direct": "fitting y directly",
    "plain": "distilling a plain teacher",
    "jacobian": "distilling a Jacobian teacher",
    "lipschitz": "distilling a Lipschitz teacher",
}
_METRICS = {"r2": "R2", "fidelity": "fidelity"}

QUESTIONS = (
    ("jacobian", "plain", "r2"),
    ("lipschitz", "plain", "r2"),
    ("plain", "direct", "r2"),
    ("jacobian", "direct", "r2"),
    ("lipschitz", "direct", "r2"),
    ("jacobian", "plain", "fidelity"),
    ("lipschitz", "plain", "fidelity"),
)
"""Each: an arm, the arm that it is held against, and by what."""

Trials: TypeAlias = Mapping[str, Mapping[int, Mapping[str, Mapping[str, Any]]]]
"""By set, trial and arm: what the arm reached, ``{"r2": ..., "fidelity": ...}``."""


def interval(values: Sequence[float] | np.ndarray) -> tuple[float | None, float | None, float | None]:
    """The mean with a 95 % interval by Student's t; what too few values can't give is None."""
    from scipy import stats

    x = np.asarray(values, dtype=np.float64)
    if not len(x):
        return None, None, None
    mean = float(x.mean())
    if len(x) < FEWEST_FOR_INTERVAL:
        return mean, None, None
    half = float(stats.t.ppf(0.975, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return mean, mean - half, mean + half


def count_clipped(trials: Trials) -> int:
    """How many R2 are below `FLOOR`."""
    return sum(arm["r2"] < FLOOR for by_trial in trials.values() for arms in by_trial.values() for arm in arms.values())


def paired_differences(trials: Trials, arm: str, against: str, metric: str) -> dict[str, np.ndarray]:
    """For each set the differences of the two arms, trial by trial."""
    return {
        name: np.array(
            [max(FLOOR, arms[arm][metric]) - max(FLOOR, arms[against][metric]) for _, arms in sorted(by_trial.items())]
        )
        for name, by_trial in trials.items()
    }


def signed_rank_p(differences: np.ndarray) -> float:
    """The two-sided p of Wilcoxon's signed-rank test; 1 where nothing differs."""
    from scipy import stats

    if (np.abs(differences) < SAME).all():
        return 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(stats.wilcoxon(np.where(np.abs(differences) < SAME, 0.0, differences)).pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """The p values, corrected for there being several.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    out = [1.0] * len(ps)
    least = 0.0
    for rank, i in enumerate(np.argsort(ps, kind="stable")):
        least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
        out[i] = least
    return out


def fewest_to_say(tests: int) -> int:
    """The fewest signs with which a two-sided test could pass the correction for so many tests."""
    n = 1
    while 2.0 ** (1 - n) * max(1, tests) >= ALPHA:
        n += 1
    return n


def compare_all(trials: Trials) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
    """Every question, answered set by set (by set), and over the sets.

    Parameters
    ----------
    trials : mapping
        By set, trial number and arm.

    Returns
    -------
    sets : dict of lists of dicts
        ``arm, against, metric, mean, low, high, p, p_holm, trials, sentence``, in the order of `QUESTIONS`.
    overall : list of dicts
        ``arm, against, metric, mean, low, high, better, worse, ties, p_sign, p_holm, clearly_better, clearly_worse,
        outcome, sentence``, where the outcome is ``better``, ``worse``, ``open`` or ``too few``.
    """
    sets: dict[str, list[dict[str, Any]]] = {name: [] for name in trials}
    overall = []
    for arm, against, metric in QUESTIONS:
        question = {"arm": arm, "against": against, "metric": metric}
        differences = paired_differences(trials, arm, against, metric)
        found = _by_set(differences, question)
        for name, one in found.items():
            sets[name].append(one)
        overall.append(_over_sets(differences, found, question))
    return sets, _corrected(overall)


def _by_set(differences: Mapping[str, np.ndarray], question: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The answer on each set, corrected over those that can be tested."""
    fewest = fewest_to_say(len(differences))
    tested = [name for name, d in differences.items() if len(d) >= fewest]
    ps = [signed_rank_p(differences[name]) for name in tested]
    both = {name: (p, q) for name, p, q in zip(tested, ps, holm(ps), strict=True)}
    out = {}
    for name, d in differences.items():
        mean, low, high = interval(d)
        p, p_holm = both.get(name, (None, None))
        one = {**question, "mean": mean, "low": low, "high": high, "p": p, "p_holm": p_holm, "trials": len(d)}
        one["outcome"] = _set_outcome(d, p_holm)
        out[name] = {**one, "sentence": _set_sentence(one, fewest)}
    return out


def _set_outcome(differences: np.ndarray, p_holm: float | None) -> str:
    """What the test says; where ranks and mean point in different ways, that is open too."""
    from scipy import stats

    if p_holm is None:
        return "too few"
    ranks = float(stats.rankdata(np.abs(differences)) @ np.sign(differences))
    if p_holm >= ALPHA or ranks * differences.mean() <= 0:
        return "open"
    return "better" if ranks > 0 else "worse"


def _set_sentence(one: Mapping[str, Any], fewest: int) -> str:
    n, (arm, against), metric = one["trials"], _pair(one), _METRICS[one["metric"]]
    if one["outcome"] == "too few":
        return f"{n} trial{'s are' if n != 1 else ' is'} too few to say (at least {fewest})"
    figures = f"{_signed(one)}, corrected p = {p_text(one['p_holm'])}"
    if one["outcome"] == "open":
        return f"no difference in {metric} is shown between {arm} and {against}: {figures}"
    return f"{arm} gives {'more' if one['outcome'] == 'better' else 'less'} {metric} than {against}: {figures}"


def _over_sets(
    differences: Mapping[str, np.ndarray], found: Mapping[str, Mapping[str, Any]], question: dict[str, str]
) -> dict[str, Any]:
    """The answer over the sets, not yet corrected and without its sentence."""
    from scipy import stats

    means = np.array([d.mean() for d in differences.values() if len(d)])
    better, worse = int((means > SAME).sum()), int((means < -SAME).sum())
    mean, low, high = interval(means)
    p = None if not len(means) else 1.0
    if better + worse:
        p = min(1.0, float(stats.binomtest(better, better + worse).pvalue))
    outcomes = [one["outcome"] for one in found.values()]
    return {
        **question,
        "mean": mean,
        "low": low,
        "high": high,
        "better": better,
        "worse": worse,
        "ties": len(means) - better - worse,
        "p_sign": p,
        "clearly_better": outcomes.count("better"),
        "clearly_worse": outcomes.count("worse"),
    }


def _corrected(overall: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers over the sets, each corrected for the questions of its metric, with its outcome and sentence."""
    out = []
    for one in overall:
        family = [other for other in overall if other["metric"] == one["metric"]]
        ps = [1.0 if other["p_sign"] is None else other["p_sign"] for other in family]
        own = holm(ps)[family.index(one)]
        n, fewest = one["better"] + one["worse"] + one["ties"], fewest_to_say(len(family))
        if n < fewest:
            outcome = "too few"
        else:
            outcome = "open" if own >= ALPHA else "better" if one["better"] > one["worse"] else "worse"
        whole = {**one, "p_holm": None if one["p_sign"] is None else own, "outcome": outcome}
        out.append({**whole, "sentence": _overall_sentence(whole, n, fewest)})
    return out


def _overall_sentence(one: Mapping[str, Any], n: int, fewest: int) -> str:
    (arm, against), metric = _pair(one), _METRICS[one["metric"]]
    if one["outcome"] == "too few":
        text = f"{n} set{'s are' if n != 1 else ' is'} too few (at least {fewest}) to say whether {arm} gives more "
        return f"{text}{metric} than {against}" + (f": {_figures(one)}" if n else "")
    if one["outcome"] == "open":
        return f"no difference in {metric} is shown between {arm} and {against}: {_figures(one)}"
    text = f"{arm} gives {'more' if one['outcome'] == 'better' else 'less'} {metric} than {against}: {_figures(one)}"
    agrees = one["low"] > 0 if one["outcome"] == "better" else one["high"] < 0
    return text if agrees else f"{text}; by how much is not decided, for the interval of the mean holds 0"


def _figures(one: Mapping[str, Any]) -> str:
    n = one["better"] + one["worse"] + one["ties"]
    text = f"better on {one['better']} of {n} set{'s' if n != 1 else ''}, worse on {one['worse']}, mean {_signed(one)}"
    if one["outcome"] != "too few":
        text += f", sign test p = {p_text(one['p_sign'])} ({p_text(one['p_holm'])} corrected)"
    return text


def verdict_text(overall: Sequence[Mapping[str, Any]], *, done: int, planned: int, failed: int, clipped: int) -> str:
    """One paragraph: does distilling help, does smoothing help, by how much, with what certainty.

    Parameters
    ----------
    overall : list of dicts
        From `compare_all`.
    done, planned, failed : int
        Trials.
    clipped : int
        How many R2 were below `FLOOR`.
    """
    begin = f"{done:,} of {planned:,} trials are done"
    begin += f", {failed:,} failed and {'are' if failed != 1 else 'is'} left out" if failed else ""
    if not done:
        return f"{begin}. Nothing can be said yet."
    distilling = [one for one in overall if one["against"] == "direct"]
    smoothing = [one for one in overall if one["against"] == "plain" and one["metric"] == "r2"]
    faithful = [one for one in overall if one["metric"] == "fidelity"]
    parts = [
        begin + ("." if done + failed >= planned else ": the study is not finished."),
        _answer(distilling, "distilling a teacher", "a better formula", "fitting y directly (the control)"),
        _answer(smoothing, "smoothing the teacher", "a better formula", "leaving it plain"),
        _answer(faithful, "smoothing the teacher", "a formula more faithful to it", "leaving it plain"),
        f"R2 below {FLOOR:g} counts as {FLOOR:g}: {clipped:,} of {len(LABELS) * done:,}.",
    ]
    return " ".join(parts)


def _answer(answers: Sequence[Mapping[str, Any]], doing: str, what: str, against: str) -> str:
    """The plain word first, then the mean of each arm; the rest of the figures stand with the comparisons."""
    outcomes = [one["outcome"] for one in answers]
    better, worse, n = outcomes.count("better"), outcomes.count("worse"), len(outcomes)
    if outcomes == ["too few"] * n:
        word = f"there are too few sets to say whether {doing} gives {what} than {against}"
    elif better and worse:
        word = f"{doing} gives {what} than {against} with {better} of {n} teachers, and the opposite with {worse}"
    elif better:
        word = f"{doing} gives {what} than {against} with {better} of {n} teachers"
    elif worse:
        word = f"{against} wins: {doing} gives the opposite of {what} with {worse} of {n} teachers"
    else:
        word = f"it is not shown that {doing} gives {what} than {against}, nor the opposite"
    arms = ", ".join(f"{one['arm']} {_signed(one)}" for one in answers if one["mean"] is not None)
    text = f"{word[0].upper()}{word[1:]}" + (f": {_METRICS[answers[0]['metric']]} {arms}." if arms else ".")
    bounds = [one["high"] for one in answers if one["high"] is not None]
    if outcomes == ["open"] * n and len(bounds) == n:
        text += f" No interval holds a mean gain above {max(bounds):+.3f} {_METRICS[answers[0]['metric']]}."
    return text


def _pair(one: Mapping[str, Any]) -> tuple[str, str]:
    return _DOING[one["arm"]], _DOING[one["against"]]


def _signed(one: Mapping[str, Any]) -> str:
    mean = f"{one['mean']:+.3f}"
    return mean if one["low"] is None else f"{mean} ({one['low']:+.3f} to {one['high']:+.3f})"


def p_text(p: float | None) -> str:
    """A p value as it is read."""
    if p is None:
        return "-"
    return f"{p:.1g}" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
