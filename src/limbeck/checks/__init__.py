"""Reality checks: verdicts on a model or an attribution that can fail. One file a check, one stable code each."""

from limbeck.checks._asking import occlusion_effects
from limbeck.checks._attribution_case import AttributionCase
from limbeck.checks._completeness import Completeness
from limbeck.checks._corrected import CorrectedModel, CorrectionCase
from limbeck.checks._deletion import InsertionDeletion
from limbeck.checks._fidelity import Fidelity
from limbeck.checks._finding import Case, Finding
from limbeck.checks._noise import NoiseStability
from limbeck.checks._planted import PlantedGroups, planted_case
from limbeck.checks._randomised import RandomisedNetwork
from limbeck.checks._shifted import ShiftedRows
from limbeck.checks._stability import Stability
from limbeck.checks._worst_case import WorstCase

__all__ = [
    "ATTRIBUTION_CHECKS",
    "DEFAULT_CHECKS",
    "AttributionCase",
    "Case",
    "Completeness",
    "CorrectedModel",
    "CorrectionCase",
    "Fidelity",
    "Finding",
    "InsertionDeletion",
    "NoiseStability",
    "PlantedGroups",
    "RandomisedNetwork",
    "ShiftedRows",
    "Stability",
    "WorstCase",
    "occlusion_effects",
    "planted_case",
]

DEFAULT_CHECKS = (Fidelity(), ShiftedRows(), WorstCase(), Stability())

ATTRIBUTION_CHECKS = (Completeness(), RandomisedNetwork(), InsertionDeletion(), NoiseStability(), PlantedGroups())
"""For an `AttributionCase`; `CorrectedModel` takes a `CorrectionCase`."""
