"""Teachers for policies, trained in minutes on one core by stable-baselines3, each kept as a small safetensors file.

Run ``python -m benchmarks.policy_teachers --env breakout --seed 0 --minutes 9 --out teachers`` or ``--all``. One
thread. The file is written at every improvement; a run that is stopped keeps its best so far.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

PUBLISHED: dict[str, float] = {}
"""Teachers are trained here; nothing is compared with a paper."""

ENVIRONMENTS = 8
QUICK_EPISODES, FINAL_EPISODES = 10, 30
EVALUATION_SHARE = 0.12
"""The part of the minutes that goes to evaluations while training."""

START_OF_EVALUATION, START_OF_FINAL = 1_000_000, 2_000_000


@dataclass(frozen=True)
class Recipe:
    """How one environment's teacher is trained."""

    env: str
    minutes: float
    algorithm: str
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    widths: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    good: float = float("inf")
    """A return over the final episodes at which training may stop early."""
    options: dict[str, Any] = field(default_factory=dict)
    max_steps: int | None = None
    """Steps after which training stops, and over which the learning rate falls; by the clock where None."""


GAME_OPTIONS = {
    "n_steps": 128,
    "batch_size": 256,
    "n_epochs": 6,
    "learning_rate": 1e-3,
    "gamma": 0.99,
    "gae_lambda": 0.95,
    "ent_coef": 0.01,
    "clip_range": 0.2,
}
RECIPES = {
    "breakout": Recipe(
        "Breakout",
        9,
        "ppo",
        shift=(123, 150, 123, 0, 0, 0),
        scale=(1 / 40, 1 / 40, 1 / 40, 1 / 5, 1 / 5, 1 / 12),
        options=GAME_OPTIONS,
    ),
    "pong": Recipe(
        "Pong",
        9,
        "ppo",
        shift=(128, 128, 128, 128, 0, 0, 0),
        scale=(1 / 40, 1 / 40, 1 / 40, 1 / 40, 1 / 5, 1 / 5, 1 / 12),
        options=GAME_OPTIONS,
    ),
    "cartpole": Recipe(
        "CartPole-v1",
        2,
        "ppo",
        good=500.0,
        scale=(1.0, 1.0, 5.0, 1.0),
        options={
            "n_steps": 32,
            "batch_size": 256,
            "n_epochs": 20,
            "gamma": 0.98,
            "gae_lambda": 0.8,
            "learning_rate": 1e-3,
            "clip_range": 0.2,
            "ent_coef": 0.0,
        },
    ),
    "acrobot": Recipe(
        "Acrobot-v1",
        3,
        "ppo",
        scale=(1.0, 1.0, 1.0, 1.0, 0.3, 0.15),
        options={"n_steps": 256, "batch_size": 256, "n_epochs": 4, "gae_lambda": 0.94, "learning_rate": 1e-3},
    ),
    "mountaincar": Recipe(
        "MountainCar-v0",
        9,
        "dqn",
        widths=(256, 256),
        activation="relu",
        max_steps=120_000,
        options={
            "learning_rate": 4e-3,
            "batch_size": 128,
            "buffer_size": 10_000,
            "learning_starts": 1_000,
            "gamma": 0.98,
            "target_update_interval": 600,
            "train_freq": 16,
            "gradient_steps": 8,
            "exploration_fraction": 0.2,
            "exploration_final_eps": 0.07,
        },
    ),
    "lunarlander": Recipe(
        "LunarLander-v3",
        9,
        "ppo",
        options={
            "n_steps": 512,
            "batch_size": 128,
            "n_epochs": 6,
            "gamma": 0.999,
            "gae_lambda": 0.98,
            "learning_rate": 5e-4,
            "ent_coef": 0.01,
        },
    ),
}
SEEDS = {"breakout": 3, "pong": 3}
"""Teachers by ``--all``; one for the others."""


