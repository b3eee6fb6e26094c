"""Ways to elicit reasoning, side by side: prompts, steering, hybrids, one example, training by reward."""

from ._elicit import elicit
from .arm import ArmAnswer, ElicitArm, ElicitContext, PreparedArm, Query
from .arms import ARMS
from .cost import ResponseCost, TrainingCost
from .measure import ArmComparison, ControlPoint, ElicitFigures
from .result import ElicitResult
from .settings import ElicitSettings

__all__ = [
    "ARMS",
    "ArmAnswer",
    "ArmComparison",
    "Query",
    "ControlPoint",
    "ElicitArm",
    "ElicitContext",
    "ElicitFigures",
    "ElicitResult",
    "ElicitSettings",
    "PreparedArm",
    "ResponseCost",
    "TrainingCost",
    "elicit",
]
