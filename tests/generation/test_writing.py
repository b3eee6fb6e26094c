from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from reasonlens.generation import CachedModel, Sampling, encode_prompts, generate, write
from reasonlens.models import LanguageModel, load
from reasonlens.organisms import problems
from reasonlens.organisms.corpus import decode, encode_prompt
from reasonlens.organisms.sampling import respond
from reasonlens.organisms.task import MAX_RESPONSE_TOKENS
from reasonlens.vectors import Direction, Steering, When
from reasonlens.vectors.steering import steer

PROMPTS = [[7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33]]


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma", "opt"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_writes_what_its_rows_write_one_by_one(
    tiny: Callable[..., LanguageModel], architecture: str, temperature: float
) -> None:
    model = tiny(architecture)
    sampling = Sampling(n_samples=1, temperature=temperature, top_p=0.9, max_new_tokens=12)
    norm = 2.0 if architecture == "gemma" else 0.05  # its activations are that much longer
    direction = Direction.of(torch.randn(32, generator=torch.Generator().manual_seed(0)), layers=1, residual_norm=norm)
    with steer(model, direction, when="response") as together:
        batch = write(model, PROMPTS, sampling, seed=3)
    with steer(model, direction, when="response") as by_twos:
        assert write(model, PROMPTS, sampling, seed=3, n_rows=1) == batch
    assert (together.n_steered, together.n_tokens) == (by_twos.n_steered, by_twos.n_tokens)
    assert write(model, PROMPTS, sampling, seed=3) != batch and len({each.text for each in batch}) == len(PROMPTS)


LONGER = [*PROMPTS, [40], [20, 21, 22], [51, 52, 53, 54, 55, 56, 57]]


def ending_early(tiny: Callable[..., LanguageModel], steering: Callable[[LanguageModel], Steering]) -> LanguageModel:
    """Make a model that ends some of its steered texts early, so that rows leave the batch."""
    model = tiny("llama")
    with steer(model, steering(model)):
        texts = generate(model, LONGER, Sampling(temperature=0, max_new_tokens=12))
    model.model.generation_config.eos_token_id = [texts[0][3], texts[1][6]]
    return model


def steering_of(model: LanguageModel, **options: Any) -> Steering:
    drawn = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    direction = Direction.of(drawn, layers=1, residual_norm=0.05)
    return Steering(direction=direction, layers=(1,), **{"when": When.response()} | options)


