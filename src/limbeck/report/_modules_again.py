"""How the modules are made again: in Python and on the command line.

Source
------
Own.

Cost
----
None.
"""

from __future__ import annotations

from limbeck.report._modules_values import Modules

__all__ = ["again_lines"]


def again_lines(found: Modules) -> dict[str, str]:
    """The recipe's numbers as arguments; the network and the data have names of the reader's own."""
    recipe = found.recipe
    python, shell = [f"k={recipe.k}"], [f"--k {recipe.k}"]
    if recipe.trained:
        python.append("train=True")
        shell.append("--train")
        for name in ("strength", "warmup_epochs", "epochs", "split_epochs"):
            value = getattr(recipe, name)
            if value is not None:
                python.append(f"{name}={value!r}")
                shell.append(f"--{name.replace('_', '-')} {value!r}")
    if any(module.readable is not None for module in found.modules):
        python.append("distill=True")
        shell.append("--distill")
    if found.circuits is None:
        python.append("circuits=False")
        shell.append("--no-circuits")
    python.append(f"random_state={found.seed}")
    shell.append(f"--seed {found.seed}")
    called = ["result = limbeck.modules(", "    network, X, y,", *(f"    {one}," for one in python), ")"]
    named = [
        "limbeck modules --model package.module:network",
        "--data rows.csv --target LABEL",
        *shell,
        "--out runs/modules",
    ]
    return {
        "python": "\n".join(["import limbeck", "", *called, "print(result.text())", 'result.save("runs/modules")']),
        "shell": " \\\n  ".join(named),
    }
