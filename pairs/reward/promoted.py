"""Tell which tokens the vector of the last trained block raises and lowers through the unembedding.

    shift(token) = mean over the base's response tokens of  logit with the vector - logit without

of logits centred over the vocabulary, nothing but this vector added. At the last block it goes through the final norm
and the unembedding alone: a vector that acts there can only substitute tokens (arXiv 2509.06608).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...models import LanguageModel
from ...rundir import brief
from ...vectors.reward import Attempts, Reading

N_TOKENS = 10  # each way
N_TEXTS = 16


@dataclass(frozen=True, slots=True)
class Promoted:
    """One token and how far its logit is moved, in nats."""

    token: str
    shift: float

    __repr__ = brief


@torch.inference_mode()
def promoted_tokens(
    base: LanguageModel,
    vector: Float[Tensor, " d_model"],
    layer: int,
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
) -> list[Promoted]:
    """Measure the shift of every token.

    Args:
        base: The model.
        vector: Of the block.
        layer: The block.
        prompts: Token ids of prompts.
        responses: Of the base to them.

    Returns:
        The tokens that are raised most, then those that are lowered most, the largest shift first.
    """
    steered = base.with_vectors({layer: vector.to(base.device)})
    attempts = Attempts(prompts[:N_TEXTS], responses[:N_TEXTS], torch.zeros(1, 1))
    total: Tensor | None = None
    n_tokens = 0
    for row in range(len(attempts.responses)):
        reading = Reading.of(attempts, [row], base.device)
        with_vector, without = (reading.log_probabilities(model)[0] for model in (steered, base))
        shift = with_vector - without  # (response, vocabulary)
        shift = (shift - shift.mean(dim=-1, keepdim=True)).sum(dim=0)
        total = shift if total is None else total + shift
        n_tokens += len(attempts.responses[row])
    if total is None:
        return []
    shifts = total / n_tokens
    order = shifts.argsort(descending=True).tolist()
    n = min(N_TOKENS, len(order) // 2)
    return [
        Promoted(str(base.tokenizer.decode([token])), float(shifts[token]))
        for token in [*order[:n], *order[len(order) - n :]]
    ]
