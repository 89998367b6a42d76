"""What each module of a split network is for: the labels it decides, the inputs it uses, rows that show it.

Source
------
Golechha2024 for the ON and OFF tables: accuracy by label with one module alone, and with one module off.

Departures
----------
- A module *decides* a label where turning it off loses at least half of that label's accuracy, the whole 95 % interval
  of the loss being above that; a module may decide nothing, and two may decide the same label.
- For quantities, R2 stands in accuracy's place (`_on_off`).
- Whether modules are specialised at all is measured beside random modules (`_specialisation`).

Checked
-------
tests/truth/test_distill_modules_truth.py: planted modules decide their own outputs and use their own inputs; modules
that all do the same decide nothing by themselves and are not called specialised.

Cost
----
A pass of the network a module, 1,000 resamples for each module and label, and `n_random` times a pass a module over at
most 1,000 rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._core.storage import as_json
from limbeck._core.tables import Rows
from limbeck.modularity._module_answers import (
    Answers,
    RowsOfNetwork,
    answers_of,
    module_names,
    output_names_of,
    read_rows,
    read_truth_of,
    with_two,
)
from limbeck.modularity._on_off import TABLES, on_off_tables
from limbeck.modularity._specialisation import Specialisation, specialisation
from limbeck.modularity._split_given import read_split
from limbeck.modularity._used_inputs import used_inputs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Interpretation", "interpret"]

DECISIVE = 0.5
"""A module decides a label where turning it off loses at least this share of the label's accuracy or R2."""
SHOWN_INPUTS, SHOWN_LABELS = 12, 20


@dataclass(frozen=True)
class Interpretation:
    """What each module of a split network is for.

    Attributes
    ----------
    metric : str
        ``accuracy`` or ``r2``.
    whole : Series
        By label, or output: with all modules on.
    on, off : DataFrame
        Module by label: with this module alone, and with all but this one.
    lost, lost_low, lost_high : DataFrame
        What turning the module off loses, and its 95 % interval over rows.
    decides : dict of tuple
        For each module the labels that it decides: turning it off loses at least half of their accuracy or R2,
        certainly.
    inputs : dict of tuple of str, or None
        For each module the inputs that it uses; None where it uses all.
    examples : DataFrame
        For each module the rows where it adds most to its label: ``module``, ``row``, ``label``, ``score``. Its labels
        are those it decides, or else the one that loses most.
    specialisation : Specialisation
        How concentrated each label's loss is on one module, beside chance.
    """

    metric: str
    whole: pd.Series
    on: pd.DataFrame
    off: pd.DataFrame
    lost: pd.DataFrame
    lost_low: pd.DataFrame
    lost_high: pd.DataFrame
    decides: dict[str, tuple[Any, ...]]
    inputs: dict[str, tuple[str, ...] | None]
    examples: pd.DataFrame
    specialisation: Specialisation

    def text(self) -> str:
        """Each module in a few lines, then whether they are specialised."""
        return "\n".join([*(self.module_text(name) for name in self.on.index), self.specialisation.says])

    def module_text(self, module: str) -> str:
        """One module in words."""
        used, decided, lost = self.inputs[module], self.decides[module], self.lost.loc[module].to_numpy(float)
        reads = "all inputs" if used is None else _read(used)
        what = _listed([self._named(label) for label in decided], SHOWN_LABELS) if decided else "nothing by itself"
        head = f"{module} uses {reads} and decides {what}"
        if not (lost > 0).any():
            return f"{head}; without it nothing is lost"
        worst = int(np.nanargmax(lost))
        rows = (self.whole, self.off.loc[module], self.on.loc[module])
        whole, off, on = (self._said(float(row.to_numpy()[worst])) for row in rows)
        return f"{head}; {self._named(self.whole.index[worst])} has {whole}, without it {off}, with it alone {on}"

    def _named(self, label: Any) -> str:
        return f"class {label}" if self.metric == "accuracy" else str(label)

    def _said(self, value: float) -> str:
        return f"{value:.1%} correct" if self.metric == "accuracy" else f"R2 {value:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types."""
        return dict(
            as_json(
                {
                    "metric": self.metric,
                    "modules": list(self.on.index),
                    "labels": [str(label) for label in self.on.columns],
                    "whole": self.whole.tolist(),
                    **{name: getattr(self, name).to_numpy().tolist() for name in TABLES},
                    "decides": {name: [str(label) for label in labels] for name, labels in self.decides.items()},
                    "inputs": {name: None if inputs is None else list(inputs) for name, inputs in self.inputs.items()},
                    "examples": [
                        {"module": m, "row": int(row), "label": str(label), "score": float(score)}
                        for m, row, label, score in self.examples.itertuples(index=False)
                    ],
                    "specialisation": self.specialisation.to_dict(),
                }
            )
        )


def _read(names: Sequence[str]) -> str:
    """The inputs by name, or how many they are."""
    if len(names) > SHOWN_INPUTS:
        return f"{len(names)} inputs"
    return ", ".join(names) or "no input"


