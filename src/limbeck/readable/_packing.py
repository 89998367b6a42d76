"""Any readable as one small file and back: safetensors, its words as JSON in the header, its numbers as tensors.

Each array is written in the narrowest form that gives every number back exactly: 8-bit codes where its scale stands
beside it, half or single precision where all its numbers are such, double precision otherwise; and where many numbers
are 0, one bit a number that says which are not, and only those.

Source
------
Own layout of safetensors, which holds nothing but JSON and numbers: no code can be in it.

Checked
-------
The contract's readables come back equal; damaged and hostile files are refused (unit tests).

Cost
----
O(numbers).
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from limbeck._core.errors import InputError, StorageError
from limbeck.readable._readable import Readable, readable_from_dict

__all__ = ["pack", "packed_size", "unpack"]

FORMAT = "limbeck-readable"
VERSION = 1
MAX_BYTES = 64 * 2**20
MAX_NUMBERS = 2**24
MIN_ARRAY = 32

_ARRAY = "$array"
_KEYS = {_ARRAY, "shape", "scaled"}
_CODED: Final = ("weight", "table")
_KINDS = {"f": (np.float16, np.float32), "i": (np.int8, np.int16, np.int32)}


def pack(readable: Readable) -> bytes:
    """The bytes of a safetensors file that holds the model; `unpack` gives an equal model back.

    Raises
    ------
    InputError
        Where the model has more than 16 million numbers.

    Examples
    --------
    >>> from limbeck._core.tables import Column, Schema
    >>> from limbeck.readable import Node, TreeReadable
    >>> tree = TreeReadable(Schema((Column("age"),)), "regression", ("y",), (Node((2.5,), 10),))
    >>> unpack(pack(tree)) == tree
    True
    """
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {}
    document = _without_arrays(readable.to_dict(), tensors)
    if sum(array.size for array in tensors.values()) > MAX_NUMBERS:
        raise InputError(f"a model of at most {MAX_NUMBERS:,} numbers can be packed; save the run instead")
    text = json.dumps(
        {"format": FORMAT, "version": VERSION, "readable": document}, ensure_ascii=False, separators=(",", ":")
    )
    packed: bytes = save(tensors, metadata={"limbeck": _encodable(text)})
    return packed


def packed_size(values: np.ndarray, scale: np.ndarray | None = None, row_scale: np.ndarray | None = None) -> int:
    """How many bytes the numbers take as they are packed, with their scales where there are any."""
    if scale is None:
        return sum(array.nbytes for array in _narrow(values).values())
    codes = codes_of(values, scale, row_scale)
    scales = packed_size(scale) + (0 if row_scale is None else packed_size(row_scale))
    return sum(array.nbytes for array in _narrow(codes).values()) + scales


def whole_numbers(values: np.ndarray, scale: np.ndarray, row_scale: np.ndarray | None = None) -> np.ndarray:
    """The values in units of their scales, rounded: what 8-bit codes must be."""
    plain = values if row_scale is None else values / row_scale[:, None]
    out: np.ndarray = np.rint(plain / np.where(scale > 0, scale, 1.0))
    return out


def codes_of(values: np.ndarray, scale: np.ndarray, row_scale: np.ndarray | None = None) -> np.ndarray:
    """The codes ``(rows, units)`` of values that are 8-bit whole numbers times their scales."""
    return whole_numbers(values, scale, row_scale).astype(np.int8)


def _encodable(text: str) -> str:
    """The text; where it holds half of a surrogate pair, all but ASCII in JSON's own escapes."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(json.loads(text), separators=(",", ":"))
    return text


def _narrow(values: np.ndarray) -> dict[str, np.ndarray]:
    """The array's tensors: ``""`` for its numbers, and ``".mask"`` where only those that are not 0 are written."""
    kept = values
    for kind in _KINDS[values.dtype.kind]:
        with np.errstate(over="ignore"):
            tried = values.astype(kind)
        if np.array_equal(tried.astype(values.dtype), values):
            kept = tried
            break
    here = kept != 0
    mask = np.packbits(here.ravel())
    if mask.nbytes + int(here.sum()) * kept.itemsize < kept.nbytes:
        return {"": kept[here], ".mask": mask}
    return {"": np.ascontiguousarray(kept)}


