"""Every readable, in every target, gives the readable's own numbers: one table of readables, one of targets."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck._core.errors import InputError, MissingDependencyError
from limbeck._core.tables import Column, Schema
from limbeck.readable import (
    Branch,
    CoefficientsReadable,
    Comparison,
    Condition,
    Embedding,
    FormulaReadable,
    Guard,
    IsIn,
    Layer,
    LevelTerm,
    LinearTerm,
    NetworkReadable,
    Node,
    PolicyTree,
    Program,
    ProgramPolicy,
    Rule,
    RuleListReadable,
    RuleSetReadable,
    SoftTreeReadable,
    TreeReadable,
    WaveletReadable,
    WaveletTerm,
    evaluate,
    policy_schema,
)
from limbeck.readable._coefficients import coefficient_schema
from limbeck.readable._language import OPERATIONS, expression_from_json, expression_to_json
from limbeck.readable._lowering import lowered, nodes
from limbeck.readable._network import design_inputs
from limbeck.readable._python import python_source
from limbeck.readable._sql import sql_select
from limbeck.readable._targets import EXPORTERS, FAMILY_EXPORTERS
from limbeck.readable._wavelet_filters import blocks_of
from reading_latex import evaluate_latex
from running_exports import (
    RUNNERS,
    compiled,
    run_c,
    run_javascript,
    run_onnx,
    run_python,
    run_script,
    sqlite_connection,
)

X = sp.symbols("x0:8")
NUMBERS = Schema(tuple(Column(name) for name in ("age", "water", "ash", "cement", "slag", "coarse", "fine", "flow")))
MIXED = Schema(
    (
        Column("age", integer=True, dtype="int64"),
        Column("job", "nominal", ("clerk", "nurse", "officer", "teacher"), dtype="object"),
        Column("grade", "nominal", (1, 3, 7)),
        Column("size", "ordinal", ("small", "middle", "large"), dtype="category"),
        Column("member", integer=True, dtype="bool"),
        Column("wage"),
    )
)
BIG = 1e6


def rows_for(readable, *, n=1000, seed=0):
    """Rows of ordinary numbers, of thresholds hit exactly, and of great numbers."""
    rng = np.random.default_rng(seed)
    schema = readable.schema
    Z = rng.normal(size=(n, len(schema))) * 3
    Z[n - 120 : n - 60] = rng.choice([-BIG, -1.0, 0.0, 1.0, BIG], size=(60, len(schema)))
    if isinstance(readable, TreeReadable):
        for node in readable.nodes:
            if node.threshold is not None:
                hit = rng.integers(0, n, 12)
                Z[hit, node.column] = node.threshold
                Z[hit[:4], node.column] = np.nextafter(node.threshold, np.inf)
    if isinstance(readable, RuleListReadable | RuleSetReadable):
        for condition in (condition for rule in readable.rules for condition in rule.conditions):
            for bound in (condition.low, condition.high):
                if bound is not None:
                    hit = rng.integers(0, n, 12)
                    Z[hit, condition.column] = bound
                    Z[hit[:4], condition.column] = np.nextafter(bound, np.inf)
    if isinstance(readable, ProgramPolicy | PolicyTree):  # so that sums meet thresholds, and changes are exact
        Z = np.rint(Z * 2) / 2
        Z[: n // 4, readable.n_observed :] = 0.0
    for j, column in enumerate(schema.columns):
        if column.levels:
            Z[:, j] = rng.integers(0, len(column.levels), n)
        elif column.dtype == "bool":
            Z[:, j] = rng.integers(0, 2, n)
        elif column.integer:
            Z[:, j] = np.rint(Z[:, j])
    return Z


def planted_tree(schema, task, names, *, splits, seed, chain=False):
    """A random tree: as many splits as told, at random leaves, or all down one side."""
    rng = np.random.default_rng(seed)

    def value():
        drawn = rng.random(len(names)) + 0.05
        return tuple(drawn / drawn.sum() if task == "classification" else rng.normal(size=len(names)) * 20)

    nodes_ = [Node(value(), 100)]
    leaves = [0]
    for _ in range(splits):
        at = leaves.pop() if chain else leaves.pop(int(rng.integers(len(leaves))))
        j = int(rng.integers(len(schema)))
        count = len(schema.columns[j].levels)
        asked = {"threshold": float(rng.normal() * 3)}
        if count and (schema.columns[j].kind == "nominal" or rng.random() < 0.5):
            chosen = rng.permutation(count)[: rng.integers(1, count)]
            asked = {"levels": tuple(sorted(int(code) for code in chosen))}
        elif count:
            asked = {"threshold": float(rng.integers(0, count)) + 0.5}
        left = len(nodes_)
        nodes_ += [Node(value(), 50), Node(value(), 50)]
        nodes_[at] = Node(nodes_[at].value, 100, column=j, left=left, right=left + 1, **asked)
        leaves += [left, left + 1] if rng.random() < 0.5 else [left + 1, left]
    return TreeReadable(schema, task, names, tuple(nodes_))


def planted_network(schema, task, names, widths, activation, *, seed, sparse=True):
    rng = np.random.default_rng(seed)
    inputs = tuple(
        (j, code) for j, c in enumerate(schema.columns) for code in (range(len(c.levels)) if c.levels else (-1,))
    )
    sizes = [len(inputs), *widths, len(names)]
    layers = []
    for fan_in, fan_out in itertools.pairwise(sizes):
        weight = rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)
        weight[rng.random(weight.shape) < (0.1 if sparse else 0)] = 0.0
        layers.append(Layer(weight, rng.normal(size=fan_out)))
    return NetworkReadable(schema, task, names, inputs, tuple(layers), activation)


def deployed_network(schema, task, names, widths, *, seed, dims=0, zeros=0.0, kind="float32", activation="relu"):
    """A network as it is deployed: 8-bit or single-precision weights, most of them 0, nominal columns embedded."""
    rng = np.random.default_rng(seed)

    def stored(values):
        if kind == "int8":
            scale = np.float32(np.abs(values).max(axis=0) / 127).astype(float)
            return np.clip(np.rint(values / np.where(scale > 0, scale, 1)), -127, 127) * scale, scale
        return values.astype(np.float32).astype(float), None

    embedded = [j for j, column in enumerate(schema.columns) if dims and column.kind == "nominal"]
    tables = tuple(Embedding(j, *stored(rng.normal(size=(len(schema.columns[j].levels), dims)))) for j in embedded)
    inputs = design_inputs(schema, embedded)
    layers = []
    for fan_in, fan_out in itertools.pairwise([len(inputs) + dims * len(embedded), *widths, len(names)]):
        weight = rng.normal(size=(fan_in, fan_out)) / np.sqrt(fan_in)
        weight, scale = stored(np.where(rng.random(weight.shape) < zeros, 0.0, weight))
        layers.append(Layer(weight, stored(rng.normal(size=(1, fan_out)))[0][0], scale))
    return NetworkReadable(schema, task, names, inputs, tuple(layers), activation, tables)


def planted_rules(schema, width, *, count, seed, probabilities=False):
    """Random rules of one to three conditions: bounds on one side, intervals, levels in a set and not in it."""
    rng = np.random.default_rng(seed)

    def condition(j):
        levels = len(schema.columns[j].levels)
        if levels:
            chosen = rng.permutation(levels)[: rng.integers(1, levels)]
            return Condition(j, levels=tuple(sorted(int(code) for code in chosen)), excluded=bool(rng.random() < 0.5))
        low, high = sorted(rng.normal(size=2) * 3)
        side = rng.integers(3)
        return Condition(j, None if side == 0 else float(low), None if side == 1 else float(high))

    def rule(columns):
        drawn = rng.random(width) + 0.05 if probabilities else rng.normal(size=width) * 20
        value = tuple(float(v) for v in (drawn / drawn.sum() if probabilities else drawn))
        return Rule(tuple(condition(int(j)) for j in columns), value, float(rng.integers(5, 500)))

    return tuple(rule(rng.permutation(len(schema))[: rng.integers(1, 4)]) for _ in range(count))


def planted_list(schema, task, names, *, count, seed):
    rules = planted_rules(schema, len(names), count=count + 1, seed=seed, probabilities=task == "classification")
    last = Rule((), rules[-1].value, rules[-1].rows)
    return RuleListReadable(schema, task, names, (*rules[:-1], last))


def planted_set(schema, task, names, link, *, count, terms, seed):
    rng = np.random.default_rng(seed)
    width = 1 if link == "logistic" else len(names)
    rules = planted_rules(schema, width, count=count, seed=seed)
    scale = 1.0 if link == "identity" else 0.1
    rules = tuple(Rule(r.conditions, tuple(scale * v for v in r.value), r.rows) for r in rules)
    weights = [tuple(float(v) for v in scale * rng.normal(size=width)) for _ in terms]
    linear = tuple(LinearTerm(j, -2.5, 4.0, weight) for j, weight in zip(terms, weights, strict=True))
    return RuleSetReadable(schema, task, names, tuple(float(v) for v in rng.normal(size=width)), rules, linear, link)


def planted_soft_tree(schema, task, names, *, depth, seed, reading="path"):
    rng = np.random.default_rng(seed)
    inputs, nodes = design_inputs(schema), 2**depth - 1
    weight = np.where(rng.random((nodes, len(inputs))) < 0.8, rng.normal(size=(nodes, len(inputs))), 0.0)
    values = rng.normal(size=(2 * nodes + 1, len(names)))
    if task == "classification":
        values = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
    rows = rng.integers(1, 500, 2 * nodes + 1).astype(float)
    return SoftTreeReadable(
        schema, task, names, inputs, weight, rng.normal(size=nodes), values, rows, np.zeros(len(inputs)), reading
    )


def planted_wavelet(schema, task, names, link, *, seed, places=(), levels=(), **more):
    rng = np.random.default_rng(seed)
    width = 1 if link == "logistic" else len(names)

    def weights():
        return tuple(float(v) for v in 0.3 * rng.normal(size=width))

    signal = tuple(j for j, column in enumerate(schema.columns) if not column.levels)
    terms = tuple(WaveletTerm(block, place, weights()) for block, place in places)
    beside = tuple(LevelTerm(column, code, weights()) for column, code in levels)
    given = {"lowpass": DB2, "level": 2, "mode": "symmetric", "signal": signal, "held": ()} | more
    return WaveletReadable(
        schema, task, names, intercept=weights(), terms=terms, levels=beside, link=link, start="db2", **given
    )


def on_coefficients(schema, inner):
    """A model of the coefficients of a signal; `inner` makes it for their columns."""
    signal = tuple(j for j, column in enumerate(schema.columns) if not column.levels)
    columns = coefficient_schema(schema, blocks_of((len(signal),), len(DB2), 2, "symmetric"))
    model = inner(columns)
    return CoefficientsReadable(schema, model.task, model.output_names, model, DB2, 2, "symmetric", signal)


def planted_comparison(width, rng, *, most=4):
    """A sum of one to four columns against a threshold that rows of halves meet."""
    columns = rng.permutation(width)[: rng.integers(1, most + 1)]
    weights = rng.choice([-2.0, -1.0, -0.5, 0.3, 1.0, 3.0], size=len(columns))
    terms = tuple((int(column), float(weight)) for column, weight in zip(columns, weights, strict=True))
    return Comparison(terms, float(rng.choice([-3.5, 0.0, 1.0, 2.5, 0.3])))


def planted_program(columns, actions, *, changes=(), count, seed):
    """Random guards; every third asks the sum of the one before, from the other side."""
    rng = np.random.default_rng(seed)
    schema, guards = policy_schema(columns, changes), []
    for i in range(count):
        asked = tuple(planted_comparison(len(schema), rng) for _ in range(1 + i % 2))
        if i % 3 == 2:
            last = guards[-1].comparisons[0]
            asked = (Comparison(tuple((column, -weight) for column, weight in last.terms), 4.0), *asked[1:])
        guards.append(Guard(asked, int(rng.integers(len(actions)))))
    return ProgramPolicy(schema, actions, tuple(guards), 0, changes)


def planted_policy_tree(columns, actions, *, changes=(), depth, seed):
    rng = np.random.default_rng(seed)
    schema = policy_schema(columns, changes)

    def node(depth):
        if not depth or rng.random() < 0.1:
            return int(rng.integers(len(actions)))
        return Branch(planted_comparison(len(schema), rng, most=2), node(depth - 1), node(depth - 1))

    return PolicyTree(schema, actions, node(depth), changes)


def every_operation():
    """Two expressions that together use every operation of the language, and are defined everywhere."""
    a, b, c, d, e, f, g, h = X
    conditions = sp.Or(
        sp.And(sp.Le(a, sp.Float(0.5)), sp.Gt(b, c)), sp.Not(sp.Ge(d, sp.Float(-1.25)), evaluate=False), sp.Eq(e, 1)
    )
    nested = sp.Piecewise(
        (sp.sin(a) * 2, conditions),
        (sp.Piecewise((c / 3, sp.Lt(c, d)), (sp.cos(d), True), evaluate=False), sp.Ne(f, 0)),
        (sp.Rational(2, 3), True),
        evaluate=False,
    )
    first = (
        nested
        + sp.tan(sp.tanh(g))
        + sp.log(sp.Abs(h) + sp.Rational(1, 7)) * sp.sqrt(sp.Abs(a * b) + 1)
        - sp.exp(-sp.Abs(b) / 10)
        + sp.Max(a, b, sp.Float(0.1), c, d) / (1 + sp.Min(e, f, 3) ** 2)
        + sp.floor(g * 1.5)
    )
    second = (
        -(a**2)
        - 2 * b**3
        + sp.Pow(c, 4)
        - (1 + sp.Abs(d)) ** sp.Float(1.7)
        + 1 / (1 + e**2)
        + (2 + sp.tanh(f)) ** g.subs(g, sp.tanh(h))
        + sp.pi * sp.Float(1e-7)
        - sp.E / 7
        + sp.Mul(-1, sp.Add(a, -3, evaluate=False), evaluate=False)
        + sp.Pow(sp.Abs(h) + 2, -2)
        + sp.Pow(sp.Abs(h) + 2, -sp.Rational(1, 2))
    )
    return first, second


def of_levels():
    job = IsIn.of(X[1], ["nurse", "teacher"])
    grade = IsIn.of(X[2], ["3"])
    small = sp.Not(IsIn.of(X[3], ["small"]), evaluate=False)
    indicator = sp.Piecewise((1, sp.And(job, small)), (0, True), evaluate=False)
    return (
        2.5 * indicator + X[5] / 7 * sp.Piecewise((X[0], sp.Or(grade, job)), (-X[5], True), evaluate=False) - X[4] / 3
    )


def of_positions():
    """Levels used as numbers: their positions."""
    return X[3] * 10 + sp.Piecewise((1, sp.Le(X[3], 1)), (X[2] * X[5], True), evaluate=False) + X[1] ** 2


DB2 = (-0.12940952255126037, 0.2241438680420134, 0.8365163037378079, 0.48296291314453416)
BALL = ("ball_x", "act", "observation", "class", "previous")
WIDE = tuple(f"class {c}" for c in "abcde")
READABLES = {
    "tree, regression": planted_tree(NUMBERS, "regression", ("prediction",), splits=24, seed=1),
    "tree, three outputs": planted_tree(NUMBERS, "regression", ("up", "down", "age"), splits=12, seed=2),
    "tree, two classes": planted_tree(NUMBERS, "classification", ("no", "yes"), splits=15, seed=3),
    "tree, five classes": planted_tree(NUMBERS, "classification", WIDE, splits=20, seed=4),
    "tree, mixed": planted_tree(MIXED, "regression", ("prediction",), splits=25, seed=5),
    "tree, mixed classes": planted_tree(MIXED, "classification", WIDE[:3], splits=18, seed=6),
    "tree, a chain of 70": planted_tree(NUMBERS, "regression", ("prediction",), splits=70, seed=7, chain=True),
    "tree, one leaf": planted_tree(NUMBERS, "regression", ("prediction",), splits=0, seed=8),
    "formula, every operation": FormulaReadable(NUMBERS, "regression", ("first", "second"), every_operation()),
    "formula, logistic": FormulaReadable(
        NUMBERS, "classification", ("no", "yes"), (X[0] / 3 - X[1] * X[2] + 0.25,), "logistic"
    ),
    "formula, softmax": FormulaReadable(
        NUMBERS, "classification", WIDE[:3], (X[0], X[1] * sp.Float(0.37), -X[2] + sp.sin(X[3])), "softmax"
    ),
    "formula, levels": FormulaReadable(MIXED, "regression", ("prediction",), (of_levels(),)),
    "formula, positions": FormulaReadable(MIXED, "regression", ("prediction",), (of_positions(),)),
    "formula, level classes": FormulaReadable(MIXED, "classification", ("no", "yes"), (of_levels(),), "logistic"),
    "network, regression": planted_network(NUMBERS, "regression", ("up", "down"), (12, 6), "relu", seed=1),
    "network, tanh classes": planted_network(NUMBERS, "classification", WIDE[:3], (10,), "tanh", seed=2),
    "network, mixed": planted_network(MIXED, "classification", ("no", "yes"), (9, 5), "relu", seed=3),
    "network, mixed regression": planted_network(MIXED, "regression", ("prediction",), (70,), "tanh", seed=4),
    "network, 8-bit": deployed_network(NUMBERS, "classification", WIDE[:3], (16, 8), seed=5, kind="int8"),
    "network, embedded": deployed_network(MIXED, "classification", WIDE[:3], (12,), seed=6, dims=2),
    "network, pruned": deployed_network(NUMBERS, "regression", ("up", "down"), (24, 12), seed=7, zeros=0.8),
    "network, 8-bit, embedded, pruned": deployed_network(
        MIXED, "regression", ("prediction",), (24, 12), seed=8, dims=3, zeros=0.8, kind="int8", activation="tanh"
    ),
    "network, linear": deployed_network(MIXED, "classification", ("no", "yes"), (), seed=9),
    "soft tree, regression": planted_soft_tree(NUMBERS, "regression", ("up", "down"), depth=4, seed=1),
    "soft tree, one output": planted_soft_tree(MIXED, "regression", ("prediction",), depth=3, seed=2),
    "soft tree, five classes": planted_soft_tree(MIXED, "classification", WIDE, depth=4, seed=3),
    "soft tree, averaged": planted_soft_tree(MIXED, "regression", ("prediction",), depth=3, seed=4, reading="average"),
    "soft tree, averaged classes": planted_soft_tree(
        NUMBERS, "classification", WIDE[:3], depth=2, seed=5, reading="average"
    ),
    "on coefficients, tree": on_coefficients(
        MIXED, lambda s: planted_tree(s, "classification", WIDE[:3], splits=18, seed=1)
    ),
    "on coefficients, formula": on_coefficients(
        NUMBERS,
        lambda s: FormulaReadable(s, "classification", WIDE[:3], (X[0], X[1] * sp.sin(X[7]), -X[2]), "softmax"),
    ),
    "on coefficients, rule list": on_coefficients(
        MIXED, lambda s: planted_list(s, "classification", WIDE, count=9, seed=2)
    ),
    "rule list, regression": planted_list(NUMBERS, "regression", ("prediction",), count=12, seed=1),
    "rule list, mixed": planted_list(MIXED, "regression", ("up", "down", "age"), count=12, seed=2),
    "rule list, two classes": planted_list(MIXED, "classification", ("no", "yes"), count=9, seed=3),
    "rule list, five classes": planted_list(MIXED, "classification", WIDE, count=15, seed=4),
    "rule list, only the last": planted_list(NUMBERS, "classification", WIDE, count=0, seed=5),
    "rule set, regression": planted_set(
        NUMBERS, "regression", ("prediction",), "identity", count=12, terms=(0, 3), seed=1
    ),
    "rule set, mixed": planted_set(MIXED, "regression", ("up", "down"), "identity", count=8, terms=(5,), seed=2),
    "rule set, two classes": planted_set(
        MIXED, "classification", ("no", "yes"), "logistic", count=12, terms=(0, 5), seed=3
    ),
    "rule set, five classes": planted_set(MIXED, "classification", WIDE, "softmax", count=10, terms=(5,), seed=4),
    "rule set, no rules": planted_set(NUMBERS, "classification", WIDE, "softmax", count=0, terms=(), seed=5),
    "wavelet, regression": planted_wavelet(
        NUMBERS, "regression", ("up", "down"), "identity", seed=1, places=[(0, 1), (1, 0), (2, 3)]
    ),
    "wavelet, mixed": planted_wavelet(
        MIXED, "regression", ("prediction",), "identity", seed=2, places=[(0, 0), (2, 1)], levels=[(1, 2), (3, 0)]
    ),
    "wavelet, two classes": planted_wavelet(
        MIXED, "classification", ("no", "yes"), "logistic", seed=3, places=[(1, 0)], levels=[(2, 1)], held=((5, 2.5),)
    ),
    "wavelet, five classes": planted_wavelet(
        NUMBERS, "classification", WIDE, "softmax", seed=4, places=[(0, 0), (2, 2)], mode="periodization"
    ),
    "wavelet, the largest": planted_wavelet(
        NUMBERS, "classification", ("no", "yes"), "logistic", seed=5, places=[(1, 0), (1, 2)], features="largest"
    ),
    "wavelet, of an image": planted_wavelet(
        NUMBERS, "regression", ("prediction",), "identity", seed=6, places=[(0, 0), (6, 1)], image=(2, 4, 1)
    ),
    "wavelet, no terms": planted_wavelet(NUMBERS, "classification", WIDE, "softmax", seed=7),
    "program, changes": planted_program(BALL, ("stay", "right", "left"), changes=(0, 2), count=6, seed=1),
    "program, two actions": planted_program(BALL, ("left", "right"), count=1, seed=2),
    "program, no guards": planted_program(BALL, WIDE, count=0, seed=3),
    "policy tree, changes": planted_policy_tree(BALL, WIDE, changes=(1,), depth=5, seed=1),
}


def assert_same(found, expected, *, where=None):
    """The same numbers to 1e-6 relative (of the output's own size, where terms cancel)."""
    assert found.shape == expected.shape
    where = np.ones(len(found), dtype=bool) if where is None else where
    scale = np.abs(expected).mean(axis=0)
    np.testing.assert_array_less(
        np.abs(found - expected)[where], (1e-6 * np.abs(expected) + 1e-13 * scale + 1e-300)[where]
    )


@pytest.mark.parametrize("target", RUNNERS)
@pytest.mark.parametrize("name", READABLES)
def test_exported_numbers(name, target):
    readable = READABLES[name]
    Z = rows_for(readable)
    expected = readable.predict_encoded(Z)
    assert np.isfinite(expected).all()
    assert_same(RUNNERS[target](readable, Z), expected)


@pytest.mark.parametrize("name", READABLES)
def test_latex_numbers(name):
    """The equations as they are written; where the textbook softmax overflows a double, there is nothing to compare."""
    readable = READABLES[name]
    Z = rows_for(readable)
    found = evaluate_latex(readable.export("latex"), readable.schema, Z)
    where = np.isfinite(found).all(axis=1)
    assert where.mean() > 0.9
    assert_same(found, readable.predict_encoded(Z), where=where)


@pytest.mark.parametrize("name", READABLES)
def test_mathml_is_well_formed(name):
    """Only MathML's elements, and every name, level and constant of the program stands in it."""
    readable = READABLES[name]
    text = readable.export("mathml")
    root = ElementTree.fromstring(text)
    known = {
        "math",
        "mtable",
        "mtr",
        "mtd",
        "mrow",
        "mi",
        "mn",
        "mo",
        "mtext",
        "mfrac",
        "msqrt",
        "msup",
        "msub",
        "mspace",
    }
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= known
    shown = [element.text for element in root.iter() if element.text]
    assert set(readable.features_used) | set(readable.output_names) <= set(shown)
    floats = {float(node) for node in nodes(readable.program()) if isinstance(node, sp.Float)}
    numbers = {float(text) for text in shown if re.fullmatch(r"[\d.]+", text)}
    plain = {abs(value) for value in floats if "e" not in repr(value)}
    assert plain <= numbers


def test_the_table_has_every_family_and_operation():
    programs = [readable.program() for readable in READABLES.values()]
    found = {type(node) for program in programs for node in nodes(program)}
    assert set(OPERATIONS) | {IsIn, sp.Piecewise} <= found
    assert {readable.family for readable in READABLES.values()} == {
        "tree",
        "formula",
        "network",
        "rule_list",
        "rule_set",
        "soft_tree",
        "wavelet",
        "coefficients",
        "program",
        "policy_tree",
    }
    assert {target for target in EXPORTERS if target not in ("latex", "mathml", "sql")} <= set(RUNNERS)
    assert {family for family, _ in FAMILY_EXPORTERS} == {"network", "program", "policy_tree"}


@pytest.mark.parametrize("name", READABLES)
def test_lowering_keeps_the_numbers(name):
    readable = READABLES[name]
    program, Z = readable.program(), rows_for(readable, n=200)
    cut = lowered(program, height=2, by_name=lambda expr: isinstance(expr, sp.Max | sp.exp), pairwise=True)
    assert len(cut.steps) >= len(lowered(program).steps)
    assert_same(evaluate(cut, Z), readable.predict_encoded(Z))


def all_parts_finite(program, Z):
    """For every row and output ``(n, k)``, whether each number inside the output's expression is finite."""
    found = []
    for expr in program.outputs:
        one = Program(program.schema, (), (expr,), ("y",))
        parts = tuple(part for part in nodes(one) if isinstance(part, sp.Expr))
        values = evaluate(Program(program.schema, (), parts, tuple(map(str, range(len(parts))))), Z)
        found.append(np.isfinite(values).all(axis=1))
    return np.column_stack(found)


def test_undefined_numbers():
    """Where NumPy gives an infinity or NaN, so do Python, JavaScript, C and ONNX; SQL gives NULL or an infinity."""
    a, b = X[:2]
    expressions = (
        sp.Piecewise((1, sp.Le(sp.log(a), 0)), (2, True)),
        sp.log(a, evaluate=False),
        sp.sqrt(a),
        1 / a,
        sp.Mul(b, sp.Pow(a, -1), evaluate=False),
        sp.exp(a * 400),
        sp.Pow(a, sp.Rational(1, 3)),
        sp.Pow(a, -3),
        sp.Max(sp.log(a), b),
        sp.Pow(a, b),
        sp.sin(1 / a),
    )
    names = tuple(f"y{o}" for o in range(len(expressions)))
    readable = FormulaReadable(Schema((Column("a"), Column("b"))), "regression", names, expressions)
    grid = np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 2.0, 700.0])
    Z = np.array([(x, y) for x in grid for y in grid])
    expected = readable.predict_encoded(Z)
    assert np.isnan(expected).any()
    assert np.isinf(expected).any()
    for runner in (run_python, run_javascript, run_c, run_onnx):
        np.testing.assert_allclose(runner(readable, Z), expected, rtol=1e-6)
    defined = all_parts_finite(readable.program(), Z)
    for target in ("sqlite", "duckdb"):
        found = RUNNERS[target](readable, Z)
        np.testing.assert_allclose(found[defined], expected[defined], rtol=1e-6)
        assert not np.isfinite(found[np.isnan(expected)]).any()


