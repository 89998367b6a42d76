"""The parts of a .pt2 archive that hold no code: the graph as JSON, and tensors as raw numbers.

``torch.export.load`` of torch 2.13 is not used, because of what it does with a file from a stranger: it unpickles the
sample inputs, first with ``weights_only=True`` and where that fails without; it unpickles every weight and constant
that the archive marks so, without restriction; it evaluates the text of symbolic sizes through SymPy; and it loads
compiled libraries. Here only JSON is parsed and only bytes of numbers are read. Sample inputs are never opened.

Checked: against ``torch.export.load`` on archives of our own, and with archives that hold a hostile pickle in each
place. Cost: one pass over the file.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limbeck._core.errors import InputError

__all__ = ["DTYPES", "Archive", "read_archive"]

SCHEMA_MAJOR = 8
MAX_GRAPH_BYTES = 256 * 2**20
PAYLOAD = re.compile(r"(weight|tensor)_\d+")

# codes of torch._export.serde.schema.ScalarType
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
STRIDED = 7


@dataclass(frozen=True)
class Archive:
    """What is read from a .pt2 file: the graph module as JSON, and tensors by name."""

    graph_module: dict[str, Any]
    weights: dict[str, torch.Tensor]
    constants: dict[str, torch.Tensor]
    torch_version: str


def read_archive(path: Path) -> Archive:
    """The graph and the numbers of a file that ``torch.export.save`` wrote.

    Raises
    ------
    InputError
        Where the file is not such an archive, is of another version, or holds anything that would have to be unpickled
        or executed.
    """
    if not zipfile.is_zipfile(path):
        raise _refuse(path, "it is not an archive of torch.export.save")
    with zipfile.ZipFile(path) as zipped:
        root = _checked_root(path, zipped)
        names = [name.removeprefix(root) for name in zipped.namelist()]
        models = [name for name in names if re.fullmatch(r"models/[^/]+\.json", name)]
        if len(models) != 1:
            raise _refuse(path, f"it holds {len(models)} exported programs; one is required")
        model = models[0].removeprefix("models/").removesuffix(".json")
        document = _read_json(path, zipped, root + models[0])
        version = document.get("schema_version", {})
        if version.get("major") != SCHEMA_MAJOR:
            raise _refuse(
                path, f"its schema version is {version.get('major')!r:.20}, and {SCHEMA_MAJOR} is read; export it again"
            )
        for legacy in (f"data/weights/{model}.pt", f"data/constants/{model}.pt"):
            if legacy in names:
                raise _refuse(path, f"{legacy} is a pickle, as older versions of torch wrote; export it again")
        weights = _read_tensors(path, zipped, root + "data/weights/", f"{model}_weights_config.json")
        constants = _read_tensors(path, zipped, root + "data/constants/", f"{model}_constants_config.json")
    try:
        return Archive(document["graph_module"], weights, constants, str(document.get("torch_version", "?")))
    except KeyError:
        raise _refuse(path, "it lacks a graph") from None


def _refuse(path: Path, why: str) -> InputError:
    return InputError(
        f"{path.name} is not read as a .pt2 file: {why}. Nothing in it was run. A file of numbers and operators is "
        "required, as torch.export.save(torch.export.export(module.eval(), (rows,)), 'teacher.pt2') writes; or give "
        "the module itself."
    )


def _checked_root(path: Path, zipped: zipfile.ZipFile) -> str:
    """The folder inside the archive that holds everything; archives of other kinds are refused."""
    infos = zipped.infolist()
    names = [info.filename for info in infos]
    formats = [name for name in names if name.count("/") <= 1 and name.endswith("archive_format")]
    if any(name.endswith("data.pkl") for name in names):
        raise _refuse(path, "it is a pickle (torch.save) or a TorchScript file")
    if any(name.endswith("serialized_exported_program.json") for name in names):
        raise _refuse(path, "its weights are pickled, as older versions of torch wrote; export it again")
    if len(formats) != 1 or len(set(names)) != len(names):
        raise _refuse(path, "it is not an archive of torch.export.save")
    root = formats[0].removesuffix("archive_format")
    if zipped.read(formats[0])[:16] != b"pt2":
        raise _refuse(path, "its archive_format is not 'pt2'")
    if any(name.startswith(f"{root}data/aotinductor") or name.endswith((".so", ".dll", ".dylib")) for name in names):
        raise _refuse(path, "it holds compiled machine code (AOTInductor)")
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise _refuse(path, "its parts are compressed, which torch does not do")
    order = f"{root}byteorder"
    if order in names and zipped.read(order) != b"little":
        raise _refuse(path, "its numbers are big-endian")
    return root


def _read_json(path: Path, zipped: zipfile.ZipFile, name: str) -> dict[str, Any]:
    try:
        if zipped.getinfo(name).file_size > MAX_GRAPH_BYTES:
            raise _refuse(path, f"{name} is larger than {MAX_GRAPH_BYTES // 2**20} MiB")
        document = json.loads(zipped.read(name))
    except KeyError:
        raise _refuse(path, f"it lacks {name}") from None
    except (ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise _refuse(path, f"{name} can't be read ({str(error)[:80]})") from None
    if not isinstance(document, dict):
        raise _refuse(path, f"{name} must hold a JSON object")
    return document


def _read_tensors(path: Path, zipped: zipfile.ZipFile, folder: str, config: str) -> dict[str, torch.Tensor]:
    entries = _read_json(path, zipped, folder + config).get("config", {})
    tensors = {}
    for name, entry in entries.items():
        place = str(entry.get("path_name"))
        if entry.get("use_pickle") is not False or not PAYLOAD.fullmatch(place):
            raise _refuse(path, f"{name!r:.60} in {place!r:.60} is a pickle or an object, not plain numbers")
        try:
            tensors[name] = _tensor(zipped.read(folder + place), entry["tensor_meta"])
        except (KeyError, TypeError, ValueError, RuntimeError, zipfile.BadZipFile) as error:
            raise _refuse(path, f"the numbers of {name!r:.60} can't be read ({str(error)[:80]})") from None
    return tensors


def _tensor(data: bytes, meta: dict[str, Any]) -> torch.Tensor:
    """A strided view of raw little-endian numbers; torch itself refuses one that would leave them."""
    if meta["layout"] != STRIDED:
        raise ValueError("not a dense tensor")
    dtype = DTYPES[meta["dtype"]]
    size, stride = _whole(meta["sizes"]), _whole(meta["strides"])
    if not data:
        return torch.zeros(size, dtype=dtype)
    flat = torch.frombuffer(bytearray(data), dtype=dtype)
    return flat.as_strided(size, stride, _whole([meta["storage_offset"]])[0])


def _whole(values: Sequence[dict[str, Any]]) -> list[int]:
    return [int(value["as_int"]) for value in values]
