"""How policies are made again, used and played: in Python and on the command line.

Source
------
Own.

Cost
----
None.
"""

from __future__ import annotations

import shlex

from limbeck.report._policy_values import Policies

__all__ = ["again_lines"]


def again_lines(found: Policies) -> dict[str, str]:
    """The run's arguments; the teacher has a name of the reader's own."""
    python = [repr(found.environment), "teacher", f"students={list(found.students)!r}", f"budget_s={found.budget_s!r}"]
    shell = [
        f"limbeck distill-policy --env {shlex.quote(found.environment)} --teacher package.module:teacher",
        f"--students {shlex.quote(','.join(found.students))} --budget-s {found.budget_s:g}",
    ]
    if found.changes:
        python.append(f"changes={list(found.changes)!r}")
        shell.append(f"--changes {shlex.quote(','.join(found.changes))}")
    python += [f"episodes={len(found.seeds)}", f"random_state={found.seed}"]
    shell += [f"--episodes {len(found.seeds)} --seed {found.seed} --out runs/policy"]
    lines = ["import limbeck", "", "result = limbeck.distill_policy("]
    lines += [f"    {python[0]}, {python[1]},", *(f"    {one}," for one in python[2:]), ")"]
    lines += ["program = result.best().readable", 'print(program.text())\nprint(program.export("python"))']
    shown = [" \\\n  ".join(shell), "limbeck show runs/policy", "limbeck play runs/policy --out episode.html"]
    return {"python": "\n".join(lines), "shell": "\n".join(shown)}
