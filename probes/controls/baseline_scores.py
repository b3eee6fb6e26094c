"""Score spans without the model, from what could be known at the token that is read, in the folds of the probes.

1. Fit each scorer (`baseline_scorers.py`) on all folds but one (reported), but two, and but three. "position" is the
   sum of the log odds of its two scorers.
2. Combine them by weights (`stacking.py`) that are fitted to scores of rows that the scorers were not trained on: those
   without f to what the scorers without f and g say of each other fold g, and those without f and g likewise.
3. Count correctly ranked pairs of each fold without any other one: they choose the strongest baseline of a test fold on
   the other folds, and measure what the training set adds to the variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from ...activations import Example, Read
from ..core import Core
from ..metrics import rank_wins
from .baseline_scorers import (
    EMBEDDING_PENALTIES,
    Scorer,
    embedding_scorer,
    first_word_scorer,
    spline_scorer,
    tree_scorer,
    word_scorer,
)
from .known_text import first_words, is_inside, places, words_read
from .stacking import stacked

COMBINED = "combined"
CONTEXT = 30  # last characters before a span of which pieces are counted
REPORTED = ("position", "words", "first word", COMBINED)

Array = np.ndarray[Any, np.dtype[np.float64]]
LeftOut = frozenset[int]
ScoresWithout = dict[LeftOut, Array]  # folds left out of the training -> scores of all rows


def fit_baselines(
    examples: Sequence[Example],
    read: Read,
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    embeddings: Float[np.ndarray, "n_examples d_embedding"] | None = None,
    seed: int = 0,
) -> dict[str, Core]:
    """Fit all baselines that need no layer of the model.

    Args:
        examples: The spans, with the text that was read (`Example.before`, `Example.read_end`).
        read: The tokens that were read.
        shows: Whether each span shows each behaviour.
        folds: The fold of each span, 0 .. n_folds - 1; no problem is in two.
        embeddings: The mean token embeddings of what was read; None where they were not collected.
        seed: Of the trees.

    Returns:
        "position", "words", "first word" and "combined" (all of these and the embeddings, weighted), each as the
        cross-validation of a layer with one penalty, so that it competes with layers.
    """
    scorers: dict[str, Scorer] = {
        "splines": spline_scorer(places(examples, read)),
        "trees": tree_scorer(places(examples, read), seed),
        "words": word_scorer(words_read(examples, read), None if is_inside(read) else CONTEXT),
        "first word": first_word_scorer(first_words(examples, read)),
    }
    if embeddings is not None:
        for penalty in EMBEDDING_PENALTIES:
            scorers[f"embeddings {penalty}"] = embedding_scorer(embeddings, penalty)
    n_folds = int(folds.max()) + 1
    left_out = [
        frozenset(chosen) for size in range(1, min(4, n_folds)) for chosen in combinations(range(n_folds), size)
    ]
    with threadpool_limits(1):
        training = ~np.stack([np.isin(folds, list(without)) for without in left_out])
        parts = {name: dict(zip(left_out, scorer(shows, training), strict=True)) for name, scorer in scorers.items()}
        combined = _combined(list(parts.values()), shows, folds)
    parts["position"] = {left_out: scores + parts["trees"][left_out] for left_out, scores in parts["splines"].items()}
    parts[COMBINED] = combined
    return {name: _counted(parts[name], shows, folds) for name in REPORTED}


def _combined(
    parts: Sequence[ScoresWithout], shows: Bool[np.ndarray, "n_behaviours n_examples"], folds: Int[np.ndarray, " n"]
) -> ScoresWithout:
    """Combine the scores of all parts by weights, for every one and two folds that are left out."""
    n_folds = int(folds.max()) + 1
    combined = {}
    for left_out in parts[0]:
        if len(left_out) > 2:
            continue
        others = [fold for fold in range(n_folds) if fold not in left_out]
        is_training = np.isin(folds, others)
        training = np.zeros((len(parts), *shows.shape))  # of rows that the scorers were not trained on
        for fold in others:
            without = left_out | {fold}
            for part, scores in zip(training, parts, strict=True):
                if without in scores:  # of three folds, one is left and none to weigh on
                    part[:, folds == fold] = scores[without][:, folds == fold]
        everything = np.stack([scores[left_out] for scores in parts])
        can_weigh = len(others) > 1
        combined[left_out] = np.stack(
            [
                stacked(
                    (training if can_weigh else everything)[:, index, is_training],
                    positive[is_training] & can_weigh,
                )
                @ everything[:, index]
                for index, positive in enumerate(shows)
            ]
        )
    return combined


def _counted(
    scores_without: ScoresWithout, shows: Bool[np.ndarray, "n_behaviours n_examples"], folds: Int[np.ndarray, " n"]
) -> Core:
    """Collect the reported scores, and count the ranked pairs of each fold without it and without any other one."""
    n_behaviours, n_folds = len(shows), int(folds.max()) + 1
    scores = np.empty((n_behaviours, 1, shows.shape[1]))
    wins, pairs = np.zeros((2, n_behaviours, 1, n_folds))
    inner_wins, inner_pairs = np.zeros((2, n_behaviours, 1, n_folds, n_folds))
    for left_out, all_scores in scores_without.items():
        for fold in left_out:
            test = folds == fold
            if len(left_out) > 2:
                continue
            n_wins, n_pairs = rank_wins(torch.from_numpy(all_scores[:, test]), torch.from_numpy(shows[:, test]))
            if len(left_out) == 1:
                scores[:, 0, test] = all_scores[:, test]
                wins[:, 0, fold], pairs[:, 0, fold] = n_wins.numpy(), n_pairs.numpy()
            else:
                (other,) = left_out - {fold}
                inner_wins[:, 0, other, fold], inner_pairs[:, 0, other, fold] = n_wins.numpy(), n_pairs.numpy()
    return Core(scores=scores, wins=wins, pairs=pairs, inner_wins=inner_wins, inner_pairs=inner_pairs)
