"""Shares from answers made by hand, and the scores of readings against a truth that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from reasonlens.generation import Sampling
from reasonlens.pairs import organism_pair
from reasonlens.pairs.exchange import Calibration, ExchangeSettings, PairExchange, cells, exchange
from reasonlens.pairs.exchange.calibration import CONSTANT
from reasonlens.pairs.exchange.cells import Answer
from reasonlens.pairs.exchange.voice import Voice
from reasonlens.rundir import InputError, RunDirectory
from tests.pairs.exchange.results import calibration

N = 60


def answers(solved: np.ndarray, *, n_led: int = 0) -> list[Answer]:
    return [
        Answer(
            text="",
            tokens=(),
            n_tokens=100,
            is_solved=bool(right),
            is_truncated=False,
            n_sentences=20,
            n_led=n_led,
            n_given_tokens=2 * n_led,
            n_plan_tokens=10,
        )
        for right in solved
    ]


def exchanged(*rates: float, control: float | None = None) -> PairExchange:
    """Of base, when, how and thinking: the first so many of each problem's ten responses are right."""
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=N)
    names = ("base", "when", "how", "thinking", *(() if control is None else ("other moments",)))
    cells = {
        name: answers(np.tile(np.arange(10) < 10 * rate, N), n_led=name == "when")
        for name, rate in zip(names, (*rates, *(() if control is None else (control,))), strict=True)
    }
    return PairExchange.of(pair, cells)


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((0.1, 0.7, 0.1, 0.7), 1.0),
        ((0.1, 0.1, 0.7, 0.7), 0.0),
        ((0.1, 0.3, 0.3, 0.7), 0.5),
        ((0.2, 0.8, 0.4, 0.6), 1.0),
    ],
)
def test_the_share_follows_from_the_four_accuracies(rates: tuple[float, ...], expected: float) -> None:
    pair = exchanged(*rates)
    assert pair.when_share.value == pytest.approx(expected) == 1 - pair.how_share.value
    assert pair.when_share.n == N and pair.gap.value == pytest.approx(rates[3] - rates[0])
    assert (
        pair.cells["when"].led == 0.05 and pair.cells["when"].led_tokens == 0.02 and pair.cells["base"].led_tokens == 0
    )
    assert pair.control_share is None


def test_a_control_recovers_its_gain_over_the_base() -> None:
    pair = exchanged(0.2, 0.6, 0.2, 0.6, control=0.3)
    assert pair.control_share is not None and pair.control_share.value == pytest.approx(0.25)


def test_without_a_gap_there_is_no_share_and_no_control_either() -> None:
    assert isnan(exchanged(0.3, 0.5, 0.2, 0.3).when_share.value)
    pair = exchanged(0.3, 0.5, 0.2, 0.3, control=0.1)
    assert pair.control_share is not None and isnan(pair.control_share.value)


def test_a_prompt_that_opens_thoughts_is_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasonlens.pairs.exchange.voice.thought_openers", lambda model, prompts: ["<think>"])
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=2)
    with pytest.raises(InputError, match="the prompt of organism/base-timing opens thoughts"):
        exchange(pairs=[pair], progress=False)


def test_plans_that_no_sentence_is_are_named(caplog: pytest.LogCaptureFixture) -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=2)
    sampling = Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=30)
    settings = ExchangeSettings(plans=("subgoal-seting",), sampling=sampling, has_controls=False)
    with caplog.at_level("WARNING", logger="reasonlens"):
        exchange(pairs=[pair], settings=settings, progress=False)
    assert "rl-timing: no sentence is a plan (subgoal-seting)" in caplog.text
    caplog.clear()
    with caplog.at_level("WARNING", logger="reasonlens"):
        exchange(pairs=[pair], settings=replace(settings, plans=("subgoal-setting",)), progress=False)
    assert not caplog.text


def test_errors_and_order_are_those_of_a_count_by_hand() -> None:
    result = calibration()
    assert result.mean_abs_error() == pytest.approx((0.05 + 0.1 + 0.05) / 3)
    assert result.concordance() == (1.0, 3)
    assert result.mean_abs_error("words") == pytest.approx((0.65 + 0.1) / 2) and result.concordance("words") == (1.0, 1)
    assert result.mean_abs_error(CONSTANT) == pytest.approx((0.45 + 0 + 0.4) / 3)
    assert result.concordance(CONSTANT) == (0.5, 3)
    assert list(result.scores()["reading"]) == ["when-share", "words", CONSTANT]
    of_words = result.excess("words")
    assert of_words.value == pytest.approx((0.6 + 0.05) / 2), "on the two pairs that have both readings"
    assert of_words.low <= of_words.value <= of_words.high and result.excess(CONSTANT).value == pytest.approx(0.65 / 3)
    content = result.to_dict()
    assert content["pairs"]["both"]["truth"] == 0.5 and content["pairs"]["both"]["when_share"] == 0.6
    assert content["n_pairs"] == 3 and content["mean_abs_error"] == result.mean_abs_error()


def test_a_pair_without_a_reading_is_left_out_of_the_scores() -> None:
    pairs = dict(calibration().pairs)
    none = exchanged(0.3, 0.5, 0.2, 0.3).when_share
    pairs["both"] = replace(pairs["both"], readings={"when-share": none})
    result = Calibration(pairs=pairs, settings=ExchangeSettings())
    assert result.mean_abs_error() == pytest.approx(0.05) and result.concordance() == (1.0, 1)


def test_models_alone_answer_more_often_and_the_control_shuffles_their_first_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=3)
    sampling = Sampling(n_samples=2, temperature=1.0, top_p=1.0, max_new_tokens=8)
    shuffled: dict[int, tuple[int, ...]] = {}
    in_random_order = cells._in_random_order

    def recorded(tokens: Sequence[int], voice: Voice, seed: int, number: int) -> list[list[int]]:
        shuffled[number] = tuple(tokens)
        return in_random_order(tokens, voice, seed, number)

    monkeypatch.setattr(cells, "_in_random_order", recorded)
    settings = ExchangeSettings(sampling=sampling, n_alone=3, n_test=3)
    answers = cells.run_cells(pair, settings, RunDirectory(None, "exchange"), progress=False)
    assert {name: len(some) for name, some in answers.items()} == {
        **{"base": 18, "thinking": 18, "when": 6, "how": 6},
        **{"other moments": 6, "itself": 6},
    }
    # Of each question 6 answers stand side by side; the control has the first two.
    assert shuffled == {number: answers["thinking"][6 * (number // 2) + number % 2].tokens for number in range(6)}
    assert PairExchange.of(pair, answers).gap.n == 3


def test_a_pair_whose_interval_misses_the_truth_is_drawn_hollow() -> None:
    drawn = {trace.name: trace for trace in calibration().figure().data}
    missed = drawn["when-share: misses the truth"]
    assert list(missed.customdata) == ["both"] and missed.marker.symbol == "circle-open"
    assert (list(missed.x), list(missed.y)) == ([0.5], [0.6])
    assert list(drawn["when-share"].x) == [0.95, 0.1] and drawn["when-share"].marker.symbol == "circle"