class TrainingGame(gymnasium.Wrapper[np.ndarray, int, np.ndarray, int]):
    """A game as it is trained on: rewards cut to their sign, and a lost life ends the episode."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.lives, self.over = 0, True
        self.last: tuple[np.ndarray, dict[str, Any]] | None = None

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """A new game, or the next ball of this one."""
        if self.over or self.last is None:
            self.last = self.env.reset(**options)
        self.over, self.lives = False, self.last[1]["lives"]
        return self.last

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """A step of the game."""
        observation, reward, over, cut, info = self.env.step(action)
        self.over, self.last = over or cut, (observation, info)
        lost = info["lives"] < self.lives
        self.lives = info["lives"]
        return observation, float(np.sign(reward)), over or lost, cut, info


class Scaled(gymnasium.ObservationWrapper[np.ndarray, int, np.ndarray]):
    """Observations shifted and scaled to about -2 to 2; the network that is kept does the same inside."""

    def __init__(self, env: Any, shift: np.ndarray, scale: np.ndarray) -> None:
        super().__init__(env)
        self.shift, self.scale = shift, scale
        d = env.observation_space.shape
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, d, np.float32)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        """The observation as the network in training sees it."""
        return ((observation - self.shift) * self.scale).astype(np.float32)


def plain(recipe: Recipe) -> Any:
    """The environment as it is evaluated on."""
    if recipe.env in ("Breakout", "Pong"):
        from limbeck.policies._atari import ram_environment

        return ram_environment(recipe.env)
    return gymnasium.make(recipe.env)


def scaling(recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Shift and scale of the observations."""
    d = plain(recipe).observation_space.shape[0]
    return np.array(recipe.shift or (0.0,) * d, dtype=np.float32), np.array(recipe.scale or (1.0,) * d, np.float32)


def training_environment(recipe: Recipe) -> Callable[[], Any]:
    """A maker of the environment as it is trained on."""
    shift, scale = scaling(recipe)

    def make() -> Any:
        env = plain(recipe)
        if recipe.env in ("Breakout", "Pong"):
            env = TrainingGame(env)
        return Scaled(env, shift, scale)

    return make


def algorithm(recipe: Recipe, seed: int, left: Callable[[], float]) -> Any:
    """The model of stable-baselines3 before training; its learning rate falls with the time that is left."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    bend = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}[recipe.activation]
    env = make_vec_env(training_environment(recipe), n_envs=ENVIRONMENTS if recipe.algorithm == "ppo" else 1, seed=seed)
    options = dict(recipe.options)
    widths: Any = list(recipe.widths)
    if recipe.algorithm == "ppo":
        rate = options["learning_rate"]
        options["learning_rate"] = lambda _: rate * max(left(), 0.02)
        widths = {"pi": widths, "vf": widths}
    kind = {"ppo": stable_baselines3.PPO, "dqn": stable_baselines3.DQN}[recipe.algorithm]
    shape = {"net_arch": widths, "activation_fn": bend}
    return kind("MlpPolicy", env, seed=seed, device="cpu", policy_kwargs=shape, **options)


def network_of(model: Any, recipe: Recipe, details: dict[str, Any]) -> Any:
    """The acting part of a model as a network of its own."""
    import torch

    from limbeck.policies._teacher_file import PolicyNetwork

    if recipe.algorithm == "ppo":
        stack, kind = [*model.policy.mlp_extractor.policy_net, model.policy.action_net], "probabilities"
    else:
        stack, kind = list(model.policy.q_net.q_net), "q_values"
    layers = [(m.weight.detach().clone(), m.bias.detach().clone()) for m in stack if isinstance(m, torch.nn.Linear)]
    shift, scale = (torch.as_tensor(v) for v in scaling(recipe))
    return PolicyNetwork(
        layers,
        shift=shift,
        scale=scale,
        kind=kind,
        activation=recipe.activation,
        details={"env": recipe.env, **details},
    )


def greedy_returns(network: Any, recipe: Recipe, seeds: range) -> list[float]:
    """The return of each episode when the best action is always taken, in the environment as it is."""
    import torch

    env, returns = plain(recipe), []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        total, over = 0.0, False
        while not over:
            with torch.no_grad():
                action = int(network(torch.as_tensor(observation[None])).argmax())
            observation, reward, end, cut, _ = env.step(action)
            total, over = total + float(reward), end or cut
        returns.append(total)
    return returns


class Keeper:
    """Called while a model trains: evaluates it now and then, keeps the best, and stops in time."""

    def __init__(self, recipe: Recipe, name: str, seed: int, minutes: float, path: Path) -> None:
        self.recipe, self.name, self.seed, self.path = recipe, name, seed, path
        self.begin, self.seconds = time.perf_counter(), 60 * minutes
        self.model: Any = None
        self.best = -float("inf")
        self.spent = self.longest = 0.0
        self.next_steps = 0

    def gone(self) -> float:
        return time.perf_counter() - self.begin

    def left(self) -> float:
        """The part of training that is left, 1 at the start."""
        by_clock = max(0.0, 1 - self.gone() / max(self.seconds - self.reserve(), 1.0))
        if self.recipe.max_steps is None or self.model is None:
            return by_clock
        return max(0.0, min(by_clock, 1 - self.model.num_timesteps / self.recipe.max_steps))

    def reserve(self) -> float:
        """Seconds that the final evaluation will take, at most about 25 % of the whole."""
        return min(5 + 1.15 * self.longest * FINAL_EPISODES / QUICK_EPISODES, 0.25 * self.seconds)

    def __call__(self, *_: Any) -> bool:
        """Whether training goes on; called after each step."""
        steps = self.model.num_timesteps
        if self.left() <= 0:
            return False
        if steps < self.next_steps or self.spent > EVALUATION_SHARE * self.gone():
            return True
        self.next_steps = steps + 2_000
        return not self.look() or self.recipe.good == float("inf")

    def look(self) -> bool:
        """Evaluate the model as it is and keep it where it is the best so far; whether it is as good as is asked."""
        start = time.perf_counter()
        steps = self.model.num_timesteps
        network = network_of(self.model, self.recipe, self.details(steps))
        returns = greedy_returns(network, self.recipe, range(START_OF_EVALUATION, START_OF_EVALUATION + QUICK_EPISODES))
        took = time.perf_counter() - start
        self.spent, self.longest = self.spent + took, max(self.longest, took)
        mean = statistics.mean(returns)
        rate = steps / max(self.gone() - self.spent, 1e-9)
        print(
            f"{self.name} {self.seed}: {self.gone():5.0f} s, {steps:8d} steps ({rate:.0f}/s), return {mean:.1f} "
            f"(best before {self.best:.1f}), evaluation {took:.1f} s",
            flush=True,
        )
        if mean >= self.best:
            self.best = mean
            self.write(network, returns, QUICK_EPISODES)
        return mean >= self.recipe.good

    def details(self, steps: int) -> dict[str, Any]:
        """What the file says of the network's making."""
        versions = {p: importlib.metadata.version(p) for p in ("stable_baselines3", "gymnasium", "torch", "numpy")}
        if self.recipe.env in ("Breakout", "Pong"):
            versions["ale_py"] = importlib.metadata.version("ale_py")
        return {
            "algorithm": self.recipe.algorithm,
            "seed": self.seed,
            "steps": int(steps),
            "versions": {"python": platform.python_version(), **versions},
        }

    def write(self, network: Any, returns: list[float], episodes: int) -> None:
        """Write the file with these returns."""
        from limbeck.policies._teacher_file import write_teacher

        error = statistics.stdev(returns) / len(returns) ** 0.5
        network.details |= {"return": statistics.mean(returns), "return_error": error, "episodes": episodes}
        network.details["seconds"] = round(self.gone(), 1)
        write_teacher(network, self.path)


