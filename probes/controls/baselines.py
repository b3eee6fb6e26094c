"""Compute baselines that need no model: from the words of a span, and from its place in the response.

A probe has to do better than these. Both are fitted and scored in the same folds as the probes: logistic regression on
the words and word pairs of the span (tf-idf), and boosted trees on its place (start, share of the response before it,
number in the response, length).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ...activations import Example

WORDS = r"(?u)\b\w+\b|[?!;:,.]"  # single letters, digits and punctuation are cues too


class _Classifier(Protocol):
    def fit(self, features: Any, labels: Any) -> Any: ...

    def decision_function(self, features: Any) -> Any: ...


def text_scores(
    examples: Sequence[Example],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
) -> Float[np.ndarray, "n_behaviours n_examples"]:
    """Score each span from its words and word pairs alone, out of fold, with the vocabulary of the training folds."""
    texts = np.array([example.text for example in examples], dtype=object)
    scores = np.empty(shows.shape)
    for fold in np.unique(folds):
        train, test = folds != fold, folds == fold
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORDS, sublinear_tf=True).fit(texts[train])
        _fit_fold(
            lambda: LogisticRegression(C=10, solver="liblinear"),
            words.transform(texts[train]),
            words.transform(texts[test]),
            shows,
            train,
            scores,
        )
    return scores


def position_scores(
    examples: Sequence[Example],
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    folds: Int[np.ndarray, " n_examples"],
    seed: int,
) -> Float[np.ndarray, "n_behaviours n_examples"]:
    """Score each span from its place and length in the response alone, out of fold."""
    places = _places(examples)
    scores = np.empty(shows.shape)
    with threadpool_limits(1):
        for fold in np.unique(folds):
            train, test = folds != fold, folds == fold
            _fit_fold(
                lambda: HistGradientBoostingClassifier(
                    max_iter=40, max_depth=3, learning_rate=0.1, min_samples_leaf=10, random_state=seed
                ),
                places[train],
                places[test],
                shows,
                train,
                scores,
            )
    return scores


def _fit_fold(
    make_classifier: Any,
    train_features: Any,
    test_features: Any,
    shows: Bool[np.ndarray, "n_behaviours n_examples"],
    train: Bool[np.ndarray, " n_examples"],
    scores: Float[np.ndarray, "n_behaviours n_examples"],
) -> None:
    for index, positive in enumerate(shows):
        classifier: _Classifier = make_classifier()
        classifier.fit(train_features, positive[train])
        scores[index, ~train] = classifier.decision_function(test_features)


def _places(examples: Sequence[Example]) -> Float[np.ndarray, "n_examples 4"]:
    starts: defaultdict[str, list[int]] = defaultdict(list)
    ends: defaultdict[str, int] = defaultdict(int)
    for example in examples:
        starts[example.trace].append(example.start)
        ends[example.trace] = max(ends[example.trace], example.end)
    return np.array(
        [
            [
                example.start,
                example.start / ends[example.trace],
                sum(start < example.start for start in starts[example.trace]),
                example.end - example.start,
            ]
            for example in examples
        ],
        dtype=np.float64,
    )