@pytest.mark.parametrize("is_cached", [True, False])
@pytest.mark.parametrize("when", ["response", "response:3", "prompt", "from:2"])
def test_rows_that_leave_are_steered_and_counted_as_alone(
    tiny: Callable[..., LanguageModel], when: str, is_cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ending_early(tiny, lambda model: steering_of(model, when=When.parse(when)))
    sampling, steering = Sampling(temperature=0, max_new_tokens=12), steering_of(model, when=When.parse(when))
    alone, n_steered, n_tokens = [], 0, 0
    for prompt in LONGER:
        with steer(model, steering) as steered:
            alone += write(model, [prompt], sampling)
        n_steered, n_tokens = n_steered + steered.n_steered, n_tokens + steered.n_tokens
    assert len({response.n_tokens for response in alone}) > 1, "rows leave at different times"
    if not is_cached:  # as of a model that neither takes nor gives a cache
        monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    with steer(model, steering) as together:
        assert write(model, LONGER, sampling) == alone
    assert (together.n_steered, together.n_tokens) == (n_steered, n_tokens)


@pytest.mark.parametrize("is_cached", [True, False])
def test_a_mask_goes_with_its_rows_as_others_leave(
    tiny: Callable[..., LanguageModel], is_cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sampling = ending_early(tiny, steering_of), Sampling(temperature=0, max_new_tokens=12)
    prompts = sorted(LONGER, key=len)
    mask = torch.tensor([prompt[0] in (20, 7, 51) for prompt in prompts])
    plain = write(model, prompts, sampling)
    with steer(model, steering_of(model)):
        everywhere = write(model, prompts, sampling)
    if not is_cached:
        monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    with steer(model, steering_of(model, mask=mask)):
        masked = write(model, prompts, sampling)
    assert masked == [both[is_on] for both, is_on in zip(zip(plain, everywhere, strict=True), mask.int(), strict=True)]
    assert masked not in (plain, everywhere)


@pytest.mark.parametrize("when", ["response", "response:2", "prompt"])
def test_a_model_that_takes_a_cache_and_gives_none_back_is_steered_at_the_same_tokens(
    tiny: Callable[..., LanguageModel], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sampling = tiny("llama"), Sampling(temperature=0, max_new_tokens=12)
    steering = steering_of(model, when=When.parse(when))
    with steer(model, steering) as over_cache:
        expected = write(model, LONGER, sampling)
    assert expected != write(model, LONGER, sampling)
    monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    with steer(model, steering) as over_text:
        assert write(model, LONGER, sampling) == expected
    assert (over_text.n_steered, over_text.n_tokens) == (over_cache.n_steered, over_cache.n_tokens)


@pytest.mark.parametrize("architecture", ["minimax", "mamba", "rwkv"])
def test_models_that_are_run_whole_are_steered_from_the_last_token_of_the_prompt_on(
    speaker: Callable[..., LanguageModel], architecture: str
) -> None:
    model, prompt, n_new = speaker(architecture), PROMPTS[0], 6
    steering = steering_of(model)
    with steer(model, steering) as steered:
        written = generate(model, [prompt], Sampling(temperature=0, max_new_tokens=n_new))[0]
    assert len(written) == n_new and steered.n_steered == n_new
    text = list(prompt)
    with steer(model, steering, n_prompt_tokens=len(prompt)), torch.no_grad():
        for token in written:  # an own loop over whole texts, which is told how long the prompt is
            assert int(model.model(torch.tensor([text]), use_cache=False).logits[0, -1].argmax()) == token
            text.append(token)


@pytest.mark.parametrize("is_cached", [True, False])
def test_prompts_that_go_on_from_those_before_are_prompts_all_the_same(
    tiny: Callable[..., LanguageModel], is_cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prompt one token longer than the one before it is no step of a text that is run without a cache."""
    model, sampling = tiny("llama"), Sampling(temperature=0, max_new_tokens=1)
    if not is_cached:
        monkeypatch.setattr(CachedModel, "_take_cache", lambda *_: None)
    counts = []
    with steer(model, steering_of(model, when=When.prompt())) as steered:
        for n in (3, 4, 5):
            write(model, [LONGER[0][:n]], sampling)
            counts.append(steered.n_steered)
    assert counts == [3, 3 + 4, 3 + 4 + 5]


def test_greedy_writing_of_an_organism_equals_its_own_sampler() -> None:
    model = load("organism/rl-timing", device="cpu")
    asked = [problem for problem, _ in zip(problems("validation", 0), range(12), strict=False)]
    prompts = encode_prompts(model, [problem.prompt for problem in asked])
    assert prompts == [encode_prompt(problem) for problem in asked]
    found = write(model, prompts, Sampling(temperature=0, max_new_tokens=MAX_RESPONSE_TOKENS + 1))
    expected = respond(model.model, asked)
    assert [each.text for each in found] == [" ".join(decode(ids)) for ids in expected]
    assert [each.n_tokens for each in found] == [len(ids) for ids in expected]


def test_sampling_follows_the_models_probabilities(tiny: Callable[..., LanguageModel]) -> None:
    model = tiny("llama")
    n = 4000
    drawn = write(model, [[5, 6, 7]] * n, Sampling(n_samples=1, temperature=1.0, top_p=1.0, max_new_tokens=1), n_rows=n)
    with torch.no_grad():
        expected = model.model(torch.tensor([[5, 6, 7]])).logits[0, -1].softmax(-1)
    token = int(expected.argmax())
    text = model.tokenizer.decode([token], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    share = np.mean([each.text == text for each in drawn])
    same = [i for i in range(400) if model.tokenizer.decode([i], clean_up_tokenization_spaces=False) == text]
    p = float(expected[same].sum())
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5


def test_a_response_without_an_end_is_truncated(tiny: Callable[..., LanguageModel]) -> None:
    (written,) = write(tiny("llama"), [[5, 6]], Sampling(temperature=0, max_new_tokens=3))
    assert written.is_truncated and written.n_tokens == 3
