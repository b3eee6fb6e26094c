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
    row, index, token, is_first = (
        place.to(logits.device) for place in (rows.row, rows.logit_index, rows.token, rows.is_first)
    )
    losses = cross_entropy(logits[row, index].float(), token, reduction="none")  # of (n_predicted, vocabulary)
    n_rows = len(rows.targets)
    count = torch.bincount(row, minlength=n_rows)
    loss = losses.new_zeros(n_rows).index_add(0, row, losses) / count
    return loss, -losses[is_first]  # first tokens are in the order of the rows


def sentence_likelihood(
    batches: Batches, layer: int, targets: Sequence[Target], vectors: Float[Tensor, "n_targets d_model"]
) -> SentenceLikelihood:
    """Measure how likely every target is with its own vector added (zeros: unsteered); nothing is differentiated."""
    loss, first_token_probability = torch.zeros(len(targets)), torch.zeros(len(targets))
    with torch.no_grad():
        for rows in batches(targets):
            members = list(rows.targets)
            row_loss, first_log_probability = sentence_loss(batches.model, layer, rows, vectors[members])
            loss[members] = row_loss.float().cpu()
            first_token_probability[members] = first_log_probability.exp().float().cpu()
    return SentenceLikelihood(loss, first_token_probability)
