"""Reinforcement learning as people do it: the policy gradient on every token of a response, outcome reward, no KL.

Each iteration samples groups of responses to a few problems and rewards each of them; the advantage is the reward less
the mean of the group. A response with a sentence off the grammar loses half a point, since a reward for the answer
alone lets a model leave the language. With several updates an iteration, ratios to the sampling probabilities are
clipped. Responses without advantage add nothing to the gradient and are not read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import LlamaForCausalLM

from ...generation import group_advantages, policy_gradient_loss
from ..corpus import Batch, encode_prompt, make_batch
from ..labeller import Reading
from ..sampling import readings, respond
from ..task import Problem

Reward = Literal["outcome", "random", "format"]

N_ROWS = 32  # responses read together


@dataclass(frozen=True, slots=True)
class ReinforceSettings:
    """Hold how a model is reinforced.

    Args:
        iterations: Of sampling and learning.
        problems: Groups of an iteration.
        samples: Responses of a group.
        learning_rate: At its peak.
        reward: Of a right outcome, of a coin, or of a grammatical response that comes to an answer.
        penalty: Of a response with a sentence off the grammar.
        updates: Steps of the optimiser an iteration, each on all its responses.
        clip: How far ratios count where there are several updates.
    """

    iterations: int = 60
    problems: int = 8
    samples: int = 12
    learning_rate: float = 3e-4
    reward: Reward = "outcome"
    penalty: float = 0.5
    updates: int = 1
    clip: float = 0.2


def rewards(
    responses: Sequence[Reading], settings: ReinforceSettings, generator: np.random.Generator
) -> Float[Tensor, " responses"]:
    """Reward each response.

    Args:
        responses: As the labeller reads them.
        settings: What is rewarded.
        generator: Of the coin.

    Returns:
        The rewards.
    """
    if settings.reward == "random":
        return torch.from_numpy(generator.integers(0, 2, len(responses)).astype(np.float32))
    values = [
        float(reading.is_solved if settings.reward == "outcome" else reading.is_ended)
        - settings.penalty * (not reading.is_grammatical)
        for reading in responses
    ]
    return torch.tensor(values)


@dataclass(frozen=True, eq=False, slots=True)
class _Chunk:
    """Some of the responses of an iteration."""

    batch: Batch
    advantages: Float[Tensor, " responses"]
    n_tokens: int  # of all responses of the iteration
    sampled: list[Tensor]  # log probabilities at the first update; empty before it

    def learn(self, model: LlamaForCausalLM, settings: ReinforceSettings) -> None:
        """Add the gradient of this part."""
        logits = model(self.batch.ids, use_cache=False).logits[:, :-1]
        log_probabilities = logits.log_softmax(-1).gather(-1, self.batch.ids[:, 1:, None])[..., 0]
        if not self.sampled:
            self.sampled.append(log_probabilities.detach())
        is_clipped = settings.updates > 1
        loss = policy_gradient_loss(
            log_probabilities,
            self.advantages,
            self.batch.is_response[:, 1:],
            sampled_log_probabilities=self.sampled[0] if is_clipped else None,
            clip=settings.clip if is_clipped else None,
            n_tokens=self.n_tokens,
        )
        torch.autograd.backward(loss)


def reinforce_gradients(
    model: LlamaForCausalLM, pool: Sequence[Problem], settings: ReinforceSettings, seed: int
) -> Callable[[int], Mapping[str, float]]:
    """Make the gradients of each step of the optimiser, for `loop.train`.

    Args:
        model: What is trained.
        pool: The problems, in the order in which they are asked; asked again from the first where they run out.
        settings: How it is trained.
        seed: Of every draw, together with the iteration's number.

    Returns:
        A function of the step's number. The first step of an iteration samples its responses, so a run must be taken
        up again at such a step.
    """
    chunks: list[_Chunk] = []
    shown: dict[str, float] = {}

    def gradients(step: int) -> Mapping[str, float]:
        iteration, update = divmod(step, settings.updates)
        if update == 0:
            chunks[:] = _sampled_chunks(
                model, pool, settings, np.random.default_rng([seed, iteration]), iteration, shown
            )
        model.train()
        for chunk in chunks:
            chunk.learn(model, settings)
        return shown

    return gradients


def _sampled_chunks(
    model: LlamaForCausalLM,
    pool: Sequence[Problem],
    settings: ReinforceSettings,
    generator: np.random.Generator,
    iteration: int,
    shown: dict[str, float],
) -> list[_Chunk]:
    first = iteration * settings.problems
    group_problems = [pool[number % len(pool)] for number in range(first, first + settings.problems)]
    group_problems = [problem for problem in group_problems for _ in range(settings.samples)]
    model.eval()
    responses = respond(model, group_problems, seed=int(generator.integers(2**62)))
    read = readings(group_problems, responses)
    reward = rewards(read, settings, generator)
    advantages = group_advantages(reward.view(settings.problems, settings.samples)).flatten()
    rows = sorted((int(row) for row in advantages.nonzero()[:, 0]), key=lambda row: len(responses[row]))
    n_tokens = sum(map(len, responses))
    shown |= {
        "reward": float(reward.mean()),
        "solved": float(np.mean([reading.is_solved for reading in read])),
        "off": float(np.mean([not reading.is_grammatical for reading in read])),
        "tokens": n_tokens / len(responses),
    }
    chunks = []
    for start in range(0, len(rows), N_ROWS):
        part = rows[start : start + N_ROWS]
        batch = make_batch([encode_prompt(group_problems[row]) for row in part], [responses[row] for row in part])
        chunks.append(_Chunk(batch, advantages[part], n_tokens, []))
    return chunks
