"""What `limbeck.distill_block` returns: the formula, the network with it in the block's place, and what that costs.

Source
------
The thresholds and intervals are those of the check RC001 (`limbeck.checks.Fidelity`).

Departures
----------
A block that the network hardly needs would make any formula look faithful, so a constant in its place is measured too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import StorageError
from limbeck._core.storage import as_json, write_file
from limbeck.checks import Fidelity, Finding
from limbeck.checks._fidelity import compare
from limbeck.checks._measures import bootstrap, determination, per_output_determination, share_interval
from limbeck.readable import Readable
from limbeck.readable._text import name_text, number_text

if TYPE_CHECKING:
    import torch

__all__ = ["BlockResult", "block_fidelity", "judge_block", "truth_scores", "whole_fidelity"]

FORMAT, VERSION = "limbeck-block", 1
SHOWN = 8
WORSE = 0.05
"""What R2 or accuracy on the truth may fall by before the verdict says so, where the whole interval is below 0."""


@dataclass(frozen=True)
class BlockResult:
    """A block of a network as a model that a person can read, and the network with it in the block's place.

    Attributes
    ----------
    at, kind : str
        The block's name in the network, and its class.
    readable : Readable
        Over the chosen inputs of the block, one output for each output of the block that is not a constant.
    model : torch.nn.Module
        A copy of the network, in evaluation mode, with the readable in the block's place: differentiable, its constants
        parameters.
    fidelity : Finding
        The readable to the block, on held-out rows: R2, the mean over outputs; ``details["per_output"]`` has each.
    whole : Finding
        The network with the readable in it to the network as it was, on held-out rows, as in RC001.
    untuned : float or None
        The value of `whole` before the constants were tuned; None where they were not.
    constant : float or None
        The value of `whole` with the block's mean outputs in its place: what any formula reaches.
    before, after : dict or None
        The error on `y` of the network as it was and as it is now, on held-out rows: ``metric``, ``value``,
        ``interval``, and ``rmse`` in regression; `after` also has ``change`` and its interval.
    inputs, outputs : tuple of int
        Positions of the block's inputs that `readable` reads, and of the outputs that it gives.
    constants : dict of int to float
        The block's other outputs, and what stands in their place.
    effects : dict
        How much the network's answers change, in shares of their variance: ``inputs`` shuffled and ``outputs`` at their
        mean, one by one; ``inputs_left_out`` and ``outputs_constant`` all together.
    notes : tuple of str
    seconds : float
    student : object
        The fitted estimator.
    """

    at: str
    kind: str
    readable: Readable
    model: torch.nn.Module = field(repr=False)
    fidelity: Finding
    whole: Finding
    untuned: float | None
    constant: float | None
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    constants: Mapping[int, float]
    effects: Mapping[str, Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    student: Any = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """``faithful``, ``use with care: ...`` or ``do not use: ...``."""
        return judge_block(self.whole, self.fidelity, self.constant, self.before, self.after)

    @property
    def complexity(self) -> int:
        """Symbols that a person must read, a constant output one."""
        return self.readable.complexity + len(self.constants)

    def text(self) -> str:
        """The formula, what it does to the network, and the verdict, in words."""
        lines = [self.readable.text()]
        lines += [f"{name_text(f'{self.at}[{o}]')} = {number_text(v)}" for o, v in list(self.constants.items())[:SHOWN]]
        if len(self.constants) > SHOWN:
            lines.append(f"and {len(self.constants) - SHOWN} more outputs are constants")
        lines += [
            "",
            f"block {self.at} ({self.kind}), {self.complexity} symbols",
            f"- the block: {self.fidelity.message}",
        ]
        lines.append(f"- the network with it: {self.whole.message}")
        if self.constant is not None:
            lines.append(f"- with a constant in the block's place: {_of(self.whole)} {self.constant:.3f}")
        if self.untuned is not None:
            lines.append(f"- before the constants were tuned: {_of(self.whole)} {self.untuned:.3f}")
        if self.before is not None and self.after is not None:
            lines.append(f"- on the truth: {_score(self.before)} before, {_score(self.after)} after")
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), "", self.verdict])

    def to_dict(self) -> dict[str, Any]:
        """Everything but the networks and the student, as JSON types."""
        return as_json(
            {
                "format": FORMAT,
                "version": VERSION,
                "at": self.at,
                "kind": self.kind,
                "verdict": self.verdict,
                "complexity": self.complexity,
                "text": self.readable.text(),
                "readable": self.readable.to_dict(),
                "fidelity": self.fidelity.to_dict(),
                "whole": self.whole.to_dict(),
                "untuned": self.untuned,
                "constant": self.constant,
                "before": None if self.before is None else dict(self.before),
                "after": None if self.after is None else dict(self.after),
                "inputs": list(self.inputs),
                "outputs": list(self.outputs),
                "constants": {str(o): value for o, value in self.constants.items()},
                "effects": dict(self.effects),
                "notes": list(self.notes),
                "seconds": self.seconds,
            }
        )

    def save(self, folder: str | Path) -> Path:
        """Write ``block.json``, ``block.txt`` and the new network's numbers, ``model.safetensors``, into a folder.

        ``limbeck.readable.readable_from_dict(document["readable"])`` reads the formula back; the tensors are a
        ``state_dict`` of `model`.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        """
        from safetensors.torch import save

        folder = Path(folder)
        if folder.exists() and not (folder / "block.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise StorageError(
                f"{folder} exists and holds no block; give a new folder, an empty one, or one to replace"
            )
        tensors = {name: t.detach().cpu().contiguous().clone() for name, t in self.model.state_dict().items()}
        write_file(folder / "model.safetensors", save(tensors))
        write_file(folder / "block.txt", self.text() + "\n")
        document = json.dumps(self.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
        write_file(folder / "block.json", document + "\n")
        return folder


def _of(whole: Finding) -> str:
    return "the same class as the network on a share of" if whole.details.get("metric") == "agreement" else "R2"


def _score(score: Mapping[str, Any]) -> str:
    if score["metric"] == "accuracy":
        return f"{score['value']:.1%} correct"
    return f"R2 {score['value']:.3f} (RMSE {', '.join(f'{v:.4g}' for v in score['rmse'])})"


def judge_block(
    whole: Finding,
    block: Finding,
    constant: float | None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> str:
    """The verdict in words: only a network that is no longer itself forbids the use, all else asks for care."""
    if whole.status == "fail":
        return f"do not use: the network is no longer itself; {whole.message}"
    reasons = []
    if whole.status == "inconclusive":
        reasons.append("the network is not certain to stay itself")
    if whole.status == "not_applicable":
        reasons.append("whether the network stays itself can't be measured on these rows")
    if constant is not None and whole.interval is not None and whole.interval[0] <= constant:
        reasons.append("the network hardly needs the block: a constant in its place does as well")
    if before is not None and after is not None and after["change"] < -WORSE and after["change_interval"][1] < 0.0:
        reasons.append(f"it is clearly worse on the truth: {_score(before)} before, {_score(after)} after")
    if block.status != "pass":
        reasons.append(f"the formula is not clearly the block; {block.message}")
    return f"use with care: {'; '.join(reasons)}" if reasons else "faithful"


def block_fidelity(outputs: np.ndarray, student: np.ndarray, seed: int) -> Finding:
    """R2 of the readable to the block's outputs, both ``(n, k)``, the mean over the outputs that vary."""
    threshold, title = Fidelity().min_r2, "Fidelity to the block"
    bad = ~np.isfinite(student).all(axis=1)
    if bad.any():
        message = f"not a number on {int(bad.sum())} of {len(bad)} held-out rows, which lie outside its domain"
        return Finding("", "fail", None, None, threshold, message, title)
    known = np.ptp(outputs, axis=0) > 0
    if len(outputs) < 2 or not known.any():
        return Finding("", "not_applicable", None, None, threshold, "the block gives one value on all rows", title)
    parts = [determination(outputs[:, [o]], student[:, [o]]) for o in np.flatnonzero(known)]
    each = [part(np.ones((1, len(outputs))))[0] for part in parts]

    def mean(weights: np.ndarray) -> np.ndarray:
        return np.mean([part(weights) for part in parts], axis=0)

    from limbeck.checks._finding import judge

    interval, value = bootstrap(mean, len(outputs), seed), float(np.mean(each))
    over = f", mean of {len(each)} outputs (the worst {min(each):.3f})" if len(each) > 1 else ""
    message = f"R2 {value:.3f}{over}, 95 % interval {interval[0]:.3f} to {interval[1]:.3f}"
    details = {"metric": "R2", "per_output": per_output_determination(outputs, student), "rows": len(outputs)}
    return Finding("", judge(interval, threshold), value, interval, threshold, message, title, details)


