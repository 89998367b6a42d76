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

from limbeck._core.errors import InputError, StorageError
from limbeck._core.storage import as_json, refuse_foreign, write_file
from limbeck.checks import Finding

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOCUMENT", "Explanation"]

DOCUMENT, FORMAT, VERSION = "explanation.json", "limbeck-explanation", 1
OPTIONAL = ("lost", "parts", "remainder")
ROW = (
    *("row", "output", "output_name", "value", "predicted", "truth", "input", "findings", "units", "alone", "nodes"),
    *("interactions", "residual", "bias", *OPTIONAL),
)
LONGEST_WHOLE = 18
"""Digits of a whole number in a document; more is read as a number of floating point."""
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
        ``nodes``, ``interactions``, ``residual``; by ``trim`` the share of it that is ``lost``, what the strongest
        groups are in the input's own space (``parts``), and what none of them is (``remainder``).
    findings : tuple of Finding
        The reality checks of the method on this network.
    seed : int
    seconds : float
    notes : tuple of str
    transform : str or None
        By ``trim``: of what the units are groups of coefficients.
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
    transform: str | None = None

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
        of = "" if self.transform is None else f", groups of coefficients of {self.transform}"
        lines = [f"{self.method} of {self.model} on {self.name}, rule {self.rule}{of}", ""]
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
            lost = row.get("lost")
            lines.append(
                f"  residual {row['residual']:.1e}" + ("" if lost is None else f", lost {lost:.2%} of the row")
            )
        lines += ["", *(f"{f.code} {f.status}: {f.message}" for f in self.findings)]
        lines += [*(f"note: {note}" for note in self.notes), "", self.verdict]
        return "\n".join(_printable(line) for line in lines)

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
                **({} if self.transform is None else {"transform": self.transform}),
                "seed": self.seed,
                "seconds": self.seconds,
                "notes": list(self.notes),
                "verdict": self.verdict,
                "rows": [dict(row) for row in self.rows],
                "findings": [finding.to_dict() for finding in self.findings],
            }
        )

    @classmethod
    def from_dict(cls, data: Any) -> Explanation:
        """The explanation that `to_dict` wrote. Nothing in it is run, and the verdict is that of its findings.

        Raises
        ------
        InputError
            Where it is not an explanation or is of another version, or where something in it is missing, of another
            type, not finite, or speaks of a unit or a group that there is none of.
        """
        from limbeck.report._explanation_read import read_explanation

        plain = _plain(data)
        read_explanation(plain)
        return cls(
            plain["name"],
            plain["model"],
            plain["method"],
            plain["rule"],
            plain["kind"],
            tuple(plain["outputs"]),
            tuple({key: row[key] for key in ROW if key in row} for row in plain["rows"]),
            tuple(Finding.from_dict(finding) for finding in plain["findings"]),
            plain["seed"],
            plain["seconds"],
            tuple(plain["notes"]),
            plain.get("transform"),
        )

    @classmethod
    def load(cls, folder: str | Path) -> Explanation:
        """The explanation that `save` or ``limbeck explain --out`` wrote. Nothing in the folder is run.

        Raises
        ------
        StorageError
            Where the folder holds no explanation, or it is damaged.
        """
        from limbeck.report._entries import read_document

        document = read_document(Path(folder), DOCUMENT, "an explanation", "explain")
        try:
            return cls.from_dict(document)
        except InputError as error:
            raise StorageError(f"{folder} is damaged: {error}") from error

    def save(self, folder: str | Path) -> Path:
        """Write ``explanation.json`` and ``report.html`` into a folder.

        Raises
        ------
        StorageError
            Where the folder can't be written, or holds something else.
        """
        from limbeck.report import write_explanation

        folder = Path(folder)
        refuse_foreign(folder, DOCUMENT, "explanation")
        text = json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)
        write_file(folder / DOCUMENT, text)
        write_explanation(folder, folder / "report.html")
        return folder


def _is_blind(finding: Finding) -> bool:
    return finding.interval is None or finding.interval[0] >= BLIND


def _plain(data: Any) -> Any:
    """A copy of the document that holds JSON types only."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        return json.loads(
            text.encode("utf-8", "replace"), parse_int=lambda s: int(s) if len(s) <= LONGEST_WHOLE else float(s)
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"an explanation's document must hold JSON types only: {str(error)[:120]}") from None


def _printable(line: str) -> str:
    """A line without what a terminal would obey: names may come from anywhere."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
