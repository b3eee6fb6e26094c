from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from reasonlens.rundir import InputError
from reasonlens.traces.agreement import agreement


def test_kappa_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    rule = rng.random(300) < 0.4
    judge = np.where(rng.random(300) < 0.15, ~rule, rule)
    found = agreement(rule.tolist(), judge.tolist())
    assert found.kappa == pytest.approx(cohen_kappa_score(rule, judge))
    assert found.kappa_low < found.kappa < found.kappa_high
    assert found.share == pytest.approx(np.mean(rule == judge)) and found.n == 300
    assert found.n_only_first == np.sum(rule & ~judge) and found.n_only_second == np.sum(~rule & judge)


def test_graders_that_have_nothing_to_do_with_each_other_agree_by_chance_alone() -> None:
    rng = np.random.default_rng(1)
    covered = [
        found.kappa_low <= 0 <= found.kappa_high
        for found in (agreement((rng.random(200) < 0.8).tolist(), (rng.random(200) < 0.8).tolist()) for _ in range(200))
    ]
    assert 0.9 <= np.mean(covered) <= 0.99


def test_what_one_would_not_grade_is_counted_apart() -> None:
    found = agreement([True, False, None, True], [True, False, True, None])
    assert (found.n, found.n_ungraded, found.share, found.kappa) == (2, 2, 1, 1)
    assert str(found).startswith("the same on 100.0% [34.2%, 100.0%], kappa 1.00")


def test_graders_that_always_say_yes_have_no_kappa() -> None:
    found = agreement([True] * 5, [True] * 5)
    assert found.share == 1 and math.isnan(found.kappa) and math.isnan(found.kappa_low)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["kappa"] is None


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="graded 1 and 2"):
        agreement([True], [True, False])
    with pytest.raises(InputError, match="none of 2 responses was graded by both"):
        agreement([True, None], [None, False])


def test_responses_to_one_problem_count_together() -> None:
    first, second = [True, True, False, True, False, True] * 5, [True, False, False, True, True, True] * 5
    problems = [f"p{number // 3}" for number in range(30)]
    alone = agreement([each for each in first for _ in range(4)], [each for each in second for _ in range(4)])
    four = agreement(
        [each for each in first for _ in range(4)],
        [each for each in second for _ in range(4)],
        [str(number) for number in range(30) for _ in range(4)],
    )
    once = agreement(first, second)
    assert four.share == once.share and abs(four.share_low - once.share_low) < 0.05
    assert four.kappa_low == pytest.approx(once.kappa_low, abs=0.1)
    assert alone.share_low > four.share_low and alone.kappa_low > four.kappa_low
    with pytest.raises(InputError, match="each response has one problem, and there are 30 and 2"):
        agreement(first, second, problems[:2])
