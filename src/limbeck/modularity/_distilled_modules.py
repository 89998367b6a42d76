"""What `distill_modules` returns: a readable model for each module, and what they are together.

Source
------
The thresholds and intervals are those of the check RC001 (`limbeck.checks.Fidelity`).

Departures
----------
The whole is held against the network as it was before it was split: modules that are read well, of a network that does
not come apart, are not faithful to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from limbeck._block_result import WORSE
from limbeck._core.errors import InputError
from limbeck._core.storage import as_json
from limbeck._core.tables import Rows, Schema
from limbeck.checks import Finding
from limbeck.readable import Readable
from limbeck.readable._text import name_text, number_text

__all__ = ["DistilledModule", "DistilledModules", "probabilities", "scores_of"]

FORMAT, VERSION = "limbeck-distilled-modules", 1


@dataclass(frozen=True)
class DistilledModule:
    """A module as a model that a person can read.

    Attributes
    ----------
    name : str
        ``module 1`` and so on.
    readable : Readable or None
        Over the inputs that the module uses, one output for each of `outputs`; None where the module is a constant.
    inputs : tuple of str
        The inputs that were given to the student: those the module uses.
    outputs : tuple of int
        The positions of the network's outputs to which the module adds something that varies.
    constants : dict of int to float
        What it adds to the others.
    fidelity : Finding
        The readable to the module, on held-out rows: R2, the mean over its outputs.
    lost : float
        By how much, in shares of their variance, the module's outputs change when all inputs left out are exchanged
        between rows.
    """

    name: str
    readable: Readable | None
    inputs: tuple[str, ...]
    outputs: tuple[int, ...]
    constants: Mapping[int, float]
    fidelity: Finding
    lost: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The module as JSON types."""
        return dict(
            as_json(
                {
                    "name": self.name,
                    "readable": None if self.readable is None else self.readable.to_dict(),
                    "text": self.text(),
                    "inputs": list(self.inputs),
                    "outputs": list(self.outputs),
                    "constants": {str(o): value for o, value in self.constants.items()},
                    "fidelity": self.fidelity.to_dict(),
                    "lost": self.lost,
                }
            )
        )

    def text(self) -> str:
        """The readable model, or that the module is a constant."""
        return f"{self.name} is a constant" if self.readable is None else self.readable.text()


