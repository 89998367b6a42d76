"""A policy as code that acts: one function in Python, C or JavaScript, which takes an observation and the one before.

Source
------
Own. The function computes the last changes itself, and returns where the text of the policy names an action.

Departures
----------
None in the numbers: sums are added in the same order. Where a number in use is not finite, Python and JavaScript raise,
and C returns -1.

Checked
-------
The actions of `act` on every row (contract tests), and under hostile names (unit tests).

Cost
----
A named sum is computed once an observation, any other where it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from limbeck.readable._c import c_string
from limbeck.readable._policy_tree import Branch, PolicyTree, Subtree
from limbeck.readable._printing import RESERVED, comment_text, decimal, json_text, variable_names
from limbeck.readable._program import ProgramPolicy
from limbeck.readable._program_comparison import Comparison
from limbeck.readable._program_wording import Style, Wording
from limbeck.readable._python import _tuple
from limbeck.readable._text import number_text

__all__ = ["policy_c", "policy_javascript", "policy_python"]

Policy: TypeAlias = ProgramPolicy | PolicyTree

_OWN = ("observation", "previous", "act")
"""What the function itself names."""

_PYTHON_HEAD = '''\
"""{}

act(observation, previous) gives the position of an action in ACTIONS. An observation is a mapping from
column name to value, or the values in the order of COLUMNS; previous is the observation one step before,
None at the start of an episode.
"""

'''
_C_HEAD = """\
/* {}
   limbeck_act gives the position of an action in limbeck_action_names, or -1 where a number in use is not
   finite. An observation has its values in the order of limbeck_column_names; previous is the observation
   one step before, NULL at the start of an episode. Text is UTF-8. */
#include <math.h>
#include <stddef.h>

"""
_JAVASCRIPT_HEAD = """\
// {}
// act(observation, previous) gives the position of an action in ACTIONS. An observation is an array in the
// order of COLUMNS, or an object by column name; previous is the observation one step before, null at the
// start of an episode.
"""
_PYTHON = """

def _number(observation, j):
    name = COLUMNS[j]
    if hasattr(observation, "keys"):
        try:
            value = observation[name]
        except KeyError:
            raise ValueError(f"the observation lacks column {name!r}") from None
    elif len(observation) == len(COLUMNS):
        value = observation[j]
    else:
        raise ValueError(f"an observation has {len(COLUMNS)} values {COLUMNS}; got {len(observation)}")
    value = float(value)
    if value - value != 0.0:
        raise ValueError(f"column {name!r} needs a finite number; got {value!r}")
    return value
