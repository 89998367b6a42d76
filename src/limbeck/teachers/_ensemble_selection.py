"""Ensemble selection: a weighted mean of the models of a library, chosen greedily for its score on held-out rows.

Source
------
Caruana2004. The teachers of Bucila2006 are such ensembles.

Symbols
-------
library -> `library`; N, the models that a run starts from -> `n_init`; bags, with a fraction p of the models each ->
`n_bags`, `bag_fraction`; hillclimbing set -> the rows of selection (`validation`, `validation_data`).

Departures
----------
- Of the steps: see `_ensemble_greedy`. Of the models: see `_ensemble_library`.
- Rows are put in an order of their own before the fit, see `_ensemble_rows`: the ensemble does not depend on the order
  in which rows come.
- Frames are matched by column name, in any order.

Checked
-------
tests/unit/test_ensemble_selection.py: scikit-learn's estimator checks, every container, the same answer in any number
of processes. tests/truth/test_ensemble_selection_truth.py: what is planted is found.

Cost
----
The default library on 4,000 rows of 54 columns: about 130 s of one core with two classes, 220 s with seven. Memory: all
fitted models until the selection, then those with a weight (0.44 GB with two classes, 1.1 GB with seven, most of it
forests); and 8 * models * rows of selection * classes bytes, three times.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.estimator_input import encode_rows, read_labels, read_rows, read_weights
from limbeck._core.progress import Progress, Report, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.tables import Rows, Schema
from limbeck.teachers._ensemble_fitting import Library, ask_all, count_trees, fit_library
from limbeck.teachers._ensemble_greedy import METRICS, bagged_weights, score
from limbeck.teachers._ensemble_library import Member, estimated_seconds, read_library
from limbeck.teachers._ensemble_rows import TargetRows, hold_out, in_order, read_values

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["EnsembleSelection", "EnsembleSelectionRegressor"]

Metric: TypeAlias = Literal["rmse", "log_loss", "accuracy"]


class _Ensemble(BaseEstimator):
    """What both ensembles share: parameters, the fit of the library, the selection."""

    takes_table = True
    """Read by `limbeck.teachers`: rows may come as a `Table`, with nothing decoded."""

    schema_: Schema
    estimators_: dict[str, Any]
    weights_: dict[str, float]
    library_scores_: pd.DataFrame
    best_single_: str
    best_single_estimator_: Any
    path_: np.ndarray
    validation_score_: float
    n_trees_: int
    complete_: bool

    def __init__(
        self,
        library: str | Sequence[tuple[str, Any]] | None = None,
        *,
        n_init: int = 5,
        n_bags: int = 20,
        bag_fraction: float = 0.5,
        max_models: int = 100,
        metric: Metric = "rmse",
        validation: float = 0.2,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        progress: Progress = False,
    ) -> None:
        self.library = library
        self.n_init = n_init
        self.n_bags = n_bags
        self.bag_fraction = bag_fraction
        self.max_models = max_models
        self.metric = metric
        self.validation = validation
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.progress = progress

    def _check_parameters(self, metrics: Sequence[str]) -> None:
        for name, least in (("n_init", 1), ("n_bags", 0), ("max_models", 1)):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
                raise InputError(f"{name} must be a whole number of at least {least}; got {value!r:.60}")
        for name, most in (("bag_fraction", 1.0), ("validation", 1.0)):
            value = getattr(self, name)
            right = isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < float(value) <= most
            if not right or (name == "validation" and value == most):
                raise InputError(
                    f"{name} must be above 0 and {'below' if name == 'validation' else 'at most'} 1; got {value!r:.60}"
                )
        if self.metric not in metrics:
            raise InputError(
                f"metric must be one of {list(metrics)} here; got {self.metric!r:.60}."
                f"{did_you_mean(str(self.metric), metrics)}"
            )

    def _fit(self, rows: TargetRows, select: TargetRows | None, k: int, seeds: Sequence[int]) -> None:
        """Fits the library, selects, and keeps what has a weight; `k` classes, 0 in regression."""
        members = read_library(self.library, self.schema_, classify=k > 0)
        own = draw_seeds(seeds[0], len(members))
        if select is None:
            rows, select = hold_out(rows, self.validation, np.random.default_rng(seeds[1]), stratified=k > 0)
        with reporting(self.progress) as report:
            self._announce(report, members, len(rows), k)
            library = fit_library(members, rows, select.values, k, own, self.n_jobs, report)
        Y = np.eye(k)[select.target] if k else select.target[:, None]
        self._select(library, Y, select.shares(), seeds[2])

    def _announce(self, report: Report, members: Sequence[Member], n: int, k: int) -> None:
        from joblib import effective_n_jobs

        width = sum(len(c.levels) if c.kind == "nominal" else 1 for c in self.schema_.columns)
        seconds = estimated_seconds(members, n, width, k) / effective_n_jobs(self.n_jobs)
        about = f", about {seconds:.0f} s" if seconds >= 1 else ""
        report(f"ensemble selection: {len(members)} models on {n} rows{about}", 0, 0)

    def _select(self, library: Library, Y: np.ndarray, shares: np.ndarray, seed: int) -> None:
        names = library.fitted
        P = np.stack([library.answers[name] for name in names])
        weights, path = bagged_weights(
            P,
            Y,
            shares,
            metric=self.metric,
            n_init=int(self.n_init),
            n_bags=int(self.n_bags),
            bag_fraction=float(self.bag_fraction),
            max_models=int(self.max_models),
            seed=seed,
        )
        accuracy = self.metric == "accuracy"
        scores = {name: score(self.metric, answers, Y, shares) for name, answers in zip(names, P, strict=True)}
        self.weights_ = {name: float(w) for name, w in zip(names, weights, strict=True) if w > 0}
        self.estimators_ = {name: library.models[name] for name in self.weights_}
        self.best_single_ = (max if accuracy else min)(names, key=lambda name: scores[name])
        self.best_single_estimator_ = library.models[self.best_single_]
        self.path_ = 1.0 - path if accuracy else path
        self.validation_score_ = score(self.metric, np.tensordot(weights, P, axes=1), Y, shares)
        self.library_scores_ = _table(library, scores, self.weights_, accuracy)
        self.n_trees_ = sum(count_trees(model) for model in self.estimators_.values())
        self.complete_ = library.complete

    def _answer(self, X: Rows) -> np.ndarray:
        check_is_fitted(self, "estimators_")
        Z, k = encode_rows(self, X, self.schema_), len(getattr(self, "classes_", ()))
        return ask_all(list(self.estimators_.values()), list(self.weights_.values()), Z, k, self.n_jobs)


def _table(library: Library, scores: dict[str, float], weights: dict[str, float], accuracy: bool) -> pd.DataFrame:
    """One line a model, best first, those that failed last."""
    import pandas as pd

    lines = [
        {
            "name": member.name,
            "family": member.family,
            "score": scores.get(member.name, float("nan")),
            "seconds": library.seconds.get(member.name, float("nan")),
            "weight": weights.get(member.name, 0.0),
        }
        for member in library.members
    ]
    table = pd.DataFrame(lines)
    table.insert(4, "error", pd.Series([library.errors.get(member.name) for member in library.members], dtype=object))
    table = table.sort_values("score", ascending=not accuracy, kind="stable", na_position="last")
    return table.reset_index(drop=True)


class EnsembleSelection(ClassifierMixin, _Ensemble):
    """A classifier that is the weighted mean of models chosen from a library for their score on held-out rows.

    Parameters
    ----------
    library : {"default", "small"} or list of (str, estimator), optional
        "default" (the same as None) has about 60 models of ten kinds, "small" has ten fast ones. A person's own
        classifier gets one 0/1 a nominal level and numbers with mean 0 and variance 1; a `Pipeline` gets the encoded
        matrix as it is, positions of levels included. Labels come as their positions in `classes_`. One without
        `predict_proba` is calibrated by a sigmoid in three-fold cross-validation. A `random_state` of None gets a seed.
    n_init : int
        How many of the best models a run starts from.
    n_bags : int
        How many random parts of the library are selected from; their weights are averaged. 0 takes the whole library.
    bag_fraction : float
        The share of the library in each bag, above 0 and at most 1.
    max_models : int
        How many picks a run makes before its best prefix is kept.
    metric : {"rmse", "log_loss", "accuracy"}
        What is selected for. "rmse" is that of all probabilities against 0/1; with two classes, that of either one.
    validation : float
        The share of the rows that is held out for selection, of each class alike; not used with `validation_data`.
    random_state : int, Generator or None
        The same seed gives the same ensemble in any number of processes.
    n_jobs : int or None
        Processes that fit, and threads that predict; None defers to ``joblib.parallel_config``.
    progress : bool or function
        A bar on the error stream, or a function of (what, done, total).

    Attributes
    ----------
    classes_ : array ``(k,)``
        The labels, in the order of the columns of the probabilities.
    estimators_ : dict
        The fitted models with a weight, by name. Each takes encoded rows, as ``schema_.encode(X)`` gives them, and
        answers with positions in `classes_`.
    weights_ : dict
        Their weights, with the sum 1.
    library_scores_ : DataFrame
        A line a model, best first: name, family, score on the rows of selection, seconds, error (None where there is
        none), weight.
    best_single_, best_single_estimator_ : str, estimator
        The model that scores best alone.
    path_ : array
        The score after each pick of the run over the whole library.
    validation_score_ : float
        The score of the ensemble on the rows of selection: optimistic, as it was chosen for it.
    n_trees_ : int
        How many trees the models with a weight hold.
    complete_ : bool
        False where Ctrl-C stopped the library before its end.
    schema_ : Schema
        The columns of ``fit``.

    Source
    ------
    Caruana2004; the teachers of Bucila2006.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "other")
    >>> library = [("tree", DecisionTreeClassifier(max_depth=4)), ("line", LogisticRegression())]
    >>> ensemble = EnsembleSelection(library, random_state=0).fit(X, y)
    >>> ensemble.best_single_, ensemble.predict([[0.5, 0.5], [0.5, -0.5]]).tolist()
    ('tree', ['same', 'other'])
    """

    classes_: np.ndarray

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        validation_data: tuple[Rows, Any] | None = None,
    ) -> EnsembleSelection:
        """Fits the library, selects on held-out rows, and returns itself.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a pandas, Polars or Arrow frame, or a `Table`.
        y : array ``(n,)``
            Labels.
        sample_weight : array ``(n,)``, optional
            At least 0. A whole weight is that many equal rows. Others are given to the models that take them; for the
            rest, rows are drawn by their weights.
        validation_data : (X, y), optional
            Rows to select on, each of the same weight; the library is then fitted on all of `X`.

        Raises
        ------
        InputError, ValueError
            Where anything is missing, not finite or of the wrong shape, or a level or label of `validation_data` is
            new; where a parameter is out of its range; where there is a single class; where every
            model fails (one that fails is a line of `library_scores_`).

        Warns
        -----
        UserWarning
            Where Ctrl-C stops the library after a first model: the ensemble is selected from what is done. Before
            that, Ctrl-C stops the fit.

        Cost
        ----
        See the file's header.
        """
        self._check_parameters(list(METRICS))
        seeds = draw_seeds(self.random_state, 3)
        table = read_rows(self, X, y)
        labels = read_labels(y, len(table))
        weights = read_weights(sample_weight, len(table))
        self.classes_, codes = np.unique(labels, return_inverse=True)
        self._refuse_one_class(codes[weights > 0])
        self.schema_ = table.schema
        rows = in_order(table.values, codes, weights)
        select = None if validation_data is None else self._read_selection(validation_data)
        self._fit(rows, select, len(self.classes_), seeds)
        return self

    def _refuse_one_class(self, codes: np.ndarray) -> None:
        found = self.classes_[np.unique(codes)]
        if len(found) < 2:
            raise InputError(f"a classifier needs rows of at least 2 classes; got 1 class: {found.tolist()}")

    def _read_selection(self, data: Any) -> TargetRows:
        Xv, yv = _pair(data)
        Z = self.schema_.encode(Xv)
        labels = read_labels(yv, len(Z))
        unknown = sorted(set(labels.tolist()) - set(self.classes_.tolist()), key=str)
        if unknown:
            raise InputError(
                f"validation_data holds labels that y lacks: {unknown[:8]}; y holds {self.classes_.tolist()[:20]}"
            )
        return in_order(Z, np.searchsorted(self.classes_, labels), np.ones(len(Z)))

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The probability of each class, ``(n, k)``, in the order of `classes_`.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        return self._answer(X)

    def predict(self, X: Rows) -> np.ndarray:
        """The most probable label of each row, ``(n,)``.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        best = np.argmax(self.predict_proba(X), axis=1)
        return np.asarray(self.classes_[best])


