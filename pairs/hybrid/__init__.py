"""Hybrids: a base model writes, steered at the tokens that a thinking model, or a probe, picks."""

from ._decode import Chooser, Plan, StrengthRule, decode
from ._hybrid import hybrid
from .arm import Arm, ArmContext
from .arms import ARMS
from .gate import always, boundary, disagreement, divergence_over, never, positions, probe_over
from .mechanism import Mechanism
from .pair_result import PairResult
from .pair_run import PairRun
from .record import RowRecord
from .result import HybridResult
from .settings import HybridSettings
from .steered_trace import SteeredTrace

__all__ = [
    "ARMS",
    "Arm",
    "ArmContext",
    "Chooser",
    "HybridResult",
    "HybridSettings",
    "Mechanism",
    "PairResult",
    "PairRun",
    "Plan",
    "RowRecord",
    "SteeredTrace",
    "StrengthRule",
    "always",
    "boundary",
    "decode",
    "disagreement",
    "divergence_over",
    "hybrid",
    "never",
    "positions",
    "probe_over",
]
