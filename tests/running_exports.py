"""Runs an exported program on many rows at once, the way its own world runs it: one function a target.

Each takes the readable and encoded rows ``(n, d)`` and returns the outputs ``(n, k)``. Nothing here uses limbeck's own
evaluation: what comes back is what the exported text or bytes compute.
"""

from __future__ import annotations

import ctypes
import json
import math
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

KEY = "the row's key"


def texts(column):
    return any(isinstance(level, str) for level in column.levels)


def plain_rows(readable, Z):
    """The rows as a user has them: numbers, and levels by their own value."""
    out = [[float(value) for value in row] for row in Z]
    for j, column in enumerate(readable.schema.columns):
        if column.levels:
            for row in out:
                row[j] = column.levels[int(row[j])]
    return out


def is_policy(readable):
    return readable.family in ("program", "policy_tree")


def steps_of(policy, Z):
    """Each row as an observation and the one before, or None where nothing changed: as an environment gives them."""
    observed = Z[:, : policy.n_observed]
    before = observed.copy()
    before[:, list(policy.changes)] -= Z[:, policy.n_observed :]
    still = (before == observed).all(axis=1)
    return [
        (now, None if same else past) for now, past, same in zip(observed.tolist(), before.tolist(), still, strict=True)
    ]


def taken(policy, actions):
    """1 for each action taken."""
    return np.eye(len(policy.output_names))[list(actions)]


def run_python(readable, Z):
    space = {}
    exec(compile(readable.export("python"), "<export>", "exec"), space)
    if is_policy(readable):
        assert (space["COLUMNS"], space["ACTIONS"]) == (readable.schema.names[: readable.n_observed], readable.actions)
        steps = steps_of(readable, Z)
        steps[::2] = [
            (dict(zip(space["COLUMNS"], now, strict=True)), past and dict(zip(space["COLUMNS"], past, strict=True)))
            for now, past in steps[::2]
        ]
        return taken(readable, [space["act"](now) if past is None else space["act"](now, past) for now, past in steps])
    rows = plain_rows(readable, Z)
    names = readable.schema.names
    given = [row if i % 2 else dict(zip(names, row, strict=True)) for i, row in enumerate(rows)]
    answers = [space["predict"](row) for row in given]
    if readable.task == "classification":
        assert all(tuple(answer) == readable.output_names for answer in answers)
        return np.array([list(answer.values()) for answer in answers], dtype=float)
    return np.array(answers, dtype=float).reshape(len(Z), -1)


