"""A model on one thread for a while: what a library keeps in the model itself is set to one, and put back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

__all__ = ["one_booster_thread", "one_job"]

MOST_PARTS = 200_000


@contextmanager
def one_job(model: Any) -> Iterator[None]:
    """`n_jobs` is 1 in the estimator and in every estimator inside it; on leaving, also on errors, as it was.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> forest = RandomForestClassifier(n_jobs=4)
    >>> with one_job(forest):
    ...     forest.n_jobs
    1
    >>> forest.n_jobs
    4
    """
    parts = [part for part in _estimators(model) if "n_jobs" in vars(part)]
    kept = [(vars(part), vars(part)["n_jobs"]) for part in parts]
    with ExitStack() as stack:
        for part in parts:
            booster = vars(part).get("_Booster")
            if booster is not None and type(booster).__module__.startswith("xgboost"):
                stack.enter_context(one_booster_thread(booster))
        try:
            for attributes, _ in kept:
                attributes["n_jobs"] = 1
            yield
        finally:
            for attributes, jobs in kept:
                attributes["n_jobs"] = jobs


@contextmanager
def one_booster_thread(booster: Any) -> Iterator[None]:
    """An ``xgboost.Booster`` on one thread; on leaving, its own number again."""
    threads = json.loads(booster.save_config())["learner"]["generic_param"]["nthread"]
    booster.set_param({"nthread": 1})
    try:
        yield
    finally:
        booster.set_param({"nthread": int(threads)})


def _estimators(model: Any) -> list[Any]:
    """The estimator and those that it holds, in attributes, lists, dictionaries and arrays, each once."""
    found: list[Any] = []
    seen: set[int] = set()
    waiting = [model]
    while waiting and len(seen) < MOST_PARTS:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, list | tuple | set):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, np.ndarray):
            waiting += one.ravel().tolist() if one.dtype == object else []
        elif hasattr(one, "__dict__") and not isinstance(one, type) and (one is model or hasattr(one, "get_params")):
            found.append(one)
            waiting += vars(one).values()
    return found
