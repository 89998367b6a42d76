"""Small runs built by hand, for the tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp

from limbeck._core.storage import RunDocuments
from limbeck._core.tables import Column, Schema
from limbeck.readable import (
    Condition,
    FormulaReadable,
    Layer,
    LinearTerm,
    NetworkReadable,
    Node,
    Readable,
    Rule,
    RuleListReadable,
    RuleSetReadable,
    SoftTreeReadable,
    TreeReadable,
)
from limbeck.readable._network import design_inputs

ATTACK = "<script>window.hacked = 1</script>"
HOSTILE = (
    ATTACK,
    '"><img src=x onerror="window.hacked=1">',
    "</title></style></textarea><svg onload=window.hacked=1>",
    "__proto__",
    "constructor",
    "a\u2028b\r\nc */ // <!-- -->",
    "`${window.hacked=1}` ' \\ {{ 7 * 7 }}",
    "n" * 200,
)
MIXED = Schema(
    (
        Column("age", integer=True, dtype="int64"),
        Column("income"),
        Column("job", "nominal", ("clerk", "nurse", "smith", "tailor"), dtype="object"),
        Column("member", integer=True, dtype="bool"),
        Column("grade", "ordinal", (1, 2, 5), dtype="category"),
    ),
    "pandas",
)

NUMBERS = Schema(tuple(Column(f"c{j}") for j in range(5)))


def rows_of(schema: Schema, n: int, seed: int = 0) -> np.ndarray:
    """Random encoded rows."""
    generator = np.random.default_rng(seed)
    Z = np.empty((n, len(schema)))
    for j, column in enumerate(schema.columns):
        if column.levels:
            Z[:, j] = generator.integers(len(column.levels), size=n)
        elif column.dtype == "bool":
            Z[:, j] = generator.integers(2, size=n)
        elif column.integer:
            Z[:, j] = generator.integers(18, 80, size=n)
        else:
            Z[:, j] = generator.normal(3.0, 2.0, size=n)
    return Z


def grown_tree(schema: Schema, names: Sequence[str], task: Any, depth: int, seed: int = 0) -> TreeReadable:
    """A tree of at most 2**depth leaves: columns in turn, the median or half of the levels, means of some target."""
    Z = rows_of(schema, 60 * 2**depth, seed)
    k = len(names)
    target = np.sin(Z.sum(axis=1)[:, None] * (1 + np.arange(k))) + Z[:, :1] / 10
    if task == "classification":
        target = np.exp(3 * target)
        target /= target.sum(axis=1, keepdims=True)
    nodes: list[Node] = []

    def grow(index: np.ndarray, level: int) -> int:
        place = len(nodes)
        value = tuple(float(v) for v in target[index].mean(axis=0))
        nodes.append(Node(value, float(len(index))))
        j = (level + place) % len(schema)
        column, here = schema.columns[j], Z[index, j]
        threshold: float | None = float(np.median(here))
        levels: tuple[int, ...] = ()
        if column.levels:
            threshold, levels = None, tuple(range(len(column.levels) // 2))
        true = np.isin(here, levels) if levels else here <= threshold
        if level < depth and true.any() and not true.all():
            left = grow(index[true], level + 1)
            right = grow(index[~true], level + 1)
            nodes[place] = Node(value, float(len(index)), j, threshold, levels, left, right)
        return place

    grow(np.arange(len(Z)), 0)
    return TreeReadable(schema, task, tuple(names), tuple(nodes))


def small_network(
    schema: Schema, names: Sequence[str], task: Any, widths: Sequence[int], seed: int = 0
) -> NetworkReadable:
    """A network of random weights."""
    generator = np.random.default_rng(seed)
    inputs = design_inputs(schema)
    sizes = [len(inputs), *widths, len(names)]
    layers = tuple(
        Layer(generator.normal(0, 1 / np.sqrt(a), size=(a, b)), generator.normal(size=b)) for a, b in pairwise(sizes)
    )
    return NetworkReadable(schema, task, tuple(names), inputs, layers, "tanh")


def soft_tree(
    schema: Schema,
    names: Sequence[str],
    task: Any,
    depth: int,
    image: tuple[int, int, int] | None = None,
    seed: int = 0,
) -> SoftTreeReadable:
    """A soft tree of random filters, with the rows that come through its nodes and random leaves."""
    generator = np.random.default_rng(seed)
    inputs, nodes, k = design_inputs(schema), 2**depth - 1, len(names)
    Z = rows_of(schema, 300, seed)
    X = np.column_stack([Z[:, j] if code < 0 else Z[:, j] == code for j, code in inputs]).astype(float)
    weight = generator.normal(size=(nodes, len(inputs))) / (X.std(axis=0) + 0.1) * 3 / np.sqrt(len(inputs))
    values = generator.dirichlet(np.full(k, 0.4), size=2 * nodes + 1)
    if task == "regression":
        values = generator.normal(size=(2 * nodes + 1, k))
    tree = SoftTreeReadable(
        schema, task, tuple(names), inputs, weight, -(weight @ X.mean(axis=0)), values,
        np.ones(2 * nodes + 1), X.mean(axis=0), image=image,
    )  # fmt: skip
    rows = np.zeros(2 * nodes + 1)
    for leaf in tree.leaf_of(Z).tolist():
        node = leaf
        while node:
            rows[node] += 1
            node = (node - 1) // 2
        rows[0] += 1
    return replace(tree, rows=rows)


def rule_list(schema: Schema, names: Sequence[str], task: Any) -> RuleListReadable:
    """Two rules and the rest, on the first two columns of numbers and the first of levels."""
    numbers = [j for j, column in enumerate(schema.columns) if not column.levels]
    levels = [j for j, column in enumerate(schema.columns) if column.levels]
    second = (Condition(numbers[1], None, 4.0),)
    if levels:
        second = (Condition(levels[0], levels=(0, 2)), *second)
    generator = np.random.default_rng(3)
    values = generator.dirichlet(np.ones(len(names)), size=3)
    if task == "regression":
        values = generator.normal(size=(3, len(names)))
    given = [tuple(float(v) for v in value) for value in values]
    first = (Condition(numbers[0], 20.0, 50.0),)
    return RuleListReadable(
        schema, task, tuple(names), (Rule(first, given[0], 120), Rule(second, given[1], 60), Rule((), given[2], 20))
    )


def rule_set(schema: Schema, names: Sequence[str], task: Any) -> RuleSetReadable:
    """Two rules and a column that add up, to one score or to one a class."""
    numbers = [j for j, column in enumerate(schema.columns) if not column.levels]
    k = len(names) if task == "regression" or len(names) > 2 else 1
    link: Any = "identity" if task == "regression" else "logistic" if k == 1 else "softmax"
    rules = (
        Rule((Condition(numbers[0], 20.0, None), Condition(numbers[1], None, 4.0)), tuple([0.75] * k), 90),
        Rule((Condition(numbers[1], 1.0, 3.0),), tuple([-1.5] * k), 40),
    )
    terms = (LinearTerm(numbers[1], 0.0, 6.0, tuple([0.125] * k)),)
    return RuleSetReadable(schema, task, tuple(names), tuple([0.5] * k), rules, terms, link)


def point(complexity: int, fidelity: float, **more: Any) -> dict[str, Any]:
    """One size of a student as a run holds it."""
    entry = {"size": complexity // 4, "unit": "leaves", "complexity": complexity}
    entry |= {"train_fidelity": fidelity + 0.02, "validation_fidelity": fidelity, "validation_se": 0.01}
    entry |= {"test_fidelity": fidelity - 0.01, "train_accuracy": fidelity - 0.1, "accuracy_se": 0.02}
    entry |= {"validation_accuracy": fidelity - 0.12, "test_accuracy": fidelity - 0.13}
    return {**entry, "chosen": False, "stop": False, "stop_overall": False, **more}


CURVES = {
    "tree": [point(8, 0.6), point(40, 0.85, stop=True), point(120, 0.86, chosen=True)],
    "soft_tree": [
        point(20, 0.7),
        point(60, 0.905, stop=True, stop_overall=True, unit="levels"),
        point(400, 0.91, chosen=True),
    ],
}


def number_columns(schema: Schema) -> list[sp.Symbol]:
    """The symbols of the columns without levels."""
    return [sp.Symbol(f"x{j}") for j, column in enumerate(schema.columns) if not column.levels]


def formula(schema: Schema, names: Sequence[str], length: int = 3) -> FormulaReadable:
    """A sum of so many terms for each output."""
    x = number_columns(schema)
    expressions = tuple(
        sp.Add(
            *(sp.Mul(sp.Float(0.5 + o + t), x[(o + t) % len(x)], evaluate=False) for t in range(length)),
            sp.Float(1.25),
            evaluate=False,
        )
        for o in range(len(names))
    )
    return FormulaReadable(schema, "regression", tuple(names), expressions)


def classifier(schema: Schema, names: Sequence[str], link: Any) -> FormulaReadable:
    """Scores for each class, or one for two classes."""
    x = number_columns(schema)
    k = 1 if link == "logistic" else len(names)
    scores = tuple(
        sp.Add(sp.Mul(sp.Float(0.3 - 0.1 * o), x[o % len(x)], evaluate=False), sp.Float(0.2 * o)) for o in range(k)
    )
    return FormulaReadable(schema, "classification", tuple(names), scores, link)


def finding(code: str, status: str, value: float | None, **more: Any) -> dict[str, Any]:
    """One finding as a run holds it."""
    entry = {"code": code, "title": f"Check {code}", "status": status, "value": value, "interval": None}
    return {**entry, "threshold": 0.8, "message": f"{code} says {status}", "details": {}, **more}


def make_run(
    readables: dict[str, Readable],
    *,
    n: int = 40,
    findings: dict[str, list[dict[str, Any]]] | None = None,
    alternatives: dict[str, list[Readable]] | None = None,
    verdicts: dict[str, str] | None = None,
    truth: bool = True,
    complete: bool = True,
    **changes: Any,
) -> RunDocuments:
    """The documents of a run whose teacher is the last student with some noise."""
    last = list(readables.values())[-1]
    schema, task, names = last.schema, last.task, last.output_names
    Z, seen = rows_of(schema, n, seed=5), rows_of(schema, 400, seed=6)
    arrays: dict[str, np.ndarray] = {}
    if n:
        noise = np.random.default_rng(1).normal(0.0, 0.1, size=(n, len(names)))
        teacher = last.predict_encoded(Z)
        teacher = np.abs(teacher + noise) if task == "classification" else teacher + noise
        if task == "classification":
            teacher /= teacher.sum(axis=1, keepdims=True)
        arrays = {"X": Z, "teacher": teacher}
        arrays |= {f"student/{name}": readable.predict_encoded(Z) for name, readable in readables.items()}
        if truth:
            arrays["truth"] = teacher.argmax(axis=1).astype(float) if task == "classification" else teacher + 1.0
    students, listed = {}, []
    for name, readable in readables.items():
        found = (findings or {}).get(name, [])
        entry = {"name": name, "family": readable.family, "seconds": 1.5, "findings": found}
        entry["verdict"] = (verdicts or {}).get(name, "use with care: RC004 inconclusive" if found else "")
        others = [
            {"complexity": other.complexity, "score": 0.5, "readable": other.to_dict()}
            for other in (alternatives or {}).get(name, [])
        ]
        students[name] = {**entry, "readable": readable.to_dict(), "alternatives": others}
        listed.append({**entry, "complexity": readable.complexity, "features_used": list(readable.features_used)})
    run: dict[str, Any] = {
        "format": "limbeck-run",
        "version": 1,
        "created": "2025-02-03T04:05:06+00:00",
        "complete": complete,
        "task": task,
        "output_names": list(names),
        "target_names": ["score"],
        "schema": schema.to_dict(),
        "seed": 7,
        "versions": {"limbeck": "0.1.0", "python": "3.11.7"},
        "teacher": {"kind": "callable", "name": "f", "task": task, "classes": None, "rows_asked": 900, "notes": []},
        "data": {
            "name": "made",
            "rows": 500,
            "train_rows": 400,
            "held_out_rows": 100,
            "query_rows": 800,
            "query_source": "Munge()",
            "has_truth": truth,
        },
        "columns": [
            {"low": None, "high": None, "middle": float(np.bincount(seen[:, j].astype(int)).argmax())}
            if column.levels
            else {key: float(np.quantile(seen[:, j], q)) for key, q in (("low", 0.01), ("high", 0.99), ("middle", 0.5))}
            for j, column in enumerate(schema.columns)
        ],
        "students": list(readables),
        "notes": [],
        **changes,
    }
    results = {"format": "limbeck-results", "version": 1, "task": task, "students": listed}
    return RunDocuments(run, results, students, arrays)


def worst_row(readable: Readable) -> dict[str, Any]:
    """One row as RC003 shows it."""
    schema, Z = readable.schema, rows_of(readable.schema, 1, seed=9)
    row = {
        column.name: column.level_names[int(value)] if column.levels else float(value)
        for column, value in zip(schema.columns, Z[0], strict=True)
    }
    k = len(readable.output_names)
    answer = readable.predict_encoded(Z)[0].tolist()
    return {"row": row, "teacher": [1.0 / k] * k, "student": answer, "gap": 3.21}


def mixed_regression() -> RunDocuments:
    """A tree, a formula with a front of its own, and a network, on numbers, levels, truths and ordered levels."""
    readables: dict[str, Readable] = {
        "tree": grown_tree(MIXED, ("prediction",), "regression", 4),
        "formula": formula(MIXED, ("prediction",), 3),
        "network": small_network(MIXED, ("prediction",), "regression", (6,)),
    }
    truth = {
        "metric": "R2",
        "teacher": {"value": 0.871, "interval": [0.84, 0.9]},
        "student": {"value": 0.79, "interval": [0.75, 0.82]},
    }
    findings = {
        "tree": [
            finding("RC001", "pass", 0.912, interval=[0.88, 0.94], details={"truth": truth, "per_output": [0.912]}),
            finding(
                "RC003", "fail", 3.21, threshold=2.0, details={"rows": [worst_row(readables["tree"])], "unit": "sd"}
            ),
            finding("RC004", "not_applicable", None, threshold=None),
        ],
        "formula": [finding("RC001", "inconclusive", 0.81, interval=[0.75, 0.86])],
        "network": [finding("RC001", "fail", -3.5, interval=[-5.0, -2.0])],
    }
    verdicts = {"tree": "use with care: RC003 fail", "formula": "use", "network": "do not use: not faithful"}
    others = [formula(MIXED, ("prediction",), length) for length in (1, 2, 3, 5)]
    return make_run(readables, findings=findings, alternatives={"formula": others}, verdicts=verdicts)


def every_family(names: Sequence[str] = ("low", "middle", "high"), task: Any = "classification") -> RunDocuments:
    """A tree, a soft tree, rules in order, rules that add up, and the curves of two of them."""
    readables: dict[str, Readable] = {
        "tree": grown_tree(MIXED, names, task, 3),
        "soft_tree": soft_tree(MIXED, names, task, 4),
        "rules": rule_list(MIXED, names, task),
        "rule_set": rule_set(MIXED, names, task),
    }
    findings = {
        "soft_tree": [
            finding("RC001", "pass", 0.92, interval=[0.9, 0.94]),
            finding("RC003", "fail", 0.9, details={"rows": [worst_row(readables["soft_tree"])], "unit": "bits"}),
        ]
    }
    return with_curves(make_run(readables, findings=findings), CURVES)


def with_curves(documents: RunDocuments, curves: dict[str, list[dict[str, Any]]]) -> RunDocuments:
    """The run with these curves."""
    for name, curve in curves.items():
        documents.students[name]["curve"] = curve
    return documents


def small_images(depth: int = 4) -> RunDocuments:
    """A soft tree on images of 6 by 6 pixels, its cuts, and a tree."""
    schema = Schema(tuple(Column(f"p{j}") for j in range(36)))
    names = tuple("0123456789")
    soft = soft_tree(schema, names, "classification", depth, (6, 6, 1))
    cuts: list[Readable] = [soft.cut(level) for level in range(1, depth + 1)]
    readables = {"tree": grown_tree(schema, names, "classification", 3), "soft_tree": soft}
    return make_run(readables, alternatives={"soft_tree": cuts})


def mixed_classification(names: Sequence[str] = ("low", "middle", "high")) -> RunDocuments:
    """A tree, a formula by softmax and a network, with classes."""
    readables: dict[str, Readable] = {
        "network": small_network(MIXED, names, "classification", (5,)),
        "formula": classifier(MIXED, names, "softmax"),
        "tree": grown_tree(MIXED, names, "classification", 3),
    }
    findings = {
        name: [finding("RC001", "pass", 0.9 + 0.01 * i, interval=[0.85, 0.97])] for i, name in enumerate(readables)
    }
    return make_run(readables, findings=findings)


def entry(name: str, form: str, size: Any, one: Any, many: Any, memory: Any = 3_000_000, note: Any = None) -> Any:
    """A line of a bill."""
    return {
        "name": name,
        "form": form,
        "bytes": size,
        "bytes_of": "its file",
        "rows_per_second_1": None,
        "rows_per_second_10000": 1e7 / many if isinstance(many, float) and many else None,
        "microseconds_1": one,
        "milliseconds_10000": many,
        "peak_bytes": memory,
        "note": note,
    }


def bill(*entries: Any) -> dict[str, Any]:
    """A bill as a run holds it."""
    found = entries or (
        entry("teacher", "scikit-learn", 6_024_000, 21_400.0, 76.7, 80_000_000),
        entry("network", "NumPy", 2_000, 20.0, 38.0),
        entry("network", "C, compiled (gcc -O3)", 14_200, 0.7, 1.1, 20_000, "called from Python"),
        entry("tree", "NumPy", 9_000_000, 42_800.0, 76.7, None),
    )
    ratios = [{"name": "network", "form": "NumPy", "smaller": 3012.0, "faster_1": 1070.0, "faster_10000": 0.5}]
    head = {"rows": 10_000, "columns": 5, "threads": 1, "machine": "a machine, 8 cores"}
    return {**head, "entries": list(found), "ratios": ratios}


def several_outputs() -> RunDocuments:
    """Three regression outputs, and a bill."""
    names = ("height", "width", "weight")
    readables: dict[str, Readable] = {
        "tree": grown_tree(MIXED, names, "regression", 3),
        "formula": formula(MIXED, names),
        "network": small_network(MIXED, names, "regression", (4, 4)),
    }
    return make_run(readables, target_names=list(names), bill=bill())


def hostile() -> RunDocuments:
    """Every name, level, class, note and message tries to break out of its place."""
    columns = [Column(name) for name in HOSTILE]
    columns.append(Column("levels " + ATTACK, "nominal", HOSTILE, dtype="object"))
    schema = Schema(tuple(columns), "pandas")
    classes = (ATTACK, "</script><b>", "c" * 200)
    tree = grown_tree(schema, classes, "classification", 4)
    last = len(columns) - 1
    root = tree.nodes[0]
    nodes = (
        Node(root.value, root.rows, last, None, (0, 2, 5), 1, 2),
        Node(root.value, 5.0),
        Node(tree.nodes[1].value, 6.0),
    )
    readables: dict[str, Readable] = {
        "tree": tree,
        ATTACK: TreeReadable(schema, "classification", classes, nodes),
        "formula": classifier(schema, classes, "softmax"),
        "network": small_network(schema, classes, "classification", (3,)),
        "soft": soft_tree(schema, classes, "classification", 3),
        "rules": rule_list(schema, classes, "classification"),
        "set": rule_set(schema, classes, "classification"),
    }
    findings = {
        name: [
            finding(
                "RC001", "pass", 0.9, interval=[0.8, 0.95], message=ATTACK, title=ATTACK, details={ATTACK: [ATTACK]}
            ),
            finding("RC003", "fail", 0.9, details={"rows": [worst_row(readable)], "unit": ATTACK}),
        ]
        for name, readable in readables.items()
    }
    verdicts = dict.fromkeys(readables, f"use with care: {ATTACK}")
    teacher = {"kind": ATTACK, "name": ATTACK, "rows_asked": ATTACK, "notes": [ATTACK]}
    data = {"name": ATTACK, "rows": 5, "held_out_rows": ATTACK, "query_rows": 5, "query_source": ATTACK}
    documents = make_run(
        readables,
        findings=findings,
        verdicts=verdicts,
        teacher=teacher,
        data=data,
        notes=[ATTACK],
        versions={"limbeck": ATTACK, ATTACK: ATTACK},
        target_names=[ATTACK],
    )
    curve = [point(8, 0.6, unit=ATTACK), point(60, 0.9, unit=ATTACK, stop=True, stop_overall=True)]
    return with_curves(documents, {ATTACK: curve})
