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
    figures = memorising(lambda step: RuleModel(mixed(shares[step])), STEPS, example, tests, n_samples=2)
    assert figures.change_point.value == 7.5 and (figures.change_point.low, figures.change_point.high) == (7.5, 7.5)
    assert figures.tests[0].value < 0.4 < 0.7 < figures.tests[-1].value
    assert figures.example[0] < 0.5
    assert figures.example[2:] == (1.0, 1.0, 1.0) and figures.memorised == 10
    assert figures.gain_after is not None and figures.gain_after.value == 0


@pytest.mark.usefixtures("rule_decoder")
def test_nothing_is_said_of_what_follows_when_nothing_was_read_after_it() -> None:
    example, tests = next(problems("test", 0, "hue")), list(islice(problems("test", 0), 4))
    shares = {0: 0.6, 5: 0.6, 10: 0.0}
    figures = memorising(lambda step: RuleModel(mixed(shares[step])), tuple(shares), example, tests, n_samples=1)
    assert figures.memorised == 10 and figures.gain_after is None


def test_an_example_is_memorised_once_it_stays_solved() -> None:
    assert memorised_from([0.1, 0.95, 0.5, 0.92, 1.0]) == 3
    assert memorised_from([0.1, 0.95, 0.5]) is None
    assert memorised_from([0.1, 0.89, 0.9]) == 2
    assert memorised_from([1.0, 1.0]) == 0
