"""A network that plays Breakout becomes one line: scored beside the network on fresh episodes, played and drawn.

Run ``python examples/breakout.py``: about three minutes on two cores, half of them search (`budget_s`; five minutes of
it are surer). ``--quick`` grows a small tree on the first steps of each episode instead, to see that it runs. It needs
``pip install 'limbeck[rl,atari]'``. The animated picture is ``runs/breakout/episode.svg``, the page with everything
``runs/breakout/report.html``.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

import limbeck

TEACHERS = (
    Path(__file__).with_name("breakout_teacher.safetensors"),
    Path(__file__).parents[1] / "benchmarks" / "teachers" / "breakout-1.safetensors",
)
"""A network of 4,803 weights, trained in minutes by benchmarks/policy_teachers.py."""

FOLDER = Path("runs/breakout")


def breakout(steps: int | None = None) -> Any:
    """Breakout whose observations are named positions, cut after so many steps."""
    import gymnasium

    from limbeck.policies import ram_environment

    game = ram_environment("Breakout", render=True)
    return game if steps is None else gymnasium.wrappers.TimeLimit(game, steps)


def main(*, quick: bool = False) -> None:
    """Distil, score, play, draw."""
    from limbeck.policies import record_episode
    from limbeck.report import write_policy

    teacher = next(path for path in TEACHERS if path.is_file())
    env = functools.partial(breakout, 40 if quick else None)
    result = limbeck.distill_policy(
        env,
        teacher,
        students="tree" if quick else "program",
        budget_s=2 if quick else 90,
        episodes=4 if quick else 10,
        n_jobs=1 if quick else 2,
        random_state=0,
        progress=not quick,
    )
    one = min(result.candidates, key=lambda candidate: candidate.complexity)
    print(f"{one.readable.text()}\n")
    print(f"the line     {one.score.mean:6.1f}  ({one.score.low:.1f} to {one.score.high:.1f})")
    print(f"the network  {result.teacher.mean:6.1f}  ({result.teacher.low:.1f} to {result.teacher.high:.1f})")
    print(f"at random    {result.random.mean:6.1f}\n{one.verdict}\n")
    result.save(FOLDER)
    recording = record_episode(env, one, teacher=teacher, seed=1, frames=20 if quick else 600)
    recording.save(FOLDER / "recording.json")
    print(f"an episode of {recording.steps} steps scores {recording.total:g}")
    page = write_policy(FOLDER, FOLDER / "report.html")
    print(f"drawn in {recording.save(FOLDER / 'episode.svg')}; everything in {page}")


if __name__ == "__main__":
    if importlib.util.find_spec("ale_py") is None or importlib.util.find_spec("gymnasium") is None:
        sys.exit("Breakout needs an emulator and gymnasium: pip install 'limbeck[rl,atari]'")
    main(quick="--quick" in sys.argv)
