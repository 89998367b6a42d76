"""``limbeck distill-policy``: a policy that plays, as programs and trees that a person can read."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from limbeck.cli._options import Jobs, Quiet, Seed
from limbeck.cli._runs import names_in

__all__ = ["distill_policy", "environment_named", "teacher_named"]


def distill_policy(
    env: Annotated[
        str,
        typer.Option(help="A gymnasium id such as CartPole-v1, or package.module:name of a function that makes it."),
    ],
    teacher: Annotated[
        str, typer.Option(help="The policy: package.module:name, or a .safetensors file of a policy network.")
    ],
    students: Annotated[
        str | None,
        typer.Option(help="Of program, tree, oblique_tree and cloned_tree, with commas; absent: the first 3."),
    ] = None,
    budget_s: Annotated[float, typer.Option("--budget-s", help="Seconds for the search.")] = 300.0,
    episodes: Annotated[int, typer.Option(help="Episodes for each score.", min=2)] = 30,
    names: Annotated[str | None, typer.Option(help="The names of the observation's columns, with commas.")] = None,
    actions: Annotated[str | None, typer.Option(help="The names of the actions, with commas.")] = None,
    changes: Annotated[
        str | None, typer.Option(help="Columns whose change since the last step may be used too, with commas.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="probabilities, q_values or actions, where the policy does not say.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of the result.")] = Path("runs/policy"),
    seed: Seed = 0,
    jobs: Jobs = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print policy.json and nothing else.")] = False,
    quiet: Quiet = False,
) -> None:
    """Turn a policy into short programs and trees, played and scored beside it."""
    from limbeck.policies._distill_policy import distill_policy as distilled

    result = distilled(
        environment_named(env),
        teacher_named(teacher),
        students=names_in(students) or None,
        budget_s=budget_s,
        names=names_in(names) or None,
        actions=names_in(actions) or None,
        changes=names_in(changes),
        kind=kind,
        episodes=episodes,
        n_jobs=jobs,
        random_state=seed,
        progress=not (quiet or as_json),
    )
    folder = result.save(out)
    typer.echo(json.dumps(result.to_dict(), ensure_ascii=False) if as_json else f"{result.text()}\n\nin {folder}")
    if not result.complete:
        typer.echo("interrupted: the folder holds what was done by then", err=True)
        sys.exit(130)
    if all(one.verdict.startswith("do not use") for one in result.candidates):
        sys.exit(3)


@dataclass(frozen=True)
class MadeByName:
    """A maker of environments by ``module:name``: the function is called each time."""

    name: str

    def __call__(self) -> Any:
        """A new environment."""
        from limbeck._core.errors import InputError
        from limbeck.teachers._resolve import load_named

        found, made = load_named(self.name)
        if not made:
            raise InputError(
                f"{self.name} must be a function without parameters that makes a new environment; got a "
                f"{type(found).__name__}"
            )
        return found


def environment_named(text: str) -> Any:
    """The id, or a maker for ``module:name``; gymnasium's own ``module:Name-v0`` stays an id."""
    _, _, name = text.partition(":")
    return text if not name or re.search(r"-v\d+$", name) else MadeByName(text)


def teacher_named(text: str) -> Any:
    """The file, or what ``module:name`` stands for; a function without parameters is called to make it."""
    from limbeck._core.errors import InputError
    from limbeck.teachers._resolve import load_named

    if text.lower().endswith(".safetensors"):
        return text
    module, _, name = text.partition(":")
    if not module or not name:
        raise InputError(f"--teacher is package.module:name or a .safetensors file; got {text!r:.100}")
    return load_named(text)[0]
