"""The course of a training on one example, planted in organisms of rules: when it is memorised, and what follows."""

from __future__ import annotations

from itertools import islice

import pytest

from reasonlens.organisms.evaluation.memorising import memorised_from, memorising
from reasonlens.organisms.policy import mixed
from reasonlens.organisms.task import problems

from ..rules import RuleModel

STEPS = (0, 5, 10, 15, 20)


@pytest.mark.usefixtures("rule_decoder")
def test_a_jump_is_found_where_it_was_planted_and_a_memorised_example_from_there_on() -> None:
    example, tests = next(problems("test", 0, "hue")), list(islice(problems("test", 0), 40))
    shares = dict(zip(STEPS, (0.6, 0.6, 0.0, 0.0, 0.0), strict=True))
    found = memorising(lambda step: RuleModel(mixed(shares[step])), STEPS, example, tests, n_samples=2)  # type: ignore[arg-type,return-value]
    assert found.change_point.value == 7.5 and (found.change_point.low, found.change_point.high) == (7.5, 7.5)
    assert found.tests[0].value < 0.4 < 0.7 < found.tests[-1].value
    assert found.example[0] < 0.5
    assert found.example[2:] == (1.0, 1.0, 1.0) and found.memorised == 10
    assert found.gain_after is not None and found.gain_after.value == 0


def test_an_example_is_memorised_once_it_stays_solved() -> None:
    assert memorised_from([0.1, 0.95, 0.5, 0.92, 1.0]) == 3
    assert memorised_from([0.1, 0.95, 0.5]) is None
    assert memorised_from([1.0, 1.0]) == 0
