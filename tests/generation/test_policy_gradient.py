"""The policy-gradient loss against hand computations, finite differences and the gradient of an expected reward."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from reasonlens.generation import group_advantages, policy_gradient_loss

PROBABILITIES = torch.tensor([[0.5, 0.2, 0.9], [0.1, 0.4, 0.3]], dtype=torch.float64)
ADVANTAGES = torch.tensor([1.0, -0.5], dtype=torch.float64)
MASK = torch.tensor([[True, True, False], [True, True, True]])


def test_the_loss_is_the_sum_by_hand() -> None:
    by_hand = -(log(0.5) + log(0.2) - 0.5 * (log(0.1) + log(0.4) + log(0.3))) / 5
    assert policy_gradient_loss(PROBABILITIES.log(), ADVANTAGES, MASK).item() == pytest.approx(by_hand)


def test_tokens_off_the_mask_have_no_part_even_where_they_are_impossible() -> None:
    log_probabilities = PROBABILITIES.log()
    log_probabilities[0, 2] = -torch.inf
    log_probabilities.requires_grad_()
    loss = policy_gradient_loss(log_probabilities, ADVANTAGES, MASK)
    (gradient,) = torch.autograd.grad(loss, log_probabilities)
    assert loss.item() == pytest.approx(policy_gradient_loss(PROBABILITIES.log(), ADVANTAGES, MASK).item())
    assert gradient[0, 2] == 0
    assert gradient.isfinite().all()


def test_clipping_stops_gains_and_not_losses() -> None:
    sampled = torch.tensor([[0.25, 0.25, 0.5], [0.3, 0.4, 0.2]], dtype=torch.float64)
    # ratios 2 and 0.8 of the first; 1/3, 1 and 1.5 of the second, whose advantage is negative
    by_hand = -(1.2 + 0.8 - 0.5 * (0.8 + 1.0 + 1.5)) / 5
    loss = policy_gradient_loss(
        PROBABILITIES.log(), ADVANTAGES, MASK, sampled_log_probabilities=sampled.log(), clip=0.2
    )
    assert loss.item() == pytest.approx(by_hand)
    unclipped = policy_gradient_loss(PROBABILITIES.log(), ADVANTAGES, MASK, sampled_log_probabilities=sampled.log())
    assert unclipped.item() == pytest.approx(-(2 + 0.8 - 0.5 * (1 / 3 + 1 + 1.5)) / 5)


@pytest.mark.parametrize("clip", [None, 0.2])
def test_the_gradient_agrees_with_finite_differences(clip: float | None) -> None:
    sampled = (PROBABILITIES * torch.tensor([0.97, 1.04, 0.6])).log()

    def loss(log_probabilities: Tensor) -> Tensor:
        return policy_gradient_loss(log_probabilities, ADVANTAGES, MASK, sampled_log_probabilities=sampled, clip=clip)

    assert torch.autograd.gradcheck(loss, PROBABILITIES.log().requires_grad_())


def test_on_fresh_samples_ratios_and_log_probabilities_have_one_gradient() -> None:
    log_probabilities = PROBABILITIES.log().requires_grad_()
    of_log = torch.autograd.grad(policy_gradient_loss(log_probabilities, ADVANTAGES, MASK), log_probabilities)[0]
    loss = policy_gradient_loss(
        log_probabilities, ADVANTAGES, MASK, sampled_log_probabilities=log_probabilities.detach(), clip=0.2
    )
    assert torch.allclose(torch.autograd.grad(loss, log_probabilities)[0], of_log)


def test_its_mean_over_samples_is_the_gradient_of_the_expected_reward() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([0.3, -0.2, 0.5], dtype=torch.float64, requires_grad=True)
    rewards = torch.tensor([1.0, 0.0, 0.2], dtype=torch.float64)
    (exact,) = torch.autograd.grad((logits.softmax(0) * rewards).sum(), logits)
    tokens = torch.multinomial(logits.softmax(0).detach(), 400_000, replacement=True, generator=generator)
    n_samples = 8
    advantages = group_advantages(rewards[tokens].reshape(-1, n_samples)).reshape(-1) * n_samples / (n_samples - 1)
    loss = policy_gradient_loss(logits.log_softmax(0)[tokens][:, None], advantages, torch.ones(len(tokens), 1).bool())
    (sampled,) = torch.autograd.grad(-loss, logits)
    assert torch.allclose(sampled, exact, atol=0.003)
    assert not torch.allclose(sampled, torch.zeros(3, dtype=torch.float64), atol=0.05)


def test_parts_of_a_batch_add_up_to_it() -> None:
    parts = [
        policy_gradient_loss(
            PROBABILITIES.log()[row : row + 1], ADVANTAGES[row : row + 1], MASK[row : row + 1], n_tokens=5
        )
        for row in range(2)
    ]
    assert sum(parts).item() == pytest.approx(policy_gradient_loss(PROBABILITIES.log(), ADVANTAGES, MASK).item())


@pytest.mark.parametrize("n_samples", [2, 8, 12])
def test_advantages_sum_to_zero_and_are_exactly_zero_where_rewards_are_equal(n_samples: int) -> None:
    """The mean of equal numbers is not always that number: of twelve tenths in float32 it is not."""
    rewards = torch.stack([torch.full((n_samples,), 0.1), torch.arange(float(n_samples))])
    advantages = group_advantages(rewards)
    assert not advantages[0].any() and float(advantages[1].sum()) == pytest.approx(0)
    assert torch.equal(advantages[1], rewards[1] - rewards[1].mean())