"""
_JAVASCRIPT = """\
function number(observation, j) {
  const listed = Array.isArray(observation) || ArrayBuffer.isView(observation);
  if (listed && observation.length !== COLUMNS.length)
    throw new Error("an observation has " + COLUMNS.length + " values; got " + observation.length);
  if (!listed && !Object.prototype.hasOwnProperty.call(observation, COLUMNS[j]))
    throw new Error("the observation lacks column " + COLUMNS[j]);
  const given = observation[listed ? j : COLUMNS[j]], read = Number(given);
  if (given === null || given === "" || !Number.isFinite(read))
    throw new Error("column " + COLUMNS[j] + " needs a finite number; got " + given);
  return read;
}
"""


@dataclass(frozen=True)
class _Asked:
    """Comparisons, and what follows where all hold and where not: more of them, or an action."""

    comparisons: tuple[Comparison, ...]
    then: _Asked | int
    otherwise: _Asked | int


@dataclass(frozen=True)
class _Words:
    """How a language writes a choice that returns."""

    opened: str
    closed: str
    returned: str
    pad: str


def _asked(policy: Policy) -> _Asked | int:
    if isinstance(policy, PolicyTree):
        return _asked_below(policy.root)
    node: _Asked | int = policy.otherwise
    for guard in reversed(policy.guards):
        node = _Asked(guard.comparisons, guard.action, node)
    return node


def _asked_below(node: Subtree) -> _Asked | int:
    if not isinstance(node, Branch):
        return node
    return _Asked((node.comparison,), _asked_below(node.then), _asked_below(node.otherwise))


def _body(policy: Policy, wording: Wording, words: _Words, indent: int = 1) -> str:
    """The choices, each returning as soon as it is settled."""

    def lines(node: _Asked | int, depth: int) -> Iterator[str]:
        pad = words.pad * depth
        while isinstance(node, _Asked):
            yield pad + words.opened.format(wording.condition(node.comparisons))
            yield from lines(node.then, depth + 1)
            if words.closed:
                yield pad + words.closed
            node = node.otherwise
        yield pad + words.returned.format(node, comment_text(policy.output_names[node]))

    return "".join(f"{line}\n" for line in lines(_asked(policy), indent))


def _names(policy: Policy) -> tuple[str, ...]:
    """One variable a column, none called as the function itself calls things."""
    names = list(variable_names(policy.schema))
    for j, name in enumerate(names):
        i = 2
        while names[j] in _OWN or names[j] in names[:j]:
            names[j], i = f"{name}_{i}", i + 1
    return tuple(names)


def _wording(policy: Policy, style: Style) -> Wording:
    groups = (
        [[branch.comparison] for branch in policy.branches]
        if isinstance(policy, PolicyTree)
        else [guard.comparisons for guard in policy.guards]
    )
    return Wording(groups, style, {*RESERVED, *_OWN})


def _reading(
    policy: Policy, names: tuple[str, ...], now: Callable[[int], str], change: Callable[[int], str]
) -> list[tuple[str, str]]:
    """What sets the variables of the columns in use."""
    d = policy.n_observed
    return [(names[j], now(j) if j < d else change(policy.changes[j - d])) for j in policy.columns_used]


def _title(policy: Policy) -> str:
    return comment_text(policy.program().title)


def policy_python(policy: Policy) -> str:
    """The text of a Python module with `COLUMNS`, `ACTIONS` and ``act(observation, previous=None)``, without imports.

    Examples
    --------
    >>> from limbeck.readable import Comparison, Guard, policy_schema
    >>> guard = Guard((Comparison(((0, 1.0), (1, -1.0)), 0.0),), 1)
    >>> text = policy_python(ProgramPolicy(policy_schema(["ball_x", "paddle_x"]), ("left", "right"), (guard,), 0))
    >>> print(text[text.index("    ball_x") :])
        ball_x = _number(observation, 0)
        paddle_x = _number(observation, 1)
        if ball_x > paddle_x:
            return 1  # right
        return 0  # left
    <BLANKLINE>
    """
    names = _names(policy)
    wording = _wording(policy, Style(names, number_text, " * "))
    read = "_number({}, {})".format
    rows = _reading(
        policy,
        names,
        lambda j: read("observation", j),
        lambda j: f"0.0 if previous is None else {read('observation', j)} - {read('previous', j)}",
    )
    observed = policy.schema.names[: policy.n_observed]
    body = [f"    {name} = {text}\n" for name, text in rows]
    body += [f"    {wording.definition(form)}\n" for form in wording.names]
    return "".join(
        [
            _PYTHON_HEAD.format(_title(policy)),
            f"COLUMNS = {_tuple([ascii(name) for name in observed])}\n",
            f"ACTIONS = {_tuple([ascii(name) for name in policy.output_names])}\n",
            _PYTHON if rows else "",
            '\n\ndef act(observation, previous=None):\n    """The position of the action to take."""\n',
            *body,
            _body(policy, wording, _Words("if {}:", "", "return {}  # {}", "    ")),
        ]
    )


def policy_c(policy: Policy) -> str:
    """The text of a C99 file with ``int limbeck_act(const double *observation, const double *previous)``."""
    names = _names(policy)
    wording = _wording(policy, Style(names, decimal, " * ", " && ", chained=False))
    rows = _reading(
        policy,
        names,
        "observation[{}]".format,
        lambda j: f"previous == NULL ? 0.0 : observation[{j}] - previous[{j}]",
    )
    observed = policy.schema.names[: policy.n_observed]
    body = [f"  const double {name} = {text};\n" for name, text in rows]
    body += [f"  const double {wording.definition(form)};\n" for form in wording.names]
    unused = [] if rows else ["  (void)observation;\n"]
    unused += [] if any("previous" in text for _, text in rows) else ["  (void)previous;\n"]
    refused = " || ".join(f"!isfinite({name})" for name, _ in rows)
    return "".join(
        [
            _C_HEAD.format(_title(policy)),
            f"#define LIMBECK_COLUMNS {len(observed)}\n#define LIMBECK_ACTIONS {len(policy.output_names)}\n\n",
            _c_strings("limbeck_column_names[LIMBECK_COLUMNS]", observed),
            _c_strings("limbeck_action_names[LIMBECK_ACTIONS]", policy.output_names),
            "int limbeck_act(const double *observation, const double *previous) {\n",
            *body,
            *unused,
            f"  if ({refused}) return -1;\n" if rows else "",
            _body(policy, wording, _Words("if ({}) {{", "}", "return {}; /* {} */", "  ")),
            "}\n",
        ]
    )


def _c_strings(declaration: str, texts: tuple[str, ...]) -> str:
    return f"const char *const {declaration} = {{\n" + ",\n".join(f"  {c_string(text)}" for text in texts) + "\n};\n\n"


def policy_javascript(policy: Policy) -> str:
    """The text of a script with `COLUMNS`, `ACTIONS` and ``act(observation, previous)``; in node it is a module."""
    names = _names(policy)
    wording = _wording(policy, Style(names, number_text, " * ", " && ", chained=False))
    read = "number({}, {})".format
    now = partial(read, "observation")
    rows = _reading(policy, names, now, lambda j: f"previous === null ? 0 : {now(j)} - {read('previous', j)}")
    observed = policy.schema.names[: policy.n_observed]
    body = [f"  const {name} = {text};\n" for name, text in rows]
    body += [f"  const {wording.definition(form)};\n" for form in wording.names]
    return "".join(
        [
            _JAVASCRIPT_HEAD.format(_title(policy)),
            f"const COLUMNS = [{', '.join(map(json_text, observed))}];\n",
            f"const ACTIONS = [{', '.join(map(json_text, policy.output_names))}];\n",
            _JAVASCRIPT if rows else "",
            "function act(observation, previous = null) {\n",
            *body,
            _body(policy, wording, _Words("if ({}) {{", "}", "return {}; // {}", "  ")),
            "}\n",
            'if (typeof module !== "undefined") module.exports = { act, COLUMNS, ACTIONS };\n',
        ]
    )
