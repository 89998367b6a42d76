"""A network some of whose weights are 0 for a moment: its losses, and what each weight of a layer is worth.

The weights that a person gave are never written to. While the network is asked, a layer's table of parameters is
replaced by one that holds masked copies, and layers whose answers can't change any more repeat them from memory; both
are attributes of the modules, which `module_kept` puts back, also after an error or Ctrl-C.

Symbols
-------
w, m, l: a weight, the score of a row (`_circuit_aim`), its loss. What zeroing w costs is, to second order along the
score, -w mean(l' dm/dw) + w^2 / 2 mean(l'' (dm/dw)^2).

Departures
----------
The second-order part adds up the squares of the places at which a weight acts (positions of a convolution, tokens), as
if these were independent. It is used to rank weights; what is zeroed is measured.

Cost
----
`losses`: a forward pass over the rows, from the layer at work on. `costs`: about four of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from limbeck._core.errors import InputError, TeacherError, did_you_mean
from limbeck._core.module_kept import module_kept, random_state_kept
from limbeck._core.module_outputs import module_outputs
from limbeck.modularity._circuit_aim import Aim, OutputAim, Room, finite_answers
from limbeck.modularity._parts import WEIGHTED, order_of_layers

__all__ = ["MaskedNetwork", "layers_that_run", "masked_network"]

REMEMBERED = 1 << 30
"""Bytes of answers of earlier layers that are kept at most."""
AGREE = 1e-4


class MaskedNetwork:
    """A network, what is asked of it, and which weights of its layers are left.

    Attributes
    ----------
    layers : tuple of str
        In the order in which they run.
    keep : dict of boolean tensors
        For each layer the shape of its weight, True where it is left.
    passes : int
        Forward passes over the rows so far; what `costs` does counts as four.
    """

    def __init__(self, model: torch.nn.Module, aim: Aim, layers: Sequence[str]) -> None:
        self.model, self.aim, self.layers, self.passes = model, aim, tuple(layers), 0
        modules = {name: model.get_submodule(name) for name in layers}
        self.weights = {name: layer._parameters["weight"].detach() for name, layer in modules.items()}  # type: ignore[union-attr]
        self.keep = {name: weight != 0 for name, weight in self.weights.items()}
        self._owners = {name: _owners(model, layer._parameters["weight"]) for name, layer in modules.items()}
        self._forwards = {name: layer.forward for name, layer in modules.items()}
        self._own = {name: layer.__dict__.get("forward") for name, layer in modules.items()}
        self._batch = 0
        self._remembered: dict[str, list[torch.Tensor]] = {}

    def begin(self) -> Room:
        """Ask twice - a network that is random answers otherwise -, remember the layers' answers, and measure."""
        seen: dict[str, list[torch.Tensor]] = {name: [] for name in self.layers}
        for name in self.layers:
            self._run(name, self._recording(name, lambda _, out, own=seen[name]: own.append(out)))  # type: ignore[misc]
        first = self._scores(checked=True)
        for name in self.layers:
            self._run(name, None)
        second = self._scores(checked=True)
        for a, b in zip(first, second, strict=True):
            if not torch.allclose(a, b, rtol=AGREE, atol=AGREE * float(a.abs().max())):
                raise TeacherError(
                    f"the network {type(self.model).__name__} answers the same rows differently when asked again, in "
                    "evaluation mode; a circuit needs fixed answers. Take the randomness out of forward()."
                )
        if isinstance(self.aim, OutputAim):
            self.aim.want(second)
        used = 0
        for name, outputs in seen.items():
            size = sum(out.numel() * out.element_size() for out in outputs)
            if len(outputs) == len(self.aim.batches) and used + size <= REMEMBERED:
                self._remembered[name], used = outputs, used + size
        return self.aim.room(second)

    def work_at(self, name: str) -> None:
        """From now on only this layer changes: those that run before it repeat their answers."""
        before = self.layers[: self.layers.index(name)]
        for other in self.layers:
            self._run(other, self._repeating(other) if other in before and other in self._remembered else None)
            self._put(other, self.weights[other] * self.keep[other])

    def losses(self, name: str, keep: torch.Tensor) -> Room:
        """The loss where this layer has these weights alone."""
        self._put(name, self.weights[name] * keep)
        return self.aim.room(self._scores())

    def costs(self, name: str) -> torch.Tensor:
        """What zeroing each weight ``(o, i, *kernel)`` of the layer costs in loss; infinite where unknown."""
        leaf = (self.weights[name] * self.keep[name]).requires_grad_()
        seen: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._run(name, self._recording(name, lambda x, out: seen.append((x, out))))
        slope, curve = torch.zeros_like(leaf), torch.zeros_like(leaf)
        for i in range(len(self.aim.batches)):
            seen.clear()
            self._put(name, leaf)
            with torch.enable_grad():
                score = self._score(i)
            if not score.requires_grad:  # nothing flows from this layer to the answers
                continue
            first, second = self.aim.slopes(i, score.detach())
            first, second = first * self.aim.shares[i], (second * self.aim.shares[i]).sqrt()
            try:
                (g,) = torch.autograd.grad(score, leaf, first, retain_graph=True, allow_unused=True)
                backs = torch.autograd.grad(score, [out for _, out in seen], second, allow_unused=True)
            except RuntimeError as error:
                raise TeacherError(
                    f"the network {type(self.model).__name__} must have slopes by the weight of layer {name!r}, which "
                    f"rank its weights; torch says: {str(error)[:200]}"
                ) from error
            slope += 0 if g is None else g
            for (x, _), back in zip(seen, backs, strict=True):
                curve += 0 if back is None else self._squares(name, x, back)
        self.passes += 3
        self._run(name, None)
        leaf = leaf.detach()
        cost = -leaf * slope + 0.5 * leaf * leaf * curve
        return torch.where(torch.isfinite(cost), cost, torch.inf)

    def _squares(self, name: str, x: torch.Tensor, back: torch.Tensor) -> torch.Tensor:
        """The sum over rows and places of the squared slope of each weight."""
        x, back = x.detach() ** 2, back**2
        layer = self.model.get_submodule(name)
        if isinstance(layer, torch.nn.Linear):
            return back.reshape(-1, back.shape[-1]).T @ x.reshape(-1, x.shape[-1])
        leaf = self.weights[name].clone().requires_grad_()
        self._put(name, leaf)
        with torch.enable_grad():
            out = self._forwards[name](x)
        return torch.autograd.grad(out, leaf, back)[0]

    def _scores(self, *, checked: bool = False) -> list[torch.Tensor]:
        with torch.no_grad():
            found = [self._score(i, checked=checked) for i in range(len(self.aim.batches))]
        self.passes += 1
        return found

    def _score(self, i: int, *, checked: bool = False) -> torch.Tensor:
        self._batch = i
        answers = module_outputs(self.model, self.aim.batches[i])
        return self.aim.score(i, finite_answers(answers, self.model) if checked else answers)

    def _recording(self, name: str, note: Callable[[torch.Tensor, torch.Tensor], Any]) -> Callable[..., torch.Tensor]:
        forward = self._forwards[name]

        def run(*args: Any, **kwargs: Any) -> torch.Tensor:
            x = (*args, *kwargs.values())[0].clone()  # what follows may write into the one that came, and into out
            out = forward(x)
            note(x, out)
            return out.clone()

        return run

    def _repeating(self, name: str) -> Callable[..., torch.Tensor]:
        return lambda *args, **kwargs: self._remembered[name][self._batch].clone()

    def _put(self, name: str, weight: torch.Tensor) -> None:
        for module, key in self._owners[name]:
            module.__dict__["_parameters"] = {**module._parameters, key: weight}

    def _run(self, name: str, forward: Callable[..., torch.Tensor] | None) -> None:
        """The layer runs this; None: what it runs of its own."""
        own = self._own[name] if forward is None else forward
        attributes = self.model.get_submodule(name).__dict__
        if own is None:
            attributes.pop("forward", None)
        else:
            attributes["forward"] = own