class EnsembleSelectionRegressor(RegressorMixin, _Ensemble):
    """A regressor that is the weighted mean of models chosen from a library for their error on held-out rows.

    Parameters
    ----------
    library : {"default", "small"} or list of (str, estimator), optional
        "default" (the same as None) has about 60 models of nine kinds, "small" has nine fast ones. A person's own
        regressor gets one 0/1 a nominal level and numbers with mean 0 and variance 1; a `Pipeline` gets the encoded
        matrix as it is, positions of levels included. A `random_state` of None gets a seed.
    n_init, n_bags, bag_fraction, max_models, random_state, n_jobs, progress
        As in `EnsembleSelection`.
    metric : {"rmse"}
        What is selected for.
    validation : float
        The share of the rows that is held out for selection; not used with `validation_data`.

    Attributes
    ----------
    estimators_, weights_, library_scores_, best_single_, best_single_estimator_, path_, validation_score_, n_trees_
        As in `EnsembleSelection`; scores are root mean square errors.
    complete_, schema_
        As in `EnsembleSelection`.

    Source
    ------
    Caruana2004.

    Examples
    --------
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(300, 2))
    >>> library = [("tree", DecisionTreeRegressor(max_depth=4)), ("line", LinearRegression())]
    >>> ensemble = EnsembleSelectionRegressor(library, random_state=0).fit(X, 2 * X[:, 0] - X[:, 1])
    >>> ensemble.weights_
    {'line': 1.0}
    """

    def fit(
        self,
        X: Rows,
        y: Any,
        *,
        sample_weight: Any = None,
        validation_data: tuple[Rows, Any] | None = None,
    ) -> EnsembleSelectionRegressor:
        """Fits the library, selects on held-out rows, and returns itself.

        Parameters
        ----------
        X : rows
            An array ``(n, d)``, a pandas, Polars or Arrow frame, or a `Table`.
        y : array ``(n,)``
            Quantities.
        sample_weight : array ``(n,)``, optional
            At least 0. A whole weight is that many equal rows. Others are given to the models that take them; for the
            rest, rows are drawn by their weights.
        validation_data : (X, y), optional
            Rows to select on, each of the same weight; the library is then fitted on all of `X`.

        Raises
        ------
        InputError, ValueError
            Where anything is missing, not finite or of the wrong shape, or a level or label of `validation_data` is
            new; where a parameter is out of its range; where there is a single row; where every
            model fails (one that fails is a line of `library_scores_`).

        Warns
        -----
        UserWarning
            Where Ctrl-C stops the library after a first model: the ensemble is selected from what is done. Before
            that, Ctrl-C stops the fit.

        Cost
        ----
        See the file's header.
        """
        self._check_parameters(["rmse"])
        seeds = draw_seeds(self.random_state, 3)
        table = read_rows(self, X, y)
        values = read_values(y, len(table))
        weights = read_weights(sample_weight, len(table))
        self.schema_ = table.schema
        rows = in_order(table.values, values, weights)
        select = None
        if validation_data is not None:
            Xv, yv = _pair(validation_data)
            Z = self.schema_.encode(Xv)
            select = in_order(Z, read_values(yv, len(Z)), np.ones(len(Z)))
        self._fit(rows, select, 0, seeds)
        return self

    def predict(self, X: Rows) -> np.ndarray:
        """The values ``(n,)``.

        Parameters
        ----------
        X : rows
            An array, frame or `Table` with the columns of ``fit``.
        """
        return self._answer(X)[:, 0]


def _pair(data: Any) -> tuple[Any, Any]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(f"validation_data must be a pair (X, y) of rows to select on; got a {type(data).__name__}")
    return data[0], data[1]
