"""An ONNX file as a teacher, run by onnxruntime (extra ``onnx``) on the CPU.

The file takes one matrix, or one input a column (strings included), as skl2onnx writes them. It answers with one
tensor, or with labels and probabilities, the latter as a tensor or as a list of dictionaries (ZipMap).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError, TeacherError, did_you_mean, require
from limbeck.teachers._size import file_size
from limbeck.teachers._source import Source, column_names, float_matrix, is_frame, to_frame

if TYPE_CHECKING:
    from limbeck.teachers._reading import Reading

__all__ = ["onnx_source"]

NUMPY: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.str_,
}
LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)", "tensor(bool)")
TIE = 1e-6


@dataclass(frozen=True)
class _File:
    """An opened file: what it takes, what is asked of it, and the labels that are written in it."""

    name: str
    session: Any
    inputs: tuple[Any, ...]
    label: str | None
    numbers: str | None
    is_zipmap: bool
    classes: tuple[Any, ...] | None
    beside: tuple[Path, ...] = ()

    @property
    def batch(self) -> int | None:
        """The number of rows, where the file takes no other."""
        size = (self.inputs[0].shape or [None])[0]
        return size if isinstance(size, int) and size > 0 else None


def onnx_source(path: Path, *, names: tuple[str, ...] | None = None, prepared: bool = False) -> Source:
    """A source that runs the file on the CPU.

    Raises
    ------
    MissingDependencyError
        Where onnx or onnxruntime is not installed.
    InputError
        Where the file is not ONNX, or its inputs or outputs are of another form than those in the header.
    """
    file = _open(path)

    def ask(rows: Any) -> Any:
        return call(rows)()

    def call(rows: Any) -> Callable[[], Any]:
        feed = _feed(rows, file, names, prepared)
        return lambda: _answers(file, feed, file.numbers or file.label)

    @contextmanager
    def one_thread() -> Iterator[None]:
        nonlocal file
        kept, file = file, replace(file, session=_session(path, threads=1))
        try:
            yield
        finally:
            file = kept

    def own(rows: Any, reading: Reading) -> None:
        if file.label is not None and file.numbers is not None:
            feed = _feed(rows, file, names, prepared)
            labels, numbers = _answers(file, feed, file.label), _answers(file, feed, file.numbers)
            _refuse_other_labels(np.asarray(labels), np.asarray(numbers), file.classes or reading.classes, file.name)

    notes = []
    if file.batch is not None:
        notes.append(f"made for {file.batch} row(s) at a time (no dynamic batch), which is slow")
    return Source(
        "onnx",
        file.name,
        ask,
        answers="labels" if file.numbers is None else None,
        task="classification" if file.label is not None or file.is_zipmap else None,
        classes=file.classes,
        notes=tuple(notes),
        own=own,
        form="ONNX",
        size=lambda: file_size(path, *file.beside),
        call=call,
        one_thread=one_thread,
    )


def _open(path: Path) -> _File:
    onnx = require("onnx", extra="onnx")
    name = f"the ONNX file {path.name}"
    try:
        session = _session(path)
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # onnxruntime and protobuf raise classes of their own
        raise InputError(
            f"{path.name} can't be loaded by onnxruntime: {' '.join(str(error).split())[:200]}. An ONNX file is "
            "required, as torch.onnx.export or skl2onnx.to_onnx writes."
        ) from None
    for one in session.get_inputs():
        if one.type not in NUMPY:
            raise InputError(
                f"{name} takes the input {one.name!r:.60} of type {one.type}; {sorted(NUMPY)} can be given"
            )
    outputs = session.get_outputs()
    labels = [one.name for one in outputs if one.type in LABELS]
    maps = [one.name for one in outputs if one.type.startswith("seq(map(")]
    tensors = [one.name for one in outputs if one.name not in labels + maps]
    if len(outputs) > 2 or len(labels) > 1 or len(maps + tensors) > 1:
        listed = [f"{one.name} {one.type}" for one in outputs]
        raise InputError(
            f"{name} has {len(outputs)} outputs {listed[:6]}; one tensor, or labels and probabilities, are required. "
            "Export it with only those."
        )
    label, numbers = next(iter(labels), None), next(iter(maps + tensors), None)
    classes = _written_classes(onnx, graph) if labels or maps else None
    inputs = tuple(session.get_inputs())
    return _File(name, session, inputs, label, numbers, bool(maps), classes, _files_beside(path, graph))


def _session(path: Path, threads: int = 0) -> Any:
    """The file in onnxruntime, on so many threads; 0 is its own choice."""
    runtime = require("onnxruntime", extra="onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    return runtime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])


def _files_beside(path: Path, graph: Any) -> tuple[Path, ...]:
    """The files in which the model keeps its numbers, where they are not in its own."""
    places = {entry.value for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"}
    return tuple(path.parent / place for place in sorted(places))


def _written_classes(onnx: Any, graph: Any) -> tuple[Any, ...] | None:
    """The labels that a classifier's file holds: in its last node that names them, or as a constant."""
    for node in reversed(graph.node):
        for attribute in node.attribute:
            if attribute.name == "classlabels_strings" and attribute.strings:
                return tuple(text.decode("utf-8") for text in attribute.strings)
            if attribute.name in ("classlabels_int64s", "classlabels_ints") and attribute.ints:
                return tuple(int(number) for number in attribute.ints)
    for constant in graph.initializer:
        if re.fullmatch(r"classes\d*", constant.name):
            values = onnx.numpy_helper.to_array(constant).ravel().tolist()
            return tuple(v.decode("utf-8") if isinstance(v, bytes) else v for v in values)
    return None


