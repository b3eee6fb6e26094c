"""Shares, gaps and groups against sums by hand."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from reasonlens.pairs.decisions.concentration import concentration_of
from reasonlens.pairs.decisions.places import ENTROPY
from reasonlens.pairs.decisions.swap_points import ALL, ENDS, SwapPoint, swap_points

from .made import answer, answers

BASE, THINKING = [1, 0, 0, 0, 0, 0, 0, 0] * 5, [1, 1, 1, 1, 1, 0, 0, 0] * 5
TESTED, RANDOM, EARLY = [1, 1, 1, 0, 0, 0, 0, 0] * 5, [1, 1, 0, 0, 0, 0, 0, 0] * 5, [0] * 40
PROBLEMS = [f"p{number}" for number in range(40)]


def points(writer: str) -> dict[tuple[str, float], SwapPoint]:
    arms = {
        (ENDS, 0.0): answers(BASE if writer == "base" else THINKING),
        ("divergence", 0.1): answers(TESTED, n_swapped=2, n_changed=2, in_top=(0, 1, 2), own_in_top=(1, 2, 2)),
        ("random", 0.1): answers(RANDOM, n_swapped=1),
        ("early", 0.1): answers(EARLY, n_swapped=1),
        (ENDS, ALL): answers(THINKING if writer == "base" else BASE, n_swapped=10),
    }
    some = swap_points(writer, arms, (answers(BASE), answers(THINKING)), PROBLEMS)
    return {(point.chooser, point.budget): point for point in some}


def test_gaps_recovered_and_lost_are_shares_between_the_ends() -> None:
    recovered, lost = points("base"), points("thinking")
    assert recovered[ENDS, 0.0].gap.value == lost[ENDS, 0.0].gap.value == 0
    assert recovered[ENDS, ALL].gap.value == lost[ENDS, ALL].gap.value == 1
    assert recovered["divergence", 0.1].gap.value == pytest.approx(2 / 4)
    assert lost["divergence", 0.1].gap.value == pytest.approx(2 / 4)
    assert recovered["early", 0.1].gap.value == pytest.approx(-1 / 4)
    assert lost["early", 0.1].gap.value == pytest.approx(5 / 4)


def test_the_excess_is_over_the_control_that_recovers_or_loses_most() -> None:
    recovered, lost = points("base"), points("thinking")
    assert recovered["divergence", 0.1].strongest == "random" and lost["divergence", 0.1].strongest == "early"
    assert recovered["divergence", 0.1].excess.value == pytest.approx(1 / 4)
    assert recovered["early", 0.1].excess.value == pytest.approx(3 / 4)
    assert lost["divergence", 0.1].excess.value == pytest.approx(-3 / 4)
    assert isnan(recovered[ENDS, ALL].excess.value)
    one = recovered["divergence", 0.1]
    assert one.excess.low < one.excess.value < one.excess.high and one.excess.n == 40


def test_swapped_changed_and_promoted_tokens_are_counted_over_all_tokens() -> None:
    point = points("base")["divergence", 0.1]
    assert point.swapped.value == point.changed.value == pytest.approx(0.2)
    assert [share.value for share in point.in_top] == [0, 0.5, 1]
    assert [share.value for share in point.own_in_top] == [0.5, 1, 1]
    assert all(isnan(share.value) for share in points("base")["random", 0.1].in_top)


def test_no_gap_leaves_shares_unknown() -> None:
    same = answers(BASE)
    (point,) = swap_points("base", {("divergence", 0.1): answers(TESTED)}, (same, same), PROBLEMS)
    assert isnan(point.gap.value) and isnan(point.excess.value) and point.strongest == ""


def test_groups_hold_their_part_of_the_divergence() -> None:
    random = np.random.default_rng(0)
    some, labels, nats = [], [], []
    for _ in range(12):
        n = int(random.integers(3, 9))
        js = tuple((random.random(n) ** 4 * 0.6).tolist())
        some.append(answer(n, js=js, kl_thinking_base=(1.0,) * n, kl_base_thinking=(2.0,) * n))
        labels += random.choice(["a", "b", "c"], size=n).tolist()
        nats += js
    values, names = np.array(nats), np.array(labels)
    measured = concentration_of("base", some, [f"p{number // 2}" for number in range(12)], {"kind": labels}, 0.01)
    assert measured.n_tokens == len(values) and measured.js.value == pytest.approx(values.mean()) and measured.js.n == 6
    assert measured.near_zero.value == pytest.approx((values < 0.01).mean())
    assert (measured.kl_thinking_base.value, measured.kl_base_thinking.value) == (pytest.approx(1), pytest.approx(2))
    top = np.sort(values)[::-1]
    n_top = 0.1 * len(values)
    whole = int(n_top)
    assert measured.top[2].value == pytest.approx((top[:whole].sum() + (n_top - whole) * top[whole]) / top.sum())
    for name in "abc":
        group = measured.group("kind", name)
        assert group.n_tokens == (names == name).sum()
        assert group.nats.value == pytest.approx(values[names == name].mean())
        assert group.lift.value == pytest.approx(values[names == name].mean() / values.mean())
        assert group.divergence_share.value == pytest.approx(values[names == name].sum() / values.sum())
        assert group.lift.low < group.lift.value < group.lift.high
    assert sum(group.divergence_share.value for group in measured.groups) == pytest.approx(1)


def test_models_that_never_diverge_have_no_gini_and_no_lift() -> None:
    some = [answer(4, js=(0.0,) * 4, kl_thinking_base=(0.0,) * 4, kl_base_thinking=(0.0,) * 4) for _ in range(3)]
    measured = concentration_of("base", some, ["a", "b", "c"], {ENTROPY: ["least entropy", "second fifth"] * 6}, 0.01)
    assert measured.near_zero.value == 1 and isnan(measured.gini.value) and isnan(measured.top[0].value)
    assert isnan(measured.groups[0].lift.value) and isnan(measured.groups[0].divergence_share.value)
