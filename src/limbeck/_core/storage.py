"""A run on disk: JSON documents and safetensors, written beside and renamed, never pickled, never run.

A folder is written under another name first. Where there is none yet, it is renamed into place; where there is a run
already, the two names are exchanged in one step where the system can, else the old one is renamed to
``.<name>.previous``, from which reading recovers. A kill at any moment leaves the old run or the new.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import math
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.errors import StorageError

__all__ = ["RunDocuments", "read_run", "refuse_foreign", "write_file", "write_run"]

FORMAT = "limbeck-run"
VERSION = 1
MAX_DOCUMENT_BYTES = 256 * 2**20
_TENSOR = "$tensor"
_MIN_TENSOR = 64
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100


@dataclass(frozen=True)
class RunDocuments:
    """Everything in a run's folder, as plain data.

    Attributes
    ----------
    run : dict
        ``run.json``: what was distilled and how.
    results : dict
        ``results.json``: the public summary, findings included.
    students : dict of dict
        ``students/<name>.json``, by name.
    arrays : dict of array
        ``rows.safetensors``: held-out rows and the answers on them.
    """

    run: dict[str, Any]
    results: dict[str, Any]
    students: dict[str, dict[str, Any]]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def write_run(folder: str | Path, documents: RunDocuments) -> Path:
    """The folder, written whole or not at all.

    Raises
    ------
    StorageError
        Where `folder` holds something that is not a run (nothing is overwritten), or can't be written.
    """
    folder = Path(folder).absolute()
    if folder.exists() and not (folder / "run.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} exists and is not a run; give a new folder, an empty one, or a run to replace")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}") from error
    try:
        beside.chmod(0o755)
        _fill(beside, documents)
        _put_in_place(beside, folder)
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def _fill(folder: Path, documents: RunDocuments) -> None:
    (folder / "students").mkdir()
    for name, document in documents.students.items():
        tensors: dict[str, np.ndarray] = {}
        _write_json(folder / "students" / f"{name}.json", _take_arrays(document, tensors))
        if tensors:
            _write_tensors(folder / "students" / f"{name}.safetensors", tensors)
    if documents.arrays:
        _write_tensors(folder / "rows.safetensors", documents.arrays)
    _write_json(folder / "results.json", documents.results)
    _write_json(folder / "run.json", {**documents.run, "format": FORMAT, "version": VERSION})
    for place in (folder / "students", folder):
        _sync(place)


def _put_in_place(beside: Path, folder: Path) -> None:
    previous = _previous(folder)
    if folder.exists():
        if not _exchange(beside, folder):
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
            beside.rename(folder)
    else:
        beside.rename(folder)
    _sync(folder.parent)
    shutil.rmtree(previous, ignore_errors=True)


def _previous(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.previous"


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step, where the system has a call for it."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE)) == 0


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refuse_foreign(folder: Path, document: str, what: str) -> None:
    """Refuse to write into a folder of something else: one that is there, not empty, and without the document.

    Raises
    ------
    StorageError
    """
    foreign = folder.exists() and not (folder / document).is_file()
    if foreign and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(f"{folder} exists and holds no {what}; give a new folder, an empty one, or one to replace")


def write_file(path: str | Path, content: str | bytes) -> Path:
    """The file, written beside and renamed, so that a kill leaves the old one or the new.

    Raises
    ------
    StorageError
        Where it can't be written.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror}") from error
    return path


def _write_json(path: Path, document: Any) -> None:
    text = json.dumps(as_json(document), ensure_ascii=False, indent=1, allow_nan=False)
    with path.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def as_json(value: Any) -> Any:
    """JSON types only; a number that is not finite becomes null."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_tensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    from safetensors.numpy import save

    with path.open("wb") as file:
        file.write(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
        file.flush()
        os.fsync(file.fileno())


def _take_arrays(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The document with each large rectangular list of floats moved to `tensors`."""
    if isinstance(value, dict):
        return {key: _take_arrays(item, tensors) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    array = _float_array(value)
    if array is not None and array.size >= _MIN_TENSOR:
        name = f"t{len(tensors)}"
        tensors[name] = array
        return {_TENSOR: name}
    return [_take_arrays(item, tensors) for item in value]


def _float_array(value: list[Any]) -> np.ndarray | None:
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    if type(first) is not float:
        return None
    try:
        array = np.array(value)
    except ValueError:
        return None
    return array if array.dtype == np.float64 and _all_floats(value) else None


def _all_floats(value: Any) -> bool:
    return all(map(_all_floats, value)) if isinstance(value, list) else type(value) is float


def read_run(folder: str | Path) -> RunDocuments:
    """The documents of a run's folder; where a replacement was cut short, those of the run before it.

    Raises
    ------
    StorageError
        Where the folder is not a run, is of a later version, or a file in it is damaged. Nothing in it is ever run.
    """
    folder = Path(folder).absolute()
    if not folder.exists() and (_previous(folder) / "run.json").is_file():
        folder = _previous(folder)
    if not (folder / "run.json").is_file():
        raise StorageError(
            f"{folder} is not a run: a folder with run.json is required, as `limbeck distill --out` writes"
        )
    run = _read_json(folder, "run.json")
    if run.get("format") != FORMAT:
        raise StorageError(f"{folder / 'run.json'} must have format {FORMAT!r}; got {run.get('format')!r:.60}")
    if run.get("version") != VERSION:
        raise StorageError(
            f"this limbeck reads runs of version {VERSION}; got {run.get('version')!r:.60}. Update limbeck."
        )
    names = run.get("students", [])
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_plain(name) for name in names):
        raise StorageError(f"{folder / 'run.json'} must list its students by plain names; got {names!r:.80}")
    students = {}
    for name in names:
        tensors = _read_tensors(folder, f"students/{name}.safetensors")
        try:
            students[name] = _put_arrays(_read_json(folder, f"students/{name}.json"), tensors)
        except RecursionError:
            raise StorageError(f"students/{name}.json in {folder} is damaged: it is nested too deep") from None
    return RunDocuments(run, _read_json(folder, "results.json"), students, _read_tensors(folder, "rows.safetensors"))


def _is_plain(name: str) -> bool:
    return bool(name) and len(name) < 100 and all(c.isalnum() or c in "-_." for c in name) and not name.startswith(".")


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise StorageError(f"{name} in {folder} points outside the run")
    if path.exists() and path.stat().st_size > MAX_DOCUMENT_BYTES:
        raise StorageError(f"{path} is larger than {MAX_DOCUMENT_BYTES // 2**20} MiB")
    return path


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = _inside(folder, name)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StorageError(f"{folder} lacks {name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} can't be read as JSON: {str(error)[:120]}") from None
    if not isinstance(document, dict):
        raise StorageError(f"{path} must hold a JSON object; got {type(document).__name__}")
    return document


def _read_tensors(folder: Path, name: str) -> dict[str, np.ndarray]:
    path = _inside(folder, name)
    if not path.is_file():
        return {}
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise StorageError(f"{path} can't be read as safetensors: {str(error)[:120]}") from None


def _put_arrays(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_TENSOR}:
            if value[_TENSOR] not in tensors:
                raise StorageError(f"a document refers to the array {value[_TENSOR]!r:.60}, which its file lacks")
            return tensors[value[_TENSOR]].tolist()
        return {key: _put_arrays(item, tensors) for key, item in value.items()}
    return [_put_arrays(item, tensors) for item in value] if isinstance(value, list) else value
