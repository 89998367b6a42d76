"""``limbeck study``: a question put to many tables, by a protocol that can say no."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli._options import Jobs, Quiet
from limbeck.cli._runs import names_in

if TYPE_CHECKING:
    from limbeck._study import Study

__all__ = ["app", "print_study"]

app = typer.Typer(no_args_is_help=True, help="Put a question to many tables, by a protocol that can say no.")

ARMS = ("direct", "plain", "jacobian", "lipschitz")
QUESTIONS = (("plain", "direct"), ("jacobian", "plain"), ("lipschitz", "plain"))


@app.callback()
def _root() -> None:
    """Put a question to many tables, by a protocol that can say no."""


@app.command("smooth-teachers")
def smooth_teachers(
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the study in the folder.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Five sets, five trials: too few to decide anything.")] = False,
    sets: Annotated[str | None, typer.Option(help="Some of the study's 20 sets, with commas.")] = None,
    trials: Annotated[
        int | None, typer.Option(help="Trials a set; absent: 50, or as many as there are.", min=1)
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the journal and the results.")] = Path("runs/study"),
    queries: Annotated[
        int | None, typer.Option(help="Rows that each teacher labels beside the train rows; absent: none.", min=0)
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(help="The most rows of a set that a trial draws; absent: 2,000.", min=40)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The study's seed; absent: 0.", min=0)] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run the trials again that failed.")] = False,
    jobs: Jobs = -1,
    as_json: Annotated[bool, typer.Option("--json", help="Print study.json and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Does distilling help a formula, and does a smooth teacher help it more? Go on after a kill with --resume."""
    from limbeck._core.errors import LimbeckError
    from limbeck._study import study_smooth_teachers as run

    study = run(
        None if sets is None else names_in(sets),
        trials,
        folder=out,
        resume=resume,
        quick=quick,
        n_queries=queries,
        max_rows=max_rows,
        retry_failed=retry_failed,
        random_state=seed,
        n_jobs=jobs,
        progress=not (quiet or as_json),
    )
    study.save()
    study.report()
    if as_json:
        typer.echo(json.dumps(study.document, ensure_ascii=False))
    else:
        print_study(study)
        typer.echo(f"\n{out / 'study.json'}, {out / 'report.html'}")
    progress = study.document["progress"]
    if progress["failed"] and not progress["done"]:
        raise LimbeckError(f"every trial failed, the first with: {progress['failed'][0]['what']}")
    if not study.complete:
        typer.echo("interrupted: the study holds what was done by then; go on with --resume", err=True)
        sys.exit(130)


def print_study(study: Study) -> None:
    """Print the table a set, the answers over all sets, and the verdict."""
    from rich.console import Console

    console = Console(width=None if Console().is_terminal else 160)
    console.print(_sets_table(study.document["sets"]))
    console.print("R2 on test rows' true y, means over the trials; * after Holm's correction over the sets p < 0.05\n")
    for one in study.document["overall"]:
        console.print(f"- {one['sentence']}", markup=False, highlight=False, soft_wrap=True)
    for one in study.document["progress"]["failed"][:5]:
        text = f"failed: {one['set']}, trial {one['trial']}: {one['what']}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    console.print(f"\n{study.verdict}", markup=False, highlight=False, soft_wrap=True)


def _sets_table(sets: list[dict[str, Any]]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    out = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(("set", "rows", "trials", *ARMS, *(f"{a} - {b}" for a, b in QUESTIONS))):
        out.add_column(name, justify="right" if i else "left")
    for one in sets:
        found = {(c["arm"], c["against"], c["metric"]): c for c in one["comparisons"]}
        means = [_number(one["arms"][arm]["r2"]["mean"]) for arm in ARMS]
        gains = [_gain(found[arm, against, "r2"]) for arm, against in QUESTIONS]
        out.add_row(escape(one["name"]), f"{one['rows']:,}", str(one["trials"]), *means, *gains)
    return out


def _number(value: float | None) -> str:
    return "-" if value is None else f"{round(value, 3) + 0.0:.3f}"


def _gain(one: Mapping[str, Any]) -> str:
    if one["mean"] is None:
        return "-"
    half = "" if one["low"] is None else f" ± {(one['high'] - one['low']) / 2:.3f}"
    return f"{one['mean']:+.3f}{half}" + ("*" if one["outcome"] in ("better", "worse") else " ")
