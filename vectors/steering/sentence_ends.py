"""Steer where the next sentence is chosen: at the last token of a sentence.

A direction read at the token before a sentence means "about to begin", so that is where it acts. Added to every token
it is present all the time, and disrupts the sentences themselves.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...models import LanguageModel
from ...models.device_copies import DeviceCopies
from ...rundir import InputError
from .steering import Controller
from .step import Step

SENTENCES = "sentences"  # for `when`: steer where a sentence of the response begins
CLOSING = "\"'”’)]*"


def ends_sentence(model: LanguageModel) -> Bool[Tensor, " vocabulary"]:
    """Find the tokens whose text ends a sentence: with . ! ? ; or a newline, quotes and brackets aside."""
    n_tokens = len(next(model.model.get_input_embeddings().parameters()))
    texts = model.tokenizer.batch_decode([[token] for token in range(min(n_tokens, len(model.tokenizer)))])
    is_end = torch.zeros(n_tokens, dtype=torch.bool)
    for token, text in enumerate(texts):
        is_end[token] = text.endswith("\n") or text.rstrip(" " + CLOSING).endswith((".", "!", "?", ";"))
    return is_end


def at_sentence_ends(model: LanguageModel) -> Controller:
    """Make a controller that steers the tokens that end a sentence, and the last token of the prompt.

    A point in a number or an abbreviation counts as an end too, if a token ends with it.

    Args:
        model: The model that will be steered; its tokenizer decides which tokens end a sentence.

    Returns:
        The controller, for `steer(..., controller=...)`. It raises InputError if the model is called with embeddings
        instead of token ids.
    """
    copies = DeviceCopies(ends_sentence(model))

    def controller(activations: Float[Tensor, "rows tokens d_model"], step: Step) -> Bool[Tensor, "rows tokens"]:
        if step.ids is None:
            raise InputError(
                "sentence ends can only be seen in token ids, and the model is given embeddings; call it with input_ids"
            )
        ends: Tensor = copies.on(step.ids.device)[step.ids]
        if step.n_prompt is None:
            return ends
        return ends | (step.positions == step.n_prompt[:, None] - 1)

    return controller
