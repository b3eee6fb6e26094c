"""From characters to tokens, by the tokenizer's own offsets.

A token belongs to a span if it covers a character of the span that is not white space. So a span that begins inside a
token begins with that token, a character that takes several tokens brings all of them, and a space that the tokenizer
glues to the next word moves no border. Positions, never text, decide: repeated sentences cannot be confused.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int


def token_span(offsets: Int[np.ndarray, "n_tokens 2"], text: str, start: int, end: int) -> tuple[int, int] | None:
    """Tokens [first, stop) that cover characters [start, end) of `text`; None where there are none.

    offsets: for each token its characters [start, end), in order; special tokens have empty ranges and never match.
    """
    piece = text[start:end]
    start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
    inside = np.flatnonzero((offsets[:, 0] < end) & (offsets[:, 1] > start) & (offsets[:, 1] > offsets[:, 0]))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) and start < end else None