def test_large_network_is_a_moderate_graph():
    onnx = pytest.importorskip("onnx")
    network = planted_network(NUMBERS, "regression", ("prediction",), (100, 32), "relu", seed=9, sparse=False)
    Z = rows_for(network, n=200)
    assert len(onnx.load_from_string(network.export("onnx")).graph.node) < 500
    for target in ("onnx", "sqlite"):
        assert_same(RUNNERS[target](network, Z), network.predict_encoded(Z))


@pytest.mark.parametrize("target", ["python", "javascript", "c", "onnx"])
@pytest.mark.parametrize("kind", ["float32", "int8"])
def test_a_wide_network_is_arrays(kind, target):
    schema = Schema(tuple(Column(f"x{j}") for j in range(105)))
    network = deployed_network(schema, "classification", ("no", "yes"), (256,), seed=10, kind=kind)
    Z = rows_for(network, n=130)
    assert_same(RUNNERS[target](network, Z), network.predict_encoded(Z))
    assert len(network.export(target)) < {"c": 20, "python": 8, "javascript": 8, "onnx": 6}[target] * network.n_bytes


def test_python_needs_only_the_standard_library(tmp_path):
    readable = READABLES["network, mixed"]
    path = tmp_path / "model.py"
    path.write_text(readable.export("python"), encoding="ascii")
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('m', sys.argv[1]); m = u.module_from_spec(s);"
        "s.loader.exec_module(m); print(m.predict({'age': 30, 'job': 'nurse', 'grade': 3, 'size': 'large',"
        "'member': True, 'wage': 2})['yes'])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    Z = np.array([[30, 1, 1, 2, 1, 2.0]])
    assert float(done.stdout) == pytest.approx(readable.predict_encoded(Z)[0, 1], rel=1e-12)


