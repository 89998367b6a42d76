"""The stages of `limbeck.modules`: look, train and split, judge, interpret, circuits, distil, and the result of all.

Cost
----
See `limbeck.modules`. A stage that is interrupted leaves what the stages before it made.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.module_layers import weight_layers
from limbeck._core.progress import Report
from limbeck._modules_case import ModulesCase, answers_of
from limbeck._modules_document import cards, circuits_entry, example_entry, interpretation_entry, layer_entry
from limbeck._modules_findings import clusterability_finding, specialisation_finding, split_finding, verdict
from limbeck._modules_result import FORMAT, VERSION, ModulesResult
from limbeck.checks import Finding
from limbeck.checks._asking import copied
from limbeck.modularity._specialisation import MEASURED_ROWS

if TYPE_CHECKING:
    from limbeck.modularity import Clusterability, Clusters

__all__ = ["Work", "circuits", "distill", "interpret", "judge", "look", "result", "say_cost", "train_and_split"]

CHECK_ROWS = 64
SEARCHES, FEWER = 39, 19
"""Searches in noise: so many, and so many after Ctrl-C; with either a p-value can be at most 0.05."""
N_RANDOM = 200
WORTH_SAYING = 10.0
PASSES = 80
"""Forward passes that a circuit takes, about, for each layer."""
CALLED = 0.5
APART = 0.99


@dataclass
class Work:
    """What is done so far; what was not asked for, or was interrupted, stays None."""

    case: ModulesCase
    seeds: dict[str, int]
    report: Report
    data_name: str
    recipe: dict[str, Any]
    seed: int
    started: float
    clusters: dict[str, Clusters] = field(default_factory=dict)
    before: dict[str, Clusters] = field(default_factory=dict)
    model: Any = None
    training: Any = None
    network: Any = None
    measured_before: dict[str, Clusterability] = field(default_factory=dict)
    measures: dict[str, Clusterability] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    interpretation: Any = None
    circuits: Any = None
    distilled: Any = None
    notes: list[str] = field(default_factory=list)
    complete: bool = True

    @property
    def k(self) -> int:
        """The number of modules."""
        return max(one.k for one in self.clusters.values())


def look(work: Work, layers: Sequence[str] | None, k: int | None) -> None:
    """Which module each unit belongs to, as the network is given."""
    from limbeck.modularity import cluster_layers

    work.report("clustering the units", 0, 1)
    seed = work.seeds["clusters"]
    work.before = cluster_layers(work.case.model, layers, k, random_state=seed)
    least = min(one.k for one in work.before.values())
    if any(one.k > least for one in work.before.values()):  # chains of layers that chose for themselves
        work.before = cluster_layers(work.case.model, list(work.before), least, random_state=seed)
    work.clusters, work.model = work.before, work.case.model
    work.measures = work.measured_before = measured(work, SEARCHES)
    if k is None:
        work.notes.append(f"k = {work.k} was chosen by the weights")
    work.report("clustering the units", 1, 1)


def say_cost(work: Work, *, circuits: bool) -> None:
    """About how long specialisation and circuits take, where it is long, from one pass of the network."""
    held, kept = work.case.held_out.X, work.case.validation.X
    start = time.perf_counter()
    answers_of(work.case.model, held[:MEASURED_ROWS])
    each = (time.perf_counter() - start) / min(len(held), MEASURED_ROWS)
    chance = N_RANDOM * work.k * min(len(held), MEASURED_ROWS) * each
    passes = PASSES * len(weight_layers(work.case.model))
    pruned = passes * len(work.case.outputs) * len(kept) * each
    pruned = pruned if circuits else 0.0
    if chance + pruned > WORTH_SAYING:
        told = f"{N_RANDOM} random partitions into {work.k} modules: about {chance:,.0f} s"
        work.report(f"{told}{f'; circuits: about {pruned:,.0f} s' if circuits else ''}", 0, 0)


def train_and_split(work: Work) -> None:
    """A copy that is trained, where it was asked for, and the network without the weights between modules."""
    from limbeck.modularity import split, train_modular

    if work.recipe["trained"]:
        work.model = copied(work.case.model)
        part = work.case.train
        work.training = train_modular(
            work.model,
            (part.X, part.y),
            layers=list(work.before),
            k=work.k,
            strength=work.recipe["strength"],
            warmup_epochs=work.recipe["warmup_epochs"],
            epochs=work.recipe["epochs"],
            split_epochs=work.recipe["split_epochs"],
            validation=(work.case.validation.X, work.case.validation.y),
            random_state=work.seeds["training"],
            progress=work.report,
        )
        work.clusters = work.training.clusters
        if not work.training.complete:
            work.complete = False
            work.notes.append("interrupted in training: the network is as far as it was trained")
    work.network = split(work.model, work.clusters, check_rows=work.case.train.X[:CHECK_ROWS])


def held_apart(work: Work) -> bool:
    """Whether training left every weight between modules at exactly 0, as its last phase holds them."""
    if work.training is None:
        return False
    weights = ((work.model.get_submodule(name).weight.detach().cpu().numpy(), c) for name, c in work.clusters.items())
    return not any(weight[~clusters.mask()].any() for weight, clusters in weights)


def judge(work: Work, searches: int = SEARCHES) -> None:
    """The scores on the held-out rows, and the findings that need no more than the networks."""
    from limbeck.modularity._split import score_with_interval

    case, held, scores = work.case, work.case.held_out, []
    work.report("judging the split network", 0, 2)
    named = [("original", case.model), *([("trained", work.model)] if work.training else []), ("split", work.network)]
    answers = {what: answers_of(model, held.X) for what, model in named}
    for what, outputs in answers.items():
        _, value, low, high = score_with_interval(outputs, held.y, work.seeds["judging"])
        scores.append({"what": what, "value": value, "low": low, "high": high})
    work.scores = scores
    work.report("judging the split network", 1, 2)
    if work.training:
        work.measures = measured(work, searches)
    work.findings = [
        clusterability_finding(work.measures, held=held_apart(work)),
        split_finding(answers["original"], answers["split"], held.y, case.metric, work.seeds["judging"]),
    ]
    work.notes.append("where the network was trained on these rows, its own score is flattered")
    least = min(float(one) for one in work.measures.values())
    if work.training and work.training.complete and least < APART:
        work.notes.append(
            f"after training the clusterability is {least:.3f}, below {APART}: more epochs, or a larger strength, may "
            "bring the network further apart"
        )
    work.report("judging the split network", 2, 2)


def interpret(work: Work) -> None:
    """What each module decides, and whether they are specialised."""
    from limbeck.modularity import interpret as interpreted

    case, held = work.case, work.case.held_out
    work.interpretation = interpreted(
        work.network,
        held.X,
        case.truth(held),
        classes=case.classes,
        names=case.names,
        n_random=N_RANDOM,
        random_state=work.seeds["interpretation"],
    )
    work.findings.append(specialisation_finding(work.interpretation.specialisation))


def circuits(work: Work) -> None:
    """The weights that each label needs, pruned on the validation rows."""
    from limbeck.modularity import circuits as found

    part, keeps = work.case.validation, all(f.status != "fail" for f in work.findings if f.code == "RC012")
    work.notes.append(
        "circuits are those of the split network"
        if keeps
        else "circuits are those of the network before it was split, since splitting loses its score"
    )
    work.circuits = found(
        work.network.network if keeps else work.model,
        (part.X, part.y),
        task="classification" if work.case.is_classification else "regression",
        contrast=work.case.is_classification,
        random_state=work.seeds["circuits"],
        progress=work.report,
    )
    called = [tests["called"] for tests in work.circuits.tests if np.isfinite(tests["called"])]
    if work.case.is_classification and called and np.mean(called) > CALLED:
        work.notes.append(
            f"a circuit alone says its label of {np.mean(called):.0%} of the other labels' rows: it keeps the label's "
            "loss low, and does not tell the label from others"
        )


def distill(work: Work) -> None:
    """A formula, tree or rules for each module."""
    from limbeck.modularity import distill_modules

    part = work.case.train
    work.distilled = distill_modules(
        work.network,
        part.X,
        work.case.truth(part),
        names=work.case.names,
        classes=work.case.classes,
        random_state=work.seeds["distilling"],
        progress=work.report,
    )
    work.notes.append(f"the modules as readable models: {work.distilled.verdict}")


def measured(work: Work, searches: int) -> dict[str, Clusterability]:
    """The clusterability of each layer of the network as it is now."""
    from limbeck.modularity import clusterability

    return {
        name: clusterability(weight_of(work.model, name), one, n_searches=searches, random_state=work.seeds["judging"])
        for name, one in work.clusters.items()
    }


def weight_of(model: Any, name: str) -> np.ndarray:
    """A layer's weights as an array."""
    return np.asarray(model.get_submodule(name).weight.detach().double().cpu().numpy())


