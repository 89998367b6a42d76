"""Queries that are images keep what every source promises, on rows that are images."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from limbeck import queries
from limbeck._core.errors import InputError
from limbeck._core.tables import Table
from limbeck.queries import ImageShifts
from limbeck.queries._image_shifts import moved

SIDE = 5
NAMES = [f"p{i}" for i in range(SIDE * SIDE)]


def images(n: int = 30, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(np.random.default_rng(seed).integers(1, 255, size=(n, SIDE * SIDE)), columns=NAMES)


CONTAINERS: dict[str, Any] = {
    "array": lambda: images().to_numpy(dtype=float),
    "pandas": images,
    "polars": lambda: pl.from_pandas(images()),
    "arrow": lambda: pl.from_pandas(images()).to_arrow(),
    "table": lambda: Table.read(images()),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("m", [1, 70])
def test_gives_m_rows_in_the_same_container_and_type(container: str, m: int) -> None:
    X = CONTAINERS[container]()
    rows = ImageShifts(image_shape=(SIDE, SIDE)).sample(X, m, seed=0)
    assert type(rows) is type(X)
    assert tuple(rows.shape) == (m, SIDE * SIDE)
    assert Table.read(rows).schema == Table.read(X).schema


def test_every_row_is_a_row_of_the_data_moved_and_every_move_comes() -> None:
    X = images()
    rows = ImageShifts(pixels=2).sample(X, 600, seed=0).to_numpy().reshape(-1, SIDE, SIDE, 1)
    stack = X.to_numpy().reshape(-1, SIDE, SIDE, 1)
    moves = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if 0 < abs(y) + abs(x) <= 2]
    known = {moved(stack, y, x, stack.min()).reshape(len(stack), -1)[i].tobytes(): (y, x)
             for y, x in moves for i in range(len(stack))}  # fmt: skip
    found = [known.get(row.tobytes()) for row in np.ascontiguousarray(rows.reshape(600, -1))]
    assert None not in found
    assert set(found) == set(moves)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -1), (-2, 1), (7, 0)])
def test_a_move_is_that_of_a_plain_loop(down: int, right: int) -> None:
    stack = np.random.default_rng(1).random((2, 4, 5, 3))
    out = moved(stack, down, right, -1.0)
    for y in range(4):
        for x in range(5):
            inside = 0 <= y - down < 4 and 0 <= x - right < 5
            expected = stack[:, y - down, x - right] if inside else -1.0
            assert np.all(out[:, y, x] == expected)


def test_held_out_images_are_never_returned_and_seeds_decide() -> None:
    X = images(4)
    free = ImageShifts().sample(X, 300, seed=1)
    held = free.iloc[:5]
    rows = ImageShifts().sample(X, 300, seed=1, exclude=held)
    forbidden = {tuple(row) for row in held.to_numpy()}
    assert forbidden & {tuple(row) for row in free.to_numpy()}
    assert not forbidden & {tuple(row) for row in rows.to_numpy()}
    pd.testing.assert_frame_equal(free, ImageShifts().sample(X, 300, seed=1))
    assert not free.equals(ImageShifts().sample(X, 300, seed=2))


def test_is_a_frozen_source() -> None:
    assert isinstance(ImageShifts(), queries.Source)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        ImageShifts().pixels = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("source", "rows", "message"),
    [
        (ImageShifts(), images().iloc[:, :24], "give image_shape"),
        (ImageShifts(), images().rename(columns={"p3": "q"}), "give image_shape"),
        (ImageShifts(image_shape=(5, 4)), images(), "with 25 pixels in all"),
        (ImageShifts(image_shape=(0, 25)), images(), "with 25 pixels in all"),
        (ImageShifts(pixels=0), images(), "pixels must be a whole number of at least 1"),
        (ImageShifts(pixels=True), images(), "pixels must be a whole number of at least 1"),
        (ImageShifts(), images().assign(p3=float("nan")), "missing"),
        (ImageShifts(image_shape=(1, 2)), pd.DataFrame({"a": ["x", "y"], "b": [1, 2]}), "each column of numbers"),
    ],
)
def test_what_is_no_image_is_refused(source: ImageShifts, rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        source.sample(rows, 3, seed=0)
