"""What `limbeck.explain` returns: for each explained row what the network used, and the verdicts on the method.

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

from limbeck._core.errors import StorageError
from limbeck._core.storage import as_json, write_file
from limbeck.checks import Finding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOCUMENT", "Explanation"]

DOCUMENT, FORMAT, VERSION = "explanation.json", "limbeck-explanation", 1
BLIND = 0.8
"""Effects whose rank correlation to those of a shuffled network is surely above this say nothing about the network."""
SHOWN = 5


@dataclass(frozen=True)
class Explanation:
    """What a network used for some rows, and whether the method that says so can be trusted on this network.

    Attributes
    ----------
    name, model, method, rule, kind : str
        The data, the network, how it was explained, and what the rows are: image, text, signal or table.
    outputs : tuple of str
        The names of the network's outputs.
    rows : tuple of dict
        One an explained row, as in ``explanation.json``: its input, units, their effects ``alone``, the hierarchy's
        ``nodes``, ``interactions``, ``residual``.
    findings : tuple of Finding
        The reality checks of the method on this network.
    seed : int
    seconds : float
    notes : tuple of str
    """

    name: str
    model: str
    method: str
    rule: str
    kind: str
    outputs: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    findings: tuple[Finding, ...]
    seed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``holds up: ...``, ``use with care: ...`` or ``do not use: ...``."""
        failed = [f for f in self.findings if f.status == "fail"]
        decisive = [f for f in failed if f.code == "RC005" or (f.code == "RC006" and _is_blind(f))]
        if decisive:
            return "do not use: " + "; ".join(f"{f.code} {f.title.lower()}: {f.message}" for f in decisive)
        passed = [f for f in self.findings if f.status == "pass"]
        open_ones = [f for f in self.findings if f.status == "inconclusive"]
        if failed or open_ones or not passed:
            told = [f"{f.code} {f.status}: {f.message}" for f in (*failed, *open_ones)]
            return "use with care: " + ("; ".join(told) if told else "no check could be made")
        return "holds up: " + ", ".join(f"{f.code} {f.title.lower()}" for f in passed)

    def table(self) -> pd.DataFrame:
        """One line a unit of each row: ``row, output, unit, effect``, the largest effects of a row first."""
        import pandas as pd

        lines = [
            (row["row"], row["output_name"], unit["name"], effect)
            for row in self.rows
            for unit, effect in sorted(
                zip(row["units"], row["alone"], strict=True), key=lambda pair: abs(pair[1]), reverse=True
            )
        ]
        return pd.DataFrame(lines, columns=["row", "output", "unit", "effect"])

    def text(self) -> str:
        """The rows, what the network used most for each, and the verdicts, in words."""
        lines = [f"{self.method} of {self.model} on {self.name}, rule {self.rule}", ""]
        for row in self.rows:
            truth = "" if row["truth"] is None else f", truth {row['truth']}"
            lines.append(f"row {row['row']}: {row['output_name']} = {row['value']:.4g}{truth}")
            effects = sorted(zip(row["alone"], row["units"], strict=True), key=lambda pair: -abs(pair[0]))[:SHOWN]
            lines.append("  alone: " + ", ".join(f"{unit['name']} {effect:+.3g}" for effect, unit in effects))
            groups = sorted((n for n in row["nodes"] if n["children"]), key=lambda n: -abs(n["score"]))[:SHOWN]
            for node in groups:
                names = " ".join(row["units"][u]["name"] for u in node["units"][:8])
                more = f" and {len(node['units']) - 8} more" if len(node["units"]) > 8 else ""
                lines.append(f"  group {node['score']:+.3g}: {names}{more}")
            lines.append(f"  residual {row['residual']:.1e}")
        lines += ["", *(f"{f.code} {f.status}: {f.message}" for f in self.findings)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes), "", self.verdict])

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON types."""
        return as_json(
            {
                "format": FORMAT,
                "version": VERSION,
                "name": self.name,
                "method": self.method,
                "model": self.model,
                "rule": self.rule,
                "kind": self.kind,
                "outputs": list(self.outputs),
                "seed": self.seed,
                "seconds": self.seconds,
                "notes": list(self.notes),
                "verdict": self.verdict,
                "rows": [dict(row) for row in self.rows],
                "findings": [finding.to_dict() for finding in self.findings],
            }
        )

    def save(self, folder: str | Path) -> Path:
        """Write ``explanation.json`` and ``report.html`` into a folder.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        """
        from limbeck.report import write_explanation

        folder = Path(folder)
        foreign = folder.exists() and not (folder / DOCUMENT).is_file()
        if foreign and (not folder.is_dir() or any(folder.iterdir())):
            raise StorageError(
                f"{folder} exists and holds no explanation; give a new folder, an empty one, or one to replace"
            )
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        write_file(folder / DOCUMENT, text)
        write_explanation(folder, folder / "report.html")
        return folder


def _is_blind(finding: Finding) -> bool:
    return finding.interval is None or finding.interval[0] >= BLIND