def result(work: Work) -> ModulesResult:
    """Everything that was made, with its document."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": work.data_name,
        "model": type(work.case.model).__name__,
        "metric": work.case.metric,
        "outputs": list(work.case.outputs),
        "seed": work.seed,
        "seconds": time.monotonic() - work.started,
        "notes": list(work.notes),
        "verdict": verdict(work.findings),
        "recipe": {**work.recipe, "k": work.k},
        "layers": _layers(work),
        "scores": work.scores,
        "modules": _cards(work),
        "specialisation": _specialisation(work),
        "circuits": None if work.circuits is None else circuits_entry(work.circuits, work.case.outputs, work.clusters),
        "findings": [finding.to_dict() for finding in work.findings],
    }
    return ModulesResult(
        document,
        work.network,
        work.model,
        work.clusters,
        tuple(work.findings),
        work.training,
        work.interpretation,
        work.circuits,
        work.distilled,
        work.complete,
    )


def _layers(work: Work) -> list[dict[str, Any]]:
    """The layers' entries; without training there is one measure, of the network as it is."""
    entries = []
    for name, after in work.clusters.items():
        weights = (weight_of(work.case.model, name), weight_of(work.model, name))
        before = work.measured_before[name] if work.training else None
        entries.append(layer_entry(name, weights, (work.before[name], after), (before, work.measures[name])))
    return entries


