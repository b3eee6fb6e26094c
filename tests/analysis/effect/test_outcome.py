"""Damage, counts and intervals against cases worked by hand and naive loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens.analysis.effect.condition import Condition, Kind, all_conditions
from reasonlens.analysis.effect.damage import Damage, NeutralText
from reasonlens.analysis.effect.outcome import Outcome, outcome_of
from reasonlens.analysis.effect.telltale import telltale_tokens
from reasonlens.generation import Written
from reasonlens.models import LanguageModel, load
from reasonlens.rundir import from_row, to_row
from reasonlens.traces import Span
from reasonlens.traces.questions import Question
from reasonlens.vectors import Direction, Directions
from reasonlens.vectors.steering import steer

TEXTS = [[5, 6, 7, 8], [9, 10, 11], [12]]


def test_damage_equals_a_naive_sum_over_tokens_in_float64(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    direction = Direction.of(torch.randn(32, generator=torch.Generator().manual_seed(0)), layers=1, residual_norm=9.0)
    found = NeutralText(model, TEXTS).damage(steer(model, direction))
    divergence, loss, n = 0.0, 0.0, 0
    for text in TEXTS:
        for place in range(len(text) - 1):
            ids = torch.tensor([text[: place + 1]])
            with torch.no_grad():
                before = model.model(ids).logits[0, -1].double().softmax(-1).numpy()
                with steer(model, direction):
                    after = model.model(ids).logits[0, -1].double().softmax(-1).numpy()
            divergence += float(np.sum(before * np.log(before / after)))
            loss -= math.log(after[text[place + 1]])
            n += 1
    assert found.n_tokens == n == 5
    assert found.kl_nats == pytest.approx(divergence / n, rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(loss / n), rel=1e-4)


def test_an_unsteered_model_is_not_damaged(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    assert NeutralText(model, TEXTS).damage().kl_nats == 0


def test_neutral_text_stops_at_the_tokens_asked_for(tiny: Callable[..., LanguageModel]) -> None:
    assert NeutralText(tiny("llama"), [[5] * 50] * 9, max_tokens=100).damage().n_tokens == 100


def outcome(
    shown: list[int], sentences: list[int], kind: Kind = "direction", problems: list[str] | None = None
) -> Outcome:
    return Outcome(
        condition=Condition(kind, "b" if kind == "direction" else "", 1, 1.0),
        problems=problems or [f"p{number}" for number in range(len(shown))],
        n_sentences=sentences,
        n_shown={"b": shown},
        n_tokens=[1] * len(shown),
        is_truncated=[False] * len(shown),
        is_solved=[bool(each) for each in shown],
        answered_in_thoughts=[False] * len(shown),
        damage=Damage(0.1, 2.0, 10),
        n_steered=1,
        n_run=2,
        examples=["x"],
    )


def test_an_effect_is_the_difference_of_rates_with_problems_resampled_together() -> None:
    steered, plain = outcome([2, 2, 1, 0] * 10, [4, 4, 4, 4] * 10), outcome([1, 1, 0, 0] * 10, [4, 2, 4, 4] * 10)
    effect = steered.effect("b", plain)
    assert effect.value == pytest.approx(5 / 16 - 2 / 14)
    assert effect.low < effect.value < effect.high and effect.n == 40
    assert steered.effect("b", steered).value == steered.effect("b", steered).low == 0
    assert steered.effect("absent", plain).value == 0


def test_questions_of_one_problem_are_resampled_together() -> None:
    """Each problem asked four times over says no more than once: as wide as with a quarter of the questions."""
    shown, sentences = [2, 2, 1, 0, 3, 0, 1, 2], [4] * 8
    once, plain = outcome(shown, sentences), outcome([1, 1, 0, 0] * 2, sentences)
    problems = [f"p{number}" for number in range(8)] * 4
    repeated, again = (outcome(each * 4, sentences * 4, problems=problems) for each in (shown, [1, 1, 0, 0] * 2))
    assert repeated.rate("b") == once.rate("b") and repeated.effect("b", again) == once.effect("b", plain)
    accuracy, alone = repeated.accuracy(), once.accuracy()
    assert accuracy is not None and alone is not None and accuracy.n == 8
    assert accuracy.low < alone.low + 0.02, "and not half as wide"


def test_intervals_of_effects_cover_the_truth_as_often_as_they_say() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        difficulty = generator.beta(2, 2, 40)  # of each problem, shared by both conditions
        sentences = generator.integers(5, 15, (2, 40))
        shown = [generator.binomial(sentences[side], difficulty * (0.5 + 0.2 * side)) for side in (0, 1)]
        plain, steered = (outcome(shown[side].tolist(), sentences[side].tolist()) for side in (0, 1))
        effect = steered.effect("b", plain)
        hits += effect.low <= 0.2 * 0.5 <= effect.high
    assert 0.90 <= hits / 300 <= 0.99


def test_the_share_moved_the_wrong_way_is_that_of_problems_whose_rate_falls() -> None:
    plain = outcome([2, 1, 0, 2], [4, 4, 4, 4])
    steered = outcome([1, 1, 3, 4], [4, 4, 4, 4])
    assert steered.wrong_way("b", plain).value == 1 / 4 and plain.wrong_way("b", steered).value == 2 / 4
    found = outcome([1, 3, 3, 4], [4, 4, 4, 4], problems=["p", "p", "q", "q"]).wrong_way(
        "b", outcome([2, 1, 3, 4], [4, 4, 2, 4], problems=["p", "p", "q", "q"])
    )
    assert (found.value, found.n) == (0.5, 2), "p rises from 3 of 8 to 4 of 8, q falls from 7 of 6 to 7 of 8"
    longer = outcome([2, 1, 0, 2], [4, 4, 4, 8])
    assert longer.wrong_way("b", plain).value == 1 / 4, "a rate falls too where more sentences are written"
    assert longer.effect_value("b", plain) == pytest.approx(longer.effect("b", plain).value)


def test_a_model_that_writes_no_sentence_shows_nothing() -> None:
    silent, plain = outcome([0, 0, 0], [0, 0, 0]), outcome([1, 1, 0], [4, 2, 4])
    assert silent.rate("b").value == 0 and 0 < silent.rate("b").high < 1
    assert silent.effect("b", plain).value == pytest.approx(-0.2)


def test_an_outcome_survives_json() -> None:
    import json

    before = outcome([1, 0], [2, 2])
    after = from_row(Outcome, json.loads(json.dumps(to_row(before))))
    assert after.condition == before.condition and after.damage == before.damage
    assert after.effect("b", before).value == 0


def test_sentences_that_the_annotator_passes_over_count_below_the_line() -> None:
    questions = [Question("p", "q", "3"), Question("p2", "q2", "4")]
    written = [Written("One thing. Wait, no. It is 3.", 9, False), Written("", 0, True)]

    def annotator(prompt: str, text: str) -> list[Span]:
        return [Span(11, 20, "b")] if text else []

    found = outcome_of(
        Condition("unsteered"),
        questions,
        written,
        annotator=annotator,
        grader=lambda question, response: question.answer in response,
        damage=Damage(0.0, 1.0, 1),
        n_steered=0,
        n_run=0,
    )
    assert found.n_sentences == [3, 0] and found.n_shown == {"b": [1, 0]}
    assert found.is_solved == [True, False] and found.is_truncated == [False, True]


def test_conditions_hold_every_control_and_no_strength_of_nothing() -> None:
    planned = all_conditions(["a", "b"], [1, 2], [0.0, 0.5, 1.0], n_random=20, tokens={"a": 5})
    assert planned[0] == Condition("unsteered") and len(planned) == 1 + 2 * 2 * (2 + 1 + 20)
    assert len(set(planned)) == len(planned) and all(each.strength for each in planned[1:])


def test_random_directions_differ_from_each_other_and_are_the_same_again(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    directions = Directions(
        vectors={"b": torch.randn(2, 32)},
        layers=(0, 2),
        method="m",
        model={},
        read="mean",
        residual_norm=(1.0, 7.0),
        n_examples={},
        n_problems=0,
    )

    def random(layer: int, number: int) -> Direction:
        return Condition("random", "", layer, 1.0, number).direction(directions, model, {}, seed=0)

    assert torch.equal(random(2, 0).vectors, random(2, 0).vectors)
    for other in (random(2, 1), random(0, 0)):
        assert torch.cosine_similarity(random(2, 0).vectors, other.vectors).abs() < 0.7
    assert random(2, 0).residual_norm == (7.0,)
    token = Condition("token", "b", 2, 1.0).direction(directions, model, {"b": 9}, seed=0)
    head = model.model.lm_head.weight
    torch.testing.assert_close(token.vectors[0], head[9] - head.mean(0))


def test_no_word_of_an_organism_tells_a_behaviour() -> None:
    model = load("organism/base-timing", device="cpu")
    assert telltale_tokens(model, ["backtracking", "verification"]) == {}
