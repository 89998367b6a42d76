"""An episode as it is seen: what the program did, the line that decided, the pictures; and `limbeck play`."""

from __future__ import annotations

import base64
import json
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from limbeck._core.errors import InputError, StorageError, TeacherError
from limbeck.cli._play import play
from limbeck.cli._show import show
from limbeck.policies import as_environment, play_episodes, record_episode
from limbeck.policies._policy_distillation import PolicyDistillation
from limbeck.policies._recording_pictures import Camera, sheets
from limbeck.report import render_recording
from limbeck.report._recording_read import read_recording
from policy_documents import policies
from policy_worlds import Follow, World, follower, gymnasium

COLUMNS = ["ball", "paddle"]


class Drawn(Follow):
    """`Follow` with a picture: the ball and the paddle as pixels, 12 high and 24 wide."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 - as gymnasium has it
    render_mode = "rgb_array"

    def render(self) -> np.ndarray:
        picture = np.zeros((12, 24, 3), dtype=np.uint8)
        picture[2, int(self.state[0]) % 24] = (250, 20, 20)
        picture[10, int(self.state[1]) % 24] = (20, 20, 250)
        return picture


class Broken(Drawn):
    """Its library for drawing is absent."""

    def render(self) -> np.ndarray:
        raise ImportError("pygame is not installed")


def program() -> Any:
    from limbeck.readable import policy_schema
    from limbeck.readable._program import Guard, ProgramPolicy
    from limbeck.readable._program_comparison import Comparison

    gap, back = ((0, 1.0), (1, -1.0)), ((0, -1.0), (1, 1.0))
    guards = (Guard((Comparison(gap, 0.25),), 1), Guard((Comparison(back, 0.25),), 2))
    return ProgramPolicy(policy_schema(COLUMNS), Follow.meanings, guards, 0)


def pixels(pictures: dict[str, Any]) -> np.ndarray:
    """The frames of sheets as ``(frames, h, w, 3)``."""
    frames = []
    for text in pictures["sheets"]:
        data = base64.b64decode(text)
        chunks, at = {}, 8
        while at < len(data):
            (size,) = struct.unpack(">I", data[at : at + 4])
            chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
            at += size + 12
        wide, high = struct.unpack(">II", chunks[b"IHDR"][:8])
        levels = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(high, wide + 1)[:, 1:]
        colours = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[levels]
        frames += np.split(colours, wide // pictures["width"], axis=1)
    return np.array(frames)


def test_what_is_recorded_is_what_was_played() -> None:
    own = program()
    recording = record_episode(Drawn, own, teacher=follower, seed=4)
    episodes = play_episodes(as_environment(Drawn), own.act, [4], record=True)
    assert episodes.observations is not None
    assert episodes.actions is not None
    np.testing.assert_array_equal(recording.rows, episodes.observations[0])
    np.testing.assert_array_equal(recording.taken, episodes.actions[0])
    np.testing.assert_array_equal(recording.firing, own.firing(recording.rows))
    np.testing.assert_array_equal(recording.wanted, follower(recording.rows).argmax(axis=1))
    assert (recording.total, recording.steps) == (episodes.returns[0], 30)
    assert (recording.gained[0], recording.fps, recording.player) == (0.0, 20.0, "the program")
    assert recording.pictures is not None
    shown = pixels(recording.pictures)
    assert shown.shape == (30, 12, 24, 3)
    for i in (0, 7, 29):
        ball, paddle = recording.rows[i].astype(int) % 24
        assert shown[i, 2, ball].tolist() == [250, 20, 20]
        assert shown[i, 10, paddle].tolist() == [20, 20, 250]
        assert shown[i].any(axis=2).sum() == 2


def test_the_same_episode_gives_the_same_bytes() -> None:
    one, other = (record_episode(Drawn, program(), seed=1).to_dict() for _ in range(2))
    assert json.dumps(one) == json.dumps(other)
    assert json.dumps(record_episode(Drawn, program(), seed=2).to_dict()) != json.dumps(one)
    assert render_recording(json.loads(json.dumps(one))) == render_recording(one)


def test_fewer_pictures_are_kept_and_the_return_is_whole() -> None:
    whole = record_episode(Drawn, program(), seed=1)
    part = record_episode(Drawn, program(), seed=1, frames=4, every=3)
    np.testing.assert_array_equal(part.rows, whole.rows[:12:3])
    np.testing.assert_array_equal(part.gained, whole.gained[:12:3])
    assert (part.total, part.steps, part.fps) == (whole.total, 30, 20.0 / 3)
    assert read_recording(part.to_dict()).is_cut
    assert not read_recording(whole.to_dict()).is_cut


@pytest.mark.parametrize("env", [Follow, Broken])
def test_without_a_picture_it_is_recorded_all_the_same(env: Any) -> None:
    recording = record_episode(env, program(), seed=1, frames=5)
    assert recording.pictures is None
    assert 'class="seen" points=' in render_recording(recording.to_dict())


def test_an_environment_of_gymnasium_shows_its_picture() -> None:
    pytest.importorskip("pygame")
    recording = record_episode("CartPole-v1", lambda rows: rows[:, 2] + rows[:, 3] > 0, frames=2, name="by hand")
    assert recording.pictures is not None
    assert (recording.pictures["width"], recording.pictures["height"]) == (300, 200)
    assert (recording.readable, recording.firing, recording.player) == (None, None, "by hand")
    assert len(np.unique(pixels(recording.pictures).reshape(-1, 3), axis=0)) > 3


def test_many_colours_become_at_most_256_near_ones() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3)).astype(np.uint8)
    shown = pixels(sheets(list(frames)))
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert np.abs(shown.astype(int) - frames).mean() < 24
    few = frames[:, :2, :2]
    np.testing.assert_array_equal(pixels(sheets(list(few))), few)


def test_a_large_picture_is_made_smaller() -> None:
    class Large(Drawn):
        def render(self) -> np.ndarray:
            return np.kron(super().render(), np.ones((30, 30, 1), dtype=np.uint8))

    camera = Camera(as_environment(Large))
    camera.env.reset(seed=0)
    camera.look()
    assert camera.frames[0].shape == (120, 240, 3)
    assert sorted(camera.frames[0].max(axis=(0, 1)).tolist()) == [20, 250, 250]


BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "no seed": ({"seed": -1}, InputError, "seed must be a whole number from 0; got -1"),
    "frames": ({"frames": 0}, InputError, "frames must be a whole number from 1; got 0"),
    "every": ({"every": 1.5}, InputError, r"every must be a whole number from 1; got 1\.5"),
    "another environment": ({"env": "CartPole-v1"}, InputError, "environment's 4 columns and 2 actions; it looks at 2"),
    "no player": ({"player": "nowhere.safetensors"}, InputError, "can't be read"),
    "no policy": ({"player": 5}, InputError, "a policy must be"),
    "a teacher that raises": ({"teacher": lambda rows: 1 / 0}, TeacherError, "ZeroDivisionError"),
    "a player that answers NaN": ({"player": lambda rows: np.full((len(rows), 3), np.nan)}, TeacherError, "NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_refused(case: str) -> None:
    changed, kind, message = BAD[case]
    given = {"env": Drawn, "player": program(), **changed}
    with pytest.raises(kind, match=message):
        record_episode(given.pop("env"), given.pop("player"), **given)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    recording = record_episode(Drawn, program(), frames=2)
    with pytest.raises(InputError, match=r"as \.html, \.svg or \.json; got .*gif"):
        recording.save(tmp_path / "a.gif")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="can't be written"):
        recording.save(tmp_path / "file" / "a.svg")
    assert recording.save(tmp_path / "deep" / "a.svg").read_bytes().startswith(b"<svg xmlns=")


# limbeck play

app = typer.Typer()
app.command("play")(play)
app.command("show")(show)


def ran(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of policies in `Follow`, and modules that make environments and teachers."""

    class Three(World):
        columns, meanings = ("ball", "paddle", "speed"), ("stay", "right", "left")

        def _start(self) -> tuple[float, float, float]:
            return float(self.np_random.uniform(-5, 5)), 0.0, 1.0

        def _move(self, action: int) -> tuple[float, bool]:
            self.state = self.state + np.array([0.0, (0.0, 1.0, -1.0)[action], 0.0])
            return float(abs(self.state[0] - self.state[1]) < 2.0), False

    monkeypatch.setitem(sys.modules, "mine", SimpleNamespace(make=lambda: Three(), teacher=lambda: follower))
    document = PolicyDistillation.from_dict(policies())
    return document.save(tmp_path / "run")