def test_python_says_what_is_wrong_with_a_row():
    space = {}
    exec(READABLES["network, mixed"].export("python"), space)
    row = {"age": 30, "job": "nurse", "grade": 3, "size": "large", "member": True, "wage": 2}
    with pytest.raises(ValueError, match=r"column 'job' has no level 'pilot'; its levels are \('clerk', 'nurse'"):
        space["predict"]({**row, "job": "pilot"})
    with pytest.raises(ValueError, match=r"column 'grade' has no level 2; its levels are \(1, 3, 7\)"):
        space["predict"]({**row, "grade": 2})
    with pytest.raises(ValueError, match="column 'wage' needs a finite number; got nan"):
        space["predict"]({**row, "wage": float("nan")})
    with pytest.raises(ValueError, match="the row lacks column 'wage'"):
        space["predict"]({name: value for name, value in row.items() if name != "wage"})
    with pytest.raises(ValueError, match=r"a row has 6 values .* got 2"):
        space["predict"]([1, 2])
    assert space["predict"]({**row, "grade": "3"}) == space["predict"](row)


def test_what_is_not_known_elsewhere():
    """A level that the model does not know: NaN in C and ONNX, an error in JavaScript, ELSE in SQL."""
    import ctypes

    readable = FormulaReadable(
        Schema((Column("job", "nominal", ("clerk", "nurse")), Column("wage"))),
        "regression",
        ("prediction",),
        (sp.Piecewise((1, IsIn.of(X[0], ["clerk"])), (2, True)) + X[1],),
    )

    class Row(ctypes.Structure):
        _fields_ = (("job", ctypes.c_char_p), ("wage", ctypes.c_double))

    library, out = compiled(readable.export("c")), (ctypes.c_double * 1)()
    for row in (Row(b"pilot", 1.0), Row(None, 1.0), Row(b"clerk", float("inf"))):
        library.limbeck_predict(ctypes.byref(row), out)
        assert np.isnan(out[0])
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(readable.export("onnx"), providers=["CPUExecutionProvider"])
    feed = {"job": np.array([["pilot"], ["clerk"]], dtype=object), "wage": np.array([[1.0], [1.0]])}
    np.testing.assert_array_equal(session.run(None, feed)[0], [[np.nan], [2.0]])
    connection = sqlite_connection()
    connection.execute("CREATE TABLE rows (job TEXT, wage INTEGER)")
    connection.execute("INSERT INTO rows VALUES ('pilot', 1), (NULL, 1), ('clerk', NULL), ('clerk', 1)")
    assert [row[-1] for row in connection.execute(readable.export("sql"))] == [3.0, 3.0, None, 2.0]
    connection.close()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"job": "pilot"}, "column job has no level pilot"),
        ({"grade": 2}, "column grade has no level 2"),
        ({"wage": None}, "column wage needs a finite number; got null"),
        ({"wage": ""}, "column wage needs a finite number; got "),
        ({"wage": "a lot"}, "column wage needs a finite number; got a lot"),
    ],
)
def test_javascript_refuses_what_it_does_not_know(changed, message):
    row = {"age": 30, "job": "nurse", "grade": 3, "size": "large", "member": True, "wage": 2}
    answer = run_script(READABLES["network, mixed"], [{**row, **changed}])
    assert message in answer.stderr


