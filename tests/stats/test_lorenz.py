"""Lorenz curve, Gini and top shares against definitions by brute force and closed forms; coverage by simulation."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from reasonlens.stats import lorenz_over_groups

AT = (0.0, 0.1, 0.5, 0.9, 1.0)


def gini_of_pairs(values: np.ndarray) -> float:
    """The mean absolute difference of all pairs, over twice the mean."""
    return float(np.abs(values[:, None] - values[None]).mean() / (2 * values.mean()))


def test_the_gini_is_the_mean_difference_of_all_pairs_over_twice_the_mean() -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 7, 60):
        values = random.random(n) ** 3
        assert lorenz_over_groups(values).gini.value == pytest.approx(gini_of_pairs(values))


def test_the_curve_is_the_sum_of_the_least_over_the_sum_of_all() -> None:
    values = np.random.default_rng(1).exponential(size=50)
    lorenz = lorenz_over_groups(values, at=AT, top=(0.1, 0.5))
    ordered = np.sort(values)
    assert [one.value for one in lorenz.curve] == pytest.approx(
        [ordered[: round(share * 50)].sum() / values.sum() for share in AT]
    )
    assert [one.value for one in lorenz.top] == pytest.approx(
        [ordered[45:].sum() / values.sum(), ordered[25:].sum() / values.sum()]
    )


def test_values_that_are_alike_have_a_gini_of_0_and_one_that_holds_all_has_1_less_1_over_n() -> None:
    alike = lorenz_over_groups(np.full(20, 0.3), at=AT)
    assert alike.gini.value == pytest.approx(0) and [one.value for one in alike.curve] == pytest.approx(AT)
    one = lorenz_over_groups(np.array([0.0] * 19 + [2.0]), top=(0.05,))
    assert one.gini.value == pytest.approx(0.95) and one.top[0].value == pytest.approx(1)


def test_exponential_values_have_a_gini_of_a_half_and_the_curve_of_their_closed_form() -> None:
    lorenz = lorenz_over_groups(np.random.default_rng(2).exponential(size=20_000), at=(0.5, 0.9), n_resamples=50)
    assert lorenz.gini.value == pytest.approx(0.5, abs=0.01)
    for share, held in zip((0.5, 0.9), lorenz.curve, strict=True):
        assert held.value == pytest.approx(share + (1 - share) * np.log(1 - share), abs=0.01)


def test_a_resample_weighs_values_as_often_as_their_group_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups = np.array([0.1, 0.9, 0.4, 0.2, 0.6]), ["a", "a", "b", "c", "c"]
    counts = np.array([[2.0, 0.0, 1.0]])
    monkeypatch.setattr("reasonlens.stats.lorenz.bootstrap_counts", lambda *_: counts)
    lorenz = lorenz_over_groups(values, groups, at=(0.5,), top=(0.2,))
    monkeypatch.undo()
    drawn = np.array([0.1, 0.1, 0.9, 0.9, 0.2, 0.6])
    assert lorenz.gini.low == lorenz.gini.high == pytest.approx(gini_of_pairs(drawn))
    by_hand = lorenz_over_groups(drawn, at=(0.5,), top=(0.2,))
    assert lorenz.curve[0].low == pytest.approx(by_hand.curve[0].value)
    assert lorenz.top[0].high == pytest.approx(by_hand.top[0].value)


def test_nothing_to_share_out_and_one_group_leave_ends_unknown() -> None:
    nothing = lorenz_over_groups(np.zeros(4), at=(0.5,), top=(0.1,))
    assert isnan(nothing.gini.value) and isnan(nothing.curve[0].value) and isnan(nothing.top[0].value)
    single = lorenz_over_groups(np.array([1.0, 2.0]), ["a", "a"])
    assert single.gini.value == pytest.approx(1 / 6) and isnan(single.gini.low)
    for values in ([], [-0.1, 1.0], [float("nan")]):
        with pytest.raises(ValueError, match="none of them negative"):
            lorenz_over_groups(np.array(values))
    with pytest.raises(ValueError, match="2 and 1 of them"):
        lorenz_over_groups(np.array([1.0, 2.0]), ["a"])


def test_intervals_of_the_gini_hold_the_truth_as_often_as_they_say() -> None:
    """60 problems of 12 positions; a problem's scale is its own, so that its positions are alike."""
    random = np.random.default_rng(3)

    def sample(n: int) -> np.ndarray:
        return np.exp(0.5 * random.normal(size=(n, 1))) * random.exponential(size=(n, 12))

    truth = lorenz_over_groups(sample(20_000).ravel(), [0] * 240_000).gini.value
    groups = np.repeat(np.arange(60), 12)
    intervals = [lorenz_over_groups(sample(60).ravel(), groups, n_resamples=200, seed=n).gini for n in range(150)]
    covered = np.mean([one.low <= truth <= one.high for one in intervals])
    assert 0.85 <= covered <= 1.0
