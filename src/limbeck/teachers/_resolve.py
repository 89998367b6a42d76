"""From whatever a person calls a model - an object, a file, or a name in a module - to a teacher."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from limbeck._core.errors import InputError, did_you_mean
from limbeck._core.targets import read_target
from limbeck.teachers._booster import booster_source, is_booster
from limbeck.teachers._callable import callable_source
from limbeck.teachers._estimator import estimator_source
from limbeck.teachers._reading import Wanted
from limbeck.teachers._source import Source, Task
from limbeck.teachers._teacher import Teacher

__all__ = ["as_teacher"]

NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
PICKLES = (
    ".pkl",
    ".pickle",
    ".joblib",
    ".dill",
    ".cloudpickle",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".h5",
    ".keras",
)
FILES = {
    ".pt2": "a module exported with torch.export.save(torch.export.export(module.eval(), (rows,)), 'teacher.pt2')",
    ".onnx": "a model exported with torch.onnx.export or skl2onnx.to_onnx",
    ".skops": "a scikit-learn model written with skops.io.dump(model, 'teacher.skops')",
}


def as_teacher(
    model: Any,
    task: Task | None = None,
    classes: Sequence[Any] | None = None,
    *,
    rows: Any = None,
    y: Any = None,
    output: str | None = None,
    preprocess: Callable[[Any], Any] | None = None,
    names: Sequence[str] | None = None,
    batch_rows: int = 8192,
) -> Teacher:
    """A teacher: one frozen, counted, verified function from rows to answers ``(n, k)``.

    Parameters
    ----------
    model : object, path or str
        - a ``torch.nn.Module``, or a path to a ``.pt2`` file of ``torch.export.save``, read without pickle;
        - a path to an ``.onnx`` file (extra ``onnx``), or to a ``.skops`` file of a scikit-learn model (extra
          ``skops``);
        - a fitted scikit-learn estimator or pipeline, or any object with `predict` or `predict_proba`;
        - an XGBoost or LightGBM ``Booster``;
        - a function from rows to answers ``(n,)`` or ``(n, k)``;
        - ``"package.module:name"``, a model or function in a module, found as Python finds it and in the current
          folder; a function without required parameters is called once and gives the model;
        - a `Teacher`, which comes back as it is, or under other `classes`.
    task : {"regression", "classification"}, optional
        Needed only where neither the model nor its answers tell.
    classes : sequence, optional
        The labels in the order of the model's outputs; its own, or 0 to k - 1, where absent.
    rows : rows, optional
        Some rows of the kind that will be asked (256 are used): the teacher is verified on them now, else on its first
        call.
    y : array, optional
        True values; helps to tell the task and the labels.
    output : {"probabilities", "logits"}, optional
        What a classifier's numbers are. Where absent, rows that sum to 1 are probabilities, others are scores; a single
        number a row is the probability, or else the score, of the second class. What was decided is in `notes`.
    preprocess : function, optional
        From rows in the user's own container to what the model takes: an array, a tensor, or a tuple of them.
    names : sequence of str, optional
        Column names for rows that come as an array to a model that needs names.
    batch_rows : int
        The most rows that are asked at once.

    Raises
    ------
    InputError
        For something that can't be a teacher, a file that would have to be unpickled, or a task that can't be told.
    TeacherError
        Where the model raises, is random, or its answers can't be used.
    MissingDependencyError
        Where a library that a file needs is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> teacher = as_teacher(lambda X: X[:, 0] + 2 * X[:, 1], task="regression")
    >>> teacher(np.array([[1.0, 2.0], [0.0, 1.0]]))
    array([[5.],
           [2.]])
    >>> teacher.rows_asked
    2
    """
    _check_options(task, output, batch_rows, preprocess)
    if isinstance(model, Teacher):
        teacher = model if classes is None else model.with_classes(classes)
        return teacher if rows is None else teacher.verify(rows)
    labels = None if classes is None else tuple(classes)
    if labels is not None and (len(labels) < 2 or len({str(label) for label in labels}) < len(labels)):
        raise InputError(f"classes must name at least two different labels; got {labels!r:.200}")
    if labels is not None and task == "regression":
        raise InputError("classes belong to a classification; got task='regression' with classes")
    columns = None if names is None else tuple(str(name) for name in names)
    source = _source(model, task, columns, preprocess is not None)
    wanted = Wanted(task, labels, output, None if y is None else read_target(y))
    teacher = Teacher(source, wanted, int(batch_rows), preprocess)
    return teacher if rows is None else teacher.verify(rows)


def _check_options(task: Any, output: Any, batch_rows: Any, preprocess: Any) -> None:
    if task not in (None, "regression", "classification"):
        hint = did_you_mean(str(task), ("regression", "classification"))
        raise InputError(f"task must be 'regression', 'classification' or None; got {task!r:.80}.{hint}")
    if output not in (None, "probabilities", "logits"):
        hint = did_you_mean(str(output), ("probabilities", "logits"))
        raise InputError(f"output must be 'probabilities', 'logits' or None; got {output!r:.80}.{hint}")
    if output is not None and task == "regression":
        raise InputError(f"output={output!r} belongs to a classification; got task='regression'")
    if not isinstance(batch_rows, int) or isinstance(batch_rows, bool) or batch_rows < 1:
        raise InputError(f"batch_rows must be a whole number of at least 1; got {batch_rows!r:.80}")
    if preprocess is not None and not callable(preprocess):
        raise InputError(f"preprocess must be a function of the rows; got a {type(preprocess).__name__}")


def _source(model: Any, task: Task | None, names: tuple[str, ...] | None, prepared: bool) -> Source:
    """The source for a model, by what it is."""
    if isinstance(model, str | os.PathLike):
        text = os.fspath(model)
        if isinstance(model, str) and NAME.fullmatch(text) and not Path(text).exists():
            return _named_source(text, task, names, prepared)
        return _file_source(Path(text), task, names, prepared)
    if _is_torch(model):
        from limbeck.teachers._torch import torch_source

        return torch_source(_exported_module(model), prepared=prepared)
    if inspect.isclass(model):
        raise InputError(f"a model is required; got the class {model.__name__}. Make one and fit it first.")
    if is_booster(model):
        return booster_source(model, names=names)
    if hasattr(model, "predict") or hasattr(model, "predict_proba"):
        return estimator_source(model, task=task, names=names)
    if callable(model):
        return callable_source(model, names)
    raise InputError(
        "a teacher is a torch module, a .pt2, .onnx or .skops file, an object with predict or predict_proba, a "
        f"function of rows, or 'package.module:name'; got a {type(model).__name__}: "
        f"{' '.join(repr(model).split())[:80]}"
    )


def _is_torch(model: Any) -> bool:
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    return isinstance(model, torch.nn.Module) or type(model).__name__ == "ExportedProgram"


def _exported_module(model: Any) -> Any:
    return model.module() if type(model).__name__ == "ExportedProgram" else model


def _file_source(path: Path, task: Task | None, names: tuple[str, ...] | None, prepared: bool) -> Source:
    """The source for a file; files that would have to be unpickled are refused, with the way out."""
    ending = path.suffix.lower()
    kinds = "; ".join(f"{known}: {what}" for known, what in FILES.items())
    if ending in PICKLES:
        raise InputError(
            f"{path.name} is not opened: {ending} files are unpickled, or rebuilt from code, and can run any code. "
            f"Give {kinds}; or 'package.module:name', a model that your own module loads."
        )
    if ending not in FILES:
        what = (
            "is not a file or a name" if not path.exists() else f"has an ending that is not known ({ending or 'none'})"
        )
        raise InputError(f"{str(path)!r:.200} {what}; a teacher is read from {kinds}; or 'package.module:name'")
    if not path.is_file():
        raise InputError(f"no file at {path}; a teacher is read from {kinds}")
    if ending == ".onnx":
        from limbeck.teachers._onnx import onnx_source

        return onnx_source(path, names=names, prepared=prepared)
    if ending == ".skops":
        from limbeck.teachers._skops import skops_source

        return skops_source(path, task=task, names=names)
    from limbeck.teachers._exported import exported_source

    return exported_source(path, prepared=prepared)


def _named_source(text: str, task: Task | None, names: tuple[str, ...] | None, prepared: bool) -> Source:
    """The source for ``package.module:name``."""
    found, made = load_named(text)
    if isinstance(found, str | os.PathLike):
        raise InputError(f"{text} is a {type(found).__name__}; a model or a function is required")
    source = _source(found, task, names, prepared)
    note = f"{text} was called without arguments and gave the model" if made else f"the model is {text}"
    return replace(source, notes=(note, *source.notes))


def load_named(text: str) -> tuple[Any, bool]:
    """The object that a name stands for, and whether a function was called to make it."""
    module_name, _, path = text.partition(":")
    with _current_folder_first():
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            if error.name is not None and (module_name == error.name or module_name.startswith(f"{error.name}.")):
                raise InputError(
                    f"no module {error.name!r} is installed or in the current folder {Path.cwd()}, as {text!r} needs"
                ) from None
            raise InputError(f"the module {module_name!r} could not be imported: {error}") from error
        except Exception as error:
            raise InputError(
                f"the module {module_name!r} could not be imported: {type(error).__name__}: {str(error)[:200]}"
            ) from error
        for part in path.split("."):
            if not hasattr(found, part):
                known = [name for name in dir(found) if not name.startswith("_")]
                raise InputError(f"{module_name!r} has no {path!r}.{did_you_mean(part, known)}")
            found = getattr(found, part)
        if inspect.isclass(found):
            raise InputError(
                f"{text} is a class; name a model, or a function without parameters that makes one, such as def "
                "teacher(): return ..."
            )
        if not (inspect.isfunction(found) and _needs_nothing(found)):
            return found, False
        try:
            return found(), True
        except Exception as error:
            raise InputError(
                f"{text}() is called to make the model, and raised {type(error).__name__}: {str(error)[:200]}"
            ) from error


def _needs_nothing(function: Any) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return not any(p.kind == p.VAR_POSITIONAL or (p.default is p.empty and p.kind != p.VAR_KEYWORD) for p in parameters)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Python's search path with the current folder in front, put back on leaving."""
    before, folder = list(sys.path), os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
