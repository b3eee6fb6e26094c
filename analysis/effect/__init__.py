"""Measure what a direction does: behaviours, accuracy and damage by its strength, beside its controls."""

from ...generation import Written, write
from .condition import Condition
from .find import FindSettings, steer_find
from .matrix import SteeringMatrix, steer_matrix
from .response import SteeredResponse, steer_write
from .steering_search import SteeringSearch
from .sweep import EffectSettings, StrengthCurves, steer_sweep

__all__ = [
    "Condition",
    "StrengthCurves",
    "EffectSettings",
    "FindSettings",
    "SteeredResponse",
    "SteeringMatrix",
    "SteeringSearch",
    "Written",
    "steer_find",
    "steer_sweep",
    "steer_write",
    "steer_matrix",
    "write",
]
