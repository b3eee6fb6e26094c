"""Reinforcement learning: what is rewarded, and the gradient of an iteration against a plain reference."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from reasonlens.organisms.corpus import encode_prompt, make_batch
from reasonlens.organisms.labeller import Reading, read
from reasonlens.organisms.policy import IDEAL, Writer, write
from reasonlens.organisms.sampling import respond
from reasonlens.organisms.task import problems
from reasonlens.organisms.training import ReinforceSettings
from reasonlens.organisms.training.architecture import new_model
from reasonlens.organisms.training.reinforce import reinforce_gradients, rewards

ASKED = list(islice(problems("train", 0, "hue"), 2))
SETTINGS = ReinforceSettings(iterations=2, problems=2, samples=3, reward="random")


def gradients_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def test_an_outcome_a_format_and_a_coin_are_rewarded() -> None:
    generator = np.random.default_rng(0)
    whole = write(ASKED[0], Writer(IDEAL), generator, max_words=10**6)
    nonsense = [*whole[:-3], "kiwi", "."]
    readings = [read(ASKED[0], words) for words in (whole, whole[-3:], whole[:-3], nonsense)]
    assert rewards(readings, ReinforceSettings(), generator).tolist() == [1.0, 0.0, 0.0, -0.5]
    assert rewards(readings, ReinforceSettings(reward="format"), generator).tolist() == [1.0, 1.0, 0.0, -0.5]
    coins = rewards([Reading((), is_solved=True, is_ended=True)] * 3000, SETTINGS, generator)
    assert set(coins.tolist()) == {0.0, 1.0}
    assert abs(float(coins.mean()) - 0.5) < 0.05


@pytest.mark.parametrize("updates", [1, 2])
def test_the_gradient_of_a_first_update_equals_an_unchunked_reference(updates: int) -> None:
    model = new_model(1)
    reinforce_gradients(model, ASKED, replace(SETTINGS, updates=updates), seed=5)(0)
    computed = gradients_of(model)

    generator = np.random.default_rng([5, 0])
    asked = [ASKED[0]] * 3 + [ASKED[1]] * 3
    responses = respond(model.eval(), asked, seed=int(generator.integers(2**62)))
    reward = torch.from_numpy(generator.integers(0, 2, 6)).float()
    advantages = torch.cat([reward[:3] - reward[:3].mean(), reward[3:] - reward[3:].mean()])
    batch = make_batch([encode_prompt(problem) for problem in asked], responses)
    model.zero_grad()
    log_probabilities = model(batch.ids).logits[:, :-1].log_softmax(-1).gather(-1, batch.ids[:, 1:, None])[..., 0]
    is_response = batch.is_response[:, 1:]
    loss = -(advantages[:, None] * log_probabilities * is_response).sum() / is_response.sum()
    torch.autograd.backward(loss)
    reference = gradients_of(model)
    assert reference["model.layers.0.mlp.up_proj.weight"].abs().max() > 0
    for name, gradient in reference.items():
        assert torch.allclose(computed[name], gradient, atol=1e-6), name


def test_a_second_update_reads_the_responses_of_the_first_and_the_next_iteration_new_ones() -> None:
    model = new_model(1)
    gradients = reinforce_gradients(model, ASKED, replace(SETTINGS, updates=2), seed=5)
    first = dict(gradients(0))
    assert dict(gradients(1)) == first
    assert dict(gradients(2)) != first
