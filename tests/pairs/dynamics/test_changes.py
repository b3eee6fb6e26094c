"""Changes, collapse and memorisation: planted, absent, and against loops by hand."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from reasonlens.pairs.dynamics.changes import NONE, changes_of_series, changes_of_shares
from reasonlens.pairs.dynamics.collapse import collapse_of, onsets
from reasonlens.pairs.dynamics.curve import ACCURACY, Shares
from reasonlens.pairs.dynamics.memorising import JUMP, MEMORISED, LateGain, late_gain, memorised_at
from reasonlens.stats import Interval, ratio_difference_over_groups

from .results import dynamics_result

STEPS = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]


def followed(rng: np.random.Generator, rates: list[float], name: str = ACCURACY, n: int = 80) -> Shares:
    ease = rng.beta(3, 3, n)
    right = rng.binomial(8, np.clip(2 * ease[:, None] * np.array(rates), 0, 1)).astype(float)
    return Shares(name, name, right, np.full_like(right, 8.0))


def test_a_planted_jump_is_placed_and_a_level_curve_and_the_control_are_not_called_changes() -> None:
    rng = np.random.default_rng(0)
    jump, level = followed(rng, [0.1] * 2 + [0.4] * 4), followed(rng, [0.3] * 6, "level")
    (change, none) = changes_of_shares([jump, level], STEPS, n_resamples=200)
    assert (change.at.value, change.first, change.last, change.shape) == (15, 10, 20, "jump")
    assert change.before == pytest.approx(0.1, abs=0.04) and change.after == pytest.approx(0.4, abs=0.04)
    assert change.p_corrected == pytest.approx(2 * change.p) and change.is_shown
    assert change.control_p > 0.05 and change.control.high - change.control.low > 20
    assert none.shape == NONE and not none.is_shown and none.at.high - none.at.low > 20


def test_series_alone_change_where_planted() -> None:
    rng = np.random.default_rng(1)
    series = np.where(np.arange(26) < 9, 3.0, 5.0) + 0.4 * rng.normal(size=26)
    steps = [10.0 * number for number in range(26)]
    change, level = changes_of_series([("a", "a", series), ("b", "b", rng.normal(size=26))], steps, n_resamples=300)
    assert change.at.low <= 85 <= change.at.high and change.shape == "jump" and not level.is_shown


def test_a_curve_with_a_gap_changes_nowhere() -> None:
    right = np.ones((20, 6))
    below = np.where(np.arange(6) == 3, 0.0, 2.0) * np.ones((20, 1))
    (change,) = changes_of_shares([Shares("a", "a", right * (below > 0), below)], STEPS, n_resamples=100)
    assert isnan(change.at.value) and not change.is_shown and isnan(change.before)


def test_onsets_are_those_of_a_loop() -> None:
    rows = np.random.default_rng(2).random((200, 6)) < 0.7
    for row, onset in zip(rows, onsets(rows, STEPS), strict=True):
        tails = [step for place, step in enumerate(STEPS) if row[place:].all()]
        assert onset == (tails[0] if tails else np.inf)


def test_a_planted_collapse_is_found_and_none_where_both_rise() -> None:
    rng = np.random.default_rng(3)
    once = np.clip(0.2 + 0.08 * np.arange(6) + 0.05 * rng.normal(size=(150, 6)), 0, 1)
    kept = rng.random((150, 1)) < np.array([0.9, 0.9, 0.9, 0.6, 0.6, 0.6])
    collapse, (first, many) = collapse_of(once, kept.astype(float), 8, STEPS, None, n_resamples=200)
    assert collapse.onset.low <= 30 <= collapse.onset.high and collapse.sure_from == 30 and collapse.share > 0.99
    assert first.values[3].value == pytest.approx(once[:, 3].mean()) and many.differences[3].high < 0
    assert (many.differences[0].low, many.differences[0].high) == (0, 0)
    collapse, _ = collapse_of(once, once, 8, STEPS, None, n_resamples=200)
    assert isnan(collapse.onset.value) and isnan(collapse.sure_from) and collapse.share == 0
    narrow = rng.random((150, 6)) < 0.9  # no change of pass@k at all
    collapse, _ = collapse_of(once, narrow.astype(float), 8, STEPS, None, n_resamples=200)
    assert isnan(collapse.sure_from)


def test_one_example_is_memorised_where_it_stays_right_with_an_interval_over_its_responses() -> None:
    rng = np.random.default_rng(4)
    draws = rng.random(64)  # the same at all steps
    right = [(draws < share).astype(float)[None] for share in (0.3, 0.96, 0.5, 0.92, 0.97, 1.0)]
    memorised = memorised_at(right, STEPS, 0.9, n_resamples=300)
    shares = [one.mean() for one in right]
    expected = next(step for place, step in enumerate(STEPS) if all(share >= 0.9 for share in shares[place:]))
    assert memorised.at.value == expected and memorised.at.low <= 30 <= memorised.at.high and memorised.at.n == 64
    never = memorised_at([one * 0.5 for one in right], STEPS, 0.9, n_resamples=100)
    assert isnan(never.at.value) and isnan(never.at.high)
    many = memorised_at([np.repeat(one, 5, axis=0) for one in right], STEPS, 0.9, n_resamples=100)
    assert many.at.n == 5 == many.n_problems and many.at.value == expected


def test_the_late_gain_is_counted_from_what_came_before() -> None:
    accuracy = followed(np.random.default_rng(5), [0.1, 0.1, 0.3, 0.3, 0.4, 0.45], n=200)
    mean = (accuracy.above / 8).mean(axis=0)
    memorised = memorised_at([np.ones((1, 8)) * (step >= 20) for step in STEPS], STEPS, 0.9, n_resamples=100)
    late = late_gain(accuracy, STEPS, memorised)
    assert late is not None and (late.since, late.after) == (20.0, MEMORISED)
    assert late.gain.value == pytest.approx(mean[-1] - mean[2]) and late.gain.low > 0 and late.gain.n == 200
    last = memorised_at([np.ones((1, 8)) * (step >= 50) for step in STEPS], STEPS, 0.9, n_resamples=100)
    assert late_gain(accuracy, STEPS, last) is None  # nothing was read after
    never = memorised_at([np.zeros((1, 8))] * 6, STEPS, 0.9, n_resamples=100)
    assert late_gain(accuracy, STEPS, never) is None and isnan(never.at.low)


def test_a_jump_is_placed_on_half_of_the_problems_and_the_gain_after_it_read_on_the_others() -> None:
    accuracy = followed(np.random.default_rng(6), [0.1] * 2 + [0.4] * 4, n=200)
    late = late_gain(accuracy, STEPS, None, n_resamples=100)
    assert late is not None and (late.since, late.after) == (20.0, JUMP) and late.gain.n == 100
    assert late.gain.low <= 0 <= late.gain.high
    is_measured = np.random.default_rng([0, 2]).permutation(200) % 2 == 0
    spoilt = accuracy.above.copy()
    spoilt[is_measured] = 8 - spoilt[is_measured]  # what is measured on chooses nothing
    after = late_gain(Shares(ACCURACY, ACCURACY, spoilt, accuracy.below), STEPS, None, n_resamples=100)
    assert after is not None and after.since == late.since
    assert after.gain.value == pytest.approx(-late.gain.value)
    level = followed(np.random.default_rng(7), [0.3] * 6, n=200)
    assert late_gain(level, STEPS, None, n_resamples=100) is None


def test_a_late_gain_is_said_of_the_problems_that_it_is_of() -> None:
    gain = Interval(0.1, 0.02, 0.2, 30)
    run = replace(next(iter(dynamics_result().runs.values())), memorised=None)
    halved, whole = (
        replace(run, late=LateGain(since=20.0, after=after, gain=gain)).sentences()[1] for after in (JUMP, MEMORISED)
    )
    assert halved == (
        "Of one half of the problems accuracy has jumped by step 20; that of the other half, 30 problems, gains "
        f"{gain} from step 20 to the last one. Where it jumped was not looked for in these."
    )
    assert whole == f"After that, from step 20 to the last one, test accuracy gains {gain}."


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_problems_are_halved_where_two_are_in_each_half_and_have_no_late_gain_else(n: int) -> None:
    above = np.repeat([[0.0, 0.0, 0.0, 8.0, 8.0, 8.0]], n, axis=0)
    late = late_gain(Shares(ACCURACY, ACCURACY, above, np.full((n, 6), 8.0)), STEPS, None, n_resamples=100)
    assert (late is None) == (n < 4)


@pytest.mark.long
def test_a_late_gain_of_nothing_is_none_on_average_and_not_what_the_choice_of_its_step_has_left() -> None:
    """Planted: a jump and nothing after it. Placed and measured on the same problems the gain is below 0 on average."""
    rng = np.random.default_rng(8)
    steps = [float(step) for step in range(10)]
    apart: list[Interval] = []
    together: list[Interval] = []
    for seed in range(150):
        accuracy = followed(rng, [0.15] * 4 + [0.25] * 6, n=60)
        late = late_gain(accuracy, steps, None, seed, n_resamples=200)
        apart += [] if late is None else [late.gain]
        (jump,) = changes_of_shares([accuracy], steps, seed, 200)
        if jump.shape == JUMP and jump.last < steps[-1]:
            place = steps.index(jump.last)
            columns = (accuracy.above[:, -1], accuracy.below[:, -1], accuracy.above[:, place], accuracy.below[:, place])
            together.append(ratio_difference_over_groups(*columns))
    assert len(apart) > 80 and np.mean([gain.low <= 0 <= gain.high for gain in apart]) >= 0.88
    values, biased = (np.array([gain.value for gain in gains]) for gains in (apart, together))
    assert abs(values.mean()) < 2 * values.std() / len(values) ** 0.5
    assert biased.mean() < -3 * biased.std() / len(biased) ** 0.5
