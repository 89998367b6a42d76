"""Every export target by its name. Each module is imported on its first use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from limbeck._core.errors import InputError
from limbeck.readable._language import Program

__all__ = ["EXPORTERS"]

Exporter = Callable[[Program], str | bytes]


def _on_use(module: str, function: str) -> Exporter:
    def export(program: Program) -> str | bytes:
        exporter: Exporter = getattr(import_module(f"limbeck.readable.{module}"), function)
        try:
            return exporter(program)
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
