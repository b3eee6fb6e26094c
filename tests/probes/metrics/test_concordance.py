from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from reasonlens.probes.metrics._concordance import (
    auroc,
    auroc_given_probes,
    concordance,
)
from reasonlens.stats import bootstrap_counts


def example(n: int = 300, n_problems: int = 30, shift: float = 1.0, seed: int = 0):
    generator = np.random.default_rng(seed)
    problems = generator.integers(n_problems, size=n)
    positive = generator.random(n) < 0.3
    scores = generator.normal(size=n) + shift * positive
    return np.round(scores, 1), positive, problems, problems % 5  # rounded: ties occur


def test_one_fold_gives_scikit_learns_auroc_with_ties() -> None:
    scores, positive, problems, _ = example()
    found = auroc(concordance(scores, positive, problems, np.zeros_like(problems)))
    assert found == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)


def test_several_folds_give_the_pair_weighted_mean_of_their_aurocs() -> None:
    scores, positive, problems, folds = example()
    parts = [
        (folds == fold, (positive & (folds == fold)).sum() * (~positive & (folds == fold)).sum()) for fold in range(5)
    ]
    expected = sum(n * roc_auc_score(positive[at], scores[at]) for at, n in parts) / sum(n for _, n in parts)
    assert auroc(concordance(scores, positive, problems, folds)) == pytest.approx(expected, abs=1e-12)


def test_a_shift_of_one_folds_scores_changes_nothing() -> None:
    scores, positive, problems, folds = example()
    shifted = scores + 100 * (folds == 2)
    assert auroc(concordance(shifted, positive, problems, folds)) == auroc(
        concordance(scores, positive, problems, folds)
    )


def test_the_bootstrap_equals_recounting_each_resample_by_hand() -> None:
    scores, positive, problems, folds = example(n=120, n_problems=12)
    counts = bootstrap_counts(12, 40, seed=3)
    by_hand = []
    for count in counts:
        wins = pairs = 0.0
        for fold in range(5):
            rows = np.concatenate(
                [np.repeat(np.flatnonzero((problems == p) & (folds == fold)), int(count[p])) for p in range(12)]
            )
            up, down = scores[rows][positive[rows]], scores[rows][~positive[rows]]
            wins += ((up[:, None] > down) + 0.5 * (up[:, None] == down)).sum()
            pairs += len(up) * len(down)
        by_hand.append(wins / pairs)
    found = auroc_given_probes(concordance(scores, positive, problems, folds), counts)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])), abs=1e-12)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # Two normals one apart: the true AUROC is Phi(1 / sqrt(2)) = 0.7602.
    covered = 0
    for seed in range(200):
        scores, positive, problems, _ = example(n=200, n_problems=40, seed=seed)
        found = auroc_given_probes(
            concordance(scores, positive, problems, np.zeros_like(problems)), bootstrap_counts(40, 300, seed)
        )
        covered += found.low <= 0.7602 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_without_pairs_there_is_no_figure() -> None:
    scores, positive, problems, folds = example(n=20)
    found = auroc_given_probes(
        concordance(scores, np.zeros_like(positive), problems, folds), bootstrap_counts(30, 10, 0)
    )
    assert found.n == 0
    assert np.isnan([found.value, found.low, found.high]).all()
