""".pt2 files: the graph gives torch's own numbers, and nothing in a hostile file is ever run."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from limbeck._core.errors import InputError, TeacherError
from limbeck.teachers import as_teacher
from limbeck.teachers._pt2_graph import OPERATORS

X = np.random.default_rng(2).normal(size=(40, 6))
DYNAMIC = ({0: torch.export.Dim.DYNAMIC},)


class Wrap(nn.Module):
    """A module of parts and a function of them."""

    def __init__(self, call: Callable[..., torch.Tensor], **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.register_buffer("shift", torch.arange(6.0))
        self.plain = torch.ones(6) * 2
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(self, x)


def without_gradients(self: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        centre = x.mean(1, keepdim=True)
    low, high = torch.chunk(self.a(x - centre), 2, dim=1)
    best, _ = low.max(dim=1)
    return high + best[:, None] * x.shape[1] / (x.shape[0] * 0.0 + 3.0)


def indexing(self: Any, x: torch.Tensor) -> torch.Tensor:
    out = torch.cat([x[:, :3] * self.plain[:3], x[:, [5, 4, 3]] + self.shift[:3]], dim=1)
    out = torch.where(out > 0, out, out.new_zeros(()))
    return out.reshape(x.shape[0], 2, -1).permute(0, 2, 1).flatten(1)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "dense": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2)),
    "norm and dropout": lambda: nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1)),
    "activations": lambda: nn.Sequential(nn.SELU(), nn.Softplus(), nn.Mish(), nn.Hardtanh(), nn.PReLU()),
    "no gradients inside": lambda: Wrap(without_gradients, a=nn.Linear(6, 8)),
    "indexing": lambda: Wrap(indexing),
    "convolution": lambda: Wrap(lambda s, x: s.a(x[:, None]).flatten(1), a=nn.Conv1d(1, 4, 3, padding=1)),
    "recurrent": lambda: Wrap(lambda s, x: s.a(x[:, :, None])[0][:, -1], a=nn.LSTM(1, 4, batch_first=True)),
    "gated": lambda: Wrap(lambda s, x: s.a(x[:, :, None])[0][:, -1], a=nn.GRU(1, 4, batch_first=True)),
    "attention": lambda: Wrap(
        lambda s, x: s.a(x[:, :, None].expand(-1, -1, 4) + 0.0).mean(1),
        a=nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
    ),
    "embedding": lambda: Wrap(lambda s, x: s.a((x > 0).long()).sum(1), a=nn.Embedding(2, 3)),
    "normalised weights": lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))),
    "skip": lambda: Wrap(lambda s, x: torch.sigmoid(x + s.a(torch.sin(x) ** 2 / 3)) @ s.plain, a=nn.Linear(6, 6)),
    "double": lambda: nn.Linear(6, 2).double(),
}


def export(module: nn.Module, path: Path, dtype: torch.dtype = torch.float32, shapes: Any = DYNAMIC) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module, (torch.zeros(5, 6, dtype=dtype),), dynamic_shapes=shapes), path)
    return path


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return export(MODULES["dense"]().eval(), tmp_path_factory.mktemp("pt2") / "dense.pt2")


@pytest.mark.parametrize("name", MODULES)
def test_the_graph_gives_the_modules_own_numbers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = MODULES[name]().eval()
    dtype = torch.float64 if name == "double" else torch.float32
    with torch.no_grad():
        own = module(torch.tensor(X, dtype=dtype)).double().numpy()
    teacher = as_teacher(export(module, tmp_path / "m.pt2", dtype), "regression", batch_rows=13)
    np.testing.assert_allclose(teacher(X), own.reshape(len(X), -1), rtol=1e-5, atol=1e-6)
    assert "read without pickle" in teacher.notes[0]


def test_it_agrees_with_torchs_own_loader(dense: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = torch.export.load(dense).module()(torch.tensor(X, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(as_teacher(dense, "regression")(X), own, rtol=1e-5, atol=1e-6)


def test_a_module_exported_in_training_mode_is_found_out(tmp_path: Path) -> None:
    path = export(nn.Sequential(nn.Linear(6, 4), nn.Dropout(0.5)).train(), tmp_path / "training.pt2")
    with pytest.raises(TeacherError, match=r"between two calls.*call model\.eval\(\) before exporting"):
        as_teacher(path, "regression")(X)
    path = export(nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4)).train(), tmp_path / "norm.pt2")
    with pytest.raises(TeacherError, match=r"when other rows come with it.*batch normalisation in training mode"):
        as_teacher(path, "regression")(X)


def test_another_width_is_told(dense: Path) -> None:
    with pytest.raises(InputError, match=r"dense\.pt2 takes rows of 6 columns; got shape \(40, 4\)"):
        as_teacher(dense, "regression")(X[:, :4])


# ---- hostile files


class Evil:
    """A pickle that makes a folder as soon as it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.trace),))


