"""What programs and trees that act have in common: rows of an observation and its last changes, actions out.

A row is the observation's columns, then for each column in `changes` its difference to the observation one step before
(0 at the start of an episode).

Source
------
Own.

Cost
----
Each weighted sum is computed once a call, one NumPy operation or two a term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from limbeck._core.errors import InputError
from limbeck._core.tables import Column, Schema
from limbeck.readable._program_comparison import Comparison, Form, form_values

__all__ = ["Acting", "plain_action", "policy_schema", "read_changes", "read_whole"]


def policy_schema(columns: Sequence[str], changes: Sequence[int] = ()) -> Schema:
    """The columns of a policy's rows: the observation's, then one for the last change of each column in `changes`.

    Examples
    --------
    >>> policy_schema(["ball_x", "paddle_x"], changes=[0]).names
    ('ball_x', 'paddle_x', 'ball_x_change')
    """
    names = [str(name) for name in columns]
    for column in changes:
        if not 0 <= column < len(columns):
            raise InputError(f"changes are positions of the {len(columns)} columns; got {list(changes)}")
        name = stem = f"{names[column]}_change"
        i = 2
        while name in names:
            name, i = f"{stem}_{i}", i + 1
        names.append(name)
    return Schema(tuple(Column(name) for name in names))


_Bounds: TypeAlias = tuple[np.ndarray | int, np.ndarray | float, Callable[..., np.ndarray]]
"""The positions of comparisons on one side of a sum, their bounds, and the relation; plain where it is one."""


class Acting:
    """The part of a policy that checks rows and gives actions; a family says how they follow from comparisons."""

    schema: Schema
    output_names: tuple[str, ...]
    changes: tuple[int, ...]

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison, in the order in which they are read."""
        raise NotImplementedError

    def _decide(self, held: np.ndarray) -> np.ndarray:
        """Which guard or leaf decides each row; `held` ``(n_comparisons, n)`` says which comparisons rows meet."""
        raise NotImplementedError

    @cached_property
    def decisions(self) -> tuple[int, ...]:
        """The action of each guard or leaf that `firing` counts."""
        raise NotImplementedError

    @property
    def actions(self) -> tuple[str, ...]:
        """The names of the actions."""
        return self.output_names

    @property
    def n_observed(self) -> int:
        """The number of columns of an observation, without the changes."""
        return len(self.schema) - len(self.changes)

    @property
    def n_comparisons(self) -> int:
        """The number of comparisons that are written."""
        return len(self.comparisons())

    @property
    def columns_used(self) -> tuple[int, ...]:
        """The positions of the columns that are compared."""
        return tuple(sorted({column for comparison in self.comparisons() for column, _ in comparison.terms}))

    @cached_property
    def _asked(self) -> tuple[tuple[Form, tuple[_Bounds, ...]], ...]:
        """Every sum once, with the comparisons that ask it from either side."""
        asked: dict[Form, dict[bool, list[tuple[int, float]]]] = {}
        for i, one in enumerate(self.comparisons()):
            asked.setdefault(one.form, {}).setdefault(one.is_above, []).append((i, one.bound))
        return tuple(
            (form, tuple(_bounds(is_above, found) for is_above, found in sides.items()))
            for form, sides in asked.items()
        )

    @cached_property
    def _actions_of_decisions(self) -> np.ndarray:
        return np.array(self.decisions, dtype=np.int64)

    def act(self, rows: Any) -> np.ndarray:
        """The action of each row ``(n, d)``, by its position, ``(n,)``.

        Raises
        ------
        InputError
            Where rows are not numbers of that shape, or a number in use is not finite.
        """
        taken: np.ndarray = self._actions_of_decisions[self.firing(rows)]
        return taken

    def firing(self, rows: Any) -> np.ndarray:
        """Which guard or leaf decides each row ``(n, d)``, counted in the order in which they are read, ``(n,)``."""
        rows = self._checked(rows)
        held = np.empty((self.n_comparisons, len(rows)), dtype=bool)
        with np.errstate(all="ignore"):
            for form, sides in self._asked:
                values = form_values(form, rows)
                if not np.isfinite(values).all():
                    self._refuse_not_finite(rows)
                for places, bounds, exceeds in sides:
                    held[places] = exceeds(values, bounds)
        return self._decide(held)

    def predict_encoded(self, Z: np.ndarray) -> np.ndarray:
        """1 for the action taken and 0 for the others, ``(n, k)``, on rows ``(n, d)``."""
        return np.eye(len(self.output_names))[self.act(Z)]

    def _checked(self, rows: Any) -> np.ndarray:
        try:
            rows = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"rows must be numbers; got {type(rows).__name__} that holds something else") from None
        if rows.ndim != 2 or rows.shape[1] != len(self.schema):
            raise InputError(
                f"rows must have shape (n, {len(self.schema)}), columns {list(self.schema.names)[:8]}; got shape "
                f"{rows.shape}"
            )
        return rows

    def _refuse_not_finite(self, rows: np.ndarray) -> None:
        for j in self.columns_used:
            if not np.isfinite(rows[:, j]).all():
                raise InputError(
                    f"every number must be finite; column {self.schema.names[j]!r:.80} has one that is not"
                )

    def _check_policy(self, actions: Iterable[int]) -> None:
        """Refuse columns, actions and changes that are not there."""
        width, k = len(self.schema), len(self.output_names)
        if not k or len(set(self.output_names)) < k:
            raise InputError(f"a policy needs one action or more, of different names; got {self.output_names!r:.120}")
        if self.schema.all_numbers is False:
            raise InputError("a policy's columns are numbers; got a column with levels")
        if self.n_observed < 1 or len(set(self.changes)) < len(self.changes):
            raise InputError(f"changes are columns of the observation, each once; got {self.changes}")
        if any(not 0 <= column < self.n_observed for column in self.changes):
            raise InputError(f"changes are positions below {self.n_observed}; got {self.changes}")
        wrong = [action for action in actions if type(action) is not int or not 0 <= action < k]
        if wrong:
            raise InputError(f"an action is a whole number from 0 to {k - 1}; got {wrong[0]!r:.40}")
        beyond = [column for column in self.columns_used if column >= width]
        if beyond:
            raise InputError(f"a comparison asks column {beyond[0]}; the rows have {width} columns")


def read_whole(value: Any, what: str) -> int:
    """A whole number of a stored policy."""
    if type(value) is not int:
        raise InputError(f"a stored policy's {what} is a whole number; got {value!r:.60}")
    return value


def _bounds(is_above: bool, found: Sequence[tuple[int, float]]) -> _Bounds:
    relation = np.greater if is_above else np.less
    if len(found) == 1:
        return *found[0], relation
    places, bounds = zip(*found, strict=True)
    return np.array(places), np.array(bounds)[:, None], relation


def plain_action(value: Any) -> Any:
    """A whole number of any kind as an int; anything else as it is, to be refused with its policy."""
    return int(value) if isinstance(value, np.integer) else value


def read_changes(data: dict[str, Any]) -> tuple[int, ...]:
    """The positions of the changed columns of a stored policy."""
    found = data.get("changes", [])
    if not isinstance(found, list):
        raise InputError(f"a stored policy's changes are a list; got {found!r:.60}")
    return tuple(read_whole(column, "changed column") for column in found)
