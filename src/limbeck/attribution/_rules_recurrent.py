"""Rules of LSTM, GRU and plain recurrent layers and cells, in any number of layers and directions.

Source
------
Murdoch2018, section 3: the LSTM. Its gates are shared by L(a) = (f(a + c) - f(c) + f(a + b + c) - f(b + c)) / 2, f(c)
the bias part; products of gate and candidate by who brought them; the output gate is not decomposed.

Symbols
-------
a, b, c: what the relevant part, the irrelevant part and the bias bring to a gate. r, t: relevant part, whole.

Departures
----------
- In the paper a step is inside the phrase or not; here its share is that of the relevant part in its input,
  |r| / (|r| + |q|) summed over the input's entries: 1 inside, 0 outside, between in upper layers. With it the product
  of two biases is shared.
- GRU and plain layers are not in the paper. GRU: the update gate's two products are shared as the LSTM's input and
  forget gates; the reset gate's as the forget gate. Plain layers: L.
- A start state that the model gives as a constant is irrelevant.

Cost
----
A Python loop over steps, two products a step for all rows and masks at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as nn_functional

from limbeck.attribution._parts import TINY, Parts, Pass, numbers, refuse, rule

__all__: list[str] = []

Function = Callable[[torch.Tensor], torch.Tensor]


@dataclass
class _Gate:
    """A gate in three parts, which add up to `total`."""

    relevant: torch.Tensor
    bias: torch.Tensor
    total: torch.Tensor


@dataclass
class _State:
    """What a layer carries from step to step: the output and, for the LSTM, the cell, each as relevant part and
    whole.
    """

    output: tuple[torch.Tensor, torch.Tensor]
    cell: tuple[torch.Tensor, torch.Tensor]


def _gate(function: Function, a: torch.Tensor, total: torch.Tensor, bias: torch.Tensor) -> _Gate:
    """The mean over both orders around the bias; the irrelevant part is the rest."""
    value, at_bias = function(total), function(bias)
    relevant = ((function(a + bias) - at_bias + value - function(total - a)) / 2).masked_fill(a == 0, 0.0)
    return _Gate(relevant, at_bias, value)


def _times(gate: _Gate, relevant: torch.Tensor, bias: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Relevant part of gate x candidate: r_i (r_g + b_g) + b_i r_g, and b_i b_g by share."""
    return gate.relevant * (relevant + bias) + gate.bias * relevant + share * (gate.bias * bias)


def _lstm_step(given: tuple[Any, Any], share: Any, bias: Any, state: _State, weights: dict[str, Any]) -> _State:
    recurrent = weights["hh"]
    a = given[0] + nn_functional.linear(state.output[0], recurrent)
    total = given[1] + nn_functional.linear(state.output[1], recurrent) + bias
    a, whole, c = a.chunk(4, -1), total.chunk(4, -1), bias.chunk(4, -1)
    enter = _gate(torch.sigmoid, a[0], whole[0], c[0])
    forget = _gate(torch.sigmoid, a[1], whole[1], c[1])
    candidate = _gate(torch.tanh, a[2], whole[2], c[2])
    relevant = (
        _times(enter, candidate.relevant, candidate.bias, share) + (forget.relevant + forget.bias) * state.cell[0]
    )
    cell = enter.total * candidate.total + forget.total * state.cell[1]
    leave, squashed = torch.sigmoid(whole[3]), torch.tanh(cell)
    part = (leave * (torch.tanh(relevant) + squashed - torch.tanh(cell - relevant)) / 2).masked_fill(relevant == 0, 0.0)
    output = leave * squashed
    if weights["hr"] is not None:
        part, output = nn_functional.linear(part, weights["hr"]), nn_functional.linear(output, weights["hr"])
    return _State((part, output), (relevant, cell))


def _gru_step(given: tuple[Any, Any], share: Any, bias: Any, state: _State, weights: dict[str, Any]) -> _State:
    recurrent = weights["hh"]
    from_input, from_output = bias
    a_x, whole_x = given[0].chunk(3, -1), (given[1] + from_input).chunk(3, -1)
    a_h = nn_functional.linear(state.output[0], recurrent).chunk(3, -1)
    whole_h = (nn_functional.linear(state.output[1], recurrent) + from_output).chunk(3, -1)
    c_x, c_h = from_input.chunk(3, -1), from_output.chunk(3, -1)
    reset = _gate(torch.sigmoid, a_x[0] + a_h[0], whole_x[0] + whole_h[0], c_x[0] + c_h[0])
    keep = _gate(torch.sigmoid, a_x[1] + a_h[1], whole_x[1] + whole_h[1], c_x[1] + c_h[1])
    inner = a_x[2] + (reset.relevant + reset.bias) * a_h[2] + reset.relevant * c_h[2]
    candidate = _gate(torch.tanh, inner, whole_x[2] + reset.total * whole_h[2], c_x[2] + reset.bias * c_h[2])
    enter = _Gate(-keep.relevant, 1 - keep.bias, 1 - keep.total)
    relevant = _times(enter, candidate.relevant, candidate.bias, share) + (keep.relevant + keep.bias) * state.output[0]
    output = enter.total * candidate.total + keep.total * state.output[1]
    return _State((relevant, output), state.cell)


def _plain_step(function: Function) -> Any:
    def step(given: tuple[Any, Any], share: Any, bias: Any, state: _State, weights: dict[str, Any]) -> _State:
        a = given[0] + nn_functional.linear(state.output[0], weights["hh"])
        total = given[1] + nn_functional.linear(state.output[1], weights["hh"]) + bias
        gate = _gate(function, a, total, bias)
        return _State((gate.relevant + share * gate.bias, gate.total), state.cell)

    return step


