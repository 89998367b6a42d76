"""Environments, policies and episodes: names, seeds, what is refused; the games; the files of teachers."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from limbeck._core.errors import InputError, TeacherError
from limbeck.policies import (
    PolicyNetwork,
    as_environment,
    as_policy,
    play_episodes,
    play_many,
    ram_environment,
    read_teacher,
    score_of,
    write_teacher,
)

gymnasium = pytest.importorskip("gymnasium")


class Walk(gymnasium.Env):
    """A walk on a line: 0 goes left, 1 goes right, chance pushes; right earns 1; it ends past 5 or after 20 steps."""

    observation_names = ("place", "pushed")

    def __init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-100, 100, (2,), np.float64)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps, self.place = 0, float(self.np_random.normal())
        return np.array([self.place, 0.0]), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        push = float(self.np_random.normal())
        self.steps, self.place = self.steps + 1, self.place + (2 * action - 1) + push
        return np.array([self.place, push]), float(action), abs(self.place) > 5, self.steps >= 20, {}


def altered(**changes: Any) -> Any:
    """A maker of the walk with some attributes or methods replaced."""
    return type("Altered", (Walk,), changes)


def back(rows: np.ndarray) -> np.ndarray:
    """Go back to the middle."""
    return (rows[:, 0] < 0).astype(int)


@pytest.fixture(scope="module")
def walk() -> Any:
    return as_environment(Walk)


@pytest.fixture(scope="module")
def cart() -> Any:
    return as_environment("CartPole-v1")


def test_names_are_known_own_numbered_or_given(walk: Any, cart: Any) -> None:
    assert cart.columns == ("position", "velocity", "angle", "angular_velocity")
    assert (cart.actions, cart.max_steps, cart.name) == (("left", "right"), 500, "CartPole-v1")
    assert (walk.columns, walk.actions, walk.max_steps) == (("place", "pushed"), ("action 0", "action 1"), None)
    assert as_environment(altered(observation_names=("a", "a"))).columns == ("x0", "x1")
    hostile = as_environment(walk, names=["'); DROP", "<b>"], actions=["--", "\n"])
    assert (hostile.columns, hostile.actions, hostile.make) == (("'); DROP", "<b>"), ("--", "\n"), Walk)
    for one in (cart, walk):
        assert pickle.loads(pickle.dumps(one)) == one
    for id, d, a in (("Acrobot-v1", 6, 3), ("MountainCar-v0", 2, 3)):
        known = as_environment(id)
        assert (len(known.columns), len(known.actions)) == (d, a)
        assert "x0" not in known.columns


class Unrepeatable(Walk):
    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        return super().reset()


def picture() -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)


class Picture(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.observation_space = picture()


class Torque(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gymnasium.spaces.Box(-1, 1, (1,))


class Shifted(Walk):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = gymnasium.spaces.Discrete(2, start=1)


def raises(self: Any, *_: Any, **__: Any) -> Any:
    raise ZeroDivisionError("by design")


@pytest.mark.parametrize(
    ("env", "names", "message"),
    [
        ("Nowhere-v0", None, "id that gymnasium can make"),
        (3, None, "env must be an id, a function"),
        (lambda: 3, None, "must give a gymnasium environment; it gave a int"),
        (raises, None, "raised TypeError"),
        (Picture, None, "must be vectors .*ram_environment"),
        (Torque, None, "must be numbered from 0"),
        (Shifted, None, "must be numbered from 0"),
        (Unrepeatable, None, "the same episode for the same seed"),
        (altered(step=raises), None, "raised ZeroDivisionError in its first steps: by design"),
        (altered(reset=lambda self, **_: (np.array([np.nan, 0.0]), {})), None, "must observe 2 finite numbers"),
        (altered(reset=lambda self, **_: (np.zeros(3), {})), None, r"of shape \(3,\)"),
        (Walk, ["a"], "names must be 2 different texts; got 1"),
        (Walk, ["a", "a"], "of which 1 differ"),
        (Walk, "ab", "names must be a list of texts"),
        (Walk, ["a", 3], "names must be a list of texts"),
    ],
)
def test_what_is_no_environment_is_refused(env: Any, names: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_environment(env, names=names)


def test_an_environment_itself_is_refused() -> None:
    with pytest.raises(InputError, match="Give lambda: Walk"):
        as_environment(Walk())


def test_the_same_seed_gives_the_same_episode_whatever_is_played_beside_it(walk: Any) -> None:
    seeds = list(range(70))  # more than are stepped together
    together = play_episodes(walk, back, seeds, record=True, sticky=0.3)
    alone = [play_episodes(walk, back, [seed], record=True, sticky=0.3) for seed in (0, 31, 32, 69)]
    for one, seed in zip(alone, (0, 31, 32, 69), strict=True):
        assert one.returns[0] == together.returns[seed]
        np.testing.assert_array_equal(one.observations[0], together.observations[seed])  # type: ignore[index]
        np.testing.assert_array_equal(one.actions[0], together.actions[seed])  # type: ignore[index]
    assert len(set(together.returns)) > 5
    backwards = play_episodes(walk, back, seeds[::-1], sticky=0.3)
    np.testing.assert_array_equal(backwards.returns[::-1], together.returns)
    assert together.steps == together.lengths.sum() == sum(map(len, together.observations))  # type: ignore[arg-type]
    assert together.seeds == tuple(seeds)


def test_returns_are_those_of_a_plain_loop(cart: Any) -> None:
    def push(rows: np.ndarray) -> np.ndarray:
        return (rows[:, 2] + 0.3 * rows[:, 3] > 0).astype(int)

    env, expected = gymnasium.make("CartPole-v1"), []
    for seed in (3, 4):
        observation, total, over = env.reset(seed=seed)[0], 0.0, False
        while not over and total < 60:
            observation, reward, end, cut, _ = env.step(int(push(observation[None])[0]))
            total, over = total + float(reward), end or cut
        expected.append(total)
    played = play_episodes(cart, push, (3, 4), max_steps=60)
    assert played.returns.tolist() == expected
    assert play_episodes(cart, lambda rows: np.zeros(len(rows), dtype=int), (3, 4)).returns.max() < 15
    assert play_episodes(cart, push, (3, 4), max_steps=7).lengths.tolist() == [7, 7]


def test_changes_stand_behind_the_observation(walk: Any) -> None:
    seen: list[np.ndarray] = []

    def act(rows: np.ndarray) -> np.ndarray:
        seen.append(rows.copy())
        return back(rows)

    played = play_episodes(walk, act, [5], changes=(0,), record=True)
    rows, places = np.vstack(seen), played.observations[0][:, 0]  # type: ignore[index]
    assert rows.shape == (played.lengths[0], 3)
    np.testing.assert_array_equal(rows[:, 0], places)
    np.testing.assert_array_equal(rows[:, 2], np.diff(places, prepend=places[0]))


def test_a_new_episode_in_a_used_place_begins_without_a_change(walk: Any) -> None:
    begun: list[np.ndarray] = []

    def act(rows: np.ndarray) -> np.ndarray:
        begun.append(rows[rows[:, 1] == 0, 2])  # nothing has pushed yet: the first row of an episode
        return back(rows)

    play_episodes(walk, act, range(80), changes=(0,))
    assert len(np.concatenate(begun)) == 80
    assert not np.concatenate(begun).any()


def test_sticky_actions_repeat_as_often_as_is_said(walk: Any) -> None:
    class Counting(Walk):
        kept: list[list[int]] = []  # noqa: RUF012 - shared on purpose

        def reset(self, **options: Any) -> Any:
            self.kept.append([])
            return super().reset(**options)

        def step(self, action: int) -> Any:
            self.kept[-1].append(action)
            self.place = 0.0
            return super().step(action)

    # At p = 1/2 an action is the policy's own with q = 1/2 + (1 - q) / 2 = 2/3, and repeats with 1/2 + (1 - q) / 2.
    counting, turn = as_environment(Counting), [0]

    def alternate(rows: np.ndarray) -> np.ndarray:
        turn[0] += 1
        return np.full(len(rows), turn[0] % 2)

    for sticky, share in ((0.0, 0.0), (0.5, 2 / 3)):
        Counting.kept.clear()
        for seed in range(60):
            play_episodes(counting, alternate, [seed], sticky=sticky)
        same = [a == b for one in Counting.kept for a, b in itertools.pairwise(one)]
        assert np.mean(same) == pytest.approx(share, abs=0.04)


def test_many_policies_side_by_side_play_as_here(walk: Any) -> None:
    acts = [back, _right]
    here = [play_episodes(walk, act, range(9), record=True) for act in acts]
    for jobs, given in ((1, acts), (2, acts), (2, acts[:1])):
        with joblib.parallel_config("threading"):
            there = play_many(walk, given, range(9), n_jobs=jobs, record=True)
        for one, other in zip(here, there, strict=False):
            np.testing.assert_array_equal(one.returns, other.returns)
            assert one.seeds == other.seeds
            np.testing.assert_array_equal(np.vstack(one.observations), np.vstack(other.observations))  # type: ignore[arg-type]
    with pytest.raises(TeacherError, match="whole numbers from 0 to 1"):
        play_many(walk, [back, _five], range(4), n_jobs=1)


def _right(rows: np.ndarray) -> np.ndarray:
    return np.ones(len(rows), dtype=int)


def _five(rows: np.ndarray) -> np.ndarray:
    return np.full(len(rows), 5)


@pytest.mark.parametrize(
    "act",
    [
        _five,
        lambda rows: np.zeros(len(rows)),
        lambda rows: np.zeros((len(rows), 2), dtype=int),
        lambda rows: np.zeros(len(rows) + 1, dtype=int),
        lambda rows: -np.ones(len(rows), dtype=int),
        lambda rows: None,
    ],
)
def test_an_act_that_is_no_action_is_refused(walk: Any, act: Any) -> None:
    with pytest.raises(TeacherError, match="whole numbers from 0 to 1"):
        play_episodes(walk, act, [1])
    assert play_episodes(walk, back, [1]).lengths[0] > 0  # the environments can be used again


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": []}, "seeds must be at least one"),
        ({"seeds": [-1]}, "seeds must be at least one whole number >= 0"),
        ({"changes": (2,)}, "changes must be positions of columns from 0 to 1"),
        ({"sticky": 1.0}, "sticky must be a probability below 1"),
        ({"sticky": float("nan")}, "sticky must be a probability below 1"),
        ({"max_steps": 0}, "max_steps must be a whole number >= 1"),
    ],
)
def test_arguments_out_of_range_are_refused(walk: Any, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        play_episodes(walk, back, **{"seeds": [0], **options})


def _late(answer: Any) -> Any:
    def step(self: Any, action: int) -> Any:
        if self.steps < 12:
            self.place = 0.0
            return Walk.step(self, action)
        return answer() if callable(answer) else answer

    return step


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((np.array([np.inf, 0.0]), 0.0, False, False, {}), "must observe 2 finite numbers"),
        ((np.zeros(2), float("nan"), False, False, {}), "rewards of the environment .* must be finite"),
        (lambda: raises(None), "raised ZeroDivisionError: by design"),
    ],
)
def test_an_environment_that_fails_later_is_told(answer: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        play_episodes(as_environment(altered(step=_late(answer))), _right, [0])


def test_the_interval_holds_the_true_mean_as_often_as_is_said() -> None:
    from limbeck.policies import Episodes

    draws, held = np.random.default_rng(0), []
    for _ in range(400):
        returns = draws.normal(10, 3, size=8)
        score = score_of(Episodes(returns, np.ones(8, dtype=int), tuple(range(8))))
        held.append(score.low < 10 < score.high)
        assert score.worst == returns.min()
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert set(score.to_dict()) == {"mean", "low", "high", "worst", "std_error", "episodes"}
    with pytest.raises(InputError, match="at least two episodes"):
        score_of(Episodes(np.ones(1), np.ones(1, dtype=int), (0,)))


W = np.array([[1.0, -1.0], [0.5, -0.5]])


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


class Predicts:
    def predict(self, rows: np.ndarray) -> Any:
        return (rows @ W).argmax(axis=1), None


class Chance:
    def predict(self, rows: np.ndarray, state: Any = None, deterministic: bool = False) -> Any:
        best = (rows @ W).argmax(axis=1)
        return (best if deterministic else np.random.default_rng().permuted(best)), state


def single(rows: torch.Tensor) -> torch.Tensor:
    """A network in single precision, which takes nothing else."""
    return rows @ torch.tensor(W, dtype=torch.float32).requires_grad_()


class Classifier:
    classes_ = np.array([1])

    def predict_proba(self, rows: np.ndarray) -> np.ndarray:
        return np.ones((len(rows), 1))


@pytest.mark.parametrize(
    ("policy", "kind"),
    [
        (lambda rows: rows @ W, "q_values"),
        (lambda rows: softmax(rows @ W), "probabilities"),
        (lambda rows: (rows @ W).argmax(axis=1), "actions"),
        (lambda row: [float(row[0]) + 0.5 * float(row[1]), -float(row[0]) - 0.5 * float(row[1])], "q_values"),
        (lambda row: 0 if row[0] + 0.5 * row[1] >= 0 else 1, "actions"),
        (lambda row: int(np.argmax(row @ W)), "actions"),
        (Predicts(), "actions"),
        (Chance(), "actions"),
        (lambda rows: single(torch.as_tensor(rows)), "q_values"),
        (lambda row: single(torch.as_tensor(row)[None])[0].argmax(), "actions"),
        (torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Dropout(0.5)), "q_values"),
    ],
)
def test_each_kind_of_policy_is_read(walk: Any, policy: Any, kind: str) -> None:
    if isinstance(policy, torch.nn.Module):
        with torch.no_grad():
            policy[0].weight.copy_(torch.as_tensor(W.T))
    read = as_policy(policy, walk)
    assert (read.kind, read.calls, read.rows) == (kind, 0, 0)
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.2, 1.0]])
    assert read.act(rows).tolist() == [0, 1, 0]
    assert read(rows).shape == (3, 2)
    assert read(rows).dtype == np.float64
    assert (read.calls, read.rows) == (3, 9)
    if isinstance(policy, torch.nn.Module):
        assert policy.training
    assert as_policy(read, walk) is read


def test_the_weight_is_what_a_wrong_action_can_cost(walk: Any) -> None:
    rows = np.array([[1.0, 0.0], [-0.1, 0.0], [40.0, 0.0]])
    q = as_policy(lambda x: x @ W, walk)
    np.testing.assert_allclose(q.weights(rows), [2.0, 0.2, 80.0])
    p = as_policy(lambda x: softmax(x @ W), walk)
    np.testing.assert_allclose(p.weights(rows), [2.0, 0.2, -np.log(1e-4)])  # the last is cut
    said = as_policy(lambda x: (x @ W).argmax(axis=1), walk)
    assert said.weights(rows).tolist() == [1.0, 1.0, 1.0]
    assert as_policy(Classifier(), walk)(rows).tolist() == [[0.0, 1.0]] * 3


def _drawn(rows: np.ndarray) -> np.ndarray:
    return np.random.default_rng().random((len(rows), 2))


@pytest.mark.parametrize(
    ("policy", "kind", "error", "message"),
    [
        (raises, None, TeacherError, "raised ZeroDivisionError"),
        (_drawn, None, TeacherError, "the same answer when it is asked again"),
        (lambda rows: np.full((len(rows), 2), np.nan), None, TeacherError, "NaN or infinite"),
        (lambda rows: np.zeros((len(rows), 3)), None, TeacherError, r"a score for each of 2 actions.*\(61, 3\)"),
        (lambda rows: rows @ W - (rows @ W).mean(axis=0), "q_values", TeacherError, "each observation by itself"),
        (_five, None, TeacherError, "one action each, whole numbers from 0 to 1"),
        (lambda rows: rows[:, 0], None, TeacherError, "one action each"),
        (lambda rows: rows @ W, "probabilities", TeacherError, "give kind='q_values'"),
        (lambda rows: rows @ W, "advice", InputError, "kind must be one of"),
        (lambda rows: None, None, TeacherError, "must answer 61 observations"),
        ("nowhere.safetensors", None, InputError, "can't be read"),
        (3, None, InputError, "a policy must be a stable-baselines3 model"),
        (torch.nn.Linear(5, 2), None, TeacherError, r"raised RuntimeError on rows of shape \(61, 2\)"),
        (torch.nn.Linear(2, 4), None, TeacherError, "a score for each of 2 actions"),
    ],
)
def test_what_is_no_policy_is_refused(walk: Any, policy: Any, kind: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        as_policy(policy, walk, kind=kind)


@pytest.mark.parametrize("algorithm", ["PPO", "DQN"])
def test_stable_baselines_is_read_and_agrees_with_its_own_choice(walk: Any, algorithm: str) -> None:
    baselines = pytest.importorskip("stable_baselines3")
    model = getattr(baselines, algorithm)("MlpPolicy", Walk(), seed=0, policy_kwargs={"net_arch": [8]}, device="cpu")
    read = as_policy(model, walk)
    assert read.kind == {"PPO": "probabilities", "DQN": "q_values"}[algorithm]
    rows = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(read.act(rows), model.predict(rows, deterministic=True)[0])
    model.predict = lambda rows, deterministic: (1 - read.act(rows), None)
    with pytest.raises(TeacherError, match=r"its own predict\(\) does; they differ on"):
        as_policy(model, walk)


def test_normalised_observations_and_continuous_actions_of_stable_baselines(walk: Any) -> None:
    baselines = pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    around = VecNormalize(DummyVecEnv([Walk]))
    around.obs_rms.mean, around.obs_rms.var = np.array([3.0, -3.0]), np.array([9.0, 0.1])
    model = baselines.A2C("MlpPolicy", around, seed=0, device="cpu")
    rows = np.random.default_rng(0).normal(size=(20, 2))
    with torch.no_grad():
        scores = model.policy.get_distribution(torch.as_tensor(around.normalize_obs(rows)).float()).distribution.probs
    np.testing.assert_allclose(as_policy(model, walk)(rows), scores.numpy(), atol=1e-6)
    with pytest.raises(InputError, match="must be numbered"):
        as_policy(baselines.PPO("MlpPolicy", "Pendulum-v1", device="cpu"), walk)


def small(kind: str = "probabilities") -> PolicyNetwork:
    torch.manual_seed(0)
    layers = [(torch.randn(4, 2), torch.randn(4)), (torch.randn(2, 4), torch.randn(2))]
    shift, scale = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 2.0])
    return PolicyNetwork(layers, shift=shift, scale=scale, kind=kind, details={"env": "Walk", "return": 3.5})


@pytest.mark.parametrize("kind", ["probabilities", "q_values"])
def test_a_teacher_is_read_as_it_was_written(walk: Any, tmp_path: Path, kind: str) -> None:
    network, path = small(kind), tmp_path / "new" / "teacher.safetensors"
    write_teacher(network, path)
    read, rows = read_teacher(path), torch.randn(9, 2)
    assert torch.equal(read(rows), network(rows))
    assert (read.kind, read.details, read.n_weights) == (kind, {"env": "Walk", "return": 3.5}, 22)
    hidden = torch.tanh(((rows - network.shift) * network.scale) @ network.layers[0].weight.T + network.layers[0].bias)
    raw = hidden @ network.layers[1].weight.T + network.layers[1].bias  # type: ignore[operator,union-attr]
    torch.testing.assert_close(read(rows), raw.softmax(1) if kind == "probabilities" else raw)
    assert as_policy(str(path), walk).kind == kind
    assert list(path.parent.iterdir()) == [path]


def test_files_that_are_no_teacher_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "teacher.safetensors"
    path.write_bytes(b"\x80\x04 no tensors")
    with pytest.raises(InputError, match="can't be read"):
        read_teacher(path)
    save_file({"a": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"a policy network of version 1.*holds a"):
        read_teacher(path)
    write_teacher(small(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="can't be read"):
        read_teacher(path)
    tensors = small().state_dict() | {"layers.1.bias": torch.zeros(7)}
    about = {"limbeck_policy": "1", "kind": "q_values", "activation": "tanh", "details": "{}"}
    save_file(tensors, path, metadata=about)
    with pytest.raises(InputError, match="is damaged"):
        read_teacher(path)


def test_a_game_that_is_unknown_or_out_of_range_is_refused() -> None:
    pytest.importorskip("ale_py", reason="the extra 'atari' is not installed")
    with pytest.raises(InputError, match="Did you mean 'Breakout'"):
        ram_environment("breakout")
    with pytest.raises(InputError, match="frame_skip must be a whole number from 1 to 30"):
        ram_environment("Pong", frame_skip=0)
    with pytest.raises(InputError, match="sticky must be a probability below 1"):
        ram_environment("Pong", sticky=1.5)


def chase(rows: np.ndarray) -> np.ndarray:
    """Breakout: keep the paddle under where the ball goes."""
    ahead = rows[:, 0] - rows[:, 2] + 2 * rows[:, 3] - rows[:, 5]
    return np.where(ahead > 20.5, 1, np.where(ahead < -3.5, 2, 0))


def test_breakout_by_its_memory() -> None:
    pytest.importorskip("ale_py", reason="the extra 'atari' is not installed")
    game = as_environment("limbeck/Breakout-v0")
    assert game.columns == ("ball_x", "ball_y", "paddle_x", "ball_vx", "ball_vy", "paddle_vx")
    assert game.actions == ("stay", "right", "left")
    played = play_episodes(game, chase, (0, 1), record=True, max_steps=250)
    again = play_episodes(game, chase, (1,), record=True, max_steps=250)
    np.testing.assert_array_equal(again.observations[0], played.observations[1])  # type: ignore[index]
    assert played.returns.min() > 4
    still = play_episodes(game, lambda rows: np.zeros(len(rows), dtype=int), (0,), max_steps=250)
    assert still.returns[0] < 3
    seen = np.vstack(played.observations)  # type: ignore[arg-type]
    assert (seen[:, 1] > 0).all()  # a ball is always there
    one = played.observations[0]  # type: ignore[index]
    flying = np.abs(np.diff(one[:, 1])) < 40
    np.testing.assert_array_equal(one[1:, 3][flying], np.diff(one[:, 0])[flying])


def test_what_the_memory_says_is_where_the_picture_shows_it() -> None:
    pytest.importorskip("ale_py", reason="the extra 'atari' is not installed")
    env = ram_environment("Breakout", sticky=0.0, render=True)
    observation, _ = env.reset(seed=0)
    offsets = []
    for step in range(40):
        picture = env.render()
        red = (picture == (200, 72, 72)).all(axis=2)
        paddle = np.flatnonzero(red[189:193, 8:152].all(axis=0)) + 8
        balls = np.argwhere(red[93:189, 8:152]) + np.array([93, 8])
        if len(balls) and len(paddle):
            offsets.append((paddle.min() - observation[2], balls[:, 1].min() - observation[0]))
        observation, _, over, _, _ = env.step(1 if step < 20 else 2)
        if over:
            break
    assert len(offsets) > 10
    assert np.ptp([a for a, _ in offsets]) <= 8
    assert np.ptp([b for _, b in offsets]) <= 2


def test_pong_by_its_memory() -> None:
    pytest.importorskip("ale_py", reason="the extra 'atari' is not installed")
    game = as_environment(lambda: ram_environment("Pong", frame_skip=8))
    assert game.columns == ("ball_x", "ball_y", "paddle_y", "enemy_y", "ball_vx", "ball_vy", "paddle_vy")
    assert game.actions == ("stay", "up", "down")
    played = play_episodes(game, lambda rows: np.ones(len(rows), dtype=int), (0,), record=True, max_steps=30)
    other = play_episodes(game, lambda rows: np.full(len(rows), 2), (0,), record=True, max_steps=30)
    assert played.observations[0][-1, 2] < played.observations[0][0, 2]  # type: ignore[index]
    assert other.observations[0][-1, 2] > other.observations[0][0, 2]  # type: ignore[index]


def test_environments_are_used_again_and_closed_where_they_can_not_be(walk: Any) -> None:
    made: list[Walk] = []
    closed: list[Walk] = []

    class Counted(Walk):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

        def close(self) -> None:
            closed.append(self)

    class Unhashable(list[int]):
        def __call__(self) -> Any:
            return Counted()

    kept = as_environment(Counted)
    made.clear()
    for _ in range(3):
        play_episodes(kept, back, range(4))
    assert len(made) == 4
    unkept = as_environment(Unhashable())
    made.clear()
    closed.clear()
    play_episodes(unkept, back, range(4))
    assert made == closed
    assert len(made) == 4
