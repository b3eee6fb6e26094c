"""Two models of one tokenizer that end with different tokens, or whose output layers are padded differently."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

from reasonlens.generation import Sampling, StepState, encode_prompts, end_tokens, write
from reasonlens.generation.vocabulary import NEVER, Vocabulary
from reasonlens.models import LanguageModel, load, wrap
from reasonlens.organisms import problems
from reasonlens.pairs import organism_pair
from reasonlens.pairs.hybrid import (
    HybridSettings,
    Plan,
    RowRecord,
    always,
    answering,
    decode,
    disagreement,
    divergence_over,
    never,
)
from reasonlens.pairs.hybrid.arms import ARMS
from reasonlens.pairs.hybrid.experiment import Experiment
from tests.generation.test_across import renumbered

GREEDY = Sampling(temperature=0, max_new_tokens=60)


def ending_with(name: str, token: str) -> LanguageModel:
    """An organism that says another token where it would end; the end of the other becomes a word for it."""
    model = load(name, device="cpu")
    inner = copy.deepcopy(model.model)
    new, old = model.tokenizer.convert_tokens_to_ids(token), model.tokenizer.eos_token_id
    with torch.no_grad():
        rows = inner.get_output_embeddings().weight.clone()
        rows[[old, new]] = rows[[new, old]]
        inner.set_output_embeddings(torch.nn.Linear(rows.shape[1], rows.shape[0], bias=False))
        inner.get_output_embeddings().weight.copy_(rows)
    inner.generation_config.eos_token_id = new
    tokenizer = copy.deepcopy(model.tokenizer)
    tokenizer.eos_token = token
    return wrap(inner, tokenizer, name="other ends")


@pytest.fixture(scope="module")
def models() -> tuple[LanguageModel, LanguageModel, LanguageModel]:
    base, thinking = load("organism/base-timing", device="cpu"), load("organism/rl-timing", device="cpu")
    token = thinking.tokenizer.convert_ids_to_tokens(0)
    assert end_tokens(base) == end_tokens(thinking) == [2]
    return base, thinking, ending_with("organism/rl-timing", token)


def prompts(base: LanguageModel) -> list[list[int]]:
    return encode_prompts(base, [problem.prompt for problem in islice(problems("test", 0), 12)])


def told(records: list[RowRecord]) -> list[tuple[object, ...]]:
    return [(each.text, each.tokens, each.gated, each.is_truncated) for each in records]


@pytest.mark.parametrize("gate", [always, disagreement, divergence_over(0.5)])
def test_a_thinking_model_that_ends_otherwise_is_heard_as_one_that_ends_alike(gate, models) -> None:
    base, alike, other = models
    asked, plan = prompts(base), Plan(gate=gate, act="takeover")
    expected = decode(base, alike, asked, None, plan, GREEDY)
    assert end_tokens(other) != end_tokens(base)
    found = decode(base, other, asked, None, plan, GREEDY)
    assert told(found) == told(expected)
    if gate is always:
        assert [each.text for each in found] == [each.text for each in write(alike, asked, GREEDY)]


def test_all_ends_are_as_likely_as_the_likeliest_greedily_and_as_all_together_when_sampled() -> None:
    logits = torch.tensor([[1.0, 2.0, 3.0, 0.5, 9.0]])
    greedy = Vocabulary(n_tokens=4, ends=(1, 3), is_one_end=True, is_greedy=True)
    assert greedy.merged(logits).tolist() == [[1.0, 2.0, 3.0, NEVER]]
    sampled = Vocabulary(n_tokens=4, ends=(1, 3), is_one_end=True, is_greedy=False).merged(logits)
    expected = logits[:, :4].softmax(dim=-1)
    torch.testing.assert_close(sampled.softmax(dim=-1)[0, 1], expected[0, 1] + expected[0, 3])
    assert sampled.softmax(dim=-1)[0, 3] == 0
    alike = Vocabulary(n_tokens=5, ends=(1, 3), is_one_end=False, is_greedy=True)
    assert torch.equal(alike.merged(logits), logits), "models that end alike are left as they are"


def test_output_layers_of_two_widths_are_compared_over_the_tokens_of_both(models) -> None:
    base, thinking, _ = models
    wide = copy.deepcopy(thinking.model)
    wide.resize_token_embeddings(len(base.tokenizer) + 32)
    padded = wrap(wide, thinking.tokenizer, name="padded")
    plan = Plan(gate=divergence_over(0.5), act="takeover")
    found = decode(base, padded, prompts(base), None, plan, GREEDY)
    assert [each.text for each in found] == [
        each.text for each in decode(base, thinking, prompts(base), None, plan, GREEDY)
    ]


def test_a_token_that_is_never_said_adds_nothing_to_a_divergence() -> None:
    logits = torch.tensor([[1.0, 2.0, NEVER]])
    state = StepState(
        step=0,
        rows=torch.tensor([0]),
        last_ids=torch.tensor([0]),
        activations=torch.zeros(1, 2),
        logits=logits,
        follower_logits=logits,
    )
    assert state.divergence().tolist() == [0.0]


def test_an_arm_without_a_thinking_model_ends_where_one_with_it_would(models) -> None:
    base, _, other = models
    asked, plan = prompts(base), Plan(gate=never, act="takeover")
    alone = decode(base, None, asked, None, plan, GREEDY)
    point = base.tokenizer.convert_tokens_to_ids(".")
    found = decode(base, None, asked, None, plan, GREEDY, more_ends=[point])
    assert [each.text for each in found] == [each.text.split(" .")[0] for each in alone]
    assert not any(each.is_truncated for each in found)


def test_every_arm_of_a_pair_has_the_same_ends(models, monkeypatch: pytest.MonkeyPatch) -> None:
    base, alike, other = models
    seen: list[list[int]] = []

    def watched(*given: Any, more_ends: Sequence[int] = (), **options: Any) -> list[RowRecord]:
        seen.append(list(more_ends))
        return decode(*given, more_ends=more_ends, **options)

    monkeypatch.setattr(answering, "decode", watched)
    for thinking, expected in ((alike, end_tokens(base)), (other, end_tokens(other)), (renumbered(base), [])):
        pair = replace(organism_pair("organism/rl-timing", n_train=1, n_validation=1, n_test=2), thinking=thinking)
        experiment = Experiment.of(pair, HybridSettings())
        answering.answer(experiment, ARMS["base"], Plan(gate=never, act="takeover"), pair.test, range(2))
        assert seen.pop() == expected