STEPS: dict[str, Any] = {
    "lstm": _lstm_step,
    "gru": _gru_step,
    "rnn_tanh": _plain_step(torch.tanh),
    "rnn_relu": _plain_step(torch.relu),
}


def _inside(relevant: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    """``(m, ..., 1)``: how far each step's input is the relevant part's."""
    size = relevant.abs().sum(-1, keepdim=True)
    rest = (total - relevant).abs().sum(-1, keepdim=True)
    return size / (size + rest).clamp_min(TINY)


def _named_weights(kind: str, flat: list[Any], has_biases: bool) -> dict[str, Any]:
    """One layer's weights in one direction by their names."""
    zero = torch.zeros(len(flat[0]), dtype=flat[0].dtype, device=flat[0].device)
    biases = flat[2:4] if has_biases else [zero, zero]
    projection = flat[-1] if len(flat) == (5 if has_biases else 3) else None
    return {
        "ih": flat[0],
        "hh": flat[1],
        "bias": tuple(biases) if kind == "gru" else biases[0] + biases[1],
        "hr": projection,
    }


def _direction(
    kind: str, relevant: torch.Tensor, total: torch.Tensor, start: _State, weights: dict[str, Any], *, backward: bool
) -> tuple[torch.Tensor, torch.Tensor, _State]:
    """One layer in one direction over ``(m, n, steps, d)``; the outputs of every step, and the last state."""
    given = nn_functional.linear(relevant, weights["ih"]), nn_functional.linear(total, weights["ih"])
    share, state = _inside(relevant, total), start
    steps = range(total.shape[1])
    parts, wholes = [], []
    for at in reversed(steps) if backward else steps:
        state = STEPS[kind]((given[0][:, :, at], given[1][:, at]), share[:, :, at], weights["bias"], state, weights)
        parts.append(state.output[0])
        wholes.append(state.output[1])
    if backward:
        parts.reverse()
        wholes.reverse()
    return torch.stack(parts, 2), torch.stack(wholes, 1), state


def _start(given: Any, at: int, like: torch.Tensor, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A start state as relevant part ``(m, n, width)`` and whole."""
    if isinstance(given, Parts):
        return numbers(given, "a start state")[:, at], given.total[at]
    whole = given[at].to(like.dtype)
    return like.new_zeros(*like.shape[:2], width), whole


def _recurrent(kind: str) -> Any:
    def run_layers(
        run: Pass,
        func: Any,
        input: Any,
        hx: Any,
        flat: Any,
        has_biases: bool,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool = False,
        *rest: Any,
    ) -> Any:
        if not isinstance(has_biases, bool) or rest:
            refuse(
                kind,
                "packed sequences have no rule: give rows of one length (padded; the mask leaves the padding out)",
            )
        relevant, total = numbers(input, kind), input.total
        if not batch_first:
            relevant, total = relevant.transpose(1, 2), total.transpose(0, 1)
        states = tuple(hx) if isinstance(hx, tuple | list) else (hx,)
        directions = 2 if bidirectional else 1
        a_layer = len(flat) // (num_layers * directions)
        finals: list[_State] = []
        for layer in range(num_layers):
            found = []
            for side in range(directions):
                at = layer * directions + side
                weights = _named_weights(kind, list(flat[at * a_layer : (at + 1) * a_layer]), has_biases)
                starts = [_start(one, at, relevant, one.shape[-1]) for one in states]
                start = _State(starts[0], starts[-1])
                found.append(_direction(kind, relevant, total, start, weights, backward=side == 1))
            relevant = torch.cat([one[0] for one in found], -1)
            total = torch.cat([one[1] for one in found], -1)
            finals += [one[2] for one in found]
        if not batch_first:
            relevant, total = relevant.transpose(1, 2), total.transpose(0, 1)
        outputs = run.parts(total, relevant)
        last = run.parts(torch.stack([s.output[1] for s in finals]), torch.stack([s.output[0] for s in finals], 1))
        if kind != "lstm":
            return outputs, last
        return (
            outputs,
            last,
            run.parts(torch.stack([s.cell[1] for s in finals]), torch.stack([s.cell[0] for s in finals], 1)),
        )

    return run_layers


def _cell(kind: str) -> Any:
    def run_step(
        run: Pass, func: Any, input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
    ) -> Any:
        like = next(one for one in (input, *(hx if isinstance(hx, tuple | list) else (hx,))) if isinstance(one, Parts))
        masks = numbers(like, kind)
        pairs = [_pair(one, masks) for one in (hx if isinstance(hx, tuple | list) else (hx,))]
        relevant, total = _pair(input, masks)
        weights = _named_weights(kind, [w_ih, w_hh, b_ih, b_hh] if b_ih is not None else [w_ih, w_hh], b_ih is not None)
        given = nn_functional.linear(relevant, w_ih), nn_functional.linear(total, w_ih)
        state = STEPS[kind](given, _inside(relevant, total), weights["bias"], _State(pairs[0], pairs[-1]), weights)
        output = run.parts(state.output[1], state.output[0])
        return (output, run.parts(state.cell[1], state.cell[0])) if kind == "lstm" else output

    return run_step


def _pair(one: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if isinstance(one, Parts):
        return numbers(one, "a recurrent cell"), one.total
    return like.new_zeros(len(like), *one.shape), one


for _kind in STEPS:
    rule(_kind)(_recurrent(_kind))
    rule(f"{_kind}_cell")(_cell(_kind))
