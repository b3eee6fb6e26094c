"""Measuring the organisms: accuracy, skill, policy, divergence from the base, pass@k, and one-token takeover."""

from ._truth import truth
from .measure import divergence, policy, skill
from .table import (
    EvaluateSettings,
    Table,
    evaluate,
    evaluate_family,
)

__all__ = [
    "EvaluateSettings",
    "Table",
    "divergence",
    "evaluate",
    "evaluate_family",
    "policy",
    "skill",
    "truth",
]
