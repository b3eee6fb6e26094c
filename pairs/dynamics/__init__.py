"""What changes along a training, and when: checkpoints or published tables, step by step."""

from ._dynamics import dynamics
from .changes import CurveChange
from .collapse import Collapse
from .curve import Curve, Level
from .gain import GainSplit
from .memorising import LateGain, Memorised
from .result import DynamicsResult
from .run_dynamics import RunDynamics
from .settings import DynamicsSettings

__all__ = [
    "CurveChange",
    "Collapse",
    "Curve",
    "DynamicsResult",
    "DynamicsSettings",
    "GainSplit",
    "LateGain",
    "Level",
    "Memorised",
    "RunDynamics",
    "dynamics",
]
