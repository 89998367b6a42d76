"""RC002: does the readable model still follow the teacher where the data is not?

Source
------
Own: the same measures as RC001 on rows drawn outside the data's support (`limbeck.queries.Shifted`).

Cost
----
`n_rows` teacher calls a student.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from limbeck._core.errors import InputError
from limbeck.checks._fidelity import compare
from limbeck.checks._finding import Case, Finding
from limbeck.queries import Shifted

__all__ = ["ShiftedRows"]


@dataclass(frozen=True)
class ShiftedRows:
    """RC002. Fidelity on rows outside the data's support.

    Parameters
    ----------
    n_rows : int
        How many rows are drawn, and asked of the teacher.
    min_r2, min_agreement : float
        The thresholds; lower than those of RC001, for a model is not made for these rows.
    """

    n_rows: int = 1_000
    min_r2: float = 0.50
    min_agreement: float = 0.75

    code: ClassVar[str] = "RC002"
    title: ClassVar[str] = "Fidelity on shifted rows"

    def __call__(self, case: Case) -> Finding:
        """The finding for one readable model."""
        threshold = self.min_agreement if case.is_classification else self.min_r2
        try:
            rows = Shifted().sample(case.background, self.n_rows, case.seed)
        except InputError as error:
            return Finding(self.code, "not_applicable", None, None, threshold, str(error), self.title)
        answers = case.teacher(rows)
        student = case.readable.predict_encoded(rows.values)
        found = compare(answers, student, case.is_classification, threshold, case.seed)
        return Finding(
            self.code,
            found.status,
            found.value,
            found.interval,
            threshold,
            f"outside the data: {found.message}",
            self.title,
            {**found.details, "rows": len(rows)},
        )