def test_play_draws_into_the_folder(folder: Path) -> None:
    assert '<section id="play"' not in (folder / "report.html").read_text(encoding="utf-8")
    found = ran("play", folder, "--env", "mine:make", "--teacher", "mine:teacher", "--seed", 3)
    assert found.exit_code == 0, found.output
    assert "program_1 in " in found.output
    assert "seed 3: return " in found.output
    document = json.loads((folder / "recording.json").read_text(encoding="utf-8"))
    assert (document["seed"], document["player"], len(document["wanted"])) == (3, "program_1", 30)
    assert '<section id="play"' in (folder / "report.html").read_text(encoding="utf-8")
    again = PolicyDistillation.load(folder).save(folder)
    assert '<section id="play"' in (again / "report.html").read_text(encoding="utf-8")


def test_play_writes_one_file(folder: Path, tmp_path: Path) -> None:
    found = ran("play", folder, "tree_3", "--env", "mine:make", "--frames", 3, "--out", tmp_path / "a.html")
    assert found.exit_code == 0, found.output
    assert "of which 3 are shown" in found.output
    assert "tree_3 plays" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert not (folder / "recording.json").exists()


def test_play_a_teachers_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from limbeck.policies import PolicyNetwork, write_teacher

    layers = [(torch.tensor([[0.0, 0.0, -1.0, -1.0], [0.0, 0.0, 1.0, 1.0]]), torch.zeros(2))]
    network = PolicyNetwork(layers, shift=torch.zeros(4), scale=torch.ones(4), kind="probabilities")
    write_teacher(network, tmp_path / "cart.safetensors")
    found = ran(
        "play", tmp_path / "cart.safetensors", "--env", "CartPole-v1", "--frames", 2, "--out", tmp_path / "a.svg"
    )
    assert found.exit_code == 0, found.output
    assert "cart in CartPole-v1, seed 0: return " in found.output
    assert "cart plays CartPole-v1" in (tmp_path / "a.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which gymnasium can't make; give --env"),
        (["tree_33", "--env", "mine:make"], "Did you mean 'tree_3'"),
        (["--env", "mine:make", "--out", "a.gif"], r"--out must end in \.html, \.svg or \.json"),
        (["--env", "Acrobot-v1"], "names must be 6 different texts; got 3"),
    ],
)
def test_play_refuses(folder: Path, arguments: list[str], message: str) -> None:
    found = ran("play", folder, *arguments)
    assert found.exit_code == 1
    with pytest.raises(InputError, match=message):
        raise found.exception  # type: ignore[misc]


def test_what_plays_best_is_played_where_none_may_be_used(folder: Path) -> None:
    document = policies()
    for one in document["candidates"]:
        one["findings"] = [{**one["findings"][0], "status": "fail"}]
    PolicyDistillation.from_dict(document).save(folder)
    found = ran("play", folder, "--env", "mine:make", "--frames", 1)
    assert found.exit_code == 0
    assert "no candidate may be used; program_1 plays best" in found.output


def test_show_prints_one_policy(folder: Path) -> None:
    found = ran("show", folder, "program_1")
    assert found.exit_code == 0
    assert "RC014 pass" in found.output
    assert "right if ball - paddle > 2" in found.output
    assert "Follow-v0: 3 actions from 3 columns" in ran("show", folder).output


def test_an_environment_whose_maker_fails_is_refused() -> None:
    def fails() -> gymnasium.Env:
        raise RuntimeError("no console")

    with pytest.raises(InputError, match="the function that makes the environment raised RuntimeError"):
        record_episode(fails, program())
