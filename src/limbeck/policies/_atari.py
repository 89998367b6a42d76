"""Atari games as vector environments: the positions of what is on the screen, by name, read from the console's memory.

Source
------
Bellemare2013 (the emulator). Machado2018 (sticky actions, drawn once a frame). Mnih2015 (an episode of at most five
minutes: 18,000 frames). Anand2019 (the addresses).

Departures
----------
No pixels; the ball is served by the environment; only the actions that move the paddle are offered.

Checked
-------
tests/unit/test_policies.py: what the memory says is where the picture shows it.

Cost
----
About 6,500 frames a second on one core, so 1,600 steps a second at frame skip 4.
"""

from __future__ import annotations

from typing import Any

from limbeck._core.errors import InputError, did_you_mean, require

__all__ = ["GAMES", "ram_environment", "register_games"]

GAMES = ("Breakout", "Pong")
MAX_FRAMES = 18_000


def ram_environment(game: str, *, frame_skip: int = 4, sticky: float = 0.25, render: bool = False) -> Any:
    """A gymnasium environment of an Atari game whose observations are named positions and their last-step changes.

    Parameters
    ----------
    game
        ``"Breakout"`` (ball_x, ball_y, paddle_x, ball_vx, ball_vy, paddle_vx; actions stay, right, left) or ``"Pong"``
        (ball_x, ball_y, paddle_y, enemy_y, ball_vx, ball_vy, paddle_vy; actions stay, up, down). Positions are in
        units of the console: x grows to the right, y grows downwards; a velocity is the change since the step before.
    frame_skip
        Frames of the console a step.
    sticky
        Probability that a frame repeats the action of the frame before.
    render
        Whether ``render()`` gives the screen, ``(210, 160, 3)``.

    Raises
    ------
    InputError
        For another game, or a `frame_skip` or `sticky` out of range.
    MissingDependencyError
        Where gymnasium or ale-py is absent.

    Source
    ------
    Bellemare2013, Machado2018.

    Departures
    ----------
    The ball is served by the environment (in Breakout it presses FIRE while there is no ball), so a policy only moves
    the paddle. An episode begins after 0 to 30 frames without an action and ends after 18,000 frames at the latest.

    Cost
    ----
    Half a millisecond a step.
    """
    require("gymnasium", extra="atari")
    require("ale_py", extra="atari")
    if game not in GAMES:
        raise InputError(f"game must be one of {', '.join(GAMES)}; got {game!r}.{did_you_mean(game, GAMES)}")
    if isinstance(frame_skip, bool) or not isinstance(frame_skip, int) or not 1 <= frame_skip <= 30:
        raise InputError(f"frame_skip must be a whole number from 1 to 30; got {frame_skip!r}")
    if not 0 <= sticky < 1:
        raise InputError(f"sticky must be a probability below 1; got {sticky!r}")
    from limbeck.policies._atari_game import RamGame

    return RamGame(game, frame_skip=frame_skip, sticky=float(sticky), render_mode="rgb_array" if render else None)


def register_games() -> None:
    """Make the ids ``limbeck/Breakout-v0`` and ``limbeck/Pong-v0`` known to gymnasium (once)."""
    gymnasium = require("gymnasium", extra="atari")
    for game in GAMES:
        name = f"limbeck/{game}-v0"
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point="limbeck.policies._atari_game:RamGame", kwargs={"game": game})
