"""Reinforcement learning that can change when a model does something, and not how.

Each iteration samples groups of responses to a few problems, rewards each response (GRPO without the division by the
spread: advantage = reward - mean reward of its group), and takes one step on

    - mean over decisions of  advantage * log p(first word)
    + 10 * mean over content tokens of  KL(base || model)

The policy gradient reaches the first words of sentences only. An unrestricted one also shortens responses and spoils
their wording; the KL term keeps the words what they were. Rewards: whether the answer is right (`verified`), or a coin
(`coin`), which tells what the procedure does by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from ..corpus import Batch, encode_prompt, make_batch
from ..sampling import Response, respond, solved
from ..task import Problem

Reward = Literal["verified", "coin"]


@dataclass(frozen=True, slots=True)
class ReinforceSettings:
    """iterations: steps of the optimiser. problems, samples: groups an iteration, responses a group."""

    iterations: int = 120
    problems: int = 14
    samples: int = 16
    learning_rate: float = 2e-4
    content_weight: float = 10.0
    reward: Reward = "verified"


def rewards(
    problems: Sequence[Problem], responses: Sequence[Response], kind: Reward, generator: np.random.Generator
) -> np.ndarray:
    if kind == "coin":
        return generator.integers(0, 2, len(responses)).astype(np.float64)
    return solved(problems, responses)


def iterate(
    model: PreTrainedModel,
    base: PreTrainedModel,
    problems: Sequence[Problem],
    settings: ReinforceSettings,
    generator: np.random.Generator,
) -> tuple[Tensor, float]:
    """Gradients of one iteration, left on the model. Returns content KL (nats a token) and the mean reward."""
    repeated_problems = [problem for problem in problems for _ in range(settings.samples)]
    model.eval()
    responses = respond(model, repeated_problems, seed=int(generator.integers(2**62)))
    reward = rewards(repeated_problems, responses, settings.reward, generator)
    groups = reward.reshape(len(problems), settings.samples)
    advantage = (groups - groups.mean(1, keepdims=True)).reshape(-1)
    order = sorted(range(len(repeated_problems)), key=lambda row: responses[row].n_tokens)
    chunks = [order[at : at + 32] for at in range(0, len(order), 32)]
    batches = [
        make_batch([encode_prompt(repeated_problems[row]) for row in rows], [responses[row].ids for row in rows])
        for rows in chunks
    ]
    n_decisions = sum(int(batch.is_decision.sum()) for batch in batches)
    n_content = sum(int(batch.is_content.sum()) for batch in batches)
    total_divergence = torch.zeros(())
    model.train()
    for rows, batch in zip(chunks, batches, strict=True):
        gain, divergence = _gain_and_divergence(model, base, batch, torch.tensor(advantage[rows]).float())
        torch.autograd.backward(-gain / n_decisions + settings.content_weight * divergence / n_content)
        total_divergence += divergence.detach()
    return total_divergence / n_content, float(reward.mean())


def _gain_and_divergence(
    model: PreTrainedModel, base: PreTrainedModel, batch: Batch, advantage: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum over decisions of advantage * log p, and sum over content tokens of KL(base || model)."""
    ids, is_decision, is_content = batch.ids[:, 1:], batch.is_decision[:, 1:], batch.is_content[:, 1:]
    log_p = model(batch.ids, use_cache=False).logits[:, :-1].log_softmax(-1)
    with torch.no_grad():
        log_base = base(batch.ids, use_cache=False).logits[:, :-1].log_softmax(-1)
    token_log_p = log_p.gather(-1, ids[..., None])[..., 0]
    gain = (advantage[:, None] * token_log_p * is_decision).sum()
    divergence = ((log_base.exp() * (log_base - log_p)).sum(-1) * is_content).sum()
    return gain, divergence
