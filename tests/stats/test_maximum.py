"""Bands and p-values for many layers at once."""

from __future__ import annotations

import numpy as np

from reasonlens.stats import corrected_p_values, simultaneous_band


def test_the_band_covers_all_layers_at_once_where_pointwise_intervals_do_not() -> None:
    """Twenty layers of independent normal estimates: the band holds all truths in about 95%, intervals in about 36%."""
    generator = np.random.default_rng(0)
    held = pointwise = 0
    for _ in range(400):
        values = 0.7 + 0.02 * generator.normal(size=20)
        draws = values[:, None] + 0.02 * generator.normal(size=(20, 500))
        band = simultaneous_band(values, draws, n=1)
        held += all(each.low <= 0.7 <= each.high for each in band)
        low, high = np.quantile(draws, [0.025, 0.975], axis=1)
        pointwise += bool(((low <= 0.7) & (high >= 0.7)).all())
    assert 0.91 <= held / 400 <= 0.98 and pointwise / 400 < 0.5


def test_a_layer_that_never_varies_has_no_band() -> None:
    band = simultaneous_band(np.array([1.0, 0.6]), np.stack([np.ones(50), np.linspace(0.5, 0.7, 50)]), n=9)
    assert np.isnan(band[0].low) and band[1].low < 0.6 < band[1].high
    assert [each.n for each in band] == [9, 9]


def test_the_band_is_cut_where_the_figure_ends_and_drops_resamples_without_a_figure() -> None:
    values, draws = np.array([0.98, 0.6]), np.stack([np.linspace(0.9, 1.0, 60), np.linspace(0.5, 0.7, 60)])
    free, cut = simultaneous_band(values, draws, 9), simultaneous_band(values, draws, 9, bounds=(0.0, 1.0))
    assert free[0].high > 1 and cut[0].high == 1 and cut[0].low == free[0].low and cut[1] == free[1]
    with_gap = np.concatenate([draws, np.full((2, 5), np.nan)], axis=1)
    assert simultaneous_band(values, with_gap, 9) == free
    none = simultaneous_band(values, np.full((2, 5), np.nan), 9)
    assert all(np.isnan(each.low) and each.value == value for each, value in zip(none, values, strict=True))


def test_p_values_are_corrected_by_the_highest_of_all_layers() -> None:
    # Worked by hand: the highest of each permutation are 0.6, 0.7, 0.8.
    permuted = np.array([[0.6, 0.5, 0.8], [0.5, 0.7, 0.4]])
    np.testing.assert_allclose(corrected_p_values(np.array([0.75, 0.55]), permuted), [2 / 4, 4 / 4])
    assert corrected_p_values(np.array([0.9, np.nan]), permuted).tolist() == [1 / 4, 1.0]


def test_some_layer_is_significant_in_no_more_than_5_of_100_experiments_without_an_effect() -> None:
    """Twelve layers that share half their variance; uncorrected, some layer would be in about a third."""
    generator = np.random.default_rng(0)
    shared = generator.normal(size=(2000, 1, 100))
    figures = shared + generator.normal(size=(2000, 12, 100))
    corrected = np.array([corrected_p_values(each[:, 0], each[:, 1:]).min() for each in figures])
    plain = (1 + (figures[:, :, 1:] >= figures[:, :, :1]).sum(axis=2)) / 100
    assert 0.03 <= np.mean(corrected <= 0.05) <= 0.06
    assert np.mean(plain.min(axis=1) <= 0.05) > 0.2
