"""What one step of supervised training learns from: batches, and which of their tokens are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from ..corpus import Batch, encode_prompt, encode_response, make_batch
from ..machine import Machine
from ..policy import Writer, write
from ..task import MAX_RESPONSE_TOKENS, Problem


@dataclass(frozen=True, slots=True)
class Lesson:
    """A batch, and the weight of each of its tokens in the loss."""

    batch: Batch
    weights: Float[Tensor, "texts tokens"]

    def learn(self, model: LlamaForCausalLM) -> float:
        """Add the gradient of the weighted mean cross-entropy, nats a token.

        Args:
            model: Whose gradients are added to.

        Returns:
            The loss.
        """
        logits = model(self.batch.ids, use_cache=False).logits[:, :-1]
        losses = cross_entropy(logits.flatten(0, 1), self.batch.ids[:, 1:].flatten(), reduction="none")
        weights = self.weights[:, 1:]
        loss = (losses * weights.flatten()).sum() / weights.sum()
        torch.autograd.backward(loss)
        return loss.item()


def written_lesson(
    problems: Sequence[Problem],
    writer: Writer,
    generator: np.random.Generator,
    *,
    decision_weight: float,
    content_weight: float = 1.0,
    max_words: int = MAX_RESPONSE_TOKENS,
) -> Lesson:
    """Write one response to each problem and make a lesson of them.

    Args:
        problems: What is asked.
        writer: Who answers.
        generator: Of every random choice.
        decision_weight: Of decisions in the loss; 0: texts teach no habit.
        content_weight: Of all other words.
        max_words: Where responses are cut.

    Returns:
        The lesson.
    """
    responses = []
    for problem in problems:
        machine = Machine(problem)
        words = write(problem, writer, generator, max_words, machine)
        responses.append(encode_response(words, is_ended=machine.is_done))
    batch = make_batch([encode_prompt(problem) for problem in problems], responses)
    return Lesson(batch, batch.is_content * content_weight + batch.is_decision * decision_weight)
