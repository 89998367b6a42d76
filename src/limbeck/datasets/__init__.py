"""Tables by name: Concrete, which is shipped, scikit-learn's own sets, and those of a data folder.

Nothing is downloaded. A data folder holds a ``MANIFEST.json`` beside its files; it is found through the environment
variable ``LIMBECK_DATA``, or as ``../shared/data`` beside the current folder or the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from limbeck._core.errors import InputError, did_you_mean
from limbeck.datasets import _builtin, _folder
from limbeck.datasets._dataset import Dataset, mend_missing, read_frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Dataset", "available", "load", "mend_missing", "read_frame"]


def load(name: str, *, missing: str = "keep") -> Dataset:
    """The data set of that name.

    Parameters
    ----------
    name : str
        One of those that `available` lists, or its file without the ending (``signals/ucr_ecg200``). Built-in names go
        before those of a folder.
    missing : {"keep", "drop", "level"}
        What becomes of missing values: see `mend_missing`.

    Raises
    ------
    InputError
        For an unknown name, a set that is no table (text, JPEG images), a damaged file or a manifest that points
        outside its folder.

    Examples
    --------
    >>> concrete = load("concrete")
    >>> concrete.frame.shape, concrete.target, concrete.task
    ((1030, 9), 'compressive_strength', 'regression')
    """
    if not isinstance(name, str):
        raise InputError(f"a data set is named by a string, such as 'concrete'; got {name!r:.60}")
    if missing not in ("keep", "drop", "level"):
        raise InputError(f"missing must be 'keep', 'drop' or 'level'; got {missing!r:.60}")
    if name in _builtin.NAMES:
        found = _builtin.load(name)
    else:
        found = _from_folder(name)
    return found if missing == "keep" else found.mended(missing)


def available() -> pd.DataFrame:
    """The data sets that can be named, one a row: name, rows, features, task, target, format, table, where, licence.

    ``table`` is False for sets that `load` refuses, because they are text, or images in a compressed form.

    Examples
    --------
    >>> list(available().name[:3])
    ['concrete', 'breast_cancer', 'diabetes']
    """
    import pandas as pd

    rows = [*_builtin.listed()]
    known = {row["name"] for row in rows}
    for folder in _folder.folders():
        for entry in _folder.read_manifest(folder).values():
            if entry.name not in known:
                rows.append(entry.listed(folder))
                known.add(entry.name)
    counts = {key: pd.Series([row[key] for row in rows], dtype=object) for key in ("rows", "features")}
    return pd.DataFrame(rows).assign(**counts)


def _from_folder(name: str) -> Dataset:
    folders = _folder.folders()
    known = list(_builtin.NAMES)
    for folder in folders:
        manifest = _folder.read_manifest(folder)
        found = manifest.get(name) or _folder.by_file(manifest, name)
        if found is not None:
            return _folder.load(folder, found)
        known += list(manifest)
    searched = f" and in {', '.join(str(folder) for folder in folders)}" if folders else ""
    raise InputError(
        f"no data set is named {name[:60]!r} among the built-in ones{searched}.{did_you_mean(name, known)} "
        "`limbeck data list` shows them all; point LIMBECK_DATA to a folder with a MANIFEST.json for more, or give the "
        "path of a .csv or .parquet file."
    )
