"""How comparisons are worded, for a person and for code: sums, bounds, and names for sums that are used again.

A sum that is written more than once gets a name where that takes fewer symbols. Two bounds on one sum are one mention,
``-3.5 < d < 20.5``; a difference of two columns against 0 is their comparison, ``ball_x > paddle_x``.

Source
------
Own. Symbols are counted as `count_symbols` counts them.

Departures
----------
None in the numbers: two doubles compare as the sign of their difference says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from limbeck.readable._program_comparison import Comparison, Form
from limbeck.readable._text import name_text, number_text

__all__ = ["Line", "Mention", "Style", "Wording", "action_text", "lines_text", "mentions"]

Line = tuple[tuple[str, int | None], ...]
"""A line in pieces of text, each with the position of the guard or leaf that it is about."""

_ACTION = re.compile(r"[^\W_][\w+-]*( [\w+-]+)*")
_WORDS = {"if", "else", "with", "and", "always"}
_NAMES = ("d", "e", "f", "g", "h", "u", "v", "w")


@dataclass(frozen=True)
class Mention:
    """One sum with its bounds: ``low < form < high``, either side open."""

    form: Form
    low: float | None
    high: float | None

    @property
    def is_versus(self) -> bool:
        """True for a difference of two columns against 0, which reads ``a > b``."""
        one_bound = (self.low is None) != (self.high is None)
        return one_bound and not (self.low or self.high) and len(self.form) == 2 and self.form[1][1] < 0

    def symbols(self, *, named: bool) -> int:
        """The symbols that a person reads."""
        bounds = 2 * ((self.low is not None) + (self.high is not None))
        if named:
            return 1 + bounds
        return form_symbols(self.form) + (0 if self.is_versus else bounds)


def action_text(name: str) -> str:
    """An action's name: plain words as they are, anything else in backticks.

    Examples
    --------
    >>> action_text("action 0"), action_text("left if"), action_text("")
    ('action 0', '`left if`', '``')
    """
    plain = _ACTION.fullmatch(name) and not _WORDS & set(name.split(" "))
    return name if plain else "`" + name.replace("`", "``") + "`"


def lines_text(lines: Sequence[Line]) -> str:
    """The lines as one text."""
    return "\n".join("".join(text for text, _ in line) for line in lines)


def form_symbols(form: Form) -> int:
    """The symbols of a sum: columns, signs between them, and weights other than 1 with their ``*``."""
    return 2 * len(form) - 1 + 2 * sum(abs(weight) != 1 for _, weight in form)


def mentions(comparisons: Sequence[Comparison]) -> tuple[Mention, ...]:
    """Comparisons that hold together, those on one sum joined to an interval where each side is bounded once."""
    by_form: dict[Form, list[Comparison]] = {}
    for one in comparisons:
        by_form.setdefault(one.form, []).append(one)
    out = []
    for form, asked in by_form.items():
        if len(asked) == 2 and asked[0].is_above != asked[1].is_above:
            above, below = asked if asked[0].is_above else asked[::-1]
            out.append(Mention(form, above.bound, below.bound))
        else:
            out += [Mention(form, *((one.bound, None) if one.is_above else (None, one.bound))) for one in asked]
    return tuple(out)


@dataclass(frozen=True)
class Style:
    """How a target writes a comparison.

    Attributes
    ----------
    names : tuple of str
        What each column is called.
    number : callable
        A constant as text.
    times, conjunction : str
        What stands between a weight and its column, and between conditions.
    chained : bool
        Whether an interval is ``low < d < high`` rather than two conditions.
    """

    names: tuple[str, ...]
    number: Callable[[float], str] = number_text
    times: str = "*"
    conjunction: str = " and "
    chained: bool = True

    @classmethod
    def of_text(cls, names: Iterable[str]) -> Style:
        """How a person writes it."""
        return cls(tuple(name_text(name) for name in names))

    def sum_text(self, form: Form) -> str:
        """The sum."""
        parts = []
        for i, (column, weight) in enumerate(form):
            sign = ("- " if i else "-") if weight < 0 else ("+ " if i else "")
            factor = "" if abs(weight) == 1 else f"{self.number(abs(weight))}{self.times}"
            parts.append(f"{sign}{factor}{self.names[column]}")
        return " ".join(parts)


class Wording:
    """The names that a policy's sums get, and its conditions as text.

    Parameters
    ----------
    groups : sequence of sequences of Comparison
        The comparisons of each condition.
    style : Style
        How the target writes them.
    taken : iterable of str
        Words that no sum may be called.
    """

    def __init__(self, groups: Sequence[Sequence[Comparison]], style: Style, taken: Iterable[str] = ()) -> None:
        self.style = style
        used: dict[Form, list[Mention]] = {}
        for comparisons in groups:
            for mention in mentions(comparisons):
                used.setdefault(mention.form, []).append(mention)
        self.names: dict[Form, str] = {}
        free = _free_names({*style.names, *taken})
        for form, found in used.items():
            alone = sum(mention.symbols(named=False) for mention in found)
            named = 2 + form_symbols(form) + sum(mention.symbols(named=True) for mention in found)
            if len(found) > 1 and named < alone:
                self.names[form] = next(free)

    def definition(self, form: Form) -> str:
        """A named sum: ``d = ball_x - paddle_x``."""
        return f"{self.names[form]} = {self.style.sum_text(form)}"

    def condition(self, comparisons: Sequence[Comparison]) -> str:
        """Conditions that hold together."""
        return self.style.conjunction.join(self._mention(mention) for mention in mentions(comparisons))

    def symbols(self, groups: Sequence[Sequence[Comparison]]) -> int:
        """The symbols of all conditions and definitions, with one between conditions that hold together."""
        total = sum(2 + form_symbols(form) for form in self.names)
        for comparisons in groups:
            found = mentions(comparisons)
            total += sum(mention.symbols(named=mention.form in self.names) for mention in found) + len(found) - 1
        return total

    def _mention(self, mention: Mention) -> str:
        style, low, high = self.style, mention.low, mention.high
        name = self.names.get(mention.form)
        if name is None and mention.is_versus:
            (first, weight), (second, other) = mention.form
            left, right = style.sum_text(((first, weight),)), style.sum_text(((second, -other),))
            return f"{left} {'<' if low is None else '>'} {right}"
        text = name or style.sum_text(mention.form)
        if low is not None and high is not None and style.chained:
            return f"{style.number(low)} < {text} < {style.number(high)}"
        sides = [] if low is None else [f"{text} > {style.number(low)}"]
        sides += [] if high is None else [f"{text} < {style.number(high)}"]
        return style.conjunction.join(sides)


def _free_names(taken: set[str]) -> Iterator[str]:
    """Short names that stand for nothing yet."""
    yield from (name for name in _NAMES if name not in taken)
    i = 1
    while True:
        if f"d{i}" not in taken:
            yield f"d{i}"
        i += 1
