"""Check that a tokenizer knows the words of the texts that a model is to read.

A closed vocabulary has a token for what it does not hold (the built-in organisms have one, and BERT). A text that
becomes a row of it says nothing of what was written, and what is read there is no answer to any question.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from ..models import LanguageModel
from ..rundir import InputError

MOST_UNKNOWN = 0.1  # share of the tokens


def check_known(model: LanguageModel, texts: Sequence[Int[np.ndarray, " n_tokens"]]) -> None:
    """Refuse texts of which the tokenizer does not know a large share.

    Args:
        model: The model whose tokenizer made the tokens.
        texts: Token ids of each text.

    Raises:
        InputError: More than a tenth of all tokens are the token for unknown words.
    """
    n_tokens = sum(map(len, texts))
    share = sum(count_unknown(model, text) for text in texts) / max(n_tokens, 1)
    if share > MOST_UNKNOWN:
        raise InputError(
            f"{model.name} does not know the words of these texts: {share:.0%} of {n_tokens} tokens are "
            f"{model.tokenizer.unk_token!r} (at most {MOST_UNKNOWN:.0%} may be). Give texts that its tokenizer was "
            "made for, or another model."
        )


def count_unknown(model: LanguageModel, token_ids: Int[np.ndarray, " n_tokens"]) -> int:
    """Count the tokens of a text that stand for unknown words; none where the tokenizer has no token for them.

    Args:
        model: The model whose tokenizer made the tokens.
        token_ids: The tokens.

    Returns:
        How many there are.
    """
    tokenizer = model.tokenizer
    unknown = tokenizer.unk_token_id
    # Some tokenizers name an ordinary special token (GPT-2: the end of a text) as that of unknown words.
    if unknown is None or unknown in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id):
        return 0
    return int((np.asarray(token_ids) == unknown).sum())
