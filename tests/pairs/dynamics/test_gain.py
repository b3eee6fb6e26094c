"""The gain is split with no rest: by hand, at the ends, and in simulated trainings of which the parts are planted."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from reasonlens.pairs.dynamics.gain import gain_parts, split_gain, split_gain_open

from .results import step_counts


def test_the_parts_add_up_to_the_gain_whatever_the_counts() -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(1, 20, size=(2, 500)).astype(float)
    form = np.floor(rng.random((2, 500)) * (n + 1))
    right, out = np.floor(rng.random((2, 500)) * (form + 1)), np.floor(rng.random((2, 500)) * (n - form + 1))
    base, now = (np.stack([n[row], form[row], right[row], out[row]], axis=1) for row in (0, 1))
    of_form, beyond = gain_parts(base, now)
    gains = (right[1] + out[1]) / n[1] - (right[0] + out[0]) / n[0]
    assert of_form + beyond == pytest.approx(gains, abs=1e-12)
    assert (form == 0).any() and (form == n).any()


@pytest.mark.parametrize(
    ("base", "now", "of_form", "beyond"),
    [
        ((10, 4, 2, 0), (10, 8, 4, 0), 0.2, 0.0),  # half of those in form are right, before and after
        ((10, 5, 1, 0), (10, 5, 4, 0), 0.0, 0.3),  # as many in form
        ((10, 0, 0, 0), (10, 10, 5, 0), 0.5, 0.0),  # none in form before: nothing else is known to have changed
        ((10, 4, 2, 3), (10, 8, 4, 1), 0.0, 0.0),  # as often right in any form: the form is worth nothing
        ((10, 4, 1, 0), (10, 8, 6, 0), 0.2, 0.3),  # (.8 - .4) (.25 + .75) / 2, and (.75 - .25) (.4 + .8) / 2
    ],
)
def test_parts_are_those_by_hand(base: tuple, now: tuple, of_form: float, beyond: float) -> None:
    parts = gain_parts(np.array([base], dtype=float), np.array([now], dtype=float))
    assert [float(part[0]) for part in parts] == pytest.approx([of_form, beyond], abs=1e-12)


def test_planted_parts_are_covered_and_without_a_gain_there_is_no_share() -> None:
    rng, n_covered = np.random.default_rng(1), 0
    for number in range(60):
        base, now = step_counts(rng, 0.4, 0.3, n=60), step_counts(rng, 0.8, 0.5, n=60)
        split = split_gain(10.0, base, now, 200, seed=number)
        n_covered += split.form.low <= 0.16 <= split.form.high and split.beyond.low <= 0.12 <= split.beyond.high
        assert split.gain.value == pytest.approx(split.form.value + split.beyond.value)
        assert split.form_share.low < split.form_share.value < split.form_share.high
    assert n_covered >= 51
    level = split_gain(10.0, base, base, 200)
    assert (level.gain.value, level.form.value, level.beyond.value) == (0, 0, 0) and isnan(level.form_share.value)


def test_responses_that_were_cut_off_count_as_wrong_and_as_the_others_of_their_step() -> None:
    rng = np.random.default_rng(2)
    base, now = step_counts(rng, 0.5, 0.4, n=40), step_counts(rng, 0.8, 0.6, n=40)
    assert split_gain_open(10.0, base, now, 50) == ()
    n_open = np.minimum(base.n - base.right - (base.in_form - base.right_in_form), 2.0)
    cut = replace(base, cut=n_open, open=n_open)
    of_base, of_now, of_both = split_gain_open(10.0, cut, now, 50)
    assert of_now.gain.value == pytest.approx(now.right.sum() / now.n.sum() - base.right.sum() / base.n.sum())
    finished = base.right.sum() / (base.n - n_open).sum()
    assert of_base.gain.value == of_both.gain.value == pytest.approx(now.right.sum() / now.n.sum() - finished)
    assert (cut.settled.n == base.n - n_open).all() and (cut.settled.right == base.right).all()
    every = replace(base, right=0 * base.right, right_in_form=0 * base.right, cut=base.n, open=base.n)
    assert split_gain_open(10.0, every, now, 50) == ()  # nothing is known of a model that never ends
