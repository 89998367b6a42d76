"""Sets of a data folder: a ``MANIFEST.json`` and the files that it names.

The manifest is ``{"sets": [entry, ...]}``. An entry has `name` and `file` (a path inside the folder), and may have
`format` (parquet, csv or npz), `target` (a name or a list of names), `task`, `rows`, `features`,
`non_feature_columns` (left out of the frame), `source`, `licence`, `description` and `sha256` (checked where given).
The folder is not trusted: paths that leave it are refused, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck.datasets._dataset import Dataset, read_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Entry", "by_file", "folders", "load", "read_manifest"]

VARIABLE = "LIMBECK_DATA"
MANIFEST = "MANIFEST.json"
LARGEST_MANIFEST = 20_000_000  # bytes
PARTS = ("train", "val", "test")
TABLE_TASKS = ("regression", "classification")
ARRAY_TASKS = {"image_classification": "p", "signal_classification": "t"}


@dataclass(frozen=True)
class Entry:
    """One set as the manifest describes it."""

    name: str
    file: str
    format: str
    target: str | list[str] | None
    task: str
    rows: int | None
    features: int | None
    left_out: tuple[str, ...]
    source: str
    licence: str
    description: str
    sha256: str | None

    @property
    def is_table(self) -> bool:
        """True where `load` can give the set as a table."""
        if self.target is None:
            return False
        if self.format == "npz":
            return self.task in ARRAY_TASKS
        return self.task in TABLE_TASKS

    def listed(self, folder: Path) -> dict[str, Any]:
        """The entry as `limbeck.datasets.available` shows it."""
        target = self.target if isinstance(self.target, str) else ", ".join(self.target or ())
        return {
            "name": self.name,
            "rows": self.rows,
            "features": self.features,
            "task": self.task,
            "target": target,
            "format": self.format,
            "table": self.is_table,
            "where": str(folder),
            "licence": self.licence,
        }


def folders() -> list[Path]:
    """The data folders that are there, in the order in which they are searched.

    Raises
    ------
    InputError
        Where ``LIMBECK_DATA`` is set and names no data folder.
    """
    named = os.environ.get(VARIABLE)
    found = []
    if named:
        if not (Path(named) / MANIFEST).is_file():
            raise InputError(
                f"{VARIABLE} must name a folder with a {MANIFEST}; got {named!r:.200}, which has none. Unset it, or "
                "mend it."
            )
        found.append(Path(named))
    package = Path(__file__).resolve().parents[3]
    places = [Path.cwd().parent] + ([package.parent] if (package / "pyproject.toml").is_file() else [])
    found += [place / "shared" / "data" for place in places if (place / "shared" / "data" / MANIFEST).is_file()]
    unique: dict[Path, Path] = {}
    for folder in found:
        unique.setdefault(folder.resolve(), folder)
    return list(unique)


def read_manifest(folder: Path) -> dict[str, Entry]:
    """The entries of a folder by name.

    Raises
    ------
    InputError
        Where the manifest can't be read as the form above.
    """
    path = folder / MANIFEST
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise InputError(f"{path} is larger than {LARGEST_MANIFEST} bytes; a manifest is a short list of files")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} can't be read as JSON: {str(error)[:200]}") from error
    sets = data.get("sets") if isinstance(data, dict) else None
    if not isinstance(sets, list):
        raise InputError(f'{path} must be of the form {{"sets": [{{"name": ..., "file": ...}}, ...]}}')
    entries = [_entry(path, item) for item in sets]
    return {entry.name: entry for entry in entries}


def by_file(manifest: dict[str, Entry], name: str) -> Entry | None:
    """The entry whose file is `name` and an ending, where there is just one."""
    found = [entry for entry in manifest.values() if name == entry.file.rpartition(".")[0]]
    return found[0] if len(found) == 1 else None


def load(folder: Path, entry: Entry) -> Dataset:
    """The set of a folder.

    Raises
    ------
    InputError
        Where it is no table, its file lies outside the folder, is absent, or differs from what the manifest says.
    """
    if not entry.is_table:
        raise InputError(
            f"{entry.name} can't be loaded as a table of numbers and levels: it is {entry.task or 'of no stated task'} "
            f"({entry.format}). Read {entry.file!r} in {folder} yourself and give limbeck the columns you make of it."
        )
    path = _inside(folder, entry)
    if entry.sha256 is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != entry.sha256:
            raise InputError(
                f"{path} is not the file that the manifest describes: its SHA-256 starts {found[:12]}, and should "
                f"start {entry.sha256[:12]}. Copy the file anew."
            )
    frame, split = _read_arrays(path, entry) if entry.format == "npz" else _read_table(path, entry)
    task = entry.task.removeprefix("image_").removeprefix("signal_")
    target = entry.target if entry.target is not None else []
    return Dataset(entry.name, frame, target, task, entry.source, entry.licence, entry.description, split)


def _entry(path: Path, item: Any) -> Entry:
    def text(key: str, default: str = "") -> str:
        value = item.get(key, default)
        return value if isinstance(value, str) else default

    def names(key: str) -> list[str]:
        value = item.get(key)
        return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []

    def count(key: str) -> int | None:
        value = item.get(key)
        return value if isinstance(value, int) else None

    if not isinstance(item, dict) or not text("name") or not text("file"):
        raise InputError(f"every set in {path} needs a name and a file, both text; got {item!r:.120}")
    target = text("target") or names("target") or None
    form = text("format") or Path(text("file")).suffix.lstrip(".").lower()
    return Entry(
        text("name"),
        text("file"),
        form,
        target,
        text("task"),
        count("rows"),
        count("features"),
        tuple(names("non_feature_columns")),
        text("source"),
        text("licence", "not stated"),
        text("description"),
        text("sha256") or None,
    )


def _inside(folder: Path, entry: Entry) -> Path:
    """The file of an entry, which must lie inside the folder, links followed."""
    home = folder.resolve()
    try:
        path = (home / entry.file).resolve()
    except (OSError, ValueError) as error:
        raise InputError(f"the manifest of {folder} names a path that can't be: {entry.file!r:.120}") from error
    if not path.is_relative_to(home):
        raise InputError(f"the manifest of {folder} points outside its folder: {entry.file!r:.120}. It is not read.")
    if not path.is_file():
        raise InputError(f"the manifest of {folder} names {entry.file!r:.120}, and there is no such file")
    return path


def _read_table(path: Path, entry: Entry) -> tuple[pd.DataFrame, np.ndarray | None]:
    """The frame without the columns that are no features, and the official split where there is one."""
    frame = read_frame(path)
    wanted = [entry.target] if isinstance(entry.target, str) else list(entry.target or ())
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise InputError(f"{path} lacks the target {absent}; it has {[str(name) for name in frame.columns][:20]}")
    split = frame["split"].to_numpy(dtype=object) if "split" in entry.left_out and "split" in frame.columns else None
    frame = frame.drop(columns=[name for name in entry.left_out if name in frame.columns and name not in wanted])
    whole = {name: np.int64 for name in frame.columns if frame[name].dtype.kind in "iu"}
    return frame.astype(whole), split  # narrow integers overflow as soon as a user adds two


def _read_arrays(path: Path, entry: Entry) -> tuple[pd.DataFrame, np.ndarray]:
    """Images or signals as a table: one column a pixel (p0, p1, ...) or time (t0, ...), and the part of each row."""
    import pandas as pd

    try:
        with np.load(path, allow_pickle=False) as file:
            parts = [part for part in PARTS if f"x_{part}" in file.files and f"y_{part}" in file.files]
            xs, ys = [file[f"x_{part}"] for part in parts], [file[f"y_{part}"] for part in parts]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} can't be read as arrays: {str(error)[:200]}") from error
    if not parts:
        raise InputError(f"{path} must hold arrays x_train and y_train (or val, test); it holds none of them")
    flat = [x.reshape(len(x), -1) for x in xs]
    if len({x.shape[1] for x in flat}) > 1 or any(
        len(x) != len(y) or y.ndim != 1 for x, y in zip(flat, ys, strict=True)
    ):
        raise InputError(f"{path} must hold rows of one size with one label each; got {[x.shape for x in xs]}")
    prefix = ARRAY_TASKS[entry.task]
    values = np.concatenate(flat)
    frame = pd.DataFrame(values, columns=[f"{prefix}{j}" for j in range(values.shape[1])])
    frame[str(entry.target)] = np.concatenate(ys)
    return frame, np.repeat(np.array(parts, dtype=object), [len(x) for x in xs])
