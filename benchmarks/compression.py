"""Model compression: a selected ensemble of thousands of trees becomes a small network, by the paper's protocol.

Source: Bucila2006. Every problem has two classes: 4,000 rows to train on and 1,000 to select on, the rest is test. The
ensemble is selected by `EnsembleSelection`; the student is a `NetworkClassifier` on the ensemble's answers to MUNGE's
queries, p and s chosen on the 1,000 rows by the ensemble's answers there. The student sees no truth at all. The figure
is the RMSE of the predicted probability against the 0/1 label on the test rows, and the ratio

    (net on the rows alone - student) / (net on the rows alone - ensemble)

is the share of the possible improvement that is reached. RANDOM (marginals) and NBE are the same student on other
queries.

    make bench NAME=compression                                       # hours on two cores; goes on where it ended
    make bench NAME=compression ARGS="--problems adult,heart"         # several processes may share the work
    make bench NAME=compression ARGS="--quick --problems heart"       # two minutes, to see that it runs
    make bench NAME=compression ARGS="--table"                        # only print what is there
    make bench NAME=compression ARGS="--stream 2000000"               # memory of training on rows that lie on disk

Queries and answers lie under ``runs/bench/compression``, every finished cell in a journal there.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from limbeck import as_teacher, datasets
from limbeck._bill import measure_bill
from limbeck._core.journal import Journal
from limbeck._core.storage import write_file
from limbeck._core.tables import Table
from limbeck.queries import Marginals, Munge, NaiveBayes, ask, read_answers, stream, tune_munge
from limbeck.readable import pack, unpack
from limbeck.students import NetworkClassifier, NetworkRegressor
from limbeck.students._network_fit import batch_size
from limbeck.teachers import EnsembleSelection

PUBLISHED = {
    "adult": {"student": 0.325, "ensemble": 0.317, "net": 0.328, "single": 0.319},
    "covtype": {"student": 0.340, "ensemble": 0.334, "net": 0.378, "single": 0.349},
    "letter.p1": {"student": 0.075, "ensemble": 0.075, "net": 0.092, "single": 0.092},
    "letter.p2": {"student": 0.179, "ensemble": 0.178, "net": 0.228, "single": 0.203},
}
"""RMSE on the test rows; other rows and splits than ours, so ratios compare, and figures only by their size."""
PUBLISHED_MEAN_RATIO = 0.97
"""Computed in the paper from averages over its eight problems."""
GOALS = {"ratio": 1.0, "adult": 0.7, "smaller": 1_000, "faster_1": 1_000, "faster_10000": 100}

PROBLEMS = ("adult", "covtype", "letter.p1", "letter.p2", "magic", "credit_default", "heart")
FILES = {"covtype": "covertype_20k", "letter.p1": "letter", "letter.p2": "letter", "heart": "heart_cleveland"}
SOURCES = {"RANDOM": Marginals(), "NBE": NaiveBayes()}
SEED = 0


@dataclass(frozen=True)
class Scale:
    """How much work: queries, steps of a fit, the library."""

    queries: int
    baseline_queries: int
    curve: tuple[int, ...]
    steps: int
    curve_steps: int
    tuning: int
    library: str
    width: int


FULL = Scale(400_000, 100_000, (4_000, 20_000, 100_000, 400_000), 8_000, 3_000, 4_000, "default", 128)
QUICK = Scale(20_000, 8_000, (4_000, 20_000), 1_500, 800, 1_000, "small", 64)


@dataclass(frozen=True)
class Problem:
    """Rows, 0/1 labels, and which rows are trained on, selected on, and tested on."""

    name: str
    table: Table
    y: np.ndarray
    train: np.ndarray
    select: np.ndarray
    test: np.ndarray

    def rows(self, part: str) -> Table:
        return self.table.take(getattr(self, part))

    def truth(self, part: str) -> np.ndarray:
        return self.y[getattr(self, part)]


def say(*parts: object) -> None:
    print(*parts, flush=True)


def read_problem(name: str) -> Problem:
    found = datasets.load(FILES.get(name, name))
    frame = found.frame.copy()
    target = found.target if isinstance(found.target, str) else found.target[0]
    # heart lacks six values in two columns of numbers; adult's are levels of their own
    frame = datasets.mend_missing(frame, "drop" if name == "heart" else "level", target=(target,))
    labels = frame.pop(target)
    if name == "letter.p1":
        y = labels == "O"
    elif name == "letter.p2":
        y = labels.isin(list("ABCDEFGHIJKLM"))
    elif name == "covtype":
        y = labels == labels.value_counts().index[0]
        frame = joined_indicators(frame)
    elif name == "heart":
        y = labels.astype(int) > 0
    else:
        y = labels == labels.value_counts().index[-1]
    table = Table.read(frame)
    order = np.random.default_rng(SEED).permutation(len(table))
    a, b = (4_000, 1_000) if len(table) > 6_000 else (len(table) // 2, len(table) // 6)
    return Problem(name, table, np.asarray(y).astype(int), order[:a], order[a : a + b], order[a + b :])


def joined_indicators(frame: Any) -> Any:
    """Covertype's 44 indicators as what they are: one column of areas and one of soils."""
    out = frame.copy()
    for start in ("Wilderness_Area", "Soil_Type"):
        columns = [column for column in frame.columns if column.startswith(start)]
        out = out.drop(columns=columns)
        out[start] = np.array(columns, dtype=object)[frame[columns].to_numpy().argmax(axis=1)]
    return out


