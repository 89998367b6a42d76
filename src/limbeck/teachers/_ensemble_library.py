"""The library that an ensemble is selected from: many models of many kinds, each with settings that suit some tables.

Source
------
Caruana2004: all of its seven kinds (nets, nearest neighbours, SVMs, decision trees, bagged trees, boosted trees,
boosted stumps). Bucila2006: its further kinds (random forests, logistic regression, naive Bayes).

Departures
----------
- About 60 models instead of some thousand, chosen to fit in minutes; extra-trees and gradient boosting are added.
- SVMs, boosted trees (AdaBoost) and naive Bayes answer with scores or with poor probabilities: a sigmoid is fitted to
  their answers in three-fold cross-validation on the rows of the fit (Platt's scaling), never on those of selection.
- Every model gets encoded rows. Trees and forests take positions of levels as numbers, gradient boosting takes them as
  categories (up to 255 levels), all else takes one 0/1 a nominal level, and numbers with mean 0 and variance 1.
- Neighbours are found in blocks of one size (`_ensemble_neighbours`): no answer depends on the rows asked with it.

Checked
-------
tests/unit/test_ensemble_selection.py: every model fits and answers on a small table of mixed columns.

Cost
----
`Member.seconds` is measured at 4,000 rows of 54 columns with two classes, one core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.tables import Schema
from limbeck.teachers._ensemble_neighbours import BlockNeighborsClassifier, BlockNeighborsRegressor

__all__ = ["Member", "estimated_seconds", "read_library"]

MOST_CATEGORIES = 255
"""Histogram boosting takes categories up to so many levels."""
SMALL = (
    "forest_0.3_5",
    "extra_trees_0.3_5",
    "boosting_3_0.1_200",
    "boosting_6_0.1_100",
    "tree_20",
    "linear_1",
    "neighbours_15_distance",
    "svm_1_1",
    "network_64_0.1_40",
    "bayes",
)
"""The fast models that are the library "small" (naive Bayes in classification only)."""
REFERENCE_ROWS, REFERENCE_WIDTH = 4_000, 54


@dataclass(frozen=True)
class Member:
    """A model of a library: its name, its kind, the unfitted estimator, and about how long its fit takes."""

    name: str
    family: str
    model: Any
    seconds: float = 0.0


def estimated_seconds(members: Sequence[Member], n: int, width: int, k: int) -> float:
    """About how long all fits take on one core: proportional to rows and columns; boosting and trees to classes too."""
    scale = (n / REFERENCE_ROWS) * (width / REFERENCE_WIDTH) ** 0.5 * max(k, 2) ** 0.5 / 2**0.5
    return sum(member.seconds for member in members) * scale


def read_library(library: Any, schema: Schema, *, classify: bool) -> tuple[Member, ...]:
    """The models that a person means by `library`.

    Raises
    ------
    InputError
        For an unknown name, an empty list, an entry that is no ``(name, estimator)``, two of one name, or an
        estimator for the other task.
    """
    if library is None or isinstance(library, str):
        if library not in (None, "default", "small"):
            raise InputError(
                "library must be None, 'default', 'small' or a list of (name, estimator); got "
                f"{library!r:.80}.{did_you_mean(library, ('default', 'small'))}"
            )
        members = tuple(_default_library(schema, classify))
        return tuple(m for m in members if m.name in SMALL) if library == "small" else members
    if not isinstance(library, list | tuple) or not library:
        raise InputError(
            f"library must be None, 'default', 'small' or a list of (name, estimator) pairs; got {library!r:.80}"
        )
    members = tuple(_own_member(entry, schema, classify) for entry in library)
    names = [member.name for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the models of a library must have different names; these come more than once: {twice}")
    return members


def _own_member(entry: Any, schema: Schema, classify: bool) -> Member:
    """A person's own model: a pipeline gets encoded rows as they are, all else one-hot levels and scaled numbers."""
    from sklearn.base import is_classifier, is_regressor

    if not isinstance(entry, list | tuple) or len(entry) != 2 or not isinstance(entry[0], str):
        raise InputError(f"an entry of library must be (name, estimator); got {entry!r:.120}")
    name, model = entry
    if isinstance(model, type) or not all(hasattr(model, method) for method in ("fit", "predict", "get_params")):
        raise InputError(f"library entry {name!r} must be an estimator with fit and predict; got {model!r:.80}")
    if not (is_classifier(model) if classify else is_regressor(model)):
        task = "classifier" if classify else "regressor"
        raise InputError(f"library entry {name!r} must be a {task} here; got {type(model).__name__}")
    whole = isinstance(model, Pipeline)
    family = type(model.steps[-1][1] if whole else model).__name__
    if classify and not hasattr(model, "predict_proba"):
        model = _calibrated(model)
    return Member(name, family, model if whole else _scaled(schema, model))


def _scaled(schema: Schema, model: Any) -> Pipeline:
    """The model on one 0/1 a nominal level, and on numbers with mean 0 and variance 1."""
    nominal = [j for j, column in enumerate(schema.columns) if column.kind == "nominal"]
    levels = [list(range(len(schema.columns[j].levels))) for j in nominal]
    numbers = [j for j in range(len(schema)) if j not in nominal]
    if not nominal:
        return Pipeline([("columns", StandardScaler()), ("model", model)])
    one_hot = OneHotEncoder(categories=levels, sparse_output=False)
    parts = [("levels", one_hot, nominal), ("numbers", StandardScaler(), numbers)]
    return Pipeline([("columns", ColumnTransformer(parts)), ("model", model)])


def _calibrated(model: Any) -> Any:
    return CalibratedClassifierCV(model, method="sigmoid", cv=3, ensemble=False)


