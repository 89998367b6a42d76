"""Every example and every benchmark runs, the slow ones on the least that shows they do."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from limbeck import datasets

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
NEEDS = {"adult.py": "adult"}
GAMES = {"breakout.py": ("gymnasium", "ale_py")}
QUICK = {"breakout.py": ["--quick"]}
SAYS = {
    "breakout.py": ("the line ", "the network ", "an episode of 40 steps", "drawn in runs/breakout/episode.svg"),
    "explain.py": ("RC005 pass", "the page:"),
    "modules.py": ("module 1 uses a, b and decides y0", "fidelity of the whole 0.99", "\nfaithful\n"),
    "wavelet.py": ("wavelet_tree", "wavelet of 10 numbers, adapted from db5, 4 scales, on a signal of 96", "fidelity"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *QUICK.get(name, [])])
    for package in GAMES.get(name, ()):
        pytest.importorskip(package, reason=f"{name} needs {package}: pip install 'limbeck[rl,atari]'")
    needed = NEEDS.get(name)
    if needed is not None and needed not in set(datasets.available()["name"]):
        pytest.skip(f"{name} needs the data set {needed!r}: set LIMBECK_DATA")
    runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    out = capsys.readouterr().out
    for words in SAYS.get(name, ("fidelity", "if ")):
        assert words in out


BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_says_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is imported whole, so that a name that is gone from the house shows; running it takes minutes."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit, match=r"^0$"):
        runpy.run_path(str(ROOT / "benchmarks" / f"{name}.py"), run_name="__main__")
    assert "usage" in capsys.readouterr().out


def test_benchmark_of_munge() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.munge", "--quick"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "x the plain loop" in ran.stdout