def rmse(p: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((p - y) ** 2)))


# One problem


class Run:
    """All cells of one problem; what is in the journal is not done again."""

    def __init__(self, problem: Problem, scale: Scale, folder: Path, jobs: int = 1) -> None:
        self.problem, self.scale, self.folder, self.jobs = problem, scale, folder, jobs
        self.journal = Journal(folder.parent / f"{folder.parent.name}.sqlite")
        self._ensemble: EnsembleSelection | None = None

    def cell(self, name: str, function: Any) -> Any:
        start = time.perf_counter()
        key = {"problem": self.problem.name, "cell": name}
        fresh = key not in self.journal
        value = self.journal.cell(key, function)
        if fresh:
            say(f"{self.problem.name}: {name} {value if isinstance(value, float) else ''} {clock(start)}")
        return value

    @property
    def ensemble(self) -> EnsembleSelection:
        """The teacher; fitted again, with the same answers, where a run goes on."""
        if self._ensemble is None:
            start, p = time.perf_counter(), self.problem
            model = EnsembleSelection(self.scale.library, n_bags=5, random_state=SEED, n_jobs=self.jobs)
            held = (p.rows("select"), p.truth("select"))
            self._ensemble = model.fit(p.rows("train"), p.truth("train"), validation_data=held)
            say(f"{p.name}: ensemble of {len(model.weights_)} models, {model.n_trees_:,} trees, {clock(start)}")
            known = self.journal.get({"problem": p.name, "cell": "ensemble"})
            if known is not None:
                answers = model.predict_proba(p.rows("select"))[:, 1]
                if not np.allclose(answers, known["own"]["select"], atol=1e-9):
                    raise SystemExit(f"{p.name}: another ensemble than the one in the journal; give another --out")
        return self._ensemble

    def teacher(self) -> Any:
        return as_teacher(self.ensemble, rows=self.problem.rows("train"))

    def measure_ensemble(self) -> dict[str, Any]:
        p, model = self.problem, self.ensemble
        best = model.best_single_estimator_.predict_proba(p.rows("test").values)[:, 1]
        return {
            "ensemble": rmse(model.predict_proba(p.rows("test"))[:, 1], p.truth("test")),
            "single": rmse(best, p.truth("test")),
            "single_name": model.best_single_,
            "trees": model.n_trees_,
            "models": len(model.weights_),
            "own": {part: model.predict_proba(p.rows(part))[:, 1].tolist() for part in ("train", "select")},
        }

    def tune(self) -> dict[str, Any]:
        p = self.problem
        munge, tried = tune_munge(
            p.rows("train"),
            self.teacher(),
            p.rows("select"),
            n_queries=self.scale.tuning,
            ps=(0.2, 0.5),
            ss=(1.0, 3.0, 10.0),
            seed=SEED,
            n_jobs=1,
        )
        return {"p": munge.p, "s": munge.s, "tried": tried[["p", "s", "rmse"]].to_dict("records")}

    def source(self, name: str) -> Any:
        if name != "MUNGE":
            return SOURCES[name]
        tuned = self.cell("p and s", self.tune)
        return Munge(tuned["p"], tuned["s"])

    def answers(self, name: str) -> Any:
        """The ensemble's answers to queries, asked where they are not on disk yet."""
        folder = self.folder / name

        def label() -> int:
            m = self.scale.queries if name == "MUNGE" else self.scale.baseline_queries
            queries = stream(self.source(name), self.problem.rows("train"), m, SEED, exclude=self.outside())
            ask(queries, self.teacher(), folder)
            return m

        self.cell(f"{name} answered", label)
        return read_answers(folder)

    def outside(self) -> Table:
        """The rows that no query may equal."""
        return self.problem.table.take(np.concatenate([self.problem.select, self.problem.test]))

    # Students

    def net(self) -> dict[str, Any]:
        """The best network on the rows alone: true labels, stopped and chosen by the truth of the 1,000 rows."""
        p, tried = self.problem, []
        Y = np.eye(2)[p.truth("select")]
        for hidden in ((256,), (128, 128)):
            for decay in (1e-4, 0.1):
                model = NetworkClassifier(
                    hidden, max_epochs=100, learning_rate=0.003, weight_decay=decay, random_state=SEED
                ).fit(p.rows("train"), p.truth("train"), validation=(p.rows("select"), Y))
                on_select = rmse(model.predict_proba(p.rows("select"))[:, 1], p.truth("select"))
                tried.append((on_select, rmse(model.predict_proba(p.rows("test"))[:, 1], p.truth("test")), str(hidden)))
        return {"rmse": min(tried)[1], "hidden": min(tried)[2]}

    def fit(self, parts: Any, m: int, steps: int) -> NetworkClassifier:
        """A student on `m` queries and the rows, with the ensemble's answers, stopped by its answers to the 1,000."""
        p, own = self.problem, self.cell("ensemble", self.measure_ensemble)["own"]
        soft = {part: np.column_stack([1 - np.array(v), v]) for part, v in own.items()}
        n = m + len(p.train)
        model = NetworkClassifier(
            (self.scale.width,) * 3,
            max_epochs=max(1, math.ceil(steps * batch_size(n) / n)),
            learning_rate=0.02,
            weight_decay=0.01,
            embedding_dims="auto",
            quantize="int8",
            random_state=SEED,
        )
        weights = np.full(len(p.train), max(1.0, 0.05 * m / len(p.train)))
        return model.fit(
            p.rows("train"),
            None,
            y_soft=soft["train"],
            classes=[0, 1],
            sample_weight=weights,
            stream=First(parts, m),
            validation=(p.rows("select"), soft["select"]),
        )

    def test_rmse(self, model: NetworkClassifier) -> float:
        return rmse(model.predict_proba(self.problem.rows("test"))[:, 1], self.problem.truth("test"))

    def point(self, name: str, m: int) -> float:
        return self.test_rmse(self.fit(self.answers(name), m, self.scale.curve_steps))

    def student(self) -> dict[str, Any]:
        start = time.perf_counter()
        model = self.fit(self.answers("MUNGE"), self.scale.queries, self.scale.steps)
        seconds = time.perf_counter() - start
        own = np.array(self.cell("ensemble", self.measure_ensemble)["own"]["select"])
        write_file(self.folder / "student.safetensors", pack(model.readable_))
        return {
            "rmse": self.test_rmse(model),
            "from_ensemble": rmse(model.predict_proba(self.problem.rows("select"))[:, 1], own),
            "seconds": seconds,
        }

    def bill(self) -> dict[str, Any]:
        """Measured at the end, and best with nothing else running: what shares a core is not slowed alike."""
        student = unpack((self.folder / "student.safetensors").read_bytes())
        return measure_bill(self.teacher(), {"student": student}, self.problem.rows("test"), seconds=2.0)

    def ask_all(self) -> None:
        """Everything that needs the ensemble's answers."""
        self.cell("ensemble", self.measure_ensemble)
        for name in ("MUNGE", *SOURCES):
            self.answers(name)

    def all(self) -> None:
        self.ask_all()
        self.cell("net", self.net)
        self.cell("student", self.student)
        for name in ("MUNGE", *SOURCES):
            most = self.scale.queries if name == "MUNGE" else self.scale.baseline_queries
            for m in self.scale.curve:
                if m <= most:
                    self.cell(f"{name} {m}", lambda name=name, m=m: self.point(name, m))


