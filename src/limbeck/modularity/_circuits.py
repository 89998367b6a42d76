"""The circuits of all labels: how large they are, what they do alone, what is left without them, how far they overlap.

Source
------
Golechha2024: circuit sizes, and each label's accuracy with parts on and off.

Departures
----------
Beside each overlap stands what circuits of these sizes would share by chance: as many weights of each layer, drawn at
random. Beside the accuracy of the circuit alone stands how many rows of other labels it calls its own.

Checked
-------
tests/unit/test_circuits.py, tests/truth/test_circuits_truth.py.

Cost
----
`effective_circuit` for each label, and two passes over all rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.progress import Progress, reporting
from limbeck.modularity._circuit import Circuit, Task, check_options, circuit_of
from limbeck.modularity._pictures import grey_picture

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from limbeck.modularity._circuit_rows import CircuitRows

__all__ = ["Circuits", "circuits"]

PICTURE = 96
TESTED = ("before", "on", "others_on", "called", "off", "others_off")


@dataclass(frozen=True)
class Circuits:
    """One circuit a label, in order; a sequence of `Circuit`.

    Attributes
    ----------
    parts : tuple of Circuit
    tests : tuple of dict
        For each circuit what `table` shows of its accuracy.
    task : str
    """

    parts: tuple[Circuit, ...]
    tests: tuple[dict[str, float], ...]
    task: str

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Circuit]:
        return iter(self.parts)

    def __getitem__(self, i: int) -> Circuit:
        return self.parts[i]

    def table(self) -> pd.DataFrame:
        """One row a circuit.

        Returns
        -------
        DataFrame
            `label`, `size`, `loss_before`, `loss_after`; then shares of rows that are answered right: of the label
            `before`, with the circuit alone (`on`) and without it (`off`), and of the other labels' rows (`others_on`,
            `others_off`); and `called`, the share of the other labels' rows that the circuit alone calls its own. Of a
            regression network, R2 to what the whole network answers, of the output and the mean of the others.

        Notes
        -----
        Where `called` is near 1, the circuit says its label of everything: it keeps the label's loss low, and knows
        nothing of the label. `contrast=True` looks for circuits that do not.
        """
        import pandas as pd

        rows = [
            {
                "label": part.label,
                "size": part.size,
                "loss_before": part.loss_before,
                "loss_after": part.loss_after,
                **tests,
                "passes": part.passes,
                "seconds": part.seconds,
            }
            for part, tests in zip(self.parts, self.tests, strict=True)
        ]
        return pd.DataFrame(rows)

    def overlap(self) -> np.ndarray:
        """The Jaccard index of the weights of each two circuits ``(k, k)``: shared by both, of all in either."""
        return self._pairs(lambda a, b: float((a & b).sum()))

    def chance_overlap(self) -> np.ndarray:
        """The Jaccard index ``(k, k)`` to expect if each circuit's weights were drawn at random within each layer."""
        return self._pairs(lambda a, b: float(a.sum()) * float(b.sum()) / a.size)

    def text(self) -> str:
        """The table, and how far circuits overlap."""
        lines = [self.table().round(4).to_string(index=False)]
        if len(self) > 1:
            upper = np.triu_indices(len(self), 1)
            mean, chance = (float(m[upper].mean()) for m in (self.overlap(), self.chance_overlap()))
            lines.append(f"two circuits share {mean:.3f} of their weights (Jaccard, mean); by chance {chance:.3f}")
        return "\n".join(lines)

    def to_dict(self, classes: Sequence[str] | None = None) -> dict[str, Any]:
        """The circuits as JSON types, with a small picture of each layer of each.

        Parameters
        ----------
        classes : sequence of str, optional
            What labels are called, by their number.

        Raises
        ------
        InputError
            Where a label has no name among `classes`.
        """
        if classes is not None and max(part.label for part in self.parts) >= len(classes):
            raise InputError(
                f"classes must name the labels up to {max(p.label for p in self.parts)}; got {len(classes)}"
            )
        names = [str(part.label) if classes is None else str(classes[part.label]) for part in self.parts]
        return {
            "labels": names,
            "sizes": [part.size for part in self.parts],
            "loss_before": [part.loss_before for part in self.parts],
            "loss_after": [part.loss_after for part in self.parts],
            **{key: [_plain(tests[key]) for tests in self.tests] for key in TESTED},
            "overlap": self.overlap().tolist(),
            "chance_overlap": self.chance_overlap().tolist(),
            "pictures": [
                {"label": name, "layer": layer, **picture(kept)}
                for name, part in zip(names, self.parts, strict=True)
                for layer, kept in part.kept.items()
            ],
        }

    def _pairs(self, shared: Any) -> np.ndarray:
        found = np.eye(len(self))
        for i, a in enumerate(self.parts):
            for j, b in enumerate(self.parts):
                if i != j:
                    both = sum(shared(a.kept[name], b.kept[name]) for name in a.kept)
                    either = sum(float(c.kept[name].sum()) for c in (a, b) for name in a.kept) - both
                    found[i, j] = both / either if either else 0.0
        return found


