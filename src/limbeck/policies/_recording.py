"""An episode of a readable policy as it is seen: the picture of each step, the line that decides, and what the teacher
would do.

Source
------
Own.

Departures
----------
At most so many steps are shown as `frames` says, from the first on; the episode is played to its end, and its return is
that of the whole.

Checked
-------
tests/unit/test_play.py: actions and deciding lines are those of the program, pictures those of the environment; the
same episode gives the same bytes.

Cost
----
That of playing, and of drawing: some 2 ms a picture.
"""

from __future__ import annotations

import json
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.storage import write_file
from limbeck.policies._environment import Environment, as_environment
from limbeck.policies._policy import Policy, as_policy
from limbeck.policies._recording_pictures import Camera, sheets
from limbeck.policies._stepping import Act, actions_of, begin, rows_of, step

if TYPE_CHECKING:
    from limbeck.policies._stepping import Slot

__all__ = ["DOCUMENT", "Recording", "record_episode"]

DOCUMENT, FORMAT, VERSION = "recording.json", "limbeck-recording", 1
MOST_STEPS = 10_000
"""An episode that does not end by itself is cut here."""
MOST_FRAMES = 2_000
DIGITS = 5


@dataclass(frozen=True)
class Recording:
    """An episode that was played to be looked at.

    Attributes
    ----------
    environment, player : str
        Where it was played, and who played.
    columns, actions : tuple of str
        The names of a row's columns and of the actions.
    readable : ProgramPolicy, PolicyTree or None
        What decided; None where the teacher itself played.
    seed, steps : int
        The seed of the episode, and how many steps it had.
    total : float
        The return of the whole episode.
    every : int
        A picture each so many steps.
    fps : float
        Pictures a second at the environment's own pace.
    rows : array ``(frames, columns)``
        What was seen at each picture.
    taken, wanted, firing : int array ``(frames,)`` or None
        The action taken, the teacher's, and the guard or leaf that decided.
    gained : array ``(frames,)``
        The return before each picture's action.
    pictures : dict or None
        The pictures as sheets; None where the environment has none.
    """

    environment: str
    player: str
    columns: tuple[str, ...]
    actions: tuple[str, ...]
    readable: Any
    seed: int
    steps: int
    total: float
    every: int
    fps: float
    rows: np.ndarray = field(repr=False)
    taken: np.ndarray = field(repr=False)
    wanted: np.ndarray | None = field(repr=False)
    firing: np.ndarray | None = field(repr=False)
    gained: np.ndarray = field(repr=False)
    pictures: dict[str, Any] | None = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The recording as JSON types; what was seen with five digits."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "environment": self.environment,
            "player": self.player,
            "columns": list(self.columns),
            "actions": list(self.actions),
            "readable": None if self.readable is None else self.readable.to_dict(),
            "seed": self.seed,
            "steps": self.steps,
            "return": _short(self.total),
            "every": self.every,
            "fps": self.fps,
            "rows": [[_short(value) for value in row] for row in self.rows.tolist()],
            "taken": self.taken.tolist(),
            "wanted": None if self.wanted is None else self.wanted.tolist(),
            "firing": None if self.firing is None else self.firing.tolist(),
            "gained": [_short(value) for value in self.gained.tolist()],
            "pictures": self.pictures,
        }

    def save(self, path: str | Path) -> Path:
        """Write it as a page that plays (``.html``), an animated picture (``.svg``) or its document (``.json``).

        Raises
        ------
        InputError
            For another kind of file.
        StorageError
            Where it can't be written.
        """
        from limbeck.report import render_recording, render_recording_svg

        path, document = Path(path), self.to_dict()
        kind = path.suffix.lower()
        if kind not in (".html", ".svg", ".json"):
            raise InputError(f"a recording is written as .html, .svg or .json; got {str(path)!r:.200}")
        if kind == ".json":
            text = json.dumps(document, ensure_ascii=False, allow_nan=False)
            return write_file(path, text.encode("utf-8", "replace"))
        return write_file(path, render_recording(document) if kind == ".html" else render_recording_svg(document))


