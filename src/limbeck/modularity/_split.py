"""A network taken apart: off-block weights are exactly 0, and each module is a network of its own.

Source
------
Golechha2024: the clusters; that a penalised network works without the weights between them is measured, not assumed.

Departures
----------
Clusterability is free of scale: it can be near 1 while small weights still carry something. Here they are exactly 0,
and `SplitNetwork.compare` says what that costs.

Checked
-------
tests/unit/test_split.py; tests/truth/test_modularity_truth.py: with shuffled labels the split network is lost.

Cost
----
A copy of the network for the whole and for each module, and some passes over the probe rows.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from limbeck._core.errors import InputError, TeacherError
from limbeck._core.module_outputs import outputs_as_it_is
from limbeck.checks._measures import bootstrap, determination, share_interval
from limbeck.modularity._batches import as_batches
from limbeck.modularity._clusters import Clusters, cluster_layers
from limbeck.modularity._parts import (
    WEIGHTED,
    alone,
    answers,
    cut,
    last_bias,
    order_of_layers,
    same,
    smaller,
)
from limbeck.modularity._train_modular import PROBE, ModularTraining

if TYPE_CHECKING:
    from typing import Self

__all__ = ["SplitNetwork", "score_with_interval", "split"]


class SplitNetwork(nn.Module):
    """A network whose off-block weights are exactly 0. Its `state_dict` is that of the network as a whole.

    Attributes
    ----------
    network : torch.nn.Module
        The network without the weights between modules; calling the split network calls it.
    parts : tuple of torch.nn.Module
        Each module as a network of its own, from rows to outputs.
    bias : tensor ``(outputs,)``
        What is added to the sum of the parts' outputs.
    additive : bool or None
        True where parts and bias add up to the split network on the probe rows; None where there were none.
    clusters : dict of Clusters
        The labels by which it was split.
    original : torch.nn.Module
        A copy of the model as it was.
    notes : tuple of str
        What a person has to know of the parts.
    """

    def __init__(self, network: nn.Module, original: nn.Module, clusters: Mapping[str, Clusters]) -> None:
        super().__init__()
        self.network = network
        self.clusters = dict(clusters)
        self.notes: tuple[str, ...] = ()
        self.additive: bool | None = None
        self.bias = torch.zeros(0)
        # In a tuple, so that torch doesn't count them as submodules: the state is the network's, once.
        self._beside: tuple[nn.Module, ...] = (original,)

    @property
    def original(self) -> nn.Module:
        """A copy of the model as it was."""
        return self._beside[0]

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        """Each module as a network of its own, by its label."""
        return self._beside[1:]

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the network answers without the weights between modules."""
        return self.network(*inputs, **named)

    def compare(self, X: Any, y: Any, *, random_state: int = 0) -> pd.DataFrame:
        """How good the original and the split network are on rows, with intervals of 95 %.

        Parameters
        ----------
        X, y : arrays or tensors
            Rows and targets: labels (whole numbers) give the accuracy, other numbers R2 (of the worst output).
        random_state : int
            Of the bootstrap of R2.

        Returns
        -------
        DataFrame
            Rows ``original`` and ``split``; columns ``metric``, ``value``, ``low``, ``high``.
        """
        batches = as_batches((X, y), self.network, "(X, y)", size=512, shuffle=False)
        found = {}
        for name, model in (("original", self.original), ("split", self.network)):
            outputs = torch.cat([outputs_as_it_is(model, x).cpu() for x, _ in batches])
            found[name] = score_with_interval(outputs.double().numpy(), batches.y.cpu().numpy(), random_state)
        return pd.DataFrame.from_dict(found, orient="index", columns=["metric", "value", "low", "high"])

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        for module in self._beside:
            module._apply(fn, recurse)
        self.bias = fn(self.bias)
        return self


def split(
    model: nn.Module | ModularTraining,
    clusters: Mapping[str, Clusters] | None = None,
    *,
    check_rows: Any = None,
) -> SplitNetwork:
    """The network with the weights between modules at exactly 0, and each module as a network of its own.

    Parameters
    ----------
    model : torch.nn.Module or ModularTraining
        The network, which is not changed, or what `train_modular` gave.
    clusters : dict of Clusters, optional
        The labels of each clustered layer, by its name; where absent, those of the training, or `cluster_layers`.
    check_rows : array or tensor, optional
        Some rows (32 are used) by which it is checked that the parts add up, and which parts can be made smaller. Where
        absent, rows of the training; for a network that begins with a linear layer, rows drawn at random.

    Returns
    -------
    SplitNetwork
        With ``.parts``, ``.bias``, ``.original`` and ``.compare(X, y)``.

    Raises
    ------
    InputError
        For clusters that don't fit the layers, and layers whose weights are made anew at each call.
    TeacherError
        Where the network raises on `check_rows`.

    Source
    ------
    Golechha2024, and own: see `limbeck.modularity`.

    Cost
    ----
    A copy of the network for each module, and some passes over `check_rows`.

    Examples
    --------
    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    >>> labels = Clusters([0, 1] * 4, [0, 0, 1, 1], k=2)
    >>> apart = split(net, {"0": labels})
    >>> X = torch.randn(5, 4)
    >>> whole = apart.parts[0](X) + apart.parts[1](X) + apart.bias
    >>> bool(torch.allclose(whole, apart(X), atol=1e-6)), apart.parts[0]
    (True, Sequential(
      (0): Linear(in_features=4, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=1, bias=True)
    ))
    """
    own, probe = (model.model, model.probe) if isinstance(model, ModularTraining) else (model, None)
    if not isinstance(own, nn.Module):
        raise InputError(f"model must be a torch.nn.Module or a ModularTraining; got {type(own).__name__}")
    if clusters is None:
        clusters = model.clusters if isinstance(model, ModularTraining) else cluster_layers(own)
    _check(own, clusters)
    network = copy.deepcopy(own)
    cut(network, clusters)
    made = SplitNetwork(network, copy.deepcopy(own), clusters)
    rows = _probe_rows(own, probe if check_rows is None else check_rows)
    _take_apart(made, rows)
    made.train(own.training)
    return made


