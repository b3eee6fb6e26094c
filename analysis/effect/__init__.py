"""What a direction does: how behaviours, accuracy and damage change with its strength, beside its controls."""

from ...generation import Written, write
from .condition import Condition
from .dose import DoseCurves, EffectSettings, dose_curves
from .matrix import SteeringMatrix, steering_matrix
from .response import SteeredResponse, steered_response

__all__ = [
    "Condition",
    "DoseCurves",
    "EffectSettings",
    "SteeredResponse",
    "SteeringMatrix",
    "Written",
    "dose_curves",
    "steered_response",
    "steering_matrix",
    "write",
]
