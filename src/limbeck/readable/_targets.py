"""Every export target by its name. Each module is imported on its first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from limbeck._core.errors import InputError
from limbeck.readable._language import Program

__all__ = ["EXPORTERS", "FAMILY_EXPORTERS", "READABLE_EXPORTERS", "TARGETS", "exporter_of"]

Exporter = Callable[[Program], str | bytes]
ReadableExporter = Callable[[Any], str | bytes]


def _on_use(module: str, function: str) -> Callable[[Any], str | bytes]:
    def export(given: Any) -> str | bytes:
        exporter: Exporter = getattr(import_module(f"limbeck.readable.{module}"), function)
        try:
            return exporter(given)
        except RecursionError:
            raise InputError("the model is nested too deep to be exported; make it smaller") from None

    return export


EXPORTERS: dict[str, Exporter] = {
    "python": _on_use("_python", "python_source"),
    "sql": _on_use("_sql", "sql_select"),
    "c": _on_use("_c", "c_source"),
    "javascript": _on_use("_javascript", "javascript_source"),
    "latex": _on_use("_latex", "latex_equations"),
    "mathml": _on_use("_mathml", "mathml_element"),
    "onnx": _on_use("_onnx", "onnx_model"),
}
"""What writes a program for each target: text, or for ``onnx`` bytes."""

READABLE_EXPORTERS: dict[str, ReadableExporter] = {"safetensors": _on_use("_packing", "pack")}
"""What writes any readable itself, not its program: bytes."""

FAMILY_EXPORTERS: dict[tuple[str, str], ReadableExporter] = {
    ("network", "c"): _on_use("_network_c", "network_c"),
    ("network", "javascript"): _on_use("_network_javascript", "network_javascript"),
    ("network", "python"): _on_use("_network_python", "network_python"),
    ("network", "onnx"): _on_use("_network_onnx", "network_onnx"),
    ("program", "c"): _on_use("_program_code", "policy_c"),
    ("program", "javascript"): _on_use("_program_code", "policy_javascript"),
    ("program", "python"): _on_use("_program_code", "policy_python"),
    ("policy_tree", "c"): _on_use("_program_code", "policy_c"),
    ("policy_tree", "javascript"): _on_use("_program_code", "policy_javascript"),
    ("policy_tree", "python"): _on_use("_program_code", "policy_python"),
}
"""What writes the readables of one family better than their program would be: by family and target."""

TARGETS: tuple[str, ...] = (*EXPORTERS, *READABLE_EXPORTERS)
"""Every target that `Readable.export` knows."""


def exporter_of(family: str, target: str) -> ReadableExporter | None:
    """What writes a readable of this family itself, or None where its program is written."""
    return FAMILY_EXPORTERS.get((family, target)) or READABLE_EXPORTERS.get(target)
