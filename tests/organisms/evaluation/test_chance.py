"""Chance against exact rates, enumeration and plain sampling; splitting on an organism made of rules."""

from __future__ import annotations

from itertools import islice, product

import numpy as np
import pytest

from reasonlens.organisms.evaluation.chance import (
    BEST_RATES,
    GUESSERS,
    UNIFORM,
    ChanceCurve,
    exact_curves,
    known_order,
    order_success,
    rates_success,
)
from reasonlens.organisms.evaluation.guessing import guessing_success, random_words
from reasonlens.organisms.labeller import read
from reasonlens.organisms.language import ARGUMENTS, MOVES, Move
from reasonlens.organisms.machine import STATES, Machine
from reasonlens.organisms.policy import IDEAL, Habits, Writer, mixed, write
from reasonlens.organisms.task import MAX_RESPONSE_TOKENS, problems
from reasonlens.stats import Interval

from ..rules import RuleModel

SKILLED = RuleModel(IDEAL)


def test_the_rates_that_are_called_best_are_a_maximum() -> None:
    best = rates_success(BEST_RATES)
    for move in MOVES:
        changed = {other: rate * 0.97 for other, rate in BEST_RATES.items()}
        changed[move] = changed.get(move, 0.0) + 0.03
        assert rates_success(changed) < best * 1.005, move
    assert rates_success(dict.fromkeys(MOVES, 1 / 8)) < best / 100


def test_the_success_of_rates_is_that_of_responses_drawn_by_them() -> None:
    """A stand-in with targets known in advance: whatever is held is a target, so success is common enough to count."""
    generator, n_solved, n_drawn = np.random.default_rng(0), 0, 4000
    rates: dict[Move, float] = {"try": 0.6, "back": 0.05, "accept": 0.25, "answer": 0.1}
    problem = next(problems("test", 0))
    for _ in range(n_drawn):
        machine, n_words, n_held = Machine(problem), 0, 0
        while not machine.is_done:
            move = list(rates)[int(generator.choice(4, p=list(rates.values())))]
            content = machine.content(move)
            n_words += 3 + len(content)
            n_held += move == "accept" and machine.held is not None and machine.level < 5
            machine.advance(move, content)
        n_solved += n_words <= MAX_RESPONSE_TOKENS and n_held == 5 == machine.level
    expected = rates_success(rates) / UNIFORM
    assert abs(n_solved / n_drawn - expected) < 4 * (expected / n_drawn) ** 0.5


def test_a_guesser_that_keeps_to_the_order_accepts_each_candidate_alike() -> None:
    generator, counts = np.random.default_rng(1), np.zeros(6)
    for _ in range(600):
        history: list[Move] = []
        while not history or history[-1] != "answer":
            chances = known_order(history)
            history.append(list(chances)[int(generator.choice(len(chances), p=list(chances.values())))])
        levels = " ".join(history).split("plan")[1:]
        assert len(levels) == 5
        counts += np.bincount([level.split().count("try") - 1 for level in levels], minlength=6)
    assert counts.sum() == 3000
    assert ((counts - 500) ** 2 / 500).sum() < 20.5  # chi-squared of 5 degrees, p = .001


def test_few_responses_of_that_guesser_are_cut_by_the_limit() -> None:
    n_words = {move: 3 + len(ARGUMENTS[move]) for move in MOVES}
    n_level, n_drop = n_words["plan"] + n_words["try"] + n_words["accept"], n_words["back"] + n_words["try"]
    lengths = [5 * n_level + sum(drops) * n_drop + n_words["answer"] for drops in product(range(6), repeat=5)]
    assert order_success() == pytest.approx(UNIFORM * np.mean(np.array(lengths) <= MAX_RESPONSE_TOKENS))
    assert 0.9 < order_success() / UNIFORM < 1


def test_pass_at_k_is_that_of_independent_guesses_and_above_that_of_unlike_problems() -> None:
    curve = ChanceCurve("x", Interval(1e-3, 5e-4, 2e-3, 4))
    assert curve.pass_at(256).value == pytest.approx(1 - 0.999**256)
    assert curve.pass_at(1).high == pytest.approx(2e-3)
    unlike = np.array([4e-3, 0.0, 0.0, 0.0])
    assert np.mean(1 - (1 - unlike) ** 256) < curve.pass_at(256).value


def test_chance_of_guessers_with_right_words_is_below_a_twentieth() -> None:
    for curve in exact_curves():
        assert curve.pass_at(256).value < 0.033


@pytest.mark.usefixtures("rule_decoder")
def test_splitting_finds_the_exact_rate_of_rare_successes() -> None:
    success = guessing_success(SKILLED, GUESSERS["known-order"], n_islands=4, n_rows=60)
    assert success.low < order_success() < success.high
    assert 0.4 * UNIFORM < success.value < 2 * UNIFORM
    assert success.high - success.low < 0.3 * UNIFORM


@pytest.mark.usefixtures("rule_decoder")
def test_splitting_agrees_with_plain_sampling_where_success_is_not_rare() -> None:
    """Poor habits and half of the weak codes: texts written by rule, without rows and copies."""
    generator, habits = np.random.default_rng(2), mixed(0.5)
    asked = list(islice(problems("test", 0), 360))
    writer = Writer(habits, 0.5)
    plain = np.mean([read(problem, write(problem, writer, generator)).is_solved for problem in asked for _ in range(9)])
    success = guessing_success(RuleModel(habits, 0.5), n_islands=12, n_rows=60)
    assert 0.01 < plain < 0.1
    assert success.low < plain < success.high


def test_random_words_are_copied_rightly_and_looked_up_by_chance() -> None:
    generator, problem = np.random.default_rng(3), next(problems("test", 0, "hue"))
    machine = Machine(problem)
    machine.advance("plan", machine.content("plan"))
    said = [random_words(machine, "try", generator) for _ in range(800)]
    assert {symbol for symbol, *_ in said} == {problem.candidates[0][0]}
    assert abs(np.mean([content == machine.content("try") for content in said]) - 1 / 8) < 0.04
    assert all((hit == "hit") == (code == problem.goals[0]) for _, code, hit in said)
    machine.advance("try", machine.content("try"))
    tastes = [random_words(machine, "check", generator) for _ in range(800)]
    assert abs(np.mean([content == machine.content("check") for content in tastes]) - 1 / 4) < 0.05
    assert all((verdict == "wrong") == (taste == problem.bad) for taste, verdict in tastes)
    assert random_words(machine, "accept", generator) == machine.content("accept")


@pytest.mark.usefixtures("rule_decoder")
def test_what_is_never_solved_has_an_upper_end() -> None:
    never = Habits({state: {"doubt": 1.0} for state in STATES}, {"first": 1.0, "next": 1.0, "again": 1.0})
    success = guessing_success(RuleModel(never), n_islands=2, n_rows=10)
    assert (success.value, success.low) == (0.0, 0.0)
    assert success.high == pytest.approx(3 / 20)
