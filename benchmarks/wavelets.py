"""Adaptive wavelets on eight sets of signals and on digits: what adapting, and what the teacher's attributions, bring.

Source: Ha2021's comparison of a network, of a linear model on the coefficients of a fixed DB5, and of one on those of a
wavelet that was adapted to the network. A network is trained for each set and seed (`wavelets_data`; an LSTM in place
of convolutions where it has the lower validation loss with a seed that none of the figures uses). Its probabilities on
the training rows are what every wavelet arm is fitted to, and on those rows filter and number of coefficients are
chosen by cross-validation, with the same arguments for every arm; test rows are asked once, for the table. Logistic
regression on the raw signal, on the true labels, stands beside. The arguments were fixed on splits of seeds 100 and
101.

Times are of one thread, measured after everything else, one after another: best with nothing else running.

    make bench NAME=wavelets                             # goes on after a kill; several processes may share the work
    make bench NAME=wavelets ARGS="--workers 16"         # fits and trainings at a time, one thread each
    make bench NAME=wavelets ARGS="--only ecg200 --seeds 2"
    make bench NAME=wavelets ARGS="--quick"              # a minute, to see that it runs
    make bench NAME=wavelets ARGS="--table"              # only print what is there
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from benchmarks.wavelets_data import KINDS, SETS, STEPS, Split, network, split, trained
from limbeck import as_teacher
from limbeck._bill import measure_bill
from limbeck._core.journal import Journal
from limbeck._core.measuring import median_seconds
from limbeck._core.parallel import Failure, run_tasks
from limbeck._core.tables import Table
from limbeck.readable import readable_from_dict
from limbeck.students import AdaptiveWaveletClassifier
from limbeck.students._wavelet_loss import teacher_gradients
from limbeck.students._wavelet_training import Recipe, drawn_outputs, step_loss

PUBLISHED = (
    "cosmology, RMSE: AWD .01026, ResNet18 .01156, DB5 .01569",
    "clathrin, R2: AWD .262, LSTM .237, DB5 .197; AWD 240 times faster than the LSTM",
)
"""Other sets than ours, regression: only the order of the arms compares."""

FIXED, ADAPTED, ATTRIBUTED, RAW = "fixed DB5", "AWD", "AWD + attribution", "logistic, raw"
ARMS = (FIXED, ADAPTED, ATTRIBUTED, RAW)
CHOOSING_SEED = 100
FASTER, POINTS, STEP = 100, 2.0, 3.0
BATCH = 100


@dataclass(frozen=True)
class Scale:
    """How much is done; None leaves the student's own default."""

    rows: int | None = None
    steps: int = STEPS
    max_steps: int | None = None


QUICK = Scale(rows=1_000, steps=60, max_steps=10)


def options(name: str, arm: str, scale: Scale) -> dict[str, Any]:
    """The student's arguments: its defaults, and more coefficients for digits."""
    given: dict[str, Any] = {"wavelet": "db5", "level": 4}
    if scale.max_steps is not None:
        given["max_steps"] = scale.max_steps
    if name == "mnist":
        given |= {"level": 3, "image_shape": (28, 28), "max_coefficients": 40}
    return given | ({"max_steps": 0} if arm == FIXED else {})


