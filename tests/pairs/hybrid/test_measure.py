"""The figures of an arm are those of the statistics, and a single problem has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonlens.pairs.hybrid.arm_run import ArmRun
from reasonlens.pairs.hybrid.measure import measure_arm
from reasonlens.pairs.hybrid.record import RowRecord
from reasonlens.rundir import InputError
from reasonlens.stats import accuracy_difference_over_groups, gap_recovered_over_groups, sign_flip_test_over_groups

RECORD = RowRecord(
    text="",
    tokens=(1, 2, 3, 4),
    base=(1, 1, 3, 4),
    thinking=(1, 2, 2, 2),
    base_likeliest=(1, 1, 3, 4),
    thinking_likeliest=(1, 2, 2, 2),
    gated=(False, True, True, True),
    behaviour=(-1, 0, 0, -1),
    strength=(0.0, 0.5, 0.0, 0.0),
    kl_nats=(0.0, 0.1, 0.0, 0.0),
    base_logprob=(0.0,) * 4,
    thinking_logprob=(0.0,) * 4,
    is_truncated=False,
)


def run(name: str, *solved: np.ndarray) -> ArmRun:
    return ArmRun(
        name=name,
        records=tuple((RECORD,) * len(of_seed) for of_seed in solved),
        is_solved=tuple(tuple(of_seed.tolist()) for of_seed in solved),
        answered_in_thoughts=tuple((False,) * len(of_seed) for of_seed in solved),
    )


def test_a_single_problem_is_refused_with_the_number_there_are() -> None:
    solved = np.ones(4, dtype=bool)
    runs = {name: run(name, solved) for name in ("base", "thinking", "hybrid")}
    with pytest.raises(InputError, match="an interval needs at least two problems, and there is 1"):
        measure_arm(runs["hybrid"], runs, ["p"] * 4)
    few = {name: run(name, solved[:1]) for name in ("base", "thinking", "hybrid")}
    with pytest.raises(InputError, match="an interval needs at least two problems, and there is 1"):
        measure_arm(few["hybrid"], few, ["p"])


def test_an_arm_of_several_seeds_is_compared_with_the_hybrid_and_the_ends_of_the_gap() -> None:
    random = np.random.default_rng(0)
    solved = {name: random.random(60) < share for name, share in (("base", 0.2), ("thinking", 0.9), ("hybrid", 0.7))}
    seeds = [random.random(60) < 0.3 for _ in range(3)]
    runs = {name: run(name, each) for name, each in solved.items()} | {"random-vectors": run("random-vectors", *seeds)}
    problems = [f"p{number // 2}" for number in range(60)]
    share = np.mean(seeds, axis=0)
    found = measure_arm(runs["random-vectors"], runs, problems)
    gap = gap_recovered_over_groups(solved["base"], solved["thinking"], share, problems).share
    behind = accuracy_difference_over_groups(solved["hybrid"], share, problems)
    assert (found.gap, found.gap_low, found.gap_high) == (gap.value, gap.low, gap.high)
    assert (found.behind, found.behind_low, found.behind_high) == (behind.value, behind.low, behind.high)
    assert (found.n, found.n_problems, found.n_seeds, found.role) == (60, 30, 3, "control")
    assert (found.steered, found.changed, found.tokens) == (0.75, 0.25, 4.0)
    assert found.effective == 0.5, "a gate that opens without a strength does nothing; one that takes the token does"
    assert found.p_value == sign_flip_test_over_groups(share, solved["base"], problems).p
    assert measure_arm(runs["thinking"], runs, problems).gap == 1.0


def test_p_counts_problems_and_all_seeds_and_not_the_questions_of_the_first() -> None:
    """Six problems of four like questions each, all better by one seed of two: as likely as six heads or six tails."""
    base, better = np.zeros(24, dtype=bool), np.ones(24, dtype=bool)
    runs = {name: run(name, base) for name in ("base", "thinking", "hybrid")}
    problems = [f"p{number // 4}" for number in range(24)]
    assert measure_arm(run("random-vectors", base, better), runs, problems).p_value == pytest.approx(2 / 2**6)
    assert measure_arm(run("random-vectors", base, base), runs, problems).p_value == 1.0
    by_question = [f"p{number}" for number in range(24)]
    assert measure_arm(run("hybrid", better), runs, by_question).p_value == pytest.approx(2 / 2**24)  # McNemar's


def test_what_is_unsure_is_not_counted_as_right_and_its_share_stands_beside() -> None:
    solved = np.array([True, False] * 10)
    runs = {name: run(name, solved) for name in ("base", "thinking", "hybrid")}
    unsure = tuple(None if number < 5 else bool(right) for number, right in enumerate(solved))
    doubtful = replace(runs["base"], is_solved=(unsure,), answered_in_thoughts=((True,) * 2 + (False,) * 18,))
    measured = measure_arm(doubtful, runs | {"base": doubtful}, [f"p{number}" for number in range(20)])
    assert measured.accuracy == pytest.approx(7 / 20)
    assert measured.unsure == pytest.approx(5 / 20) and measured.answered_in_thoughts == pytest.approx(2 / 20)
    assert measured.accuracy_bounds == pytest.approx((7 / 20, 12 / 20))
