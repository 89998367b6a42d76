"""A student's exports on the bill: C compiled and called, ONNX in onnxruntime, JavaScript in node.

Departures
----------
- C and ONNX are called from Python; of one row this call is a good part. JavaScript is timed inside node, which runs in
  a process of its own, so that its memory is not measured.
- Before anything is timed, the answers are compared with the student's own; where they differ, nothing is timed.

Checked
-------
tests/unit/test_bill.py: each form answers, and a program that answers otherwise is not timed.

Cost
----
The exports; the C compiler, which is given a minute.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._bill_forms import ROWS, Form, entry_of, reason
from limbeck._core.errors import InputError, LimbeckError
from limbeck._core.tables import Schema, Table
from limbeck.readable import Readable
from limbeck.readable._printing import has_text_levels

__all__ = ["program_entries"]

MOST_SYMBOLS = 200_000
MOST_SOURCE = 600_000
COMPILE_SECONDS = 60
CHECKED_ROWS = 200
SCRIPT_ROWS = 1_000
LOOP = """
void limbeck_bill(const limbeck_row *rows, double *out, long long n) {
  long long i;
  for (i = 0; i < n; i++) limbeck_predict(rows + i, out + i * LIMBECK_OUTPUTS);
}
"""
SCRIPT = """
const m = require(process.argv[2]);
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const rows = given.rows, answers = rows.slice(0, given.check).map((row) => m.predict(row).map(String));
let sum = 0; // what is not used might not be computed
const median = (size, most) => {
  const times = [], end = performance.now() + 1000 * given.seconds;
  for (let k = 0; k < 5 || (k < most && performance.now() < end); k++) {
    const start = performance.now();
    for (let i = 0; i < size; i++) sum += m.predict(rows[(i + k) % rows.length])[0];
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length >> 1] / 1000;
};
const whole = median(given.count, 15), one = median(50, 1000) / 50;
process.stdout.write(JSON.stringify({ answers, one, whole, sum }));
"""


def program_entries(
    name: str, readable: Readable, rows: Table, index: np.ndarray, seconds: float
) -> list[dict[str, Any]]:
    """An entry for each export that can be run here."""
    if readable.complexity > MOST_SYMBOLS:
        note = f"not exported for the bill: {readable.complexity:,} symbols are more than {MOST_SYMBOLS:,}"
        return [entry_of(_untimed(name, "C", None, "", note), index, seconds)]
    makers: list[tuple[str, Callable[..., dict[str, Any]]]] = [("C", _c_entry), ("JavaScript", _javascript_entry)]
    if find_spec("onnx") is not None and find_spec("onnxruntime") is not None:
        makers.insert(1, ("ONNX", _onnx_entry))
    entries = []
    for form, make in makers:
        try:
            entries.append(make(name, readable, rows, index, seconds))
        except Exception as error:  # an export, a compiler or a runtime that fails leaves a note
            note = f"can't be run: {reason(error)}"
            entries.append(entry_of(_untimed(name, form, None, "", note), index, seconds))
    return entries


def _untimed(name: str, form: str, size: int | None, how: str, note: str) -> Form:
    return Form(name, form, size, how, None, lambda answer, index: None, note)


def _same_as(readable: Readable, rows: Table) -> Callable[[Any, np.ndarray], None]:
    """A check that answers are the student's own, on the first rows."""

    def check(answer: Any, index: np.ndarray) -> None:
        own = readable.predict_encoded(rows.values[index[:CHECKED_ROWS]])
        came = np.asarray(answer)[:CHECKED_ROWS]
        scale = max(float(np.abs(own).max()), 1e-300)
        if came.shape != own.shape or not np.allclose(came, own, rtol=1e-6, atol=1e-9 * scale):
            raise InputError("its answers differ from the student's own, so it is not timed")

    return check


def _given_rows(schema: Schema, Z: np.ndarray) -> np.ndarray:
    """Encoded rows with the levels of number columns by their own value; text levels stay positions."""
    out = np.array(Z, dtype=np.float64)
    for j, column in enumerate(schema.columns):
        if column.levels and not has_text_levels(column):
            out[:, j] = np.array([float(level) for level in column.levels])[Z[:, j].astype(np.intp)]
    return out


def _c_entry(name: str, readable: Readable, rows: Table, index: np.ndarray, seconds: float) -> dict[str, Any]:
    source = readable.export("c")
    assert isinstance(source, str)
    compiler = next((found for found in ("gcc", "cc", "clang") if shutil.which(found)), None)
    size, why = len(source.encode()), ""
    if compiler is None or ctypes.sizeof(ctypes.c_void_p) != 8:
        why = "not compiled: no C compiler (gcc, cc or clang) was found"
    elif size > MOST_SOURCE:
        why = f"not compiled: its source has {size:,} bytes, more than {MOST_SOURCE:,}"
    if why or compiler is None:
        return entry_of(_untimed(name, "C", size, "its source", why), index, seconds)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = _compiled(compiler, source, Path(folder))
        library, bytes_of = ctypes.CDLL(str(path)), "the compiled library"
        form = Form(
            name,
            f"C, compiled ({compiler} -O3)",
            path.stat().st_size,
            bytes_of,
            _c_calls(library, readable, rows),
            _same_as(readable, rows),
            f"called from Python; source of {size:,} bytes",
        )
        return entry_of(form, index, seconds)


