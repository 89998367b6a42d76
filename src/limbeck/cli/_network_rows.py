"""A torch network by name or file, and rows of the shape that it takes: what explain and modules share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from limbeck.cli._runs import names_in

if TYPE_CHECKING:
    from limbeck.cli._rows import NamedRows

__all__ = ["Network", "Shape", "network_named", "shaped_rows"]

Network = Annotated[str, typer.Option(help="The network: a .pt2 file, or package.module:name of a torch module.")]
Shape = Annotated[
    str | None, typer.Option(help="The shape of one row for the network, with commas: 1,28,28 for an image.")
]


def network_named(text: str) -> Any:
    """The torch module that is named, or in the file."""
    if text.lower().endswith(".pt2"):
        from limbeck.teachers._exported import exported_network

        return exported_network(Path(text))
    from limbeck._block_case import read_model

    return read_model(text, "this looks inside")


def shaped_rows(found: NamedRows, shape: str | None) -> tuple[Any, list[str] | None]:
    """The rows without their target, in the shape that the network takes, and the columns' names where they keep them.

    Raises
    ------
    InputError
        For a shape that is not whole numbers, or that holds more or fewer numbers than a row.
    """
    import numpy as np

    from limbeck._core.errors import InputError

    frame = found.frame.drop(columns=list(found.target))
    if shape is None:
        return frame, None
    sizes = names_in(shape)
    if not all(size.isdigit() and int(size) > 0 for size in sizes):
        raise InputError(f"--shape is whole numbers with commas, such as 1,28,28; got {shape!r:.60}")
    wanted = tuple(int(size) for size in sizes)
    if int(np.prod(wanted)) != frame.shape[1]:
        raise InputError(f"--shape {shape} holds {int(np.prod(wanted))} numbers; the rows have {frame.shape[1]}")
    names = [str(column) for column in frame.columns] if len(wanted) == 1 else None
    return frame.to_numpy(dtype=np.float32).reshape(len(frame), *wanted), names
