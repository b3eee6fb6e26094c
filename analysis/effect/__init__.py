"""What a direction does: how behaviours, accuracy and damage change with its strength, beside its controls."""

from ...generation import Written, write
from .condition import Condition
from .dose import DoseCurves, EffectSettings, dose_curves
from .matrix import SteeringMatrix, steering_matrix

__all__ = [
    "Condition",
    "DoseCurves",
    "EffectSettings",
    "SteeringMatrix",
    "Written",
    "dose_curves",
    "steering_matrix",
    "write",
]
