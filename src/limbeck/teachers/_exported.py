"""A file from ``torch.export.save`` (.pt2) as a teacher, read without pickle and run operator by operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limbeck._core.errors import InputError
from limbeck.teachers._pt2_archive import DTYPES, Archive, read_archive
from limbeck.teachers._pt2_graph import check_graph, run_graph
from limbeck.teachers._size import file_size
from limbeck.teachers._source import Source
from limbeck.teachers._torch import single_tensor, tensors_from

__all__ = ["exported_network", "exported_source"]

CPU = torch.device("cpu")
DAMAGED = (KeyError, TypeError, AttributeError, IndexError, StopIteration, RecursionError)


@dataclass(frozen=True)
class _Input:
    """One input of the exported program: its width, its type, and the number of rows where that is fixed."""

    name: str
    dtype: torch.dtype
    width: int | None
    batch: int | None


class _Network(torch.nn.Module):
    """The graph of a file as a module: its weights are parameters, its operators run one by one."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        archive = read_archive(path)
        self.graph, signature = _parts(archive, path)
        self.operators, self.torch_version = check_graph(self.graph), archive.torch_version
        self.title, self.specs = f"the exported program {path.name}", signature["input_specs"]
        self.places = [i for i, spec in enumerate(signature["output_specs"]) if "user_output" in spec]
        self.inputs = [_input(spec, self.graph) for spec in self.specs if "user_input" in spec]
        self.kept: list[tuple[str, bool]] = []
        for i, spec in enumerate(spec for spec in self.specs if "user_input" not in spec):
            tensor, is_buffer = _kept(spec, archive, path)
            self.kept.append((f"kept_{i}", is_buffer))
            if is_buffer or not tensor.is_floating_point():
                self.register_buffer(f"kept_{i}", tensor)
            else:
                self.register_parameter(f"kept_{i}", torch.nn.Parameter(tensor))

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """The program's one output."""
        # buffers are copied, so that one batch can't change what the next one meets
        own = iter([getattr(self, name).clone() if is_buffer else getattr(self, name) for name, is_buffer in self.kept])
        given = iter(tensors)
        values = [next(given) if "user_input" in spec else next(own) for spec in self.specs]
        outputs = run_graph(self.graph, values)
        return single_tensor(tuple(outputs[i] for i in self.places), self.title)


def exported_network(path: Path) -> torch.nn.Module:
    """The program in the file as a module whose operations can be followed, read as `exported_source` reads it.

    Raises
    ------
    InputError
        Where the file can't be read so, takes several inputs, or was exported for a fixed number of rows.
    """
    if path.suffix.lower() != ".pt2" or not path.is_file():
        raise InputError(f"a network is read from a .pt2 file (torch.export.save); got {str(path)!r:.200}")
    network = _read(path)
    if len(network.inputs) != 1 or network.inputs[0].batch is not None:
        raise InputError(
            f"{network.title} must take one tensor, with any number of rows; export it with "
            "dynamic_shapes=({0: torch.export.Dim('n')},)"
        )
    return network


def _read(path: Path) -> _Network:
    try:
        return _Network(path)
    except DAMAGED as error:
        raise InputError(
            f"{path.name} is damaged: its graph can't be read ({type(error).__name__}: {str(error)[:80]}). Nothing in "
            "it was run. Export it again with torch.export.save."
        ) from None