def _answers(file: _File, feed: dict[str, np.ndarray], output: str | None) -> Any:
    """One output for all rows, in the batches that the file takes."""
    parts: list[Any] = []
    for chunk, n in _batches(feed, file.batch):
        answer = file.session.run([output], chunk)[0]
        if isinstance(answer, list):
            keys = file.classes or tuple(answer[0])
            answer = np.array([[row[key] for key in keys] for row in answer], dtype=np.float64)
        if np.ndim(answer) == 0 or len(answer) < n:
            raise TeacherError(f"{file.name} answered {n} rows with {output!r} of shape {np.shape(answer)}")
        parts.append(answer[:n] if file.batch is not None else answer)
    return np.concatenate(parts)


def _batches(feed: dict[str, np.ndarray], batch: int | None) -> Iterator[tuple[dict[str, np.ndarray], int]]:
    n = len(next(iter(feed.values())))
    if batch is None:
        yield feed, n
        return
    for start in range(0, n, batch):
        chunk = {name: values[start : start + batch] for name, values in feed.items()}
        size = min(batch, n - start)
        yield {name: np.concatenate([v, np.repeat(v[-1:], batch - size, axis=0)]) for name, v in chunk.items()}, size


def _feed(rows: Any, file: _File, names: tuple[str, ...] | None, prepared: bool) -> dict[str, np.ndarray]:
    """The file's inputs from rows: one matrix, one input a column, or the arrays that `preprocess` gave."""
    if isinstance(rows, tuple) and prepared:
        if len(rows) != len(file.inputs):
            raise InputError(f"{file.name} takes {len(file.inputs)} inputs; preprocess gave {len(rows)}")
        return {one.name: _cast(np.asarray(part), one, file.name) for one, part in zip(file.inputs, rows, strict=True)}
    if len(file.inputs) == 1:
        one = file.inputs[0]
        values = _text_matrix(rows) if one.type == "tensor(string)" else float_matrix(rows, file.name)
        width = one.shape[1] if len(one.shape or ()) == 2 else None
        if isinstance(width, int) and width != values.shape[1]:
            raise InputError(f"{file.name} takes rows of {width} columns; got shape {values.shape}")
        return {one.name: _cast(values, one, file.name)}
    return _feed_columns(rows, file, names)


