"""Sentences, policy, steps and tables of organisms made of rules, whose habits and faults are planted."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from math import isnan

import numpy as np
import pandas as pd
import pytest

from reasonlens.organisms.corpus import encode_response
from reasonlens.organisms.evaluation._cross_play import Answers, answer
from reasonlens.organisms.evaluation.conduct import (
    behaviour_rates,
    decisions,
    off_grammar,
    step_accuracy,
    way_decisions,
)
from reasonlens.organisms.evaluation.sentences import sentence_table
from reasonlens.organisms.evaluation.tables import table_shares, tables_of
from reasonlens.organisms.labeller import read
from reasonlens.organisms.policy import IDEAL, Writer, mixed, write
from reasonlens.organisms.task import Problem, problems

from ..rules import RuleModel

ASKED = list(islice(problems("test", 0), 120))
POOR = mixed(0.4)


def written(writer: Writer, n_samples: int = 2) -> Answers:
    """Responses of a writer by rule, as sampling would return them."""
    generator = np.random.default_rng(0)
    asked = [problem for problem in ASKED for _ in range(n_samples)]
    words = [write(problem, writer, generator) for problem in asked]
    readings = tuple(read(problem, text) for problem, text in zip(asked, words, strict=True))
    responses = tuple(tuple(encode_response(text, is_ended=True)) for text in words)
    return Answers(tuple(ASKED), n_samples, responses, readings)


def sentences(answers: Answers) -> pd.DataFrame:
    return sentence_table(answers.problem_by_response, answers.responses, answers.readings)


@pytest.fixture(scope="module")
def poor() -> pd.DataFrame:
    return sentences(written(Writer(POOR, 0.7)))


def test_planted_habits_are_found_in_every_state(poor: pd.DataFrame) -> None:
    table = decisions(poor)
    n_outside = n_figures = 0
    for state, rates in POOR.moves.items():
        assert sum(figure.value for figure in table[state].values()) == pytest.approx(1.0)
        for move, rate in rates.items():
            if move in table[state] and 0.02 < rate < 0.98:
                n_figures += 1
                n_outside += not table[state][move].low <= rate <= table[state][move].high
    assert n_figures > 15
    assert n_outside <= 4  # of 95% intervals, few of them with many visits


def test_planted_ways_are_found_in_every_context(poor: pd.DataFrame) -> None:
    for context, figure in way_decisions(poor).items():
        assert abs(figure.value - POOR.hue[context]) < 0.08


def test_weak_symbols_alone_are_said_wrongly(poor: pd.DataFrame) -> None:
    steps = step_accuracy(poor)
    weak = steps.pop("try-hue-weak")
    assert weak.low < 0.7 < weak.high
    assert {figure.value for figure in steps.values()} == {1.0}
    assert {"try-hue-known", "try-form", "check", "accept", "plan", "restate"} <= set(steps)


def test_rates_of_behaviours_sum_to_one_where_all_is_of_the_language(poor: pd.DataFrame) -> None:
    assert sum(figure.value for figure in behaviour_rates(poor).values()) == pytest.approx(1.0)
    assert {figure.value for figure in off_grammar(poor).values()} == {0.0}


@pytest.mark.usefixtures("rule_decoder")
def test_sentences_off_the_grammar_are_counted_where_they_fail() -> None:
    garbling = replace(RuleModel(IDEAL), garbled=0.02)
    table = sentences(answer(garbling, ASKED[:40], 2, seed=0))
    rates = off_grammar(table)
    assert rates["opening"].value == 0.0
    assert rates["content"].low < 0.02 < rates["content"].high


def test_a_response_that_breaks_off_or_goes_on_after_its_answer_is_a_decision_of_its_own() -> None:
    problem = ASKED[0]
    words = write(problem, Writer(IDEAL), np.random.default_rng(0))
    texts = [words[:3], [*words, *words[:4]]]

    def last_moves(problem: Problem, text: list[str]) -> list[str]:
        return [*sentence_table([problem], [encode_response(text, is_ended=True)], [read(problem, text)])["move"]]

    assert "end" not in last_moves(problem, words)
    assert last_moves(problem, words[:4])[-1] == "end"
    assert last_moves(problem, texts[1])[-1] == "nonsense"


@pytest.mark.parametrize(("share", "weak_hue", "timing"), [(0.5, 1.0, 1.0), (0.0, 0.6, 0.0), (0.3, 0.8, None)])
def test_shares_by_tables_are_those_that_were_planted(share: float, weak_hue: float, timing: float | None) -> None:
    base, ideal = Writer(mixed(share), weak_hue), Writer(IDEAL)
    shares = table_shares(*(tables_of(sentences(written(writer))) for writer in (base, ideal)), ASKED)
    if timing is None:
        cells = [
            written(writer, 8).solved.mean() for writer in (base, Writer(IDEAL, weak_hue), Writer(mixed(share)), ideal)
        ]
        timing = (cells[1] - cells[0] + cells[3] - cells[2]) / 2 / (cells[3] - cells[0])
        assert 0.3 < timing < 0.7
    assert shares.gap.low > 0.2
    assert abs(shares.first.value - timing) < 0.1


def test_tables_of_one_model_against_itself_show_no_gap() -> None:
    tables = tables_of(sentences(written(Writer(POOR, 0.8))))
    shares = table_shares(tables, tables, ASKED)
    assert shares.gap.value == 0 and isnan(shares.first.value)
