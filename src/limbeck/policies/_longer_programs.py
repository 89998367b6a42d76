"""First races of longer programs: lists fitted to several draws of the states, and lines added to the best so far.

Source
------
Breiman1996 (fits on draws differ more than fits on all of it, and that is wanted here).

Departures
----------
- What imitates best rarely plays best: of lists of three lines, each fitted to another draw of the states or to another
  way to count what an action wins, some solve a task and others fall at once. So many draws are fitted, a little each,
  and playing decides.
- Shorter programs get more of the steps than longer ones: as one over the number of lines.

Checked
-------
tests/truth/test_program_search_truth.py: a world that needs two lines gets them.

Cost
----
About two seconds a draw for eight lines, at most `MOST_DRAWS` of them; then the steps of the races.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import numpy as np

from limbeck.policies._growing import fitted_forms, lists_from_data
from limbeck.policies._program_contest import Contest
from limbeck.policies._program_draft import Draft

__all__ = ["race_longer"]

STATES = (1_200, 600)
MOST_DRAWS = 6
EACH = 16  # programs of a length that a draw gives
ALIKE = 0.99
FROM_BEST = 12


def race_longer(contest: Contest, max_lines: int, max_terms: int, share: float) -> None:
    """Let programs of two lines and more race, for a share of all steps."""
    sizes = range(2, max_lines + 1)
    parts = {size: share / size / sum(1.0 / other for other in sizes) for size in sizes}
    n_draws = int(np.clip(contest.entrants(parts[2]) / EACH, 1, MOST_DRAWS))
    draws = [_drawn(contest, max_lines, max_terms, i) for i in range(n_draws)]
    for size, part in parts.items():
        found = [lists[size - 1] for lists in draws if len(lists) >= size]
        turns = _turns([contest.longer(size - 1, FROM_BEST), *found])
        contest.first(size, _different(turns, contest.known.rows[: STATES[-1]]), part)


def _drawn(contest: Contest, max_lines: int, max_terms: int, i: int) -> list[list[Draft]]:
    """The lists of one draw of the states, by one of the ways to count what an action wins."""
    generator, known = contest.near.generator, contest.known
    some = known.taken(generator.permutation(len(known))[: STATES[(i // 3) % 2]])
    gains = (some.graded, some.wins, some.alone)[i % 3]
    fitted = fitted_forms(some.rows, some.graded, max_terms)
    return lists_from_data([*contest.near.pool, *fitted], some.rows, gains, max_lines)


def _turns(lists: Sequence[Sequence[Draft]]) -> list[Draft]:
    """The first of each, then the second of each."""
    return [draft for turn in zip_longest(*lists) for draft in turn if draft is not None]


def _different(drafts: Sequence[Draft], rows: np.ndarray) -> list[Draft]:
    """Those that do not act as one before them in nearly all states."""
    kept: list[Draft] = []
    taken = np.empty((len(drafts), len(rows)), dtype=np.int64)
    for draft in dict.fromkeys(drafts):
        actions = draft(rows)
        if not kept or (taken[: len(kept)] == actions).mean(axis=1).max() <= ALIKE:
            taken[len(kept)] = actions
            kept.append(draft)
    return kept
