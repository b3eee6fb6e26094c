"""Hybrids: a base model writes, steered at the states that a thinking model, or a probe, picks."""

from ._decode import (
    Chooser,
    Plan,
    StrengthRule,
    decode,
)
from .gate import (
    always,
    boundary,
    disagreement,
    divergence_over,
    never,
    positions,
    probe_over,
)
from .mechanism import Mechanism
from .pair import Pair, organism_pair, question_pair
from .record import RowRecord
from .result import HybridResult
from .run import PairRun, run_pair
from .settings import HybridSettings
from .steered_trace import SteeredTrace

__all__ = [
    "Chooser",
    "StrengthRule",
    "HybridResult",
    "HybridSettings",
    "Mechanism",
    "Pair",
    "PairRun",
    "Plan",
    "RowRecord",
    "SteeredTrace",
    "always",
    "boundary",
    "decode",
    "disagreement",
    "divergence_over",
    "never",
    "organism_pair",
    "positions",
    "probe_over",
    "question_pair",
    "run_pair",
]
