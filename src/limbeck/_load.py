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
from typing import TypeAlias

from limbeck._explanation import DOCUMENT as EXPLANATION
from limbeck._explanation import Explanation
from limbeck._modules_result import DOCUMENT as MODULES
from limbeck._modules_result import ModulesResult
from limbeck._result import Distillation
from limbeck._result import load as load_run
from limbeck.policies._policy_distillation import DOCUMENT as POLICY
from limbeck.policies._policy_distillation import PolicyDistillation

__all__ = ["load"]


Found: TypeAlias = Distillation | Explanation | ModulesResult | PolicyDistillation
KINDS: dict[str, type[Explanation] | type[ModulesResult] | type[PolicyDistillation]] = {
    EXPLANATION: Explanation,
    MODULES: ModulesResult,
    POLICY: PolicyDistillation,
}


def load(folder: str | Path) -> Found:
    """What a folder holds, as `save` or the command line wrote it: a distillation, an explanation, modules, policies.

    Nothing in the folder is run: it holds JSON and numbers, and expressions are read by a whitelist.

    Parameters
    ----------
    folder : path
        With ``run.json`` (a `Distillation`), ``explanation.json`` (an `Explanation`), ``modules.json`` (a
        `ModulesResult`, whose network `ModulesResult.read_network` reads into yours) or ``policy.json`` (a
        `PolicyDistillation`).

    Raises
    ------
    StorageError
        Where the folder is none of them, or is damaged.

    Examples
    --------
    >>> import tempfile, torch, limbeck
    >>> found = limbeck.explain(torch.nn.Linear(2, 1), torch.arange(8.0).reshape(4, 2), rows=[0], checks=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     load(found.save(f"{folder}/e")) == found
    True
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        for document, kind in KINDS.items():
            if (folder / document).is_file():
                return kind.load(folder)
    return load_run(folder)
