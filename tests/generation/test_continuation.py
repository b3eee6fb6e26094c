"""Continuations: against a naive loop, against transformers' own nucleus, and with nothing else changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from reasonlens import InputError, load
from reasonlens.generation import CachedModel, Sampling, continuations
from reasonlens.models import LanguageModel
from reasonlens.organisms import MOVE_OF, problems

PREFIX = np.array([5, 81, 12, 300, 44, 9, 120])
ARCHITECTURES = ["llama", "qwen", "mistral", "gemma", "phi", "gpt-neox", "gpt2", "opt"]


@pytest.fixture
def speaker(tiny: Callable[..., LanguageModel]) -> Callable[..., LanguageModel]:
    """A tiny model for which a text ends where its tokenizer says, and not at a token that a default names."""

    def make(architecture: str = "llama") -> LanguageModel:
        model = tiny(architecture)
        model.model.generation_config.eos_token_id = None
        return model

    return make


def naive(model: LanguageModel, n_tokens: int) -> list[int]:
    """The likeliest token, with the whole text run for each."""
    ids = PREFIX.tolist()
    with torch.no_grad():
        for _ in range(n_tokens):
            token = int(model.model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            if token == model.tokenizer.eos_token_id:
                break
            ids.append(token)
    return ids[len(PREFIX) :]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_continuations_are_those_of_a_loop_without_a_cache(
    architecture: str, speaker: Callable[..., LanguageModel]
) -> None:
    model = speaker(architecture)
    expected = naive(model, 12)
    assert 5 < len(expected)
    assert continuations(model, PREFIX, Sampling(temperature=0, max_new_tokens=12), seed=0) == [expected]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_draws_are_the_same_with_and_without_a_cache(
    architecture: str, speaker: Callable[..., LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sampling = speaker(architecture), Sampling(n_samples=3, max_new_tokens=8)
    cached = continuations(model, PREFIX, sampling, seed=1)
    monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    assert continuations(model, PREFIX, sampling, seed=1) == cached
    assert len({tuple(row) for row in cached}) == 3


def test_a_prefix_of_one_token_needs_no_cache(speaker: Callable[..., LanguageModel]) -> None:
    found = continuations(speaker(), PREFIX[:1], Sampling(n_samples=2, max_new_tokens=3), seed=0)
    assert [len(row) for row in found] == [3, 3]


@pytest.mark.parametrize(("temperature", "top_p"), [(0.1, 0.7), (0.05, 0.95), (1.0, 1.0)])
def test_tokens_are_drawn_from_the_nucleus_of_transformers(
    temperature: float, top_p: float, speaker: Callable[..., LanguageModel]
) -> None:
    model, n = speaker(), 20_000
    with torch.no_grad():
        logits = model.model(torch.from_numpy(PREFIX)[None]).logits[:, -1]
    warped = TemperatureLogitsWarper(temperature)(None, logits)
    warped = TopPLogitsWarper(top_p)(None, warped) if top_p < 1 else warped
    expected = warped.softmax(-1)[0].double().numpy()
    sampling = Sampling(n_samples=n, temperature=temperature, top_p=top_p, max_new_tokens=1)
    drawn = [row[0] for row in continuations(model, PREFIX, sampling, seed=0) if row]
    counts = np.bincount(drawn, minlength=len(expected))
    counts[model.tokenizer.eos_token_id] = n - len(drawn)
    assert 3 < np.count_nonzero(expected) and not counts[expected == 0].any()
    deviation = np.abs(counts - n * expected) / np.sqrt(n * expected * (1 - expected) + 1e-9)
    assert deviation[expected > 0].max() < 5


def test_the_seed_decides_and_the_global_random_state_is_left_alone(speaker: Callable[..., LanguageModel]) -> None:
    model = speaker()
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    first = continuations(model, PREFIX, Sampling(), seed=7)
    torch.rand(5)
    torch.set_rng_state(states[0])
    assert continuations(model, PREFIX, Sampling(), seed=7) == first
    assert continuations(model, PREFIX, Sampling(), seed=8) != first
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])


def test_generation_settings_that_came_with_the_model_have_no_part(speaker: Callable[..., LanguageModel]) -> None:
    model = speaker()
    before = continuations(model, PREFIX, Sampling(), seed=0)
    model.model.generation_config.update(
        top_k=1, repetition_penalty=9.0, temperature=0.1, max_length=3, use_cache=False
    )
    assert continuations(model, PREFIX, Sampling(), seed=0) == before


def test_a_continuation_stops_before_the_end_of_the_text_and_others_go_on() -> None:
    model = load("organism/rl-timing", device="cpu")
    ids = np.array(model.tokenizer(next(problems("test", 0)).prompt)["input_ids"])
    sampling = Sampling(n_samples=8, temperature=1.0, top_p=1.0, max_new_tokens=300)
    rows = continuations(model, ids, sampling, seed=0)
    assert len({len(row) for row in rows}) > 1
    for row in rows:
        assert model.tokenizer.eos_token_id not in row and len(row) < 300
        *_, opener, second, stop = model.tokenizer.decode(row).split()
        assert MOVE_OF[opener, second] == "answer" and stop == "."


def test_the_end_of_a_turn_ends_a_continuation_too(speaker: Callable[..., LanguageModel]) -> None:
    model, sampling = speaker(), Sampling(temperature=0, max_new_tokens=12)
    (whole,) = continuations(model, PREFIX, sampling, seed=0)
    for ends in (whole[5], [399, whole[5]]):
        model.model.generation_config.eos_token_id = ends
        assert continuations(model, PREFIX, sampling, seed=0) == [whole[: whole.index(whole[5])]]


def test_no_more_is_drawn_than_the_context_holds(speaker: Callable[..., LanguageModel]) -> None:
    model = speaker("gpt2")
    prefix = np.tile(PREFIX, 200)[: 1024 - 5]
    assert [len(row) for row in continuations(model, prefix, Sampling(temperature=0), seed=0)] == [5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "at least one continuation of one token is needed, not 0 of 32"),
        ({"max_new_tokens": 0}, "at least one continuation of one token is needed, not 4 of 0"),
        ({"temperature": -1.0}, r"a temperature is 0 \(greedy\) or above, and -1.0 is not"),
        ({"temperature": float("nan")}, "a temperature is 0"),
        ({"top_p": 0.0}, "above 0 and up to 1, and 0.0 is not"),
        ({"top_p": 1.5}, "above 0 and up to 1, and 1.5 is not"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Sampling(**options)
