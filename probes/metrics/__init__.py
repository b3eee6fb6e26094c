"""How well scores tell examples apart, on problems that were not trained on, with intervals over problems."""

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
from .weighted import Worth, worth

__all__ = [
    "Bin",
    "FoldPairs",
    "Worth",
    "auroc",
    "auroc_draws",
    "auroc_given_probes",
    "calibration",
    "cohens_d",
    "concordance",
    "held_out_projections",
    "rank_wins",
    "worth",
]
