"""A program that acts: an ordered list of guards, each one linear comparison or a few, and the action where none holds.

``right if ball_x - paddle_x > 20.5; left if ball_x - paddle_x < -3.5; else stay``: the first guard that holds decides.
A line of the program is one statement of that kind: guards over one sum, with up to two thresholds.

Source
------
Rivest1987: decision lists, here over linear comparisons. Own frozen form.

Cost
----
Every row is asked every comparison; a sum that is asked twice is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import sympy as sp

from limbeck._core.errors import InputError
from limbeck._core.tables import Schema
from limbeck.readable._program_acting import Acting, plain_action, read_changes, read_whole
from limbeck.readable._program_building import Conditions, built
from limbeck.readable._program_comparison import Comparison, Form, read_comparison
from limbeck.readable._program_wording import Line, Style, Wording, action_text, lines_text
from limbeck.readable._readable import Built, Readable, read_head

__all__ = ["Guard", "ProgramPolicy"]

_WIDEST = 110
"""A line of text that would be longer is broken after the name of its sum."""


@dataclass(frozen=True)
class Guard:
    """Comparisons that hold together, and the action that is then taken.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One or more.
    action : int
        The position of the action.
    """

    comparisons: tuple[Comparison, ...]
    action: int

    def __post_init__(self) -> None:
        """Refuse a guard without comparisons; a whole number of any kind becomes an int."""
        comparisons = tuple(self.comparisons)
        if not comparisons or not all(isinstance(one, Comparison) for one in comparisons):
            raise InputError(f"a guard needs one Comparison or more; got {self.comparisons!r:.120}")
        object.__setattr__(self, "comparisons", comparisons)
        object.__setattr__(self, "action", plain_action(self.action))


@dataclass(frozen=True)
class ProgramPolicy(Acting, Readable):
    """Guards in order: the first that holds decides, and `otherwise` where none does.

    Attributes
    ----------
    schema : Schema
        The observation's columns, then one column for each of `changes` (see `policy_schema`).
    output_names : tuple of str
        The actions.
    guards : tuple of Guard
        In the order in which they are asked.
    otherwise : int
        The action where no guard holds.
    changes : tuple of int
        The observation's columns whose last change, the difference to the step before, stands behind the observation.

    Examples
    --------
    >>> from limbeck.readable import policy_schema
    >>> d = ((0, 1.0), (1, -1.0), (2, 2.0))
    >>> right = Guard((Comparison(d, 20.5),), 1)
    >>> left = Guard((Comparison(tuple((column, -weight) for column, weight in d), 3.5),), 2)
    >>> schema = policy_schema(["ball_x", "paddle_x"], changes=[0])
    >>> program = ProgramPolicy(schema, ("stay", "right", "left"), (right, left), 0, (0,))
    >>> print(program.text())
    with d = ball_x - paddle_x + 2*ball_x_change: right if d > 20.5; left if d < -3.5; else stay
    >>> program.act([[100.0, 60.0, 1.0], [100.0, 90.0, 0.0], [60.0, 90.0, 2.0]]).tolist()
    [1, 0, 2]
    >>> program.n_lines, program.n_comparisons, program.complexity
    (1, 2, 20)
    """

    family: ClassVar[str] = "program"
    schema: Schema
    output_names: tuple[str, ...]
    guards: tuple[Guard, ...]
    otherwise: int
    changes: tuple[int, ...] = ()
    task: Literal["regression", "classification"] = field(default="classification", init=False)

    def __post_init__(self) -> None:
        """Refuse columns and actions that are not there."""
        object.__setattr__(self, "guards", tuple(self.guards))
        object.__setattr__(self, "otherwise", plain_action(self.otherwise))
        self._check_policy(self.decisions)

    @cached_property
    def decisions(self) -> tuple[int, ...]:
        """The action of each guard, then the action where none holds."""
        return (*(guard.action for guard in self.guards), self.otherwise)

    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison, in the order in which they are read."""
        return tuple(one for guard in self.guards for one in guard.comparisons)

    def _decide(self, held: np.ndarray) -> np.ndarray:
        place, end = np.full(held.shape[1], len(self.guards)), len(held)
        for i in range(len(self.guards) - 1, -1, -1):
            start = end - len(self.guards[i].comparisons)
            met = held[start]
            for other in held[start + 1 : end]:
                met = met & other
            place[met] = i
            end = start
        return place

    def build(self, symbols: Sequence[sp.Symbol], *, inline: bool) -> Built:
        """Steps and outputs: 1 for the action taken and 0 for the others."""
        conditions = Conditions(self, symbols, inline=inline)
        pairs = [(guard.action, conditions.all_of(guard.comparisons)) for guard in self.guards]

        def choose(value: Any) -> sp.Expr:
            return conditions.choice([(value(action), condition) for action, condition in pairs], value(self.otherwise))

        return built(conditions, choose, len(self.output_names))

    @property
    def complexity(self) -> int:
        """Per guard: if, its comparisons, its action; each named sum once; and the last action."""
        groups = [guard.comparisons for guard in self.guards]
        return self._wording().symbols(groups) + 2 * len(self.guards) + 1

    @property
    def n_lines(self) -> int:
        """The number of statements: guards over one sum with up to two thresholds, or one other guard."""
        return max(1, len(self.statements()))

    def statements(self) -> tuple[tuple[int, ...], ...]:
        """The positions of the guards of each statement."""
        found: list[list[int]] = []
        asked: list[tuple[Form | None, int]] = []
        for i, guard in enumerate(self.guards):
            forms = {one.form for one in guard.comparisons}
            form, count = next(iter(forms)) if len(forms) == 1 else None, len(guard.comparisons)
            if form is not None and found and asked[-1][0] == form and asked[-1][1] + count <= 2:
                found[-1].append(i)
                asked[-1] = form, asked[-1][1] + count
            else:
                found.append([i])
                asked.append((form, count))
        return tuple(map(tuple, found))

    def text(self) -> str:
        """The program as a person writes it."""
        return lines_text(self.lines())

    def lines(self) -> tuple[Line, ...]:
        """The lines of `text`, each in pieces of text with the guard that they are about, or None."""
        wording, last = self._wording(), (f"else {self._action(self.otherwise)}", len(self.guards))
        statements = self.statements()
        if not statements:
            return (((f"always {self._action(self.otherwise)}", 0),),)
        where: dict[Form, set[int]] = {form: set() for form in wording.names}
        for s, guards in enumerate(statements):
            for form in {one.form for i in guards for one in self.guards[i].comparisons} & set(where):
                where[form].add(s)
        lines: list[Line] = [((wording.definition(form), None),) for form, found in where.items() if len(found) > 1]
        for s, guards in enumerate(statements):
            named = [wording.definition(form) for form, found in where.items() if found == {s}]
            pieces = [(self._guard_text(i, wording), i) for i in guards]
            lines += _statement(named, [*pieces, last] if len(statements) == 1 else pieces)
        return tuple(lines) if len(statements) == 1 else (*lines, (last,))

    def _guard_text(self, i: int, wording: Wording) -> str:
        guard = self.guards[i]
        return f"{self._action(guard.action)} if {wording.condition(guard.comparisons)}"

    def _action(self, action: int) -> str:
        return action_text(self.output_names[action])

    def _wording(self) -> Wording:
        return Wording([guard.comparisons for guard in self.guards], Style.of_text(self.schema.names))

    def simplified(self, rows: Any = None) -> ProgramPolicy:
        """A program that acts the same, with fewer guards and comparisons where that can be seen.

        Parameters
        ----------
        rows : array, optional
            Rows ``(n, d)``: then what makes no difference on these rows is dropped as well. Without them the program
            acts the same on every row.
        """
        from limbeck.readable._program_simplify import simplified_program

        return simplified_program(self, rows)

    def rounded(self, digits: int) -> ProgramPolicy:
        """The program with every constant at so many significant digits; it may act differently."""
        if type(digits) is not int or not 1 <= digits <= 17:
            raise InputError(f"digits is a whole number from 1 to 17; got {digits!r:.40}")
        guards = tuple(Guard(tuple(one.rounded(digits) for one in g.comparisons), g.action) for g in self.guards)
        return replace(self, guards=guards)

    def to_dict(self) -> dict[str, Any]:
        """The program as JSON types, exactly."""
        guards = [
            {"comparisons": [one.to_dict() for one in guard.comparisons], "action": guard.action}
            for guard in self.guards
        ]
        return {**self._head(), "guards": guards, "otherwise": self.otherwise, "changes": list(self.changes)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ProgramPolicy:
        """The program that `to_dict` wrote."""
        schema, _, names = read_head(data)
        try:
            guards = tuple(
                Guard(tuple(map(read_comparison, guard["comparisons"])), read_whole(guard["action"], "action"))
                for guard in data["guards"]
            )
            otherwise = read_whole(data["otherwise"], "action")
        except (KeyError, TypeError) as error:
            raise InputError(f"a stored program is malformed: {error!r:.120}") from None
        return cls(schema, names, guards, otherwise, read_changes(data))


def _statement(named: Sequence[str], pieces: Sequence[tuple[str, int]]) -> list[Line]:
    """The lines of one statement: one, or two where that would be too long."""
    head = f"with {' and '.join(named)}:" if named else ""
    joined: list[tuple[str, int | None]] = []
    for text, i in pieces:
        joined += [("; ", None)] * bool(joined) + [(text, i)]
    if head and len(head) + sum(len(text) for text, _ in joined) >= _WIDEST:
        return [((head, None),), (("    ", None), *joined)]
    return [((f"{head} ", None), *joined) if head else tuple(joined)]