def whole_fidelity(answers: np.ndarray, changed: np.ndarray, classes: bool, seed: int) -> Finding:
    """The network's answers with the readable in it held against its own, as RC001 does."""
    check = Fidelity()
    found = compare(answers, changed, classes, check.min_agreement if classes else check.min_r2, seed)
    message = found.message.replace("the teacher", "the network as it was")
    details = {**found.details, "rows": len(answers)}
    return Finding(
        "", found.status, found.value, found.interval, found.threshold, message, "The whole network", details
    )


def truth_scores(
    truth: np.ndarray, answers: np.ndarray, changed: np.ndarray, classes: bool, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The error on the truth before and after; rows without a number count as wrong."""
    before, after = (_truth(truth, each, classes, seed) for each in (answers, changed))
    n = len(truth)
    if classes:
        hits = [(each.argmax(axis=1) == truth) & np.isfinite(each).all(axis=1) for each in (answers, changed)]
        gain = hits[1].astype(np.float64) - hits[0]

        def change(weights: np.ndarray) -> np.ndarray:
            return weights @ gain / weights.sum(axis=1)
    else:
        old, new = determination(truth, answers), determination(truth, changed)

        def change(weights: np.ndarray) -> np.ndarray:
            return new(weights) - old(weights)

    interval = bootstrap(change, n, seed + 1)
    return before, {**after, "change": float(change(np.ones((1, n)))[0]), "change_interval": list(interval)}


def _truth(truth: np.ndarray, answers: np.ndarray, classes: bool, seed: int) -> dict[str, Any]:
    if classes:
        hits = (answers.argmax(axis=1) == truth) & np.isfinite(answers).all(axis=1)
        interval = share_interval(int(hits.sum()), len(hits))
        return {"metric": "accuracy", "value": float(hits.mean()), "interval": list(interval)}
    statistic = determination(truth, answers)
    value = float(statistic(np.ones((1, len(truth))))[0])
    rmse = np.sqrt(((truth - answers) ** 2).mean(axis=0)).tolist()
    return {"metric": "R2", "value": value, "interval": list(bootstrap(statistic, len(truth), seed)), "rmse": rmse}
