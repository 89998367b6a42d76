"""Does a network come apart into modules, which are they, what does each decide, and what does splitting cost?

Source
------
Golechha2024 (clusters, clusterability, training for it, circuits of labels, modules turned on and off).

Departures
----------
- The network with the weights between modules at 0 is what is judged, on rows that nothing else has seen.
- Circuits are pruned on rows that were kept for it, not on those by which the network is judged.

Cost
----
Clusters and their chance level: 40 clusterings a layer. Training: `warmup_epochs`, `epochs` and
`split_epochs` passes over the rows.
Circuits: some forward passes a label; see `limbeck.modularity.circuits`. The estimate is reported first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck import _modules_stages as stages
from limbeck._core.errors import InputError, LimbeckError
from limbeck._core.progress import Progress, reporting
from limbeck._core.seeds import RandomState, draw_seeds
from limbeck._modules_case import prepare_case
from limbeck._modules_stages import Work

if TYPE_CHECKING:
    from limbeck._modules_result import ModulesResult

__all__ = ["modules"]


def modules(
    model: Any,
    X: Any,
    y: Any,
    *,
    layers: Sequence[str] | None = None,
    k: int | None = None,
    train: bool = False,
    strength: float = 20.0,
    warmup_epochs: int = 0,
    epochs: int = 15,
    split_epochs: int = 5,
    distill: bool = False,
    circuits: bool = True,
    names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    holdout: float = 0.25,
    data_name: str = "rows",
    random_state: RandomState = None,
    progress: Progress = False,
) -> ModulesResult:
    """The modules of a network, what each decides, what splitting it costs, and a verdict that can fail.

    Parameters
    ----------
    model : torch.nn.Module
        It takes one tensor of rows and gives raw outputs ``(n, c)``; it is left as it was.
    X : rows
        A table, or an array of the shape that the network takes.
    y : array, or the name of a column of `X`
        What is true: labels where the network has an output a class, else numbers.
    layers : sequence of str, optional
        The layers whose units are clustered; where absent, the linear layers between hidden units.
    k : int, optional
        How many modules; where absent, chosen by the weights.
    train : bool
        Train a copy of the network, from where it stands, so that it comes apart. Else it is looked at as it is.
    strength : float
        With `train`: how much being apart counts beside the task.
    warmup_epochs, epochs : int
        With `train`: passes over the rows before the clusters are found, and after.
    split_epochs : int
        With `train`: passes after these in which the weights between modules are held at 0, so that
        splitting costs less.
    distill : bool
        Give each module a formula, tree or rules of its own.
    circuits : bool
        Find which weights each label needs.
    names, classes : sequence, optional
        The columns' names, and the labels in the order of the outputs.
    holdout : float
        The share of the rows by which the split network is judged.
    data_name : str
        What the data is called in the report.
    random_state : int, Generator or None
    progress : bool or callable
        Show what is done, and about how long it takes. Ctrl-C ends it early, and what is done is kept.

    Raises
    ------
    InputError
        For rows that are not numbers, a `y` that does not fit the outputs, layers that are not there.
    TeacherError
        Where the network raises, is random, or answers with NaN.

    Examples
    --------
    >>> import numpy as np, torch, limbeck
    >>> rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    >>> apart = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> first, second = (torch.kron(torch.eye(2), torch.ones(size)) for size in ((4, 2), (1, 4)))
    >>> for layer, weight in ((apart[0], first), (apart[2], second)):
    ...     _ = layer.weight.data.copy_(weight), layer.bias.data.zero_()
    >>> truth = apart(torch.from_numpy(rows)).detach().numpy()
    >>> found = limbeck.modules(apart, rows, truth, layers=["0", "2"], k=2, circuits=False, random_state=0)
    >>> [layer["after"]["clusterability"] for layer in found.document["layers"]]
    [1.0, 1.0]
    """
    started = time.monotonic()
    _refuse(k, train, circuits, distill)
    seed = random_state if isinstance(random_state, int) else draw_seeds(random_state, 1)[0]
    asked = {
        "trained": train,
        "strength": float(strength) if train else None,
        "warmup_epochs": warmup_epochs if train else None,
        "epochs": epochs if train else None,
        "split_epochs": split_epochs if train else None,
    }
    with reporting(progress) as report:
        parts = ("split", "clusters", "training", "judging", "interpretation", "circuits", "distilling")
        seeds = dict(zip(parts, draw_seeds(seed, len(parts)), strict=True))
        case = prepare_case(model, X, y, names, classes, holdout, seeds["split"])
        work = Work(case, seeds, report, data_name, asked, int(seed), started)
        return _found(work, layers, k, circuits=circuits, distill=distill)


def _refuse(k: Any, train: Any, circuits: Any, distill: Any) -> None:
    for name, value in (("train", train), ("circuits", circuits), ("distill", distill)):
        if not isinstance(value, bool):
            raise InputError(f"{name} must be True or False; got {value!r:.60}")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 2):
        raise InputError(f"k must be a whole number of at least 2, or None to choose it; got {k!r:.60}")


def _found(work: Work, layers: Any, k: int | None, *, circuits: bool, distill: bool) -> ModulesResult:
    """One stage after the other; after Ctrl-C, what was done by then."""
    stages.look(work, layers, k)
    stages.say_cost(work, circuits=circuits)
    stages.train_and_split(work)
    try:
        stages.judge(work)
    except KeyboardInterrupt:
        work.complete = False
        work.notes.append("interrupted while it was judged")
        stages.judge(work, stages.FEWER)
    wanted: list[tuple[str, Callable[[Work], None]]] = [("what each module decides", stages.interpret)]
    wanted += [("circuits", stages.circuits)] if circuits else []
    wanted += [("distilling", stages.distill)] if distill else []
    for name, stage in wanted if work.complete else ():
        try:
            work.report(name, 0, 1)
            stage(work)
            work.report(name, 1, 1)
        except KeyboardInterrupt:
            work.complete = False
            work.notes.append(f"interrupted: {name}, and what comes after it, is not in the result")
            break
        except LimbeckError as error:
            work.notes.append(f"{name}: not found, since {error}")
    return stages.result(work)
