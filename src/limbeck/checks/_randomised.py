"""RC006: does the explanation change where the network's weights are shuffled?

Source
------
Adebayo2018 (sec. 3: model parameter randomisation test, cascading from the output back); Spearman1904.

Departures
----------
- Weights are shuffled within each tensor, not drawn anew, so that their sizes stay.
- Several shuffled copies, because all rows share one; the interval is over rows and copies.
- Both the effects and their sizes are held against each other, and the more alike of the two counts.
- Units at the baseline in a row are left out there: they have no effect in any network.
- Effects that differ from themselves when asked again fail: they do not depend on the network either.

Cost
----
``n_draws + 2`` calls of the attribution with u groups, and one for each layer of the cascade (at most 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from limbeck._core.module_kept import module_kept
from limbeck.checks._asking import copied
from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._attribution_measures import (
    MIN_ROWS,
    crossed_interval,
    guarded,
    rank_correlations,
    size_of,
    usable,
)
from limbeck.checks._finding import Finding, Status

__all__ = ["RandomisedNetwork"]


@dataclass(frozen=True)
class RandomisedNetwork:
    """RC006. Mean rank correlation of the effects, with all weights shuffled, to those of the network itself.

    Parameters
    ----------
    max_correlation : float
        The size of the correlation that it must stay below.
    min_repeat : float
        The correlation of the effects with themselves, asked twice.
    n_draws, n_stages : int
        How many shuffled copies; how many steps of the cascade are measured at most.
    """

    max_correlation: float = 0.5
    min_repeat: float = 0.8
    n_draws: int = 8
    n_stages: int = 12

    code: ClassVar[str] = "RC006"
    title: ClassVar[str] = "Changes with the network"

    def __call__(self, case: AttributionCase) -> Finding:
        """The finding for one attribution."""
        return guarded(self, self._judge, case)

    def _judge(self, case: AttributionCase) -> Finding:
        case.steady_answers()
        effects, present = case.measure(case.masks), case.present
        rows = usable(effects, present)
        layers = ordered_layers(case)
        if not rows.any() or not layers:
            what = (
                "no row has three units with different effects" if layers else "the network has no weights to shuffle"
            )
            return Finding(self.code, "not_applicable", None, None, self.max_correlation, what, self.title)
        repeat = float(rank_correlations(effects, case.measure(case.masks), present)[rows].mean())
        cascade, last = self._shuffled(case, layers)
        last = [other for other in last if np.isfinite(other).all()]
        if not last:
            words = "no shuffled network gave effects that are numbers"
            return Finding(self.code, "inconclusive", None, None, self.max_correlation, words, self.title)
        signed = np.array([rank_correlations(effects, other, present)[rows] for other in last])
        sizes = np.array([rank_correlations(np.abs(effects), np.abs(other), present)[rows] for other in last])
        kind, values = max((("effects", signed), ("sizes", sizes)), key=lambda pair: abs(pair[1].mean()))
        value, interval = float(abs(values.mean())), size_of(crossed_interval(values, case.seed))
        message = (
            f"with all weights shuffled, rank correlation {value:.2f} to before (of the {kind}), 95 % interval "
            f"{interval[0]:.2f} to {interval[1]:.2f}; asked again with the same weights {repeat:.2f}"
        )
        status = self._status(interval, repeat, int(rows.sum()))
        details = {
            "effects": float(signed.mean()),
            "sizes": float(sizes.mean()),
            "repeat": repeat,
            "cascade": [
                {
                    "layer": name,
                    "correlation": float(rank_correlations(effects, np.nan_to_num(c), present)[rows].mean()),
                }
                for name, c in cascade
            ],
            "rows": int(rows.sum()),
            "draws": len(last),
        }
        return Finding(self.code, status, value, interval, self.max_correlation, message, self.title, details)

    def _status(self, interval: tuple[float, float], repeat: float, rows: int) -> Status:
        if repeat < self.min_repeat or interval[0] >= self.max_correlation:
            return "fail"
        return "pass" if interval[1] < self.max_correlation and rows >= MIN_ROWS else "inconclusive"

    def _shuffled(
        self, case: AttributionCase, layers: list[tuple[str, list[str]]]
    ) -> tuple[list[tuple[str, np.ndarray]], list[np.ndarray]]:
        """The effects along the cascade of the first copy, and those of each wholly shuffled copy."""
        told = set(np.linspace(0, len(layers) - 1, min(self.n_stages, len(layers))).astype(int).tolist())
        cascade, last = [], []
        for draw in range(self.n_draws):
            model = copied(case.model)
            generator = np.random.default_rng([case.seed, draw])
            for stage, (name, parameters) in enumerate(layers):
                shuffle(model, parameters, generator)
                if draw == 0 and stage in told:
                    cascade.append((name, case.measure(case.masks, model=model, finite=False)))
            last.append(case.measure(case.masks, model=model, finite=False))
        return cascade, last


def ordered_layers(case: AttributionCase) -> list[tuple[str, list[str]]]:
    """The layers from the output back to the input, each with the names of its weights that a shuffle changes."""
    layers = {name: module for name, module in case.model.named_modules() if list(module.parameters(recurse=False))}
    seen: list[str] = []
    hooks = [module.register_forward_hook(lambda *_, name=name: seen.append(name)) for name, module in layers.items()]
    try:
        with module_kept(case.model):
            case.model(case.x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    place = {name: at for at, name in enumerate([*layers, *seen])}
    names = sorted(layers, key=lambda name: -place[name])
    taken: set[int] = set()
    found = []
    for name in names:
        mine = []
        for own, value in layers[name].named_parameters(recurse=False):
            if id(value) not in taken and value.is_floating_point() and bool((value != value.flatten()[0]).any()):
                mine.append(f"{name}.{own}" if name else own)
            taken.add(id(value))
        if mine:
            found.append((name or type(case.model).__name__, mine))
    return found


def shuffle(model: Any, parameters: list[str], generator: np.random.Generator) -> None:
    """Put the numbers of each named tensor in another order, in place."""
    import torch

    with torch.no_grad():
        for name in parameters:
            value = model.get_parameter(name)
            order = torch.as_tensor(generator.permutation(value.numel()), device=value.device)
            value.copy_(value.flatten()[order].reshape(value.shape))