def _take_apart(made: SplitNetwork, rows: torch.Tensor | None) -> None:
    """Give the split network its parts, its bias, and notes."""
    labels = range(max(found.k for found in made.clusters.values()))
    network, clusters = made.network, made.clusters
    if rows is None:
        made._beside += tuple(alone(network, clusters, label, None) for label in labels)
        made.notes = ("the parts were not checked and are of full size: give check_rows",)
        return
    order = order_of_layers(network, rows)
    parts = [alone(network, clusters, label, order) for label in labels]
    whole = answers(network, rows)
    rest = whole - sum(answers(part, rows) for part in parts)
    size = max(float(whole.abs().max()), 1e-30)
    known = last_bias(network, clusters, order)
    tried = [torch.zeros_like(rest[0]), *([] if known is None else [known]), rest.mean(dim=0)]
    tried = tried if len(rest) > 1 else tried[:-1]  # of one row anything is the rest
    found = next((one for one in tried if same(one.expand_as(rest), rest, size)), None)
    made.additive = found is not None
    bias = torch.zeros_like(rest[0]) if found is None else found
    if not made.additive:
        parts = [alone(network, clusters, label, None) for label in labels]
        made.notes += (
            "the parts' outputs don't add up to the split network's: what comes after the clustered layers is not "
            "linear, or units have ways around them; a part is the network with its module alone, the rest as it is",
        )
    made.bias = bias
    fitted = [smaller(part, order, rows) for part in parts]
    made._beside += tuple(part for part, _ in fitted)
    whole_size = [label for label, (_, cut) in zip(labels, fitted, strict=True) if not cut]
    if whole_size:
        made.notes += (f"of full size, with zeros: {', '.join(f'module {label + 1}' for label in whole_size)}",)


def _probe_rows(model: nn.Module, rows: Any) -> torch.Tensor | None:
    """A few rows in the model's type and on its device; drawn where the first layer says their width."""
    like = next((t for t in model.parameters() if t.is_floating_point()), None)
    if like is None:
        raise InputError(f"the model must have weights; {type(model).__name__} has none")
    if rows is None:
        first = next((layer for layer in model.modules() if isinstance(layer, WEIGHTED)), None)
        if not isinstance(first, nn.Linear):
            return None
        drawn = torch.randn(PROBE, first.in_features, generator=torch.Generator().manual_seed(0))
        try:
            answers(model, drawn.to(like))
        except TeacherError:
            return None
        return drawn.to(like)
    found = torch.as_tensor(rows)
    if found.ndim < 2 or not len(found) or (found.is_floating_point() and not bool(torch.isfinite(found).all())):
        raise InputError(f"check_rows must be finite rows (n, ...), n >= 1; got shape {tuple(found.shape)}")
    found = found[:PROBE].to(device=like.device)
    return found.to(like.dtype) if found.is_floating_point() else found


def _check(model: nn.Module, clusters: Any) -> None:
    if not isinstance(clusters, Mapping) or not clusters:
        raise InputError(f"clusters must be a dict from names of layers to Clusters; got {type(clusters).__name__}")
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, WEIGHTED)}
    for name, found in clusters.items():
        if name not in layers:
            raise InputError(
                f"clusters must name linear or convolution layers; {name!r} is none of {list(layers)[:20]}"
            )
        shape = tuple(layers[name].weight.shape[:2])
        if (len(found.rows), len(found.columns)) != shape:
            raise InputError(
                f"the clusters of layer {name!r} must have {shape[0]} rows and {shape[1]} columns, as its weight; they "
                f"have {len(found.rows)} and {len(found.columns)}"
            )


def score_with_interval(outputs: np.ndarray, y: np.ndarray, seed: int) -> tuple[str, float, float, float]:
    """The metric and its value with its interval."""
    if y.dtype.kind in "iub":
        guessed = outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0)
        hits = int((guessed == y.reshape(len(y))).sum())
        return "accuracy", hits / len(y), *share_interval(hits, len(y))
    y = y.reshape(len(y), -1)
    if y.shape != outputs.shape:
        raise InputError(f"y must have a column for each of {outputs.shape[1]} outputs; got {y.shape[1]}")
    statistic = determination(y, outputs)
    value = float(statistic(np.ones((1, len(y))))[0])
    return "r2", value, *bootstrap(statistic, len(y), seed)
