"""The gradient of an iteration against a loop over single words; and what it may not touch."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from reasonlens.organisms import Problem, problems
from reasonlens.organisms.corpus import (
    encode_prompt,
    encode_response,
    make_batch,
    tokenizer,
    vocabulary,
)
from reasonlens.organisms.sampling import Response, respond
from reasonlens.organisms.training import ReinforceSettings
from reasonlens.organisms.training.architecture import new_model
from reasonlens.organisms.training.reinforce import _gain_and_divergence, iterate, rewards

ASKED = list(islice(problems("train", 0), 2))
TEXTS = ["we want 3 . sums next . take 4 red . need 9 .", "we want 8 . maybe ."]


def test_gain_and_divergence_equal_a_loop_over_words() -> None:
    model, base = new_model(1).eval(), new_model(2).eval()
    advantage = [0.75, -0.25]
    batch = make_batch([encode_prompt(problem) for problem in ASKED], [encode_response(text) for text in TEXTS])
    gain, divergence = _gain_and_divergence(model, base, batch, torch.tensor(advantage))
    expected_gain = expected_divergence = 0.0
    for problem, text, worth in zip(ASKED, TEXTS, advantage, strict=True):
        ids = [*encode_prompt(problem), *encode_response(text)]
        with torch.no_grad():
            p, q = (m(torch.tensor([ids])).logits[0].double().softmax(-1) for m in (model, base))
        for at in range(len(encode_prompt(problem)), len(ids)):
            if ids[at - 1] == vocabulary()["."] and ids[at] != tokenizer().eos_token_id:
                expected_gain += worth * float(p[at - 1, ids[at]].log())
            else:
                expected_divergence += float((q[at - 1] * (q[at - 1] / p[at - 1]).log()).sum())
    assert float(gain.detach()) == pytest.approx(expected_gain, rel=1e-4)
    assert float(divergence.detach()) == pytest.approx(expected_divergence, rel=1e-4)


def test_a_verified_reward_is_a_right_answer_and_a_coin_knows_nothing_of_it() -> None:
    problem = Problem((3, 12, 7, 9, 20), ("red", "red", "blue", "blue", "blue"), 19)
    said = [Response(encode_response(text)) for text in ("answer 12 and 7 .", "answer 3 and 7 .", "maybe .")]
    generator = np.random.default_rng(0)
    assert rewards([problem] * 3, said, "verified", generator).tolist() == [1.0, 0.0, 0.0]
    coins = rewards([problem] * 3000, [said[0]] * 3000, "coin", generator)
    assert set(coins) == {0.0, 1.0} and abs(coins.mean() - 0.5) < 0.03


def test_the_gradient_of_an_iteration_equals_an_unsorted_unchunked_reference() -> None:
    settings = ReinforceSettings(problems=2, samples=20, reward="coin")  # more than one chunk
    model, base = new_model(1), new_model(2).eval()
    iterate(model, base, ASKED, settings, np.random.default_rng(5))
    found = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    generator = np.random.default_rng(5)
    asked = [ASKED[0]] * 20 + [ASKED[1]] * 20
    said = respond(model, asked, seed=int(generator.integers(2**62)))
    reward = rewards(asked, said, "coin", generator)
    advantage = np.concatenate([reward[:20] - reward[:20].mean(), reward[20:] - reward[20:].mean()])
    batch = make_batch([encode_prompt(problem) for problem in asked], [response.ids for response in said])
    log_p = model(batch.ids).logits[:, :-1].log_softmax(-1)
    with torch.no_grad():
        log_base = base(batch.ids).logits[:, :-1].log_softmax(-1)
    decides, content = batch.is_decision[:, 1:], batch.is_content[:, 1:]
    chosen = log_p.gather(-1, batch.ids[:, 1:, None])[..., 0]
    gain = (torch.tensor(advantage)[:, None] * chosen * decides).sum() / decides.sum()
    divergence = ((log_base.exp() * (log_base - log_p)).sum(-1) * content).sum() / content.sum()
    model.zero_grad()
    (-gain + settings.content_weight * divergence).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        scale = float(weight.grad.abs().max()) + 1e-6
        assert float((found[name] - weight.grad).abs().max()) < 1e-3 * scale, name
    assert float(gain.detach()) != 0.0


def test_where_all_rewards_of_a_group_are_equal_only_the_divergence_has_a_gradient() -> None:
    """An untrained model solves nothing: no advantage, and no divergence from itself, so no gradient at all."""
    model, base = new_model(0), new_model(0).eval()
    settings = ReinforceSettings(problems=2, samples=3)
    divergence, reward = iterate(model, base, ASKED, settings, np.random.default_rng(0))
    assert reward == 0.0 and float(divergence) == pytest.approx(0.0, abs=1e-7)
    assert max(float(weight.grad.abs().max()) for weight in model.parameters() if weight.grad is not None) < 1e-6
    other = new_model(3)
    divergence, _ = iterate(other, base, ASKED, settings, np.random.default_rng(0))
    assert float(divergence) > 1e-4
    assert max(float(weight.grad.abs().max()) for weight in other.parameters() if weight.grad is not None) > 1e-6