def record_episode(
    env: Any,
    player: Any,
    *,
    teacher: Any = None,
    seed: int = 0,
    frames: int = 500,
    every: int = 1,
    name: str | None = None,
    names: Sequence[str] | None = None,
    actions: Sequence[str] | None = None,
) -> Recording:
    """One episode with its pictures and the line of the program that decided each step.

    Parameters
    ----------
    env : str or callable
        A gymnasium id, or a function that makes the environment.
    player : ProgramPolicy, PolicyTree, PolicyCandidate, or a policy as `distill_policy` takes it
        Who plays.
    teacher : policy, optional
        Whose action is shown beside the player's.
    seed : int
        Of the episode.
    frames : int
        The most pictures; the steps after them are played and not shown.
    every : int
        A picture each so many steps.
    name : str, optional
        What the player is called.
    names, actions : sequence of str, optional
        Names of columns and actions, where the environment does not say.

    Raises
    ------
    InputError
        For a player of other columns or actions than the environment's, and for numbers out of range.
    TeacherError
        Where a policy raises or answers what it must not.

    Source
    ------
    Own.

    Departures
    ----------
    Where the environment has no picture, or its library for drawing is absent, what was seen is drawn as curves.

    Cost
    ----
    Some 2 ms a picture.

    Examples
    --------
    >>> from limbeck.policies import record_episode
    >>> recording = record_episode("CartPole-v1", lambda rows: rows[:, 2] + rows[:, 3] > 0, frames=3, name="by hand")
    >>> recording.total > 100, len(recording.taken), recording.actions
    (True, 3, ('left', 'right'))
    """
    for what, value, least in (("seed", seed, 0), ("frames", frames, 1), ("every", every, 1)):
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
            raise InputError(f"{what} must be a whole number from {least}; got {value!r:.60}")
    environment = as_environment(env, names=names, actions=actions)
    readable, called, act = _player(player, environment)
    theirs = None if teacher is None else as_policy(teacher, environment)
    changes = () if readable is None else tuple(readable.changes)
    film = _film(environment, act, theirs, list(changes), (int(seed), min(int(frames), MOST_FRAMES), int(every)))
    rows = np.array(film.rows)
    columns = environment.columns if readable is None else tuple(readable.schema.names)
    return Recording(
        environment=environment.name,
        player=name or called,
        columns=columns,
        actions=environment.actions,
        readable=readable,
        seed=int(seed),
        steps=film.slot.steps,
        total=film.slot.total,
        every=int(every),
        fps=film.camera.fps / int(every),
        rows=rows,
        taken=np.array(film.taken, dtype=np.int64),
        wanted=None if theirs is None else theirs.act(rows[:, : len(environment.columns)]),
        firing=None if readable is None else readable.firing(rows),
        gained=np.array(film.gained),
        pictures=sheets(film.camera.frames) if film.camera.frames else None,
    )


@dataclass
class _Film:
    """What was kept while an episode was played."""

    camera: Camera
    slot: Slot
    rows: list[np.ndarray] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    gained: list[float] = field(default_factory=list)


def _player(player: Any, environment: Environment) -> tuple[Any, str, Act]:
    """The readable, or None where a plain policy plays; what it is called; and how it acts."""
    name = str(getattr(player, "name", "")) if hasattr(player, "readable") else ""
    readable = getattr(player, "readable", player)
    family = getattr(readable, "family", None)
    if family not in ("program", "policy_tree"):
        policy = player if isinstance(player, Policy) else as_policy(player, environment)
        return None, "the policy", policy.act
    seen, known = readable.n_observed, len(environment.columns)
    if seen != known or len(readable.output_names) != len(environment.actions):
        raise InputError(
            f"the player must be of the environment's {known} columns and {len(environment.actions)} actions; it looks "
            f"at {seen} columns and has {len(readable.output_names)} actions. Give the environment that it was made in"
        )
    return readable, name or {"program": "the program", "policy_tree": "the tree"}[family], readable.act


def _film(
    environment: Environment, act: Callable[[np.ndarray], Any], theirs: Policy | None, columns: list[int], plan: Any
) -> _Film:
    """The episode, played to its end and kept where it is shown."""
    seed, frames, every = plan
    camera = Camera(environment)
    limit = MOST_STEPS if environment.max_steps is None else environment.max_steps
    try:
        film = _Film(camera, begin(environment, camera.env, 0, seed))
        over = False
        while not over and film.slot.steps < limit:
            row = rows_of([film.slot], columns)
            (action,) = actions_of(environment, act, row)
            if film.slot.steps % every == 0 and len(film.rows) < frames:
                camera.look()
                film.rows.append(row[0])
                film.taken.append(action)
                film.gained.append(film.slot.total)
            over = step(environment, film.slot, action, 0.0)
    finally:
        camera.env.close()
    return film


def _short(value: float) -> float | int:
    """The number with five digits, whole where it is whole."""
    short = float(f"{value:.{DIGITS}g}") if abs(value) < 1e5 else round(value)
    return int(short) if float(short).is_integer() and abs(short) < 2**53 else short
