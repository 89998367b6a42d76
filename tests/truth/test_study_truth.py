"""The verdict of a study on simulated trials: what is planted is found, what is not there is not claimed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from limbeck._study_verdict import (
    ALPHA,
    QUESTIONS,
    compare_all,
    fewest_to_say,
    holm,
    paired_differences,
    signed_rank_p,
    verdict_text,
)

ARMS = ("direct", "plain", "jacobian", "lipschitz")
SETS = [f"set{i}" for i in range(20)]


def simulated(seed: int, gains: dict[str, float], *, sets: int = 20, trials: int = 12, noise: float = 0.02) -> Any:
    """Trials in which each arm has its own mean, beside what set and trial give to all."""
    rng = np.random.default_rng(seed)
    out: dict[str, dict[int, Any]] = {}
    for name in SETS[:sets]:
        base, own = rng.uniform(0.2, 0.9), {arm: rng.normal(0, noise / 4) for arm in ARMS}
        out[name] = {}
        for trial in range(trials):
            luck = rng.normal(0, 0.1)
            arms = {}
            for arm in ARMS:
                r2 = base + luck + own[arm] + gains.get(arm, 0.0) + rng.normal(0, noise)
                fidelity = None if arm == "direct" else 0.9 + gains.get(arm, 0.0) + rng.normal(0, noise)
                arms[arm] = {"r2": r2, "fidelity": fidelity}
            out[name][trial] = arms
    return out


def shuffled(trials: Any, seed: int) -> Any:
    """The same trials with the arms' names dealt at random in each."""
    rng = np.random.default_rng(seed)
    out: Any = {}
    for name, by_trial in trials.items():
        out[name] = {}
        for trial, arms in by_trial.items():
            order = rng.permutation(len(ARMS))
            values = [arms[ARMS[i]]["r2"] for i in order]
            out[name][trial] = {arm: {"r2": v, "fidelity": v} for arm, v in zip(ARMS, values, strict=True)}
    return out


def outcomes(trials: Any) -> dict[tuple[str, str, str], str]:
    return {(one["arm"], one["against"], one["metric"]): one["outcome"] for one in compare_all(trials)[1]}


def said(trials: Any) -> str:
    done = sum(map(len, trials.values()))
    return verdict_text(compare_all(trials)[1], done=done, planned=done, failed=0, clipped=0)


def test_a_smoother_teacher_that_helps_is_found_and_the_other_is_not_claimed() -> None:
    found = outcomes(trials := simulated(1, {"jacobian": 0.04}))
    assert found["jacobian", "plain", "r2"] == found["jacobian", "direct", "r2"] == "better"
    assert found["jacobian", "plain", "fidelity"] == "better"
    assert found["lipschitz", "plain", "r2"] == found["plain", "direct", "r2"] == "open"
    sets, overall = compare_all(trials)
    assert overall[0]["low"] < 0.04 < overall[0]["high"]
    clear = [one["outcome"] for found in sets.values() for one in found[:1]]
    assert clear.count("better") >= 18
    assert "worse" not in clear
    assert "Smoothing the teacher gives a better formula than leaving it plain with 1 of 2 teachers" in said(trials)


def test_where_the_control_wins_that_is_said() -> None:
    trials = simulated(2, {"direct": 0.05})
    found = outcomes(trials)
    assert {found[arm, "direct", "r2"] for arm in ARMS[1:]} == {"worse"}
    text = said(trials)
    assert "Fitting y directly (the control) wins: distilling a teacher gives the opposite of a better formula" in text
    assert "It is not shown that smoothing the teacher gives a better formula" in text
    sentence = compare_all(trials)[1][2]["sentence"]
    assert sentence.startswith("distilling a plain teacher gives less R2 than fitting y directly: better on 0 of 20")


def test_a_small_gain_is_bounded_where_nothing_is_shown() -> None:
    text = said(simulated(3, {}))
    assert text.count("It is not shown that") == 3
    bound = float(text.split("No interval holds a mean gain above ")[1].split(" ")[0])
    assert 0.0 < bound < 0.02


def test_shuffled_labels_are_rarely_claimed_over_the_sets() -> None:
    """The family of questions is held at 5 %: of 150 null studies, 17 false claims would be beyond chance."""
    claimed = 0
    for seed in range(150):
        found = outcomes(shuffled(simulated(seed, {"jacobian": 0.05}, trials=1), seed))
        claimed += any(outcome in ("better", "worse") for key, outcome in found.items() if key[2] == "r2")
    assert claimed < 17


