"""Holm's correction, by hand and in families without an effect."""

from __future__ import annotations

import numpy as np

from reasonlens.stats import holm


def test_p_values_are_stepped_down_by_hand() -> None:
    # 0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 and 0.9 x 1.
    np.testing.assert_allclose(holm(np.array([0.9, 0.01, 0.03, 0.02])), [0.9, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.5])), [1.0, 1.0])
    assert holm(np.array([])).tolist() == []


def test_some_false_positive_is_in_no_more_than_5_of_100_families() -> None:
    families = np.random.default_rng(0).random((2000, 10))
    assert 0.035 <= np.mean([holm(family).min() < 0.05 for family in families]) <= 0.06
    assert np.mean(families.min(axis=1) < 0.05) > 0.3
