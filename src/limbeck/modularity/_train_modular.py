"""Training a network that comes apart: a plain phase, clusters of its units, phases that draw and hold them apart.

Source
------
Golechha2024: 5 plain epochs, clusters (k = 4), then 15 epochs of the task loss plus 20 times the enmeshment loss.

Symbols
-------
lambda -> strength; C -> clusterability; the loss is task + strength * (1 - C), which has the slopes of task - lambda C.

Departures
----------
- The labels of a chain of layers are consistent: the units between two layers have one label, not one for each.
- The optimiser's state is kept from the plain phase to the next one.
- `split_epochs` (own; 0 is the paper) train on with the weights between clusters held at exactly 0, so that the network
  wins back what the split costs. From there on there is no penalty: nothing is left between the clusters.
- Where validation rows are given, the weights of the epoch with the least validation loss plus penalty are kept; epochs
  of the plain phase are not chosen from, since the clusters come after it; each later phase keeps its own best.

Checked
-------
tests/unit/test_train_modular.py: same seed, same numbers; nothing left behind; a stop keeps what is done.
tests/truth/test_modularity_truth.py: independent parts are found. benchmarks/modularity.py: the paper's recipe.

Cost
----
A step is a plain step and one pass over the clustered weights: see `add_enmeshment_gradient`.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, Literal

import pandas as pd
import torch

from limbeck._core.errors import InputError
from limbeck._core.module_kept import random_state_kept
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck.modularity._batches import as_batches, seeded
from limbeck.modularity._clusters import Clusters, check_affinity, cluster_layers
from limbeck.modularity._fit_loop import Epoch, Fit, Loss, Slopes, default_loss, weights_of
from limbeck.modularity._parts import cut, hold
from limbeck.training._enmeshment import add_enmeshment_gradient, enmeshment_loss

__all__ = ["ModularTraining", "train_modular"]

Optimiser = torch.optim.Optimizer | Callable[[Iterable[torch.nn.Parameter]], torch.optim.Optimizer]
PROBE = 32
"""Rows of the first batch that are kept, to check by them what is made of the network later."""


@dataclass(frozen=True)
class ModularTraining:
    """A network trained to come apart.

    Attributes
    ----------
    model : torch.nn.Module
        The model that was given, trained in place.
    clusters : dict of Clusters
        For each clustered layer the labels of its rows and columns.
    history : DataFrame
        A line an epoch: ``phase`` (plain, modular or split), the mean task ``loss``, ``enmeshment`` (1 - C) and
        ``validation`` (the task loss) at its end, ``seconds``.
    complete : bool
        False where it was stopped with Ctrl-C.
    seconds : float
        How long it took.
    probe : tensor
        Some rows of the first batch: `split` checks by them.
    """

    model: torch.nn.Module
    clusters: dict[str, Clusters]
    history: pd.DataFrame
    complete: bool
    seconds: float
    probe: torch.Tensor | None = field(default=None, repr=False)


def train_modular(
    model: torch.nn.Module,
    loader: Any,
    *,
    layers: Sequence[str] | None = None,
    k: int | None = 4,
    strength: float = 20.0,
    warmup_epochs: int = 5,
    epochs: int = 15,
    split_epochs: int = 0,
    affinity: Literal["weights", "gradients"] = "weights",
    loss: Loss | None = None,
    optimizer: Optimiser | None = None,
    lr: float = 1e-3,
    validation: Any = None,
    patience: int | None = None,
    device: str | torch.device | None = None,
    random_state: RandomState = None,
    progress: Progress = False,
) -> ModularTraining:
    """Train a network in place so that its layers come apart into `k` clusters, each of which works alone.

    Parameters
    ----------
    model : torch.nn.Module
        The network: linear or convolution layers, also within a transformer. With fresh or trained weights.
    loader : DataLoader or pair (X, y)
        Rows and targets; arrays are dealt out in batches of 64, in a new order each epoch.
    layers : list of names, optional
        The layers to cluster, as `cluster_layers` takes them: where absent, the linear layers between hidden units.
    k : int, optional
        How many clusters; chosen by the weights where None.
    strength : float
        How much the enmeshment counts beside the task loss.
    warmup_epochs, epochs : int
        Plain epochs before the clusters are found, and epochs with the penalty. 0 plain epochs for a trained network.
    split_epochs : int
        Epochs after these in which the weights between clusters are held at exactly 0. The network is then split.
    affinity : {"weights", "gradients"}
        By what the units are clustered; gradients are taken on the rows of `loader`: see `cluster_layers`.
    loss : callable, optional
        From outputs and targets to a scalar; where absent, cross entropy for whole numbers, else the squared error.
    optimizer : callable or torch.optim.Optimizer, optional
        From parameters to an optimiser, or one that has the model's parameters; where absent, Adam with `lr`.
    lr : float
        The learning rate of that Adam.
    validation : DataLoader or pair (X, y), optional
        Rows by which the best of the epochs with the penalty is chosen; its weights are what stays.
    patience : int, optional
        Stop after so many epochs without a better one; needs `validation`.
    device : optional
        Where to train: a GPU where there is one. The model is moved back.
    random_state : int, Generator or None
        The same seed gives the same weights on the same machine. Fresh weights are the caller's: seed them before.
    progress : bool or callable
        Show epochs, and about how long all of them take.

    Returns
    -------
    ModularTraining
        Ctrl-C ends it early: the weights as far as they are trained, the clusters, and `complete` False.

    Raises
    ------
    InputError
        For rows, layers or numbers that can't be used.
    TeacherError
        Where the model raises or a loss is not finite; the model has the weights that it had before.

    Source
    ------
    Golechha2024.

    Cost
    ----
    ``warmup_epochs + epochs + split_epochs`` passes of training; the penalty adds little to a step.

    Examples
    --------
    >>> X = torch.randn(256, 4, generator=torch.Generator().manual_seed(0))
    >>> y = torch.stack([X[:, 0] * X[:, 1], X[:, 2] * X[:, 3]], dim=1)
    >>> _ = torch.manual_seed(0)
    >>> widths = (torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 16), torch.nn.ReLU())
    >>> net = torch.nn.Sequential(*widths, torch.nn.Linear(16, 2))
    >>> found = train_modular(net, (X, y), k=2, warmup_epochs=2, epochs=20, lr=0.01, random_state=0)
    >>> bool(found.history["enmeshment"].iloc[-1] < 0.02)
    True
    """
    started = time.perf_counter()
    numbers = {"warmup_epochs": warmup_epochs, "epochs": epochs, "split_epochs": split_epochs}
    _check(k, strength, numbers, lr, validation, patience)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"model must be a torch.nn.Module; got {type(model).__name__}")
    order_seed, cluster_seed = draw_seeds(random_state, 2)

    def clusters() -> dict[str, Clusters]:
        return cluster_layers(model, layers, k, affinity=affinity, data=loader, random_state=cluster_seed)

    check_affinity(affinity)
    first = cluster_layers(model, layers, k)  # layers that can't be clustered are said before the work, not after it
    if split_epochs:
        cut(copy.deepcopy(model), first)
    with reporting(progress) as report, random_state_kept(), seeded(loader, order_seed), _as_before(model, device):
        batches = as_batches(loader, model, "loader")
        held = None if validation is None else as_batches(validation, model, "validation", size=512, shuffle=False)
        optimiser = _optimiser(model, optimizer, lr)
        fit = Fit(model, batches, loss or default_loss, optimiser, held, report, sum(numbers.values()))
        found, complete = _phases(fit, clusters, tuple(numbers.values()), strength, patience)
        optimiser.zero_grad(set_to_none=True)
        probe = _probe(batches)
    return ModularTraining(model, found, _table(fit.epochs), complete, time.perf_counter() - started, probe)


def _phases(
    fit: Fit, cluster: Callable[[], dict[str, Clusters]], n: tuple[int, ...], strength: float, patience: int | None
) -> tuple[dict[str, Clusters], bool]:
    """The clusters, and whether nobody stopped it."""
    found: dict[str, Clusters] | None = None
    try:
        fit.run(n[0], "plain", keep_best=False)
        found = cluster()
        sizes = ", ".join(
            f"{name}: {'/'.join(str((c.rows == i).sum()) for i in range(c.k))}" for name, c in found.items()
        )
        fit.report(f"clusters of units ({sizes})", 0, 0)
        fit.run(
            n[1],
            "modular",
            lambda model: enmeshment_loss(model, found),
            strength,
            slopes=_slopes(fit.model, found),
            patience=patience,
        )
        if n[2]:
            train_split(fit, found, n[2], patience)
        complete = True
    except KeyboardInterrupt:
        complete = False
        fit.report(f"stopped after {len(fit.epochs)} epochs; what is done is kept", 0, 0)
    fit.report(fit.doing, fit.total, fit.total)
    return (cluster() if found is None else found), complete


def train_split(fit: Fit, clusters: Mapping[str, Clusters], epochs: int, patience: int | None = None) -> None:
    """Train on with the weights between clusters held at exactly 0."""

    def held() -> None:
        for name, own in kept.items():
            hold(fit.model.get_submodule(name), own)

    kept = cut(fit.model, clusters)
    fit.after_step = held
    fit.run(epochs, "split", lambda model: enmeshment_loss(model, clusters), patience=patience)
    fit.after_step = None


def _slopes(model: torch.nn.Module, clusters: dict[str, Clusters]) -> Slopes | None:
    """The penalty's gradient without a graph, where the weights themselves are what is learned."""
    if not all(model.get_submodule(name).weight.is_leaf for name in clusters):  # type: ignore[union-attr]
        return None
    return lambda part, strength: add_enmeshment_gradient(part, clusters, strength)


