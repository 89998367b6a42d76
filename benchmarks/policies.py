"""Policies into programs: what a tree or a few readable lines score beside the network they were searched from.

Every player plays the same 30 episodes, which chose nothing. Teachers are the files in ``benchmarks/teachers``; for
each teacher and search seed there are two cells of work: a search of programs by playing (`--budget` seconds), and
trees on columns, differences and oblique splits by DAgger with VIPER's weights (Bastani2018) beside plain cloning.
What a verdict is about (say, the best program of at most eight lines) is chosen by the search's own episodes.

    make bench NAME=policies                                    # hours on two cores; goes on where it ended
    make bench NAME=policies ARGS="--only breakout --seeds 3"   # three searches for each of its teachers
    make bench NAME=policies ARGS="--only cartpole --budget 30"
    make bench NAME=policies ARGS="--table"                     # only print what is there

A search ends by the clock, so what it finds depends on how free the cores are: two free ones do about 3,000 steps of
Breakout a second. With ``--steps 800000`` it ends after about as many as 300 seconds allow there, however fast the
machine is. Progress goes to the standard error.

Every finished cell lies in a journal under ``runs/bench``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from limbeck._core.journal import Journal
from limbeck._core.seeds import draw_seeds
from limbeck.policies import as_environment, as_policy
from limbeck.policies._dagger import TeacherActs
from limbeck.policies._episodes import play_many
from limbeck.policies._policy_checks import RandomActs
from limbeck.policies._policy_students import Search
from limbeck.policies._program_search import MOST_STEPS
from limbeck.readable._readable import readable_from_dict

PUBLISHED: dict[str, float] = {}
"""Other papers play other variants of these games (pixels, other frame skips): nothing is compared with them."""
FINAL_SEEDS = range(7_000, 7_030)
"""They choose no program and no teacher; most versions of the search before were looked at on others."""
TEACHERS = Path(__file__).parent / "teachers"
TREES = ("tree", "oblique_tree", "cloned_tree")
TREES_SECONDS = 150.0
NO_CLOCK = 36_000.0
SHOWN_LEAVES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Hand:
    """A line that a person wrote: above `high` one action, below `low` another, else the third."""

    weights: tuple[float, ...]
    low: float
    high: float
    below: int
    above: int
    otherwise: int

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The actions ``(n,)``."""
        d = rows @ np.array(self.weights)
        return np.where(d > self.high, self.above, np.where(d < self.low, self.below, self.otherwise))


@dataclass(frozen=True)
class Game:
    """An environment, its teachers, and the line by hand."""

    env: str
    teachers: tuple[str, ...]
    hand: Hand | None = None
    goals: tuple[Callable[[list[Run]], str], ...] = ()
    tree_goals: tuple[Callable[[list[Run]], str], ...] = ()


@dataclass
class Run:
    """What one teacher and one search seed gave: returns by player, and the students by group."""

    teacher: str
    seed: int
    returns: dict[str, np.ndarray] = field(default_factory=dict)
    students: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    steps: int | None = None
    """What ended the search of programs, where it was not the clock."""

    def programs(self, most_lines: int) -> list[dict[str, Any]]:
        """The programs of at most so many lines."""
        return [one for one in self.students.get("programs", []) if one["n_lines"] <= most_lines]

    def trees(self, most_leaves: int) -> list[dict[str, Any]]:
        """The trees of DAgger with at most so many leaves, axis and oblique."""
        trees = [one for one in self.students.get("trees", []) if not one["name"].startswith("cloned")]
        return [one for one in trees if one["n_leaves"] <= most_leaves]

    def share(self, player: dict[str, Any] | None) -> float:
        """The part of the teacher's lead over the random policy that a student keeps."""
        random = float(self.returns["random"].mean())
        return (mean_of(player) - random) / (float(self.returns["teacher"].mean()) - random)

    def ratio(self, player: dict[str, Any] | None) -> float:
        """A student's mean return over the teacher's."""
        return mean_of(player) / float(self.returns["teacher"].mean())


