from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from reasonlens.probes.metrics import rank_wins, simultaneous_band


@pytest.mark.parametrize("digits", [1, 6], ids=["with ties", "without"])
def test_ranks_give_scikit_learns_auroc_for_every_column(digits: int) -> None:
    generator = np.random.default_rng(0)
    scores, positive = np.round(generator.normal(size=(5, 80)), digits), generator.random((5, 80)) < 0.3
    wins, pairs = rank_wins(torch.from_numpy(scores), torch.from_numpy(positive))
    expected = [roc_auc_score(up, row) for up, row in zip(positive, scores, strict=True)]
    np.testing.assert_allclose(wins / pairs, expected, atol=1e-12)


def test_a_column_of_one_class_has_no_pairs() -> None:
    wins, pairs = rank_wins(torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool))
    assert (float(wins), float(pairs)) == (0.0, 0.0)


def test_the_band_covers_all_layers_at_once_where_pointwise_intervals_do_not() -> None:
    """Twenty layers of independent normal estimates: the band holds all truths in about 95%, intervals in about 36%."""
    generator = np.random.default_rng(0)
    held = pointwise = 0
    for _ in range(400):
        values = 0.7 + 0.02 * generator.normal(size=20)
        draws = values[:, None] + 0.02 * generator.normal(size=(20, 500))
        band = simultaneous_band(values, draws)
        held += all(each.low <= 0.7 <= each.high for each in band)
        low, high = np.quantile(draws, [0.025, 0.975], axis=1)
        pointwise += bool(((low <= 0.7) & (high >= 0.7)).all())
    assert 0.91 <= held / 400 <= 0.98 and pointwise / 400 < 0.5


def test_a_layer_that_never_varies_has_no_band() -> None:
    band = simultaneous_band(np.array([1.0, 0.6]), np.stack([np.ones(50), np.linspace(0.5, 0.7, 50)]))
    assert np.isnan(band[0].low) and band[1].low < 0.6 < band[1].high
