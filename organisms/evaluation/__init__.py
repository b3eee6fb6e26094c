"""Measure a family: the truth of its pairs by cross-play, chance, steps, policies, divergence and overlap."""

from ._cross_play import CELLS, Answers, answer, cross_play, shares_of
from ._evaluate import evaluate, organisms_evaluate
from .chance import PASS_AT, ChanceCurve
from .figures import Evaluation, ModelFigures, PairFigures
from .pieces import EvaluateSettings

__all__ = [
    "CELLS",
    "PASS_AT",
    "Answers",
    "ChanceCurve",
    "EvaluateSettings",
    "Evaluation",
    "ModelFigures",
    "PairFigures",
    "answer",
    "cross_play",
    "evaluate",
    "organisms_evaluate",
    "shares_of",
]
