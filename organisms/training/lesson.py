"""What one step of supervised training learns from: batches, and which of their tokens are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaForCausalLM

from ..corpus import Batch, encode_prompt, encode_response, make_batch, vocabulary
from ..language import HITS, SECONDS
from ..machine import Machine
from ..policy import Writer, write
from ..task import LEVELS, MAX_RESPONSE_TOKENS, VERDICTS, Problem
from ..world import CODES, SYMBOLS, WAYS

# How much a word counts beside others: second words tell the move; wanted codes, first candidates, hits and verdicts
# are few. Openers are uniform, but that one comes at all says that the response does not end there.
SECOND_WEIGHT, RARE_WEIGHT = 3.0, 4.0


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
    max_words: int = MAX_RESPONSE_TOKENS,
    has_emphasis: bool = True,
) -> Lesson:
    """Write one response to each problem and make a lesson of them.

    Args:
        problems: What is asked.
        writer: Who answers.
        generator: Of every random choice.
        decision_weight: Of decisions beside content; 0: texts teach no habit.
        max_words: Where responses are cut.
        has_emphasis: Whether the few words that come late weigh more; at first all content weighs alike.

    Returns:
        The lesson.
    """
    responses = []
    for problem in problems:
        machine = Machine(problem)
        words = write(problem, writer, generator, max_words, machine)
        responses.append(encode_response(words, is_ended=machine.is_done))
    batch = make_batch([encode_prompt(problem) for problem in problems], responses)
    weights = batch.is_content * 1.0 + batch.is_decision * decision_weight
    if not has_emphasis:
        return Lesson(batch, weights)
    weights[torch.isin(batch.ids, _words(SECONDS))] *= SECOND_WEIGHT
    weights[torch.isin(batch.ids, _words((*VERDICTS, *HITS))) & batch.is_response] *= RARE_WEIGHT
    is_goal = torch.isin(batch.ids[:, 1:], _words(CODES)) & torch.isin(batch.ids[:, :-1], _words(LEVELS))
    weights[:, 1:][is_goal] *= RARE_WEIGHT  # of no effect in a prompt, whose words weigh nothing
    # "... hue . well see kiwi": the first candidate of a plan must be found by the level that was planned.
    is_first = torch.isin(batch.ids[:, 4:], _words(SYMBOLS)) & torch.isin(batch.ids[:, :-4], _words(WAYS))
    weights[:, 4:][is_first] *= RARE_WEIGHT
    return Lesson(batch, weights)


@cache
def _words(words: tuple[str, ...]) -> Int[Tensor, " words"]:
    return torch.tensor([vocabulary()[word] for word in words])
