from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reasonlens.generation import Sampling, encode_prompts, write
from reasonlens.models import LanguageModel, load
from reasonlens.organisms import problems
from reasonlens.organisms import prompt as prompt_of
from reasonlens.organisms.corpus import encode_prompt
from reasonlens.organisms.sampling import respond
from reasonlens.vectors import Direction
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


def test_greedy_writing_of_an_organism_equals_its_own_sampler() -> None:
    model = load("organism/rl", device="cpu")
    asked = [problem for problem, _ in zip(problems("validation", 0), range(12), strict=False)]
    prompts = encode_prompts(model, [prompt_of(problem) for problem in asked])
    assert prompts == [encode_prompt(problem) for problem in asked]
    found = write(model, prompts, Sampling(temperature=0, max_new_tokens=112))
    expected = respond(model.model, asked)
    assert [each.text for each in found] == [each.text for each in expected]
    assert [each.n_tokens for each in found] == [each.n_tokens for each in expected]


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