def test_javascript_refuses_rows_of_another_shape():
    readable = READABLES["network, mixed"]
    assert "the row lacks column age" in run_script(readable, [{}]).stderr
    assert "a row has 6 values; got 2" in run_script(readable, [[1, 2]]).stderr
    assert run_script(readable, [[30, "nurse", "3", "large", True, 2]]).returncode == 0


def test_integer_columns_divide_as_numbers():
    readable = FormulaReadable(Schema((Column("a"), Column("b"))), "regression", ("q",), (X[0] / X[1],))
    connection = sqlite_connection()
    connection.execute('CREATE TABLE rows ("a" INTEGER, "b" INTEGER)')
    connection.execute("INSERT INTO rows VALUES (1, 2)")
    assert connection.execute(readable.export("sql")).fetchall() == [(1, 2, 0.5)]
    connection.close()


@pytest.mark.parametrize("target", EXPORTERS)
def test_outside_the_language_is_refused_by_name(target):
    schema = Schema((Column("a"), Column("job", "nominal", ("clerk",))))
    refused = {
        "gamma is not an operation of the language": sp.gamma(X[0]),
        "Xor is not an operation of the language": sp.Piecewise(
            (1, sp.Xor(sp.Lt(X[0], 1), IsIn.of(X[1], ["clerk"]))), (0, True)
        ),
        "symbol 'y' is neither a column of the table nor an earlier step": sp.Symbol("y") + 1,
        "symbol 'x5' is neither": sp.Symbol("x5") + 1,
        "a constant must be a finite number to be exported": sp.Max(X[0], sp.oo, evaluate=False),
        r"column 'job' has no levels \['pilot'\]": sp.Piecewise((1, IsIn.of(X[1], ["pilot"])), (0, True)),
        "a number is required where StrictLessThan stands": sp.Lt(X[0], 1),
    }
    for message, expr in refused.items():
        with pytest.raises(InputError, match=message):
            EXPORTERS[target](Program(schema, (), (expr,), ("prediction",)))