def _optimiser(model: torch.nn.Module, given: Optimiser | None, lr: float) -> torch.optim.Optimizer:
    """The optimiser of the parameters that are to be trained."""
    learned = [p for p in model.parameters() if p.requires_grad]
    if not learned:
        raise InputError("the model must have weights to be trained; none of them has requires_grad")
    if given is None:
        return torch.optim.Adam(learned, lr, fused=all(p.is_floating_point() for p in learned))
    found = given if isinstance(given, torch.optim.Optimizer) else given(learned)
    if not isinstance(found, torch.optim.Optimizer):
        raise InputError(f"optimizer must give a torch.optim.Optimizer; got {type(found).__name__}")
    own = {id(p) for p in learned}
    if not any(id(p) in own for group in found.param_groups for p in group["params"]):
        raise InputError("optimizer must have the model's parameters; it has none of them")
    return found


@contextmanager
def _as_before(model: torch.nn.Module, device: str | torch.device | None) -> Iterator[None]:
    """The model on the device; then back where it was, in its mode. On an error it has the weights of before."""
    first = next((p for p in model.parameters()), None)
    home = first.device if first is not None else torch.device("cpu")
    try:
        away = torch.device(device or ("cuda" if torch.cuda.is_available() else home))
        flags, before = [(part, part.training) for part in model.modules()], weights_of(model)
        model.to(away)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device must be one that is there; {device!r} can't be used: {str(error)[:200]}") from error
    try:
        yield
    except BaseException:
        model.load_state_dict(before)
        raise
    finally:
        model.to(home)
        for part, flag in flags:
            part.training = flag


