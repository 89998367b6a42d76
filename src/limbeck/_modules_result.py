"""What `limbeck.modules` returns: the network's modules, what they decide, and whether it comes apart.

Source
------
Own.

Cost
----
None: it holds what was computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck._core.errors import InputError, StorageError
from limbeck._core.storage import as_json, refuse_foreign, write_file
from limbeck.checks import Finding
from limbeck.report._words import plural, shortened

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from limbeck.modularity import Circuits, Clusters, DistilledModules, Interpretation, ModularTraining, SplitNetwork

__all__ = ["DOCUMENT", "WEIGHTS", "ModulesResult"]

DOCUMENT, WEIGHTS, FORMAT, VERSION = "modules.json", "weights.safetensors", "limbeck-modules", 1
SHOWN_LINES, SHOWN_LETTERS = 5, 110


@dataclass(frozen=True)
class ModulesResult:
    """The modules of a network, and the verdict on whether it comes apart.

    Attributes
    ----------
    document : dict
        Everything as in ``modules.json``.
    network : SplitNetwork
        The network with the weights between modules at 0; ``.parts`` are the modules as networks of their own. None
        in a result that `load` read: see `read_network`.
    model : torch.nn.Module
        The network before it was split: as given, or the trained copy. None in a result that `load` read.
    clusters : dict of Clusters
        Which module each unit belongs to, by layer.
    findings : tuple of Finding
        RC011, RC012, RC013.
    training, interpretation, circuits, distilled
        What was made on the way; None where it was not asked for, or the work was interrupted before.
    complete : bool
        False where the work was interrupted, and the result holds what was done by then.
    """

    document: Mapping[str, Any] = field(repr=False)
    network: SplitNetwork | None = field(repr=False)
    model: torch.nn.Module | None = field(repr=False)
    clusters: Mapping[str, Clusters] = field(repr=False)
    findings: tuple[Finding, ...]
    training: ModularTraining | None = field(default=None, repr=False)
    interpretation: Interpretation | None = field(default=None, repr=False)
    circuits: Circuits | None = field(default=None, repr=False)
    distilled: DistilledModules | None = field(default=None, repr=False)
    complete: bool = True

    @property
    def verdict(self) -> str:
        """``comes apart: ...``, ``comes apart in part: ...`` or ``does not come apart: ...``."""
        return str(self.document["verdict"])

    def table(self) -> pd.DataFrame:
        """One line a module: its units and weights, the labels that it decides, and its accuracy or loss ON and OFF."""
        import pandas as pd

        outputs = self.document["outputs"]
        lines = [
            {
                "module": card["name"],
                "units": sum(card["units"].values()),
                "weights": card["weights"],
                "decides": ", ".join(card["decides"]),
                **{f"on {name}": value for name, value in zip(outputs, card["on"], strict=False)},
                **{f"off {name}": value for name, value in zip(outputs, card["off"], strict=False)},
            }
            for card in self.document["modules"]
        ]
        return pd.DataFrame(lines)

    def text(self) -> str:
        """The layers, the scores, the modules and the verdict, in words."""
        doc = self.document
        recipe = doc["recipe"]
        apart = f" and {recipe['split_epochs']} held apart" if recipe.get("split_epochs") else ""
        how = (
            f"trained for {recipe['epochs']} epochs{apart}, strength {recipe['strength']:g}"
            if recipe["trained"]
            else "as is"
        )
        lines = [f"{recipe['k']} modules of {doc['model']} on {doc['name']}, {how}", ""]
        for layer in doc["layers"]:
            before = layer["before"]
            was = "" if before is None else f"{before['clusterability']:.3f} -> "
            lines.append(
                f"layer {layer['name']} ({layer['rows']} x {layer['columns']}): clusterability {was}"
                f"{layer['after']['clusterability']:.3f}, chance {layer['after']['chance']:.3f}"
            )
        for score in doc["scores"]:
            lines.append(
                f"{doc['metric']} {score['what']}: {score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
            )
        lines.append("")
        for card in doc["modules"]:
            lines += _card_lines(card)
        if doc["circuits"] is not None:
            sizes = zip(doc["circuits"]["labels"], doc["circuits"]["sizes"], strict=True)
            lines += ["", "share of the weights that a label needs: " + ", ".join(f"{a} {s:.0%}" for a, s in sizes)]
        lines += ["", *(f"{f.code} {f.status}: {f.message}" for f in self.findings)]
        return "\n".join([*lines, *(f"note: {note}" for note in doc["notes"]), "", self.verdict])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        return dict(as_json(dict(self.document)))

    def save(self, folder: str | Path) -> Path:
        """Write ``modules.json``, ``report.html`` and ``weights.safetensors`` into a folder.

        The weights are the split network's, under your network's own names: ``load_state_dict(load_file(path))``, with
        ``load_file`` of ``safetensors.torch``, makes your network the split one. Nothing in the folder is code.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        InputError
            For a result that was read from a folder: its network is not there.
        """
        from safetensors.torch import save

        from limbeck.report import write_modules

        if self.network is None:
            raise InputError("a result that was read from a folder has no network to save; copy its folder instead")
        folder = Path(folder)
        refuse_foreign(folder, DOCUMENT, "modules")
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        tensors = self.network.network.state_dict()
        write_file(folder / DOCUMENT, text)
        write_file(folder / WEIGHTS, save({name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}))
        write_modules(folder, folder / "report.html")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> ModulesResult:
        """The result that `save` wrote, without its networks: see `read_network`. Nothing in the folder is run.

        Raises
        ------
        StorageError
            Where the folder holds no modules, or is damaged.
        """
        from limbeck.report._entries import read_document
        from limbeck.report._modules_read import read_modules

        document = read_document(Path(folder), DOCUMENT, "a folder of modules", "modules")
        try:
            read_modules(document)
            findings = tuple(Finding.from_dict(entry) for entry in document["findings"])
            return cls(document, None, None, _clusters(document), findings)
        except InputError as error:
            raise StorageError(f"{folder} is damaged: {error}") from error

    @staticmethod
    def read_network(folder: str | Path, model: torch.nn.Module) -> SplitNetwork:
        """The split network of a folder that `save` wrote. Nothing in the folder is run.

        Parameters
        ----------
        folder : path
        model : torch.nn.Module
            A network of the same kind as was looked at, which is not changed; its weights don't matter.

        Raises
        ------
        StorageError
            Where the folder holds no modules, or is damaged.
        InputError
            Where its weights do not fit `model`.
        """
        return read_network(Path(folder), model)


def _card_lines(card: Mapping[str, Any]) -> list[str]:
    """One module in words."""
    units = ", ".join(f"{plural(n, 'unit')} of layer {name}" for name, n in card["units"].items())
    lines = [
        f"{card['name']}: {units}; {plural(card['weights'], 'weight')}",
        *(f"  {one}" for one in card["text"].splitlines()),
    ]
    if card["readable"] is not None:
        read = card["readable"]["text"].splitlines()
        lines += [f"  | {shortened(one, SHOWN_LETTERS)}" for one in read[:SHOWN_LINES]]
        lines += [f"  | and {len(read) - SHOWN_LINES} more lines"] if len(read) > SHOWN_LINES else []
        lines.append(f"  which is the module: {card['readable']['fidelity']['message']}")
    return lines


def read_network(folder: Path, model: torch.nn.Module) -> SplitNetwork:
    """See `ModulesResult.read_network`."""
    import copy

    from safetensors import SafetensorError
    from safetensors.torch import load

    from limbeck.modularity import split
    from limbeck.report._entries import read_document

    document = read_document(folder, DOCUMENT, "a folder of modules", "modules")
    try:
        clusters = _clusters(document)
        tensors = load((folder / WEIGHTS).read_bytes())
    except (KeyError, TypeError, InputError, OSError, SafetensorError) as error:
        raise StorageError(f"{folder} is damaged: {type(error).__name__}: {str(error)[:120]}") from None
    own = copy.deepcopy(model)
    try:
        own.load_state_dict(tensors)
    except RuntimeError as error:
        told = " ".join(str(error).split())[:300]
        raise InputError(f"model must be a network with the weights that {folder / WEIGHTS} holds; {told}") from None
    return split(own, clusters)


def _clusters(document: Mapping[str, Any]) -> dict[str, Clusters]:
    """The labels of each layer's units, as a document has them."""
    from limbeck.modularity import Clusters

    return {
        layer["name"]: Clusters(layer["row_labels"], layer["column_labels"], document["recipe"]["k"])
        for layer in document["layers"]
    }