@dataclass(frozen=True)
class DistilledModules:
    """A network as the sum of readable modules.

    Attributes
    ----------
    parts : tuple of DistilledModule
    whole : Finding
        The sum of the readables to the network as it was before it was split, on held-out rows, as in RC001.
    split : Finding
        The split network to the network as it was: what no distilling can mend.
    task : str
        ``regression`` or ``classification``.
    output_names : tuple of str
        Of the network's outputs; in classification with one output, of its score.
    classes : tuple or None
        The labels in the order of the outputs.
    bias : array ``(k,)``
        What is added to the sum of the readables: the network's bias and all constants.
    schema : Schema
        The columns of the rows.
    before, after : dict or None
        The error on `y` of the network as it was, and of the sum of the readables: ``metric``, ``value``, ``interval``.
    notes : tuple of str
    seconds : float
    """

    parts: tuple[DistilledModule, ...]
    whole: Finding
    split: Finding
    task: str
    output_names: tuple[str, ...]
    classes: tuple[Any, ...] | None
    bias: np.ndarray
    schema: Schema = field(repr=False)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def scores(self, X: Rows) -> np.ndarray:
        """The sums ``(n, k)``: the outputs in regression, the logits in classification."""
        shape = tuple(getattr(X, "shape", ()))
        if len(shape) > 2 and int(np.prod(shape[1:])) == len(self.schema):
            X = np.asarray(X.detach().cpu() if hasattr(X, "detach") else X).reshape(shape[0], -1)
        return scores_of(self.parts, self.bias, self.schema, self.schema.encode(X))

    def predict(self, X: Rows) -> np.ndarray:
        """The outputs ``(n, k)`` in regression; the labels ``(n,)`` in classification."""
        scores = self.scores(X)
        if self.classes is None:
            return scores
        return np.array(self.classes)[probabilities(scores).argmax(axis=1)]

    def predict_proba(self, X: Rows) -> np.ndarray:
        """The class probabilities ``(n, k)``.

        Raises
        ------
        InputError
            In regression.
        """
        if self.classes is None:
            raise InputError("these modules give numbers, not classes; use predict")
        return probabilities(self.scores(X))

    @property
    def complexity(self) -> int:
        """Symbols that a person must read, a constant one."""
        return sum(1 if part.readable is None else part.readable.complexity for part in self.parts) + len(self.bias)

    @property
    def verdict(self) -> str:
        """``faithful``, ``use with care: ...`` or ``do not use: ...``."""
        apart = "the split network is not the network as it was: " + self.split.message
        if self.whole.status == "fail":
            why = f"; {apart}" if self.split.status == "fail" else ""
            return f"do not use: the modules together are not the network; {self.whole.message}{why}"
        reasons = []
        if self.whole.status == "inconclusive":
            reasons.append(f"the modules together are not certain to be the network; {self.whole.message}")
        if self.whole.status == "not_applicable":
            reasons.append(f"whether the modules together are the network can't be said; {self.whole.message}")
        if self.split.status == "fail":
            reasons.append(apart)
        for part in self.parts:
            if part.readable is not None and part.fidelity.status != "pass":
                reasons.append(f"what is read of {part.name} is not clearly the module; {part.fidelity.message}")
        if self.after is not None and self.after["change"] < -WORSE and self.after["change_interval"][1] < 0.0:
            reasons.append("on the truth it is clearly worse than the network")
        return f"use with care: {'; '.join(reasons)}" if reasons else "faithful"

    def text(self) -> str:
        """Each module, how they are put together, how faithful that is, and the verdict, in words."""
        lines = []
        for part in self.parts:
            reads = f" uses {', '.join(part.inputs)}" if part.readable is not None else ""
            lines += [f"{part.name}{reads}", *(f"  {line}" for line in part.text().splitlines())]
            lines += [f"  - the module: {part.fidelity.message}", ""]
        lines += [*self._sums(), ""]
        lines.append(f"- all modules together: {self.whole.message}")
        lines.append(f"- the split network, before it is distilled: {self.split.message}")
        if self.before is not None and self.after is not None:
            lines.append(f"- on the truth: {_score(self.before)} before, {_score(self.after)} after")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), "", self.verdict])

    def _sums(self) -> list[str]:
        lines = [] if self.classes is None else ["the class is the one of the largest score:"]
        if self.classes is not None and len(self.bias) == 1:
            lines = [f"the class is {self.classes[1]} where the score is above 0, else {self.classes[0]}:"]
        for o, name in enumerate(self.output_names):
            own = [p.readable.output_names[p.outputs.index(o)] for p in self.parts if p.readable and o in p.outputs]
            terms = " + ".join(name_text(term) for term in own) or "0"
            value = float(self.bias[o])
            rest = f" {'-' if value < 0 else '+'} {number_text(abs(value))}" if value else ""
            head = "score of " if self.classes is not None and len(self.bias) > 1 else ""
            lines.append(f"{head}{name_text(name)} = {terms}{rest}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON types."""
        return dict(
            as_json(
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "verdict": self.verdict,
                    "complexity": self.complexity,
                    "task": self.task,
                    "output_names": list(self.output_names),
                    "classes": None if self.classes is None else [str(label) for label in self.classes],
                    "modules": [part.to_dict() for part in self.parts],
                    "bias": self.bias.tolist(),
                    "together": self._sums(),
                    "whole": self.whole.to_dict(),
                    "split": self.split.to_dict(),
                    "before": None if self.before is None else dict(self.before),
                    "after": None if self.after is None else dict(self.after),
                    "notes": list(self.notes),
                    "seconds": self.seconds,
                }
            )
        )


def _score(score: Mapping[str, Any]) -> str:
    return f"{score['value']:.1%} correct" if score["metric"] == "accuracy" else f"R2 {score['value']:.3f}"


def scores_of(parts: tuple[DistilledModule, ...], bias: np.ndarray, schema: Schema, encoded: np.ndarray) -> np.ndarray:
    """The sum of the readables and the bias ``(n, k)`` on encoded rows."""
    total = np.tile(np.asarray(bias, dtype=np.float64), (len(encoded), 1))
    for part in parts:
        if part.readable is not None:
            columns = [schema.names.index(name) for name in part.inputs]
            total[:, list(part.outputs)] += part.readable.predict_encoded(encoded[:, columns])
    return total


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Class probabilities of logits ``(n, k)``; of one logit, those of two classes."""
    from scipy.special import expit, softmax

    if scores.shape[1] == 1:
        return np.column_stack([expit(-scores[:, 0]), expit(scores[:, 0])])
    return np.asarray(softmax(scores, axis=1))
