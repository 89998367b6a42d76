"""Reality checks: verdicts on a readable model that can fail. One file a check, one stable code each."""

from limbeck.checks._fidelity import Fidelity
from limbeck.checks._finding import Case, Finding
from limbeck.checks._shifted import ShiftedRows
from limbeck.checks._stability import Stability
from limbeck.checks._worst_case import WorstCase

__all__ = ["DEFAULT_CHECKS", "Case", "Fidelity", "Finding", "ShiftedRows", "Stability", "WorstCase"]

DEFAULT_CHECKS = (Fidelity(), ShiftedRows(), WorstCase(), Stability())
