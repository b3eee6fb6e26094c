"""Divergence of organisms made of rules against sums by hand, and overlap of responses."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from reasonlens.organisms.corpus import encode_response
from reasonlens.organisms.evaluation._cross_play import Answers
from reasonlens.organisms.evaluation.divergence import divergence
from reasonlens.organisms.evaluation.overlap import overlap
from reasonlens.organisms.labeller import read
from reasonlens.organisms.policy import IDEAL, Habits, Writer, mixed, write
from reasonlens.organisms.task import problems

from ..rules import RuleModel

ASKED = list(islice(problems("test", 0), 12))
BASE = RuleModel(mixed(0.4), weak_hue=0.8)


def texts(writer: Writer, seed: int = 0, n_samples: int = 1) -> Answers:
    generator = np.random.default_rng(seed)
    asked = [problem for problem in ASKED for _ in range(n_samples)]
    words = [write(problem, writer, generator) for problem in asked]
    readings = tuple(read(problem, text) for problem, text in zip(asked, words, strict=True))
    responses = tuple(
        tuple(encode_response(text, is_ended=reading.is_ended)) for text, reading in zip(words, readings, strict=True)
    )
    return Answers(tuple(ASKED), n_samples, responses, readings)


def measured(base: RuleModel, trained: RuleModel) -> dict[str, float]:
    answers = texts(Writer(trained.habits, trained.weak_hue))
    figures = divergence(base, trained, answers.problem_by_response, answers.responses)
    return {kind: figure.value for kind, figure in figures.items()}


def test_divergence_lies_on_the_tokens_that_training_changed() -> None:
    timing = measured(BASE, replace(BASE, habits=mixed(0.1)))
    skill = measured(BASE, replace(BASE, weak_hue=0.95))
    assert timing["decision"] > 0.01 and timing["content"] == pytest.approx(0.0, abs=1e-5)
    assert skill["content"] > 0.001 and skill["decision"] == pytest.approx(0.0, abs=1e-5)
    assert set(measured(BASE, BASE).values()) == {0.0}


def test_divergence_of_one_planted_step_is_the_sum_by_hand() -> None:
    answers = texts(Writer(IDEAL, 0.9))
    base, trained = RuleModel(IDEAL, 0.6), RuleModel(IDEAL, 0.9)
    n_weak = sum(step.is_weak for reading in answers.readings for step in reading.steps)
    n_content = sum(
        len(ids) - 2 * len(reading.steps) - sum(step.move == "plan" for step in reading.steps)
        for ids, reading in zip(answers.responses, answers.readings, strict=True)
    )
    nats = 0.9 * np.log(0.9 / 0.6) + 0.1 * np.log(0.1 / 0.4)
    figures = divergence(base, trained, answers.problem_by_response, answers.responses)
    # Sentences that the limit cuts hold a few tokens that the labeller leaves out.
    assert figures["content"].value == pytest.approx(nats * n_weak / n_content, rel=0.05)


def test_a_text_is_wholly_like_itself_and_a_model_like_its_other_samples() -> None:
    answers = texts(Writer(IDEAL), n_samples=2)
    assert {figure.value for figure in overlap(answers, answers).values()} == {1.0}
    samples = overlap(answers, answers, 0, 1)
    # One policy and every word right: the same moves, but each in wordings of its own.
    assert samples["same_moves"].value == 1.0
    assert samples["word_overlap"].value < 0.95


def test_models_of_other_habits_write_other_moves() -> None:
    doubting = Habits({**IDEAL.moves, "ready": {"doubt": 0.5, "try": 0.5}}, IDEAL.hue)
    figures = overlap(texts(Writer(IDEAL)), texts(Writer(doubting)))
    assert figures["same_moves"].value == 0.0
    assert 0.5 < figures["move_similarity"].value < 0.95


def test_other_problems_are_refused() -> None:
    answers = texts(Writer(IDEAL))
    others = replace(answers, problems=answers.problems[::-1])
    with pytest.raises(ValueError, match="the same problems"):
        overlap(answers, others)
