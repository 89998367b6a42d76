"""The sets that come with the package: Concrete, and those that scikit-learn ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.datasets._dataset import Dataset, read_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "listed", "load"]


@dataclass(frozen=True)
class _Shipped:
    """What is said of a set before it is read."""

    rows: int
    features: int
    task: str
    target: str
    where: str
    source: str
    licence: str
    description: str


_SKLEARN = "scikit-learn"
_UCI = "CC BY 4.0 (UCI)"

_SHIPPED = {
    "concrete": _Shipped(
        1030,
        8,
        "regression",
        "compressive_strength",
        "embedded",
        "UCI Concrete Compressive Strength (I-Cheng Yeh, 1998)",
        "CC BY 4.0",
        "Compressive strength (MPa) of concrete from its mix (kg per cubic metre) and age (days).",
    ),
    "breast_cancer": _Shipped(
        569,
        30,
        "classification",
        "diagnosis",
        _SKLEARN,
        "UCI Breast Cancer Wisconsin Diagnostic (Wolberg, Street, Mangasarian, 1995)",
        _UCI,
        "Malignant or benign, from 30 measures of cell nuclei.",
    ),
    "diabetes": _Shipped(
        442,
        10,
        "regression",
        "progression",
        _SKLEARN,
        "Efron, Hastie, Johnstone, Tibshirani (2004)",
        "none stated; shipped with scikit-learn",
        "Progression of diabetes after a year, from ten measures at its start, in their own units.",
    ),
    "digits": _Shipped(
        1797,
        64,
        "classification",
        "digit",
        _SKLEARN,
        "UCI Optical Recognition of Handwritten Digits (Alpaydin, Kaynak, 1998), its test part",
        _UCI,
        "Handwritten digits as 8 x 8 counts from 0 to 16.",
    ),
    "iris": _Shipped(
        150,
        4,
        "classification",
        "species",
        _SKLEARN,
        "UCI Iris (R. A. Fisher, 1936)",
        _UCI,
        "Three species of iris, from the length and width of sepals and petals (cm).",
    ),
    "wine": _Shipped(
        178,
        13,
        "classification",
        "cultivar",
        _SKLEARN,
        "UCI Wine (M. Forina, 1991)",
        _UCI,
        "Three cultivars of one region in Italy, from 13 chemical measures.",
    ),
}

NAMES = tuple(_SHIPPED)


def listed() -> list[dict[str, Any]]:
    """One entry a set, as `limbeck.datasets.available` shows them."""
    return [
        {
            "name": name,
            "rows": shipped.rows,
            "features": shipped.features,
            "task": shipped.task,
            "target": shipped.target,
            "format": "csv" if shipped.where == "embedded" else "array",
            "table": True,
            "where": shipped.where,
            "licence": shipped.licence,
        }
        for name, shipped in _SHIPPED.items()
    ]


def load(name: str) -> Dataset:
    """The shipped set of that name, one of `NAMES`."""
    shipped = _SHIPPED[name]
    frame = read_frame(Path(__file__).with_name("concrete.csv")) if name == "concrete" else _from_sklearn(name)
    return Dataset(name, frame, shipped.target, shipped.task, shipped.source, shipped.licence, shipped.description)


def _from_sklearn(name: str) -> pd.DataFrame:
    """Features, then the target under its own name; classes as words."""
    from sklearn import datasets

    readers = {
        "breast_cancer": datasets.load_breast_cancer,
        "diabetes": datasets.load_diabetes,
        "digits": datasets.load_digits,
        "iris": datasets.load_iris,
        "wine": datasets.load_wine,
    }
    bunch = readers[name](as_frame=True, **({"scaled": False} if name == "diabetes" else {}))
    target = bunch.target
    if _SHIPPED[name].task == "classification" and isinstance(bunch.target_names[0], str):
        target = target.map(dict(enumerate(map(str, bunch.target_names)))).astype(object)
    frame: pd.DataFrame = bunch.data.assign(**{_SHIPPED[name].target: target})
    return frame
