from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from reasonlens.probes.metrics import rank_wins


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