@dataclass(frozen=True)
class Run:
    """The cells of a set and a seed; what is in the journal is not done again, and weights lie beside it."""

    name: str
    seed: int
    scale: Scale
    out: Path

    def cell(self, what: str, function: Callable[[], Any] | None = None) -> Any:
        """What the journal has; where it has nothing, what the function gives now."""
        key = {"set": self.name, "seed": self.seed, "what": what, "scale": vars(self.scale)}
        with Journal(self.out.with_suffix(".sqlite")) as journal:
            if function is None or key in journal:
                return journal.get(key)
            value = journal.cell(key, function)
        shown = {k: v for k, v in value.items() if not isinstance(v, dict | list)}
        print(f"{self.name}, seed {self.seed}, {what}: {shown}", flush=True)
        return value

    def do(self, what: str) -> None:
        """One cell, in a process of its own."""
        torch.set_num_threads(1)
        work = {"kind": self.kind, "teacher": self.teacher, "bill": self.bill, "step": self.step}
        self.cell(what, work[what] if what in work else lambda: self.student(what))

    def data(self) -> Split:
        return split(self.name, self.seed, self.scale.rows)

    def kind(self) -> dict[str, Any]:
        """Which of the networks has the lower validation loss."""
        tried = {
            kind: trained(kind, self.data(), self.seed, self.scale.steps)[1]
            for kind in (KINDS if self.name != "mnist" else KINDS[:1])
        }
        return {"kind": min(tried, key=lambda kind: tried[kind]), "losses": tried}

    def teacher(self) -> dict[str, Any]:
        data, start = self.data(), time.process_time()
        kind = Run(self.name, CHOOSING_SEED, self.scale, self.out).cell("kind")["kind"]
        model, _ = trained(kind, data, self.seed, self.scale.steps)
        seconds = time.process_time() - start
        self.out.mkdir(parents=True, exist_ok=True)
        save_file(model.state_dict(), self.weights)
        found = as_teacher(model, "classification", output="logits")(data.x_test).argmax(axis=1)
        return {"kind": kind, "accuracy": 100 * float(np.mean(found == data.y_test)), "seconds": seconds}

    @property
    def weights(self) -> Path:
        return self.out / f"{self.name}-{self.seed}.safetensors"

    def again(self, data: Split) -> torch.nn.Module:
        """The trained network, from the disk."""
        model = network(self.cell("teacher")["kind"], self.name, data.classes, self.seed)
        model.load_state_dict(load_file(self.weights))
        return model.eval()

    def student(self, arm: str) -> dict[str, Any]:
        data = self.data()
        model = self.again(data)
        teacher = as_teacher(model, "classification", output="logits")
        own, start, more = teacher(data.x_test).argmax(axis=1), time.process_time(), {}
        if arm == RAW:
            found, count = raw(data), data.x.shape[1]
        else:
            fitted = AdaptiveWaveletClassifier(random_state=self.seed, **options(self.name, arm, self.scale)).fit(
                data.x,
                None,
                y_soft=teacher(data.x),
                classes=list(range(data.classes)),
                teacher=model if arm == ATTRIBUTED else None,
            )
            found, count = fitted.predict(data.x_test), len(fitted.readable_.terms)
            more["moved"] = float(np.linalg.norm(fitted.lowpass_ - fitted.path_[0].lowpass))
            more["readable"] = fitted.readable_.to_dict()
        return {
            "accuracy": 100 * float(np.mean(found == data.y_test)),
            "fidelity": 100 * float(np.mean(found == own)),
            "coefficients": count,
            "seconds": time.process_time() - start,
            **more,
        }

    def bill(self) -> dict[str, Any]:
        """Teacher and student on the bill: a row alone, and 10,000 rows."""
        data = self.data()
        teacher = as_teacher(self.again(data), "classification", output="logits")
        student = readable_from_dict(self.cell(ATTRIBUTED)["readable"])
        return measure_bill(teacher, {"student": student}, Table.read(data.x_test), seconds=0.3)

    def step(self) -> dict[str, Any]:
        """Milliseconds of a training step without attributions and with them."""
        data = self.data()
        rows = np.resize(data.x, (BATCH, data.x.shape[1]))
        gradients = teacher_gradients(self.again(data), rows)
        size = (28, 28) if self.name == "mnist" else rows.shape[1:]
        level = options(self.name, ADAPTED, self.scale)["level"]
        return step_times(rows.reshape(BATCH, 1, *size), gradients.reshape(BATCH, -1, 1, *size), level)


