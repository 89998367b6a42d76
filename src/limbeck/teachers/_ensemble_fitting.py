"""Fits the models of a library, each in a task of its own, and asks fitted ones.

A model gets encoded rows and its own seed, and gives back itself and its answers on the rows of selection. A model
that fails is a line of the table, not an error.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.parallel import Failure, run_tasks
from limbeck._core.progress import Report
from limbeck.teachers._ensemble_library import Member
from limbeck.teachers._ensemble_rows import TargetRows

__all__ = ["Library", "ask_all", "count_trees", "fit_library"]

CHUNK = 8192
"""So many rows are asked at a time."""


@dataclass(frozen=True)
class Library:
    """The models of a library after their fits.

    Attributes
    ----------
    members : tuple of Member
        As they were given, in that order.
    models : dict
        The fitted ones by name.
    answers : dict
        Their answers on the rows of selection ``(n, k)``, by name.
    seconds : dict
        How long each fit took, answers included.
    errors : dict
        Why a model is not there, by name.
    complete : bool
        False after Ctrl-C.
    """

    members: tuple[Member, ...]
    models: dict[str, Any]
    answers: dict[str, np.ndarray]
    seconds: dict[str, float]
    errors: dict[str, str]
    complete: bool = True

    @property
    def fitted(self) -> list[str]:
        """The names of the models that can be used, in the order of the library."""
        return [member.name for member in self.members if member.name in self.models]


def fit_library(
    members: Sequence[Member],
    rows: TargetRows,
    select: np.ndarray,
    k: int,
    seeds: Sequence[int],
    n_jobs: int | None,
    report: Report,
) -> Library:
    """Every model fitted on `rows` and asked for the encoded rows `select`.

    Parameters
    ----------
    members : sequence of Member
    rows : TargetRows
    select : array ``(m, d)``
    k : int
        The number of classes; 0 in regression.
    seeds : sequence of int
        One a member.
    n_jobs : int or None
    report : function

    Raises
    ------
    InputError
        Where every model fails.
    KeyboardInterrupt
        Where a person stops it before a first model is done; later, what is done comes back, with a warning.
    """
    longest_first = sorted(range(len(members)), key=lambda i: -members[i].seconds)
    tasks = [(members[i].model, rows, select, k, seeds[i]) for i in longest_first]
    out = Library(tuple(members), {}, {}, {}, {})
    report("models", 0, len(tasks))
    complete = True
    try:
        with warnings.catch_warnings(), closing(_one_by_one(tasks, n_jobs)) as done:
            warnings.filterwarnings("ignore", message=".*tasks which were still being processed")
            for count, (i, result) in enumerate(done, 1):
                _take_up(out, members[longest_first[i]].name, result)
                report("models", count, len(tasks))
    except KeyboardInterrupt:
        if not out.models:
            raise
        complete = False
        _warn_of_stop(out)
    if not out.models:
        listed = "; ".join(f"{name}: {error}" for name, error in list(out.errors.items())[:4])
        raise InputError(f"every one of the {len(members)} models of the library failed. {listed:.800}")
    for member in members:
        if member.name not in out.models and member.name not in out.errors:
            out.errors[member.name] = "was not reached before the stop"
    return Library(out.members, out.models, out.answers, out.seconds, out.errors, complete)


def _one_by_one(tasks: list[tuple[Any, ...]], n_jobs: int | None) -> Generator[tuple[int, Any], None, None]:
    yield from run_tasks(fit_model, tasks, n_jobs=n_jobs)


def _take_up(out: Library, name: str, result: Any) -> None:
    if isinstance(result, Failure):
        out.errors[name] = f"{result.kind}: {' '.join(result.message.split()):.300}"
    else:
        out.models[name], out.answers[name], out.seconds[name] = result


def _warn_of_stop(out: Library) -> None:
    warnings.warn(
        f"stopped after {len(out.models)} of {len(out.members)} models: the ensemble is selected from these "
        f"({', '.join(sorted(out.models)[:6])}{' ...' if len(out.models) > 6 else ''}), and complete_ is False",
        UserWarning,
        stacklevel=5,
    )


def fit_model(model: Any, rows: TargetRows, select: np.ndarray, k: int, seed: int) -> tuple[Any, np.ndarray, float]:
    """The fitted model, its answers on `select`, and the seconds that both took; one native thread."""
    from sklearn.base import clone
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    with threadpool_limits(1):
        model = _seeded(clone(model), seed)
        rows, more = _weighted(model, rows, seed)
        model.fit(rows.values, rows.target, **more)
        answers = ask(model, select, k)
    return model, answers, time.perf_counter() - started


def _seeded(model: Any, seed: int) -> Any:
    """The model with `seed` wherever it has a `random_state` of None."""
    names = [name for name, value in model.get_params().items() if value is None]
    mine = {name: seed for name in names if name == "random_state" or name.endswith("__random_state")}
    return model.set_params(**mine) if mine else model


def _weighted(model: Any, rows: TargetRows, seed: int) -> tuple[TargetRows, dict[str, Any]]:
    """The rows, and the weights as the last step takes them; where it takes none, rows drawn by their weights."""
    from sklearn.utils.validation import has_fit_parameter

    if rows.weights is None:
        return rows, {}
    step, last = model.steps[-1] if hasattr(model, "steps") else ("", model)
    if has_fit_parameter(last, "sample_weight"):
        return rows, {f"{step}__sample_weight" if step else "sample_weight": rows.weights}
    drawn = np.random.default_rng(seed).choice(len(rows), size=len(rows), p=rows.shares())
    return rows.take(np.sort(drawn)), {}


def ask(model: Any, Z: np.ndarray, k: int) -> np.ndarray:
    """The answers of a fitted model to encoded rows: probabilities of all `k` classes ``(n, k)``, or values ``(n, 1)``.

    Raises
    ------
    InputError
        Where they are not finite, of another shape, or no probabilities.
    """
    if k == 0:
        out = np.asarray(model.predict(Z), dtype=np.float64).reshape(len(Z), -1)
    else:
        found = np.asarray(model.classes_).astype(np.int64)
        raw = np.asarray(model.predict_proba(Z), dtype=np.float64)
        if raw.shape != (len(Z), len(found)):
            raise InputError(f"a model must answer with shape {(len(Z), len(found))}; it answered with {raw.shape}")
        out = np.zeros((len(Z), k))
        out[:, found] = raw
    bad = int((~np.isfinite(out)).any(axis=1).sum())
    if bad or out.shape[1] != max(k, 1):
        raise InputError(
            f"a model must answer with one finite row a row; {bad} of {len(Z)} are not (shape {out.shape})"
        )
    if k and (out.min() < -1e-6 or np.abs(out.sum(axis=1) - 1).max() > 1e-3):
        raise InputError("a model must answer with probabilities that sum to 1 in every row")
    return out


def ask_all(models: Sequence[Any], weights: Sequence[float], Z: np.ndarray, k: int, n_jobs: int | None) -> np.ndarray:
    """The weighted mean of the models' answers ``(n, max(k, 1))``, in chunks of rows; no row needs the others."""
    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    out = np.zeros((len(Z), max(k, 1)))
    tasks = [(i, start) for start in range(0, len(Z), CHUNK) for i in range(len(models))]
    with threadpool_limits(1):
        answers = Parallel(n_jobs=n_jobs, prefer="threads", return_as="generator")(
            delayed(ask)(models[i], Z[start : start + CHUNK], k) for i, start in tasks
        )
        for (i, start), answer in zip(tasks, answers, strict=True):
            out[start : start + CHUNK] += weights[i] * answer
    return out


def count_trees(model: Any) -> int:
    """How many trees a fitted model holds."""
    if hasattr(model, "tree_"):
        return 1
    if hasattr(model, "n_trees_per_iteration_"):
        return int(model.n_iter_ * model.n_trees_per_iteration_)
    if hasattr(model, "steps"):
        return count_trees(model.steps[-1][1])
    if hasattr(model, "calibrated_classifiers_"):
        return sum(count_trees(part.estimator) for part in model.calibrated_classifiers_)
    if hasattr(model, "regressor_"):
        return count_trees(model.regressor_)
    parts = getattr(model, "estimators_", ())
    return sum(count_trees(part) for part in (parts.ravel() if isinstance(parts, np.ndarray) else parts))
