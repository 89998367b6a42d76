"""Does distilling help a formula, and does a smooth teacher help it more? The published fragments beside ours.

Source: Dhar2025. The protocol is `limbeck._study_trial`'s, the verdict `limbeck._study_verdict`'s: paired splits, one
budget for all arms, a control that fits the formula straight to y, Holm over the sets.

    make bench NAME=smooth_teachers                            # 20 sets x 50 trials: hours; goes on where it ended
    make bench NAME=smooth_teachers ARGS="--quick"             # 5 sets x 5 trials, about 10 minutes on two cores
    make bench NAME=smooth_teachers ARGS="--table"             # only print what is there
    make bench NAME=smooth_teachers ARGS="--queries 2000 --max-rows 150 --out runs/bench/smooth_teachers_few"

The last asks where a teacher could help most: few rows, many queries. Every finished trial is kept in a journal in the
folder, with study.json and report.html beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from limbeck._study import Study, read_study, study_smooth_teachers
from limbeck.cli._study import print_study

PUBLISHED = {"airfoil": 0.387, "grid_stability": 0.681, "real_estate": 0.499, "ai4i2020": 0.626}
"""Fragments of the paper's mean R2 of distilled formulas; the method, the splits and ai4i2020's target are unstated."""


def published_lines(sets: list[dict[str, Any]]) -> list[str]:
    """The published figures beside ours, with the arm that is best in our table, and where ours is worse."""
    lines = ["published fragments (method unstated) beside our means of R2 on test rows:"]
    for one in sets:
        means = {arm: found["r2"]["mean"] for arm, found in one["arms"].items() if found["r2"]["mean"] is not None}
        if one["name"] not in PUBLISHED or not means:
            continue
        ours = ", ".join(f"{arm} {mean:.3f}" for arm, mean in means.items())
        theirs = PUBLISHED[one["name"]]
        word = "above the published figure" if max(means.values()) >= theirs else "WORSE than the published figure"
        lines.append(f"  {one['name']:15s} published {theirs:.3f}; {ours} ({one['trials']} trials): {word}")
    return lines


def run(given: argparse.Namespace) -> Study:
    """The study, gone on with where the folder has one."""
    return study_smooth_teachers(
        None if given.sets is None else given.sets.split(","),
        None if given.quick else given.trials,
        folder=given.out,
        resume=(given.out / "study.sqlite").is_file(),
        quick=given.quick,
        n_queries=given.queries,
        max_rows=given.max_rows,
        n_jobs=given.jobs,
        progress=True,
    )


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="five sets and five trials")
    parser.add_argument("--sets", help="some of the sets, with commas")
    parser.add_argument("--trials", type=int, help="trials a set; by default 50, or as many as there are")
    parser.add_argument("--queries", type=int, help="rows that each teacher labels beside the train rows")
    parser.add_argument("--max-rows", type=int, help="the most rows of a set that a trial draws")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--out", type=Path, help="the folder of the journal; by default under runs/bench")
    given = parser.parse_args()
    if given.out is None:
        given.out = Path("runs/bench") / ("smooth_teachers_quick" if given.quick else "smooth_teachers")
    study = read_study(given.out) if given.table else run(given)
    if not given.table:
        study.save()
        study.report()
    print_study(study)
    print("\n".join(["", *published_lines(study.document["sets"])]))


if __name__ == "__main__":
    main()
