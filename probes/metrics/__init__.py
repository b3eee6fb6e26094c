"""Measure how well scores separate examples of held-out problems, with intervals over problems."""

from ._calibration import Bin, calibration
from ._concordance import (
    FoldPairs,
    auroc,
    auroc_draws,
    auroc_given_probes,
    concordance,
)
from .cross_validated import CrossValidated
from .effect_size import cohens_d, held_out_projections
from .expected import (
    FEWEST_PROBLEMS,
    ONE_LAYER,
    Error,
    best_candidate,
    expected_auroc,
    expected_difference,
    training_changes,
    widened,
)
from .ranks import rank_wins
from .weighted import SecondaryMetrics, secondary_metrics

__all__ = [
    "FEWEST_PROBLEMS",
    "ONE_LAYER",
    "Bin",
    "CrossValidated",
    "FoldPairs",
    "SecondaryMetrics",
    "auroc",
    "auroc_draws",
    "auroc_given_probes",
    "best_candidate",
    "calibration",
    "cohens_d",
    "concordance",
    "Error",
    "expected_auroc",
    "expected_difference",
    "held_out_projections",
    "rank_wins",
    "secondary_metrics",
    "training_changes",
    "widened",
]
