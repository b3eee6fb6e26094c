"""The plan of the family, by calculation: accuracies of the bases, their gaps and shares of timing."""

from __future__ import annotations

from itertools import islice

import pytest

from reasonlens.organisms.policy import IDEAL, Writer
from reasonlens.organisms.simulation import plan, simulate
from reasonlens.organisms.task import problems
from reasonlens.organisms.training import BASES, GRADED

ASKED = list(islice(problems("test", 1), 500))


@pytest.mark.long
def test_nine_bases_are_planned_from_timing_alone_to_skill_alone() -> None:
    planned = {name: plan(ASKED, BASES[f"base-{name}"]) for name in GRADED}
    shares = [pair.timing_share for pair in planned.values()]
    assert shares[0] == pytest.approx(1.0)
    assert shares[-1] < 0.15
    assert all(first > second - 0.06 for first, second in zip(shares, shares[1:], strict=False))
    assert all(0.09 < pair.base.accuracy < 0.36 for pair in planned.values())
    assert all(pair.gap > 0.4 for pair in planned.values())


def test_right_words_make_process_and_outcome_one() -> None:
    ideal = simulate(ASKED, Writer(IDEAL))
    assert ideal.accuracy == ideal.process_accuracy > 0.75
    weak = simulate(ASKED, Writer(IDEAL, 0.6))
    assert weak.process_accuracy < weak.accuracy < 0.5
