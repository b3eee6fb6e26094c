"""Votes, controls, spreads and sentences: planted gains are found, and what is only luck or cost is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reasonlens.pairs.elicit import ElicitFigures, TrainingCost
from reasonlens.pairs.elicit.answering import GradedAnswer, Preparation
from reasonlens.pairs.elicit.arms import ARMS
from reasonlens.pairs.elicit.cost import ResponseCost
from reasonlens.pairs.elicit.measure import ArmRecord, compare_arms, control_curve, majority, measure_arms
from reasonlens.pairs.elicit.off_task import loss_change, loss_off_task
from reasonlens.pairs.elicit.verdict_rules import elicit_verdict
from reasonlens.pairs.elicit.vote import ballot, elected
from reasonlens.stats import Interval
from reasonlens.traces.questions import Question

from .results import PLAIN, about, arm, comparison

N = 200
PROBLEMS = [f"p{number}" for number in range(N)]


def record(
    name: str,
    solved: np.ndarray,
    *,
    ballots: np.ndarray | None = None,
    flops: float = 100.0,
    worded: np.ndarray | None = None,
) -> ArmRecord:
    """An arm whose answers are right or wrong as planted: (questions, samples)."""

    def answer(is_right: bool, vote: str = "") -> GradedAnswer:
        cost = ResponseCost(
            calls=1, prompt_tokens=5, output_tokens=9, passes=9, prompt_flops=20.0, output_flops=flops - 20
        )
        return GradedAnswer(text="", ballot=vote, is_solved=bool(is_right), is_truncated=False, cost=cost)

    votes = np.full(solved.shape, "") if ballots is None else ballots
    worded = np.stack([solved[:, 0]] * 3, axis=1) if worded is None else worded
    return ArmRecord(
        arm=ARMS[name],
        preparation=Preparation(TrainingCost(), ""),
        needs_thinking=False,
        answers=[
            [answer(is_right, vote) for is_right, vote in zip(*row, strict=True)]
            for row in zip(solved, votes, strict=True)
        ],
        reworded=[[answer(is_right) for is_right in row] for row in worded],
        nats=np.linspace(5, 9, 8),
        n_tokens=np.full(8, 10.0),
    )


def rates(share: float, n_samples: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((N, n_samples)) < share


def test_the_commonest_answer_is_elected_and_of_equal_ones_the_first() -> None:
    assert elected(["3", "4", "4"]) == 1 and elected(["3", "4"]) == 0 and elected(["", "", "5"]) == 2
    assert elected(["", ""]) == 0


def test_ballots_are_the_same_for_the_same_answer_in_other_words() -> None:
    question = Question("p", "How many apples are there?", "12")
    same = {
        ballot(question, text, has_words=True)
        for text in ("The answer is 12.", "So there are 12 apples.", r"\boxed{12}")
    }
    assert same == {"12"} and ballot(question, "The answer is 13.", has_words=True) == "13"
    assert ballot(question, "", has_words=True) == ""


def test_the_majority_of_planted_samples_is_found() -> None:
    solved = rates(0.6, 9, seed=1)
    ballots = np.where(solved, "right", "wrong")
    plain = record("plain", solved, ballots=ballots)
    expected = np.array([row[:5].sum() > 2 for row in solved])
    assert (majority(plain, 5) == expected).all() and majority(plain, 9).mean() > solved[:, 0].mean()
    curve = control_curve(plain, PROBLEMS)
    assert [point.n_samples for point in curve] == [1, 2, 4, 8, 9]
    assert [point.flops for point in curve] == [20 + 80 * n for n in (1, 2, 4, 8, 9)]
    assert curve[-1].accuracy.value == majority(plain, 9).mean()


def figures_of(records: list[ArmRecord]) -> dict[str, ElicitFigures]:
    return {one.arm: one for one in measure_arms({one.arm.name: one for one in records}, PROBLEMS)}


def test_an_arm_that_is_as_good_as_a_majority_of_its_cost_has_no_excess_but_a_gain() -> None:
    solved = rates(0.7, 9, seed=2)
    plain = record("plain", solved, ballots=np.where(solved, "right", "wrong"))
    arms = figures_of([plain, record("steering", majority(plain, 5)[:, None], flops=20 + 80 * 5)])
    assert arms["steering"].control == "majority of 5" and arms["steering"].is_matched
    assert arms["steering"].gain.low > 0 and arms["steering"].excess.value == 0
    assert arms["steering"].excess.low <= 0 and arms["plain"].excess.value == 0


def test_an_arm_that_costs_more_than_all_samples_is_not_matched() -> None:
    plain = record("plain", rates(0.3, 4, seed=3))
    arms = figures_of([plain, record("hybrid", rates(0.9, 1, seed=4), flops=5000)])
    assert not arms["hybrid"].is_matched and arms["hybrid"].excess_among.low > 0
    assert "fewer plain samples than it costs" in str(elicit_verdict(tuple(arms.values()), ()))


def test_the_step_by_step_prompt_is_a_control_where_it_costs_no_more() -> None:
    plain, steps = record("plain", rates(0.2, 4, seed=5)), record("step-by-step", rates(0.7, 1, seed=6))
    dear = record("cognitive-tools", rates(0.7, 1, seed=7), flops=300)
    cheap = record("steering", rates(0.7, 1, seed=8), flops=90)
    arms = figures_of([plain, steps, dear, cheap])
    assert arms["cognitive-tools"].control == "step-by-step" and arms["cognitive-tools"].excess.low < 0
    assert arms["steering"].control == "plain" and arms["steering"].excess.low > 0
    assert arms["step-by-step"].control == "plain"


@pytest.mark.long
def test_an_excess_of_nothing_is_rarely_sure_and_a_planted_one_is_covered() -> None:
    sure = covered = 0
    for seed in range(40):
        plain = record("plain", rates(0.4, 1, seed=100 + seed))
        null = figures_of([plain, record("steering", rates(0.4, 1, seed=200 + seed))])["steering"]
        sure += null.excess.low > 0
        better = figures_of([plain, record("steering", rates(0.6, 1, seed=300 + seed))])["steering"]
        covered += better.excess.low <= 0.2 <= better.excess.high
    assert sure <= 4 and covered >= 35


def test_a_spread_of_luck_is_that_of_shuffled_answers_and_a_planted_one_is_more() -> None:
    luck = rates(0.5, 4, seed=9)
    planted = np.concatenate([rates(0.8, 1, seed=10), rates(0.3, 3, seed=11)], axis=1)
    arms = figures_of([record("plain", luck[:, :1], worded=luck), record("steering", planted[:, :1], worded=planted)])
    assert arms["plain"].spread_p > 0.05
    assert arms["steering"].spread_p < 0.01 and arms["steering"].spread.low > arms["steering"].spread_shuffled
    assert arms["steering"].spread.value == pytest.approx(planted.mean(0).max() - planted.mean(0).min())


def test_arms_are_compared_problem_by_problem() -> None:
    better, worse = rates(0.8, 1, seed=12), rates(0.5, 1, seed=13)
    records = {
        "plain": record("plain", rates(0.2, 1, seed=14)),
        "steering": record("steering", better, flops=100),
        "one-example": record("one-example", worse, flops=130),
    }
    (row,) = compare_arms(records, PROBLEMS)
    assert (row.timing, row.weights) == ("steering", "one-example")
    assert row.accuracy.value == pytest.approx(better.mean() - worse.mean()) and row.accuracy.low > 0
    assert row.flops.value == pytest.approx(-30) and row.loss.value == 0


def test_a_loss_is_a_sum_over_tokens_less_the_bases_and_unknown_where_nothing_was_read() -> None:
    nats, n_tokens = np.array([2.0, 6.0, 4.0]), np.array([2.0, 4.0, 6.0])
    assert loss_off_task(nats, n_tokens).value == pytest.approx(1.0)
    assert loss_change(nats, n_tokens, nats / 2, n_tokens).value == pytest.approx(0.5)
    unread = loss_change(np.zeros(3), np.zeros(3), nats, n_tokens)
    assert np.isnan(unread.value) and np.isnan(loss_off_task(np.zeros(3), np.zeros(3)).value)


def test_nothing_is_concluded_without_an_arm_of_each_kind_above_its_control() -> None:
    weights = arm("one-example", "weights", 0.5, 0.2)
    timing = arm("steering", "timing", 0.5, 0.2)
    rows = (comparison("steering", "one-example"),)
    assert elicit_verdict((PLAIN, weights), ()).rule == "no-timing"
    assert elicit_verdict((PLAIN, timing), ()).rule == "no-weights"
    assert elicit_verdict((PLAIN, arm("steering", "timing", 0.5, 0.04), weights), rows).rule == "no-timing"
    cut = replace(timing, control_truncated=0.16)  # were they all right, the control would be as good
    verdict = elicit_verdict((PLAIN, cut, weights), rows)
    assert verdict.rule == "no-timing" and "cannot be concluded" in str(verdict) and "cut off" in str(verdict)


def test_costs_are_compared_only_where_accuracies_are() -> None:
    arms = (PLAIN, arm("steering", "timing", 0.5, 0.2), arm("one-example", "weights", 0.5, 0.2))
    less = elicit_verdict(arms, (comparison("steering", "one-example", accuracy=about(-0.2)),))
    unsure = elicit_verdict(arms, (comparison("steering", "one-example", accuracy=about(0.0, 0.06)),))
    assert (less.rule, unsure.rule) == ("less-gain", "unequal")
    assert all("cannot be concluded" in str(verdict) for verdict in (less, unsure))


def test_each_clause_is_decided_by_a_count_or_an_interval_or_not_at_all() -> None:
    timing = arm("steering", "timing", 0.5, 0.2, training=TrainingCost(n_problems=1, n_examples=9, flops=1e9))
    weights = arm("one-example", "weights", 0.5, 0.2)
    row = comparison("steering", "one-example", spread=about(-0.2))
    verdict = str(elicit_verdict((PLAIN, timing, weights), (row,)))
    assert "is cheaper to train: 1e+09 against 1e+12" in verdict and "is less hungry for data: 9 against 100" in verdict
    assert "is dearer a response" in verdict and "is less harmful off the task" in verdict
    assert "shuffled answers spread as much" in verdict  # the difference alone is not enough
    shown = replace(weights, spread_p=0.001)
    assert "is less dependent on wording" in str(elicit_verdict((PLAIN, timing, shown), (row,)))
    unknown = replace(weights, training=TrainingCost(n_problems=None, n_examples=None, flops=float("nan")))
    doubtful = str(
        elicit_verdict(
            (PLAIN, timing, unknown), (comparison("steering", "one-example", flops=about(0.0), loss=about(0.0)),)
        )
    )
    assert doubtful.count("cannot be concluded") == 5 and "since a count is not known" in doubtful


def test_the_training_of_a_thinking_model_counts_where_one_arm_alone_needs_it() -> None:
    def said(timing: ElicitFigures, weights: ElicitFigures, *others: ElicitFigures) -> str:
        row = comparison("steering", weights.arm)
        return str(elicit_verdict((PLAIN, timing, weights, *others), (row,)))

    timing = arm("steering", "timing", 0.5, 0.2)  # 1e12 FLOPs of its own, 100 examples
    needing = replace(timing, needs_thinking=True)
    thinking = arm("thinking", "weights", 0.5, 0.2, needs_thinking=True)  # 1e12 FLOPs
    shown = said(needing, thinking)
    assert "is dearer to train: 1e+12 against 0 FLOPs, beyond the thinking model that both need" in shown
    assert "is hungrier for data: 100 against 0 examples" in shown
    assert "is neither cheaper to train nor dearer to train" in said(timing, thinking)
    cheap = arm("one-example", "weights", 0.5, 0.2, training=TrainingCost(n_problems=1, n_examples=4, flops=1e9))
    assert "whether it is cheaper to train cannot be concluded" in said(needing, cheap)
    behind = replace(thinking, excess_among=about(0.0))  # known, and not compared
    assert "is dearer to train: 2e+12 against 1e+09 FLOPs;" in said(needing, cheap, behind)


def test_the_most_accurate_arm_of_each_kind_is_the_one_compared() -> None:
    arms = (
        PLAIN,
        arm("steering", "timing", 0.4, 0.2),
        arm("reward-vectors", "timing", 0.6, 0.3),
        arm("one-example", "weights", 0.6, 0.04),
        arm("thinking", "weights", 0.5, 0.2),
    )
    verdict = elicit_verdict(arms, (comparison("reward-vectors", "thinking", spread=Interval(float("nan"))),))
    assert verdict.rule == "compared" and "(reward-vectors)" in str(verdict) and "(thinking)" in str(verdict)
    assert "one wording was tried" in str(verdict)