def test_unknown_target_is_said():
    with pytest.raises(InputError, match=r"one of \['c', 'javascript'.*got 'pyhton'. Did you mean 'python'"):
        READABLES["tree, one leaf"].export("pyhton")


def test_onnx_absent_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"limbeck\[onnx\]"):
        READABLES["tree, one leaf"].export("onnx")


@pytest.mark.parametrize("target", EXPORTERS)
def test_same_program_same_bytes(target):
    readable = READABLES["tree, mixed classes"]
    assert readable.export(target) == type(readable).from_dict(readable.to_dict()).export(target)


# ---- laws over all expressions

LAWS = Schema((Column("a"), Column("b"), Column("job", "nominal", ("clerk", "it's", "3"))))
constants = st.one_of(
    st.integers(-20, 20),
    st.floats(-1e3, 1e3).map(lambda v: round(v, 6)),
    st.sampled_from([["ratio", 2, 3], 1e-7, 2.5e10]),
)
leaves = st.one_of(constants, st.sampled_from([["x", 0], ["x", 1]]))


def larger(inner):
    two, one = st.tuples(inner, inner), st.tuples(inner)
    relations = st.tuples(st.sampled_from(["le", "lt", "ge", "gt", "eq", "ne"]), inner, inner).map(list)
    levels = st.lists(st.sampled_from(LAWS.columns[2].level_names), min_size=1, max_size=3, unique=True)
    simple = st.one_of(relations, levels.map(lambda chosen: ["isin", ["x", 2], *chosen]))
    conditions = st.one_of(
        simple,
        st.tuples(st.sampled_from(["and", "or"]), simple, simple).map(list),
        simple.map(lambda condition: ["not", condition]),
    )
    return st.one_of(
        st.tuples(st.sampled_from(["add", "mul", "max", "min"]), two).map(lambda t: [t[0], *t[1]]),
        st.tuples(st.sampled_from(["sin", "cos", "tanh", "abs", "floor", "exp", "log"]), one).map(
            lambda t: [t[0], *t[1]]
        ),
        st.tuples(inner, st.sampled_from([-2, -1, 2, 3, 0.5, 1.7, ["ratio", 1, 3]])).map(lambda t: ["pow", *t]),
        st.tuples(inner, conditions, inner).map(lambda t: ["if", [t[0], t[1]], [t[2], True]]),
    )