def _scaled_target(model: Any) -> Any:
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def _default_library(schema: Schema, classify: bool) -> Iterator[Member]:
    width = sum(len(column.levels) if column.kind == "nominal" else 1 for column in schema.columns)
    yield from _forests(classify)
    yield from _gradient_boosting(schema, classify)
    yield from _adaboost(classify)
    yield from _trees(classify)
    for name, family, model, seconds in _on_scaled(width, classify):
        yield Member(name, family, _scaled(schema, model), seconds)


def _forests(classify: bool) -> Iterator[Member]:
    forest = RandomForestClassifier if classify else RandomForestRegressor
    extra = ExtraTreesClassifier if classify else ExtraTreesRegressor
    settings: list[tuple[Any, int, int, float]] = [
        ("sqrt", 1, 1000, 6.0),
        ("sqrt", 3, 500, 3.2),
        (0.3, 1, 500, 4.6),
        (0.3, 5, 300, 3.0),
        (0.6, 2, 300, 4.5),
    ]
    for features, leaf, trees, seconds in settings:
        given = {"max_features": features, "min_samples_leaf": leaf}
        yield Member(f"forest_{features}_{leaf}", "random forest", forest(trees, **given), seconds)
        yield Member(f"extra_trees_{features}_{leaf}", "extra-trees", extra(trees, **given), 0.7 * seconds)
    for leaf in (1, 5):
        model = forest(200, max_features=None, min_samples_leaf=leaf)
        yield Member(f"bagged_trees_{leaf}", "bagged trees", model, 4.3)


def _gradient_boosting(schema: Schema, classify: bool) -> Iterator[Member]:
    make: Any = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    levels = [j for j, c in enumerate(schema.columns) if c.kind == "nominal" and 2 <= len(c.levels) <= MOST_CATEGORIES]
    settings = [
        (1, 0.1, 400, 0.6),
        (2, 0.1, 300, 0.6),
        (3, 0.1, 200, 0.5),
        (4, 0.05, 300, 0.8),
        (6, 0.1, 100, 0.6),
        (6, 0.03, 300, 1.3),
        (6, 0.1, 300, 1.5),
        (None, 0.05, 200, 1.0),
        (None, 0.05, 400, 2.0),
    ]
    for depth, rate, trees, seconds in settings:
        family = "boosted stumps" if depth == 1 else "gradient boosting"
        given = {"max_depth": depth, "learning_rate": rate, "max_iter": trees, "early_stopping": False}
        name = f"boosting_{depth or 'leaves'}_{rate}_{trees}"
        yield Member(name, family, make(**given, categorical_features=levels or None), seconds)


def _adaboost(classify: bool) -> Iterator[Member]:
    for depth, trees, seconds in ((1, 300, 8.0), (4, 150, 9.0), (7, 150, 12.0), (10, 150, 15.0)):
        family = "boosted stumps" if depth == 1 else "boosted trees"
        if classify:
            model = _calibrated(AdaBoostClassifier(DecisionTreeClassifier(max_depth=depth), n_estimators=trees))
        else:
            model = AdaBoostRegressor(DecisionTreeRegressor(max_depth=depth), n_estimators=trees)
        yield Member(f"adaboost_{depth}", family, model, seconds)


def _trees(classify: bool) -> Iterator[Member]:
    make = DecisionTreeClassifier if classify else DecisionTreeRegressor
    for leaf in (1, 5, 20, 50):
        yield Member(f"tree_{leaf}", "tree", make(min_samples_leaf=leaf), 0.03)


def _on_scaled(width: int, classify: bool) -> Iterator[tuple[str, str, Any, float]]:
    """Models on one-hot levels and scaled numbers: name, family, estimator, seconds."""
    for k in (1, 5, 15, 40, 100):
        for weights in ("uniform", "distance")[int(k == 1) :]:
            near: Any = BlockNeighborsClassifier if classify else BlockNeighborsRegressor
            model = near(k, weights=weights, algorithm="brute")
            yield f"neighbours_{k}_{weights}", "nearest neighbours", model, 0.05
    for C, factor in ((0.3, 1), (1, 1), (10, 0.3), (10, 1), (10, 4), (100, 0.3), (100, 1)):
        gamma = factor / width
        svm = _calibrated(SVC(C=C, gamma=gamma)) if classify else _scaled_target(SVR(C=C, gamma=gamma))
        yield f"svm_{C}_{factor}", "support vectors", svm, 1.2
    nets: list[tuple[tuple[int, ...], float, int, float]] = [
        ((32,), 1e-2, 100, 1.2),
        ((64,), 1.0, 150, 2.6),
        ((64,), 1e-1, 40, 0.8),
        ((128,), 1e-2, 300, 6.5),
        ((128,), 1e-1, 100, 2.4),
        ((128, 128), 1.0, 100, 4.3),
        ((128, 128), 1e-1, 30, 1.2),
        ((128, 128), 1e-2, 150, 6.6),
    ]
    for hidden, alpha, epochs, seconds in nets:
        given: dict[str, Any] = {"hidden_layer_sizes": hidden, "alpha": alpha, "max_iter": epochs}
        net = MLPClassifier(**given) if classify else _scaled_target(MLPRegressor(**given))
        yield f"network_{'_'.join(map(str, hidden))}_{alpha}_{epochs}", "network", net, seconds
    for C in (0.01, 0.1, 1, 10):
        linear = LogisticRegression(C=C, max_iter=1000) if classify else Ridge(alpha=1 / C)
        yield f"linear_{C}", "linear", linear, 0.02
    if classify:
        yield "bayes", "naive Bayes", GaussianNB(), 0.02
        yield "bayes_calibrated", "naive Bayes", _calibrated(GaussianNB()), 0.05
