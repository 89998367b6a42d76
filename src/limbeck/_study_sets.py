"""The twenty tables of the study of smooth teachers, fixed before anything was run on them.

Chosen by size and kind alone: tables whose target is a measured number, of 190 to 54,000 rows and 4 to 24 columns, no
two of one origin, whose rows are not groups of one subject. Six are named by the paper; the others are the best known
of those that a data folder with such a list holds, and two come with the package or with scikit-learn. Three are
published simulations (energy_efficiency, grid_stability, ai4i2020) and are named as such in their descriptions.

Departures
----------
- ai4i2020 is published with a class as its target; here the torque (Nm) is regressed on the other process variables,
  and the failure, which follows from them, is left out.
- energy_efficiency has two targets: the heating load is regressed, the cooling load left out.
- automobile: ``normalized_losses`` lacks 37 of 201 values and is left out.
- Rows with a missing value are dropped. Nominal columns keep their levels, as the house's tables hold them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.keys import row_keys
from limbeck._core.tables import Table

__all__ = ["QUICK_SETS", "SETS", "StudyRows", "named_sets", "read_set"]


@dataclass(frozen=True)
class _Choice:
    """What is regressed and what is left out, where that is not what the data set itself says."""

    target: str | None = None
    left_out: tuple[str, ...] = ()


_CHOICES = {
    "airfoil": _Choice(),
    "grid_stability": _Choice(),
    "real_estate": _Choice(),
    "ai4i2020": _Choice("torque_Nm", ("machine_failure",)),
    "auto_mpg": _Choice(),
    "automobile": _Choice(left_out=("normalized_losses",)),
    "concrete": _Choice(),
    "energy_efficiency": _Choice("heating_load", ("cooling_load",)),
    "power_plant": _Choice(),
    "abalone": _Choice(),
    "yacht": _Choice(),
    "california_housing": _Choice(),
    "wine_quality_red": _Choice(),
    "qsar_fish_toxicity": _Choice(),
    "computer_hardware": _Choice(),
    "bike_sharing_hourly": _Choice(),
    "protein_casp": _Choice(),
    "diamonds": _Choice(),
    "pmlb_547_no2": _Choice(),
    "diabetes": _Choice(),
}

SETS = tuple(_CHOICES)
QUICK_SETS = ("airfoil", "real_estate", "auto_mpg", "concrete", "yacht")


@dataclass(frozen=True)
class StudyRows:
    """One table of the study, whole.

    Attributes
    ----------
    name : str
    table : Table
        The columns that the target is regressed on.
    y : array ``(n,)``
    mark : str
        Equal for equal rows in equal order: a journal does not mix two versions of a table.
    """

    name: str
    table: Table
    y: np.ndarray
    mark: str


def named_sets(names: Iterable[str] | None, default: tuple[str, ...] = SETS) -> tuple[str, ...]:
    """The names, each once and known; `default` for None.

    Raises
    ------
    InputError
        For no name, a name twice, or one that is not of the study.
    """
    if names is None:
        return default
    if isinstance(names, str):
        raise InputError(f"sets must be a list of names out of the study's; got the text {names!r:.60}")
    given = tuple(names)
    for name in given:
        if name not in _CHOICES:
            raise InputError(
                f"sets must be out of the study's {len(SETS)}: {', '.join(SETS)}; got {name!r:.60}."
                f"{did_you_mean(str(name), SETS)}"
            )
    if not given or len(set(given)) < len(given):
        raise InputError(f"sets must be at least one name, and none twice; got {list(given)!r:.200}")
    return given


def read_set(name: str) -> StudyRows:
    """The table of that name, without rows that lack a value.

    Raises
    ------
    InputError
        Where the data set is not there, or its target is no number.
    """
    from limbeck import datasets

    choice = _CHOICES[name]
    found = datasets.load(name)
    target = choice.target or found.targets[0]
    frame = found.frame.drop(columns=list(choice.left_out))
    frame = datasets.mend_missing(frame, "drop").reset_index(drop=True)
    y = frame.pop(target).to_numpy(dtype=np.float64)
    table = Table.read(frame)
    keys = row_keys(np.column_stack([table.values, y]))
    mark = int((keys * np.arange(1, len(keys) + 1, dtype=np.uint64)).sum(dtype=np.uint64))
    return StudyRows(name, table, y, f"{len(y)}x{len(table.schema)}-{mark:016x}")
