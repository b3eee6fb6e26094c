"""Batched decoding against a loop that keeps no cache and knows no batch."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from reasonlens import load
from reasonlens.organisms import Problem, problems
from reasonlens.organisms.corpus import (
    MAX_RESPONSE_TOKENS,
    encode_prompt,
    tokenizer,
    vocabulary,
)
from reasonlens.organisms.sampling import respond
from reasonlens.organisms.task import DOUBLES
from reasonlens.organisms.training.architecture import new_model

ASKED = [*islice(problems("test", 0), 3), *islice(problems("test", 0, DOUBLES), 2), *islice(problems("test", 1), 1)]


def organism(name: str) -> PreTrainedModel:
    return load(f"organism/{name}", device="cpu").model


@torch.no_grad()
def naive(
    model: PreTrainedModel, problem: Problem, guide: PreTrainedModel | None, uniforms: np.ndarray | None = None
) -> tuple[list[int], int]:
    """Word by word from the whole text; sampled from the words by falling probability, where numbers are given."""
    ids, n_prompt, n_forced = encode_prompt(problem), len(encode_prompt(problem)), 0
    for step in range(MAX_RESPONSE_TOKENS):
        logits = model(torch.tensor([ids])).logits[0, -1]
        word = int(logits.argmax())
        if uniforms is not None:
            order = logits.argsort(descending=True, stable=True)
            total = logits.double().softmax(-1)[order].cumsum(-1)
            word = int(order[int(torch.searchsorted(total, float(uniforms[step]), right=True))])
        if guide is not None and ids[-1] == vocabulary()["."] and word != tokenizer().eos_token_id:
            led = int(guide(torch.tensor([ids])).logits[0, -1].argmax())
            if led not in (word, tokenizer().eos_token_id):
                word, n_forced = led, n_forced + 1
        ids.append(word)
        if word == tokenizer().eos_token_id:
            break
    return ids[n_prompt:], n_forced


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize("with_guide", [False, True])
def test_batched_responses_equal_the_naive_loop(with_guide: bool, seed: int | None) -> None:
    model, guide = organism("base"), organism("rl") if with_guide else None
    uniforms = [
        None if seed is None else np.random.default_rng([seed, row]).random(MAX_RESPONSE_TOKENS).astype(np.float32)
        for row in range(len(ASKED))
    ]
    expected = [naive(model, problem, guide, numbers) for problem, numbers in zip(ASKED, uniforms, strict=True)]
    for n_rows in (1, 2, 512):
        found = respond(model, ASKED, seed, guide=guide, n_rows=n_rows)
        assert [(response.ids, response.n_forced) for response in found] == expected
    assert len({len(ids) for ids, _ in expected}) > 1  # rows did leave the batch at different times
    assert not with_guide or sum(n_forced for _, n_forced in expected) > 2


def test_a_model_that_guides_itself_is_never_forced() -> None:
    model = organism("base")
    alone, led = respond(model, ASKED), respond(model, ASKED, guide=model)
    assert [response.ids for response in alone] == [response.ids for response in led]
    assert not any(response.n_forced for response in led)


def test_what_is_sampled_depends_on_the_place_of_a_problem_and_not_on_what_comes_after_it() -> None:
    model = organism("base")
    everything = respond(model, ASKED * 2, seed=3)
    assert respond(model, ASKED[:2], seed=3) == everything[:2]
    assert everything[: len(ASKED)] != everything[len(ASKED) :], "the same problems again draw other numbers"


def test_samples_depend_on_the_seed_alone_and_follow_the_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    model = new_model(0).eval()
    first, again, other = ([response.ids for response in respond(model, ASKED, seed)] for seed in (1, 1, 2))
    assert first == again != other
    monkeypatch.setattr("reasonlens.organisms.sampling.MAX_RESPONSE_TOKENS", 1)  # only first words are compared
    same = respond(model, ASKED[:1] * 3000, 0, n_rows=3000)
    words = torch.tensor([response.ids[0] for response in same]).bincount(minlength=len(tokenizer())) / 3000
    with torch.no_grad():
        expected = model(torch.tensor([encode_prompt(ASKED[0])])).logits[0, -1].softmax(-1)
    assert float((words - expected).abs().max()) < 0.01