def _specialisation(work: Work) -> dict[str, Any] | None:
    """The score beside chance; None where it was not, or could not be, measured."""
    found = None if work.interpretation is None else work.interpretation.specialisation.to_dict()
    return None if found is None or None in found.values() else found


def _cards(work: Work) -> list[dict[str, Any]]:
    kernels = {name: math.prod(weight_of(work.model, name).shape[2:]) for name in work.clusters}
    told: dict[int, dict[str, Any]] = {number: {} for number in range(work.k)}
    if work.interpretation is not None:
        for number in told:
            told[number] |= interpretation_entry(work.interpretation, f"module {number + 1}", work.case.n_pixels)
            told[number]["examples"] = _examples(work, f"module {number + 1}")
    if work.distilled is not None:
        for number, part in enumerate(work.distilled.parts):
            told[number]["readable"] = {"text": part.text(), "fidelity": part.fidelity.to_dict()}
    return cards(work.clusters, kernels, len(work.case.outputs), told)


def _examples(work: Work, module: str) -> list[dict[str, Any]]:
    """The rows where a module adds most to its labels; their numbers are those of the rows that were given."""
    case, listed = work.case, work.interpretation.examples
    side, own = case.image_side, case.truth(case.held_out)

    def truth(row: int) -> Any:
        return own[row] if case.is_classification else None

    return [
        example_entry(case.held_out.at[row], (label, score), truth(row), case.held_out.X[row], case.names, side)
        for name, row, label, score in listed.itertuples(index=False)
        if name == module
    ]
