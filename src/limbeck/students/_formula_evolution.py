"""Evolution by pyoperon: rows in, formulas of its front out.

Source
------
Burlacu2020: NSGA-II on R2 and length. With R2 alone it adds terms that bring nothing.

Departures
----------
pyoperon computes in float32 and counts a weighted feature as one symbol: its trees are read into our own form, where
their constants are merged, and are fitted again in float64 and counted as a person counts.

Checked
-------
The formulas' values are pyoperon's own to float32 (unit tests); the same seed gives the same front.

Cost
----
About 25 µs an evaluation of 1,000 rows on one core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limbeck.students._formula_algebra import Formula, add, apply, constant, feature, multiply, power, scale
from limbeck.students._formula_fit import values_of

MAX_LENGTH = 30
MAX_DEPTH = 10
POPULATION = 500
LOCAL_STEPS = 1


class Node(NamedTuple):
    """A node of a tree, after its operands."""

    kind: str
    value: float
    arity: int
    hash: int


def evolve(
    X: np.ndarray,
    y: np.ndarray,
    operators: frozenset[str],
    evaluations: float,
    seconds: float | None,
    seed: int,
) -> list[Formula]:
    """The front that pyoperon evolves, in the features' and answers' own units; constants not yet fitted.

    With `seconds`, as many evaluations as a first try says will fit.
    """
    shift, spread = _scaling(X)
    Z = (X - shift) / spread
    middle, width = float(y.mean()), float(np.std(y)) or 1.0
    if seconds is not None:
        pilot, begin = 2_000.0, time.monotonic()
        _run_pyoperon(Z, (y - middle) / width, operators, pilot, seed)
        evaluations = max(pilot, pilot * seconds / max(time.monotonic() - begin, 1e-3))
    trees, hashes = _run_pyoperon(Z, (y - middle) / width, operators, evaluations, seed)
    inputs = {name: scale(add(feature(j), constant(-shift[j])), 1.0 / spread[j]) for j, name in enumerate(hashes)}
    found = []
    for nodes in trees:
        formula = _read_tree(nodes, inputs)
        if formula is None:
            continue
        values = values_of(formula, list(X.T))
        if np.isfinite(values).all() and np.ptp(values) > 0:
            slope = float(np.mean((values - values.mean()) * (y - middle)) / np.var(values))
            found.append(add(constant(middle - slope * float(values.mean())), scale(formula, slope)))
    return found


def _scaling(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shift and spread of each feature: shifted only where float32 would lose the differences (years, positions)."""
    spread = np.std(X, axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    middle = X.mean(axis=0)
    return np.where(np.abs(middle) > 30.0 * spread, middle, 0.0), spread


def _run_pyoperon(
    X: np.ndarray, y: np.ndarray, operators: frozenset[str], evaluations: float, seed: int
) -> tuple[list[list[Node]], list[int]]:
    """The trees of the last population that none shorter beats, as nodes, and the hash of each input.

    pyoperon keeps bare pointers to what it is given: every object stays in `kept` until the end of the run.
    """
    import pyoperon as op

    kept: list[Any] = []
    budget = max(int(evaluations), 2)
    problem, inputs = _problem(op, X, y, operators, kept)
    primitives = problem.PrimitiveSet
    creator = op.BalancedTreeCreator(primitives, inputs, 0.0)
    coefficients = op.NormalCoefficientInitializer()
    coefficients.ParameterizeDistribution(0, 1)
    mutations = _mutations(op, inputs, primitives, creator, coefficients)
    generator, reinserter = _offspring(op, problem, mutations, budget, kept)
    starter = op.UniformLengthTreeInitializer(creator)
    shortest = primitives.FunctionArityLimits()[0] + 1
    starter.ParameterizeDistribution(shortest, max(10, shortest))
    starter.MinDepth, starter.MaxDepth = 1, 1000
    population = int(np.clip(budget // 10, 20, POPULATION))
    config = op.GeneticAlgorithmConfig(
        generations=100_000,
        max_evaluations=budget,
        local_iterations=LOCAL_STEPS,
        population_size=population,
        pool_size=population,
        p_crossover=1.0,
        p_mutation=0.25,
        epsilon=1e-5,
        seed=seed,
        max_time=10**9,
    )
    sorter, numbers = op.RankSorter(), op.RandomGenerator(np.uint64(seed))
    algorithm = op.NSGA2Algorithm(config, problem, starter, coefficients, generator, reinserter, sorter)
    algorithm.Run(numbers, None, 1, False)
    return _front(algorithm.Individuals), inputs


def _problem(
    op: Any, X: np.ndarray, y: np.ndarray, operators: frozenset[str], kept: list[Any]
) -> tuple[Any, list[int]]:
    dataset = op.Dataset(np.asfortranarray(np.column_stack([X, y])))
    variables = sorted(dataset.Variables, key=lambda variable: variable.Index)
    inputs = [variable.Hash for variable in variables[:-1]]
    problem = op.Problem(dataset)
    problem.TrainingRange = op.Range(0, dataset.Rows)
    problem.TestRange = op.Range(dataset.Rows - 1, dataset.Rows)
    problem.Target, problem.InputHashes = variables[-1], inputs
    problem.ConfigurePrimitiveSet(_primitives(op, operators))
    kept += [dataset, variables, problem]
    return problem, inputs


def _offspring(op: Any, problem: Any, mutations: list[Any], budget: int, kept: list[Any]) -> tuple[Any, Any]:
    """How children are made and judged, and how they replace their parents."""
    table, metric = op.DispatchTable(), op.R2()
    fit, length = op.Evaluator(problem, table, metric, True), op.LengthEvaluator(problem)
    evaluator = op.MultiEvaluator(problem)
    for part in (fit, length, evaluator):
        part.Budget = budget
    evaluator.Add(fit)
    evaluator.Add(length)
    comparison = op.CrowdedComparison()
    female, male = op.TournamentSelector(comparison), op.TournamentSelector(comparison)
    female.TournamentSize = male.TournamentSize = 5
    crossover = op.SubtreeCrossover(0.9, MAX_DEPTH, MAX_LENGTH)
    mutation = op.MultiMutation()
    for one in mutations:
        mutation.Add(one, 1.0)
    optimizer = op.LMOptimizer(table, problem, LOCAL_STEPS, 0)
    local = op.CoefficientOptimizer(optimizer)
    kept += [table, metric, fit, length, evaluator, comparison, female, male, crossover]
    kept += [mutations, mutation, optimizer, local]
    generator = op.BasicOffspringGenerator(evaluator, crossover, mutation, female, male, local)
    return generator, op.KeepBestReinserter(comparison)


def _copied(node: Any) -> Node:
    kind = str(node.Type).rpartition(".")[2].lower()
    return Node(kind, float(node.Value), int(node.Arity), int(node.HashValue))


def _front(individuals: Any) -> list[list[Node]]:
    """The nodes of the trees that none shorter beats, copied out of pyoperon's memory."""
    best: dict[float, tuple[float, list[Node]]] = {}
    for individual in list(individuals):
        loss, size = individual.GetFitness(0), individual.GetFitness(1)
        if math.isfinite(loss) and (size not in best or loss < best[size][0]):
            best[size] = (loss, [_copied(node) for node in individual.Genotype.Nodes])
    found, least = [], math.inf
    for size in sorted(best):
        if best[size][0] < least:
            least = best[size][0]
            found.append(best[size][1])
    return found


def _primitives(op: Any, operators: frozenset[str]) -> int:
    names = {"add", "sub", "mul", *operators, "constant", "variable"}
    config = 0
    for name in names:
        config |= int(getattr(op.NodeType, name.capitalize()))
    return config


def _mutations(op: Any, inputs: list[int], primitives: Any, creator: Any, coefficients: Any) -> list[Any]:
    one, many = op.NormalOnePointMutation(), op.NormalMultiPointMutation()
    one.ParameterizeDistribution(0, 1)
    many.ParameterizeDistribution(0, 1)
    return [
        one,
        many,
        op.ChangeVariableMutation(inputs),
        op.ChangeFunctionMutation(primitives),
        op.ReplaceSubtreeMutation(creator, coefficients, MAX_DEPTH, MAX_LENGTH),
        op.InsertSubtreeMutation(creator, coefficients, MAX_DEPTH, MAX_LENGTH),
        op.RemoveSubtreeMutation(primitives),
    ]


def _read_tree(nodes: Sequence[Node], inputs: dict[int, Formula]) -> Formula | None:
    """The formula that a tree's nodes stand for, or None where its constants overflow."""
    try:
        with np.errstate(all="ignore"):
            formula, _ = _read_node(nodes, len(nodes) - 1, inputs)
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return formula


def _read_node(nodes: Sequence[Node], at: int, inputs: dict[int, Formula]) -> tuple[Formula, int]:
    """The formula at a position, and the position before it; a node's first operand stands right before the node."""
    node = nodes[at]
    if node.kind == "constant":
        return constant(node.value), at - 1
    if node.kind == "variable":
        return scale(inputs[node.hash], node.value), at - 1
    parts, before = [], at - 1
    for _ in range(node.arity):
        part, before = _read_node(nodes, before, inputs)
        parts.append(part)
    return _combined(node.kind, parts), before


def _combined(kind: str, parts: list[Formula]) -> Formula:
    first, rest = parts[0], parts[1:]
    if kind == "add":
        return add(*parts)
    if kind == "sub":
        return add(first, *(scale(part, -1.0) for part in rest)) if rest else scale(first, -1.0)
    if kind in ("mul", "div"):
        p = 1.0 if kind == "mul" else -1.0
        result = first if rest or kind == "mul" else power(first, -1.0)
        for part in rest:
            result = multiply(result, power(part, p))
        return result
    if kind in ("sqrt", "square"):
        return power(first, 0.5 if kind == "sqrt" else 2.0)
    return apply(kind, first)