def run_script(readable, given):
    """Node's answer to rows, each an array or an object."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    driver = (
        "const m = require(process.argv[2]); const rows = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        "process.stdout.write(JSON.stringify(rows.map((row) => m.act ? m.act(...row) : m.predict(row).map(String))));"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.js").write_text(readable.export("javascript"), encoding="ascii")
        Path(folder, "driver.js").write_text(driver)
        command = ["node", str(Path(folder, "driver.js")), str(Path(folder, "model.js"))]
        return subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False)


def run_javascript(readable, Z):
    if is_policy(readable):
        done = run_script(readable, [step if step[1] else step[:1] for step in steps_of(readable, Z)])
        assert (done.returncode, done.stderr) == (0, "")
        return taken(readable, json.loads(done.stdout))
    names = readable.schema.names
    rows = plain_rows(readable, Z)
    done = run_script(readable, [row if i % 2 else dict(zip(names, row, strict=True)) for i, row in enumerate(rows)])
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    numbers = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}
    answers = json.loads(done.stdout)
    return np.array([[numbers.get(text) if text in numbers else float(text) for text in row] for row in answers])


def compiled(source):
    """The library of a C source, loaded: warnings are errors."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    with tempfile.TemporaryDirectory() as folder:
        path, library = Path(folder, "model.c"), Path(folder, "model.so")
        path.write_text(source, encoding="ascii")
        flags = ["-std=c99", "-Wall", "-Werror", "-pedantic", "-O1", "-shared", "-fPIC"]
        command = ["gcc", *flags, str(path), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[:3000]
        return ctypes.CDLL(str(library))


def run_c(readable, Z):
    library = compiled(readable.export("c"))
    if is_policy(readable):
        return taken(readable, c_actions(library, steps_of(readable, Z)))
    columns = readable.schema.columns
    fields = [(f"f{j}", ctypes.c_char_p if texts(column) else ctypes.c_double) for j, column in enumerate(columns)]
    row_type = type("Row", (ctypes.Structure,), {"_fields_": fields})
    k = len(readable.output_names)
    names = (ctypes.c_char_p * len(columns)).in_dll(library, "limbeck_column_names")
    assert tuple(name.decode() for name in names) == readable.schema.names
    predict, out = library.limbeck_predict, (ctypes.c_double * k)()
    predict.restype = None
    answers = np.empty((len(Z), k))
    for i, row in enumerate(plain_rows(readable, Z)):
        values = [value.encode() if isinstance(value, str) else value for value in row]
        predict(ctypes.byref(row_type(*values)), out)
        answers[i] = out
    return answers


def c_actions(library, steps):
    row = ctypes.c_double * len(steps[0][0])
    return [library.limbeck_act(row(*now), None if past is None else row(*past)) for now, past in steps]


def with_key(query, key):
    """The query with the table's key in its last SELECT, as the text's own head says."""
    head, last = query.rsplit("\nSELECT ", 1)
    stage = last.rsplit("\nFROM ", 1)[1].strip()
    return f"{head}\nSELECT {stage}.{key},\n    {last}"


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def run_sql(connection, readable, Z, *, text_type="VARCHAR(1000)"):
    columns = readable.schema.columns
    k = len(readable.output_names)
    types = [text_type if texts(column) else "DOUBLE PRECISION" for column in columns]
    listed = ", ".join(f"{quote(c.name)} {kind}" for c, kind in zip(columns, types, strict=True))
    connection.execute(f"CREATE TABLE rows ({quote(KEY)} INTEGER, {listed})")
    marks = ", ".join("?" * (len(columns) + 1))
    rows = [[i, *row] for i, row in enumerate(plain_rows(readable, Z))]
    if isinstance(connection, sqlite3.Connection):
        connection.executemany(f"INSERT INTO rows VALUES ({marks})", rows)
    else:
        import pandas as pd

        frame = pd.DataFrame(rows)  # noqa: F841 - DuckDB reads it by its name
        connection.execute("INSERT INTO rows SELECT * FROM frame")
    cursor = connection.execute(with_key(readable.export("sql"), quote(KEY)))
    names = [item[0] for item in cursor.description]
    assert names[: len(columns) + 1] == [KEY, *readable.schema.names]
    found = sorted(cursor.fetchall())
    assert [row[0] for row in found] == list(range(len(Z)))
    first = len(columns) + 1
    answers = np.array([[math.nan if v is None else v for v in row[first : first + k]] for row in found], dtype=float)
    if readable.task == "classification":
        best = [None if np.isnan(a).any() else readable.output_names[int(np.argmax(a))] for a in answers]
        assert [row[first + k] for row in found] == best
    connection.close()
    return answers


def sqlite_connection():
    connection = sqlite3.connect(":memory:")
    functions = {"EXP": math.exp, "LN": math.log, "SQRT": math.sqrt, "SIN": math.sin, "COS": math.cos, "TAN": math.tan}
    functions |= {"TANH": math.tanh, "FLOOR": math.floor}
    try:
        connection.execute("SELECT LN(2E0)")
    except sqlite3.OperationalError:  # a build without mathematics
        for name, function in functions.items():
            connection.create_function(name, 1, lambda value, f=function: None if value is None else f(value))
        connection.create_function("POWER", 2, lambda a, b: None if a is None or b is None else math.pow(a, b))
    return connection


def run_sqlite(readable, Z):
    return run_sql(sqlite_connection(), readable, Z)


def run_duckdb(readable, Z):
    duckdb = pytest.importorskip("duckdb")
    return run_sql(duckdb.connect(), readable, Z)


def run_onnx(readable, Z):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    data = readable.export("onnx")
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    inputs = json.loads({item.key: item.value for item in model.metadata_props}["inputs"])
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    columns, rows = readable.schema.columns, plain_rows(readable, Z)
    if any(map(texts, columns)):
        kinds = [object if texts(column) else np.float64 for column in columns]
        feed = {
            name: np.array([row[j] for row in rows], dtype=kind).reshape(-1, 1)
            for j, (name, kind) in enumerate(zip(inputs, kinds, strict=True))
        }
    else:
        feed = {"X": np.array(rows, dtype=np.float64)}
    answers = session.run(None, feed)
    assert answers[0].dtype == np.float64
    if readable.task == "classification":
        assert list(answers[1]) == [readable.output_names[i] for i in np.argmax(answers[0], axis=1)]
    return answers[0]


RUNNERS = {
    "python": run_python,
    "javascript": run_javascript,
    "c": run_c,
    "sqlite": run_sqlite,
    "duckdb": run_duckdb,
    "onnx": run_onnx,
}
