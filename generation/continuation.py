"""Continue one text several times, all continuations drawn together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from ..models import LanguageModel
from .loop import generate
from .sampling import Sampling
from .vocabulary import end_tokens


def continuations(
    model: LanguageModel, prefix: Int[np.ndarray, " n_tokens"], sampling: Sampling, seed: int
) -> list[list[int]]:
    """Continue a text `sampling.n_samples` times. The text is run once.

    Args:
        model: The model that writes.
        prefix: Token ids of the text.
        sampling: How many continuations, how they are drawn, and how long they are at most.
        seed: Continuation k draws with the numbers of row k of this seed, however many there are.

    Returns:
        The token ids that follow the text, without the token that ended it. There are fewer than `max_new_tokens` where
        the text ends or the context is full.
    """
    n = sampling.n_samples
    stops = set(end_tokens(model))
    rows = generate(model, [prefix.tolist()] * n, sampling, seed=seed, n_rows=n)
    return [row[:-1] if row and row[-1] in stops else row for row in rows]