def test_shuffled_labels_are_rarely_claimed_on_any_set_and_without_the_correction_they_are() -> None:
    """Holm over the sets: 50 questions on null studies, where 3 claims are expected; plain p give over 20."""
    claimed = plain = 0
    for seed in range(10):
        sets, _ = compare_all(shuffled(simulated(seed, {}, trials=12), seed))
        for i in range(5):
            claimed += any(found[i]["outcome"] in ("better", "worse") for found in sets.values())
            plain += any(found[i]["p"] < ALPHA for found in sets.values())
    assert claimed < 9
    assert plain > 20


def test_one_explosion_does_not_decide() -> None:
    trials = simulated(5, {"jacobian": 0.04})
    trials["set3"][2]["jacobian"]["r2"] = -1e9
    d = paired_differences(trials, "jacobian", "plain", "r2")["set3"]
    assert d.min() > -2.5
    assert outcomes(trials)["jacobian", "plain", "r2"] == "better"


def test_pairing_counts() -> None:
    """What a trial gives to all arms is ten times the gain; unpaired it would drown it."""
    trials = simulated(6, {"lipschitz": 0.02}, noise=0.005)
    assert outcomes(trials)["lipschitz", "plain", "r2"] == "better"
    mixed = {
        name: {t: {**arms, "lipschitz": by_trial[(t + 1) % len(by_trial)]["lipschitz"]} for t, arms in by_trial.items()}
        for name, by_trial in trials.items()
    }
    paired, unpaired = compare_all(trials)[0]["set0"][1], compare_all(mixed)[0]["set0"][1]
    assert paired["high"] - paired["low"] < (unpaired["high"] - unpaired["low"]) / 5


@pytest.mark.parametrize(("sets", "trials"), [(5, 5), (1, 40), (7, 3)])
def test_too_few_say_so(sets: int, trials: int) -> None:
    found = simulated(7, {"jacobian": 0.5}, sets=sets, trials=trials)
    assert outcomes(found)["jacobian", "plain", "r2"] == "too few"
    assert "There are too few sets to say whether smoothing the teacher gives a better formula" in said(found)
    assert "wins" not in said(found)


def test_too_few_trials_on_a_set_say_so_and_no_p_is_made_up() -> None:
    sets, overall = compare_all(simulated(8, {"jacobian": 0.5}, trials=9))
    for found in sets.values():
        assert found[0]["p"] is found[0]["p_holm"] is None
        assert found[0]["sentence"] == "9 trials are too few to say (at least 10)"
    assert overall[0]["outcome"] == "better"


def test_figures_equal_scipys() -> None:
    from scipy import stats

    d = np.random.default_rng(9).normal(0.1, 1.0, size=30)
    assert signed_rank_p(d) == stats.wilcoxon(d).pvalue
    assert signed_rank_p(np.zeros(30)) == 1.0
    trials = simulated(10, {})
    one = compare_all(trials)[0]["set0"][0]
    d = paired_differences(trials, *QUESTIONS[0])["set0"]
    low, high = stats.t.interval(0.95, len(d) - 1, d.mean(), stats.sem(d))
    assert [one["mean"], one["low"], one["high"]] == pytest.approx([d.mean(), low, high])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_fewest_is_where_a_claim_becomes_possible() -> None:
    assert [fewest_to_say(k) for k in (1, 2, 5, 20)] == [6, 7, 8, 10]
    for tests in (1, 5, 20):
        n = fewest_to_say(tests)
        assert signed_rank_p(np.arange(1.0, n + 1)) * tests < ALPHA
        assert signed_rank_p(np.arange(1.0, n)) * tests >= ALPHA


def test_ranks_and_mean_that_disagree_are_open() -> None:
    trials = simulated(11, {}, noise=0.001)
    for t in range(12):
        plain = trials["set0"][t]["plain"]["r2"]
        trials["set0"][t]["jacobian"]["r2"] = plain + (-0.9 if t == 0 else 0.01 + 0.001 * t)
    one = compare_all(trials)[0]["set0"][0]
    assert one["mean"] < 0
    assert one["outcome"] == "open"