@dataclass(frozen=True)
class First:
    """The first rows of a stream of answers."""

    parts: Any
    rows: int

    def __iter__(self) -> Iterator[tuple[Table, np.ndarray]]:
        left = self.rows
        for table, answers in self.parts:
            if left <= 0:
                return
            take = min(left, len(table))
            yield (table, answers) if take == len(table) else (table.take(np.arange(take)), answers[:take])
            left -= take


def clock(start: float) -> str:
    return f"({time.perf_counter() - start:.0f} s)"


# Bounded memory


def measure_stream(rows: int, folder: Path) -> None:
    """The peak of the process's memory while a network is trained on `rows` answered queries that lie on disk."""
    import resource

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3

    X = np.random.default_rng(0).normal(size=(4_000, 20))
    queries = stream(Munge(), X, rows, SEED)
    start = time.perf_counter()
    answers = ask(queries, lambda rows: np.sin(rows[:, 0]) * rows[:, 1] + rows[:, 2], folder / f"stream_{rows}")
    whole = 8e-6 * 21 * rows
    say(f"{rows:,} rows of 20 numbers answered {clock(start)}, peak {peak():,.0f} MB; all at once {whole:,.0f} MB")
    before, start = peak(), time.perf_counter()
    model = NetworkRegressor((64, 64), max_epochs=2, random_state=SEED)
    model.fit(X, np.sin(X[:, 0]) * X[:, 1] + X[:, 2], stream=answers)
    say(f"two passes over all of them {clock(start)}, peak {peak():,.0f} MB, {peak() - before:,.0f} more than before")


