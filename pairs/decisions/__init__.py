"""Where a base and a thinking model diverge, and what swapping the tokens there is worth, both ways."""

from ._decisions import decisions
from .choosers import CHOOSERS, Chooser
from .concentration import Concentration, GroupDivergence
from .pair_decisions import PairDecisions
from .result import DecisionsResult
from .settings import DecisionsSettings
from .swap_points import SwapPoint
from .swapping import SwapArm, SwappedText, swap

__all__ = [
    "CHOOSERS",
    "SwapArm",
    "Chooser",
    "Concentration",
    "DecisionsResult",
    "DecisionsSettings",
    "GroupDivergence",
    "PairDecisions",
    "SwapPoint",
    "SwappedText",
    "decisions",
    "swap",
]
