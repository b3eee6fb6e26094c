"""How likely a model finds target sentences with a vector added at one block's output.

The vector goes in by the operation that steering itself uses (`steering.operations.add`), at the block's output: what
is trained is what is applied. Every row of a batch has a vector of its own. Nothing before the block is differentiated.
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
from ..steering.operations import add
from .rows import Batches, Rows
from .targets import Target


@dataclass(frozen=True, eq=False, slots=True)
class Likelihood:
    """Of targets, float32."""

    loss: Float[Tensor, " n_targets"]  # mean cross-entropy of the sentence's tokens, in nats
    first: Float[Tensor, " n_targets"]  # probability of its first token


@contextmanager
def frozen(model: LanguageModel) -> Iterator[None]:
    """No weight of the model is trained; each is as before afterwards."""
    weights = [weight for weight in model.model.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


def predicted(
    model: LanguageModel, layer: int, rows: Rows, vectors: Float[Tensor, "rows d_model"]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """The mean cross-entropy of every row's sentence, and the log-probability of its first token."""

    def steer(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        acts = block_output(output)
        steered = add(acts, vectors[:, None].to(acts.device), rows.steered.to(acts.device))
        return (steered, *output[1:]) if isinstance(output, tuple) else steered

    hook = model.blocks[layer].register_forward_hook(steer)
    try:
        logits = model.model(**rows.inputs(), logits_to_keep=rows.predicting).logits  # (row, predicting, vocabulary)
    finally:
        hook.remove()
    losses = cross_entropy(logits[rows.row, rows.place].float(), rows.token.to(logits.device), reduction="none")
    row, is_first = rows.row.to(losses.device), rows.is_first.to(losses.device)
    n_rows = len(rows.targets)
    count = torch.bincount(row, minlength=n_rows)
    loss = losses.new_zeros(n_rows).index_add(0, row, losses) / count
    return loss, -losses[is_first]  # first tokens come in the order of the rows


def likelihood(
    batches: Batches, layer: int, targets: Sequence[Target], vectors: Float[Tensor, "n_targets d_model"]
) -> Likelihood:
    """Of every target with its own vector added (zeros: unsteered); nothing is differentiated."""
    loss, first = torch.zeros(len(targets)), torch.zeros(len(targets))
    with torch.no_grad():
        for rows in batches(targets):
            here = list(rows.targets)
            found, log_first = predicted(batches.model, layer, rows, vectors[here])
            loss[here], first[here] = found.float().cpu(), log_first.exp().float().cpu()
    return Likelihood(loss, first)
