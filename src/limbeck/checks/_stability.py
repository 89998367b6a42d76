"""RC004: distilled again on other rows, is it the same model?

Source
------
Own, after the stability criterion of the reality checks (METHODS of the project): the training rows are resampled with
replacement, queries are drawn and the teacher is asked anew, and the student is fitted again.

Cost
----
No teacher calls here; the distillation makes the refits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from limbeck.checks._finding import Case, Finding, judge
from limbeck.checks._measures import agreement, bootstrap, determination, mean_interval

__all__ = ["Stability"]


@dataclass(frozen=True)
class Stability:
    """RC004. Regression: mean R2 between the refits and the model. Classification: mean share of the same class.

    Parameters
    ----------
    n_refits : int
        How many times the student is distilled again.
    min_r2, min_agreement : float
        The thresholds.
    """

    n_refits: int = 3
    min_r2: float = 0.80
    min_agreement: float = 0.90

    code: ClassVar[str] = "RC004"
    title: ClassVar[str] = "Stability under resampling"

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""
        threshold = self.min_agreement if case.is_classification else self.min_r2
        if not case.refits:
            message = "the student was not distilled again, so nothing can be said"
            return Finding(self.code, "inconclusive", None, None, threshold, message, self.title)
        base, rows = case.student, case.rows.values
        others = [refit.predict_encoded(rows) for refit in case.refits]
        if not all(np.isfinite(other).all() for other in [base, *others]):
            message = "a refit is not a number on some held-out rows"
            return Finding(self.code, "fail", None, None, threshold, message, self.title)
        if case.is_classification:
            same = np.mean([agreement(base, other) for other in others], axis=0)
            value, interval, unit = float(same.mean()), mean_interval(same, case.seed), "share of the same class"
        elif np.any(np.ptp(base, axis=0) == 0):
            message = "the model answers the same for every row"
            return Finding(self.code, "not_applicable", None, None, threshold, message, self.title)
        else:
            statistics = [determination(base, other) for other in others]

            def mean(weights: np.ndarray) -> np.ndarray:
                return np.mean([statistic(weights) for statistic in statistics], axis=0)

            value, unit = float(mean(np.ones((1, len(rows))))[0]), "R2 to the refits"
            interval = bootstrap(mean, len(rows), case.seed)
        overlaps = [_overlap(case.readable.features_used, refit.features_used) for refit in case.refits]
        counts = Counter(name for refit in case.refits for name in refit.features_used)
        message = (
            f"distilled {len(others)} more times: mean {unit} {value:.3f}, 95 % interval {interval[0]:.3f} to "
            f"{interval[1]:.3f}; features used overlap {np.mean(overlaps):.0%}"
        )
        details = {
            "feature_overlap": float(np.mean(overlaps)),
            "features_used": list(case.readable.features_used),
            "feature_counts": dict(sorted(counts.items())),
            "refits": len(others),
            "complexities": [refit.complexity for refit in case.refits],
        }
        return Finding(self.code, judge(interval, threshold), value, interval, threshold, message, self.title, details)


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Jaccard: shared features among all features of the two; 1 where neither uses any."""
    union = set(one) | set(other)
    return len(set(one) & set(other)) / len(union) if union else 1.0
