"""The errors that limbeck raises: each says what is required, what came, and what to do."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

__all__ = [
    "InputError",
    "LimbeckError",
    "MissingDependencyError",
    "StorageError",
    "TeacherError",
    "did_you_mean",
    "require",
]


class LimbeckError(Exception):
    """The parent of every error that limbeck raises on purpose."""


class InputError(LimbeckError, ValueError):
    """An argument, a table or a file is not what is required."""


class TeacherError(LimbeckError, RuntimeError):
    """The teacher raised, or its answers can't be used."""


class MissingDependencyError(LimbeckError, ImportError):
    """An optional part is not installed; the message names the extra that brings it."""


class StorageError(LimbeckError, OSError):
    """A folder or file can't be read or written as a run."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint ``" Did you mean 'x'?"`` with the nearest known name, or an empty string."""
    near = difflib.get_close_matches(str(name), list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def require(module: str, *, extra: str) -> ModuleType:
    """The imported optional `module`; where it is absent, an error that names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module} is required here and is not installed; install it with: pip install 'limbeck[{extra}]'"
        ) from error
