"""The end of a search: the best program of each size, made tidy, and measured on episodes that chose nothing.

Source
------
Own.

Departures
----------
- The best few of each size play once more on fresh episodes before one is taken: who was lucky is found out.
- The best also plays with its weights in plain ratios (``x - y`` for ``0.83*x - 0.84*y``), and is taken so unless it
  loses by it.
- A size that scores less than a smaller one, beyond the noise, is left out: nobody needs its program.

Cost
----
As many episodes as time and steps are left for, at least 11 and at most 53 a size.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from limbeck._core.errors import InputError
from limbeck._core.seeds import draw_seeds
from limbeck.policies._episodes import NO_END, Return, score_of
from limbeck.policies._features import standing
from limbeck.policies._program_draft import Draft, program_of
from limbeck.policies._program_tidying import plain, tidied
from limbeck.policies._racing import Arena, OutOfBudget
from limbeck.readable import ProgramPolicy, policy_schema

__all__ = ["FoundProgram", "FoundPrograms", "finals"]

FINALISTS = 4
LEAST_PLAYED = 4
CHOOSING_EPISODES = 20
TIDYING_EPISODES = 3
ALLOWED = 0.5  # standard errors that plain weights may cost
LAST_EPISODES = (8, 30)


@dataclass(frozen=True)
class FoundProgram:
    """A program, and what it scored in the search's last episodes, on which none was chosen.

    Attributes
    ----------
    readable : ProgramPolicy
    search_return : Return
    complexity : int
    """

    readable: ProgramPolicy
    search_return: Return
    complexity: int


@dataclass(frozen=True)
class FoundPrograms:
    """What a search found.

    Attributes
    ----------
    programs : tuple of FoundProgram
        One for each number of lines that was reached, in order.
    complete : bool
        False where it was stopped with Ctrl-C.
    """

    programs: tuple[FoundProgram, ...]
    complete: bool


def finals(arena: Arena) -> tuple[FoundProgram, ...]:
    """The best program of each number of lines, of all that played.

    Raises
    ------
    InputError
        Where none played.
    """
    sizes = _undominated(arena, _by_size(arena))
    if not sizes:
        raise InputError("the search was over before a program had played; give it more seconds or steps")
    simpler = {size: plain(drafts[0]) for size, drafts in sizes.items()}
    waiting = list(dict.fromkeys(draft for size, drafts in sizes.items() for draft in (*drafts, simpler[size])))
    n = min(CHOOSING_EPISODES, _affordable(arena, 2 * len(waiting)))
    if n:
        with contextlib.suppress(OutOfBudget, KeyboardInterrupt):
            arena.play(waiting, n)
    best = [_simplest(arena, arena.ranked(drafts)[0], simpler[size]) for size, drafts in sizes.items()]
    programs = _tidy(arena, sorted(best, key=arena.estimate, reverse=True))
    least, most = LAST_EPISODES
    length = 0.0 if arena.cut is None else float(arena.environment.max_steps or NO_END)  # the last ones are whole
    seeds = draw_seeds(arena.generator, min(max(least, _affordable(arena, len(programs), length)), most))
    last = arena.episodes([program.act for program in programs], seeds)
    return tuple(
        FoundProgram(program, score_of(played), program.complexity)
        for program, played in zip(programs, last, strict=True)
    )


def _by_size(arena: Arena) -> dict[int, list[Draft]]:
    """The finalists of each number of lines; where none played enough, whatever played."""
    known = [draft for draft in arena.played if arena.n_played(draft) >= LEAST_PLAYED] or list(arena.played)
    sizes: dict[int, list[Draft]] = {}
    for draft in arena.ranked(known):
        sizes.setdefault(len(draft.lines), []).append(draft)
    return {size: sizes[size][:FINALISTS] for size in sorted(sizes)}


def _simplest(arena: Arena, draft: Draft, simpler: Draft) -> Draft:
    """The simpler one where it scores no less beyond the noise."""
    if arena.n_played(simpler) < LEAST_PLAYED:
        return draft
    return simpler if arena.estimate(simpler) >= arena.estimate(draft) - ALLOWED * arena.noise(draft) else draft


def _undominated(arena: Arena, sizes: dict[int, list[Draft]]) -> dict[int, list[Draft]]:
    kept: dict[int, list[Draft]] = {}
    for size, drafts in sizes.items():
        level = max((arena.estimate(others[0]) for others in kept.values()), default=-float("inf"))
        if arena.estimate(drafts[0]) + arena.noise(drafts[0]) > level:
            kept[size] = drafts
    return kept


def _tidy(arena: Arena, best: list[Draft]) -> list[ProgramPolicy]:
    """The programs by their lines; of those that have as many lines once they are tidy, the first."""
    visited = arena.episodes(best, draw_seeds(arena.generator, TIDYING_EPISODES), record=True)
    schema = policy_schema(arena.environment.columns, arena.changes)
    chosen: dict[int, ProgramPolicy] = {}
    for draft, episodes in zip(best, visited, strict=True):
        tidy = tidied(draft, standing(episodes, arena.changes))
        program = program_of(tidy, schema, arena.environment.actions, arena.changes).simplified()
        chosen.setdefault(program.n_lines, program)
    return [chosen[size] for size in sorted(chosen)]


def _affordable(arena: Arena, n_programs: int, length: float = 0.0) -> int:
    """How many episodes (of at least this length) so many programs can play with what is left of time and steps."""
    left = min(arena.most_steps - arena.steps, max(0.0, arena.deadline - arena.clock()) * arena.rate)
    best = max(arena.played, key=arena.estimate)  # a good program's episode may be a long one
    return max(0, int(left / max(length, arena.mean_steps, arena.lengths[best]) / max(1, n_programs)))
