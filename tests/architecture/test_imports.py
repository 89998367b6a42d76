"""Imports point down, and the light commands stay light."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "sklearn", "sympy", "pandas", "polars", "scipy", "pyoperon", "onnx", "onnxruntime", "joblib")
ROOMS = sorted(p.name for p in (ROOT / "src/limbeck").iterdir() if p.is_dir() and (p / "__init__.py").exists())


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_down(copy: Path) -> None:
    ran = lint(copy)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_planted_violation_is_caught(copy: Path) -> None:
    place = copy / "src/limbeck/readable/_text.py"
    place.write_text(place.read_text() + "\nfrom limbeck.students import TreeRegressor as _planted\n")
    ran = lint(copy)
    assert ran.returncode != 0
    assert "limbeck.readable" in ran.stdout
    assert "limbeck.students" in ran.stdout


def test_siblings_do_not_import_each_other(copy: Path) -> None:
    place = copy / "src/limbeck/students/_tree.py"
    place.write_text(place.read_text() + "\nfrom limbeck.queries import Munge as _planted\n")
    ran = lint(copy)
    assert ran.returncode != 0
    assert "limbeck.queries" in ran.stdout


def test_every_room_is_in_the_contract() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    layers = text[text.index("layers = [") :]
    assert [room for room in ROOMS if room not in layers] == []


@pytest.mark.parametrize(
    "code",
    [
        "import limbeck",
        "import limbeck; dir(limbeck); limbeck.__version__",
        "import limbeck.cli",
        "import sys; sys.argv = ['limbeck', '--help']\nimport limbeck.cli\n"
        "try:\n    limbeck.cli.main()\nexcept SystemExit:\n    pass",
    ],
)
def test_light_imports(code: str) -> None:
    probe = f"{code}\nimport sys\nprint('loaded', [m for m in {HEAVY!r} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip().endswith("loaded []"), ran.stdout


def test_readables_need_no_torch() -> None:
    probe = (
        "import sys; sys.modules['torch'] = None; sys.modules['pyoperon'] = None\n"
        "import limbeck.readable, limbeck._result; print('ok')"
    )
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "ok"