def circuits(
    model: torch.nn.Module,
    data: Any,
    labels: Sequence[int] | None = None,
    *,
    layers: Sequence[str] | None = None,
    tolerance: float | None = None,
    contrast: bool = False,
    task: Task | None = None,
    random_state: int = 0,
    progress: Progress = False,
) -> Circuits:
    """The effective circuits of several labels, what each does alone, and how far they overlap.

    Parameters
    ----------
    model, data, layers, tolerance, contrast, task, random_state, progress
        As `effective_circuit` has them. Rows of all labels are needed for what is tested with circuits on and off.
    labels : sequence of int, optional
        All that have rows, or all outputs of a regression network, where absent.

    Raises
    ------
    InputError, TeacherError
        As `effective_circuit`.

    Source
    ------
    Golechha2024.

    Cost
    ----
    See the file's header.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    >>> with torch.no_grad():
    ...     _ = model[0].weight.copy_(torch.tensor([[4.0, 1.0], [1.0, 4.0]]))
    >>> X, y = torch.eye(2), torch.tensor([0, 1])
    >>> found = circuits(model, (X, y))
    >>> found.overlap()
    array([[1., 0.],
           [0., 1.]])
    >>> found.table()[["label", "size", "before", "on", "off"]]
       label  size  before   on  off
    0      0  0.25     1.0  1.0  0.0
    1      1  0.25     1.0  1.0  0.0
    """
    from limbeck.modularity._circuit_rows import read_circuit_rows

    rows = read_circuit_rows(model, data, task, layers, random_state)
    check_options(tolerance, contrast, rows.task)
    chosen = rows.labels if labels is None else tuple(labels)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"labels must be different whole numbers, at least one; got {list(chosen)!r:.80}")
    for label in chosen:
        rows.aim(label, contrast=contrast)  # all are checked before the first takes its time
    with reporting(progress) as report:
        parts = []
        for done, label in enumerate(chosen):
            report("circuits", done, len(chosen))
            parts.append(circuit_of(rows, label, tolerance, contrast, report))
        report("circuits", len(chosen), len(chosen))
    return Circuits(tuple(parts), tuple(_tests(rows, parts)), rows.task)


def _tests(rows: CircuitRows, parts: Sequence[Circuit]) -> Iterator[dict[str, float]]:
    """What is right before, with each circuit alone, and without it."""
    from limbeck.modularity._circuit_rows import answers_in_batches

    whole = answers_in_batches(rows.model, rows.x).numpy()
    truth = rows.y.cpu().numpy()
    for part in parts:
        alone, without = (
            answers_in_batches(made, rows.x).numpy() for made in (part.alone(rows.model), part.cut_out(rows.model))
        )
        if rows.task == "regression":
            yield _of_output(part.label, whole, alone, without)
        else:
            yield _of_label(part.label, truth, *(_said(answers) for answers in (whole, alone, without)))


def _said(answers: np.ndarray) -> np.ndarray:
    """The label that each row is given."""
    return np.asarray(answers[:, 0] > 0 if answers.shape[1] == 1 else answers.argmax(axis=1)).astype(np.int64)


def _of_label(
    label: int, truth: np.ndarray, whole: np.ndarray, alone: np.ndarray, without: np.ndarray
) -> dict[str, float]:
    own = truth == label
    return {
        "before": _share((whole == truth)[own]),
        "on": _share((alone == truth)[own]),
        "others_on": _share((alone == truth)[~own]),
        "called": _share((alone == label)[~own]),
        "off": _share((without == truth)[own]),
        "others_off": _share((without == truth)[~own]),
    }


def _of_output(output: int, whole: np.ndarray, alone: np.ndarray, without: np.ndarray) -> dict[str, float]:
    def like(answers: np.ndarray) -> tuple[float, float]:
        spread = whole.var(axis=0)
        r2 = 1.0 - ((answers - whole) ** 2).mean(axis=0) / np.where(spread > 0, spread, 1.0)
        return float(r2[output]), _share(np.delete(r2, output))

    on, off = like(alone), like(without)
    return {
        "before": 1.0,
        "on": on[0],
        "others_on": on[1],
        "called": float("nan"),
        "off": off[0],
        "others_off": off[1],
    }


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value


def picture(kept: np.ndarray) -> dict[str, Any]:
    """A mask ``(o, i, *kernel)`` as an image of at most 96 by 96: how much is left of each place."""
    return grey_picture(kept.reshape(*kept.shape[:2], -1).mean(axis=2), PICTURE, 1.0)
