"""Compute the policy-gradient loss of sampled responses: tensors only, for any model.

    loss = - sum over tokens of  advantage * log p(token)  / number of tokens

with one advantage a response. For several updates on the same responses log p gives way to the ratio to the probability
that the token was sampled with, clipped so that no update gains by moving a token further than a factor 1 +- clip
(Schulman et al. 2017, arXiv 1707.06347):

    loss = - sum of  min(ratio * advantage, clamp(ratio, 1 - clip, 1 + clip) * advantage)  / number of tokens

The group baseline (Shao et al. 2024, arXiv 2402.03300, without the division by the spread of the group, which favours
problems that are nearly always or nearly never solved: Liu et al. 2025, arXiv 2503.20783) is `group_advantages`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def group_advantages(rewards: Float[Tensor, "groups samples"]) -> Float[Tensor, "groups samples"]:
    """Subtract from each reward the mean of its group.

    Args:
        rewards: Of the responses to each problem.

    Returns:
        The advantages; they sum to 0 in every group, and are exactly 0 where its rewards are equal.
    """
    is_constant = rewards.amax(dim=1, keepdim=True) == rewards.amin(dim=1, keepdim=True)
    return torch.where(is_constant, 0.0, rewards - rewards.mean(dim=1, keepdim=True))


def policy_gradient_loss(
    log_probabilities: Float[Tensor, "responses tokens"],
    advantages: Float[Tensor, " responses"],
    mask: Bool[Tensor, "responses tokens"],
    *,
    sampled_log_probabilities: Float[Tensor, "responses tokens"] | None = None,
    clip: float | None = None,
    n_tokens: int | None = None,
) -> Float[Tensor, ""]:
    """Compute the loss whose gradient is the negative policy gradient.

    Args:
        log_probabilities: Of the tokens that were sampled, in nats, by the model in training.
        advantages: One for each response.
        mask: The tokens that are learnt from; values elsewhere do not count.
        sampled_log_probabilities: Of the same tokens by the model that sampled them; None: they were sampled by the
            model as it is, and the loss is that of log p.
        clip: How far a ratio may count, such as 0.2; None: ratios are not clipped.
        n_tokens: What the sum is divided by, where these responses are a part of a batch; None: the tokens of `mask`.

    Returns:
        The loss, a scalar.
    """
    log_probabilities = torch.where(mask, log_probabilities, 0.0)
    divisor = max(1, int(mask.sum()) if n_tokens is None else n_tokens)
    weights = advantages[:, None] * mask  # (responses, tokens)
    if sampled_log_probabilities is None:
        return -(weights * log_probabilities).sum() / divisor
    ratios = (log_probabilities - torch.where(mask, sampled_log_probabilities, 0.0)).exp()
    gains = weights * ratios
    if clip is not None:
        gains = torch.minimum(gains, weights * ratios.clamp(1 - clip, 1 + clip))
    return -gains.sum() / divisor
