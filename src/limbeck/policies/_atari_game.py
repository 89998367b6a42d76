"""The environment of `ram_environment`: one Atari console, stepped frame by frame, its memory read under names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import numpy as np

from limbeck._core.errors import MissingDependencyError
from limbeck.policies._atari import MAX_FRAMES

__all__ = ["RamGame"]

START_FRAMES = 30
SERVE_FRAMES = 240


@dataclass(frozen=True)
class _Game:
    rom: str
    positions: dict[str, int]
    velocities: dict[str, str]
    actions: dict[str, str]
    ball: str
    """The position that is 0 while there is no ball."""
    serve: str | None
    """The action that serves, or None where the game serves by itself."""


_LAYOUTS = {
    "Breakout": _Game(
        rom="breakout",
        positions={"ball_x": 99, "ball_y": 101, "paddle_x": 72},
        velocities={"ball_vx": "ball_x", "ball_vy": "ball_y", "paddle_vx": "paddle_x"},
        actions={"stay": "NOOP", "right": "RIGHT", "left": "LEFT"},
        ball="ball_y",
        serve="FIRE",
    ),
    "Pong": _Game(
        rom="pong",
        positions={"ball_x": 49, "ball_y": 54, "paddle_y": 51, "enemy_y": 50},
        velocities={"ball_vx": "ball_x", "ball_vy": "ball_y", "paddle_vy": "paddle_y"},
        actions={"stay": "NOOP", "up": "RIGHT", "down": "LEFT"},
        ball="ball_x",
        serve=None,
    ),
}


def _rom(name: str) -> Path:
    """The place of a game that ale-py ships."""
    path = ale_py.roms.get_rom_path(name)
    if path is None:
        raise MissingDependencyError(
            f"ale_py ships the game {name} since 0.10; install it with: pip install 'limbeck[atari]'"
        )
    return Path(path)


class RamGame(gymnasium.Env[np.ndarray, int]):
    """An Atari game with positions as observations; see `ram_environment`."""

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 - as gymnasium has it

    def __init__(
        self, game: str = "Breakout", *, frame_skip: int = 4, sticky: float = 0.25, render_mode: str | None = None
    ) -> None:
        layout = _LAYOUTS[game]
        self.metadata = {**self.metadata, "render_fps": 60 // frame_skip}
        self.game, self.frame_skip, self.sticky, self.render_mode = game, frame_skip, sticky, render_mode
        self.observation_names = (*layout.positions, *layout.velocities)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._console = ale_py.ALEInterface()
        self._console.setInt("random_seed", 0)
        self._console.setFloat("repeat_action_probability", 0.0)  # done here: the console can't be seeded cheaply
        self._console.loadROM(_rom(layout.rom))
        self._console.reset_game()
        self._start = self._console.cloneSystemState()
        self._layout = layout
        self._addresses = np.array(list(layout.positions.values()))
        names = list(layout.positions)
        self._moving = np.array([names.index(name) for name in layout.velocities.values()])
        self.max_steps = MAX_FRAMES // frame_skip
        self._ball = layout.positions[layout.ball]
        self._pressed = [getattr(ale_py.Action, name) for name in layout.actions.values()]
        self._held = ale_py.Action.NOOP
        low = [0.0] * len(names) + [-255.0] * len(self._moving)
        self.observation_space = gymnasium.spaces.Box(np.array(low, dtype=np.float64), 255.0, dtype=np.float64)
        self.action_space: Any = gymnasium.spaces.Discrete(len(self._pressed))

    def get_action_meanings(self) -> list[str]:
        """What each action does: "stay", "right", "left"."""
        return list(self._layout.actions)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new game: the same one for the same seed, whatever was played before."""
        super().reset(seed=seed)
        self._console.restoreSystemState(self._start)
        self._frames, self._held = 0, ale_py.Action.NOOP
        for _ in range(int(self.np_random.integers(START_FRAMES + 1))):
            self._console.act(ale_py.Action.NOOP)
        self._serve()
        self._positions = self._read()
        return self._observation(self._positions), {"lives": self._console.lives()}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Hold an action for `frame_skip` frames, each of which may keep the action of the frame before."""
        reward = self._hold(self._pressed[action], self.frame_skip)
        before = self._positions
        if self._console.getRAM()[self._ball] == 0 and not self._console.game_over():
            reward += self._serve()
            before = self._read()
        self._positions = self._read()
        over = self._console.game_over()
        cut = not over and self._frames >= MAX_FRAMES
        return self._observation(before), reward, over, cut, {"lives": self._console.lives()}

    def render(self) -> Any:
        """The screen as ``(210, 160, 3)`` bytes, or None where `render_mode` is not ``"rgb_array"``."""
        return self._console.getScreenRGB() if self.render_mode == "rgb_array" else None

    def _hold(self, action: Any, frames: int) -> float:
        console, reward = self._console, 0.0
        changed = self.np_random.random(frames) >= self.sticky
        for change in changed:
            if change:
                self._held = action
            reward += console.act(self._held)
        self._frames += frames
        return reward

    def _serve(self) -> float:
        """Wait for a ball (pressing the button that serves, where there is one); the paddle rests meanwhile."""
        button = ale_py.Action.NOOP if self._layout.serve is None else getattr(ale_py.Action, self._layout.serve)
        reward, waited = 0.0, 0
        while self._console.getRAM()[self._ball] == 0 and waited < SERVE_FRAMES and not self._console.game_over():
            reward += self._hold(button, 1)
            waited += 1
        return reward

    def _read(self) -> np.ndarray:
        return self._console.getRAM()[self._addresses].astype(np.float64)

    def _observation(self, before: np.ndarray) -> np.ndarray:
        now = self._positions
        return np.concatenate([now, now[self._moving] - before[self._moving]])
