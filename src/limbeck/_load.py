"""`limbeck.load`: what a folder holds, whichever verb wrote it.

Source
------
Own.

Cost
----
That of reading the documents.
"""

from __future__ import annotations

from pathlib import Path

from limbeck._explanation import DOCUMENT, Explanation
from limbeck._result import Distillation
from limbeck._result import load as load_run
from limbeck.policies._policy_distillation import DOCUMENT as POLICY
from limbeck.policies._policy_distillation import PolicyDistillation

__all__ = ["load"]


def load(folder: str | Path) -> Distillation | Explanation | PolicyDistillation:
    """The distillation, explanation or policies that a folder holds, as `save` or the command line wrote it.

    Nothing in the folder is run: it holds JSON and numbers, and expressions are read by a whitelist.

    Parameters
    ----------
    folder : path
        With ``run.json`` (a `Distillation`), ``explanation.json`` (an `Explanation`) or ``policy.json`` (a
        `PolicyDistillation`).

    Raises
    ------
    StorageError
        Where the folder is none of these, or is damaged.

    Examples
    --------
    >>> import tempfile, torch, limbeck
    >>> found = limbeck.explain(torch.nn.Linear(2, 1), torch.arange(8.0).reshape(4, 2), rows=[0], checks=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(found.save(f"{folder}/e")) == found
    True
    """
    folder = Path(folder)
    if (folder / "run.json").is_file():
        return load_run(folder)
    if (folder / DOCUMENT).is_file():
        return Explanation.load(folder)
    if (folder / POLICY).is_file():
        return PolicyDistillation.load(folder)
    return load_run(folder)
