"""Packed models: what comes back is equal, what is narrow stays narrow, and no file can do harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from limbeck._core.errors import InputError, StorageError
from limbeck._core.tables import Column, Schema
from limbeck.readable import Embedding, Layer, NetworkReadable, Node, TreeReadable, pack, unpack
from limbeck.readable import _packing as packing
from limbeck.readable._packing import packed_size

SCHEMA = Schema(tuple(Column(f"x{j}") for j in range(20)))
INPUTS = tuple((j, -1) for j in range(20))


def network(weight: np.ndarray, scale: np.ndarray | None = None) -> NetworkReadable:
    layer = Layer(weight, np.arange(float(weight.shape[1])), scale)
    return NetworkReadable(
        SCHEMA, "regression", tuple(f"y{o}" for o in range(weight.shape[1])), INPUTS[: len(weight)], (layer,)
    )


WEIGHT = np.random.default_rng(0).normal(size=(20, 40))
SCALE = np.abs(WEIGHT).max(axis=0) / 127
CODED = np.rint(WEIGHT / SCALE) * SCALE
PRUNED = np.where(np.random.default_rng(1).random(WEIGHT.shape) < 0.8, 0.0, 1.0)
MADE = {
    "double": network(WEIGHT),
    "single": network(np.float32(WEIGHT).astype(float)),
    "8-bit": network(CODED, SCALE),
    "pruned": network(WEIGHT * PRUNED),
    "8-bit, pruned": network(CODED * PRUNED, SCALE),
    "all zero": network(np.zeros((20, 40)), np.zeros(40)),
}


@pytest.mark.parametrize("name", MADE)
def test_what_was_packed_comes_back(name: str) -> None:
    one = MADE[name]
    data = one.export("safetensors")
    assert isinstance(data, bytes)
    assert data == pack(one)
    again = unpack(data)
    assert again == one
    assert pack(again) == data
    assert np.array_equal(again.layers[0].weight, one.layers[0].weight)  # type: ignore[attr-defined]


def test_other_families_and_odd_texts_come_back() -> None:
    schema = Schema(
        (Column("job \ud800\0\n", "nominal", ("a\0b", "\udfff", "\U0001f600"), dtype="object"), Column("$array"))
    )
    nodes = (Node((0.5,), 3, 0, None, (0, 2), 1, 2), Node((0.1,), 2), Node((1e-300,), 1))
    tree = TreeReadable(schema, "regression", ("$array",), nodes)
    assert unpack(pack(tree)) == tree
    embedded = NetworkReadable(
        schema,
        "regression",
        ("y",),
        ((1, -1),),
        (Layer(np.ones((31, 1)), np.zeros(1)),),
        "relu",
        (Embedding(0, np.arange(90.0).reshape(3, 30) / 3),),
    )
    assert unpack(pack(embedded)) == embedded


def test_each_array_is_as_narrow_as_it_can_be() -> None:
    sizes = {name: one.n_bytes for name, one in MADE.items()}
    bias = 40 * 2  # whole numbers: half precision
    assert sizes["double"] == 800 * 8 + bias
    assert sizes["single"] == 800 * 4 + bias
    assert sizes["8-bit"] == 800 + 40 * 8 + bias
    kept = int(PRUNED.sum())
    assert sizes["pruned"] == 100 + kept * 8 + bias
    assert sizes["8-bit, pruned"] == 100 + int((CODED * PRUNED != 0).sum()) + 40 * 8 + bias
    for name, one in MADE.items():
        assert sizes[name] < len(pack(one)) < sizes[name] + 4_000


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        np.float64,
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20),
        elements=st.one_of(st.sampled_from([0.0, -0.0, 1.0, 65505.0, 1e-320]), st.floats(-1e300, 1e300)),
    )
)
def test_any_numbers_come_back(weight: np.ndarray) -> None:
    again = unpack(pack(network(weight)))
    np.testing.assert_array_equal(again.layers[0].weight, weight)  # type: ignore[attr-defined]
    assert 0 < packed_size(weight) <= weight.nbytes


def test_no_packing_of_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack(MADE["double"])
    monkeypatch.setattr(packing, "MAX_NUMBERS", 500)
    with pytest.raises(InputError, match="at most 500 numbers can be packed"):
        pack(MADE["double"])
    with pytest.raises(StorageError, match="at most 500 numbers; this file has more"):
        unpack(data)
    monkeypatch.setattr(packing, "MAX_BYTES", 2**10)
    with pytest.raises(StorageError, match="at most 0 MiB; got"):
        unpack(data)


# ---- files that are not what they should be


def opened(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors, document = packing._opened(data)
    return tensors, {"format": packing.FORMAT, "version": packing.VERSION, "readable": document}


def closed(tensors: dict[str, np.ndarray], document: Any) -> bytes:
    return save(tensors, metadata={"limbeck": json.dumps(document)})


def test_bytes_are_required(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unpack takes the bytes of a packed model; got str\. Read the file first"):
        unpack("model.safetensors")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got PosixPath"):
        unpack(tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"\xff" * 64, b"\x10" + b"\0" * 7 + b"{}" * 8])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StorageError, match="packed model"):
        unpack(data)


def test_every_cut_and_most_changes_are_refused_or_harmless() -> None:
    data = pack(MADE["8-bit, pruned"])
    for end in range(0, len(data), 97):
        with pytest.raises(StorageError, match="can't be read as safetensors"):
            unpack(data[:end])
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 300):
        changed = bytearray(data)
        changed[at] ^= int(rng.integers(1, 256))
        try:
            unpack(bytes(changed))
        except (StorageError, InputError):
            continue


def test_other_safetensors_and_other_versions_are_refused() -> None:
    tensors, document = opened(pack(MADE["double"]))
    with pytest.raises(StorageError, match="got safetensors without one"):
        unpack(save(tensors))
    with pytest.raises(StorageError, match="must have format 'limbeck-readable'"):
        unpack(closed(tensors, {**document, "format": "other"}))
    with pytest.raises(StorageError, match=r"version 1; got 2\. Update limbeck"):
        unpack(closed(tensors, {**document, "version": 2}))
    with pytest.raises(InputError, match=r"family is one of .*; got 'os.system'"):
        unpack(closed(tensors, {**document, "readable": {**document["readable"], "family": "os.system"}}))
    with pytest.raises(InputError, match="got None"):
        unpack(closed(tensors, {**document, "readable": [1]}))


def no_scale(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    del layer["scale"]


def other_scale(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["scale"] = [1.0, 2.0]


def no_array(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["weight"]["$array"] = "nothing"


def an_object(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["weight"]["$array"] = {"a": 1}


def great_shape(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["weight"]["shape"] = [2**24, 2**24]


def other_shape(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["weight"]["shape"] = [20, 41]


def negative_shape(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    layer["weight"]["shape"] = [-20, -40]


def no_mask(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    del tensors[layer["weight"]["$array"] + ".mask"]


def full_mask(tensors: dict[str, np.ndarray], layer: dict[str, Any]) -> None:
    tensors[layer["weight"]["$array"] + ".mask"] = np.full(100, 255, np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (no_scale, "the codes 'a.*' have no scale that fits"),
        (other_scale, "have no scale that fits"),
        (no_array, "it lacks the array 'nothing'"),
        (an_object, "it lacks the array"),
        (great_shape, "does not fit its mask and shape"),
        (other_shape, "does not fit its mask and shape"),
        (negative_shape, "does not fit its mask and shape"),
        (no_mask, "does not fit its mask and shape"),
        (full_mask, "another number of values than its mask"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: Any, message: str) -> None:
    tensors, document = opened(pack(MADE["8-bit, pruned"]))
    change(tensors, document["readable"]["layers"][0])
    with pytest.raises(StorageError, match=message):
        unpack(closed(tensors, document))


def test_a_small_file_does_not_become_a_great_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One array, referred to again and again, is counted each time."""
    tensors, document = opened(pack(MADE["double"]))
    document["readable"]["layers"] = [document["readable"]["layers"][0]] * 5
    monkeypatch.setattr(packing, "MAX_NUMBERS", 3_000)
    with pytest.raises(StorageError, match="at most 3,000 numbers; this file has more"):
        unpack(closed(tensors, document))


def test_deep_documents_are_refused() -> None:
    tensors, document = opened(pack(MADE["double"]))
    deep = json.dumps(document).replace('"layers":', '"more": ' + "[" * 100_000 + "]" * 100_000 + ', "layers":')
    with pytest.raises(StorageError, match=r"recursion|nested too deep"):
        unpack(save(tensors, metadata={"limbeck": deep}))