def _feed_columns(rows: Any, file: _File, names: tuple[str, ...] | None) -> dict[str, np.ndarray]:
    wide = [one.name for one in file.inputs if len(one.shape or ()) == 2 and one.shape[1] not in (1, None)]
    if wide:
        raise InputError(
            f"{file.name} takes several matrices {wide[:6]}; give preprocess=f, where f(frame) returns a tuple of "
            "arrays, one for each input"
        )
    if names is not None and not is_frame(rows):
        rows = to_frame(rows, names)
    have = column_names(rows)
    if have is None:
        if rows.shape[1] != len(file.inputs):
            raise InputError(f"{file.name} takes {len(file.inputs)} columns; got rows of shape {rows.shape}")
        return {one.name: _cast(rows[:, [j]], one, file.name) for j, one in enumerate(file.inputs)}
    plain = {_plain_name(name): j for j, name in enumerate(have)}
    places = {one.name: plain.get(_plain_name(one.name)) for one in file.inputs}
    absent = [name for name, place in places.items() if place is None]
    if absent or len(plain) < len(have):
        hint = did_you_mean(absent[0], have) if absent else " Their names must differ in letters and digits."
        raise InputError(
            f"{file.name} takes the columns {list(places)[:12]}; the rows lack {absent[:12]} and have {have[:9]}.{hint}"
        )
    return {one.name: _cast(_column(rows, places[one.name]), one, file.name) for one in file.inputs}


def _plain_name(name: str) -> str:
    """A column's name as skl2onnx writes it: other signs than letters and digits become underscores."""
    return re.sub(r"\W", "_", name)


def _column(rows: Any, place: Any) -> np.ndarray:
    import narwhals as nw

    frame = nw.from_native(rows, eager_only=True)
    values = frame[frame.columns[place]]
    return np.array(values.to_numpy() if values.dtype.is_numeric() else values.to_list()).reshape(-1, 1)


def _text_matrix(rows: Any) -> np.ndarray:
    if is_frame(rows):
        return np.hstack([_column(rows, j).astype(object) for j in range(len(column_names(rows) or ()))])
    return np.asarray(rows, dtype=object)


def _cast(values: np.ndarray, one: Any, name: str) -> np.ndarray:
    """The values in the type that an input takes."""
    if one.type == "tensor(string)":
        return np.array([str(value) for value in values.ravel()], dtype=object).reshape(values.shape)
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(
            f"{name} takes numbers ({one.type}) in {one.name!r:.60}; got text such as {values.flat[0]!r:.60}"
        ) from None
    if NUMPY[one.type] in (np.int64, np.int32) and (numbers != np.rint(numbers)).any():
        raise InputError(
            f"{name} takes whole numbers in {one.name!r:.60}; got {numbers[numbers != np.rint(numbers)][0]}"
        )
    return numbers.astype(NUMPY[one.type])


def _refuse_other_labels(labels: np.ndarray, numbers: np.ndarray, classes: tuple[Any, ...], name: str) -> None:
    """The file's own label must be the class of its largest number: this shows that the columns are in order."""
    if numbers.ndim != 2 or numbers.shape[1] != len(classes):
        return
    top = np.sort(numbers, axis=1)
    clear = top[:, -1] - top[:, -2] > TIE
    ours = [str(classes[i]) for i in numbers.argmax(axis=1)]
    theirs = [str(label) for label in labels.ravel().tolist()]
    wrong = clear & np.array([a != b for a, b in zip(ours, theirs, strict=True)])
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"{name} gives row {row} the label {theirs[row]!r:.60}, but its largest number is in the column of "
            f"{ours[row]!r:.60}: the classes {list(classes)[:12]} are not those of its columns, in order. Say "
            "classes=[...]."
        )
