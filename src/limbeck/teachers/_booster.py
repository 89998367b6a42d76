"""The native models of XGBoost and LightGBM (`Booster`), whose task is written in their objective, as teachers."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from limbeck._core.errors import InputError
from limbeck.teachers._estimator import fitting_rows
from limbeck.teachers._size import dumped_size
from limbeck.teachers._source import Answers, Source, Task
from limbeck.teachers._threads import one_booster_thread

__all__ = ["booster_source", "is_booster"]

Meaning = tuple[Task | None, Answers | None, tuple[Any, ...] | None]


def is_booster(model: Any) -> bool:
    """True for ``xgboost.Booster`` and ``lightgbm.Booster``."""
    return type(model).__name__ == "Booster" and type(model).__module__.partition(".")[0] in ("xgboost", "lightgbm")


def booster_source(model: Any, *, names: tuple[str, ...] | None = None) -> Source:
    """A source that asks a native booster, its columns by name where it was trained with names.

    Raises
    ------
    InputError
        For an objective that is neither regression nor classification, such as ranking.
    """
    library = type(model).__module__.partition(".")[0]
    name = f"the model {library}.Booster"
    if library == "xgboost":
        task, answers, classes = _meaning_xgboost(model, name)
        columns = list(model.feature_names) if model.feature_names else None
    else:
        task, answers, classes = _meaning_lightgbm(model, name)
        found = list(model.feature_name())
        columns = None if all(one == f"Column_{j}" for j, one in enumerate(found)) else found

    def ask(rows: Any) -> Any:
        return call(rows)()

    def call(rows: Any) -> Callable[[], Any]:
        fitted = fitting_rows(rows, columns, columns is None, names, name)
        if library == "xgboost":
            import xgboost

            return lambda: model.predict(xgboost.DMatrix(fitted, feature_names=columns, enable_categorical=True))
        return lambda: model.predict(fitted)

    return Source(
        "booster",
        name,
        ask,
        answers=answers,
        task=task,
        classes=classes,
        form="XGBoost" if library == "xgboost" else "LightGBM",
        size=lambda: dumped_size(model),
        call=call,
        one_thread=lambda: one_booster_thread(model) if library == "xgboost" else nullcontext(),
    )


def _meaning_xgboost(model: Any, name: str) -> Meaning:
    learner = json.loads(model.save_config())["learner"]
    objective = str(learner["objective"]["name"])
    k = int(learner["learner_model_param"]["num_class"])
    if objective == "binary:logistic":
        return "classification", "probabilities", None
    if objective == "binary:logitraw":
        return "classification", "logits", None
    if objective == "multi:softprob":
        return "classification", "probabilities", tuple(range(k))
    if objective in ("multi:softmax", "binary:hinge"):
        return "classification", "labels", tuple(range(max(k, 2)))
    if objective.startswith(("reg:", "count:")):
        return "regression", "values", None
    raise _refused(name, objective)


def _meaning_lightgbm(model: Any, name: str) -> Meaning:
    words = str(model.dump_model(num_iteration=1).get("objective", "")).split() or ["custom"]
    objective, k = words[0], next((int(word[10:]) for word in words if word.startswith("num_class:")), 2)
    if objective == "binary":
        return "classification", "probabilities", None
    if objective == "multiclass":
        return "classification", "probabilities", tuple(range(k))
    if objective in ("regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie"):
        return "regression", "values", None
    raise _refused(name, objective)


def _refused(name: str, objective: str) -> InputError:
    return InputError(
        f"{name} has the objective {objective!r}; regression and classification are distilled. Give a function "
        "instead: as_teacher(lambda X: ..., task=...)"
    )
