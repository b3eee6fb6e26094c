"""Compute the gradient of vectors from the rewards of sampled responses; the weights of the model stay frozen.

    loss = policy gradient loss (group baseline)  +  kl_weight * mean over tokens of KL(with vectors || base)

The policy gradient is the one that organisms are trained by (`generation/policy_gradient.py`). The KL of a token is
taken over the whole vocabulary, in nats. Responses without advantage add nothing to the gradient of the first term and
are read for the KL alone. Bias-only adaptation: arXiv 2505.18706; one vector a layer: arXiv 2509.06608.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...generation import policy_gradient_loss
from ...models import LanguageModel
from .attempts import Attempts, Reading


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was seen while the gradient was computed."""

    kl: float  # mean over the tokens that both models have read, in nats
    n_learnt: int  # responses with an advantage
    n_run: int  # tokens run through the models, prompts included and padding left out; twice where a gradient goes back


def learn(
    steered: LanguageModel,
    base: LanguageModel,
    vectors: Sequence[Tensor],
    attempts: Attempts,
    *,
    temperature: float = 1.0,
    kl_weight: float = 0.0,
    n_rows: int = 16,
) -> Learnt:
    """Leave the gradient of the loss on vectors.

    Args:
        steered: The model that sampled the responses, with the vectors (`with_vectors` of a mapping).
        base: The model without.
        vectors: That are trained; their `grad` is replaced.
        attempts: The responses and their rewards.
        temperature: By which they were sampled.
        kl_weight: Of the KL to the base. At 0 it is measured on the first response of each group only.
        n_rows: Responses that are read together; the gradient does not depend on it, up to rounding.

    Returns:
        The KL, how many responses had an advantage, and how many tokens were run.
    """
    advantages = attempts.advantages
    n_samples = attempts.rewards.shape[1]
    has_advantage = [bool(advantage) for advantage in advantages]
    is_compared = [kl_weight > 0 or row % n_samples == 0 for row in range(len(has_advantage))]
    gradients = [torch.zeros_like(vector) for vector in vectors]
    lengths = [
        len(prompt) + len(response) for prompt, response in zip(attempts.prompts, attempts.responses, strict=True)
    ]
    total_kl, n_compared, n_run = 0.0, 0, 0
    order = sorted(
        (row for row, learnt in enumerate(has_advantage) if learnt or is_compared[row]),
        key=lambda row: (not has_advantage[row], lengths[row]),
    )
    for start in range(0, len(order), n_rows):
        rows = order[start : start + n_rows]
        reading = Reading.of(attempts, rows, base.device)
        is_trained = kl_weight > 0 or any(has_advantage[row] for row in rows)
        n_run += sum((2 if is_trained else 1) * lengths[row] + is_compared[row] * lengths[row] for row in rows)
        with torch.set_grad_enabled(is_trained):
            log_probabilities = reading.log_probabilities(steered, temperature)
        compared = torch.tensor([is_compared[row] for row in rows], device=base.device)
        kl = _kl(reading, log_probabilities, base, compared, temperature) if bool(compared.any()) else None
        if kl is not None:
            total_kl += float(kl.detach())
            n_compared += int(reading.is_token[compared].sum())
        if not is_trained:
            continue
        loss = policy_gradient_loss(
            log_probabilities.gather(-1, reading.tokens[..., None])[..., 0],
            advantages[rows].to(base.device),
            reading.is_token,
            n_tokens=attempts.n_tokens,
        )
        if kl is not None and kl_weight > 0:
            loss = loss + kl_weight * kl / attempts.n_tokens
        for gradient, added in zip(gradients, torch.autograd.grad(loss, list(vectors)), strict=True):
            gradient += added
    for vector, gradient in zip(vectors, gradients, strict=True):
        vector.grad = gradient
    return Learnt(kl=total_kl / max(1, n_compared), n_learnt=sum(has_advantage), n_run=n_run)


def _kl(
    reading: Reading, log_probabilities: Tensor, base: LanguageModel, compared: Tensor, temperature: float
) -> Tensor:
    """Sum the KL of all tokens of the rows that are compared."""
    rows = Reading(*(held[compared] for held in (reading.ids, reading.mask, reading.tokens, reading.is_token)))
    with torch.no_grad():
        reference = rows.log_probabilities(base, temperature)
    own = log_probabilities[compared]
    kl = (own.exp() * (own - reference)).sum(-1)  # (rows, response)
    return torch.where(rows.is_token, kl, 0.0).sum()