def _without_arrays(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The document with each large rectangular list of numbers moved to `tensors`."""
    if isinstance(value, dict):
        scale, rows = (_array(value[name]) if name in value else None for name in ("scale", "row_scale"))
        return {
            key: _coded(item, scale, rows, tensors)
            if key in _CODED and scale is not None
            else _without_arrays(item, tensors)
            for key, item in value.items()
        }
    array = _array(value)
    if array is not None and array.size >= MIN_ARRAY:
        return _moved(array, tensors)
    return [_without_arrays(item, tensors) for item in value] if isinstance(value, list) else value


def _coded(value: Any, scale: np.ndarray, rows: np.ndarray | None, tensors: dict[str, np.ndarray]) -> Any:
    """Values that are 8-bit codes times a scale, by their codes."""
    array = _array(value)
    if array is None or array.size < MIN_ARRAY:
        return value
    codes = codes_of(array, scale, rows)
    return {**_moved(codes, tensors), "scaled": True}


def _moved(array: np.ndarray, tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    name = f"a{sum('.' not in name for name in tensors)}"
    parts = _narrow(array)
    tensors.update({f"{name}{ending}": part for ending, part in parts.items()})
    return {_ARRAY: name} | ({"shape": list(array.shape)} if ".mask" in parts else {})


def _array(value: Any) -> np.ndarray | None:
    """A rectangular list of floats, or of whole numbers, as an array; None for anything else."""
    first: Any = value
    while isinstance(first, list) and first:
        first = first[0]
    if not isinstance(value, list) or type(first) not in (float, int):
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    fits = array.dtype == (np.float64 if type(first) is float else np.int64)
    return array if fits and _all_of(type(first), value) else None


def _all_of(kind: type, value: Any) -> bool:
    return all(_all_of(kind, item) for item in value) if isinstance(value, list) else type(value) is kind


def unpack(data: bytes) -> Readable:
    """The model that `pack` wrote.

    Raises
    ------
    StorageError
        Where the bytes are not such a file, are damaged, or too large. Nothing in them is ever run.
    InputError
        Where the document in it is not a model.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError(f"unpack takes the bytes of a packed model; got {type(data).__name__}. Read the file first.")
    data = bytes(data)
    if len(data) > MAX_BYTES:
        raise StorageError(f"a packed model has at most {MAX_BYTES // 2**20} MiB; got {len(data):,} bytes")
    tensors, document = _opened(data)
    try:
        return readable_from_dict(_Filling(tensors).whole(document))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as error:
        raise InputError(f"a packed model is malformed: {error!r:.200}") from None
    except RecursionError:
        raise StorageError("a packed model is damaged: it is nested too deep") from None


def _opened(data: bytes) -> tuple[dict[str, np.ndarray], Any]:
    """The tensors, and the document in the header."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        document = json.loads(header["__metadata__"]["limbeck"])
    except KeyError:
        raise StorageError(
            "a packed model is required, as export('safetensors') writes; got safetensors without one"
        ) from None
    except (SafetensorError, ValueError, TypeError, RecursionError) as error:
        raise StorageError(f"a packed model can't be read as safetensors: {str(error)[:120]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StorageError(f"a packed model must have format {FORMAT!r}; export the model with this package")
    if document.get("version") != VERSION:
        raise StorageError(
            f"this limbeck reads packed models of version {VERSION}; got {document.get('version')!r:.60}. "
            "Update limbeck."
        )
    return tensors, document.get("readable")


class _Filling:
    """Puts the arrays back into a document, and counts them, so that a small file can't become a great one."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors, self.numbers = tensors, 0

    def whole(self, value: Any) -> Any:
        """The document with its arrays as lists."""
        if isinstance(value, dict):
            if _ARRAY in value:
                return self.array(value).tolist()
            filled = {key: self.whole(item) for key, item in value.items() if not _is_scaled(item)}
            for key, item in value.items():
                if _is_scaled(item):
                    filled[key] = self.scaled(item, filled.get("scale"), filled.get("row_scale"))
            return filled
        return [self.whole(item) for item in value] if isinstance(value, list) else value

    def scaled(self, place: dict[str, Any], scale: Any, row_scale: Any) -> Any:
        """Codes times the scales beside them."""
        codes = self.array(place)
        try:
            factor = np.array(scale, dtype=np.float64)
            rows = np.ones(len(codes)) if row_scale is None else np.array(row_scale, dtype=np.float64)
        except (TypeError, ValueError):
            factor = rows = np.empty(0)
        fits = codes.ndim == 2 and factor.shape == codes.shape[1:] and rows.shape == codes.shape[:1]
        if codes.dtype != np.int64 or not fits:
            raise StorageError(f"a packed model is damaged: the codes {place[_ARRAY]!r:.40} have no scale that fits")
        return (codes * factor * rows[:, None]).tolist()

    def array(self, place: dict[str, Any]) -> np.ndarray:
        """One array, in double precision or as whole numbers of 64 bits."""
        name, shape = place[_ARRAY], place.get("shape")
        values = self.tensors.get(name) if isinstance(name, str) else None
        if values is None or not set(place) <= _KEYS or values.dtype.kind not in "fi":
            raise StorageError(f"a packed model is damaged: it lacks the array {name!r:.60}")
        if shape is not None:
            values = self.spread(name, values, shape)
        self.count(values.size)
        return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)

    def spread(self, name: str, values: np.ndarray, shape: Any) -> np.ndarray:
        """The array of this shape, whose numbers that are not 0 are `values`, where the mask says."""
        mask = self.tensors.get(f"{name}.mask")
        whole = isinstance(shape, list) and all(type(size) is int and 0 <= size <= MAX_NUMBERS for size in shape)
        size = math.prod(shape) if whole else 0
        fits = mask is not None and mask.dtype == np.uint8 and mask.shape == ((size + 7) // 8,)
        if not whole or not fits or values.ndim != 1 or size > MAX_NUMBERS:
            raise StorageError(f"a packed model is damaged: the array {name!r:.60} does not fit its mask and shape")
        here = np.unpackbits(mask, count=size).astype(bool)  # type: ignore[arg-type]
        if int(here.sum()) != len(values):
            raise StorageError(
                f"a packed model is damaged: the array {name!r:.60} has another number of values than its mask"
            )
        out = np.zeros(size, dtype=values.dtype)
        out[here] = values
        return out.reshape(shape)

    def count(self, more: int) -> None:
        """Refuse more numbers than any packed model has."""
        self.numbers += more
        if self.numbers > MAX_NUMBERS:
            raise StorageError(f"a packed model has at most {MAX_NUMBERS:,} numbers; this file has more")


def _is_scaled(value: Any) -> bool:
    return isinstance(value, dict) and _ARRAY in value and value.get("scaled") is True
