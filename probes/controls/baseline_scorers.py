"""Score spans by one thing that could be known: the place, the words, the first word, the token embeddings.

Each scorer is trained on the rows of every training set in turn and scores all rows.

    position      logistic regression on splines of each feature and on its logarithm; boosted trees
    words         logistic regression on tf-idf of words, word pairs and pieces of words
    first word    log odds of the behaviour for each word, shrunk to those of all
    embeddings    logistic regression, at two penalties
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import SplineTransformer, StandardScaler

from ..solver import Columns, Design, solve_logistic
from .word_counts import WordCounts

SHRINKAGE = 2.0  # spans that a word's rate is shrunk with
WORD_PENALTY = 5.0  # C, as of the others
EMBEDDING_PENALTIES = (1e-4, 1e-2)

CHUNK = 1 << 24  # log odds of embeddings in memory at once

Matrix: TypeAlias = Float[np.ndarray, "n_examples n_features"] | sparse.csr_matrix
OneSetScorer: TypeAlias = Callable[
    [Bool[np.ndarray, "n_behaviours n_examples"], Bool[np.ndarray, " n_examples"]],
    Float[np.ndarray, "n_behaviours n_examples"],
]  # labels, training rows -> log odds of all rows
Scorer: TypeAlias = Callable[
    [Bool[np.ndarray, "n_behaviours n_examples"], Bool[np.ndarray, "n_sets n_examples"]],
    Float[np.ndarray, "n_sets n_behaviours n_examples"],
]  # labels, training rows of each set -> log odds of all rows


def set_by_set(score: OneSetScorer) -> Scorer:
    """Make the scorer that is trained on one training set after the other."""
    return lambda shows, sets: np.stack([score(shows, train) for train in sets])


def spline_scorer(places: Float[np.ndarray, "n_examples n_features"]) -> Scorer:
    """Make the scorer of places by splines."""
    both = np.concatenate([places, np.log1p(places)], axis=1)

    def score(
        shows: Bool[np.ndarray, "n_behaviours n_examples"], train: Bool[np.ndarray, " n_examples"]
    ) -> Float[np.ndarray, "n_behaviours n_examples"]:
        splines = SplineTransformer(n_knots=6, knots="quantile", extrapolation="linear").fit(places[train])
        scaled = StandardScaler().fit(both[train]).transform(both)
        features = np.concatenate([splines.transform(places), scaled], axis=1)
        return _logistic(features, shows, train, penalty=1.0)

    return set_by_set(score)


def tree_scorer(places: Float[np.ndarray, "n_examples n_features"], seed: int) -> Scorer:
    """Make the scorer of places by boosted trees."""

    def score(
        shows: Bool[np.ndarray, "n_behaviours n_examples"], train: Bool[np.ndarray, " n_examples"]
    ) -> Float[np.ndarray, "n_behaviours n_examples"]:
        scores = np.zeros(shows.shape)
        for row, positive in zip(scores, shows, strict=True):
            if _is_mixed(positive[train]):
                trees = HistGradientBoostingClassifier(
                    max_iter=40, max_depth=3, min_samples_leaf=10, early_stopping=False, random_state=seed
                )
                row[:] = trees.fit(places[train], positive[train]).decision_function(places)
        return scores

    return set_by_set(score)


def word_scorer(texts: Sequence[str], n_characters: int | None = None) -> Scorer:
    """Make the scorer of words; pieces of words are taken from the last `n_characters`, or from everywhere."""
    counts = WordCounts(texts, n_characters)
    return set_by_set(lambda shows, train: _logistic(counts.weighted(train), shows, train, penalty=WORD_PENALTY))


def first_word_scorer(words: Sequence[str]) -> Scorer:
    """Make the scorer of single words."""
    names, word = np.unique(np.array(words, dtype=object), return_inverse=True)

    def score(
        shows: Bool[np.ndarray, "n_behaviours n_examples"], train: Bool[np.ndarray, " n_examples"]
    ) -> Float[np.ndarray, "n_behaviours n_examples"]:
        n_with = np.bincount(word[train], minlength=len(names))
        scores = np.zeros(shows.shape)
        for row, positive in zip(scores, shows, strict=True):
            if _is_mixed(positive[train]):
                n_positive = np.bincount(word[train], positive[train], minlength=len(names))
                rate = (n_positive + SHRINKAGE * positive[train].mean()) / (n_with + SHRINKAGE)
                row[:] = np.log(rate / (1 - rate))[word]
        return scores

    return set_by_set(score)


def embedding_scorer(embeddings: Float[np.ndarray, "n_examples d_embedding"], penalty: float) -> Scorer:
    """Make the scorer of token embeddings at one penalty."""
    varies = np.ptp(embeddings, axis=0) > 0  # before a sentence there may be the same token everywhere
    rows = torch.from_numpy(np.ascontiguousarray(embeddings[:, varies])).float()

    def score(
        shows: Bool[np.ndarray, "n_behaviours n_examples"], sets: Bool[np.ndarray, "n_sets n_examples"]
    ) -> Float[np.ndarray, "n_sets n_behaviours n_examples"]:
        scores = np.zeros((len(sets), *shows.shape))
        if not varies.any():
            return scores
        # Rows that are in the same sets are one cell, so that all sets share one design.
        cells, cell = np.unique(sets, axis=1, return_inverse=True)
        design = Design.of(rows, cell, cells)
        mixed = np.argwhere([[_is_mixed(positive[train]) for positive in shows] for train in sets])
        n_at_once = max(1, CHUNK // len(rows))
        for first in range(0, len(mixed), n_at_once):
            subset, behaviour = mixed[first : first + n_at_once].T
            columns = Columns(
                torch.from_numpy(shows[behaviour]), torch.from_numpy(subset), torch.full((len(subset),), penalty)
            )
            scores[subset, behaviour] = solve_logistic(design, columns).scores(design).numpy()
        return scores

    return score


def _is_mixed(positive: Bool[np.ndarray, " n"]) -> bool:
    return bool(0 < positive.sum() < len(positive))


def _logistic(
    features: Matrix,
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    train: Bool[np.ndarray, " n_examples"],
    penalty: float,
) -> Float[np.ndarray, "n_behaviours n_examples"]:
    """Compute the log odds of all rows; 0 for behaviours of which the training rows lack a class."""
    scores = np.zeros(shows.shape)
    training = features[train]
    if sparse.issparse(training):
        training.sort_indices()  # once: liblinear would for each behaviour
    for row, positive in zip(scores, shows, strict=True):
        if _is_mixed(positive[train]):
            classifier = LogisticRegression(C=penalty, solver="liblinear").fit(training, positive[train])
            row[:] = classifier.decision_function(features)
    return scores
