"""What is fixed before a block is fitted: the network verified, the block found and looked at, rows held out."""

from __future__ import annotations

import numbers
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck._block_network import Place, find_block, places
from limbeck._core.errors import InputError
from limbeck._core.tables import Rows, Table
from limbeck._setting import MIN_ROWS, split
from limbeck._truth import Truth, read_truth, split_target
from limbeck.queries import Munge
from limbeck.teachers import Teacher, as_teacher
from limbeck.teachers._resolve import NAME, load_named

__all__ = ["Case", "asked_first", "prepared", "read_model", "refuse_options", "with_queries"]


@dataclass(frozen=True)
class Case:
    """The network, the block, and the rows."""

    model: torch.nn.Module
    teacher: Teacher
    block: torch.nn.Module
    place: Place
    train: Table
    held_out: Table
    truth: np.ndarray | None

    @property
    def is_classification(self) -> bool:
        return self.teacher.classes is not None


def read_model(model: Any, what: str = "a block is replaced in") -> torch.nn.Module:
    """The network itself, or what ``"package.module:name"`` stands for; `what` is done with it, for the errors.

    Raises
    ------
    InputError
        For anything but a network of Python modules; files and functions can only be asked.
    """
    if isinstance(model, str | os.PathLike):
        text = os.fspath(model)
        if not (isinstance(text, str) and NAME.fullmatch(text)) or Path(text).exists():
            raise InputError(
                f"{what} a network of Python modules, so the network must come as an object, or as "
                f"'package.module:name'; got the file {text!r:.200}. In a .pt2 or .onnx file the modules are gone, and "
                "other files would have to be unpickled. Write a function that makes the network and loads its weights."
            )
        model = load_named(text)[0]
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"{what} a network of Python modules; this one is compiled by TorchScript. Give the network that it was "
            "compiled from."
        )
    if not isinstance(model, torch.nn.Module):
        raise InputError(
            f"a torch.nn.Module is required, since {what} it; got a {type(model).__name__}. A "
            "model that can only be asked is distilled as a whole by limbeck.distill."
        )
    return model


def refuse_options(max_inputs: Any, tune: Any, n_queries: Any, holdout: Any) -> None:
    for name, value, least in (("max_inputs", max_inputs, 1), ("n_queries", n_queries, 0)):
        if name == "n_queries" and value is None:
            continue
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or int(value) < least:
            raise InputError(f"{name} must be a whole number of at least {least}; got {value!r:.60}")
    if not isinstance(tune, numbers.Real) or isinstance(tune, bool) or not 0.0 <= float(tune) <= 1.0:
        raise InputError(f"tune must be a number from 0 to 1; got {tune!r:.60}")
    if not isinstance(holdout, numbers.Real) or not 0.0 < float(holdout) < 1.0:
        raise InputError(f"holdout is a share of the rows between 0 and 1; got {holdout!r:.60}")


def asked_first(model: Any, rows: Table, **asked: Any) -> Teacher:
    return as_teacher(model, asked.pop("task", None), asked.pop("classes", None), rows=rows, **asked)


def prepared(
    model: Any,
    X: Rows,
    y: Any,
    at: str,
    names: Sequence[str] | None,
    holdout: float,
    asked: dict[str, Any],
    seeds: dict[str, int],
) -> Case:
    """Rows read and held out, the network verified, the block found and looked at."""
    X, y, _ = split_target(X, y)
    table = Table.read(X, names=names)
    if len(table) < MIN_ROWS:
        raise InputError(f"at least {MIN_ROWS} rows are required; got {len(table)}")
    truth: Truth | None = None
    if y is not None:
        truth = read_truth(y, len(table), task=asked["task"], classes=asked["classes"])
    train, held = split(len(table), holdout, truth, seeds["split"])
    given = dict(asked)
    teacher = asked_first(model, table.take(train), y=None if truth is None else truth.values, **given)
    of_truth = None if truth is None else truth.of(teacher.classes, teacher.n_outputs)[held]
    block = find_block(model, at)
    same = {name for name, part in model.named_modules(remove_duplicate=False) if part is block}
    listed = places(model, teacher, table.take(train))
    place = _called(next(one for one in listed if one.name in same), at)
    if place.refused:
        can = [one.name for one in listed if not one.refused]
        raise InputError(
            f"the block {at!r} ({place.kind}) can't be replaced: {place.refused}. "
            + (f"These can: {', '.join(can[:12])}." if can else "No other block of this network can.")
        )
    return Case(model, teacher, block, place, table.take(train), table.take(held), of_truth)


def _called(place: Place, at: str) -> Place:
    """The place under the name that the user gave it, where it has several."""
    own = f"{place.name}.in["
    names = tuple(f"{at}.in[{name[len(own) :]}" if name.startswith(own) else name for name in place.input_names)
    return replace(place, name=at, input_names=names)


def with_queries(train: Table, n: int, queries: Any, seed: int) -> Table:
    if not n:
        return train
    drawn = (queries if queries is not None else Munge()).sample(train, int(n), seed)
    values = drawn.values if isinstance(drawn, Table) else train.schema.encode(drawn)
    return train.with_values(np.vstack([train.values, values]))
