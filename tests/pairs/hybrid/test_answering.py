"""Answers of an arm: a response beyond the limit of its task is wrong, one that was cut off before it is cut off."""

from __future__ import annotations

from dataclasses import replace

from reasonlens.generation import Sampling
from reasonlens.pairs import organism_pair
from reasonlens.pairs.hybrid import HybridSettings
from reasonlens.pairs.hybrid._decode import Plan
from reasonlens.pairs.hybrid.answering import answer
from reasonlens.pairs.hybrid.arms import ARMS, BASE
from reasonlens.pairs.hybrid.experiment import Experiment
from reasonlens.pairs.hybrid.gate import never


def test_a_response_is_cut_off_only_below_the_limit_of_its_task() -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=4)
    settings = HybridSettings(layers=(1,), sampling=Sampling(n_samples=1, temperature=0, max_new_tokens=20))
    plan = Plan(gate=never, act="takeover")
    for limit, is_cut_off in ((None, True), (20, True), (19, False)):
        limited = replace(pair, limit_tokens=limit)
        records, grades = answer(Experiment.of(limited, settings), ARMS[BASE], plan, pair.test, range(4))
        assert [record.n_tokens for record in records] == [20] * 4
        assert [record.is_truncated for record in records] == [is_cut_off] * 4, limit
        assert not any(grade.is_solved for grade in grades)