expressions = st.recursive(leaves, larger, max_leaves=12)
LAW_ROWS = np.array([[a, b, c] for a in (-2.5, 0.0, 1.0, 40.0) for b in (-1.0, 0.5, 3.0) for c in (0, 1, 2)])


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_json_gives_the_expression_back(data):
    expr = expression_from_json(data)
    again = expression_from_json(expression_to_json(expr))
    assert again == expr
    assert expression_to_json(again) == expression_to_json(expr)


@settings(max_examples=150, deadline=None)
@given(expressions)
def test_python_equals_evaluate(data):
    program = Program(LAWS, (), (expression_from_json(data),), ("prediction",))
    space = {}
    exec(python_source(program), space)
    found = [space["predict"]([a, b, LAWS.columns[2].levels[int(c)]]) for a, b, c in LAW_ROWS]
    np.testing.assert_allclose(np.array(found, dtype=float), evaluate(program, LAW_ROWS)[:, 0], rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_sql_equals_evaluate(data):
    """In SQLite, wherever no part of the expression is infinite or NaN; there SQL may say NULL."""
    program = Program(LAWS, (), (expression_from_json(data),), ("prediction",))
    connection = sqlite_connection()
    connection.execute('CREATE TABLE rows ("a" DOUBLE PRECISION, "b" DOUBLE PRECISION, "job" TEXT)')
    rows = [(a, b, LAWS.columns[2].levels[int(c)]) for a, b, c in LAW_ROWS]
    connection.executemany("INSERT INTO rows VALUES (?, ?, ?)", rows)
    found = np.array([row[-1] for row in connection.execute(sql_select(program))], dtype=float)
    connection.close()
    finite = all_parts_finite(program, LAW_ROWS)[:, 0]
    np.testing.assert_allclose(found[finite], evaluate(program, LAW_ROWS)[finite, 0], rtol=1e-9, atol=1e-9)
