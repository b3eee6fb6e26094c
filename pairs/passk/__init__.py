"""pass@k of a base and a thinking model: who is ahead at how many samples, and where the base overtakes."""

from ._passk import passk
from .attempts import AttemptCurves
from .chance import Chance
from .counts import ProblemCounts
from .coverage import Coverage, CoverAt
from .result import PasskResult
from .settings import PasskSettings

__all__ = [
    "AttemptCurves",
    "Chance",
    "CoverAt",
    "Coverage",
    "PasskResult",
    "PasskSettings",
    "ProblemCounts",
    "passk",
]