def train(name: str, seed: int, minutes: float | None, folder: Path) -> Path:
    """Train one teacher; the path of its file."""
    import torch

    from limbeck.policies._teacher_file import read_teacher

    torch.set_num_threads(1)
    recipe = RECIPES[name]
    path = folder / f"{name}-{seed}.safetensors"
    keeper = Keeper(recipe, name, seed, recipe.minutes if minutes is None else minutes, path)
    keeper.model = algorithm(recipe, seed, keeper.left)
    keeper.model.learn(total_timesteps=recipe.max_steps or 1_000_000_000, callback=keeper)
    keeper.look()
    network = read_teacher(path)
    returns = greedy_returns(network, recipe, range(START_OF_FINAL, START_OF_FINAL + FINAL_EPISODES))
    keeper.write(network, returns, FINAL_EPISODES)
    print(
        f"{name} {seed}: kept the network of step {network.details['steps']} in {path}: return over {FINAL_EPISODES} "
        f"other episodes {network.details['return']:.1f} +- {network.details['return_error']:.1f}, "
        f"worst {min(returns):.0f}, {network.n_weights} weights, {keeper.gone():.0f} s",
        flush=True,
    )
    return path


def main() -> None:
    """Train the teachers that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", choices=sorted(RECIPES))
    parser.add_argument("--all", action="store_true", help="every environment, three seeds of each game")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=None)
    parser.add_argument("--out", type=Path, default=Path("teachers"))
    args = parser.parse_args()
    if not args.all and args.env is None:
        parser.error("say which --env, or --all")
    jobs = [(n, s) for n in RECIPES for s in range(SEEDS.get(n, 1))] if args.all else [(args.env, args.seed)]
    for name, seed in jobs:
        train(name, seed, args.minutes, args.out)


if __name__ == "__main__":
    main()
