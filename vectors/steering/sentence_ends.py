"""Steer where the next sentence is chosen: at the last token of a sentence, or from there on to the sentence's end.

    dose(t) = strength x decay^t        t tokens after the last token of the sentence before; a new sentence starts anew

A direction read at the token before a sentence means "about to begin", so that is where it acts. Added to every token
it is present all the time, and disrupts the sentences themselves. But a behaviour takes more than its first token: with
a decay above 0 the dose fades from there on. A dose of less than a hundredth of the first is none.
"""

from __future__ import annotations

from math import floor, inf, log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ...models import LanguageModel
from ...models.device_copies import DeviceCopies
from ...rundir import InputError
from .steering import Controller
from .step import Step
from .when import When

SENTENCES = "sentences"  # for `when`: steer where a sentence of the response begins; with `:SHARE` through it
LEAST = 0.01  # of the first dose
CLOSING = "\"'”’)]*"


def check_decay(decay: float) -> None:
    """Refuse a decay that is no share.

    Raises:
        InputError: It is below 0 or above 1.
    """
    if not 0 <= decay <= 1:
        raise InputError(
            f"from token to token a dose keeps a share of itself, from 0 (the first token alone) to 1, not {decay}"
        )


def tokens_of_dose(decay: float) -> float:
    """Count how many tokens a dose lasts at most.

    Args:
        decay: Share of the dose that the next token gets.
    """
    if decay in (0, 1):
        return inf if decay else 1
    return floor(log(LEAST) / log(decay) + 1e-9) + 1


def sentence_decay(when: str) -> float | None:
    """Read how far into a sentence its dose reaches.

    Args:
        when: As `steer` takes it; here `sentences`, or `sentences:SHARE`.

    Returns:
        The share of its dose that the next token gets, 0 at the beginnings of sentences alone; None for other tokens.

    Raises:
        InputError: The share is none.
    """
    name, colon, share = when.partition(":")
    if name != SENTENCES:
        return None
    try:
        decay = float(share) if colon else 0.0
    except ValueError:
        raise InputError(
            f"{when!r:.60} says no share: write sentences, or sentences:0.5 for half from token to token"
        ) from None
    check_decay(decay)
    return decay


def check_when(when: str) -> None:
    """Refuse a text that names no tokens to steer.

    Raises:
        InputError: It names none.
    """
    if sentence_decay(when) is None:
        When.parse(when)


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


def through_sentences(model: LanguageModel, decay: float) -> Controller:
    """Make a controller that steers from the beginning of each sentence of the response to its end.

    Args:
        model: The model that will be steered; its tokenizer decides which tokens end a sentence.
        decay: Share of its dose that the next token of the sentence gets: 1 keeps it, 0 is `at_sentence_ends`.

    Returns:
        The controller, for `steer(..., when="response", controller=...)`. It raises InputError where it is not known
        which token is where in its sentence.

    Raises:
        InputError: The decay is no share.
    """
    check_decay(decay)
    return _ThroughSentences(at_sentence_ends(model), decay)


class _ThroughSentences:
    follows_rows = True  # from pass to pass; `steer` has to see whether they are exchanged

    def __init__(self, at_ends: Controller, decay: float) -> None:
        self._at_ends, self._decay, self._n_tokens = at_ends, decay, tokens_of_dose(decay)

    def __call__(self, activations: Float[Tensor, "rows tokens d_model"], step: Step) -> Float[Tensor, "rows tokens"]:
        starts = self._at_ends(activations, step).bool() & (step.positions >= step.prompt_tokens()[:, None] - 1)
        age = step.since(starts, self)
        dose = self._decay ** age.clamp_min(0).float()
        return torch.where((age >= 0) & (age < self._n_tokens), dose, torch.zeros_like(dose))
