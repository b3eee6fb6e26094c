"""Tokenise a text as far as a model's context reaches: what lies far beyond costs neither time nor memory.

1. A text of at most `CHARACTERS_PER_TOKEN` characters for each token of the context is tokenised whole.
2. Of a longer one only that much is, and four times as much until there are `MARGIN` tokens more than the context holds
   (a tokenizer may make one token of any number of spaces, so no number of characters is a bound by itself).

Tokens in front of the cut are those of the whole text, because the cut lies behind the margin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from ..models import LanguageModel

CHARACTERS_PER_TOKEN = 32  # far more than in any language; a text of 4 characters a token is cut at 8 contexts
MARGIN = 64


@dataclass(frozen=True, eq=False, slots=True)
class Tokens:
    """The tokens of a text, or of its beginning."""

    ids: Int[np.ndarray, " n_tokens"]
    offsets: Int[np.ndarray, "n_tokens 2"]  # the characters [start, end) of each
    is_whole: bool  # False: the text goes on, beyond the context


def tokenise(model: LanguageModel, text: str, *, add_special_tokens: bool) -> Tokens:
    """Tokenise a text for a model.

    Args:
        model: The model whose tokenizer is used.
        text: Any text.
        add_special_tokens: Whether the tokenizer adds its own.

    Returns:
        All tokens, or more than the model's context holds.
    """
    limit = model.context_tokens
    length = len(text) if limit is None else limit * CHARACTERS_PER_TOKEN
    while True:
        part = text[:length]
        encoded = model.tokenizer(
            part, add_special_tokens=add_special_tokens, return_offsets_mapping=True, verbose=False
        )
        ids = np.asarray(encoded["input_ids"], dtype=np.int64)
        is_whole = length >= len(text)
        if is_whole or (limit is not None and len(ids) > limit + MARGIN):
            return Tokens(ids, np.asarray(encoded["offset_mapping"], dtype=np.int64).reshape(-1, 2), is_whole)
        length *= 4
