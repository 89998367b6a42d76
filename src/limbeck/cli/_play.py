"""``limbeck play``: an episode as an animated picture, with the line of the program that decides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli._distill_policy import environment_named, teacher_named
from limbeck.cli._options import Seed
from limbeck.cli._runs import names_in

if TYPE_CHECKING:
    from limbeck.policies import Recording

__all__ = ["play"]

KINDS = (".html", ".svg", ".json")


def play(
    run: Annotated[Path, typer.Argument(help="A folder of policies, or a .safetensors file of a teacher.")],
    candidate: Annotated[str | None, typer.Argument(help="A policy's name; absent: the best.")] = None,
    env: Annotated[
        str | None,
        typer.Option(help="A gymnasium id, or package.module:name; absent: the one of the folder."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Whose actions are shown too: package.module:name, or a .safetensors file.")
    ] = None,
    frames: Annotated[int, typer.Option(help="The most pictures.", min=1)] = 500,
    every: Annotated[int, typer.Option(help="A picture each so many steps.", min=1)] = 1,
    names: Annotated[str | None, typer.Option(help="The names of the observation's columns, with commas.")] = None,
    actions: Annotated[str | None, typer.Option(help="The names of the actions, with commas.")] = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="A page (.html), an animated picture (.svg) or a document (.json); absent: into the folder."),
    ] = None,
) -> None:
    """Play an episode and draw it, with the line that decides each step beside what is seen."""
    from limbeck._core.errors import InputError

    if out is not None and out.suffix.lower() not in KINDS:
        raise InputError(f"--out must end in {', '.join(KINDS[:-1])} or {KINDS[-1]}; got {str(out)!r:.200}")
    own: dict[str, Any] = {"teacher": None if teacher is None else teacher_named(teacher), "seed": seed}
    size = {"frames": frames, "every": every}
    columns, labels = names_in(names) or None, names_in(actions) or None
    if run.suffix.lower() == ".safetensors" and not run.is_dir():
        if env is None or candidate is not None:
            raise InputError("a teacher's file plays in --env, and has no candidates; give --env alone")
        recording = _recorded(
            environment_named(env), str(run), name=run.stem, names=columns, actions=labels, **own, **size
        )
        _echo(recording, recording.save(out or Path("episode.html")))
        return
    from limbeck.policies._policy_distillation import PolicyDistillation

    result = PolicyDistillation.load(run)
    player = _best(result) if candidate is None else result[candidate]
    own |= {"names": columns or result.columns, "actions": labels or result.actions}
    if env is None and not _is_known(result.environment):
        raise InputError(
            f"the folder was made in {result.environment!r:.100}, which gymnasium can't make; give --env, a gymnasium "
            "id or package.module:name of a function that makes it"
        )
    recording = _recorded(environment_named(env or result.environment), player, **own, **size)
    _echo(recording, _kept(recording, run) if out is None else recording.save(out))


def _recorded(env: Any, player: Any, **options: Any) -> Recording:
    from limbeck.policies import record_episode

    return record_episode(env, player, **options)


def _is_known(name: str) -> bool:
    """Whether gymnasium can make an environment of this name."""
    from limbeck._core.errors import require

    gymnasium = require("gymnasium", extra="rl")
    if name.startswith("limbeck/"):
        return True
    try:
        return gymnasium.spec(name) is not None
    except (gymnasium.error.Error, ImportError):
        return False


def _best(result: Any) -> Any:
    """The best that may be used; where none may, the one that plays best, and it is said."""
    from limbeck._core.errors import InputError, LimbeckError

    try:
        return result.best()
    except LimbeckError:
        if not result.candidates:
            raise InputError("the folder holds no candidates; there is nothing to play") from None
        player = max(result.candidates, key=lambda one: one.score.mean)
        typer.echo(f"no candidate may be used; {player.name} plays best, {player.verdict}", err=True)
        return player


def _kept(recording: Recording, folder: Path) -> Path:
    """The recording in its folder, and the folder's page with it."""
    from limbeck.policies._recording import DOCUMENT
    from limbeck.report import write_policy

    recording.save(folder / DOCUMENT)
    return write_policy(folder, folder / "report.html")


def _echo(recording: Recording, path: Path) -> None:
    from limbeck.policies._policy_distillation import printable

    line = (
        f"{recording.player} in {recording.environment}, seed {recording.seed}: return {recording.total:g} in "
        f"{recording.steps:,} steps, of which {len(recording.taken):,} are shown"
    )
    typer.echo(printable(line))
    typer.echo(str(path))