def raw(data: Split) -> np.ndarray:
    """Labels by logistic regression on the signal; its penalty is chosen by cross-validation where rows allow it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    few = max(2, min(5, int(np.bincount(data.y).min())))
    model = LogisticRegression(max_iter=300 if data.name == "mnist" else 2_000, tol=1e-3)
    strengths = (0.01, 0.1, 1.0) if data.name == "mnist" else (0.01, 0.1, 1.0, 10.0, 100.0)
    folds = StratifiedKFold(2 if data.name == "mnist" else few, shuffle=True, random_state=0)
    return GridSearchCV(model, {"C": strengths}, cv=folds).fit(data.x, data.y).predict(data.x_test)


def step_times(x: np.ndarray, gradients: np.ndarray, level: int) -> dict[str, Any]:
    """The median time of a step on these rows, in milliseconds, and the ratio."""
    recipe = Recipe(level, "zero", x.ndim - 2, (0.1,), (1.0,), 0.01, len(x), 1, 0)
    import pywt

    low = torch.tensor(pywt.Wavelet("db5").dec_lo, dtype=torch.float32, requires_grad=True)
    rows, slopes = (torch.as_tensor(each, dtype=torch.float32) for each in (x, gradients))
    every, mass = torch.arange(len(x)), torch.full((len(x),), 1 / len(x))
    generator = torch.Generator().manual_seed(0)

    def one(strength: float) -> float:
        def call(i: int) -> None:
            here = drawn_outputs(slopes, every, generator) if strength else None
            low.grad = None
            step_loss(rows, here, mass, low, recipe, 0.1, strength).backward()

        return 1e3 * median_seconds(call, seconds=1.0)[0]

    without, with_term = one(0.0), one(1.0)
    return {"without": without, "with": with_term, "ratio": with_term / without, "outputs": gradients.shape[1]}


# The tables


def mean(values: Sequence[float | None]) -> float:
    own = [value for value in values if value is not None]
    return statistics.mean(own) if own else float("nan")


def spread(values: Sequence[float]) -> str:
    """The mean of the seeds and their standard deviation."""
    return f"{mean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else "")


Found = dict[str, dict[str, list[dict[str, Any]]]]


def found_cells(names: Sequence[str], seeds: int, scale: Scale, out: Path) -> Found:
    """For each set, by what was measured, what its seeds found; sets without any cell are left out."""
    whats = ("teacher", *ARMS, "bill", "step")
    every: Found = {}
    for name in names:
        cells = {what: [Run(name, seed, scale, out).cell(what) for seed in range(seeds)] for what in whats}
        every[name] = {what: [one for one in own if one is not None] for what, own in cells.items()}
    return {name: cells for name, cells in every.items() if cells["teacher"]}


def print_tables(every: Found, seeds: int) -> None:
    """Accuracy with fidelity and coefficients; times; the verdicts."""
    print("\nAccuracy on test rows, %; in brackets: the teacher's class on them, %, and the coefficients in use\n")
    print("| set | teacher | " + " | ".join(ARMS) + " | n |")
    print("|---|---|" + "---|" * len(ARMS) + "---|")
    for name, cells in every.items():
        columns = [f"{spread([one['accuracy'] for one in cells['teacher']])} ({cells['teacher'][0]['kind']})"]
        for arm in ARMS:
            own = {key: [one[key] for one in cells[arm]] for key in ("accuracy", "fidelity", "coefficients")}
            text = f"{spread(own['accuracy'])} ({mean(own['fidelity']):.1f}, {mean(own['coefficients']):.0f})"
            columns.append(text if cells[arm] else "-")
        print(f"| {name} | " + " | ".join([*columns, str(len(cells["teacher"]))]) + " |")
    print("\n" + "\n".join(f"published: {one}" for one in PUBLISHED))
    print(
        "\nOne thread: a row among 10,000, microseconds, and how much faster the student is; in brackets: a row alone."
    )
    print(
        "Last: a step of training on 100 rows, in milliseconds, without and with attributions; CPU seconds of a fit\n"
    )
    print("| set | teacher | student, NumPy | student, C | step without | with | ratio | fit without | with |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, cells in every.items():
        print(f"| {name} | " + " | ".join(times_of(cells)) + " |")
    print("\n" + "\n".join(verdicts(every, seeds)), flush=True)


def faster(cells: dict[str, list[dict[str, Any]]], form: str, which: str) -> float:
    """The median over seeds of how many times faster the student is in a form."""
    own = [one[which] for bill in cells["bill"] for one in bill["ratios"] if one["form"].startswith(form)]
    known = [value for value in own if value is not None]
    return statistics.median(known) if known else float("nan")


def times_of(cells: dict[str, list[dict[str, Any]]]) -> list[str]:
    teachers = [next(one for one in bill["entries"] if one["name"] == "teacher") for bill in cells["bill"]]
    many = mean([None if one["milliseconds_10000"] is None else one["milliseconds_10000"] / 10 for one in teachers])
    one = mean([each["microseconds_1"] for each in teachers])
    columns = [f"{many:,.1f} ({one:,.0f})"]
    for form in ("NumPy", "C"):
        many, one = (faster(cells, form, which) for which in ("faster_10000", "faster_1"))
        columns.append(f"{many:,.0f}x ({one:,.0f}x)" if many == many else note(cells, form))
    columns += [f"{mean([step[key] for step in cells['step']]):.1f}" for key in ("without", "with", "ratio")]
    return [*columns, *(f"{mean([each['seconds'] for each in cells[arm]]):.0f}" for arm in (ADAPTED, ATTRIBUTED))]


def note(cells: dict[str, list[dict[str, Any]]], form: str) -> str:
    """Why a form was not timed."""
    entries = [one for bill in cells["bill"] for one in bill["entries"] if one["form"].startswith(form)]
    return str(entries[0]["note"]) if entries else "-"


def verdicts(every: Found, seeds: int) -> list[str]:
    """One line a target."""
    whole = {
        name: cells for name, cells in every.items() if all(len(cells[what]) == seeds for what in ("teacher", *ARMS))
    }
    if not whole:
        return ["FAIL  no set is run to its end"]
    accuracy = {
        name: {what: mean([one["accuracy"] for one in cells[what]]) for what in ("teacher", *ARMS)}
        for name, cells in whole.items()
    }
    lines = []
    for arm in (ATTRIBUTED, ADAPTED):
        gains = [own[arm] - own[FIXED] for own in accuracy.values()]
        up, down = (sum(sign * gain > 0 for gain in gains) for sign in (1, -1))
        fidelity = mean([mean([one["fidelity"] for one in cells[arm]]) for cells in whole.values()])
        fixed = mean([mean([one["fidelity"] for one in cells[FIXED]]) for cells in whole.values()])
        text = f"{arm} {mean(gains):+.2f} points above {FIXED} on the mean of {len(gains)} sets, better on {up}, worse "
        text += f"on {down}; fidelity {fidelity - fixed:+.2f}"
        lines.append(line(mean(gains) > 0, text, "above 0"))
    near = sum(own[ATTRIBUTED] >= own["teacher"] - POINTS for own in accuracy.values())
    lines.append(
        line(2 * near >= len(whole), f"within {POINTS:g} points of the teacher on {near} of {len(whole)} sets", "half")
    )
    timed = {name: cells for name, cells in whole.items() if cells["bill"]}
    for form in ("NumPy", "C"):
        both = [[faster(cells, form, which) for which in ("faster_10000", "faster_1")] for cells in timed.values()]
        own, alone = ([pair[i] for pair in both if pair[0] == pair[0]] for i in (0, 1))
        if own:
            text = f"{form}, {len(own)} of {len(timed)} sets: {min(own):,.0f} to {max(own):,.0f} times faster than the "
            text += f"teacher among 10,000 rows, {min(alone):,.0f} to {max(alone):,.0f} for a row alone"
            lines.append(line(min(own) >= FASTER, text, f"{FASTER}x on each"))
    ratios = {name: mean([step["ratio"] for step in cells["step"]]) for name, cells in timed.items() if cells["step"]}
    if ratios:
        text = f"a step with attributions takes at most {max(ratios.values()):.2f} times one without"
        lines.append(line(max(ratios.values()) <= STEP, text, f"{STEP:g} on every set"))
    missing = [name for name in every if name not in whole]
    return [*lines, *(f"FAIL  {name}: not every seed is done" for name in missing)]


def line(passed: bool, found: str, goal: str) -> str:
    return f"{'PASS' if passed else 'FAIL'}  {found} (goal: {goal})"


def run_all(runs: Sequence[Run], what: str, workers: int) -> None:
    """The cells of one kind that are not done yet, several at a time."""
    todo = [(one, what) for one in runs if one.cell(what) is None]
    for i, result in run_tasks(Run.do, todo, n_jobs=workers):
        if isinstance(result, Failure):
            raise SystemExit(f"{todo[i][0].name}, seed {todo[i][0].seed}, {what}: {result.kind}: {result.message}")


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SETS, action="append", help="this set; may be given several times")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1, help="processes, one thread each; times are taken by one")
    parser.add_argument("--quick", action="store_true", help="a minute, to see that it runs")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="the folder of the journal and weights")
    given = parser.parse_args()
    torch.set_num_threads(1)
    names = given.only or (SETS[:1] if given.quick else SETS)
    seeds, scale = (1, QUICK) if given.quick else (given.seeds, Scale())
    out = given.out / ("wavelets_quick" if given.quick else "wavelets")
    runs = [Run(name, seed, scale, out) for name in reversed(names) for seed in range(seeds)]  # the longest first
    if not given.table:
        run_all([Run(name, CHOOSING_SEED, scale, out) for name in reversed(names)], "kind", given.workers)
        for what in ("teacher", ATTRIBUTED, ADAPTED, FIXED, RAW):
            run_all(runs, what, given.workers)
        for what in ("bill", "step"):
            run_all([one for one in runs if what == "bill" or one.seed == 0], what, 1)
    print_tables(found_cells(names, seeds, scale, out), seeds)


if __name__ == "__main__":
    main()
