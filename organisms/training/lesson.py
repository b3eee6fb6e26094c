"""What one step of supervised training learns from: a batch, and how much each of its tokens weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from ..corpus import Batch


@dataclass(frozen=True, slots=True)
class Lesson:
    """A batch, the weight of each of its tokens, and the mean total weight of the lessons it came with."""

    batch: Batch
    weight: Float[Tensor, "texts tokens"]
    scale: float

    def loss(self, model: PreTrainedModel) -> Tensor:
        """Weighted cross-entropy, nats a token of the average lesson.

        Batches are of like length; were each divided by its own weight, a token of a short text would count for more
        than one of a long text, and a model would learn the policy of those who answer early.
        """
        logits = model(self.batch.ids, use_cache=False).logits[:, :-1]
        token_losses = cross_entropy(logits.flatten(0, 1), self.batch.ids[:, 1:].flatten(), reduction="none")
        return (token_losses * self.weight[:, 1:].flatten()).sum() / self.scale


def make_lessons(weighted: Sequence[tuple[Batch, Float[Tensor, "texts tokens"]]]) -> list[Lesson]:
    """Lessons that count by their weight within this set, and on average one."""
    scale = float(sum(weight.sum() for _, weight in weighted)) / len(weighted)
    return [Lesson(batch, weight, scale) for batch, weight in weighted]
