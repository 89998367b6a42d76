"""An effective circuit: which weights of a network one label needs.

Source
------
Golechha2024, effective circuit size. From the last layer back, weights are zeroed and stay zero unless the label's loss
rises; the size is the share of the weights that is left.

Departures
----------
- On rows that a person gives, validation rows; the public code takes test rows.
- In batches of weights, by rank (`_circuit_search`), not one weight after another.
- What the loss may not rise above is the lowest it has had so far (and `tolerance`), and below 6e-8 it does not count
  (`_circuit_aim`).
- Of a regression network: an output in place of a label, and its squared change in place of the cross entropy.
- With `contrast`, rows of other labels count. Without, as in the paper, nothing keeps a circuit from saying its label
  of every row, and most do: see `Circuits.table`.

Checked
-------
tests/unit/test_circuits.py, tests/truth/test_circuits_truth.py, benchmarks/modular_circuits.py.

Cost
----
Some 150 forward passes a layer over the label's rows, or what costs as much, from that layer on; up to some 600 with
`contrast`. One weight at a time takes as many as there are weights, so a layer of a few hundred gains nothing.
"""

from __future__ import annotations

import copy
import math
import numbers
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, Report, reporting

if TYPE_CHECKING:
    import torch

__all__ = ["Circuit", "effective_circuit"]

Task = Literal["classification", "regression"]
DEFAULT_TOLERANCE = {"classification": 0.0, "regression": 0.01}


@dataclass(frozen=True)
class Circuit:
    """The weights that one label needs.

    Attributes
    ----------
    label : int
        Or the output of a regression network.
    kept : dict of boolean arrays
        For each pruned layer, in the order in which they run, the shape of its weight; True where a weight is left.
    size : float
        The share of these layers' weights that is left.
    loss_before, loss_after : float
        Of the label on the rows, in nats; of an output, its squared change as a share of its variance.
    passes : int
        Forward passes over the rows that it took, or what costs as much.
    seconds : float
    """

    label: int
    kept: dict[str, np.ndarray]
    size: float
    loss_before: float
    loss_after: float
    passes: int
    seconds: float

    def alone(self, model: torch.nn.Module) -> torch.nn.Module:
        """A copy of the network in which the circuit is all that is left of its layers."""
        return _copy_with(model, self.kept)

    def cut_out(self, model: torch.nn.Module) -> torch.nn.Module:
        """A copy of the network without the circuit's weights, the others as they are."""
        return _copy_with(model, {name: ~kept for name, kept in self.kept.items()})


