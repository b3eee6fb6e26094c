"""Measure how likely a model finds target sentences with a vector added to one block's output.

The vector is added by the operation that steering itself uses (`steering.operations.add`), at the block's output: what
is optimised is what is applied. Every row of a batch has its own vector. Nothing before the block is differentiated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...models import LanguageModel
from ...models.blocks import block_output
from ...models.device_copies import uploaded
from ...models.one_pass import one_pass
from ..steering.operations import add
from .rows import Batches, Rows
from .targets import Target


@dataclass(frozen=True, eq=False, slots=True)
class SentenceLikelihood:
    """How likely each target sentence is, float32."""

    loss: Float[Tensor, " n_targets"]  # mean cross-entropy of the sentence's tokens, in nats
    first_token_probability: Float[Tensor, " n_targets"]


@contextmanager
def frozen(model: LanguageModel) -> Iterator[None]:
    """Freeze the weights of the model inside the block; afterwards each is trainable again if it was before."""
    weights = [weight for weight in model.model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def sentence_loss(
    model: LanguageModel, layer: int, rows: Rows, vectors: Float[Tensor, "rows d_model"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """Compute the mean cross-entropy of every row's sentence, and the log-probability of its first token."""

    def add_vectors(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        activations = block_output(output)
        steered = add(activations, vectors[:, None].to(activations.device), rows.steering_mask.to(activations.device))
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    with one_pass(model, {layer: add_vectors}):
        logits = model.model(**rows.inputs(), logits_to_keep=rows.logit_positions.to(model.output_device)).logits
    row, index, token, first, n_tokens = (
        place.to(logits.device) for place in (rows.row, rows.logit_index, rows.token, rows.first, rows.n_tokens)
    )
    losses = cross_entropy(logits[row, index].float(), token, reduction="none")  # of (n_predicted, vocabulary)
    loss = losses.new_zeros(len(rows.targets)).index_add(0, row, losses) / n_tokens
    return loss, -losses[first]


def sentence_likelihood(
    batches: Batches, layer: int, targets: Sequence[Target], vectors: Float[Tensor, "n_targets d_model"]
) -> SentenceLikelihood:
    """Measure how likely every target is with its own vector added (zeros: unsteered); nothing is differentiated."""
    members: list[int] = []
    parts: list[Float[Tensor, "two rows"]] = []  # looked at when all batches have run
    with torch.no_grad():
        for rows in batches(targets):
            members += rows.targets
            own = vectors[uploaded(list(rows.targets), vectors.device)]
            row_loss, first_log_probability = sentence_loss(batches.model, layer, rows, own)
            parts.append(torch.stack([row_loss.float(), first_log_probability.exp().float()]))
    result = torch.zeros(2, len(targets))
    if parts:
        result[:, members] = torch.cat(parts, dim=1).cpu()
    return SentenceLikelihood(result[0], result[1])
