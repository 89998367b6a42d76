"""Anything with `predict` or `predict_proba` as a teacher: scikit-learn estimators, pipelines, and what looks so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.teachers._reading import Reading
from limbeck.teachers._size import dumped_size
from limbeck.teachers._source import Answers, Source, Task, column_names, columns_by_name, is_frame, to_frame
from limbeck.teachers._threads import one_job

__all__ = ["estimator_source", "fitting_rows", "is_unfitted"]

LIBRARIES = {"sklearn": "scikit-learn", "xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost"}


def estimator_source(model: Any, *, task: Task | None = None, names: tuple[str, ...] | None = None) -> Source:
    """A source that asks `predict_proba` where there is one, else `predict`.

    An estimator that was fitted on a frame gets the columns of its own names in its own order; one that was fitted
    without names gets values.

    Raises
    ------
    InputError
        For an estimator that is not fitted, and for one with several targets of classes.
    """
    name = f"the model {type(model).__name__}"
    _refuse_unfitted(model, name)
    classes = _classes(model, name)
    says = _says_task(model, classes)
    method, answers, notes = _method(model, says or task)
    columns = _fitted_columns(model)
    values_only = columns is None and hasattr(model, "n_features_in_")

    def ask(rows: Any) -> Any:
        return call(rows)()

    def call(rows: Any) -> Callable[[], Any]:
        return partial(getattr(model, method), fitting_rows(rows, columns, values_only, names, name))

    def own(rows: Any, reading: Reading) -> np.ndarray | None:
        if reading.how == "labels":
            return None
        answer = np.asarray(ask(rows), dtype=np.float64)
        return answer.reshape(len(answer), -1) if reading.how in ("values", "probabilities") else None

    return Source(
        "estimator",
        name,
        ask,
        answers=answers,
        task=says,
        classes=classes,
        notes=tuple(notes),
        own=own,
        takes_table=bool(getattr(model, "takes_table", False)),
        form=LIBRARIES.get(library := type(model).__module__.partition(".")[0], library),
        size=lambda: dumped_size(model),
        call=call,
        one_thread=lambda: one_job(model),
        module=getattr(model, "module_on_rows", None),
    )


def is_unfitted(model: Any) -> bool:
    """True for a scikit-learn estimator on which ``fit`` was not called."""
    if isinstance(model, type) or not hasattr(model, "get_params") or not hasattr(model, "fit"):
        return False
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
    except NotFittedError:
        return True
    except TypeError:
        return False
    return False


def _refuse_unfitted(model: Any, name: str) -> None:
    if is_unfitted(model):
        raise InputError(f"{name} is not fitted; call fit(X, y) first")


def _classes(model: Any, name: str) -> tuple[Any, ...] | None:
    found = getattr(model, "classes_", None)
    if found is None:
        return None
    if isinstance(found, list) and found and isinstance(found[0], np.ndarray):
        raise InputError(
            f"{name} has {len(found)} targets of classes; one is required. Distil each on its own, with a function "
            "such as lambda X: model.predict_proba(X)[0]"
        )
    return tuple(np.asarray(found).tolist())


def _says_task(model: Any, classes: tuple[Any, ...] | None) -> Task | None:
    """What the model is, by scikit-learn's own words where it has them."""
    if hasattr(model, "__sklearn_tags__"):
        from sklearn.utils import get_tags

        kind = get_tags(model).estimator_type
        if kind in ("classifier", "outlier_detector"):
            return "classification"
        if kind == "regressor":
            return "regression"
    elif getattr(model, "_estimator_type", None) in ("classifier", "regressor"):
        return "classification" if model._estimator_type == "classifier" else "regression"
    return "classification" if classes is not None or hasattr(model, "predict_proba") else None


def _method(model: Any, task: Task | None) -> tuple[str, Answers | None, list[str]]:
    """The method that is asked, what it answers with, and what to say about it."""
    if task != "regression" and hasattr(model, "predict_proba"):
        return "predict_proba", "probabilities", []
    if not hasattr(model, "predict"):
        raise InputError(f"a model must have predict or predict_proba; {type(model).__name__} has neither")
    if task == "regression":
        return "predict", "values", []
    if task is None or not hasattr(model, "classes_"):
        return "predict", None, []
    scores = ", and its decision_function gives no probabilities" if hasattr(model, "decision_function") else ""
    return "predict", "labels", [f"the model has no predict_proba{scores}: predict is asked"]


def _fitted_columns(model: Any) -> list[str] | None:
    """The column names that the model was fitted with."""
    found = getattr(model, "feature_names_in_", None)
    return None if found is None else [str(column) for column in found]


def fitting_rows(
    rows: Any, columns: list[str] | None, values_only: bool, names: tuple[str, ...] | None, who: str
) -> Any:
    """The rows in the form that the model was fitted on.

    Raises
    ------
    InputError
        Where the model needs names and the rows have none, or a column is not there.
    """
    if names is not None and isinstance(rows, np.ndarray):
        rows = to_frame(rows, names)
    if columns is not None and isinstance(rows, np.ndarray):
        raise InputError(
            f"{who} was fitted on a frame with the columns {columns[:12]}; got an array of shape {rows.shape} without "
            "names. Give a DataFrame with these columns, or names=[...]."
        )
    if columns is not None and is_frame(rows):
        return columns_by_name(rows, _as_fitted(columns, rows), who)
    return rows.to_numpy() if values_only and is_frame(rows) and hasattr(rows, "to_numpy") else rows


def _as_fitted(columns: list[str], rows: Any) -> list[str]:
    """The frame's own spelling of the columns: LightGBM writes underscores for spaces."""
    have = column_names(rows) or []
    spelled = {name.replace(" ", "_"): name for name in have}
    return [column if column in have else spelled.get(column, column) for column in columns]