def effective_circuit(
    model: torch.nn.Module,
    data: Any,
    label: int,
    *,
    layers: Sequence[str] | None = None,
    tolerance: float | None = None,
    contrast: bool = False,
    task: Task | None = None,
    random_state: int = 0,
    progress: Progress = False,
) -> Circuit:
    """Which weights of a network one label needs: its effective circuit, whose size is the share of weights left.

    The network is left as it was: weights, modes, gradients, hooks and random states, also after an error or Ctrl-C.

    Parameters
    ----------
    model : torch.nn.Module
        Its outputs are scores of labels before any softmax, ``(n, k)``, or ``(n, 1)`` or ``(n,)`` for two labels; or
        numbers, of a regression network.
    data : pair (X, y) or DataLoader
        Validation rows: none that the network was trained on. y is ``(n,)`` whole numbers from 0 for labels; for a
        regression network it is not used.
    label : int
        Whose circuit; of a regression network, which output.
    layers : sequence of str, optional
        Names of Linear and Conv layers to prune; all that run, where absent. Biases and other parameters stay.
    tolerance : float, optional
        How far above the lowest loss so far the loss may be, in nats or shares of variance. Where absent 0, and 0.01
        for a regression network, whose loss starts at 0.
    contrast : bool
        Whether rows of other labels count as well, as much in all, by the cross entropy of "not this label". Without,
        a circuit may say its label of every row.
    task : {"classification", "regression"}, optional
        By the type of y where absent: whole numbers are labels.
    random_state : int
        Of the order of a DataLoader that shuffles; all else is fixed.
    progress : bool or callable
        Layers done.

    Raises
    ------
    InputError
        For a label that is not there or has no rows, for rows that are no finite numbers, for layers that are not
        there, are no Linear or Conv, or never run.
    TeacherError
        Where the network raises, is random, or answers with NaN or in another shape.

    Source
    ------
    Golechha2024.

    Departures
    ----------
    See the file's header.

    Cost
    ----
    See the file's header.

    Examples
    --------
    Label 0 is read from the first input, label 1 from the second; the other weights are not needed:

    >>> import torch
    >>> model = torch.nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[4.0, -1.0], [1.0, 4.0]]))
    >>> X, y = torch.tensor([[1.0, 0.1], [0.1, 1.0]]), torch.tensor([0, 1])
    >>> circuit = effective_circuit(torch.nn.Sequential(model), (X, y), 0)
    >>> circuit.kept["0"]
    array([[ True, False],
           [False, False]])
    >>> circuit.size, round(circuit.loss_before, 3), round(circuit.loss_after, 3)
    (0.25, 0.079, 0.018)
    """
    from limbeck.modularity._circuit_rows import read_circuit_rows

    rows = read_circuit_rows(model, data, task, layers, random_state)
    check_options(tolerance, contrast, rows.task)
    with reporting(progress) as report:
        return circuit_of(rows, label, tolerance, contrast, report)


def circuit_of(rows: Any, label: Any, tolerance: float | None, contrast: bool, report: Report) -> Circuit:
    """The circuit of one label, from rows that were read."""
    from limbeck.modularity._circuit_network import masked_network
    from limbeck.modularity._circuit_search import Allowance, prune_layer

    started, aim = time.perf_counter(), rows.aim(label, contrast=contrast)
    allowed = DEFAULT_TOLERANCE[rows.task] if tolerance is None else float(tolerance)
    what = f"circuit of {'label' if rows.task == 'classification' else 'output'} {int(label)}"
    with masked_network(rows.model, aim, rows.layers) as network:
        before = network.begin()
        allowance = Allowance(before.counted, before.counted, before.below, allowed)
        for done, name in enumerate(reversed(rows.layers)):
            report(what, done, len(rows.layers))
            prune_layer(network, name, allowance)
        report(what, len(rows.layers), len(rows.layers))
        after = network.losses(name, network.keep[name])
        kept = {name: network.keep[name].cpu().numpy() for name in rows.layers}
    size = sum(int(own.sum()) for own in kept.values()) / sum(own.size for own in kept.values())
    seconds = time.perf_counter() - started
    return Circuit(int(label), kept, size, before.loss, after.loss, network.passes, seconds)


def check_options(tolerance: Any, contrast: Any, task: str) -> None:
    """Refuse a tolerance that is no number >= 0, and a contrast that the task has not.

    Raises
    ------
    InputError
        As said.
    """
    number = isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool)
    if tolerance is not None and not (number and 0.0 <= float(tolerance) < math.inf):
        raise InputError(f"tolerance must be a number of at least 0, or None; got {tolerance!r:.60}")
    if not isinstance(contrast, bool):
        raise InputError(f"contrast must be True or False; got {contrast!r:.60}")
    if contrast and task == "regression":
        raise InputError("contrast=True is for labels; a regression network's outputs have no rows of others")


def _copy_with(model: torch.nn.Module, masks: dict[str, np.ndarray]) -> torch.nn.Module:
    import torch

    made = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in masks.items():
            weight = made.get_submodule(name).weight
            if not isinstance(weight, torch.Tensor) or tuple(weight.shape) != mask.shape:
                raise InputError(
                    f"layer {name!r} must have a weight of shape {mask.shape}, as the circuit's network has"
                )
            weight.masked_fill_(~torch.from_numpy(mask).to(weight.device), 0.0)
    return made