def _compiled(compiler: str, source: str, folder: Path) -> Path:
    """The shared library of a C source with a loop over rows."""
    path, library = folder / "model.c", folder / "model.so"
    path.write_text(source + LOOP, encoding="ascii")
    command = [compiler, "-O3", "-std=c99", "-shared", "-fPIC", "-s", str(path), "-o", str(library), "-lm"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired:
        raise LimbeckError(f"{compiler} took more than {COMPILE_SECONDS} seconds") from None
    if done.returncode:
        raise LimbeckError(f"{compiler} failed: {done.stderr[:200]}")
    return library


def _c_calls(library: Any, readable: Readable, rows: Table) -> Callable[[np.ndarray], Callable[[], np.ndarray]]:
    loop, k = library.limbeck_bill, len(readable.output_names)
    loop.restype, loop.argtypes = None, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong)
    texts = {
        j: [ctypes.create_string_buffer(level.encode()) for level in column.level_names]
        for j, column in enumerate(rows.schema.columns)
        if has_text_levels(column)
    }

    def prepared(index: np.ndarray) -> Callable[[], np.ndarray]:
        block = _given_rows(rows.schema, rows.values[index])
        words = block.view(np.uint64)  # a field of text is an address, as wide as a number
        for j, buffers in texts.items():
            places = np.array([ctypes.addressof(buffer) for buffer in buffers], dtype=np.uint64)
            words[:, j] = places[rows.values[index, j].astype(np.intp)]
        n, start, own = len(index), block.ctypes.data, np.empty((1, k))
        place = own.ctypes.data

        def one() -> np.ndarray:
            loop(start, place, 1)
            return own

        def many(block: np.ndarray = block) -> np.ndarray:
            out = np.empty((n, k))
            loop(block.ctypes.data, out.ctypes.data, n)
            return out

        one.block = block  # type: ignore[attr-defined]
        return one if n == 1 else many

    return prepared


def _onnx_entry(name: str, readable: Readable, rows: Table, index: np.ndarray, seconds: float) -> dict[str, Any]:
    import onnx
    import onnxruntime

    data = readable.export("onnx")
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads, options.inter_op_num_threads = 4, 1, 1
    session = onnxruntime.InferenceSession(data, sess_options=options, providers=["CPUExecutionProvider"])
    model = onnx.load_from_string(data)
    inputs = json.loads({item.key: item.value for item in model.metadata_props}["inputs"])
    columns = rows.schema.columns

    def prepared(index: np.ndarray) -> Callable[[], np.ndarray]:
        given = _given_rows(rows.schema, rows.values[index])
        if any(map(has_text_levels, columns)):
            feed = {
                one: _column(column, given[:, [j]]) for j, (one, column) in enumerate(zip(inputs, columns, strict=True))
            }
        else:
            feed = {"X": given}
        return lambda: session.run(["Y"], feed)[0]

    form = Form(
        name, "ONNX (onnxruntime)", len(data), "its file", prepared, _same_as(readable, rows), "called from Python"
    )
    return entry_of(form, index, seconds)


def _column(column: Any, values: np.ndarray) -> np.ndarray:
    """One input ``(n, 1)``: texts by their own name."""
    if not has_text_levels(column):
        return np.ascontiguousarray(values)
    return np.array(column.level_names, dtype=object)[values.astype(np.intp)]


def _javascript_entry(name: str, readable: Readable, rows: Table, index: np.ndarray, seconds: float) -> dict[str, Any]:
    source, node = readable.export("javascript"), shutil.which("node")
    assert isinstance(source, str)
    size, how = len(source.encode()), "its source"
    if node is None:
        return entry_of(_untimed(name, "JavaScript", size, how, "not timed: node was not found"), index, seconds)
    some = index[:SCRIPT_ROWS]
    done = _in_node(node, source, _plain_rows(rows.schema, rows.values[some]), seconds)
    answers = np.array([[float(text.replace("Infinity", "inf")) for text in row] for row in done["answers"]])
    _same_as(readable, rows)(answers, some[: len(answers)])
    form = _untimed(name, "JavaScript (node)", size, how, "timed inside node; its memory is not measured")
    one, whole = max(float(done["one"]), 1e-9), max(float(done["whole"]), 1e-9)
    times = {"rows_per_second_1": 1 / one, "rows_per_second_10000": ROWS / whole}
    times |= {"microseconds_1": 1e6 * one, "milliseconds_10000": 1e3 * whole}
    return entry_of(form, index, seconds) | {key: float(f"{value:.4g}") for key, value in times.items()}


def _plain_rows(schema: Schema, Z: np.ndarray) -> list[list[Any]]:
    rows = _given_rows(schema, Z).tolist()
    for j, column in enumerate(schema.columns):
        if has_text_levels(column):
            for row in rows:
                row[j] = column.level_names[int(row[j])]
    return rows


def _in_node(node: str, source: str, rows: list[list[Any]], seconds: float) -> dict[str, Any]:
    given = json.dumps({"rows": rows, "check": min(CHECKED_ROWS, len(rows)), "count": ROWS, "seconds": seconds})
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "bill.js"), Path(folder, "model.js")
        paths[0].write_text(SCRIPT, encoding="ascii")
        paths[1].write_text(source, encoding="utf-8")
        try:
            done = subprocess.run(
                [node, *map(str, paths)],
                input=given,
                capture_output=True,
                text=True,
                check=False,
                timeout=60 + 6 * seconds,
            )
        except subprocess.TimeoutExpired:
            raise LimbeckError("node took more than a minute") from None
    if done.returncode:
        raise LimbeckError(f"node failed: {' '.join(done.stderr.split())[:200]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
