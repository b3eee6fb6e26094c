"""Measuring the organisms: accuracy, skill, policy, divergence from the base, pass@k, and one-token takeover."""

from ._truth import truth
from .measure import divergence, policy, skill
from .table import (
    EvaluateSettings,
    Table,
    evaluate,
    organisms_evaluate,
)

__all__ = [
    "EvaluateSettings",
    "Table",
    "divergence",
    "evaluate",
    "organisms_evaluate",
    "policy",
    "skill",
    "truth",
]