def _probe(batches: Any) -> torch.Tensor | None:
    """Some rows, on the CPU."""
    rows = next((x for x, _ in batches), None)
    return None if rows is None else rows[:PROBE].detach().cpu()


def _table(epochs: Sequence[Epoch]) -> pd.DataFrame:
    names = ("phase", "loss", "enmeshment", "validation", "seconds")
    rows = [(e.phase, e.loss, e.penalty, e.validation, e.seconds) for e in epochs]
    return pd.DataFrame(rows, columns=list(names), index=pd.RangeIndex(1, len(rows) + 1, name="epoch"))


def _check(k: Any, strength: Any, numbers: dict[str, Any], lr: Any, validation: Any, patience: Any) -> None:
    for name, value in {**numbers, "k": 2 if k is None else k}.items():
        least = {"epochs": 1, "k": 2}.get(name, 0)
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} must be a whole number >= {least}; got {value!r:.60}")
    for name, number in (("strength", strength), ("lr", lr)):
        fits = isinstance(number, int | float) and math.isfinite(number) and number >= 0 and (name != "lr" or number)
        if not fits:
            raise InputError(f"{name} must be a finite number {'> 0' if name == 'lr' else '>= 0'}; got {number!r:.60}")
    if patience is not None and (not isinstance(patience, Integral) or patience < 1):
        raise InputError(f"patience must be a whole number >= 1 or None; got {patience!r:.60}")
    if patience is not None and validation is None:
        raise InputError("patience needs validation: rows on which to see that it gets no better. Give (X, y).")
