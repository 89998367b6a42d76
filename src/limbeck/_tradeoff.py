"""The price of clarity as a table: what each size of each student costs to read, and what it reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from limbeck._clarity import MEASURES, Point
from limbeck._core.errors import InputError
from limbeck._result import Distillation

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["tradeoff"]

COLUMNS = ("student", "family", "size", "unit", "complexity", *MEASURES, "chosen", "stop", "stop_overall")


def tradeoff(result: Distillation) -> pd.DataFrame:
    """A DataFrame with a row for each size of each student: what it costs to read, and what it reaches.

    Fidelity is R2 to the teacher (the worst output) or agreement with it, accuracy the same on the truth: on training
    rows, on validation rows (training rows that the stability refits did not see), and on test rows (the held-out ones;
    nothing is chosen by them). ``stop`` marks each student's smallest size within one standard error of its best
    validation fidelity, ``stop_overall`` the least complex of all students' within one of the best of all: reading more
    than that is not shown to pay. ``chosen`` marks the models whose findings the run holds.

    Parameters
    ----------
    result : Distillation
        From `limbeck.distill` or `limbeck.load`.

    Returns
    -------
    DataFrame
        What could not be measured is NaN.

    Raises
    ------
    InputError
        Where the run holds no curve: it is older than this, or no student was fitted.

    Source
    ------
    Breiman1984 (the rule), EfronTibshirani1997 (the validation).

    Examples
    --------
    >>> import numpy as np, limbeck
    >>> X = np.random.default_rng(0).uniform(size=(300, 2))
    >>> steps = lambda X: np.digitize(X[:, 0], [0.3, 0.6])
    >>> result = limbeck.distill(steps, X, task="regression", students=["tree"], n_queries=500, random_state=0)
    >>> table = limbeck.tradeoff(result)
    >>> [int(size) for size in table.loc[table["stop"], "size"]]
    [3]
    """
    import pandas as pd

    rows = [_row(c.name, c.family, point) for c in result.candidates for point in c.curve]
    if not rows:
        raise InputError(
            f"a run with a curve is required; the {len(result.candidates)} student(s) of this one have none. It was "
            "written before sizes were measured, or no student was fitted: distil again."
        )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(MEASURES, "float64"))


def _row(student: str, family: str, point: Point) -> dict[str, object]:
    return {"student": student, "family": family, **point.to_dict()}
