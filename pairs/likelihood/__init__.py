"""How likely a base is to write what a thinking model writes: losses, ranks of tokens, and matches of behaviours."""

from ._likelihood import likelihood
from .matching import Match, edit_distance, match_curves
from .pair_likelihood import PairLikelihood
from .perplexity import Loss, RankShare
from .result import LikelihoodResult
from .settings import LikelihoodSettings
from .token_reading import TokenReading, read_texts
from .vectors_loss import VectorLoss

__all__ = [
    "LikelihoodResult",
    "LikelihoodSettings",
    "Loss",
    "Match",
    "PairLikelihood",
    "RankShare",
    "TokenReading",
    "VectorLoss",
    "edit_distance",
    "likelihood",
    "match_curves",
    "read_texts",
]