def _listed(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def interpret(
    split_network: Any,
    X: Rows,
    y: Any,
    *,
    classes: Sequence[Any] | None = None,
    names: Sequence[str] | None = None,
    n_examples: int = 5,
    n_random: int = 200,
    random_state: RandomState = 0,
) -> Interpretation:
    """What each module of a split network is for: accuracy by label with it alone and without it, inputs, examples.

    Parameters
    ----------
    split_network : SplitNetwork or ModularTraining
        What `split` gives, or `train_modular`, which is then split.
    X, y : rows and what is true of them
        Rows that nothing was trained on. Labels, or numbers ``(n, k)``: then R2 stands in accuracy's place.
    classes : sequence, optional
        The labels in the order of the outputs.
    names : sequence of str, optional
        Names of the inputs, for an array.
    n_examples : int
        So many rows a module that show it.
    n_random : int
        From so many random partitions the chance level of specialisation is measured; 0 leaves it out.
    random_state : int, Generator or None
        The same seed gives the same answer.

    Raises
    ------
    InputError
        Where the rows or labels do not fit, or no units belong to modules.
    TeacherError
        Where the network raises, is random, or answers with NaN.

    Source
    ------
    Golechha2024.

    Cost
    ----
    `n_random` passes a module over at most 1,000 rows.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> with torch.no_grad():
    ...     _ = net[0].weight.copy_(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]))
    ...     _ = net[2].weight.copy_(torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1]]))
    ...     _ = net[0].bias.zero_(), net[2].bias.zero_()
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> clusters = limbeck.modularity.cluster_layers(net, ["0", "2"], k=2)
    >>> parts = limbeck.modularity.split(net, clusters)
    >>> found = limbeck.modularity.interpret(parts, X, np.abs(X), n_random=20)
    >>> sorted(found.inputs.values()), round(found.specialisation.score, 3)
    ([('x0',), ('x1',)], 1.0)
    """
    network = read_split(split_network)
    _refuse_counts(n_examples, n_random)
    rows = read_rows(X, names, network)
    found = answers_of(network, rows.values)
    truth, labels = read_truth_of(y, len(rows), found.whole.shape[1], classes)
    modules = module_names(len(network.parts))
    seed, chance_seed = draw_seeds(random_state, 2)
    outputs = labels or output_names_of(y, None, found.whole.shape[1])
    tables = on_off_tables(found, truth, labels is not None, modules, outputs, seed)
    decides = _decided(tables)
    score = specialisation(
        network, rows.values, truth, None if labels is None else len(labels), n_random=n_random, seed=chance_seed
    )
    return Interpretation(
        "r2" if labels is None else "accuracy",
        **tables,
        decides=decides,
        inputs={name: _inputs_of(part, rows, seed) for name, part in zip(modules, network.parts, strict=True)},
        examples=_examples(found, tables["lost"], decides, labels is not None, n_examples),
        specialisation=score,
    )


def _refuse_counts(n_examples: Any, n_random: Any) -> None:
    for name, value in (("n_examples", n_examples), ("n_random", n_random)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 0:
            raise InputError(f"{name} must be a whole number of at least 0; got {value!r:.60}")


def _decided(tables: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The labels of which each module certainly loses at least half."""
    whole, low = tables["whole"].to_numpy(), tables["lost_low"].to_numpy()
    enough = (low >= DECISIVE * np.maximum(whole, 0.0)) & (whole > 0)
    labels = list(tables["whole"].index)
    return {
        name: tuple(label for label, yes in zip(labels, row, strict=True) if yes)
        for name, row in zip(tables["lost"].index, enough, strict=True)
    }


def _inputs_of(part: Any, rows: RowsOfNetwork, seed: int) -> tuple[str, ...] | None:
    """The names of the inputs that a module uses; None where it uses all."""
    used = used_inputs(part, rows.values, seed=seed).positions
    return None if len(used) == len(rows.names) else tuple(rows.names[j] for j in used)


def _examples(found: Answers, lost: Any, decides: dict[str, tuple[Any, ...]], classes: bool, n_examples: int) -> Any:
    """The rows where each module adds most to its labels."""
    import pandas as pd

    added = found.contributions
    if classes:
        added = np.stack([with_two(one) for one in added])
        added = added - added.mean(axis=2, keepdims=True)
    labels = list(lost.columns)
    out = []
    for one, module in zip(added, lost.index, strict=True):
        gone = np.nan_to_num(lost.loc[module].to_numpy(float), nan=-np.inf)
        own = decides[module] or (labels[int(gone.argmax())],)
        places = np.array([labels.index(label) for label in own])
        best = one[:, places].argmax(axis=1)
        score = one[np.arange(len(one)), places[best]]
        for row in np.argsort(-score, kind="stable")[:n_examples]:
            out.append((module, int(row), own[int(best[row])], float(score[row])))
    return pd.DataFrame(out, columns=["module", "row", "label", "score"])
