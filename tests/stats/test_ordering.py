"""Pairs in the right order, counted by hand."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from scipy.stats import kendalltau

from reasonlens.stats import concordance


def test_it_is_the_share_of_concordant_pairs() -> None:
    rng = np.random.default_rng(0)
    truths, readings = rng.random(12), rng.random(12)
    share, n = concordance(truths.tolist(), readings.tolist())
    assert n == 66 and 2 * share - 1 == pytest.approx(kendalltau(truths, readings).statistic)


def test_pairs_of_about_one_truth_are_left_out_and_equal_readings_are_half_right() -> None:
    assert concordance([0.1, 0.15, 0.9], [0.5, 0.2, 0.6], margin=0.1) == (1.0, 2)
    assert concordance([0.1, 0.9], [0.5, 0.5]) == (0.5, 1)
    assert concordance([0.0, 0.5, 1.0], [1, 2, 3], margin=0.5) == (1.0, 1)
    share, n = concordance([0.1, 0.15], [0.5, 0.2], margin=0.1)
    assert isnan(share) and n == 0
    with pytest.raises(ValueError, match="2 truths and 1 readings"):
        concordance([0.1, 0.2], [0.1])