# The tables


def found_cells(folder: Path, problems: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    journal = Journal(folder / f"{folder.name}.sqlite")
    names = ["ensemble", "net", "student", "p and s", "bill"]
    names += [f"{source} {m}" for source in ("MUNGE", *SOURCES) for m in (*QUICK.curve, *FULL.curve)]
    out = {}
    for problem in problems:
        cells = {name: journal.get({"problem": problem, "cell": name}) for name in names}
        out[problem] = {name: value for name, value in cells.items() if value is not None}
    return out


def best_baseline(cells: dict[str, Any], name: str) -> float:
    """RMSE with the most queries of a baseline that were asked."""
    sizes = sorted(int(key.split()[1]) for key in cells if key.startswith(f"{name} ") and key.split()[1].isdigit())
    return cells[f"{name} {sizes[-1]}"] if sizes else float("nan")


def ratio(cells: dict[str, Any]) -> float:
    net, ensemble = cells["net"]["rmse"], cells["ensemble"]["ensemble"]
    return (net - cells["student"]["rmse"]) / (net - ensemble)


def print_tables(folder: Path, problems: tuple[str, ...]) -> None:
    every = found_cells(folder, problems)
    whole = {name: cells for name, cells in every.items() if {"ensemble", "net", "student"} <= set(cells)}
    if not whole:
        say("nothing is finished yet")
        return
    say("\nRMSE on test rows (published figures: other rows, other splits)\n")
    say("| problem | student | ensemble | net | best single | RANDOM | NBE | ratio | p, s | published ratio |")
    say("|---|---|---|---|---|---|---|---|---|---|")
    for name, cells in whole.items():
        row = [
            cells["student"]["rmse"],
            cells["ensemble"]["ensemble"],
            cells["net"]["rmse"],
            cells["ensemble"]["single"],
        ]
        row += [best_baseline(cells, source) for source in SOURCES]
        said = PUBLISHED.get(name)
        theirs = "" if said is None else f"{(said['net'] - said['student']) / (said['net'] - said['ensemble']):.2f}"
        tuned = cells.get("p and s", {"p": math.nan, "s": math.nan})
        figures = " | ".join(f"{value:.4f}" for value in row)
        say(f"| {name} | {figures} | {ratio(cells):.2f} | {tuned['p']:g}, {tuned['s']:g} | {theirs} |")
    print_curves(whole)
    print_bill(whole)
    say("\n" + "\n".join(verdict(whole)))


def print_curves(whole: dict[str, dict[str, Any]]) -> None:
    say("\nRMSE against the number of queries, a shorter training\n")
    sizes = sorted({int(key.split()[1]) for cells in whole.values() for key in cells if key[-1:].isdigit()})
    say("| problem | queries | " + " | ".join(f"{m:,}" for m in sizes) + " |")
    say("|---|---|" + "---|" * len(sizes))
    for name, cells in whole.items():
        for source in ("MUNGE", *SOURCES):
            values = [cells.get(f"{source} {m}") for m in sizes]
            figures = " | ".join("" if value is None else f"{value:.4f}" for value in values)
            say(f"| {name} | {source} | {figures} |")


def ratios(cells: dict[str, Any], form: str) -> dict[str, float]:
    found = [one for one in cells["bill"]["ratios"] if one["form"].startswith(form)]
    return found[0] if found else {}


def print_bill(whole: dict[str, dict[str, Any]]) -> None:
    say("\nThe bill: one thread each; the ensemble by its own call, the student by NumPy (in brackets: compiled C)\n")
    say(
        "| problem | trees, models | ensemble, MB | student, kB | smaller | one row, ms | faster "
        "| 10,000 rows, s | faster |"
    )
    say("|---|---|---|---|---|---|---|---|---|")
    for name, cells in whole.items():
        if "bill" not in cells:
            continue
        entries = cells["bill"]["entries"]
        teacher = next(entry for entry in entries if entry["name"] == "teacher")
        student = next(entry for entry in entries if entry["name"] == "student" and entry["form"] == "NumPy")
        plain, c = ratios(cells, "NumPy"), ratios(cells, "C")
        say(
            f"| {name} | {cells['ensemble']['trees']:,}, {cells['ensemble']['models']} "
            f"| {number(teacher['bytes'], 1e6)} | {number(student['bytes'], 1e3)} | {times(plain, 'smaller')} "
            f"| {number(teacher['microseconds_1'], 1e3)} | {times(plain, 'faster_1')} ({times(c, 'faster_1')}) "
            f"| {number(teacher['milliseconds_10000'], 1e3)} "
            f"| {times(plain, 'faster_10000')} ({times(c, 'faster_10000')}) |"
        )


def number(value: float | None, unit: float) -> str:
    return "-" if value is None else f"{value / unit:,.3g}"


def times(found: dict[str, Any], which: str) -> str:
    return "-" if found.get(which) is None else f"{found[which]:,.0f}x"


def verdict(whole: dict[str, dict[str, Any]]) -> list[str]:
    """One line a goal."""
    own = {name: ratio(cells) for name, cells in whole.items()}
    mean = float(np.mean(list(own.values())))
    lines = [line(mean >= GOALS["ratio"], f"mean of the ratios {mean:.2f} over {len(own)} problems", "1.0")]
    lines[0] += f"; published {PUBLISHED_MEAN_RATIO}, from averages"
    if "adult" in own:
        lines.append(line(own["adult"] >= GOALS["adult"], f"adult {own['adult']:.2f}", "0.7; published .27"))
    for which in ("smaller", "faster_1", "faster_10000"):
        values = [ratios(cells, "NumPy").get(which) for cells in whole.values() if "bill" in cells]
        known = [value for value in values if value is not None]
        middle = float(np.median(known)) if known else math.nan
        lines.append(line(middle >= GOALS[which], f"median {which} {middle:,.0f}x", f"{GOALS[which]:,}x"))
    return lines


def line(passed: bool, found: str, goal: str) -> str:
    return f"{'PASS' if passed else 'FAIL'}  {found} (goal {goal})"


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", default=",".join(PROBLEMS), help="which, with commas")
    parser.add_argument("--quick", action="store_true", help="few queries, a small library")
    parser.add_argument("--ask", action="store_true", help="only the ensembles and their answers")
    parser.add_argument("--no-bill", action="store_true", help="leave the bill for a call without this, alone")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the library of an ensemble")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/bench"), help="the folder of the journal and the answers"
    )
    parser.add_argument("--stream", type=int, help="only the memory that so many rows on disk take in training")
    given = parser.parse_args()
    if given.stream:
        measure_stream(given.stream, given.out / "compression_stream")
        return
    problems = tuple(given.problems.split(","))
    folder = given.out / ("compression_quick" if given.quick else "compression")
    if not given.table:
        for name in problems:
            run = Run(read_problem(name), QUICK if given.quick else FULL, folder / name, given.jobs)
            run.ask_all() if given.ask else run.all()
            if not (given.ask or given.no_bill):
                run.cell("bill", run.bill)
    print_tables(folder, problems if not given.table else PROBLEMS)


if __name__ == "__main__":
    main()