def evil_pickle(trace: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Evil(trace), buffer)
    return buffer.getvalue()


def rewrite(source: Path, target: Path, change: Callable[[str, bytes], bytes | None], **added: bytes) -> Path:
    """The archive with parts changed, left out (None) or added, as a hostile hand would."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].split("/")[0]
        for name in old.namelist():
            data = change(name.removeprefix(f"{root}/"), old.read(name))
            if data is not None:
                new.writestr(name, data)
        for name, data in added.items():
            new.writestr(f"{root}/{name}", data)
    return target


def json_change(place: str, change: Callable[[Any], None]) -> Callable[[str, bytes], bytes]:
    def apply(name: str, data: bytes) -> bytes:
        if name != place:
            return data
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return apply


WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"
GRAPH = "models/model.json"


def first_weight(key: str, value: Any) -> Callable[[Any], None]:
    return lambda document: next(iter(document["config"].values())).__setitem__(key, value)


def first_node(key: str, value: Any) -> Callable[[Any], None]:
    return lambda document: document["graph_module"]["graph"]["nodes"][0].__setitem__(key, value)


def test_the_sample_inputs_are_a_pickle_and_are_never_opened(dense: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evil = evil_pickle(trace)
    path = rewrite(dense, tmp_path / "evil.pt2", lambda name, data: evil if "sample_inputs" in name else data)
    np.testing.assert_array_equal(as_teacher(path, "regression")(X), as_teacher(dense, "regression")(X))
    assert not trace.exists()


@pytest.mark.skipif(not torch.__version__.startswith("2.13"), reason="says what torch 2.13 does; later ones may not")
def test_negative_control_torchs_own_loader_does_run_it(
    dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    evil = evil_pickle(trace)
    path = rewrite(dense, tmp_path / "evil.pt2", lambda name, data: evil if "sample_inputs" in name else data)
    monkeypatch.setattr(logging.getLogger("torch._export.serde.serialize"), "disabled", True)
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        torch.export.load(path)
    assert trace.exists()


def test_a_pickled_weight_is_refused_unread(dense: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evil = evil_pickle(trace)
    marked = json_change(WEIGHTS, first_weight("use_pickle", True))
    path = rewrite(
        dense, tmp_path / "evil.pt2", lambda name, data: evil if name.endswith("weight_0") else marked(name, data)
    )
    with pytest.raises(InputError, match=r"'0\.weight' in 'weight_0' is a pickle or an object.*Nothing in it was run"):
        as_teacher(path)
    assert not trace.exists()


def add_object(document: Any) -> None:
    document["config"]["thing"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}


def climb(document: Any) -> None:
    next(iter(document["config"].values()))["path_name"] = "../../../etc/passwd"


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (CONSTANTS, add_object, "'thing' in 'opaque_obj_0' is a pickle or an object"),
        (WEIGHTS, climb, "is a pickle or an object"),
        (WEIGHTS, first_weight("use_pickle", "no"), "is a pickle or an object"),
        (WEIGHTS, lambda document: document["config"].popitem(), "lacks the numbers of"),
        (GRAPH, lambda document: document["schema_version"].update(major=9), "its schema version is 9"),
        (GRAPH, lambda document: document.pop("graph_module"), "it lacks a graph"),
        (GRAPH, lambda document: document["graph_module"]["graph"].pop("nodes"), "is damaged: its graph can't be read"),
        (
            GRAPH,
            lambda document: document["graph_module"]["graph"]["inputs"].pop(),
            "graph and its signature differ",
        ),
    ],
)
def test_archives_that_are_not_plain_numbers_are_refused(
    place: str, change: Any, message: str, dense: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        as_teacher(rewrite(dense, tmp_path / "changed.pt2", json_change(place, change)))


def too_large(document: Any) -> None:
    meta = next(iter(document["config"].values()))["tensor_meta"]
    meta["sizes"] = [{"as_int": 10_000}, {"as_int": 10_000}]


def test_a_weight_larger_than_its_bytes_is_refused(dense: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the numbers of '0\.weight' can't be read"):
        as_teacher(rewrite(dense, tmp_path / "changed.pt2", json_change(WEIGHTS, too_large)))


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.save.default",
        "torch.ops.aten.from_file.default",
        "torch.ops.aten.set_.source_Storage",
        "torch.ops.custom.evil.default",
        "torch.load",
        "os.system",
        "_operator.attrgetter",
        "_operator.methodcaller",
        "math.__loader__",
        "torch.ops.aten.relu.__class__.__base__",
        "torch.ops.aten.__init__.default",
        "torch.ops.higher_order.cond",
    ],
)
def test_only_arithmetic_is_run(target: str, dense: Path, tmp_path: Path) -> None:
    path = rewrite(dense, tmp_path / "changed.pt2", json_change(GRAPH, first_node("target", target)))
    with pytest.raises(TeacherError, match=r"which is not among the \d+ operators that are run from a file"):
        as_teacher(path)


def test_the_text_of_sizes_is_not_evaluated(dense: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"__import__('pathlib').Path({str(trace)!r}).touch() or Symbol('s0')"

    def change(document: Any) -> None:
        for values in document["graph_module"]["graph"]["tensor_values"].values():
            for size in values["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = code

    path = rewrite(dense, tmp_path / "changed.pt2", json_change(GRAPH, change))
    assert as_teacher(path, "regression")(X).shape == (40, 2)
    assert not trace.exists()


def test_files_of_other_kinds_are_refused_with_the_way_out(dense: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "other.pt2"
    path.write_bytes(pickle.dumps(Evil(trace)))
    with pytest.raises(InputError, match=r"it is not an archive of torch\.export\.save\. Nothing in it was run"):
        as_teacher(path)
    path.write_bytes(evil_pickle(trace))
    with pytest.raises(InputError, match=r"it is a pickle \(torch\.save\)"):
        as_teacher(path)
    rewrite(dense, path, lambda name, data: data, **{"data/aotinductor/model/x.so": b"\x7fELF"})
    with pytest.raises(InputError, match=r"compiled machine code"):
        as_teacher(path)
    rewrite(dense, path, lambda name, data: data, **{"data/weights/model.pt": evil_pickle(trace)})
    with pytest.raises(InputError, match=r"data/weights/model\.pt is a pickle, as older versions of torch wrote"):
        as_teacher(path)
    rewrite(dense, path, lambda name, data: data, **{"models/second.json": b"{}"})
    with pytest.raises(InputError, match="it holds 2 exported programs; one is required"):
        as_teacher(path)
    rewrite(dense, path, lambda name, data: data[: len(data) // 2] if name == GRAPH else data)
    with pytest.raises(InputError, match="can't be read"):
        as_teacher(path)
    assert not trace.exists()


def test_every_listed_operator_exists_and_none_reaches_outside() -> None:
    assert [name for name in OPERATORS if not hasattr(torch.ops.aten, name)] == []
    outside = {
        "save",
        "from_file",
        "_print",
        "set",
        "set_data",
        "data",
        "record_stream",
        "resize",
        "manual_seed",
        "seed",
    }
    assert not OPERATORS & outside


def test_several_inputs_need_preprocess(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return functional.relu(x) + y.sum(1, keepdim=True)

    path = tmp_path / "two.pt2"
    shapes = ({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC})
    torch.export.save(torch.export.export(Two(), (torch.zeros(5, 1), torch.zeros(5, 5)), dynamic_shapes=shapes), path)
    with pytest.raises(InputError, match=r"takes 2 inputs \['x', 'y'\]; one matrix \(n, d\) is required"):
        as_teacher(path, "regression")
    teacher = as_teacher(path, "regression", preprocess=lambda rows: (rows[:, :1], rows[:, 1:]))
    np.testing.assert_allclose(teacher(X)[:, 0], np.maximum(X[:, 0], 0) + X[:, 1:].sum(1), rtol=1e-5, atol=1e-5)
