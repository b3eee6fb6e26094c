"""Crossovers and sets of k: planted ones are found, sets hold the truth at their level, nothing is found in nothing."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest

from reasonlens import InputError
from reasonlens.pairs.passk import AttemptCurves, PasskSettings, passk
from reasonlens.pairs.passk.attempts import attempt_numbers, ranges
from reasonlens.pairs.passk.findings import crossover_text
from reasonlens.stats import Interval

from .results import crossing_rates, rows


def curves(differences: list[tuple[float, float, float]], points: list[float] | None = None) -> AttemptCurves:
    """Curves of which only the difference matters: value, low and high of its band, and the point's own lower ends."""
    band = tuple(Interval(value, low, high, 9) for value, low, high in differences)
    own = tuple(Interval(one.value, one.low if points is None else points[place]) for place, one in enumerate(band))
    nothing = tuple(Interval(nan) for _ in band)
    return AttemptCurves(
        k=(1, 2, 4, 8)[: len(band)],
        difference=own,
        difference_band=band,
        **dict.fromkeys(("base", "base_band", "thinking", "thinking_band", "base_all", "thinking_all"), nothing),
    )


def test_sets_of_k_follow_from_the_band_by_hand() -> None:
    crossing = curves([(0.3, 0.2, 0.4), (0.1, -0.1, 0.3), (-0.1, -0.3, 0.1), (-0.3, -0.5, -0.1)])
    assert (crossing.gain_k, crossing.undecided_k, crossing.loss_k) == ((1,), (2, 4), (8,))
    assert crossing.crossover == 4 and crossing.crossover_set == (2, 4, 8)
    assert not crossing.crossover_may_be_beyond
    assert crossover_text(crossing) == "at k = 4 (95%: 2–8)"
    narrower = curves([(0.3, 0.2, 0.4), (0.1, -0.1, 0.3), (-0.1, -0.3, 0.1)], points=[0.25, 0.01, -0.2])
    assert narrower.crossover_set == (4,) and narrower.crossover_may_be_beyond
    behind_at_once = curves([(-0.3, -0.4, -0.2), (0.0, -0.1, 0.1)])
    assert behind_at_once.crossover == 1 and behind_at_once.crossover_set == (1,)
    ahead = curves([(0.3, 0.2, 0.4), (0.2, 0.1, 0.3)])
    assert ahead.crossover is None and ahead.crossover_set == () and ahead.crossover_may_be_beyond
    assert crossover_text(ahead) == "at no k up to 2 (95%: beyond 2)"


def test_the_set_of_crossovers_holds_the_planted_one_and_the_crossing_is_found() -> None:
    """120 experiments of 100 problems; the truth is that of the rates of a million problems."""
    ks = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    base, thinking = crossing_rates(99, 1_000_000)
    difference = [((1 - base) ** k - (1 - thinking) ** k).mean() for k in ks]
    planted = next(k for k, value in zip(ks, difference, strict=True) if value <= 0)
    assert 4 < planted < 32
    settings = PasskSettings(ks=ks, n_resamples=300, taus=(0.5,))
    n_held = n_gains = n_size = 0
    estimates = []
    for seed in range(120):
        base, thinking = crossing_rates(seed, 100)
        result = passk(
            base_counts=rows(seed, base, 32), thinking_counts=rows(seed + 1000, thinking, 32), settings=settings
        ).curves
        n_held += planted in result.crossover_set
        n_size += len(result.crossover_set)
        n_gains += 1 in result.gain_k and 1 not in result.loss_k
        estimates.append(result.crossover or 64)
    assert n_held / 120 >= 0.91 and n_gains == 120
    assert n_size / 120 < 0.75 * len(ks)  # the set says something
    assert ks[ks.index(planted) - 2] <= np.median(estimates) <= ks[ks.index(planted) + 1]


def test_two_models_alike_are_seldom_told_apart() -> None:
    """100 experiments without a difference: some k is a gain or a loss in about 5%."""
    settings = PasskSettings(n_resamples=300, taus=(0.5,))
    n_found = 0
    for seed in range(100):
        generator = np.random.default_rng([seed, 2])
        one, other = generator.beta(0.8, 3, size=(2, 80))
        result = passk(base_counts=rows(seed, one), thinking_counts=rows(seed + 500, other), settings=settings).curves
        n_found += bool(result.gain_k or result.loss_k)
    assert n_found <= 12


def test_with_as_many_samples_as_there_are_the_curve_is_the_share_of_problems_with_a_right_one() -> None:
    base, thinking = crossing_rates(0, 50)
    counts = rows(0, base), rows(1, thinking)
    result = passk(base_counts=counts[0], thinking_counts=counts[1], settings=PasskSettings(n_resamples=200))
    assert result.curves.base[-1].value == pytest.approx(np.mean([row["c"] > 0 for row in counts[0]]))
    assert result.curves.thinking[0].value == pytest.approx(np.mean([row["c"] / 16 for row in counts[1]]))
    assert result.curves.thinking_all[-1].value == pytest.approx(np.mean([row["c"] == 16 for row in counts[1]]))
    assert result.curves.thinking_all[0].value == pytest.approx(result.curves.thinking[0].value)


def test_every_k_is_looked_at_and_beyond_256_those_that_are_2_percent_apart() -> None:
    assert attempt_numbers(5) == (1, 2, 3, 4, 5) and attempt_numbers(256) == tuple(range(1, 257))
    many = attempt_numbers(1024)
    assert many[:256] == tuple(range(1, 257)) and many[-1] == 1024 and len(many) < 340
    assert max(later / k for k, later in zip(many[255:], many[256:], strict=False)) < 1.025
    assert attempt_numbers(8, (8, 2, 2)) == (2, 8)
    with pytest.raises(
        InputError, match="k = 9 needs as many samples of every problem, and one has 8: choose k up to 8"
    ):
        attempt_numbers(8, (2, 9))


def test_numbers_of_samples_are_written_as_ranges_of_what_was_looked_at() -> None:
    assert ranges((1, 2, 4, 16), (1, 2, 4, 8, 16)) == "1–4, 16"
    assert ranges((), (1, 2)) == "none" and ranges((1, 2), (1, 2)) == "1–2"
