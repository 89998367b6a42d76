"""Every public name is documented, reachable, and none shadows a module."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import limbeck

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    *("attribution", "checks", "datasets", "modularity", "policies", "queries", "readable"),
    *("report", "simulate", "students", "teachers", "training"),
)
PUBLIC = [("limbeck", name) for name in limbeck.__all__] + [
    (f"limbeck.{room}", name) for room in ROOMS for name in importlib.import_module(f"limbeck.{room}").__all__
]


@pytest.mark.parametrize(("home", "name"), PUBLIC, ids=lambda value: value)
def test_documented(home: str, name: str) -> None:
    thing = getattr(importlib.import_module(home), name)
    if inspect.isclass(thing) or callable(thing):
        assert (inspect.getdoc(thing) or "").strip(), f"{home}.{name} has no docstring"
    else:
        assert thing is not None


@pytest.mark.parametrize("name", importlib.import_module("limbeck.students").__all__)
def test_students_are_reachable_at_the_top(name: str) -> None:
    assert getattr(limbeck, name) is getattr(importlib.import_module("limbeck.students"), name)


def test_no_public_name_is_a_module() -> None:
    for home, name in PUBLIC:
        assert not inspect.ismodule(getattr(importlib.import_module(home), name)), f"{home}.{name}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        limbeck.nothing


def test_nothing_can_run_code_from_a_file() -> None:
    pattern = re.compile(
        r"\b(pickle\.|joblib\.load|torch\.load|eval\(|exec\(|parse_expr\(|sympify\(|allow_pickle=True)"
    )
    found = [
        f"{path.relative_to(ROOT)}:{i}: {line.strip()}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line.split("#")[0]) and not line.strip().startswith(("*", "-", '"'))
    ]
    assert [line for line in found if ".eval()" not in line and "def eval(" not in line] == []


def test_every_source_key_is_in_the_bibliography() -> None:
    keys = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "references.bib").read_text(encoding="utf-8"), re.M))
    used = {
        key
        for path in (ROOT / "src").rglob("*.py")
        for key in re.findall(r"\b([A-Z][A-Za-z]+(?:19|20)\d\d)\b", path.read_text(encoding="utf-8"))
    }
    assert used <= keys
