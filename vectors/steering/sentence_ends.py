"""A controller that steers where the next sentence is chosen: at the last token of a sentence.

A direction read at the token before a sentence means "about to", and does its work where something is about to begin;
added to every token it says so all the time, and breaks what is being said.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...models import LanguageModel
from ...rundir import InputError
from .steering import Controller
from .step import Step

CLOSING = "\"'”’)]*"


def ends_sentence(model: LanguageModel) -> Bool[Tensor, " vocabulary"]:
    """For each token of the vocabulary, whether its text ends with . ! ? ; or a newline, quotes and brackets aside."""
    n_tokens = len(next(model.model.get_input_embeddings().parameters()))
    texts = model.tokenizer.batch_decode([[token] for token in range(min(n_tokens, len(model.tokenizer)))])
    found = torch.zeros(n_tokens, dtype=torch.bool)
    for token, text in enumerate(texts):
        found[token] = text.endswith("\n") or text.rstrip(" " + CLOSING).endswith((".", "!", "?", ";"))
    return found


def at_sentence_ends(model: LanguageModel) -> Controller:
    """Steers the tokens that end a sentence, and the last of the prompt, where the first one is chosen.

    A point inside a number or an abbreviation counts too, if it is the end of a token.
    """
    table = ends_sentence(model)

    def controller(acts: Float[Tensor, "rows tokens d_model"], step: Step) -> Bool[Tensor, "rows tokens"]:
        nonlocal table
        if step.ids is None:
            raise InputError("sentence ends can only be seen in token ids, and the model is given embeddings")
        table = table.to(step.ids.device)
        ends = table[step.ids]
        if step.n_prompt is None:
            return ends
        return ends | (step.positions == step.n_prompt[:, None] - 1)

    return controller