@contextlib.contextmanager
def masked_network(model: torch.nn.Module, aim: Aim, layers: Sequence[str]) -> Iterator[MaskedNetwork]:
    """The network in evaluation mode, ready to lose weights; on leaving, also on errors, everything is as it was."""
    with torch.inference_mode(False), random_state_kept(), module_kept(model):
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        yield MaskedNetwork(model, aim, layers)


def layers_that_run(model: torch.nn.Module, layers: Any, rows: torch.Tensor) -> tuple[str, ...]:
    """The names of the layers to prune, in the order in which they first run; of layers that share a weight, the first.

    Raises
    ------
    InputError
        Where there are none; for a name that is no Linear or Conv layer with a weight of its own, or that never runs.
    """
    found = {name: layer for name, layer in model.named_modules() if isinstance(layer, WEIGHTED)}
    ran = [name for name in dict.fromkeys(order_of_layers(model, rows)) if name in found]
    listed = ", ".join(ran[:12]) or "none"
    if isinstance(layers, str):
        layers = [layers]
    wanted = ran if layers is None else list(layers)
    if not wanted:
        raise InputError(f"a circuit needs Linear or Conv layers that run; {type(model).__name__} has: {listed}")
    for name in wanted:
        if not isinstance(name, str) or name not in ran:
            why = "it never runs as a module" if name in found else "there is no such layer"
            raise InputError(
                f"layers must name Linear or Conv layers that run: {listed}; got {name!r:.80}: {why}."
                f"{did_you_mean(str(name), ran)}"
            )
        if not isinstance(found[name]._parameters.get("weight"), torch.nn.Parameter):
            raise InputError(
                f"the weight of layer {name!r} is computed from other parameters, so single weights can't be zeroed; "
                "take the parametrisation off (torch.nn.utils.parametrize.remove_parametrizations) first"
            )
    shared = {id(found[name]._parameters["weight"]) for name in wanted}
    first = {id(found[name]._parameters.get("weight")): name for name in reversed(ran)}
    return tuple(name for name in ran if name in {first[one] for one in shared})


def _owners(model: torch.nn.Module, parameter: Any) -> list[tuple[torch.nn.Module, str]]:
    """The modules that hold this parameter, and by which name."""
    return [(m, key) for m in model.modules() for key, own in m._parameters.items() if own is parameter]