def mean_of(student: dict[str, Any] | None) -> float:
    return float("nan") if student is None else float(np.mean(student["returns"]))


def chosen(students: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The one that scored most in the search's own episodes."""
    return max(students, key=lambda one: float(one["search_return"]), default=None)


def said(passed: bool, text: str) -> str:
    return f"{'PASS' if passed else 'FAIL'}  {text}"


def watched(start: float) -> Callable[[str, int, int], None]:
    """The progress of a search, a line each."""

    def report(what: str, done: int, total: int) -> None:
        print(f"{time.monotonic() - start:6.0f} s  {what} {done} of {total}", file=sys.stderr, flush=True)

    return report


# Goals: each a function of the runs that are done


def breakout_line(runs: list[Run]) -> str:
    ratios = [run.ratio(chosen(run.programs(1))) for run in runs]
    seconds = max(run.seconds.get("programs", 0.0) for run in runs)
    middle = statistics.median(ratios)
    text = f"one line over the teacher's return: median {middle:.2f}, worst {min(ratios):.2f} of {len(ratios)} searches"
    if all(run.steps for run in runs):
        return said(middle >= 0.95, f"{text} of {max(run.steps or 0 for run in runs):,} steps (goal 0.95)")
    return said(middle >= 0.95 and seconds <= 315.0, f"{text}, the longest {seconds:.0f} s (goal 0.95, 300 s)")


def breakout_tree(runs: list[Run]) -> str:
    ratios = [run.ratio(chosen(run.trees(64))) for run in runs]
    middle = statistics.median(ratios)
    return said(middle >= 0.85, f"tree of at most 64 leaves: median {middle:.2f}, worst {min(ratios):.2f} (goal 0.85)")


def cartpole_comparisons(runs: list[Run]) -> str:
    means = [mean_of(chosen(one for one in run.programs(2) if one["n_comparisons"] <= 2)) for run in runs]
    return said(min(means) >= 495.0, f"at most 2 comparisons: {', '.join(f'{m:.1f}' for m in means)} (goal 495)")


def line_near_teacher(runs: list[Run]) -> str:
    parts, passed = [], True
    for run in runs:
        own, teacher = mean_of(chosen(run.programs(1))), run.returns["teacher"]
        error = float(teacher.std(ddof=1) / np.sqrt(len(teacher)))
        passed &= own >= float(teacher.mean()) - error
        parts.append(f"{own:.1f} against {teacher.mean():.1f} (standard error {error:.1f})")
    return said(passed, f"one line {', '.join(parts)} (goal: within one standard error, or better)")


def lander_lines(runs: list[Run]) -> str:
    best = [chosen(run.programs(8)) for run in runs]
    text = ", ".join(f"{mean_of(one):.0f} with {one['n_lines'] if one else '-'}" for one in best)
    return said(all(mean_of(one) >= 200.0 for one in best), f"a program of at most 8 lines: {text} lines (goal 200)")


def pong_line(runs: list[Run]) -> str:
    shares = [run.share(chosen(run.programs(1))) for run in runs]
    middle = statistics.median(shares)
    return said(middle >= 0.95, f"one line, (return - random) / (teacher - random): {middle:.2f} (goal 0.95)")


def pong_lines(runs: list[Run]) -> str:
    leads = [mean_of(chosen(run.programs(3))) - float(run.returns["teacher"].mean()) for run in runs]
    text = ", ".join(f"{lead:+.1f}" for lead in leads)
    return said(min(leads) > 0.0, f"a program of at most 3 lines against its teacher: {text} (goal: above it)")


GAMES = {
    "breakout": Game(
        "limbeck/Breakout-v0",
        ("breakout-0", "breakout-1", "breakout-2"),
        Hand((1, 0, -1, 2, 0, -1), -3.5, 20.5, 2, 1, 0),
        (breakout_line,),
        (breakout_tree,),
    ),
    "pong": Game(
        "limbeck/Pong-v0", ("pong-1",), Hand((0, 1, -1, 0, 0, 2, -0.5), -2.0, 2.0, 1, 2, 0), (pong_line, pong_lines)
    ),
    "lunarlander": Game("LunarLander-v3", ("lunarlander-0",), None, (lander_lines,)),
    "cartpole": Game("CartPole-v1", ("cartpole-0",), Hand((0, 0, 1, 1), 0.0, 0.0, 0, 1, 0), (cartpole_comparisons,)),
    "acrobot": Game("Acrobot-v1", ("acrobot-0",), None, (line_near_teacher,)),
    "mountaincar": Game("MountainCar-v0", ("mountaincar-0",), Hand((0, 1), 0.0, 0.0, 0, 2, 1), (line_near_teacher,)),
}


class Work:
    """One environment's cells: those that the journal has, or, unless only read, those that are done now."""

    def __init__(self, name: str, journal: Journal, given: argparse.Namespace) -> None:
        self.name, self.game, self.journal, self.given = name, GAMES[name], journal, given
        self.environment = as_environment(self.game.env)

    def cell(self, what: dict[str, Any], function: Callable[[], Any]) -> Any:
        key = {"environment": self.name, **what}
        if self.given.table or key in self.journal:
            return self.journal.get(key)
        value = self.journal.cell(key, function)
        print(f"{self.name}: {what} done", flush=True)
        return value

    def played(self, what: dict[str, Any], acts: list[Any]) -> list[list[float]] | None:
        """The returns of each player on the final episodes."""
        jobs = 1 if len(acts) == 1 else self.given.jobs  # one player keeps its own draws in order

        def play() -> list[list[float]]:
            return [one.returns.tolist() for one in play_many(self.environment, acts, FINAL_SEEDS, n_jobs=jobs)]

        return self.cell({**what, "part": "played", "first": FINAL_SEEDS[0]}, play)

    def found(self, students: tuple[str, ...], budget: float, teacher: str, seed: int) -> dict[str, Any] | None:
        """The students of a search, as documents."""

        def search() -> dict[str, Any]:
            policy = as_policy(TEACHERS / f"{teacher}.safetensors", self.environment)
            start = time.monotonic()
            seeds = draw_seeds(seed, 2 + len(students))
            bound = self.bound(students, budget)
            seconds, steps = bound.get("budget", NO_CLOCK), int(bound.get("steps", MOST_STEPS))
            work = Search(self.environment, policy, (), self.given.jobs, watched(start), seeds, seconds, steps)
            work.look(students, len(FINAL_SEEDS))
            work.find(students)
            own = [
                {"name": one.name, "readable": one.readable.to_dict(), "search_return": one.search_return}
                for one in work.found
            ]
            return {"students": own, "notes": work.notes, "seconds": time.monotonic() - start}

        key = {"students": list(students), "teacher": teacher, "seed": seed, **self.bound(students, budget)}
        return self.cell({"part": "search", **key}, search)

    def bound(self, students: tuple[str, ...], budget: float) -> dict[str, float]:
        """What ends a search."""
        by_steps = self.given.steps is not None and students == ("program",)
        return {"steps": self.given.steps} if by_steps else {"budget": budget}

    def run(self, teacher: str, seed: int) -> Run | None:
        """All players of a teacher and a search seed; None where the teacher has not played."""
        policy = as_policy(TEACHERS / f"{teacher}.safetensors", self.environment)
        made = Run(teacher, seed, steps=self.given.steps)
        players = {
            "teacher": ({"who": teacher}, TeacherActs(policy, len(self.environment.columns))),
            "random": ({"who": "random"}, RandomActs(len(self.environment.actions), 0)),
        }
        if self.game.hand is not None:
            players["by hand"] = ({"who": "by hand"}, self.game.hand)
        for who, (what, act) in players.items():
            returns = self.played(what, [act])
            if returns is None:
                return None
            made.returns[who] = np.array(returns[0])
        groups = {"programs": (("program",), self.given.budget), "trees": (TREES, self.given.trees)}
        for group, (students, budget) in groups.items():
            if group in self.given.parts:
                self._students(made, group, students, budget)
        return made

    def _students(self, made: Run, group: str, students: tuple[str, ...], budget: float) -> None:
        found = self.found(students, budget, made.teacher, made.seed)
        if found is None:
            return
        readables = [readable_from_dict(one["readable"]) for one in found["students"]]
        bound = self.bound(students, budget)
        what = {"who": list(students), "teacher": made.teacher, "seed": made.seed, **bound}
        returns = self.played(what, [readable.act for readable in readables])
        if returns is None:
            return
        made.seconds[group] = found["seconds"]
        made.students[group] = [
            {
                "name": one["name"],
                "returns": own,
                "search_return": one["search_return"],
                "text": readable.text(),
                "n_lines": getattr(readable, "n_lines", None),
                "n_leaves": getattr(readable, "n_leaves", None),
                "n_comparisons": readable.n_comparisons,
            }
            for one, readable, own in zip(found["students"], readables, returns, strict=True)
        ]


# Tables


def row(run: Run, name: str, returns: np.ndarray, search: str = "", seconds: str = "") -> str:
    mean, error = float(np.mean(returns)), float(np.std(returns, ddof=1) / np.sqrt(len(returns)))
    share = run.share({"returns": returns})
    return f"| {name} | {mean:.1f} ± {error:.1f} | {np.min(returns):.1f} | {share:.2f} | {search} | {seconds} |"


def printed(run: Run) -> list[str]:
    """The table of one teacher and search seed, and its smallest programs."""
    lines = [
        f"### {run.teacher}, search seed {run.seed}",
        "",
        "| player | return ± standard error | worst | share of the lead | in the search | seconds of search |",
        "|---|---|---|---|---|---|",
        *(row(run, who, returns) for who, returns in run.returns.items()),
    ]
    for group, students in run.students.items():
        seconds = f"{run.seconds[group]:.0f}"
        lines += [
            row(run, one["name"], np.array(one["returns"]), f"{one['search_return']:.1f}", seconds) for one in students
        ]
    texts = [f"{one['name']}:\n\n```\n{one['text']}\n```" for one in run.students.get("programs", [])]
    return [*lines, "", *texts, ""]


def main() -> None:
    """Search, play and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(GAMES), help="one of the environments")
    parser.add_argument("--teachers", help="of its teachers only these, as breakout-0,breakout-2")
    parser.add_argument("--seeds", type=int, default=1, help="searches for each teacher")
    parser.add_argument("--parts", default="programs,trees")
    parser.add_argument("--budget", type=float, default=300.0, help="seconds of a search of programs")
    parser.add_argument("--steps", type=int, help="a search of programs ends after so many steps, not by the clock")
    parser.add_argument("--trees", type=float, default=TREES_SECONDS, help="seconds for the trees")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="only print what the journal has")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="the folder of the journal")
    given = parser.parse_args()
    with Journal(given.out / "policies.sqlite") as journal:
        for name, game in GAMES.items():
            if given.only not in (None, name):
                continue
            work = Work(name, journal, given)
            teachers = given.teachers.split(",") if given.teachers else game.teachers
            runs = [work.run(teacher, seed) for seed in range(given.seeds) for teacher in teachers]
            report(name, [run for run in runs if run is not None])


def report(name: str, runs: list[Run]) -> None:
    print(f"\n## {name}\n")
    for run in runs:
        print("\n".join(printed(run)))
    for group, goals in (("programs", GAMES[name].goals), ("trees", GAMES[name].tree_goals)):
        searched = [run for run in runs if group in run.students]
        for goal in goals:
            print(f"{name}: {goal(searched)}" if searched else f"FAIL  {name}, {group}: no search has run")


if __name__ == "__main__":
    main()
