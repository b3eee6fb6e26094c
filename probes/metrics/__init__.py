"""Measure how well scores separate examples of held-out problems, with intervals over problems."""

from ._calibration import Bin, calibration
from ._concordance import (
    FoldPairs,
    auroc,
    auroc_draws,
    auroc_given_probes,
    concordance,
)
from .effect_size import cohens_d, held_out_projections
from .ranks import rank_wins
from .weighted import SecondaryMetrics, secondary_metrics

__all__ = [
    "Bin",
    "FoldPairs",
    "SecondaryMetrics",
    "auroc",
    "auroc_draws",
    "auroc_given_probes",
    "calibration",
    "cohens_d",
    "concordance",
    "held_out_projections",
    "rank_wins",
    "secondary_metrics",
]
