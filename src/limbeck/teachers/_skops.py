"""A scikit-learn model in a ``.skops`` file as a teacher: read without pickle, its trees checked before they are asked.

skops rebuilds a model from a list of types that it trusts. Trees are not on that list, because scikit-learn follows the
node numbers of a tree without looking whether they are in range: a hostile file could crash the process. Here they are
taken, and every node of every tree is checked first.

Source
------
The format and its audit are skops' own (extra ``skops``).

Checked
-------
Files with a type that is not trusted, and trees with a child or a column out of range or a loop, are refused
(tests/unit/test_skops.py).

Cost
----
Reading, and one pass over the nodes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import InputError, require
from limbeck.teachers._estimator import estimator_source
from limbeck.teachers._size import file_size
from limbeck.teachers._source import Source, Task

__all__ = ["skops_source"]

TREE = "sklearn.tree._tree.Tree"
PREDICTOR = "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
PLAIN = (
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
"""Plain Python types of scikit-learn that nothing is asked of once the model is fitted."""
UNVALIDATED = ("sklearn.ensemble._forest", "sklearn.ensemble._gb")
"""Ensembles of these modules hand rows on to their trees without a check of their own."""


def skops_source(path: Path, *, task: Task | None = None, names: tuple[str, ...] | None = None) -> Source:
    """The source for a ``.skops`` file.

    Raises
    ------
    InputError
        Where the file is none, holds a type that is not trusted, or a tree that points out of range.
    MissingDependencyError
        Where skops is not installed (extra ``skops``).
    """
    skops = require("skops.io", extra="skops")
    taken = (TREE, PREDICTOR, *PLAIN)
    try:
        unknown = [name for name in skops.get_untrusted_types(file=path) if name not in taken]
        if unknown:
            raise InputError(
                f"{path.name} holds types that are not trusted: {unknown[:8]}. A file is read only where all its types "
                "are scikit-learn's and NumPy's own; export the model to .onnx, or load it in a module of your own: "
                "'package.module:name'"
            )
        model = skops.load(path, trusted=list(taken))
    except InputError:
        raise
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, ImportError, OSError) as error:
        raise InputError(
            f"{path.name} can't be read as a .skops file: {type(error).__name__}: {str(error)[:200]}. Write it with "
            "skops.io.dump(model, path), by the scikit-learn that is installed here."
        ) from error
    for owner, part, owners in _parts(model):
        _check(part, owner, owners, path.name)
    return replace(estimator_source(model, task=task, names=names), size=lambda: file_size(path))


def _parts(model: Any) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """Every tree in the model, with the estimator that holds it and those that hold that one, the nearest first."""
    stack: list[tuple[Any, tuple[Any, ...]]] = [(model, ())]
    seen: set[int] = set()
    kept = []  # an object that is gone could leave its number to another
    while stack:
        thing, owners = stack.pop()
        if id(thing) in seen or isinstance(thing, str | bytes | int | float | type(None)):
            continue
        seen.add(id(thing))
        kept.append(thing)
        name = f"{type(thing).__module__}.{type(thing).__name__}"
        if name in (TREE, PREDICTOR):
            yield owners[0] if owners else None, thing, owners[1:]
            continue
        if isinstance(thing, dict):
            inside = [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            inside = list(thing)
        elif isinstance(thing, np.ndarray):
            inside = list(thing.flat) if thing.dtype == object else []
        else:
            inside = list(getattr(thing, "__dict__", {}).values())
            owners = (thing, *owners) if "n_features_in_" in getattr(thing, "__dict__", {}) else owners
        stack.extend((part, owners) for part in inside)


def _check(part: Any, owner: Any, owners: tuple[Any, ...], name: str) -> None:
    """Refuse a tree of which a row could leave the nodes, the columns, or never reach a leaf."""
    columns = None if owner is None else getattr(owner, "n_features_in_", None)
    if not isinstance(columns, int | np.integer):
        raise InputError(f"{name} holds a tree outside a fitted model, so it is not opened")
    for above in owners[:1]:
        if type(above).__module__ in UNVALIDATED and above.n_features_in_ != columns:
            raise InputError(f"{name} is damaged or hostile: a tree takes {columns} columns, its forest others")
    if type(part).__name__ == "Tree":
        left, right, feature = part.children_left, part.children_right, part.feature
        inner = left != -1
        good = part.n_features == columns and bool((right[~inner] == -1).all())
    else:
        nodes = part.nodes
        inner = nodes["is_leaf"] == 0
        left, right, feature = (nodes[key].astype(np.int64) for key in ("left", "right", "feature_idx"))
        sets = min(len(part.raw_left_cat_bitsets), len(part.binned_left_cat_bitsets))
        by_level = inner & (nodes["is_categorical"] != 0)
        good = bool((nodes["bitset_idx"][by_level] < sets).all())
    count, place = len(left), np.arange(len(left))[inner]
    for child in (left[inner], right[inner]):
        good = good and bool(((child > place) & (child < count)).all())
    good = good and count > 0 and bool(((feature[inner] >= 0) & (feature[inner] < columns)).all())
    if not good:
        raise InputError(f"{name} is damaged or hostile: a tree in it points outside its nodes or columns")
