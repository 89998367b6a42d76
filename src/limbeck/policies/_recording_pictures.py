"""What an environment shows, step by step, as few small pictures: frames side by side, in one palette.

Source
------
The PNG format. A row of pixels of one frame stands beside the same row of the next, so that what does not change costs
a few bits: deflate looks back 32 kB, and a frame is larger than that.

Checked
-------
tests/unit/test_play.py: what is drawn is what the environment showed; the same frames give the same bytes.

Cost
----
Some 0.4 kB a frame of Breakout, a kilobyte for a cart that moves on white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from limbeck.policies._environment import Environment
from limbeck.report._images import png

__all__ = ["Camera", "sheets"]

MOST_SIDE = 320
"""A larger picture is made smaller by a whole factor."""
MOST_COLOURS = 256
SHEET_FRAMES, SHEET_WIDTH = 32, 8_000
LEAST_SIDE = 8
_BITS = ((8, 8, 8), (5, 5, 5), (4, 4, 4), (3, 3, 2))


class Camera:
    """One environment that can be asked for its picture, or that has none."""

    def __init__(self, environment: Environment) -> None:
        self.env = _showing(environment)
        metadata = getattr(self.env, "metadata", None) or {}
        fps = metadata.get("render_fps") if isinstance(metadata, dict) else None
        self.fps = float(fps) if isinstance(fps, int | float) and 1 <= fps <= 120 else 30.0
        self.shows = getattr(self.env, "render_mode", None) == "rgb_array"
        self.frames: list[np.ndarray] = []

    def look(self) -> None:
        """Keep what is seen now; one picture that can't be had ends the pictures."""
        if not self.shows:
            return
        try:
            seen = np.asarray(self.env.render())
        except Exception:  # a library for drawing is absent, or the environment can't draw: a plot stands in its place
            seen = np.zeros(0)
        fits = seen.ndim == 3 and seen.shape[2] == 3 and seen.dtype == np.uint8 and min(seen.shape[:2]) >= LEAST_SIDE
        if not fits or (self.frames and _smaller(seen).shape != self.frames[0].shape):
            self.shows, self.frames = False, []
            return
        self.frames.append(_smaller(seen))


def _showing(environment: Environment) -> Any:
    """A new environment, drawing where gymnasium can make the same one that draws."""
    import gymnasium

    made = environment.make()
    spec, modes = getattr(made, "spec", None), (getattr(made, "metadata", None) or {}).get("render_modes", ())
    if getattr(made, "render_mode", None) == "rgb_array" or spec is None or "rgb_array" not in modes:
        return made
    try:
        drawing = gymnasium.make(spec, render_mode="rgb_array", disable_env_checker=True)
        if np.array_equal(drawing.reset(seed=0)[0], made.reset(seed=0)[0]):
            made.close()
            return drawing
        drawing.close()
    except Exception:  # what can't be made again is played without a picture
        return made
    return made


def _smaller(picture: np.ndarray) -> np.ndarray:
    """The picture, each block of pixels as its mean where it is too large."""
    factor = -(-max(picture.shape[:2]) // MOST_SIDE)
    if factor == 1:
        return picture.copy()
    height, width = (side // factor * factor for side in picture.shape[:2])
    corners = [picture[i:height:factor, j:width:factor] for i in range(factor) for j in range(factor)]
    total = np.sum(corners, axis=0, dtype=np.uint32)
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)


def sheets(frames: Sequence[np.ndarray]) -> dict[str, Any]:
    """Frames of one size as sheets of several side by side: their size, how many stand on a sheet, base64 of PNGs."""
    height, width, _ = frames[0].shape
    many = max(1, min(SHEET_FRAMES, SHEET_WIDTH // width))
    palette, levels = _in_palette(np.stack(frames))
    texts = [
        png(np.concatenate(list(levels[i : i + many]), axis=1)[:, :, None], 3, [(b"PLTE", palette.tobytes())])
        for i in range(0, len(levels), many)
    ]
    return {"width": width, "height": height, "on_a_sheet": many, "sheets": texts}


def _in_palette(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most 256 colours ``(k, 3)`` and the place of each pixel's among them; near colours are joined where needed."""
    wide = frames.astype(np.uint32)
    exact = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    is_used = np.zeros(1 << 24, dtype=bool)
    is_used[exact] = True
    used = np.flatnonzero(is_used)
    colours = np.stack([used >> 16, used >> 8 & 255, used & 255], axis=1)
    for bits in _BITS:
        near = [colours[:, c] >> (8 - bits[c]) for c in range(3)]
        _, group = np.unique((near[0] << 16) | (near[1] << 8) | near[2], return_inverse=True)
        if group.max() < MOST_COLOURS:
            break
    sizes = np.bincount(group)
    means = [np.bincount(group, weights=colours[:, c]) / sizes for c in range(3)]
    place_of = np.zeros(1 << 24, dtype=np.uint8)
    place_of[used] = group
    return np.rint(np.stack(means, axis=1)).astype(np.uint8), place_of[exact]