def exported_source(path: Path, *, prepared: bool = False) -> Source:
    """A source that runs the graph in the file on the CPU.

    Neither torch's own loaders nor any unpickler ever see the file. From the archive are read: the graph (JSON, whose
    operators must be on a list of arithmetic on tensors) and the weights and constants (raw numbers). An archive that
    marks a weight or constant as pickled, holds an object, or holds compiled code is refused. The pickled sample inputs
    that torch adds to every archive are not opened.

    A program that was exported for a fixed number of rows is asked for that many at a time, the last ones filled up.

    Raises
    ------
    InputError
        Where the file can't be read so.
    TeacherError
        Where the graph uses an operator that is not on the list.
    """
    network = _read(path)
    name, inputs = network.title, network.inputs
    if not inputs or (len(inputs) > 1 and not prepared):
        raise InputError(
            f"{name} takes {len(inputs)} inputs {[one.name for one in inputs]}; one matrix (n, d) is required, or "
            "preprocess=f where f(frame) returns a tuple of one array an input"
        )

    def run(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
        answer: torch.Tensor = network(*tensors)
        return answer

    def ask(rows: Any) -> torch.Tensor:
        return call(rows)()

    def call(rows: Any) -> Callable[[], torch.Tensor]:
        tensors = _fitting(tensors_from(rows, name, CPU, inputs[0].dtype, prepared=prepared), inputs, name)
        return lambda: _in_fixed_batches(run, tensors, inputs[0].batch)

    notes = [
        f"read without pickle and run on the CPU: {network.operators} operators, exported by torch "
        f"{network.torch_version:.20}"
    ]
    if inputs[0].batch is not None:
        notes.append(f"exported for {inputs[0].batch} row(s) at a time (no dynamic batch), which is slow")
    return Source(
        "exported",
        name,
        ask,
        guard=_no_grad,
        notes=tuple(notes),
        eps=float(torch.finfo(inputs[0].dtype).eps) if inputs[0].dtype.is_floating_point else 1.2e-7,
        form="torch (.pt2)",
        size=lambda: file_size(path),
        call=call,
        module=None if prepared or inputs[0].batch is not None else lambda: network,
    )


@contextmanager
def _no_grad() -> Iterator[None]:
    with torch.no_grad():
        yield


def _parts(archive: Archive, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    graph, signature = archive.graph_module.get("graph"), archive.graph_module.get("signature")
    if not isinstance(graph, dict) or not isinstance(signature, dict):
        raise InputError(f"{path.name} lacks a graph or its signature; export it again with torch.export.save")
    if len(graph["inputs"]) != len(signature["input_specs"]):
        raise InputError(f"{path.name} is damaged: its graph and its signature differ")
    return graph, signature


def _input(spec: dict[str, Any], graph: dict[str, Any]) -> _Input:
    argument = spec["user_input"]["arg"]
    if "as_tensor" not in argument:
        raise InputError("an exported program must take tensors only; this one takes a number or an object")
    name = str(argument["as_tensor"]["name"])
    meta = graph["tensor_values"][name]
    sizes = [size.get("as_int") for size in meta["sizes"]]
    return _Input(name, DTYPES[meta["dtype"]], sizes[1] if len(sizes) == 2 else None, sizes[0] if sizes else None)


def _kept(spec: dict[str, Any], archive: Archive, path: Path) -> tuple[torch.Tensor, bool]:
    """The weight, buffer or constant that an input stands for, and whether it is a buffer."""
    kind, content = next(iter(spec.items()))
    if kind == "parameter":
        found = archive.weights.get(content["parameter_name"])
    elif kind == "buffer":
        name = content["buffer_name"]
        found = archive.weights.get(name, archive.constants.get(name))
    elif kind == "tensor_constant":
        found = archive.constants.get(content["tensor_constant_name"])
    else:
        raise InputError(f"{path.name} uses an input of the kind {kind!r:.60}, which is not read from a file")
    if found is None:
        raise InputError(f"{path.name} is damaged: it lacks the numbers of {content!r:.120}")
    return found, kind == "buffer"


def _fitting(tensors: tuple[torch.Tensor, ...], inputs: list[_Input], name: str) -> tuple[torch.Tensor, ...]:
    if len(tensors) != len(inputs):
        raise InputError(f"{name} takes {len(inputs)} inputs; preprocess gave {len(tensors)}")
    for tensor, one in zip(tensors, inputs, strict=True):
        if one.width is not None and (tensor.ndim != 2 or tensor.shape[1] != one.width):
            raise InputError(f"{name} takes rows of {one.width} columns; got shape {tuple(tensor.shape)}")
    return tuple(tensor.to(one.dtype) for tensor, one in zip(tensors, inputs, strict=True))


def _in_fixed_batches(run: Any, tensors: tuple[torch.Tensor, ...], batch: int | None) -> torch.Tensor:
    """The answers, where the program takes a fixed number of rows, or at least two."""
    n = len(tensors[0])
    if batch is None:
        padded = tuple(torch.cat([t, t]) for t in tensors) if n == 1 else tensors
        answer: torch.Tensor = run(padded)
        return answer[:n] if answer.ndim else answer
    parts = []
    for start in range(0, n, batch):
        chunk = [t[start : start + batch] for t in tensors]
        missing = batch - len(chunk[0])
        filled = tuple(torch.cat([c, c[-1:].expand(missing, *c.shape[1:])]) if missing else c for c in chunk)
        parts.append(run(filled)[: batch - missing])
    return torch.cat(parts)
