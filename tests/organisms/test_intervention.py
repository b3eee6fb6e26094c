"""Interventions at decisions: they act where a second word is said, in its state, and nowhere else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from reasonlens.organisms.corpus import decode, encode_prompt, encode_response, vocabulary
from reasonlens.organisms.intervention import DecisionTexts, FitSettings, Intervention, fit_vectors, fit_word, fit_words
from reasonlens.organisms.labeller import read
from reasonlens.organisms.language import OPENERS, SECONDS
from reasonlens.organisms.machine import STATES, Machine
from reasonlens.organisms.policy import POOR, Writer, write
from reasonlens.organisms.rollouts import organism_model
from reasonlens.organisms.sampling import respond
from reasonlens.organisms.task import problems

PROBLEMS = list(islice(problems("test", 0), 8))


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return organism_model("organism/base-timing")


@pytest.fixture(scope="module")
def texts() -> DecisionTexts:
    generator = np.random.default_rng(0)
    words = [write(problem, Writer(POOR), generator) for problem in PROBLEMS]
    responses = [encode_response(said, is_ended=False) for said in words]
    return DecisionTexts.of(PROBLEMS, responses, [read(*pair) for pair in zip(PROBLEMS, words, strict=True)])


def test_openers_and_states_are_those_of_the_replayed_response(texts: DecisionTexts) -> None:
    ids = vocabulary()
    for problem, tokens, openers, states in zip(PROBLEMS, texts.ids, texts.openers, texts.states, strict=True):
        assert {tokens[place] for place in openers} <= {ids[word] for word in OPENERS}
        assert {tokens[place + 1] for place in openers} <= {ids[word] for word in SECONDS}
        assert STATES[states[0]] == Machine(problem).state == "start"


def test_fitted_boosts_make_second_words_as_frequent_as_they_are(model: LlamaForCausalLM, texts: DecisionTexts) -> None:
    """The likeliest boosts of an exponential family match its means, in each state by itself."""
    fit, loss = fit_words(model, texts, is_gated=True)
    places = texts.batch(range(len(PROBLEMS)))
    with torch.no_grad():
        logits = places.logits(model)
    seconds = torch.tensor([vocabulary()[word] for word in SECONDS])
    for state in (STATES.index("ready"), STATES.index("missed")):
        here = places.states == state
        said = (places.seconds[here, None] == seconds).float().mean(0)
        expected = (logits[here] + fit.table[state]).softmax(-1)[:, seconds].mean(0)
        torch.testing.assert_close(expected, said, atol=0.02, rtol=0)
    assert loss < fit_words(model, texts)[1] < float(torch.nn.functional.cross_entropy(logits, places.seconds))


def test_one_boosted_word_is_one_word_and_the_likeliest(model: LlamaForCausalLM, texts: DecisionTexts) -> None:
    fit = fit_word(model, texts)
    (word,) = fit.table[0].nonzero()[:, 0].tolist()
    places = texts.batch(range(len(PROBLEMS)))
    with torch.no_grad():
        logits = places.logits(model)
    losses = {}
    for second in SECONDS:
        for boost in np.linspace(-1, 1, 81):
            boosted = logits.clone()
            boosted[:, vocabulary()[second]] += boost
            losses[vocabulary()[second], boost] = float(torch.nn.functional.cross_entropy(boosted, places.seconds))
    best_word, best_boost = min(losses, key=losses.__getitem__)
    assert word == best_word and float(fit.table[0, word]) == pytest.approx(best_boost, abs=0.03)


def test_vectors_raise_the_likelihood_of_what_was_said_and_random_ones_do_not(
    model: LlamaForCausalLM, texts: DecisionTexts
) -> None:
    places = texts.batch(range(len(PROBLEMS)))

    def loss(intervention: Intervention) -> float:
        def push(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
            pushed = output.clone()
            for row, place, added in zip(places.rows, places.openers, intervention.rows(places.states), strict=True):
                pushed[row, place] += added
            return pushed

        hook = model.model.layers[1].register_forward_hook(push)
        with torch.no_grad():
            logits = places.logits(model)
        hook.remove()
        return float(torch.nn.functional.cross_entropy(logits, places.seconds))

    with torch.no_grad():
        unpushed = places.logits(model)
    fit = fit_vectors(model, texts, 1, settings=FitSettings(steps=30, texts=4, rate=0.05))
    drawn = torch.randn(fit.table.shape, generator=torch.Generator().manual_seed(0))
    control = Intervention(drawn * fit.table.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True), 1)
    nothing = loss(Intervention(torch.zeros_like(fit.table), 1))
    assert loss(fit) < nothing - 0.05 and loss(control) > nothing - 0.01, (loss(fit), nothing, loss(control))
    with torch.no_grad():
        torch.testing.assert_close(places.logits(model), unpushed)


@pytest.mark.parametrize("layer", [None, 1])
def test_writing_with_an_intervention_is_that_of_the_whole_text_read_anew(
    model: LlamaForCausalLM, layer: int | None
) -> None:
    width = model.config.vocab_size if layer is None else model.config.hidden_size
    table = (3 if layer is None else 30) * torch.randn(len(STATES), width, generator=torch.Generator().manual_seed(1))
    intervention = Intervention(table, layer)
    written = respond(model, PROBLEMS[:2], None, intervention=intervention)
    assert written != respond(model, PROBLEMS[:2])
    for problem, response in zip(PROBLEMS[:2], written, strict=True):
        ids = encode_prompt(problem)
        n_prompt = len(ids)
        for token in response[:40]:
            assert token == _next(model, ids, n_prompt, intervention, problem)
            ids.append(token)


def _next(model: LlamaForCausalLM, ids: list[int], n_prompt: int, intervention: Intervention, problem) -> int:
    """The likeliest next token, the text read whole; where openers stand, and in which state, is found anew."""
    words = decode(ids[n_prompt:])
    starts = [0, *(place + 1 for place, word in enumerate(words) if word == ".")]
    opened = [start for start in starts if start < len(words)]
    states = [_state(problem, words[:start]) for start in opened]
    added = intervention.rows(torch.tensor(states, dtype=torch.long))

    def push(module: object, inputs: object, output: torch.Tensor) -> torch.Tensor:
        pushed = output.clone()
        for start, vector in zip(opened, added, strict=True):
            pushed[0, n_prompt + start] += vector
        return pushed

    hook = None if intervention.layer is None else model.model.layers[intervention.layer].register_forward_hook(push)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0, -1]
    if hook is not None:
        hook.remove()
    elif opened and opened[-1] == len(words) - 1:
        logits = logits + added[-1]
    return int(logits.argmax())


def _state(problem, words: list[str]) -> int:
    machine = Machine(problem)
    for step in read(problem, words).steps:
        if step.move is None:
            break
        machine.advance(step.move, step.content)
    return 0 if machine.is_done else STATES.index(machine.state)


def test_rows_together_and_alone_write_the_same(model: LlamaForCausalLM) -> None:
    intervention = Intervention(torch.randn(1, model.config.vocab_size, generator=torch.Generator().manual_seed(2)))
    together = respond(model, PROBLEMS, 3, intervention=intervention)
    assert respond(model, PROBLEMS, 3, n_rows=3, intervention=intervention) == together


def test_a_boost_in_one_state_acts_there_and_on_second_words_alone(model: LlamaForCausalLM) -> None:
    table = torch.zeros(len(STATES), model.config.vocab_size)
    table[STATES.index("start"), vocabulary()["think"]] = 100
    boosted, plain = (respond(model, PROBLEMS, 0, intervention=each) for each in (Intervention(table), None))
    assert all(decode(response)[1] == "think" for response in boosted)
    assert [response[0] for response in boosted] == [response[0] for response in plain]
    table[STATES.index("start")] = 0
    table[STATES.index("complete")] = 100 * torch.randn(table.shape[1])
    elsewhere = respond(model, PROBLEMS, 0, intervention=Intervention(table))
    assert [response[:60] for response in elsewhere] == [response[:60] for response in plain]  # too few for five levels
