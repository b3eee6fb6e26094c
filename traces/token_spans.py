"""Convert characters to tokens by the tokenizer's own offsets.

A token belongs to a span if it covers a character of the span that is not white space. So a span that begins inside a
token begins with that token, a character of several tokens includes all of them, and a space that the tokenizer joins
to the next word moves no border. Positions decide, never text, so repeated sentences cannot be confused.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def token_span(offsets: Int[np.ndarray, "n_tokens 2"], text: str, start: int, end: int) -> tuple[int, int] | None:
    """Find the tokens that cover characters [start, end) of a text.

    Args:
        offsets: The characters [start, end) of each token, in order; special tokens have empty ranges and never match.
        text: The text.
        start: The first character.
        end: The character after the last one.

    Returns:
        The tokens [first, stop); None if there are none.
    """
    piece = text[start:end]
    start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
    inside = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start) & (offsets[:, 1] > offsets[:, 0]))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) and start < end else None
